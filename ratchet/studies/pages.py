"""What studies found, for readers: a page with figures per study, and a table of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ratchet.core.files import write_text
from ratchet.report.page import document
from ratchet.report.sections import charts, safe, table
from ratchet.studies.running import results_of
from ratchet.studies.study import Result, Study, studies

Json = Mapping[str, Any]


def shown(e: Json) -> str:
    """An effect with its interval and what was sampled. The largest or smallest of all seeds has no interval."""
    value, low, high = (None if e[x] is None or not math.isfinite(e[x]) else e[x] for x in ("value", "low", "high"))
    n = f"n = {e['n']:,} {e['unit']}"
    if value is None:
        return f"unknown ({n})"
    if (low is None and high is None) or low == high:
        return f"{value:.4g} ({n}; no interval)"
    ends = (f"{-math.inf if low is None else low:.4g}", f"{math.inf if high is None else high:.4g}")
    return f"{value:.4g} [{', '.join(ends)}] ({n})"


def settling(check: Json) -> str:
    return f"about {check['needed']:,} {check['effect']['unit']}" if check["needed"] else ""


def verdict(check: Json) -> str:
    more = settling(check)
    return check["outcome"] + (f"; {more} would settle it" if more else "")


def duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def lines(found: Mapping[str, tuple[dict[str, Any], Path]]) -> list[list[str]]:
    """A row per claim: study, claim, outcome, the check that decides it, seeds, time, whether the record is stale."""
    rows: list[list[str]] = []
    for name, (record, _) in sorted(found.items()):
        state = "no such study any more" if name not in studies else "" if studies[name].hash() == record["hash"] else "stale"
        for claim in record["claims"]:
            weakest = next(c for c in claim["checks"] if c["outcome"] == claim["outcome"])
            effect = f"{weakest['what']}: {shown(weakest['effect'])}, to be {weakest['demand']}"
            rows.append(
                [name, claim["name"], claim["outcome"], effect, str(len(record["seeds"])), duration(record["seconds"]), state]
            )
    return rows


HEAD = ("study", "claim", "outcome", "the check that decides", "seeds", "cost, one thread", "record")


def study_page(study: Study, record: Json, results: Sequence[Result], finding: str = "") -> str:
    """The page of one study. The same record gives the same bytes. `finding` is what was looked into after the outcome was
    known, in paragraphs."""
    stale = (
        "" if study.hash() == record["hash"] else "<p><strong>Stale:</strong> the study's file has changed since it was run.</p>"
    )
    outcomes = "".join(
        f"<li><strong>{c['outcome']}</strong> {safe(c['name'])}: {safe(c['sentence'])}</li>" for c in record["claims"]
    )
    head = f"<h1>{safe(study.title)}</h1><p>{safe(study.paper)}</p>{stale}<ul>{outcomes}</ul>"
    checks = [
        [safe(x) for x in (claim["name"], c["outcome"], c["what"], shown(c["effect"]), c["demand"], settling(c))]
        for claim in record["claims"]
        for c in claim["checks"]
    ]
    setting = {"Tasks": study.tasks, "Metric": study.metric, "Budget": study.budget}
    spent = f"seeds {', '.join(map(str, record['seeds']))}; {duration(record['seconds'])} of one thread in all; " + ", ".join(
        f"{name} {number}" for name, number in record["versions"].items()
    )
    built = {
        "Checks": table(("claim", "outcome", "check", "effect, 95 % interval", "threshold", "would settle it"), checks),
        "Why": "".join(f"<p>{safe(part)}</p>" for part in finding.strip().split("\n\n") if part),
        "Figures": charts(study.figures(results)),
        "Arms": table(("arm", "what it is"), [[safe(a), safe(what)] for a, what in study.arms.items()]),
        "Setting": table(("", ""), [[safe(n), safe(what)] for n, what in setting.items()]),
        "Departures": f"<p>{safe(study.departures)}</p>",
        "Scale": f"<p>{safe(study.scale)}</p>",
        "Run": f"<p>{safe(spent)}</p>",
    }
    return document(f"{study.name}: a claim re-tested", head, {title: part for title, part in built.items() if part}, {})


def write_pages(found: Mapping[str, tuple[dict[str, Any], Path]], target: Path) -> list[Path]:
    """Write `NAME.html` for every study with a record, and a table of all in `README.md`."""
    written: list[Path] = []
    for name, (record, folder) in sorted(found.items()):
        if name in studies:
            study = studies[name]
            after = folder / "finding.txt"
            finding = after.read_text() if after.exists() else ""
            write_text(page := target / f"{name}.html", study_page(study, record, results_of(study, record, folder), finding))
            written.append(page)
    rows = [["`" + r[0] + "`", *(cell.replace("|", "\\|") for cell in r[1:])] for r in lines(found)]
    body = "\n".join("| " + " | ".join(r) + " |" for r in rows)
    text = (
        "# Claims, re-tested\n\nMade by `ratchet study table --write docs/claims` from the records in `ratchet/studies/records`; the\n"
        "pages beside this file have each study's checks and figures. An outcome is HELD where the whole interval of every\n"
        "check is on the right side of a threshold fixed before, FAILED where that of one is on the wrong side, and\n"
        "UNRESOLVED between. The largest or smallest number of all seeds has no interval: there the number itself is held\n"
        "against the threshold.\n\n"
        f"| {' | '.join(HEAD)} |\n| {' | '.join('---' for _ in HEAD)} |\n{body}\n"
    )
    write_text(readme := target / "README.md", text)
    return [*written, readme]
