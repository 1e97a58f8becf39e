"""Step-level beam search by any score: n candidates for the next step, the best beams go on (Yu et al. 2023, arXiv 2311.09724;
AlphaMath's step-level beam search is the same with n = B1 x B2: Chen et al. 2024, arXiv 2405.03553).

Scale: any, only the order counts.
Departures: the same prefix drawn twice is kept once, since a small model repeats itself and a beam of copies is one prefix;
each candidate that goes on gets an equal share of the next n draws, the first ones one more where it does not divide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_1
from ratchet.core.types import Completion, Judge, Play, Task, Tokens
from ratchet.search.steps import Asking, Steps, distinct, own_steps, shares_of
from ratchet.search.strategy import strategies

Worth = Callable[[Sequence[Completion]], Asking[list[float]]]


def judged(scorer: str) -> Worth:
    """The score of each part as it stands."""

    def worth(parts: Sequence[Completion]) -> Asking[list[float]]:
        return (yield Judge(parts, scorer))

    return worth


def beamed(task: Task, steps: Steps, n: int, beams: int, worth: Worth) -> Play:
    """The best answer of a beam search in which `worth` ranks the parts. An answer that has ended is scored once and remembered: it
    takes a place among the beams as long as it is one of the best, and is the answer where none that ended later is better. Out of
    budget, the best that has ended is returned."""
    at_least_1(beams=beams)
    ended: dict[Tokens, tuple[float, Completion]] = {}
    candidates: list[Completion] = yield steps.draw(task.prompt, n)
    try:
        while candidates:
            scores = yield from worth(candidates)
            new = [(scores[i], candidates[i]) for i in distinct(candidates)]
            best = sorted([*ended.values(), *new], key=lambda s: -s[0])[:beams]
            for score, c in new:
                if not steps.going(c):
                    ended.setdefault(c.tokens, (score, c))
            going = [c for _, c in best if steps.going(c)]
            if not going:
                break
            drawn = yield from steps.on(going, shares_of(n, len(going)))
            candidates = [c for own in drawn for c in own if c.tokens not in ended]
    except BudgetError:
        if not ended:
            raise
    return max(ended.values(), key=lambda s: s[0])[1]


@strategies.add("beam", paper="arXiv 2311.09724")
def beam(
    task: Task,
    *,
    n: int = 20,
    beams: int = 5,
    scorer: str = "logprob",
    step: str = "",
    step_tokens: int = 0,
    temperature: float = 1.0,
) -> Play:
    """Of `n` candidates for a step, ended by the text `step` or after `step_tokens`, the `beams` best by score go on; the best
    one at the end is the answer (paper: n = 20 and 100, beams 4 to 25 on GSM8K). A single sample is drawn whole."""
    return (yield from beamed(task, own_steps(task, n, step, step_tokens, temperature), n, beams, judged(scorer)))
