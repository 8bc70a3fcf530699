"""Reading a file through time in blocks: bounded memory, whatever the length of the run or the file's chunks.

A file stored in chunks along time (ec-land-db's and this project's files keep all times of a column together) cannot be
read one time after the other: each chunk would be decompressed again for every time. One block of many times is
therefore read at once and kept. Where even a block's length is much less than a chunk's (10^5 columns), the file is
copied once, columns by columns, to a temporary file in time order, which is deleted with the reader.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.arrays import by_variable
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.column_file import ColumnFile, Source
from ailand_gt4py.io.quality import Inspector
from ailand_gt4py.weights.model import Variable

#: Bytes that a reader keeps (default). One variable's share of them is needed beside while a block is read.
BLOCK_BYTES = 64 * 2**20

#: How often a chunk may be decompressed in a run before the file is rather copied in time order.
MAXIMUM_REREADS = 2

YEAR = np.timedelta64(365 * 86_400_000_000_000, "ns")


def tiles(file: ColumnFile, own_name: str, first: int, count: int, n_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Times and columns of slabs, of ``n_bytes`` or one chunk at most, that read every chunk of a variable once."""
    itemsize = max(file.array(own_name).dtype.itemsize, 4)
    chunk_times, chunk_columns = file.chunk_lengths(own_name)
    budget = max(n_bytes // itemsize, 1)
    n_times = min(count, max(chunk_times, budget // min(chunk_columns, file.n_columns)))
    n_times = max(n_times - n_times % chunk_times, 1) if n_times < count else count
    n_columns = max(budget // n_times, 1)
    if n_columns < file.n_columns:
        n_columns = max(n_columns - n_columns % chunk_columns, min(chunk_columns, file.n_columns))
    start = first
    while start < first + count:
        # Slabs begin where chunks do, so that none is read for two slabs.
        stop = min(start + n_times, first + count)
        if stop < first + count:
            stop = max(stop - stop % chunk_times, start + 1)
        for left in range(0, file.n_columns, n_columns):
            yield slice(start, stop), slice(left, min(left + n_columns, file.n_columns))
        start = stop


def read_annual_cycle(
    file: ColumnFile, source: Source, times: Values, step: np.timedelta64, start: int
) -> tuple[Values, Values] | None:
    """Mean and first harmonic of a year that has the start in it: from the start on, or the last year of the file.

    Returns:
        (n_columns,) each, the second complex: the real part of it times exp(2 pi i t / `YEAR`) is the wave at the time
        t after the start, in the source's units; NaN where a value is missing. None where there is no such year with
        its times a step apart.
    """
    count = int(YEAR // step)
    first = min(start, len(times) - count)
    if first < 0 or (np.diff(times[first : first + count]) != step).any():
        return None
    angle = (times - times[start]) / YEAR * (2.0 * math.pi)
    weights = np.stack([np.ones(len(times)), np.cos(angle), -np.sin(angle)], axis=1)
    sums = np.zeros((3, file.n_columns))
    for row, columns, values in _rows(file, source, first, count):
        sums[:, columns] += weights[row][:, np.newaxis] * values
    # The mean is taken out, as a year need not be a whole number of steps.
    mean_weights = weights[first : first + count, 1:].mean(axis=0)[:, np.newaxis]
    real, imaginary = 2.0 * (sums[1:] - mean_weights * sums[0]) / count
    wave: Values = real + 1j * imaginary
    return sums[0] / count, wave


def read_mean(file: ColumnFile, source: Source, n_times: int, step: np.timedelta64, start: int, days: int) -> Values:
    """Mean over days that have the start in them, from it on or the last of the file's, or all of a shorter file.

    Returns:
        (n_columns,) of the values that are there, in the source's units; NaN where there is none.
    """
    count = min(max(int(np.timedelta64(days, "D") // step), 1), n_times)
    sums, counts = np.zeros(file.n_columns), np.zeros(file.n_columns)
    for _, columns, values in _rows(file, source, min(start, n_times - count), count):
        is_there = np.isfinite(values)
        sums[columns] += np.where(is_there, values, 0.0)
        counts[columns] += is_there
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _rows(file: ColumnFile, source: Source, first: int, count: int) -> Iterator[tuple[int, slice, Values]]:
    """Time, columns and values, float64, row after row: sums do not depend, in any bit, on what is read together."""
    for slab, columns in tiles(file, source.own_name, first, count, BLOCK_BYTES):
        values = source.conversion.apply(file.read(source.own_name, slab, columns)).astype(np.float64, copy=False)
        for row, one in enumerate(values, start=slab.start):
            yield row, columns, one


class _Spool:
    """A temporary file with all times of some variables, variable after variable, each (time, column)."""

    def __init__(
        self, file: ColumnFile, sources: Sequence[Source], first: int, count: int, dtype: np.dtype[Any], n_bytes: int
    ) -> None:
        self._shape, self._dtype = (len(sources), count, file.n_columns), dtype
        folder = tempfile.gettempdir()
        try:
            # It lives as long as the reader, so no context manager.
            self._handle = tempfile.TemporaryFile(prefix="ailand-")  # noqa: SIM115
        except OSError as error:
            raise RunError(f"{folder}: a temporary file cannot be made ({error.strerror})") from error
        try:
            for index, source in enumerate(sources):
                for times, columns in tiles(file, source.own_name, first, count, n_bytes):
                    values = source.conversion.apply(file.read(source.own_name, times, columns))
                    for time, row in enumerate(values.astype(dtype, copy=False), times.start - first):
                        self._seek(index, time, columns.start)
                        self._handle.write(row)
            self._handle.flush()
        except BaseException as error:
            with contextlib.suppress(OSError):  # what is still buffered has no room either
                self._handle.close()
            if not isinstance(error, OSError):
                raise
            size = math.prod(self._shape) * dtype.itemsize
            raise RunError(
                f"{folder}: {size / 2**30:.3g} GiB cannot be written for the forcing in time order "
                f"({error.strerror}); expected that much space (the variable TMPDIR chooses another directory)"
            ) from error

    def _seek(self, index: int, time: int, column: int) -> None:
        _, n_times, n_columns = self._shape
        self._handle.seek(((index * n_times + time) * n_columns + column) * self._dtype.itemsize)

    def read(self, index: int, start: int, stop: int) -> Values:
        values = np.empty((stop - start, self._shape[2]), dtype=self._dtype)
        self._seek(index, start, 0)
        n_bytes = self._handle.readinto(values.reshape(-1).view(np.uint8).data)
        if n_bytes < values.nbytes:
            raise RunError(
                f"{tempfile.gettempdir()}: the temporary file of the forcing ended at byte {n_bytes} of a block, "
                f"expected {values.nbytes}"
            )
        return values

    def close(self) -> None:
        self._handle.close()


class BlockReader:
    """Values of some variables with time, in time order, without ever holding more than a block of them.

    The file stays the caller's. Given the ``variables`` that the sources are of and the ``times`` of rows, values have
    to be possible, as the ``inspector`` says, but for those of the first rows, ``n_unchecked`` of them.

    Attributes:
        dtype: of the values: float64 where the file has a float64 variable among them, else float32.
        spool_bytes: size of the temporary file to which all is copied at the first reading, 0 where there is none.
    """

    def __init__(
        self,
        file: ColumnFile,
        sources: Sequence[Source],
        first: int,
        count: int,
        *,
        block_bytes: int = BLOCK_BYTES,
        inspector: Inspector | None = None,
        variables: Sequence[Variable] = (),
        times: Values | None = None,
        n_unchecked: int = 0,
    ) -> None:
        self._inspector, self._variables, self._n_unchecked = inspector, tuple(variables), n_unchecked
        self._file, self._sources, self._first, self.n_times = file, tuple(sources), first, count
        self._block_bytes, self._times = block_bytes, times
        # A packed variable is decoded to float64 although it has few digits: only stored float64 asks for float64.
        arrays = [file.array(source.own_name) for source in self._sources]
        stored = {np.dtype(array.encoding.get("dtype", array.dtype)) for array in arrays}
        self.dtype = np.dtype(np.float64 if np.dtype(np.float64) in stored else np.float32)
        per_time = max(file.n_columns * max(len(self._sources), file.n_together) * self.dtype.itemsize, 1)
        self._block_times = max(1, min(count, block_bytes // per_time))
        chunk_times = max((file.chunk_lengths(source.own_name)[0] for source in self._sources), default=1)
        is_spooled = min(chunk_times, count) / self._block_times > MAXIMUM_REREADS
        self.spool_bytes = per_time * count if is_spooled else 0
        if not is_spooled and self._block_times > chunk_times:
            self._block_times -= self._block_times % chunk_times
        # Blocks begin where the file's chunks do: `_phase` is where the first window lies in its block.
        self._phase = 0 if is_spooled else first % self._block_times
        self._spool: _Spool | None = None
        self._block: Values | None = None
        self._start = self._stop = 0

    def _load(self, time: int) -> None:
        """Make the block that holds `time` the current one."""
        if self._block is not None and self._start <= time < self._stop:
            return
        edge = (time + self._phase) // self._block_times * self._block_times - self._phase
        start, stop = max(edge, 0), min(edge + self._block_times, self.n_times)
        if self.spool_bytes and self._spool is None:
            self._spool = _Spool(self._file, self._sources, self._first, self.n_times, self.dtype, self._block_bytes)
        # Given back before the next is allocated: two blocks would be twice the memory.
        self._block = None
        block = by_variable((stop - start, self._file.n_columns, len(self._sources)), self.dtype)
        if self._spool is None:
            self._file.fetch([source.own_name for source in self._sources], self._first + start, self._first + stop)
        for index, source in enumerate(self._sources):
            if self._spool is not None:
                values = self._spool.read(index, start, stop)
            else:
                found = self._file.read(source.own_name, slice(self._first + start, self._first + stop))
                values = source.conversion.apply(found)
            self._inspect(index, values, start)
            block[:, :, index] = values
        block.flags.writeable = False
        self._block, self._start, self._stop = block, start, stop

    def _inspect(self, index: int, values: Values, start: int) -> None:
        """Look at values (time, x) of a source from a time on."""
        if self._inspector is None or self._times is None:
            return
        source, first = self._sources[index], max(self._n_unchecked - start, 0)
        what, times = self._file.what(source.own_name), self._times[start : start + len(values)]
        found = source.conversion
        self._inspector.require_possible(what, self._variables[index], values[first:], times[first:], found)

    def read(self, first: int, last: int) -> Values:
        """(last - first, n_columns, n_variables) at these times, counted from the reader's first; read-only.

        A view of the buffer where that holds them all: the next call may overwrite it.
        """
        if not 0 <= first <= last <= self.n_times:
            raise ValueError(f"times {first} to {last} were asked for, expected 0 <= first <= last <= {self.n_times}")
        if first < last:
            self._load(first)
            if self._block is not None and last <= self._stop:
                return self._block[first - self._start : last - self._start]
        values = by_variable((last - first, self._file.n_columns, len(self._sources)), self.dtype)
        time = first
        while time < last:
            self._load(time)
            assert self._block is not None
            stop = min(last, self._stop)
            values[time - first : stop - first] = self._block[time - self._start : stop - self._start]
            time = stop
        values.flags.writeable = False
        return values

    def close(self) -> None:
        """Give the buffer and the temporary file back."""
        self._block = None
        if self._spool is not None:
            self._spool.close()
            self._spool = None
