"""The stream of the study of curation: clean rows, and eleven kinds of faults in wordings that are drawn anew for every seed.

Clean rows are the problems of SVAMP that ship with ratchet, and templates; the evaluation questions are one problem of each of SVAMP's small
families, and templates of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from random import Random
from typing import TypeVar

from ratchet.core.seeds import rng
from ratchet.data.filters import Row
from ratchet.studies import curation_wordings as w
from ratchet.studies.curation_faults import (
    CLAIMS,
    LISTS,
    Edit,
    Item,
    Made,
    dropped_words,
    exact_copies,
    leaked,
    lettered,
    mixed,
    near_copies,
    number_of,
    plain_row,
    renamed,
    sub,
    typos,
    unlike,
)
from ratchet.studies.template_problems import EVALUATION, LOOK_ALIKES, PLAIN, filled, questions, with_stock
from ratchet.tasks.runs import runs, words_of
from ratchet.tasks.word_problems import SAMPLE, svamp

FAMILIES = 80  # of SVAMP's problems of one text, those for the evaluation
SHARED, LONGER = 5, 10  # words in a row that make two stories, or stories with their questions, of one family
LOOKING_ALIKE = 100  # of the clean rows
SHARE = 0.7  # of the wordings of a kind that one seed uses

T = TypeVar("T")
Plain = Iterator[tuple[str, str]]


def some(random: Random, wordings: Sequence[T]) -> Callable[[], T]:
    """Draws from a part of the wordings, so that seeds differ in them too."""
    part = random.sample(list(wordings), max(1, round(SHARE * len(wordings))))
    return lambda: random.choice(part)


# ---- one function per kind ---------------------------------------------------------------------------------------------------


def language(r: Random, plain: Plain) -> Iterator[Made]:
    code = some(r, sorted(w.LANGUAGES))
    while True:
        found, a, b = code(), r.randint(12, 99), r.randint(2, 11)
        yield plain_row(r.choice(w.LANGUAGES[found]).format(a=a, b=b), str(a + b), "language", f"written in {found}")


def multiple_choice(r: Random, plain: Plain) -> Iterator[Made]:
    form, reply = some(r, w.FORMS), some(r, w.CHOICE_REPLIES)
    for question, answer in plain:
        value = number_of(answer)
        if value is None:
            continue
        options = [str(value + d) for d in (0, *r.sample([-7, -3, -2, -1, 1, 2, 4, 10], 3))]
        r.shuffle(options)
        right = options.index(str(value))
        if r.random() < 0.1:
            yield question, "ABCD"[right], tuple(options), {"multiple-choice"}, "options in a field"
            continue
        (before, one, join), said = form(), reply()
        # a letter dressed up is no answer that a verifier could compare
        more = {"unparsable"} if said in ("Option {L}", "{L}) {o}") else set[str]()
        text = f"{question}{before}{lettered(options, one, join)}"
        yield plain_row(text, said.format(L="ABCD"[right], o=value), "multiple-choice", f"{before}{one}{join}", *more)


def true_false(r: Random, plain: Plain) -> Iterator[Made]:
    frame, truth = some(r, w.TRUE_FALSE), some(r, w.TRUTHS)
    while True:
        claim, right = r.choice(CLAIMS)(r)
        made = frame()
        yield plain_row(made.format(c=claim), truth()[not right], "true-false", made)


def yes_no(r: Random, plain: Plain) -> Iterator[Made]:
    frame, end, reply = some(r, w.YES_NO), some(r, w.ENDS), some(r, w.YES_NO_REPLIES)
    for question, answer in plain:
        value, body = number_of(answer), re.split(r"(?<=[.!])\s+", question)
        if value is None or len(body) < 2 or value < 3:
            continue
        (ask, kind), made = end(), frame()
        m, d = max(1, value + r.choice([-2, 1, 5])), r.choice([3, 5, 7])
        right = {1: value > m, -3: m > value, 2: value % 2 == 0, -2: value % 2 == 1, 3: value % d == 0}[kind]
        said = "Yes" if right else "No"
        ask = ask.format(m=m, d=d)
        ask = ask[0].upper() + ask[1:] if re.search(r"(?:\}|[.]) \{q\}|^\{b\} \{q\}", made) else ask
        text, answered = made.format(b=" ".join(body[:-1]), q=ask), reply()
        more = {"unparsable"} if "{v}" in answered else set[str]()  # a sentence
        yield plain_row(text, answered.format(s=said, l=said.lower(), v=value), "yes-no", made, *more)


def proof(r: Random, plain: Plain) -> Iterator[Made]:
    claim, frame, end, reply = some(r, w.CLAIMS_PROVED), some(r, w.PROOF), some(r, w.OF_ANSWER), some(r, w.PROOF_REPLIES)
    for question, answer in plain:
        body = re.split(r"(?<=[.!?])\s+", question)
        if r.random() < 0.6 or len(body) < 2:
            k, made = r.randint(4, 60), frame()
            text = made.format(c=claim().format(k=k, j=k - 1, p=r.choice([2, 3, 6, 7, 10, 11])))
            more = {"yes-no"} if "?" in made else set[str]()
            yield plain_row(text, reply(), "proof", made, "unparsable", *more)
            continue
        made, bare = end(), r.random() < 0.5
        text = f"{' '.join(body[:-1])} {made.format(a=answer if chr(92) not in answer else f'${answer}$')}"
        yield plain_row(text, answer if bare else reply(), "proof", made, *(() if bare else ("unparsable",)))


def multi_part(r: Random, plain: Plain) -> Iterator[Made]:
    frame, second, several = some(r, w.PARTS), some(r, w.SECOND), some(r, w.SEVERAL)
    for question, x in plain:
        value = number_of(x)
        if value is None:
            continue
        body, _, p = question.rpartition(". ")
        made, (q, of), both = frame(), second(), several()
        text = made.format(b=f"{body}." if body else "", p=p, q=q, r=q[0].lower() + q[1:], r0=p[0].lower() + p[1:]).strip()
        # a plain list can be compared; with names of its parts it is no answer that a verifier could
        yield plain_row(text, both.format(x=x, y=of(value)), "multi-part", made, *(() if both in LISTS else ("unparsable",)))


def link(r: Random, plain: Plain) -> Iterator[Made]:
    url, frame = some(r, w.LINKS), some(r, w.LINKED)
    for question, answer in plain:
        found = url()
        yield plain_row(frame().format(u=found.format(n=r.randint(10, 999)), q=question), answer, "link", found)


def unparsable(r: Random, plain: Plain) -> Iterator[Made]:
    kinds = {"placeholder": some(r, w.PLACEHOLDERS), "sentence": some(r, w.SENTENCES), "broken off": some(r, w.BROKEN)}
    for question, answer in plain:
        made = r.choice(sorted(kinds))
        yield plain_row(question, kinds[made]().format(a=answer), "unparsable", made)


KINDS: dict[str, Callable[[Random, Plain], Iterator[Made]]] = {
    "language": language,
    "multiple-choice": multiple_choice,
    "true-false": true_false,
    "yes-no": yes_no,
    "proof": proof,
    "multi-part": multi_part,
    "link": link,
    "unparsable": unparsable,
}
SET_KINDS = ("exact-duplicate", "near-duplicate", "leak")
COPYING: tuple[Edit, ...] = (
    lambda t, _: t,
    lambda t, _: t.upper(),
    lambda t, _: t.lower(),
    lambda t, _: f" {t}\n",
    lambda t, _: re.sub(r"\s", "  ", t),
    lambda t, _: t.rstrip("?."),
    lambda t, _: t.replace(". ", ".\n"),
    lambda t, _: t.replace(",", " ,"),
)
EDITS: tuple[Edit, ...] = (*(sub(*edit) for edit in w.NEAR), typos, dropped_words, partial(renamed, ["Wilma", "Tariq", "Joan"]))


# ---- the stream --------------------------------------------------------------------------------------------------------------


def svamp_families() -> list[list[Row]]:
    """SVAMP's problems by their texts: those that share some words in a row, directly or by others, are one family."""
    rows: list[Row] = []
    stories: list[str] = []
    for i, line in enumerate((SAMPLE / "svamp.jsonl").read_text(encoding="utf-8").splitlines()):
        found = json.loads(line)
        question, answer, _ = svamp(found)
        rows.append(Row(question.replace(" , ", ", "), f"{float(answer):g}", where=f"svamp {i}"))
        stories.append(found["Body"])
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    first: dict[tuple[str, ...], int] = {}
    for i, (story, row) in enumerate(zip(stories, rows, strict=True)):
        for run in (*runs(words_of(story), SHARED), *runs(words_of(row.question), LONGER)):
            parent[root(i)] = root(first.setdefault(run, i))
    families: dict[int, list[Row]] = {}
    for i, row in enumerate(rows):
        families.setdefault(root(i), []).append(row)
    return list(families.values())


def stream(seed: int, clean: int, each: int) -> tuple[list[Item], list[Row]]:
    """The items in the order of a stream, a repeat behind what it repeats, and the evaluation questions, of which the smallest
    families give one problem each."""
    random = rng("big-math", seed, "stream")
    families = svamp_families()
    random.shuffle(families)
    families.sort(key=len)
    against = [random.choice(family) for family in families[:FAMILIES]]
    against += [Row(*filled(t, random)[:2], where=f"made for evaluation {i}") for i, t in enumerate(EVALUATION)]
    plain = questions(random, PLAIN)  # one source for all, so that nothing is repeated that is not meant to be
    rows = clean_rows(random, families[FAMILIES:], plain, clean)
    bad: list[Item] = []
    for name, make in KINDS.items():
        made = unlike(make(rng("big-math", seed, "fault", name), plain))
        for i, (question, answer, options, faults, how) in enumerate(islice(made, each)):
            bad.append(Item(Row(question, answer, options, f"{name} {i}"), frozenset(faults), how))
    hosts = [Row(q, a) for q, a in islice(plain, each)]
    copies = [
        *exact_copies(random, random.sample(COPYING, 6), rows, each),
        *near_copies(random, random.sample(EDITS, 11), rows, each),
        *leaked(random, random.sample(w.LEAKED, 4), against, hosts, min(each, len(against))),
    ]
    bad += [replace(c, row=replace(c.row, where=f"{min(c.faults)} {i}")) for i, c in enumerate(copies)]
    return mixed(random, [*(Item(r, frozenset(), r.where.rpartition(" ")[0]) for r in rows), *bad]), against


def clean_rows(random: Random, families: Sequence[Sequence[Row]], plain: Plain, count: int) -> list[Row]:
    natural = [row for family in families for row in family][: count // 3]
    alike = islice(questions(random, LOOK_ALIKES), min(LOOKING_ALIKE, count // 9))
    rows = [*natural, *(Row(with_stock(random, q), a, where=f"looks alike {i}") for i, (q, a) in enumerate(alike))]
    made = islice(plain, count - len(rows))
    return [*rows, *(Row(with_stock(random, q), a, where=f"template {i}") for i, (q, a) in enumerate(made))]
