"""What no tower measures and weather alone lacks: vegetation by land cover, soil; only what no file has, and said.

For a site whose land cover is known (``igbp_class``), and for all columns where the user tells it or wants a first
guess of the state, which is guessed of the climate then (`io.first_guess`).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import soil_tables
from ailand_gt4py.ecland.land_cover import CLASSES, number_of
from ailand_gt4py.io.derive import whole_types
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.site import Site
from ailand_gt4py.weights.model import ModelVariables
from ailand_gt4py.weights.variables import CATALOGUE

#: Conventions of files of towers.
TOWERS = {"PLUMBER2", "FLUXNET", "FSM", "HRLDAS"}
#: Texture class where nobody tells it: medium, the commonest on land.
SOIL_TYPE = 2


def completed(fields: Fields, model: ModelVariables, site: Site, guesses_ground: bool) -> Fields:
    """Fields of the model's windows with what no file has of soil and vegetation.

    Args:
        site: what the user tells of it. guesses_ground: whether soil is guessed where no land cover is known.

    Raises:
        InputError: a class of land cover for which ecLand has no vegetation, or a tower's files that tell neither land
            cover nor vegetation, or have no long-wave radiation, with the option that helps.
    """
    if site.soil_type is not None:
        fields = _told_soil(fields, site.soil_type)
    if TOWERS & set(fields.convention.split(", ")):
        _require_told(fields, model, site)
    if site.igbp is not None and "igbp_class" not in fields.dataset:
        told = _with(fields.dataset, {"igbp_class": float(number_of(site.igbp))})
        fields = dataclasses.replace(fields, dataset=told)
    guesses = _vegetation(fields) if "igbp_class" in fields.dataset else []
    if guesses or guesses_ground:
        guesses += _ground(fields)
    notes = list(fields.notes)
    for values, note in guesses:
        missing = [name for name in values if name not in fields.dataset]
        fields = dataclasses.replace(fields, dataset=_with(fields.dataset, {name: values[name] for name in missing}))
        if missing:
            notes.append(f"Not in the input, first guess: {', '.join(missing)}: {note}.")
    return dataclasses.replace(fields, notes=notes)


def _require_told(fields: Fields, model: ModelVariables, site: Site) -> None:
    """Name the option that gives what a tower's files lack."""
    needed = {variable.name for variable in (*model.static, *model.forcing)}
    missing = needed - {str(name) for name in fields.dataset.data_vars}
    if {"clim_tvl", "clim_tvh"} & missing and "igbp_class" not in fields.dataset:
        classes = ", ".join(one.short for one in CLASSES.values())
        raise InputError(
            f"{fields.path}: does not give the vegetation of the site; expected --land-cover CLASS (IGBP: {classes}), "
            "or a file of the site beside it with types and covers (clim_tvl, clim_cvl, ...)"
        )
    if "met_lwdown" in missing and not site.estimates_longwave:
        raise InputError(
            f"{fields.path}: has no downward long-wave radiation; expected it there or in a file beside it, or "
            "--estimate-longwave"
        )


def _told_soil(fields: Fields, soil_type: int) -> Fields:
    if "clim_sotype" in fields.dataset:
        found = np.asarray(fields.dataset["clim_sotype"].values).reshape(-1)
        other = found[found != soil_type]
        if other.size:
            raise InputError(f"option --soil-type: found {soil_type}, but {fields.what('clim_sotype')} is {other[0]:g}")
        return fields
    data = _with(fields.dataset, {"clim_sotype": float(soil_type)})
    return dataclasses.replace(fields, dataset=data, notes=[*fields.notes, f"clim_sotype: {soil_type}, as told."])


def _with(data: xr.Dataset, values: dict[str, float | Values]) -> xr.Dataset:
    """With more variables of the columns, each the same in all of them or (n_columns,)."""
    n_columns = data.sizes["x"]
    new = {
        name: ("x", np.broadcast_to(np.float64(value), n_columns).copy(), {"units": CATALOGUE[name].units})
        for name, value in values.items()
    }
    return data.assign(new)


def _vegetation(fields: Fields) -> list[tuple[dict[str, float | Values], str]]:
    """Types and covers by the land cover of each column, and why."""
    found = np.asarray(fields.dataset["igbp_class"].values, dtype=np.float64).reshape(-1)
    numbers = whole_types(found, "igbp_class", 255, 0, str(fields.path))
    unknown = numbers[~np.isin(numbers, list(CLASSES))]
    if unknown.size:
        raise InputError(f"{fields.what('igbp_class')} is {unknown[0]}, expected one of {', '.join(map(str, CLASSES))}")
    classes = [CLASSES[number] for number in np.unique(numbers).tolist()]
    position = np.unique(numbers, return_inverse=True)[1]
    table = np.array([(one.high_type, one.high_cover, one.low_type, one.low_cover) for one in classes], np.float64)
    values = dict(zip(("clim_tvh", "clim_cvh", "clim_tvl", "clim_cvl"), table[position].T, strict=True))
    shown = ", ".join(f"{one.short} ({one.name}, IGBP)" for one in classes)
    return [(values, f"by the land cover {shown}")]


def _ground(fields: Fields) -> list[tuple[dict[str, float | Values], str]]:
    """What else does not change in time, and why."""
    guesses: list[tuple[dict[str, float | Values], str]] = [({"clim_clake": 0.0}, "no lake")]
    if "clim_theta_sat" not in fields.dataset:
        soil = f"{soil_tables.SOILS[SOIL_TYPE].name} soil (--soil-type gives another)"
        guesses.append(({"clim_sotype": float(SOIL_TYPE)}, soil))
    return guesses
