"""Twisted sequential Monte Carlo: particles are steered by what a part is going to be worth, so that the weights stay even (Zhao et
al. 2024, arXiv 2404.17546; the value of a part is its twist).

The target is the policy times the value of the whole answer. A particle's next step is one of `width` candidates, drawn by value;
its weight grows by the candidates' mean value over its own value before. So the normaliser is unbiased for any value, and with the
exact one, over all next steps, every weight is 1 times what it was.
Scale: values in [0, 1]; of `logprob` the probability per token counts.
Departures: the paper learns the twist for each token and samples from policy times twist; with steps in the place of tokens that
proposal is the candidates' (nested importance sampling). Values of learned critics are the twist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ratchet.core.ranges import at_least_1
from ratchet.core.types import Chance, Completion, Play, Task
from ratchet.search.particles import Cloud, Particle, Weigh, heaviest, log_mean, multinomial, systematic, weighed_by
from ratchet.search.steps import Asking, Steps, own_steps
from ratchet.search.strategy import strategies


@dataclass(frozen=True)
class Twisted:
    """A part, its log-value (the twist), and the logarithm of what its last step multiplied its weight by."""

    last: Completion
    twist: float
    log_weight: float


def steered(before: float, candidates: Sequence[Completion], twists: Sequence[float], random: Random) -> Twisted:
    """One of the candidates of a particle whose log-value was `before`."""
    [chosen] = multinomial(twists, 1, random)
    if before == -math.inf:  # nothing was worth anything: begin again from here
        before = 0.0
    return Twisted(candidates[chosen], twists[chosen], log_mean(twists) - before)


def twisted(task: Task, steps: Steps, n: int, width: int, weigh: Weigh) -> Asking[Cloud]:
    """`n` particles to their ends, weighted by the product of their steps' weights since the last resampling."""
    first: list[Completion] = yield steps.draw(task.prompt, n * width)
    drawn, parents, log_normaliser = [first[i::n] for i in range(n)], [(i, 0.0) for i in range(n)], 0.0
    cloud: list[Twisted] = []
    while True:
        twists = yield from weigh([c for own in drawn for c in own])
        random, rest = (yield Chance()), iter(twists)
        moved = {
            i: steered(before, own, [next(rest) for _ in own], random) for (i, before), own in zip(parents, drawn, strict=True)
        }
        cloud = [moved[i] if i in moved else cloud[i] for i in range(n)]
        log_weights = [p.log_weight for p in cloud]
        log_normaliser += log_mean(log_weights)
        if not any(steps.going(p.last) for p in cloud):
            return Cloud([Particle((p.last,), (p.twist,)) for p in cloud], log_normaliser)
        # one that has ended is what it is: its weight is multiplied by 1 from here on
        cloud = [Twisted(cloud[i].last, cloud[i].twist, 0.0) for i in systematic(log_weights, n, random)]
        parents = [(i, p.twist) for i, p in enumerate(cloud) if steps.going(p.last)]
        drawn = yield from steps.on([cloud[i].last for i, _ in parents], [width] * len(parents))


@strategies.add("twisted-smc", paper="arXiv 2404.17546")
def twisted_smc(
    task: Task,
    *,
    n: int = 4,
    width: int = 4,
    scorer: str = "logprob",
    step: str = "",
    step_tokens: int = 0,
    temperature: float = 1.0,
) -> Play:
    """`n` particles, each choosing its next step among `width` candidates by value; the answer of the highest value."""
    at_least_1(width=width)
    steps = own_steps(task, n, step, step_tokens, temperature)
    cloud = yield from twisted(task, steps, n, width if n > 1 else 1, weighed_by(scorer))
    return heaviest(cloud.particles)
