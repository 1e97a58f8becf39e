"""Columns that give a target away, each found by a way of its own: alone, in a text, by a value, in pairs, by a formula."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratchet.smith.probing import (
    COVERED,
    MANY,
    SOLVED,
    alone,
    by_cuts,
    by_value,
    coded,
    codes_of,
    crossed,
    repeated,
    sampled,
    together,
)
from ratchet.smith.profiling import hours_and_minutes

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRED = 6  # columns of names of which pairs are looked at
MEASURED = 24  # numbers of which products and ratios are looked at
AMOUNTS, PARTS, BILLS = 8, 8, 1_000  # that may be left over of a bill; numbers that may be its parts; rows that are looked at
TERMS = 4  # of a formula
EXACT = 0.995  # share of the target that a formula explains which gives it away
OFTEN = 8  # values of a column that are held against single classes
COARSE = 12  # values of a column that may be the target cut into ranges
CUT = 0.99  # how well the target then tells them; a mere cause of it is told less well


def givers(
    frame: pd.DataFrame, features: Sequence[str], target: str, discrete: bool, part: pd.Series | None = None,
    slack: float = 0.0,
) -> dict[str, str]:  # fmt: skip
    """Features that give the target away, each with a sentence. Models look at a sample; tables of values at many rows, since a value
    that comes three times in a table is mostly not there twice in a sample. `part` are the folds, where they are not by chance; `slack`
    is how much less is enough, for who must not pass what a later look at part of the rows finds."""
    frame = sampled(frame[frame[target].notna()], MANY)
    some = sampled(frame)
    found: dict[str, str] = {}
    for name in features:
        value = alone(some[name], some[target], discrete, part)
        if value <= SOLVED - slack and len(some) < len(frame) and repeated(frame[name]):
            value = by_value(frame[name], frame[target], discrete, part)
        if value > SOLVED - slack:
            found[name] = f"tells the target alone (skill {value:.3f})"
        elif spelled(some[name], some[target]):
            found[name] = "has the target written in its text"
        elif discrete and (given := exactly(frame[name], frame[target], 0.99 - slack)):
            found[name] = given
        elif not discrete and coarse(some[name], some[target]):
            found[name] = "is the target in few values"
    if discrete:
        left = [f for f in features if f not in found]
        for (a, b), values in spans(some, left).items():
            if b not in found and (value := by_cuts(pd.Series(values, some.index), some[target], True, part)) > SOLVED - slack:
                found[b] = f"less {a} tells the target (skill {value:.3f})"
    if pd.api.types.is_numeric_dtype(frame[target]) and frame[target].nunique() > 2:
        # among all, since a small part of a sum goes with the large one, which may tell it alone
        found = formulas(some, features, target) | found
    return found | pairs(frame, [f for f in features if f not in found], target, discrete, part)


def pairs(
    frame: pd.DataFrame, features: Sequence[str], target: str, discrete: bool, part: pd.Series | None = None
) -> dict[str, str]:
    """Of two columns of names that tell the target only together, such as the ends of a way its length: the one with more values."""
    names = [f for f in features if not pd.api.types.is_float_dtype(frame[f]) and 5 <= frame[f].nunique() < 0.3 * len(frame)]
    names = sorted(names, key=lambda n: -frame[n].nunique())[:PAIRED]
    found: dict[str, str] = {}
    codes = {n: codes_of(frame[n]) for n in names}
    for a, b in combinations(names, 2):
        if a in found or b in found:
            continue
        both = crossed(codes[a], codes[b])
        if together(both).mean() < COVERED:
            continue
        value = by_value(pd.Series(both), frame[target], discrete, part)
        if value > SOLVED:
            found[a] = f"tells the target together with {b} (skill {value:.3f})"
    return found


def ordering(frame: pd.DataFrame, features: Sequence[str], target: str, query: str) -> dict[str, str]:
    """Columns that put the rows of a query in the order that is asked for, each with a sentence: the year orders sums that grow."""
    rows = sampled(frame[frame[target].notna()], MANY)
    place = codes_of(rows[query])

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        ranks = pd.Series(values).groupby(place).rank()
        return (ranks - ranks.groupby(place).transform("mean")).to_numpy()

    y, found = centred(rows[target].to_numpy(float)), {}
    for name in features:
        x = centred(coded(rows[name]))
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() >= 50 and x[both].std() and y[both].std() and (r := abs(np.corrcoef(x[both], y[both])[0, 1])) > SOLVED:
            found[name] = f"orders the rows of a {query} as the target does (correlation {r:.3f})"
    return found


def exactly(column: pd.Series, target: pd.Series, enough: float) -> str:
    """A single value, or its being missing or there, that goes with one class and that class with it: a balance of 0 and "paid", a
    reason that is given where the answer is no."""
    classes, names = pd.factorize(target.astype(str))
    codes, values = pd.factorize(column)
    totals, counts = np.bincount(classes), np.bincount(codes[codes >= 0], minlength=len(values))
    cases: list[tuple[str, NDArray[np.bool_]]] = []
    if 0.02 < (codes < 0).mean() < 0.98:
        cases += [("is missing", codes < 0), ("is there", codes >= 0)]
    words = (lambda v: f"{v:g}") if pd.api.types.is_numeric_dtype(column) else str
    often = np.argsort(-counts, kind="stable")[:OFTEN]
    cases += [(f"is {words(values[i])[:40]}", codes == i) for i in often if 20 <= counts[i] < len(column)]
    for what, here in cases:
        inside = np.bincount(classes[here], minlength=len(names))
        name, all_ = int(inside.argmax()), int(inside.sum())
        if all_ < 20 or totals[name] >= 0.95 * len(classes):
            continue
        if inside[name] > enough * all_ and inside[name] > enough * totals[name]:
            return f"{what} exactly where the target is {names[name]}"
    return ""


def coarse(column: pd.Series, target: pd.Series) -> bool:
    """Whether a column of few values is the target cut into ranges: the target tells it, and it says much of the target."""
    values = column[column.notna() & target.notna()].astype(str)
    if not 2 <= values.nunique() <= COARSE or len(values) < 50 or values.nunique() >= target.nunique() / 2:
        return False
    return by_cuts(target[values.index], values, True) > CUT and alone(values, target[values.index], False) > 0.25


def from_side(rows: pd.DataFrame, table: pd.DataFrame, side: Mapping[str, Any]) -> pd.DataFrame:
    """What a side table says of these rows, one of its own for each."""
    one = table.drop_duplicates(side["key"]).set_index(side["key"])[list(side["columns"])].add_prefix(f"{side['table']}.")
    return one.reindex(rows[side["column"]]).set_axis(rows.index)


def beside(
    rows: pd.DataFrame, table: pd.DataFrame, side: Mapping[str, Any], target: str, discrete: bool, part: pd.Series | None = None
) -> dict[str, str]:
    """Columns of a side table that give the target away, each with a sentence."""
    joined = from_side(rows, table, side)
    return givers(joined.assign(**{target: rows[target]}), list(joined), target, discrete, part)


def spelled(column: pd.Series, target: pd.Series) -> bool:
    """Whether cells hold their row's target as a word, far more often than another row's."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return False
    cells = [set(re.findall(r"\d+(?:\.\d+)?|\w+", str(c).lower())) for c in column]
    numeric = pd.api.types.is_numeric_dtype(target)
    words = [{f"{v:g}", str(v)} if numeric else {str(v).lower()} for v in target]
    if not cells:
        return False
    own = np.mean([bool(w & c) for w, c in zip(words, cells)])
    other = np.mean([bool(w & c) for w, c in zip(words[1:] + words[:1], cells)])
    return bool(own > 0.5 and own > other + 0.3)


def formulas(frame: pd.DataFrame, features: Sequence[str], target: str) -> dict[str, str]:
    """Numbers of which a weighted sum, a product or a ratio is the target but for a rounding, and clocks and dates whose difference is
    it; the heaviest are named until nothing is left."""
    names = [f for f in features if pd.api.types.is_numeric_dtype(frame[f]) and frame[f].notna().mean() > 0.8]
    spanned, y = spans(frame, features), frame[target].to_numpy(float)
    found: dict[str, str] = {}
    while True:
        left = [n for n in names if n not in found]
        given = summed(frame, left, target) or billed(frame, left, y)
        if not given:  # products are many: only where plain sums found nothing
            terms = products(frame, left, y)
            between = {pair: values for pair, values in spanned.items() if not set(pair) & set(found)}
            given = built(terms, y) or mended(frame, left, terms, y) or built(between, y)
        if not given:
            return found
        found |= given


def summed(frame: pd.DataFrame, names: Sequence[str], target: str) -> dict[str, str]:
    """The heaviest number of a weighted sum of them all, or of the product of powers of them; all parts of a plain sum, since each is a
    part of the answer."""
    if not names:
        return {}
    y = frame[target].to_numpy(float)
    x = frame[names].fillna(frame[names].median()).to_numpy(float)
    tried = [("sum", *explained(x, y))]
    positive = [i for i in range(len(names)) if (x[:, i] > 0).all()]
    if positive and (y > 0).all():
        share, weights = explained(np.log(x[:, positive]), np.log(y))
        whole = np.zeros(len(names))
        whole[positive] = weights
        tried.append(("product", share, whole))
    what, share, weights = max(tried, key=lambda t: t[1])
    parts = np.abs(weights) * (x.std(0) if what == "sum" else 1) / max(1e-12, y.std() if what == "sum" else 1)
    added = (np.abs(np.abs(weights) - 1) < 0.1) & (
        parts > 0.05
    )  # parts of a bill, or the bill less parts, that lacks a small one
    if share < EXACT and not (what == "sum" and share > 0.9 and added.sum() > 1):
        return {}
    told = f"is part of a {what} that tells the target (explains {share:.4f} of it)"
    if what == "sum" and added.sum() > 1 and (weights[added] > 0).all():
        return {name: told for name, one in zip(names, added, strict=True) if one}
    return {names[int(parts.argmax())]: told}


def billed(frame: pd.DataFrame, names: Sequence[str], y: NDArray[np.float64]) -> dict[str, str]:
    """The largest of two or three numbers that added to the target, or taken from it, leave one of a few amounts: a bill less its parts,
    of which small ones are not told, is the tip, though a weighted sum explains it badly."""
    looked = frame[list(names)].notna().all(axis=1).to_numpy() & np.isfinite(y)
    rows = np.flatnonzero(looked)[:BILLS]
    if len(rows) < 200 or few(y[rows]) > 0.5:
        return {}
    x = {n: frame[n].to_numpy(float)[rows] for n in sorted(names, key=lambda n: -near(frame[n].to_numpy(float), y))[:PARTS]}
    for many in (2, 3):
        for chosen in combinations(x, many):
            for signs in product((1, -1), repeat=many):
                if few(y[rows] + sum(s * x[n] for s, n in zip(signs, chosen, strict=True))) > 0.8:
                    first = max(chosen, key=lambda n: x[n].std())
                    others = ", ".join(n for n in chosen if n != first)
                    return {first: f"tells the target with {others}, but for one of {AMOUNTS} amounts"}
    return {}


def few(values: NDArray[np.float64]) -> float:
    """The share of the rows that have one of the most frequent values."""
    _, counts = np.unique(np.round(values, 4), return_counts=True)
    return float(np.sort(counts)[-AMOUNTS:].sum() / len(values))


Terms = dict[tuple[str, ...], "NDArray[np.float64]"]
"""Numbers of the rows, by the columns that they are made of."""


def products(frame: pd.DataFrame, names: Sequence[str], y: NDArray[np.float64]) -> Terms:
    """Numbers, their products and their ratios."""
    x = {n: frame[n].to_numpy(float) for n in names}
    some = sorted(names, key=lambda n: -near(x[n], y))[:MEASURED]
    terms: Terms = {(n,): x[n] for n in some}
    with np.errstate(all="ignore"):
        terms |= {(a, b): x[a] * x[b] for a, b in combinations(some, 2)}
        terms |= {(a, b, "ratio"): x[a] / x[b] for a, b in permutations(some, 2)}
    return terms


def built(terms: Terms, y: NDArray[np.float64]) -> dict[str, str]:
    """The first column of a formula: a weighted sum of few terms, chosen one after the other by what they explain of what is left."""
    chosen: list[tuple[str, ...]] = []
    rows, left = np.isfinite(y), y
    for _ in range(TERMS):
        scores = {t: near(v, left) for t, v in terms.items() if t not in chosen}
        best = max(scores, key=lambda t: scores[t], default=None)
        if best is None or (rows & np.isfinite(terms[best])).sum() < max(50, 0.5 * len(y)):
            break
        chosen.append(best)
        rows &= np.isfinite(terms[best])
        x = np.column_stack([terms[t][rows] for t in chosen])
        share, weights = explained(x, y[rows])
        if share > EXACT:
            heaviest = chosen[int((np.abs(weights) * x.std(0)).argmax())][0]
            others = dict.fromkeys(name for term in chosen for name in term[:2] if name != heaviest)
            return {heaviest: f"tells the target by a formula with {', '.join(others)} (explains {share:.4f} of it)"}
        z = np.c_[x, np.ones(len(x))]
        left = np.full(len(y), np.nan)
        left[rows] = y[rows] - z @ np.linalg.lstsq(z, y[rows], rcond=None)[0]
    return {}


def mended(frame: pd.DataFrame, names: Sequence[str], terms: Terms, y: NDArray[np.float64]) -> dict[str, str]:
    """The first column of a product or ratio which, added to the weighted sum of all numbers, makes it the target: what the sum leaves
    over is held against what it leaves over of each term."""
    made = {t: v for t, v in terms.items() if len(t) > 1 and np.isfinite(v).mean() > 0.9}
    if not made or len(names) < 2:
        return {}
    x = frame[names].fillna(frame[names].median()).to_numpy(float)
    base, _ = np.linalg.qr(np.c_[(x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1), np.ones(len(y))])
    middle = lambda v: np.where(np.isfinite(v), v, np.median(v[np.isfinite(v)]))
    every = np.column_stack([middle(v) for v in made.values()])
    left, over = (v - base @ (base.T @ v) for v in (y, every))
    sizes = np.maximum((over**2).sum(0), 1e-9 * (every**2).sum(0) + 1e-30)
    best = int(((left @ over) ** 2 / sizes).argmax())
    share, _ = explained(np.c_[x, every[:, best]], y)
    pair = list(made)[best]
    return {pair[0]: f"tells the target by a sum with {pair[1]} (explains {share:.4f} of it)"} if share > EXACT else {}


def near(term: NDArray[np.float64], left: NDArray[np.float64]) -> float:
    """How much of what is left a term goes with: their correlation, squared; 0 where half of the rows do not know both."""
    both = np.isfinite(term) & np.isfinite(left)
    if both.sum() < 50 or both.mean() < 0.5 or term[both].std() == 0 or left[both].std() == 0:
        return 0.0
    return float(np.corrcoef(term[both], left[both])[0, 1] ** 2)


def spans(frame: pd.DataFrame, features: Sequence[str]) -> Terms:
    """Differences of two clocks in minutes and of two dates in days."""
    clocks = {f: minutes(frame[f]) for f in features if is_clock(frame[f])}
    dates = {f: d for f in features if (d := when(frame[f])) is not None}
    found: Terms = {(a, b): ((clocks[b] - clocks[a] + 720) % 1440 - 720).to_numpy(float) for a, b in combinations(clocks, 2)}
    return found | {
        (a, b): ((dates[b] - dates[a]) / pd.Timedelta(days=1)).to_numpy(float, na_value=np.nan) for a, b in combinations(dates, 2)
    }


def is_clock(column: pd.Series) -> bool:
    """Whole numbers such as 517 and 1455: hours and minutes."""
    if not pd.api.types.is_numeric_dtype(column) or column.nunique() <= 50 or column.max() < 1200:
        return False
    values = column.dropna()
    return hours_and_minutes(values) and bool((values % 1 == 0).all())


def minutes(column: pd.Series) -> pd.Series:
    return column // 100 * 60 + column % 100


def when(column: pd.Series) -> pd.Series | None:
    """The column as moments, where nearly all of it are."""
    text = column.dropna().astype("string")
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    if not len(text) or text.str.match(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").mean() < 0.9:
        return None
    return pd.to_datetime(column.astype("string"), format="mixed", errors="coerce", utc=True).dt.tz_localize(None)


def explained(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The share of the variance of half of the rows that a weighted sum fitted on the other half explains; and its weights."""
    half = np.arange(len(y)) % 2 == 0
    if half.sum() <= 2 * x.shape[1] + 2:
        return 0.0, np.zeros(x.shape[1])
    scale = np.where(x.std(0) > 0, x.std(0), 1)
    z = np.c_[(x - x.mean(0)) / scale, np.ones(len(y))]
    weights, *_ = np.linalg.lstsq(z[half], y[half], rcond=None)
    left = y[~half] - z[~half] @ weights
    return 1 - float((left**2).sum() / max(1e-12, ((y[~half] - y[~half].mean()) ** 2).sum())), weights[:-1] / scale
