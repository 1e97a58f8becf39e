"""Adaptive inference: can a model say, of its own answer or of half of one, whether starting over would give a better one?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
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

FAMILY = "traps"
SIDE, TRAPS = 8, 20  # of the board, and on it
COLUMNS = "abcdefgh"
PLACES = [f"{column}{row}" for column in COLUMNS for row in range(1, SIDE + 1)]
NEAREST, FARTHEST, STEPS = 3, 7, 9  # from start to goal, and the most steps of a walk
HALF = 3  # steps: a walk that arrives takes five or six in the mean
SLIPS = 0.22  # of the steps of the walks that the policy learns from
ASK, YES, NO = "?", "yes", "no"
OWN, OFF, HALVES = "judge", "judge off-policy", "judge of halves"
OTHERS = ("mean log-probability", "majority", "shortest")
ONE = "one sample"
LAYERS = 2
SAMPLES = 8  # of each puzzle that the judges learn from
BATCH, RATE, JUDGE_RATE = 64, 4e-3, 2e-3
N = 16
ENOUGH = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
FEW = 4.0  # samples that an adaptive choice may take on average
HEATS = {"fixed": (1.0, 1.0), "annealed": (0.6, 1.2), "cool": (0.6, 0.6)}  # temperatures of the first and of the last sample


@dataclass(frozen=True)
class Size:
    """Updates of the policy until its early copy is taken, and after that; updates of each judge; puzzles at most that the policy and
    the judges learn from, and of the validation and held-out splits; what adaptive sampling believes."""

    early: int
    late: int
    judging: int
    known: int
    held: int
    thresholds: tuple[float, ...] = ENOUGH


FULL = Size(200, 400, 1_200, 2_000, 200)
QUICK = Size(2, 2, 2, 4, 3, ENOUGH[:2])
DEPARTURES = (
    "The paper trains one model to answer and to judge; here the judge is a copy of the policy with one new block on top, and the policy "
    "goes on as it was, so that the labels stay those of its own samples. "
    "A sample's label is whether it wins or ties against another of its puzzle's, drawn anew at each visit; with a verifier in "
    "the place of a reward model, two wrong ones tie. "
    "The policy is wrong at times because the walks that it imitates slip at times. So its slips are steps to which it gives little chance "
    "itself, and the mean log-probability is a stronger rival here than it need be elsewhere. "
    "The halves are the first three steps, of walks of about six. Walks that have ended by then are judged whole. "
    "The plan's temperature annealing has no numbers: it is linear over the 16 samples. "
    "Why walks round traps: in pilots a judge of this size learned nothing of small sudoku in 1,500 updates (ranking within a puzzle 0.48), "
    "and little of walks on a line or of coloured rows, where a fault shows only when two words are compared (0.57 to 0.69 after 600 to "
    "1,000 updates). Here two thirds of the wrong samples of a pilot show their fault in one word, the name of a trap; the others do not "
    "arrive, or make a step that there is not. So what holds here holds where faults are that easy to see."
)


# ---- the walks ---------------------------------------------------------------------------------------------------


def near(place: str) -> list[str]:
    """The places beside one on the board."""
    column, row = COLUMNS.index(place[0]), int(place[1])
    beside = [(column + 1, row), (column - 1, row), (column, row + 1), (column, row - 1)]
    return [f"{COLUMNS[x]}{y}" for x, y in beside if 0 <= x < SIDE and 1 <= y <= SIDE]


@dataclass(frozen=True)
class Board:
    """Which places are traps; `far[goal][place]` is how many steps it is to the goal, round the traps."""

    traps: frozenset[str]
    far: dict[str, dict[str, int]]


def board(*path: Part) -> Board:
    """Traps at random, such that one can go from every other place to every other."""
    random = rng("adaptive-inference", *path, "board")
    while True:
        traps = frozenset(random.sample(PLACES, TRAPS))
        free = [place for place in PLACES if place not in traps]
        far = {goal: steps_to(goal, traps) for goal in free}
        if all(set(free) <= set(steps) for steps in far.values()):
            return Board(traps, far)


def steps_to(goal: str, traps: frozenset[str]) -> dict[str, int]:
    """How many steps it is to the goal, of every place from which one can get there; on the way are no traps."""
    found, edge = {goal: 0}, [goal]
    for here in edge:
        for there in near(here):
            if there not in found:
                found[there] = found[here] + 1
                edge += [there] * (there not in traps)
    return found


def walked(where: Board, start: str, goal: str, random: Random, slips: float) -> list[str]:
    """The places that somebody comes to who takes the shortest way round the traps, and with a chance steps anywhere instead; until
    the goal is reached, or there are no more steps."""
    walk, here, far = list[str](), start, where.far[goal]
    while here != goal and len(walk) < STEPS:
        ahead = [place for place in near(here) if place not in where.traps]
        least = min((far[place] for place in ahead), default=0)
        shortest = [place for place in ahead if far[place] == least]
        here = random.choice(near(here) if random.random() < slips or not shortest else shortest)
        walk.append(here)
    return walk


def puzzles(where: Board, split: Split) -> list[Task]:
    """All of a board and of one split, the goal neither at hand nor too far, in an order by chance."""
    found = [
        Task(FAMILY, f"{start} > {goal} :", None, FAMILY, {"start": start, "goal": goal, "traps": where.traps})
        for goal, far in where.far.items()
        for start in PLACES
        if start not in where.traps and NEAREST <= far[start] <= FARTHEST
    ]
    rng(FAMILY, "order").shuffle(found)
    return [task for task in found if task.split == split]


def right(task: Task, text: str) -> bool:
    """Every step is to a place beside, none into a trap, none too many, and the last to the goal."""
    walk = [task.facts["start"], *text.split()]
    legal = len(walk) <= STEPS + 1 and all(
        there in near(here) and there not in task.facts["traps"] for here, there in pairwise(walk)
    )
    return legal and walk[-1] == task.facts["goal"]


def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [Verdict(Judgement.PASS if right(task, text) else Judgement.FAIL) for task, text in pairs]


# ---- the policy and its judge ------------------------------------------------------------------------------------


def new(run_seed: int) -> Policy:
    """Random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer([":", ASK, YES, NO, ">", *PLACES])
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=LAYERS, heads=4, kv_heads=4, head_width=16, hidden=160, max_tokens=40
    )
    return new_policy(shape, tokenizer, run_seed, STEPS + 1, 512)


def taught(policy: Policy, where: Board, tasks: Sequence[Task], size: Size, seed_: int) -> Policy:
    """Imitation of walks, a new one of its puzzle at each visit; a copy of the policy from early on."""
    imitated(policy, where, tasks, size.early, "adaptive-inference", seed_, "early")
    early = copy_of(policy)
    imitated(policy, where, tasks, size.late, "adaptive-inference", seed_, "late")
    return early


def copy_of(policy: Policy) -> Policy:
    other = new(0)
    other.model.load_state_dict(policy.model.state_dict())
    return other


def imitated(policy: Policy, where: Board, tasks: Sequence[Task], updates: int, *path: Part) -> None:
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id

    def examples(update: int) -> list[Example]:
        random = rng(*path, update)
        return [
            Example(policy.encode(t.prompt), (*encode(" ".join(walk)), end))
            for t in random.choices(tasks, k=BATCH)
            for walk in [walked(where, t.facts["start"], t.facts["goal"], random, SLIPS)]
        ]

    imitate(policy, examples, updates, RATE)


@dataclass(frozen=True)
class Lesson:
    """A sample, or its first half, as the judge reads it, and the chance that another sample of its puzzle is no better."""

    judged: Judged
    chance: float


def lessons_of(policy: Policy, tasks: Sequence[Task], *path: Part) -> list[Lesson]:
    """Whole samples and, of those that are longer, their halves, with the share of the puzzle's other samples than which the whole is
    at least as good."""
    from ratchet.learn.critic import Judged

    found: list[Lesson] = []
    ask = tuple(policy.tokenizer.encode(ASK))
    for task, own in zip(tasks, drawn(policy, tasks, SAMPLES, *path), strict=True):
        good = [right(task, c.text) for c in own]
        for c, ok in zip(own, good, strict=True):
            chance = 1.0 if ok else (good.count(False) - 1) / (len(own) - 1)
            body = tuple(t for t in c.tokens if t not in policy.tokenizer.end)
            found += [Lesson(Judged(c.prefix, (*part, *ask)), chance) for part in dict.fromkeys((body, body[:HALF]))]
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
        return [replace(j.judged, outcome=float(random.random() < j.chance)) for j in random.choices(lessons, k=BATCH)]

    teach_to_say(judge, batch, no, yes, updates, JUDGE_RATE)
    return judge


# ---- what the judge is good for ----------------------------------------------------------------------------------


def run(seed_: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare

    prepare(1)
    size = QUICK if quick else FULL
    where = board(seed_)
    train, held = puzzles(where, "train")[: size.known], puzzles(where, "heldout")[: size.held]
    policy = new(seed_)
    early = taught(policy, where, train, size, seed_)
    judges: dict[str, Policy] = {}
    for name, sampler in ((OWN, policy), (OFF, early)):
        lessons = lessons_of(sampler, train, "adaptive-inference", seed_, "lessons")
        judges[name] = judge_from(policy, lessons, size.judging, "adaptive-inference", seed_, "judge")
        say(
            f"a judge has learned from {len(lessons):,} texts, whose mean chance of none better is {fmean(j.chance for j in lessons):.2f}"
        )
    result = {"judged": compared(policy, judges, held, seed_)} | adapted(policy, judges[OWN], held, size.thresholds, seed_)
    say(", ".join(f"{arm} {share:.1%}" for arm, share in result["judged"]["solved"].items()) + f", pruned {result['pruned']:.1%}")
    return result


def chances(judge: Policy, samples: Sequence[Sequence[Completion]], places: int | None = None) -> list[list[float]]:
    """What a judge says of each sample, or of its first places."""
    from ratchet.models.self_evaluation import self_evaluation

    parts = [replace(c, tokens=c.tokens[:places]) for own in samples for c in own]
    rest = iter(self_evaluation(judge, ASK, YES, NO)(Task(FAMILY, "", None, ""), parts, verify))
    return [[next(rest) for _ in own] for own in samples]


def compared(policy: Policy, judges: dict[str, Policy], held: Sequence[Task], seed_: int) -> dict[str, Any]:
    """What each way to choose among the same samples of the held-out puzzles makes of them."""
    samples = drawn(policy, held, N, "adaptive-inference", seed_, "held")
    good = [[right(t, c.text) for c in own] for t, own in zip(held, samples, strict=True)]
    votes = [Counter(c.text for c in own) for own in samples]
    scores = {name: chances(judge, samples) for name, judge in judges.items()} | {
        "mean log-probability": [[fmean(c.logprobs) for c in own] for own in samples],
        "majority": [[float(count[c.text]) for c in own] for count, own in zip(votes, samples, strict=True)],
        "shortest": [[-float(len(c.tokens)) for c in own] for own in samples],
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
    """Adaptive sampling at every threshold and heat, and pruning at half length."""
    from ratchet.models.scheduler import Scheduler
    from ratchet.models.self_evaluation import self_evaluation
    from ratchet.search.strategy import SCORERS, strategies
    from ratchet.search.tools import TOOLS

    scheduler = Scheduler(policy, verify, SCORERS | {"self-evaluation": self_evaluation(judge, ASK, YES, NO)}, TOOLS)

    def point(strategy: str, **knobs: Any) -> list[float]:
        traces = scheduler.run(strategies[strategy], held, "adaptive-inference", seed_, strategy, knobs=knobs)
        solved = sum(t.verdict is not None and t.verdict.passed for t in traces)
        return [sum(t.cost.draws for t in traces) / len(held), solved / len(held)]

    curves = {
        kind: [point("adaptive-sampling", n=N, enough=e, temperature=first, hottest=last) for e in thresholds]
        for kind, (first, last) in HEATS.items()
    }
    return curves | {"pruned": point("prune", n=N, at=HALF)[1]}


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
    curves = {"fixed": few + off / 5, "annealed": few + warmer - off / 5, "cool": few}
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
        line_chart("Samples until one is believed", [curve(kind) for kind in HEATS], number("mean samples of a puzzle"), share),
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
            "mean log-probability, majority, shortest": "untrained choices among the same 16 samples; majority is over whole walks",
            f"any, {N}": "bound: whether one of them is right",
            "fixed, annealed, cool": "samples one by one until one is believed more than a threshold; temperature 1, from 0.6 to 1.2, or 0.6",
        },
        tasks=f"Ways on a board of {SIDE} by {SIDE} places, from a start to a goal that is {NEAREST} to {FARTHEST} steps away, in at most "
        f"{STEPS} steps and round {TRAPS} traps, which stand elsewhere for each seed and are not in the prompt; other puzzles for learning "
        "than for measuring",
        metric="chance that a right sample of a puzzle is believed more than a wrong one of it; share of puzzles solved",
        budget="in a pilot 4 processor minutes a seed on a busy machine: half a minute for the policy, one and a half for each judge",
        departures=DEPARTURES,
        scale="One family of small puzzles whose faults can be seen in single words, a model of 0.1 million parameters, a verifier's "
        "verdict in the place of a reward model.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
