"""Learned verifiers: our Llama with a number per token in the place of words, and a policy that says its verdict in a word.

A critic's value after a token is the chance, as it has learned it, that what stands there is right or will end right; or a
number, where its head says one (models/heads.py). What it is taught (the outcome at the end, the outcome at every token, each
step's own label) is a row in learn/critic.py. A head of several `members` is an ensemble on one trunk. A head of `words` says
before a token what each word would be worth there: a Q-function.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ratchet.core.errors import EngineError
from ratchet.core.seeds import seed
from ratchet.core.types import Completion, Task, Tokens
from ratchet.models import llama
from ratchet.models.engine import Engine, pad, score
from ratchet.models.heads import Chance, Says, from_json, to_json
from ratchet.models.load import load_tokenizer
from ratchet.models.lora import layers_of, merged
from ratchet.models.machine import device, in_float32, products_in
from ratchet.models.scheduler import Scorer, Verify
from ratchet.models.tokens import Tokenizer

HEAD = "value_head.safetensors"
Pairs = Sequence[tuple[Tokens, Tokens]]
Worth = Callable[[Completion, Sequence[float]], float]
"""(completion, value after each of its tokens) -> its score"""


Pool = Callable[[Sequence[float]], float]
"""What the members of an ensemble say -> one number"""


class ValueModel(nn.Module):
    """A trunk, and what a head `says` about each token, for each of its `members` and of the `words` that could come next
    (1: about the token that came).

    A single head starts at zero: every chance is 1/2 before anything was learned. The members of an ensemble start apart.
    """

    def __init__(self, trunk: llama.Llama, says: Says | None = None, members: int = 1, words: int = 1) -> None:
        super().__init__()
        self.says = says or Chance()
        self.shape = members, words, self.says.outputs
        self.trunk, self.value_head = trunk, nn.Linear(trunk.shape.width, math.prod(self.shape))
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        if members > 1:
            generator = torch.Generator().manual_seed(seed("members of a head"))
            nn.init.normal_(self.value_head.weight, 0.0, trunk.shape.width**-0.5, generator=generator)
        self.to(trunk.embed.weight.device)

    def at(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """Logits (N, members, words, outputs) at the N places of right-padded ids (B, T) where `wanted` (B, T) is true; an
        axis of length 1 is left out."""
        states = self.trunk.states(ids)[wanted]
        with in_float32(states.device):
            logits = F.linear(states.float(), self.value_head.weight, self.value_head.bias)
        return logits.view(len(states), *(n for n in self.shape if n > 1))


def token_values(model: Any, ids: Tensor, mask: Tensor, bf16: bool = False) -> Tensor:
    """Logits (B, T - 1, members, outputs) of the value after each token of ids (B, T) that the mask (B, T - 1) names, 0
    elsewhere; an axis of length 1 is left out."""
    members, words, _ = model.shape
    with products_in(bf16, ids.device):
        logits = model.at(ids, F.pad(mask, (0, 1) if words > 1 else (1, 0)))
    if words > 1:  # each token's own, of what was said before it
        picked = ids[:, 1:][mask]
        logits = logits.movedim(2 if members > 1 else 1, 1)[torch.arange(len(picked), device=ids.device), picked]
    said_of = mask.view(*mask.shape, *[1] * (logits.dim() - 1))
    return torch.zeros(*mask.shape, *logits.shape[1:], device=ids.device).masked_scatter(said_of, logits)


def token_means(model: Any, ids: Tensor, mask: Tensor, bf16: bool = False) -> Tensor:
    """The values themselves (B, T - 1, members), as `token_values`; of a chance its logit, which keeps more digits."""
    logits = token_values(model, ids, mask, bf16)
    return logits if isinstance(model.says, Chance) else model.says.value(logits)


class Critic:
    """A value model with its tokenizer. A `Learner` trains it like a policy, with `read=token_values`."""

    def __init__(self, model: ValueModel, tokenizer: Tokenizer, bf16: bool = False) -> None:
        self.model, self.tokenizer, self.bf16 = model, tokenizer, bf16
        self.max_tokens, self.version = model.trunk.shape.max_tokens, 0

    def values(self, pairs: Pairs, pool: Pool = statistics.fmean) -> list[list[float]]:
        """The value after each token of every (prefix, continuation); of an ensemble what `pool` makes of its members'."""
        if self.model.shape[0] > 1:
            return [[pool(own) for own in row] for row in self.members(pairs)]
        return self._read(pairs)

    def members(self, pairs: Pairs) -> list[list[list[float]]]:
        """The value of each member of an ensemble, after each token of every (prefix, continuation)."""
        rows = self._read(pairs)
        return rows if self.model.shape[0] > 1 else [[[v] for v in row] for row in rows]

    def _read(self, pairs: Pairs) -> Any:
        rows: Any = score(self.model, pairs, self.bf16, read=token_means)
        return [[chances(x) for x in row] for row in rows] if isinstance(self.model.says, Chance) else rows

    @torch.no_grad()
    def next_values(self, prefixes: Sequence[Tokens]) -> list[list[float]]:
        """What each word would be worth after every prefix, of a head of words; an ensemble's mean. EngineError for another."""
        if self.model.shape[1] == 1:
            raise EngineError(
                "this critic has no head of words, so it says nothing about words that did not come; make one with words"
            )
        ids = pad(prefixes, self.model.value_head.weight.device)
        wanted = torch.zeros_like(ids, dtype=torch.bool)
        wanted[torch.arange(len(prefixes)), torch.tensor([len(p) - 1 for p in prefixes])] = True
        with products_in(self.bf16, ids.device):
            values = self.model.says.value(self.model.at(ids, wanted))
        return (values.mean(1) if self.model.shape[0] > 1 else values).tolist()

    def save(self, folder: Path) -> None:
        """The trunk as a checkpoint in the Hugging Face layout, and the head in a file beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        llama.save(self.model.trunk, folder)
        self.tokenizer.save(folder)
        members, words, _ = self.model.shape
        meant = json.dumps({"says": to_json(self.model.says), "members": members, "words": words})
        tensors = {n: p.detach().contiguous() for n, p in self.model.value_head.named_parameters()}
        save_file(tensors, folder / HEAD, metadata={"head": meant})


def chances(x: Any) -> Any:
    """The chance of a logit, or of each member's."""
    if isinstance(x, list):
        return [chances(own) for own in x]
    return 1 / (1 + math.exp(-x)) if x > -500 else 0.0


def critic_from(policy: Any, blocks: int = 0, *, says: Says | None = None, members: int = 1, words: int = 1) -> Critic:
    """A critic whose trunk is a copy of a policy's own model, as the papers start theirs from the generator.

    What its head `says` is a chance where nothing else is given, or that of the row that will train it.

    With `blocks`, so many new ones stand on top, which change nothing before they are trained. What the policy expects at a
    token is known only after its last block, so that a copy alone can hardly compare what came with what was expected: a
    model of few blocks needs one more. EngineError for a model that another library computes.
    """
    if not isinstance(policy.model, llama.Llama):
        kinds = ", ".join(llama.ARCHITECTURES)
        raise EngineError(f"a critic needs a trunk that is computed here ({kinds}), not {type(policy.model).__name__}")
    trunk = deepened(merged(policy.model) if layers_of(policy.model) else policy.model, blocks)
    return Critic(ValueModel(trunk, says, members, words), policy.tokenizer, policy.bf16)


@torch.no_grad()
def deepened(model: llama.Llama, blocks: int) -> llama.Llama:
    """A copy with so many blocks on top that add nothing yet: what they write out is multiplied with zeros."""
    if not blocks:
        return copy.deepcopy(model)
    layers = model.shape.layers + blocks
    deeper = llama.Llama(replace(model.shape, layers=layers), {**model.config, "num_hidden_layers": layers})
    llama.init_weights(deeper, seed("blocks of a critic"))
    deeper.load_state_dict(model.state_dict(), strict=False)
    for block in list(deeper.blocks)[model.shape.layers :]:
        for name, p in block.named_parameters():
            if name.startswith(("out.", "down.")):
                p.zero_()
    return deeper.to(model.embed.weight.device)


def load_critic(folder: Path, bf16: bool = False) -> Critic:
    """What `Critic.save` wrote. EngineError where the folder holds no whole critic."""
    if not (folder / HEAD).is_file():
        raise EngineError(f"{folder} holds no {HEAD}; give the folder of a saved critic, not of a policy")
    try:
        with safe_open(folder / HEAD, "pt") as file:
            # heads that were saved before there were others have no word about what they are
            meant = json.loads((file.metadata() or {}).get("head", "{}"))
        says = from_json(meant["says"]) if meant else None
        model = ValueModel(llama.load(folder).to(device()), says, meant.get("members", 1), meant.get("words", 1))
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


def disagreement(values: Sequence[float]) -> float:
    """The standard deviation of what the members say: large where they were taught nothing."""
    return statistics.pstdev(values)


def pessimistic(times: float = 1.0) -> Pool:
    """The members' mean less so many times their disagreement."""
    return lambda values: statistics.fmean(values) - times * disagreement(values)


def together(scorers: Sequence[Scorer], pool: Pool = min) -> Scorer:
    """Several scorers as one, such as critics of different trunks: what `pool` makes of their scores, by default the least."""

    def scorer(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
        return [pool(own) for own in zip(*(s(task, completions, verify) for s in scorers), strict=True)]

    return scorer


def scorer_of(critic: Critic, worth: Worth = last, pool: Pool = statistics.fmean) -> Scorer:
    """A critic as a scorer that `Judge` can name: `Scheduler(..., {**SCORERS, "critic": scorer_of(critic)}, ...)`. Of an
    ensemble `pool` makes one value, such as `min` or `pessimistic()`."""

    def scorer(task: Task, completions: Sequence[Completion], verify: Verify) -> list[float]:
        values = critic.values([(c.prefix, c.tokens) for c in completions], pool)
        return [worth(c, own) for c, own in zip(completions, values, strict=True)]

    return scorer


def said(engine: Engine, pairs: Pairs, yes: int, no: int) -> list[float]:
    """The share of `yes` in the chances of the two verdict tokens after each (prefix, continuation): a generative judge.

    It is trained by imitation (`teach_to_say` in learn/critic.py): the judged text is the prefix of an example, the verdict
    token its continuation.
    """
    both = engine.score([((*prefix, *tokens), (word,)) for prefix, tokens in pairs for word in (yes, no)])
    odds = [a[0] - b[0] for a, b in zip(both[::2], both[1::2], strict=True)]
    return [1 / (1 + math.exp(-min(max(x, -500.0), 500.0))) for x in odds]
