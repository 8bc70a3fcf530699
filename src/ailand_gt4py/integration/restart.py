"""Restart files of a land component: netCDF-4, bit-for-bit reproducible."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import HOST_UNIT
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.whole_files import plain, read_sealed, write_sealed

FORMAT = "ailand_gt4py land component 2"
_WHAT = "a restart file of a land component"
_HOST = "host_"
#: Types of NumPy that a file holds to the bit: truth values, whole and real numbers.
_KINDS, _SIZES = "biuf", {"f": (4, 8)}


class Content(NamedTuple):
    """What a restart file has, or what it must have to fit.

    Attributes:
        memory: name -> array of all that changes in a run. fixed: name -> array of what is the same in all of it.
        identity: texts that are the same in all of it. may_be_missing: whether NaN may be in each state variable.
    """

    memory: Mapping[str, arrays.Array]
    fixed: Mapping[str, arrays.Array]
    identity: Mapping[str, str]
    may_be_missing: Sequence[bool]


def host_memory(given: Mapping[str, arrays.Array] | None, device: arrays.Device) -> dict[str, arrays.Array]:
    """A host's own arrays by their names in a file.

    Raises:
        InputError: a name that a file cannot have, something else than an array of the device, or a type that a file
            does not hold.
    """
    result = {}
    for name, value in (given or {}).items():
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"host memory: found the name {name!r}, expected letters, digits and underscores")
        what = f"host memory '{name}'"
        array = arrays.as_array(value, device, what)
        dtype = array.dtype
        if dtype.kind not in _KINDS or dtype.itemsize not in _SIZES.get(dtype.kind, (1, 2, 4, 8)) or not dtype.isnative:
            raise InputError(
                f"{what}: found the type {dtype}, expected bool, integers, float32 or float64 in the machine's byte "
                "order: a file holds no others (of times, give whole microseconds)"
            )
        result[f"{_HOST}{name}"] = array
    return result


def write(path: str | os.PathLike[str], content: Content, position: Mapping[str, int]) -> None:
    """Write a restart file, completely or not at all; ``position``: of the clock."""
    attributes = {f"identity_{key}": value for key, value in content.identity.items()}
    data = xr.Dataset(attrs={"format": FORMAT, **attributes, "clock": json.dumps(dict(position))})
    for name, array in {**content.memory, **content.fixed}.items():
        values = _stored(arrays.to_host(array))
        data[name] = plain([f"{name}_{axis}" for axis in range(array.ndim)], values, {})
    write_sealed(Path(path), data, "writing the restart file")


def read(path: str | os.PathLike[str], content: Content) -> tuple[dict[str, Values], dict[str, int]]:
    """The memory and the clock's position of a restart file that fits; nothing of ``content`` is changed.

    Raises:
        InputError: a file that is damaged, not of this run's identity and fixed arrays, or of other names, shapes or
            types; a state that is not finite; an array of ``content`` that is read-only.
    """
    path = Path(path)
    data = read_sealed(path, FORMAT, _WHAT)
    for key, expected in content.identity.items():
        found = data.attrs.get(f"identity_{key}")
        if found != expected:
            raise InputError(f"{path}: {key.replace('_', ' ')}: found '{found}', expected '{expected}'")
    position = _clock(path, data)
    for name, array in {**content.memory, **content.fixed}.items():
        if name not in data.variables:
            raise InputError(f"{path}: '{name}' is missing, expected all that the component remembers")
        stored, like = data[name], _stored(arrays.to_host(array))
        if (stored.shape, stored.dtype) != (like.shape, like.dtype):
            raise InputError(
                f"{path}: '{name}': found {stored.dtype} {stored.shape}, expected {like.dtype} {like.shape}"
            )
        if name in content.fixed and not np.array_equal(stored.values, like, equal_nan=True):
            raise InputError(
                f"{path}: has other {name.replace('_', ' ')}, expected those of this component; it is perhaps another "
                "rank's"
            )
    for name in map(str, data.variables):
        if name not in content.memory and name not in content.fixed:
            what = f"host memory '{name.removeprefix(_HOST)}'" if name.startswith(_HOST) else f"'{name}'"
            raise InputError(f"{path}: has {what}, which would be lost, expected a run that has it, too")
    for name, array in content.memory.items():
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise InputError(f"{path}: '{name}': found a read-only array, expected one that can be filled")
    state = data["state"].values
    if not (np.isfinite(state) | (np.isnan(state) & content.may_be_missing)).all():
        raise InputError(f"{path}: 'state': found a number that is not finite, expected finite ones")
    return {name: data[name].values for name in content.memory}, position


def fill(memory: Mapping[str, arrays.Array], values: Mapping[str, Values]) -> None:
    """Put what was read into arrays."""
    for name, array in memory.items():
        # A CuPy array takes values from its own device only.
        xp = np if isinstance(array, np.ndarray) else arrays.array_module("cuda")
        array[...] = xp.asarray(values[name])


def next_time(path: str | os.PathLike[str]) -> np.datetime64:
    """Of the host step with which a restart file's run continues."""
    return np.datetime64(_clock(Path(path), read_sealed(Path(path), FORMAT, _WHAT))["next_time"], HOST_UNIT)


def _clock(path: Path, data: xr.Dataset) -> dict[str, int]:
    try:
        position = {key: int(value) for key, value in json.loads(data.attrs["clock"]).items()}
        np.array([position["next_time"], *position.values()], dtype=np.int64)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{path}: the clock cannot be read ({error}); expected {_WHAT}") from error
    return position


def _stored(values: Values) -> Values:
    """As a file has them, which has no booleans."""
    return values.astype(np.uint8) if values.dtype == np.bool_ else values
