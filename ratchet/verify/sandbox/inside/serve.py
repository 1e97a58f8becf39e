"""The candidate's side: its code is loaded, and then does what it is asked to, call by call. It sees no test."""

import os
import sys
import types

from plain import from_json, hear, say, to_json

questions, answers = open(os.dup(0), encoding="utf-8"), open(os.dup(1), "w", encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # whatever the code reads or prints is no part of the talk
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
kept = []


def hold(value):
    kept.append(value)
    return len(kept) - 1


def call(target, arguments, named):
    """The value, and the arguments where the call has changed them: the tests may look at these too."""
    before = to_json(arguments, hold)
    value = to_json(target(*arguments, **named), hold)
    after = to_json(arguments, hold)
    return {"value": value} | ({"arguments": after} if after != before else {})


def told(step):
    return lambda *arguments: {"value": to_json(step(*arguments), hold)}


OPERATIONS = {
    "call": call,
    "attribute": told(getattr),
    "set": told(setattr),
    "item": told(lambda target, key: target[key]),
    "length": told(len),
    "truth": told(bool),
    "list": told(list),
    "text": told(str),
}
module = sys.modules["candidate"] = types.ModuleType("candidate")


def answer(question):
    operation, target, *rest = (from_json(part, kept.__getitem__) for part in question)
    return OPERATIONS[operation](target, *rest)


def guarded(step, *arguments):
    try:
        return step(*arguments)
    except BaseException as e:
        kinds = [kind.__name__ for kind in type(e).__mro__ if kind.__module__ == "builtins"]
        return {"raised": kinds, "name": type(e).__name__, "message": str(e)[:300]}


def source(name):
    with open(name, encoding="utf-8", errors="surrogatepass") as f:
        return f.read().lstrip("\ufeff")


def load():
    """What the task begins with, then the code; where that goes on in the middle of a function, both as one."""
    before, code = source("before.py"), source("candidate.py")
    try:
        parts = [compile(text, "candidate.py", "exec") for text in (before, code)]
    except SyntaxError:
        parts = [compile(before + code, "candidate.py", "exec")]
    for part in parts:
        exec(part, module.__dict__)
    return {"names": {name: described(value) for name, value in list(vars(module).items()) if not name.startswith("__")}}


def described(value):
    return {"module": value.__name__} if isinstance(value, types.ModuleType) else to_json(value, hold)


sys.setrecursionlimit(20_000)
say(answers, guarded(load))
while True:
    try:
        asked = hear(questions)
    except EOFError:
        break
    say(answers, guarded(answer, asked))
