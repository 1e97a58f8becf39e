"""Processes side by side, each with one thread, that tell what they do as lines of JSON and end with their parent.

What a process has kept must stand on the disk: it may be killed at any moment, and stopping all of them is killing them.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, TextIO, TypeVar

from ratchet.core.errors import RatchetError

Key = TypeVar("Key")
Event = dict[str, Any]
PR_SET_PDEATHSIG = 1


def own_channel() -> tuple[TextIO, TextIO]:
    """The protocol's pipes under numbers of their own: whatever else is printed or read in this process goes elsewhere."""
    questions, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return questions, replies


def end_with_parent() -> None:
    """A process that hangs must not outlive a killed run (Linux; elsewhere the closed pipe ends an idle one)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def side_by_side(
    commands: Mapping[Key, Sequence[str]], at_once: int, tell: Callable[[Key, Event], None], end: Callable[[Key, str], None]
) -> None:
    """Run `python -m MODULE ARGUMENTS...` for each key, at most `at_once` together, and return when all have ended.

    `tell` gets every event of a process, and `end` once per process why it ended too early, or "". No process outlives
    the call. Call it from the main thread: Linux ends a process with the thread that started it.
    """
    left = list(commands)
    working: dict[IO[bytes], tuple[Key, subprocess.Popen[bytes]]] = {}
    why: dict[Key, str] = {}
    try:
        while left or working:
            while left and len(working) < at_once:
                key = left.pop(0)
                process = start(commands[key])
                assert process.stdout is not None
                working[process.stdout] = key, process
            for pipe in select.select(list(working), [], [])[0]:
                key, process = working[pipe]
                line = pipe.readline()
                if line.endswith(b"\n"):
                    event = json.loads(line)
                    if event["event"] == "failed":
                        why[key] = event["why"]
                    else:
                        tell(key, event)
                    continue
                code = process.wait()  # the pipe ends with its process
                pipe.close()
                del working[pipe]
                end(key, why.get(key, "" if code == 0 else f"its process {ending(code)}"))
    finally:
        for _, process in working.values():
            process.kill()
        for pipe, (_, process) in working.items():
            process.wait()
            pipe.close()


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    module, *arguments = command
    return subprocess.Popen(
        # -P and PYTHONPATH: modules are found where this process finds them
        [sys.executable, "-P", "-m", module, str(os.getpid()), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,  # nothing is held back from `select`
        start_new_session=True,  # Ctrl-C is for us
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code} before it was done"
    return f"was killed by {signal.Signals(-code).name}" + (", perhaps for want of memory" if code == -signal.SIGKILL else "")


def serve(work: Callable[[Callable[[Event], None], list[str]], None]) -> None:
    """The main function of such a process: `work(tell, arguments)`, whose errors are told as a last event."""
    parent, *arguments = sys.argv[1:]
    end_with_parent()
    if os.getppid() != int(parent):  # it ended before we were tied to it
        return
    _, replies = own_channel()

    def tell(event: Event) -> None:
        print(json.dumps(event), file=replies, flush=True)

    try:
        work(tell, arguments)
    except Exception as e:
        if not isinstance(e, RatchetError):  # a mistake of ours: the place of it is wanted too
            traceback.print_exc()
        tell({"event": "failed", "why": str(e) if isinstance(e, RatchetError) else f"{type(e).__name__}: {e}"})
        sys.exit(1)
