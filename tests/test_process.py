"""Scores of steps, the first wrong step, and the arithmetic that steps do."""

from __future__ import annotations

import pytest

from ratchet.core.errors import VerifierError
from ratchet.core.types import Outcome, Task
from ratchet.measure.process import first_errors
from ratchet.verify.process import AGGREGATES, ProcessVerifier, aggregate, arithmetic, broken, first_error, steps_of
from ratchet.verify.verifier import find

TASK = Task("sums", "How much?", "6", "math")


def test_steps() -> None:
    assert steps_of("Let us see.\nStep 1: a\nb\n**Step 2**: c\n## Step 3. d") == [
        "Let us see.\nStep 1: a\nb",
        "**Step 2**: c",
        "## Step 3. d",
    ]
    assert steps_of("a\nb\n\n\nc") == ["a\nb", "c"] and steps_of("a\n b") == ["a", "b"] and steps_of(" \n") == []


def test_aggregates() -> None:
    scores = [0.9, 0.5, 0.8]
    got = {how: aggregate(scores, how) for how in AGGREGATES}
    assert got == {"min": 0.5, "product": pytest.approx(0.36), "last": 0.8, "mean": pytest.approx(2.2 / 3)}
    assert first_error(scores, 0.6) == 1 and first_error(scores, 0.5) is None
    # what holds of each: one step is its score, all right is right, and a better step makes no solution worse
    for how in AGGREGATES:
        assert aggregate([0.3], how) == 0.3 and aggregate([1.0] * 4, how) == 1
        assert all(aggregate([*scores[:i], 1.0, *scores[i + 1 :]], how) >= got[how] - 1e-12 for i in range(3))
    for bad, how in (([], "min"), ([1.2], "min"), ([float("nan")], "min"), ([1.0], "mid")):
        with pytest.raises(VerifierError):
            aggregate(bad, how)


def test_a_process_verifier() -> None:
    verify = ProcessVerifier(lambda task, steps: [0.2 if "wrong" in s else 0.9 for s in steps])
    right, wrong = verify(TASK, "a\nb"), verify(TASK, "a\nwrong\nwrong")
    assert right.passed and right.score == 0.9
    assert wrong.outcome is Outcome.FAIL and wrong.score == 0.2 and "step 2 of 3 is the first below it" in wrong.evidence
    assert ProcessVerifier(lambda task, steps: [0.2, 0.9], "last")(TASK, "a\nb").passed
    for scorer, reason in ((lambda t, s: [1.0], "1 scores for 2 steps"), (lambda t, s: 1 / 0, "ZeroDivisionError"),
                           (lambda t, s: [2.0, 2.0], "between 0 and 1")):  # fmt: skip
        verdict = ProcessVerifier(scorer)(TASK, "a\nb")  # type: ignore[arg-type]
        assert verdict.outcome is Outcome.ABSTAIN and reason in verdict.evidence


HOLDS = (
    "3 + 4 = 7", "He has 3 * 4 = 12 apples.", "$10 x 5 = $50", "<<75/55=1.36>>1.36 hours", "75/55 = 1.37", "1,200 / 3 = 400.", "6*.1=.6",
    r"\(\frac{1}{2} + \frac{1}{3} = \frac{5}{6}\)", r"$5 \times 3 = 15$", "A = (-9 - 5 - 0) = (-9 - 5) = -14", "50/200 = 25%",
    "(so 3 + 4 = 7)", "2^10 = 1024", "1 1/2 + 1/2 = 2", "0.25 * 100 = 25%", "That is 5. 3 + 4 = 7.",
)  # fmt: skip
DOES_NOT = (
    "3 + 4 = 8", "He has 3 * 4 = 13 apples.", "<<50+8=57>>57", "4 * 5 = 20 = 21", r"$17\cdot 44=788$", "7/2 = 3", "1/3 = 0.4 and 2 + 2 = 5",
    "A = (-9 - 5 - 0) = (-9 + 5) = -14", "75/55 = 1.4 and 75/55 = 1.5", "2^16 = 65535",
)  # fmt: skip
UNREAD = (
    "x + 3 = 8", "2x - 3 * 2 = 6", "P(X=4) = 35 * 2", "3 + 4 = 7x", "20% of 50 + 1 = 11", "1 hour = 60 minutes", "7 / 2 = 3 remainder 1",
    "n = 14", "f(3) - 1 = 9", "3 = 4 is false", "", "5 apples + 3 apples = 9", "a_2 * 3 = 5", "1, 2, 3 = 4", "10 - 2 = n - 3", r"\sqrt{4} + 1 = 9",
)  # fmt: skip


def test_arithmetic_of_a_step() -> None:
    for step in (*HOLDS, *UNREAD):
        assert not broken(step), (step, broken(step))
    for step in DOES_NOT:
        assert broken(step), step
    for hostile in ("1" * 20_000, "1=1" * 9_000, "(" * 20_000 + "=1", " " * 20_000, "\\frac{1}{" * 2_000, "1^1" * 6_000 + "=2"):
        broken(hostile)  # each once took minutes, where a pattern went over all of it from each place
    assert arithmetic(TASK, ["3 + 4 = 7", "7 * 2 = 15", "so 15"]) == [1, 0, 1]
    both = find("agreement:math,ratchet.verify.process:steps_hold")
    assert both(TASK, "3 + 3 = 6\n\\boxed{6}").passed and both(TASK, "3 + 3 = 7\n\\boxed{6}").outcome is Outcome.ABSTAIN
    assert ProcessVerifier(arithmetic)(TASK, "3 + 4 = 7\n7 * 2 = 15").evidence.endswith("step 2 of 2 is the first below it, 0.00")


def test_first_errors() -> None:
    found, labels = [1, 2, None, None, 0, None], [1, 1, 1, None, None, None]
    e = first_errors(found, labels)
    assert e.wrong and e.right and e.f1
    assert (e.wrong.value, e.right.value, e.wrong.n) == (pytest.approx(1 / 3), pytest.approx(2 / 3), 3)
    assert e.f1.value == pytest.approx(4 / 9) and e.f1.low <= e.f1.value <= e.f1.high and e.f1.n == 6
    # what flags nothing, or the first step of everything, is worth nothing: neither half can be had for the other
    assert first_errors([None] * 6, labels).f1.value == 0 == first_errors([0] * 6, labels).f1.value  # type: ignore[union-attr]
    assert first_errors(labels, labels).f1.value == 1  # type: ignore[union-attr]
    assert first_errors([1], [1]).f1 is None
