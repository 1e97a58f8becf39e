"""Scripts of a task, run in the sandbox: prepare, solve, grade. What they are made of may have been written by a model."""

from __future__ import annotations

import io
import json
import os
import shutil
import site
import sysconfig
import tarfile
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import SmithError

if TYPE_CHECKING:
    from ratchet.verify.sandbox.runs import Limits, Run
    from ratchet.verify.sandbox.sandbox import Sandbox

INSIDE = Path(__file__).parent / "inside"
MMAP_THRESHOLD = -3  # of mallopt
MEMORY, DISK, SECONDS = 6_144, 2_048, 120.0


def room(raw: Path, wardens: int = 1) -> Sandbox:
    """A sandbox that sees the raw files, pandas and scikit-learn. Close it, or use it in a `with`."""
    from ratchet.verify.sandbox.sandbox import Sandbox

    folders = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()])
    return Sandbox(wardens, paths=[str(raw)], python_path=[*folders, str(INSIDE)], modules=("smith_preload",))


@contextmanager
def readable(raw: Path) -> Generator[Path]:
    """The folder, or a copy of it where the user that the sandbox runs programs as could not read it: root's private files."""
    every = [raw, *raw.rglob("*")] if raw.is_dir() else [raw]
    linked = any(p.is_symlink() for p in every)  # a link may lead out of what the sandbox sees, to nowhere, or round in a ring
    if not linked and (
        os.geteuid() != 0 or all(p.stat().st_mode & (need := 0o005 if p.is_dir() else 0o004) == need for p in every)
    ):
        yield raw
        return
    with tempfile.TemporaryDirectory() as home:
        copy = Path(home) / raw.name
        for path in (p for p in every if p.is_file()):
            to = copy if path == raw else copy / path.relative_to(raw)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
        if raw.is_dir():
            copy.mkdir(exist_ok=True)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield copy


def give_memory_back() -> None:
    """Of arrays that are freed, at once: left alone, glibc learns to keep them, and copies of a table add up. For commands, since it
    holds for the whole process; where the C library knows no such thing, nothing happens."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, 1 << 17)
    with suppress(ImportError):
        import pyarrow

        pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # its own keeps what it frees, too


def limits(seconds: float = SECONDS) -> Limits:
    from ratchet.verify.sandbox.runs import Limits

    return Limits(seconds=seconds, memory=MEMORY, disk=DISK, output=1 << 20, processes=64)


@dataclass(frozen=True)
class Tried:
    """What a script left behind: its files, what it said, and how it ended ("" where it ended well)."""

    files: Mapping[str, bytes]
    said: str
    failed: str


def run(
    sandbox: Sandbox,
    script: str,
    files: Mapping[str, bytes | Path],
    arguments: Sequence[str] = (),
    seconds: float = SECONDS,
) -> Tried:
    """Run a script, as if started with the arguments in a folder that holds the files (contents, or where they lie); everything below
    `out/` comes back. The sandbox's files have no folders, so they go in and out as archives."""
    from ratchet.verify.sandbox.sandbox import Program

    main = (INSIDE / "start.py").read_bytes()
    given = {
        "start.py": main,
        "script.py": script.encode(),
        "arguments.json": json.dumps(list(arguments)).encode(),
        "in.tar": packed(files),
    }
    ended: Run = sandbox.run(Program(given, limits=limits(seconds), keep="out.tar"))
    kept = unpack(ended.kept) if ended.kept else {}
    said = ended.stdout.decode(errors="replace")
    if ended.ok:
        return Tried(kept, said, "")
    last = ended.stderr.decode(errors="replace").strip().splitlines()
    return Tried(kept, said, f"{ended.ending()}: {last[-1][:300]}" if last else ended.ending())


def packed(files: Mapping[str, bytes | Path]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, given in files.items():
            content = given.read_bytes() if isinstance(given, Path) else given
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return held.getvalue()


def save(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def unpack(data: bytes) -> dict[str, bytes]:
    """Files of a tar archive that nobody trusts: plain files only, by names that stay below."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                parts = Path(member.name).parts
                file = (
                    archive.extractfile(member)
                    if member.isreg() and ".." not in parts and not member.name.startswith("/")
                    else None
                )
                if file is not None:
                    found[member.name] = file.read()
    except tarfile.TarError:
        return {}
    return found


@cache
def needed() -> None:
    """Raises SmithError where what the tasks need is not installed."""
    from importlib.util import find_spec

    missing = [
        name
        for module, name in (("pandas", "pandas"), ("sklearn", "scikit-learn"), ("PIL", "pillow"))
        if find_spec(module) is None
    ]
    if missing:
        raise SmithError(f"{' and '.join(missing)} not installed; `pip install 'ratchet[smith]'` brings what competitions need")


def read_json(text: str) -> Any:
    """The last line of what a script said, as JSON; None where it is not."""
    try:
        return json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
