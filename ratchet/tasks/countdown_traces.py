"""Traces of Countdown with three numbers in a small language, with the habits of thought that each trace has.

The habits are those of Gandhi et al. 2025 (arXiv 2503.01307). An attempt picks the number that comes last and reads, for
the numbers 3 7 12 and the target 33,

    from 33 - 12 = 21 need 21 try 3 * 7 = 21 check yes

`from` works back from the target (backward chaining), `need` sets what the rest must give (a subgoal), `check` compares
(verification), and `back` after a miss gives an attempt up (backtracking). A trace ends in the answer as an expression.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ratchet.core.types import Task

MARKS = {"verification": "check", "backtracking": "back", "subgoal setting": "need", "backward chaining": "from"}
FILLER = "hm"
WORDS = ["numbers", "target", ":", "try", "yes", "no", "answer", "(", ")", "+", "-", "*", "/", "=", *MARKS.values(), FILLER]
TOP = 99


def words() -> list[str]:
    """The language's vocabulary."""
    return [*WORDS, *map(str, range(TOP + 1))]


@dataclass(frozen=True)
class Attempt:
    """`first` of two numbers has a `value`; worked `back` from the target it should have been `needed`."""

    first: str
    value: int
    back: str
    needed: int
    answer: str

    @property
    def hits(self) -> bool:
        return self.value == self.needed

    def write(self, habits: frozenset[str]) -> str:
        parts = [f"from {self.back} = {self.needed}"] * ("backward chaining" in habits)
        parts += [f"need {self.needed}"] * ("subgoal setting" in habits)
        parts += [f"try {self.first} = {self.value}"]
        parts += ["check yes" if self.hits else "check no"] * ("verification" in habits)
        return " ".join(parts)


def pairs(x: int, y: int) -> Iterator[tuple[str, int]]:
    """Every whole result in [0, 99] of two numbers."""
    yield from ((f"{x} + {y}", x + y) for _ in range(x + y <= TOP))
    yield from ((f"{x} * {y}", x * y) for _ in range(x * y <= TOP))
    for a, b in {(x, y), (y, x)}:
        if a >= b:
            yield f"{a} - {b}", a - b
        if b and a % b == 0:
            yield f"{a} / {b}", a // b


def worked_back(last: int, target: int) -> Iterator[tuple[str, int, str]]:
    """Every way in which `last` can come last: the step back, what is needed, and the answer around {} for the rest."""
    ways = [
        (f"{target} - {last}", target - last, f"{{}} + {last}"),
        (f"{target} + {last}", target + last, f"{{}} - {last}"),
        (f"{last} - {target}", last - target, f"{last} - {{}}"),
        (f"{target} * {last}", target * last, f"{{}} / {last}" if last else ""),
    ]
    if last and target % last == 0:
        ways.append((f"{target} / {last}", target // last, f"{{}} * {last}"))
    if target and last % target == 0:
        ways.append((f"{last} / {target}", last // target, f"{last} / {{}}"))
    yield from ((back, needed, answer) for back, needed, answer in ways if 0 <= needed <= TOP and answer)


def attempts(task: Task) -> list[Attempt]:
    """Every attempt at a task of three numbers: all its expressions, with the step back that each belongs to."""
    numbers: list[int] = task.facts["numbers"]
    found: list[Attempt] = []
    for place, last in enumerate(numbers):
        x, y = (n for i, n in enumerate(numbers) if i != place)
        for back, needed, answer in worked_back(last, task.answer):
            # 0 cannot be divided by
            found += [
                Attempt(first, value, back, needed, answer.format(f"( {first} )"))
                for first, value in pairs(x, y)
                if value or not answer.endswith("/ {}")
            ]
    return found


def trace(
    random_: random.Random, task: Task, habits: frozenset[str], right: bool = True, most: int = 3, again: float = 0.6
) -> str:
    """Misses, then a hit and its answer; or, not `right`, misses alone, and the last one's answer, which is wrong.

    After each miss another follows with chance `again`, up to `most` attempts in all. A miss is the nearest to what is
    needed of three. ValueError for a task without a solution.
    """
    every = attempts(task)
    hits, misses = [a for a in every if a.hits], [a for a in every if not a.hits]
    if not hits or not misses:
        raise ValueError(f"{task.prompt!r} has no solution, or nothing but solutions")
    count = 1
    while count < most and random_.random() < again:
        count += 1
    tried = [
        min(random_.sample(misses, min(3, len(misses))), key=lambda a: abs(a.value - a.needed)) for _ in range(count - right)
    ]
    tried += [random_.choice(hits)] * right
    between = " back " if "backtracking" in habits else " "
    return f"{between.join(a.write(habits) for a in tried)} answer {tried[-1].answer}"


def filled(written: str) -> str:
    """A trace with nothing in it: as many words, all of them filler, before the same answer."""
    thought, answer = written.split(" answer ")
    return " ".join([FILLER] * len(thought.split())) + f" answer {answer}"


def direct(written: str) -> str:
    """The answer alone."""
    return "answer " + written.split(" answer ")[1]
