"""Tests of a series of yes and no against independent fair draws (as Ayton and Fischer's negative recency, and
"Evaluating binary decision biases in LLMs", put them): is it even, is it without memory, does it alternate too often.

A series is a sequence of 0 and 1. Each test gives a p-value, and is nearly exact at lengths of 100 and more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import binomtest, chi2_contingency, norm

TESTS = ("uniformity", "order", "runs", "alternation")


def uniformity(series: Sequence[int]) -> float:
    """Exact binomial test of as many ones as zeros, two-sided."""
    return float(binomtest(sum(series), len(series)).pvalue)


def order(series: Sequence[int], lag: int = 1) -> float:
    """Chi-square test that a value does not depend on the one `lag` before it; 1 where one value never comes."""
    x = np.asarray(series)
    counts = np.histogram2d(x[:-lag], x[lag:], bins=2, range=[[-0.5, 1.5], [-0.5, 1.5]])[0]
    if not counts.sum(0).all() or not counts.sum(1).all():
        return 1.0
    return float(chi2_contingency(counts, correction=False).pvalue)


def runs(series: Sequence[int]) -> float:
    """Wald and Wolfowitz's test of the number of runs, given how many ones there are; two-sided."""
    return float(2 * norm.sf(abs(_runs_z(series))))


def alternation(series: Sequence[int]) -> float:
    """The same, one-sided: more runs than chance has, which is negative recency."""
    return float(norm.sf(_runs_z(series)))


def alternation_rate(series: Sequence[int]) -> float:
    """Share of neighbours that differ: a half for independent even draws."""
    return sum(a != b for a, b in pairwise(series)) / (len(series) - 1)


def battery(series: Sequence[int]) -> dict[str, float]:
    """The p-value of every test. ValueError for a series of fewer than 20, or of other values than 0 and 1."""
    if len(series) < 20 or set(series) - {0, 1}:
        raise ValueError(f"a series needs at least 20 values of 0 and 1, got {len(series)} of {sorted(set(series))[:5]}")
    return {"uniformity": uniformity(series), "order": order(series), "runs": runs(series), "alternation": alternation(series)}


def _runs_z(series: Sequence[int]) -> float:
    n, ones = len(series), sum(series)
    zeros = n - ones
    if not ones or not zeros:
        return 0.0
    found = 1 + sum(a != b for a, b in pairwise(series))
    expected = 1 + 2 * ones * zeros / n
    variance = (expected - 1) * (expected - 2) / (n - 1)
    return (found - expected) / math.sqrt(variance) if variance > 0 else 0.0
