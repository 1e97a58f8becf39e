"""Credit by the outcome and by a process reward: what a scorer of the search said of each step, shaped so that saying more steps earns
no more (arXiv 2410.15115)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from ratchet.core.ranges import at_least_0, require
from ratchet.core.types import Trace
from ratchet.learn import within
from ratchet.learn.batch import Example
from ratchet.learn.credit import credits, padded
from ratchet.learn.credit_steps import Tree, trees
from ratchet.learn.credit_turns import Turn, bare
from ratchet.learn.parts import Advantage
from ratchet.models.tokens import Tokenizer


@credits.add("process", paper="arXiv 2410.15115")
def process(
    traces: Sequence[Trace],
    rewards: Sequence[Sequence[float]],
    advantage: Advantage,
    tokenizer: Tokenizer,
    *,
    scorer: str = "self-evaluation",
    weight: float = 0.1,
    most: float | None = None,
    delta: bool = True,
) -> list[Example]:
    """Each step has the advantage of its sample's reward among its task's finished samples, and `weight` times the shaped scores of it
    and of the steps after it.

    Shaped by `most` (where it is given) a score is what it lacks of that, never above 0; by `delta` it is less the next step's. A step
    of several samples has their mean; one of which the scorer said nothing counts 0. Departure: the paper takes these as rewards of
    PPO with a critic; here they are summed to the end, as `reinforce` without a baseline would.
    """
    at_least_0(weight=weight)
    require(most is None or math.isfinite(most), "most", most, "a finite number, or none")
    found = trees(traces, rewards, tokenizer.end, scorer)
    gained = advantage(padded([[leaf.reward for leaf in tree.leaves] for tree in found])).tolist() if found else []
    examples: list[Example] = []
    for tree, row in zip(found, gained, strict=True):
        paths = [(leaf, path_of(tree, leaf, a, weight, most, delta)) for leaf, a in zip(tree.leaves, row, strict=False)]
        for turn in tree.turns:
            begun = bare(turn.whole, tree.end)
            # a finished sample has its own reward alone, though a longer one may begin with the same tokens
            mine = [leaf is turn for leaf, _ in paths]
            through = mine if any(mine) else [leaf.whole[: len(begun)] == begun for leaf, _ in paths]
            own = [path[len(turn.prefix) :] for (_, path), goes in zip(paths, through, strict=True) if goes]
            if turn.tokens and own:
                examples.append(turn.example(tuple(fmean(p[min(i, len(p) - 1)] for p in own) for i in range(len(turn.tokens)))))
    return examples


def path_of(tree: Tree, leaf: Turn, gained: float, weight: float, most: float | None, delta: bool) -> list[float]:
    """What each token of a finished sample's whole sequence gains; 0 for those of its prompt."""
    places = tree.places(leaf, len(leaf.completion.prefix))
    scores = [tree.scores.get(leaf.whole[:n], math.nan) for n in places[1:]]
    shaped = scores if most is None else within.clipped(scores, most)
    shaped = within.delta(shaped) if delta else [*shaped[:-1], 0.0]  # the last step's is the outcome
    to_go = within.to_go([0.0 if math.isnan(s) else s for s in shaped])
    lengths = [b - a for a, b in pairwise(places)]
    return [0.0] * places[0] + list(within.over_tokens([gained + weight * s for s in to_go], lengths))
