"""Countdown answers: an expression over exactly (or at most) the given numbers that equals the target."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from ratchet.core.types import Task, Verdict
from ratchet.verify.expression import NotAnExpression, parse
from ratchet.verify.extract import after_mark, boxed
from ratchet.verify.verifier import Verifier, failed, passed, verifiers


def extract(text: str) -> str | None:
    """The last boxed or marked answer: a bare line is not one, since a trace is full of expressions."""
    return boxed(text) or after_mark(text)


def judge(task: Task, answer: str) -> Verdict:
    try:
        parsed = parse(answer)
    except NotAnExpression as e:
        return failed(f"not an expression: {e}")
    given, used = Counter(Fraction(n) for n in task.facts["numbers"]), Counter(parsed.numbers)
    if used - given:
        return failed(f"uses {next(iter(used - given))} more often than it is given")
    if task.facts["rule"] == "exactly" and used != given:
        return failed(f"leaves out {next(iter(given - used))}")
    if parsed.value != Fraction(task.answer):
        return failed(f"is {parsed.value}, not {task.answer}")
    return passed(f"is {task.answer}")


verifiers.put("countdown", Verifier(extract, judge), summary=__doc__)
