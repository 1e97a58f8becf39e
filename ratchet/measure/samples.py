"""Many samples per problem, from any model: pass@k, pass^k, majority@k, best-of-k, length, and where a stored label and the gold part.

`ratchet.measure.sample_files` reads them from files. A label is what a file says about a sample; a verdict is what our
own verifier says of the same answer and the file's gold. Where they differ, one of three is wrong: the label, the gold
or the verifier, and a person should look.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ratchet.core.errors import StoreError
from ratchet.core.types import Estimate, Outcome, Task, Verdict
from ratchet.measure.comparison import Comparison, tell_apart
from ratchet.measure.estimate import best_of_k, majority_at_k, mean, pass_at_k, pass_hat_k
from ratchet.verify.exact import fold
from ratchet.verify.extract import answer_of, boxed
from ratchet.verify.numeric import number

Gold = str | tuple[str, ...]
Verify = Callable[[Sequence[tuple[Task, str]]], list[Verdict]]
UNIT = "problems"
BATCH = 512  # samples whose texts are held at once


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. None is "not known"; `correct` is the stored label, `verdict` what our own verifier says.

    `logprobs`: the sum of its tokens' log-probabilities (nats) as they were drawn, and how many tokens that are.
    """

    text: str | None = None
    answer: str | None = None
    correct: bool | None = None
    score: float | None = None
    tokens: float | None = None
    characters: int | None = None
    logprobs: tuple[float, int] | None = None
    verdict: Verdict | None = None


@dataclass(slots=True)
class Problem:
    """A problem, or a part of its samples as a reader meets them; `gather` puts the parts together.

    `cluster` groups problems that are no independent draws; `group` is what `--by` splits a file by; `where` is the
    file and line, for messages.
    """

    key: str
    samples: list[Sample] = field(default_factory=list)
    gold: Gold | None = None
    question: str = ""
    cluster: str = ""
    group: str = ""
    where: str = ""

    @property
    def origin(self) -> tuple[str, str]:
        """What was drawn independently of the others: its cluster, or the problem alone. No key is taken for a cluster."""
        return ("cluster", self.cluster) if self.cluster else ("key", self.key)

    @property
    def labelled(self) -> list[Sample]:
        return [s for s in self.samples if s.correct is not None]

    @property
    def rate(self) -> float:
        """Share of the labelled samples that are right."""
        return sum(bool(s.correct) for s in self.labelled) / len(self.labelled)


def gather(parts: Iterable[Problem]) -> list[Problem]:
    """Problems with all their samples, in the order of their first parts. StoreError where the golds of one differ."""
    found: dict[str, Problem] = {}
    for part in parts:
        known = found.setdefault(part.key, part)
        if known is part:
            continue
        if known.gold != part.gold and None not in (known.gold, part.gold):
            raise StoreError(
                f"{part.where}: the gold answer of problem {shown(part.key)} is {shown(part.gold)}, and was {shown(known.gold)} "
                f"at {known.where}; a problem has one gold answer, so name the fields that are meant with --field gold=NAME, "
                f"--field answer=NAME or --field problem=NAME"
            )
        if known.gold is None:
            known.gold = part.gold
        known.samples += part.samples
    return list(found.values())


def shown(value: object) -> str:
    """A value of a file for a message: short, and without what could steer the terminal."""
    return '"' + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)[:60]) + '"'


# ---- estimates ---------------------------------------------------------------------------------------------------


def deepest(problems: Iterable[Problem]) -> int:
    """The most labelled samples that any problem has: no larger k can be estimated."""
    return max((len(p.labelled) for p in problems), default=0)


def pass_at(problems: Sequence[Problem], k: int, level: float = 0.95) -> Estimate:
    """pass@k by the stored labels, over the problems with at least k labelled samples; clustered."""
    deep = deep_enough(problems, k)
    return over_problems([pass_at_k(len(p.labelled), sum(bool(s.correct) for s in p.labelled), k) for p in deep], deep, level)


def pass_hat_at(problems: Sequence[Problem], k: int, level: float = 0.95) -> Estimate:
    """pass^k, that all k are right, by the stored labels over the problems with at least k labelled samples; clustered."""
    deep = deep_enough(problems, k)
    return over_problems([pass_hat_k(len(p.labelled), sum(bool(s.correct) for s in p.labelled), k) for p in deep], deep, level)


def best_of_at(problems: Sequence[Problem], k: int, level: float = 0.95) -> Estimate | None:
    """Best of k under the stored scores, over the problems with at least k labelled samples; clustered.

    None where a labelled sample of these problems has no score.
    """
    deep = deep_enough(problems, k)
    scores = [[s.score for s in p.labelled if s.score is not None] for p in deep]
    if any(len(found) < len(p.labelled) for found, p in zip(scores, deep, strict=True)):
        return None
    values = [best_of_k(x, [bool(s.correct) for s in p.labelled], k) for x, p in zip(scores, deep, strict=True)]
    return over_problems(values, deep, level)


def majority_at(problems: Sequence[Problem], k: int, level: float = 0.95) -> Estimate:
    """majority@k by the stored labels, over the problems with at least k labelled samples; clustered.

    Answers vote as `same` writes them; a sample without an answer has no vote.
    """
    deep = deep_enough(problems, k)
    votes = [[None if s.answer is None else same(s.answer) for s in p.labelled] for p in deep]
    values = [majority_at_k(v, [bool(s.correct) for s in p.labelled], k) for v, p in zip(votes, deep, strict=True)]
    return over_problems(values, deep, level)


def mean_length(problems: Sequence[Problem], level: float = 0.95) -> tuple[Estimate, str] | None:
    """Mean length of a problem's samples and its unit: tokens where every sample has them, else characters; or None."""
    problems = [p for p in problems if p.samples]
    samples = [s for p in problems for s in p.samples]
    for name in ("tokens", "characters"):
        if samples and all(getattr(s, name) is not None for s in samples):
            lengths = [math.fsum(getattr(s, name) for s in p.samples) / len(p.samples) for p in problems]
            bounds = (min(lengths), max(lengths))
            return mean(lengths, [p.origin for p in problems], level, unit_of(problems), bounds), name
    return None


def compare(a: Sequence[Problem], b: Sequence[Problem], level: float = 0.95) -> Comparison:
    """Whether b's pass@1 is better than a's over the problems in both (see `paired`). StoreError where they share none."""
    pairs = paired(a, b).both
    told = tell_apart([p.rate for p, _ in pairs], [q.rate for _, q in pairs], [p.origin for p, _ in pairs], level)
    return replace(told, difference=replace(told.difference, unit=unit_of([p for p, _ in pairs])))


class Pairs(NamedTuple):
    """Problems that both sides have, in one order, and what to say of those that only seemed to be the same."""

    both: list[tuple[Problem, Problem]]
    notes: list[str]


def paired(a: Sequence[Problem], b: Sequence[Problem]) -> Pairs:
    """The problems with labels that both sides have. Raises StoreError where they share none.

    Problems are the same where their questions are, if both sides hold every question, since a key such as 0, 1, 2 can
    stand for another problem in another file; of a question that a side has more than once, those with the same key. Else
    problems are the same where their keys are, but not where stored questions, or without these the golds, say otherwise:
    such pairs are left out. Where the questions agree and the golds do not, the pair stays. `notes` tells of both.
    """
    sides = [[p for p in side if p.labelled] for side in (a, b)]
    by_question = all(p.question for side in sides for p in side)
    repeated = {q for side in sides for q, times in Counter(p.question for p in side).items() if times > 1}

    def name(p: Problem) -> tuple[str, str]:
        return (p.question, p.key if p.question in repeated else "") if by_question else ("", p.key)

    first, second = ({name(p): p for p in side} for side in sides)
    shared = [(first[x], second[x]) for x in sorted(first.keys() & second.keys())]
    both = [(p, q) for p, q in shared if not another(p, q)]
    if not both:
        known = f", of {len(shared)} keys all stand for another question or gold" if shared else ""
        raise StoreError(f"the files share no problem ({len(first)} and {len(second)} problems with labels{known})")
    notes: list[str] = []
    if others := len(shared) - len(both):
        notes.append(f"{others:,} keys stand for another question or gold in the other file; they are left out")
    if odd := sum(golds_differ(p, q) for p, q in both):
        notes.append(f"the golds of {odd:,} shared problems differ, so their labels may not mean the same")
    return Pairs(both, notes)


def another(p: Problem, q: Problem) -> bool:
    """Whether two problems that go by one name are two: their questions differ, or golds where a question is unknown."""
    return p.question != q.question if p.question and q.question else golds_differ(p, q)


def golds_differ(p: Problem, q: Problem) -> bool:
    mine, other = (answers_of(x.gold) for x in (p, q))
    return bool(mine and other) and not mine & other


def answers_of(gold: Gold | None) -> set[Hashable]:
    if gold is None:
        return set()
    short = short_gold(gold)
    return {same(answer) for answer in ((short,) if isinstance(short, str) else short)}


def deep_enough(problems: Sequence[Problem], k: int) -> list[Problem]:
    deep = [p for p in problems if len(p.labelled) >= k]
    if not deep:
        raise StoreError(f"no problem has {k} labelled samples (the most is {deepest(problems)}); ask for a smaller k")
    return deep


def over_problems(values: Sequence[float], problems: Sequence[Problem], level: float) -> Estimate:
    return mean(values, [p.origin for p in problems], level, unit_of(problems))


def unit_of(problems: Sequence[Problem]) -> str:
    """What the n of an interval counts: problems, or clusters where some of them share one."""
    return UNIT if len({p.origin for p in problems}) == len(problems) else "clusters"


# ---- answers -----------------------------------------------------------------------------------------------------

LAST_LINE = re.compile(r"^A: *(\S.*)$", re.MULTILINE)  # how the solutions of OpenAI's GSM8K models end
SPACING = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\[!,;: ]|\\displaystyle|\\%|\^\\circ|\^\{\\circ\}")
WORDS = re.compile(r"\\(?:text|mbox|mathrm|textbf)\{([^{}]*)\}")
OPERATOR = re.compile(r"\s*([-+*/=<>])\s*")
FRACTION = re.compile(r"(\d)?\s*\\frac(?:\{(\d+)\}\{(\d+)\}|(\d)(\d))")


def answer_in(text: str) -> str | None:
    """The answer that a text ends with: boxed, after an answer mark, a text of one line, or a last line "A: ..."."""
    found = answer_of(text)
    if found is None:
        lines = LAST_LINE.findall(text)
        found = lines[-1].strip() if lines else None
    return found


def plain(answer: str) -> str:
    r"""An answer without what only sets it in LaTeX, so that \left( 3, \dfrac{1}{2} \right) is (3,1/2). No algebra."""
    text = " ".join(answer.split()).strip("$")  # no long runs of blanks: the patterns below would be slow on them
    text = text.replace("{,}", ",").replace("\\$", "")
    text = SPACING.sub("", text).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = WORDS.sub(r" \1", text)
    text = FRACTION.sub(lambda m: f"{m[1] or ''}{' ' if m[1] else ''}{m[2] or m[4]}/{m[3] or m[5]}", text)
    text = OPERATOR.sub(r"\1", text).strip()
    # a blank between digits stays: 12\frac{3}{5} is 12 3/5 and not 123/5
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text) if re.search(r"[\\(\[{^]", text) else text


def same(answer: str) -> Hashable:
    """What two answers share when they are the same one: the number, or the text without setting, case and blanks."""
    text = plain(answer)
    value = number(text)
    return fold(text) if value is None else value


def short_gold(gold: Gold) -> Gold:
    """A gold that is a whole solution (GSM8K's ends in "#### 18") is the answer at its end."""
    if isinstance(gold, tuple):
        return short_gold(gold[0]) if len(gold) == 1 else gold
    if "####" in gold or "\\boxed{" in gold or "\n" in gold.strip():
        return answer_in(gold) or gold
    return gold


# ---- our own verdict ---------------------------------------------------------------------------------------------


def condense(parts: Iterable[Problem], verify: Verify | None = None, verifier: str = "auto") -> Iterator[Problem]:
    """The same parts with answers and our verdicts, and without texts: a file of any size passes through in pieces.

    What is judged is what a text has in a box, else the stored answer, else what `answer_in` finds. `verifier` is
    "math", "numeric" or "exact"; "auto" is "math". Without `verify` nothing is judged.
    """
    waiting: list[Problem] = []
    held = 0
    for part in parts:
        waiting.append(part)
        held += len(part.samples)
        if held >= BATCH:
            yield from judged(waiting, verify, verifier)
            waiting, held = [], 0
    yield from judged(waiting, verify, verifier)


def judged(parts: Sequence[Problem], verify: Verify | None, verifier: str) -> Sequence[Problem]:
    tasks: dict[Gold, Task] = {}
    asked: dict[tuple[Gold, str], None] = {}
    claims: list[tuple[Gold, str] | None] = []
    for part in parts:
        gold = None if part.gold is None or verify is None else short_gold(part.gold)
        for sample in part.samples:
            claim = None if gold is None else claimed(sample)
            claims.append(None if gold is None or claim is None else (gold, claim))
            if gold is not None and claim is not None:
                tasks.setdefault(gold, task_of(gold, verifier))
                asked[gold, claim] = None
    verdicts = dict(zip(asked, verify([(tasks[g], marked(plain(c))) for g, c in asked]), strict=True)) if verify and asked else {}
    order = iter(claims)
    for part in parts:
        part.samples = [finished(s, verdicts.get(c) if (c := next(order)) else None) for s in part.samples]
    return parts


def finished(sample: Sample, verdict: Verdict | None) -> Sample:
    if sample.text is None:
        return replace(sample, verdict=verdict)
    answer = answer_in(sample.text) if sample.answer is None else sample.answer
    return replace(sample, text=None, characters=len(sample.text), answer=answer, verdict=verdict)


def claimed(sample: Sample) -> str | None:
    """The answer to judge. A box is what the model itself marked; a stored answer went through somebody's extractor."""
    if sample.text is not None:
        found = boxed(sample.text)
        if found is None and sample.answer is None:
            found = answer_in(sample.text)
        if found is not None:
            return found
    return sample.answer


def marked(answer: str) -> str:
    """An answer as a text in which the verifier finds exactly this answer."""
    balanced = "\\boxed{" not in answer and answer.count("{") == answer.count("}")
    return f"\\boxed{{{answer}}}" if balanced else " ".join(answer.split())


def task_of(gold: Gold, verifier: str) -> Task:
    answer = plain(gold) if isinstance(gold, str) else [plain(g) for g in gold]
    return Task("samples", "", answer, "math" if verifier == "auto" else verifier)


@dataclass(frozen=True)
class Disagreement:
    """Samples of one problem with one answer, whose label and our verdict differ."""

    key: str
    question: str
    gold: Gold
    answer: str
    label: bool
    verdict: Outcome
    evidence: str
    samples: int
    where: str


@dataclass(frozen=True)
class Audit:
    """Labels against our verdicts. `unjudged` samples had no label, no gold, no answer, or a verdict of ABSTAIN."""

    agree: int
    too_kind: int  # the label says right, our verdict is FAIL
    too_strict: int  # the label says wrong, our verdict is PASS
    unjudged: int
    problems: int  # with at least one disagreement
    rows: list[Disagreement]


def by_verdict(problems: Iterable[Problem]) -> list[Problem]:
    """The same problems with our verdicts for labels; what was not judged, or abstained, has none."""

    def relabelled(s: Sample) -> Sample:
        unknown = s.verdict is None or s.verdict.outcome is Outcome.ABSTAIN
        return replace(s, correct=None if unknown or s.verdict is None else s.verdict.passed)

    return [replace(p, samples=[relabelled(s) for s in p.samples]) for p in problems]


def audit(problems: Iterable[Problem]) -> Audit:
    """How labels and verdicts of condensed problems agree, and each disagreement once per problem and answer."""
    agree = kind = strict = unjudged = 0
    rows: dict[tuple[str, bool, Hashable], Disagreement] = {}
    keys: set[str] = set()
    for p in problems:
        for s in p.samples:
            if s.correct is None or s.verdict is None or s.verdict.outcome is Outcome.ABSTAIN or p.gold is None:
                unjudged += 1
                continue
            if s.correct is s.verdict.passed:
                agree += 1
                continue
            kind += s.correct
            strict += not s.correct
            keys.add(p.key)
            answer = s.verdict.answer or s.answer or ""
            row = rows.get(name := (p.key, s.correct, same(answer)))
            rows[name] = (
                replace(row, samples=row.samples + 1)
                if row
                else Disagreement(p.key, p.question, short_gold(p.gold), answer, s.correct, s.verdict.outcome,
                                  s.verdict.evidence, 1, p.where)
            )  # fmt: skip
    return Audit(agree, kind, strict, unjudged, len(keys), list(rows.values()))
