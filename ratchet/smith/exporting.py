"""Tasks in the layout of MLE-bench: `competitions/<id>/` with config.yaml, description.md, grade.py, prepare.py, leaderboard.csv
and checksums.yaml, and `data/<id>/prepared/public` and `private`. Its agents and its grader find there what they look for."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from ratchet.core.files import write_text
from ratchet.smith.checking import read_task

GRADE = '''"""The metric as MLE-bench calls it: both are frames."""

import tempfile
from pathlib import Path

import pandas as pd

from mlebench.grade_helpers import InvalidSubmissionError

from . import metric


def grade(submission: pd.DataFrame, answers: pd.DataFrame) -> float:
    with tempfile.TemporaryDirectory() as folder:
        given, truth = Path(folder, "submission.csv"), Path(folder, "answers.csv")
        submission.to_csv(given, index=False)
        answers.to_csv(truth, index=False)
        try:
            return metric.score(str(given), str(truth))
        except metric.InvalidSubmission as e:
            raise InvalidSubmissionError(str(e)) from None
'''
PREPARE = '''"""The preparation as MLE-bench calls it."""

from pathlib import Path

from . import making


def prepare(raw: Path, public: Path, private: Path) -> None:
    making.prepare(Path(raw), Path(public), Path(private), making.PLAN)
'''


def to_mle_bench(folder: Path, out: Path) -> Path:
    """Write the competition's two folders; returns the first."""
    task = read_task(folder)
    name = re.sub(r"\W+", "-", task["name"]).strip("-").lower()
    home, data = out / "competitions" / name, out / "data" / name / "prepared"
    for part in ("public", "private"):
        shutil.copytree(folder / part, data / part, dirs_exist_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "description.md", home / "description.md")
    write_text(home / "__init__.py", "")
    write_text(home / "metric.py", (folder / "metric.py").read_text())
    write_text(home / "making.py", (folder / "prepare.py").read_text())
    write_text(home / "grade.py", GRADE)
    write_text(home / "prepare.py", PREPARE)
    write_text(home / "config.yaml", yaml.safe_dump(config(task, name), sort_keys=False))
    write_text(home / "leaderboard.csv", leaderboard(folder, task))
    write_text(home / "checksums.yaml", yaml.safe_dump({part: checksums(data / part) for part in ("private", "public")}))
    return home


def checksums(folder: Path) -> dict[str, Any]:
    """MD5 of each file, folders within folders, as MLE-bench writes them."""
    return {p.name: checksums(p) if p.is_dir() else hashlib.md5(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def config(task: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": task["title"],
        "competition_type": "simple",
        "awards_medals": False,
        "prizes": None,
        "description": f"mlebench/competitions/{name}/description.md",
        "dataset": {
            "answers": f"{name}/prepared/private/answers.csv",
            "sample_submission": f"{name}/prepared/public/sample_submission.csv",
        },
        "grader": {"name": task["metric"]["name"], "grade_fn": f"mlebench.competitions.{name}.grade:grade"},
        "preparer": f"mlebench.competitions.{name}.prepare:prepare",
    }


def leaderboard(folder: Path, task: dict[str, Any]) -> str:
    """The baselines as a leaderboard, the best first."""
    file = folder / "baselines.json"
    ladder = json.loads(file.read_text()).get("scores", {}) if file.is_file() else {}
    ranked = sorted(ladder.items(), key=lambda item: item[1], reverse=task["metric"]["higher_is_better"])
    return "".join(["teamName,score\n", *(f"{name},{score}\n" for name, score in ranked)])
