"""The third role: a formulation becomes a folder that stands on its own.

    task.yaml  description.md  prepare.py  metric.py  public/  private/

`prepare.py` and `metric.py` are made of the functions of `loading`, `preparing` and `scoring` that the task needs, copied by
their source, so that what a person reads is what was run.
"""

from __future__ import annotations

import ast
import inspect
import pprint
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from ratchet.core.files import write_text
from ratchet.smith import loading, preparing, scoring
from ratchet.smith.formulation import Dataset, Formulation, named

FORMAT = 1
FEW, RARE = 100, 25  # rows of a test set, and of its rarest class, with fewer of which a score is chance
TOLD = 20_000  # rows of a test set, more than which make no score surer
LEAST = 500  # of its groups, or rows of each class: as many there should be for all that
IMPORTS = {
    "gzip": "import gzip", "hashlib": "import hashlib", "io": "import io", "json": "import json", "re": "import re",
    "sqlite3": "import sqlite3", "tarfile": "import tarfile", "zipfile": "import zipfile", "sys": "import sys",
    "Iterator": "from collections.abc import Iterator", "Sequence": "from collections.abc import Sequence",
    "Callable": "from collections.abc import Callable", "closing": "from contextlib import closing",
    "fnmatchcase": "from fnmatch import fnmatchcase", "Path": "from pathlib import Path", "np": "import numpy as np", "pd": "import pandas as pd",
}  # fmt: skip


def plan_of(data: Dataset, f: Formulation) -> dict[str, Any]:
    """What `preparing.prepare` needs to know, in plain values."""
    sides = f.extra.get("sides", [])
    needed = [*f.tables, *(s["table"] for s in sides)]
    readings = {name: data.readings[name] for name in dict.fromkeys(needed)}
    kinds = {c.name: c.kind for c in data.main(f.tables)[1].columns}
    dates = {c: [c] for c in f.features if kinds.get(c) == "date"} | f.extra.get("dates", {})
    chances = f.extra.get("positive") is not None or len(f.targets) > 1
    return {
        "tables": {n: {"reader": r.reader, "file": r.file, "inside": r.inside, "how": r.how} for n, r in readings.items()},
        "main": list(f.tables), "source": named(f.tables), "dates": dates,
        "targets": list(f.targets), "answer": "chance" if chances else "class" if f.classes else "number",
        "classes": list(f.classes), "positive": f.extra.get("positive"), "levels": f.extra.get("levels"),
        "lists": f.extra.get("lists"), "features": list(f.features), "texts": [c for c in f.features if kinds.get(c) == "text"],
        "hidden": f.extra.get("hidden", []), "query": f.extra.get("query"), "sides": sides, "split": f.split,
        "few": FEW, "rare": RARE, "told": TOLD, "least": LEAST,
    }  # fmt: skip


def task_of(data: Dataset, f: Formulation, plan: dict[str, Any]) -> dict[str, Any]:
    """What `task.yaml` holds."""
    return {
        "format": FORMAT, "name": f"{data.name}/{f.name}", "title": f.title, "kind": f.kind, "data": data.name, "why": f.why,
        "targets": list(f.targets), "answer": plan["answer"], "classes": list(f.classes) if plan["answer"] == "class" else [],
        "metric": {"name": f.metric, "higher_is_better": scoring.HIGHER[f.metric], "optimum": scoring.OPTIMUM[f.metric]},
        "split": f.split, "features": list(f.features), "dropped": dict(f.dropped), "sides": plan["sides"], "query": plan["query"],
        "raw": sorted({t["file"] for t in plan["tables"].values()}),
    }  # fmt: skip


def scripts(data: Dataset, f: Formulation) -> dict[str, str]:
    """`prepare.py` and `metric.py`."""
    plan = plan_of(data, f)
    task = task_of(data, f, plan)
    return {"prepare.py": prepare_script(task, plan), "metric.py": metric_script(task)}


def write(folder: Path, data: Dataset, f: Formulation, description: str, code: Mapping[str, str]) -> None:
    """All of the folder but what `prepare.py` makes."""
    task = task_of(data, f, plan_of(data, f))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in code.items():
        write_text(folder / name, text)
    write_text(folder / "description.md", description)
    write_text(folder / "task.yaml", yaml.safe_dump(task, sort_keys=False, allow_unicode=True, width=120))


def prepare_script(task: dict[str, Any], plan: dict[str, Any]) -> str:
    readers = [getattr(loading, t["reader"]) for t in plan["tables"].values()]
    body, names = sources([preparing.prepare, loading.load, *readers], [loading, preparing])
    literal = pprint.pformat(plan, width=110, sort_dicts=False)
    end = (
        '\n\nif __name__ == "__main__":\n'
        '    if len(sys.argv) != 3:\n        sys.exit("usage: python prepare.py RAW OUT")\n'
        '    prepare(Path(sys.argv[1]), Path(sys.argv[2]) / "public", Path(sys.argv[2]) / "private", PLAN)\n'
    )
    title = f'"""{task["title"]}\n\nMakes public/ and private/ from the raw files: python prepare.py RAW OUT\n"""\n'
    return script(title, f"PLAN = {literal}", body, end, names)


def metric_script(task: dict[str, Any]) -> str:
    name = task["metric"]["name"]
    body, names = sources([scoring.score_files, getattr(scoring, name)], [scoring])
    head = (
        f"TARGETS = {task['targets']!r}\nANSWER = {task['answer']!r}\nCLASSES = {task['classes']!r}\n"
        f"HIGHER_IS_BETTER = {task['metric']['higher_is_better']}\nOPTIMUM = {task['metric']['optimum']}"
    )
    end = (
        f"\n\ndef score(submission: str, answers: str) -> float:\n    return score_files(submission, answers, {name}, TARGETS, ANSWER, CLASSES)\n"
        '\n\nif __name__ == "__main__":\n'
        '    if len(sys.argv) != 3:\n        sys.exit("usage: python metric.py SUBMISSION ANSWERS")\n'
        "    try:\n        print(score(sys.argv[1], sys.argv[2]))\n"
        '    except InvalidSubmission as e:\n        sys.exit(f"invalid submission: {e}")\n'
    )
    title = f'"""{task["metric"]["name"]} of a submission: python metric.py SUBMISSION ANSWERS"""\n'
    return script(title, head, body, end, names)


def script(title: str, head: str, body: str, end: str, names: Iterable[str]) -> str:
    used = {*names, *names_in(end)}
    lines = sorted(
        {line for name, line in IMPORTS.items() if name in used}, key=lambda line: (line.split()[1] in ("numpy", "pandas"), line)
    )
    return f"{title}\nfrom __future__ import annotations\n\n" + "\n".join(lines) + f"\n\n{head}\n\n\n{body}{end}"


def sources(wanted: Iterable[Callable[..., Any]], modules: Sequence[ModuleType]) -> tuple[str, frozenset[str]]:
    """The source of functions and of all that they call in these modules, in the order of the files; and the names in it."""
    known = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__
    }
    waiting, found = [f.__name__ for f in wanted], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [called for called in source(known[name])[1] if called in known]
    texts = [source(value) for name, value in known.items() if name in found]
    return "\n\n".join(text for text, _ in texts), frozenset[str]().union(*(names for _, names in texts))


@cache
def source(value: Callable[..., Any]) -> tuple[str, frozenset[str]]:
    """The text of a function or class, and the names in it; finding it takes milliseconds, and every task asks for all of them."""
    text = inspect.getsource(value)
    return text, names_in(text)


def names_in(text: str) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name))
