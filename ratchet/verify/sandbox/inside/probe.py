"""What holds for a program in the sandbox, as the program itself sees it."""

import json
import os
import socket

status = (
    dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    if os.path.exists("/proc/self/status")
    else {}
)


def writable(folder):
    try:
        path = os.path.join(folder, "probe")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL))
        os.unlink(path)
    except OSError:
        return False
    return True


def namespaces():
    found = {}
    for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
        try:
            found[name] = os.readlink(f"/proc/self/ns/{name}")
        except OSError:
            found[name] = ""
    return found


def internet():
    try:
        socket.socket(socket.AF_INET).close()
    except OSError:
        return False
    return True


print(
    json.dumps(
        {
            "namespaces": namespaces(),
            "user": os.getuid(),
            "capabilities": int(status.get("CapEff", "0").strip(), 16) if status else None,
            "no_new_privileges": status.get("NoNewPrivs", "").strip() == "1" if status else None,
            "filter": status.get("Seccomp", "").strip() == "2" if status else None,
            "internet": internet(),
            "variables": sorted(os.environ),
            "writable": [folder for folder in ("/", "/usr", "/etc", "/dev", "/var/tmp", "/home", "/root") if writable(folder)],
            "room": os.statvfs(".").f_frsize * os.statvfs(".").f_blocks >> 20,
        }
    )
)
