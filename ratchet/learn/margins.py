"""The parts of preference methods: what a completion is worth, link, anchor, and what of a pair is compared.

Shapes: a batch has 2N rows, chosen and rejected in turn; what a completion is worth is (2N,), a link's loss (N,).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from ratchet.core.ranges import above_0, at_least_0, require
from ratchet.learn.batch import Batch, Example, Pair
from ratchet.models.tokens import Tokenizer

# ---- worth: (batch, logp) -> what each completion is worth (2N,) --------------------------------------------------

Worth = Callable[[Batch, Tensor], Tensor]


def log_ratio(batch: Batch, logp: Tensor) -> Tensor:
    """The log of policy over reference: the reward that DPO implies, up to beta."""
    return ((logp - batch.reference) * batch.mask).sum(-1)


def mean_log_ratio(batch: Batch, logp: Tensor) -> Tensor:
    return log_ratio(batch, logp) / batch.mask.sum(-1)


def log_probability(batch: Batch, logp: Tensor) -> Tensor:
    return (logp * batch.mask).sum(-1)


def mean_log_probability(batch: Batch, logp: Tensor) -> Tensor:
    return log_probability(batch, logp) / batch.mask.sum(-1)


def log_odds(batch: Batch, logp: Tensor) -> Tensor:
    """Of the geometric mean p of a completion's token probabilities: log p / (1 - p) (ORPO eq. 4)."""
    mean = mean_log_probability(batch, logp).clamp(max=-1e-6)  # of what is certain the odds have no bounds
    return mean - torch.log(-torch.expm1(mean))


# ---- link: (chosen, rejected), each (N,) -> loss (N,) -------------------------------------------------------------
# Made with a number that its formula does not allow, a link raises RecipeError.

Link = Callable[[Tensor, Tensor], Tensor]


def logistic(beta: float, smoothing: float = 0.0, target: float = 0.0) -> Link:
    """Bradley and Terry: the chosen one wins with the chance sigmoid(beta x margin - target). `smoothing` is the share of labels
    that are thought to be swapped; from one half on the rejected one would be preferred."""
    above_0(beta=beta)
    at_least_0(target=target)
    require(0 <= smoothing < 0.5, "smoothing", smoothing, "at least 0 and below 0.5")

    def link(chosen: Tensor, rejected: Tensor) -> Tensor:
        h = beta * (chosen - rejected) - target
        return -(1 - smoothing) * logsigmoid(h) - smoothing * logsigmoid(-h)

    return link


def robust(beta: float, noise: float) -> Link:
    """Without bias where a share `noise` of the labels is swapped (eq. 12 of the paper), which is below one half."""
    above_0(beta=beta)
    require(0 <= noise < 0.5, "noise", noise, "at least 0 and below 0.5")

    def link(chosen: Tensor, rejected: Tensor) -> Tensor:
        h = beta * (chosen - rejected)
        return (-(1 - noise) * logsigmoid(h) + noise * logsigmoid(-h)) / (1 - 2 * noise)

    return link


def hinge(beta: float) -> Link:
    above_0(beta=beta)
    return lambda chosen, rejected: relu(1 - beta * (chosen - rejected))


def squared(beta: float) -> Link:
    """IPO eq. 17: the margin shall be 1 / (2 beta), not more."""
    above_0(beta=beta)
    return lambda chosen, rejected: (chosen - rejected - 1 / (2 * beta)).square()


def reverse_kl(beta: float, smoothing: float) -> Link:
    """EXO eq. 16: the KL divergence of the policy's preference to the label's, which is never sure."""
    above_0(beta=beta)
    require(0 < smoothing < 0.5, "smoothing", smoothing, "above 0 and below 0.5")

    def link(chosen: Tensor, rejected: Tensor) -> Tensor:
        h = beta * (chosen - rejected)
        won = h.sigmoid() * (logsigmoid(h) - math.log1p(-smoothing))
        lost = (-h).sigmoid() * (logsigmoid(-h) - math.log(smoothing))
        return won + lost

    return link


def noise_contrast(beta: float) -> Link:
    """NCA for pairs (eq. 11): each is told from noise, so the chosen one's own likelihood is held up."""
    above_0(beta=beta)

    def link(chosen: Tensor, rejected: Tensor) -> Tensor:
        a, b = beta * chosen, beta * rejected
        return -logsigmoid(a) - (logsigmoid(-a) + logsigmoid(-b)) / 2

    return link


def halves(beta: float) -> Link:
    """SPPO eq. 4.7 with sure labels: the chosen one's log-ratio shall be 1 / (2 beta), the rejected one's minus that."""
    above_0(beta=beta)
    return lambda chosen, rejected: (chosen - 0.5 / beta).square() + (rejected + 0.5 / beta).square()


def up_and_down(beta: float) -> Link:
    """APO eq. 7: the chosen one up, the rejected one down."""
    above_0(beta=beta)
    return lambda chosen, rejected: 1 - (beta * chosen).sigmoid() + (beta * rejected).sigmoid()


def both_down(beta: float) -> Link:
    """APO eq. 8: both down, the rejected one further; for chosen texts that are worse than the model's own."""
    above_0(beta=beta)
    return lambda chosen, rejected: (beta * chosen).sigmoid() + 1 - (beta * (chosen - rejected)).sigmoid()


# ---- anchor: (batch, logp) -> what is added to each pair's loss (N,) ----------------------------------------------

Anchor = Callable[[Batch, Tensor], Tensor]


def likelihood(batch: Batch, logp: Tensor) -> Tensor:
    """The chosen completion's mean negative log-probability per token."""
    return -mean_log_probability(batch, logp)[0::2]


# ---- view: what of a pair is compared -----------------------------------------------------------------------------

View = Callable[[Pair, Tokenizer], Pair]


def whole(pair: Pair, tokenizer: Tokenizer) -> Pair:
    return pair


def first_difference(delimiter: str) -> View:
    """Both go on from all that they share up to the last whole step, and end with the step in which they part.

    A step ends with a token that is the delimiter, or that holds it where it is blank: tokenizers join a line's end with what
    is before it. A text without any is one step.
    """

    def ends_step(text: str) -> bool:
        return text.strip() == delimiter.strip() if delimiter.strip() else delimiter in text

    def view(pair: Pair, tokenizer: Tokenizer) -> Pair:
        tokens = {*pair.chosen.tokens, *pair.rejected.tokens}
        return at_the_fork(pair, {t for t in tokens if ends_step(tokenizer.decode([t]))})

    return view


def at_the_fork(pair: Pair, ends: set[int]) -> Pair:
    """The steps, each ended by a token of `ends`, in which two completions part, after the steps that they share.

    A pair of which one has no token left there is given back whole: there is no step to compare.
    """
    a, b = pair.chosen.tokens, pair.rejected.tokens
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = next((i for i in range(same, 0, -1) if a[i - 1] in ends), 0)
    if start >= min(len(a), len(b)):
        return pair
    return Pair(*(step_from(e, start, ends) for e in (pair.chosen, pair.rejected)))


def step_from(e: Example, start: int, ends: set[int]) -> Example:
    stop = next((i + 1 for i in range(start, len(e.tokens)) if e.tokens[i] in ends), len(e.tokens))
    given = tuple(i - start for i in e.given if start <= i < stop)
    return Example(e.prefix + e.tokens[:start], e.tokens[start:stop], reference=e.reference[start:stop], given=given)
