"""How a reference policy follows the one that learns: not at all, as a moving average, or by resets.

What it is to begin with: a frozen copy (`Learner.freeze_reference`; of a model with an adapter on, of the adapter alone), or the
model without its adapters (`learner.reference = without_adapters(policy.model)`), which takes no memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ratchet.core.errors import RecipeError
from ratchet.models.lora import apart, frozen

Follow = Callable[[torch.nn.Module, torch.nn.Module, int], torch.nn.Module]
"""(reference, the model that learns, steps taken) -> the reference from now on"""


def moving_average(kept: float = 0.99) -> Follow:
    """After each step the reference keeps this share of itself, and takes the rest from the policy."""
    if not 0 <= kept < 1:
        raise RecipeError(f"a moving average keeps a share of at least 0 and below 1, got {kept}")

    @torch.no_grad()
    def follow(reference: torch.nn.Module, model: torch.nn.Module, taken: int) -> torch.nn.Module:
        for old, new in zip(apart(reference), apart(model), strict=True):
            old.lerp_(new, 1 - kept)
        return reference

    return follow


def reset_every(steps: int) -> Follow:
    """After so many steps the reference is the policy as it is then (ProRL, Liu et al. 2025, arXiv 2505.24864)."""
    if steps < 1:
        raise RecipeError(f"a reference is reset every 1 step or more, got {steps}")
    return lambda reference, model, taken: reference if taken % steps else frozen(model)
