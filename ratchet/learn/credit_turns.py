"""Turns: what each draw of a trace added, and which earlier draw it goes on from; and credit for each of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.core.ranges import at_least_0, from_0_to_1
from ratchet.core.types import Completion, Draw, Tokens, Trace
from ratchet.learn.batch import Example
from ratchet.learn.credit import credits, padded
from ratchet.learn.parts import Advantage
from ratchet.models.tokens import Tokenizer


@dataclass(frozen=True)
class Turn:
    """The tokens that one draw added, and all that stood before them. A later draw's completion is whole, from its own prefix
    on, and so holds the tokens of earlier turns; a turn holds only its own, so that each is learned once.

    `parent` is the place, among the turns of the same task, of the one it goes on from (None: of none); `depth` counts them.
    """

    completion: Completion
    prefix: Tokens
    tokens: Tokens
    reward: float
    parent: int | None
    depth: int
    answer: bool

    @property
    def whole(self) -> Tokens:
        return self.prefix + self.tokens

    def example(self, advantage: float | tuple[float, ...]) -> Example:
        logprobs = self.completion.logprobs
        return Example(self.prefix, self.tokens, advantage, logprobs[len(logprobs) - len(self.tokens) :] if logprobs else ())


def turns_of(traces: Sequence[Trace], rewards: Sequence[Sequence[float]], end: frozenset[int]) -> list[list[Turn]]:
    """The turns of each task, in the order of `rewards_of`; `end` are the tokens that end a text."""
    groups: dict[str, list[Turn]] = {}
    rows = iter(rewards)
    left: dict[str, list[float]] = {}
    for trace in traces:
        if trace.task.key not in groups:
            groups[trace.task.key], left[trace.task.key] = [], list(next(rows))[::-1]
        found, first = groups[trace.task.key], len(groups[trace.task.key])
        for event in trace.events:
            if isinstance(event.request, Draw):
                known = len(found)  # completions of one draw do not go on from each other
                for c in event.answer:
                    before = event.request.added_from(c)
                    prefix = c.prefix + c.tokens[:before]
                    parent = parent_of(prefix, added(event.request, trace), found[first:known], end)
                    place = None if parent is None else first + parent
                    depth = 0 if place is None else found[place].depth + 1
                    reward = left[trace.task.key].pop()
                    found.append(Turn(c, prefix, c.tokens[before:], reward, place, depth, c is trace.answer))
    return list(groups.values())


def added(draw: Draw, trace: Trace) -> str:
    """What the text of a prompt has beside the task's own."""
    return draw.prefix.replace(trace.task.prompt, "", 1) if isinstance(draw.prefix, str) else ""


def parent_of(prefix: Tokens, text: str, earlier: Sequence[Turn], end: frozenset[int]) -> int | None:
    """The place of the longest earlier turn that `prefix` goes on from; else of the last that the prompt shows, which a chat's
    template may have put between others."""
    best, length = None, 0
    for i, turn in enumerate(earlier):
        # a later prompt may have left out the token that ended the text
        for own in (turn.whole, bare(turn.whole, end)):
            if max(len(turn.prefix) + 1, length) <= len(own) and prefix[: len(own)] == own:
                best, length = i, len(own)
    if best is None and text:
        best = max(shown([turn.completion.text for turn in earlier], text), default=None)
    return best


def shown(texts: Sequence[str], prompt: str) -> list[int]:
    """The places of the texts that stand in a prompt as they are: not as part of a word, nor within another of them only.

    >>> shown(["no", "3", "1 + 3", "3"], "now 1 + 3 is known")
    [2]
    """
    spans = {i: [m.span() for m in whole_words(t.strip()).finditer(prompt)] for i, t in enumerate(texts) if t.strip()}
    every = {span for own in spans.values() for span in own}
    outermost = {(a, b) for a, b in every if not any((c, d) != (a, b) and c <= a and b <= d for c, d in every)}
    return [i for i, own in spans.items() if outermost.intersection(own)]


def whole_words(text: str) -> re.Pattern[str]:
    """Finds a text where no letter or digit goes on at its ends."""
    left, right = (r"\b" if re.match(r"\w", end) else "" for end in (text[0], text[-1]))
    return re.compile(left + re.escape(text) + right)


def bare(tokens: Tokens, end: frozenset[int]) -> Tokens:
    """Without a last token that ends a text."""
    return tokens[:-1] if tokens and tokens[-1] in end else tokens


def in_groups(turns: Sequence[Turn], values: Sequence[float], groups: Sequence[object], advantage: Advantage) -> list[Example]:
    """An example of each turn that has a value, its advantage taken among the turns of its group."""
    members: dict[object, list[int]] = {}
    for i, group in enumerate(groups):
        if not math.isnan(values[i]):
            members.setdefault(group, []).append(i)
    advantages = advantage(padded([[values[i] for i in own] for own in members.values()])).tolist() if members else []
    of_turn = {i: a for own, row in zip(members.values(), advantages, strict=True) for i, a in zip(own, row, strict=False)}
    return [turns[i].example(of_turn[i]) for i in sorted(of_turn) if turns[i].tokens]


def returns(turns: Sequence[Turn], decay: float) -> list[float]:
    """Each turn's own reward, and `decay` times the mean of what came of it; NaN where neither is known."""
    children: dict[int, list[int]] = {}
    for i, turn in enumerate(turns):
        if turn.parent is not None:
            children.setdefault(turn.parent, []).append(i)
    values = [turn.reward for turn in turns]
    for i in reversed(range(len(turns))):  # children come after their parents
        later = [values[j] for j in children.get(i, []) if not math.isnan(values[j])]
        if later:
            own = 0.0 if math.isnan(values[i]) else values[i]
            values[i] = own + decay * sum(later) / len(later)
    return values


def repeated(turns: Sequence[Turn], i: int) -> bool:
    """Whether a turn says what an earlier one of its line said."""
    at = turns[i].parent
    while at is not None:
        if turns[at].tokens == turns[i].tokens:
            return True
        at = turns[at].parent
    return False


@credits.add("per-turn", paper="after arXiv 2507.14295")
def per_turn(
    traces: Sequence[Trace],
    rewards: Sequence[Sequence[float]],
    advantage: Advantage,
    tokenizer: Tokenizer,
    *,
    decay: float = 0.9,
    repeat: float = 0.0,
) -> list[Example]:
    """Each turn has the method's advantage of its return among all turns of its task that are as deep.

    A return is the turn's own reward and `decay` times the mean return of the turns that go on from it, so that a late
    success pays less. `repeat` is taken off the turn that says again what an earlier one of its line said.
    """
    from_0_to_1(decay=decay)
    at_least_0(repeat=repeat)
    examples: list[Example] = []
    for turns in turns_of(traces, rewards, tokenizer.end):
        values = [v - repeat * repeated(turns, i) for i, v in enumerate(returns(turns, decay))]
        examples += in_groups(turns, values, [(turn.completion.role, turn.depth) for turn in turns], advantage)
    return examples
