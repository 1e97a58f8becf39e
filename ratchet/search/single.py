"""One sample, as it comes."""

from __future__ import annotations

from ratchet.core.types import Draw, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("single")
def single(task: Task, *, temperature: float = 1.0, top_p: float = 1.0) -> Play:
    """One completion of the prompt."""
    [completion] = yield Draw(task.prompt, temperature=temperature, top_p=top_p)
    return completion
