"""math-verify in the worker: asked only where our own comparison cannot tell, late for its own text only, and no text is evaluated."""

from __future__ import annotations

import threading
import time

import pytest

from ratchet.core.types import Task
from ratchet.verify import math_verify
from ratchet.verify.math import judge
from ratchet.verify.pool import VerifierPool
from ratchet.verify.verifier import find

pytest.importorskip("math_verify", reason="pip install 'ratchet[math]'")

UNSURE = r"\boxed{\int_0^2 x\,dx}"  # our own reader has no integrals
TOWER = r"\boxed{\sum_{n=1}^{10^{9}} \int_0^n e^{x^2} \sin(x^{n})\,dx}"


def task(gold: str, verifier: str = "math") -> Task:
    return Task("files", "?", gold, verifier)


def test_it_is_asked_where_ours_cannot_tell_and_only_its_yes_counts() -> None:
    pairs = [(task("2"), UNSURE), (task("3"), UNSURE), (task("7"), r"\boxed{8}"), (task("7"), r"\boxed{7}")]
    with VerifierPool(deadline=20.0) as pool:
        verdicts = pool(pairs)
    assert [str(v.outcome) for v in verdicts] == ["pass", "abstain", "fail", "pass"]
    assert "math-verify" in verdicts[0].evidence and "math-verify" not in verdicts[3].evidence


def test_outside_of_a_worker_it_is_not_asked() -> None:
    assert not math_verify.Door.loaded
    assert judge(task("2"), r"\int_0^2 x\,dx").outcome == "abstain"
    assert find("math-verify")(task("2"), r"\boxed{2}").outcome == "abstain"


def test_it_works_from_a_thread_and_a_hang_costs_one_verdict() -> None:
    got: list[str] = []

    def work() -> None:
        with VerifierPool(deadline=3.0) as pool:
            got.extend(str(v.outcome) for v in pool([(task("2"), UNSURE), (task("2"), TOWER), (task("2"), UNSURE)]))

    thread = threading.Thread(target=work)
    start = time.monotonic()
    thread.start()
    thread.join(120)
    assert got == ["pass", "abstain", "pass"] and time.monotonic() - start < 100


@pytest.mark.parametrize("text", ["2+3*4", "__import__('os')", "9**9**9**9", "x", "1_000"])
def test_only_numbers_are_made_from_text(text: str) -> None:
    with pytest.raises(SyntaxError):
        math_verify.number_without_eval(text)
    assert [math_verify.number_without_eval(n) for n in ("12", "0.5", "1.5E-3")] == [12, 0.5, 0.0015]


def test_code_from_text_is_refused_while_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "def check(task, text):\n    from ratchet.verify import math_verify as m\n    from ratchet.verify.verifier import passed\n"
    source += "    m.load(); m.Door.open = text != 'shut'\n    eval('1 + 1')\n    return passed()\n"
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "evaluates_text.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        with VerifierPool(deadline=20.0) as pool:
            verdicts = pool([(task("1", "evaluates_text:check"), text) for text in ("open", "shut")])
        sys.modules.pop("evaluates_text", None)
    assert [str(v.outcome) for v in verdicts] == ["pass", "abstain"] and "not evaluated" in verdicts[1].evidence


def test_towers_and_large_factorials_are_not_handed_on() -> None:
    """A policy that learns to write them would cost the deadline, and a worker, for each."""
    tower, nested = "^".join(["9"] * 12), "(" * 200 + "1" + ")" * 200
    with VerifierPool(deadline=1.0) as pool:
        verdicts = pool(
            [
                (Task("t", "", "18", "math"), f"\\boxed{{{text}}}")
                for text in (tower, "9" + "^{9" * 30 + "}" * 30, "99999999!", nested)
            ]
        )
    assert all("longer than" not in v.evidence and not v.passed for v in verdicts), verdicts
    assert not any(math_verify.ENDLESS.search(text) for text in ("e^{x^2}", "2^{10}", "12!", "((x+1)^2)^3", "10^6"))
