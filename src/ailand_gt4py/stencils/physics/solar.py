"""Inputs derived from time and location: solar time, season, top-of-atmosphere insolation.

The formulas are those of Spencer (1971), Fourier series representation of the position of the sun, Search 2(5), 172,
for declination, equation of time and sun-earth distance; accuracy about 0.0006 rad in declination and 35 s in time.
The solar irradiance at the mean distance is 1361 W m-2 (Kopp and Lean 2011, doi:10.1029/2010GL045777).

Networks of anemoi are trained with inputs of the same kind at the start of a step, as earthkit-meteo (Apache-2.0) has
them; its declination and equation of time are other series, good to some 0.01 degrees and 10 s.

`ailand_gt4py.emulator.forcing` calls the programs on arrays. All is float64.
"""

import functools
from typing import Any

import gt4py.next as gtx
import numpy as np
from gt4py.eve.utils import FrozenNamespace
from gt4py.next import arccos, cos, floor, maximum, minimum, sin

from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.stencils.instances import Statement, write_program

#: Total solar irradiance at the mean sun-earth distance, W m-2 (Kopp and Lean 2011).
TOTAL_SOLAR_IRRADIANCE = 1361.0

#: The derived inputs of windows in the order of the operator's results.
WINDOW_NAMES = (
    "time_of_day_cos",
    "time_of_day_sin",
    "day_of_year_cos",
    "day_of_year_sin",
    "toa_incoming_shortwave_flux",
    "cos_solar_zenith_angle",
)
#: Those of anemoi, at the start of a window.
START_NAMES = ("cos_julian_day", "sin_julian_day", "cos_local_time", "sin_local_time", "insolation")
DERIVED_NAMES = WINDOW_NAMES + START_NAMES

CONSTANTS = FrozenNamespace(
    pi=np.float64(np.pi),
    two_pi=np.float64(2.0 * np.pi),
    degree=np.float64(np.pi / 180.0),
    irradiance=np.float64(TOTAL_SOLAR_IRRADIANCE),
    tiny=np.float64(1e-12),
)

Values = gtx.Field[[Column], gtx.float64]
Derived = tuple[(Values,) * len(WINDOW_NAMES)]
AtStart = tuple[(Values,) * len(START_NAMES)]


@gtx.field_operator
def harmonics(angle: Values) -> tuple[Values, Values, Values, Values, Values, Values]:
    """Cosine and sine of an angle, of twice and of three times that."""
    return cos(angle), sin(angle), cos(2.0 * angle), sin(2.0 * angle), cos(3.0 * angle), sin(3.0 * angle)


@gtx.field_operator
def position_of_the_sun(day_angle: Values) -> tuple[Values, Values, Values]:
    """Declination and equation of time (true minus mean solar time), radians; (mean over actual distance) squared."""
    c1, s1, c2, s2, c3, s3 = harmonics(day_angle)
    return (
        0.006918 - 0.399912 * c1 + 0.070257 * s1 - 0.006758 * c2 + 0.000907 * s2 - 0.002697 * c3 + 0.00148 * s3,
        0.000075 + 0.001868 * c1 - 0.032077 * s1 - 0.014615 * c2 - 0.040849 * s2,
        1.000110 + 0.034221 * c1 + 0.001280 * s1 + 0.000719 * c2 + 0.000077 * s2,
    )


@gtx.field_operator
def sunlit_integral(
    constant: Values, amplitude: Values, sunrise: Values, sunset: Values, start: Values, end: Values
) -> Values:
    """Integral of (constant + amplitude cos h) over the hour angles [start, end], as far as the sun is up."""
    lower = maximum(start, sunrise)
    upper = maximum(minimum(end, sunset), lower)
    return constant * (upper - lower) + amplitude * (sin(upper) - sin(lower))


@gtx.field_operator
def derived_inputs(
    latitude: Values, longitude: Values, day_angle: Values, greenwich_hour_angle: Values, window_angle: Values
) -> Derived:
    """The derived inputs of one step, in the order of `WINDOW_NAMES`.

    Args:
        latitude, longitude: degrees north and east.
        day_angle: 2 pi times the fraction of the year gone by at the middle of the window, radians.
        greenwich_hour_angle: mean solar hour angle at longitude 0 and the window's start, radians, 0 at noon.
        window_angle: the step as an angle of the earth's rotation (2 pi for a day), radians; at most 2 pi.

    Returns:
        Cosine and sine of the local true solar time as an angle from noon, at the start of the window; cosine and sine
        of the day angle; mean insolation at the top of the atmosphere over the window, W m-2; cosine of the solar
        zenith angle at the end of the window, 0 at night.

    The window's mean of the cosine of the zenith angle sin(lat) sin(dec) + cos(lat) cos(dec) cos(h) is taken over its
    sunlit part analytically (for instance Hogan and Hirahara 2016, doi:10.1002/2015GL066868): differences of sines over
    the window lose digits that float32 does not have to spare.
    """
    declination, equation_of_time, inverse_square_distance = position_of_the_sun(day_angle)
    start_unwrapped = greenwich_hour_angle + CONSTANTS.degree * longitude + equation_of_time
    # In [-pi, pi), so that the window meets at most the sunlit arcs around 0 and around 2 pi.
    start = start_unwrapped - CONSTANTS.two_pi * floor((start_unwrapped + CONSTANTS.pi) / CONSTANTS.two_pi)
    end = start + window_angle
    constant = sin(CONSTANTS.degree * latitude) * sin(declination)
    amplitude = cos(CONSTANTS.degree * latitude) * cos(declination)
    # Polar day gives pi, polar night 0; at the poles the amplitude vanishes.
    half_day = arccos(maximum(minimum(0.0 - constant / maximum(amplitude, CONSTANTS.tiny), 1.0), -1.0))
    sunlit = sunlit_integral(constant, amplitude, 0.0 - half_day, half_day, start, end) + sunlit_integral(
        constant, amplitude, CONSTANTS.two_pi - half_day, CONSTANTS.two_pi + half_day, start, end
    )
    insolation = CONSTANTS.irradiance * inverse_square_distance * sunlit / window_angle
    return (
        cos(start),
        sin(start),
        cos(day_angle),
        sin(day_angle),
        maximum(insolation, 0.0),
        maximum(constant + amplitude * cos(end), 0.0),
    )


@gtx.field_operator
def inputs_at_start(latitude: Values, longitude: Values, julian_angle: Values, greenwich_hour_angle: Values) -> AtStart:
    """The inputs of anemoi's networks at the start of a step, in the order of `START_NAMES`.

    Args:
        latitude, longitude: degrees north and east.
        julian_angle: 2 pi times the days since the year began over 365.25, radians.
        greenwich_hour_angle: as of `derived_inputs`.

    Returns:
        Cosine and sine of that angle; cosine and sine of the local mean time as an angle from midnight; cosine of the
        solar zenith angle, 0 at night.
    """
    c1, s1, c2, s2, c3, s3 = harmonics(julian_angle)
    declination = CONSTANTS.degree * (
        0.396372 - 22.91327 * c1 + 4.025430 * s1 - 0.387205 * c2 + 0.051967 * s2 - 0.154527 * c3 + 0.084798 * s3
    )
    equation_of_time = CONSTANTS.degree * (0.004297 + 0.107029 * c1 - 1.837877 * s1 - 0.837378 * c2 - 2.340475 * s2)
    mean_hour_angle = greenwich_hour_angle + CONSTANTS.degree * longitude
    cosine = sin(CONSTANTS.degree * latitude) * sin(declination) + cos(CONSTANTS.degree * latitude) * cos(
        declination
    ) * cos(mean_hour_angle + equation_of_time)
    return (
        c1,
        s1,
        cos(mean_hour_angle + CONSTANTS.pi),
        sin(mean_hour_angle + CONSTANTS.pi),
        maximum(cosine, 0.0),
    )


@functools.cache
def solar_program() -> Any:
    """`derived_inputs` as a program. Arguments, all over `Column`: its own, then `WINDOW_NAMES`."""
    inputs = ("latitude", "longitude", "day_angle", "greenwich_hour_angle", "window_angle")
    return _program("solar_program", derived_inputs, inputs, WINDOW_NAMES)


@functools.cache
def start_program() -> Any:
    """`inputs_at_start` as a program. Arguments, all over `Column`: its own, then `START_NAMES`."""
    inputs = ("latitude", "longitude", "julian_angle", "greenwich_hour_angle")
    return _program("start_program", inputs_at_start, inputs, START_NAMES)


def _program(name: str, operator: Any, inputs: tuple[str, ...], results: tuple[str, ...]) -> Any:
    types = dict.fromkeys((*inputs, *results), Values)
    return write_program(name, types, [Statement(operator, inputs, results)], __file__)
