"""Charts as inline SVG: lines with interval bands, and stacked bars of shares. Colours are classes of page.css.

Series differ by colour, dash and marker, so that neither a colour-blind reader nor a grey print loses one. Every
chart is a figure with a label for screen readers and its numbers as a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from ratchet.core.types import Estimate

WIDTH, HEIGHT = 420, 262
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 14, 42
BAR, BAR_LEFT = 24, 136
LETTER = 5.6  # the mean width of one in a tick


@dataclass(frozen=True)
class Point:
    """One value, its interval where there is one, and a note such as a gate's decision."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    note: str = ""


def estimated(x: float, e: Estimate) -> Point:
    """An estimate at x, without an interval where there is none yet."""
    known = math.isfinite(e.low) and math.isfinite(e.high)
    return Point(x, e.value, e.low if known else None, e.high if known else None)


@dataclass(frozen=True)
class Series:
    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Axis:
    """A label with its unit. `show` writes a value in full, `tick` beside the axis; `least` is the smallest range drawn. Where
    all values are shares, an axis of `shares` ends at 0 and 1, though a t interval of few seeds may not."""

    label: str
    show: Callable[[float], str]
    tick: Callable[[float], str]
    least: tuple[float, float] | None = None
    log2: bool = False
    names: Mapping[float, str] | None = None
    shares: bool = False


def whole(label: str) -> Axis:
    """An axis of counts, such as turns."""
    return Axis(label, lambda v: f"{v:.0f}", lambda v: f"{v:.0f}")


def percent(label: str, least: tuple[float, float] | None = None) -> Axis:
    return Axis(label + " (%)", lambda v: f"{100 * v:.1f}%", lambda v: f"{100 * v:.4g}", least, shares=True)


def points(label: str) -> Axis:
    """Differences of shares, in percentage points."""
    return Axis(label + " (points)", lambda v: f"{100 * v:+.1f}", lambda v: f"{100 * v:+.4g}" if v else "0", (-0.01, 0.01))


def number(label: str, least: tuple[float, float] | None = None) -> Axis:
    return Axis(label, lambda v: f"{v:.4g}", lambda v: f"{v:.4g}", least)


# ---- lines -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """From values to places in the drawing, and the ticks between."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    log2: bool = False

    def __call__(self, value: float) -> float:
        value = math.log2(value) if self.log2 else value
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def line_chart(title: str, series: Sequence[Series], x: Axis, y: Axis, zero: bool = False) -> str:
    """A figure: a line per series with its interval as a band; `zero` draws the line of no difference."""
    series = [Series(s.name, [p for p in s.points if math.isfinite(p.y)]) for s in series]
    series = [s for s in series if s.points]
    if not series:
        return f'<figure><figcaption>{escape(title)}</figcaption><p class="quiet">nothing recorded yet</p></figure>'
    across, up = x_scale(series, x), y_scale(series, y, zero)
    body = [axes(across, up, x, y)]
    if zero:
        body.append(f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(0):.1f}" y2="{up(0):.1f}"/>')
    body += [band(s, i, across, up) for i, s in enumerate(series)]
    body += [line(s, i, across, up, x, y) for i, s in enumerate(series)]
    said = "; ".join(spoken(s, x, y) for s in series)
    drawing = svg(WIDTH, HEIGHT, f"{title}. {said}", body)
    return figure(title, drawing, legend([s.name for s in series]), table(series, x, y))


def x_scale(series: Sequence[Series], x: Axis) -> Scale:
    values = sorted({p.x for s in series for p in s.points})
    inset = 46 if x.names else 10  # names are wide, and centred under their points
    start, end = LEFT + inset, WIDTH - RIGHT - inset
    if x.log2:
        low, high = math.log2(values[0]), math.log2(values[-1])
        ticks = [values[0]]
        for v in values[1:]:  # labels that would overlap are left out
            if math.log2(v) - math.log2(ticks[-1]) >= 0.11 * (high - low):
                ticks.append(v)
        return Scale(low, max(high, low + 1), start, end, ticks, True)
    low, high = values[0], values[-1]
    if low == high:
        return Scale(low - 1, high + 1, start, end, values)
    # a label for every turn would overlap; every second, fifth, tenth ... is labelled then
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if (high - low) / s <= 10)
    regular = max(([v for v in values if (v - at) % step == 0] for at in (0, low)), key=len)
    apart = min(b - a for a, b in pairwise(values)) * 10 >= high - low
    return Scale(low, high, start, end, values if apart else regular)


def y_scale(series: Sequence[Series], y: Axis, zero: bool) -> Scale:
    bounds = [b for s in series for p in s.points for b in (p.low, p.y, p.high) if b is not None and math.isfinite(b)]
    bounds += [*(y.least or ()), *([0.0] if zero else [])]
    low, high = min(bounds), max(bounds)
    if y.shares and all(0 <= p.y <= 1 for s in series for p in s.points):
        low, high = max(low, 0.0), min(high, 1.0)
    if low == high:
        low, high = low - abs(low) * 0.1 - 1e-9, high + abs(high) * 0.1 + 1e-9
    step = nice((high - low) / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(i * step, 12) for i in range(first, last + 1)]
    return Scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP, ticks)


def nice(step: float) -> float:
    """The least of 1, 2, 5, 10 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def axes(across: Scale, up: Scale, x: Axis, y: Axis) -> str:
    parts: list[str] = []
    for v in up.ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(v):.1f}" y2="{up(v):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{up(v) + 4:.1f}" text-anchor="end">{escape(y.tick(v))}</text>')
    floor = HEIGHT - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>')
    labels = [(x.names or {}).get(v) or x.tick(v) for v in across.ticks]
    ends = [(across(v) - LETTER * len(t) / 2, across(v) + LETTER * len(t) / 2) for v, t in zip(across.ticks, labels, strict=True)]
    crowded = any(after[0] < before[1] for before, after in pairwise(ends))  # then every other one stands a line lower
    for i, (v, label) in enumerate(zip(across.ticks, labels, strict=True)):
        row = floor + 16 + 10 * (crowded and i % 2)
        parts.append(f'<line class="axis" x1="{across(v):.1f}" x2="{across(v):.1f}" y1="{floor}" y2="{floor + 4}"/>')
        parts.append(f'<text class="tick" x="{across(v):.1f}" y="{row}" text-anchor="middle">{escape(label)}</text>')
    below = f'x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}"'
    beside = f'transform="translate(12 {(TOP + floor) / 2}) rotate(-90)"'
    for place, axis in ((below, x), (beside, y)):
        parts.append(f'<text class="label" {place} text-anchor="middle">{escape(axis.label)}</text>')
    return "".join(parts)


def band(s: Series, i: int, across: Scale, up: Scale) -> str:
    """The interval: a band, or a bar with ends where the series has one point only."""
    known = [(p, p.low, p.high) for p in s.points if p.low is not None and p.high is not None]
    if not known:
        return ""
    if len(known) == 1:
        [(p, low, high)] = known
        at = across(p.x)
        ends = "".join(f"M{at - 5:.1f},{up(v):.1f}h10" for v in (low, high))
        return f'<path class="bar s{i}" d="M{at:.1f},{up(low):.1f}V{up(high):.1f}{ends}"/>'
    there = [f"{across(p.x):.1f},{up(high):.1f}" for p, _, high in known]
    back = [f"{across(p.x):.1f},{up(low):.1f}" for p, low, _ in reversed(known)]
    return f'<path class="band s{i}" d="M{"L".join(there + back)}Z"/>'


def line(s: Series, i: int, across: Scale, up: Scale, x: Axis, y: Axis) -> str:
    places = [(across(p.x), up(p.y)) for p in s.points]
    path = "L".join(f"{a:.1f},{b:.1f}" for a, b in places)
    said = [escape(f"{s.name}, {x.label} {x_text(p, x)}: {value_text(p, y)}") for p in s.points]
    marks = [
        f'<g class="mark s{i}"><title>{words}</title>{marker(i, a, b)}</g>' for words, (a, b) in zip(said, places, strict=True)
    ]
    return f'<path class="line s{i}" d="M{path}"/>' + "".join(marks)


def marker(i: int, a: float, b: float) -> str:
    """Circle, square, diamond, triangle: by the series' place."""
    shapes = (
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.4"/>',
        f'<rect x="{a - 3:.1f}" y="{b - 3:.1f}" width="6" height="6"/>',
        f'<path d="M{a:.1f},{b - 4.5:.1f}l4.5,4.5l-4.5,4.5l-4.5,-4.5z"/>',
        f'<path d="M{a:.1f},{b - 4.5:.1f}l4.5,8h-9z"/>',
    )
    return shapes[i % len(shapes)]


def x_text(p: Point, x: Axis) -> str:
    return (x.names or {}).get(p.x) or x.show(p.x)


def value_text(p: Point, y: Axis) -> str:
    interval = f" [{y.show(p.low)}, {y.show(p.high)}]" if p.low is not None and p.high is not None else ""
    return y.show(p.y) + interval + (f", {p.note}" if p.note else "")


def spoken(s: Series, x: Axis, y: Axis) -> str:
    """A series in words, for those who hear the page."""
    first, last = s.points[0], s.points[-1]
    if first is last:
        return f"{s.name}: {value_text(first, y)} at {x_text(first, x)}"
    return f"{s.name}: from {y.show(first.y)} at {x_text(first, x)} to {y.show(last.y)} at {x_text(last, x)}"


def table(series: Sequence[Series], x: Axis, y: Axis) -> str:
    """The chart's numbers."""
    rows = sorted({p.x for s in series for p in s.points})
    found = [{p.x: p for p in s.points} for s in series]
    head = "".join(f'<th scope="col">{escape(s.name)}</th>' for s in series)
    body = ""
    for at in rows:
        label = (x.names or {}).get(at) or x.show(at)
        cells = "".join(f"<td>{escape(value_text(f[at], y)) if at in f else '–'}</td>" for f in found)
        body += f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'
    return f'<table><thead><tr><th scope="col">{escape(x.label)}</th>{head}</tr></thead><tbody>{body}</tbody></table>'


# ---- bars --------------------------------------------------------------------------------------------------------


def share_chart(title: str, bars: Mapping[str, Mapping[str, float]], parts: Sequence[str]) -> str:
    """A figure: one horizontal bar per row, divided into `parts` whose shares add up to one; all rows have all parts.

    A bar that stands alone has the whole width, and its name is only spoken.
    """
    height = len(bars) * (BAR + 12) + 28
    left = BAR_LEFT if len(bars) > 1 else 2
    room = WIDTH - left - RIGHT
    body: list[str] = []
    for row, (name, shares) in enumerate(bars.items()):
        top, at = 8 + row * (BAR + 12), float(left)
        if len(bars) > 1:
            body.append(f'<text class="tick" x="{left - 6}" y="{top + BAR / 2 + 4}" text-anchor="end">{escape(name)}</text>')
        for i, part in enumerate(parts):
            wide = shares[part] * room
            said = f"{name}, {part}: {100 * shares[part]:.1f}%"
            place = f'x="{at:.1f}" y="{top}" width="{wide:.1f}" height="{BAR}"'
            body.append(f'<rect class="share s{i}" {place}><title>{escape(said)}</title></rect>')
            if wide > 44:
                middle = f'x="{at + wide / 2:.1f}" y="{top + BAR / 2 + 4}" text-anchor="middle"'
                body.append(f'<text class="inside" {middle}>{100 * shares[part]:.0f}%</text>')
            at += wide
    floor = height - 28
    for tick in (0, 25, 50, 75, 100):
        at = left + room * tick / 100
        anchor = "end" if tick == 100 else "start" if tick == 0 else "middle"
        body.append(f'<text class="tick" x="{at:.1f}" y="{floor + 12}" text-anchor="{anchor}">{tick}%</text>')
    said = "; ".join(f"{n}: " + ", ".join(f"{p} {100 * s[p]:.1f}%" for p in parts) for n, s in bars.items())
    return figure(title, svg(WIDTH, height, f"{title}. {said}", body), legend(parts, "share"), "")


# ---- the frame ---------------------------------------------------------------------------------------------------


def svg(width: int, height: int, label: str, body: Sequence[str]) -> str:
    return f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(body)}</svg>'


def legend(names: Sequence[str], kind: str = "line") -> str:
    if len(names) < 2:
        return ""

    def swatch(i: int) -> str:
        if kind == "share":
            return f'<rect class="share s{i}" width="14" height="12" x="6" y="1"/>'
        return f'<path class="line s{i}" d="M0,7H26"/><g class="mark s{i}">{marker(i, 13, 7)}</g>'

    items = (f'<li><svg viewBox="0 0 26 14" aria-hidden="true">{swatch(i)}</svg>{escape(n)}</li>' for i, n in enumerate(names))
    return f'<ul class="legend">{"".join(items)}</ul>'


def figure(title: str, drawing: str, names: str, numbers: str) -> str:
    details = f'<details class="numbers"><summary>numbers</summary><div class="box">{numbers}</div></details>' if numbers else ""
    return f"<figure><figcaption>{escape(title)}</figcaption>{names}{drawing}{details}</figure>"
