"""Writing the output of a run, block by block, so that a process that is killed leaves a file that can be continued.

Both writers reserve the whole file when it is created; writing rows then changes nothing but values. So whatever
happens while rows are written, all rows that were flushed before are intact and the file can be opened again. Until
everything is defined and reserved, the file has a temporary name: one that has its own carries the program's mark. For
netCDF that rules compression out: every chunk is allocated in the file from the beginning, and a disk that is too small
shows before anything is computed.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import itertools
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import netCDF4
import numpy as np
import xarray as xr
from xarray.backends.netCDF4_ import NETCDF4_PYTHON_LOCK

from ailand_gt4py.core.files import ASIDE, remove, sync_path, temporary_beside, writing
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.output import NO_FLAG, OutputLayout, coordinates, values_of


class Writer(abc.ABC):
    """An output that is written at a path until it is the target; not ``create``: continue one of the same layout.

    ``region``: where the layout's grid lies on that of the output, if others write the rest; in whole chunks.
    """

    #: State, diagnostics and quality flag in the file, each of the layout's sizes.
    _values: list[Any]
    _region: tuple[slice, ...] = ()

    def __init__(
        self, target: Path, path: Path, layout: OutputLayout, *, create: bool, region: Sequence[slice] = ()
    ) -> None:
        self._path, self._layout, self._region = path, layout, tuple(region)
        with writing(path, "creating the output" if create else "opening the partial output"):
            if create:
                temporary = temporary_beside(target)
                try:
                    self._create(temporary)
                    temporary.replace(path)
                except BaseException:
                    remove(temporary)
                    raise
            self._open()

    @abc.abstractmethod
    def _create(self, path: Path) -> None:
        """Make a file in which everything is defined and its space reserved."""

    @abc.abstractmethod
    def _open(self) -> None:
        """Open the file and find the variables."""

    def write(self, first: int, values: Values, flags: Values) -> None:
        """Write rows from `first` on: values (n_rows, n_variables, n_columns), flags uint8 (n_rows, n_columns)."""
        last = first + len(values)
        with writing(self._path, f"writing the rows {first} to {last - 1}"):
            spread = self._layout.grid.spread
            for index, variable in enumerate(self._values[:-1]):
                self._put(variable, first, spread(values[:, index]))
            self._put(self._values[-1], first, spread(flags, NO_FLAG))

    def _put(self, variable: Any, first: int, rows: Values) -> None:
        """Write rows of a variable."""
        variable[(slice(first, first + len(rows)), *self._region)] = rows

    @abc.abstractmethod
    def flush(self) -> None:
        """Return when all rows written so far are on the disk."""

    def close(self) -> None:
        self.flush()


class NetcdfWriter(Writer):
    """Output as one netCDF-4 file; see the module for how it survives being killed."""

    def _create(self, path: Path) -> None:
        dataset = netCDF4.Dataset(path, "w", format="NETCDF4")
        try:
            self._define(dataset)
            self._reserve(dataset)
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the first error is the one to report
                dataset.close()
            raise
        dataset.close()
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
                raise
        finally:
            os.close(descriptor)

    def _open(self) -> None:
        self._dataset = netCDF4.Dataset(self._path, "r+")
        self._dataset.set_auto_maskandscale(False)
        self._values = [self._uncached(self._dataset[name]) for name in values_of(self._layout)]

    @staticmethod
    def _uncached(variable: Any) -> Any:
        """Without a chunk cache a block is written as it comes, and memory does not grow."""
        variable.set_var_chunk_cache(size=1, nelems=1)
        return variable

    def _define(self, dataset: netCDF4.Dataset) -> None:
        layout = self._layout
        dataset.set_fill_off()  # every value is written; filling would write everything twice
        dataset.setncatts(layout.attributes)
        for name, length in (*layout.sizes.items(), ("nv", 2)):
            dataset.createDimension(name, length)
        for name, variable in coordinates(layout).items():
            kind: Any = str if variable.dtype == object else variable.dtype
            coordinate = dataset.createVariable(name, kind, tuple(map(str, variable.dims)), contiguous=kind is not str)
            coordinate.setncatts(variable.attrs)
            coordinate[...] = variable.values
        for name, (dtype, fill_value, attributes) in values_of(layout).items():
            created: Any = dataset.createVariable(
                name, dtype, tuple(layout.sizes), chunksizes=layout.chunks, fill_value=fill_value
            )
            created.setncatts(attributes)

    def _reserve(self, dataset: netCDF4.Dataset) -> None:
        """Allocate every chunk: touch each of them."""
        dataset.set_auto_maskandscale(False)
        layout = self._layout
        firsts = [range(0, size, chunk) for size, chunk in zip(layout.sizes.values(), layout.chunks, strict=True)]
        for variable in (self._uncached(dataset[name]) for name in values_of(layout)):
            for first in itertools.product(*firsts):
                variable[first] = 0

    def _put(self, variable: Any, first: int, rows: Values) -> None:
        with NETCDF4_PYTHON_LOCK:  # input may be read in another thread, and the library is for one at a time
            super()._put(variable, first, rows)

    def flush(self) -> None:
        with writing(self._path, "writing"):
            with NETCDF4_PYTHON_LOCK:
                self._dataset.sync()
            sync_path(self._path)

    def close(self) -> None:
        if self._dataset.isopen():
            with writing(self._path, "closing the output"):
                with NETCDF4_PYTHON_LOCK:
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
        with contextlib.suppress(ImportError):  # zarr 2 writes one file after the other
            from zarr.core.sync import sync

            sync(_others_done())
        raise


def _format() -> dict[str, int]:
    """What tells zarr the stores' format; version 2, at which anemoi-datasets holds it, has no other."""
    import zarr

    return {"zarr_format": 2} if int(zarr.__version__.partition(".")[0]) > 2 else {}


def _all_chunks() -> contextlib.AbstractContextManager[Any]:
    """Arrays that are opened inside write every chunk, as those of zarr 2 do.

    Zarr 3 leaves out those of nothing but fill values, and takes as long to look for them as to write them.
    """
    import zarr

    return zarr.config.set({"array.write_empty_chunks": True}) if _format() else contextlib.nullcontext()


def _created(
    group: Any, name: str, dims: Sequence[Hashable], attributes: Mapping[Any, Any], form: Mapping[str, Any]
) -> Any:
    """A new array of a group; its metadata are written once, where zarr can."""
    plain = {key: np.asarray(value).tolist() for key, value in attributes.items()}
    described = {"_ARRAY_DIMENSIONS": list(dims), **plain}
    if _format():
        return group.create_array(name, attributes=described, **form)
    array = group.create_dataset(name, **form)
    array.attrs.put(described)
    return array


class ZarrWriter(Writer):
    """Output as a zarr store (format 2, consolidated metadata): one file for each chunk, written whole."""

    @_all_done()
    def _create(self, path: Path) -> None:
        import zarr  # takes its time, and most runs write netCDF

        group = zarr.open_group(str(path), mode="w", **_format())
        self._define(group)
        zarr.consolidate_metadata(group.store, **_format())

    @_all_done()
    def _open(self) -> None:
        import zarr

        self._chunks_to_sync: set[int] = set()
        group = zarr.open_group(str(self._path), mode="r+", **_format())
        if not self._region:
            for leftover in self._path.glob("*/*.partial"):  # of a process that was killed while it wrote a chunk
                leftover.unlink()
        with _all_chunks():
            self._values = [group[name] for name in values_of(self._layout)]

    def _define(self, group: Any) -> None:
        layout = self._layout
        group.attrs.put(dict(layout.attributes))
        for name, variable in coordinates(layout).items():
            fixed = variable.values.astype(str) if variable.dtype == object else variable.values
            form = {"shape": fixed.shape, "chunks": fixed.shape, "dtype": fixed.dtype, "fill_value": None}
            _created(group, name, variable.dims, variable.attrs, form)[...] = fixed
        for name, (dtype, fill_value, attributes) in values_of(layout).items():
            shape = tuple(layout.sizes.values())
            form = {"shape": shape, "chunks": layout.chunks, "dtype": dtype, "fill_value": fill_value}
            _created(group, name, tuple(layout.sizes), attributes, form)

    @_all_done()
    def write(self, first: int, values: Values, flags: Values) -> None:
        super().write(first, values, flags)
        rows = self._layout.chunks[0]
        self._chunks_to_sync.update(range(first // rows, (first + len(values) - 1) // rows + 1))

    def flush(self) -> None:
        with writing(self._path, "writing"):
            for array in self._values:
                directory = self._path / array.basename
                for chunk in itertools.product(sorted(self._chunks_to_sync), *self._own_chunks(array)):
                    sync_path(directory / ".".join(map(str, chunk)))
                sync_path(directory)
        self._chunks_to_sync.clear()

    def _own_chunks(self, array: Any) -> list[range]:
        """Numbers of the chunks that are written here, along each dimension of the grid."""
        region = self._region or tuple(slice(0, length) for length in self._layout.grid.shape)
        return [
            range(span.start // length, -(-span.stop // length))
            for span, length in zip(region, array.chunks[1:], strict=True)
        ]


class MemoryWriter(Writer):
    """Output in memory."""

    def __init__(self, layout: OutputLayout) -> None:
        self._path, self._layout = Path("memory"), layout
        shape = tuple(layout.sizes.values())
        self._values = [np.empty(shape, dtype=dtype) for dtype, _, _ in values_of(layout).values()]

    def _create(self, path: Path) -> None: ...

    def _open(self) -> None: ...

    def flush(self) -> None: ...

    def dataset(self) -> xr.Dataset:
        """What was written, as xarray reads it from a file of the same layout."""
        layout, fields = self._layout, dict[str, xr.Variable]()
        for (name, (_, fill, attributes)), values in zip(values_of(layout).items(), self._values, strict=True):
            missing = {} if fill is None else {"_FillValue": fill}
            fields[name] = xr.Variable(tuple(layout.sizes), values, {**attributes, **missing})
        return xr.decode_cf(xr.Dataset({**fields, **coordinates(layout)}, attrs=layout.attributes))


class WriterBehind:
    """Writes blocks of rows in a thread of its own while the next ones are computed; close it before the writer.

    Args:
        writer: of the output. shape: (n_rows, n_variables, n_columns) of a block, at most. dtype: of its values.
    """

    def __init__(self, writer: Writer, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self._writer, (n_rows, _, n_columns) = writer, shape
        self._blocks = [(np.empty(shape, dtype), np.empty((n_rows, n_columns), np.uint8)) for _ in range(2)]
        self._executor = ThreadPoolExecutor(1, "ailand-writer")
        self._writing: Future[None] | None = None

    def block(self, n_rows: int) -> tuple[Values, Values]:
        """Values and flags, of so many rows, to be filled."""
        values, flags = self._blocks[0]
        return values[:n_rows], flags[:n_rows]

    def write(self, first: int, n_rows: int) -> None:
        """Write the last block's first rows, as the output's from one on; errors show at the next call."""
        self.wait()
        values, flags = self.block(n_rows)
        self._writing = self._executor.submit(self._writer.write, first, values, flags)
        self._blocks.reverse()

    def wait(self) -> None:
        """Return when all that was given has been written."""
        if self._writing is not None:
            found, self._writing = self._writing, None
            found.result()

    def flush(self) -> None:
        """Return when all that was given is on the disk."""
        self.wait()
        self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """What was given is written before the writer can be closed, though something else have failed."""
        try:
            if kind is None:
                self.wait()
        finally:
            self._executor.shutdown()


def open_writer(
    target: Path, path: Path, layout: OutputLayout, *, create: bool, region: Sequence[slice] = ()
) -> Writer:
    """The writer of an output, by its name, that is written at a path until `move_into_place`; see `Writer`."""
    kind = ZarrWriter if target.suffix.lower() == ".zarr" else NetcdfWriter
    return kind(target, path, layout, create=create, region=region)


def move_into_place(temporary: Path, target: Path) -> None:
    """Give a finished file its name; an older one of that name is replaced."""
    with writing(target, "renaming the finished output"):
        if target.is_dir():
            # A directory cannot be replaced in one step: the old one goes aside and is removed last.
            aside = temporary_beside(target, ASIDE)
            target.replace(aside)
            temporary.replace(target)
            remove(aside)
        else:
            temporary.replace(target)
        sync_path(target.parent)
