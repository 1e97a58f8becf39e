"""Find a way out through /proc."""

import glob
import os
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
for base in glob.glob("/proc/[0-9]*") + ["/proc/self", "/proc/thread-self"]:
    for link in ("root", "cwd", "exe"):
        try:
            if os.path.exists(f"{base}/{link}{targets['secret']}"):
                print("ESCAPED: the machine's files lie below", base, link)
        except OSError as e:
            print(e)
    for fd in glob.glob(base + "/fd/*"):
        try:
            to = os.readlink(fd)
            if to.startswith("/") and not to.startswith(("/tmp/", "/dev/null", "/proc/")):
                print("ESCAPED: open", fd, to)
        except OSError as e:
            print(e)
for path in ("/proc/1/mem", "/proc/1/maps", "/proc/1/stack", "/proc/kcore", "/proc/kallsyms"):
    try:
        content = open(path, "rb").read(64)
        if content and path != "/proc/kallsyms":
            print("ESCAPED: read", path)
    except OSError as e:
        print(e)
if str(targets["pid"]) in os.listdir("/proc") and "ratchet-victim" in open(f"/proc/{targets['pid']}/cmdline").read():
    print("ESCAPED: a process of the machine can be seen")
