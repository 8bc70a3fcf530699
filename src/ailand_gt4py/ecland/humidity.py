"""Moist air as ecLand has it: saturation, humidity in all its measures, wet-bulb temperature.

Saturation vapour pressure: IFS documentation CY48R1, part IV, chapter 12 (`a1 exp(a3 (T - T0) / (T - a4))`), with the
parameters of Buck 1981 (doi:10.1175/1520-0450(1981)020<1527:NEFCVP>2.0.CO;2) over water and of Alduchov and Eskridge
1996 (doi:10.1175/1520-0450(1996)035<0601:IMFAOS>2.0.CO;2) over ice. Pressures are in Pa, temperatures in K, specific
humidities in kg kg-1. Functions take and give arrays of any library that NumPy's functions work on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.core.constants import DRY_AIR_HEAT, MELTING_POINT, VAPORISATION_HEAT

Values = Any  # NumPy, dask or xarray array

#: a1, Pa: the saturation vapour pressure at T0, the melting point.
TRIPLE_PRESSURE = 611.21
#: a3 (1) and a4 (K) over water and over ice.
OVER_WATER = (17.502, 32.19)
OVER_ICE = (22.587, -0.7)
#: Molar mass of water over that of dry air, as in the IFS: 18.0153 / 28.9644, rounded.
EPSILON = 0.621981


def saturation_pressure(temperature: Values, over: tuple[float, float] = OVER_WATER) -> Values:
    """Saturation vapour pressure, Pa, of a temperature, K; of a dew point it is the vapour pressure."""
    slope, offset = over
    return TRIPLE_PRESSURE * np.exp(slope * (temperature - MELTING_POINT) / (temperature - offset))


def dew_point(vapour_pressure: Values, over: tuple[float, float] = OVER_WATER) -> Values:
    """Dew point, K, of a vapour pressure, Pa, above 0: the inverse of `saturation_pressure`."""
    slope, offset = over
    logarithm = np.log(vapour_pressure / TRIPLE_PRESSURE)
    return (slope * MELTING_POINT - offset * logarithm) / (slope - logarithm)


def specific_humidity(vapour_pressure: Values, pressure: Values) -> Values:
    """Specific humidity, kg kg-1, of a vapour pressure and the pressure of the air, Pa."""
    return EPSILON * vapour_pressure / (pressure - (1.0 - EPSILON) * vapour_pressure)


def vapour_pressure(specific_humidity: Values, pressure: Values) -> Values:
    """Vapour pressure, Pa, of a specific humidity, kg kg-1: the inverse of `specific_humidity`."""
    return specific_humidity * pressure / (EPSILON + (1.0 - EPSILON) * specific_humidity)


def wet_bulb(temperature: Values, vapour_pressure: Values, pressure: Values) -> Values:
    """Wet-bulb temperature over water, K: e_s(Tw) - e = cp p / (epsilon L) (T - Tw), the psychrometer's equation.

    By Newton's method, which comes from above, where the function is convex and increasing, to rounding in the steps
    taken (six for any air up to 60 degrees Celsius).
    """
    slope, offset = OVER_WATER
    constant = DRY_AIR_HEAT * pressure / (EPSILON * VAPORISATION_HEAT)
    result = temperature
    for _ in range(8):
        saturation = saturation_pressure(result)
        by_temperature = saturation * slope * (MELTING_POINT - offset) / (result - offset) ** 2
        excess = saturation - vapour_pressure - constant * (temperature - result)
        result = result - excess / (by_temperature + constant)
    return result
