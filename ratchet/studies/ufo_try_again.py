"""UFO: does a model that only ever hears "try again" learn to use its turns, where one trained on single answers repeats itself?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Chance, Play, Split, Task, Trace
from ratchet.measure.estimate import pass_at_k
from ratchet.report.chart import Series, estimated, line_chart, percent, whole
from ratchet.studies.study import Check, Claim, Outcome, Result, Say, Study, over_seeds, register
from ratchet.tasks.countdown import OPERATIONS, Node, random_tree, task_of
from ratchet.tasks.family import Source

if TYPE_CHECKING:
    from ratchet.learn.batch import Example
    from ratchet.models.engine import Policy
    from ratchet.models.scheduler import Verify

NAME = "ufo-try-again"
KNOBS = {"numbers": (3,), "largest": 12, "target": (5, 40)}
AGAIN = "no try again"
TURNS = 4
LONGEST = 56  # tokens of an episode: four answers of ten, and what is said between them
BEFORE = (0, 0, 0, 0, 1, 2, 3)  # turns that stand before the imitated one, each as often
SHOWN = 3  # right answers kept of a known problem
EXAMPLES, PRIMING_RATE, PRIMING_MUON = 64, 4e-3, 0.02
RATE = 4e-4  # 1e-3 repeats more and solves less within four turns, for single-turn and for ufo, under seed 901


@dataclass(frozen=True)
class Sizes:
    """`known` problems to imitate in `priming` updates; `tokens` that each arm generates, in updates of `tasks` with `samples`
    episodes each; `held` problems with `draws` episodes each in tests."""

    known: int = 1_500
    priming: int = 1_100
    tokens: int = 150_000
    tasks: int = 8
    samples: int = 8
    held: int = 150
    draws: int = 8


QUICK = Sizes(known=4, priming=1, tokens=1, tasks=1, samples=2, held=1, draws=4)


# ---- tasks and the base ------------------------------------------------------------------------------------------


def problems(split: Split, n: int, *path: Part) -> list[Task]:
    """With their numbers in order, so that a small model has less to learn."""
    return [task_of(sorted(t.facts["numbers"]), t.answer) for t in Source("countdown", "", KNOBS).take(split, n, *path)]


def new_model(seed: int) -> Policy:
    """0.1 million random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(["numbers", "target", ":", "answer", "(", ")", *OPERATIONS, *AGAIN.split(), *map(str, range(61))])
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=192, max_tokens=72
    )
    return new_policy(shape, tokenizer, seed, LONGEST, 256)


def ordered(tree: Node) -> Node:
    """The same with the larger part of a sum or product first: one way to say what is one answer."""
    if tree.left is None or tree.right is None:
        return tree
    left, right = ordered(tree.left), ordered(tree.right)
    if tree.operation in "+*" and left.value < right.value:
        left, right = right, left
    return Node(tree.value, tree.operation, left, right)


def guesses(random: Random, task: Task) -> Iterator[tuple[str, bool]]:
    """Random answers that use every number once, without end, each with whether it is right."""
    while True:
        tree = random_tree(random, task.facts["numbers"], 99)
        yield f"answer {ordered(tree).write(values=False)}", tree.value == task.answer


def episode(policy: Policy, random: Random, task: Task, right: Sequence[str]) -> Example:
    """One to four turns, of which only the last is learned, a right answer. Those before are random guesses, right or wrong, so
    that they say nothing about the last: what is shown is the form, not that an answer that failed is not to be given again."""
    from ratchet.learn.batch import Example

    tokenizer = policy.tokenizer
    before: list[int] = []
    for guess, _ in islice(guesses(random, task), random.choice(BEFORE)):
        before += [*tokenizer.encode(guess), tokenizer.end_id, *tokenizer.encode_turn(AGAIN)]
    tokens = (*before, *tokenizer.encode(random.choice(right)), tokenizer.end_id)
    return Example(policy.encode(task.prompt), tokens, given=tuple(range(len(before))))


@dataclass(frozen=True)
class Book:
    """Problems with right answers, to imitate."""

    pages: list[tuple[Task, list[str]]]

    @classmethod
    def written(cls, n: int, *path: Part) -> Book:
        right = lambda t: list(islice((g for g, hit in guesses(rng(*path, t.key), t) if hit), SHOWN))
        return cls([(t, right(t)) for t in problems("train", n, *path)])

    def examples(self, policy: Policy, *path: Part) -> list[Example]:
        random = rng(*path)
        return [episode(policy, random, *random.choice(self.pages)) for _ in range(EXAMPLES)]


# ---- the arms ----------------------------------------------------------------------------------------------------


def babble(task: Task, *, turns: int = TURNS) -> Play:
    """After a wrong answer a word without a meaning, another one in each episode, takes the place of the phrase."""
    from ratchet.search.try_again import try_again

    random = yield Chance()
    return (yield from try_again(task, turns=turns, again=str(random.randrange(61))))


@dataclass(frozen=True)
class Arm:
    """How an arm is reinforced. A turn's return is `decay` for each turn that the first success is away; a turn that says again
    what an earlier one said pays `repeat`."""

    turns: int
    decay: float = 1.0
    repeat: float = 0.0
    babbled: bool = False


Spent = dict[str, int]
"""Updates, and the tokens generated for them."""
DECAY, REPEAT = 0.7, 0.25
ARMS = {
    "single-turn": Arm(1),
    "multi-turn": Arm(TURNS),
    "ufo": Arm(TURNS, DECAY, REPEAT),
    "ufo without decay": Arm(TURNS, 1.0, REPEAT),
    "ufo, random token": Arm(TURNS, DECAY, REPEAT, babbled=True),
}


def played(policy: Policy, tasks: Sequence[Task], samples: int, verify: Verify, arm: Arm, *path: Part) -> list[Trace]:
    from ratchet.loop.turn import scheduler_for
    from ratchet.search.strategy import strategies

    strategy, knobs = (babble, {}) if arm.babbled else (strategies["try-again"], {"again": AGAIN})
    return scheduler_for(policy, verify).run(strategy, tasks, *path, samples=samples, knobs={"turns": arm.turns, **knobs})


def lesson(traces: Sequence[Trace], arm: Arm, policy: Policy) -> list[Example]:
    """What GRPO learns from episodes: each turn in its context, against the turns of its task that are as deep."""
    from ratchet.learn.credit import credits, rewards_of, verdict_reward
    from ratchet.learn.parts import group_normalised

    rewards = rewards_of(traces, verdict_reward)
    knobs = {"decay": arm.decay, "repeat": arm.repeat}
    return credits["per-turn"](traces, rewards, group_normalised, policy.tokenizer, **knobs)


def reinforced(policy: Policy, arm: Arm, sizes: Sizes, verify: Verify, *path: Part) -> Spent:
    """GRPO until so many tokens were generated."""
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner

    learner, method, spent = Learner(policy, lr=RATE, warmup=5), grpo(), 0
    while spent < sizes.tokens:
        own = (*path, "update", learner.taken)
        traces = played(policy, problems("train", sizes.tasks, *own), sizes.samples, verify, arm, *own)
        learner.update(lesson(traces, arm, policy), method)
        spent += sum(t.cost.sampled_tokens for t in traces)
    return {"updates": learner.taken, "tokens": spent}


def imitated(policy: Policy, book: Book, tokens: int, *path: Part) -> Spent:
    """Demonstrations for as many tokens as the other arms generate, at the rate at which priming ended."""
    from ratchet.learn.policy import imitation
    from ratchet.learn.train import Learner

    learner, method, spent = Learner(policy, lr=PRIMING_RATE / 10, muon=PRIMING_MUON / 10, warmup=5), imitation(), 0
    while spent < tokens:
        examples = book.examples(policy, *path, learner.taken)
        learner.update(examples, method)
        spent += sum(e.learned for e in examples)
    return {"updates": learner.taken, "tokens": spent}


# ---- what is measured --------------------------------------------------------------------------------------------


def said_before(answers: Sequence[str | None]) -> list[bool]:
    """Of each answer after the first, whether an earlier one was the same.

    >>> said_before(["1 + 2", "1 * 2", "1 + 2"])
    [False, True]
    """
    return [a in answers[:i] for i, a in enumerate(answers) if i]


def measured(traces: Sequence[Trace]) -> Result:
    """Of episodes of up to four turns: the share solved within each number of turns, the share of later answers that had been
    given before, the share of distinct answers that the paper's penalty looks at, and the mean turn of the first success (also
    with five for an episode without one)."""
    first = [next((i for i, v in enumerate(t.verdicts, start=1) if v.passed), 0) for t in traces]
    again = [said_before([v.answer for v in t.verdicts]) for t in traces]
    later, solved = sum(map(len, again)), [n for n in first if n]
    return {
        "success": [sum(0 < n <= k for n in first) / len(first) for k in range(1, TURNS + 1)],
        "repeated": sum(map(sum, again)) / later if later else 0.0,
        "penalty": sum(sum(a) / (len(a) + 1) for a in again) / len(again),
        "turns": sum(solved) / len(solved) if solved else float(TURNS + 1),
        "turns of all": sum(n or TURNS + 1 for n in first) / len(first),
    }


def independent(policy: Policy, held: Sequence[Task], draws: int, verify: Verify, *path: Part) -> list[float]:
    """Chance that one of 1 to 4 samples without a history is right."""
    from ratchet.loop.lab import sampled, solved

    counts = solved(sampled(policy, held, draws, verify, *path)).values()
    return [sum(pass_at_k(n, right, k) for n, right in counts) / len(counts) for k in range(1, TURNS + 1)]


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.learn.imitate import imitate
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare
    from ratchet.verify.pool import VerifierPool

    prepare(1)
    sizes = QUICK if quick else Sizes()
    book = Book.written(sizes.known, NAME, seed, "known")
    held = problems("heldout", sizes.held, NAME, seed, "held")
    policy = new_model(seed)
    imitate(policy, lambda i: book.examples(policy, NAME, seed, "prime", i), sizes.priming, PRIMING_RATE, PRIMING_MUON)
    start, found = snapshot(policy), dict[str, Result]()
    with VerifierPool() as verify:

        def looked(name: str, spent: Spent, heard: Arm = ARMS["ufo"]) -> None:
            episodes = played(policy, held, sizes.draws, verify, Arm(TURNS, babbled=heard.babbled), NAME, seed, "held", name)
            alone = independent(policy, held, sizes.draws, verify, NAME, seed, "alone", name)
            found[name] = {**spent, "alone": alone, **measured(episodes)}
            say(
                f"{name}: solved in one turn {found[name]['success'][0]:.1%}, in four {found[name]['success'][-1]:.1%}, "
                f"by four samples {alone[-1]:.1%}; repeated {found[name]['repeated']:.1%}, turn {found[name]['turns']:.2f}, {spent}"
            )

        looked("before", {})
        looked("sft", imitated(policy, book, sizes.tokens, NAME, seed, "sft"))
        for name, arm in ARMS.items():
            restore(policy, start)
            looked(name, reinforced(policy, arm, sizes, verify, NAME, seed, name), arm)
            if name == "ufo":
                looked("ufo, random token in tests", {}, Arm(TURNS, babbled=True))
    return {"arms": found}


# ---- what is claimed ---------------------------------------------------------------------------------------------


def ahead(r: Result, k: int, arm: str = "ufo") -> float:
    """Success within k turns, of an arm minus the single-turn model that is played with the same history."""
    return r["arms"][arm]["success"][k - 1] - r["arms"]["single-turn"]["success"][k - 1]


def beyond_samples(r: Result) -> float:
    """Success within four turns minus that of four samples of the single-turn model without a history."""
    return r["arms"]["ufo"]["success"][-1] - r["arms"]["single-turn"]["alone"][-1]


def repeats_less(r: Result) -> float:
    """The rate of repeated answers by that of the single-turn model; where that one repeats nothing, nothing is saved."""
    theirs = r["arms"]["single-turn"]["repeated"]
    return r["arms"]["ufo"]["repeated"] / theirs if theirs else 1.0


def turns_saved(r: Result) -> float:
    return r["arms"]["ufo without decay"]["turns"] - r["arms"]["ufo"]["turns"]


def imagined(outcome: Outcome, seed: int) -> Result:
    good = outcome is Outcome.HELD or (outcome is Outcome.UNRESOLVED and seed % 2 == 0)
    wide = seed / 1000
    arm = lambda one, four, repeated, turns: {
        "updates": 50,
        "success": [one, one + 0.5 * (four - one), one + 0.8 * (four - one), four],
        "alone": [one, one + 0.1, one + 0.15, one + 0.2],
        "repeated": repeated,
        "penalty": repeated / 3,
        "turns": turns,
        "turns of all": turns + 0.5,
    }
    usual = arm(0.5, 0.6, 0.5, 1.8)
    names = ("before", "sft", *ARMS, "ufo, random token in tests")
    ufo = arm(0.5 + wide, 0.8 + wide, 0.1 + wide, 1.5 + wide) if good else arm(0.4 + wide, 0.5 + wide, 0.6 + wide, 2.0 + wide)
    return {"arms": {**dict.fromkeys(names, usual), "ufo": ufo}}


def figures(results: Sequence[Result]) -> list[str]:
    names = list(results[0]["arms"])
    at = lambda name, what, k: over_seeds(lambda r: r["arms"][name][what][k - 1])(results)
    curve = lambda label, name, what: Series(label, [estimated(k, at(name, what, k)) for k in range(1, TURNS + 1)])
    chart = lambda title, drawn: line_chart(title, drawn, whole("answers"), percent("solved", (0.0, 1.0)))
    spread = lambda name, what: estimated(names.index(name), over_seeds(lambda r: r["arms"][name][what])(results))
    numbered = ", ".join(f"{i} {name}" for i, name in enumerate(names))
    return [
        chart(
            "Solved within so many turns",
            [
                *(curve(name, name, "success") for name in names if "random" not in name),
                curve("single-turn, independent samples", "single-turn", "alone"),
            ],
        ),
        chart(
            "A word without a meaning in the phrase's place",
            [curve(name, name, "success") for name in names if name.startswith("ufo") and "decay" not in name],
        ),
        line_chart(
            f"Share of later answers that had been given before ({numbered})",
            [Series("repeated", [spread(name, "repeated") for name in names])],
            whole("arm"),
            percent("repeated", (0.0, 1.0)),
        ),
    ]


register(
    Study(
        name=NAME,
        title="A model that hears nothing but that it should try again learns to use its turns, and keeps its first answer as good",
        paper='Liu et al. 2025, A Simple "Try Again" Can Elicit Multi-Turn LLM Reasoning, arXiv 2507.14295',
        claims=(
            Claim(
                "turns",
                "At equal generated tokens UFO solves at least 8 points more within four turns than single-turn GRPO played with the same "
                "history, no less than four samples of it without a history, and its first answer is at most 1.5 points worse.",
                (
                    Check("solved within four turns: UFO minus single-turn GRPO", over_seeds(lambda r: ahead(r, TURNS)), 0.08),
                    Check("solved by the first answer: UFO minus single-turn GRPO", over_seeds(lambda r: ahead(r, 1)), -0.015),
                    Check(
                        "solved within four turns: UFO minus four independent samples of single-turn GRPO",
                        over_seeds(beyond_samples),
                        0.0,
                    ),
                ),
            ),
            Claim(
                "repeats",
                "Of its later answers at most half as many had been given before.",
                (Check("rate of repeated answers: UFO by single-turn GRPO", over_seeds(repeats_less), most=0.5),),
            ),
            Claim(
                "sooner",
                "With the decay the first success comes at an earlier turn than without.",
                (Check("mean turn of the first success: without the decay minus with it", over_seeds(turns_saved), 0.0),),
            ),
        ),
        arms={
            "before": "the primed model that all arms start from",
            "sft": "control: right answers to known problems are imitated for as many tokens as the others generate",
            "single-turn": "GRPO on single answers",
            "multi-turn": "GRPO on episodes of up to four turns, without decay and penalty",
            "ufo": f"the same, a success is worth {DECAY} for each turn before it, and a repeated answer costs {REPEAT}",
            "ufo without decay": "the penalty alone",
            "ufo, random token": "placebo for the phrase, in training and in tests: a number drawn anew for each episode",
            "ufo, random token in tests": "placebo for the phrase, in tests alone, for the model of ufo",
        },
        tasks="Countdown with three numbers of 1 to 12 in order, each used once, and targets of 5 to 40; an answer is an expression alone",
        metric="share of held-out problems solved within one to four turns, of episodes at temperature 1; the share of later answers that had "
        "been given before in their episode; the mean turn of the first success, among episodes that have one",
        budget="5 to 8 minutes of one thread a seed, by what else the machine does",
        departures="GRPO in place of PPO with a critic, and credit for each turn: a turn has the advantage of its return among the turns of its "
        "task that are as deep, so that a wrong first answer is not praised for a later success as much as that success. The penalty is taken "
        "off the turn that repeats, as much for each repetition, where the paper takes 1 - unique / total off the whole episode; the "
        "two are the same in sum for an episode of four turns. The phrase is three words. An episode ends with the first right answer, said by "
        "the verifier, in training and in tests. The base was primed to answer after random guesses with the phrase behind each: it knows the form "
        "of several turns, but since guesses are right or wrong by chance, it was not shown that what failed is not to be said again. Answers "
        "imitated have the larger part of a sum or product first, so that an answer is one text, and a repeated answer is the same text. A "
        "single-turn arm has more updates than the others, of fewer tokens. The arm of imitation learns from as many tokens as the others "
        "generate, of the problems that priming draws from. Turns to success are those of episodes with a success.",
        scale="A model of 0.1 million weights that answers without a word of thought: a turn is a guess, not a chain of reasoning, and to use a "
        "turn is not to say again what failed. Whether a model revises its reasoning is not seen here.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
