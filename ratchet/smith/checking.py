"""Whether a task is right: assertions about its files, probes for leaks, a review of what it says, and runs of what it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ratchet.core.errors import SmithError
from ratchet.smith import leaks, trying

if TYPE_CHECKING:
    from ratchet.verify.sandbox.sandbox import Sandbox

FILES = (
    "task.yaml",
    "description.md",
    "prepare.py",
    "metric.py",
    "public/train.csv",
    "public/test.csv",
    "public/sample_submission.csv",
    "private/answers.csv",
)
TRIVIAL = 0.995  # of the way from the dummy's score to the optimum
HOPELESS = 0.02
LEAST = 20  # test rows
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Problem:
    """What is wrong, by which check, and the role whose work it is."""

    check: str
    what: str
    role: str


@dataclass
class Report:
    """Of one task."""

    problems: list[Problem] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    baselines: dict[str, Any] = field(default_factory=dict)

    def need(self, good: bool, check: str, what: str, role: str) -> bool:
        self.checks.append(check)
        if not good:
            self.problems.append(Problem(check, what, role))
        return good

    @property
    def accepted(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted, "problems": [vars(p) for p in self.problems], "checks": sorted(set(self.checks)), "baselines": self.baselines,
        }  # fmt: skip


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
    missing = [
        k
        for k in ("name", "kind", "targets", "answer", "metric", "split", "features", "sides")
        if k not in (task if isinstance(task, dict) else {})
    ]
    if missing:
        raise SmithError(f"{file} lacks {', '.join(missing)}")
    return task


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def prepared(folder: Path, raw: Path, sandbox: Sandbox, report: Report) -> dict[str, bytes]:
    """What prepare.py makes, if it makes the same twice."""
    text = (folder / "prepare.py").read_text()
    first = trying.run(sandbox, text, {}, [str(raw), "out"])
    if not report.need(not first.failed, "prepare runs", f"prepare.py: {first.failed}", "refactor"):
        return {}
    second = trying.run(
        sandbox, f"import random, numpy\nrandom.seed(5), numpy.random.seed(5)\n{text_without_future(text)}", {}, [str(raw), "out"]
    )
    report.need(
        digests(first.files) == digests(second.files),
        "prepare is deterministic",
        "a second run of prepare.py gave other files",
        "refactor",
    )
    return dict(first.files)


def text_without_future(text: str) -> str:
    """A script that lines can be put before."""
    return text.replace("from __future__ import annotations\n", "", 1)


def check(folder: Path, sandbox: Sandbox, raw: Path | None = None) -> Report:
    """Of a task's folder; with the raw files `prepare.py` is run too, twice, and what it makes is compared with what is there."""
    report = Report()
    task = read_task(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if not report.need(not missing, "files", f"missing: {', '.join(missing)}", "refactor"):
        return report
    if raw is not None:
        made = prepared(folder, raw, sandbox, report)
        there = {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for part in ("public", "private")
            for p in sorted((folder / part).rglob("*"))
            if p.is_file()
        }
        if made:
            report.need(
                digests(made) == digests(there),
                "prepare made these files",
                "public/ and private/ are not what prepare.py makes",
                "refactor",
            )
    package = leaks.Package(folder, task)
    if not shape(package, report) or not execute(package, sandbox, report):
        return report
    for name, what in leaks.search(package).items():
        report.need(False, f"leak: {name}", what, "brainstormer")
    report.checks += [f"leak: {probe.name}" for probe in leaks.probes]
    review(package, report)
    return report


def shape(p: leaks.Package, report: Report) -> bool:
    """Assertions about the tables."""
    targets = p.task["targets"]
    try:
        train, test, answers, sample = p.train, p.test, p.answers, p.table("public/sample_submission.csv")
    except Exception as e:
        return report.need(False, "tables can be read", str(e)[:200], "refactor")
    ok = report.need("id" in train and "id" in test and "id" in answers, "ids are there", "a table has no column id", "refactor")
    if not ok:
        return False
    report.need(
        set(targets) <= set(train.columns),
        "training has the target",
        f"train.csv lacks {', '.join(set(targets) - set(train.columns))}",
        "refactor",
    )
    report.need(not set(targets) & set(test.columns), "the test set lacks the target", "test.csv holds the target", "refactor")
    report.need(
        list(answers.columns)[-len(targets) :] == targets,
        "answers have the target",
        "answers.csv does not end with the targets",
        "refactor",
    )
    report.need(set(test["id"]) == set(answers["id"]) and not test["id"].duplicated().any() and not answers["id"].duplicated().any(),
                "answers belong to the test set", "ids of test.csv and answers.csv are not the same, once each", "refactor")  # fmt: skip
    report.need(not set(train["id"]) & set(test["id"]), "the sides are apart", "ids are on both sides", "refactor")
    report.need(
        list(sample.columns) == ["id", *targets] and set(sample["id"]) == set(test["id"]),
        "sample submission",
        "it has not the ids and columns that are asked for",
        "refactor",
    )
    report.need(
        len(test) >= LEAST and len(train) >= 2 * LEAST,
        "size",
        f"{len(train)} rows to learn from and {len(test)} to tell",
        "brainstormer",
    )
    if not set(targets) <= set(answers.columns) or not set(targets) <= set(train.columns):
        return False
    report.need(not answers[targets].isna().any().any(), "answers are whole", "answers.csv has empty cells", "refactor")
    for t in targets:
        report.need(
            answers[t].nunique() > 1 and train[t].nunique() > 1,
            "the target varies",
            f"{t} has one value on one side",
            "brainstormer",
        )
    if p.task["answer"] == "class":
        new = set(answers[targets[0]]) - set(train[targets[0]])
        report.need(
            not new, "classes are known", f"classes that training never shows: {', '.join(sorted(new))[:120]}", "brainstormer"
        )
    return report.accepted


def execute(p: leaks.Package, sandbox: Sandbox, report: Report) -> bool:
    """Solve and grade from end to end, and see what the metric says of good and bad submissions."""
    spec = json.dumps(p.task, default=str).encode()
    public = {
        f"public/{f.relative_to(p.folder / 'public').as_posix()}": f.read_bytes()
        for f in sorted((p.folder / "public").rglob("*"))
        if f.is_file()
    }
    solved = trying.run(sandbox, (trying.INSIDE / "ladder.py").read_text(), {**public, "task.json": spec})
    if not report.need(not solved.failed, "it can be solved", f"the baselines failed: {solved.failed}", "designer"):
        return False
    files = {f"submissions/{name}": data for name, data in solved.files.items()}
    own = {
        "metric.py": (p.folder / "metric.py").read_bytes(),
        "answers.csv": (p.folder / "private/answers.csv").read_bytes(),
        "task.json": spec,
    }
    graded = trying.run(sandbox, (trying.INSIDE / "grade.py").read_text(), {**own, **files})
    found = trying.read_json(graded.said)
    if not report.need(
        not graded.failed and isinstance(found, dict),
        "it can be graded",
        f"metric.py: {graded.failed or graded.said[:200]}",
        "designer",
    ):
        return False
    metric_holds(p.task, found, report)
    ladder_stands(p.task, found, report)
    return report.accepted


def metric_holds(task: dict[str, Any], found: dict[str, Any], report: Report) -> None:
    optimum, higher = task["metric"]["optimum"], task["metric"]["higher_is_better"]
    score = lambda name: found.get(name, {}).get("score")
    perfect = score("perfect")
    near = lambda value: value is not None and abs(value - optimum) <= TOLERANCE
    report.need(near(perfect), "perfect answers reach the optimum", f"they score {found['perfect']}, not {optimum}", "designer")
    report.need(
        near(score("perfect, rows in another order")),
        "the order of rows does not matter",
        f"in another order they score {found['perfect, rows in another order']}",
        "designer",
    )
    report.need(
        found["declared"] == {"higher": higher, "optimum": optimum},
        "metric.py says what task.yaml says",
        str(found["declared"]),
        "refactor",
    )
    exchanged = score("ids exchanged")
    worse = exchanged is not None and perfect is not None and (exchanged < perfect if higher else exchanged > perfect)
    report.need(worse, "ids matter", "answers under exchanged ids score as well as the perfect ones", "designer")
    little, very = score("a little wrong"), score("very wrong")
    if little is not None and very is not None:
        right = (little > very) if higher else (little < very)
        report.need(right, "the direction is right", f"a little wrong scores {little:g}, very wrong {very:g}", "designer")
    for name, said in found["broken"].items():
        clear = "refused" in said and said.get("by") == "InvalidSubmission" and len(said["refused"]) > 10
        report.need(clear, "broken submissions are refused", f"{name}: {said}", "designer")


def ladder_stands(task: dict[str, Any], found: dict[str, Any], report: Report) -> None:
    ladder = {name: said.get("score") for name, said in found["ladder"].items()}
    report.baselines = {"scores": ladder, "gaps": found.get("gaps")}
    if not report.need(
        all(v is not None for v in ladder.values()) and len(ladder) == 3, "baselines get scores", f"{found['ladder']}", "designer"
    ):
        return
    optimum, dummy, strong = task["metric"]["optimum"], ladder["dummy"], ladder["strong"]
    way = (strong - dummy) / (optimum - dummy) if optimum != dummy else 1.0
    report.baselines["way"] = way
    gaps = found.get("gaps") or {}
    low = lambda name: (gaps.get(name) or [-1.0])[0]
    report.need(
        way < TRIVIAL,
        "not trivial",
        f"the strong baseline goes {way:.1%} of the way from the dummy to the optimum",
        "brainstormer",
    )
    report.need(
        way > HOPELESS and low("strong over dummy") > 0,
        "not hopeless",
        f"the strong baseline goes {way:.1%} of the way from the dummy to the optimum; resampled gap {gaps.get('strong over dummy')}",
        "brainstormer",
    )
    report.need(
        low("simple over dummy") > 0 or low("strong over simple") > 0,
        "the ladder has rungs",
        f"neither rung is surely above the one below: {gaps}",
        "brainstormer",
    )
    report.need(
        low("strong over simple") > 0 or (gaps.get("strong over simple") or [0, -1])[1] > 0,
        "the ladder is in order",
        f"strong is not above simple: {gaps.get('strong over simple')}",
        "brainstormer",
    )


def review(p: leaks.Package, report: Report) -> None:
    """What a careful reader would object to."""
    text = (p.folder / "description.md").read_text()
    missing = [w for w in (*p.task["targets"][:3], p.task["metric"]["name"], "sample_submission.csv") if w not in text]
    report.need(not missing, "the description is whole", f"it does not speak of {', '.join(missing)}", "designer")
    unused = [c for c in p.known if p.test[c].notna().sum() == 0]
    report.need(
        len(p.known) + len(p.task["sides"]) > 0 and len(unused) < max(1, len(p.known)),
        "there is something to learn from",
        "no feature has values",
        "brainstormer",
    )
    from ratchet.smith.kinds.columns import CALENDAR

    odd = [t for t in p.task["targets"] if CALENDAR.search(t) and p.task["kind"] != "forecasting"]
    report.need(not odd, "the target is worth telling", f"{', '.join(odd)} is the calendar", "brainstormer")
