"""Dependencies between the folders run one way."""

from __future__ import annotations

import ast
from pathlib import Path

import ratchet

ROOT = Path(ratchet.__file__).parent
MAY_USE = {
    "core": set[str](),
    "tasks": {"core"},
    "verify": {"core"},
    "models": {"core"},
    "search": {"core", "tasks", "verify", "models"},
    "learn": {"core", "tasks", "verify", "models"},
    "measure": {"core", "tasks", "verify", "models"},
    "data": {"core", "tasks", "verify", "models"},
    "smith": {"core", "tasks", "verify", "models"},
    "loop": {"core", "tasks", "verify", "models", "search", "learn", "measure", "data"},
    "report": {"core", "tasks", "verify", "models", "search", "learn", "measure", "data", "smith", "loop"},
    "cli": {"core", "tasks", "verify", "models", "search", "learn", "measure", "data", "smith", "loop", "report"},
}
MAY_USE["studies"] = set(MAY_USE)
WITHOUT_TORCH = {"core", "tasks", "verify", "measure", "data", "smith", "report"}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
    return found


def violations(folder: str, modules: set[str]) -> set[str]:
    """The imports of a folder's file that the direction of dependencies forbids."""
    ours = {m.split(".")[1] for m in modules if m.startswith("ratchet.")}
    wrong = ours - MAY_USE[folder] - {folder}
    return wrong | ({"torch"} if folder in WITHOUT_TORCH and any(m.split(".")[0] == "torch" for m in modules) else set())


def test_dependencies_run_one_way() -> None:
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders == set(MAY_USE), "a new folder needs its place in the order"
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            assert not violations(folder, imports(file)), f"{file} imports what it may not"


def test_the_check_itself_catches_a_wrong_import() -> None:
    assert violations("core", {"ratchet.models.engine"}) == {"models"}
    assert violations("tasks", {"ratchet.verify.numeric", "torch.nn"}) == {"verify", "torch"}
    assert violations("loop", {"ratchet.learn.train", "torch"}) == set()
