"""DUMP: does a bandit over difficulties that follows the advantages learn sooner than drawing all of them alike?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Estimate, Split, Task, Verdict
from ratchet.core.types import Outcome as Judged
from ratchet.report.chart import Series, estimated, line_chart, percent, whole
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register

if TYPE_CHECKING:
    from ratchet.learn.curricula import Curriculum, Shares
    from ratchet.models.engine import Policy

NAME = "dump"
LEVELS = tuple(map(str, range(1, 7)))  # steps of a chain
NOTHING = "nothing"  # the source that cannot be solved
SOURCES = (*LEVELS[:3], NOTHING, *LEVELS[3:])  # by length: nobody knows beforehand that nothing is to be learned there
TOP = 9  # of the values
SLIPS = (0.03, 0.1, 0.2, 0.3, 0.4, 0.5)  # by the place of the step
LEVELS_SHOWN = (8, 6, 4, 2, 2, 2)  # how often priming shows a level
KNOWN = 1_000  # tasks of a level that priming draws from
PRIMING, EXAMPLES = (220, 50), 64  # updates without slips and with them, and chains in one
PRIMING_RATE, PRIMING_MUON = 4e-3, 0.02
UPDATES, RATE = 120, 4e-4  # 1e-3 unlearns in uniform drawing and 2e-4 learns little, in short pilots under seed 901
TASKS, SAMPLES = 16, 8
HELD, DRAWS = 24, 4  # held-out tasks of a source, and samples of each at every look
EVERY = 15  # updates between two looks
WARM = 2  # looks until the bandit is warm
MASTERED = 0.95
HALF = 0.5 / len(SOURCES)
ARMS = ("uniform", "easy to hard", "dump without bonus", "dump", "success band")
MOST_TRIES = 3_000


# ---- tasks -------------------------------------------------------------------------------------------------------


def draw(random: Random, source: str) -> Task:
    """A chain of so many steps, `3 +4 -1 :`, of which all values are to be written, `7 6`. Of the source that cannot be solved
    three steps have a sign without a meaning, and their values are lots."""
    value = start = random.randint(0, TOP)
    steps, values = list[str](), list[int]()
    for _ in range(3 if source == NOTHING else int(source)):
        value = random.choice([v for v in range(TOP + 1) if v != value])
        steps.append(f"{value - (values or [start])[-1]:+d}")
        values.append(value)
    if source == NOTHING:
        steps = [f"?{step[1:]}" for step in steps]
        lot = rng(NAME, "lot", start, *steps)
        values = [lot.randint(0, TOP) for _ in steps]
    prompt = " ".join([str(start), *steps, ":"])
    return Task("chains", prompt, " ".join(map(str, values)), "numeric", {"start": start, "steps": steps}, prompt)


def problems(source: str, split: Split, n: int, *path: Part) -> list[Task]:
    """`n` distinct ones of a split; fewer where a short chain does not have so many."""
    found: dict[str, Task] = {}
    random = rng(NAME, source, split, *path)
    for _ in range(MOST_TRIES):
        if len(found) == n:
            break
        task = draw(random, source)
        if task.split == split:
            found[task.key] = task
    return list(found.values())


def with_slips(random: Random, task: Task) -> str:
    """As the model is primed in the end: at each step there is a chance, larger the later it is, that a lot is written; then it
    goes on from there, with another lot where a step would leave the digits."""
    value, written = task.facts["start"], list[int]()
    for step, chance in zip(task.facts["steps"], SLIPS, strict=False):
        right = value + int(step)
        value = right if 0 <= right <= TOP and random.random() >= chance else random.randint(0, TOP)
        written.append(value)
    return " ".join(map(str, written))


def without_slips(random: Random, task: Task) -> str:
    return task.answer


def judge(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    """Right where every value is."""
    return [Verdict(Judged.PASS if text == task.answer else Judged.FAIL) for task, text in pairs]


# ---- the run -----------------------------------------------------------------------------------------------------


def new_model(seed: int) -> Policy:
    """0.1 million random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer([":", *map(str, range(TOP + 1)), *(f"{sign}{n}" for sign in "+-?" for n in range(1, TOP + 1))])
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=192, max_tokens=48
    )
    return new_policy(shape, tokenizer, seed, len(LEVELS) + 2, 256)


def primed(policy: Policy, updates: Sequence[int], known: int, seed: int) -> None:
    """Imitation of chains of all lengths, then of chains with slips."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    shown = {level: problems(level, "train", known, "prime", seed) for level in LEVELS}
    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id

    def examples(write: Callable[[Random, Task], str], update: int) -> list[Example]:
        random = rng(NAME, seed, "prime", write.__name__, update)
        tasks = [random.choice(shown[level]) for level in random.choices(LEVELS, LEVELS_SHOWN, k=EXAMPLES)]
        return [Example(policy.encode(t.prompt), (*encode(write(random, t)), end)) for t in tasks]

    for write, n in zip((without_slips, with_slips), updates, strict=True):
        imitate(policy, partial(examples, write), n, PRIMING_RATE, PRIMING_MUON)


def seated(shares: Shares, owed: dict[str, float], n: int) -> Iterator[str]:
    """`n` sources by their shares: each draw goes to the one among those owed something that is due first, so that chance
    starves none."""
    for _ in range(n):
        for source, share in shares.items():
            owed[source] = owed.get(source, 0.0) + share
        first = min((s for s in owed if owed[s] > 0), key=lambda s: (1 - owed[s]) / shares[s])
        owed[first] -= 1.0
        yield first


def arms(updates: int) -> dict[str, Callable[..., Shares]]:
    from ratchet.learn.curricula import curricula

    row: Callable[[str], Curriculum] = lambda name: curricula[name]
    return {
        "uniform": row("uniform"),
        "easy to hard": partial(row("easy-to-hard"), samples=updates * TASKS * SAMPLES),
        "dump without bonus": partial(row("dump"), bonus=0.0),
        "dump": row("dump"),
        "success band": row("success-band"),
    }


def accuracies(policy: Policy, held: dict[str, list[Task]], *path: Part) -> dict[str, float]:
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies

    every = [t for tasks in held.values() for t in tasks]
    traces = Scheduler(policy, judge, beside=False).run(strategies["single"], every, *path, samples=DRAWS)
    right: dict[str, list[bool]] = {}
    for t in traces:
        right.setdefault(t.task.key, []).extend(v.passed for v in t.verdicts)
    rates = {source: [x for t in tasks for x in right[t.key]] for source, tasks in held.items()}
    return {source: sum(x) / len(x) for source, x in rates.items()}


def trained(policy: Policy, curriculum: Callable[..., Shares], held: dict[str, list[Task]], seed: int, updates: int) -> Result:
    """GRPO on what the curriculum draws. Looks: held-out accuracy of each source, and the share of each in the draws since
    the look before. And for each source, the most draws that its shares summed up to between two draws of it."""
    from ratchet.learn.credit import credits, rewards_of, verdict_reward
    from ratchet.learn.curricula import History
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies

    learner, method = Learner(policy, lr=RATE, warmup=5), grpo()
    history, owed = History(SOURCES), dict[str, float]()
    waited, longest = dict.fromkeys(SOURCES, 0.0), dict.fromkeys(SOURCES, 0.0)
    taken = dict.fromkeys(SOURCES, 0)
    looks = [{"updates": 0, "accuracy": accuracies(policy, held, NAME, seed, "held", 0), "share": {}}]
    for update in range(updates):
        path = (NAME, seed, "update", update)
        shares = curriculum(history)
        wanted = dict.fromkeys(SOURCES, 0)
        for source in seated(shares, owed, TASKS):
            wanted[source] += 1
            taken[source] += 1
            for s in SOURCES:
                waited[s] += shares[s]
                longest[s] = max(longest[s], waited[s])
            waited[source] = 0.0
        tasks = {t.key: (s, t) for s, n in wanted.items() for t in problems(s, "train", n, *path)}
        traces = Scheduler(policy, judge, beside=False).run(
            strategies["single"], [t for _, t in tasks.values()], *path, samples=SAMPLES
        )
        rewards = rewards_of(traces, verdict_reward)
        for (source, _), row in zip(tasks.values(), rewards, strict=True):
            history.add(source, row)
        learner.update(credits["outcome"](traces, rewards, method.advantage, policy.tokenizer), method)
        if (update + 1) % EVERY == 0 or update == updates - 1:
            found = accuracies(policy, held, NAME, seed, "held", update + 1)
            total = sum(taken.values())
            looks.append({"updates": update + 1, "accuracy": found, "share": {s: n / total for s, n in taken.items()}})
            taken = dict.fromkeys(SOURCES, 0)
    return {"looks": looks, "waited": longest}


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare

    prepare(1)
    priming, known, updates, many = ((2, 1), 20, 2, 3) if quick else (PRIMING, KNOWN, UPDATES, HELD)
    policy = new_model(seed)
    primed(policy, priming, known, seed)
    held = {s: problems(s, "heldout", many, seed, "held") for s in SOURCES}
    start = snapshot(policy)
    found: Result = {}
    for arm, curriculum in arms(updates).items():
        restore(policy, start)
        found[arm] = trained(policy, curriculum, held, seed, updates)
        say(f"{arm}: " + ", ".join(f"{balanced(look):.1%}" for look in found[arm]["looks"]))
    return {"arms": found}


# ---- what is claimed ---------------------------------------------------------------------------------------------


def balanced(look: Result) -> float:
    """Held-out accuracy, every solvable level the same."""
    return sum(look["accuracy"][level] for level in LEVELS) / len(LEVELS)


def area(r: Result, arm: str) -> float:
    """Mean height of the curve of balanced accuracy."""
    looks = r["arms"][arm]["looks"]
    pairs = list(pairwise(looks))
    weights = [b["updates"] - a["updates"] for a, b in pairs]
    return sum(w * (balanced(a) + balanced(b)) / 2 for w, (a, b) in zip(weights, pairs, strict=True)) / sum(weights)


def hardest(r: Result, arm: str) -> float:
    """In the end on the longest chains: the mean of the last two looks."""
    last = r["arms"][arm]["looks"][-2:]
    return sum(look["accuracy"][LEVELS[-1]] for look in last) / len(last)


def seeds_ahead(least: float) -> Effect:
    """The share of seeds in which DUMP ends so much above uniform drawing on the longest chains."""

    def effect(results: Sequence[Result]) -> Estimate:
        share = sum(hardest(r, "dump") - hardest(r, "uniform") >= least - 1e-9 for r in results) / len(results)
        return Estimate(share, share, share, len(results), "seeds")

    return effect


def intervals(r: Result, arm: str = "dump") -> list[tuple[dict[str, float], dict[str, float]]]:
    """Between two looks of the warm bandit: the share of each source, and its held-out accuracy, the mean of both."""
    looks = r["arms"][arm]["looks"]
    pairs = list(pairwise(looks))
    middle = lambda a, b: {s: (a["accuracy"][s] + b["accuracy"][s]) / 2 for s in SOURCES}
    return [(b["share"], middle(a, b)) for a, b in (pairs[WARM:] or pairs)]


def mean_rank_correlation(r: Result) -> float:
    found = [
        spearman([share[s] for s in SOURCES], [2 * math.sqrt(p[s] * (1 - p[s])) for s in SOURCES]) for share, p in intervals(r)
    ]
    return sum(found) / len(found)


def ranked(values_: Sequence[float]) -> list[float]:
    """Ranks from 0; of ties the mean."""
    return [sum(v < x for v in values_) + (sum(v == x for v in values_) - 1) / 2 for x in values_]


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlation of the ranks; 0 where one of both is even."""
    middle = (len(a) - 1) / 2
    x, y = [r - middle for r in ranked(a)], [r - middle for r in ranked(b)]
    norm = math.sqrt(sum(v * v for v in x) * sum(v * v for v in y))
    return sum(p * q for p, q in zip(x, y, strict=True)) / norm if norm else 0.0


def share_of_nothing(r: Result) -> float:
    found = [share[NOTHING] for share, _ in intervals(r)]
    return sum(found) / len(found)


def mastered(r: Result) -> list[float]:
    """The shares of what was mastered, one for each source and interval."""
    return [share[s] for share, p in intervals(r) for s in LEVELS if p[s] >= MASTERED]


def share_of_mastered(results: Sequence[Result]) -> Estimate:
    """Nothing follows where a seed has nothing that was mastered."""
    shares = [mastered(r) for r in results]
    if not all(shares):
        return Estimate(0.0, -math.inf, math.inf, len(results), "seeds")
    return over_seeds(lambda r: sum(mastered(r)) / len(mastered(r)))(results)


def longest_wait(r: Result) -> float:
    return max(r["arms"]["dump"]["waited"].values())


def imagined(outcome: Outcome, seed: int) -> Result:
    held, open_ = outcome is Outcome.HELD, outcome is Outcome.UNRESOLVED
    wide = (0.1 if open_ else 0.01) * (seed - 2)
    gains = dict.fromkeys(LEVELS[1:], wide + (0.1 if held else 0.0 if open_ else -0.1))
    gains[LEVELS[-1]] = 0.2 if held or open_ else -0.1
    p = {"1": 0.9 if open_ else 0.97, "2": 0.7, "3": 0.6, NOTHING: 0.02, "4": 0.4, "5": 0.3, "6": 0.2}
    follows = {s: (v * (1 - v)) ** 2 * (1 + seed / 100) + 0.001 * (seed + 1) for s, v in p.items()}
    good = {s: w / sum(follows.values()) for s, w in follows.items()}
    bad = {"1": 0.3, "2": 0.1, "3": 0.05 - seed / 1000, NOTHING: 0.4 + seed / 1000, "4": 0.04, "5": 0.05, "6": 0.06}
    share = good if held or (open_ and seed % 2) else bad
    waited = dict.fromkeys(SOURCES, 5.0 if outcome is Outcome.FAILED else 1.5)

    def arm(gained: Mapping[str, float]) -> Result:
        better = {s: v + gained.get(s, 0.0) for s, v in p.items()}
        looks = [{"updates": EVERY * (i + 1), "accuracy": better, "share": share} for i in range(6)]
        return {"looks": [{"updates": 0, "accuracy": p, "share": {}}, *looks], "waited": waited}

    return {"arms": {name: arm(gains if name == "dump" else {}) for name in ARMS}}


def figures(results: Sequence[Result]) -> list[str]:
    looks = results[0]["arms"]["dump"]["looks"]

    def curve(title: str, value: Callable[[Result], float]) -> str:
        at = lambda arm, i: over_seeds(lambda r: value(r["arms"][arm]["looks"][i]))(results)
        drawn = [Series(arm, [estimated(look["updates"], at(arm, i)) for i, look in enumerate(looks)]) for arm in ARMS]
        return line_chart(title, drawn, whole("updates"), percent("accuracy", (0.0, 1.0)))

    def parts(title: str, what: str, start: int) -> str:
        at = lambda source, i: over_seeds(lambda r: r["arms"]["dump"]["looks"][i][what][source])(results)
        names = {s: f"{s} steps" if s != NOTHING else "not to be solved" for s in SOURCES}
        drawn = [
            Series(name, [estimated(look["updates"], at(s, i)) for i, look in enumerate(looks) if i >= start])
            for s, name in names.items()
        ]
        return line_chart(title, drawn, whole("updates"), percent(what, (0.0, 1.0)))

    return [
        curve("Held-out accuracy, every solvable level the same", balanced),
        curve("Held-out accuracy on the longest chains", lambda look: look["accuracy"][LEVELS[-1]]),
        parts("DUMP: accuracy of each source", "accuracy", 0),
        parts("DUMP: share of each source in the draws", "share", 1),
    ]


register(
    Study(
        name=NAME,
        title="A bandit over difficulties that follows the advantages learns sooner than drawing all of them alike",
        paper="Wang et al. 2025, DUMP: Automated Distribution-Level Curriculum Learning for RL-based LLM Post-training, arXiv 2504.09710",
        claims=(
            Claim(
                "sooner",
                "Over the whole of the training held-out accuracy is at least 3 points above that of uniform drawing, and in four of five "
                "seeds it ends at least 5 points higher on the hardest level that can be solved.",
                (
                    Check(
                        "mean height of the curve: DUMP minus uniform",
                        over_seeds(lambda r: area(r, "dump") - area(r, "uniform")),
                        0.03,
                    ),
                    Check("seeds in which DUMP ends 5 points higher on the longest chains", seeds_ahead(0.05), 0.8),
                ),
            ),
            Claim(
                "follows",
                "It draws by what can be learned: shares follow 2 sqrt(p (1 - p)), what cannot be solved and what is mastered get less "
                "than half of an even share, and no source is starved.",
                (
                    Check("rank correlation of share and 2 sqrt(p (1 - p))", over_seeds(mean_rank_correlation), 0.6),
                    Check("share of the source that cannot be solved", over_seeds(share_of_nothing), most=HALF),
                    Check("share of a mastered source (accuracy of 95% or more)", share_of_mastered, most=HALF),
                    Check(
                        "draws of a source that its shares sum up to while it waits for one, the most of a seed",
                        extreme(max, longest_wait),
                        most=2.0,
                    ),
                ),
            ),
        ),
        arms={
            "uniform": "control: every source is drawn alike, at the same cost",
            "easy to hard": "one source after the other by its length, for an equal part of the samples each; a tenth is spread evenly",
            "dump without bonus": "the softmax of the mean absolute advantage alone",
            "dump": "the softmax, at temperature 0.1, of the mean absolute advantage over the last 300 samples and the bound's bonus",
            "success band": "the sources solved at a rate between 0.2 and 0.8, evenly; a tenth is spread over all",
        },
        tasks="chains of 1 to 6 sums and differences of digits, right where every value is; and a "
        "seventh source whose signs have no meaning, its values drawn by lot",
        metric="held-out accuracy of each source after every 15 updates of GRPO (24 tasks, fewer of the shortest chains, with 4 samples each), "
        "and the share of the draws that each source gets",
        budget="about 4 minutes of one thread a seed",
        departures="Chains of sums and differences of digits, so that a sample has at most seven tokens. A model learns the skill from chains "
        "without slips and then, from chains with slips that are more frequent at later steps, to fail more often the longer the chain is: "
        "the levels' difficulty is made. A draw is not by lot but by seats: each task comes from the source that is due first by the shares "
        "so far, which lowers the noise between arms and lets no chance starve a source. By lot a window in which one draw is expected "
        "has none in a third of the cases; so the check allows a source to wait for twice its due. What is mastered is a source with held-out "
        "accuracy of 95% or more. The order of easy to hard is by length; the source that cannot be solved stands after the chains as long "
        "as its own, since nobody knows beforehand.",
        scale="A model of 0.1 million weights, 15,000 samples. What is learned on one level carries over to all, as all levels are made of "
        "the same steps; sources that have less to do with one another would punish a curriculum more that leaves one out.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
