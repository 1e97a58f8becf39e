"""Policy-gradient methods as rows over the parts: advantage x shape x ratio x surrogate x reduction x anchor.

Each row is a function whose keyword-only arguments are its knobs. Law of every row: zero advantage and a policy equal
to its reference give zero gradient; a positive advantage raises the probability of what was drawn.

Here are the classics; `trust.py` holds rows that differ in how far they trust old samples, `exploring.py` those that look for
more than one way to be right, `hybrid.py` those that learn from demonstrations beside samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import at_least_0
from ratchet.core.registry import Registry
from ratchet.learn import parts, shapes
from ratchet.learn.batch import Batch, Example
from ratchet.learn.entropy import logprobs_and_entropies
from ratchet.learn.train import Learner
from ratchet.models.engine import Read, token_logprobs

Value = dict[str, float]


@dataclass(frozen=True)
class PolicyGradient:
    """One row. Called with (batch, logp) it is an Objective. `beta` weighs the anchor; 0 needs no reference.

    Where `anchor` is None the reward has been charged for it (`in_reward`). `skip_even_groups` drops groups whose samples
    all have the same reward (DAPO draws others in their place). `shape` changes the examples of an update before it is
    cut into batches. With `entropy` above 0 that times the mean entropy of a token is taken off the loss, and the row is
    called with both (`logprobs_and_entropies`). A row of `demonstrations` learns from written examples beside drawn ones.
    """

    advantage: parts.Advantage
    ratio: parts.Ratio
    surrogate: parts.Surrogate
    reduction: parts.Reduction
    anchor: parts.Anchor | None = parts.k3
    beta: float = 0.0
    skip_even_groups: bool = False
    shape: shapes.Shape | None = None
    entropy: float = 0.0
    demonstrations: bool = False

    def __post_init__(self) -> None:
        at_least_0(beta=self.beta, entropy=self.entropy)

    @property
    def read(self) -> Read:
        return logprobs_and_entropies if self.entropy else token_logprobs

    @property
    def idle_too(self) -> bool:
        """Whether it learns from examples without an advantage: the bonus is on every token's entropy."""
        return self.entropy > 0

    def prepare(self, examples: Sequence[Example], learner: Learner[Any]) -> list[Example]:
        if self.beta and self.anchor is not None and learner.reference is None and not all(e.reference for e in examples):
            raise RecipeError(
                "the method is anchored (beta above 0), but the learner keeps no reference; call its freeze_reference() first"
            )
        return self.shape(examples, learner) if self.shape else list(examples)

    def __call__(self, batch: Batch, numbers: Tensor) -> tuple[Tensor, Value]:
        logp, entropies = numbers if self.entropy else (numbers, None)
        ratio = self.ratio(batch, logp)
        loss = -self.reduction(batch, self.surrogate(batch, logp, ratio))
        metrics: Value = {}
        if batch.old.any():
            # of what was written, not drawn, there is nothing that the learner could agree with
            drawn = batch.mask * batch.old.any(-1, keepdim=True)
            off = ((ratio.detach() - 1).abs() > 0.2).float()
            metrics["ratio_off"] = float((off * drawn).sum()) / batch.tokens
        if self.beta and self.anchor is not None:
            penalty = held(batch, logp, self.anchor)
            loss = loss + self.beta * self.reduction(batch, penalty)
            metrics["kl"] = float((penalty.detach() * batch.mask).sum()) / batch.tokens
        if entropies is not None:
            bonus = parts.token_mean(batch, entropies)
            loss = loss - self.entropy * bonus
            metrics["entropy_bonus"] = bonus.item()
        return loss, metrics


def held(batch: Batch, logp: Tensor, anchor: parts.Anchor) -> Tensor:
    """The anchor's penalty; none on tokens whose reference is NaN."""
    known = batch.reference.isfinite()
    reference = batch.reference.where(known, logp.detach())
    return anchor(replace(batch, reference=reference), logp) * known


def in_reward(row: PolicyGradient, anchor: parts.Anchor, beta: float) -> PolicyGradient:
    """The row with its anchor in the reward: samples pay for their distance before they are compared with their group."""
    after = row.shape or shapes.grouped(row.advantage)
    paid = shapes.chain(shapes.charged(anchor, beta), after)
    return replace(row, advantage=parts.plain, anchor=None, beta=beta, shape=paid) if beta else row


rows: Registry[object] = Registry("learning method", "ratchet.learn")


@rows.add("reinforce", paper="Williams 1992")
def reinforce() -> PolicyGradient:
    """The score function weighed by the bare reward."""
    return PolicyGradient(parts.plain, parts.token_ratio, parts.score_function, parts.sequence_sum)


@rows.add("ppo", paper="arXiv 1707.06347")
def ppo(*, low: float = 0.2, high: float = 0.2, most: float = 3.0, entropy: float = 0.0) -> PolicyGradient:
    """Whitened advantages, PPO's clip, and a bound on the ratio of what is punished (paper: clip 0.2; dual clip: 3).

    In a run this is PPO on returns. A loop of one's own can give each token an advantage from a critic's values (`within.gae`).
    """
    surrogate = parts.clipped(low, high, most)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.token_mean, shape=shapes.whitened, entropy=entropy)


@rows.add("rloo", paper="arXiv 2402.14740")
def rloo(*, beta: float = 0.0) -> PolicyGradient:
    """REINFORCE with the mean of the other samples as baseline (paper: beta 0.03 to 0.1, k1 in the reward)."""
    row = PolicyGradient(parts.leave_one_out, parts.token_ratio, parts.score_function, parts.sequence_sum)
    return in_reward(row, parts.k1, beta)


@rows.add("rloo-clip", paper="arXiv 2402.14740")
def rloo_clip(*, low: float = 0.2, high: float = 0.2, beta: float = 0.0) -> PolicyGradient:
    """RLOO for samples that are learned from more than once: one ratio for the whole sequence, clipped (TRL's RLOO)."""
    row = PolicyGradient(parts.leave_one_out, parts.whole_ratio, parts.clipped(low, high), parts.sequence_mean)
    return in_reward(row, parts.k1, beta)


@rows.add("loop", paper="arXiv 2502.01600")
def loop(*, clip: float = 0.2) -> PolicyGradient:
    """Leave-one-out advantages without a deviation, PPO's clip for each token, no critic and no reference.

    Departure: the abstract names no reduction; here all tokens of an update weigh the same.
    """
    return PolicyGradient(parts.leave_one_out, parts.token_ratio, parts.clipped_alike(clip), parts.token_mean)


@rows.add("remax", paper="arXiv 2310.10505")
def remax(*, beta: float = 0.0) -> PolicyGradient:
    """REINFORCE with one sample of each group as its baseline.

    Departure: the baseline is the group's first sample, which is as unbiased; the paper draws it greedily.
    """
    row = PolicyGradient(parts.against_first, parts.token_ratio, parts.score_function, parts.sequence_sum)
    return in_reward(row, parts.k1, beta)


@rows.add("opo", paper="arXiv 2505.23585")
def opo() -> PolicyGradient:
    """REINFORCE with the baseline of least variance: the group's mean, weighed by lengths."""
    return PolicyGradient(parts.plain, parts.token_ratio, parts.score_function, parts.token_mean, shape=shapes.weighed_by_length)


@rows.add("gpg", paper="arXiv 2504.02546")
def gpg() -> PolicyGradient:
    """The score function weighed by the centred reward, without ratio, clip, critic or reference.

    Departure: the paper's factor for the share of groups with even rewards is left to the learning rate.
    """
    return PolicyGradient(parts.group_centred, parts.token_ratio, parts.score_function, parts.token_mean)


@rows.add("grpo", paper="arXiv 2402.03300")
def grpo(*, clip: float = 0.2, beta: float = 0.0, entropy: float = 0.0, kl: str = "k3") -> PolicyGradient:
    """Group-normalised advantage, PPO's clip, mean over each sequence (paper: clip 0.2, beta 0.04 with k3)."""
    surrogate = parts.clipped_alike(clip)
    return PolicyGradient(
        parts.group_normalised, parts.token_ratio, surrogate, parts.sequence_mean, parts.estimated(kl), beta, entropy=entropy
    )


@rows.add("bnpo", paper="TRL's loss_type bnpo")
def bnpo(*, clip: float = 0.2, beta: float = 0.0, kl: str = "k3") -> PolicyGradient:
    """GRPO with the mean over all tokens of the update."""
    return PolicyGradient(
        parts.group_normalised, parts.token_ratio, parts.clipped_alike(clip), parts.token_mean, parts.estimated(kl), beta
    )


@rows.add("batch-grpo", paper="arXiv 2508.08221")
def batch_grpo(*, clip: float = 0.2, beta: float = 0.0, kl: str = "k3") -> PolicyGradient:
    """Centred on the group, but divided by the deviation over the whole batch: groups of rare success are not blown up."""
    return PolicyGradient(
        parts.batch_scaled, parts.token_ratio, parts.clipped_alike(clip), parts.token_mean, parts.estimated(kl), beta
    )


@rows.add("dr-grpo", paper="arXiv 2503.20783")
def dr_grpo(*, clip: float = 0.2, beta: float = 0.0, kl: str = "k3") -> PolicyGradient:
    """GRPO without its two biases: no division by the deviation, none by the sequence's own length (paper: beta 0)."""
    return PolicyGradient(
        parts.group_centred, parts.token_ratio, parts.clipped_alike(clip), parts.constant_length, parts.estimated(kl), beta
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
def cispo(*, low: float = math.inf, high: float = 0.28) -> PolicyGradient:
    """The clipped ratio as a constant weight (the paper bounds it from above only, tunes `high` and gives no number; 0.28 is
    DAPO's)."""
    return PolicyGradient(parts.group_normalised, parts.token_ratio, parts.clipped_weight(high, low), parts.token_mean)


@rows.add("reinforce++", paper="arXiv 2501.03262")
def reinforce_pp(*, clip: float = 0.2, beta: float = 0.0) -> PolicyGradient:
    """Returns normalised over all tokens of the update, PPO's clip; each token pays for the k1 of what follows (paper)."""
    paid = shapes.chain(shapes.charged_to_go(parts.k1, beta), shapes.whitened) if beta else shapes.whitened
    surrogate = parts.clipped_alike(clip)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.token_mean, None, beta, shape=paid)


@rows.add("reinforce++-baseline", paper="arXiv 2501.03262")
def reinforce_pp_baseline(*, clip: float = 0.2, beta: float = 0.0) -> PolicyGradient:
    """Centred on the group, then normalised over the update; KL in the loss by k2, whose gradient is right (paper)."""
    both = shapes.chain(shapes.grouped(parts.group_centred), shapes.whitened)
    surrogate = parts.clipped_alike(clip)
    return PolicyGradient(parts.plain, parts.token_ratio, surrogate, parts.token_mean, parts.k2, beta, shape=both)


@rows.add("imitation")
def imitation() -> PolicyGradient:
    """Maximum likelihood of demonstrations: the policy gradient with advantage 1 on every written token."""
    return PolicyGradient(parts.plain, parts.token_ratio, parts.score_function, parts.token_mean)
