"""Multiple choice: the option that an answer names, by its letter, by its text, or by both where they agree.

`facts.options` holds the options, a mapping letter -> text or a list whose letters are A, B, C, ... (a label of its own in front of a
text is dropped). The gold is a letter or an option's text. Two options named, or a letter beside another option's text, fail; an
answer that names no option, or a letter with a text that is no option's, is ABSTAIN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, cast

from ratchet.core.types import Task, Verdict
from ratchet.verify.answers import clean, same
from ratchet.verify.extract import boxed, trim
from ratchet.verify.verifier import Verifier, abstained, failed, passed, verifiers

MARKED = re.compile(
    r"<answer>|####|\b(?:answer|option|choice)(?:\*{0,2}\s*:\*{0,2}|\s+(?:is|would be|must be)\b:?)(?:\s+(?:option|choice)\b)?",
    re.IGNORECASE,
)
ENDED = re.compile(r"</answer>|<end>|\n", re.IGNORECASE)
REASON = re.compile(r"\s*[,;]?\s+(?:because|since|as|which|so)\b.*|\.\s+[A-Z].*", re.DOTALL)
DRESS = re.compile(r"\\(?:text|textbf|mathrm|mathbf|rm|boldsymbol)\s*\{([^{}]*)\}")
ALONE = re.compile(r"(?:option|choice|answer)?\s*[\[({]?\s*([A-Za-z])\s*[\])}]?\s*[.:]?", re.IGNORECASE)
LABELLED = re.compile(
    r"(?:option|choice)?\s*(?:[\[(]\s*([A-Za-z])\s*[\])]|([A-Za-z])\s*[.):])\s*(?::)?\s*(.+)", re.IGNORECASE | re.DOTALL
)
OWN_LABEL = re.compile(r"\s*\(?([A-Z])\s*[.):]\s*(?=\S)")
LETTERS = re.compile(r"(?<![A-Za-z\\])([A-Z])(?![A-Za-z'’])")
LONGEST_LINE = 300


def options_of(task: Task) -> dict[str, str]:
    """Letter -> text. Raises ValueError with a sentence where the task's facts hold no options."""
    given: Any = task.facts.get("options")
    if isinstance(given, Mapping):
        found = {str(k).strip().upper(): str(v) for k, v in cast("Mapping[Any, Any]", given).items()}
    elif isinstance(given, Sequence) and not isinstance(given, str):
        found = dict(zip(ascii_uppercase, (str(o) for o in cast("Sequence[Any]", given))))
    else:
        raise ValueError(f"facts.options must be a list of texts or a mapping letter -> text, got {type(given).__name__}")
    if len(found) < 2 or any(len(k) != 1 or k not in ascii_uppercase for k in found):
        raise ValueError(f"facts.options must have at least two options with single letters, got {', '.join(found)[:60]!r}")
    return {k: unlabelled(k, v) for k, v in found.items()}


def unlabelled(letter: str, text: str) -> str:
    match = OWN_LABEL.match(text)
    return text[match.end() :] if match and match[1] == letter else text


def extract(text: str) -> str | None:
    """The last boxed answer, else what follows the last mark, else a single line, else a last line that is a letter."""
    found = boxed(text)
    if found is None and (marks := list(MARKED.finditer(text))):
        rest = text[marks[-1].end() :].strip()
        head, _, tail = rest.partition("\n")
        alone = not text[marks[-1].end() :].split("\n", 1)[0].strip()  # the mark ends its line: the answer is all that follows
        found = None if alone and tail.strip() else trim(ENDED.split(head, maxsplit=1)[0])
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not found and lines and len(lines[-1]) <= LONGEST_LINE and (len(lines) == 1 or ALONE.fullmatch(bare(lines[-1]))):
        found = lines[-1]
    return found or None


def bare(text: str) -> str:
    return DRESS.sub(r"\1", text).strip().strip("*$_ ").rstrip(".").strip()


def named(answer: str, options: Mapping[str, str]) -> set[str] | None:
    """The letters that an answer names; None where it cannot be told."""
    for text in dict.fromkeys((bare(answer), bare(REASON.sub("", answer)))):
        alone = ALONE.fullmatch(text)
        if alone and alone[1].upper() in options:
            return {alone[1].upper()}  # where an option's text is a letter too, a letter is a label
        if len(exact := worded(text, options)) == 1:
            return exact
        labelled = LABELLED.fullmatch(text)
        if labelled and (letter := (labelled[1] or labelled[2]).upper()) in options:
            told = matching(bare(labelled[3]), options) or letters_in(labelled[3], options) - {letter}
            if told:
                return {letter} if letter in told and told == worded(options[letter], options) | {letter} else {letter} | told
        elif found := matching(text, options):
            return found
    letters = letters_in(answer, options)
    return letters if len(letters) > 1 else None


def letters_in(text: str, options: Mapping[str, str]) -> set[str]:
    return {m for m in LETTERS.findall(text) if m in options}


def worded(text: str, options: Mapping[str, str]) -> set[str]:
    """The options that the text is, word for word; letter for letter where there is such a one."""
    if exact := {k for k, v in options.items() if v.strip() == text.strip()}:
        return exact
    folded = pressed(text)
    return {k for k, v in options.items() if folded and pressed(v) == folded}


def pressed(text: str) -> str:
    """Without blanks and case; every sign stays, since "-i" is not "i"."""
    return re.sub(r"\s+", "", clean(text)).casefold().rstrip(".")


def matching(text: str, options: Mapping[str, str]) -> set[str]:
    """The options that the text is: word for word, else by what they mean as mathematics."""
    return worded(text, options) or {k for k, v in options.items() if not ALONE.fullmatch(bare(text)) and same(v, text)}


def judge(task: Task, answer: str) -> Verdict:
    try:
        options = options_of(task)
    except ValueError as e:
        return abstained(str(e))
    gold = str(task.answer).strip().strip("()").rstrip(".)")
    right = {gold.upper()} if gold.upper() in options else matching(str(task.answer), options)
    if not right:
        return abstained(f"the gold answer {str(task.answer)[:60]!r} is none of the options {', '.join(options)}")
    twins = {k for k, v in options.items() if any(v == options[r] for r in right)}  # options that are told twice
    found = named(answer, options)
    if found is None:
        return abstained(f"{answer[:60]!r} names no option clearly")
    if found <= twins:
        return passed(f"is option {min(right)}")
    if len(found) > 1:
        return failed(f"names several options: {', '.join(sorted(found))}")
    return failed(f"is option {min(found)}, not {min(right)}")


verifiers.put("choice", Verifier(extract, judge), summary=__doc__)
