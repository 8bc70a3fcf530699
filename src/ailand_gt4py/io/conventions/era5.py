"""ERA5 and ERA5-Land as users get them: from the Climate Data Store in both of its layouts, ARCO-ERA5's zarr store, and
what others made of the same GRIB with other names.

Names: ECMWF's short names (``2t``), those in netCDF (``t2m``), NCAR's (``VAR_2T``), those by number of the parameter
(``var167``), and the long ones of the Climate Data Store's requests, which ARCO-ERA5 has, too (``2m_temperature``).

Time: what is accumulated is so over the hour that ends at the label in ERA5, and since 00 UTC in ERA5-Land, where the
label 00 UTC has the day before. GRIB says ``accum`` of both. So the values decide (`accumulates_through_day`). Where
they cannot (no accumulated field, one label, rain only), a grid of a tenth of a degree is ERA5-Land's.
(Documentation: confluence.ecmwf.int, "ERA5: data documentation" and "ERA5-Land: data documentation", accumulations.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import opening, time_labels
from ailand_gt4py.io.conventions import CONVENTIONS, Convention
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.naming import named
from ailand_gt4py.io.site import Site
from ailand_gt4py.weights.variables import CATALOGUE

#: What a parameter is in time: the value at the label, the sum since the last reset, or the mean over the hour before.
Kind = Literal["constant", "point", "accumulated", "mean"]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of ECMWF's database.

    Attributes:
        name: the catalogue's. number: paramId. short: names of netCDF files and GRIB.
        long: of the Climate Data Store's requests. kind: see `Kind`.
    """

    name: str
    number: int
    short: tuple[str, ...]
    long: tuple[str, ...]
    kind: Kind = "point"

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in lower case."""
        return (*self.short, *self.long, f"var_{self.short[-1]}", f"var{self.number}")

    @property
    def distinct(self) -> set[str]:
        """Those that mean nothing else to anybody."""
        return {name for name in self.names if name in _OWN or name.startswith(_OWN_BEGINNINGS)}


#: Names, and beginnings of names, that mean nothing else to anybody.
_OWN = {
    "2t",
    "2d",
    "10u",
    "10v",
    "ssrd",
    "strd",
    "msdwswrf",
    "msdwlwrf",
    "avg_sdswrf",
    "avg_sdlwrf",
    "tvh",
    "tvl",
    "slt",
}
_OWN_BEGINNINGS = (
    *("var", "2m_", "10m_", "surface_solar_radiation_", "surface_thermal_radiation_", "surface_net_", "mean_surface_"),
    *("volumetric_soil_water_layer_", "soil_temperature_level_", "temperature_of_snow_layer", "skin_reservoir_content"),
    *("type_of_", "high_vegetation_", "low_vegetation_", "leaf_area_index_", "geopotential_at_", "standard_deviation_"),
)


def _layers(name: str, numbers: tuple[int, ...], long: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(f"{name}{layer}", number, (f"{name}{layer}",), (f"{long}_{layer}",))
        for layer, number in enumerate(numbers, start=1)
    )


_MEAN, _CONVECTIVE = "mean_surface_downward", "met_convective_precipitation"
#: All that is read. An hour's mean rate follows the accumulated field of the same quantity, which goes before it.
PARAMETERS: tuple[Parameter, ...] = (
    Parameter("met_tair", 167, ("t2m", "2t"), ("2m_temperature",)),
    Parameter("met_dewpoint", 168, ("d2m", "2d"), ("2m_dewpoint_temperature",)),
    Parameter("met_psurf", 134, ("sp",), ("surface_pressure",)),
    Parameter("met_wind_e", 165, ("u10", "10u"), ("10m_u_component_of_wind",)),
    Parameter("met_wind_n", 166, ("v10", "10v"), ("10m_v_component_of_wind",)),
    Parameter("met_swdown", 169, ("ssrd",), ("surface_solar_radiation_downwards",), "accumulated"),
    Parameter("met_swdown", 235035, ("msdwswrf", "avg_sdswrf"), (f"{_MEAN}_short_wave_radiation_flux",), "mean"),
    Parameter("met_lwdown", 175, ("strd",), ("surface_thermal_radiation_downwards",), "accumulated"),
    Parameter("met_lwdown", 235036, ("msdwlwrf", "avg_sdlwrf"), (f"{_MEAN}_long_wave_radiation_flux",), "mean"),
    Parameter("met_precipitation", 228, ("tp",), ("total_precipitation",), "accumulated"),
    Parameter("met_precipitation", 235055, ("mtpr", "avg_tprate"), ("mean_total_precipitation_rate",), "mean"),
    Parameter(_CONVECTIVE, 143, ("cp",), ("convective_precipitation",), "accumulated"),
    Parameter(_CONVECTIVE, 235030, ("mcpr", "avg_cpr"), ("mean_convective_precipitation_rate",), "mean"),
    Parameter("met_snowf", 144, ("sf",), ("snowfall",), "accumulated"),
    Parameter("met_snowf", 235031, ("msr", "avg_tsrwe"), ("mean_snowfall_rate",), "mean"),
    Parameter("met_cloud_cover", 164, ("tcc",), ("total_cloud_cover",)),
    Parameter("lai_hv", 67, ("lai_hv",), ("leaf_area_index_high_vegetation",)),
    Parameter("lai_lv", 66, ("lai_lv",), ("leaf_area_index_low_vegetation",)),
    Parameter("land_sea_mask", 172, ("lsm",), ("land_sea_mask",), "constant"),
    Parameter("clim_clake", 26, ("cl",), ("lake_cover",), "constant"),
    Parameter("clim_cvh", 28, ("cvh",), ("high_vegetation_cover",), "constant"),
    Parameter("clim_cvl", 27, ("cvl",), ("low_vegetation_cover",), "constant"),
    Parameter("clim_tvh", 30, ("tvh",), ("type_of_high_vegetation",), "constant"),
    Parameter("clim_tvl", 29, ("tvl",), ("type_of_low_vegetation",), "constant"),
    Parameter("clim_sotype", 43, ("slt",), ("soil_type",), "constant"),
    Parameter("clim_geopot", 129, ("z",), ("geopotential_at_surface", "geopotential"), "constant"),
    Parameter("clim_sdor", 160, ("sdor",), ("standard_deviation_of_orography",), "constant"),
    *_layers("swvl", (39, 40, 41, 42), "volumetric_soil_water_layer"),
    *_layers("stl", (139, 170, 183, 236), "soil_temperature_level"),
    Parameter("sd", 141, ("sd",), ("snow_depth_water_equivalent", "snow_depth")),
    Parameter("snowc", 260038, ("snowc",), ("snow_cover",)),
    Parameter("rsn", 33, ("rsn",), ("snow_density",)),
    Parameter("tsn", 238, ("tsn",), ("temperature_of_snow_layer",)),
    Parameter("asn", 32, ("asn",), ("snow_albedo",)),
    Parameter("src", 198, ("src",), ("skin_reservoir_content",)),
    Parameter("t2m", 167, ("t2m", "2t"), ("2m_temperature",)),
    Parameter("d2m", 168, ("d2m", "2d"), ("2m_dewpoint_temperature",)),
    Parameter("skt", 235, ("skt",), ("skin_temperature",)),
    Parameter("sshf", 146, ("sshf",), ("surface_sensible_heat_flux",), "accumulated"),
    Parameter("slhf", 147, ("slhf",), ("surface_latent_heat_flux",), "accumulated"),
    Parameter("ssr", 176, ("ssr",), ("surface_net_solar_radiation",), "accumulated"),
    Parameter("str", 177, ("str",), ("surface_net_thermal_radiation",), "accumulated"),
    Parameter("e", 182, ("e",), ("evaporation", "total_evaporation"), "accumulated"),
    Parameter("sro", 8, ("sro",), ("surface_runoff",), "accumulated"),
    Parameter("ssro", 9, ("ssro",), ("sub_surface_runoff",), "accumulated"),
    Parameter("smlt", 45, ("smlt",), ("snowmelt",), "accumulated"),
    Parameter("fal", 243, ("fal",), ("forecast_albedo",)),
)
_DISTINCT = set[str]().union(*(one.distinct for one in PARAMETERS))
#: All names, and those that are not this package's, too.
_KNOWN = {name for one in PARAMETERS for name in one.names}
_FOREIGN = _KNOWN - set(CATALOGUE)
#: Long names as `_text` gives them.
_TEXTS = {name.replace("_", " ") for one in PARAMETERS for name in one.long if "_" in name}
#: ecLand's own names in files that share others with GRIB.
_ECLAND = {"geopot", "sotype", "landsea", "ctype"}
#: So many names together are ECMWF's, whatever the attributes.
_ENOUGH = 3
_LEAVES = ("lai_hv", "lai_lv")
_TIMES = ("valid_time", "time")
_LEVELS = ("level", "pressure_level", "isobaricInhPa", "hybrid", "plev", "model_level")
#: Labels of which values are looked at, and points.
_LOOKED_AT, _POINTS = 48, 64
LAND = "ERA5-Land"
#: Distance of ERA5-Land's grid points, degrees.
LAND_SPACING = 0.1


def is_ecmwf(dataset: xr.Dataset) -> bool:
    """Whether names are those of ECMWF's parameters, and neither this package's nor ecLand's."""
    names = {str(name).lower() for name in dataset.variables}
    if any(name.startswith(("met_", "clim_")) for name in names) or names & _ECLAND:
        return False
    known = [str(name) for name in dataset.data_vars if str(name).lower() in _KNOWN]
    named_short = any(str(dataset[name].attrs.get("short_name", "")).lower() in _KNOWN for name in known)
    by_grib = any(str(key).startswith("GRIB_") for name in known for key in dataset[name].attrs)
    described = any(_text(dataset[name]) in _TEXTS for name in known)
    return bool(names & _DISTINCT) or described or named_short or by_grib or len(names & _FOREIGN) >= _ENOUGH


def _text(array: xr.DataArray) -> str:
    """The long name as those of requests are written: '2 metre dewpoint temperature' is '2m dewpoint temperature'."""
    return str(array.attrs.get("long_name", "")).lower().replace(" metre ", "m ").replace("-", " ")


def accumulates_through_day(dataset: xr.Dataset) -> bool | None:
    """Whether accumulated fields run from 00 UTC on, by their values at some points; None: they do not tell.

    Thermal radiation never is far from its mean: what grows with the hours since 00 UTC is accumulated through the day,
    what does not is a sum over each step. Other fields tell by a decrease within a day or, on a whole day, by none.
    """
    time = next((name for name in _TIMES if name in dataset.dims and name in dataset.variables), None)
    if time is None or dataset.sizes[time] < 2:
        return None
    try:
        times = time_labels.decoded(dataset[time], time)[:_LOOKED_AT]
    except InputError:
        return None  # whoever reads the file says so
    # The label 00 UTC is the end of a day.
    days = (times - np.timedelta64(1, "ns")).astype("datetime64[D]")
    hours = (times - days) / np.timedelta64(1, "h")
    for name in ("met_lwdown", "met_swdown", "met_precipitation"):
        own = _own_name(dataset, name, "accumulated")
        if own is not None and time in dataset[own].dims:
            answer = _by_values(_some(dataset[own], time), days, hours, always=name == "met_lwdown")
            if answer is not None:
                return answer
    return None


def _by_values(values: Values, days: Values, hours: Values, always: bool) -> bool | None:
    """The same of values (n_times, n_points) at hours of days; ``always``: whether there is some of it at any time."""
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.size:
        return None
    if always:
        if hours.max() < 2.0 * hours.min() or (values <= 0.0).any():
            return None
        spreads = [np.median(np.std(np.log(one), axis=0)) for one in (values / hours[:, None], values)]
        return bool(spreads[0] < spreads[1])
    change = np.diff(values, axis=0)[days[1:] == days[:-1]]
    rounding = 1e-3 * values.max()
    if (change < -rounding).any():
        return False
    is_whole_day = any(np.ptp(hours[days == day]) >= 20.0 for day in np.unique(days))
    return True if is_whole_day and (change > rounding).any() else None


def _some(array: xr.DataArray, time: str) -> Values:
    """Values of a field at the first labels and some points, (n_times, n_points)."""
    others = [name for name in array.dims if name != time]
    each = max(round(_POINTS ** (1.0 / max(len(others), 1))), 1)
    taken = {name: slice(None, None, max(array.sizes[name] // each, 1)) for name in others}
    found = array.isel({time: slice(0, _LOOKED_AT), **taken}).transpose(time, ...).values
    return np.asarray(found, dtype=np.float64).reshape(len(found), -1)


def _own_name(dataset: xr.Dataset, name: str, kind: Kind) -> str | None:
    """What a file calls a parameter; None where it has none."""
    known = [parameter.names for parameter in PARAMETERS if (parameter.name, parameter.kind) == (name, kind)]
    accepted = {one for names in known for one in names}
    return next((str(own) for own in dataset.variables if str(own).lower() in accepted), None)


def spacing(dataset: xr.Dataset) -> float | None:
    """Distance of a grid's rows, degrees; None where there are none."""
    name = next((name for name in ("latitude", "lat") if name in dataset.dims and name in dataset.variables), None)
    if name is None or dataset.sizes[name] < 2:
        return None
    return float(np.abs(np.diff(dataset[name].values.astype(float))).min())


def is_land(dataset: xr.Dataset) -> bool:
    """Whether files with ECMWF's names are of ERA5-Land."""
    if not is_ecmwf(dataset):
        return False
    by_values, distance = accumulates_through_day(dataset), spacing(dataset)
    return by_values if by_values is not None else distance is not None and abs(distance - LAND_SPACING) < 5e-3


def _adapt(land: bool, path: Path, dataset: xr.Dataset, site: Site) -> Fields:
    convention = ERA5_LAND if land else ERA5
    notes = [_recognised(convention.name, dataset)]
    dataset = _preferred(_single(_without_levels(dataset, notes)), notes)
    dataset = _one_version(path, dataset, notes)
    there = [one for one in PARAMETERS if _own_name(dataset, one.name, one.kind) is not None]
    # The ensemble's fields are of three hours.
    meanings = _meanings(convention.name, there, hours=3 if dataset.sizes.get("number", 1) > 1 else 1)
    fields = named(dataclasses.replace(convention, meanings=meanings), path, dataset)
    fields = _whole(fields, dataset)
    if {"met_tair", "met_dewpoint"} & set(fields.own_names):
        notes.append("Air temperature and humidity are at 2 m, wind at 10 m.")
    return dataclasses.replace(fields, notes=[*notes, *fields.notes])


def _meanings(name: str, parameters: Sequence[Parameter], hours: int = 1) -> dict[str, Meaning]:
    """What parameters mean in time in files of the convention of a name; ``hours``: of means and sums over a step."""
    point, mean = Meaning("point", source=name), Meaning("mean", "end", np.timedelta64(hours, "h"), source=name)
    total = Meaning("accumulated", source=name) if name == LAND else dataclasses.replace(mean, kind="sum")
    by_kind = {"constant": point, "point": point, "mean": mean, "accumulated": total}
    return {one.name: by_kind[one.kind] for one in parameters}


def _recognised(name: str, dataset: xr.Dataset) -> str:
    by_values = accumulates_through_day(dataset)
    if by_values is None:
        return f"Read as {name}."
    how = "from 00 UTC on" if by_values else "over the step that ends at the label"
    return f"Read as {name}: by their values, accumulated fields are sums {how}."


def _without_levels(dataset: xr.Dataset, notes: list[str]) -> xr.Dataset:
    levels = [name for name in _LEVELS if name in dataset.dims]
    aloft = [str(name) for name, array in dataset.data_vars.items() if set(levels) & set(array.dims)]
    if aloft:
        notes.append(f"Left out, of levels of the atmosphere: {', '.join(aloft)}.")
    return dataset.drop_dims(levels)


def _single(dataset: xr.Dataset) -> xr.Dataset:
    """Constant fields and leaves of a file of one label without the time."""
    time = next((name for name in _TIMES if dataset.sizes.get(name) == 1), None)
    if time is None:
        return dataset
    constant = {name for one in PARAMETERS if one.kind == "constant" or one.name in _LEAVES for name in one.names}
    found = [name for name, array in dataset.data_vars.items() if time in array.dims and str(name).lower() in constant]
    dataset = dataset.assign({name: dataset[name].isel({time: 0}, drop=True) for name in found})
    is_timed = any(time in array.dims for array in dataset.data_vars.values())
    return dataset if is_timed else dataset.drop_dims(time)


def _preferred(dataset: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Without mean rates beside sums, and without the depth of snow, which is no mass of water."""
    twice = [
        own
        for parameter in PARAMETERS
        if parameter.kind == "mean"
        and _own_name(dataset, parameter.name, "accumulated") is not None
        and (own := _own_name(dataset, parameter.name, "mean")) is not None
    ]
    deep = [name for name in dataset.data_vars if str(name).lower() == "snow_depth"]
    if deep and "water" not in str(dataset[deep[0]].attrs.get("units", "")):
        notes.append(f"Left out, as the depth of snow, not of its water, by its unit: {deep[0]}.")
        twice.append(str(deep[0]))
    return dataset.drop_vars(twice)


def _whole(fields: Fields, dataset: xr.Dataset) -> Fields:
    """Types that were packed in steps, as in the store's former layout, are whole numbers again."""
    changed = {}
    for name in (name for name in fields.own_names if CATALOGUE[name].is_class):
        step = dataset[fields.own_names[name]].encoding.get("scale_factor")
        if step is not None:
            values = fields.dataset[name]
            whole = values.round()
            changed[name] = whole.where(abs(values - whole) <= abs(float(step)), values).assign_attrs(values.attrs)
    if not changed:
        return fields
    note = f"Packed in steps, rounded to the whole numbers that they are: {', '.join(changed)}."
    return dataclasses.replace(fields, dataset=fields.dataset.assign(changed), notes=[*fields.notes, note])


def _one_version(path: Path, dataset: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Final and preliminary data (ERA5T, expver 5) as one."""
    if "expver" not in dataset.variables:
        return dataset
    versions = np.array([str(one).strip().lstrip("0") for one in np.atleast_1d(dataset["expver"].values)])
    if "expver" not in dataset.dims:
        if (versions == "5").any():
            notes.append(f"Preliminary (ERA5T): {int((versions == '5').sum())} of {versions.size} labels.")
        return dataset.drop_vars("expver")
    if sorted(versions) not in (["1"], ["1", "5"], ["5"]):
        raise InputError(f"{path}: variable 'expver' is {', '.join(versions)}, expected 1 (ERA5) and 5 (ERA5T)")
    time = next((name for name in _TIMES if name in dataset.dims), None)
    lazy = opening.chunked(dataset, time, [str(name) for name in dataset.variables if name != "expver"])
    parts = [lazy.isel(expver=index) for index in np.argsort(versions)]
    notes.append("Preliminary data (ERA5T) are taken where there are no final ones.")
    with xr.set_options(keep_attrs=True):
        return parts[0] if len(parts) == 1 else parts[0].fillna(parts[1])


def _convention(name: str, recognises: Callable[[xr.Dataset], bool]) -> Convention:
    aliases: dict[str, tuple[str, ...]] = {}
    for parameter in PARAMETERS:
        aliases[parameter.name] = (*aliases.get(parameter.name, ()), *parameter.names)
    usual = [one for one in PARAMETERS if one.kind != "mean"]
    return Convention(name, recognises, aliases, meanings=_meanings(name, usual), adapt=partial(_adapt, name == LAND))


ERA5_LAND = CONVENTIONS.add(_convention(LAND, is_land))
ERA5 = CONVENTIONS.add(_convention("ERA5", is_ecmwf))
