"""Kill the supervisor, its parents and whatever else there is."""

import os
import signal
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
for pid in (int(targets["pid"]), int(targets["supervisor"]), os.getppid(), 1, 0, -1):
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1):
        if pid in (0, -1):
            signal.signal(number, signal.SIG_IGN) if number not in (signal.SIGSTOP, signal.SIGKILL) else None
            continue
        try:
            os.kill(pid, number)
            print("sent", number, "to", pid)
        except OSError as e:
            print(pid, e)
try:
    fd = os.pidfd_open(int(targets["pid"]))
    signal.pidfd_send_signal(fd, signal.SIGKILL)
except OSError as e:
    print(e)
os.kill(-1, signal.SIGKILL)
