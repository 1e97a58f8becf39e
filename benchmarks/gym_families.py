"""Every family of reasoning-gym through our adapter: does its own answer pass, does what is wrong fail, is nothing run as code?

    python -m benchmarks.gym_families [--n 3] [--only countdown,maze]

Needs the extra "ratchet[gym]". For each family N items are drawn twice, in processes with different hash seeds: a draw that the
order of a set decides is not the same again. Judged are the right answer, the decoys of the family's check, and texts that
would forge a score if they were evaluated. Results go to results/gym-families.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ratchet.core.errors import RatchetError
from ratchet.core.files import write_text
from ratchet.core.seeds import rng
from ratchet.core.types import Task
from ratchet.tasks import reasoning_gym as gym
from ratchet.verify.verifier import verifiers

RESULT = Path(__file__).parent / "results" / "gym-families.json"
FORGERIES = {
    "runs a command": "__import__('os').system('id')",
    "prints a score and ends": '[print(\'{"score": 1.0, "refused": ""}\', flush=True), __import__(\'os\')._exit(0)]',
    "reads the answer where it stands": "__import__('sys')._getframe(1).f_locals['entry']['answer']",
    "power tower": "9**9**9**9",
}


def drawn(name: str, count: int) -> list[Task]:
    return [gym.draw(rng("gym", name, i), name=name) for i in range(count)]


def keys(names: list[str], count: int) -> dict[str, list[str]]:
    """What another process draws, with another order of its sets."""
    command = [sys.executable, "-m", "benchmarks.gym_families", "--keys", "--n", str(count), "--only", ",".join(names)]
    path = os.pathsep.join(p for p in sys.path if p)
    found = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True
    )
    return json.loads(found.stdout.splitlines()[-1])


def look(name: str, count: int, again: list[str]) -> dict[str, Any]:
    """A row for one family."""
    verify, begun = verifiers["reasoning-gym"], time.monotonic()
    tasks = drawn(name, count)
    took = time.monotonic() - begun
    golds = [verify(t, g) for t in tasks if (g := gym.gold(t)) is not None]
    decoys = [(what, verify(t, text)) for t in tasks for what, text in gym.decoys(t).items()]
    forged = [(what, verify(tasks[0], gym.wrapped(text))) for what, text in FORGERIES.items()]
    wrong = [f"gold: {v.outcome}: {v.evidence}" for v in golds if not v.passed]
    wrong += [f"{what}: {v.outcome}: {v.evidence}" for what, v in decoys if v.outcome != "fail"]
    return {
        "family": name, "items": count, "distinct": len({t.key for t in tasks}), "same_in_another_process": [t.key for t in tasks] == again,
        "gold_passes": [sum(v.passed for v in golds), len(golds)], "decoys_fail": [sum(v.outcome == "fail" for _, v in decoys), len(decoys)],
        "forgeries": {what: str(v.outcome) for what, v in forged}, "refused_as_code": sum("refused:" in v.evidence for _, v in forged),
        "seconds_per_item": round(took / count, 3), "wrong": wrong,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=3, help="items of each family")
    parser.add_argument("--only", default="", help="names, with commas between; nothing is kept")
    parser.add_argument("--keys", action="store_true", help="only print the keys of the items")
    options = parser.parse_args()
    try:
        names = options.only.split(",") if options.only else gym.names()
        if options.keys:
            print(json.dumps({name: [t.key for t in drawn(name, options.n)] for name in names}))
            return
        again = keys(names, options.n)
        rows: list[dict[str, Any]] = []
        for name in names:
            rows.append(look(name, options.n, again[name]))
            print(json.dumps(rows[-1]), flush=True)
    except RatchetError as e:
        raise SystemExit(f"Error: {e}") from None
    if not options.only:
        write_text(RESULT, "[\n" + ",\n".join(f" {json.dumps(row)}" for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
