"""Strategies that answer in turns, with roles, tools or self-evaluation: what each does, on engines whose every word is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ratchet.core.budget import Budget
from ratchet.core.errors import EngineError, RecipeError
from ratchet.core.types import Completion, Draw, Task, Trace, Verdict
from ratchet.models.engine import begun
from ratchet.models.scheduler import Scheduler, cut_short
from ratchet.models.tokens import WordTokenizer
from ratchet.search.prompts import written
from ratchet.search.strategy import SCORERS, planned, strategies
from ratchet.search.tools import TOOLS, calculator, python
from ratchet.verify.verifier import find

TASK = Task("sequential", "what is 2 + 3 ?", "5", "math")
WORDS = [
    "what",
    "is",
    *"2+3?",
    "answer",
    *"567",
    "wait",
    "no",
    "again",
    "right",
    "wrong",
    "<tool>",
    "</tool>",
    "<result>",
    "</result>",
]
WORDS += ["idea", "x"]
Says = Callable[[Draw, int, str], str]
"""(draw, how many came before it, what stands before it) -> what the engine says; an end follows unless it holds a stop string."""


class Saying:
    """An engine that says what a function makes of the draw, within the limits that the draw sets."""

    def __init__(self, says: Says) -> None:
        self.says, self.max_tokens, self.version, self.context = says, 60, 0, 1_000
        self.tokenizer = WordTokenizer(WORDS, strict=False)
        self.draws: list[Draw] = []
        self.batches = 0

    def encode(self, prefix: Any) -> Any:
        return tuple(self.tokenizer.encode(prefix)) if isinstance(prefix, str) else prefix

    def forget(self) -> None:
        pass

    def sample(self, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], done: Any = None) -> list[list[Completion]]:
        self.batches += 1
        drawn = [[self.one(d) for _ in own] for d, own in zip(draws, seeds, strict=True)]
        for d, completions in enumerate(drawn):
            if done is not None:
                done(d, completions)
        return drawn

    def one(self, draw: Draw) -> Completion:
        if not isinstance(draw.prefix, Completion) and len(self.encode(draw.prefix)) >= self.context:
            raise EngineError("a prompt does not fit")
        if isinstance(draw.prefix, Completion):
            start = begun(draw.prefix, draw, self.tokenizer)
        else:
            start = Completion(self.encode(draw.prefix), (), "", (), "stop")
        text = self.says(draw, len(self.draws), draw.prefix if isinstance(draw.prefix, str) else draw.prefix.text)  # type: ignore[union-attr]
        self.draws.append(draw)
        new = [*self.tokenizer.encode(text)]
        stopped = any(s in text for s in draw.stop)
        new += [] if stopped else [self.tokenizer.end_id]
        most = draw.max_tokens or self.max_tokens
        stop = "length" if len(new) > most else "stop" if stopped else "end"
        tokens = (*start.tokens, *new[:most])
        text = self.tokenizer.decode([t for t in tokens if t not in self.tokenizer.end])
        return Completion(
            start.prefix, tokens, text, (*start.logprobs, *[-1.0] * len(new[:most])), stop, role=draw.role, given=start.given
        )  # fmt: skip


def judge(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [find(t.verifier)(t, text) for t, text in pairs]


def play(
    says: Says, plan: str, scorers: dict[str, Any] | None = None, budget: Budget | None = None, context: int = 1_000
) -> tuple[Trace, Saying]:
    engine = Saying(says)
    engine.context = context
    strategy, knobs = planned(plan)
    scheduler = Scheduler(engine, judge, {**SCORERS, **(scorers or {})}, TOOLS)  # type: ignore[arg-type]
    [trace] = scheduler.run(strategy, [TASK], "x", knobs=knobs, budget=budget)
    return trace, engine


def after(right: int) -> Says:
    """Wrong until the draw of this number."""
    return lambda draw, i, before: "answer 5" if i >= right else "answer 6"


def test_retry_ends_with_the_first_that_is_accepted() -> None:
    trace, engine = play(after(2), "retry:turns=5")
    assert len(engine.draws) == 3 and trace.verdict is not None and trace.verdict.passed
    trace, engine = play(after(9), "retry:turns=5")
    assert len(engine.draws) == 5 and trace.answer is trace.completions[0]
    trace, engine = play(after(2), "retry:turns=5,accept=0.0")  # whatever comes is accepted
    assert len(engine.draws) == 1 and trace.verdict is not None and not trace.verdict.passed


def test_try_again_says_only_that_it_was_wrong_and_only_after_a_wrong_answer() -> None:
    trace, engine = play(after(2), "try-again:turns=5,again=no")
    assert [d.then for d in engine.draws] == ["", "no", "no"] and all(d.turn for d in engine.draws[1:])
    assert trace.answer is not None and trace.answer.text == "answer 6 no answer 6 no answer 5"
    assert [v.passed for v in trace.verdicts] == [False, False, True] and trace.verdict is trace.verdicts[-1]
    [no] = engine.tokenizer.encode("no")
    assert [trace.answer.tokens[i] for i in trace.answer.given] == [no, no]


def test_introspection_votes_over_its_turns_without_hearing_a_verdict() -> None:
    says: Says = lambda draw, i, before: ["answer 6", "answer 5", "answer 5", "answer 7"][i]
    trace, _ = play(says, "introspection:turns=4,look=again")
    assert trace.answer is trace.completions[1] and not any(getattr(e.request, "scorer", "") for e in trace.events)
    trace, _ = play(says, "introspection:turns=4,look=again,vote=false")
    assert trace.answer is trace.completions[3]


def test_self_refine_ends_when_the_criticism_says_so_and_not_because_the_question_does() -> None:
    plan = "self-refine:turns=4,criticise=wrong or right ?,improve=again,enough=right"
    says: Says = lambda draw, i, before: (
        {"": "answer 6", "again": "answer 5"}.get(draw.then) or ("wrong" if "5" not in before else "right")
    )
    trace, engine = play(says, plan)
    assert [d.then for d in engine.draws] == ["", "wrong or right ?", "again", "wrong or right ?"]
    assert [d.role for d in engine.draws] == ["solver", "critic", "solver", "critic"]
    assert trace.verdict is not None and trace.verdict.passed and trace.answer is trace.completions[2]


def test_a_critic_sees_the_answer_and_the_solver_the_criticism() -> None:
    says: Says = lambda draw, i, before: ["answer {task} 6", "wrong", "answer 5"][i]
    trace, engine = play(says, "critique-revise")
    assert "2 + 3" in engine.draws[1].prefix and "answer" in engine.draws[1].prefix and engine.draws[1].role == "critic"  # type: ignore[operator]
    assert "A reader says:\nwrong" in engine.draws[2].prefix and trace.answer is trace.completions[2]  # type: ignore[operator]
    assert written("{a} {b} {c} {", a="{b}", b="x") == "{b} x {c} {"


def test_thinking_is_cut_and_made_to_go_on() -> None:
    says: Says = lambda draw, i, before: "5" if draw.then == "answer" else "x x x"
    trace, engine = play(says, "budget-forcing:turns=3,thinking=6,more=wait,answer=answer")
    assert trace.answer is not None and trace.answer.text == "x x x wait x x answer 5"
    assert [d.max_tokens for d in engine.draws[:2]] == [6, 2]  # three words and an end, of which the end is taken off in between
    trace, _ = play(says, "budget-forcing:turns=3,more=wait")
    assert trace.answer is not None and trace.answer.text == "x x x wait x x x wait x x x"


def test_a_tool_answers_where_the_model_called_it() -> None:
    says: Says = lambda draw, i, before: "answer 5" if "<result>" in draw.then else "<tool> 2 + 3 </tool>"
    trace, engine = play(says, "tool-use:turns=3,result=<result> {} </result>")
    assert trace.answer is not None and trace.answer.text == "<tool> 2 + 3 </tool> <result> 5 </result> answer 5"
    assert trace.answer.given == (5, 6, 7) and trace.cost.calls == 1 and len(engine.draws) == 2
    endless, engine = play(lambda draw, i, before: "<tool> 2 + 3 </tool>", "tool-use:turns=3")
    assert endless.cost.calls == 2 and len(engine.draws) == 3 and not engine.draws[-1].stop


def test_the_calculator_is_exact_and_evaluates_nothing() -> None:
    assert (
        calculator(TASK, "2 + 3") == "5" and calculator(TASK, "1/3 + 1/6") == "1/2" and calculator(TASK, "2^100") == str(2**100)
    )
    assert calculator(TASK, "sqrt(2)") == "1.414213562"
    for text in ("__import__('os').getpid()", "x + 1", "1/0", "9^9^9^9", "((((", "9" * 300):
        assert calculator(TASK, text).startswith("error"), text


def test_python_runs_in_the_sandbox_and_reports_its_errors() -> None:
    assert python(TASK, "```python\nprint(2 + 3)\n```") == "5"
    said = python(TASK, "print(1)\nprint(1 / 0)")
    assert said.startswith("1\nerror: ") and "ZeroDivisionError" in said


def test_solutions_are_shared_among_ideas_and_see_theirs() -> None:
    says: Says = lambda draw, i, before: (
        ["idea 6", "idea 7", "idea x"][i] if draw.role == "abstraction" else "answer 5" if "idea 7" in before else "answer 6"
    )
    trace, engine = play(says, "abstraction:n=7,abstractions=3")
    assert [e.request.n for e in trace.events if isinstance(e.request, Draw)] == [3, 3, 2, 2]
    assert [c.role for c in trace.completions[:4]] == ["abstraction"] * 3 + ["solver"] and engine.batches == 2
    assert sum(v.passed for v in trace.verdicts[3:]) == 2


def test_smaller_questions_are_answered_in_sight_of_those_before() -> None:
    class Lines(Saying):
        def one(self, draw: Draw) -> Completion:
            c = super().one(draw)
            return (
                c if draw.role != "proposer" else Completion(c.prefix, c.tokens, "what is 2 ?\n\nwhat is 3 ?", c.logprobs, c.stop)
            )

    engine = Lines(lambda draw, i, before: f"answer {5 + i % 3}")
    Scheduler(engine, judge, SCORERS, TOOLS).run(strategies["proposer-solver"], [TASK], "x", knobs={"turns": 3})  # type: ignore[arg-type]
    asked = [str(d.prefix) for d in engine.draws]
    assert "only this: what is 2 ?" in asked[1] and "what is 2 ?\nanswer 6" in asked[2] and "what is 3 ?\nanswer 7" in asked[3]


def test_debaters_see_the_others_and_not_themselves() -> None:
    says: Says = lambda draw, i, before: f"answer {5 + i}" if i < 3 else "answer 5"
    trace, engine = play(says, "debate:n=3,rounds=2")
    again = [str(d.prefix) for d in engine.draws[3:]]
    assert all(f"answer {5 + i}" not in text for i, text in enumerate(again)) and "answer 6\nanswer 7" in again[0]
    assert engine.batches == 2 and trace.verdict is not None and trace.verdict.passed


def test_a_vote_over_single_samples_is_a_vote_and_plays_share_their_batches() -> None:
    says: Says = lambda draw, i, before: ["answer 6", "answer 5", "answer 5", "answer 7"][i % 4]
    plain, _ = play(says, "vote:n=4")
    over, engine = play(says, "vote-over:n=4,inner=single")
    assert plain.answer == over.answer == plain.completions[1] and engine.batches == 1
    nested, engine = play(after(9), "vote-over:n=3,inner=retry")
    assert engine.batches == 4 and len(nested.completions) == 12  # four turns of three plays
    with pytest.raises(RecipeError, match="no knob"):
        planned("vote:m=3")
    with pytest.raises(RecipeError, match="did you mean"):
        planned("vot:n=3")


def worth(task: Task, completions: Sequence[Completion], verify: Any) -> list[float]:
    return [0.95 if "5" in c.text else 0.1 for c in completions]


def test_sampling_ends_when_the_model_believes_in_its_answer() -> None:
    trace, engine = play(after(3), "adaptive-sampling:n=9,scorer=worth,temperature=0.5,hottest=1.3", {"worth": worth})
    assert len(engine.draws) == 4 and trace.verdict is not None and trace.verdict.passed
    assert [round(d.temperature, 3) for d in engine.draws] == [0.5, 0.6, 0.7, 0.8]
    _, engine = play(after(99), "adaptive-sampling:n=9,scorer=worth", {"worth": worth})
    assert len(engine.draws) == 9


def test_samples_that_are_not_believed_in_are_dropped_half_way() -> None:
    promise = lambda task, completions, verify: [float(c.tokens[0]) for c in completions]
    says: Says = lambda draw, i, before: f"{['x', '2', '3', 'what'][i]} x x" if i < 4 else "answer 5"
    trace, engine = play(says, "prune:n=4,at=2,scorer=promise", {"promise": promise})
    went_on = [d.prefix.text for d in engine.draws[4:]]  # type: ignore[union-attr]
    assert went_on == ["x x", "3 x"] and trace.cost.sampled_tokens == 4 * 2 + 2 * 3


ANSWERS = ["answer 6", "answer 5", "answer 5", "answer 7", "answer 5"]
CALLS = [f"<tool> {k} + 3 </tool>" for k in "2567"]


@pytest.mark.parametrize(
    ("plan", "words", "tokens", "chosen"),
    [  # an answer is two words and an end; the last draw does not fit whole, or not at all
        ("retry:turns=9,scorer=worth,accept=2.0", ANSWERS, 9, 1), ("adaptive-sampling:n=9,scorer=worth,enough=2.0", ANSWERS, 9, 1),
        ("adaptive-sampling:n=9,scorer=worth,enough=2.0", ANSWERS, 8, 1), ("try-again:turns=9,scorer=placebo,accept=2.0", ANSWERS, 6, 1),
        ("try-again:turns=9,scorer=placebo,accept=2.0", ANSWERS, 5, 0), ("introspection:turns=5", ["answer 5", *ANSWERS[2:]], 11, 0),
        ("self-refine:turns=5,criticise=wrong ?,improve=again", ["answer 6", "wrong", "answer 5", "wrong"], 11, 2),
        ("critique-revise:turns=5", ["answer 6", "wrong", "answer 5", "wrong", "answer 7"], 12, 2),
        ("budget-forcing:turns=4,more=wait", ["x x", "x", "x x"], 5, 1),
        ("tool-use:turns=4,result=<result> {} </result>", CALLS, 15, 2), ("debate:n=3,rounds=3", ANSWERS, 10, 1),
        ("vote-over:n=3,inner=retry", ANSWERS, 10, 1),
        ("particle-gibbs:n=3,step=what", ANSWERS, 10, 1),
    ],
)  # fmt: skip
def test_what_was_chosen_so_far_is_delivered_when_the_budget_ends(plan: str, words: list[str], tokens: int, chosen: int) -> None:
    knows = lambda task, completions, verify: [float("5" in c.text) for c in completions]
    plan = plan if "gibbs" not in plan else f"{plan},scorer=worth"
    trace, _ = play(lambda draw, i, before: words[i % len(words)], plan, {"worth": knows}, Budget(tokens=tokens))
    assert trace.answer is trace.completions[chosen] and trace.verdict is trace.verdicts[chosen] and "out of budget" in trace.cut


@pytest.mark.parametrize(
    ("plan", "chosen"),
    [("debate:n=3", 1), ("critique-revise", 0), ("abstraction:n=2", None), ("proposer-solver", 0), ("vote-over:n=3,inner=critique-revise", 1)],
)  # fmt: skip
def test_a_prompt_that_does_not_fit_ends_the_search_of_its_task_alone(plan: str, chosen: int | None) -> None:
    engine = Saying(lambda draw, i, before: ANSWERS[i % 3])
    strategy, knobs = planned(plan)
    long = Task("sequential", "what is 2 + 3 ?" + " x" * 30, "5", "math")
    engine.context = 40
    whole, cut = Scheduler(engine, judge, SCORERS, TOOLS).run(strategy, [TASK, long], "x", knobs=knobs)  # type: ignore[arg-type]
    assert not whole.cut and whole.answer is not None
    assert cut.answer is (None if chosen is None else cut.completions[chosen]) and "context of 40" in cut.cut
    assert chosen is not None or (cut.verdict is not None and "no answer: out of context" in cut.verdict.evidence)
    assert cut_short([whole, cut]) == "cut short: 1 of 2 searches (1 out of context); they answer with what they had"
    with pytest.raises(EngineError):  # the task's own: no strategy can answer
        engine.context = 36
        Scheduler(engine, judge, SCORERS, TOOLS).run(strategies["single"], [long], "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "plan", ["vote-over:n=0", "retry:turns=0", "adaptive-sampling:n=0", "vote:n=-1", "prune:keep=2.0", "prune:at=0"]
)
def test_knobs_out_of_range_are_one_sentence(plan: str) -> None:
    with pytest.raises(RecipeError, match="at least 1"):
        play(after(0), plan, {"self-evaluation": worth})
