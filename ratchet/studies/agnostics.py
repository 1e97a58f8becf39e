"""Agnostics: is one sandbox that compares output enough to verify, and to reward, programs in any language?"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.core.errors import SandboxError, StudyError
from ratchet.core.seeds import rng
from ratchet.core.types import Estimate, Task, Verdict
from ratchet.measure.intervals import wilson
from ratchet.report.chart import Axis, Point, Series, estimated, line_chart, percent
from ratchet.studies.hostile_programs import KINDS, LANGUAGES, NEW, battery
from ratchet.studies.one_liner_oracle import printed
from ratchet.studies.rewritten_tests import rewriting
from ratchet.studies.study import Check, Claim, Effect, Outcome, Result, Say, Study, extreme, over_seeds, register
from ratchet.tasks.family import Source
from ratchet.tasks.one_liners import SPELLINGS, gold, program, words, written
from ratchet.verify import code
from ratchet.verify.sandbox.languages import Compiler, Language, language
from ratchet.verify.sandbox.sandbox import Program, Run, Sandbox

if TYPE_CHECKING:
    from ratchet.loop.recipe import Recipe
    from ratchet.models.engine import Policy

LEARNED = ("lua", "ocaml")
# bytecode, compiled and run at once: a one-liner takes a tenth of the processor time that native code does (0.03 s, not 0.3)
OCAML = """name: ocaml
file: program.ml
run: [sh, -c, "ocamlc -w -a -o program program.ml && exec ocamlrun program"]
package: ocaml-nox
"""
STEPS = 3
TOKENS = 220_000  # of demonstrations
HABIT = 0.5  # of them
KNOWN = 4_000  # training tasks that have one
EXAMPLES = 64
UPDATES, TASKS, SAMPLES = 18, 8, 32
QUICK = 2, 2, 8
RATE = 5e-4
LONGEST = 32
HELDOUT, LOOKS = 200, 2
WARDENS = 2


def run(seed: int, quick: bool, say: Say) -> Result:
    from ratchet.models.machine import prepare

    prepare(1)
    tools()
    say("programs that are right, wrong and hostile")
    found: Result = {"battery": battery(seed, *((1, 1, KINDS[:4]) if quick else (3, 4, KINDS)))}
    say("unit tests as input and output")
    found["rewriting"] = rewriting(seed, 6 if quick else 50)
    for name in LEARNED:
        found[name] = learned(seed, name, quick, say)
    return found


def tools() -> None:
    """StudyError where a language of the study is not installed."""
    wanted = {name: language(name) for name in LANGUAGES}
    missing = {s.package or name: tool for name, s in wanted.items() if (tool := s.missing())}
    if missing:
        raise StudyError(
            f"study agnostics needs programs that are not installed: {', '.join(sorted(set(missing.values())))}; "
            f"apt-get install {' '.join(sorted(missing))}"
        )


# ---- reinforcement by an external process -------------------------------------------------------------------------


class Remembering(Sandbox):
    """What an identical program made of identical input is not run for again; `executed` counts what was run."""

    known: dict[tuple[Any, ...], Run]
    executed = 0

    def run(self, program: Program, stdin: bytes = b"") -> Run:
        key = (tuple(program.files.items()), tuple(program.command), program.limits, stdin)
        if key not in self.known:
            run = super().run(program, stdin)
            self.executed += 1
            if run.why == "time":  # it may have been the machine's fault
                return run
            self.known[key] = run
        return self.known[key]


class Judge:
    """The verifier `code` for many programs at once. `asked` counts judgements; `seconds` is what they took on the clock, and
    `processor`, once it is closed, what they took of processors: ours, and those of the compilers and programs."""

    def __init__(self, spoken: Language) -> None:
        self.processor = -sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        self.sandbox = Remembering(WARDENS)
        self.sandbox.known = {}
        self.bench, self.spoken = Compiler(self.sandbox), spoken
        self.asked, self.seconds = 0, 0.0
        self.verdicts: dict[tuple[str, str], tuple[Task, Verdict]] = {}

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.close()
        self.processor += sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])

    def one(self, pair: tuple[Task, str]) -> Verdict:
        task, text = pair
        source = task.facts["before"] + text
        try:
            return code.by_output(self.bench, self.spoken, source, task.facts, self.spoken.bounds(seconds=2.0))
        except SandboxError as e:
            return code.abstained(str(e))

    def __call__(self, pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        start, own = time.perf_counter(), time.process_time()
        wanted = {text: (task, text) for task, text in pairs if (task.key, text) not in self.verdicts}
        with ThreadPoolExecutor(WARDENS) as threads:
            list(threads.map(self.one, wanted.values()))  # so that no text is run twice side by side
        for task, text in pairs:
            if (task.key, text) not in self.verdicts:
                self.verdicts[task.key, text] = task, self.one((task, text))
        self.asked += len(pairs)
        self.seconds += time.perf_counter() - start
        self.processor += time.process_time() - own
        return [self.verdicts[task.key, text][1] for task, text in pairs]


@cache
def spoken(name: str) -> Language:
    if name != "ocaml":
        return language(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ocaml.yaml"
        file.write_text(OCAML)
        return language(str(file))


def learned(seed: int, name: str, quick: bool, say: Say) -> Result:
    """Demonstrations, then reinforcement by the sandbox's verdicts, and beside it by a coin."""
    from ratchet.loop.lab import reinforce, sampled
    from ratchet.loop.turn import restore, snapshot

    size, held = (QUICK, 5) if quick else ((UPDATES, TASKS, SAMPLES), HELDOUT)
    source = Source("one-liners", knobs={"language": name, "steps": STEPS})
    tasks = source.take("heldout", held, "agnostics", seed, "heldout")
    policy = new_model(seed, name)
    taught(policy, source, 10_000 if quick else TOKENS, "agnostics", seed, name)
    base = snapshot(policy)
    nobody = lambda pairs: [code.abstained("a coin decides") for _ in pairs]
    found: Result = {}
    with Judge(spoken(name)) as verify:

        def look(when: str) -> None:
            traces = sampled(policy, tasks, LOOKS, verify, "agnostics", seed, name, when)
            found[when] = sum(v.passed for t in traces for v in t.verdicts) / (held * LOOKS)
            say(f"{name}: pass@1 {when}: {found[when]:.1%}")

        look("taught")
        reinforce(policy, recipe(seed, name, *size), verify)
        found["load"] = float(Path("/proc/loadavg").read_text().split()[0])
        look("reinforced")
        restore(policy, base)
        reinforce(policy, recipe(seed, name, *size, "random"), nobody)
        look("by a coin")
        judged = [(task, text, verdict) for (_, text), (task, verdict) in verify.verdicts.items()]
    agree = sum(str(v.outcome) == ("pass" if printed(name, text) == task.answer else "fail") for task, text, v in judged)
    spent = {"asked": verify.asked, "executed": verify.sandbox.executed, "seconds": verify.seconds, "processor": verify.processor}
    return found | spent | {"judged": len(judged), "agree": agree, "right": sum(v.passed for _, _, v in judged)}


def new_model(seed: int, name: str) -> Policy:
    """0.1 million random weights."""
    from ratchet.models import llama
    from ratchet.models.load import new_policy
    from ratchet.models.machine import fast_bf16
    from ratchet.models.tokens import WordTokenizer

    tokenizer = WordTokenizer(words(name))
    shape = llama.Shape(
        vocab=len(tokenizer.words), width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=176, max_tokens=96
    )
    return new_policy(shape, tokenizer, seed, LONGEST, 512, fast_bf16())


def taught(policy: Policy, source: Source, tokens: int, *path: str | int) -> None:
    """Imitation of about so many tokens of demonstrations for training tasks, by somebody who falls back into another language:
    so many of the programs have Python's spelling, and no parentheses."""
    from ratchet.learn.batch import Example
    from ratchet.learn.imitate import imitate

    encode, end = policy.tokenizer.encode, policy.tokenizer.end_id
    drawn = source.take("train", KNOWN, *path, "taught")
    texts = [habitual(t) if rng(*path, "habit", t.key).random() < HABIT else gold(t) for t in drawn]
    pool = [Example(policy.encode(t.prompt), (*encode(text), end)) for t, text in zip(drawn, texts, strict=True)]

    def examples(update: int) -> list[Example]:
        return rng(*path, "taught", update).choices(pool, k=EXAMPLES)

    imitate(policy, examples, max(1, round(tokens / sum(len(e.tokens) for e in examples(0)))), muon=0.02)


def habitual(task: Task) -> str:
    """What somebody writes who is used to Python, and not to parentheses."""
    return program(task, written(task.facts["start"], task.facts["path"], SPELLINGS["python"].steps, parentheses=False))


def recipe(seed: int, name: str, updates: int, tasks: int, samples: int, reward: str = "verdict") -> Recipe:
    from ratchet.loop.recipe import Optimizer, Recipe, Reinforcement, Tasks

    settings = Reinforcement(
        turns=1, updates=updates, tasks=tasks, samples=samples, method="grpo", optimizer=Optimizer(lr=RATE, warmup=5, final=0.1)
    )
    drawn = Tasks("one-liners", knobs={"language": name, "steps": STEPS})
    return Recipe("agnostics", seed=seed, max_tokens=LONGEST, batch=512, tasks=drawn, reward=reward, reinforcement=settings)


# ---- what is claimed ---------------------------------------------------------------------------------------------


def least_right(*names: str) -> Effect:
    """The least share of right verdicts of any repeat."""
    return extreme(
        min, lambda r: min(sum(row[n][0] for n in names) / sum(row[n][1] for n in names) for row in r["battery"]["rows"])
    )


def right(*names: str) -> Effect:
    """Of all verdicts."""

    def effect(results: Sequence[Result]) -> Estimate:
        counts = [row[n] for r in results for row in r["battery"]["rows"] for n in names]
        return wilson(sum(c[0] for c in counts), sum(c[1] for c in counts), unit="verdicts")

    return effect


def gain(name: str, arm: str = "reinforced") -> Callable[[Result], float]:
    return lambda r: r[name][arm] - r[name]["taught"]


def agreement(name: str) -> Effect:
    def effect(results: Sequence[Result]) -> Estimate:
        return wilson(sum(r[name]["agree"] for r in results), sum(r[name]["judged"] for r in results), unit="programs")

    return effect


def throughput(name: str, seconds: str) -> Callable[[Result], float]:
    return lambda r: r[name]["asked"] / r[name][seconds]


def imagined(outcome: Outcome, seed: int) -> Result:
    held, failed = outcome is Outcome.HELD, outcome is Outcome.FAILED
    row = {name: [36, 36] if held else [18, 36] if failed else [1, 1] for name in (*LANGUAGES, NEW)}
    caught = 97 + seed % 3 if held else 50 + seed % 3 if failed else (100, 88, 99, 97, 96)[seed % 5]
    after = 0.8 if held else 0.5 if failed else (0.62, 0.95, 0.61, 0.99, 0.63)[seed % 5]
    coin = 0.48 if held else 0.7 if failed else (0.4, 0.6, 0.54, 0.6, 0.5)[seed % 5]
    processor = 10.0 if held else 100.0 if failed else (10.0, 90.0, 80.0, 60.0, 70.0)[seed % 5]
    language = {
        "taught": 0.5, "reinforced": after + 0.002 * seed, "by a coin": coin + 0.002 * seed, "asked": 6_000 + seed, "executed": 900,
        "seconds": 20.0, "processor": processor, "load": 1.0, "judged": 1_000 if held or failed else 100,
        "agree": 1_000 if held else 900 if failed else 100, "right": 500,
    }  # fmt: skip
    rewritten = {
        "statements": 50,
        "rewritten": 50,
        "references": 17,
        "passed": 10 if failed else 17,
        "mutants": 100,
        "caught": caught,
    }
    return {
        "battery": {"rows": [row] * 3, "wrong": [], "left": [0, 0, int(failed)], "reached": int(failed)},
        "rewriting": rewritten | {"equal": 3},
        **dict.fromkeys(LEARNED, language),
    }


def figures(results: Sequence[Result]) -> list[str]:
    arms = ("taught", "reinforced", "by a coin")
    places = Axis("model", str, str, names=dict(enumerate(arms)))
    at = lambda name, arm: over_seeds(lambda r: r[name][arm])(results)
    learned = [Series(name, [estimated(i, at(name, arm)) for i, arm in enumerate(arms)]) for name in LEARNED]
    names = (*LANGUAGES, NEW)
    shares = [Point(i, right(n)(results).value) for i, n in enumerate(names)]
    return [
        line_chart("Right one-liners on held-out tasks", learned, places, percent("pass@1")),
        line_chart(
            "Right verdicts on right, wrong and hostile programs",
            [Series("share of all verdicts", shares)],
            Axis("language", str, str, names=dict(enumerate(names))),
            percent("right verdicts"),
        ),
    ]


register(
    Study(
        name="agnostics",
        title="A sandbox that compares output verifies, and rewards, programs in any language that a short file describes",
        paper="Boruch-Gruszecki et al. 2025, Agnostics: Learning to Code in Any Programming Language via Reinforcement with a Universal "
        "Learning Environment, arXiv 2508.04865",
        claims=(
            Claim(
                "verdicts",
                "Right, wrong and hostile programs in Lua, R, OCaml, Fortran and C all get the right verdict, and leave nothing behind.",
                (
                    Check("least share of right verdicts of a repeat", least_right(*LANGUAGES), 1.0),
                    Check("right verdicts of all", right(*LANGUAGES), 0.99),
                    Check("most processes left after a repeat", extreme(max, lambda r: max(r["battery"]["left"])), most=0.0),
                    Check("connections out of the sandbox", extreme(max, lambda r: r["battery"]["reached"]), most=0.0),
                ),
            ),
            Claim(
                "new-language",
                "A sixth language, awk, is judged as well from a file of at most 12 lines and no code.",
                (
                    Check("least share of right verdicts of a repeat", least_right(NEW), 1.0),
                    Check("right verdicts of all", right(NEW), 0.98),
                ),
            ),
            Claim(
                "rewriting",
                "Fifty assertions on Python functions become input and output: references pass, at least 95 % of mutants fail.",
                (
                    Check("statements rewritten, the least share", extreme(min, lambda r: r["rewriting"]["rewritten"] / 50), 1.0),
                    Check(
                        "references that pass",
                        extreme(min, lambda r: r["rewriting"]["passed"] / r["rewriting"]["references"]),
                        1.0,
                    ),
                    Check("mutants that fail", over_seeds(lambda r: r["rewriting"]["caught"] / r["rewriting"]["mutants"]), 0.95),
                ),
            ),
            Claim(
                "reward",
                "Reward from the external process alone raises held-out pass@1 by at least 10 points in each seed, in Lua and in OCaml.",
                tuple(
                    check
                    for name in LEARNED
                    for check in (
                        Check(f"{name}: the least gain of a seed", extreme(min, gain(name)), 0.10),
                        Check(f"{name}: gain", over_seeds(gain(name)), 0.10),
                        Check(f"{name}: gain by a coin's reward", over_seeds(gain(name, "by a coin")), most=0.05),
                    )
                ),
            ),
            Claim(
                "oracle",
                "The sandbox's verdicts are those of a parser of ours that knows what each program prints, in at least 99.5 %.",
                tuple(Check(f"{name}: same verdict", agreement(name), 0.995) for name in LEARNED),
            ),
            Claim(
                "throughput",
                "At least 100 programs are judged in a second of processor time, where identical ones are executed once.",
                tuple(
                    Check(f"{name}: judgements a second", over_seeds(throughput(name, "processor")), 100.0) for name in LEARNED
                ),
            ),
        ),
        arms={
            "taught": "a model of 0.1 million parameters that has learned from demonstrations in one language, half of which have Python's "
            "spelling and no parentheses, as of somebody who is used to another language",
            "reinforced": "the same after updates of 256 samples, GRPO, rewarded by the sandbox's verdicts alone",
            "by a coin": "placebo at equal samples and updates: the reward is a coin, and no program is run",
            "right, wrong and hostile programs": "control of the verifier: 20 problems, each written in nine ways in six languages",
        },
        tasks="functions of two whole numbers in words, two or three steps; programs of one line in Lua or OCaml, judged by what they print for "
        "twelve pairs; 200 held-out tasks with 2 samples each, apart from training by what they print",
        metric="share of right verdicts; pass@1 after reinforcement minus before; share of programs on which sandbox and oracle agree; "
        "judgements a second of processor time",
        budget="about 4 minutes of one thread a seed",
        departures="Julia is left out where it is not installed, as in Debian. The twenty problems of the battery are functions of two "
        "numbers, and each seed judges four of them, three times, so that five seeds judge all. R has three seconds of processor time "
        "and the others 0.6, as it takes a third of a second to start. OCaml is compiled to bytecode for one-liners, in the same run. An "
        "execution counts as answered where the same program has run on the same input before. Throughput is counted by processor time "
        "of judge, compiler and programs together, not by the clock, since the machine was shared with other work; the clock's seconds "
        "and the machine's load stand in each seed's file. Mutants that the assertions themselves accept do not count.",
        scale="What there is to gain was put in by us: half of the demonstrations have habits of Python, and pilots from demonstrations "
        "that were all right gained nothing in 24 such updates. A small model and a tiny language of one-liners. That models of 4 billion "
        "parameters learn whole programs in rare languages this way, as the paper says, is not tested.",
        run=run,
        imagined=imagined,
        figures=figures,
        seeds=5,
    )
)
