"""Probes for leaks: what a competitor could use that the one who needs the answer would not have. Each looks at what the task's
folder holds, however it was made, and says what it found; an empty string is no leak.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import SmithError
from ratchet.core.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

SAME = 0.005  # the share of test rows that may stand in training too: a few are the same by chance
ALIKE = 0.02  # the share of test rows that may have a near copy in training
PAIRS = 1_500  # test rows whose neighbours are looked for


@dataclass(frozen=True)
class Package:
    """A task's folder, as a competitor and as the grader see it."""

    folder: Path
    task: dict[str, Any]

    def table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        classes = dict.fromkeys(self.task["targets"], str) if self.task["answer"] == "class" else None
        return pd.read_csv(self.folder / name, dtype=classes, low_memory=False)

    @cached_property
    def train(self) -> pd.DataFrame:
        return self.table("public/train.csv")

    @cached_property
    def test(self) -> pd.DataFrame:
        return self.table("public/test.csv")

    @cached_property
    def answers(self) -> pd.DataFrame:
        return self.table("private/answers.csv")

    @property
    def discrete(self) -> bool:
        return bool(self.task["answer"] != "number")

    @cached_property
    def known(self) -> list[str]:
        """Columns that a competitor has of the rows to be told."""
        return [c for c in self.test.columns if c != "id" and c not in self.task["targets"]]

    @cached_property
    def solved(self) -> pd.DataFrame:
        """Test rows with their answers, in the order of test.csv."""
        return self.test.drop(columns=self.task["targets"], errors="ignore").merge(
            self.answers[["id", *self.task["targets"]]], on="id"
        )

    @property
    def both(self) -> tuple[pd.DataFrame, pd.Series]:
        """All rows with their targets, at most as many as a table of values looks at; and 0 for those to be told, -1 for the others."""
        import pandas as pd

        from ratchet.smith.probing import MANY, sampled

        names, learned = [c for c in self.train.columns if c in self.solved.columns], len(self.train)
        rows = sampled(pd.DataFrame(index=range(learned + len(self.solved))), MANY).index
        parts = self.train[names].iloc[rows[rows < learned]], self.solved[names].iloc[rows[rows >= learned] - learned]
        frame = pd.concat(parts, ignore_index=True)
        return frame, pd.Series((frame.index >= len(parts[0])) - 1, index=frame.index)


Probe = Callable[[Package], str]
probes: Registry[Probe] = Registry("leak probe", "ratchet.smith", SmithError)


def measured(values: pd.Series, target: pd.Series, discrete: bool) -> float:
    import pandas as pd

    from ratchet.smith.probing import alone, sampled

    frame = pd.DataFrame({"x": values.to_numpy(), "y": target.to_numpy()}).dropna(subset=["y"])
    frame = sampled(frame)
    return alone(frame["x"], frame["y"], discrete) if len(frame) >= 30 else 0.0


@probes.add("answers among features", paper="mle-smith")
def given_away(p: Package) -> str:
    """A column, here or in a side table, a text, a pair or a sum of columns that tells the target: by other rows or, where rows were
    not drawn by chance, of the test set by training."""
    from ratchet.smith.giveaways import beside, givers, ordering

    if p.task["split"]["by"] == "time" or not set(p.known) & set(p.train.columns):
        return next((f"test.csv holds the target {t}" for t in p.task["targets"] if t in p.test.columns), "")
    names = [c for c in p.known if c in p.train.columns and p.train[c].nunique() > 1 and c != "image"]
    frame, part = p.both
    if p.task["split"]["by"] not in ("group", "blocks"):
        part = None
    for target in p.task["targets"]:
        if target in p.test.columns:
            return f"test.csv holds the target {target}"
        for name, why in givers(frame, names, target, p.discrete, part).items():
            return f"{name} {why}"
        if p.task["query"]:
            for name, why in ordering(frame, [n for n in names if n != p.task["query"]], target, p.task["query"]).items():
                return f"{name} {why}"
        for side in p.task["sides"]:
            if not side["own"]:
                for name, why in beside(frame, p.table(f"public/{side['table']}.csv"), side, target, p.discrete, part).items():
                    return f"{name} {why}"
    return ""


@probes.add("number of the row", paper="mle-smith")
def numbered(p: Package) -> str:
    """An id, or the place in the file, that says something about the target where there is no order in time."""
    import pandas as pd

    if p.task["split"]["by"] == "time":
        return ""
    target = p.task["targets"][0]
    for what, values, frame in (
        ("the id", p.train["id"], p.train), ("the id", p.solved["id"], p.solved),
        ("the place in train.csv", pd.Series(range(len(p.train))), p.train), ("the place in test.csv", pd.Series(range(len(p.solved))), p.solved),
    ):  # fmt: skip
        value = measured(values, frame[target], p.discrete)
        if value > max(0.1, 4 / len(frame) ** 0.5):
            return f"{what} tells {target} (skill {value:.2f})"
    return ""


@probes.add("name or size of a file", paper="mle-smith")
def files(p: Package) -> str:
    """What files are called, how large they are, and when they were written."""
    import pandas as pd

    if "image" not in p.train.columns:
        return ""
    target = p.task["targets"][0]
    paths = [p.folder / "public" / name for name in p.train["image"]]
    names = p.train["image"].map(lambda n: re.sub(r"\d+", "", n))
    inside = pd.Series([path.read_bytes()[33:120] for path in paths])
    words = inside.map(lambda head: b"tEXt" in head or b"iTXt" in head)
    if words.any():
        return "image files hold text beside the image"
    for what, values in (
        ("the name of a file", names), ("the number in a file's name", p.train["image"].str.extract(r"(\d+)")[0].astype(float)),
        ("the size of a file", pd.Series([path.stat().st_size for path in paths])),
        ("when a file was written", pd.Series([path.stat().st_mtime for path in paths]).diff().fillna(0)),
    ):  # fmt: skip
        value = measured(values, p.train[target], p.discrete)
        if value > 0.6:
            return f"{what} tells {target} (skill {value:.2f})"
    return ""


@probes.add("copies across the split", paper="mle-smith")
def copies(p: Package) -> str:
    """Rows of the test set that stand in training too, but for what does not matter."""
    if p.task["split"]["by"] == "time":
        return ""
    names = [c for c in p.known if c in p.train.columns and c not in ("image", p.task["query"])]
    sides = [s["table"] for s in p.task["sides"] if s["own"]]
    if "image" in p.known:
        import hashlib

        digest = lambda frame: {hashlib.sha256((p.folder / "public" / n).read_bytes()).hexdigest() for n in frame["image"]}
        both = digest(p.train) & digest(p.test)
        return f"{len(both)} images of the test set are in training too" if both else ""
    if sides or not names:
        return ""
    share = keys(p.test[names]).isin(keys(p.train[names])).mean()
    rich = sum(min(50, p.train[c].nunique()) for c in names) > 60
    if rich and share > SAME:
        return f"{share:.1%} of the rows of the test set stand in training too"
    texts = [c for c in names if p.train[c].dtype == object or str(p.train[c].dtype).startswith("str")]
    long = [c for c in texts if p.train[c].astype(str).str.len().mean() > 40]
    return near_texts(p, long) if long and set(names) <= set(long) else ""


def keys(frame: pd.DataFrame) -> pd.Series:
    """A number for each row: the same where rows are the same but for case, blanks, signs and the seventh digit."""
    import numpy as np
    import pandas as pd

    def plain(column: pd.Series) -> pd.Series:
        if pd.api.types.is_numeric_dtype(column):
            return column.astype(np.float32)
        return column.astype("string").fillna("").str.lower().str.replace(r"\W+", " ", regex=True).str.strip()

    whole = pd.Series(np.zeros(len(frame), np.uint64), index=frame.index)
    for c in frame:  # one column at a time: all of them as words would be several times the table
        whole = whole * np.uint64(1_000_003) + pd.util.hash_pandas_object(plain(frame[c]), index=False)
    return whole


def near_texts(p: Package, columns: list[str]) -> str:
    """Rows whose texts have nearly the same words, by the cosine of their runs of four characters."""
    import numpy as np
    from sklearn.feature_extraction.text import HashingVectorizer

    vectors = HashingVectorizer(analyzer="char_wb", ngram_range=(4, 4), n_features=1 << 16, alternate_sign=False)
    together = lambda frame: frame[columns].fillna("").astype(str).agg(" ".join, axis=1)
    asked = together(p.test.sample(min(PAIRS, len(p.test)), random_state=0))
    a, b = vectors.transform(asked), vectors.transform(together(p.train))
    nearest = np.concatenate(
        [np.asarray((a[i : i + 250] @ b.T).max(axis=1).todense()).ravel() for i in range(0, a.shape[0], 250)]
    )
    share = float((nearest > 0.95).mean())
    return f"{share:.1%} of the texts of the test set have a near copy in training" if share > ALIKE else ""


@probes.add("groups across the split", paper="mle-smith")
def torn(p: Package) -> str:
    """Rows of one thing on both sides, where the task says that they are on one."""
    split = p.task["split"]
    if split["by"] == "group":
        column = split["column"]
        if column in p.train.columns and column in p.test.columns:
            both = set(p.train[column].unique()) & set(p.test[column].unique())
            return f"{len(both)} groups of {column} are on both sides" if both else ""
    return ""


@probes.add("told by elimination", paper="mle-smith")
def eliminated(p: Package) -> str:
    """Groups of rows in which each class comes once, drawn apart by chance: what is left over in one is the answer."""
    import pandas as pd

    from ratchet.smith.belonging import panel

    if p.task["answer"] != "class" or p.task["split"]["by"] in ("time", "group") or p.task["sides"]:
        return ""
    (target,) = p.task["targets"]
    names = [c for c in p.known if c in p.train.columns]
    group = panel(pd.concat([p.train[[*names, target]], p.solved[[*names, target]]], ignore_index=True), names, target)
    return f"each class comes once for each {group}" if group else ""


@probes.add("look ahead", paper="mle-smith")
def ahead(p: Package) -> str:
    """Training rows from after the first one to be told, or measurements of the time that is asked about."""
    import pandas as pd

    split = p.task["split"]
    if split["by"] != "time":
        return ""
    clock = split["column"]
    if clock not in p.train.columns or clock not in p.test.columns:
        return f"{clock} is not in both files"
    last, first = (pd.to_datetime(f[clock], format="mixed", errors="coerce") for f in (p.train, p.test))
    if last.max() >= first.min():
        return f"training goes on to {last.max()}, the test set begins at {first.min()}"
    for name in p.known:
        if name != clock and name in p.test.columns:
            value = measured(p.solved[name], p.solved[p.task["targets"][0]], p.discrete)
            if value > 0.9:
                return f"{name}, measured at the time that is asked about, tells the target (skill {value:.2f})"
    return ""


@probes.add("files beside the tables", paper="mle-smith")
def beside(p: Package) -> str:
    """Files that nobody speaks of: what they hold was not looked at."""
    named = {"train.csv", "test.csv", "sample_submission.csv", *(f"{s['table']}.csv" for s in p.task["sides"])}
    images = set(p.train["image"]) | set(p.test["image"]) if "image" in p.known else set()
    public = p.folder / "public"
    strange = [
        n for f in sorted(public.rglob("*")) if f.is_file() and (n := f.relative_to(public).as_posix()) not in named | images
    ]
    return f"public/ holds {', '.join(strange[:3])}, which the task does not speak of" if strange else ""


@probes.add("side tables", paper="mle-smith")
def sides(p: Package) -> str:
    """Side tables that know less of the rows to be told than of those to learn from, or that hold the target."""
    for side in p.task["sides"]:
        table = p.table(f"public/{side['table']}.csv")
        held = [t for t in p.task["targets"] if t in table.columns and side["own"]]
        if held:
            return f"{side['table']}.csv holds the target {held[0]}"
        key, column = ("id", "id") if side["own"] else (side["key"], side["column"])
        known = [f[column].dropna().isin(table[key]).mean() for f in (p.train, p.test)]
        if known[1] < known[0] - 0.05:
            return f"{side['table']}.csv knows {known[1]:.0%} of the test set's rows and {known[0]:.0%} of the others"
    return ""


def search(p: Package) -> dict[str, str]:
    """What each probe found: nothing, where it is well."""
    return {probe.name: probe.value(p) for probe in probes}
