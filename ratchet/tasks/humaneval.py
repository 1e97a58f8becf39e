"""HumanEval: Python functions from their signature and docstring, judged by tests that the prompt does not show.

Reads any JSON Lines, JSON or Parquet file of the published shape (Chen et al. 2021: prompt, entry_point, canonical_solution,
test). "sample" is 20 rows that ship here. The answer may be the body alone, as in the paper, or the whole function again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks import programming
from ratchet.tasks.family import Family, families
from ratchet.tasks.files import rows_of
from ratchet.tasks.programming import FORM, SECONDS, fenced, field, parsed

SAMPLE = Path(__file__).parent / "samples" / "code" / "humaneval.jsonl"


def read(path: str) -> list[Task]:
    """Every row as a task, repeated rows once. Raises TaskError with row and field for one that is none."""
    file = str(SAMPLE) if path == "sample" else path
    tasks = [task_of(row, f"{file}, row {number}") for number, row in rows_of(file)]
    if not tasks:
        raise TaskError(f"{file} holds no rows; each must be an object with prompt, entry_point, canonical_solution and test")
    return list({t.key: t for t in tasks}.values())


def task_of(row: Any, where: str) -> Task:
    start = field(row, where, ("prompt",)).rstrip("\n") + "\n"
    entry = field(row, where, ("entry_point",))
    code = start + field(row, where, ("canonical_solution",))
    test = field(row, where, ("test",))
    parsed(start, where, "prompt")
    parsed(code, where, "canonical_solution")
    tree = parsed(test, where, "test")
    if not any(getattr(node, "name", "") == "check" for node in tree.body):
        raise TaskError(f"{where}: 'test' must define check(candidate); mend it, or take the row out")
    if not any(getattr(node, "name", "") == entry for node in parsed(code, where, "canonical_solution").body):
        raise TaskError(f"{where}: 'prompt' does not define {entry}, its 'entry_point'; mend one of them, or take the row out")
    prompt = f"Write this Python function, whole, with all that it imports:\n\n{fenced(start)}\n\n{FORM}"
    facts = {"before": start, "setup": test, "asserts": [f"check({entry})"], "entry": entry, "limits": {"seconds": SECONDS}}
    return Task("humaneval", prompt, code, "code", facts, start)


def gold(task: Task) -> str:
    return fenced(task.answer)


def decoys(task: Task) -> Mapping[str, str]:
    """Programs that look right and are not."""
    return programming.decoys(task.prompt, task.answer, task.facts["entry"])


families.put("humaneval", Family(None, gold, decoys, read=read), paper="arXiv 2107.03374", summary=__doc__)
