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
    files = files_in(folder, "public") | {"task.json": json.dumps(task, default=str).encode()}
    ran = trying.run(sandbox, script, files)
    if ran.failed:
        raise SmithError(f"{folder}: the solvers failed: {ran.failed}")
    sign = 1 if task["metric"]["higher_is_better"] else -1
    scores = {name: scored(folder, ran.files[f"{name}.csv"], sandbox).get("score", math.nan) for name in SOLVERS}
    return {name: sign * score for name, score in scores.items()}


def correlation(left: Sequence[Scores], right: Sequence[Scores], steps: int = 60) -> float:
    """Spearman's, of the solvers' ratings on two sets of tasks."""
    a, b = elo(left, steps), elo(right, steps)
    return spearman([a[s] for s in SOLVERS], [b[s] for s in SOLVERS])


def agreement(generated: Sequence[Scores], written: Sequence[Scores], rounds: int = ROUNDS) -> Agreement:
    """How far two sets of tasks order the solvers alike."""
    import numpy as np

    random = np.random.default_rng(0)
    again = lambda games: [games[i] for i in random.integers(len(games), size=len(games))]
    drawn = [correlation(again(generated), again(written)) for _ in range(rounds)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Agreement(correlation(generated, written, 300), float(low), float(high), elo(generated), elo(written))


def elo(games: Sequence[Mapping[str, float]], rounds: int = 300) -> dict[str, float]:
    """Ratings of players from games: each mapping is one game of all against all, by player a score, higher is better; NaN is
    behind every number. The ratings are those of Bradley and Terry (1952) on Elo's scale: 400 points more are odds of ten to one;
    their mean is 0. Every pair has half a win each beside its games, so that who always wins is not infinitely good.

    Raises ValueError for no games, or games of other players than the first.

    >>> ratings = elo([{"a": 0.9, "b": 0.5}] * 3 + [{"a": 0.4, "b": 0.6}])
    >>> round(ratings["a"] - ratings["b"])
    147
    """
    names = sorted(games[0]) if games else []
    if len(names) < 2 or any(sorted(game) != names for game in games):
        raise ValueError("ratings need at least one game, and the same two or more players in each")
    import numpy as np

    table = np.nan_to_num(np.array([[game[name] for name in names] for game in games], dtype=float), nan=-np.inf)
    over = (table[:, :, None] > table[:, None, :]).sum(0) + 0.5 * (table[:, :, None] == table[:, None, :]).sum(0) + 0.5
    np.fill_diagonal(over, 0.0)
    met, strength = over + over.T, np.ones(len(names))
    for _ in range(rounds):  # Hunter's iteration, which cannot go downhill
        strength = over.sum(1) / (met / (strength[:, None] + strength[None, :])).sum(1)
        strength /= np.exp(np.log(strength).mean())
    return dict(zip(names, (400 * np.log10(strength)).tolist(), strict=True))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """The correlation of ranks, ties at their mean rank; NaN where all of one side are alike.

    >>> spearman([1, 2, 3], [10, 30, 20])
    0.5
    """
    import pandas as pd

    return float(pd.Series(a, dtype=float).corr(pd.Series(b, dtype=float), method="spearman"))
