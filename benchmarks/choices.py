"""Choices inside the sampler, each against its alternative in turn: the cache in parts that are read without gaps, against
one part that grows and is read to the last token; steps of few rows in numpy, against torch.

    python -m benchmarks.choices

The 0.8 M model, forced lengths, prompts of 16 tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.contest import keep, spread
from benchmarks.shapes import build, prompts, tokenizer
from ratchet.core.types import Draw
from ratchet.models.engine import LocalEngine
from ratchet.models.machine import prepare
from ratchet.models.sampling import next_tokens
from ratchet.models.tokens import WordTokenizer

ROUNDS = 7
GROUP = 8


class Endless(WordTokenizer):
    """Nothing ends a sequence but its limit."""

    end = frozenset[int]()  # type: ignore[assignment]


def cache_in_one_part(engine: LocalEngine) -> None:
    """As on a GPU, which does not mind gaps."""
    engine.cache.single = True


def steps_in_torch(engine: LocalEngine) -> None:
    engine.steps = SimpleNamespace(follow=lambda model, bf16: None, step=next_tokens)  # type: ignore[assignment]


CACHE = [(sequences, limit, "float32") for sequences, limit in ((64, 64), (512, 64), (64, 512))]
FEW = [(sequences, 64, precision) for precision in ("float32", "bfloat16") for sequences in (1, 8, 32)]


def in_turn(name: str, cells: list[tuple[int, int, str]], alternative: Callable[[LocalEngine], None]) -> None:
    model = build("0.8M", 1e9)
    words = Endless(tokenizer(model.shape.vocab).words[2:])
    rows: list[dict[str, Any]] = []
    for sequences, limit, precision in cells:
        engines = {way: LocalEngine(model, words, limit, 512, precision == "bfloat16") for way in ("ours", "other")}
        alternative(engines["other"])
        group = min(GROUP, sequences)
        draws = [Draw(tuple(p), n=group) for p in prompts(model.shape.vocab, sequences // group)]
        rates: dict[str, list[float]] = {way: [] for way in engines}
        for number in range(ROUNDS + 1):
            seeds = [[number * sequences + g * group + i for i in range(group)] for g in range(len(draws))]
            for way in list(engines)[:: 1 if number % 2 else -1]:
                start = time.perf_counter()
                engines[way].sample(draws, seeds)
                if number:
                    rates[way].append(sequences * limit / (time.perf_counter() - start))
        ratio = spread([a / b for a, b in zip(rates["ours"], rates["other"], strict=True)])
        found = {way: spread(r) for way, r in rates.items()}
        rows.append({"sequences": sequences, "limit": limit, "precision": precision, **found, "ratio": ratio})
        medians = ", ".join(f"{way} {s['median']:,.0f}" for way, s in found.items())
        print(f"{name}: {sequences} x {limit}, {precision}: {medians} tokens/s, ratio {ratio}", flush=True)
    keep(name, rows, rounds=ROUNDS)


def main() -> None:
    prepare()
    in_turn("cache", CACHE, cache_in_one_part)
    in_turn("few", FEW, steps_in_torch)


if __name__ == "__main__":
    main()
