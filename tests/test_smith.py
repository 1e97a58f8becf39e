"""Competitions of raw data: made, verified, spoiled, graded, solved."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Answer, Server, completion
from test_sequential_search import Saying

from ratchet.core.errors import SmithError
from ratchet.smith import checking, faults, fidelity, making, trying
from ratchet.smith.belonging import entity, neighbours, owner, panel, steps
from ratchet.smith.exporting import to_mle_bench
from ratchet.smith.giveaways import givers, ordering
from ratchet.smith.leaks import Package
from ratchet.smith.model_roles import Model
from ratchet.smith.profiling import profile
from ratchet.smith.roles import Rules

ROWS = 320


def shop(folder: Path) -> Path:
    """Raw data with a number, two classes and three, and columns that must not be used: a key, parts of a sum, a copy of a class."""
    random = np.random.default_rng(3)
    age, income = random.normal(40, 12, ROWS).round(1), random.gamma(4, 9, ROWS).round(2)
    town = random.choice(["north", "south", "east"], ROWS)
    spent = (20 + 0.8 * income + 5 * (town == "north") + random.normal(0, 6, ROWS)).round(2)
    tip = (1 + random.gamma(2, 3, ROWS)).round(2)
    left = random.random(ROWS) < 1 / (1 + np.exp(-(age - 40) / 8))
    frame = pd.DataFrame({
        "customer_id": 1000 + random.permutation(ROWS), "memo": np.where(left, "L9", "K2"), "age": age, "income": income, "town": town,
        "spent": spent, "tip": tip, "total": (spent + tip).round(2), "left": np.where(left, "yes", "no"),
    })  # fmt: skip
    raw = folder / "shop"
    raw.mkdir()
    frame.to_csv(raw / "customers.csv", index=False)
    return raw


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """The raw folder, the folder of the tasks, and what was made."""
    folder = tmp_path_factory.mktemp("smith")
    raw = shop(folder)
    return raw, folder / "out" / "shop", making.make(raw, folder / "out", lambda line: None, most=3, tries=6, jobs=2)


@pytest.fixture(scope="module")
def room(made: tuple[Path, Path, dict[str, Any]]) -> Iterator[Any]:
    with trying.room(made[0]) as sandbox:
        yield sandbox


def task_about(made: tuple[Path, Path, dict[str, Any]], target: str) -> Path:
    for name in made[2]["accepted"]:
        if yaml.safe_load((made[1] / name / "task.yaml").read_text())["targets"] == [target]:
            return made[1] / name
    raise AssertionError(f"no task about {target}: {made[2]['tried']}")


def test_tasks_are_folders_that_stand_alone(made: tuple[Path, Path, dict[str, Any]]) -> None:
    folder = made[1] / made[2]["accepted"][0]
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {*checking.SCRIPTS, *checking.TABLES, "verification.json", "baselines.json"} <= files
    assert "import ratchet" not in (text := (folder / "prepare.py").read_text()) and "from ratchet" not in text
    assert json.loads((folder / "verification.json").read_text())["accepted"]


def test_columns_that_give_the_target_away_are_left_out(made: tuple[Path, Path, dict[str, Any]]) -> None:
    spec = yaml.safe_load((task_about(made, "left") / "task.yaml").read_text())
    assert "memo" not in spec["features"] and "alone" in spec["dropped"]["memo"]
    assert "customer_id" not in spec["features"] and "identifies" in spec["dropped"]["customer_id"]


def test_parts_of_a_sum_are_found() -> None:
    random = np.random.default_rng(0)
    a, b, c = random.gamma(3, 5, 400), random.gamma(2, 2, 400), random.normal(size=400)
    frame = pd.DataFrame({"a": a, "b": b, "c": c, "total": a + b + random.choice([0.5, 1.0], 400)})
    assert "a" in givers(frame, ["a", "b", "c"], "total", False)
    frame["total"] = a + 4 * random.normal(size=400)
    assert not givers(frame, ["a", "b", "c"], "total", False)


def spoiled(folder: Path, name: str, home: Path) -> Path | None:
    """A copy of the task with the fault in it."""
    copy = home / folder.name
    shutil.copytree(folder, copy)
    return copy if faults.faults[name](Package(copy, checking.read_task(copy))) else None


QUICK = (
    "label left in the test set",
    "constant target",
    "missing file",
    "empty cells among the answers",
    "a sample that lacks a column",
)
SLOW = (
    "near copy among the features",
    "wrong direction of the metric",
    "a grader that takes anything",
    "answers in a file beside the tables",
)


@pytest.mark.parametrize("fault", [*QUICK, *SLOW])
def test_faults_are_found(made: tuple[Path, Path, dict[str, Any]], room: Any, tmp_path: Path, fault: str) -> None:
    for name in made[2]["accepted"]:
        copy = spoiled(made[1] / name, fault, tmp_path)
        if copy is not None:
            report = checking.check(copy, room)
            assert not report.accepted, f"{fault} in {name} was not found"
            return
        shutil.rmtree(tmp_path / name)
    pytest.fail("no task here can have that fault, so it is not tested")


def test_a_class_that_training_never_shows_is_found(room: Any, tmp_path: Path) -> None:
    random, raw = np.random.default_rng(4), tmp_path / "plants"
    raw.mkdir()
    kind = random.choice(["fern", "moss", "reed"], ROWS)
    height = random.normal(0, 1, ROWS) + (kind == "fern") * 1.5 - (kind == "moss") * 1.5
    pd.DataFrame({"kind": kind, "height": height.round(2), "width": random.normal(0, 1, ROWS).round(2)}).to_csv(
        raw / "plants.csv"
    )
    kinds = {
        t["kind"]: t["task"] for t in making.make(raw, tmp_path / "out", lambda line: None, tries=3)["tried"] if t["accepted"]
    }
    copy = spoiled(tmp_path / "out" / "plants" / kinds["multiclass"], "labels that training never shows", tmp_path)
    assert copy is not None
    assert [p.check for p in checking.check(copy, room).problems] == ["training shows every class"]


def test_a_split_by_chance_is_found(made: tuple[Path, Path, dict[str, Any]], room: Any, tmp_path: Path) -> None:
    for target in ("spent", "total", "tip", "income", "left"):
        try:
            folder = task_about(made, target)
        except AssertionError:
            continue
        copy = spoiled(folder, "split by chance", tmp_path)
        assert copy is not None
        found = checking.Report()
        checking.prepared(copy, made[0], room, found)
        assert [p.check for p in found.problems] == ["prepare.py is deterministic"]
        sound = checking.Report()
        assert checking.prepared(folder, made[0], room, sound) and sound.accepted
        return
    raise AssertionError("no task to spoil")


def test_a_second_make_keeps_what_is_there(made: tuple[Path, Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any) -> None:
        raise AssertionError("a task was built again")

    monkeypatch.setattr(making, "attempt", nobody)
    again = making.make(made[0], made[1].parent, lambda line: None, most=3, tries=6, jobs=2)
    assert again["accepted"] == made[2]["accepted"]


def test_a_folder_belongs_to_its_raw_files(made: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    other = shop(tmp_path)
    with (other / "customers.csv").open("a") as f:
        f.write("9999,K2,30.5,20.1,north,40.5,3.2,43.7,no\n")
    with pytest.raises(SmithError, match="holds tasks of other raw files"):
        making.make(other, made[1].parent, lambda line: None)


def test_grades_and_agents(made: tuple[Path, Path, dict[str, Any]], ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    folder = task_about(made, "left")
    answers = pd.read_csv(folder / "private/answers.csv")
    answers.to_csv(tmp_path / "good.csv", index=False)
    answers.iloc[1:].to_csv(tmp_path / "short.csv", index=False)
    good = json.loads(ratchet("smith", "grade", folder, tmp_path / "good.csv", "--json").out)
    assert good["valid"] and good["score"] == pytest.approx(1.0) and set(good["passed"]) == {"dummy", "simple", "strong"}
    short = ratchet("smith", "grade", folder, tmp_path / "short.csv")
    assert short.code == 1 and "1 ids of the test set are missing" in short.err
    solved = json.loads(ratchet("smith", "solve", folder, "--json").out)
    scores = [s["score"] for s in solved["steps"] if s["tool"] == "submit"]
    assert len(scores) == 3 and solved["best"] == max(scores) > scores[0]
    assert not any(str(v) in json.dumps(solved["steps"][0]) for v in ["private/answers"])


FIRST = "I look first.\n<run>\nimport os; print(sorted(os.listdir('public')))\n</run>\n<result>made up</result>"
SECOND = (
    "<run>```python\nimport os, shutil; os.makedirs('out', exist_ok=True)\n"
    "shutil.copy('public/sample_submission.csv', 'out/submission.csv')\n```</run>"
)


def test_a_model_at_an_endpoint_solves(
    made: tuple[Path, Path, dict[str, Any]], ratchet: Callable[..., Answer], server: Server
) -> None:
    """It reads what its scripts printed, not what it made up; what was scored stays where the endpoint fails later."""
    folder, asked = task_about(made, "left"), []

    def say(body: dict[str, Any]) -> tuple[int, str]:
        asked.append(body["messages"][0]["content"])
        return (completion(FIRST), completion(SECOND), (400, "{}"))[min(len(asked), 3) - 1]

    server.say = say
    found = ratchet("smith", "solve", folder, "--endpoint", server.url, "--model", "m", "--json")
    solved = json.loads(found.out)
    assert [s["tool"] for s in solved["steps"]] == ["run", "run"] and solved["best"] == solved["steps"][1]["score"] is not None
    assert "<run>" in asked[0] and "train.csv" in asked[1] and "made up" not in asked[1] and "score" in asked[2]
    assert found.code == 2 and "refused a request" in found.err
    both = ratchet("smith", "solve", folder, "--endpoint", server.url, "--model", "m", "--engine", "builtin")
    assert both.code == 2 and "give one" in both.err and len(asked) == 3


class Letters:
    """A tokenizer of single characters."""

    end, end_id = frozenset({0}), 0

    def encode(self, text: str) -> list[int]:
        return [*map(ord, text)]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))


def test_an_engine_solves(
    made: tuple[Path, Path, dict[str, Any]], ratchet: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Saying(lambda draw, i, before: (FIRST.partition("\n<result>")[0], SECOND, "Done.")[i])
    engine.tokenizer, engine.max_tokens, engine.context = Letters(), 2_000, 10**6  # type: ignore[assignment]
    monkeypatch.setattr("ratchet.models.load.load_policy", lambda *_: engine)
    found = ratchet("smith", "solve", task_about(made, "left"), "--engine", "builtin", "--json")
    assert found.code == 0, found.err
    solved = json.loads(found.out)
    assert [s["tool"] for s in solved["steps"]] == ["run", "run"] and solved["best"] == solved["steps"][1]["score"] is not None
    assert "train.csv" in solved["steps"][0]["answer"]


def test_a_card_shows_the_data(made: tuple[Path, Path, dict[str, Any]], ratchet: Callable[..., Answer], tmp_path: Path) -> None:
    page = tmp_path / "card.html"
    assert ratchet("smith", "card", task_about(made, "left"), "--out", page).code == 0
    text = page.read_text()
    assert "age" in text and "strong" in text and "<svg" in text


def test_the_layout_of_mle_bench(made: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    home = to_mle_bench(task_about(made, "left"), tmp_path)
    config = yaml.safe_load((home / "config.yaml").read_text())
    assert config["id"] == home.name and config["grader"]["grade_fn"].endswith(".grade:grade")
    assert (tmp_path / "data" / config["dataset"]["answers"]).is_file() and (
        tmp_path / "data" / config["dataset"]["sample_submission"]
    ).is_file()
    sums = yaml.safe_load((home / "checksums.yaml").read_text())
    assert set(sums["public"]) == {"train.csv", "test.csv", "sample_submission.csv"} and len(sums["private"]["answers.csv"]) == 32


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["make", "nowhere"], "no file or folder at nowhere"),
        (["check", "."], "holds no task.yaml"),
        (["grade", ".", "nowhere.csv"], "no file or folder at nowhere.csv"),
        (["solve", ".", "--agent", "laddder"], "holds no task.yaml"),
        (["make", ".", "--endpoint", "http://127.0.0.1:1/v1"], "--endpoint needs --model"),
    ],
)
def test_wrong_input_is_one_sentence(
    ratchet: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = ratchet("smith", *args)
    assert answer.code == 2 and said in answer.err and "Traceback" not in answer.err


# ---- a model in the roles --------------------------------------------------------------------------------------------


PROPOSED = {
    "table": "customers",
    "target": "left",
    "metric": "auc",
    "features": ["age", "income", "town"],
    "title": "Who leaves?",
}


def replies(server: Server, scripts: dict[str, str], first: list[str]) -> None:
    """What a model says: `first` of all, then what its role is asked for."""
    waiting = list(first)

    def say(body: dict[str, Any]) -> tuple[int, str]:
        prompt = body["messages"][0]["content"]
        if waiting:
            return completion(waiting.pop(0), 500)
        if "Propose up to" in prompt:
            return completion("```json\n" + json.dumps({"tasks": [PROPOSED]}) + "\n```", 500)
        if "Write the description" in prompt:
            return completion(json.dumps({"description": "Tell left, scored by auc, as in sample_submission.csv."}), 500)
        if "Write two Python scripts" in prompt:
            return completion(json.dumps(scripts), 500)
        return completion(json.dumps({"drop": True}), 500)

    server.say = say


def by_model(server: Server, tmp_path: Path, cap: int = 100_000) -> Model:
    from ratchet.models.endpoint import Endpoint

    return Model(Endpoint(server.url, "m"), tmp_path / "exchanges.jsonl", cap)


def rules_scripts(raw: Path) -> dict[str, str]:
    from ratchet.smith.model_roles import formulation

    data = making.understood(raw)
    code = Rules().refactor(data, formulation(data, PROPOSED))
    return {"prepare": code["prepare.py"], "metric": code["metric.py"]}


def test_a_model_makes_tasks_and_its_invalid_replies_are_mended(server: Server, tmp_path: Path) -> None:
    raw = shop(tmp_path)
    replies(server, rules_scripts(raw), ["no JSON at all", json.dumps({"tasks": [PROPOSED | {"target": "nobody"}]})])
    model = by_model(server, tmp_path)
    result = making.make(raw, tmp_path / "out", lambda line: None, most=1, tries=2, roles=model)
    assert len(result["accepted"]) == 1, result["tried"][0]["why"]
    log = [json.loads(line) for line in (tmp_path / "exchanges.jsonl").read_text().splitlines()]
    assert [bool(e["wrong"]) for e in log[:3]] == [True, True, False] and "nobody" in log[1]["wrong"]


def test_scripts_of_a_model_touch_nothing_outside(server: Server, tmp_path: Path) -> None:
    raw, bait = shop(tmp_path), tmp_path / "bait"
    hostile = f"open({str(bait)!r}, 'w').write('here')\nimport os\nos.system('touch {bait}')\nraise SystemExit(3)\n"
    replies(server, {"prepare": hostile, "metric": hostile}, [])
    result = making.make(raw, tmp_path / "out", lambda line: None, most=1, tries=1, roles=by_model(server, tmp_path))
    assert not result["accepted"] and "prepare.py runs" in result["tried"][0]["why"] and not bait.exists()


def test_fidelity_command(made: tuple[Path, Path, dict[str, Any]], ratchet: Callable[..., Answer]) -> None:
    folder = task_about(made, "left")
    found = json.loads(ratchet("smith", "fidelity", folder, "--against", folder, "--json").out)
    assert found["value"] == pytest.approx(1.0) and found["generated"]["tuned"] > found["generated"]["constant"]


def test_the_cap_on_cost_is_kept(server: Server, tmp_path: Path) -> None:
    raw = shop(tmp_path)
    replies(server, rules_scripts(raw), [])
    model = by_model(server, tmp_path, cap=900)
    result = making.make(raw, tmp_path / "out", lambda line: None, most=1, tries=1, roles=model)
    assert not result["accepted"] and model.ask.tokens <= 1_000 and "cap" in result["tried"][0]["why"]


def test_an_endpoint_in_trouble(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes is waited for; what does not ends in a sentence, for that task alone."""
    from ratchet.models import endpoint

    monkeypatch.setattr(endpoint, "sleep", lambda seconds: None)
    raw = shop(tmp_path)
    replies(server, rules_scripts(raw), [])
    good, refused = server.say, iter([True, True, False])
    server.say = lambda body: (429, '{"error": {"message": "slow down"}}') if next(refused, False) else good(body)
    model = by_model(server, tmp_path)
    result = making.make(raw, tmp_path / "out", lambda line: None, most=1, tries=1, roles=model)
    assert len(result["accepted"]) == 1 and model.ask.retried == 2
    late = threading.Event()

    def say(body: dict[str, Any]) -> tuple[int, str]:
        if "Write two Python scripts" in body["messages"][0]["content"]:
            late.wait(10)
        return good(body)

    server.say = say
    model = Model(endpoint.Endpoint(server.url, "m", timeout=0.3, retries=1), tmp_path / "late.jsonl", 100_000)
    result = making.make(raw, tmp_path / "late", lambda line: None, most=1, tries=1, roles=model)
    late.set()
    assert not result["accepted"] and "did not answer within 0.3 s" in result["tried"][0]["why"]


def test_files_that_only_root_can_read(tmp_path: Path) -> None:
    raw = shop(tmp_path)
    raw.chmod(0o700)
    with trying.readable(raw) as seen, trying.room(seen) as sandbox:
        said = trying.run(sandbox, f"print(len(open({str(seen / 'customers.csv')!r}).readlines()))", {})
        assert said.said.strip() == str(ROWS + 1), said.failed
    assert seen == raw or not seen.exists()


def test_the_positive_class_is_one_of_the_classes() -> None:
    from ratchet.smith.kinds.columns import positive_of

    values = pd.Series(["house"] * 800 + ["flat"] * 50 + ["mill"] * 13)
    assert positive_of(values, ("flat", "house")) == {"positive": "flat"}


def test_what_gives_a_target_away() -> None:
    """A name of a town its county though some towns are new, two ends of a way its length, a bill less its parts a tip; noise does not."""
    random = np.random.default_rng(1)
    town, other = random.integers(0, 150, 1_200), random.integers(0, 12, 1_200)
    fare, tolls, tip = random.gamma(4, 5, 1_200), random.choice([0.0, 6.5], 1_200), random.gamma(2, 1, 1_200)
    frame = pd.DataFrame({
        "town": [f"t{t}" for t in town], "county": [f"c{t % 7}" for t in town], "from": [f"a{t % 12}" for t in town],
        "to": [f"b{t}" for t in other], "length": [float((t % 12) * 37 % 11 + 100 * ((t % 12) * 5 + o * 7) % 83) for t, o in zip(town, other)],
        "fare": fare, "tolls": tolls, "tip": tip, "total": fare + tolls + tip + random.choice([0.3, 0.8], 1_200), "noise": random.normal(size=1_200),
    })  # fmt: skip
    assert set(givers(frame, ["town", "noise", "to"], "county", True)) == {"town"}
    assert set(givers(frame, ["from", "to", "noise"], "length", False)) & {"from", "to"}
    assert set(givers(frame, ["fare", "tolls", "total", "noise"], "tip", False)) & {"fare", "tolls", "total"}
    assert not givers(frame, ["noise", "fare", "tolls"], "tip", False)
    frame["total"] = (fare + tolls + tip + random.choice([0.8, 2.5, 3.3, 6.3], 1_200)).round(2)
    frame[["fare", "tip"]] = frame[["fare", "tip"]].round(2)
    assert set(givers(frame, ["fare", "tolls", "total", "noise"], "tip", False)) & {"fare", "tolls", "total"}


def test_formulas_and_exact_values_are_found() -> None:
    random = np.random.default_rng(0)
    n = 1_500
    at_bat, leaves, late = random.integers(1, 600, n), random.integers(0, 1_440, n), (random.gamma(1, 20, n) - 10).round()
    hit = (at_bat * random.beta(20, 60, n)).round()
    hour = lambda m: (m % 1_440) // 60 * 100 + m % 60
    owed = np.where(random.random(n) < 0.3, 0, random.gamma(3, 100, n).round())
    frame = pd.DataFrame({
        "at_bat": at_bat, "hit": hit, "average": (hit / at_bat).round(3), "planned": hour(leaves), "left": hour(leaves + late), "late": late,
        "owed": owed, "state": np.where(owed == 0, "paid", random.choice(["late", "open"], n)), "noise": random.normal(size=n),
        "weight": (weight := random.normal(7, 1, n)), "light": np.where(weight < 6, "yes", "no"),
    })  # fmt: skip
    for features, target, discrete in (
        (["at_bat", "hit"], "average", False), (["planned", "left"], "late", False), (["owed"], "state", True), (["light"], "weight", False),
    ):  # fmt: skip
        assert set(givers(frame, [*features, "noise"], target, discrete)) & set(features), target
        assert not givers(frame, ["noise", *features[1:]], target, discrete), target


def test_rows_that_belong_together() -> None:
    """Patients whose sex their height tells as well, weather of airports by the hour, a rate of exchange from day to day."""
    random = np.random.default_rng(0)
    who = random.integers(0, 200, 1_000)
    visits = pd.DataFrame({"patient": [f"p{w}" for w in who], "height": 150 + who * 0.1, "sex": [("f", "m")[w * 7 % 11 % 2] for w in who],
                           "dose": random.normal(size=1_000)})  # fmt: skip
    assert owner(visits, profile("visits", visits), ("sex",), True) == "patient"
    assert not owner(visits, profile("visits", visits), ("dose",), False)
    scores = visits.assign(**{"subject#": who, "score": 20 + who * 37 % 41}).drop(columns=["patient", "height"])
    assert owner(scores, profile("scores", scores), ("score",), False) == "subject#"
    stages = visits.assign(stage=random.integers(1, 5, 1_000))
    assert not owner(
        stages.assign(stage=stages["stage"].astype(str)), profile("stages", stages), ("stage",), True
    )  # classes are words
    hours = pd.DataFrame(
        [(h, place, random.normal()) for h in range(300) for place in ("EWR", "JFK", "LGA")], columns=["hour", "place", "wind"]
    )
    assert panel(hours, ["hour", "wind"], "place") == "hour"
    assert not panel(hours.assign(place=random.permutation(hours["place"])), ["hour", "wind"], "place")
    days, walk = pd.Series(pd.date_range("2020-01-01", periods=500)), pd.Series(random.normal(size=500).cumsum())
    assert neighbours(days, walk, False) > 0.9 > 0.3 > neighbours(days, walk.diff().fillna(0), False)


def test_values_that_go_with_one_class_and_clocks_that_tell_one() -> None:
    random = np.random.default_rng(0)
    n = 1_500
    mood, leaves, late = random.choice(["good", "bad", "so"], n), random.integers(20, 1_300, n), random.integers(-10, 60, n)
    clock = lambda m: m // 60 * 100 + m % 60
    frame = pd.DataFrame({
        "mood": mood, "reason": np.where(mood == "bad", random.choice(["slow", "rude"], n), None), 
        "won": np.where(mood == "so", "draw", random.choice(["a", "b"], n)),
        "planned": clock(leaves), "left": clock(leaves + late), "late": np.where(late > 14, "yes", "no"), "noise": random.normal(size=n),
    })  # fmt: skip
    assert set(givers(frame, ["reason", "won", "noise"], "mood", True)) == {"reason", "won"}
    assert set(givers(frame, ["planned", "left", "noise"], "late", True)) == {"left"}
    assert not givers(frame, ["planned", "noise"], "late", True)
    shuffled = frame.assign(**{c: random.permutation(frame[c]) for c in ("reason", "won", "left")})
    assert not givers(shuffled, ["reason", "won", "noise"], "mood", True) and not givers(
        shuffled, ["planned", "left"], "late", True
    )


def test_all_parts_of_a_plain_sum_go() -> None:
    random = np.random.default_rng(0)
    casual, known = random.poisson(20, 800), random.poisson(150, 800)
    frame = pd.DataFrame({"casual": casual, "registered": known, "noise": random.normal(size=800), "count": casual + known})
    assert set(givers(frame, ["casual", "registered", "noise"], "count", False)) == {"casual", "registered"}
    frame["registered"] = 5 * known  # tells the count alone, nearly
    frame["count"] = casual + 5 * known
    assert set(givers(frame, ["casual", "registered", "noise"], "count", False)) == {"casual", "registered"}


def test_series_of_each_entity_and_orders_within_a_query() -> None:
    """Life expectancy of countries goes on from year to year; what each of them spends does not; debts that grow are ordered by the year."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame([(f"c{c}", 1990 + y) for c in range(40) for y in range(20)], columns=["country", "year"])
    moves = random.normal(0.2, 1, (40, 20))
    rows["life"], rows["spent"] = 60 + moves.cumsum(1).ravel(), random.normal(size=800)
    rows["debt"] = np.abs(moves).cumsum(1).ravel()
    kinds = profile("rows", rows)
    assert entity(rows, rows["year"], "life", kinds, False) == "country"
    assert not entity(rows, rows["year"], "spent", kinds, False)
    assert not entity(rows.assign(life=random.permutation(rows["life"])), rows["year"], "life", kinds, False)
    assert not entity(
        rows.iloc[::20].reset_index(drop=True), rows["year"].iloc[::20].reset_index(drop=True), "life", kinds, False
    )
    rows["new"] = np.abs(moves).ravel()
    assert set(steps(rows, rows["year"], ["debt", "spent", "life"], "new", kinds)) == {"debt"}
    assert set(steps(rows, rows["year"], ["new", "spent", "life"], "debt", kinds)) == {"new"}
    one = rows[rows["country"] == "c3"].reset_index(drop=True)
    one = pd.concat([one] * 5, ignore_index=True).assign(year=range(100), debt=lambda f: f["new"].cumsum())
    assert set(steps(one, one["year"], ["debt", "spent"], "new", profile("one", one))) == {"debt"}
    shuffled = rows.assign(new=random.permutation(rows["new"]))
    assert not steps(shuffled, rows["year"], ["debt", "spent", "life"], "new", kinds)
    assert set(ordering(rows, ["year", "spent"], "debt", "country")) == {"year"}
    assert not ordering(rows, ["year", "life"], "spent", "country")
    copies = rows.assign(text=rows["life"].map("{:.2f} years".format), life=rows["life"].round(2))
    assert not owner(
        pd.concat([copies] * 4, ignore_index=True),
        profile("copies", pd.concat([copies] * 4, ignore_index=True)),
        ("life",),
        False,
    )


@pytest.mark.parametrize("hour", ["{}", "{}:00:00", "{:02d}.00.00"])
def test_a_day_and_an_hour_are_a_moment(hour: str) -> None:
    from ratchet.smith.kinds.structure import clock
    from ratchet.smith.preparing import moments

    when = pd.date_range("2024-01-01", periods=480, freq="h")
    frame = pd.DataFrame({"day": when.strftime("%Y-%m-%d"), "hr": [hour.format(h) for h in when.hour], "x": np.arange(480) * 0.5})
    frame = frame.assign(hr=frame["hr"].astype(int)) if hour == "{}" else frame
    name, columns = clock(frame, profile("hours", frame)) or ("", [])
    assert (name, columns) == ("time", ["day", "hr"]) and moments(frame, columns).tolist() == when.tolist()
    days = frame.iloc[::24].reset_index(drop=True)
    assert clock(days, profile("days", days)) == ("day", ["day"])


def test_ratings_need_the_same_players() -> None:
    ratings = fidelity.elo([{"a": 1.0, "b": 0.0, "c": float("nan")}] * 5)
    assert ratings["a"] > ratings["b"] > ratings["c"] and abs(sum(ratings.values())) < 1e-6
    with pytest.raises(ValueError, match="same two or more players"):
        fidelity.elo([{"a": 1.0, "b": 0.0}, {"a": 1.0, "c": 0.0}])
    assert fidelity.spearman([1, 2, 2, 3], [2, 4, 4, 9]) == pytest.approx(1.0)
