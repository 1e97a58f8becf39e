"""Several seeds of one recipe side by side, each in a process of its own with one thread, and their common summary.

Each seed has a folder `seed-S` that is a run's folder like any other. A seed's process may be killed at any moment, as
any run may, so stopping all of them is killing them; calling again goes on from what each has kept.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from ratchet.core.errors import RatchetError, RecipeError, StoreError
from ratchet.core.journal import read
from ratchet.loop.recipe import Recipe, from_json, recipe_hash, to_json
from ratchet.measure.estimate import mean
from ratchet.verify.worker import end_with_parent, own_channel

Tell = Callable[[dict[str, Any]], None]

# What loads torch is imported where it is used: a seed's process ties itself to its parent before that takes its seconds.


def seeds_of(recipe: Recipe, count: int) -> list[Recipe]:
    """The recipe at seeds S, S+1, ..., each with one thread, so that a seed's result does not depend on its neighbours."""
    if count < 2:
        raise RecipeError(f"--seeds takes 2 or more, got {count}; for a single seed leave --seeds out and use --set seed=S")
    return [replace(recipe, seed=recipe.seed + i, threads=1) for i in range(count)]


def run_seeds(recipes: Sequence[Recipe], out: Path, jobs: int, tell: Tell) -> dict[str, Any]:
    """Run each recipe in out/seed-S, at most `jobs` at once; the summary, also written to out/summary.json.

    `tell` gets the events of all runs, each with its seed. A seed that fails stands in the summary with the reason.
    """
    from ratchet.loop.run import checked_source
    from ratchet.loop.store import locked, write_text

    if jobs < 1:
        raise RecipeError(f"--jobs takes 1 or more, got {jobs}; it is how many seeds run at once")
    check_folders(recipes, out)
    waiting = [r for r in recipes if finished(folder_of(out, r)) is None]
    if waiting:
        checked_source(waiting[0])  # what is wrong with all seeds is said once, before any work
    with locked(out):
        for recipe in recipes:
            if recipe not in waiting:
                tell({"event": "skipped", "seed": recipe.seed})
        failed = work(waiting, out, jobs, tell)
        summary = summarize(recipes, out, failed)
        write_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
        return summary


def folder_of(out: Path, recipe: Recipe) -> Path:
    return out / f"seed-{recipe.seed}"


def check_folders(recipes: Sequence[Recipe], out: Path) -> None:
    """StoreError where `out` is a single run's folder, or a seed's folder holds a run of another recipe."""
    from ratchet.loop.run import read_recipe
    from ratchet.loop.store import holds_run

    if holds_run(out):
        raise StoreError(f"{out} holds a single run; for several seeds choose another folder with --out")
    for recipe in recipes:
        file = folder_of(out, recipe) / "recipe.json"
        if file.exists() and recipe_hash(read_recipe(file)) != recipe_hash(recipe):
            raise StoreError(f"{file.parent} holds a run with other settings; use the same ones, or another folder with --out")


def finished(folder: Path) -> dict[str, Any] | None:
    """The summary of a run that is done. What is damaged is not done: resuming it mends it or says what is wrong."""
    with suppress(OSError, ValueError, StoreError):
        summary = json.loads((folder / "summary.json").read_text())
        if any(e["kind"] == "done" for e in read(folder / "journal.jsonl")):
            return summary
    return None


# ---- the processes -----------------------------------------------------------------------------------------------


def work(waiting: Sequence[Recipe], out: Path, jobs: int, tell: Tell) -> dict[int, str]:
    """Keep `jobs` processes busy until every seed has ended; the reasons of those that failed. No process outlives the call.

    Call it from the main thread: Linux ends a seed's process with the thread that started it.
    """
    left = list(waiting)
    working: dict[IO[bytes], tuple[Recipe, subprocess.Popen[bytes]]] = {}
    failed: dict[int, str] = {}
    try:
        while left or working:
            while left and len(working) < jobs:
                recipe = left.pop(0)
                process = start(recipe, folder_of(out, recipe))
                assert process.stdout is not None
                working[process.stdout] = recipe, process
            for pipe in select.select(list(working), [], [])[0]:
                recipe, process = working[pipe]
                line = pipe.readline()
                if line.endswith(b"\n"):
                    event = json.loads(line)
                    if event["event"] == "failed":
                        failed[recipe.seed] = event["why"]
                    else:
                        tell({**event, "seed": recipe.seed})
                    continue
                code = process.wait()  # the pipe ends with its process
                pipe.close()
                del working[pipe]
                if (summary := finished(folder_of(out, recipe))) is not None:
                    tell({"event": "finished", "seed": recipe.seed, "summary": summary})
                else:
                    failed.setdefault(recipe.seed, f"its process {ending(code)}")
                    tell({"event": "failed", "seed": recipe.seed})
    finally:
        for _, process in working.values():
            process.kill()
        for pipe, (_, process) in working.items():
            process.wait()
            pipe.close()
    return failed


def start(recipe: Recipe, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P and PYTHONPATH: modules are found where this process finds them
        [sys.executable, "-P", "-m", "ratchet.loop.seeds", str(os.getpid()), json.dumps(to_json(recipe)), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,  # nothing is held back from `select`
        start_new_session=True,  # Ctrl-C is for us
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code} before the run was done"
    return f"was killed by {signal.Signals(-code).name}" + (", perhaps for want of memory" if code == -signal.SIGKILL else "")


def main() -> None:
    """A seed's process: begin or resume the run, with its events as lines of JSON on the standard output."""
    parent, recipe, folder = int(sys.argv[1]), from_json(json.loads(sys.argv[2]), "recipe"), Path(sys.argv[3])
    end_with_parent()
    if os.getppid() != parent:  # it ended before we were tied to it
        return
    _, replies = own_channel()

    def tell(event: dict[str, Any]) -> None:
        if event["event"] != "update":
            print(json.dumps(event), file=replies, flush=True)

    from ratchet.loop.run import begin, resume

    try:
        if (folder / "recipe.json").exists():
            resume(folder, tell)
        else:
            begin(recipe, folder, tell)
    except Exception as e:
        if not isinstance(e, RatchetError):  # a mistake of ours: the place of it is wanted too
            traceback.print_exc()
        tell({"event": "failed", "why": str(e) if isinstance(e, RatchetError) else f"{type(e).__name__}: {e}"})
        sys.exit(1)


# ---- over seeds --------------------------------------------------------------------------------------------------


def summarize(recipes: Sequence[Recipe], out: Path, failed: dict[int, str]) -> dict[str, Any]:
    """What each seed gave, and their mean difference with a t interval over seeds (n counts seeds; one alone has none)."""
    rows: list[dict[str, Any]] = []
    for recipe in recipes:
        if (s := finished(folder_of(out, recipe))) is not None:
            row = {name: s[name] for name in ("seed", "before", "after", "difference", "seconds")}
            rows.append(row | {"promotions": sum(g["accepted"] for g in s["gates"]), "gates": len(s["gates"])})
    differences = [row["difference"]["value"] for row in rows]
    return {
        "recipe": recipes[0].name,
        "seeds": rows,
        "failed": [{"seed": seed, "why": why} for seed, why in sorted(failed.items())],
        "difference": asdict(mean(differences, unit="seeds", bounds=(-1.0, 1.0))) if len(rows) > 1 else None,
        "above_0": sum(row["difference"]["low"] > 0 for row in rows),  # seeds whose own interval lies there
        "below_0": sum(row["difference"]["high"] < 0 for row in rows),
        "promotions": sum(row["promotions"] for row in rows),
        "gates": sum(row["gates"] for row in rows),
        "seconds": sum(row["seconds"] for row in rows),
    }


if __name__ == "__main__":
    main()
