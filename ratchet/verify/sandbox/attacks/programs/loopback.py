"""Reach a server on the loopback of the machine."""

import socket
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0"):
    try:
        socket.create_connection((host, int(targets["port"])), timeout=1).sendall(b"here")
        print("ESCAPED: connected to", host)
    except OSError as e:
        print(e)
