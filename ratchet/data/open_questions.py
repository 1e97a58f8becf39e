"""Multiple choice made into open questions, in the steps of Big-Math (arXiv 2502.17387, sec. 4): extract, rewrite, check, verify.

*Extract*: the question without its options, the options, the right one. *Rewrite*: by rules, or by a model that is given as a function
from a prompt to a reply. *Check*: the new question stands by itself, asks for one value, tells neither options nor answer, and has every
number of the old one. *Verify*: the right option's text passes the verifier of mathematics as the new answer, and each other option and
each letter fails: so the answer is preserved, and a guessed letter is worth nothing.

Departures: the paper rewrites and checks by language models throughout. Here the rules do both without one, and turn down more.
Nothing that a model wrote is run; its question goes through the same checks, and its numbers must be those of the old question.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from string import ascii_uppercase

from ratchet.core.types import Outcome, Task
from ratchet.data.answers import normalised, unparsable
from ratchet.data.choices import Choice, choice_of
from ratchet.data.filters import Row
from ratchet.verify.verifier import verifiers

Rewrite = Callable[[Choice], str]
"""(choice) -> the question as an open one; it raises Refused."""


class Refused(Exception):
    """The row cannot be made into an open question; the message is why."""


WHICH = re.compile(
    r"\b(which|what)(?:\s+one)?\s+of\s+(?:the\s+)?(?:following|these|below|above|options|choices)(?:\s+(?:numbers?|values?|expressions?|options|"
    r"choices|answers?|amounts?|fractions?|quantities))?\s+(is|are|equals?|gives?|represents?|shows?|was)\b",
    re.IGNORECASE,
)
ORDERS = re.compile(
    r"\s*\(?\b(?:choose|select|pick|mark|circle|indicate)\b[^.?!]*\b(?:options?|choices?|answers?|letters?|alternatives?|one|below|following)\b"
    r"[^.?!]*(?:[.!:)]+|$)",
    re.IGNORECASE,
)
STILL = re.compile(
    r"(?:^|[.?!:,]\s+|\bthen\s+)(?:which|whichever)\b|\b(?:of|from|among)\s+the\s+(?:following|options|choices|below)\b|\bof\s+these\b|"
    r"\bfollowing\s*(?:\?|is|are)|\b(?:options?|choices?|alternatives?)\b|\bexample\s+of\b|"
    r"\b(?:best|closest|nearest\s+to|statements?|true|false|correct|except|is\s+not|are\s+not|approx\w*|roughly|estimate\w*|nearly)\b"
    r"(?=[^.]*\?|[^.]*[.:]?\s*$)",
    re.IGNORECASE,
)
SEVERAL = re.compile(
    r"\bwhat\s+(?:is|are)\s+an?\s+[a-z]{3,}|\b(?:which|what)\b[^.?]*\b(?:could|can|might|may|must|cannot)\s+be\b|\b(?:could|can|might|may|must|cannot)\s+be\s*:?\s*$",
    re.I,
)
EXTREME = re.compile(r"\b(?:smallest|largest|least|greatest|most|fewest|maximum|minimum|how\s+(?:many|much))\b", re.IGNORECASE)
ABOVE = re.compile(
    r"\b(?:none|all|both|neither|either|cannot be determined|not enough|insufficient)\b|\babove\b|^\s*[A-E]\s+(?:and|or)\s+[A-E]\b",
    re.I,
)
ASKS = re.compile(
    r"\?|\b(?:find|compute|calculate|evaluate|determine|what|how|solve|simplify|estimate|round|write|express|convert|multiply|divide|subtract|"
    r"add|reduce|which)\b|_{2,}|=\s*$|\b(?:is|are|was|equals?|by|of|to)\s*:?\s*$",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def by_rules(choice: Choice) -> str:
    """The question without what speaks of its options. "Which of the following is 3 + 4?" becomes "What is 3 + 4?"."""
    text = ORDERS.sub("", choice.stem).strip()
    text = WHICH.sub(lambda m: f"{'What' if m[1][0].isupper() else 'what'} {m[2]}", text).strip(" :")
    if text and text[-1] not in ".?!_=$" and re.search(r"\b(?:is|are|was|equals?|by|of|to)$", text):
        return f"{text} what value?"
    return text


PROMPT = """Rewrite this multiple-choice question as an open question that can be answered without seeing any options.
Keep every number, unit and condition exactly as it is. Do not add information, do not tell the answer, do not mention options.
If it makes no sense without its options, reply with the single word IMPOSSIBLE.
Reply with the question alone, on one line.

Question: {stem}
Options: {options}"""
SAME = """Do these two questions ask for the same value, so that a right answer to one is a right answer to the other?
First: {first}
Second: {second}
Reply with the single word YES or NO."""


def by_model(ask: Callable[[str], str]) -> Rewrite:
    """A rewriter that asks a model twice: for the question, and whether it is the same one. `ask` is an endpoint or `LocalAsk`."""

    def rewrite(choice: Choice) -> str:
        reply = ask(PROMPT.format(stem=choice.stem, options="; ".join(choice.options))).strip()
        if not reply or "\n" in reply or reply.strip(".").upper() == "IMPOSSIBLE":
            raise Refused("the model gave no open question")
        if Counter(NUMBER.findall(reply)) != Counter(NUMBER.findall(choice.stem)):
            raise Refused("the model's question has other numbers")
        if ask(SAME.format(first=choice.stem, second=reply)).strip(" .!").upper() != "YES":
            raise Refused("the model does not find its question the same")
        return reply

    return rewrite


def opened(row: Row, rewrite: Rewrite = by_rules) -> Row:
    """The row as an open question whose answer is the right option's text. Refused with the step that turned it down."""
    choice = choice_of(row)
    if choice is None:
        raise Refused("extract: its options cannot be told from the question")
    if choice.right is None:
        raise Refused("extract: which option is right is not known")
    right = choice.options[choice.right]
    question = rewrite(choice)
    check(question, right)
    verify(choice, right)
    facts = {"options": list(choice.options), "was": "multiple choice"}
    return Row(question, normalised(right), (), row.where, {**row.facts, **facts})


def check(question: str, right: str) -> None:
    if not ASKS.search(question):
        raise Refused("check: without its options it asks for nothing")
    last = re.split(r"(?<=[.!?])\s+", question.strip())[-1]
    if STILL.search(last) or (SEVERAL.search(last) and not EXTREME.search(last)):
        raise Refused("check: it cannot be answered without its options")
    if ABOVE.search(right):
        raise Refused("check: the right option speaks of the others")
    if len(right) > 2 and not right.isdigit() and right.casefold() in question.casefold():
        raise Refused("check: the answer stands in the question")


def verify(choice: Choice, right: str) -> None:
    why = unparsable(right)
    if why or not re.search(r"\d|\\|[a-z]\^|[a-z][+*/=-]|^[a-z]$", right):
        raise Refused(f"verify: the right option is no value ({why or 'words'})")
    task, judge = Task("curate", "", normalised(right), "math"), verifiers["math"]
    if not judge(task, f"\\boxed{{{right}}}").passed:
        raise Refused("verify: the right option does not pass as the answer")
    wrong = [o for i, o in enumerate(choice.options) if i != choice.right]
    letters = [] if len(right.strip()) == 1 and right.strip().isalpha() else list(ascii_uppercase[: len(choice.options)])
    if any(judge(task, f"\\boxed{{{text}}}").outcome is Outcome.PASS for text in (*wrong, *letters)):
        raise Refused("verify: another option passes as the answer")
