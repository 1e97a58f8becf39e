"""Groups of near-duplicate texts, exactly and independent of their order: those whose word pairs overlap.

Two texts are near when the Jaccard index of their sets of neighbouring word pairs is at least `near`; a group is a
connected component of that relation. The prefix filter of Chaudhuri et al. 2006 ("A primitive operator for similarity
joins") finds all such pairs: two sets with Jaccard index j or more share one of the rarest |x| - ceil(j |x|) + 1
elements of each.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

Pairs = frozenset[tuple[str, str]]
Holding = dict[tuple[str, str], list[int]]


def word_pairs(words: Sequence[str]) -> Pairs:
    """Neighbouring words, the first and the last with an empty neighbour."""
    return frozenset(zip(["", *words], [*words, ""], strict=True))


def jaccard(a: Pairs, b: Pairs) -> float:
    return len(a & b) / len(a | b)


def near_pairs(sets: Sequence[Pairs], near: float) -> Iterator[tuple[int, int]]:
    """All (i, j), j < i, with a Jaccard index of at least `near`."""
    count = Counter(pair for own in sets for pair in own)
    holding: Holding = defaultdict(list)
    for i, own in enumerate(sets):
        prefix = rarest(own, count, near)
        yield from ((i, j) for j in met(prefix, holding) if jaccard(own, sets[j]) >= near)
        for pair in prefix:
            holding[pair].append(i)


def near_matches(sets: Sequence[Pairs], others: Sequence[Pairs], near: float) -> Iterator[tuple[int, int]]:
    """All (i, j) with a Jaccard index of sets[i] and others[j] of at least `near`; no pair within one of the two."""
    count = Counter(pair for own in (*sets, *others) for pair in own)
    holding: Holding = defaultdict(list)
    for j, own in enumerate(others):
        for pair in rarest(own, count, near):
            holding[pair].append(j)
    for i, own in enumerate(sets):
        yield from ((i, j) for j in met(rarest(own, count, near), holding) if jaccard(own, others[j]) >= near)


def rarest(own: Pairs, count: Mapping[tuple[str, str], int], near: float) -> list[tuple[str, str]]:
    """The prefix: so many of its rarest elements that a set which is near has one of them in its own prefix."""
    # 0.56 * 25 is a little above 14 in binary: without the margin the prefix would be one too short
    needed = math.ceil(near * len(own) - 1e-9)
    return sorted(own, key=lambda pair: (count[pair], pair))[: len(own) - needed + 1]


def met(prefix: Sequence[tuple[str, str]], holding: Holding) -> set[int]:
    return {j for pair in prefix for j in holding.get(pair, ())}


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
