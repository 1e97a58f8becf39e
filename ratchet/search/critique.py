"""Critique, then revise: another model reads the answer afresh, and the solver answers again with its criticism in sight (Saunders et
al. 2022, arXiv 2206.05802; with a critic trained for it McAleese et al. 2024, arXiv 2407.00215).

Unlike `self-refine`, critic and solver see no conversation but a task, an answer and a criticism, and may be different models: the
scheduler's role "critic". Departures: the papers help people to judge; here the revision is judged by the task's verifier.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import some_text
from ratchet.core.types import Draw, Play, Task
from ratchet.search.prompts import written
from ratchet.search.strategy import strategies


@strategies.add("critique-revise", paper="arXiv 2206.05802")
def critique_revise(
    task: Task,
    *,
    turns: int = 2,
    criticise: str = "{task}\n\nAn answer:\n{answer}\n\nWhat is wrong with it?",
    revise: str = "{task}\n\nAn answer:\n{answer}\n\nA reader says:\n{criticism}\n\nAnswer again.",
    temperature: float = 1.0,
) -> Play:
    """An answer, and `turns` - 1 revisions, each after a criticism of the answer before."""
    some_text(criticise=criticise, revise=revise)
    [answer] = yield Draw(task.prompt, temperature=temperature)
    with suppress(BudgetError):
        for _ in range(turns - 1):
            asked = written(criticise, task=task.prompt, answer=answer.text)
            [criticism] = yield Draw(asked, role="critic", temperature=temperature)
            asked = written(revise, task=task.prompt, answer=answer.text, criticism=criticism.text)
            [answer] = yield Draw(asked, temperature=temperature)
    return answer
