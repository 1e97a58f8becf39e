"""The sampler: continuous batching over a key-value cache.

One prefill per distinct prefix, shared by all its samples. Rows leave as they finish; free rows are refilled from
the queue; when the queue is empty the cache shrinks with the rows. The randomness of a token is a hash of its row's
seed and its place, so a sample does not depend on what else is in the batch beyond floating-point noise.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from ratchet.core.types import Tokens
from ratchet.models.llama import Llama, attend_causal

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


def uniforms(seeds: Tensor, steps: Tensor) -> Tensor:
    """Numbers in [0, 1) in float64 from seeds (B,) and token places (B,)."""
    bits = mix(mix(seeds) + (steps + 1) * signed(0x9E3779B97F4A7C15))
    return ((bits >> 11) & ((1 << 53) - 1)).double() / 2**53


def pick(logits: Tensor, seeds: Tensor, steps: Tensor, temperature: float, top_p: float = 1.0) -> tuple[Tensor, Tensor]:
    """Token ids (B,) and their log-probabilities (B,) from logits (B, V).

    Temperature 0 takes the most probable token. The log-probability is that of the tempered distribution, before
    `top_p` cuts its tail.
    """
    logp = F.log_softmax(logits.float() / (temperature or 1.0), dim=-1)
    if temperature == 0:
        ids = logp.argmax(-1)
    else:
        cumulative = choose_from(logp.exp(), top_p).cumsum(-1)
        target = uniforms(seeds, steps).to(cumulative.dtype)[:, None] * cumulative[:, -1:]
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


class Cache:
    """Keys and values (layers, rows, K, length, E). The first `used` rows are live.

    It is kept between calls and only ever grows: fresh memory costs more here than the arithmetic on it. Stale finite
    values are harmless, since what a row has not written is masked; after weights that are not finite it is cleared.
    """

    def __init__(self, model: Llama) -> None:
        s, p = model.shape, model.embed.weight
        self.k = self.v = torch.zeros((s.layers, 0, s.kv_heads, 64, s.head_width), dtype=p.dtype, device=p.device)
        self.used = 0
        self.tainted = False

    def clear(self) -> None:
        self.used = 0
        if self.tainted:
            self.k.zero_()
            self.v.zero_()
            self.tainted = False

    def reserve(self, rows: int, length: int) -> None:
        layers, have_rows, heads, have_length, width = self.k.shape
        if rows <= have_rows and length <= have_length:
            return
        new_length = have_length if length <= have_length else max(length, 2 * have_length)
        size = (layers, max(rows, have_rows), heads, new_length, width)
        for name in ("k", "v"):
            old, new = getattr(self, name), self.k.new_zeros(size)
            new[:, : self.used, :, :have_length] = old[:, : self.used]
            setattr(self, name, new)

    def add(self, states: list[tuple[Tensor, Tensor]]) -> None:
        """Append rows with prefilled keys and values."""
        self.reserve(self.used + len(states), max(k.shape[2] for k, _ in states) + 1)
        for row, (k, v) in enumerate(states, start=self.used):
            self.k[:, row, :, : k.shape[2]] = k
            self.v[:, row, :, : v.shape[2]] = v
        self.used += len(states)

    def keep(self, going: list[int]) -> list[int]:
        """Drop all rows but `going`: the last rows move into the holes. The new order, as old row numbers."""
        staying = set(going)
        holes = [i for i in range(len(going)) if i not in staying]
        movers = [i for i in going if i >= len(going)]
        if holes:
            self.k[:, holes] = self.k[:, movers]
            self.v[:, holes] = self.v[:, movers]
        self.used = len(going)
        order = list(range(len(going)))
        for hole, mover in zip(holes, movers, strict=True):
            order[hole] = mover
        return order


State = tuple[Tensor, Tensor]
"""Keys and values (layers, K, length, E) of a sequence of tokens."""


class Prefixes:
    """States of token sequences that may be continued: prompts, and what ended at a stop string as the steps of a search
    do. Least recently used out first; `most` is in bytes."""

    def __init__(self, most: int = 256 * 2**20) -> None:
        self.most, self.held = most, 0
        self.states: OrderedDict[Tokens, State] = OrderedDict()
        self.lengths: Counter[int] = Counter()

    def clear(self) -> None:
        self.states.clear()
        self.lengths.clear()
        self.held = 0

    def put(self, tokens: Tokens, k: Tensor, v: Tensor) -> None:
        """Keep a copy of the state of `tokens`."""
        if not tokens or tokens in self.states:
            return
        self.states[tokens] = k.clone(), v.clone()
        self.lengths[len(tokens)] += 1
        self.held += 2 * k.nbytes
        while self.held > self.most:
            gone, (k, _) = self.states.popitem(last=False)
            self.lengths[len(gone)] -= 1
            self.held -= 2 * k.nbytes

    def longest(self, tokens: Tokens) -> State | None:
        """The state of the longest known beginning of `tokens` that leaves at least its last token to compute."""
        for length in sorted((n for n, count in self.lengths.items() if count and n < len(tokens)), reverse=True):
            if tokens[:length] in self.states:
                self.states.move_to_end(tokens[:length])
                return self.states[tokens[:length]]
        return None


@torch.no_grad()
def prefill(model: Llama, prefixes: Sequence[Tokens], known: Sequence[State | None]) -> tuple[Tensor, list[State]]:
    """Last-token logits (B, V) and the state of each prefix, in one padded pass over what is not yet `known` of it."""
    device, dtype = model.embed.weight.device, model.embed.weight.dtype
    past = [0 if state is None else state[0].shape[2] for state in known]
    rest = [prefix[n:] for prefix, n in zip(prefixes, past, strict=True)]
    ids = torch.zeros(len(rest), max(map(len, rest)), dtype=torch.long, device=device)
    for row, tokens in enumerate(rest):
        ids[row, : len(tokens)] = torch.tensor(tokens, device=device)
    start = torch.tensor(past, device=device)
    before = torch.zeros(
        2, model.shape.layers, len(rest), model.shape.kv_heads, max(past), model.shape.head_width, dtype=dtype, device=device
    )
    for row, state in enumerate(known):
        if state is not None:
            before[0][:, row, :, : past[row]], before[1][:, row, :, : past[row]] = state
    place = torch.arange(ids.shape[1], device=device)
    # a token sees the known part of its own row, itself and what lies between
    seen_before = (torch.arange(max(past), device=device) < start[:, None])[:, None].expand(-1, len(place), -1)
    seen = torch.cat((seen_before, (place <= place[:, None]).expand(len(rest), -1, -1)), -1)[:, None]
    new: list[State] = []

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        new.append((k.to(dtype), v.to(dtype)))
        if not any(past):
            return attend_causal(layer, q, k, v)
        keys, values = (torch.cat((old[layer], x), 2).to(q.dtype) for old, x in zip(before, new[-1], strict=True))
        with torch.autocast(device.type, enabled=False):
            return F.scaled_dot_product_attention(q, keys, values, attn_mask=seen, enable_gqa=q.shape[1] != k.shape[1])

    h = model.hidden(ids, start[:, None] + place, attend)
    last = torch.tensor([len(tokens) - 1 for tokens in rest], device=device)
    logits = model.logits(h[torch.arange(len(rest), device=device), last])
    states: list[State] = []
    for row, (tokens, n) in enumerate(zip(rest, past, strict=True)):
        k, v = (torch.stack([x[i][row, :, : len(tokens)] for x in new]) for i in (0, 1))
        states.append((torch.cat((before[0][:, row, :, :n], k), 2), torch.cat((before[1][:, row, :, :n], v), 2)) if n else (k, v))
    return logits, states


@torch.no_grad()
def sample_rows(
    model: Llama,
    cache: Cache,
    prefixes: Prefixes,
    rows: Sequence[Row],
    finish: Finish,
    temperature: float,
    top_p: float = 1.0,
    batch: int = 256,
) -> Iterator[list[Row]]:
    """Fill in `tokens`, `logprobs` and `stop` of every row, at most `batch` rows at once; rows as they are finished."""
    device = model.embed.weight.device
    queue = deque(r for r in rows if r.max_tokens > 0)
    live: list[Row] = []
    cache.clear()
    yield [r for r in rows if r.max_tokens <= 0]
    ids = seeds = lengths = torch.zeros(0, dtype=torch.long, device=device)

    def advance(logits: Tensor, group: list[Row], seeds: Tensor) -> tuple[Tensor, list[int], list[int]]:
        """Append one token to each row of the group; the tokens, and the places of the rows that go on and of those that end."""
        steps = torch.tensor([len(r.tokens) for r in group], device=device)
        new, logp = pick(logits, seeds, steps, temperature, top_p)
        cache.tainted = cache.tainted or bool(logp.isnan().any())
        going, gone = list[int](), list[int]()
        for i, (row, token, lp) in enumerate(zip(group, new.tolist(), logp.tolist(), strict=True)):
            row.tokens.append(token)
            row.logprobs.append(lp)
            reason = finish(row)
            if reason is not None:
                row.stop = reason
            (going if reason is None and len(row.tokens) < row.max_tokens else gone).append(i)
        return new, going, gone

    while queue or live:
        # refill when few are left: every row pays attention over the longest, so rows of one age are cheapest together
        if queue and len(live) <= batch // 8:
            group = [queue.popleft() for _ in range(min(batch - len(live), len(queue)))]
            asked = list(dict.fromkeys(r.prefix for r in group))
            logits, states = prefill(model, asked, [prefixes.longest(p) for p in asked])
            for prefix, (k, v) in zip(asked, states, strict=True):
                prefixes.put(prefix[:-1], k[:, :, :-1], v[:, :, :-1])
            place = {p: i for i, p in enumerate(asked)}
            source = torch.tensor([place[r.prefix] for r in group], device=device)
            new_seeds = torch.tensor([signed(r.seed) for r in group], device=device)
            new, going, gone = advance(logits[source], group, new_seeds)
            yield [group[i] for i in gone]
            if going:
                entering, at = [group[i] for i in going], torch.tensor(going, device=device)
                cache.add([states[place[r.prefix]] for r in entering])
                live += entering
                ids, seeds = torch.cat((ids, new[at])), torch.cat((seeds, new_seeds[at]))
                lengths = torch.cat((lengths, torch.tensor([len(r.prefix) for r in entering], device=device)))
            continue
        logits = decode(model, cache, ids, lengths)
        lengths = lengths + 1
        ids, going, gone = advance(logits, live, seeds)
        if gone:
            for i in gone:
                if (row := live[i]).stop == "stop":
                    written = len(row.prefix) + len(row.tokens) - 1
                    prefixes.put((*row.prefix, *row.tokens[:-1]), cache.k[:, i, :, :written], cache.v[:, i, :, :written])
            yield [live[i] for i in gone]
            order = cache.keep(going)
            live = [live[i] for i in order]
            at = torch.tensor(order, dtype=torch.long, device=device)
            ids, seeds, lengths = ids[at], seeds[at], lengths[at]


def decode(model: Llama, cache: Cache, ids: Tensor, lengths: Tensor) -> Tensor:
    """Logits (B, V) after one more token per row; its key and value are written at place `lengths` of the row."""
    longest = int(lengths.max()) + 1
    rows = len(ids)
    cache.reserve(rows, longest)
    row = torch.arange(rows, device=ids.device)
    unseen = torch.arange(longest, device=ids.device)[None] > lengths[:, None]
    hidden = torch.zeros(unseen.shape, dtype=cache.k.dtype, device=ids.device).masked_fill_(unseen, -torch.inf)[:, None, None]

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        cache.k[layer][row, :, lengths] = k[:, :, 0].to(cache.k.dtype)
        cache.v[layer][row, :, lengths] = v[:, :, 0].to(cache.v.dtype)
        keys, values = cache.k[layer][:rows, :, :longest], cache.v[layer][:rows, :, :longest]
        # written out: on a CPU two batched products took 0.7 times the fused kernel's time for single queries
        B, H, _, E = q.shape
        grouped = q.view(B, keys.shape[1], -1, E)
        with torch.autocast(q.device.type, enabled=False):
            scores = (grouped @ keys.transpose(-1, -2)).mul_(E**-0.5).add_(hidden)
            return (scores.softmax(-1) @ values).view(B, H, 1, E)

    h = model.hidden(ids[:, None], lengths[:, None], attend)
    return model.logits(h[:, 0])
