"""Tools that a strategy may `Call`: what takes an answer out of a text, a calculator, and Python in the sandbox.

A tool never raises: what went wrong is its answer, since the model is to read it.
"""

from __future__ import annotations

import math

from ratchet.core.errors import SandboxError
from ratchet.core.types import Task
from ratchet.models.scheduler import Tool
from ratchet.verify import code, formula
from ratchet.verify.extract import answer_of
from ratchet.verify.sandbox.languages import language
from ratchet.verify.sandbox.runs import Run
from ratchet.verify.verifier import Verifier, find

SHOWN = 2_000  # characters of a program's output that a model is given to read
LONGEST = 200  # characters of a formula
READABLE = 256  # bits of a whole number that is written out


def extract(task: Task, text: str) -> str:
    """The answer in a text, as the task's verifier takes it out, blanks folded; empty where there is none."""
    verifier = find(task.verifier)
    found = verifier.extract(text) if isinstance(verifier, Verifier) else answer_of(text)
    return " ".join((found or "").split())


def calculator(task: Task, text: str) -> str:
    """The value of a formula: exact where it is a whole number or a fraction that can be read, else to ten digits. Nothing is
    evaluated by Python."""
    if len(text) > LONGEST:
        return f"error: a formula may have {LONGEST} characters"
    try:
        tree = formula.read(text)
        value = formula.exact(tree)
        if value is not None and max(value.numerator.bit_length(), value.denominator.bit_length()) <= READABLE:
            return str(value)
        number = formula.value(tree, {})
    except (ValueError, ArithmeticError, KeyError, TypeError):
        return "error: no value"
    if math.isnan(number.real) or math.isnan(number.imag):
        return "error: no value"
    return f"{number.real:.10g}" if abs(number.imag) <= 1e-9 * max(abs(number.real), 1.0) else f"{number:.10g}"


def python(task: Task, text: str) -> str:
    """What a program prints, run in the sandbox within its limits; with the end of what it says about an error."""
    try:
        bench, spoken = code.bench(), language("python")
        program = bench(spoken, code.extract(text) or "", spoken.bounds())
        run = program if isinstance(program, Run) else bench.sandbox.run(program)
    except SandboxError as e:
        return f"error: {e}"
    said = run.stdout.decode(errors="replace").strip()[:SHOWN]
    return said if run.ok else f"{said}\nerror: {code.last_line(run.stderr) or run.ending()}".strip()


TOOLS: dict[str, Tool] = {"extract": extract, "calculator": calculator, "python": python}
