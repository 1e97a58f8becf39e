"""Abstraction, then solution: one role writes what may help, another solves with it in sight (Qu et al. 2025, RLAD, arXiv 2510.02263).

Departures: the answer is chosen by vote over all solutions; the paper reports pass@k and averages. A single sample is a solution
without an abstraction. Both roles are one model where the scheduler has no engine for the role "abstraction".
"""

from __future__ import annotations

from ratchet.core.ranges import at_least_1, some_text
from ratchet.core.types import Draw, Play, Task
from ratchet.search.prompts import written
from ratchet.search.strategy import strategies
from ratchet.search.vote import most_voted


@strategies.add("abstraction", paper="arXiv 2510.02263")
def abstraction(
    task: Task,
    *,
    n: int = 16,
    abstractions: int = 4,
    ask: str = "{task}\n\nBefore solving it, write down an idea that would help, without the solution.",
    use: str = "{task}\n\nAn idea that may help:\n{idea}",
    most: int | None = None,
    temperature: float = 1.0,
) -> Play:
    """`n` solutions over as many as `abstractions` ideas of at most `most` tokens, in equal shares (paper: more ideas beat more
    solutions at large budgets)."""
    at_least_1(abstractions=abstractions, most=most)
    some_text(ask=ask, use=use)
    if n == 1:
        [alone] = yield Draw(task.prompt, temperature=temperature)
        return alone
    asked = written(ask, task=task.prompt)
    ideas = yield Draw(asked, n=min(abstractions, n), role="abstraction", max_tokens=most, temperature=temperature)
    shares = [n // len(ideas) + (i < n % len(ideas)) for i in range(len(ideas))]
    solutions = yield [
        Draw(written(use, task=task.prompt, idea=idea.text), n=share, temperature=temperature)
        for idea, share in zip(ideas, shares, strict=True)
    ]
    return (yield from most_voted([c for own in solutions for c in own]))
