"""Running a study: its seeds side by side in processes of one thread, each kept as it ends, and the record of them all.

A folder per study holds `seed-S.json` for each seed and `record.json`. A seed that is there, of the same file and the
same length, is not run again.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from ratchet.core.errors import StoreError, StudyError
from ratchet.core.files import finite, locked, write_text
from ratchet.core.processes import Event, serve, side_by_side
from ratchet.studies.study import Outcome, Result, Study, judged, studies

SHIPPED = Path(str(files("ratchet.studies"))) / "records"
Tell = Callable[[int, str], None]


def run_study(study: Study, seeds: Sequence[int], quick: bool, out: Path, jobs: int, tell: Tell) -> dict[str, Any]:
    """Run what is missing, and write and return the record. `tell` gets a seed and a line of progress.

    Raises StudyError where a seed failed; the others are kept.
    """
    if jobs < 1 or not seeds:
        raise StudyError(f"a study needs --seeds and --jobs of 1 or more, got {len(seeds)} and {jobs}")
    folder = folder_of(out, study, quick)
    failed: dict[int, str] = {}
    with locked(folder):
        waiting = [s for s in seeds if kept(study, folder, s, quick) is None]
        for seed in seeds:
            if seed not in waiting:
                tell(seed, "kept from before")

        def end(seed: int, why: str) -> None:
            if kept(study, folder, seed, quick) is None:
                failed[seed] = why or "its process ended without a result"
            tell(seed, f"failed: {failed[seed]}" if seed in failed else "done")

        commands = {s: (__name__, study.name, str(s), json.dumps(quick), str(folder)) for s in waiting}
        side_by_side(commands, jobs, lambda seed, event: tell(seed, event["text"]), end)
        if failed:
            first = min(failed)
            raise StudyError(
                f'study "{study.name}": {len(failed)} of {len(seeds)} seeds failed, seed {first}: {failed[first]}; '
                f"the others are kept in {folder}, so the same command goes on with what is missing"
            )
        record = record_of(study, [kept(study, folder, s, quick) for s in seeds], quick)  # type: ignore[misc]
        write_text(folder / "record.json", json.dumps(finite(record), indent=1, allow_nan=False) + "\n")
        return record


def folder_of(out: Path, study: Study, quick: bool) -> Path:
    return out / (study.name + "-quick" * quick)


def kept(study: Study, folder: Path, seed: int, quick: bool) -> dict[str, Any] | None:
    """A seed's entry, or None where there is none of this file and this length, or it is damaged."""
    try:
        entry = json.loads((folder / f"seed-{seed}.json").read_text())
        whole = isinstance(entry["result"], dict) and isinstance(entry["versions"], dict) and math.isfinite(entry["seconds"])
        mine = (entry["seed"], entry["hash"], entry["quick"]) == (seed, study.hash(), quick)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return entry if whole and mine else None


def record_of(study: Study, entries: Sequence[dict[str, Any]], quick: bool) -> dict[str, Any]:
    """The outcomes of all seeds, without their results."""
    return {
        "study": study.name,
        "hash": study.hash(),
        "quick": quick,
        "seeds": [e["seed"] for e in entries],
        "seconds": sum(e["seconds"] for e in entries),
        "claims": judged(study, [e["result"] for e in entries]),
        "versions": entries[0]["versions"],
    }


def one_seed(tell: Callable[[Event], None], arguments: list[str]) -> None:
    """What a seed's process does."""
    name, seed, quick, folder = arguments[0], int(arguments[1]), json.loads(arguments[2]), Path(arguments[3])
    study = studies[name]
    before, start = study.hash(), time.perf_counter()
    result: Result = study.run(seed, quick, lambda text: tell({"event": "progress", "text": text}))
    entry = {
        "study": name,
        "seed": seed,
        "hash": before,
        "quick": quick,
        "seconds": round(time.perf_counter() - start, 1),
        "result": result,
        "versions": {"python": platform.python_version(), **{n: version(n) for n in ("ratchet", "torch", "numpy", "scipy")}},
    }
    write_text(folder / f"seed-{seed}.json", json.dumps(entry, allow_nan=False) + "\n")


# ---- records -----------------------------------------------------------------------------------------------------


def records(places: Iterable[Path]) -> dict[str, tuple[dict[str, Any], Path]]:
    """The last place's record of every study, with its folder. StoreError for a record that cannot be read."""
    found: dict[str, tuple[dict[str, Any], Path]] = {}
    for place in places:
        for file in sorted(place.glob("*/record.json")):
            try:
                record = json.loads(file.read_text())
                check_record(record)
            except (OSError, ValueError, KeyError, TypeError) as e:
                why = f"{type(e).__name__}: {e}"
                raise StoreError(f"{file} is no record of a study ({why}); run the study again, or remove the file") from e
            if not record["quick"]:
                found[record["study"]] = record, file.parent
    return found


KINDS = {"study": str, "hash": str, "quick": bool, "seeds": list, "seconds": (int, float), "claims": list, "versions": dict}


def check_record(record: Any) -> None:
    """KeyError, TypeError or ValueError for what `record_of` cannot have made."""
    for name, kind in KINDS.items():
        if not isinstance(record[name], kind) or record[name] == []:
            raise ValueError(f"{name} is {record[name]!r}")
    for claim in record["claims"]:
        if Outcome(claim["outcome"]) not in [Outcome(check["outcome"]) for check in claim["checks"]]:
            raise ValueError(f"no check of {claim['name']} decides it")
        for check in claim["checks"]:
            texts = (claim["name"], claim["sentence"], check["what"], check["demand"], check["effect"]["unit"])
            numbers = [check["effect"][x] for x in ("value", "low", "high", "n")] + [check["needed"]]
            if not all(isinstance(x, str) for x in texts) or not all(x is None or isinstance(x, int | float) for x in numbers):
                raise ValueError(f"a check of {texts[0]} is not whole")


def results_of(study: Study, record: dict[str, Any], folder: Path) -> list[Result]:
    """The seeds' results that a record was made from. StoreError where one is gone."""
    found: list[Result] = []
    for seed in record["seeds"]:
        file = folder / f"seed-{seed}.json"
        try:
            found.append(json.loads(file.read_text())["result"])
        except (OSError, ValueError, KeyError) as e:
            raise StoreError(f"{file} cannot be read ({e}); run study {study.name} again") from e
    return found


if __name__ == "__main__":
    serve(one_seed)
