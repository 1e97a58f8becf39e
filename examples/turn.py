"""The whole loop on one page: tasks, a strategy, verdicts, credit, learning, a gate, and a measured result.

A model with random weights first imitates worked-out arithmetic chains, then improves on its own verified attempts.
`python examples/turn.py` takes about a minute and a half on one core; `--quick` a few seconds, and learns little.
"""

from __future__ import annotations

import sys

import torch

from ratchet.core.seeds import rng
from ratchet.core.types import Task
from ratchet.learn.batch import Example
from ratchet.learn.credit import outcome, rewards_of, verdict_reward
from ratchet.learn.policy import dr_grpo, imitation
from ratchet.learn.train import Learner
from ratchet.loop.gate import Decision, look
from ratchet.loop.turn import restore, snapshot
from ratchet.measure.estimate import paired_difference
from ratchet.measure.record import Record, record_of
from ratchet.models.engine import Policy
from ratchet.models.llama import Shape
from ratchet.models.load import new_policy
from ratchet.models.scheduler import Scheduler
from ratchet.models.tokens import WordTokenizer, reasoning_words
from ratchet.search.single import single
from ratchet.tasks.family import Source
from ratchet.verify.pool import VerifierPool

SEED = 0


def rates(record: Record, tasks: list[Task]) -> list[float]:
    """The success rate of each task."""
    rows = {r.key: r for r in record.rows}
    return [rows[t.key].passes / rows[t.key].n for t in tasks]


def measure(policy: Policy, verify: VerifierPool, tasks: list[Task], *path: str | int) -> Record:
    """Two samples of each task, judged."""
    return record_of(Scheduler(policy, verify).run(single, tasks, *path, samples=2), "model", "arithmetic")


def imitate(policy: Policy, source: Source, updates: int) -> None:
    """Learn from demonstrations: the policy gradient with advantage 1 on every written token."""
    learner = Learner(policy, lr=3e-3, muon=0.02, warmup=20, steps=updates, final=0.1)
    assert source.family.demonstrate is not None
    for update in range(updates):
        examples: list[Example] = []
        for task in source.take("train", 64, SEED, "imitation", update):
            text = source.family.demonstrate(rng(SEED, task.key), task)
            assert text is not None
            examples.append(Example(policy.encode(task.prompt), (*policy.tokenizer.encode(text), policy.tokenizer.end_id)))
        learner.update(examples, imitation())


def main(quick: bool = False) -> None:
    torch.set_num_threads(1)  # one thread is the stable way beside anything else that runs
    source = Source("arithmetic", knobs={"steps": 3})
    tokenizer = WordTokenizer(reasoning_words())
    shape = Shape(vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=172, max_tokens=64)
    policy = new_policy(shape, tokenizer, SEED, max_tokens=32)
    n = 50 if quick else 400

    with VerifierPool() as verify:
        imitate(policy, source, updates=20 if quick else 250)
        champion = snapshot(policy)  # the model that a run would deliver if it stopped here
        first = champion

        method = dr_grpo(clip=0.2)
        learner = Learner(policy, lr=5e-4, warmup=5)
        turns = 2 if quick else 4
        for turn in range(turns):
            for update in range(2 if quick else 10):
                # draw: 32 training tasks, 8 samples each, every one judged in a process of its own
                tasks = source.take("train", 32, SEED, "turn", turn, update)
                traces = Scheduler(policy, verify).run(single, tasks, SEED, "turn", turn, update, samples=8)
                # credit: verdicts -> rewards -> advantages within each task's group
                rewards = rewards_of(traces, verdict_reward)
                examples = outcome(traces, rewards, method.advantage, policy.tokenizer)
                # learn: one optimizer step
                learner.update(examples, method)

            # the gate: champion against challenger, by pairs, on validation tasks of its own
            tasks = source.take("validation", n, SEED, "gate", turn)
            challenger = snapshot(policy)
            new = rates(measure(policy, verify, tasks, SEED, "gate", turn), tasks)
            restore(policy, champion)
            old = rates(measure(policy, verify, tasks, SEED, "gate", turn), tasks)
            seen = look(old, new, error=0.05, looks=turns)
            print(f"turn {turn + 1}: {seen.decision}: {seen.reason}")
            if seen.decision is Decision.PROMOTE:
                champion = challenger
            restore(policy, champion if seen.decision is Decision.ROLL_BACK else challenger)

        # the held-out look, once: what was delivered against what the turns began with
        tasks = source.take("heldout", n, SEED, "heldout")
        restore(policy, first)
        before = measure(policy, verify, tasks, SEED, "heldout")
        restore(policy, champion)
        after = measure(policy, verify, tasks, SEED, "heldout")
        print(f"held-out pass@1 before: {before.pass_at(1)}")
        print(f"held-out pass@1 after:  {after.pass_at(1)}")
        print(f"difference:             {paired_difference(rates(before, tasks), rates(after, tasks))}")


if __name__ == "__main__":
    main("--quick" in sys.argv)
