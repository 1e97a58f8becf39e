"""A deadline around every verifier: it judges in a worker process that is killed when it is late.

No signals and no threads, so it works from any thread, from asyncio (`asyncio.to_thread(pool, pairs)`) and in a Ray actor. A
late, crashed or raising verifier gives ABSTAIN with the reason; the rest of the batch goes on in another worker, which was
started when the first became slow, so that it costs no start.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from ratchet.core.errors import VerifierError
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.verifier import abstained, find

AHEAD = 32_000  # characters written before their answers are read: enough to keep the worker busy, too few to fill a pipe
STARTUP_SECONDS = 60.0
SLOW = 0.2  # of its deadline: an answer that takes so long may become a late one


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


class Worker(subprocess.Popen[bytes]):
    """A worker process and what it has said so far. It starts, and loads verifiers, while we do other things."""

    def __init__(self) -> None:
        super().__init__(
            # -P: the user's folder may hold a file named as a module of Python's own is; so it comes last, for verifiers in it
            [sys.executable, "-P", "-m", "ratchet.verify.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for us, and what a verifier starts ends with it
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*(p for p in sys.path if p), os.curdir])},
        )
        self.buffer = b""
        self.ready = False
        self.names = set[str]()  # of the verifiers that it was told to load
        self.loading = 0  # how many of them it has not confirmed yet

    def load(self, names: Iterable[str]) -> None:
        """Ask for verifiers; `wait` hears that they are there."""
        for name in sorted(set(names) - self.names):
            with suppress(BrokenPipeError):  # it ended; who waits for it hears so
                self.send(json.dumps({"load": name}) + "\n")
            self.names.add(name)
            self.loading += 1

    def wait_until_ready(self) -> None:
        """Raises VerifierError where the worker does not start or a verifier cannot be loaded."""
        try:
            if not self.ready:
                self.line(STARTUP_SECONDS)
                self.ready = True
            while self.loading:
                reply = json.loads(self.line(STARTUP_SECONDS))
                self.loading -= 1
                if "error" in reply:
                    self.names.discard(reply["loaded"])
                    raise VerifierError(reply["error"])
        except (TimeoutError, EOFError, ValueError) as e:
            what = f"does not load {' or '.join(sorted(self.names))}" if self.ready else "does not start"
            raise VerifierError(f"the verifier's worker process {what}; `ratchet doctor` says more") from e

    def send(self, line: str) -> None:
        assert self.stdin is not None
        self.stdin.write(line.encode())

    def line(self, seconds: float) -> bytes:
        """The next line that it says. Raises TimeoutError, or EOFError where it died."""
        assert self.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            chunk = os.read(self.stdout.fileno(), 65536)
            if not chunk:
                raise EOFError
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def end(self) -> None:
        """Kill it and what it started; it is not waited for, since a large process takes its time to go."""
        if self.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for pipe in (self.stdin, self.stdout):
            if pipe:
                pipe.close()


class VerifierPool:
    """Judges (task, text) pairs within `deadline` seconds each, or what a verifier says that a task needs, where that is more.
    Close it, or use it in a `with`."""

    def __init__(self, deadline: float = 2.0) -> None:
        self.deadline = deadline
        self.worker: Worker | None = None
        self.spare: Worker | None = None
        self.killed: list[Worker] = []
        self.one_at_a_time = threading.Lock()
        self.asked = 0.0

    def __enter__(self) -> VerifierPool:
        # a worker ends with the thread that started it: this one outlives those that verify beside the sampling
        self._start(())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for worker in (self.worker, self.spare):
            if worker is not None:
                worker.end()
                self.killed.append(worker)
        for worker in self.killed:
            worker.wait()
        self.worker, self.spare, self.killed = None, None, []

    def __call__(self, pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """One verdict per pair, in order. Raises VerifierError for a verifier that does not exist or cannot be loaded."""
        names = {task.verifier for task, _ in pairs}
        for name in names:
            find(name)
        # the samples of a task share its part of the line
        tasks = {id(task): json.dumps(plain(task), default=str) for task in {id(t): t for t, _ in pairs}.values()}
        lines = [f'{{"task": {tasks[id(task)]}, "text": {json.dumps(text)}}}\n' for task, text in pairs]
        needed = {name: getattr(find(name), "seconds", None) for name in names}
        deadlines = [max(self.deadline, need(t) if (need := needed[t.verifier]) else 0.0) for t, _ in pairs]
        verdicts: list[Verdict] = []
        with self.one_at_a_time:
            while len(verdicts) < len(pairs):
                verdicts += self._batch(self._start(names), lines[len(verdicts) :], deadlines[len(verdicts) :])
        return verdicts

    def _batch(self, worker: Worker, lines: Sequence[str], deadlines: Sequence[float]) -> list[Verdict]:
        """Verdicts of the first lines: all of them, or up to and with the first that is late or kills the worker."""
        verdicts: list[Verdict] = []
        ahead = 0
        try:
            for sent, line in enumerate(lines):
                # answers are read before more is written than a pipe holds: neither side may wait for the other
                while len(verdicts) < sent and ahead + len(line) > AHEAD:
                    ahead -= len(lines[len(verdicts)])
                    verdicts.append(self._verdict(worker, deadlines[len(verdicts)]))
                try:
                    worker.send(line)
                except BrokenPipeError:
                    break  # what it answered before it died is still to be read
                ahead += len(line)
            while len(verdicts) < len(lines):
                verdicts.append(self._verdict(worker, deadlines[len(verdicts)]))
        except TimeoutError:
            verdicts.append(self._unanswered(f"the verifier took longer than {deadlines[len(verdicts)]:g} s"))
            self._drop(worker)
        except (EOFError, ValueError, KeyError):
            verdicts.append(self._unanswered("the verifier's process died"))
            self._drop(worker)
        return verdicts

    def _start(self, names: Iterable[str]) -> Worker:
        """The worker, ready to judge by verifiers of these names. Raises VerifierError."""
        for worker in (self.worker, self.spare):
            if worker is not None and worker.poll() is not None:
                self._drop(worker)  # it ended between two batches, with the thread that had started it: no text is to blame
        if self.worker is None:
            self.worker, self.spare = self.spare or Worker(), None
        try:
            self.worker.load(names)
            self.worker.wait_until_ready()
        except VerifierError:
            self._drop(self.worker)
            raise
        return self.worker

    def _drop(self, worker: Worker) -> None:
        """Away with a worker that is late, dead or of no use."""
        worker.end()
        self.killed = [w for w in [*self.killed, worker] if w.poll() is None]
        if worker is self.worker:
            self.worker = None
        if worker is self.spare:
            self.spare = None

    def _unanswered(self, reason: str) -> Verdict:
        """The worker will not say how long this one took; the wait for it does."""
        return replace(abstained(reason), seconds=time.monotonic() - self.asked)

    def _verdict(self, worker: Worker, deadline: float) -> Verdict:
        self.asked = time.monotonic()
        try:
            line = worker.line(SLOW * deadline)
        except TimeoutError:
            if self.spare is None:
                self.spare = Worker()
            self.spare.load(worker.names)
            line = worker.line(deadline - (time.monotonic() - self.asked))
        reply = json.loads(line)
        return Verdict(Outcome(reply["outcome"]), reply["evidence"], reply["answer"], reply["score"], reply["seconds"])


def plain(task: Task) -> dict[str, Any]:
    """A task as JSON for the worker. Identity and cluster play no part in judging."""
    return asdict(task) | {"identity": "", "cluster": ""}
