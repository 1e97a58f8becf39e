"""AlphaMath: a tree search with no teacher labels its own steps; do policy and value, taught in turn, plan better than either votes?"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement, product
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import StudyError
from ratchet.core.seeds import Part, rng, seed
from ratchet.core.types import Completion, Draw, Judge, Play, Split, Strategy, Task, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.measure.ranking import auc
from ratchet.report.chart import Axis, Series, estimated, line_chart, number, percent, whole
from ratchet.search.beam import beam
from ratchet.search.mcts import Evaluate, Node, nodes_of, simulated
from ratchet.search.steps import Steps, steps_of
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_lines import STEP, Numbers, demonstrate, left_after, lines, right, start_of, words

if TYPE_CHECKING:
    from ratchet.learn.critic import Judged
    from ratchet.models.critic import Critic
    from ratchet.models.engine import Policy
    from ratchet.models.scheduler import Scorer

COUNTS, LARGEST = (3, 4), 12
TARGETS = {"test": (6, 9), "larger": (10, 12)}
LONGEST = 40
ROUNDS, WIDTH, EXPLORE = 2, 6, 0.6
BEAMS, K = 3, 15  # the paper's 3 beams of 5 candidates each; as many whole samples for the majority
POSITIVES = 4  # of a problem in a round that the policy learns
BATCH, RATE, VALUE_RATE, MUON = 64, 3e-3, 1.5e-3, 0.02
FLAT, VALUE, SHUFFLED = "flat", "value", "shuffled"


@dataclass(frozen=True)
class Size:
    """Problems of the seed and of the search, simulations for each; updates of the seed, of the policy and of the value in a
    round; problems held out of each set, and parts to rank."""

    primed: int
    searched: int
    simulations: int
    priming: int
    learning: int
    fitting: int
    held: int
    parts: int


FULL = Size(300, 500, 16, 250, 150, 300, 150, 1_000)
QUICK = Size(12, 6, 4, 2, 2, 2, 4, 20)
DEPARTURES = "."


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


def by_value_and_truth(steps: Steps, scorer: str) -> Evaluate:
    """A part is worth what the value says, a whole answer what the checker says."""

    def evaluate(parts: Sequence[Completion]) -> Generator[Any, Any, list[tuple[float, Completion]]]:
        worth: dict[tuple[int, ...], float] = {}
        for name, own in ((scorer, [p for p in parts if steps.going(p)]), ("oracle", [p for p in parts if not steps.going(p)])):
            if own:
                scores = yield Judge(own, name)
                worth |= {p.tokens: s for p, s in zip(own, scores, strict=True)}
        return [(worth[p.tokens], p) for p in parts]

    return evaluate


def growing(forest: dict[str, Node]) -> Strategy:
    """A strategy that leaves each task's tree in `forest`."""

    def tree(task: Task, *, n: int, scorer: str) -> Play:
        steps, root = steps_of(n, STEP, 0), Node()
        for _ in range(n):
            yield from simulated(task, steps, root, WIDTH, EXPLORE, by_value_and_truth(steps, scorer))
        forest[task.key] = root
        return max((node for node in nodes_of(root)[1:] if node.part), key=lambda node: node.mean).part  # type: ignore[return-value]

    return tree


def known(node: Node) -> bool:
    """Whether Q says more than the value said: what has ended, and what was gone on from."""
    return bool(node.part) and (bool(node.children) or node.part.stop != "stop")  # type: ignore[union-attr]


def lessons(root: Node) -> list[Judged]:
    """Every path of the tree as far as it is known, with Q at the end of each of its steps."""
    from ratchet.learn.critic import Judged

    found: list[Judged] = []
    for node in nodes_of(root):
        if known(node) and not any(map(known, node.children)):
            labels, up = list[tuple[int, float]](), node
            while up.part is not None and up.parent is not None:
                labels.append((len(up.part.tokens) - 1, up.mean))
                up = up.parent
            assert node.part is not None
            found.append(Judged(node.part.prefix, node.part.tokens, steps=tuple(reversed(labels))))
    return found


def positives(task: Task, root: Node, *path: Part) -> list[Completion]:
    """A few of the right answers of a tree, by chance."""
    every = [n.part for n in nodes_of(root) if n.part and n.part.stop == "end" and ended_right(task, n.part.text)]
    return rng(*path, task.key).sample(every, min(POSITIVES, len(every)))


def shuffled(texts: Sequence[Judged], *path: Part) -> list[Judged]:
    """The same texts with the Q of other steps, as often each: nothing is left to learn but their mean."""
    from ratchet.learn.critic import Judged

    labels = [q for j in texts for _, q in j.steps]
    rng(*path).shuffle(labels)
    rest = iter(labels)
    return [Judged(j.prefix, j.tokens, steps=tuple((place, next(rest)) for place, _ in j.steps)) for j in texts]


def flat(task: Task, completions: Sequence[Completion], verify: Any) -> list[float]:
    """What a value says that has learned nothing."""
    return [0.5] * len(completions)


def valued(critic: Critic, texts: Sequence[Judged], updates: int, *path: Part) -> None:
    """Regression of Q at the ends of steps."""
    from ratchet.learn.critic import Verifier, at_steps, fit
    from ratchet.learn.heads import squared_error

    fit(critic, Verifier(at_steps, squared_error), lambda u: rng(*path, u).choices(texts, k=BATCH), updates, VALUE_RATE)


def learned(policy: Policy, right_ones: Sequence[Completion], updates: int, *path: Part) -> None:
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    examples = [Example(c.prefix, c.tokens) for c in right_ones]
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


def measured(policy: Policy, tasks: Sequence[Task], scorers: dict[str, Scorer], *path: Part) -> dict[str, dict[str, float]]:
    """Of each arm the share of problems that it solves, and the tokens that it samples for one."""
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import SCORERS
    from ratchet.search.tools import TOOLS

    share = lambda answers: sum(ended_right(t, c.text) for t, c in zip(tasks, answers, strict=True)) / len(tasks)
    spent = lambda samples: sum(len(c.tokens) for own in samples for c in own) / len(tasks)
    greedy = policy.sample([Draw(t.prompt, temperature=0.0) for t in tasks], [[0] for _ in tasks])
    many = policy.sample(
        [Draw(t.prompt, n=K) for t in tasks], [[seed(*path, "whole", t.key, i) for i in range(K)] for t in tasks]
    )
    solved = {"greedy": share([c for [c] in greedy]), "majority": share([most_frequent(own) for own in many])}
    solved["any"] = sum(any(ended_right(t, c.text) for c in own) for t, own in zip(tasks, many, strict=True)) / len(tasks)
    tokens = {"greedy": spent(greedy), "majority": spent(many), "any": spent(many)}
    scheduler = Scheduler(policy, verify, SCORERS | scorers, TOOLS)
    for name in scorers:
        knobs = {"n": K, "beams": BEAMS, "scorer": name, "step": STEP}
        traces = scheduler.run(beam, tasks, *path, "beam", knobs=knobs)
        arm = "step-beam" if name != SHUFFLED else "shuffled beam"
        solved[arm] = sum(t.verdict is not None and t.verdict.passed for t in traces) / len(tasks)
        tokens[arm] = sum(t.cost.sampled_tokens for t in traces) / len(tasks)
    return {"solved": solved, "tokens": tokens}


def parts_of(tasks: Sequence[Task], samples: Sequence[Sequence[Completion]], most: int, *path: Part) -> list[tuple[Task, str]]:
    """Different parts of samples that are right as far as they go, with operations left to do."""
    found: dict[tuple[str, str], tuple[Task, str]] = {}
    for task, own in zip(tasks, samples, strict=True):
        for c in own:
            pieces = [line.strip() for line in c.text.split(STEP)]
            for n in range(1, len(start_of(task)) - 1):
                part = " ".join(f"{line} {STEP}" for line in pieces[:n])
                if len(pieces) > n and len(left_after(task, part) or ()) == len(start_of(task)) - n:
                    found[task.key, part] = (task, part)
    every = list(found.values())
    return rng(*path).sample(every, min(most, len(every)))


def ranks(policy: Policy, critic: Critic, tasks: Sequence[Task], parts: Sequence[tuple[Task, str]]) -> dict[str, float]:
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
    size, home = QUICK if quick else FULL, ("alphamath", seed_)
    train = problems("train", TARGETS["test"], size.primed + size.searched, seed_, "train")
    pilot = seed_ > 900
    held = {n: problems("validation" if pilot else "heldout", t, size.held, seed_, n) for n, t in TARGETS.items()}
    policy = weights(seed_)
    primed(policy, train[: size.primed], size.priming, *home, "prime")
    critic, placebo = critic_from(policy, blocks=1), critic_from(policy, blocks=1)
    scorers: dict[str, Scorer] = {FLAT: flat}
    rounds = [{name: measured(policy, tasks, scorers, *home, 0, name) for name, tasks in held.items()}]
    say(f"round 0: {rounds[0]['test']['solved']}; {rounds[0]['larger']['solved']}")
    texts, right_ones, trees = list["Judged"](), list[Completion](), []
    for turn in range(1, ROUNDS + 1):
        forest: dict[str, Node] = {}
        searched = train[size.primed :]
        scheduler = Scheduler(policy, verify, SCORERS | scorers, TOOLS)
        scheduler.run(growing(forest), searched, *home, "tree", turn, knobs={"n": size.simulations, "scorer": [*scorers][0]})
        new = [j for t in searched for j in lessons(forest[t.key])]
        found = [positives(t, forest[t.key], *home, "positives", turn) for t in searched]
        texts, right_ones = texts + new, right_ones + [c for own in found for c in own]
        trees.append({"solved": sum(map(bool, found)) / len(found), "nodes": sum(len(j.steps) for j in new)})
        valued(critic, texts, size.fitting, *home, "value", turn)
        learned(policy, right_ones, size.learning, *home, "policy", turn)
        scorers = {VALUE: scorer_of(critic)}
        if turn == ROUNDS:
            valued(placebo, shuffled(texts, *home, "shuffle"), size.fitting, *home, "value", turn)
            scorers[SHUFFLED] = scorer_of(placebo)
        rounds.append({name: measured(policy, tasks, scorers, *home, turn, name) for name, tasks in held.items()})
        say(f"round {turn}: trees {trees[-1]}; {rounds[-1]['test']['solved']}; {rounds[-1]['larger']['solved']}")
    areas: dict[str, dict[str, float]] = {}
    for name, tasks in held.items():
        samples = policy.sample(
            [Draw(t.prompt, n=K) for t in tasks], [[seed(*home, "parts", t.key, i) for i in range(K)] for t in tasks]
        )
        parts = parts_of(tasks, samples, size.parts, *home, "parts", name)
        areas[name] = ranks(policy, critic, tasks, parts)
        areas[f"{name}, shuffled"] = ranks(policy, placebo, tasks, parts)
    say(f"areas {areas}")
    return {"rounds": rounds, "trees": trees, "auc": areas}
