"""Rewards by name: the functions that map a verdict to a number."""

from __future__ import annotations

from ratchet.core.registry import Registry
from ratchet.core.seeds import Part, fraction
from ratchet.core.types import Verdict
from ratchet.learn.credit import Reward, verdict_reward

rewards: Registry[Reward] = Registry("reward", "ratchet.learn")
rewards.put("verdict", verdict_reward)


@rewards.add("random")
def random(verdict: Verdict, *path: Part) -> float | None:
    """A coin, whatever the verdict: the negative control. Nothing may be promoted by it."""
    return float(fraction("random reward", *path) < 0.5)


@rewards.add("score")
def score(verdict: Verdict, *path: Part) -> float | None:
    """The verdict's score, as a learned verifier gives one; none where it has none."""
    return verdict.score
