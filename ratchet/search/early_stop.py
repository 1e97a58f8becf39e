"""Votes that stop early: sample a few at a time until the leading answer is settled.

`vote-until-agreed` stops when `equal` samples agree, or when the leader cannot be overtaken any more, and then gives exactly the
answer that `vote` gives on all n (after Li et al. 2024, arXiv 2401.10480, who stop when a whole window agrees).
`adaptive-consistency` stops when the leader is the most probable answer with a posterior chance of `sure` (Aggarwal et al. 2023,
arXiv 2305.11860, their Beta criterion, which they take over the Dirichlet one for its speed at equal results).
Departures: answers are compared as the verifier takes them out of the text, a sample without one has no vote; out of budget, the
leader so far is the answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_0, at_least_1, require
from ratchet.core.types import Call, Completion, Draw, Play, Task
from ratchet.search.strategy import strategies

Settled = Callable[[list[tuple[str, int]], int], bool]
"""(answers with their votes, the leader first and ties in the order of drawing; samples left) -> whether to stop"""


def until(task: Task, n: int, window: int, temperature: float, top_p: float, settled: Settled) -> Play:
    """A vote that draws `window` samples at a time, at most n."""
    at_least_1(n=n, window=window)
    completions: list[Completion] = []
    answers: list[str] = []
    votes: list[tuple[str, int]] = []
    try:
        while len(completions) < n and not settled(votes, n - len(completions)):
            k = min(window, n - len(completions))
            completions += yield Draw(task.prompt, n=k, temperature=temperature, top_p=top_p)
            for completion in completions[len(answers) :]:
                answers.append((yield Call("extract", completion.text)))
            votes = Counter(a for a in answers if a).most_common()
    except BudgetError:
        if not answers:
            raise
    return completions[answers.index(votes[0][0] if votes else answers[0])]


def sure_of(first: int, second: int) -> float:
    """The chance that the leader's share is above the runner-up's: of Beta(first + 1, second + 1) above 1/2.

    For whole numbers it is that of at most `first` heads in first + second + 1 tosses of a fair coin.
    """
    tosses = first + second + 1
    return sum(math.comb(tosses, k) for k in range(first + 1)) / 2**tosses


@strategies.add("vote-until-agreed", paper="arXiv 2401.10480")
def vote_until_agreed(
    task: Task, *, n: int = 40, equal: int = 0, window: int = 1, temperature: float = 1.0, top_p: float = 1.0
) -> Play:
    """A vote of at most `n` that stops when no answer can overtake the leader or, where `equal` is set, so many samples agree
    (paper: n = 40, windows of 5 that agree)."""

    at_least_0(equal=equal)

    def settled(votes: list[tuple[str, int]], left: int) -> bool:
        if not votes:
            return False
        rival = votes[1][1] if len(votes) > 1 else 0
        # by no more than what is left a rival drawn earlier would win the tie
        return (equal > 0 and votes[0][1] >= equal) or votes[0][1] > rival + left

    return (yield from until(task, n, window, temperature, top_p, settled))


@strategies.add("adaptive-consistency", paper="arXiv 2305.11860")
def adaptive_consistency(
    task: Task, *, n: int = 40, sure: float = 0.95, window: int = 1, temperature: float = 1.0, top_p: float = 1.0
) -> Play:
    """A vote of at most `n` that stops when the leader leads with a posterior chance of `sure` (paper: n = 40, sure = 0.95,
    temperature 0.7, one at a time)."""

    require(0.5 < sure <= 1, "sure", sure, "above 0.5, which is the chance before any sample, and at most 1")

    def settled(votes: list[tuple[str, int]], left: int) -> bool:
        counts = [count for _, count in votes] + [0, 0]
        return sure_of(counts[0], counts[1]) >= sure

    return (yield from until(task, n, window, temperature, top_p, settled))
