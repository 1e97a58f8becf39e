"""Tasks from a file: JSON Lines, JSON, CSV (all also gzipped) or Parquet with `prompt`, `answer` and a verifier's name; or of the hub.

A row that is judged by its `facts`, such as the tests of a program or the constraints on a text, needs no answer; a text that passes
may stand in `facts.gold`.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families

Rows = Iterator[tuple[int, Any]]
ENDINGS = ".jsonl, .json, .csv, .tsv (each also .gz) or .parquet"
TEXT: dict[str, Any] = {"encoding": "utf-8-sig", "newline": ""}
CHUNK = 1 << 16  # characters that are read of a list at a time
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


def rows_of(path: str) -> Rows:
    """(number, row) from a file by its ending, read as it is walked; of a data set of the hub where no such file exists."""
    file = Path(path)
    kind = next((k for k in READERS if file.name.removesuffix(".gz").endswith(k)), "")
    if not file.exists():
        yield from enumerate(hub_rows(path), start=1)
    elif file.is_dir():
        raise TaskError(f"{path} is a folder; give one {ENDINGS} file")
    elif file.suffix == ".parquet":
        yield from enumerate(parquet_rows(file), start=1)
    elif not kind:
        raise TaskError(f'{path} ends in "{file.suffix}"; task files end in {ENDINGS}')
    else:
        number = 0
        try:
            with gzip.open(file, "rt", **TEXT) if file.suffix == ".gz" else file.open(**TEXT) as text:
                for number, row in READERS[kind](text, path):
                    yield number, row
        except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as e:
            raise TaskError(f"{path} cannot be read as UTF-8 text after row {number}: {e}") from None


def line_rows(text: TextIO, path: str) -> Rows:
    for number, line in enumerate(text, start=1):
        if line.strip():
            yield number, parse(line, f"{path}, row {number}")


def parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        raise TaskError(f"{where} is not JSON: {e}") from None


def json_rows(text: TextIO, path: str) -> Rows:
    """The members of an array, each as soon as it is read; else the one value that the file holds."""
    held = text.read(CHUNK)
    at, number = len(held) - len(held.lstrip()), 0
    if not held.startswith("[", at):
        yield 1, parse(held + text.read(), path)
        return
    at += 1
    while True:
        at = next((i for i in range(at, len(held)) if held[i] not in " \t\r\n,"), len(held))
        if held.startswith("]", at):
            return
        wrong = "the list has no end"
        try:
            row, end = json.JSONDecoder().raw_decode(held, at)
        except (ValueError, RecursionError) as e:
            wrong, end = str(e), len(held)
        if end < len(held):  # a number at the end of what is held may go on
            number, at = number + 1, end
            yield number, row
            continue
        held = held[at:]
        more = text.read(max(CHUNK, len(held)))
        if not more:
            raise TaskError(f"{path}, row {number + 1} is not JSON: {wrong}")
        held, at = held + more, 0


def table_rows(text: TextIO, path: str, separator: str = ",") -> Rows:
    """The rows of a table, by the names in its first line. Every cell is text."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(text, delimiter=separator)
    try:
        for number, row in enumerate(reader, start=1):
            if None in row:
                raise TaskError(f"{path}, row {number} has more cells than the first line has names")
            yield number, row
    except csv.Error as e:
        raise TaskError(f"{path}, line {reader.line_num} is not of a table: {e}") from None


READERS: dict[str, Callable[[TextIO, str], Rows]] = {
    ".jsonl": line_rows,
    ".ndjson": line_rows,
    ".json": json_rows,
    ".csv": table_rows,
    ".tsv": lambda text, path: table_rows(text, path, "\t"),
}


def parquet_rows(file: Path) -> Iterator[Any]:
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(1_000):
            yield from batch.to_pylist()
    except (OSError, ValueError) as e:
        raise TaskError(f"{file} is not a Parquet file: {e}") from None


def hub_rows(name: str) -> Iterable[Any]:
    """Rows of `owner/name` or `owner/name:split` from the Hugging Face hub."""
    dataset, _, split = name.partition(":")
    missing = TaskError(f"{name} is neither a file nor a data set of the hub that can be reached")
    if name.endswith((*READERS, ".gz", ".parquet")) or dataset.count("/") > 1:
        raise TaskError(f"{name} does not exist; give a {ENDINGS} file")
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
