"""Ways from what files have to the forcing that models take: humidity from a dew point, rain from a total.

`WAYS` lists all of them, the best way of each variable first; `ailand_gt4py.io.ingredients` goes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from ailand_gt4py.core.constants import CELSIUS, DRY_AIR_GAS, GRAVITY, STEFAN_BOLTZMANN
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import humidity, soil_tables, surface_tables
from ailand_gt4py.io.derive import Derivation
from ailand_gt4py.weights.variables import CATALOGUE

#: Unit of a rate -> that of its sum over a time.
AMOUNTS = {"kg m-2 s-1": "kg m-2", "W m-2": "J m-2"}

#: Pressure at sea level and change of temperature with height in the standard atmosphere (ISO 2533:1975), Pa, K m-1.
SEA_LEVEL_PRESSURE, LAPSE_RATE = 101_325.0, 0.0065
#: Air colder than this has snow where its humidity is not known, K: the mean of the northern hemisphere (Jennings et
#: al. 2018, doi:10.1038/s41467-018-03629-7).
SNOW_BELOW = CELSIUS + 1.0
#: ``clim_ctype`` of plants with the C3 pathway; C4 plants have 4.
C3 = 3.0
#: Standard deviation of the orography in a cell of gently rolling land, m.
ROLLING = 20.0
#: A part of the precipitation may be larger than the total by this, kg m-2 s-1: both are packed, each in its own steps.
PACKING = 2e-5


@dataclasses.dataclass(frozen=True)
class Way(Derivation):
    """How forcing follows from others; inputs and result are in the catalogue's units, or in those of the amounts.

    Attributes:
        of_windows: whether it is a sum, difference or ratio, taken of means over the model's windows.
        unless: names of what a file must not have for it.
        on_demand: whether only who asks for an estimate gets it.
    """

    of_windows: bool = False
    unless: tuple[str, ...] = ()
    on_demand: bool = False


def _plain(function: Callable[..., Values], *names: str) -> Callable[[Mapping[str, Values], str], Values]:
    return lambda inputs, what: function(*(inputs[name] for name in names))


def pressure_at(height: Values, temperature: Values) -> Values:
    """Pressure, Pa, at a height, m, where the air has a temperature, K: the hypsometric equation.

    Wallace and Hobbs 2006, Atmospheric Science, eq. 3.29, from the standard atmosphere's pressure at sea level; the
    layer below has its lapse rate.
    """
    return SEA_LEVEL_PRESSURE * np.exp(-GRAVITY * height / (DRY_AIR_GAS * (temperature + 0.5 * LAPSE_RATE * height)))


def snow_share(wet_bulb: Values) -> Values:
    """Snow as part of the precipitation, by wet-bulb temperature, K (Wang et al. 2019, doi:10.1029/2019GL085722)."""
    return 1.0 / (1.0 + 6.99e-5 * np.exp(2.0 * (wet_bulb - CELSIUS + 3.97)))


def clear_sky_longwave(temperature: Values, vapour_pressure: Values, cloud: Values | float = 0.0) -> Values:
    """Downward long-wave radiation, W m-2, of air of a temperature, K, and vapour pressure, Pa.

    Emissivity of the clear sky by Prata 1996 (doi:10.1002/qj.49712253306); that of the cloudy part is 1 (Crawford and
    Duchon 1999, doi:10.1175/1520-0450(1999)038<0474:AIPFEE>2.0.CO;2).
    """
    water = 46.5 * 0.01 * vapour_pressure / temperature  # g cm-2
    clear = 1.0 - (1.0 + water) * np.exp(-np.sqrt(1.2 + 3.0 * water))
    return (cloud + (1.0 - cloud) * clear) * STEFAN_BOLTZMANN * temperature**4


def _remainder(total: str, part: str) -> Callable[[Mapping[str, Values], str], Values]:
    def function(inputs: Mapping[str, Values], what: str) -> Values:
        rest = inputs[total] - inputs[part]
        if (rest < -PACKING).any():
            raise InputError(
                f"{what}: {part} is {float(np.nanmax(-rest)):g} kg m-2 s-1 larger than {total}, of which it should "
                "be a part; expected both to be of the same time and in the unit that they are said to have"
            )
        return np.maximum(rest, 0.0)

    return function


def _ratio(part: Values, total: Values) -> Values:
    fraction = np.divide(part, total, out=np.zeros(np.shape(total)), where=total > 0.0)
    return np.where(np.isnan(part + total), np.nan, np.clip(fraction, 0.0, 1.0))


def _snow(precipitation: Values, temperature: Values, vapour_pressure: Values, pressure: Values) -> Values:
    return precipitation * snow_share(humidity.wet_bulb(temperature, vapour_pressure, pressure))


def _of_direction(function: Callable[[Values], Values]) -> Callable[[Values, Values], Values]:
    """A component of the wind: it blows to where the direction does not point."""
    return lambda speed, direction: -speed * function(np.deg2rad(direction))


def _leaves(kind: str) -> Way:
    def function(inputs: Mapping[str, Values], what: str) -> Values:
        types = np.nan_to_num(inputs[kind]).astype(np.int64)
        return soil_tables.vegetation_values("leaf_area_index", np.clip(types, 0, max(soil_tables.VEGETATIONS)))

    how = "ecLand's table by vegetation type (susveg_mod), the same all year"
    return Way(f"lai_{kind[-1]}v", (kind,), function, how, is_first_guess=True, of_windows=True)


def _ground_albedo(inputs: Mapping[str, Values], what: str) -> Values:
    covers = [np.nan_to_num(inputs[name]) for name in ("clim_cvh", "clim_cvl")]
    types = [np.nan_to_num(inputs[name]).astype(np.int64) for name in ("clim_tvh", "clim_tvl")]
    known = [np.clip(one, 0, surface_tables.N_TYPES - 1) for one in types]
    return surface_tables.background_albedo(*covers, *known)


def _constant(name: str, value: float, how: str, *unless: str) -> Way:
    def function(inputs: Mapping[str, Values], what: str) -> Values:
        return np.full((), value)

    return Way(name, (), function, how, is_first_guess=True, of_windows=True, unless=unless)


_MAGNUS = "the saturation vapour pressure over water (IFS documentation, part IV, chapter 12)"
_DEFINITION = f"definition (molar mass of water over that of air {humidity.EPSILON})"
_SPEED_ALONE = "assuming eastward wind, as its direction is not known"
_E, _T, _P, _RAIN = "met_vapour_pressure", "met_tair", "met_psurf", "met_precipitation"

_ALL = (
    Way("met_qair", (_E, _P), _plain(humidity.specific_humidity, _E, _P), _DEFINITION),
    Way(_E, ("met_dewpoint",), _plain(humidity.saturation_pressure, "met_dewpoint"), _MAGNUS),
    Way(_E, ("met_qair", _P), _plain(humidity.vapour_pressure, "met_qair", _P), _DEFINITION),
    Way(
        _E,
        ("met_relative_humidity", _T),
        lambda inputs, what: inputs["met_relative_humidity"] * humidity.saturation_pressure(inputs[_T]),
        f"{_MAGNUS}, whatever the temperature",
    ),
    Way(
        _E,
        ("met_vapour_pressure_deficit", _T),
        lambda inputs, what: np.maximum(
            humidity.saturation_pressure(inputs[_T]) - inputs["met_vapour_pressure_deficit"], 0.0
        ),
        f"{_MAGNUS}, whatever the temperature",
    ),
    Way(
        _E,
        ("met_mixing_ratio", _P),
        lambda inputs, what: inputs["met_mixing_ratio"] * inputs[_P] / (humidity.EPSILON + inputs["met_mixing_ratio"]),
        _DEFINITION,
    ),
    Way(
        _P,
        ("clim_orog", _T),
        _plain(pressure_at, "clim_orog", _T),
        f"the hypsometric equation (Wallace and Hobbs 2006) from {SEA_LEVEL_PRESSURE:g} Pa at sea level, there "
        "being no pressure",
    ),
    Way("clim_orog", ("clim_geopot",), lambda inputs, what: inputs["clim_geopot"] / GRAVITY, f"division by {GRAVITY}"),
    Way("met_rainf", (_RAIN, "met_snowf"), _remainder(_RAIN, "met_snowf"), "difference", of_windows=True),
    Way("met_snowf", (_RAIN, "met_rainf"), _remainder(_RAIN, "met_rainf"), "difference", of_windows=True),
    Way(
        "met_snowf",
        (_RAIN, _T, _E, _P),
        _plain(_snow, _RAIN, _T, _E, _P),
        "wet-bulb temperature (Wang et al. 2019, doi:10.1029/2019GL085722: half at 0.8 degrees Celsius)",
    ),
    Way(
        "met_snowf",
        (_RAIN, _T),
        lambda inputs, what: np.where(inputs[_T] < SNOW_BELOW, inputs[_RAIN], 0.0 * inputs[_RAIN]),
        f"air temperature, all snow below {SNOW_BELOW - CELSIUS:g} degree Celsius (Jennings et al. 2018, "
        "doi:10.1038/s41467-018-03629-7)",
    ),
    Way(
        _RAIN,
        ("met_rainf", "met_snowf"),
        lambda inputs, what: inputs["met_rainf"] + inputs["met_snowf"],
        "addition",
        of_windows=True,
    ),
    Way(
        "met_ctpf",
        ("met_convective_precipitation", _RAIN),
        _plain(_ratio, "met_convective_precipitation", _RAIN),
        "division of means over the windows, 0 where it is dry",
        of_windows=True,
    ),
    _constant("met_ctpf", 0.0, "assuming large-scale precipitation only (0)", "met_convective_precipitation"),
    # ERA5 tells neither.
    _constant("clim_cu", 0.0, "assuming no urban areas, which cover less than a hundredth of the land"),
    _constant("clim_ctype", C3, "assuming C3 plants (3) for all low vegetation, as most of it is"),
    # ERA5-Land does not tell this; ERA5 does.
    _constant("clim_sdor", ROLLING, f"taking {ROLLING:g} m, gently rolling land; ERA5 has the field"),
    *(
        Way(
            name,
            ("met_wind_speed", "met_wind_direction"),
            _plain(_of_direction(function), "met_wind_speed", "met_wind_direction"),
            "sine and cosine of the direction that it comes from",
            unless=("met_wind_e", "met_wind_n"),
        )
        for name, function in (("met_wind_e", np.sin), ("met_wind_n", np.cos))
    ),
    *(
        Way(
            name,
            ("met_wind_speed",),
            _plain(partial(np.multiply, factor), "met_wind_speed"),
            _SPEED_ALONE,
            unless=("met_wind_e", "met_wind_n", "met_wind_direction"),
        )
        for name, factor in (("met_wind_e", 1.0), ("met_wind_n", 0.0))
    ),
    # Of windows, so that what another file gives for each of them goes before it.
    *(
        Way(name, ("lai",), lambda inputs, what: inputs["lai"], "taking it for both", of_windows=True)
        for name in ("lai_hv", "lai_lv")
    ),
    _leaves("clim_tvh"),
    _leaves("clim_tvl"),
    Way(
        "albedo_background",
        ("clim_cvh", "clim_cvl", "clim_tvh", "clim_tvl"),
        _ground_albedo,
        f"vegetation type (BATS1e, Dickinson et al. 1993, less {surface_tables.BATS_EXCESS:g}, as ecLand's climatology "
        "is darker), the same all year",
        is_first_guess=True,
        of_windows=True,
    ),
    Way(
        "met_lwdown",
        (_T, _E, "met_cloud_cover"),
        _plain(clear_sky_longwave, _T, _E, "met_cloud_cover"),
        "an estimate (clear sky of Prata 1996, doi:10.1002/qj.49712253306; clouds as Crawford and Duchon 1999)",
        is_first_guess=True,
        on_demand=True,
    ),
    Way(
        "met_lwdown",
        (_T, _E),
        _plain(clear_sky_longwave, _T, _E),
        "an estimate for clear sky (Prata 1996, doi:10.1002/qj.49712253306), too low by tens of W m-2 under clouds",
        is_first_guess=True,
        on_demand=True,
    ),
)

#: Name of the variable -> how it follows from others, the best way first.
WAYS: dict[str, tuple[Way, ...]] = {
    name: tuple(way for way in _ALL if way.name == name) for name in dict.fromkeys(way.name for way in _ALL)
}


def alternatives(name: str) -> str:
    """What an input that is missing would follow from, for messages; empty where nothing gives it."""
    ways = [way for way in WAYS.get(name, ()) if way.inputs]
    # Only longwave radiation is estimated; the last way needs least.
    ways = [way for way in ways if not way.on_demand] or ways[-1:]
    texts = [
        f"{' and '.join(map(_with_substitutes, way.inputs))}{' by --estimate-longwave' if way.on_demand else ''}"
        for way in ways
    ]
    return ", or from ".join(texts)


def _with_substitutes(name: str) -> str:
    """The name of an ingredient, and of others that give it."""
    is_ingredient = CATALOGUE[name].kind == "ingredient"
    others = [
        way.inputs[0] for way in WAYS.get(name, ()) if is_ingredient and CATALOGUE[way.inputs[0]].kind == "ingredient"
    ]
    return f"{name} (or {', '.join(others)})" if others else name
