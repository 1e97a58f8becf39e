"""Scores as values: what a strategy that multiplies or averages scores needs, where one that only ranks them needs nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ratchet.core.errors import RecipeError

LOGARITHMS = {"logprob"}
"""Scorers that give the logarithm of a value."""


def log_values(scores: Sequence[float], scorer: str) -> list[float]:
    """Natural logarithms of values in [0, 1]; -inf for a value of 0. Raises RecipeError for a score on another scale."""
    low, high = (-math.inf, 0.0) if scorer in LOGARITHMS else (0.0, 1.0)
    for score in scores:
        if not low <= score <= high + 1e-6:  # rounding may put one a little above
            raise RecipeError(
                f'scorer "{scorer}" gave {score:g} where a value from 0 to 1 is needed; take a critic, a judge or "logprob", '
                f"or a strategy that only ranks, such as best-of-n or beam"
            )
    return list(scores) if scorer in LOGARITHMS else [math.log(s) if s > 0 else -math.inf for s in scores]


def values(scores: Sequence[float], scorer: str) -> list[float]:
    """Values in [0, 1]; of a mean log-probability, the probability."""
    return [math.exp(log) for log in log_values(scores, scorer)]
