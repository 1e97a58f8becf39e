"""Samples from files: each format on a tiny made-up file, wrong files, numbers checked by hand, planted disagreements."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer

from ratchet.core.errors import RecipeError, StoreError
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.measure.eval_logs import members
from ratchet.measure.sample_files import Naming, Source, sources
from ratchet.measure.samples import (
    Problem,
    Sample,
    answer_in,
    audit,
    by_verdict,
    compare,
    condense,
    gather,
    majority_at,
    mean_length,
    pass_at,
    plain,
    same,
    short_gold,
)
from ratchet.verify.pool import VerifierPool

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def measure(ratchet: Callable[..., Answer]) -> Callable[..., Answer]:
    return lambda *args: ratchet("measure", *args)


def write(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


def one(file: Path, **naming: Any) -> Source:
    (source,) = sources(file, Naming(**naming))
    return source


def read(file: Path, verify: VerifierPool | None = None, **naming: Any) -> list[Problem]:
    return gather(condense(one(file, **naming).parts, verify))


def problem(key: str, labels: str, answers: str = "", **about: Any) -> Problem:
    """Labels as a word: r right, w wrong, u unknown; answers as one letter per sample, "." for none."""
    marks = {"r": True, "w": False, "u": None}
    return Problem(
        key,
        [Sample(correct=marks[c], answer=None if a == "." else a) for c, a in zip(labels, answers or labels, strict=True)],
        **about,
    )


# ---- numbers -----------------------------------------------------------------------------------------------------


def test_pass_at_k_by_hand() -> None:
    problems = [problem("a", "rwwwu"), problem("b", "rrww")]
    assert pass_at(problems, 1).value == pytest.approx((1 / 4 + 2 / 4) / 2)  # the unknown label plays no part
    assert pass_at(problems, 2).value == pytest.approx((3 / 6 + 5 / 6) / 2)  # 1 - C(3,2)/C(4,2), 1 - C(2,2)/C(4,2)
    assert pass_at(problems, 1).n == 2 and pass_at(problems, 1).unit == "problems"
    short = [*problems, problem("c", "r")]
    assert pass_at(short, 2).n == 2  # problems with fewer samples than k are left out
    with pytest.raises(StoreError, match="the most is 4"):
        pass_at(problems, 5)


def test_clusters_widen_the_interval() -> None:
    labels = ["rr", "rr", "ww", "ww"] * 5
    alone = pass_at([problem(str(i), x) for i, x in enumerate(labels)], 1)
    pairs = pass_at([problem(str(i), x, cluster=str(i // 2)) for i, x in enumerate(labels)], 1)
    assert pairs.n == 10 and alone.n == 20 and pairs.high - pairs.low > alone.high - alone.low


def test_majority_by_hand() -> None:
    assert majority_at([problem("a", "rrw", "xxy")], 3).value == 1
    assert majority_at([problem("a", "rww", "xyy")], 3).value == 0
    assert majority_at([problem("a", "rw", "xy")], 2).value == pytest.approx(1 / 2)  # a tie is shared
    assert majority_at([problem("a", "rww", "x..")], 3).value == 1  # without an answer there is no vote
    assert majority_at([problem("a", "rrw", "xxy")], 2).value == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)


def test_answers_that_are_the_same_vote_together() -> None:
    alike = [("18", "18.00"), ("1,000", "1000"), (r"\frac{1}{2}", "0.5"), (r"\left( 3, \dfrac{1}{2} \right)", "(3, 1/2)"),
             ("6 + 9i", "6+9i"), (r"5\text{ cm}", "5 cm"), ("Paris", "paris."), (r"\$18", "18"), (r"10{,}000", "10000")]  # fmt: skip
    for a, b in alike:
        assert same(a) == same(b), (a, b)
    for a, b in [("18", "81"), ("x+1", "x-1"), (r"\leftarrow", "arrow"), ("New York", "Newark"), ("1, 234", "1234")]:
        assert same(a) != same(b), (a, b)
    assert plain(r"x^2 \, + 1") == "x^2+1"
    assert plain(r"12\frac{3}{5}") == "12 3/5" and plain(r"(12\frac35, 1)") == "(12 3/5,1)"  # a mixed number is not 123/5


def test_answers_are_found_in_texts() -> None:
    assert answer_in("so 3 * 2 = 6\nA: 6") == "6"
    assert answer_in("thus \\boxed{7}") == "7" and answer_in("we add\nand stop") is None
    assert short_gold("Five and three\nare 8.\n#### 8") == "8"
    assert short_gold("New York") == "New York" and short_gold(("8",)) == "8"


def test_length_in_tokens_or_characters() -> None:
    tokens = [Problem("a", [Sample(tokens=2), Sample(tokens=4)]), Problem("b", [Sample(tokens=9)]), Problem("c")]
    found = mean_length(tokens)
    assert found is not None and found[1] == "tokens" and found[0].value == 6  # the mean of the problems' means 3 and 9
    found = mean_length([Problem("a", [Sample(tokens=2, characters=10), Sample(characters=20)])])
    assert found is not None and found[1] == "characters" and found[0].value == 15
    assert mean_length([Problem("a", [Sample()])]) is None


def test_pairs_are_matched_by_question_else_by_key() -> None:
    a = [problem("0", "rr", question="p?"), problem("1", "ww", question="q?")]
    b = [problem("0", "rr", question="q?"), problem("1", "ww", question="z?")]
    d = compare(a, b).difference
    assert d.n == 1 and d.value == 1  # "q?" went from wrong to right, though its key changed
    d = compare([problem("0", "rw"), problem("1", "ww")], [problem("0", "rr"), problem("1", "ww")]).difference
    assert d.n == 2 and d.value == pytest.approx(0.25)
    with pytest.raises(StoreError, match="share no problem"):
        compare([problem("0", "r")], [problem("1", "r")])


# ---- JSON Lines --------------------------------------------------------------------------------------------------


def test_one_sample_per_line(tmp_path: Path) -> None:
    rows = [{"problem_id": i // 2, "question": f"{i // 2}?", "gold": "3", "response": "so\n\\boxed{3}", "is_correct": i % 2,
             "num_tokens": 5} for i in range(4)]  # fmt: skip
    problems = read(write(tmp_path / "a.jsonl", rows))
    assert [p.key for p in problems] == ["0", "1"] and [len(p.samples) for p in problems] == [2, 2]
    first = problems[0].samples[0]
    assert (first.correct, first.answer, first.tokens, first.characters, first.text) == (False, "3", 5.0, 12, None)
    packed = tmp_path / "a.jsonl.gz"
    for mark in (b"", b"\xef\xbb\xbf"):  # some programs begin a file with a byte order mark
        packed.write_bytes(gzip.compress(mark + (tmp_path / "a.jsonl").read_bytes()))
        assert [(p.key, p.samples) for p in read(packed)] == [(p.key, p.samples) for p in problems]


def test_a_cluster_may_be_zero(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": True, "cluster": c} for i, c in enumerate((0, False, None, ""))]
    assert [p.cluster for p in read(write(tmp_path / "a.jsonl", rows))] == ["0", "False", "", ""]


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 1, "correct": True}, {"id": 2, "is_correct": False}],
        [{"id": 1, "samples": [{"correct": True}]}, {"id": 2, "samples": [{"correct": None}, {"is_correct": False}]}],
    ],
)
def test_a_sample_without_the_field_of_the_label_is_refused(tmp_path: Path, rows: list[Any]) -> None:
    with pytest.raises(StoreError, match=r'line 2: the field of the label, "correct", is not there; the fields are .*is_correct'):
        read(write(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize(
    "row",
    [
        {"id": "x", "answer": 3, "samples": [{"text": "3", "correct": True, "score": 0.5}, {"text": "4", "correct": None}]},
        {"id": "x", "answer": 3, "responses": ["3", "4"], "correct": [True, None], "score": [0.5, None]},
        {"id": "x", "answer": 3, "response": ["3", "4"], "passed": ["pass", "abstain"], "reward": [0.5, None]},
    ],
)
def test_one_problem_per_line(tmp_path: Path, row: dict[str, Any]) -> None:
    (p,) = read(write(tmp_path / "a.jsonl", [row]))
    assert (p.key, p.gold) == ("x", "3")
    assert [(s.correct, s.answer, s.score) for s in p.samples] == [(True, "3", 0.5), (None, "4", None)]


def test_without_an_id_the_question_is_the_problem(tmp_path: Path) -> None:
    rows = [{"question": q, "solution": "1", "is_correct": True, "id": i} for i, q in enumerate("aab")]
    assert [len(p.samples) for p in read(write(tmp_path / "a.jsonl", rows))] == [2, 1]


def test_fields_can_be_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"nr": 1, "ok": "yes", "said": "4"}, {"nr": 1, "ok": "no", "said": "5"}])
    with pytest.raises(StoreError, match=r"line 1: no field says which problem .* --field problem=NAME"):
        read(file)
    with pytest.raises(StoreError, match=r"no field says whether a sample is right; the fields are nr, ok, said"):
        read(file, fields={"problem": "nr"})
    (p,) = read(file, fields={"problem": "nr", "correct": "ok", "answer": "said"})
    assert [(s.correct, s.answer) for s in p.samples] == [(True, "4"), (False, "5")]
    with pytest.raises(StoreError, match='did you mean "said"'):
        read(file, fields={"problem": "nr", "correct": "ok", "answer": "sad"})
    with pytest.raises(RecipeError, match='did you mean "correct"'):
        Naming({"corect": "ok"})


def test_answer_is_the_gold_until_it_differs(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"id": 1, "answer": a, "correct": True} for a in ("3", "4")])
    with pytest.raises(StoreError, match=r'line 2: the gold answer of problem "1" is "4", and was "3" at .*line 1'):
        read(file)
    assert read(file, fields={"answer": "answer"})[0].samples[1].answer == "4"


GOOD = {"id": 1, "text": "t", "correct": True, "tokens": 3}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "line 2: this is not JSON"),
        ("[1]", "line 2: each line must be a JSON object, got list"),
        ({**GOOD, "correct": 0.7}, 'line 2: "correct" should say whether the sample is right .* got "0.7"'),
        ({**GOOD, "correct": "perhaps"}, 'got "perhaps"'),
        ({**GOOD, "text": {"a": 1}}, 'line 2: "text" must be the text of a sample, got dict'),
        ({**GOOD, "tokens": -1}, 'line 2: "tokens" must be a number of at least 0, got "-1"'),
        ({**GOOD, "tokens": 10**400}, 'line 2: "tokens" must be a number'),
        ({**GOOD, "id": None}, 'line 2: "id" names the problem'),
        ({**GOOD, "id": ["\x1b[2J"]}, "line 2"),
    ],
)
def test_a_wrong_line_is_one_sentence(tmp_path: Path, measure: Callable[..., Answer], bad: Any, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(GOOD) + "\n" + (bad if isinstance(bad, str) else json.dumps(bad)) + "\n")
    code, _, err = measure(file, "--verifier", "none")
    assert code == 2 and "Traceback" not in err and "\x1b" not in err and err.count("\n") == 1
    assert re.search(message, err), err


def test_wrong_files_and_options(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    good = write(tmp_path / "a.jsonl", [GOOD])
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "binary.jsonl").write_bytes(b"\x80\x81\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"x" * 99)[:20])
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "rows.json").write_text('{"rows": [{"key": 1}]}')
    (tmp_path / "bad.eval").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "folder").mkdir()
    unlabelled = write(tmp_path / "unlabelled.jsonl", [{**GOOD, "correct": None}])
    uneven = write(tmp_path / "uneven.jsonl", [{"id": 1, "responses": ["a", "b"], "correct": [True]}])
    for args, message in [
        (["absent.jsonl"], "does not exist"),
        ([tmp_path / "empty.jsonl"], "is empty"),
        ([tmp_path / "binary.jsonl"], "must be UTF-8 text"),
        ([tmp_path / "cut.jsonl.gz"], "cannot be read"),
        ([tmp_path / "list.json"], "is not a JSON object"),
        ([tmp_path / "other.json"], "must be JSON Lines"),
        ([tmp_path / "rows.json"], "is not a record"),
        ([tmp_path / "bad.eval"], "no Inspect log, or a damaged one"),
        ([tmp_path / "folder"], "without records"),
        ([unlabelled], "no sample has a label"),
        ([uneven], "one value for each of the 2 samples"),
        ([good, "--k", "1,x"], "--k takes whole numbers"),
        ([good, "--k", "0"], "--k takes whole numbers"),
        ([good, "--field", "correct"], "--field takes ROLE=NAME"),
        ([good, "--by", "txt"], 'did you mean "text"'),
        ([good, "--json", tmp_path / "no" / "a.json"], "does not exist"),
        ([good, tmp_path / "folder" / ".." / "a.jsonl"], "is given twice"),
        ([good, "--filter", "x"], "--filter x: "),
    ]:
        code, _, err = measure(*args, "--verifier", "none")
        assert code == 2 and message in err and "Traceback" not in err and err.count("\n") == 1, (args, err)
    assert measure()[0] == 2
    code, _, err = measure(good, "--level", "nan")
    assert code == 2 and "nan is not in the range" in err


def test_a_level_is_printed_as_it_is(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    files = [write(tmp_path / f"{name}.jsonl", [GOOD]) for name in "ab"]
    for level, shown in (("0.975", "97.5%"), ("0.9999", "99.99%"), ("0.95", "95%")):
        code, text, _ = measure(*files, "--level", level)
        assert code == 0 and f"problems, {shown})" in text and f"cannot tell apart at {shown}" in text


def test_a_folder_of_files_is_each_of_them(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    for name, right in (("a", True), ("b", False)):
        write(tmp_path / f"{name}.jsonl", [{"id": i, "correct": right} for i in range(12)])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress((tmp_path / "b.jsonl").read_bytes()))
    (tmp_path / "b.jsonl").unlink()
    (tmp_path / "README.md").write_text("about")
    code, text, _ = measure(tmp_path)
    assert code == 0 and text.count("pass@1   ") == 2 and "A is better" in text
    assert "is given twice" in measure(tmp_path, tmp_path / "a.jsonl").err
    (tmp_path / "recipe.json").write_text("{}")  # a run that has not come to its samples
    assert "without records" in measure(tmp_path).err


# ---- disagreements -----------------------------------------------------------------------------------------------


def planted(tmp_path: Path) -> Path:
    rows = [
        {"id": "fine", "gold": "3", "response": "so \\boxed{3}", "correct": True},
        {"id": "kind", "gold": "3", "response": "so \\boxed{4}", "correct": True},
        {"id": "kind", "gold": "3", "response": "or \\boxed{4.0}", "correct": True},
        {"id": "strict", "gold": r"\left( 1, 2 \right)", "response": "so \\boxed{(1,2)}", "correct": False},
        {"id": "silent", "gold": "3", "response": "I cannot\nsay", "correct": False},
        {"id": "unknown", "gold": "3", "response": "so \\boxed{3}", "correct": None},
        {"id": "hostile", "gold": "3", "response": "so \\boxed{9**9**9**9}", "correct": False},
    ]
    return write(tmp_path / "planted.jsonl", rows)


def test_planted_disagreements_are_found(tmp_path: Path, verify: VerifierPool) -> None:
    problems = read(planted(tmp_path), verify)
    a = audit(problems)
    assert (a.agree, a.too_kind, a.too_strict, a.unjudged, a.problems) == (2, 2, 1, 2, 2)
    assert [(d.key, d.answer, d.gold, d.label, str(d.verdict), d.samples) for d in a.rows] == [
        ("kind", "4", "3", True, "fail", 2),
        ("strict", "(1,2)", r"\left( 1, 2 \right)", False, "pass", 1),
    ]
    ours = pass_at(by_verdict(problems), 1)
    assert ours.value == pytest.approx(3 / 5)  # fine, strict and unknown pass; kind and hostile fail; silent is not judged


def test_the_command_lists_them_and_writes_json(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    out = tmp_path / "out.json"
    code, text, err = measure(planted(tmp_path), "--k", "1,2", "--json", out)
    assert code == 0, err
    assert "label and gold disagree on 3 in 2 problems: 2 labelled right that fail, 1 labelled wrong that pass" in text
    assert "answer 4  gold 3  label right, we say FAIL, 2 samples" in text
    assert "pass@1       0.400" in text and "1 abstained or without a label" in text  # (1 + 1 + 0 + 0 + 0) / 5
    (r,) = json.loads(out.read_text())["sources"]
    assert r["pass_at"]["1"]["value"] == pytest.approx(0.4) and len(r["audit"]["rows"]) == 2
    assert r["pass_at"]["2"]["n"] == 1 and r["pass_at"]["2"]["low"] == pytest.approx(0.05)
    rows = [{"id": i, "gold": "1", "text": "2", "correct": True} for i in range(12)]
    code, text, _ = measure(write(tmp_path / "many.jsonl", rows))
    assert text.count("we say FAIL") == 10 and "and 2 more; --all lists them" in text
    assert measure(tmp_path / "many.jsonl", "--all")[1].count("we say FAIL") == 12


def test_a_verifier_that_abstains_says_why(
    tmp_path: Path, measure: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.jsonl", [{"id": i, "gold": "1", "text": "1", "correct": True} for i in range(3)])
    kept = VerifierPool.__call__

    def judge(pool: VerifierPool, pairs: list[tuple[Task, str]]) -> list[Verdict]:
        return [Verdict(Outcome.ABSTAIN, "the verifier's process died")] * len(pairs)

    monkeypatch.setattr(VerifierPool, "__call__", judge)
    code, text, _ = measure(file)
    assert code == 0 and "judged again nothing: the verifier abstained on 3: the verifier's process died" in text
    monkeypatch.setattr(VerifierPool, "__call__", kept)
    assert "abstained on" not in measure(file).out
    write(file, [{"id": 1, "text": "1", "correct": True}])
    assert "judged again nothing: that needs a stored gold" in measure(file).out


def test_a_texts_control_signs_do_not_reach_the_terminal(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    rows = [{"id": "a\x1b[2J", "gold": "1", "text": "\x1b[31m\\boxed{2}", "correct": True, "system": "\x1b]0;x"}]
    code, text, _ = measure(write(tmp_path / "a.jsonl", rows), "--by", "system")
    assert code == 0 and "we say FAIL" in text and "\x1b" not in text


def test_files_are_compared_by_pairs(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    a = write(tmp_path / "a.jsonl", [{"id": i, "correct": i % 4 == 0} for i in range(40)])
    b = write(tmp_path / "b.jsonl", [{"id": i, "correct": i % 4 != 3} for i in range(40)])
    c = write(tmp_path / "c.jsonl", [{"id": f"other {i}", "correct": True} for i in range(4)])
    out = tmp_path / "out.json"
    code, text, _ = measure(a, b, c, "--verifier", "none", "--json", out)
    assert code == 0 and "0.500" in text and "B is better at 95%" in text and text.count("paired by problem") == 1
    (pair,) = json.loads(out.read_text())["comparisons"]
    assert pair["difference"]["value"] == pytest.approx(0.5) and pair["difference"]["n"] == 40
    both = write(tmp_path / "both.jsonl", [{"id": i, "correct": i % 2 == 0, "model": m} for i in range(9) for m in "xy"])
    code, text, _ = measure(both, "--verifier", "none")
    assert "--by model measures each" in text and "paired" not in text
    code, text, _ = measure(both, "--by", "model", "--verifier", "none")
    assert "[x]" in text and "[y]" in text and "cannot tell apart" in text


def test_one_of_many_pairs_must_stand_out_more(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    """Six more right of 40, none more wrong: p = 2 / 64, enough for a pair alone and too little among ten."""
    right = [i % 4 == 0 for i in range(40)]
    better = [r or i % 5 == 1 for i, r in enumerate(right)]
    assert sum(better) - sum(right) == 6
    files = [write(tmp_path / "a.jsonl", [{"id": i, "correct": r} for i, r in enumerate(better)])]
    files += [write(tmp_path / f"{name}.jsonl", [{"id": i, "correct": r} for i, r in enumerate(right)]) for name in "bcde"]
    code, text, _ = measure(*files[:2], "--verifier", "none")
    assert code == 0 and "A is better at 95%, sign-flip p = 0.03" in text and "Holm" not in text
    code, text, _ = measure(*files, "--verifier", "none")
    assert "is better" not in text and "after Holm's correction" in text and text.count("cannot tell apart") == 10


# ---- ratchet's own -----------------------------------------------------------------------------------------------


def trace(key: str, sample: int, outcome: str, answer: str | None) -> dict[str, Any]:
    draw = {
        "role": "solver",
        "text": f"answer {answer}",
        "stop": "end",
        "tokens": 4,
        "outcome": outcome,
        "evidence": "",
        "answer": answer,
    }
    return {"key": key, "prompt": key, "gold": 10, "facts": {}, "strategy": "single", "sample": sample, "draws": [draw],
            "judgements": [], "chosen": 0, "outcome": outcome, "evidence": "", "answer": answer,
            "cost": {"sampled_tokens": 4, "prefix_tokens": 1, "draws": 1, "calls": 0, "seconds": 0.0}}  # fmt: skip


def test_traces_and_records_of_a_run(tmp_path: Path, measure: Callable[..., Answer]) -> None:
    rows = [
        trace("a", 0, "pass", "5 + 5"),
        trace("a", 1, "fail", "5"),
        trace("b", 0, "abstain", None),
        trace("b", 1, "pass", "10"),
    ]
    (tmp_path / "traces").mkdir()
    file = tmp_path / "traces" / "heldout-1.jsonl.gz"
    file.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))
    problems = read(file)
    assert [[s.correct for s in p.samples] for p in problems] == [[True, False], [None, True]]
    assert problems[0].samples[0].tokens == 4 and problems[0].samples[0].answer == "5 + 5"
    code, text, _ = measure(tmp_path)  # a folder without records: its traces
    assert code == 0 and "ratchet traces" in text and "pass@1       0.750" in text
    assert "judged again" not in text  # Countdown's gold 10 says nothing about the text "5 + 5"
    (tmp_path / "records").mkdir()
    for name, passes in (("before", 1), ("after", 3)):
        row = {"key": "a", "cluster": "a", "n": 4, "passes": passes, "abstained": 1, "tokens": 50}
        record = {"model": "m", "tasks": "t", "strategy": "s", "rows": [row], "about": {}}
        (tmp_path / "records" / f"{name}.json").write_text(json.dumps(record))
    code, text, _ = measure(tmp_path, "--k", "1,4")
    assert code == 0 and "pass@1       0.750" in text and "pass@4       1.000" in text and "10.0" in text
    assert "answers are not stored" in text and "0.500" in text and "1 abstained" in text
    assert f"are in {tmp_path}/traces/heldout-*.jsonl.gz: measure those files" in text
    for option in (("--field", "correct=passes"), ("--by", "cluster"), ("--filter", "x")):
        for path in (tmp_path, tmp_path / "records" / "after.json", file):
            code, _, err = measure(path, *option)
            assert code == 2 and "is read as ratchet" in err and "this option is only for" in err, err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"passes": 5}, 'row 2: "passes" counts among the 4 judged samples of "n", got 5'),
        ({"n": "4"}, "row 2: \"n\" must be a whole number of at least 0, got '4'"),
        ({"n": True}, 'row 2: "n" must be a whole number'),
        ({"abstained": -1}, 'row 2: "abstained" must be a whole number of at least 0, got -1'),
        ({"tokens": -3}, 'row 2: "tokens" must be a finite number of at least 0, got -3'),
        ({"tokens": float("nan")}, 'row 2: "tokens" must be a finite number of at least 0, got nan'),
        ({"key": ["b"]}, "row 2: key and cluster must be text"),
        ({"key": "a"}, "row 2: its key stands in an earlier row"),
        ({"n": 100_000_000}, "holds 100,000,004 samples; at most 1,000,000 are read"),
        (None, "holds no samples"),
    ],
)
def test_a_wrong_record_is_one_sentence(
    tmp_path: Path, ratchet: Callable[..., Answer], wrong: dict[str, Any] | None, message: str
) -> None:
    good = {"key": "a", "cluster": "a", "n": 4, "passes": 1, "abstained": 0, "tokens": 50}
    rows = [] if wrong is None else [good, {**good, "key": "b", **wrong}]
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"model": "m", "tasks": "t", "strategy": "s", "rows": rows, "about": {}}))
    for args in (("measure", file), ("compare", file, file)):
        code, _, err = ratchet(*args)
        assert code == 2 and f"{file}" in err and message in err and err.count("\n") == 1, err


def test_compare_decides_as_measure_does(tmp_path: Path, ratchet: Callable[..., Answer]) -> None:
    """Five more right of 40, none more wrong: the t interval excludes 0, and the sign-flip test's p is 2 / 32."""
    for name, right in (("a", 10), ("b", 15), ("c", 30)):
        rows = [
            {"key": f"{i:02}", "cluster": f"{i:02}", "n": 1, "passes": int(i < right), "abstained": 0, "tokens": 5}
            for i in range(40)
        ]
        record = {"model": "m", "tasks": "t", "strategy": "s", "rows": rows, "about": {}}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    for other, said in (("b", "cannot tell apart at 95%, sign-flip p = 0.0"), ("c", "B is better at 95%, sign-flip p = 0.0")):
        files = (tmp_path / "a.json", tmp_path / f"{other}.json")
        lines = [
            [line.strip() for line in ratchet(command, *files).out.splitlines() if said in line]
            for command in ("compare", "measure")
        ]
        assert lines[0] == lines[1] != []
    found = json.loads(ratchet("compare", tmp_path / "a.json", tmp_path / "b.json", "--json").out)
    assert found["verdict"] == "cannot tell apart" and found["difference"]["low"] > 0 and found["p"] > 0.05


def test_the_traces_that_a_run_writes(tiny_run: tuple[Path, dict[str, Any]]) -> None:
    folder = tiny_run[0]
    before, after = sorted((folder / "records").glob("*.json"), reverse=True)
    for file in (*sorted((folder / "traces").glob("heldout*.jsonl.gz")), before, after):
        problems = read(file)
        assert problems and 0 <= pass_at(problems, 1).value <= 1
    assert len(sources(folder, Naming())) == 2


# ---- lm-evaluation-harness ---------------------------------------------------------------------------------------


def lm_eval_row(doc: int, name: str, text: str, kept: str, right: float, **more: Any) -> dict[str, Any]:
    question = f"What is {doc}?"
    return {
        "doc_id": doc, "doc": {"question": question, "answer": f"It is.\n#### {doc}"}, "target": f"It is.\n#### {doc}",
        "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {"until": ["\n\n"]}}},
        "resps": [[text]], "filtered_resps": [kept], "filter": name, "metrics": ["exact_match"],
        "doc_hash": f"{doc:064x}"[::-1], "prompt_hash": "0", "target_hash": "0", "exact_match": right, **more,
    }  # fmt: skip


def test_lm_eval_sample_logs(tmp_path: Path, verify: VerifierPool, measure: Callable[..., Answer]) -> None:
    rows = [lm_eval_row(d, f, f"We get\n#### {d}.00", k, r)
            for d in (1, 2) for f, k, r in (("strict-match", "[invalid]", 0.0), ("flexible-extract", f"{d}", 1.0))]  # fmt: skip
    file = write(tmp_path / "samples_gsm8k_2026-01-01T00-00-00.000000.jsonl", rows)
    source = one(file)
    problems = gather(condense(source.parts, verify))
    assert source.kind == "lm-evaluation-harness" and len(problems) == 2 and problems[0].question == "What is 1?"
    assert pass_at(problems, 1).value == 0 and audit(problems).too_strict == 2  # the strict filter missed right answers
    assert source.notes == ['filter "strict-match" is measured; --filter takes flexible-extract too, --by filter each']
    assert pass_at(read(file, filter="flexible-extract"), 1).value == 1
    with pytest.raises(StoreError, match='did you mean "strict-match"'):
        read(file, filter="strict")
    with pytest.raises(RecipeError, match=r"--field text=resps: .* is read as lm-eval.*, and this option is only for JSON Lines"):
        read(file, fields={"text": "resps"})
    asked = {"question": "query"}  # of the evaluation set
    assert len(read(file, fields=asked, against=True)) == 2
    with pytest.raises(StoreError, match=r'line 2: the field of the label, "exact_match", is not there'):
        less = {k: v for k, v in rows[2].items() if k != "exact_match"}
        read(write(tmp_path / "less.jsonl", [rows[0], less]))
    code, text, _ = measure(file, "--by", "filter")
    assert code == 0 and "[strict-match]" in text and "[flexible-extract]" in text and "paired by problem" in text


def test_lm_eval_choices_and_metrics(tmp_path: Path) -> None:
    choice = {"doc_id": 0, "doc": {"query": "q"}, "target": 1, "arguments": [["q", " a"], ["q", " b"]],
              "resps": [[[-1.0, False]], [[-0.5, True]]], "filtered_resps": [[-1.0, False], [-0.5, True]],
              "doc_hash": "ab", "acc": 1.0, "acc_norm": 0.0}  # fmt: skip
    file = write(tmp_path / "samples_arc.jsonl", [choice])  # as 0.4.0 wrote it: without filter and metrics
    source = one(file)
    (p,) = gather(condense(source.parts))
    assert p.gold is None and p.samples[0].correct is True and source.notes == ['metric "acc" is the label (others: acc_norm)']
    assert read(file, fields={"correct": "acc_norm"})[0].samples[0].correct is False
    several = lm_eval_row(1, "none", "", "", 0.0, resps=[["1", "2"]], filtered_resps=[["1", "2"]], exact_match=[1.0, 0.0])
    assert [s.correct for s in read(write(tmp_path / "b.jsonl", [several]))[0].samples] == [True, False]
    one_score = {**several, "exact_match": 1.0}
    source = one(write(tmp_path / "c.jsonl", [one_score]))
    assert len(gather(source.parts)[0].samples) == 1 and "one sample is counted" in source.notes[0]
    del one_score["exact_match"]
    with pytest.raises(StoreError, match="--field correct=METRIC"):
        read(write(tmp_path / "d.jsonl", [{**one_score, "metrics": ["bleu", "rouge"], "bleu": 0.3, "rouge": 0.2}]))


# ---- Inspect -----------------------------------------------------------------------------------------------------


def inspect_sample(name: int, epoch: int, text: str, value: Any, answer: str | None, **more: Any) -> dict[str, Any]:
    scores = {"match": {"value": value, "answer": answer, "explanation": text}} if value is not None else None
    return {
        "id": name, "epoch": epoch, "input": [{"role": "user", "content": f"What is {name}?"}], "target": str(name),
        "messages": [], "scores": scores, "metadata": {}, "uuid": f"{name}-{epoch}",
        "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}],
                   "usage": {"input_tokens": 9, "output_tokens": 6, "total_tokens": 15}}, **more,
    }  # fmt: skip


INSPECT = [
    inspect_sample(1, 1, "ANSWER: 1", "C", "1"),
    inspect_sample(1, 2, "ANSWER: 2", "I", "2"),
    inspect_sample(2, 1, "no idea", "N", None),
    inspect_sample(2, 2, "", None, None, error={"message": "stopped"}),
]


def inspect_files(folder: Path, samples: list[dict[str, Any]], status: str = "success") -> list[Path]:
    head = {"version": 2, "status": status, "eval": {"task": "t", "model": "m"}, "plan": {}, "results": {}, "stats": {}}
    text = folder / "log.json"
    text.write_text(json.dumps({**head, "samples": samples, "reductions": []}, indent=2))
    packed = folder / "log.eval"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("_journal/start.json", json.dumps(head))
        for s in samples:
            z.writestr(f"samples/{s['id']}_epoch_{s['epoch']}.json", json.dumps(s))
        z.writestr("summaries.json", "[]")
        z.writestr("header.json", json.dumps(head))
    return [text, packed]


def test_inspect_logs(tmp_path: Path, verify: VerifierPool, measure: Callable[..., Answer]) -> None:
    for file in inspect_files(tmp_path, INSPECT):
        problems = read(file, verify)
        assert [(p.key, p.gold, p.question) for p in problems] == [("1", "1", "What is 1?"), ("2", "2", "What is 2?")]
        assert [[s.correct for s in p.samples] for p in problems] == [[True, False], [False, None]]
        assert [s.answer for s in problems[0].samples] == ["1", "2"] and problems[0].samples[0].tokens == 6
        assert pass_at(problems, 1).value == pytest.approx(0.25) and audit(problems).too_kind == 0
        code, text, _ = measure(file, "--k", "1,2")
        assert code == 0 and "Inspect log" in text and "majority@2   0.500" in text


def test_inspect_scorers_values_and_parts(tmp_path: Path) -> None:
    both = inspect_sample(1, 1, "1", "I", "1")
    both["scores"]["judge"] = {"value": 1.0}
    both["output"]["choices"][0]["message"]["content"] = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "so 1"},
    ]
    for file in inspect_files(tmp_path, [both], status="cancelled"):
        source = one(file)
        (part,) = source.parts
        assert part.samples[0].correct is False and part.samples[0].text == "so 1"
        assert 'scorer "match" is the label (others: judge)' in source.notes
        assert any("incomplete" in n for n in source.notes)
        assert read(file, fields={"correct": "judge"})[0].samples[0].correct is True
        with pytest.raises(StoreError, match='did you mean "judge"'):
            read(file, fields={"correct": "judg"})
    far = inspect_sample(1, 1, "attachment://ab", "P", None, attachments={"ab": "a long text"})
    (part,) = one(inspect_files(tmp_path, [far])[0]).parts
    assert part.samples[0].text == "a long text" and part.samples[0].correct is False and part.samples[0].score == 0.5
    for wrong in (
        inspect_sample(1, 1, "1", 0.3, None),
        inspect_sample(1, 1, "1", {"a": 1}, None),
        {"id": 1, "epoch": 1, "output": "x"},
    ):
        for file in inspect_files(tmp_path, [wrong]):
            with pytest.raises(StoreError):
                read(file)
    for file in inspect_files(tmp_path, []):
        with pytest.raises(StoreError, match="holds no samples"):
            read(file)
    none = tmp_path / "none.json"
    none.write_text('{"status": "error", "eval": {}, "samples": null}')
    with pytest.raises(StoreError, match="holds no samples"):
        read(none)


def test_an_inspect_log_says_what_is_missing(tmp_path: Path) -> None:
    other = inspect_sample(1, 2, "2", "C", "2")
    other["scores"] = {"judge": other["scores"]["match"]}
    for file in inspect_files(tmp_path, [INSPECT[0], other, INSPECT[3]]):
        source = one(file)
        assert [s.correct for p in source.parts for s in p.samples] == [True, None, None]
        assert source.notes == ['scorer "match" is the label (others: judge); 1 samples have no score by it and so no label']
        judged = one(file, fields={"correct": "judge"})  # which the first sample has not
        assert [s.correct for p in judged.parts for s in p.samples] == [None, True, None]
    with zipfile.ZipFile(tmp_path / "cut.eval", "w") as z:
        z.writestr("samples/1_epoch_1.json", json.dumps(INSPECT[0]))
    source = one(tmp_path / "cut.eval")
    assert len(list(source.parts)) == 1 and "did not come to its end" in source.notes[0]


def test_a_large_object_is_read_member_by_member(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{ "a" : [1, 2], "samples":[ {"x": 1} , {"x": 2}],"b":null }')
    assert list(members(file, "samples")) == [("a", [1, 2]), ("samples", {"x": 1}), ("samples", {"x": 2}), ("b", None)]
    for text in ("{}", '{"samples": []}'):
        file.write_text(text)
        assert list(members(file, "samples")) == []
    for text in ("", "[]", '{"a"}', '{"samples": [1', '{"a": 1', '{"samples": null'):
        file.write_text(text)
        with pytest.raises(StoreError, match="is not a JSON object"):
            list(members(file, "samples"))


# ---- the shared pools --------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
def test_the_shared_pools_are_read_as_they_are(measure: Callable[..., Answer]) -> None:
    code, text, err = measure(SHARED / "verify_bon_pools" / "math500_even.jsonl.gz")
    assert code == 0, err
    assert "samples      2,000, 8 with a label" in text and "majority@8" in text and "pass@8" in text
    assert "answer 14/3  gold \\frac{14}{3}  label wrong, we say PASS, 8 samples" in text  # a known fault of its labels
    pool, openai = (SHARED / "verify_bon_pools" / "gsm8k.jsonl.gz", SHARED / "verify_gsm8k_openai" / "solutions.jsonl.gz")
    code, text, err = measure(pool, openai)
    assert code == 0, err
    assert "no problem has that many labelled samples (the most is 4)" in text and "A is better" in text
    code, text, err = measure(openai, "--by", "system", "--k", "1")
    assert code == 0 and text.count("pass@1   ") == 4 and "[175b_verification]" in text
