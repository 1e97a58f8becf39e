"""The word-problems recipe on the sample that ships: both phases, baselines, every stage measured."""

from __future__ import annotations

from pathlib import Path

from ratchet.loop.recipe import resolve
from ratchet.loop.run import begin

SMALL = (
    "threads=1", "new.width=32", "new.layers=1", "new.hidden=48", "imitation.turns=1", "imitation.updates=5",
    "imitation.examples=32", "reinforcement.turns=1", "reinforcement.updates=2", "reinforcement.tasks=8",
    "reinforcement.samples=4", "measure.samples=2", "measure.curve_samples=4", "gate.samples=2",
)  # fmt: skip


def test_the_sample_is_learned_from_and_compared_with_baselines(tmp_path: Path) -> None:
    summary = begin(resolve("word-problems", SMALL), tmp_path / "run", lambda event: None)
    assert [s["stage"] for s in summary["stages"]] == ["0-start", "1-imitation", "2-reinforcement"]
    assert len(summary["baselines"]) == 2
    for result in summary["baselines"].values():
        assert 0 < result["pass_at_1"]["value"] < 1 and result["model_ahead_by"]["n"] == summary["after"]["n"]
    assert summary["shared_keys"]["train"] == summary["shared_keys"]["validation"] == 0
