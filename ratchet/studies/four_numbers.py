"""What the studies of coverage share: Countdown with four numbers, where a small model leaves problems unsolved.

With three numbers it finds every answer within a thousand samples (a pilot left none of 100 problems), so that nothing is
out of its reach that reinforcement could bring into it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Split, Task
from ratchet.studies.small_countdown import EXAMPLES, LONGEST
from ratchet.studies.small_countdown import recipe as of_three_numbers
from ratchet.tasks.countdown import demonstrate
from ratchet.tasks.family import Source

if TYPE_CHECKING:
    from ratchet.loop.recipe import Recipe
    from ratchet.models.engine import Policy

Numbers = tuple[int, ...]
"""How many numbers a problem has: one of these by chance, so that (3, 3, 3, 4) gives four in a quarter of the problems."""
KNOWN = 7_000  # training problems that priming draws from; with three numbers there are few more


def problems(numbers: Numbers, split: Split, n: int, *path: Part) -> list[Task]:
    return Source("countdown", "", {"numbers": numbers}).take(split, n, *path)


def taught(
    policy: Policy, tasks: list[Task], tries: int, tokens: int, *path: Part, rate: float = 3e-3, muon: float = 0.02
) -> None:
    """Imitation of about so many tokens of search traces of the tasks, with up to so many attempts each."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    def examples(update: int) -> list[Example]:
        drawn = rng(*path, update).choices(tasks, k=EXAMPLES)
        texts = [demonstrate(rng(*path, update, i), t, tries=tries, longest=LONGEST - 2) for i, t in enumerate(drawn)]
        encode, end = policy.tokenizer.encode, policy.tokenizer.end_id
        return [Example(policy.encode(t.prompt), (*encode(x), end)) for t, x in zip(drawn, texts, strict=True)]

    imitate(policy, examples, max(1, round(tokens / sum(len(e.tokens) for e in examples(0)))), rate, muon)


def recipe(name: str, run_seed: int, numbers: Numbers, turns: int, updates: int) -> Recipe:
    """Reinforcement as the recipe `countdown` has it: 512 samples an update, credit by attempts."""
    from ratchet.loop.recipe import Tasks
    from ratchet.loop.recipes import countdown

    shipped = countdown().reinforcement
    assert shipped is not None
    settings = replace(shipped, turns=turns, updates=updates)
    tasks = Tasks("countdown", knobs={"numbers": numbers})
    return replace(of_three_numbers(name, run_seed, turns, updates), tasks=tasks, reinforcement=settings)
