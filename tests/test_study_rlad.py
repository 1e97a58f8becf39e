"""What the study rlad rests on: plans that give no solution away, credit that stays with its problem, equal cost, what is frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from ratchet.core.seeds import rng
from ratchet.core.types import Completion, Draw, Event, Task, Trace, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.learn.batch import Example
from ratchet.learn.credit import credits
from ratchet.learn.parts import group_centred
from ratchet.learn.train import Learner
from ratchet.loop.turn import restore, snapshot
from ratchet.models.lora import frozen
from ratchet.studies import rlad as study
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_lines import endings, right, start_of

TASKS = [task_of([3, 5, 2, 4], 10), task_of([8, 8, 1, 3], 12), task_of([2, 7, 1, 6], 11)]
SOLUTION = "3 + 5 = 8 left 2 4 8 ; 8 - 2 = 6 left 4 6 ; 4 + 6 = 10 left 10 ;"


# ---- plans -------------------------------------------------------------------------------------------------------


def test_a_plan_says_the_operations_and_the_number_used_last() -> None:
    assert study.plan_of(TASKS[0], SOLUTION) == "+- 4 +"
    # in two halves the last number is the second of the second line; a number that was made is none that was given
    halves = "3 + 5 = 8 left 2 4 8 ; 4 / 2 = 2 left 8 2 ; 8 + 2 = 10 left 10 ;"
    assert study.plan_of(TASKS[0], halves) == "+/ 2 +"
    made = "8 / 8 = 1 left 1 3 1 ; 1 + 3 = 4 left 1 4 ; 4 - 1 = 3 left 3 ;"
    assert study.plan_of(TASKS[1], made).split()[1] == "3"  # the 1 that was given stands first, the made one last


LEAKS = (SOLUTION, f"+- 4 + {SOLUTION}", "3 + 5 - 2 + 4", "3 + 5", "3 + 5 = 8 left 2 4 8 ;", "+- 4 + 4", "+- 4", "", "4 +- +")


def filters(leaky: Callable[[str], bool]) -> None:
    """Every plan that a solution has passes, and nothing that holds more."""
    for task in TASKS:
        assert not any(leaky(study.plan_of(task, s)) for s in endings(start_of(task), task.answer))
    assert [text for text in LEAKS if not leaky(text)] == []


def test_what_gives_a_solution_away_is_rejected() -> None:
    filters(study.rejected)
    with pytest.raises(AssertionError):  # who looks for a solution alone lets one pass behind a plan
        filters(lambda text: right(TASKS[0], text))
    with pytest.raises(AssertionError):  # who rejects all texts lets no plan pass
        filters(lambda text: True)


# ---- credit ------------------------------------------------------------------------------------------------------


def trace(task: Task, plans: Sequence[str], rights: Sequence[Sequence[bool]]) -> Trace:
    """Plans of a problem, and solutions with each, as the strategy leaves them."""
    policy = study.new_model(1, "any")
    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id

    def said(prompt: str, text: str, role: str, place: int) -> Completion:
        tokens = (*encode(text), end)
        return Completion(tuple(encode(prompt)), tokens, text, (-1.0 - place,) * len(tokens), "end", role=role)

    written = [said(f"{task.prompt} plan", plan, study.WRITER, 0) for plan in plans]
    found = Trace(task, "abstraction", events=[Event(Draw(f"{task.prompt} plan", n=len(plans), role=study.WRITER), written)])
    found.verdicts = [Verdict(Judgement.FAIL)] * len(plans)
    for plan, own in zip(plans, rights, strict=True):
        prompt = study.with_plan(task, plan)
        solutions = [said(prompt, f"{i} + {i}", "solver", i) for i in range(len(own))]
        found.events.append(Event(Draw(prompt, n=len(own)), solutions))
        found.verdicts += [Verdict(Judgement.PASS if ok else Judgement.FAIL) for ok in own]
    return found


Rewards = Callable[[Trace], list[float]]
Credit = Callable[..., list[Example]]


def credited(traces: Sequence[Trace], rewards: Rewards = study.rewards, credit: Credit = credits["two-role"]) -> list[float]:
    """Advantages of all plans, in their order."""
    tokenizer = study.new_model(1, "any").tokenizer
    [mark] = tokenizer.encode("plan")
    examples = credit(traces, [rewards(t) for t in traces], group_centred, tokenizer)
    return [e.advantage for e in examples if e.prefix[-1] == mark]  # type: ignore[misc]


def no_reward_for_leaks(rewards: Rewards) -> None:
    leaky = trace(TASKS[0], ["+- 4 +", f"+- 4 + {SOLUTION}"], [[True, False], [True, True]])
    assert credited([leaky], rewards) == [0.25, -0.25]


def test_a_plan_that_holds_the_solution_earns_nothing() -> None:
    no_reward_for_leaks(study.rewards)
    with pytest.raises(AssertionError):
        no_reward_for_leaks(lambda t: [float(v.passed) for v in t.verdicts])


def own_problem_only(credit: Credit) -> None:
    """The same two plans for two problems: what helps one of them is not praised for the other."""
    a = trace(TASKS[0], ["+- 4 +", "++ 4 +"], [[True, True], [False, False]])
    b = trace(TASKS[2], ["+- 4 +", "++ 4 +"], [[False, False], [True, True]])
    assert credited([a, b], credit=credit) == [0.5, -0.5, -0.5, 0.5]


def test_a_writer_is_credited_with_its_own_problems_gain() -> None:
    own_problem_only(credits["two-role"])

    def shifted(traces: Sequence[Trace], rewards: Sequence[Sequence[float]], *rest: Any) -> list[Example]:
        return credits["two-role"](traces, [*rewards[1:], rewards[0]], *rest)

    with pytest.raises(AssertionError):
        own_problem_only(shifted)


def test_a_plan_written_twice_has_one_worth() -> None:
    twice = trace(TASKS[0], ["+- 4 +", "+- 4 +", "++ 4 +"], [[True, False], [True, True], [False, False]])
    assert credited([twice]) == pytest.approx([0.25, 0.25, -0.5])


# ---- what learns -------------------------------------------------------------------------------------------------


def changed(policy: Any, before: Any) -> bool:
    return any(not torch.equal(p, before[name]) for name, p in snapshot(policy).items())


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return study.new_model(1, "solver"), study.new_model(1, study.WRITER)


def bare_teach_nothing(learn: Callable[..., None], pair: tuple[Any, Any]) -> None:
    """Right solutions without a plan leave the solver as it was, when it is what it is held to."""
    solver, writer = pair
    before = snapshot(solver)
    roles = study.Roles(Learner(solver), Learner(writer), frozen(solver.model))
    bare = [replace_verdicts(t) for t in study.drawn(solver, writer, TASKS[:1], "bare", plans=0, each=3)]
    try:
        learn(roles, bare)
        moved = max(float((p - before[name]).abs().max()) for name, p in snapshot(solver).items())
        assert moved < 1e-6
    finally:
        restore(solver, before)


def replace_verdicts(t: Trace) -> Trace:
    return replace(t, verdicts=[Verdict(Judgement.PASS) for _ in t.verdicts])


def test_what_is_solved_without_a_plan_carries_no_reward(pair: tuple[Any, Any]) -> None:
    bare_teach_nothing(lambda roles, bare: roles.learn([], bare, writing=False), pair)

    def rewarded(roles: study.Roles, bare: Sequence[Trace]) -> None:
        from ratchet.learn.policy import grpo

        roles.solver.update([Example.of(c, 1.0) for t in bare for c in t.completions], grpo())

    with pytest.raises(AssertionError):
        bare_teach_nothing(rewarded, pair)


def test_a_frozen_writer_stays_and_every_arm_pays_for_all_it_samples(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    solver, writer = pair
    start = snapshot(solver), snapshot(writer)
    paid: list[int] = []
    real = study.drawn

    def counted(*args: Any, **knobs: Any) -> list[Trace]:
        traces = real(*args, **knobs)
        paid[-1] += sum(c.sampled for t in traces for c in t.completions)
        return traces

    def some_gain(t: Trace) -> list[float]:  # random weights solve nothing, so that all plans would be worth the same
        return [float(i % 5 == 0) for i in range(len(t.completions))]

    monkeypatch.setattr(study, "drawn", counted)
    monkeypatch.setattr(study, "rewards", some_gain)
    size = replace(study.QUICK, tokens=1, prompts=3)
    for arm, writes in (("grpo", False), ("frozen", False), ("rlad", True)):
        paid.append(0)
        restore(solver, start[0])
        restore(writer, start[1])
        [[spent, *_]] = study.trained(solver, writer, arm, TASKS, size, 1)
        assert spent == paid[-1] > 0
        assert changed(writer, start[1]) == writes


# ---- what is measured --------------------------------------------------------------------------------------------


def shuffles(others: Callable[..., dict[str, list[str]]]) -> None:
    plans = [[f"{a}{b} {n} +" for n in start_of(t)] for t, (a, b) in zip(TASKS, ("++", "--", "**"), strict=True)]
    traces = [trace(t, own, [[True]] * len(own)) for t, own in zip(TASKS, plans, strict=True)]
    for t, own, given in zip(TASKS, plans, others(traces, 1).values(), strict=True):
        assert len(given) == len(own) and not set(given) & set(own)
        assert all(int(plan.split()[1]) in start_of(t) for plan in given)


def test_shuffled_plans_are_others_that_could_be_ones_own() -> None:
    shuffles(study.others)
    with pytest.raises(AssertionError):
        shuffles(lambda traces, *path: {t.task.key: [z.text for z in study.plans_and_solutions(t)[0]] for t in traces})
    with pytest.raises(AssertionError):
        texts = ["++ 12 +"] * 4
        shuffles(lambda traces, *path: {t.task.key: texts for t in traces})


def test_solutions_follow_the_plans_they_are_given(pair: tuple[Any, Any]) -> None:
    """Of the strategy's own prompts and the study's: the same words."""
    solver, writer = pair
    [own] = study.drawn(solver, writer, TASKS[:1], "prompts", plans=2, each=1)
    plans, solutions = study.plans_and_solutions(own)
    encode = solver.tokenizer.encode
    for z, [(c, _)] in zip(plans, solutions, strict=True):
        assert c.prefix == tuple(encode(study.with_plan(TASKS[0], z.text)))
    prompt, plan = study.a_plan(rng("test"), TASKS[0])
    assert tuple(encode(prompt)) == plans[0].prefix and not study.rejected(plan)
