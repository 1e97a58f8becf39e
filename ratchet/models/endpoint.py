"""A model behind an OpenAI-compatible endpoint (vLLM, llama.cpp, Ollama, a vendor's), asked one prompt at a time."""

from __future__ import annotations

import os
from threading import Lock

from ratchet.core.errors import EngineError


class Endpoint:
    """`endpoint(prompt)` is the model's reply to one user message, greedy and at most `max_tokens` long.

    `url` ends before `/chat/completions`, such as `http://localhost:8000/v1`. The key is read from the environment variable
    `key_variable`; without one, a server that wants none is asked. May be called from several threads: `calls` and
    `tokens` (of prompts and replies, as the server counts them) sum over all, and so do the `refused` calls, of which
    `refusal` is the last reason. EngineError where `openai` is not installed, the server cannot be reached or refuses.
    """

    def __init__(self, url: str, model: str, key_variable: str = "OPENAI_API_KEY", max_tokens: int = 1024) -> None:
        try:
            import openai
        except ImportError:
            raise EngineError("an endpoint needs the package openai: pip install 'ratchet[endpoint]'") from None
        if not url.startswith(("http://", "https://")):
            raise EngineError(
                f'an endpoint\'s URL begins with http:// or https://, such as http://localhost:8000/v1, got "{url}"'
            )
        self.url, self.model, self.key_variable, self.max_tokens = url, model, key_variable, max_tokens
        self.calls = self.tokens = self.refused = 0
        self.refusal = ""
        self._counting = Lock()
        self._errors = openai
        self._client = openai.OpenAI(base_url=url, api_key=os.environ.get(key_variable) or "none", timeout=120.0)

    def __call__(self, prompt: str) -> str:
        try:
            reply, tokens = self._ask(prompt)
        except EngineError as e:
            with self._counting:
                self.refused += 1
                self.refusal = str(e)
            raise
        with self._counting:
            self.calls += 1
            self.tokens += tokens
        return reply

    def _ask(self, prompt: str) -> tuple[str, int]:
        """The reply and the tokens that the server counted."""
        asked = [{"role": "user", "content": prompt}]
        try:
            reply = self._client.chat.completions.create(
                model=self.model,
                messages=asked,  # type: ignore[arg-type]
                temperature=0.0,
                max_tokens=self.max_tokens,
            )
        except self._errors.APITimeoutError:
            raise EngineError(f"the endpoint {self.url} did not answer within 120 s, three times; is it busy?") from None
        except self._errors.APIConnectionError as e:
            raise EngineError(f"the endpoint {self.url} cannot be reached ({e.__cause__ or e}); is it running there?") from None
        except self._errors.AuthenticationError:
            known = "is set, and refused" if os.environ.get(self.key_variable) else "is not set"
            raise EngineError(f"the endpoint {self.url} asks for a key; the variable {self.key_variable} {known}") from None
        except self._errors.APIStatusError as e:
            said = " ".join(e.message.split())[:200]
            raise EngineError(f'the endpoint {self.url} refused a request to the model "{self.model}": {said}') from None
        except (self._errors.OpenAIError, ValueError) as e:
            raise EngineError(f"the endpoint {self.url} gave a reply that is none: {e}; is the URL right?") from None
        if not getattr(reply, "choices", None):
            raise EngineError(
                f"the endpoint {self.url} gave a reply without a choice; is it OpenAI-compatible, and the URL right?"
            )
        return reply.choices[0].message.content or "", reply.usage.total_tokens if reply.usage else 0
