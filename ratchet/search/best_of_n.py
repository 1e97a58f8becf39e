"""Best of n: draw n samples, return the one that a scorer ranks first (Cobbe et al. 2021, arXiv 2110.14168).

Departures: the scorer is any registered one, by default the policy's own mean log-probability; the paper trains a
verifier. `scorer="placebo"` is the control that must gain nothing, `scorer="oracle"` the bound.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.core.types import Completion, Draw, Judge, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("best-of-n", paper="arXiv 2110.14168")
def best_of_n(task: Task, *, n: int = 8, scorer: str = "logprob", temperature: float = 1.0, top_p: float = 1.0) -> Play:
    """The best of n completions by score; ties go to the first drawn (paper: n = 100)."""
    completions = yield Draw(task.prompt, n=n, temperature=temperature, top_p=top_p)
    scores = yield Judge(completions, scorer)
    return best(completions, scores)


def best(completions: Sequence[Completion], scores: Sequence[float]) -> Completion:
    """The completion of the highest score; ties go to the first."""
    return completions[max(range(len(completions)), key=lambda i: scores[i])]
