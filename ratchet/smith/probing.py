"""How well a target is told by features: what both the roles that make tasks and the probes that look for leaks measure.

Skill is a number between 0 (no better than looking at the target alone) and 1 (told without error), out of sample: the area under
the curve rescaled, kappa over classes, or the share of variance explained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 3_000  # that a model of a probe looks at
MANY = 40_000  # and a table of values
FOLDS = 3
COVERED = 0.3  # the share of rows whose value other rows have too, from which a table of values is held to what it knows
LEAVES = 64  # of the tree that looks at one column
SOLVED = 0.97  # a single column with this skill gives the answer away


def coded(column: pd.Series) -> NDArray[np.float64]:
    """As numbers that a tree can split: moments as days, words by how frequent they are and by their order."""
    if pd.api.types.is_datetime64_any_dtype(column):
        days = (column - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
        return days.to_numpy(float, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(float, na_value=np.nan)
    codes, _ = pd.factorize(column.astype("string"), sort=True)
    return np.where(codes < 0, np.nan, codes).astype(float)


def matrix(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    return np.column_stack([coded(frame[c]) for c in columns]) if columns else np.zeros((len(frame), 0))


def sampled(frame: pd.DataFrame, rows: int = ROWS) -> pd.DataFrame:
    return frame.sample(rows, random_state=0) if len(frame) > rows else frame


def folds(target: pd.Series, part: pd.Series | None) -> NDArray[np.int64]:
    """The number of the fold of each row, -1 for rows that are only learned from: by chance, or as `part` says for each index."""
    if part is not None:
        return part[target.index].to_numpy(np.int64)
    return np.random.default_rng(0).permutation(len(target)) % FOLDS


def folds_of(groups: pd.Series) -> pd.Series:
    """Folds in which no group is torn."""
    codes, names = pd.factorize(groups, use_na_sentinel=False)
    return pd.Series((np.random.default_rng(0).permutation(len(names)) % FOLDS)[codes], index=groups.index)


def skill(
    features: NDArray[np.float64], target: pd.Series, discrete: bool, rounds: int = 30, part: pd.Series | None = None
) -> float:
    """Of boosted trees, out of sample; where there are many classes each of them asks for trees of its own, so rounds are fewer."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    classes = target.nunique() if discrete else 1
    if discrete and classes < 2:
        return 0.0
    how = {
        "max_iter": max(8, rounds // max(1, classes // 2)),
        "early_stopping": False,
        "max_leaf_nodes": 15,
        "learning_rate": 0.2 if classes < 4 else 0.3,
        "min_samples_leaf": max(3, min(20, len(target) // 50)),
        "random_state": 0,
    }
    kind = HistGradientBoostingClassifier if discrete else HistGradientBoostingRegressor
    return out_of_sample(lambda: kind(**how), features, target, discrete, part)


def out_of_sample(
    model: Callable[[], Any], features: NDArray[np.float64], target: pd.Series, discrete: bool, part: pd.Series | None = None
) -> float:
    """The skill of a model that learns from the other folds than the one it tells."""
    y = pd.factorize(target.astype(str), sort=True)[0] if discrete else target.to_numpy(float)
    fold = folds(target, part)
    predicted = np.zeros((len(y), int(y.max()) + 1)) if discrete else np.zeros(len(y))
    for f in np.unique(fold[fold >= 0]):
        held = fold == f
        seen = ~np.isnan(features[~held]).all(axis=0)  # a column may have no value but in the fold to be told
        if not seen.any():
            continue
        fitted = model().fit(features[~held][:, seen], y[~held])
        if discrete:
            predicted[np.ix_(held, fitted.classes_)] = fitted.predict_proba(features[held][:, seen])
        else:
            predicted[held] = fitted.predict(features[held][:, seen])
    return told(predicted[fold >= 0], y[fold >= 0], discrete)


def told(predicted: NDArray[np.float64], y: NDArray[np.float64], discrete: bool) -> float:
    if not discrete:
        spread = float(((y - y.mean()) ** 2).sum())
        return max(0.0, 1 - float(((y - predicted) ** 2).sum()) / spread) if spread else 0.0
    if predicted.shape[1] == 2:  # scikit-learn's own measures check their input for longer than they count
        from scipy.stats import rankdata

        ones, zeros = int((y == 1).sum()), int((y == 0).sum())
        above = rankdata(predicted[:, 1])[y == 1].sum() - ones * (ones + 1) / 2
        return max(0.0, 2 * float(above / (ones * zeros)) - 1) if ones and zeros else 0.0
    size = predicted.shape[1]
    both = np.bincount(y * size + predicted.argmax(1), minlength=size * size).reshape(size, size) / len(y)
    chance = float(both.sum(0) @ both.sum(1))
    return max(0.0, (float(both.trace()) - chance) / (1 - chance)) if chance < 1 else 0.0


def by_cuts(column: pd.Series, target: pd.Series, discrete: bool, part: pd.Series | None = None) -> float:
    """Skill of one tree over one column: what boosted trees find there too, in a hundredth of their time."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if discrete and target.nunique() < 2:
        return 0.0
    kind = DecisionTreeClassifier if discrete else DecisionTreeRegressor
    model = kind(max_leaf_nodes=LEAVES, min_samples_leaf=max(3, min(20, len(target) // 50)), random_state=0)
    return out_of_sample(lambda: model, coded(column)[:, None], target, discrete, part)


def alone(column: pd.Series, target: pd.Series, discrete: bool, part: pd.Series | None = None) -> float:
    """Skill of one column by itself: by a tree over its values, or by what its value went with in other rows."""
    by_trees = by_cuts(column, target, discrete, part)
    return max(by_trees, by_value(column, target, discrete, part)) if repeated(column) else by_trees


def repeated(column: pd.Series) -> bool:
    """Whether a table from values to the target may know something of other rows."""
    return bool(column.nunique() < 0.5 * column.notna().sum())


def codes_of(column: pd.Series) -> NDArray[np.int64]:
    """A number for each value, from 0 on; being missing is one of them."""
    return pd.factorize(column, use_na_sentinel=False)[0].astype(np.int64)


def crossed(codes: NDArray[np.int64], *others: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each combination of codes, from 0 on."""
    for other in others:
        codes = pd.factorize(codes * (int(other.max()) + 1) + other)[0]
    return codes


def together(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows have a number that others have too."""
    return np.bincount(codes)[codes] > 1


def by_value(column: pd.Series, target: pd.Series, discrete: bool, part: pd.Series | None = None) -> float:
    """Skill of a table from values to what they went with, made on other rows than it is asked about. Where a good part of the
    values was seen there, the others do not count: a table that knows nine towns out of ten gives away what it knows."""
    keys = codes_of(column)
    y = pd.factorize(target.astype(str), sort=True)[0] if discrete else target.to_numpy(float)
    fold, size = folds(target, part), int(keys.max()) + 1
    classes = int(y.max()) + 1 if discrete else 1

    def sums(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Of each value, what its rows are worth: how many are of each class, or the target's sum."""
        if discrete:
            return np.bincount(keys[rows] * classes + y[rows], minlength=size * classes).reshape(size, classes).astype(float)
        return np.bincount(keys[rows], y[rows], size)[:, None]

    every, known = np.ones(len(y), bool), np.zeros(len(y), bool)
    worth, counts = sums(every), np.bincount(keys)
    predicted = np.tile(worth.sum(0) / len(y), (len(y), 1))
    for f in np.unique(fold[fold >= 0]):
        held = fold == f
        others = counts - np.bincount(keys[held], minlength=size)
        known[held] = others[keys[held]] > 0
        asked = keys[known & held]
        predicted[known & held] = (worth - sums(held))[asked] / others[asked, None]
    predicted, known, y = predicted[fold >= 0], known[fold >= 0], y[fold >= 0]
    if known.mean() > COVERED and (not discrete or len(np.unique(y[known])) == len(np.unique(y))):
        predicted, y = predicted[known], y[known]
    return told(predicted if discrete else predicted[:, 0], y, discrete)
