"""The traces that a page carries: grouped by task, trimmed to a number of bytes in an order that content decides."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ratchet.loop.store import tree_of

MOST_BYTES = 4_000_000  # of a page's 5 MB
MOST_SAMPLES = 8  # of one task and one model
MOST_TEXT = 6_000  # characters of one text; more than that is cut in its middle

ONE = {"1": "solved", "0": "not solved"}
TWO = {"11": "solved before and after", "10": "only before", "01": "only after", "00": "neither"}


def visible(text: Any) -> str:
    """Text as it may be shown: what steers a terminal, a browser or the direction of reading becomes a visible sign."""
    return "".join(c if c.isprintable() or c in "\n\t" or unicodedata.category(c) == "Zs" else "\ufffd" for c in str(text))


def short(text: Any) -> str:
    """A text without its middle where it is too long; the end stays, since answers stand there."""
    shown = visible(text)
    cut = len(shown) - MOST_TEXT
    if cut <= 0:
        return shown
    half = MOST_TEXT // 2
    return f"{shown[:half]}\n[... {cut:,} characters left out ...]\n{shown[-half:]}"


def collect(columns: Mapping[str, Iterable[Mapping[str, Any]]], names: Mapping[str, str], between: str) -> dict[str, Any]:
    """The browser's data: for every task its samples in each column, at most `MOST_BYTES` of JSON in all.

    Groups say in which columns a task was solved: at least one of its samples passed; `names` has each by its code, a 1 or a 0 for each
    column, and one without a task is left out where there are many groups; `between` stands between a task's counts by column. Where not
    all tasks fit, the groups take turns, each in the order of the tasks' keys (hashes of their content), so that a small group is whole.
    """
    tasks = gather(columns)
    groups: dict[str, list[dict[str, Any]]] = {code: [] for code in names}
    for task in sorted(tasks, key=lambda t: t["key"]):
        groups[task["group"]].append(task)
    shown, used = [], 0
    for task in (t for turn in zip_longest(*groups.values()) for t in turn if t is not None):
        used += len(embedded(task)) + 1
        if used > MOST_BYTES:
            break
        shown.append(task)
    counts = {code: [sum(t["group"] == code for t in shown), len(members)] for code, members in groups.items()}
    return {
        "columns": list(columns),
        "between": between,
        "groups": [
            {"code": code, "name": name, "counts": counts[code]}
            for code, name in names.items()
            if groups[code] or len(names) <= 4
        ],
        "tasks": sorted(shown, key=lambda t: t["key"]),
        "all": len(tasks),
    }


def gather(columns: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Tasks with their samples by column; only those that every column has."""
    about: dict[str, Mapping[str, Any]] = {}
    drawn: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for name, traces in columns.items():
        for trace in traces:
            about.setdefault(trace["key"], trace)
            drawn[trace["key"]][name].append(trace)
    return [task_of(about[key], [d[name] for name in columns]) for key, d in drawn.items() if len(d) == len(columns)]


def task_of(about: Mapping[str, Any], sides: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    gold = about["gold"]
    return {
        "key": about["key"],
        "prompt": short(about["prompt"]),
        "gold": short(gold if isinstance(gold, str) else json.dumps(gold, ensure_ascii=False)),
        "group": "".join(str(int(any(t["outcome"] == "pass" for t in side))) for side in sides),
        "passed": [[sum(t["outcome"] == "pass" for t in side), len(side)] for side in sides],
        "samples": [[sample_of(t) for t in sorted(side, key=lambda t: t["sample"])[:MOST_SAMPLES]] for side in sides],
    }


def sample_of(trace: Mapping[str, Any]) -> list[Any]:
    """Verdict, evidence and the draws, as a tree: role, the text that each added, stop reason, tokens, whether it was chosen as the
    answer, its depth, and what scorers said of it."""
    draws = [
        [visible((d := trace["draws"][i])["role"]), short(text), visible(d["stop"]), d["tokens"], i == trace["chosen"], depth,
         ", ".join(f"{visible(scorer)} {score:.3f}" for scorer, score in scores)]
        for i, depth, text, scores in tree_of(trace)
    ]  # fmt: skip
    return [visible(trace["outcome"]), short(trace["evidence"]), draws]


def embedded(data: Any) -> str:
    """JSON that is safe within a script element: plain ASCII without <, > and &."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
