"""Learned verifiers: every row learns what can be learned and nothing else, scores alone what it scores in a batch, and is kept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from ratchet.core.errors import EngineError, RecipeError
from ratchet.core.seeds import rng
from ratchet.core.types import Completion, Outcome, Task, Verdict
from ratchet.learn.batch import Example, micro_batches
from ratchet.learn.critic import (
    Judged,
    Pairwise,
    Verifier,
    at_steps,
    at_the_end,
    critics,
    everywhere,
    fit,
    pairs_of,
    row_of,
    squared_error,
    teach_to_say,
    verdicts,
)
from ratchet.learn.heads import heads, hl_gauss, two_hot
from ratchet.measure.ranking import auc, auc_within
from ratchet.models import llama
from ratchet.models.critic import (
    Critic,
    ValueModel,
    critic_from,
    disagreement,
    last,
    least_at,
    load_critic,
    pessimistic,
    said,
    scorer_of,
    together,
    token_values,
)
from ratchet.models.engine import LocalEngine, score
from ratchet.models.heads import Bins, Number, Says
from ratchet.models.scheduler import Scheduler
from ratchet.models.tokens import WordTokenizer
from ratchet.search.strategy import SCORERS, strategies
from ratchet.search.tools import TOOLS

Row = Verifier | Pairwise
ROWS = {e.name: e.value for e in critics}
TOKENIZER = WordTokenizer([":", "bad", *(str(n) for n in range(12))])
COLON, BAD = TOKENIZER.encode(": bad")


def fresh(says: Says | None = None, members: int = 1, words: int = 1) -> Critic:
    shape = llama.Shape(
        vocab=len(TOKENIZER.words), width=24, layers=1, heads=2, kv_heads=2, head_width=12, hidden=32, max_tokens=40
    )
    model = llama.Llama(shape)
    llama.init_weights(model, 5)
    return Critic(ValueModel(model, says, members, words), TOKENIZER)


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


def separates(critic: Critic, row: Row) -> float:
    """AUC over what the row is asked about at the end of a text or of a step, on texts that were not learned from."""
    held = texts(200, "held")
    values = critic.values([(j.prefix, j.tokens) for j in held])
    if row.labels is at_steps:
        return auc(
            [v[p] for j, v in zip(held, values, strict=True) for p, _ in j.steps], [x > 0 for j in held for _, x in j.steps]
        )
    return auc([v[-1] for v in values], [j.outcome > 0 for j in held])


def trained(row: Row, shuffled: bool = False, draw: int = 0) -> Critic:
    critic = fresh(row.says)
    losses = fit(critic, row, lambda update: texts(48, "train", 12 * draw + update % 12, shuffled=shuffled), 80, 1e-2)
    assert len(losses) == 80 and all(map(math.isfinite, losses))
    return critic


@pytest.mark.parametrize("name", ROWS)
def test_every_row_learns_what_separates_and_nothing_from_shuffled_labels(name: str) -> None:
    assert separates(trained(ROWS[name]), ROWS[name]) > 0.95
    # what one draw of shuffled labels says of the one word that matters is chance, and takes the whole AUC with it
    drawn = [separates(trained(ROWS[name], shuffled=True, draw=draw), ROWS[name]) for draw in range(4)]
    assert abs(sum(drawn) / len(drawn) - 0.5) < 0.15


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
    ovm, prm = (row for row in (ROWS["ovm"], ROWS["prm"]) if isinstance(row, Verifier))
    wrong = [ovm.example(Judged((1, 2), (4, 5), 0.0)), prm.example(Judged((1, 2), (4, 5, 6), steps=((1, 0.0),)))]
    [batch] = micro_batches(wrong, 1_000, 10)
    assert batch.tokens == 3 == int(batch.mask.sum()) and len(batch.ids) == 2
    assert Example((1,), (2,), target=(math.nan,)).idle


def test_cutting_an_update_changes_nothing() -> None:
    for row in ROWS.values():
        gradients: list[torch.Tensor] = []
        for most in (40, 10_000):
            critic = fresh(row.says)
            torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
            for batch in micro_batches(row.examples(critic, texts(12, "cut")), most, 40):
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
    head = tmp_path / "critic" / "value_head.safetensors"
    save_file(load_file(head), head)  # as it was written before heads said other things than chances
    assert load_critic(tmp_path / "critic").values(pairs) == critic.values(pairs)
    head.write_bytes(b"x")
    with pytest.raises(EngineError, match="not a whole critic"):
        load_critic(tmp_path / "critic")


def test_a_judge_that_says_a_token_is_imitation_and_its_share(tiny_engine: LocalEngine) -> None:
    """The verdict `yes` where a text ends in an even number, learned as one token after it."""
    tokenizer = tiny_engine.tokenizer
    numbers = tokenizer.encode(" ".join(map(str, range(60))))
    yes, no = tokenizer.encode("yes no")
    judged = [Judged((2,), (t,), float(i % 2 == 0)) for i, t in enumerate(numbers)]
    assert verdicts([*judged[:2], Judged((2,), (7,))], yes, no) == [
        Example((2, numbers[0]), (yes,)),
        Example((2, numbers[1]), (no,)),
    ]
    teach_to_say(tiny_engine, lambda update: judged, yes, no, 60, 1e-2)
    shares = said(tiny_engine, [((2,), (t,)) for t in numbers], yes, no)
    assert auc(shares, [i % 2 == 0 for i in range(60)]) > 0.95 and all(0 <= s <= 1 for s in shares)


# ---- heads -------------------------------------------------------------------------------------------------------

HEADS = {e.name: e.value for e in heads}


def worst_round_trip(spread: Callable[[torch.Tensor, Bins], torch.Tensor], free: float) -> float:
    """The largest error of the mean of what a value is spread to, as a share of the range, so many bins from its ends."""
    worst = 0.0
    for bins in (Bins(-3.0, 5.0, 21), Bins(0.0, 1.0, 51), Bins(-100.0, 0.0, 101)):
        values = torch.linspace(bins.low + free * bins.width, bins.high - free * bins.width, 997)
        shares = spread(values, bins)
        assert torch.allclose(shares.sum(-1), torch.ones(997), atol=1e-5) and (shares >= 0).all()
        worst = max(worst, float((bins.mean(shares) - values).abs().max()) / (bins.high - bins.low))
    return worst


def test_a_value_survives_its_bins() -> None:
    assert worst_round_trip(hl_gauss, 2) < 1e-3 and worst_round_trip(two_hot, 0.5) < 1e-5
    # the bias at the ends of the range is why values are kept off them
    assert 1e-3 < worst_round_trip(hl_gauss, 0) < 0.05
    nearest = lambda values, bins: F.one_hot(two_hot(values, bins).argmax(-1), bins.count).float()
    assert worst_round_trip(nearest, 2) > 1e-3, "a broken spread shows"


def test_hl_gauss_golden() -> None:
    """By hand: the mass of a normal distribution of deviation 0.75 around the middle of five bins of width 1."""
    half, rest = (0.5 * (1 + math.erf(x / 0.75 / math.sqrt(2))) for x in (0.5, 1.5))
    whole = math.erf(2.5 / 0.75 / math.sqrt(2))
    [shares] = hl_gauss(torch.tensor([2.5]), Bins(0.0, 5.0, 5)).tolist()
    assert shares[2] == pytest.approx((2 * half - 1) / whole, abs=1e-5) and shares[1] == pytest.approx(
        (rest - half) / whole, abs=1e-5
    )
    assert shares == pytest.approx(shares[::-1], abs=1e-5)


def learned_mean(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], says: Says) -> float:
    """What a head says that had to say one value of targets of which a quarter are 1 and the others 0."""
    outputs = torch.zeros(says.outputs if says.outputs > 1 else (), requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.05)
    targets = torch.tensor([1.0, 0.0, 0.0, 0.0])
    for _ in range(300):
        optimizer.zero_grad()
        loss(outputs.expand(4, *outputs.shape), targets).mean().backward()
        optimizer.step()
    return float(says.value(outputs.detach()))


@pytest.mark.parametrize("name", sorted(set(HEADS) - {"huber"}))
def test_every_head_learns_the_mean_of_a_noisy_value(name: str) -> None:
    head = HEADS[name](-0.5, 1.5)
    assert learned_mean(head.loss, head.says) == pytest.approx(0.25, abs=0.01)


def test_the_law_of_the_mean_catches_a_head_that_learns_the_median() -> None:
    assert learned_mean(lambda x, y: (x - y).abs(), Number()) < 0.1
    assert learned_mean(HEADS["huber"](0.0, 1.0).loss, Number()) < 0.2, "Huber's error is known to lean towards the median"


def test_a_head_that_is_none_is_said(tiny_engine: LocalEngine) -> None:
    with pytest.raises(RecipeError, match=r"up to a larger one, got 1\.0 to 1\.0"):
        Bins(1.0, 1.0)
    with pytest.raises(RecipeError, match="bins must be 2 or more"):
        Bins(0.0, 1.0, 1)
    with pytest.raises(EngineError, match=r"critic_from\(policy, says=row\.says\)"):
        fit(critic_from(tiny_engine), ROWS["value-hl-gauss"], lambda update: [], 1)
    with pytest.raises(EngineError, match="no head of words"):
        critic_from(tiny_engine).next_values([(2,)])
    with pytest.raises(EngineError, match="a single head"):
        fit(critic_from(tiny_engine, members=2), ROWS["pairwise"], lambda update: [Judged((2,), (3,), 1.0)], 1)


def bradley_terry(critic: Critic, judged: Sequence[Judged]) -> tuple[float, torch.Tensor]:
    """The loss written as in the paper, and its gradient."""
    ends = [
        critic.model.at(torch.tensor([j.prefix + j.tokens]), F.pad(torch.tensor([[True]]), (15 - 2 + 1 - 1, 0))) for j in judged
    ]
    gaps = torch.stack([ends[a][0] - ends[b][0] for a, b in pairs_of(judged)])
    loss = -F.logsigmoid(gaps).mean()
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in critic.model.parameters() if p.grad is not None])


def test_pairs_that_lie_in_different_parts_pull_as_they_would_together() -> None:
    judged = [Judged(j.prefix, j.tokens, j.outcome, group=i % 2) for i, j in enumerate(texts(12, "pairs"))]
    row, found = ROWS["pairwise"], []
    for critic in (fresh(), fresh()):
        torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
        found.append(critic)
    expected, gradient = bradley_terry(found[0], judged)
    loss = 0.0
    for batch in micro_batches(row.examples(found[1], judged), 14, 40):
        assert len(batch.ids) == 1
        part, _ = row(batch, token_values(found[1].model, batch.ids, batch.mask.bool()))
        part.backward()
        loss += part.item()
    own = torch.cat([p.grad.flatten() for p in found[1].model.parameters() if p.grad is not None])
    assert loss == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(own, gradient, atol=1e-5 * float(gradient.abs().max()))
    better, worse = Judged((1,), (4,), 0.7), Judged((1,), (5,), 0.2)
    assert pairs_of([worse, better, Judged((2,), (6,), 0.1), Judged((1,), (7,), 0.0, group="other"), Judged((1,), (8,))]) == [
        (1, 0)
    ]
    assert row.examples(fresh(), [better]) == []


def test_a_head_of_words_says_before_a_token_what_each_would_be_worth() -> None:
    """Whether `bad` comes is all that counts, so that it must be the worst next word, and the state before it knows nothing."""
    row = row_of(everywhere, HEADS["hl-gauss"](-0.5, 1.5, bins=11))
    critic = fresh(row.says, words=len(TOKENIZER.words))
    words = (BAD, *range(4, 15))
    judged = [Judged((2, first), (word,), float(word != BAD)) for word in words for first in (5, 6, 7)]
    fit(critic, row, lambda update: judged, 60, 1e-2)
    for own in critic.next_values([(2, 5), (2, 6)]):
        assert own[BAD] < 0.2 and min(own[w] for w in words[1:]) > 0.8
        [after] = critic.values([((2, 5), (BAD,))])
        assert after[0] == pytest.approx(critic.next_values([(2, 5)])[0][BAD], abs=1e-5)


def test_the_members_of_an_ensemble_disagree_where_they_were_taught_nothing(tmp_path: Path) -> None:
    critic = fresh(members=8)
    known = [Judged((2, 5), (t,), float(t % 2)) for t in range(4, 10)]
    fit(critic, ROWS["orm"], lambda update: known, 80, 1e-2)
    apart = lambda tokens: max(disagreement(own[0]) for own in critic.members([((2, 5), (t,)) for t in tokens]))
    assert apart(range(4, 10)) < apart(range(10, 15)) / 2
    pair = [((2, 5), (12,))]
    [[least]], [[mean]], [[careful]] = (critic.values(pair, pool) for pool in (min, statistics.fmean, pessimistic(0.5)))
    assert least < careful < mean == critic.values(pair)[0][0]
    critic.save(tmp_path)
    assert load_critic(tmp_path).members(pair) == critic.members(pair)
    task, c = Task("f", "x", 1, "numeric"), Completion((2, 5), (12,), "", (0.0,), "end")
    both = together([scorer_of(critic, pool=min), scorer_of(critic, pool=max)])
    assert both(task, [c], lambda pairs: []) == [pytest.approx(least)]


@pytest.mark.parametrize("name", ["value-hl-gauss", "pointwise"])
def test_a_saved_critic_knows_what_its_head_says(name: str, tmp_path: Path) -> None:
    critic = fresh(ROWS[name].says)
    torch.nn.init.normal_(critic.model.value_head.weight, generator=torch.Generator().manual_seed(1))
    critic.save(tmp_path)
    pairs = [(j.prefix, j.tokens) for j in texts(5, "kept")]
    again = load_critic(tmp_path)
    assert again.values(pairs) == critic.values(pairs) and again.model.says == ROWS[name].says


def test_auc() -> None:
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1.0 and auc([4, 3, 2, 1], [False, False, True, True]) == 0.0
    assert auc([1, 1, 1], [True, False, False]) == 0.5 and math.isnan(auc([1, 2], [True, True]))
    random = rng("auc")
    scores, labels = [random.randrange(9) for _ in range(60)], [random.random() < 0.4 for _ in range(60)]
    pairs = [(a > b) + (a == b) / 2 for a, x in zip(scores, labels) for b, y in zip(scores, labels) if x and not y]
    assert auc(scores, labels) == pytest.approx(sum(pairs) / len(pairs))


def test_auc_within_is_of_each_group_by_itself() -> None:
    """A score that tells two prompts apart and samples of one prompt the wrong way round: good on the whole, bad within."""
    scores, labels = [9, 8, 8, 2, 1, 1], [False, True, True, True, False, False]
    groups = ["easy"] * 3 + ["hard"] * 3
    assert auc_within(scores, labels, groups) == 0.5 and auc_within(scores[:3], labels[:3], groups[:3]) == 0.0
    assert auc(scores, labels) == pytest.approx(6 / 9)
    assert auc_within([*scores, 5, 6], [*labels, True, True], [*groups, "all right", "all right"]) == 0.5
    assert math.isnan(auc_within([1, 2], [True, False], ["a", "b"]))
