"""What the output of a run looks like: variables, attributes, chunks. `writers` puts it on disk.

Rows carry the labels of the forcing. Row t holds what is instantaneous AT t: the state, and the diagnostics of the
step that ENDED at t; and the fluxes averaged over [t, t + step). So it is compared with ecLand's output label by label.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

import ailand_gt4py
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import opening
from ailand_gt4py.io.cells import is_member
from ailand_gt4py.io.grids import Grid
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.training_ranges import TOLERANCE
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

#: Its value where there is no column.
NO_FLAG = 255

#: Bytes of a chunk: large enough for fast reading, small enough to read one column without reading everything.
CHUNK_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class OutputLayout:
    """Everything about an output file but its values; times (n_steps,), locations (n_columns,).

    Attributes:
        variables: state, then diagnostics: the order in which a writer takes them. block_steps: rows written at once.
        grid: on which the columns lie, as the output has them. calendar: of the times.
        longest: lengths of a chunk at most, along the dimensions of the grid; empty: as they fit `CHUNK_BYTES`.
    """

    variables: tuple[Variable, ...]
    times: Values
    step: np.timedelta64
    latitude: Values
    longitude: Values
    x: Values
    grid: Grid
    calendar: str
    dtype: np.dtype[Any]
    block_steps: int
    attributes: dict[str, str]
    longest: tuple[int, ...] = ()

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
            grid=source.grid,
            calendar=source.calendar,
            dtype=dtype,
            block_steps=block_steps,
            attributes=attributes,
        )

    def with_history(self, sentences: Sequence[str]) -> Self:
        """The same with more in its history."""
        history = "\n".join([self.attributes["history"], *sentences])
        return dataclasses.replace(self, attributes={**self.attributes, "history": history})

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.times), len(self.x)

    @property
    def n_bytes(self) -> int:
        """Of all values and flags."""
        return math.prod(self.sizes.values()) * (len(self.variables) * self.dtype.itemsize + 1)

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the dimensions of a variable in the file."""
        return {"time": len(self.times), **self.grid.sizes}

    @property
    def chunks(self) -> tuple[int, ...]:
        """Lengths of a chunk along these dimensions, whole along the last ones as far as it goes."""
        rows = min(self.block_steps, len(self.times))
        points, lengths = CHUNK_BYTES // (rows * self.dtype.itemsize), list[int]()
        for length, longest in zip(reversed(self.grid.shape), reversed(self.longest or self.grid.shape), strict=True):
            lengths.insert(0, max(1, min(length, longest, points)))
            points //= lengths[0]
        return rows, *lengths


def variable_attributes(variable: Variable) -> dict[str, str]:
    """CF attributes of a variable of the output over columns."""
    attributes = {"long_name": variable.name, **cf_attributes(variable)}
    is_mean = variable.time_meaning == "window mean"
    attributes["cell_methods"] = "time: mean" if is_mean else "time: point"
    attributes["comment"] = "mean over time_bnds, from the label on" if is_mean else "value at the label"
    attributes["coordinates"] = "lat lon"
    attributes["ancillary_variables"] = QUALITY_FLAG
    return attributes


def values_of(layout: OutputLayout) -> dict[str, tuple[np.dtype[Any], float | None, dict[str, Any]]]:
    """State, diagnostics and quality flag, of `OutputLayout.sizes` each: name -> type, fill value, attributes."""
    location = _location(layout.grid)
    values = {
        variable.name: (layout.dtype, np.nan, _placed(variable_attributes(variable), location))
        for variable in layout.variables
    }
    flag = {
        "long_name": "inputs of the step that starts at the label outside the range seen in training",
        "standard_name": "quality_flag",
        "flag_masks": np.array(list(FLAG_MASKS.values()), dtype=np.uint8),
        "flag_meanings": " ".join(FLAG_MASKS),
        "comment": (
            f"0: all inputs are within the ranges of the training data or {TOLERANCE:g} of their widths beyond (amount "
            "of snow: a factor that its samples tell); properties of the snow are looked at where there is snow"
        ),
        "coordinates": "lat lon",
    }
    missing = None if layout.grid.is_whole else NO_FLAG
    return {**values, QUALITY_FLAG: (np.dtype(np.uint8), missing, _placed(flag, location))}


def _location(grid: Grid) -> dict[str, str]:
    """Attributes that say where values are, beyond the dimensions of the same names."""
    auxiliary = [
        name
        for name, variable in grid.coordinates.items()
        if variable.dims and variable.dims != (name,) and name != grid.mapping
    ]
    found = {"coordinates": " ".join(auxiliary), "grid_mapping": grid.mapping}
    return {key: text for key, text in found.items() if text}


def _placed(attributes: Mapping[str, Any], location: Mapping[str, str]) -> dict[str, Any]:
    """Attributes with those of the location in the place of that of columns."""
    result: dict[str, Any] = {}
    for key, value in attributes.items():
        result |= location if key == "coordinates" else {key: value}
    return result


def coordinates(layout: OutputLayout) -> dict[str, xr.Variable]:
    """Coordinate variables of the grid and the times, and the bounds of these."""
    return {**_times(layout), **layout.grid.coordinates}


def column_coordinates(layout: OutputLayout) -> dict[str, xr.Variable]:
    """The same of columns along ``x``, on whatever grid they lie."""
    return {**_times(layout), **columns(layout.x, layout.latitude, layout.longitude)}


def _times(layout: OutputLayout) -> dict[str, xr.Variable]:
    start, length = seconds(layout.times), round(float(layout.step / np.timedelta64(1, "s")))
    return {
        "time": time_labels(layout.times, "start of the step", calendar=layout.calendar, bounds="time_bnds"),
        # Bounds take units and calendar from their variable (CF 7.1).
        "time_bnds": plain(("time", "nv"), np.stack([start, start + length], axis=1), {}),
    }


class RunOutput:
    """A finished output by columns; close it, or use it as a context manager.

    Attributes:
        times: (n_times,), its labels. x: (n_columns,), of the columns. latitude, longitude: (n_columns,), degrees.
        step: of the run. calendar: of the times.
    """

    def __init__(self, path: Path, source: ColumnSource) -> None:
        self._dataset, _ = opening.open_file(path)
        self._grid, self.times, self.step = source.grid, source.times, source.step
        self.calendar = source.calendar
        self.x, self.latitude, self.longitude = source.x, source.latitude, source.longitude

    @property
    def n_columns(self) -> int:
        return len(self.latitude)

    @property
    def cells(self) -> Values:
        """(n_columns,) int64, the cell of each column: the same of all members."""
        n_cells = math.prod(length for name, length in self._grid.sizes.items() if not is_member(name))
        return self._grid.index % n_cells

    def has(self, name: str) -> bool:
        """Whether it has a variable."""
        return name in self._dataset.variables

    def read(self, name: str, times: slice = slice(None), columns: slice = slice(None)) -> Values:
        """Values of a variable, (n_times, n_columns) of those asked for."""
        positions = np.unravel_index(self._grid.index[columns], self._grid.shape)
        corner = [(int(one.min()), int(one.max()) + 1) for one in positions]
        part = {axis: slice(*span) for axis, span in zip(self._grid.sizes, corner, strict=True)}
        slab = self._dataset[name].isel({"time": times, **part}).values
        chosen = tuple(one - span[0] for one, span in zip(positions, corner, strict=True))
        values: Values = slab[(slice(None), *chosen)]  # type: ignore[arg-type]
        return values

    def close(self) -> None:
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
