"""Answers: taken out of a solution, written plainly, and dropped where the verifier of mathematics cannot check them.

An answer can be checked where it passes against itself and a wrong one fails against it: a verifier that abstains on whatever is
wrong has not understood the answer. What is only words can be compared as words, but a sentence can be said in many ways.
"""

from __future__ import annotations

import re

from ratchet.core.types import Outcome, Task
from ratchet.data.filters import Drop, Filter, Row, filters
from ratchet.tasks.runs import words_of
from ratchet.verify.answers import Answer, same, understand
from ratchet.verify.extract import after_mark, boxed
from ratchet.verify.verifier import verifiers

WRONG = ("7919", r"\frac{\sqrt{7919}}{104729}", "(7919, -104729)")  # nobody's answers
FEW = 4  # words that are said in one way only, as a name or a day is
NOTHING = re.compile(
    r"\W*(?:n\s*/?\s*a|none|null|nan|unknown|tbd|to be determined|omitted|missing|"
    r"no answer(?: (?:is )?(?:given|available|provided|known|yet))?|no solution (?:is )?(?:given|available|provided)|(?:solution|answer|result)\s*:|"
    r"not (?:given|available|provided|known)|various|"
    r"answers?\s+(?:may|will|can)?\s*var(?:y|ies)|see\b.*|cf\b.*|n\W*a|refer\b.*|\\?\\[lc]?dots|ans|\\?[{}~]*|"
    r"proof\b.*|q\.?\s*e\.?\s*d|left (?:to|as|for)\b.*|.*\bomitted|.*\bsolutions? manual|"
    r".*\b(?:above|below)|it depends.*|depends\b.*|explanations?\b.*|sample (?:answer|response).*|open[- ]ended.*)?\W*",
    re.IGNORECASE | re.DOTALL,
)
BROKEN = re.compile(r"\\(?:frac|sqrt|text|boxed|begin|left)\s*\{?\s*$|\\begin\{(?!.*\\end\{)|\.\.\.\s*$|…\s*$", re.DOTALL)
DERIVED = re.compile(
    r"=[^=]*=[^=]*=|\\begin\{(?:aligned|align|cases|split)|\n\s*\n|(?:^|\s)(?:because|since|therefore|thus|hence|so that)\s", re.I
)


# what answers in words are made of, where the question does not name them
MADE_OF = """no solution solutions none infinite infinitely many undefined all real reals numbers empty even odd neither both always never increasing
    decreasing converges diverges convergent divergent rational irrational prime composite parabola circle ellipse hyperbola line lines point
    plane sphere cone cylinder triangle square rectangle rhombus pentagon hexagon octagon cube isosceles equilateral scalene acute obtuse
    right monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october
    november december spring summer autumn fall winter north south east west northeast northwest southeast southwest zero one two three four five
    six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand half third quarter first second left up down red blue
    green yellow white black orange purple brown heads tails minimum maximum inconsistent consistent dependent independent linear quadratic
    true false yes valid
    invalid correct incorrect wrong pass fail positive negative finite exact equal greater less"""
CLOSED = frozenset(MADE_OF.split())
NAMED_PARTS = re.compile(
    r"\(first\).*\(second\)|^\W*(?:\(?(?:a|1|i)\s*[).:]|part\s*\w\s*[).:]?|first\b)\s*\S.*?(?:[;,.\n]|\s)\s*"
    r"\(?(?:(?:b|2|ii)\s*[).:]|part\s*\w|(?:and\s+)?(?:second|then)\b)",
    re.IGNORECASE | re.DOTALL,
)


def find(row: Row) -> Drop | None:
    why = unparsable(row.answer) or unnamed(row)
    return Drop(f"the answer cannot be checked: {why}", row.answer[:80]) if why else None


def unparsable(answer: str) -> str:
    """Why an answer cannot be checked; empty where it can."""
    if NOTHING.fullmatch(answer):
        return "it says nothing"
    if NAMED_PARTS.search(answer):
        return "it has several parts"
    if BROKEN.search(answer) or not balanced(answer):
        return "it is broken off"
    if DERIVED.search(answer):
        return "it is a derivation"
    task, judge = Task("curate", "", answer, "math"), verifiers["math"]
    own = judge(task, f"\\boxed{{{answer}}}")
    if not own.passed:
        return f"it does not pass against itself ({own.evidence})"
    if all(judge(task, f"\\boxed{{{w}}}").outcome is not Outcome.FAIL for w in WRONG):
        return "a wrong answer cannot be told from it"
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\\[A-Za-z]+", " ", answer))
    if understand(answer).kind == "words" and len(words) > FEW:
        return "it is a sentence"
    if not re.search(r"\w", answer):
        return "it says nothing"
    # words beside numbers are a unit or two; more of them are a sentence about numbers
    return "it is a sentence" if len([w for w in words if len(w) > 2]) > 2 * FEW else ""


def unnamed(row: Row) -> str:
    """Why an answer in words cannot be checked: neither does the question name them, nor are answers made of them."""
    known = {*row.words, *CLOSED, *(w for o in row.options for w in words_of(o))}
    for part in members(understand(row.answer)):
        words = [w for w in words_of(part.text) if w.isalpha() and len(w) > 1 and w not in ("text", "mathrm", "the", "and", "of")]
        if part.kind == "words" and words and not any(w in known or w.rstrip("s") in known or w + "s" in known for w in words):
            return f"neither the question nor usage names {words[0]!r}"
    return ""


def members(answer: Answer) -> list[Answer]:
    """An answer's parts where it is a list of some, else itself."""
    return [p for p in answer.parts if isinstance(p, Answer)] if answer.kind == "set" else [answer]


def balanced(text: str) -> bool:
    """Whether all braces and \\left ... \\right close; of round and square ones an interval may mix them. $5 is money."""
    text = re.sub(r"\\[{}$]|^\s*-?\s*\$(?=\s*[\d.])(?!.*\$)", "", text)
    if text.count("{") != text.count("}") or text.count("\\left") != text.count("\\right") or text.count("$") % 2:
        return False
    return sum(text.count(c) for c in "([") == sum(text.count(c) for c in ")]")


filters.put(
    "unparsable",
    Filter(
        find,
        tuple(
            Row("What is the sum of the first four odd numbers?", a)
            for a in (
                "",
                "\\frac{1}{",
                "Answers will vary.",
                "First add them in pairs and then look at what every pair comes to.",
            )
        ),
    ),
    paper="arXiv 2502.17387",
    summary="Unparsable answers: those that the verifier of mathematics does not pass against themselves.",
)


# ---- taking out and writing plainly -------------------------------------------------------------------------------


def final(solution: str) -> str:
    """The answer that a solution ends with; empty where none is marked."""
    return boxed(solution) or after_mark(solution) or ""


def normalised(answer: str) -> str:
    """The answer written plainly, where that is the same answer for the verifier; else as it was.

    >>> normalised("$\\\\boxed{1,234.0}$.")
    '1234'
    """
    plain = answer.strip()
    for step in (unboxed, undressed, whole):
        shorter = step(plain)
        if shorter and shorter != plain and same(plain, shorter) is not False:
            plain = shorter
    return plain if plain == answer.strip() or same(answer, plain) is not False else answer.strip()


def unboxed(text: str) -> str:
    return boxed(text) or re.sub(r"^####\s*|^(?:the\s+)?(?:final\s+)?answer\s*(?:is|:)\s*", "", text, flags=re.IGNORECASE)


def undressed(text: str) -> str:
    """Without the signs of a formula around the whole of it, a full stop, and a thing that is counted in brackets: 9 (apples)."""
    text = re.sub(r"^(-?\d[\d,.]*)\s*\([a-z][a-z\s-]*\)$", r"\1", text.strip(), flags=re.IGNORECASE)
    text = text.removesuffix(".") if not text.endswith("..") else text
    inner = re.fullmatch(r"\$\$?([^$]+)\$\$?|\\\((.+)\\\)|\\\[(.+)\\\]", text, re.DOTALL)
    return next(filter(None, inner.groups())).strip() if inner else text


def whole(text: str) -> str:
    """A plain number without commas and without zeros behind the point."""
    number = re.fullmatch(r"(-?(?:\d{1,3}(?:,\d{3})+|\d+))(?:\.0+)?", text, re.ASCII)
    return number[1].replace(",", "") if number else text
