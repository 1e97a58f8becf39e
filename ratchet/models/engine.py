"""Engines: the interface that everything above samples and scores through, and the local implementation of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ratchet.core.errors import EngineError
from ratchet.core.types import Completion, Draw, Tokens
from ratchet.models import llama
from ratchet.models.cache import Cache, Prefixes
from ratchet.models.few import Few
from ratchet.models.graphs import Graphs
from ratchet.models.machine import products_in
from ratchet.models.sampling import Row, next_tokens, sample_rows
from ratchet.models.tokens import Tokenizer

Done = Callable[[int, list[Completion]], None]
Read = Callable[[Any, Tensor, Tensor, bool], Tensor]
"""(model, ids (B, T), mask (B, T - 1), bf16) -> a number (B, T - 1) about each token that the mask names: entry t is about the
token at t + 1."""


class Engine(Protocol):
    """Samples and scores in batches. `version` counts the updates of the weights."""

    tokenizer: Tokenizer
    max_tokens: int
    version: int

    def encode(self, prefix: str | Tokens) -> Tokens:
        """The tokens of a prompt; tokens pass through."""
        ...

    def sample(self, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], done: Done | None = None) -> list[list[Completion]]:
        """`n` completions of each draw; sample i of draw d depends on `seeds[d][i]` and the weights alone.

        `done(d, completions)` is called as soon as all samples of draw d are there.
        """
        ...

    def score(self, pairs: Sequence[tuple[Tokens, Tokens]]) -> list[list[float]]:
        """Log-probabilities of the tokens of each (prefix, continuation)."""
        ...

    def forget(self) -> None:
        """Let go of what was kept to continue earlier draws, so that what follows does not depend on them by rounding."""
        ...


class Trainable(Protocol):
    """What a learner can update: a model, of which it reads numbers about tokens. `version` counts the updates."""

    bf16: bool
    max_tokens: int
    version: int

    @property
    def model(self) -> torch.nn.Module: ...


class Policy(Engine, Trainable, Protocol):
    """An engine that can be trained: `model(ids)` gives logits (B, T, V) for right-padded ids (B, T).

    `model.at(ids, wanted)` gives those (N, V) at the places where `wanted` (B, T) is true. With `bf16` it samples, scores
    and is trained with matrix products in bfloat16.
    """

    def save(self, folder: Path) -> None: ...


def ends(row: Row, draw: Draw, tokenizer: Tokenizer, end: frozenset[int]) -> str | None:
    """Why the row is finished, or None. A stop string ends it with the token that completes the string."""
    if row.tokens[-1] in end:
        return "end"
    if draw.stop:
        # the last tokens are enough to see a string that just became complete
        tail = tokenizer.decode(row.tokens[-max(len(s) for s in draw.stop) - 4 :])
        if any(s in tail for s in draw.stop):
            return "stop"
    return None


def completion_of(row: Row, draw: Draw, tokenizer: Tokenizer, version: int) -> Completion:
    start = (
        begun(draw.prefix, draw, tokenizer) if isinstance(draw.prefix, Completion) else Completion(row.prefix, (), "", (), "stop")
    )
    tokens = (*start.tokens, *row.tokens)
    return replace(
        start,
        tokens=tokens,
        text=tokenizer.decode([t for t in tokens if t not in tokenizer.end]),
        logprobs=(*start.logprobs, *row.logprobs),
        stop=row.stop,  # type: ignore[arg-type]
        policy_version=version,
        role=draw.role,
    )


def begun(start: Completion, draw: Draw, tokenizer: Tokenizer) -> Completion:
    """The completion that a draw goes on from, with what is put behind it."""
    if not draw.then:
        return start
    tokens, given = start.tokens, tuple(tokenizer.encode_turn(draw.then) if draw.turn else tokenizer.encode(draw.then))
    if tokens and tokens[-1] in tokenizer.end:
        if not draw.turn:
            tokens = tokens[:-1]
        elif given[:1] == tokens[-1:]:  # a template ends the turn before, which has ended itself
            given = given[1:]
    return replace(
        start,
        tokens=(*tokens, *given),
        logprobs=(*start.logprobs[: len(tokens)], *[0.0] * len(given)),
        given=(*start.given, *range(len(tokens), len(tokens) + len(given))),
    )


def rows_of(engine: Engine, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], context: int) -> list[list[Row]]:
    """Rows to fill for each draw. Raises EngineError for a prompt that leaves no room in the context."""
    rows: list[list[Row]] = []
    for draw, own in zip(draws, seeds, strict=True):
        start = draw.prefix
        if isinstance(start, Completion):
            start = begun(start, draw, engine.tokenizer)
            prefix = start.prefix + start.tokens
        else:
            prefix = engine.encode(start)
        room = context - len(prefix)
        if not prefix or room < 1:
            raise EngineError(
                f"a prompt of {len(prefix)} tokens does not fit the model's context of {context}; it must hold 1 to {context - 1}"
            )
        limit = min(engine.max_tokens if draw.max_tokens is None else draw.max_tokens, room)
        if len(own) != draw.n:
            raise EngineError(f"a draw of {draw.n} samples came with {len(own)} seeds")
        rows.append([Row(prefix, s, limit) for s in own])
    return rows


class LocalEngine:
    """Our own model on this machine's processor or GPU."""

    def __init__(
        self, model: llama.Llama, tokenizer: Tokenizer, max_tokens: int = 128, batch: int = 256, bf16: bool = False
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.max_tokens, self.batch, self.bf16, self.version = max_tokens, batch, bf16, 0
        self.cache, self.prefixes = Cache(model), Prefixes()
        self.weights: object = None  # which ones were packed, and the prefixes computed with
        self.steps = Graphs(next_tokens) if model.embed.weight.is_cuda else Few(next_tokens)

    def encode(self, prefix: str | Tokens) -> Tokens:
        return tuple(self.tokenizer.encode_prompt(prefix)) if isinstance(prefix, str) else prefix

    def sample(self, draws: Sequence[Draw], seeds: Sequence[Sequence[int]], done: Done | None = None) -> list[list[Completion]]:
        # torch counts every change in place but those of a fused optimizer, which `Learner` counts
        weights = self.bf16, tuple((p.data_ptr(), p._version) for p in self.model.parameters())
        if weights != self.weights:
            self.forget()
            self.model.pack(self.bf16)
            self.steps.follow(self.model, self.bf16)
            self.weights = weights
        rows = rows_of(self, draws, seeds, self.model.shape.max_tokens)
        place = {id(row): d for d, own in enumerate(rows) for row in own}
        left, end = [len(own) for own in rows], self.tokenizer.end
        drawn: list[list[Completion]] = [[] for _ in draws]
        for temperature, top_p in sorted({(d.temperature, d.top_p) for d in draws}):
            chosen = [
                r for d, own in zip(draws, rows, strict=True) if (d.temperature, d.top_p) == (temperature, top_p) for r in own
            ]
            finish = lambda row: ends(row, draws[place[id(row)]], self.tokenizer, end)
            with products_in(self.bf16, self.model.embed.weight.device):
                sampling = sample_rows(
                    self.model, self.cache, self.prefixes, self.steps.step, chosen, finish, temperature, top_p, self.batch
                )
                for d in (place[id(row)] for finished in sampling for row in finished):
                    left[d] -= 1
                    if not left[d]:
                        drawn[d] = [completion_of(row, draws[d], self.tokenizer, self.version) for row in rows[d]]
                        if done is not None:
                            done(d, drawn[d])
        return drawn

    def forget(self) -> None:
        self.prefixes.clear()

    def score(self, pairs: Sequence[tuple[Tokens, Tokens]]) -> list[list[float]]:
        return score(self.model, pairs, self.bf16)

    def save(self, folder: Path) -> None:
        llama.save(self.model, folder)
        self.tokenizer.save(folder)


def flops_of(engine: Any) -> float:
    """Floating-point operations for a token: two for each weight but those that are looked up; 0 where there are no weights here."""
    model = getattr(engine, "model", None)
    if not isinstance(model, torch.nn.Module):
        return 0.0
    tied = {id(p): p for p in model.parameters()}.values()
    looked_up = sum(p.numel() for n, p in model.named_parameters() if "embed" in n)
    head = any("head" in n for n, _ in model.named_parameters())
    return 2.0 * (sum(p.numel() for p in tied) - (looked_up if head else 0))


def pad(sequences: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Tensor:
    """Right-padded ids (B, T)."""
    ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    return ids.to(device)


def token_logprobs(model: Any, ids: Tensor, mask: Tensor, bf16: bool = False) -> Tensor:
    """Log-probability (B, T - 1) of each next token of ids (B, T) where `mask` (B, T - 1) is true, 0 elsewhere."""
    with products_in(bf16, ids.device):
        logits = model.at(ids, F.pad(mask, (0, 1))).float()
    picked = logits.gather(-1, ids[:, 1:][mask][:, None])[:, 0] - logits.logsumexp(-1)
    return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, picked)


@torch.no_grad()
def score(
    model: torch.nn.Module,
    pairs: Sequence[tuple[Tokens, Tokens]],
    bf16: bool = False,
    batch_tokens: int = 4_096,
    read: Read = token_logprobs,
) -> list[list[float]]:
    """What is read about each token of continuations, by default its log-probability, in batches of about `batch_tokens`
    padded tokens."""
    device = next(model.parameters()).device
    scores: list[list[float]] = [[] for _ in pairs]
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
    while order:
        longest = sum(map(len, pairs[order[-1]]))
        rows = [order.pop() for _ in range(min(len(order), max(1, batch_tokens // longest)))]
        ids = pad([pairs[i][0] + pairs[i][1] for i in rows], device)
        mask = torch.zeros(ids.shape[0], ids.shape[1] - 1, dtype=torch.bool)
        for place, i in enumerate(rows):
            start = len(pairs[i][0]) - 1
            mask[place, start : start + len(pairs[i][1])] = True
        numbers = read(model, ids, mask.to(device), bf16)
        for place, i in enumerate(rows):
            prefix, tokens = pairs[i]
            scores[i] = numbers[place, len(prefix) - 1 : len(prefix) - 1 + len(tokens)].tolist()
    return scores
