"""Learned verifiers as rows over two parts: where the labels lie x the loss.

| row | labels | loss | paper |
| --- | --- | --- | --- |
| `orm` | the outcome, after the last token | cross-entropy | Cobbe et al. 2021, arXiv 2110.14168 |
| `ovm` | the outcome, after every token | squared error | Yu et al. 2023, arXiv 2311.09724 |
| `prm` | each step's own label, at its end | cross-entropy | Lightman et al. 2023, arXiv 2305.20050 |

Departures: every value is the sigmoid of a logit, so that squared error is taken of a chance, not of a number without bounds;
no row adds the language model's own loss, as the papers on outcomes do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from ratchet.core.registry import Registry
from ratchet.core.types import Tokens
from ratchet.learn.batch import Batch, Example
from ratchet.learn.parts import token_mean
from ratchet.learn.train import Learner
from ratchet.models.critic import Critic, token_values


@dataclass(frozen=True)
class Judged:
    """A text to learn a verdict from: its `outcome` in [0, 1], and `steps`, the label of each step by the place of its last
    token. Either may be missing (NaN, empty), where the row does not ask for it."""

    prefix: Tokens
    tokens: Tokens
    outcome: float = math.nan
    steps: tuple[tuple[int, float], ...] = ()


# ---- where labels lie: a judged text -> what shall be said after each token, NaN where nothing is asked ----------

Labels = Callable[[Judged], tuple[float, ...]]


def at_the_end(judged: Judged) -> tuple[float, ...]:
    """The outcome, once."""
    return (*[math.nan] * (len(judged.tokens) - 1), judged.outcome)


def everywhere(judged: Judged) -> tuple[float, ...]:
    """The outcome, whatever it was, of every prefix."""
    return (judged.outcome,) * len(judged.tokens)


def at_steps(judged: Judged) -> tuple[float, ...]:
    """Each step's own label."""
    labels = dict(judged.steps)
    return tuple(labels.get(place, math.nan) for place in range(len(judged.tokens)))


# ---- loss: (logits, targets) -> per token ------------------------------------------------------------------------

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Nats per label."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def squared_error(logits: Tensor, target: Tensor) -> Tensor:
    """Of the value, which is a chance."""
    return (logits.sigmoid() - target).square()


# ---- rows --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verifier:
    """One row. Called with (batch, logits) it is an Objective: the mean loss over all labels of the update."""

    labels: Labels
    loss: Loss

    def example(self, judged: Judged) -> Example:
        return Example(judged.prefix, judged.tokens, target=self.labels(judged))

    def __call__(self, batch: Batch, logits: Tensor) -> tuple[Tensor, dict[str, float]]:
        return token_mean(batch, self.loss(logits, batch.target)), {}


critics: Registry[Verifier] = Registry("learned verifier", "ratchet.learn")
critics.put("orm", Verifier(at_the_end, cross_entropy), "arXiv 2110.14168", "The outcome, learned after the last token.")
critics.put(
    "ovm", Verifier(everywhere, squared_error), "arXiv 2311.09724", "The outcome, learned after every token of every prefix."
)
critics.put("prm", Verifier(at_steps, cross_entropy), "arXiv 2305.20050", "Each step's own label, learned at the step's end.")


def fit(
    critic: Critic, row: Verifier, judged: Callable[[int], Sequence[Judged]], updates: int, lr: float = 1e-3, muon: float = 0.0
) -> list[float]:
    """Train a critic on `judged(update)` for so many updates, with a short warm-up and a rate that falls to a tenth.

    `lr` and `muon` are the learner's: AdamW's rate, and Muon's for the layers' matrices where it is above 0. Returns the
    loss of every update, per label.
    """
    learner = Learner(critic, lr=lr, muon=muon, warmup=min(20, updates // 5 + 1), steps=updates, final=0.1, read=token_values)
    return [learner.update([row.example(j) for j in judged(update)], row)["loss"] for update in range(updates)]
