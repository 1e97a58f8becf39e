"""Difficulty: the share of a model's samples that solve a task, attached to the task.

The measure is handed in: a function from tasks to how many samples of each were judged and passed, as `ratchet eval` counts them. What
was measured is appended to a file before the next tasks are, so that nothing is lost where the work is stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ratchet.core.types import Task

Rate = tuple[int, int]
"""Samples that were judged, and how many of them passed."""
Measure = Callable[[Sequence[Task]], Mapping[str, Rate]]
"""tasks -> rate by the task's key."""

AT_ONCE = 32  # tasks between two writes


def rates(tasks: Sequence[Task], measure: Measure, engine: str, kept: Path) -> Iterator[tuple[str, Rate]]:
    """The rate of each task by its key: those known from before for the same `engine` (its name and settings), then the others."""
    known = dict(read(kept, engine))
    yield from ((t.key, known[t.key]) for t in tasks if t.key in known)
    missing = [t for t in tasks if t.key not in known]
    with kept.open("a", encoding="utf-8") as file:
        for start in range(0, len(missing), AT_ONCE):
            for key, rate in measure(missing[start : start + AT_ONCE]).items():
                file.write(json.dumps({"key": key, "engine": engine, "n": rate[0], "passes": rate[1]}) + "\n")
                yield key, rate
            file.flush()


def read(kept: Path, engine: str) -> Iterator[tuple[str, Rate]]:
    """What stands in the file; a last line that was being written when the work was stopped does not count."""
    for line in kept.read_text(encoding="utf-8").splitlines() if kept.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row["engine"] == engine:
            yield row["key"], (row["n"], row["passes"])


def attached(row: dict[str, Any], rate: Rate | None) -> dict[str, Any]:
    """A task's row with its solve rate among its facts; None where no sample could be judged."""
    n, passes = rate or (0, 0)
    return {**row, "facts": {**row["facts"], "solve_rate": passes / n if n else None, "solve_samples": n}}


def within(row: dict[str, Any], keep: tuple[float, float] | None) -> bool:
    """Whether the rate that is attached to a task's row lies in the range that is kept; without a range every task is."""
    rate = row["facts"]["solve_rate"]
    return keep is None or (rate is not None and keep[0] <= rate <= keep[1])
