"""Files that are there whole or not at all: written under a temporary name and renamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ailand_gt4py.core.files import whole_file
from ailand_gt4py.io.output import CALENDAR, TIME_UNITS
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes

#: Values from which on a variable is compressed: a chunk costs more than it saves in small ones.
LEAST_COMPRESSED = 4096

#: Pixels per inch of figures that are pictures.
RESOLUTION = 160


def write_netcdf(path: Path, fill: Callable[[Any], None]) -> None:
    """Write a netCDF-4 file; an older one of the name is replaced by the whole new one only.

    Args:
        fill: puts everything into the ``netCDF4.Dataset`` that it is given.

    Raises:
        RunError: writing failed.
    """
    with (
        whole_file(path, "writing the output") as temporary,
        netCDF4.Dataset(temporary, "w", format="NETCDF4") as dataset,
    ):
        fill(dataset)


def write_figure(path: Path, figure: Any) -> None:
    """Write a figure of matplotlib; an older one of the name is replaced by the whole new one only.

    Raises:
        RunError: writing failed.
    """
    with whole_file(path, "writing the figure") as temporary:
        figure.savefig(temporary, dpi=RESOLUTION)


def define_columns(dataset: Any, x: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> None:
    """Define the dimension x with the labels and locations of the columns."""
    dataset.createDimension("x", len(x))
    is_text = x.dtype.kind in "UO"
    labels = dataset.createVariable("x", str if is_text else x.dtype.newbyteorder("="), ("x",))
    labels.long_name = "label of the column"
    labels[:] = x.astype(object) if is_text else x
    for name, values in (("lat", latitude), ("lon", longitude)):
        location = dataset.createVariable(name, "f8", ("x",))
        location.setncatts(cf_attributes(CATALOGUE[name]))
        location[:] = values


def define_times(dataset: Any, times: np.ndarray, meaning: str) -> None:
    """Define the dimension time with its labels.

    Args:
        times: datetime64. meaning: what the label stands for, for people.
    """
    dataset.createDimension("time", len(times))
    variable = dataset.createVariable("time", "i8", ("time",))
    variable.setncatts(
        {
            "standard_name": "time",
            "long_name": f"time (UTC), {meaning}",
            "units": TIME_UNITS,
            "calendar": CALENDAR,
            "axis": "T",
        }
    )
    variable[:] = np.asarray(times).astype("datetime64[s]").astype(np.int64)


def define(
    dataset: Any, name: str, dimensions: Sequence[str], values: np.ndarray, long_name: str, units: str, **more: Any
) -> None:
    """Define a variable over columns, compressed if it is large, NaN where missing.

    Args:
        more: further attributes; empty ones are left out.
    """
    is_real = values.dtype.kind == "f"
    created = dataset.createVariable(
        name, values.dtype, tuple(dimensions), zlib=values.size >= LEAST_COMPRESSED, complevel=2,
        fill_value=np.nan if is_real else None,
    )  # fmt: skip
    attributes = {"long_name": long_name, "units": units, **more}
    if "x" in dimensions:
        attributes["coordinates"] = "lat lon"
    created.setncatts({key: value for key, value in attributes.items() if not (isinstance(value, str) and not value)})
    created[...] = values


def define_texts(dataset: Any, name: str, dimension: str, texts: Sequence[str], long_name: str) -> None:
    """Define a dimension whose places have names."""
    dataset.createDimension(dimension, len(texts))
    created = dataset.createVariable(name, str, (dimension,))
    created.long_name = long_name
    created[:] = np.array(texts, dtype=object)
