"""Particle Gibbs: particle filters one after another, each holding on to one answer of the one before, drawn by weight (Puri et al.
2025, arXiv 2502.01618, their second sampler; Andrieu, Doucet, Holenstein 2010).

A sweep leaves the posterior as it is: held answers of it give held answers of it, however few the particles.
Scale: values in [0, 1]; of `logprob` the probability per token counts.
Departures: those of particles.py, but with multinomial resampling, for which the sweep's law is simple.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_1
from ratchet.core.types import Chance, Play, Task
from ratchet.search.particles import Cloud, Particle, filtered, heaviest, multinomial, weighed_by
from ratchet.search.steps import Asking, own_steps
from ratchet.search.strategy import strategies


def retained(cloud: Cloud) -> Asking[Particle]:
    """One particle of a finished filter, drawn by weight."""
    random = yield Chance()
    return cloud.particles[multinomial([p.log_weight for p in cloud.particles], 1, random)[0]]


@strategies.add("particle-gibbs", paper="arXiv 2502.01618")
def particle_gibbs(
    task: Task,
    *,
    n: int = 8,
    sweeps: int = 2,
    scorer: str = "logprob",
    step: str = "",
    step_tokens: int = 0,
    temperature: float = 1.0,
) -> Play:
    """`sweeps` filters of `n` particles, all but the first with one that is held; the answer of the highest value of all (paper: a
    total of particles shared out over sweeps)."""
    at_least_1(sweeps=sweeps)
    steps, weigh = own_steps(task, n, step, step_tokens, temperature), weighed_by(scorer)
    cloud = yield from filtered(task, steps, n, weigh)
    found = list(cloud.particles)
    with suppress(BudgetError):
        for _ in range(sweeps - 1 if n > 1 else 0):
            held = yield from retained(cloud)
            cloud = yield from filtered(task, steps, n, weigh, held)
            found += cloud.particles
    return heaviest(found)
