"""Curricula: what came of each source of tasks so far -> the share of the next draw that each source gets.

A source is a name: a family, a difficulty, a file. No curriculum starves one: what a source would give now is known only by drawing
from it. Windows are counted in samples.

Departures from DUMP (Wang et al. 2025, arXiv 2504.09710): advantages are computed here from the rewards of each group, divided by
the deviation of the n samples themselves, so that binary rewards of mean p have mean absolute advantage 2 sqrt(p (1 - p)); what
its bound counts is tasks, which are what a source is drawn for, not their samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import above_0, at_least_0, at_least_1, from_0_to_1, require
from ratchet.core.registry import Registry
from ratchet.core.seeds import Part, fraction, rng


@dataclass
class History:
    """The sources, from easy to hard, and the rewards of every group that was drawn from each, the latest last."""

    sources: Sequence[str]
    groups: dict[str, list[Sequence[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise RecipeError(f"a curriculum needs one or more sources of different names, got {list(self.sources)}")

    def add(self, source: str, rewards: Sequence[float]) -> None:
        """The rewards of one task's samples; NaN, where none was given, is left out."""
        if source not in self.sources:
            raise RecipeError(f'no source "{source}" in this curriculum; allowed: {", ".join(self.sources)}')
        self.groups.setdefault(source, []).append([r for r in rewards if not math.isnan(r)])

    def drawn(self, source: str) -> int:
        """How many judged samples came from it."""
        return sum(map(len, self.groups.get(source, [])))

    def latest(self, source: str, window: int) -> list[Sequence[float]]:
        """Its latest groups, which hold `window` samples together, or few more."""
        taken: list[Sequence[float]] = []
        for group in reversed(self.groups.get(source, [])):
            if sum(map(len, taken)) >= window:
                break
            taken.append(group)
        return taken


Shares = dict[str, float]
Curriculum = Callable[..., Shares]
"""`(history, **knobs)` -> shares of the sources that sum to 1; RecipeError for a knob that is out of its range"""

curricula: Registry[Curriculum] = Registry("curriculum", "ratchet.learn")


def choose(shares: Mapping[str, float], *path: Part) -> str:
    """A source drawn by the shares; the path addresses the draw."""
    left = fraction("source", *path)
    for source, share in shares.items():
        left -= share
        if left < 0:
            return source
    return max(shares, key=lambda source: shares[source])  # rounding


def with_floor(weights: Mapping[str, float], floor: float) -> Shares:
    """Shares by weights, of which `floor` in all is spread evenly."""
    total = sum(weights.values())
    even = {s: 1 / len(weights) for s in weights}
    if not total:
        return even
    return {s: (1 - floor) * w / total + floor * even[s] for s, w in weights.items()}


def learnability(groups: Sequence[Sequence[float]]) -> float:
    """The mean absolute advantage of the samples, each normalised within its group; 0 where there are none."""
    total = n = 0.0
    for group in filter(None, groups):
        mean = sum(group) / len(group)
        apart = [abs(r - mean) for r in group]
        deviation = math.sqrt(sum(a * a for a in apart) / len(group))
        total += sum(apart) / deviation if deviation else 0.0
        n += len(group)
    return total / n if n else 0.0


def success(history: History, source: str, window: int) -> tuple[float, float]:
    """Rewards gained and missed in the latest samples, where a reward lies in [0, 1]."""
    rewards = [r for group in history.latest(source, window) for r in group]
    return sum(rewards), len(rewards) - sum(rewards)


# ---- rows --------------------------------------------------------------------------------------------------------


@curricula.add("uniform")
def uniform(history: History) -> Shares:
    """Every source the same."""
    return with_floor(dict.fromkeys(history.sources, 1.0), 0.0)


@curricula.add("easy-to-hard")
def easy_to_hard(history: History, *, samples: int = 10_000, floor: float = 0.1) -> Shares:
    """One source after the other, each for an equal part of `samples` in all; the last one from then on."""
    at_least_1(samples=samples)
    from_0_to_1(floor=floor)
    n = len(history.sources)
    now = min(n - 1, n * sum(map(history.drawn, history.sources)) // samples)
    return with_floor({s: float(i == now) for i, s in enumerate(history.sources)}, floor)


@curricula.add("dump", paper="arXiv 2504.09710")
def dump(history: History, *, window: int = 300, temperature: float = 0.1, bonus: float = 1.0) -> Shares:
    """Softmax of an upper confidence bound on the mean absolute advantage (paper's code: a window of 300, temperature 0.1)."""
    at_least_1(window=window)
    above_0(temperature=temperature)
    at_least_0(bonus=bonus)
    tasks = {s: len(history.groups.get(s, [])) for s in history.sources}
    log_all = math.log(sum(tasks.values()) + 1)
    bound = {
        s: learnability(history.latest(s, window)) + bonus * math.sqrt(2 * log_all / (tasks[s] + 1)) for s in history.sources
    }
    highest = max(bound.values())
    return with_floor({s: math.exp((b - highest) / temperature) for s, b in bound.items()}, 0.0)


@curricula.add("success-band")
def success_band(
    history: History, *, low: float = 0.2, high: float = 0.8, window: int = 300, least: int = 32, floor: float = 0.1
) -> Shares:
    """The sources whose rate of success lies between `low` and `high`, evenly, and those with fewer than `least` samples."""
    at_least_1(window=window, least=least)
    from_0_to_1(low=low, high=high, floor=floor)
    require(low <= high, "low", low, f"at most high={high}")
    weights: dict[str, float] = {}
    for s in history.sources:
        gained, missed = success(history, s, window)
        n = gained + missed
        weights[s] = float(n < least or low <= gained / n <= high)
    return with_floor(weights, floor)


@curricula.add("thompson")
def thompson(history: History, *, window: int = 300, draws: int = 100, floor: float = 0.1) -> Shares:
    """How often a source's rate of success, drawn from its posterior, varies the most: p (1 - p) is largest (Thompson 1933)."""
    at_least_1(window=window, draws=draws)
    from_0_to_1(floor=floor)
    counts = {s: success(history, s, window) for s in history.sources}
    random = rng("thompson", sum(map(history.drawn, history.sources)))
    weights = dict.fromkeys(history.sources, 0.0)
    for _ in range(draws):
        rates = {s: random.betavariate(1 + gained, 1 + missed) for s, (gained, missed) in counts.items()}
        weights[max(rates, key=lambda s: rates[s] * (1 - rates[s]))] += 1.0
    return with_floor(weights, floor)
