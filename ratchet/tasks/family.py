"""What a task family is, and how tasks of one split are drawn from it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.registry import Registry, check_knobs
from ratchet.core.seeds import Part, rng
from ratchet.core.types import Split, Task


@dataclass(frozen=True)
class Family:
    """A family either draws tasks without end or reads a collection of them.

    `draw(random, **knobs)` makes one task; `read(path, **knobs)` all tasks of a file or folder. `gold(task)` is a
    text that must pass, or None where no right answer is known; `decoys(task)` are texts by name that must not.
    `demonstrate(random, task, **knobs)` writes a trace that ends in a right answer, to imitate, or None for a task
    without one. `baselines` are, by name, functions of the training tasks that return a predictor task -> text: what a
    trained model must beat.
    `vary(random, task, **knobs)` gives another view of a training task (the same key and answer, another prompt).
    `written(task)` are the texts that a row of a file gives to learn from: one to imitate, or the better and the worse one.
    `step` is where a step of an answer ends, for strategies that go on step by step: with this text, or after so many tokens.
    """

    draw: Callable[..., Task] | None
    gold: Callable[[Task], str | None]
    decoys: Callable[[Task], Mapping[str, str]]
    demonstrate: Callable[..., str | None] | None = None
    read: Callable[..., list[Task]] | None = None
    baselines: Mapping[str, Callable[[Sequence[Task]], Callable[[Task], str]]] = field(default_factory=dict)
    vary: Callable[..., Task] | None = None
    written: Callable[[Task], tuple[str, ...]] | None = None
    step: str | int = "\n"


families: Registry[Family] = Registry("task family", "ratchet.tasks", TaskError)

MOST_MISSES = 2_000


def step_of(task: Task) -> str | int:
    """Where a step of an answer to the task ends, as its family says; of no registered family, with a line."""
    return families[task.family].step if task.family in families else Family.step


class Source:
    """Where a run's tasks come from: a family's generator, or a collection read from `path`."""

    def __init__(self, name: str, path: str = "", knobs: Mapping[str, Any] | None = None) -> None:
        self.name, self.path = name, path
        self.family = families[name]
        make = self.family.read or self.family.draw
        assert make is not None
        if self.family.read is not None and not path:
            raise TaskError(f'task family "{name}" reads a file or folder; say which with --set tasks.path=PATH (or --path PATH)')
        if self.family.read is None and path:
            raise TaskError(
                f'task family "{name}" draws its tasks and reads no file; for tasks of your own --set tasks.family=files'
            )
        self.knobs = check_knobs("task family", name, make, knobs or {})
        self.tasks = None if self.family.read is None else self.family.read(path, **self.knobs)

    def take(self, split: Split, n: int, *path: Part) -> list[Task]:
        """`n` distinct tasks of a split, a function of the path alone; all there are where a collection has fewer.

        Raises TaskError where a collection has none, or a generator runs dry.
        """
        if self.tasks is None:
            return list(itertools.islice(self._drawn(split, *path), n))
        mine = [t for t in self.tasks if t.split == split]
        if not mine:
            raise TaskError(
                f"{self.path}: none of its {len(self.tasks)} tasks falls into the {split} split "
                "(80 % train, 10 % validation, 10 % heldout, by content); it needs more tasks, some hundreds at least"
            )
        return rng(*path).sample(mine, min(n, len(mine)))

    def views(self, tasks: Sequence[Task], *path: Part) -> list[Task]:
        """The tasks as training sees them: each in another view, where the family has several."""
        vary = self.family.vary
        return list(tasks) if vary is None else [vary(rng(*path, "view", t.key), t) for t in tasks]

    def _drawn(self, split: Split, *path: Part) -> Iterator[Task]:
        assert self.family.draw is not None
        seen: set[str] = set()
        misses = place = 0
        while True:
            task = self.family.draw(rng(*path, place), **self.knobs)
            place += 1
            if task.split == split and task.key not in seen:
                misses = 0
                seen.add(task.key)
                yield task
                continue
            misses += 1
            if misses > MOST_MISSES:
                raise TaskError(
                    f'family "{self.name}" has only about {len(seen)} {split} tasks with {self.knobs} '
                    f"({MOST_MISSES} draws in a row brought nothing new); ask for fewer or widen its knobs"
                )


class Mixture(Source):
    """A family in several variants, such as difficulties, each a source with a name. Whoever does not ask for shares gets as many
    tasks of each as of any other."""

    def __init__(self, name: str, path: str, knobs: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(name, path, knobs)
        for variant, own in variants.items():
            if not isinstance(own, Mapping):
                raise TaskError(
                    f"tasks.sources.{variant} is a group of knobs, such as tasks.sources.{variant}.KNOB=VALUE, got {own!r}"
                )
        self.variants = {variant: Source(name, path, {**self.knobs, **own}) for variant, own in variants.items()}
        if self.tasks is not None:
            raise TaskError(
                f'task family "{name}" reads a collection, which has no variants; tasks.sources is for families that draw'
            )

    def take(self, split: Split, n: int, *path: Part) -> list[Task]:
        k = len(self.variants)
        counts = {name: n // k + (i < n % k) for i, name in enumerate(self.variants)}
        drawn = [t for name, count in counts.items() if count for t in self.variants[name].take(split, count, *path, name)]
        tasks = list({t.key: t for t in drawn}.values())  # one task may be drawn by two variants
        rng(*path, "mixed").shuffle(tasks)  # whoever looks at the first ones sees all variants
        return tasks

    def take_by(self, choice: Sequence[str], split: Split, *path: Part) -> dict[str, list[Task]]:
        """As many tasks of each source as its name stands in `choice`; no task twice."""
        taken: dict[str, Task] = {}
        found: dict[str, list[Task]] = {}
        for name in dict.fromkeys(choice):
            count = choice.count(name)
            found[name] = [t for t in self.variants[name].take(split, count, *path, name) if t.key not in taken]
            taken |= {t.key: t for t in found[name]}
        return found


def source_of(name: str, path: str, knobs: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]] | None = None) -> Source:
    """The tasks of a family, in variants where there are some."""
    return Mixture(name, path, knobs, sources) if sources else Source(name, path, knobs)
