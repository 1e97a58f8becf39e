"""Tasks from a file: JSON Lines (also gzipped), JSON or Parquet with `prompt`, `answer` and a verifier's name; or a data set of the hub.

A row that is judged by its `facts`, such as the tests of a program or the constraints on a text, needs no answer; a text that passes
may stand in `facts.gold`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families

FIELDS = ("prompt", "answer", "verifier", "facts", "cluster")


def read(path: str, *, verifier: str = "", prompt: str = "prompt", answer: str = "answer") -> list[Task]:
    """Every row as a task, repeated rows once. `prompt` and `answer` name the columns; `verifier` is for rows without one.

    Raises TaskError with the row's number for a row that is not a task.
    """
    names = (prompt, answer)
    tasks = [task_of(row, f"{path}, row {number}", verifier, names) for number, row in rows_of(path)]
    if not tasks:
        raise TaskError(f"{path} holds no rows; each must be an object with prompt, answer and verifier")
    return list({t.key: t for t in tasks}.values())


def rows_of(path: str) -> Iterator[tuple[int, Any]]:
    """(number, row) from a file by its ending, or from a data set of the hub where no such file exists."""
    file = Path(path)
    if not file.exists():
        yield from enumerate(hub_rows(path), start=1)
    elif file.is_dir():
        raise TaskError(f"{path} is a folder; give one .jsonl, .jsonl.gz, .json or .parquet file")
    elif file.suffix == ".parquet":
        yield from enumerate(parquet_rows(file), start=1)
    elif file.suffix == ".json":
        try:
            data = parse(file.read_text(encoding="utf-8"), path)
        except UnicodeDecodeError as e:
            raise TaskError(f"{path} cannot be read as UTF-8 text: {e}") from None
        yield from enumerate(data if isinstance(data, list) else [data], start=1)
    elif file.name.endswith((".jsonl", ".jsonl.gz", ".ndjson")):
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            try:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield number, parse(line, f"{path}, row {number}")
            except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as e:
                raise TaskError(f"{path} cannot be read as UTF-8 text: {e}") from None
    else:
        raise TaskError(f'{path} ends in "{file.suffix}"; task files end in .jsonl, .jsonl.gz, .json or .parquet')


def parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as e:
        raise TaskError(f"{where} is not JSON: {e}") from None


def parquet_rows(file: Path) -> Iterable[Any]:
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(file).to_pylist()
    except (OSError, ValueError) as e:
        raise TaskError(f"{file} is not a Parquet file: {e}") from None


def hub_rows(name: str) -> Iterable[Any]:
    """Rows of `owner/name` or `owner/name:split` from the Hugging Face hub."""
    dataset, _, split = name.partition(":")
    missing = TaskError(f"{name} is neither a file nor a data set of the hub that can be reached")
    if name.endswith((".jsonl", ".json", ".gz", ".parquet")) or dataset.count("/") > 1:
        raise TaskError(f"{name} does not exist; give a .jsonl, .jsonl.gz, .json or .parquet file")
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise TaskError(f'{name} is not a file; for a data set of the hub install "ratchet[hub]"') from None
    try:
        return datasets.load_dataset(dataset, split=split or "train")
    except Exception as e:  # the library raises many types for no network, no such name, no such split
        raise TaskError(f"{missing}: {str(e)[:200]}") from None


def task_of(row: Any, where: str, verifier: str, names: tuple[str, str]) -> Task:
    prompt, answer = names
    if not isinstance(row, dict):
        raise TaskError(f"{where}: got {type(row).__name__}, each row must be an object with {prompt}, {answer} and verifier")
    own_facts = bool(row.get("facts"))
    missing = [f for f in (prompt, answer) if row.get(f) in (None, "") and not (f == answer and own_facts)]
    if missing:
        raise TaskError(f'{where}: "{missing[0]}" is missing or empty; it has {", ".join(map(str, row)) or "no fields"}')
    if not isinstance(row[prompt], str):
        raise TaskError(f'{where}: "{prompt}" must be a text, got {type(row[prompt]).__name__}')
    name = row.get("verifier") or verifier
    if not isinstance(name, str) or not name:
        raise TaskError(f'{where}: no verifier; add a "verifier" field or --set tasks.knobs.verifier=numeric')
    facts = row.get("facts") or {k: v for k, v in row.items() if k not in (*FIELDS, *names)}
    if not isinstance(facts, Mapping):
        raise TaskError(f'{where}: "facts" must be an object, got {type(facts).__name__}')
    right = row.get(answer)
    if right is True or right is False or isinstance(right, Mapping) or right == []:
        raise TaskError(f'{where}: "{answer}" must be a text, a number or a list of either, got {right!r}')
    # without a cluster of its own a row stays with all rows of the same question, whatever their answers
    cluster = row.get("cluster")
    own = " ".join(row[prompt].casefold().split()) if cluster is None else str(cluster)
    identity = "" if right is not None else json.dumps([row[prompt], dict(facts)], sort_keys=True, default=str)
    return Task("files", row[prompt], right, name, facts, identity, own)


def gold(task: Task) -> str | None:
    """A text that passes; None where a task is judged by its facts and has none."""
    if task.answer is None:
        return None if task.facts.get("gold") is None else str(task.facts["gold"])
    right = first(task)
    return f"<answer>{right}</answer>" if "\n" in right.strip() else f"answer {right}"


def first(task: Task) -> str:
    return str(task.answer[0] if isinstance(task.answer, (list, tuple)) else task.answer)


def decoys(task: Task) -> Mapping[str, str]:
    """Answers that look right and are not."""
    always = {"empty": "", "prompt echo": task.prompt}
    if task.answer is None:
        return always
    right = first(task)
    return always | {
        "hedge with two answers": f"answer {right} or something else",
        "right value, wrong form": f"answer {right} = {right}",
        "look-alike": f"answer {right}\u0336",
    }


families.put("files", Family(None, gold, decoys, read=read), summary=__doc__)
