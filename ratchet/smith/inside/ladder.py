"""Three solutions of growing skill from what a competitor sees: python ladder.py; reads public/ and task.json, writes out/.

dummy knows the target's values alone, simple looks at little, strong is what a practised person tries first.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

warnings.filterwarnings("ignore")
PUBLIC, OUT = Path("public"), Path("out")
MOST = 12_000  # rows that are learned from
TREES = 6_000


def given(task):
    """Training rows, rows to be told, and the sample submission in their order; classes are words."""
    kinds = dict.fromkeys(task["targets"], str) if task["answer"] == "class" else None
    train = pd.read_csv(PUBLIC / "train.csv", dtype=kinds, low_memory=False)
    test = pd.read_csv(PUBLIC / "test.csv", low_memory=False)
    sample = pd.read_csv(PUBLIC / "sample_submission.csv", dtype=kinds)
    return train, test, sample.set_index("id").loc[test["id"]].reset_index()


def features(train, test, task):
    """Numbers of both (rows, columns): codes for words, days for dates, means and ends of what belongs to a row elsewhere."""
    both = pd.concat([train, test], ignore_index=True)
    names = [c for c in test.columns if c != "id" and c not in task["targets"]]
    frame = both[["id", *names]]
    for side in task["sides"]:
        other = pd.read_csv(PUBLIC / f"{side['table']}.csv")
        if side["own"]:
            other = (
                numbers(other.drop(columns="id"))
                .assign(id=other["id"])
                .groupby("id")
                .agg(["mean", "std", "min", "max", "first", "last"])
            )
            other.columns = ["_".join(c) for c in other.columns]
            frame = frame.merge(other.reset_index(), how="left", on="id")
        else:
            other = other.drop_duplicates(side["key"]).add_prefix(f"{side['table']}.")
            frame = frame.merge(other, how="left", left_on=side["column"], right_on=f"{side['table']}.{side['key']}")
    return numbers(frame.drop(columns="id")), len(train)


def numbers(frame):
    found = {}
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            found[name] = column.astype(float)
            continue
        text = column.astype("string")
        when = (
            pd.to_datetime(text, errors="coerce", format="mixed") if text.str.match(r"^\d{4}-\d{2}-\d{2}").mean() > 0.5 else None
        )
        if when is not None:
            found |= calendar(when, name)
            continue
        codes, _ = pd.factorize(text, sort=True)
        counts = text.map(text.value_counts())
        found |= {
            name: pd.Series(codes, index=frame.index).where(codes >= 0).astype(float),
            f"{name} times": counts.astype(float),
        }
        if text.str.len().mean() > 12:
            found[f"{name} length"] = text.str.len().astype(float)
    return pd.DataFrame(found)


def calendar(when, name=""):
    parts = {
        "days": (when - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1),
        "year": when.dt.year,
        "month": when.dt.month,
        "day": when.dt.dayofyear,
        "week": when.dt.dayofweek,
        "hour": when.dt.hour,
    }
    return {f"{name} {part}": pd.Series(values).astype(float) for part, values in parts.items()}


def text_of(frame, columns):
    return frame[columns].fillna("").astype(str).agg(" ".join, axis=1)


def some(n, most):
    return np.random.default_rng(0).permutation(n)[:most]


def discrete(task):
    return task["answer"] != "number"


def said(model, x, task):
    """Chances of the positive class, or classes, or numbers."""
    if task["answer"] == "chance":
        where = list(model.classes_).index(1) if 1 in model.classes_ else None
        return model.predict_proba(x)[:, where] if where is not None else np.zeros(len(x))
    return model.predict(x)


def tabular(train, test, task, target):
    train = train.iloc[np.sort(some(len(train), MOST))] if len(train) > MOST else train
    x, n = features(train, test, task)
    x = x.loc[:, x.nunique() > 1].to_numpy(float)
    y = train[target].astype(str).to_numpy() if task["answer"] == "class" else train[target].to_numpy()
    rows, few = some(n, MOST), some(n, TREES)
    middle = np.nanmedian(x, axis=0)
    filled = np.nan_to_num(np.where(np.isnan(x), middle, x))
    log = task["metric"]["name"] == "rmsle"
    y = np.log1p(y) if log else y
    small = (
        DecisionTreeClassifier(max_depth=2, min_samples_leaf=5, random_state=0)
        if discrete(task)
        else DecisionTreeRegressor(max_depth=2, min_samples_leaf=5, random_state=0)
    )
    simple = said(small.fit(filled[few], y[few]), filled[n:], task)
    small = n < 2_000  # few rows: fewer steps, and a straight line beside the trees
    kind = HistGradientBoostingClassifier if discrete(task) else HistGradientBoostingRegressor
    how = {"random_state": 0, "learning_rate": 0.06, "early_stopping": False}
    rounds = 60 if small else 120
    if task["answer"] == "class":  # each class asks for trees of its own
        rounds, how["learning_rate"] = max(20, rounds // max(1, len(set(y)) // 3)), 0.1
    how |= {"max_iter": rounds, "min_samples_leaf": max(3, n // 25) if small else 20}
    boosted = kind(**how).fit(x[:n][rows], y[rows])
    kind = ExtraTreesClassifier if discrete(task) else ExtraTreesRegressor
    trees = kind(n_estimators=60, min_samples_leaf=4 if small else 2, random_state=0, n_jobs=1).fit(filled[few], y[few])
    models = [(boosted, x[n:]), (trees, filled[n:])]
    if small:
        straight = LogisticRegression(C=0.3, max_iter=500) if discrete(task) else Ridge(3.0)
        models.append((make_pipeline(StandardScaler(), straight).fit(filled[few], y[few]), filled[n:]))
    if task["answer"] == "class":
        names = boosted.classes_
        same = [m.predict_proba(z) for m, z in models if list(m.classes_) == list(names)]
        strong = names[np.mean(same, axis=0).argmax(1)]
    else:
        strong = np.mean([said(m, z, task) for m, z in models], axis=0)
    return (np.expm1(simple), np.expm1(strong)) if log else (simple, strong)


def written(train, test, task, target, columns):
    """Of texts: simple knows the hundred most frequent words, strong all words and pairs."""
    y = train[target].astype(str).to_numpy() if task["answer"] == "class" else train[target].to_numpy()
    rows = some(len(train), MOST)
    a, b = text_of(train, columns).iloc[rows], text_of(test, columns)
    found = []
    for vectors, model in (
        (TfidfVectorizer(max_features=60, use_idf=False), MultinomialNB() if discrete(task) else Ridge(10.0)),
        (
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=80_000),
            LogisticRegression(C=10, max_iter=300) if discrete(task) else Ridge(1.0),
        ),
    ):
        found.append(said(model.fit(vectors.fit_transform(a), y[rows]), vectors.transform(b), task))
    return found


def alike(train, test, task, target, columns):
    """Of pairs of texts: simple counts common words, strong learns from several such measures."""
    a, b = columns
    every = pd.concat([train[[a, b]], test[[a, b]]]).fillna("").astype(str)
    words = [every[c].str.lower().str.findall(r"\w+").map(set) for c in (a, b)]
    both = np.array([len(p & q) for p, q in zip(*words)])
    either = np.array([max(1, len(p | q)) for p, q in zip(*words)])
    measures = [both / either, both, either, np.array([abs(len(p) - len(q)) for p, q in zip(*words)])]
    for how in ({"analyzer": "char_wb", "ngram_range": (2, 4)}, {"ngram_range": (1, 2)}, {}):
        vectors = TfidfVectorizer(sublinear_tf=True, **how).fit(pd.concat([every[a], every[b]]))
        measures.append(np.asarray(vectors.transform(every[a]).multiply(vectors.transform(every[b])).sum(1)).ravel())
    x, n = np.column_stack(measures), len(train)
    return x[n:, 1], HistGradientBoostingRegressor(random_state=0, max_iter=120, learning_rate=0.06).fit(
        x[:n], train[target]
    ).predict(x[n:])


def seen(train, test, task, target):
    """Of images: simple looks at sixteen squares' brightness, strong at every point of a small copy."""
    from PIL import Image

    def points(paths, size):
        return np.stack(
            [np.asarray(Image.open(PUBLIC / p).convert("L").resize((size, size)), float).ravel() / 255 for p in paths]
        )

    y = train[target].astype(str).to_numpy() if task["answer"] == "class" else train[target].to_numpy()
    rows = some(len(train), TREES)
    tree = (
        DecisionTreeClassifier(max_depth=4, random_state=0)
        if discrete(task)
        else DecisionTreeRegressor(max_depth=3, random_state=0)
    )
    simple = said(tree.fit(points(train["image"].iloc[rows], 4), y[rows]), points(test["image"], 4), task)
    trees = (ExtraTreesClassifier if discrete(task) else ExtraTreesRegressor)(n_estimators=150, random_state=0, n_jobs=1)
    return simple, said(trees.fit(points(train["image"].iloc[rows], 20), y[rows]), points(test["image"], 20), task)


def later(train, test, task, target):
    """Of what comes later: simple has the mean at that season, strong learns from the calendar and from seasons gone by, and chooses on
    the last fifth of the past how far to go with that, and how much of the level of late to add."""
    clock = task["split"]["column"]
    when = pd.to_datetime(pd.concat([train[clock], test[clock]], ignore_index=True), format="mixed")
    n, y = len(train), train[target].to_numpy(float)
    parts = pd.DataFrame(calendar(when))
    step = when.diff().dropna().median()
    names = [" hour", " week"] if step < pd.Timedelta(hours=12) else [" month"]
    past = n * 4 // 5
    tried = [told(parts, y, past, n, names)(*how) for how in WAYS]
    losses = [np.nanmean(np.abs(p[past:n] - y[past:])) for p in tried]
    say = told(parts, y, n, len(parts), names)
    return say(0.0, 0.0, 1.0)[n:], say(*WAYS[int(np.argmin(losses))])[n:]


WAYS = [(1.0, 0.5, 0.0), (1.0, 0.0, 0.0), (0.5, 0.25, 0.0), (0.5, 0.0, 0.5), (0.0, 0.0, 1.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.0)]
"""Weights of the model, of how far the late past lies from it, and of the season; what is missing to one is the median's."""


def told(parts, y, past, end, names):
    """Predictions for all moments up to `end` by what was known before `past`, by the weights of `WAYS`."""
    kept = ~np.isnan(y[:past])
    known = y[:past][kept]
    means = pd.DataFrame({"y": y[:past], **{k: parts[k][:past] for k in names}}).groupby(names)["y"].mean()
    season = pd.MultiIndex.from_frame(parts[names][:end]) if len(names) > 1 else parts[names[0]][:end]
    middle = float(np.median(known))
    simple = means.reindex(season).fillna(middle).to_numpy()
    x = parts[:end].drop(columns=[" days", " year"]).assign(season=simple)
    model = HistGradientBoostingRegressor(
        loss="absolute_error", random_state=0, max_iter=120, learning_rate=0.06, min_samples_leaf=max(3, min(20, past // 40))
    )
    strong = model.fit(x[:past][kept], known).predict(x)
    late = slice(-max(5, past // 20), None)
    drift = known[late].mean() - strong[:past][kept][late].mean()

    def mixed(learned, level, seasonal):
        rest = max(0.0, 1 - learned - seasonal)
        return learned * strong + level * drift + seasonal * simple + rest * middle

    return mixed


def main():
    task = json.loads(Path("task.json").read_text())
    train, test, sample = given(task)
    OUT.mkdir()
    found = {"dummy": sample.copy(), "simple": sample.copy(), "strong": sample.copy()}
    for target in task["targets"]:
        known = train[train[target].notna()]
        texts = [
            c
            for c in test.columns
            if c != "id" and not pd.api.types.is_numeric_dtype(test[c]) and test[c].astype(str).str.count(" ").mean() >= 4
        ]
        if "image" in test.columns:
            simple, strong = seen(known, test, task, target)
        elif task["kind"] == "text similarity":
            simple, strong = alike(known, test, task, target, task["features"])
        elif task["split"]["by"] == "time":
            simple, strong = later(known, test, task, target)
        elif texts and set(task["features"]) <= set(texts):
            simple, strong = written(known, test, task, target, texts)
        else:
            simple, strong = tabular(known, test, task, target)
        found["simple"][target], found["strong"][target] = simple, strong
    for name, frame in found.items():
        frame.to_csv(OUT / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
