"""A step of sampling for few rows, in numpy, where a call costs a third of one into torch.

A step of 8 rows of the 0.8 M model is some 250 calls and next to no arithmetic: 0.46 ms here and 1.06 in torch, 1.42 there
in bfloat16; of one row 0.21, 0.73 and 1.29 (two cores of an AMD EPYC). The same computation as `sampling.next_tokens`,
on the same cache and weights; in bfloat16 the weights are rounded, and what they are multiplied with is not. Large products
go to the packed weights, on all threads; numpy's own are for one thread (`machine.prepare`), so that two pools of threads
never wait for each other.

Shapes: B rows, D width, H query heads, K key-value heads, G of the former to each of the latter, E head width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ratchet.models.cache import Cache
from ratchet.models.graphs import Next, Picked
from ratchet.models.llama import Block, Llama
from ratchet.models.packed import Packed, rounded
from ratchet.models.sampling import pick

MOST = 2**12  # numbers in the hidden states of a step: beyond, torch's threads are worth their calls
READ = 2**20  # numbers in a layer's keys that a step reads, likewise
LEAST = 2**21  # multiplications in a product below which numpy's is the quicker one, for torch's threads must wake
COPIED = 2**28  # bytes of a model's weights, whose rounded copies are in float32
LARGE = 2**19  # a weight of so many numbers comes from memory, and each further row of numpy's product takes its time
Array = np.ndarray


class Product:
    """x (B, in) times a weight (out, in), and its bias."""

    def __init__(self, weight: Tensor, packed: Packed | None, bf16: bool, bias: Tensor | None = None) -> None:
        self.packed, self.bias = packed, bias
        self.plain = numbers(weight, bf16).T
        self.added = None if bias is None else numbers(bias, bf16)
        # a single row reads each weight once, and packed weights are slower to read
        self.least = 2 if weight.numel() >= LARGE else max(2, LEAST // weight.numel())

    def __call__(self, x: Array) -> Array:
        if self.packed is not None and len(x) >= self.least:
            return self.packed.product(torch.from_numpy(x), self.bias).float().numpy()
        y = x @ self.plain
        return y if self.added is None else y + self.added


class Norm:
    """RMSNorm over the last axis."""

    def __init__(self, norm: nn.RMSNorm) -> None:
        self.weight, self.eps = numbers(norm.weight), np.float32(norm.eps)

    def __call__(self, x: Array) -> Array:
        size = np.einsum("...d,...d->...", x, x)
        size /= x.shape[-1]
        size += self.eps
        y = x / np.sqrt(size, out=size)[..., None]
        y *= self.weight
        return y


class Layer:
    """A block's parts."""

    def __init__(self, block: Block, bf16: bool) -> None:
        linear = (block.qkv, block.out, block.gate_up, block.down)
        self.qkv, self.out, self.gate_up, self.down = (Product(m.weight, m.packed, bf16, m.bias) for m in linear)
        self.norm_in, self.norm_mid = Norm(block.norm_in), Norm(block.norm_mid)
        self.norms = (Norm(block.norm_q), Norm(block.norm_k)) if block.s.qk_norm else None


def numbers(weight: Tensor, bf16: bool = False) -> Array:
    """The weight's own memory, or a copy that is rounded to bfloat16."""
    own = weight.detach()
    return (rounded(own, True).float() if bf16 else own).numpy()


class Few:
    """`step` is `next_tokens`, in numpy where the rows are few. `follow` comes before it, and after a change of weights."""

    def __init__(self, next_tokens: Next) -> None:
        self.next_tokens = next_tokens

    def follow(self, model: Llama, bf16: bool) -> None:
        own = list(model.parameters())
        small = not bf16 or sum(p.nbytes for p in own) <= COPIED
        self.serves = small and all(p.dtype == torch.float32 for p in own)
        if self.serves:
            self.embed, self.freq = numbers(model.embed.weight), numbers(model.freq[: len(model.freq) // 2])
            self.layers = [Layer(block, bf16) for block in model.blocks]  # type: ignore[arg-type]
            self.norm, self.head = Norm(model.norm), Product(model.head_weight(), model.packed_head, False)

    def step(self, model: Llama, cache: Cache, at: Tensor, longest: int, temperature: float, top_p: float) -> Picked:
        hidden, keys = (at.shape[1] * n for n in (model.shape.width, cache.heads * cache.width * longest))
        if not self.serves or hidden > MOST or keys > READ:
            return self.next_tokens(model, cache, at, longest, temperature, top_p)
        ids, lengths, begun, own = at.numpy()
        with np.errstate(all="ignore"):  # of weights that are not finite, as torch has it
            logits = self.logits(model, cache, ids, lengths, longest)
            if temperature and top_p >= 1:
                new, logp = chosen(logits / np.float32(temperature), own.view(np.uint64), (lengths - begun + 1).view(np.uint64))
                return torch.from_numpy(new), torch.from_numpy(logp)
        return pick(torch.from_numpy(logits), at[3], torch.from_numpy(lengths - begun + 1), temperature, top_p)

    def logits(self, model: Llama, cache: Cache, ids: Array, lengths: Array, longest: int) -> Array:
        """Logits (B, V) after tokens `ids` (B,), whose keys and values go to the place `lengths` (B,) of the cache."""
        s, B = model.shape, len(ids)
        H, K, E, half = s.heads, s.kv_heads, s.head_width, s.head_width // 2
        cache.reserve(B, longest)
        angles = lengths[:, None].astype(np.float32) * self.freq
        cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None] * np.array([[-1], [1]], np.float32)
        # (part, rows, lines of the part) where new keys and values belong
        part = lengths // cache.span
        lines = cache.lines.numpy()[:B] + (lengths % cache.span)[:, None, None]
        targets: list[tuple[int, slice | Array, Array]] = [(int(part[0]), slice(None), lines.ravel())]
        if (part != part[0]).any():
            targets = [(int(i), part == i, lines[part == i].ravel()) for i in np.unique(part)]
        reads = [(i, slice(i * cache.span, min((i + 1) * cache.span, longest))) for i in range(-(-longest // cache.span))]
        states = [cache.parts[i].numpy() for i, _ in reads]
        unseen = np.arange(longest) > lengths[:, None]
        hidden = np.where(unseen, np.float32(-np.inf), np.float32(0))[:, None, None] if unseen.any() else None
        scores = np.empty((B, K, H // K, longest), np.float32)
        x = self.embed[ids]
        for n, layer in enumerate(self.layers):
            heads = layer.qkv(layer.norm_in(x)).reshape(B, H + 2 * K, E)
            qk = heads[:, : H + K]
            if layer.norms:
                qk = np.concatenate((layer.norms[0](qk[:, :H]), layer.norms[1](qk[:, H:])), 1)
            pairs = qk.reshape(B, H + K, 2, half)
            turned = pairs * cos
            turned += pairs[:, :, ::-1] * sin
            heads[:, : H + K] = turned.reshape(B, H + K, E)
            for i, rows, place in targets:
                states[i][n].reshape(-1, E)[place] = heads[rows, H:].reshape(-1, E)
            q = heads[:, :H].reshape(B, K, H // K, E) * np.float32(E**-0.5)
            for i, read in reads:
                keys = states[i][n, 0, :B, :, : read.stop - read.start]
                np.matmul(q, keys.swapaxes(-1, -2), out=scores[..., read])
            if hidden is not None:
                scores += hidden
            scores -= scores.max(-1, keepdims=True)
            np.exp(scores, out=scores)
            mixed = scores[..., reads[0][1]] @ states[0][n, 1, :B, :, : reads[0][1].stop]
            for i, read in reads[1:]:
                mixed += scores[..., read] @ states[i][n, 1, :B, :, : read.stop - read.start]
            mixed /= scores.sum(-1, keepdims=True)
            x = x + layer.out(mixed.reshape(B, H * E))
            both = layer.gate_up(layer.norm_mid(x))
            gate, up = both[:, : s.hidden], both[:, s.hidden :]
            y = np.exp(-gate)
            y += 1
            np.divide(gate, y, out=y)
            y *= up
            x += layer.down(y)
        return self.head(self.norm(x))


def chosen(logits: Array, streams: Array, steps: Array) -> tuple[Array, Array]:
    """What `sampling.pick` gives at temperature 1, of the same random numbers; `streams` and `steps` (B,) are unsigned."""
    logits -= logits.max(-1, keepdims=True)
    odds = np.exp(logits)
    cumulative = odds.cumsum(-1)
    total = cumulative[:, -1]
    ids = (cumulative <= (uniforms(streams, steps).astype(np.float32) * total)[:, None]).sum(-1)
    ids = np.minimum(ids, odds.shape[-1] - 1)
    row = np.arange(len(ids))
    if not odds[row, ids].all():  # a token of no probability must never be taken
        ids = np.where(odds[row, ids] > 0, ids, odds.argmax(-1))
    return ids, logits[row, ids] - np.log(total)


def uniforms(streams: Array, steps: Array) -> Array:
    """`sampling.uniforms`, whose finaliser `mix` this has too."""
    x = streams + (steps + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) / 2**53
