"""Preference fine-tuning should leverage suboptimal, on-policy data: when does it matter who drew the samples, and whether bad
ones are pushed down?

One learner and its objectives work on two policies: a table of 100 logits, and a transformer that writes ten tokens.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratchet.core.seeds import Part, rng, seed
from ratchet.core.types import Completion, Draw
from ratchet.report.chart import Point, Series, estimated, line_chart, percent, whole
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register

if TYPE_CHECKING:
    from torch import Tensor

    from ratchet.learn.batch import Example, Pair, Unit
    from ratchet.learn.policy import PolicyGradient
    from ratchet.learn.selectors import Selector
    from ratchet.learn.tried import Tried
    from ratchet.models.engine import Trainable

NAME = "on-policy-prefs"
CASES = ("uncovered", "covered")
GROUPS, SAMPLES = 4, 8  # of an update, whatever is learned from them
STEPS = {"categorical": 150, "language": 48}
LOOKS = {"categorical": 6, "language": 2}
WITH_LANGUAGE = 5  # the first seeds
ARMS = 100
WORDS, LENGTH = 10, 10
LIKELIHOOD = ("preferred only", "best of 8", "reward-weighted")
ON_POLICY = ("REINFORCE", "PPO", "on-policy DPO")
REUSE = (2, 4, 16)
GRID = {"categorical": (0.03, 0.1, 0.3, 1.0), "language": (1e-3, 3e-3, 1e-2)}


# ---- the two problems --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A policy that stands at the reference, `draw(n, *path)` for samples of it as it is now, the reward in [0, 1] of a sample,
    and `worth()`, the expected reward of the policy as it is now."""

    policy: Trainable
    draw: Callable[..., list[Completion]]
    reward: Callable[[Completion], float]
    worth: Callable[[], float]


def bump(centre: float, deviation: float) -> Tensor:
    """Log-densities (arms,) of a normal distribution, up to a constant."""
    import torch

    return -(torch.arange(ARMS) - centre).square() / (2 * deviation**2)


def distances(run_seed: int, case: str) -> tuple[Tensor, Tensor]:
    """The reference's logits (arms,) and the rewards (arms,), whose peak is one or four deviations of the reference away."""
    random = rng(NAME, run_seed, case)
    centre = random.uniform(28, 32)
    peak = centre + (random.uniform(36, 40) if case == "uncovered" else random.uniform(8, 12))
    return bump(centre, 10), bump(peak, 12).exp()


def categorical(run_seed: int, case: str) -> Problem:
    """One choice among 100 arms, whose logits are the weights."""
    import torch
    from torch import nn

    reference, rewards = distances(run_seed, case)

    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(reference.clone())

        def at(self, ids: Tensor, wanted: Tensor) -> Tensor:
            return self.logits.expand(int(wanted.sum()), -1)

    class Chooser:
        model, bf16, max_tokens, version = Table(), False, 1, 0

    def draw(n: int, *path: Part) -> list[Completion]:
        logp = policy.model.logits.detach().log_softmax(0)
        arms = torch.multinomial(logp.exp(), n, True, generator=torch.Generator().manual_seed(seed(*path)))
        return [Completion((0,), (arm,), "", (float(logp[arm]),), "length") for arm in arms.tolist()]

    policy = Chooser()
    return Problem(
        policy, draw, lambda c: float(rewards[c.tokens[0]]), lambda: float(policy.model.logits.detach().softmax(0) @ rewards)
    )


def language(run_seed: int, case: str, quick: bool) -> Problem:
    """Ten tokens. The reference finds each digit about half as likely as the one below; the reward is the share of zeros
    (covered), or the mean digit, so that nine nines are best (uncovered)."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(["go", *map(str, range(WORDS))])
    shape = llama.Shape(vocab=WORDS + 3, width=32, layers=2, heads=2, kv_heads=2, head_width=16, hidden=64, max_tokens=LENGTH + 2)
    policy = new_policy(shape, tokenizer, seed(NAME, run_seed, "language"), LENGTH)
    prompt, chances = policy.encode("go"), [0.55**k for k in range(WORDS)]

    def examples(update: int) -> list[Example]:
        random = rng(NAME, run_seed, "reference", update)
        return [Example(prompt, tuple(3 + k for k in random.choices(range(WORDS), chances, k=LENGTH))) for _ in range(32)]

    imitate(policy, examples, 4 if quick else 150)

    def draw(n: int, *path: Part) -> list[Completion]:
        [drawn] = policy.sample([Draw(prompt, n)], [[seed(*path, i) for i in range(n)]])
        return drawn

    def reward(c: Completion) -> float:
        digits = [t - 3 for t in c.tokens if t >= 3]
        return sum(digits) / (WORDS - 1) / LENGTH if case == "uncovered" else digits.count(0) / LENGTH

    def worth() -> float:
        return statistics.fmean(map(reward, draw(16 if quick else 256, NAME, run_seed, case, "worth", policy.version)))

    return Problem(policy, draw, reward, worth)


# ---- what is learned from the samples of an update ---------------------------------------------------------------

Groups = list[list["Tried"]]
Units = Callable[[Groups], Sequence["Unit"]]


@dataclass(frozen=True)
class Method:
    """What an objective learns from the samples: those of the reference, or those of the policy itself as it was at most
    `epochs` - 1 steps before."""

    units: Units
    objective: Any
    own: bool = False
    epochs: int = 1


def imitated(selector: Selector) -> Units:
    """The samples that a selector keeps, with their weights."""
    from ratchet.learn.batch import Example

    def units(groups: Groups) -> list[Example]:
        kept = [selector.keep(group) for group in groups]
        return [
            Example(t.completion.prefix, t.completion.tokens, weight)
            for own in kept
            for t, weight in zip(own, selector.weigh(own), strict=True)
        ]

    return units


def compared(groups: Groups) -> list[Pair]:
    """Each sample with its neighbour, the better one first; pairs of one reward are left out."""
    from ratchet.learn.pairs import from_both_ends

    return [pair for group in groups for i in range(0, len(group), 2) for pair in from_both_ends(group[i : i + 2])]


def preferred(groups: Groups) -> list[Example]:
    return [pair.rows[0] for pair in compared(groups)]


def praised(row: PolicyGradient) -> Units:
    """All samples, with the row's advantages within their group."""
    import torch

    from ratchet.learn.batch import Example

    def units(groups: Groups) -> list[Example]:
        advantages = row.advantage(torch.tensor([[t.reward for t in group] for group in groups])).tolist()
        return [
            Example.of(t.completion, a)
            for group, own in zip(groups, advantages, strict=True)
            for t, a in zip(group, own, strict=True)
        ]

    return units


def methods() -> dict[str, Method]:
    from ratchet.learn.policy import imitation, ppo, rloo
    from ratchet.learn.preferences import dpo, ipo
    from ratchet.learn.selectors import Selector, raft, reward_weighted

    likely, by_ppo = imitation(), ppo()
    return {
        "all alike": Method(imitated(Selector(list)), likely),
        "preferred only": Method(preferred, likely),
        "best of 8": Method(imitated(raft()), likely),
        "reward-weighted": Method(imitated(reward_weighted(beta=0.2)), likely),
        "DPO": Method(compared, dpo()),
        "IPO": Method(compared, ipo()),
        "REINFORCE": Method(praised(rloo()), rloo(), own=True),
        "PPO": Method(praised(by_ppo), by_ppo, own=True),
        "on-policy DPO": Method(compared, dpo(), own=True),
        "on-policy best of 8": Method(imitated(raft()), likely, own=True),
        **{f"PPO, {n} epochs": Method(praised(by_ppo), by_ppo, own=True, epochs=n) for n in REUSE},
    }


def asked(case: str, name: str) -> bool:
    """Whether a method is tried in a case: of reuse and the placebo nothing is asked where the optimum is covered."""
    return case == "uncovered" or (not name.endswith("epochs") and name != "all alike")


# ---- learning ----------------------------------------------------------------------------------------------------


Pool = list[list[Completion]]


def pool(problem: Problem, steps: int, *path: Part) -> Pool:
    """For each step as many samples of the reference as the methods on the policy's own draw."""
    return [problem.draw(GROUPS * SAMPLES, *path, "reference", step) for step in range(steps)]


def learned(problem: Problem, method: Method, rate: float, given: Pool, looks: int, *path: Part) -> list[Result]:
    """The expected reward before, and at so many times until the end. The policy is the reference before and afterwards."""
    from ratchet.learn.preferences import Preference
    from ratchet.learn.train import Learner

    learner = Learner(problem.policy, lr=rate, warmup=5)
    if isinstance(method.objective, Preference):
        learner.freeze_reference()
    start = copy.deepcopy(problem.policy.model.state_dict())
    at = {round(len(given) * k / looks) for k in range(1, looks + 1)}
    curve, groups = [{"step": 0, "reward": problem.worth()}], Groups()
    for step, samples in enumerate(given):
        if method.own and step % method.epochs == 0:
            groups = grouped(problem, problem.draw(GROUPS * SAMPLES, *path, "own", step))
        elif not method.own:
            groups = grouped(problem, samples)
        units = method.units(groups)
        if units:
            learner.update(units, method.objective)
        if step + 1 in at:
            curve.append({"step": step + 1, "reward": problem.worth()})
    problem.policy.model.load_state_dict(start)
    return curve


def grouped(problem: Problem, samples: Sequence[Completion]) -> Groups:
    from ratchet.learn.tried import Tried

    tried = [Tried(c, problem.reward(c)) for c in samples]
    return [tried[i : i + SAMPLES] for i in range(0, len(tried), SAMPLES)]


# ---- two divergences ---------------------------------------------------------------------------------------------


def reverse(logq: Tensor, logp: Tensor) -> Tensor:
    """KL of the policy q from the target p: on-policy learning, in expectation."""
    return (logq.exp() * (logq - logp)).sum()


def forward(logq: Tensor, logp: Tensor) -> Tensor:
    """KL of the target p from the policy q: likelihood of samples of the target, in expectation."""
    return (logp.exp() * (logp - logq)).sum()


def steps_to_move(run_seed: int, divergence: Callable[[Tensor, Tensor], Tensor], rate: float, most: int = 300) -> int:
    """Exact steps down the divergence to the best policy under a KL penalty until half of the reference's mass lies elsewhere."""
    import torch

    reference, rewards = distances(run_seed, "uncovered")
    start, target = reference.log_softmax(0), (reference + rewards / 0.02).log_softmax(0)
    logits = reference.clone().requires_grad_()
    optimizer = torch.optim.AdamW([logits], lr=rate, betas=(0.9, 0.95), weight_decay=0.0)
    for step in range(most):
        logq = logits.log_softmax(0)
        if (logq.exp() - start.exp()).abs().sum() / 2 >= 0.5:
            return step
        optimizer.zero_grad()
        divergence(logq, target).backward()
        optimizer.step()
    return most


# ---- rates, and the run ------------------------------------------------------------------------------------------

# by `tuned` on seed 901: what most methods took, and the others
USUAL = {"uncovered": {"categorical": 0.3, "language": 0.01}, "covered": {"categorical": 1.0, "language": 0.01}}
OTHERS: dict[tuple[str, str], dict[str, float]] = {
    ("categorical", "uncovered"): {"DPO": 1.0, "IPO": 1.0, "on-policy best of 8": 0.1, "PPO, 16 epochs": 1.0},
    ("categorical", "covered"): {"REINFORCE": 0.3},
    ("language", "uncovered"): {"all alike": 0.003, "reward-weighted": 0.003},
    ("language", "covered"): {"DPO": 0.003},
}
MOVING = 1.0  # for either divergence, the fewest steps on seeds 901 and 902


def tuned(kind: str, case: str, run_seed: int) -> dict[str, list[float]]:
    """What each method ends with at each rate of the grid, on a seed that the study does not use."""
    problem = categorical(run_seed, case) if kind == "categorical" else language(run_seed, case, False)
    given = pool(problem, STEPS[kind], NAME, run_seed, case)
    return {
        name: [learned(problem, m, rate, given, 1, NAME, run_seed, case)[-1]["reward"] for rate in GRID[kind]]
        for name, m in methods().items()
        if asked(case, name)
    }


def run(run_seed: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare

    prepare(1)
    result: Result = {}
    for kind in STEPS:
        if kind == "language" and run_seed >= WITH_LANGUAGE:
            result[kind] = None
            continue
        result[kind] = {}
        for case in CASES:
            problem = categorical(run_seed, case) if kind == "categorical" else language(run_seed, case, quick)
            steps = (4 if kind == "language" else 8) if quick else STEPS[kind]
            result[kind][case] = curves = {}
            given = pool(problem, steps, NAME, run_seed, case)
            for name, method in methods().items():
                if asked(case, name):
                    rate = OTHERS[kind, case].get(name, USUAL[case][kind])
                    curves[name] = learned(problem, method, rate, given, LOOKS[kind], NAME, run_seed, case)
            ends = {name: curve[-1]["reward"] for name, curve in curves.items()}
            best = max(ends, key=lambda name: ends[name])
            say(f"{kind}, {case}: from {curves[best][0]['reward']:.0%}, at most {ends[best]:.0%} ({best})")
    result["moved"] = {d.__name__: steps_to_move(run_seed, d, MOVING) for d in (reverse, forward)}
    return result


# ---- what is claimed ---------------------------------------------------------------------------------------------

KINDS = {"categorical": "arms", "language": "tokens"}


def measured(
    kind: str, case: str, value: Callable[[dict[str, float]], float], effect: Callable[..., Effect] = over_seeds
) -> Effect:
    """An effect on `value(what each method ended with)`, over the seeds that have this problem."""
    ended = lambda r: value({name: curve[-1]["reward"] for name, curve in r[kind][case].items()})
    return lambda results: effect(ended)([r for r in results if r[kind]])


def smallest(value: Callable[[Result], float]) -> Effect:
    return extreme(min, value)


def lead(ends: dict[str, float]) -> float:
    """Of the worst on-policy method over the best that maximises likelihood of the reference's samples."""
    return min(ends[m] for m in ON_POLICY) - max(ends[m] for m in LIKELIHOOD)


def both(ends: dict[str, float]) -> float:
    return ends["on-policy DPO"] - max(ends["on-policy best of 8"], ends["DPO"])


def more(name: str, other: str) -> Callable[[dict[str, float]], float]:
    return lambda ends: ends[name] - ends[other]


def some_reuse(ends: dict[str, float]) -> float:
    return (ends["PPO, 2 epochs"] + ends["PPO, 4 epochs"]) / 2 - ends["PPO"]


def checks(
    what: str, case: str, value: Callable[[dict[str, float]], float], effect: Callable[..., Effect] = over_seeds, **bounds: float
) -> tuple[Check, ...]:
    """One for each problem."""
    return tuple(Check(f"{of}: {what}", measured(kind, case, value, effect), **bounds) for kind, of in KINDS.items())


def ratio(r: Result) -> float:
    return r["moved"]["forward"] / r["moved"]["reverse"]


def imagined(outcome: Outcome, run_seed: int) -> Result:
    k = run_seed % 5 - 2
    open_, lost = outcome is Outcome.UNRESOLVED, outcome is Outcome.FAILED
    off = (0.1 if open_ else 0.005) * k  # between seeds as much as what is asked, or little
    own = (0.9 if k == 2 else 0.32) if open_ else 0.15 if lost else 0.6 + off
    ends = dict.fromkeys(("all alike", *LIKELIHOOD), 0.1) | dict.fromkeys((*ON_POLICY, "PPO, 2 epochs"), own)
    ends["DPO"] = ends["IPO"] = 0.1 + off + (0.0 if open_ else -0.08 if lost else 0.05)
    ends["on-policy best of 8"] = own + off + (0.0 if open_ else 0.1 if lost else -0.1)
    ends["PPO, 4 epochs"] = own + 2 * off - 0.4 * lost
    ends["PPO, 16 epochs"] = own + off + (0.0 if open_ else 0.2 if lost else -0.1)
    covered = {**ends, "DPO": own + off - 0.2 * lost}
    forward = 20 + (10 if open_ else 1) * k + (0 if open_ else -9 if lost else 10)
    curves = lambda own: {name: [{"step": 0, "reward": 0.1}, {"step": 10, "reward": end}] for name, end in own.items()}
    problem = {"uncovered": curves(ends), "covered": curves(covered)}
    return {
        "categorical": problem,
        "language": problem if run_seed < WITH_LANGUAGE else None,
        "moved": {"reverse": 10, "forward": forward},
    }


DRAWN = ("best of 8", "reward-weighted", "DPO", "REINFORCE", "on-policy DPO", "on-policy best of 8")


def figures(results: Sequence[Result]) -> list[str]:
    def point(kind: str, case: str, name: str, i: int) -> Point:
        own = [r for r in results if r[kind]]
        return estimated(own[0][kind][case][name][i]["step"], over_seeds(lambda r: r[kind][case][name][i]["reward"])(own))

    def curve(kind: str, case: str, title: str) -> str:
        looks = range(len(results[0][kind][case]["DPO"]))
        series = [Series(name, [point(kind, case, name, i) for i in looks]) for name in DRAWN]
        return line_chart(title, series, whole("updates"), percent("expected reward", (0.0, 1.0)))

    return [
        curve(kind, case, f"{what}, the optimum {case} by the reference")
        for kind, what in (("categorical", "100 arms"), ("language", "Ten tokens"))
        for case in CASES
    ]


register(
    Study(
        name=NAME,
        title="On-policy samples and pushing bad ones down matter where the reference seldom does what is best",
        paper="Preference Fine-Tuning of LLMs Should Leverage Suboptimal, On-Policy Data, 2024, arXiv 2404.14367",
        claims=(
            Claim(
                "on-policy",
                "Where the best lies in a low-probability region of the reference, every on-policy method ends at least 0.2 of the "
                "reward's range above the best likelihood method on samples of the reference, in all seeds.",
                (
                    *checks("least lead of any seed", "uncovered", lead, smallest, least=0.2),
                    *checks("mean lead", "uncovered", lead, least=0.2),
                ),
            ),
            Claim(
                "negative gradient",
                "There, DPO on samples of the reference is not below imitation of the preferred ones.",
                checks("DPO minus preferred only", "uncovered", more("DPO", "preferred only"), least=0.0),
            ),
            Claim(
                "covered",
                "Where the reference often does what is best, DPO is within 0.05 of itself whoever drew the samples.",
                checks("on-policy DPO minus DPO", "covered", more("on-policy DPO", "DPO"), least=-0.05, most=0.05),
            ),
            Claim(
                "complementary",
                "Both together (on-policy DPO) are not below either alone: imitation of the best of one's own samples, or DPO on the "
                "reference's.",
                checks("both minus the better one alone, uncovered", "uncovered", both, least=0.0),
            ),
            Claim(
                "reuse",
                "Two and four steps of PPO on the same samples are not worse than one; sixteen are.",
                (
                    *checks("mean of 2 and 4 epochs minus 1", "uncovered", some_reuse, least=-0.05),
                    *checks("16 epochs minus 1", "uncovered", more("PPO, 16 epochs", "PPO"), most=0.0),
                ),
            ),
            Claim(
                "mode-seeking",
                "Down the reverse KL divergence half of the mass has moved in at most half of the steps that the forward one takes.",
                (Check("steps of the forward divergence over those of the reverse", over_seeds(ratio), 2.0),),
            ),
        ),
        arms={
            "all alike": "placebo: imitation of the reference's samples, whatever their reward",
            "preferred only, best of 8, reward-weighted": "likelihood of the reference's samples: better of 2, best of 8, all by exp(reward / 0.2)",
            "DPO, IPO": "the better of two above the worse, samples of the reference: negative gradient alone",
            "on-policy best of 8": "imitation of the best of 8 of the policy's own samples: on-policy alone",
            "REINFORCE, PPO, on-policy DPO": "the policy's own samples, bad ones pushed down: both",
            "PPO, 2, 4, 16 epochs": "as many steps, each batch of samples used so often: cost-matched in steps, with fewer samples",
        },
        tasks="one choice among 100 arms (10 seeds), and ten tokens of a transformer of 0.02 million weights (5 seeds), each with a reward "
        "whose optimum the reference covers, and one whose optimum it does not",
        seeds=10,
        metric="expected reward in the end, in [0, 1]: exact for the arms, of 256 samples for the tokens; steps until half of the "
        "reference's mass lies elsewhere, by exact gradients",
        budget="about one and a half minutes of one thread for a seed with both problems, half a minute for one with arms alone",
        departures="150 and 48 updates of 32 samples, where the map's pilot had 300; the table's two rewards were shaped on seed 901 so "
        "that REINFORCE ends near that pilot's 0.5. Methods on the reference's samples see fresh ones in every update, as many as "
        "the others draw of themselves. The lead is asked of REINFORCE, PPO and on-policy DPO each. 'Not worse' in reuse allows "
        "0.05. Half of the mass has moved where the total variation from the reference is one half, on the way to the best "
        "policy under a KL penalty of 0.02; the rates there are those with the fewest steps. One seed chose each other rate.",
        scale="Tables do not generalise from arm to arm, which the transformer does; neither says what a pretrained model would do. "
        "Rewards are exact: no reward model is learned, so nothing can be over-optimised.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
