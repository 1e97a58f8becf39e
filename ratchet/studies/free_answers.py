"""What the studies of verifiers share: arithmetic whose answers may be written in many ways, small models that answer and
that judge, an oracle, and reinforcement against any reward.

A task is a sum or difference of two fractions, so that its value is a whole number of twentieths. A learned verifier reads
the question, the reference and a completion, and says "yes" or "no": how sure it is, is the share of "yes" in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Outcome, Split, Task, Verdict
from ratchet.studies.study import Result

if TYPE_CHECKING:
    from ratchet.models.engine import Policy
    from ratchet.models.tokens import WordTokenizer

Pairs = Sequence[tuple[Task, str]]
Reward = Callable[[Pairs], list[float]]
"""(task, completion) pairs of one update, those of a task side by side -> a reward for each"""
Labelled = tuple[Task, str, bool]

# ---- tasks and what people write to them -------------------------------------------------------------------------

DENOMINATORS = (2, 4, 5, 10)
LARGEST = 3  # a term is below it


def draw(random: Random) -> Task:
    """`3/4+2/5=`, with the value in lowest terms as the reference. Values are above 0."""
    while True:
        terms = [(random.randrange(1, LARGEST * q), q) for q in random.choices(DENOMINATORS, k=2)]
        sign = random.choice("+-")
        first, second = (Fraction(*t) for t in terms)
        value = first + second if sign == "+" else first - second
        if value > 0:
            parts = [int(20 * first), int(20 * second)]
            texts = [f"{p}/{q}" for p, q in terms]
            return Task("free-answers", sign.join(texts) + "=", str(value), "math", {"parts": parts, "sign": sign, "terms": texts})


def problems(split: Split, n: int, *path: Part) -> list[Task]:
    """`n` distinct tasks of a split; there are some hundreds of each but many more to train with."""
    found: dict[str, Task] = {}
    random = rng("free answers", split, *path)
    while len(found) < n:
        task = draw(random)
        if task.split == split:
            found[task.key] = task
    return list(found.values())


def decimal(x: Fraction) -> str:
    """Of a whole number of ten-thousandths, without zeros at its end."""
    whole, rest = divmod(round(x * 10_000), 10_000)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".")


def mixed(x: Fraction) -> str:
    whole, rest = divmod(x, 1)
    return latex(x) if not whole or not rest else f"{whole}{latex(rest)}"


def latex(x: Fraction) -> str:
    return f"\\frac{{{x.numerator}}}{{{x.denominator}}}"


FORMS: dict[str, Callable[[Fraction], str]] = {
    "fraction": str,
    "latex": latex,
    "not reduced": lambda x: f"{20 * x}/20",
    "decimal": decimal,
    "percent": lambda x: f"{100 * x}%",
    "mixed": mixed,
}


@dataclass(frozen=True)
class Written:
    """How a solution is written: "bare", "short" or "long", in which form its answer, with what before it."""

    length: str = "long"
    form: str = "fraction"
    opener: str = ""


def any_way(random: Random, lengths: Sequence[str] = ("bare", "short", "long")) -> Written:
    return Written(random.choice(lengths), random.choice(list(FORMS)))


def solution(task: Task, way: Written, slip: Slip | None = None) -> str:
    """A worked solution. A slip makes it wrong, and what follows the slip goes on from it."""
    a, b = task.facts["parts"]
    sign = task.facts["sign"]
    if slip and slip.place == "term":
        a += slip.by
    total = a + b if sign == "+" else a - b
    if slip and slip.place == "sum":
        total += slip.by
    said = Fraction(total + (slip.by if slip and slip.place == "answer" else 0), 20)
    first, second = task.facts["terms"]
    steps = {
        "bare": [],
        "short": [f"{a}/20{sign}{b}/20={total}/20"],
        "long": [f"{first}={a}/20", f"{second}={b}/20", f"{a}/20{sign}{b}/20={total}/20"],
    }[way.length]
    return " ".join([*[way.opener] * bool(way.opener), *steps, f"answer {FORMS[way.form](said)}"])


@dataclass(frozen=True)
class Slip:
    """Where a solution goes wrong, and by how many twentieths."""

    place: str
    by: int


def any_slip(random: Random, task: Task) -> Slip:
    """One that leaves every number in it above 0."""
    a, _ = task.facts["parts"]
    total = int(20 * Fraction(task.answer))
    by = random.choice([1, 2, 3, 4, 5, 8, 10, 20, -1, -2, -3, -4, -5, -8, -10, -20])
    return Slip(random.choice(("term", "sum", "answer")), by if min(a, total) + by > 0 else abs(by))


def natural(random: Random, task: Task, right: bool, way: Written | None = None) -> str:
    """A solution as people write them, right or wrong."""
    return solution(task, way or any_way(random), None if right else any_slip(random, task))


# ---- the oracle, and rules ---------------------------------------------------------------------------------------

PLAIN = re.compile(r"(\d{1,6})(?:/(\d{1,6}))?|(\d{1,6}\.\d{1,6})|(\d{1,6})%|(\d{0,6})\\frac\{(\d{1,6})\}\{(\d{1,6})\}", re.ASCII)


def value_of(text: str) -> Fraction | None:
    """The number that a text in one of the forms means, exactly; None for anything else, such as two numbers."""
    match = PLAIN.fullmatch(text)
    if match is None or "0" in (match[2], match[7]) or (match[7] and not int(match[7])) or (match[2] and not int(match[2])):
        return None
    if match[7]:
        return int(match[5] or 0) + Fraction(int(match[6]), int(match[7]))
    return Fraction(match[3]) if match[3] else Fraction(int(match[4]), 100) if match[4] else Fraction(int(match[1]), int(match[2] or 1))


def said(text: str) -> str | None:
    """What follows "answer" where it stands once, and nothing else after it."""
    parts = re.split(r"\banswer\b ?", text)
    return parts[1].strip() if len(parts) == 2 else None


def right(task: Task, text: str) -> bool:
    """The oracle: one answer, in one of the forms, of exactly the task's value. It shares nothing with any verifier."""
    answer = said(text)
    return answer is not None and value_of(answer) == Fraction(task.answer)


def oracle(pairs: Pairs) -> list[Verdict]:
    return [Verdict(Outcome.PASS if right(*pair) else Outcome.FAIL) for pair in pairs]


def same_string(reference: str, answer: str) -> bool:
    return reference == answer.strip()


def same_by_regex(reference: str, answer: str) -> bool:
    """Equal once blanks, signs of money and of mathematics, commas and words are dropped and LaTeX fractions made plain."""
    return normal(reference) == normal(answer)


def normal(text: str) -> str:
    text = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", text)
    text = re.sub(r"\\(?:text|mathrm)\{([^{}]*)\}|\\left|\\right|[$,\s]", r"\1", text)
    return text.rstrip(".").lower()


# ---- models ------------------------------------------------------------------------------------------------------

READ = "[question]{question}[reference]{reference}[said]{text}[verdict]"
PIECES = ("answer", "[question]", "[reference]", "[said]", "[verdict]", "yes", "no", "\\frac", *"0123456789/+-=.%{} ")
SIZES = {"policy": (72, 3, 192), "judge": (88, 3, 240), "small judge": (64, 2, 168)}
"""width, layers and hidden width: 0.2, 0.3 and 0.1 million weights"""
LONGEST = 64


def tokenizer_of(texts: Iterable[str] = ()) -> WordTokenizer:
    """Digits and signs are tokens of their own, as are words, with the blank before them, of further texts."""
    from ratchet.models.tokens import WordTokenizer

    class Pieces(WordTokenizer):
        """The longest piece that fits, from left to right. Decoding joins them."""

        def __init__(self, words: Sequence[str]) -> None:
            super().__init__(words, strict=False)
            self.pattern = re.compile("|".join(re.escape(w) for w in sorted(words, key=len, reverse=True)) + "|.", re.DOTALL)

        def encode(self, text: str) -> list[int]:
            return [self.ids.get(piece, 0) for piece in self.pattern.findall(text)]

        def decode(self, ids: Sequence[int]) -> str:
            return "".join(self.words[i] for i in ids if i != 1)

    words = sorted({word for text in texts for word in re.findall(r" ?[^\W\d_]+(?:'[^\W\d_]+)?|[^\w\s]|\s", text)})
    return Pieces([*PIECES, *(w for w in words if w not in PIECES)])


def new_model(run_seed: int, size: str, tokenizer: WordTokenizer) -> Policy:
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.machine import fast_bf16

    width, layers, hidden = SIZES[size]
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=width, layers=layers, heads=4, kv_heads=4, head_width=width // 4, hidden=hidden, max_tokens=192
    )
    return new_policy(shape, tokenizer, run_seed, LONGEST, 512, fast_bf16())


def taught_to_answer(policy: Policy, write: Callable[[Random, Task], str], updates: int, *path: Part) -> None:
    """Imitation of 64 solutions an update, of training tasks."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    def examples(update: int) -> list[Example]:
        tasks = problems("train", 64, *path, update)
        texts = [write(rng(*path, update, i), t) for i, t in enumerate(tasks)]
        end = policy.tokenizer.end_id
        return [Example(policy.encode(t.prompt), (*policy.tokenizer.encode(x), end)) for t, x in zip(tasks, texts, strict=True)]

    imitate(policy, examples, updates, 3e-3, 0.02)


def read(judge: Policy, task: Task, text: str) -> tuple[int, ...]:
    """What a learned verifier reads, in tokens; only the first of a text that is too long."""
    prefix, tail = READ.format(question=task.prompt, reference=task.answer, text="\0").split("\0")
    encode = judge.tokenizer.encode
    return (*encode(prefix), *encode(text)[: 2 * LONGEST], *encode(tail))


def taught_to_judge(judge: Policy, labelled: Callable[[Random], Labelled], updates: int, *path: Part) -> None:
    """Imitation of the verdicts on 128 labelled texts an update."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    yes, no = judge.tokenizer.encode("yes"), judge.tokenizer.encode("no")

    def examples(update: int) -> list[Example]:
        drawn = [labelled(rng(*path, update, i)) for i in range(128)]
        return [Example(read(judge, task, text), tuple(yes if label else no)) for task, text, label in drawn]

    imitate(judge, examples, updates, 3e-3, 0.02)


def sure(judge: Policy, pairs: Pairs) -> list[float]:
    """The probability of "yes" against "no" for each (task, text)."""
    import torch

    from ratchet.models.engine import pad
    from ratchet.models.machine import products_in

    sequences = [read(judge, *pair) for pair in pairs]
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    yes, no = (judge.tokenizer.encode(word)[0] for word in ("yes", "no"))
    found = [0.0] * len(sequences)
    with torch.no_grad():
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            ids = pad([sequences[i] for i in rows])
            last = torch.zeros(ids.shape, dtype=torch.bool)
            last[range(len(rows)), [len(sequences[i]) - 1 for i in rows]] = True
            with products_in(judge.bf16, ids.device):
                logits = judge.model.at(ids, last).float()
            for i, p in zip(rows, (logits[:, yes] - logits[:, no]).sigmoid().tolist(), strict=True):
                found[i] = p
    return found


def accepted(judge: Policy, pairs: Pairs) -> list[float]:
    """1 where the learned verifier says "yes" rather than "no"."""
    return [float(p > 0.5) for p in sure(judge, pairs)]


# ---- reinforcement -----------------------------------------------------------------------------------------------

TASKS, SAMPLES = 16, 8
EVERY = 10  # updates in one point of a curve


def reinforced(
    policy: Policy, reward: Reward, updates: int, *path: Part, rate: float = 1e-3, beta: float = 0.0, after: Callable[[Pairs], None] | None = None
) -> list[Result]:
    """GRPO against the reward; `after` is called with the samples of each update. For every `EVERY` updates: the mean
    reward, the share that the oracle calls right, and the mean length in tokens."""
    from ratchet.learn.credit import credits
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies

    method, learner = grpo(beta=beta), Learner(policy, lr=rate, warmup=5)
    if beta:
        learner.freeze_reference()
    log: list[tuple[float, float, float]] = []
    for update in range(updates):
        tasks = problems("train", TASKS, *path, update)
        traces = Scheduler(policy, oracle, beside=False).run(strategies["single"], tasks, *path, update, samples=SAMPLES)
        drawn = [(t.task, c.text) for t in traces for c in t.completions]
        rewards = reward(drawn)
        groups = [rewards[i : i + SAMPLES] for i in range(0, len(rewards), SAMPLES)]
        learner.update(credits["outcome"](traces, groups, method.advantage, policy.tokenizer), method)
        if after is not None:
            after(drawn)
        tokens = [len(c.tokens) for t in traces for c in t.completions]
        rights = [v.passed for t in traces for v in t.verdicts]
        log.append((sum(rewards) / len(drawn), sum(rights) / len(drawn), sum(tokens) / len(drawn)))
    return [point(log[i : i + EVERY], min(i + EVERY, updates)) for i in range(0, updates, EVERY)]


def point(log: Sequence[tuple[float, float, float]], taken: int) -> Result:
    means = [sum(values) / len(log) for values in zip(*log, strict=True)]
    return {"updates": taken, **dict(zip(("reward", "right", "tokens"), means, strict=True))}
