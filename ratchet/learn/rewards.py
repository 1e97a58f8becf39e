"""Rewards by name: the functions that map a verdict to a number; and what training does with an answer that could not be judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratchet.core.errors import VerifierError
from ratchet.core.registry import Registry
from ratchet.core.seeds import Part, fraction
from ratchet.core.types import Outcome, Verdict
from ratchet.learn.credit import Reward, verdict_reward

rewards: Registry[Reward] = Registry("reward", "ratchet.learn")
rewards.put("verdict", verdict_reward)


@rewards.add("random")
def random(verdict: Verdict, *path: Part) -> float | None:
    """A coin, whatever the verdict: the negative control. Nothing may be promoted by it."""
    return float(fraction("random reward", *path) < 0.5)


OnAbstain = Callable[[Sequence[Verdict]], float | None]
"""All verdicts of a draw -> the reward of each abstention among them, None where it is left out."""

abstentions: Registry[OnAbstain] = Registry("way with abstentions", "ratchet.learn")

MOST_ABSTAINED = 0.1  # of a draw's verdicts
FEWEST = 8  # abstentions: a share of fewer says nothing


@abstentions.add("skip")
def skip(verdicts: Sequence[Verdict]) -> float | None:
    """What could not be judged teaches nothing."""
    return None


@abstentions.add("wrong")
def wrong(verdicts: Sequence[Verdict]) -> float | None:
    """As a wrong answer: a model learns to write what can be judged, and pays for every fault of the verifier."""
    return 0.0


@abstentions.add("stop")
def stop(verdicts: Sequence[Verdict]) -> float | None:
    """Left out, but the run stops where more than a tenth of a draw could not be judged. Raises VerifierError with a reason."""
    unsure = [v for v in verdicts if v.outcome is Outcome.ABSTAIN]
    if len(unsure) >= FEWEST and len(unsure) > MOST_ABSTAINED * len(verdicts):
        raise VerifierError(
            f"the verifier abstained on {len(unsure)} of the {len(verdicts)} answers of a draw, more than {MOST_ABSTAINED:.0%}, so "
            f'the run stops, as --on-abstain stop asks: for example "{unsure[0].evidence}"; mend the verifier or its deadline, or '
            "start a run with --on-abstain skip"
        )
    return None


def with_abstentions(reward: Reward, on_abstain: OnAbstain, verdicts: Sequence[Verdict]) -> Reward:
    """`reward`, and for an abstention that it has none for what `on_abstain` says."""
    instead = on_abstain(verdicts)

    def value(verdict: Verdict, *path: Part) -> float | None:
        own = reward(verdict, *path)
        return instead if own is None and verdict.outcome is Outcome.ABSTAIN else own

    return value
