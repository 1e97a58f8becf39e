"""Multiple choice: a question that is answered by picking one of its options can be guessed, and its letter is no answer.

Options stand in a field of their own, or in the question as a list that begins with A (or 1) and goes on, or as short pieces behind it
of which the answer is one, or are only spoken of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from ratchet.data.filters import PROGRAM, Drop, Filter, Row, around, examples, filters

WRAP = r"(?:\\(?:text|textbf|mathrm|mathbf|rm)\s*\{?\s*)?"
# (A)  A)  A.  A:  [A]  \textbf{(A)}  \text A.   where something other than a letter stands before it
LABEL = re.compile(
    rf"(?:(?<=[\s,;:.?!$)\]}}|~])|^){WRAP}(?:[(\[<]+\s*([A-Ja-j])\s*[)\]>]+|([A-Ja-j])\s*(?:\)\.?|[.:](?=\s|\\|\$|[-\d])))\}}?"
    rf"|(?:^|(?<=[\s(]))(?:\\item\s*\[?)?([A-J])\s*(?:[.:]\]?(?=\s?\S)|\s[-–]\s)"
    r"|(?<=\|)\s*([A-J])\s*\|",  # a cell of a table
    re.M,
)
INLINE = re.compile(r"(?<=\s)\(([1-9])\)\s*(?=\S)")
NUMBERED = re.compile(r"^\s*(?:\(?([1-9])[).]|Option\s+([1-9A-Ja-j])\s*[:.)])\s*(?=\S)", re.M)
BULLET = re.compile(r"^\s*[-*•‣■-◿☐-☒]\s+\S", re.M)  # with the round and square shapes that are ticked
BOLD = re.compile(r"\*\*|__(?!_)")  # of Markdown
ANNOUNCED = re.compile(
    r"\b(?:options|choices|alternatives|possible answers|choose from|select from|pick from)\s*(?:are\s*)?:"
    r"|(?:^|[.?!:)]\s+)(?:please\s+)?(?:choose|select|pick|mark|tick|check|circle|indicate)\s+(?:(?:the|your|a|an|only|exactly)\s+)?(?:\w+\s+){0,2}?"
    r"(?:one|answers?|options?|choices?|values?|letters?)(?:\s+(?:from|among|below|of))*\s*(?::|[.!]?\s*$)",
    re.IGNORECASE | re.MULTILINE,
)
SPOKEN = re.compile(
    r"\b(?:(?:which|what)(?:\s+one)?\s+of\s+(?:the\s+(?:\w+\s+){0,3}?(?:following|below|above|options|choices|answers|alternatives)|these)\b"
    r"|(?:^|[.?!:]\s+|\bplease\s+)(?:choose|select|pick|mark|circle|identify|indicate)\s+(?:the\s+)?(?:letter|(?:\w+\s+){0,3}?(?:option|choice|alternative|answer))s?\b"
    r"(?!\s+to\s+(?:two|three|\d|the\s+nearest))"
    r"|(?:of|from|among|amongst)\s+the\s+(?:given\s+)?(?:options|choices|alternatives)\b|answer\s+as\s+[A-E],\s*[A-E]"
    r"|(?:none|all)\s+of\s+the\s+(?:above|other)|\b(?:all|each)\s+of\s+the\s+following\b[^.?]*\bexcept\b|\bexcept\s*:?\s*$)",
    re.IGNORECASE,
)
LISTED = re.compile(
    r"\b(?:following|these|three|four|five)\s+(?:\w+\s+)?(?:conditions?|properties|rules|facts|clues|steps|constraints|ways)\b",
    re.IGNORECASE,
)
ITEMS = re.compile(r"\s*[,;|/]\s*(?:or\s+)?")
GLUED = re.compile(r"\(\s*([A-J])\s*\)(?=\s*[\w$\\-])")  # ...: (A)one(B)another
OFFERED = re.compile(
    r"\b(?:which|choose|select|pick|mark|tick|circle|one of|possible|correct|right)\b[^.?:\n]*"
    r"(?:[:?]|\b(?:answers|options|choices|values|results|solutions)\s+(?:are|include)\b:?)\s+(?P<items>[^:?\n]{5,200}?)[.?\s]*$",
    re.IGNORECASE,
)
SEPARATOR = re.compile(r"\s*[,;|/]\s*(?:or\s+|and\s+)?|\s+(?:or|and)\s+")
LETTER = re.compile(r"^\W*(?:option|choice|answer)?\W*([A-J])\W*$", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """The question without its options, the options' texts, and the place of the right one (None where it is not known)."""

    stem: str
    options: tuple[str, ...]
    right: int | None


def listed(question: str) -> tuple[int, list[str]] | None:
    """Where the list of options begins, and its texts; None without one of at least three, or of two that are announced."""
    blank: Callable[[re.Match[str]], str] = lambda m: " " * len(m[0])
    question = BOLD.sub(blank, PROGRAM.sub(blank, question))
    for pattern in (LABEL, NUMBERED, INLINE):
        marks: list[re.Match[str]] = []
        for m in pattern.finditer(question):
            closing = pattern is LABEL and m[2] and ")" in m[0]
            if closing and question.count("(", 0, m.start()) > question.count(")", 0, m.start()):
                continue  # it closes a bracket: (x + a)
            name = next(filter(None, m.groups())).upper()
            wanted = "123456789"[len(marks)] if name.isdigit() else ascii_uppercase[len(marks)]
            if name == wanted:
                marks.append(m)
            elif name in ("A", "1"):
                marks = [m]
        if len(marks) >= 3 or (len(marks) == 2 and ANNOUNCED.search(question)):
            numbers = pattern is not LABEL and not ANNOUNCED.search(question) and not SPOKEN.search(question)
            ends = [*(m.start() for m in marks[1:]), len(question)]
            texts = [question[m.end() : end].strip(" \n\t;,|$~\\") for m, end in zip(marks, ends, strict=True)]
            if pattern is INLINE:
                numbers = any(len(t) > 25 for t in texts)  # options of a test, not steps of a story
            asks = sum(
                "?" in t or re.match(r"(?:find|what|how|determine|compute|prove|show)\b", t, re.I) is not None for t in texts
            )
            stem = re.split(r"[.?!]\s+(?=\S)", question[: marks[0].start()].strip())[-1]
            if not numbers and asks < 2 and not LISTED.search(stem):  # parts of a question, and what is given, are no options
                return marks[0].start(), texts
    glued = list(GLUED.finditer(question))
    if [m[1] for m in glued[:3]] == ["A", "B", "C"]:
        return glued[0].start(), between(question, [m.end() for m in glued], [*(m.start() for m in glued[1:]), len(question)])
    announced = ANNOUNCED.search(question)
    if announced is None:
        return None
    bullets = [m.start() for m in BULLET.finditer(question, announced.end())]
    if len(bullets) >= 2:
        return announced.start(), between(question, bullets, [*bullets[1:], len(question)])
    texts = ITEMS.split(question[announced.end() :].strip().rstrip("."))
    if len(texts) >= 3 and all(0 < len(t) <= 40 for t in texts):
        return announced.start(), texts
    return None


def offered(row: Row) -> tuple[int, list[str]] | None:
    """`listed`, or else pieces behind the question of which exactly one is the answer: then it does not matter how they are marked."""
    found = listed(row.question)
    if found:
        return found
    text = BOLD.sub("  ", row.question)
    inline = OFFERED.search(text)
    if inline and told(row.answer, items := SEPARATOR.split(inline["items"].strip())):
        return inline.start("items"), items
    lines = text.rstrip().split("\n")
    stem = max((i for i, line in enumerate(lines) if line.rstrip().endswith(("?", ":", "."))), default=len(lines))
    below = [re.sub(r"^\W+(?=[\w$\\])(?<![-.$\\])", "", line.strip()) for line in lines[stem + 1 :] if line.strip()]
    for texts in (below, [line.partition(" ")[2].strip() for line in below]):  # with what marks them, and without
        if told(row.answer, texts):
            return len("\n".join(lines[: stem + 1])), texts
    return None


def told(answer: str, texts: Sequence[str]) -> bool:
    """Whether these are three or more different short texts, one of which is the answer."""
    short = len(texts) >= 3 and all(0 < len(t) <= 40 for t in texts) and len(set(texts)) == len(texts)
    return short and answer.strip() in texts


def between(text: str, starts: Sequence[int], ends: Sequence[int]) -> list[str]:
    return [re.sub(r"^[\s*•‣■-◿☐-☒-]+|[\s*•-]+$", "", text[a:b]) for a, b in zip(starts, ends, strict=True)]


def choice_of(row: Row) -> Choice | None:
    """The row taken apart; None where it has no options that can be told."""
    found = offered(row)
    if row.options:
        stem, options = (row.question[: found[0]] if found else row.question), row.options
    elif found:
        stem, options = row.question[: found[0]], tuple(found[1])
    else:
        return None
    stem = re.sub(r"(?:\b(?:answer\s+)?(?:options|choices|alternatives)\s*:?|:)\s*$", "", stem.strip(" \n$"), flags=re.IGNORECASE)
    options = tuple(unlabelled(o, i) for i, o in enumerate(options))
    return Choice(stem.strip(), options, place(row.answer, options))


def unlabelled(option: str, place: int) -> str:
    return re.sub(rf"^\s*[(\[]?{ascii_uppercase[place]}\s*[)\].:]+\s*", "", option).strip() if place < 26 else option.strip()


def place(answer: str, options: Sequence[str]) -> int | None:
    letter = LETTER.match(answer)
    if letter and (at := ascii_uppercase.index(letter[1].upper())) < len(options):
        return at
    same = [i for i, o in enumerate(options) if o.strip() == answer.strip()]
    return same[0] if len(same) == 1 else None


def find(row: Row) -> Drop | None:
    if len(row.options) >= 2:
        return Drop("the question has options to choose from", " | ".join(row.options)[:80])
    found = offered(row)
    if found:
        return Drop("the question lists options to choose from", " ".join(row.question[found[0] :].split())[:80])
    spoken = SPOKEN.search(row.question)
    if spoken:
        return Drop("the question asks for one of several options", around(row.question, *spoken.span()))
    return None


filters.put(
    "multiple-choice",
    Filter(
        find,
        (
            Row("What is 7 + 5?", "B", ("10", "12", "14", "16")),
            *examples(
                "A shirt costs $20 and is sold at 15 % off. What does it cost now? (A) $15 (B) $17 (C) $18 (D) $19",
                "What is the square of 9?\nOptions:\n- 18\n- 81\n- 99",
                "Which of the following numbers is a prime number greater than 20?",
                answer="B",
            ),
        ),
    ),
    paper="arXiv 2502.17387",
    summary=__doc__,
)
