"""Answers in prose against human labels: our rule beside published rules without a model, on EVOUNA.

python -m benchmarks.text_answers [--data FOLDER] [--sample FILE]

Reads answers.jsonl.gz of EVOUNA (Wang et al. 2023, arXiv 2305.12421) from FOLDER and writes docs/text-answers.md. Thresholds are
chosen on the validation half of the questions (by hash), all numbers are of the other half. Rows whose gold answer the makers of
the data call improper, and answers without a label or a text, are left out.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import string
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.contest import ROOT
from benchmarks.table import table
from ratchet.core.seeds import rng
from ratchet.core.types import Estimate, Outcome, Task
from ratchet.measure.intervals import share_of
from ratchet.verify import text
from ratchet.verify.attacks import must_fail
from ratchet.verify.verifier import verifiers

DATA = ROOT.parent / "shared" / "data" / "verify_evouna"
THRESHOLDS = np.linspace(0.02, 1.0, 50)
SAMPLED = 250


@dataclass(frozen=True)
class Row:
    """One answer of one system: the gold's alternatives and what people said of it."""

    dataset: str
    system: str
    question: str
    golds: tuple[str, ...]
    answer: str
    human: bool

    @property
    def validation(self) -> bool:
        return int(hashlib.md5(self.question.encode()).hexdigest(), 16) % 2 == 0


def load(folder: Path) -> list[Row]:
    file = folder / "answers.jsonl.gz"
    if not file.exists():
        raise SystemExit(f"{file} does not exist; give the folder of EVOUNA's answers.jsonl.gz with --data FOLDER")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        read = [json.loads(line) for line in lines]
    return [
        Row(r["dataset"], system, r["question"], alternatives(r["golden_answer"]), a["answer"], a["human_judge"])
        for r in read
        if not r["improper"]
        for system, a in r["answers"].items()
        if a["human_judge"] is not None and a["answer"] is not None
    ]


def alternatives(gold: str) -> tuple[str, ...]:
    """Both sources write alternatives with slashes; the whole is one too, for "km/h" and the like."""
    return tuple(g for g in dict.fromkeys([gold, *gold.split("/")]) if g.strip()) or (gold,)


# ---- published rules: (gold, answer) -> a score in [0, 1]; of several golds the best counts ------------------------


def plain(words: str) -> list[str]:
    """As SQuAD's evaluation folds answers (Rajpurkar et al. 2016): case, punctuation, articles."""
    folded = "".join(c for c in words.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", folded).split()


def exact_match(gold: str, answer: str) -> float:
    return float(plain(gold) == plain(answer))


def containment(gold: str, answer: str) -> float:
    """The gold as a run of words: "lexical matching" in EVOUNA's paper."""
    run = " ".join(plain(gold))
    return float(bool(run) and f" {run} " in f" {' '.join(plain(answer))} ")


def overlap(gold: str, answer: str) -> tuple[int, int, int]:
    g, a = plain(gold), plain(answer)
    return sum((Counter(g) & Counter(a)).values()), len(g), len(a)


def token_f1(gold: str, answer: str) -> float:
    both, g, a = overlap(gold, answer)
    return 2 * both / (g + a) if both else 0.0


def token_recall(gold: str, answer: str) -> float:
    both, g, _ = overlap(gold, answer)
    return both / g if g else 0.0


def rouge_l(gold: str, answer: str) -> float:
    """Lin 2004, the F-measure with equal weights."""
    g, a = plain(gold), plain(answer)
    common = longest_common(g, a)
    return 2 * common / (len(g) + len(a)) if common else 0.0


def rouge_l_recall(gold: str, answer: str) -> float:
    g = plain(gold)
    return longest_common(g, plain(answer)) / len(g) if g else 0.0


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    if not set(a) & set(b):
        return 0
    before = [0] * (len(b) + 1)
    for x in a:
        now = [0]
        for j, y in enumerate(b):
            now.append(before[j] + 1 if x == y else max(before[j + 1], now[j]))
        before = now
    return before[-1]


PEERS: dict[str, Callable[[str, str], float]] = {
    "exact match (SQuAD)": exact_match,
    "token F1 (SQuAD)": token_f1,
    "ROUGE-L, F": rouge_l,
    "containment of the gold": containment,
    "ROUGE-L, recall": rouge_l_recall,
    "token recall": token_recall,
}


# ---- measuring ---------------------------------------------------------------------------------------------------------


def scores(rule: Callable[[str, str], float], rows: Sequence[Row]) -> np.ndarray:
    return np.array([max(rule(g, r.answer) for g in r.golds) for r in rows])


def threshold(found: np.ndarray, human: np.ndarray) -> float:
    """The one that agrees most often; the highest of equals."""
    return float(max(THRESHOLDS, key=lambda t: (np.mean((found >= t) == human), t)))


def share(hits: np.ndarray, rows: Sequence[Row], among: np.ndarray | None = None) -> Estimate:
    """With an interval over questions: the answers of five systems to one question are no independent draws."""
    asked = np.ones(len(rows)) if among is None else among.astype(float)
    return share_of((hits & (asked > 0)).astype(float), asked, [r.question for r in rows], unit="answers")


def shown(e: Estimate) -> str:
    return f"{100 * e.value:.1f} [{100 * e.low:.1f}, {100 * e.high:.1f}]"


def compared(name: str, passes: np.ndarray, human: np.ndarray, rows: Sequence[Row], note: str) -> list[str]:
    return [
        name,
        shown(share(passes == human, rows)),
        shown(share(passes, rows, ~human)),
        shown(share(~passes, rows, human)),
        note,
    ]


def regression(x: np.ndarray, y: np.ndarray, penalty: float = 1.0, steps: int = 30) -> np.ndarray:
    """Weights of a logistic regression with an intercept, by Newton's method."""
    x = np.hstack([np.ones((len(x), 1)), x])
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty * np.eye(len(w))
        w += np.linalg.solve(hessian, x.T @ (y - p) - penalty * w)
    return w


def features(found: Sequence[np.ndarray], rows: Sequence[Row]) -> np.ndarray:
    """Scores, their squares, products of pairs, and lengths: what a learned rule over the same evidence could use."""
    base = np.stack(list(found), axis=1)
    lengths = np.array([[np.log1p(len(r.answer)), np.log1p(len(r.golds)), np.log1p(len(r.golds[0]))] for r in rows])
    whole = np.hstack([base, lengths])
    pairs = [whole[:, i] * whole[:, j] for i in range(whole.shape[1]) for j in range(i, whole.shape[1])]
    x = np.hstack([whole, np.stack(pairs, axis=1)])
    return (x - x.mean(0)) / (x.std(0) + 1e-9)


def judged(rows: Sequence[Row]) -> tuple[list[Outcome], np.ndarray, float]:
    """Outcomes and shares of our rule, and answers per second."""
    tasks = [Task("evouna", r.question, list(r.golds), "text") for r in rows]
    start = time.perf_counter()
    verdicts = [verifiers["text"](t, r.answer) for t, r in zip(tasks, rows, strict=True)]
    rate = len(rows) / (time.perf_counter() - start)
    return [v.outcome for v in verdicts], np.array([v.score or 0.0 for v in verdicts]), rate


def without_guard(rows: Sequence[Row]) -> np.ndarray:
    """Our rule where hedges and lists are let through."""
    own, text.offers_others = text.offers_others, lambda *_: False
    try:
        return np.array([o is Outcome.PASS for o in judged(rows)[0]])
    finally:
        text.offers_others = own


def attacked(rows: Sequence[Row], count: int = 300) -> tuple[int, int, list[str]]:
    """How many texts of the attack suite pass, of how many, on gold answers drawn by chance."""
    golds = {r.question: r for r in rows}
    asked = passed = 0
    names: Counter[str] = Counter()
    for question in rng("text answers", "attacks").sample(sorted(golds), count):
        task = Task("evouna", question, list(golds[question].golds), "text")
        for name, attack in must_fail(task):
            asked += 1
            if verifiers["text"](task, attack).passed:
                passed += 1
                names[name] += 1
    return passed, asked, [f"{name} ({n})" for name, n in names.most_common()]


def write_sample(rows: Sequence[Row], file: Path) -> None:
    """Some reported rows for the tests, drawn by chance."""
    drawn = rng("text answers", "sample").sample([r for r in rows if len("".join(r.golds)) < 300], SAMPLED)
    lines = [
        json.dumps(
            {"dataset": r.dataset, "system": r.system, "question": r.question, "golds": r.golds, "answer": r.answer, "human_judge": r.human},
            ensure_ascii=False,
        )
        for r in drawn
    ]  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))


def page(rows: Sequence[Row]) -> str:
    chosen = np.array([r.validation for r in rows])
    human = np.array([r.human for r in rows])
    kept = [r for r in rows if not r.validation]
    truth = human[~chosen]
    outcomes, shares, rate = judged(rows)
    passes = np.array([o is Outcome.PASS for o in outcomes])
    abstained = np.array([o is Outcome.ABSTAIN for o in outcomes])
    peers = {name: scores(rule, rows) for name, rule in PEERS.items()}
    lines = [compared("always PASS", np.ones(len(kept), bool), truth, kept, "")]
    for name, found in peers.items():
        t = threshold(found[chosen], human[chosen])
        lines.append(compared(name, found[~chosen] >= t, truth, kept, f"at least {t:.2f}"))
    x = features([*peers.values(), shares], rows)
    w = regression(x[chosen], human[chosen].astype(float))
    learned = x[~chosen] @ w[1:] + w[0] > 0
    lines.append(compared("logistic regression over all of these and ours", learned, truth, kept, "learned, a ceiling"))
    lines.append(compared("`text` without its guard against lists", without_guard(kept), truth, kept, ""))
    lines.append(compared("**`text`**", passes[~chosen], truth, kept, f"at least {text.SHARE}"))
    decided = ~abstained[~chosen]
    fooled, asked, names = attacked(kept)
    return PAGE.format(
        rows=f"{len(rows):,}", kept=f"{len(kept):,}", questions=f"{len({r.question for r in kept}):,}",
        peers=table(["rule", "agreement", "false accepts", "false rejects", "threshold"], lines),
        confusion=table(["dataset", "system", "right, PASS", "right, FAIL", "wrong, PASS", "wrong, FAIL", "agreement"],
                        confusion(kept, truth, passes[~chosen])),
        strict=table(["share", "agreement", "false accepts", "false rejects"], stricter(kept, truth, shares[~chosen], passes[~chosen])),
        abstentions=f"{int((~decided).sum())} of {len(kept):,}",
        without=shown(share(passes[~chosen] == truth, kept, decided)),
        fooled=fooled, asked=f"{asked:,}", names=f" ({', '.join(names)})" if names else "", rate=f"{round(rate, -2):,.0f}",
    )  # fmt: skip


def stricter(rows: Sequence[Row], human: np.ndarray, shares: np.ndarray, passes: np.ndarray) -> list[list[str]]:
    return [compared(f"{t:.2f}", passes & (shares >= t - 1e-9), human, rows, "")[:-1] for t in (0.5, 0.6, 0.75, 1.0)]


def confusion(rows: Sequence[Row], human: np.ndarray, passes: np.ndarray) -> list[list[str]]:
    lines: list[list[str]] = []
    groups = [(d, s) for d in ("NQ", "TQ") for s in ("fid", "gpt35", "chatgpt", "gpt4", "newbing")]
    for dataset, system in [*groups, ("NQ", ""), ("TQ", ""), ("", "")]:
        mine = np.array([dataset in ("", r.dataset) and system in ("", r.system) for r in rows])
        counts = [int((mine & a & b).sum()) for a in (human, ~human) for b in (passes, ~passes)]
        own = [r for r, m in zip(rows, mine, strict=True) if m]
        lines.append(
            [dataset or "both", system or "all", *(f"{c:,}" for c in counts), shown(share((passes == human)[mine], own))]
        )
    return lines


PAGE = """# Answers in prose: how far the verifier `text` agrees with people

Made by `python -m benchmarks.text_answers`. EVOUNA (Wang et al. 2023, arXiv 2305.12421; Apache-2.0) holds the answers of five
systems to questions of Natural Questions (NQ) and TriviaQA (TQ), each labelled right or wrong by people. {rows} answers have a
label, a text and a gold answer that its makers do not call improper. The rule and every threshold were chosen on half of the
questions, by a hash of the question (see below for what was seen of the rest); all numbers here are of the
other half: {kept} answers to {questions} questions. Shares are
in %, with 95 % intervals over questions. Alternatives of a gold are what stands between its slashes, and the whole.

## Beside other rules without a model

False accepts are of the answers that people call wrong, false rejects of those that they call right.

{peers}

The guard against lists and hedges costs agreement, because people let an answer pass that names the right thing beside others. A
reward that did so would be paid for listing, so the verifier does not.

A forest of boosted trees over 27 lexical features (scikit-learn, tried once on the same halves while the rule was being sought,
not kept in the repository) agreed on 94.4 %: of the few learned rules that were tried none came further. The
labels are not without errors themselves.

How it was chosen: about 40 variants of the rule (weights, lengths of prefixes, shares, treatment of dates and numbers, limits of the
guard) were tried on the validation half. The share of 0.5 is not the one that agreed best there (0.3 did, by 0.1 points): it accepts
fewer wrong answers. The guard's limits were set for what must not pass, at a cost of about 0.8 points there. The other half was not
wholly unseen: scores of learned rules, of trees and of single features on it were printed once, early on; no choice was made by them,
but treat its numbers as a little hopeful until they are repeated on rows that nobody here has seen.

## Stricter

`facts.share` asks for a larger share of the gold's words; where a false accept costs more than a false reject, ask for 1.

{strict}

## Confusion table

{confusion}

Abstentions: {abstentions}; agreement without them: {without}.

## Texts made to fool it

Of {asked} texts of the attack suite on 300 of the gold answers {fooled} passed{names}.
They hold by chance a gold that is a lone number, letter or word, such as the 9 of a power tower. Still passed by its design: a wrong
answer that holds half of the gold's words ("John Smith" for "John Brown"), a negated one ("it is not Paris"), and a list of fewer
than six other candidates inside a sentence. Where that matters, ask for the answer behind a mark ("The answer is ...") and set `facts.share`.

Throughput: about {rate} answers/s on one core of a busy machine, all alternatives compared.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of answers.jsonl.gz")
    parser.add_argument("--sample", type=Path, help="write some rows for the tests to this file, and nothing else")
    chosen = parser.parse_args()
    rows = load(chosen.data)
    if chosen.sample:
        write_sample([r for r in rows if not r.validation], chosen.sample)
        return
    (ROOT / "docs" / "text-answers.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
