"""The three roles played by a model behind an endpoint. What it writes is data until the sandbox runs it: formulations are read as
JSON and checked, scripts go through the same verification as those of the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ratchet.core.errors import EngineError, SmithError
from ratchet.smith import scoring
from ratchet.smith.checking import Problem
from ratchet.smith.formulation import Dataset, Formulation
from ratchet.smith.kinds.columns import SEED, TEST, classes_of, features_of, positive_of, split_at_random
from ratchet.smith.package import plan_of, scripts, task_of

REPAIRS = 2  # times that an invalid reply is asked about again
EXAMPLES = 4  # cells of a column that the model sees
LONGEST = 200_000  # characters of a script
BRAINSTORM = """You design machine-learning competitions from raw data. Below are its tables.

{tables}

Propose up to {most} different tasks whose label can be taken from the data. Reply with one JSON object and nothing else:
{{"tasks": [{{"table": ..., "target": ..., "metric": one of {metrics}, "features": [columns that may be used], "split": "random" |
"stratified" | {{"group": column}}, "title": ..., "why": ...}}]}}
Leave out of the features whatever identifies a row or gives the target away."""
REFORMULATE = """A task failed its verification.

{task}

The check "{check}" says: {what}

Reply with the task as it should be, as one JSON object with the same keys, or {{"drop": true}} where it cannot be mended."""
DESIGN = """Write the description of this competition for the people who will take part: the task, the files, the columns, the score,
the submission. It must name the target, the metric and sample_submission.csv. Where you write {{learned}} and {{told}}, the numbers of
rows of train.csv and test.csv will stand.{wrong}

{task}

Reply with one JSON object: {{"description": Markdown}}"""
REFACTOR = """Write two Python scripts for this competition; they may use pandas, numpy and scikit-learn.

{task}

prepare.py is called as `python prepare.py RAW OUT`: it reads the raw files in the folder RAW and writes OUT/public/train.csv,
OUT/public/test.csv, OUT/public/sample_submission.csv and OUT/private/answers.csv, each with a column `id` of whole numbers; the same input
must give the same bytes. metric.py defines HIGHER_IS_BETTER, OPTIMUM, InvalidSubmission(ValueError) and
score(submission_path, answers_path) -> float, which raises InvalidSubmission with one clear sentence for every file that is not a
whole submission.

For reference, scripts that do this by a plan:
{example}
{wrong}
Reply with one JSON object: {{"prepare": source, "metric": source}}"""


class Ask(Protocol):
    """`models.endpoint.Endpoint`, or anything that counts its tokens."""

    tokens: int

    def __call__(self, prompt: str) -> str: ...


class Spent(SmithError):
    """The cap on tokens is reached."""


@dataclass
class Model:
    """Roles by a model. `cap` bounds the tokens of prompts and replies together; every exchange goes to the file `log`."""

    ask: Ask
    log: Path
    cap: int = 200_000
    most: int = 8

    def brainstorm(self, data: Dataset) -> Iterator[Formulation]:
        prompt = BRAINSTORM.format(tables=tables(data), most=self.most, metrics=", ".join(scoring.HIGHER))
        reply = self.asked("brainstormer", prompt, lambda r: [formulation(data, t) for t in listed(r, "tasks")])
        yield from reply

    def reformulate(self, data: Dataset, f: Formulation, wrong: Problem) -> Formulation | None:
        prompt = REFORMULATE.format(task=json.dumps(shown(f)), check=wrong.check, what=wrong.what)
        return self.asked("brainstormer", prompt, lambda r: None if r.get("drop") else formulation(data, r))

    def design(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> str:
        told = f"\nThe last try was refused: {wrong.what}" if wrong else ""
        prompt = DESIGN.format(task=json.dumps(shown(f)), wrong=told)
        return self.asked("designer", prompt, lambda r: text_in(r, "description"))

    def refactor(self, data: Dataset, f: Formulation, wrong: Problem | None = None) -> dict[str, str]:
        example = "\n\n".join(f"# {name}\n{text}" for name, text in scripts(data, f).items())
        told = f'\nThe last try was refused: "{wrong.check}": {wrong.what}\n' if wrong else ""
        prompt = REFACTOR.format(task=json.dumps(task_of(data, f, plan_of(data, f))), example=example, wrong=told)
        return self.asked("refactor", prompt, lambda r: {f"{n}.py": text_in(r, n) for n in ("prepare", "metric")})

    def asked(self, role: str, prompt: str, read: Callable[[Mapping[str, Any]], Any]) -> Any:
        """A reply that could be read; an invalid one is shown to the model with what is wrong.

        Raises SmithError where it stays invalid, the endpoint fails, or the cap is reached.
        """
        question = prompt
        wrong = ""
        for _ in range(REPAIRS + 1):
            if self.ask.tokens >= self.cap:
                raise Spent(
                    f"the model was asked for {self.ask.tokens:,} tokens and the cap is {self.cap:,}; raise it with --cap"
                )
            try:
                reply = self.ask(question)
            except EngineError as e:
                self.noted(role, question, "", str(e))
                raise SmithError(f"the {role}'s endpoint failed: {e}") from None
            try:
                found = read(object_in(reply))
            except SmithError as e:
                wrong = str(e)
                self.noted(role, question, reply, wrong)
                question = f"{prompt}\n\nYour last reply could not be used: {wrong}. Reply again with one valid JSON object and nothing else."
                continue
            self.noted(role, question, reply, "")
            return found
        raise SmithError(f"the {role}'s reply stayed invalid after {REPAIRS + 1} tries: {wrong}")

    def noted(self, role: str, prompt: str, reply: str, wrong: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as f:
            f.write(
                json.dumps({"role": role, "prompt": prompt, "reply": reply, "wrong": wrong, "tokens": self.ask.tokens}) + "\n"
            )


# ---- what a model wrote, read ----------------------------------------------------------------------------------------


def object_in(reply: str) -> dict[str, Any]:
    """The JSON object of a reply, also one in a fence of code."""
    fence = re.search(r"```(?:json)?\s*\n(.*?)```", reply, re.S)
    text = (fence[1] if fence else reply).strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise SmithError(f"not JSON ({str(e)[:100]})") from None
    if not isinstance(found, dict):
        raise SmithError(f"a JSON object was asked for, got {type(found).__name__}")
    return found


def listed(reply: Mapping[str, Any], key: str) -> list[Any]:
    found = reply.get(key)
    if not isinstance(found, list) or not found:
        raise SmithError(f'"{key}" must be a list with something in it, got {str(found)[:80]}')
    return found


def text_in(reply: Mapping[str, Any], key: str) -> str:
    found = reply.get(key)
    if not isinstance(found, str) or not found.strip() or len(found) > LONGEST:
        raise SmithError(f'"{key}" must be text of at most {LONGEST:,} characters, got {str(found)[:80]!r}')
    return found


def formulation(data: Dataset, given: Any) -> Formulation:
    """A candidate as the model wrote it, checked against the data.

    Raises SmithError where a table, column or metric is not there, or the metric does not go with the target.
    """
    if not isinstance(given, dict):
        raise SmithError(f"a task must be a JSON object, got {str(given)[:80]}")
    table, target = str(given.get("table")), str(given.get("target"))
    names = next((m for m in data.mains if table in m or table == " and ".join(m)), None)
    if names is None:
        raise SmithError(f'no table "{table[:80]}"; there are {", ".join(data.frames)}')
    frame, profile = data.main(names)
    columns = {c.name for c in profile.columns}
    if target not in columns:
        raise SmithError(
            f'table {table} has no column "{target[:80]}" to be the target; it has {", ".join(sorted(columns))[:400]}'
        )
    metric = given.get("metric")
    if metric not in scoring.HIGHER:
        raise SmithError(f'no metric "{str(metric)[:40]}"; allowed: {", ".join(scoring.HIGHER)}')
    allowed, dropped = features_of(profile, target)
    wanted = given.get("features")
    features = tuple(c for c in allowed if c in wanted) if isinstance(wanted, list) and wanted else allowed
    if not features:
        raise SmithError(f"none of the features {str(wanted)[:120]} can be used; allowed: {', '.join(allowed)[:400]}")
    kind, classes, extra = answered(frame[target], profile[target].kind, str(metric), target)
    left = {c: "the brainstormer left it out" for c in allowed if c not in features}
    title, why = (
        str(given.get(k) or default)[:200] for k, default in (("title", f"Tell {target}."), ("why", "proposed by a model"))
    )
    split = split_of(given.get("split"), columns, bool(classes))
    return Formulation(kind, names, (target,), str(metric), features, split, title, why, dropped | left, classes, extra)


def answered(values: Any, kind: str, metric: str, target: str) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The task's kind, its classes and what else it needs, by the metric."""
    if metric in ("auc", "average_precision", "accuracy", "macro_f1"):
        classes = classes_of(values, 10)
        if not 2 <= len(classes) <= 60:
            raise SmithError(f"{metric} needs a target of 2 to 60 classes of 10 rows or more; {target} has {len(classes)}")
        if metric in ("auc", "average_precision"):
            if len(classes) != 2:
                raise SmithError(f"{metric} needs a target of two classes; {target} has {len(classes)}")
            return "binary", classes, positive_of(values, classes)
        return "multiclass", classes, {}
    if kind not in ("level", "count", "number", "binary") or metric in ("mean_auc", "ndcg"):
        raise SmithError(f"{metric} does not go with the column {target}, which is {kind}")
    return ("ordinal" if metric == "quadratic_kappa" else "regression"), (), {}


def split_of(given: Any, columns: set[str], discrete: bool) -> dict[str, Any]:
    if isinstance(given, dict) and given.get("group") in columns:
        return {"by": "group", "column": given["group"], "test": TEST, "seed": SEED}
    if given in (None, "random", "stratified"):
        return split_at_random(discrete and given != "random")
    raise SmithError(f'no split {str(given)[:60]}; allowed: "random", "stratified", {{"group": column}}')


def tables(data: Dataset) -> str:
    """What the model sees of the data: columns, kinds, a few cells."""
    lines: list[str] = []
    for names in data.mains:
        frame, profile = data.main(names)
        lines.append(f"Table {names[0]} ({len(frame):,} rows)")
        for c in profile.columns:
            some = [] if c.kind == "image" else [str(v)[:40] for v in frame[c.name].dropna().unique()[:EXAMPLES]]
            lines.append(f"- {c.name}: {c.kind}, {c.distinct} different, {c.missing:.0%} missing, such as {', '.join(some)}")
    return "\n".join(lines)


def shown(f: Formulation) -> dict[str, Any]:
    split = {"group": f.split["column"]} if f.split["by"] == "group" else f.split["by"]
    return {
        "table": f.tables[0], "target": f.targets[0], "metric": f.metric, "features": list(f.features), "split": split,
        "title": f.title, "why": f.why,
    }  # fmt: skip
