"""Equations over references: an expression over n0, n1, ... and the task's constants whose value is the gold answer.

The numbers that the references stand for are put in and the whole is read by our own parser, over exact rationals. At
least one reference must be used: a bare number is a guess, since no number was shown. A task whose gold answer is a
rounded decimal has a `tolerance` among its facts; without one the value must be equal.
"""

from __future__ import annotations

import re
from fractions import Fraction

from ratchet.core.types import Task, Verdict
from ratchet.verify.countdown import extract
from ratchet.verify.expression import NotAnExpression, parse
from ratchet.verify.verifier import Verifier, failed, passed, verifiers

REFERENCE = re.compile(r"\bn([0-9]{1,3})\b", re.ASCII)
LITERAL = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


def judge(task: Task, answer: str) -> Verdict:
    numbers = task.facts["numbers"]
    used = [int(n) for n in REFERENCE.findall(answer)]
    if not used:
        return failed("no reference to a number of the problem is used")
    if max(used) >= len(numbers):
        return failed(f"n{max(used)} does not exist; the problem has {len(numbers)} numbers, from n0")
    literals = set(LITERAL.findall(REFERENCE.sub(" ", answer)))
    if literals - set(task.facts["constants"]):
        return failed(f"{min(literals - set(task.facts['constants']))} is not among the constants that are allowed")
    try:
        value = parse(REFERENCE.sub(lambda m: f"( {numbers[int(m[1])]} )", answer)).value
    except NotAnExpression as e:
        return failed(f"not an equation over references: {e}")
    if abs(value - Fraction(task.answer)) > Fraction(task.facts.get("tolerance", 0)):
        return failed(f"is {value}, not {task.answer}")
    return passed(f"is {task.answer}")


verifiers.put("equation", Verifier(extract, judge), summary=__doc__)
