"""Read what only the user of the machine may read."""

import glob
import os
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
paths = [
    targets["secret"],
    "/etc/shadow",
    "/root/.ssh",
    "/root/.bashrc",
    "/root/.cache",
    "/home",
    "/var/log",
    "/run",
    "/sys",
    "/boot",
]
paths += (
    glob.glob("/home/*/.ssh/*")
    + glob.glob("/root/*")
    + ["/proc/1/root" + targets["secret"], "/proc/self/root" + targets["secret"]]
)
paths += ["../../../../.." + targets["secret"], "/dev/fd/3", "/proc/kcore", "/dev/mem", "/dev/vda", "/dev/sda"]
for path in paths:
    try:
        if os.path.isdir(path):
            found = os.listdir(path)
            if found and not targets["python"].startswith(path):
                print("ESCAPED: listed", path, found[:5])
        else:
            print("ESCAPED: read", path, open(path, "rb").read(100))
    except OSError as e:
        print(e)
