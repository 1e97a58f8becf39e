"""Roles that slip once: what they hand over has one fault until they are told of a problem that such a fault makes. Whether a task is
mended then rests on verification saying what is wrong, to the role whose work it is.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.smith import faults
from ratchet.smith.checking import Problem
from ratchet.smith.describing import describe
from ratchet.smith.formulation import Dataset, Formulation
from ratchet.smith.leaks import Package
from ratchet.smith.package import plan_of, scripts, task_of
from ratchet.smith.roles import Rules

SHOWS = {
    "label left in the test set": r"the test set lacks the target|answers among features",
    "near copy among the features": r"columns are those of the task|answers among features",
    "copies across the split": r"copies across the split",
    "constant target": r"the target varies",
    "wrong direction of the metric": r"metric\.py says what|direction",
    "answers under other ids": r"hopeless|ladder|rung|belong to rows",
    "rows in the order of the target": r"number of the row",
    "missing file": r"^files$",
    "empty cells among the answers": r"answers are whole",
    "split by chance": r"deterministic",
    "a grader that takes anything": r"broken submissions",
    "labels that training never shows": r"training shows every class",
    "a sample that lacks a column": r"sample",
    "answers in a file beside the tables": r"files beside the tables",
    "a metric that the split has no value for": r"the target varies",
    "a description without the metric": r"the description is whole",
}
"""Faults that a role can mend, with the checks that say what it is."""
DESCRIBED = "a description without the metric"
IN_SCRIPTS = ("wrong direction of the metric", "split by chance", "a grader that takes anything")
HEAD = """
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def write_text(path, text):
    path.write_text(text)


"""


@dataclass
class Slip(Rules):
    """The rules, with one fault of `faults`, or DESCRIBED, in what they make."""

    fault: str
    told: list[str] = field(default_factory=list)

    def heard(self, wrong: Problem | None) -> bool:
        """Whether they were told of their fault, now or before."""
        self.told += [wrong.check] if wrong else []
        return any(re.search(SHOWS[self.fault], check) for check in self.told)

    def design(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> str:
        text = describe(data, f, plan_of(data, f)["answer"])
        return text if self.heard(wrong) or self.fault != DESCRIBED else text.replace(f.metric, "the score")

    def refactor(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> dict[str, str]:
        code = scripts(data, f)
        if self.heard(wrong) or self.fault == DESCRIBED:
            return code
        task = task_of(data, f, plan_of(data, f))
        return in_scripts(self.fault, code, task) if self.fault in IN_SCRIPTS else in_tables(self.fault, code, task)


def in_scripts(fault: str, code: Mapping[str, str], task: dict[str, object]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as home:
        for name, text in code.items():
            (Path(home) / name).write_text(text)
        faults.faults[fault](Package(Path(home), task))
        return {name: (Path(home) / name).read_text() for name in code}


def in_tables(fault: str, code: Mapping[str, str], task: dict[str, object]) -> dict[str, str]:
    """`prepare.py` spoils what it has written, by the fault's own source."""
    names = ("TRAIN", "TEST", "ANSWERS", "SAMPLE")
    constants = "".join(f"{name} = {getattr(faults, name)!r}\n" for name in names)
    spoil = faults.faults[fault]
    body = "\n\n".join(undecorated(part) for part in (faults.save, faults.answer_of, spoil))
    call = f"\n\n{spoil.__name__}(Package(Path(sys.argv[2]), {task!r}))\n"
    return {**code, "prepare.py": code["prepare.py"] + HEAD + constants + inspect.getsource(Package) + "\n\n" + body + call}


def undecorated(function: object) -> str:
    source = inspect.getsource(function)  # type: ignore[arg-type]
    return source[source.index("def ") :]
