"""Attention on a CPU: the fused kernel against the products written out (ratchet.models.llama.attend_causal).

    python -m benchmarks.attention

Forward and backward, 4 heads of 32; this is the line that `SHORT` in llama.py was read from.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.contest import keep
from ratchet.models import llama
from ratchet.models.machine import prepare


def seconds(attend: Any, rows: int, tokens: int, dtype: torch.dtype) -> float:
    q, k, v = (torch.randn(rows, 4, tokens, 32, dtype=dtype, requires_grad=True) for _ in range(3))
    grad = torch.randn(rows, 4, tokens, 32, dtype=dtype)
    best = 1e9
    for _ in range(8):
        start = time.perf_counter()
        attend(q, k, v).backward(grad)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    prepare()
    rows: list[dict[str, Any]] = []
    fused = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    written = lambda q, k, v: llama.attend_causal(0, q, k, v)
    llama.SHORT = 10_000
    print("tokens   written out, float32    fused, float32    fused, bfloat16   (ms)")
    for tokens in (32, 64, 128, 256, 512, 1024):
        n = 4096 // tokens
        times = {
            "written": seconds(written, n, tokens, torch.float32),
            "fused": seconds(fused, n, tokens, torch.float32),
            "fused_bf16": seconds(fused, n, tokens, torch.bfloat16),
        }
        print(
            f"{tokens:6}   {times['written'] * 1e3:22.1f}   {times['fused'] * 1e3:15.1f}   {times['fused_bf16'] * 1e3:16.1f}",
            flush=True,
        )
        rows.append({"tokens": tokens, **times})
    keep("attention", rows)


if __name__ == "__main__":
    main()
