"""Answers in prose (names, dates, numbers): how much of a gold answer stands in the text, without a model.

At least half of the words of the gold, or of one of several alternatives, must be in the answer. Words are folded: case,
accents, endings, number words, Roman numerals, footnote marks. Articles and the like do not count, nor do words that the
question gives away; echoes of the question are cut out. A date must agree down to what the answer says of it, and a gold with
numbers needs one of them. An answer that offers other candidates beside the gold, joined by "or" or in a long list, fails.

The rule was chosen on half of the questions of EVOUNA (Wang et al. 2023, arXiv 2305.12421); docs/text-answers.md has how far it
agrees with people on the other half, beside other rules, and what it accepts wrongly.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.extract import boxed, trim
from ratchet.verify.verifier import Verifier, abstained, failed, verifiers

# Of the gold's words. Not the share that agrees best: on the validation half, without the guard against lists, 0.3 agreed on 94.0 %
# (12.7 % of wrong answers accepted) and 0.5 on 93.9 % (10.3 %).
SHARE = 0.5
MOST_WORDS = 400  # of an answer without a mark: longer ones are no answers
MOST_GOLDS = 300
ECHO = 5  # words in a row that are the question's
ITEM, LEAD = 4, 6  # words of an item of a list, and of one with the gold in it, which may have a lead: "it could be Paris"
MANY = 6  # other candidates in a list, that are too many in any answer
SHORT = 6  # words that count of an answer without a sentence, in which one other candidate is too many
PREFIX = 6  # letters that make two words one, with an ending that the rules below do not know

STOP = """a an the of in on at to for by and or is was were are be it its with from as that this which who what when where how
did does do about into their his her he she they there has have had been not no could would should might maybe perhaps possibly probably either"""
SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty"""
ORDINAL = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
ROMAN = "_ _ ii iii iv _ vi vii viii ix _ xi xii xiii xiv xv xvi"  # I, V and X are letters too
TENS = "thirty forty fifty sixty seventy eighty ninety"
MONTH = "january february march april may june july august september october november december"
NUMERALS = {word: str(i) for row in (SMALL, ORDINAL, ROMAN) for i, word in enumerate(row.split()) if word != "_"}
TENTHS = {word: str(30 + 10 * i) for i, word in enumerate(TENS.split())} | {"once": "1", "twice": "2"}
SHORTENED = {m[:n]: m for m in MONTH.split() for n in (3, 4) if len(m) > 4}
ENDINGS = ("ies", "ing", "ers", "ed", "es", "er", "ly", "s", "e", "y")

LETTERS = str.maketrans({"ı": "i", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "Ae", "œ": "oe", "đ": "d", "&": " and ",
                         "'": "", "’": "", "ʻ": "", "−": "-"})  # fmt: skip
COMMAND = re.compile(r"\\[A-Za-z]+")  # of LaTeX, no word: \boxed{} is no boxing
ARTICLES = frozenset(("a", "an", "the"))
DIGIT = re.compile(r"\d", re.ASCII)
WITH_DIGITS = [
    (re.compile(pattern, re.ASCII), by)
    for pattern, by in (
        (r"(?<=\d),(?=\d{3}(?!\d))", ""),  # 1,234
        (r"(?<=[A-Za-z]{3})\d{1,2}(?![\w.])", ""),  # "Beer12.": marks of footnotes
        (r"\b(1\d{3}|20\d\d)\d{1,2}(?=\.?(?:\s|$))", r"\1"),  # and behind a year
        (r"(?<=\d)\s?(?:st|nd|rd|th|s)\b", ""),
        (r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)", " "),
    )
]
GLUED = re.compile(r"(?<=[a-z])(?=[A-Z])")  # words that lost the blank between them
INITIALS = re.compile(r"\b([A-Z])\.\s?(?=[A-Z]\b)")  # U.S.A.
WORD = re.compile(r"(?:(?<![\w.)])-(?=\d))?\d+(?:\.\d+)?|[^\W\d_]+")
MARKED = re.compile(r"<answer>|####|\b(?:final |correct )?answer(?:\*{0,2}\s*:\*{0,2}|\s+is\b:?)", re.IGNORECASE)
ENDED = re.compile(r"</answer>|<end>|\n", re.IGNORECASE)
BRACKETS = re.compile(r"\s*\([^()]*\)\s*")
ITEMS = re.compile(r"((?<!\d),|,(?!\d)|[;\n/|]|\bor\b|\band\b|[.!?]\s)", re.IGNORECASE)


def words(text: str) -> list[str]:
    """The words of a text, folded: numbers as digits, without articles."""
    text = COMMAND.sub(" ", text).translate(LETTERS)
    if DIGIT.search(text):
        for pattern, by in WITH_DIGITS:
            text = pattern.sub(by, text)
    text = INITIALS.sub(r"\1", GLUED.sub(" ", text)).casefold()
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(c))
    return [stem(w) for w in WORD.findall(text) if w not in ARTICLES]


@lru_cache(4_096)
def words_of_question(question: str) -> tuple[str, ...]:
    return tuple(words(question))


@lru_cache(50_000)
def stem(word: str) -> str:
    """Without a common ending; a number word is its digits."""
    if word[0].isdigit() or word[0] == "-":
        return (word.rstrip("0").rstrip(".") if "." in word else word.lstrip("0")) or "0"
    if word in NUMERALS or word in TENTHS:
        return NUMERALS.get(word) or TENTHS[word]
    word = SHORTENED.get(word, word)
    return next((word[: -len(e)] for e in ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), word)


STOPPED = frozenset(stem(w) for w in STOP.split())
MONTHS = frozenset(map(stem, MONTH.split()))
YEAR = re.compile(r"1\d{3}|20\d\d", re.ASCII)
DAY = re.compile(r"[12]?\d|3[01]", re.ASCII)


@dataclass(frozen=True)
class Gold:
    """One alternative: its words, those that count, the numbers among these, and the date that it is."""

    whole: tuple[str, ...]
    counted: frozenset[str]
    numbers: frozenset[str]
    date: Date | None
    given: bool  # the question holds all of it


@dataclass(frozen=True)
class Said:
    """An answer: its words in order, as a set, the first letters of those that are not the question's, and run together."""

    order: tuple[str, ...]
    found: frozenset[str]
    starts: frozenset[str]
    joined: str


@lru_cache(4_096)
def understood(golds: tuple[str, ...], question: str) -> tuple[Gold, ...]:
    """What is looked for: each alternative, and each without what stands in brackets."""
    asked = frozenset(words_of_question(question))
    texts = dict.fromkeys(t for g in golds[:MOST_GOLDS] for t in (g, BRACKETS.sub(" ", g)))
    return tuple(gold_of(w, asked) for w in dict.fromkeys(tuple(words(t)) for t in texts) if w)


def gold_of(whole: tuple[str, ...], asked: frozenset[str]) -> Gold:
    """Words that the question gives away do not count, unless it gives all."""
    content = frozenset(w for w in whole if w not in STOPPED) or frozenset(whole)
    counted = content - asked or content
    return Gold(whole, counted, frozenset(filter(is_number, counted)), date_of(whole, asked), content <= asked)


def is_number(word: str) -> bool:
    return word[-1].isdigit()


def said_of(order: Sequence[str], asked: frozenset[str]) -> Said:
    found = frozenset(order)
    starts = frozenset(w[:PREFIX] for w in found - asked if len(w) >= PREFIX and not is_number(w))
    return Said(tuple(order), found, starts, "".join(order))


def share(gold: Gold, said: Said) -> float:
    """The weight of the gold's words that are found, of the weight of all that count; 0 where numbers or dates speak against it."""
    if gold.given:
        return float(contains(said.order, gold.whole))
    if gold.date is not None:
        return float(agrees(gold.date, said.order))
    if gold.numbers and not gold.numbers & said.found:
        return 0.0
    if len(run := "".join(gold.whole)) > PREFIX and run in said.joined:
        return 1.0  # "sea shells" for "seashells"
    here = sum(w in said.found or (len(w) >= PREFIX and w[:PREFIX] in said.starts) for w in gold.counted)
    return here / len(gold.counted)


def contains(order: Sequence[str], run: Sequence[str]) -> bool:
    return f" {' '.join(run)} " in f" {' '.join(order)} "


@dataclass(frozen=True)
class Date:
    """Its parts from the coarsest, "" where there is none, and those that the question gives."""

    year: str
    month: str
    day: str
    given: frozenset[str]


def date_of(whole: Sequence[str], asked: frozenset[str]) -> Date | None:
    """A month with a year or a day, and few words beside them."""
    months = [w for w in whole if w in MONTHS]
    years = [w for w in whole if YEAR.fullmatch(w)]
    days = [w for w in whole if DAY.fullmatch(w)]
    if len(months) != 1 or len(years) > 1 or len(days) > 1 or not years + days or len(whole) > 5:
        return None
    year, month, day = "".join(years), months[0], "".join(days)
    given = frozenset((year, month, day)) & asked
    return Date(year, month, day, given) if {*years, *months, *days} - given else None


def agrees(date: Date, order: Sequence[str]) -> bool:
    """The coarsest part that the question does not give must be there, and each finer one, unless none of its kind is there."""
    found = frozenset(order)
    months = found & MONTHS
    days = {w for i, w in enumerate(order) if DAY.fullmatch(w) and months & frozenset(order[max(0, i - 2) : i + 3])}
    parts = [
        (p, bool(told)) for p, told in ((date.year, True), (date.month, months), (date.day, days)) if p and p not in date.given
    ]
    return all(part in found or (not told and place > 0) for place, (part, told) in enumerate(parts))


def extract(text: str) -> str | None:
    """The last boxed answer, else what follows the last "answer:", "answer is", #### or <answer> on its line, else the whole text."""
    found = boxed(text)
    if found is None:
        marks = list(MARKED.finditer(text))
        if marks:
            found = trim(ENDED.split(text[marks[-1].end() :].lstrip(), maxsplit=1)[0])
    return found or text.strip() or None


def judge(task: Task, answer: str) -> Verdict:
    golds = [str(g) for g in (task.answer if isinstance(task.answer, (list, tuple)) else [task.answer])]
    needed = task.facts.get("share", SHARE)
    if not isinstance(needed, (int, float)) or not 0 < needed <= 1:
        return abstained(f"facts.share is {needed!r}; it must be above 0 and at most 1")
    wanted = understood(tuple(golds), task.prompt)
    if not wanted:
        return abstained(f"the gold answer {str(golds)[:60]} holds no words")
    asked = words_of_question(task.prompt)
    said = said_of(without_echo(words(answer), asked), frozenset(asked))
    if len(said.order) > MOST_WORDS:
        return failed(f"{len(said.order)} words are no short answer; only a marked answer may stand in so long a text")
    best, gold = max(((share(g, said), g) for g in wanted), key=lambda pair: pair[0])
    found = f"holds {best:.0%} of {' '.join(gold.whole)[:60]!r}"
    if best < needed:
        return Verdict(Outcome.FAIL, found, score=best)
    if offers_others(answer, wanted, frozenset(asked)):
        return Verdict(Outcome.FAIL, "offers other candidates beside the gold answer", score=0.0)
    return Verdict(Outcome.PASS, found, score=best)


def without_echo(said: Sequence[str], asked: Sequence[str]) -> list[str]:
    """The words without runs of `ECHO` and more that stand in the question too: a question told again is no answer."""
    least = min(ECHO, len(asked))
    if not least:
        return list(said)
    runs = {tuple(asked[i : i + least]) for i in range(len(asked) - least + 1)}
    drop: set[int] = set()
    for i in range(len(said) - least + 1):
        if tuple(said[i : i + least]) in runs:
            drop.update(range(i, i + least))
    return [w for i, w in enumerate(said) if i not in drop]


def offers_others(answer: str, golds: Sequence[Gold], asked: frozenset[str]) -> bool:
    """Whether the gold stands among other candidates: beside one in a short answer without a sentence, or in a long list."""
    parts = ITEMS.split(answer)
    if len(parts) == 1:
        return False
    known = frozenset(w for g in golds for w in g.whole)
    chain, chains, told = list[tuple[bool, bool]](), list[list[tuple[bool, bool]]](), 0
    for place in range(0, len(parts), 2):
        item = words(parts[place])
        content = frozenset(item) - STOPPED - asked
        right = bool(content & known)
        told += len(content)
        if content and len(item) <= (LEAD if right else ITEM):
            joined = place > 0 and parts[place - 1].lower() in ("or", "and", "/")
            chain.append((right, joined or (not right and all(map(is_number, content)))))
        elif content:  # a longer part: what stands before and behind it are two lists
            chains.append(chain)
            chain, told = [], told + SHORT
    return any(is_hedge(c, told <= SHORT) for c in [*chains, chain])


def is_hedge(chain: Sequence[tuple[bool, bool]], short: bool) -> bool:
    """For a list of items (whether it is of the gold, whether it is another choice by what joins it or as a number)."""
    right = sum(hit for hit, _ in chain)
    others = len(chain) - right
    if not right or not others:
        return False
    return (others >= MANY and others > 2 * right) or (short and (others > right or any(choice for _, choice in chain)))


verifiers.put("text", Verifier(extract, judge), summary=__doc__)
