"""What `ratchet smith make` takes on large tables, and what it gives on a folder of data sets.

    python -m benchmarks.smith table [FILE]          # 50,000 rows made here, or a file of yours: seconds, memory over a small table's
    python -m benchmarks.smith sets FOLDER... --out DIR   # make tasks of each data set (goes on where it stopped), then count them
    python -m benchmarks.smith count FOLDER... --out DIR  # count those that are there

Writes benchmarks/results/smith.json, a part for each.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "smith.json"
ROWS = 50_000
SMALL = 300


def sales(n: int, path: Path) -> None:
    """A table as shops have them: keys, dates, words, numbers with gaps, a rating, a rare class, a price with a long tail."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(5)
    x = random.normal(size=(n, 6))
    kind, town = (
        random.choice(list("abcdef"), n, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]),
        random.choice([f"town{i}" for i in range(40)], n),
    )
    effect = dict(zip("abcdef", random.normal(size=6), strict=True))
    log = 3 + 0.5 * x[:, 0] + 0.3 * x[:, 1] * x[:, 2] + np.array([effect[k] for k in kind]) * 0.4 + 0.3 * random.normal(size=n)
    days = pd.to_timedelta(random.integers(0, 1500, n), "D")
    table = pd.DataFrame({
        "number": np.arange(1, n + 1), "when": (pd.Timestamp("2019-01-01") + days).strftime("%Y-%m-%d"), "kind": kind, "town": town,
        **{f"m{i}": x[:, i].round(3) for i in range(6)}, "rooms": random.poisson(2.1 + np.clip(x[:, 3], -1, 2)),
        "rating": np.clip(np.round(3 + x[:, 0] + 0.7 * random.normal(size=n)), 1, 5).astype(int),
        "returned": np.where(random.random(n) < 1 / (1 + np.exp(2.5 - 1.2 * x[:, 4] - 0.8 * x[:, 5])), "yes", "no"),
        "price": np.exp(log).round(2),
    })  # fmt: skip
    table.loc[random.random(n) < 0.05, "m2"] = np.nan
    table.to_csv(path, index=False)


def made(file: str) -> dict[str, Any]:
    """In a process of its own: seconds, also in passes of pandas over the table (writing it as CSV and reading that, on one core),
    since machines differ and are not always alone; peak memory of it and of the largest run in the sandbox (MB), the table's size."""
    from ratchet.smith import making, trying

    trying.give_memory_back()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        result = making.make(Path(file).parent, Path(out), lambda line: None, only=[Path(file)], jobs=2)
    seconds = time.monotonic() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    frames = making.understood(Path(file).parent, [Path(file).resolve()]).frames.values()
    once = written_and_read(frames)
    return {
        "rows": sum(map(len, frames)), "table_mb": sum(f.memory_usage(deep=True).sum() for f in frames) / 1e6,
        "file_mb": Path(file).stat().st_size / 1e6, "tasks": len(result["accepted"]), "tried": len(result["tried"]),
        "seconds": seconds, "pandas_seconds": once, "times_pandas": seconds / once,
        "cpu_seconds": sum(u.ru_utime + u.ru_stime for u in used),
        "peak_mb": used[0].ru_maxrss / 1e3, "peak_in_sandbox_mb": used[1].ru_maxrss / 1e3,
    }  # fmt: skip


def written_and_read(frames: Iterable[Any]) -> float:
    import pandas as pd

    began = time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".csv") as held:
        for frame in frames:
            frame.to_csv(held.name, index=False)
            pd.read_csv(held.name, low_memory=False)
    return time.monotonic() - began


def apart(file: Path) -> dict[str, Any]:
    """`made` in a process that nothing has grown before."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.smith", "made", str(file)], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def table(file: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.csv", Path(folder) / "sales.csv"
        sales(SMALL, small)
        if file is None:
            sales(ROWS, large)
        found, least = apart(file or large), apart(small)
    over = {f"{k}_over_a_small_tables": found[k] - least[k] for k in ("peak_mb", "peak_in_sandbox_mb")}
    return found | over | {"times_the_table": over["peak_mb_over_a_small_tables"] / found["table_mb"]}


def sets(folders: list[Path], out: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-c",
        "from ratchet.cli.main import main; main()",
        "smith",
        "make",
        *map(str, folders),
        "--out",
        str(out),
    ]
    subprocess.run(command, check=True)
    return counted(folders, out)


def counted(folders: list[Path], out: Path) -> dict[str, Any]:
    """Of tasks that are there."""
    rows: list[dict[str, Any]] = []
    for folder in folders:
        file = out / folder.name / "made.json"
        tried = json.loads(file.read_text())["tried"] if file.exists() else []
        kinds = sorted(t["kind"] for t in tried if t["accepted"])
        rejected = {t["task"]: t["why"] for t in tried if not t["accepted"]}
        rows.append({"data": folder.name, "accepted": len(kinds), "tried": len(tried), "kinds": kinds, "rejected": rejected})
    every = sorted({k for r in rows for k in r["kinds"]})
    return {"tasks": sum(r["accepted"] for r in rows), "sets": sum(bool(r["accepted"]) for r in rows), "kinds": every, "of": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("table", "sets", "count", "made"))
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("competitions"))
    given = parser.parse_args()
    if given.part == "made":
        print(json.dumps(made(str(given.paths[0]))))
        return
    if given.part == "table":
        name, found = f"table {given.paths[0].name if given.paths else 'sales'}", table(given.paths[0] if given.paths else None)
    else:
        name, found = "sets", (sets if given.part == "sets" else counted)(given.paths, given.out)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {name: found}, indent=1) + "\n")
    print(json.dumps({k: v for k, v in found.items() if k != "of"}, indent=1))


if __name__ == "__main__":
    main()
