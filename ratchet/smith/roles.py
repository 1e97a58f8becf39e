"""The three roles that make a task, and the rules that play them without any model.

The brainstormer says what to ask, the designer what a competitor reads, the refactor how it is put into files. Each is told what
was wrong with its work, and may answer with another try.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from ratchet.smith.checking import Problem
from ratchet.smith.describing import describe
from ratchet.smith.formulation import Dataset, Formulation, proposers
from ratchet.smith.kinds.columns import COLUMNS, FEATURES, ROWS
from ratchet.smith.package import plan_of, scripts
from ratchet.smith.preparing import freed

MOST = 200  # features of a task
LESS = 0.7  # what a candidate loses for each earlier one of its kind, of its target, of its table


class Roles(Protocol):
    def brainstorm(self, data: Dataset) -> Iterator[Formulation]:
        """Candidates, the most promising first."""
        ...

    def reformulate(self, data: Dataset, f: Formulation, wrong: Problem) -> Formulation | None:
        """The brainstormer's answer to a problem; None where it has none."""
        ...

    def design(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> str:
        """The description, in Markdown."""
        ...

    def refactor(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> dict[str, str]:
        """`prepare.py` and `metric.py`."""
        ...


def freed_names(data: Dataset) -> Dataset:
    """The data as the roles see it: columns whose names are ours have others, as `preparing.freed` gives them."""
    frames = {table: freed(frame) for table, frame in data.frames.items()}
    new = {t: dict(zip(map(str, data.frames[t].columns), map(str, frames[t].columns))) for t in frames}
    if all(a == b for names in new.values() for a, b in names.items()):
        return data
    profiles = {
        t: replace(p, columns=tuple(replace(c, name=new[t].get(c.name, c.name)) for c in p.columns))
        for t, p in data.profiles.items()
    }
    links = [replace(k, column=new[k.table].get(k.column, k.column), key=new[k.other].get(k.key, k.key)) for k in data.links]
    return replace(data, frames=frames, profiles=profiles, links=links, together={})


class Rules:
    """No model at all: the same data gives the same tasks."""

    def brainstorm(self, data: Dataset) -> Iterator[Formulation]:
        every = [f for entry in proposers for f in entry.value(data)]
        return (narrowed(data, f) for f in ranked(every))

    def reformulate(self, data: Dataset, f: Formulation, wrong: Problem) -> Formulation | None:
        named = [c for c in f.features if wrong.what.startswith(f"{c} ") or wrong.what.startswith(f"{c}, ")]
        if wrong.check.startswith("leak: ") and named and len(f.features) > 2:
            kept = tuple(c for c in f.features if c != named[0])
            return replace(f, features=kept, dropped=f.dropped | {named[0]: wrong.what})
        if wrong.check == "it is not trivial" and f.metric == "auc":
            return replace(f, metric="average_precision")
        return None

    def design(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> str:
        return describe(data, f, plan_of(data, f)["answer"])

    def refactor(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> dict[str, str]:
        return scripts(data, f)


def nothing(data: Dataset) -> str:
    """Why there is nothing to ask of this data, of the table that comes nearest."""
    if not data.mains:
        return "there is no table in it"
    frame, profile = max((data.main(m) for m in data.mains), key=lambda pair: (len(pair[0]), len(pair[1].columns)))
    filled = [c for c in profile.columns if c.kind not in ("empty", "constant")]
    named = f"{profile.table} has"
    if len(frame) < ROWS:
        return f"too few rows: {named} {len(frame):,}, and a table needs {ROWS}"
    if profile.of("text", "image") and len(frame) < 200:
        return f"too few rows: {named} {len(frame):,}, and texts and images need 200"
    if len(filled) < 2:
        return f"too few columns: {named} {len(filled)} with different values, and a target needs another to tell it by"
    usable = profile.of(*FEATURES)
    if len(usable) < COLUMNS and not profile.of("text", "image"):
        return (
            f"too few columns: {named} {len(usable)} that are neither names of rows nor of one value, and a table needs {COLUMNS}"
        )
    kinds = ", ".join(f"{c.name} ({c.kind})" for c in profile.columns[:8])
    return f"no column can be a target: {named} {len(frame):,} rows of {kinds}"


def narrowed(data: Dataset, f: Formulation) -> Formulation:
    """Of very many features the few hundred that each say most of the target by themselves: more are not looked at in good time."""
    import numpy as np
    import pandas as pd

    from ratchet.smith.probing import coded, sampled

    frame, _ = data.main(f.tables)
    names = [c for c in f.features if c in frame]
    if len(names) <= MOST or f.targets[0] not in frame:
        return f
    rows = sampled(frame[frame[f.targets[0]].notna()])
    target = rows[f.targets[0]]
    y = pd.get_dummies(target.astype(str)).to_numpy(float) if f.classes else target.rank().to_numpy(float)[:, None]
    x = pd.DataFrame(np.column_stack([coded(rows[c]) for c in names])).rank().fillna(0).to_numpy(float)
    x, y = ((m - m.mean(0)) / np.where(m.std(0) > 0, m.std(0), np.inf) for m in (x, y))
    told = np.abs(x.T @ y).max(1)
    kept = {names[i] for i in np.argsort(-told, kind="stable")[:MOST]}
    kept |= {c for c in f.features if c not in names} | {s["column"] for s in f.extra.get("sides", ())}
    left = dict.fromkeys((c for c in names if c not in kept), f"not among the {MOST} of {len(names)} columns that say most")
    return replace(f, features=tuple(c for c in f.features if c in kept), dropped=f.dropped | left)


def ranked(waiting: list[Formulation]) -> Iterator[Formulation]:
    """The most promising first; what resembles one that stands above it falls behind."""
    seen: dict[tuple[str, object], int] = {}
    marks = lambda f: (("kind", f.kind), ("target", f.targets), ("table", f.tables))
    rank = lambda f: (f.score - sum(LESS * seen.get(m, 0) for m in marks(f)), f.name)
    names = set[str]()
    while waiting:
        best = max(waiting, key=rank)
        waiting.remove(best)
        if best.name in names:
            continue
        names.add(best.name)
        yield best
        for m in marks(best):
            seen[m] = seen.get(m, 0) + 1
