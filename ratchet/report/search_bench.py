"""The page of `ratchet search bench`: accuracy against cost, areas, and the traces of each strategy's largest size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ratchet.core.errors import StoreError
from ratchet.loop.search_bench import Area, Spot, control_of, file_name
from ratchet.loop.store import read_traces
from ratchet.report.chart import Axis, Point, Series, line_chart, percent
from ratchet.report.page import document
from ratchet.report.sections import browser, charts, gain, safe, share, table
from ratchet.report.traces import collect

LABELS = {"tokens": "sampled tokens a task", "flops": "operations a task", "seconds": "seconds a task"}


def axis(unit: str) -> Axis:
    short = (lambda v: f"{v:.1e}") if unit == "flops" else (lambda v: f"{v:.3g}")
    return Axis(LABELS[unit], short, short, log2=True)


def curves(spots: Sequence[Spot], unit: str) -> list[Series]:
    plans: dict[str, list[Point]] = {}
    for s in spots:
        e = s.accuracy
        plans.setdefault(s.plan, []).append(Point(s.cost[unit], e.value, e.low, e.high, f"size {s.size}"))
    return [Series(plan, sorted(points, key=lambda p: p.x)) for plan, points in plans.items()]


def of_plan(spots: Sequence[Spot], plan: str, unit: str) -> list[str]:
    """A strategy beside its placebo and a single sample, by the budgets' unit and by operations; none for a placebo by itself."""
    if "scorer=placebo" in plan:
        return []
    beside = [s for s in spots if s.plan in (plan, control_of(plan), "single")]
    units = [u for u in (unit, "flops") if all(s.cost[u] > 0 for s in beside)]
    return [
        line_chart(f"{plan}: accuracy against {LABELS[u]}", curves(beside, u), axis(u), percent("share of tasks solved"))
        for u in dict.fromkeys(units)
    ]


def page(
    folder: Path,
    spots: Sequence[Spot],
    areas: Sequence[Area],
    bounds: tuple[float, float],
    unit: str,
    settings: Mapping[str, Any],
) -> str:
    best = max(areas, key=lambda a: a.area.value)
    head = (
        f"<h1>Strategies at equal cost</h1><p>{safe(settings['model'])} on {len(spots[0].right):,} held-out tasks of "
        f"{safe(settings['tasks'])}. The largest area under the curve is that of {safe(best.plan)}: {share(asdict(best.area))}.</p>"
    )
    drawn = [chart for plan in dict.fromkeys(s.plan for s in spots) for chart in of_plan(spots, plan, unit)]
    ranked = sorted(areas, key=lambda a: -a.area.value)
    rows = [[safe(a.plan), share(asdict(a.area)), gain(asdict(a.over_control)) if a.over_control else ""] for a in ranked]
    sizes = [
        [safe(s.plan), f"{s.budget:,.6g}", str(s.size), share(asdict(s.accuracy)), f"{s.cost['sampled_tokens']:,.1f}",
         f"{s.cost['calls']:,.1f}", f"{s.cost['flops']:.3g}"]
        for s in spots
    ]  # fmt: skip
    between = f"from {bounds[0]:,.4g} to {bounds[1]:,.4g} {unit} a task"
    data = browsed(folder, spots, ranked)
    built = {
        "Curves": charts(drawn),
        "Areas": table(
            ("strategy", "#area", "#over its placebo, points"), rows, f"mean accuracy over the log of the cost, {between}"
        ),
        "Sizes": table(
            ("strategy", "#budget", "#size", "#accuracy", "#tokens", "#calls", "#operations"), sizes, "what each budget paid for"
        ),
        "Traces": browser(data, ""),
        "Settings": table(("", ""), [[safe(k), safe(v)] for k, v in settings.items()]),
    }
    return document("Strategies at equal cost", head, built, data)


def browsed(folder: Path, spots: Sequence[Spot], ranked: Sequence[Area]) -> dict[str, Any]:
    """The traces of the two plans of the largest areas, each at its largest size: trees, particles, turns."""
    columns: dict[str, Any] = {}
    for plan in [a.plan for a in ranked][:2]:
        largest = max((s for s in spots if s.plan == plan), key=lambda s: s.size)
        columns[f"{plan} at size {largest.size}"] = read_traces(folder / "traces" / f"{file_name(plan, largest.size)}.jsonl.gz")
    try:
        return collect(columns)
    except StoreError:
        return {}  # the numbers are worth a page without them
