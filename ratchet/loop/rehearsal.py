"""The first update of a recipe, rehearsed on two made-up completions before any work is done: what does not go together, or has a knob
out of range, is heard of then and not after hours of drawing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from ratchet.core.errors import EngineError, RecipeError
from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.learn.batch import Example
from ratchet.learn.credit import credits
from ratchet.learn.curricula import History
from ratchet.learn.policy import PolicyGradient
from ratchet.loop.recipe import Recipe, Reinforcement
from ratchet.loop.turn import curriculum_of
from ratchet.models.tokens import WordTokenizer, reasoning_words


@dataclass
class Words:
    tokenizer: WordTokenizer = field(default_factory=lambda: WordTokenizer(reasoning_words(), strict=False))


@dataclass
class Nobody:
    """Of a learner, what shapes ask of one before they need its model."""

    policy: Words = field(default_factory=Words)
    taken: int = 0

    def with_reference(self, examples: Sequence[Example]) -> list[Example]:
        return [replace(e, reference=(-0.5,) * len(e.tokens)) for e in examples]


def rehearse(recipe: Recipe, settings: Reinforcement, method: PolicyGradient) -> None:
    """RecipeError where the curriculum refuses its knobs, or the method cannot learn from what the credit gives."""
    curriculum_of(settings)(History(list(recipe.tasks.sources) or ["all"]))
    learner = Nobody()
    completions = [Completion((1, 2), (3, 4 + i), "", (-0.5, -0.5), "end") for i in range(2)]
    verdicts = [Verdict(Outcome.PASS), Verdict(Outcome.FAIL)]
    drawn = Trace(Task("", "", None, ""), settings.strategy, events=[Event(Draw("", n=2), completions)], verdicts=verdicts)
    try:
        examples = credits[settings.credit](
            [drawn], [[1.0, 0.0]], method.advantage, learner.policy.tokenizer, **settings.credit_knobs
        )
    except EngineError:
        return  # words that these completions' vocabulary lacks, and the policy's may have
    if method.shape is None or not examples:
        return
    try:
        with suppress(AttributeError):  # from here on a model is needed
            method.shape(learner.with_reference(examples), cast(Any, learner))
    except RecipeError as e:
        raise RecipeError(f"reinforcement.method={settings.method} with reinforcement.credit={settings.credit}: {e}") from None
