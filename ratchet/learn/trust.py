"""Rows that differ in how far they trust samples of an older policy, or of another engine than the one that learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ratchet.core.ranges import above_0, at_least_0, at_least_0_or_endless, at_least_1_or_endless
from ratchet.learn import parts, shapes
from ratchet.learn.batch import Batch, Example
from ratchet.learn.parts import Surrogate
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.train import Learner
from ratchet.models.engine import score

# ---- surrogates: made with a number that its formula does not allow, one raises RecipeError ------------------------


def gated(praised: float, punished: float) -> Surrogate:
    """SAPO: a smooth gate of the ratio in place of the clip, of slope 1 at 1; the larger the temperature, the narrower."""
    above_0(praised=praised, punished=punished)

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        t = torch.where(batch.advantage > 0, praised, punished).to(logp.dtype)
        return 4 / t * (t * (ratio - 1)).sigmoid() * batch.advantage

    return surrogate


def geometric(low: float, high: float) -> Surrogate:
    """GMPO: the geometric mean of the sequence's ratios, each clipped to [e^-low, e^high] on the side that its sign closes."""
    at_least_0_or_endless(low=low, high=high)

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        log_ratio = (logp - batch.old) * batch.mask
        kept = log_ratio.clamp(-low, high)
        pessimistic = torch.where(batch.advantage > 0, torch.minimum(log_ratio, kept), torch.maximum(log_ratio, kept))
        lengths = batch.mask.sum(-1, keepdim=True).clamp(min=1)
        return (pessimistic.sum(-1, keepdim=True) / lengths).exp() * batch.advantage

    return surrogate


def gamma_weight(praised: tuple[float, float], punished: tuple[float, float]) -> Surrogate:
    """VESPO: w^k e^(lambda (1 - w)) of the whole sequence's ratio w, held constant, weighs the score function."""

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        log_w = ((logp - batch.old) * batch.mask).sum(-1, keepdim=True).detach()
        up = batch.advantage >= 0
        k, rate = (torch.where(up, a, b).to(logp.dtype) for a, b in zip(praised, punished, strict=True))
        return (k * log_w + rate * (1 - log_w.exp())).exp() * batch.advantage * logp

    return surrogate


def variation(old: Tensor, new: Tensor) -> Tensor:
    """By how much the token's probability moved."""
    return (new.exp() - old.exp()).abs()


def binary_kl(old: Tensor, new: Tensor) -> Tensor:
    """KL of the old from the new policy, seen as a choice between this token and all others."""
    p, q = old.exp(), new.exp()
    return p * (old - new) + (1 - p) * ((1 - p + 1e-8) / (1 - q + 1e-8)).log()


def within(divergence: Callable[[Tensor, Tensor], Tensor], low: float, high: float, most: float) -> Surrogate:
    """DPPO: no gradient for a token that has moved further than the bound, in the direction that its advantage pushes."""
    at_least_0_or_endless(low=low, high=high)
    at_least_1_or_endless(most=most)

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        moved, now = divergence(batch.old, logp.detach()), logp.detach()
        up, down = (moved <= high) | (now <= batch.old), (moved <= low) | (now >= batch.old)
        near = torch.where(batch.advantage > 0, up, down)
        return ratio.detach().clamp(max=most) * near * batch.advantage * logp

    return surrogate


def fresh(surrogate: Surrogate, threshold: float) -> Surrogate:
    """DeepSeek-V3.2: punished sequences do not count that the policy has left by more than this, in nats per token."""
    at_least_0_or_endless(threshold=threshold)

    def kept(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        lengths = batch.mask.sum(-1, keepdim=True).clamp(min=1)
        left = ((batch.old - logp.detach()) * batch.mask).sum(-1, keepdim=True) / lengths
        return surrogate(batch, logp, ratio) * ((batch.advantage >= 0) | (left <= threshold))

    return kept


# ---- the sampler is not the learner ------------------------------------------------------------------------------


def corrected(cap: float, whole: bool = False, drop: bool = False) -> shapes.Shape:
    """Truncated importance sampling between engine and learner: advantages times min(learner / engine, cap), and from here on
    the learner's own log-probabilities. `whole` takes one weight for the sequence; `drop` puts 0 where the cap is passed.
    """
    at_least_1_or_endless(cap=cap)

    def weights(own: Sequence[float], engine: Sequence[float]) -> list[float]:
        logs = [a - b for a, b in zip(own, engine, strict=True)]
        logs = [math.fsum(logs)] * len(logs) if whole else logs
        past = 0.0 if drop else cap
        return [math.exp(x) if x <= math.log(cap) else past for x in logs]

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        drawn = [e for e in examples if e.logprobs]
        scores = iter(score(learner.policy.model, [(e.prefix, e.tokens) for e in drawn], learner.policy.bf16))
        return [corrected_by(e, tuple(next(scores))) if e.logprobs else e for e in examples]

    def corrected_by(e: Example, own: tuple[float, ...]) -> Example:
        own = tuple(0.0 if i in e.given else x for i, x in enumerate(own))  # as the engine's, of what it did not draw
        pairs = zip(shapes.per_token(e), weights(own, e.logprobs), strict=True)
        return replace(e, advantage=tuple(a * w for a, w in pairs), logprobs=own)

    return shape


# ---- rows --------------------------------------------------------------------------------------------------------


@rows.add("intellect-2", paper="arXiv 2505.07291")
def two_sided(*, low: float = 0.2, high: float = 0.2, delta: float = 4.0) -> PolicyGradient:
    """GRPO with a bound on the ratio of what is punished, and the mean over tokens (paper: delta 4)."""
    at_least_1_or_endless(delta=delta)
    return PolicyGradient(parts.group_normalised, parts.token_ratio, parts.clipped(low, high, delta), parts.token_mean)


@rows.add("sapo", paper="arXiv 2511.20347")
def sapo(*, praised: float = 1.0, punished: float = 1.05) -> PolicyGradient:
    """A smooth gate in place of the clip, narrower for what is punished (paper: 1 and 1.05)."""
    return PolicyGradient(parts.group_normalised, parts.token_ratio, gated(praised, punished), parts.sequence_mean)


@rows.add("gmpo", paper="arXiv 2507.20673")
def gmpo(*, low: float = 0.4, high: float = 0.4) -> PolicyGradient:
    """The geometric mean of the ratios, so that no single one decides (paper: clip at e^-0.4 and e^0.4)."""
    return PolicyGradient(parts.group_normalised, parts.token_ratio, geometric(low, high), parts.sequence_mean)


@rows.add("luspo", paper="TRL's loss_type luspo")
def luspo(*, low: float = 3e-4, high: float = 4e-4) -> PolicyGradient:
    """GSPO without the division by the sequence's length, which favours short answers."""
    return PolicyGradient(parts.group_normalised, parts.sequence_ratio, parts.clipped(low, high), parts.sequence_sum)


@rows.add("vespo", paper="TRL's loss_type vespo")
def vespo(
    *, k_praised: float = 2.0, rate_praised: float = 3.0, k_punished: float = 3.0, rate_punished: float = 2.0
) -> PolicyGradient:
    """A weight of the whole sequence's ratio that falls on both sides of its peak (k and lambda as TRL sets them)."""
    at_least_0(k_praised=k_praised, rate_praised=rate_praised, k_punished=k_punished, rate_punished=rate_punished)
    surrogate = gamma_weight((k_praised, rate_praised), (k_punished, rate_punished))
    return PolicyGradient(parts.group_normalised, parts.token_ratio, surrogate, parts.token_mean)


@rows.add("dppo-tv", paper="arXiv 2602.04879")
def dppo_tv(*, low: float = 0.2, high: float = 0.2, most: float = 20.0) -> PolicyGradient:
    """Trust by how far a token's probability moved, not by its ratio, which is large for rare tokens (verl: 0.2, 20)."""
    surrogate = within(variation, low, high, most)
    return PolicyGradient(parts.group_normalised, parts.token_ratio, surrogate, parts.token_mean)


@rows.add("dppo-kl", paper="arXiv 2602.04879")
def dppo_kl(*, low: float = 0.2, high: float = 0.2, most: float = 20.0) -> PolicyGradient:
    """As dppo-tv, by the KL of the choice between the token and all others."""
    surrogate = within(binary_kl, low, high, most)
    return PolicyGradient(parts.group_normalised, parts.token_ratio, surrogate, parts.token_mean)


@rows.add("dro", paper="arXiv 2405.19107")
def dro(*, beta: float = 1.0) -> PolicyGradient:
    """The score function, held to the policy that drew by half the squared log-ratio.

    Departure: the paper learns a value as the baseline; here it is the group's mean, as in verl's use of the loss.
    """
    shape = shapes.chain(shapes.grouped(parts.group_centred), shapes.held_to_sampler)
    return PolicyGradient(parts.plain, parts.token_ratio, parts.score_function, parts.token_mean, parts.k2, beta, shape=shape)


@rows.add("deepseek-v3.2", paper="arXiv 2512.02556")
def deepseek(*, clip: float = 0.2, threshold: float = 0.5, beta: float = 0.0) -> PolicyGradient:
    """GRPO that leaves out punished sequences which the policy has left behind, with an anchor unbiased off-policy.

    The abstract gives no threshold; `threshold` is in nats per token.
    """
    surrogate, anchor = fresh(parts.clipped_alike(clip), threshold), parts.reweighed(parts.k3)
    return PolicyGradient(parts.group_normalised, parts.token_ratio, surrogate, parts.sequence_mean, anchor, beta)


@rows.add("tis", paper="Ionides 2008; verl's rollout correction")
def tis(*, cap: float = 2.0) -> PolicyGradient:
    """REINFORCE weighed by the truncated ratio of learner over engine, token by token (verl: cap 2)."""
    return PolicyGradient(parts.group_centred, parts.token_ratio, parts.truncated_weight(cap), parts.sequence_sum)


@rows.add("tis-sequence", paper="Ionides 2008; verl's rollout correction")
def tis_sequence(*, cap: float = 2.0) -> PolicyGradient:
    """As tis, with one ratio for the whole sequence."""
    return PolicyGradient(parts.group_centred, parts.whole_ratio, parts.truncated_weight(cap), parts.sequence_sum)


@rows.add("decoupled", paper="arXiv 2110.00641; arXiv 2505.24298")
def decoupled(*, clip: float = 0.2, cap: float = 2.0, beta: float = 0.0, kl: str = "k3") -> PolicyGradient:
    """GRPO between three policies: the clip holds to the learner's own, the truncated weight repairs the engine's."""
    shape = shapes.chain(shapes.grouped(parts.group_normalised), corrected(cap))
    surrogate = parts.clipped_alike(clip)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.token_mean, parts.estimated(kl), beta, shape=shape)
