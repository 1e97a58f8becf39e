"""The whole way: read, profile, propose, design, put together, verify; a failure goes back to the role that caused it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.core.files import write_text
from ratchet.smith import checking, trying
from ratchet.smith.describing import describe
from ratchet.smith.formulation import Dataset, Formulation, proposers
from ratchet.smith.package import plan_of, write
from ratchet.smith.probing import SOLVED, givers, matrix, sampled, skill
from ratchet.smith.profiling import links, profile, stacks
from ratchet.smith.sniffing import readings

if TYPE_CHECKING:
    from ratchet.verify.sandbox.sandbox import Sandbox

Say = Callable[[str], None]
REPAIRS = 2  # times that a task goes back to a role
KINDS_FIRST = 0.7  # what a second task of the same kind loses, of the same target, of the same table
FLOOR = 0.03  # skill below which a target is not worth a try


def understood(root: Path, only: Sequence[Path] = ()) -> Dataset:
    """The tables of a folder (or of some files in it), profiled and linked.

    Raises SmithError where there is nothing to read.
    """
    found, left = readings(root, only)
    frames = {r.name: r.load(root) for r in found}
    profiles = {name: profile(name, frame) for name, frame in frames.items()}
    together = [tuple(tables) for tables in stacks(list(profiles.values()))]
    mains = [*together, *((name,) for name in frames if not any(name in tables for tables in together))]
    name = root.name if not only or len(only) > 1 else found[0].name
    return Dataset(name, {r.name: r for r in found}, frames, profiles, links(frames, profiles), mains, left)


def proposed(data: Dataset) -> list[Formulation]:
    """All candidates, the most promising first; what resembles one that stands above it falls behind."""
    waiting = [f for entry in proposers for f in entry.value(data)]
    chosen: list[Formulation] = []
    seen: dict[tuple[str, Any], int] = {}
    marks = lambda f: (("kind", f.kind), ("target", f.targets), ("table", f.tables))
    rank = lambda f: (f.score - sum(KINDS_FIRST * seen.get(m, 0) for m in marks(f)), f.name)
    names = set[str]()
    while waiting:
        best = max(waiting, key=rank)
        waiting.remove(best)
        if best.name in names:
            continue
        names.add(best.name)
        chosen.append(best)
        for m in marks(best):
            seen[m] = seen.get(m, 0) + 1
    return chosen


def screened(data: Dataset, f: Formulation) -> tuple[Formulation | None, str]:
    """The formulation without columns that give its target away; None and the reason where nothing is left to learn, or to find."""
    frame, kinds = data.main(f.tables)
    features = [c for c in f.features if c in frame and kinds[c].kind != "image"]
    if (
        len(f.targets) > 1
        or f.split["by"] == "time"
        or not features
        or f.extra.get("sides", [{}])[0].get("own")
        or "image" in f.features
    ):
        return f, ""
    (target,) = f.targets
    discrete = bool(f.classes)
    rows = frame[frame[target].notna()]
    if f.classes:
        from ratchet.smith.preparing import class_name

        names = rows[target].map(class_name)
        rows = rows.assign(**{target: names})[names.isin(f.classes)]
    leaky = givers(rows, features, target, discrete)
    kept = tuple(c for c in f.features if c not in leaky)
    plain = [c for c in kept if c in frame]
    if not plain:
        return None, f"every feature gives {target} away: {next(iter(leaky.items()))}"
    some = sampled(rows)
    texts = any(kinds[c].kind == "text" for c in plain)
    value = skill(matrix(some, plain), some[target], discrete)
    if value > SOLVED + 0.02:
        return None, f"too easy: boosted trees tell {target} with skill {value:.3f}"
    if value < FLOOR and not texts:
        return None, f"hopeless: boosted trees tell {target} with skill {value:.3f}"
    return replace(f, features=kept, dropped=f.dropped | leaky), ""


def repaired(f: Formulation, problem: checking.Problem) -> Formulation | None:
    """What the role that caused a problem can do about it; None where it cannot."""
    named = [c for c in f.features if problem.what.startswith(f"{c} ")]
    if problem.check == "leak: answers among features" and named and len(f.features) > 2:
        return replace(f, features=tuple(c for c in f.features if c != named[0]), dropped=f.dropped | {named[0]: problem.what})
    if problem.check == "look ahead" and named:
        return replace(f, features=tuple(c for c in f.features if c != named[0]))
    if problem.check == "not hopeless" and f.metric == "rmsle":
        return replace(f, metric="mae")
    return None


def attempt(data: Dataset, f: Formulation, folder: Path, raw: Path, sandbox: Sandbox) -> tuple[checking.Report, Formulation]:
    """Build a task and verify it; what a role can mend is mended, a few times."""
    for _ in range(REPAIRS + 1):
        shutil.rmtree(folder, ignore_errors=True)
        write(folder, data, f, describe(data, f, plan_of(data, f)["answer"]))
        report = checking.Report()
        files = checking.prepared(folder, raw, sandbox, report)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        if report.accepted:
            found = checking.check(folder, sandbox)
            report = checking.Report(found.problems, [*report.checks, *found.checks], found.baselines)
        better = next((g for p in report.problems if (g := repaired(f, p)) is not None), None)
        if report.accepted or better is None:
            break
        f = better
    write_text(folder / "verification.json", json.dumps(report.as_json(), indent=1, default=str) + "\n")
    write_text(folder / "baselines.json", json.dumps(report.baselines, indent=1) + "\n")
    return report, f


def make(root: Path, out: Path, say: Say, most: int = 6, tries: int = 14, only: Sequence[Path] = ()) -> dict[str, Any]:
    """Tasks from one data set, into `out/<data>/<task>`; what was rejected into `out/<data>/rejected`. Returns and writes the record.

    What is there of an earlier run with the same raw files is kept, so an interrupted run goes on.
    """
    trying.needed()
    data = understood(root, only)
    home = out / data.name
    home.mkdir(parents=True, exist_ok=True)
    journal = home / "journal.jsonl"
    done = {r["task"]: r for r in map(json.loads, journal.read_text().splitlines())} if journal.exists() else {}
    accepted: list[str] = []
    records: list[dict[str, Any]] = []
    with trying.room(root) as sandbox:
        for f in candidates(data, tries):
            if len(accepted) >= most:
                break
            record = done.get(f.name)
            if record is None or (record["accepted"] and not (home / f.name / "verification.json").is_file()):
                record = tried(data, f, home, root, sandbox)
                with journal.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            accepted += [f.name] if record["accepted"] else []
            records.append(record)
            say(f"{data.name}: {f.name}: {'accepted' if record['accepted'] else 'rejected, ' + record['why']}")
    result = {
        "data": data.name,
        "accepted": accepted,
        "tried": records,
        "left": list(data.left),
        "tables": {n: p.rows for n, p in data.profiles.items()},
    }
    write_text(home / "made.json", json.dumps(result, indent=1) + "\n")
    return result


def candidates(data: Dataset, tries: int) -> Iterator[Formulation]:
    yield from proposed(data)[:tries]


def tried(data: Dataset, f: Formulation, home: Path, root: Path, sandbox: Sandbox) -> dict[str, Any]:
    fit, why = screened(data, f)
    record = {"task": f.name, "kind": f.kind, "metric": f.metric, "accepted": False, "why": why, "by": "brainstormer"}
    if fit is None:
        return record
    folder = home / f.name
    report, last = attempt(data, fit, folder, root, sandbox)
    if report.accepted:
        return record | {"accepted": True, "by": "", "dropped": dict(last.dropped), "baselines": report.baselines}
    first = report.problems[0]
    rejected = home / "rejected" / f.name
    shutil.rmtree(rejected, ignore_errors=True)
    rejected.parent.mkdir(exist_ok=True)
    folder.rename(rejected)
    return record | {"why": f"{first.check}: {first.what}", "by": first.role}


def as_plain(f: Formulation) -> dict[str, Any]:
    return asdict(f)
