"""The laws of ensembles, measured for whatever is registered; each shown to fail on a broken one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import permutations, product
from typing import Any

import pytest

from ratchet.core.errors import VerifierError
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.ensembles import Ensemble, Member, Vote, weighted
from ratchet.verify.pool import VerifierPool
from ratchet.verify.verifier import ensembles, find

TASK = Task("sums", "How much is 3 plus 3?", "6", "math")
PASS, FAIL, ABSTAIN = Outcome.PASS, Outcome.FAIL, Outcome.ABSTAIN
KINDS = [e.name for e in ensembles]
ORDERED = {"cascade"}  # where precedence is the point


def says(name: str, outcome: Outcome, score: float | None = None, weight: float = 1.0) -> Member:
    return Member(name, lambda task, text: Verdict(outcome, "because", "6", score), weight)


def run(combine: Callable[..., Verdict], *members: Member) -> Verdict:
    return Ensemble(combine, members)(TASK, "6")


def one_is_its_member(combine: Callable[..., Verdict]) -> None:
    for outcome, score, weight in product(Outcome, (None, 0.3), (1.0, 2.5)):
        own = run(combine, says("a", outcome, score, weight))
        decided = outcome is not ABSTAIN
        assert (own.outcome, own.answer, own.score) == (outcome, "6", score) if decided else own.outcome is ABSTAIN


def none_decides_nothing(combine: Callable[..., Verdict]) -> None:
    assert run(combine, *(says(n, ABSTAIN) for n in "abc")).outcome is ABSTAIN


def all_agreeing_is_that(combine: Callable[..., Verdict]) -> None:
    for outcome in (PASS, FAIL):
        assert run(combine, *(says(n, outcome, weight=w) for n, w in zip("abc", (1.0, 2.0, 3.0)))).outcome is outcome


def order_does_not_matter(combine: Callable[..., Verdict]) -> None:
    for outcomes in product(Outcome, repeat=3):
        members = [says(n, o, s, w) for n, o, s, w in zip("abc", outcomes, (0.1, 0.2, 0.7), (1.0, 2.0, 3.0))]
        assert len({run(combine, *order) for order in permutations(members)}) == 1


def the_first_decides(combine: Callable[..., Verdict]) -> None:
    for outcomes in product(Outcome, repeat=3):
        first = next((o for o in outcomes if o is not ABSTAIN), ABSTAIN)
        verdict = run(combine, *(says(n, o) for n, o in zip("abc", outcomes)))
        assert verdict.outcome is first
        if first is not ABSTAIN:
            assert verdict.evidence.startswith("abc"[outcomes.index(first)] + ": "), "who decided stands in the evidence"


LAWS: dict[str, Callable[[Callable[..., Verdict]], None]] = {
    "one": one_is_its_member, "none": none_decides_nothing, "all": all_agreeing_is_that, "order": order_does_not_matter,
    "first": the_first_decides,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_laws(kind: str) -> None:
    for name, law in LAWS.items():
        if name != ("order" if kind in ORDERED else "first"):
            law(ensembles[kind])


def last_says(votes: Iterable[Vote]) -> Verdict:
    return list(votes)[-1].verdict


def yes(votes: Iterable[Vote]) -> Verdict:
    return Verdict(PASS)


@pytest.mark.parametrize(
    ("name", "broken"), [("one", yes), ("none", yes), ("all", yes), ("order", last_says), ("first", last_says)]
)
def test_a_broken_ensemble_breaks_its_law(name: str, broken: Any) -> None:
    with pytest.raises(AssertionError):
        LAWS[name](broken)


def test_what_the_kinds_do() -> None:
    for kind, outcomes, outcome in (
        ("agreement", (PASS, PASS, ABSTAIN), ABSTAIN), ("agreement", (PASS, FAIL), ABSTAIN), ("majority", (PASS, PASS, FAIL), PASS),
        ("majority", (PASS, ABSTAIN, ABSTAIN), PASS), ("majority", (PASS, FAIL), ABSTAIN), ("cascade", (ABSTAIN, FAIL, PASS), FAIL),
    ):  # fmt: skip
        assert run(ensembles[kind], *(says(n, o) for n, o in zip("abc", outcomes))).outcome is outcome, (kind, outcomes)
    members = (says("a", PASS, weight=2), says("b", FAIL), says("c", ABSTAIN, weight=9))
    for threshold, outcome in ((0.5, PASS), (0.7, FAIL), (2 / 3, ABSTAIN)):
        assert Ensemble(weighted, members, {"threshold": threshold})(TASK, "6").outcome is outcome

    def later(task: Task, text: str) -> Verdict:
        raise RuntimeError("a bug")

    # a cascade does not ask those behind the one that decides; a member's bug silences that member alone
    assert run(ensembles["cascade"], says("a", FAIL), Member("b", later)).outcome is FAIL
    assert run(ensembles["majority"], Member("b", later), says("a", FAIL)).outcome is FAIL
    assert "b: abstain, raised RuntimeError: a bug" in run(ensembles["agreement"], Member("b", later), says("a", FAIL)).evidence


def test_by_name(verify: VerifierPool) -> None:
    task = Task("sums", "How much is 3 plus 3?", "6", "cascade:math,exact")
    [right, wrong] = verify([(task, "\\boxed{6.0}"), (task, "\\boxed{7}")])
    assert right.passed and right.evidence.startswith("math: pass") and right.answer == "6.0" and wrong.outcome is FAIL
    weighed = find("weighted:math=2, exact, threshold=0.7")
    assert isinstance(weighed, Ensemble) and [(m.name, m.weight) for m in weighed.members] == [("math", 2), ("exact", 1)]
    assert weighed(task, "\\boxed{6.0}").outcome is FAIL and weighed(task, "\\boxed{6}").passed
    assert find("agreement:math,ratchet.verify.countdown:judge") is not None  # a member of the user's own has its own colon
    for name, message in (
        ("cascade:", "a member is missing"), ("cascade:math,,exact", "a member is missing"), ("cascade:math=2,exact", "only weighted"),
        ("weighted:math=x", "a number above 0"), ("weighted:math=-1", "a number above 0"), ("weighted:threshold=0.5", "has no members"),
        ("weighted:math,threshold=1.5", "between 0 and 1"), ("majority:math,math", "twice"), ("majority:maths,exact", 'did you mean "math"'),
        ("cascades:math", "module:function on the Python path, or one of agreement:NAME,NAME, cascade"), (":x", "cannot be imported"),
    ):  # fmt: skip
        with pytest.raises(VerifierError, match=message):
            find(name)
