"""What the study agnostics rests on: an oracle that knows Lua from OCaml, programs that differ as they should, a clear refusal."""

from __future__ import annotations

import pytest

from ratchet.core.errors import StudyError
from ratchet.studies.agnostics import OCAML, tools
from ratchet.studies.hostile_programs import AWK, FRAMES, KINDS, program
from ratchet.studies.one_liner_oracle import printed
from ratchet.tasks.family import Source
from ratchet.tasks.one_liners import PAIRS, SPELLINGS, gold
from ratchet.verify.sandbox import languages

VALUES = {
    "x - 3 * y": lambda x, y: x - 3 * y,
    "- x - - 3": lambda x, y: -x + 3,
    "( x - y ) * 2 - 1": lambda x, y: (x - y) * 2 - 1,
}


@pytest.mark.parametrize("language", ["lua", "ocaml"])
def test_the_oracle_reads_right_programs_and_precedence(language: str) -> None:
    for task in Source("one-liners", knobs={"language": language}).take("train", 50, "test"):
        assert printed(language, gold(task)) == task.answer
    for body, value in VALUES.items():
        spelling = SPELLINGS[language]
        text = f"{spelling.head} {body} {spelling.tail}"
        assert printed(language, text) == "".join(f"{value(x, y)}\n" for x, y in PAIRS)


@pytest.mark.parametrize(
    ("language", "body", "value"),
    [
        ("lua", "( x - 9 ) // 4", lambda x, y: (x - 9) // 4),
        ("ocaml", "( x - 9 ) / 4", lambda x, y: int((x - 9) / 4)),
        ("lua", "( x - 9 ) % 4", lambda x, y: (x - 9) % 4),
        ("ocaml", "( x - 9 ) mod 4", lambda x, y: (x - 9) - 4 * int((x - 9) / 4)),
        ("lua", "x , y", lambda x, y: x),
        ("lua", "( math.max ) ( x , y , 5 )", lambda x, y: max(x, y, 5)),
        ("lua", "math.max ( x )", lambda x, y: x),
        ("lua", "x , add", lambda x, y: x),
        ("ocaml", "max x ( - 3 )", lambda x, y: x),
        ("ocaml", "( + ) x 3", lambda x, y: x + 3),
        ("ocaml", "( max x ) y", lambda x, y: max(x, y)),
        ("lua", "x y", None),
        ("lua", "3 ( x )", None),
        ("lua", "x ( 3 )", None),
        ("lua", "add + x", None),
        ("lua", "math.max", None),
        ("lua", "math.max ( )", None),
        ("lua", "x // 0", None),
        ("lua", "+ x", None),
        ("lua", "x end) ( y", None),
        ("ocaml", "max x", None),
        ("ocaml", "max x - 3", None),
        ("ocaml", "x y", None),
        ("ocaml", "x / 0", None),
        ("ocaml", "max x y 3", None),
        ("ocaml", "x +", None),
        ("ocaml", "add x", None),
    ],
)  # fmt: skip
def test_the_oracle_knows_each_languages_own_ways(language: str, body: str, value: object) -> None:
    spelling = SPELLINGS[language]
    said = printed(language, f"{spelling.head} {body} {spelling.tail}".strip())
    if value is None:
        assert said is None or said.startswith("(")
    else:
        assert said == "".join(f"{value(x, y)}\n" for x, y in PAIRS)  # type: ignore[operator]


def test_a_second_program_on_the_line_reads_nothing_but_must_compile() -> None:
    head = SPELLINGS["ocaml"].head
    first = printed("ocaml", f"{head} x")
    assert printed("ocaml", f"{head} x {head} y / 0") == first
    assert printed("ocaml", f"{head} x {head} max") is None


def test_every_kind_of_program_is_another_one() -> None:
    [task] = Source("one-liners").take("train", 1, "test")
    for name in FRAMES:
        texts = {program(name, task, kind, 4_000) for kind in KINDS}
        assert len(texts) == len(KINDS) and not any(place in t for t in texts for place in ("FIRST", "AFTER", "VALUE", "PORT"))


def test_the_new_language_is_a_short_file() -> None:
    assert len(AWK.splitlines()) <= 12 and len(OCAML.splitlines()) <= 12 and "awk" not in languages.names()


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "SEARCHED", ("/nowhere",))
    with pytest.raises(
        StudyError, match=r"not installed: .*gfortran.*lua5\.4.*; apt-get install .*gcc gfortran lua5\.4 ocaml-nox r-base-core"
    ):
        tools()
