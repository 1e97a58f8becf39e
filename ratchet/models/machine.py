"""What this machine does well: its device, its precision, its memory."""

from __future__ import annotations

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import numpy as np
import torch

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # the numbers of glibc's malloc.h
LARGEST = 2**31 - 1


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def fast_bf16() -> bool:
    """Whether the hardware multiplies bfloat16; where it does not, software makes it slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def products_in(bf16: bool, on: torch.device) -> AbstractContextManager[object]:
    """Matrix products in bfloat16 or not. Weights, sums and, on a CPU, attention stay in float32."""
    return torch.autocast(on.type, torch.bfloat16, enabled=bf16)


def in_float32(on: torch.device) -> AbstractContextManager[object]:
    """Products in float32, within `products_in` too. Leaving and entering what is off already costs as much as a product."""
    return torch.autocast(on.type, enabled=False) if torch.is_autocast_enabled(on.type) else nullcontext()


def cores() -> int:
    """How many cores this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spare_core() -> bool:
    """Whether a core is left while the model computes. Where none is, a busy second process only holds up its threads."""
    return torch.cuda.is_available() or torch.get_num_threads() < cores()


def one_thread_for_numpy() -> None:
    """Products in numpy take one thread from here on, where they are OpenBLAS's, as in the packages that are published.

    The products we ask of it are small, and its threads and torch's would wait for each other.
    """
    for file in Path(np.__file__).parent.parent.glob("numpy.libs/*openblas*"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(file)).scipy_openblas_set_num_threads64_(1)


def prepare(threads: int = 0) -> None:
    """Use so many threads in torch (0: as it does by itself) and one in numpy, and keep freed memory.

    glibc gives large blocks back to the system when they are freed, and the system clears them when they are asked for
    again: for activations, that come and go, 5 to 20 % of an update on two cores.
    """
    if threads:
        torch.set_num_threads(threads)
    one_thread_for_numpy()
    with suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, LARGEST)
        libc.mallopt(TRIM_THRESHOLD, LARGEST)
