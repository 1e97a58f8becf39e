"""A model behind an OpenAI-compatible endpoint (vLLM, llama.cpp, Ollama, a vendor's), asked one prompt at a time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from time import sleep
from typing import Any

from ratchet.core.errors import EngineError
from ratchet.core.seeds import fraction, seed

FIRST_WAIT = 0.5  # seconds before the first retry; each later one waits twice as long
LONGEST_WAIT = 60.0  # seconds that one retry may wait, whatever the server asks for


@dataclass
class Refused(Exception):
    """One request that failed: the sentence about it, and whether it may go through when it is asked again.

    `after` is what the server asks to wait, in seconds.
    """

    why: str
    again: bool = False
    after: float = 0.0


class Endpoint:
    """`endpoint(prompt)` is the model's reply to one user message, at most `max_tokens` long; greedy at temperature 0.

    `url` ends before `/chat/completions`, such as `http://localhost:8000/v1`. The key is read from the environment variable
    `key_variable`; without one, a server that wants none is asked. A request that is late (`timeout` seconds), broken off,
    refused for now (429) or hit by the server's own trouble (5xx) is made again, `retries` times at most, after waits that
    double and are those that the server asks for where it does; what cannot go through is not tried again.

    May be called from several threads, over which all of these sum: `calls` and `tokens` (of prompts and replies, as the
    server counts them), `retried` requests and the seconds `waited` before them, replies `cut` at `max_tokens`, and the
    `refused` calls, of which `refusal` is the last reason. EngineError where `openai` is not installed, or a call is refused.
    """

    def __init__(
        self, url: str, model: str, key_variable: str = "OPENAI_API_KEY", max_tokens: int = 1024, *,
        temperature: float = 0.0, timeout: float = 120.0, retries: int = 4,
    ) -> None:  # fmt: skip
        try:
            import openai
        except ImportError:
            raise EngineError("an endpoint needs the package openai: pip install 'ratchet[endpoint]'") from None
        if not url.startswith(("http://", "https://")):
            raise EngineError(
                f'an endpoint\'s URL begins with http:// or https://, such as http://localhost:8000/v1, got "{url}"'
            )
        self.url, self.model, self.key_variable, self.max_tokens = url, model, key_variable, max_tokens
        self.temperature, self.timeout, self.retries = temperature, timeout, retries
        self.calls = self.tokens = self.refused = self.retried = self.cut = 0
        self.waited = 0.0
        self.refusal = ""
        self._counting = Lock()
        self._errors = openai
        # the retries are ours: those of the client are not counted, and wait for what the server says without a bound
        self._client = openai.OpenAI(base_url=url, api_key=os.environ.get(key_variable) or "none", timeout=timeout, max_retries=0)

    def __call__(self, prompt: str) -> str:
        attempt = 0
        while True:
            try:
                return self._counted(self._ask(prompt))
            except Refused as refused:
                wait = self.wait(prompt, attempt, refused.after)
                if not refused.again or attempt == self.retries or wait > LONGEST_WAIT:
                    raise self._given_up(refused, attempt, wait) from None
            attempt += 1
            with self._counting:
                self.retried += 1
                self.waited += wait
            sleep(wait)

    def trouble(self) -> str:
        """What went wrong on the way and was mended, in words; empty where nothing did."""
        told = [f"{self.retried:,} requests made again after {self.waited:.0f} s of waiting"] if self.retried else []
        told += [f"{self.cut:,} replies cut at {self.max_tokens:,} tokens"] if self.cut else []
        return "; ".join(told)

    def wait(self, prompt: str, attempt: int, after: float) -> float:
        """Seconds before the next try: doubling, with a jitter that parts the threads, and no less than the server asks."""
        doubled = min(FIRST_WAIT * 2.0**attempt, LONGEST_WAIT / 2)
        return max(after, doubled / 2) + fraction("endpoint", prompt, attempt) * doubled / 2

    def _given_up(self, refused: Refused, attempt: int, wait: float) -> EngineError:
        why = refused.why
        if refused.again and attempt < self.retries:
            why += f"; it asks to wait {refused.after:.0f} s, and {LONGEST_WAIT:.0f} s is the most: ask again later"
        elif attempt:
            why += f"; asked {attempt + 1} times"
        with self._counting:
            self.refused += 1
            self.refusal = why
        return EngineError(why)

    def _counted(self, reply: dict[str, Any]) -> str:
        """The text of a reply, after it was counted. Refused where it has none."""
        try:
            choice = reply["choices"][0]
            content = choice["message"]["content"]
            tokens = (reply.get("usage") or {}).get("total_tokens") or 0
            text, counted = "" if content is None else content, int(tokens)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            text, counted, choice = None, 0, {}
        if not isinstance(text, str):
            said = " ".join(str(reply.get("error", "")).split())[:200]
            raise Refused(
                f"the endpoint {self.url} gave a reply without a choice{f' ({said})' if said else ''}; is it OpenAI-compatible, "
                f"and the URL right?"
            )
        with self._counting:
            self.calls += 1
            self.tokens += counted
            self.cut += choice.get("finish_reason") == "length"
        return text

    def _ask(self, prompt: str) -> dict[str, Any]:
        """The reply as it came. Refused with the remedy where there is none."""
        errors, where = self._errors, f"the endpoint {self.url}"
        # a sampled reply depends on its prompt alone, where the server heeds seeds; a greedy one needs none
        sampling = {"seed": seed("endpoint", prompt) % 2**31} if self.temperature else {}
        try:
            answer = self._client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                **sampling,  # type: ignore[arg-type]
            )
            return parsed(answer.text, where)
        except errors.APITimeoutError:
            raise Refused(f"{where} did not answer within {self.timeout:g} s; is it busy?", True) from None
        except errors.APIConnectionError as e:
            if type(e.__cause__).__name__ == "ConnectError":  # by name: versions of openai stand on different HTTP packages
                # a server that was there comes back; an address that never answered is wrong
                raise Refused(f"{where} cannot be reached ({e.__cause__}); is it running there?", self.calls > 0) from None
            raise Refused(
                f"{where} broke off its reply ({e.__cause__ or e}); is it overloaded or behind a proxy?", True
            ) from None
        except errors.AuthenticationError:
            known = "is set, and refused" if os.environ.get(self.key_variable) else "is not set"
            raise Refused(f"{where} asks for a key; the variable {self.key_variable} {known}") from None
        except errors.APIStatusError as e:
            raise self._status(e, where) from None
        except (errors.OpenAIError, ValueError) as e:
            raise Refused(f"{where} gave a reply that is none: {e}; is the URL right?") from None

    def _status(self, e: Any, where: str) -> Refused:
        """A refusal with a status: which ones may go through later, and what to do about it."""
        said = " ".join(str(e.message).split())[:200]
        if e.status_code == 429 and getattr(e, "code", None) != "insufficient_quota":
            remedy = "ask fewer at once, or later"
            return Refused(f"{where} has too many requests ({said}); {remedy}", True, asked_wait(e.response.headers))
        if e.status_code >= 500 or e.status_code == 408:
            remedy = "look into its log"
            return Refused(f"{where} failed ({said}); {remedy}", True, asked_wait(e.response.headers))
        return Refused(f'{where} refused a request to the model "{self.model}": {said}')


def parsed(text: str, where: str) -> dict[str, Any]:
    """The JSON object of a reply. Refused where it is none; half of one may come whole when it is asked for again."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        start = " ".join(text.split())[:60]
        start = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in start)
        if text.lstrip().startswith("{"):
            raise Refused(
                f"{where} broke off its reply (it begins {start!r} and is not whole); is it overloaded?", True
            ) from None
        raise Refused(
            f"{where} gave a reply that is not JSON (it begins {start!r}); is it OpenAI-compatible, and the URL right?"
        ) from None
    return found if isinstance(found, dict) else {}


def asked_wait(headers: Any) -> float:
    """Seconds that a Retry-After asks for, as a number or as a date; 0 without one that can be read."""
    said = headers.get("retry-after", "")
    try:
        return min(max(0.0, float(said)), 1e6)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
