"""Self-refine: the model criticises its own answer, then improves it (Madaan et al. 2023, arXiv 2303.17651).

Departures: the paper shows examples of criticism for each kind of task; here two sentences ask for it. Criticism and improvement are
turns of one conversation. A criticism that holds `enough` ends the play.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import some_text
from ratchet.core.types import Draw, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("self-refine", paper="arXiv 2303.17651")
def self_refine(
    task: Task,
    *,
    turns: int = 3,
    criticise: str = "Say what is wrong with this answer, step by step. If nothing is, say: it is right.",
    improve: str = "Now answer again, without these mistakes.",
    enough: str = "it is right",
    temperature: float = 1.0,
) -> Play:
    """An answer, and at most `turns` - 1 improvements (paper: up to 4 iterations, temperature 0.7)."""
    some_text(criticise=criticise, improve=improve, enough=enough)
    [answer] = yield Draw(task.prompt, temperature=temperature)
    with suppress(BudgetError):
        for _ in range(turns - 1):
            [criticism] = yield Draw(answer, then=criticise, turn=True, role="critic", temperature=temperature)
            if (
                criticism is answer
                or criticism.stop == "length"
                or said(enough, criticism.text[len(answer.text) :]) > said(enough, criticise)
            ):
                break
            [better] = yield Draw(criticism, then=improve, turn=True, temperature=temperature)
            if better is criticism:
                break  # there is no room for another answer
            answer = better
            if answer.stop == "length":
                break
    return answer


def said(words: str, text: str) -> int:
    """How often the words stand in a text, however they are spaced: the question names them too."""
    return " ".join(text.lower().split()).count(" ".join(words.lower().split()))
