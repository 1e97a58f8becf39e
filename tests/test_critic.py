"""Learned verifiers: every row learns what can be learned and nothing else, scores alone what it scores in a batch, and is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from ratchet.core.errors import EngineError
from ratchet.core.seeds import rng
from ratchet.core.types import Completion, Outcome, Task, Verdict
from ratchet.learn.batch import Example, micro_batches
from ratchet.learn.critic import Judged, Verifier, at_steps, at_the_end, critics, everywhere, fit, squared_error
from ratchet.learn.imitate import imitate
from ratchet.measure.ranking import auc
from ratchet.models import llama
from ratchet.models.critic import Critic, ValueModel, critic_from, last, least_at, load_critic, said, scorer_of, token_values
from ratchet.models.engine import LocalEngine, score
from ratchet.models.scheduler import Scheduler
from ratchet.models.tokens import WordTokenizer
from ratchet.search.strategy import SCORERS, strategies
from ratchet.search.tools import TOOLS

ROWS = {e.name: e.value for e in critics}
TOKENIZER = WordTokenizer([":", "bad", *(str(n) for n in range(12))])
COLON, BAD = TOKENIZER.encode(": bad")


def fresh() -> Critic:
    shape = llama.Shape(
        vocab=len(TOKENIZER.words), width=24, layers=1, heads=2, kv_heads=2, head_width=12, hidden=32, max_tokens=40
    )
    model = llama.Llama(shape)
    llama.init_weights(model, 5)
    return Critic(ValueModel(model), TOKENIZER)


def texts(n: int, *path: str | int, shuffled: bool = False) -> list[Judged]:
    """Three steps of four words. A step is wrong where a word of it is `bad`, a text where one of its steps is."""
    found: list[Judged] = []
    for i in range(n):
        random = rng("critic tests", *path, i)
        steps = [[random.randrange(4, 15) for _ in range(3)] for _ in range(3)]
        wrong = [random.random() < 0.25 for _ in steps]
        for step, spoilt in zip(steps, wrong, strict=True):
            if spoilt:
                step[random.randrange(3)] = BAD
        if shuffled:
            wrong = [random.random() < 0.25 for _ in steps]
        tokens = tuple(t for step in steps for t in (*step, COLON))
        labels = tuple((4 * k + 3, 1.0 - w) for k, w in enumerate(wrong))
        found.append(Judged((2, 5), tokens, 1.0 - any(wrong), labels))
    return found


def separates(critic: Critic, row: Verifier) -> float:
    """AUC over what the row is asked about at the end of a text or of a step, on texts that were not learned from."""
    held = texts(200, "held")
    values = critic.values([(j.prefix, j.tokens) for j in held])
    if row.labels is at_steps:
        return auc(
            [v[p] for j, v in zip(held, values, strict=True) for p, _ in j.steps], [x > 0 for j in held for _, x in j.steps]
        )
    return auc([v[-1] for v in values], [j.outcome > 0 for j in held])


def trained(row: Verifier, shuffled: bool = False) -> Critic:
    critic = fresh()
    losses = fit(critic, row, lambda update: texts(48, "train", update % 12, shuffled=shuffled), 80, 1e-2)
    assert len(losses) == 80 and all(map(math.isfinite, losses))
    return critic


@pytest.mark.parametrize("name", ROWS)
def test_every_row_learns_what_separates_and_nothing_from_shuffled_labels(name: str) -> None:
    assert separates(trained(ROWS[name]), ROWS[name]) > 0.95
    assert abs(separates(trained(ROWS[name], shuffled=True), ROWS[name]) - 0.5) < 0.15


def test_a_row_that_turns_its_loss_around_is_caught() -> None:
    broken = Verifier(at_the_end, lambda logits, target: F.softplus(logits) - (1 - target) * logits)
    assert separates(trained(broken), broken) < 0.5


def test_where_the_labels_lie() -> None:
    j = Judged((1,), (4, 4, 3, 5, 3), 0.0, ((2, 1.0), (4, 0.0)))
    shown = lambda labels: [None if math.isnan(x) else x for x in labels(j)]
    assert shown(at_the_end) == [None, None, None, None, 0.0]
    assert shown(everywhere) == [0.0] * 5
    assert shown(at_steps) == [None, None, 1.0, None, 0.0]
    assert squared_error(torch.tensor([0.0]), torch.tensor([1.0])).item() == pytest.approx(0.25)


def test_labels_of_zero_are_learned_and_counted() -> None:
    """An advantage of nothing teaches nothing; a label of nothing does."""
    wrong = [ROWS["ovm"].example(Judged((1, 2), (4, 5), 0.0)), ROWS["prm"].example(Judged((1, 2), (4, 5, 6), steps=((1, 0.0),)))]
    [batch] = micro_batches(wrong, 1_000, 10)
    assert batch.tokens == 3 == int(batch.mask.sum()) and len(batch.ids) == 2
    assert Example((1,), (2,), target=(math.nan,)).idle


def test_cutting_an_update_changes_nothing() -> None:
    for row in ROWS.values():
        gradients: list[torch.Tensor] = []
        for most in (40, 10_000):
            critic = fresh()
            torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
            for batch in micro_batches([row.example(j) for j in texts(12, "cut")], most, 40):
                row(batch, token_values(critic.model, batch.ids, batch.mask.bool()))[0].backward()
            gradients.append(torch.cat([p.grad.flatten() for p in critic.model.parameters() if p.grad is not None]))
        assert torch.allclose(gradients[0], gradients[1], atol=1e-5 * float(gradients[1].abs().max()))


# ---- scores ------------------------------------------------------------------------------------------------------

Values = Callable[[Critic, Sequence[Judged]], list[list[float]]]


def law_a_score_does_not_depend_on_its_batch(values: Values) -> bool:
    critic = fresh()
    torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
    some = [Judged(j.prefix, j.tokens[: 4 + i % 9]) for i, j in enumerate(texts(30, "batch"))]
    together, alone = values(critic, some), [values(critic, [j])[0] for j in some]
    return all(a == pytest.approx(b, abs=1e-6) for a, b in zip(together, alone, strict=True))


def law_a_value_sees_its_token_and_none_after_it(values: Values) -> bool:
    critic = fresh()
    torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
    one, two = Judged((2, 5), (4, 6, 7)), Judged((2, 5), (4, 6, 8))
    [a, b] = values(critic, [one, two])
    return a[:2] == pytest.approx(b[:2], abs=1e-6) and abs(a[2] - b[2]) > 1e-4


def given(critic: Critic, judged: Sequence[Judged]) -> list[list[float]]:
    return critic.values([(j.prefix, j.tokens) for j in judged])


def centred(critic: Critic, judged: Sequence[Judged]) -> list[list[float]]:
    found = given(critic, judged)
    mean = sum(map(sum, found)) / sum(map(len, found))
    return [[v - mean for v in row] for row in found]


def one_too_early(critic: Critic, judged: Sequence[Judged]) -> list[list[float]]:
    def read(model: ValueModel, ids: torch.Tensor, mask: torch.Tensor, bf16: bool) -> torch.Tensor:
        return torch.zeros(mask.shape).masked_scatter(mask, model.at(ids, F.pad(mask, (0, 1))))

    return score(critic.model, [(j.prefix, j.tokens) for j in judged], read=read)


def test_values_keep_their_laws_and_broken_ones_are_caught() -> None:
    assert law_a_score_does_not_depend_on_its_batch(given)
    assert law_a_value_sees_its_token_and_none_after_it(given)
    assert not law_a_score_does_not_depend_on_its_batch(centred)
    assert not law_a_value_sees_its_token_and_none_after_it(one_too_early)


def test_a_critic_is_a_scorer_of_best_of_n(tiny_engine: LocalEngine) -> None:
    """It was taught to like texts that begin with an even number, and best-of-n then answers with them."""
    before = [p.clone() for p in tiny_engine.model.parameters()]
    numbers = tiny_engine.tokenizer.encode(" ".join(map(str, range(100))))
    likes = [Judged((2, 3), (t,), float(i % 2 == 0)) for i, t in enumerate(numbers)]
    critic = critic_from(tiny_engine)
    fit(critic, ROWS["orm"], lambda update: likes, 80, 1e-2)
    task = Task("f", "numbers 1 2 target 3 :", 3, "numeric")

    def begins(completion: Completion, values: Sequence[float]) -> float:
        return values[0]

    scheduler = Scheduler(
        tiny_engine, lambda pairs: [Verdict(Outcome.FAIL) for _ in pairs], SCORERS | {"even": scorer_of(critic, begins)}, TOOLS
    )
    traces = scheduler.run(strategies["best-of-n"], [task], "critic", knobs={"n": 16, "scorer": "even"}, samples=8)
    spread: list[float] = []
    for t in traces:
        worth = {id(c): critic.values([(c.prefix, c.tokens)])[0][0] for c in t.completions}
        assert worth[id(t.answer)] == pytest.approx(max(worth.values()), abs=1e-6)
        spread.append(max(worth.values()) - min(worth.values()))
    assert max(spread) > 0.01, "the samples must differ for the choice to show"
    assert all(torch.equal(p, q) for p, q in zip(tiny_engine.model.parameters(), before, strict=True))


def test_new_blocks_change_nothing_before_they_learn(tiny_engine: LocalEngine, tmp_path: Path) -> None:
    ids = torch.tensor([[2, 3, 4, 5], [6, 7, 8, 0]])
    critic = critic_from(tiny_engine, blocks=2)
    assert len(critic.model.trunk.blocks) == len(tiny_engine.model.blocks) + 2
    assert torch.allclose(critic.model.trunk.states(ids), tiny_engine.model.states(ids), atol=1e-6)
    fit(critic, ROWS["orm"], lambda update: [Judged((2, 3), (4,), 1.0), Judged((2, 3), (5,), 0.0)], 20, 1e-2)
    assert not torch.allclose(critic.model.trunk.states(ids), tiny_engine.model.states(ids), atol=1e-2)
    critic.save(tmp_path)
    assert load_critic(tmp_path).values([((2, 3), (4, 5))]) == critic.values([((2, 3), (4, 5))])


def test_a_chain_is_as_good_as_its_worst_step() -> None:
    c = Completion((2,), (5, COLON, 6, COLON, 7), "", (0.0,) * 5, "end")
    assert least_at(frozenset({COLON}))(c, [0.1, 0.8, 0.2, 0.6, 0.3]) == 0.6
    assert least_at(frozenset({BAD}))(c, [0.1, 0.8, 0.2, 0.6, 0.3]) == last(c, [0.1, 0.8, 0.2, 0.6, 0.3]) == 0.3


def test_a_saved_critic_says_the_same_to_the_bit(tmp_path: Path) -> None:
    critic = fresh()
    torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
    pairs = [(j.prefix, j.tokens) for j in texts(10, "kept")]
    critic.save(tmp_path / "critic")
    again = load_critic(tmp_path / "critic")
    assert again.values(pairs) == critic.values(pairs) != fresh().values(pairs)
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), critic.model.parameters(), strict=True))
    with pytest.raises(EngineError, match=r"holds no value_head\.safetensors"):
        load_critic(tmp_path)
    (tmp_path / "critic" / "value_head.safetensors").write_bytes(b"x")
    with pytest.raises(EngineError, match="not a whole critic"):
        load_critic(tmp_path / "critic")


def test_a_judge_that_says_a_token_is_imitation_and_its_share(tiny_engine: LocalEngine) -> None:
    """The verdict `yes` where a text ends in an even number, learned as one token after it."""
    tokenizer = tiny_engine.tokenizer
    numbers = tokenizer.encode(" ".join(map(str, range(60))))
    yes, no = tokenizer.encode("yes no")
    examples = [Example((2, t), (no if i % 2 else yes,)) for i, t in enumerate(numbers)]
    imitate(tiny_engine, lambda update: examples, 60, 1e-2)
    shares = said(tiny_engine, [((2,), (t,)) for t in numbers], yes, no)
    assert auc(shares, [i % 2 == 0 for i in range(60)]) > 0.95 and all(0 <= s <= 1 for s in shares)


def test_auc() -> None:
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1.0 and auc([4, 3, 2, 1], [False, False, True, True]) == 0.0
    assert auc([1, 1, 1], [True, False, False]) == 0.5 and math.isnan(auc([1, 2], [True, True]))
    random = rng("auc")
    scores, labels = [random.randrange(9) for _ in range(60)], [random.random() < 0.4 for _ in range(60)]
    pairs = [(a > b) + (a == b) / 2 for a, x in zip(scores, labels) for b, y in zip(scores, labels) if x and not y]
    assert auc(scores, labels) == pytest.approx(sum(pairs) / len(pairs))
