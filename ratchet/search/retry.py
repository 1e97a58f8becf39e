"""Verify and retry: fresh samples until one is accepted (Cobbe et al. 2021, arXiv 2110.14168, with a threshold; Lightman et al. call
it rejection sampling at test time).

Departures: none of a paper's own. What accepts is any scorer; "oracle" is the task's verifier, as with tests that may be run.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.core.errors import BudgetError
from ratchet.core.types import Completion, Draw, Judge, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("retry", paper="arXiv 2110.14168")
def retry(task: Task, *, turns: int = 4, scorer: str = "oracle", accept: float = 0.5, temperature: float = 1.0) -> Play:
    """Draw until the score of a sample is at least `accept`, at most `turns` times; else the best of them, the first among equals."""
    return (yield from accepted(task, [temperature] * turns, scorer, accept))


def accepted(task: Task, temperatures: Sequence[float], scorer: str, enough: float) -> Play:
    """Samples one by one, each at its temperature, until one scores `enough` or the budget ends; else the best, the first among
    equals. A single one is not judged."""
    best: tuple[float, Completion] | None = None
    try:
        for temperature in temperatures:
            [completion] = yield Draw(task.prompt, temperature=temperature)
            [score] = (yield Judge([completion], scorer)) if len(temperatures) > 1 else [enough]
            if best is None or score > best[0]:
                best = score, completion
            if score >= enough:
                break
    except BudgetError:
        if best is None:
            raise
    assert best is not None
    return best[1]
