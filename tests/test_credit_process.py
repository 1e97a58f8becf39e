"""Credit by outcome and process reward: golden numbers on a search of steps, and that more steps earn no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ratchet.core.types import Completion, Draw, Event, Judge, Outcome, Task, Trace, Verdict
from ratchet.learn import parts, within
from ratchet.learn.credit_process import process
from ratchet.models.tokens import WordTokenizer, reasoning_words

TOKENIZER = WordTokenizer(reasoning_words())
PROMPT = (40, 41)


def line(tokens: Sequence[int], scores: Sequence[float], sample: int) -> Trace:
    """A sample drawn step by step, one token each, whose every step the scorer judged."""
    events, before = list[Event](), Draw(PROMPT)
    for n, score in enumerate(scores, start=1):
        c = Completion(PROMPT, tuple(tokens[:n]), "", (-0.1,) * n, "end" if n == len(scores) else "stop")
        events += [Event(before, [c]), Event(Judge([c], "value"), [score])]
        before = Draw(c)
    return Trace(Task("f", "p", 1, "exact"), "made up", sample, events, verdicts=[Verdict(Outcome.PASS)] * len(scores))


def credited(traces: Sequence[Trace], rewards: Sequence[float], **knobs: Any) -> dict[tuple[int, ...], float]:
    """The advantage of each turn's one token, by what was written up to it."""
    examples = process(traces, [list(rewards)], parts.group_centred, TOKENIZER, scorer="value", **knobs)
    return {(e.prefix + e.tokens)[2:]: round(e.advantage[-1], 6) for e in examples if isinstance(e.advantage, tuple)}


RIGHT, WRONG = line((50, 51, 52), (0.5, 0.75, 0.9), 0), line((60, 61, 62), (0.25, 0.5, 0.1), 1)
REWARDS = (0, 0, 1, 0, 0, 0)


def test_golden() -> None:
    """Half a point for the right sample, half off the wrong one; and a tenth of each step's own score, but for the last step."""
    gains = {(50,): 0.55, (50, 51): 0.575, (50, 51, 52): 0.5, (60,): -0.475, (60, 61): -0.45, (60, 61, 62): -0.5}
    assert credited([RIGHT, WRONG], REWARDS) == gains
    clipped = credited([RIGHT, WRONG], REWARDS, most=0.6, delta=False)
    assert clipped[50,] == 0.5 - 0.01 and clipped[60,] == pytest.approx(-0.5 - 0.1 * (0.35 + 0.1))
    assert credited([RIGHT, WRONG], REWARDS, weight=0.0) == {k: 0.5 if 50 in k else -0.5 for k in gains}


def first_gain(steps: int) -> float:
    """What the first step gains in a sample that says so many good steps."""
    return credited([line(range(50, 50 + steps), [0.9] * steps, 0), WRONG], [0.0] * (steps + 3))[50,]


def test_saying_more_steps_earns_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_gain(2) == first_gain(6) == 0.09
    monkeypatch.setattr(within, "delta", lambda scores: list(scores))  # the bare sum of the scores, which the paper warns of
    assert first_gain(6) > first_gain(2) + 0.3
