"""MATH-Beyond: of problems chosen so that the base solves none, how many does a trained model reach?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ratchet.core.types import Estimate, Task
from ratchet.measure.intervals import wilson
from ratchet.report.chart import Axis, Series, estimated, line_chart, percent
from ratchet.studies.four_numbers import KNOWN, problems, recipe, taught
from ratchet.studies.small_countdown import new_model
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register
from ratchet.tasks.countdown import gold

if TYPE_CHECKING:
    from ratchet.models.engine import Policy
    from ratchet.models.scheduler import Verify

NUMBERS = (4,)
POOL, FIRST, SECOND = 1_000, 64, 512
TOKENS = 600_000  # of priming: a weaker base leaves more problems unsolved
DISTILLED = 3_000_000  # about what reinforcement samples and learns from
RATE = 1e-3  # of distillation
MODELS = ("base, fresh seeds", "reinforced", "distilled")
PARTS = ("expansion", "shrinkage", "preservation", "out of reach")


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.loop.lab import reinforce
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare
    from ratchet.verify.pool import VerifierPool

    prepare(1)
    many, first, second, tokens, distilled, turns, updates = (
        (30, 4, 8, 10_000, 10_000, 1, 2) if quick else (POOL, FIRST, SECOND, TOKENS, DISTILLED, 5, 30)
    )
    pool = problems(NUMBERS, "heldout", many, "math-beyond", seed)
    policy = new_model(seed)
    known = problems(NUMBERS, "train", KNOWN, "math-beyond", seed, "known")
    taught(policy, known, 3, tokens, "math-beyond", seed, "prime")
    base = snapshot(policy)
    with VerifierPool() as verify:
        wrong = sum(not v.passed for v in verify([(t, gold(t)) for t in pool]))
        say(f"{many} problems, {first} samples each; {wrong} references fail their verifier")
        before = rights(policy, pool, first, verify, seed, "first")
        left = [t for t, right in zip(pool, before, strict=True) if not right]
        say(f"{len(left)} unsolved get {second} samples more")
        chosen = [t for t, right in zip(left, rights(policy, left, second, verify, seed, "second"), strict=True) if not right]
        reached = {"base, fresh seeds": rights(policy, chosen, second, verify, seed, "fresh")}
        say(f"{len(chosen)} are beyond the base; reinforcement")
        reinforce(policy, recipe("math-beyond", seed, NUMBERS, turns, updates), verify)
        reached["reinforced"] = rights(policy, chosen, second, verify, seed, "reinforced")
        after = rights(policy, pool, first, verify, seed, "after")
        say("distillation of solver traces")
        restore(policy, base)
        taught(policy, known, 1, distilled, "math-beyond", seed, "distil", rate=RATE)
        reached["distilled"] = rights(policy, chosen, second, verify, seed, "distilled")
        return {
            "wrong references": wrong,
            "pool": many,
            "beyond": len(chosen),
            "samples": second,
            "reached": {name: sum(r > 0 for r in found) for name, found in reached.items()},
            "pass@1": [sum(x) / many / first for x in (before, after)],
            "parts": parted(before, after),
        }


def rights(policy: Policy, tasks: Sequence[Task], samples: int, verify: Verify, seed: int, name: str) -> list[int]:
    """How many samples of each task are right."""
    from ratchet.loop.lab import sampled, solved

    found = solved(sampled(policy, tasks, samples, verify, "math-beyond", seed, name)) if tasks else {}
    return [found[t.key][1] for t in tasks]


def parted(before: Sequence[int], after: Sequence[int]) -> dict[str, int]:
    """The pool by what each model solved at all."""
    both = [(a > 0, b > 0) for a, b in zip(before, after, strict=True)]
    cases = ((False, True), (True, False), (True, True), (False, False))
    return {part: both.count(case) for part, case in zip(PARTS, cases, strict=True)}


# ---- what is claimed ---------------------------------------------------------------------------------------------


def share(name: str) -> Effect:
    """Of the problems beyond the base, those that a model reached; over the problems of all seeds."""

    def effect(results: Sequence[Result]) -> Estimate:
        n = sum(r["beyond"] for r in results)
        return (
            wilson(sum(r["reached"][name] for r in results), n, unit="problems") if n else Estimate(0.0, 0.0, 1.0, 0, "problems")
        )

    return effect


def rate(r: Result, name: str) -> float:
    return r["reached"][name] / r["beyond"] if r["beyond"] else 0.0


def imagined(outcome: Outcome, seed: int) -> Result:
    beyond = {Outcome.HELD: 400, Outcome.FAILED: 400, Outcome.UNRESOLVED: 20}[outcome]
    fresh, reinforced, distilled = {
        Outcome.HELD: (2, 20, 200 + seed),
        Outcome.FAILED: (100, 200, 100 + seed),
        Outcome.UNRESOLVED: (0, 2, (2, 9, 4)[seed % 3]),
    }[outcome]
    return {
        "wrong references": int(outcome is Outcome.FAILED),
        "pool": POOL,
        "beyond": beyond,
        "samples": 512,
        "reached": dict(zip(MODELS, (fresh, reinforced, distilled), strict=True)),
        "pass@1": [0.25, 0.4],
        "parts": dict(zip(PARTS, (50, 100, 430, 220), strict=True)),
    }


def figures(results: Sequence[Result]) -> list[str]:
    def bars(names: Sequence[str], value: Callable[[Result, str], float], title: str, label: str) -> str:
        points = [estimated(i, over_seeds(lambda r, name=name: value(r, name))(results)) for i, name in enumerate(names)]
        return line_chart(title, [Series(title, points)], Axis(label, str, str, names=dict(enumerate(names))), percent("share"))

    return [
        bars(MODELS, rate, "Reached of the problems beyond the base", "model"),
        bars(PARTS, lambda r, part: r["parts"][part] / r["pool"], "The whole pool, before and after reinforcement", "part"),
    ]


register(
    Study(
        name="math-beyond",
        title="Of problems beyond the base, reinforcement reaches few and distillation more",
        paper="MATH-Beyond: A Benchmark for RL to Expand Beyond the Base Model, 2025 (B84 of the map)",
        claims=(
            Claim(
                "builder",
                "Problems chosen in two stages stay beyond the base when it is sampled anew, and their references are right.",
                (
                    Check("reached by the base with fresh seeds", share("base, fresh seeds"), most=0.03),
                    Check("references that fail, the most of a seed", extreme(max, lambda r: r["wrong references"]), most=0.0),
                ),
            ),
            Claim(
                "leash",
                "Reinforcement reaches at most 15 % of them, and distillation of solver traces at least twice as many.",
                (
                    Check("reached after reinforcement", share("reinforced"), most=0.15),
                    Check(
                        "distilled, less twice the reinforced share",
                        over_seeds(lambda r: rate(r, "distilled") - 2 * rate(r, "reinforced")),
                        0.0,
                    ),
                ),
            ),
        ),
        arms={
            "base": "a model of 0.35 million parameters primed on search traces",
            "base, fresh seeds": "placebo: the base itself, sampled anew on the chosen problems",
            "reinforced": "150 updates of 512 samples from verified answers alone",
            "distilled": "control of about equal tokens: imitation of solver traces of training problems",
        },
        tasks="a pool of 1,000 held-out problems of Countdown with four numbers, others in every seed; those that 64 and then 512 "
        "samples of the base all miss are beyond it",
        metric="share of the problems beyond the base with a right one among 512 samples",
        budget="about 15 minutes of one thread a seed; 30 minutes for 3 seeds on two cores",
        departures="Reinforcement has the settings of the recipe `countdown`, with credit by attempts, not plain GRPO. "
        "The pool has 1,000 problems where the map has 1,500, for time. "
        "The four parts of the pool are expansion, shrinkage, preservation and out of reach: the map's fourth, consolidation, is not "
        "in the abstract. That they add up to the pool, and that the pass@k estimator is the average over all choices, is tested "
        "in tests/test_studies_on_countdown.py and not a claim. k is 512, as the map's plan allows; the references are checked "
        "by the solver's own answers.",
        scale="A small model on one family of puzzles; what long training on real mathematics reaches is not tested.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
