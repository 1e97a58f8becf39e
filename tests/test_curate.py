"""Question-answer rows into verifiable tasks: the laws of every filter, the pipeline, and the command as a user meets it."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer

from ratchet.core.errors import TaskError
from ratchet.data.answers import normalised, unparsable
from ratchet.data.curate import Dropped, Tally, chosen, curate
from ratchet.data.difficulty import attached, rates
from ratchet.data.filters import Filter, Row, SetFilter, filters, set_filters
from ratchet.data.open_questions import Refused, by_model, opened
from ratchet.tasks.files import read, rows_of

PLAIN = (
    Row("Natalia sold clips to 48 of her friends in April, and half as many in May. How many clips did she sell altogether?", "72", where="1"),
    Row("If $f(x) = \\frac{3x-2}{x-2}$, what is the value of $f(-2) + f(-1) + f(0)$? Express it as a common fraction.", "\\frac{14}{3}", where="2"),
    Row("Find the constant term in the expansion of $(x + 1)(x + 2)(x + 3)$.", "6", where="3"),
    Row("The graph of $y = x^2 + 4$ crosses the line $y = 8$ at two points. How far apart are these points?", "4", where="4"),
    Row("What interval is the solution of $2x + 1 > 7$?", "(3, \\infty)", where="5"),
)  # fmt: skip


def broken_law(filter_: Filter) -> list[str]:
    """What is wrong with a filter: plain rows that it drops, decoys that it lets through."""
    dropped = [f"drops {r.question!r}" for r in PLAIN if filter_.find(r)]
    return (
        dropped
        + [f"keeps {r.question!r}" for r in filter_.decoys if filter_.find(r) is None]
        + ([] if filter_.decoys else ["no decoys"])
    )


def broken_set_law(filter_: SetFilter) -> list[str]:
    start = filter_.begin(PLAIN, filter_.against)
    wrong = [f"drops {r.question!r}" for r in PLAIN if start(r)]
    for decoy in filter_.decoys:
        find = filter_.begin(decoy, filter_.against)
        *before, last = [find(row) for row in decoy]
        wrong += [f"keeps {decoy[-1].question!r}"] if last is None else []
        wrong += [f"drops {row.question!r}" for row, drop in zip(decoy, before) if drop]
    return wrong + ([] if filter_.decoys else ["no decoys"])


@pytest.mark.parametrize("name", [e.name for e in filters])
def test_a_filter_drops_its_decoys_and_no_plain_question(name: str) -> None:
    assert broken_law(filters[name]) == []


@pytest.mark.parametrize("name", [e.name for e in set_filters])
def test_a_set_filter_drops_its_decoys_and_nothing_before_them(name: str) -> None:
    assert broken_set_law(set_filters[name]) == []


def test_the_laws_catch_filters_that_drop_nothing_or_everything() -> None:
    proof, exact = filters["proof"], set_filters["exact-duplicate"]
    everything = filters["link"].find(filters["link"].decoys[0])
    assert broken_law(replace(proof, find=lambda row: None)) and broken_law(replace(proof, find=lambda row: everything))
    assert broken_set_law(replace(exact, begin=lambda head, against: lambda row: None))
    assert broken_set_law(replace(exact, begin=lambda head, against: lambda row: everything))


@pytest.mark.parametrize("entry", [*filters], ids=lambda e: e.name)
def test_a_decoy_is_dropped_by_the_name_of_its_filter(entry: Any) -> None:
    for decoy in entry.value.decoys:
        [found] = curate([decoy], PLAIN, chosen([entry.name], {}), [], {}, None, Tally())
        assert isinstance(found, Dropped) and found.filter == entry.name and found.reason


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("multiple-choice", "What is 4 + 5?\nChoose one:\n◻ 8\n◻ 9\n◻ 10", "9"),
        ("multiple-choice", "What is 4 + 5?\n**A.** 8\n**B.** 9\n**C.** 10", "B"),
        ("multiple-choice", "What is 4 + 5?\n| A | 8 | B | 9 | C | 10 |", "9"),
        ("multiple-choice", "What is 4 + 5? (A: 8; B: 9; C: 10)", "9"),
        ("multiple-choice", "What is 4 + 5? Pick your answer.\n1) 8\n2) 9\n3) 10", "9"),
        ("multiple-choice", "What is 4 + 5? Select one answer from: 8, 9, 10", "9"),
        ("multiple-choice", "What is 4 + 5?\n1. 8\n2. 9\n3. 10", "9"),
        ("multiple-choice", "What is 4 + 5?\n**A** 8\n**B** 9\n**C** 10", "9"),
        ("multiple-choice", "What is 4 + 5?\n\n☐ 8\n☐ 9\n☐ 10", "9"),
        ("multiple-choice", "What is 4 + 5? The possible answers are 8, 9, 10 and 11.", "9"),
        ("multiple-choice", "Ann adds 4 and 5. Which one is right: 8, 9 or 10?", "9"),
        ("proof", "Show, without a table, that 4 + 5 is odd.", "9"),
        ("proof", "Is the sum of 4 and an odd number always odd? Prove or disprove.", "9"),
        ("unparsable", "What is 4 + 5?", "Solution:"),
        ("unparsable", "What is 4 + 5?", "No answer is given."),
        ("true-false", "Ann says that 4 + 5 is 10. Is Ann right?", "F"),
        ("true-false", "Is this right or wrong: 4 + 5 is 10.", "W"),
        ("true-false", "Ben claims that 4 + 5 is 9.", "yes, true"),
        ("yes-no", "4 pens and 5 pens are bought, and 10 are needed.", "No - 9"),
    ],
)
def test_a_fault_is_found_however_it_is_dressed(name: str, question: str, answer: str) -> None:
    assert filters[name].find(Row(question, answer))


@pytest.mark.parametrize(
    "question",
    [
        "Points A, B and C lie on a line. AB is 4 and BC is 5. What is AC?",
        "Kim has these boxes:\n- 4 red ones\n- 5 blue ones\nHow many boxes has Kim?",
        "The set $\\{x : |x - 4| < 1\\}$ is an interval. What is its length?",
        "A jury must choose one winner. There are 4 singers and 5 dancers. In how many ways can it choose?",
        "If the angle is right, and its sides are 3 and 4, what is the hypotenuse?",
        "Kim has these boxes:\n4 red ones\n5 blue ones\n9 green ones\nHow many green boxes has Kim?",
        "What is the median of these numbers: 4, 9, 11?",
        "Add what stands below.\n4\n5",
        "What is 4 + 5? You do not need to show that your way is the shortest.",
        "What is 4 + 5? Explain how you know.",
        "Ann multiplies $2(A + B) = 6$ and $B = 1$. What is $A$?",
    ],
)
def test_what_only_looks_like_a_fault_is_kept(question: str) -> None:
    assert not [e.name for e in filters if e.value.find(Row(question, "9"))]


# ---- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "plain"),
    [("$1,234.0$.", "1234"), ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"), ("9 (apples)", "9"), ("The answer is 5.", "5"),
     ("x = 3", "x = 3"), ("(1,234)", "(1,234)")],
)  # fmt: skip
def test_an_answer_is_written_plainly_and_stays_the_same(answer: str, plain: str) -> None:
    assert normalised(answer) == plain


@pytest.mark.parametrize(
    "answer",
    [
        "43.0",
        "6:7",
        "(0,125) \\cup (125, \\infty)",
        "(a + b)(a + c)",
        "\\$1,657",
        "Tuesday",
        "x > -2",
        "3 hours",
        "2, -3",
        "no solution",
    ],
)
def test_what_can_be_compared_is_parsable(answer: str) -> None:
    assert unparsable(answer) == ""


@pytest.mark.parametrize(
    "answer", ["", "\\frac{1}{", "2^{-1/3", "See the solution.", "(a) 3 (b) 4", "It is the sum of all the numbers that are odd"]
)
def test_what_cannot_be_compared_is_not(answer: str) -> None:
    assert unparsable(answer)


# ---- repeats and leaks -------------------------------------------------------------------------------------------------


def test_a_near_duplicate_has_the_same_numbers_and_answer() -> None:
    row = PLAIN[0]
    reworded = replace(row, question=row.question.replace("altogether", "in all").replace("her friends", "friends"), where="b")
    stream = [
        row,
        replace(row, question=row.question.replace("48", "46"), answer="69", where="a"),
        reworded,
        replace(reworded, answer="24", where="c"),
    ]
    find = set_filters["near-duplicate"].begin([], [])
    assert [find(r) is not None for r in stream] == [False, False, True, False]


def test_a_leak_is_found_by_its_rare_words_and_not_by_common_ones() -> None:
    asked = Row(
        "Seventeen violet lanterns hang above the harbour bridge at midnight. How many hours a week does he spend there in total?",
        "5",
        where="eval",
    )
    head = [Row(f"A man works {i} days. How many hours a week does he spend there in total?", "1") for i in range(50)]
    find = set_filters["leak"].begin(head, [asked])
    assert find(Row("Once seventeen violet lanterns hang above the harbour bridge at dawn. How old are they?", "5")) is not None
    assert find(Row("Tom reads. How many hours a week does he spend there in total?", "5")) is None


# ---- open questions ----------------------------------------------------------------------------------------------------


def test_multiple_choice_becomes_an_open_question_with_the_same_answer() -> None:
    new = opened(Row("Which of the following is the sum of 17 and 5?\n(A) 20\n(B) 22\n(C) 23\n(D) 85", "B"))
    assert new.question == "What is the sum of 17 and 5?" and new.answer == "22"


@pytest.mark.parametrize(
    ("row", "step"),
    [
        (Row("Which of the following is a prime number? (A) 21 (B) 23 (C) 25 (D) 27", "B"), "check"),
        (Row("What is 2 + 2? (A) 3 (B) 4 (C) 8/2 (D) 5", "B"), "another option passes"),
        (Row("What colour is the sky? (A) red (B) blue (C) green (D) grey", "B"), "no value"),
        (Row("What is 2 + 2? (A) 3 (B) 4 (C) 5 (D) 6", "x"), "not known"),
        (Row("What is 2 + 2?", "4"), "extract"),
    ],
)
def test_what_cannot_be_verified_is_not_opened(row: Row, step: str) -> None:
    with pytest.raises(Refused, match=step):
        opened(row)


def test_a_models_question_is_held_to_the_numbers_of_the_old_one() -> None:
    row = Row("A shop sells 12 pens at 3 dollars. The income is (A) 15 (B) 36 (C) 9 (D) 4", "B")
    says = lambda text: lambda prompt: "YES" if "same value" in prompt else text
    assert opened(row, by_model(says("What is the income of a shop that sells 12 pens at 3 dollars?"))).answer == "36"
    for bad in ("What is the income of a shop that sells 13 pens at 3 dollars?", "IMPOSSIBLE", "", "What is 12 times 3?\n36"):
        with pytest.raises(Refused):
            opened(row, by_model(says(bad)))


# ---- files -------------------------------------------------------------------------------------------------------------


def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"question": f"What is {i} + 1? Say “now”,\nplease.", "answer": str(i + 1)} for i in range(3000)]
    lines = "".join(json.dumps(r) + "\n" for r in rows)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["question", "answer"])
        writer.writeheader()
        writer.writerows(rows)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.parquet"):
        assert [row for _, row in rows_of(str(tmp_path / name))] == rows, name


@pytest.mark.parametrize("text", ['[{"question": "x"}, {"que', '[{"question": "x"}', "[1, 2, x]"])
def test_a_broken_list_is_told_with_its_row(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(TaskError, match=r"row \d is not JSON"):
        list(rows_of(str(tmp_path / "a.json")))


# ---- difficulty ----------------------------------------------------------------------------------------------------------


def test_solve_rates_are_measured_once_and_kept(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"prompt": f"{i} + 1?", "answer": i + 1, "verifier": "math"}) + "\n" for i in range(70))
    )
    tasks, asked = read(str(tmp_path / "t.jsonl")), list[int]()

    def measure(some: Any) -> Any:
        asked.append(len(some))
        return {t.key: (4, int(t.answer) % 5) for t in some}

    kept = tmp_path / "rates.jsonl"
    first = rates(tasks, measure, "m", kept)
    for _ in range(40):  # stopped in the middle: what was measured stands in the file
        next(first)
    first.close()
    kept.write_text(kept.read_text() + '{"key": "torn')
    asked.clear()
    found = dict(rates(tasks, measure, "m", kept))
    assert len(found) == 70 and sum(asked) < 70
    assert attached({"facts": {}}, (4, 1))["facts"] == {"solve_rate": 0.25, "solve_samples": 4}
    assert attached({"facts": {}}, None)["facts"]["solve_rate"] is None


# ---- the command -----------------------------------------------------------------------------------------------------------


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_the_command_writes_tasks_drops_and_a_report_twice_the_same(tmp_path: Path, ratchet: Callable[..., Answer]) -> None:
    data = write(tmp_path / "qa.jsonl", [
        {"problem": "What is the sum of 19 and 23?", "solution": "Add: \\boxed{42}"},
        {"problem": "what is the sum of 19 and 23", "solution": "#### 42"},
        {"problem": "Prove that 7 is prime <script>.", "solution": ""},
        {"problem": "What is 3 times 7? (A) 20 (B) 21 (C) 22 (D) 24", "answer": "B"},
        {"problem": "A snail climbs 3 metres each day and slides back 1 metre each night; when is it up?", "answer": "4"},
    ])  # fmt: skip
    test = write(
        tmp_path / "eval.jsonl",
        [{"question": "A snail climbs 3 metres each day and slides back 1 metre each night. How high is it?"}],
    )
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        code, said, _ = ratchet("curate", data, "--out", out, "--against", test, "--open")
        assert code == 0 and "5 rows read, 2 kept, 1 of them made open" in said
    first, second = ([(o / n).read_text() for n in ("tasks.jsonl", "dropped.jsonl", "report.json", "report.html")] for o in outs)
    assert first == second
    assert [t.answer for t in read(str(outs[0] / "tasks.jsonl"))] == ["42", "21"]
    drops = [json.loads(line) for line in first[1].splitlines()]
    assert [(d["filter"], d["where"]) for d in drops] == [
        ("exact-duplicate", "qa.jsonl:2"),
        ("proof", "qa.jsonl:3"),
        ("leak", "qa.jsonl:5"),
    ]
    assert "<script>." not in first[3] and "&lt;script&gt;." in first[3]


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        (None, [], "does not exist"),
        ("", [], "is empty"),
        ('{"question": "x", "answer": "1"}\n{"question": ', [], "row 2 is not JSON"),
        ('{"title": "x", "answer": "1"}', [], "no field is known to hold the question; the fields are title, answer"),
        ('{"question": "x", "answer": "1"}', ["--field", "answer=anser"], 'did you mean "answer"'),
        ('{"question": "x", "answer": "1"}', ["--field", "reply=answer"], "there is no role"),
        ('{"question": "x", "answer": "1"}', ["--filters", "proofs"], 'did you mean "proof"'),
        ('{"question": "x", "answer": "1"}', ["--knob", "near-duplicate.nearr=1"], 'did you mean "near"'),
        ('{"question": "x", "answer": "1"}', ["--knob", "near=1"], "FILTER.NAME=VALUE"),
        ('{"question": 5, "answer": "1"}', [], "must be a text, got int"),
        ("[1]", [], "must be an object"),
        ('{"question": "x", "answer": "1"}', ["--keep-rate", "0", "1"], "--difficulty"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_one_sentence(
    tmp_path: Path, ratchet: Callable[..., Answer], text: str | None, more: list[str], message: str
) -> None:
    if text is not None:
        (tmp_path / "a.jsonl").write_text(text)
    code, _, err = ratchet("curate", tmp_path / "a.jsonl", "--out", tmp_path / "out", *more)
    assert code == 2 and message in err and "Traceback" not in err
    assert not (tmp_path / "out" / "tasks.jsonl").exists()


def test_another_result_is_not_written_over(tmp_path: Path, ratchet: Callable[..., Answer]) -> None:
    data = write(tmp_path / "a.jsonl", [{"question": "What is the sum of 19 and 23?", "answer": "42"}])
    assert ratchet("curate", data, "--out", tmp_path / "out").code == 0
    code, _, err = ratchet("curate", data, "--out", tmp_path / "out", "--filters", "proof")
    assert code == 2 and "another command" in err
    (tmp_path / "out" / "report.json").unlink()  # as a command that was stopped before its end leaves it
    assert ratchet("curate", data, "--out", tmp_path / "out").code == 0
