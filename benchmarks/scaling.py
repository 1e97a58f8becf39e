"""How our cost per token grows with batch, length and model size, and how near it is to the machine's peak.

    python -m benchmarks.scaling

No peer here. Each line runs in a process of its own, so that its peak memory is its own. The peak is measured: the best
of twelve products of 2048 x 2048 matrices, in the precision of the line.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch

from benchmarks.contest import keep
from benchmarks.grpo_step import peak
from benchmarks.shapes import build, matrix_parameters, prompts, tokenizer
from ratchet.core.types import Draw
from ratchet.learn.batch import Example
from ratchet.learn.policy import imitation
from ratchet.learn.train import Learner
from ratchet.models.engine import LocalEngine
from ratchet.models.machine import prepare

NEVER = 1e9  # mean tokens of a model that does not end by itself
LINES = [
    *({"work": "sampling", "size": "0.8M", "rows": n, "tokens": 64} for n in (1, 8, 64, 512)),
    *({"work": "sampling", "size": "0.8M", "rows": 64, "tokens": n} for n in (256, 768)),
    *({"work": "sampling", "size": size, "rows": 64, "tokens": 64} for size in ("3M", "25M")),
    *({"work": "training", "size": "0.8M", "rows": n, "tokens": 64} for n in (8, 64, 512)),
    *({"work": "training", "size": "0.8M", "rows": 16, "tokens": n} for n in (256, 768)),
    *({"work": "training", "size": size, "rows": 64, "tokens": 64} for size in ("3M", "25M")),
]


def line(work: str, size: str, rows: int, tokens: int, precision: str) -> dict[str, Any]:
    """Tokens per second, GFLOP/s and peak memory of one setting, best of three after a warm-up."""
    prepare()
    model = build(size, NEVER)
    engine = LocalEngine(model, tokenizer(model.shape.vocab), tokens, 512, bf16=precision == "bfloat16")
    if work == "sampling":
        draws = [Draw(tuple(p)) for p in prompts(model.shape.vocab, rows)]
        step = lambda: sum(len(c.tokens) for row in engine.sample(draws, [[i] for i in range(rows)]) for c in row)
        flops = 2
    else:
        learner, objective = Learner(engine, lr=1e-9), imitation()
        examples = [Example((p[0],), tuple(p[1:])) for p in prompts(model.shape.vocab, rows, tokens)]
        step = lambda: int(learner.update(examples, objective)["sequences"]) * tokens
        flops = 6
    step()
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        done = step()
        best = max(best, done / (time.perf_counter() - start))
    return {
        "tokens_per_second": best,
        "gflops": flops * matrix_parameters(model) * best / 1e9,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(line(**json.loads(sys.argv[1]))))
        return
    peaks = {p: peak(p) for p in ("float32", "bfloat16")}
    print("peak:", ", ".join(f"{n} {p / 1e9:.0f} GFLOP/s" for n, p in peaks.items()), f"on {torch.get_num_threads()} threads")
    rows: list[dict[str, Any]] = []
    for settings in LINES:
        for precision in peaks:
            asked = {**settings, "precision": precision}
            out = subprocess.run(
                [sys.executable, "-m", "benchmarks.scaling", json.dumps(asked)], capture_output=True, text=True, check=True
            ).stdout
            row = {**asked, **json.loads(out.splitlines()[-1])}
            row["share_of_peak"] = row["gflops"] * 1e9 / peaks[precision]
            rows.append(row)
            print(
                f"{row['work']:9} {row['size']:5} {row['rows']:4} x {row['tokens']:3} {precision:9}"
                f" {row['tokens_per_second']:9,.0f} tokens/s {row['share_of_peak']:6.0%} of peak {row['peak_megabytes']:6,.0f} MB",
                flush=True,
            )
    keep("scaling", rows, peak_flops=peaks)


if __name__ == "__main__":
    main()
