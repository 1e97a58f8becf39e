"""Beam search by a value model: n candidates for the next step, the best beams go on (Yu et al. 2023, arXiv 2311.09724).

Departures: the same prefix drawn twice is kept once, since a small model repeats itself and a beam of copies is one
prefix; each candidate that goes on gets an equal share of the next n draws, the first ones one more where it does not divide.
"""

from __future__ import annotations

from ratchet.core.types import Completion, Draw, Judge, Play, Task
from ratchet.search.strategy import strategies


@strategies.add("value-beam", paper="arXiv 2311.09724")
def value_beam(
    task: Task,
    *,
    n: int = 20,
    beams: int = 5,
    scorer: str = "logprob",
    step: str = "\n",
    steps: int = 10,
    temperature: float = 1.0,
) -> Play:
    """Of `n` candidates for a step, ended by the text `step`, the `beams` best by score go on; after at most `steps` steps
    the best one is the answer (paper: n = 20 and 100, beams 4 to 25 on GSM8K). A single sample is drawn whole."""
    stop = (step,) if n > 1 else ()
    candidates: list[Completion] = yield Draw(task.prompt, n=n, stop=stop, temperature=temperature)
    for _ in range(steps):
        scores = yield Judge(candidates, scorer)
        best = sorted(range(len(candidates)), key=lambda i: -scores[i])
        kept = list({candidates[i].tokens: candidates[i] for i in reversed(best)}.values())[::-1][:beams]
        going = [c for c in kept if c.stop == "stop"]
        if not going:
            break
        candidates = [c for c in kept if c.stop != "stop"]
        shares = [n // len(going) + (place < n % len(going)) for place in range(len(going))]
        drawn = yield [Draw(c, n=k, stop=stop, temperature=temperature) for c, k in zip(going, shares, strict=True) if k]
        candidates += [c for own in drawn for c in own]
    else:
        scores = yield Judge(candidates, scorer)
    return candidates[max(range(len(candidates)), key=lambda i: scores[i])]
