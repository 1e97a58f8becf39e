"""What raw files are, and how they must be read: format, encoding, separator, header, decimal mark, what is missing."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import SmithError
from ratchet.smith import loading

if TYPE_CHECKING:
    import pandas as pd

MISSING = (
    "",
    "?",
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
    "NONE",
    "-",
    "--",
    ".",
    "#N/A",
    "unknown",
    "Unknown",
)
ABOUT = re.compile(r"^(readme|licen[cs]e|origin|copying|changelog|about)\b|\.(md|names|rst|html?|pdf|py|ipynb|r)$", re.I)
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
SEPARATORS = ("\t", ";", ",", "|")
LINES = 2_000  # of a file that are looked at


@dataclass(frozen=True)
class Reading:
    """How one table is read: a function of `loading`, the file below the raw folder, which members of it, and its settings."""

    name: str
    reader: str
    file: str
    inside: str = "*"
    how: dict[str, Any] = field(default_factory=dict)

    def load(self, root: Path) -> pd.DataFrame:
        return loading.load(root, self.reader, self.file, self.inside, self.how)


def readings(root: Path, only: Sequence[Path] = ()) -> tuple[list[Reading], list[str]]:
    """The tables in a folder (or in some of its files), and a sentence for each file that was left out.

    Raises SmithError where there is nothing to read.
    """
    files = sorted(only) if only else sorted(p for p in root.rglob("*") if p.is_file() and not p.name.startswith("."))
    found: list[Reading] = []
    left: list[str] = []
    loose: list[tuple[str, bytes]] = []
    for path in files:
        name = path.relative_to(root).as_posix()
        if ABOUT.search(path.name):
            left.append(f"{name}: about the data, not data")
            continue
        try:
            own = of_file(path, name)
        except SmithError as e:
            left.append(f"{name}: {e}")
            continue
        except Exception as e:  # one broken file must not hide the others
            left.append(f"{name}: cannot be read ({type(e).__name__}: {str(e)[:120]})")
            continue
        if own is None:
            loose.append((name, b""))
        else:
            found += own
            left += [] if own else [f"{name}: holds no table"]
    found += of_loose(root, [name for name, _ in loose], left)
    if not found:
        said = "; ".join(left[:5]) or "it holds no files"
        raise SmithError(
            f"{root.name}: nothing in it can be read as data ({said}); tables, texts, images and archives of them are"
        )
    return unique(found), left


def unique(found: Sequence[Reading]) -> list[Reading]:
    seen: Counter[str] = Counter()
    named: list[Reading] = []
    for reading in found:
        seen[reading.name] += 1
        again = seen[reading.name]
        named.append(reading if again == 1 else Reading(f"{reading.name}_{again}", *list(vars(reading).values())[1:]))
    return named


def stem(name: str) -> str:
    """A table's name: of the file, without endings."""
    bare = name.rpartition("/")[2]
    while re.search(
        r"\.(gz|csv|tsv|txt|tab|data|dat|json|jsonl|ndjson|geojson|parquet|pq|arff|xlsx?|db|sqlite3?|zip|tar|tgz)$", bare, re.I
    ):
        bare = bare.rpartition(".")[0]
    return re.sub(r"\W+", "_", bare).strip("_").lower() or "table"


def of_file(path: Path, name: str) -> list[Reading] | None:
    """The tables of one file; None where it is text or an image that has to be seen with its neighbours."""
    import tarfile
    import zipfile

    head = beginning(path)
    if not head.strip():
        raise SmithError("is empty")
    lower = path.name.lower().removesuffix(".gz")
    if head[:4] == b"PAR1":
        return [Reading(stem(name), "from_parquet", name)]
    if head[:15] == b"SQLite format 3":
        return of_sqlite(path, name)
    if lower.endswith((".xlsx", ".xlsm")):
        return of_excel(path, name)
    if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        return of_archive(path, name)
    if lower.endswith(IMAGES) or (head[:2] == b"\0\0" and len(head) > 8 and head[2] in (8, 9, 11, 12, 13, 14)):
        return None
    if b"\0" in head[:4096] and head[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise SmithError("cannot be read: a binary format that is not known")
    data = next(loading.contents(path))[1]
    encoding = encoding_of(data)
    text = data.decode(encoding, errors="replace")
    if lower.endswith(".arff") or re.match(r"\s*(%[^\n]*\n\s*)*@relation", text[:20_000], re.I):
        return [of_arff(text, name, encoding)]
    if text.lstrip()[:1] in ("{", "["):
        found = of_json(text, name, encoding)
        if found is not None:
            return found
    how = delimited(text, encoding, known=lower.endswith((".csv", ".tsv", ".tab")))
    return None if how is None else [Reading(stem(name), "delimited", name, how=how)]


def beginning(path: Path, size: int = 65_536) -> bytes:
    import gzip

    with path.open("rb") as f:
        head = f.read(size)
    if head[:2] == b"\x1f\x8b":
        with gzip.open(path) as f:
            return f.read(size)
    return head


def encoding_of(data: bytes) -> str:
    if data[:3] == b"\xef\xbb\xbf":
        return "utf-8-sig"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", data) else "cp1252"
    return "utf-8"


# ---- text with fields ------------------------------------------------------------------------------------------------


def rows_of(text: str, sep: str, quote: str = '"') -> list[list[str]]:
    """The first rows, empty ones among them."""
    lines = io.StringIO(text[:4_000_000], newline="")
    quoting = {"quoting": csv.QUOTE_NONE} if quote == "" else {"quotechar": quote}
    csv.field_size_limit(1 << 24)
    reader = csv.reader(lines, delimiter=sep, skipinitialspace=True, **quoting)  # type: ignore[arg-type]
    found: list[list[str]] = []
    for row in reader:
        found.append(row)
        if len(found) >= LINES:
            break
    return found


def steadiness(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """The share of rows with the most frequent number of fields, and that number; empty rows do not count."""
    counts = Counter(len(row) for row in rows if row)
    if not counts:
        return 0.0, 0
    [(fields, times)] = counts.most_common(1)
    return times / counts.total(), fields


def delimited(text: str, encoding: str, known: bool = False) -> dict[str, Any] | None:
    """The settings of `loading.delimited`, or None for text without steady fields. `known`: the file's ending says that it has."""
    text = text.lstrip("\ufeff")
    tried: list[tuple[float, int, str]] = []
    first = set[str]()
    for sep in SEPARATORS:
        rows = rows_of(text, sep)
        share, fields = steadiness(rows)
        if fields > 1:
            tried.append((share, fields, sep))
            first |= {sep} if next(len(row) for row in rows if row) == fields else set()
    best = max(tried, key=lambda t: (round(t[0], 1), t[2] in first, t[1]), default=None)
    if best is None or best[0] < (0.5 if known else 0.9):
        white = [line.split() for line in text.splitlines()[:LINES]]
        share, fields = steadiness(white[begun(white, steadiness(white)[1]) :])
        numeric = sum(is_number(cell) for row in white for cell in row) > 0.5 * sum(map(len, white))
        if share == 1.0 and fields > 1 and numeric and sum(map(bool, white)) > 2:
            return settings(white, encoding, r"\s+", '"')
        if not known or not text.strip():
            return None
        return settings([[line] if line.strip() else [] for line in text.splitlines()[:LINES]], encoding, ",", '"')
    sep = best[2]
    quote = quoting(text, sep)
    how = settings(rows_of(text, sep, quote), encoding, sep, quote)
    how["foot"] = foot(last_rows(text, sep, quote), len(how["names"])) if best[0] >= 0.9 else 0
    if not quote:  # what ragged lines have too much gets columns of its own, which turn out nearly empty
        widest = max(line.count(sep) + 1 for line in text.splitlines())
        how["names"] += [f"extra_{i}" for i in range(len(how["names"]), widest)]
    return how


def quoting(text: str, sep: str) -> str:
    """The quote mark: double, single, or none where quotes do not come in pairs."""
    lines = text.splitlines()[:LINES]
    cells = [cell.strip() for line in lines for cell in line.split(sep)]
    if any(c.startswith('"') for c in cells):
        odd = sum(line.count('"') % 2 for line in lines)
        whole = steadiness(rows_of(text, sep))[0]
        return "" if odd > 0.005 * len(lines) and steadiness(rows_of(text, sep, ""))[0] > whole - 0.02 and sep == "\t" else '"'
    single = sum(len(c) > 1 and c[0] == c[-1] == "'" for c in cells)
    return "'" if single and not any(c.startswith("'") and not c.endswith("'") for c in cells) else ('"' if sep != "\t" else "")


def settings(rows: list[list[str]], encoding: str, sep: str, quote: str) -> dict[str, Any]:
    share, usual = steadiness(rows)
    start = begun(rows, usual) if share >= 0.5 else next((i for i, row in enumerate(rows) if row), 0)
    rows, above = [row for row in rows[start:] if row], start
    width = max(usual, *(len(r) for r in rows[:3]))
    decimal = "," if sep != "," and comma_decimals(rows) else "."
    header, names = named(beside(rows, width, decimal), width, decimal)
    return {
        "encoding": encoding, "sep": sep, "quote": quote, "decimal": decimal, "skip": above + header, "names": names,
        "codes": codes(rows[header:], names), "missing": list(MISSING),
    }  # fmt: skip


def begun(rows: Sequence[Sequence[str]], width: int) -> int:
    """How many rows stand above the table: titles, comments and empty ones, which are narrower than it is.

    A row of full width is above it, too, where it is nearly empty and a header follows.
    """
    filled = lambda row: [c.strip() for c in row if c.strip()]
    top = min(len(rows) // 2, 60)
    start = next((i for i, row in enumerate(rows[:top]) if len(row) >= width), 0)
    full = next((i for i, row in enumerate(rows[:top]) if len(filled(row)) > max(1, width // 4)), 0)
    names = next((i for i in range(start - 1, -1, -1) if rows[i]), -1)
    if names >= 0 and len(filled(rows[names])) >= max(2, 0.5 * width) and not rows[names][0].startswith("#"):
        after = [row for row in rows[start:] if row]
        if not any(is_number(c) for c in filled(rows[names])) and not one_header(squared(after, width), "."):
            return names  # a header of fewer names than there are columns
    while start < top and rows[start][:1] and rows[start][0].startswith("#"):
        rest = [row for row in rows[start + 1 :] if row]
        marked = rest[0][0].startswith("#")
        if not marked and not (any(map(is_number, rest[1])) and one_header(squared(rest, width), ".")):
            break  # the last of the lines with a mark is the header
        start += 1
    gap = next((i for i in range(top - 1, start, -1) if not rows[i - 1] and len(filled(rows[i])) >= width), 0)
    if gap and width > 2 and all(len(filled(row)) < width for row in rows[:gap]):
        full = max(full, gap)
    if full > start and width > 2 and one_header(squared([row for row in rows[full:] if row], width), "."):
        return full
    return start


def squared(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Rows of equal width, of which the first 500 are looked at."""
    return [[c.strip() for c in row[:width]] + [""] * (width - len(row)) for row in rows[:500]]


def beside(rows: list[list[str]], width: int, decimal: str) -> list[list[str]]:
    """The rows, with an empty name for the names of rows where the header speaks of all columns but the first."""
    below = rows[1:]
    if (
        len(rows[0]) != width - 1
        or not below
        or any(len(row) != width for row in below)
        or not any(row[-1].strip() for row in below)
    ):
        return rows
    moved = [["", *rows[0]], *below]
    return moved if one_header(squared(moved, width), decimal) else rows


def last_rows(text: str, sep: str, quote: str) -> list[list[str]]:
    """The last rows of a text that may be long, without empty ones."""
    end = text.rstrip()[-30_000:]
    rows = (
        [row for row in rows_of(end, sep, quote) if row] if len(end) < 30_000 else [r for r in rows_of(end, sep, quote) if r][1:]
    )
    return rows[-200:] if len(rows) < LINES else []


def foot(rows: Sequence[Sequence[str]], width: int) -> int:
    """How many rows stand below the table: sources and notes, which fill at most half of its width."""
    found = 0
    for row in reversed(rows[len(rows) // 2 :]):
        filled = [c.strip() for c in row if c.strip()]
        note = len(filled) == 1 and width > 2 and len(filled[0].split()) > 2
        if not note and not (len(row) < width and len(filled) <= max(1, width // 2)):
            return found
        found += 1
    return found


def codes(rows: Sequence[Sequence[str]], names: Sequence[str]) -> list[str]:
    """Columns of digits with zeros before them: they are names, not numbers."""
    columns = [[row[i].strip() for row in rows if i < len(row)] for i in range(len(names))]
    zeros = [sum(bool(re.match(r"[+-]?0\d", cell)) for cell in column) for column in columns]
    return [name for name, column, n in zip(names, columns, zeros) if n > 0.02 * len(column) and n > 0]


def comma_decimals(rows: Iterable[Sequence[str]]) -> bool:
    """Whether commas are before decimals; `12,345` and `1,234.5` do not say so, `12,5` and `1.234,5` do."""
    cells = [c.strip() for row in rows for c in row]
    commas = sum(bool(re.fullmatch(r"\D{0,4}(\d+|[1-9]\d{0,2}(\.\d{3})+),\d+\D{0,4}", c)) for c in cells)
    thousands = sum(bool(re.fullmatch(r"\D{0,4}[1-9]\d{0,2},\d{3}\D{0,4}", c)) for c in cells)
    points = sum(bool(re.fullmatch(r"-?\d+\.\d+", c)) for c in cells)
    dotted = sum(bool(re.fullmatch(r"-?[1-9]\d{0,2}\.\d{3}", c)) for c in cells)
    return commas - thousands > 0 and (commas > 2 * points or (points == dotted and commas - thousands > 0.2 * points))


def is_number(cell: str, decimal: str = ".") -> bool:
    """A plain number, or one with a sign of money or percent and marks between thousands."""
    text = cell.strip()
    mark, point = (r"\.", ",") if decimal == "," else (",", r"\.")
    shape = rf"[+-]?(\d+({point}|\.)?\d*|({point}|\.)\d+)([eE][+-]?\d+)?"
    marked = rf"\(?[+-]?([$€£¥₹] ?)?[+-]?[1-9]\d{{0,2}}(({mark}\d{{3}})*|\d*)({point}\d*)?( ?[%$€£¥₹])?\)?"
    return bool(re.fullmatch(shape, text) or re.fullmatch(marked, text))


def named(rows: Sequence[Sequence[str]], width: int, decimal: str = ".") -> tuple[int, list[str]]:
    """How many lines the header has, and the columns' names."""
    lines = [[c.strip() for c in row] + [""] * (width - len(row)) for row in rows[:500]]
    if len(lines) > 3 and two_headers(lines, decimal):
        first, second = lines[0], lines[1]
        filled = list(first)
        for i in range(1, width):
            filled[i] = first[i] or filled[i - 1]
        plain = lambda a, b: a if not b or b.lower() in ("response", "value") or a == b else f"{a}: {b}"
        return 2, distinct([plain(a, b) for a, b in zip(filled, second)])
    if one_header(lines, decimal):
        return 1, distinct([c or f"column_{i}" for i, c in enumerate(lines[0][:width])])
    return 0, [f"column_{i}" for i in range(width)]


def one_header(lines: Sequence[Sequence[str]], decimal: str) -> bool:
    """Whether the first line names the columns: no number in it, where there are numbers below; and it is not met again.

    Numbers may name columns that are counted (years, 1 to 9), and names may be met twice where words stand over numbers.
    """
    first, below = lines[0], lines[1:]
    if not below:
        return not any(is_number(c, decimal) for c in first)
    names = [c for c in first if c]
    if not names or any(c in ("?", "NA", "NaN") for c in names):
        return False
    columns = list(zip(*below))
    filled = [[c for c in column if c not in MISSING] for column in columns]
    shares = [sum(is_number(c, decimal) for c in cells) / max(1, len(cells)) for cells in filled]
    over = any(
        name not in MISSING and not is_number(name, decimal) and share >= 0.95 and len(cells) > 2 and name not in cells
        for name, share, cells in zip(first, shares, filled)
    )
    if any(is_number(c, decimal) for c in names):
        return numbered(lines, over)
    if len(set(names)) < 0.7 * len(names):
        return over
    if any(share > 0.5 for share in shares):
        return True
    met = sum(name in set(column) for name, column in zip(first, columns) if name)
    alike = sum(len(set(column)) < 0.5 * len(column) and name not in set(column) for name, column in zip(first, columns) if name)
    return met == 0 and (alike > 0 or all(len(n) < 40 for n in names))


def numbered(lines: Sequence[Sequence[str]], over: bool) -> bool:
    """Whether a first line with numbers names columns: they are whole, all different, and go on in even steps as no line below does,
    or words stand over numbers elsewhere (`over`)."""
    counts = [re.sub(r"\.0$", "", c) for c in lines[0] if re.fullmatch(r"\d{1,4}(\.0)?", c)]
    words = [c for c in lines[0] if c and not is_number(c)]
    if len(counts) + len(words) < sum(c != "" for c in lines[0]) or len(set(counts)) < len(counts):
        return False
    if over:
        return True
    run = lambda line: {int(b) - int(a) for a, b in pairwise(line)} if all(re.fullmatch(r"\d{1,4}", c) for c in line) else set()
    steps = run(counts)
    if len(counts) < 3 or len(steps) != 1 or steps <= {0} or (not words and int(counts[0]) > 1):
        return False
    places = [i for i, c in enumerate(lines[0]) if re.fullmatch(r"\d{1,4}(\.0)?", c)]
    again = sum(run([line[i] for i in places]) == steps for line in lines[1:])
    return again < 0.02 * len(lines)


def two_headers(lines: Sequence[Sequence[str]], decimal: str) -> bool:
    """Whether a second line goes on with the first one's names: the first has gaps, the second has words there, unlike those below; or
    both are words over columns of numbers."""
    first, second, below = lines[0], lines[1], lines[2:]
    gaps = [i for i, c in enumerate(first) if not c and i]
    looked = below[:50]
    numbers = [i for i in range(len(first)) if sum(is_number(row[i], decimal) for row in looked) > 0.95 * len(looked)]
    above = [line[i] for line in (first, second) for i in numbers]
    if len(numbers) > 0.8 * len(first) and sum(map(bool, above)) > 0.9 * len(above) and len(set(second)) > 2:
        return not any(is_number(c, decimal) for c in above)
    if len(gaps) < 2 or any(is_number(c, decimal) for c in second) or any(is_number(c, decimal) for c in first):
        return False
    new = [i for i in gaps if second[i] and second[i] not in {row[i] for row in below[:50]}]
    return len(new) >= 0.5 * len(gaps)


def distinct(names: Sequence[str]) -> list[str]:
    """Names without two that are equal: a later one gets a number that no other name has."""
    plain = [re.sub(r"\s+", " ", n).strip() for n in names]
    found: list[str] = []
    for i, name in enumerate(plain):
        times = plain[:i].count(name) + 1
        while (new := name if times == 1 else f"{name} ({times})") in found or (times > 1 and new in plain):
            times += 1
        found.append(new)
    return found


# ---- other formats ---------------------------------------------------------------------------------------------------


def of_json(text: str, name: str, encoding: str) -> list[Reading] | None:
    """The tables in JSON or JSON Lines; None for what is neither. Raises SmithError for JSON that holds no table."""
    reading = lambda title, inside, shape: Reading(
        title, "from_json", name, how={"encoding": encoding, "inside": inside, "shape": shape}
    )
    try:
        value = json.loads(text)
    except ValueError as e:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            rows = [json.loads(line) for line in lines[:LINES]]
        except ValueError:
            rows = []
        if len(rows) > 1 and (shape := shape_of_json(rows)) in ("records", "rows", "named rows"):
            return [reading(stem(name), "lines", shape)]
        if re.search(r"\.(json|jsonl|ndjson|geojson)(\.gz)?$", name, re.I):
            raise SmithError(f"cannot be read as JSON ({e})") from e
        return None
    found = list(tables_of_json(value))
    if not found:
        raise SmithError("is JSON without a table in it: no list of objects or of lists, no columns of equal length")
    bare = lambda inside: stem(name) if len(found) == 1 else "_".join([stem(name), *inside])
    return [reading(bare(inside), "" if not inside else list(inside), shape) for inside, shape in found]


def tables_of_json(value: object, inside: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys below which tables lie, and the shape of each (see `loading.from_json`)."""
    shape = shape_of_json(value)
    if shape:
        yield inside, shape
    elif isinstance(value, dict) and len(inside) < 6:
        described = "data" in value and isinstance(value.get("schema"), dict)  # what describes columns is no table of its own
        for key, below in ({"data": value["data"]} if described else value).items():
            yield from tables_of_json(below, (*inside, key))


def shape_of_json(value: object) -> str:
    """How a table lies in a value; "" where it is none."""
    plain = lambda v: not isinstance(v, list | dict)
    if isinstance(value, list) and len(value) > 1:
        if all(isinstance(row, dict) for row in value):
            return "records"
        if all(isinstance(row, list) for row in value) and len(value[-1]) > 1:
            widths = Counter(map(len, value))
            steady = widths.most_common(1)[0][1] > 0.9 * len(value)
            cells = [["" if c is None else str(c) for c in row] for row in value[:500] if len(row) == len(value[-1])]
            words = all(isinstance(c, str) for c in value[0])
            return ("named rows" if words and one_header(cells, ".") else "rows") if steady else ""
        return ""
    if not isinstance(value, dict) or not value:
        return ""
    held = list(value.values())
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        rows = value["data"]
        if len(rows) > 1 and all(isinstance(r, list) and len(r) == len(value["columns"]) for r in rows):
            return "split"
    if len(held) > 1 and all(isinstance(v, dict) and v for v in held):
        inner = Counter(key for v in held for key in v)
        if min(inner.values()) == len(held) or sum(inner.values()) > 0.5 * len(held) * len(inner):
            rows = all(key.isdigit() for key in value), all(key.isdigit() for key in inner)
            if rows == (False, True) or (rows[0] == rows[1] and len(inner) > len(held)):
                return "columns" if all(plain(cell) for v in held for cell in v.values()) else ""
            return "index" if len(held) > 2 and any(plain(cell) for cell in held[0].values()) else ""
    lists = [v for v in held if isinstance(v, list) and len(v) > 1 and all(map(plain, v))]
    if len(lists) > 1 and len({len(v) for v in lists}) == 1 and len(lists) > 0.5 * len(held):
        return "lists"
    return ""


def of_sqlite(path: Path, name: str) -> list[Reading]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
        tables = [t for (t,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    return [Reading(re.sub(r"\W+", "_", t).lower(), "from_sqlite", name, how={"table": t}) for t in sorted(tables)]


def of_excel(path: Path, name: str) -> list[Reading]:
    import pandas as pd

    found: list[Reading] = []
    for sheet, frame in pd.read_excel(path, sheet_name=None, header=None, dtype=object).items():
        if frame.shape[0] < 3 or frame.shape[1] < 2:
            continue
        blank = lambda v: "" if v is None or v != v else str(v)
        rows = [[blank(v) for v in row] for row in frame.head(LINES).itertuples(index=False)]
        width = frame.shape[1]
        start = begun(rows, width)
        header, names = named(rows[start:], width)
        below = [[blank(v) for v in row] for row in frame.tail(200).itertuples(index=False)]
        how = {
            "sheet": str(sheet), "skip": start + header, "names": names, "missing": list(MISSING), "foot": foot(below, width),
        }  # fmt: skip
        found.append(Reading(stem(name) if not found else f"{stem(name)}_{stem(str(sheet))}", "from_excel", name, how=how))
    return found


def of_arff(text: str, name: str, encoding: str) -> Reading:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().lower().startswith("@data"))
    pattern = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|\S+)""", re.I)
    names = [m[1].strip("'\"") for line in lines[:start] if (m := pattern.match(line.strip()))]
    body = "\n".join(lines[start + 1 :])
    how = {
        "encoding": encoding, "names": distinct(names), "skip": start + 1, "quote": quoting(body, ",") or '"',
        "codes": [], "missing": list(MISSING),
    }  # fmt: skip
    return Reading(stem(name), "from_arff", name, how=how)


def of_archive(path: Path, name: str) -> list[Reading]:
    """Images or texts in folders, many tables of one shape, or tables."""
    members = [(n, d) for n, d in loading.contents(path) if not ABOUT.search(n.rpartition("/")[2]) and d]
    images = [n for n, _ in members if n.lower().endswith(IMAGES)]
    if len(images) > 0.5 * len(members):
        return [Reading(stem(name), "from_images", name)]
    found: list[Reading] = []
    groups: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
    for member, data in members:
        folder, _, bare = member.rpartition("/")
        groups.setdefault((folder, re.sub(r"\d+", "*", bare)), []).append((member, data))
    texts: list[str] = []
    for (folder, pattern), group in groups.items():
        shapes = [shape_of(*member) for member in group[:: 1 + len(group) // 12]]
        shape = shapes[0]
        if len(group) > 10 and shape is not None and all(s is not None and s["names"] == shape["names"] for s in shapes):
            found.append(
                Reading(f"{stem(name)}_series", "from_series", name, f"{folder}/{pattern}" if folder else pattern, shape)
            )
        elif len(group) > 10 or shape is None:
            texts += [member for member, _ in group]
        else:
            every = [(member, shape_of(member, data)) for member, data in group]
            found += [Reading(stem(member), "delimited", name, member, how) for member, how in every if how is not None]
    labelled = [n for n in texts if "/" in n]
    if len(labelled) > 20 and len({n.split("/")[-2] for n in labelled}) > 1:
        parent = common([n.rsplit("/", 2)[0] for n in labelled])
        encoding = encoding_of(b"".join(d for n, d in members if n in set(labelled)))
        found.append(Reading(stem(name), "from_texts", name, f"{parent}/*" if parent else "*/*", {"encoding": encoding}))
    return found


def shape_of(member: str, data: bytes) -> dict[str, Any] | None:
    encoding = encoding_of(data)
    return delimited(data.decode(encoding, errors="replace"), encoding, member.lower().endswith((".csv", ".tsv", ".tab")))


def common(folders: Sequence[str]) -> str:
    """The longest path that all have in common."""
    parts = [f.split("/") for f in folders]
    same = [level[0] for level in zip(*parts) if len(set(level)) == 1]
    return "/".join(same)


def of_loose(root: Path, names: Sequence[str], left: list[str]) -> list[Reading]:
    """Files that are read together: images in folders, pairs of idx files, texts whose names or folders are labels."""
    images = [n for n in names if n.lower().endswith(IMAGES)]
    found: list[Reading] = []
    if images:
        parent = common([n.rpartition("/")[0] for n in images])
        endings = {n.rpartition(".")[2] for n in images}
        found.append(Reading("images", "from_images", parent, f"*.{endings.pop()}" if len(endings) == 1 else "*"))
    idx = [n for n in names if n not in images and beginning(root / n, 16)[:2] == b"\0\0"]
    sizes = {n: int.from_bytes(beginning(root / n, 16)[4:8]) for n in idx}
    arrays = [n for n in idx if beginning(root / n, 16)[3] > 1]
    for n in arrays:
        label = next((m for m in idx if m not in arrays and sizes[m] == sizes[n]), None)
        if label:
            start = common_start(n.rpartition("/")[2], label.rpartition("/")[2])
            found.append(Reading(stem(start) or "images", "from_idx_pair", n.rpartition("/")[0], f"{start}*"))
    texts = [n for n in names if n not in images and n not in idx]
    folders = {n.split("/")[-2] for n in texts if "/" in n}
    if len(texts) > 20 and len(folders) > 1:
        encoding = encoding_of(b"".join(beginning(root / n) for n in texts))
        found.append(Reading("texts", "from_texts", common([n.rsplit("/", 2)[0] for n in texts]), "*", {"encoding": encoding}))
    elif 2 <= len(texts) <= 20:
        start = common_start(*(n.rpartition("/")[2] for n in texts))
        encoding = encoding_of(b"".join(next(loading.contents(root / n))[1] for n in texts))
        found.append(Reading(stem(start) or "texts", "from_lines", "", f"{start}*", {"encoding": encoding}))
    else:
        left += [f"{n}: text without fields, alone" for n in texts]
    return found


def common_start(*names: str) -> str:
    same = [c[0] for c in zip(*names) if len(set(c)) == 1]
    length = next((i for i, c in enumerate(zip(*names)) if len(set(c)) > 1), len(same))
    return names[0][:length]
