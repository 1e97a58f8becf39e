"""The same code on CUDA. Skipped without a GPU, with the reason; nothing else in the tests needs one."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ratchet.core.types import Draw
from ratchet.learn.batch import Example
from ratchet.learn.policy import imitation
from ratchet.learn.train import Learner
from ratchet.models.critic import critic_from, load_critic
from ratchet.models.engine import LocalEngine, pad
from ratchet.models.foreign import TransformersEngine
from ratchet.models.graphs import Graphs
from ratchet.models.lora import add_adapter
from ratchet.models.sampling import next_tokens

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the GPU path is not tested")

PROMPT = "numbers 3 4 target 7 :"


@pytest.fixture
def on_gpu(tiny_engine: LocalEngine) -> LocalEngine:
    model = copy.deepcopy(tiny_engine.model).to("cuda")
    return LocalEngine(model, tiny_engine.tokenizer, tiny_engine.max_tokens, tiny_engine.batch)


def test_logits_on_the_gpu_are_those_of_the_processor(tiny_engine: LocalEngine, on_gpu: LocalEngine) -> None:
    ids = pad([tiny_engine.encode(PROMPT), tiny_engine.encode("start 7 then + 5 :")])
    theirs = on_gpu.model(ids.cuda()).cpu()
    assert torch.allclose(tiny_engine.model(ids), theirs, atol=1e-3)


@pytest.mark.parametrize("bf16", [False, True])
def test_sampling_and_learning_on_the_gpu(on_gpu: LocalEngine, bf16: bool) -> None:
    on_gpu.bf16 = bf16
    [drawn] = on_gpu.sample([Draw(PROMPT, n=16)], [list(range(16))])
    scored = on_gpu.score([(c.prefix, c.tokens) for c in drawn])
    apart = [abs(a - b) for c, s in zip(drawn, scored, strict=True) for a, b in zip(c.logprobs, s, strict=True)]
    assert max(apart) < (0.2 if bf16 else 1e-3)
    metrics = Learner(on_gpu, lr=1e-3).update([Example(c.prefix, c.tokens) for c in drawn], imitation())  # type: ignore[arg-type]
    assert metrics["skipped"] == 0 and metrics["grad_norm"] > 0


def test_recorded_steps_follow_the_weights(on_gpu: LocalEngine) -> None:
    """A CUDA graph replays addresses: after an update it must sample from the new weights, as a plain engine does."""
    plain = LocalEngine(on_gpu.model, on_gpu.tokenizer, on_gpu.max_tokens, on_gpu.batch)
    plain.steps = SimpleNamespace(follow=lambda model, bf16: None, step=next_tokens)  # type: ignore[assignment]
    draws, seeds = [Draw(PROMPT, n=9)], [list(range(9))]
    for _ in range(3):
        [recorded], [written_out] = on_gpu.sample(draws, seeds), plain.sample(draws, seeds)
        for a, b in zip(recorded, written_out, strict=True):
            assert a.logprobs[0] == pytest.approx(b.logprobs[0], abs=1e-3)
        assert sum(a.tokens == b.tokens for a, b in zip(recorded, written_out, strict=True)) >= 7  # rounding may part a few
        with torch.no_grad():
            on_gpu.model.embed.weight.mul_(1.2)
    assert isinstance(on_gpu.steps, Graphs) and on_gpu.steps.recorded


def test_an_adapter_learns_on_the_gpu_what_it_learns_on_the_processor(tiny_engine: LocalEngine, on_gpu: LocalEngine) -> None:
    moved = []
    for engine in (tiny_engine, on_gpu):
        add_adapter(engine.model, rank=2)
        engine.model.checkpointing = True
        learner = Learner(engine, lr=0.01, warmup=1)
        for _ in range(3):
            assert learner.update([Example((2, 3), (4, 5, 6))], imitation())["skipped"] == 0
        moved.append({name: p.detach().cpu() for name, p in engine.model.named_parameters() if p.requires_grad})
    ours, theirs = moved
    assert any(p.any() for name, p in theirs.items() if ".b." in name), "B of each adapter began at zero"
    assert ours.keys() == theirs.keys() and all(torch.allclose(ours[name], theirs[name], atol=1e-3) for name in ours)


def test_a_critic_says_the_same_on_the_gpu(on_gpu: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    critic = critic_from(on_gpu, blocks=1)
    torch.nn.init.normal_(critic.model.value_head.weight)
    critic.save(tmp_path)
    pairs = [((2, 3), (4, 5)), ((2, 3, 4, 5), (6,))]
    monkeypatch.setattr("ratchet.models.critic.device", lambda: "cpu")
    for ours, theirs in zip(load_critic(tmp_path).values(pairs), critic.values(pairs), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_a_model_of_transformers_samples_on_the_gpu(tiny_engine: LocalEngine, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    tiny_engine.save(tmp_path)
    theirs = TransformersEngine(tmp_path, tiny_engine.tokenizer, max_tokens=24)
    assert next(theirs.model.parameters()).is_cuda
    [drawn] = theirs.sample([Draw(PROMPT, n=16)], [list(range(16))])
    ours = tiny_engine.score([(c.prefix, c.tokens) for c in drawn])
    assert max(abs(a - b) for c, s in zip(drawn, ours, strict=True) for a, b in zip(c.logprobs, s, strict=True)) < 1e-3
