"""Chains of sums and differences told as stories, a pool of them of which a part is wrong or cannot be verified, and its curation.

`Tom has 7 plums, then gets 2, then loses 5. How many are left?` is answered by `9 4 answer 4`. The pool is curated by the code of
`ratchet curate`: all its filters, then solve rates of a model, of which a range is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Task
from ratchet.data.curate import task_row
from ratchet.data.difficulty import Measure, attached, rates, within
from ratchet.data.filters import Row
from ratchet.studies.curation_faults import Item, pipeline, unlike
from ratchet.studies.template_faults import KINDS
from ratchet.tasks.runs import words_of

TOP = 9  # of the values
LEVELS = range(2, 7)  # steps
SHOWN = {1: 8, 2: 6, 3: 4, 4: 2, 5: 2, 6: 2}  # how often a model is taught by stories of so many steps
SLIPS = (0.03, 0.1, 0.2, 0.3, 0.4, 0.5)  # by the place of the step: how often a taught model writes a lot there
NAMES = ("Tom", "Ada", "Ben", "Mia", "Leo", "Eva")
THINGS = ("plums", "coins", "cards", "beads", "shells", "stamps")
WRONG, UNVERIFIABLE = 0.1, 0.1  # of the pool
BAD = ("multiple-choice", "yes-no", "proof", "multi-part", "unparsable")  # kinds of what cannot be verified
KEPT = (0.1, 0.9)  # solve rates, as docs/curation.md has them


@dataclass(frozen=True)
class Story:
    """The steps are signed numbers; the value is known after each."""

    name: str
    thing: str
    start: int
    steps: tuple[int, ...]

    @property
    def question(self) -> str:
        told = "".join(f", then {'gets' if s > 0 else 'loses'} {abs(s)}" for s in self.steps)
        return f"{self.name} has {self.start} {self.thing}{told}. How many are left?"

    @property
    def answer(self) -> int:
        return self.start + sum(self.steps)

    def written(self, random: Random | None = None) -> str:
        """All values and the answer; with chance, slips among them: a lot is written, and it goes on from there."""
        value, values = self.start, list[int]()
        for step, chance in zip(self.steps, SLIPS, strict=False):
            value += step
            if random is not None and (not 0 <= value <= TOP or random.random() < chance):
                value = random.randint(0, TOP)
            values.append(value)
        return f"{' '.join(map(str, values))} answer {value}"


def draw(random: Random, steps: int) -> Story:
    value = start = random.randint(0, TOP)
    taken: list[int] = []
    for _ in range(steps):
        value = random.choice([v for v in range(TOP + 1) if v != value])
        taken.append(value - start - sum(taken))
    return Story(random.choice(NAMES), random.choice(THINGS), start, tuple(taken))


def stories(n: int, *path: Part) -> list[Story]:
    """As many of each level."""
    random = rng("big-math", "stories", *path)
    return [draw(random, LEVELS[i % len(LEVELS)]) for i in range(n)]


def prompt_of(question: str) -> str:
    """As the small model reads it: words without case and punctuation, each step as one, and the usual end as a mark:
    `tom has 7 plums +2 -5 ?`."""
    text = " ".join(words_of(question)).replace("how many are left", "?")
    return re.sub(r"\bthen (gets|loses) (\d)\b", lambda m: f"{'+' if m[1] == 'gets' else '-'}{m[2]}", text)


def task_of(story: Story) -> Task:
    return Task("stories", prompt_of(story.question), str(story.answer), "math", {"steps": len(story.steps)})


def vocabulary() -> list[str]:
    """Of right stories: what stands in other rows alone is read as unknown."""
    told = prompt_of(Story("has", "has", 0, ()).question).split()
    steps = [f"{sign}{n}" for sign in "+-" for n in range(1, TOP + 1)]
    return sorted({*told, *(w.casefold() for w in (*NAMES, *THINGS)), *map(str, range(TOP + 1)), *steps, "answer"})


# ---- the pool --------------------------------------------------------------------------------------------------------------


def pool(seed: int, n: int) -> list[Item]:
    """Rows of which 80 % are right, one in ten has a wrong answer and one in ten cannot be verified."""
    found = stories(n, seed, "pool")
    wrong, other = round(WRONG * n), round(UNVERIFIABLE * n)
    items = [Item(Row(s.question, str(s.answer), where=f"story {i}"), frozenset()) for i, s in enumerate(found[: n - other])]
    random = rng("big-math", seed, "pool")
    for i in random.sample(range(len(items)), wrong):
        items[i] = replace(items[i], row=replace(items[i].row, answer=mistaken(random, found[i])), faults=frozenset({"wrong"}))
    plain: Iterator[tuple[str, str]] = iter([(s.question, str(s.answer)) for s in found[n - other :]] * 2)
    for name in BAD:
        made = unlike(KINDS[name](rng("big-math", seed, "bad", name), plain))
        for i, (question, answer, options, faults, how) in enumerate(islice(made, other // len(BAD))):
            items.append(Item(Row(question, answer, options, f"{name} {i}"), frozenset(faults), how))
    random.shuffle(items)
    return items


def mistaken(random: Random, story: Story) -> str:
    """The answer of somebody who got one step wrong: the wrong way round, left out, or off by one."""
    i = random.randrange(len(story.steps))
    step = story.steps[i]
    return str(story.answer + random.choice([-2 * step, -step, 1, -1]))


def tasks_of(items: Sequence[Item]) -> list[Task]:
    """As `ratchet curate` writes them and a run reads them, with the question as the small model reads it; none twice."""
    rows = [task_row(i.row) for i in items]
    found = [Task("stories", prompt_of(r["prompt"]), r["answer"], r["verifier"], r["facts"]) for r in rows]
    return list({t.key: t for t in found}.values())


def in_range(tasks: Sequence[Task], measure: Measure) -> list[Task]:
    """Those whose solve rate, measured and kept in a file, lies in the range."""
    with TemporaryDirectory() as folder:
        found: Mapping[str, tuple[int, int]] = dict(rates(tasks, measure, "small model", Path(folder) / "solve-rates.jsonl"))
    return [t for t in tasks if within(attached({"facts": dict(t.facts)}, found[t.key]), KEPT)]


def pools(seed: int, items: Sequence[Item], measure: Measure, say: Callable[[str], None]) -> dict[str, list[Task]]:
    """What each arm trains on, and how much of it is good."""
    kept = pipeline(items, [])
    filtered = tasks_of(kept)
    curated = in_range(filtered, measure)
    whole = tasks_of(items)
    found = {
        "uncurated": whole,
        "curated": curated,
        "placebo": rng("big-math", seed, "placebo").sample(whole, len(curated)),
        "filters alone": filtered,
        "oracle": tasks_of([i for i in items if not i.faults]),
    }
    good = {t.key for t in found["oracle"]}
    say("pools: " + ", ".join(f"{n} {len(t)} ({sum(x.key in good for x in t)} good)" for n, t in found.items()))
    return found
