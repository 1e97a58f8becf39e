"""What a run's folder says, read for a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratchet.core import journal
from ratchet.core.errors import StoreError


@dataclass(frozen=True)
class Records:
    """`summary` is empty while the run is unfinished."""

    folder: Path
    recipe: dict[str, Any]
    start: dict[str, Any]
    turns: list[dict[str, Any]]
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        """How many turns the recipe asks for."""
        phases = (self.recipe.get(name) for name in ("imitation", "preferences", "reinforcement"))
        return sum(p["turns"] for p in phases if p)

    @property
    def cost(self) -> dict[str, dict[str, float]]:
        """The parts of the whole run, or of what is done so far."""
        if self.summary:
            return parts_of(self.summary["cost"])
        total: dict[str, dict[str, float]] = {}
        for part, amounts in (item for t in self.turns for item in parts_of(t["cost"]).items()):
            entry = total.setdefault(part, {})
            for name, amount in amounts.items():
                entry[name] = entry.get(name, 0) + amount
        return total

    @property
    def verifiers(self) -> dict[str, dict[str, Any]]:
        """How long verdicts took, by verifier; empty where a run did not record it."""
        costs = [self.summary["cost"]] if self.summary else [t["cost"] for t in self.turns]
        total: dict[str, dict[str, Any]] = {}
        for name, timing in (item for c in costs for item in c.get("verifiers", {}).items()):
            entry = total.setdefault(name, {"count": 0, "seconds": 0.0, "slowest": 0.0, "task": ""})
            entry["count"] += timing["count"]
            entry["seconds"] += timing["seconds"]
            if timing["slowest"] > entry["slowest"]:
                entry["slowest"], entry["task"] = timing["slowest"], timing["task"]
        return total

    @property
    def seconds(self) -> float:
        return self.summary["seconds"] if self.summary else sum(t["seconds"] for t in self.turns)


def parts_of(cost: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Tokens and seconds; the times of verifiers stand beside them and are no part of the run."""
    return {name: amounts for name, amounts in cost.items() if name != "verifiers"}


def read_records(folder: Path) -> Records:
    """StoreError where there is no run, or where its records are damaged."""
    if not (folder / "recipe.json").exists():
        raise StoreError(f"{folder} holds no run (no recipe.json in it); give the folder of a run, such as runs/countdown")
    entries = journal.read(folder / "journal.jsonl")
    # a turn that was done again after a kill stands in the journal twice; the last time counts
    turns = {e["turn"]: e for e in entries if e["kind"] == "turn"}
    return Records(
        folder=folder,
        recipe=read_object(folder / "recipe.json"),
        start=next((e for e in entries if e["kind"] == "start"), {}),
        turns=[turns[n] for n in sorted(turns)],
        summary=read_object(folder / "summary.json") if (folder / "summary.json").exists() else {},
    )


def read_object(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise StoreError(f"{file} is damaged: {e}") from None
    if not isinstance(data, dict):
        raise StoreError(f"{file} is damaged: it should hold a JSON object, and holds {type(data).__name__}")
    return data
