"""HRLDAS: single-point files, see `io.opening.hrldas_text`; means over the intervals, in UTC; IGBP land cover."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import xarray as xr

from ailand_gt4py.ecland.land_cover import CLASSES
from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.conventions import CONVENTIONS
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.opening.hrldas_text import FORMAT
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_files import site_fields

WEATHER = {
    "met_wind_speed": ("windspeed",),
    "met_tair": ("temperature",),
    "met_relative_humidity": ("relative_humidity",),
    "met_qair": ("specific_humidity",),
    "met_psurf": ("pressure",),
    "met_swdown": ("shortwave",),
    "met_lwdown": ("longwave",),
    "met_precipitation": ("precipitation",),
}
SITE = {"clim_orog": ("elevation",), "clim_sotype": ("soil_type",), "sd": ("snow_water_equivalent",)}


def _adapt(path: Path, dataset: xr.Dataset, site: Site) -> Fields:
    cover = CLASSES.get(int(dataset.attrs.get("igbp_class", 0)))
    igbp = None if cover is None else cover.short
    if site.soil_type is not None:
        dataset = dataset.drop_vars("soil_type", errors="ignore")
    fields = site_fields(HRLDAS, path, dataset, site, ("shortwave",), igbp=igbp, is_utc=True)
    note = "Soil: ecLand's texture class by STATSGO's category; the first state linear between the depths of the file."
    return dataclasses.replace(fields, notes=[*fields.notes, note])


HRLDAS = CONVENTIONS.add(
    Convention(
        "HRLDAS",
        recognises=lambda dataset: dataset.attrs.get("format") == FORMAT,
        aliases=WEATHER | SITE,
        meanings=dict.fromkeys(WEATHER, Meaning("mean", "start", source="HRLDAS")),
        adapt=_adapt,
    )
)
