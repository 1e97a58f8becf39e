"""The candidate's side: its code is loaded, and then does what it is asked to, call by call. It sees no test."""

import os
import sys

from plain import from_json, hear, say, to_json

questions, answers = open(os.dup(0), encoding="utf-8"), open(os.dup(1), "w", encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # whatever the code reads or prints is no part of the talk
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
kept = []


def hold(value):
    kept.append(value)
    return len(kept) - 1


OPERATIONS = {
    "call": lambda target, arguments, named: target(*arguments, **named),
    "attribute": lambda target, name: getattr(target, name),
    "set": lambda target, name, value: setattr(target, name, value),
    "item": lambda target, key: target[key],
    "length": len,
    "list": list,
    "text": str,
}
space = {"__name__": "candidate", "__builtins__": __builtins__}


def answer(question):
    operation, target, *rest = (from_json(part, kept.__getitem__) for part in question)
    return {"value": to_json(OPERATIONS[operation](target, *rest), hold)}


def guarded(step, *arguments):
    try:
        return step(*arguments)
    except BaseException as e:
        return {"raised": type(e).__name__, "message": str(e)[:300]}


def load():
    with open("candidate.py", encoding="utf-8", errors="surrogateescape") as f:
        exec(compile(f.read(), "candidate.py", "exec"), space)
    return {"names": {name: to_json(value, hold) for name, value in list(space.items()) if not name.startswith("__")}}


sys.setrecursionlimit(20_000)
say(answers, guarded(load))
while True:
    try:
        asked = hear(questions)
    except EOFError:
        break
    say(answers, guarded(answer, asked))
