"""Runs of words: what two texts share, word for word, without case and punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

WORD = re.compile(r"\w+|[-+*/=<>^]")  # with the signs of arithmetic: 3 + 5 is not 3 - 5

Words = Sequence[str]
Run = tuple[str, ...]


def words_of(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def runs(words: Words, n: int) -> Iterator[Run]:
    return (tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def held_runs(texts: Sequence[Words], n: int) -> dict[Run, int]:
    """Every run of n words with the place of the first text that has it; a text shorter than n is one run."""
    return {run: j for j, words in reversed(list(enumerate(texts))) for run in runs(words, min(n, len(words)))}


def lengths(texts: Iterable[Words], n: int) -> list[int]:
    """The lengths of the runs that stand for these texts, the longest first."""
    return sorted({min(n, len(words)) for words in texts}, reverse=True)


def first_held(words: Words, holding: Mapping[Run, int], sizes: Sequence[int]) -> Run | None:
    """The first run of a text that is held, longer ones before shorter ones."""
    return next((r for size in sizes for r in runs(words, size) if r in holding), None)
