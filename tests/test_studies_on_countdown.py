"""What the studies on Countdown with three numbers rest on: traces, the parts of a pool, the estimator of pass@k."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from ratchet.core.types import Task
from ratchet.measure.behaviours import count_behaviours
from ratchet.measure.estimate import pass_at_k
from ratchet.studies.cognitive_behaviors import RULES
from ratchet.studies.math_beyond import PARTS, parted
from ratchet.studies.small_countdown import LONGEST, problems
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_traces import MARKS, attempts, direct, filled, trace, words
from ratchet.verify.verifier import find

ALL = frozenset(MARKS)
TASKS = problems("train", 200, "test")


def passes(task: Task, text: str) -> bool:
    return find("countdown")(task, text).passed


def test_attempts_are_all_expressions_and_hits_are_the_right_ones() -> None:
    for task in TASKS[:60]:
        for attempt in attempts(task):
            assert passes(task, f"answer {attempt.answer}") == attempt.hits, (task.prompt, attempt)
        assert any(a.hits for a in attempts(task))


def test_the_attempts_of_one_task_by_hand() -> None:
    written = {a.write(ALL) for a in attempts(task_of([3, 7, 12], 33))}
    assert "from 33 - 12 = 21 need 21 try 3 * 7 = 21 check yes" in written
    assert "from 33 + 3 = 36 need 36 try 7 + 12 = 19 check no" in written
    assert not any("3 / 7" in w for w in written)


@pytest.mark.parametrize("right", [True, False])
def test_a_trace_ends_as_it_should_in_words_that_the_model_has(right: bool) -> None:
    known = set(words())
    for i, task in enumerate(TASKS):
        text = trace(random.Random(i), task, ALL, right)
        assert passes(task, text) is right and set(text.split()) <= known and len(text.split()) < LONGEST
        assert passes(task, filled(text)) is right and len(filled(text).split()) == len(text.split())
        assert passes(task, direct(text)) is right and direct(text).startswith("answer ")
        assert not any(mark in filled(text).split() for mark in MARKS.values())


def test_the_counter_finds_each_habit_where_it_is_and_nowhere_else() -> None:
    for i, task in enumerate(TASKS):
        habits = frozenset(h for h in MARKS if random.Random(f"{i} {h}").random() < 0.5)
        text = trace(random.Random(i), task, habits)
        tries = text.split().count("try")
        expected = {h: (tries - (h == "backtracking")) * (h in habits) for h in MARKS}
        assert count_behaviours(text, RULES) == expected
    assert count_behaviours("check check back need from try yes", RULES) == dict.fromkeys(MARKS, 0)


def test_the_parts_of_a_pool_add_up_to_it() -> None:
    draw = random.Random(1)
    before, after = ([draw.choice((0, 0, 1, 5)) for _ in range(300)] for _ in range(2))
    parts = parted(before, after)
    assert sum(parts.values()) == 300 and set(parts) == set(PARTS)
    assert parted([0, 0, 3, 3, 1], [0, 2, 0, 1, 9]) == {"expansion": 1, "shrinkage": 1, "preservation": 2, "out of reach": 1}


def test_pass_at_k_is_the_average_over_all_choices_of_k() -> None:
    for n in range(1, 10):
        for right in range(n + 1):
            for k in range(1, n + 1):
                chosen = list(combinations([i < right for i in range(n)], k))
                assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, chosen)) / len(chosen))
