"""Rows of question-answer files, whatever their fields are called, read one after the other.

Fields are guessed by their names in the first row, the first of `NAMES` that is there; `--field ROLE=NAME` says them. An answer that
is not given is taken out of the solution: the boxed one, or what follows "answer" or ####.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ratchet.core.errors import RecipeError, TaskError, nearest
from ratchet.data.answers import final
from ratchet.data.filters import Row
from ratchet.tasks.files import rows_of

NAMES: dict[str, tuple[str, ...]] = {
    "question": ("question", "problem", "prompt", "input", "content", "query", "instruction"),
    "answer": (
        "answer",
        "final_answer",
        "expected_answer",
        "gold_answer",
        "ground_truth",
        "target",
        "gold",
        "label",
        "correct",
        "output",
    ),
    "solution": ("solution", "rationale", "explanation", "steps", "response"),
    "options": ("options", "choices"),
    "body": ("body", "context", "passage"),
}
"""Role -> the names by which it is found, without regard to case. `body` is put before the question."""


def checked(fields: Mapping[str, str]) -> Mapping[str, str]:
    for role in fields:
        if role not in NAMES:
            raise RecipeError(f'--field: there is no role "{role}"; {nearest(role, NAMES)}')
    return fields


def read(path: Path, fields: Mapping[str, str], needs: Sequence[str] = ("question", "answer")) -> Iterator[Row]:
    """The rows of a file, which must have the fields that are needed.

    TaskError for a file that cannot be read or has no row, and with its number for a row that is none.
    """
    naming: dict[str, str] = {}
    if not path.exists():
        raise TaskError(f"{path} does not exist; give files of questions with answers")
    for number, found in rows_of(str(path)):
        where = f"{path}, row {number}"
        if not isinstance(found, dict):
            raise TaskError(f"{where}: each row must be an object with a question and an answer, got {type(found).__name__}")
        naming = naming or named(found, fields, where, needs)
        yield row_of(found, naming, f"{path.name}:{number}", where)
    if not naming:
        raise TaskError(f"{path} is empty; it should hold rows with a question and an answer")


def named(row: Mapping[str, Any], fields: Mapping[str, str], where: str, needs: Sequence[str]) -> dict[str, str]:
    """Role -> field, by the first row of a file."""
    folded = {str(name).casefold(): str(name) for name in reversed(list(row))}
    for role, name in fields.items():
        if name not in row:
            raise TaskError(f"{where}: --field {role}={name}: there is no such field; {nearest(name, map(str, row))}")
    guessed = {role: next((folded[n] for n in names if n in folded), "") for role, names in NAMES.items()}
    found = {role: name for role, name in {**guessed, **fields}.items() if name}
    for role in needs:
        if role not in found and not (role == "answer" and "solution" in found):
            raise TaskError(
                f"{where}: no field is known to hold the {role}; the fields are {', '.join(map(str, list(row)[:20]))}; say which it is "
                f"with --field {role}=NAME"
            )
    return found


def row_of(row: Mapping[str, Any], naming: Mapping[str, str], short: str, where: str) -> Row:
    given = {role: row.get(name) for role, name in naming.items()}
    if given.get("answer") in (None, ""):  # as in a set whose open questions have an answer, and whose others a label
        given["answer"] = next((row[n] for n in NAMES["answer"] if row.get(n) not in (None, "")), None)
    question = given["question"]
    if question is not None and not isinstance(question, str):
        raise TaskError(
            f'{where}: "{naming["question"]}" must be a text, got {type(question).__name__}; name the question\'s field with '
            f"--field question=NAME"
        )
    body = given.get("body")
    text = " ".join(t.strip() for t in (body, question) if isinstance(t, str) and t.strip())
    options = options_of(given.get("options"))
    return Row(text, answer_of(given.get("answer"), given.get("solution"), options), options, short)


def answer_of(answer: Any, solution: Any, options: Sequence[str]) -> str:
    """The answer as text: of a number without a useless ".0", of a place among options the letter."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, int) and not isinstance(answer, bool) and options and 0 <= answer < min(len(options), 26):
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[answer]
    if isinstance(answer, float) and answer.is_integer() and abs(answer) < 1e15:
        return str(int(answer))
    if answer is None or answer == "":
        return final(solution) if isinstance(solution, str) else ""
    if isinstance(answer, list):
        return ", ".join(map(str, answer))
    text = str(answer).strip()
    # a whole worked solution in the field of the answer, as the original GSM8K has it
    return final(text) or text if "####" in text or ("\\boxed" in text and len(text) > 80) else text


def options_of(value: Any) -> tuple[str, ...]:
    """The options' texts; none where the field holds something else."""
    if isinstance(value, Mapping):
        value = list(value.get("text", value.values())) if not isinstance(value.get("text"), str) else list(value.values())
    if isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value):
        return tuple(str(v) for v in value)
    if isinstance(value, str):
        from ratchet.data.choices import listed

        found = listed(value)
        return tuple(found[1]) if found else ()
    return ()
