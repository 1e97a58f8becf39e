"""Word problems: reading text and equations, the verifier, near-duplicates, baselines, and rows that are wrong."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from ratchet.core.errors import EngineError, TaskError
from ratchet.core.types import Task
from ratchet.models.tokens import WordTokenizer, words_of
from ratchet.tasks import equations, word_problems
from ratchet.tasks.family import families
from ratchet.tasks.near_duplicates import groups, jaccard, near_pairs, word_pairs
from ratchet.tasks.word_problems import CONSTANTS, mask, plain, read, sizes, survey, words_in
from ratchet.verify.verifier import verifiers

SAMPLE = Path(word_problems.__file__).parent / "samples" / "word_problems"
WHOLE = Path(__file__).parents[2] / "shared" / "data" / "math_eval_misc"
FOLDERS = [SAMPLE, *([WHOLE] if WHOLE.is_dir() else [])]
judge = verifiers["equation"]


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda f: f.name)
def tasks(request: pytest.FixtureRequest) -> list[Task]:
    return read(str(request.param))


def write(folder: Path, **files: list[object]) -> str:
    """A folder with a .jsonl file for each source."""
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(folder)


def asdiv(body: str, question: str, answer: str, formula: str) -> dict[str, object]:
    return {"body": body, "question": question, "answer": answer, "formula": formula}


@pytest.mark.parametrize(
    ("text", "words", "numbers"),
    [
        ("Seven red apples and 2 green.", "n0 red apples and n1 green .", "7 2"),
        ("Two hundred twenty-seven or 1,234.50?", "n0 or n1 ?", "227 1234.5"),
        ("one hundred and five; twenty-one; one", "n0 ; n1 ; one", "105 21"),
        ("$0.25 at 2:30 is 3/4 of Mrs. Hilt 's", "$ n0 at n1 : n2 is n3 / n4 of mrs . hilt 's", "0.25 2 30 3 4"),
        ("She’s on the 20th mp3; he didn't", "she 's on the n0 th mp ; he didn't", "20"),
        ("0.3333333333333333 ton and 0.16666666666666666", "n0 ton and n1", "1/3 1/6"),
    ],
)
def test_numbers_become_references(text: str, words: str, numbers: str) -> None:
    masked, found = mask(words_in(text))
    assert " ".join(masked) == words
    assert " ".join(map(plain, found)) == numbers


def test_sizes_are_told_but_not_values() -> None:
    assert sizes([Fraction(5), Fraction(2), Fraction(5), Fraction(9)]) == "n1 < n0 = n2 < n3"
    assert sizes([Fraction(5)]) == "n0"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("n1 + n0 - n2", "n0 + n1 - n2"),
        ("(n0 - n2) + n1", "n0 + n1 - n2"),
        ("n0 - (n1 + n2)", "n0 - n1 - n2"),
        ("n0 - (n1 - n2)", "n0 + n2 - n1"),
        ("2 * (n1 + n0)", "( n0 + n1 ) * 2"),
        ("n0 / (n1 * n2)", "n0 / n1 / n2"),
        ("(n2 + n3) / n0 - n1", "( n2 + n3 ) / n0 - n1"),
    ],
)
def test_one_spelling_for_one_equation(text: str, canonical: str) -> None:
    node = equations.read(text)
    assert equations.write(node) == canonical
    numbers = [Fraction(n) for n in (7, 3, 5, 2)]
    assert equations.value(node, numbers) == equations.value(equations.read(canonical), numbers)


@pytest.mark.parametrize("text", ["n0 ** n1", "f(n0)", "n0 +", "x + 1", "n0.real", "1.5 + n0", "(" * 300, "n0 if n1 else n2"])
def test_what_is_no_equation_is_refused(text: str) -> None:
    with pytest.raises(equations.NoEquation):
        equations.read(text)


def test_search_finds_the_smallest() -> None:
    numbers = [Fraction(n) for n in (3, 4, 5)]
    assert equations.search(numbers, Fraction(9), CONSTANTS) == equations.read("n1 + n2")
    assert equations.search(numbers, Fraction(35), ()) == equations.read("(n0 + n1) * n2")
    assert equations.search(numbers, Fraction(180), ("12",)) == equations.read("n0 * n2 * 12")
    assert equations.search(numbers, Fraction(7919), CONSTANTS) is None


def test_steps_are_joined_into_one_equation(tmp_path: Path) -> None:
    row = asdiv("He had 8 red and 2 fewer blue ones.", "How many?", "14 (balls)", "8-2=6; 8+6=14")
    [task] = read(write(tmp_path, asdiv=[row]), common=0)
    assert task.facts["equation"] == "n0 + n0 - n1"
    assert task.prompt == "he had n0 red and n1 fewer blue ones . how many ? n1 < n0 :"
    assert (task.answer, task.facts["numbers"], task.verifier) == ("14", ["8", "2"], "equation")


def test_rare_words_become_references(tmp_path: Path) -> None:
    question = "How many cats do both have?"
    rows = [asdiv(f"So Anna has {i} cats, Ben has 1.", question, str(i + 1), f"{i}+1={i + 1}") for i in range(9)]
    rows.append(asdiv("Zoe has 4 goats and a goat.", "How many goats?", "5", "4+1=5"))
    prompts = {t.prompt for t in read(write(tmp_path, asdiv=rows), common=3, near=1.0)}
    assert "so w0 has n0 cats , w1 has n1 . how many cats do both have ? n1 < n0 :" in prompts
    assert "w0 has n0 w1 w2 w3 w1 . how many w1 ? n0 :" in prompts


def test_varying_hides_words_and_nothing_else(tasks: list[Task]) -> None:
    vary = word_problems.vary
    for task in tasks[:300]:
        assert vary(random.Random(0), task, share=0.0) == task
        other = vary(random.Random(1), task)
        pairs = list(zip(task.prompt.split(), other.prompt.split(), strict=True))
        assert all(a == b or b.startswith("w") for a, b in pairs)
        assert len({b for a, b in pairs if a == "many"}) <= 1
        assert (other.key, other.split, other.facts) == (task.key, task.split, task.facts)


def test_gold_passes_and_decoys_fail(tasks: list[Task]) -> None:
    family = families["word-problems"]
    for task in tasks:
        assert judge(task, family.gold(task)).passed, (task, judge(task, family.gold(task)))
        for name, text in family.decoys(task).items():
            assert not judge(task, text).passed, (name, text, task)


def test_demonstrations_pass_and_hold_references_only(tasks: list[Task]) -> None:
    demonstrate = families["word-problems"].demonstrate
    assert demonstrate is not None
    for task in tasks:
        text = demonstrate(random.Random(0), task)
        assert (text is None) == (task.facts["equation"] == "")
        if text is not None:
            assert judge(task, text).passed
            assert all(w in CONSTANTS for w in text.split() if w[0].isdigit())


def test_the_prompt_holds_no_digits_but_references(tasks: list[Task]) -> None:
    for task in tasks:
        for word in task.prompt.split():
            assert not any(c.isdigit() for c in word) or (word[0] in "nw" and word[1:].isdecimal())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_near_duplicates_stay_on_one_side(folder: Path) -> None:
    """Pair by pair, whatever the groups: no two tasks of different splits are near each other."""
    problems, _, _ = word_problems.load(str(folder))
    tasks = read(str(folder), near=0.5)
    sets = [word_pairs(word_problems.shape(problems[t.identity])) for t in tasks]
    holding: dict[tuple[str, str], list[int]] = {}
    for i, own in enumerate(sets):
        near = {j for pair in own for j in holding.get(pair, ()) if tasks[j].split != tasks[i].split}
        assert not [tasks[j].prompt for j in near if jaccard(own, sets[j]) >= 0.5], tasks[i].prompt
        for pair in own:
            holding.setdefault(pair, []).append(i)


def test_all_near_pairs_are_found() -> None:
    dice = random.Random(1)
    sets = [word_pairs([dice.choice("abcdef") for _ in range(dice.randint(3, 9))]) for _ in range(120)]
    for near in (0.3, 0.5, 0.8, 1.0):
        found = {(j, i) for i, j in near_pairs(sets, near)}
        assert found == {(i, j) for j in range(120) for i in range(j) if jaccard(sets[i], sets[j]) >= near}


def test_groups_are_chains_of_near_pairs() -> None:
    texts = ["a b c d e f", "a b c d e g", "a b c d h g", "x y z"]
    assert groups([t.split() for t in texts], 0.5) == [0, 0, 0, 3]
    assert groups([t.split() for t in texts], 0.95) == [0, 1, 2, 3]


def test_splits_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (SAMPLE / "svamp.jsonl").read_text().splitlines()]
    mixed = random.Random(3).sample(rows, len(rows))
    there = {t.key: t for t in read(str(SAMPLE))}
    assert {t.key: t for t in read(write(tmp_path, svamp=mixed))} == there
    assert [t.key for t in read(str(tmp_path))] == list(there)
    assert Counter(t.split for t in there.values())["heldout"] > 10


def test_no_cluster_swallows_the_rest(tasks: list[Task]) -> None:
    size = Counter(t.cluster for t in tasks)
    assert max(size.values()) < 0.05 * len(tasks)
    assert len({t.key for t in tasks}) == len(tasks)


def test_repeated_problems_count_once_with_their_equation(tmp_path: Path) -> None:
    first = asdiv("Tom has 5 cats and buys 2.", "How many now?", "7 (cats)", "5+2=7")
    again = {"input": "Tom has five cats and buys two . How many now ?", "target": 7.0}
    folder = write(tmp_path, asdiv=[first], mawps_addsub=[again])
    [task] = read(folder)
    assert task.facts["equation"] == "n0 + n1"
    assert survey(folder).dropped == {("mawps_addsub", "the same words and numbers stand in an earlier row"): 1}


def test_what_cannot_be_used_is_counted_with_its_reason(tmp_path: Path) -> None:
    rows = [
        asdiv("15 heads in packs of 4.", "How many are left?", "3 (heads)", "15/4=3 r3"),
        asdiv("A ratio of 2 to 4 .", "What?", "1:2", "2:4=1:2"),
        asdiv("8 and 12 .", "What divides both?", "4", "GCD(8,12)=4"),
        asdiv("8 and 12 .", "How many?", "21", "8+12=20"),
        asdiv("He has 8 .", "How many?", "57", "8+49=57"),
        asdiv("10 laps, 3 a minute.", "How long?", "3.33", "10/3=3.33"),
    ]
    found = survey(write(tmp_path, asdiv=rows))
    assert sum(found.dropped.values()) == 5 and sum(found.tasks.values()) == 1
    [task] = read(str(tmp_path))
    assert judge(task, "answer n0 / n1").passed and task.facts["tolerance"] == "1/200"
    assert not judge(task, "answer n0 / n1 + n1 / 100").passed


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("answer 7", "no reference"),
        ("answer n2 + n0", "does not exist"),
        ("answer n0 + 9", "not among the constants"),
        ("answer n0 + n1 = 7", "not an equation"),
        ("answer n0 n1", "not an equation"),
        ("answer n0 / ( n0 - n0 )", "division by zero"),
        ("answer n0 - n1", "is 3, not 7"),
        ("answer n٠ + n1", "not an equation"),
        ("n0 + n1", "no answer"),
    ],
)
def test_wrong_answers_are_told_why(tmp_path: Path, answer: str, why: str) -> None:
    [task] = read(write(tmp_path, asdiv=[asdiv("Tom has 5 cats and buys 2.", "How many now?", "7", "5+2=7")]))
    verdict = judge(task, answer)
    assert not verdict.passed and why in verdict.evidence


def test_baselines_are_better_than_nothing_and_worse_than_right(tasks: list[Task]) -> None:
    train = [t for t in tasks if t.split == "train"]
    rest = [t for t in tasks if t.split == "validation"]
    for name, baseline in families["word-problems"].baselines.items():
        predict = baseline(train)
        right = sum(judge(t, predict(t)).passed for t in rest)
        assert 0.05 < right / len(rest) < 0.7, name
        assert baseline(train[::-1])(rest[0]) == predict(rest[0])


def test_baselines_always_answer(tmp_path: Path) -> None:
    [task] = read(write(tmp_path, mawps_addsub=[{"input": "Tom has 5 cats. How many?", "target": 5}]))
    for baseline in families["word-problems"].baselines.values():
        assert baseline([])(task) == "answer n0"


def test_a_gzipped_folder_reads_alike(tmp_path: Path) -> None:
    (tmp_path / "svamp.jsonl.gz").write_bytes(gzip.compress((SAMPLE / "svamp.jsonl").read_bytes()))
    assert read(str(tmp_path)) == read(str(SAMPLE))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"body": "x", "question": "y", "answer": "1"}, "row 2: the field 'formula' is missing; it has body"),
        ([1], "row 2: got list"),
        ({"body": "x", "question": "y", "answer": "1", "formula": 5}, "row 2: 'formula' must be a text, got int"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, row: object, message: str) -> None:
    good = asdiv("Tom has 5 cats and buys 2.", "How many now?", "7", "5+2=7")
    with pytest.raises(TaskError, match=r"asdiv\.jsonl") as caught:
        read(write(tmp_path, asdiv=[good, row]))
    assert message in str(caught.value)


def test_an_empty_folder_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"svamp\.jsonl.*mawps_singleop\.jsonl"):
        read(str(tmp_path))
    with pytest.raises(TaskError, match="near=0"):
        read(str(SAMPLE), near=0.0)


@pytest.mark.skipif(not WHOLE.is_dir(), reason="the whole sets are not here")
def test_the_whole_sets_read_in_seconds() -> None:
    start = time.perf_counter()
    found = survey(str(WHOLE))
    assert time.perf_counter() - start < 10
    assert sum(found.rows.values()) == 5280
    assert sum(found.tasks.values()) + sum(found.dropped.values()) == 5280


def test_unknown_words(tmp_path: Path) -> None:
    words = words_of(["a b b c", "c a d"], at_least=2)
    assert words == ["a", "b", "c"] and words_of(["b a b"], at_least=1, most=1) == ["b"]
    with pytest.raises(EngineError):
        WordTokenizer(words).encode("a z")
    loose = WordTokenizer(words, strict=False)
    loose.save(tmp_path)
    again = WordTokenizer.load(tmp_path)
    assert again is not None and again.encode("a z b") == loose.encode("a z b") == [2, 0, 3]
