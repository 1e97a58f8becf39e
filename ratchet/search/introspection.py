"""Recursive introspection: the model looks at its own answer and answers anew, turn after turn (Qu et al. 2024, RISE, arXiv 2407.18219).

No verdict is heard on the way. Departures: the paper trains the model for this by turns of a better teacher or of best-of-n; here any
model plays, and training it is a matter of credit by turns (`learn/credit.py`).
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import some_text
from ratchet.core.types import Draw, Play, Task
from ratchet.search.strategy import strategies
from ratchet.search.vote import most_voted


@strategies.add("introspection", paper="arXiv 2407.18219")
def introspection(
    task: Task,
    *,
    turns: int = 5,
    look: str = "Your answer may hold a mistake. Look at it again, and answer anew.",
    vote: bool = True,
    temperature: float = 1.0,
) -> Play:
    """`turns` answers, each in sight of those before; the most frequent one counts, or the last without `vote` (paper: 5, both)."""
    some_text(look=look)
    [completion] = yield Draw(task.prompt, temperature=temperature)
    answers = [completion]
    with suppress(BudgetError):
        while len(answers) < turns and answers[-1].stop != "length":
            [new] = yield Draw(answers[-1], then=look, turn=True, temperature=temperature)
            if new is answers[-1]:
                break  # there is no room for another turn
            answers.append(new)
    if not vote or len(answers) == 1:
        return answers[-1]
    return (yield from most_voted(answers))
