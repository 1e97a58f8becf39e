"""Weighted vote: the answer with the largest sum of its samples' values (Li et al. 2022, arXiv 2206.02336; Uesato et al. 2022;
by the policy's own probability it is the weighted sum of Wang et al. 2022, arXiv 2203.11171, table 1).

Scale: values in [0, 1]; of `logprob` the probability per token counts.
Departures: any scorer, where the first paper trains a verifier; of the winning answer's samples the best-scored is returned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ratchet.core.types import Call, Completion, Draw, Judge, Play, Task
from ratchet.search.strategy import strategies
from ratchet.search.values import values


def elected(completions: Sequence[Completion], weights: Sequence[float]) -> Play:
    """The heaviest completion of the heaviest answer; one without an answer has no vote. Ties go to the first drawn."""
    votes: defaultdict[str, list[int]] = defaultdict(list)
    for place, completion in enumerate(completions):
        votes[(yield Call("extract", completion.text))].append(place)
    answers = [places for answer, places in votes.items() if answer] or [list(range(len(completions)))]
    winner = max(answers, key=lambda places: sum(weights[i] for i in places))
    return completions[max(winner, key=lambda i: weights[i])]


@strategies.add("weighted-vote", paper="arXiv 2206.02336")
def weighted_vote(task: Task, *, n: int = 8, scorer: str = "logprob", temperature: float = 1.0, top_p: float = 1.0) -> Play:
    """The answer of `n` samples with the largest sum of values (paper: n = 100, temperature 0.5)."""
    completions = yield Draw(task.prompt, n=n, temperature=temperature, top_p=top_p)
    scores = yield Judge(completions, scorer)
    return (yield from elected(completions, values(scores, scorer)))
