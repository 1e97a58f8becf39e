"""Low-rank adapters for our Llama (Hu et al. 2021, arXiv 2106.09685): frozen weights, and to each matrix W of a layer alpha / r
times B A is added, with A (r, in) and B (out, r) learned. A starts random and B at zero, so an adapter changes nothing at first.

One base can hold several adapters, of which one or none is on: a role each. `save_adapter` and `load_adapter` speak PEFT's files.

While something learns, the two thin products are computed beside that of W; else W + B A is kept as one matrix, which samplers read
and pack as they do any other: a second copy of the layers' matrices.

Departure: A is uniform within 1 / sqrt(in), as in PEFT, where the paper has a normal distribution.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ratchet.core.errors import EngineError, nearest
from ratchet.core.seeds import seed
from ratchet.models.llama import Llama, name_pairs
from ratchet.models.packed import Linear

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."  # of PEFT's names
Rows = Sequence[tuple[str, int]]
"""The published matrices that are stacked in one of ours, each with its rows."""


class Update(nn.Module):
    """What an adapter adds to one matrix (out, in): alpha / r times B A for each published matrix in it that is a target."""

    def __init__(self, rows: Rows, width: int, rank: int, alpha: float, targets: Sequence[str]) -> None:
        super().__init__()
        self.rows, self.rank, self.alpha = rows, rank, alpha
        self.a, self.b = nn.ParameterDict(), nn.ParameterDict()
        for name, n in rows:
            if kind(name) in targets:
                self.a[kind(name)] = nn.Parameter(torch.empty(rank, width))
                self.b[kind(name)] = nn.Parameter(torch.zeros(n, rank))

    def forward(self, x: Tensor) -> Tensor:
        """(..., out) of x (..., in). What is scaled is the thin product."""
        scale = self.alpha / self.rank
        parts = [
            F.linear(F.linear(x, self.a[kind(name)]) * scale, self.b[kind(name)])
            if kind(name) in self.a
            else x.new_zeros(*x.shape[:-1], n)
            for name, n in self.rows
        ]
        return parts[0] if len(parts) == 1 else torch.cat([part.to(parts[0].dtype) for part in parts], -1)

    def matrix(self, like: Tensor) -> Tensor:
        """(out, in), as `like`."""
        scale = self.alpha / self.rank
        parts = [
            scale * self.b[kind(name)] @ self.a[kind(name)] if kind(name) in self.a else like.new_zeros(n, like.shape[1])
            for name, n in self.rows
        ]
        return torch.cat(parts)


class Adapted(Linear):
    """A linear layer whose `weight` is that of the base with the adapter that is on; `base` is the base's own."""

    def __init__(self, layer: Linear, rows: Rows) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.rows = layer.in_features, layer.out_features, rows
        # not `self.weight = ...`: `weight` is what the layer computes with, the parameter of that name stays the base's
        self._parameters.update(layer._parameters)
        self.adapters = nn.ModuleDict()
        self.active: tuple[Update, ...] = ()  # in a tuple, so that it is not held as a part of the layer once more
        self.merged, self.seen = torch.empty(0), ()

    @property
    def base(self) -> Tensor:
        weight = self._parameters["weight"]
        assert weight is not None
        return weight

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """One matrix, always in the same place, written anew where something changed, so that whoever kept a copy sees it."""
        parameters = [self.base, *chain.from_iterable(u.parameters() for u in self.active)]
        now = tuple((p.data_ptr(), p._version) for p in parameters)
        if now != self.seen:
            with torch.no_grad():
                value = self.base.detach()
                for update in self.active:
                    value = value + update.matrix(value)
                if self.merged.shape != value.shape or self.merged.device != value.device:
                    self.merged = torch.empty_like(value)
                self.merged.copy_(value)
            self.seen = now
        return self.merged

    def forward(self, input: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return super().forward(input)
        y = F.linear(input, self.base, self.bias)
        for update in self.active:
            y = y + update(input)
        return y


def kind(name: str) -> str:
    """The `q_proj` of `model.layers.0.self_attn.q_proj.weight`."""
    return name.removesuffix(".weight").rpartition(".")[2]


# ---- adapters of a model -----------------------------------------------------------------------------------------


def layers_of(model: nn.Module) -> list[Adapted]:
    return [m for m in model.modules() if isinstance(m, Adapted)]


def names_of(model: nn.Module) -> list[str]:
    """The adapters that a model holds."""
    return list(dict.fromkeys(name for layer in layers_of(model) for name in layer.adapters))


def add_adapter(
    model: Llama,
    name: str = "default",
    *,
    rank: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = TARGETS,
    run_seed: int = 0,
) -> None:
    """Give a model one more adapter, and switch it on. All that is not an adapter is frozen from then on.

    Paper: r from 1 to 64 for query and value; here all matrices of a layer, as is usual since.
    EngineError for a name that is taken or no name, a rank below 1, and targets that are none.
    """
    if not name.isidentifier() or name in names_of(model):
        raise EngineError(f'an adapter needs a new name of letters and digits, got "{name}"; taken: {names_of(model) or "none"}')
    wrong = [t for t in targets if t not in TARGETS]
    if rank < 1 or not targets or wrong:
        raise EngineError(
            f"an adapter needs a rank of at least 1 and targets out of {', '.join(TARGETS)}; got {rank}, {list(targets)}"
        )
    model.requires_grad_(False)
    for ours, rows in name_pairs(model.shape):
        if not any(kind(n) in targets and n.endswith(".weight") for n, _ in rows):
            continue
        where, _, place = ours.removesuffix(".weight").rpartition(".")
        block: Any = model.get_submodule(where)
        layer = getattr(block, place)
        if not isinstance(layer, Adapted):
            layer = Adapted(layer, rows)
            setattr(block, place, layer)
        update = Update(rows, layer.in_features, rank, alpha, targets)
        for published, _ in rows:
            if kind(published) in update.a:
                generator = torch.Generator().manual_seed(seed(run_seed, "adapter", name, published))
                bound = layer.in_features**-0.5
                nn.init.uniform_(update.a[kind(published)], -bound, bound, generator=generator)
        layer.adapters[name] = update.to(layer.base.device)
    for layer in layers_of(model):
        layer.adapters.requires_grad_(True)
    switch(model, name)


def switch(model: nn.Module, name: str | None) -> None:
    """Switch an adapter on, and the others off; None for the base alone. EngineError for one that is not there."""
    put_on(model, updates_of(model, name))


def updates_of(model: nn.Module, name: str | None) -> list[tuple[Update, ...]]:
    """What each adapted layer adds with this adapter on. EngineError for one that is not there."""
    if name is not None and name not in names_of(model):
        raise EngineError(f'no adapter "{name}"; {nearest(name, names_of(model))}')
    return [(layer.adapters[name],) if name in layer.adapters else () for layer in layers_of(model)]  # type: ignore[misc]


def put_on(model: nn.Module, updates: Sequence[tuple[Update, ...]]) -> None:
    """Let each adapted layer add these, and let whoever keeps copies of weights know it."""
    for layer, active in zip(layers_of(model), updates, strict=True):
        if layer.active != active:
            layer.active = active
            torch.autograd.graph.increment_version(layer.base)


@contextmanager
def using(model: nn.Module, updates: Sequence[tuple[Update, ...]]) -> Iterator[None]:
    before = [layer.active for layer in layers_of(model)]
    put_on(model, updates)
    try:
        yield
    finally:
        put_on(model, before)


@contextmanager
def role(model: nn.Module, name: str | None) -> Iterator[None]:
    """Within it the adapter of that name is on."""
    with using(model, updates_of(model, name)):
        yield


def merged(model: Llama) -> Llama:
    """A plain model with the weights that this one computes with."""
    plain = Llama(model.shape, model.config).to(model.embed.weight.device)
    own = dict(plain.named_parameters())
    with torch.no_grad():
        for name, value in model.weights().items():
            own[name].copy_(value)
    return plain


# ---- as references -----------------------------------------------------------------------------------------------

Follow = Callable[[nn.Module, nn.Module, int], nn.Module]
"""(reference, the model that learns, steps taken) -> the reference from now on"""


class Seen(nn.Module):
    """The same model as it computes with other updates in the place of those that are on: a reference that is no second model."""

    def __init__(self, model: Llama, updates: Sequence[tuple[Update, ...]]) -> None:
        super().__init__()
        self.updates = updates
        self.copies = nn.ModuleList(u for active in updates for u in active)
        self.model = (model,)  # in a tuple: its parameters are not this reference's

    def at(self, ids: Tensor, wanted: Tensor) -> Tensor:
        with using(self.model[0], self.updates):
            return self.model[0].at(ids, wanted)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The model's too: whoever scores with it asks where they lie."""
        return chain(super().parameters(recurse), self.model[0].parameters(recurse))


def apart(model: nn.Module) -> list[nn.Parameter]:
    """The parameters in which a model and its frozen copy can differ."""
    if isinstance(model, Seen):
        return list(model.copies.parameters())
    on = [u for layer in layers_of(model) for u in layer.active]
    return [p for u in on for p in u.parameters()] if layers_of(model) else list(model.parameters())


def without_adapters(model: Llama) -> Seen:
    """The base alone."""
    return Seen(model, [() for _ in layers_of(model)])


def frozen(model: nn.Module) -> nn.Module:
    """A copy that no longer learns; of a model with an adapter on, of the adapter alone."""
    if isinstance(model, Llama) and layers_of(model):
        copied = Seen(model, [copy.deepcopy(layer.active) for layer in layers_of(model)])
        copied.copies.requires_grad_(False)
        return copied
    return copy.deepcopy(model).requires_grad_(False)


# ---- PEFT's files ------------------------------------------------------------------------------------------------


def save_adapter(model: Llama, folder: Path, name: str = "default", base: str = "") -> None:
    """adapter_model.safetensors and adapter_config.json, as `PeftModel.from_pretrained` reads them. `base` names the model that
    it belongs to."""
    if name not in names_of(model):
        raise EngineError(f'no adapter "{name}"; {nearest(name, names_of(model))}')
    layers = [layer for layer in layers_of(model) if name in layer.adapters]
    tensors = {n: p.detach().contiguous() for layer in layers for n, p in published(layer, name)}
    update: Any = layers[0].adapters[name]
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base or None,
        "r": update.rank,
        "lora_alpha": update.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "target_modules": sorted({n.split(".")[-3] for n in tensors}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load_adapter(model: Llama, folder: Path, name: str = "default") -> None:
    """Add the adapter that PEFT or `save_adapter` wrote, and switch it on. EngineError for files that are not whole, that belong
    to another shape, and for kinds of adapter that are not computed here."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as e:
        raise EngineError(f"{folder} holds no whole adapter ({WEIGHTS}, {CONFIG}): {type(e).__name__}: {str(e)[:200]}") from None
    rank, alpha, targets = read_config(config, folder)
    check_tensors(model, tensors, rank, targets, folder)
    add_adapter(model, name, rank=rank, alpha=alpha, targets=targets)
    with torch.no_grad():
        for layer in layers_of(model):
            for full, own in published(layer, name):
                own.copy_(tensors[full])


def published(layer: Adapted, name: str) -> Iterator[tuple[str, nn.Parameter]]:
    """PEFT's names and the parameters of a layer's adapter; none where it has none of that name."""
    update: Any = layer.adapters[name] if name in layer.adapters else Update((), 0, 1, 1.0, ())
    for row, _ in update.rows:
        for letter, own in (("A", update.a), ("B", update.b)):
            if kind(row) in own:
                yield f"{PREFIX}{row.removesuffix('.weight')}.lora_{letter}.weight", own[kind(row)]


def read_config(config: Mapping[str, Any], folder: Path) -> tuple[int, float, list[str]]:
    """Rank, alpha and targets."""
    other = [k for k in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out") if config.get(k)]
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or other:
        raise EngineError(
            f"{folder} holds an adapter of a kind that is not computed here: {config.get('peft_type')} {' '.join(other)}"
        )
    targets = config.get("target_modules")
    if not isinstance(targets, list) or not set(targets) <= set(TARGETS) or not isinstance(config.get("r"), int):
        raise EngineError(
            f"{folder} names the targets {targets!r} and the rank {config.get('r')!r}; allowed: {', '.join(TARGETS)}"
        )
    rank, alpha = config["r"], float(config.get("lora_alpha", config["r"]))
    return rank, alpha * math.sqrt(rank) if config.get("use_rslora") else alpha, targets


def check_tensors(model: Llama, tensors: Mapping[str, Tensor], rank: int, targets: Sequence[str], folder: Path) -> None:
    """That exactly the tensors are there which an adapter with these targets has."""
    expected: dict[str, tuple[int, int]] = {}
    own = dict(model.named_parameters())
    for ours, rows in name_pairs(model.shape):
        for published, n in rows:
            if kind(published) in targets and published.endswith(".weight"):
                stem = PREFIX + published.removesuffix(".weight")
                expected |= {f"{stem}.lora_A.weight": (rank, own[ours].shape[1]), f"{stem}.lora_B.weight": (n, rank)}
    for name in sorted(expected.keys() ^ tensors.keys()):
        raise EngineError(f"{folder}: the tensor {name} is {'missing' if name in expected else 'none of this model'}")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise EngineError(
                f"{folder}: {name} has shape {tuple(tensors[name].shape)}, not {shape}; it belongs to another model"
            )
