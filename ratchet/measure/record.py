"""The record of an evaluation: per task how many of its samples passed. Written as JSON, compared by pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate, Trace
from ratchet.measure import comparison
from ratchet.measure.estimate import mean, paired_difference, pass_at_k

MOST_SAMPLES = 1_000_000  # of a record: each becomes a sample where records are measured


@dataclass(frozen=True)
class Row:
    """One task: samples judged (abstentions left out of `n`), how many passed, and the tokens they took."""

    key: str
    cluster: str
    n: int
    passes: int
    abstained: int
    tokens: int


@dataclass
class Record:
    """Results of one model and strategy on a list of tasks."""

    model: str
    tasks: str
    strategy: str
    rows: list[Row]
    about: dict[str, Any] = field(default_factory=dict)

    def pass_at(self, k: int, level: float = 0.95) -> Estimate:
        """pass@k over the tasks with at least k judged samples, clustered."""
        rows = [r for r in self.rows if r.n >= k]
        if not rows:
            raise StoreError(f"no task of the record has {k} judged samples; draw at least {k} per task")
        return mean([pass_at_k(r.n, r.passes, k) for r in rows], [r.cluster for r in rows], level)

    def save(self, path: Path) -> None:
        """Write the record. Raises StoreError where that cannot be done."""
        try:
            path.write_text(json.dumps(asdict(self)) + "\n")
        except OSError as e:
            raise StoreError(f"cannot write {path}: {e.strerror or e}") from e


def record_of(traces: Sequence[Trace], model: str, tasks: str, **about: Any) -> Record:
    """The record of judged traces."""
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(trace.task.key, []).append(trace)
    rows: list[Row] = []
    for key, group in groups.items():
        judged = [t.verdict for t in group if t.verdict is not None and t.verdict.outcome != "abstain"]
        rows.append(
            Row(
                key=key,
                cluster=group[0].task.cluster or key,
                n=len(judged),
                passes=sum(v.passed for v in judged),
                abstained=len(group) - len(judged),
                tokens=sum(t.cost.sampled_tokens for t in group),
            )
        )
    return Record(model, tasks, traces[0].strategy if traces else "", rows, about)


def load_record(path: Path) -> Record:
    """A record from a file, or from a run's folder (what it delivered). Raises StoreError with what is wrong."""
    file = path / "records" / "after.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
        record = Record(**{**data, "rows": [Row(**r) for r in data["rows"]]})
    except FileNotFoundError:
        raise StoreError(
            f"{file} does not exist; give a file that `ratchet eval --out` wrote or a finished run's folder"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as e:
        raise StoreError(f"{file} is not a record that `ratchet eval --out` wrote: {type(e).__name__}: {e}") from None
    check(record, file)
    return record


def check(record: Record, file: Path) -> None:
    """StoreError for rows that no evaluation gives: counts that do not fit together, a task twice, none at all."""
    known: set[str] = set()
    for number, row in enumerate(record.rows, start=1):
        wrong = wrong_in(row) or ("its key stands in an earlier row" if row.key in known else "")
        if wrong:
            raise StoreError(f"{file}, row {number}: {wrong}; write the record anew with `ratchet eval --out`")
        known.add(row.key)
    samples = sum(r.n + r.abstained for r in record.rows)
    if not samples:
        raise StoreError(f"{file} holds no samples; write the record anew with `ratchet eval --out`")
    if samples > MOST_SAMPLES:
        raise StoreError(f"{file} holds {samples:,} samples; at most {MOST_SAMPLES:,} are read, so evaluate fewer per file")


def wrong_in(row: Row) -> str:
    """What is wrong with a row, or ""."""
    if not isinstance(row.key, str) or not isinstance(row.cluster, str):
        return f"key and cluster must be text, got {row.key!r:.60} and {row.cluster!r:.60}"
    counts = {"n": row.n, "passes": row.passes, "abstained": row.abstained}
    for name, value in counts.items():
        if type(value) is not int or value < 0:
            return f'"{name}" must be a whole number of at least 0, got {value!r:.60}'
    if row.passes > row.n:
        return f'"passes" counts among the {row.n:,} judged samples of "n", got {row.passes:,}'
    if type(row.tokens) not in (int, float) or not 0 <= row.tokens < math.inf:
        return f'"tokens" must be a finite number of at least 0, got {row.tokens!r:.60}'
    return ""


def compare(a: Record, b: Record, level: float = 0.95) -> Estimate:
    """Paired difference b - a of pass@1 over the tasks in both. Raises StoreError where they share none."""
    return paired_difference(*paired(a, b), level)


def tell_apart(a: Record, b: Record, level: float = 0.95) -> comparison.Comparison:
    """Whether b's pass@1 is better than a's over the tasks in both. Raises StoreError where they share none."""
    return comparison.tell_apart(*paired(a, b), level)


def paired(a: Record, b: Record) -> tuple[list[float], list[float], list[str]]:
    """The rates of a and b and the clusters of the tasks in both, in one order."""
    first, second = ({r.key: r for r in x.rows if r.n} for x in (a, b))
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise StoreError(
            f"the records share no task ({len(first)} and {len(second)} tasks); evaluate both on the same tasks and seed"
        )
    return (
        [first[k].passes / first[k].n for k in shared],
        [second[k].passes / second[k].n for k in shared],
        [first[k].cluster for k in shared],
    )
