"""Updates that could take no step are said, counted and kept, and the journal stays JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import REINFORCEMENT, TINY

from ratchet.core.journal import Journal
from ratchet.loop import turn
from ratchet.loop.recipe import resolve
from ratchet.loop.run import begin
from ratchet.loop.turn import skipped


def refuse(word: str) -> Any:
    raise AssertionError(f"{word} is not JSON")


def strict(line: str) -> dict[str, Any]:
    return json.loads(line, parse_constant=refuse)


def test_a_run_says_that_updates_were_skipped_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = turn.method_of
    endless = lambda batch, logp, ratio: batch.advantage * logp * float("inf")
    monkeypatch.setattr(turn, "method_of", lambda settings: replace(real(settings), surrogate=endless))
    wanted = [*TINY, *REINFORCEMENT, "imitation=none", "reinforcement.turns=1", "reward=random"]
    said: list[str] = []
    begin(resolve("countdown-prime", wanted), tmp_path / "run", lambda e: said.append(e.get("text", "")))
    sentence = "2 of 2 updates of this turn were skipped and taught nothing: the loss was not finite in 2"
    assert [s for s in said if s.startswith(sentence)]
    lines = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    [entry] = [e for e in (strict(line.partition(" ")[2]) for line in lines) if e["kind"] == "turn"]
    assert entry["metrics"]["loss"] is None and entry["metrics"]["skipped"] == 1 and entry["notes"][0].startswith(sentence)
    summary = strict((tmp_path / "run" / "summary.json").read_text())
    assert [n["turn"] for n in summary["notes"]] == [0] and summary["notes"][0]["text"].startswith(sentence)


def test_the_sentence_says_what_was_not_finite() -> None:
    ran, lost, steep = ({"loss": loss, "skipped": s} for loss, s in ((0.5, 0.0), (float("nan"), 1.0), (0.5, 1.0)))
    assert skipped([ran, {"loss": 0.0}]) == ""
    assert "2 of 3" in skipped([ran, lost, steep])
    assert "the loss was not finite in 1 and the gradient alone was not finite in 1;" in skipped([ran, lost, steep])


def test_a_journal_is_json_whatever_it_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("turn", metrics={"loss": float("-inf"), "more": (1.0, float("nan"))})
    assert strict((tmp_path / "journal.jsonl").read_text().partition(" ")[2])["metrics"] == {"loss": None, "more": [1.0, None]}
    assert Journal(tmp_path / "journal.jsonl").entries == journal.entries
