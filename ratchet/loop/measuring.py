"""The held-out look at the end of a run: pass@1 with paired difference, pass@k curves, baselines, shared keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ratchet.core.seeds import Part
from ratchet.core.types import Estimate, Task, Trace
from ratchet.loop.evidence import EVIDENCE
from ratchet.loop.recipe import Recipe, plan
from ratchet.loop.turn import Costs
from ratchet.measure.estimate import mean, paired_difference, pass_at_k, powers_of_two
from ratchet.measure.record import Record, Row, compare
from ratchet.models.engine import Policy
from ratchet.models.scheduler import Verify
from ratchet.tasks.family import Source


def heldout_tasks(recipe: Recipe, source: Source) -> list[Task]:
    """The same tasks for every seed of a recipe, so that runs can be compared by pairs."""
    return source.take("heldout", recipe.measure.tasks, "heldout look")


def look_at_heldout(
    policy: Policy, verify: Verify, recipe: Recipe, source: Source, tasks: Sequence[Task], costs: Costs
) -> tuple[Record, list[Trace]]:
    """`samples` looks at each task, `curve_samples` at the first `curve_tasks`; the same seeds for every model."""
    m = recipe.measure
    evidence = EVIDENCE[recipe.evidence]
    path: tuple[Part, ...] = (recipe.seed, "heldout samples")
    wide, traces = evidence(
        policy, verify, source, tasks[: m.curve_tasks], path, max(m.samples, m.curve_samples), costs, "measuring"
    )
    rest, more = evidence(policy, verify, source, tasks[m.curve_tasks :], path, m.samples, costs, "measuring")
    return replace(wide, strategy=wide.strategy or rest.strategy, rows=wide.rows + rest.rows), traces + more


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


def stage_result(name: str, record: Record, traces: Sequence[Trace], recipe: Recipe) -> dict[str, Any]:
    """The numbers of one stage's model for the summary; its record is told whose it is."""
    record.model, record.tasks = name, recipe.tasks.family
    record.about = {"seed": recipe.seed, "split": "heldout"}
    drawn = [c for t in traces for c in t.completions]
    tokens = sum(r.tokens for r in record.rows)
    return {
        "stage": name,
        "pass_at_1": estimate_json(record.pass_at(1)),
        "pass_at_k": curve(record, recipe),
        "mean_tokens": sum(len(c.tokens) for c in drawn) / len(drawn) if drawn else tokens / len(record.rows),
        "stops": {k: sum(c.stop == k for c in drawn) / len(drawn) for k in ("end", "stop", "length")} if drawn else {},
        "abstained": sum(r.abstained for r in record.rows),
    }


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


def shared_keys(recipe: Recipe, source: Source, heldout: Sequence[Task]) -> dict[str, int]:
    """How many held-out tasks were also drawn for training or for a gate, by content key. The draws are repeated."""
    held = {t.key for t in heldout}
    train: set[str] = set()
    validation: set[str] = set()
    for step in plan(recipe):
        phase = getattr(recipe, step.phase)
        for update in range(phase.updates):
            path = (recipe.seed, "turn", step.turn, "update", update, "tasks")
            train |= {t.key for t in source.take("train", phase.tasks, *path)}
        validation |= {t.key for t in source.take("validation", recipe.gate.tasks, recipe.seed, "gate", step.turn)}
    return {"train": len(held & train), "validation": len(held & validation), "heldout": len(held)}
