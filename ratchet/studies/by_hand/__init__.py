"""Eight competitions that a person wrote, each from a table of its own, against which generated ones are held.

A task is a function of its raw table that gives the columns that may be known, the target, and which rows are kept for the grader;
split, cleaning and metric were chosen for each by what its data means. `written` puts them into the folders that every task has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ratchet.core.errors import SmithError
from ratchet.core.files import write_text
from ratchet.core.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Metric:
    """A formula of `truth` and `given`, in the order of the ids, for metric.py."""

    name: str
    formula: str
    higher: bool
    optimum: float
    imports: str = ""


AUC = Metric("auc", "roc_auc_score(truth, given)", True, 1.0, "from sklearn.metrics import roc_auc_score")
PRECISION = Metric(
    "average_precision", "average_precision_score(truth, given)", True, 1.0, "from sklearn.metrics import average_precision_score"
)
ACCURACY = Metric("accuracy", "(truth.astype(str) == given.astype(str)).mean()", True, 1.0)
F1 = Metric(
    "macro_f1",
    "f1_score(truth.astype(str), given.astype(str), average='macro')",
    True,
    1.0,
    "from sklearn.metrics import f1_score",
)
RMSE = Metric("rmse", "np.sqrt(((truth - given) ** 2).mean())", False, 0.0)
MAE = Metric("mae", "(truth - given).abs().mean()", False, 0.0)
LOG = Metric("rmsle", "np.sqrt(((np.log1p(truth) - np.log1p(given.clip(lower=0))) ** 2).mean())", False, 0.0)


@dataclass(frozen=True)
class Written:
    """`table` holds features and the target; `test` which rows the grader keeps; `answer` as in task.yaml."""

    table: pd.DataFrame
    target: str
    test: np.ndarray
    answer: str
    metric: Metric


tasks: Registry[Callable[[], Written]] = Registry("task written by hand", "ratchet.studies.by_hand", SmithError)


def raw(name: str, header: bool = True) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(HERE / f"{name}.csv.gz", header=0 if header else None, na_values=["?"])


def drawn(n: int, share: float, seed: int) -> np.ndarray:
    import numpy as np

    chosen = np.zeros(n, bool)
    chosen[np.random.default_rng(seed).permutation(n)[: round(share * n)]] = True
    return chosen


@tasks.add("age of an abalone", paper="mle-smith")
def abalone() -> Written:
    """Rings are counted under a microscope; how near do outer measures come?"""
    t = raw("abalone", header=False)
    t.columns = ["sex", "length", "diameter", "height", "weight", "meat", "viscera", "shell", "rings"]
    t = t[(t["height"] > 0) & (t["height"] < 0.4)].reset_index(drop=True)  # three that were mistyped
    return Written(t, "rings", drawn(len(t), 0.3, 1), "number", MAE)


@tasks.add("mine or rock", paper="mle-smith")
def sonar() -> Written:
    """Sixty bands of one echo."""
    t = raw("sonar", header=False)
    t.columns = [*(f"band{i:02d}" for i in range(60)), "mine"]
    t["mine"] = (t["mine"] == "M").astype(int)
    return Written(t, "mine", drawn(len(t), 0.4, 2), "chance", AUC)


@tasks.add("sex of a penguin", paper="mle-smith")
def penguins() -> Written:
    """From the measures of the body; the species is known."""
    t = raw("penguins").dropna(subset=["sex"]).reset_index(drop=True)
    return Written(t, "sex", drawn(len(t), 0.4, 3), "class", ACCURACY)


@tasks.add("price of a car", paper="mle-smith")
def automobile() -> Written:
    """What a car cost in 1985. The insurers' risk and losses are left out: they are set from the price."""
    t = raw("automobile", header=False)
    names = (
        "risk losses make fuel aspiration doors body wheels engine_place base length width height weight engine cylinders size"
    )
    t.columns = [*names.split(), "system", "bore", "stroke", "compression", "horsepower", "rpm", "city", "highway", "price"]
    t = t.drop(columns=["risk", "losses"]).dropna(subset=["price"]).reset_index(drop=True)
    return Written(t, "price", drawn(len(t), 0.35, 4), "number", LOG)


@tasks.add("a good wine", paper="mle-smith")
def wine() -> Written:
    """Which red wines tasters give seven points or more: about one in seven."""
    t = raw("wine", header=False)
    t.columns = [
        "fixed",
        "volatile",
        "citric",
        "sugar",
        "chlorides",
        "free",
        "total",
        "density",
        "ph",
        "sulphates",
        "alcohol",
        "points",
    ]
    t["good"] = (t.pop("points") >= 7).astype(int)
    t = t.drop_duplicates().reset_index(drop=True)
    return Written(t, "good", drawn(len(t), 0.3, 5), "chance", PRECISION)


@tasks.add("what becomes of a horse", paper="mle-smith")
def colic() -> Written:
    """Lived, died or was put down, from what the vet saw first; what surgery found is not known then."""
    t = raw("colic", header=False)
    t.columns = [
        *[
            "surgery",
            "age",
            "hospital",
            "temperature",
            "pulse",
            "breath",
            "extremities",
            "peripheral",
            "mucous",
            "refill",
            "pain",
            "peristalsis",
        ],
        *[
            "distension",
            "tube",
            "reflux",
            "ph",
            "feces",
            "abdomen",
            "cells",
            "protein",
            "look",
            "abdominal",
            "outcome",
            "lesion",
            "site",
            "type",
            "subtype",
            "data",
        ],
    ]
    t = t.dropna(subset=["outcome"]).drop(columns=["hospital", "lesion", "site", "type", "subtype", "data", "surgery"])
    t = t.reset_index(drop=True)
    t["outcome"] = t["outcome"].map({1: "lived", 2: "died", 3: "put down"})
    return Written(t, "outcome", drawn(len(t), 0.35, 6), "class", F1)


@tasks.add("fuel of newer cars", paper="mle-smith")
def mpg() -> Written:
    """Learned from cars up to 1978, asked of those after: what changed is part of the task. Names tell single cars and go."""
    t = raw("mpg").dropna(subset=["mpg"]).drop(columns=["name"]).reset_index(drop=True)
    return Written(t, "mpg", (t["model_year"] > 78).to_numpy(), "number", RMSE)


@tasks.add("rain tomorrow", paper="mle-smith")
def weather() -> Written:
    """From today and yesterday; the last of the four years is kept for the grader."""
    import pandas as pd

    t = raw("weather")
    day = pd.to_datetime(t.pop("date"))
    t = t.drop(columns=["weather"])
    table = t.join(t.shift(1).add_suffix("_yesterday")).assign(month=day.dt.month)
    table["rain"] = (t["precipitation"].shift(-1) > 0).astype(int)
    kept = slice(1, len(table) - 1)
    return Written(table[kept].reset_index(drop=True), "rain", (day.dt.year == day.dt.year.max()).to_numpy()[kept], "chance", AUC)


def written(name: str, home: Path) -> Path:
    """The task's folder, in `home`."""
    import numpy as np

    w = tasks[name]()
    folder = home / name.replace(" ", "-")
    for part in ("public", "private"):
        (folder / part).mkdir(parents=True)
    order = np.random.default_rng(0).permutation(len(w.table))
    table, test = w.table.iloc[order].reset_index(drop=True), w.test[order]
    table.insert(0, "id", np.arange(len(table)))
    train, asked = table[~test], table[test]
    middle = 0.5 if w.answer == "chance" else train[w.target].mode()[0] if w.answer == "class" else train[w.target].median()
    train.to_csv(folder / "public" / "train.csv", index=False)
    asked.drop(columns=w.target).to_csv(folder / "public" / "test.csv", index=False)
    asked[["id"]].assign(**{w.target: middle}).to_csv(folder / "public" / "sample_submission.csv", index=False)
    asked[["id", w.target]].to_csv(folder / "private" / "answers.csv", index=False)
    features = [c for c in w.table.columns if c != w.target]
    metric = {"name": w.metric.name, "higher_is_better": w.metric.higher, "optimum": w.metric.optimum}
    task = {
        "name": f"by hand/{name}", "title": name, "kind": "by hand", "targets": [w.target], "answer": w.answer, "metric": metric,
        "split": {"by": "random"}, "features": features, "sides": [], "query": None,
    }  # fmt: skip
    write_text(folder / "task.yaml", yaml.safe_dump(task))
    write_text(folder / "metric.py", SCRIPT.format(imports=w.metric.imports, target=w.target, formula=w.metric.formula))
    return folder


SCRIPT = """import numpy as np
import pandas as pd
{imports}


def score(submission, answers):
    truth = pd.read_csv(answers).set_index("id")["{target}"]
    given = pd.read_csv(submission).set_index("id")["{target}"].loc[truth.index]
    return float({formula})
"""
