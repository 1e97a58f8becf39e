"""The live display of a run; plain lines where the output is not a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import click

HEAD = f"{'turn':>7}  {'reward':>7}  {'pass@1 on validation':>22}  {'gate':<9}  {'tokens/s':>8}  {'seconds':>7}  {'left':>6}"


class Progress:
    """`tell(event)` is given to the run. In a terminal the last line is rewritten in place while a turn is at work."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.begun = False
        self.turns = self.done = 0
        self.seconds: list[float] = []
        self.since = time.monotonic()
        self.updates = self.rate = 0.0
        self.width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def tell(self, event: dict[str, Any]) -> None:
        getattr(self, "on_" + event["event"].replace(" ", "_"))(event)

    def on_start(self, e: dict[str, Any]) -> None:
        self.begun, self.turns, self.done, self.since = True, e["turns"], e["done"], time.monotonic()
        self._say(f"{e['recipe']}: {e['parameters']:,} parameters, {e['turns']} turns, folder {e['folder']}")
        for name, d in e["detectable"].items():
            if d["gain"] is not None:
                self._say(
                    f"the {name} of {d['tasks']:,} tasks x {d['samples']} samples shows a gain of {100 * d['gain']:.1f} points with "
                    "a chance of about 80 %, and smaller ones less often"
                )
        if e["done"]:
            self._say(f"{e['done']} turns were done before; going on")
        self._say(HEAD)

    def on_note(self, e: dict[str, Any]) -> None:
        self._say(f"note: {e['text']}")

    def on_already_done(self, e: dict[str, Any]) -> None:
        self._say("this run is finished already")

    def on_update(self, e: dict[str, Any]) -> None:
        self.rate = e["tokens_per_second"]
        if self.live:
            what = f"reward {e['reward']:.3f}" if "reward" in e else f"loss {e['loss']:.3f}"
            left = f", about {clock(self._left())} left" if self.seconds else ""
            self._draw(f"{e['turn'] + 1:>3}/{self.turns}  update {e['update']}, {what}, {self.rate:,.0f} tokens/s{left}")

    def on_turn(self, e: dict[str, Any]) -> None:
        self.done += 1
        self.seconds.append(e["seconds"])
        p = e["pass_at_1"]["challenger"]
        tokens = sum(
            part.get("sampled_tokens", 0) or part.get("trained_tokens", 0) for n, part in e["cost"].items() if n != "training"
        )
        tokens = tokens or e["cost"].get("training", {}).get("trained_tokens", 0)
        reward = f"{e['metrics']['reward']:.3f}" if "reward" in e["metrics"] else "-"
        self._say(
            f"{e['turn'] + 1:>3}/{self.turns:<3}  {reward:>7}  {p['value']:>8.1%} [{p['low']:.1%}, {p['high']:.1%}]  "
            f"{e['decision']:<9}  {tokens / e['seconds']:>8,.0f}  {e['seconds']:>7.1f}  {clock(self._left()):>6}"
        )

    def on_measuring(self, e: dict[str, Any]) -> None:
        self._say("the held-out look ...")

    def on_measured(self, e: dict[str, Any]) -> None:
        p = e["pass_at_1"]
        self._say(f"  {e['stage']}: pass@1 {p['value']:.1%} [{p['low']:.1%}, {p['high']:.1%}] on {p['n']} held-out tasks")

    def _left(self) -> float:
        """Seconds to go, by the mean turn; the held-out look is counted as two turns."""
        return sum(self.seconds) / len(self.seconds) * (self.turns - self.done + 2)

    def _say(self, line: str) -> None:
        self._clear()
        click.echo(line)

    def _draw(self, line: str) -> None:
        line = line[: max(shutil.get_terminal_size().columns - 1, 20)]
        sys.stdout.write("\r" + line.ljust(self.width))
        sys.stdout.flush()
        self.width = len(line)

    def _clear(self) -> None:
        if self.width:
            sys.stdout.write("\r" + " " * self.width + "\r")
            sys.stdout.flush()
            self.width = 0


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
