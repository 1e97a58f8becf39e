"""Yes or no, true or false: half of all blind guesses are right."""

from __future__ import annotations

import re

from ratchet.data.filters import Drop, Filter, Row, around, examples, filters

SAYS_YES_NO = re.compile(
    r"^\W*(?:\\text\w*\{)?\s*(?:(?:the )?answer is:?\s*)?(?:yes|no)\b(?=\W*$|\s*[,.;:}(!–—]|\s+-\s|\s+(?:because|since|it|they|he|she|the))"
    r"(?!\s+solution)",
    re.IGNORECASE,
)
LETTER_YES_NO = re.compile(r"\W*[YN]\W*")
SAYS_TRUE_FALSE = re.compile(
    r"^\W*(?:\\text\w*\{)?\s*(?:(?:true|false|correct|incorrect|valid|invalid|right|wrong)\b(?=\W*$|\s*[,.;:}]|\s+(?:statement|claim)\b)|(?:yes|no)\W+(?:true|false)\W*$|(?:always|sometimes|never)\W*$"
    r"|(?:it|this|that|the (?:statement|claim)) is (?:true|false|correct|incorrect|not true)\b)",
    re.IGNORECASE,
)
ASKS_TRUE_FALSE = re.compile(
    r"\btrue\s*(?:or|/|\|)\s*(?:\w+\s+)?false\b|\bT\s*/\s*F\b|\bT or F\b|\b(?:is|are|be)\s+(?:always\s+)?(?:true|false|correct|valid|invalid)"
    r"(?:\s+or\s+(?:not|false|invalid|incorrect))?\s*(?:[?.:]|$)|\bstatement\s*1\s*[|:]"
    r"|\b(?:determine|decide|state|say|judge|evaluate|check|tell)\b[^.?]{0,40}\b(?:whether|if)\b[^.?]{0,80}\b(?:statements?|claims?|"
    r"assertions?|propositions?|inequalit\w+)\b|\b(?:whether|if)\b[^.?]{0,60}\b(?:is|are|be)\s+(?:true|false|correct|valid)\b"
    r"|\btruth\s+(?:value|of)\b|\b(?:is|are)\s+(?:the|this|that|these)\s+(?:claim|statement|assertion)s?\b|\btrue\s+or\s+not\b"
    r"|\bis it (?:true|correct|the case|false)\b|[\"'‘“](?:true|false)[\"'’”]\s+(?:if|or|when)\b"
    r"|\b(?:correct|right|true|valid)\s+or\s+(?:incorrect|wrong|false|invalid)\b|\b(?:is|are|was)\s+(?:\w+\s+){1,2}(?:right|wrong|correct|mistaken)\s*\?",
    re.IGNORECASE | re.MULTILINE,
)
WHICH = re.compile(
    r"\b(?:which|what|whichever|how many)\b[^.?:]*\b(?:true|false|correct|valid|invalid)\b[^.?:]*[.?:]?", re.IGNORECASE
)
ASKS_YES_NO = re.compile(
    r"\byes\s*(?:or|/|,)\s*no\b|\by\s*/\s*n\b"
    r"|(?:^|[.!?:,;\n]\s*|\b(?:so|then|and|but)\s+)(?:is|are|was|were|do|does|did|can|could|will|would|has|have|had|should|must)(?:n't)?\s+(?!you\s+(?:prove|show|find|tell|help|solve|explain|compute)\b)"
    r"(?:(?!how\b|what\b|which\b|or\b)[^.?!\n]|(?<=\d)\.(?=\d))*\?\s*(?:(?!express|enter|round|write)[A-Z(\[][^?]*|why\b.*)?$",
    re.IGNORECASE,
)


def true_false(row: Row) -> Drop | None:
    letter = re.fullmatch(r"\W*[TF]\W*", row.answer) and ASKS_TRUE_FALSE.search(row.question)
    said = letter or SAYS_TRUE_FALSE.match(row.answer)
    if said:
        return Drop("the answer is only true or false", row.answer[:60])
    asked = ASKS_TRUE_FALSE.search(WHICH.sub(" ", row.question))
    if asked and not re.search(r"\d", row.answer):
        return Drop("the question asks whether something is true", " ".join(asked[0].split()))
    return None


def yes_no(row: Row) -> Drop | None:
    if true_false(row):
        return None  # whether a statement is true is the other filter's
    asked = ASKS_YES_NO.search(row.question.strip())
    if SAYS_YES_NO.match(row.answer) or (asked and LETTER_YES_NO.fullmatch(row.answer)):
        return Drop("the answer is only yes or no", row.answer[:60])
    if asked and not re.search(r"\d", row.answer):
        return Drop("the question is answered by yes or no", around(row.question.strip(), *asked.span()))
    return None


filters.put(
    "true-false",
    Filter(
        true_false,
        (
            *examples("What is the value of the expression: not (True and False)?", answer="True"),
            *examples("True or false: the sum of two odd numbers is odd.", answer="(b)"),
        ),
    ),
    paper="arXiv 2502.17387",
    summary="True or false: half of all blind guesses are right.",
)
filters.put(
    "yes-no",
    Filter(
        yes_no,
        (
            *examples("Tom has 7 dollars and a ball costs 9 dollars. Can he buy it?", answer="No."),
            *examples("The number 91 is given. Is it a prime number?", answer="not a prime"),
        ),
    ),
    paper="arXiv 2502.17387",
    summary="Yes or no: half of all blind guesses are right.",
)
