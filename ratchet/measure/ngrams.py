"""How much of the variety of a body of text is left: distinct n-grams, and those of a reference that still occur.

Both numbers depend on how much text is counted (more text repeats itself more, and holds more of a reference), so bodies
are compared at equal numbers of n-grams, `most`. Distinct n-grams as a share: Li et al. 2016 (arXiv 1510.03055), distinct-n.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain, islice

Texts = Sequence[Sequence[Hashable]]
"""Sequences of tokens; an n-gram does not run from one into the next."""
Gram = tuple[Hashable, ...]


def first_ngrams(texts: Texts, n: int, most: int) -> list[Gram]:
    """The first `most` n-grams of the texts, in order. Raises ValueError where there are fewer, or n or most is below 1."""
    if n < 1 or most < 1:
        raise ValueError(f"n-grams need n and a number of them of at least 1, got n={n} and {most}")
    found = list(islice(chain.from_iterable(zip(*(text[i:] for i in range(n)), strict=False) for text in texts), most))
    if len(found) < most:
        raise ValueError(f"{most} n-grams were asked for and the texts hold {len(found)}; texts of other sizes do not compare")
    return found


def distinct_ngrams(texts: Texts, n: int, most: int) -> float:
    """Distinct n-grams among the first `most`, as a share of `most`. Raises ValueError as `first_ngrams` does.

    >>> distinct_ngrams(["abab"], 2, 3) == 2 / 3  # ab, ba, ab
    True
    """
    return len(set(first_ngrams(texts, n, most))) / most


def kept_ngrams(reference: Texts, texts: Texts, n: int, most: int) -> float:
    """Share of the distinct n-grams of the reference's first `most` that stand among the texts' first `most`.

    Below 1 even for two bodies of one source: another body of real text says what to expect. Raises ValueError as
    `first_ngrams` does.

    >>> kept_ngrams(["abab"], ["abcc"], 2, 3)  # of ab and ba only ab is left
    0.5
    """
    wanted = set(first_ngrams(reference, n, most))
    return len(wanted & set(first_ngrams(texts, n, most))) / len(wanted)
