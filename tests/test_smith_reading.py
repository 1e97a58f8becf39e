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


def test_what_is_no_data_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text())
    (tmp_path / "README.md").write_text("about it")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing")
    found, left = readings(tmp_path)
    assert [r.name for r in found] == ["a", "broken"] or [r.name for r in found] == ["a"]
    assert any("README.md" in line for line in left)


def test_a_folder_without_data_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about it")
    with pytest.raises(SmithError, match="nothing in it can be read as data"):
        readings(tmp_path)
