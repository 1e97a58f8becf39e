"""Imitation: trained tokens per second, ours against TRL's SFTTrainer with packing, on sequences of ragged lengths.

    python -m benchmarks.imitation [--quick]

A step learns from 64 sequences of 16 to 240 tokens, all tokens counted once. TRL packs them into rows of 512 tokens and
steps on as many as hold them ("wrapped": its default strategy joins all rows to one on a CPU and was ten times slower);
padding and split rests are its own affair. Packed rows let tokens see their neighbours' sequences; ours never does.
"""

from __future__ import annotations

import argparse
import shutil
from typing import Any

import torch

from benchmarks.contest import Clock, Contender, compare, contest, keep, show
from benchmarks.shapes import write

SEQUENCES = 64
ROW = 512


def sequences(vocab: int, steps: int) -> list[list[int]]:
    """Ragged random sequences."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(16, 241, (steps * SEQUENCES,), generator=generator).tolist()
    return [torch.randint(2, vocab, (n,), generator=generator).tolist() for n in lengths]


def ours(clock: Clock, folder: str, precision: str) -> None:
    from ratchet.learn.batch import Example
    from ratchet.learn.policy import imitation
    from ratchet.learn.train import Learner
    from ratchet.models.load import load_policy
    from ratchet.models.machine import prepare

    prepare()
    policy = load_policy(folder, 256, bf16=precision == "bfloat16")
    learner, objective = Learner(policy, lr=1e-9), imitation()
    data = sequences(policy.model.shape.vocab, 16)  # type: ignore[union-attr]
    number = 0
    while True:
        clock.start()
        start = number % 16 * SEQUENCES
        part = data[start : start + SEQUENCES]
        learner.update([Example((s[0],), tuple(s[1:])) for s in part], objective)
        number += 1
        clock.stop(tokens=sum(map(len, part)))


def trl(clock: Clock, folder: str, precision: str) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    words = PreTrainedTokenizerFast.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    data = sequences(model.config.vocab_size, 16)
    rows = SEQUENCES * 128 // ROW
    config = SFTConfig(
        output_dir=folder + "-out", per_device_train_batch_size=rows, max_length=ROW, packing=True, packing_strategy="wrapped", learning_rate=1e-9,
        max_steps=10_000, logging_steps=10_000, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
        bf16=precision == "bfloat16", gradient_checkpointing=False, shuffle_dataset=False,
    )  # fmt: skip
    real: list[int] = []

    class Counted(SFTTrainer):
        def training_step(self, model: Any, inputs: Any, *rest: Any) -> Any:
            real.append(int((inputs["labels"] != -100).sum()))
            return super().training_step(model, inputs, *rest)

    class Turns(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            real.clear()
            clock.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.stop(tokens=sum(real))

    Counted(
        model, args=config, train_dataset=Dataset.from_list([{"input_ids": s} for s in data]), processing_class=words,
        callbacks=[Turns()],
    ).train()  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", nargs="+", choices=("0.8M", "3M", "25M"), default=["0.8M", "3M", "25M"])
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in ("0.8M",) if asked.quick else asked.sizes:
        folder = write(size, 100.0)
        contenders = [
            Contender(f"{name} {precision}", f"benchmarks.imitation:{function}", {"folder": folder, "precision": precision},
                      peer=function == "trl")
            for precision in ("float32", "bfloat16")
            for name, function in (("ratchet", "ours"), ("TRL", "trl"))
        ]  # fmt: skip
        result = compare(contest([c for c in contenders if not c.missing], asked.rounds, warm_up=2), "ratchet bfloat16")
        shutil.rmtree(folder)
        show(f"{size}, {SEQUENCES} sequences of 16 to 240 tokens", result)
        rows.append({"size": size, **result})
        if not asked.quick:
            keep("imitation", rows, rounds=asked.rounds)


if __name__ == "__main__":
    main()
