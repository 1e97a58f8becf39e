"""Unit tests of one Python function, rewritten so that a program in any language can be tested by them.

`assert f(3, [1, 2]) == 5` becomes standard input `3`, `[1,2]`, one argument a line, and the output `5`, all as JSON. Statements
are read, never run: arguments and values must be literals. What does not have this form is told with its reason.
"""

from __future__ import annotations

import ast
import inspect
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ratchet.core.errors import SandboxError

Shape = Any
"""What JSON forgets of a Python value: None for what it keeps, else ["list" or "tuple" or "set", shape of all parts],
["record", shapes of the parts of a tuple] or ["dict", shape of the keys, shape of the values]."""


@dataclass(frozen=True)
class Rewritten:
    """`tests` as the verifier `code` takes them; `refused` has statements with reasons; `shapes` of the arguments, in order."""

    entry: str
    tests: list[dict[str, str]]
    refused: list[tuple[str, str]]
    shapes: list[Shape]

    def sentence(self) -> str:
        """What a prompt must say about the form."""
        given = (
            ("no input", "one argument as JSON on standard input")[len(self.shapes)]
            if len(self.shapes) < 2
            else (f"{len(self.shapes)} arguments as JSON on standard input, one a line")
        )
        return (
            f"Write a program that does what `{self.entry}` does: it gets {given}, and prints the value as JSON without blanks. A tuple "
            "stands as a list, a set as its sorted list, a dictionary with keys that are no texts as its sorted list of pairs, a whole "
            "number without a decimal point."
        )

    def driver(self) -> str:
        """Python that, put behind a solution that defines the function, makes it a program of this form."""
        parts = [inspect.getsource(f) for f in (plain, number, restored)]
        shapes, entry = json.dumps(json.dumps(self.shapes)), self.entry
        return "\n\n".join(["\n\nimport json, math, sys", *parts, MAIN.format(shapes=shapes, entry=entry)])


MAIN = """
def _main():
    given = [json.loads(line) for line in sys.stdin.read().split("\\n") if line]
    arguments = [restored(value, shape) for value, shape in zip(given, json.loads({shapes}))]
    out, sys.stdout = sys.stdout, sys.stderr  # what the function prints is not its value
    value = {entry}(*arguments)
    sys.stdout = out
    print(json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True))


_main()
"""


class Unfit(ValueError):
    """Why a statement cannot be rewritten."""


def rewrite(asserts: Iterable[str], entry: str = "") -> Rewritten:
    """The tests of `entry`, by default the function that the first statement of the form calls.

    Raises SandboxError where none of the statements has the form."""
    tests: list[dict[str, str]] = []
    refused: list[tuple[str, str]] = []
    shapes: list[Shape] | None = None
    for statement in asserts:
        try:
            name, arguments, value = parts_of(statement)
            if entry and name != entry:
                raise Unfit(f"it calls {name}, not {entry}")
            own = list(map(shape_of, arguments))
            if shapes is not None and len(shapes) != len(own):
                raise Unfit(f"it gives {len(own)} arguments, where an earlier test gives {len(shapes)}")
            merged = own if shapes is None else [merge(a, b) for a, b in zip(shapes, own)]
            lines = [written(a) for a in arguments]
            tests.append({"input": "".join(f"{line}\n" for line in lines), "output": written(value) + "\n"})
            shapes, entry = merged, name
        except Unfit as e:
            refused.append((statement, str(e)))
    if shapes is None:
        why = f"the first: {refused[0][1]}" if refused else "there is none"
        raise SandboxError(f"no statement has the form `assert f(arguments) == value` with literals ({why})")
    return Rewritten(entry, tests, refused, shapes)


def parts_of(statement: str) -> tuple[str, list[Any], Any]:
    """The function's name, its arguments and the value of one statement."""
    try:
        body = ast.parse(statement.strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as e:
        raise Unfit(f"it is not Python ({type(e).__name__})") from None
    if len(body) != 1 or not isinstance(body[0], ast.Assert):
        raise Unfit("it is not one assert")
    test = body[0].test
    if not isinstance(test, ast.Compare):
        raise Unfit("it tests truth, not a value")
    if len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        raise Unfit("it compares by something else than ==")
    sides = [test.left, test.comparators[0]]
    call, value = sides if isinstance(sides[0], ast.Call) else sides[::-1]
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise Unfit("neither side is a call of a function by its name")
    if call.keywords or any(isinstance(a, ast.Starred) for a in call.args):
        raise Unfit("it gives arguments by name or by star")
    return call.func.id, [literal(a, f"argument {i}") for i, a in enumerate(call.args, 1)], literal(value, "the value")


def literal(node: ast.expr, what: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise Unfit(f"{what} is not a literal") from None


def written(value: Any) -> str:
    """A value as one line of JSON."""
    try:
        text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as e:
        raise Unfit(f"a value has no place in JSON ({e})") from None
    return text


def shape_of(value: Any) -> Shape:
    """See `Shape`."""
    if isinstance(value, dict):
        return ["dict", common(value), common(value.values())]
    if isinstance(value, tuple):
        shapes = list(map(shape_of, value))
        return ["tuple", shapes[0] if shapes else None] if all(s == shapes[0] for s in shapes) else ["record", shapes]
    for kind in (list, set):
        if isinstance(value, kind):
            return [kind.__name__, common(value)]
    return None


def common(values: Iterable[Any]) -> Shape:
    """The shape of all of them."""
    whole: Shape = None
    for i, value in enumerate(values):
        whole = merge(whole, shape_of(value)) if i else shape_of(value)
    return whole


def merge(a: Shape, b: Shape) -> Shape:
    """One shape for values of both. What has no parts yet fits anything."""
    if a == b:
        return a
    if a is None or b is None:  # a number or a text beside a container: told apart by what JSON shows
        return a or b
    if a[0] == b[0] == "record" and len(a[1]) == len(b[1]):
        return ["record", [merge(x, y) for x, y in zip(a[1], b[1])]]
    if a[0] == b[0] != "record":
        return [a[0], *(merge(x, y) for x, y in zip(a[1:], b[1:]))]
    raise Unfit(f"in one place stand a {a[0]} and a {b[0]}, which JSON cannot tell apart")


# ---- these three also go into the driver, so they need nothing but `json` and `math` --------------------------------


def plain(value: Any) -> Any:
    """A value as JSON can have it."""
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: plain(v) for key, v in value.items()}
        return [[plain(key), plain(value[key])] for key in sorted(value)]
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return [plain(v) for v in sorted(value)]
    if isinstance(value, float):
        return number(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"it is a {type(value).__name__}")


def number(value: float) -> Any:
    """Whole where it is, since Python's == does not tell 5.0 from 5."""
    if not math.isfinite(value):
        raise TypeError(f"it is {value}")
    return int(value) if value == int(value) else value


def restored(value: Any, shape: Any) -> Any:
    """A value from JSON as Python had it."""
    if shape is None or not isinstance(value, list | dict):
        return value
    kind, *inner = shape
    if kind == "record":
        return tuple(restored(v, s) for v, s in zip(value, inner[0]))
    if kind == "dict":
        pairs = value.items() if isinstance(value, dict) else [(restored(k, inner[0]), v) for k, v in value]
        return {k: restored(v, inner[1]) for k, v in pairs}
    parts = [restored(v, inner[0]) for v in value]
    return {"list": list, "tuple": tuple, "set": set}[kind](parts)
