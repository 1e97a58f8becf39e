"""Models by name: the built-in one, checkpoints in a folder, and names of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ratchet.core.errors import EngineError
from ratchet.core.seeds import seed
from ratchet.models import llama
from ratchet.models.engine import LocalEngine, Policy
from ratchet.models.machine import device
from ratchet.models.tokens import Tokenizer, WordTokenizer

BUILTIN = Path(__file__).parent / "builtin"


def folder_of(name: str) -> Path:
    """The folder of a model: of "builtin", a folder as it is, or of a hub name's snapshot."""
    folder = BUILTIN if name == "builtin" else Path(name)
    return folder if folder.is_dir() else download(name)


def load_policy(name: str, max_tokens: int, batch: int = 256, bf16: bool = False) -> Policy:
    """A policy from "builtin", a checkpoint's folder, or a hub name.

    Llama, Qwen2 and Qwen3 checkpoints run in our own code; any other architecture through transformers. Raises
    EngineError for a folder without a config or weights.
    """
    folder = folder_of(name)
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as e:
        raise EngineError(f"{folder} holds no readable config.json ({type(e).__name__}); give a checkpoint's folder") from None
    try:
        return policy_of(folder, config, max_tokens, batch, bf16)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as e:
        raise EngineError(f"{folder} is not a whole checkpoint: {type(e).__name__}: {str(e)[:200]}") from e


def policy_of(folder: Path, config: dict[str, Any], max_tokens: int, batch: int, bf16: bool) -> Policy:
    tokenizer = load_tokenizer(folder)
    try:
        llama.shape_of(config)
    except EngineError:
        from ratchet.models.foreign import TransformersEngine

        return TransformersEngine(folder, tokenizer, max_tokens, batch, bf16)
    return LocalEngine(llama.load(folder).to(device()), tokenizer, max_tokens, batch, bf16)


def new_policy(
    shape: llama.Shape, tokenizer: Tokenizer, run_seed: int, max_tokens: int, batch: int = 256, bf16: bool = False
) -> Policy:
    """Our own model with random weights."""
    model = llama.Llama(shape)
    llama.init_weights(model, seed(run_seed, "weights"))
    return LocalEngine(model.to(device()), tokenizer, max_tokens, batch, bf16)


def load_tokenizer(folder: Path) -> Tokenizer:
    own = WordTokenizer.load(folder)
    if own is not None:
        return own
    from ratchet.models.foreign import ForeignTokenizer

    return ForeignTokenizer(folder)


def download(name: str) -> Path:
    """The folder of a hub model's snapshot, fetched where a network is."""
    missing = f'"{name}" is neither "builtin", a folder, nor a model of the hub that can be reached'
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise EngineError(f"{missing}; give a checkpoint's folder or owner/name")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise EngineError(f'{missing}; for the hub install "ratchet[hf]"') from None
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.model", "*.jinja"]))
    except Exception as e:  # no network, no such name, no right: the library raises many types
        raise EngineError(f"{missing}: {str(e).splitlines()[0][:200]}") from None
