"""Means and paired differences with intervals, clustered where tasks share a source; what k of n samples would give.

The estimators of k of n (pass@k, pass^k, majority@k, best-of-k) are exact averages over all subsets of k samples, so
each is unbiased for what k fresh samples would give. They are for one task; `mean` takes their average over tasks.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

from scipy import stats
from scipy.special import stdtrit

from ratchet.core.types import Estimate

SHARES = (0.0, 1.0)


def mean(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    unit: str = "tasks",
    bounds: tuple[float, float] = SHARES,
) -> Estimate:
    """The mean with a t interval on cluster totals (the cluster-robust variance with the G / (G - 1) correction).

    Without clusters each value is its own. n counts clusters. Where all values are equal the t interval has no width:
    then it is what n equal values leave possible, given that no value lies outside `bounds`.

    With the bounds 0 and 1, values that keep them are shares, and no interval of theirs goes beyond. Where each is just 0
    or 1 and no cluster has several, the interval is `wilson`'s: t covers too rarely away from one half (0.80 for 0.95 at
    n = 100, p = 0.03). One outcome alone is left to the rule for equal values, since of one Wilson's claims too much.
    Numbers that could lie elsewhere, such as differences, need their own bounds, even where by chance they do not.

    Raises ValueError for no values, values that are not finite, clusters of another length, or equal values outside
    `bounds`.
    """
    check_level(level)
    check_values(values, clusters)
    center = math.fsum(values) / len(values)
    residuals: dict[Hashable, float] = defaultdict(float)
    for i, value in enumerate(values):
        residuals[clusters[i] if clusters is not None else i] += value - center
    n = len(residuals)
    share = bounds == SHARES and min(values) >= 0 and max(values) <= 1
    if share and 1 < n == len(values) and all(value in SHARES for value in values):
        return wilson(round(math.fsum(values)), n, level, unit)
    variance = math.fsum(r * r for r in residuals.values()) * n / max(n - 1, 1) / len(values) ** 2
    if variance < 1e-18:
        low, high = bounds
        if not low <= center <= high and not math.isclose(center, min(max(center, low), high)):
            raise ValueError(
                f"no value may lie outside the bounds {low:g} and {high:g}, got a mean of {center:g}; give its bounds"
            )
        # with confidence `level` at most this share of the population differs from what all n had
        other = 1 - (1 - level) ** (1 / n)
        return Estimate(
            center, min(center, center - other * (center - low)), max(center, center + other * (high - center)), n, unit, level
        )
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * math.sqrt(variance)
    low, high = center - half, center + half
    return Estimate(center, max(low, 0.0) if share else low, min(high, 1.0) if share else high, n, unit, level)


def wilson(passes: int, n: int, level: float = 0.95, unit: str = "tasks") -> Estimate:
    """The share passes / n with Wilson's score interval, for n independent yes-or-no outcomes.

    Source: Wilson 1927; recommended for small n by Brown, Cai and DasGupta 2001 (Statistical Science 16:101). Not for
    tasks that share a source: there use `intervals.bootstrap` or `mean` with clusters. Raises ValueError unless both are
    whole numbers with 0 <= passes <= n and n >= 1.
    """
    check_level(level)
    if not _whole(passes, n) or not 0 <= passes <= n or n < 1:
        raise ValueError(f"a proportion needs whole numbers with 0 <= passes <= n and n >= 1, got {passes} of {n}")
    interval = stats.binomtest(passes, n).proportion_ci(level, method="wilson")
    return Estimate(passes / n, float(interval.low), float(interval.high), n, unit, level)


def paired_difference(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """Mean of b - a over the same tasks, in the same order, for numbers between 0 and 1.

    Equal lists give 0 with the interval that `mean` gives to n equal values: three tasks without a difference do not show
    that there is none. Raises ValueError for lists of different lengths, and for whatever `mean` refuses.
    """
    if len(a) != len(b):
        raise ValueError(f"a paired comparison needs the same tasks on both sides, got {len(a)} and {len(b)}")
    return mean([y - x for x, y in zip(a, b, strict=True)], clusters, level, bounds=(-1.0, 1.0))


def check_level(level: float) -> None:
    """Raises ValueError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, as 0.95, got {level}")


def check_values(values: Sequence[float], clusters: Sequence[Hashable] | None) -> None:
    """Raises ValueError for no values, values that are not finite, or clusters of another length."""
    if not len(values):
        raise ValueError("an estimate needs at least one value")
    if not all(map(math.isfinite, values)):
        raise ValueError("an estimate needs finite values, got one that is infinite or not a number")
    if clusters is not None and len(clusters) != len(values):
        raise ValueError(f"each value needs its cluster, got {len(values)} values and {len(clusters)} clusters")


def _whole(*numbers: object) -> bool:
    return all(isinstance(number, Integral) for number in numbers)


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
    if len(a) != len(b) or not len(a):
        raise ValueError(f"a change needs the same tasks before and after, at least one, got {len(a)} and {len(b)}")
    least, most = min((*a, *b)), max((*a, *b))
    before, after = (mean(x, clusters, level, unit, (least, most)) for x in (a, b))
    gained = [y - x for x, y in zip(a, b, strict=True)]
    return Change(before, after, mean(gained, clusters, level, unit, (least - most, most - least)))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k of n samples, c of them right, hold a right one (Chen et al. 2021, arXiv 2107.03374, eq. 1).

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    if not _whole(n, c, k) or not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@k needs whole numbers with 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Chance that k of n samples, c of them right, are all right: pass^k (Yao et al. 2024, arXiv 2406.12045).

    >>> pass_hat_k(4, 2, 2) == 1 / 6
    True
    """
    if not _whole(n, c, k) or not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass^k needs whole numbers with 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")
    return math.comb(c, k) / math.comb(n, k)


def majority_at_k(answers: Sequence[Hashable], correct: Sequence[float], k: int) -> float:
    """Chance that the most frequent answer of k of the n samples is right (Wang et al. 2022, arXiv 2203.11171).

    `answers` are the answers of n samples of one task; None or "" is no answer and has no vote. `correct` says per
    sample whether it was right (0 to 1). Answers that lead together share the vote evenly; where no sample has an
    answer, nothing is right. Where samples of one answer were judged differently, one of them drawn at random is
    delivered. Raises ValueError where the lists do not fit together.

    Computed exactly: a product over the answers of polynomials whose coefficient at x^i y^t counts the subsets of i
    samples in which no answer has more than `most` votes and t answers have exactly that many. Answers given equally often
    have the same rivals, and share it.

    >>> majority_at_k(["a", "a", "b"], [1, 1, 0], 2) == 2 / 3  # {a, a} is right, {a, b} twice half right
    True
    """
    _check_samples("majority@k", len(answers), correct, k)
    votes: dict[Hashable, list[float]] = defaultdict(list)
    silent = 0
    for answer, right in zip(answers, correct, strict=True):
        if answer != answer:
            raise ValueError("majority@k needs answers that can be equal, got one that is not a number (NaN); None is no answer")
        if answer is None or answer == "":
            silent += 1
        else:
            votes[answer].append(right)
    counts = Counter(len(marks) for marks in votes.values())
    total = 0.0
    for n in counts:
        shares = math.fsum(math.fsum(marks) / n for marks in votes.values() if len(marks) == n)
        if not shares:
            continue
        rivals = counts - Counter([n])
        for most in range(1, min(k, n) + 1):
            ways = _ways(rivals, silent, most, k - most)
            led = sum(w / (t + 1) for t, w in enumerate(ways))
            total += shares * math.comb(n, most) * led
    return total / math.comb(len(answers), k)


def _ways(rivals: Mapping[int, int], silent: int, most: int, size: int) -> list[int]:
    """By t: the subsets of `size` samples of the rivals in which t rivals have `most` votes and none has more.

    `rivals`: by number of samples, how many rivals have so many.
    """
    ties = size // most
    # a rival with fewer samples than `most` can neither tie nor lead, so its samples are as free as those without an answer
    free = silent + sum(n * times for n, times in rivals.items() if n < most)
    table = [[0] * (size + 1) for _ in range(ties + 1)]
    table[0] = [math.comb(free, i) for i in range(size + 1)]
    for n in (n for n, times in rivals.items() if n >= most for _ in range(times)):
        choices = [math.comb(n, votes) for votes in range(most + 1)]
        after = [[0] * (size + 1) for _ in range(ties + 1)]
        for t, row in enumerate(table):
            for i, ways in enumerate(row):
                for votes in range(min(most, size - i) + 1) if ways else ():
                    after[t + (votes == most)][i + votes] += ways * choices[votes]
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
    if not _whole(k) or not 1 <= k <= n:
        raise ValueError(f"{what} needs a whole number k with 1 <= k <= n, got n={n}, k={k}")
    if not all(0 <= right <= 1 for right in correct):
        raise ValueError(f"{what} needs marks between 0 (wrong) and 1 (right)")


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [1 << i for i in range(most.bit_length()) if 1 << i <= most]
