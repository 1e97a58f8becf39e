"""How many turns an agent does without an error: the horizon length H_s of long-horizon execution (arXiv 2509.09677).

Only an episode's first error counts. The share of episodes that are still without one after turn t falls with t, and H_s
is where it reaches s. An agent whose every turn is right with the same chance p has the share p ** t and H_s =
ln s / ln p, so that its errors halved are its horizon doubled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ratchet.core.types import Estimate
from ratchet.measure.intervals import check_level


def constant_horizon(p: float, share: float = 0.5) -> float:
    """H_share in turns of an agent whose every turn is right with chance `p`. ValueError unless both lie in (0, 1).

    >>> round(constant_horizon(0.99), 1), round(constant_horizon(0.995), 1)
    (69.0, 138.3)
    """
    if not 0 < p < 1 or not 0 < share < 1:
        raise ValueError(f"a horizon needs a chance and a share between 0 and 1, got {p} and {share}")
    return math.log(share) / math.log(p)


def completed(right: Sequence[bool] | Sequence[int]) -> int:
    """Turns before the first wrong one of an episode; all of them where none is wrong.

    >>> completed([1, 1, 0, 1])
    2
    """
    return next((turn for turn, good in enumerate(right) if not good), len(right))


def survival(done: Sequence[int], turns: int) -> np.ndarray:
    """Share of episodes without an error in the first t turns, (turns + 1,) for t of 0 to `turns`.

    `done` (episodes,) has the turns of each before its first error, `turns` where it had none in all of them. ValueError
    for no episodes, or a count outside 0 to `turns`.
    """
    return _alive(_counts(done, turns)) / len(done)


def horizon(
    done: Sequence[int], turns: int, share: float = 0.5, level: float = 0.95, *, resamples: int = 1999, seed: int = 0
) -> Estimate:
    """H_share in turns, with the percentile bootstrap interval over episodes (Efron 1979).

    `done` (episodes,) as in `survival`. The paper's horizon is a whole number, the last turn at which the share is not
    below `share`; this is the place between it and the next at which the share would cross, were the chance of an error the
    same within the turn. Its whole part is the paper's, and of an agent with constant p it is ln share / ln p with no jumps.

    Where the share never falls below `share` the horizon is not seen: the value and the upper end are infinite, and the
    lower end is at most `turns`. Where all episodes ended at one turn, there is nothing to resample and the width is 0.
    ValueError for what `survival` refuses, a level or share outside (0, 1), or fewer than 99 resamples.
    """
    check_level(level)
    if not 0 < share < 1:
        raise ValueError(f"a horizon needs a share between 0 and 1, got {share}")
    if resamples < 99:
        raise ValueError(f"a bootstrap interval needs at least 99 resamples, got {resamples}")
    counts, n = _counts(done, turns), len(done)
    value = float(_crossing(_alive(counts) / n, share))
    # drawing episodes with replacement is drawing the counts of how far they came
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    found = _crossing(_alive(drawn) / n, share)
    # no interpolation between ranks: next to an infinite one it has no value
    low = float(np.quantile(found, 0.5 - level / 2, method="lower"))
    high = float(np.quantile(found, 0.5 + level / 2, method="higher"))
    return Estimate(value, min(low, float(turns)), high, n, "episodes", level)


def _counts(done: Sequence[int], turns: int) -> np.ndarray:
    """Episodes by the turns that they did, (turns + 1,)."""
    numbers = np.asarray(done)
    if numbers.ndim != 1 or not numbers.size or turns < 1 or not np.isin(numbers, np.arange(turns + 1)).all():
        raise ValueError(f"a horizon needs one whole number of 0 to {turns} turns per episode, at least one")
    return np.bincount(numbers.astype(int), minlength=turns + 1)


def _alive(counts: np.ndarray) -> np.ndarray:
    """From episodes that did exactly t turns to those that did at least t, along the last axis."""
    return np.flip(np.flip(counts, -1).cumsum(-1), -1)


def _crossing(alive: np.ndarray, share: float) -> np.ndarray:
    """Where curves (..., turns + 1), falling from 1, cross `share` on a logarithmic scale; infinite where they do not."""
    after = (alive < share).argmax(-1)  # 0 where no turn is below, as the curve begins at 1
    before = np.maximum(after - 1, 0)
    high = np.take_along_axis(alive, before[..., None], -1)[..., 0]
    low = np.take_along_axis(alive, after[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):  # to no episodes at all the logarithm falls at once
        within = np.log(high / share) / np.log(high / low)
    return np.where(after > 0, before + within, np.inf)
