"""Unit tests rewritten into input and output: what is taken, what is refused and why, and that nothing is lost on the way."""

from __future__ import annotations

import json

import pytest

from ratchet.core.errors import SandboxError
from ratchet.studies.rewritten_tests import LIMITS, mutants, problems
from ratchet.verify import code
from ratchet.verify.sandbox.languages import Compiler, language
from ratchet.verify.sandbox.rewrite import Rewritten, rewrite
from ratchet.verify.sandbox.sandbox import Program, Sandbox


def test_arguments_are_lines_and_the_value_is_the_output() -> None:
    form = rewrite(["assert f(3, [1, (2, 'ü')], {'b': None}) == {1: 2.0, 0: True}", "assert {4, 3} == f(-1, [], {})"])
    assert form.entry == "f" and not form.refused
    assert form.tests == [
        {"input": '3\n[1,[2,"ü"]]\n{"b":null}\n', "output": "[[0,true],[1,2]]\n"},
        {"input": "-1\n[]\n{}\n", "output": "[3,4]\n"},
    ]
    assert "`f`" in form.sentence() and "3 arguments" in form.sentence()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("assert f(x) == 1", "argument 1 is not a literal"),
        ("assert f(1) == g(1)", "the value is not a literal"),
        ("assert f(1)", "truth, not a value"),
        ("assert f(1) < 2", "something else than =="),
        ("assert f(1) == 2 == 2", "something else than =="),
        ("assert f(a=1) == 2", "by name or by star"),
        ("assert f(*[1]) == 2", "by name or by star"),
        ("assert f.g(1) == 2", "neither side is a call"),
        ("assert g(1) == 2", "it calls g, not f"),
        ("assert f(1, 2) == 2", "2 arguments, where an earlier test gives 1"),
        ("assert f(1) == 1j", "no place in JSON (it is a complex)"),
        ("assert f(1) == 1e999", "no place in JSON (it is inf)"),
        ("assert f(1) == b'x'", "no place in JSON (it is a bytes)"),
        ("assert f(1) == '\\ud800'", "no place in JSON"),
        ("assert f(1) == {1, 'a'}", "no place in JSON"),
        ("assert f((1,)) == 2\nimport os", "it is not one assert"),
        ("assert f(1 == 2", "it is not Python (SyntaxError)"),
        ("assert f(__import__('os').system('false')) == 2", "argument 1 is not a literal"),
    ],
)
def test_what_has_another_form_is_told_with_its_reason(statement: str, why: str) -> None:
    form = rewrite(["assert f(1) == 2", statement])
    assert len(form.tests) == 1
    [(refused, reason)] = form.refused
    assert refused == statement and why in reason


def test_what_json_cannot_tell_apart_is_refused() -> None:
    form = rewrite(["assert f([(1, 2)]) == 1", "assert f([[1, 2]]) == 1"])
    assert [why for _, why in form.refused] == ["in one place stand a tuple and a list, which JSON cannot tell apart"]
    with pytest.raises(SandboxError, match="the first: it tests truth"):
        rewrite(["assert f(1)"])
    with pytest.raises(SandboxError, match="there is none"):
        rewrite([])


def test_the_driver_gives_the_function_what_the_statement_gave_it() -> None:
    """Tuples, sets and dictionaries come back as they were, and what the function prints is not its value."""
    given = "[1, (2, 3)], {4, 5}, {6: (7,)}, (8, [9]), 'a'"
    form = rewrite([f"assert f({given}) == 0"])
    source = f"def f(*a):\n    print('noise')\n    return 0 if a == ({given},) else repr(a)\n" + form.driver()
    with Sandbox() as sandbox:
        run = sandbox.run(Program({"program.py": source.encode()}), form.tests[0]["input"].encode())
    assert (run.stdout, run.exit) == (b"0\n", 0), run


def shares(problem_count: int, broken: bool = False) -> tuple[float, float]:
    """Of the references those that pass; of the mutants that the statements refuse, those that the form refuses."""
    passed: list[bool] = []
    caught: list[bool] = []
    with Sandbox() as sandbox:
        bench = Compiler(sandbox)

        def passes(source: str, form: Rewritten) -> bool:
            facts = {"tests": form.tests}
            return code.by_output(bench, language("python"), source + form.driver(), facts, LIMITS).passed

        for row in problems(50)[:problem_count]:
            form = rewrite(row["test_list"])
            assert not form.refused and len(form.tests) == len(row["test_list"])
            if broken:  # arguments and values of each other's tests
                form.tests[0]["output"], form.tests[1]["output"] = form.tests[1]["output"], form.tests[0]["output"]
            passed.append(passes(row["code"], form))
            for mutant in list(mutants(row["code"]))[:2]:
                facts = {"asserts": row["test_list"], "entry": form.entry}
                if not code.by_asserts(bench, mutant, facts, LIMITS).passed:
                    caught.append(not passes(mutant, form))
    return sum(passed) / len(passed), sum(caught) / len(caught)


def test_fifty_statements_of_mbpp_keep_what_they_say() -> None:
    assert sum(len(row["test_list"]) for row in problems(50)) == 50
    references, caught = shares(17)
    assert references == 1 and caught >= 0.95


def test_statements_that_are_rewritten_wrongly_show() -> None:
    assert shares(3, broken=True)[0] < 1


def test_a_mutant_differs_from_its_source_in_one_place() -> None:
    found = list(mutants("def f(a, b):\n    return a + b < 3 and True"))
    assert len(found) == len(set(found)) == 6 and json.dumps(found)
    assert "def f(a, b):\n    return a - b < 3 and True" in found and "def f(a, b):\n    return None" in found
