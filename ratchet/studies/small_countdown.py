"""What the studies on Countdown with three numbers share: its tasks, a small model primed on traces, its reinforcement."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Split, Task
from ratchet.tasks.countdown_traces import words
from ratchet.tasks.family import Source

if TYPE_CHECKING:
    from ratchet.loop.recipe import Recipe
    from ratchet.models.engine import Policy

Write = Callable[[Random, Task], str]
KNOBS = {"numbers": (3,)}
LONGEST = 64
RATE = 3e-4  # the best of 3e-4, 5e-4 and 1e-3 on validation tasks, for a model primed with all behaviours, under another seed
EXAMPLES = 64


def problems(split: Split, n: int, *path: Part) -> list[Task]:
    return Source("countdown", "", KNOBS).take(split, n, *path)


def new_model(run_seed: int) -> Policy:
    """0.35 million random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.machine import fast_bf16
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(words())
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=96, layers=3, heads=4, kv_heads=4, head_width=24, hidden=256, max_tokens=128
    )
    return new_policy(shape, tokenizer, run_seed, LONGEST, 512, fast_bf16())


def taught(policy: Policy, write: Write, tokens: int, *path: Part, tasks: list[Task] | None = None, rate: float = 3e-3) -> int:
    """Imitation of about so many tokens of texts that `write` makes for training tasks, or for the given ones; the number
    of updates."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    def examples(update: int) -> list[Example]:
        drawn = problems("train", EXAMPLES, *path, update) if tasks is None else rng(*path, update).choices(tasks, k=EXAMPLES)
        texts = [write(rng(*path, update, i), t) for i, t in enumerate(drawn)]
        tokenizer = policy.tokenizer
        return [
            Example(policy.encode(t.prompt), (*tokenizer.encode(x), tokenizer.end_id)) for t, x in zip(drawn, texts, strict=True)
        ]

    updates = max(1, round(tokens / sum(len(e.tokens) for e in examples(0))))
    imitate(policy, examples, updates, rate)
    return updates


def recipe(name: str, run_seed: int, turns: int, updates: int) -> Recipe:
    """Reinforcement with 256 samples an update, all of it the same for every study and arm but its length."""
    from ratchet.loop.recipe import Optimizer, Recipe, Reinforcement, Tasks

    settings = Reinforcement(
        turns=turns, updates=updates, tasks=16, samples=16, optimizer=Optimizer(lr=RATE, warmup=5, final=0.1)
    )
    tasks = Tasks("countdown", knobs=KNOBS)
    return Recipe(name, seed=run_seed, max_tokens=LONGEST, batch=512, tasks=tasks, reinforcement=settings)
