"""What changed from one set of samples to another on the same problems: everything that the stored samples can tell.

Each part has a module of its own; here they meet the problems of `ratchet.measure.samples`. What is not stored is not
guessed: it stands in `unknown` with what would tell it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate
from ratchet.measure.alarm import Alarm, Audited, alarm
from ratchet.measure.behaviours import Tally, tallied
from ratchet.measure.calibration import calibration_of, unscored
from ratchet.measure.entropy import EntropyChange, answer_entropy_change, token_entropy_change
from ratchet.measure.estimate import Change, change
from ratchet.measure.flips import Flips, majority_flips, sample_flips
from ratchet.measure.sample_files import Naming, sources
from ratchet.measure.samples import Problem, Sample, condense, gather, paired, same, unit_of
from ratchet.measure.support import Support, support


@dataclass(frozen=True)
class Changes:
    """Before -> after over `problems` shared ones. A part is None where `unknown` says why it cannot be known."""

    problems: int
    support: Support | None = None
    flips: list[Flips] = field(default_factory=list)
    answer_entropy: EntropyChange | None = None
    token_entropy: Change | None = None
    length: Change | None = None
    length_unit: str = ""
    reward: Alarm | None = None
    same_seeds: bool = False
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def what_changed(before: Sequence[Problem], after: Sequence[Problem], level: float = 0.95, same_seeds: bool = False) -> Changes:
    """Support against its null, flips, entropy, length, and reward against truth, over the shared problems.

    `before` and `after` are condensed problems (`samples.condense`). `same_seeds`: both may have been drawn with the same
    random numbers, as the two models of a run are. Then they differ less than two draws that know nothing of each other, so that
    "more than chance" is still safe to say and "less than chance" is not. Raises StoreError where they share no problem.
    """
    pairs, notes = paired(before, after)
    first, second = [p for p, _ in pairs], [q for _, q in pairs]
    clusters, unit = [p.origin for p in first], unit_of(first)
    unknown: list[str] = []
    a, b = ([(len(p.labelled), sum(bool(s.correct) for s in p.labelled)) for p in side] for side in (first, second))
    try:
        kept = support(a, b, clusters=clusters, level=level, unit=unit)
    except StoreError:
        kept = None
        unknown.append("support: its null takes at least 2 labelled samples per problem before")
    flips = [sample_flips(a, b, clusters=clusters, level=level, unit=unit)]
    entropy = None
    if all(any(s.answer is not None for p in side for s in p.labelled) for side in (first, second)):
        old, new = ([[(vote(s), bool(s.correct)) for s in p.labelled] for p in side] for side in (first, second))
        flips += [majority_flips(old, new, clusters=clusters, level=level, unit=unit)] if max(map(len, old)) > 1 else []
        try:
            said = ([[answer for answer, _ in p] for p in side] for side in (old, new))
            entropy = answer_entropy_change(next(said), next(said), clusters, level, unit)
        except StoreError:
            unknown.append("answer entropy: it takes 2 samples of a problem with an answer on both sides")
    else:
        unknown.append("answer entropy and flips of the majority: the samples' answers are not stored")
    tokens = None
    if all(s.logprobs is not None for p in (*first, *second) for s in p.samples):
        x, y = ([[s.logprobs for s in p.samples if s.logprobs is not None] for p in side] for side in (first, second))
        tokens = token_entropy_change(x, y, clusters, level, unit)
    else:
        unknown.append("token entropy: the log-probabilities of the tokens are not stored")
    length, of = length_change(first, second, level)
    if length is None:
        unknown.append("length: neither tokens nor texts are stored for every sample")
    why = unscored(first) or unscored(second)
    reward = None if why else alarm([audited(first), audited(second)], level, unit=unit)
    if why and any(s.score is not None for p in (*first, *second) for s in p.samples):
        unknown.append(f"reward against truth, and calibration of the scores: {why}")
    return Changes(len(pairs), kept, flips, entropy, tokens, length, of, reward, same_seeds, unknown, notes)


def vote(sample: Sample) -> Hashable:
    return None if sample.answer is None else same(sample.answer)


def length_change(before: Sequence[Problem], after: Sequence[Problem], level: float) -> tuple[Change | None, str]:
    """Of the mean length of a problem's samples: in tokens where every sample has them, else in characters."""
    for name in ("tokens", "characters"):
        if all(getattr(s, name) is not None for p in (*before, *after) for s in p.samples):
            a, b = ([math.fsum(getattr(s, name) for s in p.samples) / len(p.samples) for p in side] for side in (before, after))
            return change(a, b, [p.origin for p in before], level, unit_of(before)), name
    return None, ""


def audited(problems: Sequence[Problem]) -> Audited:
    samples = [(s, p.origin) for p in problems for s in p.labelled]
    return Audited([float(s.score or 0) for s, _ in samples], [bool(s.correct) for s, _ in samples], [c for _, c in samples])


# ---- of a run ----------------------------------------------------------------------------------------------------


def stored_changes(folder: Path, before: str, after: str, level: float = 0.95) -> list[tuple[str, str]]:
    """What a run's folder tells of the change from one stage to another, in words (see `described`).

    Counts come from `records/`, which have every sample; answers and texts from the held-out `traces/`, which keep the
    first few of each task. Without records the counts are those of the traces. StoreError where the traces are not there.
    """
    tallies: list[dict[str, Tally]] = [{}, {}]
    traced: list[list[Problem]] = []
    for name, tally in zip((before, after), tallies, strict=True):
        (source,) = sources(folder / "traces" / f"heldout-{name}.jsonl.gz", Naming())
        traced.append(gather(condense(tallied(source.parts, tally))))
    files = [folder / "records" / f"{name}.json" for name in ("before", "after")]
    recorded = [list(sources(f, Naming())[0].parts) for f in files] if all(f.exists() for f in files) else traced
    clusters = {p.key: p.cluster for side in recorded for p in side}
    for p in (p for side in traced for p in side):
        p.cluster = clusters.get(p.key, "")
    shallow, deep = (what_changed(side[0], side[1], level, same_seeds=True) for side in (traced, recorded))
    flips = [*deep.flips, *(f for f in shallow.flips if f.by not in {d.by for d in deep.flips})]
    rows = described(replace(shallow, problems=deep.problems, support=deep.support, flips=flips, length=deep.length))
    old, new = (calibration_of(side, level) for side in traced)
    if old and new:
        rows.append(("calibration", f"of {new.of}: sure minus right {signed(old.gap)} -> {signed(new.gap)}, error {old.error:.3f} "
                                    f"(by chance {old.chance:.3f}) -> {new.error:.3f} (by chance {new.chance:.3f})"))  # fmt: skip
    shown = [t[""].result(level) if "" in t else {} for t in tallies]
    if any(b.share.value for side in shown for b in side.values()):
        rows += [(name, f"in {bare(shown[0][name].share)} -> {bare(shown[1][name].share)} of the texts, by rules for English prose")
                 for name in shown[0] if name in shown[1]]  # fmt: skip
    else:
        rows.append(("behaviours", "none by the rules for English prose, which fit no other language of traces"))
    return rows


# ---- in words ----------------------------------------------------------------------------------------------------


def described(c: Changes) -> list[tuple[str, str]]:
    """A name and a plain sentence for each thing that is known, then for each that is not."""
    rows: list[tuple[str, str]] = []
    if c.support is not None:
        s, o, n = c.support, c.support.observed, c.support.null
        left = f"; {s.left_out:,} have too few samples" if s.left_out else ""
        rows += [
            ("support", f"{s.problems:,} problems at k = {s.k}{left}: preserved {o.preserved:.1f}, expanded {o.expanded:.1f}, "
                        f"shrunk {o.shrunk:.1f}, never solved {o.never:.1f}"),
            ("  by chance", f"preserved {n.preserved:.1f}, expanded {n.expanded:.1f}, shrunk {n.shrunk:.1f}, never solved "
                            f"{n.never:.1f} between two draws of the model before ({s.null_from})"),
            ("  expanded", f"{signed(s.expanded)} of the problems against chance: {moved(s.expanded)}"),
            ("  shrunk", f"{signed(s.shrunk)} of the problems against chance: {moved(s.shrunk)}"),
        ]  # fmt: skip
        rates = [("retained of what was solved", o.retention, n.retention), ("new of what is solved", o.discovery, n.discovery)]
        rows += [("  share", f"{name} {bare(e)}, by chance {bare(null)}") for name, e, null in rates if e and null]
    for f in c.flips:
        for name, raw, null, net in (("right to wrong", f.negative, f.null_negative, f.net_negative),
                                     ("wrong to right", f.positive, f.null_positive, f.net_positive)):  # fmt: skip
            said = f"{bare(raw)} {name} by {f.by}"
            if null is not None and net is not None:
                said += f"; by chance {bare(null)} ({f.null_from}), against it {signed(net)}: {moved(net)}"
            rows.append(("flips", said))
    if c.answer_entropy is not None:
        rows.append(("answers", f"entropy {shift(c.answer_entropy.corrected, 3)} nats over a problem's answers"))
    if c.token_entropy is not None:
        rows.append(("tokens", f"entropy {shift(c.token_entropy, 3)} nats per token"))
    if c.length is not None:
        rows.append(("length", f"{shift(c.length, 1)} {c.length_unit}"))
    if c.reward is not None:
        a, b = c.reward.gaps[0], c.reward.gaps[-1]
        said = "ALARM: the gap grew" if c.reward.hacking else "no growth of the gap was shown"
        rows.append(("reward", f"minus truth {bare(a)} -> {bare(b)}, one-sided p = {c.reward.p:.2g}: {said}"))
        true = [bare(p) if p else "nothing was rewarded" for p in (c.reward.precision[0], c.reward.precision[-1])]
        rows.append(("  true", f"of what is rewarded {true[0]} -> {true[1]}"))
    if c.same_seeds:
        rows.append(
            (
                "note",
                "where both sides were drawn with the same seeds, as in a run, less than by chance may come from that; more does not",
            )
        )
    rows += [("note", note) for note in c.notes]
    return rows + [("not known", why) for why in c.unknown]


def bare(e: Estimate, digits: int = 3) -> str:
    return f"{e.value:.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]"


def signed(e: Estimate, digits: int = 3) -> str:
    return f"{e.value:+.{digits}f} [{e.low:+.{digits}f}, {e.high:+.{digits}f}]"


def moved(e: Estimate) -> str:
    return "more than by chance" if e.low > 0 else "less than by chance" if e.high < 0 else "not told from chance"


def shift(c: Change, digits: int) -> str:
    d = c.difference
    return f"{bare(c.before, digits)} -> {bare(c.after, digits)}, by {signed(d, digits)} (n = {d.n:,} {d.unit})"
