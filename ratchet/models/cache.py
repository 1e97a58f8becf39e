"""What a sampler keeps: keys and values of the live rows, and of token sequences that may be continued.

Shapes: K key-value heads, E head width.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict

import torch
from torch import Tensor

from ratchet.core.types import Tokens
from ratchet.models.llama import Llama

State = Tensor
"""Keys and values (layers, 2, K, length, E) of a sequence of tokens."""


class Cache:
    """Keys and values of the live rows, the first `used`, in parts along the length: (layers, 2, rows, K, span, E) each.

    Where they are more than the processor's own memory holds, they are read whole, not to the last token: gaps between
    the rows made reading three times as long. The memory of the parts is kept between calls and layouts: fresh memory
    costs more here than the arithmetic on it, and blocks that come and go leave holes in which completed samples settle,
    so that the next block finds no room. On a GPU there is a single part, so that a step can be recorded. Stale finite values
    are harmless, since what a row has not written is masked; after weights that are not finite the memory is cleared.
    """

    SPAN = 64
    NEAR = 2**25  # bytes that the processor's own memory is taken to hold
    BYTES = 2**22  # of one layer's keys in a part: less is cheaper in fewer parts, of up to 16 spans

    def __init__(self, model: Llama) -> None:
        s, p = model.shape, model.embed.weight
        self.layers, self.heads, self.width = s.layers, s.kv_heads, s.head_width
        self.dtype, self.device, self.single = p.dtype, p.device, p.is_cuda
        self.parts: list[Tensor] = []
        self.memory: list[Tensor] = []  # what the parts are views of
        self.rows = self.span = self.used = self.length = 0
        self.lines = torch.zeros(0, dtype=torch.long)  # (rows, 2, K): where a row's keys and values begin, in lines of E numbers
        self.layouts = 0
        self.tainted = False

    def clear(self) -> None:
        self.used = self.length = 0
        if self.tainted:
            for memory in self.memory:
                memory.zero_()
            self.tainted = False

    def reserve(self, rows: int, length: int) -> None:
        """Room for so many rows of so many tokens."""
        self.length = max(self.length, length)
        if rows > self.rows or (self.single and length > self.span):
            self.lay_out(max(rows, self.rows))
        while len(self.parts) * self.span < length:
            size = (self.layers, 2, self.rows, self.heads, self.span, self.width)
            place, numbers = len(self.parts), math.prod(size)
            if place == len(self.memory) or self.memory[place].numel() < numbers:
                self.memory[place : place + 1] = [torch.zeros(numbers, dtype=self.dtype, device=self.device)]
            self.parts.append(self.memory[place][:numbers].view(size))

    def gaps_cost(self, rows: int, length: int) -> bool:
        """Whether so much comes from main memory, which a processor is slow to read with gaps."""
        return not self.single and 2 * self.layers * rows * self.heads * length * self.width * self.dtype.itemsize > self.NEAR

    def lay_out(self, rows: int) -> None:
        """New parts for so many rows, and what is used in them."""
        starts = range(0, self.length if self.used else 0, self.span or 1)
        old = [(start, part[:, :, : self.used, :, : self.length - start].clone()) for start, part in zip(starts, self.parts)]
        token = rows * self.heads * self.width * self.dtype.itemsize
        spans = 2 ** (self.length // self.SPAN).bit_length() if self.single else min(max(1, self.BYTES // token // self.SPAN), 16)
        self.rows, self.span, self.parts, self.layouts = rows, spans * self.SPAN, [], self.layouts + 1
        heads = torch.arange(2 * rows * self.heads, device=self.device).view(2, rows, self.heads).transpose(0, 1)
        self.lines = heads * self.span
        for start, states in old:
            self.reserve(rows, start + states.shape[4])
            self.write(0, start, states)

    def write(self, row: int, start: int, states: Tensor) -> None:
        """Put states (layers, 2, rows, K, length, E) in their place from `row` and token `start` on."""
        length = states.shape[4]
        for i, part in enumerate(self.parts):
            first, end = max(start, i * self.span), min(start + length, (i + 1) * self.span)
            if first < end:
                part[:, :, row : row + states.shape[2], :, first - i * self.span : end - i * self.span] = states[
                    ..., first - start : end - start, :
                ]

    def state(self, row: int, length: int) -> State:
        """The first tokens of a row."""
        return torch.cat([part[:, :, row] for part in self.parts], 3)[:, :, :, :length]

    def add(self, states: list[State]) -> None:
        """Append rows with prefilled keys and values."""
        self.reserve(self.used + len(states), max(state.shape[3] for state in states) + 1)
        for row, state in enumerate(states, start=self.used):
            self.write(row, 0, state[:, :, None])
        self.used += len(states)

    def keep(self, going: list[int]) -> list[int]:
        """Drop all rows but `going`: the last rows move into the holes. The new order, as old row numbers."""
        staying = set(going)
        holes = [i for i in range(len(going)) if i not in staying]
        movers = [i for i in going if i >= len(going)]
        for i, part in enumerate(self.parts if holes else ()):
            if (written := self.length - i * self.span) > 0:
                part[:, :, holes, :, :written] = part[:, :, movers, :, :written]
        self.used = len(going)
        if 0 < self.used * 8 < self.rows and self.length > self.span:  # few rows are cheaper in longer parts
            self.lay_out(self.used)
        order = list(range(len(going)))
        for hole, mover in zip(holes, movers, strict=True):
            order[hole] = mover
        return order


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

    def put(self, tokens: Tokens, state: State) -> None:
        """Keep a copy of the state of `tokens`."""
        if not tokens or tokens in self.states:
            return
        self.states[tokens] = state.clone()
        self.lengths[len(tokens)] += 1
        self.held += state.nbytes
        while self.held > self.most:
            gone, state = self.states.popitem(last=False)
            self.lengths[len(gone)] -= 1
            self.held -= state.nbytes

    def longest(self, tokens: Tokens) -> State | None:
        """The state of the longest known beginning of `tokens` that leaves at least its last token to compute."""
        for length in sorted((n for n, count in self.lengths.items() if count and n < len(tokens)), reverse=True):
            if tokens[:length] in self.states:
                self.states.move_to_end(tokens[:length])
                return self.states[tokens[:length]]
        return None
