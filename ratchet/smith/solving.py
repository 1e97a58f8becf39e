"""An interactive episode: look at the data, run code in the sandbox, submit, get a score.

The episode is three tools that any strategy may `Call`: "look", "run" (a Python script; what it prints is the answer, what it leaves
in `out/` is kept) and "submit" (the name of a kept file; answered by its score). So every engine can be the agent, by the strategy
tool-use; agents that need no model are strategies that make calls alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import SmithError
from ratchet.core.types import Call, Chance, Completion, Draw, Play, Task
from ratchet.smith import trying
from ratchet.smith.checking import files_in, read_task
from ratchet.smith.grading import scored

if TYPE_CHECKING:
    from ratchet.models.scheduler import Tool
    from ratchet.verify.sandbox.sandbox import Sandbox

SHOWN = 4_000  # characters of a tool's answer
SEEN = ("title", "kind", "targets", "answer", "classes", "metric", "split", "features", "sides", "query")
OPENS, CLOSES = "<run>", "</run>"
HOW = (
    "Write Python scripts, each between <run> and </run>; what one prints comes back between <result> and </result>. Data lies in "
    "public/, what the columns mean in task.json. Leave a submission in out/submission.csv; each script that leaves one has it scored. "
    "You may have {} scored. When you are done, say so without a script."
)
BY_MODEL = {
    "tool": "run",
    "opens": OPENS,
    "closes": CLOSES,
    "result": f"{CLOSES}\n<result>{{}}</result>\n",
}  # of the strategy tool-use


@dataclass(frozen=True)
class Step:
    """One call of the episode, and what came of it."""

    tool: str
    argument: str
    answer: str
    score: float | None = None


@dataclass
class Workbench:
    """One task as an environment. `left` is how many submissions may still be scored: answers must not be fished out by trying."""

    folder: Path
    sandbox: Sandbox
    left: int = 3
    kept: dict[str, bytes] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spec = read_task(self.folder)
        shown = {k: self.spec[k] for k in SEEN if k in self.spec}
        self.public = files_in(self.folder, "public") | {"task.json": json.dumps(shown).encode()}

    @property
    def best(self) -> float | None:
        scores = [s.score for s in self.steps if s.score is not None]
        return None if not scores else max(scores) if self.spec["metric"]["higher_is_better"] else min(scores)

    @property
    def task(self) -> Task:
        """What an engine is asked."""
        prompt = f"{self.look('')}\n\n{HOW.format(self.left)}\n"
        return Task("smith", prompt, None, "given", {"folder": self.spec["name"]})

    def tools(self) -> dict[str, Tool]:
        return {name: (lambda task, text, name=name: self.call(name, text)) for name in ("look", "run", "submit")}

    def call(self, tool: str, text: str) -> str:
        """The answer of a tool, as text; the step is noted."""
        if tool not in ("look", "run", "submit"):
            raise SmithError(f'the workbench has no tool "{tool}"; it has look, run and submit')
        before = len(self.steps)
        answer = getattr(self, tool)(text)[-SHOWN:] if tool != "look" else self.look(text)[:SHOWN]
        score = next((s.score for s in self.steps[before:]), None)
        self.steps[before:] = [Step(tool, text[:SHOWN], answer, score)]
        return answer

    def look(self, text: str) -> str:
        """The description and the first rows of each table."""
        tables = [n for n in sorted(self.public) if n.endswith(".csv")]
        heads = [f"{n}:\n" + "\n".join(self.public[n].decode(errors="replace").splitlines()[:6]) for n in tables]
        return "\n\n".join([(self.folder / "description.md").read_text(), *heads])

    def run(self, text: str) -> str:
        """What a script prints, with the end of what went wrong; a submission that it leaves is scored."""
        code = re.search(r"```(?:python)?\n(.*?)```", text, re.S)
        tried = trying.run(self.sandbox, code[1] if code else text, {**self.public, **self.kept})
        self.kept |= {f"kept/{name}": data for name, data in tried.files.items()}
        said = f"{tried.said}\nerror: {tried.failed}" if tried.failed else tried.said
        return f"{said}\n{self.submit('submission.csv')}" if "submission.csv" in tried.files else said

    def submit(self, text: str) -> str:
        """The score of a file that a script left, or why there is none."""
        data = self.kept.get(f"kept/{text.strip()}")
        if data is None:
            return f"error: no file {text.strip()!r} was left in out/"
        if not self.left:
            return "error: no submission is left"
        found = scored(self.folder, data, self.sandbox)
        self.left -= 1
        if "score" not in found:
            return f"not valid: {found['why']}"
        self.steps.append(Step("submit", text, "", found["score"]))
        return f"score {found['score']:.6g}, {self.left} submissions left"

    def record(self, agent: str) -> dict[str, Any]:
        return {"task": self.spec["name"], "agent": agent, "best": self.best, "steps": [asdict(s) for s in self.steps]}


def play(bench: Workbench, agent: Play, seed: int = 0, most: int = 60, ask: Callable[[str], str] | None = None) -> None:
    """Answer the requests of an agent until it ends or has made `most`; what it draws comes from `ask`, a prompt's reply."""
    random, reply, prompt = Random(seed), None, ""
    for _ in range(most):
        try:
            request = agent.send(reply)
        except StopIteration:
            return
        if isinstance(request, Call):
            reply = bench.call(request.tool, request.argument)
        elif isinstance(request, Chance):
            reply = random
        elif isinstance(request, Draw) and ask is not None:
            prompt = request.prefix if isinstance(request.prefix, str) else prompt
            reply = [replied(ask, prompt, request)]
        else:
            raise SmithError("this agent asks for a model; give one with --engine or --endpoint")


def replied(ask: Callable[[str], str], prompt: str, draw: Draw) -> Completion:
    """A draw by a model that is asked one prompt at a time: it reads the prompt and all that was written, and is cut at a stop string."""
    before = draw.prefix.text + draw.then if isinstance(draw.prefix, Completion) else ""
    said = ask(prompt + before)
    ends = [said.find(s) for s in draw.stop if s in said]
    return Completion((), (), before + (said[: min(ends)] if ends else said), (), "stop" if ends else "end")


def answers(said: str) -> Mapping[str, Any]:
    """The last line of what a tool said, where it is an object in JSON; else nothing."""
    found = trying.read_json(said)
    return found if isinstance(found, dict) else {}
