"""Are the hidden tests of MBPP and HumanEval strong enough to be a reward?

    python -m benchmarks.code_mutants [--data ../shared/data] [--wardens 2] [--first 20]

Every reference must pass. Then mistakes are put into each reference (`mutations.py`), one at a time, until five such programs
have failed or `MOST` were tried. For each that passes, an input is looked for on which it differs from its reference
(`differ.py`): found, the tests are too weak; not found, it may be equivalent. All of these are listed, with the input, in
results/code-mutants.json. All programs run in the sandbox. A run that was interrupted goes on with the same command.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.mutations import Mutant, mutants
from ratchet.core.errors import RatchetError, TaskError
from ratchet.core.files import finite, write_text
from ratchet.core.journal import Journal
from ratchet.core.seeds import rng, seed
from ratchet.core.types import Outcome, Task
from ratchet.measure.estimate import mean
from ratchet.tasks.family import Source
from ratchet.verify.code import by_asserts
from ratchet.verify.sandbox.languages import Compiler
from ratchet.verify.sandbox.runs import Limits
from ratchet.verify.sandbox.sandbox import Program, Sandbox

DATA = {"humaneval": "code_humaneval/HumanEval_0_81.jsonl.gz", "mbpp": "code_mbpp/mbpp.jsonl.gz"}
WANTED, MOST = 5, 40
SECONDS = 1.5  # of processor time, for mutants of a reference that takes less than half of it; else those of the task
SEARCH = 1.0  # seconds of processor time in which a difference is looked for
RESULT = Path(__file__).parent / "results" / "code-mutants.json"


Problem = dict[str, Any]
"""What came out for one task, as it is kept: `failed` mutants by kind; `passed` ones with what is known of them."""


def look(family: str, task: Task, bench: Compiler) -> Problem:
    """The reference, mutants until enough have failed, and what is known of those that passed."""
    before, entry = task.facts.get("before", ""), task.facts["entry"]
    limits = Limits(SECONDS)
    begun = time.monotonic()
    verdict = by_asserts(bench, before + task.answer, task.facts, Limits(SECONDS / 2))
    if verdict.outcome is not Outcome.PASS:
        limits = Limits(**task.facts["limits"])
        verdict = by_asserts(bench, before + task.answer, task.facts, limits)
    took = time.monotonic() - begun
    problem = {"family": family, "task": task.key, "entry": entry, "seconds": took, "failed": [], "passed": [], "unclear": []}
    if verdict.outcome is not Outcome.PASS:
        return {**problem, "reference": f"{verdict.outcome}: {verdict.evidence}"}
    for tried, mutant in enumerate(mutants(task.answer, rng("mutants", task.key)), start=1):
        verdict = by_asserts(bench, before + mutant.code, task.facts, limits)
        if verdict.outcome is Outcome.FAIL:
            problem["failed"].append(mutant.kind)
        elif verdict.outcome is Outcome.ABSTAIN:
            problem["unclear"].append({"kind": mutant.kind, "edit": edit(task, mutant), "why": verdict.evidence})
        else:
            found = difference(task, mutant, bench.sandbox)
            problem["passed"].append({"kind": mutant.kind, "edit": edit(task, mutant), "found": found})
        if len(problem["failed"]) >= WANTED or tried >= MOST:
            break
    return problem


def difference(task: Task, mutant: Mutant, sandbox: Sandbox) -> Mapping[str, str] | None:
    """An input on which the mutant differs from the reference, None where none was found."""
    before = task.facts.get("before", "")
    program = Program(
        {"differ.py": (Path(__file__).parent / "differ.py").read_bytes()}, limits=Limits(2 * SEARCH + 4, processes=4)
    )
    given = {
        "reference": before + task.answer, "mutants": [before + mutant.code], "entry": task.facts["entry"],
        "setup": task.facts.get("setup", ""), "tests": task.facts["asserts"], "seconds": SEARCH, "seed": seed("differ", task.key),
    }  # fmt: skip
    lines = sandbox.run(program, json.dumps(given).encode()).stdout.decode().splitlines()
    return json.loads(lines[0]) if lines else None


def edit(task: Task, mutant: Mutant) -> str:
    """The lines that differ from the reference."""
    lines = [ast.unparse(ast.parse(code)).splitlines() for code in (task.answer, mutant.code)]
    changed = [line.strip() for line in difflib.ndiff(*lines) if line[:1] in "+-"]
    return " | ".join(f"{line[0]} {line[1:].strip()}" for line in changed)


def told(family: str, problems: Sequence[Problem]) -> dict[str, Any]:
    """What is kept of a family."""
    right = [p for p in problems if "reference" not in p]
    passed = [(p, m) for p in right for m in p["passed"]]
    weak = [(p, m) for p, m in passed if m["found"]]
    failed = [(p, kind) for p in right for kind in p["failed"]]
    shown = [(p["task"], 0.0) for p, _ in failed] + [(p["task"], 1.0) for p, _ in weak]
    kinds = Counter([kind for _, kind in failed] + [m["kind"] for _, m in passed])
    missed = Counter(m["kind"] for _, m in weak)
    different = {p["task"]: len(p["failed"]) + sum(bool(m["found"]) for m in p["passed"]) for p in right}
    return {
        "family": family,
        "problems": len(problems),
        "references_that_pass": len(right),
        "references_that_do_not_pass": [{"entry": p["entry"], "why": p["reference"]} for p in problems if "reference" in p],
        "slowest_reference_seconds": round(max(p["seconds"] for p in problems), 2),
        "mutants": len(failed) + len(passed),
        "fail": len(failed),
        "pass_and_are_different": len(weak),
        "pass_and_are_not_shown_different": len(passed) - len(weak),
        "share_of_different_ones_that_pass": mean([v for _, v in shown], [t for t, _ in shown], unit="problems") if shown else None,
        "problems_with_tests_too_weak": len({p["task"] for p, _ in weak}),
        "problems_with_fewer_than_five_shown_different": [
            {"entry": p["entry"], "tried": len(p["failed"]) + len(p["passed"]), "different": different[p["task"]]}
            for p in right if different[p["task"]] < WANTED
        ],
        "kinds": {kind: {"tried": n, "pass_and_are_different": missed[kind]} for kind, n in kinds.most_common()},
        "unclear": [{"entry": p["entry"], **m} for p in right for m in p["unclear"]],
        "too_weak": [{"entry": p["entry"], "kind": m["kind"], "edit": m["edit"], **m["found"]} for p, m in weak],
        "not_shown_different": [{"entry": p["entry"], "kind": m["kind"], "edit": m["edit"]} for p, m in passed if not m["found"]],
    }  # fmt: skip


def written(families: Iterable[Mapping[str, Any]]) -> str:
    """JSON with one line for each entry of a long list, so that a change of one shows as one."""
    blocks: list[str] = []
    for family in families:
        fields: list[str] = []
        for name, value in finite(family).items():
            rows = (
                ",\n".join(f"   {json.dumps(v, ensure_ascii=False)}" for v in value) if isinstance(value, list) and value else ""
            )
            fields.append(f"  {json.dumps(name)}: [\n{rows}\n  ]" if rows else f"  {json.dumps(name)}: {json.dumps(value)}")
        blocks.append(" {\n" + ",\n".join(fields) + "\n }")
    return "[\n" + ",\n".join(blocks) + "\n]\n"


def run(family: str, tasks: Sequence[Task], bench: Compiler, wardens: int, journal: Journal) -> dict[str, Any]:
    """Every problem that the journal does not hold yet, in any order; each is written down as it ends."""
    done = {p["task"] for p in journal.entries}
    with ThreadPoolExecutor(wardens) as threads:
        waiting = [threads.submit(look, family, task, bench) for task in tasks if task.key not in done]
        for number, future in enumerate(as_completed(waiting), start=1):
            journal.append("problem", **future.result())
            if number % 25 == 0:
                print(f"{family}: {number} of {len(waiting)}", file=sys.stderr, flush=True)
    order = {task.key: place for place, task in enumerate(tasks)}
    return told(family, sorted((p for p in journal.entries if p["task"] in order), key=lambda p: order[p["task"]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parent.parent.parent / "shared" / "data")
    parser.add_argument("--wardens", type=int, default=2, help="how many programs run at once")
    parser.add_argument("--first", type=int, default=None, metavar="N", help="only the first N problems of each set")
    parser.add_argument("--out", type=Path, default=RESULT, help="the result; beside it a .journal, from which a run goes on")
    options = parser.parse_args()
    try:
        tasks = {family: tasks_of(family, options.data / name)[: options.first] for family, name in DATA.items()}
        journal = Journal(options.out.with_suffix(".journal"))
        with Sandbox(options.wardens) as sandbox:
            bench = Compiler(sandbox)
            found = [run(family, of, bench, options.wardens, journal) for family, of in tasks.items()]
    except RatchetError as e:
        raise SystemExit(f"Error: {e}") from None
    for family in found:
        print({k: v for k, v in family.items() if not isinstance(v, list)})
    write_text(options.out, written(found))


def tasks_of(family: str, file: Path) -> list[Task]:
    if not file.is_file():
        raise TaskError(f"{file} does not exist; give the folder that holds {' and '.join(DATA.values())} with --data FOLDER")
    return Source(family, str(file)).tasks or []


if __name__ == "__main__":
    main()
