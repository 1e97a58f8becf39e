"""Lookahead search: a beam whose parts are worth what a greedy rollout of some steps from them scores (Snell et al. 2024,
arXiv 2408.03314, section 5).

Scale: any, only the order counts.
Departures: the beam is the one of beam.py. Rollouts are looked at and thrown away, as in the paper, and cost tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ratchet.core.ranges import at_least_0
from ratchet.core.types import Completion, Judge, Play, Task
from ratchet.search.beam import Worth, beamed
from ratchet.search.steps import Asking, Steps, distinct, own_steps
from ratchet.search.strategy import strategies


def foreseen(steps: Steps, scorer: str, ahead: int) -> Worth:
    """The score of each part's greedy rollout, `ahead` steps long; of a part that has ended, its own."""
    greedy = replace(steps, temperature=0.0)

    def worth(parts: Sequence[Completion]) -> Asking[list[float]]:
        reached = {parts[i].tokens: parts[i] for i in distinct(parts)}  # copies have the same rollout
        for _ in range(ahead):
            going = [(start, part) for start, part in reached.items() if greedy.going(part)]
            if not going:
                break
            drawn = yield from greedy.on([part for _, part in going], [1] * len(going))
            reached |= {start: own[0] for (start, _), own in zip(going, drawn, strict=True)}
        return (yield Judge([reached[part.tokens] for part in parts], scorer))

    return worth


@strategies.add("lookahead", paper="arXiv 2408.03314")
def lookahead(
    task: Task,
    *,
    n: int = 8,
    beams: int = 2,
    ahead: int = 1,
    scorer: str = "logprob",
    step: str = "",
    step_tokens: int = 0,
) -> Play:
    """A beam of the `beams` best of `n` candidates, each worth the score of a greedy rollout `ahead` steps on (paper: n of 4 to 256,
    beams of n / 4 and the root of n, ahead of 1 and 3, temperature 1 for the steps)."""
    at_least_0(ahead=ahead)
    steps = own_steps(task, n, step, step_tokens)
    return (yield from beamed(task, steps, n, beams, foreseen(steps, scorer, ahead)))
