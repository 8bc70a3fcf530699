"""Where the numbers in an output file come from: its global attributes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import ailand_gt4py
from ailand_gt4py.io.output import global_attributes
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.schema import checksum


def attributes(
    model: Model, title: str, command: str, notes: Sequence[str], backend: str, precision: str
) -> dict[str, str]:
    """Global attributes of a file that was computed with a model.

    Args:
        title: of the file. command: that made it. notes: sentences on the input.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    history = [f"{now}: {command}", *notes]
    result = global_attributes(model, checksum(model), ailand_gt4py.__version__, history, backend, precision)
    return {**result, "title": title}
