"""The tests' side: they run here, and whatever they name that is neither Python's own nor theirs is the candidate's, reached by
asking. Comparisons are made here, on plain values. Exit code 0: all hold; 1: one does not; 3: a test itself is wrong.
"""

import builtins
import importlib
import json
import os
import sys

from plain import from_json, hear, say, to_json

answers, questions = open(os.dup(0), encoding="utf-8"), open(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


class Failed(Exception):
    """The candidate cannot be asked any more."""


class There:
    """An object of the candidate's. It equals itself alone, whatever it would say to that."""

    def __init__(self, number):
        object.__setattr__(self, "_number", number)

    def __call__(self, *arguments, **named):
        return ask("call", self, arguments, named)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return ask("attribute", self, name)

    def __setattr__(self, name, value):
        ask("set", self, name, value)

    def __getitem__(self, key):
        return ask("item", self, key)

    def __len__(self):
        return ask("length", self)

    def __iter__(self):
        return iter(ask("list", self))

    def __str__(self):
        return ask("text", self)

    def __bool__(self):
        return True

    def __eq__(self, other):
        return isinstance(other, There) and self._number == other._number

    def __hash__(self):
        return self._number


def number_of(value):
    if isinstance(value, There):
        return value._number
    raise TypeError(f"a test cannot hand {type(value).__name__} to the candidate")


def reply():
    try:
        return hear(answers)
    except (EOFError, ValueError) as e:
        raise Failed(f"the candidate ended or said what it must not: {e}") from None


def ask(*question):
    try:
        say(questions, [to_json(part, number_of) for part in question])
    except BrokenPipeError:
        raise Failed("the candidate has ended") from None
    return opened(reply())


def opened(message):
    """The value in a reply, or the exception that it tells of."""
    try:
        if "raised" not in message:
            return from_json(message["value"], There)
        kind = getattr(builtins, message["raised"], None)
    except (TypeError, KeyError, ValueError, RecursionError) as e:
        raise Failed(f"the candidate said what it must not: {e}") from None
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = RuntimeError
    raise kind(f"{message['raised']}: {message.get('message', '')}")


def names(entry):
    """What the tests may name of the candidate's: not what Python itself has, which a candidate could have put its own in place
    of, but for the function that is asked for."""
    message = reply()
    if "names" not in message:
        raise Failed(f"the code cannot be loaded: {message.get('raised')}: {message.get('message')}")
    for name, value in message["names"].items():
        if name in sys.stdlib_module_names:
            yield name, importlib.import_module(name)
        elif name == entry or not hasattr(builtins, name):
            yield name, from_json(value, There)


def main():
    with open("tests.json", encoding="utf-8") as f:
        given = json.load(f)
    try:
        space = {"__name__": "tests", **dict(names(given["entry"]))}
    except (Failed, TypeError, ValueError, AttributeError) as e:
        print(e, file=sys.stderr)
        return 1
    if given["entry"] and given["entry"] not in space:
        print(f"the code does not define {given['entry']}", file=sys.stderr)
        return 1
    for number, test in enumerate(given["tests"], 1):
        try:
            program = compile(test, f"test {number}", "exec")
        except (SyntaxError, ValueError) as e:
            print(f"test {number} of {len(given['tests'])} is no Python: {e}", file=sys.stderr)
            return 3
        try:
            exec(program, space)
        except Failed as e:
            print(f"test {number} of {len(given['tests'])}: {e}", file=sys.stderr)
            return 1
        except Exception as e:
            what = "does not hold" if isinstance(e, AssertionError) else f"raised {type(e).__name__}: {str(e)[:200]}"
            print(f"test {number} of {len(given['tests'])} {what}", file=sys.stderr)
            return 1
    return 0


sys.setrecursionlimit(20_000)
os._exit(main())
