"""Leaks: a row that shares a run of words with a question of a given evaluation set.

Runs of `n` words, 8 by default; a shorter evaluation question counts where the whole of it stands in the row. A run of words that
stand in many questions ("how many hours a week does he spend") is found everywhere and shows nothing: a run counts where it carries at
least `bits` of information, by how often each of its words is met in English, in the stream's first rows and in the evaluation sets.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from ratchet.data.filters import Drop, Row, SetFilter, set_filters
from ratchet.tasks.labelled import tagged_sentences
from ratchet.tasks.runs import first_held, held_runs, lengths

LEAST = 5  # words of an evaluation question that is looked for


def begin(head: Sequence[Row], against: Sequence[Row], *, n: int = 8, bits: float = 60.0) -> Callable[[Row], Drop | None]:
    count = Counter(word.casefold() for sentence in tagged_sentences() for word, _ in sentence)
    for row in (*head, *against):
        count.update(row.words)
    all_words = count.total()
    long = [row for row in against if len(row.words) >= LEAST]
    texts = [row.words for row in long]
    sizes = lengths(texts, n)
    holding = {
        run: j
        for run, j in held_runs(texts, n).items()
        if sum(math.log2(all_words / count[word]) for word in run) >= bits * len(run) / n
    }
    same = {tuple(row.words): row.where for row in reversed(against)}

    def find(row: Row) -> Drop | None:
        whole = same.get(tuple(row.words))
        if whole is not None:
            return Drop(f"is the question {whole}", " ".join(row.words[:20]))
        run = first_held(row.words, holding, sizes)
        return Drop(f"shares {len(run)} words in a row with {long[holding[run]].where}", " ".join(run)) if run else None

    return find


KEPT_APART = Row("A snail climbs 3 metres each day and slides back 1 metre each night. On which day is it 9 metres up?", "4", where="eval")

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
