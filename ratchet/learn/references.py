"""Reference policies: what one is to begin with, and how it follows the policy that learns.

| row | to begin with | follows |
| --- | --- | --- |
| `frozen` | a copy of the policy; where an adapter is on, of the adapter alone | not at all |
| `base` | the policy without its adapters, which takes no memory | not at all |
| `average` | as `frozen` | as a moving average |
| `reset` | as `frozen` | is the policy again after so many steps |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ratchet.core.errors import RecipeError
from ratchet.core.ranges import at_least_1, require
from ratchet.core.registry import Registry
from ratchet.models.llama import Llama
from ratchet.models.lora import Follow, apart, names_of, without_adapters
from ratchet.models.lora import frozen as copied


@dataclass(frozen=True)
class Reference:
    """How it begins, from the model that learns, and how it follows (None: not at all). `adapters` says that it needs some."""

    begin: Callable[[torch.nn.Module], torch.nn.Module]
    follow: Follow | None = None
    adapters: bool = False


NO_ADAPTERS = (
    'the reference policy "base" is the model without its adapters, and this one has none; set adapter.rank, or take frozen'
)

references: Registry[Callable[..., Reference]] = Registry("reference policy", "ratchet.learn")


@references.add("frozen")
def frozen() -> Reference:
    """The policy as it was when the phase began."""
    return Reference(copied)


@references.add("base")
def base() -> Reference:
    """The policy without its adapters. RecipeError, when it begins, for a policy that has none."""

    def begin(model: torch.nn.Module) -> torch.nn.Module:
        if not isinstance(model, Llama) or not names_of(model):
            raise RecipeError(NO_ADAPTERS)
        return without_adapters(model)

    return Reference(begin, adapters=True)


@references.add("average")
def average(*, kept: float = 0.99) -> Reference:
    """After each step the reference keeps this share of itself, and takes the rest from the policy."""
    require(0 <= kept < 1, "kept", kept, "a share of at least 0 and below 1")

    @torch.no_grad()
    def follow(reference: torch.nn.Module, model: torch.nn.Module, taken: int) -> torch.nn.Module:
        for old, new in zip(apart(reference), apart(model), strict=True):
            old.lerp_(new, 1 - kept)
        return reference

    return Reference(copied, follow)


@references.add("reset", paper="arXiv 2505.24864")
def reset(*, steps: int = 200) -> Reference:
    """After so many steps the reference is the policy as it is then (ProRL)."""
    at_least_1(steps=steps)
    return Reference(copied, lambda reference, model, taken: reference if taken % steps else copied(model))
