"""The gate: champion against challenger on validation tasks that neither was trained on.

Error: with `looks` planned looks each may falsely promote with probability `error / looks` at most (Bonferroni), so
the chance that a run promotes anything without a real gain is at most `error`. Each look draws validation tasks anew
and samples both models anew, so a lucky champion is not protected by its luck. (Looks may share some tasks, all of them
where a collection has few; their samples are still new.)
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ratchet.core.types import Estimate
from ratchet.measure.comparison import minimum_detectable_effect
from ratchet.measure.estimate import paired_difference

FEWEST_DIFFERENT = 10  # below this the t interval of a paired difference means little


class Decision(StrEnum):
    PROMOTE = "PROMOTE"
    GO_ON = "GO ON"
    ROLL_BACK = "ROLL BACK"


@dataclass(frozen=True)
class Look:
    """One decision. `difference` is challenger minus champion, its interval at level 1 - 2 error / looks."""

    decision: Decision
    reason: str
    difference: Estimate


def detectable(tasks: int, samples: int, *, error: float = 0.05, looks: int = 1, power: float = 0.8) -> float:
    """The gain in pass@1 that a look shows with chance `power`, where all tasks gain alike.

    Before a run the spread is unknown: it is taken to be that of sampling alone, at its widest, where every task is at one
    half and the difference of two means of `samples` has a variance of 1 / (2 samples). Gains that differ from task to task
    widen it.
    """
    return minimum_detectable_effect(tasks, sd=math.sqrt(0.5 / samples), level=1 - 2 * error / looks, power=power)


def look(
    champion: Sequence[float],
    challenger: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    error: float = 0.05,
    looks: int = 1,
) -> Look:
    """PROMOTE where the interval lies above 0, ROLL BACK where it lies below, else GO ON.

    `champion` and `challenger` are success rates of the same tasks in the same order.
    """
    if not 0 < error < 0.5 or looks < 1:
        raise ValueError(f"the gate needs 0 < error < 0.5 and looks >= 1, got {error} and {looks}")
    level = 1 - 2 * error / looks
    d = paired_difference(champion, challenger, clusters, level)
    different = sum(a != b for a, b in zip(champion, challenger, strict=True))
    said = f"challenger minus champion {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}] at {level:.2%} on {d.n} tasks"
    if different < FEWEST_DIFFERENT:
        return Look(Decision.GO_ON, f"{said}: only {different} tasks differ, cannot tell", d)
    if d.low > 0:
        return Look(Decision.PROMOTE, f"{said}: better", d)
    if d.high < 0:
        return Look(Decision.ROLL_BACK, f"{said}: worse", d)
    return Look(Decision.GO_ON, f"{said}: cannot tell yet", d)
