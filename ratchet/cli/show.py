"""`ratchet show`: walk a run's traces in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ratchet.core.errors import StoreError

COLOURS = {"pass": "green", "fail": "red"}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--of", "which", default=None, help="Which traces; the held-out ones of the delivered model by default.")
@click.option("--only", type=click.Choice(["pass", "fail", "abstain"]), default=None, help="Only traces with this verdict.")
@click.option("--key", default=None, help="Only the task whose key begins with this.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, help="How many at the most.")
def show(folder: Path, which: str | None, only: str | None, key: str | None, most: int) -> None:
    """Walk the traces of the run in FOLDER; in a terminal, Enter goes on and q stops."""
    from ratchet.loop.store import read_traces

    files = {f.name.removesuffix(".jsonl.gz"): f for f in sorted((folder / "traces").glob("*.jsonl.gz"))}
    if not files:
        raise StoreError(f"{folder} has no traces yet; give the folder of a run, such as runs/countdown")
    chosen = which or next((n for n in reversed(files) if n.startswith("heldout")), next(reversed(files)))
    if chosen not in files:
        raise StoreError(f'{folder} has no traces "{chosen}"; it has {", ".join(files)}')
    click.echo(f"{chosen} (others: {', '.join(n for n in files if n != chosen) or 'none'})")
    shown = 0
    for trace in wanted(read_traces(files[chosen]), only, key):
        if shown == most:
            click.echo(f"... more follow; --most {2 * most} shows them")
            break
        click.echo("\n" + describe(trace))
        shown += 1
        if (
            sys.stdin.isatty()
            and sys.stdout.isatty()
            and click.prompt("", default="", show_default=False, prompt_suffix="> ") == "q"
        ):
            break
    if not shown:
        click.echo("no trace fits; loosen --only or --key")


def wanted(traces: Iterator[dict[str, Any]], only: str | None, key: str | None) -> Iterator[dict[str, Any]]:
    for trace in traces:
        if (only is None or trace["outcome"] == only) and (key is None or trace["key"].startswith(key)):
            yield trace


def describe(trace: dict[str, Any]) -> str:
    """A trace as text: the prompt, each draw with its verdict, and the answer that was chosen."""
    lines = [click.style(f"task {trace['key']} sample {trace['sample']}, {trace['strategy']}", bold=True)]
    lines.append(f"  prompt  {clean(trace['prompt'])}")
    from ratchet.loop.store import tree_of

    gone_on_from = {draw.get("parent") for draw in trace["draws"]}
    for i, depth, text, scores in tree_of(trace):
        draw, indent = trace["draws"][i], "  " * depth
        mark = "*" if i == trace["chosen"] else " "
        lines.append(f" {mark}{indent}{draw['role']:<7} {clean(text)}")
        said = "".join(f", {scorer} {score:.3f}" for scorer, score in scores)
        verdict = "" if i in gone_on_from else f"{styled(draw)} "
        lines.append(f"          {indent}{verdict}({draw['tokens']} tokens, stopped by {draw['stop']}{said})")
    if trace["chosen"] is None:
        lines.append(f"  {styled(trace)}")
    return "\n".join(lines)


def styled(verdict: dict[str, Any]) -> str:
    word = click.style(verdict["outcome"].upper(), fg=COLOURS.get(verdict["outcome"], "yellow"))
    return f"{word}: {clean(verdict['evidence'])}"


def clean(text: str) -> str:
    """What a model wrote must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text))
