"""`ratchet study`: published claims, each re-tested by one command."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def study() -> None:
    """Re-test published claims at small scale: list them, run one, show how all came out."""


OUT = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/studies"), show_default=True,
    help="Folder of your own runs; a study's folder is in it.",
)  # fmt: skip


@study.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_studies(as_json: bool) -> None:
    """Every study with its paper and its claims."""
    from ratchet.studies.study import studies

    found = [
        {"name": e.name, "title": e.value.title, "paper": e.paper, "budget": e.value.budget,
         "claims": {c.name: c.sentence for c in e.value.claims}}
        for e in studies
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps(found))
        return
    for s in found:
        click.echo(f"{click.style(s['name'], bold=True)}  {s['title']}\n  {s['paper']}; {s['budget']}")
        for name, sentence in s["claims"].items():
            click.echo(f"    {name}: {sentence}")


@study.command()
@click.argument("name")
@click.option("--seeds", type=click.IntRange(1), help="How many seeds, from 0 on (default: as the study says).")
@click.option("--quick", is_flag=True, help="Seconds instead of minutes: shows that everything is joined, and nothing else.")
@click.option("--jobs", type=click.IntRange(1), help="Seeds at work together (default: as many as this process has cores).")
@OUT
def run(name: str, seeds: int | None, quick: bool, jobs: int | None, out: Path) -> None:
    """Run a study: seeds side by side, one thread each. What is done already is kept; Ctrl-C loses only what is under way."""
    from ratchet.models.machine import cores
    from ratchet.studies.pages import duration, shown, verdict
    from ratchet.studies.running import folder_of, run_study
    from ratchet.studies.study import studies

    asked = studies[name]
    count = seeds or (1 if quick else asked.seeds)
    click.echo(f"{asked.name}: {asked.title}\n  {count} seeds; {'a quick look' if quick else asked.budget}")
    try:
        record = run_study(asked, range(count), quick, out, jobs or cores(), lambda s, text: click.echo(f"seed {s}: {text}"))
    except KeyboardInterrupt:
        click.echo(f"\nstopped; finished seeds are kept. Go on with: {shlex.join(['ratchet', *sys.argv[1:]])}", err=True)
        raise SystemExit(130) from None
    for claim in record["claims"]:
        click.echo(f"\n{click.style(claim['outcome'], bold=True)}  {claim['name']}: {claim['sentence']}")
        for check in claim["checks"]:
            click.echo(f"  {check['what']}: {shown(check['effect'])}, to be {check['demand']}: {verdict(check)}")
    click.echo(f"\n{duration(record['seconds'])} of one thread; record: {folder_of(out, asked, quick) / 'record.json'}")
    if quick:
        click.echo("a quick run proves nothing about the claim; leave --quick out for that")


@study.command()
@OUT
@click.option("--write", type=click.Path(file_okay=False, path_type=Path), help="Also write the table and a page per study here.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def table(out: Path, write: Path | None, as_json: bool) -> None:
    """How every study came out: the records that ratchet ships, and yours in --out before them."""
    from ratchet.core.files import finite
    from ratchet.studies.pages import lines, write_pages
    from ratchet.studies.running import SHIPPED, records

    found = records([SHIPPED, out])
    written = write_pages(found, write) if write else []
    if as_json:
        click.echo(json.dumps(finite([record for record, _ in found.values()]), allow_nan=False))
        return
    for name, claim, outcome, effect, seeds, time, state in lines(found):
        click.echo(
            f"{name:<20} {claim:<18} {click.style(outcome, bold=True):<10}  {effect}; {seeds} seeds, {time}{'; ' * bool(state)}{state}"
        )
    if not found:
        click.echo(f"no records: neither shipped nor in {out}; `ratchet study run NAME` makes one")
    for file in written:
        click.echo(f"wrote {file}")
