"""The report: whole, self-contained, honest in words, and safe against what a model wrote."""

from __future__ import annotations

import gzip
import json
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ratchet.core.errors import StoreError
from ratchet.core.journal import Journal
from ratchet.loop.recipe import Imitation, Recipe, recipe_hash, resolve, to_json
from ratchet.report import sections, traces
from ratchet.report.chart import Point, Series, number, percent, whole, x_scale, y_scale
from ratchet.report.page import write_report
from ratchet.report.sections import sharpening

HOSTILE = (
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> \" ' & $title ${css} {{x}} "
    "\x00\x1b[31m\u202e\u2028 \ud800"
)
VERSIONS = {"python": "3.11.2", "torch": "2.13.0"}


def six_turns() -> Recipe:
    """The main job with a number of turns that the recipe's own may not change under these tests."""
    return resolve("countdown", ["reinforcement.turns=6"])


def estimate(value: float, half: float = 0.02, n: int = 500, level: float = 0.95) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n, "unit": "tasks", "level": level}


def trace(key: str, sample: int, passed: bool, text: str = "") -> dict[str, Any]:
    outcome = {"outcome": "pass" if passed else "fail", "evidence": "is 24" if passed else "is 23, not 24", "answer": "4 * 6"}
    said = text or f"try 4 * {sample} = {4 * sample} no try 4 * 6 = 24 yes answer 4 * 6"
    return {
        "key": key, "prompt": f"numbers 4 6 {int(key, 16) % 20} target 24 :", "gold": 24, "facts": {"numbers": [4, 6]},
        "strategy": "single", "sample": sample, "chosen": 0, "judgements": [], **outcome, "cost": {"sampled_tokens": 21},
        "draws": [{"role": "solver", "text": said, "stop": "end", "tokens": 21, **outcome}],
    }  # fmt: skip


def put_traces(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))


def put_turn(journal: Journal, turn: int, phase: str, decision: str, reward_is_truth: bool = True) -> None:
    solved = 0.31 + 0.05 * turn
    metrics: dict[str, Any] = {"loss": 0.02 / (turn + 1), "grad_norm": 0.4, "lr": 3e-4, "sequences": 512.0, "ratio_off": 0.0}
    if phase == "reinforcement":
        metrics |= {"reward": solved if reward_is_truth else 0.5, "solved": solved, "mean_tokens": 40.0 - turn, "abstained": 0.0}
        metrics |= {"stop_end": 0.97, "stop_length": 0.03, "entropy": 0.6 - 0.05 * turn}
    parts = {"sampling": {"seconds": 20.0, "sampled_tokens": 286_720, "prefix_tokens": 7_000, "draws": 7_168},
             "verification": {"seconds": 1.5}, "training": {"seconds": 24.0, "trained_tokens": 340_000},
             "gate": {"seconds": 9.0, "sampled_tokens": 150_000}}  # fmt: skip
    value, word = {"PROMOTE": (0.031, "better"), "ROLL BACK": (-0.035, "worse"), "GO ON": (0.004, "cannot tell yet")}[decision]
    journal.append(
        "turn", turn=turn, phase=phase, metrics=metrics, decision=decision, lr=3e-4, cost=parts, seconds=56.0,
        pass_at_1={"champion": estimate(0.30 + 0.04 * turn), "challenger": estimate(0.30 + 0.04 * turn + value)},
        reason=f"challenger minus champion {value:+.3f} [...] at 98.33% on 500 tasks: {word}",
        interval=estimate(value, 0.029, level=0.9833),
    )  # fmt: skip


def summary_of(recipe: Recipe, names: list[str], promoted: bool, gain: float) -> dict[str, Any]:
    ks = [1 << i for i in range(7)]
    stages = [
        {
            "stage": name, "pass_at_1": estimate(0.33 + gain * (i == len(names) - 1), 0.021, 1_000), "mean_tokens": 41.2 - 3 * i,
            "pass_at_k": [{"k": k, **estimate(1 - (0.67 - gain * (i == len(names) - 1)) * k**-0.35, 0.04, 200)} for k in ks],
            "stops": {"end": 0.95 + 0.01 * i, "stop": 0.0, "length": 0.05 - 0.01 * i}, "abstained": 0,
        }
        for i, name in enumerate(names)
    ]  # fmt: skip
    half = 0.02 if gain else 0.0
    cost = {"sampling": {"seconds": 120.0, "sampled_tokens": 1_720_320, "prefix_tokens": 42_000, "draws": 43_008},
            "verification": {"seconds": 9.0}, "training": {"seconds": 144.0, "trained_tokens": 2_040_000},
            "gate": {"seconds": 54.0, "sampled_tokens": 900_000},
            "measuring": {"seconds": 61.0, "sampled_tokens": 1_300_000}}  # fmt: skip
    return {
        "recipe": recipe.name, "recipe_hash": recipe_hash(recipe), "seed": recipe.seed, "stages": stages, "promoted": promoted,
        "before": stages[-2]["pass_at_1"], "after": stages[-1]["pass_at_1"], "difference": estimate(gain, half, 1_000),
        "pass_at_k": {"before": stages[-2]["pass_at_k"], "after": stages[-1]["pass_at_k"],
                      "difference": [{"k": k, **estimate(gain * (1 - i / 6), half, 200)} for i, k in enumerate(ks)]},
        "baselines": {"last number": {"pass_at_1": estimate(0.12), "model_ahead_by": estimate(0.3)}} if len(names) > 2 else {},
        "gates": [], "shared_keys": {"train": 0, "validation": 0, "heldout": 1_000}, "cost": cost, "seconds": 402.0,
        "versions": VERSIONS, "threads": 2,
    }  # fmt: skip


def make_run(folder: Path, *, finished: bool = True, promoted: bool = True, phases: int = 1, reward: str = "verdict",
             text: str = "", tasks: int = 60) -> Path:  # fmt: skip
    """A run's folder as `Run` leaves it."""
    folder.mkdir(parents=True)
    recipe = replace(six_turns(), reward=reward, imitation=Imitation(turns=2) if phases == 2 else None)
    (folder / "recipe.json").write_text(json.dumps(to_json(recipe)))
    journal = Journal(folder / "journal.jsonl")
    journal.append("start", threads=2, recipe_hash=recipe_hash(recipe), versions=VERSIONS)
    names = ["imitation"] * (2 * (phases - 1)) + ["reinforcement"] * 6
    decisions = ["PROMOTE", "GO ON", "PROMOTE", "ROLL BACK"] if promoted else ["GO ON"]
    for turn, phase in enumerate(names if finished else names[:3]):
        put_turn(journal, turn, phase, decisions[turn % len(decisions)], reward == "verdict")
    if not finished:
        put_traces(folder / "traces" / "turn-0002.jsonl.gz", [trace(f"{i:016x}", 0, i % 2 == 0, text) for i in range(16)])
        return folder
    stages = ["0-start", "1-imitation", "2-reinforcement"] if phases == 2 else ["0-start", "2-reinforcement"]
    summary = summary_of(recipe, stages, promoted, 0.093 if promoted else 0.0)
    (folder / "summary.json").write_text(json.dumps(summary))
    journal.append("done", seconds=402.0)
    coin = random.Random(0)
    for share, name in zip((0.2, 0.4), stages[-2:], strict=True):
        rows = [trace(f"{i * 7919:016x}", s, coin.random() < share, text) for i in range(tasks) for s in range(4)]
        put_traces(folder / "traces" / f"heldout-{name}.jsonl.gz", rows)
    return folder


class Reader(HTMLParser):
    """What a browser would find: tags, attributes, scripts, and whether every element that opens also closes."""

    VOID = frozenset({"meta", "input", "br", "img", "link"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif not self.open or self.open[-1] != "style":
            self.text += data


def read(folder: Path) -> tuple[str, Reader]:
    html = write_report(folder).read_text(encoding="utf-8")
    reader = Reader(html)
    assert not reader.open, "every element closes"
    return html, reader


def data_of(reader: Reader) -> dict[str, Any]:
    return json.loads(reader.scripts[0])


# ---- what the page says ------------------------------------------------------------------------------------------


def test_finished_run(tmp_path: Path) -> None:
    _, page = read(make_run(tmp_path / "run"))
    assert "Held-out pass@1: 33.0% → 42.3%" in page.text
    assert "+9.3 [+7.3, +11.3] points (paired, 95% interval, n = 1,000 tasks)" in page.text
    assert "3 of 6 looks of the gate promoted the challenger; the last at turn 5" in page.text
    assert "Sharpening: one sample is right more often" in page.text
    assert "Both coincide" in page.text
    assert "None: the splits share no task" in page.text
    for title in ("Gate", "Learning", "pass@k", "Length and stop reasons", "Traces", "Where the time went", "Recipe"):
        assert ("section", "id", sections.anchor(title)) in page.attributes
    for absent in ("Baselines", "Stages"):
        assert ("section", "id", sections.anchor(absent)) not in page.attributes


def test_nothing_promoted_is_said_plainly(tmp_path: Path) -> None:
    _, page = read(make_run(tmp_path / "run", promoted=False, reward="random"))
    assert "Nothing was promoted: the delivered model is the one that the run started from, unchanged." in page.text
    assert "No difference on held-out tasks was shown." in page.text
    assert "They come apart" in page.text


def test_three_stages_and_baselines(tmp_path: Path) -> None:
    _, page = read(make_run(tmp_path / "run", phases=2))
    assert "(after imitation) to 42.3% [40.2%, 44.4%] (after reinforcement)" in page.text
    assert "Loss, imitation" in page.text and "Loss, reinforcement" in page.text
    assert "last number" in page.text and "ahead" in page.text
    assert ("section", "id", "stages") in page.attributes


def test_unfinished_run_shows_what_there_is(tmp_path: Path) -> None:
    _, page = read(make_run(tmp_path / "run", finished=False))
    assert "This run is unfinished" in page.text and "3 of 6 turns are done" in page.text
    assert "Held-out pass@1" not in page.text
    assert data_of(page)["columns"] == ["turn 3"]


def test_run_that_has_only_begun(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(to_json(six_turns())))
    _, page = read(tmp_path)
    assert "0 of 6 turns are done" in page.text and "No gate has looked yet" in page.text


def test_a_turn_that_was_done_again_counts_once(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", finished=False)
    put_turn(Journal(folder / "journal.jsonl"), 2, "reinforcement", "ROLL BACK")
    _, page = read(folder)
    assert "3 of 6 turns are done" in page.text and "ROLL BACK" in page.text


def test_a_real_run(tiny_run: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = tiny_run
    _, page = read(folder)
    assert f"{summary['after']['value']:.1%}" in page.text
    assert data_of(page)["all"] == 40


@pytest.mark.parametrize(
    ("one", "many", "word"),
    [(0.1, 0.1, "Coverage grew"), (0.1, 0, "Sharpening:"), (0.1, -0.1, "at the cost"), (0, 0, "Neither"), (-0.1, -0.1, "Both")],
)
def test_sharpening_in_words(one: float, many: float, word: str) -> None:
    assert word in sharpening([{"k": 1, **estimate(one)}, {"k": 64, **estimate(many)}])


# ---- where there is no page to write -----------------------------------------------------------------------------


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no run"):
        write_report(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_damaged_summary(tmp_path: Path, text: str) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "summary.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=r"summary\.json is damaged"):
        write_report(folder)


def test_damaged_traces_do_not_cost_the_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "traces" / "heldout-0-start.jsonl.gz").write_bytes(b"not gzip")
    assert "The traces cannot be shown" in read(folder)[1].text
    (folder / "traces" / "heldout-0-start.jsonl.gz").unlink()
    assert "The traces are not in the run's folder: heldout-0-start.jsonl.gz" in read(folder)[1].text


# ---- one file, safe and small ------------------------------------------------------------------------------------


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    calm, wild = read(make_run(tmp_path / "calm"))[1], read(make_run(tmp_path / "wild", text=HOSTILE))[1]
    assert wild.tags == calm.tags, "no text of a model becomes an element"
    shown = data_of(wild)["tasks"][0]["samples"][0][0][2][0][1]
    assert shown.startswith("</script><script>alert(1)</script><!-- <img") and "$title ${css} {{x}}" in shown
    assert not set("\x00\x1b\u202e\u2028\ud800") & set(shown)


def test_hostile_records_stay_text(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", phases=2)
    calm = read(folder)[1]
    recipe = json.loads((folder / "recipe.json").read_text())
    recipe["name"] = recipe["model"] = recipe["tasks"]["path"] = recipe["reward"] = HOSTILE
    (folder / "recipe.json").write_text(json.dumps(recipe))
    journal = folder / "journal.jsonl"
    entries = Journal(journal).entries
    journal.unlink()
    for entry in entries:
        Journal(journal).append(**({**entry, "reason": HOSTILE} if entry["kind"] == "turn" else entry))
    summary = json.loads((folder / "summary.json").read_text())
    summary["baselines"] = {HOSTILE: summary["baselines"]["last number"]}
    (folder / "summary.json").write_text(json.dumps(summary))
    wild = read(folder)[1]
    assert wild.tags == calm.tags and "alert(1)" in wild.text


def test_hostile_text_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="closes nothing"):
        Reader(f"<p>{HOSTILE}</p>")


def test_asks_the_network_for_nothing(tmp_path: Path) -> None:
    html, page = read(make_run(tmp_path / "run", phases=2))
    assert not [a for a in page.attributes if a[1] in ("src", "action", "style") or a[1].startswith("on")]
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    assert not re.search(r"https?://|@import|url\(", html)
    assert "default-src 'none'" in html


def test_same_records_same_bytes(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_traces_are_trimmed_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MOST_BYTES", 12_000)
    folder = make_run(tmp_path / "run", tasks=200)
    _, page = read(folder)
    data = data_of(page)
    assert 0 < len(data["tasks"]) < 200 == data["all"] == sum(g["counts"][1] for g in data["groups"])
    assert f"{len(data['tasks'])} of 200 held-out tasks" in page.text
    assert all(g["counts"][0] for g in data["groups"]), "each group has its share"


def test_size_at_its_worst(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=400, text="<" * 9_000)
    html, page = read(folder)
    assert len(html.encode()) <= 5_000_000
    assert "characters left out" in data_of(page)["tasks"][0]["samples"][0][0][2][0][1]


def test_charts_speak_and_tables_have_heads(tmp_path: Path) -> None:
    _, page = read(make_run(tmp_path / "run", phases=2))
    charts = [a for a in page.attributes if a[0] == "svg" and a[1:] == ("role", "img")]
    labels = [a for a in page.attributes if a[0] == "svg" and a[1] == "aria-label" and len(a[2]) > 20]
    assert len(charts) == len(labels) > 8
    assert page.tags.count("table") <= page.tags.count("thead")
    assert page.tags.count("h1") == 1 and ("html", "lang", "en") in page.attributes


def test_no_two_elements_share_an_id(tmp_path: Path) -> None:
    _, page = read(make_run(tmp_path / "run", phases=2))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _, name, value in page.attributes if name == "href"} <= set(ids)


def test_ticks_stand_at_points_and_leave_room() -> None:
    def ticks(values: list[float]) -> list[float]:
        return list(x_scale([Series("s", [Point(v, 0.0) for v in values])], whole("turn")).ticks)

    assert ticks([0, 25, 50, 75]) == [0, 25, 50, 75]
    assert ticks([1, *range(5, 61, 5)]) == [10, 20, 30, 40, 50, 60]
    assert ticks(list(range(1, 31))) == [5, 10, 15, 20, 25, 30]
    assert ticks([0, 1, 100]) == [0, 100]


def test_an_axis_of_shares_ends_where_shares_do() -> None:
    wide = [Series("a", [Point(1, 0.7, -0.4, 1.8), Point(2, 0.8, 0.1, 1.5)])]
    assert (y_scale(wide, percent("right"), False).low, y_scale(wide, percent("right"), False).high) == (0.0, 1.0)
    assert y_scale(wide, number("nats"), False).high > 1.5
    below = [Series("a", [Point(1, -0.1, -0.4, 0.2)])]
    assert y_scale(below, percent("rise"), False).low < -0.3
