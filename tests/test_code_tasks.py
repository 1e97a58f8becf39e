"""Programming tasks: the references pass, what only looks right fails, rows that are none are refused; the mutants are mistakes."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks import code_mutants
from benchmarks.code_mutants import difference
from benchmarks.mutations import Mutant, mutants
from ratchet.core.errors import TaskError
from ratchet.core.types import Outcome, Task
from ratchet.tasks.family import Source
from ratchet.tasks.programming import fenced
from ratchet.verify.sandbox.sandbox import Sandbox
from ratchet.verify.verifier import verifiers

ROW = {
    "text": "Write a function to add two numbers.", "code": "def add(a, b):\r\n  return a + b", "task_id": 1, "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3", "assert add(2, 2) == 4"], "challenge_test_list": ["assert add(-1, 1) == 0"],
}  # fmt: skip
HUMAN = {
    "prompt": 'def add(a, b):\n    """The sum."""\n', "entry_point": "add", "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}  # fmt: skip


def written(folder: Path, rows: list[Any]) -> str:
    file = folder / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return str(file)


def tasks_of(family: str, path: str, **knobs: Any) -> list[Task]:
    tasks = Source(family, path, knobs).tasks
    assert tasks is not None
    return tasks


@pytest.mark.parametrize("name", ["mbpp", "humaneval"])
def test_references_pass_and_decoys_fail(name: str) -> None:
    source, verify = Source(name, "sample"), verifiers["code"]
    assert source.tasks is not None
    odd = [t for t in source.tasks if t.facts["entry"] in ("sum", "max_height", "max_chain_length")]
    for task in [*source.tasks[:4], *odd]:
        verdict = verify(task, source.family.gold(task) or "")
        assert verdict.passed, (task.prompt, verdict)
    for name, text in source.family.decoys(source.tasks[0]).items():
        assert verify(source.tasks[0], text).outcome is Outcome.FAIL, name


def test_an_answer_may_be_the_body_or_the_whole_function(tmp_path: Path) -> None:
    task, verify = tasks_of("humaneval", written(tmp_path, [HUMAN]))[0], verifiers["code"]
    for code in ("    return a + b\n", "def add(x, y):\n    return x + y\n"):
        assert verify(task, fenced(code)).passed
    assert not verify(task, fenced("    return a - b\n")).passed


@pytest.mark.parametrize("name", ["mbpp", "humaneval"])
def test_the_prompt_holds_no_hidden_test(name: str) -> None:
    for task in tasks_of(name, "sample"):
        assert task.facts["entry"] in task.prompt
        for test in task.facts["asserts"]:
            assert test.strip() not in task.prompt


def test_what_the_prompt_shows_is_no_test_any_more(tmp_path: Path) -> None:
    path = written(tmp_path, [ROW])
    all_hidden, one_shown = tasks_of("mbpp", path)[0], tasks_of("mbpp", path, examples=1)[0]
    assert len(all_hidden.facts["asserts"]) == 3 and "add(1, 2)" in all_hidden.prompt and "== 3" not in all_hidden.prompt
    assert one_shown.facts["asserts"] == all_hidden.facts["asserts"][1:] and "assert add(1, 2) == 3" in one_shown.prompt
    assert all_hidden.key == one_shown.key
    with pytest.raises(TaskError, match="none of its 3 assertions"):
        Source("mbpp", path, {"examples": 3})


def test_tasks_that_differ_in_a_word_stay_in_one_split(tmp_path: Path) -> None:
    texts = [f"Write a function to find the {what} of the first even and odd number of a list." for what in ("sum", "product")]
    rows = [{**ROW, "text": text} for text in (*texts, "Write a function that reverses words.")]
    a, b, c = tasks_of("mbpp", written(tmp_path, rows))
    assert a.cluster == b.cluster != c.cluster and a.key != b.key


@pytest.mark.parametrize(
    ("family", "change", "said"),
    [
        ("mbpp", {"code": None}, "'code' must be a text"),
        ("mbpp", {"code": "def add(:"}, "'code' is not Python"),
        ("mbpp", {"code": "def other(a):\n  return a"}, "no test calls a function that 'code' defines"),
        ("mbpp", {"test_list": "assert add(1, 2) == 3"}, "'test_list' must be a list"),
        ("mbpp", {"test_list": []}, "'test_list' is empty"),
        ("mbpp", {"challenge_test_list": ["assert ("]}, "'challenge_test_list' is not Python"),
        ("mbpp", {"text": " "}, "'text' is empty"),
        ("humaneval", {"test": "assert add(1, 2) == 3"}, "must define check"),
        ("humaneval", {"entry_point": "sub"}, "does not define sub"),
        ("humaneval", {"canonical_solution": "  return ("}, "'canonical_solution' is not Python"),
    ],
)
def test_a_row_that_is_no_task_is_refused_with_its_place(family: str, change: dict[str, Any], said: str, tmp_path: Path) -> None:
    good = ROW if family == "mbpp" else HUMAN
    path = written(tmp_path, [good, {**good, **change}])
    with pytest.raises(TaskError, match=said) as caught:
        Source(family, path)
    assert "rows.jsonl, row 2" in str(caught.value)
    missing = dict(good)
    del missing[next(iter(change))]
    if next(iter(change)) != "challenge_test_list":
        with pytest.raises(TaskError, match="is missing"):
            Source(family, written(tmp_path, [missing]))


# ---- mutants -------------------------------------------------------------------------------------------------------

CODE = '''def most(items, least: int = 3):
    """The largest of the items that are at least `least`."""
    best = None
    for i in range(len(items)):
        if items[i] >= least and (best is None or items[i] > best):
            best = items[i]
    return best
'''


def test_every_mutant_is_another_program_that_compiles() -> None:
    found = list(mutants(CODE, Random(1)))
    texts = [m.code for m in found]
    assert len(found) > 40 and len(set(texts)) == len(texts) and len({m.kind for m in found}) >= 10
    assert ast.unparse(ast.parse(CODE)) not in texts
    for mutant in found:
        compile(mutant.code, "mutant", "exec")
        assert "at least `least`" in mutant.code and "least: int" in mutant.code  # the docstring and the annotation stay
    assert [m.code for m in mutants(CODE, Random(1))] == texts


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(code_mutants, "SEARCH", 0.2)
    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ((">= least", "> least"), True),
        (("items[i] > best", "items[i] >= best"), False),  # the same value either way
        (("best is None or items[i] > best", "best is None or best < items[i]"), False),
        (("range(len(items))", "range(len(items) + 1)"), True),
        (("return best", "while best == 7: pass\n    return best"), True),
    ],
)
def test_a_mutant_is_shown_different_by_an_input_or_not_at_all(change: tuple[str, str], differs: bool, sandbox: Sandbox) -> None:
    facts = {"asserts": ["assert most([4, 9, 7]) == 9", "assert most([1, 2], 3) is None"], "entry": "most"}
    task = Task("mbpp", "", CODE, "code", facts)
    found = difference(task, Mutant("", 0, CODE.replace(*change)), sandbox)
    assert (found is not None) == differs, found
    if found is not None:
        assert found["reference"] != found["mutant"]


def test_a_reference_that_is_not_the_same_twice_shows_nothing(sandbox: Sandbox) -> None:
    code = "import random\ndef draw(n):\n    return random.random() * n\n"
    task = replace(Task("mbpp", "", code, "code", {"asserts": ["assert draw(0) == 0"], "entry": "draw"}))
    assert difference(task, Mutant("", 0, code.replace("* n", "* n + 0")), sandbox) is None
