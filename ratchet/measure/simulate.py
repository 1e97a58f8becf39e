"""Do the intervals cover, do the tests keep their level? Each method of measure/ on drawn data whose truth is known.

    python -m ratchet.measure.simulate [--quick] [--out FILE]

The rule was written before the results: a 95 % interval is inside where it covers 93 to 97 % of the runs, a test where
it errs in no more than its level plus Monte-Carlo error; where runs are few, the band is 3.5 Monte-Carlo standard errors
wide instead. Negative controls are methods known to be wrong; they must lie outside, else the check checks nothing.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import special, stats

from ratchet.core.seeds import seed
from ratchet.core.types import Estimate
from ratchet.measure.calibration import calibration
from ratchet.measure.comparison import (
    Answer,
    benjamini_hochberg,
    holm,
    mcnemar,
    minimum_detectable_effect,
    paired_bootstrap,
    sign_flip,
    tell_apart,
)
from ratchet.measure.curves import interquartile_curve, interquartile_mean
from ratchet.measure.estimate import mean, paired_difference, pass_at_k
from ratchet.measure.flips import sample_flips
from ratchet.measure.intervals import Method, bootstrap, wilson
from ratchet.measure.sequential import confidence_sequence, first_crossing, spend
from ratchet.measure.support import support

Kind = Literal["coverage", "coverage at least", "false alarms", "power"]
LEVEL, ERROR, POWER = 0.95, 0.05, 0.8
SLACK, SIGMAS = 0.02, 3.5
DIFFERENT = 0.3  # share of paired tasks on which the two sides differ
CORRELATION = 0.3  # of tasks of one cluster
WILSON = "mean (Wilson)"


@dataclass(frozen=True)
class Row:
    """One line of the table: how often a method did what it promises, in how many runs."""

    kind: Kind
    method: str
    data: str
    n: str
    nominal: float
    observed: float
    error: float
    runs: int
    control: bool = False

    @property
    def band(self) -> tuple[float, float]:
        """Where `observed` must lie; from the nominal value and the number of runs alone."""
        chance = SIGMAS * math.sqrt(self.nominal * (1 - self.nominal) / self.runs)
        if self.kind == "false alarms":
            return 0.0, self.nominal + chance
        slack = max(SLACK, chance)
        return self.nominal - slack, 1.0 if self.kind == "coverage at least" else min(self.nominal + slack, 1.0)

    @property
    def inside(self) -> bool:
        low, high = self.band
        return low <= self.observed <= high

    @property
    def as_expected(self) -> bool:
        """Inside, or for a negative control outside."""
        return self.inside != self.control


@dataclass(frozen=True)
class Data:
    """Data sets (runs, n) with their true mean; `clusters` (n,) where values share sources."""

    name: str
    n: str
    values: np.ndarray
    truth: float
    clusters: list[int] | None = None

    def naive(self) -> Data:
        """The same data with the clusters forgotten."""
        return Data(self.name, self.n, self.values, self.truth)


@dataclass(frozen=True)
class Size:
    """How much is drawn: data sets per row, resamples per interval or test."""

    runs: int = 2000
    resamples: int = 999


QUICK = Size(runs=250, resamples=299)
Interval = Callable[[np.ndarray, list[int] | None, int], Estimate]
Rejects = Callable[[np.ndarray, list[int] | None, int], bool]


# ---- data --------------------------------------------------------------------------------------------------------


def generator(*path: str | int) -> np.random.Generator:
    return np.random.default_rng(seed("measure", "simulate", *path))


def outcomes(p: float, n: int, runs: int) -> Data:
    """Independent tasks, each right with chance p."""
    return Data(f"right with p = {p}", str(n), 1.0 * (generator("outcomes", str(p), n).random((runs, n)) < p), p)


def pass_rates(n: int, runs: int, samples: int = 8, k: int = 4, a: float = 0.3, b: float = 1.5) -> Data:
    """pass@4 of tasks that are mostly hard: most values are 0, some are 1."""
    rng = generator("pass", n)
    passes = rng.binomial(samples, rng.beta(a, b, (runs, n)))
    table = np.array([pass_at_k(samples, c, k) for c in range(samples + 1)])
    truth = 1 - math.exp(special.betaln(a, b + k) - special.betaln(a, b))  # 1 - E[(1 - p)^k]
    return Data("pass@4 of 8, skewed", str(n), table[passes], truth)


def gains(n: int, effect: float, runs: int, name: str = "paired") -> Data:
    """Differences -1, 0, 1 of independent paired tasks."""
    return Data(name, str(n), _steps(generator("gains", n, str(effect)), (runs, n), effect), effect)


def clustered_gains(clusters: int, size: int, effect: float, runs: int) -> Data:
    """Differences of paired tasks in clusters: a task copies its cluster's own draw with a chance that gives CORRELATION."""
    rng = generator("clustered gains", clusters, size, str(effect))
    return _in_clusters("paired, clustered", rng, lambda shape: _steps(rng, shape, effect), clusters, size, effect, runs)


def clustered_outcomes(clusters: int, size: int, p: float, runs: int) -> Data:
    """Tasks in clusters, each right with chance p."""
    rng = generator("clustered outcomes", clusters, size, str(p))
    return _in_clusters(f"clustered, p = {p}", rng, lambda shape: 1.0 * (rng.random(shape) < p), clusters, size, p, runs)


def _steps(rng: np.random.Generator, shape: tuple[int, ...], effect: float) -> np.ndarray:
    up, down = (DIFFERENT + effect) / 2, (DIFFERENT - effect) / 2
    u = rng.random(shape)
    return 1.0 * (u < up) - 1.0 * (u > 1 - down)


def _in_clusters(
    name: str,
    rng: np.random.Generator,
    draw: Callable[[tuple[int, ...]], np.ndarray],
    clusters: int,
    size: int,
    truth: float,
    runs: int,
) -> Data:
    copies = rng.random((runs, clusters, size)) < math.sqrt(CORRELATION)  # both of a pair copy: correlation
    values = np.where(copies, draw((runs, clusters, 1)), draw((runs, clusters, size))).reshape(runs, -1)
    n = f"{clusters * size} in {clusters}"
    return Data(name, n, values, truth, [i // size for i in range(clusters * size)])


# ---- rows --------------------------------------------------------------------------------------------------------


def coverage(method: str, interval: Interval, data: Data, control: bool = False) -> Row:
    """How often the interval holds the truth."""

    def covers(x: np.ndarray, clusters: list[int] | None, i: int) -> bool:
        return holds(interval(x, clusters, i), data.truth)

    return _row("coverage", method, data, LEVEL, covers, control)


def holds(e: Estimate, truth: float) -> bool:
    return e.low - 1e-12 <= truth <= e.high + 1e-12


def false_alarms(method: str, rejects: Rejects, data: Data, control: bool = False) -> Row:
    """How often a test sees a difference where there is none."""
    return _row("false alarms", method, data, ERROR, rejects, control)


def _row(kind: Kind, method: str, data: Data, nominal: float, trial: Rejects, control: bool = False) -> Row:
    known: dict[bytes, bool] = {}  # independent values may come in any order, so equal counts are computed once
    hits = 0
    for i, x in enumerate(data.values if data.clusters else np.sort(data.values, axis=1)):
        key = x.tobytes()
        if key not in known:
            known[key] = trial(x, data.clusters, i)
        hits += known[key]
    return _share(kind, method, data.name, data.n, nominal, hits, len(data.values), control)


def _share(kind: Kind, method: str, data: str, n: str, nominal: float, hits: int, runs: int, control: bool = False) -> Row:
    share = hits / runs
    return Row(kind, method, data, n, nominal, share, math.sqrt(share * (1 - share) / runs), runs, control)


def sides(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes a, b of 0 and 1 with b - a = x."""
    return 1.0 * (x < 0), 1.0 * (x > 0)


def t_interval(x: np.ndarray, clusters: list[int] | None, i: int) -> Estimate:
    return mean(x.tolist(), clusters)


def t_paired(x: np.ndarray, clusters: list[int] | None, i: int) -> Estimate:
    a, b = sides(x)
    return paired_difference(a.tolist(), b.tolist(), clusters)


def half_width(x: np.ndarray, clusters: list[int] | None, i: int) -> Estimate:
    """A broken interval: half as wide as that of `mean`."""
    e = mean(x.tolist(), clusters)
    return Estimate(e.value, (e.value + e.low) / 2, (e.value + e.high) / 2, e.n)


def t_alone(x: np.ndarray, clusters: list[int] | None, i: int) -> Estimate:
    """The t interval of outcomes of 0 and 1, which `mean` does not take: with other bounds they are no shares."""
    return mean(x.tolist(), clusters, bounds=(-1.0, 2.0))


def resampled(method: Method, resamples: int) -> Interval:
    return lambda x, c, i: bootstrap(x, c, method=method, resamples=resamples, seed=i)


def of_means(resamples: int) -> dict[str, Interval]:
    methods: tuple[Method, ...] = ("expanded", "percentile", "BCa")
    return {"t": t_interval} | {f"bootstrap, {method}": resampled(method, resamples) for method in methods}


def of_outcomes(resamples: int) -> dict[str, Interval]:
    """Of independent outcomes of 0 and 1 `mean` gives Wilson's interval: it is what `ratchet measure` prints."""
    return {WILSON if name == "t" else name: interval for name, interval in of_means(resamples).items()}


def interval_rows(size: Size) -> Iterator[Row]:
    """Coverage of every interval; what forgets clusters, t for outcomes, and an interval of half the width, as controls."""

    def paired(x: np.ndarray, clusters: list[int] | None, i: int) -> Estimate:
        return paired_bootstrap(*sides(x), clusters, resamples=size.resamples, seed=i)

    general = of_means(size.resamples)
    for n in (50, 300):
        for p in (0.05, 0.3, 0.5):
            data = outcomes(p, n, size.runs)
            for name, interval in of_outcomes(size.resamples).items():
                yield coverage(name, interval, data)
    for n in (50, 100):
        for p in (0.03, 0.97):
            yield coverage(WILSON, t_interval, outcomes(p, n, size.runs))
    yield coverage("t for 0 and 1", t_alone, outcomes(0.03, 100, size.runs), True)
    for n in (50, 300):
        for name, interval in general.items():
            yield coverage(name, interval, pass_rates(n, size.runs))
    for n in (50, 300):
        yield coverage("paired t", t_paired, gains(n, 0.1, size.runs))
        yield coverage("paired bootstrap", paired, gains(n, 0.1, size.runs))
    for clusters, members in ((50, 6), (20, 15)):
        data = clustered_outcomes(clusters, members, 0.3, size.runs)
        for name, interval in general.items():
            yield coverage(f"cluster {name}", interval, data)
        yield coverage("Wilson, clusters ignored", lambda x, c, i: wilson(int(x.sum()), len(x)), data.naive(), True)
        data = clustered_gains(clusters, members, 0.1, size.runs)
        yield coverage("paired cluster t", t_paired, data)
        yield coverage("paired cluster bootstrap", paired, data)
        yield coverage("paired bootstrap, clusters ignored", paired, data.naive(), True)
    yield coverage("mean, half as wide", half_width, outcomes(0.3, 300, size.runs), True)


def level_rows(size: Size) -> Iterator[Row]:
    """False alarms of every test, alone and many together; power at the minimum detectable effect."""

    def flips(x: np.ndarray, clusters: list[int] | None, i: int) -> bool:
        return sign_flip(*sides(x), clusters, resamples=size.resamples, seed=i) <= ERROR

    def told(x: np.ndarray, clusters: list[int] | None, i: int) -> bool:
        return tell_apart(*sides(x), clusters, resamples=size.resamples, seed=i).answer != Answer.UNCLEAR

    for n in (50, 300):
        data = gains(n, 0.0, size.runs, "paired, no difference")
        yield false_alarms("McNemar", lambda x, c, i: mcnemar(*sides(x)) <= ERROR, data)
        yield false_alarms("sign-flip", flips, data)
        yield false_alarms("tell_apart", told, data)
    for clusters, members in ((50, 6), (20, 15)):
        data = clustered_gains(clusters, members, 0.0, size.runs)
        yield false_alarms("cluster sign-flip", flips, data)
        yield false_alarms("tell_apart", told, data)
        yield false_alarms("sign-flip, clusters ignored", flips, data.naive(), True)
    yield from _many_rows(size)
    yield from _power_rows(size)


def _many_rows(size: Size, tests: int = 10, true: int = 3) -> Iterator[Row]:
    """Ten tests, of which three have something to find."""
    z = generator("many").normal(size=(size.runs, tests)) + 3.0 * (np.arange(tests) < true)
    ps = 2 * stats.norm.sf(np.abs(z))
    what = (f"{tests} tests, {tests - true} null", str(tests), ERROR)
    for method, adjust, control in (("Holm, any false", holm, False), ("no correction, any false", np.asarray, True)):
        hits = sum(bool((adjust(p)[true:] <= ERROR).any()) for p in ps)
        yield _share("false alarms", method, *what, hits, size.runs, control)
    found = np.array([benjamini_hochberg(p) <= ERROR for p in ps])
    false = found[:, true:].sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    error = float(false.std()) / math.sqrt(size.runs)
    yield Row("false alarms", "Benjamini-Hochberg, share false", *what, float(false.mean()), error, size.runs)


def _power_rows(size: Size) -> Iterator[Row]:
    """At the minimum detectable effect a t interval excludes 0 with the chance that was asked."""

    def seen(x: np.ndarray, clusters: list[int] | None, i: int) -> bool:
        return mean(x.tolist(), clusters, bounds=(-math.inf, math.inf)).low > 0

    for n in (50, 300):
        effect = minimum_detectable_effect(n, sd=1.0)
        normal = generator("power", n).normal(effect, 1.0, (size.runs, n))
        yield _row("power", "detectable effect from sd", Data("paired, sd 1", str(n), normal, effect), POWER, seen)
    effect = minimum_detectable_effect(300, discordance=DIFFERENT)
    data = gains(300, effect, size.runs)
    yield _row("power", "detectable effect from discordance", data, POWER, seen)
    effect = minimum_detectable_effect(300, discordance=DIFFERENT, design_effect=1 + 5 * CORRELATION)
    data = clustered_gains(50, 6, effect, size.runs)
    yield _row("power", "detectable effect, design effect", data, POWER, seen)


def sequential_rows(size: Size, looks: int = 20, each: int = 25) -> Iterator[Row]:
    """Any false alarm in 20 looks: at data that accumulate, at fresh data, and at all times."""
    n = looks * each
    ends = [each * (i + 1) for i in range(looks)]
    accumulating = gains(n, 0.0, size.runs, f"{looks} looks, accumulating")
    for spending in ("obrien-fleming", "pocock", "even"):
        hits = sum(first_crossing(x, ends, ERROR, spending).look is not None for x in accumulating.values)
        yield _share("false alarms", f"{spending} plan", accumulating.name, str(n), ERROR, hits, size.runs)

    def alarms(levels: Sequence[float], cuts: Sequence[slice], x: np.ndarray) -> bool:
        found = (mean(x[cut].tolist(), level=level, bounds=(-1.0, 1.0)) for level, cut in zip(levels, cuts, strict=True))
        return any(e.low > 0 or e.high < 0 for e in found)

    once, prefixes = [LEVEL] * looks, [slice(0, end) for end in ends]
    hits = sum(alarms(once, prefixes, x) for x in accumulating.values)
    yield _share("false alarms", "t at every look, no plan", accumulating.name, str(n), ERROR, hits, size.runs, True)
    shares = (1 - spend(np.arange(1, looks + 1) / looks, ERROR)).tolist()
    fresh = [slice(end - each, end) for end in ends]
    hits = sum(alarms(shares, fresh, x) for x in accumulating.values)
    yield _share("false alarms", "t, error shared evenly", f"{looks} looks, fresh", str(n), ERROR, hits, size.runs)
    for effect in (0.0, 0.1):
        hits = 0
        for x in gains(n, effect, size.runs).values:
            low, high = confidence_sequence(x, LEVEL, grid=200)
            hits += bool((low <= effect).all() and (effect <= high).all())
        yield _share(
            "coverage at least", "confidence sequence", f"paired, effect {effect}, all times", str(n), LEVEL, hits, size.runs
        )


def curve_rows(size: Size) -> Iterator[Row]:
    """Interquartile mean of eight tasks of unlike difficulty, over 5 and 10 seeds."""
    shape = np.array([[0.5, 4], [1, 3], [2, 4], [3, 3], [4, 3], [6, 2], [8, 1], [2, 0.5]])
    a, b = shape.T
    middles = (np.arange(20_000) + 0.5) / 20_000
    truth = interquartile_mean(stats.beta.ppf(middles[:, None], a, b))
    for seeds in (5, 10):
        scores = generator("curves", seeds).beta(a, b, (size.runs, seeds, len(a)))
        for method in ("expanded", "percentile"):
            found = [interquartile_curve(x, method=method, resamples=size.resamples, seed=i)[0] for i, x in enumerate(scores)]
            hits = sum(e.low <= truth <= e.high for e in found)
            name = f"interquartile mean, {method}"
            yield _share("coverage", name, "8 tasks, beta scores", f"{seeds} seeds", LEVEL, hits, size.runs)


def change_rows(size: Size, problems: int = 100, samples: int = 16) -> Iterator[Row]:
    """The same model twice, most problems hard: what support and flips find beyond their null is 0."""
    rng = generator("changes")
    found = np.zeros(2)
    for _ in range(size.runs):
        rates = rng.beta(0.4, 1.2, problems)
        a, b = ([(samples, int(c)) for c in rng.binomial(samples, rates)] for _ in range(2))
        flips = sample_flips(a, b).net_negative
        found += [holds(support(a, b).expanded, 0.0), flips is not None and holds(flips, 0.0)]
    for method, hits in zip(("support, expanded", "flips of one sample"), found, strict=True):
        yield _share("coverage", method, f"one model twice, {samples} samples", str(problems), LEVEL, int(hits), size.runs)


def calibration_rows(size: Size, problems: int = 100, samples: int = 8) -> Iterator[Row]:
    """Calibrated confidences: how often they are called miscalibrated; in clusters all samples of a problem share its outcome."""
    rng = generator("calibration")
    clusters = [i // samples for i in range(problems * samples)]
    runs = size.runs // 4  # each draws a null of its own
    alone, together, ignored = (0, 0, 0)
    for i in range(runs):
        p = rng.random(problems)
        right = rng.random(problems) < p
        p_each, right_each = np.repeat(p, samples), np.repeat(right, samples).tolist()
        alone += calibration(p, right.tolist(), seed=i).verdict == "miscalibrated"
        together += calibration(p_each, right_each, clusters, seed=i).verdict == "miscalibrated"
        ignored += calibration(p_each, right_each, seed=i).verdict == "miscalibrated"
    inside = f"{problems * samples} in {problems}"
    yield _share("false alarms", "calibration", "calibrated", str(problems), ERROR, alone, runs)
    yield _share("false alarms", "calibration", "calibrated, clustered", inside, ERROR, together, runs)
    yield _share("false alarms", "calibration, clusters ignored", "calibrated, clustered", inside, ERROR, ignored, runs, True)


def simulate(size: Size | None = None) -> Iterator[Row]:
    """All rows of the table, as they are done."""
    chosen = size or Size()
    for part in (interval_rows, level_rows, sequential_rows, curve_rows, change_rows, calibration_rows):
        yield from part(chosen)


# ---- the page ----------------------------------------------------------------------------------------------------


def why(row: Row) -> str:
    """Why a row that is no control lies outside, where that is known."""
    if "confidence sequence" in row.method or row.kind in ("false alarms", "power"):
        return "Not explained: look into it"
    if row.data.startswith("right with p"):
        exact = summed(row.method, float(row.data.split()[-1]), int(row.n))
        return (
            "A count takes few values near the truth, so the coverage of any such interval moves in steps with p and n (Brown, "
            f"Cai and DasGupta 2001); summed over all counts instead of drawn, this one covers {exact:.3f} here"
        )
    if "percentile" in row.method or "BCa" in row.method:
        return (
            "With m values, clusters or seeds resamples spread by (m - 1) / m of the true variance and their quantiles are "
            "normal where a t is due; the default, expanded, undoes both"
        )
    if row.data.startswith("pass@4"):
        return "Most of the values are 0 and few are large: where few large ones came, mean and spread are both too small"
    return "Not explained: look into it"


@lru_cache(maxsize=64)
def summed(method: str, p: float, n: int) -> float:
    """The coverage of an interval for n outcomes, right with p: over all counts that come at all, not over drawn ones."""
    interval = of_outcomes(Size().resamples)[method]
    chances = {x: float(stats.binom.pmf(x, n, p)) for x in range(n + 1)}
    held = (c for x, c in chances.items() if c > 1e-6 and holds(interval(np.repeat([0.0, 1.0], [n - x, x]), None, 0), p))
    return math.fsum(held)


def line(row: Row) -> str:
    verdict = "inside" if row.inside else "**outside**"
    low, high = row.band
    return (
        f"| {row.method} | {row.data} | {row.n} | {row.nominal:.2f} | {row.observed:.3f} | {row.error:.3f} | "
        f"{low:.3f} to {high:.3f} | {verdict}{' (control)' if row.control else ''} |"
    )


TITLES: dict[Kind, str] = {
    "coverage": "Intervals: share of the runs in which the 95 % interval holds the truth",
    "coverage at least": "Confidence sequences: share of the runs in which the truth is inside at all times",
    "false alarms": "Tests without a true difference: share of the runs with a false alarm",
    "power": "Minimum detectable effect: share of the runs in which an effect of that size is seen",
}
HEAD = "| method | data | n | nominal | observed | Monte-Carlo s.e. | allowed | verdict |\n|---|---|---|---|---|---|---|---|"


def page(rows: Sequence[Row], size: Size) -> str:
    """The table as Markdown, with what lies outside and why."""
    parts = [
        "# Measurement, checked by simulation",
        "Made by `python -m ratchet.measure.simulate`; do not edit. The same seeds give the same page.\n\n"
        f"Each line: {size.runs} data sets with a known truth; {size.resamples} resamples per bootstrap or sign-flip test; for "
        f"calibration {size.runs // 4} data sets, each with a null of its own. "
        "Fixed before the results: an interval is inside at 93 to 97 % (two points around its level), a guarantee that only "
        "promises a minimum from 93 % on, power within two points, a test up to its level plus 3.5 Monte-Carlo standard "
        "errors; a band of two points widens to 3.5 standard errors where these are more. Clustered data: tasks of a "
        f"cluster correlate by {CORRELATION}. Paired data: the two sides differ on {DIFFERENT:.0%} of the tasks. Controls are "
        "wrong on purpose and must lie outside. `n` as `300 in 50`: 300 tasks in 50 clusters.",
    ]
    for kind, title in TITLES.items():
        lines = [line(r) for r in rows if r.kind == kind]
        if lines:
            parts.append(f"## {title}\n\n{HEAD}\n" + "\n".join(lines))
    outside = [r for r in rows if not r.control and not r.inside]
    said = [f"- {r.method}, {r.data}, n = {r.n}: {r.observed:.3f}. {why(r)}." for r in outside]
    parts.append("## What lies outside, and why\n\n" + ("\n".join(said) or "Nothing but the controls."))
    failed = [f"- {r.method}, {r.data}, n = {r.n}" for r in rows if r.control and r.inside]
    if failed:
        parts.append("## Controls that the check missed\n\n" + "\n".join(failed))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ratchet.measure.simulate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK.runs} data sets per row; writes only with --out")
    parser.add_argument("--out", type=Path, help="where to write the page (default docs/measure-simulation.md, in full)")
    given = parser.parse_args()
    size, start = QUICK if given.quick else Size(), time.monotonic()
    rows: list[Row] = []
    for row in simulate(size):
        rows.append(row)
        print(line(row), flush=True)
    out = given.out or (None if given.quick else Path("docs/measure-simulation.md"))
    if out:
        out.write_text(page(rows, size))
    odd = sum(not r.as_expected for r in rows)
    print(f"{len(rows)} rows in {time.monotonic() - start:.0f} s, {odd} not as expected" + (f"; written to {out}" if out else ""))


if __name__ == "__main__":
    main()
