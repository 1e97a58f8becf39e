"""Numbers: equal to the gold as exact rationals, or within the task's `tolerance` (relative) where it gives one."""

from __future__ import annotations

import re
from fractions import Fraction

from ratchet.core.types import Task, Verdict
from ratchet.verify.extract import answer_of
from ratchet.verify.verifier import Verifier, abstained, failed, passed, verifiers

NUMBER = re.compile(
    r"([-+]?)\$?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,40})?(\.[0-9]{1,40})?(?:[eE]([-+]?[0-9]{1,2}))?(?:/([0-9]{1,40}))?(%?)",
    re.ASCII,
)
NAME = re.compile(r"^[A-Za-z]\s*=\s*", re.ASCII)
FRACTION = re.compile(r"\\[dt]?frac\{([0-9]{1,40})\}\{([0-9]{1,40})\}", re.ASCII)
WORDING = re.compile(r"\s*\\(?:text|mathrm)\{([A-Za-z ]*)\}$", re.ASCII)
NUMBER_WORDS = """half quarter third one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty
sixty seventy eighty ninety dozen hundred thousand million billion trillion"""
NOT_UNITS = frozenset(f"or and to plus minus times over versus vs point not maybe {NUMBER_WORDS}".split())
LONGEST_UNIT = 4  # words


def number(text: str) -> Fraction | None:
    """The one number that the text is: 1,234.5, -3/4, \\frac{3}{4}, 12%, $5, x = 5 or 7.; None for anything else.

    A unit behind it is allowed ("5 apples"), a second number is not: an answer that hedges is no answer.
    """
    text = FRACTION.sub(r"\1/\2", NAME.sub("", text.strip().replace("−", "-"))).rstrip(".")
    text = WORDING.sub(r" \1", text).strip()
    head, _, unit = text.partition(" ")
    if unit and not is_unit(unit):
        return None
    match = NUMBER.fullmatch(head)
    if match is None or not (match[2] or match[3]) or (match[5] and (match[3] or match[4] or int(match[5]) == 0)):
        return None
    value = Fraction((match[2] or "0").replace(",", "") + (match[3] or "")) * Fraction(10) ** int(match[4] or 0)
    value = value / int(match[5]) if match[5] else value
    value = value / 100 if match[6] else value
    return -value if match[1] == "-" else value


def is_unit(text: str) -> bool:
    """A few words without digits, none of which could change the number."""
    words = text.lower().split()
    return (
        len(words) <= LONGEST_UNIT
        and words[0][0].isalpha()
        and not re.search(r"[0-9]", text)
        and not NOT_UNITS & set(re.findall(r"[a-z]+", text.lower()))
    )


def judge(task: Task, answer: str) -> Verdict:
    gold = number(str(task.answer))
    if gold is None:
        return abstained(f"the gold answer {str(task.answer)[:60]!r} is not a number")
    value = number(answer)
    if value is None:
        return failed(f"{answer[:60]!r} is not one number")
    slack = abs(gold) * Fraction(str(task.facts.get("tolerance", 0)))
    if abs(value - gold) <= slack:
        return passed(f"equals {task.answer}")
    return failed(f"is {answer[:60]}, not {task.answer}")


verifiers.put("numeric", Verifier(answer_of, judge), summary=__doc__)
