"""Write anywhere but in the room that is given."""

import os
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
places = [
    targets["folder"] + "/made",
    targets["victim"],
    "/made",
    "/usr/made",
    "/usr/bin/python3",
    "/etc/made",
    "/etc/passwd",
    "/dev/made",
]
places += ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/uid_map", "/proc/1/oom_score_adj", "/var/tmp/made"]
places += [
    "/proc/sys/kernel/hostname",
    "/sys/kernel/uevent_helper",
    "/home/made",
    "/root/made",
    "/run/made",
    targets["python"] + "/made",
]
for path in places:
    try:
        with open(path, "ab") as f:
            f.write(b"here")
            f.flush()
        print("ESCAPED: wrote", path)
    except OSError as e:
        print(e)
for path in ("/usr", "/etc", "/bin/sh", "/dev/null", targets["victim"]):
    for change in (
        lambda p: os.chmod(p, 0o777),
        lambda p: os.rename(p, p + ".moved"),
        os.unlink,
        lambda p: os.chown(p, 1000, 1000),
    ):
        try:
            change(path)
            print("ESCAPED: changed", path)
        except OSError as e:
            print(e)
