"""The second role's text: what a person who wants to compete reads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.core.files import write_text
from ratchet.smith import scoring

if TYPE_CHECKING:
    from ratchet.smith.formulation import Dataset, Formulation

METRICS = {
    "auc": "the area under the ROC curve: 1 is perfect, 0.5 is guessing",
    "average_precision": "average precision of the rare class: 1 is perfect, its share of the rows is guessing",
    "accuracy": "the share of rows with the right class",
    "macro_f1": "F1 of each class, averaged over the classes, so that rare ones count as much as frequent ones",
    "quadratic_kappa": "quadratically weighted kappa: 1 is perfect, 0 is chance; being far off costs more. Predictions are rounded to whole levels",
    "rmse": "root mean squared error: 0 is perfect",
    "mae": "mean absolute error: 0 is perfect",
    "rmsle": "root mean squared error of the logarithms of one plus the values: 0 is perfect, and a factor of two costs the same everywhere",
    "spearman": "Spearman's rank correlation: 1 is perfect, 0 is chance",
    "mean_auc": "the area under the ROC curve of each label, averaged over the labels",
    "ndcg": "NDCG of the ten rows ranked highest, averaged over the queries: 1 is perfect. A row's gain is its rank in its query",
}
LEARNED, TOLD = "{learned}", "{told}"  # rows of train.csv and of test.csv
OURS = {f"raw {name}": name for name in ("id", "image", "source")}
SPLITS = {
    "random": "Rows of the test set were drawn at random.",
    "stratified": "Rows of the test set were drawn at random, the same share of each class.",
    "group": "All rows of one `{column}` are on the same side: the test set has only new ones.",
    "blocks": "The map was cut into cells; the test set has cells that training does not show.",
    "time": "The test set is what came later: training ends where it begins.",
}
ANSWERS = {
    "chance": "a chance between 0 and 1",
    "class": "one of the classes",
    "number": "a finite number",
}


def figure(value: float) -> str:
    """A number for a person: at most four digits that count, thousands apart from ten thousand on, no powers of ten."""
    value = float(f"{value:.4g}")
    if value and not 1e-6 <= abs(value) < 1e15:
        return f"{value:g}"
    text = f"{value:,.12f}".rstrip("0").rstrip(".")
    return text if abs(value) >= 10_000 else text.replace(",", "")


def describe(data: Dataset, f: Formulation, answer: str) -> str:
    """Markdown, with marks where `counted` puts the numbers of rows."""
    columns = [c for c in data.main(f.tables)[1].columns if c.name in f.features]
    targets = ", ".join(f"`{t}`" for t in f.targets)
    lines = [
        f"# {f.title}",
        "",
        f"Data: **{data.name}** ({', '.join(f.tables)}), {LEARNED} rows to learn from and {TOLD} to tell. "
        f"{f.why[0].upper()}{f.why[1:]}.",
        "",
    ]
    lines += [
        "## Task",
        "",
        f"Tell {targets} for each row of `public/test.csv`, from its other columns and from `public/train.csv`.",
    ]
    if f.extra.get("positive") not in (None, "1"):
        lines.append(f"`{f.targets[0]}` is 1 where the raw data says *{f.extra['positive']}*, else 0.")
    if f.classes and answer == "class":
        lines.append(f"Classes: {', '.join(f'`{c}`' for c in f.classes)}.")
    if f.extra.get("query"):
        lines.append(f"Rows are ranked within each `{f.extra['query']}`: only the order of your numbers counts, and only there.")
    others = sorted({n for n in (*f.targets, *f.features, f.extra.get("query") or "") if n in OURS})
    if others:
        lines.append("; ".join(f"`{n}` is called `{OURS[n]}` in the raw data" for n in others) + ", which is a name of ours.")
    if f.extra.get("hidden"):
        lines.append(f"Measured together with it, and known for training only: {', '.join(f'`{h}`' for h in f.extra['hidden'])}.")
    lines += ["", SPLITS[f.split["by"]].format(column=f.split.get("column", "")), ""]
    lines += [
        "## Score",
        "",
        f"**{f.metric}**: {METRICS[f.metric]}. {'Higher' if scoring.HIGHER[f.metric] else 'Lower'} is better.",
        "",
    ]
    lines += ["## Submission", "", f"A file with commas, `id` and {targets}, a row for each row of the test set; {ANSWERS[answer]} in each cell.",
              "`public/sample_submission.csv` shows it.", ""]  # fmt: skip
    lines += ["## Columns", "", "| column | kind | different | missing |", "| --- | --- | --- | --- |"]
    lines += [f"| {c.name.replace('|', '/')} | {c.kind} | {c.distinct:,} | {c.missing:.0%} |" for c in columns]
    for side in f.extra.get("sides", []):
        what = (
            f"`public/{side['table']}.csv`, many rows for each `id`"
            if side["own"]
            else f"`public/{side['table']}.csv`, found by `{side['key']}` = `{side['column']}`"
        )
        lines += ["", f"Beside them {what}: {', '.join(f'`{c}`' for c in side['columns'])}."]
    left = {name: why for name, why in f.dropped.items() if name not in f.targets}
    if left:
        lines += ["", "## Left out", "", *left_out(left)]
    return "\n".join(lines) + "\n"


def counted(folder: Path) -> None:
    """Put the numbers of rows into the description, once prepare.py has made them. What it did not make, the check will tell."""
    import pandas as pd

    file = folder / "description.md"
    text = file.read_text()
    for mark, name in ((LEARNED, "train"), (TOLD, "test")):
        if mark in text:
            with suppress(OSError, ValueError):
                rows = len(pd.read_csv(folder / "public" / f"{name}.csv", usecols=[0]))
                text = text.replace(mark, f"{rows:,}")
    write_text(file, text)


def left_out(left: Mapping[str, str]) -> list[str]:
    """A line for each column; one for very many that are left out for one reason."""
    by_why: dict[str, list[str]] = {}
    for name, why in left.items():
        by_why.setdefault(why, []).append(f"`{name}`")
    short = lambda names: ", ".join(names[:5]) + f" and {len(names) - 5:,} others"
    many = {why: f"- {short(names)}: {why}" for why, names in by_why.items() if len(names) > 20}
    return [f"- `{name}`: {why}" for name, why in left.items() if why not in many] + list(many.values())
