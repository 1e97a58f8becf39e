"""Verify and retry: fresh samples until one is accepted (Cobbe et al. 2021, arXiv 2110.14168, with a threshold; Lightman et al. call
it rejection sampling at test time).

Departures: none of a paper's own. What accepts is any scorer; "oracle" is the task's verifier, as with tests that may be run.
"""

from __future__ import annotations

from ratchet.core.types import Completion, Draw, Judge, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("retry", paper="arXiv 2110.14168")
def retry(task: Task, *, turns: int = 4, scorer: str = "oracle", accept: float = 0.5, temperature: float = 1.0) -> Play:
    """Draw until the score of a sample is at least `accept`, at most `turns` times; else the best of them, the first among equals."""
    best: tuple[float, Completion] | None = None
    for _ in range(turns):
        [completion] = yield Draw(task.prompt, temperature=temperature)
        [score] = (yield Judge([completion], scorer)) if turns > 1 else [accept]
        if best is None or score > best[0]:
            best = score, completion
        if score >= accept:
            break
    assert best is not None
    return best[1]
