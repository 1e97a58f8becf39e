"""The page of `ratchet search bench`: accuracy against cost, areas, and traces of the best strategies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Any

from ratchet.core.errors import StoreError
from ratchet.loop.search_bench import Area, Spot, control_of, file_name
from ratchet.loop.store import read_traces, tree_of
from ratchet.report.chart import Axis, Point, Series, line_chart, percent
from ratchet.report.page import document
from ratchet.report.sections import browser, charts, gain, safe, share, table
from ratchet.report.traces import collect

MOST_LINES = 10  # of one chart
LABELS = {"tokens": "sampled tokens a task", "flops": "operations a task", "seconds": "seconds a task"}


def axis(unit: str) -> Axis:
    short = (lambda v: f"{v:.1e}".replace("e+0", "e").replace("e+", "e")) if unit == "flops" else (lambda v: f"{v:.3g}")
    return Axis(LABELS[unit], short, short, log2=True)


def curves(spots: Sequence[Spot], unit: str) -> list[Series]:
    plans: dict[str, list[Point]] = {}
    for s in spots:
        e = s.accuracy
        plans.setdefault(s.plan, []).append(Point(s.cost[unit], e.value, e.low, e.high, f"size {s.size}"))
    return [Series(plan, sorted(points, key=lambda p: p.x)) for plan, points in plans.items()]


def of_plan(spots: Sequence[Spot], plan: str, unit: str) -> list[str]:
    """A strategy beside its placebo and a single sample; none for a placebo or a single sample by itself."""
    if by_chance(plan) or (plan == "single" and any(s.plan != plan for s in spots)):
        return []
    beside = [s for s in spots if s.plan in (plan, control_of(plan), "single")]
    return [
        line_chart(f"{plan}: accuracy against {LABELS[u]}", curves(beside, u), axis(u), percent("share of tasks solved"))
        for u in units_of(beside, unit)
    ]


def units_of(spots: Sequence[Spot], unit: str) -> list[str]:
    """What costs are drawn in: the budgets' unit, and operations where they are known of all."""
    return [u for u in dict.fromkeys((unit, "flops")) if all(s.cost[u] > 0 for s in spots)]


def range_of(bounds: tuple[float, float], unit: str) -> str:
    return f"mean accuracy over the log of the cost, from {bounds[0]:,.4g} to {bounds[1]:,.4g} {unit} a task"


def apart(bounds: tuple[float, float], unit: str) -> str:
    """Why there are no areas."""
    return (
        f"no areas: the smallest size of the dearest strategy cost {bounds[0]:,.4g} {unit} a task, and the largest budget is "
        f"{bounds[1]:,.4g}, so no range of costs is covered by all; give larger --budgets"
    )


def page(
    folder: Path,
    spots: Sequence[Spot],
    areas: Sequence[Area],
    bounds: tuple[float, float],
    unit: str,
    settings: Mapping[str, Any],
) -> str:
    ranked = sorted(areas, key=lambda a: -a.area.value)
    best = (
        f"The largest area under the curve is that of {safe(ranked[0].plan)}: {share(asdict(ranked[0].area))}." if ranked else ""
    )
    head = (
        f"<h1>Strategies at equal cost</h1><p>{safe(settings['model'])} on {len(spots[0].right):,} held-out tasks of "
        f"{safe(settings['tasks'])}. {best or safe(apart(bounds, unit))}</p>"
    )
    drawn = [chart for plan in dict.fromkeys(s.plan for s in spots) for chart in of_plan(spots, plan, unit)]
    rows = [[safe(a.plan), share(asdict(a.area)), gain(asdict(a.over_control)) if a.over_control else ""] for a in ranked]
    sizes = [
        [safe(s.plan), f"{s.budget:,.6g}", str(s.size), share(asdict(s.accuracy)), f"{s.cost['sampled_tokens']:,.1f}",
         f"{s.cost['calls']:,.1f}", f"{s.cost['flops']:.3g}", f"{s.cost['seconds']:.3g}"]
        for s in spots
    ]  # fmt: skip
    data = browsed(folder, spots, ranked)
    built = {
        "All together": charts(all_of(spots, ranked, unit)),
        "Curves": charts(drawn),
        "Areas": table(("strategy", "#area", "#over its placebo, points"), rows, range_of(bounds, unit)) if rows else "",
        "Sizes": table(
            ("strategy", "#budget", "#size", "#accuracy", "#tokens", "#calls", "#operations", "#seconds"),
            sizes,
            "what each budget paid for",
        ),
        "Traces": browser(data, "", f"held-out tasks, answered by {listed(data['columns'])}" if data else ""),
        "Settings": table(("", ""), [[safe(k), safe(v)] for k, v in settings.items()]),
    }
    return document("Strategies at equal cost", head, built, data)


def all_of(spots: Sequence[Spot], ranked: Sequence[Area], unit: str) -> list[str]:
    """All strategies but the placebos, the best by area first, without their intervals, which would hide each other."""
    plans = plans_of(spots, ranked)
    which = f"The {MOST_LINES} strategies of the largest areas" if len(plans) > MOST_LINES else "All strategies"
    charts = list[str]()
    for u in units_of(spots, unit):
        lines = {s.name: Series(s.name, [replace(p, low=None, high=None) for p in s.points]) for s in curves(spots, u)}
        drawn = [lines[plan] for plan in plans[:MOST_LINES]]
        charts.append(line_chart(f"{which}: accuracy against {LABELS[u]}", drawn, axis(u), percent("share of tasks solved")))
    return charts


def by_chance(plan: str) -> bool:
    """Whether its scorer, or that of the strategy within it, knows nothing."""
    return "scorer=placebo" in plan


def browsed(folder: Path, spots: Sequence[Spot], ranked: Sequence[Area]) -> dict[str, Any]:
    """The traces of some plans, each at its largest size, as the areas rank them: the best two, the best whose traces are trees, and the
    best whose traces are populations."""
    stored: dict[str, Sequence[Mapping[str, Any]]] = {}
    largest = {plan: max((s for s in spots if s.plan == plan), key=lambda s: s.size) for plan in plans_of(spots, ranked)}
    try:
        for plan, spot in largest.items():
            stored[plan] = list(read_traces(folder / "traces" / f"{file_name(plan, spot.size)}.jsonl.gz"))
        shapes = {plan: shape_of(traces) for plan, traces in stored.items()}
        first = [next((plan for plan in stored if shapes[plan] == shape), "") for shape in ("tree", "population")]
        chosen = [plan for place, plan in enumerate(stored) if place < 2 or plan in first]
        return collect({f"{plan} at size {largest[plan].size}": stored[plan] for plan in chosen}, solved_by(chosen), ", ")
    except StoreError:
        return {}  # the numbers are worth a page without them


def plans_of(spots: Sequence[Spot], ranked: Sequence[Area]) -> list[str]:
    """All plans but the placebos, the best by area first; in the order in which they were played where there are no areas."""
    plans = [a.plan for a in ranked] or list(dict.fromkeys(s.plan for s in spots))
    return [plan for plan in plans if not by_chance(plan)] or plans


def solved_by(plans: Sequence[str]) -> dict[str, str]:
    """The names of the groups of tasks, by which of the plans solved one."""
    found: dict[str, str] = {}
    for solved in product((True, False), repeat=len(plans)):
        code = "".join(str(int(s)) for s in solved)
        those = [plan for plan, s in zip(plans, solved, strict=True) if s]
        if len(those) in (0, 1):
            found[code] = f"only by {those[0]}" if those else "by none"
        else:
            found[code] = "by all" if all(solved) and len(plans) > 2 else f"by {listed(those)}"
    return found


def listed(names: Sequence[str]) -> str:
    """
    >>> listed(["vote", "beam", "mcts"])
    'vote, beam and mcts'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# ---- what a search looks like ------------------------------------------------------------------------------------


def shape_of(traces: Sequence[Mapping[str, Any]]) -> str:
    """What a strategy's traces are by how their draws went on from each other: "population" where a part was copied more often
    than another that was scored higher, which chance does and a ranking does not; else "tree" where one part led to several; else
    nothing, as for samples that stand side by side and for turns."""
    grown = [(parts, sweeps_of(parts)) for parts in map(parts_of, traces)]
    if any(resampled(sweep) for _, sweeps in grown for sweep in sweeps):
        return "population"
    return "tree" if any(part.children > 1 for parts, _ in grown for part in parts) else ""


@dataclass(frozen=True)
class Part:
    """A draw: how many steps stand before it, how many draws went on from it, and what scorers said of it."""

    depth: int
    children: int
    scores: tuple[float, ...]


def parts_of(trace: Mapping[str, Any]) -> list[Part]:
    """In the order of drawing. What was said between turns is no step."""
    draws: Sequence[Mapping[str, Any]] = trace["draws"]
    children = Counter(d.get("parent") for d in draws if not d.get("given"))
    told = {i: (depth, tuple(score for _, score in scores)) for i, depth, _, scores in tree_of(trace)}
    return [Part(told[i][0], children[i], told[i][1]) for i in range(len(draws))]


def sweeps_of(parts: Sequence[Part]) -> list[list[Part]]:
    """Divided where it began again from the prompt."""
    sweeps: list[list[Part]] = []
    for before, part in pairwise([Part(1, 0, ()), *parts]):
        if before.depth and not part.depth:
            sweeps.append([])
        sweeps[-1].append(part)
    return sweeps


def resampled(sweep: Sequence[Part]) -> bool:
    """Whether generation followed generation, none larger than the one before, and of two parts that went on the one of the lower
    score did so at least twice as often."""
    generations = [list(own) for _, own in groupby(sweep, key=lambda part: part.depth)]
    sizes = [len(own) for own in generations]
    if [own[0].depth for own in generations] != list(range(len(generations))) or any(b > a for a, b in pairwise(sizes)):
        return False
    return any(
        a.children >= 2 * b.children > 0 and max(a.scores, default=1.0) < min(b.scores, default=0.0)
        for own in generations
        for a in own
        for b in own
    )
