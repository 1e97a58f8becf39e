"""Models that are fitted to what earlier models made: which data a generation sees, and the theory of the linear case.

Generation 1 is fitted to real data. Each later one is fitted to data that the one before made, under a rule: what was made
replaces all there was, is added to it, or is added to it with as many items drawn from all as there were real ones.

Dohmatob et al. 2024 (arXiv 2402.07712) give the test error of least squares under replacement, Gerstgrasser et al. 2024
(arXiv 2404.01413) under accumulation: in units of s^2 d / (n - d - 1), the error of one fit, it is i after i generations,
and the sum of 1 / j^2 up to i, which stays below pi^2 / 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Literal, TypeVar

import numpy as np

Rule = Literal["replace", "accumulate", "fixed-budget"]
RULES: tuple[Rule, ...] = ("replace", "accumulate", "fixed-budget")
Item = TypeVar("Item")


def training_set(rule: Rule, parts: Sequence[Sequence[Item]], draw: Random) -> list[Item]:
    """What the next generation is fitted to; `parts` are the real items and then those that each generation made.

    "fixed-budget" draws as many as there are real items from all parts, none twice, by `draw`, which the others do not
    use. Raises ValueError for no parts or another rule.

    >>> training_set("replace", [["real"], ["made"]], Random(0)), training_set("accumulate", [["real"], ["made"]], Random(0))
    (['made'], ['real', 'made'])
    """
    if not parts:
        raise ValueError("a generation needs data: at least the real part")
    if rule == "replace":
        return list(parts[-1])
    every = [item for part in parts for item in part]
    if rule == "accumulate":
        return every
    if rule == "fixed-budget":
        return draw.sample(every, len(parts[0]))
    raise ValueError(f"the rules are {', '.join(RULES)}, got {rule!r}")


def refit_errors(
    rule: Rule, rows: int, features: int, generations: int, run_seed: int, *, noise: float = 1.0, real: bool = False
) -> np.ndarray:
    """Excess test error |w_i - w|^2 of each generation's least-squares fit, (generations,), in one run.

    Inputs (rows, features) are standard normal and drawn once, as the theory has them; the labels of generation i are those
    of fit i - 1, of generation 1 (with `real`, of each) those of the truth w, plus normal noise of deviation `noise`. Runs
    with the same `run_seed` share truth, inputs and noise, whatever their rule. Raises ValueError unless rows > features + 1,
    without which the expected error is infinite, and generations is 1 or more.
    """
    _check(rows, features, generations)
    numbers, draw = np.random.default_rng(run_seed), Random(run_seed)
    truth, x = numbers.standard_normal(features), numbers.standard_normal((rows, features))
    teacher, labels = truth, np.empty(0)
    parts: list[range] = []
    errors = np.empty(generations)
    for i in range(generations):
        labels = np.concatenate((labels, x @ teacher + noise * numbers.standard_normal(rows)))
        parts.append(range(i * rows, (i + 1) * rows))
        chosen = np.array(training_set(rule, parts, draw))
        fit = np.linalg.lstsq(x[chosen % rows], labels[chosen])[0]
        errors[i] = ((fit - truth) ** 2).sum()
        teacher = truth if real else fit
    return errors


def expected_refit_error(rule: Rule, rows: int, features: int, generation: int, *, noise: float = 1.0) -> float:
    """What `refit_errors` is on average at a generation (from 1 on) under "replace" and "accumulate", without `real`.

    Raises ValueError for sizes that `refit_errors` refuses, and for "fixed-budget", of which no formula is known here.

    >>> round(expected_refit_error("replace", 200, 50, 10), 3), round(expected_refit_error("accumulate", 200, 50, 10), 3)
    (3.356, 0.52)
    """
    _check(rows, features, generation)
    one = noise**2 * features / (rows - features - 1)
    if rule == "replace":
        return generation * one
    if rule == "accumulate":
        return one * math.fsum(1 / j**2 for j in range(1, generation + 1))
    raise ValueError(f"the expected error is known under replace and accumulate, got {rule!r}")


def _check(rows: int, features: int, generations: int) -> None:
    if features < 1 or rows <= features + 1 or generations < 1:
        raise ValueError(
            "refitting needs a feature, more rows than features + 1, and a generation, "
            f"got {rows} rows, {features} features, {generations} generations"
        )
