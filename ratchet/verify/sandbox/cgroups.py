"""Control groups, version 2 or 1: memory and processes of a warden and all that it runs, held by the kernel together.

Where no group can be made (no rights, none mounted), limits of single processes and a watch over their sum take its place.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OVERHEAD = 48  # megabytes for the warden itself
NAMED = "ratchet-"


class Group:
    """A group of its own under `parents` (version 2: one folder; version 1: one for each controller)."""

    def __init__(self, parents: dict[str, Path], name: str) -> None:
        self.folders = {controller: parent / name for controller, parent in parents.items()}
        self.second = "" in parents
        self.limit = 0, 0
        for folder in self.folders.values():
            folder.mkdir()

    def write(self, controller: str, file: str, value: str) -> bool:
        folder = self.folders.get("" if self.second else controller)
        try:
            if folder is None:
                return False
            (folder / file).write_text(value)
            return True
        except OSError:
            return False

    def bound(self, memory: int, processes: int) -> None:
        """Megabytes, and how many processes and threads; one core. OSError where it cannot be done."""
        size, most = str(memory + OVERHEAD << 20), str(processes + 8)
        if self.limit != (memory, processes):
            if self.second:
                done = self.write("memory", "memory.max", size)
                self.write("memory", "memory.swap.max", "0")
                self.write("cpu", "cpu.max", "100000 100000")
            else:
                self.write("memory", "memory.memsw.limit_in_bytes", size)  # never below the other: first where it grows
                done = self.write("memory", "memory.limit_in_bytes", size)
                self.write("memory", "memory.memsw.limit_in_bytes", size)
                self.write("memory", "memory.swappiness", "0")
                self.write("cpu", "cpu.cfs_quota_us", "100000")
            if not (done and self.write("pids", "pids.max", most)):
                raise OSError("the control group takes no limits")
            self.limit = memory, processes

    def add(self, pid: int) -> None:
        for folder in set(self.folders.values()):
            (folder / "cgroup.procs").write_text(str(pid))

    def killed(self) -> int:
        """How many processes the kernel has killed in it for want of memory."""
        folder = self.folders.get("" if self.second else "memory")
        try:
            assert folder is not None
            text = (folder / ("memory.events" if self.second else "memory.oom_control")).read_text()
        except OSError:
            return 0
        found = re.search(r"^oom_kill (\d+)", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def remove(self) -> None:
        """Ends what is left in it."""
        for folder in set(self.folders.values()):
            for _ in range(200):
                try:
                    for pid in (folder / "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)


def places() -> dict[str, Path]:
    """Where groups can be made: {"": folder} for version 2, {controller: folder} for version 1; empty where nowhere."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    first: dict[str, Path] = {}
    for kind, mount, options in mounts():
        if kind == "cgroup2":
            for folder in dict.fromkeys((mount / own.get("", "/").lstrip("/"), mount)):
                if second_version(folder):
                    return {"": folder}
        else:
            for names, path in own.items():
                for controller in {"memory", "pids", "cpu"} & set(names.split(",")) & set(options):
                    folder = mount / path.lstrip("/")
                    first[controller] = folder if folder.is_dir() else mount
    usable = {controller: folder for controller, folder in first.items() if os.access(folder, os.W_OK)}
    return usable if {"memory", "pids"} <= set(usable) else {}


def mounts() -> Iterator[tuple[str, Path, list[str]]]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            yield kind, Path(left.split(" ")[4]), options.split(",")


def second_version(folder: Path) -> bool:
    """Whether groups with bounded memory and processes can be made below a folder of version 2."""
    try:
        if not {"memory", "pids"} <= set((folder / "cgroup.controllers").read_text().split()):
            return False
        if not {"memory", "pids"} <= set((folder / "cgroup.subtree_control").read_text().split()):
            (folder / "cgroup.subtree_control").write_text("+memory +pids")
        return os.access(folder, os.W_OK)
    except OSError:
        return False


def make(number: int) -> Group | None:
    """A new group of this process, after groups that dead processes left behind are cleared away; None where none can be made."""
    parents = places()
    if not parents:
        return None
    for parent in set(parents.values()):
        for left in parent.glob(f"{NAMED}*-*"):
            owner = left.name.split("-")[1]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                with suppress(OSError):
                    left.rmdir()
    try:
        return Group(parents, f"{NAMED}{os.getpid()}-{number}-{secrets.token_hex(4)}")
    except OSError:
        return None
