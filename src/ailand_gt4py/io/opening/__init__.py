"""What is in a file, unread: netCDF and zarr here, other formats by a module of this package each.

A format that xarray does not open is one module that registers an `Opener`; what none of them recognises is taken for
netCDF or zarr.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.files import is_store
from ailand_gt4py.core.registry import Registry
from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.core.trial import most_bytes, require_regular, try_netcdf
from ailand_gt4py.io import missing, time_labels
from ailand_gt4py.io.opening.handles import shared
from ailand_gt4py.io.stores import check_store, lost_chunks

#: Bytes of a variable's chunks that HDF5 keeps. Its default of 16 MiB for each of a dozen variables would be most of
#: the reader's memory, for nothing: `blocks` reads whole chunks once.
CHUNK_CACHE_BYTES = 2**20

#: Bytes of a variable that are read at once at most where a file is no file of columns.
READ_BYTES = 16 * 2**20

#: A file that is read in more parts along time is read near the period that is wanted alone, and so far beyond it:
#: further than clocks and the sums of a day reach.
MOST_PARTS = 64
BEYOND = np.timedelta64(48, "h")


@dataclasses.dataclass(frozen=True)
class Opener:
    """How files of a format are opened.

    Attributes:
        formats: what it opens, for messages, such as ``GRIB``.
        recognises: whether a file is of the format, judged by its first bytes; never raises.
        open: the file as a data set, unread as far as the format allows, times undecoded (``units`` since) or
            datetime64; raises `InputError`, on one line, where the file cannot be read.
    """

    formats: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path], xr.Dataset]


OPENERS: Registry[Opener] = Registry(__name__)


def open_file(path: Path) -> tuple[xr.Dataset, int]:
    """What is in a file, unread, and its size in bytes.

    Raises:
        InputError: no such file, or one that cannot be opened.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; expected a netCDF file or a zarr store")
    try:
        if path.is_file():
            size = require_regular(path)
            for opener in OPENERS.items():
                if opener.recognises(path):
                    return opener.open(path), size
        return _open_array_file(path)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes xarray, zarr and their codecs raise
        raise InputError(
            f"{path}: cannot be opened ({reason(error)}); expected a netCDF file or a zarr store"
        ) from error


def _open_array_file(path: Path) -> tuple[xr.Dataset, int]:
    options: dict[str, Any] = {"decode_cf": False, "cache": False}
    size = 0 if path.is_dir() else require_regular(path)
    is_zip = path.is_file() and zipfile.is_zipfile(path)
    if not (path.is_dir() or is_zip):
        try_netcdf(path, whole=False)
        return missing.decoded(shared(path, lambda: _netcdf(path, options)), path, {}), size
    if path.is_dir() and not is_store(path):
        raise InputError(f"{path}: is a directory without zarr metadata; expected a netCDF file or a zarr store")
    store: Any = path
    size = check_store(path)
    if is_zip:
        import zarr

        store = zarr.storage.ZipStore(path, mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stores without consolidated metadata are slower to open, not wrong
        raw = xr.open_dataset(store, engine="zarr", chunks=None, **options)
    return missing.decoded(raw, path, lost_chunks(path)), size


def _netcdf(path: Path, options: Mapping[str, Any]) -> xr.Dataset:
    default = netCDF4.get_chunk_cache()
    netCDF4.set_chunk_cache(CHUNK_CACHE_BYTES)
    try:
        return xr.open_dataset(path, engine="netcdf4", **options)
    finally:
        netCDF4.set_chunk_cache(*default)


def require_root_variables(path: Path, dataset: xr.Dataset) -> None:
    """Refuse a netCDF file of columns all of whose variables are in groups, naming these."""
    if dataset.variables or not path.is_file() or zipfile.is_zipfile(path):
        return
    with netCDF4.Dataset(path) as file:
        groups = ", ".join(file.groups)
    if groups:
        raise InputError(f"{path}: has no variables but in groups ({groups}), expected them in the root group")


def as_in_file(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """A data set in memory as `open_file` gives that of a file; closing it leaves the caller's open.

    Masks and packing that were not decoded are; times of calendars that datetime64 does not know are numbers again.
    ``path``: what messages call it.
    """
    result = dataset.copy(deep=False)
    for name, array in dataset.variables.items():
        if array.dtype == object and array.size and isinstance(array.values.flat[0], cftime.datetime):
            result[name] = xr.conventions.encode_cf_variable(array)
    for array in result.variables.values():
        array.attrs = {key: _plain(value) for key, value in array.attrs.items()}
    return missing.decoded(result, path, {})


def _plain(value: Any) -> Any:
    """An attribute as files have it: text for bytes and for one text in an array."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "SUO":
        value = value.item()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def stored_chunks(array: Any) -> tuple[int, ...] | None:
    """Lengths of the chunks that a variable is stored in, along its dimensions; None where it is in one piece."""
    return array.encoding.get("chunks") or array.encoding.get("chunksizes")


def require_plausible(path: Path, dataset: xr.Dataset, size: int, more: dict[str, int]) -> None:
    """Hold what a file says it has against its size, before memory is reserved for it.

    Args:
        more: what else has to be held -> bytes.
    """
    needed = dict(more)
    for name, array in dataset.variables.items():
        chunks = stored_chunks(array)
        if chunks:
            needed[f"variable '{name}' in chunks of {tuple(chunks)}"] = math.prod(chunks) * array.dtype.itemsize
    for what, n_bytes in needed.items():
        if n_bytes > most_bytes(size):
            raise InputError(
                f"{path}: has {what}, {n_bytes / 2**20:.0f} MiB to hold at once, in a file of "
                f"{size / 2**20:.3g} MiB, expected a file with data (or, if that is how well they are compressed, "
                "the same without compression)"
            )


def labels_together(dataset: xr.Dataset, time: str) -> int:
    """How many times of all variables with a dimension of time are read at once: `READ_BYTES` of the largest."""
    timed = [array for array in dataset.variables.values() if time in array.dims]
    per_time = [array.dtype.itemsize * array.size // array.sizes[time] for array in timed if array.sizes[time]]
    n_times = max(READ_BYTES // max([1, *per_time]), 1)
    stored = [int(chunks[array.dims.index(time)]) for array in timed if (chunks := stored_chunks(array))]
    # Parts begin where the file's own do: none is decompressed for two parts.
    longest = max([1, *stored])
    return max(n_times - n_times % longest, longest)


def chunked(dataset: xr.Dataset, time: str | None, names: Sequence[str]) -> xr.Dataset:
    """Variables of a file as dask arrays: parts of some times, whole in all other dimensions, `READ_BYTES` each.

    Args:
        time: name of the dimension of time; None where there is none. names: of the variables that are kept.
    """
    kept = dataset[list(names)]
    if time is None or time not in kept.dims:
        return kept.chunk()
    n_times = labels_together(kept, time)
    return kept.chunk({name: n_times if name == time else -1 for name in kept.dims})


def of_period(dataset: xr.Dataset, time: str, first: np.datetime64 | None, last: np.datetime64 | None) -> xr.Dataset:
    """The rows of a large file from one time to another and two days beyond them; all of one that is read in few parts.

    In a store of decades, parts of other times would cost more than those that are read. Where nothing is there at
    these times, or labels cannot be told, all is kept: whoever reads it says so.
    """
    together, n_times = labels_together(dataset, time), dataset.sizes[time]
    if n_times <= MOST_PARTS * together or (first is None and last is None):
        return dataset
    try:
        if time_labels.calendar_of(dataset[time].attrs, time) != STANDARD:
            return dataset
        labels = time_labels.decoded(dataset[time], time)
    except InputError:
        return dataset
    begin = 0 if first is None else int(np.searchsorted(labels, first - BEYOND))
    end = n_times if last is None else int(np.searchsorted(labels, last + BEYOND, side="right"))
    return dataset.isel({time: slice(begin - begin % together, end)}) if begin < end else dataset
