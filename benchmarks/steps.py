"""Continuing what stopped: a search that goes on from each miss, with the kept states of its prefixes and without.

    python -m benchmarks.steps

The built-in model on 32 Countdown tasks x 12 samples; a draw ends at the word "no" and is continued, up to six times.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.contest import keep, spread
from ratchet.core.types import Draw
from ratchet.models.engine import LocalEngine
from ratchet.models.load import load_policy
from ratchet.models.machine import fast_bf16, prepare
from ratchet.tasks.family import Source

ROUNDS = 7


def search(engine: LocalEngine, prompts: list[tuple[int, ...]], kept: bool) -> int:
    """How many tokens were sampled."""
    engine.forget()
    waiting, tokens = prompts, 0
    for step in range(6):
        if not kept:
            engine.forget()
        seeds = [[100 * step + 10_000 * i] for i in range(len(waiting))]
        drawn = [c for row in engine.sample([Draw(p, stop=("no",)) for p in waiting], seeds) for c in row]
        tokens += sum(len(c.tokens) for c in drawn)
        waiting = [(*c.prefix, *c.tokens) for c in drawn if c.stop == "stop" and len(c.prefix) + len(c.tokens) < 180]
        if not waiting:
            break
    return tokens


def main() -> None:
    prepare()
    engine = load_policy("builtin", 96, 384, bf16=fast_bf16())
    assert isinstance(engine, LocalEngine)
    prompts = [engine.encode(t.prompt) for t in Source("countdown").take("train", 32, "steps") for _ in range(12)]
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS + 1):
        for kept in (True, False) if number % 2 else (False, True):
            start = time.perf_counter()
            tokens = search(engine, prompts, kept)
            if number:
                times[kept].append(tokens / (time.perf_counter() - start))
    ratio = [a / b for a, b in zip(times[True], times[False], strict=True)]
    rows: list[dict[str, Any]] = [{"kept": spread(times[True]), "anew": spread(times[False]), "ratio": spread(ratio)}]
    print(
        f"kept {statistics.median(times[True]):,.0f}, anew {statistics.median(times[False]):,.0f} tokens/s, ratio {rows[0]['ratio']}"
    )
    keep("steps", rows, rounds=ROUNDS)


if __name__ == "__main__":
    main()
