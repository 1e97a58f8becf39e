"""Credit: judged traces -> examples with advantages.

A credit is called with the traces of several tasks, one row of rewards per task (NaN where there is none), the method's
advantage and the tokenizer; its own knobs are keyword-only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from ratchet.core.ranges import at_least_0
from ratchet.core.registry import Registry
from ratchet.core.seeds import Part
from ratchet.core.types import Completion, Trace, Verdict
from ratchet.learn.batch import Example
from ratchet.learn.parts import Advantage, group_centred
from ratchet.models.tokens import Tokenizer

Reward = Callable[..., float | None]
"""`(verdict, *path)` -> reward, None where there is none; the path addresses the sample."""

Credit = Callable[..., list[Example]]

credits: Registry[Credit] = Registry("credit", "ratchet.learn")


def verdict_reward(verdict: Verdict, *path: Part) -> float | None:
    """1 for PASS, 0 for FAIL, none for ABSTAIN: what could not be judged teaches nothing."""
    return {"pass": 1.0, "fail": 0.0}.get(str(verdict.outcome))


def rewards_of(traces: Sequence[Trace], reward: Reward, *path: Part) -> list[list[float]]:
    """One row of rewards per task, over all completions drawn for it; NaN where the verifier abstained."""
    groups: dict[str, list[float]] = {}
    for trace in traces:
        group = groups.setdefault(trace.task.key, [])
        for verdict in trace.verdicts:
            value = reward(verdict, *path, trace.task.key, len(group))
            group.append(math.nan if value is None else value)
    return list(groups.values())


def drawn(traces: Sequence[Trace]) -> list[list[Completion]]:
    """The completions of each task, in the order of `rewards_of`."""
    groups: dict[str, list[Completion]] = {}
    for trace in traces:
        groups.setdefault(trace.task.key, []).extend(trace.completions)
    return list(groups.values())


@credits.add("outcome")
def outcome(
    traces: Sequence[Trace], rewards: Sequence[Sequence[float]], advantage: Advantage, tokenizer: Tokenizer
) -> list[Example]:
    """Every token of a completion has the method's advantage of its reward within its task's group."""
    return [
        Example.of(c, a)
        for group, own, row in zip(drawn(traces), rewards, advantage(padded(rewards)).tolist(), strict=True)
        for c, r, a in zip(group, own, row, strict=False)
        if not math.isnan(r)
    ]


@credits.add("attempts", paper="after arXiv 2505.10978")
def attempts(
    traces: Sequence[Trace],
    rewards: Sequence[Sequence[float]],
    advantage: Advantage,
    tokenizer: Tokenizer,
    *,
    delimiter: str = "no",
    prior: float = 2.0,
) -> list[Example]:
    """Each attempt of a completion, ended by the `delimiter` token, is credited with the change of value it brings.

    The value before attempt k is the mean reward of the task's other samples that came as far as k, drawn towards
    the mean of all of them with the weight of `prior` samples; after the last attempt it is the reward. So a miss
    costs little and a hit gains much, where one advantage for the whole completion would praise the misses before a
    hit as much as the hit (GiGPO groups steps by equal states; here by their count).

    Of the method's advantage the scale is kept: what it multiplies a group's centred rewards with, such as one over
    their deviation.
    """
    at_least_0(prior=prior)
    ends = set(tokenizer.encode(delimiter))
    examples: list[Example] = []
    for group, own, scale in zip(drawn(traces), rewards, scales(rewards, advantage), strict=True):
        judged = [(c, r) for c, r in zip(group, own, strict=True) if not math.isnan(r)]
        lengths = [attempt_lengths(c.tokens, ends) for c, _ in judged]
        for i, (c, r) in enumerate(judged):
            others = [(len(lengths[j]), reward) for j, (_, reward) in enumerate(judged) if j != i]
            values = [value_before(k, others, prior) for k in range(len(lengths[i]))] + [r]
            gains = [after - before for before, after in pairwise(values)]
            spread = tuple(scale * g for g, n in zip(gains, lengths[i], strict=True) for _ in range(n))
            examples.append(Example.of(c, spread if others else 0.0))
    return examples


def padded(rewards: Sequence[Sequence[float]]) -> torch.Tensor:
    """rewards_PG, with NaN behind the shorter groups."""
    widest = max(map(len, rewards), default=0)
    return torch.tensor([[*r, *[math.nan] * (widest - len(r))] for r in rewards], dtype=torch.float32)


def scales(rewards: Sequence[Sequence[float]], advantage: Advantage) -> list[float]:
    """What the advantage multiplies each group's centred rewards with; 1 for a group whose rewards are even, and for an advantage
    that does not centre them, such as the bare reward."""
    rewards_PG = padded(rewards)
    size, own = group_centred(rewards_PG).abs().sum(1), advantage(rewards_PG)
    centres = torch.allclose(own, advantage(rewards_PG + 1.0), atol=1e-4)
    return torch.where((size > 0) & centres, own.abs().sum(1) / size, torch.ones_like(size)).tolist()


def attempt_lengths(tokens: Sequence[int], ends: set[int]) -> list[int]:
    """How many tokens each attempt has; the last one holds what follows the last delimiter.

    >>> attempt_lengths([5, 6, 1, 7, 1, 8, 9], {1})
    [3, 2, 2]
    """
    lengths, last = list[int](), 0
    for place, token in enumerate(tokens, start=1):
        if token in ends or place == len(tokens):
            lengths.append(place - last)
            last = place
    return lengths


def value_before(k: int, others: Sequence[tuple[int, float]], prior: float) -> float:
    """Mean reward of the others that made more than k attempts, with `prior` samples of all the others' mean."""
    if not others:
        return 0.0
    mean = sum(r for _, r in others) / len(others)
    reached = [r for n, r in others if n > k]
    return (sum(reached) + prior * mean) / (len(reached) + prior) if reached or prior else mean
