"""Means and paired differences with intervals, clustered where tasks share a source; unbiased pass@k."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

from scipy.special import ndtri, stdtrit

from ratchet.core.types import Estimate


def mean(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95, unit: str = "tasks"
) -> Estimate:
    """The mean with a t interval on cluster totals (the cluster-robust variance with the G / (G - 1) correction).

    Without clusters each value is its own. n counts clusters. Where all values are equal the t interval has no width;
    for values of 0 or 1 the Wilson interval over n stands in, else the interval is the whole of [-1, 1].
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
        low, high = wilson(center, n, level) if center in (0.0, 1.0) else (center, center) if n > 1 else (-1.0, 1.0)
        return Estimate(center, low, high, n, unit, level)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * math.sqrt(variance) if n > 1 else math.inf
    return Estimate(center, center - half, center + half, n, unit, level)


def wilson(p: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion p of n."""
    z = float(ndtri(0.5 + level / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 0.0 if p == 0 else max(0.0, middle - half), 1.0 if p == 1 else min(1.0, middle + half)


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
    return mean(differences, clusters, level)


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
