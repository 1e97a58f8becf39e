"""Judging many texts with a model: side by side, and each verdict kept in a file as it comes.

What `VerifierPool` is for verifiers that run here. A verdict that is in the file is not asked for again, so a second run goes on
where the first one stopped. A text whose judge could not be asked has no verdict, and is asked about again the next time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from ratchet.core.errors import EngineError, StoreError
from ratchet.core.journal import cut_torn_end
from ratchet.core.seeds import digest
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.verifier import abstained

GIVE_UP = 5  # failures in a row after which the model is taken to be away, and the rest is not asked
SHOWN = 300  # characters of a problem and a text that a line of the file shows

Pair = tuple[Task, str]


@dataclass
class JudgePool:
    """`pool(pairs)`: one verdict per (task, text), in order; never raises for a model that cannot be asked.

    `grade` is a judge's or a rubric's; `name` says which judge with which settings, for whose verdicts the file `path` may answer
    (None: nothing is kept). After a call `failed` holds (place, reason) of the pairs that have no verdict, in order; `asked` and
    `known` count what was asked and what the file knew. `tick` is called after each. StoreError for a file that is none of ours
    or cannot be written.
    """

    grade: Callable[[Task, str], Verdict]
    name: str
    path: Path | None = None
    at_once: int = 8
    tick: Callable[[int, int], None] = lambda done, whole: None
    asked: int = field(default=0, init=False)
    known: int = field(default=0, init=False)
    failed: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]], init=False)

    def __post_init__(self) -> None:
        self.kept = {} if self.path is None else verdicts_in(self.path)
        self.writing = Lock()
        self.in_a_row = 0

    def __call__(self, pairs: Sequence[Pair]) -> list[Verdict]:
        self.failed, self.in_a_row = [], 0
        keys = [self.key(*pair) for pair in pairs]
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self.kept}
        self.known += len(set(keys)) - len(missing)
        reasons = self.ask(missing)
        self.failed = [(place, reasons[key]) for place, key in enumerate(keys) if key in reasons]
        return [
            self.kept[key] if key in self.kept else abstained(f"the judge could not be asked: {reasons[key]}") for key in keys
        ]

    def ask(self, missing: dict[str, Pair]) -> dict[str, str]:
        """Ask about each; the reasons of those that could not be."""
        reasons: dict[str, str] = {}
        pool = ThreadPoolExecutor(self.at_once)
        try:
            futures: dict[Future[str], str] = {pool.submit(self.one, k, *pair): k for k, pair in missing.items()}
            for done, future in enumerate(as_completed(futures), start=1):
                if why := future.result():
                    reasons[futures[future]] = why
                self.tick(done, len(missing))
        finally:
            pool.shutdown(cancel_futures=True)  # what is under way ends, and is kept; nothing else is begun
        return reasons

    def one(self, key: str, task: Task, text: str) -> str:
        """Ask and keep the verdict; the reason where it cannot be asked."""
        if self.in_a_row >= GIVE_UP:
            return f"not asked, after {GIVE_UP} failures in a row"
        start = time.perf_counter()
        try:
            verdict = self.grade(task, text)
        except EngineError as e:
            with self.writing:
                self.in_a_row += 1
            return str(e)
        with self.writing:
            self.in_a_row = 0
            self.asked += 1
            self.keep(key, task, text, replace(verdict, seconds=time.perf_counter() - start))
        return ""

    def key(self, task: Task, text: str) -> str:
        answer = json.dumps(task.answer, sort_keys=True, default=str)
        return digest("judged", self.name, task.prompt, answer, text).hex()[:24]

    def keep(self, key: str, task: Task, text: str, verdict: Verdict) -> None:
        self.kept[key] = verdict
        if self.path is None:
            return
        row = {"key": key, "judge": self.name, "outcome": str(verdict.outcome), "evidence": verdict.evidence, "score": verdict.score,
               "seconds": round(verdict.seconds, 3), "where": task.facts.get("where", ""), "problem": task.prompt[:SHOWN],
               "gold": task.answer, "text": text[-SHOWN:]}  # fmt: skip
        try:
            with self.path.open("a", encoding="utf-8") as f:
                f.write(json.dumps(row, default=str) + "\n")
                f.flush()
                os.fsync(f.fileno())
        except OSError as e:
            raise StoreError(f"cannot write to {self.path}: {e.strerror or e}; free space, or choose another --out") from e


def verdicts_in(path: Path) -> dict[str, Verdict]:
    """The verdicts that a file holds; a last line that a kill cut is taken off. StoreError for a file of another kind."""
    found: dict[str, Verdict] = {}
    try:
        if not path.exists():
            return {}
        cut_torn_end(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise StoreError(f"{path} cannot be read as verdicts of an earlier run ({e}); choose another --out") from None
    for number, line in enumerate(lines, start=1):
        try:
            row: Any = json.loads(line)
            found[row["key"]] = Verdict(
                Outcome(row["outcome"]), row["evidence"], score=row["score"], seconds=float(row["seconds"])
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StoreError(
                f"{path}, line {number}: this is no verdict of a judge; choose another --out, or delete the line to ask again"
            ) from None
    return found
