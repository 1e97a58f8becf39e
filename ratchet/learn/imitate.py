"""Maximum likelihood on given sequences, for whoever wants a trained model and no run around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from ratchet.learn.batch import Example
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.train import Learner
from ratchet.models.engine import Policy


def imitate(
    policy: Policy, examples: Callable[[int], Sequence[Example]], updates: int, lr: float = 3e-3, muon: float = 0.0
) -> list[float]:
    """Train on `examples(update)` for so many updates, with a short warm-up and a rate that falls to a tenth.

    `lr` and `muon` are the learner's: AdamW's rate, and Muon's for the layers' matrices where it is above 0. Returns the
    loss of every update, in nats per token.
    """
    objective = cast(Callable[[], PolicyGradient], rows["imitation"])()
    learner = Learner(policy, lr=lr, muon=muon, warmup=min(20, updates // 5 + 1), steps=updates, final=0.1)
    return [learner.update(examples(update), objective)["loss"] for update in range(updates)]
