"""What is learned from: examples with per-token advantages, packed into padded batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ratchet.core.types import Tokens
from ratchet.models.engine import pad


@dataclass(frozen=True)
class Example:
    """One completion to learn from.

    `advantage` is one number for all its tokens, or one for each. `logprobs` are those of the policy that drew it (empty
    where it was written, not drawn); `reference` those of the reference policy (empty where there is none).
    """

    prefix: Tokens
    tokens: Tokens
    advantage: float | tuple[float, ...] = 1.0
    logprobs: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.prefix) + len(self.tokens)

    @property
    def idle(self) -> bool:
        """No advantage and no reference: by a law of every method it has no gradient."""
        flat = self.advantage if isinstance(self.advantage, tuple) else (self.advantage,)
        return not self.reference and not any(flat)


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
    tokens: int
    sequences: int
    limit: int


Objective = Callable[[Batch, Tensor], tuple[Tensor, dict[str, float]]]
"""(batch, logp (B, T - 1) of the policy that learns) -> (scalar to minimise, metrics to sum over the parts)"""


def micro_batches(
    examples: Sequence[Example], most_tokens: int, limit: int, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """All examples, sorted by length, in parts of at most `most_tokens` padded tokens (and at least one row).

    Idle examples are counted in the divisors but not computed.
    """
    whole = [e for e in examples if e.tokens]
    tokens, sequences = sum(len(e.tokens) for e in whole), len(whole)
    order = sorted((e for e in whole if not e.idle), key=len)
    while order:
        rows = max(1, most_tokens // len(order[-1]))
        order, part = order[:-rows], order[-rows:]
        yield to_batch(part, tokens, sequences, limit, device)


def to_batch(part: Sequence[Example], tokens: int, sequences: int, limit: int, device: torch.device | str) -> Batch:
    ids = pad([e.prefix + e.tokens for e in part])
    mask, old, reference, advantage = torch.zeros(4, len(part), ids.shape[1] - 1)
    for row, e in enumerate(part):
        at = slice(len(e.prefix) - 1, len(e) - 1)
        mask[row, at] = 1.0
        advantage[row, at] = torch.tensor(e.advantage)
        if e.logprobs:
            old[row, at] = torch.tensor(e.logprobs)
        if e.reference:
            reference[row, at] = torch.tensor(e.reference)
    moved = (x.to(device) for x in (ids, mask, old, reference, advantage))
    return Batch(*moved, tokens=tokens, sequences=sequences, limit=limit)
