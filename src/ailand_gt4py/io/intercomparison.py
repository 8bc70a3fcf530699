"""A run at one site as intercomparisons of land models take it: names, signs, clock and means of theirs.

``alma`` is the layout of PLUMBER2's files (Ukkola et al. 2022, doi:10.5194/essd-14-449-2022) with ALMA's names (Polcher
et al., ALMA data exchange convention, version 3), every step or by days. ``callmip`` is what CalLMIP's Phase 1b takes:
daily means with CMIP's names (protocol of Phase 1, version 2, sections 6 and 7, and the template beside it,
github.com/callmip-org/Phase1). Turbulent fluxes are positive upward in both, ecLand's downward. Both have a site's
local standard time, and so have the files of weather and fluxes that they go with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import netCDF4
import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.times import STANDARD, step_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_tables import LAYER_EDGES, LAYER_THICKNESS
from ailand_gt4py.io import interval_means, opening, time_labels
from ailand_gt4py.io.output import QUALITY_FLAG
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.variables import CATALOGUE

DAY = np.timedelta64(24, "h")
#: Share of a day that has to be there for its mean. A run whose windows begin at 00 UTC lacks less than a window of six
#: hours of the first and of the last local day; days of CalLMIP's observations may lack as much.
LEAST_OF_DAY = 0.75
#: What stands for a missing value, as in PLUMBER2's files.
FILL = np.float32(-9999.0)
#: Density of water, kg m-3: of depths of water in the soil and of water equivalents of snow.
_WATER = 1000.0
#: Depth of the upper soil of CMIP's ``mrsos``, m.
_UPPER_SOIL = 0.1

_LAYERS = range(1, len(LAYER_THICKNESS) + 1)


class Quantity(NamedTuple):
    """A variable of a layout, made of variables of a run.

    Attributes:
        needs: of the run, in the catalogue's units. of: makes the quantity of these, (n,) or (n, n_layers).
    """

    name: str
    long_name: str
    units: str
    standard_name: str
    needs: tuple[str, ...]
    of: Callable[..., Values]
    comment: str = ""


def _weighted(**weights: float) -> tuple[tuple[str, ...], Callable[..., Values]]:
    """A weighted sum of variables."""
    return tuple(weights), lambda *values: np.sum(
        [a * b for a, b in zip(weights.values(), values, strict=True)], axis=0
    )


def _layered(name: str, factors: tuple[float, ...]) -> tuple[tuple[str, ...], Callable[..., Values]]:
    """A variable of each soil layer times a factor."""
    return tuple(f"{name}{k}" for k in _LAYERS), lambda *values: np.stack(values, axis=1) * np.array(factors)


def _depth(water: Values, density: Values) -> Values:
    """Of snow, m, mean over the column; its density means nothing where there is none."""
    return np.where(water > 0.0, _WATER * water / np.where(water > 0.0, density, 1.0), 0.0)


_GROUND = "positive downward; net radiation less turbulent fluxes: into soil and snow"
_SNOW = "mean over the column, not over its snow"
_MASS = {f"swvl{k}": _WATER * thickness for k, thickness in zip(_LAYERS, LAYER_THICKNESS, strict=True)}
_UPPER = {"swvl1": _WATER * LAYER_EDGES[1], "swvl2": _WATER * (_UPPER_SOIL - LAYER_EDGES[1])}
_SURPLUS = dict.fromkeys(("ssr", "str", "sshf", "slhf"), 1.0)

ALMA = (
    Quantity("SWnet", "Net shortwave radiation", "W/m2", "surface_net_downward_shortwave_flux", *_weighted(ssr=1.0)),
    Quantity("LWnet", "Net longwave radiation", "W/m2", "surface_net_downward_longwave_flux", *_weighted(str=1.0)),
    Quantity("Rnet", "Net radiation", "W/m2", "surface_net_downward_radiative_flux", *_weighted(ssr=1.0, str=1.0)),
    Quantity("Qle", "Latent heat flux", "W/m2", "surface_upward_latent_heat_flux", *_weighted(slhf=-1.0)),
    Quantity("Qh", "Sensible heat flux", "W/m2", "surface_upward_sensible_heat_flux", *_weighted(sshf=-1.0)),
    Quantity("Qg", "Ground heat flux", "W/m2", "", *_weighted(**_SURPLUS), _GROUND),
    Quantity("Evap", "Total evapotranspiration", "kg/m2/s", "water_evapotranspiration_flux", *_weighted(e=-1.0)),
    Quantity("Qs", "Surface runoff", "kg/m2/s", "surface_runoff_flux", *_weighted(sro=1.0)),
    Quantity("Qsb", "Subsurface runoff", "kg/m2/s", "subsurface_runoff_flux", *_weighted(ssro=1.0)),
    Quantity("AvgSurfT", "Average surface temperature", "K", "surface_temperature", *_weighted(skt=1.0)),
    Quantity("CanopInt", "Total canopy water storage", "kg/m2", "canopy_water_amount", *_weighted(src=1.0)),
    Quantity("SWE", "Snow water equivalent", "kg/m2", "surface_snow_amount", *_weighted(sd=_WATER), _SNOW),
    Quantity("SnowDepth", "Snow depth", "m", "surface_snow_thickness", ("sd", "rsn"), _depth, _SNOW),
    Quantity("SnowFrac", "Snow covered fraction", "1", "surface_snow_area_fraction", *_weighted(snowc=1.0)),
    Quantity(
        "SoilMoist",
        "Average layer soil moisture",
        "kg/m2",
        "mass_content_of_water_in_soil_layer",
        *_layered("swvl", tuple(_MASS.values())),
    ),
    Quantity("SoilTemp", "Average layer soil temperature", "K", "soil_temperature", *_layered("stl", (1.0,) * 4)),
)

#: Those of the protocol's table 3 that ecLand's emulator has.
CALLMIP = (
    Quantity("hfls", "Latent heat flux", "W m-2", "surface_upward_latent_heat_flux", *_weighted(slhf=-1.0)),
    Quantity("hfss", "Sensible heat flux", "W m-2", "surface_upward_sensible_heat_flux", *_weighted(sshf=-1.0)),
    Quantity("hfg", "Ground heat flux", "W m-2", "", *_weighted(**_SURPLUS), _GROUND),
    Quantity("ts", "Land surface temperature", "K", "surface_temperature", *_weighted(skt=1.0)),
    Quantity(
        "mrso", "Total soil column moisture content", "kg m-2", "mass_content_of_water_in_soil", *_weighted(**_MASS)
    ),
    Quantity(
        "mrsos",
        "Moisture in upper portion of soil column",
        "kg m-2",
        "mass_content_of_water_in_soil_layer",
        *_weighted(**_UPPER),
        "0-10 cm: layer 1 and three centimetres of layer 2",
    ),
)
#: And those that it has not.
NOT_GIVEN = ("nep", "gpp", "reco", "tran", "evspsblsoi", "lai", "cLiveBioAbove", "cSoil")


@dataclasses.dataclass(frozen=True)
class SiteRun:
    """A finished run at one site.

    Attributes:
        times: (n,) datetime64[ns], UTC, labels of the windows, a step apart. latitude, longitude: degrees.
        values: name -> (n,) in the catalogue's units, NaN where missing. means: names of means over the windows.
        attributes: global ones of its file.
    """

    path: Path
    times: Values
    step: np.timedelta64
    latitude: float
    longitude: float
    values: Mapping[str, Values]
    means: frozenset[str]
    attributes: Mapping[str, str]

    @property
    def outside(self) -> str:
        """How often inputs were outside the range of the training."""
        if QUALITY_FLAG not in self.values:
            return "unknown"
        flags = self.values[QUALITY_FLAG]
        return f"{int((flags > 0).sum())} of {len(flags)} steps"


def read_run(path: Path) -> SiteRun:
    """The output of ailand-column-run at one site.

    Raises:
        InputError: another file, several sites, another calendar than the Gregorian.
    """
    dataset, _ = opening.open_file(path)
    try:
        if "model_checksum" not in dataset.attrs or "time" not in dataset.dims:
            raise InputError(f"{path}: is no output of ailand-column-run, expected one")
        what = f"{path}: variable 'time'"
        calendar = time_labels.calendar_of(dataset["time"].attrs, what)
        if calendar != STANDARD:
            raise InputError(f"{what} has the calendar '{calendar}', expected '{STANDARD}', as in the observations")
        times = time_labels.decoded(dataset["time"], what)
        steps = np.diff(times)
        if not len(steps) or (steps != steps[0]).any():
            raise InputError(f"{what} has {len(times)} labels, expected two or more, one step apart")
        n_columns = max(dataset[name].size for name in dataset.data_vars if "time" in dataset[name].dims) // len(times)
        values, means = {}, set()
        for name in map(str, dataset.data_vars):
            array = dataset[name]
            if "time" not in array.dims or (name not in CATALOGUE and name != QUALITY_FLAG):
                continue
            if array.size != len(times):
                raise InputError(
                    f"{path}: has {n_columns} columns, expected one site; ailand-column-run --points LAT,LON runs one"
                )
            values[name] = np.asarray(array.values, dtype=np.float64).reshape(-1)
            if name in CATALOGUE:
                straight = conversion(array.attrs.get("units"), CATALOGUE[name].units, f"{path}: variable '{name}'")
                values[name] = straight.apply(values[name])
            if array.attrs.get("cell_methods") == "time: mean":
                means.add(name)
        latitude, longitude = (_location(path, dataset, name) for name in ("latitude", "longitude"))
        texts = {str(name): str(value) for name, value in dataset.attrs.items()}
        return SiteRun(path, times, steps[0], latitude, longitude, values, frozenset(means), texts)
    finally:
        dataset.close()


def _location(path: Path, dataset: xr.Dataset, name: str) -> float:
    """Latitude or longitude of the only column, degrees; grids have these under the names of the run's input."""
    for one in dataset.variables:
        if dataset[one].attrs.get("standard_name") == name and dataset[one].size == 1:
            return float(np.asarray(dataset[one].values).reshape(-1)[0])
    raise InputError(f"{path}: has no variable with the standard_name '{name}' of one value, expected the site's")


class Variable(NamedTuple):
    """A variable of a file to be written."""

    name: str
    dimensions: tuple[str, ...]
    values: Values
    attributes: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class SiteFile:
    """What is written: dimensions with their lengths, variables, global attributes; lacking: what the run has not."""

    dimensions: Mapping[str, int]
    variables: tuple[Variable, ...]
    attributes: Mapping[str, str]
    lacking: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write it as a netCDF-4 file, whole or not at all.

        By netCDF4 itself: CalLMIP's template has the scalars ``lat`` and ``lon`` beside dimensions of these names,
        which xarray does not take.
        """
        with (
            whole_file(path, "writing the run at a site") as temporary,
            netCDF4.Dataset(temporary, "w", format="NETCDF4_CLASSIC") as file,
        ):
            file.setncatts(self.attributes)
            for name, length in self.dimensions.items():
                file.createDimension(name, length)
            for name, dimensions, values, attributes in self.variables:
                fill = FILL if values.dtype == np.float32 else None
                variable = file.createVariable(name, values.dtype, dimensions, fill_value=fill, zlib=values.ndim > 0)
                variable.setncatts({key: text for key, text in attributes.items() if text})
                variable[...] = np.where(np.isfinite(values), values, FILL) if fill is not None else values


def _quantity(run: SiteRun, quantity: Quantity, starts: Values | None) -> tuple[Values, bool]:
    """(n,) or (n, n_layers) float32 of a quantity, and whether it is a mean: every step, or over days that begin so."""
    is_mean = set(quantity.needs) <= run.means
    values = np.asarray(quantity.of(*(run.values[name] for name in quantity.needs)))
    if starts is None:
        return values.astype(np.float32), is_mean
    flat = values.reshape(len(values), -1)
    if is_mean:
        found = interval_means.of_means(run.times, run.step, flat, starts, DAY, LEAST_OF_DAY)
    else:
        found = interval_means.of_instants(run.times, flat, starts, DAY, LEAST_OF_DAY)
    return found.reshape(len(starts), *values.shape[1:]).astype(np.float32), True


def local_days(run: SiteRun, offset: float) -> Values:
    """Beginnings, UTC, of the days by a clock `offset` hours before UTC of which enough is there.

    Raises:
        InputError: there is none.
    """
    ahead = np.timedelta64(round(3600.0 * offset), "s")
    first, end = run.times[0] + ahead, run.times[-1] + run.step + ahead
    days = np.arange(first.astype("datetime64[D]"), end.astype("datetime64[D]") + 1).astype("datetime64[ns]")
    covered = np.minimum(days + DAY, end) - np.maximum(days, first)
    days = days[covered >= LEAST_OF_DAY * DAY]
    if not len(days):
        raise InputError(
            f"{run.path}: its {len(run.times)} steps of {step_text(run.step)} have no day by the clock UTC{offset:+g} "
            f"of which {LEAST_OF_DAY:g} is there, expected one or more"
        )
    return np.asarray(days - ahead)


def _made(
    run: SiteRun, quantities: tuple[Quantity, ...], starts: Values | None, axes: tuple[str, ...]
) -> tuple[list[Variable], tuple[str, ...]]:
    """Variables of a layout along time, layers and axes of length 1, and names of those that the run lacks."""
    made, lacking = [], []
    for one in quantities:
        if missing := [name for name in one.needs if name not in run.values]:
            lacking.append(f"{one.name} ({', '.join(missing)})")
            continue
        values, is_mean = _quantity(run, one, starts)
        dimensions = ("time", *("soil_layer",) * (values.ndim - 1), *axes)
        attributes = {
            "units": one.units,
            "long_name": one.long_name,
            "standard_name": one.standard_name,
            "cell_methods": "time: mean" if is_mean else "time: point",
            "comment": one.comment,
        }
        made.append(Variable(one.name, dimensions, values.reshape(*values.shape, *(1,) * len(axes)), attributes))
    if not made:
        raise InputError(f"{run.path}: has none of {', '.join(one.name for one in quantities)}, expected some")
    return made, tuple(lacking)


def _located(name: str, units: str, value: float, dimensions: tuple[str, ...], short: str = "") -> Variable:
    shape = (1,) * len(dimensions)
    return Variable(
        short or name,
        dimensions,
        np.full(shape, value, dtype=np.float64),
        {"units": units, "long_name": name, "standard_name": name},
    )


def alma(run: SiteRun, offset: float, daily: bool, attributes: Mapping[str, str]) -> SiteFile:
    """As PLUMBER2's files: (time, y, x), labels at the starts of windows or days, local standard time.

    Args:
        offset: hours of the clock before UTC. attributes: global ones.

    Raises:
        InputError: no day of enough hours, or none of ALMA's quantities.
    """
    starts = local_days(run, offset) if daily else None
    made, lacking = _made(run, ALMA, starts, ("y", "x"))
    local = (run.times if starts is None else starts) + np.timedelta64(round(3600.0 * offset), "s")
    length = DAY if daily else run.step
    edges = np.array(LAYER_EDGES)
    time = {
        "units": f"seconds since {str(local[0].astype('datetime64[s]')).replace('T', ' ')}",
        "long_name": f"time, local standard time (UTC{offset:+g}), start of {step_text(length)}",
        "standard_name": "time",
        "calendar": "standard",
    }
    layers = [
        Variable("soil_layer", ("soil_layer",), np.array(_LAYERS, dtype=np.int32), {"long_name": "soil layer"}),
        Variable(
            "SoilThick",
            ("soil_layer",),
            np.diff(edges).astype(np.float32),
            {"units": "m", "long_name": "thickness of the soil layers"},
        ),
    ]
    has_layers = any("soil_layer" in one.dimensions for one in made)
    variables = (
        Variable("time", ("time",), (local - local[0]) / np.timedelta64(1, "s"), time),
        _located("latitude", "degrees_north", run.latitude, ("y", "x")),
        _located("longitude", "degrees_east", run.longitude, ("y", "x")),
        *(layers if has_layers else ()),
        *made,
    )
    dimensions = {"time": len(local), "y": 1, "x": 1, **({"soil_layer": len(_LAYERS)} if has_layers else {})}
    return SiteFile(dimensions, variables, attributes, lacking)


def callmip(run: SiteRun, offset: float, attributes: Mapping[str, str]) -> SiteFile:
    """As CalLMIP's template of Phase 1b: daily, (time, lat, lon), the middles of local days since the first of them.

    Args:
        offset: hours of the clock before UTC. attributes: global ones.

    Raises:
        InputError: no day of enough hours, or none of the quantities.
    """
    starts = local_days(run, offset)
    made, lacking = _made(run, CALLMIP, starts, ("lat", "lon"))
    first = (starts[0] + np.timedelta64(round(3600.0 * offset), "s")).astype("datetime64[D]")
    time = {
        "units": f"days since {first} 00:00:00",
        "long_name": f"time, local standard time (UTC{offset:+g}), middle of the day",
        "standard_name": "time",
        "calendar": "standard",
    }
    variables = (
        Variable("time", ("time",), np.arange(len(starts)) + 0.5, time),
        _located("latitude", "degrees_north", run.latitude, (), "lat"),
        _located("longitude", "degrees_east", run.longitude, (), "lon"),
        _located("latitude", "degrees_north", run.latitude, ("lat",)),
        _located("longitude", "degrees_east", run.longitude, ("lon",)),
        *(one._replace(attributes={**one.attributes, "coordinates": "latitude longitude"}) for one in made),
    )
    return SiteFile({"lon": 1, "lat": 1, "time": len(starts)}, variables, attributes, lacking)
