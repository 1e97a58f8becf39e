"""The worker process of `pool`: reads one task and text per line, answers with one verdict per line.

Run as `python -m ratchet.verify.worker`. It starts without torch, takes no terminal signals and ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from ratchet.core.types import Task
from ratchet.verify.verifier import abstained, find

LONGEST_TEXT = 200_000  # characters
LONGEST_REPLY = 300


def judge(item: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    task = Task(**item["task"])
    try:
        if len(item["text"]) > LONGEST_TEXT:
            verdict = abstained(f"the text is longer than {LONGEST_TEXT} characters")
        else:
            verdict = find(task.verifier)(task, item["text"])
    except Exception as e:  # a verifier's own bug is an abstention with its name, never a failed answer
        verdict = abstained(f"the verifier raised {type(e).__name__}: {str(e)[:200]}")
    return {
        "outcome": str(verdict.outcome),
        "evidence": verdict.evidence[:LONGEST_REPLY],
        "answer": verdict.answer[:LONGEST_REPLY] if verdict.answer is not None else None,
        "score": verdict.score,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    replies = sys.stdout
    sys.stdout = sys.stderr  # a verifier that prints must not speak in our protocol
    for line in sys.stdin:
        replies.write(json.dumps(judge(json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
