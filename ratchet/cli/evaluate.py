"""`ratchet eval` and `ratchet compare`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ratchet.cli.measure import VERDICTS, Level, decided
from ratchet.core.errors import RecipeError, VerifierError
from ratchet.core.files import finite


def strategy_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from ratchet.search.strategy import strategies

    return [e.name for e in strategies if e.name.startswith(incomplete)]


def knobs_of(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` pairs; a value is JSON where it is JSON, else text."""
    from ratchet.loop.recipe import parse

    knobs: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise RecipeError(f'a knob is name=value, got "{pair}"; for example n=8')
        knobs[name.strip()] = parse(text.strip(), Any)
    return knobs


@click.command()
@click.argument("model", default="builtin")
@click.option("--tasks", default="countdown", show_default=True, help="A task family, or a task file (.jsonl, .json, .parquet).")
@click.option("--task-knob", "task_knobs", multiple=True, metavar="NAME=VALUE", help="A knob of the family; repeatable.")
@click.option("--path", default="", help="The file or folder of a family that reads one.")
@click.option("--split", type=click.Choice(["train", "validation", "heldout", "all"]), default=None,
              help="Which split; heldout by default, so that a model is not measured on what it was trained on.")  # fmt: skip
@click.option("--n", "count", type=click.IntRange(1), default=500, show_default=True, help="How many tasks.")
@click.option("--strategy", default="single", show_default=True, shell_complete=strategy_names, help="How answers are found.")
@click.option("--knob", "knobs", multiple=True, metavar="NAME=VALUE", help="A knob of the strategy; repeatable.")
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Independent answers per task.")
@click.option("--max-tokens", type=click.IntRange(1), default=96, show_default=True, help="Longest completion.")
@click.option("--budget", type=click.IntRange(1), default=None, help="Most sampled tokens per answer.")
@click.option("--batch", type=click.IntRange(1), default=256, show_default=True, help="Rows sampled at once.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the record here, for `ratchet compare`.")
@click.option("--traces", "kept", type=click.Path(path_type=Path, dir_okay=False),
              help="Write everything that was drawn here (.jsonl.gz), for `ratchet traces export`.")  # fmt: skip
def eval(
    model: str, tasks: str, task_knobs: tuple[str, ...], path: str, split: str | None, count: int, strategy: str,
    knobs: tuple[str, ...], samples: int, max_tokens: int, budget: int | None, batch: int, seed: int, as_json: bool, out: Path | None,
    kept: Path | None,
) -> None:  # fmt: skip
    """Measure MODEL (builtin, a checkpoint's or a run's folder, a hub name) and print pass@1 with its interval and cost."""
    from ratchet.core.budget import Budget
    from ratchet.loop.store import write_traces
    from ratchet.loop.turn import checked_strategy, scheduler_for
    from ratchet.measure.record import record_of
    from ratchet.models.load import load_policy
    from ratchet.models.machine import prepare
    from ratchet.models.scheduler import cut_short
    from ratchet.search.steps import never_ended
    from ratchet.search.strategy import layers, strategies
    from ratchet.verify.pool import VerifierPool

    tasks, path = family_of(tasks, path)
    if out is not None and not out.parent.is_dir():
        raise RecipeError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    if kept is not None and not kept.name.endswith(".jsonl.gz"):
        raise RecipeError(f"--traces {kept}: the name must end in .jsonl.gz")
    chosen = pick_tasks(tasks, path, knobs_of(task_knobs), split, count, seed)
    play, given = strategies[strategy], checked_strategy(strategy, knobs_of(knobs))
    prepare()
    policy = load_policy(model_folder(model), max_tokens, batch)
    with VerifierPool() as verify:
        scheduler = scheduler_for(policy, verify)
        for layer, own in layers(strategy, given):
            scheduler.check(strategies[layer], own)
        traces = scheduler.run(play, chosen, seed, "eval", knobs=given, samples=samples, budget=Budget(tokens=budget))
    if kept is not None:
        write_traces(kept, traces)
    record = record_of(
        traces, model, path or tasks, seed=seed, split=split or "heldout", knobs=knobs_of(knobs), cost=asdict(scheduler.spent)
    )
    if not any(r.n for r in record.rows):
        raise VerifierError("the verifier abstained on every answer; look at it with `ratchet tasks check`")
    estimate = record.pass_at(1)
    if out is not None:
        record.save(out)
    if as_json:
        abstained = sum(r.abstained for r in record.rows)
        click.echo(json.dumps({"pass_at_1": asdict(estimate), "strategy": strategy, "samples": samples, "abstained": abstained,
                               "cut_short": sum(bool(t.cut) for t in traces), "warning": never_ended(play, given, traces),
                               "cost": asdict(scheduler.spent), "model": model, "tasks": path or tasks}))  # fmt: skip
        return
    spent = scheduler.spent
    answers = len(traces)
    click.echo(f"{model} on {split or 'heldout'} tasks of {path or tasks} with {strategy}: pass@1 {estimate}")
    click.echo(
        f"cost: {spent.sampled_tokens:,} tokens sampled ({spent.sampled_tokens / answers:.1f} per answer), {spent.draws:,} draws, "
        f"{spent.calls:,} calls, {spent.seconds:.1f} s"
    )
    for line in (cut_short(traces), never_ended(play, given, traces)):
        if line:
            click.echo(line)
    if abstentions := sum(r.abstained for r in record.rows):
        click.echo(f"abstained: {abstentions} of {answers} answers could not be judged and are left out")


def family_of(tasks: str, path: str) -> tuple[str, str]:
    """The family and its file: a name that is no family, but a path, is a file of tasks."""
    from ratchet.tasks.family import families

    return ("files", tasks) if tasks not in families and is_path(tasks) else (tasks, path)


def is_path(name: str) -> bool:
    """Whether a name that is no family was meant as a file."""
    return Path(name).exists() or "/" in name or "." in name


def model_folder(model: str) -> str:
    """A run's folder stands for the model that it delivered."""
    delivered = Path(model) / "model"
    return str(delivered) if (delivered / "config.json").is_file() else model


def pick_tasks(name: str, path: str, knobs: dict[str, Any], split: str | None, count: int, seed: int) -> list[Any]:
    from ratchet.tasks.family import Source

    source = Source(name, path, knobs)
    if split == "all" and source.tasks is not None:
        return source.tasks[:count]
    if split == "all":
        raise RecipeError(f'the family "{name}" draws tasks without end; --split takes train, validation or heldout for it')
    return source.take(split or "heldout", count, seed, "eval tasks")  # type: ignore[arg-type]


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--level", type=Level(), default=0.95, show_default=True, help="Of the interval.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compare(a: Path, b: Path, level: float, as_json: bool) -> None:
    """Is B better than A? Each is a record of `ratchet eval --out`, or a run's folder (what it delivered)."""
    from ratchet.measure.record import load_record, tell_apart

    first, second = load_record(a), load_record(b)
    told = tell_apart(first, second, level)
    d, verdict = told.difference, VERDICTS[told.answer]
    if as_json:
        click.echo(json.dumps(finite({"difference": d, "p": told.p, "detectable": told.detectable, "verdict": verdict})))
        return
    click.echo(f"A: {first.model}, {first.strategy}: pass@1 {first.pass_at(1)}")
    click.echo(f"B: {second.model}, {second.strategy}: pass@1 {second.pass_at(1)}")
    click.echo(f"B - A, paired by task: {d}")
    click.echo(decided(verdict, level, told.p, told.detectable))
    if d.n < max(len(first.rows), len(second.rows)):
        click.echo(f"note: only the {d.n} tasks (or clusters of tasks) that both records hold are compared")
