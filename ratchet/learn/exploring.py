"""Rows that look for more than one way to be right: pass@k, rare answers, covariances, early tools, long and broad runs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import comb, fsum, isfinite
from typing import Any

import torch
from torch import Tensor

from ratchet.core.ranges import at_least_0_or_endless, at_least_1, from_0_to_1, require, some_text
from ratchet.core.seeds import rng
from ratchet.learn import parts, shapes
from ratchet.learn.batch import Example
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.train import Learner
from ratchet.models.tokens import Tokenizer

# ---- the best of k of a group ------------------------------------------------------------------------------------


def by_group(within: Callable[[list[float]], list[float]]) -> parts.Advantage:
    """An advantage from what is done within one group's judged rewards; zeros where there are fewer than two."""

    def advantage(rewards_PG: Tensor) -> Tensor:
        out = torch.zeros_like(rewards_PG)
        for row, judged, rewards in zip(out, rewards_PG.isfinite(), rewards_PG, strict=True):
            if judged.sum() > 1:
                row[judged] = torch.tensor(within(rewards[judged].tolist()), dtype=out.dtype)
        return out

    return advantage


def best_of(k: int, rewards: Sequence[float]) -> float:
    """The mean over all choices of k rewards of the greatest: the r-th smallest is it in C(r - 1, k - 1) of C(n, k)."""
    ways = [comb(r, k - 1) for r in range(len(rewards))]
    return fsum(w * x for w, x in zip(ways, sorted(rewards), strict=True)) / comb(len(rewards), k)


def best_without(k: int, rewards: Sequence[float]) -> list[float]:
    """`best_of` the others, for each reward, in n log n steps: ranks above the one left out move down by one."""
    n = len(rewards)
    order = sorted(range(n), key=rewards.__getitem__)
    ways = [comb(r, k - 1) for r in range(n)]
    below, above = [0.0] * n, [0.0] * n
    for r in range(1, n):
        below[r] = below[r - 1] + ways[r - 1] * rewards[order[r - 1]]
        above[n - 1 - r] = above[n - r] + ways[n - 1 - r] * rewards[order[n - r]]
    out = [0.0] * n
    for r, i in enumerate(order):
        out[i] = (below[r] + above[r]) / comb(n - 1, k)
    return out


def best_with(k: int, rewards: Sequence[float]) -> list[float]:
    """The mean of the greatest over all choices of k that hold each reward."""
    n, whole = len(rewards), best_of(k, rewards)
    if k == n:
        return [whole] * n
    return [(n * whole - (n - k) * rest) / k for rest in best_without(k, rewards)]


def marginal(k: int) -> parts.Advantage:
    """By how much a sample raises the greatest reward of a choice of k that holds it; all of the group where k is 0.

    Times k/n this is an unbiased estimate of what the sample's score weighs in the gradient of the best of k.
    """

    def within(rewards: list[float]) -> list[float]:
        size = min(k or len(rewards), len(rewards))
        return [a - b for a, b in zip(best_with(size, rewards), best_without(size - 1, rewards), strict=True)]

    return by_group(within)


def over_deviation(advantage: parts.Advantage, epsilon: float = 1e-6) -> parts.Advantage:
    """The advantage over the deviation of its group's rewards."""

    def scaled(rewards_PG: Tensor) -> Tensor:
        return advantage(rewards_PG) / (deviations(rewards_PG) + epsilon)

    return scaled


def deviations(rewards_PG: Tensor) -> Tensor:
    """(P, 1); n - 1 in them."""
    n = rewards_PG.isfinite().sum(1, keepdim=True)
    return (parts.group_centred(rewards_PG).square().sum(1, keepdim=True) / (n - 1).clamp(min=1)).sqrt()


def choices_of(k: int) -> parts.Advantage:
    """GRPO's advantage with choices of k as the samples: each is worth its best; a sample gets the mean of its choices."""

    def within(rewards: list[float]) -> list[float]:
        size = min(k, len(rewards))
        mean, square = best_of(size, rewards), best_of(size, [r * r for r in rewards])
        deviation = max(square - mean * mean, 0.0) ** 0.5
        return [(x - mean) / (deviation + 1e-6) for x in best_with(size, rewards)]

    return by_group(within)


@rows.add("grpo-passk", paper="arXiv 2503.19595")
def grpo_passk(*, clip: float = 0.2) -> PolicyGradient:
    """Only a group's best sample is praised, by its lead over the second best, over the deviation (paper; verl)."""
    surrogate = parts.clipped_alike(clip)
    return PolicyGradient(over_deviation(marginal(0)), parts.token_ratio, surrogate, parts.token_mean)


@rows.add("pkpo", paper="arXiv 2505.15201")
def pkpo(*, k: int = 4, clip: float = 0.2) -> PolicyGradient:
    """The unbiased gradient of the best of k, from groups larger than k, with the rest of each choice as the baseline.

    Departure: the factor k is left to the learning rate.
    """
    require(k >= 2, "k", k, "2 or more")
    return PolicyGradient(marginal(k), parts.token_ratio, parts.clipped_alike(clip), parts.token_mean)


@rows.add("passk-training", paper="arXiv 2508.10751")
def passk_training(*, k: int = 4, low: float = 0.2, high: float = 0.28) -> PolicyGradient:
    """GRPO's advantage over all choices of k in closed form. Rewards must not be negative."""
    at_least_1(k=k)
    return PolicyGradient(choices_of(k), parts.token_ratio, parts.clipped(low, high), parts.token_mean)


# ---- rare answers, covariances, tools ----------------------------------------------------------------------------


def unlikely(beta: float) -> shapes.Shape:
    """Rewards times 1 - beta (n - rank) / n, rank 0 being the group's sample of highest probability."""
    from_0_to_1(beta=beta)

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        shaped = list(examples)
        for own in shapes.groups(examples):
            ranked = sorted(own, key=lambda i: -fsum(examples[i].logprobs))
            for rank, i in enumerate(ranked):
                share = 1 - beta * (len(own) - rank) / len(own)
                shaped[i] = replace(examples[i], advantage=shapes.reward_of(examples[i]) * share)
        return shaped

    return shape


@rows.add("unlikeliness", paper="arXiv 2506.02355")
def unlikeliness(*, beta: float = 0.25, clip: float = 0.2) -> PolicyGradient:
    """Right answers that the policy thought likely earn less than rare ones (paper: 0.25)."""
    shape = shapes.chain(unlikely(beta), shapes.grouped(parts.group_normalised))
    return PolicyGradient(parts.plain, parts.token_ratio, parts.clipped_alike(clip), parts.token_mean, shape=shape)


def covariances(examples: Sequence[Example]) -> list[tuple[float, int, int]]:
    """(product of the centred advantage and log-probability, example, token) of every drawn token of the update."""
    places = [(i, t) for i, e in enumerate(examples) if e.logprobs for t in e.drawn]
    a = torch.tensor([shapes.per_token(examples[i])[t] for i, t in places], dtype=torch.float64)
    logp = torch.tensor([examples[i].logprobs[t] for i, t in places], dtype=torch.float64)
    product = (a - a.mean()) * (logp - logp.mean())
    return [(x, i, t) for x, (i, t) in zip(product.tolist(), places, strict=True)]


def released_by_covariance(share: float, low: float, high: float) -> shapes.Shape:
    """No advantage for a random `share` of the tokens, of those whose covariance lies between the bounds."""
    from_0_to_1(share=share)
    at_least_0_or_endless(high=high)
    require(low < high, "low", low, f"below high={high}")

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        every = covariances(examples)
        inside = [(i, t) for x, i, t in every if low < x < high]
        few = min(len(inside), max(1, int(share * len(every))))
        free = set(rng("clip-cov", learner.taken).sample(inside, few))
        return [
            replace(e, advantage=tuple(0.0 if (i, t) in free else a for t, a in enumerate(shapes.per_token(e))))
            for i, e in enumerate(examples)
        ]

    return shape


def held_by_covariance(share: float) -> shapes.Shape:
    """The `share` of the tokens with the greatest covariance is held to the policy that drew it, the others to nothing."""
    from_0_to_1(share=share)

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        every = sorted(covariances(examples), reverse=True)
        chosen = {(i, t) for _, i, t in every[: max(1, int(share * len(every)))]}
        free = float("nan")
        return [
            replace(e, reference=tuple(x if (i, t) in chosen else free for t, x in enumerate(e.logprobs)))
            for i, e in enumerate(examples)
        ]

    return shape


@rows.add("clip-cov", paper="arXiv 2505.22617")
def clip_cov(*, share: float = 2e-4, low: float = 1.0, high: float = 5.0, clip: float = 0.2) -> PolicyGradient:
    """PPO's clip, and no gradient for a few tokens that would cost much entropy (paper: 2e-4, 1 to 5).

    Departure: covariances are taken over the whole update with the probabilities at drawing, not over a micro-batch with
    the current ones; and normalised advantages are centred over all tokens.
    """
    shape = shapes.chain(shapes.grouped(parts.group_normalised), released_by_covariance(share, low, high))
    return PolicyGradient(parts.plain, parts.token_ratio, parts.clipped_alike(clip), parts.token_mean, shape=shape)


@rows.add("kl-cov", paper="arXiv 2505.22617")
def kl_cov(*, share: float = 2e-4, beta: float = 1.0) -> PolicyGradient:
    """The bare ratio, and a pull back to the policy that drew on the few tokens that would cost most entropy (paper: 2e-4, 1).

    Departure: as for clip-cov.
    """
    shape = shapes.chain(shapes.grouped(parts.group_normalised), held_by_covariance(share))
    bare = parts.clipped(float("inf"), float("inf"))
    return PolicyGradient(parts.plain, parts.token_ratio, bare, parts.token_mean, parts.absolute, beta, shape=shape)


def first_call(tokens: Sequence[int], call: str, tokenizer: Tokenizer) -> int | None:
    """The place of the token in which the text's first call begins; None where it has none. It is looked for in the text, since a
    tokenizer may join the call's first letter with what stands before it, so that the call's own tokens are not there."""

    def holds(start: int, stop: int) -> bool:
        return call in tokenizer.decode(tokens[start:stop])

    if not holds(0, len(tokens)):
        return None
    end = bisect_left(range(len(tokens)), True, key=lambda stop: holds(0, stop))
    return next(start for start in range(end - 1, -1, -1) if holds(start, end))


def earlier(call: str, delta: float, most: float) -> shapes.Shape:
    """ASPO: A + clip(delta (p - mean p) / mean length, -most A, most A) for a group's right samples that call a tool, at p."""
    some_text(call=call)
    require(isfinite(delta), "delta", delta, "a finite number, below 0 where early calls shall gain")
    from_0_to_1(most=most)

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        tokenizer = learner.policy.tokenizer
        shaped = shapes.grouped(parts.group_normalised)(examples, learner)
        for own in shapes.groups(examples):
            right = [i for i in own if shapes.reward_of(examples[i]) > 0]
            found = {i: p for i in right if (p := first_call(examples[i].tokens, call, tokenizer)) is not None}
            if not found:
                continue
            mean = fsum(found.values()) / len(found)
            length = fsum(len(examples[i].tokens) for i in found) / len(found)
            for i, p in found.items():
                a = shapes.reward_of(shaped[i])
                bound = most * abs(a)
                shaped[i] = replace(shaped[i], advantage=a + max(-bound, min(bound, delta * (p - mean) / length)))
        return shaped

    return shape


@rows.add("aspo", paper="arXiv 2508.19201")
def aspo(*, call: str = "<tool>", delta: float = -2.0, most: float = 0.7, clip: float = 0.2) -> PolicyGradient:
    """Right answers that call a tool early gain advantage, by a bounded amount that cannot change its sign.

    The abstract gives no formula: its form is from the study's specification, `delta` and `most` are not the paper's.
    """
    surrogate = parts.clipped_alike(clip)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.token_mean, shape=earlier(call, delta, most))


# ---- long runs, broad groups -------------------------------------------------------------------------------------


@rows.add("prorl", paper="arXiv 2505.24864")
def prorl(*, low: float = 0.2, high: float = 0.4, beta: float = 1e-3, kl: str = "k3") -> PolicyGradient:
    """DAPO with an anchor (paper: clip 0.2 and 0.4). The paper takes the reference anew when a run stalls: `reset`, which a loop of one's
    own calls; in a run `reinforcement.reference=reset` does so after a number of steps."""
    surrogate = parts.clipped(low, high)
    return PolicyGradient(
        parts.group_normalised, parts.token_ratio, surrogate, parts.token_mean, parts.estimated(kl), beta, skip_even_groups=True
    )


def reset(learner: Learner[Any]) -> None:
    """ProRL's reset: the policy as it is becomes the reference, and the optimizers forget."""
    learner.freeze_reference()
    for optimizer, _ in learner.optimizers.values():
        optimizer.state.clear()
    learner.warm_from = learner.taken


def stalled(scores: Sequence[float], patience: int = 3) -> bool:
    """Whether none of the last `patience` validation scores is above the best before them."""
    return len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience])


@rows.add("brorl", paper="arXiv 2510.01180")
def brorl(*, low: float = 0.2, high: float = 0.4, beta: float = 1e-3, kl: str = "k3") -> PolicyGradient:
    """ProRL's objective on very large groups: hundreds of samples of each task, which the recipe's `samples` sets.

    The abstract gives no objective: centred on the group and not divided by its deviation, as in its analysis of one step;
    clip and anchor are `prorl`'s.
    """
    surrogate = parts.clipped(low, high)
    return PolicyGradient(
        parts.group_centred, parts.token_ratio, surrogate, parts.token_mean, parts.estimated(kl), beta, skip_even_groups=True
    )
