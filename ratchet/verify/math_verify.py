r"""math-verify, the public grader of mathematics: by itself on a whole text, and as what `math` asks where it cannot tell.

It reads LaTeX by a grammar and compares with sympy, which can take for ever. So it works only in the pool's worker, which is
killed at the deadline; its own timer, `signal.alarm`, is off. By itself it evaluates arithmetic outside of LaTeX, and sympy makes
even a number, by `eval` of text: here numbers are made without it, and whatever else would be compiled from text raises.
Install it with `pip install 'ratchet[math]'`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import re
import sys
from typing import Any

from ratchet.core.errors import VerifierError
from ratchet.core.types import Task, Verdict
from ratchet.verify.verifier import Verifier, abstained, failed, passed, verifiers

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
# towers of numbers, factorials of large ones, brackets in brackets: sympy works on these until it is killed
ENDLESS = re.compile(r"\d\s*\^\s*\{?\s*\d+\s*\^|\d{3,}\s*!|[(\[{]{10}", re.ASCII)
MEMORY = 4 << 30  # bytes: a matrix of a million rows is short to write


class Door:
    """Whether text may become code: `open` while libraries load, shut while they read what a model wrote."""

    loaded = False
    open = True


def installed() -> bool:
    return importlib.util.find_spec("math_verify") is not None


def load() -> None:
    """Make ready to judge, in a process that is killed when it is late. Raises VerifierError where it is not installed."""
    if not installed():
        raise VerifierError("math-verify is not installed; `pip install 'ratchet[math]'` brings it")
    if Door.loaded:
        return
    parser: Any = importlib.import_module("math_verify.parser")
    sympy_parser: Any = importlib.import_module("sympy.parsing.sympy_parser")
    importlib.import_module("sympy.physics.units")  # makes its constants by eval
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its timer is off
    sympy_parser.parse_expr = parser.parse_expr = number_without_eval
    sys.addaudithook(refuse_code)
    limit_memory()
    Door.loaded = True


def number_without_eval(text: Any, *_: Any, **__: Any) -> Any:
    """In the place of sympy's `parse_expr`, which makes every number by eval. Raises SyntaxError for all but a number."""
    sympy: Any = importlib.import_module("sympy")
    if not NUMBER.fullmatch(text):
        raise SyntaxError("only numbers are read here")
    return sympy.Integer(text) if text.lstrip("+-").isdigit() else sympy.Float(text)


def refuse_code(event: str, arguments: tuple[Any, ...]) -> None:
    """For `sys.addaudithook`. What is compiled from text has a name such as <string>. A module that is imported late may do so,
    and sympy writes the products of its monomials out, code in which nothing but their length varies."""
    if event != "compile" or Door.open or not str(arguments[1]).startswith("<"):
        return
    if not bytes(arguments[0] or b"").startswith(b"def monomial_") and not importing():
        raise RuntimeError("text is not evaluated as code here")


def importing() -> bool:
    frame = inspect.currentframe()
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))


def ask(gold: str, text: str, plain: bool = True) -> bool | None:
    """What math-verify says of a text; None where it cannot read it or the gold answer, or fails. `plain`: numbers outside
    of LaTeX count too."""
    grader: Any = importlib.import_module("math_verify")
    kinds = [grader.LatexExtractionConfig(), *([grader.ExprExtractionConfig()] if plain else [])]
    Door.open = False
    try:
        first, second = (
            grader.parse(x, kinds, fallback_mode="no_fallback", parsing_timeout=None) for x in (f"\\boxed{{{gold}}}", text)
        )
        return grader.verify(first, second, timeout_seconds=None, raise_on_error=True) if first and second else None
    except Exception:  # whatever sympy raises on texts like these
        return None
    finally:
        Door.open = True


def second_opinion(gold: str, answer: str) -> bool | None:
    """Of an answer by itself; None, too, where math-verify was not loaded, or would hardly come to an end."""
    return ask(gold, f"\\boxed{{{answer}}}", plain=False) if Door.loaded and not ENDLESS.search(answer) else None


def judge(task: Task, text: str) -> Verdict:
    if not Door.loaded:
        return abstained("math-verify judges only in a verifier process, which is killed when it is late")
    golds = task.answer if isinstance(task.answer, (list, tuple)) else [task.answer]
    found = [ask(str(gold), text) for gold in golds]
    if any(found):
        return passed("the same as the gold answer for math-verify")
    if None in found:
        return abstained(f"math-verify cannot read the answer or {str(golds[0])[:60]!r}")
    return failed(f"for math-verify not {str(golds[0])[:60]!r}")


verifiers.put("math-verify", Verifier(str, judge, load), summary=__doc__)
