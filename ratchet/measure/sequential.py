"""Looking more than once: tests whose chance of any false alarm over all looks stays below the error that was asked.

Three ways, from the one that knows most beforehand to the one that knows least:

- `spend` + any test: looks at fresh data or at whatever, each with its share of the error (union bound).
- `boundaries`, `first_crossing`: a fixed plan of looks at data that accumulate. Sharper than `spend`, because the looks
  share data; rests on the normal approximation of a mean.
- `confidence_sequence`: an interval after every value that holds at all times together, so that one may look whenever,
  stop whenever and go on. No approximation; values must be bounded. The price is width.

Values must be independent: of tasks that share a source, give the mean of each cluster as one value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral

import numpy as np
from scipy import optimize, special, stats

from ratchet.measure.intervals import Floats, check_level

REACH = 8.0  # standard errors beyond which a Brownian path is not followed
LEAST = 1e-12  # error below which a look has none to spend

# How much of a one-sided `error` is spent when a share t of the data is in (Lan and DeMets 1983, Biometrika 70:659):
# like O'Brien-Fleming, almost nothing early and nearly a fixed-n test at the end; like Pocock, about equal thresholds;
# or in proportion to the data.
SPENDING: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "obrien-fleming": lambda t, error: 2 * stats.norm.sf(stats.norm.isf(error / 2) / np.sqrt(t)),
    "pocock": lambda t, error: error * np.log1p((math.e - 1) * t),
    "even": lambda t, error: error * t,
}


def spend(fractions: Floats, error: float = 0.05, spending: str = "even") -> np.ndarray:
    """The error (looks,) that each planned look may use; they sum to `error` at fraction 1.

    `fractions` (looks,) is the share of all planned data that is in at each look, rising, at most 1. By the union bound
    this holds however the looks depend on each other; "even" over equal looks is Bonferroni. Raises ValueError for a
    plan that does not rise within (0, 1] or an unknown spending.
    """
    t = _plan(fractions, error, spending)
    return np.diff(SPENDING[spending](t, error), prepend=0.0)


def boundaries(fractions: Floats, error: float = 0.05, spending: str = "obrien-fleming") -> np.ndarray:
    """Thresholds (looks,) for |z| at each look at accumulating data; some look passes its own with chance `error`.

    Two-sided: each side spends error / 2 by the plan. Under the null, z * sqrt(t) is Brownian motion at t, so the
    chance to cross first at a look is an integral over where the paths that have not crossed were at the look before
    (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, ch. 19), here by Gauss-Legendre quadrature. A look
    with next to no error to spend has threshold infinity. Raises ValueError as `spend` does.
    """
    t = _plan(fractions, error, spending)
    spent = 2 * SPENDING[spending](t, error / 2)
    found: list[float] = []
    used, before = 0.0, 0.0
    places, mass = np.zeros(1), np.ones(1)  # where paths are that have not crossed, and how much of them
    for now, may in zip(t, spent, strict=True):
        step = math.sqrt(now - before)
        reach = REACH * math.sqrt(now)
        share = float(may - used)
        if share < max(LEAST, _crossing(reach, places, mass, step)):
            found.append(math.inf)
            edge = reach
        else:
            edge = float(np.asarray(optimize.brentq(_excess, 0.0, reach, (places, mass, step, share), xtol=1e-10)))
            found.append(edge / math.sqrt(now))
            used = float(may)
        nodes, weights = np.polynomial.legendre.leggauss(max(64, math.ceil(12 * edge / step)))
        arrived = stats.norm.pdf((edge * nodes[:, None] - places) / step) @ mass / step
        places, mass, before = edge * nodes, edge * weights * arrived, float(now)
    return np.array(found)


def _crossing(edge: float, places: np.ndarray, mass: np.ndarray, step: float) -> float:
    """The chance of paths at `places` to be outside -edge and edge after a step of that standard deviation."""
    return float(mass @ (special.ndtr((places - edge) / step) + special.ndtr((-edge - places) / step)))


def _excess(edge: float, places: np.ndarray, mass: np.ndarray, step: float, share: float) -> float:
    return _crossing(edge, places, mass, step) - share


@lru_cache(maxsize=64)
def _thresholds(ends: tuple[int, ...], error: float, spending: str) -> tuple[float, ...]:
    return tuple(boundaries(np.asarray(ends, float) / ends[-1], error, spending).tolist())


@dataclass(frozen=True)
class Crossing:
    """`look`: the first planned look (from 1) that told the mean from 0, or None. `direction`: +1, -1, or 0 for none."""

    look: int | None
    direction: int


def first_crossing(values: Floats, ends: Sequence[int], error: float = 0.05, spending: str = "obrien-fleming") -> Crossing:
    """Test at each planned look whether the mean of the values so far is 0, with `error` over all looks together.

    `values` (n,): independent differences in the order in which they came. `ends` (looks,): how many are in at each
    planned look, the last the planned total; looks not reached yet (`ends` beyond n) are left out. The variance is
    estimated, so a look's threshold for z is turned into one for the p of a t test (Jennison and Turnbull 2000, sec.
    3.8). Raises ValueError for a plan that does not rise or starts below 2 values.
    """
    x = _finite(values)
    if not len(ends) or not all(isinstance(end, Integral) for end in ends) or ends[0] < 2:
        raise ValueError(f"a plan of looks needs whole numbers, at least one, the first at 2 values or more, got {list(ends)}")
    for look, (end, threshold) in enumerate(zip(ends, _thresholds(tuple(ends), error, spending), strict=True), 1):
        if end > len(x):
            break
        mean, sd = float(x[:end].mean()), float(x[:end].std(ddof=1))
        if not sd:  # as in `estimate.mean`, equal values say little of what others may be: wait for the next look
            continue
        t = mean / sd * math.sqrt(end)
        if special.stdtr(end - 1, -abs(t)) < special.ndtr(-threshold):
            return Crossing(look, 1 if mean > 0 else -1)
    return Crossing(None, 0)


def confidence_sequence(
    values: Floats, level: float = 0.95, bounds: tuple[float, float] = (-1.0, 1.0), grid: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds (n,), (n,) for the mean after each value: all hold together with chance `level`.

    Hedged betting of Waudby-Smith and Ramdas 2024 (JRSS B 86:1, arXiv 2010.09686, thm. 3 with eq. 26). Scale values to
    [0, 1]. Whoever bets, before seeing X_t, a share b_t(m) of the wealth on X_t > m multiplies it by
    1 + b_t(m) * (X_t - m), whose expectation is 1 if m is the mean; so by Ville's inequality the wealth ever reaches
    2 / alpha with a chance of at most alpha / 2, and an m for which it did is too small. The same with 1 - X gives the
    upper bound, and the two misses add up to alpha. Holds for any independent values with one mean (more generally,
    where each has that mean given those before it); the size of the bets matters only for the width.

    The bounds lie on `grid` + 1 points, rounded outward, and never widen again. Raises ValueError for values outside
    `bounds`.
    """
    check_level(level)
    x = _finite(values)
    least, most = bounds
    if not least < most:
        raise ValueError(f"bounds are a lower and a higher number, got {bounds}")
    if x.min() < least or x.max() > most:
        raise ValueError(f"values must lie within {bounds}, got {x.min():g} to {x.max():g}")
    if grid < 10:
        raise ValueError(f"a grid needs at least 10 points, got {grid}")
    scaled = (x - least) / (most - least)
    low = _lower(scaled, 1 - level, grid)
    high = 1 - _lower(1 - scaled, 1 - level, grid)
    return least + (most - least) * low, least + (most - least) * high


def _lower(x: np.ndarray, alpha: float, grid: int) -> np.ndarray:
    """Lower bounds for the mean of x in [0, 1]: the largest m at which a bet on more has ever earned 2 / alpha."""
    t = np.arange(1, len(x) + 1)
    # mean and variance of what came before each value, drawn towards 1/2 and 1/4: bets may not look ahead
    means = (0.5 + np.cumsum(x)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    known = np.concatenate(([0.25], variances[:-1]))
    bets = np.sqrt(2 * math.log(2 / alpha) / (known * t * np.log1p(t)))
    m = np.arange(grid + 1) / grid
    most = 0.75 / np.maximum(m, 1e-12)  # so that no loss takes more than three quarters of the wealth
    best, carried = np.full(grid + 1, -math.inf), np.zeros(grid + 1)
    found = np.empty(len(x))
    for start in range(0, len(x), 1000):
        part = slice(start, start + 1000)
        wealth = carried + np.cumsum(np.log1p(np.minimum(bets[part, None], most) * (x[part, None] - m)), axis=0)
        carried = wealth[-1]
        highest = np.maximum(np.maximum.accumulate(wealth, axis=0), best)
        best = highest[-1]
        # wealth falls with m, so the m that are too small come first; the bound is the last of them
        found[part] = np.maximum((highest >= math.log(2 / alpha)).sum(axis=1) - 1, 0) / grid
    return found


def _plan(fractions: Floats, error: float, spending: str) -> np.ndarray:
    t = np.asarray(fractions, dtype=float)
    if t.ndim != 1 or not t.size or not (np.diff(t, prepend=0.0) > 0).all() or t[-1] > 1:
        raise ValueError("a plan of looks needs shares of the data that rise from above 0 to at most 1")
    if not 0 < error < 1:
        raise ValueError(f"an error lies between 0 and 1, got {error}")
    if spending not in SPENDING:
        raise ValueError(f"spending is one of {', '.join(SPENDING)}, got {spending!r}")
    return t


def _finite(values: Floats) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise ValueError("a sequential test needs one list of finite values, at least one")
    return x
