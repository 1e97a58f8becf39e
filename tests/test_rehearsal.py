"""The rehearsal of a first update refuses exactly what the first update would refuse."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest

from ratchet.core.errors import RecipeError
from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.learn.credit import credits
from ratchet.learn.policy import rows
from ratchet.learn.train import Learner
from ratchet.loop import rehearsal
from ratchet.loop.recipe import Recipe, Reinforcement
from ratchet.loop.run import check_names
from ratchet.loop.turn import method_of
from ratchet.models.engine import LocalEngine


def settings(name: str, value: Any, credit: str) -> list[Reinforcement]:
    """A row with its own knobs, and anchored where it can be."""
    anchored = [{"beta": 0.1}] if "beta" in inspect.signature(value).parameters else []
    strategy = "prune" if credit == "process" else "single"  # it asks the scorer that the credit hears
    made = [Reinforcement(method=name, knobs=knobs, credit=credit, strategy=strategy) for knobs in ({}, *anchored)]
    return [Reinforcement(**{**vars(r), "demonstrations": int(method_of(r).demonstrations)}) for r in made]


def learns(r: Reinforcement, learner: Learner[LocalEngine]) -> bool:
    """Whether the method takes what the credit gives, with a real model."""
    drawn = [Completion((1, 2), (3, 4 + i), "", (-0.5, -0.5), "end") for i in range(2)]
    verdicts = [Verdict(Outcome.PASS), Verdict(Outcome.FAIL)]
    trace = Trace(Task("f", "p", 1, "exact"), "single", events=[Event(Draw("p", n=2), drawn)], verdicts=verdicts)
    method = method_of(r)
    examples = credits[r.credit]([trace], [[1.0, 0.0]], method.advantage, learner.policy.tokenizer)
    try:
        method.prepare(learner.with_reference(examples), learner)
    except RecipeError as e:
        assert "whole completions" in str(e)
        return False
    return True


def refused(r: Reinforcement) -> bool:
    try:
        check_names(Recipe("x", reinforcement=r))
    except RecipeError as e:
        assert "whole completions" in str(e) and r.method in str(e) and r.credit in str(e)
        return True
    return False


@pytest.mark.parametrize("credit", [e.name for e in credits])
def test_the_rehearsal_refuses_what_the_first_update_would(credit: str, tiny_engine: LocalEngine) -> None:
    tiny_engine.tokenizer = rehearsal.Words().tokenizer  # it takes any word, such as the mark of a tool
    learner = Learner(tiny_engine)
    learner.freeze_reference()
    pairs = [r for e in rows for r in settings(e.name, e.value, credit)]
    found = {(r.method, bool(r.knobs)): (refused(r), learns(r, learner)) for r in pairs}
    assert [name for name, (no, yes) in found.items() if no is yes] == []
    whole = credit in ("attempts", "steps", "process")
    assert found["opo", False][0] is found["rloo", True][0] is whole and not found["rloo", False][0]


def test_without_a_rehearsal_it_would_not_be_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    opo = Reinforcement(method="opo", credit="attempts")
    assert refused(opo)
    monkeypatch.setattr(rehearsal.Nobody, "with_reference", lambda self, examples: [])
    assert not refused(opo)


def test_a_row_without_a_finite_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one without a shape, whose author forgot a range."""
    ours = method_of(Reinforcement(method="sapo"))
    endless = lambda batch, logp, ratio: ours.surrogate(batch, logp, ratio) / 0.0
    method = replace(ours, surrogate=endless)
    with pytest.raises(RecipeError, match="method=sapo: with these knobs its loss or gradient is not finite"):
        rehearsal.rehearse(Recipe("x"), Reinforcement(method="sapo"), method)
    monkeypatch.setattr(rehearsal, "steps", lambda method, examples: True)
    rehearsal.rehearse(Recipe("x"), Reinforcement(method="sapo"), method)
