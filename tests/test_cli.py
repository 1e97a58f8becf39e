"""The command line as a user meets it: what it prints, what it refuses and with which exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import IMITATION, REINFORCEMENT, TINY, Answer, heed_interrupts

from ratchet.cli.main import COMMANDS
from ratchet.loop.recipe import recipes
from ratchet.models.tokens import WordTokenizer, reasoning_words


def settings(*items: str) -> list[str]:
    return [part for item in items for part in ("--set", item)]


def test_help_names_every_command(ratchet: Callable[..., Answer]) -> None:
    code, out, _ = ratchet("--help")
    assert code == 0 and all(name in out for name in COMMANDS)
    for name in COMMANDS:
        code, out, _ = ratchet(name, "--help")
        assert code == 0 and "Usage" in out


def test_help_is_light() -> None:
    code = "import sys\nfrom ratchet.cli.main import cli\ncli.main(['--help'], standalone_mode=False)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_an_output_that_cannot_be_written_is_one_sentence(buffered: str) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": buffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ratchet.cli.main", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, env=env
        )
    assert (
        done.returncode == 2 and done.stderr.startswith("ratchet: the output cannot be written") and done.stderr.count("\n") == 1
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["rnu"], 'did you mean "run"'),
        (["run", "cuontdown"], 'did you mean "countdown"'),
        (["run", "countdown", "--set", "sed=1"], 'did you mean "seed"'),
        (["run", "absent.json"], "absent.json is not a recipe"),
        (["run", "rlvr"], "tasks.path"),
        (["run", "countdown", "--set", "tasks=x.jsonl"], "tasks.family=files"),
        (["run", "countdown", "--set", "model=/no/such/folder"], "neither"),
        (["resume", "/no/such/folder"], "holds no run"),
        (["report", "/no/such/folder"], "/no/such/folder"),
        (["show", "/no/such/folder"], "no traces"),
        (["eval", "builtin", "--strategy", "votes"], 'did you mean "vote"'),
        (["eval", "builtin", "--knob", "n"], "name=value"),
        (["eval", "builtin", "--strategy", "vote", "--knob", "n=x"], "takes int"),
        (["eval", "builtin", "--tasks", "contdown"], 'did you mean "countdown"'),
        (["eval", "builtin", "--tasks", "countdown", "--task-knob", "rule=x"], "not one of"),
        (["eval", "/no/such/model"], "neither"),
        (["eval", "builtin", "--strategy", "vote", "--knob", "n=0"], "n must be at least 1"),
        (["eval", "builtin", "--tasks", "nofile.jsonl"], "does not exist"),
        (["eval", "builtin", "--tasks", "countdown", "--split", "all"], "without end"),
        (["run", "countdown", "--dry", "--set", "reward=nope"], "verdict"),
        (["run", "countdown", "--set", "reinforcement=5", "--set", "reinforcement.turns=2"], "no settings of its own"),
        (["tasks", "show", "countdown", "--knob", "numbers=[3.5]"], "int values"),
        (["eval", "builtin", "--out", "/no/such/folder/a.json"], "does not exist"),
        (["compare", "/no/a.json", "/no/b.json"], "does not exist"),
        (["compare", "/no/a.json", "/no/b.json", "--level", "nan"], "nan is not in the range"),
        (["tasks", "show", "countdwn"], 'did you mean "countdown"'),
        (["tasks", "check", "files", "--path", "/no/file.jsonl"], "does not exist"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(ratchet: Callable[..., Answer], args: list[str], message: str) -> None:
    code, _, err = ratchet(*args)
    assert code == 2 and message in err and "Traceback" not in err


def test_the_help_of_run_names_every_recipe(ratchet: Callable[..., Answer]) -> None:
    code, out, _ = ratchet("run", "--help")
    assert code == 0 and [e.name for e in recipes if not re.search(rf"^ +{e.name}  +\w", out, re.M)] == []


def test_tasks_commands(ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    code, out, _ = ratchet("tasks", "list")
    assert code == 0 and "countdown" in out and "numbers=(3, 4)" in out
    code, out, _ = ratchet("tasks", "show", "countdown", "--n", 2)
    assert code == 0 and out.count("demonstration") == 2
    code, out, _ = ratchet("tasks", "check", "arithmetic", "--n", 20)
    assert code == 0 and "FAIL" not in out and "decoy fails: empty" in out
    rows = [{"prompt": f"{i} ?", "answer": i, "verifier": "numeric"} for i in range(60)]
    file = tmp_path / "t.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    code, out, _ = ratchet("tasks", "check", file)
    assert code == 0 and "gold passes" in out
    file.write_text("".join(json.dumps({**r, "answer": "no number"}) + "\n" for r in rows))
    code, out, err = ratchet("tasks", "check", file)
    assert code == 2 and "FAIL" in out and "does not hold" in err


def broken(folder: Path, **files: str | bytes) -> Path:
    """A copy of the built-in model with some files replaced; an empty text removes one."""
    import shutil

    from ratchet.models.load import BUILTIN

    shutil.copytree(BUILTIN, folder)
    for name, content in files.items():
        file = folder / name.replace("_json", ".json").replace("_safetensors", ".safetensors")
        if content:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        else:
            file.unlink()
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {"config_json": "{"},
        {"config_json": "[]"},
        {"config_json": '{"architectures": ["LlamaForCausalLM"]}'},
        {"model_safetensors": b"cut off"},
        {"model_safetensors": ""},
        {"tokenizer_json": "{}"},
        {"tokenizer_config_json": "{"},
    ],
)
def test_a_broken_checkpoint_is_one_sentence(
    ratchet: Callable[..., Answer], tmp_path: Path, files: dict[str, str | bytes]
) -> None:
    code, _, err = ratchet("eval", broken(tmp_path / "model", **files), "--n", 2)
    assert code == 2 and str(tmp_path) in err and "Traceback" not in err


def test_prompts_that_the_model_cannot_read_are_named_before_any_work(ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    rows = [{"prompt": f"start {i % 90} :", "answer": i % 90, "verifier": "numeric"} for i in range(90)]
    file = tmp_path / "t.jsonl"
    file.write_text("".join(json.dumps({**r, "answer": "many"}) + "\n" for r in rows))
    code, _, err = ratchet("run", "rlvr", "--set", f"tasks={file}", "--out", tmp_path / "run")
    assert code == 2 and "does not pass its own verifier" in err
    for bad, message in (("hello there", "'hello'"), ("start " * 300, "context is 256")):
        file = tmp_path / "t.jsonl"
        file.write_text("".join(json.dumps(r) + "\n" for r in [*rows, {**rows[0], "prompt": bad}]))
        code, _, err = ratchet("run", "rlvr", "--set", f"tasks={file}", "--out", tmp_path / "run")
        assert code == 2 and message in err
        assert not (tmp_path / "run" / "recipe.json").exists()


def test_methods_and_completion_and_doctor(ratchet: Callable[..., Answer]) -> None:
    code, out, _ = ratchet("methods")
    assert code == 0 and "arXiv 2402.03300" in out and "best-of-n" in out and "knobs: clip=0.2" in out
    code, out, _ = ratchet("methods", "--json")
    found = json.loads(out)
    assert {m["kind"] for m in found} >= {"strategy", "verifier", "task family", "learning method", "recipe", "reward"}
    assert all(m["summary"] for m in found)
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = ratchet("completion", shell)
        assert code == 0 and "_RATCHET_COMPLETE" in out
    code, out, _ = ratchet("doctor")
    assert code == 0 and "verifier process" in out and "built-in model" in out


def test_completion_completes() -> None:
    env = {**os.environ, "_RATCHET_COMPLETE": "bash_complete", "COMP_WORDS": "ratchet ev", "COMP_CWORD": "1"}
    script = [
        sys.executable,
        "-c",
        "import sys; sys.argv=['ratchet']\nfrom ratchet.cli.main import cli\ncli(prog_name='ratchet')",
    ]
    done = subprocess.run(script, env=env, capture_output=True, text=True)
    assert "plain,eval" in done.stdout


def test_eval_and_compare(ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    for name, strategy in (
        ("a", ["single"]),
        ("b", ["vote", "--knob", "n=3"]),
        ("c", ["best-of-n", "--knob", "n=2", "--knob", "scorer=oracle"]),
    ):
        code, out, _ = ratchet("eval", "builtin", "--n", 30, "--strategy", *strategy, "--out", tmp_path / f"{name}.json")
        assert code == 0 and "pass@1" in out and "tokens sampled" in out
    code, out, _ = ratchet("eval", "builtin", "--n", 10, "--json", "--budget", 8)
    result = json.loads(out)
    assert code == 0 and result["pass_at_1"]["n"] == 10 and result["cost"]["sampled_tokens"] <= 80
    code, out, _ = ratchet("compare", tmp_path / "a.json", tmp_path / "c.json")
    assert code == 0 and "paired by task" in out
    code, out, _ = ratchet("compare", tmp_path / "a.json", tmp_path / "a.json", "--json")
    assert json.loads(out)["verdict"] == "cannot tell apart"


# ---- runs --------------------------------------------------------------------------------------------------------


def test_run_show_report_and_the_same_again(ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code, out, err = ratchet("run", "countdown-prime", *settings(*TINY, *IMITATION, *REINFORCEMENT), "--out", folder)
    assert code == 0, err
    assert "held-out pass@1" in out and "pass@k" in out and "GO ON" in out and "unchanged" in out
    assert (folder / "report.html").stat().st_size > 20_000
    code, out, _ = ratchet("show", folder, "--most", 2)
    assert code == 0 and out.count("task ") == 2
    code, _, err = ratchet("run", "countdown-prime", "--out", folder)
    assert code == 2 and "finished run" in err
    code, out, _ = ratchet("run", folder / "recipe.json", "--dry")
    assert code == 0 and json.loads((folder / "summary.json").read_text())["recipe_hash"] in out
    (folder / "report.html").unlink()
    code, out, _ = ratchet("report", folder)
    assert code == 0 and (folder / "report.html").exists()
    code, out, _ = ratchet("resume", folder)
    assert code == 0 and "finished already" in out


def test_interrupt_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "ratchet.cli.main", "run", "countdown-prime", "--out", str(folder),
               *settings(*TINY, "imitation.turns=200", "imitation.updates=20")]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    assert process.stdout is not None
    for line in process.stdout:
        if "GO ON" in line:  # a whole turn is done and the next is under way
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and f"ratchet resume {folder}" in err and "Traceback" not in err


def small_checkpoint(folder: Path, kind: str) -> Path:
    import transformers

    tokenizer = WordTokenizer(reasoning_words())
    size = {"vocab_size": len(tokenizer.words), "bos_token_id": 1, "eos_token_id": 1}
    torch.manual_seed(0)
    if kind == "gpt2":
        config: Any = transformers.GPT2Config(**size, n_embd=32, n_layer=1, n_head=2, n_positions=128)
    else:
        config = transformers.Qwen2Config(**size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                                          num_key_value_heads=1, intermediate_size=48, max_position_embeddings=128)  # fmt: skip
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


@pytest.mark.parametrize("kind", ["qwen2", "gpt2"])
def test_their_own_model_and_tasks(kind: str, ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    import transformers

    model = small_checkpoint(tmp_path / "model", kind)
    file = tmp_path / "tasks.jsonl"
    rows = [{"prompt": f"start {i % 90} then + {i % 7} :", "answer": i % 90 + i % 7, "verifier": "numeric"} for i in range(400)]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    own = settings(
        f"model={model}", f"tasks={file}", "threads=1", "max_tokens=8", "reinforcement.turns=1", "reinforcement.updates=2",
        "reinforcement.tasks=4", "reinforcement.samples=4", "reinforcement.optimizer.lr=0.001", "gate.tasks=20", "measure.tasks=20",
    )  # fmt: skip
    code, out, err = ratchet("run", "rlvr", *own, "--out", tmp_path / "run")
    assert code == 0, err
    assert "held-out pass@1" in out
    delivered = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    first = transformers.AutoModelForCausalLM.from_pretrained(model)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.allclose(delivered(ids).logits, first(ids).logits, atol=1e-5)  # nothing could be promoted in one turn
    code, out, _ = ratchet("eval", tmp_path / "run", "--tasks", file, "--max-tokens", 8, "--split", "heldout")
    assert code == 0 and "pass@1" in out
