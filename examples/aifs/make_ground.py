"""Make the land's file for AIFS: static fields, leaf area and first state of the land points of its own grid.

    python make_ground.py --fields FIELDS [--fields ...] --date DATE -o ground.nc [--grid GRID] [--columns COLUMNS]

FIELDS are fields of ERA5 or of AIFS's own input by ECMWF's short names (``lsm``, ``z``, ``cvh``, ``slt``, ``swvl1``,
...), GRIB or netCDF, on the atmosphere's grid or another one, of which the nearest point with a value is taken. What
they lack comes, at the nearest column, from COLUMNS, a file in ec-land-db's layout; what follows from others is derived
as by ``ailand-column-run``. Nothing is written unless the land model could start on it.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from ailand_gt4py.cli.status import execute
from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.core.times import parse_time, step_of, time_text
from ailand_gt4py.integration.hosts.anemoi.atmosphere import nearest
from ailand_gt4py.integration.hosts.anemoi.weather import FIELDS, WindowWeather
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.field_reader import FieldReader
from ailand_gt4py.io.first_guess import MODES, Gaps
from ailand_gt4py.io.ground_albedo import NAME as ALBEDO
from ailand_gt4py.io.quality import Inspector, expectation, possible_range
from ailand_gt4py.io.sources import Request
from ailand_gt4py.io.sources.column_file import ColumnFileSource
from ailand_gt4py.io.units import conversion
from ailand_gt4py.io.ways import WAYS
from ailand_gt4py.io.whole_files import columns, field, time_labels, write_netcdf
from ailand_gt4py.weights.checkpoints import read_model_or_checkpoint
from ailand_gt4py.weights.model import Model, Template, Variable
from ailand_gt4py.weights.nodes import is_of_node
from ailand_gt4py.weights.variables import CATALOGUE

logger = logging.getLogger("ailand_gt4py")

#: The land's name -> ECMWF's short name, where that differs; open data call ``stl1`` ``sot`` of level 1.
SHORT_NAMES = {
    **{f"clim_{name}": name for name in ("cvh", "cvl", "tvh", "tvl", "sdor")},
    "clim_sotype": "slt", "clim_geopot": "z", "clim_clake": "cl", "clim_cu": "cur", "met_tair": "2t",
}  # fmt: skip
OF_LEVELS = {"sot": "stl", "vsw": "swvl"}
#: netCDF files of ERA5 call these otherwise.
OTHER_NAMES = {"t2m": "2t"}
SAME_POINT = 0.01
#: Of ecLand's files and AIFS's steps.
WINDOW_SECONDS = 21_600.0


class Options(CommandOptions):
    """
    Make the land's file for AIFS: static fields, leaf area and first state of the land points of its grid.
    """

    program: ClassVar[str] = "make_ground.py"

    fields: tuple[File, ...] = option(
        ..., "GRIB or netCDF by ECMWF's short names, lsm among them; as often as there are files", metavar="FILE",
        repeated=True,
    )  # fmt: skip
    date: str = option(..., "start of the forecast, UTC")
    output: File = option(..., "file to write", "-o", metavar="GROUND.nc")
    grid: str | None = option(
        None,
        "the atmosphere's grid: its checkpoint (.ckpt), an octahedral grid (o96), or a file with latitudes and "
        "longitudes; default: that of the first of the fields",
    )
    columns: File | None = option(None, "file in ec-land-db's layout for what the fields lack", metavar="COLUMNS.nc")
    model: File | None = option(None, "land model or checkpoint (.ckpt); default: the model in the package")
    within: float = option(1.0, "how far the nearest point or column may be, degrees", ge=0.0)
    overwrite: bool = option(False, "replace an existing file")


@dataclasses.dataclass(frozen=True)
class Field:
    """A field on points: latitude and longitude in degrees, time None where it has none."""

    path: Path
    name: str
    units: str
    time: np.datetime64 | None
    values: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray


def read_fields(path: Path) -> Iterator[Field]:
    """All fields of a GRIB or netCDF file, by ECMWF's short names."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a GRIB or netCDF file")
    with path.open("rb") as file:
        is_grib = file.read(4) == b"GRIB"
    try:
        yield from _read_grib(path) if is_grib else _read_netcdf(path)
    except InputError:
        raise
    except Exception as error:  # whatever the libraries make of another file
        raise InputError(f"{path}: cannot be read ({reason(error)}); expected a GRIB or netCDF file") from error


def _read_grib(path: Path) -> Iterator[Field]:
    try:
        import earthkit.data as ekd
    except ImportError as error:
        raise InputError(f"{path}: GRIB needs earthkit-data, expected: pip install 'ailand_gt4py[anemoi]'") from error
    for one in ekd.from_source("file", str(path)):
        name, where = one.metadata("shortName"), one.to_latlon(flatten=True)
        if name in OF_LEVELS:
            name = f"{OF_LEVELS[name]}{one.metadata('level')}"
        time = np.datetime64(one.metadata("valid_datetime"), "ns")
        values = one.to_numpy(flatten=True, dtype=np.float64)
        yield Field(path, name, str(one.metadata("units")), time, values, where["lat"], where["lon"])


def _coordinate(data: xr.Dataset, path: Path, *names: str) -> xr.DataArray:
    for name in names:
        if name in data.variables:
            return data[name]
    raise InputError(f"{path}: found no variable {' or '.join(map(repr, names))}, expected where its points are")


def _read_netcdf(path: Path) -> Iterator[Field]:
    with xr.open_dataset(path, engine="netcdf4") as data:
        latitude = _coordinate(data, path, "latitude", "lat", "latitudes")
        longitude = _coordinate(data, path, "longitude", "lon", "longitudes")
        on_grid = latitude.dims != longitude.dims
        points = (*latitude.dims, *longitude.dims) if on_grid else latitude.dims
        lat, lon = np.meshgrid(latitude, longitude, indexing="ij") if on_grid else (latitude.values, longitude.values)
        where = np.asarray(lat, np.float64).reshape(-1), np.asarray(lon, np.float64).reshape(-1)
        for name, array in data.data_vars.items():
            if not set(points) <= set(array.dims) or array.dtype.kind not in "fiu":
                continue
            array = array.squeeze([one for one in array.dims if one not in points and array.sizes[one] == 1])
            others = [one for one in array.dims if one not in points]
            times = next((data[one] for one in ("time", "valid_time") if one in array.coords), None)
            if len(others) > 1 or (others and (times is None or times.dims != tuple(others))):
                raise InputError(f"{path}: variable '{name}' has the dimensions {array.dims}, expected time and points")
            known = [None] if times is None else np.atleast_1d(times.values).astype("datetime64[ns]")
            stacked = array.transpose(*others, *points).values.reshape(len(known), -1).astype(np.float64)
            for time, values in zip(known, stacked, strict=True):
                short = OTHER_NAMES.get(str(name), str(name))
                yield Field(path, short, str(array.attrs.get("units", "")), time, values, *where)


def octahedral(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes, degrees, of ECMWF's grid O``number``: Gaussian latitudes with 20 + 4 i points."""
    sines = -np.polynomial.legendre.leggauss(2 * number)[0]
    rows = [16 + 4 * k for k in (*range(1, number + 1), *range(number, 0, -1))]
    latitude = np.repeat(np.rad2deg(np.arcsin(sines)), rows)
    return latitude, np.concatenate([np.arange(n) * 360.0 / n for n in rows])


def read_grid(grid: str | None, first: Field) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes of the atmosphere's points, degrees."""
    if grid is None:
        return first.latitude, first.longitude
    found = re.fullmatch(r"[oO]([1-9][0-9]{0,3})", grid)
    if found:
        return octahedral(int(found[1]))
    if grid.endswith(".ckpt"):
        from ailand_gt4py.integration.hosts.anemoi.task import read_atmosphere

        _, points = read_atmosphere(Path(grid), {})
        return points
    if re.fullmatch(r"[nN][0-9]+", grid):
        raise InputError(f"grid: found '{grid}', of which no formula gives the points, expected a checkpoint or a file")
    one = next(read_fields(Path(grid)), None)
    if one is None:
        raise InputError(f"{grid}: has no field, expected one on the atmosphere's grid")
    return one.latitude, one.longitude


class Given:
    """What the fields have at a date, at the land points of the atmosphere's grid."""

    def __init__(self, options: Options) -> None:
        self._date = parse_time(options.date)
        self._within, self._files = options.within, ", ".join(map(str, options.fields))
        self._fields: dict[str, list[Field]] = {}
        for path in options.fields:
            for one in read_fields(path):
                self._fields.setdefault(one.name, []).append(one)
        if not self._fields:
            raise InputError(f"{self._files}: have no field, expected some by ECMWF's short names")
        first = next(iter(self._fields.values()))[0]
        self.latitude, self.longitude = read_grid(options.grid, first)
        self._is_at_land = False
        lsm = self._at_points("lsm", is_static=True)
        if lsm is None:
            raise InputError(f"{self._files}: field 'lsm' is missing, expected it: it says which points are land")
        self.points = np.flatnonzero(lsm > 0.5)
        if not self.points.size:
            raise InputError(f"{self._files}: field 'lsm' is nowhere more than 0.5, expected land")
        self.latitude, self.longitude = self.latitude[self.points], self.longitude[self.points]
        self._is_at_land = True

    def __contains__(self, name: str) -> bool:
        return SHORT_NAMES.get(name, name) in self._fields

    def unused(self, names: Sequence[str]) -> list[str]:
        """Fields that are none of the land's variables."""
        return sorted(self._fields.keys() - {"lsm"} - {SHORT_NAMES.get(name, name) for name in names})

    def values(self, name: str, units: str, *, is_static: bool) -> np.ndarray:
        """(n_land,) of one of the land's variables, in a unit."""
        short = SHORT_NAMES.get(name, name)
        values = self._at_points(short, is_static=is_static)
        assert values is not None
        one = self._fields[short][0]
        # A class has no unit, whatever GRIB's tables call it.
        found = units if name in CATALOGUE and CATALOGUE[name].is_class else one.units or units
        values = conversion(found, units, f"{one.path}: '{short}'").apply(values)
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            raise InputError(
                f"{one.path}: field '{short}' is {values[wrong[0]]:g} at the land point {self.latitude[wrong[0]]:.2f} "
                f"N, {self.longitude[wrong[0]]:.2f} E ({wrong.size} of {values.size}), expected finite numbers"
            )
        return values

    def _at_points(self, short: str, *, is_static: bool) -> np.ndarray | None:
        found = self._fields.get(short)
        if found is None:
            return None
        of_date = [one for one in found if one.time is None or one.time == self._date]
        one = (of_date or (found if is_static else [None]))[0]
        if one is None:
            times = ", ".join(sorted({time_text(one.time) for one in found if one.time is not None})[:4])
            raise InputError(f"{found[0].path}: field '{short}' is of {times}, expected {time_text(self._date)}")
        usable = np.arange(len(one.values))
        if self._is_at_land and not self._is_on_grid(one):
            usable = np.flatnonzero(np.isfinite(one.values))
        points, degrees = nearest(self.latitude, self.longitude, one.latitude[usable], one.longitude[usable])
        worst = int(np.argmax(degrees))
        require_near(
            f"{one.path}: '{short}'", degrees[worst], self._within, self.latitude[worst], self.longitude[worst]
        )
        return one.values[usable][points]

    def _is_on_grid(self, one: Field) -> bool:
        return bool(nearest(self.latitude, self.longitude, one.latitude, one.longitude)[1].max() <= SAME_POINT)


def require_near(what: str, degrees: float, within: float, latitude: float, longitude: float) -> None:
    """Check that the nearest point or column is not far."""
    if degrees > within:
        raise InputError(
            f"{what}: the nearest to {latitude:.2f} N, {longitude:.2f} E is {degrees:.3g} degrees away, expected at "
            f"most {within:g} (--within)"
        )


class Columns:
    """What a file of columns has at a date, at the columns that are nearest to points."""

    def __init__(self, file: ColumnFile, date: np.datetime64, given: Given, within: float) -> None:
        self._file, self._date = file, date
        self._labels = self._file.times()
        self._inspector = Inspector(self._file.labels(), WINDOW_SECONDS)
        reader = self._reader(0)
        where = reader.coordinate("lat", -90.0, 90.0), reader.coordinate("lon", -180.0, 360.0)
        self._nearest, degrees = nearest(given.latitude, given.longitude, *where)
        worst = int(np.argmax(degrees))
        require_near(f"{file.path}: columns", degrees[worst], within, given.latitude[worst], given.longitude[worst])
        self.farthest = float(degrees[worst])

    def _reader(self, first: int) -> FieldReader:
        return FieldReader(
            self._file, self._labels, step_of(WINDOW_SECONDS), first, 1, self._inspector, Gaps(self.__contains__)
        )

    def __contains__(self, name: str) -> bool:
        return self._file.find(name) is not None

    def values(self, name: str, units: str, *, is_static: bool) -> np.ndarray:
        """(n_land,) of a variable, in a unit."""
        labels = np.flatnonzero(self._labels == self._date) if not is_static else np.zeros(1, dtype=int)
        if not labels.size:
            first, last = (time_text(label) for label in self._labels[[0, -1]])
            raise InputError(
                f"{self._file.path}: '{name}' is needed at {time_text(self._date)}; the file has {first} to {last}, "
                "expected a label then"
            )
        return self._reader(int(labels[0])).field(name, units, is_static=is_static)[self._nearest]


def wanted_of(model: Model) -> tuple[list[Variable], list[Variable]]:
    """Static variables, and those of a time, that the land needs beside AIFS's weather or that these follow from."""
    static = [one for one in model.static if not is_of_node(one.name)]
    timed = [*WindowWeather(model.forcing, FIELDS, True).prescribed]
    timed += [one for one in model.state if not one.is_previous]
    names = {one.name for one in (*static, *timed)}
    for name in [*names]:
        for needed in MODES[name].needs if name in MODES else ():
            if needed not in names:
                names.add(needed)
                one = CATALOGUE[needed].variable()
                (static if one.time_meaning == "static" else timed).append(one)
    return static, timed


def gather(options: Options, model: Model) -> tuple[xr.Dataset, list[str]]:
    """The land's file, and where what is in it comes from."""
    given, date = Given(options), parse_time(options.date)
    if options.columns is None:
        return gathered(options, model, given, None)
    with ColumnFile(options.columns) as file:
        return gathered(options, model, given, Columns(file, date, given, options.within))


def gathered(options: Options, model: Model, given: Given, others: Columns | None) -> tuple[xr.Dataset, list[str]]:
    """What `gather` gives, from the fields and from the columns, if there are any."""
    date = parse_time(options.date)
    data = xr.Dataset(columns(given.points, given.latitude, given.longitude))
    data["time"] = time_labels(np.array([date]), "start of the forecast")
    of_columns = []
    static, timed = wanted_of(model)
    for one in (*static, *timed):
        is_static, name = one in static, one.name
        way = MODES.get(name)
        if name in given:
            values = given.values(name, one.units, is_static=is_static)
        elif way is not None and not way.waves and all(needed in given for needed in way.inputs):
            continue  # follows from the fields themselves
        elif others is not None and name in others:
            values = others.values(name, one.units, is_static=is_static)
            of_columns.append(name)
        else:
            continue
        require_possible(one, values, given)
        values = values.astype(np.float32)
        data[name] = field(("x",) if is_static else ("time", "x"), values if is_static else values[None], one.long_name,
                           one.units, **({} if is_static else {"cell_methods": "time: point"}))  # fmt: skip
    notes = [f"Fields of {', '.join(map(str, options.fields))} at {len(given.points)} land points."]
    (guess,) = WAYS[ALBEDO]
    if any(one.name == ALBEDO for one in timed) and ALBEDO not in data and all(name in data for name in guess.inputs):
        albedo = guess.function({name: data[name].values for name in guess.inputs}, ALBEDO).astype(np.float32)
        data[ALBEDO] = field(("time", "x"), albedo[None], "albedo of the ground without snow", "1",
                             cell_methods="time: point")  # fmt: skip
        notes.append(f"First guess by {guess.how}: {ALBEDO}.")
    unused = given.unused([one.name for one in (*static, *timed)])
    if unused:
        notes.append(f"Fields that the land has no use for: {', '.join(unused)}.")
    if others is not None and of_columns:
        notes.append(
            f"Of the nearest column of {options.columns}, {others.farthest:.2g} degrees away at most: "
            f"{', '.join(of_columns)}."
        )
    return data, notes


def require_possible(variable: Variable, values: np.ndarray, given: Given) -> None:
    """Check that values can be in their unit, so that no file says a wrong one."""
    low, high = possible_range(variable)
    wrong = np.flatnonzero(~((values >= low) & (values <= high)) & ~(np.isnan(values) & variable.is_imputed))
    if wrong.size:
        k = int(wrong[0])
        raise InputError(
            f"{variable.name} is {values[k]:g} at {given.latitude[k]:.2f} N, {given.longitude[k]:.2f} E ({wrong.size} "
            f"of {values.size} land points), {expectation(variable, float(values[k]))}"
        )


def run(options: Options) -> None:
    """Make the file, whole or not at all."""
    if options.output.exists() and not options.overwrite:
        raise InputError(f"{options.output}: exists; expected a new name, or --overwrite")
    model = read_model_or_checkpoint(options.model)
    model.require_physical(str(options.model))
    data, notes = gather(options, model)
    static = tuple(one for one in model.static if not is_of_node(one.name))
    prescribed = WindowWeather(model.forcing, FIELDS, True).prescribed
    template = Template(static, prescribed, model.state, (), model.step_seconds)
    # As the coupling will read it: what is missing shows here.
    inputs = Path(" and ".join(map(str, (*options.fields, *([options.columns] if options.columns else [])))))
    with ColumnFileSource(inputs, Request(template), ColumnFile(inputs, data)) as source:
        notes += source.history
    data.attrs = {
        "Conventions": "CF-1.11",
        "title": "land of AIFS at the start of a forecast",
        "history": "\n".join(notes),
    }
    write_netcdf(options.output, data, "writing the land's file")
    for sentence in notes:
        logger.info(sentence)
    logger.info("written: %s", options.output)


main = functools.partial(execute, Options, run)

if __name__ == "__main__":
    sys.exit(main())
