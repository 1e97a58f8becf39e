"""Cooper: a reward model that is trained on beside the policy, by pairs that a precise rule vouches for, is hacked less."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.seeds import rng
from ratchet.core.types import Estimate, Task
from ratchet.report.chart import Series, estimated, line_chart, percent, whole
from ratchet.studies.free_answers import (
    FORMS,
    Labelled,
    Pairs,
    Reward,
    accepted,
    any_way,
    by_rule,
    draw,
    late,
    natural,
    new_critic,
    new_model,
    read,
    reinforced,
    same_by_regex,
    sure,
    taught_to_answer,
    taught_to_verify,
    tokenizer_of,
)
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register

if TYPE_CHECKING:
    from torch import Tensor

    from ratchet.learn.batch import Batch
    from ratchet.models.critic import Critic

NAME = "cooper"
PRIMING, FITTING, UPDATES = 250, 90, 150
RATE, BETA = 5e-4, 0.001
REWARD_RATE = 5e-4
LIMIT = 16  # tokens of a completion; the longest of those imitated has 9
LENGTHS = ("bare", "short")
ARMS = ("rule", "static", "cooper")
RULE = by_rule(same_by_regex)


def response(random: Random) -> Labelled:
    """A response of any form, right or wrong. The label is the rule's where it accepts; where it does not, that of a judge
    who reads other forms too, for whom the oracle stands."""
    task, label = draw(random), random.random() < 0.5
    return task, natural(random, task, label, any_way(random, LENGTHS)), label


def answered(random: Random, task: Task) -> str:
    return natural(random, task, True, any_way(random, LENGTHS))


# ---- the reward model's own update -------------------------------------------------------------------------------


def spoiled(random: Random, task: Task, text: str) -> str:
    """A response that the rule accepted, its answer made another number in the same form."""
    head, _, answer = text.rpartition("answer ")
    value = Fraction(task.answer)
    form = next((write for write in FORMS.values() if write(value) == answer), str)
    by = Fraction(random.randint(1, 6), task.facts["over"])
    return f"{head}answer {form(value - by if value > by and random.random() < 0.5 else value + by)}"


def pairs_of(random: Random, drawn: Pairs) -> list[tuple[Task, str, str]]:
    """For each task one response that the rule accepted, if there is one, and the same spoiled."""
    good: dict[str, list[tuple[Task, str]]] = {}
    for (task, text), passed in zip(drawn, RULE(drawn), strict=True):
        if passed:
            good.setdefault(task.key, []).append((task, text))
    chosen = [random.choice(own) for own in good.values()]
    return [(task, text, spoiled(random, task, text)) for task, text in chosen]


def uphill(batch: Batch, logits: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Along the gradient of the contrastive loss -log s(r+ - r-): each logit weighs 1 - s(r+ - r-), its pair's share."""
    from ratchet.learn.parts import token_mean

    return -token_mean(batch, batch.advantage * logits), {}


class Contrast:
    """The second step of each update: the reward model learns to tell a right response from the same one spoiled."""

    def __init__(self, critic: Critic, seed: int) -> None:
        from ratchet.learn.train import Learner
        from ratchet.models.critic import token_values

        self.critic, self.seed = critic, seed
        self.learner = Learner(critic, lr=REWARD_RATE, warmup=5, read=token_values)

    def __call__(self, drawn: Pairs) -> None:
        from ratchet.learn.batch import Example

        pairs = pairs_of(rng(NAME, self.seed, "pairs", self.learner.taken), drawn)
        if not pairs:
            return
        odds = [math.log(p / (1 - p)) for p in map(kept, sure(self.critic, [x for t, a, b in pairs for x in ((t, a), (t, b))]))]
        examples: list[Example] = []
        for (task, right, wrong), better, worse in zip(pairs, odds[::2], odds[1::2], strict=True):
            weight = 1 / (1 + math.exp(better - worse))
            for text, sign in ((right, 1.0), (wrong, -1.0)):
                ids = read(self.critic, task, text)
                examples.append(Example(ids[:-1], ids[-1:], sign * weight))
        self.learner.update(examples, uphill)


def kept(p: float) -> float:
    """Inside of 0 and 1, so that its odds are finite."""
    return min(max(p, 1e-9), 1 - 1e-9)


# ---- the run -----------------------------------------------------------------------------------------------------


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare

    prepare(1)
    priming, fitting, updates, many = (4, 4, 2, 10) if quick else (PRIMING, FITTING, UPDATES, 500)
    tokenizer = tokenizer_of()
    critic = new_critic(seed, "small verifier", tokenizer)
    taught_to_verify(critic, response, fitting, NAME, seed, "reward model")
    test = [response(rng(NAME, seed, "test", i)) for i in range(many)]
    verdicts = accepted(critic, [(t, text) for t, text, _ in test])
    known = sum(bool(v) == label for v, (_, _, label) in zip(verdicts, test, strict=True)) / many
    say(f"the reward model is right on {known:.0%} of responses")
    policy = new_model(seed, "policy", tokenizer)
    policy.max_tokens = LIMIT
    taught_to_answer(policy, answered, priming, NAME, seed, "prime")
    start = snapshot(policy)
    curves: Result = {}
    # Cooper comes last: it changes the reward model
    for arm, (reward, after) in arms(critic, seed).items():
        restore(policy, start)
        curve = reinforced(policy, reward, updates, NAME, seed, arm, rate=RATE, beta=BETA, after=after)
        curves[arm] = curve
        say(f"{arm}: reward {late(curve, 'reward'):.1%}, right {late(curve, 'right'):.1%}")
    return {"reward model": known, "curves": curves}


def arms(critic: Critic, seed: int) -> dict[str, tuple[Reward, Callable[[Pairs], None] | None]]:
    learned: Reward = lambda pairs: sure(critic, pairs)
    return {"rule": (RULE, None), "static": (learned, None), "cooper": (learned, Contrast(critic, seed))}


# ---- what is claimed ---------------------------------------------------------------------------------------------


def fall(r: Result) -> float:
    """Of the static arm: from the peak of what the oracle calls right to the end."""
    curve = r["curves"]["static"]
    return max(p["right"] for p in curve) - late(curve, "right")


def hacked(r: Result) -> bool:
    return late(r["curves"]["static"], "reward") >= 0.9 and fall(r) >= 0.10


def share_hacked(results: Sequence[Result]) -> float:
    return sum(map(hacked, results)) / len(results)


MOST_SEEDS = 2 / 3 - 1e-9


def where_hacked(effect: Effect) -> Effect:
    """The effect; where the static reward model was not hacked in two thirds of the seeds nothing follows from it."""

    def bounded(results: Sequence[Result]) -> Estimate:
        e = effect(results)
        return e if share_hacked(results) >= MOST_SEEDS else Estimate(e.value, -math.inf, math.inf, e.n, e.unit)

    return bounded


def seeds_hacked(results: Sequence[Result]) -> Estimate:
    share = share_hacked(results)
    return Estimate(share, share, share, len(results), "seeds")


def ahead(what: str, other: str) -> Effect:
    return where_hacked(over_seeds(lambda r: late(r["curves"]["cooper"], what) - late(r["curves"][other], what)))


def imagined(outcome: Outcome, seed: int) -> Result:
    off = 0.01 * (seed - 1)
    ends = {  # reward and right of each arm
        Outcome.HELD: {"rule": (0.5, 0.5), "static": (0.97, 0.2), "cooper": (0.7, 0.65 + off)},
        Outcome.FAILED: {"rule": (0.6, 0.6), "static": (0.97, 0.2), "cooper": (0.9, 0.15 + off)},
        Outcome.UNRESOLVED: {"rule": (0.5, 0.5), "static": (0.7, 0.6), "cooper": (0.7, 0.6 + off)},
    }[outcome]
    look = lambda u, reward, right: {
        "updates": u,
        "reward": reward,
        "right": right,
        "agreed": 1 - abs(reward - right),
        "tokens": 6.0,
    }
    curves = {arm: [look(0, 0.5, 0.4), look(10, *end), look(20, *end)] for arm, end in ends.items()}
    if outcome is Outcome.FAILED:
        for p in curves["cooper"]:
            p["agreed"] = 0.1 + off
    return {"reward model": 0.9, "curves": curves}


def figures(results: Sequence[Result]) -> list[str]:
    def curve(what: str, title: str) -> str:
        looks = results[0]["curves"]["static"]
        at = lambda arm, i: over_seeds(lambda r: r["curves"][arm][i][what])(results)
        drawn = [Series(arm, [estimated(look["updates"], at(arm, i)) for i, look in enumerate(looks)]) for arm in ARMS]
        return line_chart(title, drawn, whole("updates"), percent("samples", (0.0, 1.0)))

    return [
        curve("reward", "Mean reward"),
        curve("right", "Right by the oracle"),
        curve("agreed", "Samples on which reward and oracle agree"),
    ]


register(
    Study(
        name=NAME,
        title="A reward model that learns beside the policy is hacked less than a static one",
        paper="Cooper: Co-Optimizing Policy and Reward Models in Reinforcement Learning for Large Language Models, 2025, arXiv 2508.05613",
        claims=(
            Claim(
                "co-optimising",
                "Where a static reward model is hacked, Cooper ends at least 10 points above it by the oracle, not below a rule alone, "
                "and judges its policy's late samples better. Where it is not hacked, nothing follows.",
                (
                    Check(
                        "seeds in which the static reward model is hacked (reward at least 0.9, oracle 10 points below its peak)",
                        where_hacked(seeds_hacked),
                        MOST_SEEDS,
                    ),
                    Check("right in the end: Cooper minus static", ahead("right", "static"), 0.10),
                    Check("right in the end: Cooper minus rule alone", ahead("right", "rule"), 0.0),
                    Check("reward model right on late samples: Cooper minus static", ahead("agreed", "static"), 0.0),
                ),
            ),
        ),
        arms={
            "rule": "control: the answer must be the reference once LaTeX and blanks are normalised, so that other forms earn nothing",
            "static": "the probability that a reward model of 0.1 million weights gives, fitted once to responses",
            "cooper": "the same reward model, and after each update a step of its own on pairs of a response that the rule accepted and "
            "the same one spoiled",
        },
        tasks="sums over a small number, such as (3+4)/5, with bare or worked answers as fractions, LaTeX, decimals, per cent or "
        "twentieths",
        metric="mean reward, share right by an oracle of exact rationals, share of samples on which both agree; over the last 20 of "
        "150 updates of GRPO",
        budget="about 3 minutes of one thread a seed",
        departures="The reward model reads the reference and the completion, not the question; tokens of one number begin with embeddings near "
        "each other, as pretraining would leave them. The oracle stands for the judge of the hybrid labels, and negatives are made by "
        "changing the answer's number in its own form, not by a language model. KL with weight 0.001 in the loss. Peak and end of a "
        "curve are means over 10 and 20 updates of training problems. No benchmark of verifiers.",
        scale="102 problems and 27 values, 64 samples an update. The accuracies are of problems that training draws from, since what is "
        "asked is whether the reward is earned, not what carries over.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
