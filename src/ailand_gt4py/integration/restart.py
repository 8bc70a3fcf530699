"""Restart files of a land component: netCDF-4, exact to the bit."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import whole_file

FORMAT = "ailand_gt4py land component 1"


def write(
    path: str | os.PathLike[str],
    memory: Mapping[str, arrays.Array],
    identity: Mapping[str, str],
    position: Mapping[str, int],
) -> None:
    """Write a restart file, completely or not at all.

    Args:
        memory: name -> array. identity: what a run that goes on must share. position: of the clock.

    Raises:
        RunError: writing failed.
    """
    with (
        whole_file(Path(path), "writing the restart file") as temporary,
        netCDF4.Dataset(temporary, "w", format="NETCDF4") as dataset,
    ):
        dataset.setncatts({"format": FORMAT, **{f"identity_{key}": value for key, value in identity.items()}})
        dataset.setncattr("clock", json.dumps({key: int(value) for key, value in position.items()}))
        for name, array in memory.items():
            _write_array(dataset, name, arrays.to_host(array))


def _write_array(dataset: Any, name: str, array: np.ndarray) -> None:
    dimensions = [f"{name}_{axis}" for axis in range(array.ndim)]
    for dimension, extent in zip(dimensions, array.shape, strict=True):
        # netCDF takes 0 for an unlimited dimension.
        dataset.createDimension(dimension, extent or None)
    stored = array.astype(np.uint8) if array.dtype == np.bool_ else array
    variable = dataset.createVariable(name, stored.dtype, dimensions, fill_value=False)
    if array.size:
        variable[...] = stored


def read(
    path: str | os.PathLike[str], memory: Mapping[str, arrays.Array], identity: Mapping[str, str]
) -> dict[str, int]:
    """Read a restart file into the arrays of a component; nothing is changed where the file does not fit.

    Args:
        memory: name -> array to fill. identity: of the run that goes on.

    Returns:
        Position of the clock.

    Raises:
        InputError: no such file, not a restart file, or of another run; names what differs.
    """
    path = Path(path)
    with _opened(path) as dataset:
        found = {key: dataset.getncattr(key) for key in dataset.ncattrs()}
        _check_identity(path, found, identity)
        values = {name: _read_array(path, dataset, name, array) for name, array in memory.items()}
        position = {key: int(value) for key, value in json.loads(found["clock"]).items()}
    points = "land_points"
    if not np.array_equal(values[points], arrays.to_host(memory[points])):
        raise InputError(f"{path}: has other land points, expected those of this component's land mask")
    for name, array in memory.items():
        if name != points:
            array[...] = _on_device(values[name], array)
    return position


def next_time(path: str | os.PathLike[str]) -> np.datetime64:
    """Of the host step with which a restart file's run goes on.

    Raises:
        InputError: no such file, or not a restart file.
    """
    with _opened(Path(path)) as dataset:
        _check_identity(Path(path), {"format": getattr(dataset, "format", None)}, {})
        return np.datetime64(int(json.loads(dataset.getncattr("clock"))["next_time"]), "ns")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as a netCDF4 data set whose values come as they are stored; errors meanwhile are an InputError."""
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a restart file of a land component")
    try:
        with contextlib.closing(netCDF4.Dataset(path, "r")) as dataset:
            dataset.set_auto_maskandscale(False)
            yield dataset
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}), expected a restart file") from error


def _check_identity(path: Path, found: Mapping[str, Any], identity: Mapping[str, str]) -> None:
    if found.get("format") != FORMAT:
        raise InputError(f"{path}: attribute 'format': found '{found.get('format')}', expected '{FORMAT}'")
    for key, expected in identity.items():
        value = found.get(f"identity_{key}")
        if value != expected:
            raise InputError(f"{path}: {key.replace('_', ' ')}: found '{value}', expected '{expected}'")


def _read_array(path: Path, dataset: Any, name: str, array: arrays.Array) -> np.ndarray:
    if name not in dataset.variables:
        raise InputError(f"{path}: '{name}' is missing, expected all that the component remembers")
    values = np.asarray(dataset[name][...])
    stored = np.dtype(np.uint8) if array.dtype == np.bool_ else array.dtype
    if values.shape != tuple(array.shape) or values.dtype != stored:
        raise InputError(
            f"{path}: '{name}': found {values.dtype} {values.shape}, expected {stored} {tuple(array.shape)}"
        )
    return values.astype(array.dtype)


def _on_device(values: np.ndarray, like: arrays.Array) -> arrays.Array:
    return values if isinstance(like, np.ndarray) else arrays.array_module("cuda").asarray(values)
