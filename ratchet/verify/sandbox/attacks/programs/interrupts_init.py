"""Interrupt the first process, so that it tells of a fault of its own."""
import os
import signal

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    try:
        os.kill(1, number)
    except OSError as e:
        print(e)
