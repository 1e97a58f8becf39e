"""Policy-gradient methods as rows over the parts: advantage x ratio x surrogate x reduction x anchor.

Each row is a function whose keyword-only arguments are its knobs. Law of every row: zero advantage and a policy equal
to its reference give zero gradient; a positive advantage raises the probability of what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ratchet.core.registry import Registry
from ratchet.learn import parts
from ratchet.learn.batch import Batch

Value = dict[str, float]


@dataclass(frozen=True)
class PolicyGradient:
    """One row. Called with (batch, logp) it is an Objective. `beta` weighs the anchor; 0 needs no reference.

    `skip_even_groups` drops groups whose samples all have the same reward, and draws others in their place (DAPO).
    """

    advantage: parts.Advantage
    ratio: parts.Ratio
    surrogate: parts.Surrogate
    reduction: parts.Reduction
    anchor: parts.Anchor = parts.k3
    beta: float = 0.0
    skip_even_groups: bool = False

    def __call__(self, batch: Batch, logp: Tensor) -> tuple[Tensor, Value]:
        ratio = self.ratio(batch, logp)
        loss = -self.reduction(batch, self.surrogate(batch, logp, ratio))
        metrics: Value = {}
        if batch.old.any():
            off = ((ratio.detach() - 1).abs() > 0.2).float()
            metrics["ratio_off"] = float((off * batch.mask).sum()) / batch.tokens
        if self.beta:
            penalty = self.anchor(batch, logp)
            loss = loss + self.beta * self.reduction(batch, penalty)
            metrics["kl"] = float((penalty.detach() * batch.mask).sum()) / batch.tokens
        return loss, metrics


rows: Registry[object] = Registry("learning method", "ratchet.learn")


@rows.add("reinforce", paper="Williams 1992")
def reinforce() -> PolicyGradient:
    """The score function weighed by the bare reward."""
    return PolicyGradient(parts.plain, parts.token_ratio, parts.score_function, parts.sequence_sum)


@rows.add("rloo", paper="arXiv 2402.14740")
def rloo(*, beta: float = 0.0) -> PolicyGradient:
    """REINFORCE with the mean of the other samples as baseline (paper: beta 0.03 to 0.1 in the reward)."""
    return PolicyGradient(parts.leave_one_out, parts.token_ratio, parts.score_function, parts.sequence_sum, parts.k2, beta)


@rows.add("grpo", paper="arXiv 2402.03300")
def grpo(*, clip: float = 0.2, beta: float = 0.0) -> PolicyGradient:
    """Group-normalised advantage, PPO's clip, mean over each sequence (paper: clip 0.2, beta 0.04 with k3)."""
    return PolicyGradient(
        parts.group_normalised, parts.token_ratio, parts.clipped(clip, clip), parts.sequence_mean, parts.k3, beta
    )


@rows.add("dr-grpo", paper="arXiv 2503.20783")
def dr_grpo(*, clip: float = 0.2, beta: float = 0.0) -> PolicyGradient:
    """GRPO without its two biases: no division by the deviation, none by the sequence's own length (paper: beta 0)."""
    return PolicyGradient(
        parts.group_centred, parts.token_ratio, parts.clipped(clip, clip), parts.constant_length, parts.k3, beta
    )


@rows.add("dapo", paper="arXiv 2503.14476")
def dapo(*, low: float = 0.2, high: float = 0.28) -> PolicyGradient:
    """Clip-higher, token mean, and groups of even reward left out (paper: 0.2 and 0.28).

    Departure: even groups are dropped, not replaced by further sampling; the paper's soft punishment of overlong
    samples is a reward, not a part of the objective, and is not applied.
    """
    return PolicyGradient(
        parts.group_normalised, parts.token_ratio, parts.clipped(low, high), parts.token_mean, skip_even_groups=True
    )


@rows.add("gspo", paper="arXiv 2507.18071")
def gspo(*, low: float = 3e-4, high: float = 4e-4) -> PolicyGradient:
    """One ratio for the whole sequence, clipped tightly (paper: 3e-4 and 4e-4)."""
    return PolicyGradient(parts.group_normalised, parts.sequence_ratio, parts.clipped(low, high), parts.sequence_mean)


@rows.add("cispo", paper="arXiv 2506.13585")
def cispo(*, high: float = 0.28) -> PolicyGradient:
    """The clipped ratio as a constant weight (the paper tunes `high` and gives no number; 0.28 is DAPO's)."""
    return PolicyGradient(parts.group_normalised, parts.token_ratio, parts.clipped_weight(high), parts.token_mean)


@rows.add("reinforce++", paper="arXiv 2501.03262")
def reinforce_pp(*, clip: float = 0.2, beta: float = 0.0) -> PolicyGradient:
    """Advantage normalised over the whole batch, PPO's clip (paper: KL of k1 in the reward; here k2 in the loss,
    which has the same gradient on-policy)."""
    return PolicyGradient(parts.batch_normalised, parts.token_ratio, parts.clipped(clip, clip), parts.token_mean, parts.k2, beta)


@rows.add("imitation")
def imitation() -> PolicyGradient:
    """Maximum likelihood of demonstrations: the policy gradient with advantage 1 on every written token."""
    return PolicyGradient(parts.plain, parts.token_ratio, parts.score_function, parts.token_mean)
