"""What is asked of raw data, and how it is put into files: names, copies, orders, targets that are worth it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet.smith import making
from ratchet.smith.describing import figure
from ratchet.smith.formulation import Dataset, Formulation
from ratchet.smith.package import write
from ratchet.smith.roles import Rules, freed_names

ROWS = 300
RANDOM = np.random.default_rng(5)


def data_of(folder: Path, frame: pd.DataFrame, name: str = "things") -> Dataset:
    raw = folder / name
    raw.mkdir()
    frame.to_csv(raw / "table.csv", index=False)
    return freed_names(making.understood(raw))


def plain(**more: object) -> pd.DataFrame:
    """Two numbers and a class that they tell."""
    a, b = RANDOM.normal(size=ROWS).round(3), RANDOM.gamma(2, 3, ROWS).round(3)
    return pd.DataFrame({"a": a, "b": b, **more, "kind": np.where(a + RANDOM.normal(0, 0.5, ROWS) > 0, "x", "y")})


def about(data: Dataset, target: str, kind: str = "") -> Formulation:
    return next(f for f in Rules().brainstorm(data) if target in f.targets and kind in f.kind)


def put(data: Dataset, f: Formulation, folder: Path, raw: Path) -> dict[str, pd.DataFrame]:
    """The files of the task that its own prepare.py makes, with its description beside them."""
    roles = Rules()
    write(folder, data, f, roles.design(data, f), roles.refactor(data, f))
    done = subprocess.run([sys.executable, folder / "prepare.py", raw, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = ("public/train.csv", "public/test.csv", "private/answers.csv")
    return {name.split("/")[1][:-4]: pd.read_csv(folder / name) for name in names}


def test_raw_columns_whose_names_are_ours_get_others(tmp_path: Path) -> None:
    group = RANDOM.choice(["p", "q", "r"], ROWS)
    data = data_of(tmp_path, plain(id=RANDOM.integers(0, 9, ROWS), image=RANDOM.integers(0, 3, ROWS), source=group))
    f = about(data, "kind")
    assert {"raw id", "raw image", "raw source"} <= set(f.features)
    made = put(data, f, tmp_path / "task", tmp_path / "things")
    assert made["train"]["id"].is_unique and set(made["train"]["raw image"]) == {0, 1, 2}
    assert "`raw image` is called `image` in the raw data" in (tmp_path / "task/description.md").read_text()
    assert list(put(data, about(data, "raw source"), tmp_path / "other", tmp_path / "things")["answers"]) == ["id", "raw source"]


def test_texts_may_be_missing_and_rows_without_one_are_not_all_the_same(tmp_path: Path) -> None:
    notes = [" ".join(RANDOM.choice(list("abcdefghijk"), 9)) if i % 3 else None for i in range(ROWS)]
    data = data_of(tmp_path, plain(note=notes))
    f = about(data, "kind", "binary")
    assert "note" in f.features
    made = put(data, f, tmp_path / "task", tmp_path / "things")
    assert len(made["train"]) + len(made["test"]) == ROWS


@pytest.mark.parametrize("by", ["stratified", "random", "group"])
def test_the_same_features_lie_on_one_side_and_keep_their_targets(tmp_path: Path, by: str) -> None:
    some = pd.DataFrame({"a": RANDOM.integers(0, 40, 600), "b": RANDOM.integers(0, 60, 600), "c": RANDOM.integers(0, 9, 600) / 7})
    frame = pd.concat([some, some, some], ignore_index=True)
    frame = frame.assign(town=RANDOM.choice([f"t{i}" for i in range(40)], len(frame)), kind=RANDOM.choice(["x", "y"], len(frame)))
    data = data_of(tmp_path, frame)
    f = replace(about(data, "kind", "binary"), features=("a", "b", "c"))
    f = replace(f, split=f.split | {"by": by} | ({"column": "town"} if by == "group" else {}))
    made = put(data, f, tmp_path / "task", tmp_path / "things")
    keys = [made[side][["a", "b", "c"]].round(5).astype(str).agg("/".join, axis=1) for side in ("train", "test")]
    assert not set(keys[0]) & set(keys[1])
    rows = len(made["train"]) + len(made["test"])
    if by != "group":
        assert rows == len(frame.drop_duplicates(["a", "b", "c", "kind"])) > 900 and 0.2 < len(made["test"]) / rows < 0.3
    text = (tmp_path / "task/description.md").read_text()
    assert f"{len(made['train']):,} rows to learn from and {len(made['test']):,} to tell" in text


def test_an_error_in_the_smith_rejects_one_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of(tmp_path, plain())

    def broken(*_: object) -> None:
        raise TypeError("sequence item 0:\nno text")

    monkeypatch.setattr(making, "screened", broken)
    record = making.tried(data, about(data, "kind"), tmp_path, tmp_path, None, Rules())  # type: ignore[arg-type]
    assert not record["accepted"] and record["why"] == "an error in the smith, TypeError: sequence item 0: no text"


def test_numbers_are_written_for_people() -> None:
    said = [figure(v) for v in (2_300_000, 39_000, 1999, 0.5, 0, -12.3456, 0.00012)]
    assert said == ["2,300,000", "39,000", "1999", "0.5", "0", "-12.35", "0.00012"]
