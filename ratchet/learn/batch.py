"""What is learned from: examples with per-token advantages or targets, packed into padded batches."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ratchet.core.types import Completion, Tokens
from ratchet.models.engine import pad

PASS = 128  # tokens that could be computed in the time that one more pass costs beside its tokens


@dataclass(frozen=True)
class Example:
    """One completion to learn from.

    `advantage` is one number for all its tokens, or one for each. `logprobs` are those of the policy that drew it (empty
    where it was written, not drawn); `reference` those of the reference policy (empty where there is none). A critic is
    taught `target`, what it shall say after each token; NaN where nothing is asked. `given` are places of tokens that were put
    in between, not drawn: nothing is learned there.
    """

    prefix: Tokens
    tokens: Tokens
    advantage: float | tuple[float, ...] = 1.0
    logprobs: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    given: tuple[int, ...] = ()

    @classmethod
    def of(cls, c: Completion, advantage: float | tuple[float, ...]) -> Example:
        """A completion that was drawn, with its advantage."""
        return cls(c.prefix, c.tokens, advantage, c.logprobs, given=c.given)

    def __len__(self) -> int:
        return len(self.prefix) + len(self.tokens)

    @property
    def rows(self) -> tuple[Example, ...]:
        """What must stand in one micro-batch with it: itself alone."""
        return (self,)

    def with_references(self, scores: Sequence[Sequence[float]]) -> Example:
        """With the reference's log-probabilities of its row; those that it brings along stay."""
        return self if self.reference else replace(self, reference=tuple(scores[0]))

    @property
    def learned(self) -> int:
        """How many tokens are learned from."""
        return sum(not math.isnan(x) for x in self.target) if self.target else len(self.tokens) - len(self.given)

    @property
    def idle(self) -> bool:
        """Nothing is asked, or no advantage and no reference: by a law of every method it has no gradient."""
        if self.target:
            return not self.learned
        flat = self.advantage if isinstance(self.advantage, tuple) else (self.advantage,)
        return not self.reference and not any(flat)


@dataclass(frozen=True)
class Pair:
    """Two completions of one prefix, of which the first is preferred. Their rows stand together in a micro-batch, so that of its
    rows 0::2 are chosen and 1::2 rejected; their advantages are 1 and -1, whatever the examples said."""

    chosen: Example
    rejected: Example

    def __len__(self) -> int:
        return max(len(self.chosen), len(self.rejected))

    @property
    def rows(self) -> tuple[Example, ...]:
        return replace(self.chosen, advantage=1.0), replace(self.rejected, advantage=-1.0)

    def with_references(self, scores: Sequence[Sequence[float]]) -> Pair:
        chosen, rejected = scores
        return Pair(self.chosen.with_references([chosen]), self.rejected.with_references([rejected]))


Unit = Example | Pair
"""What is cut into micro-batches whole. The units of one update are of one kind."""


@dataclass(frozen=True)
class Batch:
    """A padded part of one update. B rows, T tokens; `mask` is 1 on the learned tokens.

    `tokens`, `sequences` and `limit` describe the whole update, not this part of it: a reduction divides by them, so
    that cutting an update into parts does not change its gradient.
    """

    ids: Tensor  # (B, T)
    mask: Tensor  # (B, T - 1), as are all below: entry t is about the token at t + 1
    old: Tensor
    reference: Tensor
    advantage: Tensor
    target: Tensor
    tokens: int
    sequences: int
    limit: int


Objective = Callable[[Batch, Tensor], tuple[Tensor, dict[str, float]]]
"""(batch, (B, T - 1) of what is read of the model that learns: the log-probabilities of a policy, the values of a critic) ->
(scalar to minimise, metrics to sum over the parts)"""


def micro_batches(units: Sequence[Unit], most_tokens: int, limit: int, device: torch.device | str = "cpu") -> Iterator[Batch]:
    """All units, the longest first, in parts of at most `most_tokens` padded tokens (and at least one unit).

    Idle examples are counted in the divisors but not computed; a unit with a row that is empty is left out.
    """
    whole = [u for u in units if all(row.tokens for row in u.rows)]
    rows = [row for u in whole for row in u.rows]
    tokens, sequences = sum(row.learned for row in rows), len(rows)
    order = sorted((u for u in whole if not all(row.idle for row in u.rows)), key=padded_tokens, reverse=True)
    start = 0
    for n in cuts([padded_tokens(u) for u in order], most_tokens):
        part = [row for u in order[start : start + n] for row in u.rows]
        yield to_batch(part, tokens, sequences, limit, device)
        start += n


def padded_tokens(unit: Unit) -> int:
    """What its rows take in a batch that has nothing longer."""
    return len(unit) * len(unit.rows)


def cuts(lengths: Sequence[int], most_tokens: int) -> list[int]:
    """How many rows to take for each part, for falling lengths: the split with the least padding and passes together.

    >>> cuts([200, 200, 190, 20, 20, 20], 4096)
    [3, 3]
    """
    n = len(lengths)
    ends = [j for j in range(1, n + 1) if j == n or lengths[j] < lengths[j - 1]]
    cost, rows = [0] * (n + 1), [0] * n
    for i in reversed(range(n)):
        furthest = min(n, i + max(1, most_tokens // lengths[i]))
        tried = {furthest, *ends[bisect_right(ends, i) : bisect_right(ends, furthest)]}
        cost[i], rows[i] = min((cost[j] + (j - i) * lengths[i] + PASS, j - i) for j in tried)
    parts = list[int]()
    while sum(parts) < n:
        parts.append(rows[sum(parts)])
    return parts


def to_batch(part: Sequence[Example], tokens: int, sequences: int, limit: int, device: torch.device | str) -> Batch:
    ids = pad([e.prefix + e.tokens for e in part])
    mask, old, reference, advantage, target = torch.zeros(5, len(part), ids.shape[1] - 1)
    for row, e in enumerate(part):
        at = slice(len(e.prefix) - 1, len(e) - 1)
        mask[row, at] = 1.0
        advantage[row, at] = torch.tensor(e.advantage)
        if e.logprobs:
            old[row, at] = torch.tensor(e.logprobs)
        if e.reference:
            reference[row, at] = torch.tensor(e.reference)
        if e.given:
            mask[row, [len(e.prefix) - 1 + place for place in e.given]] = 0.0
        if e.target:
            asked = torch.tensor(e.target)
            mask[row, at] = asked.isfinite().float()
            target[row, at] = asked.nan_to_num(0.0)
    moved = (x.to(device) for x in (ids, mask, old, reference, advantage, target))
    return Batch(*moved, tokens=tokens, sequences=sequences, limit=limit)
