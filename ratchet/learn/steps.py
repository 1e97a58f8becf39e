"""Credit for each step of a tree, or of rollouts from inside a sample: what the step changed in the chance of success.

A step ends where some draw of its task began: a search that goes on from there, or rollouts that were drawn to learn the value
of the place. Q(place) is the mean reward of the finished samples that begin with it (Monte Carlo), or what a scorer of the search said.

Departures from Setlur et al. 2024, arXiv 2406.14532: the samples of the tree itself count among the rollouts of each place that
they go through, so that no separate ones need be drawn; and a pit is where Q falls to `pit`, not where it falls most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ratchet.core.types import Judge, Tokens, Trace
from ratchet.learn.batch import Example
from ratchet.learn.credit import credits, scales
from ratchet.learn.critic import Judged
from ratchet.learn.parts import Advantage
from ratchet.learn.turns import Turn, bare, turns_of
from ratchet.models.tokens import Tokenizer

Splice = tuple[Tokens, Tokens, Tokens]
"""(prefix, good step, bad step)"""


@dataclass(frozen=True)
class Tree:
    """All turns of one task. `starts` are the places where draws began, `leaves` the finished and judged turns, `scores` what a
    scorer said of places, `end` the tokens that end a text."""

    turns: Sequence[Turn]
    starts: frozenset[Tokens]
    leaves: Sequence[Turn]
    scores: Mapping[Tokens, float]
    end: frozenset[int]

    def value(self, place: Tokens) -> float:
        """Q; NaN where nothing is known."""
        if place in self.scores:
            return self.scores[place]
        begun = bare(place, self.end)
        below = [leaf.reward for leaf in self.leaves if leaf.whole[: len(begun)] == begun]
        return sum(below) / len(below) if below else math.nan

    def places(self, turn: Turn, since: int) -> list[int]:
        """The lengths at which steps of a turn's whole sequence begin or end, from length `since` on."""
        whole = turn.whole
        return [since, *(n for n in range(since + 1, len(whole)) if whole[:n] in self.starts), len(whole)]

    def values(self, turn: Turn, places: Sequence[int]) -> list[float]:
        """Q at each place; at the end of a leaf its reward."""
        return [turn.reward if n == len(turn.whole) and turn in self.leaves else self.value(turn.whole[:n]) for n in places]


def trees(traces: Sequence[Trace], rewards: Sequence[Sequence[float]], end: frozenset[int], scorer: str = "") -> list[Tree]:
    """One tree per task, of all its traces."""
    scores: dict[str, dict[Tokens, float]] = {}
    for trace in traces:
        known = scores.setdefault(trace.task.key, {})
        for event in trace.events:
            if isinstance(event.request, Judge) and event.request.scorer == scorer:
                known |= {c.prefix + c.tokens: s for c, s in zip(event.request.completions, event.answer, strict=True)}
    return [
        Tree(turns, frozenset(turn.prefix for turn in turns), leaves_of(turns), own, end)
        for turns, own in zip(turns_of(traces, rewards, end), scores.values(), strict=True)
    ]


def leaves_of(turns: Sequence[Turn]) -> list[Turn]:
    """The judged turns that none goes on from. Where a search goes on from what stopped at a step's end, the candidates that it
    dropped there are unfinished too: their reward says nothing about them."""
    going_on = {turns[i].whole: turns[i].completion for turn in turns for i in [turn.parent] if i is not None}
    # a later turn of a conversation has a prompt of its own; what a search goes on with has its parent's
    own_prompts = {turn.completion.prefix for turn in turns if turn.parent is not None}
    by_steps = any(c.stop == "stop" and c.prefix in own_prompts for c in going_on.values())
    return [
        turn
        for turn in turns
        if not math.isnan(turn.reward)
        and turn.whole not in going_on
        and (turn.answer or not (by_steps and turn.completion.stop == "stop"))
    ]


@credits.add("steps", paper="arXiv 2406.14532")
def steps(
    traces: Sequence[Trace],
    rewards: Sequence[Sequence[float]],
    advantage: Advantage,
    tokenizer: Tokenizer,
    *,
    scorer: str = "",
) -> list[Example]:
    """Each step has Q at its end less Q at its start, so that a path's steps sum to its reward less the root's value.

    With `scorer`, what that scorer said in the search is Q where it was asked. Of the method's advantage the scale is kept,
    as `attempts` does. Tokens of steps whose Q is not known are not learned from.
    """
    found = trees(traces, rewards, tokenizer.end, scorer)
    examples: list[Example] = []
    for tree, scale in zip(found, scales([[leaf.reward for leaf in tree.leaves] for tree in found], advantage), strict=True):
        for turn in tree.turns:
            places = tree.places(turn, len(turn.prefix))
            gains = [b - a for a, b in pairwise(tree.values(turn, places))]
            spread = tuple(
                0.0 if math.isnan(g) else scale * g
                for g, (a, b) in zip(gains, pairwise(places), strict=True)
                for _ in range(b - a)
            )
            if turn.tokens and not all(map(math.isnan, gains)):
                examples.append(turn.example(spread))
    return examples


def splices(
    traces: Sequence[Trace], rewards: Sequence[Sequence[float]], end: frozenset[int], *, scorer: str = "", pit: float = 0.0
) -> list[Splice]:
    """For each sample that came to `pit` or less, its first step after which Q does no more than that, with the best step that
    was drawn from the same place: what a prefix-conditioned preference is learned from. Samples without such a step give none."""
    found: list[Splice] = []
    for tree in trees(traces, rewards, end, scorer):
        for leaf in tree.leaves:
            if leaf.reward <= pit:
                found += [s for s in [splice(tree, leaf, pit)] if s is not None]
    return list(dict.fromkeys(found))


def splice(tree: Tree, leaf: Turn, pit: float) -> Splice | None:
    root = len(leaf.completion.prefix)
    places = tree.places(leaf, root)
    for (a, b), (before, after) in zip(pairwise(places), pairwise(tree.values(leaf, places)), strict=True):
        if after <= pit:
            prefix = leaf.whole[:a]
            good = [t for t in tree.leaves if t.whole[:a] == prefix and t.reward > pit]
            if before > pit and good:
                return prefix, best_step(tree, good, a), leaf.whole[a:b]
            return None
    return None


def best_step(tree: Tree, leaves: Sequence[Turn], since: int) -> Tokens:
    """The step, of those that these leaves took from the place, that has the highest Q; the first drawn of equal ones."""
    ends = [tree.places(leaf, since)[1] for leaf in leaves]
    values = [tree.values(leaf, [n])[0] for leaf, n in zip(leaves, ends, strict=True)]
    i = max(range(len(leaves)), key=lambda i: values[i])
    return leaves[i].whole[since : ends[i]]


def labelled(
    traces: Sequence[Trace], rewards: Sequence[Sequence[float]], end: frozenset[int], *, scorer: str = ""
) -> list[Judged]:
    """Each finished sample with its outcome, and Q at the end of each of its steps: what a process reward model or a value head
    is taught, without labels of people (Wang et al. 2023, arXiv 2312.08935)."""
    found: list[Judged] = []
    for tree in trees(traces, rewards, end, scorer):
        for leaf in tree.leaves:
            root = len(leaf.completion.prefix)
            places = tree.places(leaf, root)[1:]
            values = tree.values(leaf, places)
            marks = tuple((n - root - 1, v) for n, v in zip(places, values, strict=True) if not math.isnan(v))
            found.append(Judged(leaf.completion.prefix, leaf.completion.tokens, leaf.reward, marks))
    return found
