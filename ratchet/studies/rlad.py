"""RLAD: is a solver that is trained beside a writer of plans better than one that is trained alone, at equal cost?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from random import Random
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import StudyError
from ratchet.core.seeds import Part, rng
from ratchet.core.types import Completion, Draw, Split, Task, Trace, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.report.chart import Axis, Series, estimated, line_chart, percent
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
TASKS, PLANS, EACH = 16, 4, 4  # prompts of an update, plans of each, and solutions with each plan
BARE = 2  # of the prompts, those without a plan
LR, WRITER_LR, BETA = 5e-4, 5e-4, 0.04
K, MANY = 32, 8  # samples of a held-out problem, and plans that they are drawn with
ARMS = ("grpo", "frozen", "rlad")


@dataclass(frozen=True)
class Size:
    """Problems that imitation draws from, its updates for solver and writer, sampled tokens of an arm, held-out problems."""

    known: int
    solving: int
    writing: int
    tokens: int
    held: int


FULL = Size(1_500, 700, 350, 400_000, 200)
QUICK = Size(20, 2, 2, 4_000, 3)


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


def taught(policy: Policy, write: Callable[[Random, Task], tuple[str, str]], tasks: Sequence[Task], updates: int, *path: Part) -> None:
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
    """Both policies, their learners, and the solver as it was before."""

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
        return [e.with_references([row]) for e, row in zip(examples, score(self.before, [(e.prefix, e.tokens) for e in examples]), strict=True)]


def unanchored(e: Example) -> Example:
    """NaN says that there is no reference."""
    return replace(e, reference=(float("nan"),) * len(e.tokens))


def trained(solver: Policy, writer: Policy, arm: str, tasks: Sequence[Task], tokens: int, seed: int) -> list[list[float]]:
    """Reinforcement until so many tokens are sampled, those of plans too. A curve: tokens so far, mean reward of solutions (with a
    plan, but in GRPO), share of plans rejected."""
    from ratchet.learn.credit import credits
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner
    from ratchet.models.lora import frozen

    roles = Roles(Learner(solver, lr=LR, warmup=5), Learner(writer, lr=WRITER_LR, warmup=5), frozen(solver.model))
    method, spent, log = grpo(), 0, list[list[float]]()
    while spent < tokens:
        path = (seed, "update", len(log))
        shown = taken(tasks, TASKS, *path)
        if arm == "grpo":
            traces = drawn(solver, writer, shown, *path, plans=0, each=PLANS * EACH)
            grouped = [[float(t.verdicts[0].passed) for t in traces[i : i + PLANS * EACH]] for i in range(0, len(traces), PLANS * EACH)]
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
