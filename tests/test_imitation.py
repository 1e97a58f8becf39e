"""Selectors, masked thoughts and distillation: laws measured for every row, broken rows caught, TRL's numbers for divergences."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY

from ratchet.core.errors import EngineError
from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.learn.batch import Example
from ratchet.learn.credit import verdict_reward
from ratchet.learn.distil import Divergence, against, distillation, divergences
from ratchet.learn.imitate import hidden_places, masked_thought
from ratchet.learn.policy import rows
from ratchet.learn.selectors import Selector, exponential, hinted, rationalised, selectors
from ratchet.learn.train import Learner
from ratchet.loop.recipe import resolve
from ratchet.loop.run import begin
from ratchet.models import llama
from ratchet.models.engine import LocalEngine, token_logprobs

SELECTORS = {e.name: e.value() for e in selectors}
DIVERGENCES = {e.name: e.value() for e in divergences}
GOLDEN = json.loads((Path(__file__).parent / "data" / "parity_preferences.json").read_text())["distillation"]


# ---- selectors ---------------------------------------------------------------------------------------------------


def trace(outcomes: str, key: str = "a", first: int = 0, answer: int = 0) -> Trace:
    """A task's completions, whose last tokens are their places, with these verdicts: right, wrong, abstained."""
    cs = [Completion((1, 2), (3, first + i), f"{i}", (-0.1, -0.2), "end") for i in range(len(outcomes))]
    verdicts = [Verdict({"r": Outcome.PASS, "w": Outcome.FAIL, "a": Outcome.ABSTAIN}[o]) for o in outcomes]
    return Trace(Task("f", key, 1, "numeric"), "s", events=[Event(Draw("x"), cs)], verdicts=verdicts, answer=cs[answer])


def chosen(examples: list[Example]) -> dict[int, float]:
    return {e.tokens[-1]: float(e.advantage) for e in examples}  # type: ignore[arg-type]


def law_abstentions_teach_nothing(row: Selector) -> bool:
    """What could not be judged is never imitated and changes nothing else."""
    with_gap = row([trace("rwar")], verdict_reward, "x")
    t = trace("rwr")
    [event] = t.events
    third = replace(event.answer[2], tokens=(3, 3))
    without = Trace(t.task, "s", 0, [Event(event.request, [*event.answer[:2], third])], t.answer, verdicts=t.verdicts)
    return chosen(with_gap) == chosen(row([without], verdict_reward, "x")) and 2 not in chosen(with_gap)


def law_right_ones_weigh_most(row: Selector) -> bool:
    """Of what is kept no wrong completion weighs more than a right one, unless the strategy's own answer decides; nothing is negative."""
    found = chosen(row([trace("wrwrw", answer=1)], verdict_reward, "x"))
    right = [found.get(i, 0.0) for i in (1, 3)]
    wrong = [found.get(i, 0.0) for i in (0, 2, 4)]
    return max(right) > 0 and min(found.values()) > 0 and max(right) >= max(wrong)


def law_the_order_of_drawing_does_not_matter(row: Selector) -> bool:
    """The same completions, drawn in another order, give the same examples."""
    one = trace("rwrrw", answer=2)
    [event] = one.events
    back = Trace(one.task, "s", 0, [Event(event.request, event.answer[::-1])], one.answer, verdicts=one.verdicts[::-1])
    return all(chosen(row([one], verdict_reward, i)) == chosen(row([back], verdict_reward, i)) for i in range(4))


LAWS = [law_abstentions_teach_nothing, law_right_ones_weigh_most, law_the_order_of_drawing_does_not_matter]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", SELECTORS)
def test_every_selector_keeps_its_laws(name: str, law: Callable[[Selector], bool]) -> None:
    assert law(SELECTORS[name])


class KeepsAll(Selector):
    """Broken: takes every completion as it was drawn, judged or not."""

    def __call__(self, traces: Any, reward: Any, *path: Any) -> list[Example]:
        return [Example(c.prefix, c.tokens) for t in traces for c in t.completions]


class FirstDrawn(Selector):
    """Broken: takes what was drawn first."""

    def __call__(self, traces: Any, reward: Any, *path: Any) -> list[Example]:
        return [Example(t.completions[0].prefix, t.completions[0].tokens) for t in traces]


@pytest.mark.parametrize(
    ("law", "row"),
    [(law_abstentions_teach_nothing, KeepsAll(list)), (law_right_ones_weigh_most, Selector(list, exponential(-0.5))),
     (law_the_order_of_drawing_does_not_matter, FirstDrawn(list))],
)  # fmt: skip
def test_each_law_catches_a_broken_selector(law: Callable[[Selector], bool], row: Selector) -> None:
    assert not law(row)


def test_what_each_selector_keeps() -> None:
    traces = [trace("wrwr", answer=2), trace("ww", "b", answer=1)]
    kept = {name: sorted(chosen(row(traces, verdict_reward, "x"))) for name, row in SELECTORS.items()}
    assert kept["rejection"] == kept["rest"] == kept["rest-em"] == [1, 3]
    assert len(kept["star"]) == 1 and kept["star"][0] in (1, 3)
    assert kept["answer"] == [1, 2] and kept["right-answer"] == []
    assert len(kept["raft"]) == 2 and len(SELECTORS["reward-weighted"](traces, verdict_reward, "x")) == 6
    assert len(selectors["rest-em"](most=1)(traces, verdict_reward, "x")) == 1
    same = [trace("r"), trace("r")]
    assert len(SELECTORS["rejection"](same, verdict_reward)) == 1, "one and the same completion is learned once"


def test_rationalisation_learns_without_the_hint(tiny_engine: LocalEngine) -> None:
    tasks = [Task("f", p, 7, "numeric") for p in ("start 3 then + 4 :", "start 2 then + 5 :")]
    asked = [hinted(t) for t in tasks]
    assert [t.key for t in asked] == [t.key for t in tasks] and "7" in asked[0].prompt

    def told(task: Task, outcome: Outcome, prefix: tuple[int, ...]) -> Trace:
        c = Completion(prefix, (5, 6), "x", (-0.1, -0.1), "end")
        return Trace(task, "s", events=[Event(Draw("x"), [c])], verdicts=[Verdict(outcome)], answer=c)

    plain = [told(tasks[0], Outcome.PASS, (1,)), told(tasks[1], Outcome.FAIL, (2,))]
    helped = [told(asked[0], Outcome.PASS, (8, 8)), told(asked[1], Outcome.PASS, (9, 9))]
    found = rationalised(tiny_engine, plain, helped, verdict_reward)
    assert [e.prefix for e in found] == [(1,), tiny_engine.encode(tasks[1].prompt)]


# ---- masked thought ----------------------------------------------------------------------------------------------


def test_masked_thoughts_are_hidden_but_still_predicted(tiny_engine: LocalEngine) -> None:
    ids = torch.randint(4, 60, (3, 40), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(3, 39, dtype=torch.bool)
    mask[:, 9:30] = True  # tokens 10 to 30 are learned
    read = lambda share, *path: masked_thought(2, *path, share=share)(tiny_engine.model, ids, mask)
    assert torch.allclose(read(0.0), token_logprobs(tiny_engine.model, ids, mask))
    hidden = torch.stack([hidden_places(row, m, 0.4, "u", 1) for row, m in zip(ids, mask, strict=True)])
    assert 0.2 < hidden[:, 10:31].float().mean() < 0.6 and not hidden[:, :10].any() and not hidden[:, 31:].any()
    seen = torch.where(hidden, 2, ids)
    with torch.no_grad():
        logits = tiny_engine.model(seen).log_softmax(-1)
    expected = logits[:, :-1].gather(-1, ids[:, 1:, None])[..., 0] * mask  # the true tokens are what is predicted
    assert torch.allclose(read(0.4, "u", 1), expected, atol=1e-5)
    assert not torch.equal(read(0.4, "u", 1), read(0.4, "u", 2))
    longer = torch.cat([ids[0], torch.zeros(7, dtype=torch.long)])
    again = hidden_places(longer, torch.cat([mask[0], torch.zeros(7, dtype=torch.bool)]), 0.4, "u", 1)
    assert torch.equal(again[:40], hidden[0]), "padding, and so the cut into parts, changes nothing"


# ---- distillation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("b", GOLDEN, ids=["first", "second"])
@pytest.mark.parametrize("name", GOLDEN[0]["rows"])
def test_every_divergence_is_the_librarys(name: str, b: dict[str, Any]) -> None:
    golden = b["rows"][name]
    row = divergences[name](weight=golden["weight"]) if name == "js" else DIVERGENCES[name]
    student = torch.tensor(b["student"], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor(b["teacher"], dtype=torch.float64)
    # the library's default sums over tokens and divides by the number of sequences, here one
    loss = row(student.log_softmax(-1), teacher.log_softmax(-1)).sum()
    [gradient] = torch.autograd.grad(loss, [student])
    assert float(loss.detach()) == pytest.approx(golden["loss"], abs=1e-6)
    assert torch.allclose(gradient, torch.tensor(golden["gradient"], dtype=torch.float64), rtol=0, atol=1e-6)


def logits(number: int) -> torch.Tensor:
    return 2 * torch.randn(6, 50, generator=torch.Generator().manual_seed(number), dtype=torch.float64)


def law_the_teacher_itself_has_nothing_to_learn(row: Divergence) -> bool:
    student = logits(0).requires_grad_()
    loss = row(student.log_softmax(-1), logits(0).log_softmax(-1)).sum()
    [g] = torch.autograd.grad(loss, [student])
    return bool(loss.abs() < 1e-6) and bool(g.abs().max() < 1e-6)


def law_a_divergence_is_never_negative(row: Divergence) -> bool:
    return all(bool((row(logits(i).log_softmax(-1), logits(i + 1).log_softmax(-1)) > 0).all()) for i in range(4))


def law_a_step_brings_the_student_nearer(row: Divergence) -> bool:
    """By the divergence between the two, the mean of both directions, which no row is itself."""
    student, teacher = logits(0).requires_grad_(), logits(1).log_softmax(-1)
    [g] = torch.autograd.grad(row(student.log_softmax(-1), teacher).sum(), [student])
    far = lambda s: float(sum(DIVERGENCES[k](s.log_softmax(-1), teacher).sum() for k in ("forward-kl", "reverse-kl")))
    return far((student - 0.01 * g).detach()) < far(student.detach())


DISTIL_LAWS = [
    law_the_teacher_itself_has_nothing_to_learn,
    law_a_divergence_is_never_negative,
    law_a_step_brings_the_student_nearer,
]


@pytest.mark.parametrize("law", DISTIL_LAWS)
@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_divergence_keeps_its_laws(name: str, law: Callable[[Divergence], bool]) -> None:
    assert law(DIVERGENCES[name])


@pytest.mark.parametrize(
    ("law", "row"),
    [
        (law_the_teacher_itself_has_nothing_to_learn, lambda s, t: -(t.exp() * s).sum(-1)),
        (law_a_divergence_is_never_negative, lambda s, t: (t.exp() * (s - t)).sum(-1)),
        (law_a_step_brings_the_student_nearer, lambda s, t: (t.exp() * (s - t)).sum(-1)),
    ],
)
def test_each_law_catches_a_broken_divergence(law: Callable[[Divergence], bool], row: Divergence) -> None:
    assert not law(row)


def other_engine(engine: LocalEngine, seed: int) -> LocalEngine:
    model = copy.deepcopy(engine.model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)))
    return LocalEngine(model, engine.tokenizer, engine.max_tokens, engine.batch)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_student_learns_its_teachers_distribution_on_its_own_samples(tiny_engine: LocalEngine, name: str) -> None:
    teacher = other_engine(tiny_engine, 5)
    learner = Learner(tiny_engine, lr=1e-2, warmup=1, read=against(teacher, DIVERGENCES[name]), micro_tokens=100)
    losses = []
    for update in range(12):
        [drawn] = tiny_engine.sample([Draw("start 7 then + 5 :", n=8)], [list(range(100 * update, 100 * update + 8))])
        losses.append(learner.update([Example(c.prefix, c.tokens) for c in drawn], distillation)["loss"])
    assert losses[-1] < 0.7 * losses[0]


def test_a_teacher_with_another_vocabulary_is_refused(tiny_engine: LocalEngine) -> None:
    shape = replace(tiny_engine.model.shape, vocab=50)
    teacher = LocalEngine(llama.Llama(shape), tiny_engine.tokenizer)
    learner = Learner(tiny_engine, read=against(teacher, DIVERGENCES["js"]))
    with pytest.raises(EngineError, match="the teacher knows 50"):
        learner.update([Example((1,), (2,))], distillation)


def test_weights_of_examples_are_weights_of_their_gradients(tiny_engine: LocalEngine) -> None:
    """A weight of two counts as the same example twice, up to the divisor."""
    e = Example((1, 2), (3, 4, 5))
    once, twice = copy.deepcopy(tiny_engine), copy.deepcopy(tiny_engine)
    row = rows["imitation"]()  # type: ignore[operator]
    one = Learner(once, clip=1e9).update([replace(e, advantage=2.0), e], row)
    two = Learner(twice, clip=1e9).update([e, e, e], row)
    assert one["loss"] * 6 == pytest.approx(two["loss"] * 9, rel=1e-4)
    assert one["grad_norm"] * 6 == pytest.approx(two["grad_norm"] * 9, rel=1e-4)


def test_a_run_imitates_what_it_drew_itself(tmp_path: Path) -> None:
    recipe = resolve(
        "countdown-prime",
        [*TINY, "max_tokens=16", "gate.tasks=10", "measure.tasks=10", "measure.curve_tasks=0", "reward=random", "imitation.turns=1",
         "imitation.updates=2", "imitation.examples=3", "imitation.samples=4", "imitation.select=raft", "imitation.strategy=best-of-n",
         "imitation.strategy_knobs.n=2"],
    )  # fmt: skip
    heard: list[dict[str, Any]] = []
    begin(recipe, tmp_path / "run", heard.append)
    [turn] = [e for e in heard if e["event"] == "turn"]
    assert turn["metrics"]["sequences"] == 3 and 0 < turn["metrics"]["reward"] < 1
