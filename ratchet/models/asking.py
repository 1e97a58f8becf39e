"""A model of our own that answers one prompt with one text, as an endpoint does: a local judge."""

from __future__ import annotations

from threading import Lock

from ratchet.core.seeds import seed
from ratchet.core.types import Draw
from ratchet.models.engine import Engine


class LocalAsk:
    """`ask(prompt)` is one sample of the engine, which depends on the prompt and the weights alone; greedy at temperature 0.

    May be called from several threads, which wait for each other. `calls` and sampled `tokens` are counted. EngineError for a
    prompt that does not fit the model's context.
    """

    def __init__(self, engine: Engine, max_tokens: int | None = None, temperature: float = 0.0) -> None:
        self.engine, self.max_tokens, self.temperature = engine, max_tokens, temperature
        self.calls = self.tokens = 0
        self._turn = Lock()

    def __call__(self, prompt: str) -> str:
        draw = Draw(prompt, role="judge", max_tokens=self.max_tokens, temperature=self.temperature)
        with self._turn:
            [[completion]] = self.engine.sample([draw], [[seed("ask", prompt)]])
            self.calls += 1
            self.tokens += len(completion.tokens)
        return completion.text

    def trouble(self) -> str:
        """As an endpoint tells what was mended on the way; here nothing can be."""
        return ""
