"""Fifty unit tests of MBPP, as input and output: does the reference still pass, and are its mutants still caught?"""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from ratchet.core.seeds import rng
from ratchet.studies.study import Result
from ratchet.verify import code
from ratchet.verify.sandbox.languages import Compiler, language
from ratchet.verify.sandbox.rewrite import Rewritten, rewrite
from ratchet.verify.sandbox.sandbox import Limits, Sandbox

MUTANTS = 4  # of each problem, drawn anew by each seed
LIMITS = Limits(seconds=1.0)
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


def problems(tests: int) -> list[dict[str, Any]]:
    """The first problems of the sample, with so many tests in all."""
    text = (files("ratchet.tasks") / "samples" / "mbpp" / "mbpp.jsonl").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = []
    for row in map(json.loads, text.splitlines()):
        if tests <= 0:
            break
        row["test_list"] = row["test_list"][:tests]
        tests -= len(row["test_list"])
        found.append(row)
    return found


def mutants(source: str) -> Iterator[str]:
    """The source with one operator, one number or one returned value changed."""
    tree = ast.parse(source)
    for place, node in enumerate(ast.walk(tree)):
        changed = copy.deepcopy(tree)
        mine = list(ast.walk(changed))[place]
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and isinstance(mine, ast.Constant):
            mine.value = (not node.value) if isinstance(node.value, bool) else node.value + 1
        elif isinstance(node, ast.Return) and isinstance(mine, ast.Return):
            mine.value = ast.Constant(None)
        elif (isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS) or isinstance(node, ast.BoolOp):
            mine.op = OPERATORS[type(node.op)]()  # type: ignore[union-attr]
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
            mine.ops[0] = OPERATORS[type(node.ops[0])]()  # type: ignore[union-attr]
        else:
            continue
        yield ast.unparse(ast.fix_missing_locations(changed))


def rewriting(seed: int, tests: int) -> Result:
    """References that pass; and of the mutants that the statements themselves refuse, those that input and output refuse."""
    found = {"statements": 0, "rewritten": 0, "references": 0, "passed": 0, "mutants": 0, "caught": 0, "equal": 0}
    with Sandbox() as sandbox:
        bench = Compiler(sandbox)

        def passes(source: str, form: Rewritten) -> bool:
            facts = {"tests": form.tests}
            return code.by_output(bench, language("python"), source + form.driver(), facts, LIMITS).passed

        for row in problems(tests):
            form = rewrite(row["test_list"])
            found["statements"] += len(row["test_list"])
            found["rewritten"] += len(form.tests)
            found["references"] += 1
            found["passed"] += passes(row["code"], form)
            drawn = list(mutants(row["code"]))
            for mutant in rng("agnostics", seed, "mutants", row["task_id"]).sample(drawn, min(MUTANTS, len(drawn))):
                facts = {"asserts": row["test_list"], "entry": form.entry}
                if code.by_asserts(bench, mutant, facts, LIMITS).passed:
                    found["equal"] += 1  # as far as the statements can tell
                    continue
                found["mutants"] += 1
                found["caught"] += not passes(mutant, form)
    return found
