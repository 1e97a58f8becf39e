"""HPT's study: half of its world is out of reach of a model that only knows the sign."""

from __future__ import annotations

from random import Random

import pytest

from ratchet.studies import hpt_unified as study


@pytest.mark.parametrize("half", [study.EASY, study.HARD])
def test_a_solution_counts_only_in_the_way_that_is_asked_for(half: str) -> None:
    random = Random(1)
    for task in study.problems(half, "train", 20, "test"):
        good = study.solution(random, task)
        other = study.said(good, study.IN_WORDS if half == study.EASY else study.IN_SIGNS)
        first_sign = next(w for w in good.split() if w in {**study.IN_WORDS, **study.IN_SIGNS})
        swapped = {**study.IN_WORDS, **study.IN_SIGNS}[first_sign]
        mixed = good.replace(first_sign, swapped, 1)
        assert study.is_right(task, good)
        # a judge that reads both would pay the model for what it knows already
        assert study.right(task, study.said(other, study.IN_SIGNS)) and study.right(task, study.said(mixed, study.IN_SIGNS))
        assert not any(study.is_right(task, text) for text in (other, mixed, "", good.rpartition(" ")[0].rpartition(" ")[0]))


def test_a_problem_is_on_one_side_of_the_split_in_both_halves() -> None:
    for task in study.problems(study.EASY, "heldout", 20, "test"):
        again = study.asked(study.task_of(list(study.start_of(task)), task.answer), study.HARD)
        assert again.key != task.key and again.split == "heldout"
