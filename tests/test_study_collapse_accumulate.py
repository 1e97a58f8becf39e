"""Fitting models to their own output: the rules, the theory of least squares, n-grams, the text sample, the checks."""

from __future__ import annotations

import math
from importlib.resources import files
from random import Random

import numpy as np
import pytest

from ratchet.measure.ngrams import distinct_ngrams, first_ngrams, kept_ngrams
from ratchet.measure.refitting import RULES, expected_refit_error, refit_errors, training_set
from ratchet.studies import collapse_accumulate as study
from ratchet.studies.study import Outcome, judged, studies
from ratchet.tasks.plain_text import web_documents

PARTS = [[1, 2, 3], [10, 20, 30], [100, 200, 300]]


def test_replacing_takes_the_last_part_and_accumulating_all() -> None:
    assert training_set("replace", PARTS, Random(0)) == [100, 200, 300]
    assert training_set("accumulate", PARTS, Random(0)) == [1, 2, 3, 10, 20, 30, 100, 200, 300]
    for rule in RULES:
        assert sorted(training_set(rule, PARTS[:1], Random(0))) == [1, 2, 3]


def test_a_fixed_budget_draws_evenly_from_all_parts_and_nothing_twice() -> None:
    count = dict.fromkeys((x for part in PARTS for x in part), 0)
    for i in range(3_000):
        chosen = training_set("fixed-budget", PARTS, Random(i))
        assert len(set(chosen)) == 3
        for x in chosen:
            count[x] += 1
    # each is drawn with chance 1/3: 1,000 times, with a deviation of 26
    assert all(abs(n - 1_000) < 5 * 26 for n in count.values())


def test_training_data_need_a_part_and_a_known_rule() -> None:
    with pytest.raises(ValueError, match="at least the real part"):
        training_set("replace", [], Random(0))
    with pytest.raises(ValueError, match="the rules are"):
        training_set("keep", PARTS, Random(0))  # type: ignore[arg-type]


def solved(rows: int, features: int, generations: int, run_seed: int, noise: float) -> list[np.ndarray]:
    """The error vector X^+ e_i that the noise of each generation brings, with the numbers that `refit_errors` draws."""
    numbers = np.random.default_rng(run_seed)
    numbers.standard_normal(features)
    x = numbers.standard_normal((rows, features))
    pseudo = np.linalg.inv(x.T @ x) @ x.T
    return [pseudo @ (noise * numbers.standard_normal(rows)) for _ in range(generations)]


def test_least_squares_errors_are_those_of_the_closed_form() -> None:
    """Replacing sums the noises' errors, accumulating weighs the j-th by 1 / j, real labels leave each by itself."""
    brought = solved(12, 3, 4, run_seed=5, noise=0.7)
    summed = np.cumsum(brought, axis=0)
    weighed = np.cumsum([e / j for j, e in enumerate(brought, start=1)], axis=0)
    for rule, real, vectors in (("replace", False, summed), ("accumulate", False, weighed), ("replace", True, brought)):
        found = refit_errors(rule, 12, 3, 4, 5, noise=0.7, real=real)  # type: ignore[arg-type]
        assert found == pytest.approx([float(v @ v) for v in vectors])


def test_a_fixed_budget_starts_like_the_others_and_fits_as_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = np.linalg.lstsq

    def watched(a: np.ndarray, b: np.ndarray) -> object:
        sizes.append(len(b))
        return whole(a, b)

    monkeypatch.setattr(np.linalg, "lstsq", watched)
    found = refit_errors("fixed-budget", 12, 3, 4, 5)
    assert sizes == [12] * 4
    assert found[0] == pytest.approx(refit_errors("replace", 12, 3, 1, 5)[0])
    assert found[1] != pytest.approx(refit_errors("accumulate", 12, 3, 2, 5)[1])


def test_without_noise_nothing_is_lost() -> None:
    for rule in RULES:
        assert refit_errors(rule, 12, 3, 4, 0, noise=0.0) == pytest.approx(np.zeros(4), abs=1e-20)


def test_expected_errors_by_hand() -> None:
    """n = 10, d = 4, s = 3: one fit has 9 * 4 / 5 = 7.2; three replaced 21.6; three accumulated 7.2 (1 + 1/4 + 1/9) = 9.8."""
    assert expected_refit_error("replace", 10, 4, 3, noise=3.0) == pytest.approx(21.6)
    assert expected_refit_error("accumulate", 10, 4, 3, noise=3.0) == pytest.approx(9.8)
    assert expected_refit_error("accumulate", 10, 4, 100_000) == pytest.approx(0.8 * math.pi**2 / 6, rel=1e-4)


@pytest.mark.parametrize("rule", ["replace", "accumulate"])
def test_mean_errors_meet_the_expected_ones(rule: str) -> None:
    runs = np.array([refit_errors(rule, 30, 4, 5, i, noise=2.0) for i in range(400)])  # type: ignore[arg-type]
    expected = [expected_refit_error(rule, 30, 4, i, noise=2.0) for i in range(1, 6)]  # type: ignore[arg-type]
    assert (np.abs(runs.mean(0) - expected) < 4 * runs.std(0, ddof=1) / 20).all()


def test_refitting_refuses_sizes_without_a_finite_error() -> None:
    for rows, features, generations in ((4, 3, 1), (12, 0, 1), (12, 3, 0)):
        with pytest.raises(ValueError, match="more rows than features"):
            refit_errors("replace", rows, features, generations, 0)
        with pytest.raises(ValueError, match="more rows than features"):
            expected_refit_error("replace", rows, features, generations)
    with pytest.raises(ValueError, match="is known under"):
        expected_refit_error("fixed-budget", 12, 3, 1)


def test_ngrams_by_hand() -> None:
    """Of "abab" and "ba" the bigrams are ab, ba, ab, ba: none runs from one text into the next."""
    assert first_ngrams(["abab", "", "x", "ba"], 2, 4) == [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")]
    assert distinct_ngrams(["abab", "ba"], 2, 4) == 0.5
    assert distinct_ngrams(["abab", "ba"], 2, 1) == 1.0
    assert distinct_ngrams([[1, 1, 1, 1]], 3, 2) == 0.5
    assert kept_ngrams(["abcd"], ["bcbcb"], 2, 3) == pytest.approx(1 / 3)  # of ab, bc, cd only bc
    assert kept_ngrams(["abab"], ["xxab"], 2, 2) == 0.0  # the first two of the other text are xx and xa
    assert kept_ngrams(["abab"], ["abab"], 2, 3) == 1.0


def test_ngrams_of_unequal_bodies_are_refused() -> None:
    with pytest.raises(ValueError, match="the texts hold 3"):
        distinct_ngrams(["abab"], 2, 4)
    with pytest.raises(ValueError, match="the texts hold 1"):
        kept_ngrams(["abab"], ["ab"], 2, 3)
    for n, most in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            first_ngrams(["abab"], n, most)


def test_the_text_sample_is_whole_and_says_whence_it_is() -> None:
    documents = web_documents()
    sentences = [s for d in documents for s in d]
    assert (len(documents), len(sentences), sum(len(s.split()) for s in sentences)) == (318, 2_001, 25_147)
    assert sentences[0] == "From the AP comes this story :"
    assert all(s == " ".join(s.split()) and s for s in sentences)
    origin = (files("ratchet.tasks") / "samples" / "ud_english_ewt" / "ORIGIN.md").read_text()
    assert "CC BY-SA 4.0" in origin and "UniversalDependencies/UD_English-EWT" in origin


def test_held_out_text_is_of_other_documents_and_of_each_seed_its_own() -> None:
    train, held = study.sentences(0)
    assert sorted(train + held) == sorted(s.lower() for d in web_documents() for s in d)
    places: dict[str, set[int]] = {}
    for i, document in enumerate(web_documents()):
        for sentence in document:
            places.setdefault(sentence.lower(), set()).add(i)
    where = {s: min(found) for s, found in places.items() if len(found) == 1}
    of_train, of_held = ({where[s] for s in part if s in where} for part in (train, held))
    assert not of_train & of_held and len(of_held) <= round(0.2 * 318)
    assert study.sentences(0) == (train, held) and sorted(study.sentences(1)[1]) != sorted(held)


def test_a_generation_sees_every_sentence_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    import ratchet.learn.imitate
    from ratchet.models.tokens import WordTokenizer

    seen: list[tuple[int, ...]] = []

    def listened(policy: object, examples: object, updates: int, lr: float) -> list[float]:
        seen.extend(e.tokens for u in range(updates) for e in examples(u))  # type: ignore[operator]
        return []

    monkeypatch.setattr(ratchet.learn.imitate, "imitate", listened)
    data = [(2, i) for i in range(50)]
    policy = study.fitted(WordTokenizer(["a", "b"]), data, 3, 0, "test")
    assert sorted(seen) == sorted(data * 3)
    assert sorted(seen[:50]) == sorted(data) and seen[:50] != seen[50:100]
    # an untrained model knows next to nothing: about log 4 nats per token of its four words
    assert study.cross_entropy(policy, [(2, 3, 1), (3, 1)]) == pytest.approx(math.log(4), abs=0.3)
    written = study.made(policy, 5, 0, "test")
    assert len(written) == 5 and len(set(written)) > 1 and all(1 <= len(w) <= study.LONGEST for w in written)
    assert written == study.made(policy, 5, 0, "test")


def test_arms_start_from_one_fit_and_errors_are_in_units_of_one() -> None:
    found = study.regressions(0, 20)
    assert {tuple(run[0] for run in runs) for runs in found.values()} == {tuple(run[0] for run in found["real"])}
    means = {arm: np.mean(runs, 0) for arm, runs in found.items()}
    assert means["real"].mean() == pytest.approx(1.0, abs=0.1) and means["replace"][-1] > 6
    assert means["accumulate"][-1] < means["fixed-budget"][-1] < means["replace"][-1]


def results_with(replace: list[list[float]], accumulate: list[list[float]]) -> list[dict[str, object]]:
    return [{"errors": {"replace": replace, "accumulate": accumulate}}]


def test_distance_from_theory_by_hand_and_unknown_with_few_runs() -> None:
    """Two generations: means 1 and 2.5 (theory 1 and 2); 300 values that alternate deviate by 0.5 / sqrt(299 / 300)."""
    runs = [[1.5, 3.0], [0.5, 2.0]] * 150
    off = 0.5 / (0.5 / math.sqrt(299 / 300) / math.sqrt(300))
    e = study.off_the_line(results_with(runs, runs))
    assert (e.value, e.low, e.high, e.n) == (pytest.approx(off), e.value, e.value, 300)
    few = study.off_the_line(results_with(runs[:298], runs))
    assert few.low == -math.inf and few.high == math.inf


def test_the_worst_generation_stands_for_the_bound() -> None:
    runs = [[1.0, 1.7, 1.3], [1.2, 1.9, 1.5]]
    e = study.below_the_bound(results_with(runs, runs))
    assert (e.value, e.n) == (pytest.approx(1.8 * 6 / math.pi**2), 2)


def test_rise_is_a_share_of_the_earlier_loss() -> None:
    results = [{"nats": {"replace": [4.0, 5.0, 6.0]}}, {"nats": {"replace": [2.0, 2.2, 3.3]}}]
    assert study.rise(results, "replace", 2, 1).value == pytest.approx((0.25 + 0.1) / 2)
    assert study.rise(results, "replace", 3, 2).value == pytest.approx((0.2 + 0.5) / 2)
    assert study.rise(results, "replace", 1, 1).high == 0.0
    # one seed says nothing of others
    alone = study.rise(results[:1], "replace", 2, 1)
    assert (alone.value, alone.low, alone.high) == (pytest.approx(0.25), -math.inf, math.inf)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_claim_can_come_out_in_every_way(outcome: Outcome) -> None:
    one = studies["collapse-accumulate"]
    results = [one.imagined(outcome, s) for s in range(one.seeds)]
    assert {c["name"]: c["outcome"] for c in judged(one, results)} == {c.name: outcome for c in one.claims}
    assert all("<svg" in figure for figure in one.figures(results))
