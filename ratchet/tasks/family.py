"""What a task family is, and how tasks of one split are drawn from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.registry import Registry, check_knobs
from ratchet.core.seeds import Part, rng
from ratchet.core.types import Split, Task


@dataclass(frozen=True)
class Family:
    """`draw(random, **knobs)` makes one task; `gold(task)` is a text that must pass; `decoys(task)` are texts by
    name that must not; `demonstrate(random, task, **knobs)` writes a trace that ends in a right answer, to imitate.
    """

    draw: Callable[..., Task]
    gold: Callable[[Task], str]
    decoys: Callable[[Task], Mapping[str, str]]
    demonstrate: Callable[..., str] | None = None


families: Registry[Family] = Registry("task family", "ratchet.tasks", TaskError)

MOST_MISSES = 2_000


def stream(name: str, split: Split, knobs: Mapping[str, Any], *path: Part) -> Iterator[Task]:
    """An endless stream of tasks of one split, without repeats, that depends only on the path.

    Raises TaskError when the family seems to have no more tasks of that split.
    """
    family = families[name]
    checked = check_knobs("task family", name, family.draw, knobs)
    seen: set[str] = set()
    misses = place = 0
    while True:
        task = family.draw(rng(*path, place), **checked)
        place += 1
        if task.split != split or task.key in seen:
            misses += 1
            if misses > MOST_MISSES:
                raise TaskError(
                    f'family "{name}" gave only {len(seen)} distinct {split} tasks with {dict(knobs)} '
                    f"({MOST_MISSES} draws in a row brought nothing new); ask for fewer or widen its knobs"
                )
            continue
        misses = 0
        seen.add(task.key)
        yield task


def pick(random_: random.Random, weights: Mapping[Any, float]) -> Any:
    """One key, by weight."""
    return random_.choices(list(weights), list(weights.values()))[0]
