r"""Formulas as people and models write them, in LaTeX or plain, read into trees and compared by value.

Nothing is evaluated as code: a parser of our own makes a tree, and a tree of known operations is worked out, exactly over
rationals where it can be, else in floating point. Two formulas with symbols are taken as equal where they agree at several
points (an identity of the size that answers have does not hold by chance at all of them).

A tree is a Fraction, a symbol (str), or a tuple of an operation's name and its arguments.
"""

from __future__ import annotations

import cmath
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from random import Random
from typing import Any

Tree = Any  # Fraction | str | tuple[str, ...]: recursive

LONGEST = 1_000  # characters
DEEPEST = 40
LARGEST = 4_096  # bits of a rational
POINTS = 4  # at which formulas with symbols are compared
NEAR = 1e-9


class NotAFormula(ValueError):
    """The text is not one formula; the message says why."""


TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+\.(?=\s*\\overline)|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3}(?![\d.]))?)|(?P<command>\\[a-zA-Z]+|\\.)|(?P<word>[a-zA-Z]+)|(?P<sign>.))",
    re.ASCII | re.DOTALL,
)
FUNCTIONS: Mapping[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "cot": lambda x: 1 / cmath.tan(x), "sec": lambda x: 1 / cmath.cos(x),
    "csc": lambda x: 1 / cmath.sin(x), "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan, "asin": cmath.asin,
    "acos": cmath.acos, "atan": cmath.atan, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh, "ln": cmath.log,
    "log": cmath.log10, "lg": cmath.log10, "exp": cmath.exp, "sqrt": cmath.sqrt, "abs": abs, "Re": lambda x: x.real,
    "Im": lambda x: x.imag,
}  # fmt: skip
CONSTANTS: Mapping[str, complex] = {"pi": math.pi, "e": math.e, "i": 1j, "infty": math.inf}
GREEK_NAMES = """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon phi
    varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell"""
GREEK = frozenset(GREEK_NAMES.split())
DIGITS = "0123456789"  # and no others: a look-alike is another answer
FRACTIONS = frozenset({"frac", "dfrac", "tfrac", "cfrac"})
NAMES = {"inf": "infty", "infinity": "infty", "oo": "infty", "Pi": "pi"}
WORDS = frozenset(FUNCTIONS) | {"pi", "infty", *NAMES} | GREEK
CLOSING = {"(": ")", "[": "]", "{": "}"}


def read(text: str) -> Tree:
    """The tree of one formula. Raises NotAFormula."""
    if len(text) > LONGEST:
        raise NotAFormula(f"longer than {LONGEST} characters")
    return Reader(list(tokens(text))).whole()


def tokens(text: str) -> Iterator[str]:
    """Numbers, names (a command without its backslash, a letter) and signs. A word that is no name is its letters."""
    for match in TOKEN.finditer(text.strip()):
        kind, token = match.lastgroup, match[match.lastgroup or 0]
        if kind == "number":
            yield token.replace(",", "")
        elif kind == "command":
            yield token[1:] if token[1:].isalpha() else token
        elif kind == "word" and token not in WORDS:
            yield from letters(token)
        elif token.strip():
            yield token


def letters(word: str) -> Iterator[str]:
    """A function's name may stand at the end of a product: xsin is x and sin."""
    for name in ("sqrt", "sin", "cos", "tan", "ln", "log", "exp", "pi"):
        if word.endswith(name):
            yield from [*word[: -len(name)], name]
            return
    if len(word) > 3:
        raise NotAFormula(f"{word[:20]!r} is a word")
    yield from word


class Reader:
    """Recursive descent: sum > product > power > atom. A product may lack its sign, as in 2 x."""

    def __init__(self, parts: list[str]) -> None:
        self.parts, self.place, self.depth = parts, 0, 0

    def peek(self) -> str:
        return self.parts[self.place] if self.place < len(self.parts) else ""

    def take(self, *wanted: str) -> str:
        if self.peek() and self.peek() in wanted:
            self.place += 1
            return self.parts[self.place - 1]
        return ""

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise NotAFormula(f"{wanted!r} is missing before {self.peek()!r}")

    def whole(self) -> Tree:
        tree = self.sum()
        if self.peek():
            raise NotAFormula(f"{self.peek()!r} follows the formula")
        return tree

    def sum(self) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotAFormula(f"nested more than {DEEPEST} deep")
        tree = self.product()
        while sign := self.take("+", "-", "pm", "mp"):
            other = self.product()
            tree = (sign, tree, other)
        self.depth -= 1
        return tree

    def product(self) -> Tree:
        tree = self.signed()
        while True:
            if sign := self.take("*", "/", "cdot", "times", "div"):
                other = self.signed()
                tree = ("/" if sign in ("/", "div") else "*", tree, other)
            elif self.begins():
                tree = self.beside(tree, self.power())
            else:
                return tree

    def beside(self, left: Tree, right: Tree) -> Tree:
        """A whole number before a fraction of whole numbers is a mixed number."""
        mixed = isinstance(right, tuple) and right[0] == "frac" and all(isinstance(x, Fraction) for x in right[1:])
        if mixed and isinstance(left, Fraction) and left.denominator == 1:
            return ("+", left, right)
        return ("*", left, right)

    def begins(self) -> bool:
        t = self.peek()
        return bool(t) and (t[0].isalnum() or t in ("(", "[", "{", "\\{", ".") or t[0] == ".") and t not in ("pm", "mp", "div")

    def signed(self) -> Tree:
        if sign := self.take("+", "-", "pm", "mp"):
            self.depth += 1
            if self.depth > DEEPEST:
                raise NotAFormula(f"nested more than {DEEPEST} deep")
            inner = self.signed()
            self.depth -= 1
            return inner if sign == "+" else ("neg", inner) if sign == "-" else (sign, Fraction(0), inner)
        return self.power()

    def power(self) -> Tree:
        base = self.atom()
        while True:
            if self.take("!"):
                base = ("!", base)
            elif self.take("%", "\\%"):
                base = ("/", base, Fraction(100))
            elif self.take("^"):
                base = ("^", base, self.exponent())
            elif self.take("'", "prime"):
                base = ("prime", base)
            else:
                return base

    def exponent(self) -> Tree:
        """In braces, or a whole number: LaTeX would take one digit of x^23, but nobody who writes 2^10 means 2^1 times 0."""
        if self.take("-"):
            return ("neg", self.exponent())
        tree = self.atom() if self.peek().isdigit() else self.group()
        return ("^", tree, self.exponent()) if self.take("^") else tree

    def digit(self) -> Tree | None:
        r"""LaTeX takes one character where there are no braces: \frac12 is a half, \sqrt23 the root of two times 3."""
        t = self.peek()
        if t.isdigit() and t.isascii() and len(t) > 1:
            self.parts[self.place] = t[1:]
            return Fraction(int(t[0]))
        return None

    def group(self) -> Tree:
        """An argument: in braces, or one character."""
        if self.take("{"):
            tree = self.sum()
            self.need("}")
            return tree
        digit = self.digit()
        return self.atom() if digit is None else digit

    def atom(self) -> Tree:
        t = self.peek()
        if not t:
            raise NotAFormula("it ends too early")
        self.place += 1
        if t[0] in DIGITS or (t[0] == "." and len(t) > 1):
            return self.number(t)
        if t in CLOSING:
            tree = self.sum()
            self.need(CLOSING[t])
            return tree
        if t in ("|", "vert", "lvert"):
            tree = self.sum()
            if not self.take("|", "vert", "rvert"):
                raise NotAFormula("a bar is missing")
            return ("abs", tree)
        if t in FRACTIONS:
            return ("frac", self.group(), self.group())
        if t in ("binom", "dbinom", "tbinom"):
            return ("binom", self.group(), self.group())
        if t == "sqrt":
            return self.root()
        if t in FUNCTIONS:
            return self.function(t)
        if t == "overline":
            return ("bar", self.group())
        if t in ("mathbf", "mathbb", "mathcal", "boldsymbol"):
            return self.subscripted(str(self.group()))
        if t in ("vec", "hat", "bar", "tilde", "dot"):
            return self.subscripted(f"{t} {self.group()}")
        t = NAMES.get(t, t)
        if t in CONSTANTS or t in GREEK or (len(t) == 1 and t.isalpha() and t.isascii()):
            return self.subscripted(t)
        raise NotAFormula(f"{t!r} is not mathematics that is read here")

    def number(self, t: str) -> Tree:
        if len(t) > 60:
            raise NotAFormula("a number of more than 60 digits")
        value = Fraction(t)
        if self.peek() == "overline":  # 0.1\overline{6}
            self.place += 1
            self.need("{")
            again = self.peek()
            self.place += 1
            self.need("}")
            if not again.isdigit() or len(again) > 30:
                raise NotAFormula("a repeating part is digits")
            places = len(t.partition(".")[2])
            return value + Fraction(int(again), (10 ** len(again) - 1) * 10**places)
        if self.take("_"):
            base = self.group()
            if not isinstance(base, Fraction) or not 2 <= base <= 36 or "." in t:
                raise NotAFormula("a base is a number from 2 to 36")
            try:
                return Fraction(int(t, int(base)))
            except ValueError:
                raise NotAFormula(f"{t} has digits that base {base} lacks") from None
        return value

    def subscripted(self, name: str) -> Tree:
        if self.take("_"):
            return f"{name}_{self.group()}"
        return name

    def root(self) -> Tree:
        if self.take("["):
            degree = self.sum()
            self.need("]")
            return ("^", self.group(), ("/", Fraction(1), degree))
        return ("sqrt", self.group())

    def function(self, name: str) -> Tree:
        base = self.group() if name == "log" and self.take("_") else None
        power = self.exponent() if self.take("^") else None
        argument = self.argument()
        tree: Tree = ("logb", base, argument) if base is not None else (name, argument)
        if power is None:
            return tree
        if power == ("neg", Fraction(1)) and name in ("sin", "cos", "tan"):
            return (f"arc{name}", argument)
        return ("^", tree, power)

    def argument(self) -> Tree:
        """In brackets, or the product that follows, up to a sign or another function: sin 2 x."""
        if self.peek() in ("(", "[", "{"):
            return self.power()
        if self.take("-"):
            return ("neg", self.argument())
        tree = self.power()
        while self.begins() and self.peek() not in FUNCTIONS and self.peek() not in ("(", "["):
            tree = ("*", tree, self.power())
        return tree


# ---- values ------------------------------------------------------------------------------------------------------


def symbols(tree: Tree) -> set[str]:
    """The names that stand for something unknown."""
    if isinstance(tree, str):
        return set() if tree in CONSTANTS else {tree}
    return set().union(*map(symbols, tree[1:])) if isinstance(tree, tuple) else set()


def exact(tree: Tree) -> Fraction | None:
    """The value as a rational, where the operations keep it one and it stays small."""
    if isinstance(tree, Fraction):
        return tree
    if not isinstance(tree, tuple) or tree[0] not in EXACT:
        return None
    x = [exact(part) for part in tree[1:]]
    if any(v is None or max(v.numerator.bit_length(), v.denominator.bit_length()) > LARGEST for v in x):
        return None
    return EXACT[tree[0]](*x)


def quotient(a: Fraction, b: Fraction) -> Fraction | None:
    return a / b if b else None


def power(a: Fraction, b: Fraction) -> Fraction | None:
    small = b.denominator == 1 and abs(b) * max(a.numerator.bit_length(), a.denominator.bit_length()) <= LARGEST
    return a ** int(b) if small and (a or b > 0) else None


def factorial(a: Fraction) -> Fraction | None:
    return Fraction(math.factorial(int(a))) if a.denominator == 1 and 0 <= a <= 300 else None


def choose(a: Fraction, b: Fraction) -> Fraction | None:
    whole = a.denominator == 1 and b.denominator == 1
    return Fraction(math.comb(int(a), int(b))) if whole and 0 <= b <= a <= 1_000 else None


EXACT: Mapping[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": quotient, "frac": quotient, "neg": Fraction.__neg__, "abs": abs,
    "^": power, "!": factorial, "binom": choose,
}  # fmt: skip


def binomial(n: complex, k: complex) -> complex:
    return math.gamma(n.real + 1) / math.gamma(k.real + 1) / math.gamma(n.real - k.real + 1)


def gamma_factorial(x: complex) -> complex:
    return math.gamma(x.real + 1)


def log_to_base(base: complex, x: complex) -> complex:
    return cmath.log(x) / cmath.log(base)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **FUNCTIONS, "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "frac": operator.truediv,
    "neg": complex.__neg__, "^": operator.pow, "!": gamma_factorial, "binom": binomial,
    "logb": log_to_base, "bar": complex.conjugate,
}  # fmt: skip


def value(tree: Tree, at: Mapping[str, float]) -> complex:
    """The value with symbols put in. ArithmeticError, ValueError or KeyError where there is none."""
    if isinstance(tree, Fraction):
        return complex(float(tree))
    if isinstance(tree, str):
        return complex(CONSTANTS[tree] if tree in CONSTANTS else at[tree])
    return complex(OPERATIONS[tree[0]](*(value(part, at) for part in tree[1:])))


def points(names: set[str]) -> Iterator[dict[str, float]]:
    """Where formulas are compared: positive numbers, the same for a name in every formula."""
    for i in range(POINTS):
        yield {name: Random(f"{name} {i}").uniform(0.3, 2.3) for name in names}


def values(tree: Tree, names: set[str]) -> list[complex | None]:
    """The values at the points; None where there is none."""
    found: list[complex | None] = []
    for at in points(names):
        try:
            v = value(tree, at)
        except (ArithmeticError, ValueError, KeyError, TypeError):
            v = None
        found.append(v if v is not None and v == v else None)
    return found


def near(a: complex, b: complex, slack: float = NEAR) -> bool:
    if cmath.isinf(a) or cmath.isinf(b):
        return a == b
    return abs(a - b) <= slack * max(abs(a), abs(b), 1e-6)


def beyond(tree: Tree) -> bool:
    """Whether it is a power too large for a floating-point number, as a tower of powers is: no number that has a value equals it."""
    try:
        return isinstance(tree, tuple) and tree[0] == "^" and cmath.isinf(value(tree, {}))
    except OverflowError:
        return True
    except (ArithmeticError, ValueError, KeyError, TypeError):
        return False


def equal(a: Tree, b: Tree) -> bool | None:
    """Whether two formulas have the same value wherever both have one; None where that cannot be told."""
    if a == b:
        return True
    p, q = exact(a), exact(b)
    if p is not None and q is not None:
        return p == q
    names = symbols(a) | symbols(b)
    if not names and beyond(a) != beyond(b):
        return False
    pairs = [(x, y) for x, y in zip(values(a, names), values(b, names), strict=True) if x is not None and y is not None]
    if not pairs or (names and len(pairs) < 2):
        return None
    return all(near(x, y) for x, y in pairs)
