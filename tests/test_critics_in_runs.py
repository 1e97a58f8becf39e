"""A run's critics, and credit by what a scorer said in its search: heard, or refused before anything is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import REINFORCEMENT, TINY

from ratchet.core.errors import EngineError, RecipeError, StoreError
from ratchet.core.journal import read
from ratchet.core.types import Judge
from ratchet.learn import credit_steps
from ratchet.loop.recipe import Recipe, resolve
from ratchet.loop.run import begin, check_names, make_policy, resume
from ratchet.loop.turn import asked
from ratchet.models.critic import HEAD, critic_from
from ratchet.models.tokens import WordTokenizer
from ratchet.tasks.family import Source

SMALL = (*TINY, *REINFORCEMENT, "imitation=none", "reinforcement.turns=1", "max_tokens=16")
BEAM = (
    "strategy=beam",
    "strategy_knobs.n=4",
    "strategy_knobs.beams=2",
    "strategy_knobs.step_tokens=4",
    "samples=2",
    "credit=steps",
)


def recipe(*more: str) -> Recipe:
    return resolve("countdown-prime", [*SMALL, *(f"reinforcement.{item}" for item in BEAM), *more])


def names_value(knob: str) -> str:
    return f"reinforcement.{knob}.scorer=value"


def saved(folder: Path, words: list[str] | None = None) -> Path:
    """A critic that has an opinion, of the run's own model or of one with other words."""
    policy = make_policy(recipe(), Source("countdown"))
    critic = critic_from(policy)
    torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
    critic.tokenizer = WordTokenizer(words, strict=False) if words else critic.tokenizer
    critic.save(folder)
    return folder


def test_a_critic_of_a_folder_is_asked_and_credited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, heard = saved(tmp_path / "critic"), list[tuple[set[str], bool]]()
    real = credit_steps.trees

    def listening(traces: Any, rewards: Any, end: Any, scorer: str = "") -> Any:
        found = real(traces, rewards, end, scorer)
        judges = {e.request.scorer for t in traces for e in t.events if isinstance(e.request, Judge)}
        heard.append((judges, any(tree.scores for tree in found)))
        return found

    monkeypatch.setattr(credit_steps, "trees", listening)
    wanted = recipe(f"critics.value={folder}", names_value("strategy_knobs"), names_value("credit_knobs"))
    begin(wanted, tmp_path / "run", lambda event: None)
    assert heard[-1] == ({"value"}, True)  # the first is the rehearsal's
    assert read(tmp_path / "run" / "journal.jsonl")[0]["critics"].keys() == {"value"}
    (tmp_path / "run" / "summary.json").unlink()
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    with pytest.raises(StoreError, match=r"a critic .* was changed after the run began"):
        resume(tmp_path / "run", lambda event: None)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("reinforcement.credit_knobs.scorer=critic",), 'no scorer named "critic"; .* critics.critic=FOLDER'),
        (("reinforcement.credit_knobs.scorer=logprb",), 'did you mean "logprob"'),
        (("reinforcement.credit_knobs.scorer=oracle",), 'the strategy "beam" asks logprob, so the credit would never hear of it'),
        (
            ("reinforcement.strategy=single", "reinforcement.strategy_knobs={}", "reinforcement.credit_knobs.scorer=logprob"),
            "asks no scorer",
        ),
        (("reinforcement.credit=process",), 'the scorer "self-evaluation" says'),
        (("reinforcement.strategy_knobs.scorer=value",), 'asks for "value"'),
        (("critics.value=/no/such/folder",), f"it holds no {HEAD}"),
        (("critics.oracle=/no/such/folder",), "a scorer that ships has the name"),
    ],
)
def test_a_scorer_that_nobody_hears_is_refused(more: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_names(recipe(*more))


def test_a_critic_of_other_words_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "critic", [f"w{i}" for i in range(115)])
    with pytest.raises(EngineError, match=r"critics\.value=.* reads other tokens"):
        begin(recipe(f"critics.value={folder}"), tmp_path / "run", lambda event: None)


def test_what_a_strategy_asks() -> None:
    assert asked("beam", {}) == {"logprob"} and asked("beam", {"scorer": "oracle"}) == {"oracle"}
    assert asked("vote-over", {"inner": "best-of-n:scorer=oracle"}) == {"oracle"} and asked("single", {}) == set()
