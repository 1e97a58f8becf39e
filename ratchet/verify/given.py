"""A text that is given word for word: for files of texts that nothing else can judge. Only the text itself passes, blanks folded."""

from __future__ import annotations

from ratchet.core.types import Task, Verdict
from ratchet.verify.verifier import Verifier, failed, passed, verifiers


def folded(text: str) -> str | None:
    return " ".join(text.split()) or None


def judge(task: Task, text: str) -> Verdict:
    return passed("the given text") if text == folded(str(task.answer)) else failed("not the given text")


verifiers.put("given", Verifier(folded, judge), summary=__doc__)
