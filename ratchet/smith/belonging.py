"""How rows belong together, and so how they may be split: rows of one person or place, the rows of a panel, moments of a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ratchet.smith.giveaways import EXACT, near, spelled
from ratchet.smith.kinds.columns import names_something
from ratchet.smith.probing import MANY, SOLVED, by_cuts, by_value, codes_of, crossed, repeated, sampled, together, told

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ratchet.smith.profiling import Profile

LEAST = 20  # groups that a column must make before rows are split by it
NEIGHBOURS = 0.8  # what the row before tells of a target from which on rows are moments of one series


def owner(frame: pd.DataFrame, profile: Profile, targets: Sequence[str], discrete: bool) -> str:
    """The column that names whose property the target is: all rows of a value have the same one, so other columns that mark its rows
    give it away as well, and rows must be split by it. Empty where there is none."""
    nominal = [c.name for c in profile.of("key", "name", "category")]
    counted = [c.name for c in profile.of("count", "level", "number") if c.name not in targets]
    numbers = [n for n in counted if pd.api.types.is_numeric_dtype(frame[n]) and not (frame[n].dropna() % 1).any()]
    rows = sampled(frame[frame[list(targets)].notna().all(axis=1)], MANY)
    few, varied = sampled(rows), [t for t in targets if rows[t].nunique() > 1]
    found: dict[str, int] = {}
    for name in (*nominal, *numbers) if varied else ():
        groups = rows[name].nunique()
        if name in targets or groups < LEAST or rows[name].duplicated(keep=False).mean() < 0.6:
            continue
        if any(by_value(rows[name], rows[t], discrete) <= SOLVED for t in varied):
            continue
        if any(spelled(few[name], few[t]) for t in varied):  # the target in other words, which is for the probes
            continue
        if name in numbers and not names_something(profile[name]) and measure(few[name], few[varied[0]], discrete):
            continue
        found[name] = groups
    return max(found, key=lambda n: found[n], default="")


def measure(column: pd.Series, target: pd.Series, discrete: bool) -> bool:
    """Whether the size of a number tells the target, as a measure's does and a name's does not."""
    if not discrete and abs(np.nan_to_num(column.corr(target, method="spearman"))) > 0.8:
        return True
    return by_cuts(column, target, discrete) > SOLVED


def panel(frame: pd.DataFrame, features: Sequence[str], target: str) -> str:
    """The columns within whose values each class comes once: who sees all rows but one of such a group knows the last by elimination."""
    names = [f for f in features if f in frame and frame[f].nunique() >= 2 and repeated(frame[f])]
    names = sorted(names, key=lambda n: -frame[n].nunique())[:6]
    known = frame[frame[target].notna()]
    y = pd.factorize(known[target].astype(str))[0]
    shuffled = np.random.default_rng(0).permutation(y)
    codes = {n: codes_of(known[n]) for n in names}
    for group in [(n,) for n in names] + list(combinations(names, 2)):
        place = crossed(*(codes[n] for n in group))
        several = together(place)
        if several.mean() > 0.5 and twice(place[several], y[several]) < 0.01 and twice(place[several], shuffled[several]) > 0.1:
            return " and ".join(group)
    return ""


def twice(place: NDArray[np.int64], classes: NDArray[np.int64]) -> float:
    """The share of rows whose class another row of their place has too."""
    return float(together(crossed(place, classes)).mean())


def neighbours(when: pd.Series, target: pd.Series, discrete: bool) -> float:
    """What the row before in time tells of a target, between 0 and 1; 0 where several rows share a moment, which is no series."""
    known = when.notna() & target.notna()
    if known.sum() < 50 or when[known].nunique() < 0.9 * known.sum():
        return 0.0
    y = target[known].iloc[np.argsort(when[known].to_numpy(), kind="stable")]
    return follows(y, np.ones(len(y) - 1, bool), discrete)


def follows(y: pd.Series, same: NDArray[np.bool_], discrete: bool) -> float:
    """What a row tells of the one after it, between 0 and 1, where the two are of the `same` series."""
    if not discrete:
        values = y.to_numpy(float)
        after, before = values[1:][same], values[:-1][same]
        return max(0.0, float(np.corrcoef(after, before)[0, 1])) if after.std() and before.std() else 0.0
    codes = pd.factorize(y.astype(str), sort=True)[0]
    return told(np.eye(int(codes.max()) + 1)[codes[:-1][same]], codes[1:][same], True) if codes.max() else 0.0


def series(
    frame: pd.DataFrame, when: pd.Series, profile: Profile
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """The columns within each of whose values rows are moments of one series, such as countries by years or meters by hours: the order of
    the rows by value and moment, the value's number of each in that order, and which of them follow one of the same value. Where rows
    share no moments the whole table is one, under no name."""
    if len(frame) < 50:
        return
    if when.nunique() >= 0.9 * len(frame):
        order = np.argsort(when.to_numpy(), kind="stable")
        yield "", order, np.zeros(len(order), np.int64), np.ones(len(order) - 1, bool)
        return
    moment = codes_of(when)
    for c in profile.of("key", "name", "category", "count", "level"):
        place = codes_of(frame[c.name])
        sizes = np.bincount(place)
        if len(sizes) >= 2 and np.median(sizes) >= 10 and together(crossed(place, moment)).mean() <= 0.02:
            order = np.lexsort((when.to_numpy(), place))
            place = place[order]
            yield c.name, order, place, place[1:] == place[:-1]


def entity(frame: pd.DataFrame, when: pd.Series, target: str, profile: Profile, discrete: bool) -> str:
    """The column of series in which the row before tells the target beyond what the column itself does. Empty where there is none."""
    known = when.notna() & frame[target].notna()
    frame, when = frame[known], when[known]
    for name, order, place, same in series(frame, when, profile):
        if name in ("", target):
            continue
        y = frame[target].iloc[order]
        if not discrete:
            y = y - (np.bincount(place, y.to_numpy(float)) / np.bincount(place))[place]
        tells = follows(y, same, discrete)
        if tells > NEIGHBOURS and not (discrete and by_value(frame[name], frame[target], True) >= tells):
            return name
    return ""


def steps(frame: pd.DataFrame, when: pd.Series, features: Sequence[str], target: str, profile: Profile) -> dict[str, str]:
    """Numbers that other rows of a series make the target of, each with a sentence: the total up to a day, less that of the day before, is
    what came on it; and the other way round."""
    known = when.notna() & frame[target].notna()
    frame, when, found = frame[known], when[known], {}
    numbers = [f for f in features if f in frame and pd.api.types.is_numeric_dtype(frame[f])]
    for name, order, _, same in series(frame, when, profile):
        y = frame[target].to_numpy(float)[order]
        for f in (f for f in numbers if f not in (*found, name)):
            x = frame[f].to_numpy(float, na_value=np.nan)[order]
            for what, a, b in (("less that of the row before is", np.diff(x), y[1:]), ("is the step of", x[1:], np.diff(y))):
                if near(a[same], b[same]) > EXACT:
                    found[f] = f"{what} the target, row by row{f' of a {name}' if name else ''}"
    return found
