"""Budget forcing: thinking is cut where it is too long, and made to go on where it would end too early (Muennighoff et al. 2025, s1,
arXiv 2501.19393).

Departures: the paper suppresses the token that ends thinking; here an end of the text, whichever it is, is taken off and `more` put
in its place. `answer` is what makes a model answer where its thinking was cut.
"""

from __future__ import annotations

from contextlib import suppress

from ratchet.core.errors import BudgetError
from ratchet.core.ranges import at_least_1, some_text
from ratchet.core.types import Draw, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("budget-forcing", paper="arXiv 2501.19393")
def budget_forcing(
    task: Task,
    *,
    turns: int = 2,
    thinking: int | None = None,
    more: str = "Wait",
    answer: str = "The answer is",
    temperature: float = 1.0,
) -> Play:
    """Thinking that ends is made to go on `turns` - 1 times (paper: up to 6 times "Wait"); after `thinking` tokens it is cut, and the
    answer asked for (paper: 500 to 16,000; None cuts nothing)."""
    at_least_1(thinking=thinking)
    some_text(more=more, answer=answer)
    [text] = yield Draw(task.prompt, max_tokens=thinking, temperature=temperature)
    with suppress(BudgetError):
        for _ in range(turns - 1):
            left = None if thinking is None else thinking - text.sampled
            if text.stop == "length" or (left is not None and left < 1):
                break
            [text] = yield Draw(text, then=more, max_tokens=left, temperature=temperature)
        if thinking is not None and text.stop == "length":
            [text] = yield Draw(text, then=answer, temperature=temperature)
    return text
