"""Tool use: the model writes a call between two marks, the tool's answer is put behind it, and it writes on (Schick et al. 2023,
Toolformer, arXiv 2302.04761; programs as in Gao et al. 2022, PAL, arXiv 2211.10435).

Tools: "calculator", a reader of formulas of our own, and "python", a program in the sandbox. Nothing that the model wrote runs here.
Departures: no training of when to call; what a tool answers is not learned, since it was not drawn.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import require, some_text
from ratchet.core.types import Call, Draw, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("tool-use", paper="arXiv 2302.04761")
def tool_use(
    task: Task,
    *,
    turns: int = 4,
    tool: str = "calculator",
    opens: str = "<tool>",
    closes: str = "</tool>",
    result: str = "<result>{}</result>",
    temperature: float = 1.0,
) -> Play:
    """At most `turns` - 1 calls of the `tool`, each an argument between `opens` and `closes`; `result` is how its answer is written."""
    some_text(opens=opens, closes=closes)
    require("{}" in result, "result", repr(result), "a text with {}, where what the tool answers is put")
    [text] = yield Draw(task.prompt, stop=(closes,) if turns > 1 else (), temperature=temperature)
    before = ""
    with suppress(BudgetError):
        for left in reversed(range(turns - 1)):
            new = text.text[len(before) :]  # an earlier call is not made again
            if text.stop != "stop" or opens not in new:
                break
            answer = yield Call(tool, new.rpartition(opens)[2].partition(closes)[0].strip())
            before = text.text
            [text] = yield Draw(text, then=result.replace("{}", answer), stop=(closes,) if left else (), temperature=temperature)
    return text
