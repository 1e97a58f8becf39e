"""`ratchet run --seeds`: the display of several seeds at once. Plain lines only, the same with and without a terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from ratchet.cli.runs import percent, points
from ratchet.core.errors import RatchetError


def play(recipes: list[Any], out: Path, jobs: int | None) -> None:
    """Run all seeds with a line per turn, then print their table. Exit code 1 where a seed failed, 130 when stopped."""
    from ratchet.loop.seeds import run_seeds
    from ratchet.models.machine import cores
    from ratchet.report.page import write_report

    def tell(event: dict[str, Any]) -> None:
        line = line_of(event)
        if event["event"] in ("skipped", "finished"):
            try:
                write_report(out / f"seed-{event['seed']}")
            except RatchetError as e:  # the result does not hang on the page
                line += f"; no report: {e}"
        if line:
            click.echo(f"seed {event['seed']}: {line}")

    try:
        summary = run_seeds(recipes, out, cores() if jobs is None else jobs, tell)
    except KeyboardInterrupt:
        again = shlex.join(["ratchet", *sys.argv[1:]])
        click.echo(f"\nstopped; nothing that was finished is lost. Go on with the same command: {again}", err=True)
        raise SystemExit(130) from None
    click.echo(table(summary))
    click.echo(f"summary: {out / 'summary.json'}\nreports: {out / 'seed-*' / 'report.html'}")
    for f in summary["failed"]:
        click.echo(f"ratchet: seed {f['seed']} failed: {f['why']}", err=True)
    if summary["failed"]:
        raise SystemExit(1)


def line_of(e: dict[str, Any]) -> str:
    """An event in a few words; nothing for most."""
    match e["event"]:
        case "start":
            return f"{e['turns']} turns" + (f", {e['done']} of them done before; going on" if e["done"] else "")
        case "turn":
            p = e["pass_at_1"]["challenger"]
            return f"turn {e['turn'] + 1}, pass@1 on validation {percent(p)}, {e['decision']}, {e['seconds']:.1f} s"
        case "note":
            return f"note: {e['text']}"
        case "failed":
            return "failed; the others go on"
        case "skipped":
            return "done before, skipped"
        case "finished":
            return f"done, held-out difference {points(e['summary']['difference'])}"
        case _:
            return ""


def table(summary: dict[str, Any]) -> str:
    """A row per seed, and one line over all of them."""
    if not summary["seeds"]:
        return "no seed was finished"
    lines = [f"{'seed':>6}  {'pass@1 before':<21}  {'pass@1 after':<21}  {'difference':<28}  {'promotions':<10}  {'seconds':>7}"]
    lines += [
        f"{r['seed']:>6}  {percent(r['before']):<21}  {percent(r['after']):<21}  {points(r['difference']):<28}  "
        f"{str(r['promotions']) + ' of ' + str(r['gates']):<10}  {r['seconds']:>7.1f}"
        for r in summary["seeds"]
    ]
    n, d = len(summary["seeds"]), summary["difference"]
    alone = "one seed: too few for an interval over seeds"
    mean = f"over {n} seeds: mean difference {points(d)} (95%, n = {n} seeds)" if d else alone
    lines.append(
        f"{mean}; own interval above 0 for {summary['above_0']} of {n}, below 0 for {summary['below_0']}; "
        f"{summary['promotions']} of {summary['gates']} gates promoted; {summary['seconds']:.1f} s in all"
    )
    return "\n".join(lines)
