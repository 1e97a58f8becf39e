"""An append-only journal of JSON lines, each with a checksum, flushed to the disk before it is acted on."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

from ratchet.core.errors import StoreError
from ratchet.core.files import finite


class Journal:
    """Entries survive a kill at any moment. A torn last line is dropped when read; damage elsewhere is an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = read(path)
        if path.exists():
            cut_torn_end(path)

    def append(self, kind: str, **values: Any) -> None:
        """One more entry. What is not finite is null: JSON has no word for it, and other readers refuse Python's."""
        body = json.dumps(finite({"kind": kind, **values}), sort_keys=True, allow_nan=False)
        try:
            with self.path.open("ab") as f:
                f.write(f"{zlib.crc32(body.encode()):08x} {body}\n".encode())
                f.flush()
                os.fsync(f.fileno())
        except OSError as e:
            raise StoreError(f"cannot write to {self.path}: {e.strerror or e}; free space or choose another --out") from e
        self.entries.append(json.loads(body))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [e for e in self.entries if e["kind"] == kind]


def read(path: Path) -> list[dict[str, Any]]:
    """All entries. Raises StoreError with the line's number where one was changed after it was written."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], start=1):
        checksum, _, body = line.partition(b" ")
        if checksum.decode("ascii", "replace") != f"{zlib.crc32(body):08x}":
            raise StoreError(
                f"{path}, line {number} of {len(lines) - 1} is damaged (its checksum does not fit); "
                f"to go on from what came before it, delete that line and all after it"
            )
        entries.append(json.loads(body))
    return entries


def cut_torn_end(path: Path) -> None:
    """Remove what a kill left of an unfinished last line."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as f:
            f.truncate(whole)
