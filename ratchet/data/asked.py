"""What a model was asked and replied, kept in a file: asked again after a stop, it replies from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ratchet.core.seeds import digest


class Remembered:
    """`ask` with a memory. Lines are appended as replies come; `asked` counts those that the model was asked for."""

    def __init__(self, ask: Callable[[str], str], model: str, path: Path) -> None:
        self.ask, self.model, self.path, self.asked = ask, model, path, 0
        self.known: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
                self.known[row["key"]] = row["reply"]
            except (ValueError, KeyError, TypeError):
                continue  # the line that was being written when the work was stopped

    def __call__(self, prompt: str) -> str:
        key = digest("asked", self.model, prompt).hex()[:24]
        if key not in self.known:
            self.known[key] = self.ask(prompt)
            self.asked += 1
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "model": self.model, "prompt": prompt, "reply": self.known[key]}) + "\n")
        return self.known[key]
