"""Attention on a CPU in float32 and in bfloat16 (ratchet.models.llama.attend_causal).

    python -m benchmarks.attention

Forward and backward of the fused kernel, 4 heads of 32. Written out as products it was as fast as fused in float32 within
a whole update (0.58 to 0.64 s on two threads for either), so it is not.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.contest import keep
from ratchet.models.machine import prepare


def seconds(attend: Any, rows: int, tokens: int, dtype: torch.dtype) -> float:
    # laid out as the model's projections are: heads lie inside tokens
    q, k, v = (torch.randn(rows, tokens, 4, 32, dtype=dtype).transpose(1, 2).requires_grad_() for _ in range(3))
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
    print("tokens   float32   bfloat16   (ms)")
    for tokens in (32, 64, 128, 256, 512, 1024):
        n = 4096 // tokens
        times = {"fused": seconds(fused, n, tokens, torch.float32), "fused_bf16": seconds(fused, n, tokens, torch.bfloat16)}
        print(f"{tokens:6} {times['fused'] * 1e3:9.1f} {times['fused_bf16'] * 1e3:10.1f}", flush=True)
        rows.append({"tokens": tokens, **times})
    keep("attention", rows)


if __name__ == "__main__":
    main()
