"""False accepts and false rejects of several graders on the hand-labelled disagreements: the table of docs/verifier-audit.md.

python -m benchmarks.disagreements [VERIFIER ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ratchet.core.types import Outcome, Task
from ratchet.measure.intervals import share_of
from ratchet.verify.pool import VerifierPool

FILE = Path(__file__).parent.parent / "tests" / "data" / "disagreements.jsonl"
GRADERS = ("math", "math-verify", "benchmarks.scorers:reasoning_gym", "exact", "numeric")


def main() -> None:
    rows = [json.loads(line) for line in FILE.read_text().splitlines()]
    print(
        "| grader | false accepts, of wrong answers | false rejects, of right answers | abstained, of all |\n| --- | ---: | ---: | ---: |"
    )
    for grader in sys.argv[1:] or GRADERS:
        with VerifierPool(5.0) as pool:
            verdicts = pool([(Task("audit", r["question"], r["gold"], grader), r["response"]) for r in rows])
        found = [(r["correct"], v.outcome) for r, v in zip(rows, verdicts, strict=True)]

        def share(of: Outcome, labels: tuple[bool, ...]) -> str:
            judged = [outcome is of for label, outcome in found if label in labels]  # noqa: B023
            e = share_of([float(x) for x in judged], [1.0] * len(judged), [str(i) for i in range(len(judged))], 0.95, "answers")
            return f"{sum(judged)} of {len(judged)}: {e.value:.1%} [{e.low:.1%}, {e.high:.1%}]"

        shares = share(Outcome.PASS, (False,)), share(Outcome.FAIL, (True,)), share(Outcome.ABSTAIN, (True, False))
        print(f"| {grader.rpartition(':')[2]} | {' | '.join(shares)} |", flush=True)
        if len(sys.argv) > 1:
            for r, v in zip(rows, verdicts, strict=True):
                if v.outcome is (Outcome.FAIL if r["correct"] else Outcome.PASS):
                    print(f"    gold {r['gold'][:60]!r}, answer {v.answer and v.answer[:80]!r}: {v.outcome}")


if __name__ == "__main__":
    main()
