"""Has one set of questions leaked into another? By shared runs of words, and by near-duplicates.

Runs of n words, 13 as in Brown et al. 2020 (arXiv 2005.14165, app. C). A pair with a shorter text is compared at the length
of that text, so that it counts where the whole of it stands in the other; texts of fewer than `least` words are too common
to tell anything and are left out. Near-duplicates (`ratchet.tasks.near_duplicates`) find what was reworded a little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from ratchet.core.errors import StoreError
from ratchet.core.types import SPLITS, Estimate, Task
from ratchet.measure.intervals import wilson
from ratchet.tasks.near_duplicates import jaccard, near_matches, word_pairs
from ratchet.tasks.runs import Words, first_held, held_runs, lengths, runs, words_of

N = 13
LEAST = 5
NEAR = 0.8


@dataclass(frozen=True)
class Match:
    """Text `place` of a set is found in text `other` of the other one: by a run of words, or as near as `likeness`."""

    place: int
    other: int
    shared: str = ""
    likeness: float = 0.0


@dataclass(frozen=True)
class Overlap:
    """`share` of the tested texts with a match of either kind; one row per text and kind, the best match of it.

    `too_short` texts have fewer than `least` words and were not tested; neither were `other_too_short` of the other set.
    """

    share: Estimate
    by_words: list[Match]
    by_likeness: list[Match]
    n: int
    near: float
    least: int
    too_short: int
    other_too_short: int


def overlap(
    texts: Sequence[str], against: Sequence[str], *, n: int = N, near: float = NEAR, least: int = LEAST, level: float = 0.95
) -> Overlap:
    """Which of `texts` have leaked into (or from) `against`: shared runs of `n` words, or a likeness of at least `near`.

    Words are compared without case and punctuation. Likeness is the Jaccard index of neighbouring word pairs. StoreError for
    an empty set, for numbers out of range, or where every text is too short.
    """
    if n < least or least < 1 or not 0 < near <= 1:
        raise StoreError(f"contamination needs n >= least >= 1 and 0 < near <= 1, got n={n}, least={least}, near={near}")
    a, b = ([words_of(t) for t in side] for side in (texts, against))
    tested = [i for i, w in enumerate(a) if len(w) >= least]
    other = [j for j, w in enumerate(b) if len(w) >= least]
    if not tested or not other:
        raise StoreError(
            f"contamination needs texts of at least {least} words on both sides, got {len(tested)} of {len(a)} and "
            f"{len(other)} of {len(b)}; give the texts of the questions"
        )
    first, second = [a[i] for i in tested], [b[j] for j in other]
    by_words = [Match(tested[i], other[j], shared) for i, j, shared in shared_runs(first, second, n)]
    by_likeness = [Match(tested[i], other[j], likeness=x) for i, j, x in nearest_of(first, second, near)]
    found = {m.place for m in (*by_words, *by_likeness)}
    share = wilson(len(found), len(tested), level, "texts")
    return Overlap(share, by_words, by_likeness, n, near, least, len(a) - len(tested), len(b) - len(other))


def between_splits(
    tasks: Iterable[Task], text: Callable[[Task], str] = lambda task: task.prompt, **settings: float
) -> dict[tuple[str, str], Overlap]:
    """The overlap of each later split with each earlier one, as ("heldout", "train"); splits without tasks are left out.

    `settings` are those of `overlap`; its `place` and `other` count the tasks of their splits in the order given.
    """
    parts: dict[str, list[str]] = {}
    for task in tasks:
        parts.setdefault(task.split, []).append(text(task))
    there = [s for s in SPLITS if s in parts]
    return {(b, a): overlap(parts[b], parts[a], **settings) for a, b in combinations(there, 2)}  # type: ignore[arg-type]


def shared_runs(texts: Sequence[Words], against: Sequence[Words], n: int) -> Iterator[tuple[int, int, str]]:
    """For each text that shares one: its place, the place of a text that has it, and the run of words.

    Of long texts every run of n words counts, of one shorter than n the whole: first the runs of `against` are looked for
    in the texts, then the short texts in `against`.
    """
    holding, sizes = held_runs(against, n), lengths(against, n)
    found: dict[int, tuple[int, str]] = {}
    for i, words in enumerate(texts):
        run = first_held(words, holding, sizes)
        if run is not None:
            found[i] = holding[run], " ".join(run)
    short: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, words in enumerate(texts):
        if i not in found and len(words) < n:
            short[tuple(words)].append(i)
    sizes = lengths([list(run) for run in short], n)
    for j, words in enumerate(against):
        for run in (r for size in sizes for r in runs(words, size) if r in short):
            for i in short.pop(run):
                found[i] = j, " ".join(run)
    return ((i, *found[i]) for i in sorted(found))


def nearest_of(texts: Sequence[Words], against: Sequence[Words], near: float) -> Iterator[tuple[int, int, float]]:
    """For each text that is near another: its place, the place of the one it is most like, and how like they are."""
    a, b = ([word_pairs(w) for w in side] for side in (texts, against))
    best: dict[int, tuple[float, int]] = {}
    for i, j in near_matches(a, b, near):
        best[i] = max(best.get(i, (0.0, 0)), (jaccard(a[i], b[j]), -j))  # of equals the first
    return ((i, -j, likeness) for i, (likeness, j) in sorted(best.items()))
