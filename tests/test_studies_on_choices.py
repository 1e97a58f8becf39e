"""Parts of the studies on choosing among samples that their checks rest on."""

from __future__ import annotations

import math
from random import Random
from statistics import fmean

import pytest

from ratchet.core.types import Completion, Draw
from ratchet.search import particles
from ratchet.studies import adaptive_inference as adaptive
from ratchet.studies import particle_filter_its as filtering
from ratchet.tasks.countdown_lines import STEP, left_after, start_of

WORLD = filtering.hidden(Random(5))
TRUTH = sum(map(sum, WORLD.joint()))


def test_the_table_of_the_hidden_world_is_what_its_paths_add_up_to() -> None:
    """All paths of three times, one by one."""
    short = filtering.Hidden(WORLD.start, WORLD.moves, WORLD.seen[:3])
    found = [[0.0] * filtering.STATES for _ in range(filtering.STATES)]
    states = range(filtering.STATES)
    for a, b, c in ((a, b, c) for a in states for b in states for c in states):
        chance = short.start[a] * short.seen[0][a] * short.moves[a][b] * short.seen[1][b] * short.moves[b][c] * short.seen[2][c]
        found[a][c] += chance
    assert [pytest.approx(row) for row in found] == short.joint()
    assert sum(WORLD.start) == pytest.approx(1.0) and all(sum(row) == pytest.approx(1.0) for row in WORLD.moves)


def off(runs: int = 400) -> float:
    logs = [c.log_normaliser for c in filtering.clouds(WORLD, 8, runs, "tests")]
    return filtering.errors_off([math.exp(x) / TRUTH for x in logs], 1.0)


def test_a_biased_normaliser_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert abs(off()) < 3
    with monkeypatch.context() as broken:  # the mean of logarithms is not the logarithm of a mean
        broken.setattr(particles, "log_mean", fmean)
        assert abs(off()) > 3
    near = fmean(filtering.apart(WORLD, c) for c in filtering.clouds(WORLD, 256, 5, "tests"))
    best = lambda log_weights, n, random: [max(range(n), key=lambda i: log_weights[i])] * n
    monkeypatch.setattr(particles, "systematic", best)  # only the best goes on
    assert near < 0.2 and fmean(filtering.apart(WORLD, c) for c in filtering.clouds(WORLD, 256, 5, "tests")) > 0.3


def test_where_a_curve_reaches_a_goal() -> None:
    reached = filtering.reached
    assert reached([4, 8, 16], [0.1, 0.3, 0.5], 0.4) == pytest.approx(8 * 2**0.5)
    assert reached([4, 8, 16], [0.1, 0.3, 0.5], 0.1) == 4 and reached([4, 8, 16], [0.1, 0.3, 0.5], 0.6) == 32
    assert reached([4, 8, 16], [0.1, 0.3, 0.2], 0.2) == pytest.approx(4 * 2**0.5)  # the first time


def test_weights_are_added_over_equal_solutions_only() -> None:
    scores, passed, texts = [0.6, 0.5, 0.4, 0.9], [False, True, True, False], ["a", "b", "b", "c"]
    assert not filtering.best_of(scores, passed, texts, range(3)) and filtering.best_weighted(scores, passed, texts, range(3))
    assert not filtering.best_weighted(scores, passed, texts, range(2))
    assert [b for n in filtering.BUDGETS for b in (len(filtering.blocks(n)),)] == [16, 8, 4, 2, 1]


def test_the_rule_writes_right_lines_and_its_exact_chance_is_what_its_samples_show() -> None:
    [task] = filtering.problems("validation", 1, "tests")
    generator = filtering.Tidy()
    [whole] = filtering.drawn(generator, [task], 2_000, "tests")
    assert {c.stop for c in whole} == {"end"} and all(left_after(task, c.text) for c in whole[:50])
    assert all(filtering.right(task, c.text) == (left_after(task, c.text) == (task.answer,)) for c in whole[:200])
    exact = filtering.chance(tuple(sorted(start_of(task))), task.answer)
    assert fmean(filtering.right(task, c.text) for c in whole) == pytest.approx(exact, abs=4 * math.sqrt(exact / 2_000))
    [[part]] = generator.sample([Draw(task.prompt, stop=(STEP,))], [[1]])
    [[longer]] = generator.sample([Draw(part, stop=(STEP,))], [[2]])
    assert (
        part.stop == "stop" and part.text.count(STEP) == 1 and longer.text.startswith(part.text) and longer.text.count(STEP) == 2
    )
    assert longer.tokens == generator.encode(longer.text) and len(longer.logprobs) == len(longer.tokens)


def test_lessons_are_of_every_part_and_a_fifth_of_the_corrupted_ones_is_turned_around() -> None:
    tasks = filtering.problems("train", 100, "tests")
    lessons = filtering.lessons_of(tasks, filtering.drawn(filtering.Tidy(), tasks, 3, "tests"))
    assert len(lessons) == 100 * 3 * (filtering.COUNT - 1) and {len(left) for left, _, _ in lessons} == {1, 2, 3, 4}
    assert all((left == (target,)) == ok for left, target, ok in lessons if len(left) == 1)
    noisy = filtering.corrupted(lessons, Random(1))
    turned = fmean(a != b for a, b in zip(lessons, noisy, strict=True))
    assert turned == pytest.approx(filtering.NOISE, abs=0.05) and [x[:2] for x in noisy] == [x[:2] for x in lessons]


# ---- adaptive inference ------------------------------------------------------------------------------------------


def test_a_walk_without_slips_is_a_shortest_right_one_and_every_fault_is_seen() -> None:
    where = adaptive.board("tests")
    for task in adaptive.puzzles(where, "validation")[:20]:
        start, goal = task.facts["start"], task.facts["goal"]
        walk = adaptive.walked(where, start, goal, Random(1), 0.0)
        assert task.split == "validation" and len(walk) == where.far[goal][start] <= adaptive.FARTHEST
        assert adaptive.right(task, " ".join(walk))
        assert not adaptive.right(task, " ".join(walk[:-1])) and not adaptive.right(task, " ".join(walk[1:]))
        assert not adaptive.right(task, "") and not adaptive.right(task, " ".join([*walk, "?"]))
        around = [adaptive.near(walk[-1])[0], goal] * 4
        assert not adaptive.right(task, " ".join(walk + around)), "too many steps"
        [trap, *_] = [place for place in adaptive.near(start) if place in where.traps] or [None]
        if trap:
            assert not adaptive.right(task, " ".join([trap, start, *walk])), "it was in a trap"


class Sampler:
    """Draws what it is told, with the tokenizer of the study's own policy."""

    def __init__(self, texts: list[str]) -> None:
        policy = adaptive.new(0)
        self.tokenizer, self.encode, self.texts = policy.tokenizer, policy.encode, texts

    def sample(self, draws: list[object], seeds: object) -> list[list[Completion]]:
        write = lambda text: (*self.tokenizer.encode(text), self.tokenizer.end_id)
        return [[Completion((3,), write(t), t, (0.0,) * 17, "end") for t in self.texts] for _ in draws]


def test_a_lesson_is_a_win_or_a_tie_with_another_sample() -> None:
    where = adaptive.board("tests")
    task = next(t for t in adaptive.puzzles(where, "validation") if where.far[t.facts["goal"]][t.facts["start"]] == 5)
    good = adaptive.walked(where, task.facts["start"], task.facts["goal"], Random(1), 0.0)
    texts = [" ".join(walk) for walk in (good, good[:4], good[:2])]
    found = adaptive.lessons_of(Sampler(texts), [task], "tests")  # type: ignore[arg-type]
    assert [lesson.chance for lesson in found] == [1.0, 1.0, 0.5, 0.5, 0.5]
    assert [len(lesson.judged.tokens) for lesson in found] == [
        6,
        4,
        5,
        4,
        3,
    ]  # the question stands last; what is short has no half
    [ask] = adaptive.new(0).tokenizer.encode(adaptive.ASK)
    assert all(lesson.judged.tokens[-1] == ask for lesson in found)


def test_a_judge_that_is_read_the_wrong_way_round_fails_the_claims_that_rest_on_it() -> None:
    """The scores of a judge whose yes and no are exchanged rank below chance, and choose the worst."""
    where = adaptive.board("tests")
    tasks = adaptive.puzzles(where, "validation")[:6]
    walks = [[adaptive.walked(where, t.facts["start"], t.facts["goal"], Random(i), 0.3) for i in range(16)] for t in tasks]
    samples = [[Completion((3,), (4,) * len(w), " ".join(w), (-1.0,) * len(w), "end") for w in own] for own in walks]
    knows = [[float(adaptive.right(t, c.text)) for c in own] for t, own in zip(tasks, samples, strict=True)]
    solved, within = {}, {}
    for name, sign in (("as it is", 1.0), ("exchanged", -1.0)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adaptive, "drawn", lambda *_: samples)
            patch.setattr(adaptive, "chances", lambda *_, sign=sign: [[sign * x for x in row] for row in knows])
            result = adaptive.compared(None, {adaptive.OWN: None}, tasks, 0)  # type: ignore[arg-type]
        solved[name], within[name] = adaptive.gain({"judged": result}), result["within"][adaptive.OWN]
    assert within == {"as it is": 1.0, "exchanged": 0.0}
    assert solved["as it is"] > 0.1 > 0 > solved["exchanged"]


def test_what_a_curve_solves_at_so_many_samples() -> None:
    points = [[6.0, 0.9], [2.0, 0.5]]
    assert adaptive.solved_with(points, 4.0) == pytest.approx(0.7)
    assert adaptive.solved_with(points, 1.0) == 0.5 and adaptive.solved_with(points, 9.0) == 0.9
