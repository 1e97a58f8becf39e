"""Meta Chain-of-Thought: is search that is written out, dead ends and all, better to learn from than what it finds?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import log2
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Outcome as Judgement
from ratchet.core.types import Split, Task, Trace, Verdict
from ratchet.report.chart import Axis, Series, estimated, line_chart, number, percent, whole
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register
from ratchet.tasks import maze_traces
from ratchet.tasks.maze_traces import ANSWER, BACK, right, unsound

if TYPE_CHECKING:
    from ratchet.models.engine import Policy

NAME = "meta-cot"
SIZE = 5  # cells along a side of a maze
BUDGETS = (8, 16, 24, 32, 40, 48)  # tokens of search after which the answer is asked for
EXAMPLES, RATE, MUON = 64, 3e-3, 0.02  # of imitation
GRPO_RATE, SAMPLES = 1e-3, 8
ARMS: dict[str, Callable[[Random, Task], str]] = {
    "solution": lambda r, t: maze_traces.solution(t),
    "optimal path": lambda r, t: maze_traces.optimal_path(t),
    "depth first": maze_traces.depth_first_trace,
    "A*": lambda r, t: maze_traces.a_star_trace(t),
}
SEARCHES = ("depth first", "A*")


@dataclass(frozen=True)
class Scale:
    """Tokens of imitation; updates of reinforcement, mazes of each; held-out mazes of each half, samples of each; the length cap of
    reinforcement and of every look."""

    tokens: int
    updates: int
    mazes: int
    held: int
    samples: int
    longest: int


FULL = Scale(1_200_000, 40, 16, 200, 2, 56)
QUICK = Scale(1_500, 1, 2, 2, 1, 8)


# ---- mazes -------------------------------------------------------------------------------------------------------


def mazes(split: Split, n: int, *path: Part, depth: tuple[int, int] = (2, SIZE * SIZE)) -> list[Task]:
    """`n` mazes of a split whose way from start to goal has so many cells, two bounds."""
    random, found = rng(NAME, *path), dict[str, Task]()
    while len(found) < n:
        task = maze_traces.draw(random, SIZE)
        if task.split == split and depth[0] <= len(task.answer) <= depth[1]:
            found[task.key] = task
    return list(found.values())


@cache
def usual_depth() -> int:
    """The median of what training mazes ask for: the cells of their ways."""
    return int(median(len(t.answer) for t in mazes("train", 1_001, "depth")))


def held_out(n: int, *path: Part) -> dict[str, list[Task]]:
    return {
        "easy": mazes("heldout", n, *path, "easy", depth=(2, usual_depth())),
        "hard": mazes("heldout", n, *path, "hard", depth=(usual_depth() + 1, SIZE * SIZE)),
    }


def verify(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    return [Verdict(Judgement.PASS if right(task, text) else Judgement.FAIL) for task, text in pairs]


# ---- learning ----------------------------------------------------------------------------------------------------


def new_model(seed: int, longest: int) -> Policy:
    """0.16 million random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(maze_traces.words(SIZE))
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=3, heads=4, kv_heads=4, head_width=16, hidden=160, max_tokens=128
    )
    return new_policy(shape, tokenizer, seed, longest, 512)


def taught(policy: Policy, write: Callable[[Random, Task], str], tokens: int, *path: Part) -> int:
    """Imitation of about so many tokens, prompts and texts; every maze is shown once. The number of updates."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id

    def examples(update: int) -> list[Example]:
        drawn = mazes("train", EXAMPLES, *path, update)
        texts = [write(rng(NAME, *path, update, t.key), t) for t in drawn]
        return [Example(policy.encode(t.prompt), (*encode(x), end)) for t, x in zip(drawn, texts, strict=True)]

    updates = max(1, round(tokens / sum(map(len, examples(0)))))
    imitate(policy, examples, updates, RATE, MUON)
    return updates


def sampled(
    policy: Policy, tasks: Sequence[Task], samples: int, *path: Part, strategy: str = "single", **knobs: Any
) -> list[Trace]:
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies

    return Scheduler(policy, verify, beside=False).run(strategies[strategy], tasks, NAME, *path, knobs=knobs, samples=samples)


def reinforced(policy: Policy, scale: Scale, *path: Part) -> list[float]:
    """GRPO on outcomes, the same for every arm; the share of right samples in each update."""
    from ratchet.learn.credit import credits, rewards_of, verdict_reward
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner

    method, learner = grpo(), Learner(policy, lr=GRPO_RATE, warmup=5, steps=scale.updates, final=0.1)
    shares: list[float] = []
    for update in range(scale.updates):
        traces = sampled(policy, mazes("train", scale.mazes, *path, update), SAMPLES, *path, update)
        rewards = rewards_of(traces, verdict_reward)
        learner.update(credits["outcome"](traces, rewards, method.advantage, policy.tokenizer), method)
        shares.append(share_right(traces))
    return shares


# ---- measuring ---------------------------------------------------------------------------------------------------


def share_right(traces: Sequence[Trace]) -> float:
    """Of the answers that were given in the end; a cut search is none."""
    return sum(t.verdict is not None and t.verdict.passed for t in traces) / len(traces)


def per_text(traces: Sequence[Trace], value: Callable[[Task, str], float]) -> float:
    texts = [(t.task, c.text) for t in traces for c in t.completions]
    return sum(value(*pair) for pair in texts) / len(texts)


def a_search(task: Task, text: str) -> bool:
    """Whether what stands before the answer is a search of the maze that ends at the goal."""
    return next(unsound(task, text), None) is None


def looked(policy: Policy, held: dict[str, list[Task]], samples: int, *path: Part) -> Result:
    """Of each half: right answers, tokens, returns, and sound searches per text."""

    def look(half: str) -> Result:
        traces = sampled(policy, held[half], samples, *path, half)
        return {
            "right": share_right(traces),
            "tokens": sum(t.cost.sampled_tokens for t in traces) / len(traces),
            "returns": per_text(traces, lambda _, text: text.split().count(BACK)),
            "sound": per_text(traces, a_search),
        }

    return {half: look(half) for half in held}


def by_budget(policy: Policy, tasks: Sequence[Task], samples: int, *path: Part) -> list[float]:
    """Right answers where the search is cut after so many tokens, and the answer asked for."""
    forced = lambda tokens: sampled(
        policy, tasks, samples, *path, tokens, strategy="budget-forcing", turns=1, thinking=tokens, answer=ANSWER
    )
    return [share_right(forced(tokens)) for tokens in BUDGETS]


class Plainly:
    """Steps of sampling that go through the model's own `logits`, also where the rows are few."""

    def follow(self, model: Any, bf16: bool) -> None: ...

    def step(self, *given: Any) -> Any:
        from ratchet.models.sampling import next_tokens

        return next_tokens(*given)


@contextmanager
def without(policy: Any, word: str) -> Iterator[None]:
    """The policy cannot say the word."""
    [token] = policy.tokenizer.encode(word)
    logits, steps = policy.model.logits, policy.steps

    def masked(hidden: Any) -> Any:
        found = logits(hidden).clone()
        found[..., token] = float("-inf")
        return found

    policy.model.logits, policy.steps = masked, Plainly()
    try:
        yield
    finally:
        policy.model.logits, policy.steps = logits, steps


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare

    prepare(1)
    scale = QUICK if quick else FULL
    held = held_out(scale.held, seed, "held")
    arms: Result = {}
    for arm, write in ARMS.items():
        policy = new_model(seed, scale.longest)  # the same for every arm
        updates = taught(policy, write, scale.tokens, seed, "taught")
        before = looked(policy, held, scale.samples, seed, "before")
        say(f"{arm}: {before['hard']['right']:.1%} of the hard half after imitation, {before['hard']['sound']:.1%} sound")
        shares = reinforced(policy, scale, seed, "reinforced")
        after = looked(policy, held, scale.samples, seed, "after")
        budgets = by_budget(policy, held["hard"], scale.samples, seed, "budget")
        with without(policy, BACK):
            banned = looked(policy, held, scale.samples, seed, "after")
        arms[arm] = {
            "updates": updates,
            "before": before,
            "rewards": shares,
            "after": after,
            "budgets": budgets,
            "banned": banned,
        }
        say(f"{arm}: {after['hard']['right']:.1%} after reinforcement, {banned['hard']['right']:.1%} without {BACK}; {budgets}")
    return {"depth": usual_depth(), "arms": arms}
