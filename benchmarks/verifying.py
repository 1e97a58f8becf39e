"""Judging mathematical answers: how many a second, beside math-verify, and how far a deadline is overshot on hostile texts.

    python -m benchmarks.verifying FILE [FILE ...]

The files are samples in JSON Lines with `response` and `gold_answer` (else `source_gold`). Each contender judges the same rows in
one process, in turn; math-verify as it comes, with its own timer, in its main thread.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import Clock, Contender, compare, contest, keep, show, spread
from ratchet.core.types import Task, Verdict
from ratchet.verify.attacks import attacks
from ratchet.verify.math import extract
from ratchet.verify.pool import VerifierPool
from ratchet.verify.verifier import find, passed

ROUNDS = 5
ROWS = 1_000
DEADLINE = 0.5  # seconds
REPEATS = 3
SLOW = [rf"\boxed{{{formula}}}" for formula in (
    "9^{9^{9^{9}}}", r"\sum_{n=1}^{10^{9}} \int_0^n e^{x^2} \sin(x^{n})\,dx", r"\prod_{k=1}^{10^7} (x^k + k)", "(x+y+z+w)^{3000}",
    r"\sqrt{" * 60 + "x" + "}" * 60, r"\int_0^1 \int_0^x \frac{\sin(x^y)}{\log(1 + x^y)}\,dy\,dx",
)]  # fmt: skip

Row = tuple[str, str]  # gold answer, text


def rows_of(files: Sequence[str], alone: bool) -> list[Row]:
    """So many rows, drawn by hashed chance from all files: whole responses, or the answers in them alone."""
    rows = [json.loads(line) for file in files for line in gzip.decompress(Path(file).read_bytes()).splitlines()]
    pairs = [(str(r.get("gold_answer") or r["source_gold"]), str(r["response"])) for r in rows]
    whole = sorted(pairs, key=lambda p: hashlib.blake2b(repr(p).encode()).digest())[:ROWS]
    return [(gold, f"\\boxed{{{answer}}}") for gold, text in whole if (answer := extract(text))] if alone else whole


def ours(clock: Clock, files: Sequence[str], alone: bool) -> None:
    judge = find("math")
    pairs = [(Task("benchmark", "?", gold, "math"), text) for gold, text in rows_of(files, alone)]
    while True:
        clock.start()
        right = sum(judge(*pair).passed for pair in pairs)
        clock.stop(answers=len(pairs), passed=right)


def math_verify(clock: Clock, files: Sequence[str], alone: bool) -> None:
    from math_verify import parse, verify

    rows = rows_of(files, alone)
    while True:
        clock.start()
        right = sum(verify(parse(f"${gold}$"), parse(text)) for gold, text in rows)
        clock.stop(answers=len(rows), passed=right)


def endless(task: Task, text: str) -> Verdict:
    """A verifier that is slow on purpose, or fast where the text says so."""
    while text != "fast":
        pass
    return passed()


def overshoot(verifier: str, texts: Sequence[str]) -> dict[str, object]:
    """Each text by itself through a warm pool: how long the caller waited, over the deadline, where it was late."""
    late: list[float] = []
    with VerifierPool(DEADLINE) as pool:
        pool([(Task("benchmark", "1 + 1?", "2", verifier), "fast")])
        time.sleep(3.0)
        for text in [t for t in texts for _ in range(REPEATS)]:
            start = time.perf_counter()
            [verdict] = pool([(Task("benchmark", "1 + 1?", "2", verifier), text)])
            waited = time.perf_counter() - start
            assert not verdict.passed
            if "longer than" in verdict.evidence:
                late.append(waited - DEADLINE)
                time.sleep(3.0)
    return {"verifier": verifier, "texts": len(texts) * REPEATS, "late": len(late), "over": spread(late or [0.0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    files = [str(file.resolve()) for file in parser.parse_args().files]
    found: list[dict[str, object]] = []
    for name, alone in (("answers alone", True), ("whole responses", False)):
        settings = {"files": files, "alone": alone}
        contenders = [
            Contender("ratchet", "benchmarks.verifying:ours", settings),
            Contender("math-verify", "benchmarks.verifying:math_verify", settings, peer=True),
        ]
        heard = contest([c for c in contenders if not c.missing], ROUNDS)
        result = compare(heard, "ratchet", "answers")
        show(name, result)
        found.append(
            {
                "work": name,
                "answers": heard["ratchet"][0]["answers"],
                "passed": {n: f[0]["passed"] for n, f in heard.items()},
                **result,
            }
        )
    hostile = [*attacks(Task("benchmark", "1 + 1?", "2", "math")).values(), *SLOW]
    for verifier, texts in (("math", hostile), ("benchmarks.verifying:endless", hostile[:4])):
        found.append({"work": "deadline", **overshoot(verifier, texts)})
        print(found[-1])
    keep("verifying", found, rounds=ROUNDS, deadline=DEADLINE)


if __name__ == "__main__":
    main()
