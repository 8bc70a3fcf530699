"""Some of the damaged and hostile inputs that ``make fuzz`` makes by the ten thousand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_no_damaged_or_hostile_input_does_harm() -> None:
    """In a process of its own, from which those that read the inputs are forked."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--count", "85", "--processes", "1"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| all | 85 |" in ended.stdout
