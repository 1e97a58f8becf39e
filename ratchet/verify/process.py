"""Step by step: scores of the steps of a solution, what they say of the whole, and the first step that is wrong.

A scorer gives one number in [0, 1] per step, whatever makes it: `arithmetic` here works without a model, a value or token head of
a model fits the same type. Lightman et al. 2023 (arXiv 2305.20050) take the product or the minimum for the whole; which one is
better depends on what the scores mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from ratchet.core.errors import VerifierError, nearest
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.formula import NotAFormula, exact, read
from ratchet.verify.verifier import abstained

Scorer = Callable[[Task, Sequence[str]], Sequence[float]]
"""`(task, steps) -> scores`: one number in [0, 1] per step."""


def mean_of(scores: Sequence[float]) -> float:
    return math.fsum(scores) / len(scores)


def last_of(scores: Sequence[float]) -> float:
    return scores[-1]


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "product": math.prod,
    "last": last_of,
    "mean": mean_of,
}

STEP = re.compile(r"^\s*(?:#+\s*)?(?:\*\*)?step\s+\d+\b", re.IGNORECASE)
BLANK = re.compile(r"\n\s*\n")


def steps_of(text: str) -> list[str]:
    """The steps of a text: where it numbers them, each from "Step n" to the next; else its paragraphs; of only one, its lines."""
    lines = text.strip().splitlines()
    starts = [i for i, line in enumerate(lines) if STEP.match(line)]
    if len(starts) > 1:
        bounds = [0, *starts[1:], len(lines)]  # what stands before the first number belongs to it
        parts = ["\n".join(lines[a:b]) for a, b in pairwise(bounds)]
    else:
        parts = BLANK.split(text.strip())
        parts = lines if len(parts) == 1 else parts
    return [part.strip() for part in parts if part.strip()]


def aggregate(scores: Sequence[float], how: str) -> float:
    """One number for a solution. VerifierError for no steps, a number outside [0, 1] or an unknown aggregate."""
    if how not in AGGREGATES:
        raise VerifierError(f'no aggregate of step scores named "{how}"; {nearest(how, AGGREGATES)}')
    if not scores or not all(0 <= s <= 1 for s in scores):
        raise VerifierError(f"step scores are at least one number, each between 0 and 1, got {list(scores)[:5]}")
    return AGGREGATES[how](scores)


def first_error(scores: Sequence[float], threshold: float = 0.5) -> int | None:
    """The place of the first step with a score below the threshold, from 0; None where there is none."""
    return next((i for i, s in enumerate(scores) if s < threshold), None)


@dataclass(frozen=True)
class ProcessVerifier:
    """`verify(task, text)`: PASS where the aggregate of the step scores is at least `threshold`; a scorer that raises abstains."""

    scorer: Scorer
    how: str = "min"
    threshold: float = 0.5
    cut: Callable[[str], list[str]] = steps_of

    def __call__(self, task: Task, text: str) -> Verdict:
        steps = self.cut(text)
        if not steps:
            return Verdict(Outcome.FAIL, "the text has no steps")
        try:
            scores = list(self.scorer(task, steps))
            if len(scores) != len(steps):
                return abstained(f"the scorer gave {len(scores)} scores for {len(steps)} steps")
            score = aggregate(scores, self.how)
        except Exception as e:  # a scorer's own bug or its model's absence is no failed answer
            return abstained(f"the scorer raised {type(e).__name__}: {str(e)[:150]}")
        wrong = first_error(scores, self.threshold)
        told = "" if wrong is None else f"; step {wrong + 1} of {len(steps)} is the first below it, {scores[wrong]:.2f}"
        outcome = Outcome.PASS if score >= self.threshold else Outcome.FAIL
        return Verdict(
            outcome, f"{self.how} of {len(steps)} step scores {score:.2f}, {self.threshold:g} is enough{told}", score=score
        )


# ---- without a model: what a step works out ------------------------------------------------------------------------


def arithmetic(task: Task, steps: Sequence[str]) -> list[float]:
    """1 where every equality of numbers in a step holds, or there is none that can be read; 0 where one does not."""
    return [0.0 if broken(step) else 1.0 for step in steps]


steps_hold = ProcessVerifier(arithmetic)
"""As a member of an ensemble: `agreement:math,ratchet.verify.process:steps_hold`. On its own it passes what it cannot read."""

LONGEST = 20_000  # characters of a step that are read
NEAR = 30  # characters beside a chain of equalities that say whether it is whole

SIGNS = (
    (re.compile(r"\\(?:times|cdot|ast)(?![a-zA-Z])|[×·∗]"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])|÷"), "/"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\left(?![a-zA-Z])|\\right(?![a-zA-Z])|\\[!,;:]|\\?\$|&"), ""),
    (re.compile(r"\\[()\[\]]|<<|>>"), " ; "),
    (re.compile(r"\*\*"), ""),
    (re.compile(r"(?<=\d)\s*[xX]\s*(?=\d)"), " * "),
    (re.compile(r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}"), r"((\1)/(\2))"),
    (re.compile(r"\b(\d+)\s+(\d+/\d+)\b"), r"(\1+\2)"),
    (re.compile(r"\^(\d\d+)"), r"^(\1)"),
)
RUN = re.compile(
    r"[\d.,()+*/^%= \t-]+"
)  # whole, and then looked into: a pattern with the sign of equality in it is slow on long ones
OPERATOR = re.compile(r"(?<=[\d)%])\s*[-+*/^]")
BREAK = re.compile(r"[.,]\s")
BEFORE = re.compile(
    r"(?:[a-zA-Z]|[)}\]|_^\\]\s*|\b(?:of|times|plus|minus|by|over)\s+)$", re.IGNORECASE
)  # the first side goes on to the left
AFTER = re.compile(
    r"[a-zA-Z\\{(_!]|\s*(?:r|remainder|mod|times|plus|minus|or|to)\b", re.IGNORECASE
)  # and the last one to the right
LONE = re.compile(r"-?\d[\d,]*(?:\.(\d+))?%?")
BESIDE = re.compile(r"[\d)%]\s+[\d(]|\)\d")


def broken(step: str) -> str:
    """The first equality in a step that does not hold, as it is written; empty without one."""
    text = step[:LONGEST]
    for pattern, sign in SIGNS:
        text = pattern.sub(sign, text)
    for run in RUN.finditer(text):
        sides = sides_of(text, run) if "=" in run[0] else []
        for a, b in pairwise(sides):
            if a and b and differ(a, b):
                return f"{a} = {b}"
    return ""


def sides_of(text: str, run: re.Match[str]) -> list[str]:
    """The sides of a chain of equalities; empty ones where a side is not whole, or says nothing that was worked out."""
    sides = [side.strip() for side in run[0].split("=")]
    blanks = len(run[0]) - len(run[0].lstrip()), len(run[0]) - len(run[0].rstrip())
    start, end = run.start() + blanks[0], run.end() - blanks[1]
    before, after = text[max(0, start - NEAR) : start], text[end : end + NEAR]
    first = evened(BREAK.split(sides[0])[-1].rstrip(" .,"), "(")
    last = evened(BREAK.split(sides[-1] + " ")[0].rstrip(" .,"), ")")
    whole = BREAK.search(sides[0]) is not None or not BEFORE.search(before)
    ends = BREAK.search(sides[-1] + " ") is not None or not AFTER.match(after)
    sides[0] = first if whole and OPERATOR.search(first) and first[:1] not in "+*/^)" and not open_sign(first, before) else ""
    sides[-1] = last if ends else ""
    return ["" if evened(side, "(") != side or evened(side, ")") != side else side for side in sides]


def open_sign(side: str, before: str) -> bool:
    """Whether a minus at the beginning may belong to a word before it: x - 2 * 3."""
    return side.startswith("-") and bool(re.search(r"[a-zA-Z]\s*$", before))


def evened(side: str, outer: str) -> str:
    """Without the brackets at one end whose partners stand outside of the chain."""
    while outer == "(" and side.count("(") > side.count(")") and side.startswith("("):
        side = side[1:].strip()
    while outer == ")" and side.count(")") > side.count("(") and side.endswith(")"):
        side = side[:-1].strip()
    return side


def differ(a: str, b: str) -> bool:
    """Whether two sides are numbers, and not the same one up to the digits that are written."""
    x, y = valued(a), valued(b)
    if x is None or y is None:
        return False
    hundreds = (1, 100, Fraction(1, 100)) if ("%" in a) != ("%" in b) else (1,)  # 0.25 * 100 = 25% is meant well
    return not any(abs(x * f - y) <= max(last_digit(a) * f, last_digit(b)) for f in hundreds)


def valued(side: str) -> Fraction | None:
    if BESIDE.search(side):
        return None  # numbers side by side are a list or a slip of the reader, and no product
    try:
        return exact(read(side))
    except NotAFormula:
        return None


def last_digit(side: str) -> Fraction:
    """What the last digit of a lone decimal number stands for, as it may be rounded or cut; 0 for all else."""
    lone = LONE.fullmatch(side)
    places = len(lone[1]) if lone and lone[1] else None
    return Fraction(0) if places is None else Fraction(1, 10**places) / (100 if side.endswith("%") else 1)
