"""Send a datagram to the loopback of the machine."""

import socket
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"here", ("127.0.0.1", int(targets["datagrams"])))
    print("it may have been sent; the receiver knows")
except OSError as e:
    print(e)
