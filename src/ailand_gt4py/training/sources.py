"""What training data are read from, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.input import ColumnInput, open_input
from ailand_gt4py.io.time_axis import read_times
from ailand_gt4py.training.anemoi_source import AnemoiSource, is_anemoi_store
from ailand_gt4py.weights.variables import VariableSet

#: Where a file has one time only and its step does not matter.
ANY_STEP_SECONDS = 21_600.0


class Source(Protocol):
    """Columns through time, in the variable set's order and units.

    Attributes:
        times: datetime64[ns] (n_times,), labels. step: between two of them.
        x: (n_columns,) labels of the columns. latitude, longitude: (n_columns,), degrees.
        climate: (n_columns,) class of each column, "" where the source has none.
        static: (n_columns, n_static).
        lacking: states that it does not have, out of those that it may lack.
        history: sentences, one for each thing done to the values or taken for granted.
    """

    times: Values
    step: np.timedelta64
    x: Values
    latitude: Values
    longitude: Values
    climate: Values
    static: Values
    lacking: tuple[str, ...]
    history: list[str]

    @property
    def n_columns(self) -> int:
        """Number of columns."""

    def forcing(self, first: int, last: int) -> Values:
        """(last - first, n_columns, n) of the forcing that is not derived, at labels ``first`` to ``last`` - 1."""

    def reference(self, names: Sequence[str], first: int, last: int) -> Values:
        """(last - first, n_columns, n) of states and diagnostics; missing values are NaN."""

    def close(self) -> None:
        """Give files and buffers back."""


class ColumnSource:
    """A file that ``ailand-column-run`` reads (netCDF or zarr, names of ec-land-db, its public store included).

    Args:
        path: of the file. variables: to read. may_lack: states that it need not have.

    Raises:
        InputError: anything about the file that does not fit.
    """

    def __init__(self, path: str | Path, variables: VariableSet, may_lack: Sequence[str] = ()) -> None:
        with ColumnFile(path) as file:
            times, climate = read_times(file), file.texts("climate")
        step = float((times[1] - times[0]) / np.timedelta64(1, "s")) if len(times) > 1 else ANY_STEP_SECONDS
        self._input: ColumnInput = open_input(path, variables.template(step), initial_state="none")
        self.times, self.step, self.x = self._input.times, self._input.step, self._input.x
        self.latitude, self.longitude = self._input.latitude, self._input.longitude
        self.static, self.history = self._input.static, self._input.history
        self.lacking = self._input.lacking(may_lack)
        self.climate = np.full(self.n_columns, "") if climate is None else climate

    @property
    def n_columns(self) -> int:
        return self._input.n_columns

    def forcing(self, first: int, last: int) -> Values:
        return self._input.forcing(first, last)

    def reference(self, names: Sequence[str], first: int, last: int) -> Values:
        return self._input.reference(names, first, last)

    def close(self) -> None:
        self._input.close()


def open_source(path: str | Path, variables: VariableSet, may_lack: Sequence[str] = ()) -> Source:
    """Open what training data are read from.

    Args:
        path: a file that ``ailand-column-run`` reads, with the states and diagnostics to learn from (netCDF or zarr,
            ec-land-db's stores included), or a store of anemoi-datasets.
        variables: to read. may_lack: states among them that it need not have.

    Raises:
        InputError: no such file, or anything about it that does not fit.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or store, expected training data")
    kind = AnemoiSource if is_anemoi_store(path) else ColumnSource
    return kind(path, variables, may_lack)
