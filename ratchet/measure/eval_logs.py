"""Sample logs of lm-evaluation-harness and of Inspect.

lm-evaluation-harness, the layout of 0.4.9 (`--log_samples`, files `samples_TASK_TIME.jsonl`): one line per document and
filter with doc_id, doc, target, arguments, resps, filtered_resps, filter, metrics, doc_hash and one field per metric.
Lines of 0.4.0 to 0.4.8, which lack filter or metrics, are read too. One filter and one metric are measured.

Inspect, log format version 2 (inspect_ai 0.3): `.eval` is a zip file with `samples/ID_epoch_N.json` in it, `.json` one
object with a list `samples`. A sample has id, epoch, input, target, output and scores, a score value and answer. Epochs
of one id are the samples of a problem. As in Inspect's accuracy "C" is right, "I" and "N" (no answer) are wrong; "P"
(partial) has score 0.5 and is not right. A sample that ended in an error without a score has no label.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import StoreError, nearest
from ratchet.core.seeds import digest
from ratchet.measure.samples import Problem, Sample, shown

if TYPE_CHECKING:
    from ratchet.measure.sample_files import Naming, Rows

METRICS = ("exact_match", "acc", "math_verify", "pass@1", "pass_at_1", "em", "accuracy", "acc_norm", "prompt_level_strict_acc")
QUESTIONS = ("question", "problem", "prompt", "query", "input")
INVALID = "[invalid]"  # what lm-eval's regex filters write where nothing matched


# ---- lm-evaluation-harness ---------------------------------------------------------------------------------------


def lm_eval(path: Path, rows: Rows, naming: Naming, notes: list[str]) -> Iterator[Problem]:
    """One problem per document, told apart by its hash, so that doc_id 0 of two tasks is not one problem."""
    from ratchet.measure.sample_files import gold_of, group_of

    metric = ""
    wanted = naming.filter or None
    others: set[str] = set()
    seen = False
    for number, row in rows:
        where = f"{path}, line {number}"
        name = str(row.get("filter", "none"))
        if naming.by != "filter":
            wanted = wanted or name
            if name != wanted:
                others.add(name)
                continue
        seen = True
        metric = metric or metric_of(row, naming, where, notes)
        stored = row.get("doc")
        doc: dict[str, Any] = stored if isinstance(stored, dict) else {}
        key = str(row.get("doc_hash") or digest(json.dumps([row.get("doc"), row.get("target")], sort_keys=True)).hex())[:16]
        question = next((doc[q] for q in QUESTIONS if isinstance(doc.get(q), str)), "")
        samples, texts = lm_eval_samples(row, metric, where, notes)
        target = row.get("target")
        gold = gold_of(target, where, "target") if texts else None  # the target of choices is a place in their list
        yield Problem(key, samples, gold, question, group=group_of(row, naming.by, where), where=where)
    if not seen:
        raise StoreError(f"{path}: --filter {wanted}: no line has this filter; {nearest(str(wanted), others)}")
    if others:
        notes.append(f'filter "{wanted}" is measured; --filter takes {", ".join(sorted(others))} too, --by filter each')


def metric_of(row: Mapping[str, Any], naming: Naming, where: str, notes: list[str]) -> str:
    """The metric that says whether an answer is right: the user's, else the first of `METRICS`, else the only one."""
    listed = [m for m in row.get("metrics", []) if m in row] if isinstance(row.get("metrics"), list) else []
    present = listed or [m for m in METRICS if m in row]
    if "correct" in naming.fields:
        if naming.fields["correct"] not in row:
            raise StoreError(
                f"{where}: --field correct={naming.fields['correct']}: there is no such metric; "
                f"{nearest(naming.fields['correct'], present or row)}"
            )
        return naming.fields["correct"]
    known = [m for m in METRICS if m in present] or (present if len(present) == 1 else [])
    if not known:
        raise StoreError(
            f"{where}: none of its metrics ({', '.join(present) or 'none'}) is known to say whether an answer is right "
            f"({', '.join(METRICS)} are); name it with --field correct=METRIC"
        )
    if len(present) > 1:
        notes.append(f'metric "{known[0]}" is the label (others: {", ".join(m for m in present if m != known[0])})')
    return known[0]


def lm_eval_samples(row: Mapping[str, Any], metric: str, where: str, notes: list[str]) -> tuple[list[Sample], bool]:
    """The samples of a line, and whether they are texts (else log-likelihoods of choices)."""
    from ratchet.measure.sample_files import label, there_is

    there_is(metric, row, where)
    drawn = first_of(row.get("resps"))
    repeats = drawn if isinstance(drawn, list) else [drawn]
    texts = bool(repeats) and all(isinstance(r, str) for r in repeats)
    value, kept = row.get(metric), first_of(row.get("filtered_resps"))
    if isinstance(value, list):
        if not texts or len(value) != len(repeats):
            raise StoreError(
                f'{where}: metric "{metric}" has {len(value)} values for {len(repeats) if texts else 0} texts in "resps"; '
                f"name another metric with --field correct=METRIC"
            )
        answers = kept if isinstance(kept, list) and len(kept) == len(value) else [None] * len(value)
        return [
            Sample(text, text_answer(a), label(v, where, metric), characters=len(text))
            for text, a, v in zip(repeats, answers, value, strict=True)
        ], True
    note = "lm-eval drew several texts per document and stored one score: one sample is counted"
    if texts and len(repeats) > 1 and note not in notes:
        notes.append(note)
    text = repeats[0] if texts and len(repeats) == 1 else None
    sample = Sample(text, text_answer(kept) if texts else None, label(value, where, metric),
                    characters=None if text is None else len(text))  # fmt: skip
    return [sample], texts


def first_of(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def text_answer(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() and value != INVALID else None


# ---- Inspect -----------------------------------------------------------------------------------------------------


def inspect_zip(path: Path, naming: Naming, notes: list[str]) -> Iterator[Problem]:
    """Sample by sample: only one is held at a time."""
    name = ""

    def stored(archive: zipfile.ZipFile, names: list[str]) -> Iterator[tuple[str, Any]]:
        nonlocal name
        for name in names:
            yield f"{path}, {name}", json.loads(archive.read(name))

    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.startswith("samples/") and n.endswith(".json")]
            if not names:
                raise StoreError(f"{path} holds no samples (no samples/*.json in it); run the evaluation with its samples logged")
            if "header.json" in archive.namelist():
                name = "header.json"
                header = json.loads(archive.read(name))
                note_status(header.get("status") if isinstance(header, dict) else None, notes)
            else:
                notes.append("the log has no header.json: the evaluation did not come to its end")
            yield from inspect_samples(path, stored(archive, names), naming, notes)
    except NotImplementedError:
        raise StoreError(
            f"{path}, {name}: its compression cannot be read by this Python; write the log as JSON with "
            f"`inspect log convert {path.name} --to json --output-dir json` and give that file"
        ) from None
    except (OSError, EOFError, ValueError, RecursionError, zipfile.BadZipFile, zlib.error) as e:
        at = f", {name}" if name else ""
        raise StoreError(
            f"{path}{at}: this is no Inspect log, or a damaged one ({e}); write it anew or give the .json log"
        ) from None


def inspect_json(path: Path, naming: Naming, notes: list[str]) -> Iterator[Problem]:
    """The text is held whole, its samples are parsed one at a time."""
    count = 0

    def stored() -> Iterator[tuple[str, Any]]:
        nonlocal count
        for key, value in members(path, "samples"):
            if key == "status":
                note_status(value, notes)
            elif key == "samples":
                count += 1
                yield f"{path}, sample {count}", value

    yield from inspect_samples(path, stored(), naming, notes)
    if not count:
        raise StoreError(f"{path} holds no samples; run the evaluation with its samples logged")


def note_status(status: Any, notes: list[str]) -> None:
    if status != "success":
        notes.append(f"the evaluation's status is {shown(status)}: it may be incomplete")


def inspect_samples(path: Path, stored: Iterator[tuple[str, Any]], naming: Naming, notes: list[str]) -> Iterator[Problem]:
    """A problem per sample, labelled by the user's scorer, else by the first that any sample has."""
    scorer, seen, missed, others = naming.fields.get("correct", ""), 0, 0, set[str]()
    for where, sample in stored:
        scores = sample.get("scores") if isinstance(sample, dict) else None
        names = list(scores) if isinstance(scores, dict) else []
        scorer = scorer or next(iter(names), "")
        yield inspect_sample(sample, scorer, naming, where)
        seen += scorer in names
        missed += bool(names) and scorer not in names
        others.update(name for name in names if name != scorer)
    if missed and not seen:
        raise StoreError(f"{path}: --field correct={scorer}: there is no such scorer; {nearest(scorer, others)}")
    if others:
        left = f"; {missed:,} samples have no score by it and so no label" if missed else ""
        notes.append(f'scorer "{scorer}" is the label (others: {", ".join(sorted(others))}){left}')


def inspect_sample(sample: Any, scorer: str, naming: Naming, where: str) -> Problem:
    from ratchet.measure.sample_files import amount, gold_of, group_of

    if not isinstance(sample, dict) or not isinstance(sample.get("id"), (str, int)):
        raise StoreError(f"{where}: a sample of an Inspect log is an object with an id, got {shown(sample)}")
    try:
        score = (sample.get("scores") or {}).get(scorer) or {}
        answer, value = score.get("answer"), score.get("value")
        output = sample.get("output") or {}
        text = resolved(content_of(output), sample)
        spent = (output.get("usage") or {}).get("output_tokens")
    except AttributeError as e:
        raise StoreError(f"{where}: its scores or its output are not those of an Inspect log ({e}); write the log anew") from None
    correct, points = inspect_value(value, where, scorer)
    tokens = amount(spent, where, "output_tokens", 0.0)
    return Problem(
        key=str(sample["id"]),
        samples=[Sample(text, text_answer(answer), correct, points, tokens, None if text is None else len(text))],
        gold=gold_of(sample.get("target"), where, "target"),
        question=question_of(sample.get("input")),
        group=group_of(sample, naming.by, where),
        where=where,
    )


def inspect_value(value: Any, where: str, scorer: str) -> tuple[bool | None, float | None]:
    from ratchet.measure.sample_files import label

    letters = {"C": (True, 1.0), "I": (False, 0.0), "P": (False, 0.5), "N": (False, 0.0)}
    if isinstance(value, str) and value in letters:
        return letters[value]
    correct = label(value, where, f"scores.{scorer}.value")
    return correct, None if correct is None else float(correct)


def content_of(output: Mapping[str, Any]) -> str | None:
    """The text of a model's output; parts that are not text (reasoning, images) are left out."""
    choice = first_of(output.get("choices")) or {}
    content = (choice.get("message") or {}).get("content", output.get("completion"))
    if isinstance(content, list):
        return "".join(str(c.get("text", "")) for c in content if isinstance(c, dict) and c.get("type") == "text")
    return content if isinstance(content, str) else None


def resolved(text: str | None, sample: Mapping[str, Any]) -> str | None:
    """Long texts stand among the sample's attachments."""
    if text is None or not text.startswith("attachment://"):
        return text
    found = (sample.get("attachments") or {}).get(text.removeprefix("attachment://"))
    return found if isinstance(found, str) else None


def question_of(messages: Any) -> str:
    if isinstance(messages, list):
        said = [m.get("content") for m in messages if isinstance(m, dict) and m.get("role") == "user"]
        messages = said[-1] if said else ""
    return messages if isinstance(messages, str) else ""


# ---- a large JSON object, member by member -----------------------------------------------------------------------


def first_keys(path: Path, most: int = 8) -> set[str]:
    """The first keys of a JSON object, as far as they tell what it is."""
    return {key for key, _ in islice(members(path, "samples"), most)}


def members(path: Path, streamed: str) -> Iterator[tuple[str, Any]]:
    """Key and value of each member of a file's one object; of the list `streamed` each item, under the same key."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise StoreError(f"cannot read {path}: {e}") from None
    decoder = json.JSONDecoder()
    at = 0

    def skip(expected: str) -> str:
        """Pass over blanks and one of the expected characters."""
        nonlocal at
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at >= len(text) or text[at] not in expected:
            raise json.JSONDecodeError(f"expected {' or '.join(expected)}", text, at)
        at += 1
        return text[at - 1]

    def value() -> Any:
        nonlocal at
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        found, at = decoder.raw_decode(text, at)
        return found

    def empty(end: str) -> bool:
        nonlocal at
        start = at
        try:
            skip(end)
        except ValueError:
            at = start
            return False
        return True

    try:
        skip("{")
        if empty("}"):
            return
        while True:
            key = str(value())
            skip(":")
            if key == streamed and opens_list(text, at):
                skip("[")
                more = not empty("]")
                while more:
                    yield key, value()
                    more = skip(",]") == ","
            elif (found := value()) is not None or key != streamed:  # null is a list of none
                yield key, found
            if skip(",}") == "}":
                return
    except (ValueError, RecursionError) as e:
        raise StoreError(f"{path} is not a JSON object ({e}); give a whole log, or JSON Lines in a file named .jsonl") from None


def opens_list(text: str, at: int) -> bool:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return text.startswith("[", at)
