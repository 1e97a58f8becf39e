"""Leaks: a row that shares a run of words with a question of a given evaluation set.

Runs of `n` words, 8 by default; a shorter evaluation question counts where the whole of it stands in the row. Runs that stand in many
questions ("how many hours a week does he spend") show nothing: one that stands in two evaluation questions does not count, and what is
shared in one piece counts where it carries at least `bits` of information, by how often each of its words is met in English, in the
stream's first rows and in the evaluation sets. Each word of a story carries about 10 bits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from ratchet.data.filters import Drop, Row, SetFilter, set_filters
from ratchet.tasks.labelled import tagged_sentences
from ratchet.tasks.runs import Run, Words, held_runs, lengths, runs

LEAST = 5  # words of an evaluation question that is looked for in longer rows


def begin(head: Sequence[Row], against: Sequence[Row], *, n: int = 8, bits: float = 75.0) -> Callable[[Row], Drop | None]:
    met = Counter(word.casefold() for sentence in tagged_sentences() for word, _ in sentence)
    for row in (*head, *against):
        met.update(row.words)
    all_words = met.total()
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
                # a word that was not met before stands in an evaluation question, and so was
                if sum(math.log2(all_words / met[word]) for word in piece) >= bits * min(size / n, 1.0):
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
