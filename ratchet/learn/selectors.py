"""Which of a policy's own completions it imitates: rejection sampling, STaR, ReST, RAFT, and what a search answered.

Selectors are rows over two parts: which completions of a task are kept x what each of them weighs.

| row | kept | weight | paper |
| --- | --- | --- | --- |
| `rejection` | every different right one | 1 | Yuan et al. 2023 (RFT), arXiv 2308.01825 |
| `star` | one right one | 1 | Zelikman et al. 2022, arXiv 2203.14465 |
| `rest-em` | at most ten right ones | 1 | Singh et al. 2023, arXiv 2312.06585 |
| `rest` | those with a reward of at least a threshold | 1 | Gulcehre et al. 2023, arXiv 2308.08998 |
| `raft` | the best one, whatever its reward | 1 | Dong et al. 2023, arXiv 2304.06767 |
| `answer` | what the strategy answered with | 1 | Anthony et al. 2017, arXiv 1705.08439 |
| `right-answer` | that, where it is right | 1 | as before |
| `reward-weighted` | all | exp(reward / beta), of mean 1 | Peters and Schaal 2007 |

`answer` with the strategy `best-of-n` is best-of-n distillation; with a search it teaches single samples what the search finds.
STaR's second half, rationalisation, is `hinted` and `rationalised`.

Departures: which of several right ones `star` and `rest-em` take is left to chance; the papers fix the order in which they are
drawn. RFT tells solutions apart by their equations; here by their tokens. ReST's threshold rises from one improvement step to
the next; a run sets it for a phase.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ratchet.core.ranges import above_0, at_least_1, require
from ratchet.core.registry import Registry
from ratchet.core.seeds import Part
from ratchet.core.types import Task, Trace
from ratchet.learn.batch import Example
from ratchet.learn.credit import Reward
from ratchet.learn.tried import Tried, shuffled, tries
from ratchet.models.engine import Policy

# ---- kept: the completions of one task, in a chance order -> those to learn from ------------------------------------

Keep = Callable[[Sequence[Tried]], Sequence[Tried]]


def right(tried: Sequence[Tried]) -> list[Tried]:
    """Those with a reward above one half, each only once."""
    return list({t.completion.tokens: t for t in tried if t.reward > 0.5}.values())


def at_least(threshold: float) -> Keep:
    require(math.isfinite(threshold), "threshold", threshold, "a finite number")
    return lambda tried: [t for t in tried if t.reward >= threshold]


def best(tried: Sequence[Tried]) -> list[Tried]:
    return [max(tried, key=lambda t: t.reward)]


def answers(tried: Sequence[Tried]) -> list[Tried]:
    return [t for t in tried if t.answer]


# ---- weight: those kept -> what each weighs -------------------------------------------------------------------------

Weigh = Callable[[Sequence[Tried]], list[float]]


def equal(kept: Sequence[Tried]) -> list[float]:
    return [1.0] * len(kept)


def exponential(beta: float) -> Weigh:
    """exp(reward / beta), divided by its mean over the task."""

    def weigh(kept: Sequence[Tried]) -> list[float]:
        top = max(t.reward for t in kept)
        raw = [math.exp((t.reward - top) / beta) for t in kept]
        return [len(raw) * x / sum(raw) for x in raw]

    return weigh


# ---- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Selector:
    """One row. Called with judged traces it gives the examples to imitate; a completion without a reward is never among them."""

    keep: Keep
    weigh: Weigh = equal

    def __call__(self, traces: Sequence[Trace], reward: Reward, *path: Part) -> list[Example]:
        kept = (self.keep(shuffled(group, *path, key)) for key, group in tries(traces, reward, *path).items())
        return [
            Example(t.completion.prefix, t.completion.tokens, weight, given=t.completion.given)
            for group in kept
            if group
            for t, weight in zip(group, self.weigh(group), strict=True)
        ]


selectors: Registry[Callable[..., Selector]] = Registry("selector", "ratchet.learn")


@selectors.add("rejection", paper="arXiv 2308.01825")
def rejection() -> Selector:
    """Every different right completion: rejection sampling fine-tuning (paper: 100 samples of each task)."""
    return Selector(right)


@selectors.add("star", paper="arXiv 2203.14465")
def star() -> Selector:
    """One right completion of each task that has one."""
    return Selector(lambda tried: right(tried)[:1])


@selectors.add("rest-em", paper="arXiv 2312.06585")
def rest_em(*, most: int = 10) -> Selector:
    """At most `most` right completions of each task, so that easy tasks do not outweigh hard ones (paper: 10)."""
    at_least_1(most=most)
    return Selector(lambda tried: right(tried)[:most])


@selectors.add("rest", paper="arXiv 2308.08998")
def rest(*, threshold: float = 0.5) -> Selector:
    """All with a reward of at least `threshold` (paper: rising from step to step)."""
    return Selector(at_least(threshold))


@selectors.add("raft", paper="arXiv 2304.06767")
def raft() -> Selector:
    """The best of each task's samples by reward, even where none is right (paper: of 8 to 32 samples)."""
    return Selector(best)


@selectors.add("answer", paper="arXiv 1705.08439")
def answer() -> Selector:
    """What the strategy answered with, right or not: single sampling learns to give at once what a search finds."""
    return Selector(answers)


@selectors.add("right-answer", paper="after arXiv 1705.08439")
def right_answer() -> Selector:
    """What the strategy answered with, where the verifier found it right."""
    return Selector(lambda tried: right(answers(tried)))


@selectors.add("reward-weighted", paper="Peters and Schaal 2007")
def reward_weighted(*, beta: float = 0.5) -> Selector:
    """All completions, weighted by exp(reward / beta) within their task."""
    above_0(beta=beta)
    return Selector(list, exponential(beta))


# ---- rationalisation ------------------------------------------------------------------------------------------------


def hinted(task: Task, template: str = "{prompt} (answer {answer})") -> Task:
    """The same task, key and all, whose prompt tells the answer (STaR section 3.2). For drawing training data only: this is the one
    place where an answer reaches a model."""
    identity = task.identity or json.dumps([task.prompt, task.answer], sort_keys=True, default=str)
    return replace(task, prompt=template.format(prompt=task.prompt, answer=task.answer), identity=identity)


def rationalised(
    policy: Policy, traces: Sequence[Trace], with_hint: Sequence[Trace], reward: Reward, *path: Part
) -> list[Example]:
    """One right completion of each task; of a task that was not solved, one that was right with the hint, learned without it."""
    row = star()
    solved = {key for key, group in tries(traces, reward, *path).items() if right(group)}
    prefixes = {t.task.key: policy.encode(t.task.prompt) for t in traces}
    rest = [t for t in with_hint if t.task.key not in solved and t.task.key in prefixes]
    helped = [
        replace(e, prefix=prefixes[key])
        for key in dict.fromkeys(t.task.key for t in rest)
        for e in row([t for t in rest if t.task.key == key], reward, *path)
    ]
    return row(traces, reward, *path) + helped
