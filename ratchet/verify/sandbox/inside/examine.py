"""The tests' side: they run here, and whatever they name that is neither Python's own nor theirs is the candidate's, reached by
asking. Comparisons are made here, on plain values. Nothing of the candidate's runs here.

Exit code 0, with the word that the tests came with as the last line of standard error: all hold; 1: one does not; 3: a test
itself is wrong, or needs what cannot be handed over.
"""

import ast
import builtins
import importlib
import json
import os
import sys

from plain import from_json, hear, say, to_json

answers, questions = open(os.dup(0), encoding="utf-8"), open(os.dup(1), "w", encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)
HELD, FAILED, WRONG = 0, 1, 3


def end(code, message):
    """At once: no test may catch it."""
    os.write(2, (" ".join(str(message).split())[:400] + "\n").encode("utf-8", "backslashreplace"))
    os._exit(code)


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
        return ask("truth", self) is True

    def __eq__(self, other):
        return isinstance(other, There) and self._number == other._number

    def __hash__(self):
        return self._number


def number_of(value):
    if isinstance(value, There):
        return value._number
    return end(WRONG, f"a test would have to hand {type(value).__name__} to the candidate, which cannot be done")


def reply():
    try:
        message = hear(answers)
    except (EOFError, ValueError, RecursionError) as e:
        end(FAILED, f"the candidate ended or said what it must not: {e}")
    if not isinstance(message, dict):
        end(FAILED, "the candidate said what it must not")
    return message


def ask(operation, target, *rest):
    try:
        say(questions, [to_json(part, number_of) for part in (operation, target, *rest)])
    except BrokenPipeError:
        end(FAILED, "the candidate has ended")
    message = reply()
    if "raised" in message:
        raise exception_of(message)
    try:
        if "arguments" in message and operation == "call":
            for old, new in zip(rest[0], from_json(message["arguments"], There)):
                change(old, new)
        return from_json(message["value"], There)
    except Exception as e:
        return end(FAILED, f"the candidate said what it must not: {type(e).__name__}")


def change(old, new):
    """What the candidate did to an argument, done to ours."""
    if type(old) is not type(new) or old == new:
        return
    if isinstance(old, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set)):
        old.clear()
        old.update(new)


def exception_of(message):
    """Python's own exception that is nearest to the candidate's. What ends a loop or the program does not reach the tests."""
    kinds, text = message.get("raised"), str(message.get("message", ""))
    for name in kinds if isinstance(kinds, list) else []:
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if isinstance(kind, type) and issubclass(kind, Exception) and kind not in (StopIteration, StopAsyncIteration, Exception):
            try:
                return marked(kind(text))
            except TypeError:  # its constructor wants more
                continue
    return marked(RuntimeError(f"{message.get('name')}: {text}"))


def marked(error):
    error.of_candidate = True
    return error


def names(entry, used):
    """What the tests use and do not have: of the candidate's, but not what Python itself has, which a candidate could have put its
    own in place of, save for the function that is asked for."""
    message = reply()
    if not isinstance(message.get("names"), dict):
        end(FAILED, f"the code cannot be loaded: {message.get('name')}: {message.get('message')}")
    for name, value in message["names"].items():
        if name not in used or name.startswith("__"):
            continue
        if name != entry and hasattr(builtins, name):
            continue
        if name != entry and name in sys.stdlib_module_names:
            value = {"module": name}
        try:
            if isinstance(value, dict) and set(value) == {"module"}:
                if str(value["module"]).partition(".")[0] in sys.stdlib_module_names:
                    yield name, importlib.import_module(value["module"])
            else:
                yield name, from_json(value, There)
        except ImportError:
            continue
        except Exception as e:
            end(FAILED, f"the candidate said what it must not: {type(e).__name__}")


def used_in(texts):
    found = set()
    for number, text in enumerate(texts, 1):
        try:
            found |= {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        except (SyntaxError, ValueError, RecursionError) as e:
            end(WRONG, f"test {number} of {len(texts)} is no Python: {e}")
    return found


def given_names(before):
    """What the task itself defines, which a candidate cannot replace; nothing where that is no whole program. Not its classes:
    their objects are the candidate's, which is given them."""
    space = {"__name__": "before"}
    try:
        exec(compile(before, "before", "exec"), space)
    except Exception:
        return {}
    return {name: value for name, value in space.items() if not name.startswith("__") and not isinstance(value, type)}


def main():
    with open("tests.json", encoding="utf-8") as f:
        given = json.load(f)
    tests, entry = given["tests"], given["entry"]
    theirs = dict(names(entry, used_in(tests) | {entry}))
    if entry and entry not in theirs:
        end(FAILED, f"the code does not define {entry}")
    own = given_names(given["before"])
    own.pop(entry, None)
    space = {"__name__": "tests", **theirs, **own, "__builtins__": builtins}
    for number, test in enumerate(tests, 1):
        where = f"test {number} of {len(tests)}"
        try:
            exec(compile(test, where, "exec"), space)
        except Exception as e:
            said = "does not hold" if isinstance(e, AssertionError) else f"raised {type(e).__name__}: {str(e)[:200]}"
            own_fault = number <= given["setups"] and not getattr(e, "of_candidate", False)
            end(WRONG if own_fault else FAILED, f"{where} {said}")
    end(HELD, given["word"])


sys.setrecursionlimit(20_000)
try:
    main()
except BaseException as e:
    end(FAILED, f"the tests were ended: {type(e).__name__}: {e}")
