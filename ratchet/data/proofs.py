"""Proofs: what is to be shown stands in the question, so no short answer can be checked."""

from __future__ import annotations

import re

from ratchet.data.filters import Drop, Filter, Row, around, examples, filters

SHOW = (
    r"(?:(?:dis)?prove(?:\s+or\s+(?:disprove|prove|refute|reject))?|refute|verify|demonstrate|derive|establish|justify|deduce|conclude|argue|confirm|show)\b"
    r"(?!\s+(?:your|all|the)\s+(?:work|steps|working|reasoning|calculations?)\b)"
)
LEAD = (
    r"(?:^|[.!?:;)\]]\s*|\n\s*|\$\s+|,\s*(?:then|and)?\s*|\b(?:please|then|and|to|now|we|must|should|can you|could you|carefully|rigorously|"
    r"formally|also|hence|thus|or|directly|induction|contradiction|contrapositive|-|–),?\s+)"
)
WHAT = (
    r"(?=\s*:|,[^,.?!]{1,40},\s+that\b|\s+(?:(?:\w+\s+){0,3}?(?:that|why|how|whether|if|using|by)\b|(?:the|this)\s+(?:following|identity|identities|theorem|formula|claim|"
    r"statement|inequality|equality|lemma|relation|result|existence|irrationality|uniqueness|equivalence|law|rule|fact)\b|(?:this|it)\b|\$|\\|"
    r"[^.?!]*\b(?:is|are|has|have|equals|holds?|diverges?|converges?)\b))"
)
ORDERS = re.compile(
    rf"{LEAD}{SHOW}{WHAT}|\b(?:explain|outline|discuss|reason)(?:\s+\w+)?\s+(?:why|how\s+(?:we|you|one)\s+know)\b"
    r"|\b(?:to\s+be|must\s+be)\s+(?:proved|proven|shown)\s+that\b|\b(?:convince|persuade)\s+\w+(?:\s+\w+)?\s+that\b|\bwhy\s+(?:is\s+it\s+that|must|does\s+it\s+follow)\b"
    r"|\bprove\s+(?:it|this|your)\b|\bprove\s+or\s+(?:disprove|refute)\b",
    re.IGNORECASE,
)
NOUNS = re.compile(
    r"\b(?:give|write|provide|present|supply|construct|find|produce|outline|sketch|complete)\s+(?:(?:a|an|the|another|out)\s+)?(?:\w+[\s-]+){0,3}?"
    r"(?:proof|counter-?example|derivation|justification|argument)\b|\bQ\.?E\.?D\b",
    re.IGNORECASE,
)
ON_THE_WAY = re.compile(r"\bif\b[^.?!]*,\s*explain\s+why\W*$|\bevidence\s+to\s+conclude\b", re.IGNORECASE)  # no order by itself
NOT_ASKED = re.compile(
    r"\b(?:do\s+not|don't|no|not)\s+(?:need|have)\s+to\s+(?:show|explain|prove|justify|derive)\b[^.?!]*", re.IGNORECASE
)
EXPLAINED = re.compile(r"\W*(?:explain|justify|discuss|reason)\b", re.IGNORECASE)  # asked for beside an answer
ASKS_NUMBER = re.compile(
    r"\b(?:find|compute|calculate|evaluate|what\s+(?:is|are|was)|how\s+(?:many|much|long|far|old)|determine\s+the)\b",
    re.IGNORECASE,
)


def find(row: Row) -> Drop | None:
    question = NOT_ASKED.sub(lambda m: " " * len(m[0]), row.question)
    found = ORDERS.search(question) or NOUNS.search(question)
    if found is None or ON_THE_WAY.search(question):
        return None
    if ASKS_NUMBER.search(question, found.end()):  # what is shown on the way to a number can be checked there
        return None
    if EXPLAINED.match(found[0]) and ASKS_NUMBER.search(question, 0, found.start()) and re.search(r"\d", row.answer):
        return None
    return Drop("the question asks for a proof", around(row.question, *found.span()))


filters.put(
    "proof",
    Filter(
        find,
        examples(
            "Prove that the square root of 2 is irrational.",
            "Let $n$ be an odd number. Show that $n^2 - 1$ is divisible by 8.",
            "Give a proof by induction of the formula for the sum of the first $n$ cubes.",
            answer="1",
        ),
    ),
    paper="arXiv 2502.17387",
    summary=__doc__,
)
