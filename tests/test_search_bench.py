"""Strategies at equal cost, and traces as training data."""

from __future__ import annotations

import gzip
import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ratchet.core.errors import RecipeError, StoreError
from ratchet.core.types import Completion, Cost, Draw, Estimate, Event, Judge, Outcome, Task, Trace, Verdict
from ratchet.loop.export import formats, reached, rows_of, write_rows
from ratchet.loop.search_bench import (
    Area,
    Bench,
    Spot,
    affordable,
    areas,
    control_of,
    file_name,
    per_task,
    sized_by,
    with_controls,
)
from ratchet.loop.store import read_traces, trace_json, tree_of, write_traces
from ratchet.report.search_bench import all_of, browsed, page, shape_of, solved_by
from ratchet.search.strategy import divided, planned
from ratchet.tasks.countdown import gold
from ratchet.tasks.family import Source

TASKS = [Task("bench", f"task {i}", i, "exact") for i in range(10)]


class Costly:
    """A scheduler whose strategies cost ten tokens a sample, and solve as many tasks as they have samples."""

    def __init__(self, each: float = 10.0) -> None:
        self.each, self.played = each, list[tuple[str, int]]()

    def run(self, strategy: Any, tasks: Sequence[Task], *path: Any, knobs: Mapping[str, Any]) -> list[Trace]:
        n = knobs.get("n", knobs.get("turns", 1))
        self.played.append((path[-1], n))
        right = 0 if knobs.get("scorer") == "placebo" else n
        return [self.trace(t, int(self.each * n), t.answer < right) for t in tasks]

    def trace(self, task: Task, tokens: int, right: bool) -> Trace:
        c = Completion((1,), (2,), "x", (-1.0,), "end")
        verdict = Verdict(Outcome.PASS if right else Outcome.FAIL)
        cost = Cost(sampled_tokens=tokens, calls=1, flops=100.0 * tokens)
        return Trace(task, "s", events=[Event(Draw("x"), [c])], answer=c, verdict=verdict, verdicts=[verdict], cost=cost)


def bench(folder: Path, costly: Costly, **changed: Any) -> Bench:
    settings = {"model": "m", "tasks": "t", **changed.pop("settings", {})}
    given = {"budgets": [15.0, 35.0, 1e4], "unit": "tokens", **changed}
    return Bench(costly, TASKS[:2], TASKS, seed=0, folder=folder, settings=settings, say=lambda text: None, **given)  # type: ignore[arg-type]


def test_each_strategy_gets_the_size_that_its_budget_pays_for(tmp_path: Path) -> None:
    spots = bench(tmp_path, Costly()).run(["vote"])
    assert [(s.budget, s.size, s.cost["tokens"]) for s in spots] == [(15, 1, 10), (35, 3, 30), (1e4, 1_000, 10_000)]
    assert [s.accuracy.value for s in spots] == [0.1, 0.3, 1.0]
    dear = bench(tmp_path / "dear", Costly(), call_price=8.0, budgets=[15.0, 35.0]).run(["vote"])
    assert [(s.budget, s.size) for s in dear] == [(35, 2)]  # a call is paid for too, and one sample does not fit 15
    operations = bench(tmp_path / "priced", Costly(), unit="flops", call_price=2_000.0, budgets=[3_500.0]).run(["vote"])
    assert [(s.size, s.cost["flops"], s.cost["tokens"]) for s in operations] == [(1, 3_000, 10)]  # in the budgets' unit
    seconds = bench(tmp_path / "seconds", Costly(), unit="seconds", budgets=[1e6]).run(["single"])
    assert seconds[0].cost["seconds"] > 0
    flops = bench(tmp_path / "flops", Costly(), unit="flops", budgets=[3_500.0]).run(["vote"])
    assert [s.size for s in flops] == [3]


def test_a_strategy_that_cannot_grow_keeps_its_size(tmp_path: Path) -> None:
    spots = bench(tmp_path, Costly()).run(["single", "vote:n=4"])
    assert [(s.plan, s.size) for s in spots] == [("single", 1), ("vote:n=4", 1)] and spots[1].cost["tokens"] == 40
    assert sized_by("retry") == "turns" and sized_by("vote") == "n" and sized_by("single") is None


def test_nobody_pays_for_the_cold_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn before the first measurement is thrown away."""
    now = [0.0]

    class Cold(Costly):
        def run(self, strategy: Any, tasks: Sequence[Task], *path: Any, knobs: Mapping[str, Any]) -> list[Trace]:
            now[0] += 0.01 * len(tasks) if self.played else 100.0
            return super().run(strategy, tasks, *path, knobs=knobs)

    monkeypatch.setattr("ratchet.loop.search_bench.time.perf_counter", lambda: now[0])
    [spot] = bench(tmp_path, Cold(), unit="seconds", budgets=[0.05]).run(["single"])
    assert spot.cost["seconds"] == pytest.approx(0.01)


def test_a_plan_within_a_plan_has_a_placebo_and_knobs_of_its_own() -> None:
    plan = "vote-over:inner=(best-of-n:n=2,scorer=logprob),n=3"
    assert planned(plan)[1] == {"inner": "best-of-n:n=2,scorer=logprob", "n": 3}
    assert planned('vote-over:inner="best-of-n:n=2,scorer=logprob",n=3') == planned(plan)
    assert planned('try-again:again="No, (try again",turns=3')[1] == {"again": "No, (try again", "turns": 3}
    assert planned("try-again:again=Not (yet)")[1] == {"again": "Not (yet)"}
    assert control_of(plan) == "vote-over:n=3,inner=(best-of-n:n=2,scorer=placebo)"
    assert control_of("vote-over:inner=best-of-n:n=2") == "vote-over:inner=(best-of-n:n=2,scorer=placebo)"
    assert control_of("vote-over:inner=best-of-n") == "vote-over:inner=best-of-n:scorer=placebo"
    assert control_of("vote-over:inner=(vote-over:inner=(best-of-n:n=2,scorer=logprob))") == (
        "vote-over:inner=(vote-over:inner=(best-of-n:n=2,scorer=placebo))"
    )
    assert control_of("vote-over:inner=(best-of-n:scorer=oracle,n=2)") is None
    with pytest.raises(RecipeError, match="must be closed"):
        planned("vote-over:inner=(best-of-n:n=2")
    assert divided('vote; try-again:again="No; again"; ;', ";") == ["vote", 'try-again:again="No; again"']


def test_controls_stand_beside_what_asks_a_scorer() -> None:
    assert with_controls(["vote", "best-of-n", "best-of-n:scorer=oracle", "best-of-n"]) == [
        "vote", "best-of-n", "best-of-n:scorer=placebo", "best-of-n:scorer=oracle",
    ]  # fmt: skip
    assert control_of("best-of-n:scorer=critic,temperature=0.5") == "best-of-n:temperature=0.5,scorer=placebo"
    assert control_of("debate") is None and control_of("best-of-n:scorer=placebo") is None
    with pytest.raises(RecipeError, match="did you mean"):
        with_controls(["best-of"])


def test_what_is_finished_is_not_done_again_and_other_settings_are_refused(tmp_path: Path) -> None:
    first, again = Costly(), Costly()
    spots = bench(tmp_path, first).run(["vote", "best-of-n"])
    assert bench(tmp_path, again).run(["vote", "best-of-n"]) == spots and not again.played and first.played
    with pytest.raises(StoreError, match="other settings"):
        bench(tmp_path, again, settings={"model": "another"}).run(["vote"])
    kept = (tmp_path / "bench.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "bench.jsonl").write_text("".join(kept[:2]) + kept[2][:20])  # killed within the second plan
    once_more = Costly()
    found = bench(tmp_path, once_more).run(["vote", "best-of-n"])
    assert [s.right for s in found] == [s.right for s in spots] and found[:3] == spots[:3] and once_more.played
    (tmp_path / "bench.jsonl").write_text('{"model": "m", "tasks": "t"}\n{"plan": 3}\n')
    with pytest.raises(StoreError, match="damaged"):
        bench(tmp_path, again).run(["vote"])


def spot(plan: str, tokens: float, right: Sequence[float]) -> Spot:
    return Spot(
        plan, tokens, 1, tuple(right), {"tokens": tokens, "flops": 1.0, "seconds": 1.0, "sampled_tokens": tokens, "calls": 0.0}
    )


def test_an_area_is_the_mean_over_the_logarithm_of_the_cost() -> None:
    rising = [spot("vote", 10, [0.0]), spot("vote", 100, [1.0])]
    assert per_task(rising, "tokens", 10, 100) == [pytest.approx(0.5)]
    assert per_task(rising, "tokens", 10, 1_000) == [pytest.approx(0.75)]  # level beyond the last
    assert per_task(rising, "tokens", 100, 1_000) == [pytest.approx(1.0)]
    assert per_task([spot("single", 20, [1.0])], "tokens", 20, 200) == [pytest.approx(1.0)]
    between = per_task(rising, "tokens", math.sqrt(1_000), 1_000)[0]
    assert between == pytest.approx((0.75 + 2.0) / 3)  # from one half up to one within a third of the way, then level
    spots = [
        *[spot("best-of-n", 10 * 10**i, [0.0, float(i)]) for i in range(2)],
        spot("best-of-n:scorer=placebo", 20, [0.0, 0.0]),
    ]
    found, bounds = areas(spots, "tokens", [100.0])
    assert bounds == (20, 100.0) and found[0].over_control is not None
    assert found[0].over_control.value == pytest.approx(found[0].area.value) and found[1].over_control is None
    with pytest.raises(RecipeError, match="larger --budgets"):
        areas([], "tokens", [100.0])
    assert areas(spots, "tokens", [20.0]) == ([], (20, 20.0))  # no range of costs that all of them cover


def test_a_page_without_areas_says_why(tmp_path: Path) -> None:
    spots = bench(tmp_path, Costly(), budgets=[15.0, 35.0]).run(["vote"])
    text = page(tmp_path, spots, [], (36.0, 35.0), "seconds", {"model": "m", "tasks": "t"})
    assert "smallest size of the dearest strategy cost 36 seconds a task, and the largest budget is 35" in text
    assert "mean accuracy over the log" not in text and ">seconds<" in text


def test_what_a_budget_pays_for() -> None:
    assert affordable([(0, 0.0), (1, 10.0), (2, 20.0), (4, 40.0)], 39.9) == 3
    assert affordable([(0, 0.0), (1, 10.0)], 9.9) == 0
    assert affordable([(0, 0.0), (1, 10.0), (2, 10.0)], 50.0) == 2


def test_the_page_holds_curves_areas_and_traces(tmp_path: Path) -> None:
    spots = bench(tmp_path, Costly(), budgets=[15.0, 35.0]).run(["vote", "best-of-n"])
    found, bounds = areas(spots, "tokens", [15.0, 35.0])
    text = page(tmp_path, spots, found, bounds, "tokens", {"model": "<m>", "tasks": "t"})
    for part in (
        "accuracy against sampled tokens",
        "Areas",
        "over its placebo",
        "best-of-n:scorer=placebo",
        "&lt;m&gt;",
        "task 3",
    ):
        assert part in text, part


# ---- traces as training data -------------------------------------------------------------------------------------


def searched() -> Trace:
    """Two steps; of the first's two children one is right; a judge saw the first two."""
    part = lambda text, stop, *tokens: Completion((1,), tokens, text, (-1.0,) * len(tokens), stop)
    a, b = part("a ;", "stop", 1), part("b ;", "stop", 2)
    good, bad = part("a ; yes", "end", 1, 3), part("a ; no", "end", 1, 4)
    end = part("b ; no", "end", 2, 4)
    events = [
        Event(Draw("task 0", n=2), [a, b]), Event(Judge([a, b], "critic"), [0.75, 0.25]),
        Event(Draw(a, n=2), [good, bad]), Event(Draw(b), [end]),
    ]  # fmt: skip
    verdicts = [Verdict(Outcome.PASS if "yes" in c.text else Outcome.FAIL) for c in (a, b, good, bad, end)]
    return Trace(TASKS[0], "beam", events=events, answer=good, verdict=verdicts[2], verdicts=verdicts)


def rows(shape: str, *traces: Trace) -> list[dict[str, Any]]:
    return list(rows_of([json.loads(json.dumps(trace_json(t))) for t in traces or (searched(),)], formats[shape]))


def test_a_search_gives_accepted_answers_pairs_labels_and_values_of_its_steps() -> None:
    assert rows("sft") == rows("chosen") == [{"prompt": "task 0", "completion": "a ; yes"}]
    assert rows("pairs") == [{"prompt": "task 0", "chosen": "a ; yes", "rejected": "a ; no"}]
    assert [(r["completion"], r["label"]) for r in rows("labels")] == [("a ; yes", True), ("a ; no", False), ("b ; no", False)]
    assert [(r["prefix"], r["step"], r["value"], r["n"]) for r in rows("steps")] == [
        ("", "a ;", 0.5, 2), ("", "b ;", 0.0, 1), ("a ;", " yes", 1.0, 1), ("a ;", " no", 0.0, 1), ("b ;", " no", 0.0, 1),
    ]  # fmt: skip
    [task] = rows("verl")
    assert task["prompt"] == [{"role": "user", "content": "task 0"}] and task["reward_model"]["ground_truth"] == "0"
    assert task["extra_info"]["passed"] == 1 and task["extra_info"]["judged"] == 3


def test_a_reward_function_for_verl_finds_what_the_verifier_needs(tmp_path: Path) -> None:
    """As docs/search.md writes it; through Parquet, which is what verl reads."""
    import pyarrow.parquet

    from ratchet.verify.verifier import find

    task = Source("countdown").take("train", 1, "verl")[0]
    right, wrong = gold(task), f"{gold(task)} + 0"
    draws = [Completion((1,), (i,), text, (-1.0,), "end") for i, text in enumerate((right, wrong))]
    verdicts = [find(task.verifier)(task, c.text) for c in draws]
    trace = Trace(
        task, "s", events=[Event(Draw(task.prompt, n=2), draws)], answer=draws[0], verdict=verdicts[0], verdicts=verdicts
    )
    write_rows(tmp_path / "v.parquet", rows("verl", trace))
    [row] = pyarrow.parquet.read_table(tmp_path / "v.parquet").to_pylist()
    assert row["data_source"] == "countdown" and row["reward_model"]["ground_truth"] == str(task.answer)
    [code] = re.findall(r"```python\n(.*?)```", Path("docs/search.md").read_text(encoding="utf-8"), re.DOTALL)
    space: dict[str, Any] = {}
    exec(code, space)
    score = lambda text: space["compute_score"](row["data_source"], text, row["reward_model"]["ground_truth"], row["extra_info"])
    assert (score(right), score(wrong)) == (1.0, 0.0)


def test_a_part_is_no_answer_and_what_was_not_judged_teaches_nothing() -> None:
    trace = searched()
    trace.verdicts[2] = Verdict(Outcome.ABSTAIN, "late")
    assert rows("sft", trace) == [] and reached(trace_json(trace))[0] == (0, 1)


def test_what_a_search_dropped_and_what_the_user_said_are_no_answers() -> None:
    dropped = searched()
    del dropped.events[3], dropped.verdicts[4]  # b was judged, and nothing went on from it
    assert [r["completion"] for r in rows("labels", dropped)] == ["a ; yes", "a ; no"]
    assert all(r["prefix"] + r["step"] != "b ;" for r in rows("steps", dropped))
    first = Completion((1,), (5,), "no", (-1.0,), "end")
    again = Completion((1,), (5, 6, 7), "no again yes", (-1.0, 0.0, -1.0), "end", given=(1,))
    verdicts = [Verdict(Outcome.FAIL), Verdict(Outcome.PASS)]
    turns = Trace(
        TASKS[0], "try-again", events=[Event(Draw("task 0"), [first]), Event(Draw(first, then="again", turn=True), [again])],
        answer=again, verdict=verdicts[1], verdicts=verdicts,
    )  # fmt: skip
    assert rows("sft", turns) == rows("chosen", turns) == []
    other = Trace(
        TASKS[0],
        "debate",
        events=[Event(Draw("task 0, and others say 5"), [first])],
        answer=first,
        verdict=verdicts[1],
        verdicts=verdicts[1:],
    )
    assert rows("sft", other) == rows("chosen", other) == []


def test_a_file_of_something_else_and_nested_columns(tmp_path: Path, ratchet: Any) -> None:
    with gzip.open(tmp_path / "x.jsonl.gz", "wt") as file:
        file.write('{"a": 1}\n')
    done = ratchet("traces", "export", str(tmp_path / "x.jsonl.gz"), str(tmp_path / "y.jsonl"))
    assert done.code == 2 and "holds no traces" in done.err
    write_rows(tmp_path / "raw.parquet", rows("raw"))


def test_a_tree_is_told_as_one(tmp_path: Path) -> None:
    told = [(i, depth, text) for i, depth, text, _ in tree_of(trace_json(searched()))]
    assert told == [(0, 0, "a ;"), (2, 1, "yes"), (3, 1, "no"), (1, 0, "b ;"), (4, 1, "no")]
    assert tree_of(trace_json(searched()))[0][3] == [("critic", 0.75)]


def test_rows_are_written_as_their_name_says(tmp_path: Path) -> None:
    import pyarrow.parquet

    found = rows("pairs")
    for name in ("a.jsonl", "a.jsonl.gz", "a.parquet"):
        write_rows(tmp_path / name, found)
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == found
    assert [json.loads(line) for line in gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()] == found
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pylist() == found
    with pytest.raises(StoreError, match=r"none of \.jsonl"):
        write_rows(tmp_path / "a.txt", found)


# ---- as a user -----------------------------------------------------------------------------------------------------


def test_bench_and_export_from_the_command_line(tmp_path: Path, ratchet: Any) -> None:
    out = tmp_path / "bench"
    small = ("--n", "4", "--max-tokens", "24", "--budgets", "30,60", "--out", str(out))
    done = ratchet("search", "bench", "--strategies", "single; best-of-n", *small)
    assert done.code == 0 and "over its placebo" in done.out and (out / "bench.html").is_file(), done.err
    traces = tmp_path / "t.jsonl.gz"
    assert ratchet("eval", "--n", "6", "--samples", "4", "--max-tokens", "24", "--traces", str(traces)).code == 0
    done = ratchet("traces", "export", str(traces), str(tmp_path / "labels.jsonl"), "--as", "labels")
    assert done.code == 2 and "of held-out tasks" in done.err
    assert (
        ratchet("eval", "--n", "6", "--samples", "4", "--split", "train", "--max-tokens", "24", "--traces", str(traces)).code == 0
    )
    done = ratchet("traces", "export", str(traces), str(tmp_path / "labels.jsonl"), "--as", "labels")
    assert done.code == 0 and (tmp_path / "labels.jsonl").read_text().count("\n") >= 6 and list(read_traces(traces)), done.err


def test_what_another_model_of_the_same_name_did_is_not_used_again(tmp_path: Path, ratchet: Any) -> None:
    from safetensors.torch import load_file, save_file

    from ratchet.models.load import BUILTIN

    model, file = tmp_path / "model", tmp_path / "model" / "model.safetensors"
    shutil.copytree(BUILTIN, model)
    small = ("--strategies", "single", "--n", "2", "--max-tokens", "4", "--budgets", "30", "--out", str(tmp_path / "bench"))
    assert ratchet("search", "bench", str(model), *small).code == 0
    assert ratchet("search", "bench", str(model), *small).code == 0
    save_file({name: 2 * w for name, w in load_file(file).items()}, file)
    done = ratchet("search", "bench", str(model), *small)
    assert done.code == 2 and "other settings (model digest); give --out another folder" in done.err, done.err


def test_a_model_that_cannot_read_the_question_is_heard_of_before_anything_is_drawn(
    ratchet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.models.engine.LocalEngine.sample", lambda *args: pytest.fail("something was drawn"))
    over = (
        "vote-over:inner=adaptive-sampling",
        ("--strategy", "vote-over", "--knob", "inner=(adaptive-sampling:n=2,enough=0.5)"),
    )
    for args in (
        ("eval", "builtin", "--strategy", "adaptive-sampling"), ("search", "bench", "--strategies", "single; prune"),
        ("eval", "builtin", *over[1]), ("search", "bench", "--strategies", over[0]),
    ):  # fmt: skip
        done = ratchet(*args, "--n", "2")
        assert done.code == 2 and "cannot read that; name another scorer" in done.err and "scorer=logprob" in done.err, done.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("search", "bench", "--strategies", "best-of"), "did you mean"),
        (("search", "bench", "--strategies", "vote:k=2"), "no knob"),
        (("search", "bench", "--budgets", "10,x"), "--budgets takes numbers"),
        (("search", "bench", "--critic", "value"), "NAME=FOLDER"),
        (("eval", "--traces", "t.txt"), "must end in .jsonl.gz"),
        (("search", "bench", "--strategies", " ; "), '--strategies names none, got " ; "'),
        (("search", "bench", "--strategies", "vote:n=(3"), "must be closed"),
        (("traces", "export", "nowhere.jsonl.gz", "x.jsonl"), "nowhere.jsonl.gz does not exist"),
        (("traces", "export", "nowhere", "x.jsonl", "--as", "sf"), "did you mean"),
    ],
)
def test_bad_input_is_one_sentence(args: tuple[str, ...], words: str, ratchet: Any) -> None:
    done = ratchet(*args)
    assert done.code == 2 and words in done.err and "Traceback" not in done.err, done.err


@pytest.mark.parametrize(
    ("name", "knobs", "words"),
    [
        ("adaptive-consistency", "sure=0.5", "sure must be above 0.5"), ("tool-use", "opens=", "opens must be a text that is not empty"),
        ("budget-forcing", "thinking=abc", "takes int (default: none), got 'abc'"), ("vote", "temperature=NaN", "takes a number, got nan"),
        ("abstraction", "most=0", "most must be 1 or more"), ("best-of-n", "scorer=orakle", 'did you mean "oracle"'),
        ("tool-use", "tool=calc", 'did you mean "calculator"'), ("retry", "scorer=", 'asks for ""'), ("debate", "rounds=0", "rounds must be 1"),
        ("beam", "step=no,step_tokens=4", "has no effect beside step_tokens=4"), ("vote", "n=0", "n must be at least 1"),
        ("vote-over", "inner=best-of-n:scorer=orakle", 'did you mean "oracle"'), ("single", "temperature=-1", "temperature of at least 0"),
    ],
)  # fmt: skip
def test_knobs_out_of_range_are_heard_of_before_a_model_is_loaded(
    name: str, knobs: str, words: str, ratchet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.models.load.load_policy", lambda *args: pytest.fail("a model was loaded"))
    pairs = [part for knob in knobs.split(",") for part in ("--knob", knob)]
    for args in (("eval", "builtin", "--strategy", name, *pairs), ("search", "bench", "--strategies", f"single; {name}:{knobs}")):
        done = ratchet(*args)
        assert done.code == 2 and words in done.err and "Traceback" not in done.err and done.err.count("\n") == 1, done.err


def test_traces_of_the_held_out_split_are_exported_by_name_only(tmp_path: Path, ratchet: Any) -> None:
    (tmp_path / "traces").mkdir()
    write_traces(tmp_path / "traces" / "heldout-champion.jsonl.gz", [searched()])
    done = ratchet("traces", "export", str(tmp_path), str(tmp_path / "x.jsonl"))
    assert done.code == 2 and "heldout-champion: choose with --of" in done.err
    done = ratchet("traces", "export", str(tmp_path), str(tmp_path / "x.jsonl"), "--of", "heldout-champion")
    assert done.code == 0 and "1 rows as sft from 1 traces" in done.out


# ---- what the page shows -------------------------------------------------------------------------------------------


def grown(kind: str, *generations: Sequence[tuple[int | None, float]]) -> dict[str, Any]:
    """A stored trace: for each draw what it went on from, and its score."""
    draws = [(parent, score) for own in generations for parent, score in own]
    return {
        "key": kind, "sample": 0, "prompt": "?", "gold": 1, "outcome": "pass", "evidence": "", "chosen": 0,
        "draws": [{"role": "solver", "text": "x", "stop": "stop", "tokens": 1, "parent": p, "given": 0} for p, _ in draws],
        "judgements": [["logprob", [score for _, score in draws], list(range(len(draws)))]],
    }  # fmt: skip


def test_trees_and_populations_are_told_by_how_their_draws_went_on() -> None:
    roots = [(None, 0.9), (None, 0.6), (None, 0.3)]
    beam = grown("beam", roots, [(0, 0.8), (0, 0.7), (1, 0.5)])  # the better part has more draws
    particles = grown("particles", roots, [(0, 0.8), (2, 0.7), (2, 0.5)])  # chance copied the worst
    lookahead = grown("lookahead", roots, [(0, 0.9), (1, 0.5), (2, 0.1), (2, 0.8), (2, 0.7)])  # one each, thrown away
    assert [shape_of([trace]) for trace in (beam, particles, lookahead)] == ["tree", "population", "tree"]
    gibbs = grown("gibbs", roots, [(0, 0.8), (1, 0.7)], roots, [(5, 0.2), (7, 0.3), (7, 0.1)])
    assert shape_of([gibbs]) == "population"
    turns = grown("turns", [(None, 0.1)], [(0, 0.5)], [(1, 0.9)])
    assert shape_of([grown("vote", roots)]) == shape_of([turns]) == ""


def test_the_page_shows_the_best_tree_and_the_best_population_and_names_groups_by_plans(tmp_path: Path) -> None:
    roots = [(None, 0.9), (None, 0.6), (None, 0.3)]
    shapes = {
        "retry": grown("t", roots), "vote": grown("t", roots), "best-of-n": grown("t", roots),
        "beam": grown("t", roots, [(0, 0.8), (0, 0.7), (1, 0.5)]), "mcts": grown("t", roots, [(0, 0.8), (0, 0.7)]),
        "particle-vote": grown("t", roots, [(0, 0.8), (2, 0.7), (2, 0.5)]),
    }  # fmt: skip
    (tmp_path / "traces").mkdir()
    for plan, trace in shapes.items():
        with gzip.open(tmp_path / "traces" / f"{file_name(plan, 1)}.jsonl.gz", "wt") as file:
            file.write(json.dumps(trace) + "\n")
    spots = [spot(plan, 20, [1.0]) for plan in shapes]
    ranked = [Area(plan, Estimate(1 - i / 10, 0, 1, 1)) for i, plan in enumerate(shapes)]
    data = browsed(tmp_path, spots, ranked)
    assert data["columns"] == [f"{plan} at size 1" for plan in ("retry", "vote", "beam", "particle-vote")]
    assert [g["name"] for g in data["groups"]] == ["by all"]
    assert solved_by(["beam", "vote"]) == {"11": "by beam and vote", "10": "only by beam", "01": "only by vote", "00": "by none"}
    [chart, of_operations] = all_of(spots, ranked, "tokens")
    assert chart.count('class="line s') == 12 and "All strategies: accuracy against sampled tokens" in chart  # and in the legend
    assert "All strategies: accuracy against operations" in of_operations
    many = [replace(spot("vote", 20, [1.0]), plan=f"vote:n={i}") for i in range(12)]
    assert (
        "The 10 strategies of the largest areas" in all_of(many, [Area(s.plan, Estimate(1, 0, 1, 1)) for s in many], "tokens")[0]
    )
