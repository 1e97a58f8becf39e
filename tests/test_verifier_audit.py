"""`ratchet verify audit`: a sound verifier comes through, and each way of being fooled is caught."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ratchet.core.types import Outcome, Task, Verdict
from ratchet.measure.samples import Problem, Sample
from ratchet.measure.verifier_audit import against_labels, probe
from ratchet.verify.attacks import must_fail, must_pass
from ratchet.verify.verifier import find

GOLDS = ["42", "-7", "0.25", r"\frac{3}{4}", "1500", r"x^2 - 1", "(1, 2)", r"\text{Evelyn}", "12"]
TASKS = [Task("audit", f"What is question {i}?", gold, "math") for i, gold in enumerate(GOLDS)]


def here(verifier: Any) -> Any:
    return lambda pairs: [verifier(task, text) for task, text in pairs]


def test_math_is_not_fooled_and_refuses_no_rewrite() -> None:
    judge = here(find("math"))
    assert [p.name for p in probe(TASKS, must_fail, judge, False) if p.wrong] == []
    assert [p.name for p in probe(TASKS, must_pass, judge, True) if p.wrong] == []


@pytest.mark.parametrize(
    ("gullible", "caught"),
    [
        (lambda task, text: True, "attack: empty"),
        (lambda task, text: text.strip().endswith(":"), "attack: opener: thought process"),
        (lambda task, text: "correct" in text, "attack: instructions"),
        (lambda task, text: str(task.answer) in text, "near miss: hedge: or"),
        (lambda task, text: task.prompt in text, "attack: the question again"),
        (lambda task, text: len(text) > 1_000, "attack: very long"),
    ],
)
def test_a_gullible_verifier_is_caught(gullible: Any, caught: str) -> None:
    judge = here(lambda task, text: Verdict(Outcome.PASS if gullible(task, text) else Outcome.FAIL))
    assert caught in [p.name for p in probe(TASKS, must_fail, judge, False) if p.wrong]


def test_a_verifier_that_refuses_all_is_caught_by_rewrites() -> None:
    rows = probe(TASKS, must_pass, here(lambda task, text: Verdict(Outcome.FAIL)), True)
    assert all(row.wrong == row.asked and row.examples for row in rows)


def test_rates_against_labels_by_hand() -> None:
    def sample(label: bool | None, outcome: Outcome) -> Sample:
        return Sample(correct=label, verdict=Verdict(outcome))

    problems = [
        Problem("a", [sample(True, Outcome.PASS), sample(True, Outcome.FAIL), sample(False, Outcome.PASS)]),
        Problem("b", [sample(False, Outcome.FAIL), sample(False, Outcome.ABSTAIN), sample(None, Outcome.PASS)]),
        Problem("c", [sample(False, Outcome.FAIL), sample(True, Outcome.PASS)]),
    ]
    found = against_labels(problems)
    assert found is not None and found.false_accepts is not None and found.false_rejects is not None
    assert found.false_accepts.value == pytest.approx(1 / 4) and found.false_rejects.value == pytest.approx(1 / 3)
    assert found.abstained.value == pytest.approx(1 / 7) and sum(found.table.values()) == 7
    assert against_labels([Problem("a", [Sample(correct=True)])]) is None
    problems[0].cluster = "b"  # a cluster's name is no problem's key
    again = against_labels(problems)
    assert again is not None and again.abstained.n == 3
    problems[1].cluster = "b"
    again = against_labels(problems)
    assert again is not None and (again.abstained.n, again.abstained.unit) == (2, "clusters")


def test_the_command_prints_rates_attacks_and_disagreements(ratchet: Any, tmp_path: Path) -> None:
    rows = [
        {"problem_id": i, "gold": gold, "response": f"So \\boxed{{{answer}}}.", "correct": right}
        for i, (gold, answer, right) in enumerate([("42", "42", True), (r"\frac{1}{2}", "0.5", True), ("7", "8", False), ("x+1", "1+x", True)])
    ]  # fmt: skip
    data = tmp_path / "samples.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = ratchet("verify", "audit", "math", "--data", data, "--against", "exact", "--json", tmp_path / "out.json")
    assert answer.code == 0, answer.err
    assert "false accepts  0.000" in answer.out and "answers on which math and exact differ" in answer.out
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["attacks"] and {d["answer"] for d in written["disagreements"]} == {"0.5", "1+x"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("maths", "--data", "x.jsonl"), 'no verifier named "maths"'),
        (("math", "--data", "missing.jsonl"), "cannot read missing.jsonl"),
        (("math",), "give samples with --data FILE"),
        (("math", "--golds", "missing.jsonl"), "cannot read missing.jsonl"),
        (("math", "--golds", "x.jsonl", "--against", "exact"), "which --against needs"),
        (("math", "--golds", "x.jsonl", "--field", "gold"), 'got "gold"'),
    ],
)
def test_wrong_input_is_one_sentence(ratchet: Any, args: tuple[str, ...], said: str) -> None:
    answer = ratchet("verify", "audit", *args)
    assert answer.code == 2 and said in answer.err and "Traceback" not in answer.err


def test_gold_answers_alone_are_enough_for_attacks_and_rewrites(ratchet: Any, tmp_path: Path) -> None:
    golds = tmp_path / "set.jsonl"
    golds.write_text("".join(json.dumps({"question": "?", "target": gold}) + "\n" for gold in GOLDS))
    answer = ratchet("verify", "audit", "math", "--golds", golds)
    assert answer.code == 0 and "9 problems, 0 samples" in answer.out and "false accepts" not in answer.out
    golds.write_text(json.dumps({"question": "?"}) + "\n")
    answer = ratchet("verify", "audit", "math", "--golds", golds)
    assert answer.code == 2 and "line 1: no field holds a gold answer" in answer.err
