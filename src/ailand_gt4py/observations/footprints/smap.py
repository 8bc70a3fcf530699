"""SMAP's brightness temperatures of half orbits, posted at 36 km (SPL1CTB, L1C_TB) or 9 km (SPL1CTB_E, L1C_TB_E).

Layout: SMAP Level 1C Radiometer Product Specification Document, JPL D-72545 (Chan and Dunbar); data sets
doi:10.5067/JJ5FL7FRLKJI and, of 9 km, NSIDC's SPL1CTB_E. HDF5 with a group for each projection of EASE-Grid 2.0, in
it one-dimensional data sets of the cells that were observed, fore and aft of the spacecraft: ``cell_tb_h_fore`` (K),
``cell_tb_error_h_fore`` (K), ``cell_tb_qual_flag_h_fore``, ``cell_tb_time_seconds_fore``,
``cell_boresight_incidence_fore`` (degrees), ``cell_lat``, ``cell_lon``, ``cell_row``. -9999 stands for no value.

The names of groups and data sets are those that public programs read from such files; this project has had none of the
files themselves, so that what bit 0 of the flags means, and the units' spelling, are checked against none.
Brightness temperatures are at the Earth's surface; that of water in a cell is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    joined,
    numbers,
    opened,
    temperatures,
    times_since,
)

GLOBAL, POLAR = "Global_Projection", ("North_Polar_Projection", "South_Polar_Projection")
LOOKS = ("fore", "aft")
#: J2000, in UTC. The leap seconds since then, five at most, are not counted: labels are hours apart.
EPOCH = np.datetime64("2000-01-01T11:58:55.816")
FILL = -9999.0
#: Flags are of 16 bits.
_FLAGS = 2**16
#: The spacings of the grid that there are, km; cells are told apart within a part of that.
SPACINGS, SPACING_TOLERANCE = (36.03222, 9.008055), 0.1


def recognises(path: Path, dataset: xr.Dataset) -> bool:
    if dataset.variables:  # these files have groups alone
        return False
    with opened(path) as file:
        return any("cell_lat" in group.variables for _, group in _projections(file))


def _projections(file: netCDF4.Dataset) -> Iterator[tuple[str, netCDF4.Dataset]]:
    for name in (GLOBAL, *POLAR):
        if name in file.groups:
            yield name, file.groups[name]


def read(path: Path, incidence: float) -> Footprints:
    """Fore and aft looks of a half orbit; all are at SMAP's one angle.

    Polar projections have the same observations once more: of them are those that the global one does not reach.
    """
    parts = []
    with opened(path) as file:
        groups = dict(_projections(file))
        for name, group in groups.items():
            what = f"{path}: group '{name}'"
            if name == GLOBAL:
                spacing = _spacing(group, what)
            elif GLOBAL not in groups:
                raise InputError(f"{path}: has the group '{name}', expected '{GLOBAL}' beside it")
            for look in LOOKS:
                if any(f"cell_tb_{letter}_{look}" in group.variables for letter in POLARISATIONS.values()):
                    one = _of_look(group, look, spacing, what)
                    parts.append(one if name == GLOBAL else one.at(np.abs(one.latitude) > ease_grid.EDGE_LATITUDE))
    if not parts:
        raise InputError(f"{path}: has neither 'cell_tb_h_fore' nor others of its kind, expected some")
    return joined(parts)


def _of_look(group: netCDF4.Dataset, look: str, spacing: float, what: str) -> Footprints:
    def read_one(name: str) -> Values:
        return numbers(group, name, what, FILL)

    def read_both(name: str) -> Values:
        return np.stack([temperatures(group, f"{name}_{letter}_{look}", what, FILL) for letter in letters])

    letters, shape = POLARISATIONS.values(), numbers(group, "cell_lat", what, FILL).shape
    for name, variable in group.variables.items():
        if name.startswith("cell_") and variable.shape[:1] != shape:
            raise InputError(f"{what}: '{name}' has the shape {variable.shape}, expected {shape} as 'cell_lat'")
    flags = np.stack([read_one(f"cell_tb_qual_flag_{letter}_{look}") for letter in letters])
    values = read_both("cell_tb")
    has_errors = f"cell_tb_error_h_{look}" in group.variables
    return Footprints(
        spacing,
        read_one("cell_lat"),
        read_one("cell_lon"),
        times_since(EPOCH, read_one(f"cell_tb_time_seconds_{look}")),
        read_one(f"cell_boresight_incidence_{look}"),
        values,
        read_both("cell_tb_error") if has_errors else np.full(values.shape, np.nan),
        # Bit 0 is set where a value is not of acceptable quality, for whatever reason the others name.
        np.where(np.abs(flags) < _FLAGS, flags, 1.0).astype(np.int64) & 1 == 0,
    )


def _spacing(group: netCDF4.Dataset, what: str) -> float:
    """Of the grid, km, by the rows and latitudes of its cells: both products have the same names."""
    row, latitude = numbers(group, "cell_row", what), numbers(group, "cell_lat", what, FILL)
    if row.shape != latitude.shape or not np.isfinite(row + latitude).any():
        raise InputError(
            f"{what}: 'cell_lat' has the shape {latitude.shape}, 'cell_row' {row.shape}, expected a latitude and a row "
            "of each cell"
        )
    found = float(np.nanmedian((ease_grid.EDGE - ease_grid.y_of(latitude)) / (row + 0.5)))
    for spacing in SPACINGS:
        if abs(found / spacing - 1.0) < SPACING_TOLERANCE:
            return spacing
    raise InputError(
        f"{what}: cell_row and cell_lat are those of a grid of {found:.3g} km, expected EASE-Grid 2.0 of 36 or 9 km"
    )


LAYOUTS.add(Layout("SMAP L1C_TB", "bit 0 of cell_tb_qual_flag is 0", recognises, read))
