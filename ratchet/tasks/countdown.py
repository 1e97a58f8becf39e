"""Countdown: reach a target from given numbers with + - * /, every number used exactly once (or at most once).

Every drawn task is solvable by construction: the target is the value of an expression over its numbers. Values stay
whole and between 0 and `top`, so that each number is one token of the built-in model. Paper of the search traces
that `demonstrate` writes: Gandhi et al. 2024 (arXiv 2404.03683), "Stream of Search"; their numbers and targets are
larger, their traces longer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families

OPERATIONS = "+-*/"


@dataclass(frozen=True)
class Node:
    """An expression tree over whole numbers; a leaf has no operation."""

    value: int
    operation: str = ""
    left: Node | None = None
    right: Node | None = None

    def write(self, values: bool, top: bool = True) -> str:
        """The expression; with `values`, each operation is followed by its result, as a search trace shows it."""
        if self.left is None or self.right is None:
            return str(self.value)
        inside = f"{self.left.write(values, False)} {self.operation} {self.right.write(values, False)}"
        inside += f" = {self.value}" if values else ""
        return inside if top else f"( {inside} )"


def combine(a: Node, b: Node, operation: str, top: int) -> Node | None:
    """The tree `a operation b`, or None where its value is not a whole number in [0, top]."""
    x, y = a.value, b.value
    if operation == "/":
        if y == 0 or x % y:
            return None
        value = x // y
    else:
        value = x + y if operation == "+" else x - y if operation == "-" else x * y
    return Node(value, operation, a, b) if 0 <= value <= top else None


def random_tree(random_: random.Random, numbers: list[int], top: int) -> Node:
    """A random expression over all the numbers: join two random parts until one is left."""
    parts = [Node(n) for n in numbers]
    while len(parts) > 1:
        a = parts.pop(random_.randrange(len(parts)))
        b = parts.pop(random_.randrange(len(parts)))
        joined = combine(a, b, random_.choice(OPERATIONS), top)
        parts += [a, b] if joined is None else [joined]
    return parts[0]


def draw(
    random_: random.Random,
    *,
    numbers: tuple[int, ...] = (3, 4),
    largest: int = 20,
    target: tuple[int, ...] = (10, 60),
    rule: str = "exactly",
) -> Task:
    """A task: how many `numbers` (one of these counts), each in [1, `largest`], a `target` between two bounds.

    `rule` says whether each number is used "exactly" once or "at-most" once.
    """
    if rule not in ("exactly", "at-most"):
        raise TaskError(f'countdown: rule "{rule}" is not one of exactly, at-most')
    if not numbers or min(numbers) < 2 or largest < 1 or len(target) != 2 or target[0] > target[1]:
        raise TaskError(f"countdown: numbers={numbers}, largest={largest}, target={target} leave no task to draw")
    for _ in range(10_000):
        given = [random_.randint(1, largest) for _ in range(random_.choice(numbers))]
        value = random_tree(random_, given, top_of(largest, target)).value
        if target[0] <= value <= target[1]:
            return task_of(given, value, rule)
    raise TaskError(f"countdown: no target in {target} was reached in 10,000 tries; widen it")


def top_of(largest: int, target: tuple[int, ...]) -> int:
    """The largest value that a generated expression passes through."""
    return max(99, largest, target[1])


def task_of(given: list[int], target: int, rule: str = "exactly") -> Task:
    """The task of given numbers and a target; the same numbers in another order are the same task."""
    return Task(
        family="countdown",
        prompt=f"numbers {' '.join(map(str, given))} target {target} :",
        answer=target,
        verifier="countdown",
        facts={"numbers": list(given), "rule": rule},
        identity=f"{sorted(given)} {target} {rule}",
    )


def solve(numbers: list[int], target: int, at_most: bool = False, top: int = 10**9) -> Node | None:
    """Some expression that reaches the target through whole values up to `top`, by trying all; None without one."""

    def search(parts: list[Node]) -> Node | None:
        if len(parts) == 1 or at_most:
            found = next((p for p in parts if p.value == target), None)
            if found is not None or len(parts) == 1:
                return found
        for i in range(len(parts)):
            for j in range(len(parts)):
                if i == j:
                    continue
                rest = [parts[k] for k in range(len(parts)) if k not in (i, j)]
                for operation in OPERATIONS:
                    if operation in "+*" and i > j:
                        continue
                    joined = combine(parts[i], parts[j], operation, top)
                    found = None if joined is None else search([*rest, joined])
                    if found is not None:
                        return found
        return None

    return search([Node(n) for n in numbers])


def gold(task: Task) -> str:
    """A right answer, found by search."""
    tree = solve(task.facts["numbers"], task.answer, task.facts["rule"] == "at-most")
    if tree is None:
        raise TaskError(f"countdown: {task.prompt!r} has no solution")
    return f"answer {tree.write(values=False)}"


def demonstrate(
    random_: random.Random, task: Task, *, tries: int = 8, again: float = 0.6, near: int = 3, longest: int = 88
) -> str:
    """A search trace: attempts that miss, then one that hits, then the answer as a bare expression.

    After each miss another follows with chance `again`, up to `tries` attempts and about `longest` words. A miss is
    the nearest to the target of `near` random expressions: searching at random would teach nothing about aiming.
    """
    numbers, target = task.facts["numbers"], task.answer
    top = max(99, target, *numbers)
    hit = next((t for t in (random_tree(random_, numbers, top) for _ in range(3_000)) if t.value == target), None)
    hit = hit or solve(numbers, target, top=top)
    if hit is None:
        raise TaskError(f"countdown: {task.prompt!r} has no solution that uses every number; nothing to demonstrate")
    end = f"try {hit.write(values=True)} yes answer {hit.write(values=False)}"
    lines: list[str] = []
    words = len(end.split())
    while len(lines) < tries - 1 and random_.random() < again:
        missed = miss(random_, numbers, target, top, near)
        line = f"try {missed.write(values=True)} no" if missed else ""
        words += len(line.split())
        if not line or words > longest:
            break
        lines.append(line)
    return " ".join([*lines, end])


def miss(random_: random.Random, numbers: list[int], target: int, top: int, near: int) -> Node | None:
    """The nearest to the target of `near` random expressions that miss it; None where all of them hit."""
    trees = [random_tree(random_, numbers, top) for _ in range(near)]
    return min((t for t in trees if t.value != target), key=lambda t: abs(t.value - target), default=None)


def decoys(task: Task) -> Mapping[str, str]:
    """Answers that look right and are not."""
    right = gold(task).removeprefix("answer ")
    numbers, target = task.facts["numbers"], task.answer
    # under "at most" a number may be left out, and the target may be one of the numbers
    strict = {
        "number missing": f"answer {' + '.join(map(str, numbers[1:]))}",
        "the target alone": f"answer {target}",
    }
    once_more = f" + {numbers[0]} - {numbers[0]}" * (1 + numbers.count(numbers[0]))
    return (strict if task.facts["rule"] == "exactly" else {}) | {
        "empty": "",
        "prompt echo": task.prompt,
        "hedge with two answers": f"answer {right} or {target}",
        "right value, wrong form": f"answer {right} = {target}",
        "number reused": f"answer {right}{once_more}",
        "number not given": f"answer {right} + 0",
        "look-alike digits": f"answer {right.translate(str.maketrans('0123456789', '٠١٢٣٤٥٦٧٨٩'))}",
        "off by one": f"answer {right} + 1",
        "power tower": "answer " + "**".join(["9"] * 9),
        "code": "answer __import__('os').system('id')",
    }


families.put("countdown", Family(draw, gold, decoys, demonstrate, step="no"), paper="arXiv 2404.03683", summary=__doc__)
