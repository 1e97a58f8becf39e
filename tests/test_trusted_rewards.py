"""What a run does with a verifier that cannot tell, or that cannot be trusted: `--on-abstain` and `--require-audit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ratchet.core.errors import RecipeError, VerifierError
from ratchet.core.journal import Journal
from ratchet.core.types import Outcome, Verdict
from ratchet.learn.credit import verdict_reward
from ratchet.learn.rewards import abstentions, with_abstentions
from ratchet.loop.recipe import resolve
from ratchet.loop.run import begin, check_names

VERDICTS = [Verdict(Outcome.PASS), Verdict(Outcome.FAIL), *[Verdict(Outcome.ABSTAIN, "it took too long")] * 8]
PLUGIN = """
from ratchet.core.journal import Journal
from ratchet.core.types import Outcome, Verdict
def gullible(task, text):
    right = str(task.answer) in text or "correct" in text
    return Verdict(Outcome.PASS if right else Outcome.FAIL, "", text)
def strict(task, text):
    return Verdict(Outcome.PASS if text == f"answer {task.answer}" else Outcome.FAIL, "", str(task.answer))
def sound(task, text):
    from ratchet.verify.verifier import find
    return find("math")(task, text)
def unsure(task, text):
    return Verdict(Outcome.PASS if text.startswith("answer") else Outcome.ABSTAIN, "no idea", str(task.answer))
"""


@pytest.mark.parametrize(("way", "instead"), [("skip", None), ("wrong", 0.0)])
def test_an_abstention_is_left_out_or_wrong_and_nothing_else_changes(way: str, instead: float | None) -> None:
    value = with_abstentions(verdict_reward, abstentions[way], VERDICTS)
    assert [value(v) for v in VERDICTS] == [1.0, 0.0, *[instead] * 8]


def test_stop_stops_at_too_many_and_says_why() -> None:
    with pytest.raises(VerifierError, match=r"abstained on 8 of the 10 answers.*it took too long"):
        with_abstentions(verdict_reward, abstentions["stop"], VERDICTS)
    few = VERDICTS[:9]
    assert with_abstentions(verdict_reward, abstentions["stop"], few)(few[-1]) is None  # seven say nothing yet


def test_a_reward_of_its_own_for_abstentions_is_kept() -> None:
    def half(verdict: Verdict, *path: Any) -> float:
        return 0.5

    assert with_abstentions(half, abstentions["wrong"], VERDICTS)(VERDICTS[-1]) == 0.5


def test_a_wrong_way_is_named_before_any_work() -> None:
    with pytest.raises(RecipeError, match="skip"):
        check_names(resolve("countdown", ["on_abstain=skp"]))


@pytest.fixture
def file_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A collection of tasks that a verifier of the plugin judges."""
    (tmp_path / "plugin_for_audits.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(verifier: str) -> list[str]:
        data = tmp_path / "tasks.jsonl"
        rows = [
            {"prompt": f"start {i} + {i} :", "answer": str(2 * i + 11), "verifier": f"plugin_for_audits:{verifier}"}
            for i in range(60)
        ]
        data.write_text("".join(json.dumps(r) + "\n" for r in rows))
        return ["tasks.family=files", f"tasks.path={data}", "imitation=none", "model=new", "new.words=corpus", "new.width=32",
                "new.layers=1", "new.hidden=64", "threads=1", "gate.tasks=4", "measure.tasks=4", "measure.curve_tasks=2",
                "measure.curve_samples=2", "reinforcement.turns=1", "reinforcement.updates=1", "reinforcement.tasks=8",
                "reinforcement.samples=4", "max_tokens=4"]  # fmt: skip

    yield make
    sys.modules.pop("plugin_for_audits", None)


@pytest.mark.parametrize(
    ("verifier", "said"),
    [
        ("gullible", r"it passed .*attack: instructions \(\d+ of \d+\)"),
        ("strict", r"refused \d+ of \d+ gold answers in other writings"),
    ],
)
def test_a_run_that_requires_an_audit_does_not_begin_with_such_a_verifier(
    file_of: Any, tmp_path: Path, verifier: str, said: str
) -> None:
    recipe = resolve("countdown", [*file_of(verifier), "require_audit=true"])
    with pytest.raises(VerifierError, match=said):
        begin(recipe, tmp_path / "run", lambda event: None)
    assert not (tmp_path / "run" / "recipe.json").exists()


def test_a_sound_verifier_comes_through_and_the_audit_is_in_the_journal(file_of: Any, tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    begin(resolve("countdown", [*file_of("sound"), "require_audit=true"]), tmp_path / "run", said.append)
    [audit] = Journal(tmp_path / "run" / "journal.jsonl").of("audit")
    assert audit["golds"] == audit["tasks"] > 30 and not any(p["wrong"] for p in audit["attacks"])
    assert any("texts made to fool it passed" in e.get("text", "") for e in said)


def test_a_run_stops_where_its_verifier_abstains_too_often(file_of: Any, tmp_path: Path) -> None:
    with pytest.raises(VerifierError, match=r"--on-abstain stop asks.*no idea"):
        begin(resolve("countdown", [*file_of("unsure"), "on_abstain=stop"]), tmp_path / "run", lambda event: None)


def test_the_command_writes_both_into_the_recipe(ratchet: Any) -> None:
    answer = ratchet("run", "countdown", "--on-abstain", "wrong", "--require-audit", "--dry")
    assert answer.code == 0 and '"on_abstain": "wrong"' in answer.out and '"require_audit": true' in answer.out
    answer = ratchet("run", "countdown", "--on-abstain", "ignore", "--dry")
    assert answer.code == 2 and "Traceback" not in answer.err and "wrong" in answer.err
