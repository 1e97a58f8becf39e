"""reasoning-gym: its items as tasks, its scorers in the sandbox; an answer is never run. A small library of that name stands in for
it, so that this is tested where the real one is not installed; where it is, some of its families are."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.core.errors import TaskError
from ratchet.core.types import Outcome, Task
from ratchet.tasks import reasoning_gym as gym
from ratchet.tasks.check import check
from ratchet.tasks.family import Source
from ratchet.verify import reasoning_gym as judging
from ratchet.verify.pool import VerifierPool
from ratchet.verify.scoring import score as inside
from ratchet.verify.verifier import verifiers

STAND_IN = '''
import json
from dataclasses import dataclass
from random import Random


@dataclass
class Config:
    seed: int = 0
    size: int = 1
    largest: int = 1000


class Sums:
    """Scores by `eval`, as several families of the library do; the metadata holds a tuple."""

    def __init__(self, config):
        self.config, self.seed = config, config.seed

    def __getitem__(self, index):
        print("noise")
        a, b = (Random(self.seed + index + i).randint(0, self.config.largest) for i in (0, 10**6))
        return {"question": f"{a} + {b}?", "answer": f"{a} + {b}", "metadata": {"pair": (a, b)}}

    def score_answer(self, answer, entry):
        print("noise")
        try:
            assert isinstance(entry["metadata"]["pair"], tuple)
            return 1.0 if eval(answer) == sum(entry["metadata"]["pair"]) else 0.25
        except Exception:
            return 0.0


class Executed(Sums):
    def score_answer(self, answer, entry):
        space = {}
        exec(answer, space)
        return float(space.get("value", 0.0))


class Beyond(Sums):
    def score_answer(self, answer, entry):
        return float(answer)


class Endless(Sums):
    def score_answer(self, answer, entry):
        while True:
            pass


class Fixed(Sums):
    """What it draws is settled when it is made."""

    def __init__(self, config):
        super().__init__(config)
        self.text = str(Random(config.seed).randint(0, 10**6))

    def __getitem__(self, index):
        return {"question": self.text, "answer": None, "metadata": {}}


KINDS = {"sums": Sums, "executed": Executed, "beyond": Beyond, "endless": Endless, "fixed": Fixed}


class factory:
    DATASETS = {**KINDS, "composite": Sums}

    @staticmethod
    def create_dataset(name, **config):
        return factory.DATASETS[name](Config(**config))


create_dataset = factory.create_dataset
'''
FORGERIES = (
    "__import__('os').system('id')",
    '[print(\'{"score": 1.0, "refused": ""}\', flush=True), __import__(\'os\')._exit(0)]',
    "__import__('sys')._getframe(1).f_locals['entry']['metadata']['pair'].__len__() * 0 + 7",
    "sum(entry['metadata']['pair'])",
    "(lambda: 7)()",
    "[x for x in (7,)][0]",
    "value = 1.0",
    "import os\nvalue = 1.0",
)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tmp_path.chmod(0o755)  # the sandbox reads it as nobody
    (tmp_path / "reasoning_gym").mkdir()
    (tmp_path / "reasoning_gym" / "__init__.py").write_text(STAND_IN)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    loaded = {n: sys.modules.pop(n) for n in list(sys.modules) if n.split(".")[0] == "reasoning_gym"}
    caches = (judging.bench, judging.script, gym.library)
    for kept in caches:
        kept.cache_clear()
    yield
    judging.bench().close()
    gym.library().process.kill()
    gym.library().process.wait()
    for kept in caches:
        kept.cache_clear()
    sys.modules.update(loaded)


def drawn(name: str, config: str = "") -> Task:
    return Source("reasoning-gym", "", {"name": name, "config": config}).take("train", 1, "test")[0]


def test_the_family_proves_itself_and_draws_what_its_path_says(stand_in: None) -> None:
    result = check(
        Source("reasoning-gym", "", {"name": "sums"}), lambda pairs: [verifiers["reasoning-gym"](*p) for p in pairs], 2
    )
    assert result.holds, result.failures
    assert drawn("sums") == drawn("sums") and drawn("sums", "largest=5").facts["config"] == {"largest": 5}
    source = Source("reasoning-gym", "", {"name": "fixed"})
    tasks = source.take("heldout", 3, "a")
    assert len({t.key for t in tasks}) == 3 and {t.split for t in tasks} == {"heldout"}
    assert source.family.gold(tasks[0]) is None
    assert check(source, lambda pairs: [verifiers["reasoning-gym"](*p) for p in pairs], 1).unproven == 3


def test_wrong_names_and_configurations_are_said(stand_in: None) -> None:
    for knobs, said in (
        ({"name": "sum"}, 'did you mean "sums"'),
        ({"config": "largest"}, "config is pairs"),
        ({"name": "sums", "config": "larges=3"}, "cannot be made with"),
        ({"name": "composite"}, "has no family named"),
    ):
        with pytest.raises(TaskError, match=said):
            Source("reasoning-gym", "", knobs).take("train", 1, "test")


def test_no_answer_is_run_and_no_score_is_forged(stand_in: None) -> None:
    verify = verifiers["reasoning-gym"]
    for name in ("sums", "executed"):
        task = drawn(name)
        for text in FORGERIES:
            verdict = verify(task, gym.wrapped(text))
            assert verdict.outcome is Outcome.FAIL and not verdict.score, (name, text, verdict)
            assert "refused" in verdict.evidence or name == "sums", (name, text, verdict)
    task = drawn("sums")
    assert verify(task, gym.wrapped("1 + 1")).score == 0.25 and verify(task, gym.gold(task) or "").passed


def test_the_forgeries_do_work_on_a_scorer_without_the_guard(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    open_door = judging.script().replace(b"sys.addaudithook(guard)", b"pass")
    monkeypatch.setattr(judging, "script", lambda: open_door)
    verify = verifiers["reasoning-gym"]
    assert verify(drawn("executed"), gym.wrapped("value = 1.0")).passed
    assert verify(drawn("sums"), gym.wrapped("sum(entry['metadata']['pair'])")).passed


def test_what_is_no_score_is_an_abstention(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "LIMITS", judging.Limits(seconds=0.2))
    verify = verifiers["reasoning-gym"]
    for name, answer, said in (
        ("beyond", "7", "no score between"),
        ("beyond", "x", "ValueError"),
        ("endless", "1", "longer than its time"),
    ):
        verdict = verify(drawn(name), gym.wrapped(answer))
        assert verdict.outcome is Outcome.ABSTAIN and said in verdict.evidence, verdict


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Integer (3 )*Symbol ('x' )**Integer (2 )+sin (Symbol ('x' ))", True), ("[1, 'a', (2.5, -3)]", True), ("not Python at (", True),
        ("{'a': [1]}", True), ("x.real", False), ("x[0]", False), ("print(1)", False), ("sympify('x')", False), ("__import__", False),
        ("open", False), ("3 or 4", False), ("3 # or 4", False), ("3 if 1 else 4", False), ("lambda: 3", False), ("[x for x in y]", False),
        ("(x := 3)", False), ("x = 3", False), ("import os", False), ("f'{x}'", False), ("sin(*x)", False),
    ],
)  # fmt: skip
def test_plain_formulas_and_what_is_none(text: str, allowed: bool) -> None:
    assert inside.plain(text) == inside.plain(text.encode()) == allowed


@pytest.mark.skipif(importlib.util.find_spec("reasoning_gym") is None, reason="needs the extra ratchet[gym]")
def test_families_of_the_library_prove_themselves() -> None:
    names = ("chain_sum", "countdown", "simple_integration", "n_queens", "propositional_logic", "knights_knaves")
    with VerifierPool(deadline=60.0) as verify:
        for name in names:
            result = check(Source("reasoning-gym", "", {"name": name}), verify, count=1)
            assert result.holds, result.failures
            task = drawn(name)
            for text in FORGERIES[:3]:
                assert not verify([(task, gym.wrapped(text))])[0].passed
