"""A model that is asked about its own sample: the chance of its "no" to whether starting over would give a better one (Manvi et al.
2024, arXiv 2410.02725). It works on parts of samples too.

Departures: the paper trains the model for this by imitation of one token on its own samples; without that a model's "no" says
what its pretraining says.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.core.errors import EngineError
from ratchet.core.types import Completion, Task
from ratchet.models.critic import said
from ratchet.models.engine import Engine, flops_of
from ratchet.models.scheduler import Priced, Verify

ASK, YES, NO = "Would starting over give a better answer, yes or no?", "yes", "no"


def self_evaluation(engine: Engine, ask: str = ASK, yes: str = YES, no: str = NO) -> Priced:
    """A scorer in (0, 1): `no` against `yes` after the sample and the question. EngineError, before anything is drawn for it, for an
    engine that cannot read the question, or to which the two are no different tokens."""

    def verdicts() -> tuple[int, int]:
        first = [engine.tokenizer.encode(word)[:1] for word in (no, yes)]
        if not first[0] or not first[1] or first[0] == first[1]:
            raise EngineError(f"self-evaluation needs two answers that begin with different tokens, got {no!r} and {yes!r}")
        return first[0][0], first[1][0]

    def asked(c: Completion) -> tuple[int, ...]:
        end = engine.tokenizer.end
        return (*(t for t in c.tokens if t not in end), *engine.tokenizer.encode(ask))

    def scorer(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
        return said(engine, [(c.prefix, asked(c)) for c in completions], *verdicts())

    each = 2 * flops_of(engine)  # both verdicts are scored, each with all that stands before it

    def price(completions: Sequence[Completion]) -> float:
        return each * sum(len(c.prefix) + len(asked(c)) + 1 for c in completions)

    return Priced(scorer, price, lambda: (legible(engine, ask, yes, no), verdicts()))


def legible(engine: Engine, *texts: str) -> None:
    """EngineError where the engine has no tokens for one of the texts."""
    for text in texts:
        try:
            engine.tokenizer.encode(text)
        except EngineError:
            raise EngineError(
                f'the scorer "self-evaluation" asks the model "{text}", and this model of few words cannot read that; name another scorer '
                "(the strategy's knob scorer, such as scorer=logprob), or take a model with a full tokenizer"
            ) from None
