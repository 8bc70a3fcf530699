"""Columns from stores that anemoi-datasets made (github.com/ecmwf/anemoi-datasets), read through that package.

Such a store holds one array (dates, variables, members, points) and knows its variables by name. Static fields are in
it at every date. It says little of units and nothing of what a date stands for: where it is silent, the units are taken
to be the model's and the dates to be labels as `ailand_gt4py.training.dataset` means them; `AnemoiSource.history` says
so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import stores, units
from ailand_gt4py.io.column_file import ColumnFile, require_constant
from ailand_gt4py.io.fields import COLUMN, TIME
from ailand_gt4py.io.sources import KINDS, Request
from ailand_gt4py.io.sources.column_file import ColumnFileSource
from ailand_gt4py.io.whole_files import time_labels
from ailand_gt4py.weights.variables import CATALOGUE

_TIME_LABELS = (
    "Dates are taken as the starts of windows of {window} over which forcing and fluxes are means, and as the times of "
    "states and screen-level values."
)


class AnemoiFile(ColumnFile):
    """A store as a file of columns, which are its points, labelled by their numbers.

    All variables of a date lie together: whole dates, ``block_bytes`` of them, are read, and the last are kept.
    ``without_units`` are names of variables whose units the store does not say.
    """

    def __init__(self, path: Path, block_bytes: int) -> None:
        self._store: Any = _open(path)
        n_dates, n_variables, n_members, n_points = map(int, self._store.shape)
        dates = np.asarray(self._store.dates)
        if n_dates < 2:
            raise InputError(f"{path}: {n_dates} dates, expected at least 2")
        missing = sorted(int(index) for index in self._store.missing)
        if missing:
            raise InputError(
                f"{path}: {len(missing)} dates are missing, the first {time_text(dates[missing[0]])}, expected none"
            )
        if n_members != 1:
            raise InputError(f"{path}: has {n_members} members, expected 1")
        stated = getattr(self._store, "variables_metadata", None) or {}
        values = np.broadcast_to(np.float32(np.nan), (n_dates, n_points))  # stand for what `read` reads
        variables: dict[str, Any] = {}
        for name in self._store.variables:
            unit = stated.get(name, {}).get("units")
            variables[name] = ((TIME, COLUMN), values, {} if unit is None else {"units": unit})
        for name, degrees in (("lat", self._store.latitudes), ("lon", self._store.longitudes)):
            variables[name] = (COLUMN, np.asarray(degrees, dtype=np.float64), {"units": CATALOGUE[name].units})
        super().__init__(path, xr.Dataset({**variables, TIME: time_labels(dates, "start of the step")}))
        self.convention = dataclasses.replace(self.convention, name="anemoi-datasets", time_labels=_TIME_LABELS)
        self.n_together = n_variables
        self._dates_together = max(block_bytes // (4 * n_variables * n_points), 1)
        self._blocks: dict[int, Values] = {}
        self._constant: dict[str, Values] = {}
        self.without_units: list[str] = []

    def conversion(self, own_name: str, name: str, expected: str) -> units.Conversion:
        if "units" in self.array(own_name).attrs:
            return super().conversion(own_name, name, expected)
        if name not in self.without_units:
            self.without_units.append(name)
        return units.conversion(expected, expected, self.what(own_name))

    def read(self, own_name: str, times: slice | None = None, columns: slice | None = None) -> Values:
        if not self.is_timed(own_name):
            return super().read(own_name, times, columns)
        start, stop, _ = (times or slice(None)).indices(self.n_times)
        parts = []
        while start < stop:
            first = start - start % self._dates_together
            last = min(stop, first + self._dates_together)
            block = self._block(first)
            rows = self._of_block(block, own_name)[start - first : last - first]
            parts.append(rows[:, columns or slice(None)])
            start = last
        return np.concatenate(parts)

    def stays_constant(self, own_name: str, values: Values) -> bool:
        for first, block in self._blocks.items():
            require_constant(self.what(own_name), values, self._of_block(block, own_name), first, self.labels())
        self._constant[own_name] = values
        return True

    def close(self) -> None:
        self._blocks.clear()
        super().close()

    def _of_block(self, block: Values, own_name: str) -> Values:
        return self._of_kept(block[:, self._store.name_to_index[own_name]])

    def _block(self, first: int) -> Values:
        """All variables (date, variable, point) of the dates that are read together from one on."""
        if first not in self._blocks:
            # The one before is kept, too: what is asked for of each variable in turn may lie in two.
            self._blocks = dict(list(self._blocks.items())[-1:])
            try:
                block = np.asarray(self._store[first : first + self._dates_together])[:, :, 0]
            except Exception as error:  # whatever a damaged store makes zarr or its codecs raise
                raise InputError(f"{self.path}: cannot be read ({reason(error)}); expected a whole store") from error
            for own_name, values in self._constant.items():
                require_constant(self.what(own_name), values, self._of_block(block, own_name), first, self.labels())
            self._blocks[first] = block
        return self._blocks[first]


@KINDS.add
class AnemoiSource(ColumnFileSource):
    """A store of anemoi-datasets; see `ColumnSource` and `AnemoiFile`. That fields are static shows as it is read."""

    def __init__(self, path: Path, request: Request) -> None:
        file = AnemoiFile(path, request.reading.block_bytes)
        if request.reading.columns is not None:
            file.keep(request.reading.columns.positions)
        super().__init__(path, request, file)
        for variable in (*self.model.state, *self.model.diagnostics):
            if file.find(variable.name) is not None:
                self._reader.source(variable.name, variable.units)
        self.history = self._sentences()
        if file.without_units:
            self.history.append(
                f"The store does not say their units, taken as the model's: {', '.join(file.without_units)}."
            )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a directory or zip file is a zarr store in anemoi-datasets' layout, judged by its attributes."""
        attributes = _attributes(path)
        return isinstance(attributes.get("variables"), list) and "frequency" in attributes


def _attributes(path: Path) -> Mapping[str, Any]:
    """Global attributes of a zarr store; empty where there are none or it is no such store."""
    with contextlib.suppress(OSError, KeyError, ValueError, AttributeError, RuntimeError, zipfile.BadZipFile):
        found = stores.attributes(path)
        if isinstance(found, Mapping):
            return found
    return {}


def _open(path: Path) -> Any:
    try:
        from anemoi.datasets import open_dataset
    except ImportError as error:
        raise InputError(
            f"{path}: is a store of anemoi-datasets; reading it needs that package, which is not installed; expected: "
            "pip install 'ailand_gt4py[anemoi]'"
        ) from error
    try:
        stores.check_store(path)
        return open_dataset(str(path))
    except Exception as error:  # the package raises many kinds
        raise InputError(f"{path}: cannot be opened ({reason(error)}); expected a store of anemoi-datasets") from error
