"""Strategies at equal cost: each is given the size that a budget pays for, and measured on the same held-out tasks.

A budget is a mean over tasks, in sampled tokens, in operations of all models, or in seconds. What a size costs is measured on
validation tasks; what is reported is what it did cost. A strategy that cannot grow, or is not allowed to, keeps its accuracy at
larger budgets. Beside each strategy that asks a scorer plays the same one with a scorer that knows nothing.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from ratchet.core.errors import RecipeError, StoreError
from ratchet.core.seeds import digest
from ratchet.core.types import Cost, Estimate, Task, Trace
from ratchet.loop.store import write_traces
from ratchet.measure.estimate import mean, paired_difference
from ratchet.models.scheduler import Scheduler, cut_short
from ratchet.search.steps import never_ended
from ratchet.search.strategy import divided, planned

UNITS = ("tokens", "flops", "seconds")
UNFAIR = ("placebo", "oracle")  # scorers that need no control: the control itself, and the bound
LARGEST = 1_024  # of a strategy's size
TRACES = 50  # tasks whose traces are kept for the report
Say = Callable[[str], None]
Played = tuple[list[Trace], float]
"""Traces, and the seconds that all of them took."""


@dataclass(frozen=True)
class Spot:
    """A strategy at one size: for each task whether it was solved (0 where it was not judged), and the mean cost of a task."""

    plan: str
    budget: float
    size: int
    right: tuple[float, ...]
    cost: Mapping[str, float]
    clusters: tuple[str, ...] = ()

    @property
    def accuracy(self) -> Estimate:
        return mean(self.right, self.clusters or None)


@dataclass(frozen=True)
class Bench:
    """A comparison: `unit` of the budgets, tasks to size and to measure on, and where what is finished is kept."""

    scheduler: Scheduler
    sizing: Sequence[Task]
    held: Sequence[Task]
    budgets: Sequence[float]
    unit: str
    seed: int
    folder: Path
    settings: Mapping[str, Any]
    say: Say
    call_price: float = 0.0  # what a call of a judge or a tool is worth in `unit`, beside the operations of its model

    def run(self, plans: Sequence[str]) -> list[Spot]:
        """All spots of all plans and their controls. What an earlier run of the same settings finished is not done again."""
        done = self._kept()
        spots: list[Spot] = []
        if any(plan not in done for plan in with_controls(plans)):
            self._play("single", 1, self.sizing, "warming up")  # else the first plan pays for memory, threads and imports
        for plan in with_controls(plans):
            if plan not in done:
                done[plan] = list(self._spots(plan))
                self._keep(plan, done[plan])
            for spot in done[plan]:
                self.say(f"{plan} at {spot.budget:g}: {spot.accuracy}, {spot.cost[self.unit]:,.4g} {self.unit} a task")
            spots += done[plan]
        return spots

    def _spots(self, plan: str) -> Iterator[Spot]:
        found, unbroken = dict[int, Spot](), ""
        for budget, size in self._sizes(plan).items():
            if size not in found:
                played = self._play(plan, size, self.held, "held")
                traces, _ = played
                if cut := cut_short(traces):
                    self.say(f"{plan} with {sized_by(plan) or 'size'}={size}: {cut}")
                unbroken = never_ended(*planned(plan), traces)
                right = tuple(float(t.verdict is not None and t.verdict.passed) for t in traces)
                found[size] = Spot(
                    plan, budget, size, right, self._price(played), tuple(t.task.cluster or t.task.key for t in traces)
                )
                write_traces(self.folder / "traces" / f"{file_name(plan, size)}.jsonl.gz", traces[:TRACES])
                yield found[size]
        if unbroken:
            self.say(f"{plan}: {unbroken}")

    def _sizes(self, plan: str) -> dict[float, int]:
        """For each budget the greatest size whose cost on validation tasks keeps it; those that not even size 1 keeps are left
        out."""
        knob = sized_by(plan)
        costs = [(0, 0.0), (1, self._price(self._play(plan, 1, self.sizing, "sizing"))[self.unit])]
        while knob and costs[-1][1] < max(self.budgets) and costs[-1][0] < LARGEST:
            size = 2 * costs[-1][0]
            costs.append((size, self._price(self._play(plan, size, self.sizing, "sizing"))[self.unit]))
            if size > 4 and costs[-1][1] <= costs[-3][1] * 1.01:
                break  # more of it costs no more, twice in a row
        if not knob:
            return {b: 1 for b in sorted(self.budgets) if costs[1][1] <= b}
        return {b: size for b in sorted(self.budgets) if (size := affordable(costs, b))}

    def _play(self, plan: str, size: int, tasks: Sequence[Task], part: str) -> Played:
        strategy, knobs = planned(plan)
        knob = sized_by(plan)
        start = time.perf_counter()
        traces = self.scheduler.run(
            strategy, tasks, self.seed, "search bench", part, knobs={**knobs, **({knob: size} if knob else {})}
        )
        return traces, time.perf_counter() - start

    def _price(self, played: Played) -> dict[str, float]:
        """The mean cost of a task. Seconds are those of the whole play, which tasks share."""
        traces, seconds = played
        total, n = Cost(), len(traces)
        for trace in traces:
            total.add(trace.cost)
        each = {**{name: amount / n for name, amount in asdict(total).items()}, "seconds": seconds / n}
        priced = {**each, "tokens": each["sampled_tokens"]}
        if priced[self.unit] <= 0:
            raise RecipeError(f"what a task costs in {self.unit} is not known of this model; count in tokens (--in tokens)")
        priced[self.unit] += self.call_price * each["calls"]
        return priced

    # ---- what is kept ----

    def _file(self) -> Path:
        return self.folder / "bench.jsonl"

    def _kept(self) -> dict[str, list[Spot]]:
        """What is finished, by plan. StoreError where the folder holds another comparison."""
        if not self._file().is_file():
            return {}
        try:
            text = self._file().read_text(encoding="utf-8")
            if not text.endswith("\n"):  # a kill came while a line was written
                text = text[: text.rfind("\n") + 1]
                self._file().write_text(text, encoding="utf-8")
            if not text:
                return {}
            head, *rows = [json.loads(line) for line in text.splitlines()]
            mine = json.loads(json.dumps(self.settings))
            if other := [name for name in {**head, **mine} if head.get(name) != mine.get(name)]:
                raise StoreError(
                    f"{self.folder} holds a comparison of other settings ({', '.join(other)}); give --out another folder"
                )
            tuples = lambda s: {**s, "right": tuple(s["right"]), "clusters": tuple(s["clusters"])}
            return {row["plan"]: [Spot(**tuples(s)) for s in row["spots"]] for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise StoreError(f"{self._file()} is damaged ({type(e).__name__}: {e}); give --out another folder") from None

    def _keep(self, plan: str, spots: Sequence[Spot]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = not self._file().is_file() or not self._file().stat().st_size
            with self._file().open("a", encoding="utf-8") as file:
                if new:
                    file.write(json.dumps(self.settings) + "\n")
                file.write(json.dumps({"plan": plan, "spots": [asdict(s) for s in spots]}) + "\n")
        except OSError as e:
            raise StoreError(f"cannot write {self._file()}: {e.strerror or e}") from e


def file_name(plan: str, size: int) -> str:
    """Of the traces of a plan at a size."""
    return f"{re.sub('[^a-z0-9.]+', '-', plan.lower()).strip('-')}-{size}-{digest(plan).hex()[:4]}"


def sized_by(plan: str) -> str | None:
    """The knob that a strategy grows by: its samples, else its turns; None where it has neither, or the plan sets it."""
    strategy, knobs = planned(plan)
    names = inspect.signature(strategy).parameters
    free = [name for name in ("n", "turns") if name in names]
    return None if not free or any(name in knobs for name in free) else free[0]


def with_controls(plans: Sequence[str]) -> list[str]:
    """The plans, each once, and behind each that asks a scorer the same with one that knows nothing."""
    every: dict[str, None] = {}
    for plan in plans:
        every[plan] = None
        if control := control_of(plan):
            every[control] = None
    return list(every)


def control_of(plan: str) -> str | None:
    """The plan with the placebo as its scorer; None where no scorer is asked, or the plan needs no control."""
    strategy, knobs = planned(plan)
    name, _, rest = plan.partition(":")
    if inner := knobs.get("inner"):
        own = control_of(inner)
        knob, control = "inner", f"({own})" if own and "," in own else own
    else:
        parameter = inspect.signature(strategy).parameters.get("scorer")
        asked = "" if parameter is None else knobs.get("scorer", parameter.default)
        knob, control = "scorer", None if asked in ("", *UNFAIR) else "placebo"
    if control is None:
        return None
    kept = [pair for pair in divided(rest, ",") if pair.partition("=")[0].strip() != knob]
    return f"{name}:{','.join([*kept, f'{knob}={control}'])}"


def affordable(costs: Sequence[tuple[int, float]], budget: float) -> int:
    """The greatest size that a budget pays for, on the line through the (size, cost) that were measured, and none above those.

    >>> affordable([(0, 0.0), (1, 10.0), (2, 20.0), (4, 40.0)], 35.0)
    3
    """
    for (size, cost), (larger, dearer) in pairwise(costs):
        if dearer > budget:
            return size + int((budget - cost) / (dearer - cost) * (larger - size) + 1e-9) if dearer > cost else size
    return costs[-1][0]


# ---- areas -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Area:
    """The mean accuracy of a plan over the logarithm of the cost, between two costs that are the same for all plans; and the
    difference to its control, where it has one."""

    plan: str
    area: Estimate
    over_control: Estimate | None = field(default=None)


def areas(spots: Sequence[Spot], unit: str, budgets: Sequence[float]) -> tuple[list[Area], tuple[float, float]]:
    """Areas of all plans that have a spot, and the costs between which they are taken: from the dearest of the cheapest sizes to the
    largest budget. No areas where the first is not below the second: a plan cost more on the held-out tasks than on those that it was
    sized on, and there is no range that all plans cover."""
    plans: dict[str, list[Spot]] = {}
    for spot in spots:
        plans.setdefault(spot.plan, []).append(spot)
    if not plans:
        raise RecipeError(f"no strategy fits a budget of {max(budgets):g} {unit}; give larger --budgets")
    low = max(min(s.cost[unit] for s in own) for own in plans.values())
    high = max(budgets)
    if low >= high:
        return [], (low, high)
    each = {plan: per_task(own, unit, low, high) for plan, own in plans.items()}
    return [
        Area(
            plan,
            mean(values, plans[plan][0].clusters or None),
            paired_difference(each[c], values, plans[plan][0].clusters or None)
            if (c := control_of(plan)) and c in each
            else None,
        )
        for plan, values in each.items()
    ], (low, high)


def per_task(spots: Sequence[Spot], unit: str, low: float, high: float) -> list[float]:
    """For each task the mean over log cost of the line through a plan's spots, level beyond its ends."""
    own = sorted(spots, key=lambda s: s.cost[unit])
    xs = [math.log(max(s.cost[unit], 1e-12)) for s in own]
    a, b = math.log(low), math.log(high)
    grid = sorted({a, b, *(x for x in xs if a < x < b)})
    weights = [0.0] * len(own)  # the area is linear in the spots: what each of them weighs
    for left, right in pairwise(grid):
        for x in (left, right):
            for place, share in between(xs, x):
                weights[place] += share * (right - left) / 2 / (b - a)
    return [sum(w * s.right[task] for w, s in zip(weights, own, strict=True)) for task in range(len(own[0].right))]


def between(xs: Sequence[float], x: float) -> list[tuple[int, float]]:
    """Which spots a value at x is made of, and their shares."""
    place = bisect_right(xs, x)
    if place == 0 or place == len(xs):
        return [(max(0, place - 1), 1.0)]
    share = (x - xs[place - 1]) / (xs[place] - xs[place - 1])
    return [(place - 1, 1 - share), (place, share)]
