"""Texts and images: classes of them, numbers that belong to them, and how alike two texts are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ratchet.smith.describing import figure
from ratchet.smith.formulation import Dataset, Formulation, proposers
from ratchet.smith.kinds.columns import (
    CALENDAR,
    LEAST,
    classes_of,
    enough_of,
    names_something,
    positive_of,
    promise,
    split_at_random,
    words,
)

if TYPE_CHECKING:
    import pandas as pd

ALIKE = 0.15  # the least correlation with shared words of a number that says how alike two texts are


@proposers.add("texts", paper="mle-smith")
def texts(data: Dataset) -> Iterator[Formulation]:
    """A class or a number told by a text alone."""
    for names in data.mains:
        frame, profile = data.main(names)
        written = profile.of("text")
        if len(frame) < 200 or not written or (len(written) > 1 and any(similar(data, names))):
            continue
        text = max(written, key=lambda c: c.facts["words"])
        dropped = {c.name: "the text alone is to be read" for c in profile.columns if c.name != text.name}
        for c in profile.of("binary", "category"):
            found = enough_of(frame[c.name])
            if len(found) < 2:
                continue
            extra = positive_of(frame[c.name], found)
            metric = "auc" if extra else "macro_f1"
            others = {n: why for n, why in dropped.items() if n != c.name}
            yield Formulation(
                "text classification", names, (c.name,), metric, (text.name,), split_at_random(True), f"Which {words(c.name)}, by the text alone?",
                f"texts of {text.facts['words']:.0f} words in the mean, {len(found)} classes", others, found,
                extra, 2 + promise(c, profile),
            )  # fmt: skip
        for c in profile.of("level", "count", "number"):
            if c.facts.get("place") or c.distinct < 5 or names_something(c) or CALENDAR.search(c.name):
                continue
            others = {n: why for n, why in dropped.items() if n != c.name}
            yield Formulation(
                "text regression", names, (c.name,), "spearman", (text.name,), split_at_random(False),
                f"How high is {words(c.name)}, by the text alone?",
                f"texts of {text.facts['words']:.0f} words in the mean", others, score=1 + promise(c, profile),
            )  # fmt: skip


@proposers.add("similarity", paper="mle-smith")
def similar(data: Dataset, only: tuple[str, ...] = ()) -> Iterator[Formulation]:
    """How alike two texts of a row are."""
    for names in data.mains:
        if only and names != only:
            continue
        frame, profile = data.main(names)
        written = profile.of("text")
        if len(written) != 2 or len(frame) < 200:
            continue
        a, b = written
        if not 0.5 < a.facts["words"] / b.facts["words"] < 2:
            continue
        for c in profile.of("number", "level"):
            if c.facts.get("place") or names_something(c) or c.facts["high"] - c.facts["low"] > 100 or c.missing > 0.2:
                continue
            if overlap(frame, a.name, b.name, c.name) < ALIKE:
                continue
            dropped = {
                o.name: "the two texts alone are to be read" for o in profile.columns if o.name not in (a.name, b.name, c.name)
            }
            yield Formulation(
                "text similarity", names, (c.name,), "spearman", (a.name, b.name), split_at_random(False), "How alike are two texts?",
                f"two texts of a row and a number from {figure(c.facts['low'])} to {figure(c.facts['high'])}", dropped, score=3 + promise(c, profile),
            )  # fmt: skip


def overlap(frame: pd.DataFrame, a: str, b: str, number: str) -> float:
    """How far a number rises with the words that two texts share: Spearman's correlation, 0 where neither varies."""
    rows = frame[[a, b, number]].dropna().head(2_000)
    sets = [rows[n].astype(str).str.lower().str.findall(r"\w+").map(set) for n in (a, b)]
    shared = rows.assign(shared=[len(p & q) / max(1, len(p | q)) for p, q in zip(*sets)])
    value = float(shared["shared"].corr(shared[number], method="spearman"))
    return 0.0 if value != value else value


@proposers.add("images", paper="mle-smith")
def images(data: Dataset) -> Iterator[Formulation]:
    """A class or a number told by an image."""
    for names in data.mains:
        frame, profile = data.main(names)
        if not profile.of("image") or len(frame) < 200:
            continue
        for c in profile.columns:
            if c.kind in ("binary", "category", "level"):
                found = classes_of(frame[c.name], LEAST)
                if 2 <= len(found) <= 60:
                    yield Formulation(
                        "image classification", names, (c.name,), "accuracy", ("image",), split_at_random(True), "What does an image show?",
                        f"{len(frame)} images of {len(found)} classes", {}, found, score=3,
                    )  # fmt: skip
            elif c.kind in ("count", "number"):
                yield Formulation(
                    "image regression", names, (c.name,), "rmse", ("image",), split_at_random(False),
                f"How high is {words(c.name)}, by the image alone?",
                    f"{len(frame)} images", score=2.5,
                )  # fmt: skip
