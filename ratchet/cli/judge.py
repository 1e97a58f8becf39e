"""`ratchet verify judge`: a model that judges samples, and how far it can be trusted."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratchet.core.errors import EngineError, RecipeError, StoreError, VerifierError

if TYPE_CHECKING:
    from ratchet.measure.samples import Problem
    from ratchet.verify.judge import Criterion, Judge, Rubric
    from ratchet.verify.judge_pool import JudgePool

VOTING = 0.7  # the temperature of a judge with several votes, which would else all be one


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Samples with labels, as `ratchet measure` reads them; golds too, but for --reference-free.")  # fmt: skip
@click.option(
    "--model",
    required=True,
    metavar="NAME",
    help="The model at the endpoint; without --endpoint one of your own: builtin, a folder.",
)
@click.option(
    "--endpoint", "url", default="", metavar="URL", help="An OpenAI-compatible endpoint, such as http://localhost:8000/v1."
)
@click.option(
    "--key", default="OPENAI_API_KEY", show_default=True, metavar="VARIABLE", help="Where the endpoint's key is, if it needs one."
)
@click.option("--reference-free", is_flag=True, help="The judge does not see the gold answer.")
@click.option(
    "--votes", type=click.IntRange(1), default=1, show_default=True, help="Verdicts per text, of which the majority counts."
)
@click.option("--canary", is_flag=True, help="A pass counts only where the judge refuses a wrong answer to the same task.")
@click.option("--rubric", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help='Judge by criteria: a JSON list of {"asks": TEXT, "weight": NUMBER}.')  # fmt: skip
@click.option(
    "--enough",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="The share of a rubric's weight that passes.",
)
@click.option("--attack", is_flag=True, help="Then try to fool the judge with texts that hold no right answer.")
@click.option(
    "--golds", type=click.IntRange(1), default=10, show_default=True, help="With --attack: so many gold answers are attacked."
)
@click.option("--n", "most", type=click.IntRange(1), default=None, help="Judge only the first so many samples.")
@click.option("--max-tokens", type=click.IntRange(1), default=1024, show_default=True, help="Of one reply.")
@click.option("--at-once", type=click.IntRange(1), default=8, show_default=True, help="Requests side by side.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=120.0, show_default=True, help="Seconds for one reply."
)
@click.option("--field", "fields", multiple=True, metavar="ROLE=NAME", help="What a field is called, as in `ratchet measure`.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Verdicts are added to this file as they come, and not asked for again; by default DATA.verdicts.jsonl, here.")  # fmt: skip
@click.option("--json", "summary", type=click.Path(path_type=Path, dir_okay=False), help="Write the summary to this file too.")
def judge(
    data: Path, model: str, url: str, key: str, reference_free: bool, votes: int, canary: bool, rubric: Path | None, enough: float,
    attack: bool, golds: int, most: int | None, max_tokens: int, at_once: int, timeout: float, fields: tuple[str, ...],
    out: Path | None, summary: Path | None,
) -> None:  # fmt: skip
    """Let a model judge the samples of a file, and say how far its verdicts can be trusted.

    Prints its agreement with the labels. With --attack the exit code is 1 where a text made to fool it passed.
    """
    from ratchet.cli.show import clean
    from ratchet.core.files import finite, write_text
    from ratchet.verify.judge_pool import JudgePool

    if rubric is not None and (votes > 1 or canary or reference_free):
        raise click.UsageError(
            "--rubric goes without --votes, --canary and --reference-free: each criterion is judged once, alone"
        )
    problems, labels = samples_of(data, fields, most)
    temperature = VOTING if votes > 1 else 0.0
    ask = model_of(url, model, key, max_tokens, temperature, timeout)
    grader, how = grader_of(ask, not reference_free, votes, canary, rubric, enough)
    out = Path(f"{data.name.removesuffix('.gz').removesuffix('.jsonl')}.verdicts.jsonl") if out is None else out
    pool = JudgePool(
        grader.grade, f"{model}; {how}; at most {max_tokens} tokens, temperature {temperature:g}", out, at_once, tick
    )
    if not out.parent.is_dir():
        raise RecipeError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    missing = judged(problems, pool)
    click.echo(clean(f"{model} as a judge ({how}) on {data}: {len(problems):,} problems, {labels:,} samples"))
    found: dict[str, Any] = {"judge": pool.name, "data": str(data), **agreement(problems)}
    fooled = attacked(problems, pool, golds, found) if attack and not missing else False
    where = f", all in {out}" if pool.kept else ""
    click.echo(f"\n{pool.asked:,} verdicts asked for, {pool.known:,} known from before{where}")
    click.echo(clean(f"{ask.calls:,} replies, {ask.tokens:,} tokens" + (f"; {mended}" if (mended := ask.trouble()) else "")))
    if summary is not None:
        write_text(summary, json.dumps(finite(found), indent=1, allow_nan=False) + "\n")
    if missing or pool.failed:
        count, first = missing or (len(pool.failed), f"one of the texts made to fool it: {pool.failed[0][1]}")
        raise EngineError(
            f"{count:,} texts have no verdict, the first is {first}; what was judged is kept: give the same command again to go on"
        )
    if fooled:
        raise SystemExit(1)


def tick(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\rjudged {done:,} of {whole:,}" + ("\n" if done == whole else ""), nl=False, err=True)


def samples_of(data: Path, fields: Sequence[str], most: int | None) -> tuple[list[Problem], int]:
    """The problems with their texts, and how many samples they have. StoreError where there is nothing to judge."""
    from ratchet.cli.measure import pairs_of
    from ratchet.measure.sample_files import Naming, sources
    from ratchet.measure.samples import gather

    if not data.exists():
        raise StoreError(f"{data} does not exist; give a file of samples")
    problems = gather(part for source in sources(data, Naming(pairs_of(fields))) for part in source.parts)
    left = sum(len(p.samples) for p in problems) if most is None else most
    for p in problems:
        p.samples = p.samples[: max(0, left)]
        left -= len(p.samples)
    problems = [p for p in problems if p.samples]
    if not any(s.text or s.answer for p in problems for s in p.samples):
        raise StoreError(
            f"{data}: no sample has a text or an answer to judge; name the field that holds it with --field text=NAME"
        )
    if not any(p.question for p in problems):
        raise StoreError(f"{data}: a judge needs the questions; name the field that holds them with --field question=NAME")
    return problems, sum(len(p.samples) for p in problems)


def model_of(url: str, model: str, key: str, max_tokens: int, temperature: float, timeout: float) -> Any:
    """The model to ask: at an endpoint, or one of our own."""
    if url:
        from ratchet.models.endpoint import Endpoint

        return Endpoint(url, model, key, max_tokens, temperature=temperature, timeout=timeout)
    from ratchet.cli.evaluate import model_folder
    from ratchet.models.asking import LocalAsk
    from ratchet.models.load import load_policy
    from ratchet.models.machine import prepare

    prepare()
    return LocalAsk(load_policy(model_folder(model), max_tokens), max_tokens, temperature)


def grader_of(
    ask: Any, reference: bool, votes: int, canary: bool, rubric: Path | None, enough: float
) -> tuple[Judge | Rubric, str]:
    """The judge, and its settings in words."""
    from ratchet.verify.judge import Judge, Rubric

    if rubric is None:
        told = ["with the reference" if reference else "without a reference"]
        told += [f"{votes} votes"] if votes > 1 else []
        told += ["canary"] if canary else []
        return Judge(ask, reference, votes, canary), ", ".join(told)
    criteria = criteria_in(rubric)
    listed = "; ".join(f"{c.weight:g} x {c.asks}" for c in criteria)
    return Rubric(ask, criteria, enough), f"a rubric of {len(criteria)}, {enough:g} is enough: {listed}"


def criteria_in(path: Path) -> list[Criterion]:
    from ratchet.verify.judge import Criterion

    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found = [Criterion(str(row["asks"]), float(row.get("weight", 1.0))) for row in rows]
    except OSError as e:
        raise StoreError(f"cannot read {path}: {e.strerror or e}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise VerifierError(
            f'{path} is no rubric; it is a JSON list of criteria, such as [{{"asks": "Is the result in metres?", "weight": 2}}]'
        ) from None
    return found


def judged(problems: Sequence[Problem], pool: JudgePool) -> tuple[int, str] | None:
    """Put the verdicts into the samples; how many have none, and the first of these, or None."""
    from ratchet.core.types import Task

    pairs, places = [], []
    for p in problems:
        answer = list(p.gold) if isinstance(p.gold, tuple) else p.gold
        task = Task("samples", p.question, answer, "judge", {"where": p.where})
        for i, s in enumerate(p.samples):
            text = s.text if s.text is not None else s.answer
            if text is not None and p.question:
                pairs.append((task, text))
                places.append((p, i))
    verdicts = pool(pairs)
    failed = dict(pool.failed)
    for place, ((p, i), verdict) in enumerate(zip(places, verdicts, strict=True)):
        if place not in failed:
            p.samples[i] = replace(p.samples[i], verdict=verdict)
    if not failed:
        return None
    place, why = next(iter(failed.items()))
    p, i = places[place]
    return len(failed), f"sample {i + 1} of the problem at {p.where}: {why}"


def agreement(problems: Sequence[Problem]) -> dict[str, Any]:
    """What the labels say of the verdicts, printed and for the summary."""
    from ratchet.cli.verify import labelled, said
    from ratchet.core.types import Outcome
    from ratchet.measure.agreement import kappa
    from ratchet.measure.samples import unit_of
    from ratchet.measure.verifier_audit import against_labels

    labels = against_labels(problems)
    both = [(p.origin, bool(s.correct), s.verdict.passed) for p in problems for s in p.samples
            if s.correct is not None and s.verdict is not None and s.verdict.outcome is not Outcome.ABSTAIN]  # fmt: skip
    agreed = kappa([(label, passed) for _, label, passed in both], [o for o, *_ in both], unit=unit_of(problems))
    if labels is None:
        click.echo("  no sample has both a label and a verdict: how the judge agrees with labels is not known")
    else:
        told = f"{agreed}, where it decides" if agreed else "not known: labels or verdicts are all the same"
        click.echo("\n".join([f"  {'Cohen kappa':<14} {told}", *labelled(labels)]))
    return {"kappa": agreed, "labels": said(labels)}


def attacked(problems: Sequence[Problem], pool: JudgePool, golds: int, found: dict[str, Any]) -> bool:
    """The attack suite against the judge, printed and put into the summary; whether it was fooled."""
    from ratchet.cli.verify import report
    from ratchet.measure.verifier_audit import probe, tasks_of
    from ratchet.verify.attacks import must_fail, must_pass

    tasks = tasks_of(problems, "judge", golds)
    if not tasks:
        raise StoreError("the attacks need gold answers; name the field that holds them with --field gold=NAME")
    fooled, refused = probe(tasks, must_fail, pool, False), []
    if not pool.failed:
        refused = probe(tasks, must_pass, pool, True)
    click.echo(f"\ntexts made to fool it, on {len(tasks):,} gold answers")
    report(fooled, "passed")
    click.echo("\nthe gold answer in other writings")
    report(refused, "refused")
    found |= {"attacks": fooled, "rewrites": refused}
    return any(p.wrong for p in fooled)
