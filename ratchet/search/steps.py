"""Steps of an answer: where one ends, and how many parts go on by one in a single batch."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import at_least_1
from ratchet.core.types import Completion, Draw, Request, Strategy, Task, Tokens, Trace
from ratchet.tasks.family import step_of

T = TypeVar("T")
Asking = Generator[Request, Any, T]
"""A part of a strategy: yields requests as one does, and returns what it was for."""


@dataclass
class Steps:
    """A step ends with the text `text` or, where `tokens` is not 0, after so many tokens; with neither an answer is one step.

    `full` are the tokens of parts that are as long as an answer may be: nothing goes on from them.
    """

    text: str
    tokens: int
    temperature: float = 1.0
    full: set[Tokens] = field(default_factory=set[Tokens])

    def draw(self, prefix: str | Completion, n: int = 1) -> Draw:
        stop = (self.text,) if self.text and not self.tokens else ()
        return Draw(prefix, n=n, stop=stop, max_tokens=self.tokens or None, temperature=self.temperature)

    def going(self, part: Completion) -> bool:
        """Whether another step may follow. What ran out of tokens within a step has ended."""
        if part.tokens in self.full:
            return False
        if self.tokens:
            return part.stop == "length" and part.sampled % self.tokens == 0
        return part.stop == "stop"

    def on(self, parts: Sequence[Completion], each: Sequence[int]) -> Asking[list[list[Completion]]]:
        """So many next steps of each part, all in one batch. A part that has no room for one comes back as it is."""
        asked = [(part, k) for part, k in zip(parts, each, strict=True) if k]
        drawn: list[list[Completion]] = yield [self.draw(part, k) for part, k in asked]
        answers: list[list[Completion]] = []
        for (part, k), own in zip(asked, drawn, strict=True):
            if len(own[0].tokens) == len(part.tokens):
                self.full.add(part.tokens)
                own = [part] * k
            answers.append(own)
        rest = iter(answers)
        return [next(rest) if k else [] for k in each]


def own_steps(task: Task, n: int, step: str, step_tokens: int, temperature: float = 1.0) -> Steps:
    """The steps of a strategy, which end as the task's family says where neither a text nor a number of tokens is given."""
    if not (step or step_tokens):
        own = step_of(task)
        step, step_tokens = ("", own) if isinstance(own, int) else (own, 0)
    return steps_of(n, step, step_tokens, temperature)


def steps_of(n: int, step: str, step_tokens: int, temperature: float = 1.0) -> Steps:
    """The steps of a strategy that draws `n` samples: a single one is drawn whole."""
    at_least_1(n=n)
    if step_tokens < 0 or not (step or step_tokens):
        raise RecipeError(
            f"a step ends at a text (step) or after a number of tokens of at least 1 (step_tokens), "
            f"got step={step!r}, step_tokens={step_tokens}"
        )
    if step_tokens and step.strip():
        raise RecipeError(
            f"a step ends at a text or after a number of tokens: step={step!r} has no effect beside step_tokens={step_tokens}"
        )
    return Steps("", 0, temperature) if n == 1 else Steps(step, step_tokens, temperature)


def never_ended(strategy: Strategy, knobs: Mapping[str, Any], traces: Sequence[Trace]) -> str:
    """A sentence where a strategy that goes on step by step found the end of none in a whole run of several samples a task, so that it
    chose among whole answers; empty where it did, or has no steps."""
    if "step" not in inspect.signature(strategy).parameters or all(len(t.completions) < 2 for t in traces):
        return ""
    draws = [(e.request, e.answer) for t in traces for e in t.events if isinstance(e.request, Draw)]
    if any(isinstance(draw.prefix, Completion) or any(c.stop == "stop" for c in drawn) for draw, drawn in draws):
        return ""
    tokens = knobs.get("step_tokens")
    ends = f"after {tokens} tokens" if tokens else f"with {knobs['step']!r}" if knobs.get("step") else "as the tasks' family says"
    return (
        f"warning: of {len(traces):,} searches no step ever ended (a step ends {ends}), so this chose among whole answers; "
        "set step to a text that the model writes, or step_tokens"
    )


def distinct(parts: Sequence[Completion]) -> list[int]:
    """Places of the first of each, since a small model repeats itself and copies are one part."""
    first: dict[Tokens, int] = {}
    for place, part in enumerate(parts):
        first.setdefault(part.tokens, place)
    return list(first.values())


def shares_of(n: int, parts: int) -> list[int]:
    """`n` draws over so many parts: equal, the first ones one more where it does not divide."""
    return [n // parts + (place < n % parts) for place in range(parts)]
