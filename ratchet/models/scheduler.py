"""The scheduler: runs many strategies at once, batches their draws over tasks, and is the only code that spends."""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from ratchet.core.budget import Budget
from ratchet.core.errors import BudgetError, ContextError, RecipeError, nearest
from ratchet.core.registry import check_knobs
from ratchet.core.seeds import Part, rng, seed
from ratchet.core.types import (
    Call,
    Chance,
    Completion,
    Cost,
    Draw,
    Event,
    Judge,
    Outcome,
    Play,
    Request,
    Strategy,
    Task,
    Trace,
    Verdict,
)
from ratchet.models.engine import Engine, begun, flops_of
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
    chances: int = 0
    waiting: Sequence[Draw] = ()
    together: bool = False  # whether the strategy asked for several draws at once, and is answered with a list of answers
    done: Sequence[list[Completion] | None] = ()  # of what it asked for: answers that need no sampling
    limited: bool = False  # whether the budget leaves less to what it waits for than it wanted
    judged: list[Future[list[Verdict]]] = field(default_factory=list)  # one for each draw, in their order


def strategy_knobs(name: str, strategy: Strategy, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs, checked: names and types, and that what counts samples or turns (`n`, `turns`) is at least 1. RecipeError."""
    checked = check_knobs("strategy", name, strategy, knobs)
    for knob in ("n", "turns"):
        if checked.get(knob, 1) < 1:
            raise RecipeError(f'strategy "{name}": {knob} must be at least 1, got {checked[knob]}')
    return checked


@dataclass(frozen=True)
class Priced:
    """A scorer that costs something: `flops(completions)` are the operations that it takes. `ready` raises where it cannot serve at
    all, so that this is heard of before anything is drawn."""

    scorer: Scorer
    flops: Callable[[Sequence[Completion]], float]
    ready: Callable[[], object] = lambda: None

    def __call__(self, task: Task, completions: Sequence[Completion], verify: Verify) -> Sequence[float]:
        return self.scorer(task, completions, verify)


def started(draw: Draw) -> int:
    """How many tokens of its answers a draw goes on from."""
    return len(draw.prefix.tokens) if isinstance(draw.prefix, Completion) else 0


def cost_of(draw: Draw, completions: Sequence[Completion], flops: float) -> Cost:
    """What a draw took at `flops` a token. A prefix is read once for all its samples, and not again where a draw goes on; what was put
    behind it is computed. An end that was taken off before a text was put there was drawn, and paid for, by the draw before."""
    first = completions[0]
    before, kept = draw.added_from(first), started(draw)
    sampled = sum(len(c.tokens) - before for c in completions)
    computed = max(before - kept, 0) if kept else len(first.prefix)
    return Cost(sampled, len(first.prefix) + before, len(completions), flops=flops * (sampled + computed))


def calls_of(request: Judge | Call) -> int:
    """What a request counts as: each completion that is judged is a call of its own."""
    return len(request.completions) if isinstance(request, Judge) else 1


def cut_short(traces: Sequence[Trace]) -> str:
    """A sentence about the searches that could not go on as they wanted, by reason; empty where there are none."""
    kinds = Counter(t.cut.partition(":")[0] for t in traces if t.cut)
    counts = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
    return f"cut short: {kinds.total()} of {len(traces)} searches ({counts}); they answer with what they had" if kinds else ""


def full(draw: Draw) -> list[Completion]:
    """The answers of a draw that goes on from a completion behind which there is no room: that one, as it is. A strategy sees that
    nothing was added."""
    assert isinstance(draw.prefix, Completion)
    return [draw.prefix] * draw.n


@dataclass
class Scheduler:
    """`run` plays a strategy on tasks and returns a judged trace for each task and sample.

    With `beside`, completions are judged in a thread beside the sampling, as they come (`verify` is then only called from
    that thread); without, after it. Measured on two cores that were both sampling, beside took a tenth longer.
    `scorers` and `tools` are what `Judge` and `Call` may name. A draw's `role` names the engine of `roles` that serves it; a role
    that is not there is played by `engine`, whose vocabulary all share. `spent` sums what everything cost; `seconds` says
    where the time went.
    """

    engine: Engine
    verify: Verify
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    tools: Mapping[str, Tool] = field(default_factory=dict)
    roles: Mapping[str, Engine] = field(default_factory=dict)
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
        checked = strategy_knobs(name, strategy, knobs or {})
        self.check(strategy, checked)
        start = time.perf_counter()
        for engine in self._engines():
            engine.forget()
        running = [
            Running(strategy(task, **checked), Trace(task, name, i), (*path, task.key, i))
            for task in tasks
            for i in range(samples)
        ]
        with ThreadPoolExecutor(1, "verify") as thread:

            def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
                return self._wait(thread.submit(self.verify, pairs))

            for r in running:
                self._advance(r, lambda r=r: next(r.play), budget or Budget(), verify)
            while waiting := [r for r in running if r.waiting]:
                for r, answers in zip(waiting, self._sample(waiting, thread), strict=True):
                    r.trace.events += [Event(draw, own) for draw, own in zip(r.waiting, answers, strict=True)]
                    rest, r.waiting = iter(answers), ()
                    answers = [next(rest) if own is None else own for own in r.done]
                    self._advance(r, self._told(r, answers), budget or Budget(), verify)
            self._judge(running, verify)
        self.spent.seconds += time.perf_counter() - start
        return [r.trace for r in running]

    def check(self, strategy: Strategy, knobs: Mapping[str, Any]) -> None:
        """Whether the scorer that a strategy asks by its knob `scorer` can serve; an error of its own where it cannot."""
        parameter = inspect.signature(strategy).parameters.get("scorer")
        scorer = self.scorers.get(knobs.get("scorer", parameter.default)) if parameter else None
        if isinstance(scorer, Priced):
            scorer.ready()

    def _engines(self) -> list[Engine]:
        return list({id(e): e for e in (self.engine, *self.roles.values())}.values())

    def _engine(self, draw: Draw) -> Engine:
        return self.roles.get(draw.role, self.engine)

    def _sample(self, waiting: Sequence[Running], thread: ThreadPoolExecutor) -> list[list[list[Completion]]]:
        """The answers of all draws that each strategy waits for, sampled in one batch on each engine."""
        start = time.perf_counter()
        asked = [(r, draw) for r in waiting for draw in r.waiting]
        seeds: list[list[int]] = []
        judged: list[Future[list[Verdict]] | None] = [None] * len(asked)
        for r, draw in asked:
            seeds.append([seed(*r.path, "draw", r.draws + i) for i in range(draw.n)])
            r.draws += draw.n

        drawn: list[list[Completion]] = [[] for _ in asked]
        for engine in self._engines():
            places = [i for i, (_, draw) in enumerate(asked) if self._engine(draw) is engine]

            def judge(d: int, completions: list[Completion], places: Sequence[int] = places) -> None:
                task = asked[places[d]][0].trace.task
                judged[places[d]] = thread.submit(self.verify, [(task, c.text) for c in completions])

            if places:
                answers = engine.sample([asked[i][1] for i in places], [seeds[i] for i in places], judge if self.beside else None)
                for i, completions in zip(places, answers, strict=True):
                    drawn[i] = completions
        flops = {id(engine): flops_of(engine) for engine in self._engines()}
        for (r, draw), completions, future in zip(asked, drawn, judged, strict=True):
            cost = cost_of(draw, completions, flops[id(self._engine(draw))])
            r.trace.cost.add(cost)
            self.spent.add(cost)
            if future is not None:
                r.judged.append(future)
        self.seconds["sampling"] += time.perf_counter() - start
        rest = iter(drawn)
        return [[next(rest) for _ in r.waiting] for r in waiting]

    def _told(self, r: Running, answers: Sequence[list[Completion]]) -> Callable[[], Request]:
        """Give the strategy its answers; or the end of its budget, where that cut all of them and there is a whole answer already: a
        strategy would take a text that breaks off for its next answer."""
        if r.limited and r.trace.first_whole is not None and all(c.stop == "length" for own in answers for c in own):
            r.trace.cut = r.trace.cut or "out of budget: the last draw was cut"
            return lambda: r.play.throw(BudgetError(r.trace.cut))
        return lambda: r.play.send(answers if r.together else answers[0])

    def _advance(self, r: Running, send: Callable[[], Request], budget: Budget, verify: Verify) -> None:
        """Tell the strategy what it waits for and serve what it asks for, up to its next draw or its end."""
        while True:
            try:
                request = send()
            except StopIteration as end:
                r.trace.answer = end.value
                return
            except BudgetError as e:
                r.trace.cut = r.trace.cut or str(e)
                r.trace.answer = r.trace.first_whole  # nothing was chosen: what is there serves
                if r.trace.answer is None:
                    r.trace.verdict = Verdict(Outcome.FAIL, f"no answer: {r.trace.cut}")
                return
            try:
                if isinstance(request, Chance):
                    random = rng(*r.path, "chance", r.chances)
                    r.chances += 1
                    send = lambda random=random: r.play.send(random)
                    continue
                if not isinstance(request, Judge | Call):
                    draws = [request] if isinstance(request, Draw) else list(request)
                    for draw in draws:
                        self._fits(draw, r.trace.task)
                    r.together = not isinstance(request, Draw)
                    # one that is as long as one may be cannot be gone on from: it is its own answer
                    rooms = [self._room(d) for d in draws]
                    done = [full(d) if room < 1 else None for d, room in zip(draws, rooms, strict=True)]
                    going = [(d, room) for d, room in zip(draws, rooms, strict=True) if room >= 1]
                    if not going:
                        answers = [own for own in done if own is not None]
                        send = lambda answers=answers: r.play.send(answers if r.together else answers[0])
                        continue
                    samples = sum(d.n for d, _ in going)
                    wanted = [room if d.max_tokens is None else min(d.max_tokens, room) for d, room in going]
                    limits = [budget.most_tokens(r.trace.cost, samples, most) for most in wanted]
                    r.waiting = [replace(d, max_tokens=limit) for (d, _), limit in zip(going, limits, strict=True)]
                    r.done, r.limited = done, any(limit < most for limit, most in zip(limits, wanted, strict=True))
                    return
                budget.allow_calls(r.trace.cost, calls_of(request))
            except BudgetError as e:
                r.trace.cut = r.trace.cut or str(e)
                send = lambda e=e: r.play.throw(e)
                continue
            reply = self._serve(r.trace, request, verify)
            r.trace.events.append(Event(request, reply))
            send = lambda reply=reply: r.play.send(reply)

    def _serve(self, trace: Trace, request: Judge | Call, verify: Verify) -> Any:
        table, name = (self.scorers, request.scorer) if isinstance(request, Judge) else (self.tools, request.tool)
        if name not in table:
            raise RecipeError(f'strategy "{trace.strategy}" asks for "{name}"; {nearest(name, table)}')
        cost = Cost(calls=calls_of(request))
        if isinstance(request, Judge) and isinstance(scorer := self.scorers[name], Priced):
            cost.flops = scorer.flops(request.completions)
        trace.cost.add(cost)
        self.spent.add(cost)
        if isinstance(request, Judge):
            return list(self.scorers[name](trace.task, request.completions, verify))
        return self.tools[name](trace.task, request.argument)

    def _fits(self, draw: Draw, task: Task) -> None:
        """ContextError where a prompt that a strategy made of the task's leaves no room for an answer. That the task's own does not fit
        is for the engine to say, since then no strategy can answer."""
        engine = self._engine(draw)
        if isinstance(draw.prefix, Completion) or draw.prefix == task.prompt:
            return
        if (length := len(engine.encode(draw.prefix))) >= engine.context:
            raise ContextError(
                f"out of context: a prompt that the strategy wrote has {length} tokens, and a context of {engine.context} must hold its answer too"
            )

    def _room(self, draw: Draw) -> int:
        """How many tokens the answers of a draw may have beyond what it goes on from."""
        engine = self._engine(draw)
        if not isinstance(draw.prefix, Completion):
            return engine.max_tokens
        start = begun(draw.prefix, draw, engine.tokenizer) if draw.then else draw.prefix
        return min(engine.max_tokens, engine.context - len(start.prefix)) - len(start.tokens)

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
