"""What changed in a model: known answers by hand or by brute force, and nulls that catch the noise of resampling."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Answer
from test_report import make_run, read

from ratchet.core.errors import EngineError, StoreError
from ratchet.core.types import Estimate, Task
from ratchet.measure.alarm import Audited, alarm
from ratchet.measure.behaviours import (
    MEANING,
    Rules,
    Tally,
    agreement,
    behaviours,
    count_behaviours,
    judged,
    judged_behaviours,
    tallied,
)
from ratchet.measure.calibration import calibration, calibration_of
from ratchet.measure.changes import described, stored_changes, what_changed
from ratchet.measure.contamination import between_splits, overlap, shared_runs
from ratchet.measure.entropy import (
    answer_entropy,
    answer_entropy_change,
    drawn,
    mean_answer_entropy,
    token_entropy,
    token_entropy_change,
)
from ratchet.measure.flips import majority, majority_flips, sample_flips
from ratchet.measure.intervals import share_of, wilson
from ratchet.measure.samples import Problem, Sample, best_of_at, compare, mean_length, paired, pass_at, pass_hat_at
from ratchet.measure.support import Counts, support
from ratchet.tasks.near_duplicates import jaccard, near_matches, near_pairs, word_pairs

RATES = (0.0, 0.02, 0.1, 0.5, 0.98)


def draw(rates: Sequence[float], n: int, rng: np.random.Generator) -> Counts:
    """n samples of each problem of a model that is right with these chances."""
    return [(n, int(c)) for c in rng.binomial(n, rates)]


def holds(e: Estimate, value: float) -> bool:
    return e.low <= value <= e.high


# ---- support -----------------------------------------------------------------------------------------------------


def test_support_at_the_full_budget_is_a_count() -> None:
    before = [(2, 2), (2, 1), (2, 1), (2, 0), (2, 0), (2, 0)]
    after = [(2, 1), (2, 0), (2, 0), (2, 2), (2, 0), (2, 0)]
    s = support(before, after, 2, again=[(2, 0), (2, 1), (2, 2), (2, 0), (2, 1), (2, 0)])
    o, n = s.observed, s.null
    assert (o.preserved, o.expanded, o.shrunk, o.never) == (1, 1, 2, 2)
    assert (n.preserved, n.expanded, n.shrunk, n.never) == (2, 1, 1, 2)
    assert o.retention is not None and o.retention.value == 1 / 3 and o.retention.n == 3  # three problems were solved
    assert o.discovery is not None and o.discovery.value == 1 / 2 and o.discovery.n == 2
    assert s.expanded.value == 0 and s.shrunk.value == pytest.approx(1 / 6)
    assert s.null_from == "a second draw of the model before" and s.problems == 6
    # the fourth problem is won, the fifth is won by chance: the interval knows that they are not the same
    assert s.expanded.low < 0 < s.expanded.high


def test_support_is_the_average_over_all_choices() -> None:
    """Observed: k of the samples of either side. Null: two disjoint sets of k of the samples before."""
    before, after, k = [(5, 1), (6, 2), (4, 4), (4, 0)], [(3, 1), (4, 0), (2, 1), (3, 2)], 2
    seen, null = np.zeros(4), np.zeros(4)
    for (n, c), (m, d) in zip(before, after, strict=True):
        a, b = [i < c for i in range(n)], [i < d for i in range(m)]
        pairs = [(any(x), any(y)) for x in itertools.combinations(a, k) for y in itertools.combinations(b, k)]
        halves = [
            (any(a[i] for i in x), any(a[i] for i in y))
            for x in itertools.combinations(range(n), k)
            for y in itertools.combinations(sorted(set(range(n)) - set(x)), k)
        ]
        for total, found in ((seen, pairs), (null, halves)):
            total += [found.count(cell) / len(found) for cell in ((True, True), (False, True), (True, False), (False, False))]
    s = support(before, after, k)
    for part, expected in ((s.observed, seen), (s.null, null)):
        assert [part.preserved, part.expanded, part.shrunk, part.never] == pytest.approx(expected.tolist())
        assert part.preserved + part.expanded + part.shrunk + part.never == pytest.approx(4)
    assert s.expanded.value == pytest.approx((seen - null)[1] / 4) and s.shrunk.value == pytest.approx((seen - null)[2] / 4)


@pytest.mark.parametrize("second", [False, True])
def test_the_null_of_support_catches_resampling(second: bool) -> None:
    """The same model twice: problems seem won and lost in every pair of draws, but not beyond the null."""
    rng = np.random.default_rng(1)
    rates = rng.choice(RATES, 200)
    net: list[float] = []
    alarms = 0
    for _ in range(60):
        s = support(draw(rates, 16, rng), draw(rates, 16, rng), 8, draw(rates, 16, rng) if second else None)
        assert s.observed.expanded > 5 and s.observed.shrunk > 5
        net += [s.expanded.value]
        alarms += not holds(s.expanded, 0)
    assert abs(np.mean(net)) < 3 * np.std(net) / math.sqrt(60)
    assert alarms <= 8  # 3 are expected at 95 %


def test_support_sees_what_was_lost_and_won() -> None:
    rng = np.random.default_rng(2)
    before = np.array([0.2] * 100 + [0.0] * 100)
    after = np.array([0.0] * 60 + [0.9] * 40 + [0.0] * 70 + [0.3] * 30)
    s = support(draw(before, 32, rng), draw(after, 32, rng))
    assert s.k == 16 and s.problems == 200 and s.expanded.low > 0.05 and s.shrunk.low > 0.2
    assert holds(s.expanded, 30 / 200) and s.observed.retention is not None and s.observed.retention.high < 0.6


def test_support_takes_the_problems_that_are_deep_enough() -> None:
    mixed = [(64, 3)] * 40 + [(4, 1)] * 60
    s = support(mixed, mixed)
    assert s.k == 32 and s.problems == 40 and s.left_out == 60
    assert support([(64, 3)] * 5 + [(4, 1)] * 5, [(64, 3)] * 10).k == 2  # of few problems all take part
    groups = [i // 4 for i in range(100)]
    wide = support(mixed, [(n, 0) if i % 8 < 4 else (n, c) for i, (n, c) in enumerate(mixed)], 2, clusters=groups)
    alone = support(mixed, [(n, 0) if i % 8 < 4 else (n, c) for i, (n, c) in enumerate(mixed)], 2)
    assert wide.shrunk.n == 25 and alone.shrunk.n == 100
    assert wide.shrunk.high - wide.shrunk.low > 1.5 * (alone.shrunk.high - alone.shrunk.low)
    for wrong in (
        lambda: support([(2, 1)], [(2, 1), (2, 0)]),
        lambda: support([(2, 3)], [(2, 1)]),
        lambda: support([(2, 1)], [(2, 1)], 2),
        lambda: support([(1, 1)], [(1, 1)]),
        lambda: support([], []),
    ):
        with pytest.raises(StoreError, match="support"):
            wrong()


def test_a_share_of_sums_by_hand() -> None:
    e = share_of([2, 1, 0, 3], [4, 2, 0, 6.6])
    assert e.value == pytest.approx(6 / 12.6) and e.n == 3  # nothing was asked of the third
    # residuals part - share * whole, over a mean whole of 4.2: the mean of three, t with 2 degrees
    r = np.array([2 - 24 / 12.6, 1 - 12 / 12.6, 3 - 6 * 6.6 / 12.6]) / 4.2
    half = 4.302652729911275 * r.std(ddof=1) / math.sqrt(3)
    assert (e.low, e.high) == pytest.approx((6 / 12.6 - half, 6 / 12.6 + half))
    assert share_of([2, 1], [2, 1]).high == 1 and share_of([2, 1], [2, 1]).low < 0.5  # cut at 1; two say little
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        whole = rng.integers(1, 6, 60)
        e = share_of(rng.binomial(whole, 0.3), whole)
        hits += holds(e, 0.3)
    assert hits > 300 * 0.9
    with pytest.raises(ValueError, match="parts between"):
        share_of([2], [1])


# ---- entropy -----------------------------------------------------------------------------------------------------


def test_answer_entropy_by_hand() -> None:
    e = answer_entropy(["a", "a", "a", "b", None, ""])
    plug_in = -(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4))
    assert e.plug_in == pytest.approx(plug_in) and e.corrected == pytest.approx(plug_in + 1 / 8)  # (2 - 1) / (2 * 4)
    assert answer_entropy(["a"] * 5) == (0, 0)
    answers = ["a", "a", "a", "b", "c", "c"]
    subsets = [answer_entropy(s) for s in itertools.combinations(answers, 3)]
    fewer = answer_entropy(answers, 3)
    assert fewer.plug_in == pytest.approx(np.mean([s.plug_in for s in subsets]))
    assert fewer.corrected == pytest.approx(np.mean([s.corrected for s in subsets]))
    assert mean_answer_entropy([["a", "b"], ["a", "a"], ["a"]]).value == pytest.approx((math.log(2) + 1 / 4) / 2)
    for wrong in (["a"], [None, None, "a"], []):
        with pytest.raises(StoreError, match="at least 2"):
            answer_entropy(wrong)
    with pytest.raises(StoreError, match="no more than there are"):
        answer_entropy(["a", "b"], 3)


def test_the_correction_takes_most_of_the_bias() -> None:
    rng, p = np.random.default_rng(0), np.array([0.4, 0.3, 0.2, 0.1])
    true = -(p * np.log(p)).sum()
    found = np.array([answer_entropy(rng.choice(4, 16, p=p).tolist()) for _ in range(400)]).mean(axis=0)
    assert found[0] < true - 0.07 and abs(found[1] - true) < 0.03


def test_two_models_are_compared_at_the_same_number_of_answers() -> None:
    """The same model with 4 and with 64 answers: the plug-in estimates differ, the change does not."""
    rng, p = np.random.default_rng(3), [0.4, 0.3, 0.2, 0.1]
    few, many = ([rng.choice(4, n, p=p).tolist() for _ in range(150)] for n in (4, 64))
    raw = np.mean([answer_entropy(b).plug_in - answer_entropy(a).plug_in for a, b in zip(few, many, strict=True)])
    change = answer_entropy_change([*few, ["a"]], [*many, ["a", "b"]])
    assert raw > 0.2 and change.left_out == 1 and change.corrected.difference.n == 150
    assert holds(change.corrected.difference, 0) and holds(change.plug_in.difference, 0)
    sharper = [rng.choice(4, 16, p=[0.97, 0.01, 0.01, 0.01]).tolist() for _ in range(150)]
    assert answer_entropy_change(many, sharper).corrected.difference.high < -0.5
    with pytest.raises(StoreError, match="same problems"):
        answer_entropy_change(few, many[1:])


def test_token_entropy() -> None:
    by_hand = token_entropy([[drawn([-1.0, -3.0]), drawn([-2.0])], [drawn([0.0])]])
    assert by_hand.value == pytest.approx((6 / 3 + 0) / 2) and by_hand.unit == "problems"
    rng, p = np.random.default_rng(0), np.array([0.7, 0.2, 0.1])
    true = -(p * np.log(p)).sum()
    samples = [[drawn(np.log(rng.choice(p, 20, p=p)).tolist()) for _ in range(4)] for _ in range(200)]
    flat = [[drawn([-math.log(3)] * 20)] for _ in range(200)]
    assert holds(token_entropy(samples), true) and abs(token_entropy(samples).value - true) < 0.02
    change = token_entropy_change(samples, flat)
    assert holds(change.difference, math.log(3) - true) and change.difference.low > 0
    for wrong in ([], [0.1], [-math.inf], [math.nan]):
        with pytest.raises(StoreError, match="log-probability"):
            drawn(wrong)
    with pytest.raises(StoreError, match="no sampled token"):
        token_entropy([[]])


# ---- flips -------------------------------------------------------------------------------------------------------


def test_flips_of_single_samples_by_hand() -> None:
    one = sample_flips([(1, 1), (1, 1), (1, 0), (1, 0)], [(1, 0), (1, 1), (1, 1), (1, 0)])
    assert (one.negative.low, one.negative.high) == (wilson(1, 4).low, wilson(1, 4).high) and one.positive.value == 1 / 4
    assert one.null_negative is None and one.net_negative is None  # one sample says nothing of its own noise
    several = sample_flips([(4, 3), (2, 1)], [(2, 1), (2, 2)])
    assert several.negative.value == pytest.approx((3 / 4 * 1 / 2 + 0) / 2)
    assert several.null_negative is not None and several.net_negative is not None
    own = [np.mean([a and not b for a, b in itertools.permutations(m, 2)]) for m in ([1, 1, 1, 0], [1, 0])]
    assert several.null_negative.value == pytest.approx(np.mean(own))
    assert several.net_negative.value == pytest.approx(several.negative.value - np.mean(own))
    with pytest.raises(StoreError, match="no judged sample"):
        sample_flips([(0, 0)], [(1, 1)])


def votes_of(rng: np.random.Generator, rates: Sequence[float], n: int) -> list[list[tuple[str, bool]]]:
    """Right answers agree, wrong ones are one of three."""
    return [[("r", True) if rng.random() < p else (str(rng.integers(3)), False) for _ in range(n)] for p in rates]


def test_flips_of_the_majority() -> None:
    assert majority([("a", True), ("b", False), ("a", True)]) and not majority([("", True), (None, True)])
    assert not majority([("b", False), ("a", True)])  # of two that lead, the first
    a, b = [[("x", True)] * 2, [("x", True)] * 2, [("x", False)] * 2], [[("y", False)] * 3, [("x", True)], [("y", True)]]
    f = majority_flips(a, b, again=[*a[:2], [("z", True)]])
    assert f.negative.value == f.positive.value == 1 / 3
    assert f.null_negative is not None and f.null_negative.value == 0
    assert f.null_positive is not None and f.null_positive.value == 1 / 3
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.1, 0.9, 300)
    same = majority_flips(votes_of(rng, rates, 8), votes_of(rng, rates, 8))
    assert same.negative.value > 0.08 and same.net_negative is not None and holds(same.net_negative, 0)
    assert same.null_from == "halves of the votes before, 4 votes"
    worse = majority_flips(votes_of(rng, rates, 8), votes_of(rng, rates * 0.4, 8))
    assert worse.net_negative is not None and worse.net_negative.low > 0.1
    assert majority_flips(a[:1], b[:1]) == majority_flips(a[:1], b[:1])


def test_the_null_of_single_flips_catches_resampling() -> None:
    rng = np.random.default_rng(5)
    rates = rng.choice(RATES, 200)
    net, alarms = [], 0
    for _ in range(60):
        f = sample_flips(draw(rates, 4, rng), draw(rates, 4, rng))
        assert f.negative.low > 0.03 and f.net_negative is not None
        net.append(f.net_negative.value)
        alarms += not holds(f.net_negative, 0)
    assert abs(np.mean(net)) < 3 * np.std(net) / math.sqrt(60) and alarms <= 8


# ---- behaviours --------------------------------------------------------------------------------------------------

V, B, S, C = MEANING
LABELLED: list[tuple[str, set[str]]] = [
    ("3 * 8 = 24. Let me check: 24 is the target.", {V}),
    ("25 - 1 = 24, which is exactly the target.", {V}),
    ("So x = 5. Plugging it in, I will verify that 2x = 10.", {V}),
    ("Substituting this back, we get 10 = 10.", {V}),
    ("7 * 4 = 28 does not equal 24.", {V}),
    ("Hmm, that doesn't work. Let me try again with 8.", {B}),
    ("Wait, no, I used 6 twice.", {B}),
    ("This is a dead end.", {B}),
    ("Sadly this does not work.", {B}),
    ("We go wrong here, so let's go back and use 5 instead.", {B}),
    ("Let's start over.\nAnother way: 5 * 5 = 25.", {B}),
    ("First, let's find the cost of one apple.", {S}),
    ("Step 1: add the two prices.", {S}),
    ("We can break the problem into two parts.", {S}),
    ("Once we have the speed we can find the time.", {S}),
    ("My first goal is 12.", {S}),
    ("Working backwards from 24, one factor could be 8.", {C}),
    ("To get 24, I need 8 and 3.", {C}),
    ("Start from the target and divide by 4.", {C}),
    ("The target can be written as 6 * 4.", {C}),
    ("What would we need to get there? An 8.", {C}),
    ("First I need to make 12. To reach 24, we need to double it. Let me verify: 12 * 2 = 24.", {S, C, V}),
    ("That does not work, so let me try something else. Checking: 4 * 6 = 24.", {B, V}),
    ("Natalia sold 48 + 24 = 72 clips.", set()),
    ("The train runs back to the station at noon.", set()),
    ("He wrote a check for 40 dollars to the first shop.", set()),
    ("The goal keeper saved 3 of 5 shots, so 2 went in.", set()),
    ("She verified nothing; 5 apples cost 10 dollars.", set()),
    ("There are 12 steps between the two floors.", set()),
    ("He tried on another pair of shoes for 30 dollars.", set()),
    ("A is 4, therefore B is 8 and the answer is 12.", set()),
]


def test_the_rules_find_what_is_labelled() -> None:
    for name in MEANING:
        found = [count_behaviours(text)[name] > 0 for text, _ in LABELLED]
        wrong = [text for (text, labels), f in zip(LABELLED, found, strict=True) if f != (name in labels)]
        assert not wrong, name
        a = agreement(found, [name in labels for _, labels in LABELLED])
        assert a.f1 is not None and a.f1.value == 1 and a.hits >= 5, (name, a)


def test_a_sentence_counts_once_and_a_trace_language_by_token() -> None:
    text = "Let me check and verify it: let me double-check.\nI will verify again."
    assert count_behaviours(text)[V] == 2
    moves = Rules({B: re.compile(r"\bback\b"), S: re.compile(r"\bneed\b")}, None)
    assert count_behaviours("try 4 * 6 = 24 no back try 3 no back need 8", moves) == {B: 2, S: 1}
    assert count_behaviours("feedback needed", moves) == {B: 0, S: 0}
    slow = "let me " * 20_000 + "once we have " * 5_000 + "to get 1" * 20_000  # no pattern may be slow on it
    assert count_behaviours(slow) == dict.fromkeys(MEANING, 0)


def test_behaviours_over_texts_stay_with_their_problem() -> None:
    texts = ["Let me check. Let me check.", "No.", "No.", "Let me check."]
    alone, grouped = behaviours(texts), behaviours(texts, ["a", "a", "b", "b"])
    for b in (alone, grouped):
        assert b[V].share.value == 1 / 2 and b[V].per_text.value == 3 / 4 and b[V].texts == 4 and b[B].share.value == 0
    assert alone[V].share.n == 4 and grouped[V].share.n == 2
    tallies: dict[str, Tally] = {}
    parts = [Problem(k, [Sample(text=t)]) for k, t in zip("aabb", texts, strict=True)]
    assert list(tallied(iter([*parts, Problem("c", [Sample()])]), tallies))[:4] == parts
    assert tallies[""].result() == grouped
    with pytest.raises(StoreError, match="at least one text"):
        behaviours([])


def test_agreement_by_hand() -> None:
    a = agreement([True, True, True, False, False, None, True], [True, True, False, True, False, True, None])
    assert (a.hits, a.extra, a.missed, a.neither, a.unknown) == (2, 1, 1, 1, 2)
    assert a.precision and a.recall and a.f1
    assert (a.precision.value, a.recall.value, a.f1.value) == pytest.approx((2 / 3, 2 / 3, 4 / 6))
    none = agreement([False], [False])
    assert none.precision is None and none.f1 is None and none.neither == 1
    with pytest.raises(StoreError, match="one label"):
        agreement([True], [])


def test_a_judge_that_cannot_be_read_says_nothing() -> None:
    yes = dict.fromkeys(MEANING, True)
    replies = [
        json.dumps(yes),
        f"```json\n{json.dumps(yes)}\n```",
        "Sure! " + json.dumps(yes),
        json.dumps({**yes, V: "true"}),
        json.dumps({**yes, V: 1}),
        json.dumps({**yes, "more": True}),
        json.dumps({k: v for k, v in yes.items() if k != V}),
        json.dumps(yes)[:-1] + f', "{V}": false}}',
        "[true, true, true, true]",
        "",
    ]
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        number = int(re.findall(r"text (\d+) {x}", prompt)[0])
        if number == len(replies):
            raise EngineError("busy")
        return replies[number]

    found = judged_behaviours([f"text {i} {{x}}" for i in range(len(replies) + 1)], ask)
    assert found[:2] == [yes, yes] and "text 0 {x}" in asked[0] and all(name in asked[0] for name in MEANING)
    assert found[2:] == [dict.fromkeys(MEANING)] * 9
    with pytest.raises(EngineError, match="busy"):
        judged_behaviours([f"text {len(replies)} {{x}}"], ask)


def test_the_rules_are_held_against_a_judge_on_the_texts_that_were_kept() -> None:
    """The judge calls a text verified where it says "check", which the rules do, or "sure", which they miss."""
    tally, again = Tally(keep=40), Tally(keep=40)
    texts = [("Let me check.", "I am sure.", "Nothing.")[i % 3] for i in range(300)]
    for i, text in enumerate(texts):
        tally.add(f"p{i}", text)
    for i in reversed(range(300)):
        again.add(f"p{i}", texts[i])

    def ask(prompt: str) -> str:
        text = prompt.partition("----- text -----")[2]
        return json.dumps(dict.fromkeys(MEANING, False) | {V: "check" in text or "sure" in text})

    found = judged(tally, ask)
    kept = [text for *_, text in tally.kept]
    said, seen = sum(t != "Nothing." for t in kept), kept.count("Let me check.")
    assert len(kept) == 40 == found.texts and found.unknown == 0 and sorted(kept) == sorted(text for *_, text in again.kept)
    assert found.shares[V].value == said / 40 and found.shares[B].value == 0 and found.rules[B].f1 is None
    f1 = found.rules[V].f1
    assert f1 is not None and f1.value == pytest.approx(2 * seen / (said + seen)) and found.rules[V].recall is not None
    assert judged(tally, lambda _: "no idea").unknown == 40


# ---- calibration -------------------------------------------------------------------------------------------------


def test_calibration_by_hand() -> None:
    c = calibration([0.7, 0.7, 1.0, 0.0], [True, False, True, True])
    # bins: 0.7 twice with half right (off by 0.2), 1.0 right (0), 0.0 right (off by 1)
    assert c.error == pytest.approx((2 * 0.2 + 0 + 1) / 4)
    assert c.brier.value == pytest.approx((0.09 + 0.49 + 0 + 1) / 4) and c.gap.value == pytest.approx(2.4 / 4 - 3 / 4)
    assert [(b.low, b.high, b.n) for b in c.bins] == [(0.0, 0.1, 1), (0.6, 0.7, 2), (0.9, 1.0, 1)]
    assert calibration([0.07], [True], bins=100).bins[0].high == 0.07
    assert c.bins[1].right.value == 0.5 and c.bins[1].confidence == pytest.approx(0.7)
    for wrong in (lambda: calibration([1.2], [True]), lambda: calibration([], []), lambda: calibration([0.5], [True, False])):
        with pytest.raises(StoreError, match="calibration needs"):
            wrong()


def test_a_calibrated_model_is_not_called_miscalibrated() -> None:
    rng, over, errors = np.random.default_rng(0), 0, []
    for seed in range(20):
        p = rng.uniform(0, 1, 200)
        c = calibration(p, (rng.random(200) < p).tolist(), seed=seed)
        errors.append(c.error)
        over += c.error > c.limit
    assert np.mean(errors) > 0.04 and over <= 4  # the bare error is never near 0
    sure = np.clip(rng.uniform(0, 1, 200) ** 0.3, 0, 1)
    c = calibration(sure, (rng.random(200) < sure**3).tolist())
    assert c.error > c.limit and c.gap.low > 0


@pytest.mark.parametrize("shared", [1.0, 0.3, 0.0])
def test_calibrated_problems_are_not_called_miscalibrated(shared: float) -> None:
    """100 problems of 8 samples that share an outcome, so often: sample by sample 73 % of such models failed."""
    rng, over, runs = np.random.default_rng(1), 0, 120
    clusters = [i // 8 for i in range(800)]
    for seed in range(runs):
        p = rng.choice([0.3, 0.5, 0.7], 100)
        own, one = rng.random((100, 8)) < p[:, None], rng.random((100, 1)) < p[:, None]
        right = np.where(rng.random((100, 8)) < shared, one, own)
        c = calibration(np.repeat(p, 8), right.ravel().tolist(), clusters, seed=seed)
        over += c.error > c.limit
    assert over <= 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)
    sure = calibration([0.95] * 800, (rng.random(800) < 0.6).tolist(), clusters)
    assert sure.verdict == "miscalibrated"


def test_too_few_answers_give_no_verdict() -> None:
    c = calibration([1.0, 0.0, 1.0, 1.0], [True, False, True, False], unit="problems")
    assert c.verdict == "no verdict, 4 problems are too few, it takes 20" and c.error == 1 / 4 and not c.error > c.limit
    assert calibration([0.9] * 160, [False] * 160, [i // 16 for i in range(160)]).verdict.startswith("no verdict, 10 ")
    assert calibration([0.9] * 20, [False] * 20).verdict == "miscalibrated"


def test_confidence_is_the_score_or_else_the_vote() -> None:
    def problem(key: str, answers: str, right: str, scores: Sequence[float] = ()) -> Problem:
        return Problem(key, [Sample(answer=None if a == "." else a, correct=a == right, score=s)
                             for a, s in itertools.zip_longest(answers, scores)])  # fmt: skip

    c = calibration_of([problem("a", "xxy.", "x"), problem("b", "xyyy", "x"), problem("c", "x", "x")])
    assert c is not None and c.of.startswith("vote") and c.gap.n == 2  # one vote is no confidence
    assert c.gap.value == pytest.approx((2 / 4 + 3 / 4) / 2 - 1 / 2)  # without an answer a sample votes for nothing
    c = calibration_of([problem("a", "xy", "x", [0.9, 0.4])])
    assert c is not None and c.of == "the stored scores" and c.gap.value == pytest.approx(1.3 / 2 - 1 / 2)
    label = calibration_of([problem("a", "xy", "x", [1.0, 0.5])])  # Inspect's points are the label in numbers
    assert label is not None and label.of.startswith("vote")
    assert calibration_of([Problem("a", [Sample(correct=True), Sample(correct=False)])]) is None
    percent = calibration_of([problem("a", "xy", "x", [90, 40])])
    assert percent is not None and "the scores lie between 40 and 90, not between 0 and 1; scale them" in percent.of


# ---- alarm -------------------------------------------------------------------------------------------------------


def audited(rng: np.random.Generator, n: int, truth: float, lied: float) -> Audited:
    """Rewarded where true, and also where it is not with chance `lied`."""
    true = rng.random(n) < truth
    return Audited((true | (rng.random(n) < lied)).astype(float).tolist(), true.tolist())


def test_the_alarm_by_hand() -> None:
    a = alarm([Audited([1, 1, 0, 0], [1, 1, 0, 0]), Audited([1, 1, 1, 0], [1, 0, 0, 0])])
    assert [g.value for g in a.gaps] == [0, 1 / 2] and a.growth == pytest.approx(1 / 2)
    assert [p.value for p in a.precision if p] == pytest.approx([1, 1 / 3])
    # variances with two more samples half a unit off: (0 + 1/2) / 5 and (1 + 1/2) / 5, each over 4
    assert a.p == pytest.approx(float(1 - _t_cdf(0.5 / math.sqrt(0.1 / 4 + 0.3 / 4), 0.1**2 / (0.025**2 / 5 + 0.075**2 / 5))))
    assert alarm([Audited([0, 0], [0, 1])] * 2).precision == [None, None]
    for wrong in ([Audited([1], [1])], [Audited([1], [])] * 2, [Audited([2], [1])] * 2, [Audited([1], [2])] * 2):
        with pytest.raises(StoreError, match="alarm"):
            alarm(wrong)


def _t_cdf(t: float, freedom: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(freedom, t))


def test_the_alarm_sounds_when_the_gap_grows_and_not_when_it_is_large() -> None:
    rng = np.random.default_rng(0)
    biased = [[audited(rng, 100, t, 0.3) for t in (0.3, 0.3, 0.3)] for _ in range(200)]
    honest = [[audited(rng, 100, t, 0.0) for t in (0.3, 0.5, 0.7)] for _ in range(200)]
    assert all(a.gaps[0].value > 0.05 for a in map(alarm, biased)) and sum(alarm(v).hacking for v in biased) <= 18
    assert not any(alarm(v).hacking for v in honest)  # truth rises with the reward
    hacked = [[audited(rng, 100, t, lie) for t, lie in ((0.3, 0.0), (0.3, 0.15), (0.25, 0.4))] for _ in range(20)]
    assert all(alarm(v).hacking for v in hacked)
    assert not any(alarm(v[::-1]).hacking for v in hacked)  # one-sided: a gap that closes is no alarm
    one = [Audited([1.0] * 60, [False] * 60, ["a"] * 60), Audited([1.0] * 60, [True] * 60, ["a"] * 60)]
    assert not alarm(one[::-1]).hacking  # sixty samples of one cluster are one


# ---- problems and their clusters ---------------------------------------------------------------------------------


def labels(key: str, right: str, cluster: str = "", **more: Any) -> Problem:
    """A problem with a sample per letter, r for right; what is right says 1."""
    samples = [Sample(correct=x == "r", answer="1" if x == "r" else "2", score=0.5, tokens=5, logprobs=(-1.0, 2)) for x in right]
    return Problem(key, samples, cluster=cluster, **more)


def test_a_key_is_not_a_cluster() -> None:
    mixed = [labels("3", "rw"), labels("a", "rr", "3"), labels("b", "ww", "3"), labels("c", "rw", "3")]
    assert pass_at(mixed, 1).n == 2 and pass_at(mixed, 1).unit == "clusters"
    length = mean_length(mixed)
    assert length is not None and (length[0].n, length[0].unit) == (2, "clusters")
    told = compare(mixed, mixed).difference
    assert (told.n, told.unit) == (2, "clusters")
    c = what_changed(mixed, mixed)
    assert c.support is not None and c.answer_entropy is not None and c.token_entropy is not None and c.length is not None
    found = [c.support.expanded, *(f.negative for f in c.flips), c.answer_entropy.corrected.difference,
             c.token_entropy.difference, c.length.difference]  # fmt: skip
    assert len(found) == 6 and {(e.n, e.unit) for e in found} == {(2, "clusters")}
    assert c.reward is not None and {(e.n, e.unit) for e in c.reward.gaps} == {(2, "clusters")}
    scored = calibration_of(mixed)
    assert scored is not None and (scored.gap.n, scored.gap.unit) == (2, "clusters")
    tallies: dict[str, Tally] = {}
    spoken = [Problem(p.key, [Sample(text="Let me check.")], cluster=p.cluster) for p in mixed]
    assert len(list(tallied(spoken, tallies))) == 4
    share = tallies[""].result()[V].share
    assert (share.n, share.unit) == (2, "clusters")
    assert pass_at([labels("a", "rw", "x"), labels("b", "rw", "y")], 1).unit == "problems"  # each its own cluster


def test_what_measure_prints_of_single_outcomes_is_wilsons() -> None:
    assert pass_at([labels(str(i), "r" if i < 3 else "w") for i in range(100)], 1) == wilson(3, 100, unit="problems")


def test_pass_hat_k_and_best_of_k_by_hand() -> None:
    two = [labels("a", "rrw"), labels("b", "www")]
    assert pass_hat_at(two, 2).value == pytest.approx((1 / 3 + 0) / 2)
    for p in two:
        p.samples = [replace(s, score=x) for s, x in zip(p.samples, (1.0, 5.0, 9.0), strict=True)]
    best = best_of_at(two, 2)
    assert best is not None and best.value == pytest.approx((1 / 3 + 0) / 2)  # only the two right ones have a right one on top
    two[1].samples[0] = replace(two[1].samples[0], score=None)
    assert best_of_at(two, 2) is None


def test_a_question_that_stands_twice_does_not_pair_other_data_by_key() -> None:
    gsm = [labels(str(i), "ww", question=f"apples {max(i, 1)}?") for i in range(9)]  # the first two ask the same
    math_ = [labels(str(i), "rr", question=f"roots {i}?") for i in range(9)]
    for one, other in ((gsm, math_), (math_, gsm)):
        with pytest.raises(StoreError, match="share no problem"):
            compare(one, other)
    again = [labels(f"new {p.key}" if int(p.key) > 1 else p.key, "rr", question=p.question) for p in gsm]
    assert compare(gsm, again).difference.n == 9  # twice the same question is told apart by the key, the others need none


def test_keys_that_stand_for_other_problems_are_left_out() -> None:
    a = [labels(str(i), "rw", gold=str(i)) for i in range(6)]
    b = [labels(str(i), "rw", gold=str(i) if i < 4 else f"{i}00") for i in range(6)]
    c = what_changed(a, b)
    assert c.problems == 4 and compare(a, b).difference.n == 4
    assert "2 keys stand for another question or gold in the other file; they are left out" in c.notes
    assert ("note", c.notes[0]) in described(c)
    with pytest.raises(StoreError, match="of 2 keys all stand for another question or gold"):
        paired(a[4:], b[4:])
    half = [replace(p, question=f"{p.key}?" if p.key != "0" else "") for p in a]
    assert len(paired(half, [replace(p, question="other?") for p in half]).both) == 1  # 0 alone has no question to differ
    asked = [replace(p, question=f"{p.key}?") for p in a], [replace(p, question=f"{p.key}?") for p in b]
    pairs = paired(*asked)
    assert len(pairs.both) == 6 and pairs.notes == [
        "the golds of 2 shared problems differ, so their labels may not mean the same"
    ]
    assert not paired([labels("0", "r", gold="so\n#### 18")], [labels("0", "r", gold="18.0")]).notes


# ---- contamination -----------------------------------------------------------------------------------------------


def test_contamination_by_hand() -> None:
    long = "the quick brown fox jumps over the lazy dog and then it runs away home"  # 15 words
    texts = [f"They say {long.upper()}!", "what is five times seven plus two", "seven words that stand in no other", "2 + 2"]
    others = ["nothing like any of it is here", f"Once: {long}. The end.", "Q: What is five times seven plus two? A:"]
    o = overlap(texts, others)
    assert [(m.place, m.other) for m in o.by_words] == [(0, 1), (1, 2)]
    assert o.by_words[0].shared == " ".join(long.split()[:13]) and o.by_words[1].shared == texts[1]  # short: the whole of it
    assert o.share.value == 2 / 3 and o.share.n == 3 and o.too_short == 1 and o.other_too_short == 0
    half = overlap([" ".join(long.split()[:12]) + " of something else"], [long + " at last"])
    assert not half.by_words  # twelve words in a row are not thirteen
    near = overlap(["one two three four five six seven eight nine"], ["one two three four five six seven eight ten"], near=0.6)
    assert not near.by_words and near.by_likeness[0].likeness == pytest.approx(8 / 12)  # 8 pairs of 10 and 10
    assert not overlap(["x + 3 = 7 ; x"], ["x - 3 = 7 ; x"]).by_words
    for wrong in (
        lambda: overlap([], ["a b c d e"]),
        lambda: overlap(["a b"], ["a b c d e"]),
        lambda: overlap(texts, others, n=3),
    ):
        with pytest.raises(StoreError, match="contamination needs"):
            wrong()


def test_shared_runs_are_all_found() -> None:
    dice = random.Random(0)
    a, b = ([[dice.choice("abc") for _ in range(dice.randint(2, 9))] for _ in range(60)] for _ in range(2))

    def share(x: list[str], y: list[str]) -> bool:
        n = min(5, len(x), len(y))
        return any(x[i : i + n] == y[j : j + n] for i in range(len(x) - n + 1) for j in range(len(y) - n + 1))

    found = {i: j for i, j, _ in shared_runs(a, b, 5)}
    assert set(found) == {i for i, x in enumerate(a) if any(share(x, y) for y in b)} and len(found) > 10
    assert all(share(a[i], b[j]) for i, j in found.items())
    assert any(not share(x, y) for x in a for y in b)


def test_near_matches_across_two_sets() -> None:
    dice = random.Random(1)
    a, b = ([word_pairs([dice.choice("abcdef") for _ in range(dice.randint(3, 9))]) for _ in range(60)] for _ in range(2))
    for near in (0.3, 0.55, 0.8, 1.0):
        expected = {(i, j) for i in range(60) for j in range(60) if jaccard(a[i], b[j]) >= near}
        assert set(near_matches(a, b, near)) == expected
    # a likeness of exactly 0.56: 14 of 25, where 0.56 * 25 is a little more than 14
    rare = [(str(i), "x") for i in range(11)]
    large, small = frozenset([*rare, *((str(i), "y") for i in range(14))]), frozenset((str(i), "y") for i in range(14))
    common = [frozenset([(str(i), "y")]) for i in range(14)] * 3
    assert jaccard(large, small) >= 0.56 and list(near_matches([large, *common], [small], 0.56)) == [(0, 0)]
    assert (1, 0) in set(near_pairs([large, small, *common], 0.56))


def test_between_splits() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    tasks = [Task("f", " ".join(random.Random(i).sample(words, 8)), i, "exact") for i in range(60)]
    found = between_splits(tasks)
    assert set(found) == {("validation", "train"), ("heldout", "train"), ("heldout", "validation")}
    assert not found["heldout", "train"].by_words
    held = next(t for t in tasks if t.split == "heldout")
    leak = next(t for i in range(99) if (t := Task("f", held.prompt, 1000 + i, "exact")).split == "train")
    (match,) = between_splits([*tasks, leak])["heldout", "train"].by_words
    assert match.shared == held.prompt


# ---- together: the command line and the report -------------------------------------------------------------------


@pytest.fixture
def measure(ratchet: Callable[..., Answer]) -> Callable[..., Answer]:
    return lambda *args: ratchet("measure", *args, "--verifier", "none")


def sampled(file: Path, rate: float, seed: int, **more: Any) -> Path:
    """40 problems with 4 samples each; the right answer is 7."""
    dice = random.Random(seed)
    rows = []
    for i in range(160):
        right = dice.random() < rate
        answer = "7" if right else str(dice.randint(0, 5))
        rows.append({"problem_id": i // 4, "question": f"what number do we mean by riddle {i // 4}?", "is_correct": right,
                     "response": f"Let me check.\n\\boxed{{{answer}}}", "logprobs": [-0.5, -1.5] if rate < 0.5 else [-0.1, -0.3],
                     "num_tokens": 9 if rate < 0.5 else 12, **more})  # fmt: skip
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


def test_measure_says_what_changed(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    a, b = sampled(tmp_path / "a.jsonl", 0.3, 1), sampled(tmp_path / "b.jsonl", 0.8, 2)
    code, text, err = measure(a, b, "--json", tmp_path / "out.json", "--k", "1,2")
    assert code == 0, err
    assert "what changed: A -> B, 40 problems" in text and "support     40 problems at k = 2: preserved" in text
    assert "wrong to right by one sample; by chance" in text and "by majority; by chance" in text
    assert "length      9.0 [9.0, 9.2] -> 12.0" in text and "tokens      entropy 1.000" in text and "-> 0.200" in text
    assert "not known" not in text.split("what changed")[1]
    assert "calibration  of vote shares of majority answers" in text and "verification 1.000" in text
    plain = json.loads((tmp_path / "out.json").read_text())
    changes = plain["comparisons"][0]["changes"]
    parts = changes["support"]["observed"]
    assert sum(parts[k] for k in ("preserved", "expanded", "shrunk", "never")) == pytest.approx(40)
    assert changes["token_entropy"]["difference"]["value"] == pytest.approx(-0.8) and changes["support"]["expanded"]["low"] > 0
    assert plain["sources"][0]["behaviours"][V]["share"]["value"] == 1 and plain["sources"][0]["calibration"]["gap"]["n"] == 40
    code, text, _ = measure(a, sampled(tmp_path / "c.jsonl", 0.3, 3))
    assert code == 0 and "not told from chance" in text and "more than by chance" not in text and "same seeds" not in text
    run = make_run(tmp_path / "run")
    code, text, err = measure(*sorted((run / "traces").glob("*.gz")))
    assert code == 0 and "more than by chance" in text and "drawn with the same seeds" in text, err


def test_reward_against_truth_where_scores_are_stored(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    a, b = sampled(tmp_path / "a.jsonl", 0.4, 1, score=0.4), sampled(tmp_path / "b.jsonl", 0.3, 2, score=0.9)
    code, text, _ = measure(a, b)
    assert code == 0 and "ALARM: the gap grew" in text and "calibration  of the stored scores" in text
    code, text, _ = measure(b, a)
    assert code == 0 and "no growth of the gap was shown" in text


def test_measure_prints_pass_hat_k_and_best_of_k(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    a = sampled(tmp_path / "a.jsonl", 0.4, 1, score=7.0)
    code, text, _ = measure(a, "--k", "1,2,8")
    hat, best = (next(x for x in text.splitlines() if x.startswith(f"  {name} ")) for name in ("pass^2", "best of 2"))
    first = next(x for x in text.splitlines() if x.startswith("  pass@1 "))
    assert code == 0 and "(n = 40 problems, 95%)" in hat and best.endswith("under the score") and "pass^1" not in text
    assert best.split()[3] == first.split()[1]  # a score that is always the same is blind
    code, text, _ = measure(sampled(tmp_path / "b.jsonl", 0.4, 1), "--k", "1,2")
    assert code == 0 and "pass^2" in text and "best of" not in text


def test_scores_on_another_scale_are_said_to_be(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    a, b = sampled(tmp_path / "a.jsonl", 0.4, 1, score=40), sampled(tmp_path / "b.jsonl", 0.3, 2, score=90)
    code, text, _ = measure(a, b)
    said = (
        "reward against truth, and calibration of the scores: the scores lie between 40 and 40, not between 0 and 1; scale them"
    )
    assert code == 0 and f"not known   {said}" in text and "ALARM" not in text


def test_measure_looks_for_leaks(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    a, exam = sampled(tmp_path / "a.jsonl", 0.3, 1), tmp_path / "exam.jsonl"
    exam.write_text("".join(json.dumps({"question": q}) + "\n" for q in
                            ("Something quite different is asked of you here", "What number do we mean by riddle 17, please?")))  # fmt: skip
    code, text, err = measure(a, "--against", exam, "--json", tmp_path / "out.json")
    assert code == 0, err
    assert "leaked       0.025" in text and 'shares "what number do we mean by riddle 17"' in text and "question 2" in text
    found = json.loads((tmp_path / "out.json").read_text())["sources"][0]["contamination"]
    assert found["overlap"]["n"] == 13 and found["rows"][0]["key"] == "17" and found["rows"][0]["number"] == 2
    exam.write_text('{"words": 1}\n')
    code, _, err = measure(a, "--against", exam)
    assert code == 2 and "no field holds a question" in err and "Traceback" not in err
    code, _, err = measure(a, "--against", tmp_path / "none.jsonl")
    assert code == 2 and "does not exist" in err
    unasked = tmp_path / "u.jsonl"
    unasked.write_text('{"problem_id": 1, "is_correct": true}\n')
    exam.write_text('{"question": "What number do we mean by riddle 17?"}\n')
    code, _, err = measure(unasked, "--against", exam)
    assert code == 2 and "questions are not stored" in err


def test_what_is_not_stored_is_not_known() -> None:
    a = [Problem(str(i), [Sample(correct=i % 2 == 0)]) for i in range(6)]
    c = what_changed(a, a, same_seeds=True)
    assert c.support is None and c.answer_entropy is None and c.length is None and c.reward is None
    rows = described(c)
    assert [name for name, _ in rows].count("not known") == 4 and "same seeds" in dict(rows)["note"]
    odd = [Problem("0", [Sample(correct=True, logprobs=(-1.0, 2), answer="x", tokens=3)])]
    c = what_changed(odd, odd)
    assert c.token_entropy is not None and c.token_entropy.before.value == 0.5 and c.length_unit == "tokens"
    with pytest.raises(StoreError, match="share no problem"):
        what_changed(odd, a[1:])


def test_the_report_says_what_changed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    rows = stored_changes(folder, "0-start", "2-reinforcement")
    names = [name for name, _ in rows]
    assert {"support", "flips", "answers", "length", "calibration", "behaviours", "note", "not known"} <= set(names)
    assert dict(rows)["support"].startswith("60 problems at k = 2")
    (folder / "records").mkdir()
    for name, passes in (("before", 0), ("after", 32)):
        keys = [f"{i * 7919:016x}" for i in range(60)]
        counts = [{"key": k, "cluster": str(i // 2), "n": 64, "passes": passes, "abstained": 0, "tokens": 640}
                  for i, k in enumerate(keys)]  # fmt: skip
        record = {"model": "m", "tasks": "t", "strategy": "s", "rows": counts, "about": {}}
        (folder / "records" / f"{name}.json").write_text(json.dumps(record))
    rows = stored_changes(folder, "0-start", "2-reinforcement")
    deep = dict(rows)
    assert [said[:5] for name, said in rows if name == "flips"][:2] == ["0.000", "0.500"]  # of the records' counts
    assert sum(name == "flips" for name, _ in rows) == 4  # and those of the majority, of the traces
    assert "n = 30 clusters" in deep["answers"]  # the traces take their clusters from the records
    assert deep["support"].startswith("60 problems at k = 32: preserved 0.0, expanded 60.0") and "answers" in deep
    _, page = read(folder)
    assert "What changed in the model" in page.text and "expanded 60.0" in page.text and "Not known: token entropy" in page.text
    for file in (folder / "traces").glob("heldout*"):
        file.unlink()
    _, page = read(folder)
    assert "This cannot be told" in page.text
    _, page = read(make_run(tmp_path / "unfinished", finished=False))
    assert "What changed in the model" not in page.text
