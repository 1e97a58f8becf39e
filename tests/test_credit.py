"""Credit from traces of several draws: laws measured for whatever is registered, golden numbers, and broken credits caught."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from ratchet.core.errors import RecipeError
from ratchet.core.types import Completion, Draw, Event, Judge, Outcome, Task, Tokens, Trace, Verdict
from ratchet.learn import parts
from ratchet.learn.batch import Example
from ratchet.learn.credit import Credit, credits, rewards_of, verdict_reward
from ratchet.learn.credit_roles import recycled
from ratchet.learn.credit_steps import labelled, splices
from ratchet.learn.credit_turns import turns_of
from ratchet.models.engine import LocalEngine
from ratchet.models.scheduler import Scheduler
from ratchet.models.tokens import WordTokenizer, reasoning_words
from ratchet.search.strategy import SCORERS, strategies
from ratchet.search.tools import TOOLS

CREDITS = {e.name: e.value for e in credits}
TOKENIZER = WordTokenizer(reasoning_words())
END = TOKENIZER.end
NAN = math.nan
Drawn = tuple[list[Trace], list[list[float]]]
TASK = Task("f", "numbers", 1, "numeric")
PROMPT = (40, 41)


def completion(tokens: Sequence[int], prefix: Tokens = PROMPT, role: str = "solver", stop: str = "end") -> Completion:
    logprobs = tuple(-0.01 * t for t in tokens)
    return Completion(prefix, tuple(tokens), TOKENIZER.decode(list(tokens)), logprobs, stop, role=role)  # type: ignore[arg-type]


def trace(*draws: tuple[Draw, list[Completion]], sample: int = 0) -> Trace:
    return Trace(TASK, "made up", sample, [Event(d, cs) for d, cs in draws])


def flat(rewards: Sequence[float]) -> Drawn:
    """One draw of four completions."""
    return [trace((Draw(PROMPT), [completion([50 + i, 60 + i]) for i in range(4)]))], [list(rewards[:4])]


def chain(rewards: Sequence[float]) -> Drawn:
    """Two samples of two turns; each second turn goes on from the first completion and is whole."""
    traces: list[Trace] = []
    for i in range(2):
        first = completion([50 + i, 51 + i], stop="stop")
        traces.append(trace((Draw(PROMPT), [first]), (Draw(first), [completion([50 + i, 51 + i, 60 + i])]), sample=i))
    return traces, [list(rewards[:4])]


def tree(rewards: Sequence[float]) -> Drawn:
    """A search: two first steps, and two ways on from each. The first two rewards are those of the unfinished steps."""
    steps = [completion([50 + i, 51], stop="stop") for i in range(2)]
    draws = [(Draw(s, n=2), [completion([*s.tokens, 60 + 2 * i + k, 70]) for k in range(2)]) for i, s in enumerate(steps)]
    return [trace((Draw(PROMPT, n=2), steps), *draws)], [list(rewards[:6])]


def roles(rewards: Sequence[float]) -> Drawn:
    """Two abstractions, and two solutions with each. The first two rewards are those of the abstractions."""
    written = [completion([50 + i, 1], role="abstraction") for i in range(2)]
    prompts = [(*PROMPT, *z.tokens[:-1], 45) for z in written]
    draws = [(Draw(p, n=2), [completion([60 + 2 * i + k], p) for k in range(2)]) for i, p in enumerate(prompts)]
    return [trace((Draw(PROMPT, n=2, role="abstraction"), written), *draws)], [list(rewards[:6])]


SHAPES = (flat, chain, tree, roles)


def by(credit: Credit, drawn: Drawn, advantage: parts.Advantage = parts.group_centred) -> list[Example]:
    return credit(*drawn, advantage, TOKENIZER)


def advantages(e: Example) -> tuple[float, ...]:
    return e.advantage if isinstance(e.advantage, tuple) else (e.advantage,) * len(e.tokens)


def of(examples: Sequence[Example], tokens: Sequence[int]) -> float:
    """The advantage of the last token of the example that ends with these tokens."""
    [found] = [e for e in examples if (e.prefix + e.tokens)[-len(tokens) :] == tuple(tokens)]
    return advantages(found)[-1]


def of_path(examples: Sequence[Example], tokens: Sequence[int]) -> float:
    """What a whole completion gains: the advantages at the ends of all examples that hold a first part of it."""
    parts_of = [(e, (e.prefix + e.tokens)[len(PROMPT) :]) for e in examples]
    return sum(advantages(e)[-1] for e, own in parts_of if own == tuple(tokens)[: len(own)])


# ---- laws --------------------------------------------------------------------------------------------------------


def law_even_rewards_teach_nothing(credit: Credit) -> bool:
    return not any(any(advantages(e)) for shape in SHAPES for r in (0.0, 1.0) for e in by(credit, shape([r] * 6)))


def law_the_better_of_two_siblings_gains_more(credit: Credit) -> bool:
    """Two completions of each shape of which the one is right and the other wrong, from all their tokens."""
    cases = (
        (flat([1, 0, 0, 0]), (50, 60), (51, 61)),
        (chain([0, 1, 0, 0]), (50, 51, 60), (51, 52, 61)),
        (tree([0, 0, 1, 0, 0, 0]), (50, 51, 60, 70), (50, 51, 61, 70)),
        (roles([0, 0, 0, 1, 0, 0]), (50, 45, 61), (50, 45, 60)),
    )
    return all(of_path(by(credit, drawn), better) > of_path(by(credit, drawn), worse) for drawn, better, worse in cases)


def law_the_order_of_siblings_is_nothing(credit: Credit) -> bool:
    """What a completion gains depends on what was drawn, not on its place in the draw."""
    [one], rewards = flat([1, 0, 0, 1])
    turned = trace((Draw(PROMPT), list(reversed(one.completions))))
    there, back = by(credit, ([one], rewards)), by(credit, ([turned], [rewards[0][::-1]]))
    return all(of(there, (50 + i, 60 + i)) == pytest.approx(of(back, (50 + i, 60 + i))) for i in range(4))


LAWS = (law_even_rewards_teach_nothing, law_the_better_of_two_siblings_gains_more, law_the_order_of_siblings_is_nothing)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", CREDITS)
def test_every_credit_keeps_its_laws(name: str, law: Callable[[Credit], bool]) -> None:
    assert law(CREDITS[name])


def spoilt(change: Callable[[float, int], float]) -> Credit:
    """`outcome`, with each advantage changed by what the credit may not do."""

    def credit(traces: list[Trace], rewards: list[list[float]], advantage: object, tokenizer: object) -> list[Example]:
        found = CREDITS["outcome"](traces, rewards, advantage, tokenizer)
        return [Example(e.prefix, e.tokens, change(advantages(e)[0], i)) for i, e in enumerate(found)]

    return credit


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (law_even_rewards_teach_nothing, spoilt(lambda a, i: a + 0.1)),
        (law_the_better_of_two_siblings_gains_more, spoilt(lambda a, i: -a)),
        (law_the_order_of_siblings_is_nothing, spoilt(lambda a, i: a * (1 + i))),
    ],
)
def test_each_law_catches_a_broken_credit(law: Callable[[Credit], bool], broken: Credit) -> None:
    assert not law(broken)


def law_each_token_is_learned_once(credit: Credit, drawn: Drawn) -> bool:
    """A token has an address: all that stands before it. No two draws of these shapes share one."""
    addresses = [e.prefix + e.tokens[: n + 1] for e in by(credit, drawn) for n in range(len(e.tokens))]
    whole = {c.prefix + c.tokens[: n + 1] for t in drawn[0] for c in t.completions for n in range(len(c.tokens))}
    return len(addresses) == len(whole) and set(addresses) == whole


@pytest.mark.parametrize("name", ["per-turn", "steps", "two-role"])  # those that claim it: they know turns
def test_a_token_of_an_earlier_turn_is_learned_once(name: str) -> None:
    for shape in SHAPES:
        assert law_each_token_is_learned_once(CREDITS[name], shape([0, 1, 0, 1, 1, 0])), shape.__name__
    assert not law_each_token_is_learned_once(CREDITS["outcome"], chain([0, 1, 0, 0])), "a whole completion holds earlier turns"


def law_a_path_sums_to_its_gain(credit: Credit) -> bool:
    """From the root to each leaf of the tree the steps' credits sum to its reward less the mean of all leaves."""
    rewards = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    examples = by(credit, tree(rewards))
    for i, r in enumerate(rewards[2:]):
        path = of(examples, (50 + i // 2, 51)) + of(examples, (60 + i, 70))
        if path != pytest.approx(r - 0.75):
            return False
    return True


def test_steps_conserve_credit_and_whoever_does_not_is_caught() -> None:
    assert law_a_path_sums_to_its_gain(CREDITS["steps"])
    assert not law_a_path_sums_to_its_gain(CREDITS["outcome"]) and not law_a_path_sums_to_its_gain(CREDITS["per-turn"])


# ---- golden numbers ----------------------------------------------------------------------------------------------


def test_per_turn_golden() -> None:
    """The second turn of the first sample succeeds: its first turn is worth 0.9, the other's nothing."""
    drawn = chain([0, 1, 0, 0])
    examples = by(CREDITS["per-turn"], drawn)
    assert [(e.prefix, e.tokens, advantages(e)[0]) for e in examples] == [
        (PROMPT, (50, 51), pytest.approx(0.45)),
        ((*PROMPT, 50, 51), (60,), 0.5),
        (PROMPT, (51, 52), pytest.approx(-0.45)),
        ((*PROMPT, 51, 52), (61,), -0.5),
    ]
    assert examples[1].logprobs == (-0.6,), "a turn's log-probabilities are its own tokens'"
    later = CREDITS["per-turn"](*chain([1, 1, 0, 0]), parts.group_centred, TOKENIZER, decay=0.5)
    assert advantages(later[0])[0] == pytest.approx(1.5 / 2), "a turn's own reward, and half of what came of it"
    abstained = by(CREDITS["per-turn"], chain([NAN, 1, 0, NAN]))
    assert [(e.tokens, advantages(e)[0]) for e in abstained] == [
        ((50, 51), pytest.approx(0.45)),
        ((60,), 0),
        ((51, 52), pytest.approx(-0.45)),
    ]


def test_a_turn_that_says_the_same_again_pays() -> None:
    """Three turns with feedback between them, of which the third repeats the first; the other sample repeats nothing."""
    said = lambda tokens: trace(
        *(
            (Draw(p), [completion([t], p)])
            for t, p in zip(tokens, [PROMPT, (*PROMPT, tokens[0], 9), (*PROMPT, tokens[0], 9, tokens[1], 9)])
        )
    )
    traces = [said((50, 51, 50)), said((50, 51, 52))]
    turns = turns_of(traces, [[0.0] * 6], END)[0]
    assert [t.parent for t in turns] == [None, 0, 1, None, 3, 4] and [t.depth for t in turns] == [0, 1, 2] * 2
    examples = CREDITS["per-turn"](traces, [[0.0] * 6], parts.group_centred, TOKENIZER, repeat=1.0)
    assert [advantages(e)[0] for e in examples] == [0, 0, -0.5, 0, 0, 0.5]


def test_which_turn_a_prompt_goes_on_from() -> None:
    """Tokens decide, with or without the one that ended the text; else the words that a prompt adds to its task's own."""
    first, other = completion([50, 1]), completion([50, 51, 1])
    asked = (*PROMPT, 50, 51, 9)
    told = f"numbers you said {first.text} try again"
    traces = [
        trace(
            (Draw("numbers", n=2), [first, other]),
            (Draw(asked), [completion([7], asked)]),
            (Draw(told), [completion([8], (30, 31))]),
            (Draw("numbers"), [completion([9])]),
        )
    ]
    assert [t.parent for t in turns_of(traces, [[0.0] * 5], END)[0]] == [None, None, 1, 0, None]


def test_steps_golden() -> None:
    """Of the first step's leaves one of two is right, of the second's both: the values are 3/4, 1/2 and 1."""
    examples = by(CREDITS["steps"], tree([0, 0, 1, 0, 1, 1]))
    assert [of(examples, (50, 51)), of(examples, (51, 51))] == [-0.25, 0.25]
    assert [of(examples, (60 + i, 70)) for i in range(4)] == [0.5, -0.5, 0, 0]
    scaled = CREDITS["steps"](*tree([0, 0, 1, 0, 1, 1]), parts.group_normalised, TOKENIZER)
    assert of(scaled, (60, 70)) == pytest.approx(0.5 / (0.5 + 1e-4)), "the deviation of 1, 0, 1, 1 is a half"


def test_steps_take_what_a_scorer_said_and_leave_out_what_was_dropped() -> None:
    """A beam: of three candidates one went on. The two that were dropped are worth what the scorer said, or nothing known."""
    firsts = [completion([50 + i, 51], stop="stop") for i in range(3)]
    last = completion([50, 51, 60])
    t = Trace(TASK, "beam", 0, [Event(Draw(PROMPT, n=3), firsts), Event(Judge(firsts, "critic"), [0.9, 0.2, 0.1])], last)
    t.events.append(Event(Draw(firsts[0]), [last]))
    rewards = [[0.0, 0.0, 0.0, 1.0]]
    assert [e.tokens for e in by(CREDITS["steps"], ([t], rewards))] == [(50, 51), (60,)]
    scored = CREDITS["steps"]([t], rewards, parts.group_centred, TOKENIZER, scorer="critic")
    assert [(e.tokens[0], round(advantages(e)[0], 6)) for e in scored] == [(50, -0.1), (51, -0.8), (52, -0.9), (60, 0.1)]


def pits() -> Drawn:
    """A wrong sample of three steps, with two rollouts from the end of its first step and two from that of its second."""
    wrong = completion([50, 51, 52, 53])
    cuts = [Completion(PROMPT, wrong.tokens[:n], "", wrong.logprobs[:n], "stop") for n in (1, 2)]
    rolled = [[completion([50, 61, 62]), completion([50, 63])], [completion([50, 51, 64]), completion([50, 51, 65])]]
    return [trace((Draw(PROMPT), [wrong]), *((Draw(c, n=2), own) for c, own in zip(cuts, rolled)))], [[0, 1, 0, 0, 0]]


def test_splices_golden() -> None:
    """The sample could still be saved after its first step and no more after its second: that one is the pit."""
    assert splices(*pits(), END) == [((*PROMPT, 50), (61, 62), (51,)), ((*PROMPT, 50), (61, 62), (63,))]
    assert splices(*tree([0, 0, 1, 0, 0, 0]), END)[1:] == [(PROMPT, (50, 51), (51, 51))]
    assert splices(*flat([1, 1, 0, 1]), END) == [(PROMPT, (50, 60), (52, 62))]
    assert splices(*flat([0, 0, 0, 0]), END) == [] == splices(*flat([1, 1, 1, NAN]), END)


def test_rollouts_give_the_values_of_a_sample_s_steps() -> None:
    wrong = labelled(*pits(), END)[0]
    assert wrong.tokens == (50, 51, 52, 53) and wrong.outcome == 0
    assert wrong.steps == ((0, 0.2), (1, 0.0), (3, 0.0))
    [example, *_] = by(CREDITS["steps"], pits())
    assert advantages(example) == pytest.approx((0.0, -0.2, 0.0, 0.0))


def test_a_conversation_in_one_completion() -> None:
    """A user's words stand in the completion: they are no turn's own, and no step of a splice."""
    first, other = completion([50, 51, 1]), completion([52, 1])
    later = Completion(PROMPT, (50, 51, 9, 9, 60), "", (-0.5, -0.51, 0.0, 0.0, -0.6), "end", given=(2, 3))
    traces = [trace((Draw(PROMPT), [first]), (Draw(first, then="try again"), [later])), trace((Draw(PROMPT), [other]), sample=1)]
    rewards = [[0.0, 1.0, 0.0]]
    [turns] = turns_of(traces, rewards, END)
    assert [(t.prefix[2:], t.tokens, t.parent) for t in turns] == [
        ((), (50, 51, 1), None),
        ((50, 51, 9, 9), (60,), 0),
        ((), (52, 1), None),
    ]
    assert [e.logprobs for e in by(CREDITS["steps"], (traces, rewards))][1] == (-0.6,)
    assert [advantages(e) for e in by(CREDITS["steps"], (traces, rewards))] == [(0.5,) * 3, (0.0,), (-0.5,) * 2]
    assert splices(traces, rewards, END) == [(PROMPT, (50, 51), (52, 1))]


def test_two_roles_golden() -> None:
    """With the first abstraction one of two solutions is right, with the second none. Solutions compete within a prompt."""
    examples = by(CREDITS["two-role"], roles([0, 0, 1, 0, 0, 0]))
    assert [of(examples, (50, 1)), of(examples, (51, 1))] == [0.25, -0.25]
    assert [of(examples, (60 + i,)) for i in range(4)] == [0.5, -0.5, 0, 0]
    unjudged = by(CREDITS["two-role"], roles([0, 0, NAN, 1, NAN, NAN]))
    assert [e.tokens for e in unjudged] == [(50, 1), (61,)] and not any(any(advantages(e)) for e in unjudged)
    # a prompt that shows nothing of what was written belongs to the last one written before it
    written = [completion([50 + i, 1], role="abstraction") for i in range(2)]
    parted = [
        trace((Draw(PROMPT, role="abstraction"), [z]), (Draw((30,)), [completion([60 + i], (30,))]), sample=i)
        for i, z in enumerate(written)
    ]
    found = by(CREDITS["two-role"], (parted, [[0, 1, 0, 0]]))
    assert of(found, (50, 1)) == 0.5 and of(found, (51, 1)) == -0.5


def test_recycled_verdicts_golden() -> None:
    """One right and two wrong completions give one lesson of each kind, whose two verdicts pull apart by the weight."""
    yes, no, ask = TOKENIZER.encode("yes no answer")
    drawn = flat([0, 1, 0, NAN])
    lessons = recycled(*drawn, (ask,), END)
    assert [(j.tokens, j.outcome) for j in lessons] == [((51, 61, ask), 1.0), ((50, 60, ask), 0.0)]
    examples = CREDITS["recycled"](*drawn, parts.group_centred, TOKENIZER, question="answer", weight=0.5)
    assert [(e.prefix[2:], e.tokens, e.advantage) for e in examples[3:]] == [
        ((51, 61, ask), (yes,), 0.25),
        ((51, 61, ask), (no,), -0.25),
        ((50, 60, ask), (no,), 0.25),
        ((50, 60, ask), (yes,), -0.25),
    ]
    with pytest.raises(RecipeError, match="two different words of one token"):
        CREDITS["recycled"](*drawn, parts.group_centred, TOKENIZER, no="yes")


PLAYS = {
    "beam": {"n": 6, "beams": 2, "step": "3"},
    "mcts": {"n": 12, "width": 3, "step": "3", "scorer": "oracle"},
    "try-again": {"again": "try", "turns": 3},
    "abstraction": {"n": 4, "abstractions": 2, "ask": "{task} then", "use": "{task} {idea} :", "most": 3},
}


class Short(WordTokenizer):
    """Many words end a text, so that a model with random weights comes to an end."""

    end = frozenset({1, *range(20, 40)})  # type: ignore[assignment]


def test_a_turn_belongs_to_the_text_that_its_prompt_shows() -> None:
    """One text stands in the other: 3 in 1 + 3, and 1 in 12. Where both are shown, the last is meant."""
    three, sum_, twelve = [43], [41, 45, 43], [42]
    words = {tuple(three): "3", tuple(sum_): "1 + 3", tuple(twelve): "12"}
    drawn = [Completion(PROMPT, tuple(t), words[tuple(t)], (-0.1,) * len(t), "end") for t in (sum_, three, twelve)]
    asked = ["numbers known : 1 + 3", "numbers known : 3", "numbers known : 1 + 3 , 12", "numbers known : 120"]
    answers = [Completion((50 + i,), (60,), "no", (-0.1,), "end") for i in range(4)]
    played = trace((Draw("numbers", n=3), drawn), *((Draw(text), [answer]) for text, answer in zip(asked, answers, strict=True)))
    assert [t.parent for t in turns_of([played], [[0.0] * 7], END)[0]] == [None, None, None, 0, 1, 2, None]


@pytest.mark.parametrize("strategy", PLAYS)
def test_turns_of_strategies_that_were_played(tiny_engine: LocalEngine, strategy: str) -> None:
    """Each drawn token is learned at most once, none that was put in between, and with the log-probability that it has after what
    stood before it."""
    verify = lambda pairs: [Verdict(Outcome.FAIL if len(text.split()) % 3 else Outcome.PASS) for _, text in pairs]
    scheduler = Scheduler(tiny_engine, verify, SCORERS, TOOLS)
    tiny_engine.max_tokens, tiny_engine.tokenizer = 60, Short(reasoning_words())
    task = Task("f", "numbers 1 2 target 3 :", 3, "numeric")
    traces = scheduler.run(strategies[strategy], [task], "x", knobs=PLAYS[strategy], samples=4)
    turns = turns_of(traces, rewards_of(traces, verdict_reward), tiny_engine.tokenizer.end)[0]
    assert any(t.parent is not None for t in turns) and sum(len(t.tokens) for t in turns) == scheduler.spent.sampled_tokens
    for name in ("per-turn", "steps", "two-role"):
        examples = CREDITS[name](traces, rewards_of(traces, verdict_reward), parts.group_centred, tiny_engine.tokenizer)
        assert examples and any(any(advantages(e)) for e in examples), name
        assert sum(len(e.tokens) for e in examples) <= scheduler.spent.sampled_tokens
        for e, own in zip(examples, tiny_engine.score([(e.prefix, e.tokens) for e in examples]), strict=True):
            assert own == pytest.approx(e.logprobs, abs=1e-3), name
