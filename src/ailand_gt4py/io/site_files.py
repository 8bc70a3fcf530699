"""Files of single sites: where they stand, UTC, land cover, and observations that somebody filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import land_cover
from ailand_gt4py.io.cloudiness import cloud_cover
from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.fields import COLUMN, CONTRADICTION, TIME, Fields, opposite
from ailand_gt4py.io.local_time import clock
from ailand_gt4py.io.naming import named
from ailand_gt4py.io.site import Site

HALF_HOUR = np.timedelta64(1800, "s")
HEIGHT_NOTE = "Temperature, humidity and wind are taken as measured at 10 m above ground, whatever their actual height."
#: Begins the sentence on observations that nobody made.
FILLED = "Observations that are filled in"
CLOUD_NOTE = (
    "Cloud cover from the short wave, by days: 1 less the part of a clear sky's radiation (Allen et al. 1998, FAO 56) "
    "that comes through (Crawford and Duchon 1999)."
)


class UnknownSiteError(InputError):
    """A file of a site that does not tell where that is: another file may."""


def site_fields(
    convention: Convention,
    path: Path,
    dataset: xr.Dataset,
    site: Site,
    sunny: Sequence[str],
    *,
    turned: Sequence[str] = (),
    igbp: str | None = None,
    is_utc: bool = False,
) -> Fields:
    """The fields of a file of one site in local standard time, its labels at the starts of the intervals, in UTC.

    Args:
        sunny: what follows the sun in such files, the best first, to check the clock with.
        turned: those whose sign the data set has the other way round, as of `downward`.
        igbp: class of land cover that the file tells; what the user tells goes before it.
        is_utc: whether such files are in UTC, not in local standard time.

    Raises:
        UnknownSiteError: neither file nor user tell the location. InputError: several sites, another clock, or a class
            of land cover that is unknown.
    """
    for dimension, size in dataset.sizes.items():
        if size > 1 and dimension != TIME and any(dimension in dataset[one].dims for one in sunny if one in dataset):
            raise InputError(f"{path}: has {size} sites along '{dimension}', expected one: each has its own local time")
    # Locations that are coordinates would be dropped with their dimensions.
    single = dataset.reset_coords().squeeze(
        [name for name, size in dataset.sizes.items() if size == 1 and name != TIME], drop=True
    )
    fields = named(convention, path, single, is_utc=is_utc)
    if TIME not in fields.dataset.dims:
        raise InputError(f"{path}: has no times, expected those of a tower's weather or fluxes")
    latitude, longitude, note = _location(fields, site)
    times = fields.dataset[TIME].values
    interval = np.diff(times).min() if len(times) > 1 else HALF_HOUR
    found = {name: values for name in sunny if (values := _values(single, name)) is not None}
    shortwave = next((-values if name in turned else values for name, values in found.items()), None)
    time = clock(times, interval, shortwave, (latitude, longitude), site.utc_offset, str(path), is_utc)
    utc = times - np.timedelta64(round(time.offset * 3600), "s")
    data = fields.dataset.assign_coords({TIME: (TIME, utc, dict(fields.dataset[TIME].attrs))})
    fixed = {"lat": (latitude, "degrees_north"), "lon": (longitude, "degrees_east")}
    if site.elevation is not None:
        fixed["clim_orog"] = site.elevation, "m"
    if site.igbp is not None or igbp is not None:
        fixed["igbp_class"] = float(land_cover.number_of(site.igbp or igbp or "")), "1"
    data = data.assign({name: ((), np.float64(value), {"units": units}) for name, (value, units) in fixed.items()})
    notes, meanings = [*fields.notes, *note, time.note], dict(fields.meanings)
    if "met_tair" in data:
        notes.append(HEIGHT_NOTE)
    clouds = _clouds(data, interval) if site.estimates_longwave else None
    if clouds is not None:
        data = data.assign(met_cloud_cover=(TIME, clouds, {"units": "1"}))
        meanings["met_cloud_cover"] = meanings["met_swdown"]
        notes.append(CLOUD_NOTE)
    data = data.reset_coords([name for name in ("lat", "lon") if name in data.coords])
    data = data.expand_dims({COLUMN: [0]}).transpose(..., COLUMN).set_coords(["lat", "lon"])
    own_names = {str(name): str(name) for name in data.data_vars} | fields.own_names
    return dataclasses.replace(fields, dataset=data, own_names=own_names, meanings=meanings, notes=notes)


def _clouds(data: xr.Dataset, interval: np.timedelta64) -> Values | None:
    """Cloud cover along time where an estimate of the long-wave radiation takes it; see `cloud_cover`."""
    is_whole = "met_lwdown" in data and not bool(data["met_lwdown"].isnull().any())
    if is_whole or "met_swdown" not in data:
        return None
    height = float(data["clim_orog"]) if "clim_orog" in data else 0.0
    location = (float(data["lat"]), float(data["lon"]))
    return cloud_cover(data[TIME].values, interval, data["met_swdown"].values, location, height)


def _values(dataset: xr.Dataset, name: str) -> Values | None:
    """Values of a variable along time, None where it has none."""
    if not _has_values(dataset, name if name in dataset else None) or dataset[name].dims != (TIME,):
        return None
    return np.asarray(dataset[name].values, dtype=np.float64)


def _location(fields: Fields, site: Site) -> tuple[float, float, list[str]]:
    """Latitude and longitude, by the user where told, and what there is to say about it."""
    own = [float(fields.dataset[name]) if name in fields.dataset.variables else None for name in ("lat", "lon")]
    told = [site.latitude, site.longitude]
    both = [one if one is not None else other for one, other in zip(told, own, strict=True)]
    if None in both and site.nearby is not None:
        return *site.nearby, [f"Location of {fields.path.name}: {site.nearby[0]:g}, {site.nearby[1]:g}, as beside it."]
    if both[0] is None or both[1] is None:
        raise UnknownSiteError(
            f"{fields.path}: does not give the location of the site; expected --site LAT,LON[,ELEVATION], or a file of "
            "one column beside it that has lat and lon"
        )
    location = (both[0], both[1])
    if all(one is None or other is None or abs(one - other) <= 0.01 for one, other in zip(told, own, strict=True)):
        return *location, []
    return *location, [
        f"{CONTRADICTION}, the option is followed: Location: {told[0]:g}, {told[1]:g} as told, not {own[0]:g}, "
        f"{own[1]:g} as in {fields.path.name}."
    ]


def downward(dataset: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Upward fluxes of a file with the other sign: the catalogue's are positive downward."""
    turned: dict[str, xr.DataArray] = {}
    for name in names:
        if name in dataset:
            turned[name] = (-dataset[name]).assign_attrs(dataset[name].attrs)
            if "standard_name" in dataset[name].attrs:
                turned[name].attrs["standard_name"] = opposite(str(dataset[name].attrs["standard_name"]))
    return dataset.assign(turned)


def measured(dataset: xr.Dataset, flags: Mapping[str, str], only: bool, what: str) -> tuple[xr.Dataset, list[str]]:
    """Observations without those that somebody filled in, if ``only`` measured ones are wanted, and what was found.

    Args:
        flags: variable -> its flag, 0 where it is measured.
    """
    filled: dict[str, float] = {}
    for name, flag in flags.items():
        if name in dataset and flag in dataset:
            is_measured = dataset[flag] == 0
            there = np.isfinite(dataset[name])
            filled[name] = float((~is_measured & there).sum()) / max(float(there.sum()), 1.0)
            if only:
                dataset = dataset.assign({name: dataset[name].where(is_measured)})
    shares = ", ".join(f"{name} {100.0 * share:.3g} %" for name, share in filled.items() if share)
    done = "left out" if only else "taken as if measured (--measured-only leaves them out)"
    return dataset, [f"{FILLED} by the flags of {what}, {done}: {shares}."] if shares else []


def with_first(convention: Convention, dataset: xr.Dataset) -> Convention:
    """A convention that takes of each variable the first of its names that has values in a file."""
    there = {str(name).lower(): str(name) for name in dataset.variables}
    aliases = {
        name: next(((one,) for one in names if _has_values(dataset, there.get(one.lower()))), ())
        for name, names in convention.aliases.items()
    }
    return dataclasses.replace(convention, aliases=aliases)


def _has_values(dataset: xr.Dataset, name: str | None) -> bool:
    return name is not None and (dataset[name].dtype.kind != "f" or bool(np.isfinite(dataset[name]).any()))
