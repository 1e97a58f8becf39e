"""What a filter of rows is, and the names they are found by.

A filter looks at one row; a set filter has a memory, and looks at one row after the others. Each brings decoys: rows that it must
drop. A plain closed question must pass all of them (`tests/test_curate.py` measures both laws for whatever is registered).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ratchet.core.errors import RecipeError
from ratchet.core.registry import Registry
from ratchet.core.seeds import digest
from ratchet.tasks.runs import words_of

PROGRAM = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)  # of a figure


@dataclass(frozen=True)
class Row:
    """One question with its answer. `options` are those of a field of their own; `where` is the file and the row's number."""

    question: str
    answer: str
    options: tuple[str, ...] = ()
    where: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def words(self) -> list[str]:
        """Its words, without those of the program of a figure."""
        return words_of(PROGRAM.sub(" ", self.question))

    @property
    def key(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        return digest("row", self.question, self.answer, *self.options).hex()[:16]


@dataclass(frozen=True)
class Drop:
    """Why a row is dropped, as a sentence about the row, and what of it (or of which other row) shows that."""

    reason: str
    evidence: str = ""


Find = Callable[..., Drop | None]
"""(row, *, knobs) -> what is wrong with the row, or None."""
Begin = Callable[..., Callable[[Row], Drop | None]]
"""(head, against, *, knobs) -> the filter of one stream of rows, which it remembers. `head` are rows of the stream, some of
each file, to learn what is common in it; `against` are those of the evaluation sets."""


@dataclass(frozen=True)
class Filter:
    find: Find
    decoys: tuple[Row, ...]


@dataclass(frozen=True)
class SetFilter:
    """`decoys` are streams whose last row it must drop, and no other. The evaluation set is then `against`."""

    begin: Begin
    decoys: tuple[tuple[Row, ...], ...]
    against: tuple[Row, ...] = ()


filters: Registry[Filter] = Registry("filter", "ratchet.data", RecipeError)
set_filters: Registry[SetFilter] = Registry("set filter", "ratchet.data", RecipeError)


def examples(*questions: str, answer: str = "4") -> tuple[Row, ...]:
    """Decoys that differ in their questions."""
    return tuple(Row(q, answer) for q in questions)


def around(text: str, start: int, end: int, most: int = 60) -> str:
    """A found place with a little of what stands around it."""
    room = max(0, most - (end - start)) // 2
    return " ".join(text[max(0, start - room) : end + room].split())
