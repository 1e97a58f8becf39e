"""The verifier `code`: programs are judged by what they do, and cannot judge themselves."""

from __future__ import annotations

import pytest

from ratchet.core.errors import SandboxError
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify import code
from ratchet.verify.code import bench, extract, same_output
from ratchet.verify.pool import VerifierPool
from ratchet.verify.sandbox.attacks import attacks
from ratchet.verify.sandbox.sandbox import Program
from ratchet.verify.verifier import find

CANDIDATES = {a.name: a.source for a in attacks() if a.judged}
FAST = {"seconds": 1.0, "memory": 128}


@pytest.fixture(scope="module", autouse=True)
def there_is_a_sandbox() -> None:
    try:
        walls = bench().sandbox.walls
    except SandboxError as e:
        pytest.skip(f"no sandbox on this machine: {e}")
    if walls != "direct":
        pytest.skip("asserts need namespaces of our own")


def judged(answer: str, **facts: object) -> Verdict:
    return find("code")(Task("t", "", None, "code", {"limits": FAST, **facts}), answer)


IO = {"tests": [{"input": "2 3\n", "output": "5\n"}, {"input": "10 -4", "output": "6"}]}
ASSERTS = {"asserts": ["assert add(2, 3) == 5", "assert add([1], [2]) == [1, 2]"], "entry": "add"}


@pytest.mark.parametrize(
    ("program", "outcome", "said"),
    [
        ("print(sum(map(int, input().split())))", Outcome.PASS, "all 2 tests hold"),
        ("print(5)", Outcome.FAIL, "test 2 of 2: it printed '5"),
        ("print(sum(map(int, input().split())) or )", Outcome.FAIL, "SyntaxError"),
        ("raise ValueError('no')", Outcome.FAIL, "ValueError: no"),
        ("while True: pass", Outcome.FAIL, "longer than its time"),
        ("while True: print('5')", Outcome.FAIL, "wrote too much"),
        ("", Outcome.FAIL, "no answer"),
    ],
)
def test_input_and_output(program: str, outcome: Outcome, said: str) -> None:
    verdict = judged(program, **IO)
    assert verdict.outcome is outcome and said in verdict.evidence, verdict


@pytest.mark.parametrize(
    ("program", "outcome", "said"),
    [
        ("def add(a, b):\n    return a + b", Outcome.PASS, "all 2 tests hold"),
        ("Here it is:\n```python\ndef add(a, b):\n    print('5')\n    return a + b\n```\nDone.", Outcome.PASS, "all 2"),
        ("def add(a, b):\n    return a - b", Outcome.FAIL, "test 1 of 2 does not hold"),
        ("def add(a, b):\n    return int(a) + b", Outcome.FAIL, "test 2 of 2 raised TypeError"),
        ("def sub(a, b):\n    return a + b", Outcome.FAIL, "does not define add"),
        ("def add(a, b) return a", Outcome.FAIL, "cannot be loaded: SyntaxError"),
        ("def add(a, b):\n    while True: pass", Outcome.FAIL, "longer than its time"),
        ("import time\ntime.sleep(60)", Outcome.FAIL, "longer than its time"),
        ("def add(a, b):\n    return 'x' * 10**9", Outcome.FAIL, ""),
    ],
)
def test_asserts(program: str, outcome: Outcome, said: str) -> None:
    verdict = judged(program, **ASSERTS)
    assert verdict.outcome is outcome and said in verdict.evidence, verdict


def test_objects_of_the_candidate_stay_with_it_and_can_be_used() -> None:
    program = "class Pair:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\ndef total(ps):\n    return sum(p.a + p.b for p in ps)"
    program += "\ndef swap(p):\n    return Pair(p.b, p.a)"
    tests = [
        "assert total([Pair(1, 2), Pair(3, 4)]) == 10",
        "p = swap(Pair(1, 2))\nassert (p.a, p.b) == (2, 1)",
        "assert Pair(1, 2) != Pair(1, 2)",
    ]
    assert judged(program, asserts=tests).passed


@pytest.mark.parametrize(
    "value", ["(1, 2)", "{1, 2}", "{'a': [1.5, None, True]}", "b'\\x00\\xff'", "1 + 2j", "10**40", "float('inf')", "'ä\\ud800'"]
)
def test_plain_values_come_back_as_they_are(value: str) -> None:
    assert judged(f"def f():\n    return {value}", asserts=[f"assert f() == {value} and type(f()) is type({value})"]).passed
    assert not judged("def f():\n    return 0", asserts=[f"assert f() == {value}"]).passed


@pytest.mark.parametrize("name", sorted(CANDIDATES))
def test_a_candidate_that_cheats_does_not_pass(name: str) -> None:
    tests = ["assert double(2) == 4", "assert abs(double(3) - 6) < 1e-6", "assert math.isclose(double(21), 42)"]
    assert judged(CANDIDATES[name], asserts=tests, setup="import math", entry="double").outcome is Outcome.FAIL


def test_the_cheats_pass_where_tests_and_candidate_are_one_program() -> None:
    """What the verifier would be without its second process: the usual way, and why it is not ours."""
    together = "{}\nassert double(2) == 4\nassert abs(double(3) - 6) < 1e-6\nassert math.isclose(double(21), 42)"
    for name in ("exits_well", "leaves_well", "raises_assertion"):
        whole = "import math\n" + together.format(CANDIDATES[name])
        assert bench().sandbox.run(Program({"m.py": whole.encode()}, ("python3", "m.py"))).ok


def test_a_task_that_is_wrong_abstains() -> None:
    program = "def add(a, b):\n    return a + b"
    assert "no Python" in judged(program, asserts=["assert add(2, 3) =="]).evidence
    for facts in (
        {},
        {"tests": []},
        {"asserts": []},
        {"tests": [{"input": "1"}]},
        {**IO, "language": "luaa"},
        {**ASSERTS, "language": "lua"},
    ):
        assert judged(program, **facts).outcome is Outcome.ABSTAIN, facts


@pytest.mark.parametrize(
    ("said", "wanted", "tolerance", "same"),
    [
        ("1 2 \n3\n\n", "1 2\n3", 0.0, True),
        ("1 2 3", "1 2\n3", 0.0, False),
        ("0.3333 x", "0.33334 x", 1e-3, True),
        ("0.3 x", "0.33334 x", 1e-3, False),
        ("nan", "nan", 1e-3, True),
        ("nan", "1", 1e-3, False),
        ("1", "1 2", 1e-3, False),
    ],
)
def test_outputs_are_compared_line_by_line(said: str, wanted: str, tolerance: float, same: bool) -> None:
    assert same_output(said, wanted, tolerance) is same


def test_the_program_is_the_last_fenced_block() -> None:
    assert extract("```py\na = 1\n```\nthen\n```\nb = 2\n```") == "b = 2\n"
    assert extract("c = 3") == "c = 3" and extract("") is None
    assert code.FENCE.findall("```python\nx = '''```'''\n```")[-1][1] == "x = '''```'''\n"


def test_a_pool_gives_a_program_the_time_of_its_tests() -> None:
    task = Task("t", "", None, "code", {"tests": [{"input": "", "output": "1"}], "limits": FAST})
    waits = Task("t", "", None, "cascade:code,exact", task.facts)
    with VerifierPool(deadline=0.2) as pool:
        slow = pool([(t, "import time\ntime.sleep(0.6)\nprint(1)") for t in (task, waits)])
    assert [v.outcome for v in slow] == [Outcome.PASS, Outcome.PASS], slow
