"""Word problems: read a problem in English, write the equation whose value answers it.

`Seven red apples and 2 green ...` becomes `n0 red apples and n1 green ...`: every number of the text is a reference,
and the answer is an equation over references, `answer n0 + n1`. Rare words and names are references too: w0, w1, ....
Behind the text stand the numbers in the order of their sizes, which a reader of the digits sees. Reads the published
files of ASDiv (Miao et al. 2020), SVAMP (Patel et al. 2021) and MAWPS (Koncel-Kedziorski et al. 2016). MAWPS gives
answers only: such tasks can be learned by reinforcement, not by imitation.

Departures: what needs a remainder, a rounding, a greatest common divisor, a least common multiple, a ratio or a word
as its answer is left out (`survey` counts it). The same value reached by another equation counts as right, whether
its reasons are right or not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from ratchet.core.errors import TaskError
from ratchet.core.types import Split, Task
from ratchet.tasks import equations
from ratchet.tasks.equations import NoEquation
from ratchet.tasks.family import Family, families
from ratchet.tasks.files import rows_of
from ratchet.tasks.near_duplicates import groups, word_pairs

SAMPLE = Path(__file__).parent / "samples" / "word_problems"
CONSTANTS = ("1", "2", "3", "4", "5", "6", "7", "8", "10", "12", "24", "25", "60", "100", "1000")

# ---- text ---------------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<word>'s\b|[a-z]+(?:'(?!s\b)[a-z]+)?)(?:[0-9]+)?|(?P<sign>[.,?!:;$%/=&()])"
)
SMALL = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen"""
UNITS = {word: i for i, word in enumerate(SMALL.split(), start=1)}
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}


def words_in(text: str) -> list[str | Fraction]:
    """Lower-case words and signs; each number, in digits or spelled out, as its value. Hyphens divide words."""
    text = text.lower().replace("’", "'").replace("-", " ")
    tokens: list[str | Fraction] = []
    for match in TOKEN.finditer(text):
        tokens.append(decimal(match["number"]) if match["number"] else match["word"] or match["sign"])
    return [Fraction(token) if isinstance(token, int) else token for token in numbered(tokens)]


def numbered(tokens: Sequence[str | Fraction]) -> Iterator[str | Fraction | int]:
    """The tokens, but for numbers that are spelled out: each is one, an int."""
    place = 0
    while place < len(tokens):
        number, length = spelled(tokens[place : place + 5])
        yield number if length else tokens[place]
        place += length or 1


def spelled(tokens: Sequence[str | Fraction]) -> tuple[int, int]:
    """The number below 10,000 that the tokens start with, and how many tokens it takes; (0, 0) without one.

    "one" alone is a pronoun as often as a number, and stays a word.
    """
    number, length = below_hundred(tokens)
    if tokens[length : length + 1] == ["hundred"]:
        number, length = 100 * (number or 1), length + 1
        rest = 1 if tokens[length : length + 1] == ["and"] else 0
        more, longer = below_hundred(tokens[length + rest :])
        if longer:
            number, length = number + more, length + rest + longer
    return (0, 0) if (number, length) == (1, 1) else (number, length)


def below_hundred(tokens: Sequence[str | Fraction]) -> tuple[int, int]:
    first, second = (*[str(t) for t in tokens[:2]], "", "")[:2]
    if first in TENS:
        return (TENS[first] + UNITS[second], 2) if UNITS.get(second, 10) < 10 else (TENS[first], 1)
    return (UNITS[first], 1) if first in UNITS else (0, 0)


def decimal(text: str) -> Fraction:
    """The value of digits. Eight or more places are a printed fraction such as 0.3333333333: the nearest small one."""
    value = Fraction(text.replace(",", ""))
    return value.limit_denominator(1000) if len(text.partition(".")[2]) >= 8 else value


def plain(value: Fraction) -> str:
    """A value as exact text: "43", "35.52" or, where no decimal ends, "8/9"."""
    places = next((k for k in range(8) if (value * 10**k).denominator == 1), None)
    if places is None:
        return str(value)
    digits = f"{abs(value) * 10**places}".rjust(places + 1, "0")
    return ("-" if value < 0 else "") + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def mask(tokens: Sequence[str | Fraction]) -> tuple[list[str], list[Fraction]]:
    """The words with n0, n1, ... for the numbers, and the numbers."""
    numbers = [t for t in tokens if isinstance(t, Fraction)]
    names = iter(range(len(numbers)))
    return [t if isinstance(t, str) else f"n{next(names)}" for t in tokens], numbers


def sizes(numbers: Sequence[Fraction]) -> str:
    """The references from the smallest number to the largest: `n1 < n0 = n2`."""
    order = sorted(range(len(numbers)), key=lambda i: (numbers[i], i))
    text = "".join(f" {'=' if numbers[i] == numbers[before] else '<'} n{i}" for before, i in pairwise(order))
    return f"n{order[0]}{text}" if order else ""


# ---- rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A usable row: masked words, exact numbers and answer, the equation over references or "" where none is given."""

    source: str
    words: tuple[str, ...]
    numbers: tuple[Fraction, ...]
    answer: Fraction
    equation: str
    tolerance: Fraction
    named: tuple[bool, ...] = ()  # for each word whether it is a name


class Unusable(ValueError):
    """A well-formed row that is no task of this family; the message is the reason that `survey` counts."""


Written = tuple[str, str, str]
"""The text, the answer and the equation as a row writes them; "" for no equation."""


def asdiv(row: Mapping[str, Any]) -> Written:
    answer, _, _ = text_of(row, "answer").partition(" (")  # "9 (apples)"
    return f"{text_of(row, 'body')} {text_of(row, 'question')}", answer, text_of(row, "formula")


def svamp(row: Mapping[str, Any]) -> Written:
    body = text_of(row, "Body").strip()
    stop = "" if body.endswith((".", ",", "?", "!")) else " ,"
    return f"{body}{stop} {text_of(row, 'Question')}", number_of(row, "Answer"), text_of(row, "Equation")


def mawps(row: Mapping[str, Any]) -> Written:
    return text_of(row, "input"), number_of(row, "target"), ""


def text_of(row: Mapping[str, Any], name: str) -> str:
    if not isinstance(row[name], str):
        raise TypeError(f"{name!r} must be a text, got {type(row[name]).__name__}")
    return row[name]


def number_of(row: Mapping[str, Any], name: str) -> str:
    if isinstance(row[name], bool) or not isinstance(row[name], (int, float)):
        raise TypeError(f"{name!r} must be a number, got {type(row[name]).__name__}")
    return str(row[name])


SOURCES: dict[str, Callable[[Mapping[str, Any]], Written]] = {
    "asdiv": asdiv,
    "svamp": svamp,
    "mawps_addsub": mawps,
    "mawps_multiarith": mawps,
    "mawps_singleeq": mawps,
    "mawps_singleop": mawps,
}
"""File name without its ending -> what is read of a row, KeyError or TypeError where it is not as it should be. Where
two files hold the same problem, the one that stands first here is kept."""


def problem_of(source: str, text: str, answer: str, formula: str) -> Problem:
    """Raises Unusable with the reason."""
    words, numbers = mask(words_in(text))
    if not re.fullmatch(r"-?[0-9,]*\.?[0-9]+", answer.strip()):
        raise Unusable("the answer is not one number")
    gold = decimal(answer.strip())
    if not numbers:
        raise Unusable("the text holds no number")
    if formula and (odd := ODD.search(formula)):
        raise Unusable(f"the equation needs {ODD_NAMES[str(odd.lastgroup)]}")
    equation, tolerance = "", Fraction(0)
    if formula and not re.match(r"[A-Za-z]:", formula):
        node = equation_of(formula, numbers)
        tolerance = slack(equations.value(node, numbers), gold, answer)
        equation = equations.write(node)
    elif equations.search(numbers, gold, CONSTANTS) is None:
        raise Unusable("no small equation over its numbers gives the answer")
    return Problem(source, tuple(words), tuple(numbers), gold, equation, tolerance)


def slack(value: Fraction, gold: Fraction, written: str) -> Fraction:
    """How far a right value may be from the gold: nothing, but half a unit of its last place where it was rounded.

    Raises Unusable where the value is not the answer.
    """
    places = len(written.strip().partition(".")[2])
    rounded = Fraction(1, 2 * 10**places) if places else Fraction(0)
    if abs(value - gold) > rounded:
        raise Unusable("the equation's value is not the answer")
    return rounded if value != gold else Fraction(0)


ODD = re.compile(r"(?P<divisor>GCD|LCM)|(?P<remainder> r[0-9])|(?P<ratio>[0-9]:[0-9])|(?P<comparison>[<>])", re.ASCII)
ODD_NAMES = {
    "divisor": "a common divisor or multiple",
    "remainder": "a remainder or rounding",
    "ratio": "a ratio",
    "comparison": "a comparison",
}


def equation_of(formula: str, numbers: Sequence[Fraction]) -> equations.Node:
    """The equation over references of `8-2=6; 8+6=14`: literals that stand in the text become references.

    A literal that an earlier step gave is replaced by that step; any other must be among CONSTANTS. The same number
    twice in the text is taken in the order of the text. Raises Unusable.
    """
    steps: dict[Fraction, str] = {}
    free = list(range(len(numbers)))
    node: equations.Node = ""

    def name(match: re.Match[str]) -> str:
        literal = Fraction(match[0])
        places = [i for i, n in enumerate(numbers) if n == literal]
        if places:
            place = next((i for i in places if i in free), places[0])
            if place in free:
                free.remove(place)
            return f"n{place}"
        if literal in steps:
            return f"( {steps[literal]} )"
        if plain(literal) in CONSTANTS:
            return plain(literal)
        raise Unusable("the equation holds a number that neither the text nor the constants hold")

    try:
        for step in re.sub(r"\([A-Za-z/ ]+\)", "", formula).strip(" ;").split(";"):
            node = equations.read(re.sub(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+", name, step.partition("=")[0]))
            steps[equations.value(node, numbers)] = equations.write(node)
    except (NoEquation, ZeroDivisionError):
        raise Unusable("the equation is not arithmetic") from None
    return node


# ---- a folder as tasks --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Survey:
    """What a folder holds: rows by source, rows left out by source and reason, tasks by source and split, groups."""

    rows: Mapping[str, int]
    dropped: Mapping[tuple[str, str], int]
    tasks: Mapping[tuple[str, Split], int]
    clusters: int
    largest_cluster: int


def survey(path: str, *, near: float = 0.5) -> Survey:
    """Count a folder. Raises TaskError as `read` does."""
    problems, rows, dropped = load(path)
    tasks = tasks_of(problems, near, common=0, order=True)
    size = Counter(t.cluster for t in tasks)
    placed = Counter[tuple[str, Split]]((t.facts["source"], t.split) for t in tasks)
    return Survey(rows, dropped, placed, len(size), max(size.values(), default=0))


def read(path: str, *, near: float = 0.5, common: int = 20, order: bool = True) -> list[Task]:
    """The tasks of a folder of the published files (.jsonl or .jsonl.gz); "sample" is the part of SVAMP that ships here.

    Problems whose word pairs have a Jaccard index of `near` or more, names and numbers masked, stay in one cluster.
    (At 0.5 the largest of the six files' clusters holds 2 % of the tasks; at 0.45 chains join 5 %, at 0.3 13 %.)
    Words of fewer than `common` training problems, and names, are written w0, w1, ... by appearance: two thousand
    problems teach little about a word that few of them hold, but much about what happens to some w0; 0 writes all
    words. `order` writes the order of the numbers' sizes behind the text. Raises TaskError for a folder without any of the
    files, and with file and row for a row that lacks a field.
    """
    if not 0 < near <= 1:
        raise TaskError(f"word-problems: near={near} must be above 0 and at most 1")
    return tasks_of(load(path)[0], near, common, order)


def load(path: str) -> tuple[dict[str, Problem], Counter[str], Counter[tuple[str, str]]]:
    """Usable problems by identity, rows by source, dropped rows by source and reason."""
    folder = SAMPLE if path == "sample" else Path(path)
    rows, dropped = Counter[str](), Counter[tuple[str, str]]()
    written: list[tuple[str, Written]] = []
    for source, fields in SOURCES.items():
        for where, row in source_rows(folder, source):
            rows[source] += 1
            written.append((source, fields_of(row, where, fields)))
    if not rows:
        raise TaskError(
            f"{folder} holds none of the files that word-problems reads: {', '.join(f'{s}.jsonl' for s in SOURCES)} "
            "(each may end in .jsonl.gz); give a folder with at least one of them"
        )
    names = names_in([text for _, (text, _, _) in written])
    problems: dict[str, Problem] = {}
    for source, (text, answer, formula) in written:
        try:
            problem = problem_of(source, text, answer, formula)
            if identity(problem) in problems:
                raise Unusable("the same words and numbers stand in an earlier row")
            problems[identity(problem)] = replace(problem, named=tuple(w in names for w in problem.words))
        except Unusable as e:
            dropped[source, str(e)] += 1
    return problems, rows, dropped


def source_rows(folder: Path, source: str) -> Iterator[tuple[str, Any]]:
    """(where it stands, row) of a source's file; nothing where the folder lacks it."""
    for file in (folder / f"{source}.jsonl", folder / f"{source}.jsonl.gz"):
        if file.is_file():
            yield from ((f"{file}, row {number}", row) for number, row in rows_of(str(file)))
            return


def fields_of(row: Any, where: str, fields: Callable[[Mapping[str, Any]], Written]) -> Written:
    """Raises TaskError for a row that is not an object, lacks a field or holds another type in it."""
    if not isinstance(row, dict):
        raise TaskError(f"{where}: got {type(row).__name__}, each row must be an object")
    try:
        return fields(row)
    except KeyError as e:
        raise TaskError(f"{where}: the field {e.args[0]!r} is missing; it has {', '.join(row) or 'no fields'}") from None
    except TypeError as e:
        raise TaskError(f"{where}: {e}") from None


def identity(problem: Problem) -> str:
    return f"{' '.join(problem.words)} | {' '.join(map(plain, problem.numbers))}"


def names_in(texts: Sequence[str]) -> frozenset[str]:
    """Words that stand inside sentences more often with a capital than without: people, places, days."""
    inside = Counter(
        m[1] for t in texts for m in re.finditer(r"(?<![A-Za-z'])([A-Za-z]+)", t.replace("’", "'")) if not starts(t, m.start())
    )
    lower = Counter({w: n for w, n in inside.items() if w[0].islower()})
    capital = Counter[str]()
    for word, n in inside.items():
        if word[0].isupper():
            capital[word.lower()] += n
    return frozenset(w for w, n in capital.items() if n > lower[w])


def starts(text: str, place: int) -> bool:
    """Whether a sentence starts at the place."""
    return text[:place].rstrip()[-1:] in ("", ".", "?", "!")


def shape(problem: Problem) -> list[str]:
    """The words without signs, each reference as "#", each name as "@": what near-duplicates share."""
    masked = ["#" if REFERENCE.fullmatch(w) else "@" if name else w for w, name in zip(problem.words, problem.named, strict=True)]
    return [w for w in masked if w[-1].isalpha() or w in "#@"]


REFERENCE = re.compile(r"n[0-9]+")


def tasks_of(problems: Mapping[str, Problem], near: float, common: int, order: bool) -> list[Task]:
    """Tasks with their clusters; a cluster is named by its first identity in the alphabet, whatever the order of rows."""
    known = sorted(problems)
    places = groups([shape(problems[i]) for i in known], near)
    tasks = [task_of(problems[i], i, known[place]) for i, place in zip(known, places, strict=True)]
    frequent = common_words([problems[t.identity] for t in tasks if common == 0 or t.split == "train"], common)
    return [replace(t, prompt=prompt_of(problems[t.identity], frequent, order)) for t in tasks]


def common_words(train: Sequence[Problem], at_least: int) -> frozenset[str]:
    """The words of at least so many training problems; names are common for 0 alone."""
    holding = Counter(w for p in train for w in {w for w, name in zip(p.words, p.named, strict=True) if not (name and at_least)})
    return frozenset(w for w, n in holding.items() if n >= at_least)


def prompt_of(problem: Problem, frequent: frozenset[str], order: bool) -> str:
    words = hide(problem.words, {w for w in problem.words if w not in frequent and w[-1].isalpha() and w != "'s"})
    return " ".join([*words, *([sizes(problem.numbers)] if order else []), ":"])


def hide(words: Sequence[str], hidden: Set[str]) -> list[str]:
    """The words with the hidden ones as w0, w1, ... in the order of appearance; singular and plural are one."""
    places: dict[str, int] = {}
    return [f"w{places.setdefault(singular(w), len(places))}" if w in hidden else w for w in words]


def singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 else word


def task_of(problem: Problem, own: str, cluster: str) -> Task:
    """The task, its prompt still to be written: that takes the words of the training problems."""
    facts = {
        "numbers": [plain(n) for n in problem.numbers],
        "constants": list(CONSTANTS),
        "equation": problem.equation,
        "source": problem.source,
    }
    if problem.tolerance:
        facts["tolerance"] = str(problem.tolerance)
    return Task("word-problems", "", plain(problem.answer), "equation", facts, own, cluster)


# ---- the family ---------------------------------------------------------------------------------------------------


def numbers_of(task: Task) -> list[Fraction]:
    return [Fraction(n) for n in task.facts["numbers"]]


def right_equation(task: Task) -> equations.Node:
    """The data set's equation; where it gives none, a smallest one that reaches the answer."""
    if task.facts["equation"]:
        return equations.read(task.facts["equation"])
    found = equations.search(numbers_of(task), Fraction(task.answer), task.facts["constants"])
    if found is None:
        raise TaskError(f"word-problems: no small equation over its numbers gives the answer of {task.prompt!r}")
    return found


def gold(task: Task) -> str:
    return f"answer {equations.write(right_equation(task))}"


def demonstrate(random: Random, task: Task) -> str | None:
    """The data set's equation; None where it gives only the answer."""
    return f"answer {task.facts['equation']}" if task.facts["equation"] else None


def vary(random: Random, task: Task, *, share: float = 0.25) -> Task:
    """The same task with a `share` of its words hidden too, each wherever it stands: another view of one problem."""
    words = task.prompt.split()
    hidden = {w for w in words if HIDDEN.fullmatch(w)}
    for word in dict.fromkeys(map(singular, words)):
        if word.isalpha() and random.random() < share:
            hidden |= {w for w in words if singular(w) == word}
    return replace(task, prompt=" ".join(hide(words, hidden)))


HIDDEN = re.compile(r"w[0-9]+")


def decoys(task: Task) -> Mapping[str, str]:
    """Answers that look right and are not."""
    right, numbers = gold(task).removeprefix("answer "), numbers_of(task)
    beyond = f"n{len(numbers)}"
    wrong = another_value(numbers, Fraction(task.answer), Fraction(task.facts.get("tolerance", 0)))
    return {
        "empty": "",
        "prompt echo": task.prompt,
        "the bare number": f"answer {task.answer}",
        "another operation": f"answer {wrong}",
        "off by one": f"answer {right} + 1",
        "hedge with two equations": f"answer {right} or {wrong}",
        "hedge with a comma": f"answer {right} , {wrong}",
        "right value, wrong form": f"answer {right} = {task.answer}",
        "a number that is not given": f"answer {right} + {beyond} - {beyond}",
        "a constant that is not allowed": f"answer {right} + 9999 - 9999",
        "only constants": "answer 2 + 3",
        "look-alike digits": f"answer {right.translate(str.maketrans('0123456789', '٠١٢٣٤٥٦٧٨٩'))}",
        "power tower": "answer n0 " + "** n0 " * 9,
        "code": "answer __import__('os').system('id')",
    }


def another_value(numbers: Sequence[Fraction], target: Fraction, tolerance: Fraction) -> str:
    """An equation over the numbers whose value is not the target."""
    last = f"n{len(numbers) - 1}"
    for text in (f"n0 + {last}", f"n0 * {last}", f"n0 + {last} + 1"):
        if abs(equations.value(equations.read(text), numbers) - target) > tolerance:
            return text
    raise AssertionError("two sums that differ by one cannot both be the target")


# ---- baselines: training tasks -> (task -> text) --------------------------------------------------------------------


def fits(equation: str, count: int) -> bool:
    """Whether every reference of the equation is one of `count` numbers."""
    return all(int(n[1:]) < count for n in REFERENCE.findall(equation))


def most_frequent(train: Sequence[Task]) -> Callable[[Task], str]:
    """The most frequent equation among training tasks with as many numbers, else the most frequent that fits."""
    counts: dict[int, Counter[str]] = {}
    for task in train:
        if task.facts["equation"]:
            counts.setdefault(len(task.facts["numbers"]), Counter())[task.facts["equation"]] += 1
    total = sum(counts.values(), Counter[str]())

    def predict(task: Task) -> str:
        count = len(task.facts["numbers"])
        ranked = sorted((counts.get(count) or total).items(), key=lambda item: (-item[1], item[0]))
        return f"answer {next((e for e, _ in ranked if fits(e, count)), 'n0')}"

    return predict


NEIGHBOURS = 25  # of 3, 5, 9, 15 and 25 the best on the validation split, as were word pairs against single words


def nearest_neighbours(train: Sequence[Task]) -> Callable[[Task], str]:
    """The equation that most of the nearest training tasks with as many numbers have, weighed by their likeness.

    Likeness is the cosine of TF-IDF weights over neighbouring word pairs of the text, rare words included.
    """
    known = [t for t in sorted(train, key=lambda t: t.key) if t.facts["equation"]]
    texts = Counter(pair for t in known for pair in word_pairs(text_words(t)))

    def weigh(task: Task) -> dict[tuple[str, str], float]:
        counts = Counter(pairwise(text_words(task)))
        weights = {p: n * math.log((1 + len(known)) / (1 + texts[p])) for p, n in counts.items()}
        norm = math.sqrt(sum(x * x for x in weights.values())) or 1.0
        return {p: x / norm for p, x in weights.items()}

    holding: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for place, task in enumerate(known):
        for pair, weight in weigh(task).items():
            holding.setdefault(pair, []).append((place, weight))

    def predict(task: Task) -> str:
        likeness = [0.0] * len(known)
        for pair, weight in weigh(task).items():
            for place, other in holding.get(pair, ()):
                likeness[place] += weight * other
        count = len(task.facts["numbers"])
        able = [i for i, t in enumerate(known) if fits(t.facts["equation"], count)]
        able.sort(key=lambda i: (len(known[i].facts["numbers"]) != count, -likeness[i]))
        votes: dict[str, float] = {}
        for i in able[:NEIGHBOURS]:
            equation = known[i].facts["equation"]
            votes[equation] = votes.get(equation, 0.0) + likeness[i]
        return f"answer {max(votes, key=votes.__getitem__, default='n0')}"

    return predict


def text_words(task: Task) -> list[str]:
    """The words of the problem itself, none hidden."""
    return task.identity.partition(" | ")[0].split()


families.put(
    "word-problems",
    Family(
        None,
        gold,
        decoys,
        demonstrate,
        read,
        {"most frequent equation": most_frequent, "nearest neighbours": nearest_neighbours},
        vary,
        step=2,  # an answer is one equation: an operation and a number each
    ),
    paper="arXiv 2103.07191",
    summary=__doc__,
)
