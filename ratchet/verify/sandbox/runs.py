"""A run as the supervisor sees it: its limits, its pipes, what came out of them and how it ended."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from signal import SIGKILL, SIGXCPU
from typing import Any, Protocol

from ratchet.core.errors import SandboxError
from ratchet.verify.sandbox.warden import descendants

WATCH = 0.02  # seconds between two looks at the memory in use, where no control group bounds it
MOST_PIPE = 1 << 16
MOST = {"seconds": 86_400, "memory": 1 << 20, "disk": 1 << 16, "stack": 1 << 12, "output": 1 << 30, "processes": 10_000}


@dataclass(frozen=True)
class Limits:
    """Seconds of processor time of each process, and on the clock `PATIENCE` times as many, so that a busy machine does not
    fail a program that sleeps for nobody; megabytes of memory, of the room for files, and of stack; bytes of output, each of standard
    output and standard error; processes and threads together."""

    seconds: float = 5.0
    memory: int = 512
    disk: int = 64
    stack: int = 64
    output: int = 1 << 20
    processes: int = 64

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            whole = name == "seconds" or (isinstance(value, int) and not isinstance(value, bool))
            if not (isinstance(value, int | float) and whole and 0 < value <= MOST[name]):
                kind = "a number" if name == "seconds" else "a whole number"
                raise SandboxError(f"limits.{name} takes {kind} above 0 and at most {MOST[name]:,}, got {value!r}")


@dataclass(frozen=True)
class Run:
    """How a program ended. `why` is "" where it ended by itself (see `exit`, negative for a signal), else the limit that it
    broke: "time", "memory" or "output". `cpu` in seconds, None where it was killed before it could be counted."""

    exit: int
    why: str
    stdout: bytes
    stderr: bytes
    seconds: float
    cpu: float | None = None
    kept: bytes | None = None

    @property
    def ok(self) -> bool:
        return not self.why and self.exit == 0

    def ending(self) -> str:
        """One phrase."""
        limits = {"time": "it took longer than its time", "memory": "it took more than its memory", "output": "it wrote too much"}
        if self.why:
            return limits[self.why]
        return f"it was killed by signal {-self.exit}" if self.exit < 0 else f"it ended with exit code {self.exit}"


class Ends(Protocol):
    """Whoever started the programs, and can end them."""

    process: Any

    def end(self) -> list[tuple[int, float]]: ...


class Side:
    """One program: what has come out of its pipes, and why it was ended."""

    def __init__(self, most: int) -> None:
        self.most, self.why = most, ""
        self.init: tuple[int, float] = -SIGKILL, 0.0  # how its init ended, and the seconds of that
        self.said = {"out": bytearray(), "err": bytearray(), "status": bytearray()}

    def take(self, stream: str, part: bytes) -> bool:
        """Whether that was no more than is allowed."""
        if stream != "status" and len(self.said[stream]) + len(part) > self.most:
            self.said[stream] += part[: self.most - len(self.said[stream])]
            self.why = self.why or "output"
            return False
        self.said[stream] += part
        return True

    def run(self, seconds: float, starved: bool, limits: Limits) -> Run:
        """`starved`: the kernel has killed something for want of memory."""
        status = self.said["status"]
        cut = status.find(b"\n") if b"\n" in status else len(status)
        head, rest = bytes(status[:cut]), memoryview(status)[cut + 1 :]
        code, cpu = self.init
        told: dict[str, Any] = {"exit": code, "cpu": cpu, "kept": False}
        with suppress(ValueError):  # half of it, where it was ended before it could tell
            told = json.loads(head) if head else told
        if "broken" in told:
            raise SandboxError(f"the sandbox could not protect a run: {told['broken']}")
        code, cpu = told["exit"], told["cpu"]
        spent = code == -SIGXCPU or (code == -SIGKILL and cpu >= limits.seconds)
        why = self.why or ("time" if spent else "memory" if starved and code else "")
        kept = bytes(rest) if told["kept"] else None
        return Run(code, why, bytes(self.said["out"]), bytes(self.said["err"]), seconds, cpu, kept)


class Talk:
    """The pipes of one program, or of two that talk with each other: what one writes the other reads. Use it in a `with`.

    `specified` is what each program's init reads; `theirs` are the files for the warden, five for each program.
    """

    def __init__(self, specified: Sequence[bytes], stdin: bytes, most: Sequence[int]) -> None:
        self.sides = [Side(m) for m in most]
        self.seconds = 0.0
        self.reading: dict[int, tuple[Side, str]] = {}
        self.writing: dict[int, bytes] = {}
        self.theirs: list[int] = []
        inputs = [pipe() for _ in specified]
        for i, (side, content) in enumerate(zip(self.sides, specified, strict=True)):
            if len(specified) == 1:
                out = self._read(side, "out")
                self.writing[inputs[0][1]] = stdin
            else:
                out = inputs[1 - i][1]
            self.theirs += [in_memory(content), inputs[i][0], out, self._read(side, "err"), self._read(side, "status")]

    def _read(self, side: Side, stream: str) -> int:
        """A pipe that is read here; its other end."""
        here, there = pipe()
        self.reading[here] = side, stream
        return there

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_theirs()
        close(self.reading)
        close(self.writing)

    def close_theirs(self) -> None:
        close(self.theirs)
        self.theirs = []

    def started(self, handles: Sequence[int]) -> None:
        """The warden has the files now, and has given one for each init, which can be read when that has ended."""
        self.close_theirs()
        self.reading.update({fd: (side, "end") for fd, side in zip(handles, self.sides, strict=True)})

    def follow(self, warden: Ends, seconds: float, memory: int) -> None:
        """Feed and read until the last program has ended, or all are ended for being late, loud or too large."""
        poll = select.poll()
        for fd in self.reading:
            poll.register(fd, select.POLLIN)
        for fd in self.writing:
            os.set_blocking(fd, False)
            poll.register(fd, select.POLLOUT)
        begun = time.monotonic()
        ended: list[tuple[int, float]] = []
        while self.reading:
            left = begun + seconds - time.monotonic()
            if not ended:
                if left <= 0:
                    self.blame("time")
                elif memory and in_use(warden.process.pid) > memory << 20:
                    self.blame("memory")
                if any(side.why for side in self.sides):
                    ended = warden.end()
            for fd, _ in poll.poll(None if ended else 1000 * max(0.0, min(left, WATCH) if memory else left)):
                if fd in self.writing:
                    self.feed(poll, fd)
                elif self.take(poll, fd) and not ended:
                    ended = warden.end()
        self.seconds = time.monotonic() - begun
        for side, init in zip(self.sides, ended, strict=True):
            side.init = (init[0], init[1])

    def blame(self, why: str) -> None:
        for side in self.sides:
            side.why = side.why or why

    def take(self, poll: select.poll, fd: int) -> bool:
        """Read what is there. True where the last program has ended."""
        side, stream = self.reading[fd]
        part = os.read(fd, MOST_PIPE) if stream != "end" else b""
        if part:
            side.take(stream, part)
            return False
        poll.unregister(fd)
        os.close(fd)
        del self.reading[fd]
        return stream == "end" and side is self.sides[-1]

    def feed(self, poll: select.poll, fd: int) -> None:
        content = self.writing[fd]
        try:
            content = content[os.write(fd, content[:MOST_PIPE]) :] if content else b""
        except BrokenPipeError:
            content = b""
        except BlockingIOError:
            return
        self.writing[fd] = content
        if not content:
            poll.unregister(fd)
            os.close(fd)
            del self.writing[fd]


def pipe() -> tuple[int, int]:
    """A pipe that another user can open again, as programs do that read the file /dev/stdin."""
    ends = os.pipe()
    os.fchmod(ends[0], 0o666)
    return ends


def in_memory(content: bytes) -> int:
    fd = os.memfd_create("run")
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def close(fds: Iterable[int]) -> None:
    for fd in list(fds):
        with suppress(OSError):
            os.close(fd)


def in_use(pid: int) -> int:
    """Bytes of memory of all that descends from a process, shared parts counted once."""
    total = 0
    for child in descendants(pid):
        with suppress(OSError), open(f"/proc/{child}/smaps_rollup") as f:
            total += next((int(line.split()[1]) << 10 for line in f if line.startswith("Pss:")), 0)
    return total
