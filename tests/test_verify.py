"""Expressions, answers, verifiers, and the deadline around them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.core.errors import VerifierError
from ratchet.core.types import Outcome, Task
from ratchet.tasks.countdown import task_of
from ratchet.verify.expression import NotAnExpression, parse
from ratchet.verify.extract import after_mark, boxed
from ratchet.verify.numeric import number
from ratchet.verify.pool import VerifierPool
from ratchet.verify.verifier import verifiers


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("2 - 3 - 4", -5), ("8 / 4 / 2", 1), ("-3 * -2", 6), ("7 / 2", Fraction(7, 2)),
     ("1.5 + 2", Fraction(7, 2)), ("6 ÷ 3 × 2", 4), ("3 − 1", 2), ("- ( 2 )", -2)],
)  # fmt: skip
def test_expression_golden(text: str, value: int | Fraction) -> None:
    assert parse(text).value == value


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "1 2", "(1", "1)", "2 ** 3", "2 ^ 3", "1 / 0", "1 / (2 - 2)", "x + 1", "__import__('os')", "1e9", "٣ + 1",
     "9**9**9**9", "1 = 1", "1,000", "(" * 500, "(" * 390 + "2*3", "-" * 390 + "1", "1" * 13, "+ 1"],
)  # fmt: skip
def test_not_an_expression(text: str) -> None:
    with pytest.raises(NotAnExpression):
        parse(text)


def trees(depth: int = 3) -> st.SearchStrategy[str]:
    leaf = st.integers(0, 99).map(str)
    return st.recursive(
        leaf, lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"), max_leaves=8
    )


@given(trees())
def test_parser_agrees_with_python_on_what_we_wrote_ourselves(text: str) -> None:
    # the text comes from our own grammar above, never from a model
    assert parse(text).value == eval(text)


@given(st.text(alphabet="0123456789+-*/() .=x", max_size=40))
def test_parser_never_raises_anything_else(text: str) -> None:
    with contextlib.suppress(NotAnExpression):
        parse(text)


TASK = task_of([3, 7, 12], 33)


@pytest.mark.parametrize(
    ("text", "outcome", "says"),
    [
        ("try 3 + 7 = 10 no try ( 7 * 3 = 21 ) + 12 = 33 yes answer ( 7 * 3 ) + 12", "pass", ""),
        ("The answer is: 7*3+12.", "pass", ""),
        (r"so \boxed{12 + 3 * 7}", "pass", ""),
        ("<answer>7*3 + 12</answer>", "pass", ""),
        ("7 * 3 + 12", "fail", "no answer"),
        ("answer 33", "fail", "33 more often"),
        ("answer 7 * 3 + 12 or 33", "fail", "not an expression"),
        ("answer 7 * 3", "fail", "leaves out 12"),
        ("answer 7 * 3 + 12 + 3 - 3", "fail", "more often"),
        ("answer 7 + 3 + 12", "fail", "is 22"),
        ("answer", "fail", "no answer"),
    ],
)
def test_countdown(text: str, outcome: str, says: str) -> None:
    verdict = verifiers["countdown"](TASK, text)
    assert verdict.outcome == outcome and says in verdict.evidence


def test_at_most_rule_allows_leaving_out() -> None:
    task = task_of([3, 7, 12], 21, rule="at-most")
    assert verifiers["countdown"](task, "answer 7 * 3").passed
    assert not verifiers["countdown"](task_of([3, 7, 12], 21), "answer 7 * 3").passed


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-7", -7), ("1,234", 1234), ("1,234.5", Fraction("1234.5")), ("3/4", Fraction(3, 4)), ("50%", Fraction(1, 2)),
     ("$5", 5), ("5 apples", 5), ("7.", 7), (".5", Fraction(1, 2)), ("−2", -2), ("5 or 6", None), ("5 6", None), ("five", None),
     ("1/0", None), ("12,34", None), ("٣", None), ("", None), ("nan", None), ("1e3", 1000), ("5 ?", None), ("5 thousand", None),
     ("5 dozen", None), ("5 point two", None), ("5 minus three", None),
     ("5 versus six", None), ("5 miles per hour", 5), ("1e-05", Fraction(1, 100000)), ("- 5", None)],
)  # fmt: skip
def test_number(text: str, value: int | Fraction | None) -> None:
    assert number(text) == value


def test_numeric_tolerance_and_bad_gold() -> None:
    near = Task("files", "pi?", 3.14159, "numeric", {"tolerance": 0.01})
    assert verifiers["numeric"](near, "answer 3.14").passed
    assert verifiers["numeric"](near, "answer 3.2").outcome is Outcome.FAIL
    assert verifiers["numeric"](Task("files", "?", "seven", "numeric"), "answer 7").outcome is Outcome.ABSTAIN


def test_exact_folds_case_and_blanks_only() -> None:
    task = Task("files", "capital?", ["Paris", "City of Paris"], "exact")
    assert verifiers["exact"](task, "The answer is  paris.").passed
    assert verifiers["exact"](task, "answer: city of  PARIS").passed
    assert not verifiers["exact"](task, "answer Paris or London").passed


def test_extraction() -> None:
    assert boxed(r"\boxed{a} then \boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert boxed(r"\boxed{never closed") is None
    assert after_mark("answer 1 answer 2\nmore") == "2"
    assert after_mark("nothing") is None
    forms = ("**Answer:** 42", "**Answer: 42**", "The answer is **42**.", "answer: $42$", "so 6 * 7\n#### 42", "Answer: _42_")
    assert {after_mark(f) for f in forms} == {"42"}
    assert verifiers["exact"](Task("files", "?", "U.S.A.", "exact"), "The answer is U.S.A.").passed


# ---- the deadline ------------------------------------------------------------------------------------------------

PLUGIN = """
import os, time
from ratchet.core.types import Outcome, Verdict
def check(task, text):
    if text == "hang":
        while True: pass
    if text == "sleep": time.sleep(60)
    if text == "die": os._exit(3)
    if text == "child":
        import subprocess
        subprocess.run(["echo", "noise from a child"])
        subprocess.run(["cat"])
    if text == "true": return True
    if text == "raise": raise RuntimeError("a bug")
    if text == "print": print("noise on the protocol's channel")
    return Verdict(Outcome.PASS, "fine")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    (tmp_path / "my_verifier_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("WORKER_FILE", str(tmp_path / "worker"))
    yield Task("files", "?", 1, "my_verifier_plugin:check")
    sys.modules.pop("my_verifier_plugin", None)


def test_late_dead_and_raising_verifiers_abstain_and_the_rest_goes_on(plugin: Task) -> None:
    texts = ["ok", "hang", "ok", "die", "ok", "raise", "print", "sleep", "ok"]
    with VerifierPool(deadline=2.0) as pool:
        start = time.monotonic()
        verdicts = pool([(plugin, t) for t in texts])
        assert time.monotonic() - start < 60
    outcomes = [str(v.outcome) for v in verdicts]
    assert outcomes == ["pass", "abstain", "pass", "abstain", "pass", "abstain", "pass", "abstain", "pass"]
    assert "longer than 2 s" in verdicts[1].evidence
    assert "died" in verdicts[3].evidence
    assert "a bug" in verdicts[5].evidence


def test_answers_given_before_a_death_are_kept(plugin: Task) -> None:
    texts = [*["ok"] * 20, "die", *["ok"] * 400]
    with VerifierPool(deadline=5.0) as pool:
        for _ in range(5):
            outcomes = [str(v.outcome) for v in pool([(plugin, t) for t in texts])]
            assert outcomes == [*["pass"] * 20, "abstain", *["pass"] * 400]


def test_what_a_verifier_prints_reads_or_returns_cannot_break_the_protocol(plugin: Task) -> None:
    with VerifierPool(deadline=5.0) as pool:
        verdicts = pool([(plugin, t) for t in ("child", "print", "true", "ok")])
    assert [str(v.outcome) for v in verdicts] == ["pass", "pass", "abstain", "pass"]
    assert "returned bool" in verdicts[2].evidence


def test_the_deadline_is_the_deadline_even_for_a_fresh_worker_and_behind_a_long_text(plugin: Task) -> None:
    with VerifierPool(deadline=2.0) as pool:
        pool([(plugin, "ok")])
        start = time.monotonic()
        verdicts = pool([(plugin, "hang"), (plugin, "hang"), (plugin, "x" * 150_000)])
        assert time.monotonic() - start < 40  # two deadlines and two starts of a worker
    assert [str(v.outcome) for v in verdicts] == ["abstain", "abstain", "pass"]


def test_a_hung_worker_ends_with_its_parent(plugin: Task) -> None:
    child = os.fork()
    if child == 0:
        with VerifierPool(deadline=60.0) as pool:
            pool([(plugin, "ok")])
            assert pool.worker is not None
            Path(os.environ["WORKER_FILE"]).write_text(str(pool.worker.pid))
            pool([(plugin, "hang")])
        os._exit(0)
    file = Path(os.environ["WORKER_FILE"])
    while not (file.exists() and file.read_text()):
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for _ in range(100):
        state = Path(f"/proc/{file.read_text()}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the worker is still alive")


def test_pool_works_from_a_thread_and_keeps_the_order() -> None:
    tasks = [Task("files", f"{i}?", i, "numeric") for i in range(200)]
    got: list[bool] = []

    def work() -> None:
        with VerifierPool() as pool:
            got.extend(v.passed for v in pool([(t, f"answer {t.answer if i % 3 else 'no'}") for i, t in enumerate(tasks)]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert got == [bool(i % 3) for i in range(200)]


def test_long_texts_do_not_block_the_pipes(verify: VerifierPool) -> None:
    task = Task("files", "?", "1", "exact")
    texts = ["x" * 100_000, "x" * 300_000, "answer 1"] * 5
    outcomes = [str(v.outcome) for v in verify([(task, t) for t in texts])]
    assert outcomes == ["fail", "fail", "pass"] * 5


def test_the_users_folder_hides_no_module_of_pythons_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fractions.py").write_text("raise RuntimeError('a file of the user')")
    (tmp_path / "my_checks.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])  # as in an interactive Python
    with VerifierPool() as pool:
        verdicts = pool([(Task("files", "1+1", 2, "numeric"), "2"), (Task("files", "?", 1, "my_checks:check"), "ok")])
    sys.modules.pop("my_checks", None)
    assert [str(v.outcome) for v in verdicts] == ["pass", "pass"], verdicts


def test_an_unknown_verifier_is_named(verify: VerifierPool) -> None:
    with pytest.raises(VerifierError, match='did you mean "countdown"'):
        verify([(Task("files", "?", 1, "countdow"), "answer 1")])
    with pytest.raises(VerifierError, match="module:function"):
        verify([(Task("files", "?", 1, "no_such_module:check"), "answer 1")])


def test_a_worker_that_ended_with_its_thread_costs_no_verdict() -> None:
    """On Linux a worker dies with the thread that started it; the next batch, in another thread, gets a new one."""
    task = Task("files", "1+1", 2, "numeric")
    pool = VerifierPool()
    try:
        for _ in range(3):
            with ThreadPoolExecutor(1) as thread:
                assert [v.outcome for v in thread.submit(pool, [(task, "2"), (task, "3")]).result()] == ["pass", "fail"]
            assert pool.worker is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                pool.worker.wait(2)
    finally:
        pool.close()


def test_a_pool_in_a_with_block_keeps_its_worker_over_threads() -> None:
    task = Task("files", "1+1", 2, "numeric")
    with VerifierPool() as pool:
        first = pool.worker
        for _ in range(3):
            with ThreadPoolExecutor(1) as thread:
                assert thread.submit(pool, [(task, "2")]).result()[0].passed
            time.sleep(0.05)
        assert pool.worker is first and first is not None and first.poll() is None
