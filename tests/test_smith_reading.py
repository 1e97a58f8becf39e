"""Raw files are read as a person would read them, whatever they look like."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratchet.core.errors import SmithError
from ratchet.smith import loading, trying
from ratchet.smith.making import understood
from ratchet.smith.profiling import links, profile, stacks
from ratchet.smith.sniffing import readings

N = 40
TABLE = pd.DataFrame({
    "name": [f"row {i}" for i in range(N)], "size": [round(1.5 + 0.25 * i, 2) for i in range(N)], "kind": ["red", "green"] * (N // 2),
})  # fmt: skip


def read(folder: Path) -> dict[str, pd.DataFrame]:
    return {r.name: r.load(folder) for r in readings(folder)[0]}


def text(sep: str = ",", header: bool = True, decimal: str = ".", quote: str = "", missing: str = "") -> str:
    rows = [list(TABLE.columns)] if header else []
    for i, (name, size, kind) in enumerate(TABLE.itertuples(index=False)):
        shown = missing if missing and i % 9 == 0 else f"{size}".replace(".", decimal)
        rows.append([name, shown, f"{quote}{kind}{quote}"])
    return "\n".join(sep.join(row) for row in rows) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", text().encode()),
        ("a.tsv", text("\t").encode()),
        ("a.csv", text(";", decimal=",").encode()),
        ("a.txt", text("|").encode()),
        ("a.csv", b"\xef\xbb\xbf" + text().encode()),
        ("a.csv", text().encode("utf-16")),
        ("a.csv", text(quote="'").encode()),
        ("a.csv.gz", gzip.compress(text().encode())),
    ],
    ids=["commas", "tabs", "decimal commas", "bars", "mark of UTF-8", "UTF-16", "single quotes", "gzip"],
)
def test_tables_of_many_shapes_are_the_same_table(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    [(table, found)] = read(tmp_path).items()
    assert table == "a" and list(found) == list(TABLE)
    assert found["size"].tolist() == TABLE["size"].tolist() and found["kind"].tolist() == TABLE["kind"].tolist()


def test_without_a_header_columns_get_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text(header=False))
    [found] = read(tmp_path).values()
    assert list(found) == ["column_0", "column_1", "column_2"] and len(found) == N


@pytest.mark.parametrize("mark", ["?", "NA", "-", "N/A"])
def test_marks_of_missing_values_leave_numbers_numbers(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.csv").write_text(text(missing=mark))
    [found] = read(tmp_path).values()
    assert found["size"].dtype.kind == "f" and found["size"].isna().sum() == len(range(0, N, 9))


def test_a_few_junk_cells_do_not_turn_numbers_into_words(tmp_path: Path) -> None:
    many = "x,y\n" + "".join(f"{i},{i * 0.5}\n" for i in range(200)) + "201,broken\n"
    (tmp_path / "a.csv").write_text(many)
    [found] = read(tmp_path).values()
    assert found["y"].dtype.kind == "f" and found["y"].isna().sum() == 1


def test_codes_with_zeros_before_them_stay_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("zip,price\n" + "".join(f"{i:05d},{i}.5\n" for i in range(50)))
    [found] = read(tmp_path).values()
    assert found["zip"].iloc[7] == "00007"


def test_a_header_of_two_rows_becomes_one(tmp_path: Path) -> None:
    lines = ["id,Which did you see?,,,age", "Response,First film,Second film,Third film,Response"]
    lines += [f"{i},{'yes' if i % 2 else ''},yes,{'' if i % 3 else 'yes'},{20 + i}" for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    [found] = read(tmp_path).values()
    assert list(found) == [
        "id",
        "Which did you see?: First film",
        "Which did you see?: Second film",
        "Which did you see?: Third film",
        "age",
    ]
    assert len(found) == 30


def test_letters_of_latin_1_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(("ville,pays\n" + "Nîmes,\xe9t\xe9\n" * 20).encode("latin-1"))
    [found] = read(tmp_path).values()
    assert found["ville"].iloc[0] == "Nîmes"


def geojson() -> bytes:
    features = [
        {
            "type": "Feature",
            "id": f"q{i}",
            "properties": {"mag": i / 10},
            "geometry": {"type": "Point", "coordinates": [5.0 + i, 50.0]},
        }
        for i in range(N)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def arff() -> bytes:
    head = (
        "% a comment\n@relation plants\n@attribute name string\n@attribute 'size' numeric\n@attribute kind {red,green}\n\n@data\n"
    )
    return (head + text(header=False)).encode()


def excel() -> bytes:
    held = io.BytesIO()
    TABLE.to_excel(held, index=False)
    return held.getvalue()


def parquet() -> bytes:
    held = io.BytesIO()
    TABLE.to_parquet(held)
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "column"),
    [
        ("a.json", TABLE.to_json(orient="records").encode(), "size"),
        ("a.jsonl", TABLE.to_json(orient="records", lines=True).encode(), "size"),
        ("a.geojson", geojson(), "latitude"),
        ("a.arff", arff(), "size"),
        ("a.xlsx", excel(), "size"),
        ("a.parquet", parquet(), "size"),
    ],
    ids=["JSON", "JSON Lines", "GeoJSON", "ARFF", "Excel", "Parquet"],
)
def test_other_formats_are_tables_too(tmp_path: Path, name: str, content: bytes, column: str) -> None:
    (tmp_path / name).write_bytes(content)
    [found] = read(tmp_path).values()
    assert len(found) == N and found[column].dtype.kind == "f"


def test_tables_of_sqlite_are_found_and_linked(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "shop.db")
    TABLE.to_sql("Goods", base, index=False)
    pd.DataFrame({"item": [f"row {i % N}" for i in range(200)], "count": range(200)}).to_sql("sales", base, index=False)
    base.commit()
    base.close()
    frames = read(tmp_path)
    profiles = {n: profile(n, f) for n, f in frames.items()}
    assert set(frames) == {"goods", "sales"}
    assert [(x.table, x.column, x.other, x.key) for x in links(frames, profiles)] == [("sales", "item", "goods", "name")]


def idx(array: Any) -> bytes:
    kind = {np.dtype("u1"): 8}[array.dtype]
    return bytes([0, 0, kind, array.ndim]) + b"".join(n.to_bytes(4) for n in array.shape) + array.tobytes()


def test_images_and_labels_of_idx_files_belong_together(tmp_path: Path) -> None:
    images = np.arange(30 * 16, dtype="u1").reshape(30, 4, 4)
    (tmp_path / "some-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "some-labels-idx1-ubyte").write_bytes(idx(np.arange(30, dtype="u1") % 10))
    [found] = read(tmp_path).values()
    assert (found["image"].iloc[3] == images[3]).all() and found["label"].tolist() == [i % 10 for i in range(30)]


def test_folders_of_texts_in_an_archive_are_labels(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "reviews.tar.gz", "w:gz") as archive:
        for i in range(30):
            data = f"it was the {i}th time that I saw it ,\nand {'good' if i % 2 else 'bad'} it was .".encode()
            member = tarfile.TarInfo(f"all/{'pos' if i % 2 else 'neg'}/cv{i:03d}.txt")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    [found] = read(tmp_path).values()
    assert found["label"].value_counts().to_dict() == {"pos": 15, "neg": 15}


def test_many_small_tables_in_an_archive_are_series(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "walks.zip", "w") as archive:
        for i in range(20):
            archive.writestr(f"data/walk_{i + 1}.csv", "x,y\n" + "".join(f"{j / 7},{i / 3}\n" for j in range(12)))
        archive.writestr("data/target.csv", "walk,label\n" + "".join(f"{i + 1},{i % 2}\n" for i in range(20)))
    frames = read(tmp_path)
    assert len(frames["walks_series"]) == 240 and frames["walks_series"]["series"].nunique() == 20
    assert len(frames["target"]) == 20


def test_parts_of_one_table_are_put_together(tmp_path: Path) -> None:
    for name in ("red.csv", "white.csv"):
        (tmp_path / name).write_text(text())
    assert stacks([profile(n, f) for n, f in read(tmp_path).items()]) == [["red", "white"]]


def test_points_between_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("size;weight;share\n" + "".join(f"{i % 9 + 1}.{i};{i},5;1,{i}\n" for i in range(100, 150)))
    [found] = read(tmp_path).values()
    assert list(found) == ["size", "weight", "share"] and found.iloc[0].tolist() == [2100, 100.5, 1.1]


def test_what_is_no_data_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text())
    (tmp_path / "README.md").write_text("about it")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing")
    found, left = readings(tmp_path)
    assert [r.name for r in found] == ["a", "broken"]  # it begins as it should; what follows is seen when it is loaded
    assert any("README.md" in line for line in left)


def test_a_folder_without_data_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about it")
    with pytest.raises(SmithError, match="nothing in it can be read as data"):
        readings(tmp_path)


def column(folder: Path, cells: list[str], name: str = "x", sep: str = ";") -> pd.Series:
    """A column as it is read from a file with another one beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "a.csv").write_text("\n".join([f"other{sep}{name}", *(f"w{sep}{cell}" for cell in cells)]))
    [found] = read(folder).values()
    return found[name]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["$165,004.00", "$1,204.50", "$12.00"], [165004.0, 1204.5, 12.0]),
        (["18,146", "946", "1,234,567"], [18146, 946, 1234567]),
        (["18.145,84", "4.044,07", "12,50"], [18145.84, 4044.07, 12.5]),
        (["€ 12", "€ 7", "€ 130"], [12, 7, 130]),
        (["3%", "12.5 %", "-4%"], [3.0, 12.5, -4.0]),
        (["(1,200)", "350", "(75)"], [-1200, 350, -75]),
        (["1 200", "35", "12 345 678"], [1200, 35, 12345678]),
        (["1,248 CC", "998 CC", "1498 CC"], [1248, 998, 1498]),
        (["23.4 kmpl", "17 kmpl", "9.75 kmpl"], [23.4, 17, 9.75]),
    ],
    ids=["money", "thousands", "European", "euros", "percent", "accounting", "blanks", "unit", "unit of decimals"],
)
def test_numbers_as_people_write_them_are_numbers(tmp_path: Path, cells: list[str], numbers: list[float]) -> None:
    assert column(tmp_path, cells * 10).tolist() == numbers * 10


@pytest.mark.parametrize(
    "cells",
    [
        ["1,2", "2,3", "1,2,3"], ["101,205", "101", "205,300,101"], ["00501", "10001", "90210"], ["1.2.3", "1.10.0", "2.0.1"],
        ["12%", "a few", "3%"], ["$5", "€ 7", "$6"], ["12%", "14", "15%"], ["555 123 456", "603 222 111", "777 808 909"],
        ["12/2020", "10/2019", "01/2018"], ["12 Main", "14 Park", "3 High"], ["90 min", "2 Seasons", "85 min"], ["10 AM", "9 PM", "8 AM"],
    ],
    ids=["lists", "lists of codes", "zip codes", "versions", "percent and text", "two currencies", "two units", "telephones", "months", "houses",
         "lengths", "times of day"],
)  # fmt: skip
def test_what_only_looks_like_numbers_stays_text(tmp_path: Path, cells: list[str]) -> None:
    assert column(tmp_path, cells * 10).tolist() == cells * 10


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("Housing export\nmade on Monday, by hand\n\n", ""),
        ("# made by a tool\n# version 2\n", ""),
        ("# made, by, hand\n# a, b, c\n", ""),
        ("Housing export,,\n,,\n", ""),
        ('"Data Source","Indicators",\n\n"Last Updated","2024-05-30",\n\n', "\nSource: the office of statistics\n"),
        ("", "Note: sizes are in metres,,\n"),
    ],
    ids=["titles", "comments", "comments as wide", "titles of Excel", "World Bank", "footer"],
)
def test_lines_around_a_table_are_none_of_it(tmp_path: Path, above: str, below: str) -> None:
    (tmp_path / "a.csv").write_text(above + text() + below)
    [found] = read(tmp_path).values()
    assert list(found) == list(TABLE) and found["size"].tolist() == TABLE["size"].tolist()


def test_titles_above_a_table_in_excel_are_none_of_it(tmp_path: Path) -> None:
    TABLE.to_excel(tmp_path / "a.xlsx", index=False, startrow=3)
    import openpyxl

    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    book.worksheets[0]["A1"] = "Report of the year 2020"
    book.save(tmp_path / "a.xlsx")
    [found] = read(tmp_path).values()
    assert list(found) == list(TABLE) and found["size"].tolist() == TABLE["size"].tolist()


@pytest.mark.parametrize(
    ("head", "row", "names"),
    [
        ("Country,2008,2009,2010", "C{i},1.{i},2.{i},3.{i}", ["Country", "2008", "2009", "2010"]),
        ("age,1,3,2020", "{i},{i}.5,2,1", ["age", "1", "3", "2020"]),
        ("0,1,2,3", "1.{i},0.{i},7.{i},red", ["0", "1", "2", "3"]),
        ("a,a,a (2),a", "1.{i},2.{i},3.{i},4.{i}", ["a", "a (3)", "a (2)", "a (4)"]),
        ("size,kind", "r{i},1.{i},red", ["column_0", "size", "kind"]),
        ("5.1,3.5,1.4,red", "5.{i},3.{i},1.{i},red", [f"column_{i}" for i in range(4)]),
        ("39,Public,77516,red", "{i},Private,8{i},red", [f"column_{i}" for i in range(4)]),
        ("t,f,f,t", "t,f,t,f", [f"column_{i}" for i in range(4)]),
    ],
    ids=["years", "numbers", "counted", "twice", "names of rows", "none", "none, whole numbers", "none, flags"],
)
def test_headers_with_numbers_and_with_names_twice(tmp_path: Path, head: str, row: str, names: list[str]) -> None:
    (tmp_path / "a.csv").write_text("\n".join([head, *(row.format(i=10 + i) for i in range(30))]))
    [found] = read(tmp_path).values()
    assert list(found) == names and len(found) == 30 + (names[-1] == "column_3")


@pytest.mark.parametrize("orient", ["columns", "index", "split", "values", "table", "lists", "deep", "lines of lists"])
def test_json_of_any_shape_is_the_same_table(tmp_path: Path, orient: str) -> None:
    rows = json.loads(TABLE.to_json(orient="records"))
    said = {
        "lists": json.dumps(TABLE.to_dict("list")),
        "deep": json.dumps({"made": "today", "data": {"rows": rows}}, indent=1),
        "lines of lists": "\n".join(json.dumps(list(row.values())) for row in rows),
    }
    (tmp_path / "a.json").write_text(said[orient] if orient in said else TABLE.to_json(orient=orient))  # type: ignore[call-overload]
    [found] = read(tmp_path).values()
    places = ["column_0", "column_1", "column_2"] if orient in ("values", "lines of lists") else list(TABLE)
    assert found[places[1]].tolist() == TABLE["size"].tolist() and found[places[2]].tolist() == TABLE["kind"].tolist()


def test_json_without_a_table_is_said_and_not_read_as_text_with_commas(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"settings": {"x": [1, [2, 3]], "y": "b, c"}, "made": "today"}))
    with pytest.raises(SmithError, match=r"a\.json: is JSON without a table"):
        readings(tmp_path)


def test_measures_are_no_keys_and_keys_are() -> None:
    random = np.random.default_rng(0)
    n = 400
    wandering = 130_000 + np.cumsum(random.integers(-300, 400, n))
    growing = 200_000 + np.cumsum(100 + (60 * np.sin(np.arange(n) / 20)).astype(int))
    frame = pd.DataFrame({
        "list_price": random.integers(100_000, 900_000, n),
        "income": (3_000 * np.exp(random.normal(size=n))).astype(int) + 1_009, "jobs": wandering, "people": growing,
        "amount_paid": (9_000 * np.exp(random.normal(size=n))).astype(int), "customer": random.permutation(np.arange(10_001, 10_001 + n)),
        "user_id": random.integers(1, 10**6, n), "ticket": random.integers(10**8, 9 * 10**8, n) * 10 + 7,
    })  # fmt: skip
    found = profile("t", frame)
    assert {c.name: c.kind == "key" for c in found.columns} == {
        "list_price": False, "income": False, "jobs": False, "people": False, "amount_paid": False, "customer": True, "user_id": True, "ticket": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "cells", "told"),
    [
        ("joined", [str(1577836800 + 86400 * i) for i in range(30)], ["2020-01-01", "2020-01-02"]),
        ("timestamp", ["940347863", "907764470", "1391658115"] * 10, ["1999-10-19 15:44:23", "1998-10-07 12:47:50"]),
        ("updated", [str(1577836800500 + 61_000 * i) for i in range(30)], ["2020-01-01 00:00:00.500000", "2020-01-01 00:01:01.500000"]),
        ("day", [f"202001{i:02d}" for i in range(1, 31)], ["2020-01-01", "2020-01-02"]),
        ("x", ["04/07/1991", "15/07/1991", "16/07/1991"] * 10, ["1991-07-04", "1991-07-15"]),
        ("x", ["04/07/1991", "04/15/1991", "05/16/1991"] * 10, ["1991-04-07", "1991-04-15"]),
        ("x", [f"{d:02d}/{m:02d}/1991" for m in range(1, 13) for d in range(1, 13)], ["1991-01-01", "1991-01-02"]),
        ("x", [f"01/{m:02d}/{y}" for y in (1991, 1992) for m in range(1, 13)], ["1991-01-01", "1991-02-01"]),
        ("x", ["13.07.91 5:03 pm", "04.07.91 12:30 am", "05.07.91 1:00 AM"] * 10, ["1991-07-13 17:03:00", "1991-07-04 00:30:00"]),
        ("x", ["2013-01-01T11:00:00Z", "2013-01-02T12:30:00Z", "2013-01-03T00:00:00Z"] * 10, ["2013-01-01 11:00:00", "2013-01-02 12:30:00"]),
        ("x", ["2013-01-01T01:00:00+02:00", "2013-06-02 12:30:00-0500", "2014-06-02 12:30:00Z"] * 10, ["2012-12-31 23:00:00", "2013-06-02 17:30:00"]),
    ],
    ids=["seconds", "seconds by name", "milliseconds", "digits", "day first", "month first", "in order", "months", "clock", "UTC", "zones"],
)  # fmt: skip
def test_moments_are_told_in_one_form(tmp_path: Path, name: str, cells: list[str], told: list[str]) -> None:
    found = column(tmp_path, cells, name)
    assert found.tolist()[:2] == told and profile("t", found.to_frame())[name].kind == "date"


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("gdp", [700_000_000 + 23_456_789 * i for i in range(50)]), ("time", list(range(100, 3000, 7))),
        ("id", [1_500_000_000 + 11 * i for i in range(50)]),
    ],
)  # fmt: skip
def test_large_numbers_are_no_moments(tmp_path: Path, name: str, cells: list[int]) -> None:
    assert column(tmp_path, [str(c) for c in cells], name).tolist() == cells


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.csv").write_text(text())
    (raw / "b.parquet").write_bytes(parquet()[:600])
    (raw / "c.csv").write_bytes(b"")
    (raw / "self").symlink_to(".")
    (raw / "x").symlink_to("x")
    (raw / "gone.csv").symlink_to("/nowhere/at/all.csv")
    (tmp_path / "far.csv").write_text(text())
    (raw / "far.csv").symlink_to(tmp_path / "far.csv")
    data = understood(raw)
    assert set(data.frames) == {"a", "far"} and len(data.frames["far"]) == N
    assert any(line.startswith("b.parquet: cannot be read") for line in data.left) and "c.csv: is empty" in data.left
    with trying.readable(raw) as seen:
        assert sorted(p.name for p in seen.rglob("*") if p.is_file() and not p.is_symlink()) == [
            "a.csv",
            "b.parquet",
            "c.csv",
            "far.csv",
        ]
    (raw / "a.csv").unlink()
    (raw / "far.csv").unlink()
    with pytest.raises(SmithError, match=r"b\.parquet: cannot be read"):
        understood(raw)


def test_clocks_and_ladders_are_seen() -> None:
    random = np.random.default_rng(1)
    minutes = random.integers(0, 1440, 600)
    frame = pd.DataFrame({
        "dep_time": minutes // 60 * 100 + minutes % 60, "amount": random.integers(0, 2400, 600), "stars": random.integers(1, 11, 600) / 2,
        "share": random.random(600).round(2), "odd": random.choice([0.5, 0.6, 5.0, 7.3], 600),
    })  # fmt: skip
    found = profile("t", frame)
    assert [c.facts.get("clock") for c in found.columns] == ["hhmm", None, None, None, None]
    assert [c.kind == "level" for c in found.columns] == [False, False, True, False, False] and found["stars"].facts[
        "step"
    ] == 0.5


def test_codes_for_what_is_missing_are_no_numbers(tmp_path: Path) -> None:
    values = [round(0.5 * i - 2, 1) for i in range(100)]
    coded = lambda code, times: column(tmp_path, [*map(str, values), *[str(code)] * times])
    for code in (-200, -999, -9999, 999, 99999):
        assert coded(code, 12).isna().sum() == 12 and coded(code, 12).notna().sum() == 100
        assert coded(code, 9).notna().all(), "a few may be measured"
    for kept in (-100.5, -130, 99, 60):
        assert coded(kept, 12).notna().all()
    endless = loading.uncoded(pd.Series([*values, np.inf, -np.inf]))
    assert endless.notna().all(), "an end of no number is no code"
    whole = column(tmp_path, [*map(str, range(-1200, 0, 25)), *["-1200"] * 20])
    assert whole.notna().all(), "the least of what is below zero everywhere"


def test_a_word_for_missing_among_numbers(tmp_path: Path) -> None:
    years = [str(1950 + i) for i in range(60)]
    assert column(tmp_path, [*years, *["k.A."] * 15, *[".."] * 10]).isna().sum() == 25
    assert column(tmp_path, [*years, *["12b", "13c", "14d"] * 5]).dtype == object, "codes with letters stay"
    assert column(tmp_path, [*["1", "2", "3"] * 20, *["absent"] * 10]).notna().all(), "few numbers may be names"


def test_names_above_placeholders_or_units_below_names_belong_to_the_header(tmp_path: Path) -> None:
    file = tmp_path / "credit.csv"
    file.write_text("X1,X2,Y\nLIMIT,AGE,default\n" + "".join(f"{1000 * i},{20 + i % 40},{i % 2}\n" for i in range(60)))
    data = understood(tmp_path)
    (frame,) = data.frames.values()
    assert len(frame) == 60 and list(frame) == ["X1: LIMIT", "X2: AGE", "Y: default"]
