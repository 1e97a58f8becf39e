"""Tokens that were put into a completion, not drawn (`Completion.given`), teach nothing and count for nothing, whoever learns; and what
follows from not skipping, not holding and not comparing what should not be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ratchet.core.errors import RecipeError, TaskError
from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.learn import parts, shapes
from ratchet.learn.batch import Example
from ratchet.learn.credit import scales, verdict_reward
from ratchet.learn.exploring import covariances
from ratchet.learn.margins import step_from
from ratchet.learn.pairs import pairs_of
from ratchet.learn.policy import rows
from ratchet.learn.selectors import selectors
from ratchet.learn.train import Learner
from ratchet.loop.recipe import recipe_hash, resolve
from ratchet.models.engine import LocalEngine
from ratchet.tasks.family import source_of

TASK = Task("given", "numbers 1", 1, "exact")


def completion(right: bool) -> Completion:
    tokens = (5, 6, 7, 8, 9 if right else 10)
    return Completion((2, 3), tokens, "right" if right else "wrong", (-0.5, -0.25, 0.0, 0.0, -1.0), "end", given=(2, 3))


def traces() -> list[Trace]:
    cs = [completion(True), completion(False)]
    verdicts = [Verdict(Outcome.PASS), Verdict(Outcome.FAIL)]
    return [Trace(TASK, "s", events=[Event(Draw("x", n=2), cs)], answer=cs[0], verdict=verdicts[0], verdicts=verdicts)]


@pytest.mark.parametrize("name", [e.name for e in selectors])
def test_no_selector_imitates_what_was_given(name: str) -> None:
    for e in selectors[name]()(traces(), verdict_reward, "x"):
        assert e.given == (2, 3) and e.learned == 3


def test_no_pair_learns_what_was_given() -> None:
    [pair] = pairs_of(traces(), verdict_reward, "x", most=1)
    assert [row.given for row in pair.rows] == [(2, 3)] * 2 and pair.chosen.learned == 3
    assert step_from(pair.chosen, 1, {8}).given == (1, 2)


def test_statistics_over_tokens_leave_out_what_was_given() -> None:
    long = replace(Example.of(completion(True), 1.0), advantage=(1.0, 1.0, 50.0, 50.0, 1.0))
    other = replace(Example.of(completion(False), 1.0), advantage=(-1.0, -1.0, 50.0, 50.0, -1.0))
    white = shapes.whitened([long, other], None)  # type: ignore[arg-type]
    assert [white[0].advantage[i] for i in (0, 1, 4)] == pytest.approx([5**0.5 / 6**0.5] * 3, abs=1e-6)  # type: ignore[index]
    assert {t for _, _, t in covariances([long, other])} == {0, 1, 4}
    short = Example((2, 3), (5,), 0.0, (-0.5,))
    weighed = shapes.weighed_by_length([Example.of(completion(True), 1.0), short], None)  # type: ignore[arg-type]
    assert weighed[0].advantage == pytest.approx(1 - 3 / 4)


def engine_learner(engine: LocalEngine) -> Learner[Any]:
    return Learner(engine, lr=1e-3)


def test_a_bonus_on_entropy_is_on_the_tokens_of_even_groups_too(tiny_engine: LocalEngine) -> None:
    even = [Example((2, 3), (5, 6), 0.0, (-1.0, -1.0)), Example((2, 3), (7,), 0.0, (-1.0,))]
    assert engine_learner(tiny_engine).update(even, rows["ppo"](entropy=0.5))["grad_norm"] > 0  # type: ignore[operator]
    assert engine_learner(tiny_engine).update(even, rows["grpo"]())["grad_norm"] == 0  # type: ignore[operator]


def test_an_anchored_method_without_a_reference_is_refused(tiny_engine: LocalEngine) -> None:
    drawn = [Example((2, 3), (5, 6), 1.0, (-1.0, -1.0)), Example((2, 3), (7,), -1.0, (-1.0,))]
    learner = engine_learner(tiny_engine)
    with pytest.raises(RecipeError, match="keeps no reference"):
        learner.update(drawn, rows["grpo"](beta=1.0))  # type: ignore[operator]
    learner.freeze_reference()
    assert learner.update(drawn, rows["grpo"](beta=1.0))["kl"] == pytest.approx(0, abs=1e-4)  # type: ignore[operator]


def test_what_was_written_does_not_disagree_with_the_sampler(tiny_engine: LocalEngine) -> None:
    pair = [(2, 3), (5, 6)]
    [own] = tiny_engine.score([tuple(pair)])  # type: ignore[list-item]
    examples = [Example((2, 3), (5, 6), 0.0, tuple(own)), Example((2, 3), (7, 8), 1.0)]
    assert engine_learner(tiny_engine).update(examples, rows["luffy"]())["ratio_off"] == 0  # type: ignore[operator]
    far = [replace(examples[0], logprobs=tuple(x - 1 for x in own)), examples[1]]
    assert engine_learner(tiny_engine).update(far, rows["luffy"]())["ratio_off"] == 0.5  # type: ignore[operator]


def test_a_credit_keeps_no_scale_of_an_advantage_that_does_not_centre() -> None:
    for right in (1, 8, 15):
        rewards = [[1.0] * right + [0.0] * (16 - right)]
        assert scales(rewards, parts.plain) == [1.0]
        assert scales(rewards, parts.group_centred) == pytest.approx([1.0])
    assert scales([[1.0, 0.0, 0.0, 0.0]], parts.group_normalised)[0] == pytest.approx(2.0, abs=1e-2)


def test_whoever_looks_at_the_first_tasks_of_a_mixture_sees_all_variants() -> None:
    mixture = source_of("countdown", "", {}, {"easy": {"numbers": (3,)}, "hard": {"numbers": (4,)}})
    first = [len(t.facts["numbers"]) for t in mixture.take("heldout", 40, "x")[:20]]
    assert {3, 4} == set(first)
    with pytest.raises(TaskError, match="group of knobs"):
        source_of("countdown", "", {}, {"easy": 3})  # type: ignore[dict-item]


def test_the_order_of_sources_is_part_of_a_recipe() -> None:
    easy, hard = "tasks.sources.easy.numbers=[3]", "tasks.sources.hard.numbers=[4]"
    a, b = resolve("countdown", [easy, hard]), resolve("countdown", [hard, easy])
    assert list(a.tasks.sources) != list(b.tasks.sources) and recipe_hash(a) != recipe_hash(b)


def test_a_reference_that_followed_a_rejected_policy_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from conftest import REINFORCEMENT, TINY

    from ratchet.loop import run as running
    from ratchet.loop.gate import Decision
    from ratchet.models.lora import apart

    asked = ["imitation=none", "reinforcement.method=grpo", "reinforcement.knobs.beta=0.1", "reinforcement.reference=reset"]
    asked += ["reinforcement.reference_knobs.steps=1"]
    seen: list[bool] = []
    decide, back = running.Run._gate, running.Run._roll_back

    def worse(self: Any, *args: Any) -> Any:
        decision, passed = decide(self, *args)
        return replace(decision, decision=Decision.ROLL_BACK), passed

    def watched(self: Any, *args: Any) -> None:
        back(self, *args)
        pairs = zip(apart(self.learner.reference), self.champion.values(), strict=True)
        seen.append(all(torch.equal(a, b) for a, b in pairs))

    monkeypatch.setattr(running.Run, "_gate", worse)
    monkeypatch.setattr(running.Run, "_roll_back", watched)
    running.begin(resolve("countdown-prime", [*TINY, *REINFORCEMENT, *asked]), tmp_path / "run", lambda event: None)
    assert seen and all(seen)
