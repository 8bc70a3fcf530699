"""Make files of the layout of SMAP L1C_TB from ecLand's soil: what the radiometer would observe of it, with noise.

    python make_smap.py COLUMNS.nc DIR [--start 2021-06-01] [--days 30] [--every 2] [--seed 0]

COLUMNS.nc is a file that `ailand-column-run` takes, with states. Every second day each column is passed at 6 in the
morning, solar time, as on SMAP's descending half orbits; one file is made for each of these days. Brightness
temperatures are those of `observations.brightness` of the state at the label nearest to the pass, with an error of
1.3 K, SMAP's requirement (Peng et al. 2017, Soil Moisture Active/Passive L-Band Microwave Radiometer Postlaunch
Calibration, IEEE Transactions on Geoscience and Remote Sensing 55); snow and frozen soil, which that operator does not
describe, have none. These are no observations: they show the layout and how a command reads it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import netCDF4
import numpy as np

from ailand_gt4py.cli.status import execute
from ailand_gt4py.core.constants import CELSIUS
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.core.times import parse_time
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.columns import columns_of
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.observations import ease_grid
from ailand_gt4py.observations.brightness import clay_of
from ailand_gt4py.observations.footprints.smap import EPOCH, FILL, GLOBAL, LOOKS, SPACINGS
from ailand_gt4py.observations.operators import Columns, Situation, make_operator, position_of
from ailand_gt4py.weights.model_file import read_model

#: Standard deviation of the noise, K; local solar time of a pass and what the aft look is later, hours; cover of snow.
NOISE, PASS_HOUR, AFT_LATER, SNOW = 1.3, 6.0, 0.05, 0.01
#: Fill value of flags, rows and columns.
FLAG_FILL = 65534


class Options(CommandOptions):
    """
    Make files of the layout of SMAP L1C_TB from the states in a file, by the L-band observation operator.
    """

    program: ClassVar[str] = "make_smap.py"

    columns: File = option(..., "file with states and static fields", positional=True, metavar="COLUMNS.nc")
    directory: File = option(..., "directory for the half orbits", positional=True, metavar="DIR")
    start: str = option("2021-06-01", "first day")
    days: int = option(30, "length of the period", ge=1)
    every: int = option(2, "days between two passes", ge=1)
    seed: int = option(0, "of the noise")
    model: File | None = option(None, "tells which variables the operator takes (default: the default model)")


def cells_of(latitude: Values, longitude: Values, spacing: float) -> tuple[Values, Values, Values, Values]:
    """Row, column and centre, degrees, of the cells of the global EASE-Grid 2.0 that locations (n,) lie in."""
    width = np.rad2deg(spacing / (ease_grid.RADIUS * ease_grid.SCALE))
    row = np.floor((ease_grid.EDGE - ease_grid.y_of(latitude)) / spacing)
    column = np.floor((longitude + 180.0) % 360.0 / width)
    latitudes = np.linspace(-ease_grid.EDGE_LATITUDE, ease_grid.EDGE_LATITUDE, 20_001)
    centre = np.interp(ease_grid.EDGE - (row + 0.5) * spacing, ease_grid.y_of(latitudes), latitudes)
    return row, column, centre, (column + 0.5) * width - 180.0


def write_half_orbit(path: Path, fields: Mapping[str, Values], group: str = GLOBAL, mode: str = "w") -> None:
    """A file, or a group of it, with data sets (n,) by SMAP's names; NaN becomes the fill value."""
    with netCDF4.Dataset(path, mode) as file:
        part = file.createGroup(group)
        part.createDimension("cells", len(fields["cell_lat"]))
        for name, values in fields.items():
            is_whole = "qual_flag" in name or name in ("cell_row", "cell_column")
            kind, fill = ("u2", FLAG_FILL) if is_whole else ("f8" if "seconds" in name else "f4", FILL)
            variable = part.createVariable(name, kind, ("cells",), fill_value=fill)
            variable[:] = np.ma.masked_invalid(values)
            if name.startswith(("cell_tb_h", "cell_tb_v", "cell_tb_error")):
                variable.units = "Kelvin"


def observed(options: Options) -> tuple[Values, Values, Values, Values]:
    """Locations (n_columns,), degrees, labels (n_times,), and K (n_times, n_columns, 2) at these, without noise."""
    model = read_model(options.model)
    start = parse_time(options.start)
    with open_source(options.columns, model, start=start, end=start + np.timedelta64(options.days + 1, "D")) as source:
        columns, latitude, longitude = columns_of(source, model, np.dtype("float64")), source.latitude, source.longitude
        operator = make_operator("tb", Columns(model, columns.static, clay_of(source)))
    diagnostics = np.zeros((columns.n_columns, 0))
    values = np.stack(
        [
            operator.values(Situation(forcing, state, diagnostics))
            for forcing, state in zip(columns.forcing, columns.state, strict=True)
        ]
    )
    snow, soil = (
        columns.state[..., position_of(model.state, *known, "example")] for known in (("snowc", "1"), ("stl1", "K"))
    )
    return latitude, longitude, columns.times, np.where(((snow > SNOW) | (soil < CELSIUS))[..., None], np.nan, values)


def make(options: Options) -> list[Path]:
    """The files, one for each day on which columns are passed."""
    if options.directory.exists() and not options.directory.is_dir():
        raise InputError(f"{options.directory}: is a file, expected a directory for the half orbits")
    options.directory.mkdir(parents=True, exist_ok=True)
    latitude, longitude, labels, values = observed(options)
    random = np.random.default_rng(options.seed)
    row, column, cell_latitude, cell_longitude = cells_of(latitude, longitude, SPACINGS[0])
    east = (longitude + 180.0) % 360.0 - 180.0
    hours, paths = PASS_HOUR - east / 15.0, []
    for day in range(0, options.days, options.every):
        passed = labels[0] + ((24.0 * day + hours % 24.0) * 3.6e12).astype("timedelta64[ns]")
        nearest = np.argmin(np.abs(labels[:, None] - passed), axis=0)
        fields = {"cell_lat": cell_latitude, "cell_lon": cell_longitude, "cell_row": row, "cell_column": column}
        for look in LOOKS:
            later = np.timedelta64(round(3.6e12 * AFT_LATER * (look == "aft")), "ns")
            fields[f"cell_tb_time_seconds_{look}"] = (passed + later - EPOCH) / np.timedelta64(1, "s")
            fields[f"cell_boresight_incidence_{look}"] = np.full(len(east), 40.0)
            for k, letter in enumerate("hv"):
                noise = NOISE * random.normal(size=len(east))
                fields[f"cell_tb_{letter}_{look}"] = values[nearest, np.arange(len(east)), k] + noise
                fields[f"cell_tb_error_{letter}_{look}"] = np.full(len(east), NOISE)
                fields[f"cell_tb_qual_flag_{letter}_{look}"] = np.zeros(len(east))
        path = options.directory / f"made_L1C_TB_D_{np.datetime_as_string(passed.min(), 'D').replace('-', '')}.h5"
        write_half_orbit(path, fields)
        paths.append(path)
    return paths


def run(options: Options) -> None:
    """Make the files and say so."""
    paths = make(options)
    print(f"{options.directory}: {len(paths)} half orbits, {paths[0].name} to {paths[-1].name}")


main = functools.partial(execute, Options, run)

if __name__ == "__main__":
    sys.exit(main())
