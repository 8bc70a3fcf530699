"""The fields of a file found by name: the model's, a convention's, or CF's standard names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io import meaning, monthly, opening, time_labels
from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.fields import CONTRADICTION, TIME, Fields, opposite
from ailand_gt4py.io.soil_layers import soil_variables
from ailand_gt4py.weights.variables import CATALOGUE, STANDARD_NAMES

#: When values hold, and when the forecasts that they are from began.
VALID_TIME, REFERENCE_TIME = "valid_time", "forecast_reference_time"
#: What files call the dimension of time that others call so: the Climate Data Store since 2024, earthkit.
_TIME_NAMES = (TIME, VALID_TIME)
#: Standard names of what is easily taken for an input, beside those of other inputs.
_LOOK_ALIKES = {
    *("surface_snow_thickness", "air_potential_temperature", "sea_area_fraction", "wind_speed_of_gust"),
    *("air_pressure_at_mean_sea_level", "air_pressure_at_sea_level", "wind_to_direction", "x_wind", "y_wind"),
    *("surface_net_downward_shortwave_flux", "surface_net_downward_longwave_flux"),
    "volume_fraction_of_condensed_water_in_soil_pores",
}
#: What the units of a coordinate must not have in them.
_DIRECTIONS = {"lat": "east", "lon": "north"}
_OTHERS = _LOOK_ALIKES | {
    one.standard_name for one in CATALOGUE.values() if one.kind in ("coordinate", "forcing", "ingredient")
}


def named(convention: Convention, path: Path, dataset: xr.Dataset, *, is_utc: bool = True) -> Fields:
    """The fields of a file, lazy, by the catalogue's names; see `Fields`.

    What is found by name goes before what is found by standard name; each variable of the file serves once.
    ``is_utc``: whether its times are to be in UTC, not in the local time of a site.
    """
    notes: list[str] = []
    dataset = _with_time_axis(dataset)
    own_time = own_time_of(dataset)
    own_names = _found(convention, path, dataset)
    if any(monthly.MONTH in dataset[own].dims for own in own_names.values()):
        dataset = monthly.in_order(path, dataset)
    if own_time is None and any(TIME in dataset[own].dims for own in own_names.values()):
        raise InputError(
            f"{path}: variable '{TIME}' is missing; expected time labels with 'units' such as 'hours since 2020-01-01'"
        )
    by_depth = soil_variables(path, dataset, own_names)
    kept = [own for own in own_names.values() if dataset[own].dtype.kind in "fiub"] + [one.own_name for one in by_depth]
    no_axes = {*kept, own_time, *(one.dimension for one in by_depth)}
    axes = [str(name) for name in dataset.dims if name in dataset.variables and name not in no_axes]
    mappings = {str(dataset[own].attrs.get("grid_mapping", "")) for own in kept} & {str(name) for name in dataset}
    parts = opening.chunked(dataset, own_time, [*kept, *axes, *mappings])
    fields: dict[str, xr.DataArray] = {}
    for name, own in own_names.items():
        array = parts[own].reset_coords(drop=True) if own in parts else None
        if array is None:
            raise InputError(f"{path}: variable '{own}' is of type {dataset[own].dtype}, expected numbers")
        fields[name] = _without_missing(array, f"{path}: variable '{own}'")
        if name in convention.units and array.attrs.get("units") == convention.units[name][0]:
            written, meant = convention.units[name]
            fields[name].attrs["units"] = meant
            notes.append(f"{name}: the unit '{written}' is read as '{meant}', which is meant in {convention.name}.")
    lacking: dict[str, str] = {}
    for soil in by_depth:
        array = _without_missing(parts[soil.own_name].reset_coords(drop=True), soil.what)
        layers, sentences, problems = soil.in_layers(array)
        fields = layers | fields
        own_names |= dict.fromkeys(layers.keys() - own_names.keys(), soil.own_name)
        notes, lacking = [*notes, *sentences], lacking | problems
    result = xr.Dataset({name: array.variable for name, array in fields.items()})
    taken = {name: parts[name].variable for name in (*axes, *mappings) if name not in result.variables}
    result = result.assign_coords({name: variable for name, variable in taken.items() if variable.dims != (own_time,)})
    of_depth = {one.own_name for one in by_depth}
    renamed = [f"{name} from '{own}'" for name, own in own_names.items() if own != name and own not in of_depth]
    if own_time is not None:
        what, labels = f"{path}: variable '{own_time}'", dataset[own_time]
        if is_utc:
            time_labels.require_utc(labels.attrs, what)
        times = time_labels.decoded(labels, what)
        notes += time_labels.sentences(labels, times, what, is_utc=is_utc)
        if own_time != TIME:
            result = result.rename_dims({own_time: TIME})
            renamed.append(f"{TIME} from '{own_time}'")
        attributes = {"standard_name": "time", "calendar": time_labels.calendar_of(labels.attrs, what)}
        result = result.assign_coords({TIME: (TIME, times, attributes)})
    if renamed:
        notes.insert(0, f"Read under another name: {', '.join(renamed)}.")
    notes += other_directions(dataset, own_names)
    notes += other_quantities(path, dataset, own_names)
    meanings, more = meaning.meanings(path, dataset, own_time, own_names, convention)
    return Fields(path, result, own_names, meanings, [*notes, *more], convention.name, lacking)


def own_time_of(dataset: xr.Dataset) -> str | None:
    """What a file calls its dimension of time; None where it has none."""
    for name in _TIME_NAMES:
        if name in dataset.dims and name in dataset.variables:
            return name
    for name in map(str, dataset.dims):
        attributes: dict[str, Any] = dataset[name].attrs if name in dataset.variables else {}
        if attributes.get("standard_name") == "time" or " since " in str(attributes.get("units", "")):
            return name
    return None


def has_other_times(dataset: xr.Dataset) -> bool:
    """Whether the labels ``time`` may be the beginnings of forecasts, not the times at which values hold."""
    if TIME not in dataset.variables:
        return False
    is_reference = dataset[TIME].attrs.get("standard_name") == REFERENCE_TIME
    return is_reference or (VALID_TIME in dataset.variables and dataset[VALID_TIME].dims == (TIME,))


def at_valid_times(path: Path, dataset: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """The same with the times at which values hold as labels, as cfgrib has them beside those of the forecasts.

    And a sentence where the two differ.

    Raises:
        InputError: there are the beginnings of forecasts alone.
    """
    if not has_other_times(dataset):
        return dataset, []
    labels, valid, notes = dataset[TIME], dataset.get(VALID_TIME), list[str]()
    if valid is None or valid.dims != (TIME,):
        raise InputError(
            f"{path}: variable '{TIME}' is a {REFERENCE_TIME}, expected the times at which values hold (standard_name "
            f"'time'), or a variable '{VALID_TIME}'"
        )
    began, holds = (
        time_labels.instants(one.values, one.attrs, f"{path}: variable '{one.name}'") for one in (labels, valid)
    )
    if not np.array_equal(began, holds):
        notes = [f"Time labels are those of '{VALID_TIME}', not of '{TIME}', when forecasts began."]
    return dataset.drop_vars(VALID_TIME).assign_coords({TIME: (TIME, valid.values, valid.attrs)}), notes


def _with_time_axis(dataset: xr.Dataset) -> xr.Dataset:
    """The same with the labels of a dimension that has another name than these, ``time(record)``, as its own."""
    if own_time_of(dataset) is not None:
        return dataset
    labels = [
        str(name)
        for name, one in dataset.variables.items()
        if one.ndim == 1 and one.dims[0] not in dataset.variables and " since " in str(one.attrs.get("units", ""))
    ]
    return dataset.swap_dims({dataset[labels[0]].dims[0]: labels[0]}) if len(labels) == 1 else dataset


def _found(convention: Convention, path: Path, dataset: xr.Dataset) -> dict[str, str]:
    """Name in the catalogue -> the file's own."""
    there = [str(name) for name in dataset.variables]
    found: dict[str, str] = {}
    for name in CATALOGUE:
        accepted = convention.names(name)
        own = [name] if name in there else sorted(one for one in there if one.lower() in accepted)
        if len(own) > 1:
            raise InputError(f"{path}: variable '{name}' is there more than once ({', '.join(own)}); expected it once")
        if own:
            found[name] = own[0]
    by_standard_name: dict[str, list[str]] = {}
    for one in there:
        standard_name = str(dataset[one].attrs.get("standard_name", ""))
        if standard_name and one not in found.values():
            by_standard_name.setdefault(standard_name, []).append(one)
    for standard_name, names in STANDARD_NAMES.items():
        candidates = by_standard_name.get(standard_name, [])
        missing = [name for name in names if name not in found]
        if missing and len(candidates) == 1:
            found[missing[0]] = candidates[0]
    return found


def other_directions(dataset: xr.Dataset, own_names: Mapping[str, str]) -> list[str]:
    """Sentences on fluxes whose standard name has another direction than their name; files from ECMWF have such."""
    result = []
    for name, own in own_names.items():
        ours = CATALOGUE[name].standard_name if name in CATALOGUE else ""
        theirs = str(dataset[own].attrs.get("standard_name", ""))
        if ours != theirs and ours == opposite(theirs):
            result.append(
                f"{CONTRADICTION}, the name is followed: '{own}' is positive {'down' if 'down' in ours else 'up'}ward "
                f"as {name}, its standard_name says the opposite."
            )
    return result


def other_quantities(path: Path, dataset: xr.Dataset, own_names: Mapping[str, str]) -> list[str]:
    """Sentences on inputs whose standard name is that of another quantity than their name.

    Raises:
        InputError: a latitude that is a longitude, or the reverse.
    """
    result = []
    for name, own in own_names.items():
        if name not in CATALOGUE:  # asked for by its own name: what a model that names nothing takes, observations
            continue
        entry, theirs = CATALOGUE[name], str(dataset[own].attrs.get("standard_name", ""))
        unit = str(dataset[own].attrs.get("units", ""))
        if name in _DIRECTIONS and _DIRECTIONS[name] in unit.lower():
            raise InputError(f"{path}: variable '{own}' has the unit '{unit}', expected '{entry.units}'")
        is_other = theirs in _OTHERS and theirs not in ("", entry.standard_name, opposite(entry.standard_name))
        if not is_other or entry.kind in ("diagnostic", "observable"):
            continue
        if entry.kind == "coordinate":
            raise InputError(
                f"{path}: variable '{own}' has the standard_name '{theirs}', expected '{entry.standard_name}'"
            )
        result.append(
            f"{CONTRADICTION}, the name is followed: '{own}' is taken as {name}, its standard_name is '{theirs}'."
        )
    return result


def _without_missing(array: xr.DataArray, what: str) -> xr.DataArray:
    """The same, floating-point, NaN where GRIB's value for missing ones is, which is no CF attribute."""
    if array.dtype.kind != "f":
        array = array.astype(np.float64, keep_attrs=True)
    missing = array.attrs.get("GRIB_missingValue")
    if missing is None:
        return array
    try:
        number = array.dtype.type(float(np.asarray(missing).item()))
    except (TypeError, ValueError):
        raise InputError(
            f"{what}: attribute 'GRIB_missingValue': found {str(missing)[:60]!r}, expected a number"
        ) from None
    return array.where(array != number)
