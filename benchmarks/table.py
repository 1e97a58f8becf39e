"""docs/performance.md from benchmarks/results/*.json.

python -m benchmarks.table
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.contest import RESULTS, ROOT
from benchmarks.shapes import SIZES

Row = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:" for _ in head[1:]]], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rate(r: Mapping[str, float]) -> str:
    return f"{r['median']:,.0f}" if r["median"] >= 100 else f"{r['median']:.2f}"


def times(r: Mapping[str, float] | None) -> str:
    return f"**{r['median']:.2f}** [{r['min']:.2f}, {r['max']:.2f}]" if r else "not run"


def read(name: str) -> Row | None:
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def where(found: Row) -> str:
    m, v = found["machine"], {**found["versions"], **{k: x for k, x in found["peers"].items() if k not in found["versions"]}}
    rounds = f"; {found['rounds']} rounds" if "rounds" in found else ""
    gpu = f"{found['gpu']}; " if "gpu" in found else ""
    return (
        f"*{gpu}{m['processor']}, {m['cores']} cores, Python {m['python']}; "
        + ", ".join(f"{n} {x}" for n, x in v.items())
        + f"{rounds}.*"
    )


def sampling(precision: str) -> str:
    """A table per size of model and place: each is a run of its own."""
    return "\n".join(part for size in SIZES for gpu in (False, True) if (part := sampling_of(precision, size, gpu)))


def sampling_of(precision: str, size: str, gpu: bool) -> str:
    found = read(f"sampling-{precision}-{size}{'-gpu' if gpu else ''}")
    if found is None:
        return ""
    peers = ("transformers generate()", *(() if gpu else ("vLLM on CPU",)))
    rows = [
        [f"{r['sequences']} x {r['limit']}, {r['stops']}", rate(r["per_second"]["ratchet"]),
         *(f"{rate(r['per_second'][p])} · {times(r['ratio'].get(p))}" if p in r["per_second"] else "not run" for p in peers)]
        for r in found["rows"]
    ]  # fmt: skip
    head = ["sequences x new tokens, stops", "ratchet tokens/s", *(f"{p} tokens/s · ours over it" for p in peers)]
    agreed = [r["logprob_difference"] for r in found["rows"] if "logprob_difference" in r]
    check = (
        f"\n\nLargest difference of a sampled token's log-probability from transformers': {max(agreed):.1e}." if agreed else ""
    )
    return f"## Sampling, {size} parameters, {precision}{', on a GPU' if gpu else ''}\n\n{where(found)}\n\n{table(head, rows)}{check}\n"


BESIDE_TRL = ("ratchet float32", "TRL float32", "ratchet bfloat16", "TRL bfloat16")


def over_trl(r: Row) -> str:
    """Ours over TRL in the precision in which TRL is faster."""
    return times(r["ratio"][max(("TRL float32", "TRL bfloat16"), key=lambda n: r["per_second"][n]["median"])])


def steps() -> str:
    found = read("grpo-step")
    if found is None:
        return ""
    rows: list[list[str]] = []
    for r in found["rows"]:
        cells = [f"{1 / r['per_second'][n]['median']:.2f} s · {r['share_of_peak'][n]:.0%}" for n in BESIDE_TRL]
        rows.append([f"{r['size']}, {r['prompts']} x {r['group']} x {r['limit']}, {r['stops']}", *cells, over_trl(r)])
    head = [
        "model, prompts x samples x tokens, stops",
        *(f"{n}: time · share of peak" for n in BESIDE_TRL),
        "ours (bfloat16) over TRL's best",
    ]
    return f"## A whole GRPO step\n\n{where(found)}\n\n{table(head, rows)}\n"


def imitation() -> str:
    found = read("imitation")
    if found is None:
        return ""
    rows: list[list[str]] = []
    for r in found["rows"]:
        rows.append([r["size"], *(rate(r["per_second"][n]) for n in BESIDE_TRL), over_trl(r)])
    head = ["model", *(f"{n} tokens/s" for n in BESIDE_TRL), "ours (bfloat16) over TRL's best"]
    return f"## Imitation on ragged sequences\n\n{where(found)}\n\n{table(head, rows)}\n"


def attention() -> str:
    found = read("attention")
    if found is None:
        return ""
    rows = [[str(r["tokens"]), *(f"{r[k] * 1e3:.1f}" for k in ("fused", "fused_bf16"))] for r in found["rows"]]
    head = ["tokens", "float32, ms", "bfloat16, ms"]
    return f"## Attention, forward and backward, 4,096 tokens\n\n{where(found)}\n\n{table(head, rows)}\n"


def scaling() -> str:
    found = read("scaling")
    if found is None:
        return ""
    rows = [
        [f"{r['work']}, {r['size']}, {r['rows']} x {r['tokens']}", r["precision"], f"{r['tokens_per_second']:,.0f}",
         f"{r['share_of_peak']:.0%}", f"{r['peak_megabytes']:,.0f}"]
        for r in found["rows"]
    ]  # fmt: skip
    peaks = ", ".join(f"{n} {p / 1e9:.0f} GFLOP/s" for n, p in found["peak_flops"].items())
    head = ["work, model, rows x tokens", "precision", "tokens/s", "share of peak", "peak memory, MB"]
    return f"## Scaling\n\n{where(found)} Measured peak of a matrix product: {peaks}.\n\n{table(head, rows)}\n"


def steps_of_a_search() -> str:
    found = read("steps")
    if found is None:
        return ""
    [r] = found["rows"]
    return (
        f"## Continuing a search from its steps\n\n{where(found)}\n\nWith the states of stopped sequences kept: "
        f"{rate(r['kept'])} tokens/s; computed anew: {rate(r['anew'])}; ratio {times(r['ratio'])}.\n"
    )


def choice(name: str, title: str, ways: tuple[str, str]) -> str:
    """One way inside the sampler against another, in one process."""
    found = read(name)
    if found is None:
        return ""
    rows = [
        [f"{r['sequences']} x {r['limit']}, {r['precision']}", rate(r["ours"]), rate(r["other"]), times(r["ratio"])]
        for r in found["rows"]
    ]
    head = ["0.8M, sequences x new tokens", *(f"{way}, tokens/s" for way in ways), "ratio"]
    return f"## {title}\n\n{where(found)}\n\n{table(head, rows)}\n"


def overhead() -> str:
    """From the records of the main job: what passed outside engine, learner and verifier."""
    rows: list[list[str]] = []
    for file in sorted((ROOT / "records" / "countdown").glob("seed-*/summary.json")):
        summary = json.loads(file.read_text())
        cost, all_ = summary["cost"], summary["seconds"]
        inside = {
            "engine": cost["sampling"]["seconds"] + cost["gate"]["engine_seconds"] + cost["measuring"]["engine_seconds"],
            "learner": cost["training"]["learner_seconds"],
            "verifier": cost["verification"]["seconds"]
            + cost["gate"]["verifier_seconds"]
            + cost["measuring"]["verifier_seconds"],
        }
        shares = [f"{s / all_:.1%}" for s in inside.values()]
        rows.append([file.parent.name, f"{all_:.0f}", *shares, f"**{1 - sum(inside.values()) / all_:.1%}**"])
    if not rows:
        return ""
    head = ["record of the main job, one thread", "seconds", "engine", "learner", "verifier", "the loop's own"]
    return f"## The loop's own overhead\n\n{table(head, rows)}\n"


def main() -> None:
    words = (
        "# Performance\n\n"
        "Made by `python -m benchmarks.table` from `benchmarks/results/`; run again with `make bench-peers` and `make bench`.\n"
        "Every contender works in a process of its own; they take turns in one run, the order rotates, and the ratio is taken\n"
        "round by round: median [smallest, largest]. Shares of the peak count 2 operations for each parameter of a matrix\n"
        "product and sampled token, 6 for a trained one, and leave attention out. What `make bench` runs and is missing here\n"
        "has not been run yet. [What was tried, and what bounds it](performance-notes.md).\n"
    )
    parts = [
        words,
        sampling("float32"),
        sampling("bfloat16"),
        steps(),
        imitation(),
        overhead(),
        steps_of_a_search(),
        choice("cache", "The cache in parts without gaps, against one part", ("in parts", "in one")),
        choice("few", "Steps of few rows in numpy, against torch", ("in numpy", "in torch")),
        attention(),
        scaling(),
    ]
    (ROOT / "docs" / "performance.md").write_text("\n".join(p for p in parts if p))
    print("written: docs/performance.md")


if __name__ == "__main__":
    main()
