"""The variables of the default model: names, order, units, meaning in time, normalisation method and bounds.

The names are those of ec-land-db. The list follows the table of aiLand v1 (Raoult et al. 2026), less the land-sea and
glacier masks (constant in the training data), the standard deviation of the filtered orography (ecLand offline does
not use it) and the lake depth (not in the public store).
"""

from __future__ import annotations

import dataclasses
import math

from ailand_gt4py.weights.model import NormalisationMethod, TimeMeaning


@dataclasses.dataclass(frozen=True)
class Specification:
    """What is decided about a variable before its statistics are known.

    Attributes:
        name, units, long_name, standard_name, time_meaning, derived: as in `weights.model.Variable`.
        method: normalisation method.
        wet_only: the statistics are taken over values above zero. For precipitation, whose standard deviation over
            all samples is so small that a storm would be a hundred of it.
        lower_bound, upper_bound: physical bounds, in units; applied in every step.
    """

    name: str
    units: str
    long_name: str
    standard_name: str = ""
    time_meaning: TimeMeaning = "window mean"
    method: NormalisationMethod = "mean-std"
    wet_only: bool = False
    lower_bound: float = -math.inf
    upper_bound: float = math.inf
    derived: str = ""


def _static(name: str, units: str, long_name: str, standard_name: str = "") -> Specification:
    return Specification(name, units, long_name, standard_name, time_meaning="static")


STATIC: tuple[Specification, ...] = (
    _static("clim_clake", "1", "lake cover"),
    _static("clim_ctype", "1", "photosynthesis pathway of the low vegetation (C3 or C4)"),
    _static("clim_cu", "1", "urban cover"),
    _static("clim_cvh", "1", "cover of high vegetation"),
    _static("clim_cvl", "1", "cover of low vegetation"),
    _static("clim_tvh", "1", "type of high vegetation"),
    _static("clim_tvl", "1", "type of low vegetation"),
    _static("clim_geopot", "m2 s-2", "surface geopotential", "surface_geopotential"),
    _static("clim_sdor", "m", "standard deviation of the sub-grid orography"),
    _static(
        "clim_theta_cap",
        "m3 m-3",
        "volumetric soil water at field capacity",
        "volume_fraction_of_condensed_water_in_soil_at_field_capacity",
    ),
    _static(
        "clim_theta_pwp",
        "m3 m-3",
        "volumetric soil water at the permanent wilting point",
        "volume_fraction_of_condensed_water_in_soil_at_wilting_point",
    ),
    _static("clim_theta_sat", "m3 m-3", "volumetric soil water at saturation", "soil_porosity"),
    _static("clim_veg_covh", "1", "density of the high vegetation's canopy"),
    _static("clim_veg_covl", "1", "density of the low vegetation's canopy"),
    _static("clim_veg_z0mh", "m", "momentum roughness length of the high vegetation"),
    _static("clim_veg_z0ml", "m", "momentum roughness length of the low vegetation"),
    _static("clim_veg_rsminh", "s m-1", "minimum stomatal resistance of the high vegetation"),
    _static("clim_veg_rsminl", "s m-1", "minimum stomatal resistance of the low vegetation"),
)

_FORCING_FROM_FILE: tuple[Specification, ...] = (
    Specification("met_ctpf", "1", "convective fraction of the precipitation"),
    Specification("met_lwdown", "W m-2", "downward long-wave radiation", "surface_downwelling_longwave_flux_in_air"),
    Specification("met_psurf", "Pa", "surface pressure", "surface_air_pressure"),
    Specification("met_qair", "kg kg-1", "specific humidity of the air", "specific_humidity"),
    Specification("met_rainf", "kg m-2 s-1", "rainfall rate", "rainfall_flux", method="std", wet_only=True),
    Specification("met_snowf", "kg m-2 s-1", "snowfall rate", "snowfall_flux", method="std", wet_only=True),
    Specification("met_swdown", "W m-2", "downward short-wave radiation", "surface_downwelling_shortwave_flux_in_air"),
    Specification("met_tair", "K", "air temperature", "air_temperature"),
    Specification("met_wind_e", "m s-1", "eastward wind", "eastward_wind"),
    Specification("met_wind_n", "m s-1", "northward wind", "northward_wind"),
    Specification("lai_hv", "m2 m-2", "leaf area index of the high vegetation", "leaf_area_index", "window start"),
    Specification("lai_lv", "m2 m-2", "leaf area index of the low vegetation", "leaf_area_index", "window start"),
)


def _derived(
    name: str, units: str, long_name: str, time_meaning: TimeMeaning, standard_name: str = ""
) -> Specification:
    return Specification(name, units, long_name, standard_name, time_meaning, derived=name)


#: Inputs computed from time and place by `ailand_gt4py.derived_forcing`.
_DERIVED_FORCING: tuple[Specification, ...] = (
    _derived("time_of_day_cos", "1", "cosine of the local true solar time as an angle from noon", "window start"),
    _derived("time_of_day_sin", "1", "sine of the local true solar time as an angle from noon", "window start"),
    _derived("day_of_year_cos", "1", "cosine of the day angle at the middle of the window", "window mean"),
    _derived("day_of_year_sin", "1", "sine of the day angle at the middle of the window", "window mean"),
    _derived(
        "toa_incoming_shortwave_flux",
        "W m-2",
        "insolation at the top of the atmosphere",
        "window mean",
        "toa_incoming_shortwave_flux",
    ),
    _derived("cos_solar_zenith_angle", "1", "cosine of the solar zenith angle, 0 at night", "window end"),
)

FORCING: tuple[Specification, ...] = _FORCING_FROM_FILE + _DERIVED_FORCING

#: Largest porosity of ecLand's soil types (organic soil), m3 m-3.
LARGEST_POROSITY = 0.766


def _soil_water(layer: int, depth: str) -> Specification:
    return Specification(
        f"swvl{layer}",
        "m3 m-3",
        f"volumetric soil water, layer {layer} ({depth})",
        "volume_fraction_of_condensed_water_in_soil",
        "window start",
        lower_bound=0.0,
        upper_bound=LARGEST_POROSITY,
    )


def _soil_temperature(layer: int, depth: str) -> Specification:
    return Specification(
        f"stl{layer}",
        "K",
        f"soil temperature, layer {layer} ({depth})",
        "soil_temperature",
        "window start",
        lower_bound=200.0,
        upper_bound=350.0,
    )


_DEPTHS = ("0-7 cm", "7-28 cm", "28-100 cm")

STATE: tuple[Specification, ...] = (
    *(_soil_water(layer, depth) for layer, depth in enumerate(_DEPTHS, start=1)),
    *(_soil_temperature(layer, depth) for layer, depth in enumerate(_DEPTHS, start=1)),
    Specification(
        "snowc",
        "1",
        "snow cover",
        "surface_snow_area_fraction",
        "window start",
        lower_bound=0.0,
        upper_bound=1.0,
    ),
    # Beyond aiLand v1: snow cover saturates under a few centimetres, so without the amount of snow the emulator cannot
    # know how well the soil is insulated nor when the snow will be gone.
    Specification(
        "sd",
        "m",
        "snow depth in water equivalent",
        "lwe_thickness_of_surface_snow_amount",
        "window start",
        lower_bound=0.0,
        upper_bound=10.0,
    ),
)

DIAGNOSTICS: tuple[Specification, ...] = (
    Specification("t2m", "K", "2 m temperature", "air_temperature", "window end"),
    Specification("d2m", "K", "2 m dew point temperature", "dew_point_temperature", "window end"),
    Specification("skt", "K", "skin temperature", "surface_temperature", "window end"),
    Specification("sshf", "W m-2", "sensible heat flux, positive downward", "surface_downward_sensible_heat_flux"),
    Specification("slhf", "W m-2", "latent heat flux, positive downward", "surface_downward_latent_heat_flux"),
)
