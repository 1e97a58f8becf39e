"""Reading samples from files: JSON Lines of anybody's, ratchet's traces and records; `eval_logs` reads the rest.

A JSON Lines file holds one sample per line, or one problem per line with a list of samples (objects, or texts beside
lists of the same length). Its fields are found by name, once, in its first line: for each role the first name of
`FIELDS` that is there and has no other role yet, roles in the order of the table. Without a field for the problem, the
question is the problem; without a question, one of `LAST_KEYS` is. `--field ROLE=NAME` overrules the table.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from ratchet.core.errors import RecipeError, StoreError, nearest
from ratchet.core.seeds import digest
from ratchet.measure.entropy import drawn
from ratchet.measure.record import load_record
from ratchet.measure.samples import Gold, Problem, Sample, shown

FIELDS: dict[str, tuple[str, ...]] = {
    "problem": ("problem_id", "task_id", "question_id", "doc_id", "unique_id", "problem_key", "key"),
    "question": ("question", "problem", "prompt", "input", "query", "instruction"),
    "cluster": ("cluster",),
    "gold": ("gold_answer", "ground_truth_answer", "reference_answer", "expected_answer", "correct_answer", "gold",
             "ground_truth", "reference", "target", "expected", "source_gold", "answer"),
    "samples": ("samples", "responses", "completions", "generations", "candidates", "outputs", "attempts"),
    "text": ("response", "completion", "generation", "output", "model_output", "text", "solution"),
    "answer": ("extracted_answer", "predicted_answer", "model_answer", "parsed_answer", "final_answer", "prediction",
               "predicted", "pred", "extracted", "answer", "answers", "extracted_answers", "predictions", "preds"),
    "correct": ("is_correct", "correct", "correctness", "source_is_correct", "passed", "is_passed", "success", "verdict",
                "outcome", "reward", "score"),
    "score": ("score", "scores", "reward", "reward_score", "rm_score"),
    "tokens": ("num_tokens", "tokens", "n_tokens", "completion_tokens", "output_tokens", "token_count", "sampled_tokens"),
    "logprobs": ("logprobs", "token_logprobs"),
}  # fmt: skip
LAST_KEYS = ("id", "idx", "index", "uid")
OF_A_SAMPLE = ("text", "answer", "correct", "score", "tokens", "logprobs")
SEVERAL = ("system", "model", "model_name", "generator")  # what a file with samples of several models may call them
RIGHT = frozenset({"true", "yes", "correct", "right", "pass", "passed", "c", "1"})
WRONG = frozenset({"false", "no", "incorrect", "wrong", "fail", "failed", "i", "0"})
UNKNOWN = frozenset({"", "none", "null", "unknown", "abstain", "n/a"})
ENDINGS = ("*.jsonl", "*.jsonl.gz", "*.json", "*.eval")  # of the files that are measured where a folder is given
TAKES = {  # which options mean something for a kind of file
    "JSON Lines": ("--field", "--by"),
    "lm-evaluation-harness": ("--field correct", "--by", "--filter"),
    "Inspect log": ("--field correct", "--by"),
    "ratchet record": (),
    "ratchet traces": (),
}


@dataclass(frozen=True)
class Naming:
    """What the user says about a file: names of fields by role, lm-eval's filter, the field to split by.

    `against`: there is an evaluation set too, whose questions the field of that role may name.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    filter: str = ""
    by: str = ""
    against: bool = False

    def __post_init__(self) -> None:
        for role in self.fields:
            if role not in FIELDS:
                raise RecipeError(f'--field: there is no role "{role}"; {nearest(role, FIELDS)}')

    def given(self) -> Iterator[tuple[str, str]]:
        """The options that were given, as `TAKES` names them and as the user wrote them."""
        for role, name in self.fields.items():
            if not (role == "question" and self.against):
                yield f"--field {role}", f"--field {role}={name}"
        for option, value in (("--filter", self.filter), ("--by", self.by)):
            if value:
                yield option, f"{option} {value}"


@dataclass
class Source:
    """A file's samples, read as `parts` is walked. `notes` fills while it is; `ours`: the labels are ratchet's verdicts."""

    name: str
    kind: str
    parts: Iterator[Problem]
    notes: list[str] = field(default_factory=list)
    ours: bool = False


def sources(path: Path, naming: Naming) -> list[Source]:
    """What there is to measure at `path`: one source per file of `files_at`."""
    found = [source_of(file, naming) for file in files_at(path)]
    for source in found:
        refuse_unused(source, naming)
    texts = path / "traces" / "heldout-*.jsonl.gz"
    if any(s.kind == "ratchet record" for s in found) and any(texts.parent.glob(texts.name)):
        for source in found:
            source.notes.append(
                f"a record holds counts; the texts of the first samples of each task are in {texts}: measure those files for "
                f"majority@k, behaviours and the entropy of answers"
            )
    return found


def files_at(path: Path) -> list[Path]:
    """The file itself; of a run's folder its records, else its traces; of any other folder the files of samples in it."""
    if not path.is_dir():
        return [path]
    found = sorted((path / "records").glob("*.json"), key=lambda f: (f.stem != "before", f.stem))
    found = found or sorted((path / "traces").glob("*.jsonl.gz"))
    if not found and not (path / "recipe.json").is_file():  # with one it is a run that has no samples yet
        found = sorted(f for ending in ENDINGS for f in path.glob(ending) if f.is_file())
    if not found:
        raise StoreError(
            f"{path} is a folder without records/*.json, traces/*.jsonl.gz and files of samples ({', '.join(ENDINGS)}); "
            f"give a finished run's folder, one with such files, or the files themselves"
        )
    return found


def refuse_unused(source: Source, naming: Naming) -> None:
    """RecipeError for an option that does nothing to this kind of file."""
    kind = source.kind.partition(";")[0]
    for option, written in naming.given():
        names = {option, option.partition(" ")[0]}
        if not names & set(TAKES[kind]):
            takers = ", ".join(k for k, taken in TAKES.items() if names & set(taken))
            raise RecipeError(f"{written}: {source.name} is read as {kind}, and this option is only for {takers}; leave it out")


def source_of(path: Path, naming: Naming) -> Source:
    from ratchet.measure import eval_logs

    source = Source(str(path), "", iter(()))
    try:
        with path.open("rb") as f:
            start = f.read(4)
    except OSError as e:
        raise StoreError(f"cannot read {path}: {e.strerror or e}") from None
    if start == b"PK\x03\x04" or path.suffix == ".eval":
        source.kind, source.parts = "Inspect log", eval_logs.inspect_zip(path, naming, source.notes)
    elif path.suffix == ".json":
        if "rows" in (first := eval_logs.first_keys(path)):
            source.kind, source.parts, source.ours = "ratchet record", of_record(path), True
        elif {"eval", "samples"} & first:
            source.kind, source.parts = "Inspect log", eval_logs.inspect_json(path, naming, source.notes)
        else:
            raise StoreError(
                f"{path} is neither a record of `ratchet eval --out` nor an Inspect log (it has {', '.join(sorted(first)) or 'no keys'}); "
                f"samples of another program must be JSON Lines, one object per line, in a file named .jsonl"
            )
    else:
        rows = lines(path)
        first_row = next(rows, None)
        if first_row is None:
            raise StoreError(f"{path} is empty; it should hold one JSON object per line")
        row = first_row[1]
        again = chain([first_row], rows)
        if "doc_id" in row and {"resps", "filtered_resps"} & row.keys():
            source.kind, source.parts = "lm-evaluation-harness", eval_logs.lm_eval(path, again, naming, source.notes)
        elif {"key", "draws", "outcome", "chosen"} <= row.keys():
            source.kind, source.parts, source.ours = "ratchet traces", of_traces(path, again), True
        else:
            chosen = choose(row, naming, f"{path}, line 1")
            source.kind = "JSON Lines; " + ", ".join(f"{role}={name}" for role, name in chosen.items())
            source.parts = of_lines(path, again, chosen, naming.by, source.notes)
    return source


def questions(path: Path, naming: Naming) -> list[str]:
    """The questions of an evaluation set, JSON Lines with one per line (gzipped or not); labels are not needed.

    StoreError for a line without one.
    """
    found: list[str] = []
    name = ""
    for number, row in lines(path):
        asked = (naming.fields.get("question", ""), *FIELDS["question"])
        name = name or next((n for n in asked if isinstance(row.get(n), str)), "")
        if not isinstance(row.get(name), str):
            raise StoreError(
                f"{path}, line {number}: no field holds a question as text; the fields are {', '.join(list(row)[:20])}, and names "
                f"that are known are {', '.join(FIELDS['question'])}; say which it is with --field question=NAME"
            )
        found.append(row[name])
    if not found:
        raise StoreError(f"{path} is empty; it should hold one JSON object per line")
    return found


def golds(path: Path, naming: Naming) -> list[Problem]:
    """The gold answers of an evaluation set, with their questions where there are any; no samples and no labels are needed.

    StoreError for a line without one.
    """
    found: list[Problem] = []
    name = ""
    for number, row in lines(path):
        name = name or next((n for n in (naming.fields.get("gold", ""), *FIELDS["gold"]) if n in row), "")
        if row.get(name) is None:
            raise StoreError(
                f"{path}, line {number}: no field holds a gold answer; the fields are {', '.join(list(row)[:20])}, and names that are "
                f"known are {', '.join(FIELDS['gold'])}; say which it is with --field gold=NAME"
            )
        asked = next((n for n in (naming.fields.get("question", ""), *FIELDS["question"]) if isinstance(row.get(n), str)), "")
        where = f"{path}, line {number}"
        found.append(Problem(str(number), gold=gold_of(row[name], where, name), question=str(row.get(asked, "")), where=where))
    if not found:
        raise StoreError(f"{path} is empty; it should hold one JSON object per line")
    return found


Rows = Iterator[tuple[int, dict[str, Any]]]


def lines(path: Path) -> Rows:
    """The objects of a JSON Lines file, gzipped or not, with their line numbers; empty lines are passed over."""
    number = 0
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig") as f:
            for number, line in enumerate(f, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as e:
                    raise StoreError(
                        f"{path}, line {number}: this is not JSON ({e}); each line must be one JSON object"
                    ) from None
                if not isinstance(row, dict):
                    raise StoreError(f"{path}, line {number}: each line must be a JSON object, got {type(row).__name__}")
                yield number, row
    except (FileNotFoundError, IsADirectoryError, PermissionError) as e:
        raise StoreError(f"cannot read {path}: {e.strerror or e}") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as e:
        raise StoreError(f"{path} cannot be read after line {number}: {e}; it must be UTF-8 text or gzip of it") from None


# ---- anybody's JSON Lines ----------------------------------------------------------------------------------------


def choose(row: Mapping[str, Any], naming: Naming, where: str) -> dict[str, str]:
    """Which field of a first line plays which role. StoreError where a role that is needed has none."""
    chosen: dict[str, str] = {}
    taken: set[str] = set(naming.fields.values())

    def take(role: str, among: Mapping[str, Any], names: Sequence[str], wants: type = object) -> None:
        if role in naming.fields:
            if naming.fields[role] not in among:
                raise StoreError(
                    f"{where}: --field {role}={naming.fields[role]}: there is no such field; {nearest(naming.fields[role], among)}"
                )
            chosen[role] = naming.fields[role]
            return
        name = next((n for n in names if n in among and n not in taken and isinstance(among[n], wants)), None)
        if name is not None:
            chosen[role] = name
            taken.add(name)

    for role in ("problem", "question", "cluster", "gold"):
        take(role, row, FIELDS[role])
    if "problem" not in chosen and "question" not in chosen:
        take("problem", row, LAST_KEYS)
    take("samples", row, (*FIELDS["samples"], *FIELDS["text"]), list)
    among = row
    if "samples" in chosen:
        listed = row[chosen["samples"]]
        if not isinstance(listed, list) or not listed:
            raise StoreError(f'{where}: "{chosen["samples"]}" should be a list of samples, got {shown(listed)}')
        if isinstance(listed[0], dict):
            among, taken = listed[0], set(naming.fields.values())
    for role in OF_A_SAMPLE:
        if not (role == "text" and "samples" in chosen and among is row):
            take(role, among, FIELDS[role])
    if "problem" not in chosen and "question" not in chosen:
        lacking(where, "problem", "which problem a sample belongs to", row, (*FIELDS["problem"], *FIELDS["question"], *LAST_KEYS))
    if "correct" not in chosen:
        lacking(where, "correct", "whether a sample is right", among, FIELDS["correct"])
    return chosen


def lacking(where: str, role: str, what: str, row: Mapping[str, Any], names: Sequence[str]) -> NoReturn:
    raise StoreError(
        f"{where}: no field says {what}; the fields are {', '.join(map(str, list(row)[:20]))}, and names that are known are "
        f"{', '.join(names)}; say which it is with --field {role}=NAME"
    )


def of_lines(path: Path, rows: Rows, chosen: Mapping[str, str], by: str, notes: list[str]) -> Iterator[Problem]:
    several: dict[str, set[str]] = {name: set() for name in SEVERAL}
    for number, row in rows:
        where = f"{path}, line {number}"
        key, question = identity(row, chosen, where)
        for name in several:
            if isinstance(row.get(name), str):
                several[name].add(row[name])
        yield Problem(
            key=key,
            samples=list(samples_of(row, chosen, where)),
            gold=gold_of(row.get(chosen.get("gold", "")), where, chosen.get("gold", "")),
            question=question,
            cluster="" if (cluster := row.get(chosen.get("cluster", ""))) is None else str(cluster),
            group=group_of(row, by, where),
            where=where,
        )
    for name, values in several.items():
        if len(values) > 1 and not by:
            notes.append(f'samples of {len(values)} different "{name}" are taken together; --by {name} measures each')


def identity(row: Mapping[str, Any], chosen: Mapping[str, str], where: str) -> tuple[str, str]:
    question = row.get(chosen.get("question", ""), "")
    question = question if isinstance(question, str) else json.dumps(question, ensure_ascii=False)
    if "problem" not in chosen:
        key: Any = digest(question).hex()[:16] if question else None
        name = chosen["question"]
    else:
        name = chosen["problem"]
        key = row.get(name)
    if not isinstance(key, (str, int)) or key == "":
        raise StoreError(f'{where}: "{name}" names the problem and must be text or a whole number, got {shown(key)}')
    return str(key), question


def group_of(row: Mapping[str, Any], by: str, where: str) -> str:
    if not by:
        return ""
    if by not in row:
        raise StoreError(f"{where}: --by {by}: there is no such field; {nearest(by, row)}")
    return str(row[by])


def gold_of(value: Any, where: str, name: str) -> Gold | None:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value):
        return tuple(str(v) for v in value) or None
    if isinstance(value, (int, float)):
        return str(value)
    raise StoreError(f'{where}: "{name}" is the gold answer and must be text, a number or a list of them, got {shown(value)}')


def samples_of(row: Mapping[str, Any], chosen: Mapping[str, str], where: str) -> Iterable[Sample]:
    if "samples" not in chosen:
        return [sample_of(values_of(row, chosen, where), chosen, where)]
    listed = row.get(chosen["samples"])
    if not isinstance(listed, list):
        raise StoreError(f'{where}: "{chosen["samples"]}" must be a list of samples, got {shown(listed)}')
    if all(isinstance(item, dict) for item in listed):
        return [sample_of(values_of(item, chosen, where), chosen, where) for item in listed]
    beside: dict[str, Any] = {role: row.get(chosen[role]) for role in OF_A_SAMPLE if role in chosen}
    for role, values in beside.items():
        if not isinstance(values, list) or len(values) != len(listed):
            got = f"{len(values)} values" if isinstance(values, list) else shown(values)
            raise StoreError(
                f'{where}: "{chosen[role]}" must be a list with one value for each of the {len(listed)} samples in '
                f'"{chosen["samples"]}", got {got}'
            )
    texts = {"text": listed, **beside}
    return [sample_of({role: values[i] for role, values in texts.items()}, {"text": chosen["samples"], **chosen}, where)
            for i in range(len(listed))]  # fmt: skip


def values_of(item: Mapping[str, Any], chosen: Mapping[str, str], where: str) -> dict[str, Any]:
    """A sample's values by role."""
    there_is(chosen["correct"], item, where)
    return {role: item.get(chosen[role]) for role in OF_A_SAMPLE if role in chosen}


def there_is(name: str, item: Mapping[str, Any], where: str) -> None:
    """StoreError for a sample without the field of the label. A label that is not known must be said to be so."""
    if name not in item:
        raise StoreError(
            f'{where}: the field of the label, "{name}", is not there; the fields are {", ".join(list(item)[:20])}; '
            f"write null where a label is not known, or name the field that every sample has with --field correct=NAME"
        )


def sample_of(values: Mapping[str, Any], names: Mapping[str, str], where: str) -> Sample:
    text, answer = values.get("text"), values.get("answer")
    if text is not None and not isinstance(text, str):
        raise StoreError(
            f'{where}: "{names["text"]}" must be the text of a sample, got {type(text).__name__}; name it with --field text=NAME'
        )
    if answer is not None and not isinstance(answer, (str, int, float)):
        raise StoreError(f'{where}: "{names["answer"]}" must be an answer as text or number, got {type(answer).__name__}; '
                         f"name it with --field answer=NAME")  # fmt: skip
    return Sample(
        text=text,
        answer=None if answer is None or str(answer).strip() == "" else str(answer),
        correct=label(values.get("correct"), where, names.get("correct", "correct")),
        score=amount(values.get("score"), where, names.get("score", "score"), -1e300),
        tokens=amount(len(t) if isinstance(t := values.get("tokens"), list) else t, where, names.get("tokens", "tokens"), 0.0),
        characters=None if text is None else len(text),
        logprobs=logprobs_of(values.get("logprobs")),
    )


def logprobs_of(value: Any) -> tuple[float, int] | None:
    """The total of a list of log-probabilities; other programs store other things under that name, which is not known."""
    known = isinstance(value, list) and value and all(type(x) in (int, float) and -math.inf < x <= 0 for x in value)
    return drawn(value) if known else None


def label(value: Any, where: str, name: str) -> bool | None:
    """True, False, or None for a label that is not known. StoreError for anything that is none of them."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    word = value.strip().casefold() if isinstance(value, str) else None
    if word in UNKNOWN:
        return None
    if word in RIGHT or word in WRONG:
        return word in RIGHT
    raise StoreError(
        f'{where}: "{name}" should say whether the sample is right (true or false, 1 or 0, correct or incorrect, pass or fail, '
        f"or null where it is not known), got {shown(value)}; name the field that does with --field correct=NAME"
    )


def amount(value: Any, where: str, name: str, least: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and abs(value) < 1e300 and value >= least:
        return float(value)
    raise StoreError(f'{where}: "{name}" must be a number{" of at least 0" if least == 0 else ""}, got {shown(value)}')


# ---- ratchet's own -----------------------------------------------------------------------------------------------


def of_traces(path: Path, rows: Rows) -> Iterator[Problem]:
    """Traces of a run: the sample is what the strategy chose, its tokens all that the strategy spent on it."""
    for number, row in rows:
        where = f"{path}, line {number}"
        try:
            text = None if row["chosen"] is None else str(row["draws"][row["chosen"]]["text"])
            sample = Sample(
                text=None if row["answer"] is None else text,  # where our own verifier found no answer there is none
                answer=row["answer"],
                correct=label(row["outcome"], where, "outcome"),
                tokens=float(row["cost"]["sampled_tokens"]),
                characters=None if text is None else len(text),
            )
            gold = row["gold"] if isinstance(row["gold"], str) else json.dumps(row["gold"])
            yield Problem(str(row["key"]), [sample], gold, str(row["prompt"]), where=where)
        except (KeyError, IndexError, TypeError, ValueError) as e:
            raise StoreError(
                f"{where}: this is not a trace that ratchet wrote ({type(e).__name__}: {e}); write the traces anew"
            ) from None


def of_record(path: Path) -> Iterator[Problem]:
    """A record holds counts and no texts: as many right, wrong and unknown samples, each with the mean of the tokens."""
    for row in load_record(path).rows:
        labels = [True] * row.passes + [False] * (row.n - row.passes) + [None] * row.abstained
        samples = [Sample(correct=c, tokens=row.tokens / len(labels)) for c in labels]
        yield Problem(row.key, samples, cluster=row.cluster, where=str(path))
