"""What the output of a run looks like: variables, attributes, chunks. `writers` puts it on disk.

Rows carry the labels of the forcing. Row t holds what is instantaneous AT t: the state, and the diagnostics of the
step that ENDED at t; and the fluxes averaged over [t, t + step). So it is compared with ecLand's output label by label.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

import ailand_gt4py
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.whole_files import columns, plain, seconds, time_labels
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.schema import checksum
from ailand_gt4py.weights.variables import cf_attributes

#: Bits of `quality_flag`: which inputs of the step that starts at the row's label are outside the training range.
FLAG_MASKS = {
    "static_outside_training_range": 1,
    "forcing_outside_training_range": 2,
    "state_outside_training_range": 4,
}
QUALITY_FLAG = "quality_flag"

#: Bytes of a chunk: large enough for fast reading, small enough to read one column without reading everything.
CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class OutputLayout:
    """Everything about an output file but its values; times (n_steps,), locations (n_columns,).

    Attributes:
        variables: state, then diagnostics: the order in which a writer takes them. block_steps: rows written at once.
    """

    variables: tuple[Variable, ...]
    times: Values
    step: np.timedelta64
    latitude: Values
    longitude: Values
    x: Values
    dtype: np.dtype[Any]
    block_steps: int
    attributes: dict[str, str]

    @classmethod
    def of(
        cls, source: ColumnSource, dtype: np.dtype[Any], block_steps: int, attributes: dict[str, str]
    ) -> OutputLayout:
        """That of a run through all of a source."""
        return cls(
            variables=source.model.state + source.model.diagnostics,
            times=source.times,
            step=source.step,
            latitude=source.latitude,
            longitude=source.longitude,
            x=source.x.astype(source.x.dtype.newbyteorder("=")),
            dtype=dtype,
            block_steps=block_steps,
            attributes=attributes,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.times), len(self.x)

    @property
    def chunks(self) -> tuple[int, int]:
        """Rows and columns of a chunk."""
        rows = min(self.block_steps, self.shape[0])
        return rows, max(1, min(self.shape[1], CHUNK_BYTES // (rows * self.dtype.itemsize)))


def variable_attributes(variable: Variable) -> dict[str, str]:
    """CF attributes of a variable of the output."""
    attributes = {"long_name": variable.name, **cf_attributes(variable)}
    is_mean = variable.time_meaning == "window mean"
    attributes["cell_methods"] = "time: mean" if is_mean else "time: point"
    attributes["comment"] = "mean over time_bnds, from the label on" if is_mean else "value at the label"
    attributes["coordinates"] = "lat lon"
    attributes["ancillary_variables"] = QUALITY_FLAG
    return attributes


def values_of(layout: OutputLayout) -> dict[str, tuple[np.dtype[Any], float | None, dict[str, Any]]]:
    """State, diagnostics and quality flag, (time, x) each: name -> type, fill value, attributes."""
    values = {
        variable.name: (layout.dtype, np.nan, dict[str, Any](variable_attributes(variable)))
        for variable in layout.variables
    }
    flag = {
        "long_name": "inputs of the step that starts at the label outside the range seen in training",
        "standard_name": "quality_flag",
        "flag_masks": np.array(list(FLAG_MASKS.values()), dtype=np.uint8),
        "flag_meanings": " ".join(FLAG_MASKS),
        "comment": "0: all inputs are within the ranges that the model was trained on",
        "coordinates": "lat lon",
    }
    return {**values, QUALITY_FLAG: (np.dtype(np.uint8), None, flag)}


def coordinates(layout: OutputLayout) -> dict[str, xr.Variable]:
    """Coordinate variables and the bounds of the times."""
    start, length = seconds(layout.times), round(float(layout.step / np.timedelta64(1, "s")))
    return {
        "time": time_labels(layout.times, "start of the step", bounds="time_bnds"),
        # Bounds take units and calendar from their variable (CF 7.1).
        "time_bnds": plain(("time", "nv"), np.stack([start, start + length], axis=1), {}),
        **columns(layout.x, layout.latitude, layout.longitude),
    }


def now() -> str:
    """The time of day as in the attribute ``history``."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def attributes(
    model: Model, title: str | None, command: str, notes: Sequence[str], backend: str, precision: str
) -> dict[str, str]:
    """Global attributes of a file that a command computed with a model; ``notes``: sentences on the input."""
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
