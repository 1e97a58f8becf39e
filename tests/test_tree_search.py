"""Trees, particles and votes that stop: exact where a small world allows it, each check shown to fail on a broken method."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from random import Random
from statistics import mean, stdev
from typing import Any

import pytest

from ratchet.core.budget import Budget
from ratchet.core.errors import RecipeError
from ratchet.core.types import Call, Chance, Completion, Draw, Judge, Play, Task
from ratchet.models.engine import LocalEngine
from ratchet.models.scheduler import Scheduler
from ratchet.search import early_stop, gibbs, mcts, particles, twisted
from ratchet.search.particles import Cloud, Particle, filtered, shares
from ratchet.search.pessimistic import cautious
from ratchet.search.steps import Steps, never_ended
from ratchet.search.strategy import SCORERS, strategies
from ratchet.search.tools import TOOLS
from ratchet.tasks.family import Source
from ratchet.verify.verifier import find

Path = tuple[int, ...]
Score = Callable[[Path], float]
STEPS = Steps("\n", 0)


def task_of(run: int) -> Task:
    """A task of its own for each run, as its key is a part of every place's randomness."""
    return Task("chain", f"run {run}", 0, "exact")


@dataclass
class Chain:
    """A policy whose tokens are the states of a Markov chain; an answer ends after `length` of them or in the state `last`.

    With `even`, draws are spread over the next states as their chances say, where that divides.
    """

    start: Sequence[float]
    moves: Sequence[Sequence[float]]
    length: int
    last: int = -1
    even: bool = False
    known: dict[Path, Completion] = field(default_factory=dict)

    def answer(self, draw: Draw, random: Random) -> list[Completion]:
        path = draw.prefix.tokens if isinstance(draw.prefix, Completion) else ()
        row = self.moves[path[-1]] if path else self.start
        spread = [s for s, p in enumerate(row) for _ in range(round(p * draw.n))] if self.even else []
        if any(abs(p * draw.n - spread.count(s)) > 1e-9 for s, p in enumerate(row)):
            spread = random.choices(range(len(row)), row, k=draw.n)
        return [self.part((*path, s), whole=not draw.stop, random=random) for s in spread]

    def part(self, path: Path, whole: bool, random: Random) -> Completion:
        while whole and not self.ends(path):
            path = (*path, *random.choices(range(len(self.start)), self.moves[path[-1]]))
        if path not in self.known:
            self.known[path] = self.made(path)
        return self.known[path]

    def made(self, path: Path) -> Completion:
        chances = [(self.moves[path[i - 1]] if i else self.start)[s] for i, s in enumerate(path)]
        logprobs = tuple(math.log(p) for p in chances)
        return Completion((9,), path, "".join(map(str, path)), logprobs, "end" if self.ends(path) else "stop")

    def ends(self, path: Path) -> bool:
        return len(path) == self.length or path[-1] == self.last

    def paths(self) -> Iterator[tuple[Path, float]]:
        """All answers and their chances."""
        todo: list[tuple[Path, float]] = [((s,), p) for s, p in enumerate(self.start)]
        while todo:
            path, p = todo.pop()
            if self.ends(path):
                yield path, p
            else:
                todo += [((*path, s), p * q) for s, q in enumerate(self.moves[path[-1]])]

    def play(self, asking: Any, score: Score, seed: int = 0) -> Any:
        """Answers a strategy, or a part of one, until it returns."""
        random, reply = Random(seed), None
        while True:
            try:
                request = asking.send(reply)
            except StopIteration as end:
                return end.value
            if isinstance(request, Judge):
                reply = [score(c.tokens) for c in request.completions]
            elif isinstance(request, Call):
                reply = request.argument
            elif isinstance(request, Chance):
                reply = random
            else:
                drawn = [self.answer(d, random) for d in ([request] if isinstance(request, Draw) else request)]
                reply = drawn[0] if isinstance(request, Draw) else drawn


# ---- particles: a hidden Markov model, where everything is known ----------------------------------------------------

HIDDEN = Chain((0.6, 0.3, 0.1), ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), (0.3, 0.1, 0.6)), 3)
SEEN = ((0.9, 0.2, 0.4), (0.1, 0.8, 0.5), (0.6, 0.05, 0.9))  # of what was seen at each time in each state


def likelihood(path: Path) -> float:
    return SEEN[len(path) - 1][path[-1]]


def joint() -> dict[Path, float]:
    """Chance of each path together with what was seen."""
    return {path: p * math.prod(likelihood(path[: t + 1]) for t in range(len(path))) for path, p in HIDDEN.paths()}


NORMALISER = sum(joint().values())
POSTERIOR = {path: p / NORMALISER for path, p in joint().items()}


def ends_of(path: Path) -> Path:
    return path[0], path[-1]


def clouds(n: int, runs: int) -> list[Cloud]:
    weigh = particles.weighed_by("likelihood")
    return [HIDDEN.play(filtered(task_of(r), STEPS, n, weigh), likelihood, r) for r in range(runs)]


def within_three_errors(values: Sequence[float], truth: float) -> bool:
    return abs(mean(values) - truth) < 3 * stdev(values) / math.sqrt(len(values))


def normaliser_is_unbiased() -> bool:
    return within_three_errors([math.exp(c.log_normaliser) / NORMALISER for c in clouds(4, 2_000)], 1.0)


def apart(cloud: Cloud) -> float:
    """Total variation between the cloud and the posterior, of the first and last state."""
    left: Counter[Path] = Counter()
    for path, p in POSTERIOR.items():
        left[ends_of(path)] += p  # type: ignore[assignment]
    for particle, w in zip(cloud.particles, shares([p.log_weight for p in cloud.particles]), strict=True):
        left[ends_of(particle.last.tokens)] -= w  # type: ignore[assignment]
    return sum(map(abs, left.values())) / 2


def posterior_is_reached() -> bool:
    """Sixteen times the particles should be four times nearer; three is asked for."""
    few, many = mean(map(apart, clouds(16, 30))), mean(map(apart, clouds(256, 30)))
    return many < few / 3 and many < 0.1


def test_a_particle_filter_is_exact_on_a_hidden_markov_model() -> None:
    assert normaliser_is_unbiased() and posterior_is_reached()


def test_the_normaliser_check_fails_for_a_mean_of_logarithms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(particles, "log_mean", mean)
    assert not normaliser_is_unbiased()


def greedy(log_weights: Sequence[float], n: int, random: Random) -> list[int]:
    return [max(range(len(log_weights)), key=lambda i: log_weights[i])] * n


def test_both_checks_fail_for_resampling_the_best_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(particles, "systematic", greedy)
    assert not normaliser_is_unbiased() and not posterior_is_reached()
    monkeypatch.setattr(particles, "systematic", lambda log_weights, n, random: range(n))
    assert not normaliser_is_unbiased() and not posterior_is_reached()


@pytest.mark.parametrize("resample", [particles.systematic, particles.multinomial])
def test_resampling_takes_each_by_its_weight(resample: Any) -> None:
    weights, n = [0.5, 0.2, 0.0, 0.3], 7
    logs = [math.log(w) if w else -math.inf for w in weights]
    counts = [Counter(resample(logs, n, Random(r))) for r in range(2_000)]
    for place, w in enumerate(weights):
        taken = [c[place] for c in counts]
        assert w == 0 == sum(taken) or within_three_errors(taken, n * w)
        if resample is particles.systematic:
            assert all(math.floor(n * w) <= k <= math.ceil(n * w) for k in taken)
    assert resample([-math.inf] * 2, 4, Random(1))  # nothing is worth anything: all are equal


def held_after_a_sweep(run: int) -> tuple[Path, Path]:
    """A path of the posterior, and the path held after one sweep of two particles."""
    random = Random(run)
    [path] = random.choices(list(POSTERIOR), list(POSTERIOR.values()))
    parts = tuple(HIDDEN.part(path[: t + 1], False, random) for t in range(len(path)))
    held = Particle(parts, tuple(math.log(likelihood(c.tokens)) for c in parts))
    task, weigh = task_of(run), particles.weighed_by("likelihood")
    cloud = HIDDEN.play(filtered(task, STEPS, 2, weigh, held), likelihood, run)
    return path, HIDDEN.play(gibbs.retained(cloud), likelihood, -1 - run).last.tokens


def sweep_keeps_the_posterior(runs: int = 2_000) -> bool:
    """Chi-square over first and last states, below its 99.9 % point; and the sweep does move."""
    pairs = [held_after_a_sweep(r) for r in range(runs)]
    found = Counter(ends_of(new) for _, new in pairs)
    expected: dict[Path, float] = {}
    for path, p in POSTERIOR.items():
        expected[ends_of(path)] = expected.get(ends_of(path), 0.0) + runs * p
    far = sum((found[cell] - e) ** 2 / e for cell, e in expected.items())
    return far < 26.1 and sum(old != new for old, new in pairs) > runs / 10


def test_particle_gibbs_leaves_the_posterior_as_it_is() -> None:
    assert sweep_keeps_the_posterior()


def test_the_invariance_check_fails_for_a_sweep_that_does_not_hold_or_does_not_weigh(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(globals(), "filtered", holds_nothing)
        assert not sweep_keeps_the_posterior()
    monkeypatch.setattr(gibbs, "multinomial", lambda log_weights, n, random: [random.randrange(len(log_weights))])
    assert not sweep_keeps_the_posterior()


def holds_nothing(task: Task, steps: Steps, n: int, weigh: Any, held: Particle) -> Any:
    return particles.filtered(task, steps, n, weigh)


# ---- twisted ---------------------------------------------------------------------------------------------------------

BASE = Chain((0.5, 0.25, 0.25), ((0.25, 0.5, 0.25), (0.5, 0.25, 0.25), (0.25, 0.25, 0.5)), 4, last=2)
"""Answers of different lengths: state 2 ends one."""


def worth(path: Path) -> float:
    """Of a whole answer."""
    return (1 + sum(path)) / 9 if len(path) > 1 else 0.05


def exact(path: Path) -> float:
    """The mean worth of the answers that go on from a part."""
    return worth(path) if BASE.ends(path) else sum(p * exact((*path, s)) for s, p in enumerate(BASE.moves[path[-1]]))


def wrong(path: Path) -> float:
    """Right at the ends, anything before."""
    return worth(path) if BASE.ends(path) else 0.1 + 0.4 * path[-1]


MEAN_WORTH = sum(p * worth(path) for path, p in BASE.paths())


def twisted_normalisers(twist: Score, even: bool, runs: int) -> list[float]:
    base, weigh = Chain(BASE.start, BASE.moves, BASE.length, BASE.last, even), particles.weighed_by("twist")
    play = lambda r: base.play(twisted.twisted(task_of(r), STEPS, 3, 4, weigh), twist, r)
    return [math.exp(play(r).log_normaliser) / MEAN_WORTH for r in range(runs)]


def exact_twist_has_even_weights() -> bool:
    return all(z == pytest.approx(1.0, abs=1e-12) for z in twisted_normalisers(exact, True, 50))


def any_twist_is_unbiased() -> bool:
    return within_three_errors(twisted_normalisers(wrong, False, 2_000), 1.0)


def test_twisted_smc_is_unbiased_with_any_twist_and_without_variance_with_the_exact_one() -> None:
    assert exact_twist_has_even_weights() and any_twist_is_unbiased()
    assert stdev(twisted_normalisers(wrong, True, 50)) > 0.01  # it is the twist that makes them even


def test_both_checks_fail_for_weights_that_forget_the_value_before(monkeypatch: pytest.MonkeyPatch) -> None:
    right = twisted.steered
    monkeypatch.setattr(twisted, "steered", lambda before, *rest: right(0.0, *rest))
    assert not exact_twist_has_even_weights() and not any_twist_is_unbiased()


# ---- trees -----------------------------------------------------------------------------------------------------------

TREE = Chain((1 / 3,) * 3, ((1 / 3,) * 3,) * 3, 5, even=True)
"""All 243 leaves of a tree of depth 5; the even draws of 3 give every branch."""


def merit(run: int) -> Score:
    """The mean merit of a leaf's branches; of a part, with one half for each branch to come."""
    random = Random(f"merit {run}")
    table = {path: random.random() for depth in range(1, 6) for path in product(range(3), repeat=depth)}
    return lambda path: mean(table[path[: d + 1]] if d < len(path) else 0.5 for d in range(5))


def rank_found(name: str, n: int, runs: int = 20) -> float:
    """The mean share of leaves that are worse than the one found."""
    shares_worse = []
    for run in range(runs):
        score = merit(run)
        found = TREE.play(strategies[name](task_of(run), n=n, width=3, scorer="merit"), score, run).tokens
        shares_worse.append(mean(score(leaf) < score(found) for leaf, _ in TREE.paths()))
    return mean(shares_worse)


@pytest.mark.parametrize("name", ["mcts", "mcts-rollouts"])
def test_mcts_finds_the_best_leaf_with_more_simulations(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few, some, many = rank_found(name, 4), rank_found(name, 12), rank_found(name, 40)
    assert few < some < many and many > 0.99
    with monkeypatch.context() as broken:  # down to the worst child
        broken.setattr(mcts, "puct", lambda node, explore, puct=mcts.puct: -puct(node, explore))
        assert rank_found(name, 40) < many - 0.02
    # only the part itself hears of its value
    monkeypatch.setattr(mcts, "back_up", lambda node, value: (setattr(node, "visits", 1), setattr(node, "total", value)))
    assert rank_found(name, 40) < many - 0.02


def test_best_first_spends_its_draws_on_the_best_part_and_no_more() -> None:
    spent: list[int] = []

    class Counting(Chain):
        def answer(self, draw: Draw, random: Random) -> list[Completion]:
            spent.append(draw.n)
            return super().answer(draw, random)

    world = Counting(TREE.start, TREE.moves, TREE.length)
    for n in (2, 3, 7, 20, 40):
        spent.clear()
        found = world.play(
            strategies["best-first"](task_of(0), n=n, width=3, scorer="sum"), lambda path: sum(path) / len(path) / 2
        )
        assert found.stop == "end" and sum(spent) <= n
    assert sum(found.tokens) / 10 > mean(sum(p) / 10 for p, _ in TREE.paths()) + 0.2


def test_lookahead_sees_a_trap_that_a_beam_walks_into() -> None:
    """Branch 2 looks best and leads nowhere: from it only 0 follows, which shows one step later."""
    trap = Chain((1 / 3,) * 3, ((0.1, 0.8, 0.1), (0.1, 0.8, 0.1), (0.98, 0.01, 0.01)), 2, even=True)
    score = lambda path: {0: 0.1, 1: 0.6, 2: 0.9}[path[-1]] if len(path) == 1 else sum(path) / 10
    knobs = {"n": 12, "beams": 1, "scorer": "score"}
    first = lambda name, more: Counter(
        trap.play(strategies[name](task_of(r), **knobs, **more), score, r).tokens[0] for r in range(40)
    )
    assert first("beam", {})[2] == 40 and first("lookahead", {"ahead": 0})[2] == 40
    assert first("lookahead", {"ahead": 1})[1] > 30


def test_diverse_beams_do_not_meet() -> None:
    """Each subtree goes on from its own first step, while a beam keeps the best of all."""
    asked: list[list[Path]] = []

    class Watching(Chain):
        def play(self, asking: Any, score: Score, seed: int = 0) -> Any:
            def watched() -> Any:
                reply = None
                while True:
                    try:
                        request = asking.send(reply)
                    except StopIteration as end:
                        return end.value
                    if isinstance(request, list):
                        asked.append([d.prefix.tokens for d in request])
                        assert sum(d.n for d in request) == 9
                    reply = yield request

            return super().play(watched(), score, seed)

    world = Watching(TREE.start, TREE.moves, 4, even=True)
    score = lambda path: path[0] / 2 + sum(path) / 100
    world.play(strategies["diverse-beam"](task_of(1), n=9, width=3, scorer="score"), score, 1)
    assert [len(parts) for parts in asked] == [3, 3, 3]
    for before, after in pairwise(asked):
        assert all(new[: len(old)] == old for old, new in zip(before, after, strict=True))


# ---- repeated sampling -----------------------------------------------------------------------------------------------


def repeated(name: str, answers: str, knobs: dict[str, Any], score: Score = lambda path: 1.0) -> tuple[str, int]:
    """The answer to these samples, one digit each in the order of drawing, and how many were drawn."""
    rest, drawn = iter(answers), 0

    class Given(Chain):
        def answer(self, draw: Draw, random: Random) -> list[Completion]:
            nonlocal drawn
            drawn += draw.n
            digits = [next(rest) for _ in range(draw.n)]
            return [Completion((9,), (int(d),), d.strip("0"), (-1.0,), "end") for d in digits]  # 0 is no answer

    found = Given((), (), 1).play(strategies[name](task_of(0), n=len(answers), **knobs), score)
    return found.text, drawn


def agreement_is_the_vote(runs: int = 400) -> bool:
    """The same answer as a vote of all, with fewer samples drawn."""
    random, saved = Random("agreement"), 0
    for _ in range(runs):
        answers = "".join(random.choices("01234", (1, 3, 3, 2, 1), k=9))
        early, drawn = repeated("vote-until-agreed", answers, {})
        saved += 9 - drawn
        if early != repeated("vote", answers, {})[0]:
            return False
    return saved > runs / 4


def test_agreement_gives_the_answer_of_the_whole_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    assert agreement_is_the_vote()
    assert repeated("vote-until-agreed", "1232311111", {"equal": 2}) == ("2", 4)
    right = early_stop.until
    hasty = lambda *a: right(*a[:-1], lambda votes, left: a[-1](votes, left - 1))
    monkeypatch.setattr(early_stop, "until", hasty)
    assert not agreement_is_the_vote()


def test_a_posterior_stops_when_it_is_sure() -> None:
    for first, second in ((0, 0), (1, 0), (4, 1), (9, 7)):
        grid = [(i + 0.5) / 20_000 for i in range(20_000)]
        density = [p**first * (1 - p) ** second for p in grid]
        assert early_stop.sure_of(first, second) == pytest.approx(sum(density[10_000:]) / sum(density), abs=1e-6)
    assert repeated("adaptive-consistency", "1" * 40, {}) == ("1", 4)  # 1 - 1/32
    assert repeated("adaptive-consistency", "1212" + "2" * 36, {}) == ("2", 10)  # 8 to 2: 1 - 67/2048
    assert repeated("adaptive-consistency", "12" * 20, {})[1] == 40
    assert repeated("adaptive-consistency", "1" * 40, {"window": 5})[1] == 5


def test_a_weighted_vote_weighs_and_has_a_scale() -> None:
    value = {(1,): 0.1, (2,): 0.9, (0,): 1.0}.__getitem__
    assert repeated("vote", "11120000", {})[0] == "1"
    assert repeated("weighted-vote", "11120000", {"scorer": "value"}, value)[0] == "2"
    with pytest.raises(RecipeError, match=r'"reward" gave 3 where a value from 0 to 1'):
        repeated("weighted-vote", "12", {"scorer": "reward"}, lambda path: 3.0)


def gain(chances: Sequence[float], scores: Sequence[float], beta: float) -> float:
    """The mean score less beta / 2 times the chi-square divergence from even chances."""
    n = len(scores)
    return sum(p * s for p, s in zip(chances, scores, strict=True)) - beta / 2 * (n * sum(p * p for p in chances) - 1)


def test_pessimism_is_the_best_that_chi_square_allows() -> None:
    random = Random("pessimism")
    for _ in range(50):
        scores, beta = [random.random() for _ in range(6)], 10 ** random.uniform(-2, 1)
        mine = cautious(scores, beta)
        assert sum(mine) == pytest.approx(1) and min(mine) >= 0
        for _ in range(50):
            other = [p * random.expovariate(1) + 0.02 * random.random() for p in mine]
            assert gain(mine, scores, beta) >= gain([p / sum(other) for p in other], scores, beta) - 1e-12
        soft = shares([s / beta for s in scores])
        assert gain(mine, scores, beta) > gain(soft, scores, beta)  # another rule is worse
    assert cautious([0.2, 0.9, 0.9, 0.1], 1e-9) == pytest.approx([0, 0.5, 0.5, 0])
    assert cautious([0.2, 0.9, -math.inf], 1e9)[:2] == pytest.approx([0.5, 0.5]) and cautious([-math.inf] * 2, 1.0) == [0.5, 0.5]


def test_pessimism_is_not_fooled_by_a_few_scores_that_are_too_good() -> None:
    """One wrong answer in 30 has the highest score: the more samples, the surer best-of-n is to take it."""

    def right(name: str, n: int, knobs: dict[str, Any]) -> float:
        random, found = Random(f"{name} {n}"), 0
        for _ in range(150):
            answers = "".join(random.choices("123", (0.6, 0.37, 0.03), k=n))
            found += repeated(name, answers, {"scorer": "s", **knobs}, lambda path: {1: 0.7, 2: 0.2, 3: 1.0}[path[0]])[0] == "1"
        return found / 150

    assert right("best-of-n", 4, {}) > right("best-of-n", 64, {}) + 0.5
    assert right("pessimistic-best-of-n", 64, {"beta": 0.3}) > 0.8


# ---- all of them -----------------------------------------------------------------------------------------------------

STEPPED = [e.name for e in strategies if "step_tokens" in inspect.signature(e.value).parameters]
TASKS = Source("arithmetic", knobs={"steps": 1}).take("train", 3, "tree search tests")


def test_steps_end_by_tokens_in_every_strategy_that_has_steps(tiny_engine: LocalEngine) -> None:
    """Six steps of four tokens fill an answer of 24: nothing goes on from there, and nothing goes on for ever."""
    judge = lambda pairs: [find(t.verifier)(t, text) for t, text in pairs]
    assert len(STEPPED) >= 10
    for name in STEPPED:
        knobs = {"n": 4, "step_tokens": 4}
        for t in Scheduler(tiny_engine, judge, SCORERS, TOOLS).run(strategies[name], TASKS, "tokens", knobs=knobs):
            assert t.answer is not None and t.verdict is not None, name
            assert {len(c.tokens) for c in t.completions if c.stop == "length"} <= {4, 8, 12, 16, 20, 24}, name
            assert any(len(c.tokens) > 4 for c in t.completions) and len(t.events) > 2, name


def test_without_a_delimiter_steps_end_as_the_tasks_family_says(tiny_engine: LocalEngine) -> None:
    """A text of the family's, a number of tokens, or a line where the family is none of ours; a knob wins over the family."""
    [sums], [lines] = Source("arithmetic").take("train", 1, "own"), Source("one-liners").take("train", 1, "own")
    other = Task("elsewhere", "?", "", "exact")
    assert len(STEPPED) >= 10
    for name in STEPPED:
        first = {task.family: asked_first(strategies[name](task, n=4)) for task in (sums, lines, other)}
        assert [(d.stop, d.max_tokens) for d in first.values()] == [(("then",), None), ((), 4), (("\n",), None)], name
        assert asked_first(strategies[name](sums, n=4, step=";")).stop == (";",), name
        assert asked_first(strategies[name](sums, n=4, step_tokens=3)).max_tokens == 3, name


def asked_first(play: Play) -> Draw:
    request = next(play)
    assert isinstance(request, Draw)
    return request


def test_a_search_that_never_went_on_from_a_step_is_said_to(tiny_engine: LocalEngine) -> None:
    judge = lambda pairs: [find(t.verifier)(t, text) for t, text in pairs]
    said = {}
    for name in STEPPED:
        for knobs in ({"n": 4, "step": "~"}, {"n": 4, "step_tokens": 4}, {"n": 1, "step": "~"}):
            traces = Scheduler(tiny_engine, judge, SCORERS, TOOLS).run(strategies[name], TASKS, "ended", knobs=knobs)
            said[tuple(knobs.values())] = never_ended(strategies[name], knobs, traces)
        assert "of 3 searches no step ever ended (a step ends with '~')" in said[4, "~"], name
        assert said[4, 4] == said[1, "~"] == "", name
    whole = Scheduler(tiny_engine, judge, SCORERS, TOOLS).run(strategies["vote"], TASKS, "ended", knobs={"n": 4})
    assert never_ended(strategies["vote"], {"n": 4}, whole) == ""  # which has no steps


def test_what_has_an_answer_when_the_budget_ends_gives_it() -> None:
    from test_search import run

    for name in ("vote-until-agreed", "adaptive-consistency", "best-first"):
        traces = run(strategies[name], {}, budget=Budget(tokens=60))
        assert sum(t.answer is not None for t in traces) > len(traces) / 2, name
        assert all(t.cost.sampled_tokens <= 60 for t in traces)


def test_knobs_that_make_no_sense_are_named() -> None:
    for name, knobs in (
        ("beam", {"beams": 0}), ("mcts", {"n": 0}), ("diverse-beam", {"width": 0}), ("particle-gibbs", {"sweeps": 0}),
        ("particle-filter", {"sharpness": 0.0}), ("pessimistic-best-of-n", {"beta": 0.0}), ("vote-until-agreed", {"window": 0}),
        ("best-first", {"step_tokens": -1}),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=next(iter(knobs))):
            next(strategies[name](TASKS[0], **knobs))


def test_two_samples_of_a_task_have_randomness_of_their_own(tiny_engine: LocalEngine) -> None:
    """Also where all that they drew is the same; and a run over again has the same."""
    asked: list[float] = []

    def asks(task: Task) -> Play:
        for _ in range(2):
            asked.append((yield Chance()).random())
        [c] = yield Draw(task.prompt, temperature=0.0)
        return c

    for _ in range(2):
        Scheduler(tiny_engine, lambda pairs: [find(t.verifier)(t, text) for t, text in pairs]).run(
            asks, TASKS[:1], "chances", samples=3
        )
    assert len(set(asked)) == 6 and asked[:6] == asked[6:]


def test_a_score_that_knows_nothing_does_not_choose_by_length() -> None:
    """Answers that have ended are not judged anew against those that go on."""
    many = 12  # states, so that parts are seldom the same
    chain = Chain((1 / many,) * many, ((1 / many,) * many,) * many, 8, last=0)
    knobs = {"n": 12, "beams": 4, "scorer": "placebo"}

    def lengths(name: str, **knobs: Any) -> list[float]:
        placebo = lambda run: lambda path: Random(f"{run} {path}").random()
        return [len(chain.play(strategies[name](task_of(r), **knobs), placebo(r), r).tokens) for r in range(400)]

    assert abs(mean(lengths("beam", **knobs)) - mean(lengths("single"))) < 0.6
