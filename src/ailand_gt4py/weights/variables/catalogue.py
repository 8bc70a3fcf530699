"""The catalogue of variables: what every quantity that this package reads, predicts, observes or passes on is.

It is the one place that says a quantity's name, units, long name, CF standard name, kind, meaning in time, valid range
and other names; everything else looks it up here. A new diagnostic is one entry (and a network that predicts it).

The names of model variables are those of ec-land-db. The default choice of variables to train on follows aiLand v1
(Raoult et al. 2026), less the land-sea and glacier masks (constant in the training data), the standard deviation of the
filtered orography (ecLand offline does not use it) and the lake depth (not in the public store). Beyond v1 its state
has what ecLand remembers and v1's seven variables do not tell: the deepest layer, amount, density, temperature and
albedo of the snow, and the water on leaves; its diagnostics have the other terms of the budgets of energy and water;
its forcing has some of the previous window.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ailand_gt4py.weights.model import TimeMeaning, previous_name
from ailand_gt4py.weights.variables.specification import Kind, Specification

_COORDINATES = (
    Specification("lat", "degrees_north", "latitude", "latitude", "static", aliases={"CF": ("latitude",)}),
    Specification("lon", "degrees_east", "longitude", "longitude", "static", aliases={"CF": ("longitude",)}),
)


def _fraction(name: str, long_name: str) -> Specification:
    return Specification(name, "1", long_name, valid=(0.0, 1.0))


#: ``time_meaning`` of all is ``static``.
_STATIC = (
    _fraction("clim_clake", "lake cover"),
    Specification("clim_ctype", "1", "photosynthesis pathway of the low vegetation (C3 or C4)"),
    _fraction("clim_cu", "urban cover"),
    _fraction("clim_cvh", "cover of high vegetation"),
    _fraction("clim_cvl", "cover of low vegetation"),
    Specification("clim_tvh", "1", "type of high vegetation", valid=(0.0, 20.0)),
    Specification("clim_tvl", "1", "type of low vegetation", valid=(0.0, 20.0)),
    Specification("clim_geopot", "m2 s-2", "surface geopotential", "surface_geopotential"),
    Specification("clim_sdor", "m", "standard deviation of the sub-grid orography"),
    Specification(
        "clim_theta_cap",
        "m3 m-3",
        "volumetric soil water at field capacity",
        "volume_fraction_of_condensed_water_in_soil_at_field_capacity",
    ),
    Specification(
        "clim_theta_pwp",
        "m3 m-3",
        "volumetric soil water at the permanent wilting point",
        "volume_fraction_of_condensed_water_in_soil_at_wilting_point",
    ),
    Specification("clim_theta_sat", "m3 m-3", "volumetric soil water at saturation", "soil_porosity"),
    _fraction("clim_veg_covh", "density of the high vegetation's canopy"),
    _fraction("clim_veg_covl", "density of the low vegetation's canopy"),
    Specification("clim_veg_z0mh", "m", "momentum roughness length of the high vegetation"),
    Specification("clim_veg_z0ml", "m", "momentum roughness length of the low vegetation"),
    Specification("clim_veg_rsminh", "s m-1", "minimum stomatal resistance of the high vegetation"),
    Specification("clim_veg_rsminl", "s m-1", "minimum stomatal resistance of the low vegetation"),
    # Not inputs of the default model, but others are derived from them (`ailand_gt4py.io.derive`).
    Specification("clim_sotype", "1", "soil texture class", "soil_type", is_default=False, valid=(1.0, 7.0)),
    Specification(
        "clim_orog",
        "m",
        "height of the surface",
        "surface_altitude",
        is_default=False,
        aliases={"CMIP": ("orog",), "CF": ("surface_altitude",)},
    ),
)

_FORCING_FROM_FILE = (
    _fraction("met_ctpf", "convective fraction of the precipitation"),
    Specification("met_lwdown", "W m-2", "downward long-wave radiation", "surface_downwelling_longwave_flux_in_air"),
    Specification("met_psurf", "Pa", "surface pressure", "surface_air_pressure"),
    # A degree of dew point is as much in dry air as in moist: the logarithm tells it everywhere.
    Specification("met_qair", "kg kg-1", "specific humidity of the air", "specific_humidity", method="log", floor=1e-6),
    Specification("met_rainf", "kg m-2 s-1", "rainfall rate", "rainfall_flux", method="std", wet_only=True),
    Specification("met_snowf", "kg m-2 s-1", "snowfall rate", "snowfall_flux", method="std", wet_only=True),
    Specification("met_swdown", "W m-2", "downward short-wave radiation", "surface_downwelling_shortwave_flux_in_air"),
    Specification("met_tair", "K", "air temperature", "air_temperature"),
    Specification("met_wind_e", "m s-1", "eastward wind", "eastward_wind"),
    Specification("met_wind_n", "m s-1", "northward wind", "northward_wind"),
    Specification("lai_hv", "m2 m-2", "leaf area index of the high vegetation", "leaf_area_index", "window start"),
    Specification("lai_lv", "m2 m-2", "leaf area index of the low vegetation", "leaf_area_index", "window start"),
)

#: Inputs computed from time and location by `ailand_gt4py.emulator.forcing`; ``derived`` of each is its name.
_DERIVED_FORCING = (
    Specification(
        "time_of_day_cos", "1", "cosine of the local true solar time as an angle from noon", "", "window start"
    ),
    Specification(
        "time_of_day_sin", "1", "sine of the local true solar time as an angle from noon", "", "window start"
    ),
    Specification("day_of_year_cos", "1", "cosine of the day angle at the middle of the window"),
    Specification("day_of_year_sin", "1", "sine of the day angle at the middle of the window"),
    Specification(
        "toa_incoming_shortwave_flux", "W m-2", "insolation at the top of the atmosphere", "toa_incoming_shortwave_flux"
    ),
    Specification("cos_solar_zenith_angle", "1", "cosine of the solar zenith angle, 0 at night", "", "window end"),
)

#: Forcing of which the previous window tells, too, how it changes within the window: means alone do not.
PREVIOUS_WINDOW = ("met_tair", "met_qair", "met_swdown", "met_lwdown", "met_wind_e", "met_wind_n", "met_rainf")


def _previous(of: Specification) -> Specification:
    return dataclasses.replace(
        of,
        name=f"{of.name}_before",
        long_name=f"{of.long_name}, in the previous window",
        derived=previous_name(of.name),
    )


_FORCING = (
    *_FORCING_FROM_FILE,
    *(dataclasses.replace(one, derived=one.name) for one in _DERIVED_FORCING),
    *(_previous(one) for name in PREVIOUS_WINDOW for one in _FORCING_FROM_FILE if one.name == name),
)

#: Largest porosity of ecLand's soil types (organic soil), m3 m-3.
LARGEST_POROSITY = 0.766
#: Temperatures on land, K: a margin around what has been observed at the ground (180 K) and on it (355 K).
LAND_TEMPERATURES = (175.0, 360.0)

SOIL_TEMPERATURES = ("stl1", "stl2", "stl3", "stl4")
#: Depth of the soil layers, cm.
SOIL_DEPTHS = ("0-7 cm", "7-28 cm", "28-100 cm", "100-289 cm")


def _soil_water(layer: int) -> Specification:
    return Specification(
        f"swvl{layer}",
        "m3 m-3",
        f"volumetric soil water, layer {layer} ({SOIL_DEPTHS[layer - 1]})",
        "volume_fraction_of_condensed_water_in_soil",
        lower_bound=0.0,
        upper_bound=LARGEST_POROSITY,
        bounded_by="clim_theta_sat",
    )


def _soil_temperature(layer: int) -> Specification:
    return Specification(
        f"stl{layer}",
        "K",
        f"soil temperature, layer {layer} ({SOIL_DEPTHS[layer - 1]})",
        "soil_temperature",
        lower_bound=200.0,
        upper_bound=350.0,
        valid=LAND_TEMPERATURES,
    )


def _state(
    name: str,
    units: str,
    long_name: str,
    standard_name: str,
    bounds: tuple[float, float],
    valid: tuple[float, float] | None = None,
    **more: Any,
) -> Specification:
    low, high = bounds
    return Specification(name, units, long_name, standard_name, lower_bound=low, upper_bound=high, valid=valid, **more)


#: ``time_meaning`` of all is ``window start``.
_STATE = (
    *(_soil_water(layer) for layer in (1, 2, 3)),
    *(_soil_temperature(layer) for layer in (1, 2, 3)),
    _state(
        "snowc",
        "1",
        "snow cover",
        "surface_snow_area_fraction",
        (0.0, 1.0),
        component_name="surface_snow_area_fraction",
    ),
    # Snow cover saturates under a few centimetres. Amount, density and temperature say how well the soil is insulated
    # and when the snow will be gone.
    _state(
        "sd",
        "m",
        "snow depth in water equivalent",
        "lwe_thickness_of_surface_snow_amount",
        (0.0, 10.0),
        (0.0, math.inf),
    ),
    _state(
        "rsn", "kg m-3", "density of the snow, 100 where there is none", "snow_density", (50.0, 1000.0), (50.0, 920.0)
    ),
    _state(
        "tsn",
        "K",
        "temperature of the snow, 273.16 where there is none",
        "temperature_in_surface_snow",
        (180.0, 273.16),
        (-math.inf, 273.16),
    ),
    _state("asn", "1", "albedo of the snow", "", (0.0, 1.0)),
    # Heat and water of the deepest layer go into the third over months.
    _soil_water(4),
    _soil_temperature(4),
    _state("src", "kg m-2", "water on leaves and bare soil", "canopy_water_amount", (0.0, 10.0), (0.0, math.inf)),
    _state(
        "slw",
        "kg m-2",
        "liquid water in the snow",
        "liquid_water_content_of_surface_snow",
        (0.0, math.inf),
        is_default=False,
    ),
)

#: Fluxes and rates are means over the window, and those of energy and evaporation positive downward.
_DIAGNOSTICS = (
    Specification(
        "t2m",
        "K",
        "2 m temperature",
        "air_temperature",
        "window end",
        valid=LAND_TEMPERATURES,
        component_name="air_temperature_at_2m",
    ),
    Specification(
        "d2m",
        "K",
        "2 m dew point temperature",
        "dew_point_temperature",
        "window end",
        bounded_by="t2m",
        valid=LAND_TEMPERATURES,
        component_name="dew_point_temperature_at_2m",
    ),
    Specification(
        "skt",
        "K",
        "skin temperature",
        "surface_temperature",
        "window end",
        valid=LAND_TEMPERATURES,
        component_name="surface_temperature",
    ),
    Specification(
        "sshf",
        "W m-2",
        "sensible heat flux, positive downward",
        "surface_downward_sensible_heat_flux",
        component_name="surface_upward_sensible_heat_flux",
        component_factor=-1.0,
    ),
    Specification(
        "slhf",
        "W m-2",
        "latent heat flux, positive downward",
        "surface_downward_latent_heat_flux",
        component_name="surface_upward_latent_heat_flux",
        component_factor=-1.0,
    ),
    Specification(
        "ssr",
        "W m-2",
        "net short-wave radiation, positive downward",
        "surface_net_downward_shortwave_flux",
        lower_bound=0.0,
        bounded_by="met_swdown",
    ),
    Specification("str", "W m-2", "net long-wave radiation, positive downward", "surface_net_downward_longwave_flux"),
    Specification("e", "kg m-2 s-1", "evaporation, positive downward"),
    Specification(
        "sro", "kg m-2 s-1", "surface runoff", "surface_runoff_flux", method="std", wet_only=True, lower_bound=0.0
    ),
    Specification(
        "ssro", "kg m-2 s-1", "drainage", "subsurface_runoff_flux", method="std", wet_only=True, lower_bound=0.0
    ),
    Specification(
        "smlt",
        "kg m-2 s-1",
        "snow melt",
        "surface_snow_melt_flux",
        is_default=False,
        method="std",
        wet_only=True,
        lower_bound=0.0,
    ),
    Specification("fal", "1", "albedo", "surface_albedo", is_default=False, lower_bound=0.0, upper_bound=1.0),
)

#: ``time_meaning`` of all is ``window end``.
_OBSERVABLES = (
    Specification("rh2m", "%", "relative humidity at 2 m, over water", "relative_humidity"),
    Specification("ssm", "m3 m-3", "soil moisture near the surface", "volume_fraction_of_condensed_water_in_soil"),
    Specification("ssm_saturation", "1", "relative saturation of the soil near the surface"),
    Specification("tbh", "K", "brightness temperature at L-band, horizontally polarised", "brightness_temperature"),
    Specification("tbv", "K", "brightness temperature at L-band, vertically polarised", "brightness_temperature"),
)

#: Outputs of the coupling closures, of the fluxes' derivatives, and what a host's air took.
_COUPLING = (
    Specification("surface_albedo", "1", "albedo for diffuse solar radiation", "surface_albedo"),
    Specification("surface_longwave_emissivity", "1", "thermal emissivity", "surface_longwave_emissivity"),
    Specification(
        "surface_upwelling_longwave_flux_in_air",
        "W m-2",
        "emitted and reflected long-wave radiation",
        "surface_upwelling_longwave_flux_in_air",
    ),
    Specification(
        "water_evapotranspiration_flux",
        "kg m-2 s-1",
        "evaporation and sublimation, positive upward",
        "water_evapotranspiration_flux",
    ),
    Specification(
        "surface_roughness_length_for_momentum",
        "m",
        "roughness length for momentum",
        "surface_roughness_length_for_momentum_in_air",
    ),
    Specification(
        "surface_roughness_length_for_heat",
        "m",
        "roughness length for heat and moisture",
        "surface_roughness_length_for_heat_in_air",
    ),
    Specification(
        "surface_downward_eastward_stress", "Pa", "eastward stress on the ground", "surface_downward_eastward_stress"
    ),
    Specification(
        "surface_downward_northward_stress", "Pa", "northward stress on the ground", "surface_downward_northward_stress"
    ),
    Specification(
        "sensible_heat_flux_derivative_by_air_temperature",
        "W m-2 K-1",
        "derivative of the upward sensible heat flux with respect to air temperature",
    ),
    Specification(
        "sensible_heat_flux_air_temperature",
        "K",
        "air temperature for which the sensible heat flux and its derivative hold",
        "air_temperature",
    ),
    Specification(
        "latent_heat_flux_derivative_by_specific_humidity",
        "W m-2",
        "derivative of the upward latent heat flux with respect to specific humidity (kg kg-1)",
    ),
    Specification(
        "latent_heat_flux_specific_humidity",
        "kg kg-1",
        "specific humidity for which the latent heat flux and its derivative hold",
        "specific_humidity",
    ),
    Specification("tendency_of_air_temperature_due_to_land", "K s-1", "warming of the lowest layer by the land"),
    Specification("tendency_of_specific_humidity_due_to_land", "s-1", "moistening of the lowest layer by the land"),
    Specification(
        "surface_upward_sensible_heat_flux_given", "W m-2", "sensible heat flux that the air took, positive upward"
    ),
    Specification(
        "surface_upward_latent_heat_flux_given",
        "W m-2",
        "latent heat flux, positive upward, of the vapour that the air took",
    ),
)

#: Kind -> its entries, and the meaning in time that all of them share.
_TABLES: dict[Kind, tuple[tuple[Specification, ...], TimeMeaning | None]] = {
    "coordinate": (_COORDINATES, "static"),
    "static": (_STATIC, "static"),
    "forcing": (_FORCING, None),
    "state": (_STATE, "window start"),
    "diagnostic": (_DIAGNOSTICS, None),
    "observable": (_OBSERVABLES, "window end"),
    "coupling": (_COUPLING, None),
}

#: Everything, by name.
CATALOGUE: dict[str, Specification] = {
    entry.name: dataclasses.replace(entry, kind=kind, time_meaning=meaning or entry.time_meaning)
    for kind, (entries, meaning) in _TABLES.items()
    for entry in entries
}


def of_kind(kind: Kind) -> dict[str, Specification]:
    """The entries of a kind by name, in the catalogue's order."""
    return {name: entry for name, entry in CATALOGUE.items() if entry.kind == kind}


def units_of(*names: str) -> dict[str, str]:
    """Names of the catalogue -> their units."""
    return {name: CATALOGUE[name].units for name in names}
