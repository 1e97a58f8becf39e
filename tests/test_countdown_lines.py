"""Countdown one operation per line: what is right, what can still be solved, and that all endings are found."""

from __future__ import annotations

from itertools import product

import pytest

from ratchet.core.seeds import rng
from ratchet.core.types import Task
from ratchet.tasks.countdown import solve, task_of
from ratchet.tasks.countdown_lines import TOP, demonstrate, endings, left_after, lines, right, start_of, steps_of

TASK = task_of([3, 5, 2], 10)
SOLVED = "3 + 5 = 8 left 2 8 ; 2 + 8 = 10 left 10 ;"


def test_right_solutions_and_what_makes_them_wrong() -> None:
    assert right(TASK, SOLVED) and SOLVED in endings(start_of(TASK), 10)
    for wrong in (
        "", "10", "answer 10", SOLVED.removesuffix(" ;"), SOLVED + " 10", SOLVED + " 10 ;", SOLVED.replace("= 8", "= 9"),
        SOLVED.replace("left 2 8", "left 8 2"), SOLVED.replace("left 2 8", "left 8"), SOLVED.replace("10", "١٠"),
        "3 + 5 = 8 left 2 8 ;", "2 + 8 = 10 left 10 ;", "3 + 5 = 8 left 2 8 ; 3 + 8 = 11 left 11 ;", "3 + 7 = 10 left 10 ;",
    ):  # fmt: skip
        assert not right(TASK, wrong), wrong


def test_steps_are_judged_by_what_the_line_before_says() -> None:
    said = steps_of(TASK, "3 + 5 = 9 left 2 9 ; 9 - 2 = 7 left 7 ; then")
    assert said == [(False, (2, 9)), (True, (7,)), (False, None)]
    assert left_after(TASK, "") == (3, 5, 2) and left_after(TASK, "3 + 5 = 8 left 2 8 ;") == (2, 8)
    assert left_after(TASK, "3 + 5 = 9 left 2 9 ;") is None


def test_every_ending_is_right_and_none_is_missed() -> None:
    """Against the solver of Countdown, and against all pairs of lines."""
    random = rng("countdown lines")
    for _ in range(30):
        numbers, target = tuple(random.randint(1, 9) for _ in range(3)), random.randint(1, TOP)
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
