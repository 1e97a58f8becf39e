"""What a metric says of good and bad submissions: python grade.py; reads metric.py, answers.csv, task.json and submissions/.

Prints one JSON object. The metric may have been written by a model, so nothing of it is believed but its numbers.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd

ROUNDS, ROWS = 30, 1_000
FEW = 2_000  # rows of the answers against which broken submissions are held
ANSWERS = "answers.csv"
END = "\x1e\n"  # of a line, so that one with a line break in quotes is not torn


def metric():
    spec = importlib.util.spec_from_file_location("metric", "metric.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scored(module, given, answers=ANSWERS):
    """The score of a frame, or of a file's contents; or what was wrong."""
    name = "given.csv"
    if isinstance(given, bytes):
        Path(name).write_bytes(given)
    else:
        given.to_csv(name, index=False)
    try:
        value = module.score(name, answers)
        return {"score": float(value)}
    except BaseException as e:
        return {"refused": str(e)[:200], "by": type(e).__name__}


def broken(good, task):
    """Submissions that must be refused, by what is wrong with them."""
    target = task["targets"][0]
    text = task["answer"] == "class"

    def with_cell(value):
        frame = good.astype({target: object})
        frame.loc[frame.index[len(frame) // 2], target] = value
        return frame

    found = {
        "a row is missing": good.iloc[1:],
        "half of the rows": good.iloc[: len(good) // 2],
        "a row too many": pd.concat([good, good.iloc[:1].assign(id=int(good["id"].max()) + 10_000_000)]),
        "an id is there twice": pd.concat([good, good.iloc[:1]]),
        "an id of no row": good.assign(id=[int(good["id"].max()) + 10_000_000, *good["id"].iloc[1:]]),
        "ids that are no numbers": good.assign(id="row " + good["id"].astype(str)),
        "no id column": good.drop(columns="id"),
        "no prediction": good.drop(columns=target),
        "another column's name": good.rename(columns={target: f"{target}_prediction"}),
        "a column too many": good.assign(more=1),
        "an empty cell": with_cell(np.nan),
        "words": with_cell("no class of ours" if text else "many"),
        "rows without a header": good.to_csv(index=False, header=False).encode(),
        "a header alone": good.iloc[:0],
        "an empty file": b"",
        "no text": bytes(range(256)) * 4,
    }
    if not text:
        found |= {"without end": with_cell(np.inf)}
    if task["answer"] == "chance":
        found |= {"a chance above one": with_cell(1.5), "a chance below zero": with_cell(-0.5)}
    return found


def sheet(frame, own):
    """The header of its file, and each line without the first `own` cells: put into words once, however often a row is drawn."""
    text = frame.iloc[:, own:].to_csv(index=False, header=False, lineterminator=END)
    return frame.iloc[:0].to_csv(index=False), np.array(text.split(END)[:-1], object)


def again(sheet, places, own):
    """A file of these rows, which begin with cells of their own."""
    head, lines = sheet
    return (head + "".join(f"{a},{b}\n" for a, b in zip(own, lines[places]))).encode()


def drawn(truth, task, random):
    """Rounds of rows drawn again (some may come twice), and the query that each then belongs to; a query is drawn as a whole, or as
    much of it as is enough."""
    if not task["query"]:
        for _ in range(ROUNDS):
            yield random.integers(len(truth), size=min(len(truth), ROWS)), None
        return
    groups = list(truth.groupby(truth.columns[1]).indices.values())
    for _ in range(ROUNDS):
        chosen = [groups[i] for i in random.integers(len(groups), size=min(len(groups), ROWS))]
        most = max(10, 3 * ROWS // len(chosen))
        chosen = [random.permutation(c)[:most] if len(c) > most else c for c in chosen]
        yield np.concatenate(chosen), np.repeat(np.arange(len(chosen)), [len(c) for c in chosen])


def gaps(module, truth, frames, task):
    """Of neighbouring rungs, and of the highest over itself with its rows exchanged: resampled differences of the scores, better
    minus worse; and the highest by itself. Who does no better for the rows that are asked for has learned nothing, whatever a constant
    scores."""
    random = np.random.default_rng(0)
    sign = 1 if task["metric"]["higher_is_better"] else -1
    pairs = [("simple", "dummy"), ("strong", "simple"), ("strong", "dummy"), ("strong", "exchanged")]
    strong = frames["strong"]
    frames = frames | {"exchanged": strong.assign(**{t: random.permutation(strong[t].to_numpy()) for t in task["targets"]})}
    right = sheet(truth, 2 if task["query"] else 1)
    said = {name: sheet(frame, 1) for name, frame in frames.items()}
    found = {f"{a} over {b}": [] for a, b in pairs} | {"strong": []}
    for places, query in drawn(truth, task, random):
        ids = range(len(places))
        Path("again.csv").write_bytes(again(right, places, ids if query is None else map("{},{}".format, ids, query)))
        scores = {name: scored(module, again(s, places, ids), "again.csv").get("score", np.nan) for name, s in said.items()}
        for a, b in pairs:
            found[f"{a} over {b}"].append(sign * (scores[a] - scores[b]))
        found["strong"].append(sign * scores["strong"])
    return {
        name: [float(x) for x in np.nanquantile(values, [0.05, 0.5, 0.95])] if np.isfinite(values).any() else None
        for name, values in found.items()
    }


def main():
    task = json.loads(Path("task.json").read_text())
    kinds = dict.fromkeys(task["targets"], str) if task["answer"] == "class" else None
    truth = pd.read_csv(ANSWERS, dtype=kinds, keep_default_na=task["answer"] != "class")
    truth = truth[["id", *truth.columns.drop("id")]]  # as submissions have it; a query comes next
    module = metric()
    perfect = truth[["id", *task["targets"]]]
    truth.iloc[:FEW].to_csv("few.csv", index=False)
    wrong = broken(perfect.iloc[:FEW], task)
    found = {
        "perfect": scored(module, perfect),
        "perfect, rows in another order": scored(module, perfect.sample(frac=1, random_state=1)),
        "ids exchanged": scored(module, perfect.assign(id=np.roll(perfect["id"].to_numpy(), len(perfect) // 3 + 1))),
        "declared": {"higher": bool(module.HIGHER_IS_BETTER), "optimum": float(module.OPTIMUM)},
        "broken": {name: scored(module, frame, answers="few.csv") for name, frame in wrong.items()},
    }
    if task["answer"] == "number":
        noise = np.random.default_rng(0).normal(size=len(perfect)) * perfect[task["targets"][0]].std()
        found["a little wrong"] = scored(
            module, perfect.assign(**{task["targets"][0]: perfect[task["targets"][0]] + 0.1 * noise})
        )
        found["very wrong"] = scored(module, perfect.assign(**{task["targets"][0]: perfect[task["targets"][0]] + 3 * noise}))
    frames = {
        p.stem: pd.read_csv(p, dtype=kinds, keep_default_na=task["answer"] != "class")
        for p in sorted(Path("submissions").glob("*.csv"))
    }
    found["ladder"] = {name: scored(module, frame) for name, frame in frames.items()}
    if {"dummy", "simple", "strong"} <= set(frames) and all("score" in s for s in found["ladder"].values()):
        order = truth["id"].to_numpy()
        drawn_from = truth[truth.columns[1]].nunique() if task["query"] else len(truth)
        found["part"] = min(1.0, ROWS / drawn_from)
        found["gaps"] = gaps(module, truth, {n: f.set_index("id").loc[order].reset_index() for n, f in frames.items()}, task)
        found["strong"] = found["gaps"].pop("strong")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
