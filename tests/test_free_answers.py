"""What the studies of verifiers stand on: pairs that are equivalent or not, an oracle, keys that are held out, the contrast."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from ratchet.core.seeds import rng
from ratchet.studies.cooper import response, spoiled
from ratchet.studies.free_answers import FORMS, any_slip, any_way, draw, natural, right, same_by_regex, solution, value_of
from ratchet.studies.one_token_judge import HELD_OUT, KEYS, PHRASES, TRAINED, first_sentence
from ratchet.studies.verifier_pitfalls import FORMATS, UNITS, Pair

# ---- what each format means, read anew: nothing here is used by a verifier or by the generator ---------------------


def number(text: str) -> Any:
    if match := re.fullmatch(r"(\d*)\\frac\{(\d+)\}\{(\d+)\}", text):
        return int(match[1] or 0) + Fraction(int(match[2]), int(match[3]))
    if match := re.fullmatch(r"([\d.]+)\*10\^(\d)", text):
        return Fraction(match[1]) * 10 ** int(match[2])
    return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text.replace(",", ""))


def quantity(text: str) -> Any:
    n, unit = text.split()
    return int(n), {long: short for short, long in UNITS.items()}.get(unit, unit)


def interval(text: str) -> Any:
    if match := re.fullmatch(r"([\[(])(\d+), (\d+)\)", text):
        return match[1] == "[", int(match[2]), int(match[3])
    match = re.fullmatch(r"(\d+) (<=?) x < (\d+)", text)
    assert match
    return match[2] == "<=", int(match[1]), int(match[3])


def terms(text: str) -> Any:
    return frozenset(("x", int(t[:-1])) if t.endswith("x") else ("1", int(t)) for t in text.split("+"))


MEANING: dict[str, Callable[[str], Any]] = {
    "unit": quantity,
    "set": lambda text: frozenset(re.findall(r"\d+", text)),
    "interval": interval,
    "order": terms,
}


def sound(name: str, pairs: list[Pair]) -> None:
    meaning = MEANING.get(name, number)
    for p in pairs:
        assert meaning(p.reference) == meaning(p.equivalent) != meaning(p.near_miss), p
        assert p.reference != p.equivalent


@pytest.mark.parametrize("name", FORMATS)
def test_equivalents_mean_the_same_and_near_misses_do_not(name: str) -> None:
    pairs = [FORMATS[name](rng("test", name, i)) for i in range(300)]
    sound(name, pairs)
    assert len({p.reference for p in pairs}) > 10
    with pytest.raises(AssertionError):  # a generator whose near miss is no miss, and one whose equivalent is none
        sound(name, [Pair(pairs[0].reference, pairs[0].equivalent, pairs[0].equivalent)])
    with pytest.raises(AssertionError):
        sound(name, [Pair(pairs[0].reference, pairs[0].near_miss, pairs[0].near_miss)])


def test_solutions_are_right_and_slips_are_not() -> None:
    for i in range(500):
        random = rng("test solutions", i)
        task, way = draw(random), any_way(random)
        assert right(task, solution(task, way))
        assert not right(task, solution(task, way, any_slip(random, task)))
        value = eval_sum(task.prompt)
        assert Fraction(task.answer) == value and value_of(FORMS[way.form](value)) == value


def eval_sum(prompt: str) -> Fraction:
    match = re.fullmatch(r"\((\d+)([+-])(\d+)\)/(\d+)=", prompt)
    assert match
    return Fraction(int(match[1]) + int(match[2] + match[3]), int(match[4]))


@pytest.mark.parametrize(
    "text",
    ["", "answer", "answer 1/2, 3/4", "answer 3/4 answer 3/4", "3/4", "answer 3/4 5", "answer 3/0", "answer 0.7", "answer 75"],
)
def test_the_oracle_pays_for_one_right_answer_alone(text: str) -> None:
    task = next(t for t in (draw(rng("three quarters", i)) for i in range(1_000)) if t.answer == "3/4")
    assert not right(task, text)
    assert all(right(task, f"answer {shown}") for shown in ("3/4", "0.75", "75%", "15/20", r"\frac{3}{4}"))


def test_keys_held_out_are_not_in_what_the_defence_is_shown() -> None:
    assert len(KEYS) == len(set(KEYS)) == 20 and len(HELD_OUT) == len(TRAINED) == 10 and not set(HELD_OUT) & set(TRAINED)
    shown = [first_sentence(rng("test keys", i)) for i in range(2_000)]
    assert not any(
        label or text in HELD_OUT or text.startswith(tuple(k for k in HELD_OUT if k in PHRASES)) for _, text, label in shown
    )
    assert set(TRAINED) <= {text for _, text, _ in shown} and not any("answer " in text for _, text, _ in shown)


def test_a_spoiled_response_is_wrong_and_differs_in_its_answer_alone() -> None:
    for i in range(300):
        random = rng("test spoiled", i)
        task = draw(random)
        text = natural(random, task, True)
        bad = spoiled(random, task, text)
        assert right(task, text) and not right(task, bad) and bad.split("answer ")[0] == text.split("answer ")[0]
        assert same_by_regex("3/4", r"\frac{3}{4}") and response(random)[2] in (True, False)


def test_the_reward_models_step_follows_the_contrastive_loss() -> None:
    import torch

    from ratchet.learn.batch import to_batch
    from ratchet.studies import cooper
    from ratchet.studies.free_answers import new_critic, read, tokenizer_of

    critic = new_critic(5, "small verifier", tokenizer_of())
    critic.bf16 = False  # a processor that has it would round the one of two computations
    torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(5))
    task = next(t for t in (draw(rng("three quarters", i)) for i in range(1_000)) if t.answer == "3/4")
    heard: list[Any] = []
    contrast = cooper.Contrast(critic, 1)
    contrast.learner.update = lambda examples, objective: heard.append((examples, objective))  # type: ignore[method-assign, assignment]
    contrast([(task, "answer 3/4"), (task, "answer 7")])
    [(examples, objective)] = heard
    batch = to_batch(examples, 2, 2, 64, "cpu")
    logits = contrast.learner.read(critic.model, batch.ids, batch.mask.bool())
    loss, _ = objective(batch, logits)
    weight = critic.model.value_head.weight
    [ours] = torch.autograd.grad(loss, weight, retain_graph=True)
    rewards = logits.sum(1)
    [theirs] = torch.autograd.grad(-torch.nn.functional.logsigmoid(rewards[0] - rewards[1]) / 2, weight, retain_graph=True)
    assert torch.allclose(ours, theirs, atol=1e-6) and ours.abs().max() > 1e-5
    assert examples[0].prefix + examples[0].tokens == read(critic, task, "answer 3/4")
    swapped = [objective(to_batch([b, a], 2, 2, 64, "cpu"), logits)[0] for a, b in [examples]]
    [other] = torch.autograd.grad(swapped[0], weight)
    assert not torch.allclose(other, theirs, atol=1e-6)  # pulling the wrong one up is another gradient
