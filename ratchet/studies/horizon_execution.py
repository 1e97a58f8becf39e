"""The illusion of diminishing returns: do models that are alike on one turn differ in how many turns they last?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ratchet.core.seeds import rng, seed
from ratchet.core.types import Draw, Estimate, Task
from ratchet.measure.estimate import mean, paired_difference
from ratchet.measure.horizon import completed, constant_horizon, horizon, survival
from ratchet.measure.intervals import wilson
from ratchet.report.chart import Point, Series, line_chart, percent, whole
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, register
from ratchet.tasks.running_sum import (
    context,
    draw,
    opening,
    play,
    right_reply,
    stated,
    steps_right,
    turns_right,
    vocabulary,
    with_another_past,
    with_errors,
)

if TYPE_CHECKING:
    from ratchet.models.engine import Policy

SHARE, EPISODES, TURNS, LEARNED, AT = 0.5, 300, 60, 20, 20
ENTRIES, LARGEST, MOST = 4, 5, 30
UPDATES, ROWS, RATE = 500, 48, 3e-3
# 147,584 and 791,040 parameters: with 16 / 3 times the updates the small one costs what the large one costs
SIZES = {"small": (64, 3, 2), "large": (128, 4, 4)}
MATCHED = 16 / 3
CONSTANT = (0.9, 0.95, 0.98)
RATES = (0.0, 0.25, 0.5, 0.75)
LEAST = 0.1  # turns: a horizon below is taken as this, so that a ratio has a value


def run(run_seed: int, quick: bool, say: Say) -> Result:
    trials, updates = (20, 12) if quick else (500, UPDATES)
    say(f"{trials} trials of each simulated agent")
    agents = {name: simulated(run_seed, name, trials) for name in (*map(str, CONSTANT), "falling")}
    models = {}
    for arm, size, times in (("small", "small", 1.0), ("large", "large", 1.0), ("small, equal compute", "small", MATCHED)):
        say(f"the model {arm} learns runs of {LEARNED} turns")
        policy = trained(run_seed, arm, size, round(updates * times), ROWS // (6 if quick else 1))
        say(f"the model {arm} plays {TURNS} turns")
        models[arm] = measured(policy, run_seed, quick)
    return {"trials": trials, "agents": agents, "models": models}


# ---- agents whose horizon is known -------------------------------------------------------------------------------


def chances(name: str) -> np.ndarray:
    """The chance of each turn to be right, (turns,): constant, or falling as in a context that grows."""
    return 0.998 - 0.001 * np.arange(TURNS) if name == "falling" else np.full(TURNS, float(name))


def simulated(run_seed: int, name: str, trials: int) -> Result:
    """How often the interval of H_0.5 holds the true horizon, and the one that the first turn's chance would give."""
    p = chances(name)
    log = np.concatenate(([0.0], np.log(p).cumsum()))
    below = int((log < math.log(SHARE)).argmax())
    true = below - 1 + (math.log(SHARE) - log[below - 1]) / (log[below] - log[below - 1])
    extended = constant_horizon(float(p[0]), SHARE)
    holds = extends = 0
    for trial in range(trials):
        right = np.random.default_rng(seed("horizon-execution", run_seed, name, trial)).random((EPISODES, TURNS)) < p
        wrong = ~right
        done = np.where(wrong.any(1), wrong.argmax(1), TURNS)
        e = horizon(done.tolist(), TURNS, SHARE, resamples=999, seed=seed("horizon-execution", run_seed, name, trial, "again"))
        holds += e.low <= true <= e.high
        extends += e.low <= extended <= e.high
    return {"true": float(true), "extended": extended, "holds": int(holds), "extends": int(extends)}


# ---- models ------------------------------------------------------------------------------------------------------


def task(*path: str | int, turns: int) -> Task:
    return draw(rng("horizon-execution", *path), turns=turns, entries=ENTRIES, largest=LARGEST, most=MOST)


def trained(run_seed: int, arm: str, size: str, updates: int, rows: int) -> Policy:
    """A model that imitates right runs. Only its replies are learned, not the words that it is given."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.machine import fast_bf16
    from ratchet.models.tokens import WordTokenizer

    width, layers, heads = SIZES[size]
    tokenizer = WordTokenizer(vocabulary(ENTRIES, LARGEST, MOST))
    shape = llama.Shape(
        vocab=len(tokenizer.words),
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_width=32,
        hidden=int(width * 8 / 3) // 16 * 16,
        max_tokens=3 * TURNS + ENTRIES + 8,
        rope_theta=1e6,
    )
    policy = new_policy(shape, tokenizer, seed("horizon-execution", run_seed, size), shape.max_tokens, bf16=fast_bf16())

    def example(update: int, row: int) -> Example:
        known = task(run_seed, "update", update, row, turns=LEARNED)
        parts = [(" ".join(words), right_reply(known, i)) for i, words in enumerate(known.facts["turns"])]
        given = policy.encode(opening(known))
        tokens = policy.encode(" ".join(f"{words} {reply}" for words, reply in parts))
        learned = [x for words, reply in parts for x in [0.0] * len(words.split()) + [1.0] * len(reply.split())]
        return Example(given, tokens, tuple(learned))

    imitate(policy, lambda update: [example(update, row) for row in range(rows)], updates, RATE)
    return policy


def measured(policy: Policy, run_seed: int, quick: bool) -> Result:
    """First turns, whole runs, and turn 20 after histories that were rewritten; every task is new to the model."""
    first, runs, late = (40, 6, 20) if quick else (2_000, EPISODES, 1_000)

    def reply(contexts: Sequence[str]) -> list[str]:
        drawn = policy.sample([Draw(c, max_tokens=2, temperature=0.0) for c in contexts], [[0]] * len(contexts))
        return [one.text for [one] in drawn]

    single = [task(run_seed, "first", i, turns=1) for i in range(first)]
    hits = sum(turns_right(t, sums)[0] for t, sums in zip(single, play(single, reply), strict=True))
    whole_runs = [task(run_seed, "run", i, turns=TURNS) for i in range(runs)]
    # a hundred side by side: the states of all their contexts fit into what the engine keeps to go on from
    sums = [s for i in range(0, runs, 100) for s in play(whole_runs[i : i + 100], reply)]
    steps = np.mean([steps_right(t, s) for t, s in zip(whole_runs, sums, strict=True)], axis=0)
    late_tasks = [task(run_seed, "late", i, turns=AT) for i in range(late)]

    def right(asked: Sequence[str]) -> list[bool]:
        policy.forget()
        return [stated(r) == t.answer for r, t in zip(reply(asked), late_tasks, strict=True)]

    def after(rate: float) -> list[str]:
        paths = [("horizon-execution", run_seed, "errors", str(rate), i) for i in range(late)]
        return [context(t, with_errors(rng(*path), t, AT - 1, rate)) for path, t in zip(paths, late_tasks, strict=True)]

    marks = {str(rate): right(after(rate)) for rate in RATES}
    drawn = [with_another_past(rng("horizon-execution", run_seed, "past", i), t, AT - 1) for i, t in enumerate(late_tasks)]
    marks["another past"] = right([context(t, with_errors(rng("unused"), t, AT - 1, 0.0)) for t in drawn])
    clean = marks["0.0"]
    return {
        "first": [hits, first],
        "done": [completed(turns_right(t, s)) for t, s in zip(whole_runs, sums, strict=True)],
        "steps": steps.tolist(),
        "late": late,
        "right": sum(clean),
        # right without errors and wrong with them, and the other way round
        "changed": {
            name: [sum(a and not b for a, b in zip(clean, m)), sum(b and not a for a, b in zip(clean, m))]
            for name, m in marks.items()
        },
    }


# ---- effects -----------------------------------------------------------------------------------------------------


def covered(agent: str, which: str) -> Effect:
    def effect(results: Sequence[Result]) -> Estimate:
        return wilson(sum(r["agents"][agent][which] for r in results), sum(r["trials"] for r in results), unit="trials")

    return effect


def first_turn(arm: str) -> Effect:
    """Of the seed whose model is worst: each model has to reach the threshold."""

    def effect(results: Sequence[Result]) -> Estimate:
        found = [wilson(*r["models"][arm]["first"], unit="episodes of the worst seed") for r in results]
        return min(found, key=lambda e: (e.value, e.low))

    return effect


def reached(r: Result, arm: str) -> float:
    """H_0.5 in turns, or infinite where it is beyond the last turn played."""
    return horizon(r["models"][arm]["done"], TURNS, SHARE, resamples=99).value


def ratio(longer: str, shorter: str) -> Effect:
    """The geometric mean over seeds of H_0.5 of one model over the other's. A horizon beyond the last turn counts as that
    turn: the ratio is then at least the number given, and open above; open on both sides where neither was seen."""

    def effect(results: Sequence[Result]) -> Estimate:
        pairs = [(reached(r, longer), reached(r, shorter)) for r in results]
        bounded = [(max(min(a, TURNS), LEAST), max(min(b, TURNS), LEAST)) for a, b in pairs]
        e = mean([math.log(a / b) for a, b in bounded], unit="seeds", bounds=(-math.inf, math.inf))
        low = 0.0 if any(math.isinf(b) for _, b in pairs) else math.exp(e.low)
        high = math.inf if any(math.isinf(a) for a, _ in pairs) else math.exp(e.high)
        return Estimate(math.exp(e.value), low, high, e.n, "seeds")

    return effect


def lost(arm: str, history: str) -> Callable[[Result], float]:
    def share(r: Result) -> float:
        gone, gained = r["models"][arm]["changed"][history]
        return (gone - gained) / r["models"][arm]["late"]

    return share


def drop(arm: str) -> Effect:
    return lambda results: mean([lost(arm, "0.5")(r) for r in results], unit="seeds", bounds=(-1.0, 1.0))


def drop_alone(arm: str) -> Effect:
    """The mean drop as a bare number: that it is one of 5 points does not ask for an interval, that it is one at all does."""

    def effect(results: Sequence[Result]) -> Estimate:
        value = drop(arm)(results).value
        return Estimate(value, value, value, len(results), "seeds")

    return effect


def placebo(arm: str) -> Effect:
    """The paired interval over episodes of every seed, and all of them together: it has to be small for each model."""

    def effect(results: Sequence[Result]) -> Estimate:
        found: list[Estimate] = []
        for r in results:
            (gone, gained), n = r["models"][arm]["changed"]["another past"], r["models"][arm]["late"]
            after = [1.0] * gone + [-1.0] * gained + [0.0] * (n - gone - gained)
            found.append(paired_difference([0.0] * n, after))
        value = math.fsum(e.value for e in found) / len(found)
        n = min(e.n for e in found)
        return Estimate(value, min(e.low for e in found), max(e.high for e in found), n, "episodes in each seed")

    return effect


# ---- what could come out, and pictures ---------------------------------------------------------------------------


def imagined(outcome: Outcome, run_seed: int) -> Result:
    def model(p: float, first: int, gone: int) -> Result:
        turns = np.clip(np.floor(np.log1p(-(np.arange(EPISODES) + 0.5) / EPISODES) / math.log(p)), 0, TURNS)
        changed = {str(rate): [round(gone * rate * 2), 0] for rate in RATES}
        changed["another past"] = {"HELD": [4, 3], "FAILED": [120, 5], "UNRESOLVED": [52, 2]}[outcome]
        steps = [p] * TURNS
        return {
            "first": [first, 2_000],
            "done": turns.astype(int).tolist(),
            "steps": steps,
            "late": 1_000,
            "right": 990,
            "changed": changed,
        }

    uneven = 1 + 0.05 * (run_seed - 1)
    hits = {"HELD": 480, "FAILED": 420, "UNRESOLVED": 451}[outcome]
    wide = {"HELD": 3, "FAILED": 90, "UNRESOLVED": 26}[outcome]
    first = {"HELD": 1_998, "FAILED": 1_900, "UNRESOLVED": 1_984}[outcome]
    gone = {"HELD": 300, "FAILED": 10, "UNRESOLVED": 300}[outcome] + round(
        {"HELD": 20, "FAILED": 5, "UNRESOLVED": 250}[outcome] * (run_seed - 1)
    )
    longer = {"HELD": 4.0, "FAILED": 0.5, "UNRESOLVED": 1.5}[outcome] ** (
        uneven if outcome != "UNRESOLVED" else 1 + (run_seed - 1)
    )
    matched = {"HELD": 0.8, "FAILED": 3.0, "UNRESOLVED": 1.0}[outcome]
    small = 0.95
    agents = {
        name: {"true": 10.0, "extended": 100.0, "holds": hits, "extends": wide} for name in (*map(str, CONSTANT), "falling")
    }
    models = {
        "small": model(small, first, gone),
        "large": model(small ** (1 / longer), first, gone),
        "small, equal compute": model(small ** (1 / (matched * 1.5)), first, gone),
    }
    return {"trials": 500, "agents": agents, "models": models}


def over_seeds(x: float, values: Sequence[float]) -> Point:
    e = mean(values, unit="seeds")
    known = len(values) > 1 and math.isfinite(e.low) and len(set(values)) > 1
    return Point(x, e.value, max(e.low, 0.0) if known else None, min(e.high, 1.0) if known else None)


def figures(results: Sequence[Result]) -> list[str]:
    arms = list(results[0]["models"])

    def alive(arm: str) -> Series:
        curves = [survival(r["models"][arm]["done"], TURNS) for r in results]
        return Series(arm, [over_seeds(float(t), [float(c[t]) for c in curves]) for t in range(0, TURNS + 1, 5)])

    def steps(arm: str) -> Series:
        found = [r["models"][arm]["steps"] for r in results]
        return Series(arm, [over_seeds(float(t), [s[t - 1] for s in found]) for t in (1, *range(5, TURNS + 1, 5))])

    def late(arm: str) -> Series:
        def after(r: Result, rate: float) -> float:
            return r["models"][arm]["right"] / r["models"][arm]["late"] - lost(arm, str(rate))(r)

        return Series(arm, [over_seeds(100 * rate, [after(r, rate) for r in results]) for rate in RATES])

    everything = (0.0, 1.0)
    return [
        line_chart("Episodes without an error so far", [alive(a) for a in arms], whole("turn"), percent("episodes", everything)),
        line_chart("Steps that are right, after the model's own history", [steps(a) for a in arms], whole("turn"), percent("steps", everything)),
        line_chart(f"Turn {AT} right, by wrong sums before it", [late(a) for a in arms], whole("wrong sums (%)"), percent("right", everything)),
    ]  # fmt: skip


def conditioned(arm: str) -> Claim:
    return Claim(
        f"self-conditioning, {arm}",
        f"With half of the earlier sums wrong, and the current one right, the {arm} model does turn {AT} right less often "
        "by at least 5 points.",
        (
            Check("drop, the number", drop_alone(arm), 0.05),
            Check("drop, over seeds", drop(arm), 0.0),
        ),
    )


register(
    Study(
        name="horizon-execution",
        title="Small gains per step compound into long horizons, and wrong history lowers what follows",
        paper="Sinha et al. 2025, The illusion of diminishing returns: measuring long horizon execution in LLMs (arXiv 2509.09677)",
        claims=(
            Claim(
                "estimator",
                "The bootstrap interval of H_0.5 holds the true horizon of simulated agents in at least 90 % of trials.",
                tuple(
                    Check(f"intervals that hold it, agent {n}", covered(n, "holds"), 0.9)
                    for n in (*map(str, CONSTANT), "falling")
                ),
            ),
            Claim(
                "first turn is not enough",
                "Where step accuracy falls with the turns, ln(0.5) / ln(p) of the first turn is not the horizon.",
                (Check("intervals that hold that number, agent falling", covered("falling", "extends"), most=0.05),),
            ),
            Claim(
                "compounding",
                "Both models do at least 99 % of first turns right, and the large one's H_0.5 is at least twice the small one's.",
                (
                    Check("first turns right, small", first_turn("small"), 0.99),
                    Check("first turns right, large", first_turn("large"), 0.99),
                    Check("H_0.5 of large over small", ratio("large", "small"), 2.0),
                ),
            ),
            Claim(
                "size, not compute",
                "The large model's H_0.5 is the longer one also where the small model had as much compute.",
                (Check("H_0.5 of large over small, equal compute", ratio("large", "small, equal compute"), 1.0),),
            ),
            conditioned("small"),
            conditioned("large"),
            Claim(
                "placebo",
                "Another history without errors, of the same length and with the same sum at its end, changes nothing by 5 points.",
                tuple(Check(f"change, {arm}", placebo(arm), -0.05, 0.05) for arm in SIZES),
            ),
        ),
        arms={
            "simulated agents": "every turn right with chance 0.9, 0.95, 0.98, or 0.998 that falls by 0.001 a turn: horizons are known",
            "small": "a transformer of 0.15 M parameters that learned runs of 20 turns",
            "large": "one of 0.79 M parameters, on the same data in the same order",
            "small, equal compute": "cost-matched control: the small one with 5.3 times the updates, as much compute as the large one",
            "wrong sums": "histories of 19 turns in which each sum but the last is wrong with chance 0, 0.25, 0.5 or 0.75",
            "another past": "placebo: as many turns drawn anew without errors, to the same sum",
        },
        tasks="a dictionary of 4 words with whole numbers; each turn names one, the model replies its number and the running sum",
        metric="H_0.5: turns after which half of the episodes are without an error; share of turn 20 right; 95 % intervals",
        budget="about 10 minutes for 3 seeds on two cores",
        departures="The model writes the number that it looked up beside the sum, in the same turn: without it, a model of 0.8 M "
        "parameters had 30 % of the sums right after 600 updates. The sum stays between 0 and 30, a token for each value, and the "
        "dictionary has 4 entries, each one token. H_0.5 is interpolated between turns: its whole part is the last turn with half of "
        "the episodes left. One word is named per turn. Intervals were asked in 100 trials; 500 a seed are made, for 95 of 100 cannot "
        "be told from 90. Where a horizon lies beyond turn 60, it counts as 60, and the interval of the ratio is open. The sum before "
        "turn 20 is always true, those before it are wrong or true, each on its own. The claims of the first turn, of equal compute, "
        "and the placebo are added. Real models need an endpoint, which is not asked here; `play` takes any function that replies.",
        scale="The models learned 20 turns, so that what comes later is also how well they bear a context longer than any they saw: in "
        "pilots step accuracy was even up to turn 20 and fell after it, and where pauses had spread the training runs over as many "
        "places as 60 turns have, it was even up to turn 60. Large models err for other reasons. These never saw an error in training; "
        "taking on the role of one that errs may need text in which somebody does.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
