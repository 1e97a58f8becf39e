"""A Llama-style transformer in one page, for Llama, Qwen2 and Qwen3 checkpoints in the Hugging Face layout.

Query, key and value projections are stored as one matrix, gate and up as another: fewer and larger products.
`load` and `save` translate to and from the published names. Shapes: B rows, T tokens, D width, V vocabulary,
H query heads, K key-value heads, E head width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ratchet.core.errors import EngineError
from ratchet.models.machine import in_float32
from ratchet.models.packed import Linear, Packed, pack

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, query (B, H, T, E), key and value (B, K, T, E)) -> (B, H, T, E)"""


@dataclass(frozen=True)
class Shape:
    """The numbers of a checkpoint's config.json that the computation needs."""

    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    max_tokens: int = 2048
    norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    rope_scaling: tuple[tuple[str, Any], ...] = ()
    tied: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    kind: str = "llama"


def shape_of(config: dict[str, Any]) -> Shape:
    """Read a Hugging Face config; EngineError with the reason where this code cannot compute that model."""
    names = config.get("architectures") or []
    kind = next((ARCHITECTURES[n] for n in names if n in ARCHITECTURES), None)
    if kind is None:
        raise EngineError(f"architecture {names or 'unnamed'} is not one of {', '.join(ARCHITECTURES)}")
    if config.get("use_sliding_window") or config.get("quantization_config") or config.get("hidden_act", "silu") != "silu":
        raise EngineError("sliding windows, quantised weights and activations other than SiLU are not computed here")
    rope = config.get("rope_parameters") or {}
    scaling = {**(config.get("rope_scaling") or {}), **rope}
    theta = float(scaling.pop("rope_theta", config.get("rope_theta", 10_000.0)))
    rope_type = scaling.pop("rope_type", scaling.pop("type", "default"))
    if rope_type not in ("default", "linear", "llama3"):
        raise EngineError(f'rope scaling "{rope_type}" is not one of default, linear, llama3')
    if float(scaling.get("partial_rotary_factor", 1.0)) != 1.0:
        raise EngineError("partial rotary embeddings are not computed here")
    heads = int(config["num_attention_heads"])
    bias = bool(config.get("attention_bias", False))
    return Shape(
        vocab=config["vocab_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_width=config.get("head_dim") or config["hidden_size"] // heads,
        hidden=config["intermediate_size"],
        max_tokens=config.get("max_position_embeddings", 2048),
        norm_eps=config.get("rms_norm_eps", 1e-6),
        rope_theta=theta,
        rope_scaling=tuple(sorted({**scaling, "rope_type": rope_type}.items())) if rope_type != "default" else (),
        tied=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=kind == "qwen2" or bias,
        out_bias=kind != "qwen2" and bias,
        mlp_bias=kind == "llama" and bool(config.get("mlp_bias", False)),
        qk_norm=kind == "qwen3",
        kind=kind,
    )


def rope_frequencies(shape: Shape) -> Tensor:
    """Angles per position for each pair of coordinates, (E / 2,), in float32."""
    freq = 1.0 / shape.rope_theta ** (torch.arange(0, shape.head_width, 2, dtype=torch.float32) / shape.head_width)
    scaling = dict(shape.rope_scaling)
    if not scaling:
        return freq
    factor = float(scaling["factor"])
    if scaling["rope_type"] == "linear":
        return freq / factor
    # Llama 3.1: long wavelengths are stretched, short ones kept, those between are blended
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    wavelength = 2 * torch.pi / freq
    blend = ((scaling["original_max_position_embeddings"] / wavelength - low) / (high - low)).clamp(0, 1)
    return (1 - blend) * freq / factor + blend * freq


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of x (B, heads, T, E) by angles (B or 1, 1, T, E), the halves convention.

    `sin` is negative in its first half, so that swapping the halves of x is all that is left to do.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class Block(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.s = s
        self.norm_in = nn.RMSNorm(s.width, eps=s.norm_eps)
        self.qkv = Linear(s.width, (s.heads + 2 * s.kv_heads) * s.head_width, bias=s.qkv_bias)
        self.out = Linear(s.heads * s.head_width, s.width, bias=s.out_bias)
        self.norm_mid = nn.RMSNorm(s.width, eps=s.norm_eps)
        self.gate_up = Linear(s.width, 2 * s.hidden, bias=s.mlp_bias)
        self.down = Linear(s.hidden, s.width, bias=s.mlp_bias)
        if s.qk_norm:
            self.norm_q = nn.RMSNorm(s.head_width, eps=s.norm_eps)
            self.norm_k = nn.RMSNorm(s.head_width, eps=s.norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, layer: int, attend: Attend) -> Tensor:
        s = self.s
        B, T, _ = x.shape
        heads = self.qkv(self.norm_in(x)).view(B, T, s.heads + 2 * s.kv_heads, s.head_width).transpose(1, 2)
        qk, v = heads.split((s.heads + s.kv_heads, s.kv_heads), dim=1)
        if s.qk_norm:
            qk = torch.cat((self.norm_q(qk[:, : s.heads]), self.norm_k(qk[:, s.heads :])), 1)
        q, k = rotate(qk, cos, sin).split((s.heads, s.kv_heads), dim=1)
        y = attend(layer, q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, s.heads * s.head_width))
        gate, up = self.gate_up(self.norm_mid(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    """The model. `forward` gives logits for whole sequences; samplers call `hidden` with their own attention.

    With `checkpointing` a block's inside is computed once more for the gradient, in the place of being kept: less memory,
    and about a third more time.
    """

    checkpointing = False

    def __init__(self, shape: Shape, config: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.shape, self.config = shape, config or to_config(shape)
        self.embed = nn.Embedding(shape.vocab, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        if not shape.tied:
            self.head = nn.Linear(shape.width, shape.vocab, bias=False)
        freq = rope_frequencies(shape)
        self.packed_head: Packed | None = None
        self.register_buffer("freq", torch.cat((freq, freq)), persistent=False)
        self.register_buffer("sign", torch.cat((-torch.ones_like(freq), torch.ones_like(freq))), persistent=False)

    def pack(self, bf16: bool) -> None:
        """Pack the weights as they are now, for all that is computed without learning until they change."""
        layers = [m for m in self.blocks.modules() if isinstance(m, Linear)]
        self.packed_head = pack(layers, self.head_weight(), bf16)

    def head_weight(self) -> Tensor:
        return self.embed.weight if self.shape.tied else self.head.weight

    def weights(self) -> dict[str, Tensor]:
        """The weights that it computes with, by name: with an adapter on (models/lora.py), those that this makes of them."""
        return {name: attrgetter(name)(self) for name, _ in name_pairs(self.shape)}

    def hidden(self, ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Final hidden states (B, T, D) for ids (B, T) at positions (B or 1, T)."""
        angles = positions[:, None, :, None].float() * self.freq
        x = self.embed(ids)
        cos, sin = angles.cos().to(x.dtype), angles.sin().mul_(self.sign).to(x.dtype)
        for layer, block in enumerate(self.blocks):
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, cos, sin, layer, attend, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x, cos, sin, layer, attend)
        return self.norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) for right-padded ids (B, T)."""
        return self.logits(self.states(ids))

    def states(self, ids: Tensor) -> Tensor:
        """Final hidden states (B, T, D) for right-padded ids (B, T); padding is never seen from the left, so it needs no mask."""
        positions = torch.arange(ids.shape[1], device=ids.device)[None]
        return self.hidden(ids, positions, attend_causal)

    def at(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """Logits (N, V) at the N places where `wanted` (B, T) is true. The head is the largest product of a model with
        many words; prompts and padding need none."""
        return self.logits(self.states(ids)[wanted])

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits (..., V) of hidden states (..., D), in float32 always: their rounding would part sampler and learner."""
        weight, packed = self.head_weight(), self.packed_head
        if packed is not None and packed.serves(weight, hidden, False):
            return packed.product(hidden)
        with in_float32(hidden.device):
            return F.linear(hidden.float(), weight)


def attend_causal(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each token sees itself and what is on its left."""
    attend = partial(F.scaled_dot_product_attention, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    if q.is_cuda:
        return attend(q, k, v)
    with in_float32(q.device):  # the CPU's kernel is slow in bfloat16 (benchmarks/attention.py)
        return attend(q.float(), k.float(), v.float())


def init_weights(model: Llama, seed: int) -> None:
    """Normal weights with deviation 0.02, output projections scaled down by depth, from a generator of their own."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    for name, p in model.named_parameters():
        if p.dim() == 2:
            deviation = 0.02 / (2 * model.shape.layers) ** 0.5 if ".out." in name or ".down." in name else 0.02
            nn.init.normal_(p, 0.0, deviation, generator=generator)
        elif name.endswith("bias"):
            nn.init.zeros_(p)


# ---- the Hugging Face layout -------------------------------------------------------------------------------------


def to_config(s: Shape) -> dict[str, Any]:
    """A config.json that transformers reads."""
    if s.rope_scaling:
        raise EngineError("a scaled rotary embedding keeps its own config; pass it on")
    return {
        "architectures": [next(k for k, v in ARCHITECTURES.items() if v == s.kind)],
        "model_type": s.kind,
        "vocab_size": s.vocab,
        "hidden_size": s.width,
        "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads,
        "num_key_value_heads": s.kv_heads,
        "head_dim": s.head_width,
        "intermediate_size": s.hidden,
        "max_position_embeddings": s.max_tokens,
        "rms_norm_eps": s.norm_eps,
        "rope_theta": s.rope_theta,
        "tie_word_embeddings": s.tied,
        "attention_bias": s.qkv_bias and s.kind != "qwen2",
        "mlp_bias": s.mlp_bias,
        "hidden_act": "silu",
    }


def name_pairs(s: Shape) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Our parameter name and the published names that are stacked in it, each with its rows."""
    yield "embed.weight", [("model.embed_tokens.weight", s.vocab)]
    yield "norm.weight", [("model.norm.weight", s.width)]
    if not s.tied:
        yield "head.weight", [("lm_head.weight", s.vocab)]
    kv = s.kv_heads * s.head_width
    for i in range(s.layers):
        ours, theirs = f"blocks.{i}", f"model.layers.{i}"
        yield f"{ours}.norm_in.weight", [(f"{theirs}.input_layernorm.weight", s.width)]
        yield f"{ours}.norm_mid.weight", [(f"{theirs}.post_attention_layernorm.weight", s.width)]
        if s.qk_norm:
            yield f"{ours}.norm_q.weight", [(f"{theirs}.self_attn.q_norm.weight", s.head_width)]
            yield f"{ours}.norm_k.weight", [(f"{theirs}.self_attn.k_norm.weight", s.head_width)]
        for part in ("weight",) + (("bias",) if s.qkv_bias else ()):
            rows = (("q", s.heads * s.head_width), ("k", kv), ("v", kv))
            yield f"{ours}.qkv.{part}", [(f"{theirs}.self_attn.{n}_proj.{part}", r) for n, r in rows]
        for part in ("weight",) + (("bias",) if s.out_bias else ()):
            yield f"{ours}.out.{part}", [(f"{theirs}.self_attn.o_proj.{part}", s.width)]
        for part in ("weight",) + (("bias",) if s.mlp_bias else ()):
            yield f"{ours}.gate_up.{part}", [(f"{theirs}.mlp.{n}_proj.{part}", s.hidden) for n in ("gate", "up")]
            yield f"{ours}.down.{part}", [(f"{theirs}.mlp.down_proj.{part}", s.width)]


def load(folder: Path) -> Llama:
    """A model from config.json and safetensors (one file or sharded), in float32.

    Raises EngineError for a missing file, an architecture that is not ours, and missing or misshapen tensors.
    """
    config = json.loads((folder / "config.json").read_text())
    model = Llama(shape_of(config), config)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise EngineError(f"{folder} has no .safetensors file; weights load from safetensors only")
    theirs: dict[str, Tensor] = {}
    for file in files:
        theirs.update(load_file(file))
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, parts in name_pairs(model.shape):
            missing = [n for n, _ in parts if n not in theirs]
            if missing:
                raise EngineError(f"{folder} lacks the tensor {missing[0]}")
            stacked = torch.cat([theirs[n] for n, _ in parts])
            if stacked.shape != own[name].shape:
                raise EngineError(f"{folder}: {parts[0][0]} has shape {tuple(stacked.shape)}, not {tuple(own[name].shape)}")
            own[name].copy_(stacked)
    return model


def save(model: Llama, folder: Path) -> None:
    """config.json and model.safetensors, as AutoModelForCausalLM.from_pretrained reads them."""
    own = model.weights()
    theirs: dict[str, Tensor] = {}
    for name, parts in name_pairs(model.shape):
        pieces = own[name].detach().split([rows for _, rows in parts])
        theirs.update({n: piece.contiguous() for (n, _), piece in zip(parts, pieces, strict=True)})
    save_file(theirs, folder / "model.safetensors", metadata={"format": "pt"})
    # the tensors are float32, whatever the checkpoint was read from: both spellings, for old and new readers
    config = {**model.config, "dtype": "float32", "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
