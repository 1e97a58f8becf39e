"""Policy rows against TRL's and verl's own functions, by golden values; shapes; and the laws that shapes keep.

`make parity` writes the golden values with the libraries themselves; `docs/policy-gradients.md` says what each case is.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from benchmarks.parity_policy import LENGTHS, LIMIT, LOSSES, Inputs, inputs
from ratchet.core.errors import RecipeError
from ratchet.learn import exploring, parts, shapes, trust, within
from ratchet.learn.batch import Batch, Example, to_batch
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.train import Learner
from ratchet.models.engine import LocalEngine, token_logprobs

GOLDEN = json.loads((Path(__file__).parent / "data" / "parity_policy.json").read_text())
NAN = math.nan


def row_of(name: str, **knobs: Any) -> PolicyGradient:
    return cast(Callable[..., PolicyGradient], rows[name])(**knobs)


@dataclass
class Still:
    """Of a learner, what shapes ask where there is no model."""

    taken: int = 0
    reference: None = None

    def with_reference(self, examples: Sequence[Example]) -> list[Example]:
        return list(examples)


STILL = cast(Any, Still())


@pytest.fixture
def float64() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# ---- parity ------------------------------------------------------------------------------------------------------


def examples_of(x: Inputs, values: Tensor) -> list[Example]:
    """The inputs as examples, with these advantages or rewards; one prefix for each task."""
    cut = lambda table, i: tuple(table[i, : LENGTHS[i]].tolist())
    return [
        Example((1 + x.index[i],), (9,) * n, values[i].item(), cut(x.old, i), cut(x.reference, i)) for i, n in enumerate(LENGTHS)
    ]


def batch_of(examples: Sequence[Example], limit: int = LIMIT) -> Batch:
    return to_batch(examples, sum(LENGTHS), len(LENGTHS), limit, "cpu")


def objective(row: PolicyGradient, shape: shapes.Shape | None = None, limit: int = LIMIT) -> Any:
    """The row's loss on given advantages; with what a shape of it does beside making advantages of rewards."""

    def loss(x: Inputs, numbers: Tensor) -> Tensor:
        examples = examples_of(x, x.advantage)
        shaped = shape(examples, STILL) if shape else examples
        return row(batch_of(shaped, limit), numbers if row.entropy else numbers[0])[0]

    return loss


def engine_corrected(whole: bool) -> Any:
    """PPO's clip on the learner's log-probabilities, advantages weighed by learner over engine."""

    def loss(x: Inputs, numbers: Tensor) -> Tensor:
        drawn = [
            replace(e, logprobs=tuple(x.engine[i, : len(e.tokens)].tolist())) for i, e in enumerate(examples_of(x, x.advantage))
        ]
        own = [x.old[i, :n].tolist() for i, n in enumerate(LENGTHS)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trust, "score", lambda *_: own)
            learner = cast(Any, type("L", (), {"policy": type("P", (), {"model": None, "bf16": False})}))
            corrected = trust.corrected(2.0, whole)(drawn, learner)
        return row_of("dapo", low=0.2, high=0.2)(batch_of(corrected), numbers[0])[0]

    return loss


def anchored(anchor: parts.Anchor) -> Any:
    return lambda x, numbers: parts.token_mean(b := batch_of(examples_of(x, x.advantage)), anchor(b, numbers[0]))


INF = math.inf
bare = lambda reduction: PolicyGradient(parts.plain, parts.token_ratio, parts.score_function, reduction)
OURS: dict[str, Callable[[Inputs, Tensor], Tensor]] = {
    "trl grpo": objective(row_of("grpo")),
    "trl grpo beta": objective(row_of("grpo", beta=0.04)),
    "trl grpo entropy": objective(row_of("grpo", entropy=0.01)),
    "trl bnpo": objective(row_of("bnpo", beta=0.04)),
    "trl dr_grpo": objective(row_of("dr-grpo")),
    "trl dapo": objective(row_of("dapo")),
    "trl delta": objective(row_of("intellect-2", delta=1.5)),
    "trl gspo": objective(row_of("gspo", low=0.1, high=0.2)),
    "trl luspo": objective(row_of("luspo", low=0.1, high=0.2)),
    "trl cispo": objective(row_of("cispo")),
    "trl sapo": objective(row_of("sapo")),
    "trl vespo": objective(row_of("vespo")),
    "trl gmpo": objective(row_of("gmpo")),
    "trl rloo": objective(row_of("rloo-clip")),
    "trl off-policy mask": objective(row_of("deepseek-v3.2", threshold=0.1, beta=0.04)),
    "trl importance correction": engine_corrected(whole=False),
    "verl vanilla": objective(row_of("ppo", most=1.5)),
    "verl vanilla seq-mean-token-mean": objective(row_of("grpo")),
    "verl vanilla seq-mean-token-sum-norm": objective(row_of("dr-grpo"), limit=max(LENGTHS)),
    "verl vanilla, engine weights by token": engine_corrected(whole=False),
    "verl vanilla, engine weights by sequence": engine_corrected(whole=True),
    "verl gspo": objective(row_of("gspo", low=0.1, high=0.2)),
    "verl sapo": objective(row_of("sapo")),
    "verl gpg": objective(row_of("gpg")),
    "verl gpg seq-mean-token-sum": objective(row_of("rloo")),
    "verl clip_cov": objective(row_of("clip-cov"), exploring.released_by_covariance(1.0, 0.2, 5.0)),
    "verl kl_cov": objective(row_of("kl-cov"), exploring.held_by_covariance(0.2)),
    "verl geo_mean": objective(row_of("gmpo")),
    "verl dppo_tv": objective(row_of("dppo-tv")),
    "verl dppo_kl": objective(row_of("dppo-kl", low=0.05, high=0.05)),
    "verl dro": objective(row_of("dro", beta=0.5), shapes.held_to_sampler),
    "verl cispo": objective(row_of("cispo", low=0.2)),
    "verl bypass_mode reinforce, token": objective(row_of("tis")),
    "verl bypass_mode reinforce, sequence": objective(row_of("tis-sequence")),
    "verl kl k1": anchored(parts.k1),
    "verl kl k2": anchored(parts.k2),
    "verl kl k3": anchored(parts.k3),
    "verl kl abs": anchored(parts.absolute),
    "verl kl k1+": anchored(parts.straight_through(parts.k1)),
    "verl kl k3+": anchored(parts.straight_through(parts.k3)),
}


def agrees(ours: Callable[[Inputs, Tensor], Tensor], case: str) -> bool:
    """To a millionth, in the loss, in its gradient by every log-probability, and by the entropies."""
    for seed, golden in GOLDEN["losses"][case].items():
        x = inputs(int(seed), LOSSES[case][1])
        numbers = torch.stack([x.logp, x.entropies]).requires_grad_()
        loss = ours(x, numbers)
        [gradient] = torch.autograd.grad(loss, [numbers])
        close = abs(loss.item() - golden["loss"]) < 1e-6 and abs(gradient[1].sum().item() - golden["entropy"]) < 1e-6
        if not close or (gradient[0] - torch.tensor(golden["gradient"])).abs().max() > 1e-6:
            return False
    return True


def test_every_case_has_a_row_of_ours() -> None:
    assert set(OURS) == set(LOSSES) == set(GOLDEN["losses"])
    assert set(OUR_ADVANTAGES) == set(GOLDEN["advantages"])


@pytest.mark.parametrize("case", LOSSES)
def test_parity(float64: None, case: str) -> None:
    assert agrees(OURS[case], case)


def test_parity_catches_a_row_that_is_a_little_off(float64: None) -> None:
    """Each case fails for the row of another: what they are about shows in the golden values."""
    alike = [
        {"trl grpo", "verl vanilla seq-mean-token-mean"}, {"trl gspo", "verl gspo"}, {"trl sapo", "verl sapo"},
        {"trl gmpo", "verl geo_mean"}, {"trl delta", "verl vanilla"}, {"trl importance correction", "verl vanilla, engine weights by token"},
    ]  # fmt: skip
    for case in LOSSES:
        same = next((names for names in alike if case in names), {case})
        assert {other for other in LOSSES if agrees(OURS[other], case)} == same, case


def within_groups(advantage: parts.Advantage) -> Callable[[Inputs], list[Example]]:
    return shaped_by(shapes.grouped(advantage))


def shaped_by(shape: shapes.Shape) -> Callable[[Inputs], list[Example]]:
    return lambda x: shape(examples_of(x, x.rewards), STILL)


def by_gae(x: Inputs) -> list[Example]:
    examples = examples_of(x, x.rewards)
    paid = [[0.0] * (n - 1) + [r] for n, r in zip(LENGTHS, x.rewards.tolist(), strict=True)]
    values = [x.values[i, :n].tolist() for i, n in enumerate(LENGTHS)]
    each = [replace(e, advantage=tuple(within.gae(r, v, 0.9, 0.8))) for e, r, v in zip(examples, paid, values, strict=True)]
    return shapes.whitened(each, STILL)


passk = lambda row: cast(PolicyGradient, row).advantage
OUR_ADVANTAGES: dict[str, Callable[[Inputs], list[Example]]] = {
    "grpo": within_groups(lambda r: parts.group_normalised(r, epsilon=1e-6)),
    "grpo without deviation": within_groups(row_of("dr-grpo").advantage),
    "grpo_passk": within_groups(row_of("grpo-passk").advantage),
    "grpo_passk without deviation": within_groups(row_of("pkpo", k=3).advantage),
    "rloo": within_groups(row_of("rloo").advantage),
    "opo": shaped_by(row_of("opo").prepare),
    "remax": within_groups(row_of("remax").advantage),
    "reinforce_plus_plus": shaped_by(row_of("reinforce++").prepare),
    "reinforce_plus_plus_baseline": shaped_by(row_of("reinforce++-baseline").prepare),
    "gae": by_gae,
}


@pytest.mark.parametrize("case", OUR_ADVANTAGES)
def test_parity_of_advantages(float64: None, case: str) -> None:
    for seed, golden in GOLDEN["advantages"][case].items():
        b = batch_of(OUR_ADVANTAGES[case](inputs(int(seed))))
        assert torch.allclose(b.advantage * b.mask, torch.tensor(golden), atol=1e-6)


# ---- laws of shapes, at each row's defaults ----------------------------------------------------------------------

ROWS = {e.name: cast(Callable[..., PolicyGradient], e.value)() for e in rows}
SHAPED = {name: row for name, row in ROWS.items() if row.shape and name != "decoupled"}
REWARDS = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]


class Tokens(Still):
    class policy:
        class tokenizer:
            decode = staticmethod(lambda ids: "".join({8: " <", 9: "<tool>", 10: "tool>"}.get(i, "x") for i in ids))


TOOLS = cast(Any, Tokens())


def made(rewards: Sequence[float] = REWARDS, written: bool = False) -> list[Example]:
    x = inputs(3)
    examples = examples_of(x, torch.tensor(rewards, dtype=torch.float64))
    return [*examples, *(Example((1 + g,), (9, 9, 9), 1.0, (), (-0.5,) * 3) for g in range(2) if written)]


def flat(examples: Sequence[Example]) -> list[float]:
    return [a for e in examples for a in shapes.per_token(e)]


def law_even_groups_teach_nothing(shape: shapes.Shape) -> bool:
    """Where all samples of every task earn the same there is nothing to prefer."""
    return all(abs(a) < 1e-9 for r in (0.0, 1.0) for a in flat(shape(made([r] * 6), TOOLS)))


def law_shift_changes_nothing(shape: shapes.Shape) -> bool:
    """A constant added to all rewards of the update changes no advantage."""
    shifted = shape(made([r + 2.0 for r in REWARDS]), TOOLS)
    return flat(shifted) == pytest.approx(flat(shape(made(), TOOLS)), abs=1e-9)


def law_better_is_better(shape: shapes.Shape) -> bool:
    """In every task the advantages of what earned more are above those of what earned less, over all their tokens."""
    shaped = shape(made(), TOOLS)
    sums = [sum(shapes.per_token(e)) / len(e.tokens) for e in shaped]
    return all(sums[i] > sums[j] for i in (0, 3) for j in range(6) if i // 3 == j // 3 and j != i)


def law_order_changes_nothing(shape: shapes.Shape) -> bool:
    """The same examples in another order are shaped alike."""
    examples = made()
    back = shape(examples[::-1], TOOLS)[::-1]
    return [flat([e]) for e in back] == [pytest.approx(flat([e])) for e in shape(examples, TOOLS)]


LAWS = {
    law_even_groups_teach_nothing: {"unlikeliness"},  # rare answers gain where all are right
    law_shift_changes_nothing: {"unlikeliness"},  # it multiplies rewards
    law_better_is_better: set[str](),
    law_order_changes_nothing: set[str](),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", SHAPED)
def test_every_shape_keeps_its_laws(name: str, law: Callable[[shapes.Shape], bool]) -> None:
    shape = SHAPED[name].shape
    assert shape is not None
    assert law(shape) is (name not in LAWS[law])


@pytest.mark.parametrize("law", LAWS)
def test_each_law_catches_a_broken_shape(law: Callable[[shapes.Shape], bool]) -> None:
    def broken(examples: Sequence[Example], learner: Any) -> list[Example]:
        return [replace(e, advantage=shapes.reward_of(e) * (-1) ** i + 0.1) for i, e in enumerate(examples)]

    assert not law(broken)


@pytest.mark.parametrize("name", ROWS)
def test_cutting_an_update_changes_nothing_through_the_learner(tiny_engine: LocalEngine, name: str) -> None:
    """Shapes, reference and reductions together: the loss of an update is the same in one part and in many."""
    row = row_of(name, call="+") if name == "aspo" else ROWS[name]
    texts = ["answer 1 2", "7 + 5 = 12", "answer 3", "5", "no 9 answer 9", "4 4 4 4"]
    drawn = [(tiny_engine.encode(f"start {1 + i // 3} :"), tuple(tiny_engine.tokenizer.encode(t))) for i, t in enumerate(texts)]
    olds = tiny_engine.score(drawn)
    examples = [Example(p, t, r, tuple(x - 0.1 for x in o)) for (p, t), o, r in zip(drawn, olds, REWARDS, strict=True)]
    losses = []
    for micro_tokens in (10, 4_096):
        engine = copy.copy(tiny_engine)
        engine.model = copy.deepcopy(tiny_engine.model)
        learner = Learner(engine, micro_tokens=micro_tokens)
        learner.freeze_reference()
        losses.append(learner.update(examples, row)["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and losses[0] != 0


ANCHORED = {
    e.name: row
    for e in rows
    if "beta" in inspect.signature(cast(Callable[..., Any], e.value)).parameters and e.name != "unlikeliness"
    if (row := row_of(e.name, beta=0.1)).anchor
}


def law_anchors_vanish_at_the_reference(row: PolicyGradient) -> bool:
    """No advantage: at the reference nothing pulls, beside it each token is pulled back."""
    examples = [replace(e, reference=e.logprobs, advantage=0.0) for e in made()]
    b = batch_of(examples)

    def pull(away: float) -> Tensor:
        logp = (b.old + away * b.mask).requires_grad_()
        return torch.autograd.grad(row(b, logp)[0], [logp])[0][b.mask > 0]

    return bool((pull(0.0) == 0).all() and (pull(0.3) > 0).all() and (pull(-0.3) < 0).all())


@pytest.mark.parametrize("name", ANCHORED)
def test_every_anchor_keeps_its_law(name: str) -> None:
    assert law_anchors_vanish_at_the_reference(ANCHORED[name])


def test_the_law_catches_an_anchor_that_never_vanishes() -> None:
    assert len(ANCHORED) > 8
    assert not law_anchors_vanish_at_the_reference(row_of("kl-cov", beta=0.0))
    assert not law_anchors_vanish_at_the_reference(replace(ROWS["grpo"], anchor=parts.k1, beta=0.1))


def test_the_page_names_every_case() -> None:
    page = (Path(__file__).parents[1] / "docs" / "policy-gradients.md").read_text()
    told = {name.strip() for line in page.splitlines() if line.startswith("| ") for name in line.split("|")[1].split("·")}
    told = {name.split(" (")[0] for name in told}
    assert {case for case in (*LOSSES, *OUR_ADVANTAGES) if case not in told} == set()
    assert all(f"`{name}`" in page for name in ROWS)


# ---- golden numbers of what has no counterpart -------------------------------------------------------------------


def test_best_of_k_is_the_mean_over_all_choices() -> None:
    from itertools import combinations

    rewards = [0.3, 1.0, 0.0, 0.3, 0.7]
    for k in (2, 3, 5):
        choices = list(combinations(range(5), k))
        best = {c: max(rewards[i] for i in c) for c in choices}
        mean = lambda xs: sum(xs) / len(xs)
        assert exploring.best_of(k, rewards) == pytest.approx(mean(list(best.values())))
        assert exploring.best_with(k, rewards) == pytest.approx([mean([b for c, b in best.items() if i in c]) for i in range(5)])
        leads = [mean([b - max(rewards[j] for j in c if j != i) for c, b in best.items() if i in c]) for i in range(5)]
        assert exploring.marginal(k)(torch.tensor([rewards]))[0].tolist() == pytest.approx(leads, abs=1e-6)


def test_pass_at_k_advantages_in_closed_form() -> None:
    """Of 5 samples with 2 right, choices of 3: none right 1/10; with a given wrong one, and none right, C(2, 2)/C(4, 2)."""
    worth = 1 - 1 / 10
    deviation = math.sqrt(worth * (1 - worth))
    got = exploring.choices_of(3)(torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0, NAN]]))[0].tolist()
    right, wrong = (1 - worth) / deviation, (1 - 1 / 6 - worth) / deviation
    assert got == pytest.approx([right, right, wrong, wrong, wrong, 0.0], abs=1e-4)


def test_the_marginal_advantage_is_the_gradient_of_the_best_of_k() -> None:
    """Three answers with probabilities by softmax: the mean of k/n times advantage times score over all draws of four."""
    from itertools import product

    worth, k, n = [0.0, 0.5, 1.0], 2, 4
    z = torch.tensor([0.4, 0.1, -0.3], dtype=torch.float64, requires_grad=True)
    p = z.softmax(0)
    expected = sum(p[a] * p[b] * max(worth[a], worth[b]) for a, b in product(range(3), repeat=2))
    [exact] = torch.autograd.grad(expected, [z], retain_graph=True)
    total = torch.zeros(3, dtype=torch.float64)
    for draw in product(range(3), repeat=n):
        weights = exploring.marginal(k)(torch.tensor([[worth[a] for a in draw]], dtype=torch.float64))[0] * k / n
        chance = math.prod(p[a].item() for a in draw)
        for a, w in zip(draw, weights.tolist(), strict=True):
            total += chance * w * (torch.eye(3)[a] - p.detach())
    assert torch.allclose(total, exact, atol=1e-12)


def test_unlikely_right_answers_earn_more() -> None:
    three = [Example((1,), (5,), 1.0, (-0.1,)), Example((1,), (6,), 1.0, (-2.0,)), Example((1,), (7,), 0.0, (-1.0,))]
    shaped = exploring.unlikely(0.3)(three, STILL)
    assert [e.advantage for e in shaped] == pytest.approx([1 - 0.3, 1 - 0.3 / 3, 0.0])


def test_aspo_moves_right_calls_only_and_never_changes_a_sign() -> None:
    body = [(9, 1, 1, 1), (1, 1, 1, 9), (1, 9, 1, 1), (1, 1, 1, 1)]
    examples = [Example((1,), t, r, (-0.5,) * 4) for t, r in zip(body, [1.0, 1.0, 0.0, 1.0], strict=True)]
    plain = [e.advantage for e in shapes.grouped(parts.group_normalised)(examples, STILL)]
    shaped = [cast(float, e.advantage) for e in exploring.earlier("<tool>", -2.0, 0.7)(examples, TOOLS)]
    a = cast(float, plain[0])
    assert shaped == pytest.approx([a + 0.7 * a, a - 0.7 * a, plain[2], plain[3]])  # -2 (0 - 1.5) / 4 is 0.75, bounded
    assert all(x * cast(float, y) > 0 for x, y in zip(shaped, plain, strict=True))


def test_a_call_is_found_by_its_text_where_its_first_letters_stand_in_a_token_with_others() -> None:
    """Of the call's own tokens none stands in the sample: the blank before it has been joined with its first letter."""
    texts = [(1, 8, 10, 1, 9), (9, 1), (8, 1, 10), ()]
    assert [exploring.first_call(t, "<tool>", TOOLS.policy.tokenizer) for t in texts] == [1, 0, None, None]
    texts = [(8, 10, 1, 1), (1, 1, 8, 10), (1,) * 4]
    examples = [Example((1,), t, r, (-0.5,) * 4) for t, r in zip(texts, [1.0, 1.0, 0.0], strict=True)]
    early, late, _ = (cast(float, e.advantage) for e in exploring.earlier("<tool>", -2.0, 0.7)(examples, TOOLS))
    assert early > late > 0


def test_hybrid_rows_choose_by_how_many_samples_succeed() -> None:
    solved = [Example((1,), (5,), r, (-1.0,)) for r in (1.0, 0.0)] + [Example((1,), (6,), 1.0)]
    failed = [Example((2,), (5,), 0.0, (-1.0,)) for _ in range(2)] + [Example((2,), (6,), 1.0)]
    both = [*solved, *failed]
    assert flat(row_of("hpt").prepare(both, STILL)) == [0.5, -0.5, 0.0, 0.0, 0.0, 2.0]
    a = 0.5 / (math.sqrt(0.5) + 1e-4)
    assert flat(row_of("ahpo").prepare(both, STILL)) == pytest.approx([a, -a, 0.0, 0.0, 0.0, 2.0])
    assert flat(row_of("luffy").prepare(failed, STILL)) == pytest.approx([-1 / 3, -1 / 3, 2 / 3])


def test_demonstrations_have_a_surrogate_of_their_own() -> None:
    """HPT's gradient on a demonstration is that of imitation; LUFFY's is gamma p / (p + gamma)^2 times the advantage."""
    b = to_batch([Example((1,), (5, 6), 1.0), Example((1,), (7, 8), 1.0, (-1.0, -1.0))], 4, 2, 10, "cpu")
    logp = torch.tensor([[-0.7, -2.0], [-1.0, -1.0]], requires_grad=True)
    slope = lambda row: torch.autograd.grad(row(b, logp)[0], [logp])[0]
    assert torch.allclose(slope(row_of("hpt")), torch.full((2, 2), -1 / 4))
    p = logp[0].detach().exp()
    expected = torch.stack([-0.1 * p / (p + 0.1) ** 2, torch.full((2,), -1.0)]) / 20
    assert torch.allclose(slope(row_of("luffy")), expected)


def test_the_anchor_in_the_reward_is_paid_before_samples_are_compared() -> None:
    x = inputs(1)
    far = ((x.old - x.reference) * x.mask).sum(1)
    paid = (x.rewards - 0.1 * far).reshape(2, 3)
    expected = parts.leave_one_out(paid).flatten().tolist()
    shaped = row_of("rloo", beta=0.1).prepare(examples_of(x, x.rewards), STILL)
    assert [e.advantage for e in shaped] == pytest.approx(expected, abs=1e-5)
    for name in ("rloo", "rloo-clip", "remax", "reinforce++"):
        row = row_of(name, beta=0.1)
        assert row.anchor is None and row.beta == 0.1  # the loss has none, and the loop keeps a reference
    with pytest.raises(RecipeError, match="freeze_reference"):
        row_of("rloo", beta=0.1).prepare([replace(e, reference=()) for e in made()], STILL)


def test_each_token_pays_for_what_follows_it() -> None:
    e = Example((1,), (5, 6, 7), 1.0, (-1.0, -1.0, -1.0), (-2.0, -1.0, -4.0))
    [shaped] = shapes.charged_to_go(parts.k1, 0.1)([e], STILL)
    assert shaped.advantage == pytest.approx((1 - 0.4, 1 - 0.3, 1 - 0.3))


def test_a_credit_by_tokens_is_refused_where_completions_are_compared() -> None:
    with pytest.raises(RecipeError, match='"outcome"'):
        row_of("opo").prepare([Example((1,), (5, 6), (1.0, 0.0), (-1.0, -1.0))], STILL)


def test_a_bonus_on_entropy_flattens_the_policy(tiny_engine: LocalEngine) -> None:
    """What is read with it is exact, and without advantages the bonus alone raises the entropy."""
    from ratchet.learn.entropy import logprobs_and_entropies

    example = Example((2, 3), (4, 5, 6), 1.0, (-1.0,) * 3, (-1.0,) * 3)
    b = to_batch([example], 3, 1, 10, "cpu")
    read = lambda: logprobs_and_entropies(tiny_engine.model, b.ids, b.mask.bool())
    logp, entropies = read()
    assert torch.allclose(logp, token_logprobs(tiny_engine.model, b.ids, b.mask.bool()), atol=1e-6)
    every = tiny_engine.model(b.ids).log_softmax(-1)[:, :-1]
    assert torch.allclose(entropies, -(every.exp() * every).sum(-1) * b.mask, atol=1e-5)
    row = row_of("grpo", entropy=1.0)
    learner = Learner(tiny_engine, lr=1e-2, warmup=1)
    before = float(entropies.sum().detach())
    learner.update([replace(example, advantage=0.0)] * 2, row)
    learner.update([replace(example, advantage=0.0)] * 2, row)
    assert float(read()[1].sum().detach()) > before
    assert row.read is logprobs_and_entropies and row_of("grpo").read is token_logprobs


ESTIMATED = [e.name for e in rows if "kl" in inspect.signature(cast(Any, e.value)).parameters]


@pytest.mark.parametrize("name", ESTIMATED)
def test_a_run_chooses_how_the_distance_is_estimated(float64: None, name: str) -> None:
    """Each estimator is another penalty, and the default is k3; the bare k1 is refused with what to take."""
    b = to_batch([Example((1,), (5, 6), 0.0, (-1.0, -1.0), (-1.5, -0.2))], 2, 1, 10, "cpu")
    logp = torch.tensor([[-1.0, -0.8]])
    found = {kl: float(row_of(name, beta=0.5, kl=kl)(b, logp)[1]["kl"]) for kl in parts.ESTIMATORS}
    far = [0.5, -0.6]
    assert found["k2"] == pytest.approx(sum(x * x / 2 for x in far) / 2) and found["abs"] == pytest.approx(0.55)
    assert found["k1+"] == pytest.approx(-0.05)
    assert found["k3"] == pytest.approx(sum(math.exp(-x) - 1 + x for x in far) / 2) == found["k3+"]
    assert row_of(name, beta=0.5).anchor is row_of(name, beta=0.5, kl="k3").anchor
    with pytest.raises(RecipeError, match=r'kl must be one of k2, .* k1\+ has its value with the gradient of k2, got "k1"'):
        row_of(name, kl="k1")


def test_a_token_without_reference_is_not_held(float64: None) -> None:
    b = to_batch([Example((1,), (5, 6), 0.0, (-1.0, -1.0), (-1.5, NAN))], 2, 1, 10, "cpu")
    logp = torch.tensor([[-1.0, -1.0]], requires_grad=True)
    [g] = torch.autograd.grad(row_of("kl-cov")(b, logp)[0], [logp])
    assert g.tolist() == [[0.5, 0.0]]


def test_learner_and_engine_apart_weigh_and_are_cut(tiny_engine: LocalEngine) -> None:
    tokens = ((2, 3), (4, 5, 6))
    [own] = tiny_engine.score([tokens])
    engine = tuple(x - d for x, d in zip(own, (0.0, 0.3, 5.0), strict=True))
    learner = Learner(tiny_engine)
    [shaped] = trust.corrected(2.0)([Example(*tokens, 1.0, engine)], learner)
    assert shaped.advantage == pytest.approx((1.0, math.exp(0.3), 2.0), rel=1e-5) and shaped.logprobs == pytest.approx(own)
    [dropped] = trust.corrected(2.0, drop=True)([Example(*tokens, 1.0, engine)], learner)
    assert dropped.advantage == pytest.approx((1.0, math.exp(0.3), 0.0), rel=1e-5)
    written = Example(*tokens, 1.0)
    assert trust.corrected(2.0)([written], learner) == [written]


def test_steps_golden() -> None:
    assert within.gae([0.0, 1.0], [0.5, 0.25], gamma=1.0, decay=0.5) == [-0.25 + 0.5 * 0.75, 0.75]
    assert within.to_go([1.0, 2.0, 4.0], 0.5) == [3.0, 4.0, 4.0]
    assert within.gains([0.5, 0.25, 1.0]) == [-0.25, 0.75]
    scores = [0.9, 0.4, 0.7]
    assert within.clipped(scores, 0.6) == pytest.approx([0.0, -0.2, 0.0])
    assert within.delta(scores) == pytest.approx([0.5, 0.4, 0.0])
    assert within.to_go(within.delta(scores)) == pytest.approx([*scores[:-1], 0.0])
    assert within.delta([0.7]) == [0.0] and within.delta([]) == []
    assert within.over_tokens([1.0, 2.0], [2, 1]) == (1.0, 1.0, 2.0)


def test_a_reset_takes_the_reference_anew_and_forgets_the_steps(tiny_engine: LocalEngine) -> None:
    learner = Learner(tiny_engine, lr=0.01, warmup=4)
    learner.freeze_reference()
    for _ in range(3):
        learner.update([Example((2, 3), (4, 5), 1.0)], row_of("imitation"))
    apart = lambda: tiny_engine.score([((2, 3), (4, 5))])[0] != token_logprobs_of(learner.reference)
    token_logprobs_of = lambda model: LocalEngine(model, tiny_engine.tokenizer).score([((2, 3), (4, 5))])[0]
    assert apart() and learner.optimizers["adamw"][0].state
    exploring.reset(learner)
    assert not apart() and not learner.optimizers["adamw"][0].state and learner.rate() == 0.25
    assert exploring.stalled([0.1, 0.5, 0.4, 0.5, 0.3]) and not exploring.stalled([0.1, 0.5, 0.4, 0.6, 0.3])
    assert not exploring.stalled([0.5, 0.4, 0.3])
