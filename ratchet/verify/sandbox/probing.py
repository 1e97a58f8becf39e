"""What protects a run on this machine: told by a program that was run in the sandbox and looked around."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ratchet.core.errors import SandboxError
from ratchet.verify.sandbox import cgroups, kernel
from ratchet.verify.sandbox.sandbox import Limits, Program, Sandbox

Line = tuple[str, str, str]  # "ok", "weak", "off" or "MISSING"; what; by what means, or why not and what to do
PROBE = Path(__file__).parent / "inside" / "probe.py"
SAID = {
    "direct": "namespaces made by ourselves; a warden serves run after run",
    "bwrap": "namespaces made by bubblewrap; a new warden for every run, which is slower",
    "landlock": "no namespaces, only rules over files and calls, as was asked for",
}


def probe(sandbox: Sandbox) -> dict[str, Any]:
    """What a program sees of its surroundings."""
    run = sandbox.run(Program({"probe.py": PROBE.read_bytes()}, limits=Limits(disk=64)))
    if not run.ok:
        raise SandboxError(f"the probe of the sandbox failed: {run.ending()}; {run.stderr.decode(errors='replace')[-300:]}")
    return json.loads(run.stdout)


def protections(sandbox: Sandbox) -> Iterator[Line]:
    seen = probe(sandbox)
    yield "ok" if sandbox.walls == "direct" else "weak", "walls", SAID[sandbox.walls]
    own = {name: os.readlink(f"/proc/self/ns/{name}") for name in seen["namespaces"]}
    for name, what in {"mnt": "files", "pid": "processes", "net": "network", "ipc": "shared memory", "user": "users"}.items():
        apart = bool(seen["namespaces"][name]) and seen["namespaces"][name] != own[name]
        yield ("ok" if apart else "weak"), what, "a namespace of their own" if apart else instead(name, seen)
    writes = seen["writable"]
    yield (
        "MISSING" if writes else "ok",
        "read-only system",
        f"{', '.join(writes)} can be written to" if writes else "only the room can be written to",
    )
    capabilities = seen["capabilities"]
    yield judged(capabilities, not capabilities), "capabilities", "none" if not capabilities else f"{capabilities:x}"
    yield judged(seen["no_new_privileges"], bool(seen["no_new_privileges"])), "no new privileges", "programs cannot gain any"
    yield from calls(sandbox, seen)
    yield from bounds(sandbox)
    yield "ok", "environment", f"only {', '.join(seen['variables'])}"


def judged(known: Any, good: bool) -> str:
    return "weak" if known is None else "ok" if good else "MISSING"


def instead(name: str, seen: Mapping[str, Any]) -> str:
    means = {
        "mnt": "Landlock's rules", "pid": "Landlock keeps signals in; what is left over is found and killed",
        "net": "no sockets of the internet can be made" if not seen["internet"] else "Landlock's rules over TCP alone",
        "ipc": "nothing", "user": "a user that nobody else is",
    }  # fmt: skip
    return f"no namespace; {means[name]}"


def calls(sandbox: Sandbox, seen: Mapping[str, Any]) -> Iterator[Line]:
    if "seccomp" in sandbox.without:
        yield "off", "system calls", "not filtered, as was asked for"
    else:
        yield "ok", "system calls", f"{len(kernel.REFUSED)} refused, and new namespaces, odd sockets and foreign calls"
    version = kernel.landlock_version()
    if "landlock" in sandbox.without:
        yield "off", "landlock", "not used, as was asked for"
    else:
        scopes = "files, TCP and signals" if version >= 6 else "files and TCP" if version >= 4 else "files"
        yield "ok", "landlock", f"version {version}: {scopes}"


def bounds(sandbox: Sandbox) -> Iterator[Line]:
    if sandbox.grouped:
        kind = "version 2" if "" in cgroups.places() else "version 1"
        yield "ok", "memory and processes", f"a control group ({kind}) for each warden, and limits of each process"
    elif "memory" in sandbox.without:
        yield "off", "memory and processes", "only the number of processes is bounded, as was asked for"
    else:
        yield "ok", "memory and processes", "limits of each process, and a watch over their sum: no control group can be made"
    yield "ok", "time, disk, output", "processor and clock time, a room of fixed size in memory, output cut off"


def why_not() -> Iterator[Line]:
    """Where no sandbox can be made: what is missing, and what to do."""
    for name, path, good in (
        ("user namespaces", "/proc/sys/user/max_user_namespaces", True),
        ("unprivileged namespaces", "/proc/sys/kernel/unprivileged_userns_clone", True),
        ("AppArmor's restriction", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", False),
    ):
        try:
            value = Path(path).read_text().strip()
        except OSError:
            continue
        done = (int(value) > 0) is good
        yield (
            "ok" if done else "MISSING",
            name,
            f"{path} is {value}" + ("" if done else "; an administrator can change it with sysctl"),
        )
    found = shutil.which("bwrap")
    yield (
        "ok" if found else "off",
        "bubblewrap",
        found or "not installed; apt-get install bubblewrap may help where namespaces are restricted",
    )
    version = kernel.landlock_version()
    yield "ok" if version else "MISSING", "landlock", f"version {version}" if version else "this kernel has none (5.13 or later)"
    yield "off", "in a container", "start it with --security-opt seccomp=unconfined, or as root with --privileged"
