"""How well a score ranks: the area under the ROC curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The chance that one drawn from the true ranks above one drawn from the false, ties counted half; NaN where either is
    missing.

    >>> auc([0.1, 0.4, 0.4, 0.9], [False, False, True, True])
    0.875
    """
    values, true = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    if not 0 < true.sum() < len(true):
        return math.nan
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # of ties, the mean rank
    positives = int(true.sum())
    return float((ranks[true].sum() - positives * (positives + 1) / 2) / (positives * (len(true) - positives)))
