"""Rows with known faults and the measures of filters on them: what benchmarks/curation.py and the study big-math share.

A row's labels are all faults that it was given; where a kind of row has two by its nature, both stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from ratchet.core.seeds import rng
from ratchet.core.types import Estimate
from ratchet.data.answers import normalised
from ratchet.data.curate import Dropped, Tally, chosen, curate
from ratchet.data.filters import Drop, Row, filters, set_filters
from ratchet.data.open_questions import Refused, opened
from ratchet.measure.intervals import wilson
from ratchet.tasks.runs import words_of
from ratchet.verify.answers import same


@dataclass(frozen=True)
class Item:
    """A row and its faults; `twin` is the `where` of the row that it repeats, `made` says from what it was made."""

    row: Row
    faults: frozenset[str]
    made: str = ""
    twin: str = ""


# ---- making ----------------------------------------------------------------------------------------------------------------

Made = tuple[str, str, tuple[str, ...], set[str], str]
"""Question, answer, options, faults, how it was made."""
Edit = Callable[[str, Random], str]

CLAIMS = (
    lambda r: ((a := r.randint(11, 99)), (b := r.randint(3, 12)), f"{a} is divisible by {b}", a % b == 0)[2:],
    lambda r: (
        (a := r.randint(3, 30)),
        (b := r.randint(3, 30)),
        (k := r.choice([0, 0, 1, -2])),
        f"${a} + {b} = {a + b + k}$",
        k == 0,
    )[3:],
    lambda r: ((a := r.randint(2, 12)), f"the square root of {a * a} is {a + r.choice([0, 1])}", True)[1:],
    lambda r: (f"every multiple of {r.choice([4, 6, 8])} is even", True),
    lambda r: (f"a triangle can have {r.choice(['two', 'three'])} right angles", False),
    lambda r: (f"the sum of the angles of a {r.choice(['quadrilateral', 'pentagon'])} is 360 degrees", True),
    lambda r: (f"if $x > {r.randint(2, 9)}$ then $x^2 > {r.randint(81, 120)}$", False),
)
LISTS = {"{x}, {y}", "{x} and {y}", "{x}; {y}", "({x}, {y})"}  # of two answers, which can be compared


def plain_row(question: str, answer: str, fault: str, made: str, *more: str) -> Made:
    return question, answer, (), {fault, *more}, made


def lettered(options: Sequence[str], form: str, join: str) -> str:
    return join.join(form.format(L="ABCDEFGHIJ"[i], l="abcdefghij"[i], i=i + 1, o=o) for i, o in enumerate(options))


def number_of(answer: str) -> int | None:
    found = re.fullmatch(r"-?\d[\d,]*", answer.strip())
    return int(answer.replace(",", "")) if found else None


def unlike(rows: Iterator[Made]) -> Iterator[Made]:
    """Without rows whose question, in a part of few wordings, was made before."""
    seen: set[str] = set()
    for row in rows:
        if row[0] not in seen:
            seen.add(row[0])
            yield row


def sub(pattern: str, new: str, most: int = 1) -> Edit:
    return lambda text, _: re.sub(pattern, new, text, count=most)


def typos(text: str, random: Random) -> str:
    words = text.split(" ")
    for i in random.sample(range(len(words)), min(2, len(words))):
        w = words[i]
        if w.isalpha() and len(w) > 4:
            k = random.randrange(1, len(w) - 2)
            words[i] = w[:k] + w[k + 1] + w[k] + w[k + 2 :]
    return " ".join(words)


def renamed(names: Sequence[str], text: str, random: Random) -> str:
    found = re.findall(
        r"(?<=[.?!] )[A-Z][a-z]{2,}(?= (?:has|had|is|was|bought|buys|wants|went|sold|gave|makes|made|works|can|ate|needs))|^[A-Z][a-z]{2,}(?= )",
        text,
    )
    return (
        re.sub(rf"\b{found[0]}\b", random.choice(names), text)
        if found and found[0] not in ("The", "There", "What", "How", "Find")
        else text
    )


def dropped_words(text: str, random: Random) -> str:
    words = text.split(" ")
    free = [i for i, w in enumerate(words) if w in ("the", "a", "then", "that", "all", "also", "now", "total", "of")]
    gone = set(random.sample(free, min(2, len(free))))
    return " ".join(w for i, w in enumerate(words) if i not in gone)


def exact_copies(random: Random, ways: Sequence[Edit], rows: Sequence[Row], count: int) -> Iterator[Item]:
    for row in random.sample(list(rows), count):
        question = random.choice(ways)(row.question, random)
        yield Item(replace(row, question=question), frozenset({"exact-duplicate"}), "copies", row.where)


def near_copies(random: Random, edits: Sequence[Edit], rows: Sequence[Row], count: int) -> Iterator[Item]:
    """Rewordings of rows by two or three edits."""
    made = 0
    long = [r for r in rows if len(r.question) > 60]
    for row in random.sample(long, len(long)):
        text = row.question
        for edit in random.sample(list(edits), random.choice([2, 3])):
            text = edit(text, random)
        if re.sub(r"\W", "", text).casefold() != re.sub(r"\W", "", row.question).casefold():
            yield Item(replace(row, question=text), frozenset({"near-duplicate"}), "rewordings of ours", row.where)
            made += 1
            if made == count:
                return


def leaked(random: Random, frames: Sequence[str], sources: Sequence[Row], rows: Sequence[Row], count: int) -> Iterator[Item]:
    """Rows with eight words in a row or more of an evaluation question: the whole of it, or a part put into another row."""
    hosts = iter(random.sample(list(rows), len(rows)))
    for row in random.sample([r for r in sources if len(r.question.split()) >= 12], count):
        words = row.question.split()
        kind = random.random()
        if kind < 0.35:
            text, made = random.choice(frames).format(q=row.question), "whole"
        elif kind < 0.6:
            text, made = (
                " ".join(words[: len(words) * 2 // 3]) + " What is the sum of all numbers in this text?",
                "the beginning, with another end",
            )
        else:
            size = random.randint(8, min(len(words), 24))
            start = random.randrange(len(words) - size + 1)
            if len(words_of(" ".join(words[start : start + size]))) < 8:
                continue  # dashes that stand alone are no words
            text, made = f"{next(hosts).question} {' '.join(words[start : start + size])}.", "a part, in another row"
        yield Item(Row(text, row.answer), frozenset({"leak"}), made)


def mixed(random: Random, items: Sequence[Item]) -> list[Item]:
    """In an order of chance, but a repeat behind what it repeats."""
    whole = list(items)
    random.shuffle(whole)
    place = {item.row.where: i for i, item in enumerate(whole)}
    for item in items:
        if item.twin and place[item.twin] > place[item.row.where]:
            i, j = place[item.row.where], place[item.twin]
            whole[i], whole[j] = whole[j], whole[i]
            place[item.row.where], place[item.twin] = j, i
    return whole


# ---- filters ---------------------------------------------------------------------------------------------------------------

INCLUDES = {"near-duplicate": {"exact-duplicate"}}  # what a filter drops by its definition, though it is another fault too
Audit = Mapping[str, Mapping[str, bool]]
"""Row's key -> filter -> whether its drop of the row was judged right by hand."""


def share(hits: int, n: int) -> dict[str, Any]:
    """With Wilson's interval; of no rows it is anything."""
    return asdict(wilson(hits, n, 0.95, "rows") if n else Estimate(0.0, 0.0, 1.0, 0, "rows"))


def drops_of(items: Sequence[Item], against: Sequence[Row]) -> Iterator[tuple[str, Sequence[Item], list[tuple[Item, Drop]]]]:
    """Each filter of single rows over the whole stream; each set filter over what these leave, as it meets rows. With what it met."""
    dropped: set[str] = set()
    for e in filters:
        found = [(i, d) for i in items if (d := e.value.find(i.row))]
        dropped |= {i.row.where for i, _ in found}
        yield e.name, items, found
    left = [i for i in items if i.row.where not in dropped]
    plain = [replace(i.row, answer=normalised(i.row.answer)) for i in left]
    for e in set_filters:
        find = e.value.begin(plain, against)
        yield e.name, left, [(i, d) for i, r in zip(left, plain, strict=True) if (d := find(r))]


def source_key(item: Item, rows: Mapping[str, Row]) -> str:
    """The row whose fault it is: of a copy that which it repeats."""
    return rows[item.twin].key if item.twin else item.row.key


def score(items: Sequence[Item], against: Sequence[Row], audit: Audit) -> list[dict[str, Any]]:
    """Recall and precision of every filter whose fault was planted."""
    rows = {i.row.where: i.row for i in items}
    out: list[dict[str, Any]] = []
    for name, met, drops in drops_of(items, against):
        planted = [i for i in met if name in i.faults]
        if not planted:
            continue
        hit = {i.row.where for i, _ in drops}
        found = [i for i in planted if i.row.where in hit]
        beside = [i for i, _ in drops if name not in i.faults and not INCLUDES.get(name, set()) & i.faults]
        judged = [audit.get(source_key(i, rows), {}).get(name) for i in beside]
        right, clean = sum(j is True for j in judged), [i for i in met if not i.faults]
        made = {
            m: [sum(i.row.where in hit for i in planted if i.made == m), sum(i.made == m for i in planted)]
            for m in {i.made for i in planted}
        }
        out.append(
            {
                "work": "filter", "filter": name, "recall": share(len(found), len(planted)),
                "precision": share(len(found) + right, len(found) + len(beside)),
                "precision_unaudited": share(len(found), len(found) + len(beside)),
                "false_drops": len(beside) - right, "natural_faults": right, "not_judged": sum(j is None for j in judged),
                "of_clean": share(sum(i.row.where in hit for i in clean), len(clean)), "recall_by_source": dict(sorted(made.items())),
            }
        )  # fmt: skip
    return out


def pipeline(items: Sequence[Item], against: Sequence[Row], wanted: Sequence[str] = ()) -> list[Item]:
    """What is kept of the items by the filters as `ratchet curate` runs them; all of them where none is named."""
    by_where, rows = {i.row.where: i for i in items}, [i.row for i in items]
    found = curate(rows, rows, chosen(wanted, {}), against, {}, None, Tally())
    return [by_where[r.where] for r in found if not isinstance(r, Dropped)]


def purity(items: Sequence[Item], kept: Sequence[Item]) -> dict[str, Any]:
    """Which planted faults are in what is kept."""
    bad = [i for i in kept if i.faults]
    clean = sum(not i.faults for i in items)
    good = len(kept) - len(bad)
    return {
        "work": "retained", "rows": len(items), "kept": len(kept), "purity": share(good, len(kept)), "kept_of_clean": share(good, clean),
        "left": dict(Counter(sorted(f for i in bad for f in i.faults))),
    }  # fmt: skip


# ---- multiple choice into open questions ------------------------------------------------------------------------------------------


def four_options(random: Random, question: str, answer: str) -> tuple[Row, str] | None:
    """A question with a whole number of 4 or more as its answer, with four options, in a field or in the text; and its answer."""
    if not answer.isdigit() or int(answer) < 4:
        return None
    value = int(answer)
    near_by = {value + d for d in (1, -1, 2, 10, -2)} | {value * 2, value // 2, value + value // 3 + 3}
    options = [*random.sample(sorted(near_by - {value, 0}), 3), value]
    random.shuffle(options)
    dress = random.choice(["{}", "{}", "${}", "{} units", "{}.0"]).format
    body, _, ask = question.rpartition(". ")
    ask = random.choice([ask, ask, f"{ask} Choose the correct option.", f"{ask} Which of the following is the answer?"])
    stem = f"{body}. {ask}" if body else ask
    texts, right = [dress(o) for o in options], "ABCD"[options.index(value)]
    if random.random() < 0.5:
        return Row(stem, right, tuple(texts)), answer
    return Row(f"{stem}\n{lettered(texts, '({L}) {o}', chr(10))}", right), answer


def reformulated(name: str, rows: Sequence[tuple[Row, str]]) -> dict[str, Any]:
    """How many are opened, with the answer preserved; what a guess is worth that does not read the question, before and after."""
    done: list[tuple[Row, Row, str]] = []
    why: Counter[str] = Counter()
    for row, answer in rows:
        try:
            done.append((row, opened(row), answer))
        except Refused as e:
            why[str(e).partition(" (")[0]] += 1
    preserved = sum(same(answer, new.answer) is True for _, new, answer in done)
    answers = [new.answer for _, new, _ in done]
    letters = [1 / max(len(new.facts["options"]), 1) for _, new, _ in done]
    counts = Counter(answers)
    often = [(counts - Counter([a])).most_common(1)[0][0] for a in answers]
    guesses: dict[str, list[float]] = {
        "the most frequent answer of the others": [float(same(a, b) is True) for a, b in zip(answers, often, strict=True)],
        "the answer of another question": [
            sum(same(a, b) is True for j, b in enumerate(answers) if j != i) / (len(answers) - 1) for i, a in enumerate(answers)
        ],
        "a letter": [sum(same(a, x) is True for x in "ABCD") / 4 for a in answers],
        "a whole number up to 100": [float(same(a, str(rng("blind", i).randint(1, 100))) is True) for i, a in enumerate(answers)],
    }  # fmt: skip
    best = max(guesses, key=lambda g: sum(guesses[g]))
    return {
        "work": "open", "set": name, "items": len(rows), "opened": share(len(done), len(rows)), "preserved_of_opened": share(preserved, len(done)),
        "preserved_of_all": share(preserved, len(rows)), "refused": dict(why.most_common()), "blind_before": sum(letters) / len(letters),
        "blind_after": share(round(sum(guesses[best])), len(done)), "best_blind_guess": best,
        "blind_by_guess": {g: sum(x) / len(x) for g, x in guesses.items()},
    }  # fmt: skip
