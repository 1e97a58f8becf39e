"""A study: one paper's claims, re-tested at a scale that a laptop has, and the rule that says how each came out.

A check holds an effect's interval against a threshold that was fixed before: HELD where the whole interval is on the
right side, FAILED where the whole of it is on the wrong one, else UNRESOLVED with the number of units that would settle
it. One unit alone settles nothing. A claim is HELD where all its checks are, FAILED where one is.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ratchet.core.errors import StudyError
from ratchet.core.registry import Registry
from ratchet.core.types import Estimate
from ratchet.measure.estimate import mean

Result = dict[str, Any]
"""What one seed measured: numbers, texts and lists of them, as JSON has them."""
Say = Callable[[str], None]
Effect = Callable[[Sequence[Result]], Estimate]


class Outcome(StrEnum):
    HELD = "HELD"
    FAILED = "FAILED"
    UNRESOLVED = "UNRESOLVED"


@dataclass(frozen=True)
class Check:
    """One condition: `effect` of all seeds' results lies at or above `least`, and at or below `most`."""

    what: str
    effect: Effect
    least: float = -math.inf
    most: float = math.inf

    def outcome(self, e: Estimate) -> Outcome:
        if math.isnan(e.value) or e.n < 2:
            return Outcome.UNRESOLVED
        if e.low >= self.least and e.high <= self.most:
            return Outcome.HELD
        if e.high < self.least or e.low > self.most:
            return Outcome.FAILED
        return Outcome.UNRESOLVED

    def needed(self, e: Estimate) -> int | None:
        """How many units would settle an unresolved check if the effect stays what it is: widths shrink with the root of
        n. None where the effect stands on the threshold, or there is no interval yet."""
        gaps = [abs(e.value - edge) for edge in (self.least, self.most) if math.isfinite(edge)]
        half = max(e.high - e.value, e.value - e.low)
        if not gaps or not half < 1e6 * min(gaps):
            return None
        return max(e.n + 1, math.ceil(e.n * (half / min(gaps)) ** 2 - 1e-9))

    def demand(self) -> str:
        parts = [f"at least {self.least:g}"] * math.isfinite(self.least) + [f"at most {self.most:g}"] * math.isfinite(self.most)
        return " and ".join(parts)


@dataclass(frozen=True)
class Claim:
    """One sentence that may hold or not, and its checks."""

    name: str
    sentence: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Study:
    """`run(seed, quick, say)` measures one seed; `quick` takes seconds and only shows that everything is joined.

    `arms` says what each arm is, the placebo and the cost-matched control among them. `imagined(outcome, seed)` makes a
    result such as `run` would give, for which every claim comes out so: a contract test holds the checks to it.
    `figures` draws all seeds' results. `paper` is the paper's reference, `departures` says where this departs from it or
    from its plan, `scale` what the small scale leaves open.
    """

    name: str
    title: str
    paper: str
    claims: tuple[Claim, ...]
    arms: Mapping[str, str]
    tasks: str
    metric: str
    budget: str
    departures: str
    scale: str
    run: Callable[[int, bool, Say], Result]
    imagined: Callable[[Outcome, int], Result]
    figures: Callable[[Sequence[Result]], list[str]]
    seeds: int = 3

    @property
    def file(self) -> Path:
        return Path(inspect.getfile(self.run))

    def hash(self) -> str:
        """Of the study's file, thresholds and all, and of what it shares with others beside it: a record of another hash is
        stale."""
        own = self.file.read_bytes()
        shared = sorted(set(re.findall(rb"^\s*from ratchet\.studies\.(\w+) import", own, re.M)) - {b"study"})
        files = [self.file.with_name(f"{name.decode()}.py") for name in shared]
        return hashlib.sha256(b"".join([own, *(f.read_bytes() for f in files if f.exists())])).hexdigest()[:16]


studies: Registry[Study] = Registry("study", "ratchet.studies", StudyError)


def register(study: Study) -> Study:
    return studies.put(study.name, study, study.paper, study.title)


def over_seeds(value: Callable[[Result], float]) -> Effect:
    """The mean of a number over the seeds, with a t interval; from one seed alone nothing follows."""
    return lambda results: mean([value(r) for r in results], unit="seeds", bounds=(-math.inf, math.inf))


def extreme(pick: Callable[[Iterable[float]], float], value: Callable[[Result], float]) -> Effect:
    """The largest (`max`) or smallest (`min`) of a number over the seeds, which has no interval: low and high are itself."""

    def effect(results: Sequence[Result]) -> Estimate:
        found = pick(map(value, results))
        return Estimate(found, found, found, len(results), "seeds")

    return effect


def judged(study: Study, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Every claim with its outcome, its checks, their effects, and what an unresolved one would need."""
    claims: list[dict[str, Any]] = []
    for claim in study.claims:
        checks: list[dict[str, Any]] = []
        for check in claim.checks:
            e = check.effect(results)
            outcome = check.outcome(e)
            needed = check.needed(e) if outcome is Outcome.UNRESOLVED else None
            checks.append(
                {"what": check.what, "demand": check.demand(), "outcome": outcome, "effect": asdict(e), "needed": needed}
            )
        outcomes = {c["outcome"] for c in checks}
        whole = Outcome.FAILED if Outcome.FAILED in outcomes else max(outcomes)  # UNRESOLVED is after HELD in the alphabet
        claims.append({"name": claim.name, "sentence": claim.sentence, "outcome": whole, "checks": checks})
    return claims
