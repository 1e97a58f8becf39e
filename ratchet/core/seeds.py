"""Randomness from hashed paths: every random choice has an address, and no two addresses share a stream.

`seed(7, "turn", 3, "task", key, "sample", 5)` is the same number on every machine and in every order of work, so
a lost worker's draw can be repeated and a sample does not depend on what else was in its batch.
"""

from __future__ import annotations

import hashlib
import random

Part = str | int


def digest(*parts: Part) -> bytes:
    """32 bytes that depend on every part, its type and its place."""
    h = hashlib.blake2b(digest_size=32)
    for part in parts:
        if type(part) not in (str, int):  # True would pass for 1, and 0.5 has no text that every machine agrees on
            raise TypeError(f"a seed path holds texts and whole numbers, got {part!r} of type {type(part).__name__}")
        # the length keeps ("ab", "c") apart from ("a", "bc"); the letter keeps 1 apart from "1"
        data = str(part).encode("utf-8", "surrogatepass")
        h.update(f"{'i' if isinstance(part, int) else 's'}{len(data)}:".encode() + data)
    return h.digest()


def seed(*path: Part) -> int:
    """A seed in [0, 2**63) from a path."""
    return int.from_bytes(digest(*path)[:8], "big") >> 1


def rng(*path: Part) -> random.Random:
    """A generator of its own for a path."""
    return random.Random(seed(*path))


def fraction(*path: Part) -> float:
    """A number in [0, 1) from a path."""
    return seed(*path) / 2**63
