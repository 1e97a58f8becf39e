"""Estimates, pass@k, comparison, records and the gate: golden numbers and error rates by simulation."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ratchet.core.errors import StoreError
from ratchet.loop import gate
from ratchet.loop.gate import Decision, look
from ratchet.measure.estimate import mean, paired_difference, pass_at_k, powers_of_two, wilson
from ratchet.measure.record import Record, Row, compare, load_record


def test_mean_golden() -> None:
    e = mean([1.0, 2.0, 3.0, 4.0])
    # t with 3 degrees of freedom at 97.5 % is 3.18245; the standard error is sqrt(5/3/4)
    half = 3.1824463 * (5 / 3 / 4) ** 0.5
    assert (e.value, e.n) == (2.5, 4)
    assert (e.low, e.high) == pytest.approx((2.5 - half, 2.5 + half))


def test_clusters_widen_the_interval() -> None:
    values = [float(i // 10 % 2) for i in range(100)]
    free, clustered = mean(values), mean(values, [i // 10 for i in range(100)])
    assert clustered.n == 10 and clustered.high - clustered.low > 2.5 * (free.high - free.low)


def test_no_variance_still_has_an_interval() -> None:
    e = mean([0.0] * 20)
    assert (e.value, e.low, e.high) == (0.0, 0.0, wilson(0, 20).high) and mean([1.0]).low == pytest.approx(0.05)
    e = mean([1.0] * 20, [i // 2 for i in range(20)])  # ten clusters
    assert (e.low, e.high) == (pytest.approx(0.05 ** (1 / 10)), 1.0) and mean([0.5] * 20).low < 0.45
    up, down = paired_difference([0.0] * 10, [1.0] * 10), paired_difference([1.0] * 10, [0.0] * 10)
    assert (up.low, up.high) == (pytest.approx(-down.high), pytest.approx(-down.low)) and up.low < 0.6
    with pytest.raises(ValueError, match="at least one"):
        mean([])


def test_outcomes_that_are_independent_have_wilsons_interval() -> None:
    assert mean([1.0] * 3 + [0.0] * 97) == wilson(3, 100)
    record = Record("m", "t", "s", [Row(str(i), str(i), 1, int(i < 3), 0, 1) for i in range(100)])
    assert record.pass_at(1) == wilson(3, 100)
    twice = mean([1.0] * 6 + [0.0] * 194, [i // 2 for i in range(200)])  # of clusters with several the variance is their own
    assert twice.n == 100 and twice.low == 0 < wilson(6, 200).low
    assert (mean([0.9, 1.0, 1.0]).high, mean([0.0, 0.0, 0.3]).low) == (1.0, 0.0)  # no share lies beyond
    assert mean([0.0, 0.0, 0.3], bounds=(-1.0, 1.0)).low < 0


@pytest.mark.parametrize(("n", "p"), [(50, 0.03), (100, 0.03), (100, 0.97), (300, 0.01)])
def test_a_share_covers_away_from_one_half(n: int, p: float) -> None:
    """Summed over all counts. The t interval covers 0.03 of 100 in 80 % of the cases."""
    counts = np.arange(n + 1)
    found = [mean([1.0] * int(x) + [0.0] * int(n - x)) for x in counts]
    assert stats.binom.pmf(counts, n, p) @ np.array([e.low <= p <= e.high for e in found]) > 0.92


def test_equal_outcomes_of_few_tasks_do_not_show_that_nothing_differs() -> None:
    for n in (1, 3, 40):
        e = paired_difference([0.5] * n, [0.5] * n)
        assert e.value == 0 and e.n == n and e.high == -e.low == pytest.approx(1 - 0.05 ** (1 / n))
    clustered = paired_difference([1.0] * 6, [1.0] * 6, [0, 0, 0, 1, 1, 1])
    assert clustered.n == 2 and clustered.high == pytest.approx(1 - 0.05 ** (1 / 2))
    with pytest.raises(ValueError, match="at least one"):
        paired_difference([], [])


@given(st.integers(1, 12), st.data())
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_right_one(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(itertools.combinations(range(n), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(any(i < c for i in s) for s in subsets) / len(subsets))


def test_pass_at_k_refuses_what_it_cannot_estimate() -> None:
    for n, c, k in ((4, 5, 1), (4, 2, 5), (4, 2, 0)):
        with pytest.raises(ValueError, match="pass@k"):
            pass_at_k(n, c, k)
    assert powers_of_two(64) == [1, 2, 4, 8, 16, 32, 64] and powers_of_two(5) == [1, 2, 4]


def outcomes(random_: random.Random, n: int, gain: float, share: float = 0.3) -> tuple[list[float], list[float]]:
    """Success rates over two samples of n paired tasks of varied difficulty; the second model is better by `gain`."""
    first, second = [], []
    for _ in range(n):
        p = random_.betavariate(1, 1.5)
        q = min(max(p + gain, 0.0), 1.0)
        first.append(sum(random_.random() < p for _ in range(2)) / 2)
        second.append(sum(random_.random() < q for _ in range(2)) / 2)
    return first, second


def test_paired_intervals_cover_the_truth() -> None:
    random_ = random.Random(1)
    covered = 0
    for _ in range(600):
        d = paired_difference(*outcomes(random_, 60, 0.0))
        covered += d.low <= 0 <= d.high
    assert 0.93 <= covered / 600 <= 0.97


def test_the_gate_keeps_its_error_over_all_looks() -> None:
    random_ = random.Random(2)
    runs, looks, false = 400, 8, 0
    for _ in range(runs):
        decisions = [look(*outcomes(random_, 80, 0.0), error=0.05, looks=looks).decision for _ in range(looks)]
        false += Decision.PROMOTE in decisions
    assert false / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    # the same looks without a correction would break the promise: the check can fail
    naive = sum(
        any(look(*outcomes(random_, 80, 0.0), error=0.05, looks=1).decision is Decision.PROMOTE for _ in range(looks))
        for _ in range(100)
    )
    assert naive / 100 > 0.12


def test_the_gate_sees_gains_and_losses_and_says_when_it_cannot_tell() -> None:
    random_ = random.Random(3)
    assert look(*outcomes(random_, 500, 0.15), error=0.05, looks=8).decision is Decision.PROMOTE
    assert look(*outcomes(random_, 500, -0.15), error=0.05, looks=8).decision is Decision.ROLL_BACK
    unsure = look(*outcomes(random_, 100, 0.01), error=0.05, looks=8)
    assert unsure.decision is Decision.GO_ON and "cannot tell" in unsure.reason
    few = look([0.0] * 100, [1.0] * 5 + [0.0] * 95, error=0.05, looks=1)
    assert few.decision is Decision.GO_ON and "only 5 tasks differ" in few.reason
    same = look([0.5] * 50, [0.5] * 50, error=0.05, looks=1)
    assert same.decision is Decision.GO_ON and same.difference.value == 0
    with pytest.raises(ValueError, match="error"):
        look([0.0], [1.0], error=0.7)


# ---- records -----------------------------------------------------------------------------------------------------


def record(passes: list[int], n: int = 4, start: int = 0) -> Record:
    return Record("m", "t", "single", [Row(str(i + start), str(i + start), n, p, 0, 10) for i, p in enumerate(passes)])


def test_records_round_trip_and_compare(tmp_path: Path) -> None:
    a, b = record([0, 1, 2, 3] * 10), record([1, 2, 3, 4] * 10)
    a.save(tmp_path / "a.json")
    again = load_record(tmp_path / "a.json")
    assert again == a
    d = compare(again, b)
    assert d.value == pytest.approx(0.25) and d.n == 40
    assert compare(a, a).value == 0 and -0.08 < compare(a, a).low < 0
    assert compare(record([1, 1, 1]), record([2, 2, 2], start=1)).n == 2


def test_records_that_cannot_be_compared_say_why(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="share no task"):
        compare(record([1]), record([1], start=5))
    (tmp_path / "bad.json").write_text('{"rows": 3}')
    for name in ("bad.json", "absent.json"):
        with pytest.raises(StoreError, match=name):
            load_record(tmp_path / name)
    with pytest.raises(StoreError, match="judged samples"):
        record([1]).pass_at(8)


def test_what_a_gate_can_show_is_what_it_shows() -> None:
    """At the widest spread a gain of the stated size is promoted in about 80 of 100 looks, and half of it far less often."""
    generator = np.random.default_rng(3)
    tasks, samples, runs = 400, 2, 400
    gain = gate.detectable(tasks, samples, error=0.05, looks=2)

    def promoted(shift: float) -> float:
        found = 0
        for _ in range(runs):
            a, b = (generator.binomial(samples, p, tasks) / samples for p in (0.5 - shift / 2, 0.5 + shift / 2))
            found += gate.look(a.tolist(), b.tolist(), error=0.05, looks=2).decision == "PROMOTE"
        return found / runs

    assert 0.74 < promoted(gain) < 0.86
    assert promoted(gain / 2) < 0.4
