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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ratchet.core.errors import VerifierError
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.verifier import abstained, find

AHEAD = 32_000  # characters written before their answers are read: enough to keep the worker busy, too few to fill a pipe
STARTUP_SECONDS = 60.0


@dataclass
class Timing:
    """What one verifier's verdicts took: how many, their seconds, and the slowest of them with its task's key."""

    count: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    task: str = ""

    def add(self, other: Timing) -> None:
        self.count += other.count
        self.seconds += other.seconds
        if other.slowest > self.slowest:
            self.slowest, self.task = other.slowest, other.task


def timings(pairs: Sequence[tuple[Task, str]], verdicts: Sequence[Verdict]) -> dict[str, Timing]:
    """One row per verifier, however many verdicts: the times are those that the worker took for each."""
    found: dict[str, Timing] = {}
    for (task, _), verdict in zip(pairs, verdicts, strict=True):
        found.setdefault(task.verifier, Timing()).add(Timing(1, verdict.seconds, verdict.seconds, task.key))
    return found


class VerifierPool:
    """Judges (task, text) pairs within `deadline` seconds each. Close it, or use it in a `with`."""

    def __init__(self, deadline: float = 2.0) -> None:
        self.deadline = deadline
        self.worker: subprocess.Popen[bytes] | None = None
        self.buffer = b""
        self.asked = 0.0

    def __enter__(self) -> VerifierPool:
        # a worker ends with the thread that started it: this one outlives those that verify beside the sampling
        self._start()
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
        # the samples of a task share its part of the line
        tasks = {id(task): json.dumps(plain(task), default=str) for task in {id(t): t for t, _ in pairs}.values()}
        lines = [f'{{"task": {tasks[id(task)]}, "text": {json.dumps(text)}}}\n' for task, text in pairs]
        verdicts: list[Verdict] = []
        while len(verdicts) < len(pairs):
            verdicts += self._batch(lines[len(verdicts) :])
        return verdicts

    def _batch(self, lines: Sequence[str]) -> list[Verdict]:
        """Verdicts of the first lines: all of them, or up to and with the first that is late or kills the worker."""
        verdicts: list[Verdict] = []
        ahead = 0
        try:
            pipe = self._start().stdin
            assert pipe is not None
            for sent, line in enumerate(lines):
                # answers are read before more is written than a pipe holds: neither side may wait for the other
                while len(verdicts) < sent and ahead + len(line) > AHEAD:
                    ahead -= len(lines[len(verdicts)])
                    verdicts.append(self._verdict())
                try:
                    pipe.write(line.encode())
                except BrokenPipeError:
                    break  # what it answered before it died is still to be read
                ahead += len(line)
            while len(verdicts) < len(lines):
                verdicts.append(self._verdict())
        except TimeoutError:
            verdicts.append(self._unanswered(f"the verifier took longer than {self.deadline:g} s"))
            self.close()
        except (EOFError, ValueError, KeyError):
            verdicts.append(self._unanswered("the verifier's process died"))
            self.close()
        return verdicts

    def _start(self) -> subprocess.Popen[bytes]:
        """The worker, ready to judge. Raises VerifierError where it does not start."""
        if self.worker is not None and self.worker.poll() is not None:
            self.close()  # it ended between two batches, with the thread that had started it: no text is to blame
        if self.worker is None:
            self.worker = subprocess.Popen(
                # -P: the user's folder may hold a file named as a module of Python's own is; so it comes last, for verifiers in it
                [sys.executable, "-P", "-m", "ratchet.verify.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for us
                env={**os.environ, "PYTHONPATH": os.pathsep.join([*(p for p in sys.path if p), os.curdir])},
            )
            try:
                self._line(STARTUP_SECONDS)
            except (TimeoutError, EOFError) as e:
                self.close()
                raise VerifierError("the verifier's worker process does not start; `ratchet doctor` says more") from e
        return self.worker

    def _unanswered(self, reason: str) -> Verdict:
        """The worker will not say how long this one took; the wait for it does."""
        return replace(abstained(reason), seconds=time.monotonic() - self.asked)

    def _verdict(self) -> Verdict:
        self.asked = time.monotonic()
        reply = json.loads(self._line(self.deadline))
        return Verdict(Outcome(reply["outcome"]), reply["evidence"], reply["answer"], reply["score"], reply["seconds"])

    def _line(self, seconds: float) -> bytes:
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
        return line


def plain(task: Task) -> dict[str, Any]:
    """A task as JSON for the worker. Identity and cluster play no part in judging."""
    return asdict(task) | {"identity": "", "cluster": ""}
