"""Pairs to learn preferences from: out of judged traces, or written."""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Completion, Tokens, Trace
from ratchet.learn.batch import Example, Pair
from ratchet.learn.credit import Reward
from ratchet.models.engine import Policy


def pairs_of(traces: Sequence[Trace], reward: Reward, *path: Part, most: int = 1) -> list[Pair]:
    """At most `most` pairs of each prompt: the best answer with the worst, the second with the second last, while their rewards
    differ. `path` addresses the chance by which answers of one reward are ordered.

    What could not be judged is left out, and so are steps of a search: completions that ended at a stop string and are not
    what the strategy answered with.
    """
    groups: dict[tuple[str, Tokens], list[tuple[float, Completion]]] = {}
    for trace in traces:
        for place, (c, verdict) in enumerate(zip(trace.completions, trace.verdicts, strict=True)):
            value = reward(verdict, *path, trace.task.key, trace.sample, place)
            if value is not None and c.tokens and (c.stop != "stop" or c is trace.answer):
                groups.setdefault((trace.task.key, c.prefix), []).append((value, c))
    return [pair for (key, _), judged in groups.items() for pair in from_both_ends(judged, most, *path, key)]


def from_both_ends(judged: Sequence[tuple[float, Completion]], most: int, *path: Part) -> list[Pair]:
    """Pairs of different rewards, the best with the worst first."""
    mixed = rng(*path, "pairs").sample(judged, len(judged))
    ranked = sorted(mixed, key=lambda item: item[0], reverse=True)
    ends = zip(ranked[: len(ranked) // 2], ranked[::-1], strict=False)
    pairs = [Pair(drawn_example(a), drawn_example(b)) for (high, a), (low, b) in ends if high > low]
    return pairs[:most]


def drawn_example(c: Completion) -> Example:
    return Example(c.prefix, c.tokens, logprobs=c.logprobs)


def written_pair(policy: Policy, prompt: str, chosen: str, rejected: str) -> Pair:
    """A pair of texts, each ended as the model ends its answers."""
    prefix = policy.encode(prompt)
    texts = ((*policy.tokenizer.encode(text), policy.tokenizer.end_id) for text in (chosen, rejected))
    return Pair(*(Example(prefix, tokens) for tokens in texts))
