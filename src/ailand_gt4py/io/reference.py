"""Reference values (ecLand, or observations on the same columns) to compare a run with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import time_axis
from ailand_gt4py.io.blocks import BlockReader
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE

#: How far a reference column may be from the run's column, degrees.
LOCATION_TOLERANCE = 0.01


def _require_same_locations(file: ColumnFile, latitude: Values | None, longitude: Values | None) -> None:
    if latitude is not None and file.n_columns != len(latitude):
        raise InputError(f"{file.path}: has {file.n_columns} columns, expected the run's {len(latitude)}")
    for name, expected in (("lat", latitude), ("lon", longitude)):
        own_name, unit = file.find(name), CATALOGUE[name].units
        if expected is None or own_name is None:
            continue
        found = file.conversion(own_name, name, unit).apply(file.field(own_name).astype(np.float64))
        difference = np.abs((found - expected + 180.0) % 360.0 - 180.0)
        wrong = np.flatnonzero(~(difference <= LOCATION_TOLERANCE))
        if wrong.size:
            column = wrong[0]
            raise InputError(
                f"{file.what(own_name)} is {found[column]:.4f} in column {column}, expected the run's "
                f"{expected[column]:.4f} {unit} (the same columns in the same order)"
            )


def _first_index(file: ColumnFile, times: Values) -> int:
    """Index of the run's first label in the file; all the run's labels must follow from there."""
    found = time_axis.read_times(file)
    first = int(np.searchsorted(found, times[0]))
    if np.array_equal(found[first : first + len(times)], times):
        return first
    lacking = times[~np.isin(times, found)]
    if lacking.size:
        raise InputError(
            f"{file.path}: reference has no time {time_text(lacking[0])} ({lacking.size} of the run's {times.size} "
            f"times are missing; it has {time_text(found[0])} to {time_text(found[-1])}); expected all times of the run"
        )
    # All labels are there with others between them: means over its shorter windows are not means over the run's.
    raise InputError(
        f"{file.path}: reference has a step of {step_text(np.diff(found[first:]).min())}, expected the run's "
        f"{step_text(times[1] - times[0])}"
    )


class Reference(BlockReader):
    """Reference values at a run's time labels; NaN where missing. Close it, or use it as a context manager.

    The file must have all the labels, no others between, and the locations of the columns (degrees) where given.

    Attributes:
        names: variables it has, in the order asked for. missing: those it lacks. history: sentences on conversions.
    """

    def __init__(
        self,
        path: str | Path,
        variables: Sequence[Variable],
        times: Values,
        *,
        latitude: Values | None = None,
        longitude: Values | None = None,
    ) -> None:
        file = ColumnFile(path)
        self.times = np.asarray(times).astype("datetime64[ns]")
        try:
            _require_same_locations(file, latitude, longitude)
            first = _first_index(file, self.times)
            found = {variable.name: file.source(variable.name, variable.units) for variable in variables}
            self.missing = tuple(name for name, source in found.items() if source is None)
            sources = [source for source in found.values() if source is not None]
            if not sources:
                missing = ", ".join(self.missing)
                raise InputError(f"{file.path}: has none of the reference variables {missing}; expected at least one")
            self.names = tuple(source.name for source in sources)
            self.history = [one.conversion.sentence(one.name) for one in sources if not one.conversion.is_identity]
            super().__init__(file, sources, first, len(self.times))
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        super().close()
        self._file.close()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
