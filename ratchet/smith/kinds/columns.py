"""One column of a table told by the others: classes, levels, counts and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ratchet.smith.describing import figure
from ratchet.smith.formulation import Dataset, Formulation, proposers

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.smith.profiling import Column, Profile

FEATURES = ("binary", "category", "level", "count", "number", "date", "text", "list")
CALENDAR = re.compile(r"^(series|step|year|month|day|hour|minute|weekday|week|quarter)\b|\b(year|month|date|time)$", re.I)
WANTED = re.compile(
    r"target|label|class|outcome|result|surviv|price|quality|rating|score|default|churn|exited|damage|status|delay|diagnos|sales|profit|cost|fare|tip|species|income",
    re.I,
)
PERSON = re.compile(r"\b(sur|last|family|first|given|full|customer|person|patient|passenger)[ _]?names?\b", re.I)
RARE = 0.1  # a class below this share makes the task imbalanced
TEST = 0.25
SEED = 20_26


def features_of(profile: Profile, target: str, without: tuple[str, ...] = ()) -> tuple[tuple[str, ...], dict[str, str]]:
    """Columns that may be used, and why others are left out."""
    kept: list[str] = []
    dropped: dict[str, str] = {}
    for c in profile.columns:
        if c.name == target or c.name in without:
            continue
        if PERSON.search(c.name):
            dropped[c.name] = "names a person"
        elif c.kind in FEATURES or (c.kind == "name" and c.distinct <= 0.5 * profile.rows):
            kept.append(c.name)
        elif c.kind == "name":
            dropped[c.name] = "names single rows"
        elif c.kind == "key":
            dropped[c.name] = "identifies the row"
        elif c.kind != "image":
            dropped[c.name] = f"is {c.kind}"
    return tuple(kept), dropped


def class_counts(values: pd.Series) -> dict[str, int]:
    """Rows of each class, by its name."""
    from ratchet.smith.preparing import class_name

    counts: dict[str, int] = {}
    for value, n in values.value_counts().items():
        counts[class_name(value)] = counts.get(class_name(value), 0) + int(n)
    return counts


def classes_of(values: pd.Series, least: int) -> tuple[str, ...]:
    return tuple(sorted(name for name, n in class_counts(values).items() if n >= least))


def split_at_random(stratified: bool) -> dict[str, Any]:
    return {"by": "stratified" if stratified else "random", "test": TEST, "seed": SEED}


def promise(column: Column, profile: Profile) -> float:
    """A guess how interesting a column is as a target: a telling name, or the first or last place; few gaps."""
    places = [c.name for c in profile.columns]
    edge = 1.0 if column.name == places[-1] else 0.5 if column.name == places[0] else 0.0
    wanted = 1.0 if WANTED.search(column.name) else 0.0
    calendar = 2.0 if CALENDAR.search(column.name) else 0.0
    return edge + wanted - column.missing - calendar


def tables(data: Dataset) -> Iterator[tuple[tuple[str, ...], pd.DataFrame, Profile]]:
    """Tables that rows can be told apart in."""
    for names in data.mains:
        frame, profile = data.main(names)
        if len(frame) >= 100 and len(profile.of(*FEATURES)) >= 3 and not profile.of("image"):
            yield names, frame, profile


def words(name: str) -> str:
    return re.sub(r"[_\s]+", " ", name).strip()


@proposers.add("classes", paper="mle-smith")
def classes(data: Dataset) -> Iterator[Formulation]:
    """Binary, imbalanced and multiclass classification of a column."""
    for names, frame, profile in tables(data):
        least = 10 if len(frame) < 400 else 20
        for c in profile.of("binary", "category", "name"):
            found = classes_of(frame[c.name], least)
            if c.kind == "name" and (len(found) > 12 or frame[c.name].map(str).isin(found).mean() < 0.8):
                continue
            if not 2 <= len(found) <= 30:
                continue
            counts = class_counts(frame[c.name])
            share = min(counts[name] for name in found) / sum(counts[name] for name in found)
            extra = positive_of(frame[c.name], found)
            if extra:
                kind, metric = ("imbalanced", "average_precision") if share < RARE else ("binary", "auc")
                title = f"Is {words(c.name)} {extra['positive']}?"
            else:
                kind, metric, title = "multiclass", "macro_f1", f"Which {words(c.name)} is it?"
            features, dropped = features_of(profile, c.name)
            why = f"{len(found)} classes with at least {least} rows each; the rarest has {share:.1%} of the rows"
            yield Formulation(
                kind,
                names,
                (c.name,),
                metric,
                features,
                split_at_random(True),
                title,
                why,
                dropped,
                found,
                extra,
                1 + promise(c, profile),
            )


def positive_of(values: pd.Series, classes: Sequence[str]) -> dict[str, str]:
    """What a plan holds of two classes: which one the chance is of, the one that says yes or else the rarer; nothing of more."""
    if len(classes) != 2:
        return {}
    names = {name: n for name, n in class_counts(values).items() if name in classes}
    for yes in ("1", "yes", "true", "y"):
        found = next((n for n in names if n.lower() == yes), None)
        if found is not None:
            return {"positive": found}
    return {"positive": min(sorted(names), key=lambda n: names[n])}


@proposers.add("levels", paper="mle-smith")
def levels(data: Dataset) -> Iterator[Formulation]:
    """Ordinal targets: whole numbers, few and in order."""
    for names, frame, profile in tables(data):
        for c in profile.of("level"):
            counts = frame[c.name].value_counts()
            usual = counts[counts >= 8]
            if CALENDAR.search(c.name) or len(usual) < 3 or usual.sum() < 0.9 * counts.sum():
                continue
            features, dropped = features_of(profile, c.name)
            why = f"{len(usual)} levels from {figure(usual.index.min())} to {figure(usual.index.max())}: being far off is worse than being near"
            yield Formulation(
                "ordinal", names, (c.name,), "quadratic_kappa", features, split_at_random(True), f"Which level of {words(c.name)}?", why,
                dropped, (), {"levels": sorted(float(v) for v in usual.index)}, 1 + promise(c, profile),
            )  # fmt: skip


@proposers.add("numbers", paper="mle-smith")
def numbers(data: Dataset) -> Iterator[Formulation]:
    """Regression and counts."""
    for names, frame, profile in tables(data):
        for c in profile.of("count", "number"):
            values = frame[c.name].dropna()
            if (
                c.facts.get("place")
                or CALENDAR.search(c.name)
                or c.distinct < 15
                or (values == values.mode().iloc[0]).mean() > 0.8
            ):
                continue
            features, dropped = features_of(profile, c.name)
            skewed = values.min() >= 0 and values.skew() > 3
            kind = "count" if c.kind == "count" and values.min() == 0 else "regression"
            metric = "rmsle" if skewed else "rmse" if kind == "regression" else "mae"
            why = f"values from {figure(values.min())} to {figure(values.max())}, {c.distinct} different" + (
                ", with a long tail" if skewed else ""
            )
            yield Formulation(
                kind, names, (c.name,), metric, features, split_at_random(False), f"How much is {words(c.name)}?", why, dropped,
                score=1 + promise(c, profile),
            )  # fmt: skip
