"""Multiple choice, JSON and instruction constraints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ratchet.core.errors import RatchetError
from ratchet.core.types import Task
from ratchet.verify.attacks import must_fail
from ratchet.verify.constraints import checked, constraints
from ratchet.verify.pool import VerifierPool
from ratchet.verify.verifier import verifiers


def said(verifier: str, answer: Any, text: str, /, **facts: Any) -> str:
    return str(verifiers[verifier](Task("files", "which one?", answer, verifier, facts), text).outcome)


OPTIONS = {"A": "$61", "B": "5(√3 + 1)", "C": "$67.40", "D": "\\frac{1}{2}", "E": "none of these"}


@pytest.mark.parametrize(
    ("gold", "text", "outcome"),
    [
        ("C", "C", "pass"), ("C", "(c)", "pass"), ("C", "The answer is (C) $67.40.", "pass"), ("C", "**Answer:** C) $67.40", "pass"),
        ("C", "\\boxed{67.40}", "pass"), ("C", "\\boxed{\\text{C}}", "pass"), ("D", "The answer is 1/2", "pass"),
        ("none of these", "E", "pass"), ("C", "The correct option is C because it is cheap.", "pass"), ("C", "I think so.\n\nC", "pass"),
        ("C", "B", "fail"), ("C", "The answer is B or C", "fail"), ("C", "A, B, C, D, E", "fail"), ("C", "C) $61", "fail"),
        ("C", "(B) or (C)", "fail"), ("C", "\\boxed{B, C}", "fail"), ("C", "C) something else", "abstain"),
        ("C", "who knows", "abstain"), ("C", "which?\nA) $61\nC) $67.40", "fail"), ("Z", "C", "abstain"),
    ],
)  # fmt: skip
def test_choice(gold: str, text: str, outcome: str) -> None:
    assert said("choice", gold, text, options=OPTIONS) == outcome


def test_choice_reads_lists_and_refuses_what_is_none() -> None:
    assert said("choice", "B", "B) 65", options=["A)61", "B)65"]) == "pass"
    assert said("choice", "B", "B", options="A) 61 B) 65") == "abstain"
    assert said("choice", "A", "A", options=["the same", "the same"]) == said(
        "choice", "A", "B", options=["the same", "the same"]
    )


GOLD = '{"name": "Ada", "born": 1815, "tags": ["x", 1.50], "note": "free"}'


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (GOLD, "pass"), ("Here:\n```json\n" + GOLD + "\n```", "pass"), ("<answer>" + GOLD + "</answer>", "pass"),
        ('{"born": 1815.0, "tags": ["x", 1.5], "name": "Ada", "note": "other"}', "pass"),
        ('{"born": 1815, "tags": ["x", 1.5], "name": "Ada"}', "pass"),
        (GOLD + " trailing", "fail"), ('{"name": "Ada", "name": "Ada", "born": 1815, "tags": ["x", 1.5]}', "fail"),
        (GOLD.replace("1815", "NaN"), "fail"), (GOLD.replace("1815", '"1815"'), "fail"), (GOLD.replace("1815", "true"), "fail"),
        (GOLD.replace("1.50", "1.5000000000000000001"), "fail"), ("[" * 50_000, "fail"), ("[" * 200 + "]" * 200, "fail"),
        ("9" * 50_000, "fail"), ("1e999999999", "fail"), ("", "fail"), ("not json", "fail"),
    ],
)  # fmt: skip
def test_json_against_a_gold(text: str, outcome: str) -> None:
    assert said("json", GOLD, text, ignore=["note"]) == outcome


def test_json_says_where() -> None:
    verdict = verifiers["json"](Task("files", "?", GOLD, "json"), GOLD.replace('"x"', '"y"'))
    assert "$.tags[0]" in verdict.evidence
    assert said("json", "", "{}") == "abstain" and said("json", "{", "{}") == "abstain"


def test_json_against_a_schema() -> None:
    pytest.importorskip("jsonschema")
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    assert said("json", None, '{"n": 3}', schema=schema) == "pass"
    verdict = verifiers["json"](Task("files", "?", None, "json", {"schema": schema}), '{"n": 0}')
    assert str(verdict.outcome) == "fail" and "$.n" in verdict.evidence
    assert said("json", None, "1.5", schema={"type": "integer"}) == "fail"
    assert said("json", None, "{}", schema={"$ref": "http://127.0.0.1:9/none.json"}) == "abstain"
    assert said("json", None, "{}", schema={"type": "no such type"}) == "abstain"


def test_a_pattern_without_end_is_held_by_the_deadline() -> None:
    pytest.importorskip("jsonschema")
    task = Task("files", "?", None, "json", {"schema": {"pattern": "^(a+)+$"}})
    with VerifierPool(deadline=30.0) as pool:
        assert pool([(task, '"aaa"')])[0].passed  # the library is imported now
        pool.deadline = 1.0
        [late] = pool([(task, json.dumps("a" * 40 + "!"))])
    assert str(late.outcome) == "abstain" and "longer than" in late.evidence


HOLDS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "words", "least": 2, "most": 3}, "one two three", "one two three four"),
    ({"name": "sentences", "least": 2, "most": 2}, "It rains. It pours!", "It rains."),
    ({"name": "paragraphs", "count": 2}, "one\n\ntwo", "one\ntwo"),
    ({"name": "bullets", "count": 2}, "* a\n- b", "* a\n* b\n* c"),
    ({"name": "include", "keywords": ["sea", "wind"]}, "Wind and sea.", "Season of wind."),
    ({"name": "exclude", "keywords": ["sea"]}, "a season", "the sea"),
    ({"name": "frequency", "keyword": "sea", "least": 2}, "sea, sea", "sea seas"),
    ({"name": "letter", "letter": "q", "least": 2}, "Quiet queen", "quiet"),
    ({"name": "starts", "phrase": "Dear"}, "Dear you", "Oh dear"),
    ({"name": "ends", "phrase": "Yours."}, "I am Yours.", "Yours. Me"),
    ({"name": "lower-case"}, "all small", "Not all"),
    ({"name": "upper-case"}, "ALL LARGE", "Not ALL"),
    ({"name": "capitals", "least": 2}, "GO ON now", "GO on"),
    ({"name": "no-commas"}, "none here", "one, here"),
    ({"name": "quoted"}, '"said so"', '"said" so'),
    ({"name": "title"}, "<<A day>>\nIt was", "<A day>\nIt was"),
    ({"name": "sections", "mark": "Part", "count": 2}, "Part 1\na\nPart 2\nb", "Part 1 and Part 2"),
    ({"name": "json-format"}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ({"name": "postscript"}, "Bye\nP.S. one more", "Bye P.S."),
    ({"name": "two-responses"}, "yes\n******\nno", "yes\n******\nyes"),
    ({"name": "placeholders", "least": 2}, "[name] at [place]", "[name]"),
]


@pytest.mark.parametrize(("row", "good", "bad"), HOLDS, ids=[r["name"] for r, _, _ in HOLDS])
def test_each_constraint_holds_and_fails(row: dict[str, Any], good: str, bad: str) -> None:
    assert (said("constraints", None, good, constraints=[row]), said("constraints", None, bad, constraints=[row])) == (
        "pass",
        "fail",
    )
    assert said("constraints", None, " ", constraints=[row]) == "fail"


def test_every_constraint_is_tested() -> None:
    assert {row["name"] for row, _, _ in HOLDS} == {e.name for e in constraints}


def test_the_first_that_fails_is_named_and_loose_forgives_dress() -> None:
    rows = [{"name": "no-commas"}, {"name": "starts", "phrase": "Dear"}, {"name": "ends", "phrase": "Yours."}]
    text = "Sure:\nDear **you**\nYours.\n"
    verdict = verifiers["constraints"](Task("files", "?", None, "constraints", {"constraints": rows}), text)
    assert not verdict.passed and '"starts"' in verdict.evidence and verdict.score == pytest.approx(2 / 3)
    assert said("constraints", None, text, constraints=rows, loose=True) == "pass"
    assert said("constraints", None, text.replace("you", "you, too"), constraints=rows, loose=True) == "fail"


@pytest.mark.parametrize(
    ("rows", "message"),
    [([{"name": "word"}], 'did you mean "words"'), ([{"name": "words", "lest": 1}], 'did you mean "least"'), ("words", "must be a list"),
     ([{"name": "words", "least": "one"}], "takes int"), (["words"], "object"), ([], "must be a list")],
)  # fmt: skip
def test_bad_constraints_are_one_sentence(rows: Any, message: str) -> None:
    with pytest.raises(RatchetError, match=message):
        checked(rows)
    assert said("constraints", None, "text", constraints=rows) == "abstain"


def test_no_attack_passes() -> None:
    choice = Task("files", "Which? A) $61 C) $67.40", "C", "choice", {"options": OPTIONS})
    structured = Task("files", "Give Ada as JSON.", GOLD, "json")
    for task in (choice, structured):
        assert not [name for name, text in must_fail(task) if verifiers[task.verifier](task, text).passed]
