"""The pipeline: rows in, tasks and drops out, one row at a time.

A row is made open where it is multiple choice and that is wished for, then seen by every filter in turn; then its answer is written
plainly; then by the set filters, so that no duplicate stands for a row that was dropped itself. The first filter that drops it is the
reason; what other filters of single rows say of it is kept beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ratchet.core.errors import RecipeError, nearest
from ratchet.core.registry import check_knobs
from ratchet.data.answers import normalised
from ratchet.data.filters import Drop, Row, filters, set_filters
from ratchet.data.open_questions import Refused, Rewrite, opened

HEAD = 5_000  # rows from which set filters learn what is common
CHOICE = "multiple-choice"  # the filter whose rows can be made into open questions
SHOWN = 5

Knobs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Dropped:
    """A row that is left out: by which filter, why, what shows it, and what else was wrong with it."""

    row: Row
    filter: str
    reason: str
    evidence: str = ""
    also: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        out = {"where": self.row.where, "filter": self.filter, "reason": self.reason, "evidence": self.evidence, "also": list(self.also),
               "question": self.row.question, "answer": self.row.answer}  # fmt: skip
        return out | ({"options": list(self.row.options)} if self.row.options else {})


@dataclass
class Tally:
    """What happened to the rows so far."""

    read: int = 0
    kept: int = 0
    opened: int = 0
    normalised: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    files: dict[str, Counter[str]] = field(default_factory=dict)
    shown: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, row: Row, drop: Dropped | None) -> None:
        name = row.where.rpartition(":")[0]
        self.read += 1
        self.files.setdefault(name, Counter())["kept" if drop is None else drop.filter] += 1
        if drop is None:
            self.kept += 1
            self.opened += row.facts.get("was") == "multiple choice"
            self.normalised += "written" in row.facts
            return
        self.dropped[drop.filter] += 1
        self.reasons.setdefault(drop.filter, Counter())[
            drop.reason.partition(" (")[0] if drop.filter != "leak" else "shares words"
        ] += 1
        shown = self.shown.setdefault(drop.filter, [])
        if len(shown) < SHOWN:
            shown.append(drop.as_json())


def names() -> list[str]:
    """All filters in the order in which they see a row."""
    return [*(e.name for e in filters), *(e.name for e in set_filters)]


def chosen(wanted: Sequence[str], knobs: Knobs) -> list[str]:
    """The filters of the names given, all without any, in the order in which they see a row. RecipeError for a wrong name."""
    there = names()
    for name in (*wanted, *knobs):
        if name not in there:
            raise RecipeError(f'no filter named "{name}"; {nearest(name, there, 20)}')
    return [name for name in there if not wanted or name in wanted]


def curate(
    rows: Iterable[Row],
    head: Sequence[Row],
    wanted: Sequence[str],
    against: Sequence[Row],
    knobs: Knobs,
    rewrite: Rewrite | None,
    tally: Tally,
) -> Iterator[Row | Dropped]:
    """Each row, kept or dropped, in the order of the stream; `head` are rows like those of the stream.

    `rewrite` makes open questions of multiple choice; None leaves them.
    """
    single = {n: partial(filters[n].find, **checked(n, filters[n].find, knobs)) for n in wanted if n in filters}
    memory = {
        n: set_filters[n].begin(head, against, **checked(n, set_filters[n].begin, knobs)) for n in wanted if n in set_filters
    }
    for row in rows:
        found = judged(row, single, memory, rewrite)
        tally.add(found.row if isinstance(found, Dropped) else found, found if isinstance(found, Dropped) else None)
        yield found


def checked(name: str, function: Callable[..., Any], knobs: Knobs) -> dict[str, Any]:
    return check_knobs("filter", name, function, knobs.get(name, {}))


def judged(
    row: Row,
    single: Mapping[str, Callable[[Row], Drop | None]],
    memory: Mapping[str, Callable[[Row], Drop | None]],
    rewrite: Rewrite | None,
) -> Row | Dropped:
    refused = ""
    if rewrite is not None and filters[CHOICE].find(row) is not None:
        try:
            row = opened(row, rewrite)
        except Refused as e:
            refused = str(e)
    drops = {name: drop for name, find in single.items() if (drop := find(row)) is not None}
    if drops:
        first, drop = next(iter(drops.items()))
        if refused and CHOICE in drops:
            first, drop = CHOICE, replace(drops[CHOICE], reason=f"{drops[CHOICE].reason}; not made open: {refused}")
        return Dropped(row, first, drop.reason, drop.evidence, tuple(n for n in drops if n != first))
    plain = normalised(row.answer)
    if plain != row.answer:
        row = replace(row, answer=plain, facts={**row.facts, "written": row.answer})
    for name, find in memory.items():
        found = find(row)
        if found is not None:
            return Dropped(row, name, found.reason, found.evidence)
    return row


def task_row(row: Row) -> dict[str, Any]:
    """The row as a line of a task file, as `ratchet run rlvr --set tasks=` reads it."""
    return {"prompt": row.question, "answer": row.answer, "verifier": "math", "facts": {"source": row.where, **row.facts}}
