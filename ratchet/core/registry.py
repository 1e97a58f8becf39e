"""Registration of methods: a method names itself in its own file, and discovery walks the folder."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import threading
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from ratchet.core.errors import RatchetError, RecipeError, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    name: str
    value: T
    paper: str
    summary: str
    module: str


class Registry(Generic[T]):
    """Methods of one kind, found in the modules of one package.

    A duplicate name raises; a wrong name lists the nearest right ones. `error` is the error type of the boundary.
    """

    def __init__(self, kind: str, package: str, error: type[RatchetError] = RecipeError) -> None:
        self.kind, self.package, self.error = kind, package, error
        self._entries: dict[str, Entry[T]] = {}
        self._discovered, self._discovery = False, threading.RLock()

    def add(self, name: str, paper: str = "") -> Callable[[T], T]:
        """Decorator or plain call: `strategies.add("vote", paper="...")(vote)`."""

        def register(value: T) -> T:
            self.put(name, value, paper)
            return value

        return register

    def put(self, name: str, value: T, paper: str = "", summary: str | None = None) -> T:
        """Register a value; its summary is the first line of `summary` or of its docstring."""
        module = getattr(value, "__module__", "") or ""
        known = self._entries.get(name)
        if known is not None:
            raise self.error(f'{self.kind} "{name}" is registered twice, in {known.module} and {module}; rename one')
        summary = (summary or inspect.getdoc(value) or "").strip().split("\n")[0]
        self._entries[name] = Entry(name, value, paper, summary, module)
        return value

    def discover(self) -> None:
        """Import every module of the package once."""
        with self._discovery:  # another thread waits until all are there; this one may come back in while it imports
            if self._discovered:
                return
            self._discovered = True
            package = importlib.import_module(self.package)
            for info in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{info.name}")

    def known(self) -> list[Entry[T]]:
        """What was registered so far, in that order, without importing the rest of the package."""
        return list(self._entries.values())

    def entry(self, name: str) -> Entry[T]:
        if name not in self._entries:
            self.discover()
        if name not in self._entries:
            raise self.error(f'no {self.kind} named "{name}"; {nearest(name, self._entries)}')
        return self._entries[name]

    def __getitem__(self, name: str) -> T:
        return self.entry(name).value

    def __contains__(self, name: str) -> bool:
        self.discover()
        return name in self._entries

    def __iter__(self) -> Iterator[Entry[T]]:
        self.discover()
        return iter(sorted(self._entries.values(), key=lambda e: e.name))


def check_knobs(kind: str, name: str, function: Callable[..., Any], knobs: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs, checked against the keyword-only arguments of a method; whole numbers widen to floats.

    Raises RecipeError for a wrong name (with the nearest right one), a wrong type, or what is not a number (nan).
    """
    allowed = {p.name: p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
    checked: dict[str, Any] = {}
    for knob, value in knobs.items():
        if knob not in allowed:
            raise RecipeError(f'{kind} "{name}" has no knob "{knob}"; {nearest(knob, allowed)}')
        default = allowed[knob].default
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        if default is not inspect.Parameter.empty and default is not None and type(value) is not type(default):
            raise RecipeError(
                f'{kind} "{name}": knob "{knob}" takes {type(default).__name__} (default {default!r}), got {value!r}'
            )
        if isinstance(default, tuple) and any(type(v) is not type(default[0]) for v in cast(tuple[Any, ...], value)):
            kinds = f"{type(default[0]).__name__} values such as {default!r}"
            raise RecipeError(f'{kind} "{name}": knob "{knob}" takes {kinds}, got {value!r}')
        if (
            default is None
            and value is not None
            and type(value) not in (kinds := typing.get_args(typing.get_type_hints(function)[knob]))
        ):
            named = " or ".join(k.__name__ for k in kinds if k is not type(None))
            raise RecipeError(f'{kind} "{name}": knob "{knob}" takes {named} (default: none), got {value!r}')
        if any(isinstance(v, float) and math.isnan(v) for v in (value if isinstance(value, tuple) else (value,))):
            raise RecipeError(f'{kind} "{name}": knob "{knob}" takes a number, got {value!r}')
        checked[knob] = value
    return checked
