"""The sampler: continuous batching over a key-value cache.

One prefill per distinct prefix, shared by all its samples. Rows leave as they finish; free rows are refilled from
the queue; when the queue is empty the cache shrinks with the rows. The randomness of a token is a hash of its row's
seed and its place, so a sample does not depend on what else is in the batch beyond floating-point noise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from ratchet.core.types import Tokens
from ratchet.models.cache import Cache, Prefixes, State
from ratchet.models.graphs import Next
from ratchet.models.llama import Llama, attend_causal
from ratchet.models.machine import in_float32

MASK64 = (1 << 64) - 1


def signed(x: int) -> int:
    """A 64-bit pattern as torch's signed integer."""
    x &= MASK64
    return x - (1 << 64) if x >> 63 else x


def mix(x: Tensor) -> Tensor:
    """The finaliser of splitmix64 on int64, with logical shifts: a bijection that scatters neighbouring inputs."""
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * signed(0xBF58476D1CE4E5B9)
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * signed(0x94D049BB133111EB)
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def streams(seeds: Sequence[int], device: torch.device) -> Tensor:
    """Where the numbers of each row begin (B,), far apart for neighbouring seeds."""
    return mix(torch.tensor([signed(s) for s in seeds], dtype=torch.long, device=device))


def uniforms(streams: Tensor, steps: Tensor) -> Tensor:
    """Numbers in [0, 1) in float64 from streams (B,) and token places (B,)."""
    bits = mix(streams + (steps + 1) * signed(0x9E3779B97F4A7C15))
    return ((bits >> 11) & ((1 << 53) - 1)).double() / 2**53


def pick(logits: Tensor, streams: Tensor, steps: Tensor, temperature: float, top_p: float = 1.0) -> tuple[Tensor, Tensor]:
    """Token ids (B,) and their log-probabilities (B,) from logits (B, V).

    Temperature 0 takes the most probable token. The log-probability is that of the tempered distribution, before
    `top_p` cuts its tail.
    """
    logp = F.log_softmax(logits.float() / (temperature or 1.0), dim=-1)
    if temperature == 0:
        ids = logp.argmax(-1)
    else:
        cumulative = choose_from(logp.exp(), top_p).cumsum(-1)
        target = uniforms(streams, steps).to(cumulative.dtype)[:, None] * cumulative[:, -1:]
        # a rounded-up target could pass the end, and a token of no probability must never be taken
        ids = (cumulative <= target).sum(-1).clamp(max=logits.shape[-1] - 1)
        ids = torch.where(logp.gather(-1, ids[:, None])[:, 0].isinf(), logp.argmax(-1), ids)
    return ids, logp.gather(-1, ids[:, None])[:, 0]


def choose_from(probs: Tensor, top_p: float) -> Tensor:
    """The smallest set of tokens that holds `top_p` of the probability (Holtzman et al. 2020); others get zero."""
    if top_p >= 1.0:
        return probs
    ordered, index = probs.sort(-1, descending=True)
    keep = ordered.cumsum(-1) - ordered < top_p
    return torch.zeros_like(probs).scatter(-1, index, ordered * keep)


@dataclass
class Row:
    """One sample to draw. `finish` is called with the new token ids after each token; a reason ends the row."""

    prefix: Tokens
    seed: int
    max_tokens: int
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stop: str = "length"


Finish = Callable[[Row], str | None]


@torch.no_grad()
def prefill(model: Llama, prefixes: Sequence[Tokens], known: Sequence[State | None]) -> tuple[Tensor, list[State]]:
    """Last-token logits (B, V) and the state of each prefix, in one padded pass over what is not yet `known` of it."""
    shape, device, dtype = model.shape, model.embed.weight.device, model.embed.weight.dtype
    past = [0 if state is None else state.shape[3] for state in known]
    rest = [prefix[n:] for prefix, n in zip(prefixes, past, strict=True)]
    ids = torch.zeros(len(rest), max(map(len, rest)), dtype=torch.long, device=device)
    for row, tokens in enumerate(rest):
        ids[row, : len(tokens)] = torch.tensor(tokens, device=device)
    start = torch.tensor(past, device=device)
    before = torch.zeros(shape.layers, 2, len(rest), shape.kv_heads, max(past), shape.head_width, dtype=dtype, device=device)
    for row, state in enumerate(known):
        if state is not None:
            before[:, :, row, :, : past[row]] = state
    place = torch.arange(ids.shape[1], device=device)
    # a token sees the known part of its own row, itself and what lies between
    seen_before = (torch.arange(max(past), device=device) < start[:, None])[:, None].expand(-1, len(place), -1)
    seen = torch.cat((seen_before, (place <= place[:, None]).expand(len(rest), -1, -1)), -1)[:, None]
    new: list[Tensor] = []

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        new.append(torch.stack((k.to(dtype), v.to(dtype))))
        if not any(past):
            return attend_causal(layer, q, k, v)
        keys, values = torch.cat((before[layer], new[-1]), 3).to(q.dtype)
        with in_float32(device):
            return F.scaled_dot_product_attention(q, keys, values, attn_mask=seen, enable_gqa=q.shape[1] != k.shape[1])

    h = model.hidden(ids, start[:, None] + place, attend)
    last = torch.tensor([len(tokens) - 1 for tokens in rest], device=device)
    logits = model.logits(h[torch.arange(len(rest), device=device), last])
    states: list[State] = []
    for row, (tokens, n) in enumerate(zip(rest, past, strict=True)):
        own = torch.stack([x[:, row, :, : len(tokens)] for x in new])
        states.append(torch.cat((before[:, :, row, :, :n], own), 3) if n else own)
    return logits, states


@torch.no_grad()
def sample_rows(
    model: Llama,
    cache: Cache,
    prefixes: Prefixes,
    step: Next,
    rows: Sequence[Row],
    finish: Finish,
    temperature: float,
    top_p: float = 1.0,
    batch: int = 256,
) -> Iterator[list[Row]]:
    """Fill in `tokens`, `logprobs` and `stop` of every row, at most `batch` rows at once; rows as they are finished.

    `step` is `next_tokens`, or what computes the same in another way.
    """
    device = model.embed.weight.device
    queue = deque(r for r in rows if r.max_tokens > 0)
    live: list[Row] = []
    cache.clear()
    yield [r for r in rows if r.max_tokens <= 0]
    # (4, B) of the live rows: last token, tokens written to the cache, tokens of the prompt, stream of random numbers
    at = torch.zeros(4, 0, dtype=torch.long, device=device)

    def advance(new: Tensor, logp: Tensor, group: list[Row]) -> tuple[list[int], list[int]]:
        """Append one token to each row of the group; the places of the rows that go on, and of those that end."""
        going, gone = list[int](), list[int]()
        for i, (row, token, lp) in enumerate(zip(group, new.tolist(), logp.tolist(), strict=True)):
            row.tokens.append(token)
            row.logprobs.append(lp)
            cache.tainted |= lp != lp  # not a number
            reason = finish(row)
            if reason is not None:
                row.stop = reason
            (going if reason is None and len(row.tokens) < row.max_tokens else gone).append(i)
        return going, gone

    while queue or live:
        # refill when few are left: every row pays attention over the longest, so rows of one age are cheapest together
        if queue and len(live) <= batch // 8:
            group = [queue.popleft() for _ in range(min(batch - len(live), len(queue)))]
            asked = list(dict.fromkeys(r.prefix for r in group))
            logits, states = prefill(model, asked, [prefixes.longest(p) for p in asked])
            for prefix, state in zip(asked, states, strict=True):
                prefixes.put(prefix[:-1], state[:, :, :, :-1])
            place = {p: i for i, p in enumerate(asked)}
            source = torch.tensor([place[r.prefix] for r in group], device=device)
            begun = torch.tensor([len(r.prefix) for r in group], device=device)
            own = streams([r.seed for r in group], device)
            new, logp = pick(logits[source], own, torch.zeros_like(own), temperature, top_p)
            going, gone = advance(new, logp, group)
            yield [group[i] for i in gone]
            if going:
                cache.add([states[place[group[i].prefix]] for i in going])
                live += [group[i] for i in going]
                at = torch.cat((at, torch.stack((new, begun, begun, own))[:, going]), 1)
            continue
        longest = max(len(row.prefix) + len(row.tokens) for row in live)
        new, logp = step(model, cache, at, longest, temperature, top_p)
        at[0], at[1] = new, at[1] + 1
        going, gone = advance(new, logp, live)
        if gone:
            for i in gone:
                if (row := live[i]).stop == "stop":
                    written = len(row.prefix) + len(row.tokens) - 1
                    prefixes.put((*row.prefix, *row.tokens[:-1]), cache.state(i, written))
            yield [live[i] for i in gone]
            order = cache.keep(going)
            live = [live[i] for i in order]
            at = at[:, order]


def next_tokens(model: Llama, cache: Cache, at: Tensor, longest: int, temperature: float, top_p: float) -> tuple[Tensor, Tensor]:
    """Tokens (B,) that follow the rows' last ones, and their log-probabilities (B,).

    `at` (4, B) is as in `sample_rows`; the keys and values of the last tokens are written to the cache. `longest` bounds
    the tokens of a row. Where the cache has a single part, nothing here waits for the device, so that it can be recorded.
    """
    ids, lengths, begun, own = at
    rows, device = len(ids), ids.device
    cache.reserve(rows, longest)
    heads, span, width = cache.heads, cache.span, cache.width
    last = (longest - 1) // span
    # where new keys and values belong; most often all in the last part
    lines = cache.lines[:rows] + (lengths % span)[:, None, None]
    targets: list[tuple[int, slice | Tensor, Tensor]] = [(last, slice(None), lines.flatten())]
    if last and (first := int(lengths.min()) // span) < last:
        chosen = [(i, (lengths // span == i).nonzero()[:, 0]) for i in range(first, last + 1)]
        targets = [(i, some, lines[some].flatten()) for i, some in chosen]
    rest = longest - last * span
    if cache.gaps_cost(rows, longest) and rest > Cache.SPAN // 3:
        rest = -(-rest // Cache.SPAN) * Cache.SPAN
    read = [span] * last + [rest]
    unseen = torch.arange(sum(read), device=device) > lengths[:, None]
    hidden = torch.zeros(unseen.shape, dtype=cache.dtype, device=device).masked_fill_(unseen, -torch.inf)[:, None, None]
    group = model.shape.heads // heads
    masks = hidden.expand(rows, heads, group, -1).flatten(0, 1).split(read, -1)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        new = torch.cat((k, v), 1).to(cache.dtype)
        for i, some, place in targets:
            cache.parts[i][layer].view(-1, width).index_copy_(0, place, new[some].view(-1, width))
        states = [part[layer, :, :rows].flatten(1, 2)[:, :, :n].unbind() for part, n in zip(cache.parts, read, strict=False)]
        # written out: on a CPU two batched products took 0.7 times the fused kernel's time for single queries
        q = q.reshape(rows * heads, group, width)
        with in_float32(device):
            scores = [mask.baddbmm(q, k.mT, alpha=width**-0.5) for mask, (k, _) in zip(masks, states, strict=True)]
            weights = torch.cat(scores, -1).softmax(-1).split(read, -1)
            mixed = weights[0] @ states[0][1]
            for w, (_, v) in zip(weights[1:], states[1:], strict=True):
                mixed.baddbmm_(w, v)
        return mixed.view(rows, -1, 1, width)

    h = model.hidden(ids[:, None], lengths[:, None], attend)
    return pick(model.logits(h[:, 0]), own, lengths - begun + 1, temperature, top_p)
