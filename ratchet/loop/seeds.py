"""Several seeds of one recipe side by side, each in a process of its own with one thread, and their common summary.

Each seed has a folder `seed-S` that is a run's folder like any other. A seed's process may be killed at any moment, as
any run may, so stopping all of them is killing them; calling again goes on from what each has kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ratchet.core.errors import RecipeError, StoreError
from ratchet.core.files import locked, write_text
from ratchet.core.journal import read
from ratchet.core.processes import serve, side_by_side
from ratchet.loop.recipe import Recipe, from_json, recipe_hash, to_json
from ratchet.measure.estimate import mean

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
    """Run every seed in a process of its own; the reasons of those that failed."""
    failed: dict[int, str] = {}

    def end(seed: int, why: str) -> None:
        if (summary := finished(out / f"seed-{seed}")) is not None:
            tell({"event": "finished", "seed": seed, "summary": summary})
        else:
            failed[seed] = why or "its process ended before the run was done"
            tell({"event": "failed", "seed": seed})

    commands = {r.seed: (__name__, json.dumps(to_json(r)), str(folder_of(out, r))) for r in waiting}
    side_by_side(commands, jobs, lambda seed, event: tell({**event, "seed": seed}), end)
    return failed


def begin_or_resume(tell: Tell, arguments: list[str]) -> None:
    """What a seed's process does; updates are too many to tell."""
    recipe, folder = from_json(json.loads(arguments[0]), "recipe"), Path(arguments[1])

    from ratchet.loop.run import begin, resume

    def tell_less(event: dict[str, Any]) -> None:
        if event["event"] != "update":
            tell(event)

    if (folder / "recipe.json").exists():
        resume(folder, tell_less)
    else:
        begin(recipe, folder, tell_less)


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
    serve(begin_or_resume)
