r"""Mathematical answers: what kind each one is (a value, a list, an interval, an equation ...) and when two are the same.

`same(gold, answer)` is True, False, or None where it cannot be told. A gold answer may be written in any way; an answer that
hedges ("3 or 4" for 3) is a list of two and is not the same as one value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ratchet.verify.formula import NotAFormula, Tree, equal, exact, near, read, symbols, values

SAME_SIGNS = {
    "−": "-", "–": "-", "×": "*", "⋅": "*", "·": "*", "÷": "/", "π": "\\pi ", "∞": "\\infty ", "≤": "\\le ", "≥": "\\ge ",
    "≠": "\\ne ", "∪": "\\cup ", "∩": "\\cap ", "°": "^\\circ ", "√": "\\sqrt ", "²": "^2", "³": "^3", "±": "\\pm ", "θ": "\\theta ",
    "α": "\\alpha ", "β": "\\beta ", "½": "\\frac12 ", "¼": "\\frac14 ", "¾": "\\frac34 ", "\u00a0": " ", "**": "^",
    "，": ",", "（": "(", "）": ")", "；": ";", "：": ":", "＝": "=",
}  # fmt: skip
DROPPED = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|(?<!\\)\\[,!;: ]|\\(?:displaystyle|textstyle|scriptstyle)\b|\\q?quad\b|~|"
    r"\\(?:big|Big|bigg|Bigg)[lr]?(?![a-zA-Z])|\^\{?\s*\\circ\s*\}?|\\degree\b|\\\$|(?<!\\)\$|\\(?:no)?limits\b|"
    r"\\(?:hspace|phantom)\{[^}]*\}"
)
WORDING = re.compile(r"\\(?:text|textnormal|mathrm|textbf|textit|mbox|operatorname|rm|textrm|hbox)\s*\{([^{}]*)\}")
BEHIND = re.compile(r"([\d})%.]\s*)\\(?:text|textnormal|mathrm|mbox|textrm|operatorname|rm|hbox)\s*\{([A-Za-z\s./]*)\}")
COMMANDS = {
    "le leq leqslant": " ≤ ", "ge geq geqslant": " ≥ ", "lt": " < ", "gt": " > ", "ne neq": " ≠ ", "in": " ∈ ", "cup": " ∪ ",
    "lbrace": " ⦃ ", "rbrace": " ⦄ ", "mid lvert rvert vert": "|", "colon": ":", "emptyset varnothing": " ∅ ", "langle": "(",
    "rangle": ")", "approx simeq equiv": "=", "Rightarrow implies to rightarrow": " → ", "triangle angle circ ldots dots": " ",
}  # fmt: skip
RENAMED = {rf"\\(?:{'|'.join(names.split())})(?![a-zA-Z])": sign for names, sign in COMMANDS.items()} | {
    "<=": " ≤ ", ">=": " ≥ ", r"(?<!\\)\\\{": " ⦃ ", r"(?<!\\)\\\}": " ⦄ ", r"\\mathbb\s*\{?R\}?|\bℝ": " ℝ ",
}  # fmt: skip
UNITS = """s sec secs second seconds|min mins minute minutes|h hr hrs hour hours|day days|week weeks|month months|year years|
m meter meters metre metres|cm centimeter centimeters|mm millimeter millimeters|km kilometer kilometers|in inch inches|
ft foot feet|yd yard yards|mi mile miles|g gram grams|kg kilogram kilograms|mg milligram milligrams|lb lbs pound pounds|
oz ounce ounces|l liter liters litre litres|ml milliliter milliliters|cent cents|dollar dollars|degree degrees|mph"""
ONE_UNIT = {word: names.split()[0] for names in UNITS.split("|") for word in names.split()}
UNNAMED = frozenset({"of", "the", "a", "an", "per", "in", "unit", "total"})
PER_CENT = re.compile(r"%|per\s?cent|百分|\b(?:rate|interest|discount|chance|tax|probability|likel)", re.IGNORECASE)
KNOWN = re.compile(
    rf"\d\s*(?:{'|'.join(word for word in ONE_UNIT if len(word) > 1)})(?:\s*\^|\s*[/.]|\s|$)", re.ASCII | re.IGNORECASE
)
LETTER_UNIT = re.compile(r"(.*[\d})])\s+([msghLJNWVKA])", re.ASCII | re.DOTALL)
MOST = 3_000  # characters
UNIT = re.compile(r"[(/*]?§?[A-Za-z][A-Za-z.'/-]{0,30}\)?(?:\^\{?-?\d\}?)?", re.ASCII)
ATTACHED = re.compile(r"(.*[\d})%])([A-Za-z]{2,30}(?:\^\{?-?\d\}?)?)", re.ASCII | re.DOTALL)
RELATIONS = "<>≤≥"
OPEN, CLOSE = "([{⦃", ")]}⦄"
CHOICE = re.compile(r"^\(?\s*([A-J])\s*\)?\s*(?:[.):](?:\s|$).*)?$", re.DOTALL)
MATHS_IN_WORDS = re.compile(
    r"[\d\\=]|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand|half|quarter|third)\b",
    re.IGNORECASE,
)
NAME = re.compile(r"^\s*(?:[A-Za-z]|\\[a-zA-Z]+)(?:_\{?\w+\}?)?(?:'|\s*\(\s*[A-Za-z]\s*\))?\s*$")


@dataclass(frozen=True)
class Answer:
    """`kind` with its parts: a value's tree; members of a list, set or union; ends of an interval or the places of a tuple
    (`marks` are its brackets); rows of a matrix; both sides of an equation or inequality; a choice's letter; words."""

    kind: str
    parts: tuple[object, ...]
    marks: str = ""
    text: str = ""


def clean(text: str) -> str:
    """One way of writing what is written in many."""
    text = text.strip().strip("*").strip()  # bold
    for sign, same_sign in SAME_SIGNS.items():
        text = text.replace(sign, same_sign)
    text = DROPPED.sub(" ", text.replace("\\!", ""))
    text = text.replace("\\%", "%").replace("{,}", ",")
    text = BEHIND.sub(lambda m: " ".join([m[1], *(f"§{word}" for word in m[2].split())]) + " ", text)  # a unit, no product
    text = WORDING.sub(lambda m: f" {m[1]} ", text)
    for pattern, name in RENAMED.items():
        text = re.sub(pattern, name, text)
    return trimmed(text)


def trimmed(text: str) -> str:
    return " ".join(text.split()).lstrip(" ,;*").rstrip(" .,;*")


def split(text: str, signs: str) -> list[str]:
    """The parts between signs that stand in no brackets; a comma between digits of a thousand does not part."""
    parts, depth, start = list[str](), 0, 0
    for place, c in enumerate(text):
        depth += (c in OPEN) - (c in CLOSE)
        if depth == 0 and c in signs and not (c == "," and thousands(text, place)):
            parts.append(text[start:place])
            start = place + 1
    return [p.strip() for p in [*parts, text[start:]]]


def thousands(text: str, place: int) -> bool:
    return bool(re.search(r"(?<![\d.])\d{1,3}(?:,\d{3})*$", text[:place]) and re.match(r",\d{3}(?!\d)", text[place:]))


def understand(text: str) -> Answer:
    """What kind of answer a text is. Words where it is nothing else."""
    return understood(clean(text))


def understood(text: str) -> Answer:
    """The same of a text that is clean, or of a part of one."""
    text = trimmed(text)
    for kind in (choice, words_alone, of_matrix, of_set, of_union, of_list, of_brackets, of_relation, of_value):
        found = kind(text)
        if found is not None:
            return found
    return Answer("words", (fold(text),), text=text)


def fold(text: str) -> str:
    return re.sub(r"[\s.,;:'\"`*_{}()\\-]+", " ", text.casefold()).strip()


def choice(text: str) -> Answer | None:
    match = CHOICE.match(text)
    return Answer("choice", (match[1],), text=text) if match else None


def words_alone(text: str) -> Answer | None:
    """Prose: no digit, no sign of mathematics, and a word that is no formula."""
    if re.search(r"[\d\\^_=<>≤≥+*/|∪∈⦃∅ℝ]", text) or not re.search(r"[A-Za-z]{3}", text):
        return None
    return Answer("words", (fold(text),), text=text)


def of_matrix(text: str) -> Answer | None:
    match = re.fullmatch(
        r"(?:[A-Za-z]\w*\s*=\s*)?[\[(]?\s*\\begin\s*\{([pbvBV]?matrix|array)\}(?:\s*\{[lcr|\s]*\})?(.*)\\end\s*\{\1\}\s*[\])]?",
        text,
        re.DOTALL,
    )
    if match is None or "\\begin" in match[2]:
        return None
    rows = [r for r in re.split(r"\\\\", match[2]) if r.strip(" \\")]
    return Answer("matrix", tuple(tuple(understood(c) for c in row.split("&")) for row in rows), text=text)


def of_set(text: str) -> Answer | None:
    text = re.sub(r"^\s*\\?[A-Za-z]\s*(?:∈|=)\s*(?=[⦃∅])", "", text)
    if text == "∅" or re.fullmatch(r"⦃\s*⦄", text):
        return Answer("set", (), text=text)
    if text.startswith("⦃") and text.endswith("⦄") and "⦃" not in text[1:] and "⦄" not in text[:-1]:
        inside = text[1:-1]
        bar = re.match(r"\s*\\?[A-Za-z]+\s*[|:](.*)", inside, re.DOTALL)
        if bar:
            return understood(bar[1])
        return members("set", split(inside, ",;"), text)
    return None


def members(kind: str, parts: Sequence[str], text: str) -> Answer | None:
    return Answer(kind, tuple(understood(p) for p in parts), text=text) if all(parts) else None


def of_union(text: str) -> Answer | None:
    parts = split(re.sub(r"^\s*\\?[A-Za-z]\s*∈", "", text), "∪")
    return members("union", parts, text) if len(parts) > 1 else None


def of_list(text: str) -> Answer | None:
    """Parts between commas, semicolons, "and" and "or". A name before the first holds for all: x = 1, 2."""
    parts = [p for part in split(text, ",;") for p in re.split(r"\b(?:and|or)\b", part) if p.strip()]
    if len(parts) < 2:
        return None
    return members("set", parts, text)


def of_brackets(text: str) -> Answer | None:
    """A tuple or an interval: parts within one pair of brackets."""
    text = re.sub(r"^\s*\\?[A-Za-z]\s*∈\s*", "", text)
    text = re.sub(r"^\s*\([A-Za-z](?:\s*,\s*[A-Za-z])+\)\s*=\s*", "", text)
    if len(text) < 3 or text[0] not in "([" or text[-1] not in ")]" or closes(text) != len(text) - 1:
        return None
    parts = split(text[1:-1], ",;")
    return (
        Answer("tuple", tuple(understood(p) for p in parts), text[0] + text[-1], text) if len(parts) > 1 and all(parts) else None
    )


def closes(text: str) -> int:
    depth = 0
    for place, c in enumerate(text):
        depth += (c in OPEN) - (c in CLOSE)
        if depth == 0:
            return place
    return -1


def of_relation(text: str) -> Answer | None:
    """An equation or inequality; NAME = value is the value."""
    if any(c in text for c in RELATIONS):
        return inequality(text)
    sides = split(text, "=")
    if len(sides) < 2 or not all(sides):
        return None
    if len(sides) > 2:
        return understood(sides[-1])
    known = [of_value(side) for side in sides]
    if all(k is not None and k.kind == "value" and not symbols(k.parts[0]) for k in known):
        return known[1]
    if NAME.match(sides[0]):
        return understood(sides[1])
    if re.fullmatch(r"[A-Za-z][A-Za-z\s]{2,}", sides[0]):
        return understood(sides[1])
    try:
        return Answer("equation", tuple(read(s) for s in sides), text=text)
    except NotAFormula:
        return None


def inequality(text: str) -> Answer | None:
    """A chain of sides and signs. One symbol between numbers is an interval, so that x > 2 is (2, infinity)."""
    pieces = re.split(f"([{RELATIONS}])", text)
    try:
        sides = [read(p) for p in pieces[::2]]
    except NotAFormula:
        return None
    signs = pieces[1::2]
    interval = as_interval(sides, signs)
    if interval is not None:
        return Answer("tuple", interval[0], interval[1], text)
    if len(signs) != 1:
        return Answer("chain", tuple(sides), "".join(signs), text)
    low, high = sides if signs[0] in "<≤" else sides[::-1]
    return Answer("inequality", (("-", high, low),), "<" if signs[0] in "<>" else "≤", text)


def as_interval(sides: Sequence[Tree], signs: Sequence[str]) -> tuple[tuple[Answer, ...], str] | None:
    if len(signs) > 2 or (any(s in "<≤" for s in signs) and any(s in ">≥" for s in signs)):
        return None
    if signs[0] in ">≥":
        sides, signs = sides[::-1], ["<" if s == ">" else "≤" for s in signs[::-1]]
    middles = [i for i, s in enumerate(sides) if isinstance(s, str) and symbols(s)]
    if len(middles) != 1 or any(symbols(s) for i, s in enumerate(sides) if i != middles[0]):
        return None
    at = middles[0]
    if (len(signs) == 2 and at != 1) or at > 1:
        return None
    low = sides[at - 1] if at else ("neg", "infty")
    high = sides[at + 1] if at + 1 < len(sides) else "infty"
    left = "[" if at and signs[at - 1] == "≤" else "("
    right = "]" if at < len(signs) and signs[at] == "≤" else ")"
    return (Answer("value", (low,)), Answer("value", (high,))), left + right


def of_value(text: str) -> Answer | None:
    """A number or formula, with or without a unit."""
    if re.fullmatch(r"-?\d+(?:\.\d+)?\s*:\s*\d+(?:\.\d+)?(?:\s*:\s*\d+)*", text):
        return Answer("ratio", tuple(Fraction(x.strip()) for x in text.split(":")), text=text)
    text = (
        re.sub(r"\s*\(\s*[A-Za-z][A-Za-z\s]*\)$", lambda m: " " + m[0].strip(" ()"), text)
        if re.match(r"^[-\d.,/\s]+\(", text)
        else text
    )
    ways = [(text, ""), *unit_of(text)]
    for body, unit in ways if not KNOWN.search(text) else ways[::-1]:
        try:
            both = [Answer("value", (tree,), unit, body.strip()) for tree in signed_ways(read(body.strip(" *")))]
        except NotAFormula:
            continue
        return both[0] if len(both) == 1 else Answer("set", tuple(both), text=text)
    return None


def signed_ways(tree: Tree) -> list[Tree]:
    """The formula; with a plus or minus in it, both."""
    return [tree] if not has_sign(tree) else [with_sign(tree, True), with_sign(tree, False)]


def has_sign(tree: Tree) -> bool:
    return isinstance(tree, tuple) and (tree[0] in ("pm", "mp") or any(map(has_sign, tree[1:])))


def with_sign(tree: Tree, plus: bool) -> Tree:
    if not isinstance(tree, tuple):
        return tree
    name = {"pm": "+" if plus else "-", "mp": "-" if plus else "+"}.get(tree[0], tree[0])
    return (name, *(with_sign(x, plus) for x in tree[1:]))


def unit_of(text: str) -> list[tuple[str, str]]:
    """The text without the words at its end, and those words."""
    words = re.sub(r"\s*\^", "^", text).split()
    first = len(words)
    while first > 1 and UNIT.fullmatch(words[first - 1]):
        first -= 1
    body, unit = " ".join(words[:first]), words[first:]
    attached = ATTACHED.fullmatch(body)
    if attached:
        body, unit = attached[1], [attached[2], *unit]
    return [(body, " ".join(unit).casefold())] if unit else []


# ---- sameness ----------------------------------------------------------------------------------------------------

Same = bool | None


def same(gold: str, answer: str, question: str = "") -> Same:
    """Whether an answer says what the gold answer says; None where it cannot be told. A gold 25 may mean 25 %, unless the question
    shows that it asks for nothing of the kind."""
    if max(len(gold), len(answer)) > MOST:
        return None
    g, a = clean(gold), clean(answer)
    if g == a:
        return True
    found = alike(understood(g), understood(a))
    if found and "%" in a and "%" not in g and question and not PER_CENT.search(question):
        return alike(understood(g), understood(a.replace("%", "/100")))
    return found


def alike(g: Answer, a: Answer) -> Same:
    if g.kind == a.kind:
        return OF_A_KIND[g.kind](g, a)
    kinds = {g.kind, a.kind}
    if kinds == {"value", "choice"}:
        return None if any(isinstance(x.parts[0], str) and x.kind == "value" for x in (g, a)) else False
    for x, y in ((g, a), (a, g)):
        if x.kind == "set" and len(x.parts) == 1 and y.kind != "set":
            return alike(x.parts[0], y) if x is g else alike(y, x.parts[0])  # type: ignore[arg-type]
    if "words" in kinds:
        return (
            True
            if fold(g.text) == fold(a.text)
            else None
            if MATHS_IN_WORDS.search(g.text if g.kind == "words" else a.text)
            else False
        )
    if kinds == {"set", "union"}:
        return sets_alike(g, a)
    if kinds == {"tuple", "matrix"}:
        return flat(g, a)
    if kinds == {"value", "ratio"}:
        return ratio_value(g, a)
    return False


def values_alike(g: Answer, a: Answer) -> Same:
    """Two units that are known must be one; of two things that are counted it cannot be told whether they are one, if their names
    share no word. A unit that only one of them has does not matter."""
    units = [ONE_UNIT.get(s.marks.replace("§", "").strip(" .")) for s in (g, a)]
    if None not in units and units[0] != units[1]:
        return False
    found = numbers_alike(g, a, units)
    named = [counted(s.marks) for s in (g, a)]
    return None if found and all(named) and not named[0] & named[1] else found


def counted(unit: str) -> set[str]:
    """The words of a unit, in the singular and each known unit by one name."""
    found: list[str] = re.findall(r"[a-z]+", unit.replace("§", " "))
    words = [ONE_UNIT.get(w, w) for w in found]
    return {w[:-1] if len(w) > 3 and w.endswith("s") else w for w in words} - UNNAMED


def numbers_alike(g: Answer, a: Answer, units: Sequence[str | None]) -> Same:
    """Equal; or a decimal that is the other's value rounded to the places it shows; or the same number of per cent. `units` are
    those of both, None where they are not known."""
    x, y = g.parts[0], a.parts[0]
    found = equal(x, y)
    if found is False and (letter := LETTER_UNIT.fullmatch(a.text)) and not symbols(x):
        return units[0] in (None, ONE_UNIT.get(letter[2])) and equal(x, read(letter[1]))  # 12 m, where no other unit is asked for
    if found is False and units[1] and (letter := LETTER_UNIT.fullmatch(g.text)) and ONE_UNIT.get(letter[2]) == units[1]:
        return equal(read(letter[1]), y)  # 12 meters for 12 m
    if found is not True and "%" in g.text + a.text:
        bare = [read(s.text.replace("%", "")) for s in (g, a)]
        if equal(bare[0], bare[1]):
            return True
    if found is not True and (rounded(x, g.text, y, 3) or rounded(y, a.text, x, 4)):
        return True
    return found


def rounded(decimal: Tree, text: str, other: Tree, digits: int) -> bool:
    """Whether `text` is a decimal of so many digits at least, to which `other`, that no decimal ends, is rounded."""
    match = re.fullmatch(r"-?\d*\.(\d+)", text.strip())
    known = exact(other)
    if match is None or len(text.strip("-0.").replace(".", "")) < digits or (known is not None and terminates(known)):
        return False
    v = values(other, set())[0] if not symbols(other) else None
    return v is not None and near(complex(float(Fraction(text))), v, 0.5000001 * 10 ** -len(match[1]) / max(abs(v), 1e-9))


def terminates(x: Fraction) -> bool:
    d = x.denominator
    for p in (2, 5):
        while d % p == 0:
            d //= p
    return d == 1


def every(pairs: Sequence[Same]) -> Same:
    if all(p is True for p in pairs):
        return True
    return False if any(p is False for p in pairs) else None


def sets_alike(g: Answer, a: Answer) -> Same:
    """The same members in any order, each as often."""
    xs, left = g.parts, list(a.parts)
    if len(xs) != len(left):
        return False
    unsure = False
    for x in xs:
        found = [alike(x, y) for y in left]  # type: ignore[arg-type]
        if True in found:
            left.pop(found.index(True))
        elif None in found:
            unsure = True
        else:
            return False
    return None if unsure else True


def tuples_alike(g: Answer, a: Answer) -> Same:
    if len(g.parts) != len(a.parts) or (g.marks != a.marks and not plain(g, a)):
        return False
    return every([alike(x, y) for x, y in zip(g.parts, a.parts, strict=True)])  # type: ignore[arg-type]


def plain(g: Answer, a: Answer) -> bool:
    """Brackets that only hold: of three or more places nothing is an interval."""
    return len(g.parts) > 2 and {*g.marks, *a.marks} <= set("()[]")


def matrices_alike(g: Answer, a: Answer) -> Same:
    if [len(r) for r in g.parts] != [len(r) for r in a.parts]:  # type: ignore[arg-type]
        return False
    return every([alike(x, y) for r, s in zip(g.parts, a.parts, strict=True) for x, y in zip(r, s, strict=True)])  # type: ignore[call-overload]


def flat(g: Answer, a: Answer) -> Same:
    """A column or row written as a tuple."""
    xs, ys = ([c for r in m.parts for c in r] if m.kind == "matrix" else list(m.parts) for m in (g, a))  # type: ignore[attr-defined]
    return every([alike(x, y) for x, y in zip(xs, ys, strict=True)]) if len(xs) == len(ys) else False  # type: ignore[arg-type]


def ratio_value(g: Answer, a: Answer) -> Same:
    ratio, value = (g, a) if g.kind == "ratio" else (a, g)
    if ratio is a and isinstance(value.parts[0], Fraction):
        return False  # 5 : 1 is no count of five
    first, second = ratio.parts[0], ratio.parts[-1]
    return equal(("/", first, second), value.parts[0]) if len(ratio.parts) == 2 else False


def ratios_alike(g: Answer, a: Answer) -> Same:
    if len(g.parts) != len(a.parts) or not g.parts[0] or not a.parts[0]:
        return g.parts == a.parts
    return all(x * a.parts[0] == y * g.parts[0] for x, y in zip(g.parts, a.parts, strict=True))  # type: ignore[operator]


def proportional(x: Tree, y: Tree, positive: bool) -> Same:
    """Whether x is a constant times y, and one above 0 where it has to be."""
    names = symbols(x) | symbols(y)
    pairs = [
        (p, q)
        for p, q in zip(values(x, names), values(y, names), strict=True)
        if p is not None and q is not None and abs(q) > 1e-12
    ]
    if len(pairs) < 2:
        return None
    ratios = [p / q for p, q in pairs]
    if not all(near(r, ratios[0], 1e-7) for r in ratios) or abs(ratios[0]) < 1e-12:
        return False
    return not positive or ratios[0].real > 0


def equations_alike(g: Answer, a: Answer) -> Same:
    found = proportional(("-", *g.parts), ("-", *a.parts), positive=False)
    return every([equal(x, y) for x, y in zip(g.parts, a.parts, strict=True)]) if found is None else found  # an identity


def inequalities_alike(g: Answer, a: Answer) -> Same:
    return proportional(g.parts[0], a.parts[0], positive=True) if g.marks == a.marks else False


def chains_alike(g: Answer, a: Answer) -> Same:
    return every([equal(x, y) for x, y in zip(g.parts, a.parts, strict=True)]) if g.marks == a.marks else False


OF_A_KIND: dict[str, Callable[[Answer, Answer], Same]] = {
    "value": values_alike, "set": sets_alike, "union": sets_alike, "tuple": tuples_alike, "matrix": matrices_alike,
    "ratio": ratios_alike, "equation": equations_alike, "inequality": inequalities_alike, "chain": chains_alike,
    "choice": lambda g, a: g.parts == a.parts, "words": lambda g, a: g.parts == a.parts,
}  # fmt: skip
