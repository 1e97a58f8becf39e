"""Evaluating binary decision biases in LLMs: does the battery of tests tell a biased decider from a fair one?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.errors import StudyError
from ratchet.core.seeds import rng, seed
from ratchet.core.types import Draw, Estimate
from ratchet.measure.binary import TESTS, alternation_rate, battery
from ratchet.measure.comparison import holm
from ratchet.measure.intervals import wilson
from ratchet.report.chart import Series, estimated, line_chart, number
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register

if TYPE_CHECKING:
    from ratchet.models.engine import Policy

LENGTH = 400
SERIES = 2_000
ALTERNATES = 0.6  # how often neighbours differ in strings that people make up
TEMPERATURES = (0.5, 1.0, 1.5)


def run(run_seed: int, quick: bool, say: Say) -> Result:
    many = 100 if quick else SERIES
    say(f"the battery on {many} series of each generator")
    flagged = {name: flags(*(made(run_seed, name, i) for i in range(many))) for name in ("fair", "biased", "alternating")}
    updates, rows = (60, 8) if quick else (250, 32)
    models = {}
    for text, switch in (("alternating", ALTERNATES), ("fair", 0.5)):
        say(f"a small model learns {text} strings")
        models[text] = trained(run_seed, text, switch, updates, rows)
    return {"series": many, "flagged": flagged, "models": models}


def made(run_seed: int, name: str, i: int) -> list[int]:
    """A series of a known generator."""
    draw = rng("binary-bias", run_seed, name, i)
    return (
        alternating(draw, ALTERNATES)
        if name == "alternating"
        else [int(draw.random() < (0.6 if name == "biased" else 0.5)) for _ in range(LENGTH)]
    )


def alternating(draw: Random, switch: float) -> list[int]:
    """A fair first value; each next one differs from it with chance `switch`."""
    values = [int(draw.random() < 0.5)]
    while len(values) < LENGTH:
        values.append(values[-1] ^ int(draw.random() < switch))
    return values


def flags(*series: Sequence[int]) -> dict[str, int]:
    """How many series each test flags at 5 %, and how many any test does after Holm's correction."""
    ps = [battery(s) for s in series]
    found = {test: sum(p[test] < 0.05 for p in ps) for test in TESTS}
    return found | {"any, after Holm": sum(bool((holm(list(p.values())) < 0.05).any()) for p in ps)}


def trained(run_seed: int, text: str, switch: float, updates: int, rows: int) -> Result:
    """A model of such strings, asked for one long string, and for as many single decisions in calls of their own."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(["decide", "no", "yes"])
    shape = llama.Shape(vocab=5, width=48, layers=2, heads=2, kv_heads=2, head_width=24, hidden=128, max_tokens=LENGTH + 2)
    policy = new_policy(shape, tokenizer, seed("binary-bias", run_seed, text), LENGTH)
    prompt = policy.encode("decide")

    def examples(update: int) -> list[Example]:
        path = ("binary-bias", run_seed, text, "update", update)
        return [Example(prompt, tuple(3 + x for x in alternating(rng(*path, i), switch))) for i in range(rows)]

    losses = imitate(policy, examples, updates)
    batch = {t: decided(policy, run_seed, t, 1, LENGTH) for t in TEMPERATURES}
    single = decided(policy, run_seed, 1.0, LENGTH, 1)
    return {
        "loss": losses[-1],
        "batch": battery(batch[1.0]),
        "single": battery(single),
        "rates": {str(t): alternation_rate(s) for t, s in batch.items()},
        "single rate": alternation_rate(single),
    }


def decided(policy: Policy, run_seed: int, temperature: float, calls: int, each: int) -> list[int]:
    """Decisions of so many calls, one after the other. A string that ends early is asked to go on where it stopped."""
    values: list[int] = []
    for call in range(calls):
        tokens: tuple[int, ...] = ()
        for part in range(each):
            draw = Draw((*policy.encode("decide"), *tokens), max_tokens=each - len(tokens), temperature=temperature)
            [[drawn]] = policy.sample([draw], [[seed("binary-bias", run_seed, "draw", call, part)]])
            tokens += tuple(t for t in drawn.tokens if t >= 3)
            if len(tokens) == each:
                break
        values += [t - 3 for t in tokens]
    if len(values) < 100:  # the tests are exact enough from there on
        raise StudyError(f"the model gave {len(values)} decisions of {calls * each} asked: it has not learned to decide")
    return values


def share(generator: str, test: str) -> Effect:
    def effect(results: Sequence[Result]) -> Estimate:
        hits = sum(r["flagged"][generator][test] for r in results)
        return wilson(hits, sum(r["series"] for r in results), unit="series")

    return effect


def alternates(text: str, mode: str) -> Callable[[Result], float]:
    """The p-value of the alternation test."""
    return lambda r: r["models"][text][mode]["alternation"]


def imagined(outcome: Outcome, run_seed: int) -> Result:
    fair = {"HELD": 0.05, "FAILED": 0.12, "UNRESOLVED": 0.068}[outcome]
    power = {"HELD": 0.99, "FAILED": 0.5, "UNRESOLVED": 0.95}[outcome]
    family = {"HELD": 0.03, "FAILED": 0.2, "UNRESOLVED": 0.048}[outcome]
    rate = {"HELD": 0.6, "FAILED": 0.45, "UNRESOLVED": 0.53}[outcome] + 0.02 * (run_seed - 1) * (
        1 + 2 * (outcome == "UNRESOLVED")
    )
    p = {"HELD": 1e-5, "FAILED": 0.5, "UNRESOLVED": 1e-5}[outcome]
    flagged = {
        "fair": {test: round(fair * SERIES) for test in TESTS} | {"any, after Holm": round(family * SERIES)},
        "biased": {test: round(power * SERIES) for test in (*TESTS, "any, after Holm")},
        "alternating": {test: round(power * SERIES) for test in (*TESTS, "any, after Holm")},
    }
    model = {"loss": 0.67, "batch": dict.fromkeys(TESTS, p), "single": dict.fromkeys(TESTS, 0.4)}
    model |= {"rates": dict.fromkeys(map(str, TEMPERATURES), rate), "single rate": 0.5}
    placebo = model | {"batch": dict.fromkeys(TESTS, 0.4)}
    return {"series": SERIES, "flagged": flagged, "models": {"alternating": model, "fair": placebo}}


def figures(results: Sequence[Result]) -> list[str]:
    def rates(text: str) -> Series:
        rate = lambda t: over_seeds(lambda r: r["models"][text]["rates"][str(t)])(results)
        return Series(f"learned {text} strings", [estimated(t, rate(t)) for t in TEMPERATURES])

    title = "Share of neighbours that differ, in one long string"
    return [line_chart(title, [rates("alternating"), rates("fair")], number("temperature"), number("share", (0.4, 0.7)))]


register(
    Study(
        name="binary-bias",
        title="A battery of tests tells biased binary deciders from fair ones",
        paper="Evaluating binary decision biases in LLMs (B42 of the map)",
        claims=(
            Claim(
                "level",
                "A fair coin is flagged by each test in 5 % of series, give or take 2.",
                tuple(Check(f"fair series flagged by {t}", share("fair", t), 0.03, 0.07) for t in TESTS),
            ),
            Claim(
                "family",
                "After Holm's correction at most 5 % of fair series are flagged by any test.",
                (Check("fair series flagged by any test", share("fair", "any, after Holm"), most=0.05),),
            ),
            Claim(
                "power",
                "Of 400 decisions, a chance of 0.6, or an alternation of 0.6, is seen in at least 95 % of series.",
                (
                    Check("biased series flagged by uniformity", share("biased", "uniformity"), 0.95),
                    Check("alternating series flagged by alternation", share("alternating", "alternation"), 0.95),
                ),
            ),
            Claim(
                "mode",
                "A model of strings that alternate shows negative recency in one long answer, and not in single calls.",
                (
                    Check(
                        "share of neighbours that differ in one string",
                        over_seeds(lambda r: r["models"]["alternating"]["rates"]["1.0"]),
                        0.5,
                    ),
                    Check("largest p-value in one string", extreme(max, alternates("alternating", "batch")), most=0.01),
                    Check("smallest p-value in single calls", extreme(min, alternates("alternating", "single")), 0.01),
                    Check("placebo: smallest p-value in one string", extreme(min, alternates("fair", "batch")), 0.01),
                ),
            ),
        ),
        arms={
            "fair, biased, alternating": "series of 400 from generators that are known: chance 0.5; chance 0.6; neighbours differ with chance 0.6",
            "model of alternating strings": "a transformer of 0.05 M parameters that learned strings whose neighbours differ with chance 0.6",
            "model of fair strings": "placebo at equal cost: the same training on strings of independent fair values",
        },
        tasks="repeated yes-or-no decisions: 400 in one answer (batch mode), or one in each of 400 calls (single mode)",
        metric="share of series that a test flags at 5 %; p-value of the one-sided runs test (negative recency)",
        budget="about 3 minutes of one thread a seed; 5 minutes for 3 seeds on two cores",
        departures="Real models need an endpoint, which is not asked here; the map's plan has the rest. A p-value has no interval: "
        "its check is the largest or smallest of the seeds. By chance, 3 % of such runs flag a single-mode arm.",
        scale="What the paper says of GPT-4o is not tested; that the battery can see such biases, and stays quiet without them, is.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
