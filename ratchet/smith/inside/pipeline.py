"""One scikit-learn pipeline: python pipeline.py; reads spec.json, tells its score on a part of the training rows, or submits."""

import json
from pathlib import Path

import numpy as np
from ladder import features, given, some
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MOST = 6_000


def model(spec, discrete):
    if spec["family"] == "linear":
        last = LogisticRegression(C=spec["strength"], max_iter=300) if discrete else Ridge(1 / spec["strength"])
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), last)
    if spec["family"] == "neighbours":
        last = (KNeighborsClassifier if discrete else KNeighborsRegressor)(spec["k"])
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), last)
    if spec["family"] == "trees":
        last = (ExtraTreesClassifier if discrete else ExtraTreesRegressor)(
            spec["trees"], min_samples_leaf=spec["least"], random_state=0
        )
        return make_pipeline(SimpleImputer(strategy="median"), last)
    kind = HistGradientBoostingClassifier if discrete else HistGradientBoostingRegressor
    return kind(
        learning_rate=spec["rate"], max_leaf_nodes=spec["leaves"], max_iter=spec["rounds"], early_stopping=False, random_state=0
    )


def told(fitted, x, chance):
    return fitted.predict_proba(x)[:, list(fitted.classes_).index(1)] if chance else fitted.predict(x)


def main():
    task, spec = json.loads(Path("task.json").read_text()), json.loads(Path("spec.json").read_text())
    chance, discrete = task["answer"] == "chance", task["answer"] != "number"
    train, test, sample = given(task)
    x, n = features(train, test, task)
    x = x.loc[:, x[:n].notna().any()].to_numpy(float)
    rows = some(n, MOST)
    held, kept = rows[: len(rows) // 4], rows[len(rows) // 4 :]
    scores = []
    for target in task["targets"]:
        y = train[target].to_numpy()
        if spec["final"]:
            sample[target] = told(model(spec, discrete).fit(x[rows], y[rows]), x[n:], chance)
            continue
        said = told(model(spec, discrete).fit(x[kept], y[kept]), x[held], chance)
        if chance:
            scores.append(roc_auc_score(y[held], said))
        elif discrete:
            scores.append(accuracy_score(y[held], said))
        else:
            scores.append(-float(np.sqrt(np.mean((y[held] - said) ** 2))))
    if spec["final"]:
        Path("out").mkdir()
        sample.to_csv("out/submission.csv", index=False)
    print(json.dumps({"score": float(np.mean(scores)) if scores else None}))


if __name__ == "__main__":
    main()
