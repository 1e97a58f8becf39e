"""`ratchet smith`: raw data in, verified machine-learning competitions out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ratchet.core.errors import SmithError

TASK = click.argument("folder", type=click.Path(path_type=Path))
RAW = click.option("--raw", type=click.Path(path_type=Path), help="The raw files it was made of: prepare.py is then run too.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def smith() -> None:
    """Make competitions of raw data, check them, grade submissions, and solve them."""


def there(path: Path) -> Path:
    if not path.exists():
        raise SmithError(f"no file or folder at {path}")
    return path


def datasets(paths: tuple[Path, ...]) -> list[tuple[Path, tuple[Path, ...]]]:
    """A folder is a data set; files of one folder are one data set together."""
    folders = [p for p in map(there, paths) if p.is_dir()]
    loose: dict[Path, list[Path]] = {}
    for p in paths:
        if p.is_file():
            loose.setdefault(p.parent, []).append(p)
    return [(p, ()) for p in folders] + [(parent, tuple(files)) for parent, files in loose.items()]


@smith.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("competitions"),
    show_default=True,
    help="Folder of the tasks.",
)
@click.option("--most", type=click.IntRange(1), default=6, show_default=True, help="Tasks of one data set.")
@click.option(
    "--tries", type=click.IntRange(1), default=14, show_default=True, help="Candidates that are built and verified for that."
)
@click.option("--endpoint", help="An OpenAI-compatible URL: a model plays the roles, not the rules.")
@click.option("--model", default="", help="The endpoint's model.")
@click.option(
    "--cap", type=click.IntRange(1), default=200_000, show_default=True, help="Most tokens that the model may cost, prompts too."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Candidates worked on at once; a model takes one."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def make(
    paths: tuple[Path, ...],
    out: Path,
    most: int,
    tries: int,
    endpoint: str | None,
    model: str,
    cap: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Make tasks of PATHS: each folder is a data set, files given together are one. The same command goes on after a stop.
    Exit code 1 where not one task was made, 2 where nothing could be read."""
    from ratchet.smith.making import make as made
    from ratchet.smith.trying import give_memory_back

    give_memory_back()
    roles = by_model(endpoint, model, cap, out) if endpoint else None
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    for root, only in datasets(paths):
        try:
            say = lambda line: click.echo(line, err=as_json)
            how = {"most": most, "tries": tries, "only": only, "roles": roles, "jobs": 1 if roles else jobs}
            results.append(made(root, out, say, **how))
        except SmithError as e:  # the others are still worth making
            failed.append(str(e))
            click.echo(f"ratchet: {e}", err=True)
        except Exception as e:
            said = f"{root}: an error in the smith, {type(e).__name__}: {' '.join(str(e).split())[:300]}"
            failed.append(said)
            click.echo(f"ratchet: {said}", err=True)
    total = sum(len(r["accepted"]) for r in results)
    if as_json:
        click.echo(json.dumps(results))
    else:
        click.echo(
            f"\n{total} tasks from {sum(bool(r['accepted']) for r in results)} of {len(results) + len(failed)} data sets, in {out}"
        )
        kinds = sorted({t["kind"] for r in results for t in r["tried"] if t["accepted"]})
        click.echo(f"kinds: {', '.join(kinds) or 'none'}")
    if failed and not results:
        raise SystemExit(2)
    if not total:
        raise SystemExit(1)


def by_model(endpoint: str, model: str, cap: int, out: Path) -> Any:
    from ratchet.models.endpoint import Endpoint
    from ratchet.smith.model_roles import Model

    if not model:
        raise SmithError("--endpoint needs --model, the name that the server knows the model by")
    return Model(Endpoint(endpoint, model, max_tokens=8_192), out / "exchanges.jsonl", cap)


@smith.command()
@TASK
@RAW
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(folder: Path, raw: Path | None, as_json: bool) -> None:
    """Verify a task's folder: assertions, runs in the sandbox, leak probes, review. Exit code 1 where something is wrong."""
    from ratchet.smith import checking, trying

    trying.needed()
    checking.read_task(there(folder))
    with trying.readable((there(raw) if raw else folder).resolve()) as seen, trying.room(seen) as sandbox:
        report = checking.check(folder, sandbox, seen if raw else None)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        for problem in report.problems:
            click.echo(f"{problem.check}: {problem.what} (the {problem.role}'s work)")
        click.echo(f"{len(set(report.checks))} checks, {len(report.problems)} problems")
        for name, score in report.baselines.get("scores", {}).items():
            click.echo(f"  {name}: {score:.4f}")
    if not report.accepted:
        raise SystemExit(1)


@smith.command()
@TASK
@click.argument("submission", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the grade as JSON.")
def grade(folder: Path, submission: Path, as_json: bool) -> None:
    """Score a submission, beside the baselines. Exit code 1 where it is not valid."""
    from ratchet.smith.grading import grade as graded

    found = graded(there(folder), there(submission))
    if as_json:
        click.echo(json.dumps(found))
    elif found["valid"]:
        click.echo(f"{found['metric']}: {found['score']:.6g} ({'higher' if found['higher_is_better'] else 'lower'} is better)")
        for name, score in found["baselines"].items():
            click.echo(f"  {name}: {score:.6g}{' (passed)' if name in found['passed'] else ''}")
    else:
        click.echo(f"not valid: {found['why']}", err=True)
    if not found["valid"]:
        raise SystemExit(1)


@smith.command()
@TASK
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The page (default: card.html in the task's folder)."
)
def card(folder: Path, out: Path | None) -> None:
    """Write one HTML page about a task: its data, its metric, its baselines, what was verified."""
    from ratchet.core.files import write_text
    from ratchet.report.smith import page

    path = out or there(folder) / "card.html"
    write_text(path, page(folder))
    click.echo(path)


@smith.command()
@TASK
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of MLE-bench's layout.")
def export(folder: Path, out: Path) -> None:
    """Write a task in the layout of MLE-bench, so that its agents can run on it."""
    from ratchet.smith.exporting import to_mle_bench

    click.echo(to_mle_bench(there(folder), out))


@smith.command()
@TASK
@click.option("--agent", default="ladder", show_default=True, help="An agent that needs no model: ladder, pipelines.")
@click.option("--engine", help="A model (builtin, a folder, a hub name) that is the agent, by the strategy tool-use.")
@click.option("--endpoint", help="The agent is a model at an OpenAI-compatible endpoint, such as http://localhost:8000/v1.")
@click.option("--model", default="", help="The name by which the endpoint knows the model.")
@click.option("--turns", type=click.IntRange(1), default=6, show_default=True, help="Texts of the model.")
@click.option("--max-tokens", type=click.IntRange(1), default=1024, show_default=True, help="Longest completion of the model.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--submissions", type=click.IntRange(1), default=3, show_default=True, help="How many may be scored.")
@click.option("--json", "as_json", is_flag=True, help="Print the episode as JSON.")
def solve(
    folder: Path, agent: str, engine: str | None, endpoint: str | None, model: str, turns: int, max_tokens: int, seed: int,
    submissions: int, as_json: bool,
) -> None:  # fmt: skip
    """Let an agent solve a task: it looks at the data, runs code in the sandbox, and submits."""
    from ratchet.core.errors import EngineError
    from ratchet.smith import trying
    from ratchet.smith.agents import agents
    from ratchet.smith.checking import read_task
    from ratchet.smith.solving import Workbench, play

    trying.needed()
    read_task(there(folder))
    chosen = agents[agent]
    if engine and endpoint:
        raise click.UsageError("--engine and --endpoint are two agents; give one")
    broke: EngineError | None = None
    with trying.room(folder.resolve() / "public") as sandbox:
        bench = Workbench(folder, sandbox, submissions)
        try:
            if engine:
                by_engine(bench, engine, turns, max_tokens, seed)
            elif endpoint:
                by_endpoint(bench, endpoint, model, turns, max_tokens, seed)
            else:
                play(bench, chosen(bench.task), seed)
        except EngineError as e:  # what was scored before stays
            broke = e
    if as_json:
        click.echo(json.dumps(bench.record(engine or model or agent)))
    else:
        for step in bench.steps:
            lines = step.answer.strip().splitlines() or [""]
            click.echo(f"{step.tool}: {lines[-1 if step.tool != 'look' else 0][:120]}")
        click.echo(f"best: {bench.best if bench.best is not None else 'none'}")
    if broke:
        raise broke


def by_endpoint(bench: Any, url: str, model: str, turns: int, max_tokens: int, seed: int) -> None:
    """An episode of a model behind an endpoint; see `by_engine`."""
    from ratchet.models.endpoint import Endpoint
    from ratchet.search.strategy import strategies
    from ratchet.smith.solving import BY_MODEL, play

    if not model:
        raise SmithError("--endpoint needs --model, the name that the server knows the model by")
    ask = Endpoint(url, model, max_tokens=max_tokens)
    play(bench, strategies["tool-use"](bench.task, turns=turns, **BY_MODEL), seed, ask=ask)


def by_engine(bench: Any, engine: str, turns: int, max_tokens: int, seed: int) -> None:
    """An episode of a model: what it writes between <run> and </run> is run, and it reads what came of it."""
    from ratchet.cli.evaluate import model_folder
    from ratchet.core.types import Outcome, Verdict
    from ratchet.models.load import load_policy
    from ratchet.models.machine import prepare
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies
    from ratchet.smith.solving import BY_MODEL

    prepare()
    policy = load_policy(model_folder(engine), max_tokens, 1)
    judged = Verdict(Outcome.ABSTAIN, "what counts are the scores of its submissions")
    scheduler = Scheduler(policy, lambda pairs: [judged for _ in pairs], tools=bench.tools())
    scheduler.run(strategies["tool-use"], [bench.task], seed, "solve", knobs={"turns": turns, **BY_MODEL})


@smith.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--against", multiple=True, required=True, type=click.Path(path_type=Path), help="A task to compare with; give several."
)
@click.option("--json", "as_json", is_flag=True, help="Print the ratings as JSON.")
def fidelity(folders: tuple[Path, ...], against: tuple[Path, ...], as_json: bool) -> None:
    """Rate eight solvers by the tasks FOLDERS and by those --against, such as hand-written ones, and say how far the orders agree."""
    from ratchet.smith import trying
    from ratchet.smith.checking import read_task
    from ratchet.smith.fidelity import agreement, solved

    trying.needed()
    for folder in (*folders, *against):
        read_task(there(folder))
    with trying.room(folders[0].resolve()) as sandbox:
        sides = [[solved(folder, sandbox) for folder in side] for side in (folders, against)]
    found = agreement(*sides)
    if as_json:
        click.echo(json.dumps(vars(found)))
        return
    click.echo(f"{'solver':<16}{'these tasks':>12}{'the others':>12}")
    for name in sorted(found.written, key=lambda n: -found.written[n]):
        click.echo(f"{name:<16}{found.generated[name]:>12.0f}{found.written[name]:>12.0f}")
    counts = f"{len(folders)} and {len(against)} tasks"
    click.echo(f"Spearman's correlation: {found.value:.2f}, resampled [{found.low:.2f}, {found.high:.2f}] ({counts})")
