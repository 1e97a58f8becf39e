"""Self-consistency (Wang et al. 2022, arXiv 2203.11171): the most frequent answer of n samples.

Departures: answers are compared as the verifier takes them out of the text; ties go to the answer drawn first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.types import Call, Completion, Draw, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("vote", paper="arXiv 2203.11171")
def vote(task: Task, *, n: int = 8, temperature: float = 1.0, top_p: float = 1.0) -> Play:
    """The completion whose answer most of the n samples share (paper: n = 40, temperature 0.5 to 0.7)."""
    completions = yield Draw(task.prompt, n=n, temperature=temperature, top_p=top_p)
    return (yield from most_voted(completions))


def most_voted(completions: Sequence[Completion]) -> Play:
    """The first completion whose answer most of them share."""
    return (yield from elected(completions, [1.0] * len(completions)))


def elected(completions: Sequence[Completion], weights: Sequence[float]) -> Play:
    """The heaviest completion of the heaviest answer; one without an answer has no vote, nor one that was not looked at before the
    budget ended. Ties go to the first drawn."""
    votes: defaultdict[str, list[int]] = defaultdict(list)
    with suppress(BudgetError):
        for place, completion in enumerate(completions):
            votes[(yield Call("extract", completion.text))].append(place)
    answers = [places for answer, places in votes.items() if answer] or [list(range(len(completions)))]
    winner = max(answers, key=lambda places: sum(weights[i] for i in places))
    return completions[max(winner, key=lambda i: weights[i])]
