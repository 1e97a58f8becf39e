"""What a verifier is, the names they are found by, and the one function that maps verdicts to reward."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

from ratchet.core.errors import VerifierError
from ratchet.core.registry import Registry
from ratchet.core.types import Outcome, Task, Verdict


@dataclass(frozen=True)
class Verifier:
    """`extract(text)` takes the answer out of a text, None where there is none; `judge(task, answer)` judges it.

    `load()` is called once in a worker process, before the first text and outside of its deadline: for what takes long to
    import. It raises one of our errors where something is missing. `seconds(task)` is how long a verdict may take where a pool's own
    deadline is too short for that; it does not raise. `needs_answer`: a task without one cannot be judged.
    """

    extract: Callable[[str], str | None]
    judge: Callable[[Task, str], Verdict]
    load: Callable[[], object] | None = None
    seconds: Callable[[Task], float] | None = None
    needs_answer: bool = True

    def __call__(self, task: Task, text: str) -> Verdict:
        if task.answer is None and self.needs_answer:
            return abstained("the task has no answer to compare with")
        answer = self.extract(text)
        if answer is None:
            return Verdict(Outcome.FAIL, "no answer was found in the text")
        verdict = self.judge(task, answer)
        return Verdict(verdict.outcome, verdict.evidence, answer, verdict.score)


verifiers: Registry[Verifier] = Registry("verifier", "ratchet.verify", VerifierError)


ensembles: Registry[Callable[..., Verdict]] = Registry("ensemble", "ratchet.verify", VerifierError)
"""How the votes of several verifiers become one verdict (`ensembles.py`)."""


def find(name: str) -> Callable[[Task, str], Verdict]:
    """A registered verifier, an ensemble such as `cascade:math,exact`, or `module:function` of the user's own.

    The user's own is called with (task, text) and returns a Verdict. VerifierError for a name that is none of these.
    """
    if ":" not in name:
        return verifiers[name]
    first, _, rest = name.partition(":")
    return several(first, rest) if first in ensembles else imported(name, first, rest)


@cache
def several(kind: str, spec: str) -> Callable[[Task, str], Verdict]:
    """An ensemble, read once: a worker looks its verifier up for each text."""
    from ratchet.verify.ensembles import ensemble_named

    return ensemble_named(kind, spec)


def imported(name: str, module: str, function: str) -> Callable[[Task, str], Verdict]:
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as e:
        kinds = ", ".join(f"{e.name}:NAME,NAME" for e in ensembles)
        raise VerifierError(
            f'verifier "{name}" cannot be imported: {e}; it must be module:function on the Python path, or one of {kinds}'
        ) from e
    return cast(Callable[[Task, str], Verdict], found)


def passed(reason: str = "") -> Verdict:
    return Verdict(Outcome.PASS, reason)


def failed(reason: str) -> Verdict:
    return Verdict(Outcome.FAIL, reason)


def abstained(reason: str) -> Verdict:
    return Verdict(Outcome.ABSTAIN, reason)
