"""Files that are there whole or not at all: netCDF by xarray, what is in it with CF attributes, and figures."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.digest import digest
from ailand_gt4py.core.errors import AilandError, InputError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.core.trial import try_netcdf
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes

#: Values from which on a variable is compressed: a chunk costs more than it saves in small ones.
LEAST_COMPRESSED = 4096

logger = logging.getLogger(__name__)

TIME_UNITS = "seconds since 1970-01-01 00:00:00"
CALENDAR = "proleptic_gregorian"

#: Pixels per inch of figures that are pictures.
RESOLUTION = 160


def write_netcdf(path: Path, data: xr.Dataset | xr.DataTree, doing: str = "writing the output") -> None:
    """Write a netCDF-4 file; an older one of the name is replaced by the whole new one only."""
    with whole_file(path, doing) as temporary:
        data.to_netcdf(temporary, engine="netcdf4", format="NETCDF4")


def write_sealed(path: Path, data: xr.Dataset, doing: str) -> None:
    """`write_netcdf` of a file for `read_sealed`, whose attributes are texts; its attribute ``digest`` is over all."""
    write_netcdf(path, data.assign_attrs(digest=_digest(data)), doing)


def read_sealed(path: Path, file_format: str, what: str) -> xr.Dataset:
    """A whole file of `write_sealed`, values as they are stored; ``what`` is expected, by its attribute ``format``.

    Raises:
        InputError: no such file, or another one, or values that are not those written.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {what}")
    try:
        try_netcdf(path, whole=True)
        data = xr.load_dataset(path, engine="netcdf4", decode_cf=False)
    except Exception as error:  # a damaged file makes the libraries raise anything
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}); expected {what}") from error
    found = data.attrs.get("format", "")
    if found != file_format:
        raise InputError(f"{path}: is not {what}: attribute 'format': found '{found}', expected '{file_format}'")
    if data.attrs.pop("digest", None) != _digest(data):
        raise InputError(f"{path}: is damaged: its values are not those of its attribute 'digest', expected {what}")
    return data


def _digest(data: xr.Dataset) -> str:
    return digest(
        {str(name): variable.values for name, variable in data.variables.items()},
        {str(name): str(value) for name, value in data.attrs.items()},
    )


def write_figure(path: Path, draw: Callable[[], Any], resolution: int = RESOLUTION) -> None:
    """Draw a figure of matplotlib and write it; an older one of the name is replaced by the whole new one only.

    A figure is drawn from what was computed and written before: if it cannot be drawn, that is said and no error.
    """
    stream = io.BytesIO()
    try:
        draw().savefig(stream, format=path.suffix.removeprefix(".").lower(), dpi=resolution)
    except AilandError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        logger.error("%s: the figure cannot be drawn (%s); everything else is done", path, reason, exc_info=True)
        return
    with whole_file(path, "writing the figure") as temporary:
        temporary.write_bytes(stream.getvalue())
    logger.info("figure: %s", path)


def plain(dimensions: Sequence[str], values: Values, attributes: Mapping[str, Any]) -> xr.Variable:
    """A variable as it is: nothing stands for missing values, nothing is compressed."""
    values = np.asarray(values)
    values = values.astype(object) if values.dtype.kind in "UO" else values.astype(values.dtype.newbyteorder("="))
    return xr.Variable(tuple(dimensions), values, dict(attributes), {"_FillValue": None})


def columns(x: Values, latitude: Values, longitude: Values) -> dict[str, xr.Variable]:
    """Labels and locations of columns, (n_columns,) each."""
    attributes = {"long_name": "label of the column", **({"units": "1"} if x.dtype.kind in "iuf" else {})}
    return {
        "x": plain(("x",), x, attributes),
        "lat": plain(("x",), latitude, cf_attributes(CATALOGUE["lat"])),
        "lon": plain(("x",), longitude, cf_attributes(CATALOGUE["lon"])),
    }


def time_labels(
    times: Values, meaning: str, dimension: str = "time", calendar: str = STANDARD, **more: str
) -> xr.Variable:
    """A coordinate of times of a calendar, datetime64; ``meaning``: what a label stands for; ``more``: attributes."""
    attributes = {"standard_name": "time", "long_name": f"time (UTC), {meaning}", "units": TIME_UNITS}
    calendar = CALENDAR if calendar == STANDARD else calendar
    return plain((dimension,), seconds(times), {**attributes, "calendar": calendar, "axis": "T", **more})


def seconds(times: Values) -> Values:
    """Times as int64 in `TIME_UNITS`."""
    return np.asarray(times).astype("datetime64[s]").astype(np.int64)


def texts(dimension: str, names: Sequence[str], long_name: str) -> xr.Variable:
    """Names of the indices of a dimension."""
    return plain((dimension,), np.array(names, dtype=object), {"long_name": long_name})


def field(dimensions: Sequence[str], values: Values, long_name: str, units: str, **more: Any) -> xr.Variable:
    """A variable over columns, compressed if it is large, NaN where missing; empty attributes are left out."""
    location = {"coordinates": "lat lon"} if "x" in dimensions else {}
    attributes = {"long_name": long_name, "units": units, **more, **location}
    attributes = {key: value for key, value in attributes.items() if not (isinstance(value, str) and not value)}
    fill_value = np.nan if values.dtype.kind == "f" else None
    encoding = {"_FillValue": fill_value, "zlib": values.size >= LEAST_COMPRESSED, "complevel": 2}
    return xr.Variable(tuple(dimensions), values, attributes, encoding)
