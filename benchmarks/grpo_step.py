"""A whole GRPO step, ours against TRL's GRPOTrainer: draw, reward, advantage, gradient, optimizer.

    python -m benchmarks.grpo_step [--quick]

Equal settings on both sides: prompts x 8 samples, temperature 1, one update on the whole batch, PPO's clip 0.2, no
reference, advantages normalised by group, AdamW, gradient clipped at 1. Both run in float32 and in bfloat16; TRL in
bfloat16 loads its weights in float32 and lets autocast multiply, as ours does. The reward is a cheap function of the text.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.contest import Clock, Contender, compare, contest, keep, show
from benchmarks.shapes import matrix_parameters, prompts, write
from ratchet.models import llama

GROUP = 8
END = 1
PROMPT = 16
LIMITLESS = 1e9


def text_of(ids: list[int]) -> str:
    return " ".join(f"w{i}" for i in ids)


def passes(text: str) -> bool:
    """A cheap verdict that half of random texts get."""
    return sum(map(ord, text)) % 2 == 0


def ours(clock: Clock, folder: str, groups: int, limit: int, precision: str) -> None:
    from ratchet.core.types import Outcome, Task, Verdict
    from ratchet.learn.rewards import rewards
    from ratchet.learn.train import Learner
    from ratchet.loop.recipe import Reinforcement
    from ratchet.loop.turn import Costs, learn_from, method_of, scheduler_for
    from ratchet.models.load import load_policy
    from ratchet.models.machine import prepare
    from ratchet.search.strategy import strategies

    prepare()
    policy = load_policy(folder, limit, 512, bf16=precision == "bfloat16")
    learner = Learner(policy, lr=1e-9)
    settings = Reinforcement(method="grpo", tasks=groups, samples=GROUP, credit="outcome")
    method = method_of(settings)
    tasks = [Task("files", text_of(p), 0, "exact") for p in prompts(policy.model.shape.vocab, groups)]  # type: ignore[union-attr]
    verify = lambda pairs: [Verdict(Outcome.PASS if passes(text) else Outcome.FAIL) for _, text in pairs]
    number = 0
    while True:
        clock.start()
        number += 1
        traces = scheduler_for(policy, verify).run(strategies["single"], tasks, "step", number, samples=GROUP)
        learn_from(traces, learner, method, rewards["verdict"], settings, ("step", number), Costs())
        sampled = sum(len(c.tokens) for t in traces for c in t.completions)
        clock.stop(steps=1, sampled=sampled, trained=sampled + PROMPT * groups * GROUP)


def trl(clock: Clock, folder: str, groups: int, limit: int, precision: str) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    words = PreTrainedTokenizerFast.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows = [{"prompt": text_of(p)} for p in prompts(model.config.vocab_size, groups)]
    lengths: list[int] = []

    def reward(completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths[:] = [len(ids) for ids in completion_ids]
        return [float(passes(c)) for c in completions]

    class Turns(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.stop(steps=1, sampled=sum(lengths), trained=sum(lengths) + PROMPT * groups * GROUP)

    size = groups * GROUP
    config = GRPOConfig(
        output_dir=folder + "-out", per_device_train_batch_size=size, num_generations=GROUP, max_completion_length=limit,
        learning_rate=1e-9, beta=0.0, epsilon=0.2, loss_type="grpo", scale_rewards="group", max_grad_norm=1.0,
        max_steps=10_000, logging_steps=10_000, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
        bf16=precision == "bfloat16", gradient_checkpointing=False, temperature=1.0, top_p=1.0, top_k=0, use_vllm=False,
        shuffle_dataset=False, dataloader_num_workers=0,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model, reward, args=config, train_dataset=Dataset.from_list(rows), processing_class=words, callbacks=[Turns()]
    )
    trainer.train()


def peak(precision: str) -> float:
    """Measured floating-point operations per second of a large matrix product."""
    a = torch.randn(2048, 2048, dtype=getattr(torch, precision))
    best = math.inf
    for _ in range(12):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", choices=("0.8M", "25M"), default=["0.8M", "25M"])
    parser.add_argument("--stops", nargs="+", choices=("forced", "ragged"), default=["forced", "ragged"])
    asked = parser.parse_args()
    cells = [("0.8M", 16, 64)] if asked.quick else [("0.8M", 16, 64), ("0.8M", 64, 64), ("25M", 8, 256)]
    cells = [c for c in cells if c[0] in asked.sizes]
    peaks = {p: peak(p) for p in ("float32", "bfloat16")}
    rows: list[dict[str, Any]] = []
    for size, groups, limit in cells:
        for kind in asked.stops:
            ragged = kind == "ragged"
            # an end token of probability 0 cannot be asked of a softmax: one in a billion never comes
            mean = limit / 3 if ragged else LIMITLESS
            folder = write(size, mean)
            parameters = matrix_parameters(llama.load(Path(folder)))
            contenders = [
                Contender(f"{name} {precision}", f"benchmarks.grpo_step:{function}",
                          {"folder": folder, "groups": groups, "limit": limit, "precision": precision}, peer=function == "trl")
                for precision in ("float32", "bfloat16")
                for name, function in (("ratchet", "ours"), ("TRL", "trl"))
            ]  # fmt: skip
            heard = contest([c for c in contenders if not c.missing], asked.rounds, warm_up=2)
            best = "ratchet bfloat16"
            result = compare(heard, best, "steps")
            result["share_of_peak"] = {
                name: sum((2 * f["sampled"] + 6 * f["trained"]) * parameters / f["seconds"] for f in facts)
                / len(facts) / peaks[name.split()[-1]]
                for name, facts in heard.items()
            }  # fmt: skip
            result["tokens_per_second"] = {
                n: sum(f["sampled"] for f in fs) / sum(f["seconds"] for f in fs) for n, fs in heard.items()
            }
            shutil.rmtree(folder)
            show(f"{size}, {groups} x {GROUP} x {limit}, {kind}", result)
            print("  share of peak:", ", ".join(f"{n} {s:.0%}" for n, s in result["share_of_peak"].items()))
            rows.append({"size": size, "prompts": groups, "group": GROUP, "limit": limit, "stops": kind, **result})
            if not asked.quick:
                keep("grpo-step", rows, rounds=asked.rounds, peak_flops=peaks)


if __name__ == "__main__":
    main()
