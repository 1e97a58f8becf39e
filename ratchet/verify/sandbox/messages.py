"""Messages of JSON, each after its length: between the sandbox and its wardens, and from a run's init to its warden."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any

HEADER = struct.Struct("=I")


def encode(message: Mapping[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return HEADER.pack(len(body)) + body


def decode(whole: bytes) -> dict[str, Any]:
    """ValueError where it is not one whole message."""
    if len(whole) < HEADER.size or HEADER.unpack(whole[: HEADER.size])[0] != len(whole) - HEADER.size:
        raise ValueError("half a message")
    return json.loads(whole[HEADER.size :])


def send(fd: int, message: Mapping[str, Any]) -> None:
    view = memoryview(encode(message))
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> dict[str, Any]:
    """EOFError where the other side is gone."""
    return json.loads(read_exactly(fd, HEADER.unpack(read_exactly(fd, HEADER.size))[0]))


def read_exactly(fd: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
