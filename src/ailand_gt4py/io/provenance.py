"""Where the numbers in an output file come from: its global attributes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import ailand_gt4py
from ailand_gt4py.io.output import global_attributes
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.schema import checksum


def now() -> str:
    """The time of day as in the attribute ``history``."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def attributes(
    model: Model, title: str | None, command: str, notes: Sequence[str], backend: str, precision: str
) -> dict[str, str]:
    """Global attributes of a file that was computed with a model.

    Args:
        title: of the file; None: that of a run. command: that made it. notes: sentences on the input.
    """
    history = [f"{now()}: {command}", *notes]
    result = global_attributes(model, checksum(model), ailand_gt4py.__version__, history, backend, precision)
    return result if title is None else {**result, "title": title}
