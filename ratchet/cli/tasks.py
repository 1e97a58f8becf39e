"""`ratchet tasks list|show|check`."""

from __future__ import annotations

from typing import Any

import click

from ratchet.core.errors import TaskError

path_option = click.option("--path", default="", help="The file or folder of a family that reads one.")
knob_option = click.option("--knob", "knobs", multiple=True, metavar="NAME=VALUE", help="A knob of the family; repeatable.")


def family_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from ratchet.tasks.family import families

    return [e.name for e in families if e.name.startswith(incomplete)]


@click.group()
def tasks() -> None:
    """List, show and check task families."""


@tasks.command("list")
def list_() -> None:
    """Every task family, with its knobs."""
    import inspect

    from ratchet.tasks.family import families

    for entry in families:
        make = entry.value.draw or entry.value.read
        assert make is not None
        knobs = [f"{p.name}={p.default!r}" for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY]
        click.echo(f"{entry.name:<14} {entry.summary}")
        click.echo(f"{'':<14} knobs: {', '.join(knobs) or 'none'}{'' if entry.value.read is None else '; reads --path'}")


def source_of(family: str, path: str, knobs: tuple[str, ...]) -> Any:
    from ratchet.cli.evaluate import family_of, knobs_of
    from ratchet.tasks.family import Source

    return Source(*family_of(family, path), knobs_of(knobs))


@tasks.command()
@click.argument("family", shell_complete=family_names)
@path_option
@knob_option
@click.option("--n", "count", type=click.IntRange(1), default=5, show_default=True, help="How many tasks.")
@click.option("--split", type=click.Choice(["train", "validation", "heldout"]), default="train", show_default=True)
def show(family: str, path: str, knobs: tuple[str, ...], count: int, split: str) -> None:
    """Tasks of FAMILY (or of a task file): prompt, gold answer and a demonstration."""
    from ratchet.core.seeds import rng

    source = source_of(family, path, knobs)
    if source.tasks is not None:
        sizes = {s: sum(t.split == s for t in source.tasks) for s in ("train", "validation", "heldout")}
        click.echo(f"{len(source.tasks)} tasks: " + ", ".join(f"{n} {s}" for s, n in sizes.items()))
    for task in source.take(split, count, "show"):
        click.echo(f"\n{task.key} ({task.split}, verifier {task.verifier})\n  prompt         {task.prompt}")
        click.echo(f"  gold           {source.family.gold(task) or 'none: no right answer is known'}")
        if source.family.demonstrate is not None:
            click.echo(f"  demonstration  {source.family.demonstrate(rng('show', task.key), task) or 'none'}")


@tasks.command()
@click.argument("family", shell_complete=family_names)
@path_option
@knob_option
@click.option("--n", "count", type=click.IntRange(1), default=200, show_default=True, help="How many tasks of each split.")
def check(family: str, path: str, knobs: tuple[str, ...], count: int) -> None:
    """Prove FAMILY without a model: gold answers and demonstrations pass, decoys fail, splits share nothing."""
    from ratchet.tasks.check import check as prove
    from ratchet.verify.pool import VerifierPool

    source = source_of(family, path, knobs)
    with VerifierPool() as verify:
        result = prove(source, verify, count)
    click.echo(f"{result.tasks} tasks of {family}")
    for name, right, total in result.rows:
        click.echo(f"  {'ok  ' if right == total else 'FAIL'}  {name:<28} {right} of {total}")
    if result.unproven:
        click.echo(
            f"  none  {'gold answer is known':<28} {result.unproven} of {result.tasks}: nothing shows that these can be passed"
        )
    for line in result.failures[:10]:
        click.echo(f"  {line}")
    if not result.holds:
        raise TaskError(f'task family "{family}" does not hold; the lines above say where')
