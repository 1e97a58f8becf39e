"""Mazes, the traces of searches through them, and what the study of them asks of a model."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from ratchet.core.types import Task
from ratchet.studies import meta_cot as study
from ratchet.studies.study import Outcome, judged, studies
from ratchet.tasks import maze_traces
from ratchet.tasks.maze_traces import ANSWER, BACK, a_star, depth_first, right, unsound, way_back, written

MAZES = [maze_traces.draw(Random(i), 5) for i in range(60)]


def searches(task: Task, seed: int) -> list[maze_traces.Steps]:
    f = task.facts
    return [depth_first(Random(seed), f["maze"], f["start"], f["goal"]), a_star(f["maze"], f["start"], f["goal"], f["size"])]


def test_a_maze_joins_all_its_cells_by_one_way_each() -> None:
    for task in MAZES:
        maze = task.facts["maze"]
        assert sum(map(len, maze)) == 2 * (25 - 1)  # a tree has one wall down less than it has cells
        assert all(a in maze[b] for a, near in enumerate(maze) for b in near)
        seen, edge = {0}, [0]
        while edge:
            edge = [n for c in edge for n in maze[c] if n not in seen]
            seen |= set(edge)
        assert len(seen) == 25


def test_a_prompt_says_where_each_cell_is_open() -> None:
    # 0 1
    # 2 3   with walls between 0 and 2 alone
    assert [maze_traces.opened(c, near, 2) for c, near in enumerate(((1,), (0, 3), (3,), (1, 2)))] == ["E", "SW", "E", "NW"]
    assert set(MAZES[0].prompt.split()) <= set(maze_traces.words(5))


def test_traces_are_searches_and_end_in_the_right_answer() -> None:
    for i, task in enumerate(MAZES):
        for write in study.ARMS.values():
            assert right(task, write(Random(i), task))
        for write in (study.ARMS[arm] for arm in ("optimal path", *study.SEARCHES)):
            assert list(unsound(task, write(Random(i), task))) == []
    assert any(BACK in study.ARMS["depth first"](Random(i), t) for i, t in enumerate(MAZES))


def returning_wrong(steps: maze_traces.Steps) -> str:
    """The broken generator: where a dead end asks for a return, it returns to the start."""
    words = written(steps).split()
    return " ".join(str(steps[0][0]) if i and words[i - 1] == BACK else w for i, w in enumerate(words))


def test_a_return_to_a_wrong_cell_is_seen() -> None:
    caught = told = 0
    for i, task in enumerate(MAZES):
        for steps in searches(task, i):
            if any(parent not in (steps[0][0], last) for (last, _), (_, parent) in pairwise(steps)):
                told += 1
                caught += next(unsound(task, returning_wrong(steps)), None) is not None
    assert told > 20 and caught == told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 1 3 2", None),
        ("0 1 back 0", "returned to 0, which has nothing untried"),
        ("0 back 3 2", "returned to 3, where it has not been"),
        ("0 2", "no way from 0 to 2"),
        ("0 1 0", "came to 0 twice"),
        ("1 3 2", "begins at 1"),
        ("0 1 3", "ends at 3"),
        ("0 1 to 2", "to stands among the cells"),
    ],
)
def test_what_is_wrong_with_a_search_is_said(text: str, said: str | None) -> None:
    facts = {"maze": ((1,), (0, 3), (3,), (1, 2)), "start": 0, "goal": 2, "size": 2}
    task = Task("maze", "", [2, 3, 1, 0], "maze", facts)
    assert next(unsound(task, f"{text} answer 2 3 1 0"), None) == said


def test_only_the_way_after_the_last_mark_is_an_answer() -> None:
    task = Task("maze", "", [2, 3, 1, 0], "maze")
    assert right(task, "0 1 answer 2 3 1 0") and right(task, "0 1 answer 2 answer 2 3 1 0")
    for text in ("", "2 3 1 0", "answer 0 1 3 2", "answer 2 3 1 0 0", "answer 2 3 1 0 answer"):
        assert not right(task, text)


def test_a_star_takes_the_cell_of_the_least_cost_first() -> None:
    """Against a frontier that is searched through; a breadth-first order, which has no heuristic, is another one."""
    different = 0
    for task in MAZES:
        f = task.facts
        steps = a_star(f["maze"], f["start"], f["goal"], 5)
        made = {f["start"]: 0}
        apart = lambda c, goal=f["goal"]: abs(c % 5 - goal % 5) + abs(c // 5 - goal // 5)
        frontier = {f["start"]}
        for cell, parent in steps:
            costs = {c: made[c] + apart(c) for c in frontier}
            assert costs[cell] == min(costs.values())
            frontier.remove(cell)
            new = [n for n in f["maze"][cell] if n not in made]
            made |= dict.fromkeys(new, made[cell] + 1)
            frontier |= set(new)
            assert made[cell] == (made[parent] + 1 if cell != f["start"] else 0)
        different += [c for c, _ in steps] != sorted((c for c, _ in steps), key=lambda c: made[c])
        assert way_back(steps) == task.answer
    assert different > 10


def test_the_halves_are_split_at_the_training_median() -> None:
    held = study.held_out(5, "test")
    assert max(len(t.answer) for t in held["easy"]) <= study.usual_depth() < min(len(t.answer) for t in held["hard"])
    assert all(t.split == "heldout" for half in held.values() for t in half)


def test_a_word_that_is_forbidden_is_never_said_and_can_be_again() -> None:
    """Few rows and many take different ways through the engine; a ban on the model's logits alone misses the few."""
    from ratchet.core.types import Draw
    from ratchet.models.machine import prepare

    prepare(1)
    policy: Any = study.new_model(0, 8)
    [token] = policy.tokenizer.encode(BACK)

    def said(rows: int) -> int:
        [drawn] = policy.sample([Draw(MAZES[0].prompt, n=rows, temperature=50.0)], [list(range(rows))])
        return sum(c.tokens.count(token) for c in drawn)

    before = said(200), said(40)
    assert min(before) > 0
    with study.without(policy, BACK):
        assert (said(200), said(40)) == (0, 0)
    assert (said(200), said(40)) == before
    logits = policy.model.logits
    policy.model.logits = lambda hidden: logits(hidden).index_fill(-1, study_token(token), float("-inf"))
    policy.forget()
    assert said(40) > 0, "the broken ban: it does not hold where rows are few"


def study_token(token: int) -> Any:
    import torch

    return torch.tensor([token])


def test_what_was_cut_counts_by_its_final_answer() -> None:
    passed = SimpleNamespace(passed=True)
    cut: Any = SimpleNamespace(verdict=passed, verdicts=[SimpleNamespace(passed=False), passed])
    assert study.share_right([cut]) == 1.0


def test_a_search_is_cut_and_its_answer_asked_for_but_no_answer_is_cut() -> None:
    """The solution's model begins with its answer, so that no budget changes anything; a search is as long as it may be."""
    from ratchet.models.machine import prepare

    prepare(1)
    policy: Any = study.new_model(0, 12)
    words = policy.tokenizer.words
    logits = policy.model.logits

    def always(word: str) -> None:
        column = words.index(word)
        policy.model.logits = lambda hidden: logits(hidden).index_fill(-1, study_token(column), 1e4)

    policy.steps = study.Plainly()
    for word, searched in ((BACK, 5), (ANSWER, 0)):
        always(word)
        policy.forget()
        [trace] = study.sampled(policy, MAZES[:1], 1, "cut", budget=5)
        assert trace.answer is not None and trace.answer.text.split().index(ANSWER) == searched
        assert len(trace.answer.given) == (word == BACK)


def test_a_slope_is_per_doubling() -> None:
    level = [0.1 * study.log2(b) for b in study.BUDGETS]
    assert study.slope({"arms": {"A*": {"budgets": level}}}, "A*") == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("search is learned", lambda a: a["solution"]["before"]["hard"].update(right=0.59)),
        ("reinforcement and budget", lambda a: a["depth first"].update(budgets=[0.5] * 4 + [0.4])),
        ("reinforcement and budget", lambda a: a["solution"].update(budgets=[0.1 * i for i in range(5)])),
        ("going back is the cause", lambda a: a["A*"].update(banned=a["A*"]["after"])),
        ("going back is the cause", lambda a: a["solution"]["banned"]["hard"].update(right=0.1)),
        ("the better procedure", lambda a: a["A*"]["after"]["hard"].update(tokens=41.0)),
    ],
)
def test_a_claim_does_not_hold_of_what_contradicts_it(claim: str, spoil: Any) -> None:
    results = json.loads(json.dumps([study.imagined(Outcome.HELD, seed) for seed in range(3)]))
    for r in results:
        spoil(r["arms"])
    outcomes = {c["name"]: c["outcome"] for c in judged(studies["meta-cot"], results)}
    assert outcomes[claim] is not Outcome.HELD
