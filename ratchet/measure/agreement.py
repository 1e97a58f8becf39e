"""How two raters agree: Cohen's kappa, and intervals of statistics of counts that are no means."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from scipy.special import stdtrit

from ratchet.core.types import Estimate
from ratchet.measure.estimate import check_level, mean


def jackknife(
    statistic: Callable[[np.ndarray], float | None], counts: np.ndarray, clusters: Sequence[Hashable] | None = None,
    level: float = 0.95, unit: str = "tasks", bounds: tuple[float, float] = (0.0, 1.0),
) -> Estimate | None:  # fmt: skip
    """A statistic of the column sums of counts (n, k), with a t interval from leaving out one cluster at a time.

    The interval (Tukey 1958; clusters as in Field and Welsh 2007) is cut at `bounds`. Without clusters each row is its own. None
    where the statistic is. It goes from end to end of the bounds where there is one cluster only, and is that of a mean of n equal
    values where no cluster makes a difference. n counts clusters. ValueError for clusters of another length.
    """
    check_level(level)
    groups = list(range(len(counts))) if clusters is None else list(clusters)
    if len(groups) != len(counts):
        raise ValueError(f"each row needs its cluster, got {len(counts)} rows and {len(groups)} clusters")
    whole = counts.sum(axis=0)
    value = statistic(whole)
    if value is None:
        return None
    places: dict[Hashable, int] = {}
    place = [places.setdefault(g, len(places)) for g in groups]
    totals = np.zeros((len(places), counts.shape[1]))
    np.add.at(totals, place, counts)
    known = [x for own in totals if (x := statistic(whole - own)) is not None]
    n, (low, high) = len(places), bounds
    if n < 2 or not known:
        return Estimate(value, low, high, n, unit, level)
    center = math.fsum(known) / len(known)
    variance = (len(known) - 1) / len(known) * math.fsum((x - center) ** 2 for x in known)
    if variance < 1e-18:
        return mean([value] * n, None, level, unit, bounds)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * math.sqrt(variance)
    return Estimate(value, max(low, value - half), min(high, value + half), n, unit, level)


def cohen_kappa(table: np.ndarray) -> float | None:
    """Agreement beyond chance (Cohen 1960), (p_o - p_e) / (1 - p_e), of counts (yes-yes, yes-no, no-yes, no-no).

    None where there are none, or both raters say one thing only.
    """
    n = table.sum()
    if not n:
        return None
    (a, b, c, d) = table / n
    expected = (a + b) * (a + c) + (c + d) * (b + d)
    return None if math.isclose(expected, 1) else float((a + d - expected) / (1 - expected))


def kappa(
    pairs: Sequence[tuple[bool, bool]], clusters: Sequence[Hashable] | None = None, level: float = 0.95, unit: str = "tasks"
) -> Estimate | None:  # fmt: skip
    """Cohen's kappa of two raters' yes or no, with its interval; None where it is not defined."""
    table = np.array([[a and b, a and not b, b and not a, not a and not b] for a, b in pairs], dtype=float).reshape(-1, 4)
    return jackknife(cohen_kappa, table, clusters, level, unit, (-1.0, 1.0))
