"""Answers in prose: what passes, what must not, and how far the rule agrees with people."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ratchet.core.types import Outcome, Task
from ratchet.verify.attacks import must_fail
from ratchet.verify.verifier import verifiers

SAMPLE = Path(__file__).parent / "data" / "evouna_sample.jsonl.gz"


def outcome(gold: str | list[str], answer: str, question: str = "who or what is it?") -> str:
    return str(verifiers["text"](Task("files", question, gold, "text"), answer).outcome)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("Wilhelm Conrad Röntgen", "It was awarded to Wilhelm Rontgen in 1901."),
        ("the subcutis", "The answer is subcutis."),
        ("Every ten years", "It takes place every 10 years."),
        ("sea shells", "Sally sells seashells."),
        ("Miller Lite", "It was Miller Lite1. It was introduced in 19752."),
        ("September 28, 2017", "on the 28th of September 2017"),
        ("September 28, 2017", "It came out in 2017."),
        ("1,234", "about 1234 of them"),
        ("Tucson, Arizona", "Tucson"),
        ("Charles III", "Charles the third"),
        ("U.S.A.", "the USA"),
        (["Clapton", "Eric Patrick Clapton"], "Eric Clapton"),
        ("Paris", "I think of London first, but no.\n\\boxed{Paris}"),
    ],
)
def test_the_gold_in_other_words_passes(gold: str | list[str], answer: str) -> None:
    assert outcome(gold, answer) == "pass"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("Paris", "London"),
        ("Paris", "Paris or London"),
        ("Paris", "The answer is Paris / London"),
        ("Paris", "It could be Paris. It could be Rome. It could be Bonn."),
        ("Paris", "Rome, Bonn, Paris, Madrid, Oslo, Bern"),
        ("Paris", "The candidates that I considered at length are Rome, Bonn, Oslo, Paris, Bern, Lima, Kiev and Riga."),
        ("1994", "1994, 1995"),
        ("5", "7.5"),
        ("5", "-5"),
        ("1994", "١٩٩٤"),
        ("September 28, 2017", "September 27, 2017"),
        ("September 28, 2017", "September 28, 2016"),
        ("eight years", "five years"),
        ("Paris", "Paris it is. " + "And so on it goes. " * 200),
    ],
)
def test_other_answers_and_hedges_fail(gold: str, answer: str) -> None:
    assert outcome(gold, answer) == "fail"


def test_the_question_told_again_is_no_answer() -> None:
    question = "Which animal is larger, the elephant or the mouse?"
    assert outcome("the elephant", question, question) == "fail"
    assert outcome("the elephant", f"You ask: {question}", question) == "fail"
    assert outcome("the elephant", "The elephant is larger.", question) == "pass"


def test_what_cannot_be_judged_is_an_abstention() -> None:
    assert outcome("?!", "Paris") == "abstain"
    assert verifiers["text"](Task("files", "q", "Paris", "text", {"share": 7}), "Paris").outcome is Outcome.ABSTAIN


def test_a_stricter_share_can_be_asked_for() -> None:
    task = Task("files", "who?", "Norma Jeane Baker", "text", {"share": 1.0})
    assert not verifiers["text"](task, "Norma Jeane").passed and verifiers["text"](task, "Norma Jeane Baker").passed


@pytest.mark.parametrize("gold", ["Paris", "Wilhelm Conrad Röntgen", "28 September 2017", "1994", "42", "the medulla oblongata"])
def test_no_attack_passes(gold: str) -> None:
    task = Task("files", "what is it that is meant by this question here?", gold, "text")
    passed = [name for name, text in must_fail(task) if verifiers["text"](task, text).passed]
    assert not passed


def test_agreement_with_people_on_a_sample() -> None:
    """Real answers of five systems with human labels: clearly above containment of the gold, which is near 0.86 on all rows."""
    rows = [json.loads(line) for line in gzip.decompress(SAMPLE.read_bytes()).decode().splitlines()]
    right = [
        verifiers["text"](Task("files", r["question"], r["golds"], "text"), r["answer"]).passed == r["human_judge"] for r in rows
    ]
    contained = [any(g.casefold() in r["answer"].casefold() for g in r["golds"]) == r["human_judge"] for r in rows]
    assert len(rows) >= 200 and sum(right) / len(rows) >= 0.89 > sum(contained) / len(rows)
