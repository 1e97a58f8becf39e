"""The held-out look at the end of a run: pass@1 with paired difference, pass@k curves, baselines, shared keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ratchet.core.seeds import Part
from ratchet.core.types import Estimate, Task, Trace
from ratchet.loop.recipe import Recipe
from ratchet.loop.turn import Costs, scheduler_for
from ratchet.measure.estimate import mean, paired_difference, pass_at_k, powers_of_two
from ratchet.measure.record import Record, Row, compare, record_of
from ratchet.models.engine import Policy
from ratchet.models.scheduler import Verify
from ratchet.search.strategy import strategies
from ratchet.tasks.family import Source


def heldout_tasks(recipe: Recipe, source: Source) -> list[Task]:
    """The same tasks for every seed of a recipe, so that runs can be compared by pairs."""
    return source.take("heldout", recipe.measure.tasks, "heldout look")


def sample_heldout(policy: Policy, verify: Verify, recipe: Recipe, tasks: Sequence[Task], costs: Costs) -> list[Trace]:
    """`samples` plain samples per task, `curve_samples` of the first `curve_tasks`; the same seeds for every model."""
    m = recipe.measure
    more = max(m.samples, m.curve_samples)
    scheduler = scheduler_for(policy, costs.judging(verify))
    path: tuple[Part, ...] = (recipe.seed, "heldout samples")
    single = strategies["single"]
    traces = scheduler.run(single, tasks[: m.curve_tasks], *path, samples=more)
    traces += scheduler.run(single, tasks[m.curve_tasks :], *path, samples=m.samples)
    costs.add_scheduler(scheduler, "measuring")
    return traces


def curve(record: Record, recipe: Recipe) -> list[dict[str, Any]]:
    """pass@k for k = 1, 2, 4, ... on the tasks with `curve_samples` samples."""
    m = recipe.measure
    if not m.curve_tasks or m.curve_samples < 2:
        return []
    wide = Record(record.model, record.tasks, record.strategy, [r for r in record.rows if r.n + r.abstained >= m.curve_samples])
    points: list[dict[str, Any]] = []
    for k in powers_of_two(m.curve_samples):
        if any(r.n >= k for r in wide.rows):
            points.append({"k": k, **estimate_json(wide.pass_at(k))})
    return points


def estimate_json(e: Estimate) -> dict[str, Any]:
    return asdict(e)


def stage_result(name: str, traces: Sequence[Trace], recipe: Recipe) -> tuple[Record, dict[str, Any]]:
    """The record of one stage's model and its numbers for the summary."""
    record = record_of(traces, name, recipe.tasks.family, seed=recipe.seed, split="heldout")
    drawn = [c for t in traces for c in t.completions]
    numbers = {
        "stage": name,
        "pass_at_1": estimate_json(record.pass_at(1)),
        "pass_at_k": curve(record, recipe),
        "mean_tokens": sum(len(c.tokens) for c in drawn) / len(drawn),
        "stops": {k: sum(c.stop == k for c in drawn) / len(drawn) for k in ("end", "stop", "length")},
        "abstained": sum(r.abstained for r in record.rows),
    }
    return record, numbers


def coverage_change(before: Record, after: Record, recipe: Recipe) -> list[dict[str, Any]]:
    """Paired difference of pass@k, after minus before, on the tasks of the curve."""
    m = recipe.measure
    first, second = ({r.key: r for r in x.rows if r.n >= max(m.curve_samples, 2)} for x in (before, after))
    shared = sorted(first.keys() & second.keys())
    points: list[dict[str, Any]] = []
    for k in powers_of_two(m.curve_samples) if shared and m.curve_tasks else []:
        a, b = ([pass_at_k(rows[key].n, rows[key].passes, k) for key in shared] for rows in (first, second))
        d = paired_difference(a, b, [first[key].cluster for key in shared])
        points.append({"k": k, **estimate_json(d)})
    return points


def baselines(source: Source, tasks: Sequence[Task], verify: Verify, after: Record) -> dict[str, Any]:
    """Accuracy of the family's baselines on the held-out tasks, and how far the model is ahead of each."""
    if not source.family.baselines or source.tasks is None:
        return {}
    train = [t for t in source.tasks if t.split == "train"]
    results: dict[str, Any] = {}
    for name, fit in source.family.baselines.items():
        predict = fit(train)
        verdicts = verify([(t, predict(t)) for t in tasks])
        passed = [float(v.passed) for v in verdicts]
        rows = [Row(t.key, t.cluster or t.key, 1, int(p), 0, 0) for t, p in zip(tasks, passed, strict=True)]
        own = Record(name, source.name, "baseline", rows)
        results[name] = {
            "pass_at_1": estimate_json(mean(passed, [t.cluster or t.key for t in tasks])),
            "model_ahead_by": estimate_json(compare(own, after)),
        }
    return results


def shared_keys(recipe: Recipe, source: Source, heldout: Sequence[Task], turns: int) -> dict[str, int]:
    """How many held-out tasks were also drawn for training or for a gate, by content key. The draws are repeated."""
    held = {t.key for t in heldout}
    train: set[str] = set()
    validation: set[str] = set()
    first = recipe.imitation.turns if recipe.imitation else 0
    for turn in range(turns):
        phase = recipe.imitation if turn < first else recipe.reinforcement
        assert phase is not None
        n = phase.examples if turn < first else recipe.reinforcement.tasks  # type: ignore[union-attr]
        for update in range(phase.updates):
            train |= {t.key for t in source.take("train", n, recipe.seed, "turn", turn, "update", update, "tasks")}
        validation |= {t.key for t in source.take("validation", recipe.gate.tasks, recipe.seed, "gate", turn)}
    return {"train": len(held & train), "validation": len(held & validation), "heldout": len(held)}
