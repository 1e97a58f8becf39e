"""Whether generated tasks tell good solvers from bad ones as tasks that people wrote do: the ratings of eight solvers on both, and
how far their order agrees (MLE-Smith compares eight language models so).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.core.errors import SmithError
from ratchet.smith import trying
from ratchet.smith.checking import files_in, read_task
from ratchet.smith.grading import scored

if TYPE_CHECKING:
    from ratchet.verify.sandbox.sandbox import Sandbox

SOLVERS = ("constant", "one neighbour", "linear", "small tree", "forest", "boosting", "network", "tuned")
ROUNDS = 1_000
Scores = dict[str, float]
"""By solver, higher is better; NaN where a solver got none."""


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation of the ratings, with the 95 % of its resamples (tasks of both sides are drawn again)."""

    value: float
    low: float
    high: float
    generated: Mapping[str, float]
    written: Mapping[str, float]


def solved(folder: Path, sandbox: Sandbox) -> Scores:
    """What each solver scores on a task of tables.

    Raises SmithError where the task cannot be solved by them, such as one of images.
    """
    task = read_task(folder)
    script = (trying.INSIDE / "solvers.py").read_text()
    files = files_in(folder, "public") | {
        "task.json": json.dumps(task, default=str).encode(),
        "ladder.py": (trying.INSIDE / "ladder.py").read_bytes(),
    }
    ran = trying.run(sandbox, script, files)
    if ran.failed:
        raise SmithError(f"{folder}: the solvers failed: {ran.failed}")
    sign = 1 if task["metric"]["higher_is_better"] else -1
    scores = {name: scored(folder, ran.files[f"{name}.csv"], sandbox).get("score", math.nan) for name in SOLVERS}
    return {name: sign * score for name, score in scores.items()}


def correlation(left: Sequence[Scores], right: Sequence[Scores], steps: int = 60) -> float:
    """Spearman's, of the solvers' ratings on two sets of tasks."""
    from ratchet.measure.ranking import elo, spearman

    a, b = elo(left, steps), elo(right, steps)
    return spearman([a[s] for s in SOLVERS], [b[s] for s in SOLVERS])


def agreement(generated: Sequence[Scores], written: Sequence[Scores], rounds: int = ROUNDS) -> Agreement:
    """How far two sets of tasks order the solvers alike."""
    import numpy as np

    from ratchet.measure.ranking import elo

    random = np.random.default_rng(0)
    again = lambda games: [games[i] for i in random.integers(len(games), size=len(games))]
    drawn = [correlation(again(generated), again(written)) for _ in range(rounds)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Agreement(correlation(generated, written, 300), float(low), float(high), elo(generated), elo(written))
