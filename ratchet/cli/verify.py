"""`ratchet verify`: whether a verifier can be trusted with a reward."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratchet.cli.judge import judge

if TYPE_CHECKING:
    from ratchet.measure.samples import Problem
    from ratchet.measure.verifier_audit import Labels, Probe

SHOWN = 10


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def verify() -> None:
    """Test verifiers: against labels, against each other, and with texts made to fool them."""


verify.add_command(judge)


@verify.command()
@click.argument("verifier")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Samples with gold answers and labels: JSON Lines, as `ratchet measure` reads them.",
)
@click.option("--golds", type=click.Path(path_type=Path), help="An evaluation set: gold answers alone, for attacks and rewrites.")
@click.option("--against", default="", help="Another verifier: list where the two disagree.")
@click.option(
    "--n", "count", type=click.IntRange(1), default=100, show_default=True, help="Gold answers that are attacked and rewritten."
)
@click.option("--deadline", type=click.FloatRange(0.01), default=2.0, show_default=True, help="Seconds for one verdict.")
@click.option("--field", "fields", multiple=True, metavar="ROLE=NAME", help="What a field is called, as in `ratchet measure`.")
@click.option("--all", "show_all", is_flag=True, help="Show every disagreement.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write everything to this file too.")
def audit(
    verifier: str, data: Path | None, golds: Path | None, against: str, count: int, deadline: float, fields: tuple[str, ...],
    show_all: bool, out: Path | None,
) -> None:  # fmt: skip
    """How often VERIFIER pays for wrong answers and refuses right ones. Exit code 1 where a text made to fool it passed."""
    from ratchet.core.files import finite, write_text
    from ratchet.measure.verifier_audit import against_labels, probe, tasks_of
    from ratchet.verify.attacks import must_fail, must_pass
    from ratchet.verify.pool import VerifierPool
    from ratchet.verify.verifier import find

    if (data is None) == (golds is None) or (against and data is None):
        raise click.UsageError("give samples with --data FILE (which --against needs), or gold answers alone with --golds FILE")
    for name in filter(None, (verifier, against)):
        find(name)
    with VerifierPool(deadline) as pool:
        problems = read(data, golds, fields, pool, verifier)
        tasks = tasks_of(problems, verifier, count)
        if not tasks:
            raise click.UsageError(f"{data}: no sample has a gold answer; name the field that holds it with --field gold=NAME")
        labels = against_labels(problems)
        fooled, refused = probe(tasks, must_fail, pool, False), probe(tasks, must_pass, pool, True)
        other = disagreements(problems, read(data, golds, fields, pool, against)) if against else []
    click.echo(f"{verifier} on {data or golds}: {len(problems):,} problems, {sum(len(p.samples) for p in problems):,} samples")
    for line in labelled(labels) if data else ():
        click.echo(line)
    click.echo(f"\ntexts made to fool it, on {len(tasks):,} gold answers")
    report(fooled, "passed")
    click.echo("\nthe gold answer in other writings")
    report(refused, "refused")
    if against:
        click.echo(f"\n{len(other):,} answers on which {verifier} and {against} differ")
        for row in other if show_all else other[:SHOWN]:
            click.echo(f"  {row['first']} / {row['second']}: gold {row['gold']!r}, answer {row['answer']!r}")
    if out is not None:
        whole = {"verifier": verifier, "labels": said(labels), "attacks": fooled, "rewrites": refused, "disagreements": other}
        write_text(out, json.dumps(finite(whole), indent=1, allow_nan=False) + "\n")
    if any(p.wrong for p in fooled):
        raise SystemExit(1)


def read(data: Path | None, golds: Path | None, fields: Sequence[str], pool: Any, verifier: str) -> list[Problem]:
    """The samples with verdicts of a verifier, or the gold answers."""
    from ratchet.cli.measure import pairs_of
    from ratchet.measure import sample_files
    from ratchet.measure.samples import condense, gather

    naming = sample_files.Naming(pairs_of(fields))
    if data is None:
        assert golds is not None
        return sample_files.golds(golds, naming)
    return gather(part for source in sample_files.sources(data, naming) for part in condense(source.parts, pool, verifier))


def disagreements(first: Sequence[Problem], second: Sequence[Problem]) -> list[dict[str, str]]:
    """Each gold and answer on which the verdicts differ, once."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for p, q in zip(first, second, strict=True):
        for s, t in zip(p.samples, q.samples, strict=True):
            if s.verdict is None or t.verdict is None or s.verdict.outcome == t.verdict.outcome:
                continue
            answer = str(s.verdict.answer or s.answer or "")[:100]
            found.setdefault(
                (str(p.gold), answer),
                {"gold": str(p.gold)[:100], "answer": answer, "first": str(s.verdict.outcome), "second": str(t.verdict.outcome)},
            )
    return list(found.values())


def labelled(labels: Labels | None) -> list[str]:
    if labels is None:
        return ["  no sample has both a label and a gold answer: nothing is known of false accepts and rejects"]
    rows = {
        "false accepts": (labels.false_accepts, "of what is labelled wrong"),
        "false rejects": (labels.false_rejects, "of what is labelled right"),
        "abstained": (labels.abstained, "of all"),
    }
    return [f"  {name:<14} {'not known: there is none' if e is None else f'{e} {of}'}" for name, (e, of) in rows.items()]


def said(labels: Labels | None) -> Any:
    if labels is None:
        return None
    counts = [{"label": label, "outcome": str(outcome), "samples": n} for (label, outcome), n in labels.table.items()]
    return {
        "false_accepts": labels.false_accepts,
        "false_rejects": labels.false_rejects,
        "abstained": labels.abstained,
        "table": counts,
    }


def report(rows: Sequence[Probe], verb: str) -> None:
    for row in rows:
        mark = click.style(f"{row.wrong:,} of {row.asked:,} {verb}", fg="red") if row.wrong else f"0 of {row.asked:,} {verb}"
        click.echo(f"  {row.name:<42} {mark}" + (f", {row.abstained:,} abstained" if row.abstained else ""))
        for example in row.examples:
            click.echo(f"      {example}")
