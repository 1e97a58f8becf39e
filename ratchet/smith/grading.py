"""A submission's score, by the task's own metric, in the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ratchet.core.errors import SmithError
from ratchet.smith import trying
from ratchet.smith.checking import ANSWERS, read_task

SCRIPT = """import json
from grade import metric
module = metric()
try:
    print(json.dumps({"score": float(module.score("submission.csv", "answers.csv"))}))
except Exception as e:
    print(json.dumps({"why": str(e) if type(e).__name__ == "InvalidSubmission" else f"{type(e).__name__}: {e}"}))
"""


def grade(folder: Path, submission: Path) -> dict[str, Any]:
    """Whether it is valid, and its score or what is wrong; the baselines, and which of them it passed.

    Raises SmithError where the task's folder is not whole, or its metric fails.
    """
    trying.needed()
    task = read_task(folder)
    with trying.room(folder.resolve()) as sandbox:
        found = scored(folder, submission.read_bytes(), sandbox)
    higher = task["metric"]["higher_is_better"]
    result = {"metric": task["metric"]["name"], "higher_is_better": higher, "valid": "score" in found, **found}
    file = folder / "baselines.json"
    ladder = json.loads(file.read_text()).get("scores", {}) if file.is_file() else {}
    passed = [n for n, s in ladder.items() if "score" in found and (found["score"] > s if higher else found["score"] < s)]
    return result | {"baselines": ladder, "passed": passed}


def scored(folder: Path, submission: bytes, sandbox: Any) -> dict[str, Any]:
    """`score`, or `why` the submission is not valid."""
    needed = {"metric.py": folder / "metric.py", "answers.csv": folder / ANSWERS}
    missing = [p.name for p in needed.values() if not p.is_file()]
    if missing:
        raise SmithError(f"{folder} lacks {', '.join(missing)}, so nothing can be graded")
    files = {name: path.read_bytes() for name, path in needed.items()} | {"submission.csv": submission}
    run = trying.run(sandbox, SCRIPT, files)
    found = trying.read_json(run.said)
    if run.failed or not isinstance(found, dict):
        raise SmithError(f"{folder}: its metric.py failed ({run.failed or run.said[:200]})")
    return found
