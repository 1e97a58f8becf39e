"""The registry of strategies, and of the scorers and tools that they may ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ratchet.core.registry import Registry
from ratchet.core.seeds import fraction
from ratchet.core.types import Completion, Strategy, Task
from ratchet.models.scheduler import Scorer, Tool, Verify
from ratchet.verify.extract import answer_of
from ratchet.verify.verifier import Verifier, find

strategies: Registry[Strategy] = Registry("strategy", "ratchet.search")


def logprob(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
    """Mean log-probability per token."""
    return [sum(c.logprobs) / len(c.logprobs) if c.logprobs else -math.inf for c in completions]


def placebo(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
    """A score that knows nothing: a hash of each candidate and its place. A scored strategy must beat it."""
    return [fraction("placebo", task.key, i, c.text, len(c.tokens)) for i, c in enumerate(completions)]


def oracle(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
    """The verifier itself: an upper bound that no deployed system has."""
    return [1.0 if v.passed else 0.0 for v in verify([(task, c.text) for c in completions])]


def extract(task: Task, text: str) -> str:
    """The answer in a text, as the task's verifier takes it out, blanks folded; empty where there is none."""
    verifier = find(task.verifier)
    found = verifier.extract(text) if isinstance(verifier, Verifier) else answer_of(text)
    return " ".join((found or "").split())


SCORERS: dict[str, Scorer] = {"logprob": logprob, "placebo": placebo, "oracle": oracle}
TOOLS: dict[str, Tool] = {"extract": extract}
