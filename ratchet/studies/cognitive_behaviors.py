"""Cognitive Behaviors that Enable Self-Improving Reasoners: what must a weak model know before reinforcement helps it?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.seeds import rng
from ratchet.core.types import Task
from ratchet.measure.behaviours import Rules, agreement, count_behaviours
from ratchet.report.chart import Axis, Series, estimated, line_chart, number, percent, whole
from ratchet.studies.small_countdown import Write, new_model, problems, recipe, taught
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register
from ratchet.tasks.countdown_traces import MARKS, direct, filled, trace

if TYPE_CHECKING:
    from ratchet.models.engine import Policy
    from ratchet.models.scheduler import Verify

ALL = frozenset(MARKS)
TOKENS = 1_200_000  # trained on by every arm in priming


def mixture(share: float) -> Write:
    """Traces with all behaviours in so many of the texts; the others are filler of the same length. All are right."""

    def write(random_: Random, task: Task) -> str:
        text = trace(random_, task, ALL)
        return text if random_.random() < share else filled(text)

    return write


PRIMED: dict[str, Write] = {
    "behaviours": lambda r, t: trace(r, t, ALL),
    "behaviours, wrong answers": lambda r, t: trace(r, t, ALL, right=False),
    "filler": lambda r, t: filled(trace(r, t, ALL)),
    "direct": lambda r, t: direct(trace(r, t, ALL)),
    "backtracking alone": lambda r, t: trace(r, t, frozenset({"backtracking"})),
}
MIXED: dict[str, Write] = {f"{share:.0%} behaviours": mixture(share) for share in (0.01, 0.1, 0.5)}
ARMS = PRIMED | MIXED
EXPRESSION = r"\d+ [-+*/] \d+ = \d+"
RULES = Rules(
    {
        "verification": re.compile(rf"try {EXPRESSION} check (?:yes|no)\b"),
        "backtracking": re.compile(rf"try {EXPRESSION}(?: check no)? back (?=from|need|try)"),
        "subgoal setting": re.compile(r"\bneed \d+"),
        "backward chaining": re.compile(rf"\bfrom {EXPRESSION}"),
    },
    None,
)


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare
    from ratchet.verify.pool import VerifierPool

    prepare(1)
    result: Result = {"f1": counter_agreement(seed), "arms": {}}
    with VerifierPool() as verify:
        for arm in ARMS:
            policy = new_model(seed)  # the same for every arm
            updates = taught(policy, ARMS[arm], 2_000 if quick else TOKENS, "cognitive-behaviors", seed, "prime")
            curve = reinforced(seed, policy, verify, quick)
            result["arms"][arm] = {"priming updates": updates, "curve": curve}
            say(f"{arm}: {curve[0]['right']:.1%} -> {curve[-1]['right']:.1%}")
    return result


def counter_agreement(seed: int) -> float:
    """The least F1 of the counter over the behaviours, on 200 traces whose habits the generator knows."""
    tasks = problems("train", 200, "cognitive-behaviors", seed, "labels")
    habits = [frozenset(h for h in MARKS if rng("cognitive-behaviors", seed, "label", t.key, h).random() < 0.5) for t in tasks]
    texts = [trace(rng("cognitive-behaviors", seed, "text", t.key), t, h) for t, h in zip(tasks, habits, strict=True)]
    counts = [count_behaviours(text, RULES) for text in texts]

    def f1(habit: str) -> float:
        # an only attempt has nothing to go back from
        labels = [
            habit in mine and (habit != "backtracking" or text.split().count("try") > 1)
            for mine, text in zip(habits, texts, strict=True)
        ]
        found = agreement([c[habit] > 0 for c in counts], labels).f1
        return 0.0 if found is None else found.value

    return min(map(f1, MARKS))


def reinforced(seed: int, policy: Policy, verify: Verify, quick: bool) -> list[Result]:
    """The same reinforcement for every arm, with a look at held-out tasks every 30 updates."""
    from ratchet.loop.lab import reinforce, sampled

    turns, updates, tasks = (1, 1, 10) if quick else (5, 30, 500)
    held = problems("heldout", tasks, "cognitive-behaviors", "heldout")
    curve: list[Result] = []

    def look(taken: int) -> None:
        traces = sampled(policy, held, 2, verify, "cognitive-behaviors", seed, "look", taken)
        counts = [count_behaviours(c.text, RULES) for t in traces for c in t.completions]
        curve.append(
            {
                "updates": taken,
                "right": sum(v.passed for t in traces for v in t.verdicts) / len(counts),
                "tokens": sum(len(c.tokens) for t in traces for c in t.completions) / len(counts),
                "behaviours": {h: sum(c[h] for c in counts) / len(counts) for h in MARKS},
            }
        )

    reinforce(policy, recipe("cognitive-behaviors", seed, turns, updates), verify, look)
    return curve


# ---- what is claimed ---------------------------------------------------------------------------------------------


def final(r: Result, arm: str) -> float:
    return r["arms"][arm]["curve"][-1]["right"]


def gain(r: Result, arm: str) -> float:
    return final(r, arm) - r["arms"][arm]["curve"][0]["right"]


def ahead(a: str, b: str) -> Effect:
    return over_seeds(lambda r: final(r, a) - final(r, b))


def kept(arm: str) -> Callable[[Result], float]:
    """Behaviours of all four kinds per text after reinforcement, as a share of those before."""

    def value(r: Result) -> float:
        first, last = (sum(r["arms"][arm]["curve"][i]["behaviours"].values()) for i in (0, -1))
        return last / first if first else 0.0

    return value


def imagined(outcome: Outcome, seed: int) -> Result:
    off = 0.002 * (seed - 2) * (15 if outcome is Outcome.UNRESOLVED else 1)
    names = ("behaviours", "behaviours, wrong answers", *MIXED)
    rights = {
        Outcome.HELD: (0.7, 0.69, 0.25, 0.4, 0.6),
        Outcome.FAILED: (0.25, 0.1, 0.6, 0.4, 0.3),
        Outcome.UNRESOLVED: (0.31, 0.28, 0.4, 0.41, 0.42),
    }
    ends = dict(zip(names, rights[outcome], strict=True))
    after = {Outcome.HELD: 1.2, Outcome.FAILED: 0.3, Outcome.UNRESOLVED: 0.9}[outcome] + off

    def arm(name: str, place: int) -> Result:
        end = ends.get(name, 0.2) + off * place / 2
        looks = ((0, 0.1, 1.0), (100, end, after))
        curve = [{"updates": u, "right": right, "tokens": 40.0, "behaviours": dict.fromkeys(MARKS, h)} for u, right, h in looks]
        return {"priming updates": 100, "curve": curve}

    f1 = {Outcome.HELD: 1.0, Outcome.FAILED: 0.8, Outcome.UNRESOLVED: 1.0}[outcome]
    return {"f1": f1, "arms": {name: arm(name, place) for place, name in enumerate(ARMS)}}


def figures(results: Sequence[Result]) -> list[str]:
    def series(arm: str, value: Callable[[Result], float]) -> Series:
        at = lambda i: over_seeds(lambda r: value(r["arms"][arm]["curve"][i]))(results)
        looks = results[0]["arms"][arm]["curve"]
        return Series(arm, [estimated(look["updates"], at(i)) for i, look in enumerate(looks)])

    def arms(title: str, names: Sequence[str], value: Callable[[Result], float], y: Axis) -> str:
        return line_chart(title, [series(arm, value) for arm in names], whole("updates"), y)

    def habits(arm: str) -> str:
        drawn = [Series(h, series(arm, lambda look, h=h: look["behaviours"][h]).points) for h in MARKS]
        return line_chart(f"Behaviours per text: {arm}", drawn, whole("updates"), number("per text", (0.0, 2.0)))

    right = percent("right", (0.0, 0.5))
    return [
        arms("Right answers on held-out tasks", list(PRIMED), lambda look: look["right"], right),
        arms("The same, primed on mixtures", list(MIXED), lambda look: look["right"], right),
        *map(habits, ARMS),
        arms("Length", list(ARMS), lambda look: look["tokens"], number("tokens", (0.0, 64.0))),
    ]


register(
    Study(
        name="cognitive-behaviors",
        title="Behaviours in the priming, not right answers in it, decide what reinforcement can reach",
        paper="Gandhi et al. 2025, Cognitive Behaviors that Enable Self-Improving Reasoners, arXiv 2503.01307",
        claims=(
            Claim(
                "behaviours",
                "Priming with behaviours ends at least 10 points above filler of the same length.",
                (
                    Check("final held-out accuracy: behaviours minus filler", ahead("behaviours", "filler"), 0.10),
                    Check(
                        "the least such difference of a seed",
                        extreme(min, lambda r: final(r, "behaviours") - final(r, "filler")),
                        0.0,
                    ),
                ),
            ),
            Claim(
                "wrong-answers",
                "Behaviours that end in wrong answers do as well, within 5 points, and at least 7 better than filler.",
                (
                    Check(
                        "final held-out accuracy: wrong answers minus right ones",
                        ahead("behaviours, wrong answers", "behaviours"),
                        -0.05,
                        0.05,
                    ),
                    Check(
                        "final held-out accuracy: wrong answers minus filler", ahead("behaviours, wrong answers", "filler"), 0.07
                    ),
                    Check(
                        "the least such difference of a seed",
                        extreme(min, lambda r: final(r, "behaviours, wrong answers") - final(r, "filler")),
                        0.0,
                    ),
                ),
            ),
            Claim(
                "persistence",
                "What was primed rises or persists under reinforcement, as counted by rules that agree with known labels.",
                (
                    Check("least F1 of the counter on 200 labelled traces", extreme(min, lambda r: r["f1"]), 0.95),
                    Check("behaviours per text after, as a share of before", over_seeds(kept("behaviours")), 0.9),
                    Check("the same with wrong answers", over_seeds(kept("behaviours, wrong answers")), 0.9),
                ),
            ),
            Claim(
                "amplification",
                "The more behaviour in a mixed priming text, 1, 10 or 50 %, the more reinforcement gains.",
                (
                    Check(
                        "gain: 10 % minus 1 %", over_seeds(lambda r: gain(r, "10% behaviours") - gain(r, "1% behaviours")), 0.0
                    ),
                    Check(
                        "gain: 50 % minus 10 %", over_seeds(lambda r: gain(r, "50% behaviours") - gain(r, "10% behaviours")), 0.0
                    ),
                ),
            ),
        ),
        arms={
            "behaviours": "traces with verification, backtracking, subgoals and backward chaining, that end in a right answer",
            "behaviours, wrong answers": "the same kind of traces, of misses only, that end in the last one's wrong answer",
            "filler": "placebo of equal length: the same right answers after as many words that mean nothing",
            "direct": "control of equal tokens: the right answers alone, so about five times as many of them",
            "backtracking alone": "attempts that are given up with `back`, without check, subgoal or work from the target",
            "1%, 10%, 50% behaviours": "mixtures: so many of the texts with all behaviours, the others filler of the same length",
        },
        tasks="Countdown with three numbers up to 20; 500 held-out tasks with 2 samples each, apart from training by content",
        metric="share of right samples on held-out tasks after priming with 1.2 million tokens and 150 updates of 256 samples",
        budget="about 15 minutes of one thread a seed; 40 minutes for 5 seeds on two cores",
        departures="The mixtures are of priming texts, not of a pretraining corpus: the model has no other training. "
        'Traces with wrong answers hold misses only, since a false "check yes" would teach wrong checking. The plan asks that '
        "behaviours rise or persist: taken as at least nine tenths of what they were.",
        scale="A model of 0.35 million parameters that knows nothing but this language. Whether large models differ for the same reason, "
        "as the paper says of Qwen and Llama, is not tested; nor is a judge in the place of the rules.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
