"""Does a model that says 70 % come to be right 70 % of the time? Guo et al. 2017 (arXiv 1706.04599)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate
from ratchet.measure.estimate import mean
from ratchet.measure.intervals import Floats
from ratchet.measure.samples import Problem, same, unit_of

BINS = 10
DRAWS = 499
FEWEST = 20  # problems or clusters; below, an error says nothing


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
    right: miscalibration is shown where error > limit. `no_verdict` says why none can be given; `limit` is infinite then.
    `gap`: mean confidence - share right (above 0: too sure). `brier`: mean of (confidence - right) squared (Brier 1950).
    `of` says what the confidence is.
    """

    error: float
    chance: float
    limit: float
    gap: Estimate
    brier: Estimate
    bins: list[Bin]
    of: str = "confidence"
    no_verdict: str = ""

    @property
    def verdict(self) -> str:
        if self.no_verdict:
            return f"no verdict, {self.no_verdict}"
        return "miscalibrated" if self.error > self.limit else "not told from calibrated"


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
    Smith 2007). How much outcomes of one cluster have in common is not known, so all of them are drawn with one random
    number: no other way to depend that keeps the confidences right moves the error of a bin more on average, so that calibrated confidences
    are called miscalibrated no more often than promised. The price is power: 8 samples of each of 100 problems tell what 100
    would. With fewer than `FEWEST` clusters there is no verdict. StoreError for no answers, lists of different lengths, or
    a confidence outside [0, 1].
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
    places: dict[Hashable, int] = {}
    one = np.array([places.setdefault(c, len(places)) for c in (range(len(p)) if clusters is None else clusters)])
    # one draw at a time: all at once would take draws x n numbers
    drawn = np.array([error((rng.random(len(places))[one] < p).astype(float)) for _ in range(DRAWS)])
    few = f"{len(places)} {unit} are too few, it takes {FEWEST}" if len(places) < FEWEST else ""
    limit = math.inf if few else float(np.quantile(drawn, 0.95))
    table = [
        Bin(i / bins, (i + 1) / bins, int(inside.sum()), float(p[inside].mean()), mean(right[inside].tolist(),
            None if clusters is None else [c for c, here in zip(clusters, inside, strict=True) if here], level, unit))
        for i in range(bins) if (inside := place == i).any()
    ]  # fmt: skip
    gap = mean((p - right).tolist(), clusters, level, unit, (-1.0, 1.0))
    brier = mean(((p - right) ** 2).tolist(), clusters, level, unit)
    return Calibration(error(right), float(drawn.mean()), limit, gap, brier, table, of, few)


def calibration_of(problems: Sequence[Problem], level: float = 0.95) -> Calibration | None:
    """Calibration of condensed problems: of the stored scores where they can be confidences, else of vote shares.

    A score is one where every labelled sample has a score in [0, 1] and it is not the label itself in numbers. A vote's
    confidence is the share of the labelled samples that gave the problem's majority answer (the one given first of those
    that lead together; samples without an answer vote for nothing), over problems with 2 such samples. None where neither
    is there.
    """
    pairs = [(p, s) for p in problems for s in p.labelled]
    why = unscored(problems)
    if not why:
        clusters = [p.origin for p, _ in pairs]
        values = [float(s.score or 0) for _, s in pairs]
        return calibration(
            values, [bool(s.correct) for _, s in pairs], clusters, level, unit=unit_of(problems), of="the stored scores"
        )
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
        clusters.append(p.origin)
    of = "vote shares of majority answers" + (f" ({why})" if any(s.score is not None for _, s in pairs) else "")
    return calibration(shares, right, clusters, level, unit=unit_of(problems), of=of) if shares else None


def unscored(problems: Sequence[Problem]) -> str:
    """Why the stored scores cannot be confidences; empty where each labelled sample has one that says more than its label."""
    labelled = [s for p in problems for s in p.labelled]
    known = [s.score for s in labelled if s.score is not None]
    if not known or len(known) < len(labelled):
        return "not every labelled sample has a score"
    if not 0 <= min(known) <= max(known) <= 1:
        return f"the scores lie between {min(known):g} and {max(known):g}, not between 0 and 1; scale them"
    if all((s.score == 1) is s.correct for s in labelled):
        return "the scores are the labels in numbers"
    return ""
