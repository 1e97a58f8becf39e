"""Candidate tasks: what the first role proposes and the second one designs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import SmithError
from ratchet.core.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.smith.profiling import Link, Profile
    from ratchet.smith.sniffing import Reading


SPLIT = re.compile(r"(^|[^a-z])(train(ing)?|dev(elopment)?|val(id(ation)?)?|test(ing)?|eval|part|fold)([^a-z]|$)", re.I)


@dataclass(frozen=True)
class Dataset:
    """Raw data as it was understood. `mains` are tables that hold rows: one table, or several with the same columns."""

    name: str
    readings: dict[str, Reading]
    frames: dict[str, pd.DataFrame]
    profiles: dict[str, Profile]
    links: Sequence[Link]
    mains: Sequence[tuple[str, ...]]
    left: Sequence[str] = ()
    together: dict[tuple[str, ...], tuple[pd.DataFrame, Profile]] = field(default_factory=dict, compare=False, repr=False)

    def main(self, tables: tuple[str, ...]) -> tuple[pd.DataFrame, Profile]:
        """The rows of one or more tables, with the profile of them together, which is made once: every proposer asks for it."""
        import pandas as pd

        from ratchet.smith.profiling import profile

        if len(tables) == 1:
            return self.frames[tables[0]], self.profiles[tables[0]]
        if tables not in self.together:
            parts = [self.frames[t].assign(**({"source": t} if named(tables) else {})) for t in tables]
            frame = pd.concat(parts, ignore_index=True)
            self.together[tables] = frame, profile(" and ".join(tables), frame)
        return self.together[tables]


def named(tables: tuple[str, ...]) -> bool:
    """Whether tables of the same columns are called after what they hold, and not after a split that somebody made."""
    return len(tables) > 1 and not all(SPLIT.search(t) for t in tables)


@dataclass(frozen=True)
class Formulation:
    """`kind` names the task kind, `metric` a function of `scoring`. `features` are columns that may be used; `dropped` says why
    others are not. `split` is as in `preparing.in_test`. `extra` is what a kind alone needs in the plan."""

    kind: str
    tables: tuple[str, ...]
    targets: tuple[str, ...]
    metric: str
    features: tuple[str, ...]
    split: dict[str, Any]
    title: str
    why: str
    dropped: dict[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    score: float = 0.0  # how promising: tasks are tried in falling order

    @property
    def name(self) -> str:
        target = self.targets[0] if len(self.targets) == 1 else self.extra.get("label", "labels")
        return re.sub(r"\W+", "-", f"{self.kind}-{self.tables[0]}-{target}").strip("-").lower()[:70]


Proposer = Callable[[Dataset], Iterator[Formulation]]
proposers: Registry[Proposer] = Registry("proposer of tasks", "ratchet.smith.kinds", SmithError)
