"""How submissions are read and scored. Copied into every `metric.py`: pandas, numpy and scikit-learn, nothing of ratchet.

A metric is a function of answers and predictions, frames with the same ids in the same order, that gives a number; HIGHER and
OPTIMUM say which numbers are good.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd


class InvalidSubmission(ValueError):
    """What is wrong with a submission, in one sentence."""


def checked(submission: pd.DataFrame, answers: pd.DataFrame, targets: list[str], answer: str, classes: list[str]) -> pd.DataFrame:
    """The submission's rows in the order of the answers.

    Raises InvalidSubmission: columns, ids, numbers or classes are not what the sample submission shows.
    """
    wanted = ["id", *targets]
    got = [str(c) for c in submission.columns]
    if got != wanted:
        raise InvalidSubmission(f"the columns must be {', '.join(wanted)} in this order, got {', '.join(got)[:200]}")
    ids = pd.Index(pd.to_numeric(submission["id"], errors="coerce").to_numpy())
    whole = np.isfinite(ids) & (ids == np.floor(ids))
    if not whole.all():
        raise InvalidSubmission(f"row {int(np.argmin(whole)) + 1}: the id is not a whole number")
    if not ids.is_unique:
        raise InvalidSubmission(f"id {int(ids[ids.duplicated()][0])} is there twice")
    places = ids.get_indexer(answers["id"])
    missing = answers["id"][places < 0]
    if len(missing):
        raise InvalidSubmission(f"{len(missing)} ids of the test set are missing, the first is {missing.min()}")
    if len(ids) > len(places):
        strange = ids.difference(answers["id"])
        raise InvalidSubmission(f"{len(strange)} ids are not in the test set, the first is {int(strange.min())}")
    found = submission.iloc[places].reset_index(drop=True).assign(id=answers["id"].to_numpy())
    for name in targets:
        if classes:
            names = {v: str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in found[name].unique()}
            values = found[name].map(names)
            wrong = ~values.isin(classes)
            if wrong.any():
                raise InvalidSubmission(f"{name}: {values[wrong].iloc[0]!r} is no class; allowed: {', '.join(classes)[:300]}")
            found[name] = values
            continue
        values = pd.to_numeric(found[name], errors="coerce") if found[name].dtype != bool else found[name] * np.nan
        wrong = values.isna() | np.isinf(values)
        if wrong.any():
            raise InvalidSubmission(
                f"{name}: id {found['id'][wrong].iloc[0]} has {found[name][wrong].iloc[0]!r}, which is not a finite number"
            )
        if answer == "chance" and ((values < 0) | (values > 1)).any():
            raise InvalidSubmission(f"{name}: chances lie between 0 and 1, got {values[(values < 0) | (values > 1)].iloc[0]:g}")
        found[name] = values.astype(float)
    return found


def score_files(
    submission: str,
    answers: str,
    metric: Callable[[pd.DataFrame, pd.DataFrame, list[str]], float],
    targets: list[str],
    answer: str,
    classes: list[str],
) -> float:
    """The score of a file against the answers' file.

    Raises InvalidSubmission where the file is no table, or not the one that was asked for.
    """
    text = dict.fromkeys(targets, str) if classes else {}
    truth = pd.read_csv(answers, dtype=text, keep_default_na=False) if classes else pd.read_csv(answers)
    try:
        given = pd.read_csv(submission, dtype=text, keep_default_na=False, na_values=["nan", "NaN", ""] if not classes else [])
    except (ValueError, OSError, UnicodeDecodeError) as e:
        raise InvalidSubmission(f"the file cannot be read as a table with commas: {str(e)[:120]}") from None
    return float(metric(truth, checked(given, truth, targets, answer, classes), targets))


def auc(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(truth[targets[0]], given[targets[0]])


def average_precision(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    from sklearn.metrics import average_precision_score

    return average_precision_score(truth[targets[0]], given[targets[0]])


def accuracy(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    return (truth[targets[0]].astype(str).to_numpy() == given[targets[0]].to_numpy()).mean()


def macro_f1(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    """The mean over classes of twice the hits by the rows that are, and are said to be, of the class."""
    both = pd.factorize(pd.concat([truth[targets[0]].astype(str), given[targets[0]].astype(str)]))[0]
    right, said = both[: len(truth)], both[len(truth) :]
    return float((2 * np.bincount(right[right == said], minlength=both.max() + 1) / np.bincount(both)).mean())


def quadratic_kappa(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    """Agreement beyond chance, where being far off weighs more, by the square of how far; predictions are rounded to whole levels."""
    levels = truth[targets[0]].astype(int).to_numpy()
    said = given[targets[0]].clip(levels.min(), levels.max()).round().to_numpy()
    by_chance = levels.var() + said.var() + (levels.mean() - said.mean()) ** 2  # mean squared distance of pairs drawn at random
    return float(1 - ((levels - said) ** 2).mean() / by_chance) if by_chance else 1.0


def rmse(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    return float(np.sqrt(np.mean((truth[targets[0]].to_numpy() - given[targets[0]].to_numpy()) ** 2)))


def mae(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    return float(np.mean(np.abs(truth[targets[0]].to_numpy() - given[targets[0]].to_numpy())))


def rmsle(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    """Of the logarithms of one plus the values; predictions below 0 count as 0."""
    logs = np.log1p(truth[targets[0]].to_numpy()) - np.log1p(given[targets[0]].clip(lower=0).to_numpy())
    return float(np.sqrt(np.mean(logs**2)))


def spearman(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    """Of ranks; 0 where all predictions are alike."""
    a, b = truth[targets[0]].rank().to_numpy(), given[targets[0]].rank().to_numpy()
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else 0.0


def mean_auc(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    """Over the labels that the answers hold both values of."""
    from sklearn.metrics import roc_auc_score

    return float(np.mean([roc_auc_score(truth[t], given[t]) for t in targets if truth[t].nunique() > 1]))


def ndcg(truth: pd.DataFrame, given: pd.DataFrame, targets: list[str]) -> float:
    """Mean over the queries (the second column of the answers) of the gain of the ten rows ranked highest, by the best possible;
    gains are ranks within the query, from 0 to 1; rows of equal predictions share their places. A query of equal rows has no order."""
    known = truth.iloc[:, 1].notna().to_numpy()
    query = pd.factorize(truth.iloc[:, 1][known])[0]
    true, said = (frame[targets[0]].to_numpy(float)[known] for frame in (truth, given))
    sizes = np.bincount(query)
    first = np.cumsum(sizes) - sizes  # places of the queries' first rows where rows are sorted by query
    ordered = true[np.lexsort((true, query))]
    varied = ordered[first] < ordered[first + sizes - 1]

    def each(values: np.ndarray) -> np.ndarray:
        """A number for each value of each query, in their order."""
        return query * len(query) + np.unique(values, return_inverse=True)[1]

    gain = (pd.Series(each(true)).rank().to_numpy() - 1 - first[query]) / np.maximum(sizes[query] - 1, 1)
    shared = pd.Series(gain).groupby(each(said)).transform("mean").to_numpy()

    def discounted(by: np.ndarray, worth: np.ndarray) -> np.ndarray:
        ranked = np.lexsort((-by, query))
        place = np.arange(len(query)) - first[query[ranked]]
        return np.bincount(query[ranked], np.where(place < 10, worth[ranked] / np.log2(place + 2), 0))

    return float((discounted(said, shared)[varied] / discounted(gain, gain)[varied]).mean())


HIGHER = {
    "auc": True, "average_precision": True, "accuracy": True, "macro_f1": True, "quadratic_kappa": True, "rmse": False,
    "mae": False, "rmsle": False, "spearman": True, "mean_auc": True, "ndcg": True,
}  # fmt: skip
OPTIMUM = {name: 1.0 if higher else 0.0 for name, higher in HIGHER.items()}
