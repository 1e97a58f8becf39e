"""Monte Carlo tree search over steps with PUCT (Chen et al. 2024, AlphaMath, arXiv 2405.03553; Silver et al. 2017).

Down the tree goes the child with the largest Q + explore x prior x sqrt(parent's visits) / (1 + visits), where the prior is the
exponential of the step's mean log-probability; a part that has not been gone on from gets `width` children, whose values are backed
up to the root. `mcts` takes the scorer's value of the child, `mcts-rollouts` that of one whole answer drawn from it.
Scale: values in [0, 1]; of `logprob` the probability per token counts. `explore` is on that scale, and ours: the paper's
values are -1 to 1, and its main text does not give its constant.
Departures: all new children are judged and backed up at once, so that a simulation is one batch; equal children are one. The answer
is the best-valued that has ended, where the paper goes down by Q alone, which may end within an answer; if none has ended, the best
part is drawn to its end. Out of budget, the best answer so far is returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_0, at_least_1
from ratchet.core.types import Completion, Draw, Judge, Play, Task
from ratchet.search.steps import Asking, Steps, distinct, own_steps
from ratchet.search.strategy import strategies
from ratchet.search.values import values

Scored = tuple[float, Completion]
Evaluate = Callable[[Sequence[Completion]], Asking[list[Scored]]]
"""(parts) -> for each its value, and the completion that it was read from"""


@dataclass
class Node:
    """A part in the tree; the root is the prompt and has none. Ended ones have a value and no children."""

    part: Completion | None = None
    prior: float = 1.0
    parent: Node | None = None
    value: float = 0.0
    visits: int = 0
    total: float = 0.0
    children: list[Node] = field(default_factory=list["Node"])

    @property
    def mean(self) -> float:
        return self.total / self.visits


def puct(node: Node, explore: float) -> float:
    """How much a child is worth another visit."""
    assert node.parent is not None
    return node.mean + explore * node.prior * math.sqrt(node.parent.visits) / (1 + node.visits)


def leaf_of(root: Node, explore: float) -> Node:
    node = root
    while node.children:
        node = max(node.children, key=lambda child: puct(child, explore))
    return node


def back_up(node: Node | None, value: float) -> None:
    while node is not None:
        node.visits, node.total, node = node.visits + 1, node.total + value, node.parent


def prior_of(part: Completion, parent: Completion | None) -> float:
    """The probability per token of the part's last step."""
    step = part.logprobs[len(parent.tokens) if parent else 0 :]
    return math.exp(sum(step) / max(len(step), 1))


def by_value(scorer: str) -> Evaluate:
    """A part is worth what the scorer says of it."""

    def evaluate(parts: Sequence[Completion]) -> Asking[list[Scored]]:
        scores = yield Judge(parts, scorer)
        return list(zip(values(scores, scorer), parts, strict=True))

    return evaluate


def by_rollout(steps: Steps, scorer: str) -> Evaluate:
    """A part is worth what the scorer says of a whole answer that goes on from it."""

    def evaluate(parts: Sequence[Completion]) -> Asking[list[Scored]]:
        whole = {part.tokens: part for part in parts}
        going = [part for part in parts if steps.going(part)]
        if going:
            drawn = yield [Draw(part, temperature=steps.temperature) for part in going]
            whole |= {part.tokens: own[0] for part, own in zip(going, drawn, strict=True)}
        return (yield from by_value(scorer)([whole[part.tokens] for part in parts]))

    return evaluate


def simulated(task: Task, steps: Steps, root: Node, width: int, explore: float, evaluate: Evaluate) -> Asking[list[Scored]]:
    """One simulation; the whole answers that it found, with their values."""
    leaf = leaf_of(root, explore)
    if leaf.part is not None and not steps.going(leaf.part):
        back_up(leaf, leaf.value)
        return []
    if leaf.part is None:
        drawn: list[Completion] = yield steps.draw(task.prompt, width)
    else:
        [drawn] = yield from steps.on([leaf.part], [width])
    parts = [drawn[i] for i in distinct(drawn)]
    scored = yield from evaluate(parts)
    for part, (value, _) in zip(parts, scored, strict=True):
        child = Node(part, prior_of(part, leaf.part), leaf, value)
        leaf.children.append(child)
        back_up(child, value)
    return [
        (value, whole) for part, (value, whole) in zip(parts, scored, strict=True) if whole is not part or not steps.going(part)
    ]


def nodes_of(root: Node) -> list[Node]:
    return [root, *(node for child in root.children for node in nodes_of(child))]


def searched(task: Task, steps: Steps, n: int, width: int, explore: float, evaluate: Evaluate) -> Play:
    """The best answer of `n` simulations."""
    at_least_1(width=width)
    at_least_0(explore=explore)
    root, found = Node(), list[Scored]()
    try:
        for _ in range(n):
            found += yield from simulated(task, steps, root, width, explore, evaluate)
    except BudgetError:
        if not found:
            raise
    if not found:
        best = max(nodes_of(root)[1:], key=lambda node: node.value)
        assert best.part is not None
        [answer] = yield Draw(best.part, temperature=steps.temperature)
        return answer
    return max(found, key=lambda scored: scored[0])[1]


@strategies.add("mcts", paper="arXiv 2405.03553")
def mcts(
    task: Task,
    *,
    n: int = 8,
    width: int = 4,
    scorer: str = "logprob",
    explore: float = 0.6,
    step: str = "",
    step_tokens: int = 0,
) -> Play:
    """The best answer after `n` simulations of `width` new steps, by the value of a part (paper: n = 40, width 5, temperature 0.6;
    here it is 1, at which the prior is the policy's). A single simulation is a sample drawn whole."""
    steps = own_steps(task, n, step, step_tokens)
    return (yield from searched(task, steps, n, width if n > 1 else 1, explore, by_value(scorer)))


@strategies.add("mcts-rollouts", paper="arXiv 2405.03553")
def mcts_rollouts(
    task: Task,
    *,
    n: int = 8,
    width: int = 4,
    scorer: str = "logprob",
    explore: float = 0.6,
    step: str = "",
    step_tokens: int = 0,
) -> Play:
    """The best answer after `n` simulations of `width` new steps, by the value of a whole answer that goes on from each."""
    steps = own_steps(task, n, step, step_tokens)
    return (yield from searched(task, steps, n, width if n > 1 else 1, explore, by_rollout(steps, scorer)))
