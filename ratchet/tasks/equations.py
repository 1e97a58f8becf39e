"""Equations over references: `( n0 + n1 ) * 2`, in one canonical spelling, with exact rational values.

A leaf is a reference to a number of the problem (`n0`, `n1`, ...) or a constant (`2`). Sums and products are flat and
ordered, so that `n1 + n0 - n2` and `( n0 - n2 ) + n1` are one equation: what is to be learned has one spelling.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

LONGEST = 200  # characters of an equation in a data set; also bounds the depth of recursion


class NoEquation(ValueError):
    """The text is not an equation that can be used; the message says why."""


@dataclass(frozen=True)
class Group:
    """A sum (`direct` added, `inverse` subtracted) or a product (`direct` multiplied, `inverse` divided by)."""

    kind: str  # "+" or "*"
    direct: tuple[Node, ...]
    inverse: tuple[Node, ...] = ()


Node = str | Group


def leaves(node: Node) -> Iterator[str]:
    if isinstance(node, str):
        yield node
        return
    for part in (*node.direct, *node.inverse):
        yield from leaves(part)


def rank(node: Node) -> tuple[int, int, str]:
    """The order of parts: by the first reference in it, constants last; then by size and spelling."""
    names = list(leaves(node))
    return min(int(n[1:]) if n.startswith("n") else 10**6 for n in names), len(names), write(node)


def join(kind: str, a: Node, b: Node, inverse: bool = False) -> Group:
    """a + b, a - b (kind "+") or a * b, a / b (kind "*"), flattened and ordered."""
    left = a if isinstance(a, Group) and a.kind == kind else Group(kind, (a,))
    right = b if isinstance(b, Group) and b.kind == kind else Group(kind, (b,))
    up, down = (right.inverse, right.direct) if inverse else (right.direct, right.inverse)
    return Group(kind, tuple(sorted((*left.direct, *up), key=rank)), tuple(sorted((*left.inverse, *down), key=rank)))


def write(node: Node, top: bool = True) -> str:
    """The equation as words divided by blanks. Raises NoEquation where it would start with a minus."""
    if isinstance(node, str):
        return node
    if not node.direct:
        raise NoEquation("it starts with a minus")
    join_with, cut_with = (" + ", " - ") if node.kind == "+" else (" * ", " / ")
    text = join_with.join(write(p, False) for p in node.direct)
    text += "".join(cut_with + write(p, False) for p in node.inverse)
    return text if top or node.kind == "*" else f"( {text} )"


def value(node: Node, numbers: Sequence[Fraction]) -> Fraction:
    """The exact value. Raises ZeroDivisionError."""
    if isinstance(node, str):
        return numbers[int(node[1:])] if node.startswith("n") else Fraction(node)
    total = Fraction(node.kind == "*")
    for part in node.direct:
        total = total + value(part, numbers) if node.kind == "+" else total * value(part, numbers)
    for part in node.inverse:
        total = total - value(part, numbers) if node.kind == "+" else total / value(part, numbers)
    return total


def read(text: str) -> Node:
    """The equation of a text with + - * / and parentheses over references and whole numbers. Raises NoEquation."""
    if len(text) > LONGEST:
        raise NoEquation(f"longer than {LONGEST} characters")
    try:
        return node_of(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise NoEquation(f"{text[:60]!r} is not arithmetic") from None


def node_of(tree: ast.expr) -> Node:
    """A syntax tree as an equation; the tree comes from Python's parser and is never run."""
    if isinstance(tree, ast.Name) and re.fullmatch(r"n[0-9]+", tree.id):
        return tree.id
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return str(tree.value)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
        kind = "+" if isinstance(tree.op, (ast.Add, ast.Sub)) else "*"
        return join(kind, node_of(tree.left), node_of(tree.right), isinstance(tree.op, (ast.Sub, ast.Div)))
    raise NoEquation("it holds more than + - * / and parentheses")


def search(numbers: Sequence[Fraction], target: Fraction, constants: Sequence[str]) -> Node | None:
    """A smallest equation that reaches the target, the first in a fixed order; None where there is none.

    Each number at most once: first up to three numbers, then up to two and one constant, then four numbers.
    """
    own: list[Reached] = [(n, 1 << i, f"n{i}") for i, n in enumerate(numbers)]
    fixed: list[Reached] = [(Fraction(c), 1 << len(numbers), c) for c in constants]
    for start, first, most in ((own, own, 3), (own, own + fixed, 3), (own, own, 4)):
        found = reach(start, first, target, most)
        if found is not None:
            return build(found)
    return None


Draft = str | tuple[str, Any, Any, bool]
"""An equation as `join` makes it, not yet joined: most are thrown away."""
Reached = tuple[Fraction, int, Draft]
"""A value, the set of leaves that it uses (as bits) and how it was reached."""


def build(draft: Draft) -> Node:
    return draft if isinstance(draft, str) else join(draft[0], build(draft[1]), build(draft[2]), draft[3])


def reach(start: list[Reached], further: list[Reached], target: Fraction, most: int) -> Draft | None:
    """Grow equations leaf by leaf, from `start` by leaves of `further`, up to `most` leaves."""
    level = start
    for size in range(1, most + 1):
        hit = next((draft for reached, _, draft in level if reached == target), None)
        if hit is not None or size == most:
            return hit
        level = [grown for part in level for leaf in further if not part[1] & leaf[1] for grown in joined(part, leaf)]
    return None


def joined(a: Reached, b: Reached) -> Iterator[Reached]:
    """The six ways to join two equations, divisions by zero left out."""
    (x, used, p), (y, more, q) = a, b
    both = used | more
    yield x + y, both, ("+", p, q, False)
    yield x - y, both, ("+", p, q, True)
    yield y - x, both, ("+", q, p, True)
    yield x * y, both, ("*", p, q, False)
    if y:
        yield x / y, both, ("*", p, q, True)
    if x:
        yield y / x, both, ("*", q, p, True)
