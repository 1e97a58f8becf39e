"""Agents that solve tasks: strategies of one episode each, over the requests `Look`, `Run` and `Submit` of `solving`.

`ladder` submits the three baselines in turn. `pipelines` searches over scikit-learn pipelines, best first: it tries a few families
on a part of the training rows, goes on with changes of the best, and submits what was best there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from random import Random
from typing import Any

from ratchet.core.errors import SmithError
from ratchet.core.registry import Registry
from ratchet.smith.solving import Look, Reply, Request, Run, Submit
from ratchet.smith.trying import INSIDE, read_json

Agent = Callable[..., Generator[Request, Reply, None]]
agents: Registry[Agent] = Registry("agent", "ratchet.smith", SmithError)


@agents.add("ladder", paper="mle-smith")
def ladder(seed: int) -> Generator[Request, Reply, None]:
    """The three baselines, from the weakest to the strongest."""
    yield Look()
    ran = yield Run((INSIDE / "ladder.py").read_text())
    for name in ("dummy", "simple", "strong"):
        if f"{name}.csv" in ran.files:
            yield Submit(ran.files[f"{name}.csv"])


SPACE: dict[str, dict[str, tuple[Any, ...]]] = {
    "linear": {"strength": (0.01, 0.1, 1.0, 10.0)},
    "neighbours": {"k": (1, 5, 15, 40)},
    "trees": {"least": (1, 3, 8), "trees": (60, 150)},
    "boosting": {"rate": (0.03, 0.1, 0.3), "leaves": (7, 15, 31), "rounds": (60, 150, 300)},
}


@agents.add("pipelines", paper="mle-smith")
def pipelines(seed: int, *, tries: int = 12) -> Generator[Request, Reply, None]:
    """Best-first search over scikit-learn pipelines: every family once, then changes of what was best."""
    random = Random(seed)
    yield Look()
    script = (INSIDE / "pipeline.py").read_text()
    beside = {"ladder.py": (INSIDE / "ladder.py").read_bytes()}
    waiting = [{"family": family, **{k: random.choice(v) for k, v in knobs.items()}} for family, knobs in SPACE.items()]
    seen: list[tuple[float, dict[str, Any]]] = []
    known = set[str]()
    for _ in range(tries):
        if not waiting:
            if not seen:
                return
            waiting = changes(max(seen, key=lambda s: s[0])[1], random)
        spec = waiting.pop(0)
        key = json.dumps(spec, sort_keys=True)
        if key in known:
            continue
        known.add(key)
        ran = yield Run(script, {**beside, "spec.json": json.dumps(spec | {"final": False}).encode()})
        found = read_json(ran.said)
        if isinstance(found, dict) and isinstance(found.get("score"), int | float):
            seen.append((float(found["score"]), spec))
    if seen:
        best = max(seen, key=lambda s: s[0])[1]
        ran = yield Run(script, {**beside, "spec.json": json.dumps(best | {"final": True}).encode()})
        if "submission.csv" in ran.files:
            yield Submit(ran.files["submission.csv"])


def changes(spec: dict[str, Any], random: Random) -> list[dict[str, Any]]:
    """Neighbours of a pipeline: one knob another value, in an order by chance."""
    knobs = SPACE[spec["family"]]
    found = [spec | {k: v} for k, values in knobs.items() for v in values if v != spec[k]]
    random.shuffle(found)
    return found
