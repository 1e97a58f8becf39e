"""Debate: several answers, rounds in which each is written anew in sight of the others, and a judge that chooses (Du et al. 2023, arXiv
2305.14325; with a judge Irving et al. 2018, arXiv 1805.00899).

Departures: the judge is any scorer; with `scorer=""` the most frequent answer of the last round counts, as in Du et al.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_1, some_text
from ratchet.core.types import Draw, Judge, Play, Task
from ratchet.search.best_of_n import best
from ratchet.search.prompts import written
from ratchet.search.strategy import strategies
from ratchet.search.vote import most_voted


@strategies.add("debate", paper="arXiv 2305.14325")
def debate(
    task: Task,
    *,
    n: int = 3,
    rounds: int = 2,
    answer_again: str = "{task}\n\nOthers answered:\n{others}\n\nAnswer in sight of these.",
    scorer: str = "",
    temperature: float = 1.0,
) -> Play:
    """`n` debaters and `rounds` rounds, of which the first is without the others (paper: 3 and 2)."""
    at_least_1(rounds=rounds)
    some_text(answer_again=answer_again)
    said = yield Draw(task.prompt, n=n, temperature=temperature)
    with suppress(BudgetError):
        for _ in range(rounds - 1 if n > 1 else 0):
            others = ["\n".join(c.text.strip() for c in said if c is not own) for own in said]
            answers = yield [
                Draw(written(answer_again, task=task.prompt, others=texts), role="debater", temperature=temperature)
                for texts in others
            ]
            said = [c for own in answers for c in own]
    if not scorer:
        return (yield from most_voted(said))
    scores = yield Judge(said, scorer)
    return best(said, scores)
