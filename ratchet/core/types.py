"""The nouns: Task, Completion, Verdict, the three requests of a strategy, Trace, Estimate.

All are frozen; all but a running trace can be written as JSON and read back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from ratchet.core.errors import RecipeError
from ratchet.core.seeds import digest, fraction

Split = Literal["train", "validation", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "validation", "heldout")
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """A question whose answer can be checked.

    `identity` is what makes two tasks the same one (default: prompt and answer); `cluster` is what must stay on one
    side of a split (default: the identity), such as a group of near-duplicates. Neither holds a seed. `answer` and
    `facts` are for the verifier; they never reach an engine.
    """

    family: str
    prompt: str
    answer: Any
    verifier: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    identity: str = ""
    cluster: str = ""

    @cached_property
    def key(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        content = self.identity or json.dumps([self.prompt, self.answer], sort_keys=True, default=str)
        return digest(self.family, content).hex()[:16]

    @cached_property
    def split(self) -> Split:
        """80 % train, 10 % validation, 10 % held-out, by content alone."""
        u = fraction("split", self.family, self.cluster or self.key)
        return "train" if u < 0.8 else "validation" if u < 0.9 else "heldout"


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    ABSTAIN = "abstain"


@dataclass(frozen=True)
class Verdict:
    """What a verifier says. A timeout or a crash of the grader is ABSTAIN with the reason, never FAIL.

    `answer` is what was taken out of the text as its answer (None when there was none), `evidence` one short
    sentence on why, `score` an optional number in [0, 1], `seconds` what the judgement took.
    """

    outcome: Outcome
    evidence: str = ""
    answer: str | None = None
    score: float | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASS


@dataclass(frozen=True)
class Completion:
    """One sampled continuation of `prefix`.

    `logprobs` has one natural-log probability per token of `tokens`, under the policy that drew it and at the
    temperature it was drawn with. `stop` is "end" (end-of-text token), "stop" (a stop string) or "length". `given` are the
    places in `tokens` of what was put in between (`Draw.then`), not drawn: their log-probability stands as 0, and nobody
    learns them.
    """

    prefix: Tokens
    tokens: Tokens
    text: str
    logprobs: tuple[float, ...]
    stop: Literal["end", "stop", "length"]
    policy_version: int = 0
    role: str = "solver"
    given: tuple[int, ...] = ()

    @property
    def sampled(self) -> int:
        """How many of its tokens were drawn."""
        return len(self.tokens) - len(self.given)


@dataclass(frozen=True)
class Draw:
    """Sample `n` completions of a prefix: a text (encoded by the engine, chat template included), exact tokens, or a completion
    to go on from; what is answered then is whole, from that completion's own prefix on.

    `then` is text that is put behind that completion first. As a `turn` it is said by the user, in the chat template where there
    is one, after the end of what was said before; else it goes on within the text, whose end token is taken off. `role` says which
    of the scheduler's engines draws.

    `max_tokens` None is the engine's own limit; `temperature` 0 is greedy; `top_p` as in Holtzman et al. 2020.
    """

    prefix: str | Tokens | Completion
    n: int = 1
    role: str = "solver"
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float = 1.0
    top_p: float = 1.0
    then: str = ""
    turn: bool = False

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.temperature < math.inf or not 0 < self.top_p <= 1:
            raise RecipeError(
                f"a draw needs n of at least 1, a temperature of at least 0 and top_p above 0 and at most 1, "
                f"got n={self.n}, temperature={self.temperature}, top_p={self.top_p}"
            )
        if self.then and not isinstance(self.prefix, Completion):
            raise RecipeError("only a completion can be gone on from with a text put behind it (then); write it into the prompt")

    def added_from(self, answer: Completion) -> int:
        """The place in one of its answers of the first token that this draw added: behind what it goes on from, and what was put there."""
        if not isinstance(self.prefix, Completion):
            return 0
        return answer.given[-1] + 1 if len(answer.given) > len(self.prefix.given) else len(self.prefix.tokens)


@dataclass(frozen=True)
class Judge:
    """Score candidates with a scorer by name; answered by one float each."""

    completions: Sequence[Completion]
    scorer: str


@dataclass(frozen=True)
class Call:
    """Run a tool by name on text; answered by text."""

    tool: str
    argument: str


@dataclass(frozen=True)
class Chance:
    """Ask for randomness; answered by a `random.Random` that is a function of the trace's path and of how often it asked. Free."""


Request = Draw | Judge | Call | Chance | Sequence[Draw]
"""Several draws at once are answered by one list of completions each, and sampled side by side."""
Play = Generator[Request, Any, Completion]
Strategy = Callable[..., Play]
"""`(task, **knobs)` -> a generator that yields requests, is sent their answers and returns the chosen completion."""


@dataclass
class Cost:
    """What was spent. Tokens are sampled and read (prefix) tokens; calls are completions that a scorer judged, each of them one, and
    tool calls; flops are floating-point operations of all models, the scorers' too, at two for each weight and token."""

    sampled_tokens: int = 0
    prefix_tokens: int = 0
    draws: int = 0
    calls: int = 0
    seconds: float = 0.0
    flops: float = 0.0

    def add(self, other: Cost) -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Event:
    """One request of a strategy and its answer; of several draws at once each is an event."""

    request: Draw | Judge | Call
    answer: Any


@dataclass
class Trace:
    """Everything that happened for one task. `verdict` judges `answer`; `verdicts` judges every drawn completion. `cut` is why the
    strategy could not go on as it wanted (a budget that ended, a prompt that does not fit the context), empty where it could.
    """

    task: Task
    strategy: str
    sample: int = 0
    events: list[Event] = field(default_factory=list)
    answer: Completion | None = None
    verdict: Verdict | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    cut: str = ""

    @property
    def completions(self) -> list[Completion]:
        """All completions drawn, in the order of drawing."""
        return [c for e in self.events if isinstance(e.request, Draw) for c in e.answer]

    @property
    def own_prompts(self) -> list[bool]:
        """Of each completion drawn whether it answers the task's own prompt, and not one that a strategy made of it."""
        known: dict[int, bool] = {}
        for e in self.events:
            if isinstance(e.request, Draw):
                prefix = e.request.prefix
                own = known.get(id(prefix), True) if isinstance(prefix, Completion) else prefix == self.task.prompt
                known.update({id(c): own for c in e.answer})
        return [known[id(c)] for c in self.completions]

    @property
    def first_whole(self) -> Completion | None:
        """The first answer to the task's own prompt that has ended: what there is to answer with where nothing was chosen."""
        every = zip(self.completions, self.own_prompts, strict=True)
        return next((c for c, own in every if own and c.role == "solver" and c.stop == "end"), None)


@dataclass(frozen=True)
class Estimate:
    """A measured number: never given without its interval, its n and the unit that was sampled."""

    value: float
    low: float
    high: float
    n: int
    unit: str = "tasks"
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n = {self.n} {self.unit}, {100 * self.level:g}%)"
