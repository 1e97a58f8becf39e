"""Self-consistency (Wang et al. 2022, arXiv 2203.11171): the most frequent answer of n samples.

Departures: answers are compared as the verifier takes them out of the text; ties go to the answer drawn first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Sequence
from typing import Any

from ratchet.core.types import Call, Completion, Draw, Play, Request, Task
from ratchet.search.strategy import strategies


@strategies.add("vote", paper="arXiv 2203.11171")
def vote(task: Task, *, n: int = 8, temperature: float = 1.0, top_p: float = 1.0) -> Play:
    """The completion whose answer most of the n samples share (paper: n = 40, temperature 0.5 to 0.7)."""
    completions = yield Draw(task.prompt, n=n, temperature=temperature, top_p=top_p)
    return (yield from most_voted(completions))


def most_voted(completions: Sequence[Completion], weights: Sequence[float] | None = None) -> Generator[Request, Any, Completion]:
    """The first completion whose answer has the most votes, or the greatest sum of `weights`."""
    answers: list[str] = []
    for completion in completions:
        answers.append((yield Call("extract", completion.text)))
    counts = defaultdict[str, float](float)
    for answer, weight in zip(answers, weights or [1.0] * len(answers), strict=True):
        if answer:  # a sample without an answer has no vote
            counts[answer] += weight
    winner = max(counts, key=counts.__getitem__) if counts else answers[0]
    return completions[answers.index(winner)]
