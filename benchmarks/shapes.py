"""The models of the benchmarks: Llamas with random weights whose end token has a chosen probability."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from ratchet.models import llama
from ratchet.models.tokens import WordTokenizer

SIZES = {
    "0.8M": llama.Shape(vocab=118, width=128, layers=4, heads=4, kv_heads=4, head_width=32, hidden=344, max_tokens=1024),
    "3M": llama.Shape(
        vocab=512, width=256, layers=4, heads=8, kv_heads=8, head_width=32, hidden=640, max_tokens=1024, tied=False
    ),
    "25M": llama.Shape(
        vocab=2048, width=512, layers=8, heads=8, kv_heads=8, head_width=64, hidden=1376, max_tokens=1024, tied=False
    ),
}


def tokenizer(vocab: int) -> WordTokenizer:
    """Words w2, w3, ...; token 1 is the end."""
    return WordTokenizer([f"w{i}" for i in range(2, vocab)])


def matrix_parameters(model: llama.Llama) -> int:
    """Parameters that every token is multiplied with."""
    own = sum(p.numel() for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n)
    return own + (model.embed.weight.numel() if model.shape.tied else 0)


@torch.no_grad()
def build(size: str, mean_tokens: float, seed: int = 0) -> llama.Llama:
    """A model whose completions have about `mean_tokens` tokens: each step ends with probability one over that.

    Every embedding has the same value in its first coordinate, large enough to survive all layers; the end token's head
    reads that coordinate alone. The head's weight is found by bisection on random inputs.
    """
    shape = llama.Shape(**{**SIZES[size].__dict__, "tied": False})
    model = llama.Llama(shape)
    llama.init_weights(model, seed)
    model.embed.weight[:, 0] = 1.0
    head = model.head_weight()
    head[:, 0] = 0.0
    head[1] = 0.0
    ids = torch.randint(2, shape.vocab, (16, 32), generator=torch.Generator().manual_seed(seed))
    low, high = -1.0, 1.0
    for _ in range(40):
        head[1, 0] = (low + high) / 2
        chance = model(ids).softmax(-1)[..., 1].mean().item()
        low, high = (low, float(head[1, 0])) if chance > 1 / mean_tokens else (float(head[1, 0]), high)
    return model


def write(size: str, mean_tokens: float) -> str:
    """The folder of a checkpoint that every contender loads."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-bench-"))
    model = build(size, mean_tokens)
    llama.save(model, folder)
    tokenizer(model.shape.vocab).save(folder)
    return str(folder)


def prompts(vocab: int, groups: int, tokens: int = 16, seed: int = 0) -> list[list[int]]:
    """Random prompts without the end token."""
    return torch.randint(2, vocab, (groups, tokens), generator=torch.Generator().manual_seed(seed)).tolist()
