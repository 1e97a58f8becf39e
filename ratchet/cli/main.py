"""`ratchet`: the command line. Errors that a user can mend are one sentence and exit code 2."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from ratchet import __version__
from ratchet.core.errors import RatchetError, nearest

COMMANDS = {
    "run": "ratchet.cli.runs",
    "resume": "ratchet.cli.runs",
    "report": "ratchet.cli.runs",
    "eval": "ratchet.cli.evaluate",
    "compare": "ratchet.cli.evaluate",
    "measure": "ratchet.cli.measure",
    "search": "ratchet.cli.search",
    "traces": "ratchet.cli.traces",
    "verify": "ratchet.cli.verify",
    "sandbox": "ratchet.cli.sandbox",
    "smith": "ratchet.cli.smith",
    "show": "ratchet.cli.show",
    "study": "ratchet.studies.command",
    "tasks": "ratchet.cli.tasks",
    "curate": "ratchet.cli.curate",
    "methods": "ratchet.cli.methods",
    "doctor": "ratchet.cli.doctor",
    "completion": "ratchet.cli.completion",
}
SUMMARIES = {
    "run": "Run a recipe: improve a model and prove it.",
    "resume": "Go on with a run that was stopped or killed.",
    "report": "Write a run's report.html anew.",
    "eval": "Measure a model on tasks with a strategy.",
    "compare": "Paired test of two records over the same tasks.",
    "measure": "Measure samples from files, of any model.",
    "search": "Compare ways of search at equal cost.",
    "verify": "Test a verifier: labels, attacks, rewrites.",
    "sandbox": "Run programs that nobody trusts; attack that.",
    "smith": "Make verified competitions of raw data; solve them.",
    "show": "Walk a run's traces in the terminal.",
    "study": "Re-test published claims: list, run, table.",
    "tasks": "List, show and check task families.",
    "curate": "Turn question-answer files into verifiable tasks.",
    "methods": "List every registered method with its paper.",
    "doctor": "Say what is installed, what is on, and why something is off.",
    "completion": "Print the shell completion script.",
}


class Lazy(click.Group):
    """Commands are imported when they are called, so that `--help` does not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        import importlib

        return getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            ctx.fail(f'no command named "{args[0]}"; {nearest(args[0], COMMANDS)}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ratchet")
def cli() -> None:
    """Models that improve themselves on tasks whose answers can be checked, and prove it.

    Begin with `ratchet run countdown`.
    """


def stop(*_: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The entry point: runs the command line and turns errors into sentences and exit codes."""
    signal.signal(signal.SIGTERM, stop)
    try:
        code = cli.main(standalone_mode=False)
        print(end="", flush=True)  # here and not at Python's end, where an error would be no sentence
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except RatchetError as e:
        click.echo(f"ratchet: {e}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("ratchet: stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        silence()  # the reader of our output has left; say nothing more
        sys.exit(0)
    except OSError as e:
        if writable():
            raise
        silence()
        click.echo(f"ratchet: the output cannot be written: {e.strerror or e}; free space, or send it elsewhere", err=True)
        sys.exit(2)


def writable() -> bool:
    """Whether the standard output still takes something: an error of another file is not about it."""
    try:
        print(flush=True)
    except OSError:
        return False
    return True


def silence() -> None:
    """The standard output is thrown away from here on, so that Python's own flush at the end finds nothing wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
