"""What the study mle-smith measures: tasks made of small tables, faults put into them, slips in their making, solvers on them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.core.errors import SmithError
from ratchet.core.seeds import rng
from ratchet.smith import checking, making
from ratchet.smith.faults import faults
from ratchet.smith.fidelity import Scores, correlation, solved
from ratchet.smith.formulation import Dataset, Formulation
from ratchet.smith.leaks import Package
from ratchet.smith.roles import Rules
from ratchet.studies import by_hand
from ratchet.studies.slips import DESCRIBED, SHOWS, Slip
from ratchet.studies.study import Say

if TYPE_CHECKING:
    from ratchet.verify.sandbox.sandbox import Sandbox


@dataclass(frozen=True)
class Sizes:
    """`most` tasks of `tries` candidates from each of `data`; `faults` put into one task of each, and `slips` into its making;
    `splits` other splits of each accepted task, which should be accepted too; `hand` tasks written by hand."""

    data: tuple[str, ...] = ("iris", "wine", "breast_cancer", "diabetes", "digits", "linnerud")
    most: int = 6
    tries: int = 12
    faults: tuple[str, ...] = tuple(e.name for e in faults)
    slips: int = 6
    splits: int = 2
    hand: tuple[str, ...] = tuple(e.name for e in by_hand.tasks)


QUICK = Sizes(("iris",), 1, 2, ("constant target",), 1, 1, ("sex of a penguin",))


# ---- raw data, and tasks made of it ------------------------------------------------------------------------------


def raw(name: str, home: Path) -> Path:
    """A folder with one of the tables that scikit-learn brings, as a file."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame
    if name in ("iris", "wine", "breast_cancer"):
        frame = frame.assign(target=[str(bunch.target_names[int(t)]) for t in frame["target"]])
    folder = home / "raw" / name
    folder.mkdir(parents=True)
    frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def formulations(data: Dataset, home: Path, names: Sequence[str]) -> Iterator[Formulation]:
    """Of tasks that were accepted, as they were in the end."""
    every = {f.name: f for f in Rules().brainstorm(data)}
    for name in names:
        task = checking.read_task(home / data.name / name)
        yield replace(every[name], features=tuple(task["features"]), dropped=task["dropped"], metric=task["metric"]["name"])


class Bench:
    """Everything of one seed: the raw folders, the tasks made of them, and a room to run them in."""

    def __init__(self, home: Path, sizes: Sizes, say: Say) -> None:
        self.home, self.raw = home, {name: raw(name, home) for name in sizes.data}
        self.data: dict[str, Dataset] = {}
        self.kept: list[tuple[str, Formulation]] = []
        for name, folder in self.raw.items():
            made = making.make(folder, home / "tasks", lambda line: None, most=sizes.most, tries=sizes.tries)
            self.data[name] = making.understood(folder)
            self.kept += [(name, f) for f in formulations(self.data[name], home / "tasks", made["accepted"])]
            say(f"{name}: {len(made['accepted'])} tasks")

    def one_of_each(self, seed: int) -> list[tuple[str, Formulation]]:
        """A task of each data set that gave any, by chance."""
        by_data: dict[str, list[Formulation]] = {}
        for name, f in self.kept:
            by_data.setdefault(name, []).append(f)
        return [(name, rng("mle-smith", seed, "chosen", name).choice(own)) for name, own in by_data.items()]

    def folder(self, name: str, f: Formulation) -> Path:
        return self.home / "tasks" / name / f.name

    def copy(self, name: str, f: Formulation, label: str) -> Path:
        target = self.home / label / name / f.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder(name, f), target)
        return target

    def spoiled(self, name: str, f: Formulation, fault: str, label: str) -> Path | None:
        """A copy with the fault in it; None where this task cannot have it."""
        folder = self.copy(name, f, label)
        return folder if faults[fault](Package(folder, checking.read_task(folder))) else None


# ---- what is measured --------------------------------------------------------------------------------------------


def contract(bench: Bench, sandbox: Sandbox) -> dict[str, Any]:
    """Every accepted task, verified again from its files: two runs, perfect and broken submissions, the sample."""
    reports = [checking.check(bench.folder(n, f), sandbox, bench.raw[n]) for n, f in bench.kept]
    return {"tasks": len(reports), "whole": sum(r.accepted for r in reports), "kinds": sorted({f.kind for _, f in bench.kept})}


def recall(bench: Bench, sandbox: Sandbox, chosen: Sequence[tuple[str, Formulation]], kinds: Sequence[str]) -> dict[str, Any]:
    """Faults put into finished tasks: how many verification finds."""
    found: dict[str, list[bool]] = {}
    for name, f in chosen:
        for fault in kinds:
            folder = bench.spoiled(name, f, fault, "spoiled")
            if folder is not None:
                found.setdefault(fault, []).append(not checking.check(folder, sandbox, bench.raw[name]).accepted)
    return {fault: [sum(hits), len(hits)] for fault, hits in found.items()}


def clean(bench: Bench, sandbox: Sandbox, splits: int, seed: int) -> dict[str, Any]:
    """The same tasks under splits drawn anew: how many verification turns down although nothing is wrong."""
    refused: list[str] = []
    tried = 0
    for name, f in bench.kept:
        for i in range(splits):
            again = replace(f, split=f.split | {"seed": rng("mle-smith", seed, f.name, i).randrange(1 << 30)})
            report, _ = making.attempt(bench.data[name], again, bench.home / "clean" / f.name, bench.raw[name], sandbox, Once())
            tried += 1
            refused += [] if report.accepted else [f"{f.name}: {report.problems[0].check}: {report.problems[0].what}"[:200]]
    return {"tried": tried, "refused": refused}


class Once(Rules):
    """The rules, who do not mend."""

    def reformulate(self, data: Dataset, f: Formulation, wrong: checking.Problem) -> Formulation | None:
        return None


def repaired(
    bench: Bench, sandbox: Sandbox, chosen: Sequence[tuple[str, Formulation]], sizes: Sizes, seed: int
) -> dict[str, list[int]]:
    """Roles slip one fault into a task in the making: how many tasks are accepted in the end, by fault."""
    found: dict[str, list[int]] = {}
    for name, f in chosen:
        known = [fault for fault in SHOWS if fault in sizes.faults or fault == DESCRIBED]
        kinds = [fault for fault in known if fault == DESCRIBED or bench.spoiled(name, f, fault, "fits") is not None]
        for fault in rng("mle-smith", seed, "slips", name).sample(kinds, min(sizes.slips, len(kinds))):
            roles = Slip(fault)
            report, _ = making.attempt(bench.data[name], f, bench.home / "slips" / f.name, bench.raw[name], sandbox, roles)
            hits = found.setdefault(fault, [0, 0])
            hits[0] += report.accepted and bool(roles.told)
            hits[1] += 1
    return found


def rated(bench: Bench, sandbox: Sandbox, sizes: Sizes, seed: int, say: Say) -> dict[str, list[Scores]]:
    """Solvers' scores on tasks written by hand, on those generated, and on those with a fault each that nobody verified."""
    scores: dict[str, list[Scores]] = {"by hand": [], "generated": [], "faulty": []}
    for name in sizes.hand:
        scores["by hand"].append(solved(by_hand.written(name, bench.home / "hand"), sandbox))
    say("solvers rated by hand-written tasks")
    for name, f in bench.kept:
        scores["generated"].append(solved(bench.folder(name, f), sandbox))
        for fault in rng("mle-smith", seed, "faulty", name, f.name).sample(sizes.faults, len(sizes.faults)):
            folder = bench.spoiled(name, f, fault, "faulty")
            if folder is None:
                continue
            try:
                scores["faulty"].append(solved(folder, sandbox))
            except SmithError:  # nobody can play it
                continue
            break
    return scores


def without(scores: dict[str, list[Scores]], rounds: int) -> dict[str, float]:
    """What leaving verification out costs in correlation; its 95 % over resampled tasks, the same ones with and without."""
    random = np.random.default_rng(0)
    clean, faulty, hand = scores["generated"], scores["faulty"], scores["by hand"]
    cost = lambda g, f, h: correlation([clean[i] for i in g], h) - correlation([clean[i] for i in g] + [faulty[i] for i in f], h)
    draw = lambda n: random.integers(n, size=n)
    drawn = [cost(draw(len(clean)), draw(len(faulty)), [hand[i] for i in draw(len(hand))]) for _ in range(rounds)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": cost(range(len(clean)), range(len(faulty)), hand), "low": float(low), "high": float(high)}
