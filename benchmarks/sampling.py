"""Sampled tokens per second: ours, transformers' generate(), vLLM's CPU build.

    python -m benchmarks.sampling [--quick | --all] [--precision float32|bfloat16]

Same weights, same prompts of 16 tokens, groups of 8 samples of one prompt, temperature 1. "forced": every sample has all
its new tokens. "ragged": samples end by themselves, after a third of the limit on average; only tokens up to the end are
counted. After the rounds, log-probabilities of sampled tokens are recomputed by transformers and must agree. On a GPU it is
ours and generate() alone, and their records lie apart.
"""

from __future__ import annotations

import argparse
import os
import shutil
from typing import Any

import torch

from benchmarks.contest import Clock, Contender, compare, contest, keep, show
from benchmarks.shapes import SIZES, prompts, write
from ratchet.models.machine import device

GROUP = 8
END = 1
ON = device()


def ours(clock: Clock, folder: str, groups: int, limit: int, ragged: bool, precision: str, check: bool) -> None:
    from ratchet.core.types import Draw
    from ratchet.models.load import load_policy
    from ratchet.models.machine import prepare

    prepare()
    policy = load_policy(folder, limit, 512, bf16=precision == "bfloat16")
    if not ragged:
        type(policy.tokenizer).end = frozenset()  # type: ignore[assignment,misc]
    draws = [Draw(tuple(p), n=GROUP) for p in prompts(policy.model.shape.vocab, groups)]  # type: ignore[union-attr]
    number = 0
    while True:
        clock.start()
        number += 1
        seeds = [[(number * groups + g) * GROUP + i for i in range(GROUP)] for g in range(groups)]
        drawn = policy.sample(draws, seeds)
        clock.stop(tokens=sum(len(c.tokens) for row in drawn for c in row), **sample_facts(drawn, check and number == 2))


def sample_facts(drawn: Any, wanted: bool) -> dict[str, Any]:
    """Some samples with their log-probabilities, for the check."""
    return {"samples": [[list(r[0].prefix), list(r[0].tokens), list(r[0].logprobs)] for r in drawn[:4]]} if wanted else {}


def generate(clock: Clock, folder: str, groups: int, limit: int, ragged: bool, precision: str) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, precision)).eval().to(ON)
    ids = torch.tensor(prompts(model.config.vocab_size, groups), device=ON).repeat_interleave(GROUP, 0)
    settings: dict[str, Any] = {"do_sample": True, "top_k": 0, "top_p": 1.0, "max_new_tokens": limit, "pad_token_id": 0}
    model.generation_config.eos_token_id = END if ragged else None
    number = 0
    while True:
        clock.start()
        number += 1
        torch.manual_seed(number)
        with torch.no_grad():
            out = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)[:, ids.shape[1] :]
        ended = (out == END).int()
        kept = int((ended.cumsum(1) - ended == 0).sum())  # waits for the GPU
        clock.stop(tokens=kept if ragged else out.numel())


def vllm(clock: Clock, folder: str, groups: int, limit: int, ragged: bool, precision: str) -> None:
    os.environ.update(VLLM_CPU_KVCACHE_SPACE="4", VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR")
    from vllm import LLM, SamplingParams

    engine = LLM(
        folder, dtype=precision, skip_tokenizer_init=True, max_model_len=1024, enable_prefix_caching=True,
        max_num_seqs=512, max_num_batched_tokens=8192, generation_config="vllm",
    )  # fmt: skip
    vocab = engine.llm_engine.model_config.get_vocab_size()
    asked = [{"prompt_token_ids": p} for p in prompts(vocab, groups)]
    params = SamplingParams(
        n=GROUP, temperature=1.0, top_p=1.0, top_k=0, max_tokens=limit, ignore_eos=not ragged,
        stop_token_ids=[END] if ragged else [], detokenize=False,
    )  # fmt: skip
    while True:
        clock.start()
        out = engine.generate(asked, params, use_tqdm=False)
        clock.stop(tokens=sum(len(o.token_ids) for request in out for o in request.outputs))


def agree(folder: str, samples: list[Any]) -> float:
    """The largest difference between the sampler's log-probabilities and those that transformers gives the same tokens."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    worst = 0.0
    for prefix, tokens, logprobs in samples:
        with torch.no_grad():
            logp = model(torch.tensor([prefix + tokens])).logits[0].log_softmax(-1)
        theirs = logp[len(prefix) - 1 : -1].gather(1, torch.tensor(tokens)[:, None])[:, 0]
        worst = max(worst, (theirs - torch.tensor(logprobs)).abs().max().item())
    return worst


def cells(which: str) -> list[tuple[str, int, int]]:
    """(size, sequences, new tokens); those over 10 minutes for a contest are run with --all only."""
    if which == "quick":
        return [("0.8M", 64, 64)]
    every = [(size, n, limit) for size in SIZES for limit in (64, 512) for n in (8, 64, 512)]
    slow = {("0.8M", 512, 512), ("3M", 512, 512), ("25M", 512, 512), ("25M", 64, 512), ("25M", 512, 64)}
    return [c for c in every if which == "all" or c not in slow]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one cell, to see that everything works")
    size.add_argument("--all", action="store_true", help="the slow cells too")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--stops", nargs="+", choices=("forced", "ragged"), default=["forced", "ragged"])
    asked = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    for size_name, sequences, limit in cells("quick" if asked.quick else "all" if asked.all else "usual"):
        if size_name not in asked.sizes:
            continue
        for kind in asked.stops:
            ragged = kind == "ragged"
            folder = write(size_name, limit / 3)
            same = {
                "folder": folder,
                "groups": sequences // GROUP,
                "limit": limit,
                "ragged": ragged,
                "precision": asked.precision,
            }
            contenders = [
                Contender("ratchet", "benchmarks.sampling:ours", {**same, "check": asked.precision == "float32"}),
                Contender("transformers generate()", "benchmarks.sampling:generate", same, peer=True),
                Contender("vLLM on CPU", "benchmarks.sampling:vllm", same, peer=True),
            ][: 2 if ON == "cuda" else 3]
            heard = contest([c for c in contenders if not c.missing], asked.rounds, warm_up=1)
            result = compare(heard, "ratchet")
            if asked.precision == "float32":
                result["logprob_difference"] = agree(folder, heard["ratchet"][0]["samples"])
                assert result["logprob_difference"] < 1e-4, f"log-probabilities differ by {result['logprob_difference']}"
            shutil.rmtree(folder)
            show(f"{size_name}, {sequences} sequences of {limit} tokens, {kind}, {asked.precision}", result)
            rows.setdefault(size_name, []).append({"size": size_name, "sequences": sequences, "limit": limit, "stops": kind,
                         "precision": asked.precision, **result})  # fmt: skip
            if not asked.quick:
                place, about = ("-gpu", {"gpu": torch.cuda.get_device_name()}) if ON == "cuda" else ("", {})
                keep(f"sampling-{asked.precision}-{size_name}{place}", rows[size_name], rounds=asked.rounds, **about)


if __name__ == "__main__":
    main()
