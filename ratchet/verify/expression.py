"""Arithmetic expressions over exact rationals, read by a parser of our own: nothing is ever evaluated as code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 400  # characters
DEEPEST = 50  # brackets and signs within each other
TOKEN = re.compile(r"\s*(?:([0-9]{1,12}(?:\.[0-9]{1,12})?)|([-+*/()×÷·−]))", re.ASCII)
SAME = {"×": "*", "·": "*", "÷": "/", "−": "-"}


class NotAnExpression(ValueError):
    """The text is not one arithmetic expression; the message says why."""


@dataclass(frozen=True)
class Parsed:
    """The value of an expression and the numbers written in it, in their order."""

    value: Fraction
    numbers: tuple[Fraction, ...]


def parse(text: str) -> Parsed:
    """Parse `text` by the grammar

        sum = product (("+" | "-") product)*     product = signed (("*" | "/") signed)*
        signed = "-" signed | number | "(" sum ")"

    Raises NotAnExpression, a division by zero included. No powers: `9**9**9` is a syntax error, not work.
    """
    if len(text) > LONGEST:
        raise NotAnExpression(f"longer than {LONGEST} characters")
    tokens = tokenize(text)
    numbers: list[Fraction] = []
    place = depth = 0

    def take(allowed: str) -> str | None:
        nonlocal place
        if place < len(tokens) and tokens[place] in allowed:
            place += 1
            return tokens[place - 1]
        return None

    def total() -> Fraction:
        value = product()
        while operation := take("+-"):
            other = product()
            value = value + other if operation == "+" else value - other
        return value

    def product() -> Fraction:
        value = signed()
        while operation := take("*/"):
            other = signed()
            if operation == "/" and other == 0:
                raise NotAnExpression("division by zero")
            value = value * other if operation == "*" else value / other
        return value

    def signed() -> Fraction:
        nonlocal place, depth
        depth += 1
        if depth > DEEPEST:
            raise NotAnExpression(f"nested more than {DEEPEST} deep")
        value = unsigned()
        depth -= 1
        return value

    def unsigned() -> Fraction:
        nonlocal place
        if take("-"):
            return -signed()
        if take("("):
            value = total()
            if not take(")"):
                raise NotAnExpression('a ")" is missing')
            return value
        if place < len(tokens) and tokens[place][0].isdigit():
            place += 1
            numbers.append(Fraction(tokens[place - 1]))
            return numbers[-1]
        raise NotAnExpression(f"a number is missing before {tokens[place]!r}" if place < len(tokens) else "it ends too early")

    value = total()
    if place < len(tokens):
        raise NotAnExpression(f"something follows the expression: {tokens[place]!r}")
    return Parsed(value, tuple(numbers))


def tokenize(text: str) -> list[str]:
    tokens: list[str] = []
    place = 0
    text = text.strip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise NotAnExpression(f"{text[place : place + 8].strip()!r} is not arithmetic")
        number, sign = match.groups()
        tokens.append(number or SAME.get(sign, sign))
        place = match.end()
    return tokens
