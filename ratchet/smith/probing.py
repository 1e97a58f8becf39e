"""How well a target is told by features: what both the roles that make tasks and the probes that look for leaks measure.

Skill is a number between 0 (no better than looking at the target alone) and 1 (told without error), out of sample: the area under
the curve rescaled, kappa over classes, or the share of variance explained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 3_000  # that a probe looks at
FOLDS = 3
COVERED = 0.3  # the share of rows whose value other rows have too, from which a table of values is held to what it knows
PAIRED = 6  # columns of names of which pairs are looked at
LEAVES = 64  # of the tree that looks at one column
SOLVED = 0.97  # a single column with this skill gives the answer away
EXACT = 0.995  # so does a sum of columns that explains this share


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


def folds(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(n) % FOLDS


def skill(features: NDArray[np.float64], target: pd.Series, discrete: bool, rounds: int = 30) -> float:
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
    return out_of_sample(lambda: kind(**how), features, target, discrete)


def out_of_sample(model: Callable[[], Any], features: NDArray[np.float64], target: pd.Series, discrete: bool) -> float:
    """The skill of a model that learns from the other folds than the one it tells."""
    y = pd.factorize(target.astype(str), sort=True)[0] if discrete else target.to_numpy(float)
    part = folds(len(y))
    predicted = np.zeros((len(y), int(y.max()) + 1)) if discrete else np.zeros(len(y))
    for f in range(FOLDS):
        held = part == f
        fitted = model().fit(features[~held], y[~held])
        if discrete:
            predicted[np.ix_(held, fitted.classes_)] = fitted.predict_proba(features[held])
        else:
            predicted[held] = fitted.predict(features[held])
    return told(predicted, y, discrete)


def told(predicted: NDArray[np.float64], y: NDArray[np.float64], discrete: bool) -> float:
    if not discrete:
        spread = float(((y - y.mean()) ** 2).sum())
        return max(0.0, 1 - float(((y - predicted) ** 2).sum()) / spread) if spread else 0.0
    if predicted.shape[1] == 2:
        from sklearn.metrics import roc_auc_score

        return max(0.0, 2 * float(roc_auc_score(y, predicted[:, 1])) - 1)
    from sklearn.metrics import cohen_kappa_score

    return max(0.0, float(cohen_kappa_score(y, predicted.argmax(1))))


def by_cuts(column: pd.Series, target: pd.Series, discrete: bool) -> float:
    """Skill of one tree over one column: what boosted trees find there too, in a hundredth of their time."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if discrete and target.nunique() < 2:
        return 0.0
    kind = DecisionTreeClassifier if discrete else DecisionTreeRegressor
    model = kind(max_leaf_nodes=LEAVES, min_samples_leaf=max(3, min(20, len(target) // 50)), random_state=0)
    return out_of_sample(lambda: model, coded(column)[:, None], target, discrete)


def alone(column: pd.Series, target: pd.Series, discrete: bool) -> float:
    """Skill of one column by itself: by a tree over its values, or by what its value went with in other rows."""
    by_trees = by_cuts(column, target, discrete)
    repeated = column.nunique() < 0.5 * column.notna().sum() and not (
        pd.api.types.is_float_dtype(column) and column.nunique() > 50
    )
    return max(by_trees, by_value(column, target, discrete)) if repeated else by_trees


def by_value(column: pd.Series, target: pd.Series, discrete: bool) -> float:
    """Skill of a table from values to what they went with, made on other rows than it is asked about. Where a good part of the
    values was seen there, the others do not count: a table that knows nine towns out of ten gives away what it knows."""
    keys = column.astype("string").fillna("").to_numpy()
    part = folds(len(keys))
    if discrete:
        y, _ = pd.factorize(target.astype(str), sort=True)
        predicted = np.zeros((len(y), int(y.max()) + 1))
        prior = np.bincount(y, minlength=predicted.shape[1]) / len(y)
    else:
        y = target.to_numpy(float)
        predicted = np.zeros(len(y))
        prior = y.mean()
    known = np.zeros(len(y), bool)
    for f in range(FOLDS):
        held = part == f
        seen = pd.DataFrame({"key": keys[~held]})
        values = (
            pd.get_dummies(pd.Series(y[~held])).reindex(columns=range(predicted.shape[1]), fill_value=0)
            if discrete
            else pd.DataFrame({0: y[~held]})
        )
        means = values.astype(float).groupby(seen["key"]).mean()
        found = means.reindex(keys[held]).to_numpy()
        known[held] = ~np.isnan(found[:, 0])
        filled = np.where(np.isnan(found), prior, found)
        predicted[held] = filled if discrete else filled[:, 0]
    if known.mean() > COVERED and len(set(y[known])) == len(set(y)):
        predicted, y = predicted[known], y[known]
    return told(predicted, y, discrete)


def pairs(frame: pd.DataFrame, features: Sequence[str], target: str, discrete: bool) -> dict[str, str]:
    """Of two columns of names that tell the target only together, such as the ends of a way its length: the one with more values."""
    names = [f for f in features if not pd.api.types.is_float_dtype(frame[f]) and 5 <= frame[f].nunique() < 0.3 * len(frame)]
    names = sorted(names, key=lambda n: -frame[n].nunique())[:PAIRED]
    found: dict[str, str] = {}
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            both = frame[a].astype("string").fillna("") + "\x1f" + frame[b].astype("string").fillna("")
            sizes = both.map(both.value_counts())
            if a in found or b in found or (sizes > 1).mean() < COVERED:
                continue
            value = by_value(both, frame[target], discrete)
            if value > SOLVED:
                found[a] = f"tells the target together with {b} (skill {value:.3f})"
    return found


def givers(frame: pd.DataFrame, features: Sequence[str], target: str, discrete: bool) -> dict[str, str]:
    """Features that give the target away, each with a sentence: alone, in its text, or as parts of a sum."""
    frame = sampled(frame[frame[target].notna()])
    found: dict[str, str] = {}
    for name in features:
        value = alone(frame[name], frame[target], discrete)
        if value > SOLVED:
            found[name] = f"tells the target alone (skill {value:.3f})"
        elif spelled(frame[name], frame[target]):
            found[name] = "has the target written in its text"
    found |= pairs(frame, [f for f in features if f not in found], target, discrete)
    if not discrete:
        found |= summands(frame, [f for f in features if f not in found], target)
    return found


def from_side(rows: pd.DataFrame, table: pd.DataFrame, side: Mapping[str, Any]) -> pd.DataFrame:
    """What a side table says of these rows, one of its own for each."""
    one = table.drop_duplicates(side["key"]).set_index(side["key"])[list(side["columns"])].add_prefix(f"{side['table']}.")
    return one.reindex(rows[side["column"]]).set_axis(rows.index)


def beside(rows: pd.DataFrame, table: pd.DataFrame, side: Mapping[str, Any], target: str, discrete: bool) -> dict[str, str]:
    """Columns of a side table that give the target away, each with a sentence."""
    joined = from_side(rows, table, side)
    return givers(joined.assign(**{target: rows[target]}), list(joined), target, discrete)


def spelled(column: pd.Series, target: pd.Series) -> bool:
    """Whether cells hold their row's target as a word, far more often than another row's."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return False
    cells = [set(re.findall(r"\d+(?:\.\d+)?|\w+", str(c).lower())) for c in column]
    numeric = pd.api.types.is_numeric_dtype(target)
    words = [{f"{v:g}", str(v)} if numeric else {str(v).lower()} for v in target]
    if not cells:
        return False
    own = np.mean([bool(w & c) for w, c in zip(words, cells)])
    other = np.mean([bool(w & c) for w, c in zip(words[1:] + words[:1], cells)])
    return bool(own > 0.5 and own > other + 0.3)


def summands(frame: pd.DataFrame, features: Sequence[str], target: str) -> dict[str, str]:
    """Numbers whose weighted sum (or product) is the target but for a rounding; the heaviest are named until none is left."""
    names = [f for f in features if pd.api.types.is_numeric_dtype(frame[f]) and frame[f].notna().mean() > 0.8]
    y = frame[target].to_numpy(float)
    found: dict[str, str] = {}
    while names:
        x = frame[names].fillna(frame[names].median()).to_numpy(float)
        tried = [("sum", *explained(x, y))]
        positive = [i for i in range(len(names)) if (x[:, i] > 0).all()]
        if positive and (y > 0).all():
            share, weights = explained(np.log(x[:, positive]), np.log(y))
            whole = np.zeros(len(names))
            whole[positive] = weights
            tried.append(("product", share, whole))
        what, share, weights = max(tried, key=lambda t: t[1])
        parts = np.abs(weights) * (x.std(0) if what == "sum" else 1) / max(1e-12, y.std() if what == "sum" else 1)
        added = (np.abs(np.abs(weights) - 1) < 0.1) & (
            parts > 0.05
        )  # parts of a bill, or the bill less parts, that lacks a small one
        if share < EXACT and not (what == "sum" and share > 0.9 and added.sum() > 1):
            break
        heaviest = names[int(parts.argmax())]
        found[heaviest] = f"is part of a {what} that tells the target (explains {share:.4f} of it)"
        names.remove(heaviest)
    return found


def explained(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The share of the variance of half of the rows that a weighted sum fitted on the other half explains; and its weights."""
    half = np.arange(len(y)) % 2 == 0
    if half.sum() <= 2 * x.shape[1] + 2:
        return 0.0, np.zeros(x.shape[1])
    scale = np.where(x.std(0) > 0, x.std(0), 1)
    z = np.c_[(x - x.mean(0)) / scale, np.ones(len(y))]
    weights, *_ = np.linalg.lstsq(z[half], y[half], rcond=None)
    left = y[~half] - z[~half] @ weights
    return 1 - float((left**2).sum() / max(1e-12, ((y[~half] - y[~half].mean()) ** 2).sum())), weights[:-1] / scale
