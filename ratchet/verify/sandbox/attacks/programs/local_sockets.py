"""Reach a server through a Unix socket, by an abstract name or a path."""

import socket
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
for address in ("\0" + targets["abstract"], targets["folder"] + "/socket"):
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(address)
        s.sendall(b"here")
        print("ESCAPED: connected to", address[1:])
    except OSError as e:
        print(e)
