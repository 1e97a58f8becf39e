"""Curricula: shares by hand, laws in a simulated school for every one, and broken curricula caught."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from statistics import fmean

import pytest

from ratchet.core.errors import RecipeError
from ratchet.core.seeds import rng
from ratchet.learn.curricula import Curriculum, History, Shares, choose, curricula, learnability, with_floor

CURRICULA = {e.name: e.value for e in curricula}
RATES = {"mastered": 1.0, "easy": 0.8, "half": 0.5, "hard": 0.15, "unsolvable": 0.0}
STEPS, TASKS, SAMPLES = 400, 4, 8


def school(curriculum: Curriculum) -> list[Shares]:
    """The shares at each of many steps, in which groups of samples are drawn from sources whose rates of success stay."""
    history, log = History(list(RATES)), list[Shares]()
    for step in range(STEPS):
        shares = curriculum(history)
        log.append(shares)
        for task in range(TASKS):
            source, random = choose(shares, "school", step, task), rng("school", step, task)
            history.add(source, [float(random.random() < RATES[source]) for _ in range(SAMPLES)])
    return log


def law_shares_are_shares(log: list[Shares]) -> bool:
    return all(list(s) == list(RATES) and min(s.values()) >= 0 and math.isclose(sum(s.values()), 1) for s in log)


def law_no_source_is_starved(log: list[Shares]) -> bool:
    """In either half of the school each source is drawn from, unless that has a chance below one in a thousand."""
    halves = (log[: STEPS // 2], log[STEPS // 2 :])
    return all(math.prod((1 - s[name]) ** TASKS for s in half) < 1e-3 for half in halves for name in RATES)


def law_what_teaches_nothing_gets_less(log: list[Shares]) -> bool:
    """The mastered and the unsolvable source get below half of an even share in the second half of the school."""
    later = log[STEPS // 2 :]
    return all(fmean(s[name] for s in later) < 0.5 / len(RATES) for name in ("mastered", "unsolvable"))


@pytest.mark.parametrize("name", CURRICULA)
def test_every_curriculum_keeps_its_laws(name: str) -> None:
    log = school(CURRICULA[name])
    assert law_shares_are_shares(log) and law_no_source_is_starved(log)
    if name not in ("uniform", "easy-to-hard"):  # those that do not look at what came of it
        assert law_what_teaches_nothing_gets_less(log)
        mean = {s: fmean(shares[s] for shares in log) for s in RATES}
        assert mean["half"] > max(mean["mastered"], mean["unsolvable"])


def rewarded(history: History) -> Shares:
    """Broken: the source with the highest reward is drawn from, as a bandit on rewards would."""
    means = {s: fmean([r for g in history.groups.get(s, [[1.0]]) for r in g]) for s in history.sources}
    best = max(means, key=lambda s: means[s])
    return {s: float(s == best) for s in means}


def test_the_laws_catch_broken_curricula() -> None:
    log = school(rewarded)
    assert law_shares_are_shares(log) and not law_no_source_is_starved(log) and not law_what_teaches_nothing_gets_less(log)
    assert not law_no_source_is_starved(school(lambda h: CURRICULA["dump"](h, bonus=0.0))), "the bonus keeps a source alive"
    assert not law_what_teaches_nothing_gets_less(school(CURRICULA["uniform"]))
    assert not law_shares_are_shares(school(lambda h: dict.fromkeys(h.sources, 0.5)))


def test_dump_golden() -> None:
    """Two sources by hand: one task with advantages of 1, and three whose samples are even."""
    history = History(["a", "b"])
    assert CURRICULA["dump"](history) == {"a": 0.5, "b": 0.5}
    history.add("a", [1, 0, 0, 1])
    for _ in range(3):
        history.add("b", [1, 1, 1, 1])
    assert learnability([[1, 0, 0, 1]]) == 1.0 and learnability([[1, 1], [0, 0]]) == 0.0 == learnability([])
    assert learnability([[1, 0, 0, 0]]) == pytest.approx(2 * math.sqrt(0.25 * 0.75))
    gap = 1 + math.sqrt(2 * math.log(5) / 2) - math.sqrt(2 * math.log(5) / 4)
    assert CURRICULA["dump"](history, temperature=1.0)["a"] == pytest.approx(1 / (1 + math.exp(-gap)))
    old = History(["a", "b"], {"a": [[1, 0], *[[1, 1]] * 150]})
    assert learnability(old.latest("a", 300)) == 0.0 < learnability(old.latest("a", 302))


def test_the_others_golden() -> None:
    history = History(["a", "b", "c", "d"])
    assert CURRICULA["easy-to-hard"](history, samples=16, floor=0.2) == pytest.approx(
        {"a": 0.85, "b": 0.05, "c": 0.05, "d": 0.05}
    )
    for s, rewards in (("a", [1.0] * 40), ("b", [1.0, 0.0] * 20), ("c", [0.0] * 40)):
        history.add(s, [*rewards, math.nan])
    assert history.drawn("a") == 40
    assert CURRICULA["success-band"](history, floor=0.0) == {"a": 0, "b": 0.5, "c": 0, "d": 0.5}, "d is not known yet"
    late = CURRICULA["easy-to-hard"](history, samples=160, floor=0.0)
    assert late == {"a": 0, "b": 0, "c": 0, "d": 1} == CURRICULA["easy-to-hard"](history, samples=10, floor=0.0)
    assert CURRICULA["thompson"](history) == CURRICULA["thompson"](history)
    assert with_floor({"a": 0.0, "b": 0.0}, 0.1) == {"a": 0.5, "b": 0.5}
    counts = Counter(choose({"a": 0.25, "b": 0.75}, "x", i) for i in range(2_000))
    assert 400 < counts["a"] < 600


def test_wrong_sources_are_said() -> None:
    with pytest.raises(RecipeError, match='no source "c" in this curriculum; allowed: a, b'):
        History(["a", "b"]).add("c", [1.0])
    with pytest.raises(RecipeError, match="different names"):
        History(["a", "a"])


def test_curricula_need_no_torch() -> None:
    code = "import sys; import ratchet.learn.curricula; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
