"""`ratchet measure`: samples that are there already, of models that ratchet ran or never saw."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratchet.core.errors import EngineError, RecipeError, StoreError
from ratchet.core.files import finite

if TYPE_CHECKING:
    from ratchet.measure.behaviours import Behaviour, Tally
    from ratchet.measure.calibration import Calibration
    from ratchet.measure.contamination import Overlap
    from ratchet.measure.sample_files import Naming, Source
    from ratchet.measure.samples import Audit, Disagreement, Problem, Sample, Verify
    from ratchet.models.endpoint import Endpoint

SHOWN = 10
VERDICTS = {"better": "B is better", "worse": "A is better", "cannot tell apart": "cannot tell apart"}  # by a comparison's answer


class Level(click.FloatRange):
    """The level of an interval. NaN is in no range, though no comparison says so."""

    def __init__(self) -> None:
        super().__init__(0.5, 0.9999)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        level = float(super().convert(value, param, ctx))
        if math.isnan(level):
            self.fail(f"{value} is not in the range 0.5<=x<=0.9999.", param, ctx)
        return level


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--k", "ks", default="1,8", show_default=True, metavar="K,K,...", help="For pass@k and majority@k.")
@click.option("--field", "fields", multiple=True, metavar="ROLE=NAME",
              help="Which field plays a role (problem, question, cluster, gold, samples, text, answer, correct, score, tokens, logprobs); "
                   "for lm-eval and Inspect logs correct=METRIC or correct=SCORER. Repeatable.")  # fmt: skip
@click.option("--filter", "filter_name", default="", metavar="NAME", help="The filter of an lm-eval log to measure.")
@click.option("--by", default="", metavar="FIELD", help="Measure the samples of each value of this field apart.")
@click.option("--verifier", type=click.Choice(["auto", "math", "numeric", "exact", "none"]), default="auto", show_default=True,
              help="What judges the stored answers again; auto takes numeric where the gold is a number.")  # fmt: skip
@click.option("--against", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Look for the measured questions in this evaluation set (JSON Lines with a question each).")  # fmt: skip
@click.option(
    "--judge",
    "url",
    default="",
    metavar="URL",
    help="Ask a model behind this OpenAI-compatible endpoint too which behaviours the texts show.",
)
@click.option("--judge-model", default="", metavar="NAME", help="The model that judges; with --judge.")
@click.option(
    "--judge-key", default="OPENAI_API_KEY", show_default=True, metavar="VARIABLE", help="Where its key is, if it needs one."
)
@click.option(
    "--judge-texts", type=click.IntRange(1), default=100, show_default=True, help="So many texts are judged, of each source."
)
@click.option("--level", type=Level(), default=0.95, show_default=True, help="Of the intervals.")
@click.option("--all", "show_all", is_flag=True, help=f"List every disagreement, not only the first {SHOWN}.")
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write all of it here as JSON.")
def measure(
    paths: tuple[Path, ...], ks: str, fields: tuple[str, ...], filter_name: str, by: str, verifier: str, against: Path | None, url: str,
    judge_model: str, judge_key: str, judge_texts: int, level: float, show_all: bool, out: Path | None,
) -> None:  # fmt: skip
    """Measure samples in files: pass@k, pass^k, majority@k, best-of-k by stored scores, length, calibration, behaviours, and where
    labels and golds disagree.

    PATH is JSON Lines of samples with correctness (also gzipped), an lm-evaluation-harness sample log, an Inspect log
    (.eval, .json), ratchet's own record or traces, or a folder: a run's, or one of such files. Files that share problems
    are compared by pairs.
    """
    from ratchet.cli.show import clean
    from ratchet.measure.sample_files import Naming, sources
    from ratchet.verify.pool import VerifierPool

    numbers = numbers_of(ks)
    naming = Naming(pairs_of(fields), filter_name, by, against is not None)
    if out is not None and not out.parent.is_dir():
        raise RecipeError(f"--json {out}: the folder {out.parent} does not exist; make it first")
    missing = next((p for p in (*paths, *([against] if against else [])) if not p.exists()), None)
    if missing is not None:
        raise StoreError(f"{missing} does not exist; give files of samples, or a run's folder")
    refuse_twice(paths)
    evaluation = None if against is None else questions_of(against, naming)
    judge = judge_of(url, judge_model, judge_key)
    measured: list[tuple[str, list[Problem], bool]] = []
    results: list[dict[str, Any]] = []
    tallies: list[Tally | None] = []
    with nullcontext() if verifier == "none" else VerifierPool() as verify:
        for source in (s for path in paths for s in sources(path, naming)):
            # ratchet's own labels are verdicts of the task's own verifier already, which may not be one of these two
            again = None if source.ours and verifier == "auto" else verify
            for name, problems, tally in grouped(source, again, verifier, judge_texts if judge else 0):
                tallies.append(tally)
                measured.append((name, problems, source.ours))
                results.append(measured_as(name, source, problems, tally, numbers, level, again is not None))
                results[-1]["contamination"] = leaked(name, problems, evaluation, level)
                click.echo(clean("\n".join(table(results[-1], numbers, show_all)) + "\n"))
    comparisons = compared(measured, level)
    for c in comparisons:
        click.echo(clean(described(c, level)))
    refused = None if judge is None else ask_judge(judge, results, tallies, level)
    if out is not None:
        plain = {"sources": results, "comparisons": comparisons}
        try:
            out.write_text(json.dumps(finite(plain), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as e:
            raise StoreError(f"cannot write {out}: {e.strerror or e}; choose another file with --json") from None
    if refused is not None:  # only now, so that what was measured before is not lost
        raise refused


def refuse_twice(paths: Sequence[Path]) -> None:
    """StoreError for a file that is given twice: it would be compared with itself."""
    from ratchet.measure.sample_files import files_at

    counts = Counter(file.resolve() for path in paths for file in files_at(path))
    twice = next((file for file, times in counts.items() if times > 1), None)
    if twice is not None:
        raise StoreError(f"{twice} is given twice; name each file once")


def judge_of(url: str, model: str, key: str) -> Endpoint | None:
    if bool(url) != bool(model):
        raise RecipeError("--judge URL and --judge-model NAME go together: " + ("name the model" if url else "give the endpoint"))
    if not url:
        return None
    from ratchet.models.endpoint import Endpoint

    return Endpoint(url, model, key)


def ask_judge(
    judge: Endpoint, results: list[dict[str, Any]], tallies: Sequence[Tally | None], level: float
) -> EngineError | None:
    """The judge's findings, printed and put into the results; the error, where it cannot be asked."""
    from ratchet.cli.show import clean
    from ratchet.measure.behaviours import judged
    from ratchet.measure.changes import bare

    for result, tally in zip(results, tallies, strict=True):
        if tally is None:
            click.echo(clean(f"{result['name']}: no texts are stored that could be judged"))
            continue
        tokens, refused = judge.tokens, judge.refused
        try:
            found = result["judged"] = judged(tally, judge, level)
        except EngineError as e:
            return e
        result["refused"] = refused = judge.refused - refused
        unread = found.unknown - refused
        more = f"; {unread} more without a readable reply" if unread else ""
        more += f"; {refused} more that the endpoint did not answer ({judge.refusal})" if refused else ""
        more += f"; the first of these is {found.unread}" if found.unread else ""
        more += f"; {mended}" if (mended := judge.trouble()) else ""
        spent = judge.tokens - tokens
        click.echo(clean(f"{result['name']}, {found.texts} texts judged by {judge.model}{more} ({spent:,} tokens)"))
        for name, share in found.shares.items():
            f1 = found.rules[name].f1
            agreed = "neither sees any" if f1 is None else f"F1 of the rules against the judge {bare(f1)}"
            click.echo(f"  {name:<17} {bare(share)}; {agreed}")
    return None


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


def questions_of(path: Path, naming: Naming) -> tuple[Path, list[str]]:
    from ratchet.measure.sample_files import questions

    return path, questions(path, naming)


def grouped(source: Source, verify: Verify | None, verifier: str, keep: int) -> list[tuple[str, list[Problem], Tally | None]]:
    """The problems of a source; of each value of `--by` apart, so that the same problem may stand in several.

    Beside them what their texts showed, counted while these passed through, and `keep` texts for a judge.
    """
    from ratchet.measure.behaviours import tallied
    from ratchet.measure.samples import condense, gather

    groups: dict[str, list[Problem]] = {}
    tallies: dict[str, Tally] = {}
    for part in condense(tallied(source.parts, tallies, keep=keep), verify, verifier):
        groups.setdefault(part.group, []).append(part)
    return [(f"{source.name} [{group}]" if group else source.name, gather(parts), tallies.get(group))
            for group, parts in groups.items()]  # fmt: skip


def leaked(
    name: str, problems: Sequence[Problem], evaluation: tuple[Path, list[str]] | None, level: float
) -> dict[str, Any] | None:
    """Which of the measured questions stand in the evaluation set of `--against`."""
    from ratchet.measure.contamination import overlap

    if evaluation is None:
        return None
    path, others = evaluation
    asked = [p for p in problems if p.question]
    if not asked:
        raise StoreError(
            f"{name}: its questions are not stored, so none can be looked for in {path}; give samples with questions"
        )
    try:
        found = overlap([p.question for p in asked], others, level=level)
    except StoreError as e:
        raise StoreError(f"{name} against {path}: {e}") from None
    rows = [{"key": asked[m.place].key, "number": m.other + 1, "question": others[m.other], "shared": m.shared, "likeness": m.likeness}
            for m in sorted((*found.by_words, *found.by_likeness), key=lambda m: m.place)]  # fmt: skip
    return {"against": str(path), "overlap": found, "rows": rows}


def measured_as(
    name: str, source: Source, problems: list[Problem], tally: Tally | None, ks: Sequence[int], level: float, again: bool
) -> dict[str, Any]:
    """Everything about one source, as it is printed and written."""
    from ratchet.measure.calibration import calibration_of, unscored
    from ratchet.measure.samples import audit, best_of_at, by_verdict, deepest, majority_at, mean_length, pass_at, pass_hat_at

    samples = [s for p in problems for s in p.samples]
    labelled = [s for s in samples if s.correct is not None]
    most = deepest(problems)
    if not labelled:
        raise StoreError(f"{name}: no sample has a label (true or false); name the field that holds it with --field correct=NAME")
    checked = audit(problems) if again else None
    second = by_verdict(problems)
    votes = any(s.answer is not None for s in labelled)
    length = mean_length(problems, level)
    best = {k: best_of_at(problems, k, level) for k in ks if 1 < k <= most}
    notes = list(source.notes)
    if any(s.score is not None for s in labelled) and (why := unscored(problems)):
        notes.append(f"scores are not taken as confidences: {why}")
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
        "pass_hat": {k: asdict(pass_hat_at(problems, k, level)) for k in ks if 1 < k <= most},
        "best_of": {k: asdict(found) for k, found in best.items() if found is not None},
        "majority_at": {k: asdict(majority_at(problems, k, level)) for k in ks if k > 1 and k <= most and votes},
        "length": None if length is None else asdict(length[0]) | {"of": length[1]},
        "audit": checked,
        "abstained": abstentions(samples),
        "by_verdict": asdict(pass_at(second, 1, level)) if checked and checked.rows else None,
        "calibration": calibration_of(problems, level),
        "behaviours": {} if tally is None else tally.result(level),
        "notes": notes,
    }


def abstentions(samples: Sequence[Sample]) -> dict[str, Any]:
    """How many samples our verifier abstained on, and its most frequent reason."""
    reasons = Counter(s.verdict.evidence for s in samples if s.verdict is not None and s.verdict.outcome == "abstain")
    return {"samples": reasons.total(), "reason": reasons.most_common(1)[0][0] if reasons else ""}


def table(r: dict[str, Any], ks: Sequence[int], show_all: bool) -> list[str]:
    rows = [("problems", f"{r['problems']:,}")]
    per = f"{r['most']}" if r["fewest"] == r["most"] else f"{r['fewest']} to {r['most']}"
    rows.append(
        ("samples", f"{r['samples']:,}, {per} with a label per problem; {r['unlabelled']:,} abstained or without a label")
    )
    too_deep = f"not known: no problem has that many labelled samples (the most is {r['most']})"
    rows += [(f"pass@{k}", interval(r["pass_at"][k]) if k in r["pass_at"] else too_deep) for k in ks]
    rows += [(f"pass^{k}", interval(found)) for k, found in r["pass_hat"].items()]
    rows += [(f"best of {k}", f"{interval(found)} under the score") for k, found in r["best_of"].items()]
    silent = "not known: the samples' answers are not stored" if max(ks) > 1 and not r["majority_at"] else too_deep
    rows += [(f"majority@{k}", interval(r["majority_at"][k]) if k in r["majority_at"] else silent if k <= r["most"] else too_deep)
             for k in ks if k > 1]  # fmt: skip
    if r["length"] is not None:
        rows.append(("mean length", f"{interval(r['length'], 1)} {r['length']['of']}"))
    rows += [("note", note) for note in r["notes"]]
    lines = [f"{r['name']} ({r['kind']})", *(f"  {name:<12} {value}" for name, value in rows)]
    if r["by_verdict"] is not None:
        lines.append(f"  {'by verdict':<12} pass@1 {interval(r['by_verdict'])}, with our verdicts for labels")
    lines += calibrated(r["calibration"]) if r["calibration"] is not None else []
    lines += behaved(r["behaviours"]) if r["behaviours"] else []
    lines += overlapping(r["contamination"], show_all) if r["contamination"] is not None else []
    return lines + (audited(r["audit"], r["abstained"], show_all) if r["audit"] is not None else [])


def calibrated(c: Calibration) -> list[str]:
    from ratchet.measure.changes import bare, signed

    below = f" (95% below {c.limit:.3f})" if math.isfinite(c.limit) else ""
    return [
        f"  {'calibration':<12} of {c.of}: error {c.error:.3f}, by chance {c.chance:.3f}{below}: {c.verdict}; "
        f"sure minus right {signed(c.gap)}, Brier {bare(c.brier)} (n = {c.gap.n:,} {c.gap.unit})"
    ]


def behaved(found: dict[str, Behaviour]) -> list[str]:
    from ratchet.measure.changes import bare

    texts = next(iter(found.values())).texts
    if not any(b.share.value for b in found.values()):
        return [
            f"  {'behaviours':<12} none in {texts:,} texts by the rules for English prose, which fit no other language of traces"
        ]
    said = "; ".join(f"{name} {bare(b.share)}" for name, b in found.items())
    return [f"  {'behaviours':<12} share of {texts:,} texts, by rules for English prose: {said}"]


def overlapping(found: dict[str, Any], show_all: bool) -> list[str]:
    o: Overlap = found["overlap"]
    short = f"; {o.too_short:,} questions of fewer than {o.least} words were not tested" if o.too_short else ""
    rows = found["rows"] if show_all else found["rows"][:SHOWN]
    lines = [
        f"  {'leaked':<12} {interval(asdict(o.share))} of the questions match {found['against']}: {len(o.by_words):,} by a run of {o.n} "
        f"words (of the whole where one is shorter), {len(o.by_likeness):,} by a likeness of {o.near:g}{short}"
    ]
    for r in rows:
        why = f'shares "{cut(r["shared"], 60)}"' if r["shared"] else f"likeness {r['likeness']:.2f}"
        lines.append(f"    {cut(r['key'], 24)}  question {r['number']}: {cut(r['question'], 60)}  {why}")
    if len(rows) < len(found["rows"]):
        lines.append(f"    ... and {len(found['rows']) - len(rows):,} more; --all lists them")
    return lines


def interval(e: dict[str, Any], digits: int = 3) -> str:
    return f"{e['value']:.{digits}f} [{e['low']:.{digits}f}, {e['high']:.{digits}f}] (n = {e['n']:,} {e['unit']}, {100 * e['level']:g}%)"


def audited(a: Audit, abstained: dict[str, Any], show_all: bool) -> list[str]:
    judged = a.agree + a.too_kind + a.too_strict
    why = f"the verifier abstained on {abstained['samples']:,}: {cut(abstained['reason'], 90)}" if abstained["samples"] else ""
    if not judged:
        return [f"  judged again nothing: {why or 'that needs a stored gold, an answer and a label'}"]
    lines = [
        f"  judged again {judged:,} samples, {a.unjudged:,} could not be{f' ({why})' if why else ''}; label and gold disagree on "
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


def compared(measured: Sequence[tuple[str, list[Problem], bool]], level: float) -> list[dict[str, Any]]:
    """Every pair that shares problems, with what changed. Where no pair does there is nothing to say."""
    from ratchet.cli.show import clean
    from ratchet.measure.changes import what_changed
    from ratchet.measure.comparison import Answer, holm
    from ratchet.measure.samples import compare

    found: list[dict[str, Any]] = []
    for (a, first, ours), (b, second, too) in combinations(measured, 2):
        try:
            told = compare(first, second, level)
        except StoreError as e:
            if {p.key for p in first} & {p.key for p in second}:  # what shares nothing is not meant to be compared
                click.echo(clean(f"A: {a}\nB: {b}\n  not compared: {e}"))
            continue
        changes = what_changed(first, second, level, same_seeds=ours and too)
        found.append({"a": a, "b": b, "difference": asdict(told.difference), "p": told.p, "answer": told.answer,
                      "detectable": told.detectable, "changes": changes})  # fmt: skip
    # of many pairs some differ by chance
    for c, p in zip(found, holm([c["p"] for c in found]) if found else (), strict=True):
        c["p_holm"] = float(p)
        known = c["answer"] != Answer.UNCLEAR and p <= 1 - level
        c["verdict"] = VERDICTS[c["answer"] if known else Answer.UNCLEAR]
    return found


def described(c: dict[str, Any], level: float) -> str:
    from ratchet.measure import changes

    corrected = f", {c['p_holm']:.2g} after Holm's correction for all pairs" if c["p_holm"] != c["p"] else ""
    lines = [
        f"A: {c['a']}",
        f"B: {c['b']}",
        f"  pass@1, B - A, paired by problem: {interval(c['difference'])}",
        f"  {decided(c['verdict'], level, c['p'], c['detectable'], corrected)}",
        f"  what changed: A -> B, {c['changes'].problems:,} problems",
        *(f"    {name:<11} {said}" for name, said in changes.described(c["changes"])),
    ]
    return "\n".join(lines)


def decided(verdict: str, level: float, p: float, detectable: float, corrected: str = "") -> str:
    """What a comparison says, with what it rests on; `ratchet compare` says it too."""
    unclear = verdict == "cannot tell apart" and math.isfinite(detectable)
    seen = f"; a difference of {detectable:.3f} would show with a chance of 80 %" if unclear else ""
    return f"{verdict} at {100 * level:g}%, sign-flip p = {p:.2g}{corrected}{seen}"
