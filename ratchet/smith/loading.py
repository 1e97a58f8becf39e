"""Readers of raw files. What a task needs of this file is copied into its `prepare.py`, so everything here stands on its own:
pandas, numpy and the standard library, nothing of ratchet.

A reader takes the raw file and what `sniff` found out about it, and gives a table: columns have names, numbers are numbers,
what is missing is missing.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd


def unpacked(data: bytes) -> bytes:
    """Without gzip around it."""
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def contents(path: Path, pattern: str = "*") -> Iterator[tuple[str, bytes]]:
    """Names and bytes of what is in a file, a folder, or a zip or tar archive, sorted by name."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            name = file.relative_to(path).as_posix()
            if fnmatchcase(name, pattern):
                yield name, unpacked(file.read_bytes())
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if not n.endswith("/") and fnmatchcase(n, pattern)):
                yield name, unpacked(archive.read(name))
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            found = {}  # in the order of the archive, since a compressed one cannot be gone back in
            for member in archive:
                if member.isfile() and fnmatchcase(member.name, pattern):
                    found[member.name] = unpacked(archive.extractfile(member).read())
            yield from sorted(found.items())
    else:
        yield path.name, unpacked(path.read_bytes())


def shared(column: pd.Series) -> pd.Series:
    """The column as objects, one for all its equal cells: most tables repeat their texts, and a text for each cell is dear."""
    places, values = pd.factorize(column)
    return pd.Series(values, dtype=object).reindex(places).set_axis(column.index)


def typed(column: pd.Series, decimal: str = ".") -> pd.Series:
    """Numbers where all but a few cells are numbers (the others become missing), else text without blanks around it."""
    places, values = pd.factorize(column)
    cells, times = pd.Series(values, dtype=object), np.bincount(places[places >= 0], minlength=len(values))
    text = cells.str.strip() if cells.map(type).eq(str).any() else cells
    plain = text.str.replace(",", ".", regex=False) if decimal == "," else text
    numbers = pd.to_numeric(plain, errors="coerce").replace([np.inf, -np.inf], np.nan)
    filled = times[text.notna()].sum()
    if times[numbers.notna()].sum() < filled or decimal == ",":
        marked = figures(text, times, decimal)
        numbers = marked if times[marked.notna()].sum() >= max(1, times[numbers.notna()].sum()) else numbers
    enough = 0.98 if not words_for_missing(text[numbers.isna() & text.notna()]) or numbers.nunique() < 10 else 0.6
    found = numbers if filled and times[numbers.notna()].sum() >= enough * filled else text
    return found.reindex(places).set_axis(column.index)


def words_for_missing(cells: pd.Series) -> bool:
    """Whether cells among numbers are a few short words or signs without digits, as people put where they know no number."""
    return len(cells) <= 3 and all(isinstance(c, str) and len(c) <= 20 and not re.search(r"\d", c) for c in cells)


def figures(text: pd.Series, times: np.ndarray, decimal: str = ".") -> pd.Series:
    """Numbers as people write them: with signs of money or percent, marks between thousands, brackets for what is negative.

    `text` holds the distinct cells and `times` how often each is met. All but a few must have one form, else no cell is a number:
    lists of codes, codes with zeros before them, and numbers in different units are not numbers. `3%` is 3.
    """
    nothing = pd.Series(np.nan, index=text.index)
    strings = text.where(text.map(lambda v: isinstance(v, str)))
    filled = times[text.notna()].sum()
    if not filled or times[strings.notna()].sum() < 0.98 * filled or strings.str.len().max() > 200:
        return nothing
    clean = strings.str.replace(r"[\u00a0\u202f\u2009]", " ", regex=True).str.replace("\u2212", "-", regex=False).str.strip()
    unit = r"US\$|[$\u20ac\u00a3\u00a5\u20b9\u20a9]|USD|EUR|GBP|CHF|JPY|%"
    measure = r"[A-Za-z\u00b0\u00b5][\w\u00b0\u00b5\u00b2\u00b3/.^-]{0,7}"
    shape = rf"^(\()?([+-])?\s?({unit})?\s?([+-])?(\d(?:[\d., ']*\d)?\.?|[.,]\d+)(?:\s?({unit})|\s({measure}))?(\))?$"
    parts = clean.str.extract(shape)
    open_, sign, before, inner, digits, after, measured, close = (parts[i] for i in range(8))
    units = before.fillna(after).fillna(measured)
    fits = digits.notna() & (open_.notna() == close.notna()) & ~(before.notna() & after.notna()) & ~(sign.notna() & inner.notna())
    if 0 < measured[fits].notna().sum() < 0.98 * fits.sum():  # a word behind some of them is a name's
        return nothing
    met = units[fits].dropna().unique()
    percent = times[(fits & units.eq("%")).to_numpy()].sum()
    if len(met) > 1 or 0 < percent < 0.98 * times[fits.to_numpy()].sum() or open_[fits].notna().all():
        return nothing
    for mark, point in (
        ((".", ","), (" ", ","), ("'", ",")) if decimal == "," else ((",", "."), (" ", "."), ("'", "."), (".", ","))
    ):
        m, p = re.escape(mark), re.escape(point)
        grouped = fits & digits.str.fullmatch(rf"[1-9]\d{{0,2}}(?:{m}\d{{3}})+(?:{p}\d*)?").eq(True)
        right = grouped | (fits & digits.str.fullmatch(rf"(?:0|[1-9]\d*)(?:{p}\d*)?|{p}\d+").eq(True))
        if times[right.to_numpy()].sum() < 0.98 * filled or not (grouped.any() or len(met) or (right & open_.notna()).any()):
            continue
        whole = digits.where(right).str.partition(point)[0]
        marks, first = whole.str.count(m), whole.str.partition(mark)[0].str.len()
        alike = first[right].nunique() == 1 and not len(met)
        if alike and grouped.any() and (marks[right].nunique() > 1 or (mark in " '" and marks[right].min() > 1)):
            continue  # codes of three digits in lists, and numbers of telephones
        if (decimal, mark) == (".", ".") and not (grouped & digits.str.contains(",", regex=False).eq(True)).any():
            continue
        value = digits.where(right).str.replace(mark, "", regex=False).str.replace(point, ".", regex=False)
        negative = open_.notna() | sign.eq("-") | inner.eq("-")
        numbers = pd.to_numeric(value, errors="coerce")
        return numbers.where(~negative, -numbers)
    return nothing


def settled(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with moments as text that everybody reads alike (`2020-12-31`, `2020-12-31 23:59:59`, in UTC where there was a zone),
    and with money, percent and thousands as numbers."""
    fixed = {}
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            fixed[name] = column.dt.tz_convert("UTC").dt.tz_localize(None)
        elif pd.api.types.is_bool_dtype(column) or column.isna().all():
            continue
        elif pd.api.types.is_numeric_dtype(column):
            when = counted(str(name), column)
            plain = written(when) if when is not None else uncoded(column)
            if plain is not column:
                fixed[name] = plain
        elif isinstance(column.dropna().iloc[0], str):
            fixed[name] = told(column)
    return pd.DataFrame({name: fixed.get(name, frame[name]) for name in frame.columns}) if fixed else frame


def uncoded(column: pd.Series) -> pd.Series:
    """Numbers without a code for what is missing: -200 or -999 where nothing else is much below zero, 999 or 9999 where all else is less
    than half of it; met by many rows, and a whole number."""
    low, high = column.min(), column.max()
    digits = lambda code: re.fullmatch(r"99+", str(abs(int(code))))
    for code, below in ((low, True), (high, False)):
        if not np.isfinite(code) or code != round(code) or not (code <= -99 if below else code >= 999):
            continue
        if not digits(code) and not (below and code % 100 == 0):
            continue
        others = column[column != code]  # of few columns: most end above
        far = others.min() >= (0.1 if digits(code) else 0.02) * code if below else others.max() < 0.5 * code
        if far and others.nunique() >= 10 and (column == code).sum() >= max(10, 0.003 * len(column)):
            return column.where(column != code).astype(float)
    return column


def told(column: pd.Series) -> pd.Series:
    """A column of text: moments in one form, or numbers where at least half of the cells are written with marks, else as it is."""
    places, values = pd.factorize(column)
    text, times = pd.Series(values, dtype=object), np.bincount(places[places >= 0], minlength=len(values))
    looked = text.head(200)
    if not looked.map(lambda v: isinstance(v, str) and any(c.isdigit() for c in v[:40])).mean() > 0.9:
        return column
    when = dates(text, times, places)
    if when is not None:
        return pd.Series(written(when).reindex(places).to_numpy(), index=column.index, dtype=object)
    numbers = figures(text, times)
    marked = text.map(lambda v: isinstance(v, str) and not v.strip().isdigit()) & numbers.notna()
    if times[numbers.notna()].sum() < 0.98 * len(column.dropna()) or times[marked.to_numpy()].sum() < 0.5 * len(column.dropna()):
        return column
    return numbers.reindex(places).set_axis(column.index)


def dates(text: pd.Series, times: np.ndarray, places: np.ndarray) -> pd.Series | None:
    """Moments from days like 31/12/2020 and from moments with a zone; None for all else, which is read without doubt, or no date.

    A column has one order: where a first field is above 12 the day comes first, where a second is, the month; else a field that never
    changes is the day; else the order in which the rows follow one another; else the month comes first.
    """
    strings = text.where(text.map(lambda v: isinstance(v, str))).str.strip()
    enough = 0.98 * times.sum()
    zoned = strings.str.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})").eq(True)
    if times[zoned.to_numpy()].sum() >= enough:
        plain = strings.where(zoned).str.replace(r"\s?(UTC|Z)$", "+00:00", regex=True)
        found = pd.to_datetime(plain, utc=True, format="ISO8601", errors="coerce").dt.tz_localize(None)
        return found if times[found.notna().to_numpy()].sum() >= enough else None
    clock = r"(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*(?:([AaPp])\.?[Mm]\.?)?)?"
    parts = strings.str.extract(rf"^(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){clock}$")
    short = parts[3].str.len().eq(2) & parts[1].ne("/") & (parts[0].str.len().ne(2) | parts[2].str.len().ne(2))
    parts = parts.mask(short)
    if times[parts[0].notna().to_numpy()].sum() < enough:
        return None
    first, second, year = (pd.to_numeric(parts[i]) for i in (0, 2, 3))
    year = year.where(parts[3].str.len().ne(2), year + np.where(year < 69, 2000, 1900))
    hour, minute, seconds = (pd.to_numeric(parts[i]).fillna(0) for i in (4, 5, 6))
    half = parts[7].str.lower()
    hour = hour.mask(half.notna(), hour % 12) + 12 * half.eq("p")
    if (year[year.notna()] < 1600).any() or (hour > 24).any() or (minute > 59).any():
        return None
    after = pd.to_timedelta(hour * 3600 + minute * 60 + seconds, unit="s")
    day_first, month_first = (
        pd.to_datetime(pd.DataFrame({"year": year, "month": m, "day": d}), errors="coerce") + after
        for d, m in ((first, second), (second, first))
    )
    above = [times[(field > 12).to_numpy()].sum() for field in (first, second)]
    if any(above):
        best = day_first if above[0] > above[1] else month_first
    elif first.nunique() != second.nunique() and 1 in (first.nunique(), second.nunique()):
        best = day_first if first.nunique() == 1 else month_first
    else:
        best = day_first if 0.9 <= monotone(day_first.reindex(places)) > monotone(month_first.reindex(places)) else month_first
    return best if times[best.notna().to_numpy()].sum() >= enough else None


def monotone(values: pd.Series) -> float:
    """The share of steps in the direction that most go in, standing still among them."""
    steps = values.dropna().diff().iloc[1:]
    zero = steps.iloc[:1] * 0
    return (
        float(max((steps >= z).mean() if up else (steps <= z).mean() for z in zero for up in (True, False)))
        if len(steps)
        else 0.0
    )


def counted(name: str, column: pd.Series) -> pd.Series | None:
    """Moments from seconds (or their thousandths, millionths, ...) since 1970, and from days like 20201231; None for other numbers.

    The name must speak of time, or the numbers must be of our years and follow one another, or be whole hours.
    """
    low, high = float(column.min()), float(column.max())
    filled = column.dropna() if low >= 19_000_101 else column[:0]
    if len(filled) < 10 or filled.nunique() < 3:
        return None
    named = bool(re.search(r"time|date|epoch|stamp|created|modified|_at$|(^|_)ts$", name, re.I))
    steps = filled.diff().dropna()
    if low >= 19_000_101 and high <= 21_001_231 and bool((filled == filled.round()).all()):
        found = pd.to_datetime(column.astype("Int64").astype("string"), format="%Y%m%d", errors="coerce")
        return found if found.notna().sum() == len(filled) and (named or filled.nunique() > 10) else None
    for unit, times in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        if not 1e8 * times <= low <= high < 4.2e9 * times:
            continue
        ours = 6.3e8 * times <= low and high < 2.1e9 * times and not bool((steps == 1).all())
        round_ = [float((filled % (n * times) == 0).mean()) for n in (60, 3600)]
        follow = monotone(filled) >= 0.95 and (round_[0] > 0.5 or high - low < 0.25 * high)
        key = re.search(r"(^|[_\s#])(id|key|code|no|nr|number|index)$|[a-z]I[dD]$", name)
        if named or (ours and not key and (follow or round_[1] > 0.95)):
            whole = column.round() if times > 1 else (column * 1000).round()
            return pd.to_datetime(whole.astype("Int64"), unit=unit if times > 1 else "ms", errors="coerce")
    return None


def written(when: pd.Series) -> pd.Series:
    """Moments as text: days alone where no clock is told, and parts of seconds only where there are some."""
    known = when.dropna()
    days = bool((known == known.dt.normalize()).all())
    shape = "%Y-%m-%d" if days else "%Y-%m-%d %H:%M:%S" + (".%f" if bool((known.dt.microsecond > 0).any()) else "")
    return when.dt.strftime(shape).astype(object).where(when.notna(), None)


def delimited(
    data: bytes, *, encoding: str, sep: str, quote: str, decimal: str, skip: int, names: Sequence[str], codes: Sequence[str],
    missing: Sequence[str], foot: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Text with a field after another. `names` are the columns, `skip` the lines before the data, `codes` the columns whose digits
    are names, `foot` the rows below the table that are none of it."""
    places = {name: i for i, name in enumerate(names)}
    frame = pd.read_csv(
        io.BytesIO(data), encoding=encoding, encoding_errors="replace", sep=sep, decimal=decimal, skiprows=skip, header=None,
        names=list(places.values()), dtype={places[name]: str for name in codes}, keep_default_na=False, na_values=list(missing),
        quoting=0 if quote else 3, quotechar=quote or '"', skipinitialspace=True, on_bad_lines="skip", index_col=False,
        engine="python" if len(sep) > 1 else "c", **({} if len(sep) > 1 else {"low_memory": False}),
    )  # fmt: skip
    frame = frame.iloc[: len(frame) - foot]
    text = [i for i in frame if not pd.api.types.is_numeric_dtype(frame[i])]
    fixed = {i: typed(frame[i], decimal) if names[i] not in codes else shared(frame[i]) for i in text}
    return pd.DataFrame({name: fixed.get(i, frame[i]) for i, name in enumerate(names)})


def records(rows: Sequence[object], inside: str = "") -> pd.DataFrame:
    """Objects as rows; what is nested gets names with dots. GeoJSON's features give their properties and coordinates."""
    if inside == "features":
        rows = [{"id": row.get("id"), **(row.get("properties") or {}), "geometry": row.get("geometry")} for row in rows]
    frame = pd.json_normalize(list(rows))
    if "geometry.coordinates" in frame:
        points = frame.pop("geometry.coordinates")
        flat = points.map(lambda p: p if isinstance(p, list) and p and not isinstance(p[0], list) else [])
        for place, name in enumerate(("longitude", "latitude", "altitude")):
            values = flat.map(lambda p, place=place: p[place] if len(p) > place else np.nan)
            if values.notna().any():
                frame[name] = values.astype(float)
    for name in frame.columns:
        lists = frame[name].map(lambda v: isinstance(v, list))
        if lists.any():
            frame[name] = frame[name].map(lambda v: "|".join(map(str, v)) if isinstance(v, list) else v)
        elif frame[name].dtype == object:
            numbers = pd.to_numeric(frame[name], errors="coerce")
            whole = frame[name].notna().sum()
            if whole and numbers.notna().sum() == whole and not frame[name].map(lambda v: isinstance(v, str)).any():
                frame[name] = numbers
            else:
                frame[name] = frame[name].map(lambda v: v if v is None or v != v else str(v).strip()).replace("", None)
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame


def from_json(data: bytes, *, encoding: str, inside: str | Sequence[str], shape: str = "records") -> pd.DataFrame:
    """A table below the keys `inside`, or on all lines where that is "lines".

    `shape` says how it lies: a list of objects (records), a list of lists (rows, or named rows, where the first one names the columns),
    a list for each column (lists), an object for each column (columns) or for each row (index), or all apart (split).
    """
    text = data.decode(encoding)
    if inside == "lines":
        value = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        value = json.loads(text)
        for key in (inside,) if isinstance(inside, str) and inside else inside:
            value = value[key]
    if shape == "records":
        features = inside == "features" or (not isinstance(inside, str) and list(inside)[-1:] == ["features"])
        return records([row for row in value if isinstance(row, dict)], "features" if features else "")
    if shape == "index":
        plain = [str(i) for i in range(len(value))] == list(value)
        return records([row if plain else {"index": key, **row} for key, row in value.items()])
    if shape == "columns":
        keys = list(dict.fromkeys(key for column in value.values() for key in column))
        plain = [str(i) for i in range(len(keys))] == keys
        return records(
            [({} if plain else {"index": key}) | {name: column.get(key) for name, column in value.items()} for key in keys]
        )
    if shape == "lists":
        lists = {name: column for name, column in value.items() if isinstance(column, list)}
        length = max(map(len, lists.values()))
        return records([dict(zip(lists, row)) for row in zip(*(column for column in lists.values() if len(column) == length))])
    names, rows = [], value
    if shape == "split":
        names, rows = value["columns"], value["data"]
    elif shape == "named rows":
        names, rows = value[0], value[1:]
    width = max(map(len, rows))
    names = [str(name) for name in names] + [f"column_{i}" for i in range(len(names), width)]
    frame = records([dict(zip(names, row)) for row in rows])
    texts = [name for name in frame if shape == "named rows" and frame[name].dropna().map(lambda v: isinstance(v, str)).all()]
    return frame.assign(**{name: typed(frame[name].astype(object)) for name in texts})


def from_parquet(data: bytes) -> pd.DataFrame:
    frame = pd.read_parquet(io.BytesIO(data))
    frame.columns = [str(name).strip() for name in frame.columns]
    for name in frame.columns:
        if frame[name].dtype == object or isinstance(frame[name].dtype, pd.StringDtype | pd.CategoricalDtype):
            frame[name] = shared(frame[name]).replace({np.nan: None})
    return frame


def from_excel(path: Path, *, sheet: str, skip: int, names: Sequence[str], missing: Sequence[str], foot: int = 0) -> pd.DataFrame:
    frame = pd.read_excel(path, sheet_name=sheet, header=None, dtype=object).iloc[skip:].reset_index(drop=True)
    frame = frame.iloc[: len(frame) - foot]
    as_text = lambda v: None if v is None or v != v or str(v).strip() in missing else str(v)
    return pd.DataFrame({name: typed(frame.iloc[:, i].map(as_text).astype(object)) for i, name in enumerate(names)})


def from_sqlite(path: Path, *, table: str) -> pd.DataFrame:
    """The file is opened to be read alone; nothing is written beside it."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
        quoted = table.replace('"', '""')
        return pd.read_sql_query(f'SELECT * FROM "{quoted}"', base)


def from_arff(data: bytes, *, encoding: str, skip: int, **how) -> pd.DataFrame:
    lines = data.decode(encoding, errors="replace").splitlines()[skip:]
    kept = "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("%"))
    return delimited(kept.encode(), encoding="utf-8", sep=",", decimal=".", skip=0, **how)


def from_lines(files: Sequence[tuple[str, bytes]], *, encoding: str) -> pd.DataFrame:
    """A line of text in each row, and the file that it stood in: its name tells what it is."""
    rows = [
        (line.strip(), re.sub(r"(\.gz|\.txt)$", "", name).rpartition("/")[2].rpartition(".")[2] or name)
        for name, data in files
        for line in data.decode(encoding, errors="replace").splitlines()
        if line.strip()
    ]
    return pd.DataFrame(rows, columns=["text", "label"])


def from_texts(files: Sequence[tuple[str, bytes]], *, encoding: str) -> pd.DataFrame:
    """A file of text in each row, and the folder that it stood in."""
    rows = [(data.decode(encoding, errors="replace").strip(), name.split("/")[-2]) for name, data in files]
    return pd.DataFrame(rows, columns=["text", "label"])


def from_idx(data: bytes) -> np.ndarray:
    """An array in the format of MNIST: two zeros, a byte for the type, one for the number of axes, their lengths, the values."""
    kinds = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    axes = data[3]
    shape = np.frombuffer(data, ">i4", axes, 4)
    return np.frombuffer(data, kinds[data[2]], int(np.prod(shape)), 4 + 4 * axes).reshape(shape)


def from_series(files: Sequence[tuple[str, bytes]], **how) -> pd.DataFrame:
    """Many small tables of one shape, one below the other: `series` is the number in a file's name, `step` the row in it."""
    found = []
    for name, data in files:
        frame = delimited(data, **how)
        number = re.findall(r"\d+", name.rpartition("/")[2])
        frame.insert(0, "series", int(number[-1]) if number else name)
        frame.insert(1, "step", range(len(frame)))
        found.append(frame)
    return pd.concat(found, ignore_index=True)


def from_idx_pair(files: Sequence[tuple[str, bytes]]) -> pd.DataFrame:
    """Images and their labels, from two files of equal length."""
    images, labels = sorted((from_idx(data) for _, data in files), key=lambda array: -array.ndim)
    return pd.DataFrame({"image": list(images), "label": labels})


def from_images(files: Sequence[tuple[str, bytes]]) -> pd.DataFrame:
    """An image file in each row, its name, and the folder that it stood in."""
    rows = [(data, name, name.split("/")[-2] if "/" in name else "") for name, data in files]
    return pd.DataFrame(rows, columns=["image", "file", "label"])


def load(root: Path, reader: str, file: str, inside: str, how: dict) -> pd.DataFrame:
    """The table that a reading speaks of: `file` is below the raw folder, `inside` says which of an archive's or folder's."""
    read = globals()[reader]
    path = root / file
    if reader in ("from_sqlite", "from_excel"):
        return settled(read(path, **how))
    files = list(contents(path, inside))
    if reader in ("from_lines", "from_texts", "from_images", "from_idx_pair"):
        return read(files, **how)
    return settled(read(files, **how) if reader == "from_series" else read(files[0][1], **how))
