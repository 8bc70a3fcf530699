"""Single-point files of NCAR's HRLDAS (Noah-MP): namelists about the site and a table of its weather, as text.

Format: ``single_point`` of github.com/NCAR/hrldas. The namelists ``location``, ``initial``, ``metadata`` and
``conversion`` tell the site, a first state and how the columns become SI; below, each line is year, month, day, hour,
minute, wind speed, temperature, humidity, pressure, short wave, long wave, precipitation.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_tables import LAYER_MIDDLES
from ailand_gt4py.io.opening import OPENERS, Opener
from ailand_gt4py.io.opening.packed_text import open_text

FORMAT = "HRLDAS"
_ROW = re.compile(r"\d{4}( +\d{1,2}){4}( +-?\d\S*){7} *")
_ENTRY = re.compile(r"\s*(\w+)\s*=\s*([^!]+)")
#: Texture class of STATSGO (USDA) -> ecLand's: coarse, medium, medium-fine, fine, very fine, organic.
SOIL_TYPES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 3, 6: 2, 7: 2, 8: 3, 9: 2, 10: 4, 11: 4, 12: 5, 13: 6}
_IGBP = "IGBP"


def recognises(path: Path) -> bool:
    try:
        with open_text(path) as file:
            head = file.read(10_000)
    except (OSError, EOFError):
        return False
    return "&location" in head and "&conversion" in head and "soil_category" in head


def _parts(path: Path) -> tuple[dict[str, str], Values]:
    entries: dict[str, str] = {}
    rows: list[list[float]] = []
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            found = _ENTRY.match(line)
            if found is not None and not rows:
                entries[found[1].lower()] = found[2].strip()
            elif _ROW.fullmatch(line.rstrip("\n")):
                rows.append([float(part) for part in line.split()])
            elif rows and line.strip():
                raise InputError(f"{path}: line {number} is '{line.strip()[:60]}', expected a time and seven numbers")
    if len(rows) < 2:
        raise InputError(f"{path}: has {len(rows)} lines of weather, expected more")
    return entries, np.array(rows)


def open_file(path: Path) -> xr.Dataset:
    """The file in SI units along ``time``, datetime64[ns] at the starts of the intervals, which end at its times.

    Raises:
        InputError: naming what is missing or cannot be read.
    """
    entries, table = _parts(path)

    def numbers(name: str, default: str | None = None) -> list[float]:
        text = entries.get(name, default)
        try:
            return [float(part) for part in str(text).replace(",", " ").split()]
        except ValueError:
            raise InputError(f"{path}: '{name}' is {text!r}, expected numbers") from None

    def number(name: str, default: str | None = None) -> float:
        return numbers(name, default)[0]

    year, month, day, hour, minute, wind, temperature, humidity, pressure, shortwave, longwave, rain = table.T
    months = ((year - 1970) * 12 + month - 1).astype(np.int64).astype("datetime64[M]")
    seconds = ((day - 1) * 86_400 + hour * 3600 + minute * 60).astype("timedelta64[s]")
    ends = months.astype("datetime64[ns]") + seconds
    is_relative = "t" in entries.get("have_relative_humidity", ".true.").lower()
    columns = {
        "windspeed": (wind, "m s-1"),
        "temperature": (temperature * number("temperature_scale", "1") + number("temperature_offset", "0"), "K"),
        "relative_humidity" if is_relative else "specific_humidity": (humidity, "%" if is_relative else "kg kg-1"),
        "pressure": (pressure * number("pressure_scale", "1"), "Pa"),
        "shortwave": (shortwave, "W m-2"),
        "longwave": (longwave, "W m-2"),
        "precipitation": (rain * number("precipitation_scale", "1"), "kg m-2 s-1"),
    }
    fixed = {
        "latitude": (number("latitude"), "degrees_north"),
        "longitude": (number("longitude"), "degrees_east"),
        "elevation": (number("elevation"), "m"),
        "snow_water_equivalent": (number("snow_water_equivalent", "nan") / 1000.0, "m"),
    }
    soil = SOIL_TYPES.get(round(number("soil_category")))
    if soil is not None:
        fixed["soil_type"] = float(soil), "1"
    nodes = numbers("soil_layer_nodes", "")
    for name, stem, units in (("soil_temperature", "stl", "K"), ("soil_moisture", "swvl", "m3 m-3")):
        values = numbers(name, "")
        if values and len(values) == len(nodes):
            layers = np.interp(LAYER_MIDDLES, nodes, values)
            fixed |= {f"{stem}{layer}": (value, units) for layer, value in enumerate(layers.tolist(), start=1)}
    attributes = {"format": FORMAT}
    if _IGBP in entries.get("land_cover_source", "").upper():
        attributes["igbp_class"] = str(round(number("vegetation_category")))
    return xr.Dataset(
        {name: ("time", values, {"units": units}) for name, (values, units) in columns.items()}
        | {name: ((), value, {"units": units}) for name, (value, units) in fixed.items() if np.isfinite(value)},
        {"time": ("time", ends - max(np.diff(ends).min(), step_of(1.0)))},
        attributes,
    )


OPENERS.add(Opener("single points of HRLDAS (text)", recognises, open_file))
