"""Maximum likelihood on given sequences, for whoever wants a trained model and no run around it; and masked thoughts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ratchet.core.seeds import Part, seed
from ratchet.learn.batch import Example
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.train import Learner
from ratchet.models.engine import Policy, Read
from ratchet.models.machine import products_in


def imitate(
    policy: Policy, examples: Callable[[int], Sequence[Example]], updates: int, lr: float = 3e-3, muon: float = 0.0
) -> list[float]:
    """Train on `examples(update)` for so many updates, with a short warm-up and a rate that falls to a tenth.

    `lr` and `muon` are the learner's: AdamW's rate, and Muon's for the layers' matrices where it is above 0. An example's advantage
    is its weight. Returns the loss of every update, in nats per token.
    """
    objective = cast(Callable[[], PolicyGradient], rows["imitation"])()
    learner = Learner(policy, lr=lr, muon=muon, warmup=min(20, updates // 5 + 1), steps=updates, final=0.1)
    return [learner.update(examples(update), objective)["loss"] for update in range(updates)]


def masked_thought(token: int, *path: Part, share: float = 0.4) -> Read:
    """Log-probabilities of a text of which the model sees a `share` of the learned tokens only as `token` (a mask or padding token);
    all are still to be predicted (arXiv 2403.02178; paper: a share of 0.2 to 0.4).

    Which ones is a function of `path` and the row's own tokens: give another path for each update.
    """

    def read(model: Any, ids: Tensor, mask: Tensor, bf16: bool = False) -> Tensor:
        hidden = torch.stack([hidden_places(row, asked, share, *path) for row, asked in zip(ids, mask, strict=True)])
        seen = torch.where(hidden, token, ids)
        with products_in(bf16, ids.device):
            logits = model.at(seen, F.pad(mask, (0, 1))).float()
        picked = logits.gather(-1, ids[:, 1:][mask][:, None])[:, 0] - logits.logsumexp(-1)
        return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, picked)

    return read


def hidden_places(row: Tensor, asked: Tensor, share: float, *path: Part) -> Tensor:
    """Which tokens (T,) of a row are hidden: of those that are learned, up to the last one's place."""
    learned = F.pad(asked, (1, 0))
    last = int(learned.nonzero().max()) + 1 if bool(asked.any()) else 0
    generator = torch.Generator().manual_seed(seed(*path, "masked", *row[:last].tolist()) % 2**63)
    chance = torch.ones(len(row))
    chance[:last] = torch.rand(last, generator=generator)
    return (chance < share).to(row.device) & learned
