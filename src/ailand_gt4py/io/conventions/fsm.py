"""FSM and FSM2: weather of a site, see `io.opening.fsm_text`; means over the intervals, in UTC."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.conventions import CONVENTIONS
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.opening.fsm_text import FORMAT
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_files import site_fields

NAMES = {
    "met_swdown": ("SW",),
    "met_lwdown": ("LW",),
    "met_snowf": ("Sf",),
    "met_rainf": ("Rf",),
    "met_tair": ("Ta",),
    "met_relative_humidity": ("RH",),
    "met_wind_speed": ("Ua",),
    "met_psurf": ("Ps",),
}


def _adapt(path: Path, dataset: xr.Dataset, site: Site) -> Fields:
    return site_fields(FSM, path, dataset, site, ("SW",), is_utc=True)


FSM = CONVENTIONS.add(
    Convention(
        "FSM",
        recognises=lambda dataset: dataset.attrs.get("format") == FORMAT,
        aliases=NAMES,
        meanings=dict.fromkeys(NAMES, Meaning("mean", "start", source="FSM")),
        adapt=_adapt,
    )
)
