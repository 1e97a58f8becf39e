"""Advantages, policy rows and the training loop: golden numbers, laws measured for every row, and broken rows caught."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch

from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.learn import parts
from ratchet.learn.batch import Batch, Example, micro_batches, to_batch
from ratchet.learn.credit import Credit, credits, outcome, rewards_of, verdict_reward
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.rewards import rewards
from ratchet.learn.train import Learner
from ratchet.loop.turn import uneven
from ratchet.models.engine import LocalEngine, token_logprobs
from ratchet.models.tokens import WordTokenizer, reasoning_words

NAN = math.nan
ROWS = {e.name: cast(Callable[[], PolicyGradient], e.value)() for e in rows}
R = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])


# ---- golden numbers ----------------------------------------------------------------------------------------------


def test_advantages_golden() -> None:
    assert torch.allclose(parts.group_centred(R)[1], torch.tensor([-0.25, -0.25, -0.25, 0.75]))
    assert torch.allclose(parts.leave_one_out(R)[1], torch.tensor([-1 / 3, -1 / 3, -1 / 3, 1.0]))
    deviation = math.sqrt(1 / 3)
    assert torch.allclose(parts.group_normalised(R)[0], torch.tensor([0.5, -0.5, -0.5, 0.5]) / (deviation + 1e-4))
    assert torch.allclose(parts.batch_normalised(R).flatten(), (R.flatten() - R.mean()) / (R.std() + 1e-8))
    for advantage in (parts.group_centred, parts.group_normalised, parts.leave_one_out):
        assert torch.equal(advantage(R)[2], torch.zeros(4))


@pytest.mark.parametrize(
    "advantage", [parts.plain, parts.group_centred, parts.group_normalised, parts.leave_one_out, parts.batch_normalised]
)
def test_an_unjudged_sample_gets_no_advantage_and_changes_no_other(advantage: parts.Advantage) -> None:
    with_gap = torch.tensor([[1.0, 0.0, NAN, 1.0]])
    assert advantage(with_gap)[0, 2] == 0
    assert torch.allclose(advantage(with_gap)[0, [0, 1, 3]], advantage(torch.tensor([[1.0, 0.0, 1.0]]))[0])


def batch(advantage: float = 1.0, lengths: tuple[int, ...] = (2, 4), old_shift: float = 0.0) -> tuple[Batch, torch.Tensor]:
    """A batch of made-up log-probabilities, and the same as a leaf to differentiate."""
    generator = torch.Generator().manual_seed(3)
    examples = []
    for i, n in enumerate(lengths):
        logprobs = (-torch.rand(n, generator=generator) - 0.1).tolist()
        examples.append(
            Example((2, 3), tuple(range(4, 4 + n)), advantage * (1 if i % 2 == 0 else 0.5), tuple(logprobs), tuple(logprobs))
        )
    b = to_batch(examples, sum(lengths), len(lengths), 10, "cpu")
    return b, (b.old + old_shift * b.mask).clone().requires_grad_()


def gradient(row: PolicyGradient, b: Batch, logp: torch.Tensor) -> torch.Tensor:
    loss, _ = row(b, logp)
    [g] = torch.autograd.grad(loss, [logp])
    return g


def test_reductions_golden() -> None:
    b, logp = batch()
    x = torch.ones_like(logp) * b.mask
    assert parts.token_mean(b, x) == 1 and parts.sequence_mean(b, x) == 1
    assert parts.sequence_sum(b, x) == 3 and parts.constant_length(b, x) == pytest.approx(6 / 20)


def test_clip_golden() -> None:
    b, logp = batch(old_shift=math.log(1.5))
    ratio = parts.token_ratio(b, logp)
    assert torch.allclose(ratio[b.mask > 0], torch.tensor(1.5))
    kept = parts.clipped(0.2, 0.28)(b, logp, ratio)
    assert torch.allclose(kept[b.mask > 0], 1.28 * b.advantage[b.mask > 0])
    g = gradient(PolicyGradient(parts.plain, parts.token_ratio, parts.clipped(0.2, 0.28), parts.token_mean), b, logp)
    assert g.abs().max() == 0  # a clipped token has no gradient
    cispo = gradient(ROWS["cispo"], b, logp)
    assert torch.allclose(cispo[b.mask > 0], -1.28 * b.advantage[b.mask > 0] / b.tokens)  # here it keeps one


def test_gspo_ratio_is_the_geometric_mean_and_its_gradient_is_shared() -> None:
    b, _ = batch(lengths=(4,))
    logp = (b.old + torch.tensor([[0.0, 0.1, 0.2, 0.3, 0.4]]) * b.mask).requires_grad_()
    ratio = parts.sequence_ratio(b, logp)
    assert torch.allclose(ratio[b.mask > 0], torch.tensor(math.exp(0.25)))
    [g] = torch.autograd.grad(ratio[b.mask > 0].sum(), [logp])
    assert torch.allclose(g[b.mask > 0], torch.tensor(math.exp(0.25)))


def test_kl_estimators_golden() -> None:
    b, _ = batch()
    logp = b.reference + 0.3 * b.mask
    on = b.mask > 0
    assert torch.allclose(parts.k1(b, logp)[on], torch.tensor(0.3))
    assert torch.allclose(parts.k2(b, logp)[on], torch.tensor(0.045))
    assert torch.allclose(parts.k3(b, logp)[on], torch.tensor(math.exp(-0.3) - 1 + 0.3))


# ---- laws of every row -------------------------------------------------------------------------------------------


def law_zero_advantage(row: PolicyGradient) -> bool:
    """No advantage, a policy equal to its reference: no gradient."""
    b, logp = batch(advantage=0.0)
    return bool(gradient(row, b, logp).abs().max() == 0)


def law_improves_what_is_praised(row: PolicyGradient) -> bool:
    """A positive advantage pushes every drawn token up, a negative one down, and nothing outside the mask moves."""
    b, logp = batch()
    up = gradient(row, b, logp)
    down = gradient(row, replace(b, advantage=-b.advantage), logp)
    on = b.mask > 0
    return bool((up[on] < 0).all() and (down[on] > 0).all() and (up[~on] == 0).all() and (down[~on] == 0).all())


def law_on_policy_is_reinforce(row: PolicyGradient) -> bool:
    """On the policy that drew the batch, each token's gradient is its advantage times a weight that only lengths decide."""
    b, logp = batch()
    weight = gradient(row, b, logp) / -b.advantage.where(b.mask > 0, torch.ones_like(b.advantage))
    per_row = [weight[i][b.mask[i] > 0] for i in range(len(weight))]
    return all(torch.allclose(w, w[0].expand_as(w), rtol=1e-4) for w in per_row)


LAWS = [law_zero_advantage, law_improves_what_is_praised, law_on_policy_is_reinforce]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", ROWS)
def test_every_row_keeps_its_laws(name: str, law: Callable[[PolicyGradient], bool]) -> None:
    assert law(ROWS[name])


def broken(change: Callable[[Batch, torch.Tensor, torch.Tensor], torch.Tensor]) -> PolicyGradient:
    return PolicyGradient(parts.plain, parts.token_ratio, change, parts.token_mean)


@pytest.mark.parametrize(
    ("law", "row"),
    [
        (law_zero_advantage, broken(lambda b, logp, r: (b.advantage + 0.01) * logp)),
        (law_improves_what_is_praised, broken(lambda b, logp, r: -b.advantage * logp)),
        (law_on_policy_is_reinforce, broken(lambda b, logp, r: b.advantage * logp * b.old)),
    ],
)
def test_each_law_catches_a_broken_row(law: Callable[[PolicyGradient], bool], row: PolicyGradient) -> None:
    assert not law(row)


def test_an_anchor_pulls_back_to_the_reference() -> None:
    row = cast(Callable[..., PolicyGradient], rows["grpo"])(beta=0.1)
    b, _ = batch(advantage=0.0)
    logp = (b.reference + 0.5 * b.mask).requires_grad_()
    assert (gradient(row, b, logp)[b.mask > 0] > 0).all()


# ---- credit ------------------------------------------------------------------------------------------------------


def trace(outcomes: str, key: str = "a") -> Trace:
    task = Task("f", key, 1, "numeric")
    completions = [Completion((1, 2), (3, 4), "x", (-0.1, -0.2), "end") for _ in outcomes]
    verdicts = [Verdict({"p": Outcome.PASS, "f": Outcome.FAIL, "a": Outcome.ABSTAIN}[o]) for o in outcomes]
    return Trace(task, "single", events=[Event(Draw("x"), completions)], verdicts=verdicts)


CREDITS = {e.name: e.value for e in credits}
TOKENIZER = WordTokenizer(reasoning_words())


def law_sums_to_what_was_gained(credit: Credit) -> bool:
    """Over a group whose samples have one attempt each, the credits are a fair game: they sum to zero."""
    traces, values = group([[7], [8, 9], [7, 8], [9]], [1.0, 0.0, 0.0, 1.0])
    examples = credit(traces, values, parts.leave_one_out, TOKENIZER)
    return abs(sum(mean_advantage(e) for e in examples)) < 1e-5 and any(mean_advantage(e) for e in examples)


def law_even_groups_teach_nothing(credit: Credit) -> bool:
    """Where all samples of a task have the same reward there is nothing to prefer."""
    no = TOKENIZER.ids["no"]
    for reward in (0.0, 1.0):
        traces, values = group([[7, no, 8], [7], [8, no, 9, no, 7]], [reward] * 3)
        if any(any(advantages(e)) for e in credit(traces, values, parts.group_centred, TOKENIZER)):
            return False
    return True


def law_abstentions_teach_nothing(credit: Credit) -> bool:
    """An unjudged sample gives no example and changes no other."""
    with_gap = credit(*group([[7], [8], [9]], [1.0, NAN, 0.0]), parts.group_centred, TOKENIZER)
    without = credit(*group([[7], [9]], [1.0, 0.0]), parts.group_centred, TOKENIZER)
    return [advantages(e) for e in with_gap] == [advantages(e) for e in without]


def advantages(e: Example) -> tuple[float, ...]:
    return e.advantage if isinstance(e.advantage, tuple) else (e.advantage,) * len(e.tokens)


def mean_advantage(e: Example) -> float:
    return sum(advantages(e)) / len(e.tokens)


def group(completions: list[list[int]], values: list[float]) -> tuple[list[Trace], list[list[float]]]:
    """Traces of one task with these tokens, and their rewards."""
    task = Task("f", "a", 1, "numeric")
    cs = [Completion((1, 2), tuple(c), "x", (-0.1,) * len(c), "end") for c in completions]
    return [Trace(task, "single", i, events=[Event(Draw("x"), [c])]) for i, c in enumerate(cs)], [values]


CREDIT_LAWS = [law_sums_to_what_was_gained, law_even_groups_teach_nothing, law_abstentions_teach_nothing]


@pytest.mark.parametrize("law", CREDIT_LAWS)
@pytest.mark.parametrize("name", CREDITS)
def test_every_credit_keeps_its_laws(name: str, law: Callable[[Credit], bool]) -> None:
    assert law(CREDITS[name])


def raw(traces: Any, values: Any, advantage: Any, tokenizer: Any) -> list[Example]:
    return [
        Example((1,), c.tokens, 0.0 if math.isnan(r) else r)
        for t, r in zip(traces, values[0], strict=True)
        for c in t.completions
    ]


@pytest.mark.parametrize("law", CREDIT_LAWS)
def test_each_credit_law_catches_a_broken_credit(law: Callable[[Credit], bool]) -> None:
    assert not law(raw)


def test_attempts_golden() -> None:
    """Three samples: a miss then a hit, two misses, one hit. Without a prior the values are plain means of the others."""
    no = TOKENIZER.ids["no"]
    traces, values = group([[7, no, 8, 8], [7, no, 9], [8]], [1.0, 0.0, 1.0])
    first, second, third = CREDITS["attempts"](traces, values, parts.group_centred, TOKENIZER, prior=0.0)
    # sample 1: the others are worth 0.5 at first; of those, one came to a second attempt and failed: 0
    assert advantages(first) == (-0.5, -0.5, 1.0, 1.0)
    # sample 2: the others are worth 1 before each attempt
    assert advantages(second) == (0.0, 0.0, -1.0)
    assert advantages(third) == (0.5,)


def test_attempt_credits_sum_to_the_gain_over_the_first_value() -> None:
    no = TOKENIZER.ids["no"]
    tokens = [[7, no, 8, no, 9], [7], [8, no, 9], [7, no, 7, no, 7, no]]
    traces, values = group(tokens, [1.0, 0.0, 1.0, 0.0])
    for i, e in enumerate(CREDITS["attempts"](traces, values, parts.group_centred, TOKENIZER)):
        per_attempt = [g for place, g in enumerate(advantages(e)) if place == 0 or tokens[i][place - 1] == no]
        others = [v for j, v in enumerate(values[0]) if j != i]
        assert sum(per_attempt) == pytest.approx(values[0][i] - sum(others) / 3)


def test_attempt_credits_keep_the_scale_of_the_advantage() -> None:
    traces, values = group([[7], [8], [9], [7, 8]], [1.0, 0.0, 0.0, 0.0])
    plain = [advantages(e)[0] for e in CREDITS["attempts"](traces, values, parts.group_centred, TOKENIZER)]
    scaled = [advantages(e)[0] for e in CREDITS["attempts"](traces, values, parts.group_normalised, TOKENIZER)]
    assert scaled == pytest.approx([x / (0.5 + 1e-4) for x in plain])  # the deviation of 1, 0, 0, 0 is a half


def test_groups_are_tasks() -> None:
    traces = [trace("pf", "a"), trace("a", "a"), trace("pp", "b")]
    values = rewards_of(traces, verdict_reward)
    assert values[0][:2] == [1.0, 0.0] and math.isnan(values[0][2]) and values[1] == [1.0, 1.0]
    examples = outcome(traces, values, parts.group_centred, TOKENIZER)
    assert [e.advantage for e in examples] == [0.5, -0.5, 0.0, 0.0]
    assert uneven([1.0, 0.0, NAN]) and not uneven([1.0, NAN, 1.0]) and not uneven([NAN])


def test_random_reward_ignores_the_verdict() -> None:
    coin = rewards["random"]
    values = [coin(Verdict(o), "path", i) for i in range(2_000) for o in (Outcome.PASS, Outcome.FAIL)]
    assert values[::2] == values[1::2]
    assert 0.45 < sum(cast(list[float], values)) / len(values) < 0.55


# ---- the loop ----------------------------------------------------------------------------------------------------


def examples_of(engine: LocalEngine) -> list[Example]:
    texts = ["start 7 then + 5 : 7 + 5 = 12 answer 12", "start 9 : answer 9", "start 1 then * 3 : 1 * 3 = 3 answer 3"] * 3
    split = [t.split(" : ") for t in texts]
    return [Example(engine.encode(p), engine.encode(a), 1.0 + i) for i, (p, a) in enumerate(split)]


def test_no_remainder_is_dropped_and_cutting_changes_nothing(tiny_engine: LocalEngine) -> None:
    examples = examples_of(tiny_engine)
    cut = list(micro_batches(examples, 40, 10))
    assert len(cut) > 2 and sum(len(b.ids) for b in cut) == len(examples)
    assert {(b.tokens, b.sequences) for b in cut} == {(sum(len(e.tokens) for e in examples), len(examples))}
    for name, row in ROWS.items():
        gradients = []
        for most in (40, 10_000):
            model = copy.deepcopy(tiny_engine.model)
            for b in micro_batches(examples, most, 10):
                logp = token_logprobs(model, b.ids, b.mask.bool())
                row(replace(b, old=logp.detach(), reference=logp.detach()), logp)[0].backward()
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        assert torch.allclose(gradients[0], gradients[1], atol=1e-5 * float(gradients[1].abs().max())), name


def test_examples_without_advantage_are_counted_but_not_computed(tiny_engine: LocalEngine) -> None:
    examples = [replace(e, advantage=0.0) if i % 2 else e for i, e in enumerate(examples_of(tiny_engine))]
    computed = list(micro_batches(examples, 10_000, 10))
    assert sum(len(b.ids) for b in computed) == sum(1 for e in examples if e.advantage)
    everything = to_batch(examples, computed[0].tokens, len(examples), 10, "cpu")
    for name, row in ROWS.items():
        gradients = []
        for batches in (computed, [everything]):
            model = copy.deepcopy(tiny_engine.model)
            for b in batches:
                logp = token_logprobs(model, b.ids, b.mask.bool())
                row(replace(b, old=logp.detach(), reference=logp.detach()), logp)[0].backward()
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        assert torch.allclose(gradients[0], gradients[1], atol=1e-5 * float(gradients[1].abs().max())), name
    anchored = [replace(e, advantage=0.0, reference=tuple([-1.0] * len(e.tokens))) for e in examples]
    assert sum(len(b.ids) for b in micro_batches(anchored, 10_000, 10)) == len(examples)


def test_imitation_learns_a_text_by_heart(tiny_engine: LocalEngine) -> None:
    example = Example(tiny_engine.encode("start 7 then + 5 :"), (*tiny_engine.encode("answer 12"), 1))
    learner = Learner(tiny_engine, lr=1e-2, warmup=1)
    losses = [learner.update([example], ROWS["imitation"])["loss"] for _ in range(60)]
    assert losses[-1] < 0.05 < losses[0]
    from ratchet.core.types import Draw

    [[c]] = tiny_engine.sample([Draw("start 7 then + 5 :", temperature=0.0)], [[1]])
    assert c.text == "answer 12" and c.stop == "end"


def test_warm_up_decay_and_a_gradient_that_is_not_finite(tiny_engine: LocalEngine) -> None:
    learner = Learner(tiny_engine, lr=7.0, warmup=4, steps=10, final=0.5)
    assert learner.rate() == pytest.approx(0.25)
    learner.taken = 5
    assert learner.rate() == pytest.approx(0.75)
    learner.taken = 50
    assert learner.rate() == pytest.approx(0.5)
    before = [p.detach().clone() for p in tiny_engine.model.parameters()]

    def poison(b: Batch, logp: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        return (logp * NAN).sum(), {}

    learner.update(examples_of(tiny_engine), poison)
    assert all(torch.equal(p, q) for p, q in zip(tiny_engine.model.parameters(), before, strict=True))


@pytest.mark.parametrize("muon", [0.0, 0.01])
def test_a_learner_resumed_from_its_state_goes_on_bit_for_bit(tiny_engine: LocalEngine, muon: float) -> None:
    examples = examples_of(tiny_engine)
    learner = Learner(tiny_engine, lr=1e-3, muon=muon, steps=8)
    for _ in range(3):
        learner.update(examples, ROWS["imitation"])
    state: dict[str, Any] = copy.deepcopy(learner.state())
    weights = copy.deepcopy(tiny_engine.model.state_dict())
    for _ in range(3):
        learner.update(examples, ROWS["imitation"])
    expected = copy.deepcopy(tiny_engine.model.state_dict())
    tiny_engine.model.load_state_dict(weights)
    again = Learner(tiny_engine, lr=1e-3, muon=muon, steps=8)
    again.load_state(**state)
    for _ in range(3):
        again.update(examples, ROWS["imitation"])
    assert all(torch.equal(expected[k], v) for k, v in tiny_engine.model.state_dict().items())


@pytest.mark.parametrize("muon", [0.0, 0.02])
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("n", [4, 160])  # steps in numpy, and in torch
def test_what_is_sampled_after_an_update_comes_from_the_new_weights(
    tiny_engine: LocalEngine, n: int, bf16: bool, muon: float
) -> None:
    tiny_engine.bf16, tiny_engine.batch = bf16, n
    learner = Learner(tiny_engine, lr=0.05, muon=muon, warmup=1)
    seeds = [list(range(n))]

    def gap() -> float:
        """Between the log-probabilities that came with the samples and those that the weights give now."""
        [drawn] = tiny_engine.sample([Draw((2, 3), n=n)], seeds)
        scores = tiny_engine.score([(c.prefix, c.tokens) for c in drawn])
        return max(abs(a - b) for c, s in zip(drawn, scores, strict=True) for a, b in zip(c.logprobs, s, strict=True))

    before = gap()
    old = tiny_engine.sample([Draw((2, 3), n=n)], seeds)[0]
    for _ in range(3):
        learner.update([Example((2, 3), (4, 5, 6))], ROWS["imitation"])
    stale = tiny_engine.score([(c.prefix, c.tokens) for c in old])
    moved = max(abs(a - b) for c, s in zip(old, stale, strict=True) for a, b in zip(c.logprobs, s, strict=True))
    assert moved > 0.5, "the updates must be large enough for samples of the old weights to show"
    assert gap() < max(2 * before, 1e-4 if not bf16 else 0.1) < moved


@pytest.mark.parametrize("stale", [False, True])
def test_a_sampler_that_does_not_follow_the_weights_is_said(
    tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    from ratchet.core.types import Trace
    from ratchet.loop.recipe import Optimizer, Recipe, Reinforcement, Tasks
    from ratchet.loop.turn import Costs, Workshop, learner_for
    from ratchet.tasks.family import Source

    settings = Reinforcement(turns=1, updates=6, tasks=4, samples=4, optimizer=Optimizer(lr=0.02, warmup=1))
    heard: list[dict[str, Any]] = []
    tiny_engine.bf16 = True  # the sampler keeps rounded copies
    verify = lambda pairs: [Verdict(Outcome.PASS if len(text) % 2 else Outcome.FAIL) for _, text in pairs]
    shop = Workshop(Recipe("test", tasks=Tasks("countdown")), Source("countdown"), verify, heard.append)
    if stale:
        monkeypatch.setattr(torch.autograd.graph, "increment_version", lambda tensors: None)
    metrics, traces = shop.reinforce(learner_for(tiny_engine, settings.optimizer, 6), settings, 0, Costs())
    notes = [e["text"] for e in heard if e["event"] == "note"]
    assert isinstance(traces[0], Trace) and (metrics["ratio_off"] > 0.01) is stale
    assert [n.startswith("the sampler and the learner disagree") for n in notes] == [True] * stale
