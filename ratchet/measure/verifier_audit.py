"""How far a verifier can be trusted: against labels, against another verifier, and against texts made to fool it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ratchet.core.seeds import rng
from ratchet.core.types import Estimate, Outcome, Task
from ratchet.measure.intervals import share_of
from ratchet.measure.samples import Gold, Problem, Verify, unit_of

Texts = Callable[[Task], Iterable[tuple[str, str]]]
Rewritten = Callable[[Task, str], Iterable[tuple[str, str]]]
EXAMPLES = 3
ATTACKED = 10
MOST_REFUSED = 0.02  # of the rewrites of right answers, where an audit is required


@dataclass
class Probe:
    """What became of one kind of text on many tasks. `wrong` of them got the verdict that they must not get."""

    name: str
    asked: int = 0
    wrong: int = 0
    abstained: int = 0
    examples: list[str] = field(default_factory=list)


def probe(tasks: Sequence[Task], texts: Texts, verify: Verify, passes: bool) -> list[Probe]:
    """Judge each kind of text on all tasks. Where a text must pass, an abstention is no pass but not wrong either."""
    asked = [(task, name, text) for task in tasks for name, text in texts(task)]
    found: dict[str, Probe] = {}
    for (task, name, text), verdict in zip(asked, verify([(t, x) for t, _, x in asked]), strict=True):
        row = found.setdefault(name, Probe(name))
        row.asked += 1
        row.abstained += verdict.outcome is Outcome.ABSTAIN
        if verdict.outcome is (Outcome.FAIL if passes else Outcome.PASS):
            row.wrong += 1
            row.examples += [f"gold {str(task.answer)[:40]!r}, text {text[:60]!r}: {verdict.evidence[:80]}"] * (
                row.wrong <= EXAMPLES
            )
    return list(found.values())


@dataclass(frozen=True)
class Audit:
    """What a verifier made of its own tasks' right answers, of these in other writings, and of texts made to fool it."""

    verifier: str
    tasks: int
    golds: int
    rewrites: Sequence[Probe]
    attacks: Sequence[Probe]

    @property
    def refused(self) -> int:
        return sum(p.wrong for p in self.rewrites)

    @property
    def rewritten(self) -> int:
        return sum(p.asked for p in self.rewrites)

    @property
    def faults(self) -> list[str]:
        """Why it cannot be trusted with a reward; nothing where it can."""
        found = [f"it did not pass {self.tasks - self.golds:,} of {self.tasks:,} gold answers"] * (self.golds < self.tasks)
        if self.refused > MOST_REFUSED * self.rewritten:
            kinds = ", ".join(f"{p.name} ({p.wrong:,} of {p.asked:,})" for p in self.rewrites if p.wrong)
            found.append(f"it refused {self.refused:,} of {self.rewritten:,} gold answers in other writings: {kinds}")
        fooled = [f"{p.name} ({p.wrong:,} of {p.asked:,})" for p in self.attacks if p.wrong]
        return found + [f"it passed {', '.join(fooled)}"] * bool(fooled)

    @property
    def sentence(self) -> str:
        return (
            f"verifier {self.verifier} audited on {self.tasks} training tasks: {self.golds} gold answers passed, {self.refused} of "
            f"{self.rewritten:,} rewrites refused, {sum(p.wrong for p in self.attacks)} of "
            f"{sum(p.asked for p in self.attacks):,} texts made to fool it passed"
        )


def audit(
    tasks: Sequence[Task],
    gold: Callable[[Task], str | None],
    verify: Verify,
    rewritten: Rewritten,
    nearly: Texts,
    attacked: Texts,
) -> Audit:
    """A verifier against the tasks that it is to pay for.

    `gold(task)` is a text that must pass (None where none is known, which counts as not passed), and so must the rewrites of the
    answer in it; `nearly(task)` must not, nor must `attacked(task)`, which hardly depends on the task: it is asked of a few.
    """
    verdicts = verify([(task, gold(task) or "") for task in tasks])
    answers = {task.key: verdict.answer or "" for task, verdict in zip(tasks, verdicts, strict=True)}
    return Audit(
        tasks[0].verifier,
        len(tasks),
        sum(verdict.passed for verdict in verdicts),
        probe(tasks, lambda task: rewritten(task, answers[task.key]), verify, True),
        [*probe(tasks[:ATTACKED], attacked, verify, False), *probe(tasks, nearly, verify, False)],
    )


def tasks_of(problems: Sequence[Problem], verifier: str, count: int) -> list[Task]:
    """Up to so many tasks with different golds, drawn by chance."""
    golds: dict[Gold, str] = {}
    for p in problems:
        if p.gold is not None:
            golds.setdefault(p.gold, p.question)
    chosen = rng("verifier audit", verifier).sample(sorted(golds, key=str), min(count, len(golds)))
    return [Task("audit", golds[g], g if isinstance(g, str) else list(g), verifier) for g in chosen]


@dataclass(frozen=True)
class Labels:
    """Against labels: of what is labelled wrong the share that passes, of what is labelled right the share that fails; each
    None where there is nothing of its kind. `table` counts (label, outcome)."""

    false_accepts: Estimate | None
    false_rejects: Estimate | None
    abstained: Estimate
    table: dict[tuple[bool, Outcome], int]


def against_labels(problems: Sequence[Problem], level: float = 0.95) -> Labels | None:
    """Shares over samples, with intervals over problems, whose samples are no independent draws. None where no sample has a
    label and a verdict."""
    judged = [[s for s in p.samples if s.correct is not None and s.verdict is not None] for p in problems]
    if not any(judged):
        return None
    groups, unit = [p.origin for p in problems], unit_of(problems)

    def share(of: Callable[[bool, Outcome], bool], among: Callable[[bool], bool]) -> Estimate | None:
        pairs = [[(bool(s.correct), s.verdict.outcome) for s in own if s.verdict and among(bool(s.correct))] for own in judged]
        wholes = [float(len(own)) for own in pairs]
        parts = [float(sum(of(*pair) for pair in own)) for own in pairs]
        return share_of(parts, wholes, groups, level, unit) if any(wholes) else None

    table: dict[tuple[bool, Outcome], int] = {}
    for own in judged:
        for s in own:
            assert s.verdict is not None
            key = bool(s.correct), s.verdict.outcome
            table[key] = table.get(key, 0) + 1
    abstained = share(lambda _, o: o is Outcome.ABSTAIN, lambda _: True)
    assert abstained is not None
    return Labels(
        share(lambda _, o: o is Outcome.PASS, lambda label: not label),
        share(lambda _, o: o is Outcome.FAIL, lambda label: label),
        abstained,
        table,
    )
