"""Every registered study keeps the contract; and the house: outcomes, what is kept, what is stale, what is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ratchet.core.errors import StoreError, StudyError
from ratchet.core.types import Estimate
from ratchet.studies import running
from ratchet.studies.pages import lines, shown, study_page, write_pages
from ratchet.studies.running import kept, records, results_of, run_study
from ratchet.studies.study import Check, Claim, Outcome, Study, judged, studies

# ---- the contract ------------------------------------------------------------------------------------------------


def comes_out(study: Study) -> None:
    """Each outcome can be had, by every claim, from results that could have been."""
    for outcome in Outcome:
        results = [json.loads(json.dumps(study.imagined(outcome, seed), allow_nan=False)) for seed in range(study.seeds)]
        for claim in judged(study, results):
            assert claim["outcome"] == outcome, f"{study.name}: {claim['name']} is {claim['outcome']}, imagined {outcome}"
    for claim in study.claims:
        assert claim.checks and all(math.isfinite(c.least) or math.isfinite(c.most) for c in claim.checks)
    assert len(study.arms) > 1 and study.seeds > 1
    assert all((study.tasks, study.metric, study.budget, study.departures, study.scale, study.paper))
    assert any(word in what for what in study.arms.values() for word in ("placebo", "control")), "an arm that must do nothing"


def runs_quickly(study: Study) -> None:
    """A quick run gives what the checks and the figures need, as JSON."""
    said: list[str] = []
    result = json.loads(json.dumps(study.run(0, True, said.append), allow_nan=False))
    assert said, "a run says what it does"
    for claim in judged(study, [result]):
        assert all(math.isfinite(c["effect"]["value"]) for c in claim["checks"])
    assert all("<figure>" in figure for figure in study.figures([result]))
    assert study.figures([result])


@pytest.mark.parametrize("name", [e.name for e in studies])
def test_a_study_can_come_out_in_every_way(name: str) -> None:
    comes_out(studies[name])


@pytest.mark.parametrize("name", [e.name for e in studies])
def test_a_study_runs_quickly(name: str) -> None:
    try:
        runs_quickly(studies[name])
    except StudyError as e:
        if "apt-get install" not in str(e):
            raise
        pytest.skip(str(e))  # it needs programs of the system's, and says which


# ---- a study of coins, to look at the house with ------------------------------------------------------------------


def tossed(results: Any) -> Estimate:
    heads = [r["heads"] for r in results]
    center = sum(heads) / len(heads)
    return Estimate(center, center - results[0]["half"], center + results[0]["half"], len(heads), "seeds")


def imagined(outcome: Outcome, seed: int) -> dict[str, Any]:
    return {"heads": {"HELD": 0.9, "FAILED": 0.1, "UNRESOLVED": 0.52}[outcome], "half": 0.1}


def toss(seed: int, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    say("a coin is tossed")
    return {"heads": 0.8 + seed / 100, "half": 0.1}


COINS = Study(
    name="coins", title="Coins", paper="none", claims=(Claim("heads", "Heads come.", (Check("heads", tossed, 0.5),)),),
    arms={"a coin": "bent", "a fair coin": "placebo"}, tasks="tosses", metric="heads", budget="none", departures="none",
    scale="small", run=toss, imagined=imagined, figures=lambda rs: ["<figure></figure>"],
)  # fmt: skip


@pytest.fixture
def coins(monkeypatch: pytest.MonkeyPatch) -> Study:
    """The study is known here only, so its seeds run in this process."""
    monkeypatch.setitem(studies._entries, "coins", replace(studies.entry("binary-bias"), name="coins", value=COINS))

    def here(commands: Any, at_once: int, tell: Any, end: Any) -> None:
        for seed, (_, *arguments) in commands.items():
            running.one_seed(lambda event, seed=seed: tell(seed, event), arguments)
            end(seed, "")

    monkeypatch.setattr(running, "side_by_side", here)
    return COINS


def test_the_contract_catches_what_cannot_fail_and_what_is_not_joined() -> None:
    comes_out(COINS)
    runs_quickly(COINS)
    always = replace(COINS, claims=(Claim("always", "It holds.", (Check("heads", tossed, -1.0),)),))
    with pytest.raises(AssertionError, match="always is HELD"):
        comes_out(always)
    with pytest.raises(AssertionError, match="must do nothing"):
        comes_out(replace(COINS, arms={"a coin": "bent", "another": "bent too"}))
    with pytest.raises(KeyError):
        runs_quickly(replace(COINS, run=lambda seed, quick, say: say("nothing") or {"tails": 1}))


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.5, 0.7, "HELD"), (0.2, 0.49, "FAILED"), (0.49, 0.7, "UNRESOLVED"), (0.5, 1.1, "UNRESOLVED"), (1.01, 1.2, "FAILED")],
)
def test_an_outcome_takes_the_whole_interval(low: float, high: float, outcome: str) -> None:
    check = Check("x", tossed, 0.5, 1.0)
    assert check.outcome(Estimate((low + high) / 2, low, high, 10)) == outcome


def test_an_unresolved_check_says_how_many_would_settle_it() -> None:
    # half a width of 0.2 around 0.6 must shrink to 0.1: four times the units
    assert Check("x", tossed, 0.5).needed(Estimate(0.6, 0.4, 0.8, 10)) == 40
    assert Check("x", tossed, 0.5).needed(Estimate(0.5, 0.4, 0.6, 10)) is None


def test_a_claim_is_as_good_as_its_weakest_check() -> None:
    held, failed, open_ = Check("h", tossed, 0.1), Check("f", tossed, 0.95), Check("u", tossed, 0.85)
    outcome = lambda *checks: judged(replace(COINS, claims=(Claim("c", "s", checks),)), [{"heads": 0.8, "half": 0.1}] * 2)[0][
        "outcome"
    ]
    assert outcome(held) == "HELD" and outcome(held, open_) == "UNRESOLVED" and outcome(open_, failed, held) == "FAILED"


def test_finished_seeds_are_kept_and_a_changed_file_makes_them_stale(
    coins: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[int, str]] = []
    record = run_study(coins, range(2), False, tmp_path, 1, lambda s, text: heard.append((s, text)))
    assert record["claims"][0]["outcome"] == "HELD" and heard == [
        (0, "a coin is tossed"), (0, "done"), (1, "a coin is tossed"), (1, "done"),
    ]  # fmt: skip
    heard.clear()
    run_study(coins, range(3), False, tmp_path, 1, lambda s, text: heard.append((s, text)))
    assert heard == [(0, "kept from before"), (1, "kept from before"), (2, "a coin is tossed"), (2, "done")]
    found = records([tmp_path])
    assert [row[0] for row in lines(found)] == ["coins"] and lines(found)[0][-1] == ""
    assert [r["heads"] for r in results_of(coins, *found["coins"])] == pytest.approx([0.8, 0.81, 0.82])
    monkeypatch.setattr(Study, "hash", lambda self: "another")
    assert lines(records([tmp_path]))[0][-1] == "stale"
    assert kept(coins, tmp_path / "coins", 0, False) is None
    assert "<strong>Stale:</strong>" in study_page(coins, found["coins"][0], results_of(coins, *found["coins"]))


def test_a_seed_that_fails_is_named_and_the_others_stay(coins: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = running.one_seed

    def fails(tell: Any, arguments: list[str]) -> None:
        if arguments[1] != "1":
            once(tell, arguments)

    monkeypatch.setattr(running, "one_seed", fails)
    with pytest.raises(StudyError, match=r'"coins": 1 of 3 seeds failed, seed 1: its process ended without a result'):
        run_study(coins, range(3), False, tmp_path, 1, lambda s, text: None)
    assert kept(coins, tmp_path / "coins", 2, False) and not (tmp_path / "coins" / "record.json").exists()


def test_quick_runs_never_enter_the_table(coins: Study, tmp_path: Path) -> None:
    run_study(coins, [0], True, tmp_path, 1, lambda s, text: None)
    assert records([tmp_path]) == {}


def test_a_record_that_is_damaged_or_lost_is_named(coins: Study, tmp_path: Path) -> None:
    run_study(coins, range(2), False, tmp_path, 1, lambda s, text: None)
    (tmp_path / "coins" / "seed-1.json").unlink()
    with pytest.raises(StoreError, match=r"seed-1.json cannot be read .* run study coins again"):
        write_pages(records([tmp_path]), tmp_path / "pages")
    (tmp_path / "coins" / "record.json").write_text("{")
    with pytest.raises(StoreError, match=r"record.json is no record of a study"):
        records([tmp_path])


# ---- as a user calls it -------------------------------------------------------------------------------------------


def test_a_study_runs_in_processes_of_its_own_and_shows_in_the_table(ratchet: Any, tmp_path: Path) -> None:
    again = [ratchet("study", "run", "binary-bias", "--quick", "--out", str(tmp_path)) for _ in range(2)]
    assert [a.code for a in again] == [0, 0]
    assert "seed 0: a small model learns" in again[0].out and "kept from before" in again[1].out
    assert "leave --quick out" in again[0].out
    listed = ratchet("study", "list", "--json")
    assert {s["name"] for s in json.loads(listed.out)} == {e.name for e in studies}


def test_a_wrong_name_says_what_is_near(ratchet: Any) -> None:
    answer = ratchet("study", "run", "binary-byas")
    assert answer.code == 2 and 'no study named "binary-byas"; did you mean "binary-bias"' in answer.err


def test_pages_hold_every_claim(coins: Study, tmp_path: Path) -> None:
    run_study(coins, range(2), False, tmp_path / "runs", 1, lambda s, text: None)
    written = write_pages(records([tmp_path / "runs"]), tmp_path / "pages")
    assert [w.name for w in written] == ["coins.html", "README.md"]
    page, readme = (w.read_text() for w in written)
    assert "Heads come." in page and "<figure></figure>" in page and "0.805 [0.705, 0.905]" in page
    assert "| `coins` | heads | HELD |" in readme


def test_what_was_found_out_afterwards_stands_on_the_page(coins: Study, tmp_path: Path) -> None:
    record = run_study(coins, [0, 1], False, tmp_path / "own", 1, lambda seed, text: None)
    folder = tmp_path / "own" / "coins"
    target = tmp_path / "pages"
    write_pages({"coins": (record, folder)}, target)
    assert "Why" not in (target / "coins.html").read_text()
    (folder / "finding.txt").write_text("It is bent.\n\nBy <hand>.\n")
    write_pages({"coins": (record, folder)}, target)
    page = (target / "coins.html").read_text()
    assert "<p>It is bent.</p><p>By &lt;hand&gt;.</p>" in page


def test_the_hash_covers_what_a_study_shares_with_others(tmp_path: Path) -> None:
    own, shared = tmp_path / "own.py", tmp_path / "small.py"
    own.write_text("from ratchet.studies.small import RATE\nfrom ratchet.studies.study import Study\n")
    shared.write_text("RATE = 1\n")

    class Moved(Study):
        @property
        def file(self) -> Path:
            return own

    study = Moved(**{f: getattr(COINS, f) for f in COINS.__dataclass_fields__})
    before = study.hash()
    shared.write_text("RATE = 2\n")
    assert study.hash() != before


@pytest.mark.parametrize("entry", ["[]", "5", '"x"', "null", '{"hash": "HASH", "quick": false}', '{"result": 3}', "{"])
def test_a_damaged_seed_is_run_again(coins: Study, tmp_path: Path, entry: str) -> None:
    (tmp_path / "coins").mkdir()
    (tmp_path / "coins" / "seed-0.json").write_text(entry.replace("HASH", coins.hash()))
    record = run_study(coins, range(2), False, tmp_path, 1, lambda s, text: None)
    assert record["seeds"] == [0, 1] and kept(coins, tmp_path / "coins", 0, False)


def damaged(record: dict[str, Any], how: str) -> Any:
    claim = record["claims"][0]
    changes: dict[str, Callable[[], Any]] = {
        "no hash": lambda: record.pop("hash"),
        "no claims": lambda: record.update(claims=[]),
        "no checks": lambda: claim.update(checks=[]),
        "an odd name": lambda: record.update(study=5),
        "an odd outcome": lambda: claim.update(outcome="PERHAPS"),
        "an effect of text": lambda: claim["checks"][0]["effect"].update(value="much"),
        "a list": lambda: None,
    }
    changes[how]()
    return [record] if how == "a list" else record


@pytest.mark.parametrize(
    "how", ["no hash", "no claims", "no checks", "an odd name", "an odd outcome", "an effect of text", "a list"]
)
def test_a_damaged_record_is_one_sentence(coins: Study, tmp_path: Path, ratchet: Any, how: str) -> None:
    run_study(coins, range(2), False, tmp_path, 1, lambda s, text: None)
    file = tmp_path / "coins" / "record.json"
    file.write_text(json.dumps(damaged(json.loads(file.read_text()), how)))
    answer = ratchet("study", "table", "--out", str(tmp_path))
    assert answer.code != 0 and "record.json is no record of a study" in answer.err and "Traceback" not in answer.err


def test_one_unit_settles_nothing_and_a_number_without_an_interval_shows_none() -> None:
    assert Check("x", tossed, 0.5).outcome(Estimate(0.9, 0.9, 0.9, 1)) == "UNRESOLVED"
    assert Check("x", tossed, 0.5).outcome(Estimate(0.9, 0.9, 0.9, 3)) == "HELD"
    say = lambda *numbers: shown(asdict(Estimate(*numbers, 3, "seeds")))
    assert say(0.9, 0.9, 0.9) == "0.9 (n = 3 seeds; no interval)"
    assert say(0.9, -math.inf, math.inf) == "0.9 (n = 3 seeds; no interval)"
    assert say(0.9, 0.5, math.inf) == "0.9 [0.5, inf] (n = 3 seeds)"
    assert say(math.nan, math.nan, math.nan) == "unknown (n = 3 seeds)"


def test_records_and_the_table_are_json_that_every_reader_takes(coins: Study, tmp_path: Path, ratchet: Any) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    open_ended = replace(coins, claims=(Claim("c", "s", (Check("c", lambda rs: Estimate(0.5, -math.inf, math.inf, 1), 0.1),)),))
    run_study(open_ended, [0], False, tmp_path, 1, lambda s, text: None)
    json.loads((tmp_path / "coins" / "record.json").read_text(), parse_constant=refuse)
    answer = ratchet("study", "table", "--out", str(tmp_path), "--json", "--write", str(tmp_path / "pages"))
    assert answer.code == 0 and json.loads(answer.out, parse_constant=refuse)
    assert (tmp_path / "pages" / "README.md").exists()
