"""The task families of the library reasoning-gym, drawn by their names: `name` is one or several, as "chain_sum,maze".

Needs the extra "ratchet[gym]". `config` sets the family's own configuration, as "min_terms=3 max_terms=5".

Departures from the library: an item's generator is Random(seed + index) there, so two data sets with neighbouring seeds share
their items; here every item has a seed of its own, and its split is a function of its question and answer. The library pays
parts of a point; here only the whole point is PASS (the part stays in the verdict's score). Items of boxnet and rush_hour come
without a right answer: they can be learned by reinforcement, and `ratchet tasks check` says how many it could not prove.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any, cast

from ratchet.core.errors import TaskError, nearest
from ratchet.core.processes import end_with_parent, own_channel
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
    found = item(one, config, random.getrandbits(31))
    facts = {"name": one, "config": settings(config), "entry": found["encoded"]}
    return Task("reasoning-gym", f"{found['question'].rstrip()}\n\n{FORM}", found["answer"], "reasoning-gym", facts)


# ---- the library, in a process of its own ------------------------------------------------------------------------------


class Library:
    """A process that draws items: the library takes 3 s and 100 MB to import, prints, and lets the order of sets decide, which
    only a process with a fixed hash seed repeats."""

    def __init__(self) -> None:
        path = os.pathsep.join(p for p in sys.path if p)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ratchet.tasks.reasoning_gym"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True, env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": path},
        )  # fmt: skip
        self.lock = threading.Lock()
        atexit.register(self.process.kill)

    def ask(self, *question: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        with self.lock:
            try:
                self.process.stdin.write(json.dumps(question).encode() + b"\n")
                self.process.stdin.flush()
                reply = json.loads(self.process.stdout.readline())
            except (OSError, ValueError):
                library.cache_clear()
                raise TaskError("the process that draws reasoning-gym's items has ended; give the same command again") from None
        if "error" in reply:
            raise TaskError(reply["error"])
        return reply["value"]


@cache
def library() -> Library:
    return Library()


def names() -> list[str]:
    """All families of the library but "composite", which mixes others: several names do that."""
    return library().ask("names")


def item(name: str, config: str, seed: int) -> dict[str, Any]:
    """The item of a seed, its metadata still encoded. TaskError for a wrong name or configuration."""
    return library().ask("item", name, settings(config), seed)


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


def serve() -> None:
    """The process: a question a line, an answer a line."""
    end_with_parent()
    questions, replies = own_channel()
    for line in questions:
        what, *arguments = json.loads(line)
        try:
            reply = {"value": {"names": known, "item": drawn}[what](*arguments)}
        except TaskError as e:
            reply = {"error": str(e)}
        print(json.dumps(reply), file=replies, flush=True)


def factory() -> Any:
    try:
        from reasoning_gym import factory  # pyright: ignore[reportMissingImports]
    except ImportError as e:
        raise TaskError(f'the family reasoning-gym needs the library of that name ({e}); pip install "ratchet[gym]"') from None
    return factory


def known() -> list[str]:
    return sorted(n for n in factory().DATASETS if n != "composite")


def drawn(name: str, config: dict[str, Any], seed: int) -> dict[str, Any]:
    data = kept(name, json.dumps(config, sort_keys=True)) or made(name, config, seed)
    data.seed = data.config.seed = seed
    try:
        entry = data[0]
    except Exception as e:  # of a hundred authors' code
        raise TaskError(f"reasoning-gym: {name} cannot draw an item with {config}: {type(e).__name__}: {e}") from None
    return {"question": entry["question"], "answer": entry["answer"], "encoded": encoded(entry)}


@cache
def kept(name: str, config: str) -> Any:
    """A data set that can be given another seed, or None where what it is made of depends on its seed."""
    first, second = (made(name, json.loads(config), seed) for seed in (1, 2))
    parts = [{k: v for k, v in vars(d).items() if k not in ("seed", "config")} for d in (first, second)]
    return first if parts[0] == parts[1] else None


def made(name: str, config: dict[str, Any], seed: int) -> Any:
    """The library's data set, of one item."""
    if name not in known():
        raise TaskError(f'reasoning-gym has no family named "{name}"; {nearest(name, known())}')
    try:
        return factory().create_dataset(name, seed=seed, size=1, **config)
    except Exception as e:  # of a hundred authors' code
        raise TaskError(f"reasoning-gym: {name} cannot be made with {config}: {type(e).__name__}: {e}") from None


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


def right_answer(name: str, data: Any) -> str | None:
    entry = decoded(data)
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
    answer = right_answer(task.facts["name"], task.facts["entry"])
    return None if answer is None else wrapped(answer)


def decoys(task: Task) -> Mapping[str, str]:
    """Texts that are no right answer: among them another item's, where it is another answer."""
    name = task.facts["name"]
    config = " ".join(f"{k}={json.dumps(v, separators=(',', ':'))}" for k, v in task.facts["config"].items())
    right = right_answer(name, task.facts["entry"])
    found = {
        "empty": "",
        "empty answer": wrapped(""),
        "prompt echo": task.prompt,
        "no answer": "I do not know.",
        "code": wrapped("__import__('os').system('id')"),
    }
    random = rng("decoy", task.key)
    others = (right_answer(name, item(name, config, random.getrandbits(31))["encoded"]) for _ in range(8))
    other = next((o for o in others if o is not None and o != right), None)
    if other is not None:
        found["answer of another item"] = wrapped(other)
        found["hedge with two answers"] = wrapped(f"{right} or {other}")
    return found


families.put("reasoning-gym", Family(draw, gold, decoys), paper="arXiv 2505.24760", summary=__doc__)

if __name__ == "__main__":
    serve()
