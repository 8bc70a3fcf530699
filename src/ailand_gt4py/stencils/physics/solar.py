"""Inputs derived from time and location: solar time, top-of-atmosphere insolation, height of the sun.

`ailand_gt4py.emulator.sun` says where the sun stands at a time, and which formulas that is by; the season, which is the
same everywhere, is there as well. `ailand_gt4py.emulator.forcing` calls the programs on arrays. All is float64.
"""

import functools
from typing import Any

import gt4py.next as gtx
import numpy as np
from gt4py.eve.utils import FrozenNamespace
from gt4py.next import arccos, cos, floor, maximum, minimum, sin

from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.stencils.instances import Statement, write_program

#: The derived inputs of windows in the order of the operator's results.
WINDOW_NAMES = ("time_of_day_cos", "time_of_day_sin", "toa_incoming_shortwave_flux", "cos_solar_zenith_angle")
#: Those of anemoi, at the start of a window.
START_NAMES = ("cos_local_time", "sin_local_time", "insolation")
#: Those that are the same everywhere.
TIME_NAMES = ("day_of_year_cos", "day_of_year_sin", "cos_julian_day", "sin_julian_day")
DERIVED_NAMES = WINDOW_NAMES + START_NAMES + TIME_NAMES

CONSTANTS = FrozenNamespace(
    pi=np.float64(np.pi),
    two_pi=np.float64(2.0 * np.pi),
    degree=np.float64(np.pi / 180.0),
    tiny=np.float64(1e-12),
)

Values = gtx.Field[[Column], gtx.float64]
Derived = tuple[(Values,) * len(WINDOW_NAMES)]
AtStart = tuple[(Values,) * len(START_NAMES)]


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
    latitude: Values,
    longitude: Values,
    hour_angle: Values,
    sin_declination: Values,
    cos_declination: Values,
    irradiance: Values,
    window_angle: Values,
) -> Derived:
    """The derived inputs of one step, in the order of `WINDOW_NAMES`.

    Args:
        latitude, longitude: degrees north and east.
        hour_angle: of the true sun at longitude 0 and the window's start, radians, 0 at noon.
        sin_declination, cos_declination: at the middle of the window.
        irradiance: of the sun at the earth's distance then, W m-2.
        window_angle: the step as an angle of the earth's rotation (2 pi for a day), radians; at most 2 pi.

    Returns:
        Cosine and sine of the local true solar time as an angle from noon, at the start of the window; mean insolation
        at the top of the atmosphere over the window, W m-2; cosine of the solar zenith angle at the end of the window,
        0 at night.

    The window's mean of the cosine of the zenith angle sin(lat) sin(dec) + cos(lat) cos(dec) cos(h) is taken over its
    sunlit part analytically (for instance Hogan and Hirahara 2016, doi:10.1002/2015GL066868): differences of sines over
    the window lose digits that float32 does not have to spare.
    """
    start_unwrapped = hour_angle + CONSTANTS.degree * longitude
    # In [-pi, pi), so that the window meets at most the sunlit arcs around 0 and around 2 pi.
    start = start_unwrapped - CONSTANTS.two_pi * floor((start_unwrapped + CONSTANTS.pi) / CONSTANTS.two_pi)
    end = start + window_angle
    constant = sin(CONSTANTS.degree * latitude) * sin_declination
    amplitude = cos(CONSTANTS.degree * latitude) * cos_declination
    # Polar day gives pi, polar night 0; at the poles the amplitude vanishes.
    half_day = arccos(maximum(minimum(0.0 - constant / maximum(amplitude, CONSTANTS.tiny), 1.0), -1.0))
    sunlit = sunlit_integral(constant, amplitude, 0.0 - half_day, half_day, start, end) + sunlit_integral(
        constant, amplitude, CONSTANTS.two_pi - half_day, CONSTANTS.two_pi + half_day, start, end
    )
    insolation = irradiance * sunlit / window_angle
    return cos(start), sin(start), maximum(insolation, 0.0), maximum(constant + amplitude * cos(end), 0.0)


@gtx.field_operator
def inputs_at_start(
    latitude: Values,
    longitude: Values,
    mean_hour_angle: Values,
    equation_of_time: Values,
    sin_declination: Values,
    cos_declination: Values,
) -> AtStart:
    """The inputs of anemoi's networks at the start of a step, in the order of `START_NAMES`.

    Args:
        latitude, longitude: degrees north and east.
        mean_hour_angle: of the mean sun at longitude 0, radians, 0 at noon. equation_of_time: radians.
        sin_declination, cos_declination: of the sun.

    Returns:
        Cosine and sine of the local mean time as an angle from midnight; cosine of the solar zenith angle, 0 at night.
    """
    local = mean_hour_angle + CONSTANTS.degree * longitude
    cosine = sin(CONSTANTS.degree * latitude) * sin_declination + cos(CONSTANTS.degree * latitude) * (
        cos_declination * cos(local + equation_of_time)
    )
    return cos(local + CONSTANTS.pi), sin(local + CONSTANTS.pi), maximum(cosine, 0.0)


@functools.cache
def solar_program() -> Any:
    """`derived_inputs` as a program. Arguments, all over `Column`: its own, then `WINDOW_NAMES`."""
    inputs = (
        "latitude", "longitude", "hour_angle", "sin_declination", "cos_declination", "irradiance", "window_angle"
    )  # fmt: skip
    return _program("solar_program", derived_inputs, inputs, WINDOW_NAMES)


@functools.cache
def start_program() -> Any:
    """`inputs_at_start` as a program. Arguments, all over `Column`: its own, then `START_NAMES`."""
    inputs = ("latitude", "longitude", "mean_hour_angle", "equation_of_time", "sin_declination", "cos_declination")
    return _program("start_program", inputs_at_start, inputs, START_NAMES)


def _program(name: str, operator: Any, inputs: tuple[str, ...], results: tuple[str, ...]) -> Any:
    types = dict.fromkeys((*inputs, *results), Values)
    return write_program(name, types, [Statement(operator, inputs, results)], __file__)
