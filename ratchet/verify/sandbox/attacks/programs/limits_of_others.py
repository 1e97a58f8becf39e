"""Change the limits of other processes, the warden's first of all."""
import os
import resource
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
for pid in (os.getppid(), 1, int(targets["pid"]), int(targets["supervisor"])):
    if pid in (0, os.getpid()):
        continue
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0))
        print("ESCAPED: changed the limits of", pid)
    except OSError as e:
        print(e)
