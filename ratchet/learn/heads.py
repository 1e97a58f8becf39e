"""Value heads as rows over two parts: what the outputs say x the loss. They need no language model: `loss` and `says.value` are
functions of (..., outputs) and (...).

| row | outputs say | loss | paper |
| --- | --- | --- | --- |
| `chance` | the logit of a chance | cross-entropy | |
| `mse` | a number | squared error | |
| `huber` | a number | Huber's | |
| `two-hot` | shares of bins | cross-entropy with the two nearest bins' shares | as in Farebrother et al. 2024, arXiv 2403.03950 |
| `hl-gauss` | shares of bins | cross-entropy with a normal distribution around the target | arXiv 2403.03950 |

Departures: regression is taken in units of the range (its loss and rate mean the same whatever the values), and two-hot's
locations are the centres of the bins, so that both classifications have the same outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ratchet.core.ranges import above_0
from ratchet.core.registry import Registry
from ratchet.models.heads import Bins, Chance, Number, Says

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (..., outputs), or (...) of one output; targets (...)) -> (...)"""

# ---- values -> shares of bins ------------------------------------------------------------------------------------

Spread = Callable[[Tensor, Bins], Tensor]


def two_hot(values: Tensor, bins: Bins) -> Tensor:
    """Shares (..., count) of the two bins whose centres are nearest, so that their mean is the value; beyond the outer centres
    it is the outer bin."""
    place = ((values - bins.low) / bins.width - 0.5).clamp(0, bins.count - 1)
    return (1 - (place[..., None] - torch.arange(bins.count, device=values.device)).abs()).clamp(min=0)


def hl_gauss(values: Tensor, bins: Bins, sigma: float = 0.75) -> Tensor:
    """Shares (..., count) that a normal distribution around the value leaves in each bin, its deviation `sigma` bin widths
    (paper: 0.75). What falls outside of the range is left out, which moves the mean of values near its ends inwards."""
    inside = values.clamp(bins.low, bins.high)[..., None]
    below = torch.special.erf((bins.edges(values) - inside) / (sigma * bins.width * math.sqrt(2)))
    return below.diff(dim=-1) / (below[..., -1:] - below[..., :1])


# ---- losses ------------------------------------------------------------------------------------------------------


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Nats per label, of a chance."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def squared_error(logits: Tensor, target: Tensor) -> Tensor:
    """Of the value, which is a chance."""
    return (logits.sigmoid() - target).square()


def regression(error: Loss, says: Number) -> Loss:
    """An error of the number, in units of the range."""
    return lambda logits, target: error(logits, (target - says.low) / (says.high - says.low))


def classification(spread: Spread, bins: Bins) -> Loss:
    """Cross-entropy with the shares that a target's `spread` gives each bin."""
    return lambda logits, target: -(spread(target, bins) * logits.float().log_softmax(-1)).sum(-1)


# ---- rows: (low, high) of the values that will be asked for -> head -----------------------------------------------


@dataclass(frozen=True)
class Head:
    """`says.outputs` numbers are learned with `loss` and read with `says.value`."""

    says: Says
    loss: Loss


heads: Registry[Callable[..., Head]] = Registry("value head", "ratchet.learn")


@heads.add("chance")
def chance(low: float, high: float) -> Head:
    """The logit of a chance, whose targets lie in [0, 1] whatever the range."""
    return Head(Chance(), cross_entropy)


@heads.add("mse")
def mse(low: float, high: float) -> Head:
    """A number, by squared error."""
    says = Number(low, high)
    return Head(says, regression(lambda x, y: (x - y).square(), says))


@heads.add("huber")
def huber(low: float, high: float, *, delta: float = 0.1) -> Head:
    """A number, by an error that is squared up to `delta` of the range and grows evenly beyond."""
    above_0(delta=delta)
    says = Number(low, high)
    return Head(says, regression(lambda x, y: F.huber_loss(x, y, reduction="none", delta=delta), says))


@heads.add("two-hot", paper="arXiv 2403.03950")
def two_hot_head(low: float, high: float, *, bins: int = 51) -> Head:
    """Shares of bins, by cross-entropy with the two nearest."""
    says = Bins(low, high, bins)
    return Head(says, classification(two_hot, says))


@heads.add("hl-gauss", paper="arXiv 2403.03950")
def hl_gauss_head(low: float, high: float, *, bins: int = 51, sigma: float = 0.75) -> Head:
    """Shares of bins, by cross-entropy with a normal distribution. Leave two bins free on each side of the values."""
    above_0(sigma=sigma)
    says = Bins(low, high, bins)
    return Head(says, classification(lambda values, own: hl_gauss(values, own, sigma), says))
