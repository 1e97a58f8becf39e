"""Credit where one model plays several parts: a writer of abstractions and a solver; a policy and its own judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import at_least_0
from ratchet.core.types import Trace
from ratchet.learn.batch import Example
from ratchet.learn.credit import credits, drawn, outcome
from ratchet.learn.credit_turns import Turn, in_groups, turns_of
from ratchet.learn.critic import Judged
from ratchet.learn.parts import Advantage
from ratchet.models.tokens import Tokenizer


@credits.add("two-role", paper="arXiv 2510.02263")
def two_role(
    traces: Sequence[Trace],
    rewards: Sequence[Sequence[float]],
    advantage: Advantage,
    tokenizer: Tokenizer,
    *,
    writer: str = "abstraction",
) -> list[Example]:
    """A text that a `writer` wrote gains the mean reward of what was drawn from it, a solution its own (RLAD).

    The text is compared with what else was written for its task, a solution with the others of its prompt.
    A solution belongs to the text that stands in its prompt; where none is found there, to the last one written before it.
    """
    examples: list[Example] = []
    for turns in turns_of(traces, rewards, tokenizer.end):
        owners = owners_of(turns, writer)
        values = [t.reward if t.completion.role != writer else worth(turns, owners, i) for i, t in enumerate(turns)]
        groups = [writer if t.completion.role == writer else (t.completion.prefix, t.depth) for t in turns]
        examples += in_groups(turns, values, groups, advantage)
    return examples


def owners_of(turns: Sequence[Turn], writer: str) -> list[int | None]:
    """For each turn of another role, the place of what was written for it."""
    owners: list[int | None] = []
    last: int | None = None
    for i, turn in enumerate(turns):
        if turn.completion.role == writer:
            last = i
            owners.append(None)
        else:
            at = turn.parent
            while at is not None and turns[at].completion.role != writer:
                at = turns[at].parent
            owners.append(last if at is None else at)
    return owners


def worth(turns: Sequence[Turn], owners: Sequence[int | None], i: int) -> float:
    """The mean reward of what belongs to a writer's turn, or to another with the same text, since a prompt cannot tell which of both
    it shows; NaN where nothing was judged."""
    same = {j for j, turn in enumerate(turns) if (turn.completion.role, turn.whole) == (turns[i].completion.role, turns[i].whole)}
    own = [t.reward for t, owner in zip(turns, owners, strict=True) if owner in same and not math.isnan(t.reward)]
    return sum(own) / len(own) if own else math.nan


def recycled(
    traces: Sequence[Trace], rewards: Sequence[Sequence[float]], question: Sequence[int], end: frozenset[int]
) -> list[Judged]:
    """Judged completions as lessons for a judge, each followed by the `question`: as many right as wrong ones of each task, so
    that neither the task nor the share of right answers gives the verdict away. None of a task without both."""
    lessons: list[Judged] = []
    for group, own in zip(drawn(traces), rewards, strict=True):
        judged = [
            Judged(c.prefix, (*(t for t in c.tokens if t not in end), *question), float(r > 0.5))
            for c, r in zip(group, own, strict=True)
            if not math.isnan(r)
        ]
        right, wrong = ([j for j in judged if j.outcome == label] for label in (1.0, 0.0))
        lessons += [j for pair in zip(right, wrong, strict=False) for j in pair]
    return lessons


@credits.add("recycled", paper="arXiv 2509.22624")
def recycled_verdicts(
    traces: Sequence[Trace],
    rewards: Sequence[Sequence[float]],
    advantage: Advantage,
    tokenizer: Tokenizer,
    *,
    question: str = "",
    yes: str = "yes",
    no: str = "no",
    weight: float = 1.0,
) -> list[Example]:
    """`outcome`, and the verdicts that the same policy should give on the same completions (SPARK): it is its own judge.

    The two verdict words have advantages of plus and minus half the `weight`. They were not drawn, so they come without
    old log-probabilities: a ratio to 1 is the word's own chance, and what is raised is that of the right verdict. A model
    that never says a verdict has to be taught to first (`teach_to_say`). Departures: pointwise verdicts only, no
    comparisons and no reflections.
    """
    at_least_0(weight=weight)
    words = [tuple(tokenizer.encode(word)) for word in (no, yes)]
    if any(len(word) != 1 for word in words) or words[0] == words[1]:
        raise RecipeError(f'the verdicts "{yes}" and "{no}" must be two different words of one token each')
    examples = outcome(traces, rewards, advantage, tokenizer)
    for lesson in recycled(traces, rewards, tokenizer.encode(question), tokenizer.end):
        text, right = (*lesson.prefix, *lesson.tokens), int(lesson.outcome)
        examples += [Example(text, words[right], weight / 2), Example(text, words[1 - right], -weight / 2)]
    return examples
