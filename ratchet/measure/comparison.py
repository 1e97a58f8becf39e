"""Is b better than a on the same tasks? Paired intervals and tests, corrections for many tests, and what n can see.

In all of it `a` and `b` hold one number per task (n,), the same tasks in the same order, and a difference is b - a.
`clusters` (n,) names the source that tasks share; tasks of one cluster are resampled or flipped together.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import optimize, special, stats

from ratchet.core.types import Estimate
from ratchet.measure.estimate import paired_difference
from ratchet.measure.intervals import AT_ONCE, Floats, Method, bootstrap, check_level, cluster_totals


def paired_bootstrap(
    a: Floats,
    b: Floats,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    *,
    method: Method = "expanded",
    resamples: int = 9999,
    seed: int = 0,
) -> Estimate:
    """Mean of b - a, its interval from resampling tasks, or whole clusters of tasks (see `intervals.bootstrap`).

    Equal differences give what `estimate.paired_difference` gives. Raises ValueError for lists of different lengths and for
    whatever `bootstrap` refuses.
    """
    return bootstrap(differences(a, b), clusters, level, method=method, resamples=resamples, seed=seed, bounds=(-1.0, 1.0))


def mcnemar(a: Floats, b: Floats) -> float:
    """Two-sided p of the exact McNemar test for outcomes of 0 and 1 of independent tasks.

    Of the tasks on which a and b differ, each side would win half where neither is better: a binomial test (McNemar
    1947; exact form in Agresti, Categorical Data Analysis, on matched pairs). 1 where no task differs. Raises ValueError for
    different lengths or an outcome other than 0 and 1.
    """
    gained = differences(a, b)
    if not np.isin(np.concatenate((a, b)), (0, 1)).all():
        raise ValueError("McNemar's test needs outcomes of 0 and 1; for rates use sign_flip")
    wins, differ = int((gained > 0).sum()), int((gained != 0).sum())
    return float(stats.binomtest(wins, differ).pvalue) if differ else 1.0


def sign_flip(a: Floats, b: Floats, clusters: Sequence[Hashable] | None = None, *, resamples: int = 9999, seed: int = 0) -> float:
    """Two-sided p of the sign-flip permutation test: had a and b swapped names, each difference had the other sign.

    With clusters the total of a cluster is flipped as one. All sign patterns are tried where there are at most
    `resamples` of them, else that many drawn ones, and the pattern seen counts as one of them, so that the test keeps
    its level (Fisher 1935; Phipson and Smyth 2010, arXiv 1603.05766). It tests that the differences of tasks (of
    clusters) are symmetric about 0. 1 where nothing differs. Raises ValueError for different lengths.
    """
    totals, _ = cluster_totals(differences(a, b), clusters)
    moving = totals[totals != 0]  # flipping a zero changes nothing
    if moving.size < 2:  # both signs of one are as far from 0, which SciPy does not take
        return 1.0
    return float(
        stats.permutation_test(
            (moving,),
            np.sum,
            permutation_type="samples",
            vectorized=True,
            n_resamples=resamples,
            batch=max(1, AT_ONCE // len(moving)),
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def holm(ps: Floats) -> np.ndarray:
    """Adjusted p (m,) of m tests: below x in at least one true null with a chance of at most x (Holm 1979).

    Holds however the tests depend on each other. Raises ValueError for a p outside [0, 1].
    """
    p = _checked(ps)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def benjamini_hochberg(ps: Floats) -> np.ndarray:
    """Adjusted p (m,) of m tests: of those below x at most a share x is expected false (Benjamini and Hochberg 1995).

    Holds for tests that are independent or positively dependent. Raises ValueError for a p outside [0, 1].
    """
    return np.asarray(stats.false_discovery_control(_checked(ps), method="bh"))


def minimum_detectable_effect(
    n: int,
    *,
    sd: float | None = None,
    discordance: float | None = None,
    level: float = 0.95,
    power: float = 0.8,
    design_effect: float = 1.0,
) -> float:
    """The smallest mean difference that n paired tasks show with chance `power`, in the unit of the outcome.

    Give one of: `sd`, the standard deviation of the differences (t test; solved with the noncentral t, Cohen 1988,
    ch. 2), or `discordance`, the share of tasks with outcomes of 0 and 1 on which the two differ (Connor 1987, Biometrics
    43:207, solved for the difference). `design_effect` is 1 + (tasks per cluster - 1) * intracluster correlation (Kish
    1965) and divides n. Infinite where even a difference as large as the discordance would not be seen. Raises
    ValueError for numbers out of range.
    """
    check_level(level)
    if not 0.5 <= power < 1 or not 1 <= design_effect < math.inf:
        raise ValueError(f"needs 0.5 <= power < 1 and a finite design effect of at least 1, got {power} and {design_effect}")
    size = n / design_effect
    if not 2 <= size < math.inf:
        raise ValueError(f"a paired comparison needs at least 2 independent tasks, and not infinitely many, got {size:g}")
    if (sd is None) == (discordance is None):
        raise ValueError("give the standard deviation of the differences or their discordance, one of the two")
    if sd is not None:
        if not 0 < sd < math.inf:
            raise ValueError(f"a standard deviation is above 0 and finite, got {sd}")
        return sd / math.sqrt(size) * _noncentrality(size - 1, level, power)
    if discordance is None or not 0 < discordance <= 1:
        raise ValueError(f"a discordance lies above 0 and at most 1, got {discordance}")
    z, w = float(stats.norm.ppf(0.5 + level / 2)), float(stats.norm.ppf(power))
    # d * sqrt(n) = z * sqrt(discordance) + w * sqrt(discordance - d**2), a quadratic in d
    inside = size + w * w - z * z
    if inside < 0:
        return math.inf
    effect = math.sqrt(discordance) * (z * math.sqrt(size) + w * math.sqrt(inside)) / (size + w * w)
    return effect if effect <= discordance else math.inf


def _noncentrality(freedom: float, level: float, power: float) -> float:
    """How many standard errors a mean must be from 0 for a t test to see it with chance `power`."""
    threshold = float(stats.t.ppf(0.5 + level / 2, freedom))

    def missing(shift: float) -> float:
        wrong_side = special.nctdtr(freedom, shift, -threshold)  # SciPy gives NaN where it is next to 0
        return float(special.nctdtr(freedom, shift, threshold) - np.nan_to_num(wrong_side) - (1 - power))

    most = threshold + 1
    while missing(most) > 0:
        most *= 2
    return float(np.asarray(optimize.brentq(missing, 0.0, most)))


class Answer(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "cannot tell apart"


@dataclass(frozen=True)
class Comparison:
    """An answer with what it rests on.

    `difference`: b - a with its t interval. `p`: of the sign-flip test. `differing`: tasks on which a and b differ.
    `detectable`: the difference that this many tasks with this spread show with power 0.8; NaN where nothing differs.
    """

    answer: Answer
    difference: Estimate
    p: float
    differing: int
    detectable: float

    def __str__(self) -> str:
        d = self.difference
        said = {Answer.BETTER: "b is better than a", Answer.WORSE: "b is worse than a"}.get(self.answer, "cannot tell apart")
        seen = "" if math.isnan(self.detectable) else f"; a difference of {self.detectable:.3f} would show with power 80 %"
        return (
            f"{said}: {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}] at {d.level:.0%}, p = {self.p:.2g}, {d.n} {d.unit}, "
            f"{self.differing} differ{seen}"
        )


def tell_apart(
    a: Floats,
    b: Floats,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    *,
    resamples: int = 9999,
    seed: int = 0,
) -> Comparison:
    """Whether b is better than a, worse, or cannot be told apart, with the numbers.

    Better or worse is said only where the (cluster) t interval excludes 0 and the (cluster) sign-flip test has
    p <= 1 - level: each alone errs with chance 1 - level, so both together err no more often. Raises ValueError for
    different lengths, no tasks, or clusters of another length.
    """
    check_level(level)
    gained = differences(a, b)
    totals, counts = cluster_totals(gained, clusters)
    d = paired_difference(np.asarray(a, float).tolist(), np.asarray(b, float).tolist(), clusters, level)
    p = sign_flip(a, b, clusters, resamples=resamples, seed=seed)
    answer = Answer.UNCLEAR
    if p <= 1 - level and not d.low <= 0 <= d.high:
        answer = Answer.BETTER if d.value > 0 else Answer.WORSE
    # the spread that `paired_difference` sees: of cluster totals, in units of tasks per cluster
    spread = float(np.std(totals - counts * gained.mean(), ddof=1)) / float(counts.mean()) if len(totals) > 1 else 0.0
    detectable = minimum_detectable_effect(len(totals), sd=spread, level=level) if spread > 0 else math.nan
    return Comparison(answer, d, p, int((gained != 0).sum()), detectable)


def differences(a: Floats, b: Floats) -> np.ndarray:
    """b - a (n,). Raises ValueError for lists of different lengths, empty ones, and values that are not finite."""
    if len(a) != len(b):
        raise ValueError(f"a paired comparison needs the same tasks on both sides, got {len(a)} and {len(b)}")
    return cluster_totals(np.asarray(b, dtype=float) - np.asarray(a, dtype=float))[0]


def _checked(ps: Floats) -> np.ndarray:
    p = np.asarray(ps, dtype=float)
    if p.ndim != 1 or not p.size or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a correction for many tests needs one list of p between 0 and 1")
    return p
