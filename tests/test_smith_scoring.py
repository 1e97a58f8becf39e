"""How submissions are read and scored, and how the files of a task are drawn and written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

from sklearn.metrics import cohen_kappa_score, f1_score, roc_auc_score

from ratchet.smith import preparing, probing, scoring
from ratchet.smith.checking import ladder_stands

random = np.random.default_rng(0)
CHANCES = pd.DataFrame({"id": [3, 1, 2], "y": [0.5, 0.25, 1.0]})


def answers(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": range(len(values)), "y": values})


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (CHANCES.rename(columns={"y": "z"}), "the columns must be id, y in this order, got id, z"),
        (CHANCES.assign(id=[3, 1, np.inf]), "row 3: the id is not a whole number"),
        (CHANCES.assign(id=["3", "one", "2"]), "row 2: the id is not a whole number"),
        (CHANCES.assign(id=[3, 1, 1]), "id 1 is there twice"),
        (CHANCES.iloc[1:], "1 ids of the test set are missing, the first is 3"),
        (CHANCES.iloc[:0], "3 ids of the test set are missing, the first is 1"),
        (pd.concat([CHANCES, CHANCES.assign(id=[9, 8, 10])]), "3 ids are not in the test set, the first is 8"),
        (CHANCES.assign(y=[0.5, np.nan, 1]), "y: id 1 has"),
        (CHANCES.assign(y=[0.5, 1.5, 1]), "y: chances lie between 0 and 1, got 1.5"),
    ],
)
def test_what_is_wrong_with_a_submission_is_said(given: pd.DataFrame, wrong: str) -> None:
    with pytest.raises(scoring.InvalidSubmission, match=wrong):
        scoring.checked(given, CHANCES.sort_values("id"), ["y"], "chance", [])


def test_rows_come_in_the_order_of_the_answers() -> None:
    found = scoring.checked(CHANCES, CHANCES.sort_values("id", ignore_index=True), ["y"], "chance", [])
    assert found["id"].tolist() == [1, 2, 3] and found["y"].tolist() == [0.25, 1.0, 0.5]
    words = pd.DataFrame({"id": [2, 1], "y": [1.0, 2.0]})
    assert scoring.checked(words, answers(["2", "1"]).assign(id=[1, 2]), ["y"], "class", ["1", "2"])["y"].tolist() == ["2", "1"]


def test_ids_may_be_larger_than_a_float_holds() -> None:
    truth = answers([1.0, 0.0, 1.0]).assign(id=[2**60 + 1, 2**60 + 2, 2**60 + 3])
    assert scoring.checked(truth.iloc[::-1], truth, ["y"], "number", [])["y"].tolist() == [1.0, 0.0, 1.0]


def test_kappa_and_f1_are_scikit_learns() -> None:
    levels = random.integers(1, 6, 300)
    said = np.clip(levels + random.normal(0, 1.2, 300), 0, 7)
    expected = cohen_kappa_score(levels, np.clip(said.round(), 1, 5).astype(int), weights="quadratic")
    assert scoring.quadratic_kappa(answers(levels), answers(said), ["y"]) == pytest.approx(expected)
    assert scoring.quadratic_kappa(answers(levels), answers(levels * 0 + 3.0), ["y"]) == pytest.approx(0)
    far, near = (
        scoring.quadratic_kappa(answers([10, 20, 50] * 9), answers([10.0, 20.0, 50.0] * 8 + s), ["y"])
        for s in ([10, 10, 10], [10, 20, 20])
    )
    assert far < near < 1  # by how far the levels lie apart
    names, other = random.choice(list("abc"), 300), random.choice(list("abcd"), 300)
    expected = f1_score(names, other, average="macro", labels=list("abcd"))
    assert scoring.macro_f1(answers(names), answers(other), ["y"]) == pytest.approx(expected)


def test_ndcg_is_its_definition() -> None:
    truth = pd.DataFrame(
        {"id": range(200), "query": random.integers(0, 12, 200).astype(str), "y": random.integers(0, 30, 200) * 1.0}
    )
    truth.loc[truth["query"] == "3", "y"] = 5.0  # nothing to rank
    said = truth["y"] + random.normal(0, 20, 200)
    found: list[float] = []
    for _, rows in truth.groupby("query"):
        if rows["y"].nunique() > 1:
            gains = (rows["y"].rank() - 1) / (len(rows) - 1)
            worth = lambda by, gains=gains: sum(
                g / np.log2(i + 2) for i, g in enumerate(gains[by.sort_values(ascending=False).index][:10])
            )
            found.append(worth(said[rows.index]) / worth(gains))
    assert scoring.ndcg(truth, answers(said), ["y"]) == pytest.approx(np.mean(found))
    assert scoring.ndcg(truth, answers(truth["y"]), ["y"]) == pytest.approx(1)
    turned = [scoring.ndcg(t, answers(t["y"] * 0), ["y"]) for t in (truth, truth.iloc[::-1].assign(id=range(200)))]
    assert turned[0] == pytest.approx(turned[1])  # who says the same of all rows gains nothing by their order


def test_skill_is_scikit_learns_measure() -> None:
    y = random.integers(0, 2, 500)
    chances = (y * 0.3 + random.random(500)).round(1)  # with ties
    assert probing.told(np.column_stack([1 - chances, chances]), y, True) == pytest.approx(2 * roc_auc_score(y, chances) - 1)
    y, told = random.integers(0, 4, 500), random.random((500, 4))
    told[np.arange(500), y] += 0.5
    assert probing.told(told, y, True) == pytest.approx(cohen_kappa_score(y, told.argmax(1)))


def test_tables_are_written_as_pandas_writes_them(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "id": range(6), "mixed": [1, True, 1.0, 'x,"y"', None, np.nan], "day": pd.to_datetime(["2020-01-01", None] * 3),
        "whole": pd.array([1, None, 3, 4, 5, 6], "Int64"), "number": [0.1, 1e300, 0.0, 1 / 3, np.inf, np.nan], "so": [True, False] * 3,
        "words": ["a\nb", "", 'said "no"', " d", None, "é"], "small": np.array([0.1, 0.2, 0.3, 1e-7, 5, 6], np.float32), "a, b": list("abcabc"),
        "texts": pd.Series(["a\nb", "", 'said "no"', "1", None, "1"], dtype=object),
    })  # fmt: skip
    assert frame["texts"].dtype == frame["mixed"].dtype == object
    preparing.save(frame, tmp_path / "table.csv", rows=4)
    assert (tmp_path / "table.csv").read_bytes() == frame.to_csv(index=False).encode()


@pytest.mark.parametrize("by", ["random", "stratified"])
def test_of_many_rows_no_more_are_told_than_a_score_needs(by: str) -> None:
    frame = pd.DataFrame({"x": random.random(1_000), "y": (np.arange(1_000) < 100).astype(int)})
    split = {"by": by, "test": 0.25, "seed": 0}
    plan = {"split": split, "targets": ["y"], "features": ["x"], "texts": [], "answer": "chance"}
    told = lambda most, least, **other: preparing.in_test(
        frame, plan | {"few": 0, "rare": 0, "told": most, "least": least} | other
    )
    assert [told(5_000, 4).sum(), told(40, 4).sum(), told(40, 4, answer="number").sum()] == [250, 40, 40]
    assert told(40, 9).sum() == 90  # nine of the hundred rows of the rarest class
    assert told(40, 99).sum() == 250


def test_of_few_rows_up_to_half_are_told() -> None:
    plan = {
        "split": {"by": "random", "test": 0.25, "seed": 0},
        "targets": ["y"],
        "features": ["x"],
        "texts": [],
        "answer": "chance",
    }
    plan |= {"few": 100, "rare": 25, "told": 20_000, "least": 500}

    def told(n: int, ones: int, **other: str) -> int:
        frame = pd.DataFrame({"x": random.random(n), "y": (np.arange(n) < ones).astype(int)})
        return int(preparing.in_test(frame, plan | other).sum())

    assert [told(n, n // 2) for n in (60, 150, 300, 400, 600)] == [30, 75, 100, 100, 150]
    assert [told(1_000, ones) for ones in (30, 80, 200)] == [500, 312, 250]
    assert told(1_000, 30, answer="number") == 250


def test_of_groups_enough_are_told_all_the_same() -> None:
    frame = pd.DataFrame({"x": random.random(1_000), "y": 0, "place": np.arange(1_000) // 10})
    plan = {
        "split": {"by": "group", "test": 0.25, "seed": 0, "column": "place"},
        "targets": ["y"],
        "features": ["x"],
        "texts": [],
    }
    groups = lambda told, least: frame["place"][preparing.in_test(frame, plan | {"told": told, "least": least})].nunique()
    assert [groups(5_000, 9), groups(40, 9), groups(40, 2), groups(40, 99)] == [25, 9, 4, 25]


TASK = {"metric": {"optimum": 1.0}, "split": {"by": "random"}}


@pytest.mark.parametrize(
    ("scores", "gaps", "part", "turned_down"),
    [
        ((0.5, 0.7, 0.9), {}, 1.0, []),
        ((0.5, 0.7, 0.99), {"strong": (0.97, 0.99, 1.0)}, 1.0, ["it is not trivial"]),
        ((0.5, 0.7, 0.99), {"strong": (0.97, 0.99, 1.0)}, 0.01, []),
        ((0.5, 0.7, 0.99), {"strong over dummy": (0.45, 0.49, 0.6)}, 1.0, []),
        ((0.5, 0.7, 0.9), {"strong over dummy": (0.1, 0.4, 0.45)}, 1.0, ["it is not hopeless"]),
        ((0.5, 0.7, 0.9), {"strong over exchanged": (0.1, 0.4, 0.45)}, 1.0, ["predictions belong to rows"]),
        ((0.5, 0.7, 0.9), {"simple over dummy": (0.1, 0.2, 0.4)}, 1.0, []),
        (
            (0.5, 0.7, 0.9),
            {"simple over dummy": (0.1, 0.3, 0.4), "strong over simple": (-0.1, 0.2, 0.3)},
            1.0,
            ["a rung is surely above the one below"],
        ),
        ((0.5, 0.7, 0.6), {"strong over simple": (-0.2, -0.1, 0.05)}, 1.0, ["the ladder is in order"]),
        ((0.5, 0.7, 0.6), {"strong over simple": (-0.2, -0.01, 0.05)}, 0.25, []),
    ],
)
def test_a_new_task_is_clear_of_what_other_rows_would_turn_round(
    scores: tuple[float, ...], gaps: dict[str, tuple[float, float, float]], part: float, turned_down: list[str]
) -> None:
    """Each of these passes as it is. `part` is the share of the test set that is resampled: of a large one other rows change little."""
    fine = dict.fromkeys(
        ("simple over dummy", "strong over simple", "strong over dummy", "strong over exchanged"), (0.3, 0.35, 0.4)
    )
    ladder = {name: {"score": score} for name, score in zip(("dummy", "simple", "strong"), scores, strict=True)}
    found = {"ladder": ladder, "gaps": fine | gaps, "part": part, "strong": gaps.get("strong", (0.899, 0.9, 0.901))}
    wrong = lambda margin: [check for holds, check, _ in ladder_stands(TASK, found, {}, margin) if not holds]
    assert wrong(0.0) == []
    assert wrong(1.0) == turned_down


@pytest.mark.parametrize("kind", ["float64", "float32", "int8", "Float32", "Int64", "object", "category"])
def test_classes_have_the_same_names_whatever_they_are_stored_as(kind: str) -> None:
    frame = pd.DataFrame({"y": pd.Series([0, 1, 2, 1]).astype(kind)})
    assert preparing.of_classes(frame, "y", ["0", "1"])["y"].astype(str).tolist() == ["0", "1", "1"]
    words = pd.DataFrame({"y": pd.Series(["a", "b", None], dtype="str")})
    assert preparing.of_classes(words, "y", ["a", "b"])["y"].tolist() == ["a", "b"]


def test_rows_without_a_place_are_one_cell() -> None:
    frame = pd.DataFrame({"x": [1.0, 1.2, np.nan, 3.0], "y": [1.0, 1.1, 2.0, np.nan]})
    assert preparing.blocks(frame, ["x", "y"], 0.5).tolist() == ["2.0/2.0", "2.0/2.0", "nan", "nan"]
