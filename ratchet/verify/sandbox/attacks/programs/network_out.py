"""Reach a host on the internet."""

import socket

for host, port in (("1.1.1.1", 53), ("8.8.8.8", 443), ("169.254.169.254", 80)):
    try:
        socket.create_connection((host, port), timeout=1)
        print("ESCAPED: connected to", host)
    except OSError as e:
        print(e)
