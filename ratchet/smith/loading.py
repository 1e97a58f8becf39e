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
    found = numbers if filled and times[numbers.notna()].sum() >= 0.98 * filled else text
    return found.reindex(places).set_axis(column.index)


def delimited(
    data: bytes, *, encoding: str, sep: str, quote: str, decimal: str, skip: int, names: Sequence[str], codes: Sequence[str],
    missing: Sequence[str],
) -> pd.DataFrame:  # fmt: skip
    """Text with a field after another. `names` are the columns, `skip` the lines of the header, `codes` the columns whose digits
    are names."""
    places = {name: i for i, name in enumerate(names)}
    frame = pd.read_csv(
        io.BytesIO(data), encoding=encoding, encoding_errors="replace", sep=sep, decimal=decimal, skiprows=skip, header=None,
        names=list(places.values()), dtype={places[name]: str for name in codes}, keep_default_na=False, na_values=list(missing),
        quoting=0 if quote else 3, quotechar=quote or '"', skipinitialspace=True, on_bad_lines="skip", index_col=False,
        engine="python" if len(sep) > 1 else "c", **({} if len(sep) > 1 else {"low_memory": False}),
    )  # fmt: skip
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


def from_json(data: bytes, *, encoding: str, inside: str) -> pd.DataFrame:
    """A list of objects, or one below the key `inside`; JSON Lines where `inside` is "lines"."""
    text = data.decode(encoding)
    if inside == "lines":
        return records([json.loads(line) for line in text.splitlines() if line.strip()])
    value = json.loads(text)
    for key in filter(None, inside.split(".")):
        value = value[key]
    return records(value, inside)


def from_parquet(data: bytes) -> pd.DataFrame:
    frame = pd.read_parquet(io.BytesIO(data))
    frame.columns = [str(name).strip() for name in frame.columns]
    for name in frame.columns:
        if frame[name].dtype == object or isinstance(frame[name].dtype, pd.StringDtype | pd.CategoricalDtype):
            frame[name] = shared(frame[name]).replace({np.nan: None})
    return frame


def from_excel(path: Path, *, sheet: str, skip: int, names: Sequence[str], missing: Sequence[str]) -> pd.DataFrame:
    frame = pd.read_excel(path, sheet_name=sheet, header=None, skiprows=skip, dtype=object)
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
        return read(path, **how)
    files = list(contents(path, inside))
    if reader in ("from_lines", "from_texts", "from_series", "from_images", "from_idx_pair"):
        return read(files, **how)
    return read(files[0][1], **how)
