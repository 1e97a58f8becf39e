"""The first update of a recipe, rehearsed on two made-up completions before any work is done: what does not go together, or has a knob
out of range, is heard of then and not after hours of drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch

from ratchet.core.errors import EngineError, RecipeError
from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.learn.batch import Example, to_batch
from ratchet.learn.credit import credits
from ratchet.learn.curricula import History
from ratchet.learn.policy import PolicyGradient
from ratchet.loop.recipe import Recipe, Reinforcement
from ratchet.loop.turn import curriculum_of
from ratchet.models.tokens import WordTokenizer, reasoning_words

MOST = 64  # tokens of an answer
MOVED = 0.01  # nats, of a token's log-probability


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
    """RecipeError where the curriculum refuses its knobs, or the method cannot learn from what the credit gives, or gives no
    finite gradient."""
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
    if not examples:
        return
    examples = learner.with_reference(examples)
    try:
        shaped = method.shape(examples, cast(Any, learner)) if method.shape else examples
    except AttributeError:
        return  # from here on a model is needed
    except RecipeError as e:
        raise RecipeError(f"reinforcement.method={settings.method} with reinforcement.credit={settings.credit}: {e}") from None
    if shaped and not steps(method, shaped):
        raise RecipeError(
            f"reinforcement.method={settings.method}: with these knobs its loss or gradient is not finite on two plain completions, so "
            "that no update would be taken; set its knobs nearer to their defaults (`ratchet methods`)"
        )


def steps(method: PolicyGradient, examples: Sequence[Example]) -> bool:
    """Whether the method's loss and gradient are finite, of a policy that has moved a little since it drew."""
    batch = to_batch(examples, sum(e.learned for e in examples), len(examples), MOST, "cpu")
    numbers = (batch.old + MOVED) * batch.mask
    numbers = (torch.stack([numbers, batch.mask]) if method.entropy else numbers).requires_grad_()
    loss, _ = method(batch, numbers)
    if not loss.requires_grad:
        return bool(loss.isfinite())
    [gradient] = torch.autograd.grad(loss, [numbers])
    return bool(loss.isfinite() and gradient.isfinite().all())
