"""Run programs that nobody trusts: a few wardens behind walls, each of which runs one request after the other.

A run never raises for what the program does: being late, too large, too loud or crashing is its result. SandboxError is for
what is wrong on our side: a protection that is missing, a warden that does not start.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from ratchet.core.errors import SandboxError
from ratchet.verify.sandbox import cgroups, walls
from ratchet.verify.sandbox.runs import Limits, Run, Talk
from ratchet.verify.sandbox.warden import descendants

FOLDER = Path(__file__).parent
START = "import sys; sys.path.append(sys.argv[1]); from sandbox.warden import main; main()"
STARTUP_SECONDS = 30.0
PATIENCE = 3.0
SLACK = 5.0  # seconds after a run's own limit in which its warden must have answered
ENVIRONMENT = {"LANG": "C.UTF-8"}
CLOSING_SECONDS = 2.0
FIRST_USER = 1_000_000_000
numbers, users = itertools.count(), itertools.count()
Made = TypeVar("Made")


@dataclass(frozen=True)
class Program:
    """Files (name -> content) and the command that runs them; without a command the first file is run as Python, in a fork of
    an interpreter that is already there (5 times as fast as starting one). `keep` is a file to bring back afterwards."""

    files: Mapping[str, bytes]
    command: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    keep: str = ""
    executable: bool = False


class Warden:
    """One warden's process, its pipes and its control group."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.maker = os.getpid()
        self.group = cgroups.make(next(numbers)) if sandbox.grouped else None
        if sandbox.grouped and self.group is None:
            raise SandboxError(
                "a control group cannot be made, though there is a place for one; is it full, or owned by another?"
            )
        command = [sandbox.python, "-P", "-S", "-s", "-B"]
        handed: list[int] = []
        place = str(FOLDER.parent)
        user: dict[str, Any] = {}
        if sandbox.walls == "bwrap":
            files: dict[str, int] = {}
            for name in ("__init__", "warden", "kernel", "walls"):
                fd = os.open(FOLDER / f"{name}.py", os.O_RDONLY)
                handed.append(fd)
                files[f"/ratchet/sandbox/{name}.py"] = fd
            command = [*walls.bwrap([*sandbox.paths], files), *command]
            place = "/ratchet"
        if sandbox.walls != "direct" and os.getuid() == 0:
            own = FIRST_USER + os.getpid() * 256 + next(users) % 256  # nobody else's, not even another warden's
            user = {"user": own, "group": own, "extra_groups": []}
        self.asker, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [*command, "-c", START, place], stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True, env={"PYTHONHASHSEED": "0", "PATH": os.defpath}, pass_fds=handed, cwd="/", **user,
            )  # fmt: skip
        for fd in handed:
            os.close(fd)
        try:
            self.answer(STARTUP_SECONDS)  # it is there, and with it whatever was started before it
            if self.group is not None:
                self.group.bound(Limits().memory, Limits().processes)
                for pid in (self.process.pid, *descendants(self.process.pid)):
                    self.group.add(pid)
            self.asker.send(json.dumps(sandbox.config()).encode())
            self.answer(STARTUP_SECONDS)
        except OSError as e:
            self.close()
            raise SandboxError(f"the walls of the sandbox cannot be built: {e or 'the warden died'}") from None
        except SandboxError:
            self.close()
            raise

    def answer(self, seconds: float) -> tuple[dict[str, Any], list[int]]:
        """OSError where there is none; SandboxError where the warden could not do it."""
        self.asker.settimeout(seconds)
        said, files, _, _ = socket.recv_fds(self.asker, 1 << 16, 4)
        if not said:
            raise ConnectionError("it died")
        answer = json.loads(said)
        if trouble := answer.get("error"):
            raise SandboxError(f"the sandbox: {trouble}")
        return answer, files

    def start(self, files: Sequence[int], alone: Sequence[bool]) -> list[int]:
        """Start programs on their files, five each: see `warden.spawn`. Returns a file for each init that can be read when it ends."""
        socket.send_fds(self.asker, [json.dumps(list(alone)).encode()], list(files))
        return self.answer(STARTUP_SECONDS)[1]

    def end(self) -> list[tuple[int, float]]:
        """Returns when nothing is left of what was started: how each init ended, and its seconds of processor time."""
        self.asker.send(b"end")
        return self.answer(SLACK)[0]["ended"]

    def close(self) -> None:
        """Returns when nothing of it is left. In a fork of its maker it is not ours to end."""
        if os.getpid() != self.maker:
            self.asker.close()
            return
        self.asker.close()  # it ends by itself, and ends what it has started
        try:
            self.process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.group is not None:
            self.group.remove()


class Sandbox:
    """`wardens` runs go on at once. Close it, or use it in a `with`. Runs may be asked for from several threads.

    `paths` are host files and folders that programs can read, beside the system's; `python_path` of these are where Python
    looks for modules, and `modules` are imported before any run. A protection that cannot be had is SandboxError, unless it is
    named in `without`: "namespaces", "landlock", "seccomp" or "memory" (what each does: `ratchet sandbox doctor`).
    """

    def __init__(
        self, wardens: int = 1, *, paths: Sequence[str] = (), python_path: Sequence[str] = (), modules: Sequence[str] = (),
        without: Sequence[str] = (), walls: str = "",
    ) -> None:  # fmt: skip
        unknown = set(without) - set(PROTECTIONS)
        if unknown:
            raise SandboxError(
                f"the sandbox has no protection named {', '.join(sorted(unknown))}; it has {', '.join(PROTECTIONS)}"
            )
        self.without, self.modules = tuple(without), tuple(modules)
        self.python_path = tuple(map(os.path.realpath, python_path))
        self.grouped = bool(cgroups.places())
        self.walls, self.asked = walls, tuple(dict.fromkeys([*map(os.path.realpath, paths), *self.python_path]))
        self.idle: queue.LifoQueue[Warden | None] = queue.LifoQueue()
        self.size, self.maker = wardens, os.getpid()
        self._begin()
        for _ in range(wardens - 1):
            self.idle.put(None)

    def _begin(self) -> None:
        """The first warden, behind the first kind of walls that can be built; the others are started when they are needed."""
        if self.walls == "landlock" and "namespaces" not in self.without:
            raise SandboxError("walls of Landlock alone are weaker; they are only used where `without` names namespaces")
        kinds = [self.walls] if self.walls else ["direct", "bwrap"] + ["landlock"] * ("namespaces" in self.without)
        reasons: list[str] = []
        for kind in kinds:
            self.walls, self.python = kind, interpreter(kind)
            own = [] if self.python.startswith("/usr/") else [os.path.realpath(sys.base_prefix)]
            self.paths = (*own, *self.asked)
            try:
                self.idle.put(Warden(self))
            except (SandboxError, OSError) as e:
                reasons.append(f"{kind}: {e}")
                continue
            return
        raise SandboxError(
            f"programs cannot be run safely here ({'; '.join(reasons)}); `ratchet sandbox doctor` says what is missing and what to do"
        )

    def config(self) -> dict[str, Any]:
        return {
            "walls": self.walls, "without": self.without, "paths": self.paths, "modules": self.modules,
            "python_path": self.python_path,
        }  # fmt: skip

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if os.getpid() != self.maker:
            return
        for _ in range(self.size):
            warden = self.idle.get()
            if warden is not None:
                warden.close()
        self.size = 0

    @contextmanager
    def warden(self) -> Generator[Warden]:
        """A warden for one run: one that waits, else a new one. One that has failed is not used again."""
        if not self.size:
            raise SandboxError("the sandbox is closed")
        warden = self.idle.get()
        try:
            if warden is None or warden.process.poll() is not None:
                if warden is not None:
                    warden.close()
                warden = None
                warden = Warden(self)
            yield warden
            if self.walls != "direct":  # runs of one warden are apart by namespaces of our own alone
                warden.close()
                warden = None
        except BaseException:
            if warden is not None:
                warden.close()
            warden = None
            raise
        finally:
            self.idle.put(warden)

    def run(self, program: Program, stdin: bytes = b"") -> Run:
        """Run a program on its input."""
        return self._run([program], stdin)[0]

    def examine(self, candidate: Program, examiner: Program) -> tuple[Run, Run]:
        """Run two programs that talk with each other, each in namespaces of its own: what one writes the other reads. When the
        examiner ends, the candidate is ended too. The examiner's limit of seconds holds for both."""
        if self.walls != "direct":
            raise SandboxError("two programs that talk with each other need namespaces of our own; see `ratchet sandbox doctor`")
        first, second = self._run([candidate, examiner], b"")
        return first, second

    def map(self, programs: Iterable[tuple[Program, bytes]]) -> list[Run]:
        """Many runs, as many at once as there are wardens, in order."""
        with ThreadPoolExecutor(max(self.size, 1)) as threads:
            return [future.result() for future in [threads.submit(self.run, *item) for item in programs]]

    def _run(self, programs: Sequence[Program], stdin: bytes) -> list[Run]:
        limits = programs[-1].limits
        with self.warden() as warden:
            before = warden.group.killed() if warden.group else 0
            watched = programs[0].limits.memory if self._bounded() else 0
            try:
                if warden.group:
                    warden.group.bound(sum(p.limits.memory for p in programs), sum(p.limits.processes for p in programs))
                with Talk([self._specified(p) for p in programs], stdin, [p.limits.output for p in programs]) as talk:
                    talk.started(warden.start(talk.theirs, [not (p.command or p.keep) for p in programs]))
                    talk.follow(warden, PATIENCE * limits.seconds, watched)
            except OSError as e:
                if not (warden.group and warden.group.killed() > before):
                    raise SandboxError(f"the sandbox's warden failed ({e or 'it died'}) during a run") from None
                warden.close()  # the kernel took the warden with the program
                return [Run(-9, "memory", b"", b"", 0.0) for _ in programs]
            starved = warden.group is not None and warden.group.killed() > before
        return [side.run(talk.seconds, starved, p.limits) for side, p in zip(talk.sides, programs, strict=True)]

    def _bounded(self) -> bool:
        return not self.grouped and "memory" not in self.without

    def _specified(self, program: Program) -> bytes:
        mode = 0o755 if program.executable else 0o644
        specified: dict[str, Any] = {
            "files": [(name, mode, len(content)) for name, content in program.files.items()],
            "command": list(program.command), "keep": program.keep, "limits": vars(program.limits), "bounded": self._bounded(),
            "environment": ENVIRONMENT | {"PATH": f"{os.path.dirname(self.python)}:/usr/local/bin:/usr/bin:/bin"},
        }  # fmt: skip
        return b"".join([json.dumps(specified).encode(), b"\n", *program.files.values()])


class Once(Generic[Made]):
    """`make`, called once in a process: what it gave is given again, and a SandboxError is raised again, since walls that cannot
    be built are not worth trying for every verdict."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self.make = make
        self.cache_clear()

    def cache_clear(self) -> None:
        self.made: dict[int, Made | SandboxError] = {}  # by process: a fork makes its own

    def __call__(self) -> Made:
        process = os.getpid()
        if process not in self.made:
            try:
                self.made[process] = self.make()
            except SandboxError as e:
                self.made[process] = e
        found = self.made[process]
        if isinstance(found, SandboxError):
            raise found
        return found


def interpreter(kind: str) -> str:
    """The Python of the sandbox: ours without its packages, or the system's where root's own may be out of reach for others."""
    if kind in ("bwrap", "landlock") and os.getuid() == 0:
        return "/usr/bin/python3"
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


PROTECTIONS = {
    "namespaces": "files, network, processes and users of its own",
    "landlock": "a second rule over files and ports",
    "seccomp": "a filter of system calls",
    "memory": "a bound on memory: a control group, or limits and a watch",
}
