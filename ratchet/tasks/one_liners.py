"""One-liners: a small function of two whole numbers in words, to be written in a programming language.

`x add 3 times y rest 5 :` asks for `each(lambda x,y: ( ( x + 3 ) * y ) % 5 )` in Python. A program is judged by what it prints for
the twelve pairs of `PAIRS`, the same for all tasks, so that one execution of a text serves all of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ratchet.core.errors import TaskError, nearest
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families

PAIRS = ((0, 1), (1, 0), (2, 7), (3, 3), (5, 2), (7, 11), (8, 4), (12, 9), (13, 17), (16, 13), (19, 6), (20, 20))
INPUT = "".join(f"{x} {y}\n" for x, y in PAIRS)
LARGEST = 9_999
NUMBERS = 20
Step = tuple[str, str]
"""A word and its operand, a number or a variable."""

WORDS = ("add", "minus", "from", "times", "rest", "over", "least", "most")


@dataclass(frozen=True)
class Spelling:
    """How a language writes the function: what stands before and behind it, and each step on a value `a` and an operand `b`.
    Words are divided by blanks. `before` is put before the program; it defines `each`."""

    head: str
    tail: str
    steps: Mapping[str, str]
    before: str


def steps_of(**own: str) -> dict[str, str]:
    return {"add": "{a} + {b}", "minus": "{a} - {b}", "from": "{b} - {a}", "times": "{a} * {b}", **own}


SPELLINGS = {
    "python": Spelling(
        "each(lambda x,y:",
        ")",
        steps_of(rest="{a} % {b}", over="{a} // {b}", least="max ( {a} , {b} )", most="min ( {a} , {b} )"),
        "import sys\ndef each(f):\n    for line in sys.stdin:\n        print(f(*map(int, line.split())))\n",
    ),
    "lua": Spelling(
        "each(function(x,y)return",
        "end)",
        steps_of(
            rest="{a} % {b}",
            over="{a} // {b}",
            least="math.max ( {a} , {b} )",
            most="math.min ( {a} , {b} )",
        ),
        "function each(f)\n  for x, y in io.read('a'):gmatch('(%d+) (%d+)') do print((f(tonumber(x), tonumber(y)))) end\nend\n",
    ),
    "ocaml": Spelling(
        "let()=each@@fun(x:int)(y:int)->",
        "",
        steps_of(rest="{a} mod {b}", over="{a} / {b}", least="max {a} {b}", most="min {a} {b}"),
        "let each f = try while true do Scanf.scanf \" %d %d\" (fun x y -> print_int (f x y); print_char '\\n') done "
        "with End_of_file -> ()\n",
    ),
}


def draw(random_: random.Random, *, language: str = "python", steps: int = 3) -> Task:
    """A function of up to `steps` steps. Whole division and its rest are only asked of values that are never negative, where
    all languages agree; no function is one of its variables, or prints fewer than four different values."""
    if language not in SPELLINGS:
        raise TaskError(f'one-liners: language "{language}" is not known here; {nearest(language, SPELLINGS)}')
    if steps < 2:
        raise TaskError(f"one-liners: steps={steps}; it must be at least 2")
    while True:
        start = random_.choice("xy")
        path = [step(random_) for _ in range(random_.randint(2, steps))]
        values = outputs(start, path)
        if values and len(set(values)) >= 4 and values not in ([x for x, _ in PAIRS], [y for _, y in PAIRS]):
            return task_of(start, path, values, language)


def step(random_: random.Random) -> Step:
    word = random_.choice(WORDS)
    low, high = {"times": (2, 5), "rest": (2, 9), "over": (2, 5), "least": (2, 20), "most": (2, 20)}.get(word, (1, 9))
    number = str(random_.randint(low, high))
    return word, random_.choice("xy") if word not in ("rest", "over") and random_.random() < 0.4 else number


def outputs(start: str, path: Sequence[Step]) -> list[int] | None:
    """The values for all pairs; None where one is too large, or a negative one is divided."""
    found: list[int] = []
    for x, y in PAIRS:
        names = {"x": x, "y": y}
        a = names[start]
        for word, operand in path:
            b = names.get(operand) if operand in names else int(operand)
            if word in ("rest", "over") and a < 0:
                return None
            a = OF[word](a, b)
            if abs(a) > LARGEST:
                return None
        found.append(a)
    return found


OF = {
    "add": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "from": lambda a, b: b - a,
    "times": lambda a, b: a * b,
    "rest": lambda a, b: a % b,
    "over": lambda a, b: a // b,
    "least": max,
    "most": min,
}


def task_of(start: str, path: Sequence[Step], values: Sequence[int], language: str) -> Task:
    prompt = " ".join([start, *(f"{word} {operand}" for word, operand in path), ":"])
    answer = "".join(f"{v}\n" for v in values)
    facts = {
        "language": language, "before": SPELLINGS[language].before, "tests": [{"input": INPUT, "output": answer}],
        "start": start, "path": [list(s) for s in path],
    }  # fmt: skip
    return Task("one-liners", prompt, answer, "code", facts, identity=prompt, cluster=answer)


def written(start: str, path: Sequence[Step], steps: Mapping[str, str], parentheses: bool = True) -> str:
    """The function's body, with parentheses around whatever is more than one word."""
    body = start
    for word, operand in path:
        body = steps[word].format(a=f"( {body} )" if parentheses and " " in body else body, b=operand)
    return body


def gold(task: Task) -> str:
    return program(task, written(task.facts["start"], task.facts["path"], SPELLINGS[task.facts["language"]].steps))


def program(task: Task, body: str) -> str:
    spelling = SPELLINGS[task.facts["language"]]
    return f"{spelling.head} {body} {spelling.tail}".strip()


def demonstrate(random_: random.Random, task: Task) -> str:
    return gold(task)


def decoys(task: Task) -> Mapping[str, str]:
    body = written(task.facts["start"], task.facts["path"], SPELLINGS[task.facts["language"]].steps)
    return {"empty": "", "prompt echo": task.prompt, "off by one": program(task, f"( {body} ) + 1")}


def words(language: str) -> list[str]:
    """What prompts and programs of a language are made of, and what somebody may write who is used to Python."""
    spelling = SPELLINGS[language]
    steps = (*spelling.steps.values(), *SPELLINGS["python"].steps.values())
    code = {w for text in steps for w in text.split() if w not in ("{a}", "{b}")} | {"(", ")"}
    return [
        *dict.fromkeys(
            [*WORDS, ":", "x", "y", *map(str, range(NUMBERS + 1)), *sorted(code), *spelling.head.split(), *spelling.tail.split()]
        )
    ]


families.put("one-liners", Family(draw, gold, decoys, demonstrate, step=4), summary=__doc__)
