"""Big-Math's study: what is planted, that its scores see broken filters and rewriters, and that its pools are what they are said to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ratchet.core.seeds import rng
from ratchet.core.types import Task
from ratchet.data.filters import Drop, Filter, Row, filters
from ratchet.studies import big_math, curation_faults
from ratchet.studies.curated_pool import KEPT, pool, pools, prompt_of, stories, tasks_of
from ratchet.studies.template_faults import stream, svamp_families
from ratchet.tasks.runs import runs, words_of

ITEMS, AGAINST = stream(901, 45, 4)


def broken(monkeypatch: pytest.MonkeyPatch, name: str, find: Any) -> None:
    """Puts another function for a filter, until the test ends."""
    entry = filters.entry(name)
    monkeypatch.setitem(filters._entries, name, replace(entry, value=Filter(find, filters[name].decoys)))  # pyright: ignore


def scores(name: str) -> tuple[float, float]:
    [found] = [r for r in curation_faults.score(ITEMS, AGAINST, {}) if r["filter"] == name]
    return found["recall"]["value"], found["precision"]["value"]


def test_scores_see_a_filter_that_finds_nothing_and_one_that_drops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scores("link") == (1.0, 1.0)
    broken(monkeypatch, "link", lambda row: None)
    assert scores("link")[0] == 0.0
    broken(monkeypatch, "link", lambda row: Drop("whatever"))
    recall, precision = scores("link")
    assert recall == 1.0 and precision < 0.2


def test_each_kind_is_planted_as_often_and_leaks_are_leaks() -> None:
    for name in big_math.FILTERS:
        assert sum(name in i.faults for i in ITEMS) >= 4, name
    held = {run for row in AGAINST for run in runs(row.words, 8)}
    leaks = [i for i in ITEMS if "leak" in i.faults]
    assert leaks and all(held & set(runs(i.row.words, 8)) for i in leaks)
    places = {i.row.where: n for n, i in enumerate(ITEMS)}
    assert all(places[i.twin] < places[i.row.where] for i in ITEMS if i.twin)


def test_families_keep_apart_what_shares_a_story() -> None:
    families = svamp_families()
    assert sum(map(len, families)) == 400
    seen: dict[tuple[str, ...], int] = {}
    for n, family in enumerate(families):
        for row in family:
            assert all(seen.setdefault(run, n) == n for run in runs(words_of(row.question), 10))


def guess_after(rows: Sequence[tuple[Row, str]]) -> float:
    return max(curation_faults.reformulated("some", rows)["blind_by_guess"].values())


def test_a_rewriter_that_leaves_letters_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    random = rng("test of choices")
    rows = [r for i in range(40) if (r := curation_faults.four_options(random, f"What is {i} + {3 * i}?", str(4 * i)))]
    assert guess_after(rows) < 0.1
    monkeypatch.setattr(curation_faults, "opened", lambda row: replace(row, options=(), facts={"options": ["1", "2", "3", "4"]}))
    assert guess_after(rows) > 0.2


def test_fifths_order_by_rates_and_not_by_a_lot() -> None:
    rates = {str(i): i / 50 for i in range(50)}
    other = {k: v**2 for k, v in rates.items()}
    assert big_math.spearman(range(5), big_math.quintiles(rates, other)) == 1
    turned = {k: -v for k, v in rates.items()}
    assert big_math.spearman(range(5), big_math.quintiles(turned, other)) == -1
    assert big_math.spearman(range(5), big_math.quintiles(dict.fromkeys(rates, 0.5), dict.fromkeys(rates, 0.5))) == 0


def made(rate: Mapping[str, float]) -> dict[str, list[Task]]:
    """The pools where tasks of a right answer are solved at one rate and those of a wrong one at another."""
    right = {prompt_of(s.question): str(s.answer) for s in stories(100, 901, "pool")}

    def measure(tasks: Sequence[Task]) -> dict[str, tuple[int, int]]:
        return {t.key: (20, round(20 * rate["right" if right.get(t.prompt) == t.answer else "wrong"])) for t in tasks}

    return pools(901, pool(901, 100), measure, lambda text: None)


def test_pools_hold_what_they_are_said_to_hold() -> None:
    good = {t.key for t in tasks_of([i for i in pool(901, 100) if not i.faults])}
    found = made({"right": 0.5, "wrong": 0.0})
    assert len(good) == 80 and {t.key for t in found["oracle"]} == good
    assert {t.key for t in found["curated"]} <= good and len(found["curated"]) > 70, "what nobody solves is gone"
    assert len(found["placebo"]) == len(found["curated"]) and not {t.key for t in found["placebo"]} <= good
    assert 5 <= sum(t.key not in good for t in found["filters alone"]) <= 15, "filters do not see that an answer is wrong"
    careless = made({"right": 0.5, "wrong": 0.5})["curated"]
    assert sum(t.key not in good for t in careless) >= 5, "rates that say nothing leave what is wrong"
    assert KEPT[1] < 1 and made({"right": 1.0, "wrong": 0.0})["curated"] == []
