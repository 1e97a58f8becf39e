"""`ratchet doctor`: what is installed, which protections and accelerators are on, and why something is off."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import click

NEEDED = ("torch", "numpy", "scipy", "safetensors", "tokenizers", "click", "pyarrow")
OPTIONAL = {
    "transformers": 'checkpoints with tokenizers of their own and other architectures; install "ratchet[hf]"',
    "datasets": 'data sets of the Hugging Face hub; install "ratchet[hub]"',
}

Line = tuple[str, str, str]  # state, what, why


@click.command()
def doctor() -> None:
    """Say what is installed, which protections and accelerators are on, and why something is off."""
    lines = [*packages(), *machine(), *protections(), *built_in()]
    for state, what, why in lines:
        colour = {"ok": "green", "off": "yellow", "MISSING": "red"}[state]
        click.echo(f"{click.style(f'{state:<8}', fg=colour)} {what:<26} {why}")
    if any(state == "MISSING" for state, _, _ in lines):
        raise SystemExit(1)


def packages() -> Iterator[Line]:
    yield "ok", "python", f"{platform.python_version()} at {sys.prefix}"
    for name in NEEDED:
        try:
            yield "ok", name, version(name)
        except PackageNotFoundError:
            yield "MISSING", name, "ratchet needs it; install ratchet again"
    for name, purpose in OPTIONAL.items():
        try:
            yield "ok", name, version(name)
        except PackageNotFoundError:
            yield "off", name, f"not installed; for {purpose}"


def machine() -> Iterator[Line]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield "ok", "processor", f"{cores} cores usable, {platform.machine()}"
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    yield (
        "ok",
        "torch threads",
        f"{torch.get_num_threads()} (a busy second process slows them down 5 to 10 times; threads=1 is the stable way)",
    )
    if torch.cuda.is_available():
        yield "ok", "GPU", torch.cuda.get_device_name(0)
    elif torch.version.cuda is None:
        yield "off", "GPU", "this is the CPU build of torch"
    else:
        yield "off", "GPU", f"torch was built for CUDA {torch.version.cuda}, but no usable device or driver was found"
    features = torch.backends.cpu.get_cpu_capability()
    yield "ok", "vector instructions", features
    from ratchet.models.machine import fast_bf16

    fast = fast_bf16()
    yield (
        ("ok" if fast else "off"),
        "bfloat16",
        'in hardware; precision "auto" takes it' if fast else 'not in hardware; precision "auto" takes float32',
    )


def protections() -> Iterator[Line]:
    from ratchet.core.types import Outcome, Task
    from ratchet.verify.pool import VerifierPool

    with VerifierPool(deadline=1.0) as verify:
        task = Task("files", "1+1", 2, "numeric")
        [verdict] = verify([(task, "2")])
    working = verdict.outcome is Outcome.PASS
    yield (
        ("ok" if working else "MISSING"),
        "verifier process",
        "judges apart from this process, killed when late" if working else verdict.evidence,
    )
    yield "ok", "weights", "load from safetensors only"
    yield "off", "code sandbox", "this version has no verifier that executes code, so nothing that a model wrote is run"


def built_in() -> Iterator[Line]:
    from ratchet.models.load import BUILTIN

    file = BUILTIN / "model.safetensors"
    if file.is_file():
        yield "ok", "built-in model", f"{file.stat().st_size / 1e6:.1f} MB"
    else:
        yield "MISSING", "built-in model", f"{file} is absent; make it with `ratchet run countdown-prime`"
