"""Other people's scorers as verifiers, for `ratchet verify audit ... --against benchmarks.scorers:NAME`."""

from __future__ import annotations

from typing import Any

from reasoning_gym.dataset import ProceduralDataset

from ratchet.core.types import Task, Verdict
from ratchet.verify.math import extract
from ratchet.verify.verifier import failed, passed


def reasoning_gym(task: Task, text: str) -> Verdict:
    """What reasoning-gym's families use unless they bring a scorer of their own: equal strings, or a part of the reward for an
    answer that holds the gold one. Only the whole reward passes; the answer is the one that our `math` takes out of the text."""
    score: Any = ProceduralDataset.score_answer
    answer = extract(text)
    reward = score(None, answer, {"answer": str(task.answer)})
    verdict = passed("equal strings") if reward == 1 else failed(f"a reward of {reward:.2f}")
    return Verdict(verdict.outcome, verdict.evidence, answer, reward)
