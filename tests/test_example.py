"""The example runs, and stays on one page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "turn.py"


def test_the_loop_on_one_page_runs() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLE), "--quick"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["turn 1", "turn 2"]
    assert lines[-1].startswith("difference:") and "[" in lines[-1]


def test_it_is_one_page() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 150
