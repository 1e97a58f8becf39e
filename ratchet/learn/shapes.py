"""Shapes: the examples of an update -> the examples that are learned from.

An `Advantage` sees the rewards of a group and nothing else. A shape sees the whole update before it is cut into parts: lengths,
log-probabilities, the reference, demonstrations among the samples. So a statistic over the update is the same however it is
cut. Where a shape reads rewards, `Example.advantage` holds them (the row's advantage is `parts.plain`). Examples with the
same prefix are a group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch

from ratchet.core.errors import RecipeError
from ratchet.learn.batch import Example, to_batch
from ratchet.learn.parts import Advantage, Anchor
from ratchet.learn.train import Learner

Shape = Callable[[Sequence[Example], Learner[Any]], list[Example]]


def chain(*shapes: Shape) -> Shape:
    """One after the other."""

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        for one in shapes:
            examples = one(examples, learner)
        return list(examples)

    return shape


def groups(examples: Sequence[Example]) -> list[list[int]]:
    """Where the examples of each prefix stand."""
    places: dict[tuple[int, ...], list[int]] = {}
    for i, e in enumerate(examples):
        places.setdefault(e.prefix, []).append(i)
    return list(places.values())


def reward_of(e: Example) -> float:
    """The one reward of an example. RecipeError where each token has its own."""
    if isinstance(e.advantage, tuple):
        raise RecipeError(
            "this learning method compares the rewards of whole completions, but the credit gave every token a number of its own; "
            'use the credit "outcome" with it'
        )
    return e.advantage


def per_token(e: Example) -> tuple[float, ...]:
    """The advantage of each token."""
    return e.advantage if isinstance(e.advantage, tuple) else (e.advantage,) * len(e.tokens)


def among(advantage: Advantage, rewards: Sequence[float]) -> list[float]:
    """The advantages within one group."""
    return advantage(torch.tensor([rewards], dtype=torch.float64))[0].tolist()


def grouped(advantage: Advantage) -> Shape:
    """The rewards, as shapes before this one left them, become advantages."""

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        places = groups(examples)
        widest = max(map(len, places), default=0)
        rows = [[*(reward_of(examples[i]) for i in own), *[math.nan] * (widest - len(own))] for own in places]
        shaped = list(examples)
        for own, row in zip(places, advantage(torch.tensor(rows, dtype=torch.float64)).tolist(), strict=True):
            for i, a in zip(own, row, strict=False):
                shaped[i] = replace(examples[i], advantage=a)
        return shaped

    return shape


def weighed_by_length(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
    """Reward minus its group's mean, in which a sample weighs as much as it has tokens (OPO, arXiv 2505.23585)."""
    shaped = list(examples)
    for own in groups(examples):
        tokens = sum(len(examples[i].tokens) for i in own)
        baseline = sum(reward_of(examples[i]) * len(examples[i].tokens) for i in own) / max(tokens, 1)
        for i in own:
            shaped[i] = replace(examples[i], advantage=reward_of(examples[i]) - baseline if len(own) > 1 else 0.0)
    return shaped


def whitened(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
    """Advantages minus their mean over all tokens of the update, over their deviation; n - 1 in it."""
    every = [a for e in examples for a in per_token(e)]
    if len(every) < 2:
        return [replace(e, advantage=0.0) for e in examples]
    mean = math.fsum(every) / len(every)
    scale = (math.fsum((a - mean) ** 2 for a in every) / (len(every) - 1) + 1e-8) ** -0.5
    return [with_advantages(e, [(a - mean) * scale for a in per_token(e)]) for e in examples]


def with_advantages(e: Example, own: Sequence[float]) -> Example:
    """The example with these advantages of its tokens; one number where it had one."""
    return replace(e, advantage=tuple(own) if isinstance(e.advantage, tuple) or not own else own[0])


# ---- the anchor in the reward ------------------------------------------------------------------------------------


def distances(anchor: Anchor, examples: Sequence[Example]) -> list[list[float]]:
    """What the anchor says of each token, of the policy that drew it; 0 where it was written. RecipeError without reference."""
    if not all(e.reference for e in examples if e.tokens):
        raise RecipeError("the method compares with a reference, but the learner keeps none; call its freeze_reference() first")
    batch = to_batch(examples, 1, 1, 1, "cpu")
    rows = (anchor(batch, batch.old) * batch.mask).tolist()
    return [
        row[len(e.prefix) - 1 : len(e) - 1] if e.logprobs else [0.0] * len(e.tokens)
        for e, row in zip(examples, rows, strict=True)
    ]


def charged(anchor: Anchor, beta: float) -> Shape:
    """The reward of a sample less `beta` times its distance to the reference, summed over its tokens."""

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        known = [row for unit in learner.with_reference(examples) for row in unit.rows]
        far = distances(anchor, known)
        return [replace(e, advantage=reward_of(e) - beta * sum(d)) for e, d in zip(known, far, strict=True)]

    return shape


def charged_to_go(anchor: Anchor, beta: float) -> Shape:
    """Each token pays for its own distance and for those that follow it, as a return without discount."""

    def shape(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        known = [row for unit in learner.with_reference(examples) for row in unit.rows]
        to_go = [tuple(accumulate(reversed(d)))[::-1] for d in distances(anchor, known)]
        return [
            replace(e, advantage=tuple(a - beta * d for a, d in zip(per_token(e), far, strict=True)))
            for e, far in zip(known, to_go, strict=True)
        ]

    return shape


def held_to_sampler(examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
    """The policy that drew an example is its reference."""
    return [replace(e, reference=e.logprobs) for e in examples]
