"""Have a name looked up, which tells it to the outside."""

import socket

for name in ("example.com", "ratchet.example.org"):
    try:
        print("ESCAPED: looked up", socket.gethostbyname(name))
    except OSError as e:
        print(e)
try:
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(1)
    s.sendto(query, ("8.8.8.8", 53))
    print("ESCAPED: a name server answered", s.recv(10))
except OSError as e:
    print(e)
