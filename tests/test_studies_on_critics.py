"""Parts of the studies on learned verifiers that their checks rest on."""

from __future__ import annotations

import random

import pytest

from ratchet.core.errors import StudyError
from ratchet.core.seeds import rng
from ratchet.core.types import Completion
from ratchet.studies import ovm, spark_prm
from ratchet.tasks.arithmetic import demonstrate
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_lines import endings, start_of
from ratchet.tasks.family import Source

CHAINS = Source("arithmetic", "", spark_prm.KNOBS).take("train", 60, "tests")


def test_the_exact_chance_is_what_samples_show() -> None:
    """A generator that knows two endings of one part: its samples end right as often as the probabilities of both say."""
    task = task_of([2, 3, 4], 10)
    right, other = (e for e in endings(start_of(task), 10) if e.startswith(("2 * 3", "4 + 2 =")))
    policy = ovm.generator(1)
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id
    texts = [right, right, other, "2 + 3 = 6 left 4 6 ;"]
    imitate(policy, lambda update: [Example(policy.encode(task.prompt), (*encode(t), end)) for t in texts], 120, 1e-2)
    [drawn] = ovm.drawn(policy, [task], 400, "exact")
    part = right.partition(" ; ")[0] + " ;"
    mine = [c for c in drawn if c.text.startswith(part)]
    chance, whole = ovm.exact(policy, [(task, part), (task, "")])
    assert chance == pytest.approx(sum(ovm.ended_right(task, c) for c in mine) / len(mine), abs=0.1)
    assert whole == pytest.approx(sum(ovm.ended_right(task, c) for c in drawn) / 400, abs=0.08) and 0.5 < whole < 0.9


def test_only_parts_that_are_right_so_far_are_ranked() -> None:
    task = task_of([3, 5, 2, 1], 10)
    write = lambda text: Completion((1,), (1,), text, (0.0,), "end")
    first, second, broken = "3 + 5 = 8 left 2 1 8 ;", "2 * 1 = 2 left 8 2 ;", "3 + 5 = 9 left 2 1 9 ;"
    texts = [
        f"{first} {second} 8 + 2 = 10 left 10 ;",
        f"{broken} 9 - 1 = 8 left 2 8 ; 2 + 8 = 10 left 10 ;",
        f"{first} 8 + 1 = 3 left 2 3 ; x",
    ]
    found = ovm.prefixes([task], [[write(t) for t in texts]], 9, "x")
    assert sorted(part for _, part in found) == [first, f"{first} {second}"]


def test_labels_of_steps_stand_where_steps_end() -> None:
    policy, task = ovm.generator(1), task_of([3, 5, 2], 10)
    text = "3 + 5 = 9 left 2 9 ; 9 + 2 = 11 left 11 ; 5"
    tokens = tuple(policy.tokenizer.encode(text))
    found = ovm.judged(policy, task, Completion((2, 3), tokens, text, (0.0,) * len(tokens), "length"))
    assert found.steps == ((8, 0.0), (16, 1.0), (17, 0.0)) and found.outcome == 0.0
    marks = [policy.tokenizer.decode([tokens[place]]) for place, _ in found.steps]
    assert marks == [";", ";", "5"]


def test_a_part_has_the_value_that_was_learned_at_its_mark() -> None:
    """What OVM says of a part is read where its labels stood: the same place of the whole text, which it cannot see ahead of."""
    import torch

    from ratchet.models.critic import critic_from

    policy, task = ovm.generator(1), task_of([2, 3, 4], 10)
    critic = critic_from(policy, blocks=1)
    torch.manual_seed(1)
    torch.nn.init.normal_(critic.model.value_head.weight, std=0.1)
    part = "2 * 3 = 6 left 4 6 ;"
    text = f"{part} 4 + 6 = 10 left 10 ;"
    tokens = (*policy.tokenizer.encode(text), policy.tokenizer.end_id)
    found = ovm.judged(policy, task, Completion(policy.encode(task.prompt), tokens, text, (0.0,) * len(tokens), "end"))
    whole, short = critic.values([(found.prefix, found.tokens), (found.prefix, tuple(policy.tokenizer.encode(part)))])
    assert found.outcome == 1.0 and short[-1] == pytest.approx(whole[found.steps[0][0]], abs=1e-5)
    assert abs(short[-1] - whole[-1]) > 1e-3 and short[-1] != 0.5


def test_problems_are_different_solvable_and_of_their_split_and_run_out_with_a_sentence() -> None:
    found = ovm.problems("heldout", ovm.FULL.held, "tests")
    assert len({t.key for t in found}) == ovm.FULL.held and {t.split for t in found} == {"heldout"}
    assert all(endings(start_of(t), t.answer) for t in found)
    assert ovm.reordered(random.Random(3), found[0]).key == found[0].key
    with pytest.raises(StudyError, match=r"the split heldout has 310 solvable problems .* and 100000 are asked for; ask"):
        ovm.problems("heldout", 100_000, "tests")


def test_bins_of_values_and_exact_chances() -> None:
    assert ovm.apart([0.05, 0.05, 0.95], [0.0, 0.1, 0.45]) == pytest.approx(0.5 / 3)
    assert ovm.apart([1.0, 0.0], [1.0, 0.0]) == 0.0


# ---- spark-prm ---------------------------------------------------------------------------------------------------


def test_planted_errors_are_where_the_truth_says() -> None:
    wrong = 0
    for i, task in enumerate(CHAINS):
        steps, truth = spark_prm.planted(rng("planted", i), task)
        for (a, o, b, said), ok in zip(steps, truth, strict=True):
            true = {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[o]
            assert ok == (said == true) and 0 <= said <= spark_prm.TOP
            wrong += not ok
        text = spark_prm.written(steps)
        assert spark_prm.steps_in(text) == steps and spark_prm.well_formed(task, text)
        assert spark_prm.right(task, text) == (steps[-1][3] == task.answer)
    assert 0.15 < wrong / (3 * len(CHAINS)) < 0.45


def test_the_format_holds_right_solutions_and_nothing_that_pads_or_skips() -> None:
    for i, task in enumerate(CHAINS[:20]):
        text = demonstrate(rng("format", i), task)
        steps = spark_prm.steps_in(text)
        assert spark_prm.well_formed(task, text) and spark_prm.right(task, text)
        easy = [(task.facts["start"], "*", 1, task.facts["start"])] * 3
        for broken in (steps[:1], steps[:-1], [*steps, steps[-1]], [steps[0], *steps], easy):
            assert not spark_prm.well_formed(task, spark_prm.written(broken))
        for broken_text in (
            f"{text} answer 3",
            f"{text} then 1 + 1 = 2",
            text.replace("answer", "answer 1 answer"),
            "",
            "answer 3",
        ):
            assert not spark_prm.well_formed(task, broken_text)
    habits = [spark_prm.well_formed(t, spark_prm.sloppy(random.Random(i), t)) for i, t in enumerate(CHAINS * 5)]
    assert 0.15 < 1 - sum(habits) / len(habits) < 0.45


def test_a_step_is_asked_about_and_valued_by_itself() -> None:
    from ratchet.models.critic import critic_from

    policy = spark_prm.new(32, 1, 1, 2)
    said = (7, "+", 5, 12)
    text = spark_prm.judged(policy, said, False)
    assert policy.tokenizer.decode([*text.prefix, *text.tokens]) == "7 + 5 = 12 check"
    assert text.steps == ((len(text.tokens) - 1, 0.0),)
    critic = critic_from(policy)
    critic.model.value_head.weight.data.normal_()
    values = spark_prm.step_values(critic, policy, [[said, (12, "-", 4, 7)], [], [(3, "*", 2, 6), said]])
    assert [len(own) for own in values] == [2, 0, 2] and values[0][0] == values[2][1]
    assert len({round(v, 6) for own in values for v in own}) == 3


def test_first_errors_and_their_f1() -> None:
    assert spark_prm.first_error([True, False, False]) == 1 and spark_prm.first_error([True]) == -1
    assert spark_prm.f1([-1, -1, 0, 1], [-1, -1, 0, 0]) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert spark_prm.f1([0, 0], [-1, 0]) == 0.0 and spark_prm.f1([-1, 0], [-1, 0]) == 1.0
