"""Groups of near-duplicate texts, exactly and independent of their order: those whose word pairs overlap.

Two texts are near when the Jaccard index of their sets of neighbouring word pairs is at least `near`; a group is a
connected component of that relation. The prefix filter of Chaudhuri et al. 2006 ("A primitive operator for similarity
joins") finds all such pairs: two sets with Jaccard index j or more share one of the rarest |x| - ceil(j |x|) + 1
elements of each.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

Pairs = frozenset[tuple[str, str]]


def word_pairs(words: Sequence[str]) -> Pairs:
    """Neighbouring words, the first and the last with an empty neighbour."""
    return frozenset(zip(["", *words], [*words, ""], strict=True))


def jaccard(a: Pairs, b: Pairs) -> float:
    return len(a & b) / len(a | b)


def near_pairs(sets: Sequence[Pairs], near: float) -> Iterator[tuple[int, int]]:
    """All (i, j), j < i, with a Jaccard index of at least `near`."""
    count = Counter(pair for own in sets for pair in own)
    holding: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for i, own in enumerate(sets):
        rarest = sorted(own, key=lambda pair: (count[pair], pair))
        prefix = rarest[: len(own) - math.ceil(near * len(own)) + 1]
        for j in {j for pair in prefix for j in holding[pair]}:
            if jaccard(own, sets[j]) >= near:
                yield i, j
        for pair in prefix:
            holding[pair].append(i)


def groups(texts: Sequence[Sequence[str]], near: float) -> list[int]:
    """For each text (as words) the place of the first text of its group."""
    first = list(range(len(texts)))

    def root(i: int) -> int:
        while first[i] != i:
            first[i] = first[first[i]]
            i = first[i]
        return i

    for i, j in near_pairs([word_pairs(t) for t in texts], near):
        a, b = root(i), root(j)
        first[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(texts))]
