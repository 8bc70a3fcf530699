"""Restart files of a land component: netCDF-4, bit-for-bit reproducible."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.whole_files import plain, read_netcdf, write_netcdf

FORMAT = "ailand_gt4py land component 1"
_WHAT = "a restart file of a land component"


def write(
    path: str | os.PathLike[str],
    memory: Mapping[str, arrays.Array],
    identity: Mapping[str, str],
    position: Mapping[str, int],
) -> None:
    """Write a restart file, completely or not at all: arrays, what a run that continues must share, and the clock."""
    data = xr.Dataset(attrs={"format": FORMAT, **{f"identity_{key}": value for key, value in identity.items()}})
    data.attrs["clock"] = json.dumps(dict(position))
    for name, array in memory.items():
        values = _stored(arrays.to_host(array))
        data[name] = plain([f"{name}_{axis}" for axis in range(array.ndim)], values, {})
    write_netcdf(Path(path), data, "writing the restart file")


def read(
    path: str | os.PathLike[str], memory: Mapping[str, arrays.Array], identity: Mapping[str, str]
) -> dict[str, int]:
    """Read a restart file into arrays, which do not change where it does not fit; the clock's position."""
    path = Path(path)
    data = read_netcdf(path, FORMAT, _WHAT)
    for key, expected in identity.items():
        found = data.attrs.get(f"identity_{key}")
        if found != expected:
            raise InputError(f"{path}: {key.replace('_', ' ')}: found '{found}', expected '{expected}'")
    position = _clock(path, data)
    for name, array in memory.items():
        if name not in data.variables:
            raise InputError(f"{path}: '{name}' is missing, expected all that the component remembers")
        stored, like = data[name], _stored(arrays.to_host(array))
        if (stored.shape, stored.dtype) != (like.shape, like.dtype):
            raise InputError(
                f"{path}: '{name}': found {stored.dtype} {stored.shape}, expected {like.dtype} {like.shape}"
            )
    if not np.array_equal(data["land_points"].values, arrays.to_host(memory["land_points"])):
        raise InputError(f"{path}: has other land points, expected those of this component's land mask")
    for name, array in memory.items():
        # A CuPy array takes values from its own device only.
        values = data[name].values
        array[...] = values if isinstance(array, np.ndarray) else arrays.array_module("cuda").asarray(values)
    return position


def next_time(path: str | os.PathLike[str]) -> np.datetime64:
    """Of the host step with which a restart file's run continues."""
    return np.datetime64(_clock(Path(path), read_netcdf(Path(path), FORMAT, _WHAT))["next_time"], "ns")


def _clock(path: Path, data: xr.Dataset) -> dict[str, int]:
    try:
        return {key: int(value) for key, value in json.loads(data.attrs["clock"]).items()}
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected {_WHAT}") from error


def _stored(values: Values) -> Values:
    """As a file has them, which has no booleans."""
    return values.astype(np.uint8) if values.dtype == np.bool_ else values
