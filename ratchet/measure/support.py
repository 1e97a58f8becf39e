"""Which problems a model came to solve and which it lost, against what two draws of one model differ by.

Wu et al. 2025 ("The Invisible Leash", arXiv 2507.14843) call a problem in a model's empirical support where k samples
hold a right one, and part the problems of two models into preserved, expanded, shrunk and never solved. But two draws of
the *same* model part them too: a problem that is solved now and then falls in or out by chance. So every number here has
its null beside it, and what is said to have grown or shrunk is net of it.

Departure: a paper's count takes the k samples that were drawn. Where a problem has n > k samples, this takes the average
over all choices of k of them on each side, which is what fresh samples give in expectation. With n = k it is the count.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate
from ratchet.measure.estimate import mean, pass_at_k
from ratchet.measure.intervals import share_of

Counts = Sequence[tuple[int, int]]
"""(problems, 2): of each problem how many samples were judged, and how many of them are right."""
UNIT = "problems"


@dataclass(frozen=True)
class Partition:
    """Expected numbers of problems; the four add up to the pool.

    `retention`: of what was solved, the share that still is, preserved / (preserved + shrunk). `discovery`: of what is
    solved, the share that was not, expanded / (preserved + expanded). None where nothing was, or is, solved.
    """

    preserved: float
    expanded: float
    shrunk: float
    never: float
    retention: Estimate | None
    discovery: Estimate | None


@dataclass(frozen=True)
class Support:
    """`observed` before -> after, `null` of the model before against itself, both at `k` samples on either side.

    `expanded` and `shrunk` are shares of the pool, observed minus null, paired by problem: above 0 with the whole
    interval where more was won (lost) than resampling alone moves. `left_out` problems had too few samples.
    """

    k: int
    problems: int
    left_out: int
    observed: Partition
    null: Partition
    null_from: str
    expanded: Estimate
    shrunk: Estimate


def support(
    before: Counts,
    after: Counts,
    k: int | None = None,
    again: Counts | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    unit: str = UNIT,
) -> Support:
    """The partition of problems at a budget of k samples, and the same for two draws of the model before.

    `before`, `after` and `again` list the same problems in the same order; `again` is a second draw of the model before.
    Without it the null is the average over all pairs of disjoint halves of the samples before, exactly: of n samples with
    c right, two disjoint sets of k both miss with chance C(n - c, 2k) / C(n, 2k). That takes 2k samples before, so that k
    is half of them at most. k None is the largest k that 30 problems (or all, where there are fewer) allow.

    `unit` is what n counts. Raises StoreError for lists of different lengths, counts that cannot be, or a k that no problem
    has samples for.
    """
    sides = [checked(before, "before"), checked(after, "after"), *([checked(again, "again")] if again is not None else [])]
    if len({len(side) for side in sides}) != 1 or (clusters is not None and len(clusters) != len(before)):
        lengths = ", ".join(str(len(side)) for side in [*sides, *([clusters] if clusters is not None else [])])
        raise StoreError(f"support needs the same problems on every side, got lists of {lengths}; pair them first")
    # what one problem allows: a null from halves needs twice k of the samples before
    first = [n if again is not None else n // 2 for n, _ in before]
    allowed = [min(m, *(side[i][0] for side in sides[1:])) for i, m in enumerate(first)]
    if k is None:
        k = sorted(allowed, reverse=True)[min(30, len(allowed)) - 1] if allowed else 0
    chosen = [i for i, most in enumerate(allowed) if most >= k]
    if k < 1 or not chosen:
        need = "2k samples before and k after" if again is None else "k samples on every side"
        raise StoreError(
            f"support at k={k} needs problems with {need}, and k of at least 1; the largest k that any allows is "
            f"{max(allowed, default=0)}"
        )
    groups = None if clusters is None else [clusters[i] for i in chosen]
    a, b = (np.array([pass_at_k(*side[i], k) for i in chosen]) for side in (before, after))
    if again is not None:
        c = np.array([pass_at_k(*again[i], k) for i in chosen])
        null = np.array([a * c, (1 - a) * c, a * (1 - c), (1 - a) * (1 - c)])
    else:
        missed = 1 - np.array([pass_at_k(*before[i], 2 * k) for i in chosen])
        moved = (1 - a) - missed
        null = np.array([1 - 2 * (1 - a) + missed, moved, moved, missed])
    seen = np.array([a * b, (1 - a) * b, a * (1 - b), (1 - a) * (1 - b)])
    net = seen - null
    expanded, shrunk = (mean(net[row].tolist(), groups, level, unit, (-1.0, 1.0)) for row in (1, 2))
    source = "a second draw of the model before" if again is not None else "halves of the samples before"
    left_out = len(before) - len(chosen)
    observed, by_chance = (partition(x, groups, level, unit) for x in (seen, null))
    return Support(k, len(chosen), left_out, observed, by_chance, source, expanded, shrunk)


def partition(parts: np.ndarray, clusters: Sequence[Hashable] | None, level: float, unit: str = UNIT) -> Partition:
    """The sums of (4, problems) chances of preserved, expanded, shrunk and never, with their two rates."""
    preserved, expanded, shrunk, _ = parts

    def rate(part: np.ndarray, other: np.ndarray) -> Estimate | None:
        whole = part + other
        return share_of(part, whole, clusters, level, unit) if whole.any() else None

    sums: list[float] = parts.sum(axis=1).tolist()
    return Partition(sums[0], sums[1], sums[2], sums[3], rate(preserved, shrunk), rate(expanded, preserved))


def checked(counts: Counts, name: str) -> Counts:
    for n, c in counts:
        if not 0 <= c <= n:
            raise StoreError(f"support, {name}: a problem has {n} samples, {c} of them right; it must be 0 <= right <= samples")
    return counts
