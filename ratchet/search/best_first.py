"""Best-first search: the best part of all, at whatever depth, goes on, until the draws are spent (Koh et al. 2024, arXiv 2407.01476,
whose search keeps a priority queue by value and a budget).

Scale: any that compares parts of different lengths; a value (the chance to end right) does, a mean log-probability does roughly.
Departures: the search ends before its budget when the best of all is an answer that has ended, where the paper has a threshold; if
none has ended by then, the last draw takes the best part to its end; out of budget, the best answer so far is returned.
"""

from __future__ import annotations

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_1
from ratchet.core.types import Completion, Draw, Judge, Play, Task
from ratchet.search.steps import distinct, own_steps
from ratchet.search.strategy import strategies


@strategies.add("best-first", paper="arXiv 2407.01476")
def best_first(
    task: Task,
    *,
    n: int = 32,
    width: int = 4,
    scorer: str = "logprob",
    step: str = "",
    step_tokens: int = 0,
    temperature: float = 1.0,
) -> Play:
    """`n` draws in all, `width` of them from the best part so far at a time; the best answer that has ended (paper: at most 20 parts
    gone on from, width 5)."""
    at_least_1(width=width)
    steps = own_steps(task, n, step, step_tokens, temperature)
    found: list[tuple[float, Completion]] = []  # the best first, ties in the order of drawing
    ended: list[Completion] = []
    left = n - min(width, max(n - 1, 1))
    try:
        drawn: list[Completion] = yield steps.draw(task.prompt, n - left)
        while True:
            new = [drawn[i] for i in distinct(drawn)]
            scores = yield Judge(new, scorer)
            found = sorted([*found, *zip(scores, new, strict=True)], key=lambda scored: -scored[0])
            ended = [c for _, c in found if not steps.going(c)]
            spare = 0 if ended else 1
            part = found[0][1]
            if not steps.going(part) or left <= spare:
                break
            k = min(width, left - spare)
            found, left = found[1:], left - k
            [drawn] = yield from steps.on([part], [k])
        if not ended:
            ended = yield Draw(part, temperature=temperature)
    except BudgetError:
        if not ended:
            raise
    return ended[0]
