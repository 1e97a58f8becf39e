"""A run's folder: its checkpoints, records and traces. Whatever has a name in it is whole."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ratchet.core.errors import StoreError
from ratchet.core.types import Draw, Judge, Trace, Verdict

Tensors = dict[str, torch.Tensor]


def holds_run(folder: Path) -> bool:
    """Whether a run began in the folder, however far it came."""
    return any((folder / name).exists() for name in ("recipe.json", "journal.jsonl", "checkpoints"))


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder beside its place, flush it, and rename it there: it is either whole or absent."""
    beside = target.with_name(f".{target.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        fill(beside)
        for file in beside.iterdir():
            with file.open("rb") as f:
                os.fsync(f.fileno())
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
        sync_folder(target.parent)
    except Exception as e:  # the writers of weights and tokenizers raise types of their own on a full disk
        shutil.rmtree(beside, ignore_errors=True)
        raise StoreError(f"cannot write {target}: {getattr(e, 'strerror', None) or e}; free space, then `ratchet resume`") from e


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- checkpoints -------------------------------------------------------------------------------------------------


def save_checkpoint(folder: Path, groups: Mapping[str, Tensors], state: Mapping[str, Any]) -> None:
    """Groups of tensors and a JSON state, with the digest of every file."""

    def fill(beside: Path) -> None:
        digests: dict[str, str] = {}
        for name, tensors in groups.items():
            file = beside / f"{name}.safetensors"
            save_file({k: v.detach().contiguous() for k, v in tensors.items()}, file)
            digests[file.name] = digest_of(file)
        body = json.dumps({**state, "digests": digests}, sort_keys=True)
        (beside / "state.json").write_text(json.dumps({"state": body, "digest": digest_of_text(body)}))

    write_folder(folder, fill)


def load_checkpoint(folder: Path, device: str) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """What `save_checkpoint` wrote. Raises StoreError where a file is missing or its digest does not fit."""
    try:
        written = json.loads((folder / "state.json").read_text())
        if digest_of_text(written["state"]) != written["digest"]:
            raise StoreError(f"{folder / 'state.json'} is damaged")
        state: dict[str, Any] = json.loads(written["state"])
        for name, digest in state["digests"].items():
            if digest_of(folder / name) != digest:
                raise StoreError(f"{folder / name} is damaged")
        groups = {Path(name).stem: load_file(folder / name, device=device) for name in state["digests"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as e:
        raise StoreError(f"{folder} is damaged: {e}") from e
    return groups, state


def digest_of_text(text: str) -> str:
    return hashlib.blake2b(text.encode()).hexdigest()


def digest_of_weights(folder: Path) -> str:
    """One digest of all the safetensors files of a folder."""
    return digest_of_text(" ".join(digest_of(file) for file in sorted(folder.glob("*.safetensors"))))


def digest_of_model(folder: Path) -> str:
    """16 hexadecimal digits of a model's folder: its weights, its configuration and its tokenizer, by name and content."""
    files = sorted(f for f in folder.iterdir() if f.suffix in (".safetensors", ".json", ".jinja", ".model") and f.is_file())
    return digest_of_text(" ".join(f"{f.name} {digest_of(f)}" for f in files))[:16]


def digest_of(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "blake2b").hexdigest()


# ---- traces ------------------------------------------------------------------------------------------------------


def trace_json(trace: Trace) -> dict[str, Any]:
    """A trace for people and for measuring: texts, verdicts and counts, without token ids. A draw that went on from another has its
    place as `parent`; `judgements` are a scorer, its scores, and the places of what it scored."""
    completions = trace.completions
    places = {id(c): i for i, c in enumerate(completions)}
    parents = [places.get(id(e.request.prefix)) for e in trace.events if isinstance(e.request, Draw) for _ in e.answer]
    return {
        "key": trace.task.key,
        "family": trace.task.family,
        "verifier": trace.task.verifier,
        "split": trace.task.split,
        "prompt": trace.task.prompt,
        "gold": trace.task.answer,
        "facts": dict(trace.task.facts),
        "strategy": trace.strategy,
        "sample": trace.sample,
        "draws": [
            {
                "role": c.role,
                "text": c.text,
                "stop": c.stop,
                "tokens": len(c.tokens),
                "parent": parent,
                "given": len(c.given),
                "own_prompt": asked,
                **verdict_json(v),
            }
            for c, v, parent, asked in zip(completions, trace.verdicts, parents, trace.own_prompts, strict=False)
        ],
        "judgements": [
            [e.request.scorer, list(e.answer), [places.get(id(c)) for c in e.request.completions]]
            for e in trace.events
            if isinstance(e.request, Judge)
        ],
        "chosen": places.get(id(trace.answer)),
        **verdict_json(trace.verdict),
        "cost": asdict(trace.cost),
        **({"cut": trace.cut} if trace.cut else {}),
    }


def tree_of(trace: Mapping[str, Any]) -> list[tuple[int, int, str, list[tuple[str, float]]]]:
    """The draws of a stored trace, each behind the one that it went on from: place, depth, the text that it added, and what scorers
    said of it."""
    draws: Sequence[Mapping[str, Any]] = trace["draws"]
    children: dict[int | None, list[int]] = {}
    for i, draw in enumerate(draws):
        children.setdefault(draw.get("parent"), []).append(i)
    scores: dict[int, list[tuple[str, float]]] = {}
    for scorer, given, *places in trace["judgements"]:
        for place, score in zip(places[0] if places else (), given, strict=False):
            if place is not None and (scorer, score) not in scores.setdefault(place, []):
                scores[place].append((scorer, score))
    found: list[tuple[int, int, str, list[tuple[str, float]]]] = []
    left = [(i, 0) for i in reversed(children.get(None, []))]
    while left:
        i, depth = left.pop()
        before = draws[draws[i]["parent"]]["text"] if depth else ""
        found.append((i, depth, draws[i]["text"].removeprefix(before).strip(" "), scores.get(i, [])))
        left += [(child, depth + 1) for child in reversed(children.get(i, []))]
    return found


def verdict_json(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"outcome": "none", "evidence": "no answer was returned", "answer": None}
    return {"outcome": str(verdict.outcome), "evidence": verdict.evidence, "answer": verdict.answer}


def write_traces(file: Path, traces: Sequence[Trace]) -> None:
    """Gzipped JSON Lines; the same traces give the same bytes."""
    lines = "".join(json.dumps(trace_json(t), ensure_ascii=False, default=str) + "\n" for t in traces)
    beside = file.with_name(f".{file.name}.writing")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(gzip.compress(lines.encode("utf-8", "replace"), mtime=0))
        beside.replace(file)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise StoreError(f"cannot write {file}: {e.strerror or e}; free space, then `ratchet resume`") from e


def read_traces(file: Path) -> Iterator[dict[str, Any]]:
    """Traces that `write_traces` wrote. Raises StoreError with the line's number for a damaged file."""
    number = 0
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                yield json.loads(line)
    except (OSError, EOFError, ValueError, zlib.error) as e:
        raise StoreError(f"{file} is damaged after line {number}: {e}") from None
