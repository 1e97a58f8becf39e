"""Languages: one short YAML file each. A new language is a new file; anywhere a name is taken, a path of such a file is too."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from ratchet.core.errors import SandboxError, nearest
from ratchet.verify.sandbox.runs import Limits, Run
from ratchet.verify.sandbox.sandbox import Program, Sandbox

FOLDER = Path(__file__).parent / "languages"
SEARCHED = ("/usr/local/bin", "/usr/bin", "/bin")
COMPILING = Limits(seconds=30.0, memory=1024, disk=256, output=1 << 16)


@dataclass(frozen=True)
class Language:
    """`file` is what the source is saved as; `compile` makes `artifact` from it, which is then all that `run` gets. Without
    `run`, Python in the sandbox's own interpreter. `limits` replace those of `Limits`; `package` is Debian's, to install."""

    name: str
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    artifact: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    package: str = ""

    def missing(self) -> str:
        """The program of this language that is not installed, or ""."""
        for command in (self.compile, self.run):
            if command and "/" not in command[0] and not any(os.access(f"{d}/{command[0]}", os.X_OK) for d in SEARCHED):
                return command[0]
        return ""

    def bounds(self, **changed: Any) -> Limits:
        bounds: dict[str, Any] = {**self.limits, **changed}
        return Limits(**bounds)


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def language(name: str) -> Language:
    """A language by its name, or by the path of its file. SandboxError for an unknown name or a file that is none."""
    import yaml

    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise SandboxError(f'no language named "{name}"; {nearest(name, names(), 20)}, or a path of a .yaml file') from None
    try:
        return read(yaml.safe_load(text), str(path))
    except yaml.YAMLError as e:
        raise SandboxError(f"{path} is not YAML: {' '.join(str(e).split())}") from None


def by_ending(file: Path) -> Language:
    """The language whose files end as this one does."""
    endings = {Path(language(name).file).suffix: name for name in names()}
    if file.suffix not in endings:
        raise SandboxError(
            f"{file}: no language has files that end in {file.suffix!r}; name one with --language ({', '.join(names())})"
        )
    return language(endings[file.suffix])


def read(data: Any, where: str) -> Language:
    """A language from what stands in its file."""
    known = {f.name: f for f in fields(Language)}
    if not isinstance(data, dict):
        raise SandboxError(f"{where}: a language is a list of settings such as `name: lua`, got {data!r}")
    values = cast(dict[str, Any], data)
    for name, value in values.items():
        if name not in known:
            raise SandboxError(f'{where}: a language has no setting "{name}"; {nearest(name, known)}')
        wanted = list if name in ("run", "compile") else dict if name == "limits" else str
        if not isinstance(value, wanted) or (wanted is list and not all(isinstance(v, str) for v in value)):
            kind = {list: "a list of texts such as [lua5.4, program.lua]", dict: "settings such as {memory: 512}", str: "a text"}
            raise SandboxError(f"{where}: {name} takes {kind[wanted]}, got {value!r}")
    for name in ("name", "file", "run"):
        if name not in values:
            raise SandboxError(f"{where}: {name} is missing; a language needs name, file and run")
    allowed = {f.name for f in fields(Limits)}
    for name, value in values.get("limits", {}).items():
        if name not in allowed or isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise SandboxError(f"{where}: limits.{name} must be one of {', '.join(sorted(allowed))} and above 0, got {value!r}")
    if ("compile" in values) != ("artifact" in values):
        raise SandboxError(f"{where}: compile and artifact (the file that compiling makes) go together")
    for name in ("file", "artifact"):
        if "/" in values.get(name, ""):
            raise SandboxError(f"{where}: {name} is a file name without folders, got {values[name]!r}")
    commands: dict[str, Any] = {n: tuple(values.get(n, ())) for n in ("run", "compile")}
    return Language(**{**values, **commands})


class Compiler:
    """Makes programs from sources; what was compiled is kept by the hash of language and source, up to `most` bytes."""

    def __init__(self, sandbox: Sandbox, most: int = 256 << 20) -> None:
        self.sandbox, self.most = sandbox, most
        self.kept: OrderedDict[str, Program | Run] = OrderedDict()
        self.size = 0
        self.lock = threading.Lock()

    def __call__(self, language: Language, source: str, limits: Limits | None = None) -> Program | Run:
        """A program, or the run of the compiler that refused it. SandboxError where the language is not installed."""
        if tool := language.missing():
            raise SandboxError(
                f'the language "{language.name}" needs the program {tool}, which is not installed; apt-get install {language.package}'
            )
        own = limits or language.bounds()
        content = source.encode("utf-8", "surrogatepass")
        if not language.compile:
            return Program({language.file: content}, language.run, own)
        key = hashlib.blake2b(repr((language, source)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        with self.lock:
            found = self.kept.get(key)
            if found is not None:
                self.kept.move_to_end(key)
        if found is None:
            found = self.compiled(language, content)
            self.keep(key, found)
        return replace(found, limits=own) if isinstance(found, Program) else found

    def compiled(self, language: Language, content: bytes) -> Program | Run:
        run = self.sandbox.run(Program({language.file: content}, language.compile, COMPILING, keep=language.artifact))
        if not run.ok or run.kept is None:
            return replace(run, exit=run.exit or 1)
        return Program({language.artifact: run.kept}, language.run, executable=True)

    def keep(self, key: str, made: Program | Run) -> None:
        size = len(made.kept or b"") if isinstance(made, Run) else sum(map(len, made.files.values()))
        with self.lock:
            if key not in self.kept and size <= self.most:
                self.kept[key] = made
                self.size += size
            while self.size > self.most:
                _, old = self.kept.popitem(last=False)
                self.size -= 0 if isinstance(old, Run) else sum(map(len, old.files.values()))
