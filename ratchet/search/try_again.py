"""Unary feedback: after a wrong answer the model hears that it was wrong, and nothing else (arXiv 2507.14295, "A Simple 'Try Again'").

The whole episode is one completion, so that learning from it learns every turn in its context; what the user said is not learned.
Departures: whether to say it is decided by a scorer, by default the task's own verifier, as in the paper's training and testing.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import some_text
from ratchet.core.types import Draw, Judge, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("try-again", paper="arXiv 2507.14295")
def try_again(
    task: Task,
    *,
    turns: int = 4,
    again: str = "That is not right. Let's try again.",
    scorer: str = "oracle",
    accept: float = 0.5,
    temperature: float = 1.0,
) -> Play:
    """At most `turns` answers; after each that scores below `accept` the user says `again` (paper: 5 turns)."""
    some_text(again=again)
    [completion] = yield Draw(task.prompt, temperature=temperature)
    with suppress(BudgetError):
        for _ in range(turns - 1):
            [score] = yield Judge([completion], scorer)
            if score >= accept or completion.stop == "length":
                break
            before = completion
            [completion] = yield Draw(before, then=again, turn=True, temperature=temperature)
            if completion is before:
                break  # there is no room for another turn
    return completion
