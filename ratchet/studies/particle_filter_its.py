"""Particle filtering at inference: is the sampler exact where all is known, and does it need fewer particles than a beam?"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, product
from random import Random
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from ratchet.core.seeds import Part, rng, seed
from ratchet.core.types import Chance, Completion, Draw, Judge, Request, Split, Task, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.measure.ranking import auc
from ratchet.report.chart import Axis, Series, estimated, line_chart, number, percent
from ratchet.search.particles import Cloud, filtered, shares, weighed_by
from ratchet.search.steps import Steps
from ratchet.studies.study import Check, Claim, Outcome, Result, Say, Study, extreme, over_seeds, register
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_lines import STEP, TOP, Numbers, lines, start_of, words

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ratchet.models.scheduler import Scorer, Verify

COUNT = 5
BUDGETS = (4, 8, 16, 32, 64)
WIDTH = 4  # candidates for each part that a beam or a subtree keeps
NOISE = 0.2  # of the outcomes that the corrupted value learns from
STATES, TIMES = 5, 6
CLOUDS = (16, 64, 256, 1_024)
BATCH, RATE, UNITS = 256, 3e-3, 64
FEW, MANY = 16, 64
DEPARTURES = (
    "The plan's generator is a model of 0.3 million parameters: here it is a rule that writes right lines by chance, and only the value is "
    "learned, by a network of three layers from the outcomes of the rule's samples. In pilots (seed 901) a language model of 0.1 million "
    "parameters that had learned for 1,000 updates was right in 7 to 17 % of its samples, and a value that had learned for 450 updates "
    "from those chose a right one of 64 never: both would have had to learn for longer than there was time, and a search by such a value "
    "tests nothing. "
    "The plan has 300 problems: here 100 a seed. "
    "The value is read of what a part leaves and of the target, so that equal states have equal values, and what has ended is valued "
    "like any part. "
    "Whole samples are drawn once, 64 of each problem, and smaller budgets are sets of them that share none. "
    "A beam goes on from a quarter of its candidates. Weights are values, as in the paper's model; its code takes the softmax of "
    "the value's log-odds. "
    "Where the particles never solve as much as the largest beam, their cost is set to twice the largest budget; where the smallest "
    "budget does, to that. "
    "Corrupted: a fifth of the outcomes that the value learns from are turned around, once, where the plan speaks of a process "
    "reward model's labels. Both values take as many updates over the same parts in the same order. "
    "The hidden Markov model is another one in each seed; its normaliser is estimated with 8 particles, and the posterior is that of "
    "the first and last state."
)


@dataclass(frozen=True)
class Size:
    """Runs of the filter for its normaliser and for its posterior; problems that the values learn from, samples of each, and
    updates; problems of the search."""

    normalisers: int
    posteriors: int
    valued: int
    samples: int
    fitting: int
    held: int


FULL = Size(2_000, 10, 1_500, 4, 1_500, 100)
QUICK = Size(40, 2, 20, 2, 3, 3)


# ---- a world where everything is known ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Hidden:
    """A hidden Markov model and one series of what was seen: `seen[t][s]` is the likelihood of that at time t in state s."""

    start: Sequence[float]
    moves: Sequence[Sequence[float]]
    seen: Sequence[Sequence[float]]

    def joint(self) -> list[list[float]]:
        """Chance of what was seen together with each first and each last state."""
        table = [[p * self.seen[0][s] * (s == t) for t in range(STATES)] for s, p in enumerate(self.start)]
        for seen in self.seen[1:]:
            table = [[sum(row[a] * self.moves[a][b] for a in range(STATES)) * seen[b] for b in range(STATES)] for row in table]
        return table

    def play(self, asking: Generator[Request, Any, Cloud], random: Random) -> Cloud:
        """Answers a filter until it returns: states are tokens, and what was seen is the score."""
        reply: Any = None
        while True:
            try:
                request = asking.send(reply)
            except StopIteration as end:
                return end.value
            if isinstance(request, Judge):
                reply = [self.seen[len(c.tokens) - 1][c.tokens[-1]] for c in request.completions]
            elif isinstance(request, Chance):
                reply = random
            else:
                asked: list[Draw] = [request] if isinstance(request, Draw) else list(request)  # type: ignore[arg-type]
                own = [[self.moved(d.prefix, random) for _ in range(d.n)] for d in asked]
                reply = own[0] if isinstance(request, Draw) else own

    def moved(self, part: Any, random: Random) -> Completion:
        before = part.tokens if isinstance(part, Completion) else ()
        [state] = random.choices(range(STATES), self.moves[before[-1]] if before else self.start)
        path = (*before, state)
        return Completion((0,), path, "", (0.0,) * len(path), "end" if len(path) == TIMES else "stop")


def hidden(random: Random) -> Hidden:
    """One by chance: each state prefers a few others, and what is seen tells states apart a little."""

    def row() -> list[float]:
        weights = [random.random() ** 3 for _ in range(STATES)]
        return [w / sum(weights) for w in weights]

    seen = [[0.05 + 0.9 * random.random() ** 2 for _ in range(STATES)] for _ in range(TIMES)]
    return Hidden(row(), [row() for _ in range(STATES)], seen)


def clouds(world: Hidden, n: int, runs: int, *path: Part) -> list[Cloud]:
    task, steps, weigh = Task("hidden", "what was it?", 0, "exact"), Steps("\n", 0), weighed_by("seen")
    return [world.play(filtered(task, steps, n, weigh), rng(*path, n, i)) for i in range(runs)]


def errors_off(values: Sequence[float], truth: float) -> float:
    """How many standard errors the mean lies from the truth."""
    return (fmean(values) - truth) / (stdev(values) / math.sqrt(len(values)))


def apart(world: Hidden, cloud: Cloud) -> float:
    """Total variation between the cloud and the posterior of the first and last state."""
    joint = world.joint()
    total = sum(map(sum, joint))
    left = {(a, b): joint[a][b] / total for a, b in product(range(STATES), repeat=2)}
    for particle, w in zip(cloud.particles, shares([p.log_weight for p in cloud.particles]), strict=True):
        left[particle.last.tokens[0], particle.last.tokens[-1]] -= w
    return sum(map(abs, left.values())) / 2


def known_world(seed_: int, size: Size) -> dict[str, Any]:
    """What the filter says of a world whose normaliser and posterior are known."""
    world = hidden(rng("particle-filter-its", seed_, "world"))
    truth = sum(map(sum, world.joint()))
    logs = [c.log_normaliser for c in clouds(world, 8, size.normalisers, "particle-filter-its", seed_, "normaliser")]
    apart_at = {
        n: fmean(apart(world, c) for c in clouds(world, n, size.posteriors, "particle-filter-its", seed_, "posterior"))
        for n in CLOUDS
    }
    return {
        "errors off": errors_off([math.exp(x) / truth for x in logs], 1.0),
        "logarithm's errors off": errors_off([x - math.log(truth) for x in logs], 0.0),
        "spread": stdev(math.exp(x) / truth for x in logs),
        "apart": {str(n): d for n, d in apart_at.items()},
        "slope": math.log(apart_at[CLOUDS[-1]] / apart_at[CLOUDS[0]]) / math.log(CLOUDS[-1] / CLOUDS[0]),
    }


# ---- countdown ---------------------------------------------------------------------------------------------------


class Tidy:
    """A generator that knows arithmetic and no plan: each of its lines is one of all right ones, each as likely as another."""

    max_tokens, context, version = 12 * COUNT, 24 * COUNT, 0

    def __init__(self) -> None:
        from ratchet.models.tokens import WordTokenizer

        self.tokenizer = WordTokenizer(words())

    def encode(self, prefix: str | tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(prefix)) if isinstance(prefix, str) else prefix

    def sample(self, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], done: Any = None) -> list[list[Completion]]:
        found: list[list[Completion]] = []
        for place, (draw, row) in enumerate(zip(draws, seeds, strict=True)):
            found.append([self.written(draw, Random(own)) for own in row])
            if done is not None:
                done(place, found[-1])
        return found

    def written(self, draw: Draw, random: Random) -> Completion:
        """One line more, or all that are to come where the draw has no place to stop."""
        start = draw.prefix if isinstance(draw.prefix, Completion) else Completion(self.encode(draw.prefix), (), "", (), "stop")
        text, logprobs = start.text, list(start.logprobs)
        left = left_of(start, "" if text else self.tokenizer.decode(start.prefix))
        while len(left) > 1:
            every = lines(left)
            line, left = random.choice(every)
            text = f"{text} {line}".strip()
            logprobs += [-math.log(len(every)), *[0.0] * (len(line.split()) - 1)]
            if draw.stop:
                break
        stop = "stop" if len(left) > 1 else "end"
        return replace(start, tokens=self.encode(text), text=text, logprobs=tuple(logprobs), stop=stop)

    def forget(self) -> None:
        pass


@cache
def numbers_in(text: str) -> Numbers:
    return tuple(int(w) for w in text.split() if w.isdigit())


def left_of(part: Completion, prompt: str) -> Numbers:
    """The numbers that a part of right lines leaves; of an empty one those of the prompt."""
    if part.text:
        return numbers_in(part.text.rpartition(" left ")[2])
    return numbers_in(prompt.partition(" target ")[0])


@cache
def chance(left: Numbers, target: int) -> float:
    """The generator's exact chance to end right."""
    if len(left) == 1:
        return float(left[0] == target)
    every = lines(left)
    return sum(chance(tuple(sorted(after)), target) for _, after in every) / len(every)


def problems(split: Split, n: int, *path: Part) -> list[Task]:
    """So many different problems of the split that can be solved."""
    found: dict[str, Task] = {}
    random = rng("particle-filter-its", *path)
    while len(found) < n:
        task = task_of([random.randint(1, TOP) for _ in range(COUNT)], random.randint(1, TOP))
        if task.split == split and chance(tuple(sorted(start_of(task))), task.answer) > 0:
            found.setdefault(task.key, task)
    return list(found.values())


def right(task: Task, text: str) -> bool:
    """Of a text whose lines are right."""
    return text.endswith(f" left {task.answer} {STEP}")


def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [Verdict(Judgement.PASS if right(task, text) else Judgement.FAIL) for task, text in pairs]


def drawn(generator: Tidy, tasks: Sequence[Task], samples: int, *path: Part) -> list[list[Completion]]:
    return generator.sample(
        [Draw(t.prompt, n=samples) for t in tasks], [[seed(*path, t.key, i) for i in range(samples)] for t in tasks]
    )


# ---- a value that is learned -------------------------------------------------------------------------------------

Lesson = tuple[Numbers, int, float]
"""What a part leaves, the target, and whether the sample ended right."""


def lessons_of(tasks: Sequence[Task], samples: Sequence[Sequence[Completion]]) -> list[Lesson]:
    """Every part of every sample, with the sample's outcome."""
    return [
        (numbers_in(line.rpartition(" left ")[2]), task.answer, float(right(task, c.text)))
        for task, own in zip(tasks, samples, strict=True)
        for c in own
        for line in c.text.split(STEP)[:-1]
    ]


def corrupted(lessons: Sequence[Lesson], random: Random) -> list[Lesson]:
    """A share of the outcomes turned around, once and for all."""
    return [(left, target, 1.0 - ok if random.random() < NOISE else ok) for left, target, ok in lessons]


def features(states: Sequence[tuple[Numbers, int]]) -> Tensor:
    """How often each number is left, how many are, and the target (N, features)."""
    import torch

    counts = lambda numbers, n: [numbers.count(i) for i in range(n)]
    return torch.tensor(
        [counts(left, TOP + 1) + counts([len(left)], COUNT + 1) + counts([target], TOP + 1) for left, target in states],
        dtype=torch.float32,
    )


def value_of(lessons: Sequence[Lesson], updates: int, seed_: int) -> nn.Module:
    """The chance of a right end, learned from outcomes by a network of three layers; every value sees the same parts in the same
    order."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    torch.manual_seed(seed("particle-filter-its", seed_, "value") % 2**63)
    inputs, outcomes = features([(left, target) for left, target, _ in lessons]), torch.tensor([ok for _, _, ok in lessons])
    layers = [nn.Linear(inputs.shape[1], UNITS), nn.GELU(), nn.Linear(UNITS, UNITS), nn.GELU(), nn.Linear(UNITS, 1)]
    value = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(value.parameters(), lr=RATE)
    falls = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, updates)
    for update in range(updates):
        places = torch.tensor(rng("particle-filter-its", seed_, "batch", update).choices(range(len(lessons)), k=BATCH))
        optimizer.zero_grad()
        cross_entropy(value(inputs[places])[:, 0], outcomes[places]).backward()
        optimizer.step()
        falls.step()
    return value


def values_of(value: nn.Module, states: Sequence[tuple[Numbers, int]]) -> list[float]:
    import torch

    with torch.no_grad():
        return value(features(states))[:, 0].sigmoid().tolist()


def remembered(value: nn.Module) -> Scorer:
    """A value as a scorer that reads each state once, however often a search asks about it. What has ended is valued like any part:
    the network has to see by itself whether the target was met."""
    known: dict[tuple[Numbers, int], float] = {}

    def scorer(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
        states = [(tuple(sorted(left_of(c, task.prompt))), task.answer) for c in completions]
        new = [s for s in dict.fromkeys(states) if s not in known]
        known.update(zip(new, values_of(value, new) if new else (), strict=True))
        return [known[s] for s in states]

    return scorer


# ---- searches ----------------------------------------------------------------------------------------------------


def blocks(n: int) -> list[range]:
    """The largest budget's samples as sets of n that share none."""
    return [range(start, start + n) for start in range(0, BUDGETS[-1], n)]


def best_of(scores: Sequence[float], passed: Sequence[bool], texts: Sequence[str], own: range) -> bool:
    return passed[max(own, key=lambda i: scores[i])]


def best_weighted(scores: Sequence[float], passed: Sequence[bool], texts: Sequence[str], own: range) -> bool:
    """The solution with the largest sum of values; equal texts are right or wrong together."""
    votes: dict[str, float] = {}
    for i in own:
        votes[texts[i]] = votes.get(texts[i], 0.0) + scores[i]
    return passed[max(own, key=lambda i: votes[texts[i]])]


CHOICES: dict[str, Callable[[Sequence[float], Sequence[bool], Sequence[str], range], bool]] = {
    "best of n": best_of,
    "weighted best of n": best_weighted,
}


SEARCHES: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
    "beam": lambda n: ("beam", {"n": n, "beams": max(1, n // WIDTH)}),
    "diverse beams": lambda n: ("diverse-beam", {"n": n, "width": WIDTH}),
    "particles": lambda n: ("particle-filter", {"n": n}),
}
ARMS = (*CHOICES, *SEARCHES)
VALUES = ("learned", "corrupted")
CURVES = tuple(f"{arm}, {value}" for value in VALUES for arm in ARMS)
PLACEBO, ONE = "particles, placebo", "one sample"
Curve = list[list[float]]
"""Of each budget: tokens sampled for a problem, and the share of the problems that were solved."""


def curves_of(generator: Tidy, held: Sequence[Task], scorers: dict[str, Scorer], seed_: int, say: Say) -> dict[str, Curve]:
    """Every arm by every value at every budget."""
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import SCORERS, strategies
    from ratchet.search.tools import TOOLS

    scheduler = Scheduler(generator, verify, SCORERS | scorers, TOOLS)

    def point(strategy: str, **knobs: Any) -> list[float]:
        traces = scheduler.run(strategies[strategy], held, "particle-filter-its", seed_, "search", knobs=knobs)
        solved = sum(t.verdict is not None and t.verdict.passed for t in traces)
        return [sum(t.cost.sampled_tokens for t in traces) / len(held), solved / len(held)]

    curves = chosen(generator, held, scorers, seed_)
    for value in VALUES:
        for arm, planned in SEARCHES.items():
            curves[f"{arm}, {value}"] = [point(planned(n)[0], scorer=value, step=STEP, **planned(n)[1]) for n in BUDGETS]
        say(f"by the {value} value, at {BUDGETS}")
        for arm in ARMS:
            say(f"  {arm}: " + ", ".join(f"{solved:.1%}" for _, solved in curves[f"{arm}, {value}"]))
    strategy, knobs = SEARCHES["particles"](FEW)
    return curves | {PLACEBO: [point(strategy, scorer="placebo", step=STEP, **knobs)]}


def chosen(generator: Tidy, held: Sequence[Task], scorers: dict[str, Scorer], seed_: int) -> dict[str, Curve]:
    """Whole samples, and what chooses among them: all budgets from the same samples, in sets that share none."""
    samples = drawn(generator, held, BUDGETS[-1], "particle-filter-its", seed_, "whole")
    passed = [[right(t, c.text) for c in own] for t, own in zip(held, samples, strict=True)]
    texts = [[c.text for c in own] for own in samples]
    length = fmean(len(c.tokens) for own in samples for c in own)
    curves: dict[str, Curve] = {ONE: [[length, fmean(p for own in passed for p in own)]]}
    for value, scorer in scorers.items():
        scores = [scorer(t, own, verify) for t, own in zip(held, samples, strict=True)]
        rows = list(zip(scores, passed, texts, strict=True))
        for choice, choose in CHOICES.items():
            share = lambda n, choose=choose, rows=rows: fmean(choose(*row, block) for row in rows for block in blocks(n))
            curves[f"{choice}, {value}"] = [[n * length, share(n)] for n in BUDGETS]
    return curves


def run(seed_: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare

    prepare(1)
    size = QUICK if quick else FULL
    world = known_world(seed_, size)
    say(f"the normaliser is {world['errors off']:+.1f} standard errors off")
    train, held = problems("train", size.valued, seed_, "train"), problems("heldout", size.held, seed_, "held")
    generator = Tidy()
    lessons = lessons_of(train, drawn(generator, train, size.samples, "particle-filter-its", seed_, "lessons"))
    noisy = corrupted(lessons, rng("particle-filter-its", seed_, "noise"))
    values = {"learned": value_of(lessons, size.fitting, seed_), "corrupted": value_of(noisy, size.fitting, seed_)}
    scorers: dict[str, Scorer] = {name: remembered(value) for name, value in values.items()}
    others = drawn(generator, held, size.samples, "particle-filter-its", seed_, "ranked")
    states = [(left, target) for left, target, _ in lessons_of(held, others) if len(left) > 1]
    truth = [chance(tuple(sorted(left)), target) > 0 for left, target in states]
    areas = {name: ranked(values_of(value, states), truth) for name, value in values.items()}
    say(f"{fmean(ok for _, _, ok in lessons):.1%} of the samples are right; areas under the curve {areas}")
    return {"world": world, "auc": areas, "curves": curves_of(generator, held, scorers, seed_, say)}


def ranked(values: Sequence[float], labels: Sequence[bool]) -> float:
    """The area under the curve; one half where one of the two kinds is missing."""
    return auc(values, labels) if 0 < sum(labels) < len(labels) else 0.5


# ---- what is claimed ---------------------------------------------------------------------------------------------


def reached(xs: Sequence[float], solved: Sequence[float], goal: float) -> float:
    """Where a curve first reaches the goal, interpolated on the logarithm of x; at its start where that is enough already, and at
    twice its end where it never does."""
    if solved[0] >= goal:
        return xs[0]
    for (x, below), (y, above) in pairwise(zip(xs, solved, strict=True)):
        if above >= goal:
            return x * (y / x) ** ((goal - below) / (above - below))
    return 2 * xs[-1]


def octaves_saved(result: Result, places: Callable[[Curve], Sequence[float]]) -> float:
    """How many times particles halve what the largest beam takes, where they solve as much."""
    beam, particles = result["curves"]["beam, learned"], result["curves"]["particles, learned"]
    at = reached(places(particles), [solved for _, solved in particles], beam[-1][1])
    return math.log2(places(beam)[-1] / at)


def lost(result: Result, arm: str) -> float:
    """The mean over all budgets of what the corrupted value costs an arm."""
    clean, corrupt = result["curves"][f"{arm}, learned"], result["curves"][f"{arm}, corrupted"]
    return fmean(a - b for (_, a), (_, b) in zip(clean, corrupt, strict=True))


def imagined(outcome: Outcome, seed: int) -> Result:
    off = (seed - 1) * (0.01 if outcome is not Outcome.UNRESOLVED else 0.2)
    slope, z, kept, particles = {
        Outcome.HELD: (-0.5, 0.4, 0.02, [0.2, 0.45 + off, 0.6, 0.6, 0.6]),
        Outcome.FAILED: (-0.1, 5.0, 0.15, [0.1, 0.2, 0.3, 0.4 + off, 0.6]),
        Outcome.UNRESOLVED: (-0.4, 0.4, 0.06, [0.1, 0.2, 0.3 + off, 0.4 + off, 0.6]),
    }[outcome]
    solved = {name: [0.1, 0.2, 0.3, 0.4, 0.5] for name in CURVES} | {"particles, learned": particles}
    solved["particles, corrupted"] = [share - kept for share in particles]
    solved["beam, corrupted"] = [share - 0.06 - off / 2 for share in solved["beam, learned"]]
    curves = {name: [[28.0 * n, share] for n, share in zip(BUDGETS, own, strict=True)] for name, own in solved.items()}
    world = {
        "errors off": z,
        "logarithm's errors off": -9.0,
        "spread": 0.5,
        "apart": {str(n): 0.5 * (n / CLOUDS[0]) ** slope for n in CLOUDS},
        "slope": slope + off,
    }
    areas = {"learned": 0.8, "corrupted": 0.7}
    return {"world": world, "auc": areas, "curves": curves | {ONE: [[28.0, 0.2]], PLACEBO: [[450.0, 0.2]]}}


def figures(results: Sequence[Result]) -> list[str]:
    share = percent("share of the problems")

    def mean_at(name: str, i: int) -> Any:
        tokens = fmean(r["curves"][name][i][0] for r in results)
        return estimated(tokens, over_seeds(lambda r: r["curves"][name][i][1])(results))

    def drawing(title: str, names: Sequence[str]) -> str:
        series = [Series(name, [mean_at(name, i) for i in range(len(results[0]["curves"][name]))]) for name in names]
        return line_chart(title, series, replace(number("sampled tokens a problem"), log2=True), share)

    apart_at = [estimated(n, over_seeds(lambda r, n=n: r["world"]["apart"][str(n)])(results)) for n in CLOUDS]
    return [
        drawing("Solved at equal tokens", [*(f"{arm}, learned" for arm in ARMS), ONE, PLACEBO]),
        drawing("By a value that learned from corrupted outcomes", [f"{arm}, corrupted" for arm in ARMS]),
        line_chart(
            "How far the particles are from the posterior",
            [Series("filter", apart_at)],
            Axis("particles", lambda v: f"{v:.0f}", lambda v: f"{v:.0f}", log2=True),
            number("total variation", (0.0, 0.3)),
        ),
    ]


by_tokens: Callable[[Curve], Sequence[float]] = lambda curve: [tokens for tokens, _ in curve]
by_particles: Callable[[Curve], Sequence[float]] = lambda curve: BUDGETS

register(
    Study(
        name="particle-filter-its",
        title="Particles that multiply by value: an exact sampler, and a search that needs fewer of them than a beam",
        paper="Puri et al. 2025, Rollout Roulette: A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based "
        "Monte Carlo Methods, arXiv 2502.01618",
        claims=(
            Claim(
                "exact",
                "Of a hidden Markov model the filter's normaliser is unbiased, and its particles come to stand for the posterior.",
                (
                    Check(
                        f"largest distance of the normaliser's mean over {FULL.normalisers:,} runs from the truth, in standard errors",
                        extreme(max, lambda r: abs(r["world"]["errors off"])),
                        most=3.0,
                    ),
                    Check(
                        f"exponent of the total variation from {CLOUDS[0]} to {CLOUDS[-1]:,} particles",
                        over_seeds(lambda r: r["world"]["slope"]),
                        most=-0.4,
                    ),
                ),
            ),
            Claim(
                "fewer-particles",
                f"Particle filtering solves with a quarter of the particles and of the tokens what a beam solves with {MANY}.",
                (
                    Check(
                        f"halvings of {MANY} particles that leave as many solved as the beam of {MANY}",
                        over_seeds(lambda r: octaves_saved(r, by_particles)),
                        2.0,
                    ),
                    Check(
                        f"halvings of its tokens that leave as many solved as the beam of {MANY}",
                        over_seeds(lambda r: octaves_saved(r, by_tokens)),
                        2.0,
                    ),
                ),
            ),
            Claim(
                "corrupted-value",
                "A value that learned from outcomes of which a fifth is turned around costs particle filtering less than a beam.",
                (
                    Check(
                        "solved: what the beam loses minus what the particles lose, mean of all budgets",
                        over_seeds(lambda r: lost(r, "beam") - lost(r, "particles")),
                        0.0,
                    ),
                ),
            ),
        ),
        arms={
            ONE: "a generator that knows arithmetic and no plan: each of its lines is one of all right ones by chance",
            "best of n": "cost-matched control: n whole samples, the one with the highest value; all arms choose by the value",
            "weighted best of n": "the same; equal solutions add their values",
            "beam": f"n candidates for a line, the n / {WIDTH} best by value go on",
            "diverse beams": f"n / {WIDTH} subtrees, each of which goes on from the best of its {WIDTH} candidates",
            "particles": "n particles, resampled by value before each line; the one with the highest value at the end",
            "learned": "the value of a part, learned from the outcomes of the generator's samples",
            "corrupted": f"the same, where {NOISE:.0%} of the outcomes are turned around",
            PLACEBO: f"placebo: {FEW} particles whose weights know nothing",
        },
        tasks=f"A hidden Markov model of {STATES} states and {TIMES} times in each seed; Countdown with {COUNT} numbers and a target up to {TOP}, "
        "all values at most that, written one operation per line; other problems for the value than for the search",
        metric="distance of the mean normaliser in standard errors, total variation of first and last state; share of problems solved at "
        "4 to 64 candidates, over the tokens sampled",
        budget="about 4 minutes of one thread a seed",
        departures=DEPARTURES,
        scale="One family of puzzles of four steps, and a generator that is no language model. Long solutions, where a search has many steps to "
        "go wrong in, particle Gibbs and parallel tempering are not tested.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
