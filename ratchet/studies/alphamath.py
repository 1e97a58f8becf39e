"""AlphaMath: a tree search with no teacher labels its own steps; do policy and value, taught in turn, plan better than either votes?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import StudyError
from ratchet.core.seeds import Part, rng, seed
from ratchet.core.types import Completion, Draw, Judge, Play, Split, Strategy, Task, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.measure.ranking import auc
from ratchet.report.chart import Axis, Series, estimated, line_chart, number, percent, whole
from ratchet.search.beam import beam
from ratchet.search.mcts import Evaluate, Node, Scored, nodes_of, simulated
from ratchet.search.steps import Asking, Steps, steps_of
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_lines import STEP, Numbers, demonstrate, left_after, lines, right, start_of, words

if TYPE_CHECKING:
    from ratchet.learn.critic import Judged
    from ratchet.models.critic import Critic
    from ratchet.models.engine import Policy
    from ratchet.models.scheduler import Scorer

COUNTS, LARGEST = (3, 4), 9
TARGETS = {"test": (7, 9), "larger": (10, 12)}
SEEN = (7, 12)  # by the seed, which is to write lines for any target; the search and what it teaches have the smaller ones alone
LONGEST = 40
ROUNDS, WIDTH, EXPLORE = 2, 6, 0.6
TEMPERATURE = 0.7  # of all samples, also in the tree, where the paper has 0.6
BEAMS, K = 3, 15  # the paper's 3 beams of 5 candidates each; the majority has one whole sample more, which costs a little more
FEW = 3  # candidates of a quick run
POSITIVES = 4  # of a problem in a round that the policy learns
BATCH, RATE, VALUE_RATE, MUON = 64, 3e-3, 1.5e-3, 0.02
BEAM_BY = {"value": "step-beam", "shuffled": "shuffled beam"}


@dataclass(frozen=True)
class Size:
    """Problems of the seed and of the search, simulations for each; updates of the seed, of the policy and of the value in a
    round; problems held out of each set."""

    primed: int
    searched: int
    simulations: int
    priming: int
    learning: int
    fitting: int
    held: int


FULL = Size(400, 800, 16, 600, 100, 250, 120)
QUICK = Size(12, 3, 3, 2, 2, 2, 2)
DEPARTURES = (
    "The plan has 1,000 problems, 32 simulations and 300 problems of each test: here 800, 16 and 120, for time, and 0.1 million "
    "parameters where it has 0.3. "
    "Policy and value are two models: the value starts from the seed with one block of its own on top, and learns by itself, where the "
    "paper adds both losses on one trunk. It says (Q + 1) / 2 as the sigmoid of a logit, and learns it by squared error after every token "
    "of a step, not at the step's end alone. It learns every path of a tree as far as Q says more than the value itself said there; "
    "half of each batch ended well, where the paper takes four good and four bad paths of a problem. "
    "The policy goes on from the round before, with up to four right answers of each problem of all rounds so far. "
    "The seed has seen larger targets, which the search and everything that it teaches have not: in a pilot (seed 901, validation "
    "problems) a seed that had not seen them solved none with 15 samples before, between or after the rounds, which tests nothing. "
    "That seed had learned for 250 updates with numbers up to 12, was right in 15 % of its greedy answers and 2 to 5 % of its samples, "
    "and the value learned nothing of parts from its trees (AUC 0.61, and 0.51 and 0.49 of those that leave two and three numbers; a "
    "placebo had 0.58). So the numbers go up to 9, and the seed learns for 600 updates. "
    "With 500 problems and 150 updates of the policy in a round (seed 902) the beam solved 28, 62 and 66 % and greedy decoding 47, 46 and "
    "41 %: the policy learned each of few answers often. So there are 800 problems and 100 updates, for which there was no pilot. "
    "Samples are drawn at a temperature of 0.7, as near the paper's 0.6, for all arms and for the tree. "
    "Majority is over solutions, whatever the order of their lines, since the last number is the target nearly always. It has 16 "
    "samples where the beam has 15 candidates for each line: a beam took up to 6 % more tokens than as many whole samples. "
    "Parts for the AUC have right lines alone: with wrong ones, which cannot be gone on from either, the task would be easier."
)


# ---- problems ----------------------------------------------------------------------------------------------------


@cache
def solvable(left: Numbers, target: int) -> bool:
    """The truth by exhaustive search: whether the target can be made of these numbers, which are sorted."""
    if len(left) == 1:
        return left[0] == target
    return any(solvable(tuple(sorted(after)), target) for _, after in lines(left))


def problems(split: Split, targets: tuple[int, int], n: int, *path: Part) -> list[Task]:
    """So many different solvable problems of the split, their numbers in an order by chance. StudyError where it has fewer."""
    given = [g for count in COUNTS for g in combinations_with_replacement(range(1, LARGEST + 1), count)]
    every = [(g, t) for g in given for t in range(targets[0], targets[1] + 1) if solvable(g, t)]
    own = [(g, t) for g, t in every if task_of(list(g), t).split == split]
    if n > len(own):
        raise StudyError(
            f"alphamath: the split {split} has {len(own)} solvable problems with targets from {targets[0]} to {targets[1]}, and {n} "
            f"are asked for; ask for fewer, or widen COUNTS, LARGEST or TARGETS"
        )
    random = rng("alphamath", *path)
    return [task_of(random.sample(g, len(g)), t) for g, t in random.sample(own, n)]


def ended_right(task: Task, text: str) -> bool:
    """A solution ends where its last line does, without a mark."""
    return right(task, f"{text} {STEP}")


def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [Verdict(Judgement.PASS if ended_right(task, text) else Judgement.FAIL) for task, text in pairs]


# ---- the seed ----------------------------------------------------------------------------------------------------


def weights(run_seed: int) -> Policy:
    """0.1 million random ones."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(words())
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=160, max_tokens=56
    )
    return new_policy(shape, tokenizer, run_seed, LONGEST, 512)


def primed(policy: Policy, tasks: Sequence[Task], updates: int, *path: Part) -> None:
    """Imitation of right solutions of a few problems, each one of all that its problem has."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    def examples(update: int) -> list[Example]:
        random = rng(*path, update)
        encode, end = policy.tokenizer.encode, policy.tokenizer.end_id
        found: list[Example] = []
        for task in random.choices(tasks, k=BATCH):
            numbers = start_of(task)
            task = task_of(random.sample(numbers, len(numbers)), task.answer)
            text = demonstrate(random, task).removesuffix(f" {STEP}")
            found.append(Example(policy.encode(task.prompt), (*encode(text), end)))
        return found

    imitate(policy, examples, updates, RATE, MUON)


# ---- the loop ----------------------------------------------------------------------------------------------------


def by_value_and_truth(steps: Steps) -> Evaluate:
    """A part is worth what the value says, a whole answer what the checker says."""

    def evaluate(parts: Sequence[Completion]) -> Asking[list[Scored]]:
        going, whole_ones = [p for p in parts if steps.going(p)], [p for p in parts if not steps.going(p)]
        values = (yield Judge(going, "value")) if going else []
        verdicts = (yield Judge(whole_ones, "oracle")) if whole_ones else []
        return [*zip(values, going, strict=True), *zip(verdicts, whole_ones, strict=True)]

    return evaluate


def growing(forest: dict[str, Node]) -> Strategy:
    """A strategy that leaves each task's tree in `forest`."""

    def tree(task: Task, *, n: int) -> Play:
        steps, root = steps_of(n, STEP, 0, TEMPERATURE), Node()
        for _ in range(n):
            yield from simulated(task, steps, root, WIDTH, EXPLORE, by_value_and_truth(steps))
        forest[task.key] = root
        return next(node.part for node in nodes_of(root) if node.part is not None)  # somebody must be the answer

    return tree


def known(node: Node) -> bool:
    """Whether Q says more than the value said: of what has ended, and of what was gone on from."""
    return node.part is not None and (bool(node.children) or node.part.stop != "stop")


def lessons(root: Node) -> list[Judged]:
    """Every path of the tree as far as it is known, with the Q of each step after each of its tokens."""
    from ratchet.learn.critic import Judged

    found: list[Judged] = []
    for node in nodes_of(root):
        if node.part is not None and known(node) and not any(map(known, node.children)):
            labels, up = list[tuple[int, float]](), node
            while up.parent is not None and up.part is not None:
                start = len(up.parent.part.tokens) if up.parent.part else 0
                labels = [(place, up.mean) for place in range(start, len(up.part.tokens))] + labels
                up = up.parent
            found.append(Judged(node.part.prefix, node.part.tokens, steps=tuple(labels)))
    return found


def positives(task: Task, root: Node, *path: Part) -> list[Completion]:
    """A few of the right answers of a tree, by chance."""
    every = [n.part for n in nodes_of(root) if n.part and n.part.stop == "end" and ended_right(task, n.part.text)]
    return rng(*path, task.key).sample(every, min(POSITIVES, len(every)))


def shuffled(texts: Sequence[Judged], *path: Part) -> list[Judged]:
    """The same texts with the labels of other ones of the same length: nothing is left to learn but what length tells."""
    from ratchet.learn.critic import Judged

    alike: dict[int, list[Judged]] = {}
    for j in texts:
        alike.setdefault(len(j.tokens), []).append(j)
    mixed = {n: iter(rng(*path, n).sample(own, len(own))) for n, own in alike.items()}
    return [Judged(j.prefix, j.tokens, steps=next(mixed[len(j.tokens)]).steps) for j in texts]


def valued(critic: Critic, texts: Sequence[Judged], updates: int, *path: Part) -> None:
    """Regression of Q; half of each batch ended well, as in the paper, which takes as many of both."""
    from ratchet.learn.critic import Verifier, at_steps, fit
    from ratchet.learn.heads import squared_error

    kinds = [[j for j in texts if (j.steps[-1][1] == 1.0) == well] for well in (True, False)]

    def lessons_of(update: int) -> list[Judged]:
        random = rng(*path, update)
        return [j for own in kinds if own for j in random.choices(own, k=BATCH // 2)]

    fit(critic, Verifier(at_steps, squared_error), lessons_of, updates, VALUE_RATE, MUON / 2)


def learned(policy: Policy, found: Sequence[Completion], updates: int, *path: Part) -> None:
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    examples = [Example(c.prefix, c.tokens) for c in found]
    if examples:
        imitate(policy, lambda u: rng(*path, u).choices(examples, k=BATCH), updates, RATE / 3, MUON / 3)


# ---- what is measured --------------------------------------------------------------------------------------------


def spelled(text: str) -> tuple[tuple[str, ...], ...]:
    """A solution without the order of its lines and of what is added or multiplied: what the majority counts as the same."""
    found: list[tuple[str, ...]] = []
    for line in text.split(STEP):
        said = line.partition(" left ")[0].split()
        a, op, b, *rest = [*said, *[""] * 3]
        found.append((*(sorted((a, b)) if op in ("+", "*") else (a, b)), op, *(w for w in rest if w)))
    return tuple(sorted(found))


def most_frequent(completions: Sequence[Completion]) -> Completion:
    """The first of the solutions that most of the samples share."""
    spellings = [spelled(c.text) for c in completions]
    return max(completions, key=lambda c: spellings.count(spelled(c.text)))


def measured(
    policy: Policy, tasks: Sequence[Task], k: int, scorers: dict[str, Scorer], *path: Part
) -> dict[str, dict[str, float]]:
    """Of each arm the share of problems that it solves, and the tokens that it samples for one."""
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import SCORERS
    from ratchet.search.tools import TOOLS

    share = lambda answers: sum(ended_right(t, c.text) for t, c in zip(tasks, answers, strict=True)) / len(tasks)
    spent = lambda samples: sum(len(c.tokens) for own in samples for c in own) / len(tasks)
    greedy = policy.sample([Draw(t.prompt, temperature=0.0) for t in tasks], [[0] for _ in tasks])
    many = policy.sample(
        [Draw(t.prompt, n=k + 1, temperature=TEMPERATURE) for t in tasks],
        [[seed(*path, "whole", t.key, i) for i in range(k + 1)] for t in tasks],
    )
    solved = {"greedy": share([c for [c] in greedy]), "majority": share([most_frequent(own) for own in many])}
    ok = [[ended_right(t, c.text) for c in own] for t, own in zip(tasks, many, strict=True)]
    solved |= {"any": sum(map(any, ok)) / len(ok), "one sample": sum(map(sum, ok)) / sum(map(len, ok))}
    tokens = {"greedy": spent(greedy), "majority": spent(many), "any": spent(many)}
    scheduler = Scheduler(policy, verify, SCORERS | scorers, TOOLS)
    for name in scorers:
        knobs: dict[str, Any] = {"n": k, "beams": BEAMS, "scorer": name, "step": STEP, "temperature": TEMPERATURE}
        traces = scheduler.run(beam, tasks, *path, "beam", knobs=knobs)
        solved[BEAM_BY[name]] = sum(t.verdict is not None and t.verdict.passed for t in traces) / len(tasks)
        tokens[BEAM_BY[name]] = sum(t.cost.sampled_tokens for t in traces) / len(tasks)
    return {"solved": solved, "tokens": tokens}


def parts_of(tasks: Sequence[Task], samples: Sequence[Sequence[Completion]]) -> list[tuple[Task, str]]:
    """Different parts of samples that are right as far as they go, with operations left to do."""
    found: dict[tuple[str, str], tuple[Task, str]] = {}
    for task, own in zip(tasks, samples, strict=True):
        for c in own:
            pieces = [line.strip() for line in c.text.split(STEP)]
            for n in range(1, len(start_of(task)) - 1):
                part = " ".join(f"{line} {STEP}" for line in pieces[:n])
                if len(pieces) > n and len(left_after(task, part) or ()) == len(start_of(task)) - n:
                    found[task.key, part] = (task, part)
    return list(found.values())


def ranks(policy: Policy, critic: Critic, parts: Sequence[tuple[Task, str]]) -> dict[str, float]:
    """The area under the curve over all parts, and over those that leave so many numbers; one half where one kind is missing."""
    left = [left_after(task, part) or () for task, part in parts]
    truth = [solvable(tuple(sorted(own)), task.answer) for own, (task, _) in zip(left, parts, strict=True)]
    rows = critic.values([(policy.encode(task.prompt), tuple(policy.tokenizer.encode(part))) for task, part in parts])
    values = [row[-1] for row in rows]

    def area(chosen: Sequence[int]) -> float:
        labels = [truth[i] for i in chosen]
        return auc([values[i] for i in chosen], labels) if 0 < sum(labels) < len(labels) else 0.5

    places = range(len(parts))
    return {"all": area(places)} | {f"{n} left": area([i for i in places if len(left[i]) == n]) for n in (2, 3)}


def run(seed_: int, quick: bool, say: Say) -> Result:
    from ratchet.models.critic import critic_from, scorer_of
    from ratchet.models.machine import prepare
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import SCORERS
    from ratchet.search.tools import TOOLS

    prepare(1)
    size, k, home = QUICK if quick else FULL, FEW if quick else K, ("alphamath", seed_)
    shown = problems("train", SEEN, size.primed, seed_, "shown")
    keys = {t.key for t in shown}
    enough = size.searched + sum(t.answer <= TARGETS["test"][1] for t in shown)
    others = [t for t in problems("train", TARGETS["test"], enough, seed_, "train") if t.key not in keys]
    searched = others[: size.searched]
    held = {name: problems("heldout", targets, size.held, seed_, name) for name, targets in TARGETS.items()}
    policy = weights(seed_)
    primed(policy, shown, size.priming, *home, "prime")
    critic, placebo = critic_from(policy, blocks=1), critic_from(policy, blocks=1)
    scorers: dict[str, Scorer] = {
        "value": lambda task, parts, verify: [0.5] * len(parts)
    }  # what it says that has learned nothing
    rounds = [{name: measured(policy, tasks, k, scorers, *home, 0, name) for name, tasks in held.items()}]
    say(f"round 0: {rounds[0]['test']['solved']}; {rounds[0]['larger']['solved']}")
    texts, right_ones, trees = list["Judged"](), list[Completion](), []
    for turn in range(1, ROUNDS + 1):
        forest: dict[str, Node] = {}
        scheduler = Scheduler(policy, verify, SCORERS | scorers, TOOLS)
        scheduler.run(growing(forest), searched, *home, "tree", turn, knobs={"n": size.simulations})
        new = [j for t in searched for j in lessons(forest[t.key])]
        found = [positives(t, forest[t.key], *home, "positives", turn) for t in searched]
        texts, right_ones = texts + new, right_ones + [c for own in found for c in own]
        trees.append(
            {
                "solved": sum(map(bool, found)) / len(found),
                "nodes": sum(known(n) for root in forest.values() for n in nodes_of(root)),
            }
        )
        valued(critic, texts, size.fitting, *home, "value", turn)
        learned(policy, right_ones, size.learning, *home, "policy", turn)
        scorers = {"value": scorer_of(critic)}
        if turn == ROUNDS:
            valued(placebo, shuffled(texts, *home, "shuffle"), size.fitting, *home, "value", turn)
            scorers["shuffled"] = scorer_of(placebo)
        rounds.append({name: measured(policy, tasks, k, scorers, *home, turn, name) for name, tasks in held.items()})
        say(f"round {turn}: trees {trees[-1]}; {rounds[-1]['test']['solved']}; {rounds[-1]['larger']['solved']}")
    areas: dict[str, dict[str, float]] = {}
    for name, tasks in held.items():
        samples = policy.sample(
            [Draw(t.prompt, n=k, temperature=TEMPERATURE) for t in tasks],
            [[seed(*home, "parts", t.key, i) for i in range(k)] for t in tasks],
        )
        parts = parts_of(tasks, samples)
        areas[name] = ranks(policy, critic, parts)
        areas[f"{name}, shuffled"] = ranks(policy, placebo, parts)
    say(f"areas {areas}")
    return {"rounds": rounds, "trees": trees, "auc": areas}


# ---- what is claimed ---------------------------------------------------------------------------------------------

ARMS = ("greedy", "majority", "step-beam")


def solved(result: Result, turn: int, name: str, arm: str) -> float:
    return result["rounds"][turn][name]["solved"][arm]


def ahead(name: str, arm: str, other: str) -> Effect:
    """After the last round."""
    return over_seeds(lambda r: solved(r, -1, name, arm) - solved(r, -1, name, other))


def gained(turn: int) -> Effect:
    """By greedy decoding, from the round before."""
    return over_seeds(lambda r: solved(r, turn, "test", "greedy") - solved(r, turn - 1, "test", "greedy"))


def planning(name: str) -> tuple[Check, ...]:
    return (
        Check("solved: step-beam minus greedy", ahead(name, "step-beam", "greedy"), 0.08),
        Check("solved: step-beam minus majority", ahead(name, "step-beam", "majority"), 0.0),
    )


def imagined(outcome: Outcome, seed: int) -> Result:
    off = (seed - 1) * (0.004 if outcome is not Outcome.UNRESOLVED else 0.1)
    best, gain, area = {
        Outcome.HELD: (0.8, 0.1, 0.9),
        Outcome.FAILED: (0.4, -0.1, 0.6),
        Outcome.UNRESOLVED: (0.59, 0.0, 0.75),
    }[outcome]

    def at(turn: int) -> dict[str, Any]:
        share = {"greedy": 0.5 + turn * gain - 2 * gain + off * (turn == 1), "majority": 0.55, "any": 0.95}
        share |= {"step-beam": best + off, "shuffled beam": 0.4}
        return {"solved": share, "tokens": {arm: 30.0 if arm == "greedy" else 450.0 for arm in share}}

    return {
        "rounds": [{name: at(turn) for name in TARGETS} for turn in range(ROUNDS + 1)],
        "trees": [{"solved": 0.7, "nodes": 20_000}] * ROUNDS,
        "auc": {
            f"{name}{what}": {"all": area + off, "2 left": 0.9, "3 left": 0.7} for name in TARGETS for what in ("", ", shuffled")
        },
    }


def figures(results: Sequence[Result]) -> list[str]:
    share = percent("share of the problems")
    turns = range(ROUNDS + 1)

    def in_rounds(title: str, name: str) -> str:
        mean_at = lambda turn, arm: estimated(turn, over_seeds(lambda r: solved(r, turn, name, arm))(results))
        return line_chart(title, [Series(arm, [mean_at(turn, arm) for turn in turns]) for arm in ARMS], whole("round"), share)

    def bars(title: str, names: Sequence[str], value: Callable[[Result, str], float], y: Axis) -> str:
        found = [estimated(i, over_seeds(lambda r, name=name: value(r, name))(results)) for i, name in enumerate(names)]
        return line_chart(title, [Series(title, found)], Axis("", str, str, names=dict(enumerate(names))), y)

    last = [*ARMS, "shuffled beam", "any"]
    tokens = number("tokens a problem")
    return [
        in_rounds("Targets like those learned", "test"),
        in_rounds("Larger targets", "larger"),
        bars("After the last round", last, lambda r, arm: solved(r, -1, "test", arm), share),
        bars("Sampled tokens", last, lambda r, arm: r["rounds"][-1]["test"]["tokens"][arm], tokens),
        bars("Ranks what can be solved", [*results[0]["auc"]], lambda r, n: r["auc"][n]["all"], number("AUC", (0.4, 1.0))),
    ]


register(
    Study(
        name="alphamath",
        title="A policy and a value that teach each other by tree search need no labels of steps",
        paper="Chen et al. 2024, AlphaMath Almost Zero: Process Supervision without Process, arXiv 2405.03553",
        claims=(
            Claim(
                "step-beam",
                f"After {ROUNDS} rounds a beam of {BEAMS} by the value is at least 8 points above greedy decoding, and above the "
                f"majority of {K + 1}.",
                planning("test"),
            ),
            Claim("out-of-domain", "The same with targets that are larger than any in training.", planning("larger")),
            Claim(
                "rounds",
                "Each round makes greedy decoding better.",
                (
                    Check("solved: greedy after round 1 minus before", gained(1), 0.0),
                    Check("solved: greedy after round 2 minus after round 1", gained(2), 0.0),
                ),
            ),
            Claim(
                "value",
                "The value ranks parts of held-out problems that can be solved above those that cannot.",
                (Check("AUC over right parts", over_seeds(lambda r: r["auc"]["test"]["all"]), 0.75),),
            ),
        ),
        arms={
            "greedy": "the likeliest token each time: one whole answer",
            "majority": f"cost-matched control: the solution that most of {K + 1} samples share, whatever the order of its lines",
            "step-beam": f"{K} candidates for each line, the {BEAMS} best by value go on; in round 0, where no value has learned, the first",
            "shuffled beam": "placebo: the same by a value that learned the same texts with the targets of other steps",
            "any": f"bound: whether one of the {K + 1} samples is right",
        },
        tasks=f"Countdown with 3 or 4 numbers up to {LARGEST}, all values at most 12, one operation per line; targets from "
        f"{TARGETS['test'][0]} to {TARGETS['test'][1]} for the seed, the search and the test, from {TARGETS['larger'][0]} to "
        f"{TARGETS['larger'][1]} out of domain; {FULL.held} held-out problems of each in every seed",
        metric="share of problems solved; area under the curve over parts of the last policy's samples whose lines are right and which "
        "leave two numbers or more, with exhaustive search as the truth",
        budget="about 6 minutes of one thread a seed",
        departures=DEPARTURES,
        scale="One family of puzzles of two or three steps. Solutions of many steps, MATH and GSM8K, and a model that knew a language before "
        "are not tested.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
