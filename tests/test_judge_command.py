"""`ratchet verify judge` with scripted models: at an endpoint served here, of our own, and by a verifier's name."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Answer, Server, completion
from test_judge import LASTS, fences

from ratchet.core.errors import StoreError
from ratchet.core.types import Completion, Outcome, Task
from ratchet.measure.agreement import cohen_kappa, kappa
from ratchet.models import endpoint
from ratchet.models.asking import LocalAsk
from ratchet.verify.judge import Judge
from ratchet.verify.judge_pool import JudgePool, verdicts_in
from ratchet.verify.pool import VerifierPool


def honest(prompt: str) -> str:
    """A judge that compares the last number with the reference."""
    _, gold, text = fences(prompt)
    right = (re.findall(r"\d+", text) or [""])[-1] == gold
    return LASTS.findall(prompt)[0 if right else 1]


def replying(judge: Callable[[str], str]) -> Callable[[dict[str, Any]], tuple[int, str]]:
    return lambda body: completion(judge(body["messages"][0]["content"]))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """40 samples of 20 problems, half of them right; the label of one is wrong."""
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"How much is {i} plus {i}?", "gold_answer": str(2 * i), "response": f"I get {2 * i + k}.",
             "is_correct": (k == 0) ^ (i == 7 and k == 1)} for i in range(20, 40) for k in (0, 1)]  # fmt: skip
    rows[0]["is_correct"] = False
    file = tmp_path / "s.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_judging_a_file(server: Server, ratchet: Callable[..., Answer], data: Path) -> None:
    server.say = replying(honest)
    asked = ("verify", "judge", "--data", data, "--endpoint", server.url, "--model", "m")
    first = ratchet(*asked, "--json", "sum.json")
    assert first.code == 0, first.err
    assert "m as a judge (with the reference)" in first.out and "20 problems, 40 samples" in first.out
    assert (
        "Cohen kappa    0.950 [" in first.out and "false accepts  0.048 [" in first.out and "false rejects  0.000 [" in first.out
    )
    assert "40 replies, 1,200 tokens" in first.out and "40 verdicts asked for, 0 known" in first.out
    assert json.loads(Path("sum.json").read_text())["kappa"]["value"] == pytest.approx(0.95)
    # a second run asks nothing; another judge's verdicts are not taken for this one's
    again = ratchet(*asked)
    assert "0 verdicts asked for, 40 known" in again.out and "Cohen kappa    0.950 [" in again.out and len(server.asked) == 40
    assert "with the reference, 3 votes" in ratchet(*asked, "--votes", "3", "--n", "4").out and len(server.asked) == 40 + 12
    assert server.asked[-1]["temperature"] == 0.7 and "seed" in server.asked[-1]
    rubric = data.parent / "r.json"
    rubric.write_text('[{"asks": "Is it short?", "weight": 2}, {"asks": "Is it kind?"}]')
    server.say = replying(lambda prompt: LASTS.findall(prompt)[0])
    assert "a rubric of 2, 1 is enough: 2 x Is it short?; 1 x Is it kind?" in ratchet(*asked, "--rubric", rubric, "--n", "4").out
    rubric.write_text("[1]")
    assert "is no rubric" in ratchet(*asked, "--rubric", rubric).err


def test_what_was_judged_is_kept(
    server: Server, ratchet: Callable[..., Answer], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "sleep", lambda seconds: None)
    asked = ("verify", "judge", "--data", data, "--endpoint", server.url, "--model", "m", "--at-once", "1", "--out", "v.jsonl")
    # one request is refused for good, and the rest goes on
    server.say = lambda body: (
        (400, '{"error": {"message": "too long"}}') if "How much is 24" in str(body) else replying(honest)(body)
    )
    partly = ratchet(*asked)
    assert partly.code == 2 and "2 texts have no verdict, the first is sample 1 of the problem at" in partly.err
    assert "line 9: the endpoint" in partly.err and "too long" in partly.err and "same command again" in partly.err
    assert "false accepts  0.048" in partly.out or "false accepts" in partly.out
    assert len(verdicts_in(Path("v.jsonl"))) == 38
    # then it goes on with those, though a kill left half a line
    with Path("v.jsonl").open("a") as f:
        f.write('{"key": "ab')
    server.say = replying(honest)
    before = len(server.asked)
    whole = ratchet(*asked)
    assert whole.code == 0 and len(server.asked) == before + 2 and "2 verdicts asked for, 38 known" in whole.out
    # an endpoint that goes away is not asked forty times
    before = len(server.asked)
    server.say = lambda body: (503, "{}") if len(server.asked) > before + 3 else replying(honest)(body)
    away = ratchet(*asked[:-1], "w.jsonl")
    assert away.code == 2 and "37 texts have no verdict" in away.err and len(server.asked) == before + 3 + 5 * 5
    assert len(verdicts_in(Path("w.jsonl"))) == 3 and "20 requests made again" in away.out
    Path("v.jsonl").write_text("{}\n")
    assert "line 1: this is no verdict" in ratchet(*asked).err


def test_attacking_a_judge(server: Server, ratchet: Callable[..., Answer], data: Path) -> None:
    asked = ("verify", "judge", "--data", data, "--endpoint", server.url, "--model", "m", "--attack", "--golds", "2")
    server.say = replying(lambda prompt: LASTS.findall(prompt)[0])
    fooled = ratchet(*asked)
    assert fooled.code == 1 and "attack: instructions" in fooled.out
    rows = {line.split("  ")[1]: line for line in fooled.out.splitlines() if line.startswith("  attack: ")}
    assert "2 of 2 passed" in rows["attack: instructions"], "a judge that passes anything is fooled by what says something"
    assert "0 of 2 passed" in rows["attack: opener: thought process"] and "0 of 2 passed" in rows["attack: the question again"]
    careful = ratchet(*asked, "--canary")
    assert careful.code == 0 and "2 of 2 passed" not in careful.out and "2 abstained" in careful.out


def test_bad_input_is_one_sentence(ratchet: Callable[..., Answer], data: Path) -> None:
    asked = ("verify", "judge", "--model", "m", "--endpoint", "http://127.0.0.1:9")
    bare = data.parent / "bare.jsonl"
    bare.write_text('{"id": 1, "correct": true, "text": "a"}\n')
    for more, message in (
        (("--data", "none.jsonl"), "does not exist"), (("--data", bare), "a judge needs the questions"),
        (("--data", data, "--rubric", data, "--votes", "3"), "goes without"), (("--data", data, "--out", "no/v.jsonl"), "make it first"),
        (("--data", data), "cannot be reached"),
    ):  # fmt: skip
        answer = ratchet(*asked, *more)
        assert answer.code == 2 and message in answer.err and "Traceback" not in answer.err, answer.err


class ScriptedEngine:
    """An engine whose samples are a function's replies."""

    def sample(self, draws: Any, seeds: Any, done: Any = None) -> list[list[Completion]]:
        assert [len(own) for own in seeds] == [d.n for d in draws]
        return [[Completion((1,), (1, 2), honest(d.prefix), (0.0, 0.0), "end", role=d.role)] for d in draws]


def test_a_local_model_as_a_judge(ratchet: Callable[..., Answer], data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = LocalAsk(ScriptedEngine())  # type: ignore[arg-type]
    task = Task("sums", "How much is 3 plus 3?", "6", "math")
    assert Judge(ask)(task, "I get 6.").passed and Judge(ask)(task, "I get 7.").outcome is Outcome.FAIL
    assert (ask.calls, ask.tokens) == (2, 4)
    monkeypatch.setattr("ratchet.models.load.load_policy", lambda *_: ScriptedEngine())
    answer = ratchet("verify", "judge", "--data", data, "--model", "builtin")
    assert answer.code == 0 and "40 replies, 80 tokens" in answer.out and "Cohen kappa    0.950" in answer.out


def test_a_judge_is_a_verifier_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module:name` is how a run, an audit or a task file names a judge; it works in the worker of the pool."""
    (tmp_path / "my_judges.py").write_text(
        "from ratchet.verify.judge import Judge\nimport re\n"
        "def ask(prompt):\n    return re.findall('^VERDICT.*: CORRECT$', prompt, re.M)[0]\n"
        "judge = Judge(ask)\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    task = Task("sums", "How much is 3 plus 3?", "6", "my_judges:judge")
    with VerifierPool(deadline=20) as pool:
        one, two = pool([(task, "I get 6."), (task, "Solution:")])
    assert one.passed and one.score == 1 and two.outcome is Outcome.FAIL


def test_a_full_disk_is_said() -> None:
    pool = JudgePool(Judge(honest).grade, "m")
    pool.path = Path("/dev/full")
    with pytest.raises(StoreError, match="cannot write to /dev/full"):
        pool([(Task("sums", "How much is 3 plus 3?", "6", "judge"), "I get 6.")])


def test_kappa() -> None:
    assert cohen_kappa(np.array([20, 5, 10, 15])) == pytest.approx(0.4)  # the textbook's example
    assert cohen_kappa(np.array([5, 0, 0, 0])) is None and cohen_kappa(np.array([5, 0, 0, 5])) == 1
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    e = kappa(pairs)
    # Fleiss, Cohen and Everitt 1969 give a standard error of 0.127 for this table
    assert e is not None and e.n == 50 and e.high - e.value == pytest.approx(2.01 * 0.127, abs=0.01)
    doubled = kappa(pairs * 2, list(range(50)) * 2)
    assert doubled is not None and (doubled.low, doubled.n) == (pytest.approx(e.low), 50), "a copy tells nothing new"
    perfect = kappa([(True, True), (False, False)] * 5)
    assert perfect is not None and perfect.value == 1 and perfect.low < 0.9
