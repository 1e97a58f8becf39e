"""Exact text answers: equal to the gold, or to one of several golds, after trimming, case and blanks are folded."""

from __future__ import annotations

import unicodedata

from ratchet.core.types import Task, Verdict
from ratchet.verify.extract import answer_of, trim
from ratchet.verify.verifier import Verifier, failed, passed, verifiers


def fold(text: str) -> str:
    """NFKC is not applied: a look-alike digit is another answer. The gold is trimmed as an answer is."""
    return " ".join(unicodedata.normalize("NFC", trim(text)).casefold().split())


def judge(task: Task, answer: str) -> Verdict:
    golds = task.answer if isinstance(task.answer, (list, tuple)) else [task.answer]
    if fold(answer) in {fold(str(g)) for g in golds}:
        return passed("equal to the gold answer")
    return failed(f"{answer[:60]!r} is not {str(golds[0])[:60]!r}")


verifiers.put("exact", Verifier(answer_of, judge), summary=__doc__)
