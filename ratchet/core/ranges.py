"""What values a knob may have. A row checks its own when it is made, so that none divides by 0 or asks for the opposite."""

from __future__ import annotations

import math

from ratchet.core.errors import RecipeError


def above_0(**knobs: float) -> None:
    """RecipeError for a knob that is not a finite number above 0."""
    for name, value in knobs.items():
        require(0 < value < math.inf, name, value, "a finite number above 0")


def at_least_0(**knobs: float) -> None:
    """RecipeError for a knob that is not a finite number of at least 0."""
    for name, value in knobs.items():
        require(0 <= value < math.inf, name, value, "a finite number of at least 0")


def at_least_0_or_endless(**knobs: float) -> None:
    """RecipeError for a bound that is below 0; an infinite one bounds nothing."""
    for name, value in knobs.items():
        require(value >= 0, name, value, "a number of at least 0, or Infinity for no bound")


def at_least_1_or_endless(**knobs: float) -> None:
    """RecipeError for a bound that is below 1; an infinite one bounds nothing."""
    for name, value in knobs.items():
        require(value >= 1, name, value, "a number of at least 1, or Infinity for no bound")


def from_0_to_1(**knobs: float) -> None:
    """RecipeError for a knob that does not lie between 0 and 1, which are allowed."""
    for name, value in knobs.items():
        require(0 <= value <= 1, name, value, "a share from 0 to 1")


def at_least_1(**knobs: int | None) -> None:
    """RecipeError for a knob that is below 1; None is one that is not set."""
    for name, value in knobs.items():
        require(value is None or value >= 1, name, value, "1 or more")


def some_text(**knobs: str) -> None:
    """RecipeError for a knob that is an empty text."""
    for name, value in knobs.items():
        require(bool(value.strip()), name, repr(value), "a text that is not empty")


def require(fits: bool, name: str, value: object, allowed: str) -> None:
    """RecipeError where the value does not fit."""
    if not fits:
        raise RecipeError(f"{name} must be {allowed}, got {value}; set the knob to such a value")
