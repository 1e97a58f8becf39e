"""Distillation: the student's next-token distribution is drawn to a teacher's, at every token that is learned from.

| row | divergence of student q and teacher p | paper |
| --- | --- | --- |
| `forward-kl` | KL(p, q): q covers what p may say | Hinton et al. 2015, arXiv 1503.02531 |
| `reverse-kl` | KL(q, p): q keeps to what p would say | Gu et al. 2023 (MiniLLM), arXiv 2306.08543 |
| `js` | w KL(p, m) + (1 - w) KL(q, m), m = w p + (1 - w) q | Agarwal et al. 2023 (GKD), arXiv 2306.13649 |
| `top-k` | KL(p, q) over the teacher's k likeliest tokens and all others as one | after arXiv 2503.16870 |

A divergence is what a learner reads of its model, in the place of log-probabilities: `Learner(student, read=against(teacher, row))`
learns by the objective `distillation`. What the texts are is a matter of the examples: written ones, or drawn from the student
itself (on-policy, as GKD finds best), or the answers of a search (`ratchet.learn.imitate`).

Departures: MiniLLM takes the gradient of the reverse KL of whole sequences, with what a token does to later ones; here, as in
GKD, it is that of each token given those before it. Nothing is divided by a temperature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ratchet.core.errors import EngineError
from ratchet.core.ranges import at_least_1, require
from ratchet.core.registry import Registry
from ratchet.learn.batch import Batch
from ratchet.learn.parts import token_mean
from ratchet.models.engine import Policy, Read
from ratchet.models.machine import products_in

Divergence = Callable[[Tensor, Tensor], Tensor]
"""(student's log-probabilities (N, V), teacher's (N, V)) -> nats (N,)"""

divergences: Registry[Callable[..., Divergence]] = Registry("divergence", "ratchet.learn")


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Of log-probabilities (N, V), over the last axis."""
    return (p.exp() * (p - q)).sum(-1)


@divergences.add("forward-kl", paper="arXiv 1503.02531")
def forward_kl() -> Divergence:
    """The student shall find likely whatever the teacher may say: imitation of its whole distribution."""
    return lambda student, teacher: kl(teacher, student)


@divergences.add("reverse-kl", paper="arXiv 2306.08543")
def reverse_kl() -> Divergence:
    """The student shall say only what the teacher finds likely; it may leave out much of that."""
    return lambda student, teacher: kl(student, teacher)


@divergences.add("js", paper="arXiv 2306.13649")
def js(*, weight: float = 0.5) -> Divergence:
    """Between both: near `weight` 0 the gradient is that of the forward KL, near 1 that of the reverse (GKD eq. 1; paper: 0.1 to
    0.9). At both ends nothing would be learned."""
    require(0 < weight < 1, "weight", weight, "above 0 and below 1")

    def divergence(student: Tensor, teacher: Tensor) -> Tensor:
        w = torch.tensor(weight, dtype=student.dtype, device=student.device)
        middle = torch.logaddexp(teacher + w.log(), student + torch.log1p(-w))
        return w * kl(teacher, middle) + (1 - w) * kl(student, middle)

    return divergence


@divergences.add("top-k", paper="after arXiv 2503.16870")
def top_k(*, k: int = 32) -> Divergence:
    """Forward KL over the k tokens that the teacher finds likeliest, and all others taken as one: what a store of teacher's
    answers can hold."""
    at_least_1(k=k)

    def divergence(student: Tensor, teacher: Tensor) -> Tensor:
        best, places = teacher.topk(min(k, teacher.shape[-1] - 1), -1)
        kept = student.gather(-1, places)
        return kl(with_rest(best), with_rest(kept))

    return divergence


def with_rest(logp: Tensor) -> Tensor:
    """Log-probabilities of some tokens, and that of all others together."""
    rest = torch.log1p(-logp.logsumexp(-1).exp().clamp(max=1 - 1e-6))
    return torch.cat([logp, rest[..., None]], -1)


def against(teacher: Policy, divergence: Divergence) -> Read:
    """What to read of a student: its divergence from the teacher at each token that the mask names, 0 elsewhere.

    The teacher is not trained and stays as it is. EngineError where its vocabulary is of another size.
    """

    def read(model: Any, ids: Tensor, mask: Tensor, bf16: bool = False) -> Tensor:
        wanted = F.pad(mask, (0, 1))
        with products_in(bf16, ids.device):
            student = model.at(ids, wanted).float().log_softmax(-1)
        with torch.no_grad(), products_in(teacher.bf16, ids.device):
            target = teacher.model.at(ids, wanted).float().log_softmax(-1)  # type: ignore[operator]
        if student.shape != target.shape:
            raise EngineError(
                f"the teacher knows {target.shape[-1]} tokens and the student {student.shape[-1]}; token by token a student learns "
                "only from a teacher with the same tokenizer"
            )
        return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, divergence(student, target))

    return read


def distillation(batch: Batch, divergence: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The mean divergence per token of the update, in nats: the objective over what `against` reads."""
    return token_mean(batch, divergence), {}
