"""What was tried: the completions of each task that could be judged, with their rewards. Pairs and selectors start from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Completion, Trace
from ratchet.learn.credit import Reward


@dataclass(frozen=True)
class Tried:
    """A judged completion: its reward, and whether the strategy answered with it."""

    completion: Completion
    reward: float
    answer: bool = False


def tries(traces: Sequence[Trace], reward: Reward, *path: Part) -> dict[str, list[Tried]]:
    """What was tried on each task and could be judged. Steps of a search are not answers: completions that ended at a stop string
    and are not what the strategy answered with."""
    groups: dict[str, list[Tried]] = {}
    drawn: dict[str, int] = {}
    for trace in traces:
        for c, verdict in zip(trace.completions, trace.verdicts, strict=True):
            place = drawn[trace.task.key] = drawn.get(trace.task.key, -1) + 1  # as in `rewards_of`
            value = reward(verdict, *path, trace.task.key, place)
            if value is not None and c.tokens and (c.stop != "stop" or c is trace.answer):
                groups.setdefault(trace.task.key, []).append(Tried(c, value, c is trace.answer))
    return groups


def shuffled(group: Sequence[Tried], *path: Part) -> list[Tried]:
    """In an order that chance decides, whatever the order of drawing was."""
    ordered = sorted(group, key=lambda t: (t.completion.tokens, t.reward, t.answer))
    return rng(*path, "selected").sample(ordered, len(ordered))
