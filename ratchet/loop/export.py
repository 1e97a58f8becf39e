"""Stored traces as training data: each format is a function from traces to rows, as other trainers read them.

Rows are made of texts; who trains applies his own tokenizer. A draw that another one goes on from is a part: parts are no answers, and
a whole answer holds the text of its parts.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ratchet.core.errors import RecipeError, StoreError
from ratchet.core.registry import Registry

Json = Mapping[str, Any]
Format = Callable[[Sequence[Json]], Iterator[dict[str, Any]]]
"""Traces of one task -> rows."""

formats: Registry[Format] = Registry("export format", "ratchet.loop", RecipeError)


def answers(traces: Sequence[Json]) -> list[Json]:
    """Whole answers of the solver to the task's own prompt, all of whose words were drawn, judged pass or fail, each text once."""
    found: dict[str, Json] = {}
    for trace in traces:
        for i in whole(trace):
            draw = trace["draws"][i]
            if draw["role"] == "solver" and of_its_own(draw):
                found.setdefault(draw["text"], draw)
    return list(found.values())


def of_its_own(draw: Json) -> bool:
    """Whether it answers the task's own prompt, and all of its words were drawn."""
    return not draw.get("given") and draw.get("own_prompt", True)


def whole(trace: Json) -> list[int]:
    """Places of the draws that are answers, judged pass or fail: they ended, or were chosen, and nothing went on from them. What a
    search dropped half-way is no wrong answer."""
    draws = trace["draws"]
    parts = {draw.get("parent") for draw in draws}
    searched = any(parent is not None for parent in parts)
    return [
        i
        for i, draw in enumerate(draws)
        if i not in parts
        and draw["outcome"] in ("pass", "fail")
        and (draw["stop"] == "end" or i == trace["chosen"] or not searched)
    ]


@formats.add("sft", paper="TRL, prompt-completion")
def sft(traces: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """Accepted answers: {"prompt", "completion"}."""
    for draw in answers(traces):
        if draw["outcome"] == "pass":
            yield {"prompt": traces[0]["prompt"], "completion": draw["text"]}


@formats.add("chosen", paper="self-distillation from search")
def chosen(traces: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """What the strategy answered with, where that passed: {"prompt", "completion"}."""
    for trace in traces:
        if trace["outcome"] == "pass" and trace["chosen"] is not None and of_its_own(draw := trace["draws"][trace["chosen"]]):
            yield {"prompt": trace["prompt"], "completion": draw["text"]}


@formats.add("pairs", paper="TRL, preference; arXiv 2305.18290")
def pairs(traces: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """Right beside wrong answers of a task, as many as the rarer kind has: {"prompt", "chosen", "rejected"}."""
    right, wrong = ([d for d in answers(traces) if d["outcome"] == outcome] for outcome in ("pass", "fail"))
    for good, bad in zip(right, wrong, strict=False):
        yield {"prompt": traces[0]["prompt"], "chosen": good["text"], "rejected": bad["text"]}


@formats.add("labels", paper="TRL, unpaired preference; arXiv 2402.01306")
def labels(traces: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """Every answer with its verdict: {"prompt", "completion", "label"}."""
    for draw in answers(traces):
        yield {"prompt": traces[0]["prompt"], "completion": draw["text"], "label": draw["outcome"] == "pass"}


@formats.add("steps", paper="arXiv 2312.08935")
def steps(traces: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """Every part of an answer with the share of what went on from it that is right: {"prompt", "prefix", "step", "value", "n"}."""
    for trace in traces:
        for i, (passed, n) in enumerate(reached(trace)):
            draw = trace["draws"][i]
            before = "" if draw.get("parent") is None else trace["draws"][draw["parent"]]["text"]
            if n:
                step = draw["text"].removeprefix(before)
                yield {"prompt": trace["prompt"], "prefix": before, "step": step, "value": passed / n, "n": n}


def reached(trace: Json) -> list[tuple[int, int]]:
    """For each draw how many whole answers below it passed, and how many were judged; a whole answer counts itself."""
    draws = trace["draws"]
    counts = [[0, 0] for _ in draws]
    for i in whole(trace):
        place: int | None = i
        while place is not None:
            counts[place][0] += draws[i]["outcome"] == "pass"
            counts[place][1] += 1
            place = draws[place].get("parent")
    return [(passed, n) for passed, n in counts]


@formats.add("verl", paper="verl, reinforcement")
def verl(traces: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """The task itself, as verl's trainers read prompts: {"data_source", "prompt", "ability", "reward_model", "extra_info"}. verl's own
    scorers know none of these sources: who trains gives it a reward function, which finds what the verifier needs in `extra_info`."""
    first = traces[0]
    passed = [d["outcome"] == "pass" for d in answers(traces)]
    text = lambda value: json.dumps(value, ensure_ascii=False)  # of tasks of many kinds a column of Parquet has one type
    gold = first["gold"] if isinstance(first["gold"], str) else text(first["gold"])
    needed = {"verifier": first.get("verifier", ""), "answer": text(first["gold"]), "facts": text(first.get("facts", {}))}
    yield {
        "data_source": first.get("family", "ratchet"),
        "prompt": [{"role": "user", "content": first["prompt"]}],
        "ability": "reasoning",
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {"index": first["key"], **needed, "passed": sum(passed), "judged": len(passed)},
    }


@formats.add("raw")
def raw(traces: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """The traces as they are stored."""
    yield from (dict(trace) for trace in traces)


def rows_of(traces: Iterable[Json], make: Format) -> Iterator[dict[str, Any]]:
    """Rows task by task, in the order of the tasks' keys, so that the same traces give the same file."""
    traces = list(traces)
    for trace in traces:
        if not isinstance(trace, Mapping) or not {"key", "sample", "draws", "prompt"} <= set(trace):
            raise StoreError("the file holds no traces; give a run's folder, or what `ratchet eval --traces` wrote")
    for _, own in groupby(sorted(traces, key=lambda t: (t["key"], t["sample"])), key=lambda t: t["key"]):
        yield from make(list(own))


def write_rows(target: Path, rows: Sequence[Json]) -> None:
    """JSON Lines, gzipped for ".gz", or Parquet by the name's end. StoreError for another end, or where it cannot be written."""
    try:
        if target.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            # what has no one type over all rows is written as JSON
            mixed = {
                k
                for r in rows
                for k, v in r.items()
                if isinstance(v, Mapping | list) and k not in ("prompt", "extra_info", "reward_model")
            }
            plain = [{k: json.dumps(v, ensure_ascii=False, default=str) if k in mixed else v for k, v in r.items()} for r in rows]
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(plain), target)
            return
        if not target.name.endswith((".jsonl", ".jsonl.gz")):
            raise StoreError(f"{target} ends in none of .jsonl, .jsonl.gz and .parquet, which is what is written")
        content = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows).encode("utf-8", "replace")
        target.write_bytes(gzip.compress(content, mtime=0) if target.suffix == ".gz" else content)
    except ImportError:
        raise StoreError('Parquet needs pyarrow: pip install "ratchet[parquet]", or write .jsonl') from None
    except OSError as e:
        raise StoreError(f"cannot write {target}: {e.strerror or e}") from e
