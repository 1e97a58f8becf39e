"""Several parts: more than one thing is asked for, and one answer cannot be right or wrong."""

from __future__ import annotations

import re
from itertools import pairwise

from ratchet.data.answers import NAMED_PARTS
from ratchet.data.choices import listed
from ratchet.data.filters import Drop, Filter, Row, around, examples, filters

ORDER = ("abcdefgh", "ABCDEFGH", "12345678", ("i", "ii", "iii", "iv", "v", "vi"), ("I", "II", "III", "IV", "V", "VI"))
MARK = re.compile(
    r"(?:(?<=[\s.?!:;,])|^)(?:\(\s*([A-Ha-h1-8]|[iv]{1,3}|[IV]{1,3})\s*\)|((?:[a-h1-8]|[iv]{1,3}|[IV]{1,3}))\)"
    r"|(?:part|question|subquestion|task|step|q)\s*\(?([A-Ha-h1-8]|[iv]{1,3}|[IV]{1,3})\)?\s*[:.)-]|^\s*([a-h1-8])\.)\s+(?=\S)",
    re.MULTILINE | re.IGNORECASE,
)
VERB = r"(?:find|compute|calculate|evaluate|determine)\b(?!\s+(?:the\s+following|out)\b)"
ASKS = re.compile(
    rf"\s*(?:{VERB}|(?:what|how|which|why|solve|simplify|express|write|give|show|prove|sketch|state|explain|estimate|describe|draw|is|are|does|do|"
    rf"did|can|expand|factor|list|name)\b)|[^.!?]*\?|[^.?]*[,;:]\s*(?:and\s+|then\s+)?(?:{VERB}|what\b|how\s+(?:many|much|long|far)\b)",
    re.IGNORECASE,
)
ORDERS = re.compile(r"\b(?:find|compute|calculate|evaluate|determine|give|state|answer)\b[^.?]{0,60}[:,]?\s*$", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
SECOND = re.compile(
    r"(?:[^?]*,\s+(?:then\s+)?)?(?:(?:and|also|then|next|finally|furthermore|in addition|additionally|moreover|besides|secondly|lastly|after that|"
    rf"afterwards?),?\s*)*{VERB}",
    re.IGNORECASE,
)
NO_TEXT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\\[.*?\\\]|\$[^$]*\$", re.DOTALL)
QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|\([^()]*\?[^()]*\)")


def find(row: Row) -> Drop | None:
    if row.options or listed(row.question):
        return None  # the list is one of options
    marks = [(m, next(filter(None, m.groups()))) for m in MARK.finditer(row.question)]
    for (m, first), (n, second) in pairwise(marks):
        asked = ASKS.match(row.question, m.end(), n.start()) and ASKS.match(row.question, n.end())
        if follows(first, second) and (asked or ORDERS.search(row.question, 0, m.start())):
            return Drop("the question has several parts", around(row.question, m.start(), n.end()))
    asking = [
        s
        for s in SENTENCE.split(QUOTED.sub(" ", NO_TEXT.sub(" x ", row.question)))
        if s.rstrip(" )*").endswith("?") or SECOND.match(s.strip(" -*"))
    ]
    if len(asking) >= 2:
        return Drop("the question asks for several things", " / ".join(" ".join(s.split())[-40:] for s in asking[:3]))
    if NAMED_PARTS.search(row.answer):
        return Drop("the answer has several parts", row.answer[:60])
    return None


def follows(first: str, second: str) -> bool:
    """Whether both stand in one order, the second just behind the first, and that is its beginning."""
    return any(first == names[0] and second == names[1] for names in ORDER)


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
