"""Are the hidden tests of MBPP and HumanEval strong enough to be a reward?

    python -m benchmarks.code_mutants [--data ../shared/data] [--wardens 2] [--only mbpp:5]

Every reference must pass. Then mistakes are put into each reference (`mutations.py`), one at a time, until five such programs
have failed or `MOST` were tried. For each that passes, an input is looked for on which it differs from its reference
(`differ.py`): found, the tests are too weak; not found, it may be equivalent. All of these are listed, with the input, in
results/code-mutants.json. All programs run in the sandbox.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.mutations import Mutant, mutants
from ratchet.core.errors import RatchetError, TaskError
from ratchet.core.files import finite, write_text
from ratchet.core.seeds import rng, seed
from ratchet.core.types import Estimate, Outcome, Task
from ratchet.measure.estimate import mean
from ratchet.tasks.family import Source
from ratchet.verify.code import by_asserts
from ratchet.verify.sandbox.languages import Compiler
from ratchet.verify.sandbox.runs import Limits
from ratchet.verify.sandbox.sandbox import Program, Sandbox

DATA = {"mbpp": "code_mbpp/mbpp.jsonl.gz", "humaneval": "code_humaneval/HumanEval_0_81.jsonl.gz"}
WANTED, MOST = 5, 60
SECONDS = 2.0  # of a mutant whose reference takes less than a quarter of this; of the others, those of the task
SEARCH = 2.0  # seconds of processor time in which a difference is looked for
RESULT = Path(__file__).parent / "results" / "code-mutants.json"


@dataclass
class Problem:
    """What came out for one task."""

    task: Task
    reference: str = ""  # why it does not pass
    seconds: float = 0.0
    failed: list[Mutant] = field(default_factory=list)
    passed: list[Mutant] = field(default_factory=list)
    unclear: list[tuple[Mutant, str]] = field(default_factory=list)  # with the reason of the abstention
    found: list[Mapping[str, str] | None] = field(default_factory=list)  # for each that passed, where it differs

    @property
    def different(self) -> int:
        return len(self.failed) + sum(f is not None for f in self.found)


def look(task: Task, bench: Compiler) -> Problem:
    """The reference, mutants until enough have failed, and what is known of those that passed."""
    problem = Problem(task)
    before = task.facts.get("before", "")
    limits = Limits(**task.facts["limits"])
    begun = time.monotonic()
    verdict = by_asserts(bench, before + task.answer, task.facts, limits)
    problem.seconds = time.monotonic() - begun
    if verdict.outcome is not Outcome.PASS:
        problem.reference = f"{verdict.outcome}: {verdict.evidence}"
        return problem
    limits = Limits(SECONDS) if problem.seconds < SECONDS / 4 else limits
    for tried, mutant in enumerate(mutants(task.answer, rng("mutants", task.key)), start=1):
        verdict = by_asserts(bench, before + mutant.code, task.facts, limits)
        if verdict.outcome is Outcome.ABSTAIN:
            problem.unclear.append((mutant, verdict.evidence))
        else:
            (problem.passed if verdict.passed else problem.failed).append(mutant)
        if len(problem.failed) >= WANTED or tried >= MOST:
            break
    problem.found = differences(task, problem.passed, bench.sandbox)
    return problem


def differences(task: Task, passed: Sequence[Mutant], sandbox: Sandbox) -> list[Mapping[str, str] | None]:
    """For each mutant an input on which it differs from the reference, None where none was found."""
    before = task.facts.get("before", "")
    program = Program({"differ.py": (Path(__file__).parent / "differ.py").read_bytes()}, limits=Limits(4 * SEARCH, processes=4))
    given = {
        "reference": before + task.answer, "entry": task.facts["entry"], "setup": task.facts.get("setup", ""),
        "tests": task.facts["asserts"], "seconds": SEARCH, "seed": seed("differ", task.key),
    }  # fmt: skip
    found: list[Mapping[str, str] | None] = []
    for mutant in passed:  # one run each: one that takes the run with it must not hide the others' differences
        run = sandbox.run(program, json.dumps({**given, "mutants": [before + mutant.code]}).encode())
        lines = run.stdout.decode().splitlines()
        found.append(json.loads(lines[0]) if lines else None)
    return found


def edit(task: Task, mutant: Mutant) -> str:
    """The lines that differ from the reference."""
    lines = [ast.unparse(ast.parse(code)).splitlines() for code in (task.answer, mutant.code)]
    changed = [line.strip() for line in difflib.ndiff(*lines) if line[:1] in "+-"]
    return " | ".join(f"{line[0]} {line[1:].strip()}" for line in changed)


def entry(problem: Problem, mutant: Mutant) -> dict[str, Any]:
    return {
        "entry": problem.task.facts["entry"],
        "task": problem.task.key,
        "kind": mutant.kind,
        "edit": edit(problem.task, mutant),
    }


def told(family: str, problems: Sequence[Problem]) -> dict[str, Any]:
    """What is kept of a family."""
    tried = [(p, m) for p in problems for m in (*p.failed, *p.passed)]
    weak = [(p, m, f) for p in problems for m, f in zip(p.passed, p.found, strict=True) if f is not None]
    shown = [(p, 0.0) for p in problems for _ in p.failed] + [(p, 1.0) for p, _, _ in weak]
    kinds = Counter(m.kind for _, m in tried)
    missed = Counter(m.kind for _, m, _ in weak)
    share: Estimate | None = mean([v for _, v in shown], [p.task.key for p, _ in shown], unit="problems") if shown else None
    return {
        "family": family,
        "problems": len(problems),
        "references": {"pass": sum(not p.reference for p in problems), "slowest_seconds": round(max(p.seconds for p in problems), 2)},
        "references_that_do_not_pass": [{"entry": p.task.facts["entry"], "why": p.reference} for p in problems if p.reference],
        "mutants": len(tried),
        "fail": sum(len(p.failed) for p in problems),
        "pass_and_are_different": len(weak),
        "pass_and_are_not_shown_different": len(tried) - len(weak) - sum(len(p.failed) for p in problems),
        "share_of_different_ones_that_pass": share,
        "problems_with_tests_too_weak": len({p.task.key for p, _, _ in weak}),
        "problems_with_fewer_than_five_shown_different": [
            {"entry": p.task.facts["entry"], "tried": len(p.failed) + len(p.passed), "different": p.different}
            for p in problems if p.different < WANTED and not p.reference
        ],
        "kinds": {kind: {"tried": n, "pass_and_are_different": missed[kind]} for kind, n in kinds.most_common()},
        "unclear": [{**entry(p, m), "why": why} for p in problems for m, why in p.unclear],
        "too_weak": [{**entry(p, m), **f} for p, m, f in weak],
        "not_shown_different": [entry(p, m) for p in problems for m, f in zip(p.passed, p.found, strict=True) if f is None],
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


def run(family: str, file: Path, most: int | None, bench: Compiler, wardens: int) -> dict[str, Any]:
    tasks = Source(family, str(file)).tasks
    assert tasks is not None
    tasks = tasks[:most]
    problems: list[Problem] = []
    with ThreadPoolExecutor(wardens) as threads:
        for problem in threads.map(lambda task: look(task, bench), tasks):
            problems.append(problem)
            if len(problems) % 50 == 0:
                print(f"{family}: {len(problems)} of {len(tasks)}", file=sys.stderr, flush=True)
    return told(family, problems)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parent.parent.parent / "shared" / "data")
    parser.add_argument("--wardens", type=int, default=2, help="how many programs run at once")
    parser.add_argument("--only", default="", metavar="FAMILY[:N]", help="one family, or its first N problems; nothing is kept")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    only, _, most = options.only.partition(":")
    files = {family: options.data / name for family, name in DATA.items() if not only or family == only}
    try:
        for file in files.values():
            if not file.is_file():
                raise TaskError(
                    f"{file} does not exist; give the folder that holds {' and '.join(DATA.values())} with --data FOLDER"
                )
        if not files or not (most or "1").isdigit():
            raise TaskError(f"--only takes one of {', '.join(DATA)}, or one with a number as mbpp:20, got {options.only!r}")
        with Sandbox(options.wardens) as sandbox:
            found = [run(f, p, int(most) if most else None, Compiler(sandbox), options.wardens) for f, p in files.items()]
    except RatchetError as e:
        raise SystemExit(f"Error: {e}") from None
    for family in found:
        print({k: v for k, v in family.items() if not isinstance(v, list)})
    if not only:
        write_text(options.out, written(found))
    else:
        print(written(found))


if __name__ == "__main__":
    main()
