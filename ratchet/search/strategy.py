"""The registry of strategies, and the scorers that any of them may ask for; tools are in tools.py."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from ratchet.core.errors import RecipeError
from ratchet.core.registry import Registry
from ratchet.core.seeds import fraction
from ratchet.core.types import Completion, Strategy, Task
from ratchet.models.scheduler import Scorer, Verify, strategy_knobs

strategies: Registry[Strategy] = Registry("strategy", "ratchet.search")


def planned(text: str) -> tuple[Strategy, dict[str, Any]]:
    """The strategy and the knobs that a text such as "vote:n=8,temperature=0.7" names; values are JSON, else text.

    Raises RecipeError for a strategy or a knob that does not exist. `then=Try again` may hold blanks, but no comma.
    """
    name, _, rest = text.partition(":")
    strategy, knobs = strategies[name.strip()], dict[str, Any]()
    for pair in filter(None, (p.strip() for p in rest.split(","))):
        knob, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f'"{text}": a knob is name=value, got "{pair}"; for example vote:n=8')
        try:
            knobs[knob.strip()] = json.loads(value)
        except ValueError:
            knobs[knob.strip()] = value
    return strategy, strategy_knobs(name.strip(), strategy, knobs)


def logprob(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
    """Mean log-probability per token."""
    return [sum(c.logprobs) / len(c.logprobs) if c.logprobs else -math.inf for c in completions]


def placebo(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
    """A score that knows nothing: a hash of each candidate and its place. A scored strategy must beat it."""
    return [fraction("placebo", task.key, i, c.text, len(c.tokens)) for i, c in enumerate(completions)]


def oracle(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
    """The verifier itself: an upper bound that no deployed system has."""
    return [1.0 if v.passed else 0.0 for v in verify([(task, c.text) for c in completions])]


SCORERS: dict[str, Scorer] = {"logprob": logprob, "placebo": placebo, "oracle": oracle}
