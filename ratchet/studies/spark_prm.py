"""SPARK: step labels from many noisy verifications, a process reward model taught by them, and reinforcement with it alone."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratchet.core.seeds import rng, seed
from ratchet.core.types import Draw, Split, Task, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.measure.process import first_errors
from ratchet.report.chart import Axis, Series, estimated, line_chart, percent, whole
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register
from ratchet.tasks.countdown import Node, combine
from ratchet.tasks.family import Source

if TYPE_CHECKING:
    from ratchet.learn.critic import Judged
    from ratchet.models.critic import Critic
    from ratchet.models.engine import Policy
    from ratchet.models.scheduler import Verify

STEPS = 3
TOP = 12
KNOBS = {"steps": STEPS, "largest": 6, "top": TOP}
VOTES = 16
WARMTH = 1.75  # the temperature of a verification
BATCH = 32  # texts of an update, where nothing else is said
STEPS_AT_ONCE = 64  # single steps of an update, which are short
RATE = 3e-4  # of reinforcement: at 1e-3 a pilot's solver was ruined
WRONG = 0.25  # of the steps of a planted solution
SLOPPY = 0.3  # of the texts that the solver has seen skip steps or repeat one
LABELS = ("one verification", "16 votes", "true outcome")
STEP = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")
Step = tuple[int, str, int, int]
"""a, operation, b, and what is said to come out."""


@dataclass(frozen=True)
class Size:
    """Updates of the verifier, of each PRM, of the solver and of reinforcement; solutions to label and to look at; tasks."""

    verifier: int
    prm: int
    solver: int
    turns: int
    updates: int
    solutions: int
    held: int


DEPARTURES = (
    "The verifier is trained from nothing on right verifications of planted errors, and stopped early; nothing after it sees the truth. "
    "It verifies a step by writing what it should have said, then yes or no, at a temperature of 1.75: its errors are then mostly slips, "
    "which votes can remove. Both were chosen on other seeds so that a pass is right on 70 to 80 % of the steps. "
    "Verifier and PRM see one step at a time, which holds all that it takes to judge it, not the task and the steps before. "
    "There is no meta-critique. The PRM starts from the verifier, with a block and a value of its own; it writes no verification. "
    "How many solutions are labelled decides how much votes are worth: a PRM that sees enough single verifications of the same step "
    "averages them itself. The format constraints ask for the steps that the task names, each once and in their order. "
    "The solver, of 0.1 million parameters, has seen, in three tenths of its texts, right solutions that leave steps out or repeat one: habits that "
    "a large model has from elsewhere, and without which a small one would not find what can be hacked. The reward of a chain is the "
    "value of its worst step. The gap is the rise of the mean reward less the rise of the share of right answers. "
    "Values are whole and at most 12, and chains have three steps, so that the small models learn them in the time there was."
)
FULL = Size(verifier=400, prm=350, solver=600, turns=3, updates=12, solutions=1_500, held=300)
QUICK = Size(2, 2, 2, 1, 1, 8, 8)


def problems(split: Split, n: int, *path: str | int) -> list[Task]:
    return Source("arithmetic", "", KNOBS).take(split, n, "spark-prm", *path)


# ---- solutions with planted errors -------------------------------------------------------------------------------


def result(a: int, operation: str, b: int) -> int | None:
    joined = combine(Node(a), Node(b), operation, TOP)
    return None if joined is None else joined.value


def planted(random_: random.Random, task: Task) -> tuple[list[Step], list[bool]]:
    """A solution whose steps come out wrong by chance and go on from what was said; the truth of each step, which nothing but
    the first verifier and the measuring sees. What cannot be worked out from what was said is wrong whatever is said."""
    value, steps, truth = task.facts["start"], list[Step](), list[bool]()
    for operation, operand in task.facts["chain"]:
        said = true = result(value, operation, operand)
        if said is None or random_.random() < WRONG:
            near = [n for n in range(max(0, value - 9), min(TOP, value + 9) + 1) if n != true]
            said = random_.choice(near if true is None else [n for n in range(TOP + 1) if 0 < abs(n - true) <= 3])
        steps.append((value, operation, operand, said))
        truth.append(said == true)
        value = said
    return steps, truth


def written(steps: Sequence[Step]) -> str:
    return " then ".join(f"{a} {o} {b} = {c}" for a, o, b, c in steps) + f" answer {steps[-1][3]}"


def asked(step: Step) -> str:
    """The question about a step. What it starts from stands in it, so that no other step is needed to judge it."""
    a, operation, b, said = step
    return f"{a} {operation} {b} = {said} check"


def steps_in(text: str) -> list[Step]:
    return [(int(a), o, int(b), int(c)) for a, o, b, c in STEP.findall(text)]


def well_formed(task: Task, text: str) -> bool:
    """The format constraints, which need no reference: the steps that were asked for, each once and from what the one before
    says, then one answer, which is what the last step says."""
    steps = steps_in(text)
    chained = [a for a, _, _, _ in steps] == [task.facts["start"], *(c for _, _, _, c in steps)][: len(steps)]
    return chained and [[o, b] for _, o, b, _ in steps] == task.facts["chain"] and " ".join(text.split()) == written(steps)


def right(task: Task, text: str) -> bool:
    """Whether the text's last answer is the true one: what reinforcement without references never asks."""
    found = re.findall(r"answer (\d+)", text)
    return bool(found) and int(found[-1]) == task.answer


def sloppy(random_: random.Random, task: Task) -> str:
    """A right solution; in some texts steps are left out at the end or one is said again."""
    value, steps = task.facts["start"], list[Step]()
    for operation, operand in task.facts["chain"]:
        true = result(value, operation, operand)
        assert true is not None
        steps.append((value, operation, operand, true))
        value = true
    if random_.random() < SLOPPY:
        steps = random_.choice([steps[:1], steps[:-1], [*steps, steps[-1]], [steps[0], *steps]])
    return written(steps)


# ---- models ------------------------------------------------------------------------------------------------------


def new(width: int, layers: int, run_seed: int, longest: int) -> Policy:
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer, reasoning_words

    tokenizer = WordTokenizer([*reasoning_words(TOP), "check"])
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=width, layers=layers, heads=4, kv_heads=4, head_width=width // 4,
        hidden=width * 8 // 3, max_tokens=96,
    )  # fmt: skip
    return new_policy(shape, tokenizer, run_seed, longest, 512)


def taught(
    policy: Policy,
    tasks: Sequence[Task],
    write: Callable[[random.Random, Task], tuple[str, str]],
    updates: int,
    *path: str | int,
    batch: int = BATCH,
) -> None:
    """Imitation of what `write` gives: what stands before, and what is learned."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    def examples(update: int) -> list[Example]:
        drawn = rng(*path, update).choices(tasks, k=batch)
        texts = [write(rng(*path, update, i), t) for i, t in enumerate(drawn)]
        tokenizer = policy.tokenizer
        return [Example(policy.encode(before), (*tokenizer.encode(after), tokenizer.end_id)) for before, after in texts]

    imitate(policy, examples, updates, 3e-3)


def verification(random_: random.Random, task: Task) -> tuple[str, str]:
    """The question about a step, what it should have said (0 where nothing can be worked out), and the verdict."""
    steps, truth = planted(random_, task)
    k = random_.randrange(STEPS)
    a, operation, b, _ = steps[k]
    return asked(steps[k]), f"{result(a, operation, b) or 0} {'yes' if truth[k] else 'no'}"


def votes(policy: Policy, solutions: Sequence[Sequence[Step]], *path: str | int) -> list[list[list[bool]]]:
    """Of each solution VOTES verifications, each the verdict on every step; whatever is not a yes is a no."""
    places = [(i, k) for i in range(len(solutions)) for k in range(STEPS)]
    draws = [Draw(asked(solutions[i][k]), n=VOTES, max_tokens=2, temperature=WARMTH) for i, k in places]
    drawn = policy.sample(draws, [[seed(*path, i, k, vote) for vote in range(VOTES)] for i, k in places])
    yes = {place: [c.text.endswith(" yes") for c in own] for place, own in zip(places, drawn, strict=True)}
    return [[[yes[i, k][vote] for k in range(STEPS)] for vote in range(VOTES)] for i in range(len(solutions))]


def judged(policy: Policy, step: Step, label: bool) -> Judged:
    """A step with its label after the last token of the question about it."""
    from ratchet.learn.critic import Judged

    first, *rest = policy.encode(asked(step))
    return Judged((first,), tuple(rest), steps=((len(rest) - 1, float(label)),))


def step_values(critic: Critic, policy: Policy, solutions: Sequence[Sequence[Step]]) -> list[list[float]]:
    """The PRM's value of each step of each solution."""
    encoded = {step: policy.encode(asked(step)) for steps in solutions for step in steps}
    found = critic.values([(tokens[:1], tokens[1:]) for tokens in encoded.values()]) if encoded else []
    value = {step: own[-1] for step, own in zip(encoded, found, strict=True)}
    return [[value[step] for step in steps] for steps in solutions]


def first_error(labels: Sequence[bool]) -> int:
    """The place of the first wrong step; -1 where there is none."""
    return next((i for i, ok in enumerate(labels) if not ok), -1)


def f1(found: Sequence[int], true: Sequence[int]) -> float:
    """ProcessBench's, of places of first errors, -1 where there is none; 0 where one kind of solution is missing."""
    places, labels = ([place if place >= 0 else None for place in row] for row in (found, true))
    estimate = first_errors(places, labels).f1
    return estimate.value if estimate else 0.0


# ---- the run -----------------------------------------------------------------------------------------------------


def run(seed_: int, quick: bool, say: Say) -> Result:
    from ratchet.learn.critic import critics, fit
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.critic import critic_from
    from ratchet.models.machine import prepare

    prepare(1)
    size = QUICK if quick else FULL
    train = problems("train", 2_000 if not quick else 40, seed_)
    verifier = new(96, 2, seed_, 2)
    taught(verifier, train, verification, size.verifier, "spark-prm", seed_, "verifier", batch=2 * BATCH)
    tasks = [train[i % len(train)] for i in range(size.solutions)]
    solutions = [planted(rng("spark-prm", seed_, "solution", i), t) for i, t in enumerate(tasks)]
    said = votes(verifier, [s for s, _ in solutions], "spark-prm", seed_, "votes")
    labels = {
        "one verification": [own[0] for own in said],
        "16 votes": [[2 * sum(v[k] for v in own) > VOTES for k in range(STEPS)] for own in said],
        "true outcome": [[s[-1][3] == t.answer] * STEPS for t, (s, _) in zip(tasks, solutions, strict=True)],
    }
    truth = [ok for _, ok in solutions]
    single = sum(v[k] == ok[k] for own, ok in zip(said, truth, strict=True) for v in own for k in range(STEPS))
    result: Result = {
        "label accuracy": {"single pass": single / (len(tasks) * VOTES * STEPS)}
        | {n: agreeing(x, truth) for n, x in labels.items()},
    }
    say("labels: " + ", ".join(f"{n} {x:.1%}" for n, x in result["label accuracy"].items()))

    held = problems("heldout", size.held, "held")
    looked = [planted(rng("spark-prm", seed_, "held", i), t) for i, t in enumerate(held)]
    true = [first_error(ok) for _, ok in looked]
    prms: dict[str, Critic] = {}
    result["f1"] = {}
    for name in LABELS:
        prms[name] = critic_from(verifier, blocks=1)
        texts = [
            judged(verifier, step, ok)
            for (steps, _), own in zip(solutions, labels[name], strict=True)
            for step, ok in zip(steps, own, strict=True)
        ]
        fit(
            prms[name],
            critics["prm"],
            lambda update, texts=texts: rng("spark-prm", seed_, "batch", update).choices(texts, k=STEPS_AT_ONCE),
            size.prm,
            1e-3,
        )
        values = step_values(prms[name], verifier, [s for s, _ in looked])
        result["f1"][name] = f1([first_error([v > 0.5 for v in own]) for own in values], true)
        say(f"PRM of {name}: F1 {result['f1'][name]:.3f}")

    solver = new(64, 2, seed_, 8 * STEPS)
    taught(solver, train, lambda random_, t: (t.prompt, sloppy(random_, t)), size.solver, "spark-prm", seed_, "solver")
    start = snapshot(solver)
    result["curves"] = {}
    for arm, verify in rewarders(prms["16 votes"], verifier).items():
        restore(solver, start)
        result["curves"][arm] = reinforced(seed_, solver, verify, held, size)
        first, last = result["curves"][arm][0], result["curves"][arm][-1]
        say(f"{arm}: reward {first['reward']:.1%} -> {last['reward']:.1%}, right {first['right']:.1%} -> {last['right']:.1%}")
    return result


def agreeing(labels: Sequence[Sequence[bool]], truth: Sequence[Sequence[bool]]) -> float:
    """The share of steps that are labelled as they are."""
    return sum(a == b for x, y in zip(labels, truth, strict=True) for a, b in zip(x, y, strict=True)) / sum(map(len, truth))


def rewarders(prm: Critic, encoder: Policy) -> dict[str, Verify]:
    """What each arm of reinforcement is paid: the truth, or the PRM's verdict on a chain, which is that on its worst step."""

    def by_truth(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [scored(float(right(t, text))) for t, text in pairs]

    def by_prm(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [scored(min(values, default=0.0)) for values in step_values(prm, encoder, [steps_in(text) for _, text in pairs])]

    def by_prm_in_format(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [v if well_formed(t, text) else scored(0.0) for v, (t, text) in zip(by_prm(pairs), pairs, strict=True)]

    return {"truth": by_truth, "PRM in format": by_prm_in_format, "PRM": by_prm}


def scored(value: float) -> Verdict:
    return Verdict(Judgement.PASS if value > 0.5 else Judgement.FAIL, score=value)


def reinforced(seed_: int, policy: Policy, verify: Verify, held: Sequence[Task], size: Size) -> list[Result]:
    """The same reinforcement for every arm; a look before it and after each turn at what it is paid and what is true."""
    from ratchet.loop.lab import reinforce, sampled
    from ratchet.loop.recipe import Optimizer, Recipe, Reinforcement, Tasks

    curve: list[Result] = []

    def look(taken: int) -> None:
        traces = sampled(policy, held, 2, verify, "spark-prm", seed_, "look", taken)
        drawn = [(t, c, v) for t in traces for c, v in zip(t.completions, t.verdicts, strict=True)]
        curve.append(
            {
                "updates": taken,
                "reward": sum(v.score or 0.0 for _, _, v in drawn) / len(drawn),
                "right": sum(right(t.task, c.text) for t, c, _ in drawn) / len(drawn),
                "in format": sum(well_formed(t.task, c.text) for t, c, _ in drawn) / len(drawn),
                "steps": sum(len(steps_in(c.text)) for _, c, _ in drawn) / len(drawn),
            }
        )

    settings = Reinforcement(
        turns=size.turns,
        updates=size.updates,
        tasks=32,
        samples=8,
        method="rloo",
        credit="outcome",
        optimizer=Optimizer(lr=RATE, warmup=5, final=0.1),
    )
    recipe = Recipe(
        "spark-prm",
        seed=seed_,
        max_tokens=8 * STEPS,
        batch=512,
        reward="score",
        tasks=Tasks("arithmetic", knobs=KNOBS),
        reinforcement=settings,
    )
    reinforce(policy, recipe, verify, look)
    return curve


# ---- what is claimed ---------------------------------------------------------------------------------------------


def grown(r: Result, arm: str, what: str) -> float:
    """A number after reinforcement less that before."""
    return r["curves"][arm][-1][what] - r["curves"][arm][0][what]


def gap(r: Result, arm: str) -> float:
    """How much more the reward has risen than what is true."""
    return grown(r, arm, "reward") - grown(r, arm, "right")


def better(a: str, b: str) -> Effect:
    return over_seeds(lambda r: r["f1"][a] - r["f1"][b])


def imagined(outcome: Outcome, seed: int) -> Result:
    off = (seed - 2) * (0.002 if outcome is not Outcome.UNRESOLVED else 0.1)
    voted, f1s, prm, hacked, kept = {
        Outcome.HELD: (0.9, (0.6, 0.8, 0.5), 0.9, 0.4, 0.9),
        Outcome.FAILED: (0.76, (0.7, 0.6, 0.8), 0.6, 0.94, 0.9),
        Outcome.UNRESOLVED: (0.83, (0.75, 0.8, 0.81), 0.86, 0.85, 0.89),
    }[outcome]

    def curve(reward: float, right: float) -> list[Result]:
        looks = ((0, 0.5, 0.5), (60, reward, right))
        return [{"updates": u, "reward": a, "right": b, "in format": 1.0, "steps": 3.0} for u, a, b in looks]

    return {
        "label accuracy": {"single pass": 0.75, "one verification": 0.75, "16 votes": voted + off, "true outcome": 0.7},
        "f1": {name: x + off * (name == "16 votes") for name, x in zip(LABELS, f1s, strict=True)},
        "curves": {
            "truth": curve(0.9, 0.9),
            "PRM in format": curve(kept, prm + off / 2),
            "PRM": curve(0.95 + off / 4, hacked + off),
        },
    }


def figures(results: Sequence[Result]) -> list[str]:
    def bars(title: str, names: Sequence[str], value: Callable[[Result, str], float], y: Axis) -> str:
        points = [estimated(i, over_seeds(lambda r, name=name: value(r, name))(results)) for i, name in enumerate(names)]
        return line_chart(title, [Series(title, points)], Axis("labels", str, str, names=dict(enumerate(names))), y)

    def looks(what: str, title: str, y: Axis) -> str:
        def series(arm: str) -> Series:
            at = lambda i: over_seeds(lambda r: r["curves"][arm][i][what])(results)
            return Series(arm, [estimated(look["updates"], at(i)) for i, look in enumerate(results[0]["curves"][arm])])

        return line_chart(title, [series(arm) for arm in results[0]["curves"]], whole("updates"), y)

    return [
        bars("Labels that are right", ["single pass", *LABELS], lambda r, n: r["label accuracy"][n], percent("share of steps")),
        bars("First errors that a PRM finds", LABELS, lambda r, n: r["f1"][n], percent("F1")),
        looks("right", "What is true", percent("right answers")),
        looks("reward", "What is paid", percent("mean reward")),
        looks("in format", "In format", percent("share of texts")),
    ]


register(
    Study(
        name="spark-prm",
        title="A reward model taught by votes of a noisy verifier is as good a teacher as the truth, as long as the format is held",
        paper="SPARK: Stepwise Process-Aware Rewards for Reference-Free Reinforcement Learning, 2025 (C43 of the map)",
        claims=(
            Claim(
                "votes",
                "Step labels by 16 votes are right at least 8 points more often than those of a single verification.",
                (
                    Check(
                        "label accuracy: 16 votes minus a single pass",
                        over_seeds(lambda r: r["label accuracy"]["16 votes"] - r["label accuracy"]["single pass"]),
                        0.08,
                    ),
                ),
            ),
            Claim(
                "process reward model",
                "Taught by votes it finds first errors at least 5 points of F1 better than taught by one verification, and no more than 1 "
                "worse than taught by true outcomes.",
                (
                    Check("F1: 16 votes minus one verification", better("16 votes", "one verification"), 0.05),
                    Check("F1: 16 votes minus true outcome", better("16 votes", "true outcome"), -0.01),
                ),
            ),
            Claim(
                "reference-free",
                "Reinforcement by the reward model, in format, reaches at least 90 % of what reinforcement by the truth gains.",
                (
                    Check(
                        "gain by the PRM minus nine tenths of the gain by the truth",
                        over_seeds(lambda r: grown(r, "PRM in format", "right") - 0.9 * grown(r, "truth", "right")),
                        0.0,
                    ),
                ),
            ),
            Claim(
                "hacking",
                "Without format constraints the reward rises and the truth lags at least 10 points behind; with them at most 3.",
                (
                    Check("rise of the reward without constraints", over_seeds(lambda r: grown(r, "PRM", "reward")), 0.0),
                    Check("reward's rise minus the truth's, without", over_seeds(lambda r: gap(r, "PRM")), 0.10),
                    Check("reward's rise minus the truth's, with", over_seeds(lambda r: gap(r, "PRM in format")), most=0.03),
                ),
            ),
        ),
        arms={
            "one verification": "control: the PRM taught the verdicts of one sampled verification of each solution",
            "16 votes": "the same solutions labelled by the majority of 16 verifications, step by step",
            "true outcome": "the same, every step labelled by whether the solution's answer is true",
            "truth": "reinforcement paid for true answers",
            "PRM in format": "paid the PRM's value of the worst step, nothing outside the format; no reference is used",
            "PRM": "the same without constraints: what can be hacked",
        },
        tasks="chains of three operations on whole numbers up to 12, steps with planted errors in a "
        "quarter of them; 300 held-out chains, apart from training by content",
        metric="share of step labels that are true; F1 of first errors as in ProcessBench; right answers and reward before and after "
        "36 updates of 256 samples",
        budget="5 to 10 minutes of one thread a seed, by how busy the machine is",
        departures=DEPARTURES,
        scale="The verifier recomputes what a table holds; that votes remove errors which a large model makes every time is not shown.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
