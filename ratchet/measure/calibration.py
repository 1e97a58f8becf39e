"""Does a model that says 70 % come to be right 70 % of the time? Guo et al. 2017 (arXiv 1706.04599)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate
from ratchet.measure.estimate import mean
from ratchet.measure.intervals import Floats
from ratchet.measure.samples import Problem, same

BINS = 10
DRAWS = 499


@dataclass(frozen=True)
class Bin:
    """Confidences in (low, high], the first bin with its low end: how many, their mean, and the share that was right."""

    low: float
    high: float
    n: int
    confidence: float
    right: Estimate


@dataclass(frozen=True)
class Calibration:
    """`error`: expected calibration error, the mean over all of |confidence - share right| by bin (0 is best).

    It is above 0 by chance alone, so `chance` is its mean and `limit` its 95th percentile were the confidences exactly
    right: miscalibration is shown where error > limit. `gap`: mean confidence - share right (above 0: too sure). `brier`:
    mean of (confidence - right) squared (Brier 1950). `of` says what the confidence is.
    """

    error: float
    chance: float
    limit: float
    gap: Estimate
    brier: Estimate
    bins: list[Bin]
    of: str = "confidence"


def calibration(
    confidence: Floats,
    correct: Sequence[bool],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    *,
    bins: int = BINS,
    seed: int = 0,
    unit: str = "answers",
    of: str = "confidence",
) -> Calibration:
    """Calibration of confidences (n,) in [0, 1] by outcomes (n,), in `bins` bins of equal width.

    `chance` and `limit` come from outcomes drawn from the confidences themselves (consistency resampling, Bröcker and
    Smith 2007), one by one: where answers share clusters they are somewhat too low. StoreError for no answers, lists of
    different lengths, or a confidence outside [0, 1].
    """
    p, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if p.ndim != 1 or not p.size or p.shape != right.shape or (clusters is not None and len(clusters) != len(p)):
        raise StoreError(f"calibration needs one outcome for each confidence, at least one, got {p.size} and {right.size}")
    if not ((p >= 0) & (p <= 1)).all():
        raise StoreError(f"calibration needs confidences between 0 and 1, got {p.min():g} to {p.max():g}; scale the scores")
    # 0.07 * 100 is a little above 7 in binary, and 0.07 belongs to the bin that ends there
    place = np.clip(np.ceil(p * bins - 1e-9).astype(int) - 1, 0, bins - 1)

    def error(outcomes: np.ndarray) -> float:
        return np.abs(np.bincount(place, weights=p - outcomes)).sum() / len(p)

    rng = np.random.default_rng(seed)
    # one draw at a time: all at once would take draws x n numbers
    drawn = np.array([error((rng.random(len(p)) < p).astype(float)) for _ in range(DRAWS)])
    table = [
        Bin(i / bins, (i + 1) / bins, int(inside.sum()), float(p[inside].mean()), mean(right[inside].tolist(),
            None if clusters is None else [c for c, here in zip(clusters, inside, strict=True) if here], level, unit))
        for i in range(bins) if (inside := place == i).any()
    ]  # fmt: skip
    gap = mean((p - right).tolist(), clusters, level, unit, (-1.0, 1.0))
    brier = mean(((p - right) ** 2).tolist(), clusters, level, unit)
    return Calibration(
        error(right), float(drawn.mean()), float(np.quantile(drawn, 0.95)), gap, brier, table, of
    )  # fmt: skip


def calibration_of(problems: Sequence[Problem], level: float = 0.95) -> Calibration | None:
    """Calibration of condensed problems: of the stored scores where they can be confidences, else of vote shares.

    A score is one where every labelled sample has a score in [0, 1] and it is not the label itself in numbers. A vote's
    confidence is the share of the labelled samples that gave the problem's majority answer (the one given first of those
    that lead together; samples without an answer vote for nothing), over problems with 2 such samples. None where neither
    is there.
    """
    pairs = [(p, s) for p in problems for s in p.labelled]
    if scored(problems):
        clusters = [p.cluster or p.key for p, _ in pairs]
        values = [float(s.score or 0) for _, s in pairs]
        return calibration(values, [bool(s.correct) for _, s in pairs], clusters, level, unit="problems", of="the stored scores")
    shares: list[float] = []
    right: list[bool] = []
    clusters = []
    for p in problems:
        votes = [(same(s.answer), bool(s.correct)) for s in p.labelled if s.answer is not None]
        if len(p.labelled) < 2 or not votes:
            continue
        leader, count = Counter(answer for answer, _ in votes).most_common(1)[0]
        shares.append(count / len(p.labelled))
        right.append(next(ok for answer, ok in votes if answer == leader))
        clusters.append(p.cluster or p.key)
    return calibration(shares, right, clusters, level, unit="problems", of="vote shares of majority answers") if shares else None


def scored(problems: Sequence[Problem]) -> bool:
    """Whether every labelled sample has a score in [0, 1] that says something else than its label does."""
    labelled = [s for p in problems for s in p.labelled]
    known = bool(labelled) and all(s.score is not None and 0 <= s.score <= 1 for s in labelled)
    return known and not all((s.score == 1) is s.correct for s in labelled)
