"""Open sockets that no network namespace bounds: packets, kernel messages, virtual machines, cryptography."""

import socket

for name, family in {
    "packet": 17,
    "vsock": 40,
    "alg": 38,
    "netlink": 16,
    "bluetooth": 31,
    "can": 29,
    "xdp": 44,
    "tipc": 30,
}.items():
    for kind in (socket.SOCK_RAW, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind)
            print("ESCAPED: opened a socket of", name)
        except OSError as e:
            print(name, e)
for kind in (1, 6, 17):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, kind)
        print("ESCAPED: opened a raw socket")
    except OSError as e:
        print(e)
