"""FLUXNET2015, ONEFlux, ICOS and AmeriFlux: tables of a tower, half-hourly or hourly, see `io.opening.fluxnet_csv`.

Times are local standard time, labels (``TIMESTAMP_START``) at the starts of the intervals, all values means over these
but precipitation, which is the sum. H and LE are positive upward. Of several columns of a quantity the filled one
without gaps goes first (``TA_F``, then ``TA_F_MDS``, then ``TA``). Soil moisture and temperature are left out: no
column tells their depth.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.conventions import CONVENTIONS
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.opening.fluxnet_csv import FORMAT
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_files import downward, measured, site_fields, with_first

NAMES = {
    "met_tair": ("TA_F", "TA_F_MDS", "TA"),
    "met_swdown": ("SW_IN_F", "SW_IN_F_MDS", "SW_IN"),
    "met_lwdown": ("LW_IN_F", "LW_IN_F_MDS", "LW_IN_JSB_F", "LW_IN"),
    "met_vapour_pressure_deficit": ("VPD_F", "VPD_F_MDS", "VPD"),
    "met_vapour_pressure": ("eair",),
    "met_relative_humidity": ("RH",),
    "met_psurf": ("PA_F", "PA"),
    "met_precipitation": ("P_F", "P"),
    "met_wind_speed": ("WS_F", "WS"),
    "met_wind_direction": ("WD",),
    "lai": ("LAI",),
    "sshf": ("H_F_MDS", "H"),
    "slhf": ("LE_F_MDS", "LE"),
    "rnet": ("NETRAD",),
    "ghf": ("G_F_MDS", "G"),
}
#: What follows the sun, the best first: ``SW_IN_POT`` is computed for the site by its clock.
_SUNNY = ("SW_IN_POT", "SW_IN_F", "SW_IN_F_MDS", "SW_IN", "NETRAD")
#: Left out where they have gaps, since others tell the same, or since it hardly matters (the direction of the wind).
_MAY_GO = ("RH", "WD")


def _adapt(path: Path, dataset: xr.Dataset, site: Site) -> Fields:
    empty = [str(name) for name in dataset.data_vars if not bool(np.isfinite(dataset[name]).any())]
    gaps = [name for name in _MAY_GO if name in dataset and name not in empty and bool(dataset[name].isnull().any())]
    fluxes = [one for name in ("sshf", "slhf") for one in NAMES[name]]
    flags = {name: f"{name}_QC" for name in (*fluxes, *NAMES["ghf"])}
    observed, notes = measured(dataset.drop_vars([*empty, *gaps]), flags, site.measured_only, path.name)
    signed = downward(observed, fluxes)
    fields = site_fields(with_first(FLUXNET, signed), path, signed, site, _SUNNY)
    if gaps:
        notes.append(f"Left out, as values are missing: {', '.join(gaps)}.")
    return dataclasses.replace(fields, notes=[*fields.notes, *notes])


_MEAN = Meaning("mean", "start", source="FLUXNET")
FLUXNET = CONVENTIONS.add(
    Convention(
        "FLUXNET",
        recognises=lambda dataset: dataset.attrs.get("format") == FORMAT,
        aliases=NAMES,
        meanings=dict.fromkeys(NAMES, _MEAN)
        | {"met_precipitation": dataclasses.replace(_MEAN, kind="sum"), "lai": Meaning("point", source="FLUXNET")},
        adapt=_adapt,
    )
)
