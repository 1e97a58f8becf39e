"""`ratchet search bench`: strategies against each other at equal cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from ratchet.core.errors import RecipeError
from ratchet.core.files import write_text

DEFAULT = "single; vote; best-of-n"


@click.group()
def search() -> None:
    """Ways to answer by search: compare them at equal cost."""


@search.command()
@click.argument("model", default="builtin")
@click.option("--strategies", default=DEFAULT, show_default=True,
              help='Strategies divided by ";", with knobs as in best-of-n:scorer=logprob; `ratchet methods` lists them.')  # fmt: skip
@click.option("--tasks", default="countdown", show_default=True, help="A task family, or a task file (.jsonl, .json, .parquet).")
@click.option("--task-knob", "task_knobs", multiple=True, metavar="NAME=VALUE", help="A knob of the family; repeatable.")
@click.option("--path", default="", help="The file or folder of a family that reads one.")
@click.option("--budgets", default="50,100,200,400", show_default=True, help="Mean costs of a task, divided by commas.")
@click.option("--in", "unit", type=click.Choice(["tokens", "flops", "seconds"]), default="tokens", show_default=True,
              help="What budgets are counted in: sampled tokens, operations of all models, or seconds.")  # fmt: skip
@click.option(
    "--call-price",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="What a judged completion or a tool call is worth, in the unit of --in.",
)
@click.option("--critic", "critics", multiple=True, metavar="NAME=FOLDER", help="A saved critic as the scorer NAME; repeatable.")
@click.option("--n", "count", type=click.IntRange(2), default=200, show_default=True, help="Held-out tasks.")
@click.option("--max-tokens", type=click.IntRange(1), default=96, show_default=True, help="Longest completion.")
@click.option("--batch", type=click.IntRange(1), default=256, show_default=True, help="Rows sampled at once.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("search-bench"), show_default=True,
              help="Folder of the page, the numbers and the traces; what it holds of the same settings is not done again.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def bench(
    model: str, strategies: str, tasks: str, task_knobs: tuple[str, ...], path: str, budgets: str, unit: str, call_price: float,
    critics: tuple[str, ...], count: int, max_tokens: int, batch: int, seed: int, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Accuracy of MODEL against cost, for each strategy and its placebo, on the same held-out tasks."""
    from ratchet.cli.evaluate import family_of, knobs_of, model_folder, pick_tasks
    from ratchet.core.seeds import digest
    from ratchet.loop.search_bench import Bench, areas, with_controls
    from ratchet.loop.store import digest_of_model
    from ratchet.loop.turn import checked_strategy, scheduler_for
    from ratchet.models.critic import load_critic, scorer_of
    from ratchet.models.load import folder_of, load_policy
    from ratchet.models.machine import prepare
    from ratchet.report.search_bench import apart, page, range_of
    from ratchet.search.strategy import divided, layers, name_of, planned
    from ratchet.verify.pool import VerifierPool

    plans = divided(strategies, ";")
    if not plans:
        raise RecipeError(f'--strategies names none, got "{strategies}"; for example "{DEFAULT}" (`ratchet methods` lists them)')
    limits = costs_of(budgets)
    folders = critics_of(critics)
    controls = with_controls(plans)  # wrong names and knobs are heard of before a model is loaded
    for plan in controls:
        checked_strategy(name_of(plan), planned(plan)[1], folders)
    tasks, path = family_of(tasks, path)
    held = pick_tasks(tasks, path, knobs_of(task_knobs), "heldout", count, seed)
    sizing = pick_tasks(tasks, path, knobs_of(task_knobs), "validation", max(2, min(40, count)), seed)
    extra = {name: scorer_of(load_critic(folder)) for name, folder in folders.items()}
    settings = {
        "model": model, "tasks": path or tasks, "task knobs": " ".join(task_knobs), "n": len(held), "budgets": budgets, "unit": unit,
        "call price": call_price, "critics": " ".join(critics), "max_tokens": max_tokens, "seed": seed,
        # names stay where what they name changes
        "model digest": digest_of_model(folder_of(model_folder(model))),
        "critic digests": " ".join(f"{name}={digest_of_model(folder)}" for name, folder in folders.items()),
        "task digest": digest(*(t.key for t in [*held, *sizing])).hex()[:16],
    }  # fmt: skip
    prepare()
    policy = load_policy(model_folder(model), max_tokens, batch)
    with VerifierPool() as verify:
        scheduler = scheduler_for(policy, verify)
        scheduler.scorers = {**scheduler.scorers, **extra}
        for plan in controls:
            for layer, own in layers(name_of(plan), planned(plan)[1]):
                scheduler.check(planned(layer)[0], own)
        say = (lambda text: None) if as_json else click.echo
        spots = Bench(scheduler, sizing, held, limits, unit, seed, out, settings, say, call_price).run(plans)
    found, bounds = areas(spots, unit, limits)
    target = out / "bench.html"
    write_text(target, page(out, spots, found, bounds, unit, settings))
    if as_json:
        click.echo(
            json.dumps(
                {
                    "settings": settings,
                    "between": bounds,
                    "spots": [asdict(s) for s in spots],
                    "areas": [asdict(a) for a in found],
                }
            )
        )
        return
    missing = [plan for plan in controls if plan not in {s.plan for s in spots}]
    click.echo(f"\n{range_of(bounds, unit)}:" if found else f"\n{apart(bounds, unit)}")
    for a in sorted(found, key=lambda a: -a.area.value):
        over = (
            f"; over its placebo {a.over_control.value:+.3f} [{a.over_control.low:+.3f}, {a.over_control.high:+.3f}]"
            if a.over_control
            else ""
        )
        click.echo(f"  {a.plan:<40} {a.area}{over}")
    for plan in missing:
        click.echo(f"  {plan:<40} fits no budget: its smallest size costs more than {max(limits):g} {unit}")
    click.echo(f"\ncurves: {target}")


def costs_of(text: str) -> list[float]:
    try:
        found = sorted({float(b) for b in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(0 < b < float("inf") for b in found):
        raise RecipeError(f'--budgets takes numbers above 0 divided by commas, such as 50,100,200, got "{text}"')
    return found


def critics_of(pairs: tuple[str, ...]) -> dict[str, Path]:
    """The folder of each critic by its name as a scorer."""
    found: dict[str, Path] = {}
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not equals or not name.strip():
            raise RecipeError(f'--critic takes NAME=FOLDER, got "{pair}"; for example value=runs/critic')
        found[name.strip()] = Path(folder)
    return found
