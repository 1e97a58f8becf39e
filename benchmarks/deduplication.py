"""Near-duplicates beside datasketch: the contenders of `benchmarks.curation`, which run in the peers' environment too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.contest import Clock
from benchmarks.curation_faults import read
from ratchet.data.filters import Row
from ratchet.data.repeats import near, plain_words
from ratchet.tasks.near_duplicates import near_pairs, word_pairs

NEAR = 0.6
ROWS = 5_000  # of the questions that the speed is measured on


def questions(data: str) -> list[Row]:
    """Questions of the sets; a third of them comes back with a word changed."""
    rows: list[Row] = []
    for name, field in (
        ("gsm8k/train", "question"),
        ("math/train", "problem"),
        ("math_eval_misc/asdiv", "question"),
        ("math_eval_misc/college_math", "question"),
    ):
        rows += [
            Row(f"{r.get('body', '')} {r[field]}".strip(), str(r["answer"]), (), f"{name} {i}")
            for i, r in enumerate(read(Path(data) / f"{name}.jsonl.gz"))
        ]
    rows = rows[:: max(1, len(rows) // ROWS)]
    again = [replace(r, question=r.question.replace(" the ", " this ", 1), where=f"{r.where} again") for r in rows[::3]]
    return rows + again


def ours(clock: Clock, data: str) -> None:
    rows = questions(data)
    while True:
        clock.start()
        find = near(rows[:5000], [], near=NEAR)
        hits = [r.where for r in rows if find(r)]
        clock.stop(rows=len(rows), **recalled(rows, hits))


def joined(clock: Clock, data: str) -> None:
    """The exact join of `near_duplicates`: the same pairs that MinHash estimates, whatever their numbers and answers."""
    rows = questions(data)
    while True:
        clock.start()
        found = {max(i, j) for i, j in near_pairs([word_pairs(plain_words(r.question)) for r in rows], NEAR)}
        clock.stop(rows=len(rows), **recalled(rows, [rows[i].where for i in found]))


def datasketch(clock: Clock, data: str) -> None:
    from datasketch import MinHash, MinHashLSH

    rows = questions(data)
    while True:
        clock.start()
        index = MinHashLSH(threshold=NEAR, num_perm=128)
        hits: list[str] = []
        for i, row in enumerate(rows):
            words = plain_words(row.question)
            signature = MinHash(num_perm=128)
            signature.update_batch([f"{a} {b}".encode() for a, b in zip(["", *words], [*words, ""], strict=True)])
            if index.query(signature):
                hits.append(row.where)
            index.insert(i, signature)
        clock.stop(rows=len(rows), **recalled(rows, hits))


def recalled(rows: Sequence[Row], hits: Sequence[str]) -> dict[str, int]:
    """How many of the rows that came back were found, and what else was."""
    again = {r.where for r in rows if r.where.endswith("again")}
    return {"again": len(again), "found_again": len(again & set(hits)), "found_else": len(set(hits) - again)}
