"""Where the time went: the numbers add up, what was not recorded is said, and a model's text stays text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import IMITATION, REINFORCEMENT, TINY
from test_report import HOSTILE, Reader, make_run, put_traces, read, trace

from ratchet.core.journal import Journal
from ratchet.core.journal import read as read_journal
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.loop.recipe import resolve
from ratchet.loop.run import begin, resume
from ratchet.loop.turn import Costs, scheduler_for
from ratchet.report import profile
from ratchet.report.chart import share_chart
from ratchet.verify.pool import Timing, VerifierPool, timings


def seconds_of(cost: dict[str, Any]) -> dict[str, float]:
    return {name: p["seconds"] for name, p in cost.items() if name != "verifiers"}


def record(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Let `change` rewrite the cost of each turn and of the summary, as a newer version would have written it."""
    entries = Journal(folder / "journal.jsonl").entries
    (folder / "journal.jsonl").unlink()
    for entry in entries:
        if entry["kind"] == "turn":
            change(entry["cost"])
        Journal(folder / "journal.jsonl").append(**entry)
    if (folder / "summary.json").exists():
        summary = json.loads((folder / "summary.json").read_text())
        change(summary["cost"])
        (folder / "summary.json").write_text(json.dumps(summary))


def with_pieces(cost: dict[str, Any], name: str = "countdown", key: str = "00000000000a") -> None:
    cost["training"]["learner_seconds"] = 0.9 * cost["training"]["seconds"]
    for part in {"gate", "measuring"} & cost.keys():
        cost[part] |= {"engine_seconds": 0.8 * cost[part]["seconds"], "verifier_seconds": 0.1 * cost[part]["seconds"]}
    cost["saving"] = {"seconds": 0.5}
    cost["verifiers"] = {name: {"count": 7_168, "seconds": 0.75, "slowest": 0.0125, "task": key}}


# ---- the page ----------------------------------------------------------------------------------------------------


def test_parts_turns_and_the_loops_own_share(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    record(folder, with_pieces)
    _, page = read(folder)
    assert ("svg", "aria-label") in {a[:2] for a in page.attributes if "whole run: sampling 29.9%" in a[2]}
    # 402 s = 120 + 144 + 9 + 54 + 61 + 0.5 + the rest
    assert "other13.53.4%" in page.text and "total402.0100.0%" in page.text
    assert "1,720,320" in page.text and "14,336" in page.text  # tokens, and tokens in each of 120 seconds
    # engine 120 + 0.8 * 115, learner 0.9 * 144, verifier 9 + 0.1 * 115
    assert "overhead is 9.9% (39.9\u00a0s)" in page.text and "the engine (52.7%), the learner (32.2%)" in page.text
    assert "120.024.01.59.0–0.51.056.0" in page.text  # a turn: its parts, other, all
    assert "held-out look––––61.0–5.066.0" in page.text


def test_slowest_verifications(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", finished=False)
    record(folder, with_pieces)
    _, page = read(folder)
    # three turns of 7,168 verdicts; the slowest stays the slowest
    assert "countdown21,5042.25 s105 µs12.5 ms00000000000a" in page.text
    assert "2.25 s in all; the run waited 7.20 s for verdicts" in page.text


def test_a_run_of_an_older_version_says_what_was_not_recorded(tmp_path: Path) -> None:
    _, page = read(make_run(tmp_path / "run"))
    assert "overhead is at least 3.5% (14.0\u00a0s)" in page.text and "was not recorded" in page.text
    assert "on validation tasks: drawing and judging, not recorded apart" in page.text
    assert "How long each verdict took was not recorded in this run" in page.text
    assert "No turn has left traces of training samples" in page.text


def test_a_run_that_went_on_in_a_newer_version_claims_no_exact_share(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    record(folder, lambda cost: with_pieces(cost) if "measuring" in cost else None)  # the summary alone
    assert "overhead is at least" in read(folder)[1].text


def test_many_turns_are_folded(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", finished=False)
    entry = Journal(folder / "journal.jsonl").of("turn")[0]
    for turn in range(3, 20):
        Journal(folder / "journal.jsonl").append(**{**entry, "turn": turn})
    assert "Seconds by turn (20 turns)" in read(folder)[1].text


def test_longest_samples(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", finished=False)
    rows = [trace(f"{i:016x}", 0, i % 2 == 0, text=f"text {i}") for i in range(16)]
    for i, row in enumerate(rows):
        row["draws"][0] |= {"tokens": 10 * i, "stop": "length" if i == 15 else "end"}
    put_traces(folder / "traces" / "turn-0002.jsonl.gz", rows)
    _, page = read(folder)
    said = page.text[page.text.index("Longest samples") :]
    assert "Of the 16 training samples that were kept from the last update of turn 3" in said
    places = [said.index(f"{n} tokens{outcome}") for n, outcome in ((150, "FAIL"), (140, "PASS"), (130, "FAIL"), (110, "FAIL"))]
    assert places == sorted(places) and "100 tokens" not in said and "text 15" in said
    assert "150 tokensFAILcut off at the limit" in said
    assert ("a", "data-task", f"{15:016x}") in page.attributes


def test_a_link_leads_only_to_a_task_that_is_there(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    put_traces(folder / "traces" / "turn-0005.jsonl.gz", [trace("f" * 16, 0, True), trace(f"{7919:016x}", 0, True)])
    _, page = read(folder)
    assert [a[2] for a in page.attributes if a[1] == "data-task"] == [f"{7919:016x}"]


def test_damaged_traces_of_a_turn_cost_only_their_list(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "traces" / "turn-0005.jsonl.gz").write_bytes(b"not gzip")
    assert "The traces of turn 6 cannot be shown" in read(folder)[1].text


def test_hostile_samples_and_verifiers_stay_text(tmp_path: Path) -> None:
    pages: list[Reader] = []
    for text in ("calm", HOSTILE):
        folder = make_run(tmp_path / str(len(pages)))
        record(folder, lambda cost, text=text: with_pieces(cost, text, text))
        row = trace("0" * 16, 0, True, text)
        row["prompt"] = row["draws"][0]["evidence"] = row["draws"][0]["outcome"] = row["draws"][0]["stop"] = text
        put_traces(folder / "traces" / "turn-0005.jsonl.gz", [row])
        pages.append(read(folder)[1])
    assert pages[0].tags == pages[1].tags and "alert(1)" in pages[1].text


def test_a_single_bar_has_the_whole_width() -> None:
    one, two = (share_chart("t", {f"bar {i}": {"a": 1.0} for i in range(n)}, ["a"]) for n in (1, 2))
    assert 'width="406.0"' in one and "bar 0</text>" not in one and 'aria-label="t. bar 0: a 100.0%"' in one
    assert 'width="272.0"' in two and "bar 0</text>" in two


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0.00 µs"), (4.2e-5, "42.0 µs"), (0.0123, "12.3 ms"), (0.5, "500 ms"), (2.0, "2.00 s"), (100, "1 min 40 s")],
)
def test_durations(seconds: float, words: str) -> None:
    assert profile.duration(seconds) == words


# ---- what the page is made of ------------------------------------------------------------------------------------


def test_costs_of_a_real_run_add_up(tiny_run: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = tiny_run
    cost = summary["cost"]
    assert seconds_of(cost).keys() == {"sampling", "verification", "training", "gate", "measuring", "saving"}
    assert sum(seconds_of(cost).values()) <= summary["seconds"]
    for entry in (e for e in read_journal(folder / "journal.jsonl") if e["kind"] == "turn"):
        assert sum(seconds_of(entry["cost"]).values()) <= entry["seconds"]
    for name in ("gate", "measuring"):
        assert 0 < cost[name]["engine_seconds"] + cost[name]["verifier_seconds"] <= cost[name]["seconds"]
    assert 0 < cost["training"]["learner_seconds"] <= cost["training"]["seconds"]
    # every draw is judged once
    drawn = sum(cost[name]["draws"] for name in ("sampling", "gate", "measuring"))
    assert cost["verifiers"]["countdown"]["count"] == drawn
    assert len(cost["verifiers"]["countdown"]["task"]) == 16
    assert "The loop's own overhead is" in read(folder)[1].text


def test_wall_time_of_a_resumed_run_is_that_of_both_lives(tmp_path: Path) -> None:
    class Stop(Exception): ...

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "turn" and event["turn"] == 2:
            time.sleep(0.3)  # what comes after a turn's entry, and is cut off, is not counted
            raise Stop

    start = time.perf_counter()
    with pytest.raises(Stop):
        begin(resolve("countdown-prime", [*TINY, *IMITATION, *REINFORCEMENT]), tmp_path / "run", tell)
    summary = resume(tmp_path / "run", lambda event: None)
    lived = time.perf_counter() - start
    turns = [e["seconds"] for e in read_journal(tmp_path / "run" / "journal.jsonl") if e["kind"] == "turn"]
    assert len(turns) == 4 and sum(turns) < summary["seconds"] < lived - 0.3


def test_verdicts_are_booked_whoever_asks_for_them() -> None:
    tasks = [Task("files", f"{i}?", i, "numeric") for i in range(3)]
    costs = Costs()

    def verify(pairs: Any) -> list[Verdict]:
        return [Verdict(Outcome.PASS, seconds=float(text)) for _, text in pairs]

    costs.judging(verify)([(tasks[0], "1"), (tasks[1], "3")])
    costs.judging(verify)([(tasks[2], "2")])
    scheduler = scheduler_for(None, verify)  # type: ignore[arg-type]
    scheduler.seconds = {"sampling": 2.0, "verification": 0.5}
    costs.add_scheduler(scheduler)
    costs.add_scheduler(scheduler, "gate")
    assert costs.parts["verification"] == {"seconds": 0.5} and costs.parts["sampling"]["seconds"] == 2.0
    assert costs.parts["gate"]["verifier_seconds"] == 0.5 and costs.parts["gate"]["engine_seconds"] == 2.0
    assert costs.verifiers == {"numeric": Timing(3, 6.0, 3.0, tasks[1].key)}
    twice = Costs()
    for _ in range(2):
        twice.add_json(json.loads(json.dumps(costs.json())))
    assert twice.verifiers == {"numeric": Timing(6, 12.0, 3.0, tasks[1].key)}
    twice.add_json({"sampling": {"seconds": 1.0}})  # a turn of an older version
    assert twice.parts["sampling"]["seconds"] == 5.0


SLOW = """
import os, time
from ratchet.verify.verifier import passed
time.sleep(0.4)

def check(task, text):
    if text == "die":
        os._exit(1)
    time.sleep(float(text))
    return passed()
"""


def test_a_verdicts_time_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_verifier_plugin.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    texts = ["0", "0.05", "0", "9", "die", "0"]
    pairs = [(Task("files", f"{i}?", i, "slow_verifier_plugin:check"), text) for i, text in enumerate(texts)]
    with VerifierPool(deadline=1.0) as pool:
        verdicts = pool(pairs)
    # neither the import, nor the wait for those before it, nor the start of a new worker is a verdict's own
    assert all(verdicts[i].seconds < 0.3 for i in (0, 1, 2, 5))
    assert verdicts[1].seconds >= 0.05 and 1.0 <= verdicts[3].seconds < 1.5
    assert "died" in verdicts[4].evidence and verdicts[4].seconds > 0
    [timing] = timings(pairs, verdicts).values()
    assert timing.count == 6 and timing.task == pairs[3][0].key and timing.slowest == verdicts[3].seconds
