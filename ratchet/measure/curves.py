"""Reinforcement learning results over tasks and seeds: interquartile mean, stratified bootstrap (arXiv 2108.13264)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from ratchet.core.types import Estimate
from ratchet.measure.intervals import AT_ONCE, FEWEST_RESAMPLES, check_level, expanded_level


def interquartile_mean(scores: np.ndarray) -> float:
    """Mean of the middle half of all scores (any shape): the lowest and highest quarter of the numbers are left out.

    Agarwal et al. 2021 (arXiv 2108.13264, sec. 4.3): as robust as the median, and far less noisy. A quarter that is not
    a whole number of scores is rounded down. Raises ValueError for no scores or scores that are not finite.
    """
    x = np.asarray(scores, dtype=float)
    if not x.size or not np.isfinite(x).all():
        raise ValueError("an interquartile mean needs finite scores, at least one")
    return float(stats.trim_mean(x.ravel(), 0.25))


def interquartile_curve(
    scores: np.ndarray,
    level: float = 0.95,
    *,
    method: Literal["expanded", "percentile"] = "expanded",
    resamples: int = 2000,
    seed: int = 0,
) -> list[Estimate]:
    """Interquartile mean at each point of a learning curve, with intervals from resampling seeds within each task.

    `scores` (seeds, tasks, points) in the unit of the score; (seeds, tasks) is a curve of one point. Whole runs are
    resampled, for each task on its own (stratified bootstrap, Agarwal et al. 2021, arXiv 2108.13264, sec. 4.1). The
    intervals are for each point by itself, and for these tasks, not for others like them.

    "percentile" is the paper's interval. With s seeds the resamples of a task spread by (s - 1) / s of the variance of
    its mean only; "expanded" makes up for that (`intervals.expanded_level`). n of the results counts runs. A point
    where all seeds of each task agree has width 0. Raises ValueError for fewer than 2 seeds or scores that are not
    finite.
    """
    check_level(level)
    if resamples < FEWEST_RESAMPLES:
        raise ValueError(f"a bootstrap interval needs at least {FEWEST_RESAMPLES} resamples, got {resamples}")
    x = np.asarray(scores, dtype=float)
    if x.ndim == 2:
        x = x[:, :, None]
    if x.ndim != 3 or x.shape[0] < 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(
            f"a curve needs finite scores of shape (seeds, tasks, points) with at least 2 seeds, got {np.shape(scores)}"
        )
    if method not in ("expanded", "percentile"):
        raise ValueError(f"curves have the methods expanded and percentile, got {method!r}")
    seeds, tasks, points = x.shape

    def statistic(*runs: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(stats.trim_mean(np.concatenate(runs, axis=axis), 0.25, axis=axis))

    found = stats.bootstrap(
        tuple(x[:, i] for i in range(tasks)),  # SciPy resamples each of several samples on its own: the strata
        statistic,
        axis=0,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, AT_ONCE // x.size),
        confidence_level=expanded_level(level, seeds, tasks * (seeds - 1)) if method == "expanded" else level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = np.atleast_1d(found.low), np.atleast_1d(found.high)
    return [
        Estimate(interquartile_mean(x[:, :, i]), float(low[i]), float(high[i]), seeds * tasks, "runs", level)
        for i in range(points)
    ]
