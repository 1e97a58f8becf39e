"""Diverse beams: independent subtrees, each of which goes on from its best step alone (diverse verifier tree search, DVTS:
Beeching, Tunstall, Rush 2024, "Scaling test-time compute with open models").

Scale: any, only the order counts.
Departures: what is left over where `width` does not divide `n` goes to the first subtrees; a subtree that has ended gives its
draws to nobody; the answer is the best-scored one, where the blog also votes; out of budget, the best-scored that has ended.
"""

from __future__ import annotations

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_1
from ratchet.core.types import Completion, Judge, Play, Task
from ratchet.search.steps import own_steps, shares_of
from ratchet.search.strategy import strategies


@strategies.add("diverse-beam", paper="DVTS, Beeching et al. 2024")
def diverse_beam(
    task: Task,
    *,
    n: int = 16,
    width: int = 4,
    scorer: str = "logprob",
    step: str = "",
    step_tokens: int = 0,
    temperature: float = 1.0,
) -> Play:
    """`n / width` subtrees, each keeping the best of its `width` candidates for a step; the best of their answers (blog: n of 4 to
    256, width 4, temperature 0.8)."""
    at_least_1(width=width)
    steps = own_steps(task, n, step, step_tokens, temperature)
    each = shares_of(n, max(n // width, 1))
    first: list[Completion] = yield steps.draw(task.prompt, n)
    rest = iter(first)  # the list itself is the trace's
    drawn, trees, scores = [[next(rest) for _ in range(k)] for k in each], list(range(len(each))), [0.0] * len(each)
    best: list[Completion] = [own[0] for own in drawn]
    ended: list[int] = []
    try:
        while trees:
            values = iter((yield Judge([c for own in drawn for c in own], scorer)))
            for tree, own in zip(trees, drawn, strict=True):
                ranked = [next(values) for _ in own]
                scores[tree] = max(ranked)
                best[tree] = own[ranked.index(scores[tree])]
            ended = [tree for tree, part in enumerate(best) if not steps.going(part)]
            trees = [tree for tree in trees if tree not in ended]
            if trees:
                drawn = yield from steps.on([best[tree] for tree in trees], [each[tree] for tree in trees])
    except BudgetError:
        if not ended:
            raise
    return best[max(ended, key=lambda tree: scores[tree])]
