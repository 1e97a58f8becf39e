"""Language: a question must be in English, by the words that English questions are held together with.

No list of other languages is needed: a third of the words of English prose are among these, and of any other language few are.
"""

from __future__ import annotations

import re
import unicodedata

from ratchet.data.filters import Drop, Filter, Row, examples, filters

# those that are words of a neighbouring language too (in, is, of, are, was, so, also, an, no, on, as, he, we, me, per) are left out
MET = """the and were be been being to for with by from that this these those which who whose what when where how many much if
then than it its his her their they she him them our you your my at each every all both or not but have had having will
would can could should does did do done there into onto between about after before during until while since more less
most least same other another only such any some very find value number given let suppose solve simplify evaluate
compute calculate determine express write factor graph using answer following equation"""
ENGLISH = frozenset(MET.split())
# formulas, programs of figures and the names of commands are in no language
NO_PROSE = re.compile(
    r"\[asy\].*?\[/asy\]|\$\$.*?\$\$|\$[^$]*\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\[A-Za-z]+|https?://\S+",
    re.DOTALL,
)
WORD = re.compile(r"[^\W\d_]{2,}")
ENOUGH = 6  # words, from which on their kinds tell a language


def find(row: Row, *, english: float = 0.08, foreign: float = 0.2) -> Drop | None:
    """Drop where fewer than `english` of the words are words of English questions, or over `foreign` of the letters no Latin ones."""
    prose = NO_PROSE.sub(" ", row.question)
    letters = [c for c in prose if c.isalpha()]
    other = [c for c in letters if not unicodedata.name(c, "").startswith(("LATIN", "GREEK", "MATHEMATICAL"))]
    if len(other) > foreign * len(letters):
        return Drop("the question is not in English: its letters", "".join(other[:20]))
    words = WORD.findall(prose.casefold())
    share = sum(w in ENGLISH for w in words) / max(len(words), 1)
    if len(words) >= ENOUGH and share < english:
        return Drop("the question is not in English: its words", " ".join(words[:12]))
    return None


filters.put(
    "language",
    Filter(
        find,
        examples(
            "小明有5个苹果，又买了7个，他现在一共有多少个苹果？",
            "Un tren recorre 120 kilómetros en dos horas. ¿Cuántos kilómetros recorre en cinco horas a la misma velocidad?",
            "Ein Bauer hat 17 Kühe und kauft noch 5 dazu. Wie viele Kühe hat er jetzt insgesamt auf seinem Hof?",
        ),
    ),
    paper="arXiv 2502.17387",
    summary=__doc__,
)
