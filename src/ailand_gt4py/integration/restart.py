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
    """Write a restart file, completely or not at all.

    Args:
        memory: name -> array. identity: what a run that continues must share. position: of the clock.

    Raises:
        RunError: writing failed.
    """
    data = xr.Dataset(attrs={"format": FORMAT, **{f"identity_{key}": value for key, value in identity.items()}})
    data.attrs["clock"] = json.dumps({key: int(value) for key, value in position.items()})
    for name, array in memory.items():
        values = arrays.to_host(array)
        stored = values.astype(np.uint8) if values.dtype == np.bool_ else values
        data[name] = plain([f"{name}_{axis}" for axis in range(array.ndim)], stored, {})
    write_netcdf(Path(path), data, "writing the restart file")


def read(
    path: str | os.PathLike[str], memory: Mapping[str, arrays.Array], identity: Mapping[str, str]
) -> dict[str, int]:
    """Read a restart file into the arrays of a component; nothing is changed where the file does not fit.

    Args:
        memory: name -> array to fill. identity: of the run that continues.

    Returns:
        Position of the clock.

    Raises:
        InputError: no such file, not a restart file, or of another run; names what differs.
    """
    path = Path(path)
    data = read_netcdf(path, FORMAT, _WHAT)
    for key, expected in identity.items():
        found = data.attrs.get(f"identity_{key}")
        if found != expected:
            raise InputError(f"{path}: {key.replace('_', ' ')}: found '{found}', expected '{expected}'")
    values = {name: _values(path, data, name, array) for name, array in memory.items()}
    position = _clock(path, data)
    points = "land_points"
    if not np.array_equal(values[points], arrays.to_host(memory[points])):
        raise InputError(f"{path}: has other land points, expected those of this component's land mask")
    for name, array in memory.items():
        if name != points:
            array[...] = _on_device(values[name], array)
    return position


def next_time(path: str | os.PathLike[str]) -> np.datetime64:
    """Of the host step with which a restart file's run continues.

    Raises:
        InputError: no such file, or not a restart file.
    """
    return np.datetime64(_clock(Path(path), read_netcdf(Path(path), FORMAT, _WHAT))["next_time"], "ns")


def _clock(path: Path, data: xr.Dataset) -> dict[str, int]:
    try:
        return {key: int(value) for key, value in json.loads(data.attrs["clock"]).items()}
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected {_WHAT}") from error


def _values(path: Path, data: xr.Dataset, name: str, array: arrays.Array) -> Values:
    if name not in data.variables:
        raise InputError(f"{path}: '{name}' is missing, expected all that the component remembers")
    values = data[name].values
    stored = np.dtype(np.uint8) if array.dtype == np.bool_ else array.dtype
    if values.shape != tuple(array.shape) or values.dtype != stored:
        raise InputError(
            f"{path}: '{name}': found {values.dtype} {values.shape}, expected {stored} {tuple(array.shape)}"
        )
    return values.astype(array.dtype)


def _on_device(values: np.ndarray, like: arrays.Array) -> arrays.Array:
    return values if isinstance(like, np.ndarray) else arrays.array_module("cuda").asarray(values)
