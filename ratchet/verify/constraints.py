"""Instructions that a program can check: how long a text is, what stands in it and how it is laid out, as in IFEval.

`facts.constraints` is a list of objects with a `name` and the arguments of that constraint. All must hold; the score is the share
that does, and the evidence names the first that fails. With `facts.loose` a constraint also holds where it does in one of the
eight texts that IFEval (Zhou et al. 2023, arXiv 2311.07911, sec. 2.2) makes: without marks of bold and italics, without the
first line, without the last, and all of these together. A new constraint is one function that registers itself here.

Departure from the paper: sentences are split by their closing marks, where IFEval uses a trained splitter.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ratchet.core.errors import RatchetError, VerifierError, nearest
from ratchet.core.registry import Registry, check_knobs
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.verifier import Verifier, abstained, verifiers

Constraint = Callable[..., bool]
constraints: Registry[Constraint] = Registry("constraint", "ratchet.verify", VerifierError)

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
SENTENCE = re.compile(r"[^.!?]*\w[^.!?]*[.!?]*")
BULLET = re.compile(r"^\s*[*\-•]\s+\S", re.MULTILINE)
LONGEST = 100_000


def within(count: int, least: int, most: int) -> bool:
    return least <= count and (most < 0 or count <= most)


def times(text: str, word: str) -> int:
    """How often a word or phrase stands in a text as such, in any case."""
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)) if word else 0


@constraints.add("words")
def words(text: str, *, least: int = 0, most: int = -1) -> bool:
    """From `least` to `most` words; -1 is no bound."""
    return within(len(WORD.findall(text)), least, most)


@constraints.add("sentences")
def sentences(text: str, *, least: int = 0, most: int = -1) -> bool:
    """From `least` to `most` sentences."""
    return within(len(SENTENCE.findall(text)), least, most)


@constraints.add("paragraphs")
def paragraphs(text: str, *, count: int = 1, mark: str = "") -> bool:
    """Exactly `count` paragraphs, parted by blank lines or by a mark such as "***"; none is empty."""
    parts = re.split(r"\n\s*\n", text.strip()) if not mark else text.strip().split(mark)
    return len(parts) == count and all(p.strip() for p in parts)


@constraints.add("bullets")
def bullets(text: str, *, count: int = 1) -> bool:
    """Exactly `count` bullet points: lines that begin with *, - or •."""
    return len(BULLET.findall(text)) == count


@constraints.add("include")
def include(text: str, *, keywords: tuple[str, ...] = ("",)) -> bool:
    """Every keyword stands in it."""
    return all(times(text, k) for k in keywords)


@constraints.add("exclude")
def exclude(text: str, *, keywords: tuple[str, ...] = ("",)) -> bool:
    """No keyword stands in it; an empty text does not do either."""
    return bool(text.strip()) and not any(times(text, k) for k in keywords)


@constraints.add("frequency")
def frequency(text: str, *, keyword: str = "", least: int = 1, most: int = -1) -> bool:
    """The keyword stands in it from `least` to `most` times."""
    return within(times(text, keyword), least, most)


@constraints.add("letter")
def letter(text: str, *, letter: str = "e", least: int = 1, most: int = -1) -> bool:
    """The letter stands in it from `least` to `most` times, in any case."""
    return within(text.casefold().count(letter.casefold()), least, most)


@constraints.add("starts")
def starts(text: str, *, phrase: str = "") -> bool:
    """Begins with the phrase."""
    return bool(phrase) and text.strip().casefold().startswith(phrase.casefold())


@constraints.add("ends")
def ends(text: str, *, phrase: str = "") -> bool:
    """Ends with the phrase; quotation marks around the whole do not matter."""
    return bool(phrase) and text.strip().strip('"').rstrip().casefold().endswith(phrase.casefold())


@constraints.add("lower-case")
def lower_case(text: str) -> bool:
    """No capital letter, and some letter."""
    return text.islower()


@constraints.add("upper-case")
def upper_case(text: str) -> bool:
    """No small letter, and some letter."""
    return text.isupper()


@constraints.add("capitals")
def capitals(text: str, *, least: int = 0, most: int = -1) -> bool:
    """From `least` to `most` words in capitals."""
    return within(sum(w.isupper() for w in WORD.findall(text)), least, most)


@constraints.add("no-commas")
def no_commas(text: str) -> bool:
    """No comma, and some text."""
    return bool(text.strip()) and "," not in text


@constraints.add("quoted")
def quoted(text: str) -> bool:
    """The whole stands between double quotation marks."""
    whole = text.strip()
    return len(whole) > 2 and whole[0] == whole[-1] == '"'


@constraints.add("title")
def title(text: str) -> bool:
    """A title between << and >>."""
    return any(t.strip() for t in re.findall(r"<<([^<>\n]+)>>", text))


@constraints.add("sections")
def sections(text: str, *, mark: str = "SECTION", count: int = 1) -> bool:
    """At least `count` sections, each begun by the mark and a number."""
    return len(re.findall(rf"^\s*{re.escape(mark)}\s+\d+", text, re.MULTILINE)) >= count


@constraints.add("json-format")
def json_format(text: str) -> bool:
    """The whole is one JSON value, which may stand in a fenced block."""
    bare = re.sub(r"^\s*```(?:json|JSON)?\s*\n?|\n?\s*```\s*$", "", text)
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


@constraints.add("postscript")
def postscript(text: str, *, mark: str = "P.S.") -> bool:
    """A line that begins with the mark of a postscript and says something."""
    return bool(re.search(rf"^\s*{re.escape(mark)}\s*\S", text, re.MULTILINE | re.IGNORECASE))


@constraints.add("two-responses")
def two_responses(text: str) -> bool:
    """Two different responses, parted by ******."""
    parts = [p.strip() for p in re.split(r"(?<!\*)\*{6}(?!\*)", text)]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


@constraints.add("placeholders")
def placeholders(text: str, *, least: int = 1) -> bool:
    """At least `least` placeholders in square brackets, such as [address]."""
    return len(re.findall(r"\[[^\[\]\n]+\]", text)) >= least


def checked(rows: Any) -> list[tuple[str, Callable[[str], bool]]]:
    """(name, check) for each row of `facts.constraints`. Raises VerifierError or RecipeError with one sentence on what is wrong."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise VerifierError(f"facts.constraints must be a list of objects with a name and arguments, got {str(rows)[:60]!r}")
    return [one(row) for row in cast("Sequence[Any]", rows)]


def one(row: Any) -> tuple[str, Callable[[str], bool]]:
    if not isinstance(row, Mapping) or not isinstance(cast("Mapping[str, Any]", row).get("name"), str):
        raise VerifierError(f'each constraint must be an object with a "name", got {str(cast(Any, row))[:60]!r}')
    arguments = dict(cast("Mapping[str, Any]", row))
    name = arguments.pop("name")
    if name not in constraints:
        raise VerifierError(f'no constraint named "{name}"; {nearest(name, [e.name for e in constraints])}')
    function = constraints[name]
    return name, functools.partial(function, **check_knobs("constraint", name, function, arguments))


def loosened(text: str) -> list[str]:
    """The text in the eight ways of IFEval's loose accuracy: each of three removals made or not."""
    lines = text.split("\n")
    cuts = [text, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip()]
    return [
        without for cut, marks in itertools.product(cuts, (False, True)) if (without := cut.replace("*", "") if marks else cut)
    ]


def extract(text: str) -> str | None:
    return text if text.strip() else None


def judge(task: Task, answer: str) -> Verdict:
    try:
        rows = checked(task.facts.get("constraints"))
    except RatchetError as e:
        return abstained(str(e))
    if len(answer) > LONGEST:
        return Verdict(Outcome.FAIL, f"{len(answer)} characters, at most {LONGEST} are read", score=0.0)
    if answer.split() == task.prompt.split():
        return Verdict(Outcome.FAIL, "repeats the task", score=0.0)
    texts = loosened(answer) if task.facts.get("loose") else [answer]
    held = [any(check(text) for text in texts) for _, check in rows]
    score = sum(held) / len(rows)
    if all(held):
        return Verdict(Outcome.PASS, f"all {len(rows)} constraints hold", score=score)
    name = rows[held.index(False)][0]
    return Verdict(Outcome.FAIL, f'"{name}" does not hold; {sum(held)} of {len(rows)} do', score=score)


verifiers.put("constraints", Verifier(extract, judge, needs_answer=False), summary=__doc__)
