"""Taking an answer out of a text."""

from __future__ import annotations

import re

MARK = re.compile(r"<answer>|####|(?<!/)\banswer\b\*{0,2}(?:\s+is\b)?\s*:?\*{0,2}", re.IGNORECASE)
FENCE = re.compile(r"</answer>|<end>|\n", re.IGNORECASE)


def after_mark(text: str) -> str | None:
    """What follows the last "answer", "the answer is", "answer:", #### or <answer>, to the end of its line; None without."""
    last = None
    for last in MARK.finditer(text):
        pass
    if last is None:
        return None
    rest = FENCE.split(text[last.end() :].lstrip(), maxsplit=1)[0]
    return trim(rest) or None


def trim(text: str) -> str:
    """Without blanks, a closing period, and the marks of bold, italics and inline mathematics around it."""
    return text.strip().rstrip(".").strip(" *_$").rstrip(".")


def boxed(text: str) -> str | None:
    r"""The content of the last \boxed{...}, braces balanced; None where there is none or it is not closed."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed{")
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth < 0:
            return text[begin:place].strip() or None
    return None


def answer_of(text: str) -> str | None:
    """The last boxed answer, else what follows the last answer mark, else a text that is a single line."""
    found = boxed(text) or after_mark(text)
    if found is None and text.strip() and "\n" not in text.strip():
        return text.strip()
    return found
