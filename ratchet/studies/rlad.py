"""RLAD: is a solver that is trained beside a writer of plans better than one that is trained alone, at equal cost?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from random import Random
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import StudyError
from ratchet.core.seeds import Part, rng
from ratchet.core.types import Completion, Draw, Estimate, Play, Split, Task, Trace, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.measure.estimate import pass_at_k, powers_of_two
from ratchet.report.chart import Axis, Series, estimated, line_chart, percent, whole
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register
from ratchet.tasks.countdown import OPERATIONS, task_of
from ratchet.tasks.countdown_lines import STEP, TOP, demonstrate, endings, right, start_of, words

if TYPE_CHECKING:
    from ratchet.learn.batch import Example
    from ratchet.learn.train import Learner
    from ratchet.models.engine import Policy

NAME = "rlad"
COUNT, TARGETS = 4, (10, 12)
LONGEST = 32
WRITER = "abstraction"
ASK, USE = "{task} plan", "{task} {idea} :"
BATCH, RATE, MUON = 64, 4e-3, 0.02  # texts of an update of imitation
PLANS, EACH = 4, 4  # plans of a prompt in an update, and solutions with each
BARE = 2  # of the prompts of an update, those without a plan
LR, WRITER_LR, BETA = 5e-4, 5e-4, 0.04
ARMS = ("grpo", "frozen", "rlad")


DEPARTURES = (
    "Solutions are written one operation a line in the product's own language, whose values are at most 12, since all solutions of a "
    "problem can be listed there, and with them all plans that are true of it. "
    "The paper draws abstractions from a stronger model for its warm start; here a writer imitates plans of known solutions, and the "
    "solver imitates solutions, half of them behind their plan and half without one, so that GRPO starts from the same solver. "
    "Solver and writer are two models of one shape, updated in every step where the paper alternates by phases. "
    "A text that is not a plan is rejected: it earns nothing for the writer or the solver, and nothing counts that is solved with it, "
    "at test time either. That is stricter than to reject whole solutions. "
    "Of 16 prompts of an update 2 are without a plan; what is drawn there has no reward and is held to the solver of the warm start "
    "(KL, 0.04), which is not done to solutions with a plan, nor in GRPO: without it such prompts would teach nothing at all. "
    "Their tokens and those of plans count, so that GRPO has a few more updates of solutions. "
    "Solutions with a plan compete with the three others of the same plan, GRPO's with the fifteen others of the problem. "
    "Plans for the shuffled arm are drawn from those of other problems that name one of this problem's numbers, since others would "
    "give themselves away. One learning rate for all arms and both roles, not searched. "
    "Sizes rest on one pilot (seed 901, validation problems): imitation left a solver that was right in 31 % without a plan, in 64 % with "
    "the plan of a true solution, and in 17 % with plans of a writer that had learned for 350 updates, of which 26 % were true of a "
    "solution. After 18 updates of reinforcement, a fourth of the study's, RLAD stood at 24 % and GRPO at 36 %, both rising; the writer was "
    "then given 600 updates of imitation. "
)


@dataclass(frozen=True)
class Size:
    """Problems that imitation draws from, its updates for solver and writer; sampled tokens of an arm, prompts of an update; held-out
    problems, their plans, and solutions with each."""

    known: int
    solving: int
    writing: int
    tokens: int
    prompts: int
    held: int
    plans: int
    each: int


FULL = Size(1_500, 700, 600, 550_000, 16, 200, 8, 4)
QUICK = Size(20, 1, 1, 100, 4, 3, 2, 2)


# ---- problems and plans ------------------------------------------------------------------------------------------


def problems(split: Split) -> list[Task]:
    """All of a split that have a solution in the language."""
    given = combinations_with_replacement(range(1, TOP + 1), COUNT)
    every = [task_of(list(numbers), target) for numbers in given for target in range(TARGETS[0], TARGETS[1] + 1)]
    return [t for t in every if t.split == split and endings(start_of(t), t.answer)]


def taken(tasks: Sequence[Task], n: int, *path: Part) -> list[Task]:
    """So many of them, the numbers of each in an order by chance. StudyError where there are fewer."""
    if n > len(tasks):
        raise StudyError(f"rlad: {n} problems are asked for, and there are {len(tasks)}; ask for fewer, or widen TARGETS")
    random = rng(NAME, *path)
    return [reordered(random, t) for t in random.sample(tasks, n)]


def reordered(random: Random, task: Task) -> Task:
    return task_of(random.sample(start_of(task), COUNT), task.answer)


def plan_of(task: Task, solution: str) -> str:
    """The operations of the first two lines, the given number that is used last, and the last operation: `+- 3 *`."""
    left = [(n, True) for n in start_of(task)]
    operations, last = "", 0
    for line in solution.split(STEP)[:-1]:
        a, operation, b, _, made, *_ = line.split()
        operations += operation
        for operand in (int(a), int(b)):
            place = [n for n, _ in left].index(operand)
            last = operand if left[place][1] else last
            del left[place]
        left.append((int(made), False))
    return f"{operations[:2]} {last} {operations[2]}"


def rejected(plan: str) -> bool:
    """Whether a text is more than a plan, or none. A plan names one number, where a solution names all four: whatever holds a
    solution, or more of one than is planned, is not three words of these kinds."""
    match plan.split():
        case [first, number, last]:
            return not (first in PAIRS and number in NUMBERS and last in OPERATIONS)
        case _:
            return True


PAIRS = frozenset(a + b for a in OPERATIONS for b in OPERATIONS)
NUMBERS = frozenset(map(str, range(TOP + 1)))


def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [Verdict(Judgement.PASS if right(task, text) else Judgement.FAIL) for task, text in pairs]


# ---- models and what they imitate --------------------------------------------------------------------------------


def new_model(seed: int, role: str) -> Policy:
    """0.1 million random weights."""
    from ratchet.core.seeds import seed as hashed
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer([*words(), "plan", *sorted(PAIRS)])
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=160, max_tokens=56
    )
    return new_policy(shape, tokenizer, hashed(NAME, seed, role), LONGEST, 512)


def taught(
    policy: Policy, write: Callable[[Random, Task], tuple[str, str]], tasks: Sequence[Task], updates: int, *path: Part
) -> None:
    """Imitation of what `write` makes of a problem: a prompt and a text."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    def examples(update: int) -> list[Example]:
        random = rng(NAME, *path, update)
        encode, end = policy.tokenizer.encode, policy.tokenizer.end_id
        texts = [write(random, reordered(random, t)) for t in random.choices(tasks, k=BATCH)]
        return [Example(policy.encode(prompt), (*encode(text), end)) for prompt, text in texts]

    imitate(policy, examples, updates, RATE, MUON)


def with_plan(task: Task, plan: str) -> str:
    from ratchet.search.prompts import written

    return written(USE, task=task.prompt, idea=plan)


def a_solution(random: Random, task: Task) -> tuple[str, str]:
    """For the solver: one of all solutions, half of them behind their plan."""
    text = demonstrate(random, task)
    return (with_plan(task, plan_of(task, text)) if random.random() < 0.5 else task.prompt), text


def a_plan(random: Random, task: Task) -> tuple[str, str]:
    """For the writer: the plan of one of all solutions."""
    from ratchet.search.prompts import written

    return written(ASK, task=task.prompt), plan_of(task, demonstrate(random, task))


# ---- reinforcement -----------------------------------------------------------------------------------------------


def drawn(solver: Policy, writer: Policy, tasks: Sequence[Task], *path: Part, plans: int, each: int) -> list[Trace]:
    """The product's strategy: plans of each problem and solutions with each; without plans, so many plain solutions."""
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies
    from ratchet.search.tools import TOOLS

    scheduler = Scheduler(solver, verify, tools=TOOLS, roles={WRITER: writer}, beside=False)
    if not plans:
        return scheduler.run(strategies["single"], tasks, NAME, *path, samples=each)
    knobs = {"n": plans * each, "abstractions": plans, "ask": ASK, "use": USE}
    return scheduler.run(strategies["abstraction"], tasks, NAME, *path, knobs=knobs)


def plans_and_solutions(trace: Trace) -> tuple[list[Completion], list[list[tuple[Completion, bool]]]]:
    """The plans of a trace, and with each its solutions and whether they are right."""
    asked, *used = [e for e in trace.events if isinstance(e.request, Draw)]
    verdicts = iter(trace.verdicts[len(asked.answer) :])
    return asked.answer, [[(c, next(verdicts).passed) for c in e.answer] for e in used]


def rewards(trace: Trace) -> list[float]:
    """1 for a right solution with a plan that is one; 0 for the plans themselves, whose worth the credit takes from solutions."""
    plans, solutions = plans_and_solutions(trace)
    gained = [float(ok and not rejected(z.text)) for z, own in zip(plans, solutions, strict=True) for _, ok in own]
    return [*[0.0] * len(plans), *gained]


@dataclass
class Roles:
    """The learners of both policies, and the solver as it was before."""

    solver: Learner[Policy]
    writer: Learner[Policy]
    before: Any

    def learn(self, traces: Sequence[Trace], bare: Sequence[Trace], writing: bool) -> None:
        """One update of the solver, of the writer too if it is not frozen."""
        from ratchet.learn.credit import credits
        from ratchet.learn.policy import grpo

        method, tokenizer = grpo(beta=BETA), self.solver.policy.tokenizer
        examples = credits["two-role"](traces, [rewards(t) for t in traces], method.advantage, tokenizer, writer=WRITER)
        [mark] = tokenizer.encode("plan")
        plans = [e for e in examples if e.prefix[-1] == mark]
        solutions = [unanchored(e) for e in examples if e.prefix[-1] != mark and not e.idle]
        self.solver.update([*solutions, *self.anchored(bare)], method)
        if writing:
            self.writer.update(plans, grpo())

    def anchored(self, bare: Sequence[Trace]) -> list[Example]:
        """Solutions without a plan: no reward, so that plans stay in use, but held to what the solver was before."""
        from ratchet.learn.batch import Example
        from ratchet.models.engine import score

        examples = [Example.of(c, 0.0) for t in bare for c in t.completions]
        return [
            e.with_references([row])
            for e, row in zip(examples, score(self.before, [(e.prefix, e.tokens) for e in examples]), strict=True)
        ]


def unanchored(e: Example) -> Example:
    """NaN says that there is no reference."""
    return replace(e, reference=(float("nan"),) * len(e.tokens))


def trained(solver: Policy, writer: Policy, arm: str, tasks: Sequence[Task], size: Size, seed: int) -> list[list[float]]:
    """Reinforcement until so many tokens are sampled, those of plans too. A curve: tokens so far, mean reward of solutions (with a
    plan, but in GRPO), share of plans rejected."""
    from ratchet.learn.credit import credits, rewards_of, verdict_reward
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner
    from ratchet.models.lora import frozen

    roles = Roles(Learner(solver, lr=LR, warmup=5), Learner(writer, lr=WRITER_LR, warmup=5), frozen(solver.model))
    method, spent, log = grpo(), 0, list[list[float]]()
    while spent < size.tokens:
        path = (seed, "update", len(log))
        shown = taken(tasks, size.prompts, *path)
        if arm == "grpo":
            traces = drawn(solver, writer, shown, *path, plans=0, each=PLANS * EACH)
            grouped = rewards_of(traces, verdict_reward)
            roles.solver.update(credits["outcome"](traces, grouped, method.advantage, solver.tokenizer), method)
            bare, gained, lost = [], [r for row in grouped for r in row], [0.0]
        else:
            traces = drawn(solver, writer, shown[BARE:], *path, plans=PLANS, each=EACH)
            bare = drawn(solver, writer, shown[:BARE], *path, plans=0, each=PLANS * EACH)
            roles.learn(traces, bare, writing=arm == "rlad")
            gained = [r for t in traces for r in rewards(t)[PLANS:]]
            lost = [float(rejected(z.text)) for t in traces for z in plans_and_solutions(t)[0]]
        spent += sum(t.cost.sampled_tokens for t in [*traces, *bare])
        log.append([spent, sum(gained) / len(gained), sum(lost) / len(lost)])
    return log


# ---- what is measured --------------------------------------------------------------------------------------------


def behind(plans: Mapping[str, Sequence[str]], each: int) -> Callable[[Task], Play]:
    """A strategy: so many solutions with each of the plans that are given for a problem."""

    def given_plans(task: Task) -> Play:
        solutions = yield [Draw(with_plan(task, plan), n=each) for plan in plans[task.key]]
        return solutions[0][0]

    return given_plans


def others(traces: Sequence[Trace], *path: Part) -> dict[str, list[str]]:
    """For each problem as many plans as were written for it, but such as were written for other problems and name one of its
    numbers: a plan that names none would give itself away."""
    every = [(t.task.key, z.text) for t in traces for z in plans_and_solutions(t)[0] if not rejected(z.text)]
    found: dict[str, list[str]] = {}
    for t in traces:
        numbers = set(map(str, start_of(t.task)))
        fitting = [plan for key, plan in every if key != t.task.key and plan.split()[1] in numbers]
        n = len(plans_and_solutions(t)[0])
        found[t.task.key] = rng(NAME, *path, t.task.key).choices(fitting or ["++ 0 +"], k=n)
    return found


def counts(traces: Sequence[Trace]) -> list[int]:
    """Right solutions of each problem; none of those with a plan that is rejected."""
    found: dict[str, int] = {}
    for t in traces:
        solved_ = sum(rewards(t)) if t.strategy == WRITER else sum(v.passed for v in t.verdicts)
        found[t.task.key] = found.get(t.task.key, 0) + int(solved_)
    return list(found.values())


def true_share(traces: Sequence[Trace]) -> float:
    """Of the plans, those that some solution has."""
    found = [
        z.text in {plan_of(t.task, s) for s in endings(start_of(t.task), t.task.answer)}
        for t in traces
        for z in plans_and_solutions(t)[0]
    ]
    return sum(found) / len(found)


def binned(log: Sequence[Sequence[float]], tokens: int) -> list[list[float]]:
    """Ten points of a curve: tokens at the end of each tenth, and the means in it (of a tenth without an update, the first one's)."""
    parts = [[row for row in log if min(int(10 * row[0] / tokens), 9) == i] or log[:1] for i in range(10)]
    return [[(i + 1) * tokens / 10, *[sum(row[j] for row in part) / len(part) for j in (1, 2)]] for i, part in enumerate(parts)]


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare
    from ratchet.models.scheduler import Scheduler

    prepare(1)
    size = QUICK if quick else FULL
    few, k = size.plans, size.plans * size.each
    every, held = problems("train"), taken(problems("heldout"), size.held, seed, "held")
    known = taken(every, size.known, seed, "known")
    solver, writer = new_model(seed, "solver"), new_model(seed, WRITER)
    taught(solver, a_solution, known, size.solving, seed, "solver")
    taught(writer, a_plan, known, size.writing, seed, WRITER)
    given = lambda plans, each, *path: Scheduler(solver, verify, beside=False).run(behind(plans, each), held, NAME, seed, *path)
    random = rng(NAME, seed, "oracle")
    oracle = {t.key: [plan_of(t, demonstrate(random, t)) for _ in range(few)] for t in held}
    planned = drawn(solver, writer, held, seed, "before", plans=few, each=1)
    before = {
        "plain": counts(drawn(solver, writer, held, seed, "before", plans=0, each=few)),
        "own plan": counts(planned),
        "true plan": counts(given(oracle, 1, "oracle")),
    }
    rate = lambda found, n: sum(found) / len(found) / n
    say("before: " + ", ".join(f"{name} {rate(found, few):.1%}" for name, found in before.items()))
    start = snapshot(solver), snapshot(writer)
    arms: Result = {}
    for arm in ARMS:
        restore(solver, start[0])
        restore(writer, start[1])
        log = trained(solver, writer, arm, every, size, seed)
        alone = arm == "grpo"
        traces = drawn(solver, writer, held, seed, "held", plans=0 if alone else size.plans, each=k if alone else size.each)
        arms[arm] = {
            "curve": binned(log, size.tokens),
            "updates": len(log),
            "counts": counts(traces),
            "true plans": 0.0 if alone else true_share(traces),
        }
        say(f"{arm}: {rate(arms[arm]['counts'], k):.1%} after {len(log)} updates")
        if arm == "rlad":
            arms["one plan"] = {"counts": counts(drawn(solver, writer, held, seed, "one", plans=1, each=k))}
            arms["shuffled"] = {"counts": counts(given(others(traces, seed), size.each, "shuffled"))}
            arms["no plan"] = {"counts": counts(drawn(solver, writer, held, seed, "bare", plans=0, each=k))}
    return {"k": k, "few": few, "before": before, "true plans before": true_share(planned), "arms": arms}


# ---- what is claimed ---------------------------------------------------------------------------------------------


def accuracy(r: Result, arm: str) -> float:
    found = r["arms"][arm]["counts"]
    return sum(found) / len(found) / r["k"]


def solved(r: Result, arm: str) -> float:
    """pass@32: the share of problems with a right one among all samples."""
    found = r["arms"][arm]["counts"]
    return sum(c > 0 for c in found) / len(found)


def ahead(arm: str, other: str) -> Callable[[Result], float]:
    return lambda r: accuracy(r, arm) - accuracy(r, other)


def seeds_ahead(results: Sequence[Result]) -> Estimate:
    """The share of seeds in which RLAD is above GRPO."""
    share = sum(ahead("rlad", "grpo")(r) > 0 for r in results) / len(results)
    return Estimate(share, share, share, len(results), "seeds")


def imagined(outcome: Outcome, seed: int) -> Result:
    step, swing = seed / 100, 0.01 + 0.11 * (seed % 2)
    rates = {
        Outcome.HELD: {"grpo": 0.4, "frozen": 0.45, "rlad": 0.55 + step, "one plan": 0.35, "shuffled": 0.2},
        Outcome.FAILED: {"grpo": 0.5, "frozen": 0.5, "rlad": 0.4 + step, "one plan": 0.45, "shuffled": 0.38},
        Outcome.UNRESOLVED: {
            "rlad": 0.5,
            "shuffled": 0.45 - swing,
            **dict.fromkeys(("grpo", "frozen", "one plan"), 0.5 - swing),
        },
    }[outcome]
    flat = lambda p, k=32: [k] * round(100 * p) + [0] * (100 - round(100 * p))
    curve = [[1_000.0 * (i + 1), 0.3 + i / 100, 0.0] for i in range(10)]
    arms = {arm: {"curve": curve, "updates": 10, "counts": flat(p), "true plans": 0.5} for arm, p in rates.items()}
    before = {"plain": flat(0.3, 8), "own plan": flat(0.3, 8), "true plan": flat(0.6, 8)}
    return {"k": 32, "few": 8, "before": before, "true plans before": 0.4, "arms": {**arms, "no plan": arms["grpo"]}}


def figures(results: Sequence[Result]) -> list[str]:
    ks = Axis("samples k", lambda v: f"{v:.0f}", lambda v: f"{v:.0f}", log2=True)

    def curve(title: str, what: int, names: Sequence[str]) -> str:
        at = lambda arm, i: over_seeds(lambda r: r["arms"][arm]["curve"][i][what])(results)
        points = [row[0] for row in results[0]["arms"]["rlad"]["curve"]]
        lines = [Series(arm, [estimated(x, at(arm, i)) for i, x in enumerate(points)]) for arm in names]
        return line_chart(title, lines, whole("sampled tokens"), percent("share", (0.0, 1.0)))

    def at_k(name: str, k: int) -> Effect:
        def value(r: Result) -> float:
            found, n = (r["before"]["plain"], r["few"]) if name == "before" else (r["arms"][name]["counts"], r["k"])
            return sum(pass_at_k(n, c, k) for c in found) / len(found)

        return over_seeds(value)

    def coverage(name: str) -> Series:
        return Series(
            name, [estimated(k, at_k(name, k)(results)) for k in powers_of_two(results[0]["few" if name == "before" else "k"])]
        )

    names = ("before", *ARMS, "one plan", "shuffled", "no plan")
    return [
        line_chart(
            "Held-out problems with a right one among k of the samples",
            list(map(coverage, names)),
            ks,
            percent("pass@k", (0.0, 1.0)),
        ),
        curve("Right solutions while training", 1, ARMS),
        curve("Rejected plans while training", 2, ("frozen", "rlad")),
    ]


register(
    Study(
        name=NAME,
        title="A writer of plans and a solver, trained together, beat a solver trained alone at equal cost",
        paper="Qu et al. 2025, RLAD: Training LLMs to Discover Abstractions for Solving Reasoning Problems, arXiv 2510.02263",
        claims=(
            Claim(
                "better",
                "At as many sampled tokens RLAD is at least 4 points above GRPO on held-out problems, and ahead in four of five seeds.",
                (
                    Check("held-out accuracy: RLAD minus GRPO", over_seeds(ahead("rlad", "grpo")), 0.04),
                    Check("seeds in which RLAD is ahead", seeds_ahead, 0.8),
                ),
            ),
            Claim(
                "used",
                "The solver uses its plan: those of other problems cost at least 10 points.",
                (Check("held-out accuracy: own plans minus others'", over_seeds(ahead("rlad", "shuffled")), 0.1),),
            ),
            Claim(
                "spread",
                "Of 32 solutions, 4 with each of 8 plans solve at least 5 points more problems than all with one.",
                (Check("pass@32: 8 plans minus one", over_seeds(lambda r: solved(r, "rlad") - solved(r, "one plan")), 0.05),),
            ),
            Claim(
                "writer",
                "The writer gains by learning: where it is frozen, accuracy is at least 2 points lower.",
                (Check("held-out accuracy: RLAD minus frozen writer", over_seeds(ahead("rlad", "frozen")), 0.02),),
            ),
        ),
        arms={
            "grpo": "control: the solver alone, without plans, at as many sampled tokens",
            "frozen": "the solver learns with plans of the writer that imitation left",
            "rlad": "the solver is rewarded for right solutions with a plan, the writer for the mean of those with its plan",
            "shuffled": "placebo: RLAD's solver with plans that were written for other problems",
            "one plan": "RLAD's solver, all 32 solutions with one plan",
            "no plan": "RLAD's solver without a plan",
        },
        tasks="Countdown with 4 numbers up to 12 and targets from 10 to 12, one operation a line, with what is left; a plan is three words: the "
        "operations of the first two lines, the given number that is used last, and the last operation",
        metric="share of right solutions on 200 held-out problems, 32 for each, 4 with each of 8 plans; pass@32",
        budget="about 6 minutes of one thread a seed",
        departures=DEPARTURES,
        scale="Two models of 0.1 million weights, and plans of three words that leave a handful of solutions. The paper's abstractions are "
        "paragraphs of advice by a pretrained model, and its problems are hard ones of mathematics.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
