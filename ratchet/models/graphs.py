"""Steps of sampling that are recorded once and replayed: on a GPU, one launch in the place of hundreds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ratchet.models.cache import Cache
from ratchet.models.llama import Llama

Picked = tuple[Tensor, Tensor]
Next = Callable[[Llama, Cache, Tensor, int, float, float], Picked]


def cuda_graph(step: Callable[[], Picked]) -> Callable[[], Picked]:
    """Record the kernels of `step` as a CUDA graph. What comes out lies in the same memory at each replay."""
    now, beside = torch.cuda.current_stream(), torch.cuda.Stream()
    beside.wait_stream(now)
    with torch.cuda.stream(beside):
        step()  # libraries set themselves up in their first call, which cannot be recorded
    now.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = step()

    def replay() -> Picked:
        graph.replay()
        return out

    return replay


class Graphs:
    """`step` is `sampling.next_tokens`, replayed. A recording fits one number of rows and one length, so rows are filled
    up to a power of two and lengths to a multiple of READ; rows that are not live write where nobody reads.

    A recording holds the addresses of weights and cache: it falls when one of them moves. New values in the same place
    are seen.
    """

    READ = 128

    def __init__(self, next_tokens: Next, record: Callable[[Callable[[], Picked]], Callable[[], Picked]] = cuda_graph) -> None:
        self.next_tokens, self.record = next_tokens, record
        self.recorded: dict[tuple[object, ...], tuple[Tensor, Callable[[], Picked]]] = {}
        self.addresses: tuple[int, ...] = ()
        self.layouts = 0

    def follow(self, model: Llama, bf16: bool) -> None:
        """Look where the weights lie; they stay there while rows are sampled. The precision is in each recording's key."""
        addresses = tuple(p.data_ptr() for p in model.parameters())
        if addresses != self.addresses:
            self.recorded.clear()
            self.addresses = addresses

    def step(self, model: Llama, cache: Cache, at: Tensor, longest: int, temperature: float, top_p: float) -> Picked:
        rows = at.shape[1]
        padded = 1 << (rows - 1).bit_length()
        cache.reserve(padded, longest)
        read = min(-(-longest // self.READ) * self.READ, cache.span)
        if cache.layouts != self.layouts:
            self.recorded.clear()
            self.layouts = cache.layouts
        kind = at.device.type
        key = (padded, read, temperature, top_p, torch.is_autocast_enabled(kind))
        if key in self.recorded:
            held, replay = self.recorded[key]
            held.zero_()[:, :rows] = at
        else:
            held = torch.nn.functional.pad(at, (0, padded - rows))
            cached = torch.is_autocast_cache_enabled()
            torch.set_autocast_cache_enabled(False)  # weights are rounded in every replay, for they change
            try:
                replay = self.record(lambda: self.next_tokens(model, cache, held, read, temperature, top_p))
            finally:
                torch.set_autocast_cache_enabled(cached)
            self.recorded[key] = held, replay
        ids, logp = replay()
        return ids[:rows].clone(), logp[:rows].clone()
