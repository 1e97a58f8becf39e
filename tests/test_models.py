"""The model, its layout, the sampler, engines and tokenizers."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from ratchet.core.errors import EngineError
from ratchet.core.types import Draw
from ratchet.models import few, llama, packed
from ratchet.models.cache import Cache, Prefixes
from ratchet.models.engine import LocalEngine, score
from ratchet.models.graphs import Graphs
from ratchet.models.load import load_policy
from ratchet.models.machine import products_in
from ratchet.models.sampling import next_tokens, pick, streams, uniforms
from ratchet.models.tokens import WordTokenizer, reasoning_words

PROMPTS = ["numbers 3 7 12 target 33 :", "numbers 1 2 3 4 target 10 :", "start 7 then + 5 :", "numbers 9 9 target 18 :"]


def draws(n: int = 3, **settings: Any) -> list[Draw]:
    return [Draw(p, n=n, **settings) for p in PROMPTS]


def seeds(n: int = 3) -> list[list[int]]:
    return [[1000 * i + j for j in range(n)] for i in range(len(PROMPTS))]


@pytest.fixture(params=["numpy", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of computing a step on the processor."""
    if request.param == "torch":
        monkeypatch.setattr(few, "MOST", 0)
    return request.param


# ---- the sampler -------------------------------------------------------------------------------------------------


def test_logprobs_kept_from_sampling_are_those_of_a_full_pass(tiny_engine: LocalEngine, way: str) -> None:
    flat = [c for group in tiny_engine.sample(draws(), seeds()) for c in group]
    again = tiny_engine.score([(c.prefix, c.tokens) for c in flat])
    for c, expected in zip(flat, again, strict=True):
        assert c.logprobs == pytest.approx(expected, abs=1e-4)


def test_a_sample_does_not_depend_on_its_batch(tiny_engine: LocalEngine, way: str) -> None:
    together = [c.tokens for group in tiny_engine.sample(draws(), seeds()) for c in group]
    alone = [tiny_engine.sample([d], [[s]])[0][0].tokens for d, ss in zip(draws(1), seeds(), strict=True) for s in ss]
    assert together == alone
    tiny_engine.batch = 2  # rows are refilled from the queue again and again
    assert [c.tokens for group in tiny_engine.sample(draws(), seeds()) for c in group] == together
    assert [c.tokens for group in tiny_engine.sample(draws()[::-1], seeds()[::-1]) for c in group][-3:] == together[:3]


def test_the_cache_is_reused_without_a_trace(tiny_engine: LocalEngine, way: str) -> None:
    first = tiny_engine.sample(draws(), seeds())
    tiny_engine.sample([Draw(" ".join(["1"] * 90), n=5)], [[1, 2, 3, 4, 5]])
    tiny_engine.forget()
    assert tiny_engine.sample(draws(), seeds()) == first


@pytest.mark.parametrize("near", [0, 2**40])
def test_a_cache_in_many_parts_gives_the_same_samples(
    tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, near: int, way: str
) -> None:
    """Parts of a few tokens, laid out anew as rows come and go, read with and without the gaps between rows."""
    asked = [Draw(" ".join(["3"] * length), n=4) for length in (1, 2, 9, 30, 31)]
    own = [[10 * i + j for j in range(4)] for i in range(len(asked))]
    whole = [c for group in tiny_engine.sample(asked, own) for c in group]
    assert max(len(c.tokens) for c in whole) > 20 > min(len(c.tokens) for c in whole)
    monkeypatch.setattr(Cache, "SPAN", 4)
    monkeypatch.setattr(Cache, "BYTES", 0)
    monkeypatch.setattr(Cache, "NEAR", near)
    tiny_engine.cache = Cache(tiny_engine.model)
    tiny_engine.batch = 9
    tiny_engine.forget()
    for a, b in zip(whole, [c for group in tiny_engine.sample(asked, own) for c in group], strict=True):
        assert a.tokens == b.tokens
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
    assert len(tiny_engine.cache.parts) > 5 and tiny_engine.cache.span == 4


def test_the_cache_does_not_grow_as_rows_come_and_go(tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waves of many rows that shrink to few and grow again, with parts of other lengths for each number of rows."""
    shape = tiny_engine.model.shape
    cache, state = Cache(tiny_engine.model), torch.zeros(shape.layers, 2, shape.kv_heads, 20, shape.head_width)
    monkeypatch.setattr(Cache, "SPAN", 8)
    monkeypatch.setattr(Cache, "BYTES", 2**13)
    sizes: list[int] = []
    for wave in range(12):
        cache.add([state + i for i in range(60 - cache.used)])
        cache.reserve(60, 30)
        sizes.append(sum(m.numel() for m in cache.memory))
        for left in (7, 3 + wave % 3):
            cache.keep(list(range(left)))
            assert all((cache.state(i, 20)[..., 0] == cache.state(i, 20)[0, 0, 0, 0, 0]).all() for i in range(left))
    assert cache.length == 30 and len(set(sizes[1:])) == 1


def test_recorded_steps_give_the_same_samples(tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a recorded step but the recording, which needs a GPU: filled-up rows, held memory, a cache that moves."""
    asked = [Draw(" ".join(["3"] * length), n=5) for length in (1, 2, 9, 30, 31)]
    own = [[10 * i + j for j in range(5)] for i in range(len(asked))]
    whole = [c for group in tiny_engine.sample(asked, own) for c in group]
    monkeypatch.setattr(Graphs, "READ", 4)
    tiny_engine.cache = Cache(tiny_engine.model)
    tiny_engine.cache.single = True
    recordings = []

    def record(step: Any) -> Any:
        recordings.append(step)
        layout = tiny_engine.cache.layouts

        def replay() -> Any:
            assert tiny_engine.cache.layouts == layout  # a graph would write to where the cache was
            return step()

        return replay

    tiny_engine.steps = Graphs(next_tokens, record)
    for tiny_engine.batch in (3, 11, 11):
        tiny_engine.forget()
        for a, b in zip(whole, [c for group in tiny_engine.sample(asked, own) for c in group], strict=True):
            assert a.tokens == b.tokens
            assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
    assert len(tiny_engine.cache.parts) == 1 and 8 < len(recordings) < sum(len(c.tokens) for c in whole) / 5


@pytest.mark.parametrize("bf16", [False, True])
def test_packed_weights_give_the_same_products_until_they_change(
    tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, bf16: bool
) -> None:
    monkeypatch.setattr(packed, "LEAST", 0)
    served: list[int] = []
    product = packed.Packed.product
    monkeypatch.setattr(packed.Packed, "product", lambda self, *a: served.append(1) or product(self, *a))
    tiny_engine.bf16 = bf16
    close = 0.05 if bf16 else 1e-5  # two roundings to bfloat16 need not be the same one
    [[c]] = tiny_engine.sample([Draw(PROMPTS[0])], [[3]])
    if not packed.can_pack(bf16):
        assert not served
        pytest.skip("this torch or this processor has no such packed products")
    assert served
    ids = torch.tensor([[*c.prefix, *c.tokens]])
    with torch.no_grad(), products_in(bf16, ids.device):
        packed_logits = tiny_engine.model(ids)
        plain = copy.deepcopy(tiny_engine.model)  # a copy has nothing packed
        count = len(served)
        assert torch.allclose(packed_logits, plain(ids), atol=close) and len(served) == count
        tiny_engine.model.blocks[0].qkv.weight.mul_(1.5)
        plain = copy.deepcopy(tiny_engine.model)
        assert torch.allclose(tiny_engine.model(ids), plain(ids), atol=close)
    with torch.no_grad(), products_in(not bf16, ids.device):  # packed for the other precision: only the head's is that of both
        assert torch.allclose(tiny_engine.model(ids), copy.deepcopy(tiny_engine.model)(ids), atol=1e-6)
    count = len(served)
    tiny_engine.model(ids).sum().backward()  # what learns is never packed
    assert len(served) == count and tiny_engine.model.blocks[0].qkv.weight.grad is not None
    again = tiny_engine.sample([Draw(PROMPTS[0])], [[3]])[0][0]
    assert again.logprobs == pytest.approx(tiny_engine.score([(again.prefix, again.tokens)])[0], abs=2 * close)


def test_products_in_bfloat16_stay_near_float32(tiny_engine: LocalEngine, way: str) -> None:
    """Rounding alone must never reach PPO's clip of 0.2: a log-ratio of 0.18. The weights stay float32."""
    tiny_engine.bf16 = True
    flat = [c for group in tiny_engine.sample(draws(), seeds()) for c in group]
    pairs = [(c.prefix, c.tokens) for c in flat]
    rounded = tiny_engine.score(pairs)
    tiny_engine.bf16 = False
    exact = tiny_engine.score(pairs)
    for scores in (rounded, exact):
        apart = [abs(a - b) for c, s in zip(flat, scores, strict=True) for a, b in zip(c.logprobs, s, strict=True)]
        assert 0 < max(apart) < 0.18
    assert tiny_engine.model.embed.weight.dtype == torch.float32


def test_a_continued_prefix_is_not_computed_again_and_changes_nothing(tiny_engine: LocalEngine, way: str) -> None:
    """Steps of a search that end at a stop string go on from their kept state, and give the tokens of a fresh engine."""
    prompt = "numbers 3 4 target 7 :"
    words = [w for w in tiny_engine.tokenizer.words if w.isdigit()]  # type: ignore[attr-defined]
    [steps] = tiny_engine.sample([Draw(prompt, n=12, stop=tuple(words[:60]))], [range(12)])
    paused = [c for c in steps if c.stop == "stop" and len(c.tokens) > 1]
    assert len(paused) >= 3
    following = [Draw((*c.prefix, *c.tokens), n=3) for c in paused]
    seeds = [[100 * i + j for j in range(3)] for i in range(len(paused))]
    for draw in following:
        state = tiny_engine.prefixes.longest(draw.prefix)  # type: ignore[arg-type]
        assert state is not None and state.shape[3] == len(draw.prefix) - 1
    warm = tiny_engine.sample(following, seeds)
    tiny_engine.forget()
    assert tiny_engine.prefixes.longest(following[0].prefix) is None  # type: ignore[arg-type]
    cold = tiny_engine.sample(following, seeds)
    for a, b in zip([c for row in warm for c in row], [c for row in cold for c in row], strict=True):
        assert a.tokens == b.tokens
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)


def test_kept_prefixes_are_bounded_and_fall_with_the_weights(tiny_engine: LocalEngine) -> None:
    prefixes = Prefixes(most=4 * 8 * 10)
    state = torch.zeros(1, 2, 1, 4, 1)
    for i in range(20):
        prefixes.put((i, 1, 2, 3), state)
    assert prefixes.held <= prefixes.most and len(prefixes.states) == 10
    assert prefixes.longest((0, 1, 2, 3, 4)) is None and prefixes.longest((19, 1, 2, 3, 4)) is not None
    assert prefixes.longest((19, 1, 2, 3)) is None  # its last token would be left to nobody
    tiny_engine.sample([Draw("numbers 3 4 target 7 :")], [[0]])
    before = tiny_engine.prefixes.states
    assert before
    with torch.no_grad():
        tiny_engine.model.embed.weight.mul_(1.5)
    [[a]] = tiny_engine.sample([Draw("numbers 3 4 target 7 :")], [[0]])
    assert a.logprobs == pytest.approx(tiny_engine.score([(a.prefix, a.tokens)])[0], abs=1e-4)


def test_samples_follow_the_model_distribution(tiny_engine: LocalEngine) -> None:
    n = 4_000
    [group] = tiny_engine.sample([Draw(PROMPTS[0], n=n, max_tokens=1)], [list(range(n))])
    counts = Counter(c.tokens[0] for c in group)
    ids = torch.tensor([tiny_engine.encode(PROMPTS[0])])
    probs = tiny_engine.model(ids)[0, -1].softmax(-1).detach()
    # chi-square over the tokens that are expected at least five times; its mean is their count
    often = [t for t in range(len(probs)) if float(probs[t]) * n >= 5]
    chi = sum((counts[t] - n * float(probs[t])) ** 2 / (n * float(probs[t])) for t in often)
    assert chi < len(often) + 5 * (2 * len(often)) ** 0.5


def test_uniforms_are_uniform_over_seeds_and_steps() -> None:
    u = uniforms(torch.arange(20_000), torch.arange(20_000) % 7)
    assert float(u.min()) >= 0 and float(u.max()) < 1
    assert abs(float(u.mean()) - 0.5) < 0.01
    assert abs(float((u[1:] * u[:-1]).mean()) - 0.25) < 0.01


def test_numpy_and_torch_draw_the_same_tokens() -> None:
    own, steps = streams(list(range(2_000)), torch.device("cpu")), torch.arange(2_000) % 7
    theirs = few.uniforms(own.numpy().view("uint64"), steps.numpy().view("uint64"))
    assert (uniforms(own, steps).numpy() == theirs).all()
    logits = 3 * torch.randn(2_000, 50, generator=torch.Generator().manual_seed(0))
    logits[::2, 10:] = -torch.inf  # nothing is left beyond the tenth
    ids, logp = pick(logits, own, steps, 0.7)
    new, score = few.chosen(logits.numpy() / 0.7, own.numpy().view("uint64"), steps.numpy().view("uint64"))
    assert (ids.numpy() == new).mean() > 0.999 and abs(logp.numpy() - score).max() < 1e-5 and new[::2].max() < 10


def test_greedy_and_top_p() -> None:
    logits = torch.tensor([[0.0, 3.0, 2.0, -1.0]]).expand(500, -1)
    rows, zeros = torch.arange(500), torch.zeros(500, dtype=torch.long)
    assert set(pick(logits, rows, zeros, 0.0)[0].tolist()) == {1}
    assert set(pick(logits, rows, zeros, 1.0, top_p=0.9)[0].tolist()) == {1, 2}
    masked = torch.tensor([[-torch.inf, 0.0, -torch.inf]]).expand(500, -1)
    assert set(pick(masked, rows, zeros, 1.0)[0].tolist()) == {1}


def test_stop_string_and_limits(tiny_engine: LocalEngine) -> None:
    [[free]] = tiny_engine.sample([Draw(PROMPTS[0])], [[5]])
    word = free.text.split()[3]
    [[stopped]] = tiny_engine.sample([Draw(PROMPTS[0], stop=(word,))], [[5]])
    assert stopped.stop == "stop" and word in stopped.text.split()[-1] and len(stopped.tokens) <= 4
    [[short]] = tiny_engine.sample([Draw(PROMPTS[0], max_tokens=2)], [[5]])
    assert short.tokens == free.tokens[:2] and short.stop == "length"
    with pytest.raises(EngineError, match="does not fit"):
        tiny_engine.sample([Draw(" ".join(["1"] * 200))], [[1]])
    with pytest.raises(EngineError, match="'seventy'"):
        tiny_engine.sample([Draw("seventy")], [[1]])


# ---- the layout: parity with transformers ------------------------------------------------------------------------

SMALL = {"vocab_size": 97, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
             "max_position_embeddings": 128}  # fmt: skip
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, grouped heads, untied": ("LlamaConfig", {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "llama, tied, biases": ("LlamaConfig", {"num_key_value_heads": 4, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    "llama 3 rope": ("LlamaConfig", {"num_key_value_heads": 1, "head_dim": 8, "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32}}),
    "llama linear rope": ("LlamaConfig", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    "qwen2, tied": ("Qwen2Config", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen2, untied": ("Qwen2Config", {"num_key_value_heads": 4, "tie_word_embeddings": False}),
    "qwen3, norms": ("Qwen3Config", {"num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": False}),
    "qwen3, tied, biases": ("Qwen3Config", {"num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": True, "attention_bias": True}),
}  # fmt: skip


def their_model(name: str, folder: Path) -> Any:
    """A random model of transformers, its norms and biases moved off their initial 1 and 0, saved to a folder."""
    import transformers

    kind, settings = CONFIGS[name]
    config = getattr(transformers, kind)(**{**SMALL, **settings})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_parity_with_transformers(name: str, tmp_path: Path) -> None:
    theirs = their_model(name, tmp_path / "theirs")
    ours = llama.load(tmp_path / "theirs")
    ids = torch.randint(0, 97, (3, 90), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours(ids), theirs(ids).logits, atol=1e-4)


@pytest.mark.parametrize("least", [0, 2**40])
@pytest.mark.parametrize("name", CONFIGS)
def test_steps_in_numpy_are_those_in_torch(
    name: str, tmp_path: Path, tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """Rows of different lengths that come and go, over a cache in parts; products packed or not.

    `served` has the rows of the steps that numpy made."""
    their_model(name, tmp_path)
    monkeypatch.setattr(Cache, "SPAN", 8)
    monkeypatch.setattr(Cache, "BYTES", 0)
    monkeypatch.setattr(few, "LEAST", least)
    served: list[int] = []
    logits = few.Few.logits
    monkeypatch.setattr(few.Few, "logits", lambda self, *a: served.append(len(a[2])) or logits(self, *a))
    asked = [
        Draw(tuple(range(2, 2 + n)), n=4, temperature=t, top_p=p)
        for n in (1, 9, 30)
        for t, p in ((1.0, 1.0), (0.7, 0.9), (0.0, 1.0))
    ]
    own = [[10 * i + j for j in range(4)] for i in range(len(asked))]
    drawn: list[list[Any]] = []
    counts: list[int] = []
    for most in (few.MOST, 0):
        monkeypatch.setattr(few, "MOST", most)
        engine = LocalEngine(llama.load(tmp_path), tiny_engine.tokenizer, 30, batch=7)
        drawn.append([c for group in engine.sample(asked, own) for c in group])
        counts.append(len(served))
    for a, b in zip(*drawn, strict=True):
        assert a.tokens == b.tokens and a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    assert counts[0] == counts[1] > 50 and max(served) == 7 > min(served)
    assert len({len(c.tokens) for c in drawn[0]}) > 5


@pytest.mark.parametrize("name", ["llama, grouped heads, untied", "llama 3 rope", "qwen2, tied", "qwen3, tied, biases"])
def test_saved_models_load_in_transformers(name: str, tmp_path: Path) -> None:
    import transformers

    their_model(name, tmp_path / "theirs")
    ours = llama.load(tmp_path / "theirs")
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(1.01)
    (tmp_path / "ours").mkdir()
    llama.save(ours, tmp_path / "ours")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    ids = torch.randint(0, 97, (2, 40), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.allclose(ours(ids), again(ids).logits, atol=1e-5)


def test_a_bfloat16_checkpoint_is_saved_as_what_it_became(tmp_path: Path) -> None:
    import transformers

    theirs = their_model("llama, grouped heads, untied", tmp_path / "a").bfloat16()
    theirs.save_pretrained(tmp_path / "half")
    ours = llama.load(tmp_path / "half")
    with torch.no_grad():
        ours.embed.weight.mul_(1.001)
    (tmp_path / "ours").mkdir()
    llama.save(ours, tmp_path / "ours")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert again.dtype == torch.float32
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        assert torch.allclose(ours(ids), again(ids).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"architectures": ["GPT2LMHeadModel"]}, "not one of"), ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "yarn"),
     ({"use_sliding_window": True}, "sliding"), ({"hidden_act": "gelu"}, "SiLU")],
)  # fmt: skip
def test_what_we_cannot_compute_is_refused(change: dict[str, Any], message: str) -> None:
    config = {"architectures": ["Qwen2ForCausalLM"], "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1,
              "num_attention_heads": 2, "intermediate_size": 8}  # fmt: skip
    assert llama.shape_of(config).kind == "qwen2"
    with pytest.raises(EngineError, match=message):
        llama.shape_of({**config, **change})


def test_broken_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="neither"):
        load_policy(str(tmp_path / "absent"), 8)
    with pytest.raises(EngineError, match=r"config\.json"):
        load_policy(str(tmp_path), 8)


# ---- other architectures, through transformers -------------------------------------------------------------------


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    import transformers

    tokenizer = WordTokenizer(reasoning_words())
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(tokenizer.words), n_embd=32, n_layer=2, n_head=2, n_positions=64,
                                     bos_token_id=1, eos_token_id=1)  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    return tmp_path


def test_another_architecture_samples_scores_and_saves(gpt2: Path, tmp_path: Path) -> None:
    engine = load_policy(str(gpt2), max_tokens=12, batch=4)
    assert type(engine).__name__ == "TransformersEngine"
    flat = [c for group in engine.sample(draws(), seeds()) for c in group]
    for c, expected in zip(flat, engine.score([(c.prefix, c.tokens) for c in flat]), strict=True):
        assert c.logprobs == pytest.approx(expected, abs=1e-4)
    alone = [engine.sample([d], [[s]])[0][0].tokens for d, ss in zip(draws(1), seeds(), strict=True) for s in ss]
    assert [c.tokens for c in flat] == alone
    (tmp_path / "saved").mkdir()
    engine.save(tmp_path / "saved")
    again = load_policy(str(tmp_path / "saved"), max_tokens=12)
    assert again.score([(flat[0].prefix, flat[0].tokens)])[0] == pytest.approx(flat[0].logprobs, abs=1e-4)


def test_both_engines_agree_on_one_llama(tmp_path: Path, tiny_engine: LocalEngine) -> None:
    from ratchet.models.foreign import TransformersEngine

    tiny_engine.save(tmp_path)
    theirs = TransformersEngine(tmp_path, tiny_engine.tokenizer, max_tokens=24)
    assert [[c.tokens for c in g] for g in theirs.sample(draws(), seeds())] == [
        [c.tokens for c in g] for g in tiny_engine.sample(draws(), seeds())
    ]


def test_chat_template_is_applied(tmp_path: Path) -> None:
    from ratchet.models.load import load_tokenizer

    words = WordTokenizer(["<user>", "<assistant>", "hello", "there"])
    words.save(tmp_path)
    about = json.loads((tmp_path / "tokenizer_config.json").read_text())
    about["chat_template"] = "{% for m in messages %}<user> {{ m['content'] }} {% endfor %}<assistant>"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(about))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.decode(tokenizer.encode_prompt("hello there")).split() == ["<user>", "hello", "there", "<assistant>"]
    assert tokenizer.decode(tokenizer.encode("hello")).split() == ["hello"]
    # a later turn of the user: only what the template writes behind the model's reply
    assert tokenizer.decode(tokenizer.encode_turn("there")).split() == ["<user>", "there", "<assistant>"]


# ---- tokenizers --------------------------------------------------------------------------------------------------


def test_word_tokenizer_round_trip_and_transformers_reads_it(tmp_path: Path) -> None:
    import transformers

    ours = WordTokenizer(reasoning_words())
    ours.save(tmp_path)
    again = WordTokenizer.load(tmp_path)
    assert again is not None and again.words == ours.words
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "numbers 3 7 target 21 : answer ( 3 * 7 )"
    assert theirs(text).input_ids == ours.encode(text)
    assert theirs.eos_token_id == ours.end_id


def test_score_does_not_depend_on_padding(tiny_engine: LocalEngine) -> None:
    pairs = [((2, 3, 4), (5, 6)), ((2,), (3, 4, 5, 6, 7, 8)), ((9, 8, 7, 6, 5, 4), (3,))]
    with torch.no_grad():
        together = score(tiny_engine.model, pairs)
        for pair, expected in zip(pairs, together, strict=True):
            assert score(tiny_engine.model, [pair])[0] == pytest.approx(expected, abs=1e-5)


def test_weights_that_are_not_finite_leave_nothing_behind(tiny_engine: LocalEngine, way: str) -> None:
    before = tiny_engine.sample(draws(), seeds())
    weight = tiny_engine.model.embed.weight
    good = weight.detach().clone()
    with torch.no_grad():
        weight.fill_(float("nan"))
    tiny_engine.sample(draws(), seeds())
    with torch.no_grad():
        weight.copy_(good)
    assert tiny_engine.sample(draws(), seeds()) == before


@pytest.mark.parametrize(
    "settings", [{"n": 0}, {"temperature": -1.0}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.5}]
)
def test_a_draw_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    from ratchet.core.errors import RecipeError

    with pytest.raises(RecipeError, match="a draw needs"):
        Draw("x", **settings)


def test_a_processor_without_packed_products_in_bfloat16_samples_all_the_same(
    tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on one without AVX-512, where packing raises."""

    def refused(self: packed.Packed, weight: torch.Tensor, bf16: bool) -> None:
        raise RuntimeError("bf16 path needs the cpu support")

    packed.can_pack.cache_clear()
    monkeypatch.setattr(packed.Packed, "__init__", refused)
    tiny_engine.bf16 = True
    try:
        assert tiny_engine.sample([Draw(PROMPTS[0])], [[3]])[0][0].tokens
    finally:
        packed.can_pack.cache_clear()
