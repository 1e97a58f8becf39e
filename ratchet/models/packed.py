"""Weights packed for the processor's own matrix products: a linear layer that reads them packed while nothing learns.

torch multiplies float32 with MKL, which on processors that are not Intel's leaves the wide instructions unused; oneDNN,
which torch has too, uses them on weights that are brought into its order beforehand. On two cores of an AMD EPYC 8 rows
times 512 x 2752 took 65 microseconds instead of 233, 512 rows 2.6 ms instead of 6.5. Packing takes about what one small
product does, once per change of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST = 2**21  # multiplications below which the plain product has less to set up
MOST = 2**32  # bytes of a model's weights: packed ones are a copy


class Packed:
    """A weight (out, in) as it was at the time, in the order of oneDNN; `bf16` rounds it, and what it is multiplied with."""

    def __init__(self, weight: Tensor, bf16: bool) -> None:
        self.bf16, self.version = bf16, weight._version
        # in bfloat16 the plain product packs too, each time
        self.least = 0 if bf16 else LEAST // weight.shape[0]
        self.data: Tensor = torch.ops.mkldnn._reorder_linear_weight(rounded(weight.detach(), bf16), 64)

    def __deepcopy__(self, memo: object) -> None:
        return None  # the copy of a model packs its own

    def serves(self, weight: Tensor, x: Tensor, bf16: bool) -> bool:
        """Whether the product may be taken with this: it is worth it, nothing learns, and the weight is the same."""
        worth = x.numel() >= self.least and self.bf16 == bf16
        return worth and not torch.is_grad_enabled() and self.version == weight._version

    def product(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        bias = None if bias is None else rounded(bias, self.bf16)
        flat = rounded(x, self.bf16).reshape(-1, x.shape[-1])
        # oneDNN makes a kernel for every number of rows, which takes far longer than a product; so there are few numbers
        step = 8 if len(flat) <= 64 else 32 if len(flat) <= 512 else 256
        filled = F.pad(flat, (0, 0, 0, short)) if (short := -len(flat) % step) else flat
        y = torch.ops.mkldnn._linear_pointwise(filled, self.data, bias, "none", [], "")
        return y[: len(flat)].view(*x.shape[:-1], -1)


def rounded(x: Tensor, bf16: bool) -> Tensor:
    return x.to(torch.bfloat16 if bf16 else torch.float32)


class Linear(nn.Linear):
    """torch's linear layer, with its weight packed where `pack` was called since the weight changed."""

    packed: Packed | None = None

    def forward(self, input: Tensor) -> Tensor:
        packed = self.packed
        if packed is not None and packed.serves(self.weight, input, torch.is_autocast_enabled("cpu")):
            return packed.product(input, self.bias)
        return F.linear(input, self.weight, self.bias)


def pack(layers: Sequence[Linear], head: Tensor, bf16: bool) -> Packed | None:
    """Pack the weights of layers, and that of the head in float32, where this torch and their device can; the head's."""
    weights = [*(layer.weight for layer in layers), head]
    if not can_pack(bf16) or any(w.is_cuda or w.dtype != torch.float32 for w in weights) or sum(w.nbytes for w in weights) > MOST:
        return None
    for layer in layers:
        layer.packed = Packed(layer.weight, bf16)
    return Packed(head, False)


@cache
def can_pack(bf16: bool) -> bool:
    """Whether this torch has oneDNN's packed products, which are not part of its public interface, and this processor those in
    bfloat16, for which it needs AVX-512 or the like."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")):
        return False
    try:
        Packed(torch.zeros(8, 8), bf16)
    except RuntimeError:
        return False
    return True
