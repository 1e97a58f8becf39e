"""What the study alphamath rests on: trees that the checker rewards, labels that the tree made, parts whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, permutations
from random import Random
from typing import Any

import pytest

from ratchet.core.seeds import rng
from ratchet.core.types import Completion, Draw, Task
from ratchet.learn.critic import Judged
from ratchet.models.scheduler import Scheduler
from ratchet.search import mcts
from ratchet.search.strategy import SCORERS
from ratchet.studies import alphamath
from ratchet.studies.alphamath import (
    TARGETS,
    ended_right,
    growing,
    lessons,
    most_frequent,
    parts_of,
    positives,
    problems,
    ranks,
    shuffled,
    solvable,
    verify,
)
from ratchet.studies.particle_filter_its import Tidy
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_lines import STEP, Numbers, endings, left_after, lines, start_of

TASKS = problems("train", TARGETS["test"], 12, "contract")


def misled(task: Task, completions: Sequence[Completion], verify: Any) -> list[float]:
    """A value that is sure of whatever it sees."""
    return [0.9] * len(completions)


class Plain(Tidy):
    """One that knows arithmetic and no plan, and ends without a mark, as the seed is taught to."""

    def written(self, draw: Draw, random: Random) -> Completion:
        c = super().written(draw, random)
        if c.stop != "end":
            return c
        return replace(c, tokens=c.tokens[:-1], text=c.text.removesuffix(f" {STEP}"), logprobs=c.logprobs[:-1])


def forest_of(simulations: int = 12) -> dict[str, mcts.Node]:
    forest: dict[str, mcts.Node] = {}
    scheduler = Scheduler(Plain(), verify, SCORERS | {"value": misled})
    scheduler.run(growing(forest), TASKS, "contract", knobs={"n": simulations})
    return forest


def rewards_come_from_the_checker(forest: dict[str, mcts.Node]) -> None:
    ended = [(t, n) for t in TASKS for n in mcts.nodes_of(forest[t.key]) if n.part and n.part.stop == "end"]
    assert {n.value for _, n in ended} == {0.0, 1.0}
    assert all(n.mean == n.value == float(ended_right(t, n.part.text)) for t, n in ended if n.part)


def test_whole_answers_are_worth_what_the_checker_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rewards_come_from_the_checker(forest_of())
    monkeypatch.setattr(alphamath, "by_value_and_truth", lambda steps: mcts.by_value("value"))
    with pytest.raises(AssertionError):
        rewards_come_from_the_checker(forest_of())


def labels_are_the_trees(forest: dict[str, mcts.Node], taught: Callable[[mcts.Node], list[Judged]]) -> None:
    """Each token of a path has the mean of what was backed up through its step, and nothing has what the value alone said."""
    for root in forest.values():
        nodes = {n.part.tokens: n for n in mcts.nodes_of(root) if n.part}
        is_known = {n.part.tokens: bool(n.children) or n.part.stop == "end" for n in nodes.values() if n.part}
        seen = set[tuple[int, ...]]()
        for text in taught(root):
            assert text.tokens in nodes and [place for place, _ in text.steps] == [*range(len(text.tokens))]
            for place, q in text.steps:
                step = min((p for p in nodes if len(p) > place and text.tokens[: len(p)] == p), key=len)
                assert q == nodes[step].mean and is_known[step]
                seen.add(step)
        assert seen == {p for p in nodes if is_known[p]}


def test_every_known_step_of_a_tree_is_taught_its_q() -> None:
    forest = forest_of()
    labels_are_the_trees(forest, lessons)

    def by_outcome(root: mcts.Node) -> list[Judged]:  # the leaf's own value at every step, as OVM has it
        return [Judged(j.prefix, j.tokens, steps=tuple((p, j.steps[-1][1]) for p, _ in j.steps)) for j in lessons(root)]

    def without_the_last(root: mcts.Node) -> list[Judged]:
        return [Judged(j.prefix, j.tokens[:-1], steps=j.steps[:-1]) for j in lessons(root)]

    for broken in (by_outcome, without_the_last):
        with pytest.raises(AssertionError):
            labels_are_the_trees(forest, broken)


def test_the_policy_learns_different_right_answers_alone() -> None:
    forest = forest_of()
    found = {t.key: positives(t, forest[t.key], "contract") for t in TASKS}
    assert any(found.values())
    for t in TASKS:
        assert all(ended_right(t, c.text) for c in found[t.key])
        assert len({c.text for c in found[t.key]}) == len(found[t.key]) <= alphamath.POSITIVES


def the_truth_is_exhaustive(can: Callable[[Numbers, int], bool]) -> None:
    for numbers in combinations_with_replacement(range(1, 13, 2), 3):
        for target in (6, 9, 12):
            assert can(numbers, target) == any(endings(p, target) for p in permutations(numbers))


def test_solvable_is_what_a_list_of_all_endings_says() -> None:
    the_truth_is_exhaustive(solvable)
    first_line_only = lambda left, target: any(target in after for _, after in lines(left))
    with pytest.raises(AssertionError):
        the_truth_is_exhaustive(first_line_only)


def test_a_right_answer_ends_at_its_target_with_every_line_right() -> None:
    task = task_of([3, 5, 2, 4], 10)
    text = "3 + 5 = 8 left 2 4 8 ; 8 - 2 = 6 left 4 6 ; 4 + 6 = 10 left 10"
    assert ended_right(task, text)
    assert not ended_right(task, text.replace("3 + 5 = 8", "3 + 5 = 9"))
    assert not ended_right(task, text.rpartition(" ; ")[0]) and not ended_right(task, "")


def said(text: str) -> Completion:
    return Completion((0,), (0,), text, (0.0,), "end")


def orders_do_not_part(vote: Callable[[Sequence[Completion]], Completion]) -> None:
    first = said("8 - 2 = 6 left 6")
    one, other = "3 + 5 = 8 left 2 4 8 ; 2 + 4 = 6 left 8 6", "4 + 2 = 6 left 3 5 6 ; 5 + 3 = 8 left 6 8"
    assert vote([first, first, said(one), said(other), said(one)]).text == one
    assert vote([said("8 - 2 = 6"), said("2 - 8 = 6"), said("2 - 8 = 6")]).text == "2 - 8 = 6"
    assert vote([first, first, said(one), said(other)]) is first  # a tie goes to what was drawn first
    assert vote([said(one), first, said(other), first, said(one)]).text == one


def test_the_majority_counts_solutions_whatever_their_order() -> None:
    orders_do_not_part(most_frequent)
    by_text = lambda many: max(many, key=lambda c: [d.text for d in many].count(c.text))
    orders_mixed = lambda many: max(many, key=lambda c: [sorted(d.text.split()) for d in many].count(sorted(c.text.split())))
    with pytest.raises(AssertionError):
        orders_do_not_part(lambda many: by_text(many[:4]))
    with pytest.raises(AssertionError):
        orders_do_not_part(orders_mixed)


def knows_nothing(change: Callable[[list[Judged]], list[Judged]]) -> None:
    random = rng("contract", "shuffle")
    texts = [Judged((i,), (1, 2, 3)[: 2 + i % 2], steps=((0, q), (1, q))) for i in range(800) for q in [random.random()]]
    new = change(texts)
    assert [(j.prefix, j.tokens) for j in new] == [(j.prefix, j.tokens) for j in texts]
    for length in (2, 3):
        of = lambda many, length=length: [j.steps for j in many if len(j.tokens) == length]
        assert sorted(of(new)) == sorted(of(texts))
    same = [(a.steps[0][1] - 0.5) * (b.steps[0][1] - 0.5) for a, b in zip(texts, new, strict=True)]
    assert abs(sum(same) / len(same)) < 0.02  # 1/12 where nothing is shuffled


def test_the_placebo_keeps_texts_and_labels_and_parts_them() -> None:
    knows_nothing(lambda texts: shuffled(texts, "contract"))
    with pytest.raises(AssertionError):
        knows_nothing(list)
    with pytest.raises(AssertionError):
        knows_nothing(lambda texts: rng("contract").sample(texts, len(texts)))


class Sure:
    """A critic that says what a function says of (numbers left, target), or another's order."""

    def __init__(self, parts: Sequence[tuple[Task, str]], value: Callable[[Task, Numbers], float]) -> None:
        self.said = [value(task, left_after(task, part) or ()) for task, part in parts]

    def values(self, pairs: Any) -> list[list[float]]:
        return [[0.5, v] for v in self.said]


def test_areas_are_over_parts_whose_lines_are_right_and_whose_truth_is_known() -> None:
    tidy = Plain()
    draws = [Draw(t.prompt, n=8) for t in TASKS]
    samples = tidy.sample(draws, [[*range(8)] for _ in TASKS])
    parts = parts_of(TASKS, samples)
    assert all(1 < len(left_after(t, part) or ()) < len(start_of(t)) and part.endswith(STEP) for t, part in parts)
    wrong = [[said(c.text.replace("=", "+", 1)) for c in own] for own in samples]
    assert not parts_of(TASKS, wrong)
    truth = lambda task, left: float(solvable(tuple(sorted(left)), task.answer))
    assert set(ranks(tidy, Sure(parts, truth), parts).values()) == {1.0}  # type: ignore[arg-type]
    assert set(ranks(tidy, Sure(parts, lambda task, left: 0.5), parts).values()) == {0.5}  # type: ignore[arg-type]
    assert ranks(tidy, Sure(parts, lambda task, left: -truth(task, left)), parts)["all"] == 0.0  # type: ignore[arg-type]


def test_test_and_search_share_no_problem_and_targets_do_not_meet() -> None:
    held = {t.key for name in TARGETS for t in problems("heldout", TARGETS[name], 60, "contract")}
    train = problems("train", TARGETS["test"], 900, "contract")
    assert not held & {t.key for t in train} and len({t.key for t in train}) == 900
    assert max(t.answer for t in train) < min(range(*TARGETS["larger"])) == TARGETS["larger"][0]
