"""A judge behind an OpenAI-compatible endpoint, served from this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, Server, completion

from ratchet.core.errors import EngineError
from ratchet.measure.behaviours import MEANING
from ratchet.models import endpoint
from ratchet.models.endpoint import Endpoint


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that an endpoint would have waited; it does not."""
    slept: list[float] = []
    monkeypatch.setattr(endpoint, "sleep", slept.append)
    return slept


def test_one_prompt_one_reply(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.say = lambda body: completion(body["messages"][0]["content"].upper())
    monkeypatch.setenv("MY_KEY", "secret")
    ask = Endpoint(server.url, "m", "MY_KEY", max_tokens=7)
    assert [ask("a"), ask("b")] == ["A", "B"] and (ask.calls, ask.tokens) == (2, 60)
    assert server.keys == ["Bearer secret"] * 2
    assert server.asked[0] == {"messages": [{"role": "user", "content": "a"}], "model": "m", "temperature": 0.0, "max_tokens": 7,
                               "path": "/v1/chat/completions"}  # fmt: skip


def test_a_refusal_is_one_sentence(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    ask = Endpoint(server.url, "m", "NO_KEY")
    for answer, message in (
        ((401, "{}"), "asks for a key; the variable NO_KEY is not set"),
        ((404, '{"error": {"message": "no such\\nmodel"}}'), 'refused a request to the model "m": .*no such'),
        ((200, "<html>"), "URL right"),
        ((200, "{}"), "URL right"),
    ):
        server.say = lambda body, answer=answer: answer
        with pytest.raises(EngineError, match=message) as e:
            ask("a")
        assert "\n" not in str(e.value)
    server.shutdown()
    server.server_close()
    with pytest.raises(EngineError, match="cannot be reached"):
        ask("a")
    with pytest.raises(EngineError, match="begins with http"):
        Endpoint("localhost:8000", "m")


TROUBLE = {  # what a server may do to a request, and what is said of it when it does so each time
    "429": (
        (429, '{"error": {"message": "slow down"}}'),
        "too many requests .*429.*slow down.*fewer at once, or later; asked 3 times",
    ),
    "500": ((500, "oops"), "failed .*500.*log; asked 3 times"),
    "503": ((503, "{}"), "failed .*503"),
    "half a body": ((200, completion("whole")[1][:-30]), "broke off its reply .it begins.*; asked 3 times"),
    "half a body, told its length": ((200, '{"id"', ("Content-Length", "400")), "broke off its reply.*overloaded.*asked 3 times"),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_what_may_pass_is_asked_again(server: Server, waits: list[float], kind: str) -> None:
    answer, message = TROUBLE[kind]
    ask = Endpoint(server.url, "m", retries=2)
    server.say = lambda body: answer if len(server.asked) < 3 else completion("there")
    assert ask("a") == "there" and (ask.calls, ask.retried, ask.refused) == (1, 2, 0) and len(server.asked) == 3
    assert ask.waited == sum(waits) and 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0
    assert "2 requests made again" in ask.trouble()
    # bounded: what never passes is one sentence, and the next call is as good as the first
    server.say = lambda body: answer
    with pytest.raises(EngineError, match=message) as e:
        ask("b")
    assert "\n" not in str(e.value) and len(server.asked) == 6 and (ask.refused, ask.refusal) == (1, str(e.value))
    server.say = lambda body: completion("again")
    assert ask("b") == "again"


def test_an_endpoint_that_is_late(server: Server, waits: list[float]) -> None:
    late = threading.Event()

    def say(body: dict[str, Any]) -> tuple[int, str]:
        late.wait(10)
        return completion("late")

    server.say = say
    ask = Endpoint(server.url, "m", timeout=0.1, retries=1)
    with pytest.raises(EngineError, match=r"did not answer within 0.1 s; is it busy\?; asked 2 times"):
        ask("a")
    late.set()


def test_a_server_says_how_long_to_wait(server: Server, waits: list[float]) -> None:
    ask = Endpoint(server.url, "m")
    soon = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    for said, least, most in (("7", 7, 7.5), (soon, 28, 31), ("in a while", 0.25, 0.5), ("-3", 0.25, 0.5)):
        asked = len(server.asked)
        answer = 429, "{}", ("Retry-After", said)
        server.say = lambda body, asked=asked, answer=answer: answer if len(server.asked) == asked + 1 else completion("x")
        assert ask("a") == "x" and least <= waits[-1] <= most
    server.say = lambda body: (429, "{}", ("Retry-After", "3600"))
    with pytest.raises(EngineError, match="it asks to wait 3600 s, and 60 s is the most: ask again later"):
        ask("a")
    assert len(waits) == 4
    server.say = lambda body: (429, '{"error": {"message": "no money", "code": "insufficient_quota"}}')
    with pytest.raises(EngineError, match="no money"):  # asking again does not pay the bill
        ask("a")
    assert len(waits) == 4


def test_threads_share_the_counts(server: Server, waits: list[float]) -> None:
    # every third request is refused for now, and one prompt always
    server.say = lambda body: (
        (400, '{"error": {"message": "too long"}}') if body["messages"][0]["content"] == "7"
        else (503, "{}") if len(server.asked) % 3 == 0 else completion(body["messages"][0]["content"])
    )  # fmt: skip
    ask = Endpoint(server.url, "m", retries=20)

    def reply(prompt: str) -> str:
        try:
            return ask(prompt)
        except EngineError as e:
            return str(e)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(reply, map(str, range(40))))
    assert [r for i, r in enumerate(replies) if i != 7] == [str(i) for i in range(40) if i != 7] and "too long" in replies[7]
    assert (ask.calls, ask.tokens, ask.refused) == (39, 39 * 30, 1)
    assert ask.retried == len(server.asked) - 40 == len(waits) > 0


def test_measure_asks_a_judge(server: Server, ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    def judge(body: dict[str, Any]) -> tuple[int, str]:
        text = body["messages"][0]["content"].partition("----- text -----")[2]
        return completion(json.dumps(dict.fromkeys(MEANING, False) | {"verification": "sure" in text}))

    server.say = judge
    rows = [{"problem": f"p{i}", "text": "I am sure." if i % 4 else "Let me check.", "correct": True} for i in range(40)]
    file, out = tmp_path / "s.jsonl", tmp_path / "out.json"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("measure", file, "--k", "1", "--judge", server.url, "--json", out)
    answer = ratchet(*asked, "--judge-model", "m")
    assert answer.code == 0, answer.err
    assert f"{file.name}, 40 texts judged by m (1,200 tokens)" in answer.out.replace(str(tmp_path) + "/", "")
    assert "verification      0.750 [" in answer.out and "F1 of the rules against the judge 0.000" in answer.out
    [source] = json.loads(out.read_text())["sources"]
    assert source["judged"]["shares"]["verification"]["value"] == 0.75 and source["judged"]["texts"] == 40
    few = ratchet(*asked, "--judge-model", "m", "--judge-texts", "5")
    assert "5 texts judged" in few.out and len(server.asked) == 45
    # a request that is refused is no reply that cannot be read
    seen = len(server.asked)
    server.say = lambda body: (404, '{"error": {"message": "busy"}}') if len(server.asked) > seen + 1 else judge(body)
    partly = ratchet(*asked, "--judge-model", "m", "--judge-texts", "5")
    assert partly.code == 0 and "1 texts judged by m; 4 more that the endpoint did not answer (the endpoint" in partly.out
    assert "; the first of these is text 1 of problem " in partly.out
    assert "busy" in partly.out and "readable" not in partly.out and json.loads(out.read_text())["sources"][0]["refused"] == 4
    # what was measured is kept where the judge cannot be asked
    server.say = lambda body: (404, "{}")
    out.unlink()
    failed = ratchet(*asked, "--judge-model", "m")
    assert failed.code == 2 and "pass@1" in failed.out and "refused" in failed.err and out.exists()
    alone = ratchet(*asked)
    assert alone.code == 2 and "go together" in alone.err
