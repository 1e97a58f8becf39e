"""UFO's study: what a repeated or a late answer costs, what is measured of an episode, and that priming does not teach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from random import Random
from typing import Any

import pytest

from ratchet.core.types import Completion, Draw, Event, Outcome, Task, Trace, Verdict
from ratchet.studies import ufo_try_again as ufo
from ratchet.tasks.countdown import task_of

TASK = task_of([2, 3, 4], 9)
END, AGAIN = 1, 2
POLICY = ufo.new_model(0)


def played(answers: Sequence[int], right: bool, task: Task = TASK) -> Trace:
    """An episode in which each turn is one token and an end, and the phrase is one token; the last answer is right or not."""
    trace, tokens, given = Trace(task, "try-again"), (), ()
    before: Any = task.prompt
    for i, answer in enumerate(answers):
        tokens = (*tokens, answer, END)
        c = Completion((7,), tokens, f"{answer}", (-0.5,) * len(tokens), "end", given=given)
        trace.events.append(Event(Draw(before, then="again" * (i > 0), turn=i > 0), [c]))
        passed = right and i == len(answers) - 1
        trace.verdicts.append(Verdict(Outcome.PASS if passed else Outcome.FAIL, answer=str(answer)))
        before, given, tokens = c, (*given, len(tokens)), (*tokens, AGAIN)
        trace.answer, trace.verdict = c, trace.verdicts[-1]
    return trace


def advantages(arm: ufo.Arm, *traces: Trace) -> dict[tuple[int, ...], float]:
    """By the tokens of a turn and all before it."""
    found: dict[tuple[int, ...], float] = {}
    for e in ufo.lesson(traces, arm, POLICY):
        assert isinstance(e.advantage, float)
        found[*e.prefix[1:], *e.tokens] = e.advantage
    return found


def a_repeated_answer_costs(arm: ufo.Arm) -> bool:
    """Two episodes without a success; one says at its second turn what it said at its first."""
    again, other = played([50, 50], False), played([50, 51], False)
    found = advantages(arm, again, other)
    return found[50, END, AGAIN, 50, END] < found[50, END, AGAIN, 51, END]


def a_late_success_is_worth_less(arm: ufo.Arm) -> bool:
    """Both episodes are solved, one at its first turn and one at its third."""
    found = advantages(arm, played([50], True), played([51, 52, 53], True))
    return found[50, END] > found[51, END]


def test_a_repeated_answer_costs_where_it_shall() -> None:
    assert all(a_repeated_answer_costs(ufo.ARMS[name]) for name in ("ufo", "ufo without decay", "ufo, random token"))
    assert not a_repeated_answer_costs(ufo.ARMS["multi-turn"]) and not a_repeated_answer_costs(replace(ufo.ARMS["ufo"], repeat=0))


def test_a_late_success_is_worth_less_where_it_shall() -> None:
    assert all(a_late_success_is_worth_less(ufo.ARMS[name]) for name in ("ufo", "ufo, random token"))
    assert not a_late_success_is_worth_less(ufo.ARMS["multi-turn"])
    assert not a_late_success_is_worth_less(ufo.ARMS["ufo without decay"])


def test_what_is_measured_of_episodes() -> None:
    """Solved at once; solved at the third turn, of which the second repeats the first; never solved, all four the same."""
    episodes = [played([50], True), played([51, 51, 52], True), played([53, 53, 53, 53], False)]
    found = ufo.measured(episodes)
    assert found["success"] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert found["repeated"] == pytest.approx(4 / 5), "of five later answers one is new"
    assert found["penalty"] == pytest.approx((0 + (1 - 2 / 3) + (1 - 1 / 4)) / 3), "1 - unique / total, as the paper has it"
    assert found["turns"] == 2 and found["turns of all"] == pytest.approx((1 + 3 + 5) / 3)


def test_repeats_are_counted_whenever_they_were_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    back = [played([50, 51, 50], False)]
    assert ufo.measured(back)["repeated"] == 0.5
    monkeypatch.setattr(ufo, "said_before", lambda answers: [a == b for a, b in pairwise(answers)])
    assert ufo.measured(back)["repeated"] == 0, "whoever looks at the answer before alone misses it"


Guesses = Callable[[Random, Task], Iterator[tuple[str, bool]]]


def right_before(guesses: Guesses, monkeypatch: pytest.MonkeyPatch) -> float:
    """The share of right ones among the answers that stand before the learned one, less that among random guesses."""
    monkeypatch.setattr(ufo, "guesses", guesses)
    random, decode = Random(0), POLICY.tokenizer.decode
    sample = list(islice(REAL(random, TASK), 4_000))
    right = sorted({g for g, hit in sample if hit})
    before: list[bool] = []
    for _ in range(1_000):
        e = ufo.episode(POLICY, random, TASK, right)
        learned = [t for i, t in enumerate(e.tokens) if i not in e.given]
        assert decode(learned) in right and learned[-1] == END, "the last turn is learned, and nothing else"
        turns = decode([e.tokens[i] for i in e.given]).split(f" {ufo.AGAIN}")
        before += [t.strip() in right for t in turns[:-1]]
    return sum(before) / len(before) - sum(hit for _, hit in sample) / len(sample)


REAL = ufo.guesses


def only_wrong(random: Random, task: Task) -> Iterator[tuple[str, bool]]:
    return (guess for guess in REAL(random, task) if not guess[1])


def test_priming_does_not_say_that_what_failed_is_not_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert abs(right_before(REAL, monkeypatch)) < 0.03
    assert right_before(only_wrong, monkeypatch) < -0.03, "with wrong guesses alone, an answer is one that did not stand before"


def test_a_word_without_a_meaning_is_another_in_each_episode() -> None:
    def wrong(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [Verdict(Outcome.FAIL) for _ in pairs]

    words: list[set[str]] = []
    for t in ufo.played(POLICY, [TASK], 6, wrong, ufo.ARMS["ufo, random token"], "babble"):
        words.append({e.request.then for e in t.events if isinstance(e.request, Draw) and e.request.then})
    said = [w for w in words if w]
    assert all(len(w) == 1 for w in said) and len(set.union(*said)) > 1 and ufo.AGAIN not in set.union(*said)
