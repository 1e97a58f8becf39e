"""Agents that need no model: strategies that call the workbench's tools alone.

`ladder` submits the three baselines. `pipelines` searches over scikit-learn pipelines, best first: every family once on a part of
the training rows, then changes of what was best, and it submits the best.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from ratchet.core.errors import SmithError
from ratchet.core.registry import Registry
from ratchet.core.types import Call, Chance, Completion, Play, Strategy, Task
from ratchet.smith.solving import answers
from ratchet.smith.trying import INSIDE

agents: Registry[Strategy] = Registry("agent", "ratchet.smith", SmithError)
NOTHING = Completion((), (), "", (), "end")


def script(name: str, **values: Any) -> str:
    """A script of `inside`, with values that it reads."""
    written = "".join(f"open({k + '.json'!r}, 'w').write({json.dumps(v)!r})\n" for k, v in values.items())
    return written + (INSIDE / name).read_text()


@agents.add("ladder", paper="mle-smith")
def ladder(task: Task) -> Play:
    """The three baselines, from the weakest to the strongest."""
    yield Call("look", "")
    yield Call("run", script("ladder.py"))
    for name in ("dummy", "simple", "strong"):
        yield Call("submit", f"{name}.csv")
    return NOTHING


SPACE: dict[str, dict[str, tuple[Any, ...]]] = {
    "linear": {"strength": (0.01, 0.1, 1.0, 10.0)},
    "neighbours": {"k": (1, 5, 15, 40)},
    "trees": {"least": (1, 3, 8), "trees": (60, 150)},
    "boosting": {"rate": (0.03, 0.1, 0.3), "leaves": (7, 15, 31), "rounds": (60, 150, 300)},
}
Spec = dict[str, Any]


@agents.add("pipelines", paper="mle-smith")
def pipelines(task: Task, *, tries: int = 12) -> Play:
    """Best-first search over scikit-learn pipelines; `tries` are scored on rows that they did not learn from."""
    random: Random = yield Chance()
    yield Call("look", "")
    waiting = [{"family": family, **{k: random.choice(v) for k, v in knobs.items()}} for family, knobs in SPACE.items()]
    seen: list[tuple[float, Spec]] = []
    known: list[Spec] = []
    while len(known) < tries and (waiting or seen):
        waiting = waiting or changes(max(seen, key=lambda s: s[0])[1], known, random)
        if not waiting:
            break
        known.append(waiting.pop(0))
        said = yield Call("run", script("pipeline.py", spec=known[-1] | {"final": False}))
        score = answers(said).get("score")
        if isinstance(score, int | float):
            seen.append((float(score), known[-1]))
    if seen:
        yield Call("run", script("pipeline.py", spec=max(seen, key=lambda s: s[0])[1] | {"final": True}))
    return NOTHING


def changes(spec: Spec, known: list[Spec], random: Random) -> list[Spec]:
    """Pipelines that differ in one knob and were not tried, one after the other by chance."""
    found = [spec | {k: v} for k, values in SPACE[spec["family"]].items() for v in values]
    new = [s for s in found if s not in known]
    random.shuffle(new)
    return new[:1]
