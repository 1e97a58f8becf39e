"""Credit: traces -> examples with advantages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from ratchet.core.seeds import Part
from ratchet.core.types import Completion, Trace, Verdict
from ratchet.learn.batch import Example
from ratchet.learn.parts import Advantage

Reward = Callable[..., float | None]
"""`(verdict, *path)` -> reward, None where there is none; the path addresses the sample."""


def rewards_of(traces: Sequence[Trace], reward: Reward, *path: Part) -> list[list[float]]:
    """One row of rewards per task, over all completions drawn for it; NaN where the verifier abstained."""
    groups: dict[str, list[float]] = {}
    for trace in traces:
        group = groups.setdefault(trace.task.key, [])
        for verdict in trace.verdicts:
            value = reward(verdict, *path, trace.task.key, len(group))
            group.append(math.nan if value is None else value)
    return list(groups.values())


def outcome(traces: Sequence[Trace], rewards: Sequence[Sequence[float]], advantage: Advantage, skip_even: bool) -> list[Example]:
    """Every completion with the advantage of its reward within its task's group."""
    drawn: dict[str, list[Completion]] = {}
    for trace in traces:
        drawn.setdefault(trace.task.key, []).extend(trace.completions)
    widest = max(map(len, rewards), default=0)
    rewards_PG = torch.tensor([[*r, *[math.nan] * (widest - len(r))] for r in rewards], dtype=torch.float32)
    advantages = advantage(rewards_PG).tolist()
    examples: list[Example] = []
    for group, own, credits in zip(drawn.values(), rewards, advantages, strict=True):
        judged = [r for r in own if not math.isnan(r)]
        if skip_even and (not judged or max(judged) == min(judged)):
            continue
        examples += [
            Example(c.prefix, c.tokens, a, c.logprobs) for c, a, r in zip(group, credits, own, strict=False) if not math.isnan(r)
        ]
    return examples


def verdict_reward(verdict: Verdict, *path: Part) -> float | None:
    """1 for PASS, 0 for FAIL, none for ABSTAIN: what could not be judged teaches nothing."""
    return {"pass": 1.0, "fail": 0.0}.get(str(verdict.outcome))
