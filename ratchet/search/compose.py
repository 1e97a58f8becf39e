"""Strategies over strategies: several plays side by side, and a vote over what they answer with.

`vote-over` is self-consistency (Wang et al. 2022, arXiv 2203.11171) over the answers of another strategy in the place of samples.
Departure: the inner strategy runs with its defaults, or with the knobs that stand in its name, as in "self-refine:turns=2".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from ratchet.core.errors import BudgetError
from ratchet.core.types import Call as ToolCall
from ratchet.core.types import Chance, Completion, Draw, Judge, Play, Request, Task
from ratchet.search.strategy import planned, strategies
from ratchet.search.vote import most_voted


def side_by_side(plays: Sequence[Play]) -> Generator[Request, Any, list[Completion]]:
    """Play all to their ends, and return their answers. What they draw at the same time is sampled in one batch. Where the budget ends,
    it ends for each of them: those with an answer in hand answer with it, the others are left out. BudgetError where none has one."""
    answers: dict[int, Completion] = {}
    asked: dict[int, Draw | Sequence[Draw]] = {}
    refusal: BudgetError | None = None

    def go_on(i: int, told: Callable[[], Request]) -> Generator[Request, Any, None]:
        """Up to the next draw of play i, or to its end."""
        nonlocal refusal
        try:
            request = told()
            while isinstance(request, Judge | ToolCall | Chance):
                try:
                    answer = yield request
                except BudgetError as e:
                    request = plays[i].throw(e)
                else:
                    request = plays[i].send(answer)
            asked[i] = request
        except StopIteration as end:
            answers[i] = end.value
        except BudgetError as e:
            refusal = e

    for i, play in enumerate(plays):
        yield from go_on(i, lambda play=play: next(play))
    while asked:
        waiting, asked = asked, {}
        try:
            drawn = iter(
                (yield [d for request in waiting.values() for d in ([request] if isinstance(request, Draw) else request)])
            )
        except BudgetError as e:
            for i in waiting:
                yield from go_on(i, lambda i=i, e=e: plays[i].throw(e))
            continue
        for i, request in waiting.items():
            answer = next(drawn) if isinstance(request, Draw) else [next(drawn) for _ in request]
            yield from go_on(i, lambda i=i, answer=answer: plays[i].send(answer))
    if refusal and not answers:
        raise refusal
    return [answers[i] for i in sorted(answers)]


@strategies.add("vote-over", paper="arXiv 2203.11171")
def vote_over(task: Task, *, n: int = 4, inner: str = "single") -> Play:
    """The most frequent answer of `n` plays of the strategy `inner`, such as "self-refine:turns=2"."""
    strategy, knobs = planned(inner)
    completions = yield from side_by_side([strategy(task, **knobs) for _ in range(n)])
    return (yield from most_voted(completions))
