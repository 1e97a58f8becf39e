"""How well a score ranks: the area under the ROC curve, over everything and within groups."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

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


def auc_within(scores: Sequence[float], labels: Sequence[bool], groups: Sequence[Hashable]) -> float:
    """The mean of `auc` over the groups, such as prompts, that have true and false ones; NaN where none has.

    It is what a choice among samples of one prompt rests on: the pooled area also pays for telling easy prompts from hard ones.

    >>> auc_within([0.9, 0.8, 0.2, 0.1], [False, True, False, True], ["easy", "easy", "hard", "hard"])
    0.0
    """
    places: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    areas = [auc([scores[i] for i in own], [labels[i] for i in own]) for own in places.values()]
    known = [area for area in areas if not math.isnan(area)]
    return math.fsum(known) / len(known) if known else math.nan
