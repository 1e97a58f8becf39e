"""Taking an answer out of a text."""

from __future__ import annotations

import re

HEADING = r"\s*(?:\d+[.)]\s+|(?:step|part|case|method|conclusion)\b)"
MARK = re.compile(
    rf"(?=[<#a])(?:<answer>|####(?!{HEADING})|" + r"(?<!/)\banswer\b\*{0,2}(?:\s+is\b)?\s*:?\*{0,2})", re.IGNORECASE
)
AROUND = re.compile(r"(\*\*|\$\$?)((?:(?!\1).)+)\1|\\displaystyle\b(.+)", re.DOTALL)
FENCE = re.compile(r"</answer>|<end>|\n", re.IGNORECASE)


def after_mark(text: str) -> str | None:
    """What follows the last "answer", "the answer is", "answer:" or #### to the end of its line, or <answer> to its </answer>;
    None without. #### before a step's title is a heading."""
    last = None
    for last in MARK.finditer(text):
        pass
    if last is None:
        return None
    rest = text[last.end() :].lstrip()
    whole = re.search(r"</answer>", rest, re.IGNORECASE) if last[0].lower() == "<answer>" else None
    rest = rest[: whole.start()] if whole else FENCE.split(rest, maxsplit=1)[0]
    return trim(rest) or None


def trim(text: str) -> str:
    """Without blanks, a closing period, and the marks of bold, italics and inline mathematics around it."""
    while (shorter := text.strip().rstrip(".").strip(" *_$").rstrip(".")) != text:
        text = shorter
    return text


def boxed(text: str) -> str | None:
    r"""The content of the last \boxed{...}, braces balanced; None where there is none or it is not closed."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed{")
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth < 0:
            return bare(text[begin:place]) or None
    return None


def bare(text: str) -> str:
    """Without blanks, \\displaystyle, and the pairs of marks of bold and inline mathematics around it."""
    while (found := AROUND.fullmatch(text.strip())) is not None:
        text = found[2] or found[3]
    return text.strip()


def answer_of(text: str) -> str | None:
    """The last boxed answer, else what follows the last answer mark, else a text that is a single line."""
    found = boxed(text) or after_mark(text)
    if found is None and text.strip() and "\n" not in text.strip():
        return text.strip()
    return found
