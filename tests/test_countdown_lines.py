"""Countdown one operation per line: what is right, what can still be solved, and that all endings are found."""

from __future__ import annotations

from itertools import product

import pytest

from ratchet.core.seeds import rng
from ratchet.core.types import Task
from ratchet.tasks.countdown import solve, task_of
from ratchet.tasks.countdown_lines import TOP, demonstrate, endings, left_after, lines, right, start_of, steps_of

TASK = task_of([3, 5, 7], 15)
SOLVED = "3 + 5 = 8 left 7 8 ; 7 + 8 = 15 left 15 ;"


def test_right_solutions_and_what_makes_them_wrong() -> None:
    assert right(TASK, SOLVED) and SOLVED in endings(start_of(TASK), 15)
    for wrong in (
        "", "15", "answer 15", SOLVED.removesuffix(" ;"), SOLVED + " 15", SOLVED + " 15 ;", SOLVED.replace("= 8", "= 9"),
        SOLVED.replace("left 7 8", "left 8 7"), SOLVED.replace("left 7 8", "left 8"), SOLVED.replace("15", "١٥"),
        "3 + 5 = 8 left 7 8 ;", "7 + 8 = 15 left 15 ;", "3 + 5 = 8 left 7 8 ; 8 + 8 = 16 left 16 ;", "3 + 12 = 15 left 15 ;",
    ):  # fmt: skip
        assert not right(TASK, wrong), wrong


def test_steps_are_judged_by_what_the_line_before_says() -> None:
    said = steps_of(TASK, "3 + 5 = 9 left 7 9 ; 9 - 7 = 2 left 2 ; then")
    assert said == [(False, (7, 9)), (True, (2,)), (False, None)]
    assert left_after(TASK, "") == (3, 5, 7) and left_after(TASK, "3 + 5 = 8 left 7 8 ;") == (7, 8)
    assert left_after(TASK, "3 + 5 = 9 left 7 9 ;") is None


def test_every_ending_is_right_and_none_is_missed() -> None:
    """Against the solver of Countdown, and against all pairs of lines."""
    random = rng("countdown lines")
    for _ in range(30):
        numbers, target = tuple(random.randint(1, 12) for _ in range(3)), random.randint(1, TOP)
        task: Task = task_of(list(numbers), target)
        found = endings(numbers, target)
        assert bool(found) == (solve(list(numbers), target, top=TOP) is not None)
        assert len(set(found)) == len(found) and all(right(task, text) for text in found)
        every = [f"{a} {b}" for a, left in lines(numbers) for b, _ in lines(left)]
        assert sorted(found) == sorted(t for t in set(every) if right(task, t))
        if found:
            assert demonstrate(random, task) in found


def test_a_task_without_a_solution_has_no_demonstration() -> None:
    numbers = next(list(n) for n in product((1, 2), repeat=3) if not endings(n, TOP))
    with pytest.raises(ValueError, match="no solution"):
        demonstrate(rng("x"), task_of(numbers, TOP))
