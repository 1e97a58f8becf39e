"""Rows that belong together: in time, on the map, in groups, in lists, in other tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratchet.smith.describing import OURS
from ratchet.smith.formulation import Dataset, Formulation, proposers
from ratchet.smith.kinds.columns import (
    CALENDAR,
    SEED,
    TEST,
    a,
    enough_of,
    features_of,
    names_something,
    positive_of,
    promise,
    split_at_random,
    tables,
    targets_of,
    words,
)

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.smith.profiling import Column, Link, Profile


ALIKE = 0.2  # the least correlation of neighbours in time
SEASONS = (1, 7, 12, 24, 52)  # steps
HOUR = re.compile(r"(hour|hr|hrs|time|stunde)s?|(hour|time)[ _]?(of[ _]?day)?", re.I)


def clock(frame: pd.DataFrame, profile: Profile) -> tuple[str, list[str]] | None:
    """The name and the columns of the moment of a row, where rows go on in time."""
    lower = {c.name.lower(): c.name for c in profile.columns}
    if {"year", "month"} <= set(lower):
        return "time" if "time" not in lower else "moment", [lower[p] for p in ("year", "month", "day", "hour") if p in lower]
    from ratchet.smith.preparing import hours

    dates = profile.of("date")
    if dates:
        day = dates[0].name
        hour = next((c.name for c in profile.columns if HOUR.fullmatch(c.name) and hours(frame[c.name]) is not None), None)
        if hour and frame[day].nunique() < 0.9 * len(frame):
            return "time" if "time" not in lower else "moment", [day, hour]
        return day, [day]
    return None


def years(frame: pd.DataFrame) -> pd.Series | None:
    """The year of each row, where a column has it by that name."""
    for name in (c for c in frame if str(c).strip().lower() in ("year", "yr", "jahr")):
        values = frame[name].dropna()
        if len(values) and values.dtype.kind in "iuf" and values.between(1500, 2200).all():
            return frame[name]
    return None


@proposers.add("forecasting", paper="mle-smith")
def forecasting(data: Dataset) -> Iterator[Formulation]:
    """What a series does next: everything measured after a moment is hidden, only the calendar is known."""
    for names in data.mains:
        frame, profile = data.main(names)
        found = clock(frame, profile)
        if found is None or len(frame) < 60:
            continue
        name, columns = found
        from ratchet.smith.preparing import moments

        when = moments(frame, columns)
        if when.notna().mean() < 0.95 or when.nunique() < 0.9 * len(frame):  # several rows of a moment are no series
            continue
        order = when.argsort(kind="stable").to_numpy()
        for c in targets_of(profile, "count", "number", "level"):
            if c.facts.get("place") or CALENDAR.search(c.name) or c.distinct < 10 or c.missing > 0.2 or c.name in columns:
                continue
            if names_something(c) or not goes_on(frame[c.name].iloc[order]):
                continue
            measured = [
                o.name for o in profile.of("count", "number", "level", "category", "binary") if o.name not in (c.name, *columns)
            ]
            yield Formulation(
                "forecasting", names, (c.name,), "mae", (name, *measured), {"by": "time", "column": name, "test": 0.2, "seed": SEED},
                f"What will {words(c.name)} be?", f"{len(frame)} moments in order; the last fifth is to be told from the calendar and the past",
                {}, (), {"dates": {name: columns}, "hidden": measured}, 2 + promise(c, profile),
            )  # fmt: skip


def goes_on(values: pd.Series) -> bool:
    """Whether neighbours in time, or in a season, are alike beyond chance: Spearman's correlation with what was some steps before."""
    ranks = values.dropna().rank().reset_index(drop=True)
    least = max(ALIKE, 4 / max(1, len(ranks)) ** 0.5)
    return any(ranks.corr(ranks.shift(lag)) > least for lag in SEASONS if len(ranks) > 3 * lag)


@proposers.add("map", paper="mle-smith")
def on_the_map(data: Dataset) -> Iterator[Formulation]:
    """Numbers and classes of places; what is to be told lies in cells of the map that training does not show."""
    for names, frame, profile in tables(data):
        place = profile.place()
        if place is None:
            continue
        spread = (frame[place[0]].quantile(0.95) - frame[place[0]].quantile(0.05)) or 1.0
        split = {"by": "blocks", "columns": list(place), "size": round(float(spread) / 8, 4), "test": TEST, "seed": SEED}
        for f in near(data, names, frame, profile):
            yield replace(
                f, kind="geospatial", split=split, title=f"{f.title[:-1]}, in places not seen before?", score=f.score + 0.8
            )


def near(data: Dataset, names: tuple[str, ...], frame: pd.DataFrame, profile: Profile) -> Iterator[Formulation]:
    from ratchet.smith.kinds.columns import classes, levels, numbers

    alone = replace(data, mains=[names])
    for proposer in (numbers, classes, levels):
        yield from proposer(alone)


@proposers.add("groups", paper="mle-smith")
def groups(data: Dataset) -> Iterator[Formulation]:
    """Rows of the same person, place or thing stay on one side of the split; and rows of a group in their order."""
    for names, frame, profile in tables(data):
        for g in grouping(frame, profile):
            for f in near(data, names, frame, profile):
                if f.targets == (g.name,):
                    continue
                features = tuple(c for c in f.features if c != g.name)
                split = {"by": "group", "column": g.name, "test": TEST, "seed": SEED}
                yield replace(
                    f, kind="grouped", split=split, features=features, title=f"{f.title[:-1]}, for {a(g.name)} not seen before?",
                    dropped=f.dropped | {g.name: "groups of the test set are new"}, extra=f.extra | {"group": g.name}, score=f.score + 0.3,
                )  # fmt: skip
                if f.kind in ("regression", "count"):
                    yield replace(
                        f, kind="ranking", metric="ndcg", split=split, features=features,
                        title=f"Which row of {a(g.name)} has the highest {words(f.targets[0])}?",
                        dropped=f.dropped | {g.name: "is the query, shown with each row"}, extra=f.extra | {"query": g.name}, score=f.score + 0.2,
                    )  # fmt: skip


def grouping(frame: pd.DataFrame, profile: Profile) -> list[Column]:
    """Columns that name who or what a row is about: many groups of several rows."""
    found: list[Column] = []
    for c in [c for c in profile.columns if c.kind in ("name", "category", "key") or names_something(c)]:
        sizes = frame[c.name].value_counts()
        if len(sizes) >= 20 and sizes.median() >= 3 and sizes.max() <= 0.2 * len(frame) and c.missing < 0.05:
            found.append(c)
    return found[:2]


@proposers.add("labels", paper="mle-smith")
def several_labels(data: Dataset) -> Iterator[Formulation]:
    """Lists in cells, or boxes that were ticked: a column each, with a word or nothing."""
    for names, frame, profile in tables(data):
        for c in profile.of("list"):
            labels = c.facts["labels"]
            if len(labels) < 3 or c.missing > 0.5:
                continue
            features, dropped = features_of(profile, c.name)
            columns = fresh(labels, [o.name for o in profile.columns])
            yield Formulation(
                "multilabel", names, tuple(columns), "mean_auc", features, split_at_random(False), f"Which {words(c.name)} does a row have?",
                f"{len(labels)} labels, several for a row", dropped, (),
                {"lists": {"column": c.name, "separator": c.facts["separator"], "labels": columns}, "label": c.name}, 2.0,
            )  # fmt: skip
        for stem, boxes in numbered(frame, profile).items():
            features, dropped = features_of(profile, "", without=boxes)
            yield Formulation(
                "multilabel", names, boxes, "mean_auc", features, split_at_random(False),
                f"Which of the {len(boxes)} {words(stem)} columns are 1?",
                f"{len(boxes)} columns of 0 and 1 with one name and a number", dropped, (), {"label": stem},
                4.0 if promise(profile[boxes[0]], profile) > 1 else 3.0,
            )  # fmt: skip
        for question, boxes in ticked(profile).items():
            features, dropped = features_of(profile, "", without=boxes)
            yield Formulation(
                "multilabel", names, boxes, "mean_auc", features, split_at_random(False), f"{question.rstrip('?:. ')}: which ones?",
                f"{len(boxes)} boxes that could be ticked", dropped, (), {"label": question[:40]}, 2.5,
            )  # fmt: skip


def fresh(labels: Sequence[str], there: Sequence[str]) -> dict[str, str]:
    """Names of columns for these labels: none is there already, none is another's, none is ours."""
    found: dict[str, str] = {}
    for label in labels:
        name = slug(label)
        while name in found or name in (*OURS.values(), *there):
            name = f"label_{name}"
        found[name] = label
    return found


def slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower() or "label"


def numbered(frame: pd.DataFrame, profile: Profile) -> dict[str, tuple[str, ...]]:
    """Columns of 0 and 1 under one name with numbers, of which a row may have several."""
    found: dict[str, list[str]] = {}
    for c in profile.of("binary"):
        stem = re.fullmatch(r"(.*[A-Za-z])[\W_]*\d+", c.name)
        if stem and c.missing < 0.05 and len(enough_of(frame[c.name])) == 2 and set(frame[c.name].dropna().unique()) <= {0, 1}:
            found.setdefault(stem[1], []).append(c.name)
    several = lambda names: (frame[names].sum(axis=1) > 1).mean() > 0.05  # else they are one column, spread out
    return {stem: tuple(names) for stem, names in found.items() if 3 <= len(names) <= 30 and several(names)}


def ticked(profile: Profile) -> dict[str, tuple[str, ...]]:
    """Neighbouring columns of one question, each with one word or nothing."""
    found: dict[str, list[str]] = {}
    for c in profile.of("constant"):
        if 0.05 < c.missing < 0.95:
            found.setdefault(c.name.partition(": ")[0], []).append(c.name)
    return {q: tuple(boxes) for q, boxes in found.items() if 3 <= len(boxes) <= 30}


@proposers.add("related", paper="mle-smith")
def related(data: Dataset) -> Iterator[Formulation]:
    """Rows with what other tables know of them: one row there for each of ours, or many."""
    for main in data.mains:
        frame, profile = data.main(main)
        sides = sides_of(data, main) if len(frame) >= 200 and len(profile.columns) > 2 else []
        columns = [side["column"] for side in sides]
        for f in near(data, main, frame, profile) if sides else ():
            own = [side for side in sides if side["column"] not in f.targets]
            if not own:
                continue
            features = tuple(dict.fromkeys([*f.features, *(c for c in columns if c not in f.targets)]))
            dropped = {n: why for n, why in f.dropped.items() if n not in columns}
            told = " and ".join(words(side["table"]) for side in own)
            yield replace(
                f, kind="multi-table", features=features, dropped=dropped, extra=f.extra | {"sides": own}, score=f.score + 1,
                title=f"{f.title[:-1]}, with what {told} say?" if len(own) > 1 else f"{f.title[:-1]}, with what {told} says?",
            )  # fmt: skip
    for link in data.links:
        yield from measured(data, link)


def sides_of(data: Dataset, main: tuple[str, ...]) -> list[dict[str, Any]]:
    """What each other table gives that rows of ours are found in: a table once, by the first of its links."""
    found: dict[str, dict[str, Any]] = {}
    for link in data.links:
        columns = [
            c.name for c in data.profiles[link.other].columns if c.kind not in ("key", "empty", "constant") and c.name != link.key
        ]
        if link.table in main and link.other not in main and columns and link.other not in found:
            side = {"table": link.other, "key": link.key, "column": link.column, "columns": columns, "own": False, "order": []}
            found[link.other] = side
    return list(found.values())


def measured(data: Dataset, link: Link) -> Iterator[Formulation]:
    """A class or a number of a short table's row, told by the many rows that belong to it in another one."""
    many, few = data.frames[link.table], data.frames[link.other]
    if len(many) < 5 * len(few) or len(few) < 100:
        return
    profile = data.profiles[link.other]
    steps = [c.name for c in data.profiles[link.table].columns if c.name in ("step",) or c.kind == "date"]
    values = [
        c.name
        for c in data.profiles[link.table].of("number", "count", "level", "category", "binary")
        if c.name not in (link.column, *steps)
    ]
    side = {
        "table": link.table,
        "key": link.column,
        "column": link.key,
        "columns": [*steps, *values],
        "own": True,
        "order": steps,
    }
    for c in profile.columns:
        if c.name == link.key or c.kind not in ("binary", "category", "level"):
            continue
        found = enough_of(few[c.name])
        if len(found) < 2:
            continue
        extra = positive_of(few[c.name], found)
        yield Formulation(
            "series classification", (link.other,), (c.name,), "auc" if extra else "macro_f1", (link.key,), split_at_random(True),
            f"Which {words(c.name)} does a series of measurements show?", f"{len(few)} series of {len(many) / len(few):.0f} rows in the mean",
            {o.name: "the series alone are to be read" for o in profile.columns if o.name not in (link.key, c.name)}, found,
            {"sides": [side]} | extra, 3.0,
        )  # fmt: skip
