"""The parts of a page, each from a run's records to HTML. Every text of the records goes through `safe`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ratchet.core.errors import StoreError
from ratchet.loop.recipe import MEANING
from ratchet.measure.changes import stored_changes
from ratchet.report.chart import Axis, Point, Series, line_chart, number, percent, points, share_chart, whole
from ratchet.report.records import Records
from ratchet.report.traces import visible

Json = Mapping[str, Any]
TURN = whole("turn")


def safe(text: Any) -> str:
    return escape(visible(text))


def anchor(title: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in title.lower())


def section(title: str, body: str) -> str:
    name = anchor(title)
    return f'<section id="{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{safe(title)}</h2>{body}</section>'


def charts(drawn: Iterable[str]) -> str:
    return f'<div class="charts">{"".join(drawn)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table in a box that scrolls by itself. Cells are HTML; the first of a row names it. A head "#x" aligns right."""
    right = ['class="n"' if h.startswith("#") else "" for h in head]
    top = "".join(f'<th scope="col" {r}>{safe(h.lstrip("#"))}</th>' for h, r in zip(head, right, strict=True))
    body = ""
    for first, *rest in rows:
        cells = "".join(c if c.startswith("<td") else f"<td {r}>{c}</td>" for c, r in zip(rest, right[1:], strict=True))
        body += f'<tr><th scope="row">{first}</th>{cells}</tr>'
    said = f"<caption>{safe(caption)}</caption>" if caption else ""
    # a box that scrolls must be reachable by the keyboard
    return f'<div class="box" tabindex="0">{f"<table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"}</div>'


def share(e: Json) -> str:
    return f"{e['value']:.1%} [{e['low']:.1%}, {e['high']:.1%}]"


def gain(e: Json) -> str:
    return f"{100 * e['value']:+.1f} [{100 * e['low']:+.1f}, {100 * e['high']:+.1f}]"


def direction(e: Json) -> str:
    """The class of a difference, by its interval."""
    return "good" if e["low"] > 0 else "bad" if e["high"] < 0 else "unsure"


def point(x: float, e: Json, note: str = "") -> Point:
    return Point(x, e["value"], e["low"], e["high"], note)


def stage_label(name: str) -> str:
    """What stage a name such as "2-reinforcement" means."""
    rest = name.split("-", 1)[-1]
    return "start" if rest == "start" else f"after {rest}"


# ---- the top -----------------------------------------------------------------------------------------------------


def headline(r: Records) -> str:
    about = f"{r.recipe['tasks']['family']} tasks, seed {r.recipe['seed']}, {len(r.turns)} of {r.planned} turns"
    said = outcome(r) if r.summary else unfinished(r)
    meaning = MEANING.get(r.recipe.get("evidence", ""))
    note = f'<p class="quiet">{safe(meaning)}.</p>' if meaning else ""
    return f'<h1>{safe(r.recipe["name"])}: report of a run</h1><p class="quiet">{safe(about)}</p>{said}{note}'


def outcome(r: Records) -> str:
    """The result: never a number without its interval, nor a gain without whether the gate saw it too."""
    d = r.summary["difference"]
    first, last = (stage_label(s["stage"]) for s in r.summary["stages"][-2:])
    words = {
        "good": "The delivered model is better on held-out tasks.",
        "bad": "The delivered model is worse on held-out tasks.",
        "unsure": "No difference on held-out tasks was shown.",
    }[direction(d)]
    return (
        f'<div class="headline {direction(d)}"><p class="big">Held-out pass@1: {r.summary["before"]["value"]:.1%} → '
        f"{r.summary['after']['value']:.1%} <span>{gain(d)} points</span></p>"
        f"<p>{words} The difference is {gain(d)} points (paired, {d['level']:.0%} interval, n = {d['n']:,} {safe(d['unit'])}); "
        f"from {share(r.summary['before'])} ({safe(first)}) to {share(r.summary['after'])} ({safe(last)}).</p>"
        f"<p>{promotions(r)}</p></div>"
    )


def promotions(r: Records) -> str:
    """What the gate let through, in words, and so which model is delivered."""
    phase = r.turns[-1]["phase"] if r.turns else ""
    promoted = [t for t in r.turns if t["decision"] == "PROMOTE"]
    looks = f"{len(promoted)} of {len(r.turns)} looks of the gate promoted the challenger"
    if not promoted:
        return "Nothing was promoted: the delivered model is the one that the run started from, unchanged."
    if all(t["phase"] != phase for t in promoted):
        return f"{looks}, none of them in {safe(phase)}: the delivered model is the one that {safe(phase)} began with, unchanged."
    return f"{looks}; the last at turn {promoted[-1]['turn'] + 1}. The delivered model is the one of that turn."


def unfinished(r: Records) -> str:
    missing = " The held-out look is still to come." if len(r.turns) == r.planned else ""
    state = f"{len(r.turns)} of {r.planned} turns are done.{missing}"
    latest = ""
    if r.turns:
        now = r.turns[-1]
        side = "challenger" if now["decision"] == "PROMOTE" else "champion"
        value = share(now["pass_at_1"][side])
        latest = f"<p>The champion's validation pass@1 at the last gate (turn {now['turn'] + 1}): {value}.</p>"
    return (
        f'<div class="headline unsure"><p class="big">This run is unfinished</p><p>{state} There is no held-out number yet: '
        f"it is measured once, at the end. This page shows what the journal has; <code>ratchet resume</code> with this folder "
        f"goes on with the run.</p>{latest}</div>"
    )


# ---- the evidence ------------------------------------------------------------------------------------------------


def evidence(r: Records) -> dict[str, str]:
    """Title -> body, in the page's order; an empty body leaves its section out."""
    return {
        "Gate": gates(r),
        "Learning": learning(r),
        "Reward against truth": truth(r),
        "pass@k": coverage(r),
        "What changed in the model": changes(r),
        "Stages": stages(r),
        "Length and stop reasons": lengths(r),
        "Baselines": baselines(r),
    }


def gates(r: Records) -> str:
    if not r.turns:
        return "<p>No gate has looked yet.</p>"
    colour = {"PROMOTE": "good", "ROLL BACK": "bad"}
    rows = [
        [
            str(t["turn"] + 1),
            safe(t["phase"]),
            f'<strong class="{colour.get(t["decision"], "unsure")}">{safe(t["decision"])}</strong>',
            gain(t["interval"]),
            f"{t['interval']['level']:.2%}",
            f"{t['interval']['n']:,}",
            # the reason begins with the numbers, which have columns here
            f'<td class="wide">{safe(t["reason"].rsplit(": ", 1)[-1])}</td>',
        ]
        for t in r.turns
    ]
    error = r.recipe["gate"]["error"]
    intro = (
        f"<p>After each turn champion and challenger meet on fresh validation tasks. The chance of any false promotion in the "
        f"whole run is at most {error:.0%}, over {r.planned} planned looks; hence the level of each interval.</p>"
    )
    head = ["turn", "phase", "decision", "difference (points)", "level", "#n", "reason"]
    return intro + table(head, rows)


def learning(r: Records) -> str:
    """Validation at every gate, and what training measured on its way."""
    if not r.turns:
        return ""
    sides = [
        Series(
            name,
            [point(t["turn"] + 1, t["pass_at_1"][name], t["decision"] if name == "challenger" else "") for t in r.turns],
        )
        for name in ("challenger", "champion")
    ]
    main = line_chart("Validation pass@1 at the gate", sides, TURN, percent("pass@1"))
    note = (
        '<p class="quiet">Bands are 95% intervals. Every gate draws tasks of its own, so both lines move with the draw; '
        "the gate compares them by pairs. The curves below are means over a turn; the journal keeps no interval for them.</p>"
    )
    return note + charts([main, *metric_charts(r)])


METRICS = (
    ("mean_tokens", "Mean length of training samples", number("tokens per sample")),
    ("cut", "Training samples cut off at the token limit", percent("share of samples", (0.0, 0.01))),
    ("entropy", "Entropy: mean −log p of drawn tokens", number("nats per token")),
    ("loss", "Loss", number("loss")),
    ("grad_norm", "Norm of the gradient", number("norm before clipping")),
    ("kl", "Distance from the reference", number("nats per token")),
    ("abstained", "Verifier abstained", percent("share of samples", (0.0, 0.01))),
)


def metric_charts(r: Records) -> list[str]:
    """A chart per metric and phase: the losses of imitation and of reinforcement share no scale."""
    drawn: list[str] = []
    phases = list(dict.fromkeys(t["phase"] for t in r.turns))
    for phase in phases:
        turns = [(t["turn"] + 1, metrics(t)) for t in r.turns if t["phase"] == phase]
        for name, title, axis in METRICS:
            found = [Point(x, m[name]) for x, m in turns if name in m]
            if not found or (name == "abstained" and not any(p.y for p in found)):
                continue
            drawn.append(line_chart(f"{title}, {phase}" if len(phases) > 1 else title, [Series(name, found)], TURN, axis))
    return drawn


def metrics(turn: Json) -> dict[str, float]:
    """A turn's numbers, with the share of samples that the token limit cut off."""
    found = {k: v for k, v in turn["metrics"].items() if isinstance(v, int | float)}
    return {**found, **({"cut": turn["metrics"]["stop_length"]} if "stop_length" in turn["metrics"] else {})}


def truth(r: Records) -> str:
    """The reward that training saw against what the verifier found: they part where the reward is not the truth."""
    turns = [t for t in r.turns if "reward" in t["metrics"] and "solved" in t["metrics"]]
    if not turns:
        return ""
    name = r.recipe["reward"]
    gap = max(abs(t["metrics"]["reward"] - t["metrics"]["solved"]) for t in turns)
    if gap < 0.005:
        words = "Both coincide: training was rewarded for what the verifier found true."
    elif name == "verdict":
        words = "The reward is the verdict; samples that the verifier could not judge carry no reward and make up the gap."
    else:
        words = "They come apart: this reward is not the truth, and a rise of it says nothing about the model."
    lines = [
        Series("mean reward", [Point(t["turn"] + 1, t["metrics"]["reward"]) for t in turns]),
        Series("share solved (verifier)", [Point(t["turn"] + 1, t["metrics"]["solved"]) for t in turns]),
    ]
    intro = f'<p>Reward "{safe(name)}" on training samples. {words} Largest gap of a turn: {gap:.3f}.</p>'
    return intro + charts([line_chart("Training reward and share solved", lines, TURN, number("mean per sample"))])


def coverage(r: Records) -> str:
    """pass@k before and after: does the model find more, or find the same more often?"""
    curves = r.summary.get("pass_at_k", {})
    if not curves.get("before") or not curves.get("after"):
        return ""
    axis = Axis("samples per task, k (log scale)", TURN.show, TURN.tick, log2=True)
    lines = [Series(name, [point(p["k"], p) for p in curves[name]]) for name in ("before", "after")]
    drawn = [line_chart("Held-out pass@k", lines, axis, percent("pass@k"))]
    words = ""
    if curves["difference"]:
        change = Series("after minus before", [point(p["k"], p) for p in curves["difference"]])
        drawn.append(line_chart("Paired difference of pass@k", [change], axis, points("after minus before"), zero=True))
        words = sharpening(curves["difference"])
    n = curves["after"][0]["n"]
    note = f'<p class="quiet">On {n:,} held-out tasks; bands are 95% intervals.</p>'
    return f"<p>{words}</p>{note}" + charts(drawn)


def sharpening(difference: Sequence[Json]) -> str:
    """What the ends of the difference say, in a sentence."""
    one, many = difference[0], difference[-1]
    k = f"{many['k']} samples"
    said = {
        ("good", "good"): f"Coverage grew: {k} reach more tasks than before, and one sample is right more often.",
        ("good", "unsure"): f"Sharpening: one sample is right more often, while no change was shown in what {k} reach.",
        ("good", "bad"): f"Sharpening at the cost of coverage: one sample is right more often, and {k} reach less than before.",
        ("unsure", "good"): f"Coverage grew without sharpening: {k} reach more, while no change was shown at one.",
        ("unsure", "unsure"): "Neither sharpening nor a change of coverage was shown.",
        ("unsure", "bad"): f"Coverage shrank: {k} reach less than before, and one is not shown to be right more often.",
        ("bad", "good"): f"Blunter but wider: one sample is right less often, while {k} reach more.",
        ("bad", "unsure"): "One sample is right less often; no change of coverage was shown.",
        ("bad", "bad"): f"Both fell: one sample is right less often, and {k} reach less.",
    }
    numbers = f"Difference at k = {one['k']}: {gain(one)} points; at k = {many['k']}: {gain(many)} points."
    return f"{said[direction(one), direction(many)]} {numbers}"


def changes(r: Records) -> str:
    """Before against after from the held-out samples that the run kept, beside what two draws of one model differ by."""
    if not r.summary or r.recipe.get("evidence") in MEANING:
        return ""
    before, after = (s["stage"] for s in r.summary["stages"][-2:])
    try:
        rows = stored_changes(r.folder, before, after)
    except StoreError as e:
        return f'<p class="quiet">This cannot be told: {safe(e)}.</p>'
    known = [[safe(name), f'<td class="wide">{safe(said)}</td>'] for name, said in rows if name != "not known"]
    missing = "; ".join(said for name, said in rows if name == "not known")
    words = (
        f"<p>From {safe(stage_label(before))} to {safe(stage_label(after))}, on held-out tasks with the samples that were kept. "
        f"What a difference is worth is its interval against chance: two draws of one model differ too.</p>"
    )
    left = f'<p class="quiet">Not known: {safe(missing)}.</p>' if missing else ""
    return words + table(["what", "before → after"], known) + left


def stages(r: Records) -> str:
    """Held-out pass@1 after each stage, where there are more than the two of the headline."""
    found = r.summary.get("stages", [])
    if len(found) <= 2:
        return ""
    rows = [[safe(stage_label(s["stage"])), share(s["pass_at_1"]), f"{s['pass_at_1']['n']:,}"] for s in found]
    axis = Axis("stage", TURN.show, TURN.tick, names={i: stage_label(s["stage"]) for i, s in enumerate(found)})
    line = Series("pass@1", [point(i, s["pass_at_1"]) for i, s in enumerate(found)])
    words = "<p>The champion after each stage on the same held-out tasks. The headline compares the last two.</p>"
    drawn = charts([line_chart("Held-out pass@1 by stage", [line], axis, percent("pass@1"))])
    return words + table(["stage", "pass@1 [95% interval]", "#n (tasks)"], rows) + drawn


STOPS = {"end": "ended by itself", "stop": "stop string", "length": "cut off at the limit"}


def lengths(r: Records) -> str:
    found = r.summary.get("stages", [])
    if not found:
        return ""
    rows = []
    for s in found:
        stops = [f"{s['stops'].get(k, 0):.1%}" for k in STOPS]
        rows.append([safe(stage_label(s["stage"])), f"{s['mean_tokens']:.1f}", *stops, f"{s['abstained']:,}"])
    met = [k for k in STOPS if any(s["stops"].get(k) for s in found)]
    bars = {stage_label(s["stage"]): {STOPS[k]: s["stops"].get(k, 0.0) for k in met} for s in found}
    words = f"<p>Of the held-out samples, each of at most {r.recipe['max_tokens']:,} tokens.</p>"
    head = ["stage", "#mean tokens", *(f"#{s}" for s in STOPS.values()), "#verifier abstained"]
    return words + table(head, rows) + charts([share_chart("Why samples stopped", bars, [STOPS[k] for k in met])])


def baselines(r: Records) -> str:
    found = r.summary.get("baselines") or {}
    word = {"good": "ahead", "bad": "behind", "unsure": "cannot tell"}
    rows = []
    for name, b in found.items():
        d = b["model_ahead_by"]
        said = f'<strong class="{direction(d)}">{word[direction(d)]}</strong>'
        rows.append([safe(name), share(b["pass_at_1"]), gain(d), said, f"{d['n']:,}"])
    if not rows:
        return ""
    words = "<p>Simple methods, fitted on the training tasks, on the same held-out tasks; the model is compared by pairs.</p>"
    return words + table(["baseline", "its pass@1", "model minus baseline (points)", "the model is", "#n"], rows)


def browser(data: Json, note: str, kind: str = "") -> str:
    """The frame that the page's script fills. `kind` says what its tasks are; by default those of a run."""
    if not data:
        return f"<p>{safe(note)}</p>" if note else ""
    shown = len(data["tasks"])
    left = "" if shown == data["all"] else " The others were left out to keep this page small; `ratchet show` walks all of them."
    of_run = "held-out tasks, before and after" if len(data["columns"]) > 1 else f"training tasks, drawn at {data['columns'][0]}"
    choices = "".join(
        f'<label><input type="radio" name="group" value="{g["code"]}"> {safe(g["name"])} '
        f'<span class="quiet">({counted(*g["counts"])})</span></label>'
        for g in data["groups"]
    )
    return (
        f"<p>{shown:,} of {data['all']:,} {safe(kind or of_run)}. "
        f"A task counts as solved where at least one of its samples passed.{safe(left)}</p>"
        '<noscript><p>The browser of traces needs this page\'s own script.</p></noscript><div class="browser">'
        '<fieldset><legend>solved</legend><label><input type="radio" name="group" value="all" checked> all</label>'
        f"{choices}</fieldset>"
        '<label>search <input type="search" id="search" placeholder="in prompts, answers, samples and evidence"></label>'
        '<p class="quiet" id="found" role="status"></p><div id="tasks"></div>'
        '<button id="more" type="button" hidden>show more</button></div>'
    )


def counted(shown: int, there: int) -> str:
    return f"{there:,}" if shown == there else f"{shown:,} of {there:,}"


# ---- the particulars ---------------------------------------------------------------------------------------------


def particulars(r: Records) -> dict[str, str]:
    return {"Shared keys": shared(r), "Recipe": recipe(r), "Seeds and versions": versions(r)}


def shared(r: Records) -> str:
    """How many held-out tasks training or a gate saw too: the claim of the headline rests on this being none."""
    found = r.summary.get("shared_keys")
    if not found:
        return ""
    clean = not found["train"] and not found["validation"]
    word = "None: the splits share no task." if clean else "The splits are NOT apart: do not trust the headline."
    return (
        f'<p><strong class="{"good" if clean else "bad"}">{word}</strong> Of {found["heldout"]:,} held-out tasks '
        f"{found['train']:,} were also drawn for training and {found['validation']:,} for a gate (by content key).</p>"
    )


def recipe(r: Records) -> str:
    """The resolved recipe: a table per group of settings."""
    groups: dict[str, dict[str, Any]] = {"run": {}}
    for name, value in r.recipe.items():
        if isinstance(value, dict):
            groups[name] = dict(flat(value))
        else:
            groups["run"][name] = value
    tables = "".join(
        table(["setting", "value"], [[safe(k), f'<td class="code">{safe(written(v))}</td>'] for k, v in settings.items()], name)
        for name, settings in groups.items()
    )
    return f'<div class="pair">{tables}</div>'


def flat(settings: Json, before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def written(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def versions(r: Records) -> str:
    about = {
        "seed": r.recipe["seed"],
        "recipe hash": r.start.get("recipe_hash", r.summary.get("recipe_hash", "not recorded")),
        "threads": r.start.get("threads", r.summary.get("threads", "not recorded")),
        **r.start.get("versions", r.summary.get("versions", {})),
    }
    return table(["what", "value"], [[safe(k), f'<td class="code">{safe(v)}</td>'] for k, v in about.items()])
