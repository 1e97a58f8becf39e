"""Adaptive inference: can a model say, of its own answer or of half of one, whether starting over would give a better one?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, permutations, product
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ratchet.core.seeds import Part, rng, seed
from ratchet.core.types import Completion, Draw, Split, Task, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.measure.ranking import auc, auc_within
from ratchet.report.chart import Axis, Series, estimated, line_chart, number, percent
from ratchet.studies.study import Check, Claim, Outcome, Result, Say, Study, over_seeds, register

if TYPE_CHECKING:
    from ratchet.learn.batch import Example
    from ratchet.learn.critic import Judged
    from ratchet.models.engine import Policy

CELLS, HALF = 16, 8
GIVEN = (5, 6)  # cells of a puzzle
ASK, YES, NO = "?", "yes", "no"
OWN, OFF, HALVES = "judge", "judge off-policy", "judge of halves"
OTHERS = ("mean log-probability", "majority")
ONE = "one sample"
LAYERS = 2
GOAL = 0.5  # of the policy's samples on validation puzzles that are to be right: the plan asks for 40 to 70 %
LOOKS = 8
SAMPLES = 6  # of each puzzle that the judges learn from
BATCH, JUDGED, RATE, JUDGE_RATE = 64, 32, 4e-3, 2e-3
N = 16
ENOUGH = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
FEW = 4.0  # samples that an adaptive choice may take on average
COOL, HOT = 0.6, 1.2
Grid = tuple[int, ...]


@dataclass(frozen=True)
class Size:
    """Rounds of the policy's imitation at most, and updates of one; updates of each judge; puzzles that the policy and the judges
    learn from, of the validation split that says when the policy has learned enough, and of the held-out split; what adaptive sampling believes."""

    rounds: int
    imitation: int
    judging: int
    known: int
    judged: int
    looked: int
    held: int
    thresholds: tuple[float, ...] = ENOUGH


FULL = Size(12, 150, 1_500, 6_000, 2_000, 50, 200)
QUICK = Size(2, 2, 2, 12, 4, 2, 3, ENOUGH[:2])
DEPARTURES = (
    "The paper trains one model to answer and to judge; here the judge is a copy of the policy with one new block on top, and the policy "
    "goes on as it was, so that the labels stay those of its own samples. A model of few blocks cannot compare what it wrote with what "
    "it expected without one more. "
    "A sample's label is whether it wins or ties against another of its puzzle's, drawn anew at each visit; with a verifier in "
    "the place of a reward model, two wrong ones tie. "
    "The policy learns until half of its samples on validation puzzles are right, in rounds whose rate falls to a tenth; its early copy, "
    "whose samples are the off-policy ones, is from half of the rounds. "
    "The plan's temperature annealing has no numbers: it is linear over the 16 samples. "
    "Three seeds where the plan has five, for time."
)


# ---- the puzzle --------------------------------------------------------------------------------------------------


@cache
def grids() -> tuple[Grid, ...]:
    """All 288 squares of four by four in which no row, column or quarter holds a number twice, row by row."""
    rows = list(permutations(range(1, 5)))
    bands = [(*a, *b) for a, b in product(rows, repeat=2) if {*a[:2], *b[:2]} == {*a[2:], *b[2:]} == {1, 2, 3, 4}]
    return tuple((*a, *b) for a, b in product(bands, repeat=2) if all(len({*a[c::4], *b[c::4]}) == 4 for c in range(4)))


def solutions(given: Grid) -> list[Grid]:
    return [grid for grid in grids() if all(asked in (0, cell) for asked, cell in zip(given, grid, strict=True))]


def written(grid: Grid) -> str:
    return " ".join(str(cell) if cell else "_" for cell in grid)


def puzzle(random: Random) -> Task:
    grid, known = random.choice(grids()), set(random.sample(range(CELLS), random.choice(GIVEN)))
    given = tuple(cell if place in known else 0 for place, cell in enumerate(grid))
    return Task("small-sudoku", f"{written(given)} :", None, "small-sudoku", {"given": given})


def puzzles(split: Split, n: int, *path: Part) -> list[Task]:
    """So many different puzzles of the split."""
    found: dict[str, Task] = {}
    random = rng("adaptive-inference", *path)
    while len(found) < n:
        task = puzzle(random)
        if task.split == split:
            found.setdefault(task.key, task)
    return list(found.values())


@cache
def texts() -> dict[str, Grid]:
    return {written(grid): grid for grid in grids()}


def right(task: Task, text: str) -> bool:
    grid = texts().get(text)
    return grid is not None and all(asked in (0, cell) for asked, cell in zip(task.facts["given"], grid, strict=True))


def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [Verdict(Judgement.PASS if right(task, text) else Judgement.FAIL) for task, text in pairs]


# ---- the policy and its judge ------------------------------------------------------------------------------------


def new(run_seed: int) -> Policy:
    """Random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer([":", ASK, YES, NO, "_", *map(str, range(1, 5))])
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=LAYERS, heads=4, kv_heads=4, head_width=16, hidden=160, max_tokens=40
    )
    return new_policy(shape, tokenizer, run_seed, CELLS + 1, 512)


def taught(policy: Policy, tasks: Sequence[Task], looked: Sequence[Task], size: Size, seed_: int) -> tuple[Policy, float]:
    """Imitation of right solutions, each one of all that its puzzle has, until enough samples are right; a copy of the policy from
    half-way, and the share of right samples at the end."""
    found = [right_of(policy, looked, seed_)]
    copies = [copy_of(policy)]
    while found[-1] < GOAL and len(found) <= size.rounds:
        imitated(policy, tasks, size.imitation, "adaptive-inference", seed_, "prime", len(found))
        found.append(right_of(policy, looked, seed_))
        copies.append(copy_of(policy))
    return copies[len(copies) // 2], found[-1]


def right_of(policy: Policy, tasks: Sequence[Task], seed_: int) -> float:
    samples = drawn(policy, tasks, LOOKS, "adaptive-inference", seed_, "look")
    return fmean(right(t, c.text) for t, own in zip(tasks, samples, strict=True) for c in own)


def copy_of(policy: Policy) -> Policy:
    other = new(0)
    other.model.load_state_dict(policy.model.state_dict())
    return other


def imitated(policy: Policy, tasks: Sequence[Task], updates: int, *path: Part) -> None:
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id

    def examples(update: int) -> list[Example]:
        random = rng(*path, update)
        return [
            Example(policy.encode(t.prompt), (*encode(written(random.choice(solutions(t.facts["given"])))), end))
            for t in random.choices(tasks, k=BATCH)
        ]

    imitate(policy, examples, updates, RATE)


@dataclass(frozen=True)
class Lesson:
    """A sample, or its first half, as the judge reads it, and the chance that another sample of its puzzle is no better."""

    judged: Judged
    chance: float


def lessons_of(policy: Policy, tasks: Sequence[Task], *path: Part) -> list[Lesson]:
    """Whole samples and their halves, with the share of the puzzle's other samples than which the whole is at least as good."""
    from ratchet.learn.critic import Judged

    found: list[Lesson] = []
    ask = tuple(policy.tokenizer.encode(ASK))
    for task, own in zip(tasks, drawn(policy, tasks, SAMPLES, *path), strict=True):
        good = [right(task, c.text) for c in own]
        for c, ok in zip(own, good, strict=True):
            chance = 1.0 if ok else (good.count(False) - 1) / (len(own) - 1)
            body = tuple(t for t in c.tokens if t not in policy.tokenizer.end)
            found += [Lesson(Judged(c.prefix, (*part, *ask)), chance) for part in (body, body[:HALF])]
    return found


def drawn(policy: Policy, tasks: Sequence[Task], samples: int, *path: Part) -> list[list[Completion]]:
    return policy.sample(
        [Draw(t.prompt, n=samples) for t in tasks], [[seed(*path, t.key, i) for i in range(samples)] for t in tasks]
    )


def judge_from(policy: Policy, lessons: Sequence[Lesson], updates: int, *path: Part) -> Policy:
    """A copy of the policy with one block more, which learns to say whether to start over: `no` after a sample with its chance."""
    from ratchet.learn.critic import teach_to_say
    from ratchet.models.critic import deepened
    from ratchet.models.engine import LocalEngine

    judge = LocalEngine(deepened(policy.model, 1), policy.tokenizer, 1)
    [yes], [no] = policy.tokenizer.encode(YES), policy.tokenizer.encode(NO)

    def batch(update: int) -> list[Judged]:
        random = rng(*path, update)
        return [replace(j.judged, outcome=float(random.random() < j.chance)) for j in random.choices(lessons, k=JUDGED)]

    teach_to_say(judge, batch, no, yes, updates, JUDGE_RATE)
    return judge


# ---- what the judge is good for ----------------------------------------------------------------------------------


def run(seed_: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare

    prepare(1)
    size = QUICK if quick else FULL
    train, held = puzzles("train", size.known, seed_, "train"), puzzles("heldout", size.held, seed_, "held")
    policy = new(seed_)
    early, share = taught(policy, train, puzzles("validation", size.looked, seed_, "looked"), size, seed_)
    say(f"the policy is right in {share:.1%} of its samples on validation puzzles")
    judges: dict[str, Policy] = {}
    for name, sampler in ((OWN, policy), (OFF, early)):
        lessons = lessons_of(sampler, train[: size.judged], "adaptive-inference", seed_, "lessons")
        judges[name] = judge_from(policy, lessons, size.judging, "adaptive-inference", seed_, "judge")
        say(
            f"a judge has learned from {len(lessons):,} texts, whose mean chance of none better is {fmean(j.chance for j in lessons):.2f}"
        )
    result = {"judged": compared(policy, judges, held, seed_)} | adapted(policy, judges[OWN], held, size.thresholds, seed_)
    say(", ".join(f"{arm} {share:.1%}" for arm, share in result["judged"]["solved"].items()) + f", pruned {result['pruned']:.1%}")
    return result


def chances(judge: Policy, samples: Sequence[Sequence[Completion]], cells: int = CELLS) -> list[list[float]]:
    """What a judge says of each sample, or of its first cells."""
    from ratchet.models.self_evaluation import self_evaluation

    parts = [replace(c, tokens=c.tokens[:cells]) for own in samples for c in own]
    rest = iter(self_evaluation(judge, ASK, YES, NO)(Task("small-sudoku", "", None, ""), parts, verify))
    return [[next(rest) for _ in own] for own in samples]


def compared(policy: Policy, judges: dict[str, Policy], held: Sequence[Task], seed_: int) -> dict[str, Any]:
    """What each way to choose among the same samples of the held-out puzzles makes of them."""
    samples = drawn(policy, held, N, "adaptive-inference", seed_, "held")
    good = [[right(t, c.text) for c in own] for t, own in zip(held, samples, strict=True)]
    votes = [Counter(c.text for c in own) for own in samples]
    scores = {name: chances(judge, samples) for name, judge in judges.items()} | {
        "mean log-probability": [[fmean(c.logprobs) for c in own] for own in samples],
        "majority": [[float(count[c.text]) for c in own] for count, own in zip(votes, samples, strict=True)],
    }
    half = chances(judges[OWN], samples, HALF)
    pick = lambda rows, n: fmean(ok[max(range(n), key=lambda i: row[i])] for row, ok in zip(rows, good, strict=True))
    every, owners = [ok for own in good for ok in own], [i for i, own in enumerate(good) for _ in own]
    ranks = {name: [x for row in rows for x in row] for name, rows in scores.items()} | {HALVES: [x for row in half for x in row]}
    return {
        "solved": {ONE: fmean(every), f"{OWN}, {N // 2}": pick(scores[OWN], N // 2)}
        | {f"{name}, {N}": pick(rows, N) for name, rows in scores.items()}
        | {f"any, {N}": fmean(map(any, good))},
        "within": {name: known(auc_within(flat, every, owners)) for name, flat in ranks.items()},
        "pooled": {name: known(auc(flat, every)) for name, flat in ranks.items()},
    }


def known(area: float) -> float:
    """One half where one of the two kinds is missing."""
    return area if area == area else 0.5


def adapted(policy: Policy, judge: Policy, held: Sequence[Task], thresholds: Sequence[float], seed_: int) -> dict[str, Any]:
    """Adaptive sampling at every threshold, at one temperature and annealed, and pruning at half length."""
    from ratchet.models.scheduler import Scheduler
    from ratchet.models.self_evaluation import self_evaluation
    from ratchet.search.strategy import SCORERS, strategies
    from ratchet.search.tools import TOOLS

    scheduler = Scheduler(policy, verify, SCORERS | {"self-evaluation": self_evaluation(judge, ASK, YES, NO)}, TOOLS)

    def point(strategy: str, **knobs: Any) -> list[float]:
        traces = scheduler.run(strategies[strategy], held, "adaptive-inference", seed_, strategy, knobs=knobs)
        solved = sum(t.verdict is not None and t.verdict.passed for t in traces)
        return [sum(t.cost.draws for t in traces) / len(held), solved / len(held)]

    warm = {"temperature": COOL, "hottest": HOT}
    return {
        "fixed": [point("adaptive-sampling", n=N, enough=e) for e in thresholds],
        "annealed": [point("adaptive-sampling", n=N, enough=e, **warm) for e in thresholds],
        "pruned": point("prune", n=N, at=HALF)[1],
    }


# ---- what is claimed ---------------------------------------------------------------------------------------------


def solved_with(points: Sequence[Sequence[float]], samples: float) -> float:
    """What a curve over thresholds solves at so many mean samples, interpolated; at its ends what its ends do."""
    points = sorted(points)
    if samples <= points[0][0]:
        return points[0][1]
    for (x, below), (y, above) in pairwise(points):
        if samples <= y:
            return below + (above - below) * (samples - x) / (y - x)
    return points[-1][1]


def gain(result: Result) -> float:
    return result["judged"]["solved"][f"{OWN}, {N}"] - result["judged"]["solved"][ONE]


def kept(result: Result) -> float:
    """The share of the gain of all samples that FEW of them on average keep; 0 where there is no gain to keep."""
    found = solved_with(result["fixed"], FEW) - result["judged"]["solved"][ONE]
    return found / gain(result) if gain(result) > 0 else 0.0


def imagined(outcome: Outcome, seed: int) -> Result:
    off = (seed - 1) * (0.005 if outcome is not Outcome.UNRESOLVED else 0.05)
    within, best, few, pruned, warmer = {
        Outcome.HELD: (0.85, 0.8, 0.78, 0.8, 0.03),
        Outcome.FAILED: (0.6, 0.55, 0.5, 0.45, -0.03),
        Outcome.UNRESOLVED: (0.7, 0.6, 0.57, 0.58, 0.0),
    }[outcome]
    solved = {ONE: 0.5, f"{OWN}, {N}": best + off, f"{OWN}, {N // 2}": 0.6} | {f"{name}, {N}": 0.55 for name in (OFF, *OTHERS)}
    curves = {"fixed": few + off / 5, "annealed": few + warmer - off / 5}
    return {
        "judged": {
            "solved": solved | {f"any, {N}": 0.95},
            "within": {OWN: within + off} | dict.fromkeys((OFF, *OTHERS, HALVES), 0.6),
            "pooled": dict.fromkeys((OWN, OFF, *OTHERS, HALVES), 0.7),
        },
        "pruned": pruned,
    } | {name: [[1.2, 0.5], [FEW, share], [9.0, share]] for name, share in curves.items()}


def figures(results: Sequence[Result]) -> list[str]:
    def bars(title: str, names: Sequence[str], value: Callable[[Result, str], float], y: Axis) -> str:
        points = [estimated(i, over_seeds(lambda r, name=name: value(r, name))(results)) for i, name in enumerate(names)]
        return line_chart(title, [Series(title, points)], Axis("judge", str, str, names=dict(enumerate(names))), y)

    def curve(kind: str) -> Series:
        across = [over_seeds(lambda r, i=i: r[kind][i][0])(results).value for i in range(len(results[0][kind]))]
        return Series(kind, [estimated(x, over_seeds(lambda r, i=i: r[kind][i][1])(results)) for i, x in enumerate(across)])

    share, area = percent("share of the puzzles"), number("area under the curve", (0.4, 1.0))
    names = list(results[0]["judged"]["within"])
    return [
        bars("Ranks samples of one puzzle", names, lambda r, name: r["judged"]["within"][name], area),
        bars("Ranks samples of all puzzles", names, lambda r, name: r["judged"]["pooled"][name], area),
        bars("Solved", list(results[0]["judged"]["solved"]), lambda r, arm: r["judged"]["solved"][arm], share),
        line_chart(
            "Samples until one is believed", [curve("fixed"), curve("annealed")], number("mean samples of a puzzle"), share
        ),
    ]


register(
    Study(
        name="adaptive-inference",
        title="A model that says whether to start over: choosing, stopping and pruning by its own word",
        paper="Manvi et al. 2024, Adaptive Inference-Time Compute: LLMs Can Predict if They Can Do Better, Even Mid-Generation, arXiv 2410.02725",
        claims=(
            Claim(
                "ranks",
                "Of two samples of one puzzle, a right and a wrong one, the judge believes more in the right one.",
                (Check("ranking within a puzzle", over_seeds(lambda r: r["judged"]["within"][OWN]), 0.7),),
            ),
            Claim(
                "best-of-16",
                "Of 16 samples the one that it believes in most is right at least 10 points more often than one sample.",
                (Check("solved: best of 16 minus one sample", over_seeds(gain), 0.1),),
            ),
            Claim(
                "fewer-samples",
                "Sampling until one is believed keeps 70 % of that gain with 4 samples on average.",
                (Check("share of the gain with 4 samples", over_seeds(kept), 0.7),),
            ),
            Claim(
                "prunes-at-half",
                "Without the half of the samples that it believes in least at half length, at most 2 points are lost.",
                (
                    Check(
                        "solved: best of 16 minus best of those that were not pruned",
                        over_seeds(lambda r: r["judged"]["solved"][f"{OWN}, {N}"] - r["pruned"]),
                        most=0.02,
                    ),
                ),
            ),
            Claim(
                "annealing",
                "A temperature that rises from sample to sample solves no less with as many samples.",
                (
                    Check(
                        "solved with 4 samples: annealed minus not",
                        over_seeds(lambda r: solved_with(r["annealed"], FEW) - solved_with(r["fixed"], FEW)),
                        0.0,
                    ),
                ),
            ),
        ),
        arms={
            ONE: "placebo: one of the 16 samples by chance",
            OWN: "a copy of the policy with one block more, taught to answer whether starting over would be better, on the policy's own samples "
            "and their halves",
            OFF: "cost-matched control: the same judge, taught on samples of an early copy of the policy",
            "mean log-probability, majority": "untrained choices among the same 16 samples; majority is over whole solutions",
            f"any, {N}": "bound: whether one of them is right",
            "fixed, annealed": f"samples one by one until one is believed more than a threshold; temperature 1, or from {COOL} to {HOT}",
        },
        tasks=f"Sudoku of four by four with {GIVEN[0]} or {GIVEN[-1]} numbers given, most of which have several solutions; other puzzles "
        "for learning than for measuring",
        metric="chance that a right sample of a puzzle is believed more than a wrong one of it; share of puzzles solved",
        budget="not measured yet: no seed has been run in full",
        departures=DEPARTURES,
        scale="One family of small puzzles, a model of 0.1 million parameters, a verifier's verdict in the place of a reward model.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=3,
    )
)
