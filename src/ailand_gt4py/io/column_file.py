"""A file of columns as it lies on disk: netCDF or zarr, dimensions ``time`` and ``x``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import dask
import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import opening, time_labels, units
from ailand_gt4py.io.conventions import convention_of
from ailand_gt4py.io.fields import COLUMN, TIME
from ailand_gt4py.io.grids import Grid
from ailand_gt4py.io.opening import stored_chunks

#: Chunks that are read at once at most: 28 MB that HDF5 holds for them.
_CHUNKS_TOGETHER = 4096

#: Fields over columns that are held together at most where a file has fewer variables.
_FIELDS_TOGETHER = 60


def require_constant(
    what: str, values: Values, slab: Values, first: int, labels: Values, columns: slice = slice(None)
) -> None:
    """Check that a slab (time, x) of a static field, from a time index on, has the values (x,) at the start."""
    differs = (slab != values[columns]) & ~(np.isnan(slab) & np.isnan(values[columns]))
    if differs.any():
        row, offset = np.argwhere(differs)[0]
        column = (columns.start or 0) + offset
        raise InputError(
            f"{what} is {slab[row, offset]:g} at time index {first + row} in column {column} (x = {labels[column]}) "
            f"and {values[column]:g} at the start, expected a static field to be constant in time"
        )


class Source(NamedTuple):
    """A variable: the model's name, the file's, and how to get from the file's unit to the model's."""

    name: str
    own_name: str
    conversion: units.Conversion


class ColumnFile:
    """A netCDF file, a zarr store (directory) or a zipped one; variables go by the file's own names, as `find` gives.

    Attributes:
        dataset: what is in the file, unread, times undecoded. convention: that it follows.
        n_columns, n_times: lengths of the dimensions. n_together: variables that are read whenever one of them is.
        kept: int64 (n_columns,), which of the file's columns these are, in which order; None: all.
        grid: on which all columns of the file lie; None: along ``x``.
        notes: sentences on what was done to get columns. size: of the file, bytes, where ``dataset`` is what is in it.
        is_site: whether it is one of a site, which has no state, to be guessed then.
    """

    n_together = 1

    def __init__(
        self,
        path: str | Path,
        dataset: xr.Dataset | None = None,
        grid: Grid | None = None,
        notes: Sequence[str] = (),
        size: int | None = None,
        is_site: bool = False,
    ) -> None:
        self.path, self.is_site = Path(path), is_site
        self.kept: Values | None = None
        self.grid, self.notes = grid, list(notes)
        self._fetched: dict[tuple[str, int, int], Values] = {}
        if dataset is None:
            dataset, size = opening.open_file(self.path)
        self.dataset = dataset
        try:
            sizes = self.dataset.sizes
            for dimension in (TIME, COLUMN):
                if dimension not in sizes:
                    found = ", ".join(str(name) for name in sizes) or "none"
                    raise InputError(
                        f"{self.path}: dimension '{dimension}' is missing (found: {found}); expected time and x"
                    )
                if sizes[dimension] == 0:
                    raise InputError(f"{self.path}: dimension '{dimension}' has the length 0, expected at least 1")
            self.n_times, self.n_columns = int(sizes[TIME]), int(sizes[COLUMN])
            if size is not None:
                self._require_plausible(size)
            self.convention = convention_of(self.dataset)
        except BaseException:
            self.dataset.close()
            raise

    def _require_plausible(self, size: int) -> None:
        n_fields = max(len(self.dataset.variables), _FIELDS_TOGETHER)
        needed = {
            f"{self.n_columns} columns": 8 * n_fields * self.n_columns,
            f"{self.n_times} times": 32 * self.n_times,
        }
        opening.require_plausible(self.path, self.dataset, size, needed)

    def close(self) -> None:
        self.dataset.close()

    def __enter__(self) -> ColumnFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep(self, columns: Values) -> None:
        """Go on with some of the columns only, in this order: (n,) of their indices."""
        self.kept = columns if self.kept is None else self.kept[columns]
        self.n_columns = len(columns)

    def find(self, name: str) -> str | None:
        """The file's own name of a variable, None where it has none: exact, else in another case, else an alias."""
        if name in self.dataset.variables:
            return name
        accepted = self.convention.names(name)
        found = sorted(own for own in map(str, self.dataset.variables) if own.lower() in accepted)
        if len(found) > 1:
            raise InputError(
                f"{self.path}: variable '{name}' is there more than once ({', '.join(found)}); expected it once"
            )
        return found[0] if found else None

    def array(self, own_name: str) -> xr.DataArray:
        """The variable, unread."""
        return self.dataset[own_name]

    def what(self, own_name: str) -> str:
        """Names file and variable, for messages."""
        return f"{self.path}: variable '{own_name}'"

    def is_timed(self, own_name: str) -> bool:
        """Whether a variable is of time and columns, in either order, not of columns alone."""
        array = self.array(own_name)
        if set(array.dims) not in ({COLUMN}, {TIME, COLUMN}) or len(array.dims) > 2:
            found = ", ".join(f"{dimension}: {size}" for dimension, size in array.sizes.items()) or "none"
            raise InputError(
                f"{self.what(own_name)} has the dimensions ({found}), expected (time: {self.n_times}, x: "
                f"{self.n_columns}) or (x: {self.n_columns})"
            )
        if array.dtype.kind not in "fiu":
            raise InputError(f"{self.what(own_name)} is of type {array.dtype}, expected numbers")
        return TIME in array.dims

    def stays_constant(self, own_name: str, values: Values) -> bool:
        """Whether the file itself sees to it, as it is read, that a variable keeps these values through time."""
        return False

    def conversion(self, own_name: str, name: str, expected: str) -> units.Conversion:
        """How to bring a variable to a unit; raises `InputError` as `units.conversion`."""
        found = self.array(own_name).attrs.get("units")
        if self.is_miswritten(own_name, name):
            found = self.convention.units[name][1]
        return units.conversion(found, expected, self.what(own_name))

    def source(self, name: str, expected: str, *, is_timed: bool = True) -> Source | None:
        """A variable, which must have the time dimension if `is_timed`, in a unit, unread; None where there is none."""
        own_name = self.find(name)
        if own_name is None:
            return None
        conversion = self.conversion(own_name, name, expected)
        if is_timed and not self.is_timed(own_name):
            raise InputError(
                f"{self.what(own_name)} has the dimensions (x: {self.n_columns}), "
                f"expected (time: {self.n_times}, x: {self.n_columns})"
            )
        return Source(name, own_name, conversion)

    def is_miswritten(self, own_name: str, name: str) -> bool:
        """Whether a variable has the wrong unit that its convention is known for."""
        known = self.convention.units
        return name in known and self.array(own_name).attrs.get("units") == known[name][0]

    def chunk_lengths(self, own_name: str) -> tuple[int, int]:
        """Lengths along time and columns of what is read at once to get one value; (1, n) for plain arrays."""
        array = self.array(own_name)
        if array.chunks is not None:  # of dask's, read a part at a time
            lengths = {name: max(parts) for name, parts in array.chunksizes.items()}
            return int(lengths.get(TIME, 1)), int(lengths[COLUMN])
        chunks = stored_chunks(array)
        if not chunks:
            # Without chunks a value is read alone, but rows along the last dimension come together.
            return (1, self.n_columns) if array.dims[-1] == COLUMN else (self.n_times, 1)
        lengths = dict(zip(array.dims, chunks, strict=True))
        return int(lengths.get(TIME, 1)), int(lengths[COLUMN])

    def read(self, own_name: str, times: slice | None = None, columns: slice | None = None) -> Values:
        """A slab, by default of all times and columns, (time, x) or (x,) floating-point, C order; NaN where missing."""
        array = self.array(own_name)
        given = {TIME: times or slice(None), COLUMN: columns or slice(None)}
        chosen = None
        if self.kept is not None:
            chosen = self.kept[given[COLUMN]]
            given[COLUMN] = slice(int(chosen.min()), int(chosen.max()) + 1) if len(chosen) else slice(0)
            chosen = chosen - (given[COLUMN].start or 0)
        slab = {axis: range(array.sizes[axis])[given[axis]] for axis in (TIME, COLUMN) if axis in array.dims}
        with warnings.catch_warnings():
            # A packed or integer variable with missing values makes xarray warn about the cast it does for us.
            warnings.simplefilter("ignore")
            try:
                values = self._read_slab(own_name, slab)
            except InputError:  # of what was to be made of the file
                raise
            except Exception as error:
                raise InputError(
                    f"{self.what(own_name)} cannot be read ({reason(error)}); expected an undamaged file"
                ) from error
        if chosen is not None:
            values = values[..., chosen]
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        return np.ascontiguousarray(values)

    def _read_slab(self, own_name: str, slab: dict[str, range]) -> Values:
        """A slab, in parts of so few chunks that what HDF5 holds for each does not matter."""
        array = self.array(own_name)
        lengths = dict(zip((TIME, COLUMN), self.chunk_lengths(own_name), strict=True))
        for axis, indices in slab.items() if stored_chunks(array) else ():
            others = math.prod(math.ceil(len(slab[other]) / lengths[other]) for other in slab if other != axis)
            together = max(_CHUNKS_TOGETHER // max(others, 1), 1) * lengths[axis]
            if len(indices) > together:
                starts = range(0, len(indices), together)
                parts = [self._read_slab(own_name, slab | {axis: indices[k : k + together]}) for k in starts]
                return np.concatenate(parts, axis=list(slab).index(axis))
        selection = {axis: slice(indices.start, indices.stop) for axis, indices in slab.items()}
        times = selection.get(TIME, slice(None))
        fetched = self._fetched.pop((own_name, times.start, times.stop), None)
        if fetched is not None:
            return fetched[..., selection[COLUMN]]
        return array.isel(selection).transpose(..., COLUMN).values

    def fetch(self, own_names: Sequence[str], first: int, last: int) -> None:
        """Get ready to `read` variables at the times from ``first`` to ``last`` - 1, each once.

        What is computed from a file is computed together: what several variables follow from is read once.
        """
        lazy = {own: self.array(own).isel({TIME: slice(first, last)}) for own in own_names}
        lazy = {own: array.transpose(..., COLUMN) for own, array in lazy.items() if array.chunks is not None}
        self._fetched.clear()
        if len(lazy) > 1:
            try:
                found = dask.compute(*(array.data for array in lazy.values()))
            except Exception:  # said with the variable's name where that is read
                return
            self._fetched |= {(own, first, last): values for own, values in zip(lazy, found, strict=True)}

    def times(self) -> Values:
        """All time labels, datetime64[ns] (n_times,), strictly increasing."""
        if TIME not in self.dataset.variables:
            raise InputError(
                f"{self.path}: variable 'time' is missing; expected time labels with 'units' such as 'hours since "
                "2020-01-01'"
            )
        time_labels.require_utc(self.dataset[TIME].attrs, self.what(TIME))
        return time_labels.decoded(self.dataset[TIME], self.what(TIME))

    @property
    def calendar(self) -> str:
        """Of the time labels; see `core.times`."""
        return time_labels.calendar_of(self.array(TIME).attrs, self.what(TIME))

    def field(self, own_name: str, time: int = 0) -> Values:
        """(x,) of a variable: at an index of time, or through all time."""
        is_timed, values = self.is_timed(own_name), self.read(own_name, slice(time, time + 1))
        return values[0] if is_timed else values

    def texts(self, name: str) -> Values | None:
        """A text for each column, such as its climate; None where the file has no such variable over the columns."""
        own_name = self.find(name)
        if own_name is None or self.array(own_name).dims != (COLUMN,) or self.array(own_name).dtype.kind not in "OSU":
            return None
        found = self._of_kept(self.array(own_name).values)
        return np.array([text.decode() if isinstance(text, bytes) else str(text) for text in found])

    def _of_kept(self, values: Values) -> Values:
        return values if self.kept is None else values[..., self.kept]

    def labels(self) -> Values:
        """The columns' labels: the coordinate ``x``, or 0..n-1 where the file has none."""
        if COLUMN not in self.dataset.variables or self.array(COLUMN).dims != (COLUMN,):
            return np.arange(self.n_columns) if self.kept is None else self.kept
        labels = self._of_kept(np.asarray(self.array(COLUMN).values))
        if labels.dtype.kind == "S":  # characters, as netCDF-3 has them, are texts like others from here on
            labels = np.array([text.decode(errors="backslashreplace") for text in labels.tolist()], dtype=object)
        is_text = labels.dtype.kind == "U" or (labels.dtype == object and all(isinstance(one, str) for one in labels))
        if labels.dtype.kind not in "iuf" and not is_text:
            raise InputError(f"{self.what(COLUMN)} is of type {labels.dtype}, expected numbers or texts as labels")
        return labels
