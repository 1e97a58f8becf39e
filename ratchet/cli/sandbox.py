"""`ratchet sandbox`: what protects from programs that nobody trusts, attacks on it, and a program run in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ratchet.core.errors import SandboxError

COLOURS = {"ok": "green", "weak": "yellow", "off": "yellow", "MISSING": "red"}
WITHOUT = click.option(
    "--without",
    multiple=True,
    metavar="PROTECTION",
    help="Go on though this protection is missing: namespaces, landlock, seccomp, memory.",
)
WALLS = click.option("--walls", type=click.Choice(["direct", "bwrap", "landlock"]), help="Only this kind of walls.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def sandbox() -> None:
    """Run programs that nobody trusts: what protects from them, and whether it holds."""


@sandbox.command()
@WITHOUT
@WALLS
def doctor(without: tuple[str, ...], walls: str | None) -> None:
    """Say which protections are on, by running a program that looks around. Exit code 1 where programs cannot be run safely."""
    from ratchet.verify.sandbox.languages import language, names
    from ratchet.verify.sandbox.probing import protections, why_not
    from ratchet.verify.sandbox.sandbox import Sandbox

    try:
        with Sandbox(without=without, walls=walls or "") as box:
            lines = list(protections(box))
    except SandboxError as e:
        click.echo(f"{e}\n", err=True)
        show(list(why_not()))
        raise SystemExit(1) from None
    show(lines)
    for name in names():
        spoken = language(name)
        missing = spoken.missing()
        show(
            [
                (
                    "off" if missing else "ok",
                    name,
                    f"{missing} is not installed: apt-get install {spoken.package}" if missing else "",
                )
            ]
        )
    if any(state == "MISSING" for state, _, _ in lines):
        raise SystemExit(1)


def show(lines: list[tuple[str, str, str]]) -> None:
    for state, what, how in lines:
        click.echo(f"{click.style(f'{state:<8}', fg=COLOURS[state])} {what:<22} {how}".rstrip())


@sandbox.command()
@click.option("--only", multiple=True, metavar="NAME", help="Only these attacks.")
@WITHOUT
@WALLS
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this file too.")
def attack(only: tuple[str, ...], without: tuple[str, ...], walls: str | None, out: Path | None) -> None:
    """Attack the sandbox in every known way and say for each whether it was contained. Exit code 1 where one escaped."""
    from ratchet.core.errors import nearest
    from ratchet.core.files import write_text
    from ratchet.verify.sandbox.attacks import Bait, attacks
    from ratchet.verify.sandbox.attacks import attack as run
    from ratchet.verify.sandbox.languages import Compiler
    from ratchet.verify.sandbox.sandbox import Sandbox

    known = {a.name: a for a in attacks()}
    for name in only:
        if name not in known:
            raise click.UsageError(f'no attack named "{name}"; {nearest(name, known, 60)}')
    results: list[dict[str, Any]] = []
    with Sandbox(without=without, walls=walls or "") as box, Bait() as bait:
        compiler = Compiler(box)
        for one in known.values():
            if (only and one.name not in only) or (one.judged and box.walls != "direct"):
                continue
            signs, ending = run(one, compiler, bait)
            results.append({"attack": one.name, "language": one.language, "escaped": signs, "ended": ending})
            mark = click.style("ESCAPED  ", fg="red") if signs else click.style("contained", fg="green")
            click.echo(f"{mark} {one.name:<20} {one.language:<7} {'; '.join(signs) or ending}"[:200])
    escaped = sum(bool(r["escaped"]) for r in results)
    click.echo(f"\n{len(results) - escaped} contained, {escaped} escaped ({box.walls} walls)")
    if out is not None:
        write_text(out, json.dumps({"walls": box.walls, "results": results}, indent=1) + "\n")
    if escaped:
        raise SystemExit(1)


@sandbox.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", "spoken", default="", help="A language's name or file; by the file's ending otherwise.")
@click.option("--seconds", type=click.FloatRange(0.1), help="Processor time; three times as much on the clock.")
@click.option("--memory", type=click.IntRange(16), help="Megabytes.")
@WITHOUT
@WALLS
def run(
    file: Path, spoken: str, seconds: float | None, memory: int | None, without: tuple[str, ...], walls: str | None
) -> None:  # fmt: skip
    """Run a program in the sandbox: standard input is passed on, and the exit code is the program's (124 for a broken limit)."""
    from ratchet.verify.sandbox.languages import Compiler, by_ending, language
    from ratchet.verify.sandbox.runs import Run
    from ratchet.verify.sandbox.sandbox import Sandbox

    chosen = language(spoken) if spoken else by_ending(file)
    limits = chosen.bounds(**{k: v for k, v in {"seconds": seconds, "memory": memory}.items() if v is not None})
    given = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    with Sandbox(without=without, walls=walls or "") as box:
        try:
            source = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise SandboxError(f"{file} cannot be read as text in UTF-8: {e}") from None
        program = Compiler(box)(chosen, source, limits)
        done = program if isinstance(program, Run) else box.run(program, given)
    write: Callable[[bytes], Any] = sys.stdout.buffer.write
    write(done.stdout)
    sys.stdout.flush()
    sys.stderr.buffer.write(done.stderr)
    if done.why:
        click.echo(f"ratchet: {done.ending()}", err=True)
    raise SystemExit(124 if done.why else done.exit if done.exit >= 0 else 128 - done.exit)
