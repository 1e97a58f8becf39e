"""Means and paired differences with intervals, clustered where tasks share a source; what k of n samples would give.

The estimators of k of n (pass@k, pass^k, majority@k, best-of-k) are exact averages over all subsets of k samples, so
each is unbiased for what k fresh samples would give. They are for one task; `mean` takes their average over tasks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Change:
    """A mean before and after over the same tasks, and the mean of after - before with its paired interval."""

    before: Estimate
    after: Estimate
    difference: Estimate


def change(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    unit: str = "tasks",
) -> Change:
    """The change of numbers in any unit, such as lengths; for those between 0 and 1 `paired_difference` is enough."""
    least, most = min((*a, *b)), max((*a, *b))
    before, after = (mean(x, clusters, level, unit, (least, most)) for x in (a, b))
    gained = [y - x for x, y in zip(a, b, strict=True)]
    return Change(before, after, mean(gained, clusters, level, unit, (least - most, most - least)))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k of n samples, c of them right, hold a right one (Chen et al. 2021, arXiv 2107.03374, eq. 1).

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Chance that k of n samples, c of them right, are all right: pass^k (Yao et al. 2024, arXiv 2406.12045).

    >>> pass_hat_k(4, 2, 2) == 1 / 6
    True
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass^k needs 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")
    return math.comb(c, k) / math.comb(n, k)


def majority_at_k(answers: Sequence[Hashable], correct: Sequence[float], k: int) -> float:
    """Chance that the most frequent answer of k of the n samples is right (Wang et al. 2022, arXiv 2203.11171).

    `answers` are the answers of n samples of one task; None or "" is no answer and has no vote. `correct` says per
    sample whether it was right (0 to 1). Answers that lead together share the vote evenly; where no sample has an
    answer, nothing is right. Where samples of one answer were judged differently, one of them drawn at random is
    delivered. Raises ValueError where the lists do not fit together.

    Computed exactly: a product over the answers of polynomials whose coefficient at x^i y^t counts the subsets of i
    samples in which no answer has more than `most` votes and t answers have exactly that many.

    >>> majority_at_k(["a", "a", "b"], [1, 1, 0], 2) == 2 / 3  # {a, a} is right, {a, b} twice half right
    True
    """
    _check_samples("majority@k", len(answers), correct, k)
    votes: dict[Hashable, list[float]] = defaultdict(list)
    silent = 0
    for answer, right in zip(answers, correct, strict=True):
        if answer is None or answer == "":
            silent += 1
        else:
            votes[answer].append(right)
    total = 0.0
    for answer, marks in votes.items():
        share = math.fsum(marks) / len(marks)
        if not share:
            continue
        rivals = [len(v) for a, v in votes.items() if a != answer]
        for most in range(1, min(k, len(marks)) + 1):
            ways = _ways(rivals, silent, most, k - most)
            led = sum(w / (t + 1) for t, w in enumerate(ways))
            total += share * math.comb(len(marks), most) * led
    return total / math.comb(len(answers), k)


def _ways(rivals: Sequence[int], silent: int, most: int, size: int) -> list[int]:
    """By t: the subsets of `size` samples of the rivals in which t rivals have `most` votes and none has more."""
    ties = size // most
    table = [[0] * (size + 1) for _ in range(ties + 1)]
    table[0] = [math.comb(silent, i) for i in range(size + 1)]
    for n in rivals:
        after = [[0] * (size + 1) for _ in range(ties + 1)]
        for t, row in enumerate(table):
            for i, ways in enumerate(row):
                for votes in range(min(n, most, size - i) + 1) if ways else ():
                    after[t + (votes == most)][i + votes] += ways * math.comb(n, votes)
        table = after
    return [row[size] for row in table]


def best_of_k(scores: Sequence[float], correct: Sequence[float], k: int) -> float:
    """Chance that of k of the n samples the one with the highest score is right; equal scores share evenly.

    `scores` and `correct` (0 to 1) have one number per sample of one task. It is the pass@k of Chen et al. 2021 (arXiv
    2107.03374) with a scorer in place of the truth: the best of a subset has rank r where the subset has one of that
    rank and none above, which holds for C(upto r, k) - C(below r, k) of the C(n, k) subsets. Raises ValueError where
    the lists do not fit together or a score is not a number.

    >>> best_of_k([0.9, 0.5, 0.1], [0, 1, 1], 2) == 1 / 3  # only {0.5, 0.1} has a right one on top
    True
    """
    _check_samples("best-of-k", len(scores), correct, k)
    ranks: dict[float, list[float]] = defaultdict(list)
    for score, right in zip(scores, correct, strict=True):
        if math.isnan(score):
            raise ValueError("best-of-k needs a score for every sample, got one that is not a number")
        ranks[score].append(right)
    total, below = 0.0, 0
    for score in sorted(ranks):
        marks = ranks[score]
        upto = below + len(marks)
        total += math.fsum(marks) / len(marks) * (math.comb(upto, k) - math.comb(below, k))
        below = upto
    return total / math.comb(len(scores), k)


def _check_samples(what: str, n: int, correct: Sequence[float], k: int) -> None:
    if len(correct) != n:
        raise ValueError(f"{what} needs one mark per sample, got {n} samples and {len(correct)} marks")
    if not 1 <= k <= n:
        raise ValueError(f"{what} needs 1 <= k <= n, got n={n}, k={k}")
    if not all(0 <= right <= 1 for right in correct):
        raise ValueError(f"{what} needs marks between 0 (wrong) and 1 (right)")


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [1 << i for i in range(most.bit_length()) if 1 << i <= most]
