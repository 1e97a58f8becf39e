"""What a verifier is, the names they are found by, and the one function that maps verdicts to reward."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from ratchet.core.errors import VerifierError
from ratchet.core.registry import Registry
from ratchet.core.types import Outcome, Task, Verdict


@dataclass(frozen=True)
class Verifier:
    """`extract(text)` takes the answer out of a text, None where there is none; `judge(task, answer)` judges it.

    `load()` is called once in a worker process, before the first text and outside of its deadline: for what takes long to
    import. It raises VerifierError where something is missing.
    """

    extract: Callable[[str], str | None]
    judge: Callable[[Task, str], Verdict]
    load: Callable[[], None] | None = None

    def __call__(self, task: Task, text: str) -> Verdict:
        answer = self.extract(text)
        if answer is None:
            return Verdict(Outcome.FAIL, "no answer was found in the text")
        verdict = self.judge(task, answer)
        return Verdict(verdict.outcome, verdict.evidence, answer, verdict.score)


verifiers: Registry[Verifier] = Registry("verifier", "ratchet.verify", VerifierError)


def find(name: str) -> Callable[[Task, str], Verdict]:
    """A registered verifier, or `module:function` of the user's own with the signature (task, text) -> Verdict."""
    if ":" not in name:
        return verifiers[name]
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as e:
        raise VerifierError(f'verifier "{name}" cannot be imported: {e}; it must be module:function on the Python path') from e
    return cast(Callable[[Task, str], Verdict], found)


def passed(reason: str = "") -> Verdict:
    return Verdict(Outcome.PASS, reason)


def failed(reason: str) -> Verdict:
    return Verdict(Outcome.FAIL, reason)


def abstained(reason: str) -> Verdict:
    return Verdict(Outcome.ABSTAIN, reason)
