"""MBPP: short Python functions from a sentence, judged by assertions that the prompt does not show.

Reads any JSON Lines, JSON or Parquet file of the published shape (Austin et al. 2021: text, code, test_list, and if wanted
test_setup_code, challenge_test_list; or prompt and test_imports, as in the sanitized part). "sample" is 20 rows that ship here.

Departure from the paper: its prompt shows the assertions that it then judges by. Here the prompt shows one call, without its
value, so that names and arguments are known and every test stays hidden; `examples` shows that many of the assertions, which
are then no tests any more. Classes that the tests make objects of are given.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks import programming
from ratchet.tasks.family import Family, families
from ratchet.tasks.files import rows_of
from ratchet.tasks.programming import FORM, SECONDS, clusters, fenced, field, parsed

SAMPLE = Path(__file__).parent / "samples" / "code" / "mbpp.jsonl"


def read(path: str, *, examples: int = 0) -> list[Task]:
    """Every row as a task; rows with the same text and tests once. Raises TaskError with row and field for one that is none."""
    if examples < 0:
        raise TaskError(f"mbpp: examples={examples} must be at least 0; it is how many assertions the prompt shows")
    file = str(SAMPLE) if path == "sample" else path
    rows = [(row, f"{file}, row {number}") for number, row in rows_of(file)]
    if not rows:
        raise TaskError(f"{file} holds no rows; each must be an object with text, code and test_list")
    own = clusters([field(row, where, ("text", "prompt")) for row, where in rows])
    tasks = [task_of(row, where, cluster, examples) for (row, where), cluster in zip(rows, own, strict=True)]
    return list({t.key: t for t in tasks}.values())


def task_of(row: Any, where: str, cluster: str, examples: int) -> Task:
    text = field(row, where, ("text", "prompt")).strip()
    code = field(row, where, ("code",)).replace("\r\n", "\n")
    lists = [name for name in ("test_list", "challenge_test_list") if name == "test_list" or name in row]
    named = [(test, name) for name in lists for test in field(row, where, (name,), list, empty=name != "test_list")]
    tests = [test for test, _ in named]
    setup = setup_of(row, where)
    if examples >= len(tests):
        raise TaskError(f"{where}: with examples={examples} none of its {len(tests)} assertions would be left as a hidden test")
    reference = parsed(code, where, "code")
    trees = [parsed(test, where, name) for test, name in named]
    entry = entry_of(reference, trees, where)
    given = classes(reference, [parsed(setup, where, "test_setup_code"), *trees], entry)
    parts = [text, f"The function must be named `{entry}`."]
    if examples:
        parts += ["These hold:", "\n".join(test.strip() for test in tests[:examples])]
    else:
        parts[1] = f"The function must be named `{entry}` and is called as in `{shown_call(trees, entry)}`."
    if given:
        parts += ["This is given:", fenced(given)]
    facts = {"asserts": tests[examples:], "entry": entry, "limits": {"seconds": SECONDS}}
    facts |= {"setup": setup} if setup.strip() else {}
    facts |= {"before": given + "\n\n"} if given else {}
    return Task("mbpp", "\n\n".join([*parts, FORM]), code, "code", facts, f"{text} | {sorted(tests)}", cluster)


def setup_of(row: Mapping[str, Any], where: str) -> str:
    if "test_imports" in row:
        return "\n".join(field(row, where, ("test_imports",), list, empty=True))
    return field(row, where, ("test_setup_code",), empty=True).replace("\r\n", "\n") if "test_setup_code" in row else ""


def entry_of(reference: ast.Module, tests: list[ast.Module], where: str) -> str:
    """The function that the reference defines and most tests call."""
    defined = [node.name for node in reference.body if isinstance(node, ast.FunctionDef)]
    used = {name: sum(name in called(test) for test in tests) for name in defined}
    best = max(used, key=used.__getitem__, default="")
    if not used.get(best):
        raise TaskError(
            f"{where}: no test calls a function that 'code' defines ({', '.join(defined) or 'none'}); mend one of them, "
            "or take the row out"
        )
    return best


def called(tree: ast.AST) -> set[str]:
    return {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def classes(reference: ast.Module, tests: list[ast.Module], entry: str) -> str:
    """The classes of the reference that the tests make objects of: nobody could guess them."""
    needed = set().union(*map(called, tests)) - {entry}
    return "\n\n\n".join(ast.unparse(n) for n in reference.body if isinstance(n, ast.ClassDef) and n.name in needed)


def shown_call(tests: list[ast.Module], entry: str) -> str:
    """The first call of the function in the tests."""
    calls = [
        n for test in tests for n in ast.walk(test)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == entry
    ]  # fmt: skip
    return ast.unparse(calls[0])


def gold(task: Task) -> str:
    return fenced(task.answer)


def decoys(task: Task) -> Mapping[str, str]:
    """Programs that look right and are not."""
    return programming.decoys(task.prompt, task.answer, task.facts["entry"])


families.put("mbpp", Family(None, gold, decoys, read=read), paper="arXiv 2108.07732", summary=__doc__)
