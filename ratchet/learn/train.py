"""The one training loop: micro-batches -> what is read of the model -> objective -> gradient -> clipped, warmed-up step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch

from ratchet.learn.batch import Batch, Example, Objective, Unit, micro_batches
from ratchet.models.engine import Read, Trainable, score, token_logprobs
from ratchet.models.lora import Follow, frozen

P = TypeVar("P", bound=Trainable)


@runtime_checkable
class Prepares(Protocol):
    """An objective that says what is read of the model for it and whether it learns from idle examples too, and that sees the
    update's examples before they are cut."""

    @property
    def read(self) -> Read: ...

    @property
    def idle_too(self) -> bool: ...

    def prepare(self, examples: Sequence[Example], learner: Learner[Any]) -> list[Example]: ...

    def __call__(self, batch: Batch, numbers: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]: ...


@dataclass
class Learner(Generic[P]):
    """Updates a policy, or a critic, in place. Rates are reached after `warmup` steps and fall linearly to their share `final`
    at `steps`. What the objective is given about each learned token is what `read` gives: its log-probability, or a value.

    `lr` is AdamW's rate. With `muon` above 0 the matrices of the layers are updated by Muon (Jordan et al. 2024) at that
    rate, and only embeddings, heads and norms by AdamW. `micro_tokens` bounds the padded tokens of one forward pass.
    `slowed` is what roll-backs have multiplied the rates with. `reference` is a frozen copy, kept only where an anchor
    needs it; `follow` moves it after each step (learn/references.py).
    """

    policy: P
    lr: float = 1e-3
    muon: float = 0.0
    warmup: int = 10
    steps: int = 0
    final: float = 1.0
    clip: float = 1.0
    weight_decay: float = 0.0
    micro_tokens: int = 4_096
    reference: torch.nn.Module | None = None
    follow: Follow | None = None
    read: Read = token_logprobs
    taken: int = 0
    warm_from: int = 0
    slowed: float = 1.0
    optimizers: dict[str, tuple[torch.optim.Optimizer, float]] = field(init=False)

    def __post_init__(self) -> None:
        named = list(self.policy.model.named_parameters())
        inner = [p for n, p in named if self.muon and p.dim() == 2 and "embed" not in n and "head" not in n]
        held = {id(p) for p in inner}
        outer = [p for _, p in named if id(p) not in held]
        decay = self.weight_decay
        self.optimizers = {
            "adamw": (torch.optim.AdamW(outer, lr=self.lr, betas=(0.9, 0.95), weight_decay=decay, fused=True), self.lr)
        }
        if inner:
            self.optimizers["muon"] = (torch.optim.Muon(inner, lr=self.muon, weight_decay=decay), self.muon)

    def freeze_reference(self) -> None:
        """Take the policy as it is now as the reference."""
        self.reference = frozen(self.policy.model)

    def rate(self) -> float:
        """What the next step's rates are multiplied with."""
        warm = min(1.0, (self.taken - self.warm_from + 1) / max(self.warmup, 1))
        done = min(1.0, self.taken / self.steps) if self.steps else 0.0
        return self.slowed * warm * (1 - (1 - self.final) * done)

    def with_reference(self, units: Sequence[Unit]) -> list[Unit]:
        """The units with the reference's log-probabilities, where there is a reference; rows that have some keep them."""
        if self.reference is None:
            return list(units)
        rows = [row for u in units for row in u.rows]
        missing = [(row.prefix, row.tokens) for row in rows if not row.reference]
        scores = iter(score(self.reference, missing, self.policy.bf16))
        known = iter([row.reference or tuple(next(scores)) for row in rows])
        return [u.with_references(list(islice(known, len(u.rows)))) for u in units]

    def update(self, units: Sequence[Unit], objective: Objective) -> dict[str, float]:
        """One optimizer step on all the units, examples or pairs. Returns the loss, the gradient's norm and the objective's metrics.

        An objective that prepares its examples does, and is given what it reads; any other is given what `read` gives.

        `skipped` is 1 where the gradient was not finite and no step was taken.
        """
        model = self.policy.model
        device = next(model.parameters()).device
        rate = self.rate()
        for optimizer, lr in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = lr * rate
        sums: dict[str, float] = {"loss": 0.0}
        given, read, idle_too = sum(len(u.rows) for u in units), self.read, False
        if isinstance(objective, Prepares):
            units = objective.prepare([row for u in units for row in u.rows], self)
            read, idle_too = objective.read, objective.idle_too
        for batch in micro_batches(self.with_reference(units), self.micro_tokens, self.policy.max_tokens, device, idle_too):
            numbers = read(model, batch.ids, batch.mask.bool(), self.policy.bf16)
            loss, metrics = objective(batch, numbers)
            loss.backward()
            for name, value in {"loss": loss.item(), **metrics}.items():
                sums[name] = sums.get(name, 0.0) + value
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), self.clip)
        # a step along a gradient that is not finite would ruin the weights for good
        finite = bool(torch.isfinite(norm))
        if finite:
            for optimizer, _ in self.optimizers.values():
                optimizer.step()
            # the fused step tells nobody that it wrote to the weights, and the sampler keeps copies of them in other orders
            torch.autograd.graph.increment_version(list(model.parameters()))
        model.zero_grad(set_to_none=True)
        self.taken += 1
        if self.reference is not None and self.follow is not None and finite:
            self.reference = self.follow(self.reference, model, self.taken)
        self.policy.version += 1
        return {
            **sums,
            "grad_norm": norm.item() if finite else 0.0,
            "skipped": float(not finite),
            "lr": self.lr * rate,
            "sequences": given,
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the weights: named tensors, and counts."""
        tensors = {
            f"{kind}.{i}.{name}": value
            for kind, (optimizer, _) in self.optimizers.items()
            for i, entry in optimizer.state_dict()["state"].items()
            for name, value in entry.items()
        }
        counts = {"taken": self.taken, "warm_from": self.warm_from, "slowed": self.slowed, "version": self.policy.version}
        return {"tensors": tensors, **counts}

    def load_state(self, tensors: dict[str, torch.Tensor], taken: int, warm_from: int, slowed: float, version: int) -> None:
        """Take back what `state` gave."""
        entries: dict[str, dict[int, dict[str, torch.Tensor]]] = {}
        for name, value in tensors.items():
            kind, index, part = name.split(".")
            entries.setdefault(kind, {}).setdefault(int(index), {})[part] = value
        for kind, (optimizer, _) in self.optimizers.items():
            optimizer.load_state_dict({**optimizer.state_dict(), "state": entries.get(kind, {})})
        self.taken, self.warm_from, self.slowed, self.policy.version = taken, warm_from, slowed, version
