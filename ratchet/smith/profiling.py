"""What a table holds: of each column its kind, and how tables belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SAMPLE = 5_000  # cells of a column that are looked at one by one
MOST_CLASSES = 30
EVEN = 0.1  # the largest distance from even spacing of whole numbers that count rows
LATITUDE, LONGITUDE = re.compile(r"\b(lat|latitude)\b", re.I), re.compile(r"\b(lon|lng|long|longitude)\b", re.I)
KEY_NAME = re.compile(
    r"(^|[_\s#.])(id|key|code|uuid|no|nr|nbr|num|number|index|rownumber)$|(?-i:(?<=[a-z])(Id|ID|Num|Code)$)|(?<!i)num$"
    r"|^(?!.*(paid|bid|humid|valid|solid|acid|grid|liquid|fluid|lipid|rapid|kid|covid)$).*id$|^row(s?$|_|\s|names?$|number)",
    re.I,
)  # fmt: skip
MEASURE = re.compile(
    r"price|cost|amount|income|salary|wage|revenue|sales|profit|budget|total|population|area|volume|weight|distance|mileage|odometer", re.I
)  # fmt: skip
CLOCK = re.compile(r"time|clock|(^|_)(dep|arr|departure|arrival|start|end|begin|open|close)(_|$)", re.I)
LEVELS = 15  # the most that are seen as such


@dataclass(frozen=True)
class Column:
    """`kind` is one of: empty, constant, key (a name of the row), binary, category, level (few numbers in even steps), count,
    number, date, text (sentences), name (short strings, many different), list (several labels in a cell), image.

    `facts` of numbers: low, high, whole; step, of levels that are not whole or far apart; clock ("hhmm"), where 517 means 5:17;
    place ("latitude" or "longitude").
    """

    name: str
    kind: str
    distinct: int
    missing: float  # share
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def numeric(self) -> bool:
        return self.kind in ("level", "count", "number")


@dataclass(frozen=True)
class Profile:
    """Of one table."""

    table: str
    rows: int
    columns: tuple[Column, ...]
    duplicates: int = 0  # rows that are there a second time

    def __getitem__(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    def of(self, *kinds: str) -> list[Column]:
        return [c for c in self.columns if c.kind in kinds]

    def place(self) -> tuple[str, str] | None:
        """The columns of latitude and longitude."""
        lat = next((c.name for c in self.columns if c.facts.get("place") == "latitude"), None)
        lon = next((c.name for c in self.columns if c.facts.get("place") == "longitude"), None)
        return (lat, lon) if lat and lon else None


def profile(name: str, frame: pd.DataFrame) -> Profile:
    columns = tuple(column_of(str(c), frame[c]) for c in frame.columns)
    plain = [c.name for c in columns if c.kind not in ("image", "key")]
    return Profile(name, len(frame), columns, int(frame[plain].duplicated().sum()) if plain else 0)


def column_of(name: str, values: pd.Series) -> Column:
    import numpy as np
    import pandas as pd

    filled = values.dropna()
    missing = 1 - len(filled) / max(1, len(values))
    if filled.empty:
        return Column(name, "empty", 0, 1.0)
    first = filled.iloc[0]
    if isinstance(first, np.ndarray | bytes):
        return Column(name, "image", len(filled), missing)
    if isinstance(first, list | dict):
        filled = filled.map(str)
    distinct = int(filled.nunique())
    if distinct == 1:
        return Column(name, "constant", 1, missing)
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name, "date", distinct, missing)
    if pd.api.types.is_bool_dtype(filled) or (filled.dtype == object and filled.map(type).eq(bool).all()):
        return Column(name, "binary", distinct, missing)
    if pd.api.types.is_numeric_dtype(values):
        return of_numbers(name, filled, distinct, missing)
    return of_strings(name, filled.astype(str), distinct, missing)


def of_numbers(name: str, filled: pd.Series, distinct: int, missing: float) -> Column:
    whole = bool((filled == filled.round()).all())
    low, high = float(filled.min()), float(filled.max())
    facts: dict[str, Any] = {"low": low, "high": high, "whole": whole}
    if not whole and LATITUDE.search(name) and -90 <= low <= high <= 90:
        return Column(name, "number", distinct, missing, facts | {"place": "latitude"})
    if not whole and LONGITUDE.search(name) and -180 <= low <= high <= 360:
        return Column(name, "number", distinct, missing, facts | {"place": "longitude"})
    if distinct == 2:
        return Column(name, "binary", 2, missing, facts)
    unique = distinct == len(filled)
    steps = filled.diff().dropna()
    if whole and unique and len(filled) > 20 and (bool((steps == 1).all()) or KEY_NAME.search(name)):
        return Column(name, "key", distinct, missing, facts)
    if whole and distinct > 0.5 * len(filled) and KEY_NAME.search(name):
        return Column(name, "key", distinct, missing, facts)
    if (
        whole
        and distinct > 0.9 * len(filled)
        and len(filled) > 100
        and not MEASURE.search(name)
        and names_rows(filled.to_numpy(float), unique)
    ):
        return Column(name, "key", distinct, missing, facts)
    if whole and distinct <= LEVELS and high - low <= 60:
        return Column(name, "level", distinct, missing, facts)
    if step := spacing(filled, distinct):
        return Column(name, "level", distinct, missing, facts | {"step": step})
    if whole and clock(name, filled, distinct):
        facts["clock"] = "hhmm"
    if whole and low >= 0 and distinct <= 200:
        return Column(name, "count", distinct, missing, facts)
    return Column(name, "number", distinct, missing, facts)


def names_rows(values: NDArray[np.float64], unique: bool) -> bool:
    """Whether whole numbers, nearly all different, name and do not measure: they lie evenly, or are long and all of one length, or in
    narrow blocks with nothing between.

    What is measured from one moment to the next lies evenly, too, but wanders, or grows by steps that are like the steps before.
    """
    import numpy as np

    low, high = values.min(), values.max()
    rounded = float((values % 10 == 0).mean()) >= 0.25
    if low >= 1e8 and len(str(int(low))) == len(str(int(high))) and not rounded:
        return True
    blocks = np.split(ordered := np.sort(values), np.flatnonzero(ordered[1:] > 5 * ordered[:-1]) + 1) if low >= 1e4 else []
    if len(blocks) > 1 and all(block[-1] < 1.1 * block[0] for block in blocks):
        return True
    if not evenly(values) or not ((unique and len(values) > 200) or (low >= 1_000 and not rounded)):
        return False
    alike = lambda a: float(np.corrcoef(a[1:], a[:-1])[0, 1]) if np.ptp(a[1:]) and np.ptp(a[:-1]) else 0.0
    steps = np.diff(values)
    straight = bool((steps >= 0).all() or (steps <= 0).all())
    return alike(steps) < 0.5 if straight else alike(values) < 0.9


def spacing(filled: pd.Series, distinct: int) -> float:
    """The step between numbers that are few, each met often, and lie on a ladder of even steps (0.5, 1.0, ... 5.0); 0 for others."""
    import numpy as np

    if not 3 <= distinct < LEVELS or len(filled) < 8 * distinct:
        return 0.0
    places = np.sort(filled.unique().astype(float))
    step = float(np.diff(places).min())
    rungs = (places - places[0]) / step
    return round(step, 9) if np.abs(rungs - rungs.round()).max() < 1e-3 and rungs[-1] < LEVELS else 0.0


def hours_and_minutes(values: pd.Series) -> bool:
    """Whether numbers are from 0 to 2400, and their last two digits below 60."""
    return bool((values.between(0, 2400) & (values % 100 < 60)).all())


def clock(name: str, filled: pd.Series, distinct: int) -> bool:
    """Whether whole numbers are hours and minutes, as 517 is 5:17: none has sixty minutes or more."""
    if not hours_and_minutes(filled) or filled.max() < 100 or (filled % 100 == 0).all():
        return False
    return distinct > 150 or (distinct > 20 and bool(CLOCK.search(name)))


def evenly(values: NDArray[np.float64]) -> bool:
    """Whether numbers lie as evenly as those that count rows: what is measured hardly ever does (Kolmogorov and Smirnov's distance)."""
    import numpy as np

    places = (np.sort(values) - values.min()) / max(1e-12, float(np.ptp(values)))
    return bool(np.abs(places - np.linspace(0, 1, len(places))).max() < EVEN)


def of_strings(name: str, filled: pd.Series, distinct: int, missing: float) -> Column:
    some = filled.sample(min(len(filled), SAMPLE), random_state=0)
    words = float(some.str.count(r"\s+").mean()) + 1
    length = float(some.str.len().mean())
    if distinct == 2:
        return Column(name, "binary", 2, missing)
    if is_date(some):
        return Column(name, "date", distinct, missing)
    labels = listed(some)
    if labels:
        return Column(name, "list", distinct, missing, labels)
    if distinct <= MOST_CLASSES and distinct <= 0.2 * len(filled):
        return Column(name, "category", distinct, missing)
    if words >= 5 and distinct > 0.3 * len(filled):
        return Column(name, "text", distinct, missing, {"words": words})
    if distinct > 0.95 * len(filled) and (words < 1.5 or KEY_NAME.search(name)):
        return Column(name, "key", distinct, missing)
    return Column(name, "category" if distinct <= 0.05 * len(filled) else "name", distinct, missing, {"length": length})


def is_date(some: pd.Series) -> bool:
    import warnings

    import pandas as pd

    shaped = some.str.fullmatch(
        r"\s*\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([ T]\d{1,2}:\d{2}.*)?\s*|.*\b\d{1,4}\b.*[A-Za-z]{3}.*|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
    )
    if shaped.mean() < 0.95 or some.str.len().mean() > 40:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(pd.to_datetime(some.head(500), errors="coerce", format="mixed").notna().mean() > 0.9)


def listed(some: pd.Series) -> dict[str, Any] | None:
    """The separator and the labels, where cells hold several of a small vocabulary."""
    from collections import Counter

    for sep in ("|", ";", ","):
        cells = [[p.strip() for p in cell.split(sep) if p.strip()] for cell in some]
        many = sum(len(c) > 1 for c in cells) / max(1, len(cells))
        counts = Counter(p for c in cells for p in set(c))
        combinations = len({tuple(sorted(c)) for c in cells})
        if many > 0.15 and 3 <= len(counts) <= 60 and combinations > len(counts) and max(map(len, counts)) < 40:
            return {"separator": sep, "labels": sorted(p for p, n in counts.items() if 0.01 <= n / len(cells) <= 0.97)}
    return None


# ---- tables together -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    """Rows of `table` find theirs in `other` by equal cells: each cell of `column` is in `key` at most once."""

    table: str
    column: str
    other: str
    key: str
    found: float  # the share of rows that find one


def links(frames: dict[str, pd.DataFrame], profiles: dict[str, Profile]) -> list[Link]:
    """By values alone: names of columns need not agree."""
    found: list[Link] = []
    for other, frame in frames.items():
        keys = [c for c in profiles[other].columns if c.kind not in ("image", "text", "date", "empty") and is_key(frame[c.name])]
        for key in keys:
            values = set(frame[key.name].dropna())
            for table, mine in frames.items():
                if table == other:
                    continue
                for column in profiles[table].columns:
                    if column.kind in ("image", "text", "date", "empty", "constant") or (
                        column.kind == "number" and not column.facts["whole"]
                    ):
                        continue
                    cells = mine[column.name].dropna()
                    if mine[column.name].dtype.kind != frame[key.name].dtype.kind or cells.nunique() < 5:
                        continue
                    share = float(cells.isin(values).mean()) if len(cells) else 0.0
                    alike = cells.nunique() / max(1, len(values))
                    if share > 0.8 and (
                        alike > 0.02 if cells.dtype.kind == "O" else alike > 0.5 and same_name(column.name, key.name)
                    ):
                        found.append(Link(table, column.name, other, key.name, share))
    return found


def is_key(values: pd.Series) -> bool:
    return len(values) > 5 and bool(values.notna().mean() > 0.95) and values.nunique() > 0.98 * values.notna().sum()


def same_name(a: str, b: str) -> bool:
    """Whether two columns of whole numbers say the same: numbers alone agree by chance."""
    words = [set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", n).lower())) for n in (a, b)]
    stems = [{w.rstrip("s")[:6] for w in s} - {"id"} for s in words]
    return (
        bool(stems[0] & stems[1])
        or words[0] == words[1]
        or (any("serie" in s or "sequen" in s for s in stems[0]) and any("sequen" in s or "serie" in s for s in stems[1]))
    )


def stacks(profiles: Sequence[Profile]) -> list[list[str]]:
    """Tables with the same columns: parts of one."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for p in profiles:
        groups.setdefault(tuple(c.name for c in p.columns if not c.name.startswith("extra_")), []).append(p.table)
    return [tables for tables in groups.values() if len(tables) > 1]
