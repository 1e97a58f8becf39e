"""Learned verifiers as rows over three parts: where the labels lie x the loss x what the head says.

| row | labels | loss | head | paper |
| --- | --- | --- | --- | --- |
| `orm` | the outcome, after the last token | cross-entropy | chance | Cobbe et al. 2021, arXiv 2110.14168 |
| `ovm` | the outcome, after every token | squared error | chance | Yu et al. 2023, arXiv 2311.09724 |
| `prm` | each step's own label, at its end | cross-entropy | chance | Lightman et al. 2023, arXiv 2305.20050 |
| `pointwise` | a grade, after the last token | squared error | number | Wang et al. 2024, arXiv 2406.08673 |
| `pairwise` | the better of two, after the last token | Bradley-Terry | chance | Ouyang et al. 2022, arXiv 2203.02155 |
| `value-mse` | the outcome, after every token | squared error | number | arXiv 2403.03950 |
| `value-two-hot` | the outcome, after every token | cross-entropy | bins | arXiv 2403.03950 |
| `value-hl-gauss` | the outcome, after every token | cross-entropy | bins | Farebrother et al. 2024, arXiv 2403.03950 |

A value after a token is that of the state, and of having taken the token there. A critic with `words` is asked before it, for
each word at once, and learns from the same rows.

Departures: the chances of `orm`, `ovm` and `prm` are the sigmoid of a logit, so that squared error is taken of a chance, not of
a number without bounds; no row adds the language model's own loss, as the papers on outcomes do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ratchet.core.errors import EngineError
from ratchet.core.registry import Registry
from ratchet.core.types import Tokens
from ratchet.learn.batch import Batch, Example
from ratchet.learn.heads import Head, Loss, cross_entropy, heads, squared_error
from ratchet.learn.imitate import imitate
from ratchet.learn.parts import token_mean
from ratchet.learn.train import Learner
from ratchet.models.critic import Critic, token_values
from ratchet.models.engine import Policy, score
from ratchet.models.heads import Chance, Says


@dataclass(frozen=True)
class Judged:
    """A text to learn a verdict from: its `outcome` in [0, 1], and `steps`, the label of each step by the place of its last
    token. Either may be missing (NaN, empty), where the row does not ask for it. Where outcomes are compared, it is between
    texts of one prefix and one `group`."""

    prefix: Tokens
    tokens: Tokens
    outcome: float = math.nan
    steps: tuple[tuple[int, float], ...] = ()
    group: int | str = 0


# ---- where labels lie: a judged text -> what shall be said after each token, NaN where nothing is asked ----------

Labels = Callable[[Judged], tuple[float, ...]]


def at_the_end(judged: Judged) -> tuple[float, ...]:
    """The outcome, once."""
    return (*[math.nan] * (len(judged.tokens) - 1), judged.outcome)


def everywhere(judged: Judged) -> tuple[float, ...]:
    """The outcome, whatever it was, of every prefix."""
    return (judged.outcome,) * len(judged.tokens)


def at_steps(judged: Judged) -> tuple[float, ...]:
    """Each step's own label."""
    labels = dict(judged.steps)
    return tuple(labels.get(place, math.nan) for place in range(len(judged.tokens)))


# ---- rows --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verifier:
    """One row. Called with (batch, logits) it is an Objective: the mean loss over all labels of the update, and over the
    members of an ensemble."""

    labels: Labels
    loss: Loss
    says: Says = field(default_factory=Chance)

    def example(self, judged: Judged) -> Example:
        return Example(judged.prefix, judged.tokens, target=self.labels(judged))

    def examples(self, critic: Critic, judged: Sequence[Judged]) -> list[Example]:
        return [self.example(j) for j in judged]

    def __call__(self, batch: Batch, logits: Tensor) -> tuple[Tensor, dict[str, float]]:
        if logits.dim() - batch.target.dim() > (self.says.outputs > 1):
            each = self.loss(logits, batch.target[..., None].expand(*batch.target.shape, logits.shape[2]))
            return token_mean(batch, each.mean(-1)), {}
        return token_mean(batch, self.loss(logits, batch.target)), {}


@dataclass(frozen=True)
class Pairwise:
    """A row whose loss is -log sigmoid of the better text's logit less the worse one's, over all pairs of one prefix and group
    whose outcomes differ.

    The two need not stand in one micro-batch: what each logit pulls with is found by a first pass without gradient, and
    the second goes along it, to the same gradient. `target` carries each text's part of the loss, `advantage` its pull.
    """

    labels: Labels = at_the_end
    says: Says = field(default_factory=Chance)

    def examples(self, critic: Critic, judged: Sequence[Judged]) -> list[Example]:
        """EngineError for an ensemble: its members would need pulls of their own."""
        if critic.model.shape[0] > 1:
            raise EngineError("the pairwise row trains a single head; train several critics and score with them `together`")
        logits = score(
            critic.model, [((*j.prefix, *j.tokens[:-1]), j.tokens[-1:]) for j in judged], critic.bf16, read=token_values
        )
        pull, cost = [0.0] * len(judged), [0.0] * len(judged)
        pairs = pairs_of(judged)
        for better, worse in pairs:
            gap = logits[better][0] - logits[worse][0]
            weight = 1 / (1 + math.exp(min(gap, 500.0)))
            pull[better] += weight
            pull[worse] -= weight
            cost[better] += max(-gap, 0.0) + math.log1p(math.exp(-abs(gap)))
        taken = sorted({i for pair in pairs for i in pair})
        scale = len(taken) / max(len(pairs), 1)  # a row's mean is over its labels, this one's over pairs
        return [
            Example(j.prefix, j.tokens, pull[i] * scale, target=(*[math.nan] * (len(j.tokens) - 1), cost[i] * scale))
            for i, j in ((i, judged[i]) for i in taken)
        ]

    def __call__(self, batch: Batch, logits: Tensor) -> tuple[Tensor, dict[str, float]]:
        return token_mean(batch, batch.target - batch.advantage * (logits - logits.detach())), {}


def pairs_of(judged: Sequence[Judged]) -> list[tuple[int, int]]:
    """Places of all (better, worse) of one prefix and group."""
    groups: dict[tuple[Tokens, int | str], list[int]] = {}
    for i, j in enumerate(judged):
        groups.setdefault((j.prefix, j.group), []).append(i)
    return [(a, b) for own in groups.values() for a in own for b in own if judged[a].outcome > judged[b].outcome]


def row_of(labels: Labels, head: Head) -> Verifier:
    """A row of one's own: `row_of(everywhere, heads["hl-gauss"](-1, 1))`."""
    return Verifier(labels, head.loss, head.says)


critics: Registry[Verifier | Pairwise] = Registry("learned verifier", "ratchet.learn")
critics.put("orm", Verifier(at_the_end, cross_entropy), "arXiv 2110.14168", "The outcome, learned after the last token.")
critics.put(
    "ovm", Verifier(everywhere, squared_error), "arXiv 2311.09724", "The outcome, learned after every token of every prefix."
)
critics.put("prm", Verifier(at_steps, cross_entropy), "arXiv 2305.20050", "Each step's own label, learned at the step's end.")
critics.put("pointwise", row_of(at_the_end, heads["mse"](0.0, 1.0)), "arXiv 2406.08673", "A grade, learned after the last token.")
critics.put("pairwise", Pairwise(), "arXiv 2203.02155", "The better of two texts, learned after their last tokens.")
for name, what in (("mse", "a number"), ("two-hot", "two bins"), ("hl-gauss", "a histogram")):
    # two bins and more are free on either side of the outcomes 0 and 1
    critics.put(
        f"value-{name}",
        row_of(everywhere, heads[name](-0.1, 1.1)),
        "arXiv 2403.03950",
        f"The outcome after every token, as {what}.",
    )


def fit(
    critic: Critic,
    row: Verifier | Pairwise,
    judged: Callable[[int], Sequence[Judged]],
    updates: int,
    lr: float = 1e-3,
    muon: float = 0.0,
) -> list[float]:
    """Train a critic on `judged(update)` for so many updates, with a short warm-up and a rate that falls to a tenth.

    `lr` and `muon` are the learner's: AdamW's rate, and Muon's for the layers' matrices where it is above 0. Returns the
    loss of every update, per label. EngineError where the critic's head says something else than the row asks.
    """
    if critic.model.says != row.says:
        raise EngineError(
            f"this row asks for a head that says {row.says}, the critic's says {critic.model.says}; "
            "make it with critic_from(policy, says=row.says)"
        )
    learner = Learner(critic, lr=lr, muon=muon, warmup=min(20, updates // 5 + 1), steps=updates, final=0.1, read=token_values)
    return [learner.update(row.examples(critic, judged(update)), row)["loss"] for update in range(updates)]


# ---- verdicts that are said --------------------------------------------------------------------------------------


def verdicts(judged: Sequence[Judged], yes: int, no: int) -> list[Example]:
    """The texts as prefixes, each followed by the one token that is learned: `yes` above an outcome of a half, else `no`."""
    return [Example((*j.prefix, *j.tokens), (yes if j.outcome > 0.5 else no,)) for j in judged if not math.isnan(j.outcome)]


def teach_to_say(
    policy: Policy,
    judged: Callable[[int], Sequence[Judged]],
    yes: int,
    no: int,
    updates: int,
    lr: float = 1e-3,
    muon: float = 0.0,
) -> list[float]:
    """Train a generative verifier (Zhang et al. 2024, arXiv 2408.15240) on `judged(update)`; `said` reads it. A text may end in
    the question and in reasoning about it, which are then read and not learned. Returns every update's loss per verdict."""
    return imitate(policy, lambda update: verdicts(judged(update), yes, no), updates, lr, muon)
