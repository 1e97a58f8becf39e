"""Rows with known faults, for `benchmarks.curation`: as many of each kind as asked, from real rows where the data has such rows.

There are four parts that share no row and no wording of ours. On the first the filters were written. On each later one they were measured
once and then mended, and then the next was written: the last is what is reported. A row's labels are all faults that it was given; where a
kind of row has two by its nature, both stand.
"""

from __future__ import annotations

import difflib
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import curation_fourth as fourth
from benchmarks import curation_third as third
from ratchet.core.seeds import fraction, rng
from ratchet.data.filters import Row
from ratchet.studies.curation_faults import (
    CLAIMS,
    LISTS,
    Edit,
    Item,
    Made,
    dropped_words,
    exact_copies,
    leaked,
    mixed,
    near_copies,
    number_of,
    plain_row,
    renamed,
    sub,
    typos,
    unlike,
)
from ratchet.studies.curation_faults import lettered as lettered

STAGES = ("first", "second", "third", "fourth")
USES = {"base": 0.45, "plain": 0.85, "other": 1.0}  # what a row of GSM8K or MATH is used for: ends of intervals
Json = dict[str, Any]


@cache
def read(file: Path) -> tuple[Json, ...]:
    """The rows in an order of their own, which is hashed chance."""
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    return tuple(sorted(rows, key=lambda r: fraction("order", json.dumps(r, sort_keys=True))))


def in_part(content: str, part: str) -> bool:
    if fraction("fourth", content) < 0.3:
        return part == STAGES[3]
    if fraction("third", content) < 1 / 3:
        return part == STAGES[2]
    return part == STAGES[fraction("half", content) >= 0.5]


def used_for(content: str) -> str:
    u = fraction("use", content)
    return next(name for name, end in USES.items() if u < end)


class Source:
    """The data of one part for rows of one kind, and chance."""

    def __init__(self, data: Path, part: str, kind: str = "") -> None:
        self.data, self.part, self.kind, self.random = data, part, kind, rng("curation faults", part, kind)

    def rows(self, name: str, use: str = "") -> list[Json]:
        found = [(r, json.dumps(r, sort_keys=True)) for r in read(self.data / f"{name}.jsonl.gz")]
        return [r for r, text in found if in_part(text, self.part) and (not use or used_for(text) == use)]

    def frames(self, *parts: Sequence[Any]) -> Sequence[Any]:
        return parts[STAGES.index(self.part)]

    def plain(self) -> Iterator[tuple[str, str]]:
        """Questions without a fault that anybody knows of, with answers; those of one kind are of no other."""
        pool = [(r["question"], r["answer"]) for r in self.rows("gsm8k/train", "plain")]
        pool += [(r["problem"], r["answer"]) for r in self.rows("math/train", "plain") if "[asy]" not in r["problem"]]
        kinds = sorted(USING_PLAIN)
        pool = [p for p in pool if kinds[int(fraction("kind", p[0]) * len(kinds))] == self.kind]
        self.random.shuffle(pool)
        return iter(pool)


USING_PLAIN = {"yes-no", "proof", "multi-part", "link", "missing-figure", "unparsable"}


def base(data: Path, part: str, count: int) -> list[Row]:
    """Natural rows: half from GSM8K, the rest from MATH (without those that come with a figure) and from five smaller sets."""
    s = Source(data, part)
    found = [("gsm8k", r["question"], r["answer"]) for r in s.rows("gsm8k/train", "base")[: count // 2]]
    found += [("math", r["problem"], r["answer"]) for r in s.rows("math/train", "base") if "[asy]" not in r["problem"]][
        : count * 3 // 10
    ]
    misc = [("asdiv", f"{r['body']} {r['question']}", r["answer"]) for r in s.rows("math_eval_misc/asdiv")[:150]]
    misc += [("singleeq", r["input"], str(r["target"])) for r in s.rows("math_eval_misc/mawps_singleeq")[:60]]
    misc += [("carp", r["content"], r["answer"]) for r in s.rows("math_eval_misc/carp_en")[:100]]
    misc += [("svamp", f"{r['Body']}. {r['Question']}", str(r["Answer"])) for r in s.rows("math_eval_misc/svamp")[:60]]
    misc += [("college", r["question"], r["answer"]) for r in s.rows("math_eval_misc/college_math")[:150]]
    found += misc[: count - len(found)]
    return [Row(q, a, where=f"{name} {i}") for i, (name, q, a) in enumerate(found)]


# ---- one function per kind: source -> rows without end, each (question, answer, options, faults, how it was made) -----------

LANGUAGES = {
    "es": (
        "{n} tiene {a} manzanas y compra {b} más en el mercado. ¿Cuántas manzanas tiene {n} ahora en total?",
        "Calcula el área de un rectángulo cuya base mide {a} cm y cuya altura mide {b} cm.",
    ),
    "fr": (
        "{n} possède {a} billes et en gagne encore {b} pendant la récréation. Combien de billes possède-t-il maintenant ?",
        "Déterminer la valeur de l'expression ${a}x + {b}$ lorsque $x = 2$, puis simplifier le résultat obtenu.",
    ),
    "de": (
        "{n} hat {a} Bonbons und verschenkt davon {b} an seine Freunde. Wie viele Bonbons bleiben ihm noch übrig?",
        "Berechne den Umfang eines Rechtecks, dessen Seiten {a} cm und {b} cm lang sind.",
    ),
    "it": (
        "{n} ha {a} figurine e ne regala {b} al fratello. Quante figurine gli rimangono alla fine della giornata?",
        "Calcola il valore dell'espressione ${a} + {b}y$ quando $y$ è uguale a tre e semplifica il risultato.",
    ),
    "pt": (
        "{n} comprou {a} laranjas e comeu {b} delas durante a semana. Quantas laranjas ainda restam na geladeira?",
        "Um trem percorre {a} quilômetros em {b} horas. Qual é a velocidade média do trem em quilômetros por hora?",
    ),
    "nl": (
        "{n} heeft {a} knikkers en wint er nog {b} bij op het schoolplein. Hoeveel knikkers heeft hij nu in totaal?",
        "Een winkel verkoopt {a} broden op maandag en {b} broden op dinsdag. Hoeveel broden zijn er op beide dagen verkocht?",
    ),
    "pl": ("{n} ma {a} cukierków, a jego siostra ma o {b} cukierków więcej. Ile cukierków mają razem?",),
    "sv": ("{n} har {a} äpplen och köper {b} till i affären på vägen hem. Hur många äpplen har hon sedan?",),
    "tr": ("{n} {a} elma topladı ve bunların {b} tanesini arkadaşlarına verdi. Geriye kaç elması kaldı?",),
    "vi": ("{n} có {a} quả táo và mua thêm {b} quả nữa ở chợ. Hỏi bây giờ {n} có tất cả bao nhiêu quả táo?",),
    "fi": ("{n} osti {a} omenaa ja antoi niistä {b} ystävilleen koulussa. Kuinka monta omenaa hänelle jäi jäljelle?",),
    "id": ("{n} mempunyai {a} buah apel lalu membeli {b} buah lagi di pasar. Berapa jumlah apel yang dimiliki sekarang?",),
    "ru": ("У Пети было {a} яблок, и он купил ещё {b}. Сколько яблок стало у Пети?",),
    "ja": ("太郎はりんごを{a}個持っています。さらに{b}個もらいました。全部で何個ですか。",),
    "ko": ("민수는 사과 {a}개를 가지고 있고 {b}개를 더 샀습니다. 모두 몇 개입니까?",),
    "ar": ("لدى أحمد {a} تفاحة واشترى {b} تفاحات أخرى. كم تفاحة لديه الآن؟",),
    "el": ("Ο Νίκος έχει {a} μήλα και αγοράζει άλλα {b} από την αγορά. Πόσα μήλα έχει τώρα συνολικά;",),
    "hi": ("राम के पास {a} सेब हैं और उसने {b} और खरीदे। अब उसके पास कुल कितने सेब हैं?",),
}
NAMES = (
    "Carlos",
    "Anna",
    "Lukas",
    "Marie",
    "Pedro",
    "Giulia",
    "Jan",
    "Sofia",
    "Ali",
    "Minh",
    "Eva",
    "Tom",
    "Olga",
    "Nina",
    "Marco",
)


LATER = {STAGES[2]: {k: (v,) for k, v in third.LANGUAGES.items()}, STAGES[3]: {k: (v,) for k, v in fourth.LANGUAGES.items()}}


def language(s: Source) -> Iterator[Made]:
    used = s.frames(
        ("es", "fr", "de"),
        tuple(k for k in LANGUAGES if k not in ("es", "fr", "de")),
        tuple(third.LANGUAGES),
        tuple(fourth.LANGUAGES),
    )
    chinese = iter([*s.rows("math_eval_misc/cmath"), *s.rows("math_eval_misc/gaokao_math_cloze")])
    german = (r["input"].split("Source:")[-1].split("Translation:")[0] for r in s.rows("bbh/bbh") if "from German" in r["input"])
    while True:
        kind = s.random.random()
        if kind < 0.35:
            r = next(chinese)
            yield plain_row(r["question"], r["answer"], "language", "Chinese rows")
        elif kind < 0.5 and (text := next(german, None)):
            yield plain_row(text.strip(), str(s.random.randint(2, 99)), "language", "German sentences of BBH")
        else:
            code = s.random.choice(used)
            a, b = s.random.randint(12, 99), s.random.randint(2, 11)
            text = s.random.choice(LATER[s.part].get(code) if s.part in LATER else LANGUAGES[code]).format(
                n=s.random.choice(NAMES), a=a, b=b
            )
            yield plain_row(text, str(a + b), "language", f"written in {code}")


FORMS = (
    (
        ("(A) {o}", "({L}) {o}", " "),
        ("", "{L}) {o}", "\n"),
        ("", "{L}. {o}", "\n"),
        ("Options:\n", "({L}) {o}", "\n"),
        ("", "({l}) {o}", " "),
    ),
    (
        ("$$", "\\textbf{{({L})}}\\ {o}", " \\qquad "),
        ("Answer Choices: ", "({L}) {o}", " "),
        ("", "[{L}] {o}", "; "),
        ("Choices:\n", "- {o}", "\n"),
        ("Select one:\n", "{l}. {o}", "\n"),
        ("", "{L}: {o}", ", "),
        ("Pick the correct answer.\n", "{i}) {o}", "\n"),
        ("Options: ", "{o}", ", "),
        ("\n", "**{L}.** {o}", "\n"),
        ("Your options are ", "({l}) {o}", ", "),
    ),
)


def real_choices(s: Source) -> Iterator[tuple[str, tuple[str, ...], int]]:
    found: list[tuple[str, tuple[str, ...], int]] = []
    for r in s.rows("math_eval_misc/aqua"):
        found.append((r["question"], tuple(o.split(")", 1)[1] for o in r["options"]), "ABCDE".index(r["correct"])))
    for r in s.rows("math_eval_misc/mmlu_stem")[:200]:
        found.append((r["question"], tuple(map(str, r["choices"])), r["answer"]))
    for r in s.rows("math_eval_misc/sat_math"):
        texts = [t.strip() for t in re.split(r"\b[A-D]\)", r["options"])[1:]]
        if len(texts) == 4:
            found.append((r["question"], tuple(texts), "ABCD".index(r["Answer"])))
    s.random.shuffle(found)
    return iter(found)


def multiple_choice(s: Source) -> Iterator[Made]:
    rows = real_choices(s)
    listed = iter([r for r in s.rows("math_eval_misc/gaokao2023en") if "(A)" in r["question"] and "(B)" in r["question"]])
    lost = iter([r for r in s.rows("math_eval_misc/mmlu_stem")[200:] if "of the following" in r["question"]])
    for stem, options, right in rows:
        if s.random.random() < 0.15 and (r := next(listed, None)):
            yield plain_row(r["question"], r["answer"], "multiple-choice", "exam questions with their options")
        if s.random.random() < 0.15 and (r := next(lost, None)):
            yield plain_row(r["question"], "ABCD"[r["answer"]], "multiple-choice", "options lost")
        more = {"true-false"} if "Statement 1" in stem else set[str]()
        if s.random.random() < 0.2:
            yield stem, "ABCDE"[right], options, {"multiple-choice", *more}, "options in a field"
            continue
        before, form, join = s.random.choice(s.frames(*FORMS, third.FORMS, fourth.FORMS))
        text = f"{stem}{s.random.choice([' ', chr(10)])}{before}{lettered(options, form, join)}" + (
            "$$" if before == "$$" else ""
        )
        answer = s.random.choice(["ABCDE"[right], f"({'ABCDE'[right]})", options[right].strip() or "A"])
        more |= {"unparsable"} if len(answer.split()) > 4 else set()  # a sentence
        yield plain_row(text, answer, "multiple-choice", "options in the question", *more)


TRUE_FALSE = (
    (
        "True or false: {c}.",
        "Is the following statement true or false? {c}.",
        "Determine whether the statement is true or false. {c}.",
        "{c}. Is this statement correct?",
    ),
    (
        "T/F: {c}",
        "{c}. (True/False)",
        "State whether the following is true: {c}.",
        "Decide if this claim holds: {c}.",
        "Is it true that {c}?",
        "Evaluate the truth of the claim that {c}.",
        "{c}. Answer True or False.",
        "Judge the following assertion as correct or incorrect: {c}",
        "Someone claims that {c}. Is the claim right or wrong?",
        "Fill in T or F: {c} ____",
    ),
)


def true_false(s: Source) -> Iterator[Made]:
    statements = [r for r in s.rows("math_eval_misc/mmlu_stem") if r["question"].startswith("Statement 1")]
    logic = [r for r in s.rows("bbh/bbh") if r["task"] in ("boolean_expressions", "formal_fallacies")]
    while True:
        kind = s.random.random()
        if kind < 0.2 and statements:
            r = statements.pop()
            yield plain_row(r["question"], str(r["choices"][r["answer"]]), "true-false", "statements of MMLU")
        elif kind < 0.45 and logic:
            r = logic.pop()
            text, _, options = r["input"].partition("\nOptions:")
            keep = options and s.random.random() < 0.5
            yield plain_row(
                r["input"] if keep else text, r["target"], "true-false", "BBH", *(("multiple-choice",) if keep else ())
            )
        else:
            claim, right = s.random.choice(CLAIMS)(s.random)
            said = s.random.choice(
                s.frames(
                    (("True", "False"), ("true", "false")),
                    (
                        ("T", "F"),
                        ("True.", "False."),
                        ("correct", "incorrect"),
                        ("The statement is true", "The statement is false"),
                        ("$\\text{True}$", "$\\text{False}$"),
                    ),
                    third.TRUTHS,
                    fourth.TRUTHS,
                )
            )[not right]
            yield plain_row(
                s.random.choice(s.frames(*TRUE_FALSE, third.TRUE_FALSE, fourth.TRUE_FALSE)).format(c=claim),
                said,
                "true-false",
                "claims in our words",
            )


YES_NO = (
    ("{b} {q}? Answer yes or no.", "{b} {q}?", "Answer Yes or No: {b} {q}?"),
    (
        "{b} {q}? (Y/N)",
        "{b} So {q}?",
        "{b} {q}? Explain why or why not.",
        "Consider this: {b} With that in mind, {q}?",
        "{b} {q}? Justify your answer.",
        "{b} Tell me, {q}?",
    ),
)
ENDS = (
    (("is the answer more than {m}", 1), ("is the result an even number", 2)),
    (
        ("does the total exceed {m}", 1),
        ("would {m} be enough", -1),
        ("can the result be divided by {d} without remainder", 3),
        ("was it at least {m}", 1),
    ),
)


def yes_no(s: Source) -> Iterator[Made]:
    tasks = ("navigate", "web_of_lies", "causal_judgement", "sports_understanding")
    real = [r for r in s.rows("bbh/bbh") if r["task"] in tasks]
    plain = s.plain()
    while True:
        if s.random.random() < 0.5:
            r = real.pop()
            text, _, options = r["input"].partition("\nOptions:")
            keep = options and s.random.random() < 0.3
            yield plain_row(r["input"] if keep else text, r["target"], "yes-no", "BBH", *(("multiple-choice",) if keep else ()))
            continue
        question, answer = next(plain)
        value = number_of(answer)
        body = re.split(r"(?<=[.!])\s+", question)
        if value is None or len(body) < 2 or value < 3:
            continue
        ask, kind = s.random.choice(s.frames(*ENDS, third.ENDS, fourth.ENDS))
        m, d = max(1, value + s.random.choice([-2, 1, 5])), s.random.choice([3, 5, 7])
        right = {1: value > m, 2: value % 2 == 0, -2: value % 2 == 1, -1: value <= m, 3: value % d == 0}[kind]
        said = "Yes" if right else "No"
        reply = s.random.choice(
            s.frames(
                [said, said.lower()],
                [f"{said}.", f"{said}, it is {value}.", said.upper(), f"\\text{{{said}}}"],
                [x.format(s=said, v=value) for x in third.REPLIES],
                [x.format(s=said, v=value) for x in fourth.REPLIES],
            )
        )
        ask = ask.format(m=m, d=d)
        frame = s.random.choice(s.frames(*YES_NO, third.YES_NO, fourth.YES_NO))
        ask = ask[0].upper() + ask[1:] if re.search(r"\} \{q\}", frame) and "So" not in frame else ask
        yield plain_row(frame.format(b=" ".join(body[:-1]), q=ask), reply, "yes-no", "word problems, asked for yes or no")


NUMBERS = (
    ("the sum of the first {k} odd numbers is ${k}^2$", "{p} is a prime number", "$x^2 + {k}x + 1 = 0$ has two real solutions"),
    (
        "${k}^2 + {k}$ is even",
        "no square is of the form ${p}n + {k}$ with a remainder that is no residue",
        "a polygon with {k} sides has ${k}({k}-3)/2$ diagonals",
        "among any {k} integers two differ by a multiple of {j}",
    ),
)
STATEMENTS = (
    (
        "the sum of two even integers is even",
        "$n^3 - n$ is divisible by 6 for every integer $n$",
        "there are infinitely many primes",
        "the medians of a triangle meet in one point",
        "$\\sqrt{3}$ is irrational",
        "every tree with $n$ vertices has $n-1$ edges",
    ),
    (
        "$a^2 + b^2 \\ge 2ab$ for all real $a$ and $b$",
        "the diagonals of a rhombus are perpendicular",
        "a bounded monotone sequence converges",
        "no integer of the form $4k+3$ is a sum of two squares",
        "the harmonic series diverges",
        "any graph with six vertices has a triangle or three mutually non-adjacent vertices",
        "the product of $k$ consecutive integers is divisible by $k!$",
        "$\\sin^2 x + \\cos^2 x = 1$",
    ),
)
PROOF = (
    (
        "Prove that {c}.",
        "Show that {c}.",
        "Prove: {c}.",
        "Give a proof that {c}.",
        "Let $n$ be a positive integer. Prove that {c}.",
    ),
    (
        "Demonstrate that {c}.",
        "Can you prove that {c}?",
        "Establish the following: {c}.",
        "Write a rigorous proof of the statement that {c}.",
        "Use induction to prove the claim that {c}.",
        "Verify that {c}.",
        "Explain carefully why {c}.",
        "{c}. Prove this, or give a counterexample.",
        "We want to see that {c}. Provide a full argument.",
        "Derive the fact that {c}.",
        "Suppose everything is as usual; show {c}.",
        "Justify the claim that {c}.",
        "Disprove or prove: {c}.",
        "Deduce that {c}.",
    ),
)
OF_ANSWER = (
    ("Prove that the answer is {a}.", "Show that the result equals {a}."),
    (
        "Verify that the value asked for is {a}.",
        "Demonstrate that one obtains {a}.",
        "Hence show that it must be {a}.",
        "Explain why it is exactly {a}.",
    ),
)


def proof(s: Source) -> Iterator[Made]:
    plain = s.plain()
    while True:
        reply = s.random.choice(
            s.frames(
                ["", "See the proof."],
                ["Q.E.D.", "Proof: omitted.", "Assume the contrary and derive a contradiction step by step."],
                third.PROOF_REPLIES,
                fourth.PROOF_REPLIES,
            )
        )
        if s.random.random() < 0.6:
            k = s.random.randint(4, 60)
            claim = s.random.choice(s.frames(*NUMBERS, third.NUMBERS, fourth.NUMBERS)).format(
                k=k, j=k - 1, p=s.random.choice([101, 103, 107, 109, 113, 127, 131, 137])
            )
            claim = (
                claim if s.random.random() < 0.5 else s.random.choice(s.frames(*STATEMENTS, third.STATEMENTS, fourth.STATEMENTS))
            )
            text = s.random.choice(s.frames(*PROOF, third.PROOF, fourth.PROOF)).format(c=claim)
            yield plain_row(text, reply, "proof", "theorems in our frames", "unparsable")
            continue
        question, answer = next(plain)
        body = re.split(r"(?<=[.!?])\s+", question)
        if len(body) > 1 and len(answer) < 20:
            end = s.random.choice(s.frames(*OF_ANSWER, third.OF_ANSWER, fourth.OF_ANSWER)).format(
                a=answer if "\\" not in answer else f"${answer}$"
            )
            bare = s.random.random() < 0.5
            yield plain_row(
                f"{' '.join(body[:-1])} {end}",
                answer if bare else reply,
                "proof",
                "problems with their answer to be shown",
                *(() if bare else ("unparsable",)),
            )


PARTS = (
    ("{b} (a) {p} (b) {q}", "{b} {p} {q}", "{b}\n1) {p}\n2) {q}", "{b} (1) {p} (2) {q}", "{b} {p} Also, {r}"),
    (
        "{b}\na. {p}\nb. {q}",
        "{b}\n(i) {p}\n(ii) {q}",
        "{b} Part A: {p} Part B: {q}",
        "{b}\ni) {p} ii) {q}",
        "{b} First: {p} Second: {q}",
        "{b} {p} And {r}",
        "{b}\nQ1. {p}\nQ2. {q}",
        "{b} {p} Then determine: {r}",
        "{b}\n- {p}\n- {q}",
        "{b} {p} After that, {r}",
        "{b} I. {p} II. {q}",
    ),
)
SEVERAL = (
    ("{x}, {y}", "{x} and {y}", "(a) {x} (b) {y}"),
    ("a) {x}; b) {y}", "1. {x}\n2. {y}", "{x}; {y}", "First {x}, then {y}"),
)


def multi_part(s: Source) -> Iterator[Made]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for r in s.rows("math_eval_misc/svamp"):
        groups.setdefault(r["Body"].strip().rstrip(".,") + ".", []).append((r["Question"], f"{r['Answer']:g}"))
    for r in read(s.data / "math_eval_misc/asdiv.jsonl.gz"):
        if in_part(r["body"], s.part):
            groups.setdefault(r["body"], []).append((r["question"], r["answer"].split(" (")[0]))
    both = [(b, qs) for b, qs in groups.items() if len(qs) > 1]
    s.random.shuffle(both)
    plain = s.plain()
    while True:
        if both and s.random.random() < 0.6:
            body, ((p, x), (q, y), *_) = both.pop()
            made = "two questions of one text"
        else:
            question, answer = next(plain)
            body, p, x = "", question, answer
            value = number_of(answer)
            if value is None:
                continue
            ask, y = s.random.choice(
                s.frames(
                    [
                        ("What would the answer be if it were doubled?", value * 2),
                        ("How much is half of that result?", value / 2),
                    ],
                    [
                        ("By how much does it differ from 100?", abs(100 - value)),
                        ("Compute its square.", value**2),
                        ("What percentage of 1000 is it?", value / 10),
                    ],
                    [(ask, of(value)) for ask, of in third.SECOND],
                    [(ask, of(value)) for ask, of in fourth.SECOND],
                )
            )
            q, y, made = ask, str(y), "a problem with a second question"
        frame = s.random.choice(s.frames(*PARTS, third.PARTS, fourth.PARTS))
        text = frame.format(b=body, p=p, q=q, r=q[0].lower() + q[1:]).strip()
        several = s.random.choice(s.frames(*SEVERAL, third.SEVERAL, fourth.SEVERAL))
        # a plain list can be compared; with names of its parts it is no answer that a verifier could
        yield plain_row(text, several.format(x=x, y=y), "multi-part", made, *(() if several in LISTS else ("unparsable",)))


LINKS = (
    ("https://www.mathpages.org/p/{n}", "http://example.com/data{n}.csv", "www.schooldata.org/set/{n}"),
    (
        "bit.ly/3x{n}",
        "youtu.be/aB{n}",
        "doi:10.1000/j.{n}",
        "[this table](https://files.host.io/t{n}.html)",
        '<a href="/set/{n}">the list</a>',
        "desmos.com/calculator/q{n}",
        "en.wikipedia.org/wiki/Prime_{n}",
        "ftp://archive.uni.edu/{n}.txt",
        "scores_{n}.xlsx",
        "HTTPS://DOCS.SITE.NET/D/{n}",
        "https : // broken . site / {n}",
    ),
)
LINKED = (
    ("Use the data at {u}. {q}", "{q} (see {u})", "According to {u}, {q}"),
    (
        "{q}\n\nSource: {u}",
        "Watch the video on {u} first. {q}",
        "Open {u} and answer: {q}",
        "The prices are listed here: {u}. {q}",
        "{q} More at {u}",
        "Download {u}, then solve. {q}",
    ),
)


def link(s: Source) -> Iterator[Made]:
    for question, answer in s.plain():
        url = s.random.choice(s.frames(*LINKS, third.LINKS, fourth.LINKS)).format(n=s.random.randint(10, 999))
        if s.part != STAGES[0] and s.random.random() < 0.1:
            about = s.random.choice(
                ("Click the link below for the figures you need. {q}",)
                if s.part == STAGES[1]
                else {STAGES[2]: third.ABOUT_LINKS, STAGES[3]: fourth.ABOUT_LINKS}[s.part]
            )
            yield plain_row(about.format(q=question), answer, "link", "words about a link")
        yield plain_row(
            s.random.choice(s.frames(*LINKED, third.LINKED, fourth.LINKED)).format(u=url, q=question),
            answer,
            "link",
            "a link in a problem",
        )


FIGURES = (
    ("In the figure below, {q}", "{q} Use the diagram shown.", "As shown in the picture, {q}"),
    (
        "Refer to the accompanying chart. {q}",
        "[Image: a bar chart of the data]\n{q}",
        "<image_1> {q}",
        "{q} (Figure 3)",
        "The graph on the right gives the data. {q}",
        "{q}\n\\includegraphics[width=5cm]{{fig2}}",
        "Look at the illustration. {q}",
        "{q} The sketch is not to scale.",
        "![](plot.png)\n{q}",
        "The map above shows the places. {q}",
        "Measure the drawing and then answer. {q}",
    ),
)
SPEAKS = re.compile(r"figure|diagram|shown|below|above|graph|shaded|picture|drawn|chart|illustrat", re.IGNORECASE)


def missing_figure(s: Source) -> Iterator[Made]:
    drawn = [r for r in s.rows("math/train") if "[asy]" in r["problem"]]
    plain = s.plain()
    while True:
        kind = s.random.random()
        if kind < 0.7 and drawn:
            r = drawn.pop()
            bare = re.sub(r"\[asy\].*?\[/asy\]", "", r["problem"], flags=re.DOTALL).strip()
            if kind < 0.2:
                yield plain_row(r["problem"], r["answer"], "missing-figure", "MATH with the program of its figure")
            elif SPEAKS.search(bare):
                yield plain_row(bare, r["answer"], "missing-figure", "MATH without its figure, which it speaks of")
        else:
            question, answer = next(plain)
            frame = s.random.choice(s.frames(*FIGURES, third.FIGURES, fourth.FIGURES))
            more = ("link",) if "plot.png" in frame else ()
            yield plain_row(frame.format(q=question), answer, "missing-figure", "a figure spoken of in a problem", *more)


PLACEHOLDERS = (
    ("", "See solution.", "Answers will vary.", "None", "n/a", "\\boxed{"),
    (
        "TBD",
        "-",
        "???",
        "[answer]",
        "Left to the reader",
        "cf. Theorem 2.4",
        "see Fig. 4",
        "Solution omitted for brevity",
        "many answers are possible",
        "...",
        "The answer depends on the chosen coordinate system",
        "It can be done in several ways",
        "\\text{see above}",
        "..., and so on",
        "null",
    ),
)


def unparsable(s: Source) -> Iterator[Made]:
    college = [
        r["answer"]
        for r in s.rows("math_eval_misc/college_math")
        if len(re.findall(r"\b[a-z]{3,}", re.sub(r"\$.*?\$", "", r["answer"], flags=re.S))) > 12
    ]
    reasons = [r["rationale"] for r in s.rows("math_eval_misc/aqua")]
    worked = [r["solution"].rsplit("####", 1)[0].strip() for r in s.rows("gsm8k/train", "other")]
    math = [r["solution"] for r in s.rows("math/train", "other")]
    cut = [r["answer"] for r in s.rows("math/train", "other") if "{" in r["answer"]]
    for question, _ in s.plain():
        kind = s.random.random()
        if kind < 0.3:
            answer = cut.pop()
            inside = [i for i in range(1, len(answer)) if answer[:i].count("{") > answer[:i].count("}")]
            yield plain_row(question, answer[: s.random.choice(inside)], "unparsable", "answers of MATH broken off")
        elif kind < 0.6:
            yield plain_row(
                question,
                s.random.choice(s.frames(*PLACEHOLDERS, third.PLACEHOLDERS, fourth.PLACEHOLDERS)),
                "unparsable",
                "placeholders",
            )
        else:
            pool = s.random.choice([p for p in (college, reasons, worked, math) if p])
            yield plain_row(question, pool.pop(), "unparsable", "whole solutions")


KINDS: dict[str, Callable[[Source], Iterator[Made]]] = {
    "language": language,
    "multiple-choice": multiple_choice,
    "true-false": true_false,
    "yes-no": yes_no,
    "proof": proof,
    "multi-part": multi_part,
    "link": link,
    "missing-figure": missing_figure,
    "unparsable": unparsable,
}


# ---- repeats of rows that are there, and leaks of evaluation questions ------------------------------------------------------

SPELLED = {
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "10": "ten",
    "12": "twelve",
}
EDITS: tuple[tuple[Edit, ...], ...] = (
    (
        typos,
        partial(renamed, ["Zoe", "Igor", "Ravi"]),
        sub(r"\bbuys\b", "purchases"),
        sub(r"\bHow many\b", "Find how many"),
        sub(r"^", "Solve the following problem. "),
    ),
    (
        dropped_words,
        partial(renamed, ["Priya", "Kofi", "Ingrid"]),
        lambda t, _: re.sub(r"(?<![\d.,$])\b(\d{1,2})\b(?![\d.,%])", lambda m: SPELLED.get(m[1], m[1]), t),
        sub(r"\bhow much\b", "what amount of", 1),
        sub(r"\$([^$]+)\$", r"\\(\1\\)", 9),
        sub(r"$", " Give your answer as a number."),
        sub(r"^", "Exercise 14. "),
        sub(r"\. ", "; ", 1),
        sub(r"\bHow many (\w+)", r"What is the number of \1"),
        sub(r"\band\b", "&"),
        typos,
    ),
    (
        sub(r"^", "Q7) "),
        sub(r"$", " Round if needed."),
        partial(renamed, ["Otto", "Leilani", "Yusuf"]),
        sub(r"\btotal\b", "sum"),
        sub(r"\bdoes\b", "did"),
        sub(r"\bbought\b", "got"),
        sub(r"\beach\b", "every", 2),
        sub(r"\bFind\b", "Please determine"),
        sub(r"\bthere are\b", "we have"),
        dropped_words,
        sub(r"\bWhat is\b", "Calculate"),
        sub(r", ", " "),
        sub(r"\bif\b", "assuming that"),
        typos,
        sub(r"\\frac", r"\\dfrac", 9),
    ),
    (
        sub(r"^", "Problem: "),
        sub(r"$", " Show your work."),
        partial(renamed, ["Hana", "Mateo", "Sven"]),
        typos,
        dropped_words,
        sub(r"\b[Ii]s\b", "was"),
        sub(r"\bhas\b", "owns"),
        sub(r"\bwants to\b", "would like to"),
        sub(r"\bEach\b", "Every one"),
        sub(r"\bevery\b", "each"),
        sub(r"\bCompute\b", "Work out"),
        sub(r"\bHow many\b", "Determine how many"),
        sub(r"\bin all\b", "altogether"),
        sub(r"\. ", ".\n", 3),
    ),
)


def copying(s: Source) -> Sequence[Edit]:
    ways: Sequence[Edit] = s.frames(
        [lambda t, _: t, lambda t, _: t.upper(), lambda t, _: f"  {t} "],
        [
            lambda t, _: t,
            lambda t, _: t.lower(),
            lambda t, _: re.sub(r"([.,?!])", r" \1", t),
            lambda t, _: t.replace(" ", "  ").replace(". ", ".\n"),
            lambda t, _: t.rstrip("?.!"),
            lambda t, _: t.replace("'", "’"),
        ],
        [
            lambda t, _: t,
            lambda t, _: t.title(),
            lambda t, _: f"“{t}”",
            lambda t, _: re.sub(r"\s+", "\n", t),
            lambda t, _: t.replace(",", " ,").replace("?", " ?"),
            lambda t, _: t.replace(". ", "! "),
            lambda t, _: f"**{t}**",
        ],
        [
            lambda t, _: t,
            lambda t, _: t.upper(),
            lambda t, _: t.replace("$", ""),
            lambda t, _: f"{t}\n\n",
            lambda t, _: t.replace(" ", "\u00a0"),
            lambda t, _: t + "..",
            lambda t, _: re.sub(r"([.?])\s", r"\1 \n", t),
        ],
    )
    return ways


def natural_pairs(s: Source, most: int) -> Iterator[tuple[Row, Row]]:
    """One problem as two collections of MAWPS word it: alike letter for letter, with the same answer and numbers."""
    first = [(r["input"], f"{r['target']:g}") for r in s.rows("math_eval_misc/mawps_addsub")]
    second = [
        (r["input"], f"{r['target']:g}")
        for name in ("singleeq", "singleop")
        for r in read(s.data / f"math_eval_misc/mawps_{name}.jsonl.gz")
    ]
    numbers = lambda text: sorted(re.findall(r"\d+(?:\.\d+)?", text))
    found = 0
    for text, answer in first:
        for other, same in second:
            if answer == same and numbers(text) == numbers(other) and difflib.SequenceMatcher(None, text, other).ratio() > 0.8:
                if re.sub(r"\W", "", text).casefold() == re.sub(r"\W", "", other).casefold():
                    continue
                found += 1
                yield Row(text, answer, where=f"addsub {found}"), Row(other, answer, where=f"other {found}")
                break
        if found == most:
            return


LEAKED = (
    ("{q}", "Solve: {q}"),
    ("{q} Explain your reasoning.", "Here is a puzzle. {q}", "Q. {q} A."),
    third.LEAKED,
    fourth.LEAKED,
)


def evaluation(data: Path) -> list[Row]:
    """The evaluation sets: parts of GSM8K's and MATH's test sets."""
    found = [Row(r["question"], r["answer"], where=r["id"]) for r in read(data / "gsm8k/test_first_half.jsonl.gz")]
    return found + [Row(r["problem"], r["answer"], where=r["unique_id"]) for r in read(data / "math/math500_even.jsonl.gz")]


def stream(data: Path, part: str, clean: int, each: int) -> tuple[list[Item], list[Row]]:
    """The items of a part in the order of a stream, a repeat behind what it repeats, and the evaluation sets."""
    s, against, rows = Source(data, part), evaluation(data), base(data, part, clean)
    found = [Item(r, frozenset(), r.where.split()[0]) for r in rows]
    bad: list[Item] = []
    for name, make in KINDS.items():
        for i, (question, answer, options, faults, made) in enumerate(islice(unlike(make(Source(data, part, name))), each)):
            bad.append(Item(Row(question, answer, options, f"{name} {i}"), frozenset(faults), made))
    pairs = list(natural_pairs(Source(data, part, "pairs"), each // 4))
    found += [Item(a, frozenset(), "mawps addsub") for a, _ in pairs]
    sources = [r for r in against if in_part(r.question, part)]
    copies = [
        *exact_copies(s.random, copying(s), rows, each),
        *near_copies(s.random, s.frames(*EDITS), rows, each - len(pairs)),
        *leaked(s.random, s.frames(*LEAKED), sources, rows, each),
    ]
    copies += [Item(b, frozenset({"near-duplicate"}), "two collections", a.where) for a, b in pairs]
    bad += [replace(c, row=replace(c.row, where=f"{min(c.faults)} {i}")) for i, c in enumerate(copies)]
    return mixed(s.random, [*found, *bad]), against
