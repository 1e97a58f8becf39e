"""How many different answers a model gives, and how sure it is of each token, before and after; in nats.

The entropy over a problem's final answers is estimated from few samples, and the plug-in estimate -sum p log p is then too
low, by about (answers - 1) / 2n (Miller 1955; Paninski 2003, Neural Computation 15:1191): `corrected` adds that back for
the answers that were seen. The bias depends on n, so two models are compared at the same number of answers per problem.
Wu et al. 2025 (arXiv 2507.14843, sec. 4): reinforcement can raise the entropy of tokens and lower that of answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate
from ratchet.measure.estimate import Change, change, mean

UNIT = "problems"
Answers = Sequence[Hashable]
"""The final answers of one problem's samples; None and "" are no answer and are left out."""
Drawn = tuple[float, int]
"""Sum of the log-probabilities (nats) of a sample's tokens, and how many tokens there are."""


class Nats(NamedTuple):
    """Entropy of one problem's answers."""

    plug_in: float
    corrected: float


def answer_entropy(answers: Answers, size: int | None = None) -> Nats:
    """Entropy (nats) over the distinct answers of one problem, plug-in and corrected (Miller and Madow).

    `size` gives what that many of the answers would show, averaged exactly over all choices of them (as rarefaction does,
    Hurlbert 1971), so that 64 answers can be set against 8. Raises StoreError where there are fewer answers than `size`,
    or fewer than 2: one answer says nothing about how they differ.

    >>> answer_entropy(["a", "a", "b", "b"]).plug_in == math.log(2)
    True
    """
    counts = Counter(a for a in answers if a is not None and a != "")
    n = counts.total()
    size = n if size is None else size
    if not 2 <= size <= n:
        raise StoreError(f"entropy of {size} of {n} answers: at least 2 are needed, and no more than there are")
    terms = [_term(n, c, size) for c in counts.values()]
    plug_in, distinct = math.fsum(t[0] for t in terms), math.fsum(t[1] for t in terms)
    return Nats(plug_in, plug_in + (distinct - 1) / (2 * size))


@lru_cache(maxsize=4096)
def _term(n: int, count: int, size: int) -> tuple[float, float]:
    """Of an answer given `count` times in n: its mean -p log p among `size` of them, and its chance to be there."""
    seen = np.arange(1, min(count, size) + 1)
    chance = stats.hypergeom.pmf(seen, n, count, size) if size < n else (seen == count).astype(float)
    share = seen / size
    return float(chance @ (-share * np.log(share))), float(chance.sum())


def mean_answer_entropy(problems: Sequence[Answers], clusters: Sequence[Hashable] | None = None, level: float = 0.95) -> Estimate:
    """Mean corrected entropy (nats) over the problems with at least 2 answers. StoreError where none has."""
    able = [i for i, answers in enumerate(problems) if answered(answers) >= 2]
    if not able:
        raise StoreError("answer entropy needs a problem with at least 2 answers; draw more samples per problem")
    values = [answer_entropy(problems[i]).corrected for i in able]
    return mean(values, None if clusters is None else [clusters[i] for i in able], level, UNIT, (0.0, max(values)))


@dataclass(frozen=True)
class EntropyChange:
    """`corrected` and `plug_in` in nats, of the same problems at equal numbers of answers; `left_out` had fewer than 2."""

    corrected: Change
    plug_in: Change
    left_out: int


def answer_entropy_change(
    before: Sequence[Answers],
    after: Sequence[Answers],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    unit: str = UNIT,
) -> EntropyChange:
    """Change of answer entropy over the same problems, each taken at the number of answers of the side that has fewer.

    Two draws of one model differ by 0 in expectation, however many samples each has. Raises StoreError for lists of
    different lengths, or where no problem has 2 answers on both sides.
    """
    same_problems("answer entropy", before, after, clusters)
    sizes = [min(answered(a), answered(b)) for a, b in zip(before, after, strict=True)]
    able = [i for i, size in enumerate(sizes) if size >= 2]
    if not able:
        raise StoreError("answer entropy needs a problem with at least 2 answers on both sides; draw more samples per problem")
    groups = None if clusters is None else [clusters[i] for i in able]
    a, b = ([answer_entropy(side[i], sizes[i]) for i in able] for side in (before, after))
    corrected = change([x.corrected for x in a], [x.corrected for x in b], groups, level, unit)
    plug_in = change([x.plug_in for x in a], [x.plug_in for x in b], groups, level, unit)
    return EntropyChange(corrected, plug_in, len(before) - len(able))


def answered(answers: Answers) -> int:
    return sum(a is not None and a != "" for a in answers)


def drawn(logprobs: Sequence[float]) -> Drawn:
    """The total of one sample's log-probabilities (tokens,). StoreError for none, or one that is above 0 or not finite."""
    if not logprobs or not all(-math.inf < x <= 0 for x in logprobs):
        raise StoreError("token entropy needs the log-probability of each sampled token, finite and at most 0, at least one")
    return math.fsum(logprobs), len(logprobs)


def token_entropy(
    problems: Sequence[Sequence[Drawn]], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """Mean over problems of nats per token, from the log-probabilities of sampled tokens.

    -log p of a token drawn from p has the entropy of p as its mean, so it is an unbiased estimate of the entropy at its
    place, where it was drawn from just the distribution that its log-probability is of (no top-p cut, the same
    temperature). A problem's number is over all tokens of its samples, so that long samples weigh more. Raises StoreError
    for a problem without tokens.
    """
    values = [_per_token(samples) for samples in problems]
    if not values:
        raise StoreError("token entropy needs at least one problem")
    return mean(values, clusters, level, UNIT, (0.0, max(values)))


def token_entropy_change(
    before: Sequence[Sequence[Drawn]],
    after: Sequence[Sequence[Drawn]],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    unit: str = UNIT,
) -> Change:
    """Change of nats per token over the same problems, paired. Raises StoreError as `token_entropy` does."""
    same_problems("token entropy", before, after, clusters)
    return change([_per_token(s) for s in before], [_per_token(s) for s in after], clusters, level, unit)


def _per_token(samples: Sequence[Drawn]) -> float:
    tokens = sum(n for _, n in samples)
    if not tokens:
        raise StoreError("token entropy: a problem has no sampled token; leave it out")
    return -math.fsum(total for total, _ in samples) / tokens


def same_problems(what: str, before: Sequence[object], after: Sequence[object], clusters: Sequence[Hashable] | None) -> None:
    """StoreError unless the lists are of the same problems, as far as their lengths say, and there is one."""
    if not len(before) or len({len(before), len(after), len(before if clusters is None else clusters)}) != 1:
        raise StoreError(f"{what} needs the same problems before and after, at least one, got {len(before)} and {len(after)}")
