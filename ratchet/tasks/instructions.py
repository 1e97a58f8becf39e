"""Instructions whose following a program checks: a text about a subject, under a few constraints, as in IFEval (arXiv 2311.07911).

Each task has its length in words or sentences and one or two more constraints of layout or wording. The gold text is put together
to satisfy them; each decoy breaks one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families

SUBJECTS = """a harbour at night|a train that is late|an old clock|the first snow|a garden in spring|a lost key|a mountain hut|
the market square|a letter that came back|a bridge of stone|rain on a roof|a bakery before dawn|the last bus|a walk by the river|
a lighthouse|a small library|an empty theatre|the school yard|a broken radio|a field of wheat|the ferry|a quiet street|a red kite|
a winter coat|the top shelf|a bowl of soup|a chess game|a summer storm|the village well|a night at sea"""
NAMES = "window lamp river stone garden winter letter bridge music silver corner silence basket candle ladder mirror"
SENTENCE = "we saw it there and then it went on as before so that all was well again in time"
KEYWORDS, WORDS = NAMES.split(), SENTENCE.split()
ENDINGS = ("That is all.", "So it was.", "And nothing more.")


@dataclass(frozen=True)
class Kind:
    """A constraint that tasks draw: `arguments(random)`, how it is said, how a text is made to satisfy and to break it."""

    arguments: Callable[[random.Random], dict[str, Any]]
    say: Callable[[Mapping[str, Any]], str]
    satisfy: Callable[[str, Mapping[str, Any]], str]
    break_it: Callable[[str, Mapping[str, Any]], str]


def without(_: random.Random) -> dict[str, Any]:
    return {}


KINDS: dict[str, Kind] = {
    "include": Kind(
        lambda r: {"keywords": sorted(r.sample(KEYWORDS, 2))},
        lambda a: f"Use the words {' and '.join(a['keywords'])}.",
        lambda text, a: f"{' '.join(a['keywords'])} {text}",
        lambda text, a: text.replace(a["keywords"][0], "thing"),
    ),
    "exclude": Kind(
        lambda r: {"keywords": [r.choice(KEYWORDS)]},
        lambda a: f"Do not use the word {a['keywords'][0]}.",
        lambda text, a: text,
        lambda text, a: f"{a['keywords'][0]} {text}",
    ),
    "no-commas": Kind(
        without, lambda a: "Use no commas.", lambda text, a: text.replace(",", ""), lambda text, a: text.replace(" ", ", ", 1)
    ),
    "ends": Kind(
        lambda r: {"phrase": r.choice(ENDINGS)},
        lambda a: f'End with exactly these words: "{a["phrase"]}"',
        lambda text, a: f"{text}\n{a['phrase']}",
        lambda text, a: f"{text} Or not.",
    ),
    "title": Kind(
        without,
        lambda a: "Give it a title between double angle brackets, such as <<a title>>.",
        lambda text, a: f"<<it>>\n{text}",
        lambda text, a: text.replace("<<", "<").replace(">>", ">"),
    ),
    "bullets": Kind(
        lambda r: {"count": r.randint(2, 6)},
        lambda a: f"It must hold exactly {a['count']} bullet points, each a line that begins with an asterisk.",
        lambda text, a: "\n".join([text, *(["* it was there"] * a["count"])]),
        lambda text, a: text.replace("* it was there", "it was there", 1),
    ),
}  # fmt: skip
ORDER = tuple(KINDS)  # in which a gold text is put together: what ends it comes last
CLASH = frozenset({"ends", "bullets"})


def draw(random_: random.Random, *, extra: int = 2, shortest: int = 10, longest: int = 60) -> Task:
    """A subject, a least number of words from `shortest` to `longest`, and `extra` other constraints."""
    if not 1 <= extra <= 4 or not 1 <= shortest <= longest <= 400:
        raise TaskError(
            f"instructions: extra={extra}, shortest={shortest}, longest={longest}; extra must be 1 to 4 and 1 <= shortest <= longest <= 400"
        )
    subject = random_.choice(SUBJECTS.replace("\n", "").split("|"))
    names = sorted(random_.sample(ORDER, extra), key=ORDER.index)
    if set(names) >= CLASH:
        names.remove("bullets")
    rows: list[dict[str, Any]] = [{"name": "words", "least": random_.randint(shortest, longest)}]
    rows += [{"name": n, **KINDS[n].arguments(random_)} for n in names]
    clashes = {k for r in rows if r["name"] == "exclude" for k in r["keywords"]}
    for row in rows:
        if row["name"] == "include":
            row["keywords"] = [k for k in row["keywords"] if k not in clashes] or [next(k for k in KEYWORDS if k not in clashes)]
    return Task("instructions", prompt_of(subject, rows), "", "constraints", {"constraints": rows})


def prompt_of(subject: str, rows: Sequence[Mapping[str, Any]]) -> str:
    said = [f"Write about {subject} in at least {rows[0]['least']} words."]
    return " ".join([*said, *(KINDS[r["name"]].say(r) for r in rows[1:])])


def gold(task: Task) -> str:
    least, *rows = task.facts["constraints"]
    text = " ".join(WORDS[i % len(WORDS)] for i in range(least["least"]))
    for row in rows:
        text = KINDS[row["name"]].satisfy(text, row)
    return text


def decoys(task: Task) -> Mapping[str, str]:
    """The gold with one constraint broken, for each; and texts that follow nothing."""
    right = gold(task)
    rows = task.facts["constraints"][1:]
    broken = {f"breaks {row['name']}": KINDS[row["name"]].break_it(right, row) for row in rows}
    return {"empty": "", "too short": "it was so", "blank": " \n ", "prompt echo": task.prompt, **broken}


families.put("instructions", Family(draw, gold, decoys), paper="arXiv 2311.07911", summary=__doc__)
