"""`ratchet measure`: samples that are there already, of models that ratchet ran or never saw."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratchet.core.errors import RecipeError, StoreError

if TYPE_CHECKING:
    from ratchet.core.types import Estimate
    from ratchet.measure.sample_files import Source
    from ratchet.measure.samples import Audit, Disagreement, Problem, Verify

SHOWN = 10


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--k", "ks", default="1,8", show_default=True, metavar="K,K,...", help="For pass@k and majority@k.")
@click.option("--field", "fields", multiple=True, metavar="ROLE=NAME",
              help="Which field plays a role (problem, question, cluster, gold, samples, text, answer, correct, score, tokens); "
                   "for lm-eval and Inspect logs correct=METRIC or correct=SCORER. Repeatable.")  # fmt: skip
@click.option("--filter", "filter_name", default="", metavar="NAME", help="The filter of an lm-eval log to measure.")
@click.option("--by", default="", metavar="FIELD", help="Measure the samples of each value of this field apart.")
@click.option("--verifier", type=click.Choice(["auto", "numeric", "exact", "none"]), default="auto", show_default=True,
              help="What judges the stored answers again; auto takes numeric where the gold is a number.")  # fmt: skip
@click.option("--level", type=click.FloatRange(0.5, 0.9999), default=0.95, show_default=True, help="Of the intervals.")
@click.option("--all", "show_all", is_flag=True, help=f"List every disagreement, not only the first {SHOWN}.")
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write all of it here as JSON.")
def measure(
    paths: tuple[Path, ...], ks: str, fields: tuple[str, ...], filter_name: str, by: str, verifier: str, level: float,
    show_all: bool, out: Path | None,
) -> None:  # fmt: skip
    """Measure samples in files: pass@k, majority@k, length, and where labels and gold answers disagree.

    PATH is JSON Lines of samples with correctness (also gzipped), an lm-evaluation-harness sample log, an Inspect log
    (.eval, .json), or ratchet's own: a record, traces, a run's folder. Files that share problems are compared by pairs.
    """
    from ratchet.cli.show import clean
    from ratchet.measure.sample_files import Naming, sources
    from ratchet.verify.pool import VerifierPool

    numbers = numbers_of(ks)
    naming = Naming(pairs_of(fields), filter_name, by)
    if out is not None and not out.parent.is_dir():
        raise RecipeError(f"--json {out}: the folder {out.parent} does not exist; make it first")
    missing = next((p for p in paths if not p.exists()), None)
    if missing is not None:
        raise StoreError(f"{missing} does not exist; give files of samples, or a run's folder")
    measured: list[tuple[str, list[Problem]]] = []
    results: list[dict[str, Any]] = []
    with nullcontext() if verifier == "none" else VerifierPool() as verify:
        for source in (s for path in paths for s in sources(path, naming)):
            # ratchet's own labels are verdicts of the task's own verifier already, which may not be one of these two
            again = None if source.ours and verifier == "auto" else verify
            for name, problems in grouped(source, again, verifier):
                measured.append((name, problems))
                results.append(measured_as(name, source, problems, numbers, level, again is not None))
                click.echo(clean("\n".join(table(results[-1], numbers, show_all)) + "\n"))
    comparisons = compared(measured, level)
    for c in comparisons:
        click.echo(clean(described(c, level)))
    if out is not None:
        from ratchet.measure.samples import Audit

        plain = {"sources": [{**r, "audit": asdict(a) if isinstance(a := r["audit"], Audit) else None} for r in results],
                 "comparisons": comparisons}  # fmt: skip
        try:
            out.write_text(json.dumps(finite(plain), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as e:
            raise StoreError(f"cannot write {out}: {e.strerror or e}; choose another file with --json") from None


def numbers_of(text: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1:
        raise RecipeError(f'--k takes whole numbers of at least 1 with commas between them, such as 1,8,64, got "{text}"')
    return numbers


def pairs_of(fields: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in fields:
        role, equals, name = item.partition("=")
        if not equals or not name:
            raise RecipeError(f'--field takes ROLE=NAME, such as correct=is_right, got "{item}"')
        found[role] = name
    return found


def grouped(source: Source, verify: Verify | None, verifier: str) -> list[tuple[str, list[Problem]]]:
    """The problems of a source; of each value of `--by` apart, so that the same problem may stand in several."""
    from ratchet.measure.samples import condense, gather

    groups: dict[str, list[Problem]] = {}
    for part in condense(source.parts, verify, verifier):
        groups.setdefault(part.group, []).append(part)
    return [(f"{source.name} [{group}]" if group else source.name, gather(parts)) for group, parts in groups.items()]


def measured_as(
    name: str, source: Source, problems: list[Problem], ks: Sequence[int], level: float, again: bool
) -> dict[str, Any]:
    """Everything about one source, as it is printed and written."""
    from ratchet.measure.samples import audit, by_verdict, deepest, majority_at, mean_length, pass_at

    samples = [s for p in problems for s in p.samples]
    labelled = [s for s in samples if s.correct is not None]
    most = deepest(problems)
    if not labelled:
        raise StoreError(f"{name}: no sample has a label (true or false); name the field that holds it with --field correct=NAME")
    checked = audit(problems) if again else None
    second = by_verdict(problems)
    votes = any(s.answer is not None for s in labelled)
    length = mean_length(problems, level)
    notes = list(source.notes)
    silent = sum(s.answer is None for s in labelled)
    if votes and silent:
        notes.append(f"{silent:,} labelled samples have no answer that could vote")
    return {
        "name": name,
        "kind": source.kind,
        "problems": len(problems),
        "samples": len(samples),
        "unlabelled": len(samples) - len(labelled),
        "fewest": min(len(p.labelled) for p in problems),
        "most": most,
        "pass_at": {k: asdict(pass_at(problems, k, level)) for k in ks if k <= most},
        "majority_at": {k: asdict(majority_at(problems, k, level)) for k in ks if k > 1 and k <= most and votes},
        "length": None if length is None else asdict(length[0]) | {"of": length[1]},
        "audit": checked,
        "by_verdict": asdict(pass_at(second, 1, level)) if checked and checked.rows else None,
        "notes": notes,
    }


def table(r: dict[str, Any], ks: Sequence[int], show_all: bool) -> list[str]:
    rows = [("problems", f"{r['problems']:,}")]
    per = f"{r['most']}" if r["fewest"] == r["most"] else f"{r['fewest']} to {r['most']}"
    rows.append(
        ("samples", f"{r['samples']:,}, {per} with a label per problem; {r['unlabelled']:,} abstained or without a label")
    )
    too_deep = f"not known: no problem has that many labelled samples (the most is {r['most']})"
    rows += [(f"pass@{k}", interval(r["pass_at"][k]) if k in r["pass_at"] else too_deep) for k in ks]
    silent = "not known: the samples' answers are not stored" if max(ks) > 1 and not r["majority_at"] else too_deep
    rows += [(f"majority@{k}", interval(r["majority_at"][k]) if k in r["majority_at"] else silent if k <= r["most"] else too_deep)
             for k in ks if k > 1]  # fmt: skip
    if r["length"] is not None:
        rows.append(("mean length", f"{interval(r['length'], 1)} {r['length']['of']}"))
    rows += [("note", note) for note in r["notes"]]
    lines = [f"{r['name']} ({r['kind']})", *(f"  {name:<12} {value}" for name, value in rows)]
    if r["by_verdict"] is not None:
        lines.append(f"  {'by verdict':<12} pass@1 {interval(r['by_verdict'])}, with our verdicts for labels")
    return lines + (audited(r["audit"], show_all) if r["audit"] is not None else [])


def interval(e: dict[str, Any], digits: int = 3) -> str:
    return (
        f"{e['value']:.{digits}f} [{e['low']:.{digits}f}, {e['high']:.{digits}f}] (n = {e['n']:,} {e['unit']}, {e['level']:.0%})"
    )


def audited(a: Audit, show_all: bool) -> list[str]:
    judged = a.agree + a.too_kind + a.too_strict
    if not judged:
        return ["  judged again nothing: that needs a stored gold, an answer and a label"]
    lines = [
        f"  judged again {judged:,} samples, {a.unjudged:,} could not be; label and gold disagree on "
        f"{a.too_kind + a.too_strict:,} in {a.problems:,} problems: {a.too_kind:,} labelled right that fail, "
        f"{a.too_strict:,} labelled wrong that pass"
    ]
    chosen = a.rows if show_all else a.rows[:SHOWN]
    lines += [f"    {line}" for row in chosen for line in disagreement(row)]
    if len(chosen) < len(a.rows):
        lines.append(f"    ... and {len(a.rows) - len(chosen):,} more; --all lists them")
    return lines


def disagreement(d: Disagreement) -> list[str]:
    gold = d.gold if isinstance(d.gold, str) else " | ".join(d.gold)
    times = f", {d.samples} samples" if d.samples > 1 else ""
    about = f"  {cut(d.question, 60)}" if d.question else ""
    label = "right" if d.label else "wrong"
    return [
        f"{cut(d.key, 24)}{about}",
        f"  answer {cut(d.answer, 48)}  gold {cut(gold, 48)}  label {label}, we say {d.verdict.upper()}{times}",
    ]


def cut(text: str, most: int) -> str:
    """One line that cannot steer the terminal."""
    from ratchet.cli.show import clean

    line = clean(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 3] + "..."


def compared(measured: Sequence[tuple[str, list[Problem]]], level: float) -> list[dict[str, Any]]:
    """Every pair that shares problems. Where no pair does there is nothing to say."""
    from ratchet.measure.samples import compare

    found: list[dict[str, Any]] = []
    for (a, first), (b, second) in combinations(measured, 2):
        try:
            d: Estimate = compare(first, second, level)
        except StoreError:
            continue
        verdict = "B is better" if d.low > 0 else "A is better" if d.high < 0 else "cannot tell apart"
        found.append({"a": a, "b": b, "difference": asdict(d), "verdict": verdict})
    return found


def described(c: dict[str, Any], level: float) -> str:
    return f"A: {c['a']}\nB: {c['b']}\n  pass@1, B - A, paired by problem: {interval(c['difference'])}\n  {c['verdict']} at {level:.0%}"


def finite(value: Any) -> Any:
    """JSON has no infinity: an interval of one problem has no ends."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
