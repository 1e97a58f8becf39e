"""Programs: run in the sandbox on tests that they never see.

Facts of a task: `language` (a name or a path of a language's file; Python by default) and its tests, either
`tests`: a list of {"input": TEXT, "output": TEXT}, for standard input and output in any language, or
`asserts`: a list of Python statements that raise where the candidate is wrong, with `setup` before them and, if it must be
defined, `entry`. These run in a process of their own, which asks the candidate's process for each call: the candidate sees
arguments, never an expected value, and what it prints or exits with is no verdict.
`before` is put before the program, `tolerance` lets numbers in the output differ by so much of their size, and `limits` are as
in a language's file.
"""

from __future__ import annotations

import atexit
import json
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ratchet.core.errors import SandboxError
from ratchet.core.types import Task, Verdict
from ratchet.verify.sandbox.languages import COMPILING, Compiler, Language, language
from ratchet.verify.sandbox.runs import Limits, Run
from ratchet.verify.sandbox.sandbox import PATIENCE, SLACK, Once, Program, Sandbox
from ratchet.verify.verifier import Verifier, abstained, failed, passed, verifiers

INSIDE = Path(__file__).parent / "sandbox" / "inside"
FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^\n`]*)\n(.*?)^[ \t]*\2[ \t]*$", re.MULTILINE | re.DOTALL)
SHOWN_ONLY = {
    "",
    "text",
    "txt",
    "plaintext",
    "output",
    "console",
    "shell-session",
}  # of fences: no program, where another has one
EXAMINER = Limits(memory=256)
SHOWN = 60


def extract(text: str) -> str | None:
    """The last fenced block that names a language, else the last one; without one the whole text."""
    found = FENCE.findall(text.replace("\r\n", "\n"))
    # a block in a list is indented as its fence is
    blocks = [(info.strip().lower(), re.sub(f"^{indent}", "", body, flags=re.MULTILINE)) for indent, _, info, body in found]
    named = [body for info, body in blocks if info not in SHOWN_ONLY]
    return (named or [body for _, body in blocks] or [text])[-1] or None


@Once
def bench() -> Compiler:
    """This process's sandbox, made when it is first needed."""
    sandbox = Sandbox()
    atexit.register(sandbox.close)
    return Compiler(sandbox)


def judge(task: Task, answer: str) -> Verdict:
    facts = task.facts
    try:
        spoken = language(str(facts.get("language", "python")))
        limits = spoken.bounds(**facts.get("limits", {}))
        if "asserts" in facts:
            return by_asserts(bench(), answer, facts, limits)
        return by_output(bench(), spoken, str(facts.get("before", "")) + answer, facts, limits)
    except SandboxError as e:
        return abstained(str(e))
    except (TypeError, KeyError, AttributeError) as e:
        return abstained(f"the task's facts are not as the verifier code needs them ({type(e).__name__}: {e})")


def by_output(bench: Compiler, spoken: Language, source: str, facts: Mapping[str, Any], limits: Limits) -> Verdict:
    """Standard input and output, test by test, up to the first that fails."""
    tests: Sequence[Mapping[str, str]] = facts["tests"]
    if not tests:
        return abstained("the task has no tests")
    program = bench(spoken, source, limits)
    if isinstance(program, Run) and program.why == "time":
        return abstained("the compiler was late")
    if isinstance(program, Run):
        return failed(f"it does not compile: {first_line(program.stderr) or program.ending()}")
    for number, test in enumerate(tests, 1):
        run = bench.sandbox.run(program, as_bytes(test.get("input", "")))
        if not run.ok:
            return failed(f"test {number} of {len(tests)}: {run.ending()}; {last_line(run.stderr)}")
        said = run.stdout.decode(errors="replace")
        if not same_output(said, test["output"], facts.get("tolerance", 0.0)):
            return failed(f"test {number} of {len(tests)}: it printed {said[:SHOWN]!r} where {test['output'][:SHOWN]!r} is right")
    return passed(f"all {len(tests)} tests hold")


def same_output(said: str, wanted: str, tolerance: float = 0.0) -> bool:
    """Equal but for blanks at the ends of lines and of the whole; with a tolerance, numbers word by word."""
    lines, right = ([line.rstrip() for line in text.rstrip().splitlines()] for text in (said, wanted))
    if lines == right or not tolerance:
        return lines == right
    words, others = said.split(), wanted.split()
    return len(words) == len(others) and all(map(lambda a, b: close(a, b, tolerance), words, others))


def close(word: str, other: str, tolerance: float) -> bool:
    try:
        a, b = float(word), float(other)
    except ValueError:
        return word == other
    return word == other or ((math.isfinite(a) and math.isfinite(b)) and abs(a - b) <= tolerance * max(1.0, abs(b)))


def by_asserts(bench: Compiler, answer: str, facts: Mapping[str, Any], limits: Limits) -> Verdict:
    """Python statements, in a process that asks the candidate's."""
    if facts.get("language", "python") != "python":
        return abstained("asserts are Python's; for another language give tests of input and output")
    asserts, setup, before = facts["asserts"], facts.get("setup", ""), str(facts.get("before", ""))
    if not isinstance(asserts, list | tuple) or not asserts:
        return abstained("the task's asserts must be a list of statements with at least one")
    tests = [str(t) for t in ([setup, *asserts] if setup else asserts)]
    word = secrets.token_hex(16)
    given = {"tests": tests, "setups": 1 if setup else 0, "entry": facts.get("entry", ""), "before": before, "word": word}
    shared = {"plain.py": inside("plain")}
    candidate = Program(
        {"serve.py": inside("serve"), **shared, "before.py": as_bytes(before), "candidate.py": as_bytes(answer)}, limits=limits
    )
    examiner = Program(
        {"examine.py": inside("examine"), **shared, "tests.json": json.dumps(given).encode()},
        limits=Limits(limits.seconds, EXAMINER.memory),
    )
    one, other = bench.sandbox.examine(candidate, examiner)
    told = last_line(other.stderr)
    if other.ok and told == word:
        return passed(f"all {len(tests)} tests hold")
    if other.why == "time" or one.why:
        return failed((one if one.why else other).ending())
    return abstained(f"a test is wrong itself: {told}") if other.exit == 3 else failed(told or other.ending())


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@cache
def inside(name: str) -> bytes:
    return (INSIDE / f"{name}.py").read_bytes()


def first_line(text: bytes) -> str:
    lines = [line for line in text.decode(errors="replace").splitlines() if "error" in line.lower()] or [""]
    return lines[0].strip()[:200]


def last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines() or [""]
    return lines[-1].strip()[:200]


def seconds(task: Task) -> float:
    """What all of a task's tests may take together."""
    try:
        limits = language(str(task.facts.get("language", "python"))).bounds(**task.facts.get("limits", {}))
        runs = 1 if "asserts" in task.facts else len(task.facts["tests"])
        return PATIENCE * (runs * limits.seconds + COMPILING.seconds) + SLACK
    except (SandboxError, TypeError, KeyError, AttributeError):  # it abstains at once
        return 0.0


verifiers.put("code", Verifier(extract, judge, bench, seconds, needs_answer=False), summary=__doc__)
