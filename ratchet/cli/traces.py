"""`ratchet traces export`: what was drawn, as training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ratchet.core.errors import StoreError


def format_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from ratchet.loop.export import formats

    return [e.name for e in formats if e.name.startswith(incomplete)]


@click.group()
def traces() -> None:
    """What strategies drew: export it for a trainer."""


@traces.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--as", "shape", default="sft", show_default=True, shell_complete=format_names,
              help="sft, chosen, pairs, labels, steps, verl or raw; `ratchet methods` says what each holds.")  # fmt: skip
@click.option("--of", "which", default=None, help="Of a run's folder, which of its trace files; all turns' draws by default.")
@click.option("--heldout", is_flag=True, help="Export traces of held-out tasks too.")
def export(source: Path, target: Path, shape: str, which: str | None, heldout: bool) -> None:
    """Write the traces of SOURCE (a run's folder, or a file that `ratchet eval --traces` wrote) to TARGET (.jsonl, .jsonl.gz, .parquet)."""
    from ratchet.loop.export import formats, rows_of, write_rows
    from ratchet.loop.store import read_traces

    make = formats[shape]
    if not target.parent.is_dir():
        raise StoreError(f"{target}: the folder {target.parent} does not exist; make it first")
    stored: list[dict[str, Any]] = [trace for file in files_of(source, which) for trace in read_traces(file)]
    held = sum(t.get("split") == "heldout" for t in stored if isinstance(t, dict))
    if held and not heldout and not which:
        raise StoreError(
            f"{held:,} of the {len(stored):,} traces of {source} are of held-out tasks: who trains on them cannot be measured by them; draw "
            "with --split train, or export them all the same with --heldout"
        )
    rows = list(rows_of(stored, make))
    if not rows:
        raise StoreError(f'none of the {len(stored):,} traces of {source} gives a row as "{shape}"; nothing was written')
    write_rows(target, rows)
    click.echo(f"{len(rows):,} rows as {shape} from {len(stored):,} traces: {target}")


def files_of(source: Path, which: str | None) -> list[Path]:
    """The trace files that are meant. Held-out ones are only taken by name: who trains on them cannot be measured by them."""
    if source.is_file():
        return [source]
    if not source.exists():
        raise StoreError(f"{source} does not exist; give a run's folder, or a file that `ratchet eval --traces` wrote")
    there = {f.name.removesuffix(".jsonl.gz"): f for f in sorted((source / "traces").glob("*.jsonl.gz"))}
    chosen = {n: f for n, f in there.items() if (n == which if which else n.startswith("turn-"))}
    if not chosen:
        has = ", ".join(there) or "none"
        raise StoreError(f"{source} has no traces {f'named {which}' if which else 'of turns'}; it has {has}: choose with --of")
    return list(chosen.values())
