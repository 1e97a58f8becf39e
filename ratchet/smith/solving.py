"""An interactive episode: an agent looks at the data, runs code in the sandbox, submits, and gets a score."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ratchet.smith import trying
from ratchet.smith.checking import files_in, read_task
from ratchet.smith.grading import scored

SHOWN = 4_000  # characters of what a script said


@dataclass(frozen=True)
class Look:
    """Read the description and the first rows."""


@dataclass(frozen=True)
class Run:
    """Run a Python script beside public/ and task.json; what it leaves in out/ comes back."""

    script: str
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Submit:
    """Have a submission scored."""

    submission: bytes


Request = Look | Run | Submit


@dataclass(frozen=True)
class Reply:
    """What came of a request: text, files by name, a score or why there is none."""

    said: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    score: float | None = None
    wrong: str = ""


@dataclass(frozen=True)
class Step:
    """Of the episode's record."""

    what: str
    said: str
    score: float | None
    wrong: str


@dataclass
class Episode:
    """One agent on one task. `submissions` is how many it may have scored: answers must not be fished out by trying."""

    task: str
    agent: str
    steps: list[Step] = field(default_factory=list)
    best: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {"task": self.task, "agent": self.agent, "best": self.best, "steps": [asdict(s) for s in self.steps]}


def play(folder: Path, name: str, agent: Generator[Request, Reply, None], most: int = 40, submissions: int = 3) -> Episode:
    """Run an agent's episode to its end, or until it has asked `most` times or submitted as often as it may.

    Raises SmithError where the task's folder is not whole.
    """
    task = read_task(folder)
    higher = task["metric"]["higher_is_better"]
    episode = Episode(task["name"], name)
    public = files_in(folder, "public") | {"task.json": json.dumps(visible(task)).encode()}
    reply: Reply | None = None
    left = submissions
    with trying.room(folder.resolve() / "public") as sandbox:
        for _ in range(most):
            try:
                request = agent.send(reply) if reply is not None else next(agent)  # type: ignore[arg-type]
            except StopIteration:
                break
            reply, left = answered(request, folder, public, sandbox, left)
            episode.steps.append(Step(type(request).__name__.lower(), reply.said[:SHOWN], reply.score, reply.wrong))
            if reply.score is not None and (episode.best is None or (reply.score > episode.best) == higher):
                episode.best = reply.score
    return episode


def visible(task: Mapping[str, Any]) -> dict[str, Any]:
    """What of task.yaml an agent may see: nothing of it is an answer."""
    return {
        k: task[k]
        for k in ("title", "kind", "targets", "answer", "classes", "metric", "split", "features", "sides", "query")
        if k in task
    }


def answered(request: Request, folder: Path, public: Mapping[str, bytes], sandbox: Any, left: int) -> tuple[Reply, int]:
    if isinstance(request, Look):
        rows = [
            f"{n}:\n" + "\n".join(public[n].decode(errors="replace").splitlines()[:6])
            for n in sorted(public)
            if n.endswith(".csv")
        ]
        return Reply((folder / "description.md").read_text() + "\n\n" + "\n\n".join(rows)), left
    if isinstance(request, Run):
        tried = trying.run(sandbox, request.script, {**public, **request.files})
        return Reply(tried.said, tried.files, wrong=tried.failed), left
    if not left:
        return Reply(wrong="no submission is left"), 0
    found = scored(folder, request.submission, sandbox)
    return Reply(score=found.get("score"), wrong=found.get("why", "")), left - 1
