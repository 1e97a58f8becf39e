"""A judge behind an OpenAI-compatible endpoint, served from this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer

from ratchet.core.errors import EngineError
from ratchet.measure.behaviours import MEANING
from ratchet.models.endpoint import Endpoint


class Server(ThreadingHTTPServer):
    """Answers with what `say` makes of a request's body: a status and a body. Keeps the requests."""

    say: Callable[[dict[str, Any]], tuple[int, str]]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body | {"path": self.path})
        self.server.keys.append(self.headers["Authorization"])
        status, said = self.server.say(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: Any) -> None:
        pass


def completion(text: str, tokens: int = 30) -> tuple[int, str]:
    message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": tokens - 10, "completion_tokens": 10, "total_tokens": tokens}
    about = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
    return 200, json.dumps(about | {"choices": [message], "usage": usage})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield s
        s.shutdown()


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
    assert "busy" in partly.out and "readable" not in partly.out and json.loads(out.read_text())["sources"][0]["refused"] == 4
    # what was measured is kept where the judge cannot be asked
    server.say = lambda body: (404, "{}")
    out.unlink()
    failed = ratchet(*asked, "--judge-model", "m")
    assert failed.code == 2 and "pass@1" in failed.out and "refused" in failed.err and out.exists()
    alone = ratchet(*asked)
    assert alone.code == 2 and "go together" in alone.err
