"""Reinforcement and sampling without a run around them: no folder, no gate, no checkpoints. For studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratchet.core.seeds import Part
from ratchet.core.types import Task, Trace
from ratchet.loop.recipe import Recipe
from ratchet.loop.turn import Costs, Workshop, anchor, critics_of, history_of, learner_for, scheduler_for
from ratchet.models.engine import Policy
from ratchet.models.scheduler import Verify
from ratchet.search.strategy import strategies
from ratchet.tasks.family import source_of


def reinforce(policy: Policy, recipe: Recipe, verify: Verify, look: Callable[[int], None] = lambda updates: None) -> Costs:
    """Train `policy` as the recipe's reinforcement says, turn after turn. `look` is called at the start and after each
    turn with the number of updates taken. Nothing is rolled back."""
    settings = recipe.reinforcement
    assert settings is not None
    source = source_of(recipe.tasks.family, recipe.tasks.path, recipe.tasks.knobs, recipe.tasks.sources)
    learner = learner_for(policy, settings.optimizer, settings.turns * settings.updates * settings.steps_per_draw)
    anchor(learner, "reinforcement", settings)
    workshop, costs = (
        Workshop(recipe, source, verify, lambda event: None, history_of(source), critics=critics_of(recipe, policy, source)),
        Costs(),
    )
    look(0)
    for turn in range(settings.turns):
        workshop.reinforce(learner, settings, turn, costs)
        look((turn + 1) * settings.updates)
    return costs


def sampled(policy: Policy, tasks: Sequence[Task], samples: int, verify: Verify, *path: Part) -> list[Trace]:
    """`samples` plain samples of each task, judged: a trace for each sample, those of a task side by side."""
    return scheduler_for(policy, verify).run(strategies["single"], tasks, *path, samples=samples)


def solved(traces: Sequence[Trace]) -> dict[str, tuple[int, int]]:
    """Samples and right ones among them by task key, in the order of the tasks."""
    counts: dict[str, tuple[int, int]] = {}
    for t in traces:
        n, right = counts.get(t.task.key, (0, 0))
        counts[t.task.key] = n + len(t.verdicts), right + sum(v.passed for v in t.verdicts)
    return counts
