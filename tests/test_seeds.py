"""Several seeds side by side: the same bytes as single runs, nothing done twice, nothing left running."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Answer, heed_interrupts
from scipy.stats import t
from test_runs import in_a_child, quiet

from ratchet.core.files import locked
from ratchet.core.journal import Journal
from ratchet.core.processes import ending
from ratchet.loop.recipe import Recipe, override, resolve, to_json
from ratchet.loop.run import begin
from ratchet.loop.seeds import run_seeds, seeds_of, summarize

Call = Callable[..., Answer]
SETTINGS = (
    *TINY, "threads=0", "max_tokens=16", "gate.tasks=10", "measure.tasks=10", "measure.curve_tasks=0", "imitation.turns=2",
    "imitation.updates=2", "imitation.examples=8", "reinforcement=none",
)  # fmt: skip


def command(out: Path, *more: str) -> list[str]:
    return ["run", "countdown-prime", *(part for s in SETTINGS for part in ("--set", s)), "--out", str(out), *more]


@pytest.fixture
def call(ratchet: Callable[..., Answer]) -> Call:
    return lambda out, *more: ratchet(*command(out, *more))


def tiny(seed: int) -> Recipe:
    return resolve("countdown-prime", [*SETTINGS, "threads=1", f"seed={seed}"])


def test_what_fails_is_named_and_the_same_again_finishes_to_the_bytes_of_single_runs(call: Call, tmp_path: Path) -> None:
    class Stop(Exception): ...

    def stop_after_a_turn(event: dict[str, Any]) -> None:
        if event["event"] == "turn":
            raise Stop

    out = tmp_path / "seeds"
    with pytest.raises(Stop):
        begin(tiny(4), out / "seed-4", stop_after_a_turn)
    with locked(out / "seed-3"):  # so seed 3 cannot begin
        code, text, errors = call(out, "--set", "seed=3", "--seeds", "2")
    assert code == 1 and "seed 3: failed; the others go on" in text
    assert "seed 4: 2 turns, 1 of them done before; going on" in text and "seed 4: turn 2, pass@1" in text
    [line] = errors.splitlines()
    assert line.startswith("ratchet: seed 3 failed: another run is at work in")
    summary = json.loads((out / "summary.json").read_text())
    assert [s["seed"] for s in summary["seeds"]] == [4] and [f["seed"] for f in summary["failed"]] == [3]
    assert summary["difference"] is None and "one seed: too few" in text

    untouched = (out / "seed-4" / "model").stat()
    code, text, errors = call(out, "--set", "seed=3", "--seeds", "2")
    assert code == 0 and not errors
    assert "seed 4: done before, skipped" in text and "seed 3: turn 2, pass@1" in text
    assert "over 2 seeds: mean difference" in text and (out / "seed-4" / "model").stat() == untouched
    summary = json.loads((out / "summary.json").read_text())
    assert [s["seed"] for s in summary["seeds"]] == [3, 4] and summary["failed"] == [] and summary["gates"] == 4
    for seed in (3, 4):
        single, mine = tmp_path / f"single-{seed}", out / f"seed-{seed}"
        begin(tiny(seed), single, quiet)
        for file in ("recipe.json", "model/model.safetensors", "records/after.json", "traces/heldout-1-imitation.jsonl.gz"):
            assert (mine / file).read_bytes() == (single / file).read_bytes()
        assert (mine / "report.html").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seeds", "1"], "--seeds takes 2 or more, got 1"),
        (["--seeds", "2", "--jobs", "0"], "--jobs takes 1 or more, got 0"),
        (["--jobs", "2"], "it goes with --seeds"),
        (["--seeds", "2"], "holds a single run"),
    ],
)
def test_bad_input_is_one_sentence(more: list[str], message: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("{}")
    refused(call, tmp_path, more, message)


def test_folders_of_something_else_are_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "seed-1").mkdir()
    (tmp_path / "seed-1" / "recipe.json").write_text(json.dumps(to_json(tiny(5))))
    refused(call, tmp_path, ["--seeds", "2"], "with other settings")
    refused(call, tmp_path, [], "holds a run of several seeds")


def refused(call: Call, out: Path, more: list[str], message: str) -> None:
    before = sorted(out.rglob("*"))
    code, _, errors = call(out, *more)
    [line] = errors.splitlines()
    assert code == 2 and message in line and sorted(out.rglob("*")) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a signal at the parent's end")
def test_ctrl_c_leaves_no_process_and_says_how_to_go_on(tmp_path: Path) -> None:
    long = command(tmp_path, "--seeds", "2", "--jobs", "2", "--set", "imitation.turns=500")
    started = [sys.executable, "-m", "ratchet.cli.main", *long]
    process = subprocess.Popen(started, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    seen = processes_at_work(process.pid, tmp_path)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "same command: ratchet run countdown-prime" in errors and "Traceback" not in errors
    all_end(seen)
    assert len(list(tmp_path.glob("seed-*/checkpoints/turn-0*"))) >= 2  # what was computed is kept


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a signal at the parent's end")
def test_a_kill_of_the_parent_ends_the_others(tmp_path: Path) -> None:
    recipes = seeds_of(override(tiny(0), ["imitation.turns=500"]), 2)
    parent = in_a_child(lambda: run_seeds(recipes, tmp_path, 2, quiet))
    seen = processes_at_work(parent, tmp_path)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    all_end(seen)


def processes_at_work(parent: int, out: Path) -> list[int]:
    """The processes below the parent, once both seeds have done a turn."""
    end = time.monotonic() + 60
    while not all(list((out / f"seed-{s}" / "checkpoints").glob("turn-*")) for s in (0, 1)):
        if time.monotonic() > end:
            os.kill(parent, signal.SIGKILL)
            pytest.fail("no turn was done in a minute")
        time.sleep(0.02)
    seen = list(descendants(parent))
    assert len(seen) == 4  # two seeds, each with its verifier's process
    return seen


def all_end(seen: list[int]) -> None:
    end = time.monotonic() + 10
    while alive := [pid for pid in seen if running(pid)]:
        assert time.monotonic() < end, f"still running: {alive}"
        time.sleep(0.02)


def descendants(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            yield child
            yield from descendants(child)


def running(pid: int) -> bool:
    """A process that has ended but that nobody has waited for does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_interval_is_over_seeds(tmp_path: Path) -> None:
    recipes = seeds_of(tiny(0), 4)
    values = [0.10, 0.16, -0.02]
    for recipe, value in zip(recipes, values, strict=False):
        estimate = {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 40, "unit": "tasks", "level": 0.95}
        folder = tmp_path / f"seed-{recipe.seed}"
        folder.mkdir()
        one = {"seed": recipe.seed, "before": estimate, "after": estimate, "difference": estimate, "seconds": 2.0,
               "gates": [{"accepted": value > 0}, {"accepted": False}]}  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(one))
        Journal(folder / "journal.jsonl").append("done")
    s = summarize(recipes, tmp_path, {3: "no space"})
    half = t.ppf(0.975, 2) * statistics.stdev(values) / 3**0.5
    assert s["difference"]["value"] == pytest.approx(0.08) and s["difference"]["n"] == 3
    assert (s["difference"]["low"], s["difference"]["high"]) == pytest.approx((0.08 - half, 0.08 + half))
    assert (s["above_0"], s["below_0"], s["promotions"], s["gates"], s["seconds"]) == (2, 0, 2, 6, 6.0)
    assert s["failed"] == [{"seed": 3, "why": "no space"}]
    assert summarize(recipes, tmp_path / "empty", {})["difference"] is None


def test_how_a_process_ended_is_said() -> None:
    assert ending(1) == "ended with exit code 1 before it was done"
    assert ending(-signal.SIGKILL) == "was killed by SIGKILL, perhaps for want of memory"
    assert ending(-signal.SIGSEGV) == "was killed by SIGSEGV"
