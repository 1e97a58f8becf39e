"""Big-Math: do rules find what makes a question unfit, and is a small model better trained on what they leave?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING

from ratchet.core.seeds import rng
from ratchet.core.types import Estimate, Task, Trace, Verdict
from ratchet.report.chart import Axis, Series, estimated, line_chart, percent, whole
from ratchet.studies.curated_pool import LEVELS, Story, draw, pool, pools, stories, task_of, vocabulary
from ratchet.studies.curation_faults import four_options, pipeline, purity, reformulated, score
from ratchet.studies.curation_wordings import FORMS
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, over_seeds, register
from ratchet.studies.template_faults import KINDS, SET_KINDS, stream
from ratchet.studies.template_problems import PLAIN, questions

if TYPE_CHECKING:
    from ratchet.models.engine import Policy

NAME = "big-math"
FILTERS = (*KINDS, *SET_KINDS)
CLEAN, EACH = 900, 100  # 2,000 items
CHOICES = 100
MEASURED, ROLLOUTS = 200, 64  # stories of which solve rates order the other model's accuracy, and samples of each
PRIMING, EXAMPLES = (260, 60), 64  # updates without slips and with them, and stories in one
PRIMING_RATE, PRIMING_MUON = 4e-3, 0.02
POOL, SAMPLED = 800, 16  # rows, and samples of each for its solve rate
UPDATES, RATE = 60, 4e-4
TASKS, SAMPLES = 16, 8
HELD, DRAWS, EVERY = 300, 4, 20  # held-out stories, samples of each at a look, updates between two looks
ARMS = ("uncurated", "curated", "placebo", "filters alone", "oracle")


# ---- filters and open questions ------------------------------------------------------------------------------------


def filtered(seed: int, clean: int, each: int) -> Result:
    """Each filter on a stream with planted faults, and what all together leave."""
    items, against = stream(seed, clean, each)
    found = {r["filter"]: r for r in score(items, against, {})}
    left = purity(items, pipeline(items, against))
    return {
        "recall": {n: found[n]["recall"]["value"] for n in FILTERS},
        "precision": {n: found[n]["precision"]["value"] for n in FILTERS},
        "false leaks": found["leak"]["of_clean"]["value"],
        "purity": left["purity"]["value"],
        "clean kept": left["kept_of_clean"]["value"],
        "left": left["left"],
        "found by wording": {n: found[n]["recall_by_source"] for n in FILTERS},
    }


def opened(seed: int, count: int) -> Result:
    random = rng(NAME, seed, "choices")
    made = (four_options(random, q, a) for q, a in questions(random, PLAIN))
    found = reformulated("arithmetic", list(islice((m for m in made if m), count)))
    return {
        "preserved": found["preserved_of_all"]["value"],
        "blind before": found["blind_before"],
        "blind after": max(found["blind_by_guess"].values()),
        "blind by guess": found["blind_by_guess"],
        "refused": found["refused"],
    }


# ---- small models --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=100_000)
def verdict(answer: str, text: str) -> Verdict:
    from ratchet.verify.verifier import verifiers

    return verifiers["math"](Task("stories", "", answer, "math"), text)


def judge(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    """By the verifier of mathematics, which sees the answer that a task has, right or wrong."""
    return [verdict(task.answer, text) for task, text in pairs]


def primed(seed: int, name: str, updates: Sequence[int]) -> Policy:
    """A new model of 0.1 million weights that has learned from stories without slips, then from some with."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(vocabulary(), strict=False)
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=192, max_tokens=96
    )
    policy = new_policy(shape, tokenizer, rng(NAME, seed, "weights", name).randrange(2**31), max(LEVELS) + 4, 256)

    def examples(slips: bool, update: int) -> list[Example]:
        random = rng(NAME, seed, "prime", name, int(slips), update)
        shown = [draw(random, random.choice(LEVELS)) for _ in range(EXAMPLES)]
        write: Callable[[Story], str] = lambda s: s.written(random if slips else None)
        return [
            Example(policy.encode(task_of(s).prompt), (*tokenizer.encode(write(s)), tokenizer.end_id)) for s in shown
        ]

    for slips, n in zip((False, True), updates, strict=True):
        imitate(policy, partial(examples, slips), n, PRIMING_RATE, PRIMING_MUON)
    return policy


def sampled(policy: Policy, tasks: Sequence[Task], samples: int, *path: str | int) -> list[Trace]:
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies

    return Scheduler(policy, judge, beside=False).run(strategies["single"], tasks, NAME, *path, samples=samples)


def solve_rates(policy: Policy, tasks: Sequence[Task], samples: int, *path: str | int) -> dict[str, tuple[int, int]]:
    """Samples that were judged, and right ones, by the task's key."""
    from ratchet.loop.lab import solved

    return solved(sampled(policy, tasks, samples, *path))


def accuracy(policy: Policy, tasks: Sequence[Task], *path: str | int) -> float:
    rates = solve_rates(policy, tasks, DRAWS, *path).values()
    return sum(right for _, right in rates) / sum(n for n, _ in rates)


def difficulty(a: Policy, b: Policy, seed: int, count: int, samples: int) -> Result:
    """B's accuracy in the quintiles of A's solve rates, from hard to easy; beside it, in those of a lot."""
    tasks = [task_of(s) for s in stories(count, seed, "difficulty")]
    tasks = list({t.key: t for t in tasks}.values())
    first, second = (
        {k: right / n for k, (n, right) in solve_rates(p, tasks, samples, seed, "rate", name).items()}
        for p, name in ((a, "a"), (b, "b"))
    )
    lot = {t.key: rng(NAME, seed, "lot", t.key).random() for t in tasks}
    within = [[t.key for t in tasks if t.facts["steps"] == level] for level in LEVELS]
    correlations = [spearman([first[k] for k in keys], [second[k] for k in keys]) for keys in within]
    return {
        "by solve rate": quintiles(first, second),
        "by lot": quintiles(lot, second),
        "rates": quintiles(first, first),
        "items": spearman([first[t.key] for t in tasks], [second[t.key] for t in tasks]),
        "items of one length": sum(correlations) / len(correlations),
    }


def quintiles(order: Mapping[str, float], value: Mapping[str, float]) -> list[float]:
    """The mean value of each fifth of the tasks by their order; ties by their keys, which are chance."""
    keys = sorted(order, key=lambda k: (order[k], k))
    parts = [keys[len(keys) * i // 5 : len(keys) * (i + 1) // 5] for i in range(5)]
    return [sum(value[k] for k in part) / len(part) for part in parts]


def ranked(values: Sequence[float]) -> list[float]:
    """Ranks from 0; of ties the mean."""
    return [sum(v < x for v in values) + (sum(v == x for v in values) - 1) / 2 for x in values]


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlation of the ranks; 0 where one of both is even."""
    middle = (len(a) - 1) / 2
    x, y = [r - middle for r in ranked(a)], [r - middle for r in ranked(b)]
    norm = (sum(v * v for v in x) * sum(v * v for v in y)) ** 0.5
    return sum(p * q for p, q in zip(x, y, strict=True)) / norm if norm else 0.0


def trained(policy: Policy, tasks: Sequence[Task], held: Sequence[Task], seed: int, arm: str, updates: int) -> list[Result]:
    """GRPO on a pool; looks at true held-out accuracy, and at the share of groups that taught something."""
    from ratchet.learn.credit import credits, rewards_of, verdict_reward
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner

    learner, method = Learner(policy, lr=RATE, warmup=5), grpo()
    looks: list[Result] = [{"updates": 0, "accuracy": accuracy(policy, held, seed, "held", 0), "teaching": 0.0}]
    teaching = 0
    for update in range(updates):
        drawn = rng(NAME, seed, "draw", update).sample(list(tasks), min(TASKS, len(tasks)))
        if drawn:  # a pool of which nothing is left teaches nothing
            traces = sampled(policy, drawn, SAMPLES, seed, arm, update)
            rewards = rewards_of(traces, verdict_reward)
            teaching += sum(len(set(row)) > 1 for row in rewards)
            learner.update(credits["outcome"](traces, rewards, method.advantage, policy.tokenizer), method)
        if (update + 1) % EVERY == 0 or update == updates - 1:
            taught = teaching / ((update + 1) * max(1, len(drawn)))
            looks.append({"updates": update + 1, "accuracy": accuracy(policy, held, seed, "held", update + 1), "teaching": taught})
    return looks


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare

    prepare(1)
    clean, each, choices = (60, 6, 20) if quick else (CLEAN, EACH, CHOICES)
    priming, count, rollouts, size, updates, many = ((2, 1), 20, 2, 50, 2, 10) if quick else (
        PRIMING, MEASURED, ROLLOUTS, POOL, UPDATES, HELD,
    )  # fmt: skip
    found: Result = {"filters": filtered(seed, clean, each), "open": opened(seed, choices)}
    say(f"purity {found['filters']['purity']:.1%}, blind guesses {found['open']['blind after']:.1%}")
    a, b = (primed(seed, name, priming) for name in ("a", "b"))
    found["difficulty"] = difficulty(a, b, seed, count, rollouts)
    say("accuracy of b by quintiles of a: " + ", ".join(f"{x:.1%}" for x in found["difficulty"]["by solve rate"]))
    arms = pools(seed, pool(seed, size), lambda tasks: solve_rates(a, tasks, 2 if quick else SAMPLED, seed, "pool"), say)
    held = [task_of(s) for s in stories(many, seed, "held")]
    start = snapshot(a)
    found["pools"], found["arms"] = {n: len(t) for n, t in arms.items()}, {}
    for arm in ARMS:
        restore(a, start)
        found["arms"][arm] = trained(a, arms[arm], held, seed, arm, updates)
        say(f"{arm}: " + ", ".join(f"{look['accuracy']:.1%}" for look in found["arms"][arm]))
    return found
