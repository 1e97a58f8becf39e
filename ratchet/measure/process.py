"""How well the first wrong step of a solution is found: ProcessBench's F1 (Zheng et al. 2024, arXiv 2412.06559)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ratchet.core.types import Estimate
from ratchet.measure.agreement import jackknife
from ratchet.measure.intervals import share_of


@dataclass(frozen=True)
class FirstErrors:
    """`wrong`: of solutions with an error, the share where the first is found at its very step; `right`: of those without one,
    the share where none is found; `f1`: their harmonic mean. None where there are no such solutions."""

    wrong: Estimate | None
    right: Estimate | None
    f1: Estimate | None


def first_errors(
    found: Sequence[int | None], labels: Sequence[int | None], clusters: Sequence[Hashable] | None = None, level: float = 0.95,
    unit: str = "solutions",
) -> FirstErrors:  # fmt: skip
    """Places of first errors as found (n,) against those labelled (n,), None for none; intervals over solutions, or clusters."""
    table = np.array([[y is not None, y is not None and f == y, y is None, y is None and f is None]
                      for f, y in zip(found, labels, strict=True)], dtype=float).reshape(-1, 4)  # fmt: skip

    def share(part: int, whole: int) -> Estimate | None:
        return share_of(table[:, part], table[:, whole], clusters, level, unit) if table[:, whole].any() else None

    return FirstErrors(share(1, 0), share(3, 2), jackknife(harmonic, table, clusters, level, unit))


def harmonic(totals: np.ndarray) -> float | None:
    """The harmonic mean of two accuracies from (wrong, hit, right, hit); 0 where one is 0."""
    wrong, hit, right, kept = (float(x) for x in totals)
    if not wrong or not right:
        return None
    a, b = hit / wrong, kept / right
    return 2 * a * b / (a + b) if a + b else 0.0
