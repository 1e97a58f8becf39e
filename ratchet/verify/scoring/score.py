"""Runs in the sandbox, in a fork of an interpreter that has reasoning_gym: one score by one of its scorers.

Several scorers `eval` the answer, or let sympy do it. That is refused before it happens: Python tells an audit hook of every text
that it is about to compile, and a hook cannot be taken away. What is no plain formula of numbers, signs, names and known
functions, or of lists of such, is not compiled; the scorer sees an error, and the refusal is told beside its score.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
from typing import Any

PLAIN = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.keyword, ast.UnaryOp, ast.unaryop,
    ast.BinOp, ast.operator,
)  # fmt: skip
"""No `or`, `and`, `if` or comparison: "x or y" has the value x, and would pay for two answers at once."""
CALLED = {
    "Integer", "Float", "Rational", "Symbol", "factorial", "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "asec",
    "acsc", "sinh", "cosh", "tanh", "coth", "asinh", "acosh", "atanh", "exp", "log", "ln", "sqrt", "cbrt", "root", "Abs", "sign", "floor",
    "ceiling", "Max", "Min", "Mod", "Pow", "Add", "Mul", "erf", "erfi", "gamma", "Ei", "Si", "Ci", "li", "abs",
}  # fmt: skip
NEVER = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill", "os.remove", "os.rename", "subprocess.", "socket.",
    "ctypes.", "pty.", "import pty", "code.__new__",
)  # fmt: skip


def plain(source: Any) -> bool:
    """Whether a text is a formula that can be evaluated without running anything of its own."""
    try:
        text = source.decode() if isinstance(source, bytes) else source
        if not isinstance(text, str) or "#" in text:  # a comment would hide a second answer
            return False
        tree = ast.parse(text.lstrip(" \t"), mode="eval")
    except SyntaxError:
        return not statements(text)  # what cannot be compiled may be handed on: the scorer sees its error
    except (ValueError, MemoryError, RecursionError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if not (isinstance(node.func, ast.Name) and node.func.id in CALLED):
                return False
        elif isinstance(node, ast.Name):
            if node.id not in CALLED and (node.id.startswith("_") or hasattr(builtins, node.id)):
                return False
        elif not isinstance(node, PLAIN):
            return False
    return True


def statements(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    except (ValueError, MemoryError, RecursionError):
        pass
    return True


class Guard:
    """The audit hook. `refused` is what it did not allow, or ""."""

    def __init__(self) -> None:
        self.refused, self.looking = "", False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.looking:
            return
        if event == "compile" and arguments[1] == "<string>":
            self.looking = True
            try:
                allowed = plain(arguments[0])
            finally:
                self.looking = False
            if not allowed:
                self.refuse("evaluate a text that is no plain formula")
        elif event.startswith(NEVER):
            self.refuse(event)

    def refuse(self, what: str) -> None:
        self.refused = self.refused or what
        raise RuntimeError(f"refused: {what}")


def decoded(value: Any) -> Any:
    """See tasks/reasoning_gym.py."""
    if isinstance(value, list):
        return [decoded(v) for v in value]
    if isinstance(value, dict):
        [(kind, inner)] = value.items()
        return tuple(map(decoded, inner)) if kind == "tuple" else {decoded(k): decoded(v) for k, v in inner}
    return value


def main() -> None:
    from reasoning_gym import create_dataset  # pyright: ignore

    given = json.load(sys.stdin)
    own = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the library prints is no score
    data: Any = create_dataset(given["name"], seed=1, size=1, **given["config"])
    entry = decoded(given["entry"])
    guard = Guard()
    sys.addaudithook(guard)
    score = float(data.score_answer(given["answer"], entry))
    os.write(own, json.dumps({"score": score, "refused": guard.refused}).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
