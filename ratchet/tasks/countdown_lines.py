"""Countdown written one operation per line, with the numbers that are left, and everything that can be known about a part of it.

The numbers 3 5 2 4 and the target 10 are answered by

    3 + 5 = 8 left 2 4 8 ; 8 - 2 = 6 left 4 6 ; 4 + 6 = 10 left 10 ;

What a line makes stands last among the numbers left, the others as they stood. Values are whole and at most 12. Since the
language has one spelling for a line, all right continuations of a part can be listed, and with a model's probabilities of
them its exact chance of ending right.
"""

from __future__ import annotations

import random
from functools import cache

from ratchet.core.types import Task
from ratchet.tasks.countdown import OPERATIONS, Node, combine

TOP = 12
STEP = ";"
Numbers = tuple[int, ...]


def words() -> list[str]:
    """The language's vocabulary."""
    return ["numbers", "target", ":", *OPERATIONS, "=", "left", STEP, *map(str, range(TOP + 1))]


@cache
def lines(numbers: Numbers) -> tuple[tuple[str, Numbers], ...]:
    """Every right line from the numbers, with the numbers that it leaves."""
    found: dict[str, Numbers] = {}
    for i, a in enumerate(numbers):
        for j, b in enumerate(numbers):
            for operation in OPERATIONS if i != j else "":
                joined = combine(Node(a), Node(b), operation, TOP)
                if joined is not None:
                    left = (*(n for k, n in enumerate(numbers) if k not in (i, j)), joined.value)
                    found[f"{a} {operation} {b} = {joined.value} left {' '.join(map(str, left))} {STEP}"] = left
    return tuple(found.items())


@cache
def endings(numbers: Numbers, target: int) -> tuple[str, ...]:
    """Every right continuation to the target from the numbers; an empty one where nothing is left to do."""
    if len(numbers) == 1:
        return ("",) if numbers[0] == target else ()
    return tuple(f"{line} {rest}".strip() for line, left in lines(numbers) for rest in endings(left, target))


def start_of(task: Task) -> Numbers:
    """The numbers given."""
    return tuple(task.facts["numbers"])


def demonstrate(random_: random.Random, task: Task) -> str:
    """One of all right solutions, by chance. ValueError for a task without one."""
    every = endings(start_of(task), task.answer)
    if not every:
        raise ValueError(f"{task.prompt!r} has no solution")
    return random_.choice(every)


def steps_of(task: Task, text: str) -> list[tuple[bool, Numbers | None]]:
    """Of each line: whether it is right by itself, given what the line before says is left, and what it says is left.

    None where that cannot be read; the line after it is wrong too. What follows the last mark counts as a line.
    """
    found: list[tuple[bool, Numbers | None]] = []
    before: Numbers | None = start_of(task)
    pieces = [*(f"{p} {STEP}" for p in text.split(STEP)[:-1]), text.split(STEP)[-1]]
    for piece in (" ".join(p.split()) for p in pieces if p.strip()):
        said = piece.partition(" left ")[2].removesuffix(STEP).split()
        left = tuple(map(int, said)) if said and all(w.isascii() and w.isdigit() and len(w) < 3 for w in said) else None
        found.append((before is not None and dict(lines(before)).get(piece) is not None, left))
        before = left
    return found


def right(task: Task, text: str) -> bool:
    """Whether each line is right and the last leaves the target."""
    steps = steps_of(task, text)
    return bool(steps) and all(ok for ok, _ in steps) and steps[-1][1] == (task.answer,)


def left_after(task: Task, text: str) -> Numbers | None:
    """What a part of right lines leaves; None where one of them is wrong."""
    steps = steps_of(task, text)
    return steps[-1][1] if steps and all(ok for ok, _ in steps) else None if steps else start_of(task)
