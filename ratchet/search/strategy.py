"""The registry of strategies, and the scorers that any of them may ask for; tools are in tools.py."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ratchet.core.errors import RecipeError, nearest
from ratchet.core.registry import Registry
from ratchet.core.seeds import fraction
from ratchet.core.types import Completion, Strategy, Task
from ratchet.models.scheduler import Scorer, Verify, strategy_knobs

strategies: Registry[Strategy] = Registry("strategy", "ratchet.search")


def planned(text: str) -> tuple[Strategy, dict[str, Any]]:
    """The strategy and the knobs that a text such as "vote:n=8,temperature=0.7" names; values are JSON, else text.

    Raises RecipeError for a strategy or a knob that does not exist, or is out of its range. `then=Try again` may hold blanks, but no
    comma.
    """
    name, _, rest = text.partition(":")
    knobs = dict[str, Any]()
    for pair in filter(None, (p.strip() for p in rest.split(","))):
        knob, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f'"{text}": a knob is name=value, got "{pair}"; for example vote:n=8')
        try:
            knobs[knob.strip()] = json.loads(value)
        except ValueError:
            knobs[knob.strip()] = value
    return strategies[name.strip()], checked_knobs(name.strip(), knobs)


def checked_knobs(name: str, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs of a strategy, checked by name, type and range: a strategy checks them before it asks for anything, so it is played to
    its first request, on no task, and left. RecipeError."""
    strategy = strategies[name]
    checked = strategy_knobs(name, strategy, knobs)
    play = strategy(Task("", "", None, ""), **checked)
    next(play)
    play.close()
    return checked


def refuse_unknown(name: str, knobs: Mapping[str, Any], scorers: Iterable[str], tools: Iterable[str]) -> None:
    """RecipeError where a knob `scorer` or `tool` of a strategy, or of the `inner` one, names none of these. An empty one is none at
    all, where that is the default."""
    parameters = inspect.signature(strategies[name]).parameters
    for knob, table in (("scorer", scorers), ("tool", tools)):
        if knob in knobs and knobs[knob] not in table and not knobs[knob] == parameters[knob].default == "":
            raise RecipeError(f'strategy "{name}" asks for "{knobs[knob]}"; {nearest(knobs[knob], table)}')
    if inner := knobs.get("inner"):
        refuse_unknown(inner.partition(":")[0].strip(), planned(inner)[1], scorers, tools)


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
