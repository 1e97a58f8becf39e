"""One error type per boundary. A message says what, where, what was given, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RatchetError(Exception):
    """A mistake that the user can mend: the command line prints it as one sentence and exits with 2."""


class TaskError(RatchetError):
    """A task, a task file or a task family is not what it should be."""


class EngineError(RatchetError):
    """A model cannot be loaded, or a prompt cannot be given to it."""


class VerifierError(RatchetError):
    """A verifier is unknown or cannot be set up. What happens while it judges is a verdict, not an error."""


class SandboxError(RatchetError):
    """A program cannot be run safely, or at all. What the program itself does wrong is its result, not an error."""


class StoreError(RatchetError):
    """A run's folder cannot be read or written."""


class RecipeError(RatchetError):
    """A recipe, one of its settings or one of its values is wrong."""


class BudgetError(RatchetError):
    """A strategy asked for more than its budget holds."""


class ContextError(BudgetError):
    """A prompt that a strategy wrote does not fit the model's context: for that one task it is as a budget that has ended."""


class StudyError(RatchetError):
    """A study is unknown, or one of its seeds gave no result."""


class SmithError(RatchetError):
    """Raw data cannot be read, or a competition's folder is not what it should be."""


def nearest(wrong: str, allowed: Iterable[str], most: int = 12) -> str:
    """The end of a sentence about a wrong name: what is near it, or what there is.

    >>> nearest("grop", ["grpo", "rloo"])
    'did you mean "grpo"? Allowed: grpo, rloo'
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    listed = ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")
    if close:
        return "did you mean " + " or ".join(f'"{c}"' for c in close) + f"? Allowed: {listed}"
    return f"allowed: {listed}"
