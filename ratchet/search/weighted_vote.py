"""Weighted vote: the answer with the largest sum of its samples' values (Li et al. 2022, arXiv 2206.02336; Uesato et al. 2022;
by the policy's own probability it is the weighted sum of Wang et al. 2022, arXiv 2203.11171, table 1).

Scale: values in [0, 1]; of `logprob` the probability per token counts.
Departures: any scorer, where the first paper trains a verifier; of the winning answer's samples the best-scored is returned.
"""

from __future__ import annotations

from ratchet.core.types import Draw, Judge, Play, Task
from ratchet.search.strategy import strategies
from ratchet.search.values import values
from ratchet.search.vote import elected


@strategies.add("weighted-vote", paper="arXiv 2206.02336")
def weighted_vote(task: Task, *, n: int = 8, scorer: str = "logprob", temperature: float = 1.0, top_p: float = 1.0) -> Play:
    """The answer of `n` samples with the largest sum of values (paper: n = 100, temperature 0.5)."""
    completions = yield Draw(task.prompt, n=n, temperature=temperature, top_p=top_p)
    scores = yield Judge(completions, scorer)
    return (yield from elected(completions, values(scores, scorer)))
