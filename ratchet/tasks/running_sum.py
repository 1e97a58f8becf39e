"""A running sum over turns: each turn names words of a given dictionary, whose numbers are added to the sum so far.

`apple:+3 bread:-2 start 5 then apple then bread :` has the trace `apple +3 8 then bread -2 6 answer 6`. Plan and
knowledge are given, so that what is left is to execute (arXiv 2509.09677). The same task is played turn by turn by
`play`: the agent is given `apple`, replies `+3 8`, is given `bread`, and so on, with its own replies in its context.
The sum stays between 0 and a largest value, so that a small model can have a token for each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families

WORDS = [
    "apple",
    "bread",
    "chair",
    "dance",
    "eagle",
    "flame",
    "grape",
    "house",
    "ivory",
    "jelly",
    "knife",
    "lemon",
    "music",
    "night",
    "ocean",
    "paper",
    "queen",
    "river",
    "stone",
    "table",
    "uncle",
    "voice",
    "water",
    "youth",
]

Reply = Callable[[Sequence[str]], Sequence[str]]
"""What an agent replies to each of some contexts."""


def draw(
    random_: random.Random, *, turns: int = 8, per_turn: int = 1, entries: int = 6, largest: int = 5, most: int = 30
) -> Task:
    """`turns` turns of `per_turn` words of a dictionary of `entries`, whose numbers are -`largest` to `largest` without 0.

    The sum lies in [0, `most`] after every word.
    """
    if turns < 1 or per_turn < 1 or not 2 <= entries <= len(WORDS) or largest < 1 or most < 2 * largest:
        raise TaskError(
            f"running-sum: turns={turns}, per_turn={per_turn}, entries={entries}, largest={largest}, most={most}; "
            f"entries must be 2 to {len(WORDS)}, most at least twice largest, the others at least 1"
        )
    numbers = values(largest)
    while True:  # with both signs there is always a word that keeps the sum in its range
        dictionary = {w: random_.choice(numbers) for w in random_.sample(WORDS[:entries], entries)}
        if min(dictionary.values()) < 0 < max(dictionary.values()):
            break
    total = start = random_.randint(0, most)
    plan: list[list[str]] = []
    for _ in range(turns):
        plan.append([])
        for _ in range(per_turn):
            word = random_.choice([w for w, v in dictionary.items() if 0 <= total + v <= most])
            plan[-1].append(word)
            total += dictionary[word]
    return task_of(dictionary, start, plan, most)


def task_of(dictionary: Mapping[str, int], start: int, plan: Sequence[Sequence[str]], most: int) -> Task:
    """The task of a dictionary, a start and the words of each turn. The order of the dictionary does not matter."""
    total, sums = start, list[int]()
    for turn in plan:
        total += sum(dictionary[w] for w in turn)
        sums.append(total)
    facts = {"dictionary": dict(dictionary), "start": start, "turns": [list(t) for t in plan], "sums": sums, "most": most}
    steps = " ".join(f"then {' '.join(turn)}" for turn in plan)
    identity = f"{sorted(dictionary.items())} {start} {steps}"
    task = Task("running-sum", "", total, "numeric", facts, identity)
    return replace(task, prompt=f"{opening(task)} {steps} :")


def values(largest: int) -> list[int]:
    """The numbers that a dictionary can hold."""
    return [v for v in range(-largest, largest + 1) if v]


def vocabulary(entries: int, largest: int, most: int) -> list[str]:
    """Every word of such tasks, their traces and their replies, for a tokenizer of whole words."""
    numbers = [f"{v:+d}" for v in values(largest)]
    pairs = [f"{w}:{v}" for w in WORDS[:entries] for v in numbers]
    return ["start", "then", ":", "answer", *WORDS[:entries], *pairs, *numbers, *map(str, range(most + 1))]


# ---- turn by turn ------------------------------------------------------------------------------------------------


def opening(task: Task) -> str:
    """The dictionary and the start: what stands before the first turn."""
    pairs = " ".join(f"{w}:{v:+d}" for w, v in task.facts["dictionary"].items())
    return f"{pairs} start {task.facts['start']}"


def right_reply(task: Task, turn: int) -> str:
    """The numbers of the turn's words, and the sum."""
    numbers = " ".join(f"{task.facts['dictionary'][w]:+d}" for w in task.facts["turns"][turn])
    return f"{numbers} {task.facts['sums'][turn]}"


def context(task: Task, replies: Sequence[str]) -> str:
    """What an agent sees that has replied so often: the opening, the turns so far, and the words of the next turn."""
    turns = [" ".join(words) for words in task.facts["turns"]]
    spoken = [part for given, reply in zip(turns, [*replies, ""]) for part in (given, reply) if part]  # to the shorter one
    return " ".join([opening(task), *spoken])


def stated(reply: str) -> int | None:
    """The sum that a reply states: its last word; None where that is no whole number without a sign."""
    words = reply.split()
    return int(words[-1]) if words and words[-1].isascii() and words[-1].isdecimal() else None


def play(tasks: Sequence[Task], reply: Reply) -> list[list[int | None]]:
    """The sums that an agent states in every turn of every task, (tasks, turns), with its own replies as its history.

    All tasks are played side by side: `reply` gets one context for each. TaskError where they differ in turns.
    """
    lengths = {len(t.facts["turns"]) for t in tasks}
    if len(lengths) != 1:
        raise TaskError(f"running-sum: tasks that are played side by side need the same number of turns, got {sorted(lengths)}")
    said: list[list[str]] = [[] for _ in tasks]
    for _ in range(lengths.pop()):
        answers = reply([context(task, mine) for task, mine in zip(tasks, said)])
        for mine, answer in zip(said, answers, strict=True):
            mine.append(answer)
    return [[stated(r) for r in mine] for mine in said]


def turns_right(task: Task, sums: Sequence[int | None]) -> list[bool]:
    """Of each turn, whether the stated sum is the true one."""
    return [said == true for said, true in zip(sums, task.facts["sums"], strict=True)]


def steps_right(task: Task, sums: Sequence[int | None]) -> list[bool]:
    """Of each turn, whether the stated sum is the one stated before it, right or wrong, and what the turn adds."""
    before = [task.facts["start"], *sums[:-1]]
    adds = [sum(task.facts["dictionary"][w] for w in turn) for turn in task.facts["turns"]]
    return [a is not None and b == a + add for a, b, add in zip(before, sums, adds, strict=True)]


def with_errors(random_: random.Random, task: Task, turns: int, rate: float) -> list[str]:
    """Right replies to the first `turns` turns, in which each sum but the last is with chance `rate` another one.

    Wrong sums are uniform over [0, most]. The last is always true: what the next turn needs stands in the context, and
    the sums before it have no bearing on it.
    """
    if not 0 <= rate <= 1 or not 1 <= turns <= len(task.facts["turns"]):
        raise TaskError(f"running-sum: a rate of {rate} over {turns} turns of {len(task.facts['turns'])}")
    replies = [right_reply(task, turn) for turn in range(turns)]
    for turn in range(turns - 1):
        if random_.random() < rate:
            true = task.facts["sums"][turn]
            wrong = random_.choice([s for s in range(task.facts["most"] + 1) if s != true])
            replies[turn] = f"{replies[turn].rpartition(' ')[0]} {wrong}"
    return replies


def with_another_past(random_: random.Random, task: Task, turns: int) -> Task:
    """The task with all before its turn number `turns` drawn anew, and a start from which the same sums follow.

    A history without errors and of the same length: what a rewritten one is compared with.
    """
    if not 1 <= turns <= len(task.facts["turns"]):
        raise TaskError(f"running-sum: {turns} turns of {len(task.facts['turns'])}")
    dictionary, plan, most = task.facts["dictionary"], task.facts["turns"], task.facts["most"]
    kept = plan[turns - 1 :]
    total = task.facts["sums"][turns - 1] - sum(dictionary[w] for w in kept[0])
    past: list[list[str]] = []
    for turn in reversed(plan[: turns - 1]):  # backwards from the sum that must come out
        drawn: list[str] = []
        for _ in turn:
            word = random_.choice([w for w, v in dictionary.items() if 0 <= total - v <= most])
            drawn.append(word)
            total -= dictionary[word]
        past.append(drawn[::-1])
    return task_of(dictionary, total, [*past[::-1], *kept], most)


# ---- the family --------------------------------------------------------------------------------------------------


def demonstrate(random_: random.Random, task: Task) -> str:
    """Every turn's words with their numbers and the sum, then the answer."""
    turns = [f"{' '.join(words)} {right_reply(task, i)}" for i, words in enumerate(task.facts["turns"])]
    return f"{' then '.join(turns)} answer {task.answer}"


def gold(task: Task) -> str:
    return f"answer {task.answer}"


def decoys(task: Task) -> Mapping[str, str]:
    """Answers that look right and are not."""
    n, sums = task.answer, [task.facts["start"], *task.facts["sums"]]
    found = {
        "empty": "",
        "prompt echo": task.prompt,
        "off by one": f"answer {n + 1}",
        "hedge with two answers": f"answer {n} or {n + 1}",
        "hedge with all options": "answer " + " ".join(map(str, range(task.facts["most"] + 1))),
        "right value, wrong form": f"answer {n} = {n}",
        "look-alike digits": f"answer {str(n).translate(str.maketrans('0123456789', '٠١٢٣٤٥٦٧٨٩'))}",
    }
    return found | ({"one turn too few": f"answer {sums[-2]}"} if sums[-2] != n else {})


families.put("running-sum", Family(draw, gold, decoys, demonstrate, step="then"), paper="arXiv 2509.09677", summary=__doc__)
