"""What no tower measures, for a run on its weather alone: vegetation by land cover, soil, and a state to begin with.

Only for a site whose land cover is known (``igbp_class``), only what no file has, and all of it said. The soil's state
is a guess that a model forgets over months (deep layers over years): a spin-up or a file with a state is better.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import snow, soil_tables
from ailand_gt4py.ecland.land_cover import CLASSES
from ailand_gt4py.io.blocks import YEAR
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.first_guess import DAMPING_DEPTH, wave_below
from ailand_gt4py.io.site import Site
from ailand_gt4py.weights.model import ModelVariables
from ailand_gt4py.weights.variables import CATALOGUE

TIME = "time"
#: Conventions of files of towers.
TOWERS = {"PLUMBER2", "FLUXNET", "FSM", "HRLDAS"}
#: Texture class where nobody tells it: medium, the commonest on land.
SOIL_TYPE = 2
#: Standard deviation of the orography around a site, m: gently rolling land.
ROUGHNESS = 20.0
#: Net radiation as part of the short wave that comes down, and heat of vaporisation, J kg-1: how much could evaporate.
NET_PART, VAPORISATION_HEAT = 0.6, 2.5e6
#: Without a whole year of weather, days from the start on whose mean air temperature the soil has.
DAYS = 30
#: Middles of the soil layers, m.
DEPTHS = tuple(
    sum(soil_tables.LAYER_THICKNESS[:layer]) + 0.5 * one for layer, one in enumerate(soil_tables.LAYER_THICKNESS)
)


def completed(fields: Fields, model: ModelVariables, site: Site, with_state: bool) -> Fields:
    """Fields of the model's windows at a site, with what no file has of its soil, vegetation and state.

    Args:
        site: what the user tells of it. with_state: whether a state to begin with is wanted.

    Raises:
        InputError: a class of land cover for which ecLand has no vegetation, or a tower's files that tell neither land
            cover nor vegetation, or have no long-wave radiation, with the option that helps.
    """
    if site.soil_type is not None:
        fields = _told_soil(fields, site.soil_type)
    if fields.dataset.sizes["x"] > 1:
        return fields
    if TOWERS & set(fields.convention.split(", ")):
        _require_told(fields, model, site)
    if "igbp_class" not in fields.dataset:
        return fields
    number = int(np.asarray(fields.dataset["igbp_class"].values).reshape(-1)[0])
    if number not in CLASSES:
        raise InputError(f"{fields.what('igbp_class')} is {number}, expected one of {', '.join(map(str, CLASSES))}")
    data, notes = fields.dataset, list(fields.notes)
    for names, values, note in _ground(number):
        missing = [name for name in names if name not in data]
        if "clim_theta_sat" in data and names == ("clim_sotype",):
            continue
        data = _with(data, {name: values[names.index(name)] for name in missing})
        if missing:
            notes.append(f"Not in the input, first guess: {', '.join(missing)}: {note}.")
    wanted = {variable.name for variable in model.state} if with_state else set[str]()
    for kind in (_soil_water, _soil_temperatures, _snow):
        guesses, note = kind(data)
        missing = [name for name in guesses if name in wanted and name not in data]
        data = _with(data, {name: guesses[name] for name in missing})
        if missing:
            notes.append(f"Not in the input, first guess for the start: {', '.join(missing)}: {note}.")
    return dataclasses.replace(fields, dataset=data, notes=notes)


def _require_told(fields: Fields, model: ModelVariables, site: Site) -> None:
    """Name the option that gives what a tower's files lack."""
    needed = {variable.name for variable in (*model.static, *model.forcing)}
    missing = needed - {str(name) for name in fields.dataset.data_vars}
    if {"clim_tvl", "clim_tvh"} & missing and "igbp_class" not in fields.dataset:
        classes = ", ".join(one.short for one in CLASSES.values())
        raise InputError(
            f"{fields.path}: does not tell the vegetation of the site; expected --land-cover CLASS (IGBP: {classes}), "
            "or a file of the site beside it with types and covers (clim_tvl, clim_cvl, ...)"
        )
    if "met_lwdown" in missing and not site.estimates_longwave:
        raise InputError(
            f"{fields.path}: has no downward long-wave radiation; expected it there or in a file beside it, or "
            "--estimate-longwave"
        )


def _told_soil(fields: Fields, soil_type: int) -> Fields:
    if "clim_sotype" in fields.dataset:
        found = float(np.asarray(fields.dataset["clim_sotype"].values).reshape(-1)[0])
        if found != soil_type:
            raise InputError(f"option --soil-type: found {soil_type}, but {fields.what('clim_sotype')} is {found:g}")
        return fields
    data = _with(fields.dataset, {"clim_sotype": float(soil_type)})
    return dataclasses.replace(fields, dataset=data, notes=[*fields.notes, f"clim_sotype: {soil_type}, as told."])


def _with(data: xr.Dataset, values: dict[str, float]) -> xr.Dataset:
    """With more variables, the same in all columns."""
    n_columns = data.sizes["x"]
    new = {
        name: ("x", np.full(n_columns, float(value)), {"units": CATALOGUE[name].units})
        for name, value in values.items()
    }
    return data.assign(new)


def _ground(number: int) -> list[tuple[tuple[str, ...], tuple[float, ...], str]]:
    """Names, values and reason of what does not change in time."""
    one = CLASSES[number]
    types = ("clim_tvh", "clim_cvh", "clim_tvl", "clim_cvl")
    covers = (one.high_type, one.high_cover, one.low_type, one.low_cover)
    return [
        (types, covers, f"by the land cover {one.short} ({one.name}, IGBP)"),
        (("clim_sotype",), (SOIL_TYPE,), f"{soil_tables.SOILS[SOIL_TYPE].name} soil (--soil-type tells another)"),
        (("clim_clake",), (0.0,), "no lake"),
        (("clim_sdor",), (ROUGHNESS,), f"gently rolling land, {ROUGHNESS:g} m"),
    ]


def _soil_water(data: xr.Dataset) -> tuple[dict[str, float], str]:
    """Of the water that plants can take the part that the climate keeps there, by Budyko's index of dryness."""
    if not {"met_swdown", "met_precipitation"} <= set(data.data_vars) and not {"met_swdown", "met_rainf"} <= set(data):
        return {}, ""
    first_year = data[TIME].values < data[TIME].values[0] + YEAR
    names = ["met_precipitation"] if "met_precipitation" in data else ["met_rainf", "met_snowf"]
    rain = sum(_mean(data[name], first_year) for name in names if name in data)
    could = NET_PART * _mean(data["met_swdown"], first_year) / VAPORISATION_HEAT
    part = min(rain / max(could, 1e-12), 1.0)
    known = "clim_sotype" in data
    soil = np.array([int(np.asarray(data["clim_sotype"].values).reshape(-1)[0]) if known else SOIL_TYPE])
    wilting, capacity = (float(soil_tables.soil_values(one, soil)[0]) for one in ("wilting_point", "field_capacity"))
    water = wilting + part * (capacity - wilting)
    return {f"swvl{layer}": water for layer in range(1, 5)}, (
        f"{part:.2f} of the water that plants can take, as precipitation is of what the net radiation, {NET_PART:g} of "
        "the short wave, could evaporate (Budyko 1974, Climate and Life; over the first year at most)"
    )


def _mean(array: xr.DataArray, chosen: Values) -> float:
    return float(np.nanmean(np.asarray(array.values, dtype=np.float64)[chosen]))


def _soil_temperatures(data: xr.Dataset) -> tuple[dict[str, float], str]:
    """Of the soil under a damped wave of the air's temperature, or the mean of what there is."""
    if "met_tair" not in data:
        return {}, ""
    air = np.asarray(data["met_tair"].values, dtype=np.float64)[:, 0]
    times = data[TIME].values
    found = _annual_wave(times, air)
    if found is None:
        days = np.timedelta64(DAYS, "D")
        mean = float(np.nanmean(air[times < times[0] + days]))
        note = f"mean of the air over the first {DAYS} days, there being no whole year"
        return {f"stl{layer}": mean for layer in range(1, 5)}, note
    mean, wave = found
    values = {f"stl{layer}": mean + (wave * wave_below(depth)).real for layer, depth in enumerate(DEPTHS, start=1)}
    return values, (
        f"mean and damped annual wave of the air (Carslaw and Jaeger 1959; damping depth {DAMPING_DEPTH:g} m)"
    )


def _annual_wave(times: Values, values: Values) -> tuple[float, complex] | None:
    """Mean and first harmonic of the first year, as its value at the start; None where there is no whole year."""
    count = int(np.searchsorted(times, times[0] + YEAR))
    if (
        times[-1] - times[0] + (times[1] - times[0] if len(times) > 1 else YEAR * 0) < YEAR
        or not np.isfinite(values[:count]).all()
    ):
        return None
    angle = (times[:count] - times[0]) / YEAR * (2.0 * math.pi)
    mean = float(values[:count].mean())
    return mean, complex(2.0 * np.mean((values[:count] - mean) * np.exp(-1j * angle)))


def _snow(data: xr.Dataset) -> tuple[dict[str, float], str]:
    """None, or of the amount that is known the density that its cover follows from."""
    if "sd" not in data:
        return snow.NO_SNOW | {"slw": 0.0}, "no snow"
    water = float(np.asarray(data["sd"].values).reshape(-1)[0])
    return {"rsn": float(snow.density(water))}, "the middle of the range for seasonal snow, or as without snow"
