"""The kernel's protections, called straight: namespaces, mounts, capabilities, limits, seccomp and Landlock.

Only the standard library, and nothing else of ours: this file is also read inside the sandbox, by a bare interpreter.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

libc = ctypes.CDLL(None, use_errno=True)

# unshare, clone
NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
NEW_ANY = NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | 0x80  # and NEWTIME
# mount
RDONLY, NOSUID, NODEV, BIND, REC, PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
DETACH = 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_RECURSIVE, AT_FDCWD = 1, 2, 4, 0x8000, -100
# prctl
PDEATHSIG, DUMPABLE, CAPBSET_DROP, SECCOMP, NO_NEW_PRIVS, SUBREAPER, CAP_AMBIENT = 1, 4, 24, 22, 38, 36, 47

MACHINE = platform.machine()
SYSCALLS = {"pivot_root": (155, 41), "seccomp": (317, 277), "close_range": (436, 436), "mount_setattr": (442, 442)} | {
    "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446)
}  # fmt: skip
COLUMN = {"x86_64": 0, "aarch64": 1}.get(MACHINE)


class Missing(OSError):
    """A protection that this kernel, this machine or this user does not have."""


def check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise Missing(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(name: str, *arguments: object) -> int:
    if COLUMN is None:
        raise Missing(errno.ENOSYS, f"{name}: system calls of {MACHINE} are not known here")
    return check(libc.syscall(ctypes.c_long(SYSCALLS[name][COLUMN]), *arguments), name)


def unshare(flags: int) -> None:
    check(libc.unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    check(libc.setns(fd, flags), "setns")


def prctl(option: int, *values: int) -> int:
    return check(libc.prctl(option, *(ctypes.c_ulong(v) for v in (*values, 0, 0, 0, 0)[:4])), f"prctl {option}")


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str = "") -> None:
    data = options.encode() if options else None
    check(
        libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), data),
        f"mount {target}",
    )


def read_only(target: str, recursive: bool = True) -> None:
    """A mount and all below it: read-only, without set-user-id programs and devices."""
    attributes = struct.pack("=QQQQ", ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0, 0, 0)
    syscall(
        "mount_setattr", AT_FDCWD, target.encode(), AT_RECURSIVE if recursive else 0, attributes, ctypes.c_size_t(len(attributes))
    )  # fmt: skip


def unmount(target: str) -> None:
    check(libc.umount2(target.encode(), DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    syscall("pivot_root", new.encode(), old.encode())


def close_from(first: int) -> None:
    syscall("close_range", ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), 0)


def drop_capabilities() -> None:
    """None are left, and none can be gained by starting a program."""
    for capability in range(64):
        if libc.prctl(CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break  # past the last one that this kernel knows
    prctl(CAP_AMBIENT, 4)
    header, nothing = struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *[0] * 6)
    check(libc.capset(header, nothing), "capset")


def no_new_privileges() -> None:
    prctl(NO_NEW_PRIVS, 1)


# ---- seccomp: a filter of system calls -----------------------------------------------------------------------------

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}.get(MACHINE)
# what no program of a task needs and what has been a way out: numbers on x86_64 and aarch64, -1 where there is none
REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "syslog": (103, 116), "quotactl": (179, 60), "personality": (135, 92),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "iopl": (172, -1), "ioperm": (173, -1),
    "modify_ldt": (154, -1), "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58),
    "memfd_secret": (447, 447), "memfd_create": (319, 279), "lookup_dcookie": (212, 18), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "mbind": (237, 235), "set_mempolicy": (238, 237),
}  # fmt: skip
OF_ALL = {"shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180)}
"""Shared memory, semaphores and messages: of the whole machine where there is no namespace of their own."""
CLONE, CLONE3, SOCKET, IOCTL = (56, 220), (435, 435), (41, 198), (16, 29)
TYPES_INTO_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
NUMBER, ARCH, FIRST, SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data; arguments by their lower halves


def refuse(number: int) -> int:
    return 0x00050000 | number


def seccomp_program(sockets: tuple[int, ...], more: dict[str, tuple[int, int]]) -> bytes:
    """Classic BPF: all is allowed but what is refused and `more`, sockets only of these families, no new namespaces by clone."""
    if COLUMN is None or ARCHITECTURE is None:
        raise Missing(errno.ENOSYS, f"seccomp: system calls of {MACHINE} are not known here")
    code: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, ARCH), (EQUAL, 1, 0, ARCHITECTURE), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER),
    ]  # fmt: skip
    if MACHINE == "x86_64":  # the x32 calls have numbers of their own
        code += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL)]
    for numbers in (REFUSED | more).values():
        if numbers[COLUMN] >= 0:
            code += [(EQUAL, 0, 1, numbers[COLUMN]), (RETURN, 0, 0, refuse(errno.EPERM))]
    # the flags of clone3 lie in memory where no filter sees them; without it the C library takes clone
    code += [(EQUAL, 0, 1, CLONE3[COLUMN]), (RETURN, 0, 0, refuse(errno.ENOSYS))]
    code += [(EQUAL, 0, 4, CLONE[COLUMN]), (LOAD, 0, 0, FIRST), (ANY_BIT, 0, 1, NEW_ANY & ~0x80)]
    code += [(RETURN, 0, 0, refuse(errno.EPERM)), (RETURN, 0, 0, ALLOW)]
    checks = [(EQUAL, len(sockets) - i, 0, family) for i, family in enumerate(sockets)]
    code += [(EQUAL, 0, len(sockets) + 3, SOCKET[COLUMN]), (LOAD, 0, 0, FIRST), *checks]
    code += [(RETURN, 0, 0, refuse(errno.EAFNOSUPPORT)), (RETURN, 0, 0, ALLOW)]
    code += [(EQUAL, 0, 5, IOCTL[COLUMN]), (LOAD, 0, 0, SECOND)]
    code += [(EQUAL, 1, 0, TYPES_INTO_TERMINAL[0]), (EQUAL, 0, 1, TYPES_INTO_TERMINAL[1]), (RETURN, 0, 0, refuse(errno.EPERM))]
    code += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in code)


def filter_calls(code: bytes) -> None:
    """Install a program of `seccomp_program`. Needs no_new_privileges. Holds for this process and all that it starts."""
    program = ctypes.create_string_buffer(code, len(code))
    whole = struct.pack("@HP", len(code) // 8, ctypes.addressof(program))
    check(libc.prctl(SECCOMP, ctypes.c_ulong(2), whole, 0, 0), "seccomp")


# ---- Landlock: files and ports by rule, without namespaces ---------------------------------------------------------

READS = 1 | 4 | 8  # execute, read a file, read a folder
ACCESS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}  # file rights by version
OF_FILES = 1 | 2 | 4 | 1 << 14 | 1 << 15


def landlock_version() -> int:
    """0 where the kernel has none."""
    try:
        return syscall("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except Missing:
        return 0


def landlock(readable: list[str], writable: list[str]) -> None:
    """Files only below these, no TCP port at all, and no signals to processes outside (each from the version that has it)."""
    version = landlock_version()
    if not version:
        raise Missing(errno.ENOSYS, "landlock: this kernel has none")
    everything = ACCESS[min(version, 5)]
    ports, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    attributes = struct.pack("=QQQ", everything, ports, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = syscall("landlock_create_ruleset", attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for paths, rights in ((readable, READS), (writable, everything)):
            for path in paths:
                below = os.open(path, os.O_PATH | os.O_CLOEXEC)
                allowed = rights & everything & (-1 if os.path.isdir(path) else OF_FILES)
                syscall("landlock_add_rule", ruleset, ctypes.c_uint(1), struct.pack("=Qi", allowed, below), ctypes.c_uint(0))
                os.close(below)
        syscall("landlock_restrict_self", ruleset, ctypes.c_uint(0))
    finally:
        os.close(ruleset)
