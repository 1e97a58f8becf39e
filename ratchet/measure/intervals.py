"""Intervals that `estimate.mean` (Wilson and t) does not give: shares of sums, the (cluster) bootstrap."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from scipy import stats

from ratchet.core.types import Estimate
from ratchet.measure.estimate import check_level as check_level
from ratchet.measure.estimate import mean
from ratchet.measure.estimate import wilson as wilson  # it stands there for `mean`; who looks for intervals looks here

Method = Literal["expanded", "percentile", "BCa"]
Floats = Sequence[float] | np.ndarray
AT_ONCE = 2_000_000  # resampled numbers held in memory together
FEWEST_RESAMPLES = 99  # below, the ends of an interval are its extreme resamples


def bootstrap(
    values: Floats,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    *,
    method: Method = "expanded",
    resamples: int = 9999,
    seed: int = 0,
    unit: str = "tasks",
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Estimate:
    """The mean of `values` (n,) with a bootstrap interval. With `clusters` (n,), whole clusters are resampled.

    `method`: "percentile" (Efron 1979); "BCa" (Efron 1987, corrects bias and skewness); "expanded" (Hesterberg 2015,
    arXiv 1411.5279), the percentile interval read at a level that makes up for its being too narrow with few
    values or clusters, see `expanded_level`. Clusters: Field and Welsh 2007 (JRSS B 69:369), one stage: the estimate
    is the mean over all values, so that a larger cluster weighs more, as in `estimate.mean`.

    n of the result counts clusters. Where no cluster differs from another, nothing can be resampled, and the interval
    is that of `estimate.mean` with `bounds`. Raises ValueError for no values, values that are not finite, clusters of
    another length, or an unknown method.
    """
    check_level(level)
    if method not in ("expanded", "percentile", "BCa"):
        raise ValueError(f"the bootstrap has the methods expanded, percentile and BCa, got {method!r}")
    if resamples < FEWEST_RESAMPLES:
        raise ValueError(f"a bootstrap interval needs at least {FEWEST_RESAMPLES} resamples, got {resamples}")
    sums, counts = cluster_totals(values, clusters)
    n, center = len(sums), sums.sum() / counts.sum()
    if np.ptp(sums - counts * center) < 1e-9:
        return mean(np.asarray(values, dtype=float).tolist(), clusters, level, unit, bounds)
    asked = expanded_level(level, n, n - 1) if method == "expanded" else level
    # a mean of single values is half the work of a ratio of totals
    data, statistic = ((sums,), np.mean) if clusters is None else ((sums, counts), ratio)
    found = stats.bootstrap(
        data,
        statistic,
        paired=clusters is not None,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, AT_ONCE // n),
        confidence_level=asked,
        method="BCa" if method == "BCa" else "percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(float(center), float(found.low), float(found.high), n, unit, level)


def share_of(
    parts: Floats, wholes: Floats, clusters: Sequence[Hashable] | None = None, level: float = 0.95, unit: str = "tasks"
) -> Estimate:
    """sum(parts) / sum(wholes) of (n,) and (n,), 0 <= parts <= wholes, as the share of solved problems that stay solved.

    The interval is that of a ratio estimator (Cochran 1977, Sampling Techniques, ch. 6): of the mean of
    parts - share * wholes by `estimate.mean`, clustered, cut at 0 and 1; where wholes are equal, that of the mean of their
    shares. Where a whole is 0 nothing was asked, and it does not count in n. Raises ValueError where all wholes are 0, or
    parts do not lie within their wholes.
    """
    check_level(level)
    part, whole = np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
    if part.shape != whole.shape or part.ndim != 1 or not (whole > 0).any() or not ((part >= 0) & (part <= whole + 1e-9)).all():
        raise ValueError("a share needs parts between 0 and their wholes, in lists of the same length, one whole above 0")
    asked = whole > 0
    part, whole = part[asked], whole[asked]
    value = float(part.sum() / whole.sum())
    groups = None if clusters is None else [c for c, there in zip(clusters, asked, strict=True) if there]
    if value in (0, 1) or not np.ptp(whole):  # a mean of shares like any other
        return mean(np.minimum(part / whole, 1.0).tolist(), groups, level, unit)
    e = mean(((part - value * whole) / whole.mean()).tolist(), groups, level, unit, (-value, 1 - value))
    return Estimate(value, max(0.0, value + e.low), min(1.0, value + e.high), e.n, unit, level)


def expanded_level(level: float, n: int, freedom: int) -> float:
    """The level at which to read a percentile interval of resamples of n, so that it covers as often as `level` says.

    Resamples of n values spread by (n - 1) / n of the variance that the mean has, and their quantiles are those of a
    normal where a t with `freedom` degrees is due. Hesterberg 2015 (arXiv 1411.5279) undoes both.
    """
    if n < 2 or freedom < 1:
        raise ValueError(f"an expanded interval needs at least 2 values, got {n}")
    quantile = stats.t.ppf(0.5 + level / 2, freedom) * math.sqrt(n / (n - 1))
    return float(min(1 - 2 * stats.norm.sf(quantile), 1 - 1e-12))


def cluster_totals(values: Floats, clusters: Sequence[Hashable] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values of each cluster, (clusters,) each, in the order in which clusters first appear.

    Without clusters each value is its own. Raises ValueError for no values, values that are not finite, or clusters of
    another length.
    """
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim != 1 or not numbers.size:
        raise ValueError(f"statistics need one list with at least one value, got shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError("statistics need finite values, got one that is infinite or not a number")
    if clusters is None:
        return numbers, np.ones_like(numbers)
    if len(clusters) != len(numbers):
        raise ValueError(f"each value needs its cluster, got {len(numbers)} values and {len(clusters)} clusters")
    places: dict[Hashable, int] = {}
    place = [places.setdefault(c, len(places)) for c in clusters]
    return np.bincount(place, weights=numbers), np.bincount(place).astype(float)


def ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> Any:
    """The mean over all values from the totals of clusters, along an axis."""
    return sums.sum(axis=axis) / counts.sum(axis=axis)
