"""Isolated runs of a small Python program a second, beside a plain process for each run and bubblewrap for each run; and what
10,000 runs that are ended for being late leave behind.

    python -m benchmarks.sandboxes [--late N]

Two runs go on at once in every contender. The plain process protects from nothing; it starts the same bare interpreter.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.contest import Clock, Contender, compare, contest, keep, show
from ratchet.verify.sandbox import walls
from ratchet.verify.sandbox.runs import Limits
from ratchet.verify.sandbox.sandbox import Program, Sandbox, interpreter
from ratchet.verify.sandbox.warden import descendants

ROUNDS = 5
RUNS = 300
AT_ONCE = 2
SOURCE = "n = int(input())\nprint(sum(i * i for i in range(n)))"
GIVEN, WANTED = b"100\n", b"328350\n"


def ours(clock: Clock, command: list[str]) -> None:
    program = Program({"main.py": SOURCE.encode()}, command)
    with Sandbox(AT_ONCE) as box:
        box.map([(program, GIVEN)] * 2 * AT_ONCE)
        while True:
            clock.start()
            done = box.map([(program, GIVEN)] * RUNS)
            clock.stop(runs=RUNS)
            assert all(run.stdout == WANTED for run in done)


def processes(clock: Clock, before: list[str]) -> None:
    """A new process for each run, behind whatever stands in front of its command."""

    def one(_: int) -> bytes:
        return subprocess.run([*before, interpreter("direct"), "-I", "-S", "-c", SOURCE], input=GIVEN, capture_output=True).stdout

    with ThreadPoolExecutor(AT_ONCE) as threads:
        while True:
            clock.start()
            done = list(threads.map(one, range(RUNS)))
            clock.stop(runs=RUNS)
            assert set(done) == {WANTED}


def left(box: Sandbox) -> dict[str, int]:
    """What can be left: processes of the wardens, our open files, files in /tmp, control groups."""
    with box.warden() as one, box.warden() as other:
        processes = sum(len(list(descendants(w.process.pid))) for w in (one, other))
    groups = [g for top in Path("/sys/fs/cgroup").glob("*/") for g in top.glob("ratchet-*")]
    return {
        "processes": processes, "all processes": sum(p.name.isdigit() for p in Path("/proc").iterdir()),
        "descriptors": len(os.listdir("/proc/self/fd")), "files in /tmp": len(os.listdir("/tmp")), "control groups": len(groups),
    }  # fmt: skip


def late(count: int) -> dict[str, object]:
    """Programs that have children in sessions of their own, each ended for being late."""
    source = b"import os\nfor _ in range(3):\n    os.fork()\nif os.getpid() > 1:\n    os.setsid()\nwhile True: pass"
    program = Program({"main.py": source}, limits=Limits(seconds=0.005))
    with Sandbox(AT_ONCE) as box:
        box.map([(program, b"")] * 4)
        before, begun = left(box), time.monotonic()
        done = 0
        for _ in range(0, count, 500):
            runs = box.map([(program, b"")] * min(500, count - done))
            assert all(run.why == "time" for run in runs)
            done += len(runs)
            print(f"{done:,} late runs, {time.monotonic() - begun:.0f} s: {left(box)}", flush=True)
        return {"runs": done, "before": before, "after": left(box)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--late", type=int, default=10_000)
    count = parser.parse_args().late
    python = interpreter("direct")
    shown = [] if python.startswith("/usr/") else [str(Path(python).parent.parent)]
    contenders = [
        Contender("ratchet", "benchmarks.sandboxes:ours", {"command": []}),
        Contender("ratchet, Python started", "benchmarks.sandboxes:ours", {"command": ["python3", "-I", "-S", "main.py"]}),
        Contender("plain process", "benchmarks.sandboxes:processes", {"before": []}),
    ]
    if shutil.which("bwrap"):
        before = [*walls.bwrap(shown, {}), "--"]
        contenders.append(Contender("bubblewrap", "benchmarks.sandboxes:processes", {"before": before}))
    heard = contest(contenders, ROUNDS)
    result = compare(heard, "ratchet", "runs")
    show(f"{RUNS} runs, {AT_ONCE} at once", result)
    ended = late(count) if count else None
    keep("sandboxes", [{"runs": RUNS, "at_once": AT_ONCE, **result}], rounds=ROUNDS, late=ended)


if __name__ == "__main__":
    main()
