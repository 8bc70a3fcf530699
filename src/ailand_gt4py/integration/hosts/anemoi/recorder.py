"""What the land was given by an atmosphere, as an input of ``ailand-column-run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.arrays import Array, to_host
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.output import OutputLayout, column_coordinates, variable_attributes
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.whole_files import field, write_netcdf
from ailand_gt4py.weights.model import Variable


class ForcingRecorder:
    """Holds static fields, the state at the start and the forcing of each window, float32, until it writes them."""

    def __init__(self, source: ColumnSource, state: Array) -> None:
        self._source, self._state = source, to_host(state).copy()
        self._windows: list[Values] = []

    def add(self, forcing: Values) -> None:
        """Of a window, (n_columns, n_given)."""
        self._windows.append(forcing.copy())

    def write(self, path: Path, given: Sequence[Variable], layout: OutputLayout) -> None:
        """Write the file; the state stands at its first time, and is missing at the others."""
        model, n_times = self._source.model, len(self._windows)
        data = xr.Dataset(column_coordinates(layout), attrs={"Conventions": "CF-1.11", "title": "forcing of the land"})
        for position, one in enumerate(model.static):
            data[one.name] = field(("x",), self._source.static[:, position], one.long_name, one.units)
        forcing = np.stack(self._windows)
        for position, one in enumerate(given):
            attributes = variable_attributes(one)
            values = np.ascontiguousarray(forcing[..., position])
            data[one.name] = field(
                ("time", "x"), values, attributes["long_name"], one.units, cell_methods=attributes["cell_methods"]
            )
        for position, one in enumerate(model.state):
            values = np.full((n_times, self._source.n_columns), np.nan, dtype=self._state.dtype)
            values[0] = self._state[:, position]
            data[one.name] = field(("time", "x"), values, one.long_name, one.units, cell_methods="time: point")
        write_netcdf(path, data, "writing the land's forcing")
