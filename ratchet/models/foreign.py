"""What comes from transformers: tokenizers of checkpoints, and models of architectures that are not our own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ratchet.core.errors import EngineError
from ratchet.core.types import Completion, Draw, Tokens
from ratchet.models.engine import Done, completion_of, ends, pad, rows_of, score
from ratchet.models.machine import device, products_in
from ratchet.models.sampling import Row, pick, streams
from ratchet.models.tokens import Tokenizer


def transformers() -> Any:
    try:
        import transformers as library
    except ImportError:
        raise EngineError('this checkpoint needs transformers; install "ratchet[hf]"') from None
    library.logging.set_verbosity_error()
    return library


class ForeignTokenizer:
    """The tokenizer of a Hugging Face checkpoint. The chat template is applied where it has one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.inner = transformers().AutoTokenizer.from_pretrained(str(folder))
        except (OSError, ValueError, KeyError) as e:
            raise EngineError(f"{folder} has no tokenizer that transformers can load: {str(e).splitlines()[0][:200]}") from None
        stops: set[int] = {self.inner.eos_token_id} if self.inner.eos_token_id is not None else set()
        # chat models end a turn with a token of its own, listed in their generation config
        try:
            listed = transformers().GenerationConfig.from_pretrained(str(folder)).eos_token_id
            stops |= set(listed if isinstance(listed, list) else [listed] if listed is not None else [])
        except OSError:
            pass
        self.end = frozenset(stops)
        self.end_id: int = self.inner.eos_token_id if self.inner.eos_token_id is not None else min(stops, default=0)

    def encode_prompt(self, text: str) -> list[int]:
        if self.inner.chat_template:
            return self.encode(self.rendered(text))
        return list(self.inner(text).input_ids)

    def encode_turn(self, text: str) -> list[int]:
        if not self.inner.chat_template:
            return self.encode(text)
        reply = "\u241e"  # a symbol that no template holds: what stands behind it is all that follows a reply
        return self.encode(self.rendered("", reply, text).rpartition(reply)[2])

    def rendered(self, *said: str) -> str:
        """What the user and the model said in turns, and the opening of the model's next turn."""
        messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]
        try:
            return str(self.inner.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except Exception as e:  # a template is a program of its own and raises what it likes
            raise EngineError(f"{self.folder}: its chat template fails on a user's message: {str(e)[:200]}") from e

    def encode(self, text: str) -> list[int]:
        return list(self.inner(text, add_special_tokens=False).input_ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.inner.decode(list(ids), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        self.inner.save_pretrained(str(folder))
        generation = self.folder / "generation_config.json"
        if generation.is_file():
            shutil.copy(generation, folder)


class LogitsOnly(torch.nn.Module):
    """A transformers model as `model(ids) -> logits` and `model.at(ids, wanted)`, which the learner and the scorer know."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        # right-padded under a causal mask: what follows a token never reaches it
        return self.inner(input_ids=ids, use_cache=False).logits

    def at(self, ids: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return self(ids)[wanted]


class TransformersEngine:
    """Any causal language model of transformers. Slower than LocalEngine: no sharing of prefixes, no refilling."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, max_tokens: int = 128, batch: int = 64, bf16: bool = False) -> None:
        try:
            inner = transformers().AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, use_safetensors=True)
        except (OSError, ValueError, KeyError) as e:
            raise EngineError(f"transformers cannot load {folder}: {str(e).splitlines()[0][:300]}") from None
        self.model = LogitsOnly(inner.eval().to(device()))
        self.tokenizer, self.max_tokens, self.batch, self.bf16, self.version = tokenizer, max_tokens, batch, bf16, 0
        limit = getattr(inner.config, "max_position_embeddings", None) or getattr(inner.config, "n_positions", None)
        self.context = int(limit or 2048)

    def encode(self, prefix: str | Tokens) -> Tokens:
        return tuple(self.tokenizer.encode_prompt(prefix)) if isinstance(prefix, str) else prefix

    def sample(self, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], done: Done | None = None) -> list[list[Completion]]:
        rows = rows_of(self, draws, seeds, self.context)
        # rows of one prefix length run together, so that no row needs padding on its left
        groups: dict[tuple[int, float, float], list[tuple[Row, Draw]]] = {}
        for draw, own in zip(draws, rows, strict=True):
            for row in own:
                groups.setdefault((len(row.prefix), draw.temperature, draw.top_p), []).append((row, draw))
        for (_, temperature, top_p), group in groups.items():
            for start in range(0, len(group), self.batch):
                self._fill(group[start : start + self.batch], temperature, top_p)
        drawn = [
            [completion_of(row, draw, self.tokenizer, self.version) for row in own] for draw, own in zip(draws, rows, strict=True)
        ]
        for d, completions in enumerate(drawn):
            if done is not None:
                done(d, completions)
        return drawn

    @torch.no_grad()
    def _fill(self, group: list[tuple[Row, Draw]], temperature: float, top_p: float) -> None:
        place = next(self.model.parameters()).device
        ids = pad([row.prefix for row, _ in group], place)
        past: Any = None
        while group:
            with products_in(self.bf16, place):
                out = self.model.inner(input_ids=ids, past_key_values=past, use_cache=True)
            past = out.past_key_values
            own = streams([row.seed for row, _ in group], place)
            steps = torch.tensor([len(row.tokens) for row, _ in group], device=place)
            new, logp = pick(out.logits[:, -1], own, steps, temperature, top_p)
            going: list[int] = []
            for i, ((row, draw), token, lp) in enumerate(zip(group, new.tolist(), logp.tolist(), strict=True)):
                row.tokens.append(token)
                row.logprobs.append(lp)
                reason = ends(row, draw, self.tokenizer, self.tokenizer.end)
                if reason is not None:
                    row.stop = reason
                elif len(row.tokens) < row.max_tokens:
                    going.append(i)
            ids = new[:, None]
            if len(going) < len(group):
                group = [group[i] for i in going]
                at = torch.tensor(going, dtype=torch.long, device=place)
                ids = ids[at]
                past.batch_select_indices(at)

    def forget(self) -> None:
        """Nothing is kept."""

    def score(self, pairs: Sequence[tuple[Tokens, Tokens]]) -> list[list[float]]:
        return score(self.model, pairs, self.bf16)

    def save(self, folder: Path) -> None:
        self.model.inner.save_pretrained(str(folder), safe_serialization=True)
        self.tokenizer.save(folder)
