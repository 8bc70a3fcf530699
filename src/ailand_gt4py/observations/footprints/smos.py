"""SMOS's daily brightness temperatures of CATDS (L3TB: MIR_CDF3TA of ascending, MIR_CDF3TD of descending orbits).

Product: CATDS-PDC L3TB, doi:10.12770/6294e08c-baec-4282-a251-33fee22ec67f; Al Bitar et al. 2017,
doi:10.5194/essd-9-293-2017. NetCDF on EASE-Grid 2.0 of 25 km, ``lat`` and ``lon``, and for each class of incidence
angles, whose middle in tenths of a degree ends the names (``025`` to ``625``, ``400`` beside the classes of 5 degrees):
``BT_H_400``, ``BT_V_400`` (K), ``Pixel_Radiometric_Accuracy_H_400`` (K), ``Incidence_Angle_400`` (degrees),
``Nb_RFI_Flags_400``, ``Days_400`` since 2000-01-01, ``UTC_Seconds_400``, ``UTC_Microseconds_400``.

These names, and that values are packed, are those that the tests of a public reader (FIDUCEO/MMS) find in a file of
reprocessing RE07, version 330; this project has had none of the files itself. They come as archives (.tgz): unpack the
``.DBL.nc``. Values are at the top of the atmosphere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations import ease_grid
from ailand_gt4py.observations.footprints import (
    LAYOUTS,
    POLARISATIONS,
    Footprints,
    Layout,
    numbers,
    opened,
    temperatures,
    times_since,
)

EPOCH = np.datetime64("2000-01-01T00:00")
_SECONDS_PER_DAY = 86_400.0
#: Cells that a radiometer's observations may be posted on, km.
SMALLEST, LARGEST = 1.0, 100.0
_CLASS = re.compile(r"BT_[HV]_(\d{3})")


def _classes(names: Iterable[object]) -> list[str]:
    """Endings of names, of the classes of incidence angles."""
    return sorted({found[1] for name in names if (found := _CLASS.fullmatch(str(name)))})


def recognises(path: Path, dataset: xr.Dataset) -> bool:
    return {"lat", "lon"} <= set(dataset.variables) and bool(_classes(dataset.variables))


def read(path: Path, incidence: float) -> Footprints:
    """The class of angles nearest to one, degrees: others overlap with it.

    Recommended are means of views of which none is flagged for interference.
    """
    with opened(path) as file:
        ending = min(_classes(file.variables), key=lambda one: abs(float(one) / 10.0 - incidence))
        latitude, longitude = _axis(file, "lat", path), _axis(file, "lon", path)
        shape = (latitude.size, longitude.size)

        def flat(name: str, values: Values) -> Values:
            if values.squeeze().shape != shape:
                raise InputError(
                    f"{path}: variable '{name}' has the shape {values.shape}, expected {shape}, (lat, lon)"
                )
            return values.reshape(-1)

        def of_class(name: str) -> Values:
            return flat(f"{name}_{ending}", numbers(file, f"{name}_{ending}", str(path)))

        def both(name: str) -> Values:
            own = [f"{name}_{letter.upper()}_{ending}" for letter in POLARISATIONS.values()]
            return np.stack([flat(one, temperatures(file, one, str(path))) for one in own])

        seconds = _SECONDS_PER_DAY * of_class("Days") + of_class("UTC_Seconds") + 1e-6 * of_class("UTC_Microseconds")
        return Footprints(
            _spacing(longitude, path),
            np.repeat(latitude, longitude.size),
            np.tile(longitude, latitude.size),
            times_since(EPOCH, seconds),
            of_class("Incidence_Angle"),
            both("BT"),
            both("Pixel_Radiometric_Accuracy"),
            np.tile(of_class("Nb_RFI_Flags") == 0.0, (len(POLARISATIONS), 1)),
        )


def _axis(file: netCDF4.Dataset, name: str, path: Path) -> Values:
    values = numbers(file, name, str(path))
    if values.ndim != 1 or values.size < 2:
        raise InputError(f"{path}: variable '{name}' has the shape {values.shape}, expected (n,) of a grid")
    return values


def _spacing(longitude: Values, path: Path) -> float:
    """Of the grid, km, by its longitudes, degrees."""
    steps = np.abs((np.diff(longitude) + 180.0) % 360.0 - 180.0)
    spacing = ease_grid.RADIUS * ease_grid.SCALE * float(np.deg2rad(np.median(steps)))
    if not SMALLEST <= spacing <= LARGEST:
        raise InputError(
            f"{path}: cells are {spacing:.3g} km apart, expected {SMALLEST:g} to {LARGEST:g} km of a radiometer's"
        )
    return spacing


LAYOUTS.add(Layout("SMOS L3TB (CATDS)", "Nb_RFI_Flags is 0", recognises, read))
