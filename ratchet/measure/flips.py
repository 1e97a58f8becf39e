"""Negative flips: problems that were right before an update and are wrong after it.

Yan et al. 2021 (arXiv 2011.09161): a better model can still break what its users relied on. But a sampled model flips
against itself too, so the share is set against the flips between two draws of the model before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate
from ratchet.measure.entropy import same_problems
from ratchet.measure.estimate import mean
from ratchet.measure.support import Counts, checked

UNIT = "problems"
SPLITS = 32  # of a problem's votes into halves
Votes = Sequence[tuple[Hashable, bool]]
"""Answer and correctness of one problem's samples; an answer of None or "" has no vote."""


@dataclass(frozen=True)
class Flips:
    """Shares of problems. `negative`: right before, wrong after; `positive`: the other way.

    `null_*` are the shares between two draws of the model before, `net_*` observed minus null paired by problem, over the
    problems that allow it; None where none does. What is compared with the null may rest on fewer votes than `negative`
    does (`null_from` says on how many), so `negative` - `null_negative` need not be `net_negative`.
    """

    by: str
    negative: Estimate
    positive: Estimate
    null_negative: Estimate | None
    null_positive: Estimate | None
    net_negative: Estimate | None
    net_positive: Estimate | None
    null_from: str


def sample_flips(
    before: Counts,
    after: Counts,
    again: Counts | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    unit: str = UNIT,
) -> Flips:
    """Flips of one sample to one sample, averaged exactly over all choices of the two; (n, right) per problem.

    The null is one sample of the model before to another one: of `again`, a second draw, or else of the same samples, which
    takes 2 per problem (c (n - c) / n (n - 1), unbiased for p (1 - p)). StoreError for lists of different lengths or a
    problem without samples.
    """
    same_problems("flips", before, after, clusters)
    if again is not None:
        same_problems("flips", before, again, clusters)
    for side in (before, after, *([again] if again is not None else [])):
        if not all(n for n, _ in checked(side, "flips")):
            raise StoreError("flips: a problem has no judged sample; leave it out")
    a, b = (np.array([c / n for n, c in side]) for side in (before, after))
    if again is not None:
        r = np.array([c / n for n, c in again])
        null = np.array([a * (1 - r), (1 - a) * r])
        able, source = np.arange(len(a)), "a second draw of the model before"
    else:
        moved = np.array([c * (n - c) / (n * (n - 1)) if n > 1 else np.nan for n, c in before])
        null, able = np.array([moved, moved]), np.flatnonzero(~np.isnan(moved))
        source = "other samples before"
    seen = np.array([a * (1 - b), (1 - a) * b])
    return flips_of("one sample", seen, seen[:, able], null[:, able], able, source, clusters, level, unit)


def majority_flips(
    before: Sequence[Votes],
    after: Sequence[Votes],
    again: Sequence[Votes] | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    unit: str = UNIT,
) -> Flips:
    """Flips of the majority answer, all votes of each side; of answers that lead together the one given first counts.

    Without `again`, a second draw, the null is half of a problem's votes against the other half, and what it is set against
    is the first half against as many votes after: `SPLITS` random ones, from `seed`. StoreError for lists of different
    lengths.
    """
    same_problems("flips", before, after, clusters)
    a, b = (np.array([majority(v) for v in side], dtype=float) for side in (before, after))
    seen = np.array([a * (1 - b), (1 - a) * b])
    if again is not None:
        same_problems("flips", before, again, clusters)
        r = np.array([majority(v) for v in again], dtype=float)
        null = np.array([a * (1 - r), (1 - a) * r])
        source = "a second draw of the model before"
        return flips_of("majority", seen, seen, null, np.arange(len(a)), source, clusters, level, unit)
    able = np.array([i for i in range(len(a)) if len(before[i]) > 1 and len(after[i])], dtype=int)
    halves = [halved(before[i], after[i], random.Random(f"{seed} {i}")) for i in able]
    least, most = (f([k for k, *_ in halves], default=0) for f in (min, max))
    votes = f"{least} vote{'s' * (least > 1)}" if least == most else f"{least} to {most} votes"
    observed, null = (np.array([h[j] for h in halves]).T.reshape(2, -1) for j in (1, 2))
    return flips_of("majority", seen, observed, null, able, f"halves of the votes before, {votes}", clusters, level, unit)


def halved(before: Votes, after: Votes, dice: random.Random) -> tuple[int, list[float], list[float]]:
    """Votes per side; negative and positive flips of a half of `before` to votes of `after`, and to its other half."""
    k = min(len(before) // 2, len(after))
    observed, null = [0.0, 0.0], [0.0, 0.0]
    for _ in range(SPLITS):
        mixed = dice.sample(before, 2 * k)
        one, other, new = majority(mixed[:k]), majority(mixed[k:]), majority(dice.sample(after, k))
        for flipped, to in ((observed, new), (null, other)):
            if one != to:
                flipped[0 if one else 1] += 1 / SPLITS
    return k, observed, null


def majority(votes: Votes) -> bool:
    """Whether the most frequent answer is right; the first of those that lead together. No answer is not right."""
    count = Counter(answer for answer, _ in votes if answer is not None and answer != "")
    if not count:
        return False
    leader = count.most_common(1)[0][0]  # of equal ones the first met
    return next(bool(right) for answer, right in votes if answer == leader)


def flips_of(
    by: str,
    seen: np.ndarray,
    compared: np.ndarray,
    null: np.ndarray,
    able: np.ndarray,
    source: str,
    clusters: Sequence[Hashable] | None,
    level: float,
    unit: str,
) -> Flips:
    """`seen` (2, problems): chances of a negative and a positive flip; `compared` and `null` (2, able) of some problems."""
    groups = None if clusters is None else [clusters[i] for i in able]
    negative, positive = (mean(row.tolist(), clusters, level, unit) for row in seen)
    if not able.size:
        return Flips(by, negative, positive, None, None, None, None, "not known: that takes 2 samples of a problem before")
    null_negative, null_positive = (mean(row.tolist(), groups, level, unit) for row in null)
    net_negative, net_positive = (mean(row.tolist(), groups, level, unit, (-1.0, 1.0)) for row in compared - null)
    return Flips(by, negative, positive, null_negative, null_positive, net_negative, net_positive, source)
