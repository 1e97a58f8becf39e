"""One turn: draw, credit, several updates; or updates on demonstrations, or on pairs of texts, given or drawn."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from ratchet.core.errors import EngineError, RecipeError, nearest
from ratchet.core.registry import check_knobs
from ratchet.core.seeds import Part, rng
from ratchet.core.types import Task, Trace, Verdict
from ratchet.learn.batch import Example, Objective, Pair, Unit
from ratchet.learn.credit import Reward, credits, rewards_of
from ratchet.learn.curricula import History, choose, curricula
from ratchet.learn.pairs import pairs_of, written_examples
from ratchet.learn.policy import PolicyGradient, rows
from ratchet.learn.preferences import PreferenceRow, preferences
from ratchet.learn.references import Reference, references
from ratchet.learn.rewards import abstentions, rewards, with_abstentions
from ratchet.learn.selectors import Selector, selectors
from ratchet.learn.train import Learner
from ratchet.loop.recipe import Imitation, Optimizer, Preferences, Recipe, Reinforcement
from ratchet.models.critic import HEAD, load_critic, scorer_of
from ratchet.models.engine import Policy
from ratchet.models.scheduler import Priced, Scheduler, Scorer, Verify
from ratchet.models.self_evaluation import self_evaluation
from ratchet.search.strategy import SCORERS, checked_knobs, planned, refuse_unknown, strategies
from ratchet.search.tools import TOOLS
from ratchet.tasks.family import Mixture, Source
from ratchet.verify.pool import Timing, timings

Tell = Callable[[dict[str, Any]], None]
OWN = "self-evaluation"  # the scorer that asks the policy itself
APART = 0.01  # of the tokens: rounding, in bfloat16 too, moves none by so much


@dataclass
class Costs:
    """Tokens and seconds by part of the run. Parts do not overlap: their seconds add up to at most the wall time.

    The gate and the measuring draw and judge too; how much of their seconds that took stands in them as
    `engine_seconds` and `verifier_seconds`, as `learner_seconds` does in training.
    """

    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    verifiers: dict[str, Timing] = field(default_factory=dict)

    def add(self, part: str, **amounts: float) -> None:
        entry = self.parts.setdefault(part, {})
        for name, amount in amounts.items():
            entry[name] = entry.get(name, 0) + amount

    @contextmanager
    def clock(self, part: str, amount: str = "seconds") -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.add(part, **{amount: time.perf_counter() - start})

    def add_scheduler(self, scheduler: Scheduler, part: str = "sampling") -> None:
        """What was drawn, and what was waited for verdicts. A part that is more than that has a clock of its own."""
        spent, own = scheduler.spent, part == "sampling"
        self.add(
            part,
            **{"seconds" if own else "engine_seconds": scheduler.seconds["sampling"]},
            sampled_tokens=spent.sampled_tokens,
            prefix_tokens=spent.prefix_tokens,
            draws=spent.draws,
        )
        waited = scheduler.seconds["verification"]
        self.add("verification", seconds=waited) if own else self.add(part, verifier_seconds=waited)

    def judging(self, verify: Verify) -> Verify:
        """`verify` with the time of every verifier booked; most of it runs beside the sampling."""

        def judge(pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
            verdicts = verify(pairs)
            for name, timing in timings(pairs, verdicts).items():
                self.verifiers.setdefault(name, Timing()).add(timing)
            return verdicts

        return judge

    def json(self) -> dict[str, dict[str, Any]]:
        return {**self.parts, "verifiers": {name: asdict(timing) for name, timing in self.verifiers.items()}}

    def add_json(self, cost: Mapping[str, Mapping[str, Any]]) -> None:
        """What `json` gave for a turn; runs that began before verifiers were timed have no such entry."""
        for part, amounts in cost.items():
            if part == "verifiers":
                for name, timing in amounts.items():
                    self.verifiers.setdefault(name, Timing()).add(Timing(**timing))
            else:
                self.add(part, **amounts)


def scheduler_for(policy: Policy, verify: Verify, critics: Mapping[str, Scorer] | None = None) -> Scheduler:
    return Scheduler(policy, verify, {**SCORERS, OWN: self_evaluation(policy), **(critics or {})}, TOOLS)


def critic_folders(recipe: Recipe) -> dict[str, Path]:
    """The folder of each critic by its name. RecipeError for a name that is taken, or a folder without a saved critic."""
    folders = {name: Path(str(folder)) for name, folder in recipe.critics.items()}
    for name, folder in folders.items():
        if name in (*SCORERS, OWN):
            raise RecipeError(
                f'critics.{name}: a scorer that ships has the name "{name}"; take another, such as critics.value={folder}'
            )
        if not (folder / HEAD).is_file():
            raise RecipeError(f"critics.{name}={folder} is not the folder of a saved critic (it holds no {HEAD})")
    return folders


def critics_of(recipe: Recipe, policy: Policy, source: Source) -> dict[str, Priced]:
    """The recipe's critics as scorers. EngineError for one that is damaged, or that reads other tokens than the policy."""
    found = {name: load_critic(folder, policy.bf16) for name, folder in critic_folders(recipe).items()}
    [task] = source.take("train", 1, "check critics") if found else [Task("", "", None, "")]
    for name, critic in found.items():
        if critic.tokenizer.encode(task.prompt) != policy.tokenizer.encode(task.prompt):
            raise EngineError(
                f"critics.{name}={recipe.critics[name]} reads other tokens than the run's model; a critic scores a policy of its own tokenizer"
            )
    return {name: scorer_of(critic) for name, critic in found.items()}


def settings_of(method: Callable[..., Any], knobs: Mapping[str, Any]) -> dict[str, Any]:
    """All knobs of a method: as given, else their defaults."""
    own = inspect.signature(method).parameters.values()
    return {p.name: knobs.get(p.name, p.default) for p in own if p.kind is p.KEYWORD_ONLY}


def asked(strategy: str, knobs: Mapping[str, Any]) -> set[str]:
    """The scorers that a strategy asks, and the strategy inside it."""
    named = settings_of(strategies[strategy], knobs)
    own = {named["scorer"]} - {""} if "scorer" in named else set[str]()
    inner = named.get("inner", "")
    return own | (asked(inner.partition(":")[0].strip(), planned(inner)[1]) if inner else set())


def checked_credit(settings: Reinforcement, critics: Iterable[str] = ()) -> dict[str, Any]:
    """The knobs of the credit, checked: names, types, and that the scorer whose word the credit takes is known, and asked by the
    strategy: else it would be passed over in silence. RecipeError."""
    credit = credits[settings.credit]
    checked = check_knobs("credit", settings.credit, credit, settings.credit_knobs)
    heard, wanted = asked(settings.strategy, settings.strategy_knobs), settings_of(credit, checked).get("scorer")
    known = {*SCORERS, OWN, *critics}
    if wanted and wanted not in known:
        raise RecipeError(
            f'reinforcement.credit={settings.credit}: no scorer named "{wanted}"; {nearest(wanted, known)}; --set critics.{wanted}=FOLDER gives '
            "a saved critic that name"
        )
    if wanted and wanted not in heard:
        what = f"asks {', '.join(sorted(heard))}" if heard else "asks no scorer"
        raise RecipeError(
            f'reinforcement.credit={settings.credit} goes by what the scorer "{wanted}" says, and the strategy "{settings.strategy}" {what}, so '
            f"the credit would never hear of it; --set reinforcement.strategy=beam --set reinforcement.strategy_knobs.scorer={wanted} has one ask "
            "it, and reinforcement.credit=outcome needs none"
        )
    return checked


def checked_strategy(name: str, knobs: Mapping[str, Any], scorers: Iterable[str] = ()) -> dict[str, Any]:
    """The knobs of a strategy that `scheduler_for` is going to play, checked before anything is computed: names, types, ranges, and
    scorers and tools, to which `scorers` are added. RecipeError."""
    checked = checked_knobs(name, knobs)
    refuse_unknown(name, checked, {*SCORERS, OWN, *scorers}, TOOLS)
    return checked


def learner_for(policy: Policy, settings: Optimizer, steps: int) -> Learner:
    """A learner whose rate falls over `steps` steps."""
    return Learner(
        policy,
        lr=settings.lr,
        muon=settings.muon,
        warmup=settings.warmup,
        steps=steps,
        final=settings.final,
        clip=settings.clip,
        weight_decay=settings.weight_decay,
        micro_tokens=settings.micro_tokens,
    )


def method_of(settings: Reinforcement) -> PolicyGradient:
    """The row that a recipe names, with its knobs."""
    make = cast(Callable[..., PolicyGradient], rows[settings.method])
    return make(**check_knobs("learning method", settings.method, make, settings.knobs))


def preference_of(settings: Preferences) -> PreferenceRow:
    """The row that a recipe names, with its knobs."""
    make = preferences[settings.method]
    return make(**check_knobs("preference method", settings.method, make, settings.knobs))


def selector_of(settings: Imitation) -> Selector:
    """The row that a recipe names, with its knobs."""
    make = selectors[settings.select]
    return make(**check_knobs("selector", settings.select, make, settings.select_knobs))


def reference_of(settings: Preferences | Reinforcement) -> Reference:
    """The reference policy that a recipe names, with its knobs."""
    make = references[settings.reference]
    return make(**check_knobs("reference policy", settings.reference, make, settings.reference_knobs))


@dataclass
class Workshop:
    """What every turn needs: the recipe, where tasks come from, the verifier, and whom to tell."""

    recipe: Recipe
    source: Source
    verify: Verify
    tell: Tell
    history: History = field(default_factory=lambda: History(["all"]))
    notes: list[str] = field(default_factory=list)
    critics: Mapping[str, Scorer] = field(default_factory=dict)

    def imitate(self, learner: Learner, settings: Imitation, turn: int, costs: Costs) -> tuple[dict[str, Any], list[Trace]]:
        """Updates on demonstrations of training tasks, or on what a selector keeps of the policy's own completions."""
        objective = cast(PolicyGradient, cast(Callable[[], Any], rows["imitation"])())
        log: list[dict[str, float]] = []
        traces: list[Trace] = []
        for update in range(settings.updates):
            start = time.perf_counter()
            path = (self.recipe.seed, "turn", turn, "update", update)
            tasks = self.source.views(self.source.take("train", settings.tasks, *path, "tasks"), *path)
            drawn: dict[str, float] = {}
            if settings.samples:
                traces, paid, drawn = self.draw(learner, settings, tasks, path, costs)
                examples = selector_of(settings)(traces, paid, *path)
            else:
                examples = list(demonstrations(learner.policy, self.source, tasks, settings.knobs, *path))
            log.append({**self.learn(learner, examples, objective, costs), **drawn})
            self.told(turn, update, log[-1], sum(map(len, examples)), start)
        self.note(skipped(log))
        return summarise(log), traces

    def prefer(self, learner: Learner, settings: Preferences, turn: int, costs: Costs) -> tuple[dict[str, Any], list[Trace]]:
        """Updates on pairs of texts: those of the file, or those that the policy draws and the verifier judges."""
        row = preference_of(settings)
        log: list[dict[str, float]] = []
        traces: list[Trace] = []
        for update in range(settings.updates):
            start = time.perf_counter()
            path = (self.recipe.seed, "turn", turn, "update", update)
            tasks = self.source.views(self.source.take("train", settings.tasks, *path, "tasks"), *path)
            drawn: dict[str, float] = {}
            if settings.samples:
                traces, paid, drawn = self.draw(learner, settings, tasks, path, costs)
                given: Sequence[Unit] = pairs_of(traces, paid, *path, most=settings.pairs)
            else:
                given = given_units(learner.policy, self.source, tasks)
            units, objective = row.prepared(learner, given)
            log.append({**self.learn(learner, units, objective, costs), **drawn, "pairs": float(len(given))})
            self.told(turn, update, log[-1], sum(len(r) for u in units for r in u.rows), start)
        self.note(skipped(log))
        return summarise(log), traces

    def draw(
        self,
        learner: Learner,
        settings: Imitation | Preferences | Reinforcement,
        tasks: Sequence[Task],
        path: tuple[Part, ...],
        costs: Costs,
    ) -> tuple[list[Trace], Reward, dict[str, float]]:
        """Judged traces, what pays for them, and both in numbers."""
        scheduler = scheduler_for(learner.policy, costs.judging(self.verify), self.critics)
        traces = scheduler.run(
            strategies[settings.strategy], tasks, *path, knobs=settings.strategy_knobs, samples=settings.samples
        )
        costs.add_scheduler(scheduler)
        verdicts = [v for t in traces for v in t.verdicts]
        paid = with_abstentions(rewards[self.recipe.reward], abstentions[self.recipe.on_abstain], verdicts)
        judged = [r for row in rewards_of(traces, paid, *path) for r in row if not math.isnan(r)]
        numbers = {
            "reward": sum(judged) / max(len(judged), 1),
            "solved": sum(v.passed for v in verdicts) / max(len(verdicts), 1),
        }
        return traces, paid, {**numbers, **describe(traces)}

    def learn(self, learner: Learner, units: Sequence[Unit], objective: Objective, costs: Costs) -> dict[str, float]:
        """One update on the units, booked; none where there are none, as where nothing that was drawn is right."""
        start = time.perf_counter()
        with costs.clock("training", "learner_seconds"):
            metrics = learner.update(units, objective) if units else {"loss": 0.0, "grad_norm": 0.0}
        tokens = sum(len(r) for u in units for r in u.rows)
        costs.add("training", seconds=time.perf_counter() - start, trained_tokens=tokens)
        return metrics

    def note(self, text: str) -> None:
        """Say something about the turn that its record shall keep; nothing where the text is empty."""
        if text:
            self.notes.append(text)
            self.tell({"event": "note", "text": text})

    def told(self, turn: int, update: int, metrics: Mapping[str, float], tokens: int, start: float) -> None:
        """Say how an update went that began at `start`."""
        rate = tokens / (time.perf_counter() - start)
        shown = {name: metrics[name] for name in ("loss", "reward") if name in metrics}
        self.tell({"event": "update", "turn": turn, "update": update + 1, "tokens_per_second": rate, **shown})

    def reinforce(self, learner: Learner, settings: Reinforcement, turn: int, costs: Costs) -> tuple[dict[str, Any], list[Trace]]:
        """Draws on training tasks, and updates on their credited completions."""
        method = method_of(settings)
        log: list[dict[str, float]] = []
        drawn: list[dict[str, float]] = []
        apart: list[float] = []
        traces: list[Trace] = []
        for update in range(settings.updates):
            start = time.perf_counter()
            path = (self.recipe.seed, "turn", turn, "update", update)
            tasks, sources = self.planned(settings, *path)
            traces, paid, numbers = self.draw(learner, settings, tasks, path, costs)
            middle = time.perf_counter()
            written = self.written(learner.policy, tasks, settings.demonstrations, *path)
            steps = learn_from(traces, learner, method, paid, settings, path, costs, written)
            log += steps
            apart += [step.get("ratio_off", 0.0) for step in steps[:1]]
            drawn.append({**numbers, **self.noted(traces, sources, paid, *path)})
            trained = sum(len(c.prefix) + len(c.tokens) for t in traces for c in t.completions)
            costs.add("training", seconds=time.perf_counter() - middle, trained_tokens=trained)
            self.told(turn, update, {"reward": log[-1]["reward"]}, sum(t.cost.sampled_tokens for t in traces), start)
        if apart and (share := sum(apart) / len(apart)) > APART:
            self.note(
                f"the sampler and the learner disagree: {share:.0%} of the tokens that a draw's first step learned from have a probability "
                "that is more than a fifth off the one they were drawn with. Does the engine sample from the weights that learn?"
            )
        self.note(skipped(log))
        return {**summarise(drawn), **summarise(log)}, traces

    def planned(self, settings: Reinforcement, *path: Part) -> tuple[list[Task], dict[str, str]]:
        """The tasks of an update, and the source of each by its key, where there are several."""
        if not isinstance(self.source, Mixture):
            return self.source.views(self.source.take("train", settings.tasks, *path, "tasks"), *path), {}
        shares = curriculum_of(settings)(self.history)
        choice = [choose(shares, *path, "source", i) for i in range(settings.tasks)]
        found = self.source.take_by(choice, "train", *path, "tasks")
        tasks = [t for own in found.values() for t in own]
        rng(*path, "order").shuffle(tasks)  # steps on shares of a draw see every source
        return self.source.views(tasks, *path), {t.key: name for name, own in found.items() for t in own}

    def noted(self, traces: Sequence[Trace], sources: Mapping[str, str], paid: Reward, *path: Part) -> dict[str, float]:
        """What came of each source goes into the history; the share of the tasks that each gave."""
        if not sources:
            return {}
        keys = dict.fromkeys(t.task.key for t in traces)
        for key, row in zip(keys, rewards_of(traces, paid, *path), strict=True):
            self.history.add(sources[key], row)
        given = list(sources.values())
        return {f"share {name}": given.count(name) / len(given) for name in self.history.sources}

    def written(self, policy: Policy, tasks: Sequence[Task], n: int, *path: Part) -> dict[str, list[Example]]:
        """`n` demonstrations of each task that has some, by its key; their advantage is a right answer's reward."""
        return {
            t.key: [e for i in range(n) for e in demonstrations(policy, self.source, [t], {}, *path, "demonstration", i)]
            for t in (tasks if n else ())
        }


def anchor(learner: Learner, phase: str, settings: Any) -> None:
    """Give the learner the reference that a phase's method needs, as the policy is now; none where it needs none."""
    if WORK[phase].anchored(settings):
        kind = reference_of(settings)
        learner.reference, learner.follow = kind.begin(learner.policy.model), kind.follow


def history_of(source: Source) -> History:
    """Of the variants that a source has, nothing drawn yet."""
    return History(list(source.variants) if isinstance(source, Mixture) else ["all"])


def curriculum_of(settings: Reinforcement) -> Callable[[History], Mapping[str, float]]:
    """The curriculum that a recipe names, with its knobs."""
    make = curricula[settings.curriculum]
    return partial(make, **check_knobs("curriculum", settings.curriculum, make, settings.curriculum_knobs))


def demonstrations(
    policy: Policy, source: Source, tasks: Sequence[Task], knobs: Mapping[str, Any], *path: Part
) -> Iterator[Example]:
    """Examples to imitate, from the tasks that have a demonstration."""
    demonstrate = source.family.demonstrate
    assert demonstrate is not None
    for task in tasks:
        text = demonstrate(rng(*path, task.key), task, **knobs)
        if text is not None:
            prefix = policy.encode(task.prompt)
            yield Example(prefix, (*policy.tokenizer.encode(text), policy.tokenizer.end_id))


def given_units(policy: Policy, source: Source, tasks: Sequence[Task]) -> list[Unit]:
    """What the file gives: pairs, or single texts that are wanted or not."""
    assert source.family.written is not None
    units = list[Unit]()
    for task in tasks:
        examples = written_examples(policy, task.prompt, source.family.written(task))
        sign = 1.0 if task.facts.get("wanted", True) else -1.0
        units.append(Pair(*examples) if len(examples) == 2 else replace(examples[0], advantage=sign))
    return units


def learn_from(
    traces: Sequence[Trace],
    learner: Learner,
    method: PolicyGradient,
    reward: Reward,
    settings: Reinforcement,
    path: tuple[Part, ...],
    costs: Costs,
    written: Mapping[str, Sequence[Example]],
) -> list[dict[str, float]]:
    """`steps_per_draw` optimizer steps, each on an equal share of the tasks, with the demonstrations that there are of them."""
    keys = list(dict.fromkeys(t.task.key for t in traces))
    share_of = {key: i * settings.steps_per_draw // len(keys) for i, key in enumerate(keys)}
    log: list[dict[str, float]] = []
    for share in range(settings.steps_per_draw):
        mine = [t for t in traces if share_of[t.task.key] == share]
        if not mine:
            continue  # a collection with fewer tasks than shares
        values = rewards_of(mine, reward, *path)
        learned = values
        if method.skip_even_groups:
            learned = [row if uneven(row) else [math.nan] * len(row) for row in values]
        examples = credits[settings.credit](mine, learned, method.advantage, learner.policy.tokenizer, **settings.credit_knobs)
        examples += [e for key in keys if share_of[key] == share for e in written.get(key, ())]
        with costs.clock("training", "learner_seconds"):
            metrics = learner.update(examples, method) if examples else {"loss": 0.0, "grad_norm": 0.0}
        solved = [v.passed for t in mine for v in t.verdicts]
        judged = [v for row in values for v in row if not math.isnan(v)]
        metrics["reward"] = sum(judged) / len(judged) if judged else 0.0
        metrics["solved"] = sum(solved) / len(solved) if solved else 0.0
        log.append(metrics)
    return log


@dataclass(frozen=True)
class Phase:
    """How a turn of a phase is worked, and whether its settings need a reference policy."""

    work: Callable[[Workshop, Learner, Any, int, Costs], tuple[dict[str, Any], list[Trace]]]
    anchored: Callable[[Any], bool] = lambda settings: False


WORK = {
    "imitation": Phase(Workshop.imitate),
    "preferences": Phase(Workshop.prefer, lambda settings: preference_of(settings).reference),
    "reinforcement": Phase(Workshop.reinforce, lambda settings: method_of(settings).beta > 0),
}


def uneven(rewards: Sequence[float]) -> bool:
    """Whether a group has rewards that differ; NaN is none."""
    return len({r for r in rewards if not math.isnan(r)}) > 1


def summarise(log: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The mean of every metric over a turn's updates."""
    names = dict.fromkeys(name for entry in log for name in entry)
    return {name: sum(e.get(name, 0.0) for e in log) / len(log) for name in names}


def skipped(log: Sequence[Mapping[str, float]]) -> str:
    """One sentence about the updates that took no step, and why; empty where all did."""
    without = [entry for entry in log if entry.get("skipped")]
    if not without:
        return ""
    lost = sum(not math.isfinite(entry["loss"]) for entry in without)
    why = " and ".join(
        f"{what} was not finite in {n}" for n, what in ((lost, "the loss"), (len(without) - lost, "the gradient alone")) if n
    )
    return (
        f"{len(without)} of {len(log)} updates of this turn were skipped and taught nothing: {why}; look at the method's knobs, or lower "
        "the learning rate"
    )


def describe(traces: Sequence[Trace]) -> dict[str, float]:
    """Mean length, shares of stop reasons, of abstentions and (where there are any) of searches that were cut short, and the mean
    negative log-probability of what was drawn."""
    drawn = [c for t in traces for c in t.completions]
    verdicts = [v for t in traces for v in t.verdicts]
    tokens = sum(len(c.tokens) for c in drawn)
    cut = sum(bool(t.cut) for t in traces)
    return {
        "mean_tokens": tokens / max(len(drawn), 1),
        **({"cut_short": cut / len(traces)} if cut else {}),
        **{f"stop_{reason}": sum(c.stop == reason for c in drawn) / max(len(drawn), 1) for reason in ("end", "stop", "length")},
        "abstained": sum(v.outcome == "abstain" for v in verdicts) / max(len(verdicts), 1),
        "entropy": -sum(sum(c.logprobs) for c in drawn) / max(tokens, 1),
    }


# ---- weights in and out of a policy ------------------------------------------------------------------------------

Weights = dict[str, torch.Tensor]


def snapshot(policy: Policy) -> Weights:
    """A copy of the weights; tied ones once."""
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


@torch.no_grad()
def restore(policy: Policy, weights: Weights) -> None:
    """Put weights back, bit for bit."""
    for name, p in policy.model.named_parameters():
        p.copy_(weights[name])
