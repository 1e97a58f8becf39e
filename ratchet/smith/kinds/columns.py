"""One column of a table told by the others: classes, levels, counts and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ratchet.smith.describing import figure
from ratchet.smith.formulation import Dataset, Formulation, proposers

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.smith.profiling import Column, Profile

FEATURES = ("binary", "category", "level", "count", "number", "date", "text", "list")
CALENDAR = re.compile(
    r"^(series|step|year|month|day|hour|minute|weekday|week|quarter)\b|\b(month|time)$|(?<![a-z])date(?![a-z])"
    r"|(?<![a-z])(?<!per[_ ])(?<!per)(?<!this[_ ])(?<!last[_ ])(year|yr|month|mnth|quarter|qtr|weekday|dow|doy|wday|mday|yday|timestamp)$"
    r"|^(day|week|month|hour|minute)_?(of_.*|num|number|no|name)$|(?-i:(?<=[a-z])(Year|Month|Quarter|Weekday|Date)$)",
    re.I,
)
WANTED = re.compile(
    r"^y$|\b(target|label|class|outcome|output|response|result|churn\w*|exited|attrition|default|defaulted|den(y|ied)|approv\w*|surviv\w*"
    r"|status|price|sales?|score|rating|quality|diagnos\w*|spam|fraud\w*|phishing|click(ed)?|convert\w*|purchased|cens(ored)?|income"
    r"|salary|wages?|revenue|box office|profit|damage|delay|cost|fare|tip|species|hired|cancell?ed|readmitted|relapse\w*|sentiment|toxic"
    r"|interest rate|premium|bad|dead|died|death|yield|consumption|demand)\b",
)
NAMING = {
    "id", "ids", "code", "codes", "no", "nr", "nbr", "num", "number", "index", "key", "zip", "phone", "uuid", "fips", "subject", "patient",
    "participant",
}  # fmt: skip
COUNTED = {"no", "nr", "num", "number"}
FUSED = re.compile(r"[a-z]{2,}(code|num|(?<!a)(?<!o)(?<!u)id)$")
ENGLISH = {
    "valid",
    "invalid",
    "grid",
    "solid",
    "acid",
    "hybrid",
    "rapid",
    "covid",
    "bid",
    "mid",
    "kid",
    "humid",
    "lipid",
    "rigid",
    "platinum",
}
SORTS = re.compile(
    r"\b(code|types?|race|ethnicity|arms?|treat(ment)?|precinct|district|group|class|region|status|zone|sex|gender|state|country|county"
    r"|city|cluster|origin|source|department|division|sector|occupation|religion|marital|colou?r|brand|method|mode|party|route|site|ward|industry|id)\b"
    r"|(precinct|district|region|ethnicity)$",
)
ORDERED = re.compile(r"\b(age|income|size|level|rank|grade|score)\b")
PERSON = re.compile(r"\b(sur|last|family|first|given|full|customer|person|patient|passenger)[ _]?names?\b", re.I)
YES, NO = ("1", "1.0", "yes", "y", "true", "t"), ("0", "0.0", "no", "n", "false", "f")
RARE = 0.1  # a class below this share makes the task imbalanced
TEST = 0.25
LEAST = 40  # rows of a class, so that about ten of them are in the test set
TARGETS = 80  # columns of a wide table that are thought of as targets
ROWS, COLUMNS = 100, 3  # that a table needs
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


def enough_of(values: pd.Series) -> tuple[str, ...]:
    """Classes with rows enough to be told apart; of two in a short table a few are enough."""
    some = classes_of(values, 10)
    return some if len(some) == 2 and len(values) < 400 else classes_of(values, LEAST)


def split_at_random(stratified: bool) -> dict[str, Any]:
    return {"by": "stratified" if stratified else "random", "test": TEST, "seed": SEED}


def promise(column: Column, profile: Profile) -> float:
    """A guess how interesting a column is as a target: a telling name, or the first or last place; few gaps."""
    edge = 1.0 if column.name == end(reversed(profile.columns)) else 0.8 if column.name == end(profile.columns) else 0.0
    wanted = 2.0 if WANTED.search(" ".join(parts(column.name))) else 0.0
    calendar = 2.0 if CALENDAR.search(column.name) and column.kind != "binary" else 0.0
    return edge + wanted - column.missing - calendar


def end(columns: Iterable[Column]) -> str:
    """The first column that says something."""
    return next((c.name for c in columns if c.kind not in ("key", "constant", "empty")), "")


def targets_of(profile: Profile, *kinds: str) -> list[Column]:
    """Columns of these kinds; of very many the most promising."""
    found = profile.of(*kinds)
    if len(found) <= TARGETS:
        return found
    worth = {c.name: promise(c, profile) for c in found}
    return sorted(found, key=lambda c: -worth[c.name])[:TARGETS]


def parts(name: str) -> list[str]:
    """The words of a column's name: `in_reply_to_userId2` has in, reply, to, user, id, 2."""
    edges = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])|[\W_]+"
    return re.sub(edges, " ", name).lower().split()


def names_something(column: Column) -> bool:
    """Whether whole numbers are names of something, by what they are called: ids, codes, numbers of houses, but no numbers of rooms."""
    found = parts(column.name)
    while found and (found[-1].isdigit() or found[-1] == "str"):
        found.pop()
    if not found or not column.numeric or not column.facts.get("whole"):
        return False
    last = found[-1]
    if last in COUNTED:  # a number of a house, of which there are many; but no number of rooms
        return len(found) > 1 and column.distinct > 20
    if last in NAMING or found[0] == "id":
        return True
    return bool(FUSED.search(last)) and last not in ENGLISH


def of_sorts(column: Column) -> bool:
    """Whether numbers stand for sorts of things, which have no order."""
    name = " ".join(parts(column.name))
    return names_something(column) or bool(SORTS.search(name) and not ORDERED.search(name))


def tables(data: Dataset) -> Iterator[tuple[tuple[str, ...], pd.DataFrame, Profile]]:
    """Tables that rows can be told apart in; a row that is there twice counts once."""
    for names in data.mains:
        frame, profile = data.main(names)
        if len(frame) < ROWS or len(profile.of(*FEATURES)) < COLUMNS or profile.of("image"):
            continue
        if profile.duplicates:
            frame = frame[~frame.duplicated([c.name for c in profile.columns if c.kind != "key"])]
        yield names, frame, profile


def words(name: str) -> str:
    return re.sub(r"[_\s]+", " ", name).strip()


def yes_or_no(name: str, positive: str, classes: Sequence[str]) -> str:
    """The question after one of two classes."""
    asked = re.sub(r"^(is|has|was|are) ", "", words(name), flags=re.I)
    other = next((c for c in classes if c != positive), "")
    if positive.lower() == asked.lower() or (positive.lower() in YES and other.lower() in NO):
        return f"{asked[:1].upper()}{asked[1:]}: yes or no?"
    return f"Is it {positive}?" if asked.lower() in positive.lower() else f"Is {asked} {positive}?"


def a(name: str) -> str:
    """The name of a column, with its article."""
    return f"{'an' if words(name)[:1].lower() in 'aeiou' else 'a'} {words(name)}"


@proposers.add("classes", paper="mle-smith")
def classes(data: Dataset) -> Iterator[Formulation]:
    """Binary, imbalanced and multiclass classification of a column."""
    for names, frame, profile in tables(data):
        for c in targets_of(profile, "binary", "category", "name", "level"):
            if c.kind == "level" and (not of_sorts(c) or CALENDAR.search(c.name)):
                continue
            found = enough_of(frame[c.name])
            if c.kind == "name" and (len(found) > 12 or frame[c.name].map(str).isin(found).mean() < 0.8):
                continue
            if not 2 <= len(found) <= 30:
                continue
            counts = class_counts(frame[c.name])
            share = min(counts[name] for name in found) / sum(counts[name] for name in found)
            extra = positive_of(frame[c.name], found)
            if extra:
                kind, metric = ("imbalanced", "average_precision") if share < RARE else ("binary", "auc")
                title = yes_or_no(c.name, extra["positive"], found)
            else:
                kind, metric, title = "multiclass", "macro_f1", f"Which {words(c.name)} is it?"
            features, dropped = features_of(profile, c.name)
            rarest = min(counts[name] for name in found)
            why = f"{len(found)} classes with at least {rarest} rows each; the rarest has {share:.1%} of the rows"
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
    """Ordinal targets: numbers, few, even and in order."""
    for names, frame, profile in tables(data):
        for c in targets_of(profile, "level"):
            if CALENDAR.search(c.name) or of_sorts(c) or c.facts.get("place"):
                continue
            counts = frame[c.name].value_counts()
            usual = counts[counts >= 8]
            if len(usual) < 3 or usual.sum() < 0.9 * counts.sum():
                continue
            features, dropped = features_of(profile, c.name)
            whole = not (usual.index.to_numpy(float) % 1).any()  # kappa rounds to whole levels
            why = f"{len(usual)} levels from {figure(usual.index.min())} to {figure(usual.index.max())}: being far off is worse than being near"
            yield Formulation(
                "ordinal", names, (c.name,), "quadratic_kappa" if whole else "rmse", features, split_at_random(True),
                f"Which level of {words(c.name)}?", why,
                dropped, (), {"levels": sorted(float(v) for v in usual.index)}, 1 + promise(c, profile),
            )  # fmt: skip


@proposers.add("numbers", paper="mle-smith")
def numbers(data: Dataset) -> Iterator[Formulation]:
    """Regression and counts."""
    for names, frame, profile in tables(data):
        for c in targets_of(profile, "count", "number"):
            values = frame[c.name].dropna()
            if (
                c.facts.get("place")
                or names_something(c)
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
                kind, names, (c.name,), metric, features, split_at_random(False), f"How high is {words(c.name)}?", why, dropped,
                score=1 + promise(c, profile),
            )  # fmt: skip
