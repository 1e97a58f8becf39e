"""Advantages within one completion, from what a critic or a process reward says of its steps or tokens.

All take and give one number for each step, in order; `over_tokens` gives each token its step's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def gae(rewards: Sequence[float], values: Sequence[float], gamma: float = 1.0, decay: float = 0.95) -> list[float]:
    """Generalised advantages (arXiv 1506.02438 eq. 16): discounted sums of the surprises; `values` are those before each step."""
    after = [*values[1:], 0.0]
    return to_go([r + gamma * w - v for r, v, w in zip(rewards, values, after, strict=True)], gamma * decay)


def to_go(rewards: Sequence[float], gamma: float = 1.0) -> list[float]:
    """The discounted sum of each step's reward and those that follow it."""
    sums, later = list[float](), 0.0
    for r in reversed(rewards):
        later = r + gamma * later
        sums.append(later)
    return sums[::-1]


def gains(values: Sequence[float]) -> list[float]:
    """Per-step advantages (arXiv 2406.14532): the change of value that each step brings; values before, between and after."""
    return [after - before for before, after in pairwise(values)]


def clipped(scores: Sequence[float], most: float) -> list[float]:
    """Clip (arXiv 2410.15115): a step's score less `most`, never above 0, so that no number of good steps adds up."""
    return [min(s - most, 0.0) for s in scores]


def delta(scores: Sequence[float]) -> list[float]:
    """Delta (arXiv 2410.15115): each step's score less the next one's, so that what is left from a step on adds up to its own
    score, however many steps there are. The last step has none, for its own reward is the outcome's, and the one before it keeps
    its score whole.

    >>> delta([0.75, 0.5, 0.25, 0.9])
    [0.25, 0.25, 0.25, 0.0]
    """
    return [*(a - b for a, b in pairwise([*scores[:-1], 0.0])), *(0.0 for _ in scores[-1:])]


def over_tokens(steps: Sequence[float], lengths: Sequence[int]) -> tuple[float, ...]:
    """Each token has its step's number; `lengths` are the steps' in tokens."""
    return tuple(s for s, n in zip(steps, lengths, strict=True) for _ in range(n))
