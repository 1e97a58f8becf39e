"""The warden: process 1 behind the walls. It starts one run after the other, each in namespaces of its own.

Started by `sandbox.py` with a bare interpreter and an empty environment, and told what to do through a socket. For each program
of a request it forks an `init`, which gets fresh process, mount and IPC namespaces, a fresh room in memory to write in, limits,
Landlock, no capabilities and a filter of system calls, and only then forks the program. When the program ends, or its time is
up, `init` ends, and the kernel with it everything that the program started.

The warden never sees what is run, read or printed: files come with a request, and it hands them on. A Python program is a fork
of it, and whatever it had seen, of this run's tests or of another answer to the same task, could be found in its memory.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

# relative: behind the walls this folder is a package of its own
from . import kernel as k
from . import walls

STATUS, SPECIFIED = 3, 4  # files of an init beside the standard ones
EACH = 5  # files of a program
OFTEN = (
    "atexit", "bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "io", "itertools",
    "linecache", "math", "operator", "random", "re", "statistics", "string", "threading", "tokenize", "traceback", "types", "typing",
)  # fmt: skip
"""Modules that programs often use: read once, and not in every run."""
Message = dict[str, Any]


# ---- the first process of a program's namespaces -------------------------------------------------------------------


class Plan:
    """What holds for every run of this warden: which walls stand around it, and what it may do without."""

    def __init__(self, config: Message) -> None:
        self.walls: str = config["walls"]
        self.without: list[str] = config["without"]
        self.paths: list[str] = config["paths"]
        self.modules: list[str] = config["modules"]
        self.python_path: list[str] = config["python_path"]
        self.own_processes = -1
        self.folders: list[str] = []  # of the machine's, where a run has no room of its own
        sockets = (k.AF_UNIX, k.AF_INET, k.AF_INET6) if self.walls != "landlock" else ()  # of what a namespace sets apart
        self.filters: dict[bool, bytes] = {}
        self.tried(
            "seccomp", lambda: self.filters.update({m: k.seccomp_program(sockets, k.OF_ALL if m else {}) for m in (False, True)})
        )

    def tried(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as e:
            if name not in self.without:
                raise RuntimeError(f"{name}: {e.strerror or e}") from None


def init(plan: Plan, alone: bool) -> NoReturn:
    """Process 1 of the run (its standard files are the program's). Never returns. `alone`: it becomes the program itself, Python
    of which nothing is kept; a fork is half of what such a run costs."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program may send it to us
        with open(SPECIFIED, "rb") as f:
            side: Message = json.loads(f.readline())
            contents = [f.read(size) for _, _, size in side["files"]]
        limits = side["limits"]
        k.prctl(k.DUMPABLE, 1)  # our own files in /proc are else not ours
        with open("/proc/self/oom_score_adj", "w") as f:  # whoever must die for want of memory, not the warden
            f.write("1000")
        if plan.walls == "direct":
            k.unshare(k.NEWNS | k.NEWIPC)
            walls.room(limits["disk"], plan.paths)
        os.chdir(walls.ROOM if plan.walls != "landlock" else plan.folders[-1])
        for (name, mode, _), content in zip(side["files"], contents):
            with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as f:
                f.write(content)
        restrict(plan, side)
        if alone:
            start(side)
        program = os.fork()
        if not program:
            start(side)
        for fd in (0, 1, 2):
            os.close(fd)
        ended, code = 0, 0
        while ended != program:
            ended, code = os.wait()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        kept = keep(side["keep"], limits["disk"] << 20) if side["keep"] and code == 0 else None
        spent = used.ru_utime + used.ru_stime
        tell({"exit": os.waitstatus_to_exitcode(code), "cpu": spent, "kept": kept is not None}, kept or b"")
    except BaseException as e:
        tell({"broken": f"{type(e).__name__}: {e}"})
    finally:
        os._exit(0)


def tell(report: Message, kept: bytes = b"") -> None:
    with open(STATUS, "wb") as f:
        f.write(json.dumps(report).encode() + b"\n" + kept)


def restrict(plan: Plan, side: Message) -> None:
    """The limits and the layers that hold for `init` and the program alike."""
    limits, megabyte = side["limits"], 1 << 20
    bounds = [
        (resource.RLIMIT_CPU, math.ceil(limits["seconds"])), (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, 64 if side["bounded"] else 256),
        (resource.RLIMIT_FSIZE, limits["disk"] * megabyte), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_MEMLOCK, 1 << 16),
        (resource.RLIMIT_MSGQUEUE, 0), (resource.RLIMIT_STACK, limits["stack"] * megabyte),
    ]  # fmt: skip
    if side["bounded"]:  # no control group does it: private memory that can be written to
        bounds.append((resource.RLIMIT_DATA, limits["memory"] * megabyte))
    for which, most in bounds:
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most + (which == resource.RLIMIT_CPU)))  # first SIGXCPU, which tells why
    k.prctl(k.DUMPABLE, 0)  # the program, which has our user id, must not look into us
    k.no_new_privileges()
    readable = ["/"] if plan.walls != "landlock" else [p for p in (*walls.SYSTEM, *plan.paths) if os.path.exists(p)]
    writable = [os.getcwd(), "/dev"] if plan.walls != "landlock" else [os.getcwd(), "/dev/null", "/dev/zero", "/dev/full"]
    readable += ["/dev/random", "/dev/urandom"] if plan.walls == "landlock" else []
    plan.tried("landlock", lambda: k.landlock(readable, writable))
    k.drop_capabilities()
    # what no namespace sets apart is refused, and what no limit of processes counts where no control group does
    if plan.filters:  # none where the machine has none and may do without
        plan.tried("seccomp", lambda: k.filter_calls(plan.filters[side["bounded"] or plan.walls == "landlock"]))


def keep(name: str, most: int) -> bytes | None:
    """A file that the program made; None where it is no plain file or too large."""
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as f:
            if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
                return None
            content = f.read(most + 1)
            return content if len(content) <= most else None
    except OSError:
        return None


def start(side: Message) -> NoReturn:
    """Become the program. Never returns."""
    code = 127
    try:
        os.setsid()
        k.prctl(k.DUMPABLE, 1)
        for number in (signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        k.close_from(3)
        if side["command"]:
            here = {"HOME": os.getcwd(), "TMPDIR": os.getcwd()}
            os.execvpe(side["command"][0], side["command"], side["environment"] | here)
        code = run_python(side["files"][0][0])
    except OSError as e:
        os.write(2, f"{side['command'][0] if side['command'] else 'python'}: {e.strerror or e}\n".encode())
    finally:
        os._exit(code)


def run_python(name: str) -> int:
    """Run a file as `__main__` in this process, a fork of an interpreter that has started long ago. Returns the exit code."""
    import atexit
    import builtins
    import threading
    import traceback
    import types

    signal.signal(signal.SIGINT, signal.default_int_handler)
    builtins.exit = builtins.quit = sys.exit  # as `site` has them
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = [name]
    sys.path.insert(0, os.getcwd())
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__file__ = name
    code = 0
    try:
        with open(name, "rb") as f:
            program = compile(f.read(), name, "exec")
        exec(program, module.__dict__)
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
        if not isinstance(e.code, int | None):
            print(e.code, file=sys.stderr)
    except BaseException as e:
        own = e.__traceback__.tb_next if e.__traceback__ else None  # without this frame of ours
        traceback.print_exception(type(e), e, own)
        code = 1
    try:
        threading._shutdown()  # pyright: ignore
        atexit._run_exitfuncs()  # pyright: ignore
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
    except BaseException:
        code = code or 1
    return code & 0xFF


# ---- the warden itself ---------------------------------------------------------------------------------------------


def spawn(plan: Plan, files: list[int], alone: bool) -> int:
    """Start a program on its five files (what to run, standard input, output, error, and where to tell how it ended), which this
    process closes. Returns the pid of its init."""
    if plan.walls == "direct":
        k.setns(plan.own_processes, k.NEWPID)  # from the last run's namespace back to ours
        k.unshare(k.NEWPID)
    elif plan.walls == "landlock":
        plan.folders.append(tempfile.mkdtemp(prefix="ratchet-"))
    pid = os.fork()
    if not pid:
        moved = [os.dup(fd) for fd in files]
        for target, fd in zip((SPECIFIED, 0, 1, 2, STATUS), moved):
            os.dup2(fd, target)
        k.close_from(SPECIFIED + 1)
        init(plan, alone)
    for fd in files:
        os.close(fd)
    return pid


def end(plan: Plan, inits: list[int]) -> list[tuple[int, float]]:
    """Returns when nothing is left of a run: how each init ended, and its seconds of processor time."""
    for pid in inits:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ended = [(-signal.SIGKILL, 0.0) for _ in inits]
    for i, pid in enumerate(inits):
        with suppress(ChildProcessError):
            _, status, used = os.wait4(pid, 0)
            ended[i] = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
    SWEEPS[plan.walls]()
    for folder in plan.folders:
        shutil.rmtree(folder, ignore_errors=True)
    plan.folders = []
    return ended


def sweep_namespace() -> None:
    """Behind bubblewrap's walls a run shares our process namespace: kill all in it but us and its first."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(-1, signal.SIGKILL)


def sweep_children() -> None:
    """Without a process namespace: stop all that descends from us until nothing new is found (what is stopped still counts
    against the most processes, so a fork bomb cannot outrun this), then kill it."""
    found: set[int] = set()
    while new := set(descendants(os.getpid())) - found:
        found |= new
        signal_all(new, signal.SIGSTOP)
    signal_all(found, signal.SIGKILL)
    with suppress(ChildProcessError):
        while found:
            os.waitpid(-1, 0)


def descendants(pid: int) -> Iterator[int]:
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as f:
                for child in map(int, f.read().split()):
                    yield child
                    yield from descendants(child)
    except OSError:  # it has ended
        return


def signal_all(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


SWEEPS: dict[str, Callable[[], None]] = {"direct": lambda: None, "bwrap": sweep_namespace, "landlock": sweep_children}
"""What ends the processes that the end of `init` does not: the kernel ends all of a namespace with its first process."""


def serve(plan: Plan, asker: socket.socket) -> None:
    """Requests come with the files of one program or of two; what they hold goes past this process, whose memory the programs
    of later runs are born with. The next message ends the run; the end of the messages ends it too."""
    while True:
        message, files, _, _ = socket.recv_fds(asker, 1 << 12, 16)
        if not message:
            return
        inits: list[int] = []
        try:
            for alone in json.loads(message):
                own, files = files[:EACH], files[EACH:]
                inits.append(spawn(plan, own, alone))
        except OSError as e:
            end(plan, inits)
            asker.send(json.dumps({"error": f"a program cannot be started: {e}"}).encode())
            continue
        handles = [os.pidfd_open(pid) for pid in inits]
        socket.send_fds(asker, [b"{}"], handles)
        for fd in handles:
            os.close(fd)
        gone = not asker.recv(16)
        ended = end(plan, inits)
        if gone:
            return
        asker.send(json.dumps({"ended": ended}).encode())


def main() -> None:
    asker = socket.socket(fileno=0)
    asker.send(b"{}")  # here
    message = asker.recv(1 << 16)
    if not message:
        return
    try:
        plan = Plan(json.loads(message))
        if plan.walls == "direct":
            walls.stand(plan.paths, os.getuid() == 0)
            plan.own_processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        elif plan.walls == "landlock":
            k.prctl(k.SUBREAPER, 1)
        k.prctl(k.DUMPABLE, 0)
        sys.path[-1:] = plan.python_path  # the last is where this file was found
        for name in (*OFTEN, *plan.modules):
            __import__(name)
        gc.collect()
        gc.freeze()  # what is shared with every run is not touched by its collections
    except Exception as e:  # a module may raise anything as it is imported
        asker.send(json.dumps({"error": f"the warden cannot get ready: {type(e).__name__}: {e}"}).encode())
        return
    asker.send(b"{}")
    with suppress(OSError):  # nobody asks any more
        serve(plan, asker)
