"""What a strategy may spend on one task. The scheduler asks before it spends."""

from __future__ import annotations

from dataclasses import dataclass

from ratchet.core.errors import BudgetError
from ratchet.core.types import Cost


@dataclass(frozen=True)
class Budget:
    """Limits for one trace: sampled tokens, and judged completions and tool calls together. None is no limit."""

    tokens: int | None = None
    calls: int | None = None

    def most_tokens(self, spent: Cost, samples: int, wanted: int) -> int:
        """How many tokens each of `samples` draws may have, at most `wanted`. Raises BudgetError when it is none."""
        if self.tokens is None:
            return wanted
        each = min(wanted, (self.tokens - spent.sampled_tokens) // max(samples, 1))
        if each < 1:
            raise BudgetError(
                f"out of budget: {spent.sampled_tokens} of {self.tokens} tokens are spent; {samples} more draws do not fit"
            )
        return each

    def allow_calls(self, spent: Cost, wanted: int) -> None:
        """Raises BudgetError when so many judged completions or tool calls are not left."""
        if self.calls is not None and spent.calls + wanted > self.calls:
            raise BudgetError(
                f"out of budget: {spent.calls} of {self.calls} judge and tool calls are spent; {wanted} more do not fit"
            )
