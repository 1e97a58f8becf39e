"""Values as JSON and back, by what they are made of. What is not made of plain data goes by a number, and stays where it is.

Used on both sides of `serve` and `examine`, inside the sandbox.
"""

import builtins
import json


class Reference:
    """The number of an object that lives on the other side."""

    def __init__(self, number):
        self.number = number


def to_json(value, hold):
    """`hold(value)` keeps what is not plain and returns its number. Subclasses of the plain types go as these types."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return {"int": int.__repr__(value)}
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
    if isinstance(value, type) and getattr(builtins, value.__name__, None) is value:
        return {"type": value.__name__}
    for name, kind in SEQUENCES.items():
        if isinstance(value, kind):
            return {name: [to_json(v, hold) for v in kind.__iter__(value)]}
    if isinstance(value, dict):
        return {"dict": [[to_json(k, hold), to_json(v, hold)] for k, v in dict.items(value)]}
    return {"held": hold(value)}


SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
READ = {
    "int": int,
    "float": float,
    "complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "bytes": lambda text: text.encode("latin-1"),
    "type": lambda name: getattr(builtins, name),
    "range": lambda parts: range(*map(int, parts)),
}


def from_json(data, held):
    """`held(number)` is the object, or what stands for it."""
    if not isinstance(data, dict):
        return data
    [(kind, inner)] = data.items()
    if kind in READ:
        return READ[kind](inner)
    if kind in SEQUENCES:
        return SEQUENCES[kind](from_json(v, held) for v in inner)
    if kind == "dict":
        return {from_json(k, held): from_json(v, held) for k, v in inner}
    if kind == "held":
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
