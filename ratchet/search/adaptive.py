"""Adaptive sampling by self-evaluation: sample until the model believes that it could not do better; drop samples half-way that it
does not believe in (Manvi et al. 2024, arXiv 2410.02725).

The score is the model's own chance of "no" to whether a restart would do better (models/self_evaluation.py), or any
scorer in [0, 1]. Departures: in `prune` all samples are cut at one length, and the best half of them goes on.
"""

from __future__ import annotations

from ratchet.core.errors import BudgetError, RecipeError
from ratchet.core.ranges import at_least_0
from ratchet.core.types import Draw, Judge, Play, Task
from ratchet.search.best_of_n import best
from ratchet.search.retry import accepted
from ratchet.search.strategy import strategies


@strategies.add("adaptive-sampling", paper="arXiv 2410.02725")
def adaptive_sampling(
    task: Task,
    *,
    n: int = 16,
    scorer: str = "self-evaluation",
    enough: float = 0.9,
    hottest: float = 1.0,
    temperature: float = 1.0,
) -> Play:
    """Samples one by one, at most `n`, until one scores `enough`; else the best. The temperature goes from `temperature` to `hottest`
    as the n-th is neared (paper: 16 samples, and annealed upwards)."""
    at_least_0(hottest=hottest)
    temperatures = [temperature + (hottest - temperature) * i / max(n - 1, 1) for i in range(n)]
    return (yield from accepted(task, temperatures, scorer, enough))


@strategies.add("prune", paper="arXiv 2410.02725")
def prune(
    task: Task, *, n: int = 16, at: int = 16, keep: float = 0.5, scorer: str = "self-evaluation", temperature: float = 1.0
) -> Play:
    """`n` samples, of which after `at` tokens the share `keep` goes on by score; the best of those that end (paper: at 64 and 128
    tokens, 50 to 75 % are pruned)."""
    if at < 1 or not 0 < keep <= 1:
        raise RecipeError(
            f"prune cuts after at least 1 token (at) and keeps a share above 0 and at most 1 (keep), got {at} and {keep}"
        )
    if n == 1:
        [alone] = yield Draw(task.prompt, temperature=temperature)
        return alone
    begun = yield Draw(task.prompt, n=n, max_tokens=at, temperature=temperature)
    scores = yield Judge(begun, scorer)
    kept = sorted(range(n), key=lambda i: -scores[i])[: max(1, round(keep * n))]
    ended = [begun[i] for i in kept if begun[i].stop == "end"]
    going = [begun[i] for i in kept if begun[i].stop != "end"]
    if going:
        try:
            answers = yield [Draw(c, temperature=temperature) for c in going]
            ended += [c for own in answers for c in own]
        except BudgetError:
            if not ended:
                raise
    scores = yield Judge(ended, scorer)
    return best(ended, scores)
