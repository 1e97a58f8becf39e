"""The scheduler: runs many strategies at once, batches their draws over tasks, and is the only code that spends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from ratchet.core.budget import Budget
from ratchet.core.errors import BudgetError, RecipeError, nearest
from ratchet.core.registry import check_knobs
from ratchet.core.seeds import Part, seed
from ratchet.core.types import Call, Completion, Cost, Draw, Event, Judge, Outcome, Play, Request, Strategy, Task, Trace, Verdict
from ratchet.models.engine import Engine
from ratchet.models.machine import spare_core

Verify = Callable[[Sequence[tuple[Task, str]]], list[Verdict]]
Scorer = Callable[[Task, Sequence[Completion], Verify], Sequence[float]]
Tool = Callable[[Task, str], str]


@dataclass
class Running:
    """A strategy in play: its generator, the trace so far and the path of its randomness."""

    play: Play
    trace: Trace
    path: tuple[Part, ...]
    draws: int = 0
    waiting: Draw | None = None
    judged: list[Future[list[Verdict]]] = field(default_factory=list)  # one for each draw, in their order


def started(draw: Draw) -> int:
    """How many tokens of its answers a draw goes on from."""
    return len(draw.prefix.tokens) if isinstance(draw.prefix, Completion) else 0


def full(draw: Draw) -> list[Completion]:
    """The answers of a draw that goes on from a completion that is as long as one may be: that one, ended."""
    assert isinstance(draw.prefix, Completion)
    return [replace(draw.prefix, stop="length")] * draw.n


@dataclass
class Scheduler:
    """`run` plays a strategy on tasks and returns a judged trace for each task and sample.

    With `beside`, completions are judged in a thread beside the sampling, as they come (`verify` is then only called from
    that thread); without, after it. Measured on two cores that were both sampling, beside took a tenth longer.
    `scorers` and `tools` are what `Judge` and `Call` may name. `spent` sums what everything cost; `seconds` says
    where the time went.
    """

    engine: Engine
    verify: Verify
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    tools: Mapping[str, Tool] = field(default_factory=dict)
    spent: Cost = field(default_factory=Cost)
    seconds: dict[str, float] = field(default_factory=lambda: {"sampling": 0.0, "verification": 0.0})
    beside: bool = field(default_factory=spare_core)

    def run(
        self,
        strategy: Strategy,
        tasks: Sequence[Task],
        *path: Part,
        knobs: Mapping[str, Any] | None = None,
        samples: int = 1,
        budget: Budget | None = None,
    ) -> list[Trace]:
        """Traces in the order of tasks, `samples` for each. The randomness of each is a function of path, key, sample."""
        name = strategy.__name__.replace("_", "-")
        checked = check_knobs("strategy", name, strategy, knobs or {})
        start = time.perf_counter()
        self.engine.forget()
        running = [
            Running(strategy(task, **checked), Trace(task, name, i), (*path, task.key, i))
            for task in tasks
            for i in range(samples)
        ]
        with ThreadPoolExecutor(1, "verify") as thread:

            def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
                return self._wait(thread.submit(self.verify, pairs))

            for r in running:
                self._advance(r, None, budget or Budget(), verify)
            while waiting := [r for r in running if r.waiting is not None]:
                for r, completions in zip(waiting, self._sample(waiting, thread), strict=True):
                    draw, r.waiting = r.waiting, None
                    assert draw is not None
                    r.trace.events.append(Event(draw, completions))
                    self._advance(r, completions, budget or Budget(), verify)
            self._judge(running, verify)
        self.spent.seconds += time.perf_counter() - start
        return [r.trace for r in running]

    def _sample(self, waiting: Sequence[Running], thread: ThreadPoolExecutor) -> list[list[Completion]]:
        start = time.perf_counter()
        draws = [r.waiting for r in waiting if r.waiting is not None]
        seeds = [[seed(*r.path, "draw", r.draws + i) for i in range(d.n)] for r, d in zip(waiting, draws, strict=True)]

        def judge(d: int, completions: list[Completion]) -> None:
            pairs = [(waiting[d].trace.task, c.text) for c in completions]
            waiting[d].judged.append(thread.submit(self.verify, pairs))

        drawn = self.engine.sample(draws, seeds, judge if self.beside else None)
        for r, draw, completions in zip(waiting, draws, drawn, strict=True):
            r.draws += len(completions)
            before = started(draw)
            read = len(completions[0].prefix) + before if completions else 0
            cost = Cost(sum(len(c.tokens) - before for c in completions), read, len(completions))
            r.trace.cost.add(cost)
            self.spent.add(cost)
        self.seconds["sampling"] += time.perf_counter() - start
        return drawn

    def _advance(self, r: Running, answer: Any, budget: Budget, verify: Verify) -> None:
        """Send an answer to the strategy and serve what it asks for, up to its next draw or its end."""
        send: Callable[[], Request] = lambda: r.play.send(answer)
        while True:
            try:
                request = send()
            except StopIteration as end:
                r.trace.answer = end.value
                return
            except BudgetError as e:
                r.trace.verdict = Verdict(Outcome.FAIL, f"no answer: out of budget: {e}")
                return
            try:
                if isinstance(request, Draw):
                    room = self.engine.max_tokens - started(request)
                    if room < 1:
                        answers = full(request)
                        send = lambda answers=answers: r.play.send(answers)
                        continue
                    asked = room if request.max_tokens is None else request.max_tokens
                    wanted = min(asked, room) if started(request) else asked
                    r.waiting = replace(request, max_tokens=budget.most_tokens(r.trace.cost, request.n, wanted))
                    return
                budget.allow_call(r.trace.cost)
            except BudgetError as e:
                send = lambda e=e: r.play.throw(e)
                continue
            reply = self._serve(r.trace, request, verify)
            r.trace.events.append(Event(request, reply))
            send = lambda reply=reply: r.play.send(reply)

    def _serve(self, trace: Trace, request: Judge | Call, verify: Verify) -> Any:
        table, name = (self.scorers, request.scorer) if isinstance(request, Judge) else (self.tools, request.tool)
        if name not in table:
            raise RecipeError(f'strategy "{trace.strategy}" asks for "{name}"; {nearest(name, table)}')
        trace.cost.calls += 1
        self.spent.calls += 1
        if isinstance(request, Judge):
            return list(self.scorers[name](trace.task, request.completions, verify))
        return self.tools[name](trace.task, request.argument)

    def _judge(self, running: Sequence[Running], verify: Verify) -> None:
        """Every completion has been judged once; a trace's verdict is that of the completion it answers with."""
        if self.beside:
            verdicts = (verdict for r in running for future in r.judged for verdict in self._wait(future))
        else:
            verdicts = iter(verify([(r.trace.task, c.text) for r in running for c in r.trace.completions]))
        for t in (r.trace for r in running):
            t.verdicts = [next(verdicts) for _ in t.completions]
            if t.answer is not None:
                place = next((i for i, c in enumerate(t.completions) if c is t.answer), None)
                t.verdict = t.verdicts[place] if place is not None else verify([(t.task, t.answer.text)])[0]

    def _wait(self, verdicts: Future[list[Verdict]]) -> list[Verdict]:
        """Verdicts, and the time that was waited for them: what was judged beside the sampling costs none."""
        start = time.perf_counter()
        try:
            return verdicts.result()
        finally:
            self.seconds["verification"] += time.perf_counter() - start
