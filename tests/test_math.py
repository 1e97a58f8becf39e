"""Mathematical answers: what is the same, what only looks it, and what must not hang or be paid for."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ratchet.core.types import Outcome, Task
from ratchet.verify.answers import same, understand
from ratchet.verify.formula import NotAFormula, equal, read
from ratchet.verify.math import extract
from ratchet.verify.verifier import find

SAME = [
    (r"\frac{1}{2}", "0.5"), (r"\frac12", "1/2"), 
    (r"\frac05", "0"), ("2^10", "1024"), ("2^3^2", "512"),
    ("x^{12}y", "x^12y"), (r"1\frac{1}{2}", "3/2"), (r"0.\overline{3}", r"\frac{1}{3}"), ("1,234", "1234"),
    (r"24{,}000", "24000"), (r"5.3\%", "0.053"), (r"50\%", "50"), (r"\$18.90", "18.9"), (r"60^{\circ}", "60"), ("15 hours", "15"),
    ("12", r"12 \, \text{cm}"), ("12 cm", "12"), ("38 g", "38 grams"), 
    ("15 hours", "15 hrs"), ("5 feet", r"5 \text{ ft}"), ("9 (apples)", "9 apples"), (".0000672", "0.0000672"), ("1500", r"1.5 \times 10^3"),
    ("2x+3", "3 + 2x"), ("(x+1)^2", "x^{2}+2x+1"), (r"\sin 2x", r"2\sin x\cos x"), (r"\sqrt{2}+1", "1+√2"), (r"e^{i\pi}", "-1"),
    (r"\log_2 8", "3"), (r"\frac{\pi}{4}", r"\arctan 1"), (r"\sqrt{2}", "1.4142"), ("2+3i", "3i + 2"), ("1101_2", "13"),
    ("x=-1,0", "x = 0 or x = -1"), (r"2 \pm \sqrt3", r"2+\sqrt3, 2-\sqrt3"), (r"\{1, 2\}", r"\{2,1\}"),
    ("[2,3)", r"2 \le x < 3"), (r"x \ge \frac{5}{2}", r"[5/2, \infty)"), (r"\{x | -2 \leq x < 1\}", "[-2,1)"),
    (r"(-\infty,1) \cup (2,\infty)", "x < 1 or x > 2"), ("(1, 2)", r"\left( 1,\; 2 \right)"),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "(1,2)"), 
    (r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 2^2 \end{pmatrix}"),
    ("y=3x-6", "y = 3(x-2)"), ("x^2+y^2=1", "2x^2 + 2y^2 = 2"), (r"s^2 \le 8r^2", r"8r^2 \ge s^2"), ("3:4", "6:8"), ("3:4", r"\frac34"),
    (r"\text{(B)}", "B"), (r"\text{Evelyn}", "Evelyn"), ("1:58 am", "1:58 AM"), ("x = 5", "5"), ("40", r"42 \text{ baps} = 40 \text{ daps}"),
]  # fmt: skip
OTHER = [
    ("3", "3 or 4"), ("3", "4"), (r"\frac{1}{2}", r"\frac{1}{3}"), ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"), (r"\sqrt{2}", "1.41"),
    ("0.33", r"\frac13"), ("2^{100}", "2^{100}+1"), ("x+1", "x-1"), ("x^2", "x"), ("1", "1.0000000001"), ("x > 2", r"x \ge 2"),
    ("x < 2", "x > 2"), (r"\{1,2\}", r"\{1,2,3\}"), ("1,2", "1,1"), ("B", "C"), (r"\text{Evelyn}", "3.6"), ("-4", r"\text{none}"),
    ("y = 2x", "y = 3x"), ("x+y=1", "x+y=2"), ("3:4", "4:3"), (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 2 \\ 1 \end{pmatrix}"),
    ("13", "1"), ("100", "10"), ("A", "A, B, C, D"), (r"2 \pm \sqrt3", r"2+\sqrt3"), ("12", "12 + 1"), ("1234", "1,2,3,4"), 
    ("10 minutes", "10 seconds"), ("5 cm", "5 km"), ("38 grams", "38 m"), ("12", "12 x"),
]  # fmt: skip
HOSTILE = [
    "9^9^9^9", "9^{9^{9^{9}}}", "99999999!", "((((" * 2_000, "{" * 5_000, r"\frac{1}{" * 500, "1" * 5_000, "1," * 3_000, "-" * 5_000,
    r"\sqrt" * 1_000, "a " * 1_400, "x " * 30 + "1", "5 " + "cm " * 800, r"\begin{pmatrix}" * 60, "=" * 500, "\x00\x1b[2J", "٣", "|" * 900,
    r"\binom{10^{9}}{5}", "__import__('os').system('id')", "2**2**2**2**2**2", "10^{10^{10}} - 10^{10^{10}}", "1/0", r"\tan(\pi/2)",
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_the_same_answer_in_another_writing_passes_both_ways(gold: str, answer: str) -> None:
    assert same(gold, answer) is True, (understand(gold), understand(answer))
    assert same(answer, gold) is True


@pytest.mark.parametrize(("gold", "answer"), OTHER)
def test_another_answer_does_not_pass(gold: str, answer: str) -> None:
    assert same(gold, answer) is not True, (understand(gold), understand(answer))


@pytest.mark.parametrize("answer", HOSTILE)
def test_no_answer_hangs_raises_or_passes(answer: str) -> None:
    start = time.process_time()
    for gold in ("7", "x+1", "(1,2)", r"\text{Evelyn}"):
        assert same(gold, answer) is not True
    assert time.process_time() - start < 2.0  # a hang, not a speed


def test_equality_is_of_values_and_unknown_where_there_are_none() -> None:
    assert equal(read("x"), read("y")) is False
    assert equal(read("1/0"), read("1")) is None
    with pytest.raises(NotAFormula):
        read("a word")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{\frac{1}{2}} and not \boxed{3}.", "3"),
        (r"\boxed{\{1, \frac{2}{3}\}}", r"\{1, \frac{2}{3}\}"),
        ("Work.\nThe answer is 42.", "42"),
        ("Therefore, the dot product is \\(-41\\).", "-41"),
        ("First 3 apples.\n\nSo the sum is 2107.", "2107"),
        ("I do not know.", None),
        ("", None),
    ],
)
def test_the_answer_is_the_last_that_is_boxed_stated_or_shown(text: str, answer: str | None) -> None:
    assert extract(text) == answer


def test_a_verdict_is_pass_fail_or_abstain_with_its_reason() -> None:
    task = lambda gold: Task("files", "?", gold, "math")
    judge = find("math")
    assert judge(task(r"\frac{1}{2}"), r"\boxed{0.5}").outcome == "pass"
    assert judge(task(["1", "2"]), r"\boxed{2}").outcome == "pass"
    assert judge(task("7"), r"\boxed{8}").outcome == "fail"
    unsure = judge(task("7"), r"\boxed{\int_0^7 dx}")
    assert unsure.outcome == "abstain" and "cannot be compared" in unsure.evidence


def test_on_hand_labelled_disagreements_few_right_answers_fail_and_hardly_a_wrong_one_passes() -> None:
    """The numbers of issue 5. It fails for `numeric` and `exact` in the place of `math`, which refuse far more."""

    def rates(name: str) -> tuple[float, float]:
        found = [(r["correct"], judge(Task("audit", r["question"], r["gold"], name), r["response"]).outcome) for r in rows]
        right, wrong = ([outcome for label, outcome in found if label is kind] for kind in (True, False))
        return right.count(Outcome.FAIL) / len(right), wrong.count(Outcome.PASS) / len(wrong)

    rows = [json.loads(line) for line in (Path(__file__).parent / "data" / "disagreements.jsonl").read_text().splitlines()]
    assert len(rows) == 300
    judge = find("math")
    false_rejects, false_accepts = rates("math")
    assert false_rejects <= 0.02 and false_accepts <= 0.005
    judge = find("numeric")
    assert rates("numeric")[0] > 0.1


@pytest.mark.parametrize(
    ("gold", "answer", "question", "outcome"),
    [
        ("10 (bird legs)", "10 (blocks)", "?", "abstain"),
        ("10 (cups of flour)", "10 cups", "?", "pass"),
        ("25", r"25\%", "How many per cent more?", "pass"),
        ("12", r"12\%", "How many fields?", "fail"),
        ("0.12", r"12\%", "How much of it?", "pass"),
        ("5", "5 : 1", "How many?", "fail"),
        ("3e6", "3,000,000", "?", "pass"),
    ],
)
def test_what_is_counted_and_what_is_asked_for_matter(gold: str, answer: str, question: str, outcome: str) -> None:
    assert find("math")(Task("files", question, gold, "math"), f"\\boxed{{{answer}}}").outcome == outcome


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So the rest after paying $165 a month for 12 months is $220.", "$220"),
        ("The answer needs to be in feet:\n\nSo they are 280 feet long.", "280"),
        ("#### 3. Solve for \\( S \\):\n\nSo \\( S = 8 \\).", "S = 8"),
        ("#### 72", "72"),
        ("<answer>1\n2</answer>", "1\n2"),
        (r"\boxed{**$5$**}", "5"),
    ],
)
def test_announcements_money_and_headings_are_no_answers(text: str, answer: str) -> None:
    assert extract(text) == answer
