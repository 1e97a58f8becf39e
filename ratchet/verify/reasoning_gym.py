"""Items of reasoning-gym, judged by the library's own scorers, in the sandbox.

PASS is the whole point, 1.0; anything less is FAIL, with the score kept. A few scorers pay for too little and are held to more. An
answer that its scorer would evaluate as code is FAIL and is not evaluated (scoring/score.py). A scorer that is late or crashes is
ABSTAIN.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import re
from functools import cache
from pathlib import Path

from ratchet.core.errors import SandboxError
from ratchet.core.types import Outcome, Task, Verdict
from ratchet.verify.sandbox.runs import Limits
from ratchet.verify.sandbox.sandbox import PATIENCE, SLACK, Once, Program, Sandbox
from ratchet.verify.verifier import Verifier, abstained, failed, verifiers

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
INSIDE = Path(__file__).parent / "scoring"
LIMITS = Limits(seconds=8.0, memory=1024)
LIBRARIES = ("reasoning_gym", "numpy", "sympy")


def extract(text: str) -> str | None:
    """What stands between the last <answer> and </answer>, without blank lines around it; without such the whole text."""
    marked = ANSWER.findall(text)
    return (marked[-1] if marked else text).strip() or None


@Once
def bench() -> Sandbox:
    """This process's sandbox, with the library read in (3 s). SandboxError where it is not installed."""
    found = [importlib.util.find_spec(name) for name in LIBRARIES]
    folders = [str(Path(spec.origin).parent.parent) for spec in found if spec is not None and spec.origin is not None]
    if len(folders) < len(LIBRARIES):
        raise SandboxError('the library reasoning-gym is not installed; pip install "ratchet[gym]"')
    sandbox = Sandbox(python_path=tuple(dict.fromkeys([*folders, str(INSIDE)])), modules=("preload",))
    atexit.register(sandbox.close)
    return sandbox


@cache
def script() -> bytes:
    return (INSIDE / "score.py").read_bytes()


def judge(task: Task, answer: str) -> Verdict:
    facts = task.facts
    try:
        given = {"name": facts["name"], "config": facts["config"], "entry": facts["entry"], "answer": answer}
        run = bench().run(Program({"score.py": script()}, limits=LIMITS), json.dumps(given).encode())
    except KeyError as e:
        return abstained(f"the task's facts lack {e.args[0]!r}, which the verifier reasoning-gym needs")
    except SandboxError as e:
        return abstained(str(e))
    if not run.ok:
        told = run.stderr.decode(errors="replace").strip().splitlines() or [""]
        return abstained(f"the scorer of {facts['name']} gave none: {run.ending()} {told[-1][:200]}".rstrip())
    try:
        said = json.loads(run.stdout)
        score, refused = float(said["score"]), str(said["refused"])
    except (ValueError, KeyError, TypeError):
        return abstained(f"the scorer of {facts['name']} said no score")
    if refused:
        return failed(f"refused by {facts['name']}: {refused}")
    if not 0.0 <= score <= 1.0:
        return abstained(f"the scorer of {facts['name']} gave {score}, which is no score between 0 and 1")
    outcome = Outcome.PASS if score == 1.0 else Outcome.FAIL
    return Verdict(outcome, f"the scorer of {facts['name']} gives {score:g}", None, score)


def seconds(task: Task) -> float:
    """What a score may take."""
    return PATIENCE * LIMITS.seconds + SLACK


verifiers.put("reasoning-gym", Verifier(extract, judge, bench, seconds, needs_answer=False), summary=__doc__)
