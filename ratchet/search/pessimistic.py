"""Best of n with pessimism: a sample is returned with the chance that chi-square regularisation gives it, so that one score that
is too good to be true does not decide alone (Huang et al. 2025, arXiv 2503.21878, InferenceTimePessimism).

With scores r_1 ... r_n, lambda solves mean(relu((r_i - lambda) / beta)) = 1, and sample i is returned with a chance proportional to
relu(r_i - lambda): this maximises the mean score less beta/2 times the chi-square divergence from the policy.
Scale: any; beta is in the scorer's units. beta to 0 is best-of-n, a large beta a plain sample.
Departures: the paper finds lambda on n samples and runs rejection sampling on n others; here the same n serve for both, and
one of them is drawn with exactly those chances.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.core.ranges import above_0
from ratchet.core.types import Chance, Draw, Judge, Play, Task
from ratchet.search.strategy import strategies


def cautious(scores: Sequence[float], beta: float) -> list[float]:
    """The chance of each sample, summing to 1. Scores of -inf get none."""
    ranked = sorted(scores, reverse=True)
    top, best = 0.0, ranked[0]
    threshold = best
    for k, score in enumerate(ranked, start=1):
        # lambda while the k best are above it: their sum less k lambda is n beta
        top += score
        threshold = (top - len(scores) * beta) / k
        if k == len(ranked) or threshold >= ranked[k]:
            break
    weights = [max(s - threshold, 0.0) for s in scores]
    total = sum(weights)
    return [w / total for w in weights] if total > 0 else [float(s == best) / ranked.count(best) for s in scores]


@strategies.add("pessimistic-best-of-n", paper="arXiv 2503.21878")
def pessimistic_best_of_n(
    task: Task, *, n: int = 8, scorer: str = "logprob", beta: float = 0.1, temperature: float = 1.0, top_p: float = 1.0
) -> Play:
    """One of `n` completions, the better ones likelier; `beta` is how far the scores are mistrusted (paper: beta by validation)."""
    above_0(beta=beta)  # best-of-n is what 0 would be
    completions = yield Draw(task.prompt, n=n, temperature=temperature, top_p=top_p)
    scores = yield Judge(completions, scorer)
    random = yield Chance()
    return random.choices(completions, cautious(scores, beta))[0]
