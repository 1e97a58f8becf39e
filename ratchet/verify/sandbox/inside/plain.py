"""Values as JSON and back, by what they are made of. What is not made of plain data goes by a number, and stays where it is.

Used on both sides of `serve` and `examine`, inside the sandbox.
"""

import collections
import decimal
import fractions
import json
import sys

sys.set_int_max_str_digits(0)
CLASSES = (int, float, complex, bool, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, object, type(None))
BY_NAME = {kind.__name__: kind for kind in CLASSES}  # no other name is ever looked up for the other side
SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "deque": collections.deque}


def to_json(value, hold):
    """`hold(value)` keeps what is not plain and returns its number. Subclasses of the plain types go as these types."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return {"int": format(int.__add__(value, 0), "x")}
    if isinstance(value, float):
        return {"float": float.__repr__(value)}
    if isinstance(value, complex):
        return {"complex": [float.__repr__(value.real), float.__repr__(value.imag)]}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).decode("latin-1")}
    if isinstance(value, range):
        return {"range": [str(value.start), str(value.stop), str(value.step)]}
    if isinstance(value, fractions.Fraction):
        return {"fraction": [str(value.numerator), str(value.denominator)]}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, type) and value in CLASSES:
        return {"type": value.__name__}
    for name, kind in SEQUENCES.items():
        if isinstance(value, kind):
            return {name: [to_json(v, hold) for v in kind.__iter__(value)]}
    if isinstance(value, dict):
        return {"dict": [[to_json(k, hold), to_json(v, hold)] for k, v in dict.items(value)]}
    return {"held": hold(value)}


READ = {
    "int": lambda digits: int(digits, 16),
    "float": float,
    "complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "bytes": lambda text: text.encode("latin-1"),
    "range": lambda parts: range(*map(int, parts)),
    "fraction": lambda parts: fractions.Fraction(int(parts[0]), int(parts[1])),
    "decimal": decimal.Decimal,
    "type": BY_NAME.__getitem__,
}


def from_json(data, held):
    """`held(number)` is the object, or what stands for it. Any exception where the data are none of ours."""
    if not isinstance(data, dict):
        if data is None or isinstance(data, (bool, str)):
            return data
        raise ValueError("a bare number or list")
    [(kind, inner)] = data.items()
    if kind in READ:
        return READ[kind](inner)
    if kind in SEQUENCES:
        return SEQUENCES[kind]([from_json(v, held) for v in inner])
    if kind == "dict":
        return {from_json(k, held): from_json(v, held) for k, v in inner}
    if kind == "held" and type(inner) is int:
        return held(inner)
    raise ValueError(kind)


def say(stream, message):
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def hear(stream):
    """EOFError where the other side has ended."""
    line = stream.readline()
    if not line.endswith("\n"):
        raise EOFError("the other side has ended")
    return json.loads(line)
