"""Modeling of learning curves with applications to POS tagging: is a power law through the first 40 % enough to stop?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from ratchet.core.seeds import rng
from ratchet.core.types import Estimate
from ratchet.measure.estimate import mean
from ratchet.measure.intervals import wilson
from ratchet.measure.learning_curves import falls_from, log_line, power_law, prediction_level, stopping_level, trends
from ratchet.measure.taggers import Corpus, Sentence, Tagger, accuracy, encode, hidden_markov, perceptron
from ratchet.report.chart import Axis, Point, Series, line_chart, number, percent
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, register
from ratchet.tasks.labelled import digits, tagged_sentences

if TYPE_CHECKING:
    from torch import Tensor

SIZES = 25  # evenly spaced, as the paper's, up to the whole
SEEN = 10  # of them: 40 % of the data
TAUS = (0.5, 1.0, 2.0)  # points of accuracy
SHIFT = 5.0  # points by which an irregular observation is too high or too low
FAILS = 2.0  # points by which a prediction misses where a curve is called no power law
TAGGERS, READERS = ("perceptron", "hidden Markov", "transformer"), ("nearest digit", "digit network")
REWARDS = ("bandit", "corridor", "near and far")
METHODS = ("power law", "anchored", "last value", "log line", "shuffled")


def run(run_seed: int, quick: bool, say: Say) -> Result:
    corpus, (images, labels) = encode(tagged_sentences()), digits()
    words, pictures = ((40, 75), (100, 250)) if quick else ((400, 1600), (1000, 3000))
    runs = {}
    for name in (*TAGGERS, *READERS):
        say(f"{name}: {SIZES} sizes")
        draw = rng("learning-curve", run_seed, name)  # each run has its own test part and order
        tested, whole = words if name in TAGGERS else pictures
        sizes = [whole * k // SIZES for k in range(1, SIZES + 1)]
        if name in TAGGERS:
            drawn = draw.sample(corpus.sentences, tested + whole)
            curve = tagging(name, corpus, drawn[:tested], drawn[tested:], sizes, draw, 5 if quick else 120)
        else:
            rows = draw.sample(range(len(images)), tested + whole)
            test, train = ((images[r], labels[r]) for r in (rows[:tested], rows[tested:]))
            curve = reading(name, test, train, sizes, draw, 5 if quick else 120)
        runs[name] = measured(sizes, curve, draw)
    rewards = {}
    for name in REWARDS:
        say(f"rewards: {name}")
        sizes = [8 * k for k in range(1, SIZES + 1)]  # episodes
        rewards[name] = measured(sizes, reward_curve(name, sizes, rng("learning-curve", run_seed, name)), rng(name, run_seed))
    return {"runs": runs, "rewards": rewards}


def measured(sizes: Sequence[int], curve: Sequence[float], draw: Random) -> Result:
    """What each method says of the end of a curve from its first part, and where the rule would have stopped."""
    x, y, end = sizes[:SEEN], list(curve[:SEEN]), sizes[-1]
    trace = trends(sizes, curve)
    level = prediction_level(trace)
    found = {
        "power law": plain(x, y, end),
        "anchored": anchored(x, y, end),
        "last value": y[-1],
        "log line": log_line(x, y)(end),
        "shuffled": plain(x, draw.sample(y, len(y)), end),
    }
    stops = {}
    for tau in TAUS:
        place = stopping_level(trace, tau)
        used, said = (SIZES, curve[-1]) if place is None else (trace[place].level, min(100.0, trace[place](end)))
        stops[str(tau)] = {"saved": 1 - used / SIZES, "error": abs(said - curve[-1])}
    # one of the ten seen is an outlier: each of them in turn, too high and too low
    spoilt = [[*y[:i], y[i] + up, *y[i + 1 :]] for i, up in product(range(SEEN), (SHIFT, -SHIFT))]
    shaken = {name: float(np.mean([abs(f(x, s, end) - curve[-1]) for s in spoilt])) for name, f in FITS.items()}
    return {
        "curve": list(curve),
        "error": {name: abs(value - curve[-1]) for name, value in found.items()},
        "shaken": shaken,
        "stop": stops,
        "level": None if level is None else trace[level].level,
        "falls": level is not None and falls_from(trace, level),
    }


def plain(x: Sequence[int], y: Sequence[float], end: int) -> float:
    return min(100.0, power_law(x, y)(end))


def anchored(x: Sequence[int], y: Sequence[float], end: int) -> float:
    return min(100.0, trends(x, y, anchored=True)[-1](end))


FITS = {"power law": plain, "anchored": anchored}

# ---- learners ----------------------------------------------------------------------------------------------------


def tagging(
    name: str,
    corpus: Corpus,
    test: Sequence[Sentence],
    train: Sequence[Sentence],
    sizes: Sequence[int],
    draw: Random,
    updates: int,
) -> list[float]:
    """Accuracy on `test` after learning from the first sentences of `train`, for each size."""
    tags, own = len(corpus.tags), draw.randrange(2**62)
    learn: dict[str, Callable[[Sequence[Sentence]], Tagger]] = {
        "perceptron": lambda part: perceptron(part, tags, corpus.features, Random(own)),
        "hidden Markov": lambda part: hidden_markov(part, tags, corpus.endings),
        "transformer": lambda part: transformer(part, tags, corpus.endings, own, updates),
    }
    return [accuracy(learn[name](train[:size]), test) for size in sizes]


def transformer(train: Sequence[Sentence], tags: int, endings: int, own: int, updates: int) -> Tagger:
    """A transformer of two layers that sees the whole sentence. A word enters as its finest ending seen at least twice."""
    import torch
    from torch.nn import functional as F

    from ratchet.models import llama

    width = 48
    model = llama.Llama(
        llama.Shape(vocab=endings, width=width, layers=2, heads=2, kv_heads=2, head_width=width // 2, hidden=2 * width)
    )
    llama.init_weights(model, own)
    head = torch.nn.Linear(width, tags)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    counts = np.bincount(np.concatenate([s.endings.ravel() for s in train]), minlength=endings)

    def entry(s: Sentence) -> Tensor:
        seen = counts[s.endings] >= 2
        seen[:, 0] = True
        finest = seen.shape[1] - 1 - seen[:, ::-1].argmax(1)
        return torch.from_numpy(s.endings[np.arange(len(finest)), finest])

    def logits(batch: Sequence[Sentence]) -> Tensor:
        ids = torch.nn.utils.rnn.pad_sequence([entry(s) for s in batch], batch_first=True)
        places = torch.arange(ids.shape[1])[None]
        real = places < torch.tensor([len(s.tags) for s in batch])[:, None]
        see = lambda layer, q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None])
        return head(model.hidden(ids, places, see)[real])

    draw = Random(own)

    def loss() -> Tensor:
        batch = draw.choices(train, k=24)
        return F.cross_entropy(logits(batch), torch.from_numpy(np.concatenate([s.tags for s in batch])))

    descend([*model.parameters(), *head.parameters()], loss, updates)

    def tag(s: Sentence) -> np.ndarray:
        with torch.no_grad():
            return logits([s]).argmax(-1).numpy()

    return tag


def descend(parameters: Sequence[Tensor], loss: Callable[[], Tensor], updates: int) -> None:
    """So many steps of AdamW, at a rate that warms up and then falls to a tenth."""
    import torch

    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.0, fused=True)
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (update + 1) / 10) * (1 - 0.9 * update / updates)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


Labelled = tuple[np.ndarray, np.ndarray]


def reading(name: str, test: Labelled, train: Labelled, sizes: Sequence[int], draw: Random, updates: int) -> list[float]:
    """Accuracy on `test` after learning from the first digits of `train`, for each size."""
    if name == "nearest digit":
        near = (train[0] ** 2).sum(1) - 2 * test[0] @ train[0].T  # squared distance, less what no choice changes
        given = [train[1][near[:, :size].argmin(1)] for size in sizes]
    else:
        own = draw.randrange(2**62)
        given = [network(train[0][:size], train[1][:size], test[0], own, updates) for size in sizes]
    return [100 * float((g == test[1]).mean()) for g in given]


def network(images: np.ndarray, labels: np.ndarray, asked: np.ndarray, own: int, updates: int) -> np.ndarray:
    """The labels (n,) that a network of one hidden layer gives the images `asked`."""
    import torch
    from torch.nn import functional as F

    chance = torch.Generator().manual_seed(own)
    with torch.random.fork_rng(devices=[]):  # layers draw their weights from the one generator of all
        torch.manual_seed(own)
        model = torch.nn.Sequential(torch.nn.Linear(images.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    x, y = torch.from_numpy(images).float(), torch.from_numpy(labels)

    def loss() -> Tensor:
        rows = torch.randint(len(x), (64,), generator=chance)
        return F.cross_entropy(model(x[rows]), y[rows])

    descend(list(model.parameters()), loss, updates)
    with torch.no_grad():
        return model(torch.from_numpy(asked).float()).argmax(1).numpy()


def reward_curve(name: str, episodes: Sequence[int], draw: Random, agents: int = 200) -> list[float]:
    """Mean return of Q-learning agents in each window of episodes, in percent of the best return.

    "bandit": five arms that pay with chances 0.1 to 0.9, divided by 0.9. "corridor": 16 places in a row, the agent starts
    at the left and is paid at the right end only. "near and far": of 7 places it starts at the third, the left end pays 0.3.
    """
    random = np.random.default_rng(draw.randrange(2**62))
    places, actions, steps = {"bandit": (1, 5, 1), "corridor": (16, 2, 40), "near and far": (7, 2, 40)}[name]
    q, every, window, returns = np.zeros((agents, places, actions)), np.arange(agents), episodes[0], []
    for _ in range(episodes[-1]):
        at = np.full(agents, 2 if name == "near and far" else 0)
        paid, on = np.zeros(agents), np.ones(agents, bool)
        for _ in range(steps):
            best = (q[every, at] + 1e-6 * random.random((agents, actions))).argmax(1)
            do = np.where(random.random(agents) < 0.1, random.integers(actions, size=agents), best)
            if name == "bandit":
                to, pay, ends = at, (random.random(agents) < 0.1 + 0.2 * do) / 0.9, on
            else:
                to = np.clip(at + 2 * do - 1, 0, places - 1)
                left = 0.3 * (to == 0) if name == "near and far" else np.zeros(agents)
                pay = (to == places - 1) + left
                ends = pay > 0
            goal = pay + np.where(ends, 0.0, 0.95 * q[every, to].max(1))
            q[every, at, do] += np.where(on, 0.1 * (goal - q[every, at, do]), 0.0)
            paid += on * pay
            on, at = on & ~ends, to
            if not on.any():
                break
        returns.append(100 * float(paid.mean()))
    return [float(np.mean(returns[end - window : end])) for end in episodes]


# ---- effects -----------------------------------------------------------------------------------------------------


def averaged(of: Callable[[Result], float], names: Sequence[str]) -> Effect:
    """A number of each run, averaged over the learners, over seeds: in points from -100 to 100."""
    return lambda results: mean(
        [float(np.mean([of(r["runs"][n]) for n in names])) for r in results], unit="seeds", bounds=(-100, 100)
    )


def share(holds: Callable[[Result], bool]) -> Effect:
    """The share of runs. Each drew its own test part and order, so that runs of one seed have no more in common than others."""

    def effect(results: Sequence[Result]) -> Estimate:
        found = [holds(one) for r in results for one in r["runs"].values()]
        return wilson(sum(found), len(found), unit="runs")

    return effect


def saved(results: Sequence[Result]) -> Estimate:
    per_seed = [float(np.mean([one["stop"]["1.0"]["saved"] for one in r["runs"].values()])) for r in results]
    return mean(per_seed, unit="seeds")


def less(a: str, b: str, times: float = 1.0) -> Callable[[Result], float]:
    """By how many points the error of `a` lies above `times` that of `b`."""
    return lambda one: one["error"][a] - times * one["error"][b]


def growth(fit: str, times: float) -> Callable[[Result], float]:
    """By how many points the error with an outlier lies above `times` the error without."""
    return lambda one: one["shaken"][fit] - times * one["error"][fit]


def within(tau: float) -> Callable[[Result], bool]:
    return lambda one: one["stop"][str(tau)]["error"] <= tau


def predicts(what: str, names: Sequence[str]) -> tuple[Check, ...]:
    return (
        Check(f"{what}: mean absolute error (points)", averaged(lambda one: one["error"]["power law"], names), most=1.0),
        Check(
            f"{what}: error above half of the last value's (points)",
            averaged(less("power law", "last value", 0.5), names),
            most=0,
        ),
        Check(f"{what}: error above the log line's (points)", averaged(less("power law", "log line"), names), most=0),
        Check(f"{what}: placebo's error above (points)", averaged(less("shuffled", "power law"), names), 0),
    )


def imagined(outcome: Outcome, run_seed: int) -> Result:
    i = list(Outcome).index(outcome)  # HELD, FAILED, UNRESOLVED
    wave = (run_seed % 3 - 1) * (0.1, 0.1, 1.0)[i]
    error = {
        "power law": (0.5, 4.0, 1.0)[i] + wave,
        "anchored": (0.6, 3.0, 1.0)[i],
        "last value": (3.0, 1.0, 2.0)[i],
        "log line": (1.5, 1.0, 1.0)[i],
        "shuffled": (4.0, 1.0, 1.0)[i],
    }
    shaken = {
        "power law": error["power law"] * 2 + (1.0, -1.0, 0.0)[i] + wave / 2,
        "anchored": error["anchored"] * 1.5 + (-0.2, 1.0, 0.0)[i] + wave / 2,
    }
    fine = (True, False, bool(run_seed % 10))[i]
    stop = {str(t): {"saved": (0.6, 0.1, 0.4)[i] + wave / 10, "error": 0.1 if fine else 9.0} for t in TAUS}
    curve = [90 - 40 * k**-0.5 for k in range(1, SIZES + 1)]
    one = {"curve": curve, "error": error, "shaken": shaken, "stop": stop, "level": 6, "falls": fine}
    return {"runs": dict.fromkeys((*TAGGERS, *READERS), one), "rewards": dict.fromkeys(REWARDS, one)}


# ---- figures -----------------------------------------------------------------------------------------------------


def point(x: float, e: Estimate) -> Point:
    known = np.isfinite(e.low) and np.isfinite(e.high)
    return Point(x, e.value, e.low if known else None, e.high if known else None)


def figures(results: Sequence[Result]) -> list[str]:
    used = Axis("share of the data", lambda v: f"{v:.0f}%", lambda v: f"{v:.0f}")

    def curve(kind: str, name: str) -> Series:
        values = [[r[kind][name]["curve"][k] for r in results] for k in range(SIZES)]
        points = [point(100 * (k + 1) / SIZES, mean(v, unit="seeds", bounds=(0, 100))) for k, v in enumerate(values)]
        return Series(name, points)

    def errors(what: str, names: Sequence[str]) -> Series:
        of = lambda method: averaged(lambda one: one["error"][method], names)(results)
        return Series(what, [point(i, of(m)) for i, m in enumerate(METHODS)])

    def shaken(fit: str) -> Series:
        names = (*TAGGERS, *READERS)
        clean, hit = (averaged(lambda one, k=k: one[k][fit], names)(results) for k in ("error", "shaken"))
        return Series(fit, [point(0, clean), point(1, hit)])

    def failing(kind: str, names: Sequence[str]) -> Estimate:
        found = [r[kind][n]["error"]["power law"] > FAILS for r in results for n in names]
        return wilson(sum(found), len(found), unit="runs")

    kinds = {"taggers": failing("runs", TAGGERS), "digits": failing("runs", READERS), "rewards": failing("rewards", REWARDS)}
    named = lambda label, names: Axis(label, str, str, names=dict(enumerate(names)))
    points = number("mean absolute error (points)", (0, 1))
    everyone = (*TAGGERS, *READERS)
    cut = [
        point(t, mean([float(np.mean([one["stop"][str(t)]["saved"] for one in r["runs"].values()])) for r in results]))
        for t in TAUS
    ]
    reached = Series("runs within tau", [point(t, share(within(t))(results)) for t in TAUS])
    missed = Series("misses", [point(i, e) for i, e in enumerate(kinds.values())])
    return [
        line_chart("Accuracy of each learner", [curve("runs", n) for n in everyone], used, number("accuracy (points)")),
        line_chart("Return of Q-learning", [curve("rewards", n) for n in REWARDS], used, number("share of the best return (%)")),
        line_chart(
            "Error about all of the data, seen from 40 % of it",
            [errors("taggers", TAGGERS), errors("digits", READERS)], named("method", METHODS), points,
        ),
        line_chart("The rule for stopping", [reached, Series("data saved", cut)], number("tau (points)"), percent("share", (0, 1))),
        line_chart("Error with one outlier in ten", [shaken(f) for f in FITS], named("observations", ("as measured", "one spoilt")), points),
        line_chart(f"Predictions that miss by more than {FAILS:g} points", [missed], named("curves", list(kinds)), percent("share", (0, 1))),
    ]  # fmt: skip


register(
    Study(
        name="learning-curve",
        title="A power law through the first observations says where a learning curve ends",
        paper="Modeling of learning curves with applications to POS tagging (C20 of the map; arXiv 2402.02515)",
        claims=(
            Claim(
                "predicts",
                "From 40 % of the data, accuracy with all of it is predicted within 1 point on average, with at most half of the "
                "last value's error and no more than a log-linear fit's, for taggers and for readers of digits.",
                (*predicts("taggers", TAGGERS), *predicts("digits", READERS)),
            ),
            Claim(
                "stopping",
                "Where neighbouring asymptotes differ by at most tau, the prediction is right within tau in at least 90 % of runs.",
                tuple(Check(f"runs within {t:g} points at tau {t:g}", share(within(t)), 0.9) for t in TAUS),
            ),
            Claim(
                "saving",
                "Stopping at a tau of 1 point saves at least 40 % of the data.",
                (Check("share of the data saved at tau 1", saved, 0.4),),
            ),
            Claim(
                "anchoring",
                "With one outlier in ten observations, the anchored error grows to at most 1.5 times, the plain one to at least 2.",
                (
                    Check(
                        "anchored: error above 1.5 times (points)",
                        averaged(growth("anchored", 1.5), (*TAGGERS, *READERS)),
                        most=0,
                    ),
                    Check("plain: error above 2 times (points)", averaged(growth("power law", 2.0), (*TAGGERS, *READERS)), 0),
                ),
            ),
            Claim(
                "backbone",
                "After the prediction level the asymptotes only fall.",
                (Check("runs whose asymptotes never rise again", share(lambda one: one["falls"]), 0.9),),
            ),
        ),
        arms={
            "power law": "the paper's pattern, fitted by least squares to the accuracies at the first 10 of 25 sizes",
            "anchored": "the same, with the asymptote before as one more observation at infinity",
            "last value": "control at equal cost: the accuracy at 40 % is the prediction",
            "log line": "control at equal cost: a straight line in the logarithm of the size",
            "shuffled": "placebo: the power law through the same accuracies in a random order",
        },
        tasks="parts of speech of UD English EWT (averaged perceptron, hidden Markov model, small transformer; 64 to 1,600 sentences); "
        "written digits (nearest neighbour, one hidden layer; 120 to 3,000 images); beside them, the returns of tabular Q-learning",
        metric="absolute error of the predicted accuracy in points; share of runs within tau; share of the data left unused",
        budget="about 3 minutes for 10 seeds on two cores",
        departures="Only the paper's abstract was at hand: the prediction level is the first asymptote of at most 100 that ends two "
        "falls, found without a look at later sizes; that the backbone falls is asked of 90 % of runs, since the map gives no "
        "number. A run that never stops uses all the data: its prediction is what it measured, right, and nothing is saved. "
        "The plain fits are judged for predicting and stopping, the anchored ones for outliers only. The outlier is one of the ten "
        "observations seen, each in turn, 5 points too high or too low. The digits are 4,000 of MNIST at 14 x 14, not "
        "scikit-learn's, which is no dependency here. Nothing is asked of the returns of Q-learning: figures show how often they miss.",
        scale="The treebank's part has 25,000 words where the paper has corpora of hundreds of thousands, so its curves end long "
        "before they are flat. English only. All runs draw from one pool of 2,001 sentences or 4,000 images: the intervals speak "
        "about other draws from it, not about other corpora. The transformer and the network take a fixed number of updates, "
        "whatever the size of the data.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=10,
    )
)
