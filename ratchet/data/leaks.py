"""Leaks: a row that shares a run of words with a question of a given evaluation set.

Runs of `n` words, 8 by default; a shorter evaluation question counts where the whole of it stands in the row. Runs that stand in many
questions ("how many hours a week does he spend") show nothing: one that stands in two evaluation questions does not count, and what is
shared in one piece counts where it carries at least `bits` of information: by how often each of its words is met, alone or behind the
word before it, in English and in the stream's first rows. A word of a story carries about 10 bits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from ratchet.data.filters import Drop, Row, SetFilter, set_filters
from ratchet.tasks.labelled import tagged_sentences
from ratchet.tasks.runs import Run, Words, held_runs, lengths, runs

LEAST = 5  # words of an evaluation question that is looked for in longer rows
COPIES = 2  # meetings of two words that do not count: a leaked question must not make itself common


class English:
    """How much the words of a piece tell, in bits, by unigrams and bigrams of texts."""

    def __init__(self, texts: Sequence[Words]) -> None:
        self.alone = Counter(word for text in texts for word in text)
        self.behind = Counter(pair for text in texts for pair in set(pairwise(text)))
        self.all = max(self.alone.total(), 1)

    def bits(self, piece: Words) -> float:
        return sum(self.of(before, word) for before, word in zip(["", *piece], piece))

    def of(self, before: str, word: str) -> float:
        found = max(self.behind[before, word] - COPIES, 0) / max(self.alone[before], 1)
        return -math.log2(max(found, max(self.alone[word], 1) / self.all))


def begin(head: Sequence[Row], against: Sequence[Row], *, n: int = 8, bits: float = 60.0) -> Callable[[Row], Drop | None]:
    english = English([*([w.casefold() for w, _ in sentence] for sentence in tagged_sentences()), *(row.words for row in head)])
    long = [row for row in against if len(row.words) >= LEAST]
    texts = [list(words) for words in dict.fromkeys(tuple(row.words) for row in long)]
    often = Counter(run for words in texts for run in set(runs(words, n)))
    holding = {run: j for run, j in held_runs([row.words for row in long], n).items() if often[run] < 2}
    sizes = lengths(texts, n)
    same = {tuple(row.words): row.where for row in reversed(against)}

    def find(row: Row) -> Drop | None:
        whole = same.get(tuple(row.words))
        if whole is not None:
            return Drop(f"is the question {whole}", " ".join(row.words[:20]))
        for size in sizes:
            for first, piece in pieces(row.words, holding, size):
                if english.bits(piece) >= bits * min(size / n, 1.0):
                    where = long[holding[first]].where
                    return Drop(f"shares {len(piece)} words in a row with {where}", " ".join(piece))
        return None

    return find


def pieces(words: Words, holding: Mapping[Run, int], size: int) -> Iterator[tuple[Run, Words]]:
    """What a text shares with those held, in pieces as long as can be: each with the first of its runs of `size` words."""
    start, first = -1, Run()
    for i in range(len(words) - size + 2):
        run = tuple(words[i : i + size]) if i + size <= len(words) else ()
        if run in holding and start < 0:
            start, first = i, run
        elif run not in holding and start >= 0:
            yield first, words[start : i - 1 + size]
            start = -1


KEPT_APART = Row(
    "A snail climbs 3 metres each day and slides back 1 metre each night. On which day is it 9 metres up?", "4", where="eval"
)

set_filters.put(
    "leak",
    SetFilter(
        begin,
        ((Row(f"Read carefully. {KEPT_APART.question[:60]} and so on. How high is it after 2 days?", "4", where="1"),),),
        (KEPT_APART,),
    ),
    paper="arXiv 2502.17387; runs of words: arXiv 2005.14165",
    summary=__doc__,
)
