"""Fixtures: a tiny model, a tiny run, a shared verifier process. Tests use one thread, as the runs they start do."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from ratchet.cli.main import main
from ratchet.models import llama
from ratchet.models.engine import LocalEngine
from ratchet.models.tokens import WordTokenizer, reasoning_words
from ratchet.verify.pool import VerifierPool

torch.set_num_threads(1)

TINY = (
    "threads=1", "new.width=32", "new.layers=1", "new.hidden=64", "gate.tasks=30", "gate.samples=2", "measure.tasks=40",
    "measure.samples=2", "measure.curve_tasks=10", "measure.curve_samples=8",
)  # fmt: skip
IMITATION = ("imitation.turns=2", "imitation.updates=4", "imitation.examples=16")
REINFORCEMENT = ("reinforcement.turns=2", "reinforcement.updates=2", "reinforcement.tasks=4", "reinforcement.samples=4")


def heed_interrupts() -> None:
    """For a process that a test starts and interrupts: a shell's background jobs, and all they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Answer(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


class Server(ThreadingHTTPServer):
    """Answers with what `say` makes of a request's body: a status, a body, and more headers. Keeps the requests."""

    say: Callable[[dict[str, Any]], tuple[Any, ...]]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait is no error of the server's."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body | {"path": self.path})
        self.server.keys.append(self.headers["Authorization"])
        status, said, *headers = self.server.say(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in headers:
            self.send_header(name, value)
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


@pytest.fixture
def ratchet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Call the command line in this process, where torch is loaded already: exit code, output, errors."""

    def call(*args: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["ratchet", *map(str, args)])
        handler = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as end:
            main()
        signal.signal(signal.SIGTERM, handler)
        out, err = capsys.readouterr()
        return Answer(int(end.value.code or 0), out, err)

    return call


@pytest.fixture
def tiny_engine() -> LocalEngine:
    """Our model with random weights that are large enough for its logits to differ."""
    tokenizer = WordTokenizer(reasoning_words())
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, max_tokens=128
    )
    model = llama.Llama(shape)
    generator = torch.Generator().manual_seed(1)
    for p in model.parameters():
        if p.dim() == 2:
            torch.nn.init.normal_(p, 0.0, 0.2, generator=generator)
    return LocalEngine(model, tokenizer, max_tokens=24, batch=16)


@pytest.fixture(scope="session")
def verify() -> Iterator[VerifierPool]:
    with VerifierPool(deadline=5.0) as pool:
        yield pool


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run of both phases, in a few seconds."""
    from ratchet.loop.recipe import resolve
    from ratchet.loop.run import begin

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    recipe = resolve("countdown-prime", [*TINY, *IMITATION, *REINFORCEMENT])
    return folder, begin(recipe, folder, lambda event: None)
