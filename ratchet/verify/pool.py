"""A deadline around every verifier: it judges in a worker process that is killed when it is late.

No signals and no threads, so it works from any thread. A late, crashed or raising verifier gives ABSTAIN with the
reason; the worker is then replaced and the rest of the batch goes on.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.verifier import abstained, find

AHEAD = 32  # items written before their answers are read: enough to keep the worker busy, too few to fill a pipe
STARTUP_SECONDS = 60.0


class VerifierPool:
    """Judges (task, text) pairs within `deadline` seconds each. Close it, or use it in a `with`."""

    def __init__(self, deadline: float = 2.0) -> None:
        self.deadline = deadline
        self.worker: subprocess.Popen[bytes] | None = None
        self.buffer = b""

    def __enter__(self) -> VerifierPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.wait()
            for pipe in (self.worker.stdin, self.worker.stdout):
                if pipe:
                    pipe.close()
        self.worker, self.buffer = None, b""

    def __call__(self, pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """One verdict per pair, in order. Raises VerifierError for a verifier that does not exist."""
        for name in {task.verifier for task, _ in pairs}:
            find(name)
        verdicts: list[Verdict] = []
        while len(verdicts) < len(pairs):
            verdicts += self._batch(pairs[len(verdicts) : len(verdicts) + AHEAD])
        return verdicts

    def _batch(self, pairs: Sequence[tuple[Task, str]]) -> Iterable[Verdict]:
        """Verdicts of the first pairs: all of them, or up to and with the first that is late or kills the worker."""
        fresh = self.worker is None
        worker = self._start()
        assert worker.stdin is not None
        lines = [json.dumps({"task": plain(task), "text": text}) + "\n" for task, text in pairs]
        verdicts: list[Verdict] = []
        try:
            for sent, line in enumerate(lines):
                worker.stdin.write(line.encode())
                # a long text could fill both pipes at once; then read an answer before writing more
                if sum(map(len, lines[len(verdicts) : sent + 1])) > 32_000:
                    while len(verdicts) <= sent:
                        verdicts.append(self._read(STARTUP_SECONDS if fresh and not verdicts else self.deadline))
            while len(verdicts) < len(lines):
                verdicts.append(self._read(STARTUP_SECONDS if fresh and not verdicts else self.deadline))
        except TimeoutError:
            self.close()
            verdicts.append(abstained(f"the verifier took longer than {self.deadline:g} s"))
        except (BrokenPipeError, EOFError):
            self.close()
            verdicts.append(abstained("the verifier's process died"))
        return verdicts

    def _start(self) -> subprocess.Popen[bytes]:
        if self.worker is None:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "ratchet.verify.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for us
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
        return self.worker

    def _read(self, seconds: float) -> Verdict:
        assert self.worker is not None and self.worker.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.worker.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            chunk = os.read(self.worker.stdout.fileno(), 65536)
            if not chunk:
                raise EOFError
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        reply = json.loads(line)
        return Verdict(Outcome(reply["outcome"]), reply["evidence"], reply["answer"], reply["score"], reply["seconds"])


def plain(task: Task) -> dict[str, Any]:
    """A task as JSON for the worker. Identity and cluster play no part in judging."""
    return asdict(task) | {"identity": "", "cluster": ""}
