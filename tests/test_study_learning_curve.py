"""Learning curves and the learners that make them: against SciPy, enumeration and slow copies written from the definition."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest
from scipy.optimize import least_squares

from ratchet.core.errors import TaskError
from ratchet.core.seeds import rng
from ratchet.measure import taggers
from ratchet.measure.learning_curves import (
    RATES,
    Trend,
    falls_from,
    log_line,
    power_law,
    prediction_level,
    stopping_level,
    trends,
)
from ratchet.studies import learning_curve
from ratchet.tasks.labelled import digits, read_tagged, tagged_sentences

SIZES = [40 * k for k in range(1, 26)]


def curve(asymptote: float, gap: float, rate: float, noise: float = 0.0, seed: int = 0) -> list[float]:
    errors = np.random.default_rng(seed).normal(0, noise, len(SIZES))
    return [asymptote - gap * x**-rate + float(e) for x, e in zip(SIZES, errors)]


# ---- power laws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asymptote", "gap", "rate"), [(95, 120, 0.5), (88, 400, 1.3), (99, 60, 0.15)])
def test_a_power_law_is_found_again_from_its_first_points(asymptote: float, gap: float, rate: float) -> None:
    trend = power_law(SIZES[:6], curve(asymptote, gap, rate)[:6])
    assert (trend.asymptote, trend.gap, trend.rate) == pytest.approx((asymptote, gap, rate), rel=1e-3)
    assert trend.level == 6 and trend(10_000) == pytest.approx(asymptote - gap * 10_000**-rate, abs=1e-3)


def squares(p: np.ndarray, x: np.ndarray, y: np.ndarray, anchor: float | None) -> np.ndarray:
    left = p[0] - p[1] * (x / x[0]) ** -p[2] - y
    return left if anchor is None else np.append(left, p[0] - anchor)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("anchor", [None, 85.0, 99.0])
def test_no_fit_is_better_than_the_power_law_that_was_found(seed: int, anchor: float | None) -> None:
    x, y = np.array(SIZES[:9], float), np.array(curve(93, 150, 0.6, noise=1.0, seed=seed)[:9])
    trend = power_law(x.tolist(), y.tolist(), anchor)
    own = float((squares(np.array([trend.asymptote, trend.gap * x[0] ** -trend.rate, trend.rate]), x, y, anchor) ** 2).sum())
    bounds = ([-np.inf, 0, RATES[0]], [np.inf, np.inf, RATES[1]])
    starts = itertools.product((85.0, 100.0, 150.0), (5.0, 50.0), (0.05, 0.5, 2.0))
    others = [2 * least_squares(squares, s, bounds=bounds, args=(x, y, anchor)).cost for s in starts]
    assert own <= min(others) * (1 + 1e-6)


def test_what_does_not_rise_is_flat() -> None:
    trend = power_law([1, 2, 3, 4], [9.0, 8.0, 8.0, 7.0])
    assert trend.gap == 0 and trend(1) == trend(1e9) == pytest.approx(8.0)


def test_an_anchor_pulls_the_asymptote_and_one_where_it_is_changes_nothing() -> None:
    y = curve(93, 150, 0.6, noise=0.5)[:10]
    free = power_law(SIZES[:10], y)
    same = power_law(SIZES[:10], y, anchor=free.asymptote)
    assert (same.asymptote, same.rate) == pytest.approx((free.asymptote, free.rate), rel=1e-4)
    lower, higher = (power_law(SIZES[:10], y, anchor=free.asymptote + d).asymptote for d in (-5, 5))
    assert free.asymptote - 5 < lower < free.asymptote < higher < free.asymptote + 5


def test_a_trace_is_made_of_prefixes_and_anchors_of_the_asymptote_before() -> None:
    y = curve(93, 150, 0.6, noise=0.6, seed=5)
    plain, anchored = trends(SIZES, y), trends(SIZES, y, anchored=True)
    assert [t.level for t in plain] == [t.level for t in anchored] == list(range(3, 26))
    assert plain[7] == power_law(SIZES[:10], y[:10])
    first = next(i for i, t in enumerate(plain) if t.asymptote <= 100)
    assert anchored[: first + 1] == plain[: first + 1] and first > 0, "this curve begins with asymptotes out of reach"
    for i in range(first + 1, len(plain)):
        assert anchored[i] == power_law(SIZES[: i + 3], y[: i + 3], anchored[i - 1].asymptote)
    # an outlier moves an anchored asymptote less
    y[9] += 5
    moved = [
        abs(trends(SIZES[:10], y[:10], anchored=a)[-1].asymptote - t[7].asymptote) for a, t in ((False, plain), (True, anchored))
    ]
    assert moved[1] < moved[0] / 2


@pytest.mark.parametrize(
    ("sizes", "accuracies"),
    [([1, 2], [3, 4]), ([1, 2, 2], [3, 4, 5]), ([0, 1, 2], [3, 4, 5]), ([1, 2, 3], [3, 4]), ([1, 2, 3], [3, 4, math.nan])],
)
def test_what_is_no_curve_is_refused(sizes: list[float], accuracies: list[float]) -> None:
    for fit in (power_law, log_line, trends):
        with pytest.raises(ValueError, match="a learning curve needs"):
            fit(sizes, accuracies)


def test_the_log_line_is_straight_in_the_logarithm_and_ends_at_the_ceiling() -> None:
    line = log_line([1, 10, 100], [20, 40, 60])
    assert line(1000) == pytest.approx(80) and line(1e9) == 100
    assert log_line([1, 10, 100], [20, 40, 60], ceiling=70)(1000) == 70


# ---- levels ------------------------------------------------------------------------------------------------------


def trace(*asymptotes: float) -> list[Trend]:
    return [Trend(a, 1.0, 0.5, level) for level, a in enumerate(asymptotes, start=3)]


def test_the_prediction_level_ends_two_falls_within_reach() -> None:
    assert prediction_level(trace(120, 110, 101, 99, 98)) == 3
    assert prediction_level(trace(90, 95, 94, 96, 95, 95, 99)) == 5
    assert prediction_level(trace(90, 95, 94, 96), falls=1) == 2
    assert prediction_level(trace(90, 91, 90, 91)) is None and prediction_level(trace(140, 130, 120)) is None
    assert prediction_level(trace(140, 130, 120), ceiling=150) == 2


def test_learning_stops_at_the_first_near_neighbours_after_it() -> None:
    falling = trace(80, 80, 101, 101, 99, 98, 97.6, 97.5)  # the near ones at the start come before its prediction level
    assert prediction_level(falling) == 4
    assert [stopping_level(falling, tau) for tau in (2, 1, 0.5, 0.2, 0.01)] == [4, 5, 6, 7, None]
    assert stopping_level(trace(90, 91, 92), 5) is None
    with pytest.raises(ValueError, match="at least 0, got -1"):
        stopping_level(falling, -1)


def test_a_level_does_not_look_ahead() -> None:
    y = curve(95, 100, 0.4, noise=0.7, seed=1)
    whole = trends(SIZES, y)
    level, stop = prediction_level(whole), stopping_level(whole, 1.0)
    assert level is not None and stop is not None
    assert prediction_level(trends(SIZES[: level + 3], y[: level + 3])) == level
    assert stopping_level(trends(SIZES[: stop + 3], y[: stop + 3]), 1.0) == stop


def test_asymptotes_fall_where_none_rises() -> None:
    assert falls_from(trace(1, 5, 4, 4, 3), 1) and not falls_from(trace(1, 5, 4, 4, 3), 0)
    assert not falls_from(trace(5, 4, 4.1), 0) and falls_from(trace(5, 4, 4.1), 0, slack=0.2)


# ---- taggers -----------------------------------------------------------------------------------------------------

TEXT = read_tagged(
    "The\tDET\ndog\tNOUN\ncan\tAUX\nrun\tVERB\n\nA\tDET\ncan\tNOUN\nruns\tVERB\n\nDogs\tNOUN\nrun\tVERB\n\n"
    "The\tDET\nrun\tNOUN\ncan\tAUX\nrun\tVERB\n\nA\tDET\ncat\tNOUN\ncan\tAUX\nsee\tVERB\nthe\tDET\ndogs\tNOUN\n"
)


def riddles(many: int) -> taggers.Corpus:
    """Sentences whose tags depend on the two tags before as much as on the words, with some chance: learners err."""
    draw, sentences = Random(3), []
    for _ in range(many):
        tags = [0, 0]
        for _ in range(draw.randrange(2, 7)):
            tags.append((tags[-1] + 2 * tags[-2] + draw.choice((0, 0, 1))) % 3)
        sentences.append([(draw.choice((f"a{t}", "bring", "sing", "X")), "ABC"[t]) for t in tags[2:]])
    return taggers.encode(sentences)


def test_viterbi_finds_the_best_of_all_paths() -> None:
    draw = np.random.default_rng(0)
    for n in (1, 2, 5):
        first, step, last, emission = draw.normal(size=3), draw.normal(size=(3, 3)), draw.normal(size=3), draw.normal(size=(n, 3))

        def worth(p: tuple[int, ...], first=first, step=step, last=last, emission=emission) -> float:
            moves = sum(step[a, b] for a, b in itertools.pairwise(p))
            return float(first[p[0]] + moves + last[p[-1]] + sum(emission[i, t] for i, t in enumerate(p)))

        best = max(itertools.product(range(3), repeat=n), key=worth)
        assert taggers.viterbi(first, step, last, emission).tolist() == list(best)


def test_the_hidden_markov_model_is_its_definition() -> None:
    """The same model, written with counters and all paths."""
    corpus = riddles(30)
    train, asked = corpus.sentences[:8], corpus.sentences[8:]
    k = len(corpus.tags)
    moves, at, all_tags = Counter[tuple[int, int]](), Counter[int](), Counter[int]()
    endings: dict[int, Counter[int]] = defaultdict(Counter)
    for s in train:
        for a, b in itertools.pairwise([k, *s.tags.tolist(), k]):
            moves[a, b] += 1
            at[a] += 1
        for own, true in zip(s.endings.tolist(), s.tags.tolist()):
            all_tags[true] += 1
            for e in own:
                endings[e][true] += 1

    def step(a: int, b: int) -> float:
        return math.log((moves[a, b] + 0.1) / (at[a] + 0.1 * (k + 1)))

    def emission(own: list[int], t: int) -> float:
        prior = chance = (all_tags[t] + 0.1) / (all_tags.total() + 0.1 * k)
        for e in own:
            chance = (endings[e][t] + chance) / (endings[e].total() + 1)
        return math.log(chance / prior)

    def worth(s: taggers.Sentence, p: tuple[int, ...]) -> float:
        said = sum(emission(own, t) for own, t in zip(s.endings.tolist(), p))
        return said + sum(step(a, b) for a, b in itertools.pairwise((k, *p, k)))

    model = taggers.hidden_markov(train, k, corpus.endings, rare=1000)  # all words count: rarity has its own test
    for s in asked:
        best = max(itertools.product(range(k), repeat=len(s.tags)), key=lambda p, s=s: worth(s, p))
        assert model(s).tolist() == list(best)


def test_suffixes_are_counted_on_rare_words_only() -> None:
    often = read_tagged("sing\tNOUN\n\n" * 3 + "bring\tVERB\n")
    corpus = taggers.encode([*often, (("fling", "VERB"),)])
    *train, asked = corpus.sentences
    said = [corpus.tags[taggers.hidden_markov(train, 2, corpus.endings, rare=rare)(asked)[0]] for rare in (1, 10)]
    assert said == ["VERB", "NOUN"]


def test_the_perceptron_is_the_average_of_its_weights() -> None:
    """The same learner, keeping and adding up its weights after every word."""
    corpus = riddles(30)
    k, train = len(corpus.tags), corpus.sentences[:20]
    names = lambda ids, p, pp: [("f", i) for i in ids[: -taggers.FREE].tolist()] + [("1", p), ("2", p, pp)]
    weights, total = defaultdict(int), defaultdict(int)
    best = lambda w, seen: max(range(k), key=lambda t: (sum(w[f, t] for f in seen), -t))
    draw, order = Random(5), list(train)
    for _ in range(3):
        draw.shuffle(order)
        for s in order:
            p = pp = k
            for ids, true in zip(s.features, s.tags.tolist()):
                seen = names(ids, p, pp)
                given = best(weights, seen)
                for f in seen if given != true else ():
                    weights[f, true] += 1
                    weights[f, given] -= 1
                for key, value in weights.items():
                    total[key] += value
                p, pp = given, p
    learnt = taggers.perceptron(train, k, corpus.features, Random(5))
    for s in corpus.sentences:
        p = pp = k
        said = []
        for ids in s.features:
            said.append(best(total, names(ids, p, pp)))
            p, pp = said[-1], p
        assert learnt(s).tolist() == said


def blinded(s: taggers.Sentence) -> taggers.Sentence:
    return taggers.Sentence(np.zeros_like(s.tags), s.endings, s.features)


@pytest.mark.parametrize("name", learning_curve.TAGGERS)
def test_a_tagger_does_better_than_the_most_frequent_tag_and_does_not_look_at_the_truth(name: str) -> None:
    corpus = taggers.encode(tagged_sentences()[:260])
    train, test = corpus.sentences[:200], corpus.sentences[200:]
    k = len(corpus.tags)
    tagger = {
        "perceptron": lambda: taggers.perceptron(train, k, corpus.features, Random(0)),
        "hidden Markov": lambda: taggers.hidden_markov(train, k, corpus.endings),
        "transformer": lambda: learning_curve.transformer(train, k, corpus.endings, 0, 30),
    }[name]()
    frequent = 100 * np.bincount(np.concatenate([s.tags for s in test])).max() / sum(len(s.tags) for s in test)
    assert taggers.accuracy(tagger, test) > frequent + 20
    assert all(np.array_equal(tagger(s), tagger(blinded(s))) for s in test[:10])


def test_accuracy_counts_words() -> None:
    corpus = taggers.encode(TEXT)
    noun = corpus.tags.index("NOUN")
    # six nouns among 19 words
    assert taggers.accuracy(lambda s: np.full(len(s.tags), noun), corpus.sentences) == pytest.approx(100 * 6 / 19)
    with pytest.raises(ValueError, match="at least one sentence"):
        taggers.accuracy(lambda s: s.tags, [])
    with pytest.raises(ValueError, match="at least one word"):
        taggers.encode([])


# ---- data --------------------------------------------------------------------------------------------------------


def test_the_samples_hold_what_their_origin_says() -> None:
    sentences = tagged_sentences()
    assert (len(sentences), sum(map(len, sentences)), len({t for s in sentences for _, t in s})) == (2001, 25147, 17)
    assert sentences[0][:3] == (("From", "ADP"), ("the", "DET"), ("AP", "PROPN"))
    images, labels = digits()
    assert images.shape == (4000, 196) and (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).tolist() == [370, 450, 418, 408, 418, 372, 378, 411, 384, 391]


@pytest.mark.parametrize("line", ["word", "word\ttag\tmore", "\tNOUN", "word\t"])
def test_a_line_that_is_not_a_word_and_a_tag_is_named(line: str) -> None:
    with pytest.raises(TaskError, match="line 2 of the tagged text"):
        read_tagged(f"Go\tVERB\n{line}\n")


# ---- the study's own parts ---------------------------------------------------------------------------------------


def test_what_is_measured_of_an_exact_power_law() -> None:
    y = curve(95, 120, 0.5)
    found = learning_curve.measured(SIZES, y, Random(0))
    assert found["error"]["power law"] < 0.01 and found["error"]["anchored"] < 0.01
    assert found["error"]["last value"] == pytest.approx(y[24] - y[9])
    assert found["error"]["log line"] > 0.3 and found["error"]["shuffled"] > 1
    assert all(stop["error"] < 0.01 for stop in found["stop"].values())
    assert found["shaken"]["power law"] > 1, "ten times two outliers of five points each cannot leave the prediction there"


def test_a_curve_that_never_bends_is_never_stopped() -> None:
    found = learning_curve.measured(SIZES, [2.0 * k for k in range(25)], Random(0))
    assert found["level"] is None and not found["falls"]
    assert all(stop == {"saved": 0, "error": 0} for stop in found["stop"].values())


def test_the_nearest_digit_is_the_nearest() -> None:
    draw = np.random.default_rng(0)
    train, asked = draw.random((30, 4)), draw.random((20, 4))
    labels, truth = draw.integers(3, size=30), draw.integers(3, size=20)
    by_hand = [
        100 * np.mean([labels[np.argmin([math.dist(a, t) for t in train[:n]])] == y for a, y in zip(asked, truth)])
        for n in (5, 30)
    ]
    got = learning_curve.reading("nearest digit", (asked, truth), (train, labels), [5, 30], Random(0), 0)
    assert got == pytest.approx(by_hand) and got[0] != got[1]


def test_agents_learn_the_bandit_and_the_corridor_and_stay_at_what_is_near() -> None:
    found = {n: learning_curve.reward_curve(n, [8 * k for k in range(1, 26)], rng("test", n), 50) for n in learning_curve.REWARDS}
    assert np.mean(found["bandit"][:2]) + 10 < np.mean(found["bandit"][-5:]) < 100
    assert found["corridor"][0] < 20 and found["corridor"][-1] > 80
    assert 25 < found["near and far"][-1] < 60
