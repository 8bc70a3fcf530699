"""Where the values in an output file come from: its global attributes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import ailand_gt4py
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.schema import checksum


def now() -> str:
    """The time of day as in the attribute ``history``."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def attributes(
    model: Model, title: str | None, command: str, notes: Sequence[str], backend: str, precision: str
) -> dict[str, str]:
    """Global attributes of a file that a command computed with a model.

    Args:
        title: of the file; None: that of a run. notes: sentences on the input.
    """
    name = model.provenance.get("title") or model.provenance.get("name") or f"{model.architecture} network"
    references = ["doi:10.5194/gmd-18-921-2025 (aiLand)", model.provenance.get("citation", "")]
    found = checksum(model)
    return {
        "Conventions": "CF-1.11",
        "title": title or "land surface simulated by aiLand, an emulator of ecLand",
        "source": (
            f"ailand_gt4py {ailand_gt4py.__version__}; model: {name}, architecture {model.architecture}, "
            f"{model.parameter_count} parameters, checksum {found}"
        ),
        "history": "\n".join([f"{now()}: {command}", *notes]),
        "references": "; ".join(text for text in references if text),
        "backend": backend,
        "precision": precision,
        "model_checksum": found,
    }
