"""JSON: equal to a gold value, valid under a schema, or both.

The text must hold one JSON value: the last fenced block where there is one, else what follows <answer>, else the whole text. It
is read strictly: no text behind the value, no repeated key, no NaN or Infinity, at most `DEEPEST` levels and `LONGEST` characters.
`facts.schema` is a JSON schema (needs `ratchet[json]`; a `$ref` outside the schema is never fetched). Where the task's answer is a
text it is read as JSON; None or "" means that there is a schema alone. Numbers are compared exactly, the order of keys does not
matter, `facts.ignore` lists keys that do not count at any depth. The evidence names the path of the first difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from ratchet.core.types import Task, Verdict
from ratchet.verify.verifier import Verifier, abstained, failed, passed, verifiers

DEEPEST = 100
LONGEST = 100_000
BLOCK = re.compile(r"^[ \t]*```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
MARKED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class NotJson(ValueError):
    """The text is not one strict JSON value; the message says why."""


def extract(text: str) -> str | None:
    for form in (BLOCK, MARKED):
        if found := form.findall(text):
            return found[-1].strip() or None
    return text.strip() or None


def parse(text: str) -> Any:
    """A strict JSON value; numbers with a point or an exponent are exact decimals."""
    if len(text) > LONGEST:
        raise NotJson(f"{len(text)} characters, at most {LONGEST} are read")
    depth = deepest = 0
    for mark in MARKS.findall(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise NotJson(f"{deepest} levels deep, at most {DEEPEST} are read")
    try:
        return json.loads(
            text, parse_float=number, parse_int=number, parse_constant=no_constant, object_pairs_hook=without_repeats
        )
    except (ValueError, RecursionError) as e:
        raise NotJson(str(e)) from None


def number(text: str) -> int | Decimal:
    """A whole number below 10**18 as such, so that a schema knows it for an integer; all else as an exact decimal."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise NotJson(f"{text[:40]} is not a number that can be read") from None
    if not value.is_finite() or abs(value.adjusted()) > 400:
        raise NotJson(f"{text[:40]} is too large or too small a number")
    return int(value) if text.lstrip("-").isdigit() and len(text) < 400 else value


def no_constant(name: str) -> Any:
    raise NotJson(f"{name} is not JSON")


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [k for k, _ in pairs]
        raise NotJson(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands there twice")
    return found


def difference(gold: Any, value: Any, ignore: frozenset[str], path: str = "$") -> str | None:
    """The first place where two values differ, None where they are equal."""
    if isinstance(gold, Mapping) and isinstance(value, Mapping):
        g, v = cast("Mapping[str, Any]", gold), cast("Mapping[str, Any]", value)
        for key in sorted({*g, *v} - ignore):
            if key not in v:
                return f"{path}.{key} is missing"
            if key not in g:
                return f"{path}.{key} should not be there"
        return first(difference(g[k], v[k], ignore, f"{path}.{k}") for k in g if k not in ignore)
    if isinstance(gold, list) and isinstance(value, list):
        gs, vs = cast("list[Any]", gold), cast("list[Any]", value)
        if len(gs) != len(vs):
            return f"{path} has {len(vs)} items, not {len(gs)}"
        return first(difference(g, v, ignore, f"{path}[{i}]") for i, (g, v) in enumerate(zip(gs, vs)))
    if kind(gold) == kind(value) and gold == value:
        return None
    return f"{path} is {str(value)[:40]!r} ({kind(value)}), not {str(gold)[:40]!r} ({kind(gold)})"


def first(found: Iterable[str | None]) -> str | None:
    return next((f for f in found if f is not None), None)


def kind(value: Any) -> str:
    """The type as JSON calls it: true is no number."""
    kinds = {bool: "boolean", int: "number", Decimal: "number", str: "text", dict: "object", list: "array", type(None): "null"}
    return kinds.get(cast("type[Any]", type(value)), "value")


def schema_error(schema: Any, value: Any) -> str | None:
    """The first error under a schema. Raises ImportError without jsonschema, and its SchemaError for what is no schema."""
    import jsonschema.validators
    import referencing

    make: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    make.check_schema(schema)
    checker = make(schema, registry=referencing.Registry())  # an empty registry fetches nothing
    errors: list[Any] = sorted(checker.iter_errors(value), key=by_path)
    return f"{errors[0].json_path}: {errors[0].message[:160]}" if errors else None


def by_path(error: Any) -> tuple[int, str]:
    return len(error.absolute_path), str(error.json_path)


def gold_of(task: Task) -> tuple[bool, Any]:
    """Whether there is a gold value, and it. The worker gives it as it came through JSON."""
    if task.answer is None or task.answer == "":
        return False, None
    return True, parse(task.answer if isinstance(task.answer, str) else json.dumps(task.answer))


def judge(task: Task, answer: str) -> Verdict:
    schema = task.facts.get("schema")
    try:
        there, gold = gold_of(task)
    except NotJson as e:
        return abstained(f"the gold answer is not JSON: {e}")
    if not there and schema is None:
        return abstained("the task has neither a gold value nor facts.schema")
    try:
        value = parse(answer)
    except NotJson as e:
        return failed(f"not strict JSON: {e}")
    if schema is not None:
        try:
            wrong = schema_error(schema, value)
        except ImportError:
            return abstained('a schema needs jsonschema; install "ratchet[json]"')
        except Exception as e:  # no schema, a reference that would have to be fetched, a pattern that cannot be compiled
            return abstained(f"the schema cannot be used: {type(e).__name__}: {str(e)[:120]}")
        if wrong:
            return failed(wrong)
    if there:
        wrong = difference(gold, value, frozenset(map(str, task.facts.get("ignore", ()))))
        if wrong:
            return failed(wrong)
    return passed("equal to the gold value" if there else "valid under the schema")


verifiers.put("json", Verifier(extract, judge, needs_answer=False), summary=__doc__)
