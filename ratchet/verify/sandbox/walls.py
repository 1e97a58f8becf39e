"""The walls around a warden: a file system of its own without anything to write to, and namespaces in which it is alone.

Read inside the sandbox too: the standard library and `kernel` only.
"""

from __future__ import annotations

import os
import socket
import stat

from . import kernel as k  # relative: see warden.py

EVERYTHING = k.NEWUSER | k.NEWNS | k.NEWPID | k.NEWNET | k.NEWIPC | k.NEWUTS | k.NEWCGROUP
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/ld.so.cache", "/etc/R")
HIDDEN = ("/usr/src", "/usr/local/src")  # of the system, but where images of containers have their users' work
DEVICES = ("null", "zero", "full", "random", "urandom")
NOBODY = 65534
ROOM = "/tmp"  # the one place in which a program can write


def stand(paths: list[str], as_root: bool) -> None:
    """Build the walls and go on as process 1 behind them; the processes outside wait, and end, with this one.

    `paths`: host folders and files that can be read inside, beside the system's. As root, everything is mounted first, since
    another user may not be able to reach it; then root is given up for good, before the namespaces in which we are root of
    nothing but ourselves. An ordinary user makes these first.
    """
    if as_root:
        k.unshare(k.NEWNS | k.NEWPID)
        enter_child()
        mount_all(paths)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        k.prctl(k.DUMPABLE, 1)  # else our own uid_map belongs to root
        k.prctl(k.PDEATHSIG, 9)  # a change of user forgets it
    own = os.getuid(), os.getgid()
    k.unshare(EVERYTHING)
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {own[0]} 1"), ("gid_map", f"1000 {own[1]} 1")):
        with open(f"/proc/self/{name}", "w") as f:
            f.write(text)
    enter_child()
    if not as_root:
        mount_all(paths)
    else:
        k.mount("proc", "/proc", "proc", k.NOSUID | k.NODEV | 8)
    socket.sethostname("sandbox")


def enter_child() -> None:
    """Go on in a child, the first process of the new process namespace; the parent waits and ends as it does."""
    child = os.fork()
    if not child:
        k.prctl(k.PDEATHSIG, 9)
        return
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def mount_all(paths: list[str]) -> None:
    """A new root in memory: the system and `paths` to read, five devices, an empty /proc of our own, nothing else."""
    k.mount("none", "/", None, k.REC | k.PRIVATE)
    wanted = [p for p in (*SYSTEM, *paths) if os.path.lexists(p)]
    root = next(
        d for d in ("/mnt", "/media", "/srv", "/opt", "/tmp") if os.path.isdir(d) and not any(inside(p, d) for p in wanted)
    )
    k.mount("tmpfs", root, "tmpfs", k.NOSUID, "mode=755,size=1m")
    for path in sorted(set(wanted)):
        if not any(inside(path, other) for other in wanted if other != path):
            show(path, root + path)
    for hidden in HIDDEN:
        if os.path.isdir(root + hidden):
            k.mount("tmpfs", root + hidden, "tmpfs", k.NOSUID | k.NODEV | k.RDONLY, "size=4k")
    for i, path in enumerate(in_room(paths)):
        show(path, f"{root}/shown/{i}")
    for name in ("proc", "dev", ROOM[1:]):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    for name in DEVICES:
        show(f"/dev/{name}", f"{root}/dev/{name}", writable=True)
    for name, to in {
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
    }.items():
        os.symlink(to, f"{root}/dev/{name}")
    os.symlink(ROOM, f"{root}/dev/shm")  # shared memory within the bounds of the room
    for name, text in {"passwd": "sandbox:x:1000:1000::/tmp:/bin/sh\n", "group": "sandbox:x:1000:\n", "hosts": ""}.items():
        os.makedirs(f"{root}/etc", exist_ok=True)
        with open(f"{root}/etc/{name}", "w") as f:
            f.write(text)
    k.mount("proc", f"{root}/proc", "proc", k.NOSUID | k.NODEV | 8)
    os.chdir(root)
    k.pivot_root(".", ".")
    k.unmount(".")  # the old root, which lies on the new one
    os.chdir("/")
    k.read_only("/", recursive=False)


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def show(source: str, target: str, writable: bool = False) -> None:
    """The same file, folder or link at another place."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    if stat.S_ISDIR(os.stat(source).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        open(target, "x").close()
    k.mount(source, target, None, k.BIND | k.REC)
    if not writable:
        k.read_only(target)


def in_room(paths: list[str]) -> list[str]:
    """Paths that a fresh room would hide, such as a checkout in /tmp: the room shows them again."""
    return [p for p in paths if inside(p, ROOM)]


def room(megabytes: int, paths: list[str]) -> None:
    """A fresh, bounded place to write, and the processes of this namespace alone in /proc, which cannot be written to."""
    k.mount("tmpfs", ROOM, "tmpfs", k.NOSUID | k.NODEV, f"size={megabytes}m,nr_inodes=20000,mode=777")
    for i, path in enumerate(in_room(paths)):
        show(f"/shown/{i}", path)
    k.mount("proc", "/proc", "proc", k.NOSUID | k.NODEV | 8 | k.RDONLY)


def bwrap(paths: list[str], files: dict[str, int]) -> list[str]:
    """The command of bubblewrap that builds the same walls; what follows it is run behind them. `files`: path -> file descriptor."""
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    command += ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    for path in (p for p in (*SYSTEM, *paths) if os.path.lexists(p)):
        link = os.path.islink(path)
        command += ["--symlink", os.readlink(path), path] if link else ["--ro-bind", path, path]
    for path in filter(os.path.isdir, HIDDEN):
        command += ["--tmpfs", path, "--remount-ro", path]
    for path, fd in files.items():
        command += ["--ro-bind-data", str(fd), path]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--size", str(64 << 20), "--tmpfs", ROOM]
    return [*command, "--remount-ro", "/", "--chdir", ROOM]
