"""What the studies of verifiers share: arithmetic whose answers may be written in many ways, small models that answer and
that judge, an oracle, and reinforcement against any reward.

A task is a sum or difference over a small number, so that its value is a whole number of twentieths. A learned verifier reads
the reference and a completion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

from ratchet.core.errors import StudyError
from ratchet.core.seeds import Part, rng
from ratchet.core.types import Outcome, Split, Task, Trace, Verdict
from ratchet.studies.study import Result

if TYPE_CHECKING:
    from ratchet.models.critic import Critic
    from ratchet.models.engine import Policy
    from ratchet.models.tokens import WordTokenizer

Pairs = Sequence[tuple[Task, str]]
Reward = Callable[[Pairs], list[float]]
"""(task, completion) pairs of one update, those of a task side by side -> a reward for each"""
Labelled = tuple[Task, str, bool]
Label = Callable[[Random], Labelled]

# ---- tasks and what people write to them -------------------------------------------------------------------------

DENOMINATORS = (4, 5)
LARGEST = 6
MOST_DRAWS = 5_000


def draw(random: Random) -> Task:
    """`(3+4)/5=`, with the value in lowest terms as the reference. Values are above 0."""
    while True:
        a, b = random.randint(1, LARGEST), random.randint(1, LARGEST)
        sign, q = random.choice("+-"), random.choice(DENOMINATORS)
        total = a + b if sign == "+" else a - b
        if total > 0:
            value = Fraction(total, q)
            return Task(
                "free-answers", f"({a}{sign}{b})/{q}=", str(value), "math", {"sum": f"{a}{sign}{b}", "total": total, "over": q}
            )


def problems(split: Split, n: int, *path: Part) -> list[Task]:
    """`n` distinct tasks of a split, of 102 in all. Raises StudyError where it has fewer."""
    found: dict[str, Task] = {}
    random = rng("free answers", split, *path)
    for _ in range(MOST_DRAWS):
        if len(found) == n:
            break
        task = draw(random)
        if task.split == split:
            found[task.key] = task
    else:
        raise StudyError(f"free answers: the split {split} has only {len(found)} tasks, {n} were asked for")
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
    total, q = task.facts["total"], task.facts["over"]
    total += slip.by if slip and slip.place == "sum" else 0
    answer = Fraction(total + (slip.by if slip and slip.place == "answer" else 0), q)
    steps = [f"{task.facts['sum']}={total}", f"{total}/{q}={FORMS['not reduced'](Fraction(total, q))}"]
    worked = steps[: ("bare", "short", "long").index(way.length)]
    return " ".join([*[way.opener] * bool(way.opener), *worked, f"answer {FORMS[way.form](answer)}"])


@dataclass(frozen=True)
class Slip:
    """Where a solution goes wrong, and by how much of the sum above the line."""

    place: str
    by: int


def any_slip(random: Random, task: Task) -> Slip:
    """One that leaves every number in it above 0."""
    by = random.choice([1, 2, 3, -1, -2, -3])
    return Slip(random.choice(("sum", "answer")), by if task.facts["total"] + by > 0 else abs(by))


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
    return (
        Fraction(match[3])
        if match[3]
        else Fraction(int(match[4]), 100)
        if match[4]
        else Fraction(int(match[1]), int(match[2] or 1))
    )


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


def by_rule(same: Callable[[str, str], bool]) -> Reward:
    """1 where what a text says at its end is the same as the reference."""

    def reward(pairs: Pairs) -> list[float]:
        answers = [said(text) for _, text in pairs]
        return [float(a is not None and same(str(t.answer), a)) for (t, _), a in zip(pairs, answers, strict=True)]

    return reward


# ---- models ------------------------------------------------------------------------------------------------------

READ = "[reference]{reference}[said]{text}[verdict]"
MARKS = ("[reference]", "[said]", "[verdict]", "yes", "no")
SIGNS = (" answer ", "answer ", ")/", "\\frac{", "}{", *"/+-=.%{}() ")
MOST = LARGEST * 2 + 3  # above the line, a slip included
SIZES = {"policy": (72, 3, 192), "verifier": (88, 3, 240), "small verifier": (64, 2, 168)}
"""width, layers and hidden width: 0.2, 0.3 and 0.1 million weights"""
LONGEST = 64
OTHERS = 64  # of the texts of an update
JUDGE_RATE = 4e-3
NEAR = 0.8  # of an embedding's variance, shared by tokens of one number


def tokenizer_of(texts: Iterable[str] = ()) -> WordTokenizer:
    """The answers that occur, in each form, are tokens of their own, as are smaller numbers, signs, and the words of further texts."""
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
    numbers = [write(x) for x in values() for write in FORMS.values()]
    return Pieces(list(dict.fromkeys([*MARKS, *SIGNS, *map(str, range(100)), *numbers, *words])))


def new_model(run_seed: int, size: str, tokenizer: WordTokenizer) -> Policy:
    """Random weights. Tokens of one number begin with embeddings near each other, as a pretrained model's would be."""
    import torch

    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.machine import fast_bf16

    width, layers, hidden = SIZES[size]
    shape = llama.Shape(
        vocab=len(tokenizer.words),
        width=width,
        layers=layers,
        heads=4,
        kv_heads=4,
        head_width=width // 4,
        hidden=hidden,
        max_tokens=192,
    )
    policy = new_policy(shape, tokenizer, run_seed, LONGEST, 512, fast_bf16())
    with torch.no_grad():
        weight = policy.model.get_parameter("embed.weight")
        shared: dict[Fraction, torch.Tensor] = {}
        for x in values():
            for i in {tokenizer.ids[write(x)] for write in FORMS.values()}:
                weight[i] = NEAR**0.5 * shared.setdefault(x, weight[i].clone()) + (1 - NEAR) ** 0.5 * weight[i]
    return policy


def values() -> list[Fraction]:
    """All numbers that occur as answers, right or wrong."""
    return sorted({Fraction(n, q) for n in range(1, MOST + 1) for q in DENOMINATORS})


def taught_to_answer(policy: Policy, write: Callable[[Random, Task], str], updates: int, *path: Part) -> None:
    """Imitation of 64 solutions an update, of training tasks."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    def examples(update: int) -> list[Example]:
        tasks = problems("train", 64, *path, update)
        texts = [write(rng(*path, update, i), t) for i, t in enumerate(tasks)]
        end = policy.tokenizer.end_id
        return [Example(policy.encode(t.prompt), (*policy.tokenizer.encode(x), end)) for t, x in zip(tasks, texts, strict=True)]

    imitate(policy, examples, updates, 5e-3)


def new_critic(run_seed: int, size: str, tokenizer: WordTokenizer) -> Critic:
    from ratchet.models.critic import critic_from

    return critic_from(new_model(run_seed, size, tokenizer))


def read(judge: Critic | Policy, task: Task, text: str) -> tuple[int, ...]:
    """What a learned verifier reads, in tokens: the reference and the completion."""
    return tuple(judge.tokenizer.encode(READ.format(reference=task.answer, text=text)))


def lesson(labelled: Label, *path: Part) -> list[Labelled]:
    """What a learned verifier is shown in one update: four answers alone for each other text. What a reference and an answer
    have to do with each other is learned from them several times as soon."""
    found = [labelled(rng(*path, i)) for i in range(OTHERS)]
    for i in range(4 * OTHERS):
        random = rng(*path, "alone", i)
        task, right = draw(random), random.random() < 0.5
        found.append((task, natural(random, task, right, any_way(random, ("bare",))), right))
    return found


def taught_to_verify(critic: Critic, labelled: Label, updates: int, *path: Part) -> None:
    """Cross-entropy of the labels, at the end of what is read."""
    from ratchet.learn.critic import Judged, critics, fit

    def judged(update: int) -> list[Judged]:
        drawn = lesson(labelled, *path, update)
        sequences = [read(critic, task, text) for task, text, _ in drawn]
        return [Judged(ids[:-1], ids[-1:], float(label)) for ids, (_, _, label) in zip(sequences, drawn, strict=True)]

    fit(critic, critics["orm"], judged, updates, JUDGE_RATE)


def sure(critic: Critic, pairs: Pairs) -> list[float]:
    """How probable the critic takes it to be that each text is right."""
    sequences = [read(critic, *pair) for pair in pairs]
    return [value for [value] in critic.values([(ids[:-1], ids[-1:]) for ids in sequences])]


def accepted(critic: Critic, pairs: Pairs) -> list[float]:
    """1 where the critic takes a text to be right rather than wrong."""
    return [float(p > 0.5) for p in sure(critic, pairs)]


# ---- reinforcement -----------------------------------------------------------------------------------------------

TASKS, SAMPLES = 8, 8
EVERY = 10  # updates in one point of a curve
MEASURED = ("reward", "right", "agreed", "tokens")


def reinforced(
    policy: Policy,
    reward: Reward,
    updates: int,
    *path: Part,
    rate: float = 1e-3,
    beta: float = 0.0,
    after: Callable[[Pairs], None] | None = None,
) -> list[Result]:
    """GRPO against the reward; `after` is called with the samples of each update.

    A point before the first update and after every `EVERY`: the mean reward, the share that the oracle calls right, the share
    of samples on which a reward above one half and the oracle agree, and the mean length in tokens.
    """
    from ratchet.learn.credit import credits
    from ratchet.learn.policy import grpo
    from ratchet.learn.train import Learner
    from ratchet.models.scheduler import Scheduler
    from ratchet.search.strategy import strategies

    method, learner = grpo(beta=beta), Learner(policy, lr=rate, warmup=5)
    if beta:
        learner.freeze_reference()

    def drawn(tasks: Sequence[Task], *where: Part) -> tuple[list[Trace], list[float]]:
        traces = Scheduler(policy, oracle, beside=False).run(strategies["single"], tasks, *path, *where, samples=SAMPLES)
        return traces, reward(pairs_of(traces))

    curve = [point([measured(*drawn(problems("train", min(5 * TASKS, 4 * updates), *path, "start"), "start"))], 0)]
    log: list[tuple[float, ...]] = []
    for update in range(updates):
        traces, rewards = drawn(problems("train", TASKS, *path, update), update)
        groups = [rewards[i : i + SAMPLES] for i in range(0, len(rewards), SAMPLES)]
        learner.update(credits["outcome"](traces, groups, method.advantage, policy.tokenizer), method)
        if after is not None:
            after(pairs_of(traces))
        log.append(measured(traces, rewards))
        if len(log) == EVERY or update == updates - 1:
            curve.append(point(log, update + 1))
            log = []
    return curve


def pairs_of(traces: Sequence[Trace]) -> Pairs:
    return [(t.task, c.text) for t in traces for c in t.completions]


def measured(traces: Sequence[Trace], rewards: Sequence[float]) -> tuple[float, ...]:
    """The means over one draw, in the order of MEASURED."""
    rights = [v.passed for t in traces for v in t.verdicts]
    agreed = [(r > 0.5) == right for r, right in zip(rewards, rights, strict=True)]
    lengths = [len(c.tokens) for t in traces for c in t.completions]
    return tuple(sum(x) / len(rewards) for x in (rewards, rights, agreed, lengths))


def point(log: Sequence[tuple[float, ...]], taken: int) -> Result:
    means = [sum(values) / len(log) for values in zip(*log, strict=True)]
    return {"updates": taken, **dict(zip(MEASURED, means, strict=True))}


def late(curve: Sequence[Result], what: str) -> float:
    """The mean of the last two points."""
    last = curve[-2:]
    return sum(p[what] for p in last) / len(last)
