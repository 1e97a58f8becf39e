"""What the study per-step-negatives rests on: true notes and false ones, pits where Q falls, the right traces that an arm is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ratchet.core.types import Completion, Draw, Event, Task, Trace
from ratchet.learn.credit import rewards_of, verdict_reward
from ratchet.learn.credit_steps import splices
from ratchet.studies import per_step_negatives as study
from ratchet.studies.study import Outcome, judged, studies

PROMPT = "note 9 start 2 then + 3 then * 2 then - 1 then + 4 :"
TASK = Task("arithmetic", PROMPT, 13, "numeric", {"start": 2, "chain": [["+", 3], ["*", 2], ["-", 1], ["+", 4]]})
RIGHT = "2 + 3 = 5 then 5 * 2 = 10 then 10 - 1 = 9 then 9 + 4 = 13 answer 13"
WRONG = "2 + 3 = 5 then 5 * 2 = 9 then 9 - 1 = 8 then 8 + 4 = 12 answer 12"


def completion(policy: Any, text: str) -> Completion:
    tokens = (*policy.tokenizer.encode(text), policy.tokenizer.end_id)
    return Completion(policy.encode(PROMPT), tokens, text, (-0.1,) * len(tokens), "end")


def whole(draw: Draw, rests: Sequence[str], policy: Any) -> list[Completion]:
    """Completions of a prefix, as a scheduler gives them."""
    begun = policy.tokenizer.decode(draw.prefix.tokens) if isinstance(draw.prefix, Completion) else ""
    return [completion(policy, f"{begun} {rest}".strip()) for rest in rests]


def rolled(policy: Any, saved: int = 1) -> list[Trace]:
    """A right sample and a wrong one; behind the first `saved` steps of the wrong one one of two rollouts comes right."""
    samples = [completion(policy, RIGHT), completion(policy, WRONG)]
    first = Trace(TASK, "asked", 0, [Event(Draw(PROMPT, n=2), samples)])
    first.verdicts = study.verified([(TASK, c.text) for c in samples])
    [then] = policy.tokenizer.encode("then")
    right, wrong = RIGHT.split(" then "), WRONG.split(" then ")
    inner = Trace(TASK, "asked")
    for k, part in enumerate(study.prefixes(first, then), start=1):
        good = " then ".join([*right[k:-1], "9 + 4 = 13 answer 13"]) if k <= saved else " then ".join(wrong[k:])
        draw = Draw(part, n=2)
        inner.events.append(Event(draw, whole(draw, [good, " then ".join(wrong[k:])], policy)))
    inner.verdicts = study.verified([(TASK, c.text) for c in inner.completions])
    return [first, inner]


def pairs(policy: Any, traces: list[Trace], rewards: Any = None) -> list[tuple[str, str, str]]:
    found = study.pits(policy, traces, rewards or rewards_of(traces, verdict_reward))
    say = policy.tokenizer.decode
    return [(say(p.chosen.prefix), say(p.chosen.tokens), say(p.rejected.tokens)) for p in found]


@pytest.fixture(scope="module")
def policy() -> Any:
    return study.new_model(0)


def test_notes_are_right_in_what_is_imitated_and_wrong_in_the_probe(policy: Any) -> None:
    tasks = study.chains("train", 40, 999)
    at = lambda t, note: int(study.noted(t, note, "x").prompt.split()[1])
    assert all(at(t, "right") == study.results(t)[study.NOTED] != at(t, "wrong") for t in tasks)
    assert all(study.noted(t, "wrong", "x").answer == t.answer == study.results(t)[-1] for t in tasks)
    assert study.results(TASK) == [5, 10, 9, 13] and study.trace_of(TASK) == RIGHT
    # what is imitated: each trace behind its true note or none, and both are there
    prompts = [policy.tokenizer.decode(e.prefix) for e in study.written(policy, tasks)]
    kinds = [[study.noted(t, note).prompt for note in study.IMITATED].index(p) for p, t in zip(prompts, tasks, strict=True)]
    assert set(kinds) == {0, 1}
    for example, t in zip(study.written(policy, tasks), tasks, strict=True):
        assert study.verified([(t, policy.tokenizer.decode(example.tokens))])[0].passed


def test_the_answer_is_judged_whole_and_a_copied_note_is_seen() -> None:
    says = lambda text: study.verified([(TASK, text)])[0].passed
    assert says(RIGHT) and not says(WRONG) and not says(RIGHT + "1") and not says("") and not says("answer 13 or 14")
    assert study.copies(TASK, WRONG) and not study.copies(TASK, RIGHT)
    assert not any(study.copies(TASK, text) for text in ("", "2 + 3 = 5", "2 + 3 = 5 then 5 *"))


def test_a_pit_is_the_first_step_behind_which_nothing_comes_right(policy: Any) -> None:
    [(prefix, good, bad)] = pairs(policy, rolled(policy))
    assert prefix == f"{PROMPT} 2 + 3 = 5 then" and bad == "5 * 2 = 9 then" and good.startswith("5 * 2 = 10 then")
    # a good continuation after the wrong second step puts the pit one step later
    later = pairs(policy, rolled(policy, saved=2))
    assert [bad for _, _, bad in later] == ["9 - 1 = 8 then"]
    assert pairs(policy, rolled(policy), [[0.0] * 8]) == [], "where nothing comes right there is no better step"


def test_what_was_rolled_out_to_another_end_is_no_step(policy: Any) -> None:
    """Its rest has several steps, and where among them it went wrong nobody asked."""
    traces = rolled(policy)
    draw = traces[1].events[0].request
    assert isinstance(draw, Draw)
    other = "5 * 2 = 8 then 8 - 1 = 7 then 7 + 4 = 11 answer 11"
    traces[1].events[0] = Event(draw, [*traces[1].events[0].answer, *whole(draw, [other], policy)])
    traces[1].verdicts = study.verified([(TASK, c.text) for c in traces[1].completions])
    assert len(splices(traces, rewards_of(traces, verdict_reward), policy.tokenizer.end)) == 2
    assert len(pairs(policy, traces)) == 1


def test_the_placebo_credits_other_steps(policy: Any) -> None:
    """Rewards in another order: what is called a pit is not where the error is."""
    [mine] = pairs(policy, rolled(policy))
    [row] = rewards_of(rolled(policy), verdict_reward)
    moved = pairs(policy, rolled(policy), [row[::-1]])
    assert moved and mine not in moved


def test_steps_are_compared_where_they_part(policy: Any) -> None:
    """Per-step DPO moves the step and nothing behind it, DPO of whole texts all of it."""
    from ratchet.learn.preferences import step_dpo
    from ratchet.learn.train import Learner

    learner = Learner(policy)
    learner.freeze_reference()
    found = study.pits(policy, rolled(policy), rewards_of(rolled(policy), verdict_reward))
    [cut], _ = step_dpo(delimiter="then").prepared(learner, found)
    say = policy.tokenizer.decode
    assert [say(row.tokens) for row in cut.rows] == ["5 * 2 = 10 then", "5 * 2 = 9 then"]
    # broken: a delimiter that no step has leaves the good one whole, so that its length decides too
    [broken], _ = step_dpo(delimiter="answer").prepared(learner, found)
    assert len(broken.rows[0].tokens) > len(broken.rows[1].tokens)


# ---- the checks --------------------------------------------------------------------------------------------------


def result(own: float, **arms: float) -> dict[str, Any]:
    r = study.imagined(Outcome.HELD, 1)
    for arm, share in {"per-step DPO": own, **{k.replace("_", " "): v for k, v in arms.items()}}.items():
        r["arms"][arm]["as imitated"] = share
    return r


def test_an_arm_is_worth_the_traces_at_which_the_curve_has_as_much() -> None:
    # imagined: 0.2, 0.4, 0.5, 0.6, 0.8 for 250, 500, 1,000, 2,000 and 8,000
    worth = lambda share: study.worth(result(share), "per-step DPO")
    assert [worth(s) for s in (0.4, 0.5, 0.6, 0.7, 0.8)] == pytest.approx([1, 2, 4, 8, 16])
    assert [worth(s) for s in (0.1, 0.95)] == [0.5, 16.0], "beyond the curve no more is said than its ends"
    # a curve that dips: more traces are never worth less than fewer
    dips = result(0.55)
    dips["curve"]["2000"]["as imitated"] = 0.3
    assert study.worth(dips, "per-step DPO") == pytest.approx(4 * 4 ** (0.05 / 0.3))


def outcome(claim: str, results: list[dict[str, Any]]) -> Outcome:
    return next(c["outcome"] for c in judged(studies["per-step-negatives"], results) if c["name"] == claim)


@pytest.mark.parametrize(
    ("claim", "held", "failed"),
    [
        ("worth of negatives", [0.61, 0.62, 0.61], [0.58, 0.59, 0.58]),
        ("steps, not outcomes", [0.481, 0.482, 0.483], [0.471, 0.472, 0.473]),
    ],
)
def test_checks_ask_for_the_number_of_the_plan(claim: str, held: list[float], failed: list[float]) -> None:
    """Four times the traces are 0.6; outcome DPO has 0.45."""
    assert outcome(claim, [result(own) for own in held]) == Outcome.HELD
    assert outcome(claim, [result(own) for own in failed]) == Outcome.FAILED
    # the number is there, and seeds disagree
    assert outcome(claim, [result(own) for own in (0.3, 0.8, 0.8)]) == Outcome.UNRESOLVED


def test_the_shortcut_is_asked_of_wrong_notes_alone() -> None:
    results = [result(0.9) for _ in range(3)]
    for i, r in enumerate(results):
        r["arms"]["per-step DPO"]["wrong notes"] = 0.12 + i / 1_000  # the base has 0.1
    assert outcome("spurious shortcut", results) == Outcome.FAILED
