"""Faults put into tasks that are right, to see whether verification finds them.

Twelve kinds as in the study of MLE-Smith, and the five that the makers of MLE-bench list as known issues of theirs: labels that
training never shows, a person on both sides, a sample submission that lacks a column, rows that a side table lacks, and a file beside the
tables that holds the answers. A fault is put into a copy of a task's folder; it may decline where it cannot be (None).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ratchet.core.errors import SmithError
from ratchet.core.files import write_text
from ratchet.core.registry import Registry
from ratchet.smith.leaks import Package

if TYPE_CHECKING:
    import pandas as pd

Fault = Callable[[Package], bool]
"""Spoils the folder; False where this task cannot have that fault."""
faults: Registry[Fault] = Registry("fault", "ratchet.smith", SmithError)
TRAIN, TEST, ANSWERS, SAMPLE = "public/train.csv", "public/test.csv", "private/answers.csv", "public/sample_submission.csv"


def save(p: Package, name: str, table: pd.DataFrame) -> None:
    table.to_csv(p.folder / name, index=False)


def answer_of(p: Package) -> pd.Series:
    """The answers of the test rows, in the order of test.csv."""
    return p.test[["id"]].merge(p.answers, on="id")[p.task["targets"][0]]


@faults.add("label left in the test set")
def label_left(p: Package) -> bool:
    """The test set holds the target under its own name."""
    save(p, TEST, p.test.assign(**{p.task["targets"][0]: answer_of(p)}))
    return True


@faults.add("near copy among the features")
def near_copy(p: Package) -> bool:
    """The target under another name, with noise, or as other words."""
    target = p.task["targets"][0]
    if p.task["split"]["by"] == "time":
        return False
    random = np.random.default_rng(1)

    def disguised(values: pd.Series) -> pd.Series:
        if p.discrete:
            return values.map(lambda v: f"group {sum(map(ord, str(v))) % 9973}")
        return values * 2.54 + random.normal(size=len(values)) * 0.01 * float(values.std())

    save(p, TRAIN, p.train.assign(reading=disguised(p.train[target])))
    save(p, TEST, p.test.assign(reading=disguised(answer_of(p))))
    if (p.folder / "task.yaml").is_file():  # named, so that nothing but what it holds is strange
        import yaml

        write_text(p.folder / "task.yaml", yaml.safe_dump(p.task | {"features": [*p.task["features"], "reading"]}))
    return True


@faults.add("copies across the split")
def copied(p: Package) -> bool:
    """A quarter of the test rows stand in training too."""
    import pandas as pd

    if p.task["split"]["by"] == "time" or "image" in p.known or any(s["own"] for s in p.task["sides"]):
        return False
    some = p.test.merge(p.answers[["id", *p.task["targets"]]], on="id").head(max(5, len(p.test) // 4))
    some = some.assign(id=p.train["id"].max() + p.test["id"].max() + 1 + np.arange(len(some)))
    save(p, TRAIN, pd.concat([p.train, some[[c for c in p.train if c in some]]], ignore_index=True))
    return True


@faults.add("constant target")
def constant(p: Package) -> bool:
    """Every row has the same answer."""
    first = {t: p.train[t].iloc[0] for t in p.task["targets"]}
    save(p, TRAIN, p.train.assign(**first))
    save(p, ANSWERS, p.answers.assign(**first))
    return True


@faults.add("wrong direction of the metric")
def direction(p: Package) -> bool:
    """metric.py says that lower is better where higher is, or the other way round."""
    script = (p.folder / "metric.py").read_text()
    turned = re.sub(r"HIGHER_IS_BETTER = (True|False)", lambda m: f"HIGHER_IS_BETTER = {m[1] != 'True'}", script)
    write_text(p.folder / "metric.py", turned)
    return turned != script


@faults.add("answers under other ids")
def misaligned(p: Package) -> bool:
    """Right answers, but of other rows: nobody who learned well would score well."""
    targets = p.task["targets"]
    rolled = {t: np.roll(p.answers[t].to_numpy(), len(p.answers) // 2 + 1) for t in targets}
    save(p, ANSWERS, p.answers.assign(**rolled))
    return True


@faults.add("rows in the order of the target")
def ordered(p: Package) -> bool:
    """The test set is sorted by its answers."""
    if p.task["split"]["by"] == "time":
        return False
    order = np.argsort(answer_of(p).rank().to_numpy() if not p.discrete else answer_of(p).astype(str).to_numpy(), kind="stable")
    save(p, TEST, p.test.iloc[order])
    return True


@faults.add("missing file")
def missing(p: Package) -> bool:
    """The sample submission is not there."""
    (p.folder / SAMPLE).unlink()
    return True


@faults.add("empty cells among the answers")
def empty(p: Package) -> bool:
    """Three answers are missing."""
    target = p.task["targets"][0]
    spoiled = p.answers.astype({target: object})
    spoiled.loc[spoiled.index[:3], target] = np.nan
    save(p, ANSWERS, spoiled)
    return True


@faults.add("split by chance")
def unseeded(p: Package) -> bool:
    """prepare.py draws the test set anew at each run."""
    script = (p.folder / "prepare.py").read_text()
    spoiled = re.sub(r"np\.random\.default_rng\(split\[['\"]seed['\"]\]\)", "np.random.default_rng()", script)
    write_text(p.folder / "prepare.py", spoiled)
    return spoiled != script and p.task["split"]["by"] != "time"


@faults.add("a grader that takes anything")
def lenient(p: Package) -> bool:
    """Rows that are missing are told as the last one there is, instead of refused."""
    script = (p.folder / "metric.py").read_text()
    spoiled = script.replace(
        "    if len(missing):\n        raise InvalidSubmission", "    if False:\n        raise InvalidSubmission"
    )
    write_text(p.folder / "metric.py", spoiled)
    return spoiled != script


@faults.add("a metric that the split has no value for")
def undefined(p: Package) -> bool:
    """All rows of the test set have one answer."""
    target = p.task["targets"][0]
    save(p, ANSWERS, p.answers.assign(**dict.fromkeys(p.task["targets"], p.answers[target].iloc[0])))
    return True


@faults.add("labels that training never shows")
def new_labels(p: Package) -> bool:
    """A class of the test set is taken out of training."""
    if p.task["answer"] != "class":
        return False
    target = p.task["targets"][0]
    kept = p.train[p.train[target] != p.train[target].value_counts().idxmin()]
    save(p, TRAIN, kept)
    return bool(kept[target].nunique() > 1)


@faults.add("a group on both sides")
def both_sides(p: Package) -> bool:
    """Rows of the test set's groups in training, though the task says that groups are apart."""
    import pandas as pd

    column = p.task["query"]
    if p.task["split"]["by"] != "group" or not column or column not in p.test:
        return False
    some = p.test[p.test[column] == p.test[column].iloc[0]].merge(p.answers[["id", *p.task["targets"]]], on="id").head(3)
    some = some.assign(id=p.train["id"].max() + p.test["id"].max() + 1 + np.arange(len(some)))
    for c in p.known:  # not the same rows: others of the group
        if some[c].dtype.kind == "f":
            some[c] = some[c] * 1.01
    save(p, TRAIN, pd.concat([p.train, some[[c for c in p.train if c in some]]], ignore_index=True))
    return True


@faults.add("a sample that lacks a column")
def short_sample(p: Package) -> bool:
    """The sample submission has ids alone."""
    sample = p.table(SAMPLE)
    save(p, SAMPLE, sample[["id"]])
    return True


@faults.add("rows that a side table lacks")
def unknown_rows(p: Package) -> bool:
    """A third of the test set's rows find nothing in the side table."""
    for side in p.task["sides"]:
        table = p.table(f"public/{side['table']}.csv")
        if side["own"]:
            asked = set(p.test["id"].head(max(5, len(p.test) // 3)))
            save(p, f"public/{side['table']}.csv", table[~table["id"].isin(asked)])
        else:
            asked = set(p.test[side["column"]].dropna().unique()) - set(p.train[side["column"]])
            asked |= set(p.test[side["column"]].dropna().unique()[::3])
            save(p, f"public/{side['table']}.csv", table[~table[side["key"]].isin(asked)])
        return True
    return False


@faults.add("answers in a file beside the tables")
def beside(p: Package) -> bool:
    """public/ holds the answers in a file that nobody speaks of."""
    write_text(p.folder / "public" / "meta.json", p.answers.to_json(orient="records"))
    return True
