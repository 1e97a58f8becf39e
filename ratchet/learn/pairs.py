"""Pairs to learn preferences from: out of judged traces, or written."""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.core.seeds import Part
from ratchet.core.types import Completion, Tokens, Trace
from ratchet.learn.batch import Example, Pair
from ratchet.learn.credit import Reward
from ratchet.learn.tried import Tried, shuffled, tries
from ratchet.models.engine import Policy


def pairs_of(traces: Sequence[Trace], reward: Reward, *path: Part, most: int = 1) -> list[Pair]:
    """At most `most` pairs of each prompt: the best answer with the worst, the second with the second last, while their rewards
    differ. `path` addresses the chance by which answers of one reward are ordered.

    What could not be judged is left out, and so are steps of a search: completions that ended at a stop string and are not
    what the strategy answered with.
    """
    groups: dict[tuple[str, Tokens], list[Tried]] = {}
    for key, group in tries(traces, reward, *path).items():
        for t in shuffled(group, *path, key):
            groups.setdefault((key, t.completion.prefix), []).append(t)
    return [pair for group in groups.values() for pair in from_both_ends(group)[:most]]


def from_both_ends(group: Sequence[Tried]) -> list[Pair]:
    """Pairs of different rewards, the best with the worst first; those of one reward stay in their order."""
    ranked = sorted(group, key=lambda t: t.reward, reverse=True)
    ends = zip(ranked[: len(ranked) // 2], ranked[::-1], strict=False)
    return [Pair(drawn_example(a.completion), drawn_example(b.completion)) for a, b in ends if a.reward > b.reward]


def drawn_example(c: Completion) -> Example:
    return Example(c.prefix, c.tokens, logprobs=c.logprobs)


def written_pair(policy: Policy, prompt: str, chosen: str, rejected: str) -> Pair:
    """A pair of texts, each ended as the model ends its answers."""
    prefix = policy.encode(prompt)
    texts = ((*policy.tokenizer.encode(text), policy.tokenizer.end_id) for text in (chosen, rejected))
    return Pair(*(Example(prefix, tokens) for tokens in texts))
