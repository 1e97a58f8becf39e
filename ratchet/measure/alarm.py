"""Reward against truth on audited samples: the alarm that a model learns the reward and not the task.

Once a reward is what is optimised it stops measuring what it was made for (Goodhart); Gao et al. 2022 (arXiv 2210.10760)
show reward rising while the true score turns down. A reward that is merely biased has a constant gap to the truth. What
tells of hacking is a gap that grew.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate
from ratchet.measure.estimate import mean
from ratchet.measure.intervals import cluster_totals, share_of

UNIT = "audited samples"


@dataclass(frozen=True)
class Audited:
    """Audited samples of one version or turn: `rewards` (n,) in [0, 1], `truths` (n,) 0 or 1, `clusters` (n,) or None."""

    rewards: Sequence[float]
    truths: Sequence[bool]
    clusters: Sequence[Hashable] | None = None


@dataclass(frozen=True)
class Alarm:
    """By version: `gaps`, the mean of reward - truth, and `precision`, the share true of what was rewarded (None: nothing was).

    `growth`: the gap's slope, per version. `p`: one-sided, of a gap that did not grow. `hacking`: p <= 1 - level.
    """

    gaps: list[Estimate]
    precision: list[Estimate | None]
    growth: float
    p: float
    hacking: bool
    level: float


def alarm(versions: Sequence[Audited], level: float = 0.95, *, rewarded: float = 0.5, unit: str = UNIT) -> Alarm:
    """Whether reward - truth grew over versions, in their order; a sample is rewarded from `rewarded` on.

    The test is a contrast of the versions' means, with weights rising evenly, by Welch's t (for two versions his test of two
    means), over clusters. A version whose gaps hardly differ would seem sure of itself: each gets two more samples, half a
    unit to either side of its mean, for the variance alone (after Agresti and Caffo 2000). Versions are taken as
    independent; where they are judged on the same tasks, that is on the safe side. This is one look: who looks at every
    turn shares the error between the looks (`sequential.spend`). StoreError for fewer than two versions, one without
    samples, lists of different lengths, or numbers out of range.
    """
    if len(versions) < 2 or not 0.5 <= level < 1:
        raise StoreError(f"an alarm needs at least two versions and a level of 0.5 or more, got {len(versions)} and {level}")
    gaps, precision, means, errors, freedom = [], [], [], [], []
    for i, v in enumerate(versions):
        reward, truth = np.asarray(v.rewards, dtype=float), np.asarray(v.truths, dtype=float)
        if reward.ndim != 1 or not reward.size or reward.shape != truth.shape:
            raise StoreError(
                f"alarm, version {i}: it needs a reward and a truth for each sample, got {reward.size} and {truth.size}"
            )
        if not ((reward >= 0) & (reward <= 1)).all() or not np.isin(truth, (0, 1)).all():
            raise StoreError(f"alarm, version {i}: rewards lie between 0 and 1 and truths are 0 or 1; scale the rewards")
        gap = reward - truth
        sums, counts = cluster_totals(gap, v.clusters)
        n, center = len(sums), float(gap.mean())
        spread = (sums - counts * center) / counts.mean()
        means.append(center)
        errors.append((float(spread @ spread) + 0.5) / (n + 1) / n)
        freedom.append(n + 1)
        gaps.append(mean(gap.tolist(), v.clusters, level, unit, (-1.0, 1.0)))
        paid = (reward >= rewarded).astype(float)
        precision.append(share_of(paid * truth, paid, v.clusters, level, unit) if paid.any() else None)
    weights = np.arange(len(versions)) - (len(versions) - 1) / 2
    weights /= weights @ weights  # of a least-squares slope
    parts = weights**2 * np.array(errors)
    growth = float(weights @ np.array(means))
    t = growth / math.sqrt(parts.sum())
    p = float(stats.t.sf(t, parts.sum() ** 2 / float((parts**2 / np.array(freedom)).sum())))
    return Alarm(gaps, precision, growth, p, p <= 1 - level, level)
