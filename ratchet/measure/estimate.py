"""Means and paired differences with intervals, clustered where tasks share a source; unbiased pass@k."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

from scipy.special import stdtrit

from ratchet.core.types import Estimate


def mean(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    unit: str = "tasks",
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Estimate:
    """The mean with a t interval on cluster totals (the cluster-robust variance with the G / (G - 1) correction).

    Without clusters each value is its own. n counts clusters. Where all values are equal the t interval has no width:
    then it is what n equal values leave possible, given that no value lies outside `bounds`.
    """
    if not values:
        raise ValueError("an estimate needs at least one value")
    center = math.fsum(values) / len(values)
    residuals: dict[Hashable, float] = defaultdict(float)
    for i, value in enumerate(values):
        residuals[clusters[i] if clusters is not None else i] += value - center
    n = len(residuals)
    variance = math.fsum(r * r for r in residuals.values()) * n / max(n - 1, 1) / len(values) ** 2
    if variance < 1e-18:
        # with confidence `level` at most this share of the population differs from what all n had
        other = 1 - (1 - level) ** (1 / n)
        return Estimate(center, center - other * (center - bounds[0]), center + other * (bounds[1] - center), n, unit, level)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * math.sqrt(variance) if n > 1 else math.inf
    return Estimate(center, center - half, center + half, n, unit, level)


def paired_difference(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """Mean of b - a over the same tasks, in the same order. Equal lists give a difference of exactly 0, width 0."""
    if len(a) != len(b):
        raise ValueError(f"a paired comparison needs the same tasks on both sides, got {len(a)} and {len(b)}")
    differences = [y - x for x, y in zip(a, b, strict=True)]
    if not any(differences):
        n = len(set(clusters)) if clusters is not None else len(a)
        return Estimate(0.0, 0.0, 0.0, n, "tasks", level)
    return mean(differences, clusters, level, bounds=(-1.0, 1.0))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k of n samples, c of them right, hold a right one (Chen et al. 2021, arXiv 2107.03374, eq. 1).

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [1 << i for i in range(most.bit_length()) if 1 << i <= most]
