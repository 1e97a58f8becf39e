"""The page of `ratchet curate`: what was kept, what was dropped by which filter and why, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratchet.report.chart import share_chart
from ratchet.report.page import document
from ratchet.report.sections import charts, safe, share, table

Json = Mapping[str, Any]


def page(found: Json) -> str:
    """From the contents of `report.json`."""
    return document("What was kept, and what not", head(found), sections(found), {})


def head(found: Json) -> str:
    opened = f" {found['opened']:,} of them were multiple choice and are open questions now." if found["opened"] else ""
    return (
        f"<h1>Curation of question-answer rows</h1><p>Of {found['read']:,} rows {found['kept']:,} were kept as tasks "
        f"({100 * found['kept'] / max(found['read'], 1):.1f} %).{opened} Every dropped row stands in dropped.jsonl, with the reason and "
        "what shows it.</p>"
    )


def sections(found: Json) -> dict[str, str]:
    return {
        "Filters": table(
            ("filter", "#dropped", "#of all rows", "what it drops"),
            [
                [safe(f["name"]), f"{f['dropped']:,}", f"{100 * f['dropped'] / max(found['read'], 1):.2f} %", safe(f["summary"])]
                for f in found["filters"]
            ],
            "in the order in which they see a row; the first that drops it counts",
        ),
        "Reasons": table(
            ("reason", "#rows", "filter"),
            [[safe(reason), f"{n:,}", safe(name)] for name, counts in found["reasons"].items() for reason, n in counts.items()],
        ),
        "Files": files(found),
        "Difficulty": difficulty(found.get("difficulty")),
        "Examples": "".join(examples(name, rows) for name, rows in found["examples"].items()),
        "Settings": table(("", ""), [[safe(k), safe(v)] for k, v in found["settings"].items()]),
    }


def files(found: Json) -> str:
    """Kept and dropped by file."""
    bars = {name: counts.get("kept", 0) / max(sum(counts.values()), 1) for name, counts in found["files"].items()}
    drawn = share_chart(
        "Kept and dropped, by file", {n: {"kept": x, "dropped": 1 - x} for n, x in bars.items()}, ["kept", "dropped"]
    )
    rows = [[safe(n), f"{sum(c.values()):,}", f"{c.get('kept', 0):,}"] for n, c in found["files"].items()]
    return charts([drawn]) + table(("file", "#rows", "#kept"), rows)


def difficulty(measured: Json | None) -> str:
    if not measured:
        return ""
    rows = [[safe(name), f"{n:,}"] for name, n in measured["rates"].items()]
    return f"<p>{safe(measured['engine'])}: mean solve rate {share(measured['mean'])}.</p>" + table(
        ("solve rate", "#tasks"), rows
    )


def examples(name: str, rows: list[Json]) -> str:
    cells = [
        [safe(r["where"]), safe(r["question"][:300]), safe(r["answer"][:80]), safe(r["reason"]), safe(r["evidence"])]
        for r in rows
    ]
    return table(("row", "question", "answer", "reason", "what shows it"), cells, f"{name}: the first that it dropped")
