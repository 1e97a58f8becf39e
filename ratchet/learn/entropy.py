"""What a row with an entropy bonus reads of the policy: log-probabilities, and the entropies of the choices behind them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ratchet.models.machine import products_in


def logprobs_and_entropies(model: Any, ids: Tensor, mask: Tensor, bf16: bool = False) -> Tensor:
    """(2, B, T - 1) for ids (B, T): the log-probability of each next token where `mask` (B, T - 1) is true, and the entropy,
    in nats, of the distribution that it is drawn from; 0 elsewhere."""
    with products_in(bf16, ids.device):
        logits = model.at(ids, F.pad(mask, (0, 1))).float()
    logp = logits.log_softmax(-1)
    picked = logp.gather(-1, ids[:, 1:][mask][:, None])[:, 0]
    empty = torch.zeros(mask.shape, device=ids.device)
    return torch.stack([empty.masked_scatter(mask, x) for x in (picked, -(logp.exp() * logp).sum(-1))])
