"""Runs on a user's own texts: `sft`, `dpo` and pairs that are drawn; what they go by, and what is said of wrong files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, Answer
from test_cli import small_checkpoint

from ratchet.core.errors import RecipeError, TaskError
from ratchet.core.types import Task
from ratchet.loop.evidence import likelihood, preference
from ratchet.loop.recipe import resolve
from ratchet.loop.run import begin, resume
from ratchet.loop.turn import Costs
from ratchet.models.engine import LocalEngine
from ratchet.tasks.check import check
from ratchet.tasks.family import Source
from ratchet.tasks.texts import completions, preferences
from ratchet.verify.pool import VerifierPool

QUICK = ("threads=1", "measure.tasks=30", "gate.tasks=30", "gate.error=0.4")


def settings(*pairs: str) -> list[str]:
    return [x for pair in (*QUICK, *pairs) for x in ("--set", pair)]


def lines(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


def sums(n: int = 300) -> list[dict[str, str]]:
    return [{"prompt": f"start {i % 90} then + {i // 90} :", "completion": f"answer {i % 5}"} for i in range(n)]


def liked(n: int = 300) -> list[dict[str, Any]]:
    return [{"prompt": r["prompt"], "chosen": r["completion"], "rejected": f"no {r['completion']} no 1"} for r in sums(n)]


# ---- runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["qwen2", "gpt2"])
def test_a_users_model_imitates_a_users_texts(kind: str, ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    import transformers

    model, file = small_checkpoint(tmp_path / "model", kind), lines(tmp_path / "texts.jsonl", sums())
    own = settings(f"model={model}", f"tasks={file}", "imitation.turns=2", "imitation.updates=8", "imitation.optimizer.lr=0.02",
                   "imitation.optimizer.warmup=1")  # fmt: skip
    code, _, err = ratchet("run", "sft", *own, "--out", tmp_path / "run")
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["promoted"] and summary["difference"]["low"] > 0.1, (
        "the likelihood of held-out texts rises, and is what promotes"
    )
    delivered, first = (transformers.AutoModelForCausalLM.from_pretrained(f) for f in (tmp_path / "run" / "model", model))
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert not torch.allclose(delivered(ids).logits, first(ids).logits, atol=1e-3)


def test_a_users_model_learns_a_users_preferences(ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    model, file = small_checkpoint(tmp_path / "model", "qwen2"), lines(tmp_path / "pairs.jsonl", turned(liked()))
    own = settings(
        f"model={model}", f"tasks={file}", "preferences.turns=2", "preferences.updates=8", "preferences.optimizer.lr=0.01"
    )
    code, _, err = ratchet("run", "dpo", *own, "--out", tmp_path / "run")
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["promoted"] and summary["after"]["value"] > 0.9 > 0.1 > summary["before"]["value"]
    assert (tmp_path / "run" / "report.html").exists() and "preferences" in (tmp_path / "run" / "report.html").read_text()


def turned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The longer text is the better one: what no model prefers by its probabilities alone."""
    return [{**r, "chosen": r["rejected"], "rejected": r["chosen"]} for r in rows]


def test_pairs_are_drawn_and_judged_and_a_run_that_was_cut_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    recipe = resolve(
        "countdown",
        [*TINY, "model=new", "reward=random", "max_tokens=16", "gate.tasks=10", "measure.tasks=10", "measure.curve_tasks=0",
         "reinforcement=none", "preferences.turns=2", "preferences.updates=2", "preferences.tasks=3", "preferences.samples=6",
         "preferences.pairs=2", "preferences.method=kto"],
    )  # fmt: skip
    begin(recipe, tmp_path / "whole", lambda event: None)

    class Stop(Exception): ...

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "turn":
            assert 3 <= event["metrics"]["pairs"] <= 6 and 0 < event["metrics"]["reward"] < 1
            raise Stop

    with pytest.raises(Stop):
        begin(recipe, tmp_path / "cut", tell)
    resume(tmp_path / "cut", lambda event: None)
    last = "checkpoints/turn-0001/policy.safetensors"
    assert (tmp_path / "cut" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


# ---- what they go by ---------------------------------------------------------------------------------------------


def test_evidence_is_what_the_models_probabilities_say(tiny_engine: LocalEngine, tmp_path: Path) -> None:
    source = Source("preferences", str(lines(tmp_path / "p.jsonl", liked())))
    tasks = source.take("train", 200, "these")
    look = lambda kind, n, *path: kind(tiny_engine, lambda pairs: [], source, tasks, path, n, Costs(), "gate")[0]
    pairs = [(tiny_engine.encode(t.prompt), (*tiny_engine.encode(text), 1)) for t in tasks for text in t.facts["texts"]]
    scores = tiny_engine.score(pairs)
    chances = [float(torch.tensor(lp).exp().mean()) for lp in scores[::2]]
    record = look(likelihood, 1, "a")
    assert record.pass_at(1).value == pytest.approx(sum(chances) / len(chances), abs=0.03)
    assert [r.n for r in record.rows] == [len(lp) for lp in scores[::2]]
    wins = [1 / (1 + float(torch.tensor(sum(b) - sum(a)).exp())) for a, b in zip(scores[::2], scores[1::2], strict=True)]
    assert look(preference, 50, "a").pass_at(1).value == pytest.approx(sum(wins) / len(wins), abs=0.03)
    assert look(likelihood, 1, "a") == record != look(likelihood, 1, "b"), "the coins belong to the path"


# ---- files -------------------------------------------------------------------------------------------------------

USER, BOT = {"role": "user", "content": "say 1"}, {"role": "assistant", "content": "1"}
OTHER = {"role": "assistant", "content": "2"}


def test_rows_of_every_shape_are_the_same_task(tmp_path: Path) -> None:
    same = [{"messages": [USER, BOT]}, {"prompt": "say 1", "completion": "1"}, {"prompt": [USER], "completion": [BOT]}]
    [task] = completions(str(lines(tmp_path / "a.jsonl", same)))
    assert (task.prompt, task.facts["texts"], task.verifier) == ("say 1", ["1"], "given")
    same = [{"chosen": [USER, BOT], "rejected": [USER, OTHER]}, {"prompt": "say 1", "chosen": "1", "rejected": "2"}]
    [task] = preferences(str(lines(tmp_path / "b.jsonl", same)))
    assert task.facts["texts"] == ["1", "2"]
    [task] = completions(
        str(lines(tmp_path / "c.jsonl", [{**same[1], "completion": "so 1", "answer": 1, "verifier": "numeric"}]))
    )
    assert (task.answer, task.verifier) == (1, "numeric")


def test_files_of_texts_prove_themselves(tmp_path: Path, verify: VerifierPool) -> None:
    for family, rows in (("completions", sums()), ("preferences", liked())):
        source = Source(family, str(lines(tmp_path / "x.jsonl", rows)))
        assert check(source, verify, 20).holds


@pytest.mark.parametrize(
    ("read", "row", "message"),
    [
        (completions, {"prompt": "a"}, '"completion" is missing or empty; it has prompt'),
        (completions, {"prompt": "a", "completion": " "}, '"completion" is missing'),
        (completions, {"prompt": "a", "completion": 3}, "must be a text or a list of messages, got int"),
        (completions, ["a"], "got list, each row must be an object"),
        (completions, {"messages": [{"role": "system", "content": "x"}, USER, BOT]}, "got the roles system, user, assistant"),
        (completions, {"messages": "hello"}, '"messages" must be a list of messages'),
        (completions, {"messages": [USER, {"role": "assistant", "content": ""}]}, "the assistant's answer is empty"),
        (completions, {"prompt": "a", "completion": "b", "verifier": 3}, '"verifier" must be a name'),
        (preferences, {"prompt": "a", "chosen": "b"}, '"rejected" is missing or empty'),
        (preferences, {"chosen": "a", "rejected": "b"}, '"prompt" is missing or empty'),
        (preferences, {"prompt": "a", "chosen": "b", "rejected": "b"}, "the same text"),
        (preferences, {"chosen": [USER, BOT], "rejected": [{**USER, "content": "x"}, OTHER]}, "different prompts"),
    ],
)
def test_a_wrong_row_is_one_clear_sentence(read: Callable[[str], list[Task]], row: Any, message: str, tmp_path: Path) -> None:
    good = {"prompt": "a", "completion": "b", "chosen": "b", "rejected": "c"}
    with pytest.raises(TaskError) as e:
        read(str(lines(tmp_path / "x.jsonl", [good, row])))
    assert "x.jsonl, row 2" in str(e.value) and message in str(e.value) and "\n" not in str(e.value)


def test_what_does_not_fit_is_said_before_any_work(ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    file = lines(tmp_path / "long.jsonl", [*sums(), {"prompt": "start 1 :", "completion": "no " * 300}])
    code, _, err = ratchet("run", "sft", "--set", f"tasks={file}", "--out", tmp_path / "run")
    assert code == 2 and "take 304 tokens, the model's context is 256" in err and not (tmp_path / "run" / "recipe.json").exists()
    code, _, err = ratchet("run", "dpo", "--set", f"tasks={lines(tmp_path / 'few.jsonl', liked(8))}", "--out", tmp_path / "run")
    assert code == 2 and "split" in err
    for change, message in (
        (["preferences.method=dop"], 'did you mean "dpo"'),
        (["preferences.knobs.beat=1"], 'no knob "beat"'),
        (["tasks.family=countdown", "tasks.path="], "gives no pairs of texts"),
        (["evidence=likely"], "takes one of samples, likelihood, preference"),
        (["preferences.tasks=0"], "must be above 0"),
        (["preferences=none"], "all are none"),
    ):
        own = [x for pair in (f"tasks={lines(tmp_path / 'p.jsonl', liked())}", *change) for x in ("--set", pair)]
        code, _, err = ratchet("run", "dpo", *own, "--out", tmp_path / "run")
        assert code == 2 and message in err, err
    with pytest.raises(RecipeError, match="needs 1 given text"):
        begin(resolve("countdown", ["evidence=likelihood"]), tmp_path / "run", lambda event: None)
