"""Preference rows: TRL's numbers, laws measured for every row, broken rows caught; pairs from traces; the loop over pairs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ratchet.core.errors import RecipeError
from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.learn import margins
from ratchet.learn.batch import Batch, Example, Pair, micro_batches, to_batch
from ratchet.learn.credit import verdict_reward
from ratchet.learn.pairs import pairs_of, written_pair
from ratchet.learn.preferences import Preference, PreferenceRow, Prospect, preferences
from ratchet.learn.train import Learner
from ratchet.models.engine import LocalEngine, token_logprobs

GOLDEN = json.loads((Path(__file__).parent / "data" / "parity_preferences.json").read_text())
ROWS = {e.name: e.value() for e in preferences}


# ---- parity ------------------------------------------------------------------------------------------------------


def shared_batch(b: dict[str, Any]) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """Our batch of a golden one, its log-probabilities as a leaf, and where our rows stand among the golden ones."""
    n = len(b["mask"]) // 2
    ours = torch.arange(2 * n).reshape(2, n).T.flatten()  # chosen and rejected in turn
    mask, policy, reference = (torch.tensor(b[name], dtype=torch.float64)[ours] for name in ("mask", "policy", "reference"))
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(n)[:, None] * mask
    ids = torch.zeros(2 * n, mask.shape[1] + 1, dtype=torch.long)
    batch = Batch(ids, mask, torch.zeros_like(mask), reference, sign, torch.zeros_like(mask), int(mask.sum()), 2 * n, 10)
    return batch, policy.requires_grad_(), ours


@pytest.mark.parametrize("b", GOLDEN["batches"], ids=["first", "second"])
@pytest.mark.parametrize("name", GOLDEN["batches"][0]["rows"])
def test_every_row_is_the_librarys_formula(name: str, b: dict[str, Any]) -> None:
    golden = b["rows"][name]
    row = preferences[name](**golden["knobs"])
    if isinstance(row, Prospect):
        row = replace(row, point=b["point"])
    batch, logp, ours = shared_batch(b)
    loss, _ = row(batch, logp)
    [gradient] = torch.autograd.grad(loss, [logp])
    assert float(loss.detach()) == pytest.approx(golden["loss"], abs=1e-6)
    assert torch.allclose(gradient, torch.tensor(golden["gradient"], dtype=torch.float64)[ours], rtol=0, atol=1e-6)
    assert float(gradient.abs().max()) > 1e-4


def test_golden_values_exist_for_all_rows_but_those_that_are_another_on_other_pairs() -> None:
    assert set(ROWS) - set(GOLDEN["batches"][0]["rows"]) == {"step-dpo"}  # dpo, of a part of each pair


# ---- laws of every row -------------------------------------------------------------------------------------------


def even_batch(lengths: tuple[int, int] = (3, 3)) -> tuple[Batch, torch.Tensor]:
    """Two pairs whose completions are worth the same to every row: the policy is the reference, log-probabilities alike."""
    pairs = []
    for i in range(2):
        logps = tuple(-0.3 - 0.2 * i - 0.1 * j for j in range(max(lengths)))
        a, b = (Example((2, 3), tuple(range(4, 4 + n)), reference=logps[:n]) for n in lengths)
        pairs.append(Pair(a, b))
    rows = [row for p in pairs for row in p.rows]
    b = to_batch(rows, sum(map(len, rows)), len(rows), 10, "cpu")
    return b, b.reference.clone().requires_grad_()


def gradient(row: PreferenceRow, b: Batch, logp: torch.Tensor) -> torch.Tensor:
    loss, _ = row(b, logp)
    [g] = torch.autograd.grad(loss, [logp])
    return g


def link_alone(row: PreferenceRow) -> PreferenceRow:
    return replace(row, alpha=0.0) if isinstance(row, Preference) else row


def law_swapping_turns_the_gradient_round(row: PreferenceRow) -> bool:
    """Where both are worth the same. Of the link: who imitates the chosen one besides imitates another after the swap."""
    b, logp = even_batch()
    swap = torch.arange(len(b.ids)).reshape(-1, 2).flip(1).flatten()
    other = replace(b, ids=b.ids[swap], mask=b.mask[swap], reference=b.reference[swap])  # the signs stay: 1, -1, 1, -1
    first = gradient(link_alone(row), b, logp)
    turned = gradient(link_alone(row), other, logp[swap].detach().requires_grad_())[swap]
    return bool(torch.allclose(first, -turned, atol=1e-7) and first.abs().max() > 0)


def law_a_step_raises_the_margin(row: PreferenceRow) -> bool:
    """A small step down the gradient makes the chosen ones worth more than the rejected ones; nothing else moves."""
    b, logp = even_batch((3, 2))
    g = gradient(row, b, logp)
    after = row(b, (logp - 1e-3 / g.abs().max() * g).detach())[1]["margin"]
    return bool(after > row(b, logp)[1]["margin"] + 1e-6) and bool((g[b.mask == 0] == 0).all())


def law_equal_sequences_teach_nothing(row: PreferenceRow) -> bool:
    """A pair of one and the same completion: what the two rows ask of the model cancels out."""
    b, logp = even_batch()
    g = gradient(link_alone(row), b, logp)
    return bool((g[0::2] + g[1::2]).abs().max() < 1e-7)


def law_cutting_changes_nothing(row: PreferenceRow) -> bool:
    """The gradient of an update is the sum over its parts, however it is cut."""
    b, logp = even_batch((3, 2))
    parts = [slice(0, 2), slice(2, 4)]
    names = ("ids", "mask", "old", "reference", "advantage", "target")
    cut = [gradient(row, replace(b, **{n: getattr(b, n)[p] for n in names}), logp[p].detach().requires_grad_()) for p in parts]
    return bool(torch.allclose(torch.cat(cut), gradient(row, b, logp), atol=1e-7))


CLAIMED = [law_swapping_turns_the_gradient_round, law_equal_sequences_teach_nothing]
ALWAYS = [law_a_step_raises_the_margin, law_cutting_changes_nothing]


@pytest.mark.parametrize("law", [*CLAIMED, *ALWAYS])
@pytest.mark.parametrize("name", ROWS)
def test_every_row_keeps_its_laws(name: str, law: Callable[[PreferenceRow], bool]) -> None:
    claimed = law in ALWAYS or ROWS[name].flips
    assert law(ROWS[name]) is claimed, "a law that a row does not claim must fail, or the row should claim it"


def test_which_rows_do_not_flip() -> None:
    """APO-down pushes both completions down, so a swap does not turn its gradient round."""
    assert [name for name, row in ROWS.items() if not row.flips] == ["apo-down"]


class WithoutDivisor(Preference):
    """Broken: divides by the pairs of the part, not of the update."""

    def __call__(self, batch: Batch, logp: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        return super().__call__(replace(batch, sequences=len(batch.ids)), logp)


@pytest.mark.parametrize(
    ("law", "row"),
    [
        (law_swapping_turns_the_gradient_round, Preference(margins.log_ratio, lambda a, b: (a - 1).square() - b)),
        (law_a_step_raises_the_margin, Preference(margins.log_ratio, lambda a, b: margins.logistic(0.1)(b, a))),
        (law_a_step_raises_the_margin, Preference(lambda b, logp: margins.log_ratio(b, logp.detach()) + 0 * logp.sum(-1), margins.logistic(0.1))),
        (law_equal_sequences_teach_nothing, Preference(margins.log_ratio, lambda a, b: -a - 0.5 * -b)),
        (law_cutting_changes_nothing, WithoutDivisor(margins.log_ratio, margins.logistic(0.1))),
    ],
)  # fmt: skip
def test_each_law_catches_a_broken_row(law: Callable[[PreferenceRow], bool], row: PreferenceRow) -> None:
    assert not law(row)


# ---- pairs from traces -------------------------------------------------------------------------------------------


def trace(outcomes: str, key: str = "a", stops: str = "", answer: int | None = None) -> Trace:
    task = Task("f", key, 1, "numeric")
    stop = {"e": "end", "s": "stop"}
    cs = [
        Completion((1, 2), (3, i + 4), f"{i}", (-0.1, -0.2), stop[(stops or "e" * len(outcomes))[i]])  # type: ignore[arg-type]
        for i in range(len(outcomes))
    ]
    verdicts = [Verdict({"p": Outcome.PASS, "f": Outcome.FAIL, "a": Outcome.ABSTAIN}[o]) for o in outcomes]
    return Trace(task, "s", events=[Event(Draw("x"), cs)], verdicts=verdicts, answer=None if answer is None else cs[answer])


def last_tokens(pairs: list[Pair]) -> list[tuple[int, int]]:
    return [(p.chosen.tokens[-1] - 4, p.rejected.tokens[-1] - 4) for p in pairs]


def test_pairs_are_right_and_wrong_answers_of_one_prompt() -> None:
    pairs = pairs_of([trace("pfap"), trace("pp", "b"), trace("ff", "c")], verdict_reward, "here", most=4)
    assert len(pairs) == 1 and last_tokens(pairs)[0][0] in (0, 3) and last_tokens(pairs)[0][1] == 1
    many = pairs_of([trace("ppffp"), trace("fp")], verdict_reward, "here", most=4)  # two traces of one task: 4 right, 3 wrong
    assert len(many) == 3 and all(p.chosen.prefix == p.rejected.prefix for p in many)
    assert pairs_of([trace("ppffp")], verdict_reward, "here") == pairs_of([trace("ppffp")], verdict_reward, "here")
    chosen = {last_tokens(pairs_of([trace("ppffp")], verdict_reward, i))[0][0] for i in range(20)}
    assert chosen == {0, 1, 4}, "which of the right ones is taken is left to chance, not to the order of drawing"


def test_steps_of_a_search_are_not_answers() -> None:
    assert pairs_of([trace("fp", stops="se")], verdict_reward) == []
    assert len(pairs_of([trace("fp", stops="se", answer=0)], verdict_reward)) == 1


def test_where_two_completions_part() -> None:
    ends = {9}
    a, b = Example((1,), (5, 9, 6, 7, 9, 8, 9)), Example((1,), (5, 9, 6, 6, 9, 4, 9))
    cut = margins.at_the_fork(Pair(a, b), ends)
    assert cut.chosen == Example((1, 5, 9), (6, 7, 9)) and cut.rejected == Example((1, 5, 9), (6, 6, 9))
    same = Pair(a, replace(a, tokens=(5, 9)))
    assert margins.at_the_fork(same, ends) == same


# ---- the loop ----------------------------------------------------------------------------------------------------


def pairs_for(engine: LocalEngine) -> list[Pair]:
    texts = [("start 7 then + 5 :", "answer 12", "no 1 no 2 no 3 answer 4"), ("start 9 :", "answer 9", "answer 8"),
             ("start 1 then * 3 :", "1 * 3 = 3 answer 3", "answer 1")]  # fmt: skip
    return [written_pair(engine, *text) for text in texts]


def test_pairs_stay_together_however_an_update_is_cut(tiny_engine: LocalEngine) -> None:
    pairs = pairs_for(tiny_engine)
    for most in (1, 30, 60, 10_000):
        parts = list(micro_batches(pairs, most, 10))
        assert {b.sequences for b in parts} == {6} and {b.tokens for b in parts} == {
            sum(r.learned for p in pairs for r in p.rows)
        }
        for b in parts:
            assert (
                torch.equal(b.ids[0::2, :3], b.ids[1::2, :3])
                and (b.advantage[0::2] >= 0).all()
                and (b.advantage[1::2] <= 0).all()
            )
    assert [len(b.ids) for b in micro_batches(pairs, 1, 10)] == [2, 2, 2]


def update_gradient(engine: LocalEngine, row: PreferenceRow, most: int) -> torch.Tensor:
    model = copy.deepcopy(engine.model)
    for b in micro_batches(pairs_for(engine), most, 10):
        logp = token_logprobs(model, b.ids, b.mask.bool())
        row(replace(b, reference=logp.detach() * 0.9), logp)[0].backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", ROWS)
def test_cutting_an_update_of_the_model_changes_nothing(tiny_engine: LocalEngine, name: str) -> None:
    cut, whole = (update_gradient(tiny_engine, ROWS[name], most) for most in (30, 10_000))
    assert torch.allclose(cut, whole, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize("name", ["dpo", "step-dpo", "kto", "orpo"])
def test_a_policy_learns_what_is_preferred(tiny_engine: LocalEngine, name: str) -> None:
    row = preferences[name](delimiter="no") if name == "step-dpo" else ROWS[name]
    learner = Learner(tiny_engine, lr=3e-3, warmup=1)
    if row.reference:
        learner.freeze_reference()
    pairs = pairs_for(tiny_engine)
    log = []
    for _ in range(15):
        units, objective = row.prepared(learner, pairs)
        log.append(learner.update(units, objective))
    assert log[-1]["margin"] > log[0]["margin"] + 0.5 and log[-1]["ranked"] == 1.0 and log[-1]["loss"] < log[0]["loss"]


def test_the_reference_point_of_kto_is_the_divergence_on_other_prompts(tiny_engine: LocalEngine) -> None:
    learner = Learner(tiny_engine)
    learner.freeze_reference()
    units = pairs_for(tiny_engine)
    assert ROWS["kto"].prepared(learner, units)[1].point == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        tiny_engine.model.embed.weight.mul_(1.5)
    before = learner.reference
    rows, objective = ROWS["kto"].prepared(learner, units)
    crossed = [(rows[i].prefix, rows[j].tokens) for i, j in ((0, 2), (1, 2), (2, 4), (3, 4), (4, 0), (5, 0))]
    engine = LocalEngine(before, tiny_engine.tokenizer)  # type: ignore[arg-type]
    expected = (sum(map(sum, tiny_engine.score(crossed))) - sum(map(sum, engine.score(crossed)))) / 6
    assert objective.point == pytest.approx(max(0.0, expected), abs=1e-4)


def test_a_row_over_pairs_refuses_a_completion_without_a_partner(tiny_engine: LocalEngine) -> None:
    with pytest.raises(RecipeError, match="without a partner"):
        ROWS["dpo"].prepared(Learner(tiny_engine), [Example((1,), (2,))])
