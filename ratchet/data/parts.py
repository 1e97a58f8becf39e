"""Several parts: more than one thing is asked for, and one answer cannot be right or wrong."""

from __future__ import annotations

import re
from itertools import pairwise

from ratchet.data.answers import NAMED_PARTS
from ratchet.data.choices import offered
from ratchet.data.filters import PROGRAM, Drop, Filter, Row, around, examples, filters

ORDER = ("abcdefgh", "ABCDEFGH", "12345678", ("i", "ii", "iii", "iv"), ("I", "II", "III", "IV"), ("first", "second", "third"))
NAME = r"[A-Ha-h1-8]|[iv]{1,3}|[IV]{1,3}"
MARK = re.compile(
    rf"(?:(?<=[\s.?!:;,])|^)(?:[(\[]\s*({NAME})\s*[)\]]|((?:[a-h1-8]|[iv]{{1,3}}|[IV]{{1,3}}))\)|(?:part|question|subquestion|task|q)\s*\(?({NAME})\)?\s*[:.)-]"
    rf"|(first|second|third)(?:ly)?\s*[:,]|^\s*((?:[a-h1-8]|I{{1,3}}))\.|^\s*([-*•–])\s)\s*(?=\S)",
    re.MULTILINE | re.IGNORECASE,
)
BULLETS = "-*•–"
VERB = r"(?:find|compute|calculate|evaluate|determine)\b(?!\s+(?:the\s+following|out)\b)"
ITS = r"(?:give|state|name|list|tell|report)\s+(?:its|their|also|the\s+(?:next|same|new|second|corresponding))\b"
ASKS = re.compile(
    rf"(?:{VERB}|(?:what|how|which|why|solve|simplify|express|write|give|show|prove|sketch|state|explain|estimate|describe|draw|is|are|does|do|"
    rf"did|can|expand|factor|list|name)\b)|[^.?]*[,;:]\s*(?:and\s+|then\s+)?(?:{VERB}|what\b|how\s+(?:many|much|long|far)\b)",
    re.IGNORECASE,
)
ORDERS = re.compile(r"\b(?:find|compute|calculate|evaluate|determine|give|state|answer)\b[^.?]{0,60}[:,]?\s*$", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
SECOND = re.compile(
    r"(?:[^?]*,\s+(?:then\s+)?)?(?:(?:and|also|then|next|finally|furthermore|in addition|additionally|moreover|besides|secondly|lastly|after that|"
    rf"afterwards?),?\s*)*(?:{VERB}|{ITS})",
    re.IGNORECASE,
)
NO_TEXT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\\[.*?\\\]|\$[^$]*\$", re.DOTALL)
EITHER = re.compile(r"\W*(?:yes\s+or\s+no|true\s+or\s+false|right\s+or\s+wrong)\W*", re.IGNORECASE)  # how to answer, nothing more
QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|\([^()]*\?[^()]*\)")


def find(row: Row) -> Drop | None:
    if row.options or offered(row):
        return None  # the list is one of options
    text = PROGRAM.sub(lambda m: " " * len(m[0]), row.question)
    marks = [(m, next(filter(None, m.groups()))) for m in MARK.finditer(text) if not closes(m, text)]
    ends = [*(m.start() for m, _ in marks[1:]), len(row.question)]
    for i, ((m, first), (n, second)) in enumerate(pairwise(marks)):
        asked = asks(row.question[m.end() : ends[i]]) and asks(row.question[n.end() : ends[i + 1]])
        if follows(first, second) and (asked or ORDERS.search(row.question, 0, m.start())):
            return Drop("the question has several parts", around(row.question, m.start(), n.end()))
    asking = [
        s
        for s in SENTENCE.split(QUOTED.sub(" ", NO_TEXT.sub(" x ", text)))
        if not EITHER.fullmatch(s) and (s.rstrip(" )*").endswith("?") or SECOND.match(s.strip(" -*")))
    ]
    if len(asking) >= 2:
        return Drop("the question asks for several things", " / ".join(" ".join(s.split())[-40:] for s in asking[:3]))
    if NAMED_PARTS.search(row.answer):
        return Drop("the answer has several parts", row.answer[:60])
    return None


def closes(mark: re.Match[str], text: str) -> bool:
    """Whether it only closes a bracket, as in (x + 1)."""
    return mark[0].lstrip()[1:2] == ")" and text.count("(", 0, mark.start()) > text.count(")", 0, mark.start())


def asks(part: str) -> bool:
    return "?" in part or any(ASKS.match(sentence.strip()) for sentence in SENTENCE.split(part))


def follows(first: str, second: str) -> bool:
    """Whether the two begin one order: (a) and (b), 1 and 2, two bullets."""
    both = (first.lower() if len(first) > 3 else first, second.lower() if len(second) > 3 else second)
    return both in {(names[0], names[1]) for names in ORDER} or (first in BULLETS and second in BULLETS)


filters.put(
    "multi-part",
    Filter(
        find,
        examples(
            "A box holds 12 pens. (a) How many pens do 5 boxes hold? (b) How many boxes hold 84 pens?",
            "How many apples does Tom have? How many pears does he have?",
            "Find the area of a square of side 4. Then find its perimeter.",
        ),
    ),
    paper="arXiv 2502.17387",
    summary=__doc__,
)
