"""Writing the output of a run, block by block, so that a process that is killed leaves a file that can be continued.

Both writers reserve the whole file when it is created; writing rows then changes nothing but values. So whatever
happens while rows are written, all rows that were flushed before are intact and the file can be opened again. For
netCDF that rules compression out: every chunk is allocated in the file from the beginning, and a disk that is too
small shows before anything is computed.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ailand_gt4py.core.files import sync_path, writing
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.output import OutputLayout, coordinates, values_of


class Writer(abc.ABC):
    """An output being written, under a temporary name; not ``create``: continue one of the same layout."""

    #: State, diagnostics and quality flag in the file, each (n_steps, n_columns).
    _values: list[Any]

    def __init__(self, path: Path, layout: OutputLayout, *, create: bool) -> None:
        self._path, self._layout = path, layout
        with writing(path, "creating the output" if create else "opening the partial output"):
            self._open(create)

    @abc.abstractmethod
    def _open(self, create: bool) -> None:
        """Open the file and find the variables, with ``create`` after defining all and reserving its space."""

    def write(self, first: int, values: Values, flags: Values) -> None:
        """Write rows from `first` on: values (n_rows, n_variables, n_columns), flags uint8 (n_rows, n_columns)."""
        last = first + len(values)
        with writing(self._path, f"writing the rows {first} to {last - 1}"):
            for index, variable in enumerate(self._values[:-1]):
                variable[first:last] = values[:, index]
            self._values[-1][first:last] = flags

    @abc.abstractmethod
    def flush(self) -> None:
        """Return when all rows written so far are on the disk."""

    def close(self) -> None:
        self.flush()


class NetcdfWriter(Writer):
    """Output as one netCDF-4 file; see the module for how it survives being killed."""

    def _open(self, create: bool) -> None:
        self._dataset = netCDF4.Dataset(self._path, "w" if create else "r+", format="NETCDF4")
        try:
            if create:
                self._define()
            self._dataset.set_auto_maskandscale(False)
            self._values = [self._dataset[name] for name in values_of(self._layout)]
            for variable in self._values:
                # No chunk cache: a block is written as it comes, and memory does not grow.
                variable.set_var_chunk_cache(size=1, nelems=1)
            if create:
                self._reserve()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the first error is the one to report
                self._dataset.close()
            raise

    def _define(self) -> None:
        dataset, layout = self._dataset, self._layout
        dataset.set_fill_off()  # every value is written; filling would write everything twice
        dataset.setncatts(layout.attributes)
        for name, length in (("time", layout.shape[0]), ("x", layout.shape[1]), ("nv", 2)):
            dataset.createDimension(name, length)
        for name, variable in coordinates(layout).items():
            kind: Any = str if variable.dtype == object else variable.dtype
            coordinate = dataset.createVariable(name, kind, tuple(map(str, variable.dims)), contiguous=kind is not str)
            coordinate.setncatts(variable.attrs)
            coordinate[...] = variable.values
        for name, (dtype, fill_value, attributes) in values_of(layout).items():
            created: Any = dataset.createVariable(
                name, dtype, ("time", "x"), chunksizes=layout.chunks, fill_value=fill_value
            )
            created.setncatts(attributes)

    def _reserve(self) -> None:
        """Allocate every chunk: touch each of them, then ask the file system for all the bytes."""
        (n_rows, n_columns), chunks = self._layout.shape, self._layout.chunks
        for variable in self._values:
            for row in range(0, n_rows, chunks[0]):
                for column in range(0, n_columns, chunks[1]):
                    variable[row, column] = 0
        self._dataset.sync()
        descriptor = os.open(self._path, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
                raise
        finally:
            os.close(descriptor)

    def flush(self) -> None:
        with writing(self._path, "writing"):
            self._dataset.sync()
            sync_path(self._path)

    def close(self) -> None:
        if self._dataset.isopen():
            with writing(self._path, "closing the output"):
                self._dataset.close()
                sync_path(self._path)


async def _others_done() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)


@contextlib.contextmanager
def _all_done() -> Iterator[None]:
    """Zarr writes files side by side and raises once one fails: wait for the others, lest they follow `remove`."""
    try:
        yield
    except BaseException:
        from zarr.core.sync import sync

        sync(_others_done())
        raise


class ZarrWriter(Writer):
    """Output as a zarr store (format 2, consolidated metadata): one file for each chunk, written whole."""

    @_all_done()
    def _open(self, create: bool) -> None:
        import zarr  # takes its time, and most runs write netCDF

        self._chunks_to_sync: set[int] = set()
        self._group = zarr.open_group(str(self._path), mode="w" if create else "r+", zarr_format=2)
        if create:
            self._define()
            zarr.consolidate_metadata(self._group.store, zarr_format=2)
        for leftover in self._path.glob("*/*.partial"):  # of a process that was killed while it wrote a chunk
            leftover.unlink()
        self._values = [self._group[name] for name in values_of(self._layout)]

    def _define(self) -> None:
        layout = self._layout
        self._group.update_attributes(layout.attributes)
        for name, variable in coordinates(layout).items():
            fixed = variable.values.astype(str) if variable.dtype == object else variable.values
            array = self._group.create_array(
                name, shape=fixed.shape, chunks=fixed.shape, dtype=fixed.dtype, fill_value=None,
                attributes={"_ARRAY_DIMENSIONS": list(variable.dims), **variable.attrs},
            )  # fmt: skip
            array[...] = fixed
        for name, (dtype, fill_value, attributes) in values_of(layout).items():
            plain = {key: np.asarray(value).tolist() for key, value in attributes.items()}
            self._group.create_array(
                name, shape=layout.shape, chunks=layout.chunks, dtype=dtype, fill_value=fill_value,
                attributes={"_ARRAY_DIMENSIONS": ["time", "x"], **plain},
            )  # fmt: skip

    @_all_done()
    def write(self, first: int, values: Values, flags: Values) -> None:
        super().write(first, values, flags)
        rows = self._layout.chunks[0]
        self._chunks_to_sync.update(range(first // rows, (first + len(values) - 1) // rows + 1))

    def flush(self) -> None:
        with writing(self._path, "writing"):
            for array in self._values:
                directory = self._path / array.basename
                for chunk in self._chunks_to_sync:
                    # A chunk of nothing but fill values (NaN) has no file.
                    for file in directory.glob(f"{chunk}.*"):
                        sync_path(file)
                sync_path(directory)
        self._chunks_to_sync.clear()


def open_writer(path: Path, suffix: str, layout: OutputLayout, *, create: bool) -> Writer:
    return (ZarrWriter if suffix.lower() == ".zarr" else NetcdfWriter)(path, layout, create=create)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move_into_place(temporary: Path, target: Path) -> None:
    """Give a finished file its name; an older one of that name is replaced."""
    with writing(target, "renaming the finished output"):
        if target.is_dir():
            # A directory cannot be replaced in one step: the old one goes aside and is removed last.
            aside = target.with_name(f"{target.name}.old")
            remove(aside)
            target.replace(aside)
            temporary.replace(target)
            remove(aside)
        else:
            temporary.replace(target)
        sync_path(target.parent)
