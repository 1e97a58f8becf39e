"""Texts to learn from, in the shapes of TRL's data sets: files of completions, and of preferences.

A row of `completions` has `prompt` and `completion`, or `messages`: one of the user, then one of the assistant. A row of
`preferences` has `prompt`, `chosen` and `rejected`; where there is no prompt, it stands in both as the user's message. Each text
may also be a list of such messages. With `answer` and `verifier` beside them, what the model writes itself can be judged;
without, a run goes by how likely the model finds the given texts (`evidence` in loop/recipe.py).

Not read: a system's message, or a conversation of several turns. One prompt and its answer is what is learned from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.types import Task
from ratchet.tasks.family import Family, families
from ratchet.tasks.files import rows_of

ROLES = {"user": "the user's message", "assistant": "the assistant's answer"}


def completions(path: str, *, verifier: str = "given") -> list[Task]:
    """Every row of a file as a task whose completion is learned; `verifier` judges rows that have an `answer` and name none."""
    return read(path, verifier, completion_of)


def preferences(path: str, *, verifier: str = "given") -> list[Task]:
    """Every row of a file as a task with the chosen and the rejected text."""
    return read(path, verifier, preference_of)


def read(path: str, verifier: str, texts_of: Any) -> list[Task]:
    tasks: dict[str, Task] = {}
    for number, row in rows_of(path):
        where = f"{path}, row {number}"
        if not isinstance(row, Mapping):
            raise TaskError(f"{where}: got {type(row).__name__}, each row must be an object")
        prompt, *texts = texts_of(row, where)
        task = task_of(row, where, prompt, tuple(texts), verifier)
        tasks[task.key] = task
    if not tasks:
        raise TaskError(f"{path} holds no rows")
    return list(tasks.values())


def task_of(row: Mapping[str, Any], where: str, prompt: str, texts: tuple[str, ...], verifier: str) -> Task:
    judged = row.get("answer") not in (None, "")
    name = row.get("verifier") or (verifier if judged or verifier != "given" else "given")
    if not isinstance(name, str):
        raise TaskError(f'{where}: "verifier" must be a name, got {name!r}')
    answer = row["answer"] if judged else texts[0]
    own = " ".join(prompt.casefold().split())  # rows of one prompt stay on one side of the split
    return Task("texts", prompt, answer, name, {"texts": list(texts)}, json.dumps([prompt, *texts]), own)


def completion_of(row: Mapping[str, Any], where: str) -> tuple[str, str]:
    if "messages" in row:
        return conversation(row["messages"], f'{where}, "messages"')
    return text(row, "prompt", "user", where), text(row, "completion", "assistant", where)


def preference_of(row: Mapping[str, Any], where: str) -> tuple[str, str, str]:
    if row.get("prompt") in (None, ""):
        missing(row, ("chosen", "rejected"), where)
        if isinstance(row["chosen"], str):
            raise TaskError(f'{where}: "prompt" is missing or empty; it has {", ".join(map(str, row))}')
        (prompt, chosen), (other, rejected) = (conversation(row[n], f'{where}, "{n}"') for n in ("chosen", "rejected"))
        if prompt != other:
            raise TaskError(f"{where}: chosen and rejected answer different prompts, so they cannot be compared")
    else:
        prompt = text(row, "prompt", "user", where)
        chosen, rejected = (text(row, name, "assistant", where) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise TaskError(f"{where}: chosen and rejected are the same text, so it prefers nothing; leave the row out")
    return prompt, chosen, rejected


def text(row: Mapping[str, Any], name: str, role: str, where: str) -> str:
    """A field that is a text, or a list with one message of a role."""
    missing(row, (name,), where)
    value = row[name]
    if isinstance(value, list):
        [found] = messages(value, (role,), f'{where}, "{name}"')
        return found
    if not isinstance(value, str):
        raise TaskError(f'{where}: "{name}" must be a text or a list of messages, got {type(value).__name__}')
    return value


def conversation(value: Any, where: str) -> tuple[str, str]:
    prompt, answer = messages(value, ("user", "assistant"), where)
    return prompt, answer


def messages(value: Any, roles: tuple[str, ...], where: str) -> list[str]:
    """The contents of messages that have these roles, in this order."""
    wanted = " and ".join(ROLES[role] for role in roles)
    if not isinstance(value, list) or not all(isinstance(m, Mapping) and isinstance(m.get("content"), str) for m in value):
        raise TaskError(f'{where} must be a list of messages, each with "role" and a text as "content"')
    found = [str(m.get("role")) for m in value]
    if found != list(roles):
        raise TaskError(f"{where} must be {wanted}, nothing more, got the roles {', '.join(found) or 'of no message'}")
    empty = [m["role"] for m in value if not m["content"].strip()]
    if empty:
        raise TaskError(f"{where}: {ROLES[empty[0]]} is empty")
    return [m["content"] for m in value]


def missing(row: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if row.get(name) in (None, "", []) or (isinstance(row[name], str) and not row[name].strip()):
            raise TaskError(f'{where}: "{name}" is missing or empty; it has {", ".join(map(str, row)) or "no fields"}')


def written(task: Task) -> tuple[str, ...]:
    return tuple(task.facts["texts"])


def demonstrate(random: Random, task: Task) -> str:
    """The completion; of a preference the chosen text."""
    return written(task)[0]


def gold(task: Task) -> str:
    """The given text; a run says where it does not pass the row's own verifier."""
    return written(task)[0]


def decoys(task: Task) -> Mapping[str, str]:
    wrong = {"empty": "", "prompt echo": task.prompt}
    return {**wrong, **{f"rejected text {i}": t for i, t in enumerate(written(task)[1:], start=1)}}


families.put(
    "completions",
    Family(None, gold, decoys, demonstrate, completions, written=written),
    summary="Prompts and the texts to imitate.",
)
families.put(
    "preferences", Family(None, gold, decoys, demonstrate, preferences, written=written), summary="Prompts, each with a better text and a worse one."
)  # fmt: skip
