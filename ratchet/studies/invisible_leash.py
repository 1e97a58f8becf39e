"""The Invisible Leash: does reinforcement reach what the model before it could not, or lose more than it wins?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ratchet.core.types import Task
from ratchet.measure.entropy import mean_answer_entropy
from ratchet.measure.estimate import pass_at_k, powers_of_two
from ratchet.measure.support import support
from ratchet.report.chart import Axis, Point, Series, estimated, line_chart, percent
from ratchet.studies.four_numbers import KNOWN, problems, recipe, taught
from ratchet.studies.small_countdown import new_model
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register

if TYPE_CHECKING:
    from ratchet.models.engine import Policy
    from ratchet.models.scheduler import Verify

PROBLEMS, SAMPLES = 100, 1024
NUMBERS, PRIMED = (3, 3, 3, 4), (3,)  # of the problems, and of those that the model before has seen
TOKENS = 700_000
SOLVER_TOKENS = 150_000  # of the control: solver traces of what the model before did not solve
ANY = 1e-9  # "more than": an effect of exactly nothing is none

Counts = list[list[int]]


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.loop.lab import reinforce
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare
    from ratchet.verify.pool import VerifierPool

    prepare(1)
    many, samples, tokens, solver, turns, updates = (
        (12, 16, 20_000, 10_000, 1, 2) if quick else (PROBLEMS, SAMPLES, TOKENS, SOLVER_TOKENS, 5, 30)
    )
    tasks = problems(NUMBERS, "heldout", many, "invisible-leash", seed)
    policy = new_model(seed)
    known = problems(PRIMED, "train", KNOWN, "invisible-leash", seed, "known")
    taught(policy, known, 3, tokens, "invisible-leash", seed, "prime")
    base = snapshot(policy)
    draws: dict[str, Any] = {}
    with VerifierPool() as verify:
        for name in ("before", "again"):
            say(f"the model before, {samples} samples of {many} problems" + ", once more" * (name == "again"))
            draws[name] = drawn(policy, tasks, samples, verify, seed, name)
        say("reinforcement")
        reinforce(policy, recipe("invisible-leash", seed, NUMBERS, turns, updates), verify)
        draws["after"] = drawn(policy, tasks, samples, verify, seed, "after")
        # what no sample of either draw solved; where there is none, the problem that was solved least
        rights = [a[1] + b[1] for a, b in zip(draws["before"]["counts"], draws["again"]["counts"], strict=True)]
        unsolved = [t for t, right in zip(tasks, rights, strict=True) if right == min(rights)]
        say(f"the control learns solver traces of {len(unsolved)} problems")
        restore(policy, base)
        taught(policy, unsolved, 1, solver, "invisible-leash", seed, "solver", rate=5e-4, muon=0.0)
        draws["taught"] = drawn(policy, tasks, samples, verify, seed, "taught")
    return {"k": samples, "never solved before": sum(r == 0 for r in rights), "draws": draws}


def drawn(policy: Policy, tasks: Sequence[Task], samples: int, verify: Verify, seed: int, name: str) -> Result:
    """Samples and right ones of each problem, mean entropy of its answers, and the mean of a token's."""
    from ratchet.loop.lab import sampled

    traces = sampled(policy, tasks, samples, verify, "invisible-leash", seed, name)
    answers: dict[str, list[str | None]] = {}
    counts: dict[str, list[int]] = {}
    for t in traces:
        for c, v in zip(t.completions, t.verdicts, strict=True):
            answers.setdefault(t.task.key, []).append(v.answer)
            count = counts.setdefault(t.task.key, [0, 0])
            count[0] += 1
            count[1] += v.passed
    logprobs = [p for t in traces for c in t.completions for p in c.logprobs]
    return {
        "counts": list(counts.values()),
        "answer entropy": mean_answer_entropy(list(answers.values())).value,
        "token entropy": -sum(logprobs) / len(logprobs),
    }


# ---- what is claimed ---------------------------------------------------------------------------------------------


def counts(r: Result, name: str) -> list[tuple[int, int]]:
    return [(n, right) for n, right in r["draws"][name]["counts"]]


def pass_at(r: Result, name: str, k: int) -> float:
    values = [pass_at_k(n, right, k) for n, right in counts(r, name)]
    return sum(values) / len(values)


def moved(r: Result, name: str) -> Any:
    return support(counts(r, "before"), counts(r, name), r["k"], counts(r, "again"))


def lost_over_won(r: Result) -> float:
    """Shares of the problems that were lost, less those won, both net of what two draws of one model differ by."""
    s = moved(r, "after")
    return s.shrunk.value - s.expanded.value


def change(what: str) -> Effect:
    return over_seeds(lambda r: r["draws"]["after"][what] - r["draws"]["before"][what])


def imagined(outcome: Outcome, seed: int) -> Result:
    off = (seed - 1) * (0.01 if outcome is not Outcome.UNRESOLVED else 0.1)
    n, half = 8, 4
    gone = {Outcome.HELD: 20 + seed, Outcome.FAILED: 5 + seed, Outcome.UNRESOLVED: (10, 18, 11)[seed % 3]}[outcome]
    won = {Outcome.HELD: 5, Outcome.FAILED: 20, Outcome.UNRESOLVED: (9, 9, 10)[seed % 3]}[outcome]
    better = {Outcome.HELD: 8, Outcome.FAILED: 4, Outcome.UNRESOLVED: (5, 7, 5)[seed % 3]}[outcome]
    taught_ = {Outcome.HELD: 20 + seed, Outcome.FAILED: 0, Outcome.UNRESOLVED: (0, 9, 1)[seed % 3]}[outcome]
    before = [[n, half]] * 60 + [[n, 0]] * 40
    after = [[n, 0]] * gone + [[n, better]] * (60 - gone) + [[n, better]] * won + [[n, 0]] * (40 - won)
    control = [[n, half]] * 60 + [[n, 2]] * taught_ + [[n, 0]] * (40 - taught_)
    chance = 3 + seed if outcome is Outcome.FAILED else 0  # what a second draw solves, and a failed control does not
    again = [[n, half]] * 60 + [[n, 1]] * chance + [[n, 0]] * (40 - chance)
    entropy = {Outcome.HELD: 0.5, Outcome.FAILED: 1.5, Outcome.UNRESOLVED: 0.95}[outcome] + off
    draw = lambda rows, nats: {"counts": rows, "answer entropy": nats, "token entropy": 0.3}
    draws = {"before": draw(before, 1.0), "again": draw(again, 1.0), "after": draw(after, entropy), "taught": draw(control, 1.0)}
    return {"k": n, "never solved before": 40, "draws": draws}


def figures(results: Sequence[Result]) -> list[str]:
    names = {
        "before": "before",
        "again": "before, another draw",
        "after": "after reinforcement",
        "taught": "taught solver traces",
    }

    def curve(name: str) -> Series:
        at = lambda k: over_seeds(lambda r: pass_at(r, name, k))(results)
        return Series(names[name], [estimated(k, at(k)) for k in powers_of_two(results[0]["k"])])

    def parts(pick: Callable[[Any], Any], title: str) -> str:
        labels = dict(enumerate(("preserved", "expanded", "shrunk", "never solved")))
        rows = {"observed": "observed", "null": "by chance"}
        series: list[Series] = []
        for which, name in rows.items():
            found = [getattr(pick(r), which) for r in results]
            shares = [[p.preserved, p.expanded, p.shrunk, p.never] for p in found]
            total = sum(shares[0])
            series.append(Series(name, [Point(i, sum(s[i] for s in shares) / len(shares) / total) for i in labels]))
        return line_chart(title, series, Axis("problems", str, str, names=labels), percent("share of the problems"))

    ks = Axis("samples k", lambda v: f"{v:.0f}", lambda v: f"{v:.0f}", log2=True)
    return [
        line_chart("pass@k on held-out problems", [curve(n) for n in names], ks, percent("pass@k")),
        parts(lambda r: moved(r, "after"), "What reinforcement won and lost"),
        parts(lambda r: moved(r, "taught"), "The same for the model taught solver traces"),
    ]


register(
    Study(
        name="invisible-leash",
        title="Reinforcement raises pass@1 and loses more of what could be solved than it wins",
        paper="Wu et al. 2025, The Invisible Leash: Why RLVR May Not Escape Its Origin, arXiv 2507.14843",
        claims=(
            Claim(
                "sharpening",
                "pass@1 rises by at least 10 points.",
                (
                    Check(
                        "pass@1 after minus before", over_seeds(lambda r: pass_at(r, "after", 1) - pass_at(r, "before", 1)), 0.10
                    ),
                ),
            ),
            Claim(
                "leash",
                "In every seed more problems fall out of reach of 1,024 samples than come into it, net of resampling.",
                (
                    Check("shrunk minus expanded, the least of a seed", extreme(min, lost_over_won), ANY),
                    Check("shrunk minus expanded", over_seeds(lost_over_won), 0.0),
                ),
            ),
            Claim(
                "answers",
                "The entropy over a problem's answers falls.",
                (Check("answer entropy after minus before, nats", change("answer entropy"), most=0.0),),
            ),
            Claim(
                "control",
                "The measure can see expansion: a model taught solver traces of unsolved problems expands, net of resampling.",
                (Check("expanded by teaching, net", over_seeds(lambda r: moved(r, "taught").expanded.value), ANY),),
            ),
        ),
        arms={
            "before": "a model of 0.35 million parameters primed on search traces of problems with three numbers",
            "before, another draw": "placebo: the same model sampled again with other seeds, which is the resampling null",
            "after reinforcement": "150 updates of 512 samples from verified answers alone, on problems with three and four numbers",
            "taught solver traces": "positive control: imitation of solver traces of the problems that neither draw before had solved",
        },
        tasks="100 held-out problems of Countdown, others in every seed, a quarter of them with four numbers and the others with three; "
        "1,024 samples of each model",
        metric="pass@1; problems with a right one among 1,024 samples, before and after; entropy over a problem's final answers",
        budget="about 15 minutes of one thread a seed; 30 minutes for 3 seeds on two cores",
        departures="With three numbers alone the model before solved each of 100 validation problems within 1,024 samples, so that nothing "
        "was left to expand into. So a quarter of the problems has four numbers, which its priming has not shown it, and which it "
        "hardly ever solves: what is out of its reach is by our choice. Where no problem is unsolved, the control is taught those that "
        "were solved least, and its claim cannot hold. The control's cost is not matched: it only shows that the measure works. "
        "Reinforcement has the settings of the recipe `countdown`, with credit by attempts, not plain GRPO.",
        scale="Of the problems with three numbers a model of Countdown solves nearly everything once in 1,024 samples: shares that move "
        "are of a few problems, so that three seeds may not resolve them. Long training with exploration, which other papers say does "
        "expand, is not tested.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
