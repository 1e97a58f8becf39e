"""A run: its turns, gates and checkpoints. It can be killed at any moment and resumed to the same weights.

Every turn is a function of the last checkpoint and of hashed seed paths. A checkpoint is written beside its place and
renamed; only then does the journal say that the turn is done. What was under way at a kill is done again, the same.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from ratchet.core.errors import EngineError, RecipeError, StoreError, TaskError, VerifierError
from ratchet.core.files import locked, write_text
from ratchet.core.journal import Journal
from ratchet.core.registry import check_knobs
from ratchet.core.types import Split, Task
from ratchet.learn.policy import rows
from ratchet.learn.references import NO_ADAPTERS
from ratchet.learn.rewards import abstentions, rewards
from ratchet.learn.train import Learner
from ratchet.loop import measuring
from ratchet.loop.evidence import EVIDENCE, TEXTS
from ratchet.loop.gate import Decision, Look, detectable, look
from ratchet.loop.recipe import MEANING, Preferences, Recipe, Reinforcement, Step, from_json, plan, recipe_hash, to_json
from ratchet.loop.rehearsal import rehearse
from ratchet.loop.store import (
    digest_of_model,
    digest_of_weights,
    holds_run,
    load_checkpoint,
    save_checkpoint,
    write_folder,
    write_traces,
)
from ratchet.loop.turn import (
    WORK,
    Costs,
    Tell,
    Weights,
    Workshop,
    anchor,
    checked_credit,
    checked_strategy,
    critic_folders,
    critics_of,
    history_of,
    learner_for,
    method_of,
    preference_of,
    reference_of,
    restore,
    selector_of,
    snapshot,
)
from ratchet.measure.estimate import mean
from ratchet.measure.verifier_audit import Audit, audit
from ratchet.models import llama, machine
from ratchet.models.engine import Policy
from ratchet.models.load import load_policy, new_policy
from ratchet.models.lora import add_adapter, apart
from ratchet.models.tokens import WordTokenizer, reasoning_words, words_of
from ratchet.tasks.family import Source, source_of
from ratchet.verify.attacks import attacked, must_pass, nearly
from ratchet.verify.pool import VerifierPool
from ratchet.verify.verifier import verifiers

CHECKPOINTS_KEPT = 2
AUDITED = 50  # tasks
TRACES_KEPT = 64  # of a turn's last update


# ---- the three ways in -------------------------------------------------------------------------------------------


def begin(recipe: Recipe, folder: Path, tell: Tell) -> dict[str, Any]:
    """A new run in an empty or absent folder; the summary. StoreError where a run is there already."""
    refuse_seeds(folder)
    with locked(folder):
        if holds_run(folder):
            done = (folder / "summary.json").exists()
            what = "holds a finished run" if done else f"holds an unfinished run; `ratchet resume {folder}` goes on with it"
            raise StoreError(f"{folder} {what}; for a new run choose another folder with --out")
        source = checked_source(recipe)
        audits = audited(recipe, source) if recipe.require_audit else []
        run = Run(recipe, folder, source, tell)
        write_text(folder / "recipe.json", json.dumps(to_json(recipe), indent=2) + "\n")
        for found in audits:
            run.journal.append("audit", **asdict(found))
            tell({"event": "note", "text": found.sentence})
        return run.play()


def resume(folder: Path, tell: Tell) -> dict[str, Any]:
    """Go on with a run from its last checkpoint; the summary."""
    refuse_seeds(folder)
    file = folder / "recipe.json"
    if not file.exists():
        raise StoreError(f"{folder} holds no run (no recipe.json in it); start one with `ratchet run RECIPE --out {folder}`")
    with locked(folder):
        recipe = read_recipe(file)
        return Run(recipe, folder, checked_source(recipe), tell).play()


def refuse_seeds(folder: Path) -> None:
    """StoreError where the folder holds the folders of several seeds (loop/seeds.py): it is not a run's own."""
    if any(folder.glob("seed-*/recipe.json")):
        raise StoreError(
            f"{folder} holds a run of several seeds; the same `ratchet run RECIPE --seeds N` goes on with all of them, "
            f"`ratchet resume {folder}/seed-S` with one; for a single run choose another folder with --out"
        )


def read_recipe(file: Path) -> Recipe:
    """The resolved recipe of a run's record."""
    try:
        return from_json(json.loads(file.read_text()), str(file))
    except (OSError, ValueError) as e:
        raise RecipeError(f"{file} is not a recipe: {e}") from None


def check_names(recipe: Recipe) -> None:
    """Every name and knob in the recipe is one that is registered."""
    rewards.entry(recipe.reward)
    abstentions.entry(recipe.on_abstain)
    if recipe.imitation is not None:
        selector_of(recipe.imitation)
    if recipe.preferences is not None:
        preference_of(recipe.preferences)
        check_reference(recipe, recipe.preferences)
        if recipe.preferences.samples == 1:
            raise RecipeError(
                "preferences.samples=1 can make no pair of a right and a wrong answer; it takes 2 or more, or 0 for a file"
            )
    critics = critic_folders(recipe)
    for drawing in (recipe.imitation, recipe.preferences):
        if drawing is not None:
            checked_strategy(drawing.strategy, drawing.strategy_knobs, critics)
    r = recipe.reinforcement
    if r is None:
        return
    method = method_of(r)
    check_reference(recipe, r)
    if r.curriculum != "uniform" and not recipe.tasks.sources:
        raise RecipeError(
            f"reinforcement.curriculum={r.curriculum} chooses among tasks.sources, and there are none; name some, easy ones first, such as "
            "--set tasks.sources.easy.numbers=[3] --set tasks.sources.hard.numbers=[4]"
        )
    if method.demonstrations and not r.demonstrations:
        raise RecipeError(f"reinforcement.method={r.method} learns from demonstrations too; --set reinforcement.demonstrations=1")
    if r.reference != "frozen" and not WORK["reinforcement"].anchored(r):
        raise RecipeError(
            f"reinforcement.reference={r.reference}, but {r.method} compares with none here; "
            "--set reinforcement.knobs.beta=0.01 anchors a method that can be"
        )
    if r.demonstrations and not method.demonstrations:
        learn = ", ".join(e.name for e in rows if method_of(replace(r, method=e.name, knobs={})).demonstrations)
        raise RecipeError(
            f"reinforcement.method={r.method} learns from what was drawn alone; with demonstrations take one of {learn}"
        )
    checked_strategy(r.strategy, r.strategy_knobs, critics)
    checked_credit(r, critics)
    rehearse(recipe, r, method)
    if r.strategy_knobs.get("temperature", 1.0) != 1.0 or r.strategy_knobs.get("top_p", 1.0) != 1.0:
        raise RecipeError(
            "reinforcement.strategy_knobs: training samples at temperature 1 and top_p 1, since the importance ratio compares "
            f"the policy with what it drew; got {dict(r.strategy_knobs)}"
        )


def check_reference(recipe: Recipe, settings: Preferences | Reinforcement) -> None:
    """The reference is one that is registered, and the model will have the adapters that it needs. RecipeError."""
    if reference_of(settings).adapters and recipe.adapter is None:
        raise RecipeError(NO_ADAPTERS)


def checked_source(recipe: Recipe) -> Source:
    """The tasks, with everything checked that can be before any work is done."""
    source = source_of(recipe.tasks.family, recipe.tasks.path, recipe.tasks.knobs, recipe.tasks.sources)
    check_names(recipe)
    if recipe.imitation is not None and not recipe.imitation.samples:
        if source.family.demonstrate is None:
            raise RecipeError(
                f'task family "{recipe.tasks.family}" has no demonstrations to imitate; --set imitation=none leaves it out, --set '
                "imitation.samples=8 has the model imitate its own right answers"
            )
        check_knobs("demonstration of", recipe.tasks.family, source.family.demonstrate, recipe.imitation.knobs)
    check_texts(recipe, source)
    splits: tuple[Split, ...] = ("train", "validation", "heldout")
    for split in splits:
        source.take(split, len(recipe.tasks.sources) or 1, "check")
    check_golds(recipe, source)
    if recipe.reinforcement is not None and recipe.reinforcement.demonstrations and source.family.demonstrate is None:
        raise RecipeError(f'task family "{recipe.tasks.family}" has no demonstrations; --set reinforcement.demonstrations=0')
    return source


def check_texts(recipe: Recipe, source: Source) -> None:
    """The tasks give the texts that the recipe wants to learn from, or to go by. RecipeError where they do not."""
    family = source.family
    texts = 0 if family.written is None else min((len(family.written(t)) for t in source.tasks or ()), default=0)
    p = recipe.preferences
    wanted = 0 if p is None or p.samples else 1 if preference_of(p).singles else 2
    if p is not None and texts < wanted:
        raise RecipeError(
            f'task family "{source.name}" gives {texts} texts for each task, and {p.method} learns from {wanted}; '
            "--set tasks.family=preferences reads pairs from a file, or --set preferences.samples=8 draws them and has the verifier "
            "judge them"
        )
    if texts < TEXTS.get(recipe.evidence, 0):
        raise RecipeError(
            f'evidence={recipe.evidence} needs {TEXTS[recipe.evidence]} given texts for each task, and task family "{source.name}" '
            f"gives {texts}; --set evidence=samples goes by what its verifier says of the model's own"
        )


# ---- the run -----------------------------------------------------------------------------------------------------


class Run:
    """The state between turns: policy, learner, champion. Use `begin` and `resume`."""

    def __init__(self, recipe: Recipe, folder: Path, source: Source, tell: Tell) -> None:
        # what is done between two entries of the journal, such as loading or writing a stage, counts for the later one
        self.costs, self.since = Costs(), time.perf_counter()
        self.recipe, self.folder, self.source, self.tell = recipe, folder, source, tell
        self.journal = Journal(folder / "journal.jsonl")
        self.steps = plan(recipe)
        self.history = history_of(source)
        begun = self.journal.of("start")
        # threads decide the order of sums, precision their rounding: a resumed run takes those that it began with
        machine.prepare(begun[0]["threads"] if begun else recipe.threads)
        auto = "bfloat16" if machine.fast_bf16() else "float32"
        self.precision: str = begun[0]["precision"] if begun else auto if recipe.precision == "auto" else recipe.precision
        self.policy = make_policy(recipe, source, bf16=self.precision == "bfloat16")
        check_prompts(self.policy, source)
        self.critics = critics_of(recipe, self.policy, source)
        self.champion: Weights = snapshot(self.policy)
        self.learner: Learner | None = None

    def play(self) -> dict[str, Any]:
        finished = self.folder / "summary.json"
        if self.journal.of("done") and finished.exists():
            with suppress(ValueError):  # a damaged summary is written anew
                summary = json.loads(finished.read_text())
                self.tell({"event": "already done"})
                return summary
        begun = self.journal.of("start")
        if not begun:
            self.journal.append(
                "start",
                threads=torch.get_num_threads(),
                precision=self.precision,
                recipe_hash=recipe_hash(self.recipe),
                versions=versions(),
                critics=self._critics(),
            )
        elif begun[0]["recipe_hash"] != recipe_hash(self.recipe):
            raise StoreError(
                f"{self.folder / 'recipe.json'} was changed after the run began with it; put it back, or start a new run "
                f"with `ratchet run {self.folder / 'recipe.json'} --out ANOTHER`"
            )
        elif begun[0].get("critics", {}) != self._critics():
            raise StoreError(f"a critic of {self.folder / 'recipe.json'} was changed after the run began with it; put it back")
        done = self._restore()
        self.tell({"event": "start", "turns": len(self.steps), "done": done, "folder": str(self.folder), "recipe": self.recipe.name,
                   "parameters": sum(p.numel() for p in self.policy.model.parameters()), "detectable": self._detectable()})  # fmt: skip
        if self.recipe.evidence in MEANING:
            self.tell({"event": "note", "text": MEANING[self.recipe.evidence]})
        with VerifierPool(self.recipe.deadline) as verify:
            workshop = Workshop(self.recipe, self.source, verify, self.tell, self.history, critics=self.critics)
            self._save_stage("0-start", done == 0)
            for step in self.steps[done:]:
                self._turn(step, workshop)
            return self._finish(verify)

    def _critics(self) -> dict[str, str]:
        """The digest of each critic's folder: names stay where what they name changes."""
        return {name: digest_of_model(folder) for name, folder in critic_folders(self.recipe).items()}

    def _detectable(self) -> dict[str, Any]:
        """What the gate and the held-out look can show, known before any work."""
        there = lambda split: math.inf if self.source.tasks is None else sum(t.split == split for t in self.source.tasks)
        gate, held = self.recipe.gate, self.recipe.measure
        tasks, last = (int(min(n, there(split))) for n, split in ((gate.tasks, "validation"), (held.tasks, "heldout")))
        # of probabilities of given texts the spread is not known beforehand
        sampled = self.recipe.evidence == "samples"
        known = lambda n, *more, **settings: detectable(n, *more, **settings) if n > 1 and sampled else None
        return {
            "gate": {"tasks": tasks, "samples": gate.samples,
                     "gain": known(tasks, gate.samples, error=gate.error, looks=len(self.steps))},
            "held-out look": {"tasks": last, "samples": held.samples, "gain": known(last, held.samples, error=0.025)},
        }  # fmt: skip

    # -- one turn --

    def _turn(self, step: Step, workshop: Workshop) -> None:
        costs = self.costs
        settings = getattr(self.recipe, step.phase)
        if step.first:
            self._begin_phase(step, settings)
        assert self.learner is not None
        workshop.notes.clear()
        metrics, traces = WORK[step.phase].work(workshop, self.learner, settings, step.turn, costs)
        with costs.clock("gate"):
            decision, pass_at_1 = self._gate(step, workshop, costs)
        if decision.decision is Decision.PROMOTE:
            self.champion = snapshot(self.policy)
        elif decision.decision is Decision.ROLL_BACK:
            self._roll_back(step, settings)
        with costs.clock("saving"):
            if traces:
                write_traces(self.folder / "traces" / f"turn-{step.turn:04d}.jsonl.gz", traces[:TRACES_KEPT])
            self._checkpoint(step)
        start, self.since = self.since, time.perf_counter()
        entry = {
            "turn": step.turn,
            "phase": step.phase,
            "metrics": metrics,
            "pass_at_1": pass_at_1,
            "decision": str(decision.decision),
            "reason": decision.reason,
            "interval": asdict(decision.difference),
            "lr": self.learner.lr * self.learner.rate(),
            "cost": costs.json(),
            "seconds": self.since - start,
            "notes": list(workshop.notes),
        }
        self.costs = Costs()
        self.journal.append("turn", **entry)
        self._drop_old_checkpoints(step.turn)
        self.tell({"event": "turn", **entry})
        if step.last:
            self._save_stage(stage_name(step), True)

    def _begin_phase(self, step: Step, settings: Any) -> None:
        """A phase starts from the champion, with an optimizer of its own."""
        restore(self.policy, self.champion)
        self.learner = learner_for(self.policy, settings.optimizer, self._updates(step.phase))
        anchor(self.learner, step.phase, settings)

    def _updates(self, phase: str) -> int:
        settings = getattr(self.recipe, phase)
        return settings.turns * settings.updates * getattr(settings, "steps_per_draw", 1)

    def _gate(self, step: Step, workshop: Workshop, costs: Costs) -> tuple[Look, dict[str, Any]]:
        """Champion and challenger on fresh validation tasks, sampled with the same seeds."""
        g = self.recipe.gate
        tasks = self.source.take("validation", g.tasks, self.recipe.seed, "gate", step.turn)
        challenger = snapshot(self.policy)
        values: list[list[float]] = []
        path = (self.recipe.seed, "gate", step.turn)
        for weights in (self.champion, challenger):
            restore(self.policy, weights)
            evidence = EVIDENCE[self.recipe.evidence]
            record, _ = evidence(self.policy, workshop.verify, self.source, tasks, path, g.samples, costs, "gate")
            rows = {r.key: r for r in record.rows}
            # a task whose every sample the verifier could not judge says nothing for either side
            values.append([rows[t.key].passes / rows[t.key].n if rows[t.key].n else float("nan") for t in tasks])
        judged = [i for i in range(len(tasks)) if values[0][i] == values[0][i] and values[1][i] == values[1][i]]
        if not judged:
            raise VerifierError("the verifier abstained on every validation task; look at it with `ratchet tasks check`")
        first, second = ([v[i] for i in judged] for v in values)
        clusters = [tasks[i].cluster or tasks[i].key for i in judged]
        decision = look(first, second, clusters, error=g.error, looks=len(self.steps))
        return decision, {"champion": asdict(mean(first, clusters)), "challenger": asdict(mean(second, clusters))}

    def _roll_back(self, step: Step, settings: Any) -> None:
        """Back to the champion, with a fresh optimizer, a new warm-up and a lower rate. A reference that followed the policy which was
        rejected begins anew from the champion."""
        assert self.learner is not None
        old = self.learner
        restore(self.policy, self.champion)
        self.learner = learner_for(self.policy, settings.optimizer, old.steps)
        self.learner.slowed = old.slowed * self.recipe.gate.slow_down
        self.learner.taken = self.learner.warm_from = old.taken
        if old.follow is None:
            self.learner.reference = old.reference
        else:
            anchor(self.learner, step.phase, settings)

    # -- checkpoints --

    def _checkpoint(self, step: Step) -> None:
        assert self.learner is not None
        state = self.learner.state()
        groups = {"policy": snapshot(self.policy), "champion": self.champion, "optimizer": state.pop("tensors")}
        if self.learner.reference is not None:
            groups["reference"] = {str(i): p.detach() for i, p in enumerate(apart(self.learner.reference))}
        save_checkpoint(
            self._checkpoint_folder(step.turn), groups, {"turn": step.turn, "learner": state, "history": self.history.groups}
        )

    def _checkpoint_folder(self, turn: int) -> Path:
        return self.folder / "checkpoints" / f"turn-{turn:04d}"

    def _drop_old_checkpoints(self, turn: int) -> None:
        import shutil

        shutil.rmtree(self._checkpoint_folder(turn - CHECKPOINTS_KEPT), ignore_errors=True)

    def _restore(self) -> int:
        """Load the last whole checkpoint that the journal knows; the number of turns done."""
        for turn in sorted({e["turn"] for e in self.journal.of("turn")}, reverse=True):
            folder = self._checkpoint_folder(turn)
            if not folder.exists():
                continue
            try:
                groups, state = load_checkpoint(folder, str(next(self.policy.model.parameters()).device))
            except StoreError as e:
                self.tell({"event": "note", "text": f"{e}; going back to the checkpoint before it"})
                continue
            self._load(self.steps[turn], groups, state)
            return turn + 1
        if self.journal.of("turn"):
            self.tell({"event": "note", "text": "no whole checkpoint is left; starting again from the first turn"})
        return 0

    def _load(self, step: Step, groups: dict[str, Weights], state: dict[str, Any]) -> None:
        settings = getattr(self.recipe, step.phase)
        self.champion = groups["champion"]
        self.history.groups = state["history"]
        self.learner = learner_for(self.policy, settings.optimizer, self._updates(step.phase))
        restore(self.policy, groups["policy"])
        anchor(self.learner, step.phase, settings)
        if self.learner.reference is not None:
            with torch.no_grad():
                for i, p in enumerate(apart(self.learner.reference)):
                    p.copy_(groups["reference"][str(i)])
        self.learner.load_state(groups["optimizer"], **state["learner"])
        if step.last:
            restore(self.policy, self.champion)
            self._save_stage(stage_name(step), True)  # a kill may have come before it was written
            restore(self.policy, groups["policy"])

    # -- stages: the champion at the start and after each phase --

    def _stage_folder(self, name: str) -> Path:
        return self.folder / "stages" / name

    def _save_stage(self, name: str, wanted: bool) -> None:
        if wanted:
            with self.costs.clock("saving"):
                now = snapshot(self.policy)
                restore(self.policy, self.champion)
                write_folder(self._stage_folder(name), self.policy.save)
                self.journal.append("stage", name=name, digest=digest_of_weights(self._stage_folder(name)))
                restore(self.policy, now)

    def _stage_policy(self, name: str) -> Policy:
        """The model of a stage, as it would be used. Raises StoreError where its weights are not those that were written."""
        folder = self._stage_folder(name)
        known = [e["digest"] for e in self.journal.of("stage") if e["name"] == name]
        if not known or not folder.is_dir() or digest_of_weights(folder) != known[-1]:
            raise StoreError(f"{folder} is damaged; nothing can be measured against it. Start a new run with the same recipe")
        return load_policy(str(folder), self.recipe.max_tokens, self.recipe.batch, self.precision == "bfloat16")

    # -- the end --

    def _finish(self, verify: VerifierPool) -> dict[str, Any]:
        """The held-out look, the summary and the delivered model."""
        self.tell({"event": "measuring"})
        costs = self.costs
        with costs.clock("measuring"):
            tasks = measuring.heldout_tasks(self.recipe, self.source)
        names = ["0-start", *(stage_name(s) for s in self.steps if s.last)]
        records, stages = [], []
        for name in names:
            with costs.clock("measuring"):
                record, traces = measuring.look_at_heldout(
                    self._stage_policy(name), verify, self.recipe, self.source, tasks, costs
                )
                numbers = measuring.stage_result(name, record, traces, self.recipe)
            records.append(record)
            stages.append(numbers)
            kept = [t for t in traces if t.sample < self.recipe.measure.samples]
            if kept:
                with costs.clock("saving"):
                    write_traces(self.folder / "traces" / f"heldout-{name}.jsonl.gz", kept)
            self.tell({"event": "measured", **numbers})
        before, after = records[-2], records[-1]
        with costs.clock("saving"):
            for name, record in (("before", before), ("after", after)):
                write_text(self.folder / "records" / f"{name}.json", json.dumps(asdict(record)) + "\n")
            restore(self.policy, self.champion)
            write_folder(self.folder / "model", self.policy.save)
        with costs.clock("measuring"):
            compared = {
                "difference": measuring.estimate_json(measuring.compare(before, after)),
                "pass_at_k": {
                    "before": stages[-2]["pass_at_k"],
                    "after": stages[-1]["pass_at_k"],
                    "difference": measuring.coverage_change(before, after, self.recipe),
                },
                "baselines": measuring.baselines(self.source, tasks, costs.judging(verify), after),
                "shared_keys": measuring.shared_keys(self.recipe, self.source, tasks),
            }
        turns = list({e["turn"]: e for e in self.journal.of("turn")}.values())
        for entry in turns:
            costs.add_json(entry["cost"])
        summary = {
            "recipe": self.recipe.name,
            "recipe_hash": recipe_hash(self.recipe),
            "seed": self.recipe.seed,
            "stages": stages,
            "before": stages[-2]["pass_at_1"],
            "after": stages[-1]["pass_at_1"],
            **compared,
            "gates": [gate_json(e) for e in turns],
            "notes": [{"turn": e["turn"], "text": text} for e in turns for text in e.get("notes", ())],
            "promoted": any(e["decision"] == Decision.PROMOTE for e in turns),
            "cost": costs.json(),
            "seconds": sum(e["seconds"] for e in turns) + time.perf_counter() - self.since,
            "versions": versions(),
            "threads": torch.get_num_threads(),
            "precision": self.precision,
        }
        write_text(self.folder / "summary.json", json.dumps(summary, indent=2) + "\n")
        self.journal.append("done", seconds=summary["seconds"])
        return summary


def check_golds(recipe: Recipe, source: Source) -> None:
    """The gold answers of a collection's tasks pass their own verifier; TaskError names one that does not (200 are tried)."""
    if source.tasks is None:
        return
    tasks = source.take("train", 200, "check golds")
    known = [t for t in tasks if t.verifier in verifiers]  # a user's own verifier may want another form than ours
    with VerifierPool(recipe.deadline) as verify:
        golds = [(t, text) for t in known if (text := source.family.gold(t)) is not None]
        verdicts = verify(golds)
    for (task, _), verdict in zip(golds, verdicts, strict=True):
        if not verdict.passed:
            raise TaskError(
                f"{source.path}: the answer {task.answer!r} of {task.prompt[:60]!r} does not pass its own verifier "
                f'"{task.verifier}": {verdict.evidence}; nothing could be learned from it (`ratchet tasks check` lists all such)'
            )


def audited(recipe: Recipe, source: Source) -> list[Audit]:
    """What each verifier of the training tasks makes of their gold answers, rewrites and attacks. VerifierError where one of them
    cannot be trusted with a reward."""
    by_verifier: dict[str, list[Task]] = {}
    for task in source.take("train", AUDITED, "audit"):
        by_verifier.setdefault(task.verifier, []).append(task)
    with VerifierPool(recipe.deadline) as verify:
        found = [audit(tasks, source.family.gold, verify, must_pass, nearly, attacked) for tasks in by_verifier.values()]
    for one in found:
        if one.faults:
            raise VerifierError(
                f'the run does not begin, since it requires an audit and verifier "{one.verifier}" does not come through on '
                f"{one.tasks} of its training tasks: {'; '.join(one.faults)}; mend it (`ratchet verify audit` shows the texts), or "
                "take another"
            )
    return found


def check_prompts(policy: Policy, source: Source) -> None:
    """Every prompt of a collection can be read by the model and leaves room to answer, and every text given with it fits;
    EngineError names one that does not."""
    context = getattr(policy, "context", None) or policy.model.shape.max_tokens
    written = source.family.written
    for task in source.tasks or ():
        length = len(policy.encode(task.prompt))
        if not 0 < length < context:
            raise EngineError(
                f"task {task.key} has a prompt of {length} tokens, the model's context is {context}: "
                f"{task.prompt[:80]!r}; shorten it or leave it out"
            )
        longest = max((len(policy.tokenizer.encode(text)) + 1 for text in written(task)), default=0) if written else 0
        if length + longest > context:
            raise EngineError(
                f"a prompt and its text take {length + longest} tokens, the model's context is {context}: "
                f"{task.prompt[:80]!r}; shorten them or leave the row out"
            )


def stage_name(step: Step) -> str:
    return f"{1 if step.phase == 'imitation' else 2}-{step.phase}"


def gate_json(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "turn": entry["turn"],
        "phase": entry["phase"],
        "accepted": entry["decision"] == Decision.PROMOTE,
        "decision": entry["decision"],
        "reason": entry["reason"],
        "interval": entry["interval"],
    }


def make_policy(recipe: Recipe, source: Source, bf16: bool = False) -> Policy:
    """The model that the run starts from, with the adapter that is trained in the place of its weights, where one is asked for."""
    policy = new_or_loaded(recipe, source, bf16)
    if recipe.adapter is None and not recipe.checkpointing:
        return policy
    if not isinstance(policy.model, llama.Llama):
        raise RecipeError(
            f"adapters and checkpointing are for models that are computed here ({', '.join(llama.ARCHITECTURES)}), and transformers "
            "computes this one; --set adapter=none --set checkpointing=false trains all of it"
        )
    if recipe.adapter is not None:
        add_adapter(policy.model, rank=recipe.adapter.rank, alpha=recipe.adapter.alpha, run_seed=recipe.seed)
    policy.model.checkpointing = recipe.checkpointing
    return policy


def new_or_loaded(recipe: Recipe, source: Source, bf16: bool) -> Policy:
    if recipe.model != "new":
        return load_policy(recipe.model, recipe.max_tokens, recipe.batch, bf16)
    n = recipe.new
    if n.width % n.heads or (n.width // n.heads) % 2:
        raise RecipeError(f"new.width / new.heads must be an even whole number, got {n.width} / {n.heads}")
    tokenizer = WordTokenizer(reasoning_words()) if n.words == "reasoning" else corpus_tokenizer(source)
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=n.width, layers=n.layers, heads=n.heads, kv_heads=n.heads,
        head_width=n.width // n.heads, hidden=n.hidden, max_tokens=n.context,
    )  # fmt: skip
    return new_policy(shape, tokenizer, recipe.seed, recipe.max_tokens, recipe.batch, bf16)


def corpus_tokenizer(source: Source) -> WordTokenizer:
    """The words of the training prompts and demonstrations; held-out words stay unknown."""
    from ratchet.core.seeds import rng

    demonstrate: Callable[..., str | None] | None = source.family.demonstrate
    texts: list[str] = []
    for task in source.take("train", 10_000, "vocabulary"):
        texts.append(task.prompt)
        if demonstrate is not None:
            texts.append(demonstrate(rng("vocabulary", task.key), task) or "")
    return WordTokenizer(words_of(texts), strict=False)


def versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("ratchet", "torch", "numpy", "scipy", "safetensors", "tokenizers")
    return {"python": platform.python_version(), "system": platform.platform(terse=True), **{n: version(n) for n in names}}
