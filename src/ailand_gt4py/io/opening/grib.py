"""Files in GRIB, of either edition, through earthkit-data (extra ``grib``): fields of the surface along valid time.

Fields go by their short names; which file of a weather service has which meaning is told by conventions. Each field is
decoded when its values are asked for.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.opening import OPENERS, Opener

#: Levels whose fields are none of the surface.
_ALOFT = ("isobaricInhPa", "isobaricInPa", "hybrid", "potentialVorticity", "theta")
#: Of the fields of a file, kept as attributes of its variables: netCDF files made of GRIB have them, too.
_KEYS = ("shortName", "paramId", "stepType", "gridType")


@dataclasses.dataclass(frozen=True)
class Message:
    """A field of a file: where it belongs in a variable, and what gives its values."""

    field: Any
    time: np.datetime64
    member: int
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.attributes["GRIB_shortName"])


def recognises(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"GRIB"
    except OSError:
        return False


def open_grib(path: Path) -> xr.Dataset:
    """The fields of the surface in a file: (time, latitude, longitude) or, of other grids than these, (time, values).

    What there is at one time alone, beside others at more, has no time. A dimension ``number`` where there are members.

    Raises:
        InputError: earthkit-data is not installed; the file cannot be read; fields of different grids; one twice.
    """
    try:
        from earthkit.data import from_source
    except ImportError as error:
        raise InputError(
            f"{path}: is a GRIB file, which is read by earthkit-data ({reason(error)}); expected: pip install "
            "'ailand_gt4py[grib]'"
        ) from error
    try:
        fields = list(from_source("file", str(path)).to_fieldlist())
        messages = [_message(one) for one in fields if _key(one, "typeOfLevel") not in _ALOFT]
        if not messages:
            raise InputError(f"{path}: has no fields of the surface, expected some")
        grids = {_key(one.field, "md5GridSection"): one.field for one in messages}
        if len(grids) > 1:
            raise InputError(f"{path}: has fields on {len(grids)} grids, expected one grid in a file")
        coordinates = _coordinates(messages[0].field)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes earthkit-data and ecCodes raise
        raise InputError(f"{path}: cannot be read ({reason(error)}); expected an undamaged GRIB file") from error
    return _dataset(path, messages, coordinates)


def _key(field: Any, name: str) -> Any:
    """A key of ecCodes; anemoi's packages take no earthkit-data from 1.0 on, whose fields answer in another way."""
    return field.get(f"metadata.{name}") if hasattr(field, "get") else field.metadata(name, default=None)


def _geography(field: Any) -> Any:
    return field.geography if hasattr(field, "geography") else field.metadata().geography


def _message(field: Any) -> Message:
    date, clock = int(_key(field, "validityDate")), int(_key(field, "validityTime"))
    day = np.datetime64(f"{date // 10000:04d}-{date // 100 % 100:02d}-{date % 100:02d}", "ns")
    time = day + np.timedelta64(clock // 100, "h") + np.timedelta64(clock % 100, "m")
    attributes = {f"GRIB_{key}": value for key in _KEYS if (value := _key(field, key)) is not None}
    texts = {"units": _key(field, "units"), "long_name": _key(field, "name")}
    member = _key(field, "number")
    return Message(field, time, int(member or 0), attributes | texts)


def _coordinates(field: Any) -> dict[str, tuple[tuple[str, ...], Values, dict[str, str]]]:
    """Latitude and longitude of a field's points, in the order of its values."""
    units = {"latitude": {"units": "degrees_north"}, "longitude": {"units": "degrees_east"}}
    geography = _geography(field)
    if _key(field, "gridType") == "regular_ll":
        axes = {"latitude": geography.distinct_latitudes(), "longitude": geography.distinct_longitudes()}
        return {name: ((name,), np.asarray(values), units[name]) for name, values in axes.items()}
    points = {"latitude": geography.latitudes(), "longitude": geography.longitudes()}
    return {name: (("values",), np.asarray(values).ravel(), units[name]) for name, values in points.items()}


def _dataset(
    path: Path, messages: list[Message], coordinates: dict[str, tuple[tuple[str, ...], Values, dict[str, str]]]
) -> xr.Dataset:
    names = list(dict.fromkeys(one.name for one in messages))
    times = {name: sorted({one.time for one in messages if one.name == name}) for name in names}
    several = [name for name in names if len(times[name]) > 1]
    axis = sorted({time for name in several or names for time in times[name]})
    members = sorted({one.member for one in messages})
    horizontal = [dims[0] for dims, _, _ in coordinates.values()]
    shape = tuple({name: len(coordinates[key][1]) for name, key in zip(horizontal, coordinates, strict=True)}.values())
    dims = tuple(dict.fromkeys(horizontal))
    data = xr.Dataset(coords={"time": np.array(axis, dtype="datetime64[ns]"), **coordinates})
    for name in names:
        found: dict[tuple[np.datetime64, int], Message] = {}
        for one in messages:
            if one.name == name:
                if (one.time, one.member) in found:
                    raise InputError(f"{path}: field '{name}' of {time_text(one.time)} is there twice, expected once")
                found[one.time, one.member] = one
        is_timed = name in several or not several
        labels = axis if is_timed else times[name]
        arrays = _stack([[_lazy(found.get((time, member)), path, shape) for member in members] for time in labels])
        variable = xr.Variable(("time", "number", *dims), arrays, next(iter(found.values())).attributes)
        variable = variable if len(members) > 1 else variable.isel(number=0)
        data[name] = variable if is_timed else variable.isel(time=0)
    return data.assign_coords(number=members) if len(members) > 1 else data


def _stack(rows: list[list[Any]]) -> Any:
    import dask.array as da

    return da.stack([da.stack(row) for row in rows])


def _lazy(message: Message | None, path: Path, shape: tuple[int, ...]) -> Any:
    """The values of a field as a dask array, float32; missing where there is no such field."""
    import dask
    import dask.array as da

    if message is None:
        return da.full(shape, np.nan, dtype=np.float32)
    return da.from_delayed(dask.delayed(_values)(message, path, shape), shape, dtype=np.float32)


def _values(message: Message, path: Path, shape: tuple[int, ...]) -> Values:
    try:
        values = np.asarray(message.field.to_numpy(flatten=True), dtype=np.float32)
    except Exception as error:  # whatever a damaged file makes ecCodes raise
        raise InputError(
            f"{path}: field '{message.name}' of {time_text(message.time)} cannot be read ({reason(error)}); expected "
            "an undamaged GRIB file"
        ) from error
    return values.reshape(shape)


OPENERS.add(Opener("GRIB", recognises, open_grib))
