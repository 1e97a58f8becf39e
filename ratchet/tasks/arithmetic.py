"""Arithmetic chains: a start and several steps, worked out one value at a time.

`start 7 then + 5 then * 2 then - 9 :` has the trace `7 + 5 = 12 then 12 * 2 = 24 then 24 - 9 = 15 answer 15`. All
values are whole and between 0 and 99, so that each is one token of the built-in model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks.countdown import OPERATIONS, Node, combine
from ratchet.tasks.family import Family, families


def draw(random_: random.Random, *, steps: int = 4, largest: int = 20, top: int = 99) -> Task:
    """A chain of `steps` operations with numbers in [1, `largest`] and values in [0, `top`]."""
    if steps < 1 or not 1 <= largest <= top <= 99:
        given = f"steps={steps}, largest={largest}, top={top}"
        raise TaskError(f"arithmetic: {given}; steps must be at least 1, largest at least 1 and at most top, top at most 99")
    value = start = random_.randint(1, largest)
    chain: list[tuple[str, int]] = []
    while len(chain) < steps:
        operation, operand = random_.choice(OPERATIONS), random_.randint(1, largest)
        joined = combine(Node(value), Node(operand), operation, top)
        if joined is not None:
            chain.append((operation, operand))
            value = joined.value
    prompt = " ".join([f"start {start}", *(f"then {o} {n}" for o, n in chain), ":"])
    return Task("arithmetic", prompt, value, "numeric", {"start": start, "chain": [list(step) for step in chain]})


def demonstrate(random_: random.Random, task: Task) -> str:
    """Every intermediate value, then the answer."""
    value, parts = task.facts["start"], list[str]()
    for operation, operand in task.facts["chain"]:
        joined = combine(Node(value), Node(operand), operation, 99)
        if joined is None:
            raise TaskError(f"arithmetic: {task.prompt!r} leaves the whole numbers 0 to 99")
        parts.append(joined.write(values=True))
        value = joined.value
    return f"{' then '.join(parts)} answer {value}"


def gold(task: Task) -> str:
    return f"answer {task.answer}"


def decoys(task: Task) -> Mapping[str, str]:
    """Answers that look right and are not."""
    n = task.answer
    return {
        "empty": "",
        "prompt echo": task.prompt,
        "off by one": f"answer {n + 1}",
        "hedge with two answers": f"answer {n} or {n + 1}",
        "hedge with all options": "answer " + " ".join(map(str, range(100))),
        "right value, wrong form": f"answer {n} = {n}",
        "sign flipped": f"answer -{n + 1}",
        "look-alike digits": f"answer {str(n).translate(str.maketrans('0123456789', '٠١٢٣٤٥٦٧٨٩'))}",
    }


families.put("arithmetic", Family(draw, gold, decoys, demonstrate, step="then"), summary=__doc__)
