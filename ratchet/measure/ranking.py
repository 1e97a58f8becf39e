"""How well a score ranks: the area under the ROC curve, over everything and within groups; ratings from games."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

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


def elo(scores: Sequence[Mapping[str, float]], rounds: int = 300) -> dict[str, float]:
    """Ratings of players from games: each mapping is one game of all against all, by player a score, higher is better; NaN is
    behind every number. The ratings are those of Bradley and Terry (1952) on Elo's scale: 400 points more are odds of ten to one;
    their mean is 0. Every pair has half a win each beside its games, so that who always wins is not infinitely good.

    Raises ValueError for no games, or games of other players than the first.

    >>> ratings = elo([{"a": 0.9, "b": 0.5}] * 3 + [{"a": 0.4, "b": 0.6}])
    >>> round(ratings["a"] - ratings["b"])
    147
    """
    names = sorted(scores[0]) if scores else []
    if len(names) < 2 or any(sorted(game) != names for game in scores):
        raise ValueError("ratings need at least one game, and the same two or more players in each")
    table = np.nan_to_num(np.array([[game[name] for name in names] for game in scores], dtype=float), nan=-np.inf)
    over = (table[:, :, None] > table[:, None, :]).sum(0) + 0.5 * (table[:, :, None] == table[:, None, :]).sum(0) + 0.5
    np.fill_diagonal(over, 0.0)
    games, strength = over + over.T, np.ones(len(names))
    for _ in range(rounds):  # Hunter's iteration, which cannot go downhill
        strength = over.sum(1) / (games / (strength[:, None] + strength[None, :])).sum(1)
        strength /= np.exp(np.log(strength).mean())
    return dict(zip(names, (400 * np.log10(strength)).tolist(), strict=True))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """The correlation of ranks, ties at their mean rank; NaN where all of one side are alike.

    >>> spearman([1, 2, 3], [10, 30, 20])
    0.5
    """
    ranks = [np.array([np.sum(x < v) + np.sum(x == v) / 2 for v in x]) for x in (np.asarray(a, float), np.asarray(b, float))]
    x, y = (r - r.mean() for r in ranks)
    size = math.sqrt(float((x @ x) * (y @ y)))
    return float(x @ y) / size if size else math.nan
