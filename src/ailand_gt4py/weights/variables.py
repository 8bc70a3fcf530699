"""The variables that models are trained on: units, meaning in time, normalisation method and bounds, by name.

The names are those of ec-land-db. The default choice follows aiLand v1 (Raoult et al. 2026), less the land-sea and
glacier masks (constant in the training data), the standard deviation of the filtered orography (ecLand offline does not
use it) and the lake depth (not in the public store). Beyond v1 its state has what ecLand remembers and v1's seven
variables do not tell: the deepest layer, amount, density, temperature and albedo of the snow, and the water on leaves;
its diagnostics have the other terms of the budgets of energy and water; its forcing has some of the previous window.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.soil_heat import SOIL_HEAT, property_positions
from ailand_gt4py.weights.model import (
    Normalisation,
    NormalisationMethod,
    TimeMeaning,
    Variable,
    previous_name,
    previous_positions,
)


@dataclasses.dataclass(frozen=True)
class Specification:
    """What is decided about a variable before its statistics are known.

    Attributes:
        name, units, long_name, standard_name, time_meaning, derived: as in `weights.model.Variable`.
        method: normalisation method.
        wet_only: the statistics are taken over values above zero. For precipitation, whose standard deviation over
            all samples is so small that a storm would be a hundred of it.
        floor: for the method ``log``: what smaller values are taken for.
        lower_bound, upper_bound: physical bounds, in units; applied in every step.
        bounded_by: name of a variable of the column that is another upper bound, where the model has that one.
        increment_of: as in `weights.model.Variable`.
    """

    name: str
    units: str
    long_name: str
    standard_name: str = ""
    time_meaning: TimeMeaning = "window mean"
    method: NormalisationMethod = "mean-std"
    wet_only: bool = False
    floor: float = math.nan
    lower_bound: float = -math.inf
    upper_bound: float = math.inf
    derived: str = ""
    bounded_by: str = ""
    increment_of: str = ""

    def variable(
        self, normalisation: Normalisation | None = None, minimum: float = math.nan, maximum: float = math.nan
    ) -> Variable:
        """The variable of a model.

        Args:
            normalisation: with statistics; None: unknown. minimum, maximum: of the training data.
        """
        return Variable(
            name=self.name,
            units=self.units,
            long_name=self.long_name,
            standard_name=self.standard_name,
            time_meaning=self.time_meaning,
            normalisation=Normalisation() if normalisation is None else normalisation,
            training_minimum=minimum,
            training_maximum=maximum,
            lower_bound=self.lower_bound,
            upper_bound=self.upper_bound,
            derived=self.derived,
            bounded_by=self.bounded_by,
            increment_of=self.increment_of,
        )


@dataclasses.dataclass(frozen=True)
class VariableSet:
    """The variables of a model to be trained, in its order.

    Attributes:
        static, forcing, state, diagnostics: of each group.
    """

    static: tuple[Specification, ...]
    forcing: tuple[Specification, ...]
    state: tuple[Specification, ...]
    diagnostics: tuple[Specification, ...]

    def template(self, step_seconds: float) -> Template:
        """The variables as those of a model with this step, statistics unknown."""
        static, forcing, state, diagnostics = (
            tuple(variable.variable() for variable in group) for group in self.groups.values()
        )
        return Template(static, forcing, state, diagnostics, step_seconds)

    @property
    def groups(self) -> dict[str, tuple[Specification, ...]]:
        """The groups by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True)
class Template:
    """`weights.model.ModelVariables` of a model that does not exist yet."""

    static: tuple[Variable, ...]
    forcing: tuple[Variable, ...]
    state: tuple[Variable, ...]
    diagnostics: tuple[Variable, ...]
    step_seconds: float
    normalised_space: bool = False


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


def _derived(
    name: str, units: str, long_name: str, time_meaning: TimeMeaning, standard_name: str = ""
) -> Specification:
    return Specification(name, units, long_name, standard_name, time_meaning, derived=name)


#: Inputs computed from time and location by `ailand_gt4py.emulator.forcing`.
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

#: Forcing of which the previous window tells, too, how it changes within the window: means alone do not.
PREVIOUS_WINDOW = ("met_tair", "met_qair", "met_swdown", "met_lwdown", "met_wind_e", "met_wind_n", "met_rainf")


def _previous(name: str) -> Specification:
    of = next(variable for variable in _FORCING_FROM_FILE if variable.name == name)
    derived = previous_name(name)
    return dataclasses.replace(
        of, name=f"{name}_before", long_name=f"{of.long_name}, in the previous window", derived=derived
    )


FORCING: tuple[Specification, ...] = _FORCING_FROM_FILE + _DERIVED_FORCING + tuple(map(_previous, PREVIOUS_WINDOW))

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
        bounded_by="clim_theta_sat",
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


#: What may change by its heat (`choose`).
SOIL_TEMPERATURES = ("stl1", "stl2", "stl3", "stl4")

_DEPTHS = ("0-7 cm", "7-28 cm", "28-100 cm", "100-289 cm")


def _snow(name: str, units: str, long_name: str, standard_name: str, lower: float, upper: float) -> Specification:
    return Specification(name, units, long_name, standard_name, "window start", lower_bound=lower, upper_bound=upper)


STATE: tuple[Specification, ...] = (
    *(_soil_water(layer, depth) for layer, depth in enumerate(_DEPTHS[:3], start=1)),
    *(_soil_temperature(layer, depth) for layer, depth in enumerate(_DEPTHS[:3], start=1)),
    _snow("snowc", "1", "snow cover", "surface_snow_area_fraction", 0.0, 1.0),
    # Snow cover saturates under a few centimetres. Amount, density and temperature say how well the soil is insulated
    # and when the snow will be gone.
    _snow("sd", "m", "snow depth in water equivalent", "lwe_thickness_of_surface_snow_amount", 0.0, 10.0),
    _snow("rsn", "kg m-3", "density of the snow, 100 where there is none", "snow_density", 50.0, 1000.0),
    _snow(
        "tsn", "K", "temperature of the snow, 273.16 where there is none", "temperature_in_surface_snow", 180.0, 273.16
    ),
    _snow("asn", "1", "albedo of the snow", "", 0.0, 1.0),
    # Heat and water of the deepest layer go into the third over months.
    _soil_water(4, _DEPTHS[3]),
    _soil_temperature(4, _DEPTHS[3]),
    Specification(
        "src",
        "kg m-2",
        "water on leaves and bare soil",
        "canopy_water_amount",
        "window start",
        lower_bound=0.0,
        upper_bound=10.0,
    ),
)

DIAGNOSTICS: tuple[Specification, ...] = (
    Specification("t2m", "K", "2 m temperature", "air_temperature", "window end"),
    Specification("d2m", "K", "2 m dew point temperature", "dew_point_temperature", "window end", bounded_by="t2m"),
    Specification("skt", "K", "skin temperature", "surface_temperature", "window end"),
    Specification("sshf", "W m-2", "sensible heat flux, positive downward", "surface_downward_sensible_heat_flux"),
    Specification("slhf", "W m-2", "latent heat flux, positive downward", "surface_downward_latent_heat_flux"),
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
)

#: All that can be chosen, by group and name.
CATALOGUE: dict[str, dict[str, Specification]] = {
    group: {variable.name: variable for variable in variables}
    for group, variables in (("static", STATIC), ("forcing", FORCING), ("state", STATE), ("diagnostics", DIAGNOSTICS))
}

DEFAULT = VariableSet(STATIC, FORCING, STATE, DIAGNOSTICS)


def choose(
    static: Sequence[str],
    forcing: Sequence[str],
    state: Sequence[str],
    diagnostics: Sequence[str],
    soil_heat: bool = False,
) -> VariableSet:
    """The variables of these names; an empty list: the default ones.

    Args:
        soil_heat: whether soil temperatures change by their heat (`ailand_gt4py.ecland.soil_heat`).

    Raises:
        InputError: a name that is not in the catalogue, or twice in a list, or a forcing of the previous window without
            that of the window itself, or soil heat without what decides it.
    """
    chosen = {}
    for group, names in (("static", static), ("forcing", forcing), ("state", state), ("diagnostics", diagnostics)):
        known = CATALOGUE[group]
        for name in names:
            if name not in known:
                raise InputError(f"variables.{group}: '{name}' is unknown, expected some of {', '.join(known)}")
            if list(names).count(name) > 1:
                raise InputError(f"variables.{group}: '{name}' is there twice, expected each once")
        chosen[group] = tuple(known[name] for name in names or known)
    for group in ("state", "diagnostics"):
        there = {variable.name for name in ("static", "forcing", group) for variable in chosen[name]}
        chosen[group] = tuple(
            variable if variable.bounded_by in there else dataclasses.replace(variable, bounded_by="")
            for variable in chosen[group]
        )
    if soil_heat:
        try:
            property_positions([variable.name for variable in chosen["static"]])
        except InputError as error:
            raise InputError(f"variables.soil_heat: {error}") from error
        chosen["state"] = tuple(
            dataclasses.replace(variable, increment_of=SOIL_HEAT if variable.name in SOIL_TEMPERATURES else "")
            for variable in chosen["state"]
        )
    try:
        previous_positions([variable.variable() for variable in chosen["forcing"]])
    except InputError as error:
        raise InputError(f"variables.forcing: {error}") from error
    return VariableSet(**chosen)
