"""`report.html`: one file that shows a run's records. The same records give the same bytes.

The page asks the network for nothing and runs no script but its own: its security policy names that script by hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ratchet.core.errors import StoreError
from ratchet.core.files import write_text
from ratchet.loop.store import read_traces
from ratchet.report import sections, traces
from ratchet.report.profile import profile
from ratchet.report.records import Records, read_records


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run's folder. StoreError where there is no run, or its records are damaged."""
    target = folder / "report.html"
    write_text(target, page(read_records(folder)))
    return target


def page(records: Records) -> str:
    """The whole page of a run."""
    data, note = browsed(records)
    built = {
        **sections.evidence(records),
        "Traces": sections.browser(data, note),
        "Where the time went": profile(records, {t["key"] for t in data.get("tasks", ())}),
        **sections.particulars(records),
    }
    return document(f"{records.recipe['name']}: report of a run", sections.headline(records), built, data)


def document(title: str, head: str, built: Mapping[str, str], data: Mapping[str, Any]) -> str:
    """A page of sections, those with something in them. Whatever records hold is a value of the template, never part of
    it; `head` and the sections are HTML, and `data` is what the page's script browses."""
    beside = files("ratchet.report")
    template, css, js = (beside.joinpath(f"page.{end}").read_text(encoding="utf-8") for end in ("html", "css", "js"))
    js = js if data else ""  # it browses the data
    built = {name: body for name, body in built.items() if body}
    return Template(template).substitute(
        title=sections.safe(title),
        style_hash=digest(css),
        script_hash=digest(js),
        css=css,
        js=js,
        head=head,
        contents="".join(f'<li><a href="#{sections.anchor(t)}">{sections.safe(t)}</a></li>' for t in built),
        body="\n".join(sections.section(t, b) for t, b in built.items()),
        data=traces.embedded(dict(data)),
    )


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def browsed(records: Records) -> tuple[dict[str, Any], str]:
    """The traces to browse, or why there are none: held-out ones of both models, else the last turn's draws."""
    place = records.folder / "traces"
    if records.summary:
        before, after = (place / f"heldout-{s['stage']}.jsonl.gz" for s in records.summary["stages"][-2:])
        columns = {"before": before, "after": after}
    else:
        drawn = sorted(place.glob("turn-[0-9][0-9][0-9][0-9].jsonl.gz"))
        columns = {f"turn {int(f.name[5:9]) + 1}": f for f in drawn[-1:]}
    gone = [f.name for f in columns.values() if not f.exists()]
    if gone or not columns:
        return {}, f"The traces are not in the run's folder: {', '.join(gone)}." if gone else ""
    try:
        names = traces.TWO if len(columns) == 2 else traces.ONE
        return traces.collect({name: read_traces(file) for name, file in columns.items()}, names, " → "), ""
    except StoreError as e:
        # the numbers of a run are worth a page even where its traces are lost
        return {}, f"The traces cannot be shown: {e}."
