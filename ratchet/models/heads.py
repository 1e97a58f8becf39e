"""What the outputs of a value head say: the logit of a chance, a number, or a distribution over bins.

Each has `outputs`, how many numbers a value takes, and `value`, which reads them. A single output has no axis of its own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import require


class Says(Protocol):
    @property
    def outputs(self) -> int: ...

    def value(self, logits: Tensor) -> Tensor:
        """Values (...) of logits (..., outputs), or (...) where there is one output."""
        ...


@dataclass(frozen=True)
class Chance:
    """The sigmoid of one logit."""

    outputs = 1

    def value(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()


@dataclass(frozen=True)
class Number:
    """One number in units of the range: 0 is `low` and 1 is `high`, and nothing keeps it between them."""

    low: float = 0.0
    high: float = 1.0
    outputs = 1

    def __post_init__(self) -> None:
        check_range(self.low, self.high)

    def value(self, logits: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * logits


@dataclass(frozen=True)
class Bins:
    """Logits of `count` bins of equal width, which together reach from `low` to `high`; the value is their mean."""

    low: float = 0.0
    high: float = 1.0
    count: int = 51

    def __post_init__(self) -> None:
        check_range(self.low, self.high)
        require(self.count >= 2, "bins", self.count, "2 or more")

    @property
    def outputs(self) -> int:
        return self.count

    @property
    def width(self) -> float:
        return (self.high - self.low) / self.count

    def edges(self, like: Tensor) -> Tensor:
        """(count + 1,), on the device of `like`."""
        return torch.linspace(self.low, self.high, self.count + 1, device=like.device)

    def centres(self, like: Tensor) -> Tensor:
        """(count,), on the device of `like`."""
        return self.edges(like)[:-1] + self.width / 2

    def value(self, logits: Tensor) -> Tensor:
        return self.mean(logits.float().softmax(-1))

    def mean(self, shares: Tensor) -> Tensor:
        """The expectation (...) of shares (..., count) that add up to 1."""
        return shares @ self.centres(shares)


def check_range(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise RecipeError(f"the range of a value head goes from a finite number up to a larger one, got {low} to {high}")


KINDS: dict[str, type[Chance] | type[Number] | type[Bins]] = {"chance": Chance, "number": Number, "bins": Bins}


def to_json(says: Says) -> dict[str, Any]:
    """As `from_json` takes it back."""
    assert isinstance(says, (Chance, Number, Bins))
    return {"kind": type(says).__name__.lower(), **asdict(says)}


def from_json(data: dict[str, Any]) -> Says:
    """Raises KeyError or TypeError for what `to_json` did not write."""
    return KINDS[data["kind"]](**{k: v for k, v in data.items() if k != "kind"})
