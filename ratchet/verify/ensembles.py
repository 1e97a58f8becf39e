"""Several verifiers as one: by agreement, by majority, by weight, or one after the other.

By name: `cascade:math,exact`, `weighted:math=2,exact,threshold=0.7`; the members are any verifiers' names. From Python:
`Ensemble(cascade, (Member("math", find("math")), Member("mine", my_verifier)))`.

An ensemble is a function of votes, each a member and its verdict, which are asked for as they are taken: what is not looked at is
not judged. Members that abstain or raise say nothing. An ensemble of one is its member, and the order of members counts in a
cascade only.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ratchet.core.errors import VerifierError
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.verifier import abstained, ensembles, find

Verify = Callable[[Task, str], Verdict]


class Member(NamedTuple):
    name: str
    verify: Verify
    weight: float = 1.0


class Vote(NamedTuple):
    member: Member
    verdict: Verdict


@ensembles.add("agreement")
def agreement(votes: Iterable[Vote]) -> Verdict:
    """What all members say; ABSTAIN where one says something else or nothing."""
    cast = list(votes)
    outcomes = {v.verdict.outcome for v in cast}
    if len(outcomes) == 1:
        return decided(outcomes.pop(), cast)
    return abstained(f"the members do not agree: {told(cast)}")


@ensembles.add("majority")
def majority(votes: Iterable[Vote]) -> Verdict:
    """What more of the members that do not abstain say; ABSTAIN on a tie."""
    return weighed([Vote(v.member._replace(weight=1.0), v.verdict) for v in votes], 0.5)


@ensembles.add("weighted")
def weighted(votes: Iterable[Vote], *, threshold: float = 0.5) -> Verdict:
    """PASS where more than `threshold` of the weight says so, FAIL where less does; abstentions leave the sum."""
    return weighed(list(votes), threshold)


@ensembles.add("cascade")
def cascade(votes: Iterable[Vote]) -> Verdict:
    """The first member that does not abstain decides; the others are not asked."""
    silent: list[Vote] = []
    for vote in votes:
        if vote.verdict.outcome is not Outcome.ABSTAIN:
            return decided(vote.verdict.outcome, [vote])
        silent.append(vote)
    return abstained(f"no member decides: {told(silent)}")


def weighed(votes: Sequence[Vote], threshold: float) -> Verdict:
    """By the share of the deciding weight that passes."""
    deciding = [v for v in votes if v.verdict.outcome is not Outcome.ABSTAIN]
    if not deciding:
        return abstained(f"no member decides: {told(votes)}")
    whole = math.fsum(v.member.weight for v in deciding)
    share = math.fsum(v.member.weight for v in deciding if v.verdict.passed) / whole
    if math.isclose(share, threshold, abs_tol=1e-9):
        return abstained(f"the members are {share:g} for it, which decides nothing: {told(votes)}")
    outcome = Outcome.PASS if share > threshold else Outcome.FAIL
    return decided(outcome, [v for v in deciding if v.verdict.outcome is outcome])


def decided(outcome: Outcome, votes: Sequence[Vote]) -> Verdict:
    """A verdict with the names of those that made it; their answer where they have one and the same, and their mean score."""
    answers = {v.verdict.answer for v in votes}
    scores = [v.verdict.score for v in votes if v.verdict.score is not None]
    return Verdict(outcome, told(votes), answers.pop() if len(answers) == 1 else None, mean_of(scores))


def mean_of(scores: Sequence[float]) -> float | None:
    return math.fsum(scores) / len(scores) if scores else None


def told(votes: Sequence[Vote]) -> str:
    """Who said what, in the order of names, so that the order of members leaves no trace."""
    return "; ".join(sorted(f"{v.member.name}: {v.verdict.outcome}, {v.verdict.evidence}" for v in votes))


# ---- as a verifier -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ensemble:
    """`ensemble(task, text)`: the votes of `members`, combined by `combine` with its `knobs`. Never raises."""

    combine: Callable[..., Verdict]
    members: Sequence[Member]
    knobs: dict[str, float] = field(default_factory=dict[str, float])

    def __call__(self, task: Task, text: str) -> Verdict:
        return self.combine((Vote(m, vote(m, task, text)) for m in self.members), **self.knobs)

    def load(self) -> None:
        """Each member's own `load`, as in `Verifier`."""
        for member in self.members:
            if prepare := getattr(member.verify, "load", None):
                prepare()

    def seconds(self, task: Task) -> float:
        """All that its members may need."""
        needs = [getattr(m.verify, "seconds", None) for m in self.members]
        return sum(need(task) for need in needs if need)


def vote(member: Member, task: Task, text: str) -> Verdict:
    try:
        return member.verify(task, text)
    except Exception as e:  # one member's bug silences that member
        return abstained(f"raised {type(e).__name__}: {str(e)[:100]}")


def ensemble_named(kind: str, spec: str) -> Ensemble:
    """The ensemble `kind:spec`. VerifierError for a specification that is none.

    Members stand between commas, as NAME or NAME=WEIGHT (weights for `weighted` only), and so do knobs, as KNOB=NUMBER.
    """
    where = f'verifier "{kind}:{spec}"'
    combine: Any = ensembles[kind]
    allowed = {p.name for p in inspect.signature(combine).parameters.values() if p.kind is p.KEYWORD_ONLY}
    knobs: dict[str, float] = {}
    members: list[Member] = []
    for part in spec.split(","):
        name, equals, number = (x.strip() for x in part.strip().partition("="))
        if not name:
            raise VerifierError(f"{where}: a member is missing; it is written {kind}:NAME,NAME such as {kind}:math,exact")
        value = positive(number, f"{where}: {name}") if equals else 1.0
        if name in allowed and equals:
            knobs[name] = value
            continue
        if equals and combine is not weighted:
            raise VerifierError(f"{where}: only weighted:... has weights, got {part.strip()!r}; leave out {equals}{number}")
        members.append(Member(name, find(name), value))
    if knobs.get("threshold", 0.5) >= 1:
        raise VerifierError(f"{where}: the threshold is a share of the weight between 0 and 1, got {knobs['threshold']:g}")
    if not members:
        raise VerifierError(f"{where} has no members; it is written {kind}:NAME,NAME such as {kind}:math,exact")
    if len({m.name for m in members}) < len(members):
        raise VerifierError(f"{where} names a member twice; name each once")
    return Ensemble(combine, tuple(members), knobs)


def positive(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise VerifierError(f"{where} takes a number above 0, got {text!r}")
    return value
