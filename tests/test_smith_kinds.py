"""What is asked of raw data, and how it is put into files: names, copies, orders, targets that are worth it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Answer

from ratchet.smith import making
from ratchet.smith.describing import counted, figure
from ratchet.smith.formulation import Dataset, Formulation
from ratchet.smith.kinds.columns import a, yes_or_no
from ratchet.smith.package import write
from ratchet.smith.preparing import words_of
from ratchet.smith.roles import Rules, freed_names, nothing

ROWS = 300
RANDOM = np.random.default_rng(5)
START = RANDOM.bit_generator.state


@pytest.fixture(autouse=True)
def the_same_draws() -> None:
    """Whichever tests run."""
    RANDOM.bit_generator.state = START


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
    counted(folder)
    names = ("public/train.csv", "public/test.csv", "private/answers.csv")
    return {name.split("/")[1][:-4]: pd.read_csv(folder / name) for name in names}


def test_a_description_whose_tables_are_not_there_is_left_to_the_check(tmp_path: Path) -> None:
    data = data_of(tmp_path, plain())
    write(folder := tmp_path / "task", data, (f := about(data, "kind")), Rules().design(data, f), Rules().refactor(data, f))
    (folder / "public").mkdir()
    (folder / "public" / "test.csv").write_text("id,a\n3,1\n4,2\n")
    counted(folder)
    assert "{learned} rows to learn from and 2 to tell" in (folder / "description.md").read_text()


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
    pair = words_of(pd.DataFrame({"a": ["No 1, two", None], "b": [float("nan"), "two"]}))
    assert list(pair) == ["0 no two", "two"]
    made = put(data, f, tmp_path / "task", tmp_path / "things")
    assert len(made["train"]) + len(made["test"]) == ROWS
    alone = put(data, about(data, "kind", "text"), tmp_path / "alone", tmp_path / "things")
    assert not alone["train"]["note"].isna().any() and len(alone["train"]) + len(alone["test"]) > 0.6 * ROWS


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


# ---- what is asked -------------------------------------------------------------------------------------------------


def asked(data: Dataset) -> dict[str, set[str]]:
    """Kinds of the candidates about each target."""
    found: dict[str, set[str]] = {}
    for f in Rules().brainstorm(data):
        for target in f.targets:
            found.setdefault(target, set()).add(f.kind)
    return found


MEASURES = {"regression", "count", "ranking", "ordinal", "forecasting", "text regression"}


def test_names_are_no_measures_and_sorts_have_no_order(tmp_path: Path) -> None:
    of = lambda n: RANDOM.integers(100, 100 + n, ROWS)
    names = ("movieId", "prof_id", "idcode", "schoolid3", "cowcode2", "reply_to_user_id_str", "house_number", "zip")
    sorts = {name: RANDOM.integers(1, 6, ROWS) for name in ("race", "arms", "policePrecinct")}
    counts = {name: of(60) for name in ("number_of_rooms", "num_char", "no_cylinders")}
    dates = {name: RANDOM.integers(1, 8, ROWS) for name in ("dow", "start_date_num", "quarter", "model_yr")}
    found = asked(data_of(tmp_path, plain(**{n: of(40) for n in names}, **sorts, **counts, **dates)))
    assert not {n for n in names if found.get(n, set()) & MEASURES}
    assert all({"multiclass"} <= found[n] and "ordinal" not in found[n] for n in sorts)
    assert all({"count", "regression"} & found[n] for n in counts)
    assert not set(dates) & set(found)


def test_forecasts_are_of_series(tmp_path: Path) -> None:
    when = pd.date_range("2021-01-01", periods=ROWS, freq="7h")
    walk = RANDOM.normal(size=ROWS).cumsum().round(3)
    season = (10 * np.sin(np.arange(ROWS) * 2 * np.pi / 12) + RANDOM.normal(0, 3, ROWS)).round(3)
    data = data_of(tmp_path, plain(when=when.astype(str), walk=walk, season=season, count=RANDOM.integers(18, 80, ROWS)))
    assert {t for t, kinds in asked(data).items() if "forecasting" in kinds} == {"walk", "season"}


def test_half_steps_are_levels(tmp_path: Path) -> None:
    data = data_of(tmp_path, plain(stars=RANDOM.integers(1, 11, ROWS) / 2, odd=RANDOM.choice([0.1, 0.5, 2.0, 9.0, 11.5], ROWS)))
    found = asked(data)
    assert "ordinal" in found["stars"] and "ordinal" not in found.get("odd", set())
    assert about(data, "stars", "ordinal").metric == "rmse"  # kappa would round a perfect answer
    made = put(data, about(data, "stars", "ordinal"), tmp_path / "task", tmp_path / "things")
    assert set(made["answers"]["stars"]) == {i / 2 for i in range(1, 11)}


def test_telling_names_come_first_and_kinds_differ(tmp_path: Path) -> None:
    scales = {f"scale{c}": RANDOM.normal(size=ROWS) for c in "abcdefgh"}
    marks = {f"mark{c}": RANDOM.choice(["u", "v", "w"], ROWS) for c in "abcdefgh"}
    frame = plain(**scales, **marks, Attrition=RANDOM.choice(["Yes", "No"], ROWS), more=RANDOM.normal(size=ROWS))
    first = list(Rules().brainstorm(data_of(tmp_path, frame)))[:6]
    assert "Attrition" in first[0].targets and first[0].title == "Attrition: yes or no?"
    assert len({f.kind for f in first}) >= 3 and any("kind" in f.targets for f in first)


def test_each_class_has_rows_to_be_told(tmp_path: Path) -> None:
    sizes = {"a": 150, "b": 90, "c": 41, "d": 30}
    sort = np.repeat(list(sizes), list(sizes.values()))
    some = pd.DataFrame({"x": RANDOM.normal(size=len(sort)), "y": RANDOM.normal(size=len(sort)), "sort": sort})
    twice = pd.concat([some, some[some["sort"] == "d"]])  # sixty rows, of which thirty are copies
    f = about(data_of(tmp_path, twice), "sort", "multiclass")
    assert f.classes == ("a", "b", "c")


def test_columns_of_one_name_and_numbers_are_labels(tmp_path: Path) -> None:
    many = {f"Class{i}": RANDOM.integers(0, 2, ROWS) for i in range(1, 6)}
    spread = pd.get_dummies(pd.Series(RANDOM.choice(list("uvw"), ROWS))).astype(int).set_axis(["one1", "one2", "one3"], axis=1)
    data = data_of(tmp_path, plain(**many, **dict(spread.items())))
    found = [f for f in Rules().brainstorm(data) if f.kind == "multilabel"]
    assert [f.targets for f in found] == [tuple(many)] and not set(found[0].features) & set(many)
    made = put(data, found[0], tmp_path / "task", tmp_path / "things")
    assert all(0.2 < made["answers"][name].mean() < 0.8 for name in many)


def test_all_tables_that_rows_find_theirs_in_come_along(tmp_path: Path) -> None:
    raw = tmp_path / "things"
    raw.mkdir()
    ways, planes = [f"w{i}" for i in range(30)], [f"p{i}" for i in range(25)]
    pd.DataFrame({"way": ways, "length": RANDOM.normal(size=30)}).to_csv(raw / "ways.csv", index=False)
    pd.DataFrame({"plane": planes, "seats": RANDOM.normal(size=25)}).to_csv(raw / "planes.csv", index=False)
    plain(way=RANDOM.choice(ways, ROWS), plane=RANDOM.choice(planes, ROWS)).to_csv(raw / "main.csv", index=False)
    f = next(f for f in Rules().brainstorm(making.understood(raw)) if f.kind == "multi-table")
    assert {side["table"] for side in f.extra["sides"]} == {"ways", "planes"} and {"way", "plane"} <= set(f.features)


def test_very_many_columns_are_narrowed_to_those_that_say_most(tmp_path: Path) -> None:
    wide = pd.DataFrame(RANDOM.normal(size=(200, 420)).round(3)).add_prefix("m")
    frame = wide.assign(outcome=np.where(wide["m300"] + RANDOM.normal(0, 0.3, 200) > 0, "yes", "no"))
    f = next(iter(Rules().brainstorm(data_of(tmp_path, frame))))
    assert f.targets == ("outcome",) and "m300" in f.features and len(f.features) <= 200
    assert sum("that say most" in why for why in f.dropped.values()) == 220


def test_why_nothing_is_asked(tmp_path: Path, ratchet: Callable[..., Answer]) -> None:
    number = RANDOM.normal(size=ROWS)
    for name, frame, said in (
        ("one", pd.DataFrame({"a": number}), "too few columns: table has 1 with different values"),
        ("two", pd.DataFrame({"a": number, "b": "same", "c": number[::-1]}), "too few columns: table has 2 that are"),
    ):
        assert said in nothing(data_of(tmp_path, frame, name))
    data_of(tmp_path, pd.DataFrame({"a": range(30), "b": number[:30]}))
    answer = ratchet("smith", "make", tmp_path / "things", "--out", tmp_path / "out")
    said = "too few rows: table has 30, and a table needs 100"
    assert answer.code == 1 and f"things: nothing to ask, {said}" in answer.out + answer.err
    assert json.loads((tmp_path / "out/things/made.json").read_text())["why"] == said


def test_bins_of_a_card_have_no_powers_of_ten_and_begin_where_values_do() -> None:
    from ratchet.report.smith import parts_of

    values = pd.Series(RANDOM.gamma(2, 40_000, ROWS).round())
    values[:30] = 0.0
    shares, names = parts_of({"train": values, "test": values}) or ({}, [])
    assert names[0].startswith("0 to ") and not any("e+" in n or n.startswith("-") for n in names)
    assert sum(shares["train"].values()) == pytest.approx(1)


def test_questions_can_be_read() -> None:
    said = [
        yes_or_no(n, p, c)
        for n, p, c in (("is_phishing", "1", "01"), ("premie", "premie", ("full term", "premie")), ("race", "1", "12"))
    ]
    assert said == ["Phishing: yes or no?", "Premie: yes or no?", "Is race 1?"] and a("idcode") == "an idcode"
