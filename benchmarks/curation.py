"""`ratchet curate` measured: each filter on rows with known faults, what is kept, leaks, open questions, and speed beside datasketch.

    python -m benchmarks.curation --data FOLDER [--part first] [--no-speed] [--drops FILE]

FOLDER holds gsm8k, math, math_eval_misc and bbh as JSON Lines (their files are named in curation_faults.py). What is reported is the last
part, whose rows and wordings were not there while the filters were written. A drop of a row in which no fault was put counts as false,
unless curation_audit.json, where such drops were judged by hand, says that it is right; both counts are reported.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.contest import RESULTS, ROOT, Contender, compare, contest, keep, show
from benchmarks.curation_faults import STAGES, Item, Source, in_part, lettered, read, stream
from benchmarks.table import table
from ratchet.core.seeds import rng
from ratchet.data.answers import normalised
from ratchet.data.curate import Dropped, Tally, chosen, curate
from ratchet.data.filters import Drop, Row, filters, set_filters
from ratchet.data.open_questions import Refused, opened
from ratchet.measure.intervals import wilson
from ratchet.verify.answers import same

AUDIT = Path(__file__).parent / "curation_audit.json"
CLEAN, EACH = 2_000, 100
ROUNDS = 3
INCLUDES = {"near-duplicate": {"exact-duplicate"}}  # what a filter drops by its definition, though it is another fault too


def share(hits: int, n: int) -> dict[str, Any]:
    return asdict(wilson(hits, n, 0.95, "rows"))


# ---- filters ---------------------------------------------------------------------------------------------------------------


def drops_of(items: Sequence[Item], against: Sequence[Row]) -> Iterator[tuple[str, list[tuple[Item, Drop]]]]:
    """Each filter of single rows over the whole stream; each set filter over what these leave, as it meets rows."""
    left = passing(items)
    for e in filters:
        yield e.name, [(i, d) for i in items if (d := e.value.find(i.row))]
    plain = [replace(i.row, answer=normalised(i.row.answer)) for i in left]
    for e in set_filters:
        find = e.value.begin(plain, against)
        yield e.name, [(i, d) for i, r in zip(left, plain, strict=True) if (d := find(r))]


def passing(items: Sequence[Item]) -> list[Item]:
    return [i for i in items if not any(e.value.find(i.row) for e in filters)]


def source_key(item: Item, rows: dict[str, Row]) -> str:
    """The row whose fault it is: of a copy that which it repeats."""
    return rows[item.twin].key if item.twin else item.row.key


def score(items: Sequence[Item], against: Sequence[Row], audit: dict[str, dict[str, bool]]) -> list[dict[str, Any]]:
    rows = {i.row.where: i.row for i in items}
    out: list[dict[str, Any]] = []
    left = passing(items)
    for name, drops in drops_of(items, against):
        met = left if name in set_filters else items
        planted = [i for i in met if name in i.faults]
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


def kept_set(items: Sequence[Item], against: Sequence[Row]) -> dict[str, Any]:
    """The pipeline as `ratchet curate` runs it: which planted faults are in what it keeps."""
    by_where = {i.row.where: i for i in items}
    start = time.perf_counter()
    found = list(curate([i.row for i in items], [i.row for i in items], chosen([], {}), against, {}, None, Tally()))
    seconds = time.perf_counter() - start
    kept = [by_where[r.where] for r in found if not isinstance(r, Dropped)]
    bad = [i for i in kept if i.faults]
    clean = sum(not i.faults for i in items)
    good = len(kept) - len(bad)
    fewer = round(800 * good / clean)  # what would be kept of 800 clean rows beside the same faults: 2,000 rows in all
    return {
        "work": "retained", "rows": len(items), "kept": len(kept), "purity": share(good, len(kept)), "kept_of_clean": share(good, clean),
        "purity_of_2000": share(fewer, fewer + len(bad)), "left": dict(Counter(sorted(f for i in bad for f in i.faults))),
        "rows_per_second": len(items) / seconds,
    }  # fmt: skip


# ---- multiple choice into open questions ------------------------------------------------------------------------------------------


def arithmetic(data: Path, part: str) -> list[tuple[Row, str]]:
    """100 word problems with a whole number as their answer, as questions with four options; and that answer."""
    s = Source(data, part, "open")
    found: list[tuple[Row, str]] = []
    rows = [(r["question"], r["answer"]) for r in s.rows("gsm8k/train", "other")]
    rows += [(f"{r['body']} {r['question']}", r["answer"].split(" (")[0]) for r in s.rows("math_eval_misc/asdiv")[200:300]]
    s.random.shuffle(rows)
    for question, answer in rows:
        if not answer.isdigit() or int(answer) < 4:
            continue
        value = int(answer)
        near_by = {value + d for d in (1, -1, 2, 10, -2)} | {value * 2, value // 2, value + value // 3 + 3}
        options = [*s.random.sample(sorted(near_by - {value, 0}), 3), value]
        s.random.shuffle(options)
        dress = s.random.choice(["{}", "{}", "${}", "{} units", "{}.0"]).format
        body, _, ask = question.rpartition(". ")
        ask = s.random.choice([ask, ask, f"{ask} Choose the correct option.", f"{ask} Which of the following is the answer?"])
        stem = f"{body}. {ask}" if body else ask
        texts, right = [dress(o) for o in options], "ABCD"[options.index(value)]
        if s.random.random() < 0.5:
            found.append((Row(stem, right, tuple(texts)), answer))
        else:
            found.append((Row(f"{stem}\n{lettered(texts, '({L}) {o}', chr(10))}", right), answer))
        if len(found) == 100:
            break
    return found


def real_arithmetic(data: Path, part: str) -> list[tuple[Row, str]]:
    """Multiple choice of AQuA and of MMLU's mathematics, and the right option's text."""
    found: list[tuple[Row, str]] = []
    for r in read(data / "math_eval_misc/aqua.jsonl.gz"):
        options = tuple(o.split(")", 1)[1] for o in r["options"])
        found.append((Row(r["question"], r["correct"], options), options["ABCDE".index(r["correct"])]))
    for r in read(data / "math_eval_misc/mmlu_stem.jsonl.gz"):
        if "mathematics" in r["type"]:
            found.append((Row(r["question"], "ABCD"[r["answer"]], tuple(map(str, r["choices"]))), str(r["choices"][r["answer"]])))
    return [x for x in found if in_part(x[0].question, part)]


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


# ---- speed -----------------------------------------------------------------------------------------------------------------


def speed(data: Path) -> dict[str, Any]:
    settings = {"data": str(data.resolve())}
    contenders = [
        Contender("ratchet near-duplicate", "benchmarks.deduplication:ours", settings),
        Contender("ratchet exact join", "benchmarks.deduplication:joined", settings),
        Contender("datasketch MinHash LSH", "benchmarks.deduplication:datasketch", settings, peer=True),
    ]
    heard = contest([c for c in contenders if not c.missing], ROUNDS)
    result = compare(heard, "ratchet near-duplicate", "rows")
    show("near-duplicates, rows a second", result)
    return {
        "work": "speed",
        "rows": heard["ratchet near-duplicate"][0]["rows"],
        **result,
        "found": {n: {k: v for k, v in f[0].items() if k != "seconds"} for n, f in heard.items()},
    }


# ---- results ---------------------------------------------------------------------------------------------------------------


def pct(e: dict[str, Any]) -> str:
    return f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]"


def over(ratio: dict[str, float] | None) -> str:
    return f"{ratio['median']:.2f} [{ratio['min']:.2f}, {ratio['max']:.2f}]" if ratio else ""


def write_table(rows: Sequence[dict[str, Any]]) -> None:
    """The part of docs/curation.md between its two marks."""
    found = [r for r in rows if r["work"] == "filter"]
    head = [
        "filter",
        "recall, %",
        "precision, %",
        "precision where no natural drop counts as right, %",
        "natural faults found",
        "false drops",
    ]
    parts = [
        table(
            head,
            [
                [
                    r["filter"],
                    pct(r["recall"]),
                    pct(r["precision"]),
                    pct(r["precision_unaudited"]),
                    str(r["natural_faults"]),
                    str(r["false_drops"]),
                ]
                for r in found
            ],
        )
    ]
    for r in rows:
        if r["work"] == "retained":
            parts.append(
                f"Of {r['rows']:,} rows {r['kept']:,} are kept; purity {pct(r['purity'])} %, and {pct(r['purity_of_2000'])} % beside 800 "
                f"clean rows; of the "
                f"clean rows {pct(r['kept_of_clean'])} % are kept. Planted faults that are left: "
                + (", ".join(f"{k} {v}" for k, v in r["left"].items()) or "none") + "."
            )  # fmt: skip
    opens = [r for r in rows if r["work"] == "open"]
    parts.append(
        table(
            ["multiple choice made open", "items", "opened, %", "answer preserved, of the opened, %", "of all, %", "blind guess before, %",
             "after, %"],
            [[r["set"], str(r["items"]), pct(r["opened"]), pct(r["preserved_of_opened"]), pct(r["preserved_of_all"]),
              f"{100 * r['blind_before']:.1f}",
              f"{pct(r['blind_after'])}"] for r in opens],
        )
    )  # fmt: skip
    for r in rows:
        if r["work"] == "speed":
            parts.append(
                table(
                    ["near-duplicates", "rows/s", "ratchet near-duplicate over it", "found of those that came back", "found else"],
                    [[n, f"{v['median']:,.0f}", over(r["ratio"].get(n)), f"{r['found'][n]['found_again']:,} of {r['found'][n]['again']:,}",
                      f"{r['found'][n]['found_else']:,}"] for n, v in r["per_second"].items()],
                )
            )  # fmt: skip
    page = ROOT / "docs" / "curation.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- results -->\n")
    after = rest.partition("<!-- end of results -->")[2]
    page.write_text(before + "<!-- results -->\n" + "\n\n".join(parts) + "\n<!-- end of results -->" + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=STAGES, default=STAGES[3])
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--drops", type=Path, help="write drops of rows without a planted fault here, to judge them by hand")
    given = parser.parse_args()
    items, against = stream(given.data, given.part, CLEAN, EACH)
    audit = json.loads(AUDIT.read_text())["drops"] if AUDIT.exists() else {}
    rows: list[dict[str, Any]] = score(items, against, audit)
    for r in rows:
        print(
            f"{r['filter']:16} recall {pct(r['recall'])}  precision {pct(r['precision'])} "
            f"(unaudited {pct(r['precision_unaudited'])}, not judged {r['not_judged']})"
        )
    rows.append(kept_set(items, against))
    rows += [
        reformulated("arithmetic, four options", arithmetic(given.data, given.part)),
        reformulated("AQuA and MMLU mathematics", real_arithmetic(given.data, given.part)),
    ]
    print(json.dumps(rows[-3:], indent=1))
    if given.drops:
        by_where = {i.row.where: i.row for i in items}
        with given.drops.open("w") as out:
            for name, drops in drops_of(items, against):
                for i, d in drops:
                    if name not in i.faults and not INCLUDES.get(name, set()) & i.faults and source_key(i, by_where) not in audit:
                        told = {"key": source_key(i, by_where), "filter": name, "made": i.made, "faults": sorted(i.faults)}
                        shown = {"reason": d.reason, "evidence": d.evidence, "question": i.row.question, "answer": i.row.answer}
                        out.write(json.dumps(told | shown) + "\n")
    if given.part != STAGES[3]:
        return
    before = json.loads((RESULTS / "curation.json").read_text())["rows"] if (RESULTS / "curation.json").exists() else []
    rows += [r for r in before if r["work"] == "speed"] if given.no_speed else [speed(given.data)]
    rows += [r for r in before if r["work"] == "first look"]  # what each later part said before anything was mended on it
    (RESULTS / "curation.json").unlink(missing_ok=True)
    keep("curation", rows, part=given.part, clean=CLEAN, each=EACH)
    write_table(rows)


if __name__ == "__main__":
    main()
