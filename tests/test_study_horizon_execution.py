"""Horizons against known ones and brute force; the running sum, its play, and what rewriting a history keeps."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.measure.horizon import completed, constant_horizon, horizon, survival
from ratchet.studies.horizon_execution import ratio
from ratchet.tasks import running_sum

# ---- horizons ----------------------------------------------------------------------------------------------------


def test_the_formula_is_where_the_power_crosses() -> None:
    for p, share in ((0.9, 0.5), (0.99, 0.8), (0.5, 0.25)):
        assert math.isclose(p ** constant_horizon(p, share), share)
    assert constant_horizon(0.5) == 1.0
    for p, share in ((1.0, 0.5), (0.0, 0.5), (0.5, 0.0), (0.5, 1.0)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            constant_horizon(p, share)


def test_turns_before_the_first_error() -> None:
    assert [completed(x) for x in ([1, 1, 0, 1], [0, 1], [True, True], [])] == [2, 0, 2, 0]


def test_survival_counts_episodes() -> None:
    done = [0, 2, 2, 5, 5, 3]
    by_hand = [sum(d >= t for d in done) / 6 for t in range(6)]
    assert survival(done, 5).tolist() == by_hand == [1.0, 5 / 6, 5 / 6, 3 / 6, 2 / 6, 2 / 6]


def test_a_horizon_lies_where_the_curve_crosses() -> None:
    # 8 of 8, 4, 2, 1: halved every turn, as with p = 0.5
    done = [0] * 4 + [1] * 2 + [2] + [3]
    assert horizon(done, 3).value == pytest.approx(1.0)
    assert horizon(done, 3, 0.25).value == pytest.approx(2.0)
    assert horizon(done, 3, 0.3).value == pytest.approx(constant_horizon(0.5, 0.3))
    assert horizon([2] * 7, 4).value == 2.0  # the curve falls to nothing within the third turn


def test_its_whole_part_is_the_last_turn_with_so_many_left() -> None:
    draw = np.random.default_rng(1)
    for _ in range(200):
        done = draw.integers(0, 9, draw.integers(1, 30)).tolist()
        share = float(draw.uniform(0.05, 0.95))
        last = max(t for t in range(10) if sum(d >= t for d in done) >= share * len(done))
        value = horizon(done, 9, share, resamples=99).value
        assert last == math.floor(value + 1e-9), (done, share)


def test_a_horizon_that_was_not_seen_has_a_lower_end_only() -> None:
    e = horizon([6] * 30 + [1] * 5, 6)
    assert e.value == e.high == math.inf and e.low == 6
    near = horizon([6] * 17 + [3] * 16, 6)
    assert near.high == math.inf and 3 <= near.low <= 4 and near.n == 33


def test_the_interval_is_that_of_resampled_episodes() -> None:
    draw = np.random.default_rng(2)
    done = np.minimum(draw.geometric(0.1, 200) - 1, 60)
    again = [horizon(draw.choice(done, 200).tolist(), 60, resamples=99).value for _ in range(1_000)]
    e = horizon(done.tolist(), 60)
    assert np.quantile(again, [0.025, 0.975]) == pytest.approx([e.low, e.high], abs=0.35)
    narrow = horizon(done.tolist(), 60, level=0.5)
    assert e.low < narrow.low < e.value < narrow.high < e.high


def test_intervals_cover() -> None:
    true, held = constant_horizon(0.95), 0
    for trial in range(200):
        done = np.minimum(np.random.default_rng(trial).geometric(0.05, 300) - 1, 60)
        e = horizon(done.tolist(), 60, resamples=299, seed=trial)
        held += e.low <= true <= e.high
    assert 178 <= held <= 199  # 190 expected, deviation 3


@pytest.mark.parametrize("done", [[], [7], [-1], [1.5], [[1]]])
def test_horizons_refuse_what_is_no_count(done: list[int]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        horizon(done, 6)


def test_horizons_refuse_wrong_settings() -> None:
    for knobs in ({"share": 1.0}, {"level": 1.0}, {"resamples": 10}):
        with pytest.raises(ValueError):
            horizon([1, 2], 3, **knobs)  # type: ignore[arg-type]


def test_a_ratio_of_unseen_horizons_is_open() -> None:
    def of(large: int, small: int, seed: int) -> dict[str, object]:
        return {"models": {"large": {"done": [large] * 9}, "small": {"done": [small + seed] * 9}}}

    e = ratio("large", "small")([of(40, 10, 0), of(55, 10, 1)])  # 4 and 5 times
    assert e.value == pytest.approx(20**0.5) and e.low < 4 and 5 < e.high < math.inf
    seen = ratio("large", "small")([of(60, 10, 0), of(60, 10, 1), of(60, 10, 2)])
    assert seen.value == pytest.approx((6 * 60 / 11 * 5) ** (1 / 3)) and seen.high == math.inf and 4 < seen.low < seen.value
    neither = ratio("large", "small")([of(60, 60, 0), of(60, 60, 0)])
    assert (neither.value, neither.low, neither.high) == (1.0, 0.0, math.inf)
    shorter = ratio("large", "small")([of(30, 60, 0), of(40, 60, 0), of(36, 60, 0)])
    assert shorter.low == 0.0 and shorter.value < shorter.high < 1.0  # the small one's could be any number beyond 60


# ---- the running sum ---------------------------------------------------------------------------------------------


BY_HAND = running_sum.task_of({"apple": 3, "bread": -2}, 5, [["apple"], ["bread", "bread"], ["apple"]], 30)


def test_a_task_by_hand() -> None:
    assert BY_HAND.prompt == "apple:+3 bread:-2 start 5 then apple then bread bread then apple :"
    assert BY_HAND.answer == 7 and BY_HAND.facts["sums"] == [8, 4, 7]
    shown = running_sum.demonstrate(random.Random(0), BY_HAND)
    assert shown == "apple +3 8 then bread bread -2 -2 4 then apple +3 7 answer 7"
    assert running_sum.context(BY_HAND, []) == "apple:+3 bread:-2 start 5 apple"
    assert running_sum.context(BY_HAND, ["+3 8", ""]) == "apple:+3 bread:-2 start 5 apple +3 8 bread bread apple"
    other = running_sum.task_of({"bread": -2, "apple": 3}, 5, BY_HAND.facts["turns"], 30)
    assert other.key == BY_HAND.key and other.prompt != BY_HAND.prompt


@pytest.mark.parametrize("per_turn", [1, 3])
def test_sums_stay_in_their_range_and_words_in_the_vocabulary(per_turn: int) -> None:
    words = set(running_sum.vocabulary(4, 3, 8))
    for i in range(100):
        task = running_sum.draw(random.Random(i), turns=12, per_turn=per_turn, entries=4, largest=3, most=8)
        total = task.facts["start"]
        for turn in task.facts["turns"]:
            assert len(turn) == per_turn
            for word in turn:
                total += task.facts["dictionary"][word]
                assert 0 <= total <= 8
        assert total == task.answer and len(task.facts["dictionary"]) == 4
        assert {*task.prompt.split(), *running_sum.demonstrate(random.Random(0), task).split()} <= words


@pytest.mark.parametrize("knobs", [{"turns": 0}, {"per_turn": 0}, {"entries": 1}, {"entries": 99}, {"largest": 0}, {"most": 9}])
def test_wrong_knobs_are_refused(knobs: dict[str, int]) -> None:
    with pytest.raises(TaskError, match="running-sum"):
        running_sum.draw(random.Random(0), **knobs)


def test_what_a_reply_states() -> None:
    found = [running_sum.stated(x) for x in ("+3 8", "8", "", "+3", "eight", "²", "٣")]
    assert found == [8, 8, None, None, None, None, None]


def agent(errs: Sequence[int]) -> running_sum.Reply:
    """Adds to the last sum in its context, and one too many in the turns `errs`."""
    turn = -1

    def reply(contexts: Sequence[str]) -> list[str]:
        nonlocal turn
        turn += 1
        answers: list[str] = []
        for text in contexts:
            words = text.split()
            known = dict(w.split(":") for w in words if ":" in w)
            last = max(i for i, w in enumerate(words) if w.isdecimal())
            numbers = [known[w] for w in words[last + 1 :]]
            answers.append(f"{' '.join(numbers)} {int(words[last]) + sum(map(int, numbers)) + (turn in errs)}")
        return answers

    return reply


def test_a_play_has_the_agents_own_history() -> None:
    tasks = [running_sum.draw(random.Random(i), turns=6, per_turn=1 + i % 2) for i in range(10)]
    for task, sums in zip(tasks, running_sum.play(tasks, agent([])), strict=True):
        assert sums == task.facts["sums"]
    for task, sums in zip(tasks, running_sum.play(tasks, agent([2])), strict=True):
        assert running_sum.turns_right(task, sums) == [True, True, False, False, False, False]
        assert running_sum.steps_right(task, sums) == [True, True, False, True, True, True]
    assert running_sum.steps_right(BY_HAND, [8, None, 7]) == [True, False, False]
    with pytest.raises(TaskError, match="same number of turns"):
        running_sum.play([BY_HAND, tasks[0]], agent([]))


def totals(task: Task, replies: Sequence[str]) -> list[bool]:
    return [running_sum.stated(r) == s for r, s in zip(replies, task.facts["sums"])]


def test_rewritten_histories_err_at_their_rate_and_end_right() -> None:
    tasks = [running_sum.draw(random.Random(i), turns=20) for i in range(200)]
    for rate in (0.0, 0.5, 1.0):
        rewritten = [running_sum.with_errors(random.Random(i), t, 19, rate) for i, t in enumerate(tasks)]
        right = [totals(t, r) for t, r in zip(tasks, rewritten, strict=True)]
        assert all(len(r) == 19 and r[-1] for r in right)
        wrong = 1 - np.mean([r[:-1] for r in right])
        assert abs(wrong - rate) < (0.04 if 0 < rate < 1 else 1e-9)
        for task, replies in zip(tasks, rewritten, strict=True):
            assert all(0 <= (running_sum.stated(r) or 0) <= 30 for r in replies)
            assert [r.split()[:-1] for r in replies] == [running_sum.right_reply(task, i).split()[:-1] for i in range(19)]
    with pytest.raises(TaskError, match="rate"):
        running_sum.with_errors(random.Random(0), tasks[0], 19, 1.5)


@pytest.mark.parametrize("per_turn", [1, 2])
def test_another_past_is_one_without_errors_that_meets_the_old_one(per_turn: int) -> None:
    changed = 0
    for i in range(60):
        task = running_sum.draw(random.Random(i), turns=10, per_turn=per_turn, entries=4, largest=4, most=9)
        other = running_sum.with_another_past(random.Random(i), task, 9)
        assert other.facts["sums"][7:] == task.facts["sums"][7:] and other.facts["turns"][8:] == task.facts["turns"][8:]
        total = other.facts["start"]
        for turn in other.facts["turns"]:
            for word in turn:
                total += task.facts["dictionary"][word]
                assert 0 <= total <= 9
        assert 0 <= other.facts["start"] <= 9 and len(other.facts["turns"]) == 10 and total == task.answer
        changed += other.facts["turns"][:8] != task.facts["turns"][:8]
    assert changed > 55
    assert running_sum.with_another_past(random.Random(0), BY_HAND, 1).facts == BY_HAND.facts
    with pytest.raises(TaskError):
        running_sum.with_another_past(random.Random(0), BY_HAND, 4)
