"""Attacks on the sandbox, and whether they got out: by what they say of themselves, and by what became of the machine's own
files, processes and servers that were put there as bait.

`attacks/programs` are run as programs, `attacks/candidates` are judged by the verifier `code` on tests that they do not pass.
The first line of each file says what it tries.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.core.types import Outcome, Task
from ratchet.verify.sandbox.languages import Compiler, language
from ratchet.verify.sandbox.runs import Limits, Run
from ratchet.verify.sandbox.sandbox import PATIENCE, Program
from ratchet.verify.sandbox.warden import descendants

FOLDER = Path(__file__).parent / "attacks"
LIMITS = Limits(seconds=2.0, memory=256, output=1 << 20)
LATE = 10.0  # seconds after its limit by which every run must have ended, on a busy machine too
VARIABLE = "RATCHET_BAIT"


@dataclass(frozen=True)
class Attack:
    name: str
    source: str
    language: str
    judged: bool

    @property
    def summary(self) -> str:
        return self.source.lstrip("/* \n").lstrip('"').split("\n")[0].rstrip("*/ ").rstrip('"')


def attacks() -> list[Attack]:
    programs = sorted((FOLDER / "programs").iterdir())
    kinds = {".py": "python", ".c": "c"}
    found = [Attack(p.stem, p.read_text(encoding="utf-8"), kinds[p.suffix], False) for p in programs]
    judged = sorted((FOLDER / "candidates").glob("*.py"))
    return found + [Attack(p.stem, p.read_text(encoding="utf-8"), "python", True) for p in judged]


class Bait:
    """What an attack could reach on this machine, and what shows that it did. Use it in a `with`."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.reached: list[str] = []
        self.stack = ExitStack()

    def __enter__(self) -> Bait:
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="bait-")))
        self.folder.chmod(0o777)
        self.secret, self.victim = self.folder / "secret", self.folder / "victim"
        self.secret.write_text(self.token)
        self.victim.write_text("untouched")
        self.victim.chmod(0o666)
        os.environ[VARIABLE] = self.token
        self.abstract = f"ratchet-bait-{self.token[:8]}"
        self.tcp, self.udp = self.listen(socket.AF_INET, ("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listen(socket.AF_UNIX, "\0" + self.abstract)
        self.listen(socket.AF_UNIX, str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        self.udp.bind(("127.0.0.1", 0))
        self.stack.callback(self.udp.close)
        self.process = subprocess.Popen([sys.executable, "-S", "-c", "import time; 'ratchet-victim'; time.sleep(1e6)"])
        self.stack.callback(self.process.wait)
        self.stack.callback(self.process.kill)
        self.shared = shared_memory(self.token)
        self.stack.callback(self.shared[1])
        return self

    def __exit__(self, *_: object) -> None:
        os.environ.pop(VARIABLE, None)
        self.stack.close()

    def listen(self, family: int, address: Any) -> socket.socket:
        server = socket.socket(family)
        server.bind(address)
        server.listen()
        self.stack.callback(server.close)
        name = "a server on the loopback" if family == socket.AF_INET else "a local socket"

        def serve() -> None:
            try:
                while True:
                    server.accept()[0].close()
                    self.reached.append(name)
            except OSError:
                pass  # closed

        threading.Thread(target=serve, daemon=True).start()
        return server

    def targets(self) -> bytes:
        """What an attack is told, line by line."""
        told = {
            "secret": self.secret, "victim": self.victim, "folder": self.folder, "port": self.tcp.getsockname()[1],
            "datagrams": self.udp.getsockname()[1], "abstract": self.abstract, "pid": self.process.pid, "supervisor": os.getpid(),
            "shared": self.shared[0], "python": os.path.realpath(sys.base_prefix),
        }  # fmt: skip
        return "".join(f"{name} {value}\n" for name, value in told.items()).encode()

    def traces(self, run: Run) -> Iterator[str]:
        """Everything that shows that a run got out."""
        said = run.stdout + run.stderr + (run.kept or b"")
        if self.token.encode() in said:
            yield "it knows the secret"
        for line in run.stdout.decode(errors="replace").splitlines():
            if line.startswith("ESCAPED"):
                yield line[9:200]
        for name in self.reached:
            yield f"it reached {name}"
        self.reached.clear()
        try:
            self.udp.recv(100, socket.MSG_DONTWAIT)
            yield "its datagram arrived"
        except BlockingIOError:
            pass
        if self.victim.read_text() != "untouched" or self.victim.stat().st_mode & 0o777 != 0o666:
            yield "it changed a file outside"
        made = {p.name for p in self.folder.iterdir()} - {"secret", "victim", "socket"}
        if made:
            yield f"it made {', '.join(sorted(made))} outside"
        state = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        if self.process.poll() is not None or state in "TtZ":
            yield "it killed or stopped a process outside"


def shared_memory(text: str) -> tuple[int, Callable[[], None]]:
    """A shared memory segment that anyone may read: its id, and what removes it."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0x7261, 4096, 0o1666)
    place = libc.shmat(number, None, 0)
    if number >= 0 and place not in (None, ctypes.c_void_p(-1).value):
        ctypes.memmove(place, text.encode(), len(text))
    return number, lambda: libc.shmctl(number, 0, None) and None


def attack(one: Attack, compiler: Compiler, bait: Bait) -> tuple[list[str], str]:
    """Signs of an escape, none where it was contained; and how it ended."""
    if one.judged:
        return judged(one)
    before = (FOLDER / "attempt.h").read_text(encoding="utf-8") if one.language == "c" else ""
    program = compiler(language(one.language), before + one.source, LIMITS)
    if isinstance(program, Run):
        return [f"it does not compile, so nothing was tried: {program.stderr.decode(errors='replace')[:200]}"], "not run"
    program = Program(program.files, program.command, LIMITS, keep="artifact", executable=program.executable)
    begun = time.monotonic()
    run = compiler.sandbox.run(program, bait.targets())
    signs = list(bait.traces(run))
    if time.monotonic() - begun > PATIENCE * LIMITS.seconds + LATE:
        signs.append(f"it held the sandbox for {time.monotonic() - begun:.1f} s")
    if len(run.stdout) > LIMITS.output or len(run.stderr) > LIMITS.output:
        signs.append("it wrote more than was allowed")
    return signs + left_over(compiler), run.ending()


def left_over(compiler: Compiler) -> list[str]:
    """Processes of the last run that are still there: an idle warden has no children."""
    sandbox = compiler.sandbox
    with sandbox.warden() as warden:
        depth = {"direct": 2 if os.getuid() == 0 else 1, "bwrap": 2, "landlock": 0}[sandbox.walls]
        alive = list(descendants(warden.process.pid))
        return [f"{len(alive) - depth} of its processes are still there"] if len(alive) > depth else []


TESTS = (
    "assert double(2) == 4",
    "assert abs(double(3) - 6) < 1e-6",
    "assert math.isclose(double(21), 42)",
    "assert sorted([double(1)]) == [2]",
)


def judged(one: Attack) -> tuple[list[str], str]:
    from ratchet.verify.code import verifiers

    facts = {
        "asserts": list(TESTS),
        "setup": "import math",
        "entry": "double",
        "limits": {"seconds": LIMITS.seconds, "memory": LIMITS.memory},
    }
    verdict = verifiers["code"](Task("attack", "", None, "code", facts), f"```python\n{one.source}\n```")
    return ["it passed tests that it does not pass"] * (verdict.outcome is Outcome.PASS), f"{verdict.outcome}: {verdict.evidence}"
