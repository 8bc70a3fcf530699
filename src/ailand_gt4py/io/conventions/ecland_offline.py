"""ecLand run offline: its forcing (``met_*``), ``surfclim``, ``surfinit`` and restart files, and its output (``o_*``).

Names, units and signs are those of ``netcdf_utils``, ``wrtdcdf``, ``wrtpcdf``, ``rdsupr`` and ``dtforc``
(github.com/ecmwf-ifs/ecland, Apache-2.0). Of the forcing, temperature, humidity, pressure and wind are values at the
label, radiation, precipitation and its convective fraction means over the interval that ends there (NACCTYPE = 2, as in
ecLand's own examples). Fluxes of the output are means over the interval that ends at the label, states are values at
it; energy fluxes and evaporation are positive downward (``SurfSgn_convention``: Mathematical).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS
from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.conventions import CONVENTIONS
from ailand_gt4py.io.conventions.alma import FORCING, is_ecland
from ailand_gt4py.io.fields import TIME, Fields, Meaning
from ailand_gt4py.io.naming import named
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_files import downward
from ailand_gt4py.io.units import WATER_DENSITY

#: The dimension of the soil layers, and those of what the emulator does not have: tiles, types, layers of the snow.
LAYERS, _OTHER_DIMENSIONS = "nlevs", {"tile", "ntiles", "vtype", "nvtiles", "nlevsn"}
_LAYERED = {"SoilMoist": "swvl", "SoilTemp": "stl"}
STATES = {
    "sd": ("SWE",),
    "rsn": ("snowdens",),
    "tsn": ("SnowT",),
    "asn": ("SAlbedo",),
    "src": ("CanopInt",),
    "slw": ("slw",),
    "snowc": ("SnowFrac",),
}
FLUXES = {
    "sshf": ("Qh",),
    "slhf": ("Qle",),
    "ssr": ("SWnet",),
    "str": ("LWnet",),
    "e": ("Evap",),
    "sro": ("Qs",),
    "ssro": ("Qsb",),
    "smlt": ("Qsm",),
    "fal": ("Albedo",),
}
NEAR_SURFACE = {"t2m": ("T2m",), "d2m": ("D2m",), "skt": ("AvgSurfT",)}
CLIMATE = {
    "clim_geopot": ("geopot",),
    "clim_cvl": ("cvl",),
    "clim_cvh": ("cvh",),
    "clim_cu": ("cu",),
    "clim_tvl": ("tvl",),
    "clim_tvh": ("tvh",),
    "clim_sotype": ("sotype",),
    "clim_ctype": ("Ctype",),
    "clim_sdor": ("sdor",),
    "clim_clake": ("CLAKE",),
    "land_sea_mask": ("landsea",),
    "lai_lv": ("Mlail",),
    "lai_hv": ("Mlaih",),
    "albedo_background": ("Malbedo",),
}
#: Units that are written wrongly: of geopotential, height times gravity; of what ecLand gives a unit of another line.
_UNITS = {"geopot": "m2 s-2", "Albedo": "1", "Qsm": "kg m-2 s-1"}


def recognises(dataset: xr.Dataset) -> bool:
    """Whether a file is ecLand's own, by its attributes or its soil layers."""
    layered = any(name in dataset and LAYERS in dataset[name].dims for name in _LAYERED)
    return layered or is_ecland(dataset)


def _adapt(path: Path, dataset: xr.Dataset, site: Site) -> Fields:
    known = [name for name, array in dataset.variables.items() if not _OTHER_DIMENSIONS & set(map(str, array.dims))]
    data, notes = dataset[known], list[str]()
    if TIME in data.dims and (TIME not in data.variables or " since " not in str(data[TIME].attrs.get("units", ""))):
        # A state for the start, whenever that is: its only label is a count of seconds.
        data = data.isel({TIME: 0}, drop=True).drop_vars(TIME, errors="ignore")
    for name, units in _UNITS.items():
        if name in data and data[name].attrs.get("units") != units:
            notes.append(f"{name}: the unit '{data[name].attrs.get('units')}' is read as '{units}', which is meant.")
            data = data.assign({name: data[name].assign_attrs(units=units)})
    if str(data.attrs.get("SurfSgn_convention", "Mathematical")).strip() != "Mathematical":
        data = downward(data, ("Qh", "Qle", "Evap"))
    for name, stem in _LAYERED.items():
        if name in data:
            data = _by_layer(data, name, stem, path, notes)
    if "SWE" in data and _is_mass(data["SWE"]):
        data = data.assign(SWE=(data["SWE"] / WATER_DENSITY).assign_attrs(units="m"))
        notes.append(f"sd: SWE in kg m-2 divided by {WATER_DENSITY} kg m-3.")
    fields = named(OFFLINE, path, data.drop_vars(LAYERS, errors="ignore"))
    return dataclasses.replace(fields, notes=[*fields.notes, *notes])


def _is_mass(array: xr.DataArray) -> bool:
    """Whether a unit is one of mass over area, as ecLand spells it."""
    return str(array.attrs.get("units", "")).replace(" ", "").lower() in ("kg/m2", "kgm-2", "kg/m^2", "kgm**-2")


def _by_layer(data: xr.Dataset, name: str, stem: str, path: Path, notes: list[str]) -> xr.Dataset:
    """A variable of soil layers as one variable for each; water as part of the volume."""
    array = data[name]
    n_layers = array.sizes.get(LAYERS, 0)
    if n_layers != len(LAYER_THICKNESS):
        raise InputError(
            f"{path}: variable '{name}' has {n_layers} layers ({LAYERS}), expected the {len(LAYER_THICKNESS)} of ecLand"
        )
    is_mass = _is_mass(array)
    if is_mass:
        notes.append(f"{stem}: {name} in kg m-2 divided by the thickness of its layer and {WATER_DENSITY} kg m-3.")
    layers = {}
    for index, thickness in enumerate(LAYER_THICKNESS):
        layer = array.isel({LAYERS: index}, drop=True)
        values = layer / (thickness * WATER_DENSITY) if is_mass else layer
        layers[f"{stem}{index + 1}"] = values.assign_attrs(array.attrs | ({"units": "m3 m-3"} if is_mass else {}))
    return data.drop_vars(name).assign(layers)


_AT_LABEL = Meaning("point", source="ecLand")
_BEFORE_LABEL = Meaning("mean", "end", source="ecLand")
_INSTANTANEOUS = ("met_tair", "met_qair", "met_psurf", "met_wind_speed", "met_wind_e", "met_wind_n")
OFFLINE = CONVENTIONS.add(
    Convention(
        "ecLand",
        recognises=recognises,
        aliases=FORCING | STATES | FLUXES | NEAR_SURFACE | CLIMATE,
        meanings={
            **dict.fromkeys((*FORCING, *FLUXES, "snowc"), _BEFORE_LABEL),
            **dict.fromkeys(_INSTANTANEOUS, _AT_LABEL),
            **dict.fromkeys((f"{stem}{layer}" for stem in _LAYERED.values() for layer in "1234"), _AT_LABEL),
            **dict.fromkeys((*STATES, *NEAR_SURFACE), _AT_LABEL),
        },
        adapt=_adapt,
    )
)
