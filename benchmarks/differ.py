"""Looks for an input on which a mutant and its reference differ. Runs in the sandbox: both are executed in this process.

Standard input: {"reference", "mutants", "entry", "setup", "tests", "seconds", "seed"}. Standard output: one line of JSON for each
mutant, {"arguments", "reference", "mutant"} or null where nothing was found within `seconds` of processor time. The arguments are
those of the tests, then changed ones: first once, then more often. An input that the reference raises on, or whose value differs
from call to call, shows nothing. A difference in the last digits of a float is none.
"""

import contextlib
import copy
import io
import itertools
import json
import random
import signal
import sys
import time

LATE = 0.3
SHOWN = 300


class Late(BaseException):
    pass


def late(*_):
    raise Late


def load(code):
    space = {"__name__": "candidate"}
    exec(compile(code, "candidate", "exec"), space)
    return space


def recorded(given):
    """The arguments of every call that the tests make of the reference."""
    space = load(given["reference"])
    function, calls = space[given["entry"]], []

    def recorder(*arguments, **named):
        if len(calls) < 100:
            calls.append(copy.deepcopy((arguments, named)))
        return function(*arguments, **named)

    tests = {**space, given["entry"]: recorder}
    for test in [given["setup"], *given["tests"]]:
        exec(compile(test, "test", "exec"), tests)
    return calls


# ---- changed arguments ---------------------------------------------------------------------------------------------


def change(value, r, pool):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    for kind, how in CHANGES.items():
        if isinstance(value, kind):
            return how(value, r, pool)
    if hasattr(value, "__dict__") and vars(value):
        new = copy.copy(value)
        name = r.choice(sorted(vars(value)))
        setattr(new, name, change(getattr(value, name), r, pool))
        return new
    return value


def change_int(v, r, pool):
    most = 4 * max(10, abs(v))
    return r.choice([v + 1, v - 1, v + 2, 0, 1, 2, -v, 2 * v, v // 2, v + 10, r.randint(0, most), r.randint(-most, most)])


def change_float(v, r, pool):
    return r.choice([v + 1, v - 1, v + 0.5, 0.0, 1.0, -v, 2 * v, v / 2, round(v), r.uniform(-2, 2) * max(1.0, abs(v))])


def change_text(v, r, pool):
    i, j = sorted((r.randint(0, len(v)), r.randint(0, len(v))))
    letters = v + "aA0 _.zZ9,-\n"
    return r.choice([
        v[:i] + v[i + 1 :], v[:i] + r.choice(letters) + v[i:], v[:i] + r.choice(letters) + v[i + 1 :], v[:i] + v[j:], v[i:j], v + v,
        v[::-1], v.swapcase(), "", v[:i] + v[i : i + 1] + v[i:], v + r.choice(pool["text"] or [""]), v[:i] + " " + v[i:],
    ])  # fmt: skip


def change_list(v, r, pool):
    v = list(v)
    if not v:
        return [copy.deepcopy(r.choice(pool["item"] or [0]))]
    i, j = r.randrange(len(v)), r.randrange(len(v))
    kind = r.randrange(10)
    if kind < 4:
        v[i] = change(v[i], r, pool)
    elif kind == 4:
        del v[i]
    elif kind == 5:
        v.insert(j, copy.deepcopy(v[i]))
    elif kind == 6:
        v[i], v[j] = v[j], v[i]
    elif kind == 7:
        v.append(change(copy.deepcopy(v[i]), r, pool))
    elif kind == 8:
        v = v[::-1] if r.random() < 0.5 else v[:j]
    else:
        v[i] = copy.deepcopy(v[j])
    return v


def change_set(v, r, pool):
    with contextlib.suppress(TypeError):
        return type(v)(change_list(sorted(v, key=repr), r, pool))
    return v


def change_dict(v, r, pool):
    v = dict(v)
    if v:
        key = r.choice(sorted(v, key=repr))
        kind = r.randrange(3)
        if kind < 2:
            v[key] = change(v[key], r, pool)
        elif len(v) > 1:
            del v[key]
    return v


CHANGES = {
    int: change_int, float: change_float, str: change_text, list: change_list, dict: change_dict, set: change_set, frozenset: change_set,
    tuple: lambda v, r, pool: tuple(change_list(v, r, pool)), complex: lambda v, r, pool: complex(v.imag, v.real + r.randint(-1, 1)),
}  # fmt: skip


def inputs(calls, r):
    """The calls of the tests, then changed ones without end."""
    yield from copy.deepcopy(calls)
    parts = [a for arguments, named in calls for a in (*arguments, *named.values())]
    pool = {
        "text": [p for p in parts if isinstance(p, str)],
        "item": [x for p in parts if isinstance(p, (list, tuple)) for x in p],
    }
    for number in itertools.count():
        arguments, named = copy.deepcopy(r.choice(calls))
        arguments = list(arguments)
        for _ in range(1 + number // 300 % 4):
            place = r.randrange(len(arguments) + len(named)) if arguments or named else None
            if place is None:
                return
            if place < len(arguments):
                others = [c[0][place] for c in calls if len(c[0]) > place]
                arguments[place] = copy.deepcopy(r.choice(others)) if r.random() < 0.1 else change(arguments[place], r, pool)
            else:
                name = sorted(named)[place - len(arguments)]
                named[name] = change(named[name], r, pool)
        yield tuple(arguments), named


# ---- what comes out ------------------------------------------------------------------------------------------------


def outcome(function, call):
    """("value", it), ("raised", type) or ("late", None)."""
    arguments, named = copy.deepcopy(call)
    signal.setitimer(signal.ITIMER_REAL, LATE)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            value = function(*arguments, **named)
            if hasattr(value, "__next__"):
                value = list(itertools.islice(value, 1000))
        return "value", value
    except Late:
        return "late", None
    except BaseException as e:
        return "raised", type(e).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def same(a, b):
    """As `==` says, but for rounding; objects by what they hold, and what cannot be looked into is the same."""
    numbers = (int, float, complex)
    if isinstance(a, numbers) and isinstance(b, numbers):
        return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or (a != a and b != b)
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if callable(a) and callable(b):
        return True
    if type(a).__name__ == type(b).__name__ and type(a).__eq__ is object.__eq__:
        return not hasattr(a, "__dict__") or same(vars(a), vars(b))
    try:
        return bool(a == b)
    except Exception:
        return True


def shown(kind, value):
    try:
        return {"value": repr(value), "raised": f"raises {value}", "late": f"does not end in {LATE} s"}[kind][:SHOWN]
    except Exception:
        return kind


def difference(given, mutant, calls):
    reference = load(given["reference"])[given["entry"]]
    try:
        other = load(mutant).get(given["entry"])
    except BaseException as e:
        return {"arguments": "none: it cannot be loaded", "reference": "", "mutant": type(e).__name__}
    end = time.process_time() + given["seconds"]
    for call in inputs(calls, random.Random(given["seed"])):
        if time.process_time() > end:
            return None
        try:
            first = outcome(reference, call)
            if first[0] != "value":
                continue
            second = outcome(other, call)
            if second[0] == "value" and same(first[1], second[1]):
                continue
            again, third = outcome(reference, call), outcome(other, call)
            if again[0] != "value" or not same(first[1], again[1]) or second[0] != third[0]:
                continue
            written = ", ".join([*map(repr, call[0]), *(f"{k}={v!r}" for k, v in call[1].items())])
        except (MemoryError, RecursionError, OverflowError, ValueError):
            continue
        return {"arguments": written[:SHOWN], "reference": shown(*first), "mutant": shown(*second)}
    return None


def main():
    given = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, late)
    with contextlib.redirect_stdout(io.StringIO()):
        calls = recorded(given)
    for mutant in given["mutants"]:
        with contextlib.redirect_stdout(io.StringIO()):
            found = difference(given, mutant, calls)
        print(json.dumps(found), flush=True)


main()
