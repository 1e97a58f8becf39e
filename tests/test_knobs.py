"""A knob that its formula does not allow is refused in one sentence, whatever is registered."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, cast

import pytest
from conftest import Answer

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import at_least_0
from ratchet.learn.curricula import History, curricula
from ratchet.learn.distil import divergences
from ratchet.learn.heads import heads
from ratchet.learn.policy import rows
from ratchet.learn.preferences import preferences
from ratchet.learn.references import references
from ratchet.learn.selectors import selectors

GIVEN: dict[Any, tuple[Any, ...]] = {rows: (), preferences: (), divergences: (), selectors: (), references: (), heads: (0.0, 1.0),
                                     curricula: (History(["all"]),)}  # fmt: skip
SENSELESS = (-1.0, 0.0, 2.0, math.inf, -math.inf)


def numbers(make: Callable[..., Any]) -> dict[str, Any]:
    """The numeric knobs of a method by name, with their defaults."""
    knobs = (p for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY)
    return {p.name: p.default for p in knobs if isinstance(p.default, int | float) and not isinstance(p.default, bool)}


def refuses(make: Callable[..., Any], given: tuple[Any, ...], **knobs: float) -> bool:
    try:
        make(*given, **knobs)
    except RecipeError as e:
        [(name, value)] = knobs.items()
        return str(e).startswith(f"{name} must be ") and f"got {value}" in str(e)
    return False


def unguarded(make: Callable[..., Any], given: tuple[Any, ...] = ()) -> list[str]:
    """The knobs that take what is not a number, or whatever they are given."""
    found = list[str]()
    for knob, default in numbers(make).items():
        tried = [int(x) for x in SENSELESS if math.isfinite(x)] if isinstance(default, int) else list(SENSELESS)
        if not refuses(make, given, **{knob: math.nan}) or not any(refuses(make, given, **{knob: x}) for x in tried):
            found.append(knob)
    return found


def test_every_numeric_knob_of_every_method_has_a_range() -> None:
    open_ = {(r.kind, e.name): unguarded(cast(Any, e.value), given) for r, given in GIVEN.items() for e in r}
    assert {name: knobs for name, knobs in open_.items() if knobs} == {}
    assert len(open_) > 70


def broken(*, clip: float = 0.2, beta: float = 0.1) -> None:
    """A row that looks after one of its knobs."""
    at_least_0(beta=beta)


def test_a_row_without_a_range_is_found() -> None:
    assert unguarded(broken) == ["clip"]


@pytest.mark.parametrize(
    "method, knob, value",
    [
        ("grpo", "clip", -0.5), ("grpo", "beta", -1.0), ("grpo", "entropy", -1.0), ("dapo", "low", -1.0), ("prorl", "low", 2.0),
        ("clip-cov", "share", -1.0), ("clip-cov", "share", 2.0), ("clip-cov", "low", 6.0), ("kl-cov", "share", 7.0),
        ("luffy", "gamma", -0.1), ("sapo", "praised", 0.0), ("tis", "cap", -1.0), ("decoupled", "cap", 0.0), ("aspo", "most", -1.0),
        ("gmpo", "low", -1.0), ("vespo", "k_praised", -1.0), ("unlikeliness", "beta", 5.0), ("hpt", "gate", -2.0),
        ("intellect-2", "delta", 0.5), ("deepseek-v3.2", "threshold", math.nan),
    ],
)  # fmt: skip
def test_what_was_taken_once(method: str, knob: str, value: float) -> None:
    assert refuses(cast(Any, rows[method]), (), **{knob: value})


def test_a_dry_run_hears_of_it(ratchet: Callable[..., Answer]) -> None:
    dry = ("run", "countdown", "--dry", "--set", "reinforcement.method=sapo", "--set", "reinforcement.knobs.praised=0")
    code, out, err = ratchet(*dry)
    assert code == 2 and not out and "praised must be a finite number above 0, got 0.0" in err
