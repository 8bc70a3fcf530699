"""Where the sun stands at times: what the inputs derived from time and location take from the time alone.

The formulas are those of Spencer (1971), Fourier series representation of the position of the sun, Search 2(5), 172,
for declination, equation of time and sun-earth distance; accuracy about 0.0006 rad in declination and 35 s in time.
The solar irradiance at the mean distance is 1361 W m-2 (Kopp and Lean 2011, doi:10.1029/2010GL045777).

Networks of anemoi are trained with inputs of the same kind at the start of a step, as earthkit-meteo (Apache-2.0) has
them; its declination and equation of time are other series, good to some 0.01 degrees and 10 s.

These are a few numbers a step, so NumPy computes them, in float64; `stencils.physics.solar` has what columns take.
"""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, year_of

#: Total solar irradiance at the mean sun-earth distance, W m-2 (Kopp and Lean 2011).
TOTAL_SOLAR_IRRADIANCE = 1361.0

_DAY = np.timedelta64(86_400_000_000, "us")


def time_angles(
    time: np.ndarray, step_seconds: float, calendar: str = STANDARD
) -> tuple[np.ndarray, np.ndarray, float]:
    """Day angle, Greenwich hour angle and the window's angle, in radians.

    The day angle is 2 pi times the fraction of the year gone by at the middle of the window; the Greenwich hour angle
    that of the mean sun at the window's start, 0 at noon; the window's angle the step as a rotation of the earth.

    Args:
        time: datetime64, starts of the windows, UTC.
        step_seconds: length of the window, in (0, 86400].
        calendar: whose day of the year the sun goes by (see `core.times`).

    Raises:
        InputError: a step that is not in that range.
    """
    if not 0.0 < step_seconds <= SECONDS_PER_DAY:
        raise InputError(f"the step is {step_seconds} s, expected more than 0 and at most 86400 s")
    # Nanoseconds would end in 2262.
    time = np.asarray(time, dtype="datetime64[us]")
    middle = time + np.timedelta64(round(step_seconds * 0.5e6), "us")
    year_start, year_length = year_of(middle, calendar)
    day_angle = 2.0 * np.pi * ((middle - year_start) / year_length)
    time_of_day = (time - time.astype("datetime64[D]").astype("datetime64[us]")) / _DAY
    return day_angle, 2.0 * np.pi * (time_of_day - 0.5), 2.0 * np.pi * step_seconds / SECONDS_PER_DAY


def julian_angle(time: np.ndarray, calendar: str = STANDARD) -> np.ndarray:
    """2 pi times the days since the year began over 365.25, as anemoi's inputs have it; datetime64, UTC."""
    time = np.asarray(time, dtype="datetime64[us]")
    return np.asarray(2.0 * np.pi * ((time - year_of(time, calendar)[0]) / _DAY) / 365.25)


def position_of_the_sun(day_angle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Declination and equation of time (true minus mean solar time), radians; (mean over actual distance) squared."""
    c1, s1, c2, s2, c3, s3 = _harmonics(day_angle)
    return (
        0.006918 - 0.399912 * c1 + 0.070257 * s1 - 0.006758 * c2 + 0.000907 * s2 - 0.002697 * c3 + 0.00148 * s3,
        0.000075 + 0.001868 * c1 - 0.032077 * s1 - 0.014615 * c2 - 0.040849 * s2,
        1.000110 + 0.034221 * c1 + 0.001280 * s1 + 0.000719 * c2 + 0.000077 * s2,
    )


def _harmonics(angle: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cosine and sine of an angle, of twice and of three times that."""
    return tuple(function(k * angle) for k in (1.0, 2.0, 3.0) for function in (np.cos, np.sin))


def derived_of_times(times: np.ndarray, step_seconds: float, calendar: str = STANDARD) -> dict[str, np.ndarray]:
    """The derived inputs that are the same everywhere, (n_times,) by their names; windows as of `time_angles`."""
    day_angle, julian = time_angles(times, step_seconds, calendar)[0], julian_angle(times, calendar)
    return {
        "day_of_year_cos": np.cos(day_angle),
        "day_of_year_sin": np.sin(day_angle),
        "cos_julian_day": np.cos(julian),
        "sin_julian_day": np.sin(julian),
    }


def position_of_windows(times: np.ndarray, step_seconds: float, calendar: str = STANDARD) -> tuple[np.ndarray, ...]:
    """What `stencils.physics.solar.derived_inputs` takes of windows, (n_times,) each, beside the location."""
    day_angle, greenwich, window_angle = time_angles(times, step_seconds, calendar)
    declination, equation_of_time, inverse_square_distance = position_of_the_sun(day_angle)
    return (
        greenwich + equation_of_time,
        np.sin(declination),
        np.cos(declination),
        TOTAL_SOLAR_IRRADIANCE * inverse_square_distance,
        np.full(len(times), window_angle),
    )


def position_at_starts(times: np.ndarray, step_seconds: float, calendar: str = STANDARD) -> tuple[np.ndarray, ...]:
    """What `stencils.physics.solar.inputs_at_start` takes of the starts of windows, (n_times,) each."""
    _, greenwich, _ = time_angles(times, step_seconds, calendar)
    c1, s1, c2, s2, c3, s3 = _harmonics(julian_angle(times, calendar))
    declination = np.radians(
        0.396372 - 22.91327 * c1 + 4.025430 * s1 - 0.387205 * c2 + 0.051967 * s2 - 0.154527 * c3 + 0.084798 * s3
    )
    equation_of_time = np.radians(0.004297 + 0.107029 * c1 - 1.837877 * s1 - 0.837378 * c2 - 2.340475 * s2)
    return greenwich, equation_of_time, np.sin(declination), np.cos(declination)
