"""Points of a file: latitudes and longitudes that cells of a grid are looked for at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.trial import read_whole
from ailand_gt4py.io import conventions
from ailand_gt4py.io.lattices import lattice_of

#: Endings of files that hold fields; others are read as text.
_FIELDS = (".nc", ".nc4", ".zarr", ".zip", ".grib", ".grb")


def read_points(path: Path) -> tuple[tuple[float, float], ...]:
    """Latitude and longitude, degrees, of all cells of a file of fields, or of each line ``LAT,LON`` of a text.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    if path.suffix.lower() in _FIELDS:
        fields = conventions.read(path)
        try:
            cells = lattice_of(fields)
            if cells is None:
                raise InputError(f"{path}: has no latitude and longitude, expected them for each point")
            return tuple(zip(cells.latitude.tolist(), cells.longitude.tolist(), strict=True))
        finally:
            fields.dataset.close()
    try:
        text = read_whole(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}), expected lines LAT,LON") from error
    lines = [(number, line.split("#")[0]) for number, line in enumerate(text.splitlines(), 1)]
    points = [_point(path, number, line) for number, line in lines if line.strip()]
    if not points:
        raise InputError(f"{path}: has no points, expected lines LAT,LON")
    return tuple(points)


def _point(path: Path, number: int, line: str) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in line.replace(",", " ").split()[:2])
    except ValueError:
        latitude = longitude = np.nan
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 360.0):
        raise InputError(f"{path}: line {number} is '{line.strip()[:60]}', expected LAT,LON in degrees")
    return latitude, longitude
