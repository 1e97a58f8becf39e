"""Task families: every one proves itself; what they draw is what they promise; files are read or refused with a reason."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.core.errors import RecipeError, TaskError
from ratchet.core.types import SPLITS
from ratchet.tasks import countdown
from ratchet.tasks.check import check
from ratchet.tasks.family import Family, Source, families
from ratchet.tasks.files import read
from ratchet.verify.expression import parse
from ratchet.verify.pool import VerifierPool
from ratchet.verify.verifier import verifiers

DRAWN = [e.name for e in families if e.value.draw is not None]


@pytest.mark.parametrize("name", DRAWN)
def test_every_family_proves_itself(name: str, verify: VerifierPool) -> None:
    result = check(Source(name), verify, count=40)
    assert result.holds, result.failures
    assert any(row[0].startswith("decoy") for row in result.rows)


@pytest.mark.parametrize("broken", ["gold", "decoys", "demonstrate"])
def test_the_check_catches_a_broken_family(broken: str, verify: VerifierPool) -> None:
    wrong: dict[str, Any] = {
        "gold": lambda task: f"answer {task.answer + 1}",
        "decoys": lambda task: {"not a decoy": f"answer {task.answer}"},
        "demonstrate": lambda random_, task: "answer 0 or 1",
    }
    source = Source("arithmetic")
    source.family = replace(source.family, **{broken: wrong[broken]})
    assert not check(source, verify, count=10).holds


@pytest.mark.parametrize("name", DRAWN)
def test_streams_depend_on_their_path_alone_and_keep_to_their_split(name: str) -> None:
    source = Source(name)
    for split in SPLITS:
        tasks = source.take(split, 60, 3, "x")
        assert {t.split for t in tasks} == {split} and len({t.key for t in tasks}) == 60
        assert tasks == Source(name).take(split, 60, 3, "x")
        assert tasks != source.take(split, 60, 4, "x")


def test_splits_share_no_countdown_in_another_order() -> None:
    a, b = countdown.task_of([3, 7, 12], 33), countdown.task_of([12, 3, 7], 33)
    assert a.key == b.key and a.split == b.split and a.prompt != b.prompt


@given(st.integers(0, 10**6), st.sampled_from([(3,), (4,), (3, 4), (2, 5)]), st.integers(5, 20))
def test_countdown_is_solvable_and_demonstrations_are_true(seed: int, numbers: tuple[int, ...], largest: int) -> None:
    random_ = random.Random(seed)
    task = countdown.draw(random_, numbers=numbers, largest=largest)
    assert verifiers["countdown"](task, countdown.gold(task)).passed
    text = countdown.demonstrate(random_, task)
    assert verifiers["countdown"](task, text).passed
    attempts = text.split(" answer ")[0].split("try ")[1:]
    for attempt in attempts:
        body, _, said = attempt.strip().rpartition(" ")
        # "( 7 * 3 = 21 ) + 12 = 33": without what follows each "=", an expression that has the last value
        tokens = body.split()
        bare = [t for i, t in enumerate(tokens) if t != "=" and (i == 0 or tokens[i - 1] != "=")]
        parsed = parse(" ".join(bare))
        assert sorted(map(int, parsed.numbers)) == sorted(task.facts["numbers"])
        assert parsed.value == int(tokens[-1])
        assert (said == "yes") == (parsed.value == task.answer)
    assert all(a.endswith("no ") for a in attempts[:-1])


def test_at_most_tasks_hold(verify: VerifierPool) -> None:
    result = check(Source("countdown", knobs={"rule": "at-most"}), verify, count=40)
    assert result.holds, result.failures


@pytest.mark.parametrize(
    ("knobs", "message"),
    [({"numbrs": (3,)}, 'did you mean "numbers"'), ({"rule": "never"}, "not one of"), ({"numbers": (1,)}, "leave no task"),
     ({"largest": "ten"}, "takes int"), ({"target": (900, 901), "largest": 3}, "widen")],
)  # fmt: skip
def test_wrong_knobs_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises((TaskError, RecipeError), match=message):
        Source("countdown", knobs=knobs).take("train", 1, 0)


def test_a_family_that_runs_dry_says_so() -> None:
    with pytest.raises(TaskError, match="only about"):
        Source("countdown", knobs={"numbers": (2,), "largest": 3, "target": (2, 4)}).take("heldout", 500, 0)


# ---- files -------------------------------------------------------------------------------------------------------

ROWS = [{"prompt": f"what is {i} + 1 ?", "answer": i + 1, "verifier": "numeric"} for i in range(200)]


def test_files_of_every_kind_give_the_same_tasks(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    lines = "".join(json.dumps(r) + "\n" for r in ROWS)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    keys = [[t.key for t in read(str(tmp_path / f))] for f in ("a.jsonl", "a.jsonl.gz", "a.json", "a.parquet")]
    assert all(k == keys[0] for k in keys) and len(keys[0]) == 200


def test_repeated_rows_are_one_task_and_columns_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"question": "1+1?", "gold": 2}\n\n{"question": "1+1?", "gold": 2}\n')
    [task] = read(str(file), verifier="numeric", prompt="question", answer="gold")
    assert task.prompt == "1+1?" and task.answer == 2 and task.facts == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"prompt": "x", "answer": 1, "verifier": "exact"}\n{"prompt": ', "row 2 is not JSON"),
        ("a.jsonl", '{"answer": 1}', 'row 1: "prompt" is missing'),
        ("a.jsonl", '{"prompt": "x", "verifier": "exact"}', '"answer" is missing'),
        ("a.jsonl", '{"prompt": "x", "answer": 1}', "no verifier"),
        ("a.jsonl", "[1, 2]", "got list"),
        ("a.jsonl", '{"prompt": 3, "answer": 1, "verifier": "exact"}', "must be a text"),
        ("a.jsonl", "", "holds no rows"),
        ("a.txt", "x", r"ends in \"\.txt\""),
        ("a.parquet", "not parquet", "not a Parquet file"),
        ("a.jsonl.gz", "not gzip", "cannot be read"),
    ],
)
def test_bad_files_are_one_clear_sentence(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TaskError, match=message):
        read(str(tmp_path / name))


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="does not exist"):
        read(str(tmp_path / "absent.jsonl"))
    with pytest.raises(TaskError, match="is a folder"):
        read(str(tmp_path))
    with pytest.raises(TaskError, match=r"tasks\.path"):
        Source("files")


def test_a_collection_without_a_split_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(ROWS[0]))
    source = Source("files", str(file))
    empty = next(s for s in SPLITS if s != source.tasks[0].split)  # type: ignore[index]
    with pytest.raises(TaskError, match="none of its 1 tasks"):
        source.take(empty, 1, 0)


def test_files_prove_themselves(tmp_path: Path, verify: VerifierPool) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    assert check(Source("files", str(file)), verify).holds
    assert isinstance(families["files"], Family)


def test_rows_that_are_judged_by_facts_need_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    facts = {"constraints": [{"name": "no-commas"}]}
    rows: list[dict[str, Any]] = [
        {"prompt": "Write.", "verifier": "constraints", "facts": {**facts, "gold": "It is so."}},
        {"prompt": "Write.", "verifier": "constraints", "facts": facts},
        {"prompt": "One?", "verifier": "numeric", "facts": {"a": 1}},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    read = families["files"].read
    assert read is not None
    tasks = read(str(file))
    assert len({t.key for t in tasks}) == 3  # the same prompt with other facts is another task
    gold = families["files"].gold
    assert [gold(t) for t in tasks] == ["It is so.", None, None]
    verdicts = [verifiers[t.verifier](t, "It is so.") for t in tasks]
    assert [str(v.outcome) for v in verdicts] == ["pass", "pass", "abstain"]
    file.write_text(json.dumps({"prompt": "One?", "verifier": "numeric"}))
    with pytest.raises(TaskError, match='"answer" is missing or empty'):
        read(str(file))
