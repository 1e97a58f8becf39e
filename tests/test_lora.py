"""Adapters: one base and several roles, whose samples, files and references are those of the weights that are on; and checkpointing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ratchet.core.errors import EngineError, RecipeError
from ratchet.core.types import Draw
from ratchet.learn.batch import Example, micro_batches
from ratchet.learn.policy import grpo
from ratchet.learn.references import Follow, moving_average, reset_every
from ratchet.learn.train import Learner
from ratchet.models import llama, lora
from ratchet.models.critic import critic_from
from ratchet.models.engine import LocalEngine, token_logprobs
from ratchet.models.lora import add_adapter, load_adapter, merged, names_of, role, save_adapter, switch, without_adapters

IDS = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 9, 0, 0]])
EXAMPLE = Example((2, 3), (4, 5, 6))


def changed(model: llama.Llama, name: str, seed: int, rank: int = 3) -> None:
    """An adapter that does something: neither of its factors is zero."""
    add_adapter(model, name, rank=rank, alpha=6.0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in lora.layers_of(model):
            for p in layer.adapters[name].parameters():
                p.normal_(0.0, 0.2, generator=generator)


def learn(engine: LocalEngine, steps: int = 3, follow: Follow | None = None) -> Learner[LocalEngine]:
    learner = Learner(engine, lr=0.05, warmup=1, follow=follow)
    learner.freeze_reference()
    for _ in range(steps):
        learner.update([EXAMPLE], grpo(beta=0.01))
    return learner


def test_an_adapter_changes_nothing_at_first_and_the_base_never(tiny_engine: LocalEngine) -> None:
    model = tiny_engine.model
    plain, before = model(IDS), copy.deepcopy(model.state_dict())
    add_adapter(model)
    assert torch.allclose(model(IDS), plain, atol=1e-6)
    learn(tiny_engine)
    assert (model(IDS) - plain).abs().max() > 0.1
    assert all(torch.equal(model.state_dict()[n], p) for n, p in before.items())
    switch(model, None)
    assert torch.equal(model(IDS), plain)


def test_merged_weights_give_what_the_adapter_gives(tiny_engine: LocalEngine, tmp_path: Path) -> None:
    changed(tiny_engine.model, "default", 1)
    learning = tiny_engine.model(IDS)  # two thin products beside that of the base
    with torch.no_grad():
        kept = tiny_engine.model(IDS)  # one matrix
    assert (kept - copy.deepcopy(tiny_engine.model)(IDS)).abs().max() < 1e-4
    assert torch.allclose(learning, kept, atol=1e-4) and torch.allclose(merged(tiny_engine.model)(IDS), kept, atol=1e-5)
    with role(tiny_engine.model, None):
        assert not torch.allclose(tiny_engine.model(IDS), kept, atol=0.1)
    for blocks in (0, 1):
        trunk = critic_from(tiny_engine, blocks).model.trunk
        assert torch.allclose(trunk(IDS), kept, atol=1e-5) and all(p.requires_grad for p in trunk.parameters())
    tiny_engine.save(tmp_path)
    assert torch.allclose(llama.load(tmp_path)(IDS), kept, atol=1e-5), "what is saved is what is computed"


def test_two_roles_on_one_base_learn_apart(tiny_engine: LocalEngine) -> None:
    model = tiny_engine.model
    base = copy.deepcopy(model)(IDS)
    for name in ("writer", "solver"):
        add_adapter(model, name, rank=4)
    assert names_of(model) == ["writer", "solver"]
    switch(model, "writer")
    learn(tiny_engine)
    writer = model(IDS)
    with role(model, "solver"):
        assert torch.allclose(model(IDS), base, atol=1e-6), "what one role learned the other has not"
        assert torch.allclose(merged(model)(IDS), base, atol=1e-6)
    assert torch.equal(model(IDS), writer) and not torch.allclose(writer, base, atol=0.1)
    switch(model, "solver")
    learn(tiny_engine, 2)
    switch(model, "writer")
    assert torch.equal(model(IDS), writer)


def law_the_sampler_follows(engine: LocalEngine, act: Callable[[int], None]) -> bool:
    """Whatever is done to the adapters, samples carry the log-probabilities that the weights give then, and each act shows."""
    seeds, stale = [list(range(engine.batch))], 0.0
    for i in range(3):
        [drawn] = engine.sample([Draw((2, 3), n=engine.batch)], seeds)
        act(i)
        after = engine.score([(c.prefix, c.tokens) for c in drawn])
        stale = max(abs(a - b) for c, s in zip(drawn, after, strict=True) for a, b in zip(c.logprobs, s, strict=True))
        assert stale > 0.5, "the act must be large enough to show"
        [again] = engine.sample([Draw((2, 3), n=engine.batch)], seeds)
        scores = engine.score([(c.prefix, c.tokens) for c in again])
        gap = max(abs(a - b) for c, s in zip(again, scores, strict=True) for a, b in zip(c.logprobs, s, strict=True))
        if gap > (stale / 4 if engine.bf16 else 1e-3):  # rounding to bfloat16 grows with the logits
            return False
    return True


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("n", [4, 160])  # steps in numpy, and in torch
def test_the_sampler_follows_switches_and_updates(tiny_engine: LocalEngine, n: int, bf16: bool) -> None:
    tiny_engine.bf16, tiny_engine.batch, tiny_engine.max_tokens = bf16, n, 6
    model = tiny_engine.model
    changed(model, "one", 1)
    changed(model, "two", 2)
    assert law_the_sampler_follows(tiny_engine, lambda i: switch(model, ("one", None, "two")[i]))
    assert law_the_sampler_follows(tiny_engine, lambda i: [learn(tiny_engine), None][1])


def test_a_switch_that_nobody_hears_of_is_caught(tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_engine.batch, tiny_engine.max_tokens = 4, 6
    changed(tiny_engine.model, "one", 1)
    changed(tiny_engine.model, "two", 2)
    monkeypatch.setattr(torch.autograd.graph, "increment_version", lambda tensors: None)
    assert not law_the_sampler_follows(tiny_engine, lambda i: switch(tiny_engine.model, ("one", None, "two")[i]))


# ---- files -------------------------------------------------------------------------------------------------------


def test_an_adapter_that_was_saved_does_the_same(tiny_engine: LocalEngine, tmp_path: Path) -> None:
    fresh = copy.deepcopy(tiny_engine.model)
    changed(tiny_engine.model, "writer", 1)
    save_adapter(tiny_engine.model, tmp_path, "writer", base="some/base")
    tensors, config = load_file(tmp_path / lora.WEIGHTS), json.loads((tmp_path / lora.CONFIG).read_text())
    assert tensors["base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight"].shape == (16, 3)
    assert tensors["base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"].shape == (3, 32)
    assert len(tensors) == 2 * 7 * 2 and config["r"] == 3 and config["lora_alpha"] == 6.0
    load_adapter(fresh, tmp_path, "read")
    assert torch.equal(fresh(IDS), tiny_engine.model(IDS))
    half = copy.deepcopy(merged(fresh))
    add_adapter(half, targets=["q_proj", "v_proj"])
    save_adapter(half, tmp_path / "half")
    assert json.loads((tmp_path / "half" / lora.CONFIG).read_text())["target_modules"] == ["q_proj", "v_proj"]
    load_adapter(merged(fresh), tmp_path / "half")


def test_what_is_no_adapter_of_this_model_is_said(tiny_engine: LocalEngine, tmp_path: Path) -> None:
    model = tiny_engine.model
    with pytest.raises(EngineError, match="holds no whole adapter"):
        load_adapter(model, tmp_path)
    changed(model, "default", 1)
    save_adapter(model, tmp_path)
    tensors, config = load_file(tmp_path / lora.WEIGHTS), json.loads((tmp_path / lora.CONFIG).read_text())
    for change, said in (
        ({"use_dora": True}, "a kind that is not computed here: LORA use_dora"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"target_modules": ["w1"]}, "allowed: q_proj"),
        ({"r": 5}, r"has shape \(3, 32\), not \(5, 32\)"),
        ({"target_modules": ["q_proj"]}, "is none of this model"),
    ):
        (tmp_path / lora.CONFIG).write_text(json.dumps({**config, **change}))
        with pytest.raises(EngineError, match=said):
            load_adapter(model, tmp_path, "other")
    (tmp_path / lora.CONFIG).write_text(json.dumps(config))
    save_file(dict(list(tensors.items())[1:]), tmp_path / lora.WEIGHTS)
    with pytest.raises(EngineError, match="is missing"):
        load_adapter(model, tmp_path, "other")
    assert names_of(model) == ["default"], "what failed left nothing behind"
    with pytest.raises(EngineError, match='no adapter "defaults"; did you mean "default"'):
        switch(model, "defaults")
    for name, rank, targets in (("default", 4, ["q_proj"]), ("a.b", 4, ["q_proj"]), ("b", 0, ["q_proj"]), ("b", 4, ["qkv"])):
        with pytest.raises(EngineError, match="an adapter needs"):
            add_adapter(model, name, rank=rank, targets=targets)


@pytest.mark.parametrize("rslora", [False, True])
def test_parity_with_peft(tiny_engine: LocalEngine, tmp_path: Path, rslora: bool) -> None:
    """Ours read by PEFT gives our logits, and PEFT's read by us gives theirs."""
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    (tmp_path / "base").mkdir()
    tiny_engine.save(tmp_path / "base")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    changed(tiny_engine.model, "default", 1)
    save_adapter(tiny_engine.model, tmp_path / "ours")
    read = peft.PeftModel.from_pretrained(theirs, tmp_path / "ours")
    assert torch.allclose(read(IDS).logits, tiny_engine.model(IDS), atol=1e-4)
    config = peft.LoraConfig(
        r=5, lora_alpha=7, target_modules=["q_proj", "o_proj", "gate_proj"], use_rslora=rslora, init_lora_weights=False
    )
    other = peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base"), config)
    other.save_pretrained(tmp_path / "theirs")
    load_adapter(tiny_engine.model, tmp_path / "theirs", "peft")
    assert torch.allclose(tiny_engine.model(IDS), other(IDS).logits, atol=1e-4)


# ---- references --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", [False, True])
def test_a_frozen_reference_stays_what_the_policy_was(tiny_engine: LocalEngine, adapter: bool) -> None:
    if adapter:
        changed(tiny_engine.model, "default", 1)
    pairs = [(EXAMPLE.prefix, EXAMPLE.tokens)]
    [was] = tiny_engine.score(pairs)
    learner = learn(tiny_engine)
    [now], [referred] = tiny_engine.score(pairs), [e.reference for e in learner.with_reference([EXAMPLE])]
    assert referred == pytest.approx(was, abs=1e-4) and min(abs(a - b) for a, b in zip(was, now, strict=True)) > 0.05
    assert adapter == (len(lora.apart(learner.reference)) < len(list(tiny_engine.model.parameters())))  # type: ignore[arg-type]
    assert all(p.requires_grad == ("adapters" in n or not adapter) for n, p in tiny_engine.model.named_parameters())


def test_the_base_is_a_reference_that_takes_no_memory(tiny_engine: LocalEngine) -> None:
    pairs = [(EXAMPLE.prefix, EXAMPLE.tokens)]
    [base] = tiny_engine.score(pairs)
    changed(tiny_engine.model, "default", 1)
    learner = Learner(tiny_engine)
    learner.reference = without_adapters(tiny_engine.model)
    [on] = tiny_engine.score(pairs)
    [e] = learner.with_reference([EXAMPLE])
    assert e.reference == pytest.approx(base, abs=1e-5) and tiny_engine.score(pairs) == [pytest.approx(on, abs=1e-5)] != [base]
    assert not lora.apart(learner.reference)


@pytest.mark.parametrize("adapter", [False, True])
def test_a_reference_follows_as_it_is_told(tiny_engine: LocalEngine, adapter: bool) -> None:
    if adapter:
        changed(tiny_engine.model, "default", 1)
    start = [p.detach().clone() for p in lora.apart(tiny_engine.model)]
    log: list[list[torch.Tensor]] = []

    def told(follow: Follow) -> Follow:
        def also(reference: torch.nn.Module, model: torch.nn.Module, taken: int) -> torch.nn.Module:
            log.append([p.detach().clone() for p in lora.apart(model)])
            return follow(reference, model, taken)

        return also

    learner = learn(tiny_engine, 2, told(moving_average(0.75)))
    for own, a, b, c in zip(lora.apart(learner.reference), start, *log, strict=True):  # type: ignore[arg-type]
        assert torch.allclose(own, 0.75 * (0.75 * a + 0.25 * b) + 0.25 * c, atol=1e-6)
    log.clear()
    learner = learn(tiny_engine, 5, told(reset_every(2)))
    assert all(torch.equal(a, b) for a, b in zip(lora.apart(learner.reference), log[3], strict=True))  # type: ignore[arg-type]
    assert not all(torch.equal(a, b) for a, b in zip(log[3], log[4], strict=True))
    for wrong in (lambda: moving_average(1.0), lambda: reset_every(0)):
        with pytest.raises(RecipeError):
            wrong()


# ---- checkpointing -----------------------------------------------------------------------------------------------


def gradient_and_bytes(model: llama.Llama) -> tuple[torch.Tensor, int]:
    """The gradient of a batch's log-probabilities, and how many bytes were kept for it beside the weights."""
    generator = torch.Generator().manual_seed(1)
    weights, kept = {p.data_ptr() for p in model.parameters()}, dict[int, int]()
    rows = torch.randint(2, 50, (8, 40), generator=generator).tolist()
    [batch] = micro_batches([Example(tuple(r[:4]), tuple(r[4:])) for r in rows], 10_000, 64)
    held: list[torch.Tensor] = []  # alive to the end, so that no address is counted twice

    def keep(x: torch.Tensor) -> torch.Tensor:
        held.append(x)
        if x.data_ptr() not in weights:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = -token_logprobs(model, batch.ids, batch.mask.bool()).mean()
    taken = sum(kept.values())
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]), taken


@pytest.mark.parametrize("adapter", [False, True])
def test_checkpointing_gives_the_same_gradient_from_less_memory(adapter: bool) -> None:
    found: list[tuple[torch.Tensor, int]] = []
    for checkpointing in (False, True):
        model = llama.Llama(llama.Shape(vocab=50, width=32, layers=12, heads=2, kv_heads=1, head_width=16, hidden=64))
        llama.init_weights(model, 3)
        if adapter:
            changed(model, "default", 1)
        model.checkpointing = checkpointing
        found.append(gradient_and_bytes(model))
    (plain, much), (again, little) = found
    assert torch.allclose(plain, again, atol=1e-6 * float(plain.abs().max())) and plain.abs().max() > 0
    assert little < much / 5, f"{much} bytes without, {little} with"
