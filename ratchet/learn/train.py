"""The one training loop: micro-batches -> log-probabilities -> objective -> gradient -> clipped, warmed-up step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ratchet.learn.batch import Example, Objective, micro_batches
from ratchet.models.engine import Policy, score, token_logprobs


@dataclass
class Learner:
    """Updates a policy in place. `lr` is reached after `warmup` steps and falls linearly to `lr * final` at `steps`.

    `bf16` runs the model under autocast (the products in bfloat16, weights and sums in float32). `micro_tokens`
    bounds the padded tokens of one forward pass. `reference` is a frozen copy, kept only where an anchor needs it.
    """

    policy: Policy
    lr: float = 1e-3
    warmup: int = 10
    steps: int = 0
    final: float = 1.0
    clip: float = 1.0
    weight_decay: float = 0.0
    bf16: bool = True
    micro_tokens: int = 8_192
    reference: torch.nn.Module | None = None
    taken: int = 0
    warm_from: int = 0
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.AdamW(
            self.policy.model.parameters(), lr=self.lr, betas=(0.9, 0.95), weight_decay=self.weight_decay, fused=True
        )

    def freeze_reference(self) -> None:
        """Take the policy as it is now as the reference."""
        self.reference = copy.deepcopy(self.policy.model).requires_grad_(False)

    def rate(self) -> float:
        """The learning rate of the next step."""
        warm = min(1.0, (self.taken - self.warm_from + 1) / max(self.warmup, 1))
        done = min(1.0, self.taken / self.steps) if self.steps else 0.0
        return self.lr * warm * (1 - (1 - self.final) * done)

    def with_reference(self, examples: Sequence[Example]) -> list[Example]:
        """The examples with the reference's log-probabilities, where there is a reference."""
        if self.reference is None:
            return list(examples)
        with torch.no_grad():
            scores = score(self.reference, [(e.prefix, e.tokens) for e in examples])
        return [replace(e, reference=tuple(s)) for e, s in zip(examples, scores, strict=True)]

    def update(self, examples: Sequence[Example], objective: Objective) -> dict[str, float]:
        """One optimizer step on all the examples. Returns the loss, the gradient's norm and the objective's metrics."""
        model = self.policy.model
        device = next(model.parameters()).device
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        sums: dict[str, float] = {"loss": 0.0}
        for batch in micro_batches(self.with_reference(examples), self.micro_tokens, self.policy.max_tokens, device):
            with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
                logits = model(batch.ids)
            loss, metrics = objective(batch, token_logprobs(logits.float(), batch.ids))
            loss.backward()
            for name, value in {"loss": loss.item(), **metrics}.items():
                sums[name] = sums.get(name, 0.0) + value
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), self.clip)
        # a step along a gradient that is not finite would ruin the weights for good
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.taken += 1
        self.policy.version += 1
        return {**sums, "grad_norm": norm.item(), "lr": self.optimizer.param_groups[0]["lr"], "sequences": len(examples)}

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the weights: flat tensors and the step count."""
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"{i}.{name}": value for i, entry in moments.items() for name, value in entry.items()}
        return {"tensors": tensors, "taken": self.taken, "warm_from": self.warm_from, "lr": self.lr, "version": self.policy.version}

    def load_state(self, tensors: dict[str, torch.Tensor], taken: int, warm_from: int, lr: float, version: int) -> None:
        state = self.optimizer.state_dict()
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            index, _, part = name.partition(".")
            entries.setdefault(int(index), {})[part] = value
        state["state"] = entries
        self.optimizer.load_state_dict(state)
        self.taken, self.warm_from, self.lr, self.policy.version = taken, warm_from, lr, version
