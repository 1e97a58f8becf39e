"""Particle filtering: parts of answers are states, the policy moves them, a value says how likely each is to be right, and the
likely ones multiply (Puri et al. 2025, arXiv 2502.01618).

The particles sample from the policy times the values of all steps. `filtered` is the sampler: its `log_normaliser` is the
logarithm of an unbiased estimate of the mean product of values, and its particles, weighted, stand for the posterior.
Scale: values in [0, 1]; of `logprob` the probability per token counts.
Departures: a weight is the value itself (as in the paper's model), to the power `sharpness`, where its code takes the softmax of
the value's log-odds; resampling is systematic, which has less variance than the paper's multinomial. As in the paper, a particle
that has ended goes on competing with the value that it has, so answers of unequal length are not quite a posterior's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from ratchet.core.errors import RecipeError
from ratchet.core.types import Chance, Completion, Judge, Play, Task
from ratchet.search.steps import Asking, Steps, own_steps
from ratchet.search.strategy import strategies
from ratchet.search.values import log_values
from ratchet.search.vote import elected

Weigh = Callable[[Sequence[Completion]], Asking[list[float]]]
"""(parts) -> the logarithm of each one's weight"""


@dataclass(frozen=True)
class Particle:
    """An answer in the making: what it was after each of its steps, and the logarithms of its weights there."""

    path: tuple[Completion, ...]
    log_weights: tuple[float, ...]

    @property
    def last(self) -> Completion:
        return self.path[-1]

    @property
    def log_weight(self) -> float:
        return self.log_weights[-1]

    def until(self, step: int) -> Particle:
        return Particle(self.path[: step + 1], self.log_weights[: step + 1])


@dataclass(frozen=True)
class Cloud:
    """The particles of a finished filter, by their last weights, and the logarithm of the normaliser's estimate."""

    particles: list[Particle]
    log_normaliser: float


def log_mean(log_weights: Sequence[float]) -> float:
    """The logarithm of the mean weight."""
    top = max(log_weights)
    return top + math.log(sum(math.exp(w - top) for w in log_weights) / len(log_weights)) if top > -math.inf else top


def shares(log_weights: Sequence[float]) -> list[float]:
    """Weights that sum to 1; equal ones where all are zero."""
    top = max(log_weights)
    weights = [math.exp(w - top) if top > -math.inf else 1.0 for w in log_weights]
    total = sum(weights)
    return [w / total for w in weights]


def multinomial(log_weights: Sequence[float], n: int, random: Random) -> list[int]:
    """Places of `n` independent draws by weight."""
    return random.choices(range(len(log_weights)), shares(log_weights), k=n)


def systematic(log_weights: Sequence[float], n: int, random: Random) -> list[int]:
    """Places of `n` draws by weight, at equal distances from one random start: each place comes up as often as its share of n
    says, rounded down or up."""
    ends, start, place, chosen = list(accumulate(shares(log_weights))), random.random(), 0, list[int]()
    for k in range(n):
        while place < len(ends) - 1 and ends[place] * n <= k + start:
            place += 1
        chosen.append(place)
    return chosen


def weighed_by(scorer: str, sharpness: float = 1.0) -> Weigh:
    """Weights are values to a power."""
    if not 0 < sharpness < math.inf:
        raise RecipeError(f"knob sharpness of a strategy must be above 0, got {sharpness:g}")

    def weigh(parts: Sequence[Completion]) -> Asking[list[float]]:
        scores = yield Judge(parts, scorer)
        return [sharpness * log for log in log_values(scores, scorer)]

    return weigh


def moved(steps: Steps, parents: Sequence[Particle], weigh: Weigh) -> Asking[list[Particle]]:
    """Each particle one step on, all in one batch; those that have ended stay."""
    copies: dict[int, list[int]] = {}  # places of each particle: copies of one are one draw
    for place, parent in enumerate(parents):
        if steps.going(parent.last):
            copies.setdefault(id(parent), []).append(place)
    if not copies:
        return list(parents)
    places = list(copies.values())
    drawn = yield from steps.on([parents[own[0]].last for own in places], [len(own) for own in places])
    new = [c for own in drawn for c in own]
    logs = yield from weigh(new)
    cloud = list(parents)
    for place, c, log in zip([i for own in places for i in own], new, logs, strict=True):
        cloud[place] = Particle((*parents[place].path, c), (*parents[place].log_weights, log))
    return cloud


def filtered(task: Task, steps: Steps, n: int, weigh: Weigh, held: Particle | None = None) -> Asking[Cloud]:
    """`n` particles from the prompt to their ends, resampled before every step but the first. The first of them is `held`, where
    one is given: it comes through every resampling (conditional sequential Monte Carlo)."""
    first: list[Completion] = yield steps.draw(task.prompt, n - 1 if held else n)
    logs = yield from weigh(first)
    cloud = [held.until(0)] if held else list[Particle]()
    cloud += [Particle((c,), (log,)) for c, log in zip(first, logs, strict=True)]
    log_normaliser, step = 0.0, 0
    while any(steps.going(p.last) for p in cloud):
        log_weights = [p.log_weight for p in cloud]
        log_normaliser += log_mean(log_weights)
        random = yield Chance()
        step += 1
        chosen = multinomial(log_weights, n - 1, random) if held else systematic(log_weights, n, random)
        new = yield from moved(steps, [cloud[i] for i in chosen], weigh)
        cloud = [held.until(step), *new] if held else new
    return Cloud(cloud, log_normaliser + log_mean([p.log_weight for p in cloud]))


def heaviest(particles: Sequence[Particle]) -> Completion:
    """The answer with the largest last weight; ties go to the first."""
    return max(particles, key=lambda p: p.log_weight).last


@strategies.add("particle-filter", paper="arXiv 2502.01618")
def particle_filter(
    task: Task,
    *,
    n: int = 8,
    scorer: str = "logprob",
    sharpness: float = 1.0,
    step: str = "",
    step_tokens: int = 0,
    temperature: float = 1.0,
) -> Play:
    """`n` particles, resampled by value after each step; the answer of the highest value (paper: n of 4 to 128, temperature 0.8)."""
    cloud = yield from filtered(task, own_steps(task, n, step, step_tokens, temperature), n, weighed_by(scorer, sharpness))
    return heaviest(cloud.particles)


@strategies.add("particle-vote", paper="arXiv 2502.01618")
def particle_vote(
    task: Task,
    *,
    n: int = 8,
    scorer: str = "logprob",
    sharpness: float = 1.0,
    step: str = "",
    step_tokens: int = 0,
    temperature: float = 1.0,
) -> Play:
    """`n` particles, resampled by value after each step; the answer with the most posterior weight (paper: a weighted vote)."""
    cloud = yield from filtered(task, own_steps(task, n, step, step_tokens, temperature), n, weighed_by(scorer, sharpness))
    weights = shares([p.log_weight for p in cloud.particles])
    return (yield from elected([p.last for p in cloud.particles], weights))
