"""A unified view of post-training: one estimator of four parts, and a gate between samples and demonstrations for each prompt."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from ratchet.core.seeds import Part, rng
from ratchet.core.types import Estimate, Split, Task, Verdict
from ratchet.core.types import Outcome as Judged
from ratchet.measure.estimate import pass_at_k, powers_of_two
from ratchet.report.chart import Axis, Series, estimated, line_chart, percent, whole
from ratchet.studies.study import Check, Claim, Outcome, Result, Say, Study, extreme, over_seeds, register
from ratchet.tasks.countdown import task_of
from ratchet.tasks.countdown_lines import demonstrate, endings, right, start_of, words

if TYPE_CHECKING:
    from torch import Tensor

    from ratchet.learn.batch import Batch, Example
    from ratchet.learn.policy import PolicyGradient
    from ratchet.models.engine import Policy

NAME = "hpt-unified"

# ---- part 1: the estimator of four parts -------------------------------------------------------------------------

BATCHES = 20
EPSILON = 1e-4  # in GRPO's deviation, as the library has it
CLIP, HIGH, SHAPED = 0.2, 0.28, 0.1


@dataclass(frozen=True)
class Estimator:
    """The gradient of one method: stable * advantage / reference, times the gradient of each token's likelihood.

    Each part sees a `Drawn`, and gives (B, T): `stable` is 1 where a token may move, `reference` is what its likelihood is
    divided by. `spread` says what share each token has in the whole.
    """

    stable: Callable[[Drawn], Tensor]
    reference: Callable[[Drawn], Tensor]
    advantage: Callable[[Drawn], Tensor]
    spread: Callable[[Drawn], Tensor]

    def gradient(self, drawn: Drawn) -> Tensor:
        import torch

        with torch.no_grad():
            weight = self.stable(drawn) * self.advantage(drawn) / self.reference(drawn) * self.spread(drawn) * drawn.mask
        (gradient,) = torch.autograd.grad((weight * drawn.likelihood()).sum(), drawn.logits)
        return gradient


@dataclass(frozen=True)
class Drawn:
    """A random batch. Logits (B, T, V) stand for the policy; groups are G rows side by side, the last of each was written.

    `old` are log-probabilities of the policy that drew, 0 where a row was written; `reward` is (B,).
    """

    logits: Tensor
    ids: Tensor
    mask: Tensor
    old: Tensor
    reward: Tensor
    group: int
    limit: int

    def logp(self) -> Tensor:
        return self.logits.log_softmax(-1).gather(-1, self.ids[..., None])[..., 0]

    def likelihood(self) -> Tensor:
        return self.logp().exp()

    def written(self) -> Tensor:
        """(B, 1): whether the row is a demonstration."""
        import torch

        return (torch.arange(len(self.ids)) % self.group == self.group - 1)[:, None]

    def lengths(self) -> Tensor:
        return self.mask.sum(-1, keepdim=True)

    def grouped(self) -> Tensor:
        return self.reward.view(-1, self.group)


def some_batch(seed: int, number: int) -> Drawn:
    """Old and new policy differ enough that clips bite."""
    import torch

    from ratchet.core.seeds import seed as hashed

    generator = torch.Generator().manual_seed(hashed(NAME, seed, "batch", number) % 2**63)
    prompts, group, longest, words = 3, 5, 7, 11
    rows = prompts * group
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    logits = draw(rows, longest, words).requires_grad_()
    ids = torch.randint(words, (rows, longest), generator=generator)
    lengths = torch.randint(1, longest + 1, (rows, 1), generator=generator)
    mask = (torch.arange(longest) < lengths).double()
    drawn = Drawn(logits, ids, mask, mask, mask, group, longest + 3)
    logp = drawn.logp().detach()
    old = torch.where(drawn.written(), 0.0, (logp + 0.4 * draw(rows, longest)).clamp(max=-1e-3)) * mask
    reward = torch.randint(2, (rows,), generator=generator).double()
    reward[group - 1 :: group] = 1.0  # a demonstration is right
    return replace(drawn, old=old, reward=reward)


def everywhere(d: Drawn) -> Tensor:
    return d.mask


def own(d: Drawn) -> Tensor:
    """The policy itself, held still: the likelihood's gradient becomes that of its logarithm."""
    return d.likelihood().detach()


def sampler(d: Drawn) -> Tensor:
    return d.old.exp()


def rewarded(d: Drawn) -> Tensor:
    return d.reward[:, None]


def centred(d: Drawn) -> Tensor:
    rewards = d.grouped()
    return (rewards - rewards.mean(1, keepdim=True)).reshape(-1, 1)


def normalised(d: Drawn) -> Tensor:
    deviation = d.grouped().std(1, keepdim=True).expand(-1, d.group).reshape(-1, 1)
    return centred(d) / (deviation + EPSILON)


def against_others(d: Drawn) -> Tensor:
    rewards = d.grouped()
    others = (rewards.sum(1, keepdim=True) - rewards) / (d.group - 1)
    return (rewards - others).reshape(-1, 1)


def unclipped(advantage: Callable[[Drawn], Tensor], ratio: Callable[[Drawn], Tensor], low: float, high: float) -> Any:
    """The mask that PPO's clip comes to: still where the ratio has gone too far in the direction that the advantage asks for."""
    return lambda d: 1.0 - (((ratio(d) > 1 + high) & (advantage(d) > 0)) | ((ratio(d) < 1 - low) & (advantage(d) < 0))).double()


def token_ratio(d: Drawn) -> Tensor:
    return own(d) / sampler(d)


def sequence_ratio(d: Drawn) -> Tensor:
    log_ratio = ((d.logp().detach() - d.old) * d.mask).sum(-1, keepdim=True)
    return (log_ratio / d.lengths()).exp().expand_as(d.ids)


def by_token(d: Drawn) -> Tensor:
    return d.mask / d.mask.sum()


def by_sequence(d: Drawn) -> Tensor:
    return d.mask / d.lengths() / len(d.ids)


def by_sample(d: Drawn) -> Tensor:
    return d.mask / len(d.ids)


def by_limit(d: Drawn) -> Tensor:
    return d.mask / (len(d.ids) * d.limit)


def cut_weight(d: Drawn) -> Tensor:
    """CISPO divides by what leaves the cut ratio as the weight of the logarithm's gradient."""
    return own(d) / token_ratio(d).clamp(max=1 + HIGH)


def shaped(d: Drawn) -> Tensor:
    """LUFFY: samples are divided by their sampler, demonstrations by the inverse slope of p / (p + gamma)."""
    import torch

    return torch.where(d.written(), (own(d) + SHAPED) ** 2 / SHAPED, sampler(d))


def gated(d: Drawn) -> Tensor:
    """HPT: a group that is solved at all learns from its samples' centred rewards, another from its demonstration."""
    import torch

    rewards = d.grouped()[:, :-1]
    solved = (rewards.mean(1) > 0).double()[:, None]
    on = solved * (rewards - rewards.mean(1, keepdim=True))
    return torch.cat((on, (1 - solved) * (d.group - 1)), 1).reshape(-1, 1)


def own_if_written(d: Drawn) -> Tensor:
    import torch

    return torch.where(d.written(), own(d), sampler(d))


def gate_mask(d: Drawn) -> Tensor:
    import torch

    return torch.where(d.written(), d.mask, unclipped(gated, token_ratio, CLIP, CLIP)(d))


def estimators() -> dict[str, Estimator]:
    """By the name of the library's row, which is the other implementation."""
    clip = lambda advantage, low=CLIP, high=CLIP: unclipped(advantage, token_ratio, low, high)
    return {
        "imitation": Estimator(everywhere, own, everywhere, by_token),
        "reinforce": Estimator(everywhere, own, rewarded, by_sample),
        "rloo": Estimator(everywhere, own, against_others, by_sample),
        "grpo": Estimator(clip(normalised), sampler, normalised, by_sequence),
        "dr-grpo": Estimator(clip(centred), sampler, centred, by_limit),
        "dapo": Estimator(clip(normalised, CLIP, HIGH), sampler, normalised, by_token),
        "cispo": Estimator(everywhere, cut_weight, normalised, by_token),
        "gspo": Estimator(
            unclipped(normalised, sequence_ratio, 0.1, 0.1), lambda d: own(d) / sequence_ratio(d), normalised, by_sequence
        ),
        "luffy": Estimator(everywhere, shaped, centred, by_limit),
        "hpt": Estimator(gate_mask, own_if_written, gated, by_sequence),
    }


KNOBS: dict[str, dict[str, float]] = {"gspo": {"low": 0.1, "high": 0.1}}
MIXED = ("luffy", "hpt")  # rows for which the written rows of a group are demonstrations


def library(name: str, d: Drawn) -> Tensor:
    """What the row's own loss has as its gradient, with a minus: rows minimise."""
    import torch

    from ratchet.learn.policy import rows

    row: Any = rows[name]
    method: PolicyGradient = row(**KNOBS.get(name, {}))
    (gradient,) = torch.autograd.grad(-method(batch_of(d, advantages(method, name, d)), d.logp())[0], d.logits)
    return gradient


def advantages(method: PolicyGradient, name: str, d: Drawn) -> Tensor:
    """As the library makes them of rewards, (B, 1)."""
    import torch

    from ratchet.learn.batch import Example

    if name == "imitation":
        return torch.ones(len(d.ids), 1)
    if name not in MIXED:
        return method.advantage(d.grouped()).reshape(-1, 1)
    examples = [
        Example((i // d.group,), (0,), r, () if written else (-1.0,))
        for i, (r, written) in enumerate(zip(d.reward.tolist(), d.written()[:, 0].tolist(), strict=True))
    ]
    nobody: Any = None  # these shapes ask nothing of the learner
    return torch.tensor([[e.advantage] for e in method.prepare(examples, nobody)], dtype=torch.float64)


def batch_of(d: Drawn, advantage: Tensor) -> Batch:
    from ratchet.learn.batch import Batch

    zero = d.mask * 0
    tokens, sequences = int(d.mask.sum()), len(d.ids)
    return Batch(d.ids, d.mask, d.old, zero, advantage * d.mask, zero, tokens=tokens, sequences=sequences, limit=d.limit)


def apart(a: Tensor, b: Tensor) -> tuple[float, float]:
    """The largest difference by the largest entry, and one minus the cosine; of a gradient of nothing, what the other one has."""
    import torch

    if not b.any():
        return float(a.abs().max()), float(a.abs().max())
    cosine = torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), 0)
    return float((a - b).abs().max() / b.abs().max()), float(1 - cosine)


def compared(seed: int, batches: int) -> dict[str, list[float]]:
    """By method: the largest error and the largest 1 - cosine over random batches."""
    found: dict[str, list[float]] = {}
    for name, estimator in estimators().items():
        pairs: list[tuple[float, float]] = []
        for number in range(batches):
            d = some_batch(seed, number)
            pairs.append(apart(estimator.gradient(d), library(name, d)))
        found[name] = [max(column) for column in zip(*pairs, strict=True)]
    return found


def bare(seed: int) -> float:
    """How far GRPO without its mask is from GRPO."""
    d = some_batch(seed, 0)
    return apart(replace(estimators()["grpo"], stable=everywhere).gradient(d), library("grpo", d))[0]


# ---- part 2: the gate --------------------------------------------------------------------------------------------

EASY, HARD = "sign", "word"  # how a solution writes that something is equal; the model knows only the sign before
IN_WORDS = {"=": "makes"}  # with a word for each of the seven signs, imitation had solved nothing after 100 updates
IN_SIGNS = {word: sign for sign, word in IN_WORDS.items()}
NUMBERS, LARGEST, TARGETS = 3, 9, (1, 12)
LONGEST = 24
KNOWN, EXAMPLES = 600, 64  # problems that priming draws from, and texts in an update of it
PRIMING, PRIMING_RATE, PRIMING_MUON = 400, 4e-3, 0.02
UPDATES, RATE = 160, 1e-3
TASKS, SAMPLES, SHOWN = 16, 8, 4  # prompts of an update, samples and texts of each
PROBLEMS, DRAWS = 64, 32  # of each half, held out
EVERY = 20  # updates in one point of a curve
GATES = {"hpt 0": 0.0, "hpt 0.25": 0.25}
STATIC = ("sft", "grpo", "sft then grpo", "mixture")
ARMS = (*STATIC, *GATES)


def asked(task: Task, half: str) -> Task:
    """The task with the way to write its solution; a problem is on the same side of the split in both."""
    prompt = task.prompt.replace(":", f"{half} :")
    return replace(
        task, prompt=prompt, facts={**task.facts, "half": half}, identity=f"{task.identity} {half}", cluster=task.identity
    )


def problems(half: str, split: Split, n: int, *path: Part) -> list[Task]:
    """`n` distinct ones that have a solution in lines."""
    random, found = rng(NAME, "problems", half, split, *path), dict[str, Task]()
    while len(found) < n:
        task = asked(task_of([random.randint(1, LARGEST) for _ in range(NUMBERS)], random.randint(*TARGETS)), half)
        if task.split == split and endings(start_of(task), task.answer):
            found[task.key] = task
    return list(found.values())


def solution(random: Random, task: Task) -> str:
    """One of all that the task has, as it is to be written."""
    written = demonstrate(random, task)
    return said(written, IN_WORDS) if task.facts["half"] == HARD else written


def said(text: str, other: Mapping[str, str]) -> str:
    return " ".join(other.get(word, word) for word in text.split())


def judge(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
    """Right where every line is, in the way that is asked for, and the last one leaves the target."""
    return [Verdict(Judged.PASS if is_right(task, text) else Judged.FAIL) for task, text in pairs]


def is_right(task: Task, text: str) -> bool:
    wrong, signs = (IN_SIGNS, text) if task.facts["half"] == EASY else (IN_WORDS, said(text, IN_SIGNS))
    return not any(word in wrong for word in text.split()) and right(task, signs)


def new_model(seed: int) -> Policy:
    """0.1 million random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer([*words(), EASY, HARD, *IN_SIGNS])
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=192, max_tokens=40
    )
    return new_policy(shape, tokenizer, seed, LONGEST, 256)


def shown(policy: Policy, tasks: Sequence[Task], *path: Part, texts: int = 1) -> list[Example]:
    """Solutions of each task, each one of all that it has; others wherever it is shown."""
    from ratchet.learn.batch import Example

    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id
    written = [(t, solution(rng(*path, t.key, i), t)) for t in tasks for i in range(texts)]
    return [Example(policy.encode(t.prompt), (*encode(x), end)) for t, x in written]


def primed(seed: int, known: int, updates: int) -> Policy:
    """A model that has imitated solutions of easy problems."""
    from ratchet.learn.imitate import imitate

    policy, path = new_model(seed), (NAME, seed, "prime")
    familiar = problems(EASY, "train", known, seed, "known")
    imitate(
        policy,
        lambda u: shown(policy, rng(*path, u).choices(familiar, k=EXAMPLES), *path, u),
        updates,
        PRIMING_RATE,
        PRIMING_MUON,
    )
    return policy


Coefficients = Callable[[list[float]], tuple[float, float]]
"""The rewards of a prompt's samples -> what learning from them weighs, and from its demonstration."""


def always(on: float, off: float) -> Coefficients:
    return lambda rewards: (on, off)


def method_at(arm: str, done: float) -> PolicyGradient:
    """What the arm learns by when this share of its updates is done. Arms differ in their coefficients alone."""
    from ratchet.learn import parts
    from ratchet.learn.hybrid import hpt, weighed

    fixed = {
        "sft": always(0.0, 1.0),
        "grpo": always(1.0, 0.0),
        "sft then grpo": always(0.0, 1.0) if done < 0.5 else always(1.0, 0.0),
        "mixture": always(0.5, 0.5),
    }
    return hpt(gate=GATES[arm]) if arm in GATES else replace(hpt(), shape=weighed(parts.group_centred, fixed[arm]))


def drawn(policy: Policy, tasks: Sequence[Task], *path: Part) -> tuple[list[Example], list[list[float]]]:
    """Samples with their rewards in place of advantages, and the rewards of each task."""
    from ratchet.learn import parts
    from ratchet.learn.credit import credits, rewards_of, verdict_reward
    from ratchet.loop.lab import sampled

    traces = sampled(policy, tasks, SAMPLES, judge, *path)
    rewards = rewards_of(traces, verdict_reward)
    return credits["outcome"](traces, rewards, parts.plain, policy.tokenizer), rewards


def trained(policy: Policy, arm: str, seed: int, updates: int) -> list[Result]:
    """A curve: after every few updates the mean reward on prompts to learn from, and the share taught by demonstration."""
    from ratchet.learn.train import Learner

    learner = Learner(policy, lr=RATE, warmup=5, steps=updates, final=0.1)
    log: list[tuple[float, float]] = []
    for update in range(updates):
        path = (NAME, seed, "update", update)
        tasks = [t for n in (EASY, HARD) for t in problems(n, "train", TASKS // 2, *path)]
        samples, rewards = drawn(policy, tasks, *path, arm)
        learner.update([*samples, *shown(policy, tasks, *path, texts=SHOWN)], method_at(arm, update / updates))
        means = [sum(row) / len(row) for row in rewards]
        log.append((sum(means) / len(means), sum(m <= GATES.get(arm, 0.0) for m in means) / len(means)))
    every = min(EVERY, updates)
    cut = [log[i : i + every] for i in range(0, updates, every)]
    mean = lambda part, which: sum(x[which] for x in part) / len(part)
    return [
        {"updates": every * (i + 1), "reward": mean(part, 0), "from demonstrations": mean(part, 1)} for i, part in enumerate(cut)
    ]


def counts(policy: Policy, held: Sequence[Task], draws: int, *path: Part) -> list[tuple[int, int]]:
    from ratchet.loop.lab import sampled, solved

    return list(solved(sampled(policy, held, draws, judge, *path)).values())


# the baselines that a gate must come to, written out: what is maximised, of log-probabilities (B, T)


def likelihood_alone(batch: Batch, logp: Tensor) -> tuple[Tensor, dict[str, float]]:
    lengths = batch.mask.sum(-1)
    return -((logp * batch.mask).sum(-1) / lengths).mean(), {}


def samples_alone(batch: Batch, logp: Tensor) -> tuple[Tensor, dict[str, float]]:
    """GRPO's clipped surrogate with the centred rewards of groups that stand side by side."""
    import torch

    ratio = (logp - batch.old).exp()
    rewards = batch.advantage.sum(-1) / batch.mask.sum(-1)
    groups = rewards.view(-1, SAMPLES)
    a = (groups - groups.mean(1, keepdim=True)).view(-1, 1)
    kept = torch.minimum(ratio * a, ratio.clamp(1 - CLIP, 1 + CLIP) * a)
    return -((kept * batch.mask).sum(-1) / batch.mask.sum(-1)).mean(), {}


def reductions(policy: Policy, seed: int) -> dict[str, float]:
    """How far the gradient with a gate that always, or never, asks for demonstrations is from the baseline's, by the largest
    entry. HPT counts the demonstration as one sequence more of its group, which is one factor for all."""
    from ratchet.learn.batch import to_batch
    from ratchet.learn.hybrid import hpt
    from ratchet.models.engine import token_logprobs

    path = (NAME, seed, "reduction")
    tasks = [t for n in (EASY, HARD) for t in problems(n, "train", TASKS // 2, *path)]
    samples, _ = drawn(policy, tasks, *path)
    demonstrations = shown(policy, tasks, *path, texts=SHOWN)
    nobody: Any = None

    def gradient(examples: Sequence[Example], objective: Any, sequences: int) -> Tensor:
        import torch

        batch = to_batch(examples, sum(len(e.tokens) for e in examples), sequences, LONGEST, "cpu")
        loss, _ = objective(batch, token_logprobs(policy.model, batch.ids, batch.mask.bool()))
        found = torch.autograd.grad(loss, [p for p in policy.model.parameters() if p.requires_grad], allow_unused=True)
        return torch.cat([g.flatten() for g in found if g is not None])

    every = len(samples) + len(demonstrations)
    factor = SAMPLES / (SAMPLES + SHOWN)
    found: dict[str, float] = {}
    baselines = {1.0: (demonstrations, likelihood_alone), -1.0: (samples, samples_alone)}
    for gate, (examples, objective) in baselines.items():
        method = hpt(gate=gate, clip=CLIP)
        whole_ = gradient(method.prepare([*samples, *demonstrations], nobody), method, every)
        found["always" if gate > 0 else "never"] = apart(whole_, factor * gradient(examples, objective, len(examples)))[0]
    return found


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.loop.turn import restore, snapshot
    from ratchet.models.machine import prepare

    prepare(1)
    batches, known, priming, updates, many, draws = (
        (1, 20, 1, 1, 2, 4) if quick else (BATCHES, KNOWN, PRIMING, UPDATES, PROBLEMS, DRAWS)
    )
    say("gradients of the unified estimator, and of the library's rows")
    gradients = compared(seed, batches)
    held = {n: problems(n, "heldout", many, seed) for n in (EASY, HARD)}
    policy = primed(seed, known, priming)
    start = snapshot(policy)
    reduced = reductions(policy, seed)
    arms: Result = {}
    for arm in ("before", *ARMS):
        restore(policy, start)
        curve = trained(policy, arm, seed, updates) if arm in ARMS else []
        found = {n: counts(policy, tasks, draws, NAME, seed, "held", arm) for n, tasks in held.items()}
        arms[arm] = {"curve": curve, "counts": found}
        pass_1 = {n: sum(r for _, r in c) / sum(n_ for n_, _ in c) for n, c in found.items()}
        say(f"{arm}: pass@1 " + ", ".join(f"{share:.1%} in {half}" for half, share in pass_1.items()))
    return {"k": draws, "gradients": gradients, "without mask": bare(seed), "reductions": reduced, "arms": arms}


# ---- what is claimed ---------------------------------------------------------------------------------------------


def pass_at(r: Result, arm: str, k: int) -> float:
    """Mean pass@k over the held-out problems of both halves, which weigh the same."""
    halves = r["arms"][arm]["counts"].values()
    return sum(sum(pass_at_k(n, right, k) for n, right in half) / len(half) for half in halves) / len(halves)


def on_the_hard(r: Result, arm: str, k: int) -> float:
    half = r["arms"][arm]["counts"][HARD]
    return sum(pass_at_k(n, right, k) for n, right in half) / len(half)


def gate_ahead(r: Result, others: Sequence[str], many: bool = False) -> float:
    """pass@1, or of as many samples as were drawn, of the better of the two gates, over the best of these arms. Both are picked
    by the same samples, so that the luck of picking goes to the four more than to the two."""
    k = r["k"] if many else 1
    return max(pass_at(r, gate, k) for gate in GATES) - max(pass_at(r, other, k) for other in others)


def seeds_ahead(results: Sequence[Result]) -> Estimate:
    """The share of seeds in which the gate is 2 points above the best static baseline and 5 above GRPO."""
    good = [gate_ahead(r, STATIC) >= 0.02 - 1e-9 and gate_ahead(r, ["grpo"]) >= 0.05 - 1e-9 for r in results]
    share = sum(good) / len(good)
    return Estimate(share, share, share, len(results), "seeds")


def fall(r: Result) -> float:
    """Of the share of prompts that demonstrations teach, from the first to the last point, the mean of both gates."""
    curves = [r["arms"][gate]["curve"] for gate in GATES]
    return sum(c[0]["from demonstrations"] - c[-1]["from demonstrations"] for c in curves) / len(curves)


def power(error: float) -> float:
    """Of ten; an error of nothing counts as that of rounding."""
    return math.log10(max(error, 1e-18))


def worst_gradient(r: Result) -> float:
    return power(max(max(found) for found in r["gradients"].values()))


def imagined(outcome: Outcome, seed: int) -> Result:
    good = outcome is Outcome.HELD or (outcome is Outcome.UNRESOLVED and seed < 4)
    many, lost = 20, seed % 5 + 1
    half = lambda right, unsolved=0: [[DRAWS, right]] * (many - unsolved) + [[DRAWS, 0]] * unsolved
    gate = {EASY: half(22), HARD: half(14, lost)} if good else {EASY: half(9, lost), HARD: half(0)}
    counts_ = {
        "before": {EASY: half(16), HARD: half(0)},
        "sft": {EASY: half(12), HARD: half(3)},
        "grpo": {EASY: half(19), HARD: half(0)},
        "sft then grpo": {EASY: half(18), HARD: half(6)},
        "mixture": {EASY: half(16), HARD: half(6)},
        **dict.fromkeys(GATES, gate),
    }
    fell = (0.3 if good else -0.2) + seed / 100
    point = lambda updates, share: {"updates": updates, "reward": 0.3, "from demonstrations": share}
    curve = [point(EVERY, 0.6), point(2 * EVERY, 0.6 - fell)]
    error = (1e-9 if good else 1e3) * (1 + seed / 10)
    return {
        "k": DRAWS,
        "gradients": {name: [error, error] for name in ("imitation", "grpo", "hpt")},
        "without mask": 0.5,
        "reductions": {"always": error, "never": error},
        "arms": {name: {"curve": curve if name in ARMS else [], "counts": c} for name, c in counts_.items()},
    }


def figures(results: Sequence[Result]) -> list[str]:
    looks = results[0]["arms"]["grpo"]["curve"]

    def curve(title: str, what: str, names: Sequence[str]) -> str:
        at = lambda arm, i: over_seeds(lambda r: r["arms"][arm]["curve"][i][what])(results)
        drawn_ = [Series(name, [estimated(look["updates"], at(name, i)) for i, look in enumerate(looks)]) for name in names]
        return line_chart(title, drawn_, whole("updates"), percent("share", (0.0, 1.0)))

    ks = Axis("samples k", lambda v: f"{v:.0f}", lambda v: f"{v:.0f}", log2=True)

    def coverage(title: str, value: Callable[[Result, str, int], float]) -> str:
        at = lambda arm, k: over_seeds(lambda r: value(r, arm, k))(results)
        lines = [Series(arm, [estimated(k, at(arm, k)) for k in powers_of_two(results[0]["k"])]) for arm in ("before", *ARMS)]
        return line_chart(title, lines, ks, percent("pass@k", (0.0, 1.0)))

    return [
        coverage("pass@k on held-out problems, both halves", pass_at),
        coverage("pass@k on the half that was out of reach", on_the_hard),
        curve("Mean reward of the samples while training", "reward", ARMS),
        curve("Share of the prompts that the gate leaves to demonstrations", "from demonstrations", list(GATES)),
    ]


register(
    Study(
        name=NAME,
        title="Demonstrations where no sample is right, samples elsewhere: better than either, than both in turn, and than half of each",
        paper="Lv et al. 2025, Towards a Unified View of Large Language Model Post-Training, arXiv 2509.04419",
        claims=(
            Claim(
                "one estimator",
                "The gradients of ten methods are the one estimator with other choices of its four parts.",
                (
                    Check(
                        "largest error by the largest entry, or one minus the cosine, of the worst method, as a power of ten",
                        over_seeds(worst_gradient),
                        most=-5.0,
                    ),
                    Check(
                        "control: what GRPO without its mask is off by, the least of a seed",
                        extreme(min, lambda r: r["without mask"]),
                        1e-3,
                    ),
                ),
            ),
            Claim(
                "the gate",
                "Where half of the problems are out of the model's reach, the gate ends at least 2 points above the best static baseline "
                "and 5 above GRPO, and covers no less.",
                (
                    Check(
                        "before: pass@8 on the half that is out of reach, the most of a seed",
                        extreme(max, lambda r: on_the_hard(r, "before", min(8, r["k"]))),
                        most=0.02,
                    ),
                    Check("pass@1: the gate minus the best static baseline", over_seeds(lambda r: gate_ahead(r, STATIC)), 0.02),
                    Check("pass@1: the gate minus GRPO", over_seeds(lambda r: gate_ahead(r, ["grpo"])), 0.05),
                    Check("seeds with both", seeds_ahead, 0.8),
                    Check("pass@32: the gate minus GRPO", over_seeds(lambda r: gate_ahead(r, ["grpo"], many=True)), 0.0),
                ),
            ),
            Claim(
                "less and less",
                "The share of the prompts that demonstrations teach falls over the training.",
                (Check("share in the first updates minus share in the last ones", over_seeds(fall), 0.0),),
            ),
            Claim(
                "nothing else",
                "A gate that is always or never open leaves nothing but imitation, or GRPO with centred rewards.",
                (
                    Check(
                        "gate always open: error by the largest entry, as a power of ten",
                        over_seeds(lambda r: power(r["reductions"]["always"])),
                        most=-6.0,
                    ),
                    Check(
                        "gate never open: error by the largest entry, as a power of ten",
                        over_seeds(lambda r: power(r["reductions"]["never"])),
                        most=-6.0,
                    ),
                ),
            ),
        ),
        arms={
            "before": "placebo: a model of 0.1 million parameters primed on solutions with the sign",
            "sft": "control: the demonstrations alone, at as many updates",
            "grpo": "control: the samples alone, their rewards centred on the prompt's mean",
            "sft then grpo": "half of the updates the one, then the other",
            "mixture": "both at half weight in every update",
            "hpt 0": "samples where any is right, the demonstrations of the prompt elsewhere",
            "hpt 0.25": "samples where more than a quarter is right, the demonstrations of the prompt elsewhere",
        },
        tasks="Countdown with three numbers, solved line by line; half of the prompts ask for a sign in every line (3 + 5 = 8 left 2 8 ;), half "
        "for a word in its place (3 + 5 makes 8 left 2 8 ;), which the model has never seen nor written before",
        metric="pass@1 and pass@32 on held-out problems of both halves, 32 samples each; gradients of random batches in float64",
        budget="about 7 minutes of one thread a seed",
        departures="What is out of reach is a way of writing: half of the prompts ask for a word that the model has never written, where the "
        "map has problems that are too hard. Two other worlds tested nothing in pilots under seed 901: with search traces for three numbers "
        "as that half (two numbers as the other) imitation solved under 3 % of it after 160 updates, and with seven new words, one for each "
        "sign, none of it after 100. Countdown with three numbers up to 9 and targets up to 12, a line for each operation, stands for "
        "three and four numbers, and a width of 64 for one of 96. So the sums "
        "carry over from half to half, and demonstrations of one may help or harm the other. Four solutions of each prompt are shown in an "
        "update where the paper has one, since so small a model learns little from one. Rewards are centred on the prompt's mean and not "
        "divided by their deviation, in every arm. One learning rate for all arms and both kinds of learning, and one number of updates; it "
        "was taken from a few short pilots of imitation and of GRPO under another seed, not searched for each arm. Every arm draws the samples "
        "of its updates, imitation too, which makes nothing of them. The better of two gates is held against the best of four baselines. A "
        "demonstration counts as one more sequence of its group, so that the gradients of the closed and the open gate are those of the "
        "baselines times one factor, which is taken out before they are compared. The rows that part 1 is compared with are the "
        "library's, which tests hold to TRL's and verl's. In the pilot (seed 901) imitation alone brought the half out of reach from 0 to "
        "20 %, samples alone left it at 0 and lifted the other half from 36 to 41 %; 15 points there had been wished for, so reinforcement "
        "has little to add in this world.",
        scale="A model of 0.1 million weights whose limit is what it knows of numbers: it gains from imitation for as long as it is shown "
        "new problems, which a pretrained model need not. No benchmark outside of the task.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
