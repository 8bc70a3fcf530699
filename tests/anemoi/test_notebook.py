"""The notebook about coupling, which the site shows with kept outputs, still gives what its page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("anemoi.inference", reason="anemoi-inference is not installed: pip install 'ailand_gt4py[anemoi]'")
pytest.importorskip("anemoi.training", reason="anemoi-training is not installed (make test-anemoi does)")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "anemoi_coupling.md"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```\n(?:\n```(?:text|yaml)\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.slow


def test_it_runs_and_prints_what_the_page_has(tmp_path: Path) -> None:
    cells = CELL.findall(NOTEBOOK.read_text(encoding="utf-8"))
    program = tmp_path / "notebook.py"
    program.write_text("\n".join(cell + f"\nprint('end of cell {k}')" for k, (cell, _) in enumerate(cells)))
    result = subprocess.run(
        [sys.executable, str(program)], cwd=NOTEBOOK.parent, env=os.environ | {"MPLBACKEND": "Agg"},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    printed = [part.strip() for part in re.split(r"end of cell \d+\n", result.stdout)]
    expected = [kept.strip() for _, kept in cells]
    # The last tells errors, which differ from machine to machine by the training's rounding.
    assert printed[: len(cells) - 1] == expected[:-1]
    assert "False" not in printed[2]
    errors = [[float(one) for one in re.findall(r"\d+\.\d+", text)] for text in (printed[len(cells) - 1], expected[-1])]
    assert errors[0] == pytest.approx(errors[1], rel=0.3)
    alone, coupled = errors[0][0], errors[0][3]
    assert coupled < alone
