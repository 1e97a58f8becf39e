"""The task families of the library reasoning-gym, drawn by their names: `name` is one or several, as "chain_sum,maze".

Needs the extra "ratchet[gym]". `config` sets the family's own configuration, as "min_terms=3 max_terms=5".

Departures from the library: an item's generator is Random(seed + index) there, so two data sets with neighbouring seeds share
their items; here every item has a seed of its own, and its split is a function of its question and answer. The library pays
parts of a point; here only the whole point is PASS (the part stays in the verdict's score). Items of boxnet and rush_hour come
without a right answer: they can be learned by reinforcement, and `ratchet tasks check` says how many it could not prove.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any, cast

from ratchet.core.errors import TaskError, nearest
from ratchet.core.seeds import rng
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families

FORM = "Give the final answer alone, between <answer> and </answer>."
EXAMPLES = {"graph_color": "possible_answer", "propositional_logic": "example_answer", "rubiks_cube": "example_correct_answer"}
"""Where these keep a right answer among many, which they do not call `answer`."""


def draw(random: Random, *, name: str = "chain_sum", config: str = "") -> Task:
    """An item of one of the named families."""
    names = [n.strip() for n in name.split(",")]
    one = random.choice(names)
    return task_of(one, config, item(one, config, random.getrandbits(31)))


def task_of(name: str, config: str, entry: Mapping[str, Any]) -> Task:
    facts = {"name": name, "config": settings(config), "entry": encoded(entry)}
    return Task("reasoning-gym", f"{entry['question'].rstrip()}\n\n{FORM}", entry["answer"], "reasoning-gym", facts)


# ---- the library --------------------------------------------------------------------------------------------------


@cache
def library() -> Any:
    """The registry of the library (3 s to import). TaskError where it is not installed."""
    try:
        from reasoning_gym import factory  # pyright: ignore[reportMissingImports]
    except ImportError as e:
        raise TaskError(f'the family reasoning-gym needs the library of that name ({e}); pip install "ratchet[gym]"') from None
    return factory


def names() -> list[str]:
    """All but "composite", which mixes others: several names do that."""
    return sorted(n for n in library().DATASETS if n != "composite")


def settings(config: str) -> dict[str, Any]:
    """`name=value` pairs, each value JSON where it is JSON."""
    found: dict[str, Any] = {}
    for pair in config.split():
        name, equals, value = pair.partition("=")
        if not equals:
            raise TaskError(f'reasoning-gym: config is pairs as "min_terms=3 max_terms=5", got {pair!r}')
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def made(name: str, config: str, seed: int) -> Any:
    """The library's data set, of one item. TaskError for a wrong name or configuration."""
    if name not in names():
        raise TaskError(f'reasoning-gym has no family named "{name}"; {nearest(name, names())}')
    try:
        return library().create_dataset(name, seed=seed, size=1, **settings(config))
    except (TypeError, ValueError, AssertionError, AttributeError, KeyError) as e:
        raise TaskError(f"reasoning-gym: {name} cannot be made with {config!r}: {type(e).__name__}: {e}") from None


@cache
def kept(name: str, config: str) -> Any:
    """A data set that can be given another seed, or None where what it is made of depends on its seed."""
    first, second = made(name, config, 1), made(name, config, 2)
    parts = [{k: v for k, v in vars(d).items() if k not in ("seed", "config")} for d in (first, second)]
    return first if parts[0] == parts[1] else None


def item(name: str, config: str, seed: int) -> dict[str, Any]:
    """The item of a seed."""
    data = kept(name, config)
    if data is None:
        data = made(name, config, seed)
    data.seed = data.config.seed = seed
    return data[0]


def encoded(value: Any) -> Any:
    """As JSON that keeps tuples apart from lists, and keys that are no texts. Read again in verify/scoring/score.py."""
    if isinstance(value, Mapping):
        return {"dict": [[encoded(k), encoded(v)] for k, v in value.items()]}
    if isinstance(value, list):
        return [encoded(v) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [encoded(v) for v in value]}
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if hasattr(value, "item"):  # a number of numpy's
        return encoded(value.item())
    raise TaskError(f"reasoning-gym: an item holds {type(value).__name__}, which cannot be handed to its scorer")


# ---- the family ---------------------------------------------------------------------------------------------------


def wrapped(answer: str) -> str:
    return f"<answer>{answer}</answer>"


def right_answer(entry: Mapping[str, Any], name: str) -> str | None:
    if entry["answer"] is not None:
        return entry["answer"]
    example = entry["metadata"].get(EXAMPLES.get(name, ""))
    return json.dumps(example) if isinstance(example, dict) else example


def decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [decoded(v) for v in cast(list[Any], value)]
    if isinstance(value, dict):
        [(kind, inner)] = cast(dict[str, Any], value).items()
        return tuple(map(decoded, inner)) if kind == "tuple" else {decoded(k): decoded(v) for k, v in inner}
    return value


def gold(task: Task) -> str | None:
    """The library's answer, or an example that it knows; None for an item without one."""
    answer = right_answer(decoded(task.facts["entry"]), task.facts["name"])
    return None if answer is None else wrapped(answer)


def decoys(task: Task) -> Mapping[str, str]:
    """Texts that are no right answer: among them another item's, where it is another answer."""
    name = task.facts["name"]
    config = " ".join(f"{k}={json.dumps(v, separators=(',', ':'))}" for k, v in task.facts["config"].items())
    right = right_answer(decoded(task.facts["entry"]), name)
    found = {
        "empty": "",
        "empty answer": wrapped(""),
        "prompt echo": task.prompt,
        "no answer": "I do not know.",
        "code": wrapped("__import__('os').system('id')"),
    }
    random = rng("decoy", task.key)
    others = (right_answer(item(name, config, random.getrandbits(31)), name) for _ in range(8))
    other = next((o for o in others if o is not None and o != right), None)
    if other is not None:
        found["answer of another item"] = wrapped(other)
        found["hedge with two answers"] = wrapped(f"{right} or {other}")
    return found


families.put("reasoning-gym", Family(draw, gold, decoys), paper="arXiv 2505.24760", summary=__doc__)
