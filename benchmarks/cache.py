"""The key-value cache in parts that are read without gaps, against one part that grows and is read to the last token.

    python -m benchmarks.cache

The 0.8 M model, forced lengths, prompts of 16 tokens, float32.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.contest import keep, spread
from benchmarks.shapes import build, prompts, tokenizer
from ratchet.core.types import Draw
from ratchet.models.engine import LocalEngine
from ratchet.models.machine import prepare
from ratchet.models.tokens import WordTokenizer

ROUNDS = 7
GROUP = 8
CELLS = ((8, 64), (64, 64), (512, 64), (8, 512), (64, 512))


class Endless(WordTokenizer):
    """Nothing ends a sequence but its limit."""

    end = frozenset[int]()  # type: ignore[assignment]


def main() -> None:
    prepare()
    model = build("0.8M", 1e9)
    words = Endless(tokenizer(model.shape.vocab).words[2:])
    rows: list[dict[str, Any]] = []
    for sequences, limit in CELLS:
        engines = {single: LocalEngine(model, words, limit, 512) for single in (False, True)}
        engines[True].cache.single = True  # as on a GPU, which does not mind gaps
        draws = [Draw(tuple(p), n=GROUP) for p in prompts(model.shape.vocab, sequences // GROUP)]
        rates: dict[bool, list[float]] = {False: [], True: []}
        for number in range(ROUNDS + 1):
            seeds = [[number * sequences + g * GROUP + i for i in range(GROUP)] for g in range(len(draws))]
            for single in (False, True) if number % 2 else (True, False):
                start = time.perf_counter()
                engines[single].sample(draws, seeds)
                if number:
                    rates[single].append(sequences * limit / (time.perf_counter() - start))
        ratio = spread([a / b for a, b in zip(rates[False], rates[True], strict=True)])
        rows.append(
            {"sequences": sequences, "limit": limit, "parts": spread(rates[False]), "one": spread(rates[True]), "ratio": ratio}
        )
        parts, one = (statistics.median(rates[s]) for s in (False, True))
        print(f"{sequences} x {limit}: in parts {parts:,.0f}, in one {one:,.0f} tokens/s, ratio {ratio}", flush=True)
    keep("cache", rows, rounds=ROUNDS)


if __name__ == "__main__":
    main()
