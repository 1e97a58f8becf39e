"""A model as a verifier: by a reference or without one, by votes, by a rubric, or between two answers.

The model is handed in as `ask`, a function from a prompt to a reply: an endpoint and a local engine both fit. What it is to judge
was written by another model that gains from a good verdict, so the text is taken as hostile:

- A text that says nothing beyond the question fails without being asked about: punctuation, openers such as "Thought process:" and
  the question told again are paid for by many judges (Zhao et al. 2025, "One token to fool LLM-as-a-judge", arXiv 2507.08794).
- The text stands between lines that it cannot hold, without control characters, and not longer than `LONGEST`.
- The verdict is the last line of the reply and carries a number that the text cannot hold, so that no line of the text, were it
  repeated by the judge, can be read as a verdict. Any other reply is ABSTAIN.
- With `canary` a PASS counts only where the same judge refuses a wrong answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ratchet.core.errors import EngineError, VerifierError
from ratchet.core.seeds import digest
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify import judge_prompts
from ratchet.verify.exact import fold
from ratchet.verify.extract import boxed
from ratchet.verify.numeric import number
from ratchet.verify.verifier import abstained, failed, passed

Ask = Callable[[str], str]

LONGEST = 12_000  # characters of a text that the judge is shown: its beginning and its end, where the answer is
ECHO = 5  # so many words in a row that stand in the question too were taken from it
NO_VERDICT = "the judge's reply has no verdict"
UNSURE = "I do not know the answer."  # an answer that no reference is needed for to know it wrong

# ---- what a text says ----------------------------------------------------------------------------------------------

# Words that are about answering, and hold no answer: those of English that join others, and those that announce a solution.
JOINING = """a an the this that these those it its is are was be been being am do does did will would can could should shall may might must
have has had i we you he she they me us my our your their let lets s ll re ve d t m in on at of to for from by with as into about through
and or but so then now first next here there if when while how what which who where why please ok okay sure certainly well just also"""
ANNOUNCING = """answer answers solution solutions solve solved solving problem problems question questions task step steps thought thoughts
think thinking thinks process processes reason reasoning explanation explain approach method find work working carefully detail detailed
begin start result results final following below given show consider understand analyze analysis break down need boxed text
respuesta solución réponse lösung antwort risposta soluzione resposta solução решение ответ 解 解答 解法 答案 答 解説 かいせつ 回答 풀이 정답"""
SILENT = frozenset(fold(w) for w in f"{JOINING} {ANNOUNCING}".split())
WORD = re.compile(r"[^\W_]+")
# what stands for an answer though its letters are those of small words: B. or (b) or $i$, a word in quotes; not an article or a pronoun
POINTED = re.compile(r"\b[A-Z]\b(?=[^\w\s'’]|\s*$)|\([a-z]\)|\$[a-z]\$|[\"“][^\W_]+[.]?[\"”]")


def words(text: str) -> list[str]:
    return [fold(w) for w in WORD.findall(unicodedata.normalize("NFKC", text))]


def says_nothing(text: str, question: str, golds: Sequence[str] = ()) -> str:
    """Why a text cannot be an answer, whatever the question is; empty where it may be one.

    A rule and no list of known tricks: an answer holds a number, a letter that stands for a choice, a word in quotes or in a box, a symbol of
    mathematics, or a word that is neither about answering nor in a run of `ECHO` words of a question that is told again for the
    better part. A text that is a gold answer is an answer, and so is one with the words of one.
    """
    said = words(text)
    if squeezed(text) in map(squeezed, golds) and squeezed(text):
        return ""
    if not said:
        symbol = any(unicodedata.category(c) in ("Sm", "So", "Sc") for c in text)
        wordless = any(squeezed(g) and not words(g) for g in golds)  # such as brackets
        return "" if symbol or (wordless and text.strip()) else "the text holds no word, number or symbol"
    echoed = echoes(said, words(question))
    left = {w for i, w in enumerate(said) if i not in echoed}
    if left - SILENT or any(own and own <= left for own in (set(words(g)) for g in golds)):
        return ""
    if set(POINTED.findall(text)) - set(POINTED.findall(question)) or (not echoed and words(boxed(text) or "")):
        return ""
    return "the text says nothing beyond the question" if echoed else "the text announces an answer and gives none"


def echoes(said: Sequence[str], asked: Sequence[str]) -> set[int]:
    """The places of words that come from the question, where the text tells at least half of it again; else none.

    Less than half may be the answer: a question can hold the choices.
    """
    run = min(ECHO, max(2, len(asked)))
    places: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(asked) - run + 1):
        places.setdefault(tuple(asked[i : i + run]), []).append(i)
    taken: set[int] = set()
    told: set[int] = set()
    for i in range(len(said) - run + 1):
        found = places.get(tuple(said[i : i + run]), [])
        taken |= set(range(i, i + run)) if found else set()
        told |= {j for start in found[:1] for j in range(start, start + run)}
    return taken if 2 * len(told) >= len(asked) else set()


def squeezed(text: str) -> str:
    return "".join(fold(text).split())


# ---- what the judge is shown ---------------------------------------------------------------------------------------

TURNS = re.compile(
    r"<\||\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>", re.IGNORECASE
)  # marks by which chat templates tell who speaks


def clean(text: str) -> str:
    """Without control and invisible characters and without marks of chat templates; the middle left out of a long one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    text = TURNS.sub(lambda m: " ".join(m[0]), text)
    if len(text) <= LONGEST:
        return text
    head = LONGEST // 3
    return f"{text[:head]}\n[{len(text) - LONGEST:,} characters are left out here]\n{text[head - LONGEST :]}"


@dataclass(frozen=True)
class Marks:
    """The line around each text, and the number in a verdict: none of the texts holds either."""

    line: str
    number: str

    def fence(self, text: str) -> str:
        return f"{self.line}\n{text}\n{self.line}"

    def lasts(self, choices: Sequence[str]) -> list[str]:
        return [f"VERDICT {self.number}: {choice}" for choice in choices]


def marks_for(texts: Sequence[str], *path: str | int) -> Marks:
    """Marks that depend on all of the texts, so that none can foresee them, drawn again until no text holds one."""
    draw = 0
    while True:
        found = digest("marks of a judge", *path, *texts, draw)
        marks = Marks(f"=== {found.hex()[:20]} ===", f"{int.from_bytes(found[-4:], 'big') % 1_000_000:06d}")
        if not any(marks.line in t or marks.number in t for t in texts):
            return marks
        draw += 1


def fenced(prompt: str, choices: Sequence[str], path: Sequence[str | int], plain: str = "", **texts: str) -> tuple[str, Marks]:
    """The prompt with each text between marks, and the marks. `plain` is what the user wrote (a criterion), not fenced."""
    cleaned = {name: clean(text) for name, text in texts.items()}
    marks = marks_for([*cleaned.values(), plain], *path)
    filled = {name: marks.fence(text) for name, text in cleaned.items()}
    return prompt.format(marks=marks.line, last="\n".join(marks.lasts(choices)), criterion=plain, **filled), marks


def chosen(reply: str, choices: Sequence[str], marks: Marks) -> str | None:
    """The choice that the last line of a reply is; None where it is none of them, or another line says something else."""
    lines = [line.strip() for line in reply.strip().splitlines()]
    lasts = dict(zip(marks.lasts(choices), choices, strict=True))
    said = {lasts[line] for line in lines if line in lasts}
    return lasts.get(lines[-1]) if lines and len(said) == 1 else None


# ---- verdicts ------------------------------------------------------------------------------------------------------

GRADES = ("CORRECT", "INCORRECT")
MET = ("MET", "UNMET")
BETTER = ("A", "B", "TIE")


def golds_of(task: Task) -> list[str]:
    """The references, which are alternatives; none where the task has no answer."""
    golds = task.answer if isinstance(task.answer, list | tuple) else [task.answer]
    return [str(g) for g in golds if g is not None and str(g).strip()]


def voted(yes: int, no: int, silent: int, what: str) -> Verdict:
    """A majority of the votes that decide. Where most do not, or as many say one as the other, ABSTAIN."""
    decided = yes + no
    told = f"{yes} of {decided + silent} votes say {what}" + (f", {silent} have no verdict" if silent else "")
    if silent > decided or yes == no:
        return abstained(f"the judge: {told}" if decided else NO_VERDICT)
    return Verdict(Outcome.PASS if yes > no else Outcome.FAIL, f"the judge: {told}", score=yes / decided)


@dataclass(frozen=True)
class Judge:
    """`judge(task, text)` is the model's verdict; a verifier like any other, and never raises.

    With `reference` the judge sees the task's answer. `votes` prompts, which differ in their marks, are asked and the majority
    counts (Wang et al. 2022, arXiv 2203.11171, for verdicts); a model that is greedy may give all of them one reply. With `canary` a
    PASS is void where the judge also passes a wrong answer: the same text beside a false reference, or without a reference a text
    that answers wrongly. `grade` is the same and raises EngineError where the model cannot be asked.
    """

    ask: Ask
    reference: bool = True
    votes: int = 1
    canary: bool = False
    wrong_passes: dict[str, bool] = field(default_factory=dict[str, bool], init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise VerifierError(f"a judge has at least one vote, got {self.votes}")

    def __call__(self, task: Task, text: str) -> Verdict:
        return unraised(self.grade, task, text)

    def grade(self, task: Task, text: str) -> Verdict:
        golds = golds_of(task)
        if self.reference and not golds:
            return abstained("the task has no reference answer; ask a judge without reference")
        if nothing := says_nothing(text, task.prompt, golds):
            return failed(nothing)
        verdict = self.poll(task.prompt, " or ".join(golds), text, self.votes)
        if verdict.passed and self.canary and self.passes_wrong(task, golds, text):
            return abstained("the judge passes a wrong answer to this task too, so its verdict is void")
        return verdict

    def poll(self, problem: str, gold: str, text: str, votes: int) -> Verdict:
        said = [self.once(problem, gold, text, vote) for vote in range(votes)]
        return voted(said.count(GRADES[0]), said.count(GRADES[1]), said.count(None), "it is right")

    def once(self, problem: str, gold: str, text: str, vote: int) -> str | None:
        prompt = judge_prompts.REFERENCE if self.reference else judge_prompts.ALONE
        shown = {"problem": problem, "candidate": text} | ({"reference": gold} if self.reference else {})
        asked, marks = fenced(prompt, GRADES, ("grade", vote), **shown)
        return chosen(self.ask(asked), GRADES, marks)

    def passes_wrong(self, task: Task, golds: Sequence[str], text: str) -> bool:
        """Whether the judge lets through what is known to be wrong. Without a reference that is asked once per task."""
        if self.reference:
            return self.poll(task.prompt, false_reference(golds[0]), text, 1).passed
        if task.key not in self.wrong_passes:
            right = number(golds[0]) if golds else None
            wrong = UNSURE if right is None else f"The answer is {right + 1}."
            self.wrong_passes[task.key] = self.poll(task.prompt, "", wrong, 1).passed
        return self.wrong_passes[task.key]


def false_reference(gold: str) -> str:
    """Another answer of the same kind: one more, the next letter, a word turned round."""
    value = number(gold)
    if value is not None:
        return str(value + 1)
    if len(gold) == 1 and gold.isascii() and gold.isalpha():
        return "A" if gold in "Zz" else chr(ord(gold) + 1)
    return gold[::-1] if fold(gold[::-1]) != fold(gold) else f"anything but {gold}"


def unraised(grade: Callable[[Task, str], Verdict], task: Task, text: str) -> Verdict:
    """A model that cannot be asked abstains."""
    try:
        return grade(task, text)
    except EngineError as e:
        return abstained(f"the judge could not be asked: {e}")


# ---- by criteria ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Criterion:
    asks: str
    weight: float = 1.0


@dataclass(frozen=True)
class Rubric:
    """`rubric(task, text)`: each criterion is judged on its own; the score is the weight of those met, over that of those decided.

    PASS where the weight met is at least `enough` of all, FAIL where it could not be even if all that were not decided were met,
    else ABSTAIN. Never raises; `grade` does, as in `Judge`.
    """

    ask: Ask
    criteria: Sequence[Criterion]
    enough: float = 1.0

    def __post_init__(self) -> None:
        if not self.criteria or not all(c.asks.strip() and 0 < c.weight < float("inf") for c in self.criteria):
            raise VerifierError("a rubric is at least one criterion, each with words and a weight above 0")
        if not 0 < self.enough <= 1:
            raise VerifierError(f"a rubric is passed at a share above 0 and at most 1 of its weight, got {self.enough:g}")

    def __call__(self, task: Task, text: str) -> Verdict:
        return unraised(self.grade, task, text)

    def grade(self, task: Task, text: str) -> Verdict:
        if nothing := says_nothing(text, task.prompt, golds_of(task)):
            return failed(nothing)
        said = [self.once(task.prompt, text, c, place) for place, c in enumerate(self.criteria)]
        whole = sum(c.weight for c in self.criteria)
        met = sum(c.weight for c, s in zip(self.criteria, said, strict=True) if s == MET[0])
        open_ = sum(c.weight for c, s in zip(self.criteria, said, strict=True) if s is None)
        score = met / (whole - open_) if whole > open_ else None
        told = f"{said.count(MET[0])} of {len(said)} criteria met" + (f", {said.count(None)} without a verdict" if open_ else "")
        slack = 1e-9 * whole
        verdict = passed if met >= self.enough * whole - slack else abstained
        verdict = failed if met + open_ < self.enough * whole - slack else verdict
        return Verdict(verdict(told).outcome, told, score=score)

    def once(self, problem: str, text: str, criterion: Criterion, place: int) -> str | None:
        prompt, marks = fenced(
            judge_prompts.CRITERION, MET, ("criterion", place), criterion.asks, problem=problem, candidate=text
        )
        return chosen(self.ask(prompt), MET, marks)


# ---- between two ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preference:
    """Which of two texts is better: "first", "second" or "tie"; None where the judge does not say."""

    better: Literal["first", "second", "tie"] | None
    evidence: str


def prefer(ask: Ask, task: Task, first: str, second: str) -> Preference:
    """Asked in both orders, since judges favour a place (Zheng et al. 2023, arXiv 2306.05685): what flips with it is a tie.

    A text that says nothing loses to one that does without being asked about. Raises what `ask` raises.
    """
    empty = [says_nothing(text, task.prompt, golds_of(task)) for text in (first, second)]
    if all(empty):
        return Preference("tie", "neither text says anything beyond the question")
    if any(empty):
        return Preference("second" if empty[0] else "first", f"of the other, {next(filter(None, empty))}")
    there = preferred(ask, task.prompt, first, second, "there")
    back = preferred(ask, task.prompt, second, first, "back")
    if there is None or back is None:
        return Preference(None, NO_VERDICT)
    if (there, back) == ("A", "B"):
        return Preference("first", "in both orders")
    if (there, back) == ("B", "A"):
        return Preference("second", "in both orders")
    return Preference("tie", "in both orders" if there == back == "TIE" else "the preference changes with the order")


def preferred(ask: Ask, problem: str, first: str, second: str, order: str) -> str | None:
    prompt, marks = fenced(judge_prompts.PAIR, BETTER, ("pair", order), problem=problem, first=first, second=second)
    return chosen(ask(prompt), BETTER, marks)
