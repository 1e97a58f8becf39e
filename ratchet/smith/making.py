"""The whole way: read, profile, propose, design, put together, verify; a failure goes back to the role that caused it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import SmithError
from ratchet.core.files import locked, write_text
from ratchet.core.journal import Journal
from ratchet.smith import checking, trying
from ratchet.smith.belonging import LEAST, NEIGHBOURS, entity, neighbours, owner, panel, steps
from ratchet.smith.describing import counted
from ratchet.smith.formulation import Dataset, Formulation
from ratchet.smith.giveaways import beside, givers, ordering
from ratchet.smith.kinds.structure import clock, years
from ratchet.smith.package import write
from ratchet.smith.preparing import labelled, moments, of_classes
from ratchet.smith.probing import MANY, SOLVED, folds_of, matrix, sampled, skill
from ratchet.smith.profiling import links, profile, stacks
from ratchet.smith.roles import Roles, Rules, freed_names, nothing
from ratchet.smith.sniffing import readings

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.verify.sandbox.sandbox import Sandbox

Say = Callable[[str], None]
Made = dict[str, Any]
LOOKED = 2  # times the candidates that may be built, those that may be looked at, since screening turns some down
REPAIRS = 2  # times that a task goes back to a role
BY_CHANCE = ("random", "stratified")
SLACK = 0.005  # by which screening is stricter than the probes, which see only part of the rows
LABELS = 8  # of a task with many, those that are looked at
MARGIN = 1.0  # by which a new task is clear of what would have it turned down: it should stand under another split as well
FLOOR = 0.03  # skill below which a target is not worth a try


def understood(root: Path, only: Sequence[Path] = ()) -> Dataset:
    """The tables of a folder (or of some files in it), profiled and linked.

    Raises SmithError where there is nothing to read.
    """
    found, left = readings(root, only)
    frames: dict[str, pd.DataFrame] = {}
    for reading in found:
        try:
            frame = reading.load(root)
        except Exception as e:  # a file that begins well may be broken further down, and must not hide the others
            left.append(f"{reading.file}: cannot be read ({type(e).__name__}: {str(e)[:120]})")
            continue
        if len(frame):
            frames[reading.name] = frame
        else:
            left.append(f"{reading.file}: holds no rows")
    if not frames:
        raise SmithError(f"{root.name}: nothing in it can be read as data ({'; '.join(left[:5])})")
    found = [r for r in found if r.name in frames]
    profiles = {name: profile(name, frame) for name, frame in frames.items()}
    together = [tuple(tables) for tables in stacks(list(profiles.values()))]
    mains = [*together, *((name,) for name in frames if not any(name in tables for tables in together))]
    name = root.name if not only or len(only) > 1 else found[0].name
    return Dataset(name, {r.name: r for r in found}, frames, profiles, links(frames, profiles), mains, left)


def screened(data: Dataset, f: Formulation) -> tuple[Formulation | None, str]:
    """The formulation without columns that give its target away; None and the reason where nothing is left to learn, or to find."""
    frame, kinds = data.main(f.tables)
    features = [c for c in f.features if c in frame and kinds[c].kind != "image"]
    if len(f.targets) > 1 and features:
        return several(data, f, features)
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
    rows = some_of(frame, target)
    if discrete:
        rows = of_classes(rows, target, list(f.classes))
    by = owner(rows, kinds, f.targets, discrete)
    if (
        by
        and f.split["by"] == "group"
        and by != (group := f.split["column"])
        and (rows.groupby(by)[group].nunique() > 1).mean() > 0.01
    ):
        return None, f"{target} is a property of {by}, whose rows lie in several of {group}"
    if by and f.split["by"] in BY_CHANCE:
        f, features = apart(f, by), [c for c in features if c != by]
    found = clock(frame, kinds)
    when = moments(frame, found[1]) if found else years(frame)
    if f.split["by"] in BY_CHANCE:
        if discrete and (group := panel(rows, features, target)):
            return None, f"each class of {target} comes once for each {group}: the last one is told by elimination"
        if found and neighbours(when, frame[target], discrete) > NEIGHBOURS:
            return (
                None,
                f"rows are moments of one series, in which the one before tells {target}: only what comes later may be asked",
            )
        if when is not None and (by := entity(frame, when, target, kinds, discrete)):
            if frame[by].nunique() < LEAST:
                return None, f"rows are moments of a series for each {by}, in which the one before tells {target}"
            f, features = apart(f, by), [c for c in features if c != by]
    part = folds_of(rows[f.split["column"]]) if f.split["by"] == "group" else None
    leaky = givers(rows, features, target, discrete, part, SLACK)
    if when is not None and not discrete:
        leaky |= steps(frame, when, [c for c in features if c not in leaky], target, kinds)
    if f.kind == "ranking":
        if (rows.groupby(f.extra["query"])[target].nunique() > 1).mean() < 0.5:
            return None, f"mostly all rows of a {f.extra['query']} have the same {target}"
        leaky |= ordering(rows, [c for c in features if c not in leaky], target, f.extra["query"])
    sides: list[Mapping[str, Any]] = []
    for side in f.extra.get("sides", ()):
        told = beside(rows, data.frames[side["table"]], side, target, discrete, part)
        leaky |= {name: f"of {side['table']} {why}" for name, why in told.items()}
        columns = [c for c in side["columns"] if f"{side['table']}.{c}" not in told]
        if columns and side["column"] not in leaky:
            sides.append(side | {"columns": columns})
    if "sides" in f.extra:
        if not sides:
            return None, f"all that {' and '.join(s['table'] for s in f.extra['sides'])} says gives {target} away"
        f = replace(f, extra=f.extra | {"sides": sides})
    kept = tuple(c for c in f.features if c not in leaky)
    plain = [c for c in kept if c in frame]
    if not plain or (f.kind == "text similarity" and len(plain) < 2):
        return None, f"every feature gives {target} away: {next(iter(leaky.items()))}"
    some = sampled(rows)
    texts = any(kinds[c].kind == "text" for c in plain)
    value = skill(matrix(some, plain), some[target], discrete, part=part)
    if value > SOLVED + 0.02:
        return None, f"too easy: boosted trees tell {target} with skill {value:.3f}"
    if value < FLOOR and not texts:
        return None, f"hopeless: boosted trees tell {target} with skill {value:.3f}"
    return replace(f, features=kept, dropped=f.dropped | leaky), ""


def several(data: Dataset, f: Formulation, features: Sequence[str]) -> tuple[Formulation | None, str]:
    """As `screened`, for several labels of a row: rows of whose property they are stay together, and what tells a label goes."""
    frame, kinds = data.main(f.tables)
    rows = labelled(frame, {"targets": list(f.targets), "lists": f.extra.get("lists")})
    by = owner(rows, kinds, f.targets, True)
    if by and f.split["by"] in BY_CHANCE:
        f, features = apart(f, by), [c for c in features if c != by]
    part = folds_of(rows[f.split["column"]]) if f.split["by"] == "group" else None
    leaky: dict[str, str] = {}
    for target in f.targets[:LABELS]:
        leaky |= givers(rows, [c for c in features if c not in leaky], target, True, part, SLACK)
    kept = tuple(c for c in f.features if c not in leaky)
    if not any(c in frame for c in kept):
        return None, f"every feature gives a label away: {next(iter(leaky.items()))}"
    return replace(f, features=kept, dropped=f.dropped | leaky), ""


def apart(f: Formulation, by: str) -> Formulation:
    """The same task, of which all rows of one value of a column lie on one side."""
    return replace(
        f,
        split={"by": "group", "column": by, "test": f.split["test"], "seed": f.split["seed"]},
        features=tuple(c for c in f.features if c != by),
        dropped=f.dropped | {by: f"{' and '.join(f.targets[:2])} is a property of it: groups of the test set are new"},
        extra=f.extra | {"group": by},
    )


def some_of(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """Rows whose target is known, more than a probe looks at; a copy of a large table would cost more than what is found in it."""
    import numpy as np

    known = np.flatnonzero(frame[target].notna().to_numpy())
    return frame.iloc[np.sort(np.random.default_rng(0).permutation(known)[:MANY])]


def attempt(
    data: Dataset, f: Formulation, folder: Path, raw: Path, sandbox: Sandbox, roles: Roles, margin: float = 0.0
) -> tuple[checking.Report, Formulation]:
    """Build a task and verify it, with a margin as `checking.check` has it; a problem goes back to the role whose work it is, a few
    times."""
    description, code = roles.design(data, f), roles.refactor(data, f)
    for left in reversed(range(REPAIRS + 1)):
        report = built(data, f, folder, raw, sandbox, description, code, margin)
        if report.accepted or not left:
            break
        wrong = report.problems[0]
        before = (f, description, code)
        again = roles.reformulate(data, f, wrong) if wrong.role == "brainstormer" else None
        if again is not None:
            f, description = again, roles.design(data, again, wrong)
            code = roles.refactor(data, f, wrong)
        elif wrong.role == "designer" and wrong.check == "the description is whole":
            description = roles.design(data, f, wrong)
        else:
            code = roles.refactor(data, f, wrong)
        if (f, description, code) == before:  # the same again would fail the same way
            break
    write_text(folder / "verification.json", json.dumps(report.as_json(), indent=1, default=str) + "\n")
    write_text(folder / "baselines.json", json.dumps(report.baselines, indent=1) + "\n")
    return report, f


def built(
    data: Dataset,
    f: Formulation,
    folder: Path,
    raw: Path,
    sandbox: Sandbox,
    description: str,
    code: Mapping[str, str],
    margin: float,
) -> checking.Report:
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, data, f, description, code)
    report = checking.Report()
    trying.save(checking.prepared(folder, raw, sandbox, report), folder)
    if not report.accepted:
        return report
    counted(folder)
    found = checking.check(folder, sandbox, margin=margin)
    return checking.Report(found.problems, [*report.checks, *found.checks], found.baselines)


def make(
    root: Path,
    out: Path,
    say: Say,
    *,
    most: int = 6,
    tries: int = 14,
    only: Sequence[Path] = (),
    roles: Roles | None = None,
    jobs: int = 1,
) -> dict[str, Any]:
    """Tasks from one data set, into `out/<data>/<task>`; what was rejected into `out/<data>/rejected`. Returns and writes the record.

    `most` accepted tasks are enough, and no more than `tries` are built. `jobs` candidates are worked on at once; the record is the
    same however many. What is there of an earlier run with the same raw files is kept, so an interrupted run goes on.

    Raises SmithError where there is nothing to read, or the folder holds tasks of other raw files; StoreError where another run is
    at work in it.
    """
    trying.needed()
    root, roles = root.resolve(), roles or Rules()
    data = freed_names(understood(root, [p.resolve() for p in only]))
    home = out / data.name
    with locked(home), trying.readable(root) as seen, trying.room(seen, jobs) as sandbox:
        journal = opened(home, root, only)
        done = {e["made"]["task"]: e["made"] for e in journal.of("task")}
        records: list[dict[str, Any]] = []
        work = lambda f: tried(data, f, home, seen, sandbox, roles)
        count = lambda what: sum(r.get(what, True) for r in records)  # an older journal does not say what was built
        enough = lambda: count("accepted") >= most or count("built") >= tries
        for record in ahead(work, islice(roles.brainstorm(data), LOOKED * tries), done, jobs, enough):
            if enough():  # begun beside the last one that was wanted
                for folder in (home, home / "rejected"):
                    shutil.rmtree(folder / record["task"], ignore_errors=True)
                continue
            if record["task"] not in done:
                journal.append("task", made=record)
            records.append(record)
            why = record["why"]
            say(f"{data.name}: {record['task']}: {f'rejected, {why}' if why else 'accepted'}")
        accepted = [r["task"] for r in records if r["accepted"]]
        tables = {name: p.rows for name, p in data.profiles.items()}
        why = "" if records else nothing(data)
        if why:
            say(f"{data.name}: nothing to ask, {why}")
        result = {
            "data": data.name,
            "accepted": accepted,
            "tried": records,
            "left": list(data.left),
            "tables": tables,
            "why": why,
        }
        write_text(home / "made.json", json.dumps(result, indent=1) + "\n")
    return result


def ahead(
    work: Callable[[Formulation], Made],
    candidates: Iterable[Formulation],
    done: Mapping[str, Made],
    jobs: int,
    enough: Callable[[], bool],
) -> Iterator[Made]:
    """What came of each candidate, in order; some are begun before they are asked for, but none once there are enough."""
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(jobs, initializer=one_thread) as threads:
        try:
            for f in candidates:
                while waiting and (len(waiting) >= jobs or f.name in done):
                    yield waiting.popleft().result()
                if enough():
                    break
                if f.name in done:
                    yield done[f.name]
                else:
                    waiting.append(threads.submit(work, f))
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)


def one_thread() -> None:
    """Models of this thread have no threads of their own: they are small, and candidates side by side need the cores."""
    import sklearn.ensemble  # noqa: F401  # brings the library whose threads these are
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="openmp")


def opened(home: Path, root: Path, only: Sequence[Path]) -> Journal:
    """The journal of a folder of tasks, which belongs to the raw files that it began with."""
    digest = hashlib.sha256()
    for path in sorted(only) or sorted(p for p in root.rglob("*") if p.is_file()):
        with path.open("rb") as f:
            digest.update(f"{path.name} {hashlib.file_digest(f, 'sha256').hexdigest()}\n".encode())
    journal = Journal(home / "journal.jsonl")
    raw = [e["digest"] for e in journal.of("raw")]
    if raw and raw[0] != digest.hexdigest():
        raise SmithError(f"{home} holds tasks of other raw files; choose another folder with --out, or remove it first")
    if not raw:
        journal.append("raw", digest=digest.hexdigest())
    return journal


def tried(data: Dataset, f: Formulation, home: Path, root: Path, sandbox: Sandbox, roles: Roles) -> Made:
    """What came of a candidate; whatever goes wrong with it is said of it, and the next one may be well."""
    record = {
        "task": f.name,
        "kind": f.kind,
        "metric": f.metric,
        "why": "",
        "by": "brainstormer",
        "built": False,
        "accepted": False,
    }
    folder = home / f.name
    try:
        fit, why = screened(data, f)
        if fit is None:
            return record | {"why": why}
        record["built"] = True
        report, last = attempt(data, fit, folder, root, sandbox, roles, MARGIN)
    except SmithError as e:  # a role gave up
        shutil.rmtree(folder, ignore_errors=True)
        return record | {"why": str(e), "by": "endpoint"}
    except Exception as e:  # a fault of ours, with data that nobody thought of
        shutil.rmtree(folder, ignore_errors=True)
        return record | {"why": f"an error in the smith, {type(e).__name__}: {' '.join(str(e).split())[:200]}", "by": "smith"}
    if report.accepted:
        return record | {"accepted": True, "by": "", "dropped": dict(last.dropped), "baselines": report.baselines}
    first = report.problems[0]
    rejected = home / "rejected" / f.name
    shutil.rmtree(rejected, ignore_errors=True)
    rejected.parent.mkdir(exist_ok=True)
    folder.rename(rejected)
    return record | {"why": f"{first.check}: {first.what}", "by": first.role}
