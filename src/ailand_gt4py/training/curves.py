"""Learning curves: a table for spreadsheets, records for programs and, where asked for, TensorBoard's events."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import whole_file


class Curves:
    """Writes one row for every validation: to ``log.csv``, and with more detail to ``log.jsonl``."""

    def __init__(self, directory: Path, tensorboard: bool = False) -> None:
        self._directory = directory
        self._table, self._records = directory / "log.csv", directory / "log.jsonl"
        self._has_events = tensorboard
        self._events: Any = None
        if tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise InputError(
                "option 'run.tensorboard': the package 'tensorboard' is not installed; expected it, or false"
            )

    def forget_after(self, iteration: int) -> None:
        """Drop rows of later iterations: of another run, or of a part of this one that will be made again."""
        _keep_lines(self._table, lambda line: not line[0].isdigit() or int(line.partition(",")[0]) <= iteration)
        _keep_lines(self._records, lambda line: json.loads(line)["iteration"] <= iteration)
        if iteration == 0:
            # The columns may be others.
            self._table.unlink(missing_ok=True)

    def write(self, iteration: int, record: Mapping[str, object], values: Mapping[str, float]) -> None:
        """Add a record of anything JSON has, and a row of values, of the same names in every call."""
        row = {"iteration": str(iteration)} | {name: f"{value:.6g}" for name, value in values.items()}
        is_new = not self._table.exists()
        with self._table.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        with self._records.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"iteration": iteration} | dict(record)) + "\n")
        if self._has_events:
            from torch.utils.tensorboard import SummaryWriter

            # What an earlier run or part of this one wrote from here on is hidden.
            self._events = self._events or SummaryWriter(str(self._directory), purge_step=iteration)
            for name, value in values.items():
                self._events.add_scalar(name, value, iteration)
            self._events.flush()


def _keep_lines(path: Path, is_kept: Callable[[str], bool]) -> None:
    """Drop lines of a text file, if there is one; an incomplete last line (of a run that was killed) goes, too."""
    if not path.exists():
        return
    lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    with whole_file(path, "writing the curves") as temporary:
        temporary.write_text("".join(line for line in lines if is_kept(line)), encoding="utf-8")
