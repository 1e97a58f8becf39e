"""Files that are whole or absent, and folders that one process holds at a time."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from ratchet.core.errors import StoreError


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold the folder for this process; the lock goes with the process, however it ends. StoreError when it is held."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as e:
        raise StoreError(f"cannot write to {folder}: {e.strerror or e}; choose another folder with --out") from e
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another run is at work in {folder}; wait for it, or choose another folder with --out") from None
        yield


def write_text(target: Path, text: str) -> None:
    """Write a file beside its place and rename it there."""
    beside = target.with_name(f".{target.name}.writing")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        beside.replace(target)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise StoreError(f"cannot write {target}: {e.strerror or e}; free space there, then give the same command again") from e


def finite(value: Any) -> Any:
    """As JSON has it: no dataclass, and null for what is not finite (an interval of one problem has no ends)."""
    if is_dataclass(value) and not isinstance(value, type):
        return finite(asdict(value))
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
