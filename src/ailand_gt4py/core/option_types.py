"""Types of options, and what reads their values from the text of a command line and from what YAML holds."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import GivenTime, given_text, given_time, parse_interval, parse_time, step_of, time_text


@dataclasses.dataclass(frozen=True)
class Amount:
    """A size that is given for a variable: positive or zero, in its units or as a fraction of its value."""

    value: float
    is_relative: bool = False

    def of(self, values: np.ndarray) -> np.ndarray:
        return self.value * np.abs(values) if self.is_relative else np.full_like(values, self.value)

    def __str__(self) -> str:
        return f"{100.0 * self.value:g}%" if self.is_relative else f"{self.value:g}"


def parse_amounts(given: object) -> dict[str, Amount]:
    """Sizes for variables from a list such as ``swvl1=0.02,met_rainf=20%``, or from a mapping."""
    pairs = named_values(given)
    if not isinstance(pairs, Mapping):
        raise InputError(f"found {given!r}, expected sizes such as swvl1=0.02,met_rainf=20%")
    amounts = {}
    for name, size in pairs.items():
        text = str(size)
        is_relative = text.endswith("%")
        try:
            value = float(text.removesuffix("%")) * (0.01 if is_relative else 1.0)
        except ValueError:
            value = math.nan
        if not 0.0 <= value < math.inf:
            raise InputError(f"found '{name}={size}', expected a number such as {name}=0.02 or 10%")
        amounts[name] = size if isinstance(size, Amount) else Amount(value, is_relative)
    return amounts


def listed_names(text: str, known: Iterable[str], option: str) -> list[str]:
    """Names from a comma-separated list, in its order: at least one, all known, each once."""
    known = list(known)
    found = [part.strip() for part in text.split(",") if part.strip()]
    for name in found:
        if name not in known:
            raise InputError(f"option {option}: found '{name}', expected some of {', '.join(known)}")
        if found.count(name) > 1:
            raise InputError(f"option {option}: found '{name}' more than once, expected it once")
    if not found:
        raise InputError(f"option {option}: found no name in '{text}', expected some of {', '.join(known)}")
    return found


def named_values(given: object) -> object:
    """Values by name from a list such as ``NAME=VALUE,NAME=VALUE``, each name once; what is no text as it is."""
    if not isinstance(given, str):
        return given
    result: dict[str, str] = {}
    for part in given.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not name or not value or name in result:
            raise InputError(f"found '{part.strip()}', expected NAME=VALUE, each name once")
        result[name] = value
    return result


def _location(value: object) -> tuple[float, float]:
    """Latitude and longitude from "LAT,LON" or two numbers."""
    parts = value.split(",") if isinstance(value, str) else value
    try:
        latitude, longitude = (float(part) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        latitude = longitude = np.nan
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 360.0):
        raise ValueError("LAT,LON in degrees north and east, such as 51.6,4.9")
    return latitude, longitude


def _site(value: object) -> tuple[float, float, float | None]:
    """Latitude, longitude and, where it is known, elevation from "LAT,LON[,ELEVATION]" or numbers."""
    parts = value.split(",") if isinstance(value, str) else value
    try:
        latitude, longitude, *elevation = (float(part) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        latitude, longitude, elevation = np.nan, np.nan, []
    if not (
        -90.0 <= latitude <= 90.0
        and -180.0 <= longitude <= 360.0
        and len(elevation) <= 1
        and all(-500.0 <= height <= 9000.0 for height in elevation)
    ):
        raise ValueError("LAT,LON or LAT,LON,ELEVATION in degrees north and east and m, such as 47.2,8.4,393")
    return latitude, longitude, elevation[0] if elevation else None


def _file(value: object) -> object:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a file name")
    path = Path(value)
    with contextlib.suppress(RuntimeError):  # a user that is not known
        path = path.expanduser()
    if "\0" in str(path) or len(os.fsencode(path)) >= 4096 or any(len(os.fsencode(one)) > 255 for one in path.parts):
        raise ValueError("a file name that a file system takes, at most 255 bytes in each part")
    return str(path)


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _box(value: object) -> tuple[float, float, float, float]:
    """South, north, west and east from "S,N,W,E" or four numbers."""
    parts = value.split(",") if isinstance(value, str) else value
    try:
        south, north, west, east = (float(part) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        south = north = west = east = np.nan
    if not (-90.0 <= south < north <= 90.0 and all(-180.0 <= one <= 360.0 for one in (west, east)) and west != east):
        raise ValueError("S,N,W,E in degrees north and east, such as 45,55,-5,10")
    return south, north, west, east


def _points(value: object) -> Path | tuple[tuple[float, float], ...]:
    """Locations from "LAT,LON;LAT,LON" or a list of them; anything else is the name of a file with them."""
    if isinstance(value, str) and not re.fullmatch(r"[-+\d.,;eE\s]+", value):
        return Path(str(_file(value)))
    given = value.split(";") if isinstance(value, str) else value
    try:
        points = tuple(_location(one) for one in given if one)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        points = ()
    if not points:
        raise ValueError("LAT,LON;LAT,LON... in degrees north and east, or a file with them")
    return points


def _named_time(value: object) -> tuple[str, GivenTime | None]:
    """A variable and a time from "VARIABLE" or "VARIABLE,TIME"."""
    name, _, time = str(value).partition(",")
    if not re.fullmatch(r"\w[\w.+@-]*", name.strip()):
        raise ValueError("VARIABLE or VARIABLE,TIME, such as swvl1,2021-07-01T12")
    return name.strip(), given_time(time) if time.strip() else None


def suffixed(*suffixes: str) -> AfterValidator:
    """A check that a file's name ends in one of these."""

    def check(path: Path) -> Path:
        if path.suffix.lower() not in suffixes:
            raise ValueError(f"a file name that ends in {' or '.join(suffixes)}")
        return path

    return AfterValidator(check)


def _names(value: object) -> object:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _numbers(value: object) -> object:
    try:
        return tuple(map(float, value.split(","))) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("numbers such as 1,7,30") from None


File = Annotated[Path, BeforeValidator(_file)]
#: One file or several; patterns such as ``era5_*.nc`` stay as they are.
Files = Annotated[tuple[File, ...], BeforeValidator(_listed)]
FigureFile = Annotated[File, suffixed(".png", ".pdf", ".svg")]
#: Degrees north and east.
Location = Annotated[
    tuple[float, float], PlainValidator(_location), PlainSerializer(lambda at: f"{at[0]:g},{at[1]:g}", return_type=str)
]
#: South, north, west and east, degrees.
Box = Annotated[
    tuple[float, float, float, float],
    PlainValidator(_box),
    PlainSerializer(lambda box: ",".join(f"{one:g}" for one in box), return_type=str),
]
#: Latitudes and longitudes, degrees, or a file with them.
Points = Annotated[
    Path | tuple[tuple[float, float], ...],
    PlainValidator(_points),
    PlainSerializer(
        lambda one: str(one) if isinstance(one, Path) else ";".join(f"{lat:g},{lon:g}" for lat, lon in one),
        return_type=str,
    ),
]
#: A variable, and a time or None.
NamedTime = Annotated[
    tuple[str, GivenTime | None],
    PlainValidator(_named_time),
    PlainSerializer(lambda one: one[0] if one[1] is None else f"{one[0]},{given_text(one[1])}", return_type=str),
]
NamedTimes = Annotated[tuple[NamedTime, ...], BeforeValidator(_listed)]
#: Degrees north and east, and m above sea level or None.
SiteLocation = Annotated[
    tuple[float, float, float | None],
    PlainValidator(_site),
    PlainSerializer(lambda at: ",".join(f"{one:g}" for one in at if one is not None), return_type=str),
]
#: A time in the calendar of a file, UTC.
FileTime = Annotated[GivenTime, PlainValidator(given_time), PlainSerializer(given_text, return_type=str)]
#: A time, UTC.
Time = Annotated[np.datetime64, PlainValidator(parse_time), PlainSerializer(time_text, return_type=str)]
#: A length of time such as 6h or 1d.
Interval = Annotated[
    np.timedelta64,
    PlainValidator(parse_interval),
    PlainSerializer(lambda one: f"{one / step_of(3600.0):g}h", return_type=str),
]
#: Names with commas between them, or a list of them.
Names = Annotated[str, BeforeValidator(_names)]
#: Sizes of errors by variable: swvl1=0.02,met_rainf=20%.
Amounts = Annotated[
    Mapping[str, Amount],
    PlainValidator(parse_amounts),
    PlainSerializer(lambda sizes: ",".join(f"{name}={size}" for name, size in sizes.items()), return_type=str),
]
NameList = Annotated[tuple[str, ...], BeforeValidator(_split)]
#: Numbers above 0.
Numbers = Annotated[tuple[Annotated[float, Field(gt=0.0)], ...], BeforeValidator(_numbers)]
