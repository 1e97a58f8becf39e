"""What families of programming tasks share: reading fields of rows, fenced texts, and programs that only look right."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.tasks.near_duplicates import groups

SECONDS = 10  # some references of MBPP need more than the verifier's own 5
NEAR = 0.5  # Jaccard index of word pairs; at 0.5 the largest group of MBPP's first 722 holds 2 % of them
FORM = "Answer with the code in one block that begins with ```python and ends with ```."


def field(row: Any, where: str, names: Sequence[str], kind: type = str, empty: bool = False) -> Any:
    """The first field of these names. Raises TaskError for a row without it, or with something else in it."""
    what = {str: "a text", list: "a list of texts"}[kind]
    if not isinstance(row, dict):
        raise TaskError(f"{where}: got {type(row).__name__}, each row must be an object with {names[0]} and more")
    name = next((n for n in names if n in row), None)
    if name is None:
        has = ", ".join(map(str, row)) or "no fields"
        raise TaskError(f"{where}: the field {names[0]!r} is missing (it has {has}); add it, or take the row out")
    value = row[name]
    if not isinstance(value, kind) or (kind is list and not all(isinstance(v, str) for v in value)):
        raise TaskError(f"{where}: {name!r} must be {what}, got {str(value)[:60]!r}; mend it, or take the row out")
    if not empty and not (value.strip() if kind is str else value):
        raise TaskError(f"{where}: {name!r} is empty; it must be {what}")
    return value


def parsed(code: str, where: str, name: str) -> ast.Module:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        told = f"{e.msg}, its line {e.lineno}" if isinstance(e, SyntaxError) else e
        raise TaskError(f"{where}: {name!r} is not Python ({told}); mend it, or take the row out") from None


def fenced(code: str) -> str:
    """The code as a block of Markdown that its own text cannot close."""
    longest = max((len(run) for run in re.findall(r"^[ \t]*(`{3,})", code, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}python\n{code.rstrip()}\n{fence}"


def clusters(texts: Sequence[str]) -> list[str]:
    """For each description that of the first of its group: those that differ in a word or two stay in one split."""
    words = [re.sub(r"^write a (python )?function (to )?", "", text.lower()).split() for text in texts]
    return [texts[first] for first in groups(words, NEAR)]


def decoys(prompt: str, code: str, entry: str) -> Mapping[str, str]:
    """Programs that look right and are not. `code` is the reference."""
    nothing = f"def {entry}(*arguments, **named):\n    return None\n"
    return {
        "empty": "",
        "prompt echo": prompt,
        "only words": "The function does exactly what was asked, and all tests hold.",
        "returns nothing": fenced(nothing),
        "another name": fenced(re.sub(rf"\b{re.escape(entry)}\b", f"{entry}_", code)),
        "does not compile": fenced(code + "\n)"),
        "the right block, then a wrong one": f"{fenced(code)}\nor\n{fenced(nothing)}",
        "says that all tests hold, and ends": fenced("import os\nprint('all tests hold', flush=True)\nos._exit(0)"),
        "equals everything": fenced(
            f"class Any:\n    def __eq__(self, other):\n        return True\n    def __ne__(self, other):\n        return False\n"
            f"    def __hash__(self):\n        return 0\n\n\ndef {entry}(*arguments, **named):\n    return Any()\n"
        ),
        "ends instead of answering": fenced(f"def {entry}(*arguments, **named):\n    raise SystemExit(0)\n"),
    }
