"""Proving a family without a model: gold and demonstrations pass, decoys do not, splits share nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ratchet.core.seeds import rng
from ratchet.core.types import SPLITS, Task, Verdict
from ratchet.tasks.family import Source

Verify = Callable[[Sequence[tuple[Task, str]]], list[Verdict]]


@dataclass
class Check:
    """What held: rows of (what, how often right, of how many), a line for each failure, and how many tasks have no gold answer."""

    tasks: int = 0
    rows: list[tuple[str, int, int]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    unproven: int = 0

    @property
    def holds(self) -> bool:
        return self.tasks > 0 and all(right == total for _, right, total in self.rows)


def check(source: Source, verify: Verify, count: int = 200) -> Check:
    """Judge the family's own answers on up to `count` tasks of each split."""
    tasks = [t for split in SPLITS for t in source.take(split, count, "check")]
    result = Check(len(tasks))
    golds = [(t, source.family.gold(t)) for t in tasks]
    judged(result, verify, "gold passes", [(t, x) for t, x in golds if x is not None], True)
    result.unproven = sum(x is None for _, x in golds)
    if source.family.demonstrate is not None:
        texts = [(t, source.family.demonstrate(rng("check", t.key), t)) for t in tasks]
        judged(result, verify, "demonstration passes", [(t, x) for t, x in texts if x is not None], True)
    decoys: dict[str, list[tuple[Task, str]]] = {}
    for task in tasks:
        for name, text in source.family.decoys(task).items():
            decoys.setdefault(name, []).append((task, text))
    for name, pairs in decoys.items():
        judged(result, verify, f"decoy fails: {name}", pairs, False)
    by_split = [{t.key for t in tasks if t.split == s} for s in SPLITS]
    shared = len(by_split[0] & by_split[1]) + len(by_split[0] & by_split[2]) + len(by_split[1] & by_split[2])
    result.rows.append(("splits share no key", len(tasks) - shared, len(tasks)))
    return result


def judged(result: Check, verify: Verify, what: str, pairs: list[tuple[Task, str]], passes: bool) -> None:
    """Add a row: how many of the texts got the verdict they should. An abstention is never right."""
    right = 0
    for (task, text), verdict in zip(pairs, verify(pairs), strict=True):
        if verdict.outcome == ("pass" if passes else "fail"):
            right += 1
        else:
            result.failures.append(f"{what}: {task.prompt[:60]!r} with {text[:60]!r} gave {verdict.outcome}: {verdict.evidence}")
    result.rows.append((what, right, len(pairs)))
