"""`ratchet curate`: question-answer files into tasks whose answers can be checked."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ratchet.core.errors import RecipeError, StoreError, TaskError

if TYPE_CHECKING:
    from ratchet.data.curate import Tally
    from ratchet.data.filters import Row

OWN = ("tasks.jsonl", "dropped.jsonl", "report.json", "report.html")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder for tasks.jsonl and the report."
)
@click.option("--against", multiple=True, type=click.Path(path_type=Path), metavar="EVAL",
              help="An evaluation set: rows that share words with it are dropped; repeatable.")  # fmt: skip
@click.option("--filters", "wanted", default="", metavar="A,B", help="Only these filters; `ratchet methods` lists all.")
@click.option("--without", default="", metavar="A,B", help="All filters but these.")
@click.option("--knob", "knobs", multiple=True, metavar="FILTER.NAME=VALUE", help="A knob of a filter; repeatable.")
@click.option("--field", "fields", multiple=True, metavar="ROLE=NAME",
              help="What a field is called: question, answer, solution, options or body; repeatable.")  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Make open questions of multiple choice where that can be verified.")
@click.option(
    "--rewriter", default="", metavar="MODEL", help="With --open: a model rewrites, instead of rules; at --endpoint, or our own."
)
@click.option(
    "--endpoint", "url", default="", metavar="URL", help="An OpenAI-compatible endpoint, such as http://localhost:8000/v1."
)
@click.option(
    "--key", default="OPENAI_API_KEY", show_default=True, metavar="VARIABLE", help="Where the endpoint's key is, if it needs one."
)
@click.option("--difficulty", default="", metavar="MODEL", help="Measure how often this model solves each task that is kept.")
@click.option("--samples", type=click.IntRange(1), default=8, show_default=True, help="With --difficulty: answers per task.")
@click.option("--max-tokens", type=click.IntRange(1), default=512, show_default=True, help="With --difficulty: longest answer.")
@click.option("--keep-rate", type=(click.FloatRange(0, 1), click.FloatRange(0, 1)), default=None, metavar="LOW HIGH",
              help="With --difficulty: keep only tasks whose solve rate lies there.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def curate(
    files: tuple[Path, ...], out: Path, against: tuple[Path, ...], wanted: str, without: str, knobs: tuple[str, ...],
    fields: tuple[str, ...], open_: bool, rewriter: str, url: str, key: str, difficulty: str, samples: int, max_tokens: int,
    keep_rate: tuple[float, float] | None, seed: int,
) -> None:  # fmt: skip
    """Turn FILES of questions with answers (JSON Lines, JSON, CSV, Parquet) into verifiable tasks, and say what was dropped and why.

    Writes tasks.jsonl, which `ratchet run rlvr --set tasks=OUT/tasks.jsonl` trains on, dropped.jsonl, report.html and report.json.
    """
    from ratchet.cli.measure import pairs_of
    from ratchet.core.files import locked, write_text
    from ratchet.data.curate import HEAD, Tally, chosen
    from ratchet.data.curate import curate as run
    from ratchet.data.rows import checked

    if (rewriter or url) and not (open_ and rewriter):
        raise click.UsageError("a model that rewrites needs --open and --rewriter MODEL (and --endpoint URL where it is at one)")
    if keep_rate is not None and not difficulty:
        raise click.UsageError("--keep-rate needs solve rates: give --difficulty MODEL too")
    named, set_knobs = checked(pairs_of(fields)), knobs_by_filter(knobs)
    names = [n for n in chosen(listed(wanted), set_knobs) if n not in chosen(listed(without), {}) or not without]
    if not names:
        raise RecipeError("--without leaves no filter; name fewer")
    settings = {
        "files": ", ".join(map(str, files)), "against": ", ".join(map(str, against)), "filters": ", ".join(names),
        "knobs": ", ".join(knobs), "fields": ", ".join(fields), "open": (rewriter or "rules") if open_ else "", "seed": seed,
    }  # fmt: skip
    with locked(out), ExitStack() as stack:
        refuse_other(out, settings)
        write_text(out / "settings.json", json.dumps(settings, indent=1) + "\n")
        tests = [row for file in against for row in of_file(file, {}, ("question",))]
        tally = Tally()
        rewrite = rewriter_of(out, rewriter, url, key) if open_ else None
        head = [row for file in files for row in islice(of_file(file, named), HEAD // len(files))]
        rows = (row for file in files for row in of_file(file, named))
        found = run(rows, head, names, tests, set_knobs, rewrite, tally)
        write_all(out, shown(found, tally), stack)
        measured = measure(out, difficulty, samples, max_tokens, seed, keep_rate, tally) if difficulty else None
        report(out, tally, names, settings, measured)
    summary(out, tally, names)


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def knobs_by_filter(pairs: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    from ratchet.cli.evaluate import knobs_of

    found: dict[str, dict[str, Any]] = {}
    for name, value in knobs_of(pairs).items():
        owner, point, knob = name.rpartition(".")
        if not point:
            raise RecipeError(f"--knob {name}: a knob is FILTER.NAME=VALUE, such as near-duplicate.near=0.8")
        found.setdefault(owner, {})[knob] = value
    return found


def refuse_other(out: Path, settings: Mapping[str, Any]) -> None:
    """StoreError where the folder holds the result of another command, or something that is not ours."""
    file = out / "settings.json"  # written first, so that a command that was stopped is known again
    try:
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    except ValueError:
        before = {}
    if (before is None and any((out / name).exists() for name in OWN)) or (before is not None and before != dict(settings)):
        raise StoreError(f"{out} holds the result of another command; choose another folder with --out, or remove it first")


def of_file(file: Path, fields: Mapping[str, str], needs: Sequence[str] = ("question", "answer")) -> Iterator[Row]:
    from ratchet.data.rows import read

    return read(file, fields, needs)


def rewriter_of(out: Path, model: str, url: str, key: str) -> Any:
    from ratchet.cli.judge import model_of
    from ratchet.data.asked import Remembered
    from ratchet.data.open_questions import by_model, by_rules

    if not model:
        return by_rules
    return by_model(Remembered(model_of(url, model, key, 512, 0.0, 120.0), f"{url} {model}", out / "asked.jsonl"))


def shown(found: Iterable[Any], tally: Tally) -> Iterator[Any]:
    """The same, with a line that says how far it is where somebody watches."""
    last = time.monotonic()
    for item in found:
        yield item
        if sys.stderr.isatty() and time.monotonic() - last > 0.2:
            last = time.monotonic()
            click.echo(f"\r{tally.read:,} rows read, {tally.kept:,} kept", nl=False, err=True)
    if sys.stderr.isatty():
        click.echo(f"\r{tally.read:,} rows read, {tally.kept:,} kept", err=True)


def write_all(out: Path, found: Iterable[Any], stack: ExitStack) -> None:
    """Kept rows and dropped ones into their files, which get their names when they are whole."""
    from ratchet.data.curate import Dropped, task_row

    beside = {name: out / f".{name}.writing" for name in ("tasks.jsonl", "dropped.jsonl")}
    try:
        to: dict[str, TextIO] = {name: stack.enter_context(path.open("w", encoding="utf-8")) for name, path in beside.items()}
        for item in found:
            name, row = ("dropped.jsonl", item.as_json()) if isinstance(item, Dropped) else ("tasks.jsonl", task_row(item))
            to[name].write(json.dumps(row, ensure_ascii=False) + "\n")
        for name, file in to.items():
            file.close()
            beside[name].replace(out / name)
    except OSError as e:
        raise StoreError(f"cannot write to {out}: {e.strerror or e}; free space there, then give the same command again") from e
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)


def measure(
    out: Path, model: str, samples: int, max_tokens: int, seed: int, keep: tuple[float, float] | None, tally: Tally
) -> dict[str, Any]:
    """Solve rates into tasks.jsonl; tasks outside of the wished range into dropped.jsonl."""
    from ratchet.core.files import write_text
    from ratchet.data.difficulty import attached, rates, within
    from ratchet.measure.estimate import mean
    from ratchet.tasks.files import read

    file = out / "tasks.jsonl"
    if not tally.kept:
        raise TaskError("no row was kept, so there is nothing to measure the difficulty of; look at dropped.jsonl")
    tasks = read(str(file))
    engine = f"{model}, {samples} samples of at most {max_tokens} tokens, seed {seed}"
    found: dict[str, tuple[int, int]] = {}
    for key, rate in rates(tasks, solver(model, samples, max_tokens, seed), engine, out / "solve-rates.jsonl"):
        found[key] = rate
        if sys.stderr.isatty():
            click.echo(
                f"\r{len(found):,} of {len(tasks):,} tasks measured" + ("\n" if len(found) == len(tasks) else ""),
                nl=False,
                err=True,
            )
    by_prompt = {(t.prompt, str(t.answer)): t.key for t in tasks}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [attached(row, found.get(by_prompt[row["prompt"], str(row["answer"])])) for row in lines]
    outside = [r for r in rows if not within(r, keep)]
    if outside:
        rows = [r for r in rows if r not in outside]
        more = "".join(json.dumps(too_far(r, keep), ensure_ascii=False) + "\n" for r in outside)
        write_text(out / "dropped.jsonl", (out / "dropped.jsonl").read_text(encoding="utf-8") + more)
        tally.kept, tally.dropped["solve-rate"] = tally.kept - len(outside), len(outside)
        tally.reasons["solve-rate"] = Counter({"too easy or too hard": len(outside)})
        tally.shown["solve-rate"] = [too_far(r, keep) for r in outside[:5]]
    write_text(file, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    known = [passes / n for n, passes in found.values() if n]
    binned = Counter(min(int(5 * x), 4) for x in known)
    return {
        "engine": engine,
        "mean": mean(known) if known else None,
        "rates": {f"{i / 5:.1f} to {(i + 1) / 5:.1f}": binned[i] for i in range(5)} | {"not judged": len(found) - len(known)},
    }


def too_far(row: Mapping[str, Any], keep: tuple[float, float] | None) -> dict[str, Any]:
    rate = row["facts"]["solve_rate"]
    return {"where": row["facts"]["source"], "filter": "solve-rate", "reason": "too easy or too hard",
            "evidence": f"solve rate {rate}, kept are {keep}", "also": [], "question": row["prompt"], "answer": row["answer"]}  # fmt: skip


def solver(model: str, samples: int, max_tokens: int, seed: int) -> Callable[[Sequence[Any]], Mapping[str, tuple[int, int]]]:
    """The measure of difficulty: as `ratchet eval` counts, through the same scheduler and verifiers."""
    from ratchet.cli.evaluate import model_folder
    from ratchet.loop.turn import scheduler_for
    from ratchet.measure.record import record_of
    from ratchet.models.load import load_policy
    from ratchet.models.machine import prepare
    from ratchet.search.strategy import strategies
    from ratchet.verify.pool import VerifierPool

    prepare()
    policy = load_policy(model_folder(model), max_tokens)

    def solve(tasks: Sequence[Any]) -> Mapping[str, tuple[int, int]]:
        with VerifierPool() as verify:
            traces = scheduler_for(policy, verify).run(strategies["single"], tasks, seed, "curate", samples=samples)
        return {row.key: (row.n, row.passes) for row in record_of(traces, model, "").rows}

    return solve


def report(
    out: Path, tally: Tally, names: Sequence[str], settings: Mapping[str, Any], measured: Mapping[str, Any] | None
) -> None:
    from ratchet.core.files import finite, write_text
    from ratchet.data.filters import filters, set_filters
    from ratchet.report.curation import page

    about = {e.name: e.summary for registry in (filters, set_filters) for e in registry}
    about["solve-rate"] = "Difficulty: tasks that the model solves too often or too rarely."
    told = finite(
        {
            "settings": dict(settings), "read": tally.read, "kept": tally.kept, "opened": tally.opened, "normalised": tally.normalised,
            "filters": [{"name": n, "dropped": tally.dropped[n], "summary": about[n]} for n in dict.fromkeys([*names, *tally.dropped])],
            "reasons": {n: dict(c.most_common()) for n, c in tally.reasons.items()}, "files": tally.files, "examples": tally.shown,
            "difficulty": measured,
        }
    )  # fmt: skip
    write_text(out / "report.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    write_text(out / "report.html", page(told))


def summary(out: Path, tally: Tally, names: Sequence[str]) -> None:
    click.echo(
        f"{tally.read:,} rows read, {tally.kept:,} kept" + (f", {tally.opened:,} of them made open" if tally.opened else "")
    )
    for name in dict.fromkeys([*names, *tally.dropped]):
        if tally.dropped[name]:
            click.echo(f"  {name:<16} {tally.dropped[name]:>8,} dropped")
    click.echo(f"{out / 'tasks.jsonl'}; what was dropped and why: {out / 'report.html'}")
