"""Strategies and the scheduler: contracts measured for every registered strategy, each caught on a broken one."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ratchet.core.budget import Budget
from ratchet.core.errors import BudgetError, RecipeError, VerifierError
from ratchet.core.ranges import from_0_to_1
from ratchet.core.seeds import rng
from ratchet.core.types import Call, Completion, Draw, Outcome, Play, Strategy, Task, Trace, Verdict
from ratchet.loop.turn import scheduler_for
from ratchet.models.engine import LocalEngine
from ratchet.models.scheduler import Scheduler, strategy_knobs
from ratchet.models.tokens import WordTokenizer
from ratchet.search.strategy import SCORERS, strategies
from ratchet.search.tools import TOOLS
from ratchet.tasks.family import Source
from ratchet.verify.verifier import find

STRATEGIES = {e.name: e.value for e in strategies}
TASKS = Source("arithmetic", knobs={"steps": 1}).take("train", 12, "search tests")


def judge_here(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [find(t.verifier)(t, text) for t, text in pairs]


class Scripted:
    """An engine whose completions are right with a chance that its seed decides: laws can be measured in no time."""

    def __init__(self, chance: float = 0.4) -> None:
        self.chance, self.max_tokens, self.version, self.asked, self.context = chance, 60, 0, 0, 1_000
        self.tokenizer, self.end = self, frozenset[int]()

    def encode(self, prefix: Any) -> tuple[int, ...]:
        return (1, 2, 3) if isinstance(prefix, str) else prefix

    def encode_turn(self, text: str) -> tuple[int, ...]:
        return self.encode(text)

    def forget(self) -> None:
        pass

    def sample(self, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], done: Any = None) -> list[list[Completion]]:
        drawn = [[self.one(d, s) for s in own] for d, own in zip(draws, seeds, strict=True)]
        for d, completions in enumerate(drawn):
            if done is not None:
                done(d, completions)
        return drawn

    def one(self, draw: Draw, s: int) -> Completion:
        """Two steps of four tokens, each ended where a stop string asks for it, then an answer; or what fits."""
        self.asked += 1
        start = draw.prefix if isinstance(draw.prefix, Completion) else Completion((1, 2, 3), (), "", (), "stop")
        task = next((t for t in TASKS if isinstance(draw.prefix, str) and t.prompt in draw.prefix), self.task_of(start))
        right = s % 1000 < 1000 * self.chance
        answer = task.answer if right else (task.answer + 1 + s % 7)
        given = len(self.encode(draw.then)) if draw.then else 0
        steps = start.text.count("step")
        # what the model finds probable says nothing about what is right
        logprob = -0.1 - (s >> 20) % 5 / 9
        if draw.stop and steps < 2 and not draw.then:
            length, text, stop = 4, f"step {s % 9}{draw.stop[0]}", "stop"
        else:
            length, text, stop = 5 + s % 9, f"answer {answer}", "end"
        most = draw.max_tokens or self.max_tokens
        length, stop = (length, stop) if length <= most else (most, "length")
        tokens = (*start.tokens, *[7] * given, *[TASKS.index(task)] * length)
        return Completion(
            start.prefix, tokens, f"{start.text}\n{draw.then}\n{text}".strip(), (*start.logprobs, *[0.0] * given, *[logprob] * length),
            stop, role=draw.role, given=(*start.given, *range(len(start.tokens), len(start.tokens) + given)),
        )  # fmt: skip

    def task_of(self, start: Completion) -> Task:
        """The task that a completion of ours belongs to: each of its tokens says so."""
        return TASKS[start.tokens[0]] if start.tokens else TASKS[0]


def run(
    strategy: Strategy, knobs: dict[str, Any], samples: int = 1, budget: Budget | None = None, chance: float = 0.4
) -> list[Trace]:
    scheduler = Scheduler(Scripted(chance), judge_here, {**SCORERS, "self-evaluation": SCORERS["placebo"]}, TOOLS)  # type: ignore[arg-type]
    return scheduler.run(strategy, TASKS, "laws", knobs=knobs, samples=samples, budget=budget)


def one_sample(strategy: Strategy) -> dict[str, Any]:
    """The knobs that ask for a single sample in a single turn."""
    return {name: 1 for name in ("n", "turns") if name in inspect.signature(strategy).parameters}


def accuracy(traces: Sequence[Trace]) -> float:
    return sum(t.verdict is not None and t.verdict.passed for t in traces) / len(traces)


# ---- laws --------------------------------------------------------------------------------------------------------


def law_budget(strategy: Strategy) -> bool:
    """Whatever the budget, no trace spends more; one without an answer says why."""
    for tokens in (1, 7, 30, 100):
        for t in run(strategy, {}, budget=Budget(tokens=tokens, calls=3)):
            if t.cost.sampled_tokens > tokens or really_sampled(t) > tokens or t.cost.calls > 3:
                return False
            if t.answer is None and (t.verdict is None or "budget" not in t.verdict.evidence):
                return False
    return True


def law_an_ended_budget_leaves_an_answer(strategy: Strategy) -> bool:
    """Whatever the budget, a trace that holds a whole answer to its task answers, and not with a draw of its own that only the
    budget's end cut."""
    for budget in [*(Budget(tokens=tokens) for tokens in (9, 20, 35, 45)), Budget(calls=0), Budget(calls=2)]:
        for t in run(strategy, {}, budget=budget):
            if t.first_whole is None:
                continue
            alone = [e.answer[0] for e in t.events if isinstance(e.request, Draw) and e.request.n == 1]
            if t.answer is None or (budget.tokens and alone[-1:] == [t.answer] and t.answer.stop == "length"):
                return False
    return True


def really_sampled(t: Trace) -> int:
    """Tokens of all completions, each counted where it was drawn."""
    before = lambda e: e.request.prefix.sampled if isinstance(e.request.prefix, Completion) else 0
    return sum(c.sampled - before(e) for e in t.events if isinstance(e.request, Draw) for c in e.answer)


def law_one_sample_is_plain_sampling(strategy: Strategy) -> bool:
    """With one sample the answer is that of a plain draw from the same seed."""
    plain = run(STRATEGIES["single"], {}, samples=3)
    mine = run(strategy, one_sample(strategy), samples=3)
    return [t.answer for t in mine] == [t.answer for t in plain]


def law_answers_with_what_it_drew(strategy: Strategy) -> bool:
    """The answer is one of the completions drawn, and its verdict is the trace's."""
    return all(
        any(c is t.answer for c in t.completions) and t.verdict == t.verdicts[[c is t.answer for c in t.completions].index(True)]
        for t in run(strategy, {})
    )


def law_is_a_function_of_its_path(strategy: Strategy) -> bool:
    """Twice the same run, the same answers."""
    return [t.answer for t in run(strategy, {})] == [t.answer for t in run(strategy, {})]


def law_leaves_the_record_as_it_is(strategy: Strategy) -> bool:
    """What was answered stands in the trace whole, each completion with the verdict on its own text."""
    traces = run(strategy, {})
    whole = all(len(e.answer) == e.request.n for t in traces for e in t.events if isinstance(e.request, Draw))
    return whole and all(
        judge_here([(t.task, c.text)]) == [v] for t in traces for c, v in zip(t.completions, t.verdicts, strict=True)
    )


LAWS = [
    law_budget, law_one_sample_is_plain_sampling, law_answers_with_what_it_drew, law_is_a_function_of_its_path,
    law_leaves_the_record_as_it_is, law_an_ended_budget_leaves_an_answer,
]  # fmt: skip


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_its_laws(name: str, law: Callable[[Strategy], bool]) -> None:
    assert law(STRATEGIES[name])


def invents(task: Task, *, n: int = 1) -> Play:
    [c] = yield Draw(task.prompt)
    return Completion(c.prefix, c.tokens, f"answer {task.answer}", c.logprobs, "end")


def draws_twice(task: Task, *, n: int = 1) -> Play:
    yield Draw(task.prompt)
    [second] = yield Draw(task.prompt)
    return second


def swallows_its_budget(task: Task) -> Play:
    try:
        [c] = yield Draw(task.prompt, n=50)
    except Exception:
        c = Completion((1,), tuple(range(99)), "answer 1", (), "end")
    return c


def wavers(task: Task) -> Play:
    wavers.calls += 1  # type: ignore[attr-defined]
    cs = yield Draw(task.prompt, n=8)
    return cs[wavers.calls % 8]  # type: ignore[attr-defined]


def takes_from_what_it_got(task: Task) -> Play:
    first = yield Draw(task.prompt, n=8)
    best = first.pop(0)
    yield Draw(task.prompt)
    return best


def gives_up(task: Task) -> Play:
    try:
        for _ in range(9):
            [c] = yield Draw(task.prompt)
    except BudgetError:
        return None  # type: ignore[return-value]
    return c


wavers.calls = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("law", "strategy"),
    [(law_answers_with_what_it_drew, invents), (law_one_sample_is_plain_sampling, draws_twice),
     (law_answers_with_what_it_drew, swallows_its_budget), (law_is_a_function_of_its_path, wavers),
     (law_leaves_the_record_as_it_is, takes_from_what_it_got),
     (law_an_ended_budget_leaves_an_answer, gives_up)],
)  # fmt: skip
def test_each_law_catches_a_broken_strategy(law: Callable[[Strategy], bool], strategy: Strategy) -> None:
    if strategy is swallows_its_budget:
        traces = run(strategy, {}, budget=Budget(tokens=10))
        assert not any(c is t.answer for t in traces for c in t.completions)
    else:
        assert not law(strategy)


def test_the_budget_law_catches_a_scheduler_that_does_not_clamp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "most_tokens", lambda self, spent, samples, wanted: wanted)
    assert not law_budget(STRATEGIES["single"])


def test_the_law_of_ended_budgets_catches_a_scheduler_that_forgets_or_hands_out_what_was_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    law = law_an_ended_budget_leaves_an_answer
    with monkeypatch.context() as patched:
        patched.setattr(Scheduler, "_told", lambda self, r, answers: lambda: r.play.send(answers if r.together else answers[0]))
        assert law(STRATEGIES["best-of-n"]) and not law(STRATEGIES["critique-revise"])
    whole = Trace.first_whole
    with monkeypatch.context() as patched:
        asked: list[Trace] = []
        # there is a whole answer for the law, none for the scheduler
        patched.setattr(Trace, "first_whole", property(lambda t: whole.fget(t) if t.verdicts else asked.append(t)))  # type: ignore[attr-defined]
        assert not law(STRATEGIES["best-of-n"]) and asked


def law_a_knob_is_refused_at_once_or_serves(strategy: Strategy, name: str) -> bool:
    """Of a bad value of any knob is heard before the first request; what is not refused gives answers."""
    for knob, p in inspect.signature(strategy).parameters.items():
        for value in (0, -1, math.nan, math.inf, "", "abc") if p.kind is p.KEYWORD_ONLY else ():
            try:
                play = strategy(TASKS[0], **strategy_knobs(name, strategy, {knob: value}))
                next(play)
            except RecipeError:
                continue
            try:
                if any(t.answer is None for t in run(strategy, {knob: value})):
                    return False
            except Exception as e:
                # the names of scorers and tools are checked where the scheduler's are known
                if knob not in ("scorer", "tool") or not isinstance(e, RecipeError):
                    return False
    return True


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_knob_is_refused_at_once_or_serves(name: str) -> None:
    assert law_a_knob_is_refused_at_once_or_serves(STRATEGIES[name], name)


def looks_at_its_knobs_late(task: Task, *, share: float = 0.5) -> Play:
    cs = yield Draw(task.prompt, n=4)
    from_0_to_1(share=share)
    return cs[int(share * 3)]


def test_the_law_of_knobs_catches_one_that_looks_late() -> None:
    assert not law_a_knob_is_refused_at_once_or_serves(looks_at_its_knobs_late, "late")


# ---- what the strategies are for ---------------------------------------------------------------------------------


def test_placebo_gains_nothing_and_oracle_gains_what_coverage_allows() -> None:
    best = STRATEGIES["best-of-n"]
    single = accuracy(run(STRATEGIES["single"], {}, samples=60))
    placebo = accuracy(run(best, {"n": 8, "scorer": "placebo"}, samples=60))
    oracle = accuracy(run(best, {"n": 8, "scorer": "oracle"}, samples=60))
    assert abs(placebo - single) < 0.1  # three standard errors at 720 samples each
    assert oracle > 0.95


def test_vote_gains_where_right_answers_agree() -> None:
    assert accuracy(run(STRATEGIES["vote"], {"n": 16}, samples=10)) > accuracy(run(STRATEGIES["single"], {}, samples=10)) + 0.2


def test_a_vote_ignores_samples_without_an_answer() -> None:
    play = STRATEGIES["vote"](TASKS[0], n=3)
    next(play)
    texts = ["no answer here\nat all", "neither\nhere", "answer 5"]
    cs = [Completion((1,), (1,), t, (-1.0,), "end") for t in texts]
    request = play.send(cs)
    replies = iter(["", "", "5"])
    with pytest.raises(StopIteration) as end:
        while True:
            assert isinstance(request, Call)
            request = play.send(next(replies))
    assert end.value.value is cs[2]


class Stepping(Scripted):
    """Answers are three digits that the seed decides, each a step of two tokens, and an end."""

    def one(self, draw: Draw, s: int) -> Completion:
        start = draw.prefix if isinstance(draw.prefix, Completion) else Completion((1,), (), "", (), "stop")
        tokens, random = list(start.tokens), rng(s)
        while len(tokens) < 6:
            tokens += [random.randrange(10), SEMICOLON]
            if draw.stop and len(tokens) < 6:
                break
        stop = "end" if len(tokens) == 6 else "stop"
        most = len(start.tokens) + (draw.max_tokens or self.max_tokens)
        tokens, stop = tokens[:most], stop if len(tokens) <= most else "length"
        return Completion((1,), tuple(tokens), " ; ".join(map(str, tokens[::2])), (-1.0,) * len(tokens), stop)


SEMICOLON = 99


def digits(task: Task, completions: Sequence[Completion], verify: Any) -> list[float]:
    """A value that knows what a part is worth."""
    return [float(sum(c.tokens[::2])) for c in completions]


def beam(scorer: str, n: int = 20, beams: int = 5, budget: Budget | None = None) -> list[Trace]:
    scheduler = Scheduler(Stepping(), judge_here, SCORERS | {"digits": digits}, TOOLS)  # type: ignore[arg-type]
    knobs = {"n": n, "beams": beams, "scorer": scorer, "step": ";"}
    return scheduler.run(STRATEGIES["beam"], TASKS, "beam", knobs=knobs, budget=budget)


def worth(traces: Sequence[Trace]) -> float:
    return sum(sum(t.answer.tokens[::2]) for t in traces if t.answer) / len(traces)


def test_a_value_beam_plans_where_ranking_whole_answers_has_nothing_to_choose_from() -> None:
    scheduler = Scheduler(Stepping(), judge_here, SCORERS | {"digits": digits}, TOOLS)  # type: ignore[arg-type]
    best = scheduler.run(STRATEGIES["best-of-n"], TASKS, "beam", knobs={"n": 20, "scorer": "digits"})
    placebo, planned = beam("placebo"), beam("digits")
    assert worth(planned) > worth(best) + 2 and worth(best) > worth(placebo) + 2
    for t in planned:
        assert t.answer is not None and t.answer.stop == "end" and any(c is t.answer for c in t.completions)
        draws = [e for e in t.events if isinstance(e.request, Draw)]
        assert [sum(e.request.n for e in draws if depth(e.request) == d) for d in (0, 2, 4)] == [20, 20, 20]
        assert max(len([e for e in draws if depth(e.request) == d]) for d in (2, 4)) <= 5


def depth(draw: Draw) -> int:
    return len(draw.prefix.tokens) if isinstance(draw.prefix, Completion) else 0


def test_what_a_draw_goes_on_from_is_paid_for_once() -> None:
    """Every step of every draw has two new tokens; a budget is held however the answer is put together."""
    for t in beam("digits"):
        assert t.cost.sampled_tokens == 2 * t.cost.draws == 120 and t.cost.prefix_tokens > 0
    for t in beam("digits", budget=Budget(tokens=70)):
        assert t.cost.sampled_tokens <= 70 and (
            t.answer is not None or (t.verdict is not None and "budget" in t.verdict.evidence)
        )


def test_a_draw_that_goes_on_gives_whole_answers(tiny_engine: LocalEngine) -> None:
    def twice(task: Task) -> Play:
        [part] = yield Draw(task.prompt, max_tokens=3)
        [rest] = yield Draw(part, max_tokens=4)
        [full] = yield Draw(rest)
        return rest if len(full.tokens) > len(rest.tokens) or full.stop == "length" else part

    [t] = Scheduler(tiny_engine, judge_here, SCORERS, TOOLS).run(twice, TASKS[:1], "twice")
    part, rest = t.completions[:2]
    assert rest.prefix == part.prefix and rest.tokens[:3] == part.tokens and len(rest.tokens) == len(rest.logprobs) == 7
    assert rest.text == tiny_engine.tokenizer.decode(rest.tokens) and rest.text.startswith(part.text)
    [scores] = tiny_engine.score([(rest.prefix, rest.tokens)])
    assert scores == pytest.approx(rest.logprobs, abs=1e-4)
    assert all(len(c.tokens) <= tiny_engine.max_tokens for c in t.completions)


def test_an_answer_as_long_as_one_may_be_is_not_gone_on_from(tiny_engine: LocalEngine) -> None:
    def on_and_on(task: Task) -> Play:
        [c] = yield Draw(task.prompt, max_tokens=5)
        for _ in range(20):
            [c] = yield Draw(c, max_tokens=5)
        return c

    for t in Scheduler(tiny_engine, judge_here, SCORERS, TOOLS).run(on_and_on, TASKS[:3], "on"):
        assert t.answer is not None and len(t.answer.tokens) <= tiny_engine.max_tokens and t.verdict is not None


def test_a_part_that_fills_the_context_is_not_gone_on_from(tiny_engine: LocalEngine) -> None:
    """Prompt and answer together; the engine's own limit on answers is not reached."""

    def on_and_on(task: Task) -> Play:
        [c] = yield Draw((5,) * (tiny_engine.context - 6), max_tokens=4)
        for _ in range(3):
            [c] = yield Draw(c, max_tokens=4)
        return c

    for t in Scheduler(tiny_engine, judge_here).run(on_and_on, TASKS[:3], "context"):
        assert t.answer is not None and len(t.answer.prefix) + len(t.answer.tokens) <= tiny_engine.context


def test_costs_are_booked() -> None:
    engine = Scripted()
    scheduler = Scheduler(engine, judge_here, SCORERS, TOOLS)  # type: ignore[arg-type]
    traces = scheduler.run(STRATEGIES["vote"], TASKS, "x", knobs={"n": 4})
    assert scheduler.spent.draws == engine.asked == 4 * len(TASKS)
    assert scheduler.spent.sampled_tokens == sum(len(c.tokens) for t in traces for c in t.completions)
    assert scheduler.spent.calls == 4 * len(TASKS) and all(t.cost.calls == 4 for t in traces)


def test_each_judged_completion_is_a_call() -> None:
    [many, *_] = run(STRATEGIES["best-of-n"], {"n": 8})
    assert many.cost.calls == 8
    [fewer, *_] = run(STRATEGIES["best-of-n"], {"n": 8}, budget=Budget(calls=7))
    assert fewer.cost.calls == 0 and "0 of 7 judge and tool calls are spent; 8 more do not fit" in fewer.cut


def test_unknown_scorer_and_knob_are_named() -> None:
    with pytest.raises(RecipeError, match='did you mean "oracle"'):
        run(STRATEGIES["best-of-n"], {"scorer": "oracl"})
    with pytest.raises(RecipeError, match='no knob "m"'):
        run(STRATEGIES["vote"], {"m": 4})


def test_an_abstaining_verifier_is_not_a_failure() -> None:
    def abstain(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [Verdict(Outcome.ABSTAIN, "late") for _ in pairs]

    scheduler = Scheduler(Scripted(), abstain, SCORERS, TOOLS)  # type: ignore[arg-type]
    from ratchet.measure.record import record_of

    record = record_of(scheduler.run(STRATEGIES["single"], TASKS, "x"), "m", "t")
    assert all(r.n == 0 and r.abstained == 1 for r in record.rows)


def test_strategies_run_on_the_real_engine(tiny_engine: LocalEngine) -> None:
    """With what they say to the model in English, of which this one knows no word but reads it as unknown ones."""
    words = tiny_engine.tokenizer.words  # type: ignore[attr-defined]
    engine = LocalEngine(tiny_engine.model, WordTokenizer(words[2:], strict=False), max_tokens=40, batch=8)
    scheduler = scheduler_for(engine, judge_here)
    for name, strategy in STRATEGIES.items():
        for t in scheduler.run(strategy, TASKS[:3], "real"):
            assert t.answer is not None and t.verdict is not None, name


def test_verdicts_are_given_beside_the_sampling() -> None:
    """The engine of this test goes on only when the first draw has been judged: a verdict at the end would be too late."""
    judged = threading.Event()

    class Waiting(Scripted):
        def sample(self, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], done: Any = None) -> list[list[Completion]]:
            first = [self.one(draws[0], s) for s in seeds[0]]
            done(0, first)
            assert judged.wait(10), "the first draw was not judged while the others were drawn"
            rest = [[self.one(d, s) for s in own] for d, own in zip(draws[1:], seeds[1:], strict=True)]
            for d, completions in enumerate(rest, start=1):
                done(d, completions)
            return [first, *rest]

    def verify(pairs: Any) -> list[Verdict]:
        judged.set()
        return judge_here(pairs)

    beside = Scheduler(Waiting(), verify, SCORERS, TOOLS, beside=True).run(strategies["single"], TASKS, "beside", samples=2)  # type: ignore[arg-type]
    plain = Scheduler(Scripted(), judge_here, SCORERS, TOOLS, beside=False).run(strategies["single"], TASKS, "beside", samples=2)  # type: ignore[arg-type]
    assert [t.verdicts for t in beside] == [t.verdicts for t in plain]
    assert all(t.verdict == t.verdicts[0] for t in beside)


def test_a_verifier_that_does_not_exist_stops_the_play() -> None:
    def verify(pairs: Any) -> list[Verdict]:
        raise VerifierError("no such verifier")

    with pytest.raises(VerifierError, match="no such"):
        Scheduler(Scripted(), verify, SCORERS, TOOLS).run(strategies["single"], TASKS, "x")  # type: ignore[arg-type]


def test_draws_asked_for_at_once_are_those_asked_for_one_by_one_and_one_batch(tiny_engine: LocalEngine) -> None:
    def at_once(task: Task) -> Play:
        [part] = yield Draw(task.prompt, max_tokens=2)
        answers = yield [Draw(part, n=2, max_tokens=3), Draw(task.prompt, max_tokens=4)]
        assert [len(own) for own in answers] == [2, 1]
        return answers[1][0]

    def one_by_one(task: Task) -> Play:
        [part] = yield Draw(task.prompt, max_tokens=2)
        yield Draw(part, n=2, max_tokens=3)
        [last] = yield Draw(task.prompt, max_tokens=4)
        return last

    together = Scheduler(tiny_engine, judge_here).run(at_once, TASKS[:3], "at once")
    apart = Scheduler(tiny_engine, judge_here).run(one_by_one, TASKS[:3], "at once")
    tokens = lambda traces: [[c.tokens for c in t.completions] for t in traces]
    assert tokens(together) == tokens(apart) and [t.verdict for t in together] == [t.verdict for t in apart]
    assert all(len(t.events) == 3 and len(t.verdicts) == 4 for t in together)


def test_what_is_put_between_is_not_sampled_not_paid_for_and_not_learned(tiny_engine: LocalEngine) -> None:
    from ratchet.learn.batch import Example, to_batch

    def again(task: Task) -> Play:
        [first] = yield Draw(task.prompt, max_tokens=3)
        [second] = yield Draw(first, max_tokens=4, then="no try", turn=True)
        return second

    [t] = Scheduler(tiny_engine, judge_here).run(again, TASKS[:1], "again")
    first, second = t.completions
    k, given = len(first.tokens), tuple(tiny_engine.tokenizer.encode("no try"))
    assert second.tokens[:k] == first.tokens and second.tokens[k : k + 2] == given and second.given == (k, k + 1)
    assert t.cost.sampled_tokens == second.sampled == len(second.tokens) - 2
    [scores] = tiny_engine.score([(second.prefix, second.tokens)])
    drawn = [i for i in range(len(second.tokens)) if i not in second.given]
    assert [scores[i] for i in drawn] == pytest.approx([second.logprobs[i] for i in drawn], abs=1e-4)
    example = Example.of(second, 1.0)
    batch = to_batch([example], example.learned, 1, 60, "cpu")
    learned = batch.mask[0].nonzero()[:, 0] - (len(second.prefix) - 1)
    assert learned.tolist() == drawn and example.learned == second.sampled


def test_a_text_goes_on_where_it_ended_and_a_turn_stands_behind_the_end(tiny_engine: LocalEngine) -> None:
    from ratchet.models.engine import begun

    end = tiny_engine.tokenizer.end_id
    ended = Completion((5,), (6, end), "x", (-0.5, -0.25), "end")
    text = begun(ended, Draw(ended, then="no"), tiny_engine.tokenizer)
    turn = begun(ended, Draw(ended, then="no", turn=True), tiny_engine.tokenizer)
    [no] = tiny_engine.tokenizer.encode("no")
    assert text.tokens == (6, no) and text.given == (1,) and text.logprobs == (-0.5, 0.0)
    assert turn.tokens == (6, end, no) and turn.given == (2,) and turn.logprobs == (-0.5, -0.25, 0.0)
    with pytest.raises(RecipeError, match="only a completion"):
        Draw("prompt", then="more")


def test_roles_draw_from_their_own_engines() -> None:
    def two(task: Task) -> Play:
        yield Draw(task.prompt, role="proposer")
        [second] = yield Draw(task.prompt)
        return second

    main, proposer = Scripted(1.0), Scripted(0.0)
    traces = Scheduler(main, judge_here, roles={"proposer": proposer}).run(two, TASKS, "roles")  # type: ignore[arg-type]
    assert main.asked == proposer.asked == len(TASKS) and accuracy(traces) == 1
    assert all([v.passed for v in t.verdicts] == [False, True] and t.completions[0].role == "proposer" for t in traces)


def test_operations_of_models_are_booked(tiny_engine: LocalEngine) -> None:
    from ratchet.models.engine import flops_of
    from ratchet.models.scheduler import Priced

    each = flops_of(tiny_engine)
    weights = sum(p.numel() for n, p in tiny_engine.model.named_parameters() if "embed" not in n)
    assert each >= 2 * weights
    dear = Priced(SCORERS["placebo"], lambda completions: 1e6 * len(completions))
    [t] = Scheduler(tiny_engine, judge_here, {"dear": dear}).run(
        STRATEGIES["best-of-n"], TASKS[:1], "x", knobs={"n": 4, "scorer": "dear"}
    )
    assert t.cost.flops == pytest.approx(4e6 + each * (t.cost.sampled_tokens + len(t.completions[0].prefix)))
