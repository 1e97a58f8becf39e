"""`ratchet run`, `resume` and `report`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ratchet.core.errors import RecipeError, nearest


def recipe_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from ratchet.loop.recipe import recipes

    return [e.name for e in recipes if e.name.startswith(incomplete)]


class WithRecipes(click.Command):
    """Its help ends with the recipes that ship, which need no torch to be listed."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from ratchet.loop.recipes import recipes

        with formatter.section("Recipes"):
            formatter.write_dl([(e.name, e.summary) for e in recipes.known()])


@click.command(cls=WithRecipes)
@click.argument("recipe", shell_complete=recipe_names)
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change one setting of the recipe; repeatable.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="The run's folder; by default a new one under runs/."
)
@click.option(
    "--on-abstain",
    metavar="WAY",
    help="What training does with an answer that could not be judged: skip (the default), wrong, stop.",
)
@click.option(
    "--require-audit", is_flag=True, help="Begin only where the verifier passes gold answers and no text made to fool it."
)
@click.option("--dry", is_flag=True, help="Print the resolved recipe and its hash, and stop.")
@click.option("--seeds", type=int, metavar="N", help="Run N seeds side by side, from the recipe's on, each with one thread.")
@click.option("--jobs", type=int, metavar="J", help="With --seeds: at most J of them at once; by default one for each core.")
def run(
    recipe: str, overrides: tuple[str, ...], out: Path | None, on_abstain: str | None, require_audit: bool, dry: bool,
    seeds: int | None, jobs: int | None,
) -> None:  # fmt: skip
    """Run RECIPE: a name (see below) or the recipe.json of an earlier run."""
    from ratchet.loop.recipe import override, recipe_hash, recipes, to_json

    named = [f"on_abstain={on_abstain}"] * (on_abstain is not None) + ["require_audit=true"] * require_audit
    resolved = override(read(recipe), [*overrides, *named])
    if seeds is not None:
        from ratchet.loop.seeds import seeds_of

        each = seeds_of(resolved, seeds)
        resolved = each[0]
    elif jobs is not None:
        raise RecipeError("--jobs says how many seeds run at once; it goes with --seeds N")
    else:
        each = []
    if dry:
        from ratchet.loop.run import check_names

        check_names(resolved)
        click.echo(json.dumps(to_json(resolved), indent=2))
        for one in each or [resolved]:
            click.echo(f"hash {recipe_hash(one)}" + (f" with seed {one.seed}" if each else ""))
        return
    recipes.discover()
    if each:
        from ratchet.cli.seeds import play as play_seeds

        # no number is added to the folder's name: the same command finds what it began
        play_seeds(each, out or Path("runs", f"{resolved.name}-seeds"), jobs)
        return
    from ratchet.loop.run import begin

    folder = out or unused(Path("runs"), resolved.name)
    play(lambda tell: begin(resolved, folder, tell), folder)


def read(recipe: str) -> Any:
    from ratchet.loop.recipe import recipes
    from ratchet.loop.run import read_recipe

    if recipe.endswith(".json") or Path(recipe).is_file():
        return read_recipe(Path(recipe))
    if recipe not in recipes:
        names = [e.name for e in recipes]
        raise RecipeError(f'no recipe named "{recipe}"; {nearest(recipe, names)}; or give the recipe.json of a run')
    return recipes[recipe]()


def unused(parent: Path, name: str) -> Path:
    """runs/countdown, else runs/countdown-2, -3, ...; a folder that never came to hold a run is taken again."""
    from ratchet.loop.store import holds_run

    folder, number = parent / name, 1
    while holds_run(folder):
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def resume(folder: Path) -> None:
    """Go on with the run in FOLDER from its last checkpoint, to the same result as without the stop."""
    from ratchet.loop.run import resume as go_on

    play(lambda tell: go_on(folder, tell), folder)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write FOLDER/report.html anew from the run's records."""
    from ratchet.report.page import write_report

    click.echo(f"report: {write_report(folder)}")


def play(job: Callable[[Callable[[dict[str, Any]], None]], dict[str, Any]], folder: Path) -> None:
    """Do a run with a progress display, write its report and print its outcome."""
    from ratchet.cli.progress import Progress
    from ratchet.report.page import write_report

    progress = Progress()
    try:
        with progress:
            summary = job(progress.tell)
    except KeyboardInterrupt:
        if progress.begun:
            click.echo(f"\nstopped; nothing that was finished is lost. Go on with: ratchet resume {folder}", err=True)
        raise SystemExit(130) from None
    page = write_report(folder)
    click.echo(outcome(summary))
    click.echo(f"report: {page}\nmodel:  {folder / 'model'}")


def outcome(summary: dict[str, Any]) -> str:
    """The result in a few sentences: never pass@1 alone."""
    before, after, d = summary["before"], summary["after"], summary["difference"]
    promoted = sum(g["accepted"] for g in summary["gates"])
    lines = [
        f"held-out pass@1: {percent(before)} -> {percent(after)}, difference {points(d)} on {d['n']} {d['unit']}",
        f"promotions: {promoted} of {len(summary['gates'])} gates"
        + ("" if promoted else "; the model that is delivered is the one that the run began with, unchanged"),
    ]
    first, last = summary["pass_at_k"]["before"], summary["pass_at_k"]["after"]
    if first and last:
        lines.append(
            "held-out pass@k: "
            + ", ".join(f"k={a['k']} {a['value']:.1%} -> {b['value']:.1%}" for a, b in zip(first, last, strict=False))
        )
    for name, b in summary["baselines"].items():
        lines.append(f"baseline {name}: {percent(b['pass_at_1'])}; the model is ahead by {points(b['model_ahead_by'])}")
    return "\n".join(lines)


def percent(e: dict[str, Any]) -> str:
    return f"{e['value']:.1%} [{e['low']:.1%}, {e['high']:.1%}]"


def points(e: dict[str, Any]) -> str:
    return f"{100 * e['value']:+.1f} points [{100 * e['low']:+.1f}, {100 * e['high']:+.1f}]"
