"""The parts of policy-gradient methods: advantage, ratio, surrogate, reduction, anchor.

Shapes: rewards_PG (prompts, samples in a group), NaN where a sample was not judged; all else (B, T).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ratchet.core.ranges import at_least_0_or_endless, at_least_1_or_endless, require
from ratchet.learn.batch import Batch

# ---- advantage: rewards_PG -> advantages_PG; an unjudged sample gets zero ----------------------------------------

Advantage = Callable[[Tensor], Tensor]


def plain(rewards_PG: Tensor) -> Tensor:
    """The reward itself."""
    return rewards_PG.nan_to_num(0.0)


def group_centred(rewards_PG: Tensor) -> Tensor:
    """Reward minus its group's mean (Dr. GRPO)."""
    return (rewards_PG - rewards_PG.nanmean(1, keepdim=True)).nan_to_num(0.0)


def group_normalised(rewards_PG: Tensor, epsilon: float = 1e-4) -> Tensor:
    """Centred and divided by the group's standard deviation (GRPO); n - 1 in the deviation, as in the released code."""
    centred = rewards_PG - rewards_PG.nanmean(1, keepdim=True)
    n = rewards_PG.isfinite().sum(1, keepdim=True)
    deviation = (centred.nan_to_num(0.0).square().sum(1, keepdim=True) / (n - 1).clamp(min=1)).sqrt()
    return (centred / (deviation + epsilon)).nan_to_num(0.0)


def leave_one_out(rewards_PG: Tensor) -> Tensor:
    """Reward minus the mean of the others of its group (RLOO)."""
    n = rewards_PG.isfinite().sum(1, keepdim=True)
    others = (rewards_PG.nansum(1, keepdim=True) - rewards_PG) / (n - 1).clamp(min=1)
    return torch.where(n > 1, rewards_PG - others, torch.zeros_like(rewards_PG)).nan_to_num(0.0)


def batch_normalised(rewards_PG: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Centred and divided by the deviation over the whole batch (REINFORCE++)."""
    judged = rewards_PG[rewards_PG.isfinite()]
    if len(judged) < 2:
        return torch.zeros_like(rewards_PG)
    return ((rewards_PG - judged.mean()) / (judged.std() + epsilon)).nan_to_num(0.0)


def batch_scaled(rewards_PG: Tensor, epsilon: float = 1e-4) -> Tensor:
    """Centred on the group, divided by the deviation over the whole batch."""
    judged = rewards_PG[rewards_PG.isfinite()]
    if len(judged) < 2:
        return torch.zeros_like(rewards_PG)
    return group_centred(rewards_PG) / (judged.std() + epsilon)


def against_first(rewards_PG: Tensor) -> Tensor:
    """Reward minus that of the group's first sample, which itself teaches nothing; none where the first was not judged."""
    return (rewards_PG - rewards_PG[:, :1]).nan_to_num(0.0)


# ---- ratio: (batch, logp) -> the importance ratio of each token --------------------------------------------------

Ratio = Callable[[Batch, Tensor], Tensor]


def token_ratio(batch: Batch, logp: Tensor) -> Tensor:
    """New over old probability of the token."""
    return ((logp - batch.old) * batch.mask).exp()


def sequence_ratio(batch: Batch, logp: Tensor) -> Tensor:
    """GSPO eq. 7 and 14: the geometric mean of a sequence's token ratios, its gradient spread over the tokens."""
    lengths = batch.mask.sum(-1, keepdim=True).clamp(min=1)
    mean = ((logp - batch.old) * batch.mask).sum(-1, keepdim=True) / lengths
    return (mean.detach() + (logp - logp.detach()) * batch.mask).exp()


def whole_ratio(batch: Batch, logp: Tensor) -> Tensor:
    """The probability of the whole sequence, new over old, at each of its tokens: the product of all token ratios."""
    return ((logp - batch.old) * batch.mask).sum(-1, keepdim=True).exp().expand_as(logp)


# ---- surrogate: (batch, logp, ratio) -> what to maximise, per token ----------------------------------------------
# Made with a number that its formula does not allow, a surrogate raises RecipeError.

Surrogate = Callable[[Batch, Tensor, Tensor], Tensor]


def score_function(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
    """REINFORCE: advantage times log-probability; the ratio plays no part."""
    return batch.advantage * logp


def clipped(low: float, high: float, most: float = math.inf) -> Surrogate:
    """PPO's pessimistic surrogate with the ratio kept in [1 - low, 1 + high].

    Where the advantage is negative that leaves the ratio without an upper bound; `most` is one (dual clip, arXiv 1912.09729;
    INTELLECT-2's delta, arXiv 2505.07291).
    """
    bounds_of_ratio(low, high)
    at_least_1_or_endless(most=most)

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        kept = ratio.clamp(1 - low, 1 + high)
        return torch.minimum(ratio.clamp(max=most) * batch.advantage, kept * batch.advantage)

    return surrogate


def clipped_alike(clip: float) -> Surrogate:
    """`clipped` by one number on both sides."""
    at_least_0_or_endless(clip=clip)
    return clipped(min(clip, 1.0), clip)


def clipped_weight(high: float, low: float = math.inf) -> Surrogate:
    """CISPO: the ratio, cut to [1 - low, 1 + high] and held constant, weighs the score function; every token keeps a gradient."""
    bounds_of_ratio(low, high)

    def surrogate(batch: Batch, logp: Tensor, ratio: Tensor) -> Tensor:
        return ratio.detach().clamp(1 - low, 1 + high) * batch.advantage * logp

    return surrogate


def truncated_weight(cap: float) -> Surrogate:
    """The ratio, never above `cap` and held constant, weighs the score function: truncated importance sampling."""
    at_least_1_or_endless(cap=cap)
    return clipped_weight(cap - 1)


def bounds_of_ratio(low: float, high: float) -> None:
    """A ratio is never below 0, so that by more than 1 nothing can be cut from below."""
    require(0 <= low <= 1 or low == math.inf, "low", low, "a share from 0 to 1, or Infinity for no bound")
    at_least_0_or_endless(high=high)


# ---- reduction: (batch, per-token values) -> scalar; divisors belong to the whole update -------------------------

Reduction = Callable[[Batch, Tensor], Tensor]


def token_mean(batch: Batch, x: Tensor) -> Tensor:
    """Every token weighs the same."""
    return (x * batch.mask).sum() / batch.tokens


def sequence_mean(batch: Batch, x: Tensor) -> Tensor:
    """Every sequence weighs the same: the mean of its tokens."""
    return ((x * batch.mask).sum(-1) / batch.mask.sum(-1).clamp(min=1)).sum() / batch.sequences


def sequence_sum(batch: Batch, x: Tensor) -> Tensor:
    """The mean over sequences of the sum over their tokens: the plain policy gradient."""
    return (x * batch.mask).sum() / batch.sequences


def constant_length(batch: Batch, x: Tensor) -> Tensor:
    """Dr. GRPO: the sum over tokens divided by the longest length allowed, whatever the real ones are."""
    return (x * batch.mask).sum() / (batch.sequences * batch.limit)


# ---- anchor: (batch, logp) -> penalty per token ------------------------------------------------------------------

Anchor = Callable[[Batch, Tensor], Tensor]


def k1(batch: Batch, logp: Tensor) -> Tensor:
    """The log-ratio: unbiased, high variance. As a loss its gradient has mean zero; it belongs into the reward."""
    return logp - batch.reference


def k2(batch: Batch, logp: Tensor) -> Tensor:
    """Half the squared log-ratio: biased, its gradient on-policy is that of the reverse KL."""
    return (logp - batch.reference).square() / 2


def k3(batch: Batch, logp: Tensor) -> Tensor:
    """r - 1 - log r with r = reference / policy: unbiased, never negative (Schulman 2020; GRPO eq. 4)."""
    log_r = batch.reference - logp
    return log_r.exp() - 1 - log_r


def absolute(batch: Batch, logp: Tensor) -> Tensor:
    """The size of the log-ratio: a pull of one strength, however far the policy is."""
    return (logp - batch.reference).abs()


def straight_through(anchor: Anchor) -> Anchor:
    """The value of `anchor` with the gradient of k2, which alone has the reverse KL's on-policy."""

    def penalty(batch: Batch, logp: Tensor) -> Tensor:
        pull = k2(batch, logp)
        return anchor(batch, logp).detach() + pull - pull.detach()

    return penalty


ESTIMATORS = {"k2": k2, "k3": k3, "abs": absolute, "k1+": straight_through(k1), "k3+": straight_through(k3)}


def estimated(kl: str) -> Anchor:
    """The anchor of a knob `kl`, by verl's names; "+" is `straight_through`. RecipeError for another, and for the bare k1."""
    why = "; as a loss k1 pulls nowhere on average: k1+ has its value with the gradient of k2" if kl == "k1" else ""
    require(kl in ESTIMATORS, "kl", f'"{kl}"', f"one of {', '.join(ESTIMATORS)}{why}")
    return ESTIMATORS[kl]


def reweighed(anchor: Anchor) -> Anchor:
    """`anchor` times the token's ratio: unbiased on samples of an older policy too (DeepSeek-V3.2, arXiv 2512.02556)."""
    return lambda batch, logp: anchor(batch, logp) * token_ratio(batch, logp)
