"""Learning from preferences: rows over three parts, what a completion is worth x link x anchor.

| row | worth | link | anchor | paper |
| --- | --- | --- | --- | --- |
| `dpo` | log-ratio to the reference | logistic | | Rafailov et al. 2023, arXiv 2305.18290 |
| `step-dpo` | the same, of the first step that differs | logistic | | Lai et al. 2024, arXiv 2406.18629 |
| `dpo-norm` | log-ratio per token | logistic | | Lambert et al. 2024, arXiv 2411.15124 |
| `cdpo` | log-ratio | logistic, labels smoothed | | Mitchell 2023 |
| `robust-dpo` | log-ratio | logistic, freed of the labels' noise | | Chowdhury et al. 2024, arXiv 2403.00409 |
| `ipo` | log-ratio per token | squared distance | | Azar et al. 2023, arXiv 2310.12036 |
| `hinge` | log-ratio | hinge | | Liu et al. 2023, arXiv 2309.06657 |
| `exo` | log-ratio | reverse KL to smoothed labels | | Ji et al. 2024, arXiv 2402.00856 |
| `nca` | log-ratio | noise contrast of each | | Chen et al. 2024, arXiv 2402.05369 |
| `sppo` | log-ratio | squared, to one half up and down | | Wu et al. 2024, arXiv 2405.00675 |
| `apo-zero`, `apo-down` | log-ratio | sigmoids of each | | D'Oosterlinck et al. 2024, arXiv 2408.06266 |
| `simpo` | log-probability per token | logistic past a target | | Meng et al. 2024, arXiv 2405.14734 |
| `cpo` | log-probability | logistic | likelihood | Xu et al. 2024, arXiv 2401.08417 |
| `slic` | log-probability | hinge | likelihood | Zhao et al. 2023, arXiv 2305.10425 |
| `orpo` | log-odds per token | logistic | likelihood | Hong et al. 2024, arXiv 2403.07691 |
| `kto` | log-ratio past the reference point | sigmoid, of single completions | | Ethayarajh et al. 2024, arXiv 2402.01306 |

Departures: the anchor of `cpo`, `slic` and `orpo` is the mean over pairs of the chosen completion's mean negative log-probability
per token, as ORPO's paper has it; CPO's paper sums over tokens, TRL averages over all tokens of a batch (`orpo` there over the
prompt's too). `ipo` divides by lengths, as its authors told TRL that they did; the paper's text does not.

Not here: DiscoPOP (arXiv 2406.08414). With its published constants a step from the reference lowers the margin, which the laws of
tests/test_preferences.py do not allow. AOT (arXiv 2406.05882) sorts a whole update, which cannot be cut into parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import above_0, at_least_0
from ratchet.core.registry import Registry
from ratchet.core.types import Tokens
from ratchet.learn import margins
from ratchet.learn.batch import Batch, Example, Pair, Unit
from ratchet.learn.train import Learner
from ratchet.models.engine import score

Value = dict[str, float]


@dataclass(frozen=True)
class Preference:
    """One row. Called with (batch, logp) it is an Objective over pairs. `reference` says whether it needs the reference policy,
    `singles` whether it learns from single completions too.

    `flips` is a law that it claims: where both completions are worth the same, swapping them turns the link's gradient round.
    """

    worth: margins.Worth
    link: margins.Link
    anchor: margins.Anchor = margins.likelihood
    alpha: float = 0.0
    reference: bool = True
    flips: bool = True
    singles: bool = field(default=False, init=False)
    view: margins.View = margins.whole

    def __post_init__(self) -> None:
        at_least_0(alpha=self.alpha)

    def prepared(self, learner: Learner[Any], units: Sequence[Unit]) -> tuple[list[Unit], Preference]:
        """The units as the row compares them, and the objective for one update on them."""
        pairs = [u for u in units if isinstance(u, Pair)]
        if len(pairs) < len(units):
            raise RecipeError("this method compares pairs, and got a completion without a partner; kto learns from such")
        if self.reference:
            check_reference(learner, pairs)
        if self.view is margins.whole:
            return [*pairs], self
        return [self.view(pair, learner.policy.tokenizer) for pair in pairs], self

    def __call__(self, batch: Batch, logp: Tensor) -> tuple[Tensor, Value]:
        pairs = batch.sequences / 2
        worth = self.worth(batch, logp)
        chosen, rejected = worth[0::2], worth[1::2]
        loss = self.link(chosen, rejected)
        if self.alpha:
            loss = loss + self.alpha * self.anchor(batch, logp)
        margin = (chosen - rejected).detach()
        return loss.sum() / pairs, {"margin": float(margin.sum()) / pairs, "ranked": float((margin > 0).sum()) / pairs}


@dataclass(frozen=True)
class Prospect:
    """KTO (eq. 7 and 8): a completion that is wanted (advantage above 0) shall be worth more than the reference point, one that is
    not wanted less. An Objective over single completions or the rows of pairs.

    The reference point is the policy's KL divergence to the reference, never below 0, estimated in `prepared` once for
    each update on completions of other prompts, where those fit the model's context; 0 where none does.
    """

    beta: float
    wanted: float
    unwanted: float
    point: float = 0.0
    reference: bool = True
    flips: bool = True
    singles: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        above_0(beta=self.beta)
        at_least_0(wanted=self.wanted, unwanted=self.unwanted)

    def prepared(self, learner: Learner[Any], units: Sequence[Unit]) -> tuple[list[Unit], Prospect]:
        """Single completions, and the objective with the reference point for one update on them."""
        check_reference(learner, units)
        rows = [row for u in units for row in u.rows if row.tokens]
        others = completions_of_others(rows, learner.policy.context)
        crossed = [(row.prefix, other) for row, other in zip(rows, others, strict=True) if other]
        if not crossed or learner.reference is None:
            return [*rows], self
        policy, reference = (score(m, crossed, learner.policy.bf16) for m in (learner.policy.model, learner.reference))
        mean = (sum(map(sum, policy)) - sum(map(sum, reference))) / len(crossed)
        return [*rows], replace(self, point=max(0.0, mean))

    def __call__(self, batch: Batch, logp: Tensor) -> tuple[Tensor, Value]:
        wanted = batch.advantage.sum(-1) > 0
        sign = torch.where(wanted, 1.0, -1.0).to(logp)
        weight = torch.where(wanted, self.wanted, self.unwanted).to(logp)
        worth = margins.log_ratio(batch, logp)
        loss = weight * (1 - (self.beta * sign * (worth - self.point)).sigmoid())
        right = sign * (worth.detach() - self.point)
        metrics = {"margin": 2 * float(right.sum()), "ranked": float((right > 0).sum()), "point": self.point * len(worth)}
        return loss.sum() / batch.sequences, {name: value / batch.sequences for name, value in metrics.items()}


def check_reference(learner: Learner[Any], units: Sequence[Unit]) -> None:
    """Every completion has the reference's log-probabilities, or will be given them. RecipeError where there is no reference."""
    if learner.reference is None and not all(row.reference for u in units for row in u.rows):
        raise RecipeError(
            "this method compares the policy with a reference, and there is none; learner.freeze_reference() makes one"
        )


def completions_of_others(rows: Sequence[Example], context: int) -> list[Tokens]:
    """For each row the tokens of the next one that has another prefix, and that fit a model's context after the row's own prefix;
    empty where there is none.

    >>> completions_of_others([Example((1,), (5,)), Example((1,), (6,)), Example((2,), (7,))], 2)
    [(7,), (7,), (5,)]
    >>> completions_of_others([Example((1,), (5,)), Example((2, 2), (6,)), Example((3,), (7, 7))], 3)
    [(6,), (5,), (5,)]
    """
    return [
        next((other.tokens for other in (*rows[i + 1 :], *rows[:i]) if fits_after(row, other, context)), ())
        for i, row in enumerate(rows)
    ]


def fits_after(row: Example, other: Example, context: int) -> bool:
    """Whether another prompt's completion can be read after this one's prompt."""
    return other.prefix != row.prefix and len(row.prefix) + len(other.tokens) <= context


PreferenceRow = Preference | Prospect
preferences: Registry[Callable[..., PreferenceRow]] = Registry("preference method", "ratchet.learn")


@preferences.add("dpo", paper="arXiv 2305.18290")
def dpo(*, beta: float = 0.1) -> Preference:
    """The chosen answer's log-ratio to the reference shall be above the rejected one's (paper: beta 0.1)."""
    return Preference(margins.log_ratio, margins.logistic(beta))


@preferences.add("step-dpo", paper="arXiv 2406.18629")
def step_dpo(*, beta: float = 0.4, delimiter: str = "\n") -> Preference:
    """DPO of the first step that differs, after the steps that both share (paper: beta 0.4 to 0.5).

    Departure: where the two part is found by their tokens; the paper has a model find and mend the first wrong step.
    """
    return Preference(margins.log_ratio, margins.logistic(beta), view=margins.first_difference(delimiter))


@preferences.add("dpo-norm", paper="arXiv 2411.15124")
def dpo_norm(*, beta: float = 5.0) -> Preference:
    """DPO of log-ratios per token, so that longer answers do not count for more (paper: beta 5)."""
    return Preference(margins.mean_log_ratio, margins.logistic(beta))


@preferences.add("cdpo", paper="Mitchell 2023")
def cdpo(*, beta: float = 0.1, smoothing: float = 0.1) -> Preference:
    """DPO where a share `smoothing` of the labels is thought to be swapped."""
    return Preference(margins.log_ratio, margins.logistic(beta, smoothing))


@preferences.add("robust-dpo", paper="arXiv 2403.00409")
def robust_dpo(*, beta: float = 0.1, noise: float = 0.1) -> Preference:
    """DPO whose loss has no bias where a share `noise` of the labels is swapped (paper: 0.1)."""
    return Preference(margins.log_ratio, margins.robust(beta, noise))


@preferences.add("ipo", paper="arXiv 2310.12036")
def ipo(*, beta: float = 0.1) -> Preference:
    """The margin per token shall be 1 / (2 beta) and not grow beyond (paper: beta 0.1 to 1, there called tau)."""
    return Preference(margins.mean_log_ratio, margins.squared(beta))


@preferences.add("hinge", paper="arXiv 2309.06657")
def hinge_dpo(*, beta: float = 0.05) -> Preference:
    """DPO with a hinge: nothing is asked beyond a margin of 1 / beta (paper: 0.05, there called gamma)."""
    return Preference(margins.log_ratio, margins.hinge(beta))


@preferences.add("exo", paper="arXiv 2402.00856")
def exo(*, beta: float = 0.1, smoothing: float = 1e-3) -> Preference:
    """The reverse KL divergence to the labels, where DPO takes the forward one (paper: smoothing 1e-3)."""
    return Preference(margins.log_ratio, margins.reverse_kl(beta, smoothing))


@preferences.add("nca", paper="arXiv 2402.05369")
def nca(*, beta: float = 0.01) -> Preference:
    """Each answer is told from noise, which keeps the chosen one likely (paper: beta 0.01)."""
    return Preference(margins.log_ratio, margins.noise_contrast(beta))


@preferences.add("sppo", paper="arXiv 2405.00675")
def sppo(*, beta: float = 1e-3) -> Preference:
    """Self-play: the chosen answer's log-ratio goes to 1 / (2 beta), the rejected one's to minus that (paper: beta 1e-3)."""
    return Preference(margins.log_ratio, margins.halves(beta))


@preferences.add("apo-zero", paper="arXiv 2408.06266")
def apo_zero(*, beta: float = 0.1) -> Preference:
    """The chosen answer becomes likelier, the rejected one less likely (paper: beta 0.1)."""
    return Preference(margins.log_ratio, margins.up_and_down(beta))


@preferences.add("apo-down", paper="arXiv 2408.06266")
def apo_down(*, beta: float = 0.1) -> Preference:
    """Both become less likely, the rejected one more so: for chosen answers that are worse than the model's own."""
    return Preference(margins.log_ratio, margins.both_down(beta), flips=False)


@preferences.add("simpo", paper="arXiv 2405.14734")
def simpo(*, beta: float = 2.0, target: float = 1.0) -> Preference:
    """No reference: log-probabilities per token, parted by `target` at least (paper: beta 2 to 2.5, target 0.3 to 1.6)."""
    return Preference(margins.mean_log_probability, margins.logistic(beta, target=target), reference=False)


@preferences.add("cpo", paper="arXiv 2401.08417")
def cpo(*, beta: float = 0.1, alpha: float = 1.0) -> Preference:
    """No reference, but the chosen answer is imitated too (paper: beta 0.1, alpha 1)."""
    return Preference(margins.log_probability, margins.logistic(beta), margins.likelihood, alpha, reference=False)


@preferences.add("slic", paper="arXiv 2305.10425")
def slic(*, beta: float = 1.0, alpha: float = 0.1) -> Preference:
    """A hinge on log-probabilities, and imitation of the chosen answer."""
    return Preference(margins.log_probability, margins.hinge(beta), margins.likelihood, alpha, reference=False)


@preferences.add("orpo", paper="arXiv 2403.07691")
def orpo(*, weight: float = 0.1) -> Preference:
    """Imitation of the chosen answer, and `weight` times the odds ratio to the rejected one (paper: 0.1, there called lambda)."""
    at_least_0(weight=weight)
    link = margins.logistic(1.0)
    return Preference(margins.log_odds, lambda a, b: weight * link(a, b), margins.likelihood, 1.0, reference=False)


@preferences.add("kto", paper="arXiv 2402.01306")
def kto(*, beta: float = 0.1, wanted: float = 1.0, unwanted: float = 1.0) -> Prospect:
    """Single answers, wanted or not, against a reference point (paper: beta 0.1, both weights 1)."""
    return Prospect(beta, wanted, unwanted)
