"""The registry of strategies, and the scorers that any of them may ask for; tools are in tools.py."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ratchet.core.errors import RecipeError, nearest
from ratchet.core.registry import Registry
from ratchet.core.seeds import fraction
from ratchet.core.types import Completion, Strategy, Task
from ratchet.models.scheduler import Scorer, Verify, strategy_knobs

strategies: Registry[Strategy] = Registry("strategy", "ratchet.search")


def planned(text: str) -> tuple[Strategy, dict[str, Any]]:
    """The strategy and the knobs that a text such as "vote:n=8,temperature=0.7" names; values are JSON, else text.

    Raises RecipeError for a strategy or a knob that does not exist, or is out of its range. A value with a comma stands in brackets or
    quotes: `inner=(best-of-n:n=2,scorer=oracle)`, `again="No, try again"`.
    """
    name, _, rest = bare(text).partition(":")
    knobs = dict[str, Any]()
    for pair in divided(rest, ","):
        knob, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f'"{text}": a knob is name=value, got "{pair}"; for example vote:n=8')
        try:
            knobs[knob.strip()] = json.loads(value)
        except ValueError:
            knobs[knob.strip()] = bare(value)
    return strategies[name.strip()], checked_knobs(name.strip(), knobs)


def divided(text: str, mark: str) -> list[str]:
    """The parts of a text between marks, without blanks at their ends, the empty ones left out. A value in brackets or quotes is one, with
    all that stands in it. RecipeError where one is not closed.

    >>> divided("vote-over:inner=(best-of-n:n=2,scorer=oracle),n=3", ",")
    ['vote-over:inner=(best-of-n:n=2,scorer=oracle)', 'n=3']
    """
    parts, start, place = list[str](), 0, 0
    while place < len(text):
        if text[place] in '("' and text[:place].rstrip().endswith("="):  # elsewhere these are signs like any other
            place = closed(text, place)
        elif text[place] == mark:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def closed(text: str, place: int) -> int:
    """The place of the bracket or the quote that closes the one at `place`; quoted brackets close nothing. RecipeError without one."""
    depth = quoted = 0
    for i in range(place, len(text)):
        if text[i] == '"' and text[i - 1] != "\\":
            quoted ^= 1
        elif not quoted:
            depth += (text[i] == "(") - (text[i] == ")")
        if not quoted and not depth:
            return i
    raise RecipeError(f"{text[place:]}: what opens a value must be closed, a bracket by a bracket and a quote by a quote")


def bare(value: str) -> str:
    """A value without the brackets that it stands in."""
    inside = value.strip()
    return inside[1:-1] if inside.startswith("(") and closed(inside, 0) == len(inside) - 1 else value


def layers(name: str, knobs: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A strategy with its knobs, and those that play within it (the knob `inner`), by name."""
    yield name, knobs
    if inner := knobs.get("inner"):
        yield from layers(name_of(inner), planned(inner)[1])


def name_of(plan: str) -> str:
    """The strategy's name in a plan."""
    return bare(plan).partition(":")[0].strip()


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
    for layer, own in layers(name, knobs):
        parameters = inspect.signature(strategies[layer]).parameters
        for knob, table in (("scorer", scorers), ("tool", tools)):
            if knob in own and own[knob] not in table and not own[knob] == parameters[knob].default == "":
                raise RecipeError(f'strategy "{layer}" asks for "{own[knob]}"; {nearest(own[knob], table)}')


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
