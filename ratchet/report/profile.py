"""Where a run's time went: the parts of its wall time, its turns, the slowest verdicts and the longest samples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ratchet.core.errors import StoreError
from ratchet.loop.store import read_traces
from ratchet.report.chart import share_chart
from ratchet.report.records import Records, parts_of
from ratchet.report.sections import STOPS, charts, safe, table
from ratchet.report.traces import short

Amounts = Mapping[str, float]
Parts = Mapping[str, Amounts]

ORDER = ("sampling", "training", "verification", "gate", "measuring", "saving")
REST = "other"
BRIEF = 12  # turns that are shown without asking
LONGEST = 5


def profile(r: Records, browsed: Collection[str] = ()) -> str:
    """The section; `browsed` are the keys of the tasks in the page's browser of traces. Empty where no turn is done."""
    parts = with_rest(r.cost, r.seconds)
    if not parts or not r.seconds:
        return ""
    return wall(r, parts) + turns(r) + verdicts(r, browsed) + longest(r, browsed)


def with_rest(cost: Parts, seconds: float) -> dict[str, Amounts]:
    """The parts in the page's order, and what no part is booked for."""
    if not cost:
        return {}
    names = [*(n for n in ORDER if n in cost), *(n for n in cost if n not in ORDER)]
    return {**{n: cost[n] for n in names}, REST: {"seconds": max(0.0, seconds - total(cost))}}


def total(parts: Parts) -> float:
    return sum(p.get("seconds", 0.0) for p in parts.values())


# ---- the parts ---------------------------------------------------------------------------------------------------


def wall(r: Records, parts: Parts) -> str:
    """The bar, the table and the loop's own share."""
    shares = {name: p.get("seconds", 0.0) / total(parts) for name, p in parts.items()}
    sampled = sum(p.get("sampled_tokens", 0) for p in parts.values())
    state = "" if r.summary else " so far"
    threads = r.start.get("threads", r.summary.get("threads", "?"))
    words = (
        f"<p>{clock(r.seconds)} of wall time{state} on {safe(threads)} thread{'' if threads == 1 else 's'}, "
        f"{sampled:,.0f} tokens sampled. {overhead(r, parts)}</p>"
    )
    bar = charts([share_chart("Share of the wall time", {"whole run": shares}, list(shares))])
    rows = [
        [safe(name), secs(r, p.get("seconds", 0.0)), f"{shares[name]:.1%}", *tokens(p), safe(about(r, name, p))]
        for name, p in parts.items()
    ]
    rows.append(["total", secs(r, total(parts)), "100.0%", "", "", ""])
    return words + bar + table(["part", "#seconds", "#share", "#tokens", "#tokens/s", "what it is"], rows) + counted(r)


def tokens(part: Amounts) -> tuple[str, str]:
    """How many tokens a part sampled or trained on, and how many in each of its seconds."""
    n = part.get("trained_tokens", part.get("sampled_tokens"))
    if n is None:
        return "–", "–"
    return f"{n:,.0f}", f"{n / part['seconds']:,.0f}" if part.get("seconds") else "–"


def about(r: Records, name: str, part: Amounts) -> str:
    """What a part holds, with the seconds of its pieces where the run has recorded them."""
    match name:
        case "sampling":
            return f"drawing for training; read {part.get('prefix_tokens', 0):,.0f} tokens of prompts too"
        case "training":
            pieces = f"{secs(r, part['learner_seconds'])} s in the updates" if "learner_seconds" in part else APART
            return f"credit and updates; {pieces}"
        case "verification":
            return "waiting for verdicts on what was drawn for training"
        case "gate":
            return f"on validation tasks: {drawn_and_judged(r, part)}"
        case "measuring":
            return f"on held-out tasks: {drawn_and_judged(r, part)}"
        case "saving":
            return "checkpoints, stages, traces and the delivered model"
        case "other":
            return "starting, choosing tasks, the steps of strategies" + ("" if "saving" in r.cost else ", saving, comparing")
    return ""


APART = "not recorded apart"


def drawn_and_judged(r: Records, part: Amounts) -> str:
    if "engine_seconds" not in part:
        return f"drawing and judging, {APART}"
    judging = secs(r, part.get("verifier_seconds", 0.0))
    return f"{secs(r, part['engine_seconds'])} s drawing, {judging} s waiting for verdicts, the rest comparing"


INSIDE = ("engine_seconds", "learner_seconds", "verifier_seconds")


def overhead(r: Records, parts: Parts) -> str:
    """How much of the wall time passed outside engine, learner and verifier."""
    all_ = total(parts)
    split = {name: {k: p[k] for k in INSIDE if k in p} for name, p in parts.items()}
    plain = {"sampling": "engine_seconds", "verification": "verifier_seconds"}
    for name, kind in plain.items():
        if name in parts:
            split[name] = {kind: parts[name].get("seconds", 0.0)}
    # a turn done by an older version has pieces missing, and the sum of the others would pass for the whole
    told = all(split[n] for n in ("training", "gate", "measuring") if n in parts) and all(
        "engine_seconds" in t["cost"].get("gate", {"engine_seconds": 0}) for t in r.turns
    )
    if not told:
        least = (parts[REST]["seconds"] + parts.get("saving", {}).get("seconds", 0.0)) / all_
        return (
            f"The loop's own overhead is at least {least:.1%} ({secs(r, least * all_)}\u00a0s): how much of training, gate and "
            "measuring passed outside engine, learner and verifier was not recorded."
        )
    engine, learner, verifier = (sum(p.get(k, 0.0) for p in split.values()) / all_ for k in INSIDE)
    own = max(0.0, 1 - engine - learner - verifier)
    return (
        f"The loop's own overhead is {own:.1%} ({secs(r, own * all_)}\u00a0s): what passed outside the engine ({engine:.1%}), "
        f"the learner ({learner:.1%}) and the verifier ({verifier:.1%})."
    )


def counted(r: Records) -> str:
    """What the wall time does not hold."""
    since = (
        "from the loading of the model on, and what is done between two turns stands with the later one"
        if "saving" in r.cost
        else "within turns and the held-out look only"
    )
    return (
        f'<p class="quiet">Wall time is counted {since}. It leaves out the time between '
        "a stop and a resume, the work that a stop undid, and the writing of this page. Tokens/s are over all of a part's seconds."
        "</p>"
    )


# ---- turn by turn ------------------------------------------------------------------------------------------------


def turns(r: Records) -> str:
    """Seconds of each turn by part; what came after the last turn has a row too, so that columns add up to the parts."""
    columns = [n for n in with_rest(r.cost, r.seconds) if n != REST]
    rows = [turn_row(r, str(t["turn"] + 1), parts_of(t["cost"]), t["seconds"], columns) for t in r.turns]
    if r.summary:
        before = {n: sum(t["cost"].get(n, {}).get("seconds", 0.0) for t in r.turns) for n in columns}
        left = {n: {"seconds": max(0.0, r.cost[n].get("seconds", 0.0) - before[n])} for n in columns}
        rows.append(turn_row(r, "held-out look", left, max(0.0, r.seconds - sum(t["seconds"] for t in r.turns)), columns))
    drawn = table(["turn", *(f"#{n}" for n in [*columns, REST, "all"])], rows, "Seconds by turn")
    if len(rows) > BRIEF:
        return f"<details><summary>Seconds by turn ({len(r.turns)} turns)</summary>{drawn}</details>"
    return drawn


def turn_row(r: Records, name: str, parts: Parts, seconds: float, columns: Iterable[str]) -> list[str]:
    cells = [secs(r, parts[n]["seconds"]) if parts.get(n, {}).get("seconds") else "–" for n in columns]
    return [name, *cells, secs(r, max(0.0, seconds - total(parts))), secs(r, seconds)]


# ---- verdicts ----------------------------------------------------------------------------------------------------


def verdicts(r: Records, browsed: Collection[str]) -> str:
    title = "<h3>Slowest verifications</h3>"
    found = r.verifiers
    if not found:
        return title + '<p class="quiet">How long each verdict took was not recorded in this run.</p>'
    rows = [
        [
            safe(name),
            f"{t['count']:,}",
            duration(t["seconds"]),
            duration(t["seconds"] / t["count"]) if t["count"] else "–",
            duration(t["slowest"]),
            task_link(t["task"], browsed),
        ]
        for name, t in sorted(found.items(), key=lambda item: (-item[1]["seconds"], item[0]))
    ]
    judged = sum(t["seconds"] for t in found.values())
    waited = r.cost.get("verification", {}).get("seconds", 0.0) + sum(p.get("verifier_seconds", 0.0) for p in r.cost.values())
    words = (
        f'<p class="quiet">Timed in the verifier\'s process, each verdict by itself: {duration(judged)} in all; '
        f"the run waited {duration(waited)} for verdicts (where a core is spare, most are given beside the sampling). "
        f"The deadline of one verdict is {r.recipe['deadline']:g} s.</p>"
    )
    head = ["verifier", "#verdicts", "#in all", "#mean", "#slowest", "task of the slowest"]
    return title + words + table(head, rows)


def task_link(key: str, browsed: Collection[str]) -> str:
    """A task by its key; a link where the browser of traces has it."""
    if key in browsed:
        return f'<a href="#traces" data-task="{safe(key)}">{safe(key)}</a>'
    return safe(key) or "–"


# ---- samples -----------------------------------------------------------------------------------------------------


def longest(r: Records, browsed: Collection[str]) -> str:
    """The longest completions among the traces kept of the last turn that drew any."""
    title = "<h3>Longest samples</h3>"
    files = sorted((r.folder / "traces").glob("turn-[0-9][0-9][0-9][0-9].jsonl.gz"))
    if not files:
        return title + '<p class="quiet">No turn has left traces of training samples.</p>'
    turn = int(files[-1].name[5:9]) + 1
    try:
        drawn = [(d, t) for t in read_traces(files[-1]) for d in t["draws"]]
    except StoreError as e:
        return title + f'<p class="quiet">The traces of turn {turn} cannot be shown: {safe(e)}.</p>'
    if not drawn:
        return title + f'<p class="quiet">The traces of turn {turn} hold no samples.</p>'
    # sorted is stable: samples of one length stay in the order of their tasks
    top = sorted(drawn, key=lambda pair: -pair[0]["tokens"])[:LONGEST]
    words = (
        f'<p class="quiet">Of the {len(drawn):,} training samples that were kept from the last update of turn {turn}; '
        f"the limit is {r.recipe['max_tokens']:,} tokens.</p>"
    )
    return title + words + "".join(sample(d, t, browsed) for d, t in top)


def sample(draw: Mapping[str, Any], trace: Mapping[str, Any], browsed: Collection[str]) -> str:
    """A completion that opens to its text, in the dress of the browser of traces."""
    outcome = safe(draw["outcome"])
    kind = outcome if outcome in ("pass", "fail", "abstain") else "none"
    stop = STOPS.get(draw["stop"], draw["stop"])
    return (
        f'<details class="task long"><summary><span class="share">{draw["tokens"]:,} tokens</span>'
        f'<strong class="{kind}">{outcome.upper()}</strong><span class="quiet">{safe(stop)}</span>'
        f'<span class="prompt">{safe(short(trace["prompt"]))}</span></summary><div class="open">'
        f'<p class="facts"><b>prompt</b> {safe(short(trace["prompt"]))}</p>'
        f'<p class="quiet">task {task_link(trace["key"], browsed)}</p>'
        f"<p>{safe(short(draw['evidence']))}</p><pre>{safe(short(draw['text']))}</pre></div></details>"
    )


# ---- numbers in words --------------------------------------------------------------------------------------------


def secs(r: Records, seconds: float) -> str:
    """Seconds for a column: with a digit more where the whole run was short."""
    return f"{seconds:,.{1 if r.seconds >= 30 else 2}f}"


def duration(seconds: float) -> str:
    """A time of any size, to about three digits."""
    if seconds >= 100:
        return clock(seconds)
    scaled, unit = (seconds, "s") if seconds >= 1 else (seconds * 1e3, "ms") if seconds >= 1e-3 else (seconds * 1e6, "µs")
    return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"


def clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {left} s" if minutes else f"{seconds:.1f} s"
    )
