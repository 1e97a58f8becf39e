"""The warden: process 1 behind the walls. It runs one request after the other, each in namespaces of its own.

Started by `sandbox.py` with a bare interpreter and an empty environment; asked and answering in messages of JSON, each after
its length, on standard input and output. It holds nothing but the request at hand: no tests, no answers, no secrets. For each
program of a request it forks an `init`, which gets fresh process, mount and IPC namespaces, a fresh room in memory to write in,
limits, Landlock, no capabilities and a filter of system calls, and only then forks the program. When the program ends, or its
time is up, `init` ends, and the kernel with it everything that the program started.
"""

from __future__ import annotations

import math
import os
import resource
import select
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

# relative: behind the walls this folder is a package of its own
from . import kernel as k
from . import walls
from .messages import decode, receive, send

WATCH = 0.02  # seconds between two looks at the memory in use, where no control group bounds it
MOST_PIPE = 1 << 16
Message = dict[str, Any]


# ---- the first process of a program's namespaces -------------------------------------------------------------------


class Plan:
    """What holds for every run of this warden: which walls stand around it, and what it may do without."""

    def __init__(self, config: Message) -> None:
        self.walls: str = config["walls"]
        self.without: list[str] = config["without"]
        self.paths: list[str] = config["paths"]
        self.modules: list[str] = config["modules"]
        self.own_processes = -1

    def tried(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as e:
            if name not in self.without:
                raise RuntimeError(f"{name}: {e.strerror or e}") from None


def init(plan: Plan, side: Message, status: int) -> NoReturn:
    """Process 1 of the run (its standard files are the program's). Never returns."""
    try:
        limits = side["limits"]
        k.prctl(k.DUMPABLE, 1)  # our own files in /proc are else not ours
        with open("/proc/self/oom_score_adj", "w") as f:  # whoever must die for want of memory, not the warden
            f.write("1000")
        if plan.walls == "direct":
            k.unshare(k.NEWNS | k.NEWIPC)
            walls.room(limits["disk"])
        os.chdir(side["folder"])
        for name, mode, content in side["files"]:
            with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as f:
                f.write(content.encode("latin-1"))
        restrict(plan, side)
        program = os.fork()
        if not program:
            start(side, status)
        for fd in (0, 1, 2):
            os.close(fd)
        ended, code = 0, 0
        while ended != program:
            ended, code = os.wait()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        kept = keep(side["keep"], limits["disk"] << 20) if side["keep"] and code == 0 else None
        report = {"exit": os.waitstatus_to_exitcode(code), "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss >> 10}
        send(status, report | {"kept": kept})
    except BaseException as e:
        send(status, {"broken": f"{type(e).__name__}: {e}"})
    finally:
        os._exit(0)


def restrict(plan: Plan, side: Message) -> None:
    """The limits and the layers that hold for `init` and the program alike."""
    limits, megabyte = side["limits"], 1 << 20
    bounds = [
        (resource.RLIMIT_CPU, math.ceil(limits["seconds"])), (resource.RLIMIT_NPROC, limits["processes"]), (resource.RLIMIT_NOFILE, 256),
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
    writable = [os.getcwd(), "/dev/null", "/dev/zero", "/dev/full"]
    readable += ["/dev/random", "/dev/urandom"] if plan.walls == "landlock" else []
    plan.tried("landlock", lambda: k.landlock(readable, writable))
    k.drop_capabilities()
    families = (k.AF_UNIX, k.AF_INET, k.AF_INET6) if plan.walls != "landlock" else (k.AF_UNIX,)
    plan.tried("seccomp", lambda: k.filter_calls(families))


def keep(name: str, most: int) -> str | None:
    """A file that the program made, as text of one character a byte; None where it is no plain file or too large."""
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as f:
            if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
                return None
            content = f.read(most + 1)
            return content.decode("latin-1") if len(content) <= most else None
    except OSError:
        return None


def start(side: Message, status: int) -> NoReturn:
    """Become the program. Never returns."""
    code = 127
    try:
        os.setsid()
        k.prctl(k.DUMPABLE, 1)
        for number in (signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if side["command"]:
            os.set_inheritable(status, False)
            k.close_from(status + 1)
            os.execvpe(side["command"][0], side["command"], side["environment"])
        k.close_from(3)
        code = run_python(side["files"][0][0])
    except OSError as e:
        os.write(2, f"{side['command'][0] if side['command'] else 'python'}: {e.strerror or e}\n".encode())
    finally:
        os._exit(code)


def run_python(name: str) -> int:
    """Run a file as `__main__` in this process, a fork of an interpreter that has started long ago. Returns the exit code."""
    import atexit
    import threading
    import traceback
    import types

    signal.signal(signal.SIGINT, signal.default_int_handler)
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
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        code = code or 1
    return code & 0xFF


# ---- a run, as the warden sees it ----------------------------------------------------------------------------------


class Side:
    """A program at work: the pid of its `init`, its pipes, and what has come out of them."""

    def __init__(self, most: int, sweep: Callable[[], None]) -> None:
        self.pid, self.most, self.why, self.sweep = 0, most, "", sweep
        self.said = {"out": bytearray(), "err": bytearray(), "status": bytearray()}

    def take(self, stream: str, part: bytes) -> None:
        room = self.most - len(self.said[stream])
        if stream == "status":
            self.said[stream] += part
        else:
            self.said[stream] += part[:room]
            if len(part) > room and not self.why:
                self.kill("output")

    def kill(self, why: str) -> None:
        self.why = self.why or why
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.sweep()

    def report(self) -> Message:
        try:
            status = decode(bytes(self.said["status"]))
        except ValueError:  # killed before it could tell
            status = {"exit": -9, "cpu": None, "kept": None, "peak": None}
        out, err = (bytes(self.said[name]).decode("latin-1") for name in ("out", "err"))
        return status | {"why": self.why, "stdout": out, "stderr": err}


def spawn(plan: Plan, side: Message, files: tuple[int, int, int]) -> tuple[int, int]:
    """Start a program on these files. Returns its init's pid, and the pipe on which that tells how it ended."""
    told, status = os.pipe()
    if plan.walls == "direct":
        k.setns(plan.own_processes, k.NEWPID)  # from the last run's namespace back to ours
        k.unshare(k.NEWPID)
    pid = os.fork()
    if not pid:
        moved = [os.dup(fd) for fd in (*files, status)]
        for target, fd in enumerate(moved):
            os.dup2(fd, target)
        k.close_from(4)
        init(plan, side, 3)
    os.close(status)
    return pid, told


def connect(sides: list[Message]) -> tuple[list[tuple[int, int, int]], dict[int, tuple[int, str]], dict[int, tuple[int, bytes]]]:
    """Pipes: the files of each program, what is read here (fd -> side, stream), what is written here (fd -> side, bytes).

    Two programs talk with each other: what one writes the other reads.
    """
    files, reading, writing = [], {}, {}
    pipes = [os.pipe() for _ in sides]  # standard input of each
    for i, side in enumerate(sides):
        if len(sides) == 1:
            out_here, out = os.pipe()
            reading[out_here] = i, "out"
            writing[pipes[0][1]] = i, side["stdin"].encode("latin-1")
        else:
            out = pipes[1 - i][1]
        err_here, err = os.pipe()
        reading[err_here] = i, "err"
        files.append((pipes[i][0], out, err))
    return files, reading, writing


def run(plan: Plan, request: Message) -> Message:
    """Run the programs of a request to their end. One alone gets its input and is read; two are connected."""
    begun = time.monotonic()
    wanted: list[Message] = request["sides"]
    sides = [Side(side["limits"]["output"], SWEEPS[plan.walls]) for side in wanted]
    for side in wanted:
        side["folder"] = walls.ROOM if plan.walls != "landlock" else tempfile.mkdtemp(prefix="ratchet-")
    files, reading, writing = connect(wanted)
    try:
        for i, (side, own) in enumerate(zip(sides, files)):
            side.pid, told = spawn(plan, wanted[i], own)
            reading[told] = i, "status"
        for fd in {fd for own in files for fd in own}:
            os.close(fd)
        files = []
        follow(sides, reading, writing, begun + request["seconds"], wanted[0]["limits"]["memory"] if wanted[0]["bounded"] else 0)
    finally:
        for side in sides:
            if side.pid:
                side.kill("")
                with suppress(ChildProcessError):
                    os.waitpid(side.pid, 0)
        for fd in {*reading, *writing, *(fd for own in files for fd in own)}:
            os.close(fd)
        if plan.walls == "landlock":
            for side in wanted:
                shutil.rmtree(side["folder"], ignore_errors=True)
    return {"sides": [side.report() for side in sides], "seconds": time.monotonic() - begun}


def follow(
    sides: list[Side], reading: dict[int, tuple[int, str]], writing: dict[int, tuple[int, bytes]], end: float, memory: int
) -> None:
    """Feed and read until every pipe has ended; kill what is late, says too much or takes too much memory."""
    poll = select.poll()
    poll.register(0, 0)  # hung up: nobody waits for an answer any more
    for fd in reading:
        poll.register(fd, select.POLLIN)
    for fd in writing:
        os.set_blocking(fd, False)
        poll.register(fd, select.POLLOUT)
    late = False
    while reading:
        left = end - time.monotonic()
        if left <= 0 and not late:
            late = True
            for side in sides:
                side.kill("time")
        left = 1.0 if late else left
        events = poll.poll(1000 * (min(left, WATCH) if memory else left))
        if memory and not late and in_use() > memory << 20:
            for side in sides:
                side.kill("memory")
        for fd, event in events:
            if fd == 0:
                if event & (select.POLLHUP | select.POLLERR):
                    for side in sides:
                        side.kill("")
                    os._exit(0)
            elif fd in writing:
                feed(poll, writing, fd)
            else:
                part = os.read(fd, MOST_PIPE)
                i, stream = reading[fd]
                if part:
                    sides[i].take(stream, part)
                else:
                    poll.unregister(fd)
                    os.close(fd)
                    del reading[fd]
                    if stream == "status":
                        sides[i].sweep()
                    if stream == "status" and i == 1:  # the examiner has ended: whatever the candidate still does is of no use
                        sides[0].kill("")


def feed(poll: select.poll, writing: dict[int, tuple[int, bytes]], fd: int) -> None:
    i, content = writing[fd]
    try:
        content = content[os.write(fd, content[:MOST_PIPE]) :] if content else b""
    except BrokenPipeError:
        content = b""
    except BlockingIOError:
        return
    writing[fd] = i, content
    if not content:
        poll.unregister(fd)
        os.close(fd)
        del writing[fd]


def in_use() -> int:
    """Bytes of memory of all processes but this one."""
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/smaps_rollup") as f:
                    total += next((int(line.split()[1]) << 10 for line in f if line.startswith("Pss:")), 0)
            except OSError:
                pass
    return total


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


def main() -> None:
    try:
        send(1, {"here": True})
        config = receive(0)
    except (EOFError, BrokenPipeError):
        return
    plan = Plan(config)
    try:
        if plan.walls == "direct":
            walls.stand(plan.paths, os.getuid() == 0)
            plan.own_processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        elif plan.walls == "landlock":
            k.prctl(k.SUBREAPER, 1)
        k.prctl(k.DUMPABLE, 0)
        sys.path[-1:] = config["python_path"]  # the last is where this file was found
        for name in plan.modules:
            __import__(name)
    except (OSError, ImportError) as e:
        send(1, {"error": str(e)})
        return
    send(1, {"ready": True})
    try:
        while True:
            try:
                answer = run(plan, receive(0))
            except OSError as e:
                answer: Message = {"error": f"{type(e).__name__}: {e}"}
            send(1, answer)
    except (EOFError, BrokenPipeError):  # nobody asks any more
        pass
