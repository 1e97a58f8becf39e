"""Recipes: functions that return the complete, typed description of a run, and typed overrides of single values."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ratchet.core.errors import RecipeError, nearest
from ratchet.core.registry import Registry


@dataclass(frozen=True)
class Tasks:
    """Where tasks come from: a family, its knobs, and the file or folder of a family that reads one. `sources` are variants of it,
    easy ones first: a name, and knobs of its own. The gate and the held-out look take as many tasks of each."""

    family: str = "countdown"
    path: str = ""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewModel:
    """The shape of a model made from scratch. `words` says what its vocabulary is made of."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 344
    context: int = 256
    words: Literal["reasoning", "corpus"] = "reasoning"


@dataclass(frozen=True)
class Optimizer:
    """AdamW at `lr`, Muon at `muon` for the layers' matrices where it is above 0. `final` is the share of the rates left
    at the last update; `clip` bounds the gradient's norm."""

    lr: float = 1e-3
    muon: float = 0.0
    warmup: int = 10
    final: float = 1.0
    clip: float = 1.0
    weight_decay: float = 0.0
    micro_tokens: int = 4_096


@dataclass(frozen=True)
class Adapter:
    """An adapter of low rank (LoRA), trained in the place of the weights themselves."""

    rank: int = 8
    alpha: float = 16.0


@dataclass(frozen=True)
class Imitation:
    """Learning from texts by imitation: `turns` turns of `updates` updates on `examples` tasks each.

    With `samples` 0 the texts are demonstrations, which `knobs` shape. Above 0 they are the policy's own: so many completions of
    each task are drawn and judged, and the selector `select` says which of them are imitated (learn/selectors.py).
    """

    turns: int = 4
    updates: int = 100
    examples: int = 64
    knobs: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 0
    select: str = "rejection"
    select_knobs: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = "single"
    strategy_knobs: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Optimizer = field(default_factory=Optimizer)

    @property
    def tasks(self) -> int:
        """Training tasks of an update."""
        return self.examples


@dataclass(frozen=True)
class Preferences:
    """Learning from pairs of a better and a worse text: each update takes those of `tasks` tasks.

    With `samples` 0 the pairs are those that the file gives. Above 0 they are drawn: each task's so many completions are
    judged by the verifier, and at most `pairs` pairs are made of a right and a wrong one.
    """

    turns: int = 8
    updates: int = 10
    tasks: int = 32
    samples: int = 0
    pairs: int = 1
    method: str = "dpo"
    knobs: Mapping[str, Any] = field(default_factory=dict)
    reference: str = "frozen"
    reference_knobs: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = "single"
    strategy_knobs: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Optimizer = field(default_factory=Optimizer)


@dataclass(frozen=True)
class Reinforcement:
    """Learning from verified samples: each update draws `samples` completions for each of `tasks` tasks.

    `steps_per_draw` optimizer steps are taken on each draw, on equal shares of its tasks. Of several `tasks.sources` the
    `curriculum` says how many tasks each gives. With `demonstrations` each task's samples are joined by so many that its family
    writes, for the methods that learn from both (luffy, hpt, ahpo).
    """

    turns: int = 8
    updates: int = 10
    tasks: int = 32
    samples: int = 16
    demonstrations: int = 0
    curriculum: str = "uniform"
    curriculum_knobs: Mapping[str, Any] = field(default_factory=dict)
    steps_per_draw: int = 1
    method: str = "dr-grpo"
    knobs: Mapping[str, Any] = field(default_factory=dict)
    reference: str = "frozen"
    reference_knobs: Mapping[str, Any] = field(default_factory=dict)
    credit: str = "outcome"
    credit_knobs: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = "single"
    strategy_knobs: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Optimizer = field(default_factory=Optimizer)


@dataclass(frozen=True)
class GateSettings:
    """`error` is the chance of any false promotion in the whole run; `slow_down` multiplies lr after a roll-back."""

    tasks: int = 500
    samples: int = 4
    error: float = 0.05
    slow_down: float = 0.5


@dataclass(frozen=True)
class Measuring:
    """The held-out look at the end: `tasks` with `samples` each; the first `curve_tasks` with `curve_samples`."""

    tasks: int = 1_000
    samples: int = 4
    curve_tasks: int = 200
    curve_samples: int = 64


@dataclass(frozen=True)
class Recipe:
    """A whole run. `model` is "builtin", "new" (made by `new`), a checkpoint's folder or a hub name.

    `on_abstain` says what training does with an answer that the verifier could not judge (learn/rewards.py). With
    `require_audit` a run begins only where its verifier passes its own tasks' gold answers and no text made to fool it.

    `evidence` is what the gate and the held-out look go by (loop/evidence.py): verified samples, the likelihood of the given
    texts, or which of two given texts the model would sooner write.

    `precision` is that of matrix products, in sampling and in learning; "auto" is bfloat16 where the hardware has it.
    Weights, and what is summed, are always float32.

    `critics` are the folders of saved critics by the names that strategies and credits call them by as scorers.
    """

    name: str
    seed: int = 0
    model: str = "builtin"
    new: NewModel = field(default_factory=NewModel)
    tasks: Tasks = field(default_factory=Tasks)
    max_tokens: int = 96
    batch: int = 256
    threads: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    adapter: Adapter | None = None
    checkpointing: bool = False
    deadline: float = 2.0
    reward: str = "verdict"
    on_abstain: str = "skip"
    require_audit: bool = False
    evidence: Literal["samples", "likelihood", "preference"] = "samples"
    critics: Mapping[str, Any] = field(default_factory=dict)
    imitation: Imitation | None = None
    preferences: Preferences | None = None
    reinforcement: Reinforcement | None = None
    gate: GateSettings = field(default_factory=GateSettings)
    measure: Measuring = field(default_factory=Measuring)


# of pass@1, where it is not that of verified samples
MEANING = {
    "likelihood": "pass@1 in this run is how often the model's next token would be that of the given text, given the text so far",
    "preference": "pass@1 in this run is how often, of the two given texts, the model would sooner write the chosen one",
}

PHASES = ("imitation", "preferences", "reinforcement")  # in this order, those that a recipe has


@dataclass(frozen=True)
class Step:
    """One turn of the plan: its place in the run, its phase, and whether the phase begins or ends with it."""

    turn: int
    phase: str
    first: bool
    last: bool


def plan(recipe: Recipe) -> list[Step]:
    """All turns of a recipe, phase after phase."""
    phases = [(name, getattr(recipe, name)) for name in PHASES if getattr(recipe, name) is not None]
    flat = [(name, i == 0, i == p.turns - 1) for name, p in phases for i in range(p.turns)]
    return [Step(turn, name, first, last) for turn, (name, first, last) in enumerate(flat)]


recipes: Registry[Callable[[], Recipe]] = Registry("recipe", "ratchet.loop", RecipeError)


# ---- to JSON and back --------------------------------------------------------------------------------------------


def to_json(recipe: Recipe) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def recipe_hash(recipe: Recipe) -> str:
    """16 hexadecimal digits of the resolved value."""
    order = list(recipe.tasks.sources)  # easy ones first: to a curriculum it means something
    return hashlib.blake2b(json.dumps([to_json(recipe), order], sort_keys=True).encode(), digest_size=8).hexdigest()


def from_json(data: Any, where: str) -> Recipe:
    """A recipe from the JSON of a run's record. Raises RecipeError for what does not belong in it."""
    recipe: Recipe = read_value(Recipe, data, where)
    return checked(recipe)


def read_value(kind: Any, data: Any, where: str) -> Any:
    """A value of a type from JSON, checked all the way down."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(data, Mapping):
            raise RecipeError(f"{where} takes a group of settings, got {data!r}")
        hints = get_type_hints(kind)
        for name in data:
            if name not in hints:
                raise RecipeError(f'{where} has no setting "{name}"; {nearest(name, hints)}')
        values = {name: read_value(hints[name], value, f"{where}.{name}") for name, value in data.items()}
        try:
            return kind(**values)  # type: ignore[operator]
        except TypeError as e:
            raise RecipeError(f"{where}: {e}") from None
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if data is None and type(None) in options:
        return None
    [wanted] = [o for o in options if o is not type(None)]
    if get_origin(wanted) is Literal:
        if data not in get_args(wanted):
            raise RecipeError(f"{where} takes one of {', '.join(map(str, get_args(wanted)))}, got {data!r}")
        return data
    if dataclasses.is_dataclass(wanted):
        return read_value(wanted, data, where)
    if get_origin(wanted) is not None and issubclass(get_origin(wanted), Mapping):
        if not isinstance(data, Mapping):
            raise RecipeError(f"{where} takes settings by name, such as {where}.NAME=VALUE, got {data!r}")
        return {k: frozen(v) for k, v in data.items()}
    if wanted is float and isinstance(data, int) and not isinstance(data, bool):
        data = float(data)
    if type(data) is not wanted:
        raise RecipeError(f"{where} takes {NAMES.get(wanted, wanted.__name__)}, got {data!r}")
    return data


def frozen(value: Any) -> Any:
    """JSON as knobs have it: lists are tuples, however deep."""
    if isinstance(value, Mapping):
        return {k: frozen(v) for k, v in value.items()}
    return tuple(frozen(v) for v in value) if isinstance(value, list) else value


NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}

# ---- overrides ---------------------------------------------------------------------------------------------------


def resolve(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A registered recipe with `path=value` overrides applied and checked."""
    return override(recipes[name](), overrides)


def override(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe with each `path=value` set. Raises RecipeError for a wrong name, type or value."""
    data = to_json(recipe)
    for item in overrides:
        path, equals, text = item.partition("=")
        if not equals:
            raise RecipeError(f'--set takes path=value, got "{item}"; for example --set seed=1')
        set_path(data, path.strip(), text.strip())
    return from_json(data, "recipe")


def set_path(data: dict[str, Any], path: str, text: str) -> None:
    """Set one value in a recipe's JSON, its type taken from the dataclasses along the path."""
    *parents, last = SHORT.get(path, path).split(".")
    kind: Any = Recipe
    place: dict[str, Any] = data
    for i, name in enumerate(parents):
        kind = step(kind, name, ".".join(parents[:i]))
        if place.get(name) is None:
            # an absent section comes into being with its defaults when one of its settings is given
            place[name] = {} if not dataclasses.is_dataclass(kind) else json.loads(json.dumps(dataclasses.asdict(kind())))  # type: ignore[operator]
        place = place[name]
        if not isinstance(place, dict):
            raise RecipeError(f"{path}: {name} is {place!r}, which has no settings of its own")
    kind = step(kind, last, ".".join(parents))
    place[last] = parse(text, kind)


SHORT = {"data": "tasks.path", "tasks": "tasks.path"}  # what users mean by --set tasks=FILE and data=FOLDER


def step(kind: Any, name: str, where: str) -> Any:
    """The type of a setting within a type; any name is allowed within a method's knobs."""
    if kind is Any:
        return Any  # within a knob that is a group of its own
    if not dataclasses.is_dataclass(kind):
        if get_origin(kind) is not None and issubclass(get_origin(kind), Mapping):
            return Any
        raise RecipeError(f'"{where}" has no settings of its own')
    hints = get_type_hints(kind)
    if name not in hints:
        raise RecipeError(f'no setting "{where + "." if where else ""}{name}"; {nearest(name, hints, most=20)}')
    options = get_args(hints[name]) if get_origin(hints[name]) in (Union, types.UnionType) else (hints[name],)
    return next(o for o in options if o is not type(None))


def parse(text: str, kind: Any) -> Any:
    """The value that a text means for a type: JSON where it is JSON, else the text itself."""
    if kind is str:
        return text
    if text.lower() in ("none", "null"):
        return None
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except ValueError:
        return text


# ---- checks across settings --------------------------------------------------------------------------------------

OF_A_PHASE = (
    "turns", "updates", "examples", "tasks", "pairs", "steps_per_draw", "optimizer.lr", "optimizer.clip", "optimizer.micro_tokens",
)  # fmt: skip

POSITIVE = (
    "max_tokens", "batch", "deadline", "adapter.rank", "adapter.alpha", "new.width", "new.layers", "new.heads", "new.hidden", "new.context",
    *(f"{phase}.{name}" for phase in PHASES for name in OF_A_PHASE), "reinforcement.samples", "gate.tasks", "gate.samples",
    "gate.slow_down", "measure.tasks", "measure.samples", "measure.curve_samples",
)  # fmt: skip


NOT_NEGATIVE = (
    "threads", "seed", "measure.curve_tasks", "preferences.samples", "imitation.samples", "reinforcement.demonstrations",
    *(f"{phase}.optimizer.{name}" for phase in PHASES for name in ("muon", "warmup", "final", "weight_decay")),
)  # fmt: skip


def checked(recipe: Recipe) -> Recipe:
    """The recipe itself, where its values make sense together."""
    for path in (*POSITIVE, *NOT_NEGATIVE):
        value: Any = recipe
        for name in path.split("."):
            value = getattr(value, name, None)
        if value is None:
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and path in POSITIVE):
            raise RecipeError(f"{path} must be {'above 0' if path in POSITIVE else '0 or more'} and finite, got {value}")
    if not 0 < recipe.gate.error < 0.5:
        raise RecipeError(f"gate.error must be above 0 and below 0.5, got {recipe.gate.error}")
    if all(getattr(recipe, phase) is None for phase in PHASES):
        raise RecipeError("a run needs imitation, preferences or reinforcement; all are none")
    if recipe.reinforcement and recipe.reinforcement.tasks % recipe.reinforcement.steps_per_draw:
        raise RecipeError("reinforcement.tasks must be a multiple of reinforcement.steps_per_draw, so that all steps are equal")
    return recipe
