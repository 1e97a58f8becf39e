"""Strategies over strategies: several plays side by side, and a vote over what they answer with.

`vote-over` is self-consistency (Wang et al. 2022, arXiv 2203.11171) over the answers of another strategy in the place of samples.
Departure: the inner strategy runs with its defaults, or with the knobs that stand in its name, as in "self-refine:turns=2".
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from ratchet.core.types import Call as ToolCall
from ratchet.core.types import Chance, Completion, Draw, Judge, Play, Request, Task
from ratchet.search.strategy import planned, strategies
from ratchet.search.vote import most_voted


def side_by_side(plays: Sequence[Play]) -> Generator[Request, Any, list[Completion]]:
    """Play all to their ends, and return their answers. What they draw at the same time is sampled in one batch."""
    answers: dict[int, Completion] = {}
    asked: dict[int, Draw | Sequence[Draw]] = {}

    def go_on(i: int, answer: Any) -> Generator[Request, Any, None]:
        """Up to the next draw of play i, or to its end."""
        try:
            request = plays[i].send(answer)
            while isinstance(request, Judge | ToolCall | Chance):
                request = plays[i].send((yield request))
            asked[i] = request
        except StopIteration as end:
            answers[i] = end.value

    for i in range(len(plays)):
        yield from go_on(i, None)
    while asked:
        waiting, asked = asked, {}
        drawn = iter((yield [d for request in waiting.values() for d in ([request] if isinstance(request, Draw) else request)]))
        for i, request in waiting.items():
            yield from go_on(i, next(drawn) if isinstance(request, Draw) else [next(drawn) for _ in request])
    return [answers[i] for i in range(len(plays))]


@strategies.add("vote-over", paper="arXiv 2203.11171")
def vote_over(task: Task, *, n: int = 4, inner: str = "single") -> Play:
    """The most frequent answer of `n` plays of the strategy `inner`, such as "self-refine:turns=2"."""
    strategy, knobs = planned(inner)
    completions = yield from side_by_side([strategy(task, **knobs) for _ in range(n)])
    return (yield from most_voted(completions))
