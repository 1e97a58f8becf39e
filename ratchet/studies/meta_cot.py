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
from ratchet.core.types import Draw, Play, Split, Task, Trace, Verdict
from ratchet.core.types import Outcome as Judgement
from ratchet.report.chart import Axis, Series, estimated, line_chart, number, percent, whole
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register
from ratchet.tasks import maze_traces
from ratchet.tasks.maze_traces import ANSWER, BACK, right, unsound

if TYPE_CHECKING:
    from ratchet.models.engine import Policy

NAME = "meta-cot"
SIZE = 5  # cells along a side of a maze
BUDGETS = (4, 8, 16, 32, 48)  # tokens of search after which the answer is asked for
RATE, GRPO_RATE = 3e-3, 3e-4  # at 1e-3 reinforcement undid in its first updates what the traces had taught (seed 901)
GROUP = 8  # samples of each maze in reinforcement
ARMS: dict[str, Callable[[Random, Task], str]] = {
    "solution": lambda r, t: maze_traces.solution(t),
    "optimal path": lambda r, t: maze_traces.optimal_path(t),
    "depth first": maze_traces.depth_first_trace,
    "A*": lambda r, t: maze_traces.a_star_trace(t),
}
SEARCHES = ("depth first", "A*")


@dataclass(frozen=True)
class Scale:
    """Tokens of imitation, mazes of an update; updates of reinforcement, mazes of each; held-out mazes of each half, samples of
    each; the length cap of reinforcement and of every look."""

    tokens: int
    batch: int
    updates: int
    mazes: int
    held: int
    samples: int
    longest: int


FULL = Scale(1_200_000, 16, 80, 16, 300, 1, 56)
QUICK = Scale(200, 4, 1, 1, 1, 1, 4)


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


def taught(policy: Policy, write: Callable[[Random, Task], str], scale: Scale, *path: Part) -> int:
    """Imitation of about so many tokens, prompts and texts; every maze is shown once. The number of updates."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id

    def examples(update: int) -> list[Example]:
        drawn = mazes("train", scale.batch, *path, update)
        texts = [write(rng(NAME, *path, update, t.key), t) for t in drawn]
        return [Example(policy.encode(t.prompt), (*encode(x), end)) for t, x in zip(drawn, texts, strict=True)]

    updates = max(1, round(scale.tokens / sum(map(len, examples(0)))))
    imitate(policy, examples, updates, RATE)
    return updates


def sampled(policy: Policy, tasks: Sequence[Task], samples: int, *path: Part, budget: int | None = None) -> list[Trace]:
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies

    strategy, knobs = (strategies["single"], {}) if budget is None else (cut_search, {"budget": budget})
    return Scheduler(policy, verify, beside=False).run(strategy, tasks, NAME, *path, knobs=knobs, samples=samples)


def cut_search(task: Task, *, budget: int) -> Play:
    """A search that is cut after so many tokens, unless it has come to its answer; then the answer is asked for."""
    [search] = yield Draw(task.prompt, max_tokens=budget, stop=(ANSWER,))
    [text] = yield Draw(search, then="" if search.stop == "stop" else ANSWER)
    return text


def reinforced(policy: Policy, scale: Scale, *path: Part) -> list[float]:
    """GRPO on outcomes, the same for every arm; the share of right samples in each update."""
    from ratchet.learn.credit import credits, rewards_of, verdict_reward
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner

    method, learner = grpo(), Learner(policy, lr=GRPO_RATE, warmup=5, steps=scale.updates, final=0.1)
    shares: list[float] = []
    for update in range(scale.updates):
        traces = sampled(policy, mazes("train", scale.mazes, *path, update), GROUP, *path, update)
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
    """Right answers where the search is cut after so many tokens. All budgets have the same random numbers."""
    return [share_right(sampled(policy, tasks, samples, *path, budget=min(tokens, policy.max_tokens))) for tokens in BUDGETS]


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
        updates = taught(policy, write, scale, seed, "taught")
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


# ---- what is claimed ---------------------------------------------------------------------------------------------

STAGES = {0.0: "imitation", 1.0: "reinforcement", 2.0: f"without {BACK}"}
LOOKS = ("before", "after", "banned")


def hard(r: Result, arm: str, look: str, what: str = "right") -> float:
    return r["arms"][arm][look]["hard"][what]


def gap(one: tuple[str, str], other: tuple[str, str]) -> Effect:
    """Of right answers on the hard half, between two pairs of an arm and a look."""
    return over_seeds(lambda r: hard(r, *one) - hard(r, *other))


def slope(r: Result, arm: str) -> float:
    """By least squares: right answers that each doubling of the budget brings."""
    x, y = [log2(b) for b in BUDGETS], r["arms"][arm]["budgets"]
    mid, level = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mid) * (b - level) for a, b in zip(x, y, strict=True)) / sum((a - mid) ** 2 for a in x)


def length(r: Result) -> float:
    """Tokens of A* by those of depth first, on the same mazes."""
    return hard(r, "A*", "after", "tokens") / hard(r, "depth first", "after", "tokens")


def imagined(outcome: Outcome, seed: int) -> Result:
    off = 0.04 * (seed - 1)
    little = 0.001 * seed
    apart = {Outcome.HELD: 0.3, Outcome.FAILED: -0.1, Outcome.UNRESOLVED: 0.1 + off}[outcome] + little
    gain = {Outcome.HELD: 0.15, Outcome.FAILED: 0.0, Outcome.UNRESOLVED: 0.05 + off}[outcome] + little
    tokens = {Outcome.HELD: 30.0, Outcome.FAILED: 50.0, Outcome.UNRESOLVED: 40 * (1 + off)}[outcome] + 0.01 * seed
    rise = {Outcome.HELD: 0.1, Outcome.FAILED: -0.1, Outcome.UNRESOLVED: off}[outcome] + little

    def arm(name: str) -> Result:
        search = name in SEARCHES
        first = 0.3 + (apart if search else 0.0)
        last = first + (gain if search else 0.01) + (little if name == "A*" else 0.0)
        look = lambda right_: {
            half: {"right": right_, "tokens": tokens if name == "A*" else 40.0, "returns": 2.0, "sound": right_}
            for half in ("easy", "hard")
        }
        return {
            "updates": 100,
            "before": look(first),
            "rewards": [first, last],
            "after": look(last),
            "budgets": [last + (rise if search else 0.0) * i for i in range(len(BUDGETS))],
            "banned": look(last - (gain if search else 0.0)),
        }

    return {"depth": 6, "arms": {name: arm(name) for name in ARMS}}


def figures(results: Sequence[Result]) -> list[str]:
    def drawn(title: str, x: Axis, y: Axis, places: Sequence[float], value: Callable[[Result, str, int], float]) -> str:
        at = lambda arm, i: over_seeds(lambda r: value(r, arm, i))(results)
        return line_chart(title, [Series(arm, [estimated(p, at(arm, i)) for i, p in enumerate(places)]) for arm in ARMS], x, y)

    stage = Axis("after", STAGES.__getitem__, STAGES.__getitem__, names=STAGES)
    right_, updates = percent("right", (0.0, 1.0)), len(results[0]["arms"]["A*"]["rewards"])
    each = max(1, updates // 8)

    def stages(title: str, half: str, what: str, y: Axis) -> str:
        return drawn(title, stage, y, list(STAGES), lambda r, arm, i: r["arms"][arm][LOOKS[i]][half][what])

    def reward(r: Result, arm: str, i: int) -> float:
        part = r["arms"][arm]["rewards"][i * each : (i + 1) * each]
        return sum(part) / len(part)

    ends = [float(each * (i + 1)) for i in range(updates // each)]
    budget = Axis("tokens of search", lambda v: f"{v:.0f}", lambda v: f"{v:.0f}", log2=True)
    return [
        stages("Right answers on deep mazes", "hard", "right", right_),
        stages("Right answers on shallow mazes", "easy", "right", right_),
        drawn(
            "Deep mazes, the answer asked for after so many tokens",
            budget,
            right_,
            list(BUDGETS),
            lambda r, arm, i: r["arms"][arm]["budgets"][i],
        ),
        stages("Tokens of a text, deep mazes", "hard", "tokens", number("tokens", (0.0, 60.0))),
        stages("Texts that are a sound search to the goal, deep mazes", "hard", "sound", percent("sound", (0.0, 1.0))),
        drawn("Right samples in reinforcement", whole("updates"), right_, ends, reward),
    ]


register(
    Study(
        name=NAME,
        title="Search written out, dead ends and all, teaches more than what it finds, and can be reinforced",
        paper="Xiang et al. 2025, Towards System 2 Reasoning in LLMs: Learning How to Think With Meta Chain-of-Thought, arXiv 2501.04682",
        claims=(
            Claim(
                "search is learned",
                "After imitation of as many tokens, models of search traces solve at least 10 points more of the deep mazes than one of "
                "solutions.",
                (
                    Check(
                        "deep mazes after imitation: depth first minus solution",
                        gap(("depth first", "before"), ("solution", "before")),
                        0.10,
                    ),
                    Check("deep mazes after imitation: A* minus solution", gap(("A*", "before"), ("solution", "before")), 0.10),
                ),
            ),
            Claim(
                "reinforcement and budget",
                "Reinforcement adds at least 5 points to the search models, which gain by every doubling of their tokens; solutions do not.",
                (
                    *(
                        Check(f"deep mazes: what reinforcement adds to {arm}", gap((arm, "after"), (arm, "before")), 0.05)
                        for arm in SEARCHES
                    ),
                    *(
                        Check(
                            f"right answers that a doubling of the tokens brings {arm}",
                            over_seeds(lambda r, arm=arm: slope(r, arm)),
                            0.0,
                        )
                        for arm in SEARCHES
                    ),
                    Check(
                        "the same of solution, the steepest of a seed", extreme(max, lambda r: slope(r, "solution")), most=0.02
                    ),
                ),
            ),
            Claim(
                "going back is the cause",
                f"Where `{BACK}` cannot be said, the search models lose at least 5 points.",
                (
                    *(
                        Check(f"deep mazes: what {arm} loses without {BACK}", gap((arm, "after"), (arm, "banned")), 0.05)
                        for arm in SEARCHES
                    ),
                    Check(
                        f"control: the most that solution loses without {BACK}",
                        extreme(max, lambda r: hard(r, "solution", "after") - hard(r, "solution", "banned")),
                        most=0.02,
                    ),
                ),
            ),
            Claim(
                "the better procedure",
                "A* takes fewer tokens than depth first, and is right as often.",
                (
                    Check("tokens on deep mazes: A* by depth first", over_seeds(length), most=1.0),
                    Check("right answers there: A* minus depth first", gap(("A*", "after"), ("depth first", "after")), -0.05),
                ),
            ),
        ),
        arms={
            "solution": "placebo: the way from the goal back to the start, and nothing before it",
            "optimal path": "control: the way cell by cell from the start, then the same answer; no dead end is seen",
            "depth first": "a blind search down to dead ends and back, then the same answer",
            "A*": "a search led by the steps made and the steps to the goal as if there were no walls, then the same answer",
        },
        tasks="mazes of 5 by 5 cells that are trees; 300 held-out ones whose way has more cells than the training median (6), which are the "
        "deep ones, and 300 others, apart from training by content",
        metric="share of right samples on held-out mazes, one of each at temperature 1 and at most 56 tokens: after imitation of 1.2 million "
        "tokens, and after 80 updates of GRPO on 128 samples each",
        budget="about 12 minutes of one thread a seed, on a processor shared with others",
        departures="Mazes of 5 by 5 cells stand for those of 6 by 6, and a width of 64 for one of 96 to 128, for time. Countdown with four "
        "numbers is left out, for time too; with three numbers a small model learned more from direct answers than from search (the record "
        "of cognitive-behaviors), so that search has little to show there. What search a maze requires is taken as the cells of its way. "
        "Equal tokens are those of prompts and texts together, which is equal computing: so solutions are shown of 1.5 times as many mazes as "
        "searches by depth first. All arms see the same mazes in the same order, each once, start from the same weights, and end in the same "
        "answer. A return names the cell that is gone on from, at once, however far it lies: two tokens in either search. A budget cuts a "
        "search before its answer only, and then asks for the answer. A solution has nothing before its answer, so that it is flat by "
        "construction: this control shows only that the measuring adds nothing. Both searches are asked for all that the plan asks of the "
        "search model. As right as depth first is taken as at most 5 points less. No comments of value stand in the traces; other searches, "
        "process rewards and verifiers at the time of answering are not tested.",
        scale="A model of 0.16 million weights that knows nothing but mazes. That search is what a language model lacks, or that it can be "
        "learned from traces where no program writes them, is not tested.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=3,
    )
)
