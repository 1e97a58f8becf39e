"""Proposer and solver: one role divides the task into smaller questions, the other answers them in turn, each in sight of those before,
and the task last (Zhou et al. 2022, least-to-most prompting, arXiv 2205.10625).

Departures: the paper shows examples of divisions for each kind of task; here one sentence asks for it. Questions are lines.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import some_text
from ratchet.core.types import Draw, Play, Task
from ratchet.search.prompts import written
from ratchet.search.strategy import strategies


@strategies.add("proposer-solver", paper="arXiv 2205.10625")
def proposer_solver(
    task: Task,
    *,
    turns: int = 4,
    divide: str = "{task}\n\nTo solve this, which smaller questions must be answered first? One per line.",
    step: str = "{task}\n\n{known}\nFirst answer only this: {question}",
    last: str = "{task}\n\n{known}",
    temperature: float = 1.0,
) -> Play:
    """Answers to at most `turns` - 1 smaller questions, and with them to the task."""
    some_text(divide=divide, step=step, last=last)
    known = ""
    if turns > 1:
        with suppress(BudgetError):
            [plan] = yield Draw(written(divide, task=task.prompt), role="proposer", temperature=temperature)
            for question in [line.strip() for line in plan.text.splitlines() if line.strip()][: turns - 1]:
                [reply] = yield Draw(written(step, task=task.prompt, known=known, question=question), temperature=temperature)
                known += f"{question}\n{reply.text.strip()}\n"
    [answer] = yield Draw(written(last, task=task.prompt, known=known).strip() if known else task.prompt, temperature=temperature)
    return answer
