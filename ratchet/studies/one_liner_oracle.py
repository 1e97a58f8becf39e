"""What a one-liner prints, worked out by parsers of ours for the few words that its small model has: no interpreter is asked.

Lua and OCaml differ in more than spelling: calls and application, which numbers can be called, what `%` and `/` do below zero,
errors before or during the run. Both are followed here as far as these words reach.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ratchet.tasks.one_liners import PAIRS, SPELLINGS, WORDS

Tree = tuple[Any, ...]
Value = Any
"""An int, None (Lua's nil), or a function: its name and, in OCaml, the arguments that it has already."""


class Wrong(Exception):
    """The program does not compile, or fails as it runs."""


def printed(language: str, text: str) -> str | None:
    """What a program prints for the pairs; None where it does not end well."""
    words, head = text.split(), SPELLINGS[language].head.split()
    if words[: len(head)] != head:
        return None
    parts: list[list[str]] = []
    place = 0
    while place < len(words):
        if words[place : place + len(head)] == head:
            parts.append([])
            place += len(head)
        else:
            parts[-1].append(words[place])
            place += 1
    read, run = LANGUAGES[language]
    try:
        trees = [read(part) for part in parts]
        values = [run(trees[0], x, y) for x, y in PAIRS]
        for tree in trees[1:]:  # reads nothing, as the first has read all; but it must compile
            checked(run, tree, language)
    except (Wrong, ZeroDivisionError, RecursionError):
        return None
    return "".join(f"{v}\n" for v in values)


def checked(run: Callable[..., Value], tree: Tree, language: str) -> None:
    if language == "ocaml":
        with suppress(ZeroDivisionError):
            run(tree, 1, 1)


class Reader:
    """Words one after the other."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words, self.place = words, 0

    @property
    def next(self) -> str:
        return self.words[self.place] if self.place < len(self.words) else ""

    def take(self, word: str = "") -> str:
        found = self.next
        if not found or (word and found != word):
            raise Wrong(f"{word or 'a word'} is missing")
        self.place += 1
        return found

    def chain(self, part: Callable[[], Tree], signs: Sequence[str]) -> Tree:
        """Parts joined by signs, from the left."""
        tree = part()
        while self.next in signs:
            sign = self.take()
            tree = (sign, tree, part())
        return tree


# ---- Lua ---------------------------------------------------------------------------------------------------------


class Lua(Reader):
    def whole(self) -> Tree:
        if self.words[-1:] != ["end)"]:
            raise Wrong("the end is missing")
        tree = self.list("end)")
        self.take("end)")
        if self.next:
            raise Wrong("something follows")
        return tree

    def list(self, end: str) -> Tree:
        if self.next == end:
            return ("list",)
        found = [self.sum()]
        while self.next == ",":
            self.take()
            found.append(self.sum())
        return ("list", *found)

    def sum(self) -> Tree:
        return self.chain(self.product, ("+", "-"))

    def product(self) -> Tree:
        return self.chain(self.signed, ("*", "//", "%"))

    def signed(self) -> Tree:
        if self.next == "-":
            self.take()
            return ("negative", self.signed())
        return self.called()

    def called(self) -> Tree:
        word = self.take()
        if word.isdigit():
            return ("number", int(word))
        if word == "(":
            tree = self.sum()
            self.take(")")
        elif word in ("x", "y", *LUA_FUNCTIONS, *UNKNOWN):
            tree = ("name", word)
        else:
            raise Wrong(f"{word} begins nothing")
        while self.next == "(":
            self.take()
            arguments = self.list(")")
            self.take(")")
            tree = ("call", tree, arguments)
        return tree


LUA_FUNCTIONS = ("math.max", "math.min")
UNKNOWN = ("max", "min", *WORDS)  # names without a value
SIGNS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip


def wrapped(value: int, bits: int) -> int:
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def whole(value: Value) -> int:
    if not isinstance(value, int):
        raise Wrong("it is no number")
    return value


def lua(tree: Tree, x: int, y: int) -> Value:
    """The value of a tree. Of a list the first, once all have been worked out."""
    kind, *parts = tree
    if kind == "number":
        return parts[0]
    if kind == "name":
        return {"x": x, "y": y, **{f: (f,) for f in LUA_FUNCTIONS}}.get(parts[0])
    if kind == "list":
        return ([lua(p, x, y) for p in parts] or ["nil"])[0]
    if kind == "negative":
        return wrapped(-whole(lua(parts[0], x, y)), 64)
    if kind == "call":
        function = lua(parts[0], x, y)
        arguments = [lua(p, x, y) for p in parts[1][1:]]
        if not isinstance(function, tuple) or not arguments:
            raise Wrong("it cannot be called so")
        return (max if function == ("math.max",) else min)(map(whole, arguments))
    a, b = lua(parts[0], x, y), lua(parts[1], x, y)
    return wrapped(SIGNS[kind](whole(a), whole(b)), 64)


# ---- OCaml -------------------------------------------------------------------------------------------------------


class OCaml(Reader):
    def whole(self) -> Tree:
        tree = self.sum()
        if self.next:
            raise Wrong("something follows")
        return tree

    def sum(self) -> Tree:
        return self.chain(self.product, ("+", "-"))

    def product(self) -> Tree:
        return self.chain(self.signed, ("*", "/", "mod"))

    def signed(self) -> Tree:
        if self.next in ("-", "+"):
            sign = self.take()
            return ("negative" if sign == "-" else "positive", self.signed())
        tree = self.atom()
        while self.next and (self.next.isdigit() or self.next in ("(", "x", "y", *OCAML_FUNCTIONS)):
            tree = ("apply", tree, self.atom())
        return tree

    def atom(self) -> Tree:
        word = self.take()
        if word.isdigit():
            return ("number", int(word))
        if word in ("x", "y", *OCAML_FUNCTIONS):
            return ("name", word)
        if word != "(":
            raise Wrong(f"{word} begins nothing")
        if self.next in OPERATORS and self.words[self.place + 1 : self.place + 2] == [")"]:
            tree: Tree = ("name", self.take())
        else:
            tree = self.sum()
        self.take(")")
        return tree


def quotient(a: int, b: int) -> int:
    """Towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


OCAML_FUNCTIONS = ("max", "min")
OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": quotient, "mod": lambda a, b: a - b * quotient(a, b),
}  # fmt: skip


def ocaml(tree: Tree, x: int, y: int) -> Value:
    found = typed(tree, x, y)
    return whole(found)  # what is printed is a number, or it does not compile


def typed(tree: Tree, x: int, y: int) -> Value:
    kind, *parts = tree
    if kind == "number":
        return parts[0]
    if kind == "name":
        return {"x": x, "y": y}.get(parts[0], (parts[0],))
    if kind in ("negative", "positive"):
        value = whole(typed(parts[0], x, y))
        return wrapped(-value, 63) if kind == "negative" else value
    a, b = typed(parts[0], x, y), typed(parts[1], x, y)
    if kind != "apply":
        return wrapped(OPERATORS[kind](whole(a), whole(b)), 63)
    if not isinstance(a, tuple):
        raise Wrong("a number is applied")
    name, *given = (*a, whole(b))
    if len(given) < 2:
        return (name, *given)
    if name in OPERATORS:
        return wrapped(OPERATORS[name](*given), 63)
    return {"max": max, "min": min}[name](given)


LANGUAGES: dict[str, tuple[Callable[[Sequence[str]], Tree], Callable[[Tree, int, int], Value]]] = {
    "lua": (lambda words: Lua(words).whole(), lua),
    "ocaml": (lambda words: OCaml(words).whole(), ocaml),
}
