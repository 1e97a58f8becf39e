r"""Mathematical answers: the last boxed or stated answer, compared with the gold answer by what it means.

Numbers in any writing, formulas, equations, inequalities, intervals, sets, tuples, matrices, ratios, choices, words. Where that
cannot tell, math-verify is asked, if it is installed; where that cannot either, the verdict is ABSTAIN, never a guess.
"""

from __future__ import annotations

import re

from ratchet.core.types import Task, Verdict
from ratchet.verify import math_verify
from ratchet.verify.answers import same
from ratchet.verify.extract import after_mark, boxed
from ratchet.verify.verifier import Verifier, abstained, failed, passed, verifiers

SHOWN = re.compile(
    r"\\\((.+?)\\\)|\\\[(.+?)\\\]|(?<!\\)\$\$?(?!\d[^$\\=]*[a-z]{2,}\s[^$]*\$)([^$]+)\$\$?|\*\*([^*]+)\*\*",  # money is no formula
    re.DOTALL,
)
NUMBER = re.compile(r"-?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?%?", re.ASCII)
CONCLUDES = re.compile(
    r"\b(?:so|thus|therefore|hence|finally|answer|result|solution|we (?:get|have|find|obtain)|is|are|equals?)\b|=", re.IGNORECASE
)
ASKS = re.compile(
    r"\?\s*$|(?:^|[.?!,:;]\s+)(?:find|compute|determine|calculate|what|evaluate|express|how|simplify|solve|write|give|show)\b",
    re.MULTILINE | re.IGNORECASE,
)
TAIL = 600  # characters at the end of a text in which an answer that is not marked is looked for


def extract(text: str) -> str | None:
    """The last boxed answer, else what follows the last mark, else the last formula or number at the end of the text."""
    return boxed(text) or after_mark_here(text) or last_shown(text)


def after_mark_here(text: str) -> str | None:
    """What follows the last mark in its line, unless that only announces it: "the answer in feet is:"."""
    found = after_mark(text)
    return None if found is None or found.endswith(":") or found in ("\\[", "$$") else found


def last_shown(text: str) -> str | None:
    """Of the last paragraph with a formula or number in it that concludes: its last formula; without one its last number.

    A question does not conclude, and a bare number in other text is no answer: a task told again must not be paid for.
    """
    for part in reversed(re.split(r"\n\s*\n", text.strip()[-TAIL:])):
        if ASKS.search(part) or not CONCLUDES.search(part):
            continue
        shown = [next(x for x in m.groups() if x) for m in SHOWN.finditer(part)]
        if shown:
            return shown[-1].strip() or None
        numbers = NUMBER.findall(part)
        if numbers:
            return numbers[-1]
    return None


def judge(task: Task, answer: str) -> Verdict:
    golds = task.answer if isinstance(task.answer, (list, tuple)) else [task.answer]
    found = [same(str(gold), answer, task.prompt) for gold in golds]
    if any(found):
        return passed("the same as the gold answer")
    if None not in found:
        return failed(f"{answer[:60]!r} is not {str(golds[0])[:60]!r}")
    # that math-verify does not find two texts the same is no sign that they differ: it may have read a part of one
    if any(own is None and math_verify.second_opinion(str(gold), answer) for gold, own in zip(golds, found, strict=True)):
        return passed("the same as the gold answer for math-verify")
    return abstained(f"{answer[:60]!r} cannot be compared with {str(golds[0])[:60]!r}")


def load() -> None:
    if math_verify.installed():
        math_verify.load()


verifiers.put("math", Verifier(extract, judge, load), summary=__doc__)
