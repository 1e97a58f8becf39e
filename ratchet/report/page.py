"""`report.html`: one file that shows a run's records. The same records give the same bytes.

The page asks the network for nothing and runs no script but its own: its security policy names that script by hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ratchet.core import journal
from ratchet.core.errors import StoreError
from ratchet.loop.store import read_traces, write_text
from ratchet.report import sections, traces


@dataclass(frozen=True)
class Records:
    """What a run's folder says. `summary` is empty while the run is unfinished."""

    folder: Path
    recipe: dict[str, Any]
    start: dict[str, Any]
    turns: list[dict[str, Any]]
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        """How many turns the recipe asks for."""
        phases = (self.recipe.get(name) for name in ("imitation", "reinforcement"))
        return sum(p["turns"] for p in phases if p)


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run's folder. StoreError where there is no run, or its records are damaged."""
    records = read_records(folder)
    target = folder / "report.html"
    write_text(target, page(records))
    return target


def read_records(folder: Path) -> Records:
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


def page(records: Records) -> str:
    """The whole page. Whatever the records hold is a value of the template, never part of it."""
    beside = files("ratchet.report")
    template, css, js = (beside.joinpath(f"page.{end}").read_text(encoding="utf-8") for end in ("html", "css", "js"))
    data, note = browser(records)
    name = sections.safe(records.recipe["name"])
    built = {title: body for title, body in sections.build(records) if body}
    if data:
        built["Traces"] = sections.browser_frame(data)
    elif note:
        built["Traces"] = f"<p>{sections.safe(note)}</p>"
    built.update(sections.build_record(records))
    return Template(template).substitute(
        title=f"{name}: report of a run",
        style_hash=digest(css),
        script_hash=digest(js),
        css=css,
        js=js,
        head=sections.headline(records),
        contents="".join(f'<li><a href="#{sections.anchor(t)}">{t}</a></li>' for t in built),
        body="".join(sections.section(t, b) for t, b in built.items()),
        data=traces.embedded(data),
    )


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def browser(records: Records) -> tuple[dict[str, Any], str]:
    """The traces to browse, or why there are none: held-out ones of both models, else the last turn's draws."""
    place = records.folder / "traces"
    if records.summary:
        before, after = (place / f"heldout-{s['stage']}.jsonl.gz" for s in records.summary["stages"][-2:])
        columns = {"before": before, "after": after}
    else:
        drawn = [f for f in sorted(place.glob("turn-*.jsonl.gz")) if f.name[5:9].isdigit()]
        if not drawn:
            return {}, ""
        columns = {f"turn {int(drawn[-1].name[5:9]) + 1}": drawn[-1]}
    gone = [f.name for f in columns.values() if not f.exists()]
    if gone:
        return {}, f"The traces are not in the folder any more: {', '.join(gone)}."
    try:
        return traces.collect({name: read_traces(file) for name, file in columns.items()}), ""
    except StoreError as e:
        # the numbers of a run are worth a page even where its traces are lost
        return {}, f"The traces cannot be shown: {e}."
