"""Whether a task is right: assertions about its files, runs of what it does, probes for leaks, and a review of what it says.

Each problem names the role whose work it is: the brainstormer chose what to ask, the designer what to say and how to score, the
refactor how it is put into files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import yaml

from ratchet.core.errors import SmithError
from ratchet.smith import trying
from ratchet.smith.leaks import Package, search

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.verify.sandbox.sandbox import Sandbox

SCRIPTS = ("task.yaml", "description.md", "prepare.py", "metric.py")
SAMPLE, ANSWERS = "public/sample_submission.csv", "private/answers.csv"
TABLES = ("public/train.csv", "public/test.csv", SAMPLE, ANSWERS)
NEEDED = ("name", "kind", "targets", "answer", "metric", "split", "features", "sides", "query")
TRIVIAL, HOPELESS = 0.995, 0.02  # of the way from the dummy's score to the optimum
LEAST = 20  # rows to tell; twice as many to learn from
TOLERANCE = 1e-9
ALONE = Lock()  # the tables of a task are most of what this process holds: one task's at a time
Claim = tuple[bool, str, str]
"""Whether it holds, what is claimed, and what is wrong where it does not."""


@dataclass(frozen=True)
class Problem:
    check: str
    what: str
    role: str


@dataclass
class Report:
    """Of one task."""

    problems: list[Problem] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    baselines: dict[str, Any] = field(default_factory=dict)

    def need(self, role: str, claims: Iterator[Claim]) -> bool:
        """Note all claims of a role's work; whether they hold."""
        before = len(self.problems)
        for holds, check, wrong in claims:
            self.checks.append(check)
            if not holds:
                self.problems.append(Problem(check, wrong, role))
        return len(self.problems) == before

    @property
    def accepted(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        problems = [vars(p) for p in self.problems]
        checks = list(dict.fromkeys(self.checks))
        return {"accepted": self.accepted, "problems": problems, "checks": checks, "baselines": self.baselines}


def read_task(folder: Path) -> dict[str, Any]:
    """The folder's task.yaml.

    Raises SmithError where it is missing or lacks something.
    """
    file = folder / "task.yaml"
    if not file.is_file():
        raise SmithError(f"{folder} holds no task.yaml, so it is no task; `ratchet smith make` makes such folders")
    try:
        task = yaml.safe_load(file.read_text())
    except yaml.YAMLError as e:
        raise SmithError(f"{file}: not YAML ({str(e).splitlines()[0]})") from None
    missing = [k for k in NEEDED if not isinstance(task, dict) or k not in task]
    if missing:
        raise SmithError(f"{file} lacks {', '.join(missing)}")
    return task


def paths_in(folder: Path, part: str) -> dict[str, Path]:
    """Files of one part of a folder, by their names below the folder."""
    return {p.relative_to(folder).as_posix(): p for p in sorted((folder / part).rglob("*")) if p.is_file()}


def files_in(folder: Path, part: str) -> dict[str, bytes]:
    """Their contents."""
    return {name: path.read_bytes() for name, path in paths_in(folder, part).items()}


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def check(folder: Path, sandbox: Sandbox, raw: Path | None = None, margin: float = 0.0) -> Report:
    """Of a task's folder. With the raw files, `prepare.py` is run twice as well, and must make what is there. By the margin what
    baselines show must be away from where it would be turned down, in units of what a test set of other rows may change."""
    report = Report()
    task = read_task(folder)
    missing = [name for name in (*SCRIPTS, *TABLES) if not (folder / name).is_file()]
    if not report.need("refactor", iter([(not missing, "files", f"missing: {', '.join(missing)}")])):
        return report
    if raw is not None and (made := prepared(folder, raw, sandbox, report)):
        same = digests(made) == digests(files_in(folder, "public") | files_in(folder, "private"))
        wrong = "public/ and private/ are not what prepare.py makes"
        report.need("refactor", iter([(same, "prepare.py makes these files", wrong)]))
    with ALONE:
        looked_through(Package(folder, task), report)
    if report.accepted:
        executed(folder, task, sandbox, report, margin)
    return report


def looked_through(p: Package, report: Report) -> None:
    if whole(p, report):
        report.need("brainstormer", ((not what, f"leak: {name}", what) for name, what in search(p).items()))
        report.need("designer", said(p))


def prepared(folder: Path, raw: Path, sandbox: Sandbox, report: Report) -> dict[str, bytes]:
    """What prepare.py makes, if it makes the same twice."""
    text = (folder / "prepare.py").read_text()
    first = trying.run(sandbox, text, {}, [str(raw), "out"])
    if not report.need("refactor", iter([(not first.failed, "prepare.py runs", first.failed)])):
        return {}
    before = digests(first.files)
    del first  # the files of a large task, twice, would be most of what this process holds
    other = "import random, numpy\nrandom.seed(5), numpy.random.seed(5)\n"
    second = trying.run(sandbox, other + text.replace("from __future__ import annotations\n", "", 1), {}, [str(raw), "out"])
    same = before == digests(second.files)
    report.need("refactor", iter([(same, "prepare.py is deterministic", "a second run gave other files")]))
    return dict(second.files)


# ---- assertions ------------------------------------------------------------------------------------------------------


def whole(p: Package, report: Report) -> bool:
    """Tables are what they should be."""
    try:
        tables = p.train, p.test, p.answers, p.table(SAMPLE)
    except Exception as e:
        return report.need("refactor", iter([(False, "tables can be read", str(e)[:200])]))
    without = [name for name, table in zip(TABLES, (*tables[:2], tables[3], tables[2])) if "id" not in table]
    if not report.need("refactor", iter([(not without, "ids are there", f"no column id in {', '.join(without)}")])):
        return False
    return report.need("refactor", shapes(p, tables[3])) and report.need("brainstormer", worth_it(p))


def shapes(p: Package, sample: Any) -> Iterator[Claim]:
    targets, train, test, answers = p.task["targets"], p.train, p.test, p.answers
    lacking = [t for t in targets if t not in train]
    yield not lacking, "training has the target", f"train.csv lacks {', '.join(lacking)}"
    shown = [t for t in targets if t in test]
    yield not shown, "the test set lacks the target", f"test.csv holds {', '.join(shown)}"
    strange = [c for c in p.known if c not in (*p.task["features"], p.task["query"])]
    yield (
        not strange,
        "columns are those of the task",
        f"test.csv holds {', '.join(strange)[:200]}, which task.yaml does not name",
    )
    ends = list(answers.columns)[-len(targets) :] == targets
    yield ends, "answers have the target", f"answers.csv has the columns {', '.join(answers.columns)}"
    once = not test["id"].duplicated().any() and not answers["id"].duplicated().any()
    both = once and same_ids(test["id"], answers["id"])
    yield both, "answers belong to the test set", "test.csv and answers.csv do not have the same ids, once each"
    yield not train["id"].isin(test["id"]).any(), "the sides are apart", "ids are on both sides"
    right = list(sample.columns) == ["id", *targets] and same_ids(sample["id"], test["id"])
    yield right, "the sample shows what is asked for", "sample_submission.csv has other ids or columns"
    if ends:
        yield not answers[targets].isna().any().any(), "answers are whole", "answers.csv has empty cells"


def same_ids(ids: pd.Series, others: pd.Series) -> bool:
    return bool(ids.notna().all() and ids.isin(others).all() and others.isin(ids).all())


def worth_it(p: Package) -> Iterator[Claim]:
    enough = len(p.test) >= LEAST and len(p.train) >= 2 * LEAST
    yield enough, "there are enough rows", f"{len(p.train)} rows to learn from and {len(p.test)} to tell"
    flat = [t for t in p.task["targets"] if p.answers[t].nunique() < 2 or p.train[t].nunique() < 2]
    yield not flat, "the target varies", f"{', '.join(flat)} has one value on one side"
    if p.task["answer"] == "class":
        new = set(p.answers[p.task["targets"][0]].unique()) - set(p.train[p.task["targets"][0]].unique())
        yield not new, "training shows every class", f"it never shows {', '.join(sorted(new))[:120]}"
    empty = [c for c in p.known if p.test[c].isna().all()]
    yield len(p.known) + len(p.task["sides"]) > len(empty), "there is something to learn from", "no feature has values"
    from ratchet.smith.kinds.columns import CALENDAR

    odd = [
        t for t in p.task["targets"] if CALENDAR.search(t) and p.task["split"]["by"] != "time" and p.task["answer"] != "chance"
    ]
    yield not odd, "the target is worth telling", f"{', '.join(odd)} is the calendar"


def said(p: Package) -> Iterator[Claim]:
    text = (p.folder / "description.md").read_text()
    missing = [w for w in (*p.task["targets"][:3], p.task["metric"]["name"], "sample_submission.csv") if w not in text]
    yield not missing, "the description is whole", f"it does not speak of {', '.join(missing)}"


# ---- runs ------------------------------------------------------------------------------------------------------------


def executed(folder: Path, task: Mapping[str, Any], sandbox: Sandbox, report: Report, margin: float) -> None:
    """Solved and graded from end to end; what the metric says of good and bad submissions; the ladder of baselines."""
    spec = json.dumps(task, default=str).encode()
    solve, grade = ((trying.INSIDE / name).read_text() for name in ("ladder.py", "grade.py"))
    solved = trying.run(sandbox, solve, {**paths_in(folder, "public"), "task.json": spec})
    if not report.need("designer", iter([(not solved.failed, "it can be solved", f"the baselines failed: {solved.failed}")])):
        return
    own = {
        "metric.py": (folder / "metric.py").read_bytes(),
        "answers.csv": (folder / ANSWERS).read_bytes(),
        "task.json": spec,
    }
    graded = trying.run(sandbox, grade, own | {f"submissions/{name}": data for name, data in solved.files.items()})
    found = trying.read_json(graded.said)
    fine = not graded.failed and isinstance(found, dict)
    if not report.need("designer", iter([(fine, "it can be graded", f"metric.py: {graded.failed or graded.said[:200]}")])):
        return
    if report.need("designer", metric_holds(task["metric"], found)):
        report.need("brainstormer", ladder_stands(task, found, report.baselines, margin))


def metric_holds(metric: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Claim]:
    optimum, higher = metric["optimum"], metric["higher_is_better"]
    score = lambda name: found.get(name, {}).get("score")
    near = lambda name: score(name) is not None and abs(score(name) - optimum) <= TOLERANCE
    better = lambda a, b: None not in (a, b) and (a > b if higher else a < b)
    yield near("perfect"), "perfect answers reach the optimum", f"they get {found['perfect']}, not {optimum}"
    turned = "perfect, rows in another order"
    yield near(turned), "the order of rows does not matter", f"in another order perfect answers get {found[turned]}"
    declared = {"higher": higher, "optimum": optimum}
    yield found["declared"] == declared, "metric.py says what task.yaml says", f"it says {found['declared']}"
    yield better(score("perfect"), score("ids exchanged")), "ids matter", "answers under exchanged ids score as well"
    if "a little wrong" in found:
        right = better(score("a little wrong"), score("very wrong"))
        yield right, "the direction is right", f"a little wrong gets {found['a little wrong']}, very wrong {found['very wrong']}"
    for name, said in found["broken"].items():
        clear = said.get("by") == "InvalidSubmission" and len(said["refused"]) > 10
        yield clear, "broken submissions are refused", f"{name}: {said}"


def ladder_stands(
    task: Mapping[str, Any], found: Mapping[str, Any], baselines: dict[str, Any], margin: float = 0.0
) -> Iterator[Claim]:
    optimum = task["metric"]["optimum"]
    ladder = {name: said.get("score") for name, said in found["ladder"].items()}
    gaps = found.get("gaps") or {}
    baselines.update(scores=ladder, gaps=gaps)
    known = len(ladder) == 3 and None not in ladder.values()
    yield known, "baselines get scores", f"{found['ladder']}"
    if not known:
        return
    dummy, strong = ladder["dummy"], ladder["strong"]
    way = baselines["way"] = (strong - dummy) / (optimum - dummy) if optimum != dummy else 1.0

    def stands(other: float) -> dict[str, bool]:
        """With every end of a gap's interval, and the way, that much further on than it is, in half widths of the interval."""

        def ends(name: str) -> tuple[float, float]:
            low, middle, high = gaps.get(name) or (-1.0, -1.0, -1.0)
            return low - other * (middle - low), high - other * (high - middle)

        _, middle, high = found.get("strong") or (0.0, 0.0, 0.0)
        further = other * (high - middle) / abs(optimum - dummy) if optimum != dummy else 0.0
        # of what comes later the level alone is worth telling
        belong = ends("strong over exchanged")[0] > 0 or task["split"]["by"] == "time"
        return {
            "it is not trivial": way + further < TRIVIAL,
            "it is not hopeless": way > HOPELESS and ends("strong over dummy")[0] > 0,
            "predictions belong to rows": belong,
            "a rung is surely above the one below": ends("simple over dummy")[0] > 0 or ends("strong over simple")[0] > 0,
            "the ladder is in order": ends("strong over simple")[1] >= 0,
        }

    told = f"the strong baseline goes {way:.1%} of the way from the dummy to the optimum"
    wrong = {
        "it is not trivial": told,
        "it is not hopeless": f"{told}; resampled gap {gaps.get('strong over dummy')}",
        "predictions belong to rows": f"the strong baseline's under exchanged ids do as well: {gaps.get('strong over exchanged')}",
        "a rung is surely above the one below": f"{gaps}",
        "the ladder is in order": f"strong over simple: {gaps.get('strong over simple')}",
    }
    now = stands(0.0)
    # resampled are at most as many rows as `grade.py` says; another test set as large as this one varies less than they do
    for check, holds in stands(margin * found.get("part", 1.0) ** 0.5).items():
        yield holds, check, f"by chance of these rows, others may turn it round: {wrong[check]}" if now[check] else wrong[check]
