"""What a learner will reach with all of the data, from its accuracy on a part: power laws with an asymptote.

Vilares Ferro, Darriba Bilbao and Ribadas Pena, Modeling of learning curves with applications to POS tagging (arXiv
2402.02515, Computer Speech and Language 41). One power law is fitted to each growing prefix of the observations; the
sequence of their asymptotes should fall once it is past the prediction level, and learning may stop where neighbours
of that sequence differ by at most a threshold.

Departures: only the paper's abstract was at hand. The prediction level is found from what is known at the time: an
asymptote that can be reached at all, and two falls in a row. The condition for stopping is on neighbouring asymptotes.
An anchor is one more observation, at infinity, of the asymptote before; it is set from the first asymptote on that can
be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

RATES = (0.02, 5.0)  # slower than the first is a straight line in log(size), faster than the second a step
FEWEST = 3  # observations for three parameters


@dataclass(frozen=True)
class Trend:
    """accuracy(size) = asymptote - gap * size ** -rate, fitted to the first `level` observations."""

    asymptote: float
    gap: float
    rate: float
    level: int

    def __call__(self, size: float) -> float:
        return self.asymptote - self.gap * size**-self.rate


def power_law(sizes: Sequence[float], accuracies: Sequence[float], anchor: float | None = None) -> Trend:
    """The power law of least squares through `accuracies` (n,) at `sizes` (n,), in the accuracies' unit.

    It rises or is flat (gap >= 0), its rate lies within `RATES`, its asymptote is free: an asymptote above what an
    accuracy can be says that the observations do not bend yet. For each rate the best gap and asymptote are known in
    closed form, so that a search over rates finds the best of all. `anchor` is one more observation, at infinite size.
    Raises ValueError for fewer than 3 observations, sizes that do not rise from above 0, or numbers that are not finite.
    """
    x, y = checked(sizes, accuracies)
    low, high = np.log(RATES[0]), np.log(RATES[1])
    for _ in range(5):  # each round looks between the neighbours of the best rate so far
        rates = np.exp(np.linspace(low, high, 41))
        asymptotes, gaps, errors = best_of_each(x / x[0], y, rates, anchor)
        best = int(errors.argmin())
        low, high = np.log(rates[max(best - 1, 0)]), np.log(rates[min(best + 1, len(rates) - 1)])
    rate = float(rates[best])
    return Trend(float(asymptotes[best]), float(gaps[best] * x[0] ** rate), rate, len(x))


def best_of_each(
    x: np.ndarray, y: np.ndarray, rates: np.ndarray, anchor: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Asymptote, gap and sum of squares (R,) of the best line through (x ** -rate, y) that does not rise, for each rate."""
    u = x[:, None] ** -rates
    if anchor is not None:
        u, y = np.vstack([u, np.zeros(len(rates))]), np.append(y, anchor)
    centred = u - u.mean(0)
    gaps = np.maximum(0.0, -(centred * y[:, None]).sum(0) / (centred**2).sum(0))
    asymptotes = y.mean() + gaps * u.mean(0)
    return asymptotes, gaps, ((asymptotes - gaps * u - y[:, None]) ** 2).sum(0)


def log_line(sizes: Sequence[float], accuracies: Sequence[float], ceiling: float = 100.0) -> Callable[[float], float]:
    """The straight line of least squares in log(size), cut at `ceiling`: a baseline that never bends."""
    x, y = checked(sizes, accuracies)
    slope, start = np.polyfit(np.log(x), y, 1)
    return lambda size: min(ceiling, float(start + slope * np.log(size)))


def trends(sizes: Sequence[float], accuracies: Sequence[float], *, anchored: bool = False, ceiling: float = 100.0) -> list[Trend]:
    """The power laws of the first 3, 4, ... n observations (n - 2 of them): the paper's learning trace.

    With `anchored`, each after the first whose asymptote is at most `ceiling` has that of the one before as its anchor,
    so that an irregular observation moves it less. Raises ValueError as `power_law` does.
    """
    checked(sizes, accuracies)
    found: list[Trend] = []
    for level in range(FEWEST, len(sizes) + 1):
        reachable = any(t.asymptote <= ceiling for t in found)
        anchor = found[-1].asymptote if anchored and reachable else None
        found.append(power_law(sizes[:level], accuracies[:level], anchor))
    return found


def prediction_level(trace: Sequence[Trend], *, ceiling: float = 100.0, falls: int = 2) -> int | None:
    """The place in the trace from which its asymptotes are taken to fall, or None: the first that is at most `ceiling`
    and ends `falls` steps, none of which rises. It looks at no later trend."""
    for i in range(falls, len(trace)):
        last = [t.asymptote for t in trace[i - falls : i + 1]]
        if last[-1] <= ceiling and all(b <= a for a, b in pairwise(last)):
            return i
    return None


def stopping_level(trace: Sequence[Trend], tau: float, *, ceiling: float = 100.0, falls: int = 2) -> int | None:
    """The place in the trace at which learning may stop, or None: the first at or after the prediction level whose
    asymptote lies within `tau`, in the accuracies' unit, of the one before. Raises ValueError for a tau below 0."""
    if not tau >= 0:
        raise ValueError(f"a threshold of nearness must be at least 0, got {tau}")
    start = prediction_level(trace, ceiling=ceiling, falls=falls)
    if start is None:
        return None
    near = (i for i in range(start, len(trace)) if abs(trace[i].asymptote - trace[i - 1].asymptote) <= tau)
    return next(near, None)


def falls_from(trace: Sequence[Trend], start: int, slack: float = 1e-6) -> bool:
    """Whether no asymptote after the place `start` rises by more than `slack` over the one before it."""
    asymptotes = [t.asymptote for t in trace[start:]]
    return all(b <= a + slack for a, b in pairwise(asymptotes))


def checked(sizes: Sequence[float], accuracies: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(sizes, dtype=float), np.asarray(accuracies, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < FEWEST:
        raise ValueError(f"a learning curve needs at least {FEWEST} sizes and as many accuracies, got {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and x[0] > 0 and (np.diff(x) > 0).all()):
        raise ValueError("a learning curve needs finite accuracies, and sizes that rise from above 0")
    return x, y
