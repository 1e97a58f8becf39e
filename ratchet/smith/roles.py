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
from ratchet.smith.package import plan_of, scripts
from ratchet.smith.preparing import freed

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
        return ranked([f for entry in proposers for f in entry.value(data)])

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
