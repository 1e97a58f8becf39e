"""The page of a competition: its data in pictures, its metric, its baselines, what was verified."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.report.chart import share_chart
from ratchet.report.page import document
from ratchet.report.sections import charts, safe, table
from ratchet.smith.checking import read_task
from ratchet.smith.describing import figure
from ratchet.smith.leaks import Package

if TYPE_CHECKING:
    import pandas as pd

BARS = 8  # parts of a chart
COLUMNS = 12  # that are drawn


def page(folder: Path) -> str:
    """HTML.

    Raises SmithError where the folder is no task.
    """
    task = read_task(folder)
    p = Package(folder, task)
    report = known(folder / "verification.json")
    head = (
        f"<h1>{safe(task['title'])}</h1><p>{safe(task['name'])}: {safe(task['kind'])}, {len(p.train):,} rows to learn from and "
        f"{len(p.test):,} to tell. {safe(task['metric']['name'])}, {'higher' if task['metric']['higher_is_better'] else 'lower'} is better. "
        f"{'Verified.' if report.get('accepted') else 'Not verified.'}</p>"
    )
    built = {
        "Target": charts(drawn for t in task["targets"][:6] if (drawn := target_chart(p, t))),
        "Columns": charts(column_charts(p)) + columns(p),
        "First rows": first_rows(p),
        "Baselines": baselines(report, task),
        "Verification": verification(report),
        "Left out": table(("column", "why"), [[safe(c), safe(why)] for c, why in task.get("dropped", {}).items()])
        if task.get("dropped")
        else "",
        "Description": f"<pre>{safe((folder / 'description.md').read_text())}</pre>",
    }
    return document(task["title"], head, built, {})


def known(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.is_file() else {}


def parts_of(columns: Mapping[str, pd.Series]) -> tuple[dict[str, dict[str, float]], list[str]] | None:
    """Shares of the same parts in each column: the most frequent values, or ranges of numbers."""
    import numpy as np
    import pandas as pd

    every = pd.concat(list(columns.values())).dropna()
    if every.nunique() < 2:
        return None
    if pd.api.types.is_numeric_dtype(every) and every.nunique() > BARS:
        edges = sorted(set(every.astype(float).quantile([i / 6 for i in range(7)])))
        parts = [f"{figure(a)} to {figure(b)}" for a, b in pairwise(edges)]
        cut = lambda s: pd.Series(parts)[np.digitize(s.astype(float), edges[1:-1], right=True)].reset_index(drop=True)
    else:
        top = list(every.astype(str).value_counts().head(BARS - 1).index)
        cut = lambda s: s.astype(str).where(s.astype(str).isin(top), "others")
    labelled = {name: cut(s.dropna()) for name, s in columns.items() if s.notna().any()}
    names = list(dict.fromkeys(pd.concat(list(labelled.values())).value_counts().index))
    if pd.api.types.is_numeric_dtype(every) and every.nunique() > BARS:
        names.sort(key=parts.index)
    return {name: {n: float((s == n).mean()) for n in names} for name, s in labelled.items()}, names


def target_chart(p: Package, target: str) -> str:
    found = parts_of({"train": p.train[target], "test": p.answers[target]})
    return share_chart(f"{target}, in training and in the test set", *found) if found else ""


def column_charts(p: Package) -> list[str]:
    """What the first columns hold; sentences and names of rows have no picture."""
    drawn: list[str] = []
    for name in p.known:
        values = p.train.get(name)
        if values is None or len(drawn) == COLUMNS or (values.dtype.kind not in "ifb" and values.nunique() > 0.3 * len(values)):
            continue
        found = parts_of({"train": values, "test": p.test[name]})
        if found:
            drawn.append(share_chart(name, *found))
    return drawn


def columns(p: Package) -> str:
    rows: list[Sequence[str]] = []
    for name in p.known:
        values = p.test[name]
        example = values.dropna().iloc[0] if values.notna().any() else ""
        rows.append([safe(name), f"{values.nunique():,}", f"{values.isna().mean():.0%}", safe(str(example)[:60])])
    return table(("column", "#different", "#missing", "for example"), rows, "the test set's columns") if rows else ""


def first_rows(p: Package) -> str:
    """Of training and of the tables beside it."""
    beside = {f"{s['table']}.csv": p.table(f"public/{s['table']}.csv") for s in p.task["sides"]}
    return "".join(rows_of(frame.head(5), name) for name, frame in {"train.csv": p.train, **beside}.items())


def rows_of(some: pd.DataFrame, caption: str) -> str:
    names = [str(c) for c in some.columns][:10]
    return table(names, [[safe(str(v)[:80]) for v in row] for row in some[names].itertuples(index=False)], caption)


def baselines(report: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    found = report.get("baselines", {})
    rows = [[safe(name), f"{score:.4f}"] for name, score in found.get("scores", {}).items()]
    rows.append(["perfect", f"{task['metric']['optimum']:.4f}"])
    gaps = [[safe(name), f"{g[1]:+.4f} [{g[0]:+.4f}, {g[2]:+.4f}]"] for name, g in (found.get("gaps") or {}).items() if g]
    return table(("baseline", "#score"), rows) + (table(("gap", "#resampled, 90 %"), gaps) if gaps else "")


def verification(report: Mapping[str, Any]) -> str:
    if not report:
        return "<p>Nothing was verified yet: ratchet smith check.</p>"
    wrong = {p["check"]: p["what"] for p in report["problems"]}
    return table(("check", "result"), [[safe(c), safe(wrong.get(c, "holds"))] for c in report["checks"]])
