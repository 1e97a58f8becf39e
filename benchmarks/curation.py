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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import RESULTS, ROOT, Contender, compare, contest, keep, show
from benchmarks.curation_faults import STAGES, Source, in_part, read, stream
from benchmarks.table import table
from ratchet.data.filters import Row
from ratchet.studies.curation_faults import (
    INCLUDES,
    Item,
    drops_of,
    four_options,
    pipeline,
    purity,
    reformulated,
    score,
    share,
    source_key,
)

AUDIT = Path(__file__).parent / "curation_audit.json"
CLEAN, EACH = 2_000, 100
ROUNDS = 3


def kept_set(items: Sequence[Item], against: Sequence[Row]) -> dict[str, Any]:
    """The pipeline as `ratchet curate` runs it: which planted faults are in what it keeps."""
    start = time.perf_counter()
    found = purity(items, kept := pipeline(items, against))
    seconds = time.perf_counter() - start
    bad = sum(bool(i.faults) for i in kept)
    fewer = round(
        800 * found["kept_of_clean"]["value"]
    )  # what would be kept of 800 clean rows beside the same faults: 2,000 rows
    return {**found, "purity_of_2000": share(fewer, fewer + bad), "rows_per_second": len(items) / seconds}


# ---- multiple choice into open questions ------------------------------------------------------------------------------------------


def arithmetic(data: Path, part: str) -> list[tuple[Row, str]]:
    """100 word problems with a whole number as their answer, as questions with four options; and that answer."""
    s = Source(data, part, "open")
    found: list[tuple[Row, str]] = []
    rows = [(r["question"], r["answer"]) for r in s.rows("gsm8k/train", "other")]
    rows += [(f"{r['body']} {r['question']}", r["answer"].split(" (")[0]) for r in s.rows("math_eval_misc/asdiv")[200:300]]
    s.random.shuffle(rows)
    for question, answer in rows:
        row = four_options(s.random, question, answer)
        found += [row] if row else []
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
            for name, _, drops in drops_of(items, against):
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
