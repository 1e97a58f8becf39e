"""The worker process of `pool`: reads one task and text per line, answers with one verdict per line. Before a verifier's first
text comes a line with its name, so that what it imports is no part of that text's time.

Run as `python -m ratchet.verify.worker`. It starts without torch, takes no terminal signals and ends with its parent.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ratchet.core.errors import RatchetError
from ratchet.core.processes import end_with_parent, own_channel
from ratchet.core.types import Task, Verdict
from ratchet.verify.verifier import abstained, failed, find

READY = "ready"
LONGEST_TEXT = 200_000  # characters
LONGEST_REPLY = 300


def load(name: str) -> dict[str, str]:
    """What a verifier needs, imported; why not, where it says so itself. Any other error it will meet again in judging."""
    try:
        prepare = getattr(find(name), "load", None)
        if prepare is not None:
            prepare()
    except RatchetError as e:
        return {"loaded": name, "error": str(e)}
    except Exception as e:
        return {"loaded": name, "later": type(e).__name__}
    return {"loaded": name}


def judge(item: dict[str, Any]) -> dict[str, Any]:
    task = Task(**item["task"])
    start = time.perf_counter()
    try:
        verifier = find(task.verifier)
        if len(item["text"]) > LONGEST_TEXT:
            verdict = failed(f"the text is longer than {LONGEST_TEXT} characters")
        else:
            verdict: Any = verifier(task, item["text"])
        if not isinstance(verdict, Verdict):
            verdict = abstained(f"the verifier returned {type(verdict).__name__}, not a Verdict")
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
    end_with_parent()
    questions, replies = own_channel()
    print(READY, file=replies, flush=True)
    for line in questions:
        item = json.loads(line)
        print(json.dumps(load(item["load"]) if "load" in item else judge(item)), file=replies, flush=True)


if __name__ == "__main__":
    main()
