"""Learned verifiers: our Llama with a number per token in the place of words, and a policy that says its verdict in a word.

A critic's value after a token is the chance, as it has learned it, that what stands there is right or will end right. What it
is taught (the outcome at the end, the outcome at every token, each step's own label) is a row in learn/critic.py.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ratchet.core.errors import EngineError
from ratchet.core.types import Completion, Task, Tokens
from ratchet.models import llama
from ratchet.models.engine import Engine, score
from ratchet.models.load import load_tokenizer
from ratchet.models.machine import device, in_float32, products_in
from ratchet.models.scheduler import Scorer, Verify
from ratchet.models.tokens import Tokenizer

HEAD = "value_head.safetensors"
Pairs = Sequence[tuple[Tokens, Tokens]]
Worth = Callable[[Completion, Sequence[float]], float]
"""(completion, value after each of its tokens) -> its score"""


class ValueModel(nn.Module):
    """A trunk, and one logit per token. The head starts at zero: every value is 1/2 before anything was learned."""

    def __init__(self, trunk: llama.Llama) -> None:
        super().__init__()
        self.trunk, self.value_head = trunk, nn.Linear(trunk.shape.width, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.to(trunk.embed.weight.device)

    def at(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """Logits (N,) of the values after the N tokens of right-padded ids (B, T) where `wanted` (B, T) is true."""
        states = self.trunk.states(ids)[wanted]
        with in_float32(states.device):
            return F.linear(states.float(), self.value_head.weight, self.value_head.bias)[:, 0]


def token_values(model: Any, ids: Tensor, mask: Tensor, bf16: bool = False) -> Tensor:
    """Logits (B, T - 1) of the value after each token of ids (B, T) that the mask (B, T - 1) names, 0 elsewhere."""
    with products_in(bf16, ids.device):
        logits = model.at(ids, F.pad(mask, (1, 0)))
    return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, logits)


class Critic:
    """A value model with its tokenizer. A `Learner` trains it like a policy, with `read=token_values`."""

    def __init__(self, model: ValueModel, tokenizer: Tokenizer, bf16: bool = False) -> None:
        self.model, self.tokenizer, self.bf16 = model, tokenizer, bf16
        self.max_tokens, self.version = model.trunk.shape.max_tokens, 0

    def values(self, pairs: Pairs) -> list[list[float]]:
        """The value, in (0, 1), after each token of every (prefix, continuation)."""
        logits = score(self.model, pairs, self.bf16, read=token_values)
        return [[1 / (1 + math.exp(-x)) if x > -500 else 0.0 for x in row] for row in logits]

    def save(self, folder: Path) -> None:
        """The trunk as a checkpoint in the Hugging Face layout, and the head in a file beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        llama.save(self.model.trunk, folder)
        self.tokenizer.save(folder)
        save_file({n: p.detach().contiguous() for n, p in self.model.value_head.named_parameters()}, folder / HEAD)


def critic_from(policy: Any) -> Critic:
    """A critic whose trunk is a copy of a policy's own model, as the papers start theirs from the generator.

    EngineError for a model that another library computes.
    """
    if not isinstance(policy.model, llama.Llama):
        kinds = ", ".join(llama.ARCHITECTURES)
        raise EngineError(f"a critic needs a trunk that is computed here ({kinds}), not {type(policy.model).__name__}")
    return Critic(ValueModel(copy.deepcopy(policy.model)), policy.tokenizer, policy.bf16)


def load_critic(folder: Path, bf16: bool = False) -> Critic:
    """What `Critic.save` wrote. EngineError where the folder holds no whole critic."""
    if not (folder / HEAD).is_file():
        raise EngineError(f"{folder} holds no {HEAD}; give the folder of a saved critic, not of a policy")
    try:
        model = ValueModel(llama.load(folder).to(device()))
        model.value_head.load_state_dict(load_file(folder / HEAD))
        return Critic(model, load_tokenizer(folder), bf16)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as e:
        raise EngineError(f"{folder} is not a whole critic: {type(e).__name__}: {str(e)[:200]}") from e


# ---- as scorers of a strategy ------------------------------------------------------------------------------------


def last(completion: Completion, values: Sequence[float]) -> float:
    """The value after the last token: of a whole completion what an outcome model says, of a part its promise."""
    return values[-1] if values else 0.0


def least_at(ends: frozenset[int]) -> Worth:
    """The least value at the ends of steps, which are these tokens and the last one: a chain is as good as its worst step."""

    def worth(completion: Completion, values: Sequence[float]) -> float:
        return min((v for t, v in zip(completion.tokens, values, strict=True) if t in ends), default=last(completion, values))

    return worth


def scorer_of(critic: Critic, worth: Worth = last) -> Scorer:
    """A critic as a scorer that `Judge` can name: `Scheduler(..., {**SCORERS, "critic": scorer_of(critic)}, ...)`."""

    def scorer(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
        values = critic.values([(c.prefix, c.tokens) for c in completions])
        return [worth(c, own) for c, own in zip(completions, values, strict=True)]

    return scorer


def said(engine: Engine, pairs: Pairs, yes: int, no: int) -> list[float]:
    """The share of `yes` in the chances of the two verdict tokens after each (prefix, continuation): a generative judge.

    It is trained by imitation: the judged text is the prefix of an example, the verdict token its continuation.
    """
    both = engine.score([((*prefix, *tokens), (word,)) for prefix, tokens in pairs for word in (yes, no)])
    odds = [a[0] - b[0] for a, b in zip(both[::2], both[1::2], strict=True)]
    return [1 / (1 + math.exp(-min(max(x, -500.0), 500.0))) for x in odds]
