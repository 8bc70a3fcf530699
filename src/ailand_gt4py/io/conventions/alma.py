"""ALMA, the names of land-surface model intercomparisons: files of towers (PLUMBER2), and of any grid.

Names and signs: Polcher et al., ALMA data exchange convention, version 3. Tower files (Ukkola et al. 2022,
doi:10.5194/essd-14-449-2022; FluxnetLSM) are in local standard time with labels at the starts of the intervals, all
their values means over these, turbulent fluxes positive upward.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.conventions import CONVENTIONS
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.naming import named
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_files import downward, measured, site_fields, with_first

FORCING = {
    "met_tair": ("Tair",),
    "met_qair": ("Qair",),
    "met_vapour_pressure_deficit": ("VPD",),
    "met_relative_humidity": ("RH",),
    "met_psurf": ("PSurf",),
    "met_swdown": ("SWdown",),
    "met_lwdown": ("LWdown",),
    "met_rainf": ("Rainf",),
    "met_snowf": ("Snowf",),
    "met_precipitation": ("Precip",),
    "met_ctpf": ("Ctpf",),
    "met_wind_speed": ("Wind",),
    "met_wind_e": ("Wind_E",),
    "met_wind_n": ("Wind_N",),
}
#: Those of CalLMIP are means over days.
FLUXES = {
    "sshf": ("Qh", "Qh_daily"),
    "slhf": ("Qle", "Qle_daily"),
    "ssr": ("SWnet",),
    "str": ("LWnet",),
    "rnet": ("Rnet",),
    "ghf": ("Qg",),
}
#: Standard deviations of their errors, in files of CalLMIP.
ERRORS = {"sshf_error": ("Qh_uc_daily",), "slhf_error": ("Qle_uc_daily",)}
_UPWARD = (*FLUXES["sshf"], *FLUXES["slhf"])
SITE = {"clim_orog": ("elevation",), "lai": ("LAI", "LAI_alternative")}

#: What files of towers have beside the weather: attributes of FluxnetLSM and PLUMBER2.
_TOWER_ATTRIBUTES = ("Fluxnet_dataset_version", "Fluxnet site tier", "site_code", "FLUXNET2015_version")
#: What follows the sun, the best first.
_SUNNY = ("SWdown", "Rnet", "SWnet", "Qh")


def _own(dataset: xr.Dataset) -> set[str]:
    """Names of ALMA in a file, as they are spelt, but for pressure, which is spelt in two ways."""
    known = {one.lower() for names in (FORCING | FLUXES).values() for one in names}
    return {str(name) for name in dataset.variables if str(name).lower() in known}


def is_tower(dataset: xr.Dataset) -> bool:
    """Whether a file has ALMA's names and what else files of towers have."""
    is_one = any(name in dataset.attrs for name in _TOWER_ATTRIBUTES) or "reference_height" in dataset
    return is_one and bool(_own(dataset)) and not is_ecland(dataset)


def is_alma(dataset: xr.Dataset) -> bool:
    return len(_own(dataset)) >= 3 and not is_tower(dataset) and not is_ecland(dataset)


def is_ecland(dataset: xr.Dataset) -> bool:
    """Whether a file is ecLand's own, by its attributes or the convective fraction, which ALMA does not know."""
    attributes = dataset.attrs
    return (
        str(attributes.get("dataset_name", "")).strip() == "ECMWF OSM"
        or "modelID" in attributes
        or str(attributes.get("SurfSgn_convention", "")) == "Mathematical"
        or "Ctpf" in dataset
    )


def _igbp(dataset: xr.Dataset) -> str | None:
    """The class of land cover that a tower's file tells."""
    if "IGBP_veg_short" not in dataset:
        return None
    value = np.asarray(dataset["IGBP_veg_short"].values).reshape(-1)
    text = b"".join(value.tolist()).decode(errors="replace") if value.dtype.kind == "S" else "".join(map(str, value))
    return text.strip("\0 ") or None


def _tower(path: Path, dataset: xr.Dataset, site: Site) -> Fields:
    flags = {name: f"{name}_qc" for names in FLUXES.values() for name in names}
    observed, notes = measured(dataset, flags, site.measured_only, path.name)
    signed = downward(observed, _UPWARD)
    convention, igbp = with_first(TOWER, signed), _igbp(dataset)
    fields = site_fields(convention, path, signed, site, _SUNNY, turned=_UPWARD, igbp=igbp)
    return dataclasses.replace(fields, notes=[*fields.notes, *notes])


def _grid(path: Path, dataset: xr.Dataset, site: Site) -> Fields:
    return named(with_first(ALMA, dataset), path, downward(dataset, _UPWARD))


_MEAN = Meaning("mean", "start", source="ALMA")
TOWER = CONVENTIONS.add(
    Convention(
        "PLUMBER2",
        recognises=is_tower,
        aliases=FORCING | FLUXES | ERRORS | SITE,
        meanings=dict.fromkeys((*FORCING, *FLUXES, *ERRORS), dataclasses.replace(_MEAN, source="PLUMBER2"))
        | {"lai": Meaning("point", source="PLUMBER2")},
        adapt=_tower,
    )
)
ALMA = CONVENTIONS.add(
    Convention(
        "ALMA",
        recognises=is_alma,
        aliases=FORCING | FLUXES | SITE,
        meanings=dict.fromkeys((*FORCING, *FLUXES), _MEAN) | {"lai": Meaning("point", source="ALMA")},
        adapt=_grid,
    )
)
