"""Rows that learn from demonstrations beside samples.

A demonstration is an `Example` without log-probabilities: it was written, so the policy that "drew" it gave it probability 1
(log-probability 0). Its reward is its `advantage`, 1 by default. It joins the samples of its task by having their prefix.

A group of n samples and a demonstration counts as n + 1 sequences, whichever of them are learned from; where a paper weighs
the mean over samples and the loss of the demonstration alike, the demonstration has the advantage n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ratchet.core.ranges import above_0, at_least_1, require
from ratchet.learn import parts, shapes
from ratchet.learn.batch import Batch, Example
from ratchet.learn.parts import Surrogate
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.train import Learner


def by_origin(drawn: Surrogate, written: Surrogate) -> Surrogate:
    """One surrogate for what a policy drew, another for what was written."""

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        sampled = batch.old.any(-1, keepdim=True)
        return torch.where(sampled, drawn(batch, logp, ratio), written(batch, logp, ratio))

    return surrogate


def shaped_probability(gamma: float) -> Surrogate:
    """LUFFY: p / (p + gamma) in place of the probability p, which has a steep slope for rare tokens."""
    above_0(gamma=gamma)

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        p = logp.exp()
        return p / (p + gamma) * batch.advantage

    return surrogate


Coefficients = Callable[[list[float]], tuple[float, float]]
"""The rewards of a group's samples -> the weight of learning from them, and of learning from the demonstration."""


def weighed(advantage: parts.Advantage, coefficients: Coefficients) -> shapes.Shape:
    """Advantages among the samples times one coefficient; the demonstrations' is the other, times samples per demonstration."""

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        shaped = list(examples)
        for own in shapes.groups(examples):
            drawn = [i for i in own if examples[i].logprobs]
            written = [i for i in own if not examples[i].logprobs]
            rewards = [shapes.reward_of(examples[i]) for i in drawn]
            on, off = coefficients(rewards) if drawn and written else (1.0, 1.0)
            for i, a in zip(drawn, shapes.among(advantage, rewards) if drawn else (), strict=True):
                shaped[i] = replace(examples[i], advantage=on * a)
            for i in written:
                shaped[i] = replace(examples[i], advantage=off * max(len(drawn), 1) / len(written))
        return shaped

    return shape


@rows.add("luffy", paper="arXiv 2504.14945")
def luffy(*, gamma: float = 0.1, clip: float = math.inf) -> PolicyGradient:
    """Demonstrations join their group as samples of another policy, their probabilities reshaped (paper: 0.1, without clip)."""
    surrogate = by_origin(parts.clipped_alike(clip), shaped_probability(gamma))
    shape = shapes.grouped(parts.group_centred)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.constant_length, shape=shape, demonstrations=True)


@rows.add("hpt", paper="arXiv 2509.04419")
def hpt(*, gate: float = 0.0, clip: float = 0.2) -> PolicyGradient:
    """Tasks solved more often than `gate` learn from their samples, the others from their demonstration; at -1 all from their samples.

    Departure: both kinds are means over their sequences, so that every task weighs the same.
    """
    require(-1 <= gate <= 1, "gate", gate, "a share from 0 to 1, or -1")
    coefficients: Coefficients = lambda rewards: (1.0, 0.0) if sum(rewards) / len(rewards) > gate else (0.0, 1.0)
    surrogate = by_origin(parts.clipped_alike(clip), parts.score_function)
    shape = weighed(parts.group_centred, coefficients)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.sequence_mean, shape=shape, demonstrations=True)


@rows.add("ahpo", paper="arXiv 2510.08540")
def ahpo(*, successes: int = 1, clip: float = 0.2) -> PolicyGradient:
    """Samples always teach; the demonstration beside them where fewer than `successes` of them earned anything."""
    at_least_1(successes=successes)
    coefficients: Coefficients = lambda rewards: (1.0, float(sum(r > 0 for r in rewards) < successes))
    surrogate = by_origin(parts.clipped_alike(clip), parts.score_function)
    shape = weighed(parts.group_normalised, coefficients)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.sequence_mean, shape=shape, demonstrations=True)
