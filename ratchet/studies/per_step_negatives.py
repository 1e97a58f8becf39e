"""RL on incorrect synthetic data: are a model's own mistakes, credited step by step, worth as much as many times the right traces?"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Completion, Draw, Estimate, Play, Split, Task, Trace, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.report.chart import Axis, Point, Series, estimated, line_chart, percent, points
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register
from ratchet.tasks.arithmetic import demonstrate
from ratchet.tasks.family import Source

if TYPE_CHECKING:
    from ratchet.learn.batch import Example, Pair
    from ratchet.learn.credit_steps import Splice
    from ratchet.learn.preferences import Preference
    from ratchet.models.engine import Policy

NAME = "per-step-negatives"
STEPS, LARGEST, TOP = 3, 9, 20
NOTED = 1  # the step whose result the note says
BASE = 500
ROLLOUTS = 8  # of each prompt, and of each prefix of a wrong sample
IMITATED = ("right", "none")
DRAWN = ("right", "none", "wrong")
BATCH, RATE, MUON = 48, 3e-3, 0.02
PAIRS = 32  # of an update


@dataclass(frozen=True)
class Size:
    grid: tuple[int, ...]
    updates: int
    tuning: int
    drawn: int  # chains of which the base draws samples
    held: int


FULL = Size((250, 500, 1_000, 2_000, 8_000), 250, 200, BASE, 1_000)
QUICK = Size((16, BASE, 520), 2, 1, 4, 4)


# ---- tasks with a note, which is right in every trace that is imitated --------------------------------------------


def results(task: Task) -> list[int]:
    """What comes out of each step."""
    return [int(step.split()[4]) for step in trace_of(task).split(" then ")]


def trace_of(task: Task) -> str:
    return demonstrate(rng("unused"), task)


def noted(task: Task, note: str, *path: Part) -> Task:
    """The same chain behind a note that says what comes out of one step ("right"), another value ("wrong"), or nothing ("none").
    The answer stays what it was."""
    true = results(task)[NOTED]
    other = rng(*path, "note", task.key).choice([v for v in range(TOP + 1) if v != true])
    said = {"right": true, "wrong": other, "none": "?"}[note]
    return replace(task, prompt=f"note {said} {task.prompt}")


def with_some(tasks: Sequence[Task], notes: Sequence[str], *path: Part) -> list[Task]:
    """Each with one of the kinds of note, by chance."""
    return [noted(t, rng(*path, "kind", t.key).choice(notes), *path) for t in tasks]


def chains(split: Split, n: int, run_seed: int) -> list[Task]:
    return Source("arithmetic", "", {"steps": STEPS, "largest": LARGEST, "top": TOP}).take(split, n, NAME, run_seed)


def verified(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    """By the answer alone, whatever the steps say."""
    return [Verdict(Judgement.PASS if t.endswith(f" answer {task.answer}") else Judgement.FAIL) for task, t in pairs]


# ---- imitation ---------------------------------------------------------------------------------------------------


def new_model(run_seed: int) -> Policy:
    """0.15 million random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.machine import fast_bf16
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(["note", "?", "start", "then", ":", "answer", "=", *"+-*/", *map(str, range(TOP + 1))])
    longest = 6 * STEPS + 4
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=3, heads=2, kv_heads=2, head_width=32, hidden=160, max_tokens=64
    )
    return new_policy(shape, tokenizer, run_seed, longest, 512, fast_bf16())


def written(policy: Policy, tasks: Sequence[Task]) -> list[Example]:
    """Their traces, half of them behind a right note."""
    from ratchet.learn.pairs import written_examples

    asked = with_some(tasks, IMITATED, NAME, "written")
    return [e for t in asked for e in written_examples(policy, t.prompt, [trace_of(t)])]


def taught(policy: Policy, examples: Sequence[Example], updates: int, rate: float, muon: float, *path: Part) -> None:
    from ratchet.learn.imitate import imitate

    imitate(policy, lambda update: rng(*path, update).choices(examples, k=BATCH), updates, rate, muon)


# ---- what the model draws, and what is learned from it -----------------------------------------------------------


def drawn(policy: Policy, tasks: Sequence[Task], each: Mapping[str, Sequence[Draw]], *path: Part) -> list[Trace]:
    """A judged trace of each task with its draws, which are given by its key."""
    from ratchet.loop.turn import scheduler_for

    def asked(task: Task) -> Play:
        answers = yield each[task.key]
        return answers[0][0]

    return scheduler_for(policy, verified).run(asked, [t for t in tasks if each.get(t.key)], *path)


def prefixes(trace: Trace, then: int) -> list[Completion]:
    """All that stands before each step but the first, in the wrong samples of a trace: each only once."""
    wrong = [c for c, v in zip(trace.completions, trace.verdicts, strict=True) if not v.passed]
    parts = {c.tokens[: i + 1]: c for c in wrong for i, token in enumerate(c.tokens) if token == then}
    return [replace(c, tokens=own, logprobs=c.logprobs[: len(own)], text="", stop="stop") for own, c in parts.items()]


def rolled(policy: Policy, tasks: Sequence[Task], *path: Part) -> list[Trace]:
    """So many samples of each task, and from each prefix of the wrong ones as many completions."""
    first = drawn(policy, tasks, {t.key: [Draw(t.prompt, n=ROLLOUTS)] for t in tasks}, *path, "samples")
    [then] = policy.tokenizer.encode("then")
    inner = {t.task.key: [Draw(c, n=ROLLOUTS) for c in prefixes(t, then)] for t in first}
    return first + drawn(policy, tasks, inner, *path, "rollouts")


def pits(policy: Policy, traces: Sequence[Trace], rewards: Sequence[Sequence[float]]) -> list[Pair]:
    """For each first step of a wrong sample behind which nothing comes right, the pair of a continuation that did and that step."""
    from ratchet.learn.batch import Example, Pair
    from ratchet.learn.credit_steps import splices

    found = [s for s in splices(traces, rewards, policy.tokenizer.end) if one_step(policy, s)]
    return [Pair(Example(prefix, good), Example(prefix, bad)) for prefix, good, bad in found]


def one_step(policy: Policy, splice: Splice) -> bool:
    """Whether its bad part is a single step. A rollout's rest has several, and from between them nothing was drawn."""
    [then] = policy.tokenizer.encode("then")
    return then not in splice[2][:-1]


def preferred(policy: Policy, pairs: Sequence[Pair], row: Preference, updates: int, rate: float, *path: Part) -> None:
    from ratchet.learn.train import Learner

    learner = Learner(policy, lr=rate, warmup=5, steps=updates, final=0.1)
    learner.freeze_reference()
    for update in range(updates if pairs else 0):
        units, objective = row.prepared(learner, rng(*path, update).choices(pairs, k=PAIRS))
        learner.update(units, objective)


# ---- the run -----------------------------------------------------------------------------------------------------

# Chosen on validation tasks of seed 901, both DPOs with the same four pairs of rate and beta. Right answers of per-step and outcome
# DPO, where SFT has 60 %: 59 and 62 % (5e-5, 0.1), 51 and 57 % (1.5e-4, 0.1), 62 and 64 % (1.5e-4, 0.5), all in 100 updates; 62 and
# 63 % (3e-4, 1) in 200, where per-step DPO sees through most wrong notes. Imitation: 3e-4 and 1e-3. "shuffled" has per-step DPO's.
RATES = {"self-positive": 1e-3, "outcome DPO": 3e-4, "per-step DPO": 3e-4, "shuffled": 3e-4}
BETAS = {"outcome DPO": 1.0, "per-step DPO": 1.0, "shuffled": 1.0}


def measured(policy: Policy, held: Sequence[Task]) -> dict[str, float]:
    """Greedy answers to chains with notes as they were imitated, and with wrong ones: shares that are right, and of wrong notes that
    are copied."""
    found: dict[str, float] = {}
    for name, notes in (("as imitated", IMITATED), ("wrong notes", ("wrong",))):
        tasks = with_some(held, notes, NAME, "probe")
        texts = [c.text for [c] in policy.sample([Draw(t.prompt, temperature=0.0) for t in tasks], [[0]] * len(tasks))]
        found[name] = fmean(v.passed for v in verified(list(zip(tasks, texts, strict=True))))
        if notes == ("wrong",):
            found["copied"] = fmean(copies(t, text) for t, text in zip(tasks, texts, strict=True))
    return found


def copies(task: Task, text: str) -> bool:
    """Whether the noted step comes to what the note says."""
    step = text.split(" then ")[NOTED : NOTED + 1]
    return bool(step) and step[0].split()[4:5] == task.prompt.split()[1:2]


def learn(
    arm: str, policy: Policy, given: Sequence[Example] | Sequence[Pair], updates: int, rate: float, beta: float, *path: Part
) -> None:
    """From the policy as it is, so many updates of an arm."""
    from ratchet.learn.preferences import dpo, step_dpo

    if arm == "self-positive":
        taught(policy, given, updates, rate, 0.0, *path)  # type: ignore[arg-type]
    else:
        row = dpo(beta=beta) if arm == "outcome DPO" else step_dpo(beta=beta, delimiter="then")
        preferred(policy, given, row, updates, rate, *path)  # type: ignore[arg-type]


def lessons(
    policy: Policy, learned: Sequence[Task], asked: Sequence[Task], run_seed: int
) -> tuple[Mapping[str, Sequence[Example] | Sequence[Pair]], Result]:
    """What each arm learns from, drawn from the policy on chains of which only the answer is known, and how much of it there is."""
    from ratchet.learn.credit import rewards_of, verdict_reward
    from ratchet.learn.pairs import pairs_of
    from ratchet.learn.selectors import rejection

    path = (NAME, run_seed, "drawn")
    tasks = with_some(asked, DRAWN, *path)
    traces = rolled(policy, tasks, *path)
    rewards = rewards_of(traces, verdict_reward)
    shuffled = [rng(*path, "shuffled", i).sample(row, len(row)) for i, row in enumerate(rewards)]
    counts = {t.key: len(row) for t, row in zip(tasks, rewards, strict=True)}
    whole = drawn(policy, tasks, {t.key: [Draw(t.prompt, n=counts[t.key])] for t in tasks}, *path, "whole")
    given = {
        "self-positive": [*written(policy, learned), *rejection()(whole, verdict_reward, *path)],
        "outcome DPO": pairs_of(whole, verdict_reward, *path, most=ROLLOUTS),
        "per-step DPO": pits(policy, traces, rewards),
        "shuffled": pits(policy, traces, shuffled),
    }
    first = [v.passed for t in traces[: len(tasks)] for v in t.verdicts]
    about = {"samples": sum(counts.values()), "right": fmean(first), **{name: len(own) for name, own in given.items()}}
    return given, about


def run(run_seed: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare

    prepare(1)
    size = QUICK if quick else FULL
    known = chains("train", size.grid[-1] + size.drawn, run_seed)
    learned, asked = known[: size.grid[-1]], known[size.grid[-1] :]
    held = chains("validation" if run_seed > 900 else "heldout", size.held, run_seed)
    curve: dict[str, dict[str, float]] = {}
    base = new_model(run_seed)
    for n in size.grid:
        policy = new_model(run_seed)
        taught(policy, written(policy, learned[:n]), size.updates, RATE, MUON, NAME, run_seed, "imitated")
        curve[str(n)] = measured(policy, held)
        base = policy if n == BASE else base
        say(f"{n} traces imitated: {curve[str(n)]['as imitated']:.0%} right, {curve[str(n)]['wrong notes']:.0%} with wrong notes")
    given, about = lessons(base, learned[:BASE], asked, run_seed)
    arms: dict[str, dict[str, float]] = {"SFT": curve[str(BASE)]}
    start = copy.deepcopy(base.model.state_dict())
    for arm, own in given.items():
        base.model.load_state_dict(start)
        learn(arm, base, own, size.tuning, RATES[arm], BETAS.get(arm, 0.0), NAME, run_seed, arm)
        arms[arm] = measured(base, held)
        say(f"{arm}: {arms[arm]['as imitated']:.0%} right, {arms[arm]['wrong notes']:.0%} with wrong notes")
    return {"curve": curve, "arms": arms, "drawn": about}


# ---- what is claimed ---------------------------------------------------------------------------------------------


def worth(r: Result, arm: str) -> float:
    """How many times the base's traces imitation needs to be as often right as an arm, where the notes are right.

    Between two sizes the share is taken as linear in the logarithm of the size, and a size as no worse than a smaller one. An arm
    below or above the whole curve counts as the smallest or largest size.
    """
    sizes = [int(n) for n in r["curve"]]
    shares: list[float] = []
    for look in r["curve"].values():
        shares.append(max([look["as imitated"], *shares[-1:]]))
    y = r["arms"][arm]["as imitated"]
    above = next((i for i, share in enumerate(shares) if share >= y), None)
    if above is None or above == 0:
        return sizes[-1 if above is None else 0] / BASE
    low, high = shares[above - 1], shares[above]
    return sizes[above - 1] / BASE * (sizes[above] / sizes[above - 1]) ** ((y - low) / (high - low))


def times(arm: str) -> Effect:
    """The geometric mean of `worth` over seeds, with an interval."""

    def effect(rs: Sequence[Result]) -> Estimate:
        e = over_seeds(lambda r: math.log(worth(r, arm)))(rs)
        return replace(e, value=math.exp(e.value), low=math.exp(e.low), high=math.exp(min(e.high, 700.0)))

    return effect


def bare(effect: Effect) -> Effect:
    """The number without its interval, for a demand on the number; another check asks for the interval."""

    def alone(rs: Sequence[Result]) -> Estimate:
        e = effect(rs)
        return replace(e, low=e.value, high=e.value)

    return alone


def more(other: str, notes: str = "as imitated") -> Effect:
    """By how much per-step DPO is more often right."""
    return over_seeds(lambda r: r["arms"]["per-step DPO"][notes] - r["arms"][other][notes])


def lead(what: str, effect: Effect, least: float) -> tuple[Check, ...]:
    return Check(f"{what}, the number", bare(effect), least), Check(f"{what}, over seeds", effect, 0.0)


def imagined(outcome: Outcome, run_seed: int) -> Result:
    off = (run_seed % 3 - 1) * (0.25 if outcome is Outcome.UNRESOLVED else 0.01)
    shares = (0.2, 0.4, 0.5, 0.6, 0.8)
    own = 0.45 if outcome is Outcome.FAILED else 0.64
    arms = {
        "SFT": (0.4, 0.1),
        "self-positive": (0.45, 0.1),
        "outcome DPO": (0.45, 0.2),
        "per-step DPO": (own + off, 0.12 + off if outcome is Outcome.FAILED else 0.3 + off),
        "shuffled": (0.6, 0.1) if outcome is Outcome.FAILED else (0.4, 0.1),
    }

    def look(right: float, wrong: float) -> dict[str, float]:
        return {"as imitated": right, "wrong notes": wrong, "copied": 1 - wrong}

    return {
        "curve": {str(n): look(share, 0.1) for n, share in zip(FULL.grid, shares, strict=True)},
        "arms": {arm: look(*both) for arm, both in arms.items()},
        "drawn": {"samples": 4_000, "right": 0.4, **dict.fromkeys(list(arms)[1:], 500)},
    }


def figures(rs: Sequence[Result]) -> list[str]:
    arms = list(rs[0]["arms"])
    traces = Axis("traces imitated", lambda v: f"{v:.0f}", lambda v: f"{v:.0f}", log2=True)
    named = Axis("arm", str, str, names=dict(enumerate(arms)))

    def curve(notes: str) -> Series:
        return Series(notes, [estimated(int(n), over_seeds(lambda r, n=n: r["curve"][n][notes])(rs)) for n in rs[0]["curve"]])

    def ended(what: str) -> Series:
        return Series(what, [estimated(i, over_seeds(lambda r, arm=arm: r["arms"][arm][what])(rs)) for i, arm in enumerate(arms)])

    def reached(arm: str) -> Point:
        return estimated(times(arm)(rs).value * BASE, over_seeds(lambda r: r["arms"][arm]["as imitated"])(rs))

    as_much = Series(
        "paper: 8 times, per-step DPO", [Point(8 * BASE, fmean(r["arms"]["per-step DPO"]["as imitated"] for r in rs))]
    )
    shares = percent("right answers", (0.0, 1.0))
    return [
        line_chart("Imitation of more traces", [curve("as imitated"), curve("wrong notes")], traces, shares),
        line_chart(
            f"As many traces as an arm with {BASE} is worth",
            [curve("as imitated"), *(Series(arm, [reached(arm)]) for arm in arms[1:]), as_much],
            traces,
            shares,
        ),
        line_chart(f"From {BASE} traces", [ended(w) for w in ("as imitated", "wrong notes", "copied")], named, shares),
        line_chart(
            "Per-step DPO less another arm",
            [
                Series(notes, [estimated(i, more(arm, notes)(rs)) for i, arm in enumerate(arms) if arm != "per-step DPO"])
                for notes in ("as imitated", "wrong notes")
            ],
            named,
            points("difference"),
            zero=True,
        ),
    ]


register(
    Study(
        name=NAME,
        title="A model's own wrong answers, credited step by step, are worth several times as many right traces",
        paper="Setlur et al. 2024, RL on incorrect synthetic data scales the efficiency of LLM math reasoning by eight-fold "
        "(arXiv 2406.14532)",
        claims=(
            Claim(
                "worth of negatives",
                f"Per-step DPO from {BASE} traces is as often right as imitation of four times as many (paper: eight times).",
                (
                    Check("times the traces, the number (paper: 8)", bare(times("per-step DPO")), 4.0),
                    Check("times the traces, over seeds", times("per-step DPO"), 1.0),
                ),
            ),
            Claim(
                "steps, not outcomes",
                "Per-step DPO is right at least 3 points more often than DPO of whole answers.",
                lead("per-step DPO minus outcome DPO", more("outcome DPO"), 0.03),
            ),
            Claim(
                "spurious shortcut",
                "Where the shortcut is false, per-step DPO is right at least 5 points more often than imitation of the same traces.",
                lead("per-step DPO minus SFT, wrong notes", more("SFT", "wrong notes"), 0.05),
            ),
            Claim(
                "placebo",
                "Per-step DPO is more often right than the same with Q of shuffled rewards.",
                (Check("per-step DPO minus shuffled, over seeds", more("shuffled"), 0.0),),
            ),
        ),
        arms={
            "SFT": "imitation of 250 to 8,000 traces, whose notes, where they have one, are all right",
            "self-positive": f"rejection sampling: {BASE} traces and every different right sample of their chains are imitated",
            "outcome DPO": "control at equal cost: right samples over wrong ones, as many samples as the per-step arm drew, as many updates",
            "per-step DPO": "a step that went right over the first step of a wrong sample behind which nothing does, after what stands before",
            "shuffled": "placebo: the same rollouts and the same updates, with rewards shuffled among those of a chain",
        },
        tasks="chains of four operations on whole numbers up to 20, with all results in the trace; a note before the chain says what "
        "comes out of the second step, or nothing: in imitated traces always truly, in the probe split never",
        metric="share of 1,000 held-out chains that are right, greedily; traces that imitation needs for as much; 95 % intervals over seeds",
        budget="about 8 minutes of one thread a seed",
        departures="The note is the shortcut. Half of the imitated traces have none: where every one has, a model of 500 traces copied 99 % of "
        "wrong notes (seed 901), and what then came right did so by a second error that mended the first, so that Q said nothing of steps. "
        "Samples are drawn on 500 more chains, of which the answer is used and no trace; the paper takes the questions that were imitated, "
        "which a model that began from nothing knows by heart. A third of their notes is wrong, a third right, a third has none: where none is "
        "wrong no sample could show that copying is not the way. All arms but SFT see these same prompts. What a multiplier is read from "
        "are notes as SFT saw them, so that the arms gain nothing there by having seen wrong ones. A pit is the first step behind which "
        "none of the completions is right (Q of 0), not the largest fall of Q; the samples of a chain count among the rollouts of every "
        "prefix that they go through. Outcome DPO and self-positives draw as many samples of a chain as the per-step arm drew with its "
        "rollouts. All arms go on from the model of 500 traces. Layers are learned by Muon: by AdamW 400 updates had taught less from 2,000 "
        "traces than from 500. The interval of the multiplier has to exclude 1, those of the differences 0. A share beyond the curve counts "
        "as its end. N = 4,000 is left out: on seed 901 2,000 traces were as good as 8,000 (94 and 95 %). The "
        "placebo claim is added; that self-generated positives double the data is shown, not asked.",
        scale="A model that has learned nothing before: what 500 traces teach it is arithmetic itself, where the paper's models bring it along, "
        "and it has seen each trace dozens of times. Chains are worked out in one way only, so that a wrong step is a wrong number; "
        "texts have wrong plans too. One round of samples, all drawn before the first update.",
        run=run,
        imagined=imagined,
        figures=figures,
    )
)
