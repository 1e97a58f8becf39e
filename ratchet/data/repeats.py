"""Repeats within a stream: the same question again, or nearly so.

Near-duplicates are found exactly, not by chance: the prefix filter of `ratchet.tasks.near_duplicates`, which a stream can be walked
with, since any fixed order of the word pairs will do for it. Here it is how often they occur in the stream's first rows. A row is
kept in mind as its word pairs' hashes, about 0.5 kB of it.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from ratchet.core.seeds import digest
from ratchet.data.filters import Drop, Row, SetFilter, set_filters
from ratchet.tasks.runs import words_of
from ratchet.tasks.word_problems import numbered

Seen = Callable[[Row], Drop | None]
INTRODUCES = re.compile(r"^\s*(?:problem|question|exercise|example|q)?\s*#?\d{0,4}\s*[:.)]\s+(?=\S)", re.IGNORECASE)


def pressed(question: str) -> str:
    """What is left of a question without case, blanks and the marks between its words."""
    return "".join(re.findall(r"[^\W_]|[-+*/=<>^]", question.replace("**", "").casefold()))


def exact(head: Sequence[Row], against: Sequence[Row]) -> Seen:
    """A question that stands in the stream already, whatever its case, blanks and punctuation."""
    seen: dict[bytes, tuple[str, str]] = {}

    def find(row: Row) -> Drop | None:
        where, answer = seen.setdefault(digest(pressed(row.question))[:12], (row.where, row.answer))
        if where == row.where:
            return None
        said = "the same question" if pressed(answer) == pressed(row.answer) else "the same question with another answer"
        return Drop(f"{said} stands before", where)

    return find


def near(head: Sequence[Row], against: Sequence[Row], *, near: float = 0.6) -> Seen:
    """Almost the same words as a question before, with the same numbers and the same answer: Jaccard index of word pairs >= `near`.

    With other numbers or another answer it is another question, however alike it is worded.
    """
    count = Counter(p for row in head for p in pairs_of(plain_words(row.question)))
    holding: dict[tuple[int, int], list[int]] = {}
    sets: list[array[int]] = []
    places: list[str] = []

    def find(row: Row) -> Drop | None:
        words = plain_words(row.question)
        own = pairs_of(words)
        block = hash((pressed(row.answer), *sorted(w for w in words if w[0].isdigit())))
        prefix = sorted(own, key=lambda p: (count[p], p))[: len(own) - math.ceil(near * len(own) - 1e-9) + 1]
        for j in sorted({j for p in prefix for j in holding.get((block, p), ())}):
            other = set(sets[j])
            likeness = len(own & other) / len(own | other)
            if likeness >= near:
                return Drop("nearly the same question stands before", f"{places[j]} (likeness {likeness:.2f})")
        for p in prefix:
            holding.setdefault((block, p), []).append(len(sets))
        sets.append(array("q", own))
        places.append(row.where)
        return None

    return find


def plain_words(question: str) -> list[str]:
    """The words, with numbers in digits: "Twenty-five" is 25, and 1,000 is 1000."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", INTRODUCES.sub("", question))
    words: list[str] = words_of(re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", " ", text))
    return [str(word) for word in numbered(words)]


def pairs_of(words: Sequence[str]) -> set[int]:
    """Hashes of the neighbouring words. They never leave the process, and nothing that is found depends on them."""
    return {hash(pair) for pair in pairwise(["", *words, ""])}


FIRST = Row(
    "A farmer sells 12 boxes of 9 eggs each on Monday and keeps 5 eggs. How many eggs does the farmer sell?", "108", where="1"
)

set_filters.put(
    "exact-duplicate",
    SetFilter(exact, ((FIRST, Row(FIRST.question.upper().replace(".", " ."), "108", where="2")),)),
    paper="arXiv 2502.17387",
    summary="Exact duplicates: a question that stands in the stream already, but for case, blanks and punctuation.",
)
set_filters.put(
    "near-duplicate",
    SetFilter(
        near,
        (
            (
                FIRST,
                Row(FIRST.question.replace("12", "13"), "117", where="2"),  # another question
                Row(FIRST.question.replace("A farmer", "One farmer").replace("12", "twelve"), "108", where="3"),
            ),
        ),
    ),
    paper="arXiv 2502.17387; the prefix filter: Chaudhuri et al. 2006",
    summary=__doc__,
)
