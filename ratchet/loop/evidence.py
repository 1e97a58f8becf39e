"""What the gate and the held-out look go by: each kind looks at a model on tasks and gives a record of what came out.

Two of the kinds ask for no verifier. They go by the probabilities that the model gives to texts of the file, and throw a coin of
that chance for each token or pair, so that a record counts what passed, as of samples. The coins are hashed from the path and the
task: two models that are looked at by one path have the same ones, and are compared by pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ratchet.core.seeds import Part, fraction
from ratchet.core.types import Task, Tokens, Trace
from ratchet.loop.turn import Costs, scheduler_for
from ratchet.measure.record import Record, Row, record_of
from ratchet.models.engine import Policy
from ratchet.models.scheduler import Verify
from ratchet.search.strategy import strategies
from ratchet.tasks.family import Source

Evidence = Callable[[Policy, Verify, Source, Sequence[Task], tuple[Part, ...], int, Costs, str], tuple[Record, list[Trace]]]
"""(policy, verify, source, tasks, path, samples, costs, the part of the run that they belong to) -> record, and traces if it has any"""


def samples(
    policy: Policy, verify: Verify, source: Source, tasks: Sequence[Task], path: tuple[Part, ...], n: int, costs: Costs, part: str
) -> tuple[Record, list[Trace]]:
    """`n` plain samples of each task, judged by its verifier."""
    scheduler = scheduler_for(policy, costs.judging(verify))
    traces = scheduler.run(strategies["single"], tasks, *path, samples=n)
    costs.add_scheduler(scheduler, part)
    return record_of(traces, "", ""), traces


def likelihood(
    policy: Policy, verify: Verify, source: Source, tasks: Sequence[Task], path: tuple[Part, ...], n: int, costs: Costs, part: str
) -> tuple[Record, list[Trace]]:
    """How often the model's next token would be the given text's, after the text's own tokens before it; once for each token."""
    scores = text_scores(policy, source, tasks, costs, part)
    rows = [
        row_of(t, [math.exp(lp) for lp in first], [(*path, t.key, i) for i in range(len(first))], len(first))
        for t, (first, *_) in zip(tasks, scores, strict=True)
    ]
    return Record("", "", "likelihood", rows), []


def preference(
    policy: Policy, verify: Verify, source: Source, tasks: Sequence[Task], path: tuple[Part, ...], n: int, costs: Costs, part: str
) -> tuple[Record, list[Trace]]:
    """How often, of the two given texts, the model would write the better one: by their probabilities, `n` times."""
    rows = list[Row]()
    for t, (chosen, rejected) in zip(tasks, text_scores(policy, source, tasks, costs, part), strict=True):
        chance = 1 / (1 + math.exp(min(sum(rejected) - sum(chosen), 700.0)))
        rows.append(row_of(t, [chance] * n, [(*path, t.key, i) for i in range(n)], len(chosen) + len(rejected)))
    return Record("", "", "preference", rows), []


def row_of(task: Task, chances: Sequence[float], coins: Sequence[tuple[Part, ...]], tokens: int) -> Row:
    passes = sum(fraction(*coin) < chance for chance, coin in zip(chances, coins, strict=True))
    return Row(task.key, task.cluster or task.key, len(chances), passes, 0, tokens)


def text_scores(policy: Policy, source: Source, tasks: Sequence[Task], costs: Costs, part: str) -> list[list[list[float]]]:
    """For each task the log-probabilities of the tokens of each of its texts."""
    pairs = [encoded(policy, source, task) for task in tasks]
    with costs.clock(part, "engine_seconds"):
        scores = iter(policy.score([pair for own in pairs for pair in own]))
    return [[next(scores) for _ in own] for own in pairs]


def encoded(policy: Policy, source: Source, task: Task) -> list[tuple[Tokens, Tokens]]:
    """(prompt, text with its end) of each text that a task gives."""
    assert source.family.written is not None
    prefix, tokenizer = policy.encode(task.prompt), policy.tokenizer
    return [(prefix, (*tokenizer.encode(text), tokenizer.end_id)) for text in source.family.written(task)]


EVIDENCE: dict[str, Evidence] = {"samples": samples, "likelihood": likelihood, "preference": preference}
TEXTS = {"likelihood": 1, "preference": 2}  # that a task must give
