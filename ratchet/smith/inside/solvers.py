"""Eight solvers of graded skill: python solvers.py; reads public/ and task.json, writes out/ with a submission of each.

What a rating of tasks is made from: whoever is better on tasks that people wrote should be better on these.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from ladder import features, given, some
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

warnings.filterwarnings("ignore")
MOST = 2_000  # rows that are learned from


def solvers(discrete, n):
    """By name, from the weakest that is expected to the strongest; `constant` is the sample submission and `tuned` chooses."""
    kind = lambda classifier, regressor: classifier if discrete else regressor
    forest = kind(RandomForestClassifier, RandomForestRegressor)
    boosted = kind(HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    least = max(2, min(20, n // 25))
    how = {"hidden_layer_sizes": (32,), "max_iter": 200, "early_stopping": n > 300, "random_state": 0}
    network = kind(MLPClassifier, MLPRegressor)(**how)
    return {
        "one neighbour": kind(KNeighborsClassifier, KNeighborsRegressor)(1),
        "linear": kind(LogisticRegression(max_iter=300), Ridge(1.0)),
        "small tree": kind(DecisionTreeClassifier, DecisionTreeRegressor)(max_depth=3, random_state=0),
        "forest": forest(n_estimators=60, random_state=0, n_jobs=1),
        "boosting": boosted(max_iter=60, early_stopping=False, min_samples_leaf=least, random_state=0),
        "network": network if discrete else TransformedTargetRegressor(network, transformer=StandardScaler()),
    }


def more(discrete, n):
    """What `tuned` chooses from beside those."""
    trees = ExtraTreesClassifier if discrete else ExtraTreesRegressor
    boosted = HistGradientBoostingClassifier if discrete else HistGradientBoostingRegressor
    least = max(2, min(20, n // 25))
    return {
        "trees": trees(n_estimators=100, min_samples_leaf=2, random_state=0, n_jobs=1),
        "slow boosting": boosted(
            max_iter=120, learning_rate=0.04, max_leaf_nodes=15, early_stopping=False, min_samples_leaf=least, random_state=0
        ),
        "firm linear": LogisticRegression(C=0.1, max_iter=300) if discrete else Ridge(30.0),
    }


def told(model, x, discrete, classes):
    """Chances of the classes (rows, classes), or numbers (rows, 1)."""
    if not discrete:
        return model.predict(x)[:, None]
    found = np.zeros((len(x), len(classes)))
    found[:, [list(classes).index(c) for c in model.classes_]] = model.predict_proba(x)
    return found


def whole(model):
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), model)


def tuned(x, y, asked, discrete, classes):
    """The mean of what the three best of all say, chosen on a quarter of the training rows."""
    n = len(y)
    held = np.arange(n) % 4 == 0
    losses = {}
    candidates = solvers(discrete, n) | more(discrete, n)
    candidates.pop("one neighbour")
    for name, model in candidates.items():
        p = told(whole(model).fit(x[~held], y[~held]), x[held], discrete, classes)
        right = (y[held][:, None] == np.asarray(classes)[None, :]) if discrete else y[held][:, None]
        losses[name] = float(((p - right) ** 2).mean())
    best = sorted(losses, key=losses.get)[:3]
    return np.mean([told(whole(candidates[name]).fit(x, y), asked, discrete, classes) for name in best], axis=0)


def said(p, task, classes):
    """As the task wants it."""
    if task["answer"] == "chance":
        return p[:, list(classes).index(1)] if 1 in classes else np.zeros(len(p))
    return np.asarray(classes)[p.argmax(1)] if task["answer"] == "class" else p[:, 0]


def main():
    task = json.loads(Path("task.json").read_text())
    discrete = task["answer"] != "number"
    train, test, sample = given(task)
    x, n = features(train, test, task)
    x = x.loc[:, x[:n].notna().any()].to_numpy(float)
    found = {"constant": sample}
    for target in task["targets"]:
        known = np.flatnonzero(train[target].notna().to_numpy())
        rows = known[some(len(known), MOST)]
        y = train[target].to_numpy()[rows]
        classes = np.unique(y) if discrete else [0]
        say = {name: told(whole(m).fit(x[rows], y), x[n:], discrete, classes) for name, m in solvers(discrete, len(y)).items()}
        say["tuned"] = tuned(x[rows], y, x[n:], discrete, classes)
        for name, p in say.items():
            found.setdefault(name, sample.copy())[target] = said(p, task, classes)
    Path("out").mkdir()
    for name, frame in found.items():
        frame.to_csv(Path("out") / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
